"""The class Tensor in Python: conversion, operators, indexing, gradients; not what an op computes."""

import copy
import pickle

import chainrule as cr
import numpy as np
import pytest


def values(t):
    assert isinstance(t, cr.Tensor)
    return t.numpy()


class TestMaking:
    def test_python_numbers(self):
        assert cr.tensor([1.0, 2.0]).dtype == "float32"
        assert cr.tensor([1, 2]).dtype == "int64"
        assert cr.tensor([True]).dtype == "bool"
        assert cr.tensor(2.5).dtype == "float32"
        assert cr.tensor(2).dtype == "int64"
        assert cr.tensor(True).dtype == "bool"
        assert cr.tensor([[1.0], [2.0]]).shape == (2, 1)

    @pytest.mark.parametrize("dtype", ["float32", "float64", "int32", "int64", "uint8", "bool"])
    def test_arrays_keep_their_dtype(self, dtype):
        array = np.ones((2, 3), dtype)
        assert cr.tensor(array).dtype == dtype
        assert values(cr.tensor(array)).dtype == dtype

    def test_dtype_argument_is_exact(self):
        assert values(cr.tensor(0.1, dtype="float64")) == 0.1
        assert values(cr.tensor([0.1], dtype=np.float64))[0] == 0.1

    def test_tensor_copies(self):
        array = np.zeros(3)
        t = cr.tensor(array)
        array[0] = 1
        assert values(t)[0] == 0
        u = cr.tensor(t)
        t.copy_(np.ones(3))
        assert values(u)[0] == 0

    def test_from_numpy_shares_and_never_writes(self):
        array = np.zeros(3)
        t = cr.from_numpy(array)
        array[0] = 5
        assert values(t)[0] == 5
        with pytest.raises(cr.StateError):
            t.copy_(np.ones(3))
        assert array[1] == 0
        with pytest.raises(cr.ValueError, match=r"cr\.tensor"):
            cr.from_numpy(np.zeros((3, 3)).T[1:, ::2])

    def test_from_numpy_keeps_the_array_alive(self):
        t = cr.from_numpy(np.full(100_000, 7.0))
        np.zeros(100_000)
        assert float(t.sum()) == 700_000

    @pytest.mark.parametrize(
        "array",
        [
            np.zeros((4, 6))[:, ::2],
            np.asfortranarray(np.arange(6.0).reshape(2, 3)),
            np.arange(6)[::-1],
            np.zeros((0, 3)),
        ],
    )
    def test_any_layout(self, array):
        np.testing.assert_array_equal(values(cr.tensor(array)), array)
        np.testing.assert_array_equal(values(cr.tensor(array) + 0), array)

    def test_read_only_array(self):
        array = np.arange(3.0)
        array.setflags(write=False)
        np.testing.assert_array_equal(values(cr.tensor(array) * 2), array * 2)
        np.testing.assert_array_equal(values(cr.from_numpy(array)), array)

    @pytest.mark.parametrize(
        ("array", "hint"),
        [
            (np.zeros(2, np.float16), "float32"),
            (np.zeros(2, np.int16), "int64"),
            (np.zeros(2, np.uint64), "int64"),
            (np.zeros(2, np.complex64), "real and imaginary"),
            (np.zeros(2, object), "float32"),
            (np.array(["a"]), "encoded"),
            (np.zeros(2, ">f4"), "newbyteorder"),
            (np.zeros(2, "datetime64[s]"), "int64"),
            (np.zeros(2, np.uint64), r"arrays of uint64 .*\(np.int64\), which holds values below 2\*\*63"),
            (np.zeros(2, np.longdouble), r"np.float64\), which rounds"),
            (np.zeros(2, ">f4"), "arrays of >f4 are not supported"),
            (np.ma.masked_array([1.0, 2.0], [True, False]), r"masked arrays .* a.filled\(value\)"),
        ],
    )
    def test_other_dtypes_tell_how_to_convert(self, array, hint):
        with pytest.raises(cr.DTypeError, match=hint):
            cr.tensor(array)
        with pytest.raises(TypeError):
            cr.tensor([1.0, 2.0]) + array
        model = cr.nn.Linear(1, 2)
        trainer = cr.Trainer(model, cr.nn.CrossEntropyLoss(), cr.optim.Adam())
        good = np.zeros((2, 1), np.float32), np.zeros(2, np.int64)
        for use in (
            lambda: model.predict(array[:, None]),
            lambda: trainer.fit(array[:, None], good[1]),
            lambda: trainer.fit(good[0], array),
            lambda: trainer.fit(*good, sample_weight=array),
        ):
            with pytest.raises(cr.DTypeError, match=hint):
                use()

    def test_what_is_no_array(self):
        with pytest.raises(cr.DTypeError, match="got dict"):
            cr.tensor({})
        with pytest.raises(cr.DTypeError, match="got NoneType"):
            cr.tensor(None)
        with pytest.raises(ValueError, match="inhomogeneous"):
            cr.tensor([[1.0], [1.0, 2.0]])
        with pytest.raises(cr.ValueError, match="64 bits"):
            cr.tensor([1.0]) + 2**70

    def test_filled(self):
        assert values(cr.zeros((2, 3))).sum() == 0
        assert values(cr.ones(4, "int64")).sum() == 4
        assert values(cr.full((2,), 2.5)).tolist() == [2.5, 2.5]
        with pytest.raises(cr.ShapeError):
            cr.zeros((-1,))
        with pytest.raises(cr.ShapeError):
            cr.zeros((2**40, 2**40))


class TestLooking:
    def test_properties(self):
        t = cr.tensor([[1.0, 2.0, 3.0]])
        assert (t.shape, t.ndim, t.size, t.dtype, len(t)) == ((1, 3), 2, 3, "float32", 1)
        assert [row.shape for row in t] == [(3,)]
        with pytest.raises(cr.ShapeError):
            len(cr.tensor(1.0))
        with pytest.raises(cr.ShapeError):
            iter(cr.tensor(1.0))

    def test_numbers(self):
        assert float(cr.tensor(2.5)) == 2.5
        assert cr.tensor([[7]]).item() == 7
        assert isinstance(cr.tensor([[7]]).item(), int)
        assert isinstance(cr.tensor([1.0]).item(), float)
        assert cr.tensor(2**53 + 1).item() == 2**53 + 1
        assert cr.tensor(True).item() is True
        assert int(cr.tensor(3.7)) == 3
        with pytest.raises(cr.ShapeError, match=r"\(2,\)"):
            float(cr.tensor([1.0, 2.0]))

    def test_truth_of_one_element_only(self):
        assert cr.tensor(1.0)
        assert not cr.tensor([0])
        with pytest.raises(ValueError, match="one element"):
            bool(cr.tensor([1.0, 0.0]))

    def test_numpy(self):
        t = cr.tensor([[1.0, 2.0]])
        array = t.numpy()
        array[0, 0] = 9
        assert float(t[0, 0]) == 1
        assert np.asarray(t).dtype == np.float32
        assert np.asarray(t, dtype=np.float64).dtype == np.float64
        assert t.tolist() == [[1.0, 2.0]]
        assert np.array(t).shape == (1, 2)

    def test_text(self):
        t = cr.tensor([[1.0, 2.0]])
        assert "1" in repr(t)
        assert "\n" not in repr(cr.tensor(1.0))
        assert t._repr_html_().startswith("<pre>")

    def test_copies_and_pickles(self):
        t = cr.tensor([1.0, 2.0], requires_grad=True)
        for other in (copy.deepcopy(t), pickle.loads(pickle.dumps(t))):
            np.testing.assert_array_equal(other.numpy(), t.numpy())
            assert other.requires_grad
            other.copy_([5.0, 5.0])
        assert t.numpy()[0] == 1

    def test_hash_and_dict_keys(self):
        t = cr.tensor([1.0, 2.0])
        assert {t: "x"}[t] == "x"


class TestOperators:
    def test_arithmetic(self):
        a, b = np.array([1.0, 2.0]), np.array([4.0, 0.5])
        x, y = cr.tensor(a), cr.tensor(b)
        for got, want in [
            (x + y, a + b),
            (x - y, a - b),
            (x * y, a * b),
            (x / y, a / b),
            (x**y, a**b),
            (-x, -a),
            (+x, a),
            (abs(-x), a),
            (x @ y, a @ b),
        ]:
            np.testing.assert_allclose(values(got), want, rtol=1e-14)

    def test_reflected_with_numbers(self):
        a = np.array([1.0, 2.0])
        x = cr.tensor(a)
        for got, want in [(2 + x, 2 + a), (2 - x, 2 - a), (2 * x, 2 * a), (2 / x, 2 / a), (2**x, 2**a)]:
            np.testing.assert_allclose(values(got), want, rtol=1e-14)
            assert got.dtype == "float64"

    def test_ndarray_op_tensor_is_a_tensor(self):
        a = np.arange(6.0).reshape(2, 3)
        x = cr.tensor(a)
        for got, want in [(a + x, a + a), (a - x, a - a), (a * x, a * a), (a @ x.T, a @ a.T), (a > x, a > a)]:
            np.testing.assert_array_equal(values(got), want)
        assert isinstance(np.float64(2) * x, cr.Tensor)
        assert isinstance(np.array(2.0) * x, cr.Tensor)

    def test_scalars_take_the_other_dtype(self):
        x = cr.tensor([1.0])
        assert (
            (x * 2).dtype
            == (x * 2.0).dtype
            == (x * np.float64(2)).dtype
            == (x * np.int64(2)).dtype
            == "float32"
        )
        assert (cr.tensor([1], dtype="int32") + 1).dtype == "int32"

    def test_two_float_dtypes_are_refused(self):
        with pytest.raises(cr.DTypeError, match="astype"):
            cr.tensor([1.0]) + np.array([1.0])

    def test_comparisons(self):
        x = cr.tensor([1.0, 2.0, 3.0])
        assert values(x > 2).tolist() == [False, False, True]
        assert values(x == [1.0, 0.0, 3.0]).tolist() == [True, False, True]
        assert values(x <= 2.0).tolist() == [True, True, False]
        assert values(x != 2).dtype == bool

    def test_foreign_operands_are_left_alone(self):
        x = cr.tensor([1.0])
        assert (x == None) is False  # noqa: E711
        assert (x != "a") is True
        with pytest.raises(TypeError):
            x + "a"
        with pytest.raises(TypeError):
            x < None  # noqa: B015

        class Other:
            def __radd__(self, other):
                return "mine"

        assert x + Other() == "mine"

    def test_in_place_makes_a_new_one(self):
        x = y = cr.tensor([1.0])
        y += 1
        assert float(x) == 1
        assert float(y) == 2

    def test_large_arrays_release_the_gil_and_agree(self):
        a = np.random.default_rng(0).normal(size=(300, 400))
        np.testing.assert_array_equal(values(cr.tensor(a) * a), a * a)
        np.testing.assert_allclose(values(cr.tensor(a).sum(axis=0)), a.sum(axis=0), rtol=1e-12, atol=1e-12)


class TestShapes:
    def test_methods(self):
        a = np.arange(6.0).reshape(2, 3)
        t = cr.tensor(a)
        assert t.reshape(3, 2).shape == t.reshape((3, 2)).shape == t.reshape([3, -1]).shape == (3, 2)
        assert t.reshape(-1).shape == t.flatten().shape == (6,)
        np.testing.assert_array_equal(values(t.T), a.T)
        np.testing.assert_array_equal(values(t.transpose(1, 0)), a.T)
        np.testing.assert_array_equal(values(t.transpose()), a.T)
        assert t.expand_dims(0).shape == (1, 2, 3)
        assert t.expand_dims(0).squeeze().shape == (2, 3)
        assert t.expand_dims(0).squeeze(0).shape == (2, 3)

    @pytest.mark.parametrize("name", ["sum", "mean", "max", "min"])
    @pytest.mark.parametrize("axis", [None, 0, -1, (0, 1)])
    @pytest.mark.parametrize("keepdims", [False, True])
    def test_reductions(self, name, axis, keepdims):
        a = np.random.default_rng(0).normal(size=(3, 4))
        want = getattr(np, name)(a, axis=axis, keepdims=keepdims)
        for got in (
            getattr(cr.tensor(a), name)(axis=axis, keepdims=keepdims),
            getattr(cr, name)(a, axis=axis, keepdims=keepdims),
        ):
            np.testing.assert_allclose(values(got), want, rtol=1e-13)

    def test_axis_errors(self):
        t = cr.tensor([[1.0]])
        with pytest.raises(cr.Error):
            t.sum(axis=2)
        with pytest.raises(cr.ValueError, match="axis=None"):
            t.sum(axis=())
        with pytest.raises(cr.DTypeError, match="got float"):
            t.sum(axis=1.0)

    @pytest.mark.parametrize(
        "index",
        [
            0,
            -1,
            np.int64(1),
            slice(1, None),
            slice(None, None, 2),
            slice(None, None, -1),
            slice(-2, 100),
            slice(3, 1),
            (1, 2),
            (slice(None), 0),
            (..., 0),
            (0, ...),
            None,
            (slice(None), None),
            (0, None, slice(1, 3)),
            (..., None),
            (None, ..., 1, None),
            (slice(None), slice(None), slice(None)),
            (),
        ],
    )
    def test_indexing(self, index):
        a = np.arange(60.0).reshape(3, 4, 5)
        np.testing.assert_array_equal(values(cr.tensor(a)[index]), a[index])

    def test_indexing_errors(self):
        t = cr.tensor(np.zeros((3, 4)))
        with pytest.raises(IndexError, match=r"3 is out of bounds for axis 0 of shape \(3, 4\)"):
            t[3]
        with pytest.raises(IndexError, match="too many"):
            t[0, 0, 0]
        with pytest.raises(IndexError, match="only one"):
            t[..., 0, ...]
        with pytest.raises(cr.IndexError):
            t[True]
        with pytest.raises(cr.ValueError):
            t[::0]
        with pytest.raises(cr.StateError, match="where"):
            t[0] = 1

    def test_indexing_has_a_gradient(self):
        x = cr.tensor(np.arange(6.0).reshape(2, 3), requires_grad=True)
        (x[0, ::2] * 3).sum().backward()
        np.testing.assert_array_equal(x.grad.numpy(), [[3, 0, 3], [0, 0, 0]])


def test_format():
    loss = cr.tensor(0.12345)
    assert f"{loss:.3f} {cr.tensor([7]):03d} {loss.sum():>8.2f}" == "0.123 007     0.12"
    assert f"{loss}" == str(loss)
    with pytest.raises(cr.ShapeError, match="needs a tensor of one element"):
        format(cr.tensor([1.0, 2.0]), ".3f")
