"""The pictures of a run: standing, updates over sizes, growth. Needs matplotlib."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import goals
import growth
import limits
from judge import best, median
from tables import number
from workloads import WORKLOADS

Panel = Callable[[Any], None]


def compared(results: dict[str, Any]) -> list[str]:
    """What is trained or inferred, and has a time of ours and of a rival."""
    return [
        name
        for name, by in results["workloads"].items()
        if not WORKLOADS[name].parameters and best(by, True) and best(by, False)
    ]


def standing(axes: Any, results: dict[str, Any]) -> None:
    """How many times faster we are than the best rival; what the limit would allow; and the goal."""
    names = compared(results)
    targets = {goal.name: goal.target for goal in reversed(goals.GOALS) if goal.unit.startswith("x")}
    shown: set[str] = set()

    def mark(value: float | None, i: int, label: str, style: dict[str, Any]) -> None:
        if value:
            axes.plot([value], [i], linestyle="", label=None if label in shown else label, **style)
            shown.add(label)

    furthest = 1.0
    for i, name in enumerate(names):
        by_threads = results["workloads"][name]
        ours, rival = best(by_threads, True), best(by_threads, False)
        assert ours
        assert rival
        ratio = rival.value / ours.value
        least = limits.of_name(results["limits"], name, ours.threads)
        at_limit = rival.value / least if least else None
        axes.barh(i, ratio, color="tab:blue" if ratio >= 1 else "tab:red", height=0.5)
        mark(at_limit, i, "at the limit", {"marker": "|", "color": "black", "markersize": 20})
        mark(targets.get(name), i, "goal", {"marker": "D", "color": "tab:orange", "markersize": 6})
        text = f"{number(ratio)} x {rival.peer} ({number(rival.value)} us)"
        where = {"va": "center", "fontsize": 8, "transform": axes.get_yaxis_transform()}
        axes.text(0.01, i - 0.41, text, **where, bbox={"color": "white", "pad": 0.5}, zorder=1)
        furthest = max(furthest, ratio, at_limit or 0, targets.get(name, 0))
    axes.axvline(1, color="gray", linewidth=1, zorder=0)
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.4, -0.7)
    axes.set_xscale("log")
    axes.set_xlim(0.5, 1.3 * furthest)
    ticks = [t for t in (0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500) if t <= 1.3 * furthest]
    axes.set_xticks(ticks, [f"{t:g}" for t in ticks])
    axes.set_xticks([], minor=True)
    axes.set_xlabel("times faster than the best rival, each at its better number of threads")
    if shown:
        axes.legend(fontsize=8, loc="lower right", bbox_to_anchor=(1, 1), ncols=2, frameon=False)


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
    colors = {"chainrule": "tab:blue", "torch": "tab:orange", "jax": "tab:green", "limit": "black"}
    for label, points in sorted(lines.items()):
        library = label.partition(":")[0].partition(",")[0]
        style = ":" if library == "limit" else "-"
        marker = "o" if label.endswith(", 1") else "s"
        face = None if label.endswith(", 1") else "white"
        axes.loglog(
            *zip(*sorted(points), strict=True), style, marker=marker, markersize=4, markerfacecolor=face,
            color=colors.get(library), label=f"{label} thread{'s' * (not label.endswith(', 1'))}",
        )  # fmt: skip
    axes.set_xlabel("parameters")
    axes.set_ylabel("microseconds")
    axes.set_title("one update by Adam", fontsize=10)
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)


def growing(axes: Any, series: str, rows: dict[str, Any]) -> None:
    """The fitted line is drawn over the points that it is fitted to."""
    for peer, row in rows.items():
        if not row["samples"]:
            continue
        points = sorted(growth.points(row))
        (line,) = axes.loglog(*zip(*points, strict=True), "o", markersize=4)
        label = peer
        if fit := growth.fitted(row):
            slope, level = fit
            at = [n for n, _ in points[len(points) // 2 :]]
            axes.loglog(at, [level * n**slope for n in at], color=line.get_color(), linewidth=1)
            label = f"{peer}: exponent {slope:.2f}"
        line.set_label(label)
    horizontal, _, vertical = growth.MEANING[series].partition("; ")
    axes.set_xlabel(horizontal)
    axes.set_ylabel(vertical)
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)


def parts(results: dict[str, Any]) -> dict[str, list[Panel]]:
    """Name of a picture -> its panels."""
    found: dict[str, list[Panel]] = {}
    if compared(results):
        found["standing"] = [lambda axes: standing(axes, results)]
    if any(WORKLOADS[name].parameters for name in results.get("workloads", {})):
        found["updates"] = [lambda axes: updates(axes, results)]
    if results.get("growth"):
        found["growth"] = [
            lambda axes, series=series, rows=rows: growing(axes, series, rows)
            for series, rows in results["growth"].items()
        ]
    return found


def save(panels: list[Panel], path: Path) -> None:
    from matplotlib.figure import Figure

    columns = min(len(panels), 2)
    rows = (len(panels) + columns - 1) // columns
    figure = Figure(figsize=(6.5 * columns if columns > 1 else 8, 4.2 * rows), layout="constrained")
    grid = list(figure.subplots(rows, columns, squeeze=False).flat)
    for axes, panel in zip(grid, panels, strict=False):
        panel(axes)
    for axes in grid[len(panels) :]:
        axes.remove()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=100)


def missing() -> str | None:
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        return "no picture: matplotlib is missing; `pip install matplotlib`, then `run.py --from JSON`"
    return None


def draw(results: dict[str, Any], path: Path) -> str:
    """All panels in one; what was done, in one line."""
    if why := missing():
        return why
    panels = [panel for panels in parts(results).values() for panel in panels]
    if not panels:
        return "no picture: nothing in this run has one"
    save(panels, path)
    return f"picture: {path}"


def draw_parts(results: dict[str, Any], folder: Path) -> str:
    """A picture each, for a page."""
    if why := missing():
        return why
    for name, panels in parts(results).items():
        save(panels, folder / f"bench_{name}.png")
    return f"pictures: {', '.join(parts(results)) or 'none'}"
