"""Fashion-MNIST from its four files to ten epochs and the accuracy on the test files, in one library: as its
users would write it for speed, with all samples in memory. Started by fashion.py; prints a line of JSON."""

from __future__ import annotations

import gzip
import json
import sys
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

from worker import pin, resident

SIZES, BATCH, EPOCHS, LEARNING_RATE = (784, 256, 128, 10), 128, 10, 1e-3
Split = tuple[Any, Any, Any, Any]  # training images (rows, 784) in 0 ... 1 and labels, then those of the test
Steps = tuple[Callable[[], None], Callable[[], float]]  # train, and the part of the test that is right


def files(folder: Path) -> list[Path]:
    """Images and labels of training, then of the test."""
    kinds = ("images-idx3-ubyte.gz", "labels-idx1-ubyte.gz")
    return [folder / f"{part}-{kind}" for part in ("train", "t10k") for kind in kinds]


def split(read: Callable[[Path], Any], folder: Path) -> Split:
    import numpy as np

    x, y, x_test, y_test = map(read, files(folder))
    flat = [np.divide(images.reshape(len(images), -1), 255, dtype=np.float32) for images in (x, x_test)]
    return flat[0], y.astype(np.int64), flat[1], y_test.astype(np.int64)


def read_idx(path: Path) -> Any:
    """For the libraries that do not read this format themselves."""
    import numpy as np

    content = gzip.decompress(path.read_bytes())
    rank = content[3]
    shape = np.frombuffer(content, ">i4", rank, offset=4)
    return np.frombuffer(content, np.uint8, offset=4 + 4 * rank).reshape(shape)


def with_chainrule(folder: Path) -> tuple[Callable[[], Split], Callable[..., Steps]]:
    import chainrule as cr
    from chainrule import data, nn, optim

    def steps(x: Any, y: Any, x_test: Any, y_test: Any) -> Steps:
        model = nn.MLP(SIZES, seed=0)
        trainer = cr.Trainer(model, nn.CrossEntropyLoss(), optim.Adam(lr=LEARNING_RATE))
        return (
            lambda: trainer.fit(x, y, epochs=EPOCHS, batch_size=BATCH, progress=False),
            lambda: (model.predict(x_test).argmax(axis=1) == y_test).mean(),
        )

    return lambda: split(data.read_idx, folder), steps


def with_torch(folder: Path) -> tuple[Callable[[], Split], Callable[..., Steps]]:
    import os

    import torch
    from torch import nn

    torch.set_num_threads(len(os.sched_getaffinity(0)))
    torch.manual_seed(0)

    def steps(*arrays: Any) -> Steps:
        x, y, x_test, y_test = map(torch.from_numpy, arrays)
        a, b, c, d = SIZES
        model = nn.Sequential(nn.Linear(a, b), nn.ReLU(), nn.Linear(b, c), nn.ReLU(), nn.Linear(c, d))
        optimizer, criterion = (
            torch.optim.Adam(model.parameters(), LEARNING_RATE, fused=True),
            nn.CrossEntropyLoss(),
        )

        def train() -> None:
            for _ in range(EPOCHS):
                for rows in torch.randperm(len(x)).split(BATCH):
                    optimizer.zero_grad(set_to_none=True)
                    criterion(model(x.index_select(0, rows)), y.index_select(0, rows)).backward()
                    optimizer.step()

        def accuracy() -> float:
            with torch.inference_mode():
                return (model(x_test).argmax(1) == y_test).double().mean().item()

        return train, accuracy

    return lambda: split(read_idx, folder), steps


def with_jax(folder: Path) -> tuple[Callable[[], Split], Callable[..., Steps]]:
    from functools import partial

    import jax
    import jax.numpy as jnp
    import optax

    def logits(params: Any, x: Any) -> Any:
        for weight, bias in params[:-1]:
            x = jax.nn.relu(x @ weight + bias)
        return x @ params[-1][0] + params[-1][1]

    def loss(params: Any, x: Any, y: Any) -> Any:
        return optax.softmax_cross_entropy_with_integer_labels(logits(params, x), y).mean()

    def steps(*arrays: Any) -> Steps:
        x, y, x_test, y_test = map(jnp.asarray, arrays)
        optimizer, keys = optax.adam(LEARNING_RATE), iter(jax.random.split(jax.random.key(0), EPOCHS + 3))
        params = [
            (jax.random.normal(next(keys), (m, n)) * (2 / m) ** 0.5, jnp.zeros(n)) for m, n in pairwise(SIZES)
        ]
        carry = (params, optimizer.init(params))

        def step(carry: Any, rows: Any, x: Any, y: Any) -> Any:
            params, state = carry
            updates, state = optimizer.update(jax.grad(loss)(params, x[rows], y[rows]), state, params)
            return optax.apply_updates(params, updates), state

        @partial(jax.jit, donate_argnums=0)
        def epoch(carry: Any, key: Any, x: Any, y: Any) -> Any:
            order = jax.random.permutation(key, len(x))
            whole = len(x) // BATCH * BATCH
            batches = order[:whole].reshape(-1, BATCH)
            carry, _ = jax.lax.scan(lambda carry, rows: (step(carry, rows, x, y), None), carry, batches)
            return step(carry, order[whole:], x, y) if whole < len(x) else carry

        def train() -> None:
            nonlocal carry
            for _ in range(EPOCHS):
                carry = epoch(carry, next(keys), x, y)
            jax.block_until_ready(carry)

        def accuracy() -> float:
            return float((jax.jit(logits)(carry[0], x_test).argmax(1) == y_test).mean())

        return train, accuracy

    return lambda: split(read_idx, folder), steps


LIBRARIES = {"chainrule": with_chainrule, "torch": with_torch, "jax": with_jax}


def main() -> None:
    library, folder, threads = sys.argv[1:]
    pin(int(threads))
    times = [time.perf_counter()]

    def mark() -> None:
        times.append(time.perf_counter())

    try:
        read, steps = LIBRARIES[library](Path(folder))
    except ImportError as error:
        print(json.dumps({library: {"missing": f"ImportError: {error}"}}))
        return
    mark()
    train, accuracy = steps(*read())
    mark()
    train()
    mark()
    right = float(accuracy())
    mark()
    took = [b - a for a, b in pairwise(times)]
    samples = dict(zip(("import", "read", "train", "test"), took, strict=True))
    samples |= {"accuracy": 100 * right, "memory": resident("VmHWM")}
    module = sys.modules[library]
    print(json.dumps({library: {"samples": samples, "versions": {library: module.__version__}}}))


if __name__ == "__main__":
    main()
