"""gradients, diagnose, overfit_one_batch and lr_find: right, and they change nothing of the training."""

from __future__ import annotations

import chainrule as cr
import numpy as np
import pytest
from chainrule import nn, optim, schedules
from checks import same_state
from small import small_data


def trainer_of(*layers, lr=0.01, loss=None, **options):
    model = nn.Sequential(*layers, seed=0)
    return cr.Trainer(
        model, loss or nn.CrossEntropyLoss(), optim.Adam(lr=lr), metrics=["accuracy"], **options
    )


def network(lr=0.01):
    return trainer_of(
        nn.Linear(4, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.3), nn.Linear(16, 3), lr=lr
    )


@pytest.mark.parametrize(
    "look",
    [
        lambda trainer, X, y: trainer.gradients(X, y),
        lambda trainer, X, y: trainer.diagnose(X, y),
        lambda trainer, X, y: trainer.overfit_one_batch(X, y, steps=5),
        lambda trainer, X, y: trainer.lr_find(X, y, steps=20),
    ],
    ids=["gradients", "diagnose", "overfit_one_batch", "lr_find"],
)
def test_training_goes_on_as_without_them(look):
    X, y = small_data()
    rate = schedules.Exponential(0.01, 0.9)
    plain, looked_at = network(rate), network(rate)
    for trainer in (plain, looked_at):
        trainer.fit(X, y, epochs=2, batch_size=7)
    look(looked_at, X, y)
    same_state(looked_at.state_dict(), plain.state_dict())
    assert looked_at.history.to_dict() == plain.history.to_dict()
    assert looked_at.optimizer.lr == plain.optimizer.lr
    for trainer in (plain, looked_at):
        trainer.fit(X, y, epochs=2, batch_size=7)
    same_state(looked_at.model, plain.model)


def test_gradients_are_backwards():
    X, y = small_data()
    trainer = trainer_of(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Tanh(), nn.Linear(8, 3))
    for train in (True, False):
        ours = trainer.gradients(X, y, train=train)
        model = trainer.model.clone()
        model.train(train)
        nn.CrossEntropyLoss()(model(X), y).backward()
        wanted = {name: p.grad.numpy() for name, p in model.named_parameters()}
        assert ours.keys() == wanted.keys()
        for name in wanted:
            np.testing.assert_allclose(ours[name], wanted[name], rtol=1e-4, atol=1e-6)


def test_gradients_leave_out_what_is_frozen_or_not_reached():
    X, y = small_data()
    trainer = trainer_of(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 3))
    trainer.model[0].weight.requires_grad_(False)
    assert sorted(trainer.gradients(X, y)) == ["0.bias", "2.bias", "2.weight"]


class TestDiagnose:
    def test_a_sound_network(self):
        X, y = small_data()
        found = trainer_of(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 3)).diagnose(X, y)
        assert found.warnings == []
        assert [p.name for p in found.parameters] == ["0.weight", "0.bias", "2.weight", "2.bias"]
        assert "no warnings" in str(found)

    def test_dead_units(self):
        X, y = small_data()
        trainer = trainer_of(nn.Linear(4, 16), nn.ReLU(), nn.Dropout(0.5), nn.Linear(16, 3))
        bias = np.zeros(16, np.float32)
        bias[:9] = -100
        trainer.model[0].bias.copy_(bias)
        found = trainer.diagnose(X, y)
        first = found.parameters[0]
        assert (first.name, first.dead, first.units) == ("0.weight", 9, 16)
        assert [w for w in found.warnings if w.startswith("0.weight: 9 of 16 units are dead")]
        assert "9 of 16" in str(found)

    def test_vanishing_and_exploding(self):
        X, y = small_data()
        deep = [layer for _ in range(10) for layer in (nn.Linear(8, 8), nn.Sigmoid())]
        trainer = trainer_of(nn.Linear(4, 8), nn.Sigmoid(), *deep, nn.Linear(8, 3))
        assert [w for w in trainer.diagnose(X, y).warnings if w.startswith("0.weight: its gradient vanishes")]
        trainer = trainer_of(nn.Linear(4, 1), loss=nn.MSELoss())
        found = trainer.diagnose(X * 1e3, y.astype(np.float32)[:, None])
        assert [w for w in found.warnings if w.startswith("0.weight: its gradient explodes")]

    def test_not_finite(self):
        X, y = small_data()
        trainer = trainer_of(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))
        weight = trainer.model[0].weight.numpy().copy()
        weight[0, 0] = np.nan
        trainer.model[0].weight.copy_(weight)
        warnings = trainer.diagnose(X, y).warnings
        assert "0.weight: it holds inf or NaN" in warnings
        assert "2.weight: its gradient holds inf or NaN" in warnings


class TestOverfit:
    def test_passes_and_fails(self):
        X, y = small_data()
        layers = (nn.Linear(4, 64), nn.ReLU(), nn.Linear(64, 3))
        good = trainer_of(*layers, lr=0.05).overfit_one_batch(X, y, batch_size=8)
        assert good.passed
        assert len(good.losses) == 200
        assert repr(good).startswith("passed: one batch, 200 steps, loss ")
        bad = trainer_of(*layers, lr=1e-6).overfit_one_batch(X, y, batch_size=8)
        assert not bad.passed
        assert repr(bad).startswith("failed: ")

    def test_steps_are_updates(self):
        X, y = small_data()
        layers = (nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 3))
        plain, several = trainer_of(*layers), trainer_of(*layers, accumulate=4)
        several.step(X[:5], y[:5])  # the test begins with no gradients of other batches
        held = several.state_dict()
        a = plain.overfit_one_batch(X, y, batch_size=8, steps=20)
        b = several.overfit_one_batch(X, y, batch_size=8, steps=20)
        np.testing.assert_allclose(a.losses, b.losses, rtol=1e-4)
        after = several.state_dict()
        assert after.keys() == held.keys()
        assert all(np.array_equal(after[name], held[name]) for name in held)

    def test_refused(self):
        X, y = small_data()
        with pytest.raises(cr.ValueError, match="overfit_one_batch: steps must be at least 2: 1"):
            network().overfit_one_batch(X, y, steps=1)


@pytest.mark.parametrize(
    "optimizer",
    [
        optim.LBFGS(lr=0.5, max_iter=4),
        optim.LBFGS(max_iter=4, line_search_fn="strong_wolfe"),
        optim.LevenbergMarquardt(),
    ],
    ids=["LBFGS", "LBFGS strong_wolfe", "LevenbergMarquardt"],
)
def test_drivers(optimizer):
    """They look at losses as often as they like; what looks at the training puts their memory back, too."""
    x = np.linspace(-3, 3, 60, dtype="float64")[:, None]
    y = np.sin(x)

    def new():
        model = nn.MLP([1, 8, 1], activation="tanh", seed=0, dtype="float64")
        trainer = cr.Trainer(model, nn.MSELoss(), optimizer)
        trainer.fit(x, y, epochs=2, batch_size=60)
        return trainer

    plain, looked_at = new(), new()
    assert looked_at.diagnose(x, y).warnings == []
    assert sorted(looked_at.gradients(x, y)) == ["0.bias", "0.weight", "2.bias", "2.weight"]
    assert len(looked_at.overfit_one_batch(x, y, batch_size=16, steps=3).losses) == 3
    with pytest.raises(cr.StateError, match="lr_find: this optimizer finds the length of its steps"):
        looked_at.lr_find(x, y)
    same_state(looked_at.state_dict(), plain.state_dict())
    for trainer in (plain, looked_at):
        trainer.fit(x, y, epochs=2, batch_size=60)
    same_state(looked_at.model, plain.model)


class TestRange:
    def test_rates_and_suggestion(self, digits):
        X, y, *_ = digits
        model = nn.MLP([64, 32, 10], seed=0)
        trainer = cr.Trainer(model, nn.CrossEntropyLoss(), optim.SGD(lr=0.1))
        found = trainer.lr_find(X, y, start=1e-5, end=100.0, steps=80)
        ratios = np.diff(np.log(found.rates))
        np.testing.assert_allclose(ratios, np.log(1e7) / 79)
        assert len(found.rates) == len(found.losses) == len(found.smoothed) < 80  # it ran away
        assert 1e-3 < found.suggestion < 10
        assert max(found.smoothed) > 2 * min(found.smoothed)
        lowest = int(np.argmin(found.smoothed))
        slopes = np.gradient(found.smoothed)[1:lowest]
        assert found.suggestion == found.rates[1 + int(np.argmin(slopes))]

    def test_refused(self):
        X, y = small_data()
        with pytest.raises(cr.ValueError, match=r"rates must rise from above 0: start is 1, end is 0.1"):
            network().lr_find(X, y, start=1.0, end=0.1)
        with pytest.raises(cr.ValueError, match="steps must be at least 3: 2"):
            network().lr_find(X, y, steps=2)

    def test_each_rate_is_that_of_an_update(self):
        X, y = small_data()
        layers = (nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 3))
        rows = len(X)
        plain, several = trainer_of(*layers), trainer_of(*layers, accumulate=2)
        # Batches of all rows: two of them have the gradient of one.
        a = plain.lr_find(X, y, batch_size=rows, steps=30)
        b = several.lr_find(X, y, batch_size=rows, steps=30)
        n = min(20, len(a.rates), len(b.rates))
        np.testing.assert_array_equal(a.rates[:n], b.rates[:n])
        np.testing.assert_allclose(a.losses[:n], b.losses[:n], rtol=1e-3)

    def test_groups_with_rates_of_their_own_are_refused(self):
        X, y = small_data()

        def trainer(**group):
            model = nn.Linear(4, 3, seed=0)
            return cr.Trainer(model, nn.CrossEntropyLoss(), optim.SGD(lr=0.1, groups={"*": group}))

        text = (
            "lr_find: a group of parameters has an lr of its own, which no rate of the range would move: "
            "group 0 ('*') has lr={}; give the optimizer its group with an lr_scale in place of an lr"
        )
        with pytest.raises(cr.StateError) as refused:
            trainer(lr=1e-4).lr_find(X, y)
        assert str(refused.value) == text.format(0.0001)
        with pytest.raises(cr.StateError, match=r"'\*' has lr=0\.1; give"):
            trainer(lr=0.1).lr_find(X, y)  # the optimizer's rate, by chance
        scaled = trainer(lr_scale=0.5)
        assert scaled.lr_find(X, y).rates
        scaled.optimizer.groups[0].lr = 0.2
        with pytest.raises(cr.StateError) as refused:
            scaled.lr_find(X, y)
        assert str(refused.value) == text.format(0.2)

    def test_bad_data_are_no_end_of_the_range(self):
        X, y = small_data()
        X[7, 2] = np.nan
        with pytest.raises(cr.ValueError, match="step: the data holds inf or NaN: xb has nan in row"):
            network().lr_find(X, y, batch_size=4)

    def test_picture(self, tmp_path):
        pytest.importorskip("matplotlib")
        X, y = small_data()
        network().lr_find(X, y).plot(tmp_path / "range.png")
        assert (tmp_path / "range.png").read_bytes().startswith(b"\x89PNG")


class TestHealth:
    X = np.array([[1e3, 2e3], [3e3, 1e3]], np.float32)
    y = np.array([[1.0], [2.0]], np.float32)

    def fit(self, **arguments):
        trainer = cr.Trainer(nn.Linear(2, 1, seed=0), nn.MSELoss(), optim.SGD(lr=1e-9))
        health = cr.callbacks.Health(self.X, self.y, **arguments)
        return trainer, health, trainer.fit(self.X, self.y, epochs=5, callbacks=[health])

    def test_warns_once_per_layer_and_fit(self):
        with pytest.warns(RuntimeWarning, match="epoch 1: weight: its gradient explodes") as seen:
            trainer, health, history = self.fit()
        assert len(seen) == 1
        assert seen[0].filename == __file__
        assert history.epochs == 5
        with pytest.warns(RuntimeWarning, match="epoch 1: weight: its gradient explodes"):
            trainer.fit(self.X, self.y, callbacks=[health])

    def test_every_epochs(self):
        with pytest.warns(RuntimeWarning, match="epoch 3: weight"):
            self.fit(every_epochs=3)
        with pytest.raises(ValueError, match="every_epochs must be a number of epochs, at least 1: 0"):
            self.fit(every_epochs=0)

    def test_changes_nothing_and_is_silent_where_all_is_well(self):
        X, y = small_data()
        plain, watched = network(), network()
        plain.fit(X, y, epochs=3)
        watched.fit(X, y, epochs=3, callbacks=[cr.callbacks.Health(X, y)])
        same_state(watched.model, plain.model)
