"""One measurement of one library in a process of its own; started by run.py. Prints one line of JSON."""

from __future__ import annotations

import argparse
import importlib
import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any


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


def train(peer: Any, w: Any, variant: str, check: bool, seconds: float) -> dict[str, Any]:
    layers, (x, y) = w.initial_layers(), w.samples()
    result: dict[str, Any] = {}
    job = peer.Train(w.workload, variant, layers, x, y)
    if check:
        steps = w.workload.steps_checked
        job.run(steps)
        at, b = steps % w.workload.batches, w.workload.batch
        result["loss"] = w.loss(job.layers(), x[at * b : (at + 1) * b], y[at * b : (at + 1) * b])
    result["us"] = microseconds(job.run, w.workload.batches, seconds)
    return result


def infer(peer: Any, w: Any, variant: str, check: bool, seconds: float) -> dict[str, Any]:
    import numpy as np

    layers, rng = w.initial_layers(), np.random.default_rng(4)
    inputs = [rng.standard_normal((1, w.workload.sizes[0]), np.float32) for _ in range(64)]
    call = peer.Infer(w.workload, variant, layers).call
    result: dict[str, Any] = {}
    if check:
        expected = np.concatenate([w.forward(layers, x) for x in inputs])
        got = np.concatenate([np.asarray(call(x)) for x in inputs])
        result["error"] = float(np.abs(got - expected).max() / np.abs(expected).max())

    def run(steps: int) -> None:
        for _ in range(steps // 64):
            for x in inputs:
                call(x)

    result["us"] = microseconds(run, 64, seconds)
    return result


def update(peer: Any, w: Any, variant: str, check: bool, seconds: float) -> dict[str, Any]:
    import numpy as np

    job = peer.Update(w.workload, variant, *w.parameter_and_gradient())
    result: dict[str, Any] = {}
    if check:
        steps = w.workload.steps_checked
        job.run(steps)
        expected = w.updated_parameter(steps)
        result["error"] = float(np.abs(job.value() - expected).max() / np.abs(expected).max())
    result["us"] = microseconds(job.run, 8, seconds)
    return result


class Bound:
    """The module workloads with one workload filled in."""

    def __init__(self, name: str) -> None:
        self._module = importlib.import_module("workloads")
        self.workload = self._module.WORKLOADS[name]

    def __getattr__(self, name: str) -> Any:
        function = getattr(self._module, name)
        return function if name in ("loss", "forward") else lambda *args: function(self.workload, *args)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("peer", help="torch, jax:scan, ...")
    parser.add_argument("workload")
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    pin(options.threads)
    name, _, variant = options.peer.partition(":")
    bound = Bound(options.workload)
    kind = bound.workload.kind
    try:
        peer = importlib.import_module(f"{name}_peer")
        if variant not in peer.VARIANTS.get(kind, ()):
            raise NotImplementedError(f"no variant {variant!r} for {kind}")
        measure = {"train": train, "infer": infer, "update": update}[kind]
        result = {
            **measure(peer, bound, variant, options.check, options.seconds),
            "versions": peer.versions(),
        }
    except (ImportError, NotImplementedError) as error:
        result = {"missing": f"{type(error).__name__}: {error}"}
    sys.stdout.write(json.dumps(result) + "\n")


if __name__ == "__main__":
    main()
