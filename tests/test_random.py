"""chainrule.random: distributions, seeds, and draws in compiled and differentiated functions."""

from __future__ import annotations

import chainrule as cr
import numpy as np
import pytest
from checks import numpy, same_bits

DRAWS = [cr.random.normal, cr.random.uniform]


@pytest.fixture(autouse=True)
def same_start():
    cr.manual_seed(0)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
class TestDistribution:
    def test_normal(self, dtype):
        x = numpy(cr.random.normal((400, 500), mean=2.0, std=0.5, dtype=dtype))
        assert x.dtype == dtype
        assert x.shape == (400, 500)
        z = (x.astype(np.float64) - 2.0) / 0.5
        n = z.size
        assert abs(z.mean()) < 4 / np.sqrt(n)
        assert abs((z**2).mean() - 1) < 4 * np.sqrt(2 / n)
        assert abs((z**4).mean() - 3) < 4 * np.sqrt(96 / n)
        assert abs((z[:, 1:] * z[:, :-1]).mean()) < 4 / np.sqrt(n)

    def test_uniform(self, dtype):
        x = numpy(cr.random.uniform((400, 500), low=-1.0, high=3.0, dtype=dtype)).astype(np.float64)
        assert x.min() >= -1
        assert x.max() < 3
        counts = np.histogram(x, 40, (-1, 3))[0]
        assert ((counts - x.size / 40) ** 2 / (x.size / 40)).sum() < 39 + 4 * np.sqrt(2 * 39)


@pytest.mark.parametrize("draw", DRAWS, ids=["normal", "uniform"])
class TestStreams:
    def test_the_seed_decides(self, draw):
        first, second = numpy(draw(20)), numpy(draw(20))
        assert (first != second).any()
        cr.manual_seed(0)
        same_bits(numpy(draw(20)), first)
        same_bits(numpy(draw((4, 5))).ravel(), second)
        cr.manual_seed(1)
        assert (numpy(draw(20)) != first).all()

    def test_compiled_draws_anew_in_each_run(self, draw):
        fast = cr.compile(lambda x: (x + draw(x.shape), draw(x.shape)))
        x = np.zeros(20, np.float32)
        runs = [[numpy(t) for t in fast(x)] for _ in range(2)]
        flat = [*runs[0], *runs[1]]
        for i in range(4):
            for j in range(i):
                assert (flat[i] != flat[j]).all()

    def test_threads(self, draw):
        results = []
        for threads in (1, 2, 3):
            cr.set_num_threads(threads)
            cr.manual_seed(5)
            results.append(numpy(draw((300, 301))))
        same_bits(results[0], results[1])
        same_bits(results[0], results[2])

    def test_a_constant_to_derivatives(self, draw):
        def total(mean, std):  # the reparametrization of Kingma and Welling, 2014
            return (mean + std * draw(5, dtype="float64")).sum()

        at = cr.tensor(1.0, "float64"), cr.tensor(2.0, "float64")
        value, (by_mean, by_std) = cr.value_and_grad(total, argnums=(0, 1))(*at)
        assert float(by_mean) == 5
        np.testing.assert_allclose(float(by_std), (float(value) - 5) / 2, rtol=1e-12)
        assert not draw(5).requires_grad

    def test_in_a_trained_module(self, draw):
        class Noise(cr.nn.Module):
            def forward(self, x):
                return x + draw(x.shape)

        noise, x = Noise(), np.zeros((3, 4), np.float32)
        first, second = numpy(noise(x)), numpy(noise(x))
        assert (first != second).all()

    def test_shapes(self, draw):
        assert draw(()).shape == ()
        assert draw((0, 3)).shape == (0, 3)
        assert draw([2, 3]).shape == (2, 3)


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: cr.random.normal(3, std=-1.0), cr.ValueError,
         "random.normal: mean and std must be finite, std 0 or more: mean is 0.000000, std is -1.000000"),
        (lambda: cr.random.uniform(3, 2.0, 1.0), cr.ValueError,
         "random.uniform: low and high must be finite, low at most high: low is 2.000000, high is 1.000000"),
        (lambda: cr.random.uniform(3, high=np.inf), cr.ValueError,
         "random.uniform: low and high must be finite, low at most high: low is 0.000000, high is inf"),
        (lambda: cr.random.normal((2, -1)), cr.ShapeError,
         "random.normal: a size is negative: shape is (2, -1); sizes must be 0 or more"),
        (lambda: cr.random.normal(2.5), cr.DTypeError,
         "random.normal: shape must be an integer or a tuple of integers, got float"),
        (lambda: cr.random.normal(2, dtype="int64"), cr.DTypeError,
         "random.normal: draws are float32 or float64: int64; cast afterwards"),
    ],
    ids=lambda v: v[:40] if isinstance(v, str) else "",
)  # fmt: skip
def test_refused(call, error, text):
    with pytest.raises(error) as caught:
        call()
    assert str(caught.value) == text
