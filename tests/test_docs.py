"""What the pages show of the library's own output is current: printed text, pictures, the table of ops."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import chainrule as cr
import pytest

DOCS = Path(__file__).parent.parent / "docs"
SCRIPT = DOCS / "refresh.py"


@pytest.fixture(scope="module")
def refresh():
    spec = importlib.util.spec_from_file_location("refresh", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_pages_are_current():
    """Where this fails: run `python docs/refresh.py` and commit what it writes."""
    done = subprocess.run([sys.executable, SCRIPT, "--check"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_op_is_in_the_table(refresh):
    rows = [line.split("|")[1].strip() for line in refresh.ops_page().splitlines() if line.startswith("| `")]
    assert sorted(rows) == sorted(f"`{op['name']}`" for op in cr.op_table())


def test_a_changed_number_is_noticed_and_noise_is_not(refresh):
    text = "dv2/dx  6  6  5.4e-12\n"
    assert refresh._same(text, text.replace("5.4e-12", "-3e-11"))
    assert not refresh._same(text, text.replace("6", "7", 1))


def test_rules_are_the_formulas():
    """Written by running the code of the derivative on names."""
    rules = {op["name"]: op["rule"] for op in cr.op_table()}
    assert rules["tanh"] == "gx = g * (1 - y**2)"
    assert rules["sigmoid"] == "gx = g * y * (1 - y)"
    assert rules["divide"] == "ga = g / b, gb = -g / b * (a / b)"
    assert rules["matmul"] == "ga = g @ b.T, gb = a.T @ g"
    assert rules["leaky_relu"] == "gx = where(x > 0, g, negative_slope * g)"
    assert rules["where"] == "gb = where(a, g, 0), gc = where(a, 0, g)"
    assert rules["less"] == ""
