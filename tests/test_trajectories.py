"""A hundred steps of every optimizer side by side with PyTorch.

PyTorch is no requirement of the tests; without it they are skipped.
"""

from __future__ import annotations

import chainrule as cr
import numpy as np
import pytest
from chainrule import nn, optim

try:
    import torch
except ImportError:
    torch = None


def dense(a, b):
    return nn.Linear(a, b, dtype="float64")


OPTIMIZERS = [
    ("SGD", {"lr": 0.05}),
    ("SGD", {"lr": 0.05, "momentum": 0.9}),
    ("SGD", {"lr": 0.05, "momentum": 0.9, "dampening": 0.3, "weight_decay": 0.01}),
    ("SGD", {"lr": 0.02, "momentum": 0.9, "nesterov": True, "weight_decay": 0.01}),
    ("SGD", {"lr": 0.05, "weight_decay": 0.1, "maximize": True}),
    ("Adagrad", {"lr": 0.05}),
    (
        "Adagrad",
        {"lr": 0.1, "lr_decay": 0.02, "weight_decay": 0.01, "initial_accumulator_value": 0.1, "eps": 1e-6},
    ),
    ("Adagrad", {"lr": 0.05, "maximize": True}),
    ("RMSprop", {"lr": 0.01}),
    ("RMSprop", {"lr": 0.01, "alpha": 0.9, "momentum": 0.5, "weight_decay": 0.01, "eps": 1e-6}),
    ("RMSprop", {"lr": 0.01, "centered": True}),
    ("RMSprop", {"lr": 0.01, "centered": True, "momentum": 0.9, "weight_decay": 0.02}),
    ("RMSprop", {"lr": 0.01, "maximize": True}),
    ("Adam", {"lr": 0.01}),
    ("Adam", {"lr": 0.01, "betas": (0.8, 0.95), "eps": 1e-6, "weight_decay": 0.05}),
    ("Adam", {"lr": 0.01, "amsgrad": True}),
    ("Adam", {"lr": 0.01, "amsgrad": True, "weight_decay": 0.05, "maximize": True}),
    ("AdamW", {"lr": 0.01}),
    ("AdamW", {"lr": 0.01, "betas": (0.8, 0.95), "eps": 1e-6, "weight_decay": 0.2}),
    ("AdamW", {"lr": 0.01, "amsgrad": True}),
    ("AdamW", {"lr": 0.01, "amsgrad": True, "weight_decay": 0.1, "maximize": True}),
]


@pytest.mark.skipif(torch is None, reason="torch is not installed")
class TestTrajectories:
    """100 steps of every optimizer, from the same weights on the same batches, in float64."""

    @staticmethod
    def batches(rng):
        x, y = rng.normal(size=(8, 16, 5)), rng.normal(size=(8, 16, 2))
        return [(x[i % 8], y[i % 8]) for i in range(100)]

    @staticmethod
    def theirs(model, name, options, batches, clip_norm=None):
        state = model.state_dict()
        net = torch.nn.Sequential(torch.nn.Linear(5, 7), torch.nn.Tanh(), torch.nn.Linear(7, 2)).double()
        with torch.no_grad():
            for i in (0, 2):
                net[i].weight.copy_(torch.from_numpy(state[f"{i}.weight"].T))
                net[i].bias.copy_(torch.from_numpy(state[f"{i}.bias"]))
        opt = getattr(torch.optim, name)(net.parameters(), foreach=False, **options)
        sign = -1 if options.get("maximize") else 1
        for x, y in batches:
            opt.zero_grad()
            (sign * torch.nn.functional.mse_loss(net(torch.from_numpy(x)), torch.from_numpy(y))).backward()
            if clip_norm is not None:
                torch.nn.utils.clip_grad_norm_(net.parameters(), clip_norm)
            opt.step()
            yield {
                f"{i}.{p}": getattr(net[i], p).detach().numpy().T
                if p == "weight"
                else getattr(net[i], p).detach().numpy()
                for i in (0, 2)
                for p in ("weight", "bias")
            }

    @staticmethod
    def furthest(ours, theirs):
        return max(np.abs(ours[k] - theirs[k]).max() / np.abs(theirs[k]).max() for k in theirs)

    @staticmethod
    def model():
        return nn.Sequential(dense(5, 7), nn.Tanh(), dense(7, 2), seed=7)

    @pytest.mark.parametrize(("name", "options"), OPTIMIZERS, ids=str)
    def test_by_hand(self, name, options, rng):
        model, batches = self.model(), self.batches(rng)
        opt = getattr(optim, name)(model.parameters(), **options)
        sign = -1.0 if options.get("maximize") else 1.0
        start, worst = model.state_dict(), 0.0
        for (x, y), there in zip(batches, self.theirs(model.clone(), name, options, batches), strict=True):
            opt.zero_grad()
            (sign * nn.MSELoss()(model(x), y)).backward()
            opt.step()
            worst = max(worst, self.furthest(model.state_dict(), there))
        print(f"{name} {options}: {worst:.2e}")
        assert worst < 1e-5  # measured: below 1e-13
        assert self.furthest(start, there) > 0.01, "the weights hardly moved"

    @pytest.mark.parametrize(
        ("name", "options"),
        [(name, options) for name, options in OPTIMIZERS if "maximize" not in options],
        ids=str,
    )
    @pytest.mark.parametrize("clip_norm", [None, 0.2])
    def test_with_the_trainer(self, name, options, clip_norm, rng):
        model, batches = self.model(), self.batches(rng)
        trainer = cr.Trainer(model, nn.MSELoss(), getattr(optim, name)(**options), clip_norm=clip_norm)
        for (x, y), there in zip(
            batches, self.theirs(model.clone(), name, options, batches, clip_norm), strict=True
        ):
            trainer.step(x, y)
            assert self.furthest(model.state_dict(), there) < 1e-5
