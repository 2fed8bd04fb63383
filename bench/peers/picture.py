"""The picture of a run: standing, updates over sizes, growth. Needs matplotlib."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import growth
import limits
from judge import best, median
from workloads import WORKLOADS


def standing(axes: Any, results: dict[str, Any]) -> None:
    """Bars of the best rival, of ours and of the limit, each over ours."""
    names = [name for name, by in results["workloads"].items() if best(by, True) and best(by, False)]
    for i, name in enumerate(names):
        ours, rival = best(results["workloads"][name], True), best(results["workloads"][name], False)
        assert ours
        assert rival
        axes.barh(i, rival.value / ours.value, color="tab:gray", height=0.6)
        axes.text(
            rival.value / ours.value,
            i,
            f" {rival.value / ours.value:.1f} x {rival.peer}",
            va="center",
            fontsize=8,
        )
        least = limits.of_name(results["limits"], name, ours.threads)
        if least:
            axes.plot([least / ours.value] * 2, [i - 0.35, i + 0.35], color="tab:red")
    axes.axvline(1, color="tab:blue")
    axes.set_yticks(range(len(names)), names)
    axes.invert_yaxis()
    axes.set_xscale("log")
    axes.margins(x=0.25)
    axes.set_title("time of the best rival (bars) and of the limit (red), chainrule = 1")


def updates(axes: Any, results: dict[str, Any]) -> None:
    lines: dict[str, list[tuple[int, float]]] = {}
    for name, by_threads in results["workloads"].items():
        n = WORKLOADS[name].parameters
        if not n:
            continue
        for threads, rows in by_threads.items():
            for peer, row in rows.items():
                if (us := median(row)) is not None:
                    lines.setdefault(f"{peer}, {threads}", []).append((n, us))
            if (least := limits.of_name(results["limits"], name, int(threads))) is not None:
                lines.setdefault(f"limit, {threads}", []).append((n, least))
    for label, points in lines.items():
        style = ":" if label.startswith("limit") else "o-" if label.startswith("chainrule") else ".-"
        axes.loglog(*zip(*points, strict=True), style, label=label)
    axes.set_title("Adam's update: microseconds over parameters")
    axes.legend(fontsize=7)


def growing(axes: Any, series: str, rows: dict[str, Any]) -> None:
    for peer, row in rows.items():
        if row["samples"]:
            label = f"{peer}: exponent {growth.exponent(row) or 0:.2f}"
            axes.loglog(*zip(*growth.points(row), strict=True), "o-", label=label)
    axes.set_title(growth.MEANING[series], fontsize=9)
    axes.legend(fontsize=7)


def draw(results: dict[str, Any], path: Path) -> str:
    """What was done, in one line."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        return "no picture: matplotlib is missing; `pip install matplotlib`, then `run.py --from JSON`"
    panels: list[Any] = []
    if any(best(by, True) and best(by, False) for by in results.get("workloads", {}).values()):
        panels.append(lambda axes: standing(axes, results))
    if any(WORKLOADS[name].parameters for name in results.get("workloads", {})):
        panels.append(lambda axes: updates(axes, results))
    for series, rows in results.get("growth", {}).items():
        panels.append(lambda axes, series=series, rows=rows: growing(axes, series, rows))
    if not panels:
        return "no picture: nothing in this run has one"
    columns = min(len(panels), 2)
    rows = (len(panels) + columns - 1) // columns
    figure = Figure(figsize=(8 * columns, 5 * rows), layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False).flat
    for axes, panel in zip(grid, panels, strict=False):
        panel(axes)
    for axes in list(grid)[len(panels) :]:
        axes.remove()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    return f"picture: {path}"
