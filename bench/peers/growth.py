"""How the cost grows with the batch, the width, the depth and the data: times and fitted exponents."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

from processes import Rows, Setup, groups_in_turn, worker
from tables import markdown, number
from training import FEW
from workloads import growing

MEANING = {
    "batch": "samples per batch; microseconds per step",
    "width": "units of both hidden layers; microseconds per step",
    "depth": "hidden layers of 64 units; microseconds per step",
    "data": "samples; microseconds per epoch",
}


def measure(setup: Setup) -> dict[str, Rows]:
    """One thread, in a third of the usual number of processes: what counts is the slope."""
    return groups_in_turn(
        "growth", list(growing()), setup.chosen(FEW), max(1, setup.repeats // 3),
        lambda peer, asked, _: worker(replace(setup, seconds=setup.seconds / 2), peer, "grow", asked, 1),
    )  # fmt: skip


def points(row: dict[str, Any]) -> list[tuple[int, float]]:
    return [(int(size), sorted(times)[len(times) // 2]) for size, times in row["samples"].items()]


def fitted(row: dict[str, Any]) -> tuple[float, float] | None:
    """(slope, level) of level * size^slope over the larger half of the sizes, where fixed costs are small: by
    least squares in logarithms."""
    chosen = [(math.log(n), math.log(t)) for n, t in sorted(points(row))]
    chosen = chosen[len(chosen) // 2 :]
    if len(chosen) < 2:
        return None
    mean_x, mean_y = (sum(values) / len(chosen) for values in zip(*chosen, strict=True))
    spread = sum((x - mean_x) ** 2 for x, _ in chosen)
    slope = sum((x - mean_x) * (y - mean_y) for x, y in chosen) / spread
    return slope, math.exp(mean_y - slope * mean_x)


def exponent(row: dict[str, Any]) -> float | None:
    fit = fitted(row)
    return fit[0] if fit else None


def table(results: dict[str, Rows]) -> str:
    parts = []
    for series, rows in results.items():
        lines = [
            [f"{peer}, exponent {number(exponent(row))}", *(number(t) for _, t in points(row))]
            for peer, row in rows.items()
            if row["samples"]
        ]
        parts.append(markdown([MEANING[series], *map(str, growing()[series])], lines))
    return "\n\n".join(parts)
