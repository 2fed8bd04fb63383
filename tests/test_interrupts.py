"""Ctrl-C wherever it lands, in Python code that fit calls or while a source hangs, and what it leaves."""

from __future__ import annotations

import os
import signal
import threading
import time
import warnings

import chainrule as cr
import numpy as np
import pytest
from chainrule import nn, optim
from chainrule.callbacks import EMA, SWA, Checkpoint
from checkpoint_runs import X, differences, everything, fit, trainer_of, y
from checks import same_state


@pytest.fixture(autouse=True)
def heard():
    """A shell starts jobs in the background with SIGINT ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    signal.signal(signal.SIGINT, before)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


class Presses(cr.callbacks.Callback):
    """Ctrl-C within a callback at the end of an epoch, `times` times, and what it does after that."""

    def __init__(self, epoch, times=1):
        self.epoch, self.times, self.ends = epoch, times, 0

    def on_epoch_end(self, fit):
        fit.trainer.optimizer.lr *= 0.9
        for _ in range(self.times if fit.epoch == self.epoch else 0):
            signal.raise_signal(signal.SIGINT)
        fit.log("epoch_end", fit.epoch)

    def on_fit_end(self, fit):
        self.ends += 1


def seldom(folder):
    return Checkpoint(folder, every_epochs=None, every_minutes=10, keep_best=False)


def slower_trainer(**options):
    return trainer_of(optim.Adam(lr=0.02), **options)


def test_ctrl_c_in_a_callback_ends_the_fit_where_all_is_settled(tmp_path):
    def run(epochs, press=0, **options):
        trainer, average = slower_trainer(), EMA(0.9)
        late = Presses(press)
        callbacks = [average, late, cr.callbacks.LearningRate(), seldom(tmp_path / "kept")]
        try:
            fit(trainer, epochs=epochs, callbacks=callbacks, **options)
        finally:
            assert late.ends == 1
            same_state(trainer.model, average.model)
            run.trainer = trainer
        return trainer

    with pytest.raises(KeyboardInterrupt):
        run(6, press=3)
    history = run.trainer.history
    assert history.stopped == "interrupted after epoch 3"
    assert len(history["epoch_end"]) == len(history["lr"]) == 3
    assert not np.isnan(history["lr"]).any()
    assert names(tmp_path / "kept") == ["checkpoint-00003-0000000.safetensors"]
    resumed = everything(run(6, resume_from="auto"))
    tmp_path /= "whole"
    assert not differences(everything(run(6)), resumed)


def test_a_second_ctrl_c_in_a_callback_is_raised_there(tmp_path):
    press = Presses(2, times=2)
    trainer = slower_trainer()
    with pytest.raises(KeyboardInterrupt):
        fit(trainer, epochs=6, callbacks=[press, seldom(tmp_path)])
    assert press.ends == 1
    assert trainer.history.epochs == 2
    assert "epoch_end" in trainer.history  # of epoch 1
    assert not names(tmp_path)


def pressing(step):
    if step == 20:
        signal.raise_signal(signal.SIGINT)
    return 0.01


def test_ctrl_c_in_a_schedule_or_a_progress_function(tmp_path):
    trainer = trainer_of(optim.Adam(lr=pressing))
    with pytest.raises(KeyboardInterrupt):
        fit(trainer, epochs=40, callbacks=[cr.callbacks.LearningRate(), seldom(tmp_path / "a")])
    assert trainer.history.stopped.startswith("interrupted ")
    assert len(names(tmp_path / "a")) == 1

    def show(report):
        if report.epoch_end and report.epoch == 3:
            signal.raise_signal(signal.SIGINT)
            shown.append(report.epoch)

    trainer, shown = slower_trainer(), []
    with pytest.raises(KeyboardInterrupt):
        fit(trainer, epochs=40, callbacks=[seldom(tmp_path / "b")], progress=show)
    assert shown == [3]
    assert trainer.history.stopped == "interrupted after epoch 3"
    assert names(tmp_path / "b") == ["checkpoint-00003-0000000.safetensors"]


def test_ctrl_c_in_the_last_epoch_is_raised():
    trainer = slower_trainer()
    with pytest.raises(KeyboardInterrupt):
        fit(trainer, epochs=3, callbacks=[Presses(3)])
    assert (trainer.history.epochs, trainer.history.stopped) == (3, "")

    class AtTheEnd(cr.callbacks.Callback):
        def on_fit_end(self, fit):
            signal.raise_signal(signal.SIGINT)
            self.done = True

    end = AtTheEnd()
    with pytest.raises(KeyboardInterrupt):
        fit(slower_trainer(), epochs=1, callbacks=[end])
    assert end.done


class Rows:
    """A source that is waited for."""

    window_rows = 24

    def __init__(self, read=lambda: time.sleep(0.02)):
        self.rows, self.called = len(X), read

    def read(self, first, count):
        self.called()
        return X[first : first + count], y[first : first + count]


def evaluates(fit):
    fit.trainer.evaluate(Rows())


def trains(_):
    slower_trainer(model=plain()).fit(Rows(), epochs=2, batch_size=24, callbacks=[Wide()])


@pytest.mark.parametrize("work", [evaluates, trains])
def test_ctrl_c_waits_until_what_a_callback_evaluates_or_trains_is_done(tmp_path, work):
    done = []

    def press(fit):
        if fit.epoch == 2:
            signal.raise_signal(signal.SIGINT)
            work(fit)
            done.append(fit.epoch)

    trainer, average = slower_trainer(), EMA(0.9)
    with pytest.raises(KeyboardInterrupt):
        fit(trainer, epochs=4, callbacks=[average, press, seldom(tmp_path)])
    assert done == [2]
    assert trainer.history.stopped == "interrupted after epoch 2"
    assert names(tmp_path) == ["checkpoint-00002-0000000.safetensors"]
    same_state(trainer.model, average.model)


def test_a_second_ctrl_c_leaves_a_source_that_hangs_in_a_callback():
    over = threading.Event()

    def hang():
        for _ in range(2):
            time.sleep(0.2)
            os.kill(os.getpid(), signal.SIGINT)
        over.wait(20)

    begin = time.monotonic()
    try:
        with pytest.raises(KeyboardInterrupt):
            fit(slower_trainer(), epochs=4, callbacks=[lambda fit: fit.trainer.evaluate(Rows(hang))])
    finally:
        over.set()
    assert time.monotonic() - begin < 10


def test_ctrl_c_in_a_fit_within_a_callback_ends_the_fit_around_it():
    inner, press = slower_trainer(), Presses(2)

    def train(_):
        fit(inner, epochs=5, callbacks=[press])

    outer = slower_trainer()
    with pytest.raises(KeyboardInterrupt):
        fit(outer, epochs=5, callbacks=[train])
    assert (inner.history.epochs, inner.history.stopped) == (5, "")
    assert outer.history.stopped == "interrupted after epoch 1"

    press.times, press.ends = 2, 0
    with pytest.raises(KeyboardInterrupt):
        fit(outer, epochs=5, callbacks=[train])
    assert press.ends == 1
    assert outer.history.stopped == ""


class Wide(cr.callbacks.Callback):
    """Called after every batch."""

    def on_batch_end(self, fit):
        fit.log("batch", fit.batch)


class Enough(Exception):
    pass


def test_what_a_handler_of_ones_own_raises_while_batches_run(tmp_path):
    """It is heard before the next callback, which is not ended by it."""

    def handle(*_):
        raise Enough

    X = np.ones((64, 1500), "f4")
    trainer = cr.Trainer(nn.Linear(1500, 1500, seed=0), nn.MSELoss(), optim.SGD(lr=1e-6))
    before = signal.signal(signal.SIGALRM, handle)
    signal.setitimer(signal.ITIMER_REAL, 0.3)
    try:
        with pytest.raises(Enough):
            trainer.fit(X, X, epochs=10**6, batch_size=64, callbacks=[Wide(), seldom(tmp_path)])
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert trainer.history.stopped.startswith("interrupted ")
    assert len(names(tmp_path)) == 1


@pytest.mark.parametrize("every", [None, 10])
def test_a_signal_at_any_moment_of_short_epochs(tmp_path, every):
    """From outside: the checkpoint is that of where it stopped, and the averages are in the model."""
    rows = np.random.default_rng(0).normal(size=(2000, 3)).astype("f4")
    for attempt in range(3):
        folder, average = tmp_path / str(attempt), EMA(0.99)
        watch = cr.callbacks.LearningRate() if every is None else Wide()
        watch.every = every or 1
        trainer = cr.Trainer(nn.Linear(3, 1, seed=0), nn.MSELoss(), optim.SGD(lr=0.01))
        timer = threading.Timer(0.2 + 0.013 * attempt, lambda: os.kill(os.getpid(), signal.SIGINT))
        timer.start()
        with pytest.raises(KeyboardInterrupt):
            trainer.fit(
                rows,
                rows.sum(1, keepdims=True),
                epochs=10**6,
                batch_size=100,
                callbacks=[watch, average, seldom(folder)],
            )
        timer.join()
        done = trainer.global_step
        assert names(folder) == [f"checkpoint-{done // 20:05d}-{done % 20:07d}.safetensors"]
        assert trainer.history.stopped.startswith("interrupted ")
        same_state(trainer.model, average.model)


def test_other_threads_leave_signals_alone():
    """A fit in another thread neither takes Ctrl-C nor hears it."""
    trainer = slower_trainer()
    thread = threading.Thread(target=lambda: fit(trainer, epochs=30))
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)
    thread.join()
    assert trainer.history.epochs == 30


class Hangs:
    """Rows of a source; read number `at`, from 1, presses Ctrl-C and then does not come back."""

    window_rows = 24

    def __init__(self, at=None):
        self.rows, self.at, self.reads, self.over = len(X), at, 0, threading.Event()

    def read(self, first, count):
        self.reads += 1
        if self.reads == self.at:
            time.sleep(0.2)  # until fit waits for it
            os.kill(os.getpid(), signal.SIGINT)
            self.over.wait(20)
        return X[first : first + count], y[first : first + count]


def from_source(folder, at=None, epochs=5, **options):
    """A Trainer after epochs of five windows and 13 batches, and whether it was interrupted."""
    trainer = slower_trainer(model=plain())
    source = Hangs(at)
    try:
        trainer.fit(
            source,
            epochs=epochs,
            batch_size=8,
            callbacks=[EMA(0.9), cr.callbacks.LearningRate(), seldom(folder)],
            progress=False,
            **options,
        )
    except KeyboardInterrupt:
        return trainer, True
    finally:
        source.over.set()
    return trainer, False


def plain():
    return nn.Sequential(
        nn.Linear(6, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.3), nn.Linear(16, 3), seed=0
    )


@pytest.mark.parametrize(
    ("read", "place", "file"),
    [
        (13, "epoch 3 after batch 6", "checkpoint-00002-0000006.safetensors"),
        (16, "epoch 4 after batch 0", "checkpoint-00003-0000000.safetensors"),
    ],
)
def test_ctrl_c_while_a_source_hangs_is_a_place_to_go_on_from(tmp_path, read, place, file):
    trainer, stopped = from_source(tmp_path / "cut", at=read)
    assert stopped
    assert trainer.history.stopped == "interrupted in " + place
    assert names(tmp_path / "cut") == [file]
    trainer, stopped = from_source(tmp_path / "cut", resume_from="auto")
    assert not stopped
    assert not differences(everything(from_source(tmp_path / "whole")[0]), everything(trainer))


def test_a_stop_for_good_stays(tmp_path):
    def run(**options):
        def enough(fit):
            if fit.epoch >= 2:
                fit.stop("good", **options)

        folder = tmp_path / str(bool(options))
        trainer = slower_trainer()
        with warnings.catch_warnings(record=True) as seen:
            warnings.simplefilter("always")
            fit(trainer, epochs=9, callbacks=[enough, Checkpoint(folder)], resume_from="auto")
        assert trainer.history.stopped == "good"
        return trainer.history.epochs, len(seen)

    assert [run() for _ in range(3)] == [(2, 0), (3, 0), (4, 0)]
    assert [run(for_good=True) for _ in range(3)] == [(2, 0), (2, 1), (2, 1)]


def test_a_stop_before_a_resumed_fit_trains(tmp_path):
    class Begin(cr.callbacks.Callback):
        def on_fit_begin(self, fit):
            fit.stop("no time")

    def run(epochs, *callbacks, **options):
        trainer = slower_trainer()
        fit(trainer, epochs=epochs, callbacks=[*callbacks, Checkpoint(tmp_path)], **options)
        return trainer.history.epochs, trainer.history.stopped

    assert run(3) == (3, "")
    assert run(6, Begin(), resume_from="auto") == (3, "no time")
    assert run(6, resume_from="auto") == (6, "")


@pytest.mark.parametrize("start", [1, 3, 4, 6])
def test_swa_begins_where_a_fit_is_resumed_with_it(tmp_path, start):
    """At once, if its epoch has been; else when it comes. A second resume does not begin it anew."""

    def run(epochs, *callbacks, resume_from=None):
        trainer = trainer_of(optim.SGD(lr=0.05))
        every = [cr.callbacks.LearningRate(), *callbacks, Checkpoint(tmp_path)]
        fit(trainer, epochs=epochs, callbacks=every, resume_from=resume_from)
        return trainer.history["lr"]

    run(3)
    first, swa = max(start, 4), SWA(start=start, lr=0.001)
    assert run(7, swa, resume_from="auto") == [0.05] * (first - 1) + [0.001] * (8 - first)
    assert swa.updates == 8 - first
    back = tmp_path / "checkpoint-00006-0000000.safetensors"
    again = SWA(start=start, lr=0.001)
    assert run(8, again, resume_from=back)[-2:] == [0.001] * 2
    assert again.updates == 9 - first


def measured(folder, source, at=None, epochs=5, **options):
    """A Trainer with averages, plateaus and early stopping, where a source hangs."""
    trainer = trainer_of(
        optim.Adam(lr=cr.schedules.ReduceOnPlateau(0.02, patience=0, factor=0.5)), model=plain()
    )
    training, validation = Hangs(at if source == "training" else None), Hangs()
    if source != "training":
        validation.at = at
    callbacks = [
        cr.callbacks.LearningRate(),
        SWA(start=2, replace=source != "training"),
        SWA(start=3, replace=False),
        cr.callbacks.EarlyStopping(patience=50),
        Wide(),
        seldom(folder),
    ]
    try:
        trainer.fit(
            *((X, y) if source == "validation of arrays" else (training,)),
            epochs=epochs,
            batch_size=8,
            validation_data=validation,
            callbacks=callbacks,
            progress=False,
            **options,
        )
    except KeyboardInterrupt:
        return trainer, True
    finally:
        training.over.set()
        validation.over.set()
    return trainer, False


@pytest.mark.parametrize(
    ("source", "at", "what"),
    [
        ("validation", 4, "the validation"),
        ("validation", 11, "the validation"),
        ("validation of arrays", 11, "the validation"),
        ("training", 5 * 5 + 3, "the batch statistics of the averaged weights"),
        ("training", 5 * 6 + 3, "the batch statistics of the averaged weights"),
    ],
)
def test_ctrl_c_before_an_epoch_is_measured(tmp_path, source, at, what):
    """The checkpoint is that of all its batches, and the first that a resumed fit does is to end it."""
    trainer, stopped = measured(tmp_path / "cut", source, at)
    assert stopped
    epoch = trainer.history.epochs
    assert trainer.history.stopped == f"interrupted in {what} of epoch {epoch}"
    for name, values in trainer.history.items():
        assert len(values) == epoch
        assert np.isnan(values[-1]) == (name.startswith("val_") or name == "lr")
    assert names(tmp_path / "cut") == [f"checkpoint-{epoch - 1:05d}-0000013.safetensors"]
    # Once more in the same place, and then through.
    trainer, stopped = measured(tmp_path / "cut", source, 2, resume_from="auto")
    assert stopped
    trainer, stopped = measured(tmp_path / "cut", source, resume_from="auto")
    assert not stopped
    whole = measured(tmp_path / "whole", source)[0]
    assert not differences(everything(whole), everything(trainer))
    last = [sorted((tmp_path / run).iterdir())[-1].read_bytes() for run in ("whole", "cut")]
    assert last[0] == last[1]
