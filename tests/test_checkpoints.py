"""Checkpoints: a fit that was interrupted ends with the bits of one that was not, and no file is lost."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import warnings
from pathlib import Path

import chainrule as cr
import numpy as np
import pytest
from chainrule import nn, optim
from chainrule.callbacks import EMA, SWA, Checkpoint, EarlyStopping
from checkpoint_runs import X, differences, everything, fit, model_of, trainer_of, weight, y
from cpp_build import ROOT, library, run

HERE = Path(__file__).parent


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


def test_kept_files_and_the_best(tmp_path):
    trainer, states = trainer_of(), []
    keep = Checkpoint(tmp_path, keep_last=2, monitor="val_loss")
    fit(trainer, epochs=5, callbacks=[lambda fit: states.append(fit.trainer.model.predict(X)), keep])
    assert names(tmp_path) == ["best.safetensors"] + [
        f"checkpoint-0000{i}-0000000.safetensors" for i in (4, 5)
    ]
    losses = trainer.history["val_loss"]
    assert keep.best == min(losses)
    assert keep.best_epoch == 1 + int(np.argmin(losses))
    assert keep.newest == str(tmp_path / "checkpoint-00005-0000000.safetensors")
    best = cr.load(tmp_path / "best.safetensors")  # a model of that epoch
    np.testing.assert_array_equal(best.predict(X), states[keep.best_epoch - 1])
    np.testing.assert_array_equal(cr.load(keep.newest).predict(X), states[-1])


def test_by_the_clock_and_when_interrupted(tmp_path):
    trainer = trainer_of()
    keep = Checkpoint(tmp_path, every_epochs=None, every_minutes=1e-9, keep_last=100)
    fit(trainer, epochs=2, callbacks=[keep])
    assert len(names(tmp_path)) > 3
    one, calls = trainer_of(), []

    def stop(report):
        calls.append(report)
        if len(calls) == 2:
            raise KeyboardInterrupt

    keep = Checkpoint(tmp_path / "stopped", every_epochs=100)
    with pytest.raises(KeyboardInterrupt):
        fit(one, epochs=40, callbacks=[keep], progress=stop)
    assert len(names(tmp_path / "stopped")) >= 1
    other, whole = trainer_of(), trainer_of()
    fit(other, epochs=4, callbacks=[Checkpoint(tmp_path / "stopped")], resume_from="auto")
    fit(whole, epochs=4)
    assert not differences(everything(whole), everything(other))


@pytest.fixture
def folder(tmp_path):
    """With checkpoints after 1, 2 and 3 epochs."""
    fit(trainer_of(), epochs=3, callbacks=[Checkpoint(tmp_path / "a")])
    return tmp_path / "a"


def resume(folder, trainer=None, **options):
    trainer = trainer or trainer_of()
    fit(trainer, **{"epochs": 5, "resume_from": folder, **options})
    return trainer


@pytest.mark.parametrize("damage", ["cut", "flipped", "header", "empty"])
def test_broken_files_are_passed_over_and_told(folder, damage):
    whole = resume(folder)
    newest = folder / "checkpoint-00003-0000000.safetensors"
    data = bytearray(newest.read_bytes())
    if damage == "cut":
        data = data[: len(data) // 2]
    if damage == "flipped":
        data[-5] ^= 1
    if damage == "header":
        at = data.index(b'\\"epoch\\":3')
        data[at + len(b'\\"epoch\\":')] = ord("2")
    newest.write_bytes(data if damage != "empty" else b"")
    with pytest.warns(RuntimeWarning, match="went back to .*checkpoint-00002.*cannot be read: .*00003"):
        other = resume(folder)
    assert not differences(everything(whole), everything(other))
    with pytest.raises(cr.FileError, match="checkpoint-00003"):
        resume(newest)
    if damage in ("flipped", "header"):
        with pytest.raises(cr.FileError, match="checksum does not match; the file is damaged"):
            cr.load(newest)
    for path in folder.iterdir():
        path.write_bytes(b"x" * 100)
    with pytest.raises(cr.FileError, match="no checkpoint in this folder can be read"):
        resume(folder)


def test_where_there_is_nothing_to_go_on_from(tmp_path):
    for empty in (tmp_path, tmp_path / "missing" / "folder"):
        with pytest.raises(cr.FileError, match=r"there is no checkpoint|cannot be opened"):
            resume(empty)
    with pytest.raises(cr.ValueError, match=r'resume_from="auto" looks into the folder of a Checkpoint'):
        resume("auto")
    with pytest.raises(ValueError, match="empty name"):
        resume("")
    nn.Linear(2, 2).save(tmp_path / "model.safetensors")
    with pytest.raises(cr.FileError, match="is no checkpoint; give a file or folder"):
        resume(tmp_path / "model.safetensors")


OTHERS = {
    r"batch_size is 10 here, 8 in the checkpoint": {"batch_size": 10},
    r"shuffle is false here, true in the checkpoint": {"shuffle": False},
    r"X is float32 \(72, 6\) here, float32 \(82, 6\) in the checkpoint": {"validation_split": 0.3},
    r"sample_weight is none here, float32 \(103,\), checksum [0-9a-f]{16} in the checkpoint": {
        "sample_weight": None
    },
    r"sample_weight is float32 .* here, float32 .* in the": {"sample_weight": 1 + weight},
    r"class_weight is \{0: 3\} here, none in the checkpoint": {"class_weight": {0: 3.0}},
    r"epochs is 2 here, the checkpoint has finished 3": {"epochs": 2},
    r"seed is 4 here, 3 in the checkpoint": {"seed": 4},
}


@pytest.mark.parametrize("match", OTHERS)
def test_another_fit_is_refused_and_nothing_is_changed(folder, match):
    trainer = trainer_of()
    before = everything(trainer)
    with pytest.raises(cr.ValueError, match=match + r".*nothing was changed"):
        resume(folder, trainer, **OTHERS[match])
    assert not differences(before, everything(trainer))


def test_another_trainer_is_refused(folder):
    def refused(match, **options):
        with pytest.raises(cr.ValueError, match=match):
            resume(folder, trainer_of(**options))

    wide = nn.Sequential(*list(model_of())[:-1], nn.Linear(16, 4))
    refused(r"model is Sequential.*Linear\(16, 4\).* here, .*Linear\(16, 3\).* in the checkpoint", model=wide)
    refused("optimizer is SGD.*here, Adam", optimizer=optim.SGD(lr=0.1))
    refused(r"optimizer is Adam\(betas=\(0.8", optimizer=optim.Adam(lr=0.1, betas=(0.8, 0.9)))
    refused(r"lr is 0\.1 here, ReduceOnPlateau.* in the checkpoint", optimizer=optim.Adam(lr=0.1))
    refused(r"metrics is \[\] here, \[accuracy\]", metrics=[])
    refused("clip_norm is 1 here, none in the checkpoint", clip_norm=1.0)


def test_other_callbacks(folder):
    resume(folder, callbacks=[EarlyStopping()])  # begins with the first epoch it sees
    two = folder.parent / "two"
    fit(trainer_of(), epochs=4, callbacks=[lambda fit: None, Checkpoint(two), EarlyStopping()])
    for match, callbacks in {
        "callbacks lacks EarlyStopping.monitor=val_loss, patience=10": [],
        "callbacks lacks EarlyStopping.monitor=val_loss.* of the checkpoint": [EMA(), Counts()],
        "a callback is EarlyStopping.*patience=3.* here, EarlyStopping.*patience=10": [
            EarlyStopping(patience=3)
        ],
        "a callback is EarlyStopping.monitor=loss.* here, EarlyStopping.monitor=val_loss": [
            EarlyStopping(monitor="loss")
        ],
        "there is Checkpoint.monitor=loss, mode=min. here, Checkpoint.monitor=val_loss": [
            EarlyStopping(),
            Checkpoint(two, monitor="loss"),
        ],
    }.items():
        trainer = trainer_of()
        before = everything(trainer)
        with pytest.raises(cr.ValueError, match=match):
            resume(two, trainer, callbacks=callbacks)
        assert not differences(before, everything(trainer))
    # What keeps nothing comes and goes, wherever it stands; what the checkpoint does not know begins.
    resume(two, callbacks=[Counts(), EMA(replace=False), lambda fit: None, EarlyStopping()])


def test_observers_come_and_go_with_what_they_keep(folder):
    def trained(callbacks, epochs, **options):
        fit(trainer_of(), epochs=epochs, callbacks=[*callbacks, Checkpoint(folder)], **options)

    def watch():
        health = cr.callbacks.Health(X, y)
        health.on_epoch_end = lambda fit: health._warned.add("0")
        return health

    log, stop = Observes(), EarlyStopping(patience=50)
    for path in folder.iterdir():
        path.unlink()
    trained([watch(), log, stop, Counts()], 2)
    trained([EarlyStopping(patience=50), Counts()], 3, resume_from="auto")
    first, second, health = Observes(), Observes(), watch()
    trained([EarlyStopping(patience=50), first, Counts(), health, second], 4, resume_from="auto")
    assert (first.epochs, health._warned) == (1, {"0"})  # what was left away has begun anew
    first, second, health = Observes(), Observes(), watch()
    trained([second, health, first, Counts(), EarlyStopping(patience=50)], 5, resume_from="auto")
    assert (first.epochs, second.epochs) == (2, 2)
    with pytest.raises(cr.ValueError, match="callbacks lacks Counts of the checkpoint"):
        trained([Observes(), EarlyStopping(patience=50)], 6, resume_from="auto")


class Observes(cr.callbacks.Callback):
    observer = True
    epochs = 0

    def on_epoch_end(self, fit):
        self.epochs += 1

    def state_dict(self):
        return {"epochs": np.int64(self.epochs)}

    def load_state_dict(self, state):
        self.epochs = int(state["epochs"])


def test_states_that_cannot_be_kept(tmp_path):
    class Half(cr.callbacks.Callback):
        def state_dict(self):
            return {}

    with pytest.raises(cr.DTypeError, match=r"Half has state_dict alone; write load_state_dict\(state\)"):
        fit(trainer_of(), epochs=1, callbacks=[Half()])
    for kept, match in {
        "text": r"Counts\.state_dict\(\): what it gives for 'value' cannot be kept: .*got str",
        (): r"Counts\.state_dict\(\): what it gives for 'values' cannot be kept: ",
    }.items():
        counts = Counts()
        counts.value, counts.values = (kept, [1]) if kept else (1.0, [[1], [1, 2]])
        with pytest.raises(cr.DTypeError, match=match):
            fit(trainer_of(), epochs=1, callbacks=[counts, Checkpoint(tmp_path)])


class Counts(cr.callbacks.Callback):
    """Keeps numbers of Python's."""

    def __init__(self):
        self.value, self.values, self.taken = 0.1, [0.1, 0.2], None

    def state_dict(self):
        return {"value": self.value, "values": self.values}

    def load_state_dict(self, state):
        self.taken = state


def test_numbers_of_pythons_keep_their_bits(tmp_path):
    fit(trainer_of(), epochs=1, callbacks=[Counts(), Checkpoint(tmp_path)])
    counts = Counts()
    fit(trainer_of(), epochs=2, callbacks=[counts, Checkpoint(tmp_path)], resume_from="auto")
    assert float(counts.taken["value"]) == 0.1
    assert counts.taken["values"].tolist() == [0.1, 0.2]


def test_another_rate_is_refused_but_not_what_training_made_of_it(tmp_path):
    class Halves(cr.callbacks.Callback):
        def on_epoch_end(self, fit):
            fit.trainer.optimizer.lr *= 0.5

    def run(lr, epochs):
        trainer = trainer_of(optim.SGD(lr=lr))
        fit(trainer, epochs=epochs, callbacks=[Halves(), Checkpoint(tmp_path)], resume_from="auto")
        return trainer.optimizer.lr

    assert run(0.1, 2) == 0.025
    with pytest.raises(cr.ValueError, match=r"lr is 0\.2 here, 0\.1 in the checkpoint"):
        run(0.2, 3)
    assert run(0.1, 3) == 0.0125
    assert run(0.0125, 4) == 0.00625  # of the Trainer that was interrupted, say
    assert run(0.1, 5) == 0.003125


def test_other_samplers_and_weights_by_class_are_refused(tmp_path):
    def run(folder, **options):
        trainer = trainer_of(optim.Adam(lr=0.02))
        trainer.fit(X, y, epochs=2, callbacks=[Checkpoint(folder)], resume_from="auto", **options)

    run(tmp_path / "a", sampler=cr.data.WeightedSampler(weight))
    with pytest.raises(cr.ValueError, match=r"sampler is WeightedSampler.* here, WeightedSampler"):
        run(tmp_path / "a", sampler=cr.data.WeightedSampler(1 / weight))
    run(tmp_path / "b", class_weight={0: 2.0})
    with pytest.raises(cr.ValueError, match=r"class_weight is \{0: 2, 1: 0\.5\} here, \{0: 2\} in the"):
        run(tmp_path / "b", class_weight={0: 2.0, 1: 0.5})


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


def test_the_best_comes_along_to_another_folder(tmp_path):
    def run(folder, epochs, **options):
        keep = Checkpoint(folder, mode="max")  # the first epoch is the best, for a while
        fit(trainer_of(), epochs=epochs, callbacks=[keep], **options)
        return keep

    first = run(tmp_path / "a", 2)
    assert first.best_epoch == 1
    there = run(tmp_path / "b", 3, resume_from=tmp_path / "a")
    best = (tmp_path / "b" / "best.safetensors").read_bytes()
    assert best == (tmp_path / "a" / "best.safetensors").read_bytes()
    assert there.best_epoch == 1
    (tmp_path / "a" / "best.safetensors").unlink()
    anew = run(tmp_path / "c", 3, resume_from=tmp_path / "a")
    assert anew.best_epoch == 3
    assert (tmp_path / "c" / "best.safetensors").exists()


def test_one_folder_is_for_one_checkpoint(tmp_path):
    two = [Checkpoint(tmp_path / "a"), Checkpoint(tmp_path / "b" / ".." / "a", monitor="loss")]
    with pytest.raises(cr.ValueError, match=r"Checkpoint: two of them have one folder.*: .*a; give each"):
        fit(trainer_of(), callbacks=two)
    assert names(tmp_path) == []
    with pytest.raises(
        cr.ValueError, match=r"a Checkpoint keeps one fit, and here are several; leave it away"
    ):
        cr.cross_validate(
            lambda: nn.Linear(6, 3),
            X,
            y,
            loss=nn.CrossEntropyLoss(),
            optimizer=optim.SGD(lr=0.1),
            callbacks=two[:1],
        )


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


def test_the_differences_of_a_model_that_is_not_fitted_yet(folder):
    model = nn.Sequential(nn.Linear(6, 5), nn.Standardizer(5), nn.Linear(5, 3), seed=0)
    with pytest.raises(
        cr.ValueError, match=r"of another fit: model is .*Linear\(6, 5\).* here, .* in the checkpoint"
    ):
        resume(folder, trainer_of(model=model))


def test_what_a_checkpoint_tells_about_its_model(tmp_path):
    fit(trainer_of(), epochs=1, callbacks=[Checkpoint(tmp_path, training='{"by": "hand"}')])
    assert json.loads(cr.load(tmp_path / "best.safetensors").training_json) == {"by": "hand"}
    with pytest.raises(cr.ValueError, match="training_json is no JSON object"):
        fit(trainer_of(), epochs=1, callbacks=[Checkpoint(tmp_path / "b", training="[")])


def test_a_folder_of_another_fit_is_refused(folder):
    before = names(folder)
    with pytest.raises(cr.StateError, match=r"holds checkpoints of another fit.*checkpoint-00001"):
        fit(trainer_of(), callbacks=[Checkpoint(folder)])
    assert names(folder) == before
    (folder / "best.safetensors.tmp-1234567-0").write_bytes(b"half")  # of a process that was killed
    back = folder / "checkpoint-00001-0000000.safetensors"
    resume(back, epochs=2, callbacks=[Checkpoint(folder)])
    assert names(folder) == [*before[:3]], (
        "what comes after the epoch gone back to is gone, as is what was half written"
    )


def test_bad_arguments(tmp_path):
    with pytest.raises(cr.ValueError, match="never due"):
        Checkpoint(tmp_path, every_epochs=None)
    with pytest.raises(cr.ValueError, match="keep_last must be at least 1"):
        Checkpoint(tmp_path, keep_last=0)
    with pytest.raises(cr.ValueError, match="unknown mode"):
        Checkpoint(tmp_path, mode="least")
    with pytest.raises(cr.ValueError, match="0 or more"):
        Checkpoint(tmp_path, every_minutes=-1)
    with pytest.raises(cr.ValueError, match=r'monitor="val_f1"'):
        fit(trainer_of(), callbacks=[Checkpoint(tmp_path, monitor="val_f1", mode="max")])
    (tmp_path / "file").write_text("")
    with pytest.raises(cr.FileError, match="is no folder"):
        fit(trainer_of(), callbacks=[Checkpoint(tmp_path / "file")])
    assert repr(Checkpoint(tmp_path)) == f'Checkpoint("{tmp_path}")'


def test_a_model_that_cannot_be_saved_is_refused_before_training(tmp_path):
    class Leaks(nn.Module):
        def __init__(self):
            self.inner = nn.Linear(6, 3)

        def forward(self, x):
            return self.inner(x) / x.shape[0]

    trainer = trainer_of(model=Leaks())
    with pytest.raises(cr.ValueError, match="batch"):
        fit(trainer, callbacks=[Checkpoint(tmp_path / "a")])
    assert trainer.global_step == 0
    assert not (tmp_path / "a").exists()


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


def test_a_checkpoint_holds_what_docs_say(folder):
    data = (folder / "checkpoint-00002-0000000.safetensors").read_bytes()
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    facts = json.loads(header["__metadata__"]["checkpoint"])
    assert (facts["epoch"], facts["batch"], facts["format"]) == (2, 0, 2)
    assert facts["columns"] == ["loss", "accuracy", "val_loss", "val_accuracy"]
    assert header["checkpoint/history"]["shape"] == [4, 2]
    assert len(header["__metadata__"]["checksum"]) == 16
    assert {"checkpoint/trainer/global_step", "checkpoint/trainer/optimizer.0.exp_avg", "1.weight"} <= set(
        header
    )


FULL_DISK = """
import resource, signal, sys, warnings
from pathlib import Path
import chainrule as cr
from checkpoint_runs import *
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
folder = Path(sys.argv[1])
folder.mkdir()

def disk(fit):  # full after epoch 2, free again after epoch 4
    limit = 1000 if 2 <= fit.epoch < 4 else resource.RLIM_INFINITY
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))

def files():
    return sorted(path.name for path in folder.iterdir())

trainer, keep, seen = trainer_of(), cr.callbacks.Checkpoint(folder, keep_best=False), []
best, epochs = cr.callbacks.Checkpoint(folder.parent / "best", every_epochs=100, monitor="loss"), []
look = lambda fit: (seen.append(files()), epochs.append(best.best_epoch))
with warnings.catch_warnings(record=True) as told:
    warnings.simplefilter("always")
    fit(trainer, epochs=5, callbacks=[look, disk, best, keep])
print([len(names) for names in seen], keep.failures, keep.error == "", epochs, Path(best.newest).name)
print(*(str(w.message).replace(str(folder), "") for w in told), sep="\\n")
print(files())
whole = trainer_of()
fit(whole, epochs=5)
assert everything(whole) == everything(trainer)
disk(type("", (), {"epoch": 3}))
other = trainer_of()
try:
    fit(other, epochs=5, callbacks=[cr.callbacks.Checkpoint(folder / "b")])
except cr.FileError as error:
    print(str(error).replace(str(folder), ""), list((folder / "b").iterdir()), other.global_step)
"""


def program(text, *arguments):
    done = subprocess.run(
        [sys.executable, "-c", text, *map(str, arguments)],
        cwd=HERE,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.splitlines()


def test_a_full_disk_ends_no_training_and_costs_no_file(tmp_path):
    lines = program(FULL_DISK, tmp_path / "a")
    assert lines[0] == "[0, 1, 1, 1, 2] 2 True [0, 1, 1, 1, 4] checkpoint-00005-0000000.safetensors"
    assert lines.pop(1).startswith("Checkpoint: " + str(tmp_path / "best"))
    assert lines[1] == (
        "Checkpoint: /checkpoint-00002-0000000.safetensors: cannot be written: File too large; "
        "the old file, if any, is unchanged; training goes on, "
        "/checkpoint-00001-0000000.safetensors is the newest checkpoint"
    )
    assert lines[2] == str([f"checkpoint-0000{i}-0000000.safetensors" for i in (1, 4, 5)])
    assert lines[3].startswith("Checkpoint: /b/best.safetensors: cannot be written: File too large")
    assert lines[3].endswith("[] 11")
    assert len(lines) == 4


def kills(tmp_path, count, due="every_batches=2"):
    call = f"kill_again_and_again(Path(sys.argv[1]), int(sys.argv[2]), 7, {due})"
    text = f"from checkpoint_runs import *; {call}"
    lines = program(text, tmp_path, count)
    assert lines[-1].startswith(f"{count} kills")


def test_killed_at_5_moments(tmp_path):
    kills(tmp_path, 5)


def test_killed_before_a_checkpoint_is_due(tmp_path):
    kills(tmp_path, 5, "every_epochs=5")


@pytest.mark.slow
def test_killed_at_30_moments(tmp_path):
    kills(tmp_path, 30)


def test_warnings_that_are_errors_end_the_fit(folder):
    (folder / "checkpoint-00003-0000000.safetensors").write_bytes(b"")
    trainer = trainer_of()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(RuntimeWarning, match="went back"):
            resume(folder, trainer)
    assert trainer.global_step == 0


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
