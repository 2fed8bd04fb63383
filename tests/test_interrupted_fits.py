"""Ctrl-C and stops where a fit waits for a source or is resumed: what is kept, and what goes on from it."""

from __future__ import annotations

import os
import signal
import threading
import time
import warnings

import chainrule as cr
import numpy as np
import pytest
from chainrule import optim
from chainrule.callbacks import EMA, SWA, Checkpoint
from checkpoint_runs import X, differences, everything, fit, names, trainer_of, y
from test_interrupts import Wide, heard, plain, seldom, slower_trainer  # noqa: F401 (heard is a fixture)


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
