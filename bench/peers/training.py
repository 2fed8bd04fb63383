"""The workloads side by side, over numbers of threads, and the same while every processor has other work."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from judge import judge, median
from processes import Rows, Setup, in_turn, worker
from tables import cell, markdown, number
from workloads import WORKLOADS

PEERS = {
    "train": ("chainrule:fit", "chainrule:step", "torch", "torch:compile", "jax:step", "jax:scan", "sklearn"),
    "infer": ("chainrule:predictor", "chainrule:compile", "chainrule:predict", "torch", "torch:compile",
              "jax", "onnx", "onnx:bound", "numpy", "numpy:out"),
    "update": ("chainrule:step", "torch", "jax"),
}  # fmt: skip
FEW = ("chainrule:fit", "torch", "jax:scan")  # for what is measured many times


def measure(setup: Setup, name: str, threads: int, peers: tuple[str, ...] = ()) -> Rows:
    chosen = setup.chosen(peers or PEERS[WORKLOADS[name].kind])
    rows = in_turn(
        f"{name}, {threads} thread{'s' * (threads > 1)}", chosen, setup.repeats,
        lambda peer, first: worker(setup, peer, "steps", name, threads, check=first),
    )  # fmt: skip
    judge(rows)
    return rows


# --- scaling
def counts(available: int) -> list[int]:
    """1, 2, 4, ... and all."""
    return sorted({available, *(2**k for k in range(available.bit_length()) if 2**k <= available)})


def measure_scaling(setup: Setup, names: list[str], known: dict[str, dict[str, Rows]]) -> dict[str, Any]:
    """By workload and number of threads; what this run has measured already is not measured again."""
    return {
        name: {
            str(n): {peer: rows[peer] for peer in FEW if peer in rows}
            for n in counts(max(setup.threads))
            if (rows := known.get(name, {}).get(str(n)) or measure(setup, name, n, FEW))
        }
        for name in names
    }


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

    def both(name: str, peer: str) -> dict[str, Any]:
        quiet = worker(setup, peer, "steps", name, threads)
        if "missing" in quiet:
            return quiet
        with busy(processors):
            loaded = worker(setup, peer, "steps", name, threads)
        return {**loaded, "samples": {"quiet": quiet["samples"]["us"], "loaded": loaded["samples"]["us"]}}

    return {
        name: in_turn(
            f"load {name}", setup.chosen(FEW), setup.repeats, lambda peer, _, name=name: both(name, peer)
        )
        for name in names
    }


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
