"""What the machine can do at most, as bench/cpp/limits.cpp measures it, and what follows for a workload."""

from __future__ import annotations

import json
import math
import os
import statistics
import subprocess
import timeit
from pathlib import Path
from typing import Any

from processes import last_line
from tables import of_objects
from workloads import WORKLOADS, Workload

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "build" / "bench"


def find(given: str | None) -> tuple[Path | None, str]:
    """The binary `limits` (given; or of any build; or built now), or None and why there is none."""
    if given == "none":
        return None, "limits are not measured: --limits none"
    if given:
        path = Path(given).resolve()
        return (path, "") if os.access(path, os.X_OK) else (None, f"--limits: {path} is no program")
    built = sorted(ROOT.glob("build/*/bench/limits"), key=lambda path: path.stat().st_mtime)
    return (built[-1], "") if built else build("bench_limits")


def build(target: str) -> tuple[Path | None, str]:
    options = ["-DCHAINRULE_BENCH=ON", "-DCHAINRULE_TESTS=OFF", "-DCHAINRULE_ISAS=native"]
    for command in (
        ["cmake", "-S", str(ROOT), "-B", str(BUILD), "-DCMAKE_BUILD_TYPE=Release", *options],
        ["cmake", "--build", str(BUILD), "--target", target],
    ):
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False)
        except OSError as error:
            return None, f"the limits are missing: cmake did not start: {error}"
        if done.returncode != 0:
            why = last_line(done.stderr or done.stdout, f"exit code {done.returncode}")
            return None, f"the limits are missing: `{' '.join(command)}` failed: {why}"
    return BUILD / "bench" / "limits", ""


def empty_calls() -> dict[str, float]:
    """Nanoseconds of calls from Python that do next to nothing, the loop taken off."""
    loop = min(timeit.repeat("pass", number=10**6)) * 1e3
    code = {"a function written in Python": "f(0)", "a built-in function": "g(0)"}
    names = {"f": lambda x: x, "g": abs}
    return {
        title: statistics.median(timeit.repeat(text, globals=names, number=10**5, repeat=15)) * 1e4 - loop
        for title, text in code.items()
    }


def sample(binary: Path, threads: tuple[int, ...], seconds: float) -> dict[str, Any]:
    command = [str(binary), "--json", "-", f"--seconds={seconds}", "--threads", *map(str, threads)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"{binary}: {last_line(done.stderr, f'exit code {done.returncode}')}")
    return dict(json.loads(done.stdout))


def combined(samples: list[Any]) -> Any:
    """The median of every number of equally shaped samples."""
    first = samples[0]
    if isinstance(first, dict):
        return {key: combined([s[key] for s in samples]) for key in first}
    if isinstance(first, list):
        return [combined([s[i] for s in samples]) for i in range(len(first))]
    return statistics.median(samples) if isinstance(first, float) else first


def peak(limits: dict[str, Any], threads: int) -> float | None:
    """GFLOP/s"""
    return next((row["GFLOP/s"] for row in limits.get("peak", []) if row["threads"] == threads), None)


def update_us(limits: dict[str, Any], parameters: int, kind: str, threads: int) -> float | None:
    """The streams of one update, between the sizes measured on a line in logarithms."""
    points = [(r["parameters"], r[kind]) for r in limits.get("updates", []) if r["threads"] == threads]
    if len(points) < 2:
        return None
    points.sort()
    at = next((i for i, (n, _) in enumerate(points) if n >= parameters), len(points) - 1)
    (n0, t0), (n1, t1) = points[max(at, 1) - 1], points[max(at, 1)]
    slope = math.log(t1 / t0) / math.log(n1 / n0)
    return float(t0 * (parameters / n0) ** slope) / 1e3


def read_us(limits: dict[str, Any], size: int, threads: int) -> float | None:
    """Reading that many bytes again and again, from the smallest level that holds them."""
    levels = [row for row in limits.get("bandwidth", []) if row["threads"] == threads]
    for row in levels:
        if size <= 2 * row["bytes"] * (threads if row["level"] != "memory" else 1):
            return float(size / row["read, GB/s"]) / 1e3
    return float(size / levels[-1]["read, GB/s"]) / 1e3 if levels else None


def of_workload(limits: dict[str, Any], workload: Workload, threads: int) -> float | None:
    """Microseconds that no library can beat: arithmetic at the FMA peak, then the optimizer's memory traffic;
    for one sample, the weights read from the cache and the call from Python."""
    rate = peak(limits, threads)
    if rate is None:
        return None
    if workload.kind == "infer":
        read = read_us(limits, 4 * workload.weights(), threads)
        call = limits.get("empty call, ns", {}).get("a built-in function", 0.0) / 1e3
        return None if read is None else max(read, workload.flops() / rate / 1e3) + call
    kind = "SGD" if workload.optimizer == "sgd" else "Adam"
    update = update_us(limits, workload.weights(), kind, threads)
    return None if update is None else workload.flops() / rate / 1e3 + update


def of_name(limits: dict[str, Any], name: str, threads: int) -> float | None:
    return of_workload(limits, WORKLOADS[name], threads) if name in WORKLOADS else None


def tables(limits: dict[str, Any]) -> str:
    if "missing" in limits:
        return str(limits["missing"])
    parts = []
    for key in ("peak", "bandwidth", "updates", "barriers"):
        rows = limits.get(key) or []
        if rows:
            parts.append(of_objects(rows))
    calls = limits.get("empty call, ns", {})
    parts.append("\n".join(f"- a call of {name} from Python: {ns:.0f} ns" for name, ns in calls.items()))
    return "\n\n".join(parts)
