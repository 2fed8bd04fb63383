"""The bits of every op, driven by the case table (cases.py): they depend on values, shapes and attributes
alone, not on memory layout, address, the rows around, the number of threads, or whether the call was
compiled."""

from __future__ import annotations

from functools import partial

import chainrule as cr
import numpy as np
import pytest
from checks import CASES, FLOATS, SAMPLES, each, each_case, numpy, same_bits, split

ELEMENTWISE = {op["name"] for op in cr._core.op_table() if op["elementwise"]} | {"cast"}


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
            if (
                len(first) < (1 if elementwise else 2)
                or first[0] < 2
                or sample.kwargs.get("axis", -1) in (0, None)
            ):
                continue
            if any(len(s) > len(first) for s in sample.shapes):
                continue  # the first operand is the one that is broadcast
            arrays = case.draw(sample, dtype=dtype)
            whole = numpy(case(*arrays, **sample.kwargs))
            for i in {0, 1, first[0] // 2, first[0] - 1}:
                rows = [
                    a[i : i + 1]
                    if a.shape[:1] == first[:1] and (a.ndim == len(first) or not elementwise)
                    else a
                    for a in arrays
                ]
                same_bits(numpy(case(*rows, **sample.kwargs)), whole[i : i + 1])

    @pytest.mark.parametrize("dtype", FLOATS)
    @pytest.mark.parametrize(
        ("m", "k", "n"), [(5, 3, 7), (33, 64, 10), (67, 65, 67), (17, 1030, 33), (128, 784, 65)]
    )
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
    @each_case(
        [case for case in CASES if len(case.args) == 1 and case.rows and case.samples[0].shapes == ((),)]
    )
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
                if moving:
                    value, pullback = cr.vjp(partial(f, kwargs=sample.kwargs), *moving)
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
