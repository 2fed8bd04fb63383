"""Measurements of one library in a process of its own, started by processes.py. Prints JSON lines."""

from __future__ import annotations

import argparse
import importlib
import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

Result = dict[str, Any]  # "samples": {name: number}; "loss", "error"


def pin(threads: int) -> None:
    """Keeps the process on that many processors; every library takes its number of threads from there."""
    allowed = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, allowed[-threads:])
    for name in ("OMP", "MKL", "OPENBLAS", "CHAINRULE"):
        os.environ[f"{name}_NUM_THREADS"] = str(threads)


def microseconds(run: Callable[[int], None], unit: int, seconds: float) -> float:
    """Per step, over at least `seconds`, in calls of `unit` steps; compiling and warming up come before."""
    run(unit)
    steps = unit
    while True:
        start = time.perf_counter()
        run(steps)
        took = time.perf_counter() - start
        if took >= seconds:
            return took / steps * 1e6
        steps = unit * max(2 * steps // unit, round(1.2 * seconds / took * steps / unit))


def train(peer: Any, variant: str, w: Any, options: argparse.Namespace) -> Result:
    from workloads import STEPS_CHECKED, initial_layers, loss, samples

    layers, (x, y) = initial_layers(w), samples(w)
    result: Result = {}
    job = peer.Train(w, variant, layers, x, y)
    if options.check:
        job.run(STEPS_CHECKED)
        at, b = STEPS_CHECKED % w.batches, w.batch
        result["loss"] = loss(job.layers(), x[at * b : (at + 1) * b], y[at * b : (at + 1) * b])
    result["samples"] = {"us": microseconds(job.run, w.batches, options.seconds)}
    return result


def percentiles(call: Callable[[Any], Any], inputs: list[Any], calls: int) -> dict[str, float]:
    """Microseconds of single calls, without the clock's own."""
    clock = time.perf_counter_ns
    empty = statistics.median([-(clock() - clock()) for _ in range(1001)])
    times = []
    for i in range(calls):
        x = inputs[i % len(inputs)]
        start = clock()
        call(x)
        times.append(clock() - start)
    times.sort()
    at = {"p50": 0.5, "p99": 0.99, "p999": 0.999}
    return {name: max(times[int(part * calls)] - empty, 0) / 1e3 for name, part in at.items()}


def infer(peer: Any, variant: str, w: Any, options: argparse.Namespace) -> Result:
    import numpy as np
    from workloads import forward, initial_layers

    layers, rng = initial_layers(w), np.random.default_rng(4)
    inputs = [rng.standard_normal((1, w.sizes[0]), np.float32) for _ in range(64)]
    call = peer.Infer(w, variant, layers).call
    result: Result = {}
    if options.check:
        expected = np.concatenate([forward(layers, x) for x in inputs])
        got = np.concatenate([np.array(call(x)) for x in inputs])
        result["error"] = float(np.abs(got - expected).max() / np.abs(expected).max())

    def run(steps: int) -> None:
        for _ in range(steps // 64):
            for x in inputs:
                call(x)

    us = microseconds(run, 64, options.seconds / 2)
    calls = min(max(int(options.seconds / 2 * 1e6 / us), 1000), 200_000)
    result["samples"] = {"us": us, **percentiles(call, inputs, calls)}
    return result


def update(peer: Any, variant: str, w: Any, options: argparse.Namespace) -> Result:
    import numpy as np
    from workloads import STEPS_CHECKED, parameter_and_gradient, updated_parameter

    job = peer.Update(w, variant, *parameter_and_gradient(w))
    result: Result = {}
    if options.check:
        job.run(STEPS_CHECKED)
        expected = updated_parameter(w, STEPS_CHECKED)
        result["error"] = float(np.abs(job.value() - expected).max() / np.abs(expected).max())
    result["samples"] = {"us": microseconds(job.run, 8, options.seconds)}
    return result


def resident(field: str) -> float:
    """VmRSS (now) or VmHWM (the most since it was reset), in MB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field)) / 1024


def start(peer: Any, variant: str, w: Any, options: argparse.Namespace) -> Result:
    """The first step, with all that comes before it but the import; and the memory of two epochs."""
    from workloads import initial_layers, samples

    layers, (x, y) = initial_layers(w), samples(w)
    before = resident("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # VmHWM begins anew
    begin = time.perf_counter()
    job = peer.Train(w, variant, layers, x, y)
    job.run(1)
    first = time.perf_counter() - begin
    job.run(2 * w.batches)
    return {"samples": {"first_ms": first * 1e3, "memory_mb": resident("VmHWM") - before}}


def grow(peer: Any, variant: str, series: dict[int, Any], options: argparse.Namespace) -> Result:
    """Microseconds per epoch where the number of batches grows, else per step."""
    from workloads import initial_layers, samples

    points = {}
    epoch = len({w.batches for w in series.values()}) > 1
    for size, w in series.items():
        job = peer.Train(w, variant, initial_layers(w), *samples(w))
        per_step = microseconds(job.run, w.batches, options.seconds)
        points[str(size)] = per_step * (w.batches if epoch else 1)
    return {"samples": points}


def profile(peer: Any, variant: str, w: Any, options: argparse.Namespace) -> Result:
    """Where the time of a step goes, as the library tells it."""
    from workloads import initial_layers, samples

    job = peer.Train(w, variant, initial_layers(w), *samples(w))
    return {"text": str(job.trainer.profile(job.x, job.y, batch_size=w.batch, runs=400)).rstrip()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("mode", choices=["steps", "start", "grow", "profile"])
    parser.add_argument("peer", help="torch, jax:scan, ...")
    parser.add_argument("names", nargs="+", help="workloads; for grow: batch, width, depth, data")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=0.2)
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    pin(options.threads)
    from workloads import WORKLOADS, growing

    kinds = {"train": train, "infer": infer, "update": update}
    name, _, variant = options.peer.partition(":")
    for what in options.names:
        work: Any = growing()[what] if options.mode == "grow" else WORKLOADS[what]
        kind = work.kind if options.mode == "steps" else "train"
        run = {"start": start, "grow": grow, "profile": profile}.get(options.mode) or kinds[kind]
        try:
            peer = importlib.import_module(f"{name}_peer")
            if variant not in peer.VARIANTS.get(kind, ()):
                raise NotImplementedError(f"no variant {variant!r} for {kind}")
            result = {**run(peer, variant, work, options), "versions": peer.versions()}
        except (ImportError, NotImplementedError) as error:
            result = {"missing": f"{type(error).__name__}: {error}"}
        sys.stdout.write(json.dumps({what: result}) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
