"""Transforms of ops and composites (functions.py) beside JAX on the CPU, in float64, where JAX is installed.

`pytest tests/test_jax.py -s` prints how many comparisons ran and the largest difference, per transform.
"""

from __future__ import annotations

from collections import defaultdict
from types import SimpleNamespace

import chainrule as cr
import numpy as np
import pytest
from functions import COMPOSITES, FUNCTIONS

pytestmark = pytest.mark.slow  # compiling in JAX takes a minute
jax = pytest.importorskip("jax")
jax.config.update("jax_enable_x64", True)
jax.config.update("jax_platforms", "cpu")
jnp = jax.numpy

OTHERS = {
    "erf": jax.scipy.special.erf,
    "sigmoid": jax.nn.sigmoid,
    "relu": jax.nn.relu,
    "leaky_relu": jax.nn.leaky_relu,
    "elu": jax.nn.elu,
    "softplus": jax.nn.softplus,
    "silu": jax.nn.silu,
    "selu": jax.nn.selu,
    "mish": jax.nn.mish,
    "softsign": jax.nn.soft_sign,
    "gelu": lambda x: jax.nn.gelu(x, approximate=False),
    "gelu_tanh": lambda x: jax.nn.gelu(x, approximate=True),
    "logsumexp": jax.scipy.special.logsumexp,
    "softmax": jax.nn.softmax,
    "log_softmax": jax.nn.log_softmax,
    "norm": jnp.linalg.norm,
}
THEIRS = SimpleNamespace(**(vars(jnp) | OTHERS))
DIFFERENCES = defaultdict(list)


@pytest.fixture(autouse=True, scope="module")
def report():
    yield
    for name, found in DIFFERENCES.items():
        print(f"\n{name}: {len(found)} comparisons, largest relative difference {max(found):.1e}", end="")


def compare(transform, actual, expected):
    """Nested tuples and lists alike; differences are relative to the largest entry, at least 1."""
    if isinstance(expected, tuple | list):
        assert len(actual) == len(expected)
        for a, e in zip(actual, expected, strict=True):
            compare(transform, a, e)
        return
    a, e = np.asarray(actual), np.asarray(expected)
    assert (a.shape, a.dtype) == (e.shape, e.dtype)
    difference = np.abs(a - e).max(initial=0) / np.abs(e).max(initial=1)
    DIFFERENCES[transform].append(float(difference))
    assert difference <= 1e-12


class Case:
    def __init__(self, name):
        self.name = name
        f, *draws = FUNCTIONS[name]
        rng = np.random.default_rng(sum(map(ord, name)))
        self.xs = tuple(draw(rng) for draw in draws)
        self.vs = tuple(rng.normal(size=x.shape) for x in self.xs)
        self.ours, self.theirs = (lambda *a: f(cr, *a)), (lambda *a: f(THEIRS, *a))
        self.weight = rng.normal(size=self.ours(*self.tensors()).shape)
        self.argnums = tuple(range(len(self.xs)))
        self.batch = tuple(
            np.stack([x, draw(rng), draw(rng)]) for x, draw in zip(self.xs, draws, strict=True)
        )

    def tensors(self):
        return tuple(map(cr.tensor, self.xs))

    def directions(self):
        return tuple(map(cr.tensor, self.vs))

    def ours_scalar(self, *a):
        return (self.ours(*a) * cr.tensor(self.weight)).sum()

    def theirs_scalar(self, *a):
        return (self.theirs(*a) * self.weight).sum()


CASES = [Case(name) for name in FUNCTIONS]
PAIRS = [case for case in CASES if case.name in COMPOSITES and len(case.xs) > 1]
each = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
each_composite = pytest.mark.parametrize(
    "case", [case for case in CASES if case.name in COMPOSITES], ids=lambda case: case.name
)


@each
def test_vjp(case):
    y, pullback = cr.vjp(case.ours, *case.tensors())
    theirs, their_pullback = jax.vjp(jax.jit(case.theirs), *case.xs)
    compare("value", y, theirs)
    compare("vjp", pullback(cr.tensor(case.weight)), their_pullback(jnp.asarray(case.weight)))


@each
def test_jvp(case):
    _, ty = cr.jvp(case.ours, case.tensors(), case.directions())
    compare("jvp", ty, jax.jvp(jax.jit(case.theirs), case.xs, case.vs)[1])


@each
def test_jacobian(case):
    expected = jax.jit(jax.jacrev(case.theirs, case.argnums))(*case.xs)
    for mode in ("reverse", "forward"):
        compare(
            f"jacobian {mode}", cr.jacobian(case.ours, case.argnums, mode=mode)(*case.tensors()), expected
        )


@each
def test_hessian(case):
    """Of a weighted sum of the outputs, with all mixed blocks."""
    expected = jax.jit(jax.hessian(case.theirs_scalar, case.argnums))(*case.xs)
    compare("hessian", cr.hessian(case.ours_scalar, case.argnums)(*case.tensors()), expected)


@each
def test_vmap(case):
    compare(
        "vmap", cr.vmap(case.ours)(*map(cr.tensor, case.batch)), jax.jit(jax.vmap(case.theirs))(*case.batch)
    )


@each
def test_vmap_of_grad(case):
    ours = cr.vmap(cr.grad(case.ours_scalar, case.argnums))(*map(cr.tensor, case.batch))
    compare("vmap(grad)", ours, jax.jit(jax.vmap(jax.grad(case.theirs_scalar, case.argnums)))(*case.batch))


def slope(library, f, vs):
    """The derivative of f along vs, as a function of the point."""
    return lambda *xs: library.jvp(f, xs, vs)[1]


@each_composite
def test_hessian_vector_products_in_three_orders(case):
    """Forward over reverse, reverse over forward, reverse over reverse, compiled."""
    vs = case.directions()
    their_gradient = jax.grad(case.theirs_scalar, case.argnums)
    expected = jax.jit(slope(jax, their_gradient, case.vs))(*case.xs)
    gradient = cr.grad(case.ours_scalar, case.argnums)
    compare("jvp(grad)", slope(cr, gradient, vs)(*case.tensors()), expected)
    compare("grad(jvp)", cr.grad(slope(cr, case.ours_scalar, vs), case.argnums)(*case.tensors()), expected)

    def along(*xs):
        return sum((g * v).sum() for g, v in zip(gradient(*xs), vs, strict=True))

    compare("compile(grad(grad))", cr.compile(cr.grad(along, case.argnums))(*case.tensors()), expected)


@each_composite
def test_third_order(case):
    """The gradient of v'Hv, and the derivative of that along v."""
    vs = case.directions()
    ours = slope(cr, slope(cr, case.ours_scalar, vs), vs)
    theirs = slope(jax, slope(jax, case.theirs_scalar, case.vs), case.vs)
    compare("jvp(jvp)", ours(*case.tensors()), jax.jit(theirs)(*case.xs))
    expected = jax.jit(jax.grad(theirs, case.argnums))(*case.xs)
    compare("grad(jvp(jvp))", cr.grad(ours, case.argnums)(*case.tensors()), expected)


@each_composite
def test_vmap_of_hessians_and_jacobians(case):
    batch = tuple(map(cr.tensor, case.batch))
    expected = jax.jit(jax.vmap(jax.hessian(case.theirs_scalar)))(*case.batch)
    compare("vmap(hessian)", cr.vmap(cr.hessian(case.ours_scalar))(*batch), expected)
    expected = jax.jit(jax.vmap(jax.jacfwd(case.theirs)))(*case.batch)
    compare("compile(vmap(jacobian))", cr.compile(cr.vmap(cr.jacobian(case.ours)))(*batch), expected)


@each_composite
def test_jacobian_of_vmap(case):
    """Of mapped functions: blocks between samples are 0."""
    expected = jax.jit(jax.jacrev(jax.vmap(case.theirs)))(*case.batch)
    compare("jacobian(vmap)", cr.jacobian(cr.vmap(case.ours))(*map(cr.tensor, case.batch)), expected)


@pytest.mark.parametrize("case", PAIRS, ids=lambda case: case.name)
def test_vmap_of_vmap(case):
    """Every pair of samples of two batches, one argument against the others."""
    first = (0,) + (None,) * (len(case.xs) - 1)
    rest = (None,) + (0,) * (len(case.xs) - 1)
    ours = cr.vmap(cr.vmap(case.ours, in_axes=rest), in_axes=first)(*map(cr.tensor, case.batch))
    theirs = jax.jit(jax.vmap(jax.vmap(case.theirs, in_axes=rest), in_axes=first))(*case.batch)
    compare("vmap(vmap)", ours, theirs)
