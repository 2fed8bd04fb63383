"""Values and derivatives at the edges: docs/edges.md is the only table of them, and every row runs here."""

from __future__ import annotations

import re
from pathlib import Path

import chainrule as cr
import numpy as np
import pytest

PAGE = (Path(__file__).parent.parent / "docs" / "edges.md").read_text(encoding="utf-8")
NAMES = {name: getattr(cr, name) for name in cr.__all__} | {"inf": np.inf, "nan": np.nan, "pi": np.pi}
NAMES |= {"log2": cr.log2, "zeros": np.zeros, "array": np.array}


def rows(columns):
    """The cells of every table row made of `columns` code spans."""
    cell = r"\s*`([^`]*)`\s*\|"
    return [match.groups() for match in re.finditer(r"^\|" + cell * columns + r"\s*$", PAGE, re.M)]


VALUES, REFUSED = rows(5), rows(3)


def value_of(text, **names):
    return eval(text, dict(NAMES), names)


def function(text):
    return lambda x: value_of(text, x=x)


def compare(actual, text):
    """Equal, NaN to NaN; what is written with a point is rounded to the digits given."""
    actual, expected = actual.numpy(), np.asarray(value_of(text), np.float64)
    digits = max((len(d) for d in re.findall(r"\.(\d+)", text)), default=0)
    assert actual.shape == expected.shape
    np.testing.assert_allclose(actual, expected, rtol=0, atol=0.5 * 10.0**-digits if digits > 3 else 0)


def operand(text):
    return np.asarray(value_of(text), np.float64)


def test_the_page_has_its_tables():
    assert len(VALUES) > 80
    assert len(REFUSED) > 8


@pytest.mark.parametrize(("expression", "point", "value", "reverse", "forward"), VALUES)
class TestEdges:
    def test_value(self, expression, point, value, reverse, forward):
        x = operand(point)
        compare(function(expression)(cr.tensor(x)), value)
        compare(cr.compile(function(expression))(x), value)

    def test_reverse(self, expression, point, value, reverse, forward):
        out, pullback = cr.vjp(function(expression), operand(point))
        compare(pullback(np.ones(out.shape))[0], reverse)

    def test_forward(self, expression, point, value, reverse, forward):
        x = operand(point)
        compare(cr.jvp(function(expression), x, np.ones_like(x))[1], forward)


@pytest.mark.parametrize(("expression", "point", "text"), REFUSED)
def test_refused(expression, point, text):
    with pytest.raises(cr.Error) as caught:
        function(expression)(cr.tensor(operand(point)))
    assert str(caught.value) == text


@pytest.mark.parametrize(
    ("a", "b"), [((3, 0), (0, 4)), ((3, 5, 0), (0, 4)), ((3, 5, 0), (3, 0, 4)), ((2, 0, 3), (3, 4))]
)
def test_a_product_over_nothing(a, b):
    x, y = np.zeros(a, "float32"), np.zeros(b, "float32")
    product = cr.matmul(x, y)
    np.testing.assert_array_equal(np.asarray(product), x @ y)
    assert product.shape == (x @ y).shape
