"""A small model, data for it, and a block and a loss written in Python: what tests of the interface share."""

import chainrule as cr
import numpy as np
from chainrule import nn


def small_model(seed=0):
    return nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 3), seed=seed)


def small_data(n=40, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 4)).astype(np.float32)
    return X, rng.integers(0, 3, n)


def equal_states(a, b):
    a, b = a.state_dict(), b.state_dict()
    return a.keys() == b.keys() and all(np.array_equal(a[name], b[name]) for name in a)


class Block(nn.Module):
    def __init__(self, width):
        self.inner = nn.Sequential(nn.Linear(width, width), nn.Tanh())

    def forward(self, x):
        return x + self.inner(x)


def focal(logits, target):
    logp = cr.log_softmax(logits, axis=-1)
    picked = cr.take_along(logp, target, axis=-1)
    return -((1 - cr.exp(picked)) ** 2 * picked)
