"""Histograms of parameters and their gradients: the numbers, and a picture of them. NumPy counts."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from . import _core
from .plots import _GRID, _INK, _MUTED, _TRAIN, _VALIDATION, _figure, _write

__all__ = ["histograms", "plot_histograms"]


def histograms(values: Mapping[str, Any], bins: int = 50) -> dict[str, tuple[Any, Any]]:
    """Counts and edges of each array's values, by name.

    Parameters
    ----------
    values : mapping of names to arrays
        Such as model.state_dict(), or trainer.gradients(X, y).
    bins : int
        Of equal width, from the least to the greatest value, in float64. Where these lie too close for so
        many, the bins reach a little beyond them.

    Returns
    -------
    dict of (counts, edges)
        (bins,) and (bins + 1,), as numpy.histogram gives them. Values that are not finite are not counted.

    Examples
    --------
    >>> counts, edges = cr.histograms({"w": np.array([0.0, 0.1, 0.9, 1.0, np.nan])}, bins=2)["w"]
    >>> counts.tolist(), edges.tolist()
    ([2, 2], [0.0, 0.5, 1.0])
    """
    if isinstance(bins, bool) or not hasattr(bins, "__index__"):
        raise _core.ValueError(f"histograms: bins must be a whole number: {bins!r}")
    if bins < 1:
        raise _core.ValueError(f"histograms: bins must be at least 1: {bins}")
    found = {}
    for name, value in values.items():
        array = np.asarray(value)
        finite = array[np.isfinite(array)].astype(np.float64)
        large = finite.size > 0 and np.abs(finite).max() > 2.0**1000  # where a width may be inf
        scale = 2.0**-64 if large else 1.0
        finite *= scale
        counts, edges = np.histogram(finite, bins, _range(finite, bins, scale))
        found[name] = counts, edges / scale
    return found


def _range(values: Any, bins: int, scale: float) -> tuple[float, float] | None:
    """From the least to the greatest value, widened around the middle where so many bins have no room."""
    if values.size == 0:
        return None
    low, high = float(values.min()), float(values.max())
    room = bins * float(np.spacing(max(abs(low), abs(high))))
    if high - low >= 2 * room:
        return low, high
    middle, half = low + (high - low) / 2, max(room, 0.5 if low == high else 0.0)
    most = float(np.finfo(np.float64).max) * scale
    middle = min(max(middle, half - most), most - half)
    return middle - half, middle + half


def plot_histograms(
    trainer: _core.Trainer, path: str | os.PathLike[str], X: Any = None, y: Any = None, *, bins: int = 50
) -> None:
    """Write a PNG with a histogram of every parameter's values, and beside it one of its gradient.

    Parameters
    ----------
    trainer : Trainer
        Whose model it is.
    path
        The picture; replaced only once the new one is whole.
    X, y
        Rows for the gradients, trainer.gradients(X, y); without them the picture has the values alone.
    bins : int
        Of each histogram.

    Raises
    ------
    ImportError
        Where matplotlib is not installed.

    Examples
    --------
    >>> trainer = cr.Trainer(nn.MLP([2, 8, 1], seed=0), nn.MSELoss(), optim.SGD(lr=0.1))
    >>> cr.plot_histograms(trainer, "histograms.png", [[0.0, 1.0], [1.0, 2.0]], [[1.0], [3.0]])
    """
    if (X is None) != (y is None):
        raise _core.ValueError("plot_histograms: X and y belong together; give both or none")
    weights = {name: parameter.numpy() for name, parameter in trainer.model.named_parameters()}
    if not weights:
        raise _core.ValueError("plot_histograms: the model has no parameters")
    columns = [("values", _TRAIN, weights)]
    if X is not None:  # most are near 0, whose few others would not be seen
        columns.append(("gradients, log counts", _VALIDATION, trainer.gradients(X, y)))
    counted = [(title, color, arrays, histograms(arrays, bins)) for title, color, arrays in columns]
    figure = _figure("plot_histograms", 1.2 + 3.4 * len(columns), 0.5 + 1.05 * len(weights))
    panels = figure.subplots(len(weights), len(columns), squeeze=False)
    for row, name in enumerate(weights):
        for axes, (title, color, arrays, numbers) in zip(panels[row], counted, strict=True):
            if row == 0:
                axes.set_title(title, loc="left", fontsize=10, color=_INK)
            _panel(axes, arrays.get(name), numbers.get(name), color)
        panels[row][0].set_ylabel(
            name, fontsize=8.5, color=_INK, rotation=0, ha="right", va="center", labelpad=8
        )
    _write(figure, path)


def _panel(axes: Any, values: Any, numbers: tuple[Any, Any] | None, color: str) -> None:
    axes.set_yticks([])
    axes.tick_params(colors=_MUTED, labelsize=7.5, length=2, color=_GRID)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(_GRID)
    if numbers is None:  # frozen, or out of the loss's reach
        axes.set_xticks([])
        axes.text(0.5, 0.5, "none", transform=axes.transAxes, ha="center", fontsize=8, color=_MUTED)
        return
    counts, edges = numbers
    logarithmic = color == _VALIDATION and counts.any()
    axes.stairs(counts, edges, baseline=0.5 if logarithmic else 0, fill=True, color=color, alpha=0.75)
    top = max(counts.max(), 1)
    axes.set_ylim(*((0.5, 3 * top**1.3) if logarithmic else (0, 1.35 * top)))  # room for the note
    if logarithmic:
        axes.set_yscale("log")
        axes.set_yticks([], [])
        axes.set_yticks([], [], minor=True)
    axes.axvline(0, color=_INK, lw=0.6)
    axes.locator_params(axis="x", nbins=5)
    odd = int(np.size(values) - counts.sum())
    spread = f"std {np.std(values[np.isfinite(values)]):.2g}" if counts.sum() else ""
    note = spread + (f"  {odd} not finite" if odd else "")
    axes.text(0.99, 0.95, note, transform=axes.transAxes, ha="right", va="top", fontsize=7.5, color=_MUTED)
