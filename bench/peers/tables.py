"""Tables in Markdown, and the remarks below them: why a cell is empty, and how well the others agree."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from typing import Any

from judge import best, ratio
from processes import Row, Rows
from workloads import STEPS_CHECKED


def markdown(head: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    return "\n".join("| " + " | ".join(line) + " |" for line in [head, ["---"] * len(head), *lines])


def number(value: float | None, form: str = "{}") -> str:
    """Three digits or more, nothing for None."""
    if value is None:
        return ""
    digits = 0 if abs(value) >= 1000 else 1 if abs(value) >= 10 else 2 if abs(value) >= 0.1 else 4
    return form.format(f"{value:.{digits}f}")


def of_objects(rows: Sequence[dict[str, Any]]) -> str:
    """Rows with the same keys, as the programs of bench/cpp give them."""
    lines = [[number(v) if isinstance(v, float) else str(v) for v in row.values()] for row in rows]
    return markdown(list(rows[0]), lines)


def spread(samples: Sequence[float]) -> str:
    """median (lowest - highest)"""
    high = max(samples)
    digits = 0 if high >= 1000 else 1 if high >= 10 else 2
    low, middle = min(samples), statistics.median(samples)
    return f"{middle:.{digits}f} ({low:.{digits}f} - {high:.{digits}f})"


def cell(row: Row | None, name: str = "us") -> str:
    if row is None:
        return ""
    if "void" in row:
        return "void"
    samples = row.get("samples", {}).get(name)
    return spread(samples) if samples else "-"


def per_threads(chosen: dict[str, dict[str, Rows]], threads: str) -> str:
    """Microseconds: a line per workload, a column per library."""
    peers = dict.fromkeys(peer for rows in chosen.values() for peer in rows.get(threads, {}))
    return markdown(
        ["workload", *peers],
        [[name, *(cell(rows[threads].get(peer)) for peer in peers)]
         for name, rows in chosen.items() if threads in rows],
    )  # fmt: skip


def by_library(chosen: dict[str, dict[str, Rows]], threads: str) -> str:
    """The same turned round: a line per library, a column per workload."""
    peers = dict.fromkeys(peer for rows in chosen.values() for peer in rows.get(threads, {}))
    names = [name for name, rows in chosen.items() if threads in rows]
    lines = [[peer, *(cell(chosen[name][threads].get(peer)) for name in names)] for peer in peers]
    return markdown([f"{threads} thread{'s' * (threads != '1')}", *names], lines)


def standing(chosen: dict[str, dict[str, Rows]], limit: Any) -> str:
    """Ours beside the best rival, each at its better number of threads, and limit(workload, threads)."""
    lines = []
    for name, by_threads in chosen.items():
        ours, rival = best(by_threads, True), best(by_threads, False)
        least = limit(name, ours.threads) if ours else None
        lines.append(
            [
                name,
                f"{number(ours.value)}: {ours.peer}, {ours.threads}" if ours else "-",
                f"{number(rival.value)}: {rival.peer}, {rival.threads}" if rival else "-",
                number(ratio(by_threads)),
                number(least),
                f"{100 * least / ours.value:.0f} %" if ours and least else "",
                number(rival.value / least) if rival and least else "",
            ]
        )
    head = [
        "workload",
        "ours, us: variant, threads",
        "best rival",
        "rival / ours",
        "limit, us",
        "of the limit",
        "rival / limit",
    ]
    return markdown(head, lines)


def latencies(chosen: dict[str, dict[str, Rows]], threads: str) -> str:
    names = {"p50": "p50", "p99": "p99", "p999": "p99.9"}
    lines = [
        [name, peer, *(cell(row, key) for key in names)]
        for name, by_threads in chosen.items()
        for peer, row in by_threads.get(threads, {}).items()
        if row.get("samples")
    ]
    return markdown(["network", "library", *(f"{title}, us" for title in names.values())], lines)


def remarks(results: dict[str, Any]) -> list[str]:
    """Why cells are empty or void, each reason once."""
    where: dict[tuple[str, str, str], list[str]] = {}
    agreeing = []
    for name, by_threads in results.get("workloads", {}).items():
        for threads, rows in by_threads.items():
            for peer, row in rows.items():
                for word in ("missing", "void"):
                    if word in row:
                        where.setdefault((peer, word, row[word]), []).append(f"{name} ({threads})")
                if "loss" in row and "void" not in row:
                    agreeing.append(row["error"])
    lines = [f"{peer}: {word} in {', '.join(at)}: {why}" for (peer, word, why), at in where.items()]
    if agreeing:
        lines.append(f"losses agree to {max(agreeing):.1e} relative after {STEPS_CHECKED} steps")
    return lines
