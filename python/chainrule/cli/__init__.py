"""The command `chainrule`: arguments and errors. The commands are in train.py, predict.py and info.py."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from .. import _core

__all__ = ["main"]

_EPILOG = """\
data:
  no FILE            the bundled digits (1797 images, 8 x 8)
  data.csv           a table with a header; --target names the column to predict
  images labels      a pair of IDX files, gzip-compressed or not, or of NPY files
  data.npz           arrays X and y
uint8 images are divided by 255, numeric columns of tables standardized; other arrays are used as they are.
"""


class UserError(Exception):
    """Input that cannot be used: shown as one line."""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="chainrule", description="Train, apply and inspect neural networks."
    )
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
    train.add_argument("files", nargs="*", metavar="FILE", help="the data; without any, the bundled digits")
    train.add_argument("--target", metavar="COLUMN", help="column of a CSV file to predict")
    train.add_argument("--task", choices=("auto", "classification", "regression"), default="auto")
    train.add_argument(
        "--layers", metavar="N,N", default="128,64", help="sizes of the hidden layers (128,64); 0: none"
    )
    train.add_argument("--activation", default="relu", help="between layers (relu)")
    train.add_argument(
        "--dropout", type=float, default=0.0, metavar="P", help="probability of dropping a value (0)"
    )
    train.add_argument("--epochs", type=int, default=30, metavar="N", help="passes over the data (30)")
    train.add_argument("--batch-size", type=int, default=32, metavar="N", help="samples per step (32)")
    train.add_argument("--optimizer", choices=("sgd", "adagrad", "rmsprop", "adam", "adamw"), default="adamw")
    train.add_argument("--lr", type=float, metavar="RATE", help="learning rate (the optimizer's default)")
    train.add_argument(
        "--schedule",
        choices=("cosine", "constant"),
        default="cosine",
        help="cosine: the rate stays for half of the epochs, then falls towards 0 (the default)",
    )
    train.add_argument(
        "--weight-decay", type=float, metavar="D", help="weight decay (the optimizer's default)"
    )
    train.add_argument(
        "--validation", type=float, metavar="SHARE", help="share held out for validation (0.2)"
    )
    train.add_argument("--test", nargs="+", metavar="FILE", help="data to test on at the end, like FILE")
    train.add_argument(
        "--missing", choices=("error", "fill", "drop"), default="error", help="missing cells of a table"
    )
    train.add_argument("--ignore", metavar="A,B", default="", help="columns of a table that are no features")
    train.add_argument("--seed", type=int, default=0, help="of the split, the weights and the order (0)")
    train.add_argument("--out", metavar="MODEL", help="the model file (named after the data)")
    train.add_argument("--quiet", action="store_true", help="print nothing but errors")

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

    info = commands.add_parser(
        "info", help="show what a model file holds", description="Show what a model file holds."
    )
    info.add_argument("model", metavar="MODEL", help="a model file")
    return parser


def _run(options: argparse.Namespace) -> int:
    if options.command == "train":
        from .train import train

        return train(options)
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
        parser.print_usage(sys.stderr)
        print("chainrule: error: name a command: train, predict or info", file=sys.stderr)
        return 2
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


def _fail(message: str) -> int:
    print("chainrule: error: " + " ".join(message.split()), file=sys.stderr)
    return 2
