"""What --set, the options and the file of `chainrule train` make of each other: nothing given is lost."""

from __future__ import annotations

import chainrule as cr
import pytest
from chainrule.cli import main
from chainrule.cli.config import parse
from chainrule.cli.errors import UserError

FILE = """
[optimizer]
name = "SGD"
momentum = 0.9
weight_decay = 0.1
[optimizer.groups]
"*.bias" = { weight_decay = 0.0 }
[loss]
label_smoothing = 0.1
"""


@pytest.fixture
def options(tmp_path):
    """What `chainrule train run.toml` makes of these options, with --set before every text with a =."""
    (tmp_path / "run.toml").write_text(FILE)

    def of(*arguments, file=False):
        words = [part for text in arguments for part in (("--set", text) if "=" in text else (text,))]
        return parse(["train", *([str(tmp_path / "run.toml")] if file else []), *words])

    return of


@pytest.mark.parametrize(
    ("arguments", "name", "table"),
    [
        (("--optimizer", "sgd", "optimizer.momentum=0.9"), "sgd", {"momentum": 0.9}),
        (("optimizer.momentum=0.9", "--optimizer", "sgd"), "sgd", {"momentum": 0.9}),
        (("--optimizer", "sgd", "optimizer.lr=0.7"), "sgd", {"lr": 0.7}),
        (("optimizer.momentum=0.9", "optimizer.name=sgd"), "sgd", {"momentum": 0.9}),
        (("optimizer.name=sgd", "optimizer.momentum=0.9"), "sgd", {"momentum": 0.9}),
        (("optimizer.momentum=0.9", "optimizer=sgd"), "sgd", {"momentum": 0.9}),
        (("optimizer.name=adam", "--optimizer", "sgd", "optimizer.momentum=0.9"), "sgd", {"momentum": 0.9}),
        (
            (
                "--optimizer", "adamw", "optimizer.lr.schedule=Cosine", "optimizer.lr.lr=0.1",
                "optimizer.lr.steps=90",
            ),
            "adamw",
            {"lr": {"schedule": "Cosine", "lr": 0.1, "steps": 90}},
        ),
        (
            ("optimizer.lr.lr=0.1", "optimizer.lr.steps=90", "optimizer.lr.schedule=Cosine"),
            "adamw",
            {"lr": {"schedule": "Cosine", "lr": 0.1, "steps": 90}},
        ),
        (("optimizer={name='sgd',momentum=0.9}", "optimizer.nesterov=true"), "sgd",
         {"momentum": 0.9, "nesterov": True}),
        (("optimizer.momentum=0.9", "optimizer={nesterov=true}"), "adamw", {"nesterov": True}),
    ],
)  # fmt: skip
def test_arguments_of_an_optimizer_named_beside_them(options, arguments, name, table):
    made = options(*arguments)
    assert (made.optimizer, made.optimizer_table) == (name, table)


@pytest.mark.parametrize(
    ("arguments", "name", "momentum", "groups"),
    [
        (("--optimizer", "sgd"), "sgd", 0.9, True),
        (("optimizer=SGD",), "sgd", 0.9, True),
        (("--optimizer", "sgd", "optimizer.name=adam"), "sgd", 0.9, True),
        (("--optimizer", "sgd", "optimizer.momentum=0.5"), "sgd", 0.5, True),
        (("--optimizer", "rmsprop", "optimizer.momentum=0.5"), "rmsprop", 0.5, False),
        (("optimizer.momentum=0.5", "optimizer.name=rmsprop"), "rmsprop", 0.5, False),
        (("optimizer={momentum=0.5}",), "sgd", 0.5, False),
        (("optimizer.groups={}",), "sgd", 0.9, {}),
        (
            ('optimizer.groups={"0.*"={lr_scale=2.0}}', 'optimizer.groups."0.*".weight_decay=1.0'),
            "sgd",
            0.9,
            {"0.*": {"lr_scale": 2.0, "weight_decay": 1.0}},
        ),
    ],
)
def test_arguments_of_the_file_go_with_another_name_only(options, arguments, name, momentum, groups):
    """And a table written as {...} takes the place of the file's, where a dotted key reaches into it."""
    made = options(*arguments, file=True)
    assert (made.optimizer, made.optimizer_table["momentum"]) == (name, momentum)
    wanted = {"*.bias": {"weight_decay": 0.0}} if groups is True else groups or None
    assert (made.optimizer_table.get("groups") or None) == wanted


def test_another_schedule_is_a_table_anew(options, tmp_path):
    then = "{schedule='Constant',lr=0.1}"
    (tmp_path / "run.toml").write_text(f"[optimizer.lr]\nschedule = 'Warmup'\nsteps = 9\nthen = {then}\n")

    def rate(*lines):
        return parse(["train", str(tmp_path / "run.toml"), *lines]).optimizer_table["lr"]

    same = rate("--set", "optimizer.lr.schedule=warmup", "--set", "optimizer.lr.steps=5")
    assert same == {"schedule": "warmup", "steps": 5, "then": {"schedule": "Constant", "lr": 0.1}}
    other = rate("--set", "optimizer.lr.steps=5", "--set", "optimizer.lr.schedule=Cosine")
    assert other == {"schedule": "Cosine", "steps": 5}


def test_a_loss_named_beside_its_arguments(options):
    for arguments in (
        ("--loss", "CrossEntropyLoss", "loss.label_smoothing=0.3"),
        ("loss.label_smoothing=0.3", "loss=CrossEntropyLoss"),
    ):
        for file in (False, True):
            made = options(*arguments, file=file)
            assert (made.loss, made.loss_table) == ("CrossEntropyLoss", {"label_smoothing": 0.3})
    assert options("--loss", "FocalLoss", "loss.gamma=3.0", file=True).loss_table == {"gamma": 3.0}
    assert options("--loss", "CrossEntropyLoss", file=True).loss_table == {"label_smoothing": 0.1}


def test_class_weights_are_balanced_or_given(options, tmp_path):
    with pytest.raises(UserError, match="--class-weight gives the weights, --set class_weight others; leave"):
        options("--class-weight", "balanced", "class_weight.0=5")
    made = options("class_weight=balanced", "class_weight.0=5")
    assert (made.class_weight, made.class_weights) == (None, {"0": 5.0})
    (tmp_path / "run.toml").write_text("[class_weight]\n0 = 2.0\n1 = 3.0\n")
    made = parse(["train", str(tmp_path / "run.toml"), "--class-weight", "balanced"])
    assert (made.class_weight, made.class_weights) == ("balanced", None)
    made = parse(["train", str(tmp_path / "run.toml"), "--set", "class_weight={2=1.5}"])
    assert made.class_weights == {"2": 1.5}


def test_it_reaches_the_model_file(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    given = ("--optimizer", "sgd", "--loss", "CrossEntropyLoss", "--set", "loss.label_smoothing=0.25")
    assert main(["train", "--epochs", "1", "--layers", "8", *given, "--set", "optimizer.momentum=0.5"]) == 0
    assert main(["info", "digits.safetensors"]) == 0
    out = capsys.readouterr().out
    assert "CrossEntropyLoss(label_smoothing=0.25)" in out
    assert "SGD(lr=0.001, momentum=0.5)" in out
    assert cr.load("digits.safetensors")


def test_names_with_an_equals_sign(options):
    assert options('class_weight."a=b"=2.0').class_weights == {"a=b": 2.0}


@pytest.mark.parametrize(
    ("command", "line", "message"),
    [
        ("cv", "checkpoints=zz", "--set: checkpoints is for chainrule train; leave it away"),
        ("cv", "checkpoint_every=2", "--set: checkpoint_every is for chainrule train; leave it away"),
        ("cv", "validation=0.5", "--set: validation is for chainrule train; leave it away"),
        ("cv", "test=nofile", "--set: test is for chainrule train; leave it away"),
        ("cv", "tensorboard.folder=log", "--set: tensorboard is for chainrule train; leave it away"),
        ("train", "k=3", "--set: k is for chainrule cv; leave it away"),
        ("train", "workers=2", "--set: workers is for chainrule cv; leave it away"),
        ("train", "time_series=true", "--set: time_series is for chainrule cv; leave it away"),
        ("train", "stratify=false", "--set: stratify is for chainrule cv; leave it away"),
        ("train", "score=nosuch", "--set: score is for chainrule cv; leave it away"),
        ("train", "checkpoint_every=3", "--set: checkpoint_every is for --checkpoints FOLDER; name a folder"),
        (
            "train",
            "tensorboard.foler=x",
            "--set: tensorboard: there is no argument foler; did you mean folder",
        ),
    ],
)
def test_what_would_do_nothing_is_refused(command, line, message):
    with pytest.raises(UserError, match=message):
        parse([command, "--set", line])


def test_a_file_may_hold_what_is_for_the_other_command(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "run.toml"
    file.write_text("layers = [4]\nepochs = 1\nk = 2\nworkers = 1\nvalidation = 0.3\ncheckpoint_every = 2\n")
    assert main(["train", "run.toml"]) == 0
    out = capsys.readouterr().out
    assert "note: run.toml: k, workers are for chainrule cv, and left alone\n" in out
    assert "note: run.toml: checkpoint_every is for --checkpoints FOLDER, and left alone\n" in out
    assert main(["train", "run.toml", "--checkpoints", "kept"]) == 0
    assert "FOLDER" not in capsys.readouterr().out
    assert main(["cv", "run.toml"]) == 0
    out = capsys.readouterr().out
    assert "note: run.toml: validation, checkpoint_every are for chainrule train, and left alone\n" in out
    file.write_text("[tensorboard]\nfoler = 'x'\n")
    assert main(["cv", "run.toml"]) == 2
    message = "run.toml: tensorboard: there is no argument foler; did you mean folder?"
    assert message in capsys.readouterr().err
    file.write_text("validation = 3\n")
    assert main(["cv", "run.toml"]) == 2
    assert "run.toml: validation: must be at least 0 and less than 1, got 3" in capsys.readouterr().err
