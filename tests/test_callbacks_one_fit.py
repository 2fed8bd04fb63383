"""A callback that keeps what is of one fit is refused by another: within it, beside it, twice in its list."""

from __future__ import annotations

import threading

import chainrule as cr
import pytest
from chainrule import nn
from checks import same_state
from record_averages import BATCH, EPOCHS
from test_averages import X, fit, network, trainer_of

OF_ONE_FIT = [
    lambda folder: cr.callbacks.EMA(0.9),
    lambda folder: cr.callbacks.SWA(1),
    lambda folder: cr.callbacks.EarlyStopping(monitor="loss"),
    lambda folder: cr.callbacks.Checkpoint(str(folder)),
]


class TestOneFitAtATime:
    @pytest.mark.parametrize("make", OF_ONE_FIT)
    def test_a_fit_within_a_fit(self, make, tmp_path):
        callback, seen = make(tmp_path), []
        name = type(callback).__name__

        def inner(run):
            with pytest.raises(cr.StateError) as refused:
                fit(trainer_of(nn.Linear(5, 2, dtype="float64")), callback, epochs=1)
            seen.append(str(refused.value))

        model, alone = network(), network()
        history = fit(trainer_of(model), callback, inner, epochs=3)
        assert seen == [f"{name}: is in another fit; give each fit one of its own"] * 3
        other = make(tmp_path / "alone")
        assert fit(trainer_of(alone), other, epochs=3)["loss"] == history["loss"]
        same_state(model, alone)

    @pytest.mark.parametrize("make", OF_ONE_FIT)
    def test_twice_in_a_list(self, make, tmp_path):
        callback = make(tmp_path)
        trainer = trainer_of(network())
        with pytest.raises(cr.StateError, match="is among the callbacks of a fit twice; give it once"):
            fit(trainer, callback, callback)
        assert trainer.global_step == 0
        fit(trainer, callback, epochs=1)

    def test_threads(self):
        average, told, inside = cr.callbacks.EMA(0.9), [], threading.Event()

        def second():
            inside.wait(30)
            try:
                fit(trainer_of(network()), average)
            except cr.StateError as error:
                told.append(str(error))

        thread = threading.Thread(target=second)

        def first(run):
            inside.set()
            if run.epoch == 1:
                thread.join(30)

        thread.start()
        fit(trainer_of(network()), average, first)
        assert told == ["EMA: is in another fit; give each fit one of its own"]
        assert average.updates == EPOCHS * len(X) // BATCH

    def test_free_again_however_a_fit_ends(self):
        average = cr.callbacks.EMA(0.9)

        class Refuses(cr.callbacks.Callback):
            def on_fit_begin(self, run):
                raise RuntimeError("begin")

        def breaks(run):
            raise RuntimeError("epoch")

        for other, text in ((Refuses(), "begin"), (breaks, "epoch")):
            with pytest.raises(RuntimeError, match=text):
                fit(trainer_of(network()), average, other)
        with pytest.raises(cr.ValueError, match="watches a value that no epoch gives"):
            fit(trainer_of(network()), average, cr.callbacks.EarlyStopping())
        fit(trainer_of(network()), average)
        assert average.updates > 0
