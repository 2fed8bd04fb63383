"""How far elementwise functions and sums are from exact."""

from __future__ import annotations

import math

import chainrule as cr
import numpy as np
import pytest
from checks import CASES, each_case, same_bits


def every_float32(step):
    """Bit patterns over the whole range, both signs, with the borders of every binade; no NaN."""
    bits = np.arange(0, 0x7F800000, step, dtype=np.uint32)
    edges = np.arange(1, 255, dtype=np.uint32) << 23
    positive = np.concatenate([bits, edges, edges - 1, edges + 1, [0x7F7FFFFF, 0x3F800000]]).astype(np.uint32)
    values = positive.view(np.float32)
    values = values[(values == 0) | (values >= np.finfo(np.float32).tiny)]  # subnormal inputs count as 0
    return np.concatenate([values, -values])


def every_float64(count, rng):
    bits = rng.integers(0x0010000000000000, 0x7FF0000000000000, count, dtype=np.uint64)
    usual = np.concatenate(
        [rng.uniform(-750, 750, count), rng.normal(size=count), 1 + rng.normal(size=count) * 1e-3]
    )
    return np.concatenate([bits.view(np.float64), -bits.view(np.float64), usual])


EVERYWHERE = [case for case in CASES if case.everywhere]


def ulps(actual, exact, dtype):
    """How many units in the last place `actual` is off. A subnormal result may be 0."""
    with np.errstate(all="ignore"):
        rounded = exact.astype(dtype)
        finite = np.isfinite(rounded)
        np.testing.assert_array_equal(actual[~finite], rounded[~finite])
        actual, exact = actual[finite], exact[finite]
        unit = np.maximum(np.spacing(np.abs(rounded[finite])), np.spacing(np.finfo(dtype).tiny))
        off = np.abs(actual.astype(exact.dtype) - exact) / unit
        off[(np.abs(exact) < np.finfo(dtype).tiny) & (actual == 0)] = 0
    return off.max()


class TestAccuracy:
    @each_case(EVERYWHERE)
    def test_float32(self, case):
        x = every_float32(4001 if case.name != "erf" else 20011)
        with np.errstate(all="ignore"):
            exact = case.reference(x.astype(np.float64))
        worst = ulps(case(x).numpy(), exact, np.float32)
        print(f"{case.name}: {worst:.2f} ULP")
        assert worst <= case.ulp

    @each_case([case for case in EVERYWHERE if case.name != "erf"])
    @pytest.mark.skipif(np.finfo(np.longdouble).eps > 2e-19, reason="long double is not wider than double")
    def test_float64(self, case, rng):
        x = every_float64(100_000, rng)
        with np.errstate(all="ignore"):
            exact = case.reference(x.astype(np.longdouble))
        worst = ulps(case(x).numpy(), exact, np.float64)
        print(f"{case.name}: {worst:.2f} ULP")
        assert worst <= case.ulp

    def test_float64_erf(self, rng):
        x = np.concatenate(
            [rng.uniform(-6.5, 6.5, 50_000), rng.normal(size=20_000) * 10.0 ** rng.integers(-300, 0, 20_000)]
        )
        exact = np.vectorize(math.erf, otypes=[float])(x)  # itself off by up to 1
        assert ulps(cr.erf(x).numpy(), exact, np.float64) <= 4 + 1

    @pytest.mark.skipif(np.finfo(np.longdouble).eps > 2e-19, reason="long double is not wider than double")
    @pytest.mark.parametrize("name", ["sin", "cos", "tan"])
    def test_next_to_multiples_of_a_right_angle(self, name):
        """Where the sine or cosine is nearly 0, all digits come from the reduction by pi/2."""
        worst_known = np.ldexp(6381956970095103.0, 797)  # of all doubles the nearest to such a multiple
        x = np.concatenate(
            [np.arange(1, 100_000) * np.pi / 2 * s for s in (1, 1e5, 1e15, 1e300)] + [[worst_known]]
        )
        exact = getattr(np, name)(x.astype(np.longdouble))
        assert ulps(getattr(cr, name)(x).numpy(), exact, np.float64) <= 4
        assert np.isnan(getattr(cr, name)(np.array([np.inf, -np.inf])).numpy()).all()

    @pytest.mark.parametrize("dtype", ["float32", "float64"])
    def test_remainders_are_exact(self, dtype, rng):
        """Also next to multiples, and with quotients so large that only fmod can tell."""
        a = rng.normal(size=60_000) * 2.0 ** rng.integers(-20, 20, 60_000)
        b = rng.normal(size=60_000) * 2.0 ** rng.integers(-20, 20, 60_000)
        a[::3] = np.round(a[::3]) * b[::3]
        a[1::9] = np.nextafter(np.round(a[1::9]) * b[1::9], np.inf)
        a[2::100] *= 1e9
        a[np.abs(a) < 1e-30] = 0  # subnormals count as 0
        a, b = a.astype(dtype), b.astype(dtype)
        same_bits(cr.mod(a, b).numpy(), np.mod(a, b))

    def test_sums_do_not_lose_small_terms(self):
        """A million equal terms: lanes and blocks keep the error far below that of one chain."""
        for dtype, eps in (("float32", 2**-24), ("float64", 2**-53)):
            x = np.full(1_000_000, 0.1, dtype)
            exact = float(x[0]) * 1_000_000
            assert abs(float(cr.sum(x)) / exact - 1) < 64 * eps
            assert abs(float(cr.mean(x)) / float(x[0]) - 1) < 64 * eps
