"""Derivatives of every op, driven by the case table (cases.py): against differences, forward against reverse
mode, kinks."""

from __future__ import annotations

from functools import partial

import chainrule as cr
import numpy as np
import pytest
from cases import Arg
from checks import CASES, FLOATS, SMOOTH, each, each_case, float64, numpy, same_bits, split

# A cast to float32 rounds differences away.
DIFFERENCED = [
    (case, sample)
    for case, sample in SMOOTH
    if case.name != "cast" and sum(np.prod(s) for s in sample.shapes) <= 300
]


def difference(f, x, step=1e-3):
    """d f / d x of scalar f by differences that leave an error of order step^4."""
    g = np.zeros_like(x)
    for i in np.ndindex(x.shape):
        values = []
        for k in (-2, -1, 1, 2):
            moved = x.copy()
            moved[i] += k * step
            values.append(f(moved))
        g[i] = (values[0] - 8 * values[1] + 8 * values[2] - values[3]) / (12 * step)
    return g


class TestDerivatives:
    @each(DIFFERENCED)
    def test_vjp_against_differences(self, case, sample):
        arrays, f = split(case, case.draw(sample))
        rng = np.random.default_rng(3)
        out, pullback = cr.vjp(partial(f, kwargs=sample.kwargs), *arrays)
        u = rng.normal(size=out.shape)
        gradients = pullback(u)
        assert len(gradients) == len(arrays)
        for k, (x, g) in enumerate(zip(arrays, gradients, strict=True)):
            assert g.shape == x.shape
            assert g.dtype == "float64"

            def moved(value, k=k):
                return float(np.sum(u * numpy(f(*arrays[:k], value, *arrays[k + 1 :], kwargs=sample.kwargs))))

            np.testing.assert_allclose(numpy(g), difference(moved, x), rtol=1e-8, atol=2e-9)

    @each([(c, s) for c, s in DIFFERENCED if sum(np.prod(x) for x in s.shapes) <= 40])
    def test_second_order(self, case, sample):
        """g(x) = J(x)' u against differences, and forward over reverse against reverse over reverse.

        With H the derivative of g, <w, H v> is computed in both ways: through the tangents of g and through
        its cotangents, which go back through the derivative ops themselves.
        """
        arrays, f = split(case, case.draw(sample))
        f, rng = partial(f, kwargs=sample.kwargs), np.random.default_rng(6)
        u = rng.normal(size=f(*arrays).shape)

        def g(*x):
            return tuple(cr.vjp(f, *x)[1](u))

        value, pullback = cr.vjp(g, *arrays)
        value = value if isinstance(value, tuple) else (value,)
        w, v = ([rng.normal(size=x.shape) for x in arrays] for _ in range(2))
        hw = [numpy(t) for t in pullback(tuple(w) if len(w) > 1 else w[0])]
        _, hv = cr.jvp(g, tuple(arrays), tuple(v))
        hv = [numpy(t) for t in (hv if isinstance(hv, tuple) else (hv,))]
        for k, x in enumerate(arrays):
            once = numpy(cr.vjp(f, *arrays)[1](u)[k])  # by the fused kernel, not by what it is made of
            np.testing.assert_allclose(numpy(value[k]), once, rtol=1e-12, atol=1e-14)

            def moved(x, k=k):
                first = g(*arrays[:k], x, *arrays[k + 1 :])
                return float(sum(np.sum(wi * numpy(gi)) for wi, gi in zip(w, first, strict=True)))

            np.testing.assert_allclose(hw[k], difference(moved, x), rtol=1e-7, atol=2e-8)
        both = [sum(np.sum(a * b) for a, b in zip(*pair, strict=True)) for pair in ((hw, v), (hv, w))]
        size = sum(np.abs(a * b).sum() for a, b in zip(hw, v, strict=True))
        assert abs(both[0] - both[1]) <= 1e-12 * max(size, 1)

    @pytest.mark.parametrize("dtype", FLOATS)
    @each(SMOOTH)
    def test_vjp_and_jvp_agree(self, case, sample, dtype):
        """<u, J v> = <J' u, v>: no step size, and the two modes share no rule that could be wrong in both."""
        if dtype != "float64" and "dtype" in sample.kwargs:
            pytest.skip("the dtype of the result is an attribute")
        rng = np.random.default_rng(4)
        arrays, f = split(case, case.draw(sample, dtype=dtype))
        g = partial(f, kwargs=sample.kwargs)
        v = [rng.normal(size=x.shape).astype(dtype) for x in arrays]
        out, tangent = cr.jvp(g, tuple(arrays), tuple(v))
        value, pullback = cr.vjp(g, *arrays)
        u = rng.normal(size=out.shape).astype(out.dtype)
        same_bits(numpy(value), numpy(out))
        same_bits(numpy(value), numpy(g(*arrays)))
        assert tangent.shape == out.shape
        forward = np.float64(u).ravel() @ np.float64(numpy(tangent)).ravel()
        parts = [
            np.float64(numpy(gx)).ravel() * np.float64(vx).ravel()
            for gx, vx in zip(pullback(u), v, strict=True)
        ]
        backward = sum(p.sum() for p in parts)
        size = sum(np.abs(p).sum() for p in parts) + np.abs(np.float64(u) * np.float64(numpy(tangent))).sum()
        eps = np.finfo(np.float32 if str(out.dtype) == "float32" else dtype).eps
        assert abs(forward - backward) <= 32 * eps * max(size, 1e-30)

    @each([(c, s) for c, s in SMOOTH if len(c.differentiable) > 0])
    def test_float32_gradient_is_float64s(self, case, sample):
        if "dtype" in sample.kwargs:
            pytest.skip("the dtype of the result is an attribute")
        exact, f = split(case, case.draw(sample, dtype="float32"))
        g = partial(f, kwargs=sample.kwargs)
        out, pullback = cr.vjp(g, *exact)
        u = np.random.default_rng(5).normal(size=out.shape).astype(np.float32)
        fixed = [float64(a) for a in case.draw(sample, dtype="float32")]
        exact64, f64 = split(case, fixed)
        _, pullback64 = cr.vjp(partial(f64, kwargs=sample.kwargs), *exact64)
        for a, b in zip(pullback(u), pullback64(u.astype(np.float64)), strict=True):
            assert a.dtype == "float32"
            np.testing.assert_allclose(
                numpy(a), numpy(b), rtol=2e-4, atol=2e-5 * max(1, np.abs(numpy(b)).max(initial=0))
            )

    @each_case([case for case in CASES if case.smooth])
    def test_empty_arrays_have_empty_gradients(self, case):
        for sample in case.samples:
            if all(0 not in s for s in sample.shapes):
                continue
            arrays, f = split(case, case.draw(sample))
            out, pullback = cr.vjp(partial(f, kwargs=sample.kwargs), *arrays)
            for x, g in zip(arrays, pullback(np.ones(out.shape)), strict=True):
                assert g.shape == x.shape
                assert g.dtype == "float64"

    @each_case([case for case in CASES if not case.smooth])
    def test_no_gradient_where_there_is_none(self, case):
        sample = case.samples[0]
        arrays = [cr.tensor(a) for a in case.draw(sample)]
        for a in arrays:
            if a.dtype == "float64":
                a.requires_grad_()
        assert not case(*arrays, **sample.kwargs).requires_grad

    @pytest.mark.parametrize("x", [[2.0, 3, 4], [0, 3, 4], [0, 3, 0], [0, 0, 0], [5]])
    def test_products_with_zeros(self, x):
        """Nothing is divided by: the first and second derivatives are products of the other factors."""
        x = np.array(x, np.float64)
        n = len(x)

        def without(*places):
            return (
                np.prod([x[k] for k in range(n) if k not in places]) if len(set(places)) == len(places) else 0
            )

        first = [without(i) for i in range(n)]
        second = [[without(i, j) for j in range(n)] for i in range(n)]
        for f in (cr.prod, lambda t: cr.cumprod(t)[-1], lambda t: cr.cumprod(t, reverse=True)[0]):
            np.testing.assert_allclose(numpy(cr.grad(f)(x)), first)
            for i in range(n):
                v = np.eye(n)[i]
                np.testing.assert_allclose(float(cr.jvp(f, x, v)[1]), first[i])
                np.testing.assert_allclose(numpy(cr.grad(lambda t, i=i, f=f: cr.grad(f)(t)[i])(x)), second[i])
                np.testing.assert_allclose(numpy(cr.jvp(cr.grad(f), x, v)[1]), second[i])

    def test_kinks(self):
        """At its kinks an op gives the derivative its documentation names, not NaN."""

        def slope(f, x):
            return float(cr.grad(f)(np.float64(x)))

        assert slope(cr.relu, 0.0) == slope(cr.abs, 0.0) == slope(cr.sign, 3.0) == 0
        assert slope(lambda x: cr.leaky_relu(x, 0.25), 0.0) == 0.25
        assert slope(cr.elu, 0.0) == 1
        assert slope(lambda x: cr.clip(x, -1, 2), -1.0) == slope(lambda x: cr.clip(x, -1, 2), 2.0) == 1
        assert slope(cr.sqrt, 0.0) == np.inf
        assert slope(lambda x: cr.power(x, 2.0), 0.0) == slope(lambda x: cr.power(x, 0.0), 0.0) == 0
        for shared in (cr.maximum, cr.minimum):
            assert [float(g) for g in cr.grad(shared, argnums=(0, 1))(np.float64(1), np.float64(1))] == [
                0.5,
                0.5,
            ]
        for reduction in (cr.max, cr.min):
            np.testing.assert_array_equal(numpy(cr.grad(reduction)(np.full(4, 3.0))), 0.25)

    @pytest.mark.parametrize("x", [1e4, -1e4, np.inf, -np.inf])
    @pytest.mark.parametrize(
        "name", ["sigmoid", "tanh", "softplus", "gelu", "gelu_tanh", "silu", "erf", "elu", "relu"]
    )
    def test_derivatives_far_out_are_limits(self, name, x):
        g = float(cr.grad(getattr(cr, name))(np.float64(x)))
        flat = name in ("sigmoid", "tanh", "erf") or x < 0
        assert g == (0 if flat else 1)


def test_lattice_keeps_values_apart():
    """The table's own promise: no two values of max or maximum are within a difference step of each other."""
    rng = np.random.default_rng(0)
    together = np.concatenate([Arg(lattice=k).draw(rng, (40,)) for k in (0, 1)])
    assert np.diff(np.sort(together)).min() > 0.04
