"""best.safetensors: what was measured, and a checkpoint to go on from like those by number."""

from __future__ import annotations

import json
from pathlib import Path

import chainrule as cr
import numpy as np
import pytest
from chainrule import optim
from chainrule.callbacks import EMA, SWA, Checkpoint, EarlyStopping
from checkpoint_runs import InterruptAt, Interrupted, X, differences, everything, fit, names, trainer_of, y

BATCHES = 11  # of an epoch of fit's


def run(folder, *callbacks, at=None, epochs=9, keep=None, second=None, **options):
    """A fit in this folder, interrupted after `at` epochs and a batch."""
    trainer = trainer_of(optim.SGD(lr=0.05))
    kept = Checkpoint(folder, **(keep or {"every_epochs": 5}))
    end = [InterruptAt(at * BATCHES + 1)] if at else []
    end = [second, *end] if second else end
    try:
        fit(trainer, epochs=epochs, callbacks=[*callbacks, kept, *end], **options)
    except Interrupted:
        assert at
    return trainer


def contents(folder):
    return {name: (folder / name).read_bytes() for name in names(folder)}


def test_a_fit_goes_on_from_the_best_where_no_other_is_there_yet(tmp_path):
    whole = run(tmp_path / "whole")
    run(tmp_path / "cut", at=3)
    assert names(tmp_path / "cut") == ["best.safetensors"]
    assert not differences(everything(whole), everything(run(tmp_path / "cut", resume_from="auto")))
    assert contents(tmp_path / "cut") == contents(tmp_path / "whole")
    run(tmp_path / "folder", at=3)
    other = run(tmp_path / "folder", resume_from=tmp_path / "folder")
    assert not differences(everything(whole), everything(other))


def test_the_best_is_taken_where_it_is_newer_and_only_there(tmp_path):
    seen = []

    def look(fit):
        seen.append(fit.epoch)

    run(tmp_path / "a", at=7)
    assert names(tmp_path / "a") == ["best.safetensors", "checkpoint-00005-0000000.safetensors"]
    run(tmp_path / "a", look, resume_from="auto")
    assert seen[0] == 8, "the loss fell up to epoch 7"
    run(tmp_path / "b", at=7, keep={"mode": "max"})  # the first epoch is the best
    seen.clear()
    run(tmp_path / "b", look, keep={"mode": "max"}, resume_from="auto")
    assert seen[0] == 8


def test_the_best_stands_in_for_checkpoints_that_cannot_be_read(tmp_path):
    run(tmp_path, at=7)
    newest = tmp_path / "checkpoint-00005-0000000.safetensors"
    newest.unlink()  # it was the same file as the best one of its epoch
    newest.write_bytes(b"x" * 100)
    with pytest.warns(RuntimeWarning, match=r"went back to .*best.safetensors.*cannot be read: .*00005"):
        assert run(tmp_path, resume_from="auto").history.epochs == 9
    for name in names(tmp_path):
        (tmp_path / name).unlink()
    (tmp_path / "best.safetensors").write_bytes(b"x" * 100)
    with pytest.raises(cr.FileError, match=r"no checkpoint in this folder can be read.*best.safetensors"):
        run(tmp_path, resume_from="auto")


def test_a_best_that_was_gone_back_from_is_none(tmp_path):
    """Back to an epoch whose best file is written over: the best of the epochs from there on is kept."""

    class Worse(cr.callbacks.Callback):
        every = 1

        def on_batch_end(self, fit):
            fit.trainer.optimizer.lr = 3.0

    every = {"keep_last": 9}
    run(tmp_path, epochs=6, keep=every)
    left = contents(tmp_path)["best.safetensors"]
    back = tmp_path / "checkpoint-00002-0000000.safetensors"
    losses = run(tmp_path, Worse(), epochs=5, keep=every, resume_from=back).history["val_loss"]
    assert losses[1] < min(losses[2:]), "so that nothing is better than what the checkpoint knows"
    files, best = contents(tmp_path), 3 + np.argmin(losses[2:])
    assert files["best.safetensors"] != left
    assert files["best.safetensors"] == files[f"checkpoint-0000{best}-0000000.safetensors"]


AVERAGES = {
    "ema": lambda: EMA(decay=0.9),
    "ema_of_batches": lambda: EMA(decay=0.9, every=3, average_buffers=False),
    "swa": lambda: SWA(start=3, lr=0.03),
}


@pytest.mark.parametrize("make", AVERAGES.values(), ids=AVERAGES)
def test_files_hold_the_averages_that_were_measured(tmp_path, make):
    held_out = (X[:20], y[:20])

    def fit_with(folder, at=None, **options):
        trainer = trainer_of(optim.SGD(lr=0.05))
        average, keep = make(), Checkpoint(folder, keep_last=9)
        end = [InterruptAt(at)] if at else []
        try:
            trainer.fit(
                X[20:],
                y[20:],
                epochs=6,
                batch_size=8,
                validation_data=held_out,
                progress=False,
                callbacks=[average, EarlyStopping(patience=99, restore_best=False), keep, *end],
                **options,
            )
        except Interrupted:
            assert at
        return trainer, keep

    trainer, keep = fit_with(tmp_path / "whole")
    losses = trainer.history["val_loss"]
    files = names(tmp_path / "whole")
    assert len(files) == 7
    for name, loss in zip(files, [losses[keep.best_epoch - 1], *losses], strict=True):
        judge = trainer_of(model=cr.load(tmp_path / "whole" / name))
        assert judge.evaluate(*held_out)["loss"] == loss, name
    last = cr.load(keep.newest).state_dict()
    assert all(np.array_equal(last[k], v) for k, v in trainer.model.state_dict().items())
    fit_with(tmp_path / "cut", at=50)
    resumed, _ = fit_with(tmp_path / "cut", resume_from="auto")
    assert not differences(everything(trainer), everything(resumed))
    assert contents(tmp_path / "cut") == contents(tmp_path / "whole")


def test_what_is_averaged_beside_the_model_leaves_the_model_in_the_file(tmp_path):
    trainer = trainer_of(optim.SGD(lr=0.05))
    keep = Checkpoint(tmp_path)
    fit(trainer, epochs=2, callbacks=[EMA(decay=0.9, replace=False), keep])
    np.testing.assert_array_equal(cr.load(keep.newest).predict(X), trainer.model.predict(X))


def test_trained_weights_are_beside_the_averages_and_nothing_is_there_twice(tmp_path):
    trained = []

    def look(fit):
        trained.append(fit.trainer.model.state_dict())

    keep = Checkpoint(tmp_path)
    fit(trainer_of(optim.SGD(lr=0.05)), epochs=2, callbacks=[EMA(decay=0.9), look, keep])
    data = Path(keep.newest).read_bytes()
    size = 8 + int.from_bytes(data[:8], "little")
    tensors = json.loads(data[8:size])
    for name, array in trained[-1].items():
        begin, end = tensors["checkpoint/model/" + name]["data_offsets"]
        assert data[size + begin : size + end] == array.tobytes()
    assert [name for name in tensors if "callbacks/0/" in name] == ["checkpoint/callbacks/0/updates"]


@pytest.mark.parametrize("keep_best", [True, False])
def test_a_fit_that_was_gone_back_in_stays_on_its_way(tmp_path, keep_best):
    """Nothing goes on from what the folder has from behind that place, the best file among it."""
    every = {"keep_last": 9}
    run(tmp_path, epochs=6, keep=every)

    class Stop:
        every = 1

        def on_batch_end(self, fit):
            if (fit.epoch, fit.batch) == (3, 2):
                fit.stop("enough")

    back = tmp_path / "checkpoint-00002-0000000.safetensors"
    run(tmp_path, Stop(), epochs=6, keep={**every, "keep_best": keep_best}, resume_from=back)
    assert names(tmp_path) == [
        f"checkpoint-0000{i}.safetensors" for i in ("1-0000000", "2-0000000", "2-0000002")
    ]
    seen = []
    run(tmp_path, lambda fit: seen.append(fit.resumed_from), epochs=6, keep=every, resume_from="auto")
    assert Path(seen[0]).name == "checkpoint-00002-0000002.safetensors"


def test_what_a_way_that_was_left_has_before_the_next_file_goes_too(tmp_path):
    run(tmp_path, epochs=6, keep={"keep_last": 9})
    back = tmp_path / "checkpoint-00002-0000000.safetensors"
    run(tmp_path, epochs=8, keep={"every_epochs": 8, "keep_last": 9, "keep_best": False}, resume_from=back)
    assert names(tmp_path) == [f"checkpoint-0000{i}-0000000.safetensors" for i in (1, 2, 8)]


@pytest.mark.parametrize("resume_from", ["auto", "one", "two"])
@pytest.mark.parametrize("at", [1, 3])
def test_a_fit_with_two_checkpoints_goes_on_in_both_folders(tmp_path, at, resume_from):
    """From the newer or the older of their files. In the second folder the first epoch is the best."""

    def both(folder, at=None, **options):
        second = Checkpoint(folder / "two", every_epochs=2, mode="max")
        return run(folder / "one", at=at, keep={"every_epochs": 1}, **options, second=second)

    whole = both(tmp_path / "whole")
    both(tmp_path / "cut", at=at)
    if resume_from != "auto":
        resume_from = tmp_path / "cut" / resume_from
    resumed = both(tmp_path / "cut", resume_from=resume_from)
    assert not differences(everything(whole), everything(resumed))
    for folder in ("one", "two"):
        assert contents(tmp_path / "cut" / folder) == contents(tmp_path / "whole" / folder)


def test_a_second_folder_of_another_fit_is_refused(tmp_path):
    for folder in ("a", "b"):
        more = Checkpoint(tmp_path / folder / "two")
        run(tmp_path / folder / "one", epochs=2, second=more, batch_size=8 if folder == "a" else 16)
    run(tmp_path / "alone", epochs=2)
    for other in (tmp_path / "b" / "two", tmp_path / "alone"):
        left = contents(other)
        with pytest.raises(
            cr.StateError, match=r"of another fit: .*this one goes on from .*give another folder"
        ):
            run(tmp_path / "a" / "one", second=Checkpoint(other), resume_from="auto")
        assert contents(other) == left
