"""EMA and SWA of weights: PyTorch's numbers, what fit validates and leaves in the model, other callbacks."""

from __future__ import annotations

import pickle

import chainrule as cr
import numpy as np
import pytest
from chainrule import nn, optim
from checks import same_state
from record_averages import BATCH, CASES, EPOCHS, FILE, LR, NAMES, START, data, start

KEPT = np.load(FILE)
X, Y = data()


def network(dropout=0.0):
    layers = [
        nn.Linear(5, 6, dtype="float64"),
        nn.BatchNorm1d(6, dtype="float64"),
        nn.Tanh(),
        nn.Linear(6, 2, dtype="float64"),
    ]
    model = nn.Sequential(*layers, *([nn.Dropout(dropout)] if dropout else []))
    model.load_state_dict({**model.state_dict(), **start()})
    return model


def trainer_of(model, **options):
    return cr.Trainer(model, nn.MSELoss(), optim.SGD(lr=LR, momentum=0.9), **options)


def average_of(case, **more):
    options = {**CASES[case], **more}
    return cr.callbacks.EMA(**options) if case.startswith("ema") else cr.callbacks.SWA(START, **options)


def fit(trainer, *callbacks, epochs=EPOCHS, **options):
    return trainer.fit(
        X,
        Y,
        **{"epochs": epochs, "batch_size": BATCH, "shuffle": False, **options},
        callbacks=list(callbacks),
    )


class TestPyTorchsNumbers:
    @pytest.mark.parametrize("case", CASES)
    def test_averages_statistics_and_validation(self, case):
        seen = {}

        def keep(run):
            seen[run.epoch] = run.model.state_dict()

        model = network()
        average = average_of(case)
        history = fit(trainer_of(model), average, keep, validation_data=(X, Y))
        first = 1 if case.startswith("ema") else START
        for epoch in range(first, EPOCHS + 1):
            for name in NAMES:
                theirs = KEPT[f"{case}/{epoch}/{name}"]
                np.testing.assert_allclose(seen[epoch][name], theirs, rtol=1e-11, atol=1e-13, err_msg=name)
            loss = float(KEPT[f"{case}/{epoch}/loss"])
            assert history["val_loss"][epoch - 1] == pytest.approx(loss, rel=1e-11)
        same_state(model, average.model)
        assert average.updates == (EPOCHS * len(X) // BATCH if first == 1 else EPOCHS - START + 1)

    def test_of_every_other_batch(self):
        kept = []

        class Keep(cr.callbacks.Callback):
            every = 3

            def on_batch_end(self, run):
                kept.append(run.trainer.model.state_dict()["3.weight"])

        average = cr.callbacks.EMA(0.8, every=3)
        fit(trainer_of(network()), Keep(), average, epochs=2)
        by_hand = kept[0]
        for weights in kept[1:]:
            by_hand = by_hand + (1 - 0.8) * (weights - by_hand)
        np.testing.assert_allclose(average.model.state_dict()["3.weight"], by_hand, rtol=1e-13)
        assert average.updates == len(kept) == 4


class TestTheFit:
    @pytest.mark.parametrize("case", CASES)
    def test_training_itself_is_as_without(self, case):
        """With replace=False nothing else is changed, with it the loss column is the same."""
        plain, kept, replaced = network(), network(), network()
        losses = fit(trainer_of(plain), validation_split=0.25)
        average = average_of(case, replace=False)
        if case == "swa_lr":
            fit(trainer_of(plain := network()), self.late_rate(), validation_split=0.25)
            losses = None
        history = fit(trainer_of(kept), average, validation_split=0.25)
        same_state(kept, plain)
        other = fit(trainer_of(replaced), average_of(case), validation_split=0.25)
        assert other["loss"] == history["loss"]
        assert other["val_loss"] != history["val_loss"]
        same_state(replaced, average.model)
        if losses:
            assert losses["loss"] == history["loss"]
            assert losses["val_loss"] == history["val_loss"]

    @staticmethod
    def late_rate():
        def change(run):
            if run.epoch == START - 1:
                run.trainer.optimizer.lr = CASES["swa_lr"]["lr"]

        return change

    @pytest.mark.parametrize("case", CASES)
    def test_threads_have_the_same_bits(self, case):
        models = []
        for count in (1, 2):
            cr.set_num_threads(count)
            wide = nn.Sequential(
                nn.Linear(5, 600, seed=1), nn.BatchNorm1d(600), nn.Dropout(0.3), nn.Linear(600, 600, seed=2)
            )
            trainer = cr.Trainer(nn.Sequential(wide, nn.Linear(600, 2, seed=3)), nn.MSELoss(), optim.Adam())
            trainer.fit(X, Y, epochs=4, batch_size=16, callbacks=[average_of(case)])
            models.append(trainer.model)
        same_state(*models)

    def test_a_stopped_fit_has_the_averages_so_far(self):
        model = network()
        average = cr.callbacks.EMA(0.9)

        class Stop(cr.callbacks.Callback):
            every = 9

            def on_batch_end(self, run):
                run.stop("enough")

        fit(trainer_of(model), average, Stop())
        assert average.updates == 9
        same_state(model, average.model)

    def test_before_swa_starts_the_trained_weights_stay(self):
        plain, model = network(), network()
        fit(trainer_of(plain))
        average = cr.callbacks.SWA(start=100)
        history = fit(trainer_of(model), average, validation_data=(X, Y))
        same_state(model, plain)
        assert average.model is None
        assert average.updates == 0
        assert history["val_loss"][-1] == trainer_of(plain).evaluate(X, Y)["loss"]

    def test_an_exception_leaves_the_trained_weights(self):
        plain, model = network(), network()
        fit(trainer_of(plain), epochs=2)

        def refuse(run):
            if run.epoch == 2:
                raise KeyError("no")

        with pytest.raises(KeyError):
            fit(trainer_of(model), cr.callbacks.EMA(0.9), refuse)
        same_state(model, plain)

    @pytest.mark.parametrize(
        ("share", "updates"), [(0.0, 6), (0.4, 4), (0.5, 3), (0.75, 2), (1.0, 6), (6, 1)]
    )
    def test_start_as_a_share_of_the_epochs(self, share, updates):
        average = cr.callbacks.SWA(start=share)
        fit(trainer_of(network()), average)
        assert average.updates == updates

    def test_lr_takes_the_place_of_a_schedule(self):
        rates = []
        model = network()
        optimizer = optim.SGD(lr=cr.schedules.Exponential(0.1, gamma=0.5))
        trainer = cr.Trainer(model, nn.MSELoss(), optimizer)
        fit(trainer, cr.callbacks.SWA(4, lr=0.03), lambda run: rates.append(run.trainer.optimizer.lr))
        assert rates[2:] == [0.03] * 4
        assert rates[:2] != [0.03] * 2

    def test_a_second_fit_goes_on_from_the_averages(self):
        model, other = network(), network()
        trainer = trainer_of(model)
        fit(trainer, cr.callbacks.EMA(0.9), epochs=2)
        other.load_state_dict(model.state_dict())
        same = trainer_of(other)
        same.load_state_dict(trainer.state_dict())
        assert fit(trainer, epochs=2)["loss"] == fit(same, epochs=2)["loss"]


class TestOtherCallbacks:
    @pytest.mark.parametrize("first", [True, False])
    def test_early_stopping_restores_the_best_averages(self, first):
        """Whichever comes first in the list."""
        best = {}

        def keep(run):
            value = run.value("val_loss")
            if value < best.get("loss", np.inf):
                best.update(loss=value, epoch=run.epoch, state=run.model.state_dict())

        model = network()
        average = cr.callbacks.EMA(0.5)
        stop = cr.callbacks.EarlyStopping(patience=2)
        both = [average, stop] if first else [stop, average]
        history = fit(trainer_of(model), keep, *both, epochs=200, validation_data=(X[:6] + 1, Y[:6]))
        assert history.epochs == stop.best_epoch + 2 == best["epoch"] + 2
        for name, value in best["state"].items():
            np.testing.assert_array_equal(model.state_dict()[name], value)
        assert any(np.any(average.model.state_dict()[name] != value) for name, value in best["state"].items())

    def test_two_averages(self):
        with pytest.raises(cr.ValueError, match="two callbacks would replace the model by averages"):
            fit(trainer_of(network()), cr.callbacks.EMA(), cr.callbacks.SWA())
        model = network()
        ema, swa = cr.callbacks.EMA(0.9, replace=False), cr.callbacks.SWA()
        fit(trainer_of(model), ema, swa)
        same_state(model, swa.model)
        alone = cr.callbacks.EMA(0.9)
        fit(trainer_of(network()), alone)
        same_state(ema.model, alone.model)

    def test_cross_validation_and_ensembles_have_copies(self):
        average = cr.callbacks.EMA(0.9)
        recipe = dict(loss=nn.MSELoss(), optimizer=optim.SGD(lr=LR), epochs=3, callbacks=[average])
        result = cr.cross_validate(network(), X, Y, k=3, **recipe, seed=2)
        assert average.updates == 0
        order = cr.data.k_fold(len(X), k=3, seed=2)
        train, held_out = order[0]
        model = network()
        model.init(2)
        own = cr.callbacks.EMA(0.9)
        trainer = cr.Trainer(model, nn.MSELoss(), optim.SGD(lr=LR), seed=2)
        trainer.fit(X[train], Y[train], epochs=3, callbacks=[own])
        assert result.scores[0] == trainer.evaluate(X[held_out], Y[held_out])["loss"]
        five = cr.Ensemble.train(network(), X, Y, seeds=2, **recipe)
        assert len(five) == 2

    @pytest.mark.parametrize("case", CASES)
    @pytest.mark.parametrize("at", [8, 18, 27])  # batches, 6 of them an epoch
    def test_a_resumed_fit_has_the_same_bits(self, case, at, tmp_path):
        class Stop(cr.callbacks.Callback):
            every = at

            def on_batch_end(self, run):
                raise KeyboardInterrupt

        whole, resumed = network(dropout=0.2), network(dropout=0.2)
        average = average_of(case)
        history = fit(trainer_of(whole), average, validation_data=(X, Y))
        folder = tmp_path / "run"
        saved = cr.callbacks.Checkpoint(folder, every_batches=at - 1)
        with pytest.raises(KeyboardInterrupt):
            fit(trainer_of(resumed), average_of(case), saved, Stop())
        model = network(dropout=0.2)
        other = average_of(case)
        again = trainer_of(model).fit(
            X,
            Y,
            epochs=EPOCHS,
            batch_size=BATCH,
            shuffle=False,
            callbacks=[other, cr.callbacks.Checkpoint(folder)],
            resume_from="auto",
        )
        same_state(model, whole)
        same_state(other.model, average.model)
        assert other.updates == average.updates
        assert again["loss"] == history["loss"]

    def test_pickling_and_repr(self):
        average = pickle.loads(pickle.dumps(cr.callbacks.SWA(0.5, lr=0.1)))
        assert repr(average) == "SWA(start=0.5, lr=0.1)"
        average = pickle.loads(pickle.dumps(cr.callbacks.EMA(0.9, every=2, average_buffers=True)))
        assert repr(average) == "EMA(decay=0.9, every=2)"


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (
            lambda: cr.callbacks.EMA(1.0),
            "EMA: decay must lie in [0, 1): 1.000000; it is the share that the average",
        ),
        (lambda: cr.callbacks.EMA(every=0), "EMA: every must be at least 1: 0; it is the number of batches"),
        (
            lambda: cr.callbacks.SWA(1.5),
            "SWA: start must be an epoch, from 1, or a fraction of the epochs, below 1",
        ),
        (
            lambda: cr.callbacks.SWA(-1),
            "SWA: start must be an epoch, from 1, or a fraction of the epochs, below 1",
        ),
        (lambda: cr.callbacks.SWA(lr=0.0), "SWA: lr must be a finite number above 0: 0.000000"),
    ],
)
def test_refusals(make, text):
    with pytest.raises(cr.ValueError) as refused:
        make()
    assert str(refused.value).startswith(text)


class TestWhatAveragesDoNotTouch:
    @pytest.mark.parametrize("make", [lambda: cr.callbacks.EMA(0.9), lambda: cr.callbacks.SWA(1)])
    def test_a_diverged_fit_keeps_the_weights_it_went_back_to(self, make):
        def diverge(*callbacks):
            model = network()

            def jump(run):
                if run.epoch == 2:
                    run.trainer.optimizer.lr = 1e300

            history = fit(trainer_of(model), *callbacks, jump)
            assert "was not finite in epoch 3" in history.stopped
            return model

        average = make()
        same_state(diverge(average), diverge())
        assert average.updates > 0

    def test_lr_of_swa_needs_a_rate(self):
        swa = cr.callbacks.SWA(start=2, lr=0.1)
        model = nn.Sequential(
            nn.Linear(5, 3, dtype="float64"), nn.Tanh(), nn.Linear(3, 2, dtype="float64"), seed=0
        )
        trainer = cr.Trainer(model, nn.MSELoss(), optim.LevenbergMarquardt())
        with pytest.raises(cr.ValueError) as refused:
            fit(trainer, swa)
        assert str(refused.value) == (
            "SWA: lr does not go with LevenbergMarquardt, which has no learning rate: lr=0.1; leave lr away"
        )
        assert trainer.global_step == 0
        fit(trainer, cr.callbacks.SWA(start=2), epochs=2)

    def test_lr_of_swa_is_that_of_all_groups(self):
        def trainer(**group):
            return cr.Trainer(network(), nn.MSELoss(), optim.SGD(lr=LR, groups={"*.bias": group}))

        refused = trainer(lr=1e-4)
        text = (
            "SWA: lr does not reach a group of parameters with an lr of its own: lr=0.05, and group 1 "
            "('*.bias') has lr={}; leave lr away, or give the optimizer its group with an lr_scale in "
            "place of an lr"
        )
        with pytest.raises(cr.ValueError) as told:
            fit(refused, cr.callbacks.SWA(1, lr=0.05))
        assert str(told.value) == text.format(0.0001)
        assert refused.global_step == 0
        scaled = trainer(lr_scale=0.5)
        scaled.optimizer.groups[1].lr = 0.2
        with pytest.raises(cr.ValueError) as told:
            fit(scaled, cr.callbacks.SWA(1, lr=0.05))
        assert str(told.value) == text.format(0.2)
        scaled = trainer(lr_scale=0.5)
        fit(scaled, cr.callbacks.SWA(1, lr=0.05))
        assert sorted(g.lr for g in scaled.optimizer.groups) == [0.025, 0.05]
