"""Second derivatives and Jacobians side by side: chainrule, JAX, PyTorch. Each number comes from a process
of its own, the libraries in turn; one that is missing is named and left out, one with another result is void.

    python bench/peers/differentiation.py --python jax=$P --python torch=$P [--repeats 10] [--json out.json]
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path

import numpy as np

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


def chainrule_variants(case):
    import chainrule as cr

    cr.set_num_threads(1)
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
    return {"compiled, out=": lambda: compiled(at, out=out), "eager": lambda: np.asarray(f(at))}


def jax_variants(case):
    import jax
    import jax.numpy as jnp

    x, rows, targets = data()
    if case == "jacobian":
        layers = weights(JACOBIAN_SIZES)
        f, at = jax.jit(jax.vmap(jax.jacrev(lambda v: network(v, layers, jnp.tanh)))), jnp.asarray(x)
    else:
        loss = lambda p: jnp.mean((network(rows, layers_of(p, HESSIAN_SIZES), jnp.tanh) - targets) ** 2)  # noqa: E731
        f, at = jax.jit(jax.hessian(loss)), jnp.asarray(flat(weights(HESSIAN_SIZES)))
    return {"jit": lambda: f(at).block_until_ready()}


def torch_variants(case):
    import torch

    torch.set_num_threads(1)
    x, rows, targets = map(torch.from_numpy, data())
    if case == "jacobian":
        layers = [tuple(map(torch.from_numpy, layer)) for layer in weights(JACOBIAN_SIZES)]
        f = torch.func.vmap(torch.func.jacrev(lambda v: network(v, layers, torch.tanh)))
        return {"torch.func, eager": lambda: f(x)}
    loss = lambda p: ((network(rows, layers_of(p, HESSIAN_SIZES), torch.tanh) - targets) ** 2).mean()  # noqa: E731
    f, at = torch.func.hessian(loss), torch.from_numpy(flat(weights(HESSIAN_SIZES)))
    return {"torch.func, eager": lambda: f(at)}


LIBRARIES = {"chainrule": chainrule_variants, "jax": jax_variants, "torch": torch_variants}


def measure(library, seconds):
    """{case: {variant: [microseconds per call, sum of the result's squares]}} of one library."""
    results = {}
    for case in CASES:
        for name, run in LIBRARIES[library](case).items():
            for _ in range(3):
                value = run()
            end, calls = time.perf_counter() + seconds, 0
            start = time.perf_counter()
            while time.perf_counter() < end:
                value = run()
                calls += 1
            spent = (time.perf_counter() - start) / calls * 1e6
            results.setdefault(case, {})[name] = [spent, float((np.asarray(value, "float64") ** 2).sum())]
    return results


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--python", action="append", default=[], metavar="NAME=PATH", help="that library's Python"
    )
    parser.add_argument("--repeats", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=0.5, help="per variant and process")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--one", choices=LIBRARIES, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(measure(options.one, options.seconds)))
        return
    pythons = {"chainrule": sys.executable, **dict(p.split("=", 1) for p in options.python)}
    core = {min(os.sched_getaffinity(0))}
    os.sched_setaffinity(0, core)  # one processor for all: JAX has no setting for one thread
    rows: dict[tuple[str, str, str], list[list[float]]] = {}
    for _ in range(options.repeats):
        for library in LIBRARIES:
            if library not in pythons:
                continue
            command = [pythons[library], __file__, "--one", library, "--seconds", str(options.seconds)]
            run = subprocess.run(command, capture_output=True, text=True)
            if run.returncode:
                print(f"{library}: left out: {run.stderr.strip().splitlines()[-1]}")
                del pythons[library]
                continue
            for case, variants in json.loads(run.stdout.splitlines()[-1]).items():
                for variant, result in variants.items():
                    rows.setdefault((case, library, variant), []).append(result)
    for library in LIBRARIES.keys() - pythons.keys():
        print(f"{library}: not measured; name its Python with --python {library}=PATH")
    table = []
    for case, title in CASES.items():
        print(f"\n{title}\n{'':32}median us   (min ... max)")
        expected = next(r[0][1] for (c, _, _), r in rows.items() if c == case)
        for (c, library, variant), results in rows.items():
            if c != case:
                continue
            times = sorted(t for t, _ in results)
            void = abs(results[0][1] - expected) > 1e-4 * abs(expected)
            median = statistics.median(times)
            mark = "  void: another result" if void else ""
            print(f"{library + ' ' + variant:32}{median:9.1f}   ({times[0]:.1f} ... {times[-1]:.1f}){mark}")
            table.append({"case": case, "library": library, "variant": variant, "us": times, "void": void})
    if options.json:
        options.json.write_text(json.dumps(table, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
