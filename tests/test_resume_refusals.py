"""Which checkpoints a fit does not go on from: those of another fit, Trainer, rate or list of callbacks."""

from __future__ import annotations

import chainrule as cr
import numpy as np
import pytest
from chainrule import nn, optim
from chainrule.callbacks import EMA, Checkpoint, EarlyStopping
from checkpoint_runs import X, differences, everything, fit, model_of, resume, trainer_of, weight, y


@pytest.fixture
def folder(tmp_path):
    """With checkpoints after 1, 2 and 3 epochs."""
    fit(trainer_of(), epochs=3, callbacks=[Checkpoint(tmp_path / "a")])
    return tmp_path / "a"


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


def test_the_differences_of_a_model_that_is_not_fitted_yet(folder):
    model = nn.Sequential(nn.Linear(6, 5), nn.Standardizer(5), nn.Linear(5, 3), seed=0)
    with pytest.raises(
        cr.ValueError, match=r"of another fit: model is .*Linear\(6, 5\).* here, .* in the checkpoint"
    ):
        resume(folder, trainer_of(model=model))
