"""The workloads side by side, over numbers of threads, and the same while every processor has other work."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from judge import judge, median
from processes import Row, Rows, Setup, groups_in_turn, worker
from tables import cell, markdown, number
from workloads import WORKLOADS

PEERS = {
    "train": ("chainrule:fit", "chainrule:step", "torch", "torch:compile", "jax:step", "jax:scan", "sklearn"),
    "infer": ("chainrule:predictor", "chainrule:compile", "chainrule:predict", "torch", "torch:compile",
              "jax", "onnx", "onnx:bound", "numpy", "numpy:out"),
    "update": ("chainrule:step", "torch", "jax"),
}  # fmt: skip
LOADED = ("tiny", "digits", "mnist")  # of the workloads of training, unless others are named
SLOW = ("wide",)  # a step takes half a second: checked on all threads only
FEW = ("chainrule:fit", "torch", "jax:scan")  # for what is measured many times


def groups(names: Sequence[str]) -> list[list[str]]:
    """What one process measures one after the other: what is alike, but `wide` alone."""
    kinds: dict[str, list[str]] = {}
    for name in names:
        kinds.setdefault(name if name in SLOW else WORKLOADS[name].kind, []).append(name)
    return list(kinds.values())


def measure(setup: Setup, names: list[str], peers: tuple[str, ...] = ()) -> dict[str, dict[str, Rows]]:
    """By workload and number of threads; all of one kind."""
    results: dict[str, dict[str, Rows]] = {name: {} for name in names}
    chosen = setup.chosen(peers or PEERS[WORKLOADS[names[0]].kind])

    def checked(threads: int) -> bool:
        return threads == max(setup.threads) or names[0] not in SLOW

    for n in setup.threads:
        groups = groups_in_turn(
            f"{' '.join(names)}, {n} thread{'s' * (n > 1)}", names, chosen, setup.repeats,
            lambda peer, asked, first, n=n: worker(setup, peer, "steps", asked, n, first and checked(n)),
        )  # fmt: skip
        for name, rows in groups.items():
            results[name][str(n)] = rows
    for name in names:
        judge(results[name])
    return results


# --- scaling
def counts(available: int) -> list[int]:
    """1, 2, 4, ... and all."""
    return sorted({available, *(2**k for k in range(available.bit_length()) if 2**k <= available)})


def measure_scaling(setup: Setup, names: list[str], known: dict[str, dict[str, Rows]]) -> dict[str, Any]:
    """By workload and number of threads; what this run has measured already is not measured again."""
    results: dict[str, dict[str, Rows]] = {name: {} for name in names}
    for n in counts(max(setup.threads)):
        new = [name for name in names if str(n) not in known.get(name, {})]
        measured = {**known}
        for group in groups(new):
            measured |= measure(replace(setup, threads=(n,)), group, FEW)
        for name in names:
            rows = measured[name][str(n)]
            results[name][str(n)] = {peer: rows[peer] for peer in FEW if peer in rows}
    return results


def table_scaling(results: dict[str, dict[str, Rows]]) -> str:
    lines = []
    for name, by_threads in results.items():
        for peer in dict.fromkeys(peer for rows in by_threads.values() for peer in rows):
            medians = {n: median(rows.get(peer, {})) for n, rows in by_threads.items()}
            one = medians.get("1")
            shown = [
                f"{n}: {number(us)} us" + (f" ({one / us:.2f} x)" if one and n != "1" else "")
                for n, us in medians.items()
                if us
            ]
            lines.append([name, peer, "; ".join(shown) or "-"])
    return markdown(["workload", "library", "threads: time of a step (over one thread)"], lines)


# --- load
@contextmanager
def busy(processors: list[int]) -> Iterator[None]:
    """A busy loop on each of them."""
    loops = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in processors]
    try:
        for loop, processor in zip(loops, processors, strict=True):
            os.sched_setaffinity(loop.pid, {processor})
        yield
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()


def measure_load(setup: Setup, names: list[str]) -> dict[str, Rows]:
    processors, threads = sorted(os.sched_getaffinity(0)), max(setup.threads)

    def both(peer: str, asked: list[str], _: bool) -> dict[str, Row]:
        quiet = worker(setup, peer, "steps", asked, threads)
        with busy(processors):
            loaded = worker(setup, peer, "steps", asked, threads)
        for name, row in loaded.items():
            if "missing" in quiet[name]:
                loaded[name] = quiet[name]
            elif "missing" not in row:
                row["samples"] = {"quiet": quiet[name]["samples"]["us"], "loaded": row["samples"]["us"]}
        return loaded

    return groups_in_turn("load", names, setup.chosen(FEW), setup.repeats, both)


def slowdowns(results: dict[str, Rows], library: str) -> list[float]:
    return [
        b / a
        for rows in results.values()
        for peer, row in rows.items()
        if peer.startswith(library) and (a := median(row, "quiet")) and (b := median(row, "loaded"))
    ]


def table_load(results: dict[str, Rows]) -> str:
    lines = []
    for name, rows in results.items():
        for peer, row in rows.items():
            slower = next(iter(slowdowns({name: {peer: row}}, peer)), None)
            lines.append([name, peer, cell(row, "quiet"), cell(row, "loaded"), number(slower)])
    return markdown(["workload", "library", "quiet, us", "under load, us", "slower by"], lines)
