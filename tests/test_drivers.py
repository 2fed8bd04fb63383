"""Optimizers that look at the loss more than once per step: L-BFGS against PyTorch's recorded
steps; what it shares with Levenberg-Marquardt, by hand and in a Trainer.
"""

from __future__ import annotations

import copy
import pickle

import chainrule as cr
import numpy as np
import pytest
from chainrule import nn, optim
from command import fails
from record_trajectories import FILE, LAYERS, LBFGS_CASES, LBFGS_KEPT, LBFGS_STEPS, PENALTY

WOLFE = {"line_search_fn": "strong_wolfe"}
RECIPES = [optim.LBFGS(lr=0.1, max_iter=4), optim.LBFGS(max_iter=4, **WOLFE), optim.LevenbergMarquardt()]
NAMES = ["LBFGS", "LBFGS strong_wolfe", "LevenbergMarquardt"]


def net(dtype="float64", hidden=8, seed=0):
    return nn.MLP([1, hidden, 1], activation="tanh", seed=seed, dtype=dtype)


def sine(rows=60, dtype="float64"):
    x = np.linspace(-3, 3, rows, dtype=dtype)[:, None]
    return x, np.sin(x)


def weights(model):
    return np.concatenate([p.ravel() for p in model.state_dict().values()])


# --- L-BFGS against PyTorch
@pytest.mark.parametrize("i", range(len(LBFGS_CASES)), ids=[str(case) for case in LBFGS_CASES])
def test_lbfgs_steps_as_pytorch_does(i):
    with np.load(FILE) as arrays:
        start = [arrays[f"start.{p}"] for p in LAYERS]
        x, y, theirs = arrays["x"].reshape(-1, 5), arrays["y"].reshape(-1, 2), arrays[f"lbfgs.{i}"]
    w = [cr.tensor(value, requires_grad=True) for value in start]
    opt = optim.LBFGS(w, **LBFGS_CASES[i])

    def closure():
        opt.zero_grad()
        loss = nn.MSELoss()(cr.tanh(x @ w[0] + w[1]) @ w[2] + w[3], y)
        loss = loss + PENALTY * sum((p**2).sum() for p in w)
        loss.backward()
        return loss

    worst, kept = 0.0, iter(theirs)
    for t in range(1, LBFGS_STEPS + 1):
        opt.step(closure)
        if t in LBFGS_KEPT:
            want = next(kept)
            now = np.concatenate([p.numpy().ravel() for p in w])
            worst = max(worst, np.abs(now - want).max() / np.abs(want).max())
    print(f"{worst:.1e}")
    assert worst < 1e-9
    assert opt.step_count == LBFGS_STEPS


@pytest.mark.parametrize("options", [{"lr": 0.1, "max_iter": 40}, WOLFE], ids=str)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_lbfgs_finds_the_end_of_rosenbrocks_valley(options, dtype):
    p = cr.tensor([-1.2, 1.0], dtype=dtype, requires_grad=True)
    opt = optim.LBFGS([p], **options)

    def closure():  # forgets zero_grad: step does it
        loss = (1 - p[0]) ** 2 + 100 * (p[1] - p[0] ** 2) ** 2
        loss.backward()
        return loss

    first = opt.step(closure)
    for _ in range(12):
        opt.step(closure)
    assert first == pytest.approx(24.2)
    assert np.abs(np.asarray(p) - 1).max() < (2e-2 if dtype == "float32" else 1e-3)


def test_lbfgs_follows_a_schedule():
    rates = []

    def rate(step):
        rates.append(step)
        return 0.1 / (1 + step)

    x, y = sine()
    trainer = cr.Trainer(net(), nn.MSELoss(), optim.LBFGS(lr=rate, max_iter=2))
    trainer.fit(x, y, epochs=3, batch_size=60, progress=False)
    assert {0, 1, 2} <= set(rates)
    assert trainer.optimizer.lr == pytest.approx(0.1 / 4)


# --- both
@pytest.mark.parametrize("recipe", RECIPES, ids=NAMES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_trainer_lowers_the_loss(recipe, dtype):
    x, y = sine(dtype=dtype)
    trainer = cr.Trainer(net(dtype), nn.MSELoss(), recipe, metrics=["rmse"])
    history = trainer.fit(x, y, epochs=30, batch_size=60, progress=False)
    assert history["loss"][-1] < 0.05 * history["loss"][0]
    assert history["rmse"][3] == pytest.approx(history["loss"][3] ** 0.5, rel=1e-5)  # both before the update
    assert trainer.global_step == 30 == trainer.optimizer.step_count


@pytest.mark.parametrize("recipe", RECIPES[:2], ids=NAMES[:2])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_lbfgs_by_hand_and_in_a_trainer_give_the_same_bits(recipe, dtype):
    x, y = sine(dtype=dtype)
    model, by_hand = net(dtype), net(dtype)
    trainer = cr.Trainer(model, nn.MSELoss(), recipe)
    given = {"lr": 0.1} if "lr=0.1" in str(recipe) else WOLFE
    opt = optim.LBFGS(by_hand.parameters(), max_iter=4, **given)

    def closure():
        loss = nn.MSELoss()(by_hand(x), y)
        loss.backward()
        return loss

    for _ in range(5):
        assert opt.step(closure) == trainer.step(x, y)
    np.testing.assert_array_equal(weights(model), weights(by_hand))


@pytest.mark.parametrize("recipe", RECIPES, ids=NAMES)
def test_bits_do_not_depend_on_threads(recipe):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(3000, 8)).astype(np.float32)
    y = np.tanh(x @ rng.normal(size=(8, 2)).astype(np.float32))
    before, results = cr.num_threads(), []
    try:
        for threads in (1, 2):
            cr.set_num_threads(threads)
            model = nn.MLP([8, 24, 2], activation="tanh", seed=0)
            cr.Trainer(model, nn.MSELoss(), recipe).fit(x, y, epochs=4, batch_size=3000, progress=False)
            results.append(weights(model))
    finally:
        cr.set_num_threads(before)
    np.testing.assert_array_equal(*results)


@pytest.mark.parametrize("recipe", RECIPES, ids=NAMES)
def test_a_checkpoint_goes_on_bit_by_bit(recipe):
    x, y = sine()
    model = net()
    trainer = cr.Trainer(model, nn.MSELoss(), recipe)
    trainer.fit(x, y, epochs=4, batch_size=60, progress=False)
    other = net(seed=9)
    other.load_state_dict(model.state_dict())
    resumed = cr.Trainer(other, nn.MSELoss(), recipe)
    resumed.load_state_dict(trainer.state_dict())
    copied = pickle.loads(pickle.dumps(trainer))
    deep = copy.deepcopy(trainer)
    for t in (trainer, resumed, copied, deep):
        t.fit(x, y, epochs=4, batch_size=60, progress=False)
        np.testing.assert_array_equal(weights(t.model), weights(model))
    trainer.reset()
    assert trainer.optimizer.step_count == 0
    assert repr(copy.deepcopy(recipe)) == repr(recipe) == repr(pickle.loads(pickle.dumps(recipe)))


def test_a_state_that_does_not_fit_changes_nothing():
    x, y = sine()
    trainer = cr.Trainer(net(), nn.MSELoss(), RECIPES[1])
    trainer.fit(x, y, epochs=2, batch_size=60, progress=False)
    opt = trainer.optimizer
    state = opt.state_dict()
    for name, wrong, message in (
        ("d", np.zeros(3), r"d is \(25,\) here, \(3,\) was given"),
        ("ro", np.zeros((2, 2)), "ro is "),
        ("t", np.array(np.nan), "t holds inf or NaN"),
        ("more", np.zeros(1), "more is unknown"),
    ):
        with pytest.raises(ValueError, match=message):
            opt.load_state_dict({**state, name: wrong})
    with pytest.raises(ValueError, match="old_dirs is missing"):
        opt.load_state_dict({k: v for k, v in state.items() if k != "old_dirs"})
    for name, value in opt.state_dict().items():
        np.testing.assert_array_equal(value, state[name])
    lm = optim.LevenbergMarquardt(net().parameters())
    with pytest.raises(ValueError, match="damping is not above 0"):
        lm.load_state_dict({**lm.state_dict(), "damping": np.array(-1.0)})


# --- what goes wrong
def test_a_loss_that_runs_away_ends_with_the_last_good_parameters():
    p = cr.tensor([0.5], dtype="float64", requires_grad=True)
    for options in ({"lr": 100.0}, WOLFE):
        opt = optim.LBFGS([p], **options)

        def closure():
            loss = (-cr.log(p) + p).sum()  # lowest at 1, undefined below 0
            loss.backward()
            return loss

        for _ in range(6):
            opt.step(closure)
            assert np.isfinite(closure().item())
    assert abs(p.item() - 1) < 1e-3
    p.copy_(np.array([-1.0]))
    with pytest.raises(ValueError, match="LBFGS: the loss or a gradient is not finite; no update was made"):
        opt.step(closure)
    assert p.item() == -1


def test_an_error_in_the_closure_leaves_the_last_iterate():
    p, calls = cr.tensor([3.0], dtype="float64", requires_grad=True), []
    opt = optim.LBFGS([p], **WOLFE)

    def closure():
        calls.append(p.item())
        if len(calls) == 2:
            raise RuntimeError("mine")
        loss = ((p - 1) ** 4).sum()
        loss.backward()
        return loss

    with pytest.raises(RuntimeError, match="mine"):
        opt.step(closure)
    assert p.item() == 3
    assert opt.step_count == 0
    opt.step(closure)
    assert abs(p.item() - 1) < 0.2


def test_data_that_is_not_finite_trains_nothing():
    x, y = sine()
    bad = y.copy()
    bad[7] = np.nan
    for recipe in RECIPES:
        model = net()
        trainer = cr.Trainer(model, nn.MSELoss(), recipe)
        trainer.fit(x, y, epochs=2, batch_size=60, progress=False)
        before, state = weights(model), trainer.optimizer.state_dict()
        with pytest.raises(ValueError, match="fit: the data holds inf or NaN: y has nan in row 7"):
            trainer.fit(x, bad, batch_size=20, shuffle=False, progress=False)
        with pytest.raises(ValueError, match="step: the data holds inf or NaN"):
            trainer.step(x, bad)
        np.testing.assert_array_equal(weights(model), before)
        for name, value in trainer.optimizer.state_dict().items():
            np.testing.assert_array_equal(value, state[name])


def test_errors_say_what_to_do():
    p = cr.tensor([1.0], requires_grad=True)
    lbfgs, lm = optim.LBFGS([p]), optim.LevenbergMarquardt([p])
    mse = nn.MSELoss()

    def refused(kind, message, call):
        with pytest.raises(kind, match=message):
            call()

    refused(cr.StateError, r"LBFGS: step\(\) needs a closure", lbfgs.step)
    refused(cr.StateError, "a function that returns the residuals", lm.step)
    refused(cr.StateError, "LBFGS: has no parameters to step", lambda: optim.LBFGS().step(lambda: p))
    refused(
        cr.ShapeError,
        r"must return one number, the loss: it returned shape \(3,\)",
        lambda: lbfgs.step(lambda: cr.ones(3) * p),
    )
    refused(
        cr.StateError,
        r"the closure returned nothing; it must return the loss",
        lambda: lbfgs.step(lambda: None),
    )
    refused(
        cr.StateError,
        r"left no gradient in any parameter.*call loss.backward\(\)",
        lambda: lbfgs.step(lambda: p.sum()),
    )
    refused(cr.DTypeError, "LBFGS: step takes a function, got", lambda: lbfgs.step(3))
    refused(cr.StateError, "LevenbergMarquardt: has no learning rate", lambda: setattr(lm, "lr", 0.1))
    refused(ValueError, "LBFGS: max_iter must be at least 1", lambda: optim.LBFGS(max_iter=0))
    refused(ValueError, "unknown line search.*'armijo'", lambda: optim.LBFGS(line_search_fn="armijo"))
    refused(ValueError, "damping must be finite and above 0", lambda: optim.LevenbergMarquardt(damping=0))
    refused(ValueError, "increase must be finite and above 1", lambda: optim.LevenbergMarquardt(increase=1))
    refused(
        ValueError,
        "LevenbergMarquardt: too many parameters: 101770, whose J'J alone takes 77.2 GiB; at most 8192",
        lambda: cr.Trainer(nn.MLP([784, 128, 10]), mse, optim.LevenbergMarquardt()),
    )
    refused(
        ValueError,
        r"needs a loss that is a sum of squares: CrossEntropyLoss\(\); use MSELoss",
        lambda: cr.Trainer(nn.MLP([2, 2]), nn.CrossEntropyLoss(), optim.LevenbergMarquardt()),
    )
    refused(
        ValueError,
        "clip_norm does not go with LBFGS",
        lambda: cr.Trainer(net(), mse, optim.LBFGS(), clip_norm=1.0),
    )
    refused(
        ValueError,
        r"training_step: takes optimizers that move by one gradient: LBFGS",
        lambda: cr.training_step(lambda: p.sum(), lbfgs),
    )
    x, y = sine(dtype="float32")

    class Centred(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = net("float32")

        def forward(self, x):
            h = self.inner(x)
            return h - h.mean(axis=0)

    for model, message in (
        (nn.Sequential(nn.Linear(1, 4), nn.Dropout(0.5), nn.Linear(4, 1)), "random numbers"),
        (
            nn.Sequential(nn.Linear(1, 4), nn.BatchNorm1d(4), nn.Linear(4, 1)),
            "statistics of its batches",
        ),
        (Centred(), "the samples of a batch depend on each other"),
    ):
        before = weights(model)
        trainer = cr.Trainer(model, mse, optim.LevenbergMarquardt())
        refused(ValueError, message, lambda trainer=trainer: trainer.step(x, y))
        np.testing.assert_array_equal(weights(model), before)


def test_other_optimizers_take_a_closure_too():
    p = cr.tensor([1.0], requires_grad=True)
    opt = optim.SGD([p], lr=0.25)

    def closure():
        opt.zero_grad()
        loss = (p**2).sum()
        loss.backward()
        return loss

    assert opt.step(closure) == 1.0
    assert p.item() == 0.5
    assert not opt.is_driver


def test_the_command_trains_with_them(run, tmp_path):
    x = np.linspace(-2, 2, 80)
    (tmp_path / "sine.csv").write_text("x,y\n" + "".join(f"{a},{np.sin(a)}\n" for a in x), encoding="utf-8")
    given = ("train", "sine.csv", "--target", "y", "--layers", 8, "--activation", "tanh", "--epochs", 20)
    for name in ("lbfgs", "levenbergmarquardt"):
        run(*given, "--optimizer", name, "--out", f"{name}.safetensors")
        text = (tmp_path / f"{name}.json").read_text(encoding="utf-8")
        assert '"batch_size": 64' in text
        assert ("strong_wolfe" in text) == (name == "lbfgs")
    fails(
        run,
        "--optimizer levenbergmarquardt has no --lr; leave it away",
        *given,
        "--optimizer",
        "levenbergmarquardt",
        "--lr",
        "0.1",
    )
