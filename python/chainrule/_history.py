"""What History and callbacks do outside C++: files and other packages.

Not a public module: the bindings and chainrule.callbacks call it.
"""

from __future__ import annotations

import csv
import io
import itertools
import os
from collections.abc import Iterable
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ._core import History


_numbers = itertools.count()


def write(text: str, path: str | os.PathLike[str]) -> None:
    """A text file, replaced only once the new one is whole."""
    target = Path(path)
    whole = target.with_name(f".{target.name}.{os.getpid()}.{next(_numbers)}.tmp")
    try:
        whole.write_text(text, encoding="utf-8")
        os.replace(whole, target)
    finally:
        whole.unlink(missing_ok=True)


def to_csv(history: History, path: str | os.PathLike[str]) -> None:
    """A line of names, epoch first, and a line for each epoch; NaN is an empty cell."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["epoch", *history])
    for epoch, row in enumerate(zip_longest(*history.values()), start=1):
        writer.writerow(_cells(epoch, row))
    write(text.getvalue(), path)


def _cells(epoch: int, row: Iterable[float]) -> list[float | str]:
    return [epoch, *("" if value != value else value for value in row)]


def to_pandas(history: History) -> Any:
    """A DataFrame with a row for each epoch, counted from 1."""
    try:
        import pandas
    except ImportError as error:
        raise ImportError(
            'History.to_pandas: pandas is not installed; pip install "chainrule[pandas]"'
        ) from error
    columns = {
        name: pandas.Series(values, range(1, len(values) + 1), dtype=float)
        for name, values in history.items()
    }
    return pandas.DataFrame(columns).rename_axis("epoch")


def plot(history: History, path: str | os.PathLike[str], metric: str | None, title: str) -> None:
    """The learning curve, with the first metric that was measured where none is named."""
    from .plots import learning_curve

    if metric is None:
        metric = next((name for name in history if name != "loss" and not name.startswith("val_")), None)
    elif metric not in history and f"val_{metric}" not in history:
        history[metric]  # says which there are
    learning_curve(history.to_dict(), path, metric=metric, title=title)
