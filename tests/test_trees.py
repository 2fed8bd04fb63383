"""Derivatives of functions that return tuples, lists and dicts, and the names that errors begin with."""

from __future__ import annotations

from typing import NamedTuple

import chainrule as cr
import numpy as np
import pytest

RNG = np.random.default_rng(11)
A = RNG.normal(size=(4, 3))
X = RNG.normal(size=3)
W = RNG.normal(size=(2,))


def parts(x, w):
    return {"h": cr.tanh(cr.tensor(A) @ x), "both": [x * w[0], (x.sum() * w).sum()]}


def close(actual, expected):
    np.testing.assert_allclose(actual.numpy(), expected.numpy(), rtol=1e-12, atol=1e-12)
    assert actual.shape == expected.shape


PICKS = [lambda y: y["h"], lambda y: y["both"][0], lambda y: y["both"][1]]


@pytest.mark.parametrize("mode", ["auto", "reverse", "forward"])
@pytest.mark.parametrize("around", [lambda f: f, cr.compile], ids=["eager", "compiled"])
def test_jacobian_has_the_outputs_structure(mode, around):
    x, w = cr.tensor(X), cr.tensor(W)
    j = around(cr.jacobian(parts, argnums=(0, 1), mode=mode))(x, w)
    assert sorted(j) == ["both", "h"]
    assert type(j["both"]) is list
    for pick in PICKS:
        single = cr.jacobian(lambda x, w, pick=pick: pick(parts(x, w)), argnums=(0, 1), mode=mode)(x, w)
        for i in (0, 1):
            close(pick(j)[i], single[i])
    assert j["h"][0].shape == (4, 3)
    assert j["both"][1][1].shape == (2,)


def test_batched_and_with_aux():
    batch = cr.tensor(RNG.normal(size=(5, 3)))
    f = lambda x: (x**2, x.sum())  # noqa: E731
    square, total = cr.vmap(cr.jacobian(f))(batch)
    for i in range(5):
        close(square[i], cr.jacobian(lambda x: x**2)(batch[i]))
    assert total.shape == (5, 3)
    (bare,), aux = cr.jacobian(lambda x: ((x * 2,), x.sum()), has_aux=True)(cr.tensor(X))
    close(bare, 2 * cr.tensor(np.eye(3)))
    assert aux.item() == pytest.approx(X.sum())


class Pair(NamedTuple):
    a: cr.Tensor
    b: cr.Tensor


def test_hessian_of_several_scalars():
    def f(x, w):
        return Pair((x**3).sum() * w[0], (cr.tanh(x) ** 2).sum() + (w**2).prod())

    x, w = cr.tensor(X), cr.tensor(W)
    h = cr.hessian(f, argnums=(0, 1))(x, w)
    assert type(h) is Pair
    compiled = cr.compile(cr.hessian(f, argnums=(0, 1)))(x, w)
    for name in ("a", "b"):
        single = cr.hessian(lambda x, w, name=name: getattr(f(x, w), name), argnums=(0, 1))(x, w)
        for i in (0, 1):
            for j in (0, 1):
                close(getattr(h, name)[i][j], single[i][j])
                close(getattr(compiled, name)[i][j], single[i][j])
    close(h.a[0][0], cr.tensor(np.diag(6 * X * W[0])))
    rows = cr.vmap(lambda x: cr.hessian(lambda v: {"s": (v**3).sum()})(x)["s"])(cr.tensor(X[None]))
    close(rows[0], cr.tensor(np.diag(6 * X)))


def square(x):
    return x * x


def flags(x):
    return x > 0


class TestNames:
    """Of what the user called, not of what it is made of."""

    @pytest.mark.parametrize("name", ["grad", "value_and_grad", "hessian", "hvp"])
    @pytest.mark.parametrize("compiled", [False, True])
    def test_not_a_scalar(self, name, compiled):
        with pytest.raises(
            cr.ShapeError, match=rf"^{name}: the output is not a scalar: shape is \(3,\); reduce it"
        ):
            self.call(name, square, compiled)

    @pytest.mark.parametrize(
        "name", ["grad", "value_and_grad", "jacobian", "hessian", "hvp", "check_gradients"]
    )
    def test_no_float(self, name):
        with pytest.raises(cr.DTypeError, match=f"^{name}: the output has no gradient: dtype is bool"):
            self.call(name, flags)

    @pytest.mark.parametrize("name", ["hvp", "jvp", "directional_derivative"])
    def test_tangents(self, name):
        transform = getattr(cr, name)
        with pytest.raises(
            cr.ShapeError, match=rf"^{name}: a tangent does not fit its argument: \(2,\) for \(3,\)"
        ):
            transform(lambda x: (x * x).sum(), cr.tensor(X), cr.tensor(W))

    def test_several_outputs(self):
        with pytest.raises(cr.DTypeError, match=r"^hvp: the function must return one tensor, got \(\*, \*\)"):
            cr.hvp(lambda x: (x, x), cr.tensor(X), cr.tensor(X))
        with pytest.raises(cr.ShapeError, match=r"^hessian: the output is not a scalar: shape is \(3,\)"):
            cr.hessian(lambda x: (x.sum(), x))(cr.tensor(X))

    @staticmethod
    def call(name, f, compiled=False):
        transform = getattr(cr, name)
        run = {
            "hvp": lambda x: transform(f, x, x),
            "check_gradients": lambda x: transform(f, x),
        }.get(name, lambda x: transform(f)(x))
        return (cr.compile(run) if compiled else run)(cr.tensor(X))


@pytest.mark.parametrize("transform", [cr.grad, cr.value_and_grad, cr.jacobian, cr.hessian])
@pytest.mark.parametrize(
    ("argnums", "message"),
    [
        (None, "argnums must be an integer or a tuple of integers, got None"),
        ("x", "got 'x'"),
        (1.0, "got 1.0"),
        ((), "argnums names no argument"),
        ((1, 1), "argnums names argument 1 twice"),
        ((1, -1), "argnums names argument 1 twice"),
        (2, "argnums is 2, but there are 2 arguments"),
    ],
)
def test_argnums_that_name_nothing(transform, argnums, message):
    x = cr.tensor([1.0, 2.0])
    with pytest.raises(cr.ValueError, match=message):
        transform(lambda a, b: (a * b).sum(), argnums=argnums)(x, x)


def test_argnums_as_a_list_is_a_tuple_of_results():
    a, b = cr.tensor([1.0, 2.0]), cr.tensor([3.0, 4.0])
    ga, gb = cr.grad(lambda x, y: (x * y).sum(), argnums=[0, 1])(a, b)
    np.testing.assert_array_equal(np.asarray(ga), [3.0, 4.0])
    np.testing.assert_array_equal(np.asarray(gb), [1.0, 2.0])


def test_a_module_cannot_be_two_arguments():
    m = cr.nn.Linear(2, 1)
    with pytest.raises(cr.ValueError, match="stands in two of the arguments; pass its module once"):
        cr.grad(lambda p, q: (p(cr.ones((1, 2))) + q(cr.ones((1, 2)))).sum(), argnums=(0, 1))(m, m)


def endless(kind):
    values = [cr.tensor([1.0])]
    if kind == "list":
        values.append(values)
    elif kind == "dict":
        values = {"a": cr.tensor([1.0])}
        values["b"] = values
    else:
        for _ in range(20_000):
            values = (values,)
    return values


@pytest.mark.parametrize("kind", ["list", "dict", "deep"])
def test_endless_containers(kind):
    """RecursionError, as in Python, and no end of the process."""
    x, values = cr.tensor([1.0]), endless(kind)
    runs = [
        lambda: cr.grad(lambda a: a[0].sum())(values),
        lambda: cr.vmap(lambda a: a)(values),
        lambda: cr.compile(lambda x: values)(x),
    ]
    if kind != "dict":
        runs += [lambda: cr.tensor(values), lambda: cr.sum(values)]
    for run in runs:
        with pytest.raises(RecursionError):
            run()
