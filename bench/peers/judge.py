"""Which rows count, and which is best: pure functions of what was measured."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from typing import Any, NamedTuple

from processes import Row, Rows

AGREEMENT = 1e-4  # relative; a library whose loss differs by more has computed something else
OURS = "chainrule"


def judge(by_threads: Mapping[Any, Rows]) -> None:
    """Marks as void what did not compute the same. Losses are compared with their median: no
    library is the measure of the others. Other errors were taken against float64."""
    wrong: dict[str, str] = {}
    for rows in by_threads.values():
        losses = sorted(row["loss"] for row in rows.values() if "loss" in row)
        for peer, row in rows.items():
            if "loss" in row:
                usual = statistics.median_low(losses)
                row["error"] = abs(row["loss"] - usual) / abs(usual)
            if "error" in row and not row["error"] <= AGREEMENT:  # NaN is void, too
                row["void"] = wrong[peer] = f"differs by {row['error']:.1e}"
    for rows in by_threads.values():
        for peer in wrong.keys() & rows.keys():
            if "error" not in rows[peer]:  # checked on another number of threads
                rows[peer]["void"] = wrong[peer]


def median(row: Row, name: str = "us") -> float | None:
    """None where there is no sample, or where it does not count."""
    samples = row.get("samples", {}).get(name)
    return statistics.median(samples) if samples and "void" not in row else None


class Best(NamedTuple):
    value: float
    peer: str
    threads: int


def best(by_threads: Mapping[Any, Rows], ours: bool, name: str = "us", library: str = "") -> Best | None:
    """The fastest row of ours, or of the rivals (or of one of them), at its better number of threads."""
    found = [
        Best(value, peer, int(threads))
        for threads, rows in by_threads.items()
        for peer, row in rows.items()
        if (peer.partition(":")[0] == OURS) == ours
        and library in ("", peer.partition(":")[0])
        and (value := median(row, name)) is not None
    ]
    return min(found, default=None)


def ratio(by_threads: Mapping[Any, Rows], name: str = "us", library: str = "") -> float | None:
    """How many times faster than the best rival we are, each at its better number of threads."""
    ours, rival = best(by_threads, True, name), best(by_threads, False, name, library)
    return rival.value / ours.value if ours and rival else None
