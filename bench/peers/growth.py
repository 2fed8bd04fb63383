"""How the cost grows with the batch, the width, the depth and the data: times and fitted exponents."""

from __future__ import annotations

import math
from typing import Any

from processes import Rows, Setup, in_turn, worker
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
    repeats = max(1, setup.repeats // 3)
    return {
        series: in_turn(
            f"growth of the {series}", setup.chosen(FEW), repeats,
            lambda peer, _, series=series: worker(setup, peer, "grow", series, 1),
        )
        for series in growing()
    }  # fmt: skip


def points(row: dict[str, Any]) -> list[tuple[int, float]]:
    return [(int(size), sorted(times)[len(times) // 2]) for size, times in row["samples"].items()]


def exponent(row: dict[str, Any]) -> float | None:
    """Slope in logarithms over the larger half of the sizes, where fixed costs are small (least squares)."""
    chosen = [(math.log(n), math.log(t)) for n, t in sorted(points(row))]
    chosen = chosen[len(chosen) // 2 :]
    if len(chosen) < 2:
        return None
    mean_x, mean_y = (sum(values) / len(chosen) for values in zip(*chosen, strict=True))
    return sum((x - mean_x) * (y - mean_y) for x, y in chosen) / sum((x - mean_x) ** 2 for x, _ in chosen)


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
