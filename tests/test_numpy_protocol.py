"""NumPy's functions given tensors: they are ours, with derivatives, or run on values, or are refused."""

from __future__ import annotations

import operator

import chainrule as cr
import numpy as np
import pytest
from checks import numpy, same_bits

A = np.array([[0.5, -1.5, 2.0], [1.25, 0.75, -0.5]])
P = np.abs(A) + 0.5


FUNCTIONS = {
    "tanh": lambda np, x: np.tanh(x),
    "exp": lambda np, x: np.exp(x),
    "add": lambda np, x: np.add(A, x),
    "subtract": lambda np, x: np.subtract(x, A),
    "multiply": lambda np, x: np.multiply(x, 2.0),
    "divide": lambda np, x: np.divide(1.0, x + 5.0),
    "true_divide": lambda np, x: np.true_divide(x, A),
    "power": lambda np, x: np.power(x, 2.0),
    "maximum": lambda np, x: np.maximum(x, 0.1),
    "absolute": lambda np, x: np.absolute(x) + np.fabs(x),
    "positive": lambda np, x: np.positive(x),
    "matmul": lambda np, x: np.matmul(x, A.T),
    "dot": lambda np, x: np.dot(A.T, x),
    "inner": lambda np, x: np.inner(x, A),
    "tensordot": lambda np, x: np.tensordot(x, A, axes=(0, 0)),
    "einsum": lambda np, x: np.einsum("ij,kj->ik", x, A, optimize=True),
    "trace": lambda np, x: np.trace(x, offset=1),
    "sum": lambda np, x: np.sum(x, axis=0),
    "mean": lambda np, x: np.mean(x, axis=1, keepdims=True),
    "mean positional": lambda np, x: np.mean(x, 0, None, None),
    "var": lambda np, x: np.var(x, axis=0, ddof=1),
    "max": lambda np, x: np.max(x, axis=(0, 1)) + np.amin(x),
    "reduce": lambda np, x: np.add.reduce(x) + np.maximum.reduce(x, axis=0),
    "reshape": lambda np, x: np.reshape(x, (3, 2)),
    "ravel": lambda np, x: np.ravel(x),
    "transpose": lambda np, x: np.transpose(x),
    "swapaxes": lambda np, x: np.swapaxes(x, 0, 1),
    "moveaxis": lambda np, x: np.moveaxis(x, 0, -1),
    "expand_dims": lambda np, x: np.expand_dims(x, axis=1),
    "squeeze": lambda np, x: np.squeeze(np.expand_dims(x, 0), axis=0),
    "broadcast_to": lambda np, x: np.broadcast_to(x, (2, 2, 3)),
    "flip": lambda np, x: np.flip(x, axis=1),
    "repeat": lambda np, x: np.repeat(x, 2, axis=0),
    "tile": lambda np, x: np.tile(x, (2, 1)),
    "pad": lambda np, x: np.pad(x, ((1, 0), (0, 2)), constant_values=1.0),
    "pad edge": lambda np, x: np.pad(x, 1, mode="edge"),
    "diagonal": lambda np, x: np.diagonal(x),
    "take": lambda np, x: np.take(x, [0, 2, 2], axis=1),
    "take_along_axis": lambda np, x: np.take_along_axis(x, np.array([[0], [2]]), axis=1),
    "concatenate": lambda np, x: np.concatenate([x, A, x], axis=1),
    "concatenate flat": lambda np, x: np.concatenate((A, x), axis=None),
    "stack": lambda np, x: np.stack([A, x], axis=-1),
    "stack of rows": lambda np, x: np.stack(x, axis=1),
    "vstack": lambda np, x: np.vstack([x, A[0]]),
    "hstack": lambda np, x: np.hstack([A, x]),
    "split": lambda np, x: np.split(x, [1], axis=1)[1],
    "where": lambda np, x: np.where(A > 0, x, 2.0 * x),
    "clip": lambda np, x: np.clip(x, -1.0, 1.0),
    "square": lambda np, x: np.square(x) + np.zeros_like(x) + np.ones_like(x) + np.full_like(x, 2.5),
    "scalar": lambda np, x: np.float64(2.0) * x + np.float32(0.5),
}  # fmt: skip


@pytest.mark.parametrize("f", FUNCTIONS.values(), ids=FUNCTIONS.keys())
class TestFunctions:
    def test_value_and_gradient(self, f):
        x = cr.tensor(A, requires_grad=True)
        y = f(np, x)
        assert isinstance(y, cr.Tensor)
        expected = np.asarray(f(np, A))
        assert y.shape == expected.shape
        np.testing.assert_allclose(numpy(y), expected, rtol=1e-14)
        weights = np.random.default_rng(0).normal(size=expected.shape)
        (y * weights).sum().backward()
        step = 1e-6
        for i in np.ndindex(A.shape):
            up, down = A.copy(), A.copy()
            up[i] += step
            down[i] -= step
            slope = np.sum(weights * (f(np, up) - f(np, down))) / (2 * step)
            assert abs(slope - numpy(x.grad)[i]) < 1e-8

    def test_traced(self, f):
        np.testing.assert_allclose(numpy(cr.compile(lambda x: f(np, x))(A)), f(np, A), rtol=1e-14)


class TestOperators:
    @pytest.mark.parametrize(
        "op",
        [operator.add, operator.sub, operator.mul, operator.truediv, operator.pow,
         operator.lt, operator.le, operator.gt, operator.ge, operator.eq, operator.ne],
        ids=lambda op: op.__name__,
    )  # fmt: skip
    def test_either_order(self, op):
        for a, b in ((P, A[:1]), (P[0, 0], A), (np.float32(2.0), A), (np.array(1.5), A)):
            for left, right in ((a, cr.tensor(b)), (cr.tensor(b), a)):
                values = [x if isinstance(x, np.ndarray | np.generic) else x.numpy() for x in (left, right)]
                with np.errstate(invalid="ignore"):
                    expected = np.asarray(op(*values))
                same_bits(np.isnan(numpy(op(left, right))), np.isnan(expected))
                np.testing.assert_allclose(numpy(op(left, right)), expected, rtol=1e-14)

    def test_matmul(self):
        np.testing.assert_allclose(numpy(A @ cr.tensor(A.T)), A @ A.T, rtol=1e-14)
        np.testing.assert_allclose(numpy(cr.tensor(A) @ A.T), A @ A.T, rtol=1e-14)

    def test_gradient_of_an_array_times_a_tensor(self):
        np.testing.assert_array_equal(numpy(cr.grad(lambda w: (A * w).sum())(P)), A)

    def test_numpy_scalars(self):
        """They keep their dtype in tensor(), and take the other operand's in ops."""
        assert cr.tensor(np.float64(2)).dtype == "float64"
        assert cr.tensor(np.float32(2)).dtype == "float32"
        assert cr.tensor(np.int32(2)).dtype == "int32"
        x = cr.tensor(A.astype(np.float32))
        for scalar in (np.float64(2), np.float32(2), np.int64(2)):
            assert (x * scalar).dtype == (scalar * x).dtype == np.add(scalar, x).dtype == "float32"


class TestOnValues:
    """Functions without a counterpart here."""

    def test_without_a_gradient_they_give_numpy(self):
        x = cr.tensor(P)
        functions = [np.fft.fft, np.cbrt, np.median, lambda a: np.histogram(a)[0], np.add.accumulate]
        for f in functions:
            y, expected = f(x), f(P)
            assert isinstance(y, np.ndarray | np.generic)
            np.testing.assert_array_equal(y, expected)
        with cr.no_grad():
            np.cbrt(cr.tensor(P, requires_grad=True))

    def test_with_one_they_are_refused(self):
        x = cr.tensor(P, requires_grad=True)
        calls = {
            "np.cbrt": lambda: np.cbrt(x),
            "np.median": lambda: np.median(x),
            "np.fft.fft": lambda: np.fft.fft(x),
            "np.add.accumulate": lambda: np.add.accumulate(x),
        }
        for name, call in calls.items():
            with pytest.raises(cr.StateError) as caught:
                call()
            assert str(caught.value) == (
                f"{name}: chainrule has no derivative of it, and the gradient of a tensor of shape (2, 3) "
                "would be lost; write it with chainrule's functions, or pass x.detach()"
            )
        np.cbrt(x.detach())

    def test_no_gradient_is_lost_with_bools_and_positions(self):
        x = cr.tensor(P, requires_grad=True)
        assert np.isfinite(x).all()
        assert not np.signbit(x).any()
        np.testing.assert_array_equal(np.argsort(x), np.argsort(P))
        assert np.allclose(x, P)
        assert np.array_equal(x, P)

    def test_traced_tensors_have_no_values(self):
        with pytest.raises(cr.StateError) as caught:
            cr.compile(lambda x: x + np.cbrt(x))(P)
        assert str(caught.value) == (
            "np.cbrt: a traced tensor has no values, and chainrule has no function of this name; "
            "write it with chainrule's functions"
        )
        with pytest.raises(cr.StateError, match=r"^np\.signbit: a traced tensor"):
            cr.compile(lambda x: cr.where(np.signbit(x), x, 0.0))(P)

    def test_writing_into_a_tensor_fails(self):
        x = cr.tensor(P)
        with pytest.raises(ValueError, match="read-only"):
            np.fill_diagonal(x, 0.0)
        same_bits(numpy(x), P)


class TestRefused:
    @pytest.mark.parametrize(
        ("call", "argument"),
        [
            (lambda x: np.sum(x, dtype="float64"), "np.sum: dtype="),
            (lambda x: np.mean(x, out=np.zeros(())), "np.mean: out="),
            (lambda x: np.sum(x, where=A > 0), "np.sum: where="),
            (lambda x: np.sum(x, initial=1.0), "np.sum: initial="),
            (lambda x: np.tanh(x, where=A > 0), "np.tanh: where="),
            (lambda x: np.add(x, x, dtype="float32"), "np.add: dtype="),
            (lambda x: np.take(x, [0], mode="clip"), "np.take: mode="),
            (lambda x: np.reshape(x, 6, order="F"), "np.reshape: order="),
            (lambda x: np.add.reduce(x, initial=1.0), "np.add.reduce: initial="),
        ],
        ids=lambda v: v if isinstance(v, str) else "",
    )
    def test_arguments(self, call, argument):
        with pytest.raises(TypeError) as caught:
            call(cr.tensor(A))
        todo = "use .astype(...) on the result" if "dtype" in argument else "call it without"
        assert str(caught.value) == f"{argument} is not supported with tensors; {todo}"

    def test_out(self):
        a = A.copy()
        with pytest.raises(cr.StateError) as caught:
            a += cr.tensor(A)
        text = "np.add: out= is not supported with tensors; use the result, as in a = a + t"
        assert str(caught.value) == text
        same_bits(a, A)
        with pytest.raises(cr.StateError, match="out= is not supported"):
            np.exp(A, out=cr.tensor(A))


class TestConveniences:
    def test_clip_on_one_side(self):
        x = cr.tensor([-3.0, 0.5, 4.0], requires_grad=True)
        for clip in (np.clip, cr.clip, lambda t, *bounds: t.clip(*bounds)):
            assert clip(x, None, 2).detach().numpy().tolist() == [-3, 0.5, 2]
            assert clip(x, 0, None).detach().numpy().tolist() == [0, 0.5, 4]
        assert np.clip(x, min=0, max=2).detach().numpy().tolist() == [0, 0.5, 2]
        np.clip(x, None, 2).sum().backward()
        assert x.grad.numpy().tolist() == [1, 1, 0]
        assert x.clip(high=1).detach().numpy().tolist() == [-3, 0.5, 1]
        ints = np.clip(cr.tensor([-3, 1, 2**60]), None, 2)
        assert (ints.dtype, ints.tolist()) == ("int64", [-3, 1, 2])
        assert np.clip(cr.tensor(np.uint8([0, 9])), 3, None).tolist() == [3, 9]

    @pytest.mark.parametrize("decimals", [-2, -1, 0, 1, 2, 3])
    def test_round(self, decimals):
        x = np.array([0.125, -1.005, 2.675, 1234.5678, 55.0, 45.0, np.inf, np.nan])
        t = cr.tensor(x)
        for result in (np.round(t, decimals), cr.round(t, decimals), t.round(decimals), round(t, decimals)):
            np.testing.assert_array_equal(result.numpy(), np.round(x, decimals))
        np.testing.assert_array_equal(
            cr.compile(lambda t: cr.round(t, decimals=decimals))(t).numpy(), np.round(x, decimals)
        )
        i = np.array([15, 25, -35, 1249])
        result = np.round(cr.tensor(i), decimals)
        assert result.dtype == "int64"
        assert result.tolist() == np.round(i, decimals).tolist()
        assert cr.grad(lambda t: cr.round(t, decimals).sum())(cr.tensor([1.5])).tolist() == [0]

    def test_norms_of_any_order(self):
        x = np.array([[1.0, 0.0, -2.0], [0.5, 3.0, -0.25]])
        for order in (0, 0.5, 1.5, 3, 7, np.inf):
            result = np.linalg.norm(cr.tensor(x), order, axis=1)
            np.testing.assert_allclose(result.numpy(), np.linalg.norm(x, order, axis=1), rtol=1e-14)
        for order in (-1, -2.5, -np.inf):
            result = np.linalg.norm(cr.tensor(x[1]), order)
            np.testing.assert_allclose(result.item(), np.linalg.norm(x[1], order), rtol=1e-14)
        cr.check_gradients(lambda t: cr.norm(t, 3, axis=1).sum(), x)
        cr.check_gradients(lambda t: cr.norm(t, -1.5), x[1])
        for order in (0, 0.5, 1.5, 3, -1):  # at 0 the derivative is 0
            g = cr.grad(lambda t, p=order: cr.norm(t, p))(cr.tensor([0.0, 0.0]))
            assert g.tolist() == [0, 0]
        assert cr.grad(lambda t: cr.norm(t, 0.5))(cr.tensor([4.0, 0.0])).tolist() == [1, 0]

    @pytest.mark.parametrize("kind", ["float32", "float64", "int32", "int64", "uint8", "bool"])
    def test_scalars_keep_their_dtype(self, kind):
        value = getattr(np, {"bool": "bool_"}.get(kind, kind))(1)
        for made in (
            cr.tensor(value),
            cr.tensor([value, value]),
            cr.tensor(np.array(value)),
            cr.Tensor(value),
        ):
            assert made.dtype == kind

    def test_no_axes(self):
        t = cr.tensor(2.0)
        for run in (np.transpose, cr.transpose, lambda t, axes: t.transpose(axes)):
            assert run(t, ()).item() == 2
        with pytest.raises(cr.ValueError, match="transpose: axis is an empty tuple"):
            cr.transpose(cr.zeros((2, 2)), ())

    def test_nan_has_no_sign(self):
        assert repr(cr.tensor(-np.nan)) == "Tensor(nan)"
        assert str(cr.tensor([-np.nan, np.nan, -np.inf])) == "Tensor([nan, nan, -inf])"


def test_facts_are_not_values():
    x = cr.tensor(A, requires_grad=True)
    assert np.shape(x) == (2, 3)
    assert np.ndim(x) == 2
    assert np.size(x) == 6
    assert not x.symbolic
    cr.compile(lambda t: t * np.ndim(t) if t.symbolic else None)(A)


DEFAULTS = (
    "all", "any", "argmax", "argmin", "argsort", "cumprod", "cumsum", "diagonal", "flip", "hstack",
    "max", "mean", "min", "nonzero", "prod", "ravel", "round", "sort", "squeeze", "std", "sum",
    "trace", "transpose", "var", "vstack",
)  # fmt: skip


@pytest.mark.parametrize("name", DEFAULTS)
def test_defaults_are_numpys(name):
    ours, theirs = getattr(np, name)(cr.tensor(A)), getattr(np, name)(A)
    if isinstance(theirs, tuple):
        ours, theirs = ours[0], theirs[0]
    assert isinstance(ours, cr.Tensor)
    assert ours.shape == theirs.shape
    np.testing.assert_allclose(numpy(ours), theirs, rtol=1e-14)


def test_every_op_that_numpy_has_too():
    """The table holds each public op whose name is also NumPy's."""
    from chainrule._numpy import _TABLE

    named = {op["name"] for op in cr._core.op_table() if not op["internal"]}
    shared = {
        name for name in named if isinstance(getattr(np, name, None), np.ufunc) or name in ("sum", "where")
    }
    assert len(shared) > 20
    assert all(getattr(np, name) in _TABLE for name in shared)
