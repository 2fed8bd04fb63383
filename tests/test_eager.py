"""Eager recording and backward(): options, roots, what is kept and freed, in-place changes, depth, memory.

Values of gradients are tested op by op in test_op_derivatives.py; here it is how they are asked for.
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
from chainrule import nn, optim


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


NEEDS_OPERAND = {
    "multiply": (lambda x, other: x * other, 1),
    "divide": (lambda x, other: x / other, 1),
    "matmul": (lambda x, other: x @ other, 1),
    "power": (lambda x, other: (x + 2) ** other, 1),
    "maximum": (cr.maximum, 1),
    "where": (lambda x, other: cr.where(other > 0, x, 0.0) + 0 * x, None),
}


class TestInPlace:
    @pytest.mark.parametrize("name", ["multiply", "divide", "matmul", "power", "maximum"])
    def test_a_changed_operand_is_refused(self, name):
        f, at = NEEDS_OPERAND[name]
        x, other = leaf(wave(2, 2) + 3), cr.tensor(wave(2, 2) + 2)
        y = f(x, other)
        other.copy_(np.ones((2, 2)))
        with pytest.raises(cr.StateError) as error:
            y.sum().backward()
        assert str(error.value) == (
            f"{name}: an operand that backward needs was changed in place after it was used: operand {at} of "
            "shape (2, 2); change it after backward, or change a copy"
        )
        assert x.grad is None

    @pytest.mark.parametrize(
        ("name", "f"),
        [
            ("add", lambda x, other: x + other),
            ("subtract", lambda x, other: x - other),
            ("where", NEEDS_OPERAND["where"][0]),
            ("maximum", lambda x, other: cr.maximum(x, 0.0) + other),
            ("concat", lambda x, other: cr.concat([x, other])),
            ("of a comparison", lambda x, other: x * (other > 0)),
        ],
    )
    def test_an_operand_nobody_needs_may_change(self, name, f):
        x, other = leaf(wave(2, 2) + 3), cr.tensor(wave(2, 2) + 2)
        y = f(x, other)
        other.copy_(np.zeros((2, 2)))
        y.sum().backward()
        assert x.grad.tolist() == [[1, 1], [1, 1]]

    def test_the_other_factor_is_not_needed(self):
        """d(x c)/dx reads c only: x may be changed, as an optimizer does."""
        x, c = leaf([1.0, 2.0]), cr.tensor([3.0, 4.0], dtype="float64")
        y = (x * c).sum()
        x.copy_([0.0, 0.0])
        y.backward()
        assert x.grad.tolist() == [3, 4]

    @pytest.mark.parametrize(
        "name", ["exp", "expm1", "sqrt", "sigmoid", "tanh", "relu", "softmax", "log_softmax"]
    )
    def test_a_changed_result_is_refused(self, name):
        x = leaf([1.0, 2.0])
        y = getattr(cr, name)(x)
        with cr.no_grad():
            y.copy_([0.0, 0.0])
        with pytest.raises(cr.StateError) as error:
            y.sum().backward()
        assert str(error.value) == (
            f"{name}: its result, which backward needs, was changed in place: shape (2,); change it after "
            "backward, or change a copy"
        )

    def test_through_a_view(self):
        x = leaf([1.0, 2.0])
        h = x * 2
        y = h * h
        with cr.no_grad():
            h.reshape(2, 1).copy_([[0.0], [0.0]])
        with pytest.raises(cr.StateError, match=r"^multiply: an operand"):
            y.sum().backward()

    def test_writing_into_a_recorded_result_is_refused(self):
        x = leaf([1.0, 2.0])
        y = x.tanh()
        with pytest.raises(cr.StateError, match=r"^copy_: .*: tanh of shape \(2,\); .*no_grad"):
            y.copy_([0.0, 0.0])
        y.sum().backward()
        assert x.grad is not None

    def test_an_optimizer_step(self):
        model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1), seed=0)
        opt = optim.SGD(model.parameters(), lr=0.1)
        x = wave(5, 3).astype(np.float32)
        loss = model(x).sum()
        model(x).sum().backward()
        opt.step()
        with pytest.raises(cr.StateError, match=r"^matmul: .* operand 1 of shape \(4, 1\)"):
            loss.backward()

    def test_load_state_dict(self):
        model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1), seed=0)
        loss = model(wave(5, 3).astype(np.float32)).sum()
        model.load_state_dict(model.state_dict())
        with pytest.raises(cr.StateError, match=r"^matmul: .* operand 1"):
            loss.backward()

    def test_a_training_run(self):
        model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1), seed=0)
        x, y = wave(8, 3).astype(np.float32), wave(8, 1).astype(np.float32)
        loss = model(x).sum()
        cr.Trainer(model, loss=nn.MSELoss(), optimizer=optim.SGD(lr=0.1)).fit(x, y, epochs=1, progress=False)
        with pytest.raises(cr.StateError, match=r"^matmul: .* operand 1"):
            loss.backward()

    def test_batch_norm_buffers(self):
        """In eval mode the result depends on the running statistics; a step in train mode changes them."""
        norm = nn.BatchNorm1d(3)
        x = leaf(wave(5, 3), "float32")
        norm.eval()
        y = norm(x).sum()
        norm.train()
        norm(wave(5, 3).astype(np.float32))
        norm.eval()
        y.backward()  # x / sqrt(var + eps): what is needed was computed anew
        scale = cr.tensor([1.0, 2.0, 3.0])
        y = (x * scale).sum()
        scale.copy_([0.0, 0.0, 0.0])
        with pytest.raises(cr.StateError, match=r"^multiply: .* operand 1 of shape \(3,\)"):
            y.backward()


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
