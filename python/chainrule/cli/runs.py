"""A run that is kept in a folder: its options, what its data looked like, and its checkpoints."""

from __future__ import annotations

import argparse
import json
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from .. import _core
from .config import PATHS, are_options
from .errors import UserError
from .inputs import Samples, Source, existing
from .outputs import write_json

FILE = "run.json"
_PATHS = ("files", "test")


class Run:
    """The folder of --checkpoints, and what `chainrule resume` finds in it."""

    def __init__(self, folder: Path, content: dict[str, Any]) -> None:
        self.folder, self.content = folder, content
        self._made = False  # the folder, by this process

    @classmethod
    def begun(cls, options: argparse.Namespace, out: Path, source: Source) -> Run:
        """A new one: its options go into the folder before anything is trained."""
        folder = Path(options.checkpoints)
        if (folder / FILE).exists():
            raise UserError(
                f"--checkpoints: there is a run in {folder}; go on with it by chainrule resume {folder}, "
                "or name another folder"
            )
        if any(folder.glob("checkpoint-*.safetensors")):
            raise UserError(
                f"--checkpoints: there are checkpoints of another fit in {folder}; name another folder"
            )
        if folder.exists() and not folder.is_dir():
            raise UserError(f"--checkpoints: {folder} is no folder")
        made = not folder.exists()
        folder.mkdir(parents=True, exist_ok=True)
        kept = {**vars(options), "out": str(out.resolve()), "checkpoints": None}
        for name in _PATHS:
            kept[name] = [str(Path(path).resolve()) for path in kept[name] or ()]
        for table in ("csv_logger_table", "tensorboard_table"):
            paths = {name: path for name, path in (kept[table] or {}).items() if name in PATHS}
            if paths:
                kept[table] = kept[table] | {name: str(Path(path).resolve()) for name, path in paths.items()}
        content = {
            "chainrule": _core.__version__,
            "finished": False,
            "data": _looks(source),
            "options": kept,
        }
        run = cls(folder, content)
        run._made = made
        run._write()
        return run

    @classmethod
    def found(cls, folder: Path) -> Run:
        """The one that was begun in this folder."""
        path = folder / FILE
        if not path.is_file():
            what = "there is no run in it" if folder.is_dir() else "there is no such folder"
            raise UserError(f"{folder}: {what}; name one that chainrule train --checkpoints has written")
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
        except ValueError:
            content = None
        if not _is_whole(content):
            writer = content.get("chainrule") if isinstance(content, dict) else None
            other = isinstance(writer, str) and writer != _core.__version__
            what = f"is of chainrule {writer}, which has other options" if other else "is damaged"
            raise UserError(f"{path}: {what}; begin the run anew in another folder")
        return cls(folder, content)

    def options(self) -> argparse.Namespace:
        """What it was begun with."""
        options = argparse.Namespace(**self.content["options"])
        options.checkpoints = str(self.folder)
        for name in _PATHS:
            for path in getattr(options, name):
                existing(Path(path))
        return options

    def check(self, source: Source) -> None:
        """Refuse data that are not those it was begun with."""
        before, now = self.content["data"], _looks(source)
        for part in sorted(before.keys() | now.keys()):
            if before.get(part) != now.get(part):
                then, here = _words(before.get(part)), _words(now.get(part))
                raise UserError(
                    f"the {part} rows are not those that the run in {self.folder} was begun with: "
                    f"{then} then, {here} now; put the old data back, or begin anew"
                )

    def forget(self) -> None:
        """Leave nothing of it where it could not begin, so that the folder is free; keep a checkpoint."""
        if any(self.folder.glob("*.safetensors")):
            return
        (self.folder / FILE).unlink(missing_ok=True)
        if self._made and not any(self.folder.iterdir()):
            self.folder.rmdir()

    def finish(self) -> None:
        """Say that there is nothing more to do."""
        self.content["finished"] = True
        self._write()

    def _write(self) -> None:
        write_json(self.folder / FILE, self.content)


def _is_whole(content: Any) -> bool:
    """Whether it is what begun has written."""
    if not isinstance(content, dict) or content.keys() != {"chainrule", "finished", "data", "options"}:
        return False
    looks = content["data"]
    return (
        isinstance(content["chainrule"], str)
        and isinstance(content["finished"], bool)
        and isinstance(looks, dict)
        and all(
            isinstance(look, dict)
            and look.keys() == {"X", "y", "checksums"}
            and all(isinstance(numbers, list) and all(map(_is_int, numbers)) for numbers in look.values())
            for look in looks.values()
        )
        and are_options(content["options"])
    )


def _is_int(value: Any) -> bool:
    return isinstance(value, int)


def _looks(source: Source) -> dict[str, Any]:
    parts = {"training": source.train, "validation": source.validation, "test": source.test}
    return {name: _look(part) for name, part in parts.items() if part is not None}


def _look(part: Samples) -> dict[str, Any]:
    sums = [zlib.crc32(np.ascontiguousarray(array).data) for array in (part.X, part.y)]
    return {"X": list(part.X.shape), "y": list(part.y.shape), "checksums": sums}


def _words(look: dict[str, Any] | None) -> str:
    if look is None:
        return "none"
    shapes = " and ".join(str(tuple(look[name])) for name in ("X", "y"))
    return f"{shapes}, checksums {' and '.join(f'{value:08x}' for value in look['checksums'])}"
