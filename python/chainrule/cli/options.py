"""The options of every command, and the kinds of values they take, from the command line or from a file."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any, NoReturn

from .. import _core, nn, optim

_USAGE = "%(prog)s [run.toml] [FILE ...] [OPTION ...]"
_EPILOG = """\
data:
  no FILE            the bundled digits (1797 images, 8 x 8)
  data.csv           a table with a header, or data.parquet; --target names the column to predict
  images labels      a pair of IDX files, gzip-compressed or not, or of NPY files
  data.npz           arrays X and y
uint8 images are divided by 255, numeric columns of tables standardized; other arrays are used as they are.

run.toml:
  a file of options under their names: epochs = 50, batch_size = 64, layers = [64, 32], data = "data.csv";
  the tables [loss], [optimizer], [optimizer.lr] (a schedule), [early_stopping] and [class_weight] hold
  arguments. Options given here take the place of those in the file, and --set KEY=VALUE is a line of it:
  --set optimizer.betas=[0.8,0.99] --set loss.label_smoothing=0.1
"""

OPTIMIZERS: dict[str, Any] = {
    name.lower(): getattr(optim, name) for name in optim.__all__ if name != "Optimizer"
}
LOSSES: dict[str, Any] = {
    loss.__name__: loss
    for loss in (nn.CrossEntropyLoss, nn.FocalLoss, nn.MultiMarginLoss, nn.MSELoss, nn.L1Loss, nn.HuberLoss)
}


class Kind:
    """What an option takes: how its text is read, and what a file has to hold for it."""

    def __init__(self, words: str, read: Callable[[str], Any], *types: type, many: bool = False) -> None:
        self.words, self.types, self.many = words, types, many
        self._read = read

    def __call__(self, text: str) -> Any:
        return self._read(text)

    def of(self, value: Any) -> Any:
        """A value of a file, checked as the text of an option is; argparse's error where it does not fit."""
        parts = value if self.many and isinstance(value, list) else [value]
        if any(not isinstance(part, self.types) or isinstance(part, bool) for part in parts):
            raise argparse.ArgumentTypeError(f"must be {self.words}, got {shown(value)}")
        if not parts:
            return []
        if self.types == (str,):
            return _distinct(parts) if self.many else self(value)
        return self(",".join(map(str, parts)))


def shown(value: Any) -> str:
    """A value as it stands in a file."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return "a table" if isinstance(value, dict) else repr(value)


def _number(kind: Callable[[str], Any], words: str, least: float, below: float | None = None) -> Kind:
    """A number, least <= value < below."""

    def read(text: str) -> Any:
        try:
            value = kind(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"expected {words}, got {text!r}") from None
        if not least <= value < (float("inf") if below is None else below):
            limit = "" if below is None else f" and less than {below}"
            raise argparse.ArgumentTypeError(f"must be at least {least:g}{limit}, got {text}")
        return value

    return Kind(words, read, int) if kind is int else Kind(words, read, int, float)


def _count(least: int) -> Kind:
    return _number(int, "a whole number", least)


def _read_sizes(text: str) -> list[int]:
    try:
        sizes = [int(part) for part in text.split(",") if part.strip()]
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected sizes such as 64,32, got {text!r}") from None
    if sizes == [0]:
        return []
    if not sizes or min(sizes) < 1 or max(sizes) > 1_000_000:
        raise argparse.ArgumentTypeError(f"sizes must be 1 to 1,000,000, got {text!r}")
    return sizes


def _distinct(names: list[str]) -> list[str]:
    if len(set(names)) < len(names):
        raise argparse.ArgumentTypeError(f"a name is there twice, got {','.join(names)!r}")
    return names


def _read_names(text: str) -> list[str]:
    return _distinct([part.strip() for part in text.split(",") if part.strip()])


def _read_character(text: str) -> str:
    if text in ("tab", "\\t"):
        return "\t"
    if len(text) != 1:
        raise argparse.ArgumentTypeError(f"expected one character (or tab), got {text!r}")
    return text


_RATE, _SHARE = _number(float, "a number", 0), _number(float, "a number", 0, 1)
_SIZES = Kind("a list of whole numbers", _read_sizes, int, many=True)
_NAMES = Kind("a list of names", _read_names, str, many=True)
_CHARACTER = Kind("one character", _read_character, str)


class _Parser(argparse.ArgumentParser):
    """argparse, with one line for an error."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: error: {message}; see {self.prog} --help\n")


def _add_csv_options(command: argparse.ArgumentParser) -> None:
    csv = command.add_argument_group("CSV files")
    add = csv.add_argument
    add("--delimiter", type=_CHARACTER, metavar="C", help="between cells (found from the first lines)")
    add("--decimal", type=_CHARACTER, default=".", metavar="C", help="decimal point (.)")
    add(
        "--no-header",
        action="store_true",
        help='there is no line of names: they are "column 1", "column 2", ...',
    )
    add("--na", type=_NAMES, metavar="A,B", help="words that stand for a missing cell, besides an empty one")
    add(
        "--text",
        type=_NAMES,
        metavar="A,B",
        default=[],
        help="columns kept as text although they hold numbers",
    )


def _add_data_options(command: argparse.ArgumentParser) -> None:
    add = command.add_argument_group("data").add_argument
    add("--target", metavar="COLUMN", help="column of a table to predict")
    add("--task", choices=("auto", "classification", "regression"), default="auto")
    add("--ignore", type=_NAMES, metavar="A,B", default=[], help="columns of a table that are no features")
    add("--groups", metavar="COLUMN", help="column of a table (no feature): rows of a group stay together")
    add(
        "--missing",
        choices=("fill", "drop", "error"),
        default="fill",
        help="missing cells of a table: fill with the mean or the most frequent word, drop the row, or stop",
    )


def _add_network_options(command: argparse.ArgumentParser) -> None:
    add = command.add_argument_group("network").add_argument
    add(
        "--layers",
        type=_SIZES,
        metavar="N,N",
        default=[128, 64],
        help="sizes of the hidden layers (128,64); 0: none",
    )
    add("--activation", default="relu", metavar="NAME", help="between layers (relu)")
    add("--dropout", type=_SHARE, default=0.0, metavar="P", help="probability of dropping a value (0)")


def _add_training_options(command: argparse.ArgumentParser) -> None:
    add = command.add_argument_group("training").add_argument
    add(
        "--loss",
        choices=tuple(LOSSES),
        metavar="NAME",
        help="what to minimize: of classes CrossEntropyLoss (the default), FocalLoss, MultiMarginLoss, "
        "of numbers MSELoss (the default), L1Loss, HuberLoss",
    )
    add("--optimizer", choices=tuple(OPTIMIZERS), default="adamw", metavar="NAME", help=", ".join(OPTIMIZERS))
    add("--lr", type=_RATE, metavar="RATE", help="learning rate (the optimizer's default)")
    add(
        "--schedule",
        choices=("cosine", "constant"),
        help="cosine: the rate stays for half of the epochs, then falls towards 0 (the default); constant: "
        "the default with lbfgs and levenbergmarquardt",
    )
    add("--weight-decay", type=_RATE, metavar="D", help="weight decay (the optimizer's default)")
    add("--clip-norm", type=_RATE, metavar="C", help="largest norm of a step's gradient")
    add("--epochs", type=_count(1), default=30, metavar="N", help="passes over the data (30)")
    add(
        "--batch-size",
        type=_count(1),
        metavar="N",
        help="samples per step (32; with lbfgs and levenbergmarquardt all)",
    )
    add(
        "--metrics",
        type=_NAMES,
        metavar="A,B",
        help="what to measure beside the loss, such as f1_macro,top_5_accuracy (accuracy, or r2,rmse,mae)",
    )
    add(
        "--patience",
        type=_count(1),
        metavar="N",
        help="stop after N epochs without a smaller loss of the rows held out; keep the best epoch's weights",
    )
    add(
        "--class-weight",
        choices=("balanced",),
        help="balanced: every class weighs the same, however many rows it has",
    )
    add(
        "--sampler",
        choices=("stratified", "weighted"),
        help="stratified: every batch holds every class by its share; weighted: rows are drawn, with "
        "replacement, so that every class is there as often",
    )
    add(
        "--seed",
        type=_number(int, "a whole number", 0, 2**64),
        default=0,
        metavar="N",
        help="of the split, the weights and the order (0)",
    )


def _add_common_options(command: argparse.ArgumentParser) -> None:
    """What to train on, and how: the same for one training and for cross-validation."""
    command.add_argument(
        "files",
        nargs="*",
        metavar="FILE",
        default=[],
        help="run.toml with options, and the data; without any, the digits",
    )
    command.add_argument(
        "--set", action="append", metavar="KEY=VALUE", default=[], help="a line of run.toml (see below)"
    )
    command.add_argument("--out", metavar="MODEL", help="the model file (named after the data)")
    command.add_argument(
        "--force", action="store_true", help="replace files that another program has written"
    )
    command.add_argument("--quiet", action="store_true", help="print errors and warnings only")
    _add_data_options(command)
    _add_network_options(command)
    _add_training_options(command)
    _add_csv_options(command)


def _add_train(commands: Any) -> argparse.ArgumentParser:
    train: argparse.ArgumentParser = commands.add_parser(
        "train",
        help="train a network on a table, on images or on arrays",
        description="Train a network; write the model, its history (.json) and its learning curve (.png).",
        usage=_USAGE,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    _add_common_options(train)
    train.add_argument(
        "--validation", type=_SHARE, metavar="SHARE", help="share held out for validation (0.2); 0: none"
    )
    train.add_argument("--test", nargs="+", metavar="FILE", help="data to test on at the end, like FILE")
    train.add_argument(
        "--checkpoints", metavar="FOLDER", help="keep the run there, for chainrule resume FOLDER"
    )
    train.add_argument(
        "--checkpoint-every", type=_count(1), default=1, metavar="N", help="epochs between checkpoints (1)"
    )
    return train


def _add_cv(commands: Any) -> argparse.ArgumentParser:
    cv: argparse.ArgumentParser = commands.add_parser(
        "cv",
        help="cross-validate a network, then train it on all data",
        description="Train a network on all but one of k parts of the data, k times, and measure it on\n"
        "the part left out; then train it on all of them. Writes that model, the scores (.json) and a\n"
        "picture (.png). Columns of tables are standardized, and missing cells filled, with the\n"
        "statistics of all rows.",
        usage=_USAGE,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    _add_common_options(cv)
    cv.add_argument("--k", type=_count(2), default=5, metavar="K", help="parts of the data (5)")
    cv.add_argument(
        "--repeats", type=_count(1), default=1, metavar="N", help="do it N times, split anew each time (1)"
    )
    cv.add_argument("--no-stratify", action="store_true", help="let the shares of classes differ by fold")
    cv.add_argument(
        "--time-series",
        action="store_true",
        help="rows are in the order of time: train on those before, hold out those after",
    )
    cv.add_argument("--score", metavar="NAME", help="the metric to compare folds by (the first)")
    cv.add_argument("--workers", type=_count(1), metavar="N", help="models trained at a time (the threads)")
    cv.add_argument("--no-retrain", action="store_true", help="do not train on all data; write no model")
    return cv


def _add_predict(commands: Any) -> argparse.ArgumentParser:
    predict: argparse.ArgumentParser = commands.add_parser(
        "predict", help="apply a model to new data", description="Apply a model to new data."
    )
    predict.add_argument("model", metavar="MODEL", help="a model file")
    predict.add_argument(
        "file", metavar="FILE", help="CSV or Parquet with the columns trained on, or IDX, NPY, NPZ (array X)"
    )
    predict.add_argument(
        "--out",
        metavar="CSV",
        default="predictions.csv",
        help="where to (predictions.csv); -: standard output",
    )
    predict.add_argument("--force", action="store_true", help="replace a file that holds something else")
    _add_csv_options(predict)
    return predict


def _add_resume(commands: Any) -> argparse.ArgumentParser:
    resume: argparse.ArgumentParser = commands.add_parser(
        "resume",
        help="go on with a training that was interrupted",
        description="Go on with a training begun by chainrule train --checkpoints, to the same result.",
    )
    resume.add_argument("folder", metavar="FOLDER", help="the folder of --checkpoints")
    resume.add_argument("--quiet", action="store_true", help="print errors and warnings only")
    return resume


def parsers() -> tuple[argparse.ArgumentParser, dict[str, argparse.ArgumentParser]]:
    """The command line's, and each command's by name."""
    parser = _Parser(prog="chainrule", description="Train, apply and inspect neural networks.")
    parser.add_argument("--version", action="version", version=f"chainrule {_core.__version__}")
    parser.add_argument(
        "--cmake-dir", action="store_true", help="print where CMake's find_package(chainrule) finds it"
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands")
    info = commands.add_parser(
        "info", help="show what a model file holds", description="Show what a model file holds."
    )
    info.add_argument("model", metavar="MODEL", help="a model file")
    made = {
        "train": _add_train(commands),
        "cv": _add_cv(commands),
        "resume": _add_resume(commands),
        "predict": _add_predict(commands),
        "info": info,
    }
    return parser, made
