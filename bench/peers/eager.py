"""One eager operation at a time, called from Python and recorded for backward: nanoseconds per call.

python bench/peers/eager.py --python torch=/path/to/python      # chainrule: the Python that runs this

Operands are 8 x 8 float32 matrices that require a gradient, so that what is measured is the way to the kernel
and the record. Every library computes the same expressions from the same numbers; their sums are compared.
A library that is not there is named and left out. See bench/README.md for the rules all measurements follow.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import statistics
import subprocess
import sys
import timeit
from collections.abc import Callable
from typing import Any

import numpy as np

LIBRARIES = ("chainrule", "torch")
AGREEMENT = 1e-5


def expressions(library: str) -> dict[str, Callable[[], Any]]:
    """What is timed, by name. chainrule and torch spell all of it alike."""
    m = importlib.import_module(library)
    rng = np.random.default_rng(1)
    arrays = [rng.standard_normal((8, 8), np.float32) for _ in range(3)]
    x = m.tensor(arrays[0])
    a, b = (m.tensor(array, requires_grad=True) for array in arrays[1:])
    if library == "torch":
        m.set_num_threads(1)

    def clear() -> None:
        if library == "torch":
            a.grad = b.grad = None
        else:
            a.zero_grad()
            b.zero_grad()

    def chain() -> Any:
        clear()
        y = ((x @ a).tanh() * b).sum()
        y.backward()
        return a.grad

    return {
        "a + b": lambda: a + b,
        "a * b": lambda: a * b,
        "a @ b": lambda: a @ b,
        "a.tanh()": lambda: a.tanh(),
        "a + 1.0": lambda: a + 1.0,
        "a.sum()": lambda: a.sum(),
        "((x @ a).tanh() * b).sum(), backward": chain,
    }


def worker(library: str, seconds: float) -> None:
    """Prints {expression: [nanoseconds, sum of the result]}; the loop's own time is taken off."""
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[-1:])
    result: dict[str, Any] = {}
    for name, f in {"": lambda: None, **expressions(library)}.items():
        timer = timeit.Timer(f)
        calls = 1000
        while (elapsed := timer.timeit(calls)) < seconds / 5:
            calls *= 2
        best = min(elapsed, *timer.repeat(5, calls)) / calls * 1e9
        empty = result[""][0] if name else 0.0
        result[name] = [best - empty, float(f().sum()) if name else 0.0]
    del result[""]
    m = importlib.import_module(library)
    sys.stdout.write(json.dumps({"version": m.__version__, "times": result}) + "\n")


def measure(library: str, executable: str, seconds: float) -> dict[str, Any]:
    command = [executable, __file__, "--worker", library, f"--seconds={seconds}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        return {"missing": (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]}
    return dict(json.loads(done.stdout.splitlines()[-1]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--python", action="append", default=[], metavar="LIBRARY=PATH")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.0, help="per expression and process (1)")
    parser.add_argument("--worker", metavar="LIBRARY", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        return worker(options.worker, options.seconds)
    pythons = dict(entry.split("=", 1) for entry in options.python)
    runs: dict[str, list[dict[str, Any]]] = {library: [] for library in LIBRARIES}
    missing: dict[str, str] = {}
    for _ in range(options.repeats):  # A B A B: a slow minute of the machine falls on all of them
        for library in LIBRARIES:
            if library in missing:
                continue
            run = measure(library, pythons.get(library, sys.executable), options.seconds)
            if "missing" in run:
                missing[library] = run["missing"]
            else:
                runs[library].append(run)
    there = [library for library in LIBRARIES if runs[library]]
    if not there:
        sys.exit("\n".join(f"{library}: {why}" for library, why in missing.items()))
    print("| nanoseconds | " + " | ".join(f"{k} {runs[k][0]['version']}" for k in there) + " | ratio |")
    print("|---" * (len(there) + 2) + "|")
    for name in runs[there[0]][0]["times"]:
        times = [statistics.median(run["times"][name][0] for run in runs[k]) for k in there]
        sums = [runs[k][0]["times"][name][1] for k in there]
        ratio = f"{times[1] / times[0]:.1f}" if len(times) > 1 else ""
        if max(sums) - min(sums) > AGREEMENT * max(1.0, *map(abs, sums)):
            ratio = f"void: sums are {sums}"
        print(f"| `{name}` | " + " | ".join(f"{t:.0f}" for t in times) + f" | {ratio} |")
    for library, why in missing.items():
        print(f"\n{library} is missing: {why}")
    return None


if __name__ == "__main__":
    main()
