"""Every op, driven by the case table (cases.py): values, derivatives, layouts, threads, compiled runs, errors.

The registry, the table, the Python names and their documentation are compared as well. What an op costs is not here.
"""

from __future__ import annotations

import inspect

import numpy as np
import pytest
from cases import Arg, Case, Sample, Special, all_cases

import chainrule as cr

CASES = all_cases()
FLOATS = ("float32", "float64")
ELEMENTWISE = {op["name"] for op in cr._core.op_table() if op["elementwise"]} | {"cast"}
SAMPLES = [(case, sample) for case in CASES for sample in case.samples]
SMOOTH = [(case, sample) for case, sample in SAMPLES if case.smooth and all(0 not in s for s in sample.shapes)]

# Public functions that compute nothing from tensors, or only under another name.
NOT_OPS = {
    "compile", "config", "from_numpy", "full", "grad", "grad_enabled", "isa_level", "jvp", "load", "loads", "manual_seed",
    "num_threads", "ones", "op_table", "save", "set_num_threads", "show_config", "stop_gradient", "tensor", "trace",
    "value_and_grad", "vjp", "zeros", "concatenate",
}  # fmt: skip


def describe(value):
    if isinstance(value, Case):
        return value.name
    if isinstance(value, Sample):
        given = ",".join("x".join(map(str, s)) or "scalar" for s in value.shapes)
        return given + "".join(f",{k}={v}" for k, v in value.kwargs.items())
    return None


def each(pairs):
    return pytest.mark.parametrize(("case", "sample"), pairs, ids=describe)


def each_case(cases):
    return pytest.mark.parametrize("case", list(cases), ids=describe)


def numpy(t):
    assert isinstance(t, cr.Tensor)
    return t.numpy()


def same_bits(a, b):
    """Equal to the last bit and the sign of zeros; the sign and payload of a NaN mean nothing."""
    a, b = np.asarray(a), np.asarray(b)
    assert a.dtype == b.dtype
    assert a.shape == b.shape
    different = a != b
    if a.dtype.kind == "f":
        different = (different & ~(np.isnan(a) & np.isnan(b))) | ((a == 0) & (b == 0) & (np.signbit(a) != np.signbit(b)))
    where = np.argwhere(different)
    assert not len(where), f"{len(where)} of {a.size} differ, the first at {where[0].tolist()}: {a[different][0]!r} and {b[different][0]!r}"


def float64(x):
    return x.astype(np.float64) if x.dtype.kind == "f" else x


def reference(case, arrays, kwargs):
    with np.errstate(all="ignore"):
        return np.asarray(case.reference(*map(float64, arrays), **kwargs))


def allowed(case, arrays, kwargs, expected, dtype):
    """The largest fair difference per element: `ulp` units in the last place at the size of the result or `scale`."""
    ulp = case.ulp64 if dtype == "float64" and case.ulp64 is not None else case.ulp
    if dtype == "float64" and ulp > 0.5:
        ulp += 4  # what NumPy's own float64 functions may be off
    with np.errstate(all="ignore"):
        size = np.abs(expected) if case.scale is None else np.asarray(case.scale(*map(float64, arrays), **kwargs))
        return ulp * np.spacing(np.maximum(size, np.finfo(dtype).tiny).astype(dtype)).astype(np.float64)


class TestNames:
    table = {op["name"]: op for op in cr._core.op_table()}
    cases = {case.name: case for case in CASES}
    functions = {
        name for name in cr.__all__ if callable(getattr(cr, name)) and not inspect.isclass(getattr(cr, name))
    } - NOT_OPS

    def test_no_case_twice(self):
        assert len(self.cases) == len(CASES)

    def test_registry_and_cases(self):
        public = {name for name, op in self.table.items() if not op["internal"]}
        assert public == {name for name, case in self.cases.items() if not case.composed}

    def test_composed_ops_are_not_in_the_registry(self):
        assert not [name for name, case in self.cases.items() if case.composed and name in self.table]

    def test_cases_and_python_names(self):
        assert self.functions == set(self.cases) - {"slice"}  # which is written t[...]

    @each_case(CASES)
    def test_documented(self, case):
        documented = cr.Tensor.__getitem__ if case.name == "slice" else getattr(cr, case.name)
        assert documented.__doc__
        if case.name != "slice":
            prose = documented.__doc__.partition("\n")[2].strip()  # behind the signature
            assert len(prose) > 2, f"{case.name} has no description"
        if not case.composed:
            assert self.table[case.name]["doc"].endswith(".")

    def test_every_op_has_a_doc_and_a_version(self):
        assert not [name for name, op in self.table.items() if len(op["doc"]) < 3 or op["version"] < 1]

    @each_case([case for case in CASES if not case.composed and case.name != "reshape"])
    def test_dtypes(self, case):
        dtypes = set(self.table[case.name]["dtypes"])
        widened = {"int32"} if case.name == "sum" else set()  # as in NumPy, sums of small integers are int64
        assert dtypes >= set(FLOATS) | set(case.integers) - widened

    @each_case([case for case in CASES if not case.composed])
    def test_smooth_is_what_the_registry_says(self, case):
        derivative = self.table[case.name]["derivative"]
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
        ("case", "given"), [(c, s) for c in CASES for s in c.specials], ids=lambda v: v.name if isinstance(v, Case) else None
    )
    def test_special_values(self, case, given: Special, dtype):
        def array(value):  # index operands and bool masks are arrays or lists of bools already
            a = np.asarray(value)
            return a if a.dtype.kind in "bu" or isinstance(value, np.ndarray) else a.astype(dtype)

        expected = np.asarray(given.expected)
        inputs = [array(x) for x in given.inputs]
        actual = numpy(case(*inputs, **given.kwargs))
        if expected.dtype.kind != "f" and isinstance(given.expected, np.ndarray | np.generic) or actual.dtype.kind == "b":
            assert actual.dtype == expected.dtype
        expected = expected.astype(actual.dtype)
        np.testing.assert_array_equal(actual, expected)
        zeros = expected == 0
        np.testing.assert_array_equal(np.signbit(actual[zeros]), np.signbit(expected[zeros]), "signs of zeros")

    @each_case([case for case in CASES if len(case.args) == 1 and case.samples[0].shapes == ((),) and case.rows])
    def test_special_values_anywhere(self, case, dtype):
        """One special value in a vector of any length up to two packets and a tail changes no other element."""
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
            kwargs = {k: v for k, v in sample.kwargs.items() if (k, v) != ("low", -1)} | ({"low": 1} if case.name == "clip" else {})
            if case.name == "clip":
                kwargs["high"] = 5
            expected = np.asarray(case.reference(*arrays, **kwargs))
            actual = numpy(case(*arrays, **kwargs))
            np.testing.assert_array_equal(actual, expected)
            if case.name in ("sum", "argmax"):
                assert actual.dtype == np.int64
            elif actual.dtype.kind != "b":
                assert actual.dtype == dtype

    @pytest.mark.parametrize(
        ("a", "b", "out"),
        [
            ("int32", "int64", "int64"), ("uint8", "int32", "int32"), ("uint8", "int64", "int64"), ("bool", "uint8", "uint8"),
            ("bool", "int32", "int32"), ("bool", "float32", "float32"), ("uint8", "float32", "float32"),
            ("int32", "float32", "float64"), ("int64", "float32", "float64"), ("int64", "float64", "float64"),
            ("float32", "float32", "float32"),
        ],
    )  # fmt: skip
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

    @pytest.mark.parametrize("name", ["exp", "log", "tanh", "sigmoid", "sqrt", "relu", "softmax", "mean", "var", "logsumexp"])
    def test_functions_of_integers_are_float64(self, name):
        y = getattr(cr, name)(np.array([1, 2, 3]))
        assert y.dtype == "float64"
        same_bits(numpy(y), numpy(getattr(cr, name)(np.array([1.0, 2.0, 3.0]))))


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

    @pytest.mark.parametrize("value", ["a", None, {}, object(), np.array(["a"]), np.array([1j]), np.zeros(2, np.float16)])
    @each_case([case for case in CASES if case.name not in ("concat", "slice", "cast")])
    def test_no_arrays_of_anything_else(self, case, value):
        inputs = [np.ones(2, bool if arg.kind == "bool" else np.int64 if arg.kind == "index" else np.float32) for arg in case.args]
        with pytest.raises(cr.DTypeError, match=f"^{case.name}: "):
            case(value, *inputs[1:], **case.samples[0].kwargs)


def tensors(arrays):
    return [cr.tensor(a) for a in arrays]


def split(case, arrays):
    """(the differentiable operands, a function of them with the others fixed)."""
    last = len(case.args) - 1
    moving = [i for i in range(len(arrays)) if min(i, last) in case.differentiable]

    def f(*xs, kwargs):
        operands = list(arrays)
        for i, x in zip(moving, xs, strict=True):
            operands[i] = x
        return case(*operands, **kwargs)

    return [arrays[i] for i in moving], f


def difference(f, x, step=1e-3):
    """d f / d x of scalar f by differences that leave an error of order step^4."""
    g = np.zeros_like(x)
    for i in np.ndindex(x.shape):
        values = []
        for k in (-2, -1, 1, 2):
            moved = x.copy()
            moved[i] += k * step
            values.append(f(moved))
        g[i] = (values[0] - 8 * values[1] + 8 * values[2] - values[3]) / (12 * step)
    return g


class TestDerivatives:
    @each([(c, s) for c, s in SMOOTH if c.name not in ("sign", "cast") and sum(np.prod(x) for x in s.shapes) <= 300])
    def test_vjp_against_differences(self, case, sample):
        arrays, f = split(case, case.draw(sample))
        rng = np.random.default_rng(3)
        out, pullback = cr.vjp(lambda *x: f(*x, kwargs=sample.kwargs), *arrays)
        u = rng.normal(size=out.shape)
        gradients = pullback(u)
        assert len(gradients) == len(arrays)
        for k, (x, g) in enumerate(zip(arrays, gradients, strict=True)):
            assert g.shape == x.shape
            assert g.dtype == "float64"

            def moved(value, k=k):
                return float(np.sum(u * numpy(f(*arrays[:k], value, *arrays[k + 1 :], kwargs=sample.kwargs))))

            np.testing.assert_allclose(numpy(g), difference(moved, x), rtol=1e-8, atol=2e-9)

    @pytest.mark.parametrize("dtype", FLOATS)
    @each(SMOOTH)
    def test_vjp_and_jvp_agree(self, case, sample, dtype):
        """<u, J v> = <J' u, v>: no step size, and the two modes share no rule that could be wrong in both."""
        if dtype != "float64" and "dtype" in sample.kwargs:
            pytest.skip("the dtype of the result is an attribute")
        rng = np.random.default_rng(4)
        arrays, f = split(case, case.draw(sample, dtype=dtype))
        g = lambda *x: f(*x, kwargs=sample.kwargs)  # noqa: E731
        v = [rng.normal(size=x.shape).astype(dtype) for x in arrays]
        out, tangent = cr.jvp(g, tuple(arrays), tuple(v))
        value, pullback = cr.vjp(g, *arrays)
        u = rng.normal(size=out.shape).astype(out.dtype)
        same_bits(numpy(value), numpy(out))
        same_bits(numpy(value), numpy(g(*arrays)))
        assert tangent.shape == out.shape
        forward = np.float64(u).ravel() @ np.float64(numpy(tangent)).ravel()
        parts = [np.float64(numpy(gx)).ravel() * np.float64(vx).ravel() for gx, vx in zip(pullback(u), v, strict=True)]
        backward = sum(p.sum() for p in parts)
        size = sum(np.abs(p).sum() for p in parts) + np.abs(np.float64(u) * np.float64(numpy(tangent))).sum()
        eps = np.finfo(np.float32 if str(out.dtype) == "float32" else dtype).eps
        assert abs(forward - backward) <= 32 * eps * max(size, 1e-30)

    @each([(c, s) for c, s in SMOOTH if len(c.differentiable) > 0])
    def test_float32_gradient_is_float64s(self, case, sample):
        if "dtype" in sample.kwargs:
            pytest.skip("the dtype of the result is an attribute")
        exact, f = split(case, case.draw(sample, dtype="float32"))
        g = lambda *x: f(*x, kwargs=sample.kwargs)  # noqa: E731
        out, pullback = cr.vjp(g, *exact)
        u = np.random.default_rng(5).normal(size=out.shape).astype(np.float32)
        fixed = [float64(a) for a in case.draw(sample, dtype="float32")]
        exact64, f64 = split(case, fixed)
        _, pullback64 = cr.vjp(lambda *x: f64(*x, kwargs=sample.kwargs), *exact64)
        for a, b in zip(pullback(u), pullback64(u.astype(np.float64)), strict=True):
            assert a.dtype == "float32"
            np.testing.assert_allclose(numpy(a), numpy(b), rtol=2e-4, atol=2e-5 * max(1, np.abs(numpy(b)).max(initial=0)))

    @each_case([case for case in CASES if case.smooth])
    def test_empty_arrays_have_empty_gradients(self, case):
        for sample in case.samples:
            if all(0 not in s for s in sample.shapes):
                continue
            arrays, f = split(case, case.draw(sample))
            out, pullback = cr.vjp(lambda *x: f(*x, kwargs=sample.kwargs), *arrays)
            for x, g in zip(arrays, pullback(np.ones(out.shape)), strict=True):
                assert g.shape == x.shape
                assert g.dtype == "float64"

    @each_case([case for case in CASES if not case.smooth])
    def test_no_gradient_where_there_is_none(self, case):
        sample = case.samples[0]
        arrays = [cr.tensor(a) for a in case.draw(sample)]
        for a in arrays:
            if a.dtype == "float64":
                a.requires_grad_()
        assert not case(*arrays, **sample.kwargs).requires_grad

    def test_kinks(self):
        """At its kinks an op gives the derivative its documentation names, not NaN."""
        def slope(f, x):
            return float(cr.grad(f)(np.float64(x)))

        assert slope(cr.relu, 0.0) == slope(cr.abs, 0.0) == slope(cr.sign, 3.0) == 0
        assert slope(lambda x: cr.leaky_relu(x, 0.25), 0.0) == 0.25
        assert slope(cr.elu, 0.0) == 1
        assert slope(lambda x: cr.clip(x, -1, 2), -1.0) == slope(lambda x: cr.clip(x, -1, 2), 2.0) == 1
        assert slope(cr.sqrt, 0.0) == np.inf
        assert slope(lambda x: cr.power(x, 2.0), 0.0) == slope(lambda x: cr.power(x, 0.0), 0.0) == 0
        for shared in (cr.maximum, cr.minimum):
            assert [float(g) for g in cr.grad(shared, argnums=(0, 1))(np.float64(1), np.float64(1))] == [0.5, 0.5]
        for reduction in (cr.max, cr.min):
            np.testing.assert_array_equal(numpy(cr.grad(reduction)(np.full(4, 3.0))), 0.25)

    @pytest.mark.parametrize("x", [1e4, -1e4, np.inf, -np.inf])
    @pytest.mark.parametrize("name", ["sigmoid", "tanh", "softplus", "gelu", "gelu_tanh", "silu", "erf", "elu", "relu"])
    def test_derivatives_far_out_are_limits(self, name, x):
        g = float(cr.grad(getattr(cr, name))(np.float64(x)))
        flat = name in ("sigmoid", "tanh", "erf") or x < 0
        assert g == (0 if flat else 1)


class TestLayouts:
    @each([(case, sample) for case in CASES for sample in case.samples[:6] if sample.shapes])
    def test_any_numpy_array(self, case, sample):
        arrays = case.draw(sample, dtype="float32")
        expected = numpy(case(*arrays, **sample.kwargs))

        def strided(a):
            wide = np.zeros((*a.shape, 3), a.dtype)
            wide[..., 1] = a
            return wide[..., 1]

        def backwards(a):
            return np.flip(np.flip(a).copy())

        def read_only(a):
            a = a.copy()
            a.setflags(write=False)
            return a

        def misaligned(a):
            raw = np.zeros(a.nbytes + 1, np.uint8)
            view = raw[1:].view(a.dtype).reshape(a.shape)
            view[...] = a
            return view

        def fortran(a):
            return np.array(a, order="F")

        for change in (strided, backwards, read_only, misaligned, fortran):
            changed = [change(a) for a in arrays]
            before = [a.tobytes() for a in changed]
            same_bits(numpy(case(*changed, **sample.kwargs)), expected)
            assert [a.tobytes() for a in changed] == before, "the caller's memory was written"

    @each_case([case for case in CASES if case.name != "dropout"])
    def test_address_offsets(self, case):
        """Memory of the caller is read in place, at whatever address it lies."""
        for sample in case.samples:
            arrays = case.draw(sample, dtype="float32")
            expected = numpy(case(*arrays, **sample.kwargs))
            for offset in (1, 3, 7, 15):
                shifted = []
                for a in arrays:
                    room = np.empty(a.size + 128, a.dtype)
                    start = (-room.ctypes.data // a.itemsize) % (64 // a.itemsize) + offset
                    view = room[start : start + a.size].reshape(a.shape)
                    view[...] = a
                    shifted.append(cr.from_numpy(view))
                same_bits(numpy(case(*shifted, **sample.kwargs)), expected)


class TestSameBits:
    @pytest.mark.parametrize("dtype", FLOATS)
    @each_case([case for case in CASES if case.rows and case.args[0].kind != "index"])
    def test_row_of_a_batch_is_a_batch_of_one(self, case, dtype):
        for sample in case.samples:
            first, elementwise = sample.shapes[0], case.name in ELEMENTWISE
            if len(first) < (1 if elementwise else 2) or first[0] < 2 or sample.kwargs.get("axis", -1) == 0:
                continue
            if any(len(s) > len(first) for s in sample.shapes):
                continue  # the first operand is the one that is broadcast
            arrays = case.draw(sample, dtype=dtype)
            whole = numpy(case(*arrays, **sample.kwargs))
            for i in {0, 1, first[0] // 2, first[0] - 1}:
                rows = [
                    a[i : i + 1] if a.shape[:1] == first[:1] and (a.ndim == len(first) or not elementwise) else a
                    for a in arrays
                ]
                same_bits(numpy(case(*rows, **sample.kwargs)), whole[i : i + 1])

    @pytest.mark.parametrize("dtype", FLOATS)
    @pytest.mark.parametrize(("m", "k", "n"), [(5, 3, 7), (33, 64, 10), (67, 65, 67), (17, 1030, 33), (128, 784, 65)])
    def test_rows_and_columns_of_a_product(self, m, k, n, dtype, rng):
        a, b = rng.normal(size=(m, k)).astype(dtype), rng.normal(size=(k, n)).astype(dtype)
        whole = numpy(cr.matmul(a, b))
        for i in {0, 1, m // 2, m - 1}:
            same_bits(numpy(cr.matmul(a[i : i + 1], b)), whole[i : i + 1])
            same_bits(numpy(cr.matmul(a[i], b)), whole[i])
        for j in {0, n // 2, n - 1}:
            same_bits(numpy(cr.matmul(a, b[:, j : j + 1])), whole[:, j : j + 1])
        same_bits(numpy(cr.matmul(a.T, b, transpose_a=True)), whole)
        same_bits(numpy(cr.matmul(a, np.ascontiguousarray(b.T), transpose_b=True)), whole)
        same_bits(numpy(cr.matmul(np.stack([a, a]), b))[1], whole)

    @pytest.mark.parametrize("dtype", FLOATS)
    @each_case([case for case in CASES if len(case.args) == 1 and case.rows and case.samples[0].shapes == ((),)])
    def test_tails(self, case, dtype):
        """Any length from 1 to 67, any start: the bits of an element depend on its value only."""
        x = case.args[0].draw(np.random.default_rng(2), (67 + 16,), dtype)
        kwargs = case.samples[0].kwargs
        whole = numpy(case(x, **kwargs))
        for n in range(1, 68):
            same_bits(numpy(case(x[:n], **kwargs)), whole[:n])
            start = n % 16
            same_bits(numpy(case(x[start : start + n], **kwargs)), whole[start : start + n])

    @each_case(CASES)
    def test_threads(self, case):
        for sample in case.bench:
            arrays = case.draw(sample, dtype="float32")
            moving, f = split(case, arrays)
            results = []
            for threads in (1, 2, 3, 1):
                cr.set_num_threads(threads)
                cr.manual_seed(0)
                out = [numpy(case(*arrays, **sample.kwargs))]
                if moving and threads > 0:
                    value, pullback = cr.vjp(lambda *x: f(*x, kwargs=sample.kwargs), *moving)
                    out += [numpy(g) for g in pullback(np.ones(value.shape, value.dtype))]
                results.append(out)
            for other in results[1:]:
                for a, b in zip(results[0], other, strict=True):
                    same_bits(a, b)

    @pytest.mark.parametrize("dtype", FLOATS)
    @each([(c, s) for c, s in SAMPLES if c.name != "dropout"])
    def test_compiled_is_eager(self, case, sample, dtype):
        arrays = case.draw(sample, dtype=dtype)
        fast = cr.compile(lambda *x: case(*x, **sample.kwargs))
        for seed in (0, 1):  # traced by the first, run again with other values
            arrays = case.draw(sample, seed, dtype)
            same_bits(numpy(fast(*arrays)), numpy(case(*arrays, **sample.kwargs)))

    @each_case([case for case in CASES if case.name != "dropout"])
    def test_compiled_with_threads(self, case):
        sample = case.bench[-1]
        arrays = case.draw(sample, dtype="float32")
        expected = numpy(case(*arrays, **sample.kwargs))
        for threads in (1, 2, 3):
            cr.set_num_threads(threads)
            same_bits(numpy(cr.compile(lambda *x: case(*x, **sample.kwargs))(*arrays)), expected)


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


def test_lattice_keeps_values_apart():
    """The table's own promise: no two values of max or maximum are within a difference step of each other."""
    rng = np.random.default_rng(0)
    together = np.concatenate([Arg(lattice=k).draw(rng, (40,)) for k in (0, 1)])
    assert np.diff(np.sort(together)).min() > 0.04
