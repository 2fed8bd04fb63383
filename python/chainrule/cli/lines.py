"""The lines of --set as one table, and how a later table goes into an earlier one."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from typing import Any

from .errors import UserError

SHORT = {"lr": "optimizer", "weight_decay": "optimizer", "patience": "early_stopping"}  # and their tables
NAMED = ("loss", "optimizer")  # a name, or a table with one


class Whole(dict[str, Any]):
    """A table that --set writes as {...}: it takes the place of the one there is; a.b=1 reaches into it."""


def folded(texts: Sequence[str]) -> dict[str, Any]:
    """All lines of --set; of two that contradict each other, the later one."""
    found: dict[str, Any] = {}
    for text in texts:
        line = _line(text)
        for key in NAMED:
            if isinstance(line.get(key), str):
                line[key] = {"name": line[key]}
        for key, table in SHORT.items():
            before, now = found.get(table), line.get(table)
            if key in line and isinstance(before, dict):
                before.pop(key, None)
            elif isinstance(now, dict) and key in now:
                found.pop(key, None)
        merge(found, line, keep=True)
    return found


def merge(table: dict[str, Any], later: dict[str, Any], keep: bool = False) -> dict[str, Any]:
    """Put what is given later into a table and those in it; another schedule is a table anew, unless keep."""
    for key, value in later.items():
        before: Any = table.get(key)
        if _goes_into(before, value, keep):
            merge(before, value, keep)
        else:
            table[key] = value
    return table


def _goes_into(before: Any, value: Any, keep: bool) -> bool:
    if not isinstance(before, dict) or not isinstance(value, dict) or isinstance(value, Whole):
        return False
    names = [str(table.get("schedule", "")).lower() for table in (before, value)]
    return keep or "schedule" not in value or names[0] == names[1]


def _line(text: str) -> dict[str, Any]:
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise UserError(f"--set: expected KEY=VALUE, such as optimizer.momentum=0.9, got {text!r}")
    try:
        return _marked(tomllib.loads(text), key)
    except tomllib.TOMLDecodeError:
        pass
    try:  # a word needs no quotes here
        quoted = value.strip().replace("\\", "\\\\").replace('"', '\\"')
        return tomllib.loads(f'{key} = "{quoted}"')
    except tomllib.TOMLDecodeError as error:
        raise UserError(f"--set: {text!r} is not a line of a TOML file: {error}") from None


def _marked(line: dict[str, Any], key: str) -> dict[str, Any]:
    """The line with the table that its key names as a Whole, where that is one."""
    try:
        path: Any = tomllib.loads(f"{key} = 0")
    except tomllib.TOMLDecodeError:  # a quoted name with = in it, whose value is no table
        return line
    table: Any = line
    while True:
        ((name, path),) = path.items()
        if not isinstance(path, dict):
            break
        table = table[name]
    if isinstance(table[name], dict):
        table[name] = Whole(table[name])
    return line
