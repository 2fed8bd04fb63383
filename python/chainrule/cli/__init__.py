"""The command `chainrule`: arguments and errors. The commands have a file each."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from .. import _core, optim

__all__ = ["main"]

_EPILOG = """\
data:
  no FILE            the bundled digits (1797 images, 8 x 8)
  data.csv           a table with a header; --target names the column to predict
  images labels      a pair of IDX files, gzip-compressed or not, or of NPY files
  data.npz           arrays X and y
uint8 images are divided by 255, numeric columns of tables standardized; other arrays are used as they are.
"""


OPTIMIZERS: dict[str, Any] = {
    name.lower(): getattr(optim, name) for name in optim.__all__ if name != "Optimizer"
}


class UserError(Exception):
    """Input that cannot be used: shown as one line."""


class _Parser(argparse.ArgumentParser):
    """argparse, with one line for an error."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: error: {message}; see {self.prog} --help\n")


def _number(
    kind: Callable[[str], Any], name: str, least: float, below: float | None = None
) -> Callable[[str], Any]:
    """Reads an option's number, least <= value < below."""

    def read(text: str) -> Any:
        try:
            value = kind(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"expected {name}, got {text!r}") from None
        if not least <= value < (float("inf") if below is None else below):
            limit = "" if below is None else f" and less than {below}"
            raise argparse.ArgumentTypeError(f"must be at least {least:g}{limit}, got {text}")
        return value

    return read


def _count(least: int) -> Callable[[str], Any]:
    return _number(int, "a whole number", least)


def _sizes(text: str) -> list[int]:
    try:
        sizes = [int(part) for part in text.split(",") if part.strip()]
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected sizes such as 64,32, got {text!r}") from None
    if sizes == [0]:
        return []
    if not sizes or min(sizes) < 1 or max(sizes) > 1_000_000:
        raise argparse.ArgumentTypeError(f"sizes must be 1 to 1,000,000, got {text!r}")
    return sizes


def _names(text: str) -> list[str]:
    names = [part.strip() for part in text.split(",") if part.strip()]
    if len(set(names)) < len(names):
        raise argparse.ArgumentTypeError(f"a name is there twice, got {text!r}")
    return names


def _character(text: str) -> str:
    if text in ("tab", "\\t"):
        return "\t"
    if len(text) != 1:
        raise argparse.ArgumentTypeError(f"expected one character (or tab), got {text!r}")
    return text


def _add_csv_options(command: argparse.ArgumentParser) -> None:
    csv = command.add_argument_group("CSV files")
    csv.add_argument(
        "--delimiter",
        type=_character,
        default=None,
        metavar="C",
        help="between cells (found from the first lines)",
    )
    csv.add_argument("--decimal", type=_character, default=".", metavar="C", help="decimal point (.)")
    csv.add_argument(
        "--no-header",
        action="store_true",
        help='there is no line of names: they are "column 1", "column 2", ...',
    )
    csv.add_argument("--na", metavar="A,B", help="words that stand for a missing cell, besides an empty one")
    csv.add_argument(
        "--text", metavar="A,B", default="", help="columns kept as text although they hold numbers"
    )


def _add_training_options(command: argparse.ArgumentParser) -> None:
    """What data to train on, and how: the same for one training and for cross-validation."""
    command.add_argument("files", nargs="*", metavar="FILE", help="the data; without any, the bundled digits")
    command.add_argument("--target", metavar="COLUMN", help="column of a CSV file to predict")
    command.add_argument("--task", choices=("auto", "classification", "regression"), default="auto")
    command.add_argument(
        "--layers",
        type=_sizes,
        metavar="N,N",
        default="128,64",
        help="sizes of the hidden layers (128,64); 0: none",
    )
    command.add_argument("--activation", default="relu", help="between layers (relu)")
    command.add_argument(
        "--dropout",
        type=_number(float, "a number", 0, 1),
        default=0.0,
        metavar="P",
        help="probability of dropping a value (0)",
    )
    command.add_argument(
        "--epochs", type=_count(1), default=30, metavar="N", help="passes over the data (30)"
    )
    command.add_argument(
        "--batch-size",
        type=_count(1),
        metavar="N",
        help="samples per step (32; with lbfgs and levenbergmarquardt all)",
    )
    command.add_argument("--optimizer", choices=tuple(OPTIMIZERS), default="adamw")
    command.add_argument(
        "--lr",
        type=_number(float, "a number", 0),
        metavar="RATE",
        help="learning rate (the optimizer's default)",
    )
    command.add_argument(
        "--schedule",
        choices=("cosine", "constant"),
        help="cosine: the rate stays for half of the epochs, then falls towards 0 (the default); constant: "
        "the default with lbfgs and levenbergmarquardt",
    )
    command.add_argument(
        "--weight-decay",
        type=_number(float, "a number", 0),
        metavar="D",
        help="weight decay (the optimizer's default)",
    )
    command.add_argument(
        "--metrics",
        type=_names,
        metavar="A,B",
        help="what to measure beside the loss, such as f1_macro,top_5_accuracy (accuracy, or r2,rmse,mae)",
    )
    command.add_argument(
        "--patience",
        type=_count(1),
        metavar="N",
        help="stop after N epochs without a smaller loss of the rows held out; keep the best epoch's weights",
    )
    command.add_argument(
        "--missing",
        choices=("fill", "drop", "error"),
        default="fill",
        help="missing cells of a table: fill with the mean or the most frequent word, drop the row, or stop",
    )
    command.add_argument(
        "--ignore", metavar="A,B", default="", help="columns of a table that are no features"
    )
    command.add_argument(
        "--seed",
        type=_number(int, "a whole number", 0, 2**64),
        default=0,
        help="of the split, the weights and the order (0)",
    )
    command.add_argument("--out", metavar="MODEL", help="the model file (named after the data)")
    command.add_argument(
        "--force", action="store_true", help="replace files that another program has written"
    )
    command.add_argument("--quiet", action="store_true", help="print nothing but errors")
    _add_csv_options(command)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="chainrule", description="Train, apply and inspect neural networks.")
    parser.add_argument("--version", action="version", version=f"chainrule {_core.__version__}")
    parser.add_argument(
        "--cmake-dir", action="store_true", help="print where CMake's find_package(chainrule) finds it"
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands")

    train = commands.add_parser(
        "train",
        help="train a network on a table, on images or on arrays",
        description="Train a network; write the model, its history (.json) and its learning curve (.png).",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    _add_training_options(train)
    train.add_argument(
        "--validation",
        type=_number(float, "a number", 0, 1),
        metavar="SHARE",
        help="share held out for validation (0.2); 0: none",
    )
    train.add_argument("--test", nargs="+", metavar="FILE", help="data to test on at the end, like FILE")

    cv = commands.add_parser(
        "cv",
        help="cross-validate a network, then train it on all data",
        description="Train a network on all but one of k parts of the data, k times, and measure it on "
        "the part left out; then train it on all of them. Writes that model, the scores (.json) and a "
        "picture (.png). Columns of tables are standardized, and missing cells filled, with the "
        "statistics of all rows.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    _add_training_options(cv)
    cv.add_argument("--k", type=_count(2), default=5, metavar="K", help="parts of the data (5)")
    cv.add_argument(
        "--repeats", type=_count(1), default=1, metavar="N", help="do it N times, split anew each time (1)"
    )
    cv.add_argument("--workers", type=_count(1), metavar="N", help="models trained at a time (the threads)")
    cv.add_argument("--no-retrain", action="store_true", help="do not train on all data; write no model")

    predict = commands.add_parser(
        "predict", help="apply a model to new data", description="Apply a model to new data."
    )
    predict.add_argument("model", metavar="MODEL", help="a model file")
    predict.add_argument(
        "file", metavar="FILE", help="CSV with the columns trained on, or IDX, NPY or NPZ (array X)"
    )
    predict.add_argument(
        "--out",
        metavar="CSV",
        default="predictions.csv",
        help="where to (predictions.csv); -: standard output",
    )
    predict.add_argument("--force", action="store_true", help="replace a file that holds something else")
    _add_csv_options(predict)

    info = commands.add_parser(
        "info", help="show what a model file holds", description="Show what a model file holds."
    )
    info.add_argument("model", metavar="MODEL", help="a model file")
    return parser


def _run(options: argparse.Namespace) -> int:
    if options.command == "train":
        from .train import train

        return train(options)
    if options.command == "cv":
        from .cv import cv

        return cv(options)
    if options.command == "predict":
        from .predict import predict

        return predict(options)
    from .info import info

    return info(options)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit code: 0, 2 for input that cannot be used, 130 after Ctrl-C."""
    parser = _parser()
    options = parser.parse_args(argv)
    if options.cmake_dir:
        print(Path(__file__).resolve().parent.parent / "lib" / "cmake" / "chainrule")
        return 0
    if options.command is None:
        return _fail("name a command: train, cv, predict or info; see chainrule --help")
    if "CHAINRULE_TRACEBACK" in os.environ:
        return _run(options)
    try:
        return _run(options)
    except KeyboardInterrupt:
        print("chainrule: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        sys.stderr.close()
        return 0
    except OSError as error:
        where = f": {error.filename}" if error.filename else ""
        return _fail(f"{error.strerror or error}{where}")
    except (UserError, _core.Error, ValueError, MemoryError) as error:
        return _fail(str(error) or type(error).__name__)
    except Exception as error:
        _fail(f"unexpected {type(error).__name__}: {error} (CHAINRULE_TRACEBACK=1 shows where)")
        return 1


# What the library tells Python programmers to write, in the words of the command line.
_IN_OPTIONS = (
    ("retrain=False gives", "--no-retrain gives"),
    ("set decimal=','", "write --decimal ,"),
    ("set header=false", "write --no-header"),
    (
        "add the word to `missing`, or name the column in `text`",
        "name the word with --na, or the column with --text",
    ),
    ('use task="classification"', "write --task classification"),
    ('use missing="fill" or missing="drop"', "write --missing fill or --missing drop"),
)


def _fail(message: str) -> int:
    for words, option in _IN_OPTIONS:
        message = message.replace(words, option)
    print("chainrule: error: " + " ".join(message.split()), file=sys.stderr)
    return 2
