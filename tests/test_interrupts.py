"""Ctrl-C in Python code that fit calls, and what it leaves."""

from __future__ import annotations

import os
import signal
import threading
import time

import chainrule as cr
import numpy as np
import pytest
from chainrule import nn, optim
from chainrule.callbacks import EMA, Checkpoint
from checkpoint_runs import X, differences, everything, fit, names, trainer_of, y
from checks import same_state


@pytest.fixture(autouse=True)
def heard():
    """A shell starts jobs in the background with SIGINT ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    signal.signal(signal.SIGINT, before)


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


def plain():
    return nn.Sequential(
        nn.Linear(6, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.3), nn.Linear(16, 3), seed=0
    )


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

    def __init__(self, read=lambda: time.sleep(0.1)):
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
