"""How long `import chainrule` takes beside `import numpy`, in processes of their own, in turn; and the size
of the wheel. Usage: import_time.py [--repeats N] [--wheel FILE]"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
from pathlib import Path

STATEMENTS = ["pass", "import numpy", "import chainrule"]


def seconds(statement: str) -> float:
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", statement], check=True)
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--wheel", type=Path, help="a wheel whose size is shown")
    options = parser.parse_args()
    for statement in STATEMENTS:
        seconds(statement)  # the file cache, and compiled modules
    times: dict[str, list[float]] = {statement: [] for statement in STATEMENTS}
    for _ in range(options.repeats):
        for statement in STATEMENTS:
            times[statement].append(1e3 * seconds(statement))

    idle = statistics.median(times["pass"])
    print("| statement | ms, median (lowest - highest) | above an empty program |\n| --- | --- | --- |")
    for statement, took in times.items():
        median = statistics.median(took)
        print(f"| `{statement}` | {median:.0f} ({min(took):.0f} - {max(took):.0f}) | {median - idle:.0f} |")
    numpy, ours = (statistics.median(times[statement]) for statement in STATEMENTS[1:])
    print(f"\nimport chainrule / import numpy: {ours / numpy:.2f} as whole programs, "
          f"{(ours - idle) / (numpy - idle):.2f} without the interpreter's start")  # fmt: skip
    if options.wheel:
        print(f"wheel: {options.wheel.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
