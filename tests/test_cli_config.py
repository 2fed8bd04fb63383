"""Options of `chainrule train` and `cv` from a TOML file and from --set: what they reach, refusals."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import chainrule as cr
import numpy as np
import pytest
from chainrule import nn, optim, schedules
from chainrule.cli import main
from chainrule.cli.config import parse
from chainrule.cli.errors import UserError
from command import write_table

DOC = Path(__file__).parent.parent / "docs" / "training.md"


@pytest.fixture
def call(tmp_path, monkeypatch, capsys):
    """Runs the command in this process, in tmp_path; returns what it printed."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments, code=0):
        capsys.readouterr()
        assert main([str(argument) for argument in arguments]) == code, capsys.readouterr().err
        out, err = capsys.readouterr()
        return err if code else out

    return run


def write(path, text):
    path.write_text(text)
    return path


class TestWhatAFileReaches:
    def test_the_same_bits_as_the_library(self, call, tmp_path):
        file = """
            layers = [16]
            activation = "tanh"
            dropout = 0.1
            epochs = 3
            batch_size = 64
            seed = 5
            clip_norm = 0.5
            shuffle = false
            metrics = ["f1_macro"]

            [loss]
            name = "CrossEntropyLoss"
            label_smoothing = 0.1

            [optimizer]
            name = "SGD"
            momentum = 0.9
            nesterov = true

            [optimizer.lr]
            schedule = "Warmup"
            steps = 5
            then = { schedule = "Cosine", lr = 0.2, steps = 60 }

            [class_weight]
            3 = 2.0
            """
        call("train", write(tmp_path / "run.toml", file), "--quiet")

        X, y = cr.datasets.load_digits(split="train")
        model = nn.MLP([64, 16, 10], activation="tanh", dropout=0.1, seed=5)
        trainer = cr.Trainer(
            model,
            nn.CrossEntropyLoss(label_smoothing=0.1),
            optim.SGD(lr=schedules.Warmup(schedules.Cosine(0.2, 60), 5), momentum=0.9, nesterov=True),
            metrics=["f1_macro"],
            clip_norm=0.5,
            seed=5,
        )
        history = trainer.fit(X, y, epochs=3, batch_size=64, shuffle=False, class_weight={3: 2.0})
        written = cr.load(tmp_path / "digits.safetensors")
        for name, value in model.state_dict().items():
            assert np.array_equal(written.state_dict()[name], value), name
        record = json.loads((tmp_path / "digits.json").read_text())
        assert record["history"]["f1_macro"] == history["f1_macro"]
        assert record["schedule"] == "own"
        assert "Warmup" in record["optimizer"]

    def test_what_the_trainer_and_callbacks_take(self, call, tmp_path):
        file = """
            layers = [16]
            epochs = 4
            schedule = "constant"
            accumulate = 2
            clip_value = 0.01
            l1 = 1e-4
            max_norm = 1.5
            mixup = 0.3
            sampler = "stratified"
            class_weight = "balanced"

            [optimizer.groups]
            "*.bias" = { weight_decay = 0.0 }
            "0.*" = { lr = 1e-4 }

            [ema]
            decay = 0.9
            """
        call("train", write(tmp_path / "run.toml", file), "--quiet")
        X, y = cr.datasets.load_digits(split="train")
        model = nn.MLP([64, 16, 10], seed=0)
        groups = {"*.bias": {"weight_decay": 0.0}, "0.*": {"lr": 1e-4}}
        trainer = cr.Trainer(
            model,
            nn.CrossEntropyLoss(),
            optim.AdamW(groups=groups),
            accumulate=2,
            clip_value=0.01,
            l1=1e-4,
            max_norm=1.5,
            mixup=0.3,
        )
        trainer.fit(
            X,
            y,
            epochs=4,
            sampler=cr.data.StratifiedSampler(y),
            class_weight="balanced",
            validation_data=cr.datasets.load_digits(split="test"),
            callbacks=[cr.callbacks.EMA(decay=0.9)],
        )
        written = cr.load(tmp_path / "digits.safetensors").state_dict()
        for name, value in model.state_dict().items():
            assert np.array_equal(written[name], value), name

    def test_early_stopping_with_arguments(self, call, tmp_path):
        file = write(
            tmp_path / "run.toml",
            'epochs = 50\n[early_stopping]\nmonitor = "val_accuracy"\npatience = 1\nmin_delta = 0.2\n',
        )
        out = call("train", file)
        assert re.search(r"training ended early: val_accuracy", out)
        assert len(json.loads((tmp_path / "digits.json").read_text())["history"]["loss"]) < 10

    def test_a_log_beside_the_file(self, call, tmp_path):
        pytest.importorskip("tensorboardX")
        (tmp_path / "here").mkdir()
        file = write(
            tmp_path / "here" / "run.toml", 'epochs = 2\n[tensorboard]\nfolder = "log"\nhistograms = 1\n'
        )
        call("train", file, "--layers", 8)
        assert len(list((tmp_path / "here" / "log").iterdir())) == 1
        out = call("cv", file, "--k", 2, "--layers", 8)
        assert f"note: {file}: tensorboard is for chainrule train, and left alone" in out
        assert len(list((tmp_path / "here" / "log").iterdir())) == 1
        write(file, "[tensorboard]\nfolder = 3\n")
        err = call("train", file, "--checkpoints", tmp_path / "kept", code=2)
        assert "run.toml: [tensorboard]: TensorBoard: expected a path, got 3" in err
        assert not (tmp_path / "kept").exists()
        write(file, "tensorboard = 3\n")
        assert "tensorboard: must be a table, got 3" in call("cv", file, code=2)

    def test_an_empty_table_asks_for_defaults(self):
        assert parse(["train", "--set", "early_stopping={}"]).early_stopping_table == {}
        assert parse(["train"]).early_stopping_table is None

    def test_paths_go_from_the_file(self, call, tmp_path):
        folder = tmp_path / "flowers"
        folder.mkdir()
        write_table(folder / "data.csv")
        write_table(folder / "more.csv", seed=1)
        file = write(
            folder / "run.toml",
            'data = "data.csv"\ntest = ["more.csv"]\ntarget = "species"\nout = "m.safetensors"\nepochs = 2\n',
        )
        out = call("train", file)
        assert re.search(r"^test +120 ", out, re.M)
        assert (folder / "m.safetensors").is_file()

    def test_the_command_line_comes_first(self, tmp_path):
        file = write(
            tmp_path / "run.toml",
            "epochs = 7\nlayers = [5]\nk = 3\nretrain = false\n"
            '[optimizer]\nname = "SGD"\nlr = 0.5\nmomentum = 0.9\n',
        )
        options = parse(["train", str(file), "--epochs", "2", "--lr", "0.1", "--set", "layers=[4,3]"])
        assert (options.epochs, options.layers, options.lr) == (2, [4, 3], 0.1)
        assert (options.optimizer, options.optimizer_table) == ("sgd", {"momentum": 0.9})
        options = parse(["train", str(file), "--set", "optimizer.momentum=0.8", "--set", "dropout=0.5"])
        assert options.optimizer_table == {"lr": 0.5, "momentum": 0.8}
        assert options.dropout == 0.5
        options = parse(["cv", str(file), "--optimizer", "adam"])
        assert (options.optimizer, options.optimizer_table) == ("adam", {})
        assert (options.k, options.no_retrain, options.repeats) == (3, True, 1)

    def test_a_line_of_set_reaches_into_tables_and_takes_the_place_of_short_keys(self, tmp_path):
        file = write(
            tmp_path / "run.toml",
            'lr = 0.5\npatience = 3\n[optimizer]\nname = "SGD"\nweight_decay = 0.1\n'
            '[optimizer.groups."*.bias"]\nweight_decay = 0.0\nlr_scale = 2.0\n'
            '[early_stopping]\nmonitor = "val_accuracy"\n[class_weight]\n0 = 2.0\n1 = 3.0\n',
        )

        def of(*lines):
            return parse(["train", str(file), *(part for line in lines for part in ("--set", line))])

        options = of('optimizer.groups."*.bias".lr_scale=3.0', "class_weight.1=4.0")
        wanted = {"weight_decay": 0.1, "groups": {"*.bias": {"weight_decay": 0.0, "lr_scale": 3.0}}}
        assert options.optimizer_table == wanted
        assert options.class_weights == {"0": 2.0, "1": 4.0}
        options = of("optimizer.lr=0.25", "weight_decay=0.2", "early_stopping.patience=7")
        assert (options.lr, options.optimizer_table["lr"]) == (None, 0.25)
        assert options.weight_decay == 0.2
        assert "weight_decay" not in options.optimizer_table
        assert (options.patience, options.early_stopping_table["patience"]) == (None, 7)
        options = of("early_stopping.patience=7", "patience=8", "optimizer.lr.schedule=Cosine")
        assert (options.patience, options.early_stopping_table) == (8, {"monitor": "val_accuracy"})
        assert (options.lr, options.optimizer_table["lr"]) == (None, {"schedule": "Cosine"})
        write(
            file, "[optimizer.lr]\nschedule = 'Warmup'\nsteps = 9\nthen = {schedule = 'Constant', lr = 0.1}\n"
        )
        assert of("optimizer.lr.steps=5").optimizer_table["lr"]["then"]["schedule"] == "Constant"
        options = of("optimizer.lr={schedule='Cosine',lr=0.1,steps=5}")
        assert "then" not in options.optimizer_table["lr"]
        for twice in (
            "patience = 3\n[early_stopping]\npatience = 3",
            "weight_decay = 1\noptimizer.weight_decay = 1",
        ):
            write(file, twice)
            with pytest.raises(
                UserError, match=r"run\.toml: (patience|weight_decay) is given twice, in \[.*\] as well"
            ):
                of()

    def test_words_of_set_need_no_quotes(self):
        options = parse(["train", "--set", "optimizer.name=RMSprop", "--set", "loss=focalloss"])
        assert (options.optimizer, options.loss) == ("rmsprop", "FocalLoss")

    def test_cross_validation_by_groups(self, call, tmp_path):
        rng = np.random.default_rng(0)
        group = np.repeat(np.arange(12), 5)
        x = rng.normal(size=60)
        np.savetxt(
            tmp_path / "data.csv",
            np.stack([x, group, 3 * x], 1),
            delimiter=",",
            header="x,who,y",
            comments="",
        )
        file = write(
            tmp_path / "run.toml",
            'data = "data.csv"\ntarget = "y"\ngroups = "who"\nk = 4\nepochs = 2\nlayers = [4]\n'
            'score = "mae"\nloss = "HuberLoss"\nvalidation = 0.25\n',
        )
        call("cv", file)
        record = json.loads((tmp_path / "data-cv.json").read_text())
        assert len(record["cross_validation"]["metrics"]["mae"]) == 4
        assert "Huber" in record["loss"]
        out = call("train", file)
        assert "1 features" in out  # the group is none
        assert re.search(r"^train +45 ", out, re.M)
        assert re.search(r"^validation +15 ", out, re.M)

    def test_the_page_shows_a_file_that_runs(self, call, tmp_path):
        text = DOC.read_text()
        example = re.search(r"```toml\n(.*?)```", text, re.S).group(1)
        write_table(tmp_path / "flowers.csv")
        write(tmp_path / "run.toml", example)
        call("train", "run.toml", "--epochs", 3)
        call("cv", "run.toml", "--epochs", 2)
        assert json.loads((tmp_path / "flowers-cv.json").read_text())["cross_validation"]["k"] == 10

    def test_help_reads_well(self, monkeypatch, capsys):
        monkeypatch.setenv("COLUMNS", "100")
        for command in ("train", "cv"):
            with pytest.raises(SystemExit):
                main([command, "--help"])
            out = capsys.readouterr().out
            assert "run.toml" in out
            assert "--set KEY=VALUE" in out
            assert max(map(len, out.splitlines())) <= 115


class TestRefusals:
    @pytest.mark.parametrize(
        ("content", "message"),
        [
            ("epoch = 3", "there is no option epoch; did you mean epochs?"),
            ("[optimiser]\nname = 'Adam'", "there is no option optimiser; did you mean optimizer?"),
            ("epochs = '3'", "epochs: must be a whole number, got '3'"),
            ("epochs = 2.5", "epochs: must be a whole number, got 2.5"),
            ("epochs = true", "epochs: must be a whole number, got true"),
            ("epochs = 0", "epochs: must be at least 1, got 0"),
            ("dropout = 1", "dropout: must be at least 0 and less than 1, got 1"),
            ("lr = nan", "lr: must be at least 0, got nan"),
            ("layers = '64'", "layers: must be a list of whole numbers, got '64'"),
            ("layers = [64, 'x']", "layers: must be a list of whole numbers, got [64, 'x']"),
            ("metrics = 'f1,f1'\nignore = ['a', 'a']", "ignore: a name is there twice, got 'a,a'"),
            ("target = 3", "target: must be a name, got 3"),
            ("data = 3", "data: must be a list of names, got 3"),
            ("quiet = 1", "quiet: must be true or false, got 1"),
            ("header = 'no'", "header: must be true or false, got 'no'"),
            ("shuffle = 0", "shuffle: must be true or false, got 0"),
            ("missing = 'fil'", "missing: there is no 'fil'; did you mean fill?"),
            ("task = 1", "task: there is no 1; write one of auto, classification, regression"),
            ("optimizer = 'AdmW'", "optimizer: there is no 'AdmW'; did you mean AdamW?"),
            ("[optimizer]\nname = 3", "optimizer.name: must be a name, got 3"),
            ("optimizer = 3", "optimizer: must be a name or a table with one, got 3"),
            ("loss = 'CrossEntropy'", "loss: there is no 'CrossEntropy'; did you mean CrossEntropyLoss?"),
            ("loss = 'MSELoss'", "[loss]: MSELoss is not for classification; write CrossEntropyLoss or"),
            ("early_stopping = 3", "early_stopping: must be a table, got 3"),
            ("[early_stopping]\npatince = 3", "[early_stopping]: EarlyStopping: has no argument patince;"),
            ("[optimizer]\nlearning_rate = 3", "[optimizer]: AdamW: has no argument learning_rate; "),
            ("[optimizer]\nbetas = 3", "[optimizer]: AdamW: betas must be a tuple of 2 numbers, got 3"),
            ("[loss]\nlabel_smothing = 3", "[loss]: CrossEntropyLoss: has no argument label_smothing; "),
            ("[optimizer.lr]\nlr = 1", "[optimizer.lr]: schedule is missing: its name, such as Cosine"),
            ("[optimizer.lr]\nschedule = 'Cosin'", "there is no schedule 'Cosin'; did you mean Cosine"),
            ("[optimizer.lr]\nschedule = 'Cosine'", "[optimizer.lr]: CosineSchedule: lr is missing; "),
            ("lr = 1\n[optimizer]\nlr = 1", "lr is given twice, in [optimizer] as well; leave one away"),
            (
                "schedule = 'cosine'\n[optimizer.lr]\nschedule = 'Constant'\nlr = 1",
                "schedule: cosine was given, and [optimizer.lr] is a schedule; leave one away",
            ),
            ("class_weight = 'even'", "class_weight: must be \"balanced\" or a table of classes, got 'even'"),
            ("[class_weight]\na = -1", "class_weight.a: must be a number of at least 0, got -1"),
            ("[class_weight]\n11 = 1", "[class_weight]: there is no class '11'; did you mean 1?"),
            ("accumulate = 'x'", "Trainer: accumulate must be an integer, got 'x'"),
            ("sampler = 'even'", "sampler: there is no 'even'; there are stratified, weighted"),
            ("[ema]\ndecy = 3", "[ema]: EMA: has no argument decy; did you mean decay?"),
            ("clip_norm = 'x'", "clip_norm: must be a number, got 'x'"),
            ("precision = 3", "Trainer: precision must be a string, got 3"),
            ("groups = 'a'", "--groups need data files"),
            ("epochs = ", "not a TOML file: "),
            ("k = 1", "k: must be at least 2, got 1"),
        ],
    )  # fmt: skip
    def test_of_a_file(self, call, tmp_path, content, message):
        write(tmp_path / "run.toml", content)
        err = call("train", "run.toml", code=2)
        assert message in err
        assert "run.toml" in err or "option" not in err
        assert err.count("\n") == 1
        assert [path.name for path in tmp_path.iterdir()] == ["run.toml"]

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (("nowhere.toml",), "nowhere.toml: no such file"),
            (("a.toml", "b.toml"), "b.toml: one file of options is read, a.toml is another"),
            (("--set", "epochs"), "--set: expected KEY=VALUE, such as optimizer.momentum=0.9, got 'epochs'"),
            (("--set", "epocs=3"), "--set: there is no option epocs; did you mean epochs?"),
            (("--set", "epochs=x"), "--set: epochs: must be a whole number, got 'x'"),
            (("--set", "a b=3"), "--set: 'a b=3' is not a line of a TOML file: "),
            (
                ("--set", "early_stopping.name=x"),
                "--set: [early_stopping]: EarlyStopping: has no argument name; ",
            ),
            (
                ("--loss", "HuberLoss"),
                "--loss: HuberLoss is not for classification; write CrossEntropyLoss or",
            ),
            (("--set", "early_stopping.patience=2", "--validation", "0"), "--patience needs rows to watch"),
        ],
    )
    def test_of_the_command_line(self, call, arguments, message):
        assert message in call("train", *arguments, code=2)

    def test_of_tables(self, call, tmp_path):
        write_table(tmp_path / "data.csv")
        table = ("train", "data.csv", "--target", "species")
        assert "--groups: there is no column 'hue'; there are " in call(*table, "--groups", "hue", code=2)
        assert "--groups: 'species' is the column to predict" in call(*table, "--groups", "species", code=2)
        regression = ("train", "data.csv", "--target", "length", "--set", "class_weight.a=1")
        assert "class_weight is for classification" in call(*regression, code=2)

    def test_a_wrong_option_of_the_trainer_in_cross_validation(self, call):
        err = call("cv", "--set", "precision=3", code=2)
        assert "cross_validate: precision must be a string, got 3" in err


def test_a_broken_file_in_a_process(tmp_path):
    write(tmp_path / "run.toml", "epoch = 3")
    done = subprocess.run(
        [sys.executable, "-m", "chainrule", "train", "run.toml"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr == "chainrule: error: run.toml: there is no option epoch; did you mean epochs?\n"
