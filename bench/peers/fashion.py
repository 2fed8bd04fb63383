"""Fashion-MNIST from its files to ten epochs, wall clock: each library in a process of its own, from its
start to its end. The work is in fashion_worker.py.

python bench/peers/run.py fashion --fashion FOLDER --python torch=$P --python jax=$P
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from fashion_worker import BATCH, EPOCHS, LIBRARIES, files
from judge import best
from processes import HERE, Row, Setup, answers, in_turn
from tables import cell, markdown, number

FOLDER = Path("/usr/share/datasets/fashion-mnist")  # where Debian's package dataset-fashion-mnist has them
LEAST_ACCURACY = 86.0  # percent: what comes below has not trained the same
COLUMNS = {
    "whole": "whole process, s",
    "import": "import, s",
    "read": "reading, s",
    "train": f"{EPOCHS} epochs, s",
    "accuracy": "accuracy, %",
    "memory": "peak memory, MB",
}


def once(setup: Setup, library: str, folder: Path, threads: int) -> Row:
    command = [setup.executable(library), str(HERE / "fashion_worker.py"), library, str(folder), str(threads)]
    begin = time.perf_counter()
    row = answers(setup, command, [library])[library]
    took = time.perf_counter() - begin
    if "samples" in row:
        row["samples"]["whole"] = took
        if row["samples"]["accuracy"] < LEAST_ACCURACY:
            row["void"] = f"only {row['samples']['accuracy']:.1f} % right"
    return row


def measure(setup: Setup, folder: Path) -> dict[str, Any]:
    """{number of threads: rows}, in half as many processes as usual: each trains for seconds."""
    if missing := [str(path) for path in files(folder) if not path.is_file()]:
        where = "Debian's package dataset-fashion-mnist has the files; name another folder by --fashion"
        return {"missing": f"not measured: no {', '.join(missing)}; {where}"}
    return {
        str(n): in_turn(
            f"fashion, {n} thread{'s' * (n > 1)}", setup.chosen(LIBRARIES), (setup.repeats + 1) // 2,
            lambda library, _, n=n: once(setup, library, folder, n),
        )
        for n in setup.threads
    }  # fmt: skip


def times_faster(results: dict[str, Any], name: str) -> float | None:
    """Than the best rival, each at its better number of threads."""
    if "missing" in results:
        return None
    ours, rival = best(results, True, name), best(results, False, name)
    return rival.value / ours.value if ours and rival else None


def table(results: dict[str, Any]) -> str:
    if "missing" in results:
        return f"- {results['missing']}"
    lines = [
        [library, n, *(cell(row, name) for name in COLUMNS)]
        for n, rows in results.items()
        for library, row in rows.items()
    ]
    ratios = [f"{COLUMNS[name]}: {number(times_faster(results, name))} x" for name in ("whole", "train")]
    return markdown(["library", "threads", *COLUMNS.values()], lines) + (
        f"\n\n- batches of {BATCH}, shuffled in each epoch; faster than the best rival: {'; '.join(ratios)}"
    )
