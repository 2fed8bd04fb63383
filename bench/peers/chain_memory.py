"""The memory that a backward pass through 100 layers needs at most, beside what it cannot do without: the
values that its derivatives read, and two buffers. As the system tells it; each library in its own process.

    python bench/peers/chain_memory.py --python jax=$P --python torch=$P

h = tanh(h W), 100 times, then the sum, and its gradients with respect to every W. tanh needs its result again
and the product its input, which are the same 100 matrices; the first input and every W are there before.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from processes import Row, Rows, Setup, answers, in_turn
from tables import cell, markdown
from worker import pin, resident

PEERS = ("chainrule:eager", "chainrule:compiled", "jax", "torch")
LAYERS, BATCH, WIDTH = 100, 16384, 64  # a matrix of 4 MB; all W together are 1.6 MB
MINIMUM = (LAYERS + 2) * BATCH * WIDTH * 4 / 2**20
PROCESSES = 3  # it hardly varies


def data(batch: int) -> tuple[Any, list[Any]]:
    rng = np.random.default_rng(0)
    weights = [
        rng.standard_normal((WIDTH, WIDTH), np.float32) / np.float32(WIDTH**0.5) for _ in range(LAYERS)
    ]
    return rng.standard_normal((batch, WIDTH), np.float32), weights


def chain(x: Any, weights: list[Any], tanh: Any) -> Any:
    for w in weights:
        x = tanh(x @ w)
    return x.sum()


def chainrule_run(variant: str) -> Any:
    import chainrule as cr

    cr.set_num_threads(1)
    if variant == "compiled":
        step = cr.compile(cr.value_and_grad(lambda weights, x: chain(x, weights, cr.tanh)))
        return lambda x, weights: step([cr.from_numpy(w) for w in weights], cr.from_numpy(x))[1][0]

    def eager(x: Any, weights: list[Any]) -> Any:
        leaves = [cr.tensor(w, requires_grad=True) for w in weights]
        chain(cr.from_numpy(x), leaves, cr.tanh).backward()
        return leaves[0].grad

    return eager


def jax_run(variant: str) -> Any:
    import jax
    import jax.numpy as jnp

    step = jax.jit(jax.value_and_grad(lambda weights, x: chain(x, weights, jnp.tanh)))
    return lambda x, weights: step(weights, x)[1][0]


def torch_run(variant: str) -> Any:
    import torch

    torch.set_num_threads(1)

    def eager(x: Any, weights: list[Any]) -> Any:
        leaves = [torch.from_numpy(w.copy()).requires_grad_() for w in weights]
        chain(torch.from_numpy(x), leaves, torch.tanh).backward()
        return leaves[0].grad

    return eager


LIBRARIES = {"chainrule": chainrule_run, "jax": jax_run, "torch": torch_run}


def one(peer: str) -> None:
    pin(1)
    library, _, variant = peer.partition(":")
    run = LIBRARIES[library](variant)
    run(*data(8))  # code, threads, whatever else a library keeps
    x, weights = data(BATCH)
    before = resident("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # VmHWM begins anew
    gradient = np.asarray(run(x, weights), "float64")
    row = {"samples": {"mb": resident("VmHWM") - before}, "norm": float((gradient**2).sum())}
    print(json.dumps({peer: {**row, "versions": {library: sys.modules[library].__version__}}}))


def measure(setup: Setup) -> Rows:
    def ask(peer: str, _: bool) -> Row:
        return answers(setup, [setup.executable(peer), __file__, "--one", peer], [peer])[peer]

    return in_turn("memory of a chain", setup.chosen(PEERS), min(setup.repeats, PROCESSES), ask)


def share(rows: Rows, peer: str) -> float | None:
    """Of the minimum, in percent: the most that any process needed."""
    samples = rows.get(peer, {}).get("samples", {}).get("mb")
    return 100 * max(samples) / MINIMUM if samples else None


def table(rows: Rows) -> str:
    lines = [
        [peer, cell(row, "mb"), f"{share(rows, peer):.1f} %"] for peer, row in rows.items() if row["samples"]
    ]
    head = [
        f"backward through {LAYERS} layers, batch {BATCH}, width {WIDTH}",
        "peak, MB",
        f"of the least, {MINIMUM:.0f} MB",
    ]
    return markdown(head, lines) if lines else ""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--python", action="append", default=[], metavar="LIBRARY=PATH")
    parser.add_argument("--one", choices=PEERS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        return one(options.one)
    rows = measure(Setup(PROCESSES, python=dict(entry.split("=", 1) for entry in options.python)))
    print(table(rows))
    for peer, row in rows.items():
        if "missing" in row:
            print(f"- {peer}: {row['missing']}")
    return None


if __name__ == "__main__":
    main()
