"""What tracing freezes and reads, and how transforms are called."""

import chainrule as cr
import numpy as np
import pytest
from chainrule import nn, optim


class TestTracing:
    def test_transforms_run_compile_traces(self):
        def relu(x):
            return x if x.sum() > 0 else x * 0

        assert float(cr.grad(lambda x: relu(x).sum())(np.array([2.0]))) == 1
        with pytest.raises(cr.StateError, match="traced"):
            cr.compile(relu)(np.array([2.0]))

    def test_captured_tensors_are_read_when_run(self):
        alpha = cr.tensor(0.2)
        fast = cr.compile(lambda x: x * alpha)
        assert float(fast(np.float32([1])[...])) == pytest.approx(0.2)
        alpha.copy_(0.1)
        assert float(fast(np.float32([1])[...])) == pytest.approx(0.1)

    def test_captured_tensors_are_read_through_ops(self):
        alpha = cr.tensor(0.2)
        fast = cr.compile(lambda x: x * cr.exp(alpha))
        alpha.copy_(0.0)
        assert float(fast(np.float32([1])[...])) == 1

    def test_captured_arrays_are_constants(self):
        scale = np.array([2.0])
        fast = cr.compile(lambda x: x * scale)
        assert float(fast(np.array([1.0]))) == 2
        scale[0] = 5
        assert float(fast(np.array([1.0]))) == 2

    def test_constants_that_differ_are_an_error(self):
        rng = np.random.default_rng(0)
        with pytest.raises(cr.Error, match="constant"):
            cr.compile(lambda x: x * rng.normal(size=3))(np.ones(3))

    def test_one_trace_per_shape(self):
        shapes = []
        fast = cr.compile(lambda x: (shapes.append(x.shape), x + 1)[1])
        for n in (2, 3, 2, 3):
            assert fast(np.ones(n)).shape == (n,)
        assert set(shapes) == {(2,), (3,)}

    def test_parameters_reach_the_loss_through_ops(self):
        class Scaled(nn.Module):
            def __init__(self):
                self.log_scale = nn.Parameter(np.zeros(3, np.float32))

            def forward(self, x):
                return x * cr.exp(self.log_scale)

        model = Scaled()
        X = np.ones((8, 3), np.float32)
        cr.Trainer(model, nn.MSELoss(), optim.SGD(lr=0.1)).fit(X, 2 * X, epochs=40, batch_size=8)
        assert model.log_scale.numpy() == pytest.approx(np.log(2), abs=0.05)

    def test_save_refuses_a_leaked_batch_size(self, tmp_path):
        class Leaky(nn.Module):
            def __init__(self):
                self.linear = nn.Linear(4, 1)

            def forward(self, x):
                return self.linear(x) / x.shape[0]

        with pytest.raises(cr.Error, match="batch size"):
            Leaky().save(tmp_path / "leaky.safetensors")


class TestCalling:
    def test_argnums(self):
        def f(a, b):
            return (a * a * b).sum()

        a, b = np.array([2.0]), np.array([3.0])
        assert float(cr.grad(f)(a, b)) == 12
        assert float(cr.grad(f, argnums=-1)(a, b)) == 4
        both = cr.grad(f, argnums=(0, 1))(a, b)
        assert [float(g) for g in both] == [12, 4]
        (only,) = cr.grad(f, argnums=(1,))(a, b)
        assert float(only) == 4
        with pytest.raises(cr.ValueError, match="argnums is 2"):
            cr.grad(f, argnums=2)(a, b)

    def test_has_aux(self):
        f = lambda x: ((x * x).sum(), {"x": 1})  # noqa: E731
        gradient, aux = cr.grad(f, has_aux=True)(np.array([3.0]))
        assert (float(gradient), aux) == (6, {"x": 1})
        (value, aux), gradient = cr.value_and_grad(f, has_aux=True)(np.array([3.0]))
        assert (float(value), float(gradient)) == (9, 6)

    def test_mistakes(self):
        with pytest.raises(cr.DTypeError, match=r"write grad\(f\)\(x\)"):
            cr.grad(np.ones(3))
        with pytest.raises(cr.DTypeError, match="floating"):
            cr.grad(lambda x: x.sum())(np.array([1]))
        with pytest.raises(cr.Error):
            cr.grad(lambda x: x * 2)(np.ones(3))
        with pytest.raises(cr.DTypeError, match="one tensor"):
            cr.grad(lambda x: 3.0)(np.ones(3))
