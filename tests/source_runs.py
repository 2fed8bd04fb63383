"""A problem, a Trainer for it, and sources of every kind, shared by the tests of sources."""

import threading

import chainrule as cr
import numpy as np
from chainrule import data, nn, optim


def problem(n=200, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 6)).astype(np.float32)
    y = (X[:, 0] * X[:, 1] > 0).astype(np.int64)
    return X, y


def new_trainer(seed=3, **kwargs):
    return cr.Trainer(
        nn.MLP([6, 8, 2], seed=0), nn.CrossEntropyLoss(), optim.Adam(lr=0.01), seed=seed, **kwargs
    )


def parameters(trainer):
    return [p.numpy().tobytes() for p in trainer.model.parameters()]


def npy(folder, X, y=None, **kwargs):
    np.save(folder / "X.npy", X)
    if y is None:
        return data.NpySource(folder / "X.npy", **kwargs)
    np.save(folder / "y.npy", y)
    return data.NpySource(folder / "X.npy", folder / "y.npy", **kwargs)


class Own:
    """A source in Python; it remembers what was asked for."""

    def __init__(self, X, y, window_rows=None, any_order=True):
        self.X, self.y, self.rows = X, y, len(X)
        self.window_rows, self.any_order = window_rows, any_order
        self.asked, self.threads = [], set()

    def read(self, first, count):
        self.asked.append((first, count))
        self.threads.add(threading.get_ident())
        return self.X[first : first + count].copy(), self.y[first : first + count].copy()


def generator(X, y, piece=37, **kwargs):
    def pieces():
        for at in range(0, len(X), piece):
            yield X[at : at + piece], y[at : at + piece]

    return data.GeneratorSource(pieces, **kwargs)


KINDS = {
    "arrays": lambda _, X, y, **k: data.ArraySource(X, y, **k),
    "npy": npy,
    "generator": lambda _, X, y, **k: generator(X, y, **k),
    "own": lambda _, X, y, **k: Own(X, y, **k),
}
