"""Examples in docstrings run and show what they say."""

from __future__ import annotations

import doctest
import inspect

import chainrule as cr
import numpy as np
import pytest
from chainrule import callbacks, data, datasets, metrics, nn, optim, schedules

MODULES = {
    "cr": cr,
    "callbacks": callbacks,
    "nn": nn,
    "optim": optim,
    "schedules": schedules,
    "data": data,
    "datasets": datasets,
    "metrics": metrics,
}


def documented():
    found = {}
    for prefix, module in MODULES.items():
        for name in sorted(module.__all__):
            thing = getattr(module, name)
            found[f"{prefix}.{name}"] = thing
            if inspect.isclass(thing):
                for member, value in vars(thing).items():
                    if not member.startswith("_"):
                        found[f"{prefix}.{name}.{member}"] = value
    return {name: thing for name, thing in found.items() if ">>>" in (getattr(thing, "__doc__", None) or "")}


EXAMPLES = documented()


def test_there_are_examples():
    assert {"cr.grad", "cr.jacobian", "cr.vmap", "cr.custom_gradient", "cr.training_step"} <= EXAMPLES.keys()


@pytest.mark.parametrize("name", EXAMPLES)
def test_example(name, tmp_path, monkeypatch):
    if "plot" in name:
        pytest.importorskip("matplotlib")
    if "TensorBoard" in name:
        pytest.importorskip("tensorboardX")
    monkeypatch.chdir(tmp_path)
    text = inspect.cleandoc(EXAMPLES[name].__doc__)
    globs = {**MODULES, "chainrule": cr, "np": np}
    test = doctest.DocTestParser().get_doctest(text, globs, name, None, 0)
    report = []
    doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE).run(test, out=report.append)
    assert not report, "".join(report)
