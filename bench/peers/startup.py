"""How long `import chainrule` takes beside `import numpy`; first step and memory; size of the wheel.

python bench/peers/startup.py [--repeats N]     # the import alone
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import time
from pathlib import Path
from typing import Any

from limits import ROOT
from processes import Rows, Setup, in_turn, worker
from tables import cell, markdown, number
from workloads import TRAINING

STATEMENTS = ("pass", "import numpy", "import chainrule")
PEERS = ("chainrule:fit", "torch", "jax:step", "sklearn")  # torch.compile compiles for minutes


# --- import
def import_ms(executable: str, statement: str) -> float:
    begin = time.perf_counter()
    subprocess.run([executable, "-c", statement], check=True)
    return 1e3 * (time.perf_counter() - begin)


def measure_import(setup: Setup) -> Rows:
    executable = setup.executable("chainrule")
    for statement in STATEMENTS:
        import_ms(executable, statement)  # the file cache, and compiled modules

    def measure(statement: str, _: bool) -> dict[str, Any]:
        return {"samples": {"ms": import_ms(executable, statement)}}

    return in_turn("import", STATEMENTS, 2 * setup.repeats, measure)


def import_ratio(rows: Rows) -> float:
    """Of whole programs that do nothing else."""
    numpy, ours = (statistics.median(rows[s]["samples"]["ms"]) for s in STATEMENTS[1:])
    return float(ours / numpy)


def table_import(rows: Rows) -> str:
    lines = [[f"`{statement}`", cell(row, "ms")] for statement, row in rows.items()]
    return markdown(["program", "ms"], lines) + f"\n\n- chainrule / numpy: {import_ratio(rows):.2f}"


# --- first step and memory
def measure_start(setup: Setup) -> dict[str, Rows]:
    """By workload; on all threads, in a third of the usual processes: they are slow, and spread little."""
    return {
        name: in_turn(
            f"start {name}", setup.chosen(PEERS), (setup.repeats + 2) // 3,
            lambda peer, _, name=name: worker(setup, peer, "start", [name], max(setup.threads))[name],
        )
        for name in TRAINING
    }  # fmt: skip


def table_start(results: dict[str, Rows]) -> str:
    parts = []
    for key, title in (("first_ms", "first step, ms"), ("memory_mb", "memory of two epochs, MB")):
        peers = dict.fromkeys(peer for rows in results.values() for peer in rows)
        lines = [[name, *(cell(rows.get(peer), key) for peer in peers)] for name, rows in results.items()]
        parts.append(markdown([title, *peers], lines))
    return "\n\n".join(parts)


# --- wheel
def measure_wheel(given: Path | None) -> dict[str, Any]:
    wheels = [given] if given else sorted(ROOT.glob("dist/*.whl"), key=lambda path: path.stat().st_mtime)
    if not wheels or not wheels[-1].is_file():
        return {"missing": "no wheel; build it by `pip wheel --no-deps -w dist .`, or name it by --wheel"}
    return {"name": wheels[-1].name, "megabytes": wheels[-1].stat().st_size / 1e6}


def table_wheel(result: dict[str, Any]) -> str:
    return "- " + (result.get("missing") or f"{result['name']}: {number(result['megabytes'])} MB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--repeats", type=int, default=10)
    print(table_import(measure_import(Setup(parser.parse_args().repeats))))


if __name__ == "__main__":
    main()
