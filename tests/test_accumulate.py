"""Gradients of several batches for one update, and what it and clipping refuse."""

from __future__ import annotations

import pickle
import re

import chainrule as cr
import numpy as np
import pytest
from chainrule import nn, optim, schedules

X = np.random.default_rng(0).normal(size=(56, 4))
Y = np.stack([X[:, 0] * X[:, 1], X.sum(axis=1)], axis=1)
LABELS = (X[:, 0] > 0).astype(np.int64) + (X[:, 1] > 0.5)
WEIGHTS = np.random.default_rng(1).uniform(0.0, 2.0, size=56)
SUM = nn.MSELoss(reduction="sum")


def net(outputs=2, dtype="float64", *layers):
    return nn.Sequential(
        nn.Linear(4, 8, dtype=dtype), nn.Tanh(), *layers, nn.Linear(8, outputs, dtype=dtype), seed=0
    )


def weights(model):
    return np.concatenate([p.numpy().ravel() for p in model.parameters()])


def trainer_of(accumulate=1, loss=None, opt=None, model=None, **options):
    return cr.Trainer(
        model or net(), loss or nn.MSELoss(), opt or optim.Adam(lr=0.01), accumulate=accumulate, **options
    )


def fitted(trainer, y=Y, **options):
    options = {"epochs": 3, "shuffle": False, "progress": False} | options
    history = trainer.fit(X, y, **options)
    return weights(trainer.model), history


class TestOneUpdateOfSeveralBatches:
    @pytest.mark.parametrize("threads", [1, 2])
    @pytest.mark.parametrize(
        ("loss", "y", "outputs"),
        [
            (nn.MSELoss(), Y, 2),
            (SUM, Y, 2),
            (nn.MSELoss(reduction="none"), Y, 2),
            (nn.CrossEntropyLoss(weight=[1.0, 5.0, 0.2], ignore_index=1), LABELS, 3),
            (lambda o, t: ((o - t) ** 2).mean(), Y, 2),
        ],
        ids=["mean", "sum", "none", "classes", "function"],
    )
    @pytest.mark.parametrize(
        "clip", [{}, {"clip_norm": 0.05}, {"clip_value": 0.01}, {"l1": 0.01, "max_norm": 0.5}], ids=str
    )
    def test_is_that_of_one_batch_of_all(self, loss, y, outputs, clip, threads):
        before = cr.num_threads()
        cr.set_num_threads(threads)
        try:
            # 56 samples: 4 batches of 6 are one of 24; the last update has a batch of 6 and one of 2.
            def run(**options):
                opt = optim.SGD(lr=0.05 if loss is not SUM else 1e-3, momentum=0.9)
                return trainer_of(loss=loss, opt=opt, model=net(outputs), **clip, **options)

            a, history = fitted(run(), y, batch_size=24)
            b, by_parts = fitted(run(accumulate=4), y, batch_size=6)
        finally:
            cr.set_num_threads(before)
        assert np.abs(a - b).max() < 1e-13 * np.abs(a).max()
        # What is told is the loss before each update, of every sample: the same.
        assert np.allclose(history["loss"], by_parts["loss"], rtol=1e-12)

    def test_sample_weights(self):
        a, _ = fitted(trainer_of(), batch_size=24, sample_weight=WEIGHTS)
        b, _ = fitted(trainer_of(accumulate=3), batch_size=8, sample_weight=WEIGHTS)
        assert np.abs(a - b).max() < 1e-12

    def test_class_weights(self):
        options = {"loss": nn.CrossEntropyLoss()}
        given = {0: 1.0, 1: 3.0, 2: 0.5}
        a, _ = fitted(trainer_of(model=net(3), **options), LABELS, batch_size=24, class_weight=given)
        b, _ = fitted(trainer_of(3, model=net(3), **options), LABELS, batch_size=8, class_weight=given)
        assert np.abs(a - b).max() < 1e-12

    def test_float32_and_the_same_bits_for_any_number_of_threads(self):
        runs = []
        for threads in (1, 2):
            before = cr.num_threads()
            cr.set_num_threads(threads)
            trainer = trainer_of(3, model=net(2, "float32"))
            runs.append(fitted(trainer, batch_size=8)[0])
            cr.set_num_threads(before)
        assert runs[0].dtype == np.float32
        assert np.array_equal(*runs)
        a, _ = fitted(trainer_of(model=net(2, "float32")), batch_size=24)
        assert np.abs(a - runs[0]).max() < 1e-5

    def test_one_batch_per_update_is_what_it_was(self):
        a, _ = fitted(trainer_of(), batch_size=8)
        b, _ = fitted(trainer_of(1), batch_size=8)
        assert np.array_equal(a, b)

    def test_more_batches_than_an_epoch_has(self):
        a, _ = fitted(trainer_of(), batch_size=56)
        b, _ = fitted(trainer_of(100), batch_size=10)
        assert np.abs(a - b).max() < 1e-12

    def test_groups_and_schedules_count_updates(self):
        def opt():
            return optim.AdamW(
                lr=schedules.Linear(0.05, 0.0, 9), groups={"0.*": {"lr": lambda t: 0.01 / (1 + t)}}
            )

        one, several = trainer_of(opt=opt()), trainer_of(3, opt=opt())
        a, _ = fitted(one, batch_size=24)
        b, _ = fitted(several, batch_size=8)
        assert np.abs(a - b).max() < 1e-12
        assert one.optimizer.step_count == several.optimizer.step_count == 9
        assert several.global_step == 21

    def test_callbacks_count_batches(self):
        seen = []

        class Watch(cr.callbacks.Callback):
            every = 1

            def on_batch_end(self, fit):
                seen.append((fit.batch, fit.trainer.optimizer.step_count))

        fitted(trainer_of(3), batch_size=8, epochs=1, callbacks=[Watch()])
        assert seen == [(1, 0), (2, 0), (3, 1), (4, 1), (5, 1), (6, 2), (7, 3)]

    def test_dropout_draws_for_every_batch(self):
        def of(accumulate):
            model = net(2, "float64", nn.Dropout(0.5))
            return trainer_of(accumulate, opt=optim.SGD(lr=0.0), model=model).fit(
                X, Y, batch_size=7, shuffle=False, progress=False
            )

        assert np.allclose(of(1)["loss"], of(4)["loss"], rtol=1e-12)

    def test_batch_norm_moves_with_every_batch(self):
        states = []
        for accumulate in (1, 4):
            model = net(2, "float64", nn.BatchNorm1d(8, dtype="float64"))
            fitted(trainer_of(accumulate, opt=optim.SGD(lr=0.0), model=model), batch_size=7, epochs=1)
            states.append(model.state_dict()["2.running_mean"])
        assert np.allclose(*states, rtol=1e-12)
        assert np.abs(states[0]).max() > 0


class TestSteps:
    def test_every_kth_call_updates(self):
        one, several = trainer_of(), trainer_of(2)
        start = weights(several.model)
        for _ in range(3):
            one.step(X[:24], Y[:24])
            first = several.step(X[:20], Y[:20])
            if several.optimizer.step_count == 0:
                assert np.array_equal(weights(several.model), start)
                assert first == pytest.approx(np.mean((np.asarray(several.model(X[:20])) - Y[:20]) ** 2))
            several.step(X[20:24], Y[20:24])
        assert np.abs(weights(one.model) - weights(several.model)).max() < 1e-12
        assert several.optimizer.step_count == 3

    @pytest.mark.parametrize("way", ["state_dict", "pickle"])
    def test_a_checkpoint_between_the_batches_of_an_update(self, way):
        whole, first = trainer_of(3), trainer_of(3)
        for t in (whole, first):
            for i in range(5):
                t.step(X[8 * i : 8 * i + 8], Y[8 * i : 8 * i + 8])
        assert first.state_dict()["accumulated.batches"] == 2
        if way == "pickle":
            second = pickle.loads(pickle.dumps(first))
        else:
            second = trainer_of(3)
            second.model.load_state_dict(first.model.state_dict())
            second.load_state_dict(first.state_dict())
        for t in (whole, second):
            t.step(X[:8], Y[:8])
        assert np.array_equal(weights(whole.model), weights(second.model))
        assert "accumulated.batches" not in second.state_dict()

    def test_loading_forgets_what_was_collected(self):
        trainer, fresh = trainer_of(2), trainer_of(2)
        state = trainer.state_dict()
        trainer.step(X[:8], Y[:8])
        trainer.load_state_dict(state)
        for t in (trainer, fresh):
            t.step(X[8:16], Y[8:16])
            t.step(X[16:24], Y[16:24])
        assert np.array_equal(weights(trainer.model), weights(fresh.model))

    @pytest.mark.parametrize("how", ["fit", "reset"])
    def test_a_fit_and_a_reset_begin_anew(self, how):
        trainer, fresh = trainer_of(2, seed=1), trainer_of(2, seed=1)
        trainer.step(X[:8], Y[:8])
        if how == "reset":
            trainer.reset()
        a, b = fitted(trainer, batch_size=8)[0], fitted(fresh, batch_size=8)[0]
        assert np.array_equal(a, b)

    def test_a_state_that_does_not_fit(self):
        trainer = trainer_of(3)
        for _ in range(2):
            trainer.step(X[:8], Y[:8])
        state = trainer.state_dict()
        with pytest.raises(cr.ValueError, match=r"2 batches for accumulate=2; make the Trainer with"):
            trainer_of(2).load_state_dict(state)
        other = trainer_of(3, model=nn.Linear(4, 2, dtype="float64"))
        with pytest.raises(cr.ValueError, match=r"accumulated\.0 is \(4, 8\)"):
            other.load_state_dict(state)


class TestFailures:
    def test_numbers_that_run_away(self):
        def of(accumulate):
            opt = optim.SGD(lr=schedules.Step(0.01, 5, gamma=1e200))
            return trainer_of(accumulate, opt=opt)

        trainer = of(3)
        w, history = fitted(trainer, batch_size=4, epochs=9)
        assert "not finite" in history.stopped
        assert np.isfinite(w).all()
        # The same up to there by steps.
        other, batches = of(3), trainer.global_step
        losses = []
        for b in range(batches):
            i = b % 14 * 4
            losses.append(other.step(X[i : i + 4], Y[i : i + 4]))
            if b % 14 == 13:  # the end of an epoch is an update
                break
        assert np.isfinite(losses).all()

    def test_after_many_batches_it_returns_to_the_one_before(self):
        rng = np.random.default_rng(0)
        x = rng.normal(size=(600, 4))
        y = x[:, :2]
        opt = optim.SGD(lr=schedules.Step(0.01, 145, gamma=1e300))
        trainer = trainer_of(2, opt=opt)
        history = trainer.fit(x, y, batch_size=2, shuffle=False, progress=False)
        assert "not finite" in history.stopped
        by_steps = trainer_of(2, opt=optim.SGD(lr=schedules.Step(0.01, 145, gamma=1e300)))
        for i in range(0, 2 * trainer.global_step, 2):
            by_steps.step(x[i : i + 2], y[i : i + 2])
        assert np.array_equal(weights(trainer.model), weights(by_steps.model))
        assert trainer.optimizer.step_count == by_steps.optimizer.step_count

    def test_bad_data_leave_everything_as_it_was(self):
        bad = X.copy()
        bad[40, 2] = np.nan
        trainer = trainer_of(3)
        start = weights(trainer.model)
        with pytest.raises(cr.ValueError, match="the data holds inf or NaN"):
            trainer.fit(bad, Y, batch_size=8, shuffle=False, progress=False)
        assert np.array_equal(weights(trainer.model), start)
        assert trainer.optimizer.step_count == 0
        assert np.array_equal(fitted(trainer, batch_size=8)[0], fitted(trainer_of(3), batch_size=8)[0])


class TestWithOthers:
    def test_windows_of_a_source(self):
        a, history = fitted(trainer_of(3), batch_size=8)
        trainer = trainer_of(3)
        source = cr.data.ArraySource(X, Y, window_rows=16)
        told = trainer.fit(source, epochs=3, batch_size=8, shuffle=False, progress=False)
        assert np.array_equal(weights(trainer.model), a)
        assert told["loss"] == history["loss"]

    @pytest.mark.parametrize(
        "at", [5, 8, 16]
    )  # between the batches of an update, at one, in the second epoch
    def test_a_checkpoint_that_a_fit_goes_on_from(self, at, tmp_path):
        def make():
            opt = optim.AdamW(
                lr=schedules.Linear(0.05, 0.0, 9), groups={"0.*": {"lr": 0.01}}, decay_bias_and_norm=False
            )
            return trainer_of(3, opt=opt, seed=2, clip_value=0.05)

        class Stop:
            every = at

            def on_batch_end(self, fit):
                raise RuntimeError("killed")

        options = {"epochs": 4, "batch_size": 8, "progress": False}
        whole, cut, other = make(), make(), make()
        whole.fit(X, Y, **options)
        write = cr.callbacks.Checkpoint(tmp_path, every_batches=at)
        with pytest.raises(RuntimeError, match="killed"):
            cut.fit(X, Y, callbacks=[write, Stop()], **options)
        other.fit(
            X,
            Y,
            callbacks=[cr.callbacks.Checkpoint(tmp_path, every_batches=at)],
            resume_from="auto",
            **options,
        )
        assert np.array_equal(weights(whole.model), weights(other.model))
        assert other.optimizer.step_count == whole.optimizer.step_count == 12


def test_everywhere():
    training = {"loss": nn.MSELoss(), "optimizer": optim.Adam(lr=0.01), "epochs": 1, "progress": False}
    options = {"clip_value": 0.01, "accumulate": 2}
    result = cr.cross_validate(net, X, Y, k=2, retrain=True, seed=3, **training, **options)
    plain = cr.cross_validate(net, X, Y, k=2, retrain=True, seed=3, **training)
    assert not np.array_equal(weights(result.model), weights(plain.model))
    found = cr.grid_search(net, {"clip_value": [0.01, None], "accumulate": [1, 2]}, X, Y, k=2, **training)
    assert len(found.parameters) == 4
    cr.Ensemble.train(net, X, Y, seeds=1, **training, **options)


class TestFrozenInTheMiddle:
    def test_no_later_update_takes_its_gradients(self):
        a, b = (trainer_of(2, opt=optim.SGD(lr=0.1)) for _ in range(2))
        p = a.model.parameters()[0]
        a.step(X[:8], 100 * Y[:8])
        before = p.numpy().copy()
        p.requires_grad_(False)
        a.step(X[8:16], Y[8:16])
        assert np.array_equal(p.numpy(), before)
        p.requires_grad_(True)
        b.model.load_state_dict(a.model.state_dict())
        for trainer in (a, b):
            trainer.step(X[16:24], Y[16:24])
            trainer.step(X[24:32], Y[24:32])
        assert np.array_equal(weights(a.model), weights(b.model))

    def test_by_a_callback(self):
        def run(scale):
            trainer = trainer_of(2, opt=optim.SGD(lr=0.01))
            first, *others = trainer.model.parameters()

            def train(of_first, of_others):
                first.requires_grad_(of_first)
                for p in others:
                    p.requires_grad_(of_others)

            class Turns(cr.callbacks.Callback):
                every = 1

                def on_batch_end(self, fit):
                    train(fit.batch > 1, True)

            train(True, False)  # the first batch teaches one parameter, which is frozen in its update
            y = np.concatenate([scale * Y[:8], Y[8:32]])
            trainer.fit(X[:32], y, epochs=1, batch_size=8, shuffle=False, callbacks=[Turns()], progress=False)
            return weights(trainer.model)

        assert np.array_equal(run(1.0), run(100.0))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: trainer_of(clip_norm=1.0, clip_value=0.5),
            "Trainer: gradients are clipped by norm or by value: clip_norm is 1.0, clip_value is "
            "0.5; leave one of them away",
        ),
        (lambda: trainer_of(clip_value=0.0), "Trainer: clip_value must be above 0: 0.000000"),
        (lambda: trainer_of(0), "Trainer: accumulate must be at least 1: 0"),
        (
            lambda: trainer_of(opt=optim.LBFGS(), clip_value=1.0),
            "Trainer: clip_value does not go with LBFGS: it needs the gradients as they are; leave "
            "clip_value away, or use Adam",
        ),
        (
            lambda: trainer_of(2, opt=optim.LBFGS()),
            "Trainer: accumulate does not go with LBFGS: it looks at a batch more than once; give "
            "larger batches, or use Adam",
        ),
        (
            lambda: cr.training_step(lambda: 0, optim.SGD(net().parameters()), clip_norm=1.0, clip_value=1.0),
            "training_step: gradients are clipped by norm or by value: clip_norm is 1.0, clip_value "
            "is 1.0; leave one of them away",
        ),
    ],
)
def test_refusals(make, message):
    with pytest.raises(cr.ValueError, match="^" + re.escape(message) + "$"):
        make()
