"""`chainrule info`: what a model file holds."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from .. import _core
from ..table import table
from .inputs import existing


def info(options: argparse.Namespace) -> int:
    """Run the command."""
    path = existing(Path(options.model))
    model = _core.load(path)
    trained = json.loads(model.training_json)
    parameters = sum(p.size for p in model.parameters())
    print(f"{path}: {parameters:,} parameters, {model.dtype}, {path.stat().st_size / 1024:,.0f} kB\n")
    print(model.summary())
    schema = model.schema
    if schema is not None:
        kinds = [kind for _, kind in schema.columns]
        print(
            f"\ncolumns  {len(kinds)} ({kinds.count('numeric')} numeric, "
            f"{kinds.count('categorical')} categorical), "
            f"{schema.width} features"
        )
        print(f"target   {schema.target} ({_goal(schema.task, list(schema.classes))})")
    elif trained.get("classes"):
        print(f"\ntarget   {_goal('classification', trained['classes'])}")
    place = _place(path)
    if trained or place:
        _how(trained, place)
    return 0


def _place(path: Path) -> str:
    """How far a checkpoint has come; "" for a file that is none."""
    with path.open("rb") as file:  # a length, and as many bytes of JSON
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
    kept = json.loads(header.get("__metadata__", {}).get("checkpoint", "{}"))
    if not kept:
        return ""
    epochs, batches = kept["epoch"], kept["batch"]
    return f"{epochs} epoch{'s' * (epochs != 1)} and {batches} batch{'es' * (batches != 1)} done"


def _goal(task: str, classes: list[str]) -> str:
    if task != "classification":
        return task
    shown = ", ".join(classes[:10]) + (", ..." if len(classes) > 10 else "")
    return f"{len(classes)} classes: {shown}"


def _how(trained: dict[str, Any], place: str) -> None:
    lines = [
        ("checkpoint", place),
        ("data", ", ".join(trained.get("data", []))),
        ("input", _input(trained.get("input", {}))),
        ("training", _training(trained)),
        ("loss", trained.get("loss", "")),
        ("optimizer", trained.get("optimizer", "")),
        ("schedule", trained.get("schedule", "")),
        ("ended", trained.get("stopped", "")),
        ("date", trained.get("date", "")),
        ("written by", f"chainrule {trained['chainrule']}" if "chainrule" in trained else ""),
    ]
    print()
    for name, text in lines:
        if text:
            print(f"{name:<11}{text}")
    results = trained.get("results", {})
    if results:
        names = list(next(iter(results.values())))
        rows = trained.get("rows", {})
        print(
            "\n"
            + table(
                ["", "rows", *names],
                [
                    [part, rows.get(part), *(float(values[n]) for n in names)]
                    for part, values in results.items()
                ],
            )
        )


def _training(trained: dict[str, Any]) -> str:
    """What of it the file tells: one in the middle of a training knows no end."""
    batches = f"batches of {trained['batch_size']}" if "batch_size" in trained else ""
    epochs = f"{trained['epochs']} epochs" if "epochs" in trained else ""
    parts = [
        " of ".join(part for part in (epochs, batches) if part),
        f"seed {trained['seed']}" if "seed" in trained else "",
        f"{trained['seconds']} s" if "seconds" in trained else "",
    ]
    return ", ".join(part for part in parts if part)


def _input(given: dict[str, Any]) -> str:
    if not given.get("shape"):
        return ""
    shape = " x ".join(str(size) for size in given["shape"])
    divided = given.get("divided_by", 1.0)
    return shape + (f", divided by {divided:g}" if divided != 1.0 else "")
