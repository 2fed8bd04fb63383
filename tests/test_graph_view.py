"""Graphs to look at: tables, pictures, JSON, values, gradients; and the chain rule explained step by step."""

from __future__ import annotations

import json
import shutil
import xml.etree.ElementTree as ET

import chainrule as cr
import numpy as np
import pytest
from chainrule import nn

needs_dot = pytest.mark.skipif(shutil.which("dot") is None, reason="Graphviz is not installed")


class TestTrace:
    def test_names_come_from_the_function(self):
        W = cr.tensor(np.ones((3, 2)))
        b = cr.tensor(np.ones(2))
        text = str(cr.trace(lambda data: cr.tanh(data @ W + b).sum(), np.ones((4, 3))))
        assert text.splitlines()[:6] == [
            "name  computed as           shape   dtype    FLOP  saved B",
            "data  input                 (4, 3)  float64",
            "W     captured              (3, 2)  float64",
            "b     captured              (2,)    float64",
            "v1    data @ W              (4, 2)  float64    48       96",
            "v2    v1 + b                (4, 2)  float64     8        0",
        ]
        assert text.endswith("total: 4 ops, 160 FLOP, 160 bytes saved for backward")

    def test_modules_are_shown(self):
        model = nn.Sequential(nn.Linear(3, 4), nn.Residual(nn.Sequential(nn.Linear(4, 4), nn.Tanh())), seed=0)
        graph = cr.trace(model, np.ones((2, 3), np.float32))
        lines = str(graph).splitlines()
        assert any(line.startswith("1.inner.0.weight") for line in lines)
        assert any("x @ 0.weight" in line and line.endswith(" 0") for line in lines)
        assert any("tanh" in line and line.endswith(" 1.inner.1") for line in lines)
        dot = graph.to_dot()
        assert dot.count("subgraph cluster_") == 5  # 0, 1, inner, 0, 1
        assert "label=<inner>" in dot

    def test_a_table_fits_a_terminal(self):
        model = nn.MLP([8, 16, 4], seed=0)
        graph = cr.trace(lambda x: model(x), np.ones((2, 8), np.float32))
        for text in (
            str(graph),
            str(graph.with_values(np.ones((2, 8), np.float32), cotangent=np.ones((2, 4), np.float32))),
        ):
            assert max(map(len, text.splitlines())) <= 110

    def test_values_and_gradients(self):
        rng = np.random.default_rng(0)
        W, x = rng.normal(size=(3, 2)), rng.normal(size=(4, 3))
        seen = cr.trace(lambda x, W: (cr.tanh(x @ W) ** 2).sum(), x, W).with_values(x, W)
        np.testing.assert_allclose(seen.values["v2"].numpy(), np.tanh(x @ W), rtol=1e-14)
        for name, expected in zip(
            "xW", cr.grad(lambda x, W: (cr.tanh(x @ W) ** 2).sum(), argnums=(0, 1))(x, W), strict=True
        ):
            np.testing.assert_array_equal(seen.gradients[name].numpy(), expected.numpy())

    def test_gradients_of_gradients(self):
        """The derivative's own ops are taken apart where they are differentiated again."""
        graph = cr.trace(cr.grad(cr.tanh), np.array(0.5)).with_values(np.array(0.5))
        t = np.tanh(0.5)
        np.testing.assert_allclose(float(graph.gradients["x"]), -2 * t * (1 - t * t), rtol=1e-12)

    def test_cotangent_errors(self):
        graph = cr.trace(lambda x: (x * 2, x.sum()), np.ones(3))
        with pytest.raises(cr.ValueError, match="1 for 2 outputs; give one per output"):
            graph.with_values(np.ones(3), cotangent=np.ones(3))
        pulled = graph.with_values(np.ones(3), cotangent=(np.ones(3), None))
        np.testing.assert_array_equal(pulled.gradients["x"].numpy(), [2, 2, 2])

    def test_json(self):
        graph = cr.trace(lambda a: (a * a).sum(), np.ones((2, 2)))
        data = json.loads(graph.with_values([[1.0, 2.0], [3.0, np.inf]]).to_json())
        assert (data["format"], data["version"]) == ("chainrule-graph", 1)
        assert [node["op"] for node in data["nodes"]] == ["multiply", "sum"]
        assert data["nodes"][1]["attributes"]["axes"] == [0, 1]
        assert data["values"][0]["value"] == [1, 2, 3, "inf"]
        assert data["values"][0]["gradient"] == [2, 4, 6, "inf"]
        assert data["nodes"][0]["sent"] == [[1, 2, 3, "inf"], [1, 2, 3, "inf"]]
        assert data["outputs"] == [data["nodes"][1]["outputs"][0]]
        assert data["flops"] == graph.flops
        assert data["saved_bytes"] == graph.saved_bytes == 32


class TestRecorded:
    def test_a_student_sees_their_own_numbers(self):
        x = cr.tensor(2.0, requires_grad=True)
        y = cr.tensor(5.0, requires_grad=True)
        z = x * y
        out = z + x * 3
        out.backward()
        assert str(out.graph()).splitlines()[:6] == [
            "name  computed as  shape  dtype    value  gradient",
            "x     captured     ()     float32  2      3 + 5 = 8",
            "y     captured     ()     float32  5      2",
            "z     x * y        ()     float32  10     1",
            "v1    x * 3        ()     float32  6      1",
            "out   z + v1       ()     float32  16     1",
        ]

    def test_a_network_and_its_loss(self):
        model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2), seed=0)
        x, labels = np.ones((2, 3), np.float32), np.array([0, 1])
        loss = nn.CrossEntropyLoss()(model(x), labels)
        assert not loss.graph().gradients
        loss.backward()
        graph = loss.graph()
        for name, parameter in model.named_parameters():
            np.testing.assert_array_equal(graph.values["model." + name].numpy(), parameter.numpy())
            np.testing.assert_array_equal(graph.gradients["model." + name].numpy(), parameter.grad.numpy())
        assert "?" not in str(graph)

    def test_arrays_too_large_to_keep_are_not_made_up(self):
        w = cr.tensor(np.ones(1000), requires_grad=True)
        y = (w * np.full(1000, 2.0)).sum()
        assert "2 to 2, mean 2" in str(y.graph())  # multiply kept it for backward
        y.backward()
        text = str(y.graph())
        assert "freed by backward()" in text
        assert "?" in text

    def test_gradient_of_a_given_cotangent(self):
        x = cr.tensor([1.0, 2.0], requires_grad=True)
        y = x * x
        y.backward(np.array([1.0, 10.0], np.float32))
        np.testing.assert_array_equal(y.graph().gradients["x"].numpy(), [2, 40])
        np.testing.assert_array_equal(y.graph().gradients["y"].numpy(), [1, 10])

    def test_looking_changes_nothing(self):
        x = cr.tensor(3.0, requires_grad=True)
        y = cr.exp(x) * x
        y.graph()
        y.backward()
        grad = float(x.grad)
        y.graph()
        assert float(x.grad) == grad

    def test_nothing_recorded(self):
        with pytest.raises(cr.StateError, match=r"requires_grad_\(\)"):
            cr.tensor(1.0).graph()
        with pytest.raises(cr.StateError, match=r"call trace\(f, \.\.\.\)"):
            cr.trace(lambda x: (x.graph(), x)[1], np.ones(2))


class TestPictures:
    @needs_dot
    def test_svg(self, tmp_path):
        graph = cr.trace(lambda a: cr.where(a > 0, a, -a).sum(), np.ones(3)).with_values(
            np.array([1.0, -2.0, 3.0])
        )
        svg = graph.to_svg(tmp_path / "graph.svg")
        assert (tmp_path / "graph.svg").read_text() == svg
        root = ET.fromstring(svg)
        assert root.tag.endswith("svg")
        text = "".join(root.itertext())
        assert "a > 0" in text
        assert "[1, -1, 1]" in text
        assert graph._repr_html_() == svg

    def test_without_dot(self, monkeypatch):
        graph = cr.trace(lambda a: (a > 0).sum() + a.sum(), np.ones(3))
        monkeypatch.setenv("PATH", "/nowhere")
        with pytest.raises(cr.StateError, match=r"'dot' was not found.*apt install graphviz.*to_dot\(\)"):
            graph.to_svg()
        html = graph._repr_html_()
        assert html.startswith("<table")
        assert "a &gt; 0" in html

    def test_large_graphs_are_refused(self):
        def chain(x):
            for _ in range(1001):
                x = x + x
            return x

        with pytest.raises(cr.ValueError, match=r"1001 ops.*up to 1000"):
            cr.trace(chain, 1.0).to_svg()

    def test_bad_paths(self, tmp_path):
        graph = cr.trace(lambda a: a + a, 1.0)
        if shutil.which("dot"):
            with pytest.raises(cr.FileError, match="to_svg"):
                graph.to_svg(tmp_path / "missing" / "graph.svg")
        with pytest.raises(TypeError):
            graph.to_svg(3)


def two_layers(x, W1, b1, W2, b2, y):
    z1 = x @ W1 + b1
    a1 = cr.sigmoid(z1)
    z2 = a1 @ W2 + b2
    out = cr.sigmoid(z2)
    return cr.square(out - y).mean() / 2


TWO_LAYERS = (
    np.array([[0.05, 0.1]]),
    np.array([[0.15, 0.25], [0.2, 0.3]]),
    np.array([0.35, 0.35]),
    np.array([[0.4, 0.5], [0.45, 0.55]]),
    np.array([0.6, 0.6]),
    np.array([[0.01, 0.99]]),
)


class TestExplain:
    def test_as_the_interface_says(self):
        text = str(cr.explain(lambda x, y: x * y + x, 2.0, 5.0)).splitlines()
        assert [line.split() for line in text[4:8]] == [
            ["x", "given", "2"],
            ["y", "given", "5"],
            ["v1", "x", "*", "y", "10"],
            ["v2", "v1", "+", "x", "12"],
        ]
        assert "    x is used twice: 1 + 5 = 6" in text
        assert [line.split()[:3] for line in text[-2:]] == [["dv2/dx", "6", "6"], ["dv2/dy", "2", "2"]]

    def test_the_worked_example(self):
        """Every number of the two-layer network, against the formulas of the lecture."""
        e = cr.explain(two_layers, *TWO_LAYERS)
        assert e.difference < 1e-9
        x, W1, b1, W2, b2, y = TWO_LAYERS

        def sigma(z):
            return 1 / (1 + np.exp(-z))

        a1 = sigma(x @ W1 + b1)
        out = sigma(a1 @ W2 + b2)
        g2 = (out - y) / 2 * out * (1 - out)
        g1 = (g2 @ W2.T) * a1 * (1 - a1)
        expected = {
            "W2": a1.T @ g2,
            "b2": g2[0],
            "W1": x.T @ g1,
            "b1": g1[0],
            "x": g1 @ W1.T,
            "z1": g1,
            "z2": g2,
        }
        for name, value in expected.items():
            np.testing.assert_allclose(e.graph.gradients[name].numpy(), value, rtol=1e-12)
        text = str(e)
        for line in ("sigmoid(z2)", "out * (1 - out)", "g @ W2.T", "a1.T @ g", "1, summed to (2,)", "2 * v3"):
            assert line in text, line
        assert max(map(len, text.splitlines())) <= 110

    def test_a_vector_function_carries_its_jacobian(self):
        e = cr.explain(cr.softmax, [1.0, 2.0, 3.0])
        assert "one row per output" in str(e)
        assert e.difference < 1e-9
        weighted = cr.explain(lambda x: x * x, [1.0, 2.0], cotangent=[1.0, 10.0])
        np.testing.assert_array_equal(weighted.graph.gradients["x"].numpy(), [2, 40])

    def test_branches_on_values(self):
        def root(a):
            x = a
            while abs(float(x * x - a)) > 1e-9:
                x = (x + a / x) / 2
            return x

        e = cr.explain(root, 2.0)
        assert e.difference < 1e-9
        np.testing.assert_allclose(float(e.graph.gradients["a"]), 0.5 / np.sqrt(2), rtol=1e-7)
        assert "a is used" in str(e)

    def test_float32_models_are_explained_in_float64(self):
        model = nn.Sequential(nn.Linear(2, 2), nn.Tanh(), seed=0)
        e = cr.explain(lambda x: model(x).sum(), np.ones((1, 2), np.float32))
        assert e.difference < 1e-9
        assert "dv4/dmodel.0.weight" in str(e)

    def test_a_wrong_rule_would_show(self):
        """The numeric derivative is f's own: what the record misses shows as a difference."""

        def cut(x):
            return x * float(x)

        assert cr.explain(cut, 3.0).difference == pytest.approx(3, rel=1e-6)

    def test_html(self):
        html = cr.explain(lambda a: cr.where(a > 0, a, -a), 1.0)._repr_html_()
        assert html.count("<table") == 3
        assert "a &gt; 0" in html

    def test_errors(self):
        with pytest.raises(cr.ValueError, match=r"w is \(100,\), at most 64 elements; use fewer samples"):
            cr.explain(lambda w: w.sum(), np.ones(100))
        with pytest.raises(cr.DTypeError, match=r"write explain\(f, \*args\)"):
            cr.explain(3.0, 2.0)
        with pytest.raises(cr.DTypeError, match="no derivative"):
            cr.explain(lambda x: x > 0, 1.0)
        with pytest.raises(ZeroDivisionError):
            cr.explain(lambda x: x / (1 // 0), 1.0)
        with pytest.raises(cr.ShapeError, match="explain: the cotangent does not fit"):
            cr.explain(lambda x: x * 2, [1.0, 2.0], cotangent=[1.0])

    def test_the_profiler_is_put_back(self):
        import sys

        before = sys.getprofile()
        with pytest.raises(ZeroDivisionError):
            cr.explain(lambda x: x / (1 // 0), 1.0)
        assert sys.getprofile() is before
