"""Second derivatives and Jacobians side by side, on one thread; and the memory of a backward pass
(chain_memory.py). One that is missing is named and left out, one with another result is void.

    python bench/peers/differentiation.py --python jax=$P --python torch=$P [--repeats 10] [--seconds 0.2]
"""

from __future__ import annotations

import argparse
import json
import sys
from itertools import pairwise
from typing import Any

import chain_memory
import numpy as np
from judge import best, judge, median
from processes import Row, Rows, Setup, answers, groups_in_turn
from tables import cell, markdown, number
from worker import microseconds, pin

PEERS = ("chainrule:compiled", "chainrule:eager", "jax", "torch")
JACOBIAN_SIZES, SAMPLES = (16, 64, 64, 8), 256
HESSIAN_SIZES, ROWS = (3, 8, 2), 20  # 50 parameters
CASES = {
    "jacobian": "input Jacobians of a 16-64-64-8 tanh network for 256 inputs",
    "hessian": "Hessian of a 3-8-2 tanh network's 50 parameters, mean squared error of 20 rows",
}


def weights(sizes):
    rng = np.random.default_rng(0)
    return [
        (rng.normal(size=(m, n)).astype("float32") / np.sqrt(m, dtype="float32"), np.zeros(n, "float32"))
        for m, n in pairwise(sizes)
    ]


def data():
    rng = np.random.default_rng(1)
    return (
        rng.normal(size=(SAMPLES, JACOBIAN_SIZES[0])).astype("float32"),
        rng.normal(size=(ROWS, HESSIAN_SIZES[0])).astype("float32"),
        rng.normal(size=(ROWS, HESSIAN_SIZES[-1])).astype("float32"),
    )


def flat(layers):
    return np.concatenate([a.ravel() for layer in layers for a in layer])


def network(x, layers, tanh):
    for i, (w, b) in enumerate(layers):
        x = x @ w + b
        if i + 1 < len(layers):
            x = tanh(x)
    return x


def layers_of(p, sizes):
    """The layers in a flat vector of parameters, for any library's arrays."""
    layers, at = [], 0
    for m, n in pairwise(sizes):
        layers.append((p[at : at + m * n].reshape((m, n)), p[at + m * n : at + m * n + n]))
        at += m * n + n
    return layers


def chainrule_call(case, variant):
    import chainrule as cr

    x, rows, targets = data()
    if case == "jacobian":
        layers = [tuple(map(cr.tensor, layer)) for layer in weights(JACOBIAN_SIZES)]
        f = cr.vmap(cr.jacobian(lambda v: network(v, layers, cr.tanh)))
        out, at = np.empty((SAMPLES, JACOBIAN_SIZES[-1], JACOBIAN_SIZES[0]), "float32"), x
    else:
        rows, targets = cr.tensor(rows), cr.tensor(targets)
        f = cr.hessian(
            lambda p: cr.mean((network(rows, layers_of(p, HESSIAN_SIZES), cr.tanh) - targets) ** 2)
        )
        out, at = np.empty((50, 50), "float32"), cr.tensor(flat(weights(HESSIAN_SIZES)))
    compiled = cr.compile(f)
    return (lambda: compiled(at, out=out)) if variant == "compiled" else (lambda: np.asarray(f(at)))


def jax_call(case, variant):
    import jax
    import jax.numpy as jnp

    x, rows, targets = data()
    if case == "jacobian":
        layers = weights(JACOBIAN_SIZES)
        f, at = jax.jit(jax.vmap(jax.jacrev(lambda v: network(v, layers, jnp.tanh)))), jnp.asarray(x)
    else:
        loss = lambda p: jnp.mean((network(rows, layers_of(p, HESSIAN_SIZES), jnp.tanh) - targets) ** 2)  # noqa: E731
        f, at = jax.jit(jax.hessian(loss)), jnp.asarray(flat(weights(HESSIAN_SIZES)))
    return lambda: f(at).block_until_ready()


def torch_call(case, variant):
    import torch

    torch.set_num_threads(1)
    x, rows, targets = map(torch.from_numpy, data())
    if case == "jacobian":
        layers = [tuple(map(torch.from_numpy, layer)) for layer in weights(JACOBIAN_SIZES)]
        f = torch.func.vmap(torch.func.jacrev(lambda v: network(v, layers, torch.tanh)))
        return lambda: f(x)
    loss = lambda p: ((network(rows, layers_of(p, HESSIAN_SIZES), torch.tanh) - targets) ** 2).mean()  # noqa: E731
    f, at = torch.func.hessian(loss), torch.from_numpy(flat(weights(HESSIAN_SIZES)))
    return lambda: f(at)


LIBRARIES = {"chainrule": chainrule_call, "jax": jax_call, "torch": torch_call}


def one(peer: str, seconds: float) -> None:
    """Prints a line for each case: microseconds per call, and the sum of the result's squares."""
    pin(1)
    library, _, variant = peer.partition(":")
    for case in CASES:
        call = LIBRARIES[library](case, variant)

        def run(calls: int, call: Any = call) -> None:
            for _ in range(calls):
                call()

        result = {
            "samples": {"us": microseconds(run, 3, seconds)},
            "loss": float((np.asarray(call(), "float64") ** 2).sum()),
            "versions": {library: sys.modules[library].__version__},
        }
        print(json.dumps({case: result}), flush=True)


def measure(setup: Setup) -> dict[str, Rows]:
    def ask(peer: str, asked: list[str], _: bool) -> dict[str, Row]:
        command = [setup.executable(peer), __file__, "--one", peer, f"--seconds={setup.seconds}"]
        return answers(setup, command, asked, keep_compiled=True)

    results = groups_in_turn("derivatives", list(CASES), setup.chosen(PEERS), setup.repeats, ask)
    for rows in results.values():
        judge({"1": rows})
    return {**results, "memory": chain_memory.measure(setup)}


def times_faster(results: dict[str, Rows], case: str, library: str) -> float | None:
    """Compiled, than that library."""
    rows = results.get(case, {})
    ours, rival = median(rows.get("chainrule:compiled", {})), best({"1": rows}, False, library=library)
    return rival.value / ours if ours and rival else None


def table_times(results: dict[str, Rows]) -> str:
    peers = dict.fromkeys(peer for case in CASES for peer in results.get(case, {}))
    lines = [
        [title, *(cell(results[case].get(peer)) for peer in peers),
         *(number(times_faster(results, case, library)) for library in ("jax", "torch"))]
        for case, title in CASES.items() if case in results
    ]  # fmt: skip
    heads = ["microseconds", *peers, "JAX / compiled", "PyTorch / compiled"]
    return markdown(heads, lines)


def table(results: dict[str, Rows]) -> str:
    parts = [table_times(results), chain_memory.table(results.get("memory", {}))]
    return "\n\n".join(part for part in parts if part)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--python", action="append", default=[], metavar="LIBRARY=PATH")
    parser.add_argument("--repeats", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=0.2, help="per number and process")
    parser.add_argument("--one", choices=PEERS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        return one(options.one, options.seconds)
    results = measure(
        Setup(options.repeats, options.seconds, python=dict(p.split("=", 1) for p in options.python))
    )
    print(table(results))
    for peer, row in results["jacobian"].items():
        if "missing" in row:
            print(f"- {peer}: {row['missing']}")
    return None


if __name__ == "__main__":
    main()
