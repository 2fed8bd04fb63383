"""Every optimizer's steps against those of PyTorch (Lion: optax), recorded by
record_trajectories.py; and the valley of Rosenbrock, which each of them has to find the end of.
"""

from __future__ import annotations

import chainrule as cr
import numpy as np
import pytest
from chainrule import nn, optim
from record_trajectories import (
    CASES,
    CLIP_VALUE,
    CLIP_VALUE_CASES,
    FILE,
    GROUP_CASES,
    KEPT,
    LAYERS,
    STEPS,
)

NUMBERED = list(enumerate(CASES))
NAMES = [f"{name} {options}" for name, options in CASES]


@pytest.fixture(scope="module")
def recorded():
    with np.load(FILE) as arrays:
        return dict(arrays)


def model(recorded):
    m = nn.Sequential(nn.Linear(5, 7, dtype="float64"), nn.Tanh(), nn.Linear(7, 2, dtype="float64"), seed=0)
    m.load_state_dict({p: recorded[f"start.{p}"] for p in LAYERS})
    return m


def weights(m):
    state = m.state_dict()
    return np.concatenate([state[p].ravel() for p in LAYERS])


def check(recorded, key, step):
    """Runs step(x, y) 200 times and compares the weights where they were recorded."""
    theirs = iter(recorded[key])
    worst = 0.0
    for t in range(1, STEPS + 1):
        m = step(recorded["x"][(t - 1) % 8], recorded["y"][(t - 1) % 8])
        if t in KEPT:
            want = next(theirs)
            worst = max(worst, np.abs(weights(m) - want).max() / np.abs(want).max())
    start = np.concatenate([recorded[f"start.{p}"].ravel() for p in LAYERS])
    assert np.abs(want - start).max() > 0.01, "the weights hardly moved"
    print(f"{worst:.1e}")
    assert worst < 1e-9


@pytest.mark.parametrize(("i", "case"), NUMBERED, ids=NAMES)
def test_by_hand(i, case, recorded):
    name, options = case
    m = model(recorded)
    opt = getattr(optim, name)(m.parameters(), **options)
    sign = -1.0 if options.get("maximize") else 1.0

    def step(x, y):
        opt.zero_grad()
        (sign * nn.MSELoss()(m(x), y)).backward()
        opt.step()
        return m

    check(recorded, f"{i}.None", step)


@pytest.mark.parametrize("clip_norm", [None, 0.2])
@pytest.mark.parametrize(
    ("i", "case"),
    [(i, case) for i, case in NUMBERED if "maximize" not in case[1]],
    ids=[name for name in NAMES if "maximize" not in name],
)
def test_with_the_trainer(i, case, clip_norm, recorded):
    name, options = case
    m = model(recorded)
    trainer = cr.Trainer(m, nn.MSELoss(), getattr(optim, name)(**options), clip_norm=clip_norm)

    def step(x, y):
        trainer.step(x, y)
        return m

    check(recorded, f"{i}.{clip_norm}", step)


@pytest.mark.parametrize("by", ["hand", "name"])
@pytest.mark.parametrize(("i", "case"), list(enumerate(GROUP_CASES)))
def test_groups(i, case, by, recorded):
    name, options, groups = case
    m = model(recorded)
    kind = getattr(optim, name)
    if by == "name":
        trainer = cr.Trainer(m, nn.MSELoss(), kind(groups=dict(groups), **options))

        def step(x, y):
            trainer.step(x, y)
            return m
    else:
        named = dict(m.named_parameters())
        taken = [p for names, _ in groups for p in names]
        lists = [{"params": [named[p] for p in names], **own} for names, own in groups]
        opt = kind([*lists, {"params": [p for key, p in named.items() if key not in taken]}], **options)

        def step(x, y):
            opt.zero_grad()
            nn.MSELoss()(m(x), y).backward()
            opt.step()
            return m

    check(recorded, f"groups.{i}", step)


@pytest.mark.parametrize(("i", "case"), list(enumerate(CLIP_VALUE_CASES)))
def test_clipping_by_value(i, case, recorded):
    name, options = case
    m = model(recorded)
    trainer = cr.Trainer(m, nn.MSELoss(), getattr(optim, name)(**options), clip_value=CLIP_VALUE)

    def step(x, y):
        trainer.step(x, y)
        return m

    check(recorded, f"clip_value.{i}", step)


def test_no_optimizer_is_left_out():
    names = {name for name, value in vars(optim).items() if isinstance(value, type)} - {"Optimizer"}
    assert names == {name for name, _ in CASES} | {"LBFGS", "LevenbergMarquardt"}  # test_drivers.py has these


# The rate falls to 0 along a line, without which the sign of Lion never comes to rest.
ROSENBROCK = {
    "SGD": {"lr": 1e-3, "momentum": 0.9},
    "Adagrad": {"lr": 0.5},
    "RMSprop": {"lr": 0.01},
    "Adam": {"lr": 0.1},
    "AdamW": {"lr": 0.1, "weight_decay": 0.0},
    "Adadelta": {"lr": 1.0},
    "Adamax": {"lr": 0.1},
    "NAdam": {"lr": 0.05},
    "RAdam": {"lr": 0.005},
    "Lion": {"lr": 0.003},
}


@pytest.mark.parametrize("name", sorted({name for name, _ in CASES}))
def test_rosenbrock(name):
    options, steps = ROSENBROCK[name], 12000
    p = cr.tensor(np.array([-1.2, 1.0]), requires_grad=True)
    opt = getattr(optim, name)([p], **options)
    loss = cr.training_step(lambda: (1 - p[0]) ** 2 + 100 * (p[1] - p[0] ** 2) ** 2, opt)
    for t in range(steps):
        opt.lr = options["lr"] * (1 - t / steps)
        value = loss()
    assert value < 1e-4
    assert np.abs(np.asarray(p) - 1).max() < 0.02
