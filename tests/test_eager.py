"""Eager backward(): options, several roots, what is freed, recorded gradients.

Values of gradients are tested op by op in test_op_derivatives.py; here it is how they are asked for.
What is recorded at all, depth and memory are in test_eager_records.py, in-place changes in test_in_place.py.
"""

from __future__ import annotations

import gc
import threading
import warnings

import autograd.numpy as anp
import chainrule as cr
import numpy as np
import pytest
from autograd import elementwise_grad


def leaf(values, dtype="float64"):
    return cr.tensor(values, dtype=dtype, requires_grad=True)


def wave(*shape):
    return np.sin(1.3 * np.arange(np.prod(shape)) + 0.2).reshape(shape)


class TestBackward:
    def test_the_record_is_freed_and_a_second_use_says_so(self):
        x = leaf([1.0, 2.0])
        y = (x * x).sum()
        y.backward()
        with pytest.raises(cr.StateError) as error:
            y.backward()
        assert str(error.value) == (
            "sum: what was recorded for it was freed by an earlier backward; pass retain_graph=True to that "
            "backward, or compute the result again"
        )
        assert x.grad.tolist() == [2, 4]

    def test_a_freed_part_names_its_op(self):
        x = leaf([1.0, 2.0])
        shared = x.tanh()
        (shared * 2).sum().backward()
        with pytest.raises(cr.StateError, match=r"^tanh: .*pass retain_graph=True"):
            (shared * 3).sum().backward()

    def test_retained_graph_adds_up(self):
        x = leaf([1.0, 2.0])
        y = (x * x).sum()
        y.backward(retain_graph=True)
        y.backward(retain_graph=True)
        assert x.grad.tolist() == [4, 8]
        y.backward()
        assert x.grad.tolist() == [6, 12]
        with pytest.raises(cr.StateError):
            y.backward()

    def test_gradient_argument(self):
        x = leaf([1.0, 2.0])
        (x * x).backward([1.0, 10.0])
        assert x.grad.tolist() == [2, 40]
        (x * x).backward(gradient=np.array([1, 1]))  # integers are exact
        assert x.grad.tolist() == [4, 44]
        x.zero_grad()
        (x * x).sum().backward(0.1)
        assert x.grad.tolist() == [0.2, 0.4]
        x.zero_grad()
        (x * x).backward([0.1, 0.2])  # Python's floats are read in the output's dtype
        assert x.grad.tolist() == [2 * 0.1, 4 * 0.2]

    @pytest.mark.parametrize(
        ("gradient", "error", "text"),
        [
            (
                None,
                cr.ShapeError,
                "backward: the output is not a scalar: shape is (2,); reduce it, for instance with .sum(), "
                "or give a cotangent of that shape",
            ),
            (
                [1.0, 2.0, 3.0],
                cr.ShapeError,
                "backward: the cotangent does not fit: it is (3,), the output is (2,); give one value per "
                "output element",
            ),
            (
                np.ones(2, np.float32),
                cr.DTypeError,
                "backward: the cotangent has another dtype: it is float32, the output is float64; use "
                'astype("float64")',
            ),
        ],
    )
    def test_bad_gradients(self, gradient, error, text):
        x = leaf([1.0, 2.0])
        y = x * x
        with pytest.raises(error) as raised:
            y.backward(gradient)
        assert str(raised.value) == text
        assert x.grad is None
        y.backward([1.0, 1.0])  # nothing was used up
        assert x.grad.tolist() == [2, 4]

    def test_what_has_no_gradient(self):
        with pytest.raises(cr.DTypeError, match=r"^backward: the output has no gradient: dtype is int64"):
            cr.tensor([1, 2]).sum().backward()
        with pytest.raises(cr.DTypeError, match="dtype is bool"):
            (leaf(1.0) > 0).backward()
        with pytest.raises(cr.StateError, match=r"^backward: nothing was recorded.*requires_grad_"):
            cr.tensor(1.0).backward()
        with pytest.raises(cr.StateError, match=r"while a function is traced.*use grad"):
            cr.compile(lambda t: t.sum().backward())(leaf([1.0]))

    def test_roots_that_are_leaves(self):
        x = leaf([[2.0]])
        x.backward()
        assert x.grad.tolist() == [[1]]
        g = np.array([[5.0]])
        cotangent = cr.tensor(g)
        y = leaf([[1.0]])
        y.backward(cotangent)
        cotangent.copy_([[9.0]])  # the leaf's gradient is its own
        assert y.grad.tolist() == [[5]]

    def test_every_leaf_has_a_gradient_of_its_own(self):
        a, b = leaf([1.0]), leaf([2.0])
        (a + b).backward()
        a.grad.copy_([7.0])
        assert b.grad.tolist() == [1]
        c, g = leaf([1.0, 2.0]), cr.tensor([1.0, 2.0], dtype="float64")
        c.reshape(2, 1).reshape(2).backward(g)
        c.grad.copy_([0.0, 0.0])
        assert g.tolist() == [1, 2]

    def test_a_held_gradient_does_not_change_when_more_arrives(self):
        x = leaf([1.0])
        (x * 3).backward()
        held = x.grad
        (x * 4).backward()
        assert held.tolist() == [3]
        assert x.grad.tolist() == [7]

    def test_several_roots(self):
        x = leaf([1.0, 2.0])
        shared = x * x
        a, b = shared.sum(), (shared * x).sum()
        cr.backward([a, b])
        assert x.grad.tolist() == [2 * 1 + 3 * 1, 2 * 2 + 3 * 4]
        x.zero_grad()
        shared = x * x
        cr.backward((shared, x, shared.sum()), [[1.0, 0.0], [10.0, 20.0], None])
        assert x.grad.tolist() == [2 + 10 + 2, 20 + 4]
        x.zero_grad()
        y = (x * 2).sum()
        cr.backward([y, y], retain_graph=True)  # the same root twice counts twice
        cr.backward(y)
        assert x.grad.tolist() == [6, 6]

    def test_bad_lists_of_roots(self):
        x = leaf([1.0])
        with pytest.raises(cr.ValueError, match=r"^backward: no tensors were given"):
            cr.backward([])
        with pytest.raises(cr.ValueError, match=r"^backward: the number of gradients differs .*: 2 for 1"):
            cr.backward([x], [None, None])
        with pytest.raises(cr.DTypeError, match=r"^backward: expected tensors to start from, got float"):
            cr.backward([1.0])
        with pytest.raises(
            cr.DTypeError, match=r"^backward: expected a tensor or a list of tensors .* float"
        ):
            cr.backward(1.0)
        with pytest.raises(cr.DTypeError, match=r"^backward: gradients must be a list"):
            cr.backward([x], 1.0)
        assert x.grad is None

    def test_several_outputs_of_one_op(self):
        """Dropout gives values and a mask; only the values have a gradient, and the mask is kept."""
        x = leaf(np.ones(100))
        y = cr.dropout(x, 0.5)
        y.sum().backward()
        assert x.grad.tolist() == y.tolist()

    def test_threads_share_leaves(self):
        x = leaf(np.zeros(8))

        def work():
            for _ in range(50):
                (x * 1.0).sum().backward()

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert x.grad.tolist() == [200] * 8


class TestCreateGraph:
    @pytest.mark.parametrize(
        ("ours", "theirs"),
        [
            (lambda x: cr.tanh(x) * x * x, lambda x: anp.tanh(x) * x * x),
            (lambda x: cr.exp(-x * x) / (1 + x * x), lambda x: anp.exp(-x * x) / (1 + x * x)),
            (lambda x: cr.log1p(cr.square(x)) ** 2, lambda x: anp.log1p(x * x) ** 2),
        ],
        ids=lambda value: f"keeps {value or 'nothing'}" if isinstance(value, str) else "f",
    )
    def test_three_times_against_autograd(self, ours, theirs):
        x = leaf(np.linspace(0.3, 1.7, 5))
        y = ours(x)
        for _ in range(3):
            theirs = elementwise_grad(theirs)
            x.zero_grad()
            y.sum().backward(create_graph=True)
            y = x.grad
            np.testing.assert_allclose(y.numpy(), theirs(x.numpy()), rtol=1e-10)

    def test_a_network_twice_against_differences(self):
        x, w, b = cr.tensor(wave(5, 3)), leaf(wave(3, 4)), leaf(wave(4) + 0.1)

        def squared_gradient(weight):
            y = (cr.softmax(x @ weight + b) * wave(5, 4)).tanh().mean()
            for t in (weight, b):
                t.zero_grad()
            y.backward(create_graph=True)
            return (weight.grad**2).sum() + (b.grad**2).sum()

        penalty = squared_gradient(w)
        w.zero_grad()
        b.zero_grad()
        penalty.backward()
        second = w.grad.numpy()
        step, values = 1e-6, w.numpy()
        for i in np.ndindex(values.shape):
            sides = []
            for h in (step, -step):
                moved = values.copy()
                moved[i] += h
                sides.append(float(squared_gradient(leaf(moved))))
            assert second[i] == pytest.approx((sides[0] - sides[1]) / (2 * step), rel=1e-5, abs=1e-9)

    def test_gradients_have_a_history_only_on_request(self):
        x = leaf(2.0)
        (x**3).backward()
        assert not x.grad.requires_grad
        x.zero_grad()
        (x**3).backward(create_graph=True)
        assert x.grad.requires_grad
        (x**2).backward()  # adding a plain gradient gives a plain one
        assert not x.grad.requires_grad
        assert float(x.grad) == 12 + 4

    def test_the_first_record_is_kept(self):
        x = leaf(2.0)
        y = x**3
        y.backward(create_graph=True)
        y.backward()
        assert float(x.grad) == 24

    def test_no_cycle_keeps_a_leaf_alive(self):
        gc.collect()
        before = cr.memory_use()["live"]
        for _ in range(3):
            x = leaf(np.ones(1000))
            (x**3).sum().backward(create_graph=True)
        del x
        assert cr.memory_use()["live"] == before


class TestResultsThatRetain:
    def test_retain_grad(self):
        x = leaf([1.0, 2.0])
        h = x * x
        assert h.retain_grad() is h
        assert h.retains_grad
        assert not h.is_leaf
        assert x.is_leaf
        (h * 3).sum().backward()
        assert h.grad.tolist() == [3, 3]
        assert x.grad.tolist() == [6, 12]

    def test_roots_and_accumulation(self):
        x = leaf([1.0, 2.0])
        y = (x * x).sum().retain_grad()
        y.backward(retain_graph=True)
        y.backward()
        assert float(y.grad) == 2
        assert x.retain_grad() is x
        assert not x.retains_grad  # leaves have a gradient anyway

    def test_with_create_graph(self):
        x = leaf(2.0)
        h = (x * x).retain_grad()
        (h**3).backward(create_graph=True)
        x.zero_grad()
        h.grad.backward()  # d(3 h^2)/dx = 6 h 2 x
        assert float(x.grad) == 6 * 4 * 4

    def test_none_with_a_hint(self):
        x = leaf([1.0])
        h = x * 2
        h.backward()
        with pytest.warns(UserWarning, match=r"^grad: this tensor is the result .*retain_grad\(\)"):
            assert h.grad is None
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert leaf(1.0).grad is None
            assert cr.tensor(1.0).grad is None
            assert (x * 2).retain_grad().grad is None

    def test_without_a_gradient(self):
        with pytest.raises(cr.StateError, match=r"^retain_grad: the tensor has no gradient"):
            cr.tensor(1.0).retain_grad()
