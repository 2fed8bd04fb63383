"""Callbacks of Trainer.fit: objects, functions and the built-in ones, what they see and may do."""

from __future__ import annotations

import copy
import gc
import pickle
import time

import chainrule as cr
import numpy as np
import pytest
from chainrule import nn, optim

X = np.random.default_rng(0).normal(size=(40, 3)).astype("f4")
y = X.sum(1, keepdims=True)


def trainer_of(lr=0.01):
    return cr.Trainer(nn.Linear(3, 1, seed=0), nn.MSELoss(), optim.SGD(lr=lr), metrics=["mae"])


class Recorder(cr.callbacks.Callback):
    def __init__(self, every=1):
        self.every = every
        self.seen = []

    def on_fit_begin(self, fit):
        self.seen.append(("begin", fit.columns))

    def on_batch_end(self, fit):
        self.seen.append(("batch", fit.epoch, fit.batch, fit.loss > 0))

    def on_epoch_end(self, fit):
        self.seen.append(("epoch", sorted(fit.row), fit.history["loss"][-1] == fit.loss == fit.value("loss")))

    def on_fit_end(self, fit):
        self.seen.append(("end", fit.epoch))


def test_an_object_is_called_where_it_has_methods():
    recorder = Recorder(every=3)
    trainer_of().fit(X, y, epochs=2, batch_size=10, validation_split=0.25, callbacks=[recorder])
    columns = ["loss", "mae", "val_loss", "val_mae"]
    epoch = ("epoch", columns, True)
    assert recorder.seen == [
        ("begin", columns),
        ("batch", 1, 3, True),
        epoch,
        ("batch", 2, 3, True),
        epoch,
        ("end", 2),
    ]

    class OnlyOne:
        calls = 0

        def on_batch_end(self, fit):
            self.calls += 1

    one = OnlyOne()
    trainer_of().fit(X, y, epochs=2, batch_size=10, callbacks=[one])
    assert one.calls == 8


def test_a_function_is_called_at_the_end_of_every_epoch():
    rows = []
    history = trainer_of().fit(X, y, epochs=3, callbacks=[lambda fit: rows.append(fit.row)])
    assert [row["loss"] for row in rows] == history["loss"]


def test_a_callback_may_stop_log_and_change_the_rate():
    def act(fit):
        fit.log("rate", fit.trainer.optimizer.lr)
        fit.trainer.optimizer.lr *= 0.5
        if fit.epoch == 3:
            fit.stop("rate is low")

    history = trainer_of(0.08).fit(X, y, epochs=10, callbacks=[act])
    assert history["rate"] == [0.08, 0.04, 0.02]
    assert history.stopped == "rate is low"


def test_exceptions_come_through_with_the_trainer_usable():
    trainer = trainer_of()

    def fail(fit):
        raise KeyError("mine")

    recorder = Recorder()
    with pytest.raises(KeyError, match="mine"):
        trainer.fit(X, y, epochs=5, callbacks=[fail, recorder])
    assert recorder.seen[-1] == ("end", 1)
    assert trainer.history.epochs == 1
    trainer.fit(X, y)


def test_a_state_kept_beyond_its_fit_refuses_calls():
    kept = []
    trainer_of().fit(X, y, epochs=2, callbacks=[kept.append])
    gc.collect()
    assert kept[0].epoch == 2
    assert kept[0].row == {}
    for call in (
        lambda: kept[0].trainer,
        lambda: kept[0].history,
        lambda: kept[0].log("a", 1),
        lambda: kept[0].value("loss"),
    ):
        with pytest.raises(cr.StateError, match="the fit is over"):
            call()


def test_early_stopping_restores_its_best_epoch_also_without_a_stop():
    rng = np.random.default_rng(1)
    noise = rng.normal(size=(12, 1)).astype("f4")
    trainer = cr.Trainer(nn.MLP([3, 64, 1], seed=0), nn.MSELoss(), optim.Adam(lr=0.02))
    held_out = (rng.normal(size=(12, 3)).astype("f4"), noise)
    stop = cr.callbacks.EarlyStopping(patience=1000)
    history = trainer.fit(X[:12], noise, epochs=60, validation_data=held_out, callbacks=[stop])
    assert history.stopped == ""
    assert stop.best == min(history["val_loss"]) == trainer.evaluate(*held_out)["loss"]
    assert stop.best_epoch == history["val_loss"].index(stop.best) + 1 < 60
    assert repr(pickle.loads(pickle.dumps(stop))) == repr(copy.deepcopy(stop)) == repr(stop)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("x", r"callbacks must be a list, got str"),
        ([3], r"a callback must be one of chainrule.callbacks, .* got int"),
        ([cr.callbacks.EarlyStopping], r"a callback is a class; write EarlyStopping\(\)"),
        (
            [type("C", (), {"on_epoch_ends": None, "on_fit_end": None})()],
            r"C.on_epoch_ends is no call of a callback; there are on_fit_begin",
        ),
        ([Recorder(every=1.5)], r"Recorder.every must be a number of batches, got 1.5"),
    ],
)
def test_what_is_no_callback_is_refused(given, message):
    with pytest.raises(cr.Error, match=message):
        trainer_of().fit(X, y, callbacks=given)


def digits():
    return cr.datasets.load_digits(split="train")


def test_a_rate_set_by_a_progress_function_is_noticed_where_training_diverges():
    trainer = cr.Trainer(nn.MLP([64, 16, 10], seed=0), nn.CrossEntropyLoss(), optim.SGD(lr=0.1, momentum=0.9))

    def explode(fit):
        if fit.epoch_end and fit.epoch == 1:
            trainer.optimizer.lr = 1e28

    history = trainer.fit(*digits(), epochs=4, progress=explode)
    assert "not finite in epoch 2" in history.stopped
    assert np.isfinite(trainer.evaluate(*digits())["loss"])


def test_parameters_that_a_callback_unfreezes_come_back_after_a_divergence():
    model = nn.MLP([64, 16, 10], seed=0)
    for parameter in model[0].parameters():
        parameter.requires_grad_(False)

    def unfreeze(fit):
        if fit.epoch == 1:
            for parameter in model[0].parameters():
                parameter.requires_grad_(True)

    trainer = cr.Trainer(
        model, nn.CrossEntropyLoss(), optim.SGD(lr=lambda step: 0.1 if step < 150 else 1e25, momentum=0.9)
    )
    history = trainer.fit(*digits(), epochs=8, callbacks=[unfreeze])
    assert "not finite" in history.stopped
    assert np.isfinite(trainer.evaluate(*digits())["loss"])


def test_a_trainer_is_not_reset_within_a_fit():
    trainer = trainer_of()
    state = trainer.state_dict()
    for call, name in ((trainer.reset, "reset"), (lambda: trainer.load_state_dict(state), "load_state_dict")):
        with pytest.raises(cr.StateError, match=f"{name}: this Trainer is in the middle of a fit"):
            trainer.fit(X, y, epochs=3, callbacks=[lambda fit, call=call: call()])


def test_methods_that_are_not_overridden_are_not_called(monkeypatch):
    class OnlyEpochs(cr.callbacks.Callback):
        epochs = 0

        def on_epoch_end(self, fit):
            self.epochs += 1

    def fail(self, fit):
        raise AssertionError("called for nothing")

    callback = OnlyEpochs()
    monkeypatch.setattr(cr.callbacks.Callback, "on_batch_end", fail)
    trainer_of().fit(X, y, epochs=2, callbacks=[callback, cr.callbacks.Callback()])
    assert callback.epochs == 2


def test_stop_counts_in_progress_functions_and_before_the_first_epoch():
    history = trainer_of().fit(X, y, epochs=3, progress=lambda fit: fit.stop("seen enough"))
    assert history.stopped.startswith("seen enough")
    assert history.epochs < 3

    class Never(cr.callbacks.Callback):
        def on_fit_begin(self, fit):
            fit.stop("not today")

    history = trainer_of().fit(X, y, epochs=3, callbacks=[Never()])
    assert history.epochs == 0
    assert history.stopped == "not today"


def test_builtin_callbacks_are_final():
    with pytest.raises(TypeError, match="not an acceptable base type"):
        type("Mine", (cr.callbacks.EarlyStopping,), {})


def test_lbfgs_begins_anew_where_a_callback_has_moved_the_parameters():
    inputs = np.random.default_rng(0).normal(size=(50, 3))
    targets = np.sin(inputs.sum(1, keepdims=True))
    model = nn.MLP([3, 8, 1], activation="tanh", seed=0).astype("float64")

    def move(fit):
        if fit.epoch == 5:
            model.init(3)

    trainer = cr.Trainer(model, nn.MSELoss(), optim.LBFGS())
    moved = trainer.fit(inputs, targets, epochs=15, batch_size=50, callbacks=[move])["loss"]
    assert moved[-1] < 1e-3


def test_what_a_callback_writes_into_a_captured_tensor_is_not_replayed():
    """Batches trained before the change would be trained anew with what it wrote."""
    alpha = cr.tensor(1.0)
    rows = np.ones((300, 1), "f4")
    targets = rows.copy()
    targets[250] = 1e30

    def scaled(output, target):
        return (alpha * (output - target) ** 2).mean()

    class Anneal:
        every = 100

        def on_batch_end(self, fit):
            if fit.batch == 100:
                alpha.copy_(0.0)

    model = nn.Linear(1, 1, bias=False, seed=0)
    trainer = cr.Trainer(model, scaled, optim.SGD(lr=0.01))
    weights = []

    class Keep:
        every = 100

        def on_batch_end(self, fit):
            weights.append(model.weight.numpy().copy())

    history = trainer.fit(rows, targets, batch_size=1, shuffle=False, callbacks=[Keep(), Anneal()])
    assert "not finite in epoch 1, batch 251" in history.stopped
    assert model.weight.numpy() == weights[0]


def test_range_tests_within_a_fit_are_refused():
    trainer = trainer_of()
    with pytest.raises(cr.StateError, match="in the middle of a fit"):
        trainer.fit(X, y, epochs=2, callbacks=[lambda fit: fit.trainer.lr_find(X, y)])


def test_a_csv_logger_is_not_copied_for_folds(tmp_path):
    with pytest.raises(cr.StateError, match=r"CSVLogger: writes one file, .*log\.csv, for one fit"):
        cr.cross_validate(
            lambda: nn.Linear(3, 1),
            X,
            y,
            k=2,
            loss=nn.MSELoss(),
            optimizer=optim.Adam(),
            callbacks=[cr.callbacks.CSVLogger(tmp_path / "log.csv")],
        )


def test_a_csv_logger_has_every_value_in_its_row(tmp_path):
    path, seen = tmp_path / "log.csv", []

    def norm(fit):
        fit.log("norm", 100 + fit.epoch)
        seen.append(path.read_text().splitlines() if path.exists() else [])

    trainer_of().fit(X, y, epochs=4, callbacks=[norm, cr.callbacks.CSVLogger(path)])
    values = [line.split(",")[-1] for line in path.read_text().splitlines()]
    assert values == ["norm", "101.0", "102.0", "103.0", "104.0"]
    assert [line.split(",")[-1] for line in seen[3]] == ["norm", "101.0", "102.0", ""]


def test_what_goes_by_the_clock_keeps_its_pace_between_batches_that_are_called_for():
    class Both(cr.callbacks.Callback):
        every = 1
        batches = slices = 0

        def on_batch_end(self, fit):
            self.batches += 1

        def on_slice(self, fit):
            self.slices += 1

    both, reports = Both(), []
    start = time.monotonic()
    trainer_of().fit(X, y, epochs=500, batch_size=4, callbacks=[both], progress=reports.append)
    most = (time.monotonic() - start) / 0.05 + 2
    assert both.batches == 5000
    assert 0 < both.slices <= most
    assert len([report for report in reports if not report.epoch_end]) <= most


def test_what_they_are():
    logger, rate, timer = cr.callbacks.CSVLogger("a.csv"), cr.callbacks.LearningRate(), cr.callbacks.Timer()
    assert repr([logger, rate, timer]) == "[CSVLogger('a.csv'), LearningRate(), Timer()]"
    assert repr(cr.callbacks.Health(X, y)) == "Health(X, y)"
    assert repr(cr.callbacks.Health(X, y, 2)) == "Health(X, y, every_epochs=2)"
    with pytest.raises(TypeError, match="CSVLogger: expected a path, got 3"):
        cr.callbacks.CSVLogger(3)
    for every in (0, 2.5, True, "1"):
        with pytest.raises(ValueError, match="Health: every_epochs must be a number of epochs, at least 1: "):
            cr.callbacks.Health(X, y, every)
