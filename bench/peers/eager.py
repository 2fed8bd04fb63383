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
from judge import median
from processes import Row, Rows, Setup, in_turn, last_line
from tables import cell, markdown, number

LIBRARIES = ("chainrule", "torch")
AGREEMENT = 1e-5
CHAIN = "((x @ a).tanh() * b).sum(), backward"


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
        CHAIN: chain,
    }


def worker(library: str, seconds: float) -> None:
    """Prints {expression: nanoseconds} and the sums of the results; the loop's own time is taken off."""
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[-1:])
    times: dict[str, float] = {}
    sums: dict[str, float] = {}
    for name, f in {"": lambda: None, **expressions(library)}.items():
        timer = timeit.Timer(f)
        calls = 1000
        while timer.timeit(calls) < seconds / 5:
            calls *= 2
        times[name] = statistics.median(timer.repeat(5, calls)) / calls * 1e9 - times.get("", 0.0)
        sums[name] = float(f().sum()) if name else 0.0
    del times[""]
    version = {library: importlib.import_module(library).__version__}
    sys.stdout.write(json.dumps({"samples": times, "sums": sums, "versions": version}) + "\n")


def once(setup: Setup, library: str) -> Row:
    command = [setup.executable(library), __file__, "--worker", library, f"--seconds={setup.seconds}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        return {"missing": last_line(done.stderr, f"exit code {done.returncode}")}
    return dict(json.loads(done.stdout.splitlines()[-1]))


def measure(setup: Setup) -> Rows:
    rows = in_turn("eager", setup.chosen(LIBRARIES), setup.repeats, lambda peer, _: once(setup, peer))
    sums = [row["sums"] for row in rows.values() if "sums" in row]
    for row in rows.values():
        for name, value in row.get("sums", {}).items():
            if abs(value - sums[0][name]) > AGREEMENT * max(1.0, abs(value)):
                row["void"] = f"another result of {name}"
    return rows


def ratios(rows: Rows) -> dict[str, float]:
    """PyTorch's time over ours, by expression."""
    ours, rival = (rows.get(library, {}) for library in LIBRARIES)
    return {
        name: b / a
        for name in ours.get("samples", {})
        if (a := median(ours, name)) and (b := median(rival, name))
    }


def table(rows: Rows) -> str:
    names = dict.fromkeys(name for row in rows.values() for name in row["samples"])
    by = ratios(rows)
    lines = [[f"`{n}`", *(cell(row, n) for row in rows.values()), number(by.get(n))] for n in names]
    missing = [f"\n- {library}: {row['missing']}" for library, row in rows.items() if "missing" in row]
    return "\n".join([markdown(["nanoseconds", *rows, "ratio"], lines), *missing])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--python", action="append", default=[], metavar="LIBRARY=PATH")
    parser.add_argument("--repeats", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=0.2, help="per expression and process (0.2)")
    parser.add_argument("--worker", metavar="LIBRARY", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        return worker(options.worker, options.seconds)
    python = dict(entry.split("=", 1) for entry in options.python)
    print(table(measure(Setup(options.repeats, options.seconds, python=python))))
    return None


if __name__ == "__main__":
    main()
