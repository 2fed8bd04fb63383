"""How far elementwise functions and sums are from exact."""

from __future__ import annotations

import math
import os
from concurrent.futures import ThreadPoolExecutor

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


def float32_patterns(first, count):
    """The numbers whose bit patterns are first, first + 1, ..., with NaN and infinities."""
    return (np.arange(count, dtype=np.uint32) + np.uint32(first)).view(np.float32)


EVERYWHERE = [case for case in CASES if case.everywhere]


def ulps(actual, exact):
    """How many units in the last place each number is off; inf or NaN where only one of the two is. A
    subnormal result may be 0."""
    dtype, info = actual.dtype, np.finfo(actual.dtype)
    with np.errstate(all="ignore"):
        rounded = exact.astype(dtype)
        exponent = np.array(np.inf, dtype).view(f"u{dtype.itemsize}")
        binade = (rounded.view(exponent.dtype) & exponent).view(dtype)
        off = np.abs(actual - exact) / (np.maximum(binade, info.tiny).astype(exact.dtype) * info.eps)
        off[(actual == 0) & (np.abs(exact) < info.tiny)] = 0
        outside = ~np.isfinite(rounded)
        same = (actual == rounded) | (np.isnan(actual) & np.isnan(rounded))
        off[outside] = np.where(same[outside], 0, np.inf)
    return off


class TestAccuracy:
    @each_case(EVERYWHERE)
    def test_float32(self, case):
        x = every_float32(4099)
        with np.errstate(all="ignore"):
            exact = case.reference(x.astype(np.float64))
        worst = ulps(case(x).numpy(), exact).max()
        print(f"{case.name}: {worst:.2f} ULP")
        assert worst <= case.ulp

    @each_case([case for case in EVERYWHERE if case.name not in ("erf", "gelu")])  # math has no longer ones
    @pytest.mark.skipif(np.finfo(np.longdouble).eps > 2e-19, reason="long double is not wider than double")
    def test_float64(self, case, rng):
        x = every_float64(100_000, rng)
        with np.errstate(all="ignore"):
            exact = case.reference(x.astype(np.longdouble))
        worst = ulps(case(x).numpy(), exact).max()
        print(f"{case.name}: {worst:.2f} ULP")
        assert worst <= case.ulp

    def test_float64_erf(self, rng):
        x = np.concatenate(
            [rng.uniform(-6.5, 6.5, 50_000), rng.normal(size=20_000) * 10.0 ** rng.integers(-300, 0, 20_000)]
        )
        exact = np.vectorize(math.erf, otypes=[float])(x)  # itself off by up to 1
        assert ulps(cr.erf(x).numpy(), exact).max() <= 4 + 1

    @pytest.mark.skipif(np.finfo(np.longdouble).eps > 2e-19, reason="long double is not wider than double")
    @pytest.mark.parametrize("name", ["sin", "cos", "tan"])
    def test_next_to_multiples_of_a_right_angle(self, name):
        """Where the sine or cosine is nearly 0, all digits come from the reduction by pi/2."""
        worst_known = np.ldexp(6381956970095103.0, 797)  # of all doubles the nearest to such a multiple
        x = np.concatenate(
            [np.arange(1, 100_000) * np.pi / 2 * s for s in (1, 1e5, 1e15, 1e300)] + [[worst_known]]
        )
        exact = getattr(np, name)(x.astype(np.longdouble))
        assert ulps(getattr(cr, name)(x).numpy(), exact).max() <= 4
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


class TestLogSums:
    """What numerics.md says of logarithms of sums of exponentials, in units of float32 at max(1, ...)."""

    @staticmethod
    def units(actual, exact, *sizes):
        unit = np.finfo(np.float32).eps * np.maximum.reduce([np.ones_like(exact), *map(np.abs, sizes)])
        return float((np.abs(np.asarray(actual) - exact) / unit).max())

    @pytest.fixture(params=[(0.1, 2), (1, 10), (5, 1000), (20, 10), (100, 2), (1e4, 10)])
    def logits(self, request, rng):
        scale, classes = request.param
        x = (rng.normal(size=(1000, classes)) * scale).astype(np.float32)
        labels = rng.integers(0, classes, 1000)
        labels[::2] = x[::2].argmax(axis=1)  # losses near 0
        return x, labels

    def test_logsumexp_and_cross_entropy(self, logits):
        x, labels = logits
        others = x.astype(np.float64) - x[np.arange(len(x)), labels][:, None].astype(np.float64)
        exact = np.logaddexp.reduce(others, axis=1)
        loss = cr.nn.CrossEntropyLoss(reduction="none")(x, labels)
        assert self.units(loss, exact, exact) <= 4
        exact = np.logaddexp.reduce(x.astype(np.float64), axis=1)
        assert self.units(cr.logsumexp(x, axis=1), exact, exact, x.max(axis=1)) <= 4

    def test_softmax(self, logits):
        """The difference to the largest logit is rounded, and the exponential makes that a relative error."""
        x = logits[0].astype(np.float64)
        exact = np.exp(x - np.logaddexp.reduce(x, axis=1)[:, None])
        normal = exact >= np.finfo(np.float32).tiny
        rounding = 0.5 * (x.max(axis=1)[:, None] - x)
        off = np.abs(np.asarray(cr.softmax(logits[0])) - exact) / (
            np.finfo(np.float32).eps * np.maximum(exact, 1e-300)
        )
        assert (off[normal] <= (4 + rounding)[normal]).all()

    def test_binary_cross_entropy_with_logits(self, rng):
        x = every_float32(4099)
        y = rng.integers(0, 2, len(x)).astype(np.float32)
        exact = np.logaddexp(0, np.where(y == 1, -1, 1) * x.astype(np.float64))
        assert ulps(np.asarray(cr.nn.BCEWithLogitsLoss(reduction="none")(x, y)), exact).max() <= 4


@pytest.mark.exhaustive
class TestEveryFloat32:
    """All 2^32 bit patterns. What it prints (-rP) is the table in docs/numerics.md."""

    COUNT = 1 << 15

    @each_case(EVERYWHERE)
    def test_float32(self, case):
        def worst_of(first):
            x = float32_patterns(first, self.COUNT)
            with np.errstate(all="ignore"):
                counted = np.where(
                    np.abs(x) < np.finfo(np.float32).tiny, 0 * x, x
                )  # subnormal inputs count as 0
                off = ulps(case(x).numpy(), case.reference(counted.astype(np.float64)))
            at = np.argmax(off)  # the first NaN, if there is one
            return off[at], x[at]

        cr.set_num_threads(1)
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            found = list(pool.map(worst_of, range(0, 1 << 32, self.COUNT)))
        worst, x = found[int(np.argmax([off for off, _ in found]))]
        print(f"{case.name}: {worst:.2f} ULP at {x!r}")
        assert worst <= case.ulp
