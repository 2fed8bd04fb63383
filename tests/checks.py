"""What the tests of ops and of training share: parametrization over the case table, comparison to the last
bit."""

from __future__ import annotations

import chainrule as cr
import numpy as np
import pytest
from cases import Case, Sample, all_cases

CASES = all_cases()
FLOATS = ("float32", "float64")
SAMPLES = [(case, sample) for case in CASES for sample in case.samples]
SMOOTH = [
    (case, sample) for case, sample in SAMPLES if case.smooth and all(0 not in s for s in sample.shapes)
]


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
        different = (different & ~(np.isnan(a) & np.isnan(b))) | (
            (a == 0) & (b == 0) & (np.signbit(a) != np.signbit(b))
        )
    where = np.argwhere(different)
    assert not len(where), (
        f"{len(where)} of {a.size} differ, the first at {where[0].tolist()}: {a[different][0]!r} and "
        f"{b[different][0]!r}"
    )


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


def float64(x):
    return x.astype(np.float64) if x.dtype.kind == "f" else x


def same_state(a, b):
    """Two models, or two state_dicts, are equal to the last bit."""
    a, b = (x.state_dict() if isinstance(x, cr.nn.Module) else x for x in (a, b))
    assert a.keys() == b.keys()
    for name in a:
        assert a[name].tobytes() == b[name].tobytes(), (
            f"{name} differs by up to {np.abs(a[name] - b[name]).max()}"
        )
