"""Parquet files on the command line, and the tables [checkpoint] and [health] of a file of options."""

from __future__ import annotations

import json
import subprocess
import sys

import chainrule as cr
import numpy as np
import pytest
from chainrule.cli import main
from chainrule.cli.config import parse
from command import fails, write_table

SMALL = ("--layers", 8, "--epochs", 3)


class TestParquet:
    @pytest.fixture(autouse=True)
    def files(self, tmp_path):
        """data.csv and data.parquet hold the same, with missing cells."""
        pytest.importorskip("pyarrow")
        import pyarrow
        import pyarrow.parquet

        write_table(tmp_path / "data.csv", missing=True)
        table = cr.data.read_csv(tmp_path / "data.csv", missing=["", "NA", "?"])
        columns = {
            name: [
                None if cell == "" or cell != cell else cell for cell in (np.asarray(table[name]).tolist())
            ]
            for name in table.columns
        }
        columns["code"] = [i % 2 for i in range(len(table))]
        pyarrow.parquet.write_table(pyarrow.table(columns), tmp_path / "data.parquet")

    def test_it_is_the_table_of_the_csv_file(self, run, tmp_path):
        target = ("--target", "species", *SMALL)
        run("train", "data.csv", *target, "--na", "NA,?", "--out", "a.safetensors")
        run("train", "data.parquet", *target, "--ignore", "code", "--out", "b.safetensors")
        a, b = (cr.load(tmp_path / name).state_dict() for name in ("a.safetensors", "b.safetensors"))
        for name, value in a.items():
            assert np.array_equal(value, b[name]), name
        run("predict", "a.safetensors", "data.parquet", "--out", "a.csv")
        run("predict", "b.safetensors", "data.csv", "--na", "NA,?", "--out", "b.csv")
        assert (tmp_path / "a.csv").read_text() == (tmp_path / "b.csv").read_text()
        out = run("cv", "data.parquet", *target, "--k", 3).stdout
        assert "over 3 folds of" in out
        assert (tmp_path / "data-cv.safetensors").is_file()  # its name has no .parquet in it
        out = run("train", "data.parquet", *target, "--test", "data.parquet").stdout
        assert "120 test" in out

    def test_numbers_as_text(self, run, tmp_path):
        target = ("--target", "species", *SMALL)
        run("train", "data.parquet", *target, "--text", "code")
        assert dict(cr.load(tmp_path / "data.safetensors").schema.columns)["code"] == "categorical"
        fails(run, "there is no column 'kode': the columns are length,", "train", "data.parquet",
              *target, "--text", "kode")  # fmt: skip

    def test_columns_of_lists_are_refused_or_ignored(self, run, tmp_path):
        import pyarrow.parquet

        plain = pyarrow.parquet.read_table(tmp_path / "data.parquet")
        lists = pyarrow.array([[1, 2]] * len(plain))
        pyarrow.parquet.write_table(plain.append_column("nest", lists), tmp_path / "nest.parquet")
        target = ("--target", "species", *SMALL, "--out", "a.safetensors", "--force")
        fails(
            run,
            r'error: nest.parquet: column "nest" holds list<.*int64>, which are no cells of a table; '
            r"leave it away with --ignore$",
            *("train", "nest.parquet", *target),
        )
        run("train", "nest.parquet", *target, "--ignore", "nest", "--test", "nest.parquet")
        run("train", "data.parquet", *SMALL, "--target", "species", "--out", "b.safetensors")
        for name in ("a", "b"):
            run("predict", f"{name}.safetensors", "nest.parquet", "--out", f"{name}.csv")
        assert (tmp_path / "a.csv").read_text() == (tmp_path / "b.csv").read_text()
        nest = plain.set_column(plain.column_names.index("code"), "code", lists)
        pyarrow.parquet.write_table(nest, tmp_path / "nest.parquet")
        fails(run, 'nest.parquet: column "code" holds list<.*; the model needs numbers or text there',
              "predict", "a.safetensors", "nest.parquet")  # fmt: skip

    def test_refusals(self, run, tmp_path):
        for option in ("--na", "--delimiter", "--decimal"):
            fails(run, f"data.parquet: {option} is for CSV files; leave it away", "train", "data.parquet",
                  "--target", "species", option, ";")  # fmt: skip
        fails(run, "--no-header is for CSV files", "train", "data.parquet", "--no-header")
        (tmp_path / "broken.parquet").write_bytes(b"PAR1 no more")
        fails(run, "broken.parquet: not a readable Parquet file: ", "train", "broken.parquet")

    def test_without_pyarrow(self, tmp_path):
        code = (
            "import sys; sys.modules['pyarrow'] = None\n"
            "from chainrule.cli import main\n"
            "sys.exit(main(['train', 'data.parquet', '--target', 'species']))"
        )
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert done.returncode == 2
        assert done.stderr == (
            "chainrule: error: data.parquet: reading it needs pyarrow; "
            "install it with: pip install chainrule[parquet]\n"
        )


class TestCallbackTables:
    def test_checkpoints_as_asked_for(self, run, tmp_path):
        (tmp_path / "run.toml").write_text(
            'layers = [8]\nepochs = 6\nlr = 0.01\ncheckpoints = "kept"\ncheckpoint_every = 6\n[checkpoint]\n'
            'keep_last = 4\nevery_batches = 100\nmonitor = "val_accuracy"\nmode = "max"\n'
        )
        run("train", "run.toml")
        names = sorted(path.name for path in (tmp_path / "kept").glob("checkpoint-*"))
        batches = [int(name.split("-")[1]) * 45 + int(name[:-12].split("-")[2]) for name in names]
        assert batches == [100, 200, 270]
        history = json.loads((tmp_path / "digits.json").read_text())["history"]
        best = run("info", "kept/best.safetensors").stdout
        assert f"checkpoint {int(np.argmax(history['val_accuracy'])) + 1} epoch" in best
        assert "the run is finished" in run("resume", "kept").stdout

    def test_health_warns_and_changes_no_bit(self, run, tmp_path):
        options = ("--layers", 8, "--epochs", 2, "--lr", 10, "--out")
        run("train", *options, "plain.safetensors")
        out = run("train", *options, "watched.safetensors", "--set", "health={}").stdout
        assert "note: epoch 1: 0.weight: 8 of 8 units are dead" in out
        a, b = (cr.load(tmp_path / f"{name}.safetensors").state_dict() for name in ("plain", "watched"))
        assert all(np.array_equal(a[name], b[name]) for name in a)
        quiet = run("train", *options, "quiet.safetensors", "--set", "health.every_epochs=2", "--quiet")
        assert quiet.stdout == ""
        assert quiet.stderr.startswith("chainrule: warning: epoch 2: 0.weight: 8 of 8 units are dead")

    def test_rows_of_health_are_spread_over_those_that_train(self):
        from chainrule.cli.inputs import load_source
        from chainrule.cli.recipe import make_callbacks

        for rows, taken in ((3, [0, 479, 958]), (100_000, range(1437))):
            options = parse(["train", "--set", f"health.rows={rows}"])
            source = load_source(options)
            (health,) = make_callbacks(options, source)
            assert np.array_equal(health.X, source.train.X[list(taken)])
            assert np.array_equal(health.y, source.train.y[list(taken)])

    def test_gradients_in_a_log(self, tmp_path, monkeypatch):
        pytest.importorskip("tensorboardX")
        monkeypatch.chdir(tmp_path)
        given = ("tensorboard.folder=log", "tensorboard.histograms=1", "tensorboard.rows=50")
        options = [part for line in given for part in ("--set", line)]
        assert main(["train", "--epochs", "1", "--layers", "4", "--quiet", *options]) == 0
        (log,) = (tmp_path / "log").iterdir()
        assert b"gradients/0.weight" in log.read_bytes()

    def test_the_history_as_a_file_that_grows(self, tmp_path, monkeypatch, capsys):
        monkeypatch.chdir(tmp_path)
        folder = tmp_path / "here"
        folder.mkdir()
        (folder / "run.toml").write_text("epochs = 3\nlayers = [4]\n[csv_logger]\npath = 'log.csv'\n")
        assert main(["train", "here/run.toml", "--quiet", "--checkpoints", "kept"]) == 0
        lines = (folder / "log.csv").read_text().splitlines()
        assert [line.split(",")[0] for line in lines] == ["epoch", "1", "2", "3"]
        kept = json.loads((tmp_path / "kept" / "run.json").read_text())["options"]
        assert kept["csv_logger_table"] == {"path": str(folder / "log.csv")}
        assert main(["train", "here/run.toml", "--quiet"]) == 0  # replaces its own
        (folder / "log.csv").write_text("notes\n")
        assert main(["train", "here/run.toml", "--quiet"]) == 2
        assert "name another file with csv_logger, or replace it with --force" in capsys.readouterr().err
        assert (folder / "log.csv").read_text() == "notes\n"
        assert main(["train", "here/run.toml", "--quiet", "--force"]) == 0
        assert main(["train", "--quiet", "--set", "csv_logger.path=nowhere/log.csv"]) == 2
        assert "csv_logger: there is no folder nowhere" in capsys.readouterr().err

    @pytest.mark.parametrize(
        ("line", "message"),
        [
            ("checkpoint.keep_last=0", "--set: [checkpoint]: Checkpoint: keep_last must be at least 1: 0"),
            ("checkpoint.keep_lst=1", "checkpoint: there is no argument keep_lst; did you mean keep_last?"),
            ("checkpoint.mode=up", '[checkpoint]: Checkpoint: unknown mode: "up"; use'),
            ("checkpoint.folder=a", "checkpoint: there is no argument folder; did you mean "),
            (
                "checkpoint.monitor=nosuch",
                "[checkpoint]: Checkpoint: whether greater is better cannot be told from the name: "
                'monitor="nosuch"; write mode=',
            ),
            ("csv_logger.path=3", "[csv_logger]: CSVLogger: expected a path, got 3"),
            ("checkpoint=3", "checkpoint: must be a table, got 3"),
            ("health.rows=0", "[health]: rows must be a whole number of at least 1, got 0"),
            (
                "health.every_epochs=0.5",
                "[health]: Health: every_epochs must be a number of epochs, at least 1",
            ),
        ],
    )
    def test_refusals(self, tmp_path, monkeypatch, capsys, line, message):
        monkeypatch.chdir(tmp_path)
        assert main(["train", "--epochs", "1", "--checkpoints", "kept", "--set", line]) == 2
        assert message in capsys.readouterr().err
        assert not list(tmp_path.iterdir())

    def test_without_a_folder_and_in_cross_validation(self, capsys):
        for command, key, message in (
            ("train", "checkpoint", "--set: checkpoint is for --checkpoints FOLDER; name a folder, too"),
            ("cv", "checkpoint", "--set: checkpoint is for chainrule train; leave it away"),
            ("cv", "health", "--set: health is for chainrule train; leave it away"),
        ):
            assert main([command, "--set", f"{key}={{}}"]) == 2
            assert message in capsys.readouterr().err
