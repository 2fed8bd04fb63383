"""First and second derivatives of ops and composites (functions.py) beside HIPS autograd, in float64."""

from __future__ import annotations

from types import SimpleNamespace

import autograd
import autograd.numpy as anp
import chainrule as cr
import numpy as np
import pytest
from functions import COMPOSITES, FUNCTIONS, OPS
from test_autograd import erf, sigmoid


def logsumexp(x, axis, keepdims=False):
    return anp.log(anp.sum(anp.exp(x), axis=axis, keepdims=keepdims))


def log_softmax(x, axis):
    return x - logsumexp(x, axis, keepdims=True)


def cumprod(x, axis):
    """Products of ever longer slices: autograd has none of its own."""
    parts = [anp.prod(x[:, : i + 1], axis=axis) for i in range(x.shape[1])]
    return anp.stack(parts, axis=axis)


# what NumPy has no word for, or autograd no derivative
OTHERS = {
    "erf": erf,
    "sigmoid": sigmoid,
    "relu": lambda x: anp.maximum(x, 0),
    "leaky_relu": lambda x, slope: anp.where(x > 0, x, slope * x),
    "elu": lambda x, alpha: anp.where(x > 0, x, alpha * anp.expm1(x)),
    "softplus": lambda x: anp.logaddexp(x, 0),
    "silu": lambda x: x * sigmoid(x),
    "selu": lambda x: 1.0507009873554805 * anp.where(x > 0, x, 1.6732632423543772 * anp.expm1(x)),
    "mish": lambda x: x * anp.tanh(anp.logaddexp(x, 0)),
    "softsign": lambda x: x / (1 + anp.abs(x)),
    "gelu": lambda x: 0.5 * x * (1 + erf(x / np.sqrt(2))),
    "gelu_tanh": lambda x: 0.5 * x * (1 + anp.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3))),
    "logsumexp": logsumexp,
    "softmax": lambda x, axis: anp.exp(log_softmax(x, axis)),
    "log_softmax": log_softmax,
    "cumprod": cumprod,
    "take_along_axis": lambda x, index, axis: x[np.arange(len(x))[:, None], index],  # axis 1
    "flip": lambda x, axis: x[:, ::-1],
    "diagonal": lambda x, offset: x[np.arange(3), np.arange(3) + offset],
    "norm": anp.linalg.norm,
    "broadcast_to": lambda x, shape: x + np.zeros(shape),
}
HIPS = SimpleNamespace(**(vars(anp) | OTHERS))


def close(actual, expected):
    expected = np.asarray(expected)
    assert actual.shape == expected.shape
    size = np.abs(expected).max(initial=0)
    np.testing.assert_allclose(np.asarray(actual), expected, rtol=1e-9, atol=1e-12 * max(size, 1))


def dot(us, vs):
    return sum(anp.sum(u * v) for u, v in zip(us, vs, strict=True))


@pytest.fixture(params=FUNCTIONS)
def case(request, rng):
    """(f in chainrule, f in autograd, arguments, directions, a weight of the output)"""
    f, *draws = FUNCTIONS[request.param]
    xs, vs = [draw(rng) for draw in draws], [rng.normal(size=draw(rng).shape) for draw in draws]
    y = f(HIPS, *xs)
    return lambda *a: f(cr, *a), lambda *a: f(HIPS, *a), tuple(xs), tuple(vs), rng.normal(size=np.shape(y))


def reference_vjp(f, xs, u):
    return autograd.grad(lambda xs: anp.sum(f(*xs) * u))(xs)


def test_value_and_vjp(case):
    ours, theirs, xs, _, u = case
    y, pullback = cr.vjp(ours, *map(cr.tensor, xs))
    close(y, theirs(*xs))
    for gx, expected in zip(pullback(cr.tensor(u)), reference_vjp(theirs, xs, u), strict=True):
        close(gx, expected)


def test_jvp(case):
    """Against the transpose of autograd's reverse mode, which every function of it has."""
    ours, theirs, xs, vs, u = case
    _, ty = cr.jvp(ours, tuple(map(cr.tensor, xs)), tuple(map(cr.tensor, vs)))
    close(ty, autograd.grad(lambda u: dot(reference_vjp(theirs, xs, u), vs))(u))


def test_hessian_vector_product(case):
    ours, theirs, xs, vs, u = case
    weight = cr.tensor(u)
    everything = tuple(range(len(xs)))
    gradient = cr.grad(lambda *a: (ours(*a) * weight).sum(), argnums=everything)
    _, hv = cr.jvp(gradient, tuple(map(cr.tensor, xs)), tuple(map(cr.tensor, vs)))
    # the second term is 0: autograd warns of results that depend on nothing, as those of linear ops
    expected = autograd.grad(lambda xs: dot(reference_vjp(theirs, xs, u), vs) + 0 * dot(xs, xs))(xs)
    for ours_, theirs_ in zip(hv, expected, strict=True):
        close(ours_, theirs_)
    if len(xs) == 1:
        close(cr.hvp(lambda x: (ours(x) * weight).sum(), cr.tensor(xs[0]), cr.tensor(vs[0])), expected[0])


def test_there_are_enough():
    assert len(OPS) >= 60
    assert len(COMPOSITES) >= 20
