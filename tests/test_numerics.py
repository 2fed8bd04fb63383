"""The numerics contract: what the bits of a result depend on, how far functions may be off, and that the
host's floating-point mode is left alone. What holds for single ops is in test_ops.py."""

from __future__ import annotations

import ctypes
import ctypes.util
import platform
import threading
from contextlib import contextmanager

import chainrule as cr
import numpy as np
import pytest
from chainrule import nn, optim
from checks import same_bits

X86 = platform.machine() in ("x86_64", "AMD64") and platform.system() == "Linux"


FLAGS, FLUSH, ROUNDING = (
    0x3F,
    0x8040,
    0x6000,
)  # of MXCSR: sticky exceptions; flush-to-zero and denormals-are-zero; mode


class Mode:
    """MXCSR through the C library's fegetenv and fesetenv, which keep it in the last four bytes of fenv_t."""

    libm = ctypes.CDLL(ctypes.util.find_library("m") or "libm.so.6")

    @classmethod
    def get(cls):
        state = (ctypes.c_uint32 * 8)()
        assert cls.libm.fegetenv(state) == 0
        return state[7] & ~FLAGS

    @classmethod
    @contextmanager
    def set(cls, bits, mask):
        state, before = (ctypes.c_uint32 * 8)(), (ctypes.c_uint32 * 8)()
        cls.libm.fegetenv(before)
        cls.libm.fegetenv(state)
        state[7] = (state[7] & ~mask) | bits
        cls.libm.fesetenv(state)
        try:
            yield
        finally:
            cls.libm.fesetenv(before)


def network(dtype="float32", hidden=33):
    return nn.Sequential(
        nn.Linear(20, hidden, dtype=dtype),
        nn.BatchNorm1d(hidden, dtype=dtype),
        nn.GELU(),
        nn.Dropout(0.3),
        nn.Linear(hidden, 17, dtype=dtype),
        nn.LayerNorm(17, dtype=dtype),
        nn.SiLU(),
        nn.Linear(17, 5, dtype=dtype),
        seed=0,
    )


def used(rng):
    """Runs a bit of everything: ops of one and several threads, gradients, compiled functions, training."""
    x = rng.normal(size=(700, 20)).astype(np.float32)
    y = rng.integers(0, 5, 700)
    big = np.ones((600, 600), np.float32)
    (cr.exp(big) @ big).sum()
    cr.grad(lambda w: (cr.tanh(x @ w)).sum())(np.ones((20, 30), np.float32))
    cr.compile(lambda a: cr.softmax(a * 2))(x)
    model = network()
    cr.Trainer(model, nn.CrossEntropyLoss(), optim.Adam()).fit(x, y, epochs=1)
    model.predict(x)


@pytest.mark.skipif(not X86, reason="reads the x86-64 control register")
class TestFloatingPointMode:
    def test_subnormals_are_zero_inside(self):
        for dtype, tiny in (("float32", 1e-40), ("float64", 1e-310)):
            x = np.full(200_001, tiny, dtype)
            assert x[0] > 0
            for f in (
                lambda x: cr.multiply(x, 1.0),
                lambda x: cr.add(x, x),
                cr.square,
                cr.tanh,
                cr.sqrt,
                cr.sum,
                lambda x: cr.matmul(np.ones((1, 100), x.dtype), x[:300].reshape(100, 3)),
                lambda x: cr.compile(lambda a: a * 1.0 + a)(x),
            ):
                for threads in (1, 2):
                    cr.set_num_threads(threads)
                    assert not f(x).numpy().any()
            assert (cr.exp(x).numpy() == 1).all()
            small = np.full(1000, np.sqrt(np.finfo(dtype).tiny) / 16, dtype)
            assert (small * small)[0] > 0
            assert not cr.multiply(small, small).numpy().any()  # also results that come out subnormal

    def test_hosts_mode_is_untouched(self, rng):
        before = Mode.get()
        assert before & (FLUSH | ROUNDING) == 0
        used(rng)
        assert Mode.get() == before
        assert np.float32(1e-40) * np.float32(1) == np.float32(1e-40)
        assert (np.full(100, 1e-310) * 1.0 == 1e-310).all()

    def test_after_errors(self):
        before = Mode.get()
        for call in (
            lambda: cr.take_along(np.zeros((300_000, 3), np.float32), np.full(300_000, 7)),
            lambda: cr.matmul(np.zeros((2, 3)), np.zeros((2, 3))),
            lambda: cr.Trainer(network(), nn.CrossEntropyLoss(), optim.Adam()).fit(
                np.full((64, 20), np.nan, np.float32), np.zeros(64, int)
            ),
        ):
            with pytest.raises(cr.Error):
                call()
            assert Mode.get() == before

    def test_other_threads(self, rng):
        """Each thread keeps its own mode, whichever of them calls and whether or not the team was made
        elsewhere."""
        modes = []

        def work():
            start = Mode.get()
            used(np.random.default_rng(1))
            modes.append((start, Mode.get()))

        used(rng)
        threads = [threading.Thread(target=work) for _ in range(3)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        assert len(modes) == 3
        assert all(a == b for a, b in modes)

    def test_python_that_is_called_back(self, rng):
        """Losses, metrics and progress functions written in Python run in the host's mode."""
        x, y = rng.normal(size=(256, 20)).astype(np.float32), rng.integers(0, 5, 256)
        modes = [Mode.get()]

        def metric(output, target):
            modes.append(Mode.get())
            return 0.0

        def loss(output, target):
            modes.append(Mode.get())
            return cr.softmax_cross_entropy(output, target)

        def show(progress):
            modes.append(Mode.get())

        cr.Trainer(network(), loss, optim.Adam(), metrics=[metric]).fit(x, y, epochs=2, progress=show)
        cr.compile(lambda a: metric(None, None) + cr.exp(a))(x)
        assert len(modes) > 6
        assert len(set(modes)) == 1

    @pytest.mark.parametrize("rounding", [0x2000, 0x4000, 0x6000], ids=["down", "up", "to zero"])
    def test_hosts_rounding_changes_nothing(self, rounding, rng):
        a, b = rng.normal(size=(65, 200)).astype(np.float32), rng.normal(size=(200, 33)).astype(np.float32)
        x = rng.normal(size=(64, 20)).astype(np.float32)
        model = network()

        def results():
            return [
                cr.matmul(a, b).numpy(),
                cr.exp(a).numpy(),
                cr.sum(a).numpy(),
                cr.var(a, axis=0).numpy(),
                cr.grad(lambda w: cr.tanh(x @ w).sum())(np.ones((20, 3), np.float32)).numpy(),
                cr.compile(cr.softmax)(a).numpy(),
                network().state_dict()["0.weight"],
                model.predict(x),
            ]

        expected = results()
        with Mode.set(rounding, ROUNDING):
            changed = results()
            assert Mode.get() & ROUNDING == rounding
        for e, c in zip(expected, changed, strict=True):
            same_bits(e, c)

    @pytest.mark.parametrize("rounding", [0x2000, 0x4000, 0x6000], ids=["down", "up", "to zero"])
    @pytest.mark.parametrize("optimizer", [name for name in optim.__all__ if name != "Optimizer"])
    def test_hosts_rounding_changes_no_training(self, rounding, optimizer, rng):
        """Rates, bias corrections, sums of losses and metrics are computed in our mode, too."""
        x, y = rng.normal(size=(97, 20)).astype(np.float32), rng.integers(0, 5, 97)
        models = [network(), network()]  # layers keep numbers of their own, made when they are built
        driver = getattr(optim, optimizer)().is_driver
        options = {} if optimizer == "LevenbergMarquardt" else {"lr": 0.0123}
        options |= {} if driver else {"weight_decay": 0.017}
        clip, loss = (None if driver else 0.7), nn.CrossEntropyLoss()
        if optimizer == "LevenbergMarquardt":  # which takes squares only
            loss, y = nn.MSELoss(), rng.normal(size=(97, 5)).astype(np.float32)
            models = [nn.MLP([20, 8, 5], seed=0), nn.MLP([20, 8, 5], seed=0)]
        weights = {"class_weight": {1: 0.3}}
        if loss.link != "softmax":
            weights = {"sample_weight": rng.uniform(size=97)}
        metric = "accuracy" if loss.link == "softmax" else "r2"
        recipe = getattr(optim, optimizer)(**options)

        def results(model):
            trainer = cr.Trainer(model, loss, recipe, metrics=[metric], clip_norm=clip)
            history = trainer.fit(x, y, epochs=3, validation_split=0.3, batch_size=13, **weights).to_dict()
            history |= trainer.evaluate(x, y, batch_size=10)
            history["step"] = trainer.step(x, y)
            by_hand = getattr(optim, optimizer)(model.parameters(), **options)

            def closure():
                by_hand.zero_grad()
                value = loss(model(x), y)
                value.backward()
                return value

            for _ in range(3):
                by_hand.step((lambda: model(x) - y) if optimizer == "LevenbergMarquardt" else closure)
            return history, model.state_dict()

        expected = results(models[0])
        with Mode.set(rounding, ROUNDING):
            changed = results(models[1])
            assert Mode.get() & ROUNDING == rounding
        assert expected[0] == changed[0]
        for name, value in expected[1].items():
            same_bits(value, changed[1][name])


def fused():
    """Whether this instruction set has fused multiply-add: then (1 + e)^2 - (1 + 2e) keeps e^2."""
    e = np.float32(2.0**-12)
    return float(cr.fma(np.full(1, 1 + e), np.full(1, 1 + e), np.full(1, -(1 + 2 * e))).numpy()[0]) != 0


class TestMatmulContract:
    """An element is one chain of fused multiply-adds, ascending, per 1024 terms; block sums are added
    ascending.

    With whole numbers of 16 bits everything can be followed exactly: a product has 32 bits, its sum with a
    float32 of that size is exact in float64, and rounding it to float32 is the one rounding of a fused
    multiply-add.
    """

    def chain(self, a, b):
        total = np.zeros((a.shape[0], b.shape[1]), np.float32)
        for first in range(0, a.shape[1], 1024):
            block = np.zeros_like(total)
            for k in range(first, min(first + 1024, a.shape[1])):
                product = np.outer(a[:, k].astype(np.float64), b[k].astype(np.float64))
                if not fused():
                    product = product.astype(np.float32).astype(np.float64)
                block = (block.astype(np.float64) + product).astype(np.float32)
            total = block if first == 0 else total + block
        return total

    @pytest.mark.parametrize("k", [1, 2, 63, 64, 65, 1000, 1024, 1025, 2100])
    @pytest.mark.parametrize(("m", "n"), [(1, 1), (1, 37), (5, 3), (14, 65), (33, 16)])
    def test_float32(self, m, k, n, rng):
        a = rng.integers(-(2**16), 2**16, (m, k)).astype(np.float32)
        b = rng.integers(-(2**16), 2**16, (k, n)).astype(np.float32)
        expected = self.chain(a, b)
        if k > 500 and m * n > 1:
            assert (expected != (a.astype(np.float64) @ b.astype(np.float64)).astype(np.float32)).any(), (
                "says nothing"
            )
        for threads in (1, 2, 3):
            cr.set_num_threads(threads)
            same_bits(cr.matmul(a, b).numpy(), expected)
        same_bits(cr.matmul(a.T.copy(), b, transpose_a=True).numpy(), expected)
        same_bits(cr.matmul(a, b.T.copy(), transpose_b=True).numpy(), expected)
        same_bits(cr.compile(lambda x: cr.matmul(x, b))(a).numpy(), expected)

    @pytest.mark.parametrize("k", [1, 65, 1024, 1030])
    def test_float64(self, k, rng):
        """The same, with Python's unlimited integers: float(i) rounds once."""
        if not fused():
            pytest.skip("without fused multiply-add")
        a, b = rng.integers(-(2**40), 2**40, (3, k)), rng.integers(-(2**40), 2**40, (k, 5))
        expected = np.zeros((3, 5))
        for i in range(3):
            for j in range(5):
                total = 0.0
                for first in range(0, k, 1024):
                    block = 0.0
                    for p in range(first, min(first + 1024, k)):
                        block = float(int(block) + int(a[i, p]) * int(b[p, j]))
                    total = block if first == 0 else total + block
                expected[i, j] = total
        same_bits(cr.matmul(a.astype(np.float64), b.astype(np.float64)).numpy(), expected)

    @pytest.mark.parametrize("shape", [(784, 256, 128), (300, 2000, 70), (1030, 64, 1030)])
    def test_large_products(self, shape, rng):
        """Sizes that are cut into blocks and packed: chosen elements against their own chains."""
        m, k, n = shape
        a = rng.integers(-(2**16), 2**16, (m, k)).astype(np.float32)
        b = rng.integers(-(2**16), 2**16, (k, n)).astype(np.float32)
        rows, columns = [0, 1, m // 2, m - 1], [0, n // 3, n - 2, n - 1]
        for threads in (1, 2, 3):
            cr.set_num_threads(threads)
            same_bits(cr.matmul(a, b).numpy()[np.ix_(rows, columns)], self.chain(a[rows], b[:, columns]))


class TestRows:
    @pytest.mark.parametrize("dtype", ["float32", "float64"])
    def test_predict_is_row_by_row(self, dtype, rng):
        """predict(X)[i] == predict(X[i:i+1]) to the last bit, whatever is predicted around it."""
        model = network(dtype)
        x = rng.normal(size=(131, 20)).astype(dtype)
        cr.Trainer(model, nn.CrossEntropyLoss(), optim.Adam()).fit(x, rng.integers(0, 5, 131), epochs=2)
        for output in ("raw", "proba", "class"):
            whole = model.predict(x, output=output)
            for i in (0, 1, 7, 64, 130):
                same_bits(model.predict(x[i : i + 1], output=output), whole[i : i + 1])
            for batch_size in (1, 7, 64, 131):
                same_bits(model.predict(x, batch_size=batch_size, output=output), whole)
            same_bits(model.predict(x[::-1].copy(), output=output), whole[::-1])
        for threads in (1, 2, 3):
            cr.set_num_threads(threads)
            same_bits(model.predict(x, output="class"), whole)

    @pytest.mark.parametrize(
        "layer",
        [
            nn.ReLU(),
            nn.LeakyReLU(),
            nn.Sigmoid(),
            nn.Tanh(),
            nn.Softmax(),
            nn.LogSoftmax(),
            nn.GELU(),
            nn.GELU("tanh"),
            nn.SiLU(),
            nn.ELU(),
            nn.Softplus(),
            nn.LayerNorm(65),
        ],
        ids=repr,
    )
    @pytest.mark.parametrize("rows", [1, 5, 64, 333])
    def test_eager_compiled_and_predict_agree(self, layer, rows, rng):
        model = nn.Sequential(nn.Linear(30, 65), layer, nn.Linear(65, 7), seed=1).eval()
        x = rng.normal(size=(rows, 30)).astype(np.float32)
        eager = model(x).numpy()
        same_bits(eager, model(x).numpy())
        same_bits(eager, model.predict(x))
        same_bits(eager, cr.compile(lambda t: model(t))(x).numpy())
        same_bits(eager, np.concatenate([model(x[i : i + 1]).numpy() for i in range(rows)]))

    def test_gradients_are_the_same_in_every_mode(self, rng):
        """backward(), grad, vjp and the Trainer's compiled step differentiate with the same rules and
        kernels."""
        x, y = rng.normal(size=(50, 30)).astype(np.float32), rng.integers(0, 7, 50)
        model = nn.Sequential(nn.Linear(30, 65), nn.GELU(), nn.Linear(65, 7), seed=2)
        loss = nn.CrossEntropyLoss()
        loss(model(x), y).backward()
        by_tape = {name: p.grad.numpy() for name, p in model.named_parameters()}
        start = model.state_dict()
        cr.Trainer(model, loss, optim.SGD(lr=1.0)).step(x, y)
        for name, after in model.state_dict().items():
            same_bits(after, (start[name] - by_tape[name]).astype(np.float32))

        def f(w, b):
            return loss(cr.gelu(x @ w + b) @ start["2.weight"] + start["2.bias"], y)

        for got in (
            cr.grad(f, argnums=(0, 1))(start["0.weight"], start["0.bias"]),
            cr.vjp(f, start["0.weight"], start["0.bias"])[1](np.float32(1)),
        ):
            same_bits(got[0].numpy(), by_tape["0.weight"])
            same_bits(got[1].numpy(), by_tape["0.bias"])
