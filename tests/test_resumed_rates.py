"""Learning rates of a fit that goes on: what differs is refused, what training made of them is taken up."""

from __future__ import annotations

import chainrule as cr
import pytest
from chainrule import optim, schedules
from chainrule.callbacks import Checkpoint
from checkpoint_runs import differences, everything, fit, trainer_of

FALLS = schedules.Exponential(0.1, gamma=0.5, per="epoch")
COSINE = schedules.Cosine(0.1, 90)


def sgd(group, pattern="*.bias"):
    return optim.SGD(lr=0.05, groups={pattern: group})


def run(folder, optimizer, epochs, *callbacks):
    """Goes on where the folder has a checkpoint."""
    trainer = trainer_of(optimizer)
    fit(trainer, epochs=epochs, callbacks=[*callbacks, Checkpoint(folder)], resume_from="auto")
    return trainer


def gives(rate):
    """A callback that gives the last group another rate after the second epoch."""

    def callback(fit):
        if fit.epoch == 2:
            fit.trainer.optimizer.groups[-1].lr = rate

    return callback


@pytest.mark.parametrize("group", [{"lr_scale": 0.5}, {"lr": 0.02}, {"lr": COSINE}], ids=str)
def test_a_schedule_that_a_callback_gave_a_group_must_be_here(tmp_path, group):
    run(tmp_path, sgd(group), 4, gives(FALLS))
    here = r"Cosine\(.*\)" if group.get("lr") is COSINE else "a number"
    made = r"a callback has made it Exponential\(lr=0\.1, gamma=0\.5, per='epoch'\) in the checkpoint"
    with pytest.raises(cr.ValueError, match=rf"lr of group 1 \('\*\.bias'\) is {here} here, {made}"):
        run(tmp_path, sgd(group), 6, gives(FALLS))
    part = run(tmp_path, sgd({"lr": FALLS}), 6)  # one that begins with it goes on
    whole = run(tmp_path / "whole", sgd(group), 6, gives(FALLS))
    assert not differences(everything(whole), everything(part))


@pytest.mark.parametrize("pattern", ["*.bias", "*"])
@pytest.mark.parametrize("group", [{"lr_scale": 0.5}, {"lr": 0.02}, {"lr": COSINE}], ids=str)
def test_a_number_that_a_callback_gave_a_group_goes_on(tmp_path, pattern, group):
    run(tmp_path / "cut", sgd(group, pattern), 4, gives(0.3))
    part = run(tmp_path / "cut", sgd(group, pattern), 6, gives(0.3))
    whole = run(tmp_path / "whole", sgd(group, pattern), 6, gives(0.3))
    assert not differences(everything(whole), everything(part))
    assert part.optimizer.groups[-1].lr == 0.3


@pytest.mark.parametrize("pattern", ["*.bias", "*"])
def test_another_factor_of_the_rate_is_refused(tmp_path, pattern):
    def halved(scale):
        return sgd({"lr_scale": scale}, pattern)

    run(tmp_path, halved(0.5), 3)
    with pytest.raises(cr.ValueError, match=r"0\.05 times 0\.1\] here, .* times 0\.5\] in the checkpoint"):
        run(tmp_path, halved(0.1), 4)
    part = run(tmp_path, halved(0.5), 4)
    assert not differences(everything(run(tmp_path / "whole", halved(0.5), 4)), everything(part))


def test_the_one_group_is_compared(tmp_path):
    run(tmp_path, sgd({"weight_decay": 0.5}, "*"), 2)
    with pytest.raises(cr.ValueError, match=r"weight_decay=0\.1.* here, .*weight_decay=0\.5.* in the check"):
        run(tmp_path, sgd({"weight_decay": 0.1}, "*"), 3)


FUNCTIONS = {
    "alone": lambda rate: optim.SGD(lr=lambda step: rate / (1 + step)),
    "within": lambda rate: optim.SGD(lr=schedules.Warmup(lambda step: rate, 100)),
    "of_a_group": lambda rate: sgd({"lr": lambda step: rate}),
}


@pytest.mark.parametrize("make", FUNCTIONS.values(), ids=FUNCTIONS)
def test_functions_are_compared_by_the_next_rate(tmp_path, make):
    run(tmp_path, make(0.1), 3)
    text = r"lr is a function that gives .* for the next step here, one that gives .* in the checkpoint"
    with pytest.raises(cr.ValueError, match=text):
        run(tmp_path, make(0.2), 4)
    part = run(tmp_path, make(0.1), 4)
    assert not differences(everything(run(tmp_path / "whole", make(0.1), 4)), everything(part))


def test_a_function_in_place_of_which_a_callback_put_a_number(tmp_path):
    def freezes(fit):
        if fit.epoch == 2:
            fit.trainer.optimizer.lr = 0.01

    for folder, epochs in {"cut": [3, 5], "whole": [5]}.items():
        for last in epochs:
            trainer = run(tmp_path / folder, optim.SGD(lr=lambda step: 0.1), last, freezes)
        assert trainer.optimizer.lr == 0.01
