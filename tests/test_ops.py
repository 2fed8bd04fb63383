"""Every op, driven by the case table (cases.py): values, dtypes, error texts.

The registry, the table, the Python names and their documentation are compared as well. Derivatives are tested
in test_op_derivatives.py; layouts, threads and compiled runs in test_op_bits.py.
"""

from __future__ import annotations

import inspect

import chainrule as cr
import numpy as np
import pytest
from cases import Case, Special
from checks import CASES, FLOATS, SAMPLES, each, each_case, float64, numpy, same_bits

# Public functions that compute nothing from tensors, or only under another name.
NOT_OPS = {
    "backward",
    "check_gradients",
    "compile",
    "concatenate",
    "config",
    "custom_gradient",
    "directional_derivative",
    "explain",
    "from_numpy",
    "full",
    "cross_validate",
    "grid_search",
    "histograms",
    "plot_confusion_matrix",
    "plot_histograms",
    "plot_schedule",
    "random_search",
    "functional_call",
    "grad",
    "grad_enabled",
    "has_bf16",
    "hessian",
    "hvp",
    "isa_level",
    "jacobian",
    "jvp",
    "linearize",
    "load",
    "loads",
    "manual_seed",
    "memory_use",
    "nonzero",
    "num_threads",
    "ones",
    "op_table",
    "reset_peak_memory",
    "save",
    "set_num_threads",
    "show_config",
    "stop_gradient",
    "tensor",
    "trace",
    "training_step",
    "value_and_grad",
    "vjp",
    "vmap",
    "zeros",
}

COUNTING = ("sum", "prod", "cumsum", "cumprod")  # as in NumPy, sums of small integers and bools are int64


def reference(case, arrays, kwargs):
    with np.errstate(all="ignore"):
        return np.asarray(case.reference(*map(float64, arrays), **kwargs))


def allowed(case, arrays, kwargs, expected, dtype):
    """The largest fair difference per element: `ulp` units in the last place at the size of the result or
    `scale`."""
    ulp = case.ulp64 if dtype == "float64" and case.ulp64 is not None else case.ulp
    if dtype == "float64" and ulp > 0.5:
        ulp += 4  # what NumPy's own float64 functions may be off
    with np.errstate(all="ignore"):
        size = (
            np.abs(expected)
            if case.scale is None
            else np.asarray(case.scale(*map(float64, arrays), **kwargs))
        )
        return ulp * np.spacing(np.maximum(size, np.finfo(dtype).tiny).astype(dtype)).astype(np.float64)


TABLE = {op["name"]: op for op in cr._core.op_table()}
BY_NAME = {case.name: case for case in CASES}


class TestNames:
    def test_no_case_twice(self):
        assert len(BY_NAME) == len(CASES)

    def test_registry_and_cases(self):
        public = {name for name, op in TABLE.items() if not op["internal"]}
        assert public == {name for name, case in BY_NAME.items() if not case.composed}

    def test_composed_ops_are_not_in_the_registry(self):
        assert not [name for name, case in BY_NAME.items() if case.composed and name in TABLE]

    def test_cases_and_python_names(self):
        public = {name for name in cr.__all__ if callable(getattr(cr, name))}
        classes = {name for name in public if inspect.isclass(getattr(cr, name))}
        assert public - classes - NOT_OPS == set(BY_NAME) - {"slice"}  # which is written t[...]

    @each_case(CASES)
    def test_documented(self, case):
        documented = cr.Tensor.__getitem__ if case.name == "slice" else getattr(cr, case.name)
        assert documented.__doc__
        if case.name != "slice":
            prose = documented.__doc__.partition("\n")[2].strip()  # behind the signature
            assert len(prose) > 2, f"{case.name} has no description"
        if not case.composed:
            assert TABLE[case.name]["doc"].endswith(".")

    def test_every_op_has_a_doc_and_a_version(self):
        assert not [name for name, op in TABLE.items() if len(op["doc"]) < 3 or op["version"] < 1]

    @each_case([case for case in CASES if not case.composed and case.name != "reshape"])
    def test_dtypes(self, case):
        dtypes = set(TABLE[case.name]["dtypes"])
        widened = {"int32", "bool"} if case.name in COUNTING else set()
        assert dtypes >= set(FLOATS) | set(case.integers) - widened

    @each_case([case for case in CASES if not case.composed])
    def test_smooth_is_what_the_registry_says(self, case):
        derivative = TABLE[case.name]["derivative"]
        assert case.smooth == (derivative != "none")


@pytest.mark.parametrize("dtype", FLOATS)
class TestForward:
    @each(SAMPLES)
    def test_against_reference(self, case, sample, dtype):
        for seed in range(3):
            arrays = case.draw(sample, seed, dtype)
            expected = reference(case, arrays, sample.kwargs)
            actual = numpy(case(*arrays, **sample.kwargs))
            assert actual.shape == expected.shape
            if expected.dtype.kind != "f":
                assert actual.dtype == (expected.dtype if expected.dtype.kind == "b" else np.int64)
                np.testing.assert_array_equal(actual, expected)
                continue
            assert actual.dtype == sample.kwargs.get("dtype", "float32" if case.name == "one_hot" else dtype)
            error = np.abs(actual.astype(np.float64) - expected)
            limit = allowed(case, arrays, sample.kwargs, expected, str(actual.dtype))
            worst = np.max(error / np.where(limit > 0, limit, 1), initial=0)
            assert np.all(error <= limit), f"{worst:.3g} times the error that is allowed"

    @pytest.mark.parametrize(
        ("case", "given"),
        [(c, s) for c in CASES for s in c.specials],
        ids=lambda v: v.name if isinstance(v, Case) else None,
    )
    def test_special_values(self, case, given: Special, dtype):
        def array(value):  # index operands and bool masks are arrays or lists of bools already
            a = np.asarray(value)
            return a if a.dtype.kind in "bu" or isinstance(value, np.ndarray) else a.astype(dtype)

        expected = np.asarray(given.expected)
        inputs = [array(x) for x in given.inputs]
        actual = numpy(case(*inputs, **given.kwargs))
        if (
            expected.dtype.kind != "f" and isinstance(given.expected, np.ndarray | np.generic)
        ) or actual.dtype.kind == "b":
            assert actual.dtype == expected.dtype
        expected = expected.astype(actual.dtype)
        np.testing.assert_array_equal(actual, expected)
        zeros = expected == 0
        np.testing.assert_array_equal(
            np.signbit(actual[zeros]), np.signbit(expected[zeros]), "signs of zeros"
        )

    @each_case(
        [case for case in CASES if len(case.args) == 1 and case.samples[0].shapes == ((),) and case.rows]
    )
    def test_special_values_anywhere(self, case, dtype):
        """One special value in a vector of any length up to two packets and a tail changes no other
        element."""
        usual = case.args[0].draw(np.random.default_rng(1), (67,), dtype)
        kwargs = case.samples[0].kwargs
        everywhere = numpy(case(usual, **kwargs))
        for value in (0.0, -0.0, np.inf, -np.inf, np.nan, 1e4, -1e4, np.finfo(dtype).tiny / 4):
            alone = numpy(case(np.full(1, value, dtype), **kwargs))
            for place in (0, 5, 15, 31, 64, 66):
                x = usual.copy()
                x[place] = value
                y = numpy(case(x, **kwargs))
                same_bits(y[place : place + 1], alone)
                same_bits(np.delete(y, place), np.delete(everywhere, place))


class TestIntegers:
    @pytest.mark.parametrize(
        ("case", "dtype"), [(case, dtype) for case in CASES for dtype in case.integers], ids=str
    )
    def test_exact(self, case, dtype):
        rng = np.random.default_rng(0)
        for sample in case.samples:
            arrays = [
                arg.draw(rng, s)
                if arg.kind != "float"
                else np.asarray(rng.integers(0, 2 if dtype == "bool" else 12, s)).astype(dtype)
                for arg, s in zip((*case.args, *case.args[-1:] * 2), sample.shapes, strict=False)
            ]
            if dtype in ("int32", "int64") and case.args[0].kind == "float":
                arrays[0] = np.asarray(arrays[0] - arrays[0].dtype.type(6))
            kwargs = {k: v for k, v in sample.kwargs.items() if (k, v) != ("low", -1)} | (
                {"low": 1} if case.name == "clip" else {}
            )
            if case.name == "clip":
                kwargs["high"] = 5
            expected = np.asarray(case.reference(*arrays, **kwargs))
            actual = numpy(case(*arrays, **kwargs))
            np.testing.assert_array_equal(actual, expected)
            if case.name in ("argmax", "argmin", "argsort", *COUNTING):
                assert actual.dtype == np.int64
            elif actual.dtype.kind != "b":
                assert actual.dtype == dtype

    @pytest.mark.parametrize(
        ("a", "b", "out"),
        [
            ("int32", "int64", "int64"),
            ("uint8", "int32", "int32"),
            ("uint8", "int64", "int64"),
            ("bool", "uint8", "uint8"),
            ("bool", "int32", "int32"),
            ("bool", "float32", "float32"),
            ("uint8", "float32", "float32"),
            ("int32", "float32", "float64"),
            ("int64", "float32", "float64"),
            ("int64", "float64", "float64"),
            ("float32", "float32", "float32"),
        ],
    )
    def test_promotion_is_numpys(self, a, b, out):
        x, y = np.ones(3, a), np.ones(3, b)
        assert np.result_type(a, b) == out
        assert cr.add(x, y).dtype == cr.add(y, x).dtype == cr.maximum(x, y).dtype == out
        assert cr.equal(x, y).dtype == "bool"

    @pytest.mark.parametrize("dtype", ["float32", "float64", "int32", "int64", "uint8"])
    def test_python_numbers_take_the_other_dtype(self, dtype):
        x = np.full(3, 2, dtype)
        assert (cr.tensor(x) + 1).dtype == (3 * cr.tensor(x)).dtype == dtype
        expected = "float64" if dtype in ("int32", "int64", "uint8") else dtype
        assert (cr.tensor(x) + 1.5).dtype == (cr.tensor(x) / 2).dtype == expected

    @pytest.mark.parametrize(
        "name", ["exp", "log", "tanh", "sigmoid", "sqrt", "relu", "softmax", "mean", "var", "logsumexp"]
    )
    def test_functions_of_integers_are_float64(self, name):
        y = getattr(cr, name)(np.array([1, 2, 3]))
        assert y.dtype == "float64"
        same_bits(numpy(y), numpy(getattr(cr, name)(np.array([1.0, 2.0, 3.0]))))


class TestIntegerProducts:
    """Powers and products of integers are integers, as NumPy's."""

    @pytest.mark.parametrize("dtype", ["int32", "int64", "uint8", "float32", "float64"])
    def test_second_power_is_square(self, dtype, rng):
        x = (rng.normal(size=(5, 67)) * 9).astype(dtype)
        for two in (2, 2.0) if x.dtype.kind == "f" else (2,):
            same_bits(numpy(cr.tensor(x) ** two), numpy(cr.square(x)))
            same_bits(numpy(cr.power(x, two)), numpy(cr.square(x)))
            graph = cr.trace(lambda t, two=two: t**two, x)
            assert "square" in str(graph)
            assert "power" not in str(graph)

    def test_powers_keep_dtype_or_become_float(self):
        x = cr.tensor(np.array([2, -3]))
        assert (x**3).dtype == "int64"
        np.testing.assert_array_equal(numpy(x**3), [8, -27])
        assert (x**0.5).dtype == (2.0**x).dtype == "float64"
        assert (2 ** cr.tensor(np.array([3, 0]))).dtype == "int64"

    def test_negative_exponents_are_refused_in_compiled_functions_too(self):
        fast = cr.compile(lambda a, b: a**b)
        a = np.arange(1, 2000)
        np.testing.assert_array_equal(numpy(fast(a, a % 3)), a ** (a % 3))
        for place in (0, 1000, 1998):
            b = a % 3
            b[place] = -1
            with pytest.raises(cr.ValueError, match=r"^power: integers to negative powers are not integers"):
                fast(a, b)

    def test_matrix_products_wrap_around(self):
        a = np.full((3, 4), 200, np.uint8)
        np.testing.assert_array_equal(numpy(cr.matmul(a, a.T)), a @ a.T)
        b = np.array([2**40, 3])
        np.testing.assert_array_equal(numpy(cr.matmul(b, b)), b @ b)
        assert cr.matmul(a, a.T.astype(np.int32)).dtype == "int32"
        assert cr.matmul(a, a.T.astype(np.float32)).dtype == "float32"

    def test_reductions_of_bools_and_small_integers(self):
        flags, small = np.array([True, False, True]), np.array([200, 100], np.uint8)
        for x in (flags, small, small.astype(np.int32)):
            for name in ("sum", "prod", "cumsum", "cumprod"):
                y = getattr(cr, name)(x)
                assert y.dtype == "int64"
                np.testing.assert_array_equal(numpy(y), getattr(np, name)(x))
            assert cr.mean(x).dtype == cr.var(x).dtype == cr.std(x).dtype == "float64"
            assert float(cr.mean(x)) == x.mean()


class TestOrder:
    def test_topk_says_where_its_values_are(self, rng):
        x = rng.permutation(60).reshape(3, 4, 5).astype(np.float32)
        for axis in (0, 1, -1):
            values, indices = cr.topk(x, 2, axis)
            assert indices.dtype == "int64"
            same_bits(np.take_along_axis(x, numpy(indices), axis), numpy(values))

    def test_order_of_equals_is_kept(self, rng):
        x = rng.integers(0, 5, 1000)
        np.testing.assert_array_equal(numpy(cr.argsort(x)), np.argsort(x, kind="stable"))
        np.testing.assert_array_equal(numpy(cr.topk(x, 1000)[1]), np.argsort(-x, kind="stable"))

    def test_gradients_go_where_the_entries_came_from(self):
        x, w = np.array([3.0, 1, 2, 5]), np.array([1.0, 10, 100, 1000])
        np.testing.assert_array_equal(numpy(cr.grad(lambda t: (w * cr.sort(t)).sum())(x)), [100, 1, 10, 1000])
        np.testing.assert_array_equal(numpy(cr.grad(lambda t: cr.topk(t, 2)[0].sum())(x)), [1, 0, 0, 1])


class TestErrors:
    @pytest.mark.parametrize(
        ("case", "given"),
        [(case, given) for case in CASES for given in case.errors],
        ids=lambda v: v.name if isinstance(v, Case) else v.text.partition(": ")[2][:40],
    )
    def test_text(self, case, given):
        with pytest.raises(given.error) as caught:
            case(*given.inputs, **given.kwargs)
        assert str(caught.value) == given.text

    @each_case(CASES)
    def test_every_op_refuses_something(self, case):
        assert case.errors

    @pytest.mark.parametrize(
        "value", ["a", None, {}, object(), np.array(["a"]), np.array([1j]), np.zeros(2, np.float16)]
    )
    @each_case([case for case in CASES if case.name not in ("concat", "slice", "cast")])
    def test_no_arrays_of_anything_else(self, case, value):
        inputs = [
            np.ones(2, bool if arg.kind == "bool" else np.int64 if arg.kind == "index" else np.float32)
            for arg in case.args
        ]
        with pytest.raises(cr.DTypeError, match=f"^{case.name}: "):
            case(value, *inputs[1:], **case.samples[0].kwargs)


class TestDropout:
    """What the case table cannot say about a random op."""

    def test_keeps_or_drops(self, rng):
        x = rng.normal(size=(1000, 64)).astype(np.float32)
        for p in (0.1, 0.25, 0.5, 0.9):
            y = numpy(cr.dropout(x, p))
            kept = y != 0
            np.testing.assert_array_equal(y[kept], (x * np.float32(1 / (1 - p)))[kept])
            assert abs(kept.mean() - (1 - p)) < 4 * np.sqrt(p * (1 - p) / x.size)
            rows = kept.mean(axis=1)  # no row is dropped as a whole
            assert rows.std() < 2 * np.sqrt(p * (1 - p) / 64)

    def test_the_seed_decides(self):
        x = np.ones(100, np.float32)
        first, second = numpy(cr.dropout(x, 0.5)), numpy(cr.dropout(x, 0.5))
        assert (first != second).any()
        cr.manual_seed(0)
        same_bits(numpy(cr.dropout(x, 0.5)), first)
        same_bits(numpy(cr.dropout(x, 0.5)), second)
        cr.manual_seed(1)
        assert (numpy(cr.dropout(x, 0.5)) != first).any()

    def test_gradient_uses_the_mask_of_the_value(self):
        out, pullback = cr.vjp(lambda x: cr.dropout(x, 0.25), np.ones(500))
        np.testing.assert_array_equal(numpy(pullback(np.full(500, 3.0))[0]), 3 * numpy(out))

    def test_compiled_draws_anew_in_every_run(self):
        fast = cr.compile(lambda x: cr.dropout(x, 0.5))
        x = np.ones(200, np.float32)
        assert (numpy(fast(x)) != numpy(fast(x))).any()
