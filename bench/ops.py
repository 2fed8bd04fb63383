"""Times every row of the op case table (tests/cases.py) on its benchmark shapes, in float32: eager, with
backward, compiled. --json keeps the numbers, --against compares with numbers kept before."""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import chainrule as cr
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))
from cases import Case, Sample, all_cases

COLUMNS = ("eager", "backward", "compiled")


def microseconds(call: Callable[[], Any], seconds: float) -> float:
    """Median over five rounds, each of at least a fifth of the time."""
    call()
    count, rounds = 1, []
    while len(rounds) < 5:
        start = time.perf_counter()
        for _ in range(count):
            call()
        took = time.perf_counter() - start
        if took >= seconds / 5:
            rounds.append(took / count * 1e6)
        else:
            count = max(2 * count, int(1.1 * count * seconds / 5 / max(took, 1e-9)))
    return statistics.median(rounds)


def measure(case: Case, sample: Sample, seconds: float) -> dict[str, float]:
    inputs = [cr.from_numpy(np.ascontiguousarray(x)) for x in case.draw(sample, dtype="float32")]

    def call(*operands: Any) -> Any:
        return case(*operands, **sample.kwargs)

    times = {"eager": microseconds(lambda: call(*inputs), seconds)}
    if case.differentiable:
        leaves = [
            cr.tensor(x.numpy(), requires_grad=True) if i in case.differentiable else x
            for i, x in enumerate(inputs)
        ]
        out = call(*leaves)
        if isinstance(out, cr.Tensor) and out.dtype == "float32":
            cotangent = np.ones(out.shape, np.float32)

            def there_and_back() -> None:
                for leaf in leaves:
                    leaf.zero_grad()
                y = call(*leaves)
                y.backward(cotangent) if y.size != 1 else y.backward()

            times["backward"] = microseconds(there_and_back, seconds)
    compiled = cr.compile(call)
    times["compiled"] = microseconds(lambda: compiled(*inputs), seconds)
    moved = sum(x.numpy().nbytes for x in [*inputs, call(*inputs)])
    times["GB/s"] = moved / times["compiled"] / 1e3
    return times


def title(case: Case, sample: Sample) -> str:
    operands = ", ".join("x".join(map(str, shape)) or "scalar" for shape in sample.shapes)
    return case.name + " " + operands + "".join(f", {k}={v}" for k, v in sample.kwargs.items())


def show(value: float | None, before: float | None) -> str:
    if value is None:
        return ""
    return f"{value:.4g}" + (f" ({value / before:.2f} x)" if before else "")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("ops", nargs="*", metavar="OP", help="names of ops; all by default")
    parser.add_argument("--seconds", type=float, default=0.2, help="per number (0.2)")
    parser.add_argument("--threads", type=int, metavar="N", default=1)
    parser.add_argument("--json", type=Path, help="write the numbers there")
    parser.add_argument(
        "--against", type=Path, help="numbers of an earlier run, shown as a ratio (below 1: faster now)"
    )
    options = parser.parse_args()
    cr.set_num_threads(options.threads)
    cases = all_cases()
    if unknown := set(options.ops) - {case.name for case in cases}:
        parser.error(f"no such op: {', '.join(sorted(unknown))}")
    earlier = json.loads(options.against.read_text()) if options.against else {}
    numbers: dict[str, dict[str, float]] = {}
    head = ("op, shapes", "eager, us", "with backward, us", "compiled, us", "compiled, GB/s")
    print("| " + " | ".join(head) + " |\n" + "| --- " * len(head) + "|")
    for case in cases:
        if options.ops and case.name not in options.ops:
            continue
        for sample in case.bench:
            name = title(case, sample)
            numbers[name] = measure(case, sample, options.seconds)
            before = earlier.get(name, {})
            cells = [show(numbers[name].get(c), before.get(c)) for c in COLUMNS]
            print(f"| {name} | {' | '.join(cells)} | {numbers[name]['GB/s']:.1f} |", flush=True)
    print("\n" + "\n".join("- " + " ".join(line.split()) for line in cr.config().splitlines()))
    if options.json:
        options.json.write_text(json.dumps(numbers, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
