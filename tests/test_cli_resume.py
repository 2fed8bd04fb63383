"""`chainrule train --checkpoints` and `chainrule resume`: killed runs end with the bits of one left alone."""

from __future__ import annotations

import json
import random
import re
import signal
import subprocess
import sys
import threading
import time

import chainrule as cr
import numpy as np
import pytest
from chainrule.cli import main
from command import fails, images, write_table

OPTIONS = ("--epochs", 24, "--layers", "256,128", "--dropout", "0.2", "--patience", 20, "--seed", 3)


def start(folder, *arguments):
    return subprocess.Popen(
        [sys.executable, "-m", "chainrule", *map(str, arguments)],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def kill(process):
    process.kill()
    process.communicate()


def checkpoints(folder):
    return sorted(path.name for path in folder.glob("checkpoint-*.safetensors"))


def wait_for(what, process):
    """Until it is true, or the process has ended."""
    end = time.monotonic() + 60
    while not what() and process.poll() is None:
        assert time.monotonic() < end
        time.sleep(0.005)


def same_runs(folder, a, b):
    one, other = (cr.load(folder / f"{name}.safetensors").state_dict() for name in (a, b))
    assert one.keys() == other.keys()
    for name in one:
        assert np.array_equal(one[name], other[name]), name
    records = [json.loads((folder / f"{name}.json").read_text()) for name in (a, b)]
    for record in records:
        del record["date"], record["seconds"]
    assert records[0] == records[1]


def test_killed_again_and_again(run, tmp_path):
    """Five kills at any moment, the first ones possibly before there is a checkpoint."""
    run("train", *OPTIONS, "--out", "whole.safetensors")
    draws, kills = random.Random(0), 0
    process = start(tmp_path, "train", *OPTIONS, "--out", "cut.safetensors", "--checkpoints", "kept")
    wait_for((tmp_path / "kept" / "run.json").is_file, process)
    while kills < 5:
        done = checkpoints(tmp_path / "kept")
        wait_for(lambda done=done: checkpoints(tmp_path / "kept") != done, process)
        time.sleep(draws.random() * 0.05)
        if process.poll() is not None:  # it was faster
            break
        kill(process)
        kills += 1
        process = start(tmp_path, "resume", "kept")
    out = process.communicate(timeout=120)[0]
    assert process.returncode == 0, out
    assert kills >= 2
    same_runs(tmp_path, "whole", "cut")
    assert "the run is finished; its model is" in run("resume", "kept").stdout


def test_options_of_a_file_are_kept(run, tmp_path):
    write_table(tmp_path / "flowers.csv")
    (tmp_path / "run.toml").write_text(
        'data = "flowers.csv"\ntarget = "species"\nlayers = [64]\nepochs = 30\ncheckpoint_every = 4\n'
        'batch_size = 8\nclip_norm = 1.0\n[optimizer]\nname = "SGD"\nmomentum = 0.9\n[optimizer.lr]\n'
        'schedule = "Warmup"\nsteps = 9\nthen = { schedule = "Cosine", lr = 0.1, steps = 300 }\n'
        '[class_weight]\n"kind a" = 3.0\n'
    )
    run("train", "run.toml", "--out", "whole.safetensors")
    process = start(tmp_path, "train", "run.toml", "--out", "cut.safetensors", "--checkpoints", "kept")
    wait_for(lambda: checkpoints(tmp_path / "kept"), process)
    kill(process)
    (tmp_path / "run.toml").unlink()  # its options are in the folder
    away = tmp_path / "elsewhere"
    away.mkdir()
    done = subprocess.run(
        [sys.executable, "-m", "chainrule", "resume", "../kept", "--quiet"],
        cwd=away,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    same_runs(tmp_path, "whole", "cut")
    assert all(
        int(name.split("-")[1]) % 4 == 0 or "-00030-" in name for name in checkpoints(tmp_path / "kept")
    )


def test_after_ctrl_c(run, tmp_path):
    run("train", *OPTIONS, "--out", "whole.safetensors")
    process = start(tmp_path, "train", *OPTIONS, "--out", "cut.safetensors", "--checkpoints", "kept")
    wait_for(lambda: checkpoints(tmp_path / "kept"), process)
    process.send_signal(signal.SIGINT)
    out = process.communicate(timeout=120)[0]
    if process.returncode == 130:
        assert "chainrule resume kept goes on" in out
        run("resume", "kept")
    same_runs(tmp_path, "whole", "cut")


def test_a_checkpoint_predicts_what_the_model_does(run, tmp_path):
    """Its file knows what the numbers were divided by, and the columns of a table."""
    X, y = images(60)
    np.save(tmp_path / "X.npy", X)
    np.save(tmp_path / "y.npy", y)
    write_table(tmp_path / "flowers.csv")
    for data, kept in (("X.npy", "arrays"), ("flowers.csv", "table")):
        more = ("--target", "species") if data.endswith("csv") else ("y.npy",)
        options = ("--epochs", 3, "--layers", 8, "--validation", 0, "--checkpoints", kept)
        run("train", data, *more, *options, "--out", "m.safetensors", "--force")
        newest = f"{kept}/{checkpoints(tmp_path / kept)[-1]}"
        run("predict", "m.safetensors", data, "--out", "wanted.csv", "--force")
        run("predict", newest, data, "--out", "found.csv", "--force")
        assert (tmp_path / "found.csv").read_text() == (tmp_path / "wanted.csv").read_text()
        told = run("info", newest).stdout  # of a file in the middle of a training
        assert "\ncheckpoint 3 epochs and 0 batches done\n" in told
        assert "\ntraining   batches of 32, seed 0\n" in told
        assert "?" not in told
        told = run("info", "m.safetensors").stdout
        assert "\ntraining   3 epochs of batches of 32, seed 0, " in told
        assert "checkpoint" not in told


def test_a_finished_run_whose_model_is_gone(run, tmp_path):
    run("train", "--epochs", 3, "--layers", 8, "--out", "m.safetensors", "--checkpoints", "kept")
    assert "the run is finished; its model is" in run("resume", "kept").stdout
    before = (tmp_path / "m.safetensors").read_bytes()
    (tmp_path / "m.safetensors").rename(tmp_path / "gone.safetensors")
    (tmp_path / "m.json").rename(tmp_path / "gone.json")
    out = run("resume", "kept").stdout
    assert "m.safetensors is gone, and written anew" in out
    assert "note: fit: nothing was trained" in out
    assert len((tmp_path / "m.safetensors").read_bytes()) > 0.9 * len(before)
    same_runs(tmp_path, "m", "gone")


def test_a_broken_checkpoint_is_a_note(run, tmp_path):
    run("train", "--epochs", 3, "--layers", 8, "--out", "m.safetensors", "--checkpoints", "kept")
    content = json.loads((tmp_path / "kept" / "run.json").read_text())
    (tmp_path / "kept" / "run.json").write_text(json.dumps({**content, "finished": False}))
    for quiet in (False, True):
        (tmp_path / "kept" / checkpoints(tmp_path / "kept")[-1]).write_bytes(b"half")
        done = run("resume", "kept", *(["--quiet"] if quiet else []))
        note = r"^{}: fit: went back to .*, newer checkpoints cannot be read: "
        assert bool(re.search(note.format("note"), done.stdout, re.M)) != quiet
        assert bool(re.search(note.format("chainrule: warning"), done.stderr)) == quiet
        assert (done.stdout if quiet else done.stderr) == ""
        content = json.loads((tmp_path / "kept" / "run.json").read_text())
        (tmp_path / "kept" / "run.json").write_text(json.dumps({**content, "finished": False}))


def test_quiet_says_that_a_checkpoint_cannot_be_written(tmp_path):
    """A limit of the size of files stands for a disk that is full from some moment on."""
    resource = pytest.importorskip("resource")
    options = ("--epochs", 100_000, "--layers", "256,128", "--checkpoints", "kept", "--quiet")
    process = start(tmp_path, "train", *options)
    try:
        wait_for(lambda: len(checkpoints(tmp_path / "kept")) > 1, process)
        hard = resource.prlimit(process.pid, resource.RLIMIT_FSIZE)[1]
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (60_000, hard))
        late = threading.Timer(30, process.kill)
        late.start()
        line = process.stdout.readline()  # and of stderr
        late.cancel()
    finally:
        kill(process)
    assert re.fullmatch(
        r"chainrule: warning: Checkpoint: kept/\S+: cannot be written: .*; training goes on, .*\n", line
    )


def test_a_log_goes_on_from_another_directory(run, tmp_path):
    pytest.importorskip("tensorboardX")
    run("train", "--epochs", 1, "--layers", 8, "--checkpoints", "kept", "--set", "tensorboard.folder=log")
    kept = json.loads((tmp_path / "kept" / "run.json").read_text())["options"]
    assert kept["tensorboard_table"]["folder"] == str(tmp_path / "log")


class TestRefusals:
    @pytest.fixture
    def kept(self, tmp_path):
        """A run killed in its middle."""
        write_table(tmp_path / "data.csv", n=400)
        process = start(
            tmp_path, "train", "data.csv", "--target", "species", "--epochs", 3000, "--checkpoints", "kept"
        )
        wait_for(lambda: checkpoints(tmp_path / "kept"), process)
        kill(process)
        return tmp_path / "kept"

    @pytest.fixture
    def begun(self, tmp_path, monkeypatch):
        """A finished run with an option of every kind."""
        monkeypatch.chdir(tmp_path)
        write_table(tmp_path / "data.csv")
        given = {"--target": "species", "--test": "data.csv", "--na": "NA,?", "--delimiter": ","}
        given |= {
            "--metrics": "accuracy",
            "--ignore": "colour",
            "--patience": 3,
            "--class-weight": "balanced",
        }
        given |= {"--set": "optimizer.lr={schedule='Constant',lr=0.1}"}
        options = [str(part) for pair in given.items() for part in pair]
        assert main(["train", "data.csv", *options, "--epochs", "1", "--checkpoints", "kept", "--quiet"]) == 0
        assert main(["resume", "kept"]) == 0
        return tmp_path / "kept"

    def test_data_that_are_gone_or_others(self, run, tmp_path, kept):
        data = tmp_path / "data.csv"
        before = data.read_text()
        data.unlink()
        fails(run, r"data\.csv: no such file", "resume", "kept")
        data.write_text("\n".join(before.splitlines()[:-40]) + "\n")
        fails(
            run,
            r"the training rows are not those .* was begun with: \(320, 5\) and \(320,\),",
            "resume",
            "kept",
        )
        first = before.splitlines()[1]
        data.write_text(before.replace(first, "9" + first))
        fails(run, "rows are not those .* checksums .* then, .* now; put the old data back", "resume", "kept")
        assert not list(tmp_path.glob("*.safetensors"))

    def test_a_folder_with_a_run(self, run, tmp_path, kept):
        again = ("train", "--epochs", 1, "--checkpoints")
        fails(
            run,
            "--checkpoints: there is a run in kept; go on with it by chainrule resume kept,",
            *again,
            "kept",
        )
        (kept / "run.json").unlink()
        fails(run, "there are checkpoints of another fit in kept; name another folder", *again, "kept")

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (("--set", "early_stopping.monitor=val_acc", "--set", "early_stopping.mode=max"), "val_acc"),
            (("--optimizer", "sgd", "--lr", "1e35"), "lower --lr; nothing was written"),
            (("--set", "precision=float16"), "precision"),
        ],
    )
    def test_a_run_that_could_not_begin_leaves_its_folder_free(self, run, tmp_path, arguments, message):
        train = ("train", "--epochs", 2, "--layers", 8, "--checkpoints")
        (tmp_path / "there").mkdir()
        for folder in ("kept", "there"):
            fails(run, message, *train, folder, *arguments)
            assert (tmp_path / folder).exists() == (folder == "there")
            run(*train, folder, "--force")
            assert "the run is finished" in run("resume", folder).stdout

    def test_a_resumed_run_that_fails_stays(self, run, tmp_path, kept):
        """As it was, also before its first checkpoint."""
        for path in kept.glob("*.safetensors"):
            path.unlink()
        content = json.loads((kept / "run.json").read_text())
        content["options"]["optimizer_table"] = {"lr": 1e35}
        (kept / "run.json").write_text(json.dumps(content))
        fails(run, "nothing was written", "resume", "kept")
        assert (kept / "run.json").is_file()

    def test_wrong_folders(self, run, tmp_path):
        (tmp_path / "empty").mkdir()
        fails(run, "nowhere: there is no such folder; name one that chainrule train", "resume", "nowhere")
        fails(run, "empty: there is no run in it; name one that chainrule train", "resume", "empty")
        for content in ("{", "[]", '{"options": 1}'):
            (tmp_path / "empty" / "run.json").write_text(content)
            fails(run, "empty/run.json: is damaged; begin the run anew", "resume", "empty")
        (tmp_path / "file").write_text("")
        fails(run, "--checkpoints: file is no folder", "train", "--checkpoints", "file")
        fails(run, "--checkpoint-every is for --checkpoints FOLDER; name", "train", "--checkpoint-every", 2)
        fails(run, "--checkpoint-every: must be at least 1, got 0", "train", "--checkpoint-every", 0)

    @pytest.mark.parametrize(
        "change",
        [
            {"options": {}},
            {"options": 3},
            {"data": 3},
            {"data": {"training": {"X": 1}}},
            {"finished": "yes"},
            {"chainrule": 1},
            {"options.layers": 3},
            {"options.epochs": "many"},
            {"options.ema_table": 2},
            {"options.files": "data.csv"},
            {"options.no_header": 0},
            {"options.nosuch": 0},
        ],
    )
    def test_a_damaged_run(self, begun, change, capsys):
        content = json.loads((begun / "run.json").read_text())
        for path, value in change.items():
            *tables, key = path.split(".")
            (content[tables[0]] if tables else content)[key] = value
        (begun / "run.json").write_text(json.dumps(content))
        assert main(["resume", str(begun)]) == 2
        assert "run.json: is damaged; begin the run anew in another folder\n" in capsys.readouterr().err

    def test_a_run_of_another_version(self, begun, capsys):
        content = json.loads((begun / "run.json").read_text())
        del content["options"]["layers"]
        (begun / "run.json").write_text(json.dumps({**content, "chainrule": "0.0.9"}))
        assert main(["resume", str(begun)]) == 2
        assert "is of chainrule 0.0.9, which has other options; begin" in capsys.readouterr().err

    def test_changed_options(self, run, tmp_path, kept):
        """What the run was begun with is in its file; who edits it is told."""
        content = json.loads((kept / "run.json").read_text())
        content["options"]["batch_size"] = 7
        (kept / "run.json").write_text(json.dumps(content))
        fails(run, "is of another fit: batch_size is 7 here, 32 in the checkpoint", "resume", "kept")
