"""Tensors in lists keep their gradients, and NumPy does not take them where they would be lost."""

from __future__ import annotations

import math
import re

import chainrule as cr
import numpy as np
import pytest

V = np.array([1.0, -2.0])


LISTS = {  # functions of a list, beside NumPy's of an array
    "sum": (lambda x: cr.sum([x * 2, x * 3]), 5 * np.ones(2)),
    "binary": (lambda x: cr.multiply([x, x], 3.0).sum(), 6 * np.ones(2)),
    "operator": (lambda x: (x * [x, x]).sum(), 4 * V),
    "tensor": (lambda x: (cr.tensor([x * 2, x]) ** 2).sum(), 10 * V),
    "nested": (lambda x: cr.sum([[x[0], x[1] * 2], [3.0, x[0] * x[1]]]), [1 + V[1], 2 + V[0]]),
    "tuple": (lambda x: cr.max((x[0], x[1])), [1, 0]),
    "numbers": (lambda x: (cr.tensor([x, [1.0, 3.0]]) * np.array([1.0, 2.0])).sum(), [1, 2]),
    "rows": (lambda x: (cr.matmul([x, x], x)).sum(), 4 * V),
    "copy": (lambda x: (cr.tensor(x * 2) * x).sum(), 4 * V),
}


@pytest.mark.parametrize("name", LISTS)
def test_gradients_go_through_lists(name):
    f, expected = LISTS[name]
    x = cr.tensor(V)
    for run in (cr.grad(f), cr.compile(cr.grad(f)), cr.grad(cr.compile(f))):
        np.testing.assert_allclose(run(x).numpy(), expected)
    leaf = cr.tensor(V, requires_grad=True)
    f(leaf).backward()
    np.testing.assert_allclose(leaf.grad.numpy(), expected)
    np.testing.assert_allclose(cr.jvp(f, x, cr.tensor(V))[1].item(), np.dot(expected, V))


def test_dtypes_in_lists():
    x = cr.tensor(V)
    assert cr.tensor([x, [1.0, 2.0]]).dtype == "float64"  # Python's floats follow the tensors
    assert cr.tensor([x[0], 1]).dtype == "float64"
    assert cr.tensor([cr.tensor(1), cr.tensor(2)]).dtype == "int64"
    assert cr.tensor([cr.tensor(1), 2.5]).numpy().tolist() == [1, 2.5]
    assert cr.tensor([x, x], dtype="float32").dtype == "float32"
    with pytest.raises(cr.DTypeError, match="float32"):
        cr.tensor([x, np.float32([1, 2])])
    with pytest.raises(
        cr.ShapeError,
        match=r"^sum: the entries of a list have different shapes: \(2,\) and \(\); all must be equal$",
    ):
        cr.sum([x, x[0]])


def test_tensor_is_a_copy_and_a_leaf_on_request():
    x = cr.tensor(V, requires_grad=True)
    copy = cr.tensor(x)
    assert not copy.is_leaf
    with cr.no_grad():
        assert not cr.tensor([x, x]).requires_grad
        x.copy_(np.zeros(2))
    assert copy.numpy().tolist() == V.tolist()
    leaf = cr.tensor([x * 2, x], requires_grad=True)
    assert leaf.is_leaf
    assert cr.Tensor(x * 2).is_leaf
    assert cr.nn.Parameter([x[0] * 2, x[1]]).is_leaf


def test_indices_in_lists():
    x, i = cr.tensor(V), cr.tensor(1)
    assert x[[i, 0]].numpy().tolist() == [-2, 1]
    fast = cr.compile(lambda x, i: x[[i, 0]])
    assert fast(x, i).numpy().tolist() == [-2, 1]


def assign(x):
    a = np.zeros((2, 2))
    a[0] = x * 2
    return cr.sum(a)


def assign_element(x):
    a = np.zeros(2)
    a[0] = x[0] * 2
    return cr.sum(a)


CONVERSIONS = {
    "asarray": lambda x: cr.sum(np.asarray(x * 2)),
    "array": lambda x: cr.sum(np.array([x, x])),
    "array of numbers": lambda x: cr.sum(np.array([x[0], x[1]])),
    "assign": assign,
    "assign an element": assign_element,
}


@pytest.mark.parametrize("name", CONVERSIONS)
def test_arrays_do_not_lose_a_gradient(name):
    f = CONVERSIONS[name]
    lost = r"the gradient of a tensor of shape .* would be lost in an array; .*stack.*x\.numpy\(\)"
    refused(lambda: cr.grad(f)(cr.tensor(V)), lost)
    refused(lambda: cr.compile(f)(cr.tensor(V)), "a traced tensor has no value yet; ")
    refused(lambda: cr.vmap(f)(cr.tensor(V[None])), "a traced tensor has no value yet; ")
    f(cr.tensor(V))  # elsewhere it is a look at the values


def refused(call, text):
    with pytest.raises((cr.StateError, ValueError)) as caught:
        call()
    error = caught.value if isinstance(caught.value, cr.StateError) else caught.value.__cause__
    assert re.match(r"(numpy|float): line \d+ of test_lists.py: " + text, str(error))


def test_what_a_traced_function_captured_is_not_lost_either():
    w = cr.tensor(V, requires_grad=True)
    p = cr.nn.Parameter(V)
    for leaf in (w, p):
        assert np.asarray(leaf).tolist() == V.tolist()
        with pytest.raises(cr.StateError, match="the gradient of a tensor"):
            cr.compile(lambda x, leaf=leaf: x * np.asarray(leaf))(cr.tensor(V))
        cr.compile(lambda x, leaf=leaf: x * leaf.numpy())(cr.tensor(V))
        with cr.no_grad():
            assert np.array([leaf, leaf]).shape == (2, 2)


def test_looks_at_values_are_written_out():
    """What names itself a value is one, as float(t) in the condition of a loop."""

    def f(x):
        assert float(x[0]) == x[0].item() == x.numpy()[0] == x.tolist()[0] == np.asarray(x.detach())[0]
        assert 1.0 in x
        return (x * x).sum() * math.exp(0.0 * x[0])

    np.testing.assert_allclose(cr.grad(f)(cr.tensor(V)).numpy(), 2 * V)


@pytest.mark.parametrize(
    ("name", "use"),
    [
        ("numpy", lambda x: x.numpy()),
        ("numpy", np.asarray),
        ("tolist", lambda x: x.tolist()),
        ("item", lambda x: x[0].item()),
        ("float", lambda x: math.sin(x[0])),
        ("bool", lambda x: bool(x[0])),
        ("in", lambda x: 1.0 in x),
    ],
)
def test_traced_values_name_the_line(name, use):
    with pytest.raises(
        cr.StateError, match=rf"^{name}: line \d+ of test_lists.py: a traced tensor has no value yet; "
    ):
        cr.compile(use)(cr.tensor(V))
