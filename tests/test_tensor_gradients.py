"""Tensors that record: gradients, symbols of a trace, parameters."""

import chainrule as cr
import numpy as np
import pytest
from chainrule import nn


class TestGradients:
    def test_define_by_run(self):
        x = cr.tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
        y = (x @ x.T).tanh().sum()
        y.backward()
        a = x.numpy().astype(np.float64)
        g = 1 - np.tanh(a @ a.T) ** 2
        np.testing.assert_allclose(x.grad.numpy(), (g + g.T) @ a, rtol=1e-4, atol=1e-7)

    def test_gradients_add_up_until_zeroed(self):
        x = cr.tensor([1.0], requires_grad=True)
        (x * 3).sum().backward()
        (x * 3).sum().backward()
        assert float(x.grad) == 6
        x.zero_grad()
        assert x.grad is None or float(x.grad) == 0

    def test_cotangent(self):
        x = cr.tensor([1.0, 2.0], requires_grad=True)
        (x * x).backward(cr.tensor([1.0, 10.0]))
        assert x.grad.numpy().tolist() == [2, 40]
        with pytest.raises(cr.Error):
            (x * x).backward()

    def test_no_grad(self):
        x = cr.tensor([1.0], requires_grad=True)
        with cr.no_grad():
            assert not cr.grad_enabled()
            y = x * 2
            with cr.no_grad():
                pass
            assert not cr.grad_enabled()
        assert cr.grad_enabled()
        assert not y.requires_grad
        with pytest.raises(ZeroDivisionError), cr.no_grad():
            raise ZeroDivisionError
        assert cr.grad_enabled()

    def test_detach_and_stop_gradient(self):
        x = cr.tensor([3.0], requires_grad=True)
        (x * x.detach() + cr.stop_gradient(x)).sum().backward()
        assert float(x.grad) == 3

    def test_a_recorded_array_is_copied(self):
        a = np.array([2.0])
        x = cr.tensor([1.0], dtype="float64", requires_grad=True)
        y = (x * a).sum()
        a[0] = 100
        y.backward()
        assert float(x.grad) == 2

    def test_ndarray_left_of_a_recorded_product(self):
        a = np.array([[1.0, 2.0]])
        w = cr.tensor([[1.0], [1.0]], dtype="float64", requires_grad=True)
        (a @ w).sum().backward()
        assert w.grad.numpy().ravel().tolist() == [1, 2]


class TestSymbols:
    """Tensors of a trace have no values: everything that would need one says so and what to do."""

    @pytest.mark.parametrize(
        "use", [bool, float, int, lambda t: t.numpy(), np.asarray, lambda t: t.item(), lambda t: t.tolist()]
    )
    def test_values_are_refused(self, use):
        def f(x):
            use(x.sum())
            return x

        with pytest.raises(cr.StateError, match="traced"):
            cr.trace(f, np.ones(3))

    def test_the_line_is_named(self):
        def branch(x):
            if x.sum() > 0:
                return x
            return -x

        with pytest.raises(cr.StateError, match="where") as error:
            cr.compile(branch)(np.ones(3))
        assert any(entry.name == "branch" for entry in error.traceback)

    def test_printing_is_allowed(self):
        graph = cr.trace(lambda x: (repr(x), x + 1)[1], np.ones(3))
        assert len(graph) == 1


class TestParameters:
    def test_parameter_views_are_live_and_read_only(self):
        layer = nn.Linear(2, 3)
        view = layer.weight.numpy()
        layer.weight.copy_(np.ones((2, 3)))
        assert (view == 1).all()
        with pytest.raises(ValueError, match="read-only"):
            view[0, 0] = 5
        assert np.shares_memory(np.asarray(layer.weight), view)

    def test_a_parameter_is_a_float(self):
        assert nn.Parameter([1.0]).requires_grad
        with pytest.raises(cr.DTypeError, match="floats"):
            nn.Parameter([1, 2])
