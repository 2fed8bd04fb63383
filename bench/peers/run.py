"""Runs the workloads on every library in turn; prints tables and the environment. See bench/README.md."""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

from workloads import WORKLOADS, Workload

HERE = Path(__file__).resolve().parent
PEERS = {
    "train": ["chainrule:fit", "chainrule:step", "torch", "jax:step", "jax:scan", "sklearn"],
    "infer": ["chainrule:predict", "chainrule:compile", "torch", "jax", "onnx", "numpy"],
    "update": ["chainrule:step", "torch", "jax"],
}
AGREEMENT = 1e-4  # relative; a library whose loss differs by more has computed something else
SHOWN = ("OMP_", "MKL_", "OPENBLAS_", "XLA_", "GOMP_", "KMP_", "CHAINRULE_")


def measure(
    options: argparse.Namespace, peer: str, workload: Workload, threads: int, check: bool
) -> dict[str, Any]:
    """One process. An error of the library is a result, too."""
    executable = options.python.get(peer.partition(":")[0], sys.executable)
    environment = {name: value for name, value in os.environ.items() if name not in options.unset}
    command = [executable, HERE / "worker.py", peer, workload.name]
    command += [f"--threads={threads}", f"--seconds={options.seconds}"]
    done = subprocess.run(
        command + ["--check"] * check, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        return {"missing": (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]}
    return dict(json.loads(done.stdout.splitlines()[-1]))


def collect(options: argparse.Namespace, workload: Workload, threads: int) -> dict[str, Any]:
    """peer -> {us: [one per repeat], loss or error, versions, missing, void}."""
    peers = [p for p in options.peers or PEERS[workload.kind] if p in PEERS[workload.kind]]
    rows: dict[str, Any] = {peer: {"us": []} for peer in peers}
    for repeat in range(options.repeats):
        for peer in peers:  # A B C A B C: a slow minute of the machine falls on all of them
            row = rows[peer]
            if "missing" in row:
                continue
            result = measure(options, peer, workload, threads, check=repeat == 0)
            if "us" in result:
                row["us"].append(result.pop("us"))
            row.update(result)
            print(
                f"{workload.name} {threads} {peer} {repeat + 1}/{options.repeats}",
                file=sys.stderr,
                flush=True,
            )
    judge(rows)
    return rows


def judge(rows: dict[str, Any]) -> None:
    """Marks as void what did not compute the same."""
    losses = sorted(row["loss"] for row in rows.values() if "loss" in row)
    for row in rows.values():
        if "loss" in row:
            usual = statistics.median_low(losses)
            row["error"] = abs(row["loss"] - usual) / abs(usual)
        if "error" in row and not row["error"] <= AGREEMENT:  # NaN is void, too
            row["void"] = f"differs by {row['error']:.1e}"


def cell(row: dict[str, Any]) -> str:
    """median (lowest - highest), or why there is none."""
    if "void" in row:
        return "void"
    if not row["us"]:
        return "-"
    low, high = min(row["us"]), max(row["us"])
    digits = 0 if high >= 1000 else 1 if high >= 10 else 2
    return f"{statistics.median(row['us']):.{digits}f} ({low:.{digits}f} - {high:.{digits}f})"


def best(rows: dict[str, Any], ours: bool) -> float | None:
    medians = [
        statistics.median(row["us"])
        for peer, row in rows.items()
        if row["us"] and "void" not in row and peer.startswith("chainrule") == ours
    ]
    return min(medians, default=None)


def tables(results: dict[str, Any], threads: int, peak: float | None) -> str:
    """A table per kind of workload: they have different peers."""
    kinds = dict.fromkeys(WORKLOADS[name].kind for name in results)
    chosen = [
        {name: rows for name, rows in results.items() if WORKLOADS[name].kind == kind} for kind in kinds
    ]
    return "\n\n".join(table(some, threads, peak) for some in chosen)


def table(results: dict[str, Any], threads: int, peak: float | None) -> str:
    """Microseconds per step: a line per workload, a column per library."""
    peers = list(dict.fromkeys(peer for rows in results.values() for peer in rows))
    counted = any(WORKLOADS[name].flops() for name in results)
    head = ["workload", *peers, "best rival / ours", *(["ours, GFLOP/s"] if counted else [])]
    head += ["of the peak"] if counted and peak else []
    lines = [head, ["---"] * len(head)]
    for name, rows in results.items():
        ours, rival, flops = best(rows, True), best(rows, False), WORKLOADS[name].flops()
        line = [name, *(cell(rows[peer]) if peer in rows else "" for peer in peers)]
        line.append(f"{rival / ours:.2f}" if ours and rival else "")
        if counted:
            rate = flops / ours / 1e3 if ours else 0.0
            line.append(f"{rate:.1f}" if ours else "")
            if peak:
                line.append(f"{100 * rate / (peak * threads):.0f} %" if ours else "")
        lines.append(line)
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def processor() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text()
        return next(
            line.partition(":")[2].strip() for line in text.splitlines() if line.startswith("model name")
        )
    except (OSError, StopIteration):
        return platform.processor()


def environment(everything: dict[int, dict[str, Any]], options: argparse.Namespace) -> list[str]:
    rows = [row for results in everything.values() for peers in results.values() for row in peers.values()]
    versions = {k: v for row in rows for k, v in row.get("versions", {}).items() if k != "threads"}
    settings = {k: v for k, v in os.environ.items() if k.startswith(SHOWN) and k not in options.unset}
    lines = [
        f"date: {datetime.datetime.now().astimezone():%Y-%m-%d %H:%M %z}",
        f"processor: {processor()}; {len(os.sched_getaffinity(0))} usable",
        f"system: {platform.system()} {platform.release()}, Python {platform.python_version()}",
        "libraries: " + ", ".join(f"{k} {v}" for k, v in versions.items()),
        "settings: " + (", ".join(f"{k}={v}" for k, v in sorted(settings.items())) or "none"),
        "load average at the end: " + " ".join(f"{load:.1f}" for load in os.getloadavg()),
        f"{options.repeats} processes each in turn, at least {options.seconds} s measured in each; "
        "microseconds per step, median (lowest - highest)",
    ]
    return [f"- {line}" for line in lines]


def remarks(everything: dict[int, dict[str, Any]]) -> list[str]:
    """Why a cell is empty or void, and how well the rest agrees."""
    lines: dict[str, None] = {}
    for threads, results in everything.items():
        for name, rows in results.items():
            for peer, row in rows.items():
                for word in ("missing", "void"):
                    if word in row:
                        lines[f"- {name}, {peer}, threads {threads}: {word}: {row[word]}"] = None
    agreeing = [
        row["error"] for results in everything.values() for rows in results.values() for row in rows.values()
        if "error" in row and "void" not in row
    ]  # fmt: skip
    if agreeing:
        steps = Workload("", "").steps_checked
        lines[f"- the others agree to {max(agreeing):.1e} relative after {steps} steps"] = None
    return list(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workloads", nargs="+", choices=WORKLOADS, default=list(WORKLOADS), metavar="NAME")
    known = sorted({peer for peers in PEERS.values() for peer in peers})
    parser.add_argument(
        "--peers", nargs="+", metavar="PEER", choices=known, help="all by default: " + ", ".join(known)
    )
    parser.add_argument("--threads", nargs="+", type=int, metavar="N", help="1 and all by default")
    parser.add_argument("--repeats", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=1.0, help="measured in each process, at least (1)")
    parser.add_argument(
        "--python", action="append", default=[], metavar="PEER=PATH", help="the Python that has a library"
    )
    parser.add_argument(
        "--unset", action="append", default=[], metavar="NAME", help="variable hidden from the peers"
    )
    parser.add_argument(
        "--peak", type=float, metavar="GFLOPS", help="of one core, to show the fraction reached"
    )
    parser.add_argument("--json", type=Path, help="write all measurements there")
    options = parser.parse_args()
    options.python = dict(entry.split("=", 1) for entry in options.python)
    available = len(os.sched_getaffinity(0))
    everything: dict[int, dict[str, Any]] = {}
    for threads in options.threads or sorted({1, available}):
        if not 1 <= threads <= available:
            parser.error(f"--threads: 1 to {available} here, got {threads}")
        everything[threads] = {name: collect(options, WORKLOADS[name], threads) for name in options.workloads}
    for threads, results in everything.items():
        print(f"\n{threads} thread{'s' if threads > 1 else ''}\n\n{tables(results, threads, options.peak)}")
    print("\n" + "\n".join(environment(everything, options) + remarks(everything)))
    if options.json:
        options.json.write_text(json.dumps(everything, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
