"""What the commands write, and that they never write over a file that is not theirs."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .errors import UserError


def check_place(out: Path) -> None:
    """Refuse a file that could not be written."""
    if not out.parent.is_dir():
        raise UserError(f"--out: there is no folder {out.parent}")
    if out.is_dir() or not os.access(out.parent, os.W_OK):
        raise UserError(f"--out: {out} cannot be written")


def check_model(out: Path, force: bool) -> None:
    """Refuse, before anything is trained, to replace what `chainrule train` has not written itself."""
    if out.suffix != ".safetensors":
        raise UserError(f"--out: a model file ends in .safetensors, got {out}")
    check_place(out)
    for path, ours in (
        (out, _is_model),
        (out.with_suffix(".json"), _is_history),
        (out.with_suffix(".png"), _is_curve),
    ):
        _check_replaceable(path, ours, force)


def check_log(path: Path, force: bool) -> None:
    """Refuse to replace a file that is no history of a training."""

    def ours(path: Path) -> bool:
        with path.open(encoding="utf-8") as file:
            return file.readline().startswith("epoch,")

    if not path.parent.is_dir():
        raise UserError(f"csv_logger: there is no folder {path.parent}")
    _check_replaceable(path, ours, force, "csv_logger")


def check_predictions(out: Path, head: list[str], force: bool) -> None:
    """Refuse to replace a table that does not have the columns of these predictions."""
    check_place(out)

    def ours(path: Path) -> bool:
        with path.open(encoding="utf-8", newline="") as file:
            return file.readline().rstrip("\r\n") == ",".join(head)

    _check_replaceable(out, ours, force)


def finite(value: Any) -> Any:
    """The same with null where a number is inf or NaN, which JSON has no word for."""
    if isinstance(value, dict):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def write_json(path: Path, content: dict[str, Any]) -> Path:
    """Written whole or not at all; returns the path."""
    whole = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with whole.open("w", encoding="utf-8") as file:
            file.write(json.dumps(finite(content), indent=1) + "\n")
            file.flush()
            os.fsync(
                file.fileno()
            )  # before the name is its: after a power cut there is the old file or this one
        os.replace(whole, path)
    finally:
        whole.unlink(missing_ok=True)
    return path


def _check_replaceable(path: Path, ours: Callable[[Path], bool], force: bool, option: str = "--out") -> None:
    if path.is_symlink() or (path.exists() and not path.is_file()):
        raise UserError(
            f"{path} is a link or no plain file, and would be replaced; name another file with {option}"
        )
    if force or not path.exists():
        return
    try:
        if path.stat().st_size == 0 or ours(path):
            return
    except (OSError, ValueError):  # unreadable, or text that is none
        pass
    raise UserError(
        f"{path} exists and was not written by this command; name another file with {option}, or replace it "
        "with --force"
    )


def _is_model(path: Path) -> bool:
    start = b'{"__metadata__":{"chainrule"'
    with path.open("rb") as file:
        return file.read(8 + len(start))[8:] == start


def _is_history(path: Path) -> bool:
    content = json.loads(path.read_text(encoding="utf-8"))
    return isinstance(content, dict) and {"chainrule", "history"} <= content.keys()


def _is_curve(path: Path) -> bool:
    with path.open("rb") as file:
        return b"Software\0chainrule" in file.read(200)
