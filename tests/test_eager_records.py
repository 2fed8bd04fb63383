"""What is recorded and what is not: no_grad, stop_gradient in every mode, chains of any depth, memory.

How backward() is asked for, and what it refuses, is in test_eager.py.
"""

from __future__ import annotations

import gc
import threading

import chainrule as cr
import numpy as np
import pytest
from chainrule import nn, optim


def leaf(values, dtype="float64"):
    return cr.tensor(values, dtype=dtype, requires_grad=True)


def wave(*shape):
    return np.sin(1.3 * np.arange(np.prod(shape)) + 0.2).reshape(shape)


class TestRecording:
    def test_no_grad_as_decorator(self):
        x = leaf([1.0])

        @cr.no_grad()
        def evaluate(t, factor=2):
            """Documented."""
            assert not cr.grad_enabled()
            return t * factor

        @cr.no_grad
        def bare(t):
            return t * 3

        class Model:
            @cr.no_grad()
            def run(self, t):
                return t * 4

        assert evaluate.__name__ == "evaluate"
        assert evaluate.__doc__ == "Documented."
        assert not evaluate(x, factor=5).requires_grad
        assert not bare(x).requires_grad
        assert not Model().run(x).requires_grad
        assert cr.grad_enabled()
        assert (x * 2).requires_grad

    def test_decorated_functions_on_threads(self):
        """Each thread records or does not, also while another runs a decorated function."""
        entered, leave = threading.Event(), threading.Event()

        @cr.no_grad()
        def wait():
            entered.set()
            leave.wait(10)

        thread = threading.Thread(target=wait)
        thread.start()
        entered.wait(10)
        assert cr.grad_enabled()
        leave.set()
        thread.join()
        assert cr.grad_enabled()

    def test_enable_grad_and_set_grad_enabled(self):
        x = leaf([1.0])
        with cr.no_grad():
            with cr.enable_grad():
                assert (x * 2).requires_grad
            with cr.set_grad_enabled(True):
                assert (x * 2).requires_grad
            assert not (x * 2).requires_grad
        cr.set_grad_enabled(False)
        try:
            assert not (x * 2).requires_grad
        finally:
            cr.set_grad_enabled(True)
        assert (x * 2).requires_grad

        @cr.set_grad_enabled(False)
        def f():
            return x * 2

        assert cr.grad_enabled()
        assert not f().requires_grad
        assert cr.grad_enabled()

    def test_requires_grad_off(self):
        x = leaf([1.0])
        assert x.requires_grad_(False) is x
        assert not (x * 2).requires_grad
        y = leaf([1.0]) * 2
        with pytest.raises(cr.StateError, match=r"^requires_grad_: .*use detach\(\)"):
            y.requires_grad_(False)

    def test_frozen_layers(self):
        model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1), seed=0)
        for p in model[0].parameters():
            p.requires_grad_(False)
        model(wave(5, 3).astype(np.float32)).sum().backward()
        assert model[0].weight.grad is None
        assert model[2].weight.grad is not None

    def test_detach_shares_values(self):
        x = leaf([1.0, 2.0])
        y = (x * x).detach()
        assert not y.requires_grad
        assert y.tolist() == [1, 4]


def stopped(x):
    return (x * cr.stop_gradient(x * x)).sum()


def detached(x):
    return (x * (x * x).detach()).sum()


def under_no_grad(x):
    with cr.no_grad():
        y = x * x
    return (x * y).sum()


@pytest.mark.parametrize("f", [stopped, detached, under_no_grad])
class TestStoppedGradients:
    """x sg(x^2): the derivative is x^2, in every way of asking for it."""

    x = np.array([1.0, 2.0, 3.0])

    def test_eager(self, f):
        x = leaf(self.x)
        f(x).backward()
        assert x.grad.tolist() == [1, 4, 9]

    def test_transforms(self, f):
        assert cr.grad(f)(self.x).tolist() == [1, 4, 9]
        assert float(cr.jvp(f, self.x, np.ones(3))[1]) == 14
        assert cr.grad(lambda x: (cr.grad(f)(x) * x).sum())(self.x).tolist() == [1, 4, 9]

    def test_compiled(self, f):
        assert float(cr.compile(f)(self.x)) == 36
        assert cr.compile(cr.grad(f))(self.x).tolist() == [1, 4, 9]
        assert float(cr.compile(lambda x: cr.jvp(f, x, cr.ones(3, dtype="float64"))[1])(self.x)) == 14

    def test_compiled_inside_no_grad(self, f):
        with cr.no_grad():
            assert cr.compile(cr.grad(f))(self.x).tolist() == [1, 4, 9]
            assert cr.grad(f)(self.x).tolist() == [1, 4, 9]
            assert cr.jacobian(lambda x: x * x)(self.x).tolist() == np.diag(2 * self.x).tolist()

    def test_training(self, f):
        """The Trainer's step and backward() move a weight by the same amount."""

        class Cubed(nn.Module):
            def __init__(self):
                self.w = nn.Parameter(np.array([[2.0]], np.float32))

            def forward(self, x):
                return x * f(self.w)

        x, y = np.ones((1, 1), np.float32), np.zeros((1, 1), np.float32)
        model, moved = Cubed(), Cubed()
        trainer = cr.Trainer(model, loss=nn.MSELoss(), optimizer=optim.SGD(lr=1e-3))
        trainer.step(x, y)
        opt = optim.SGD(moved.parameters(), lr=1e-3)
        nn.MSELoss()(moved(x), y).backward()
        opt.step()
        assert moved.w.grad.tolist() == [[2 * 8 * 4]]
        np.testing.assert_array_equal(model.w.numpy(), moved.w.numpy())


def chain(x, depth):
    y = x
    for _ in range(depth):
        y = y * 1.0
    return y


class TestDepth:
    @pytest.mark.parametrize("depth", [100_000, pytest.param(1_000_000, marks=pytest.mark.slow)])
    def test_neither_overflows_the_stack_nor_leaks(self, depth):
        gc.collect()
        before = cr.memory_use()["live"]
        x = leaf(1.0)
        chain(x, depth).backward()
        assert float(x.grad) == 1
        chain(x, depth).backward(retain_graph=True)
        assert float(x.grad) == 2
        chain(x, depth)  # dropped without a backward
        cr.jvp(lambda t: chain(t, depth // 10), np.float64(1), np.float64(1))
        del x
        assert cr.memory_use()["live"] == before

    def test_dropped_halfway(self):
        gc.collect()
        before = cr.memory_use()["live"]
        x = leaf(1.0)
        half = chain(x, 50_000)
        end = chain(half, 50_000)
        del half
        end.backward()
        half = chain(x, 50_000)
        other = chain(half, 50_000)
        del other
        half.backward()
        assert float(x.grad) == 2
        del x, half, end
        assert cr.memory_use()["live"] == before

    def test_an_error_on_the_way_changes_no_gradient_and_leaks_nothing(self):
        gc.collect()
        before = cr.memory_use()["live"]
        x, c, last = leaf(1.0), cr.tensor(2.0, dtype="float64"), leaf(1.0)
        y = chain(chain(x, 1000) * c, 1000) * last
        c.copy_(3.0)
        with pytest.raises(cr.StateError, match=r"^multiply: an operand"):
            y.backward()
        assert x.grad is None
        assert last.grad is None
        del x, y, c, last
        assert cr.memory_use()["live"] == before

    def test_wide_and_shared(self):
        """A lattice: every op is used twice, so the number of paths is 2^200."""
        x = leaf(1.0)
        y = x
        for _ in range(200):
            y = 0.5 * y + 0.5 * y
        leaves = [leaf(1.0) for _ in range(2000)]
        cr.backward([y, cr.concat([t.reshape(1) for t in leaves[:100]]).sum(), *[2 * t for t in leaves]])
        assert float(x.grad) == 1
        assert [float(t.grad) for t in leaves] == [3] * 100 + [2] * 1900


def live_during(f):
    """Bytes of tensors that f adds at most, and those that are left while its result is alive."""
    gc.collect()
    before = cr.memory_use()["live"]
    cr.reset_peak_memory()
    result = f()
    use = cr.memory_use()
    return use["peak"] - before, use["live"] - before, result


class TestMemory:
    def test_counts(self):
        gc.collect()
        before = cr.memory_use()["live"]
        t = cr.zeros((100, 10), dtype="float64")
        assert cr.memory_use()["live"] == before + 8000
        view = t.reshape(1000)
        shared = cr.from_numpy(np.zeros(1000))
        assert cr.memory_use()["live"] == before + 8000
        del t
        assert cr.memory_use()["live"] == before + 8000
        del view, shared
        assert cr.memory_use() == {"live": before, "peak": cr.memory_use()["peak"]}
        assert cr.memory_use()["peak"] >= before + 8000
        cr.reset_peak_memory()
        assert cr.memory_use()["peak"] == before

    @pytest.mark.parametrize(
        ("f", "kept"),
        [
            (lambda w, x: x @ w, "x"),
            (lambda w, x: x * w, "x"),
            (lambda w, x: x / w, "xw"),
            (lambda w, x: w / x, "x"),
            (lambda w, x: w + x, ""),
            (lambda w, x: cr.where(x > 0, w, x), "mask"),
            (lambda w, x: cr.fma(w, x, x), "x"),
            (lambda w, x: (w - x).relu(), "out"),
            (lambda w, x: (w - x).tanh(), "out"),
            (lambda w, x: (w - x).sum(), "out"),
            (lambda w, x: cr.concat([w, x]), "out"),
        ],
        ids=[
            "matmul",
            "multiply",
            "divided",
            "dividend",
            "add",
            "where",
            "fma",
            "relu",
            "tanh",
            "sum",
            "concat",
        ],
    )
    def test_an_op_keeps_what_its_rule_reads(self, f, kept):
        """Only w wants a gradient. The operands are dropped: what is left is the record's."""
        n = 64
        w = leaf(wave(n, n) + 2)
        holder = [cr.tensor(wave(n, n) + 2)]
        size = 8 * n * n

        def call():
            return f(w, holder.pop())

        gc.collect()
        before = cr.memory_use()["live"] - size
        y = call()
        left = cr.memory_use()["live"] - before
        result = 8 * y.size
        expected = {"x": size, "xw": size, "": 0, "mask": n * n, "out": 0}[kept]
        assert left == result + expected
        cr.backward(y, [np.ones(y.shape)])
        del y
        assert cr.memory_use()["live"] == before + size  # the gradient

    def test_peak_of_a_chain(self):
        """h = tanh(h W + b), 100 times: backward needs every saved h, two buffers and the gradients."""
        layers, batch, width = 100, 256, 16
        rng = np.random.default_rng(0)
        weights = [leaf(rng.normal(size=(width, width)) / 4) for _ in range(layers)]
        biases = [leaf(np.zeros(width)) for _ in range(layers)]
        x = cr.tensor(rng.normal(size=(batch, width)))

        def forward():
            h = x
            for w, b in zip(weights, biases, strict=True):
                h = cr.tanh(h @ w + b)
            return h.sum()

        buffer = 8 * batch * width
        saved = layers * buffer
        peak, live, y = live_during(forward)
        assert live <= saved + 8
        assert peak <= saved + 2 * buffer + 8
        gradients = 8 * layers * (width * width + width)
        peak, live, _ = live_during(y.backward)
        # The saved values go as the gradients come, so the peak is at the start.
        assert saved + peak <= 1.1 * (saved + 2 * buffer)
        assert live == gradients - saved
