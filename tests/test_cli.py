"""The command `chainrule`, run as a user runs it: in a process of its own, in a folder of its own."""

import fcntl
import json
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from pathlib import Path

import chainrule as cr
import numpy as np
import pytest
from command import fails, read_rows


class TestDigits:
    def test_the_main_job(self, run, tmp_path):
        out = run("train").stdout
        history = json.loads((tmp_path / "digits.json").read_text())
        assert history["results"]["validation"]["accuracy"] >= 0.97
        assert len(history["history"]["loss"]) == history["epochs"] == 30
        lines = [line for line in out.splitlines() if line.startswith("epoch ")]
        assert len(lines) == 30
        assert re.fullmatch(
            r"epoch +1/30  loss \d+\.\d+  val_loss \S+  val_accuracy \S+  \S+ samples/s", lines[0]
        )
        assert re.search(r"^validation +360 ", out, re.M)
        model = cr.load(tmp_path / "digits.safetensors")
        Xt, yt = cr.datasets.load_digits(split="test")
        assert (model.predict(Xt, output="class") == yt).mean() >= 0.97

        text = run("info", "digits.safetensors").stdout
        for part in (
            "17,226 parameters",
            "Linear",
            "bundled digits",
            "30 epochs",
            "AdamW",
            "CrossEntropyLoss",
            "10 classes",
        ):
            assert part in text

        np.save(tmp_path / "new.npy", Xt[:5])
        run("predict", "digits.safetensors", "new.npy")
        rows = read_rows(tmp_path / "predictions.csv")
        assert [int(row["class"]) for row in rows] == model.predict(Xt[:5], output="class").tolist()
        assert sum(float(rows[0][f"p_{i}"]) for i in range(10)) == pytest.approx(1, abs=1e-4)

    def test_the_curve(self, run, tmp_path):
        pytest.importorskip("matplotlib")
        run("train", "--epochs", 2)
        picture = (tmp_path / "digits.png").read_bytes()
        assert picture.startswith(b"\x89PNG")
        assert len(picture) > 10_000

    def test_a_clear_note_without_matplotlib(self, run, tmp_path, monkeypatch):
        (tmp_path / "matplotlib.py").write_text("raise ImportError('not here')")
        monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")]))
        out = run("train", "--epochs", 1).stdout
        assert "matplotlib is not installed" in out
        assert not (tmp_path / "digits.png").exists()

    def test_options(self, run, tmp_path):
        options = [
            "--layers",
            "32,16",
            "--activation",
            "tanh",
            "--dropout",
            "0.1",
            "--optimizer",
            "sgd",
            "--lr",
            "0.5",
        ]
        out = run(
            "train",
            *options,
            "--batch-size",
            64,
            "--epochs",
            3,
            "--validation",
            0.25,
            "--seed",
            4,
            "--out",
            "m.safetensors",
        ).stdout
        assert "64-32-16-10" in out
        assert "SGD(lr=0.5" in out
        assert re.search(r"^validation +359 ", out, re.M)
        assert re.search(r"^test +360 ", out, re.M)
        text = run("info", "m.safetensors").stdout
        assert "Tanh" in text
        assert "Dropout(0.1)" in text
        assert "seed 4" in text

    def test_quiet_and_repeatable(self, run, tmp_path):
        for name in "ab":
            done = run("train", "--epochs", 2, "--quiet", "--out", f"{name}.safetensors")
            assert done.stdout == done.stderr == ""
        a, b = (cr.load(tmp_path / f"{name}.safetensors").state_dict() for name in "ab")
        assert all(np.array_equal(a[name], b[name]) for name in a)

    def test_a_live_line_on_a_terminal(self, tmp_path):
        parent, child = pty.openpty()
        fcntl.ioctl(child, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
        process = subprocess.Popen(
            [sys.executable, "-m", "chainrule", "train", "--epochs", "3"],
            cwd=tmp_path,
            stdout=child,
            stderr=child,
        )
        os.close(child)
        text = b""
        while True:
            try:
                part = os.read(parent, 65536)
            except OSError:
                break
            if not part:
                break
            text += part
        os.close(parent)
        assert process.wait(60) == 0
        shown = text.decode()
        assert "samples/s" in shown
        assert "\r" in shown.split("epoch 1/3")[1]
        assert "validation" in shown


class TestMistakes:
    @pytest.mark.parametrize(
        ("arguments", "match"),
        [
            ((), "name a command"),
            (("train", "--layers", "a"), "--layers"),
            (("train", "--layers", "-3"), "--layers"),
            (("train", "--epochs", "x"), "--epochs"),
            (("train", "--epochs", "0"), "epochs"),
            (("train", "--batch-size", "0"), "--batch-size: must be at least 1, got 0"),
            (("train", "--dropout", "1.5"), "--dropout: must be at least 0 and less than 1, got 1.5"),
            (("train", "--lr", "-1"), "lr"),
            (("train", "--activation", "what"), "relu"),
            (("train", "--validation", "2"), "--validation"),
            (("train", "--out", "no/folder/m.safetensors"), "no folder"),
            (("train", "--out", "m.pt"), "safetensors"),
            (("train", "--seed", "-1"), "seed"),
            (("predict", "nowhere.safetensors", "a.csv"), "nowhere"),
            (("info", "nowhere.safetensors"), "nowhere"),
            (("fly",), "invalid choice"),
        ],
    )
    def test_one_clear_line(self, run, tmp_path, arguments, match):
        fails(run, match, *arguments)
        assert not list(tmp_path.iterdir())

    def test_damaged_models(self, run, tmp_path):
        run("train", "--epochs", 1)
        data = (tmp_path / "digits.safetensors").read_bytes()
        for name, content in (
            ("cut", data[:-100]),
            ("empty", b""),
            ("text", b"hello"),
            ("long", b"\xff" * 64),
        ):
            path = tmp_path / f"{name}.safetensors"
            path.write_bytes(content)
            fails(run, name, "info", path.name)
            fails(run, name, "predict", path.name, "x.csv")

    def test_a_failed_training_leaves_the_old_model(self, run, tmp_path):
        run("train", "--epochs", 1)
        before = (tmp_path / "digits.safetensors").read_bytes()
        fails(run, "no such file", "train", "nowhere.csv", "--out", "digits.safetensors", "--target", "y")
        assert (tmp_path / "digits.safetensors").read_bytes() == before


class TestRest:
    def test_version_and_cmake_dir(self, run):
        assert run("--version").stdout == f"chainrule {cr.__version__}\n"
        path = Path(run("--cmake-dir").stdout.strip())
        assert path.parts[-4:] == ("chainrule", "lib", "cmake", "chainrule")

    def test_help(self, run):
        assert "train" in run("--help").stdout
        assert "--target" in run("train", "--help").stdout

    def test_ctrl_c_keeps_what_was_learned(self, tmp_path):
        code = (
            "import signal, sys, threading, os\n"
            "from chainrule.cli import main\n"
            "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
            "threading.Timer(1.5, lambda: os.kill(os.getpid(), signal.SIGINT)).start()\n"
            "sys.exit(main(['train', '--epochs', '100000', '--layers', '512,512']))\n"
        )
        done = subprocess.run(
            [sys.executable, "-c", code],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 130, done.stderr
        assert "interrupted" in done.stdout
        assert cr.load(tmp_path / "digits.safetensors").predict(np.zeros((1, 64), np.float32)).shape == (
            1,
            10,
        )
