"""ONNX's own test cases of its operators: every case whose operators we have gives the expected outputs.

`pytest tests/test_onnx_nodes.py -s` prints operators, cases run, and cases left out with the reason.
"""

from __future__ import annotations

import functools
import warnings
from collections import Counter

import numpy as np
from onnx_adapter import OPS, LeftOut, array_of, run


@functools.cache
def cases():
    """All cases of the package onnx, by name; some seconds, and some warnings of ONNX's own references."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from onnx.backend.test.case.node import collect_testcases

        return {case.name: case for case in collect_testcases(None)}


def compare(name, actual, expected):
    assert actual.dtype == expected.dtype.name, name
    assert actual.shape == expected.shape, name
    if expected.dtype.kind != "f":
        np.testing.assert_array_equal(actual.numpy(), expected.astype(actual.numpy().dtype), name)
        return
    unit = np.finfo(expected.dtype).eps
    size = np.abs(expected, where=np.isfinite(expected), out=np.zeros_like(expected)).max(initial=0)
    np.testing.assert_allclose(
        actual.numpy(), expected, rtol=64 * unit, atol=8 * unit * size, equal_nan=True, err_msg=name
    )


@functools.cache
def judged():
    """{case: None, or why it is left out}; differences fail in here."""
    found, wrong = {}, []
    for name, case in cases().items():
        found[name] = None
        try:
            for inputs, outputs in case.data_sets:
                inputs, outputs = ([array_of(a) for a in inputs], [array_of(a) for a in outputs])
                for y, expected in zip(run(case.model, inputs), outputs, strict=True):
                    compare(name, y, expected)
        except LeftOut as reason:
            found[name] = str(reason)
        except Exception as error:
            wrong.append(f"{name}: {type(error).__name__}: {error}")
    return found, wrong


def operators(case):
    return {node.op_type for node in case.model.graph.node}


def test_every_case_that_can_run_agrees():
    found, wrong = judged()
    assert not wrong, "\n".join(wrong)
    ran = [name for name, why in found.items() if why is None]
    covered = set().union(*(operators(cases()[name]) for name in ran))
    assert len(ran) >= 1000
    assert len(covered) >= 125
    assert covered == OPS.keys(), f"never run: {OPS.keys() - covered}"


def test_every_case_left_out_has_a_reason():
    """With -s: the operators covered, the cases run, the cases left out by reason."""
    found, _ = judged()
    run_of, cases_of, reasons = Counter(), Counter(), {}
    for name, why in found.items():
        assert why is None or why, name
        (only,) = names if len(names := operators(cases()[name])) == 1 else ("expanded into other operators",)
        cases_of[only] += 1
        run_of[only] += why is None
        if why is not None:
            reasons.setdefault(why, []).append(name)
    ran = sum(run_of.values())
    print(f"\n{ran} of {len(found)} cases run; {len(OPS)} operators; cases run of all cases:")
    print("  " + ", ".join(f"{op} {run_of[op]}/{cases_of[op]}" for op in sorted(cases_of) if run_of[op]))
    print(f"{len(found) - ran} left out:")
    for why, names in sorted(reasons.items(), key=lambda item: -len(item[1])):
        print(f"  {len(names):4} {why}: {', '.join(name.removeprefix('test_') for name in names)}")
    assert ran + sum(map(len, reasons.values())) == len(found)
