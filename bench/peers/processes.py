"""Starts measurements in processes of their own, the libraries in turn. Judges nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

TIMEOUT = 1800  # seconds; torch.compile may take minutes for a network it has not seen
HERE = Path(__file__).resolve().parent
# Of one library: "samples": {name: [one per process]}, "loss" or "error", "versions", "missing", "void".
Row = dict[str, Any]
Rows = dict[str, Row]  # library:variant -> Row


@dataclass(frozen=True)
class Setup:
    """What the command line said."""

    repeats: int = 10
    seconds: float = 0.5
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


def worker(setup: Setup, peer: str, mode: str, what: str, threads: int, check: bool = False) -> Row:
    """What one process of worker.py found out. An error of the library is a result, too."""
    command = [setup.executable(peer), str(HERE / "worker.py"), mode, peer, what]
    command += [f"--threads={threads}", f"--seconds={setup.seconds}", *["--check"] * check]
    environment = {name: value for name, value in os.environ.items() if name not in setup.unset}
    try:
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, check=False, timeout=TIMEOUT
        )
    except subprocess.TimeoutExpired:
        return {"missing": f"no answer within {TIMEOUT} seconds"}
    except OSError as error:
        return {"missing": str(error)}
    if done.returncode != 0:
        return {"missing": last_line(done.stderr, f"exit code {done.returncode}")}
    return dict(json.loads(done.stdout.splitlines()[-1]))


def in_turn(
    title: str, peers: Iterable[str], repeats: int, measure: Callable[[str, bool], dict[str, Any]]
) -> Rows:
    """A B C A B C: a slow minute of the machine falls on all of them. measure(peer, first) gives {"samples":
    {name: number}, ...}; a library that is missing is asked once."""
    rows: Rows = {peer: {"samples": {}} for peer in peers}
    for repeat in range(repeats):
        for peer, row in rows.items():
            if "missing" in row:
                continue
            print(f"{title}: {peer} {repeat + 1}/{repeats}", file=sys.stderr, flush=True)
            result = measure(peer, repeat == 0)
            for name, value in result.pop("samples", {}).items():
                row["samples"].setdefault(name, []).append(value)
            row.update(result)
    return rows
