"""Pictures of learning curves and schedules. matplotlib is imported here only, when one is asked for."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from . import _core

__all__ = [
    "learning_curve",
    "plot_confusion_matrix",
    "plot_cross_validation",
    "plot_schedule",
    "plot_search",
    "rate_range",
]

_INK, _MUTED, _GRID = "#1f2933", "#7b8794", "#e4e7eb"
_TRAIN, _VALIDATION = "#2f6fb3", "#d9622b"


def learning_curve(
    history: Mapping[str, Sequence[float]],
    path: str | os.PathLike[str],
    *,
    metric: str | None = None,
    title: str = "",
) -> None:
    """Write a PNG with the loss, and beside it a metric, over the epochs: training against validation.

    Parameters
    ----------
    history : mapping of names to one value per epoch
        "loss", and where there are some "val_loss", the metric and "val_" + metric.
    path
        The picture; replaced only once the new one is whole.
    metric : str, optional
        Name of the second panel's quantity; without it there is one panel.
    title : str
        A line above both panels.

    Raises
    ------
    ImportError
        Where matplotlib is not installed.
    """
    names = ["loss"] if metric is None else ["loss", metric]
    figure = _figure("learning_curve", 4.9 * len(names) + 0.4, 3.9)
    panels = figure.subplots(1, len(names), squeeze=False)[0]
    for axes, name in zip(panels, names, strict=True):
        _panel(axes, history, name)
    figure.suptitle(title or " ", x=0.012, ha="left", fontsize=11, color=_INK, fontweight="bold")
    figure.legend(
        *panels[0].get_legend_handles_labels(),
        loc="upper right",
        ncols=2,
        frameon=False,
        fontsize=9,
        labelcolor=_INK,
    )
    _write(figure, path)


def plot_schedule(schedule: Callable[[int], float], steps: int, path: str | os.PathLike[str]) -> None:
    """Write a PNG with the learning rate of steps (or epochs) 0 ... steps - 1.

    Parameters
    ----------
    schedule : Schedule or function of the step
        Anything an optimizer takes as lr, but numbers.
    steps : int
        How many to show.
    path
        The picture; replaced only once the new one is whole.

    Raises
    ------
    ImportError
        Where matplotlib is not installed.

    Examples
    --------
    >>> from chainrule import schedules
    >>> cr.plot_schedule(schedules.Warmup(schedules.Cosine(1e-3, 900), 100), 1000, "rates.png")
    """
    if steps < 1:
        raise _core.ValueError(f"plot_schedule: steps must be at least 1: {steps}")
    rate = schedule if isinstance(schedule, _core.Schedule) else _core.Schedule(schedule)
    figure = _figure("plot_schedule", 5.3, 3.6)
    axes = figure.subplots()
    axes.plot(range(steps), [rate(t) for t in range(steps)], color=_TRAIN, lw=1.8)
    axes.set_xlim(0, max(steps - 1, 1))
    axes.set_ylim(bottom=0)
    axes.set_title("learning rate", loc="left", fontsize=10, color=_INK)
    _dress(axes, rate.per)
    _write(figure, path)


def rate_range(found: _core.RateRange, path: str | os.PathLike[str]) -> None:
    """Write a PNG of what trainer.lr_find gave: losses over rates, and the rate it suggests."""
    figure = _figure("plot", 5.3, 3.6)
    axes = figure.subplots()
    axes.plot(found.rates, found.losses, color=_TRAIN, alpha=0.3, lw=1.0)
    axes.plot(found.rates, found.smoothed, color=_TRAIN, lw=1.8)
    axes.set_xscale("log")
    low, high = min(*found.smoothed, *found.losses), max(found.smoothed)
    top = min(high, low + 1.5 * (found.smoothed[0] - low)) if found.smoothed[0] > low else high
    axes.set_ylim(low - 0.05 * (top - low), top + 0.05 * (top - low) or 1.0)
    _dress(axes, "learning rate", whole=False)
    if found.suggestion == found.suggestion:
        axes.axvline(found.suggestion, color=_VALIDATION, lw=1.0, ls=(0, (1, 3)))
        axes.set_title(f"steepest at {found.suggestion:.2g}", loc="right", fontsize=8.5, color=_VALIDATION)
    axes.set_title("loss", loc="left", fontsize=10, color=_INK)
    _write(figure, path)


def plot_confusion_matrix(
    matrix: Any,
    path: str | os.PathLike[str],
    *,
    names: Sequence[str] | None = None,
    title: str = "",
) -> None:
    """Write a PNG of a confusion matrix: each cell's number, shaded by its share of the row.

    Parameters
    ----------
    matrix : array (C, C)
        What metrics.confusion_matrix gives: a row for each class, a column for what it is taken for.
    path
        The picture; replaced only once the new one is whole.
    names : sequence of str, optional
        Of the classes; without it they are numbered.
    title : str
        A line above the picture.

    Raises
    ------
    ImportError
        Where matplotlib is not installed.

    Examples
    --------
    >>> matrix = cr.metrics.confusion_matrix([0, 2, 1, 1], [0, 2, 1, 2])
    >>> cr.plot_confusion_matrix(matrix, "confusion.png", names=["ant", "bee", "cat"])
    """
    rows = [[float(value) for value in row] for row in matrix]
    n = len(rows)
    if n == 0 or any(len(row) != n for row in rows):
        raise _core.ShapeError("plot_confusion_matrix: expected as many rows as columns")
    labels = [str(i) for i in range(n)] if names is None else [str(name) for name in names]
    if len(labels) != n:
        raise _core.ValueError(f"plot_confusion_matrix: {len(labels)} names for {n} classes")
    longest = max(len(label) for label in labels)
    side = max(2.6, 0.46 * n)
    figure = _figure("plot_confusion_matrix", side + 0.9 + 0.07 * longest, side + 0.7 + 0.05 * longest)
    axes = figure.subplots()
    shares = [[value / (sum(row) or 1.0) for value in row] for row in rows]
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1.15)
    if n <= 40:
        size = max(4.0, min(9.0, 90 / n))
        for i, row in enumerate(rows):
            for j, value in enumerate(row):
                if value:
                    color = "white" if shares[i][j] > 0.6 else _INK if i == j else _VALIDATION
                    text = f"{value:.0f}" if value == int(value) else f"{value:.2f}"
                    axes.text(j, i, text, ha="center", va="center", fontsize=size, color=color)
    turned = longest > 3 and n > 3
    axes.set_xticks(range(n), labels, rotation=45 if turned else 0, ha="right" if turned else "center")
    axes.set_yticks(range(n), labels)
    axes.tick_params(colors=_MUTED, labelsize=max(5.0, min(8.5, 170 / n)), length=0)
    axes.set_xlabel("taken for", fontsize=9, color=_MUTED)
    axes.set_ylabel("class", fontsize=9, color=_MUTED)
    for spine in axes.spines.values():
        spine.set_color(_GRID)
    if title:
        axes.set_title(title, loc="left", fontsize=10, color=_INK)
    _write(figure, path)


def plot_cross_validation(result: _core.CrossValidation, path: str | os.PathLike[str]) -> None:
    """Write a PNG of a cross-validation: every fold's score over the epochs, and where each fold ended.

    Parameters
    ----------
    result : CrossValidation
        What cross_validate gave.
    path
        The picture; replaced only once the new one is whole.

    Raises
    ------
    ImportError
        Where matplotlib is not installed.
    """
    figure = _figure("plot_cross_validation", 7.2, 3.9)
    curves, ends = figure.subplots(1, 2, sharey=True, gridspec_kw={"width_ratios": [3, 1]})
    for history in result.histories:
        values = history.get(f"val_{result.score}") or []
        epochs = range(1, len(values) + 1)
        marker = "o" if len(values) == 1 else None
        curves.plot(epochs, values, color=_VALIDATION, lw=1.2, alpha=0.6, marker=marker)
    curves.set_title(f"{result.score} of the rows held out", loc="left", fontsize=10, color=_INK)
    _dress(curves, "epoch")
    folds = range(1, len(result.scores) + 1)
    ends.axhline(result.mean, color=_INK, lw=1.0)
    ends.axhspan(result.mean - result.std, result.mean + result.std, color=_GRID, zorder=0)
    ends.plot(folds, result.scores, "o", color=_VALIDATION, ms=5)
    ends.set_title(f"{result.mean:.4g} ± {result.std:.2g}", loc="left", fontsize=10, color=_INK)
    _dress(ends, "fold")
    _write(figure, path)


def plot_search(result: _core.Search, path: str | os.PathLike[str]) -> None:
    """Write a PNG of a search: the mean score of every candidate over each parameter, the best one marked.

    Parameters
    ----------
    result : Search
        What grid_search or random_search gave.
    path
        The picture; replaced only once the new one is whole.

    Raises
    ------
    ImportError
        Where matplotlib is not installed.
    """
    names = list(result.parameters[0]) if result.parameters else []
    if not names:
        raise _core.ValueError("plot_search: the search has no finished candidate")
    figure = _figure("plot_search", max(5.3, 2.9 * len(names)), 3.6)
    panels = figure.subplots(1, len(names), squeeze=False, sharey=True)[0]
    for axes, name in zip(panels, names, strict=True):
        values = [candidate[name] for candidate in result.parameters]
        numbers = all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)
        few = len(set(map(str, values))) <= 6  # a grid: its values side by side
        words = list(dict.fromkeys(map(str, sorted(values) if numbers else values)))
        across = values if numbers and not few else [words.index(str(value)) for value in values]
        axes.errorbar(across, result.means, result.stds, fmt="o", color=_TRAIN, ms=4, lw=0.8)
        axes.plot(across[:1], result.means[:1], "o", ms=9, mfc="none", mec=_VALIDATION, mew=1.8)
        axes.set_title(f"{result.score} by {name}", loc="left", fontsize=10, color=_INK)
        _dress(axes, name)
        if few or not numbers:
            axes.set_xticks(range(len(words)), words)
            axes.set_xlim(-0.5, len(words) - 0.5)
        elif min(values) > 0 and max(values) >= 10 * min(values):
            axes.set_xscale("log")
        else:
            axes.xaxis.get_major_locator().set_params(integer=all(isinstance(v, int) for v in values))
    _write(figure, path)


def _figure(wanted_by: str, width: float, height: float) -> Any:
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError(
            f'{wanted_by}: matplotlib is not installed; pip install "chainrule[plot]"'
        ) from error
    figure = Figure(figsize=(width, height), dpi=150, facecolor="white", layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _write(figure: Any, path: str | os.PathLike[str]) -> None:
    target = Path(path)
    whole = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        figure.savefig(whole, format="png", metadata={"Software": f"chainrule {_core.__version__}"})
        os.replace(whole, target)
    finally:
        whole.unlink(missing_ok=True)


def _panel(axes: Any, history: Mapping[str, Sequence[float]], name: str) -> None:
    rising = _core.higher_is_better(name) is True
    lines = [
        (label, color, history[key])
        for label, color, key in (("train", _TRAIN, name), ("validation", _VALIDATION, f"val_{name}"))
        if history.get(key)
    ]
    for label, color, values in lines:
        epochs = range(1, len(values) + 1)
        axes.plot(epochs, values, color=color, lw=1.8, label=label, marker="o" if len(values) == 1 else None)
    if lines:
        _mark_best(axes, *lines[-1], rising=rising)
        last = max(len(values) for _, _, values in lines)
        axes.set_xlim(1 if last > 1 else 0.5, last if last > 1 else 1.5)
        everything = [value for _, _, values in lines for value in values if value > 0]
        if not rising and everything and max(everything) > 30 * min(everything):
            axes.set_yscale("log")
            axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
            axes.yaxis.set_minor_formatter(lambda value, _: "")
    axes.set_title(name, loc="left", fontsize=10, color=_INK)
    _dress(axes, "epoch")


def _dress(axes: Any, across: str, *, whole: bool = True) -> None:
    from matplotlib.ticker import MaxNLocator

    axes.set_xlabel(across, fontsize=9, color=_MUTED)
    if whole:
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=7))
    axes.grid(True, color=_GRID, lw=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(colors=_MUTED, labelsize=8.5, length=0, which="both")
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(_GRID)


def _mark_best(axes: Any, label: str, color: str, values: Sequence[float], *, rising: bool) -> None:
    finite = [(value if rising else -value, -i) for i, value in enumerate(values) if value == value]
    if not finite:
        return
    best = -max(finite)[1]
    value = values[best]
    axes.plot([best + 1], [value], "o", ms=6, mfc="white", mec=color, mew=1.8, clip_on=False, zorder=5)
    axes.axvline(best + 1, color=color, lw=0.8, ls=(0, (1, 3)), zorder=1)
    axes.set_title(f"{label}: best {value:.4g} in epoch {best + 1}", loc="right", fontsize=8.5, color=color)
