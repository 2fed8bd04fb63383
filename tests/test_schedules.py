"""Schedules from Python: rates against PyTorch's and optax's, in training, copied, refused."""

from __future__ import annotations

import copy
import json
import pickle
import sys

import chainrule as cr
import numpy as np
import pytest
from chainrule import nn, optim, schedules
from record_schedules import FILE

RECORDED = json.loads(FILE.read_text())


def made(name, given):
    given = dict(given)
    if "then" in given:
        given["then"] = made(*given["then"])
    if "parts" in given:
        given["parts"] = [made(*part) for part in given["parts"]]
    return getattr(schedules, name)(**given)


@pytest.mark.parametrize("row", RECORDED["schedules"], ids=lambda row: f"{row['name']}-{row['judge']}")
def test_rates_against_pytorch_and_optax(row):
    schedule = made(row["name"], row["arguments"])
    ours = np.array([schedule(t) for t in range(len(row["rates"]))])
    np.testing.assert_allclose(ours, row["rates"], rtol=1e-9, atol=1e-15)
    for copied in (pickle.loads(pickle.dumps(schedule)), copy.deepcopy(schedule), copy.copy(schedule)):
        assert repr(copied) == repr(schedule)
        assert copied == schedule
        assert [copied(t) for t in (0, 7, 99)] == [schedule(t) for t in (0, 7, 99)]


def test_every_schedule_is_recorded():
    names = {row["name"] for row in RECORDED["schedules"]} | {"ReduceOnPlateau", "Schedule"}
    assert names == set(schedules.__all__)


def test_plateau_against_pytorch():
    opt = optim.SGD(
        lr=schedules.ReduceOnPlateau(0.1, factor=0.3, patience=2, threshold=0.01, cooldown=1, min_lr=0.002)
    )
    rates = []
    for value in RECORDED["plateau"]["values"]:
        opt.observe(value)
        rates.append(opt.lr)
    np.testing.assert_allclose(rates, RECORDED["plateau"]["rates"], rtol=1e-12)
    assert len(set(rates)) == 5


def small_training(lr, **fit):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(40, 3)).astype(np.float32)
    y = x[:, :1] * 2 + 1
    model = nn.MLP([3, 8, 1], seed=0)
    trainer = cr.Trainer(model, nn.MSELoss(), optim.SGD(lr=lr))
    history = trainer.fit(x, y, batch_size=8, **fit)
    return trainer, history


def weights(trainer):
    return np.concatenate([p.ravel() for p in trainer.model.state_dict().values()])


class TestTraining:
    def test_a_function_is_a_schedule(self):
        seen = []

        def rate(t):
            seen.append(t)
            return 0.1 * 0.9**t

        by_function, _ = small_training(rate, epochs=3)
        by_name, _ = small_training(schedules.Exponential(0.1, 0.9), epochs=3)
        np.testing.assert_allclose(weights(by_function), weights(by_name), rtol=1e-6)
        assert set(range(15)) <= set(seen)
        assert by_function.optimizer.lr == pytest.approx(0.1 * 0.9**15)

    def test_by_epoch(self):
        trainer, _ = small_training(schedules.Step(0.1, 2, gamma=0.5, per="epoch"), epochs=4)
        assert trainer.optimizer.lr == pytest.approx(0.025)
        assert trainer.optimizer.epoch == 4

    def test_plateau_sees_the_validation_loss(self):
        rate = schedules.ReduceOnPlateau(0.1, patience=0, threshold=5.0)  # nothing gets better by 500 %
        trainer, history = small_training(rate, epochs=4, validation_split=0.2)
        assert len(history["val_loss"]) == 4
        assert trainer.optimizer.lr == pytest.approx(0.1 * 0.1**3)

    def test_goes_on_after_a_pickle(self):
        rate = schedules.ReduceOnPlateau(0.1, monitor="loss", patience=0, threshold=5.0)
        trainer, _ = small_training(rate, epochs=3)
        again = pickle.loads(pickle.dumps(trainer))
        assert again.optimizer.lr == trainer.optimizer.lr < 0.1
        assert again.optimizer.schedule == rate

    def test_training_step(self):
        p = cr.tensor([1.0], requires_grad=True)
        opt = optim.SGD([p], lr=schedules.Exponential(0.5, 0.5))
        step = cr.training_step(lambda: p.sum(), opt)
        for _ in range(3):
            step()
        assert p.item() == 1 - 0.5 - 0.25 - 0.125

    def test_a_constant_takes_its_place(self):
        opt = optim.Adam(lr=schedules.Cosine(0.1, 10))
        assert opt.lr == 0.1
        assert repr(opt) == "Adam(lr=Cosine(lr=0.1, steps=10, end=0.0))"
        opt.lr = 0.3
        assert opt.lr == 0.3
        assert opt.schedule is None
        opt.lr = lambda t: 1.0 / (t + 1)
        assert opt.lr == 1.0


def module_level_rate(t):
    return 0.1 / (1 + t)


class TestCopies:
    def test_functions_go_along(self):
        for rate in (module_level_rate, schedules.Warmup(schedules.Schedule(module_level_rate), 5)):
            opt = optim.SGD(lr=rate)
            for copied in (pickle.loads(pickle.dumps(opt)), copy.deepcopy(opt), copy.copy(opt)):
                assert copied.lr == opt.lr
            trainer, _ = small_training(rate, epochs=1)
            again = pickle.loads(pickle.dumps(trainer))
            assert again.optimizer.lr == trainer.optimizer.lr
        s = schedules.Schedule(module_level_rate, per="epoch")
        assert s == s
        assert s != schedules.Schedule(module_level_rate)
        assert pickle.loads(pickle.dumps(s)).per == "epoch"
        assert schedules.Warmup(s, 2) != schedules.Warmup(schedules.Schedule(lambda t: 1.0, per="epoch"), 2)

    def test_no_subclass_is_taken_for_its_base(self):
        with pytest.raises(TypeError, match="not an acceptable base type"):
            type("Mine", (schedules.Schedule,), {})


class TestRollback:
    def test_the_epoch_of_the_parameters_that_are_left(self):
        """A loss that runs away in the first batches of an epoch ends with the rate of that epoch."""
        x = np.ones((20, 1), np.float32)
        x[:, 0] = np.arange(20)
        y = np.zeros((20, 1), np.float32)
        model = nn.Sequential(nn.Linear(1, 1, bias=False), seed=0)
        model[0].weight.copy_(np.ones((1, 1), np.float32))

        def rate(epoch):  # the second epoch runs away at once
            return 1e-6 if epoch == 0 else 1e30

        trainer = cr.Trainer(model, nn.MSELoss(), optim.SGD(lr=schedules.Schedule(rate, per="epoch")))
        history = trainer.fit(x, y, epochs=3, batch_size=4, shuffle=False)
        assert "not finite in epoch 2" in history.stopped
        assert trainer.optimizer.epoch == 1
        assert trainer.optimizer.lr == 1e30


class TestRefused:
    def test_messages(self):
        with pytest.raises(cr.ValueError, match=r"Cosine: steps must be at least 1: steps is 0"):
            schedules.Cosine(0.1, 0)
        with pytest.raises(cr.ValueError, match=r"per must be \"step\" or \"epoch\": 'batch'"):
            schedules.Linear(0.1, 0.0, 5, per="batch")
        with pytest.raises(TypeError, match=r"Adam: lr must be a number, a schedule .*, got 'fast'"):
            optim.Adam(lr="fast")
        with pytest.raises(TypeError, match=r"Adam: lr must be a number, .* got True"):
            optim.Adam(lr=True)
        with pytest.raises(cr.DTypeError, match=r"for step 0 it gave 'x'"):
            optim.Adam(lr=lambda t: "x")
        with pytest.raises(cr.ValueError, match=r"negative or not finite: -1.0 for step 0"):
            optim.Adam(lr=lambda t: -1.0)
        with pytest.raises(
            cr.ValueError, match=r"monitor=\"val_loss\", there are loss; give validation_data"
        ):
            small_training(schedules.ReduceOnPlateau(0.1))

    def test_a_function_that_fails_during_training(self):
        def rate(t):
            if t == 7:
                raise RuntimeError("no rate for seven")
            return 0.1

        with pytest.raises(RuntimeError, match="no rate for seven"):
            small_training(rate, epochs=3)


def test_the_picture(tmp_path):
    pytest.importorskip("matplotlib")
    path = tmp_path / "rate.png"
    cr.plot_schedule(schedules.Warmup(schedules.Cosine(1e-3, 90), 10), 100, path)
    cr.plot_schedule(lambda t: 0.1, 1, tmp_path / "one.png")
    assert path.read_bytes().startswith(b"\x89PNG")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["one.png", "rate.png"]
    with pytest.raises(cr.ValueError, match="steps must be at least 1: 0"):
        cr.plot_schedule(schedules.Constant(0.1), 0, path)


def test_without_matplotlib_the_error_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.backends.backend_agg", None)
    with pytest.raises(
        ImportError, match=r'plot_schedule: matplotlib is not installed; pip install "chainrule\[plot\]"'
    ):
        cr.plot_schedule(schedules.Constant(0.1), 5, tmp_path / "rate.png")
    assert not list(tmp_path.iterdir())
