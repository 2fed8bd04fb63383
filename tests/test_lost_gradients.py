"""Where only the value of a recorded tensor would be taken, its gradient is kept or the call refused."""

from __future__ import annotations

import copy
import math
import operator
import pickle

import chainrule as cr
import numpy as np
import pytest
from chainrule import nn

X = cr.tensor([1.0, 2.0, 3.0], dtype="float64")

KEPT = {
    "clip": (
        lambda x: cr.clip(2 * x, -x[2], x[2]).sum(),
        [2, 0, 2],
    ),  # within, above, above
    "clip method": (lambda x: (2 * x).clip(x[2], None).sum(), [0, 2, 3]),
    "np.clip": (lambda x: np.clip(2 * x, np.array([0.0, 5.0, 0.0]), x[2]).sum(), [2, 0, 2]),
    "full": (lambda x: (cr.full((3,), x[1]) * x).sum(), [2, 8, 2]),
    "pad": (lambda x: cr.pad(x, 1, constant_values=x[1]).sum(), [1, 3, 1]),
    "tensor": (lambda x: (cr.tensor(x) * x).sum(), [2, 4, 6]),
}


@pytest.mark.parametrize("name", KEPT)
def test_kept(name):
    f, expected = KEPT[name]
    np.testing.assert_allclose(cr.grad(f)(X).numpy(), expected)
    np.testing.assert_allclose(cr.compile(cr.grad(f))(X).numpy(), expected)


def written(write):
    def f(x):
        array = np.zeros(3)
        write(array, x)
        return (x * array).sum()

    return f


def assign_both(a, x):
    a[0], a[1] = x[0], x[1]


OPTIONS = {
    "mean": lambda x: cr.random.normal((3,), x[0]),
    "high": lambda x: cr.random.uniform((3,), high=x[0]),
    "negative_slope": lambda x: cr.leaky_relu(x, x[0]),
    "alpha": lambda x: cr.elu(x, alpha=x[0]),
    "p": lambda x: cr.dropout(x, x[0] / 10),
    "ord": lambda x: cr.norm(x, x[1]),
    "label_smoothing": lambda x: cr.softmax_cross_entropy(x, 1, label_smoothing=x[0] / 10),
}


@pytest.mark.parametrize("option", OPTIONS)
def test_options_are_numbers(option):
    f = OPTIONS[option]
    text = f"{option} is a number, and the gradient of the tensor .* would be lost; .*float\\({option}\\)"
    with pytest.raises(cr.StateError, match=text):
        cr.grad(lambda x: f(x).sum())(X)
    with pytest.raises(cr.StateError, match=text):  # eagerly, too
        f(cr.tensor(X.numpy(), requires_grad=True))
    f(X)  # a value is a value


LAYER = nn.Linear(3, 1, bias=False)
COPIES = {
    "deepcopy": lambda x: x * copy.deepcopy(x),
    "pickle": lambda x: x * pickle.loads(pickle.dumps(x)),
    "Parameter": lambda x: x * nn.Parameter(x),
    "Tensor": lambda x: x * cr.Tensor(x),
    "tensor": lambda x: x * cr.tensor(x, requires_grad=True),
    "copy_": lambda x: x * cr.zeros((3,), dtype="float64").copy_(x * 2),
    "load_state_dict": lambda x: (
        nn.Linear(3, 1, bias=False).load_state_dict({"weight": cr.expand_dims(x, 1)}) or x
    ),
}


@pytest.mark.parametrize("op", COPIES)
def test_copies(op):
    f = COPIES[op]
    with pytest.raises(
        cr.StateError,
        match=f"^{op}: line .* of test_lost_gradients.py: the gradient .* would be lost in a copy",
    ):
        cr.grad(lambda x: f(x).sum())(X)
    f(X.detach())


MODULE_COPIES = {
    "clone": lambda m: m.clone(),
    "deepcopy": copy.deepcopy,
    "copy_": lambda m: nn.Linear(2, 2).copy_(m),
    "lerp_": lambda m: nn.Linear(2, 2).lerp_(m, 0.5),
}


@pytest.mark.parametrize("name", MODULE_COPIES)
def test_copies_of_modules(name):
    model, ones, make = nn.Linear(2, 2, seed=0), cr.ones((1, 2)), MODULE_COPIES[name]
    op = "clone" if name == "deepcopy" else name
    with pytest.raises(cr.StateError, match=f"^{op}: line .* would be lost in a copy"):
        cr.grad(lambda m: make(m)(ones).sum())(model)
    cr.grad(lambda x: make(model)(x).sum())(ones)  # the model's parameters are constants here


WRITERS = {
    "a[0] =": lambda a, x: a.__class__.__setitem__(a, 0, x[0]),
    "a.__setitem__": lambda a, x: a.__setitem__(0, x[0]),
    "a.fill": lambda a, x: a.fill(x[0]),
    "np.copyto": lambda a, x: np.copyto(a, x),
    "np.put": lambda a, x: np.put(a, [0], x[0]),
    "np.place": lambda a, x: np.place(a, a == 0, x),
    "np.putmask": lambda a, x: np.putmask(a, a == 0, x),
    "np.fill_diagonal": lambda a, x: np.fill_diagonal(a.reshape(1, 3), x),
    "np.add.at": lambda a, x: np.add.at(a, [0], x[0]),
    "operator.setitem": lambda a, x: operator.setitem(a, 0, x[0]),
    "np.fromiter": lambda a, x: np.fromiter((x[i] for i in range(3)), float),
    "both": assign_both,
}


@pytest.mark.parametrize("name", WRITERS)
def test_numpy_writing(name):
    with pytest.raises((cr.StateError, ValueError)) as caught:
        cr.grad(written(WRITERS[name]))(X)
    error = caught.value  # NumPy puts an error of its own before ours, here and there
    while not isinstance(error, cr.StateError):
        error = error.__cause__ or error.__context__
    assert "would be lost" in str(error)
    array = np.zeros(3)
    WRITERS[name](array, X)  # of values alone nothing is lost


def test_values_on_purpose():
    """float(x) is how a function that runs on values looks at them."""
    f = lambda x: (x * float(x[0])).sum() + float(x.sum()) * x[1]  # noqa: E731
    np.testing.assert_array_equal(cr.grad(f)(X).numpy(), [1, 7, 1])
    assert float(cr.grad(lambda x: x * math.sqrt(x))(cr.tensor(4.0))) == 2


def test_line_of_the_caller():
    with pytest.raises(cr.StateError, match=r"line \d+ of test_lost_gradients.py"):
        cr.grad(lambda x: (x * np.full(3, x[0])).sum())(X)


class TestNumbersAsArguments:
    """Python's and NumPy's numbers take the dtype of what they meet, also as arguments."""

    single = cr.tensor([1.0, 2.0, 3.0])

    @pytest.mark.parametrize("x", [X, single], ids=["float64", "float32"])
    @pytest.mark.parametrize("k", [3, 3.1, np.float64(3.1), np.float32(3), np.int64(3)], ids=repr)
    def test_compile(self, x, k):
        for y in (cr.compile(lambda x, k: x * k)(x, k), cr.compile(lambda x, k=0: k * x)(x, k=k)):
            assert y.dtype == x.dtype
            np.testing.assert_array_equal(y.numpy(), (x * k).numpy())

    def test_kinds_are_traced_apart(self):
        f = cr.compile(lambda x, k: x * k)
        assert f(self.single, 2.5).dtype == "float32"
        assert f(self.single, cr.tensor(2, dtype="int64")).dtype == "float64"  # as arrays
        assert f(self.single, 2).dtype == "float32"

    def test_alone(self):
        f = cr.compile(lambda k: (k, 2 * k, k + k, cr.tanh(k), k.sum(), cr.reshape(k, (1,))))
        assert [y.dtype for y in f(2.0)] == 6 * ["float32"]
        assert [float(y[0]) if y.ndim else float(y) for y in f(2.0)][:3] == [2, 4, 4]

    def test_indices(self):
        f = cr.compile(lambda x, i: x[i] + cr.take(x, i))
        assert [float(f(X, i)) for i in (0, 1, -1)] == [2, 4, 6]

    def test_training_step(self):
        model = nn.Linear(3, 1, dtype="float64", seed=0)
        step = cr.training_step(
            lambda x, k: (k * model(x) ** 2).mean(), cr.optim.SGD(model.parameters(), lr=0.0)
        )
        x = X.numpy()[None]
        assert step(x, 3.1) == pytest.approx(3.1 * step(x, 1), rel=1e-14)
        assert step(x, k=np.float32(0.5)) == pytest.approx(0.5 * step(x, 1), rel=1e-14)

    def test_primals(self):
        out, pullback = cr.vjp(lambda x, k: x * k, X, 3.1)
        assert out.dtype == "float64"
        gx, gk = pullback(X)
        assert gk.dtype == "float64"
        assert float(gk) == 14
        np.testing.assert_array_equal(gx.numpy(), X.numpy() * 3.1)
        assert cr.grad(lambda k: k**3)(2.0).dtype == "float32"
        assert cr.grad(lambda k: k**3)(np.float64(2.0)).dtype == "float64"
        with pytest.raises(cr.DTypeError, match="argument 1 is int64"):
            cr.vjp(lambda x, k: x * k, X, 3)

    @pytest.mark.parametrize(
        "f",
        [
            lambda x, k: (1 - k) * x,
            lambda x, k: -k * x,
            lambda x, k: x / (1 - 0.9**k),
            lambda x, k: 1 / k * x,
            lambda x, k: x * (k / 3),
            lambda x, k: x * (k * k + 1),
            lambda x, k: x * cr.where(k > 1, k, 1 - k),
            lambda x, k: cr.clip(x, k, k + 1),
        ],
    )
    @pytest.mark.parametrize("k", [2, 0.3])
    def test_numbers_made_of_numbers(self, f, k):
        """Computed as Python does, in double, until a tensor is met."""
        for x in (X, self.single):
            y = cr.compile(f)(x, k)
            assert y.dtype == x.dtype
            expected = f(x, k) if "where" not in f.__code__.co_names else x * (k if k > 1 else 1 - k)
            np.testing.assert_array_equal(y.numpy(), expected.numpy())

    def test_among_differentiated_arguments(self):
        f = lambda x, k: (x * k).sum()  # noqa: E731
        for run in (cr.grad(f, argnums=(0, 1)), cr.compile(cr.grad(f, argnums=(0, 1)))):
            gx, gk = run(X, 3.1)
            np.testing.assert_array_equal(gx.numpy(), [3.1, 3.1, 3.1])
            assert (float(gk), gk.dtype) == (6, "float64")
        for run in (cr.grad(f, argnums=1), cr.compile(cr.grad(f, argnums=1))):
            assert run(X, 3.1).dtype == "float64"
            assert run(self.single, 3.1).dtype == "float32"
        assert cr.compile(cr.grad(lambda k: k**3))(2.0).dtype == "float32"
        per_sample = cr.vmap(cr.grad(lambda x, k: x * k, argnums=1), in_axes=(0, None))
        assert per_sample(X, 3.1).tolist() == [1, 2, 3]
        _, tangent = cr.compile(lambda x, k: cr.jvp(lambda x, k: x * k, (x, k), (x, 1.0)))(X, 3.1)
        np.testing.assert_allclose(tangent.numpy(), X.numpy() * 4.1)

    def test_own_rules(self):
        squared = cr.custom_gradient(lambda v: v * v, vjp=lambda v, g: 2 * v * g)
        y = cr.compile(lambda x, k: squared(k) * x)(self.single, 0.5)
        assert (y.dtype, y.tolist()) == ("float32", [0.25, 0.5, 0.75])

    def test_where_a_number_is_fixed(self):
        text = (
            r"leaky_relu: line .* negative_slope is a number that tracing fixes.*let the function refer to it"
        )
        with pytest.raises(cr.StateError, match=text):
            cr.compile(cr.leaky_relu)(X, 0.1)
        assert cr.compile(lambda k: cr.full((2,), k))(1.5).tolist() == [1.5, 1.5]


class TestIntegers:
    """Numbers beyond 2**53 stay what they are."""

    large = 2**53 + 1

    def test_full_and_pad(self):
        assert cr.full((2,), self.large, dtype="int64").tolist() == [self.large] * 2
        assert cr.full((2,), cr.tensor(self.large)).tolist() == [self.large] * 2
        assert cr.full((2,), 3).dtype == "float32"
        assert cr.pad(cr.tensor([1]), 1, constant_values=self.large).tolist() == [self.large, 1, self.large]

    def test_clip(self):
        x = cr.tensor([-5, self.large, 2**60 + 1])
        assert cr.clip(x, 0, 2**60 + 1).tolist() == [0, self.large, 2**60 + 1]
        assert cr.clip(x, self.large, None).tolist() == [self.large, self.large, 2**60 + 1]
        assert cr.clip(cr.tensor([1, 2, 3]), 0, 2.5).tolist() == np.clip([1, 2, 3], 0, 2.5).tolist()

    def test_small_dtypes_do_not_wrap(self):
        small = cr.tensor(np.array([1, 2], np.uint8))
        assert cr.compile(lambda x, a: x + a)(small, 300).tolist() == [301, 302]
        assert cr.compile(lambda x, a: x > a)(small, -1).tolist() == [True, True]
        assert cr.compile(lambda x, a: cr.where(x > 1, x, a))(small, -1).tolist() == [-1, 2]
        assert cr.compile(lambda x, a: x + a)(cr.tensor([1], dtype="int32"), 2**40).tolist() == [2**40 + 1]
        with pytest.raises(cr.ValueError, match="the number does not fit uint8: 300"):
            cr.full((2,), 300, dtype="uint8")


@pytest.mark.parametrize("transform", [cr.vmap, lambda f: lambda x: cr.trace(f, x)], ids=["vmap", "trace"])
def test_draws_of_numpy_are_seen(transform):
    rng = np.random.default_rng(0)
    for f in (lambda x: x * rng.random(), lambda x: x + rng.normal(size=x.shape)):
        with pytest.raises(
            cr.ValueError, match=r"a constant differs between two calls of the function: .*np.random"
        ):
            transform(f)(X)
    transform(lambda x: x * cr.random.normal(x.shape, dtype="float64") + 2)(X)


def test_gradient_is_forgotten_by_none():
    x = cr.tensor(2.0, requires_grad=True)
    (x * x).backward()
    with pytest.raises(TypeError, match="grad: only None can be assigned"):
        x.grad = 1
    assert float(x.grad) == 4
    x.grad = None
    assert x.grad is None
