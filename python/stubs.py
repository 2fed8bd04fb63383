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

_ERRORS = """\
class Error(RuntimeError): ...
class ShapeError(Error, builtins.ValueError): ...
class ValueError(Error, builtins.ValueError): ...
class DTypeError(Error, TypeError): ...
class IndexError(Error, builtins.IndexError): ...
class StateError(Error): ...
class FileError(Error, OSError): ...
"""
_COMPARED = "|".join(("eq", "ne", "lt", "le", "gt", "ge"))
_BINARY = "|".join(reflected + name for name in ("add", "sub", "mul", "truediv", "pow", "matmul") for reflected in ("", "r"))


def generate() -> str:
    """The stub file's text."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pybind11_stubgen", "chainrule._core", "-o", folder]
        subprocess.run(command, check=True, capture_output=True)
        text = (Path(folder) / "chainrule" / "_core.pyi").read_text(encoding="utf-8")
    text = re.sub(r"^from chainrule import \w+Error\n|^from chainrule import Error\n", "", text, flags=re.M)
    text = re.sub(r"^__all__.*\n", "", text, flags=re.M)
    # What pybind11 cannot know: operators give tensors; "self" and factories give what they say they do.
    text = re.sub(rf"(def __(?:{_BINARY})__\(self), arg0: typing.Any\) -> typing.Any", r"\1, other: typing.Any) -> Tensor", text)
    text = re.sub(
        rf"(def __(?:{_COMPARED})__\(self), arg0: typing.Any\) -> typing.Any:",
        r"\1, other: typing.Any) -> Tensor:  # type: ignore[override]",
        text,
    )
    text = text.replace("typing.SupportsInt | typing.SupportsIndex", "typing.SupportsIndex")
    text = re.sub(r"^(class Tensor:)", _ERRORS + r"\1", text, count=1, flags=re.M)
    text = text.replace("from __future__ import annotations\n", "from __future__ import annotations\nimport builtins\n", 1)
    return "# Written by python/stubs.py; not edited by hand.\n" + text


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
