"""Writes python/chainrule/_core.pyi from the built module, or compares the two.

python python/stubs.py            # write (needs the package importable, and pybind11-stubgen 3.0.0)
python python/stubs.py --check    # exit code 1 and a diff where the file in the repository is not up to date
"""

from __future__ import annotations

import difflib
import re
import subprocess
import sys
import tempfile
from pathlib import Path

STUBS = Path(__file__).parent / "chainrule" / "_core.pyi"

_HEAD = '"""The C++ core of chainrule. Written by python/stubs.py; not edited by hand."""\n\n'
_IMPORTS = """\
from __future__ import annotations

import builtins
import collections.abc
import typing

import numpy
import numpy.typing

"""
_ERRORS = """\
class Error(RuntimeError): ...
class ShapeError(Error, builtins.ValueError): ...
class ValueError(Error, builtins.ValueError): ...
class DTypeError(Error, TypeError): ...
class IndexError(Error, builtins.IndexError): ...
class StateError(Error): ...
class FileError(Error, OSError): ...
"""
_BINARY = "(?:r?(?:add|sub|mul|truediv|pow|matmul))"
_ANY = r"typing\.Any"
# What pybind11 cannot know: (pattern, replacement), in this order.
_CORRECTIONS = (
    (rf"(def __{_BINARY}__\(self), arg0: {_ANY}\) -> {_ANY}", r"\1, other: typing.Any) -> Tensor"),
    (rf"(def __(?:lt|le|gt|ge)__\(self), arg0: {_ANY}\) -> {_ANY}:", r"\1, other: typing.Any) -> Tensor:"),
    (
        rf"(def __(?:eq|ne)__\(self), arg0: {_ANY}\) -> {_ANY}:",
        r"\1, other: typing.Any) -> Tensor:  # type: ignore[override]",
    ),
    (
        rf"(    def (?:copy_|requires_grad_|astype|init|train|eval|clone|__deepcopy__)\(self.*\) -> ){_ANY}",
        r"\1typing.Self",
    ),
    (rf"^(def \w+_\(weight: .*\) -> ){_ANY}", r"\1Tensor"),
    (rf"^(def (?:load|loads)\(.*\) -> ){_ANY}", r"\1Module"),
    (rf"^(def MLP\(.*\) -> ){_ANY}", r"\1Sequential"),
    (rf"(    def grad\(self\) -> ){_ANY}", r"\1Tensor | None"),
    (rf"(    def bias\(self\) -> ){_ANY}", r"\1Parameter | None"),
    (rf"(    def schema\(self\) -> ){_ANY}", r"\1Schema | None"),
    (rf"(    def model\(self\) -> ){_ANY}", r"\1Module"),
    (rf"(    def __contains__\(self, .*\) -> ){_ANY}", r"\1bool"),
    (
        r"(    def __iter__\(self\) -> )collections\.abc\.Iterator:",
        r"\1collections.abc.Iterator[typing.Any]:",
    ),
)
# In signatures only: arguments of generic types that are not told.
_GENERIC = (
    (r"typing\.SupportsInt \| typing\.SupportsIndex", "typing.SupportsIndex"),
    (r"\bnumpy\.ndarray\b(?!\[)", "numpy.typing.NDArray[typing.Any]"),
    (r"(\*args|\*\*kwargs)(?=[,)])", r"\1: typing.Any"),
    (r"\bdict\b(?!\[)", "dict[typing.Any, typing.Any]"),
    (r"\blist\b(?=[:\],)])", "list[typing.Any]"),
    (r"\btuple\b(?=[:\],)])", "tuple[typing.Any, ...]"),
    (r"\bcollections\.abc\.Callable\b(?!\[)", "collections.abc.Callable[..., typing.Any]"),
)


def generate() -> str:
    """The stub file's text."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pybind11_stubgen", "chainrule._core", "-o", folder]
        subprocess.run(command, check=True, capture_output=True)
        text = (Path(folder) / "chainrule" / "_core.pyi").read_text(encoding="utf-8")
    text = text[text.index("class Tensor:") :]
    for pattern, replacement in _CORRECTIONS:
        text = re.sub(pattern, replacement, text, flags=re.M)
    lines = text.splitlines()
    for i, line in enumerate(lines):
        if line.lstrip().startswith("def "):
            for pattern, replacement in _GENERIC:
                line = re.sub(pattern, replacement, line)
            lines[i] = line
    return _HEAD + _IMPORTS + _ERRORS + "\n".join(line.rstrip() for line in lines) + "\n"


def main() -> int:
    text = generate()
    if "--check" not in sys.argv[1:]:
        STUBS.write_text(text, encoding="utf-8")
        return 0
    committed = STUBS.read_text(encoding="utf-8") if STUBS.exists() else ""
    lines = difflib.unified_diff(committed.splitlines(), text.splitlines(), "committed", "built", lineterm="")
    difference = "\n".join(lines)
    print(difference, end="\n" if difference else "")
    return 1 if difference else 0


if __name__ == "__main__":
    sys.exit(main())
