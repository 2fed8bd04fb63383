"""Fits that are interrupted and go on, shared by the tests of checkpoints.

Run as a program, it kills its own children at random moments: `python checkpoint_runs.py FOLDER KILLS SEED`
prints what happened, and fails where bits differ.
"""

import os
import random
import signal
import sys
import time
from pathlib import Path

import chainrule as cr
import numpy as np
from chainrule import nn, optim

rng = np.random.default_rng(5)
X = rng.normal(3, 2, size=(103, 6)).astype("f4")
y = (X[:, 0] + 0.5 * X[:, 1] > X[:, 2] + 1).astype("i8") + (X[:, 3] > 4)
weight = rng.uniform(0.5, 2, len(X)).astype("f4")


def model_of(seed=0):
    return nn.Sequential(
        nn.Standardizer(6),
        nn.Linear(6, 16),
        nn.BatchNorm1d(16),
        nn.ReLU(),
        nn.Dropout(0.3),
        nn.Linear(16, 3),
        seed=seed,
    )


def trainer_of(optimizer=None, model=None, **options):
    optimizer = optimizer or optim.Adam(lr=cr.schedules.ReduceOnPlateau(0.02, patience=1))
    options = {"metrics": ["accuracy"], "seed": 3, **options}
    return cr.Trainer(model or model_of(), nn.CrossEntropyLoss(), optimizer, **options)


def everything(trainer):
    """All bits of a trained Trainer: model, optimizer, position, history."""
    arrays = {"model." + k: v for k, v in trainer.model.state_dict().items()}
    arrays |= {"trainer." + k: v for k, v in trainer.state_dict().items()}
    history = trainer.history
    arrays |= {"history." + k: np.array(history[k]) for k in history}
    arrays["lr"] = np.array(trainer.optimizer.lr)
    bits = {k: (v.dtype.str, v.shape, v.tobytes()) for k, v in arrays.items()}
    return bits | {"stopped": history.stopped, "columns": list(history)}


def differences(one, other):
    return [k for k in {**one, **other} if one.get(k) != other.get(k)]


def fit(trainer, **options):
    return trainer.fit(
        X,
        y,
        **{"batch_size": 8, "sample_weight": weight, "validation_split": 0.2, "progress": False, **options},
    )


class Interrupted(Exception):
    pass


class InterruptAt:
    """Ends a fit with an exception after so many batches, as Ctrl-C would not: nothing more is written."""

    def __init__(self, batch):
        self.every = batch

    def on_batch_end(self, fit):
        raise Interrupted


def names(folder):
    return sorted(path.name for path in Path(folder).iterdir())


def resume(folder, trainer=None, **options):
    trainer = trainer or trainer_of()
    fit(trainer, **{"epochs": 5, "resume_from": folder, **options})
    return trainer


def whole_run(folder, epochs, due, keep_last=2):
    """With callbacks that keep something; goes on where the folder has a checkpoint."""
    trainer = trainer_of()
    callbacks = [
        cr.callbacks.EarlyStopping(monitor="val_accuracy", patience=100),
        cr.callbacks.EMA(decay=0.9),
        cr.callbacks.Checkpoint(folder, keep_last=keep_last, **due),
    ]
    fit(trainer, epochs=epochs, callbacks=callbacks, resume_from="auto")
    return everything(trainer)


def in_child(work):
    """The process that runs it. Nothing here may have started threads before."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            work()
            status = 0
        finally:
            os._exit(status)
    return child


def result_of(work, path):
    def run():
        bits = work()
        path.write_text(repr(bits))

    _, status = os.waitpid(in_child(run), 0)
    assert status == 0, status
    return eval(path.read_text())


def kill_again_and_again(folder, kills, seed, epochs=40, **due):
    due = due or {"every_batches": 2}
    draws = random.Random(seed)
    expected = result_of(lambda: whole_run(folder / "whole", epochs, due, 1000), folder / "whole.txt")
    started, run, half_written, left = time.perf_counter(), 0, 0, kills

    def work(threads, path):
        cr.set_num_threads(threads)
        bits = whole_run(folder / f"run-{run}", epochs, due)
        path.write_text(repr(bits))

    def compare(path):
        wrong = differences(expected, eval(path.read_text()))
        assert not wrong, f"after {kills - left} kills: {wrong}"

    while True:
        path = folder / f"run-{run}.txt"
        threads = draws.choice([1, 2])
        child = in_child(lambda threads=threads, path=path: work(threads, path))
        if left > 0:
            time.sleep(draws.uniform(0.002, 0.25))
            os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        if os.WIFSIGNALED(status):
            left -= 1
            half_written += any((folder / f"run-{run}").glob("*.tmp-*"))
            continue
        assert status == 0, status
        compare(path)
        if left == 0:
            break
        run += 1  # it was done before it could be killed
    seconds = time.perf_counter() - started
    assert not list(folder.glob("run-*/*.tmp-*")), "what killed writes have left is still there"
    for kept in folder.glob("run-*/*.safetensors"):
        assert kept.read_bytes() == (folder / "whole" / kept.name).read_bytes(), kept
    print(f"{kills} kills, {half_written} within a write, {run + 1} runs, {seconds:.1f} s: the same bits")


if __name__ == "__main__":
    kill_again_and_again(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
