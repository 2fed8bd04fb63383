"""Gradients clipped by value."""

from __future__ import annotations

import chainrule as cr
import numpy as np
import pytest
from chainrule import nn, optim
from test_accumulate import X, Y, fitted, net, trainer_of, weights


class TestClipValue:
    def test_each_element_is_held(self):
        model, other = net(), net()
        loss = nn.MSELoss()
        loss(model(X), Y).backward()
        want = [p.numpy() - np.clip(p.grad.numpy(), -0.01, 0.01) for p in model.parameters()]
        trainer_of(opt=optim.SGD(lr=1.0), model=other, clip_value=0.01).step(X, Y)
        assert all(np.array_equal(p.numpy(), w) for p, w in zip(other.parameters(), want, strict=True))
        third = net()
        step = cr.training_step(
            lambda x, y: loss(third(x), y), optim.SGD(third.parameters(), lr=1.0), clip_value=0.01
        )
        step(X, Y)
        assert np.array_equal(weights(third), weights(other))

    def test_a_limit_that_nothing_reaches_changes_no_bits(self):
        assert np.array_equal(fitted(trainer_of(clip_value=1e6))[0], fitted(trainer_of())[0])

    def test_infinite_gradients_end_the_training(self):
        x = np.zeros((8, 4))
        trainer = trainer_of(loss=lambda o, t: cr.sqrt(o**2 * 0).mean(), clip_value=1.0)
        start = weights(trainer.model)
        with pytest.raises(cr.ValueError, match="a gradient was not finite"):
            trainer.step(x, np.zeros((8, 2)))
        assert np.array_equal(weights(trainer.model), start)
