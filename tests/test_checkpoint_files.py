"""Files of checkpoints: which are kept, what they hold; none is lost to damage, full disks or kills."""

from __future__ import annotations

import json
import subprocess
import sys
import warnings
from pathlib import Path

import chainrule as cr
import numpy as np
import pytest
from chainrule import nn, optim
from chainrule.callbacks import Checkpoint
from checkpoint_runs import X, differences, everything, fit, names, resume, trainer_of, y

HERE = Path(__file__).parent


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
