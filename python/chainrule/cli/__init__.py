"""The command `chainrule`: which command runs, and how it ends. The commands have a file each."""

from __future__ import annotations

import os
import sys
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path

from .. import _core
from .config import parse
from .errors import UserError, in_options

__all__ = ["main"]


def _run(options: Namespace) -> int:
    if options.command == "train":
        from .train import train

        return train(options)
    if options.command == "cv":
        from .cv import cv

        return cv(options)
    if options.command == "resume":
        from .resume import resume

        return resume(options)
    if options.command == "predict":
        from .predict import predict

        return predict(options)
    from .info import info

    return info(options)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit code: 0, 2 for input that cannot be used, 130 after Ctrl-C."""
    try:
        options = parse(argv)
    except UserError as error:
        return _fail(str(error))
    if options.cmake_dir:
        print(Path(__file__).resolve().parent.parent / "lib" / "cmake" / "chainrule")
        return 0
    if options.command is None:
        return _fail("name a command: train, cv, resume, predict or info; see chainrule --help")
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
    print(f"chainrule: error: {in_options(message)}", file=sys.stderr)
    return 2
