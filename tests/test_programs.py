"""The programs of the README and of the documentation, and what importing the package brings."""

import subprocess
import sys

import chainrule as cr
import numpy as np
import pytest
from chainrule import nn, optim
from small import Block, equal_states, focal, small_data


@pytest.fixture(scope="module")
def digits():
    return (*cr.datasets.load_digits(split="train"), *cr.datasets.load_digits(split="test"))


class TestPrograms:
    def test_by_hand(self, digits):
        X, y, *_ = digits
        model = nn.Sequential(nn.Linear(64, 16), nn.ReLU(), nn.Linear(16, 10), seed=0)
        twin = model.clone()
        opt = optim.Adam(model.parameters(), lr=1e-3)
        for xb, yb in cr.data.batches(X, y, batch_size=32, shuffle=True, seed=0):
            opt.zero_grad()
            loss = nn.CrossEntropyLoss()(model(xb), yb)
            loss.backward()
            opt.step()
        cr.Trainer(twin, nn.CrossEntropyLoss(), optim.Adam(lr=1e-3), seed=0).fit(
            X, y, epochs=1, batch_size=32
        )
        assert equal_states(model, twin)

    def test_python_block_and_loss(self):
        X, y = small_data()
        model = nn.Sequential(nn.Linear(4, 8), Block(8), nn.Linear(8, 3), seed=0)
        history = cr.Trainer(model, focal, optim.Adam(lr=2e-2)).fit(X, y, epochs=60)
        assert history["loss"][-1] < 0.7 * history["loss"][0]

    def test_differentiate(self):
        A = np.random.default_rng(0).normal(size=(3, 4))
        w = np.random.default_rng(1).normal(size=(4, 2))

        def f(w):
            return (cr.tanh(A @ w) ** 2).sum()

        t = np.tanh(A @ w)
        want = A.T @ (2 * t * (1 - t**2))
        np.testing.assert_allclose(cr.grad(f)(w).numpy(), want, rtol=1e-12)
        value, gradient = cr.value_and_grad(f)(w)
        np.testing.assert_allclose(float(value), (t**2).sum(), rtol=1e-12)
        np.testing.assert_allclose(gradient.numpy(), want, rtol=1e-12)

    def test_any_order(self):
        g = cr.exp
        third = cr.grad(cr.grad(cr.grad(lambda t: g(t) * t)))
        np.testing.assert_allclose(float(third(np.array(0.5))), np.exp(0.5) * 3.5, rtol=1e-12)

    def test_vjp_and_jvp(self):
        w, gy, v = np.array([0.1, 0.2]), np.array([1.0, 10.0]), np.array([3.0, -1.0])
        out, pullback = cr.vjp(cr.exp, w)
        np.testing.assert_allclose(out.numpy(), np.exp(w))
        (gw,) = pullback(gy)
        np.testing.assert_allclose(gw.numpy(), gy * np.exp(w))
        for arguments in ((w, v), ((w,), (v,))):
            out, tangent = cr.jvp(cr.exp, *arguments)
            np.testing.assert_allclose(tangent.numpy(), v * np.exp(w))
        out, pullback = cr.vjp(lambda a, b: (a * b, a + b), w, v)
        ga, gb = pullback((gy, gy))
        np.testing.assert_allclose(ga.numpy(), gy * v + gy)
        np.testing.assert_allclose(gb.numpy(), gy * w + gy)
        with pytest.raises(cr.ValueError, match="cotangents"):
            pullback(gy)

    def test_compile_and_trace(self):
        calls = []

        def f(x):
            calls.append(1)
            return cr.tanh(x) * 2

        fast = cr.compile(f)
        x = np.linspace(-1, 1, 5)
        np.testing.assert_array_equal(fast(x).numpy(), f(x).numpy())
        calls.clear()
        fast(x)
        assert not calls
        assert "tanh" in str(cr.trace(f, x))


class TestPackage:
    def test_names_are_listed(self):
        assert all(hasattr(cr, name) for name in cr.__all__)
        assert all(hasattr(nn, name) for name in nn.__all__)
        modules = (cr, nn, nn.init, optim, cr.data, cr.callbacks, cr.metrics, cr.distributions)
        listed = {name for module in modules for name in module.__all__} | {"BuiltinCallback"}
        listed |= {f"random_{name}" for name in cr.random.__all__}
        listed |= {f"{name}Schedule" for name in cr.schedules.__all__} | {"Schedule"}
        assert {name for name in dir(cr._core) if not name.startswith("_")} <= listed

    def test_import_is_light(self):
        loaded = "print(*[m for m in ('tqdm', 'argparse', 'matplotlib', 'json') if m in sys.modules])"
        code = "import sys, chainrule; " + loaded
        light = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        ).stdout.split()
        base = "import sys, numpy; " + loaded
        assert set(light) <= set(
            subprocess.run(
                [sys.executable, "-c", base], capture_output=True, text=True, check=True
            ).stdout.split()
        )

    def test_digits(self):
        X, y = cr.datasets.load_digits()
        assert (X.shape, X.dtype, y.shape, y.dtype) == ((1797, 64), np.float32, (1797,), np.int64)
        assert (X.min(), X.max()) == (0, 1)
        Xa, ya = cr.datasets.load_digits(split="train")
        Xt, yt = cr.datasets.load_digits(split="test")
        assert (len(Xa), len(Xt)) == (1437, 360)
        np.testing.assert_array_equal(np.bincount(ya) + np.bincount(yt), np.bincount(y))
        assert abs(np.bincount(yt) - np.bincount(y) * 360 / 1797).max() < 1
        with pytest.raises(ValueError, match="split"):
            cr.datasets.load_digits(split="all")
