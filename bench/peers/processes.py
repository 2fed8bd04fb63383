"""Starts measurements in processes of their own, the libraries in turn. Judges nothing."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

TIMEOUT = 1800  # seconds; torch.compile may take minutes for a network it has not seen
# A library whose processes all take longer than so many seconds is asked that often.
PATIENCE, FEW_REPEATS = 6, 5
HERE = Path(__file__).resolve().parent
CACHE = HERE.parent / "results" / "compiled"  # of JAX
# Of one library: "samples": {name: [one per process]}, "loss" or "error", "versions", "missing", "void".
Row = dict[str, Any]
Rows = dict[str, Row]  # library:variant -> Row


@dataclass(frozen=True)
class Setup:
    """What the command line said."""

    repeats: int = 10
    seconds: float = 0.2
    threads: tuple[int, ...] = (1,)
    python: dict[str, str] = field(default_factory=dict)
    unset: tuple[str, ...] = ()
    peers: tuple[str, ...] = ()  # none: all

    def chosen(self, peers: Iterable[str]) -> list[str]:
        """A library's name means the variant without a name, or all variants where there is none."""
        all_of_them = list(peers)
        whole = {name for name in self.peers if name not in all_of_them}
        return [p for p in all_of_them if not self.peers or p in self.peers or p.partition(":")[0] in whole]

    def executable(self, peer: str) -> str:
        return self.python.get(peer.partition(":")[0], sys.executable)


def last_line(text: str, otherwise: str) -> str:
    return (text.strip().splitlines() or [otherwise])[-1]


def environment(setup: Setup, keep_compiled: bool) -> dict[str, str]:
    """What compilers made is kept for the next process where compiling is not what is measured. PyTorch does
    so by itself."""
    kept = {"JAX_COMPILATION_CACHE_DIR": str(CACHE), "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0"}
    given = {name: value for name, value in os.environ.items() if name not in setup.unset}
    return {**given, **kept} if keep_compiled else given


def answers(
    setup: Setup, command: list[str], names: Iterable[str], keep_compiled: bool = False
) -> dict[str, Row]:
    """What one process found out: it prints a line of JSON, {name: row}, when it is done with one. An error
    is a result, too: of the name at which it happened, and of those behind it."""
    found: dict[str, Row] = {}
    try:
        done = subprocess.run(
            command, env=environment(setup, keep_compiled), capture_output=True, text=True, check=False,
            timeout=TIMEOUT,
        )  # fmt: skip
        lines, why = done.stdout.splitlines(), last_line(done.stderr, f"exit code {done.returncode}")
    except subprocess.TimeoutExpired:
        lines, why = [], f"no answer within {TIMEOUT} seconds"
    except OSError as error:
        lines, why = [], str(error)
    for line in lines:
        if line.startswith("{"):
            found.update(json.loads(line))
    return {name: found.get(name, {"missing": why}) for name in names}


def worker(
    setup: Setup, peer: str, mode: str, names: Sequence[str], threads: int, check: bool = False
) -> dict[str, Row]:
    """Of one process of worker.py."""
    command = [setup.executable(peer), str(HERE / "worker.py"), mode, peer, *names]
    command += [f"--threads={threads}", f"--seconds={setup.seconds}", *["--check"] * check]
    return answers(setup, command, names, keep_compiled=mode != "start")


def groups_in_turn(
    title: str,
    names: Sequence[str],
    peers: Iterable[str],
    repeats: int,
    measure: Callable[[str, list[str], bool], dict[str, Row]],
) -> dict[str, Rows]:
    """A B C A B C: a slow minute of the machine falls on all of them. measure(peer, names, first) gives
    {name: {"samples": {what: number}, ...}}; what is missing is asked once, what is slow a few times."""
    groups: dict[str, Rows] = {name: {peer: {"samples": {}} for peer in peers} for name in names}
    quickest: dict[str, float] = {}
    for repeat in range(repeats):
        for peer in next(iter(groups.values())):
            asked = [name for name in names if "missing" not in groups[name][peer]]
            slow = quickest.get(peer, 0.0) > PATIENCE and repeat >= FEW_REPEATS
            if not asked or slow:
                continue
            print(f"{title}: {peer} {repeat + 1}/{repeats}", file=sys.stderr, flush=True)
            begin = time.perf_counter()
            for name, result in measure(peer, asked, repeat == 0).items():
                row = groups[name][peer]
                for what, value in result.pop("samples", {}).items():
                    row["samples"].setdefault(what, []).append(value)
                row.update(result)
            quickest[peer] = min(quickest.get(peer, math.inf), time.perf_counter() - begin)
    return groups


def in_turn(title: str, peers: Iterable[str], repeats: int, measure: Callable[[str, bool], Row]) -> Rows:
    """The same of one thing: measure(peer, first)."""
    return groups_in_turn(
        title, [title], peers, repeats, lambda peer, _, first: {title: measure(peer, first)}
    )[title]
