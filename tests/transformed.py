"""Functions with known derivatives, for the tests of transforms and calls."""

from __future__ import annotations

import chainrule as cr
import numpy as np

RNG = np.random.default_rng(7)
A = RNG.normal(size=(3, 3))
X = RNG.normal(size=(5, 3))
V = RNG.normal(size=3)


def close(actual, expected, tolerance=1e-12):
    np.testing.assert_allclose(np.asarray(actual), np.asarray(expected), rtol=tolerance, atol=tolerance)


def x0():
    return cr.tensor(X[0])


def h(x):
    return cr.tanh(cr.tensor(A) @ x)


def f(x):
    return (h(x) ** 2).sum()


def jacobian_of_h(x):
    """d tanh(A x) / dx = diag(1 - tanh^2) A."""
    return (1 - np.tanh(A @ x) ** 2)[:, None] * A


def hessian_of_f(x):
    """With t = tanh(Ax), s = 1 - t^2: sum_k (2 s_k^2 - 4 t_k^2 s_k) a_k a_k'."""
    t = np.tanh(A @ x)
    s = 1 - t**2
    return (A.T * (2 * s**2 - 4 * t**2 * s)) @ A
