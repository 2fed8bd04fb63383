"""`chainrule predict`: a model applied to new data, as a CSV file."""

from __future__ import annotations

import argparse
import csv
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from .. import _core, nn
from .errors import UserError
from .inputs import existing, kind_of, load_samples, read_table
from .outputs import check_predictions


def predict(options: argparse.Namespace) -> int:
    """Run the command."""
    model = _core.load(existing(Path(options.model)))
    X = _features(model, options)
    head, rows = _predictions(model, X)
    if options.out == "-":
        _write(sys.stdout, head, rows)
        return 0
    out = Path(options.out)
    for taken, what in ((options.model, "the model"), (options.file, "the input")):
        if out.exists() and os.path.samefile(out, taken):
            raise UserError(f"--out: {out} is {what}, which would be lost; give another name")
    check_predictions(out, head, options.force)
    whole = out.with_name(f".{out.name}.{os.getpid()}.tmp")
    try:
        with whole.open("w", encoding="utf-8", newline="") as file:
            _write(file, head, rows)
        os.replace(whole, out)
    finally:
        whole.unlink(missing_ok=True)
    print(f"{len(X):,} predictions in {out}")
    return 0


def _features(model: nn.Module, options: argparse.Namespace) -> np.ndarray[Any, Any]:
    path = Path(options.file)
    schema, kind = model.schema, kind_of(path)
    if schema is not None:
        if kind != "table":
            raise UserError(
                f"{path}: the model was trained on a table with the columns "
                f"{', '.join(name for name, _ in schema.columns)}; give it a CSV or Parquet file"
            )
        return schema.encode(read_table(path, options, [name for name, _ in schema.columns]))
    if kind == "table":
        raise UserError(f"{path}: the model was trained on arrays, not on a table; give it IDX, NPY or NPZ")
    trained = json.loads(model.training_json).get("input", {})
    return load_samples(path, float(trained.get("divided_by", 1.0)))


def _predictions(model: nn.Module, X: np.ndarray[Any, Any]) -> tuple[list[str], Iterator[list[str]]]:
    schema = model.schema
    trained = json.loads(model.training_json)
    classes = list(schema.classes) if schema is not None else trained.get("classes", [])
    if not classes:
        values = model.predict(X).reshape(len(X), -1)
        if schema is not None:
            values = values * schema.target_scale + schema.target_mean
        names = [schema.target] if schema is not None else [f"y{i}" for i in range(values.shape[1])]
        return (names if len(names) > 1 else [names[0] if schema is not None else "y"]), (
            [f"{v:.7g}" for v in row] for row in values
        )
    proba = model.predict(X, output="proba")
    picked = model.predict(X, output="class")
    head = [schema.target if schema is not None else "class", *(f"p_{name}" for name in classes)]
    return head, ([classes[int(k)], *(f"{p:.6f}" for p in row)] for k, row in zip(picked, proba, strict=True))


def _write(file: TextIO, head: list[str], rows: Iterator[list[str]]) -> None:
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(head)
    writer.writerows(rows)
