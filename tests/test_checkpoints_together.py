"""Checkpoints with what else fit can do: averages, groups, accumulation, mixup, samplers, sources."""

from __future__ import annotations

import os
import signal
import time

import chainrule as cr
import pytest
from chainrule import data, nn, optim
from chainrule.callbacks import EMA, SWA, Checkpoint, EarlyStopping
from checkpoint_runs import InterruptAt, Interrupted, X, differences, everything, trainer_of, weight, y

GROUPS = {"*.bias": {"weight_decay": 0.0}, "1.*": {"lr_scale": 0.1}, "2.*": {"freeze": True}}
OWN_RATES = {"1.*": {"lr": cr.schedules.Cosine(0.05, 60)}, "5.*": {"lr": 0.01}}


def plain():
    return nn.Sequential(
        nn.Linear(6, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.3), nn.Linear(16, 3), seed=0
    )


class Slower(cr.callbacks.Callback):
    every = 9

    def on_batch_end(self, fit):
        for group in fit.trainer.optimizer.groups:
            group.lr *= 0.8


# Arguments of the Trainer, those of fit, and callbacks.
CASES = {
    "accumulate": ({"accumulate": 3, "clip_value": 0.05}, {}, []),
    "accumulate_clipped": ({"accumulate": 4, "clip_norm": 0.1}, {"sample_weight": weight}, []),
    "regularized": ({"l1": 1e-3, "max_norm": 1.5, "mixup": 0.4}, {}, []),
    "groups": ({"optimizer": optim.AdamW(lr=0.02, groups=GROUPS)}, {}, []),
    "group_rates": ({"optimizer": optim.Adam(lr=0.02, groups=OWN_RATES)}, {}, []),
    "rates_by_hand": ({"optimizer": optim.SGD(lr=0.1, groups={"5.*": {"lr": 0.05}})}, {}, [Slower]),
    "balanced": ({}, {"class_weight": "balanced"}, []),
    "ema": ({}, {"validation_split": 0.2}, [lambda: EMA(decay=0.9)]),
    "ema_stopped": (
        {},
        {"validation_split": 0.2},
        [lambda: EMA(decay=0.9), lambda: EarlyStopping(patience=2)],
    ),
    "swa": ({}, {"validation_split": 0.2}, [lambda: SWA(start=3, lr=0.03)]),
    "swa_slower": ({"optimizer": optim.SGD(lr=0.1)}, {}, [lambda: SWA(start=2, lr=0.03), Slower]),
    "weighted": ({}, {"sampler": lambda: data.WeightedSampler(weight, num_samples=77)}, []),
    "stratified": ({}, {"sampler": lambda: data.StratifiedSampler(y)}, []),
    "source": ({"model": plain}, {"source": lambda: data.ArraySource(X, y, weight, window_rows=24)}, []),
    "generator": (
        {"model": plain},
        {
            "source": lambda: data.GeneratorSource(
                lambda: ((X[i : i + 30], y[i : i + 30]) for i in (0, 30, 60))
            )
        },
        [],
    ),
}


@pytest.mark.parametrize("at", [9, 38])
@pytest.mark.parametrize("case", CASES)
def test_the_bits_of_a_fit_that_was_not_interrupted(tmp_path, case, at):
    options, arguments, callbacks = CASES[case]

    def run(folder, more=(), **resumed):
        own = {k: v() if k == "model" else v for k, v in options.items()}
        trainer = trainer_of(**{"optimizer": optim.Adam(lr=0.02), **own})
        given = {k: v() if callable(v) else v for k, v in arguments.items()}
        rows = (given.pop("source"),) if "source" in given else (X, y)
        keep = Checkpoint(folder, every_batches=4)
        every = [*(make() for make in callbacks), keep, *more]
        trainer.fit(*rows, epochs=7, batch_size=8, callbacks=every, progress=False, **given, **resumed)
        return everything(trainer)

    whole = run(tmp_path / "whole")
    with pytest.raises(Interrupted):
        run(tmp_path / "cut", [InterruptAt(at)])
    assert not differences(whole, run(tmp_path / "cut", resume_from="auto"))
    names = [sorted(path.name for path in (tmp_path / run).iterdir()) for run in ("whole", "cut")]
    assert names[0] == names[1]
    newest = [(tmp_path / run / names[0][-1]).read_bytes() for run in ("whole", "cut")]
    assert (
        newest[0] == newest[1]
    )  # averages included, which everything() does not see where they replace nothing


def test_another_way_of_training_is_refused(tmp_path):
    first = trainer_of(optimizer=optim.Adam(), accumulate=2)
    first.fit(X, y, epochs=2, batch_size=8, callbacks=[Checkpoint(tmp_path)])
    for options, match in {
        "accumulate": ({}, "accumulate is 1 here, 2 in the checkpoint"),
        "l1": ({"accumulate": 2, "l1": 0.1}, r"l1 is 0\.1 here, 0 in the checkpoint"),
        "sampler": ({"accumulate": 2}, "sampler is StratifiedSampler.* here, none in the checkpoint"),
    }.values():
        sampler = data.StratifiedSampler(y) if "sampler" in match else None
        trainer = trainer_of(optimizer=optim.Adam(), **options)
        before = everything(trainer)
        with pytest.raises(cr.ValueError, match=match):
            trainer.fit(X, y, epochs=3, batch_size=8, sampler=sampler, resume_from=tmp_path)
        assert not differences(before, everything(trainer))


class Validation:
    """Read in two windows; Ctrl-C comes while it is read for the fifth time, in the third epoch."""

    rows, window_rows = 20, 10

    def __init__(self, interrupted):
        self.reads = 0 if interrupted else 5

    def read(self, first, count):
        self.reads += 1
        if self.reads == 5:
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.5)
        return X[first : first + count], y[first : first + count]


@pytest.mark.parametrize("others", [0, 1, 2])
def test_averages_in_another_order_have_their_turn_once(tmp_path, others):
    """Where the validation was interrupted they are up to date, those that come new are not."""

    def run(folder, *averages, interrupted=False, **options):
        trainer = trainer_of(optim.SGD(lr=0.05))
        arguments = {
            "epochs": 4,
            "batch_size": 8,
            "validation_data": Validation(interrupted),
            "progress": False,
        }
        callbacks = [*averages, Checkpoint(folder)]
        try:
            trainer.fit(data.ArraySource(X, y), callbacks=callbacks, **arguments, **options)
        except KeyboardInterrupt:
            assert interrupted
        return everything(trainer)

    whole = run(tmp_path / "whole", SWA(start=1))
    run(tmp_path / "cut", SWA(start=1), interrupted=True)
    new = [SWA(start=2, replace=False), EMA(decay=0.9, replace=False)][:others]
    swa = SWA(start=1)
    resumed = run(tmp_path / "cut", *new, swa, resume_from="auto")
    assert swa.updates == 4
    assert [average.updates for average in new[:1]] == [2] * len(new[:1])
    assert not differences(whole, resumed)
