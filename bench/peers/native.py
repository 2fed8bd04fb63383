"""The programs of bench/cpp as part of a run: matrix products, kernels and whole steps without Python."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from processes import Setup, last_line
from tables import of_objects

PROGRAMS = ("matmul", "kernels", "steps")


def measure(setup: Setup, folder: Path | None) -> dict[str, Any]:
    """{program: its JSON, or {"missing": why}}; they lie beside the program `limits`."""
    results: dict[str, Any] = {}
    for name in PROGRAMS:
        program = folder / name if folder else None
        if program is None or not program.is_file():
            how = "build the target `bench`, with CHAINRULE_BENCH=ON"
            results[name] = {"missing": f"no {program or name}; {how}"}
            continue
        command = [str(program), "--json", "-", f"--seconds={setup.seconds}"]
        command += [f"--repeats={min(setup.repeats, 5)}"]  # samples in one process, the FMA peak between them
        print(f"native: {name}", file=sys.stderr, flush=True)
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        failed = {"missing": last_line(done.stderr, f"exit code {done.returncode}")}
        results[name] = json.loads(done.stdout) if done.returncode == 0 else failed
    return results


def least_share(results: dict[str, Any], part: str) -> float | None:
    """Of the FMA peak, in percent: the worst of the products on all threads whose name has `part`."""
    rows = results.get("matmul", {}).get("parallel", [])
    return min((row["share, %"] for row in rows if part in row["product"]), default=None)


def most_allocations(results: dict[str, Any]) -> float | None:
    """In ten steps after the first ones, of any workload."""
    rows = results.get("steps", {}).get("steps", [])
    return max((float(row["allocations in 10 steps"]) for row in rows), default=None)


def table_products(results: dict[str, Any]) -> str:
    """Those on all threads."""
    rows = results.get("matmul", {}).get("parallel", [])
    return of_objects(rows) if rows else ""


def table(results: dict[str, Any]) -> str:
    parts = []
    for name, result in results.items():
        if "missing" in result:
            parts.append(f"- {name}: {result['missing']}")
        for rows in result.values():
            if isinstance(rows, list) and rows:
                parts.append(of_objects(rows))
    return "\n\n".join(parts)
