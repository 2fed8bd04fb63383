"""Checkpoints: a fit that was interrupted ends with the bits of one that was not."""

from __future__ import annotations

import os

import chainrule as cr
import numpy as np
import pytest
from chainrule import nn, optim
from chainrule.callbacks import SWA, Checkpoint, EarlyStopping
from checkpoint_runs import (
    InterruptAt,
    Interrupted,
    X,
    differences,
    everything,
    fit,
    model_of,
    names,
    trainer_of,
    y,
)
from cpp_build import ROOT, library, run


def interrupted(folder, make, at, callbacks=lambda: [], checkpoint=None, **options):
    """Everything of a whole fit, and of one interrupted after `at` batches that went on in a new Trainer."""
    options = {"epochs": 6, **options}
    checkpoint = checkpoint or {"every_batches": 4}
    whole = make()
    fit(whole, callbacks=[*callbacks(), Checkpoint(folder / "whole", **checkpoint)], **options)
    one = make()
    own = callbacks()
    with pytest.raises(Interrupted):
        fit(one, callbacks=[*own, Checkpoint(folder / "cut", **checkpoint), InterruptAt(at)], **options)
    other = make()
    fit(
        other,
        callbacks=[*callbacks(), Checkpoint(folder / "cut", **checkpoint)],
        resume_from="auto",
        **options,
    )
    assert names(folder / "cut") == names(folder / "whole")
    return everything(whole), everything(other)


OPTIMIZERS = [
    optim.SGD(lr=0.05, momentum=0.9, nesterov=True),
    optim.Adagrad(lr=0.05),
    optim.RMSprop(lr=0.01, momentum=0.5, centered=True),
    optim.Adam(lr=0.02, amsgrad=True),
    optim.AdamW(lr=0.02),
    optim.Adadelta(),
    optim.Adamax(lr=0.02),
    optim.NAdam(lr=0.02),
    optim.RAdam(lr=0.02),
    optim.Lion(lr=0.003),
]


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=lambda o: repr(o).partition("(")[0])
@pytest.mark.parametrize("at", [7, 33])
def test_every_optimizer_goes_on(tmp_path, optimizer, at):
    whole, cut = interrupted(tmp_path, lambda: trainer_of(optimizer), at)
    assert not differences(whole, cut)


@pytest.mark.parametrize(
    "optimizer", [optim.LBFGS(lr=0.5, max_iter=3), optim.LevenbergMarquardt()], ids=["LBFGS", "LM"]
)
def test_drivers_go_on(tmp_path, optimizer):
    def make():
        return cr.Trainer(nn.MLP([6, 5, 1], seed=1), nn.MSELoss(), optimizer)

    target = X[:, :1] ** 2

    def run(folder, **options):
        trainer = make()
        callbacks = [Checkpoint(folder, every_batches=1), *options.pop("more", [])]
        trainer.fit(X, target, epochs=4, batch_size=40, progress=False, callbacks=callbacks, **options)
        return everything(trainer)

    whole = run(tmp_path / "whole")
    with pytest.raises(Interrupted):
        run(tmp_path / "cut", more=[InterruptAt(5)])
    assert not differences(whole, run(tmp_path / "cut", resume_from=tmp_path / "cut"))


SCHEDULES = {
    "plateau": lambda: cr.schedules.ReduceOnPlateau(0.05, patience=0, factor=0.5),
    "epochs": lambda: cr.schedules.Cosine(0.05, 6, per="epoch"),
    "steps": lambda: cr.schedules.Warmup(cr.schedules.Exponential(0.05, 0.99), 10),
    "function": lambda: lambda step: 0.05 / (1 + step),
}


@pytest.mark.parametrize("schedule", SCHEDULES.values(), ids=SCHEDULES)
def test_schedules_go_on(tmp_path, schedule):
    whole, cut = interrupted(tmp_path, lambda: trainer_of(optim.Adam(lr=schedule())), 41)
    assert not differences(whole, cut)


def test_early_stopping_goes_on_and_restores_the_best(tmp_path):
    def make():
        return trainer_of(optim.SGD(lr=cr.schedules.Constant(0.5)))

    def callbacks():
        return [EarlyStopping(monitor="val_loss", patience=3)]

    whole, cut = interrupted(tmp_path, make, 35, callbacks, {"every_epochs": 1}, epochs=40)
    assert "has not improved" in whole["stopped"]
    assert not differences(whole, cut)
    over = make()
    stop = callbacks()[0]  # the fit has ended by itself: nothing is trained, the best parameters are back
    with pytest.warns(
        RuntimeWarning, match="nothing was trained.* has ended by itself: val_loss has not improved"
    ):
        fit(over, epochs=40, callbacks=[stop, Checkpoint(tmp_path / "cut")], resume_from="auto")
    assert not differences(whole, everything(over))
    assert stop.best_epoch > 0


def test_what_callbacks_set_goes_on(tmp_path):
    class Acts(cr.callbacks.Callback):
        every = 5

        def __init__(self):
            self.calls = 0

        def on_fit_begin(self, fit):
            fit.trainer.optimizer.lr = 0.1
            self.calls = 0

        def on_batch_end(self, fit):
            self.calls += 1
            fit.trainer.optimizer.lr *= 0.9
            if self.calls > 2:  # NaN in the first epoch
                fit.log("calls", self.calls)
            if self.calls == 3:
                next(iter(fit.trainer.model.parameters())).requires_grad_(False)

        def state_dict(self):
            return {"calls": np.array(self.calls)}

        def load_state_dict(self, state):
            self.calls = int(state["calls"])

    whole, cut = interrupted(tmp_path, lambda: trainer_of(optim.Adam(lr=0.3)), 43, lambda: [Acts()])
    assert not differences(whole, cut)
    assert "calls" in whole["columns"]


def test_a_second_fit_and_another_seed_go_on(tmp_path):
    def make():
        trainer = trainer_of(optim.Adam(lr=cr.schedules.Cosine(0.05, 9, per="epoch")))
        fit(trainer, epochs=2, seed=11)
        return trainer

    whole, cut = interrupted(tmp_path, make, 30)
    assert not differences(whole, cut)
    whole, cut = interrupted(tmp_path / "seed", trainer_of, 30, seed=12)
    assert not differences(whole, cut)


def test_more_epochs_go_on_and_threads_do_not_matter(tmp_path):
    whole, part = trainer_of(), trainer_of()
    fit(whole, epochs=7)
    cr.set_num_threads(1)
    fit(part, epochs=4, callbacks=[Checkpoint(tmp_path, every_epochs=3)])
    assert names(tmp_path)[1:] == [f"checkpoint-0000{i}-0000000.safetensors" for i in (3, 4)]
    cr.set_num_threads(2)
    rest = trainer_of()
    history = fit(rest, epochs=7, resume_from=tmp_path / "checkpoint-00003-0000000.safetensors")
    assert history.epochs == 7
    assert not differences(everything(whole), everything(rest))


def test_the_epoch_of_swa_stays_where_epochs_are_more(tmp_path):
    def run(folder, epochs, **options):
        swa = SWA(start=0.5, lr=0.01)
        trainer = trainer_of(optim.SGD(lr=cr.schedules.Cosine(0.1, 8, per="epoch")))
        fit(trainer, epochs=epochs, callbacks=[swa, Checkpoint(folder)], **options)
        return {**everything(trainer), "updates": swa.updates}

    run(tmp_path / "cut", 4)  # from epoch 3 on
    longer = run(tmp_path / "cut", 8, resume_from="auto")
    assert longer["updates"] == 6
    run(tmp_path / "again", 4)
    back = tmp_path / "again" / "checkpoint-00002-0000000.safetensors"
    assert not differences(longer, run(tmp_path / "again", 8, resume_from=back))


def test_the_rate_an_epoch_began_with(tmp_path):
    def run(folder, at=None, callbacks=(), **options):
        trainer = trainer_of(optim.SGD(lr=cr.schedules.ReduceOnPlateau(0.5, patience=0, factor=0.5)))
        rates = []

        class Sees(cr.callbacks.Callback):
            def on_batch_end(self, fit):
                if fit.batch == 1:
                    rates.append(fit.trainer.optimizer.lr)

        every = [cr.callbacks.LearningRate(), *callbacks, Checkpoint(folder, every_batches=4), Sees()]
        try:
            fit(trainer, epochs=6, callbacks=[*every, *([InterruptAt(at)] if at else [])], **options)
        except Interrupted:
            assert at
        return trainer.history, rates

    history, rates = run(tmp_path / "whole")
    assert history["lr"] == rates
    assert len(set(rates)) > 1
    run(tmp_path / "cut", at=18)
    assert run(tmp_path / "cut", resume_from="auto")[0]["lr"] == rates
    swa, rates = run(tmp_path / "swa", callbacks=[SWA(start=3, lr=0.01)])
    assert swa["lr"] == rates
    assert swa["lr"][2:] == [0.01] * 4


def test_what_a_function_has_stopped_goes_on(tmp_path):
    def run(stop, epochs, **options):
        trainer = trainer_of()
        fit(trainer, epochs=epochs, callbacks=[stop, Checkpoint(tmp_path)], **options)
        return trainer.history

    def enough(fit):
        if fit.epoch == 2:
            fit.stop("enough")

    assert run(enough, 4).stopped == "enough"
    history = run(lambda fit: None, 4, resume_from="auto")
    assert (history.epochs, history.stopped) == (4, "")
    with pytest.warns(
        RuntimeWarning, match="nothing was trained: the checkpoint .* has finished 4 of 4 epochs"
    ):
        assert run(enough, 4, resume_from="auto").epochs == 4


@pytest.fixture
def folder(tmp_path):
    """With checkpoints after 1, 2 and 3 epochs."""
    fit(trainer_of(), epochs=3, callbacks=[Checkpoint(tmp_path / "a")])
    return tmp_path / "a"


def test_statistics_are_not_fitted_anew(folder):
    calls = []

    class Sees(nn.Module):
        def __init__(self):
            self.inner = model_of()

        def forward(self, x):
            calls.append(x.shape[0])
            return self.inner(x)

    fit(trainer_of(model=Sees()), epochs=2, callbacks=[Checkpoint(folder.parent / "b")])
    assert 82 in calls  # the pass over all rows that fits the Standardizer
    calls.clear()
    fit(trainer_of(model=Sees()), epochs=3, resume_from=folder.parent / "b")
    assert calls
    assert 82 not in calls


@pytest.fixture(scope="module")
def cpp(tmp_path_factory):
    """The folder of checkpoints.cpp, compiled as a user would, with its data."""
    folder = tmp_path_factory.mktemp("cpp")
    libraries = library() / "cpp"
    X.tofile(folder / "x")
    y.tofile(folder / "y")
    flags = ["-std=c++20", "-O1", "-Wall", "-Wextra", "-Werror", "-I", ROOT / "cpp" / "include"]
    link = ["-L", libraries, "-lchainrule", f"-Wl,-rpath,{libraries}"]
    source = ROOT / "tests" / "checkpoints.cpp"
    run(os.environ.get("CXX", "c++"), *flags, source, "-o", "train", *link, cwd=folder)
    return folder


@pytest.mark.build
def test_a_fit_goes_from_python_to_cpp_and_back(cpp, tmp_path):
    def in_cpp(folder, at):
        run(cpp / "train", cpp / "x", cpp / "y", folder, at)

    def in_python(folder, at):
        callbacks = [EarlyStopping(), Checkpoint(folder, every_batches=4), *([InterruptAt(at)] if at else [])]
        try:
            fit(trainer_of(), epochs=6, sample_weight=None, callbacks=callbacks, resume_from="auto")
        except Interrupted:
            assert at

    in_python(tmp_path / "whole", 0)
    expected = {path.name: path.read_bytes() for path in (tmp_path / "whole").iterdir()}
    assert len(expected) == 4
    runs = {
        "cpp": [(in_cpp, 0)],
        "there": [(in_python, 21), (in_cpp, 0)],
        "back": [(in_cpp, 21), (in_python, 0)],
    }
    for name, parts in runs.items():
        for part, at in parts:
            part(tmp_path / name, at)
        written = {path.name: path.read_bytes() for path in (tmp_path / name).iterdir()}
        assert written.keys() == expected.keys(), name
        assert [file for file in written if written[file] != expected[file]] == [], name
