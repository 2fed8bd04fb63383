"""The numerics contract on the networks that the benchmarks compare: the bits of a training depend neither on
the number of threads nor on who runs the loop, those of a prediction not on the batch around a sample."""

from __future__ import annotations

import dataclasses

import chainrule as cr
import numpy as np
import pytest
from bench_workloads import WORKLOADS, samples
from chainrule import nn, optim
from checks import same_bits, same_state

STEPS = 3


def marked(name):
    return pytest.param(name, marks=pytest.mark.slow) if name == "wide" else name


@pytest.fixture(params=[marked(name) for name in WORKLOADS])
def workload(request):
    return dataclasses.replace(WORKLOADS[request.param], batches=STEPS)


def network(workload):
    return nn.MLP(list(workload.sizes), seed=1)


def optimizer(workload, *parameters):
    return (optim.Adam if workload.optimizer == "adam" else optim.SGD)(*parameters, lr=workload.lr)


def fitted(workload, x, y, threads):
    cr.set_num_threads(threads)
    model = network(workload)
    trainer = cr.Trainer(model, nn.CrossEntropyLoss(), optimizer(workload))
    history = trainer.fit(x, y, epochs=1, batch_size=workload.batch)
    return model, history["loss"]


def test_training(workload):
    """By fit with 1, 2 and 3 threads, step by step, and by hand with eager ops."""
    x, y = samples(workload)
    model, losses = fitted(workload, x, y, threads=1)
    weights = model.state_dict()
    assert any((value != network(workload).state_dict()[name]).any() for name, value in weights.items())
    for threads in (2, 3):
        other, other_losses = fitted(workload, x, y, threads)
        same_state(weights, other)
        assert other_losses == losses

    cr.set_num_threads(2)
    stepped, by_hand = network(workload), network(workload)
    trainer = cr.Trainer(stepped, nn.CrossEntropyLoss(), optimizer(workload))
    update, loss_of = optimizer(workload, by_hand.parameters()), nn.CrossEntropyLoss()
    for xb, yb in cr.data.batches(x, y, batch_size=workload.batch, shuffle=True, seed=0):
        loss = trainer.step(xb, yb)
        update.zero_grad()
        eager = loss_of(by_hand(xb), yb)
        eager.backward()
        update.step()
        assert float(eager) == loss
    same_state(weights, stepped)
    same_state(weights, by_hand)


def test_prediction(workload):
    x = samples(workload)[0][: workload.batch]
    cr.set_num_threads(2)
    model = network(workload).eval()
    whole = model.predict(x)
    assert whole.shape == (workload.batch, workload.sizes[-1])
    same_bits(model(x).numpy(), whole)
    same_bits(cr.compile(model)(x).numpy(), whole)
    for i in range(0, workload.batch, max(1, workload.batch // 16)):
        same_bits(model.predict(x[i : i + 1]), whole[i : i + 1])
    for size in (7, workload.batch // 2 + 1):
        same_bits(model.predict(x, batch_size=size), whole)
    for threads in (1, 3):
        cr.set_num_threads(threads)
        same_bits(model.predict(x), whole)
        same_bits(np.asarray(model(x)), whole)
