"""A small network and fits of it by hand and by a Trainer, shared by the tests of parameter groups."""

from __future__ import annotations

import chainrule as cr
import numpy as np
from chainrule import nn

X = np.random.default_rng(0).normal(size=(48, 4)).astype(np.float32)
Y = np.stack([X[:, 0] * X[:, 1], X.sum(axis=1)], axis=1)
NAMES = ["0.weight", "0.bias", "1.weight", "1.bias", "3.weight", "3.bias"]
RULES = ["SGD", "Adagrad", "RMSprop", "Adam", "AdamW", "Adadelta", "Adamax", "NAdam", "RAdam", "Lion"]


def net(seed=0, dtype="float32"):
    return nn.Sequential(
        nn.Linear(4, 8, dtype=dtype),
        nn.LayerNorm(8, dtype=dtype),
        nn.Tanh(),
        nn.Linear(8, 2, dtype=dtype),
        seed=seed,
    )


def weights(model):
    return {name: p.numpy().copy() for name, p in model.named_parameters()}


def same(a, b):
    return a.keys() == b.keys() and all(np.array_equal(a[name], b[name]) for name in a)


def by_hand(model, opt, epochs=3):
    loss = nn.MSELoss()
    for _ in range(epochs):
        for i in range(0, 48, 16):
            opt.zero_grad()
            loss(model(X[i : i + 16]), Y[i : i + 16]).backward()
            opt.step()
    return weights(model)


def fitted(model, opt, epochs=3, **options):
    trainer = cr.Trainer(model, nn.MSELoss(), opt, **options)
    trainer.fit(X, Y, epochs=epochs, batch_size=16, shuffle=False, progress=False)
    return weights(model)
