"""What a function refers to without taking it as an argument: each is itself, whatever memory it shares."""

from __future__ import annotations

import math

import chainrule as cr
import numpy as np
import pytest
from chainrule import nn, optim

A = cr.tensor([2.0, 3.0], dtype="float64")
ONES = cr.ones((2,), dtype="float64")


class TestSharedMemory:
    """A tensor, its detach() and the leaf that a transform makes of it are three."""

    @pytest.mark.parametrize("f", [lambda x, w, d: x * w * d, lambda x, w, d: x * d * w])
    def test_detached(self, f):
        w = cr.tensor([2.0, 3.0], requires_grad=True)
        d = w.detach()
        cr.compile(lambda x: f(x, w, d).sum())(cr.ones((2,))).backward()
        assert w.grad.tolist() == [2, 3]

    @pytest.mark.parametrize("f", [lambda s, x: s * A * x, lambda s, x: s * x * A])
    @pytest.mark.parametrize("inner", [cr.compile, lambda f: lambda s: cr.vmap(f)(s[None])[0]])
    def test_primals(self, f, inner):
        assert cr.grad(lambda x: inner(lambda s: f(s, x).sum())(ONES))(A).tolist() == [2, 3]

    @pytest.mark.parametrize("mode", ["auto", "reverse", "forward"])
    def test_nested_jacobians(self, mode):
        second = cr.jacobian(cr.jacobian(lambda x: A * x * x, mode=mode), mode=mode)(A).numpy()
        assert second[[0, 1], [0, 1], [0, 1]].tolist() == [4, 6]
        stopped = cr.jacobian(cr.jacobian(lambda x: cr.stop_gradient(x) * x * x, mode=mode), mode=mode)
        assert float(stopped(cr.tensor(3.0))) == 6

    def test_products_with_hessians(self):
        f = lambda x: cr.stop_gradient(x) * x * x  # noqa: E731
        assert float(cr.hvp(f, cr.tensor(3.0), cr.tensor(1.0))) == 6

    def test_steps(self):
        moves = {}
        for name in ("detach", "copy"):
            layer = nn.Linear(3, 1, seed=0)
            other = layer.weight.detach() if name == "detach" else cr.tensor(layer.weight.numpy())
            start = layer.weight.numpy().copy()
            step = cr.training_step(
                lambda x, layer=layer, other=other: (x @ layer.weight * (x @ other)).sum(),
                optim.SGD([layer.weight], lr=0.5),
            )
            step(np.ones((1, 3), np.float32))
            moves[name] = start - layer.weight.numpy()
        np.testing.assert_array_equal(moves["detach"], moves["copy"])


class TestMadeOutside:
    """A pullback or pushforward that is older than the differentiation is linear in what it is given."""

    at = cr.tensor(3.0, dtype="float64")
    one = cr.tensor(1.0, dtype="float64")

    def maps(self):
        _, pull = cr.vjp(cr.sin, self.at)
        _, push = cr.linearize(cr.sin, self.at)
        return (lambda c: pull(c)[0]), push

    def test_derivatives(self):
        for f in self.maps():
            for derivative in (
                cr.grad(f),
                cr.jacobian(f),
                cr.jacobian(f, mode="forward"),
                cr.compile(cr.grad(f)),
            ):
                assert float(derivative(self.one)) == pytest.approx(math.cos(3), rel=1e-14)
            assert float(cr.jvp(f, self.one, self.one)[1]) == pytest.approx(math.cos(3), rel=1e-14)

    def test_backward(self):
        for f in self.maps():
            c = cr.tensor(1.0, dtype="float64", requires_grad=True)
            (f(c) * c).backward()
            assert float(c.grad) == pytest.approx(2 * math.cos(3), rel=1e-14)

    def test_gauss_newton(self):
        pull, push = self.maps()
        assert float(cr.grad(lambda v: v * pull(push(v)))(self.one)) == pytest.approx(
            2 * math.cos(3) ** 2, rel=1e-14
        )


class TestCustomGradients:
    """A rule says nothing of what the function captured."""

    x = cr.tensor(3.0, dtype="float64")

    @pytest.mark.parametrize("around", [lambda f: f, cr.compile, lambda f: lambda x: cr.vmap(f)(x[None])[0]])
    def test_refused(self, around):
        reverse = lambda a: cr.custom_gradient(lambda v: (v * a, lambda gy: a * gy))(self.x)  # noqa: E731
        forward = lambda a: cr.custom_gradient(lambda v: v * a, jvp=lambda v, tv: a * tv)(self.x)  # noqa: E731
        text = "the function uses a tensor that .* is not one of its arguments: .*; pass it as an argument"
        for f in (reverse, forward):
            with pytest.raises(cr.StateError, match=text):
                around(cr.grad(lambda a, f=f: a**2 + f(a)))(self.x)
        with pytest.raises(cr.StateError, match=text):
            around(lambda x: cr.jvp(lambda a: a**2 + forward(a), x, x)[1])(self.x)

    def test_layers(self):
        layer = nn.Linear(2, 2, dtype="float64", seed=0)
        with pytest.raises(
            cr.StateError, match="a tensor that wants a gradient and is not one of its arguments"
        ):
            cr.custom_gradient(lambda x: (layer(x), lambda gy: gy))(A)
        frozen = cr.custom_gradient(lambda x: (cr.stop_gradient(layer(x)), lambda gy: gy))
        assert cr.grad(lambda x: frozen(x).sum())(A).tolist() == [1, 1]

    def test_rules_may_capture(self):
        f = lambda a: a**2 + cr.custom_gradient(lambda v: (2 * v, lambda gy: a * gy))(self.x)  # noqa: E731
        for run in (cr.grad(f), cr.compile(cr.grad(f))):
            assert float(run(self.x)) == 6

    def test_what_is_stopped_or_has_no_derivative(self):
        w = cr.tensor([2.0, 3.0, 4.0], requires_grad=True)
        x = cr.tensor([1.0, -2.0, 3.0])
        quiet = {
            "stopped": lambda v, w: v * cr.stop_gradient(w),
            "detached": lambda v, w: v * w.detach(),
            "compared": lambda v, w: cr.where(w > 2.5, v, -v),
            "rounded": lambda v, w: v * cr.round(w),
        }
        for f in quiet.values():
            g = lambda x, w, f=f: cr.custom_gradient(lambda v: (f(v, w), lambda gy: 3 * gy))(x * w).sum()  # noqa: E731
            for run in (cr.grad(g, argnums=(0, 1)), cr.compile(cr.grad(g, argnums=(0, 1)))):
                gx, gw = run(x, w.detach())
                assert gx.tolist() == [6, 9, 12]
                assert gw.tolist() == [3, -6, 9]
        layer = cr.tensor([1.0, 1.0, 1.0], requires_grad=True)
        scaled = lambda v: (v * cr.stop_gradient(layer), lambda g: g)  # noqa: E731
        step = cr.training_step(
            lambda x: cr.custom_gradient(scaled)(x * layer).sum(), optim.SGD([layer], lr=1.0)
        )
        step(np.float32([1, 2, 3]))
        assert layer.tolist() == [0, -1, -2]

    def test_constants_of_compiled_functions(self):
        w = cr.tensor([2.0, 3.0, 4.0])
        g = cr.compile(cr.custom_gradient(lambda x: (x * w, lambda gy: gy * w)))
        x = cr.tensor([1.0, 1.0, 1.0], requires_grad=True)
        g(x).sum().backward()
        assert x.grad.tolist() == [2, 3, 4]


class TestModulesAsArguments:
    def test_backward_through_a_compiled_function(self):
        layer, other, x = nn.Linear(3, 1, seed=0), nn.Linear(3, 1, seed=1), cr.ones((2, 3))
        parameters = [*layer.parameters(), *other.parameters()]
        cases = (
            (lambda m, x: m(x).sum(), layer),
            (lambda m, x: (m[0](x) * m[1](x)).sum(), [layer, other]),
            (lambda m, x: (m(x) * other(x)).sum(), layer),
            (lambda m, x: (m(x) * layer(x)).sum(), layer),
        )
        for f, modules in cases:
            grads = []
            for run in (f, cr.compile(f)):
                for p in parameters:
                    p.zero_grad()
                (run(modules, x) + (layer.weight**2).sum()).backward()
                grads.append([np.zeros(p.shape) if p.grad is None else p.grad.numpy() for p in parameters])
            for eager, compiled in zip(*grads, strict=True):
                np.testing.assert_allclose(compiled, eager, rtol=1e-6)

    def test_what_wants_a_gradient_may_change(self):
        a, b = cr.tensor(2.0), cr.tensor(3.0)
        f = cr.compile(lambda x: a * b * x)
        for wanted in ((a,), (a, b), (b,)):
            for t in (a, b):
                t.zero_grad()
                t.requires_grad_(any(t is w for w in wanted))
            f(cr.tensor(5.0)).backward()
            assert [None if t.grad is None else float(t.grad) for t in (a, b)] == [
                15.0 if any(a is w for w in wanted) else None,
                10.0 if any(b is w for w in wanted) else None,
            ]


def test_running_statistics_of_a_layer_used_twice():
    rows = np.random.default_rng(0).normal(size=(8, 3)).astype("float32")
    states = []
    for kind in ("eager", "compile", "step", "two losses"):
        norm = nn.BatchNorm1d(3)
        f = lambda x, norm=norm: norm(norm(x) * 3 + 1).sum()  # noqa: E731
        nothing = [optim.SGD(norm.parameters(), lr=0.0) for _ in range(2)]
        if kind == "two losses":
            cr.training_step([(f, nothing[0]), (f, nothing[1])])(rows)
            assert int(norm.state_dict()["num_batches_tracked"]) == 4
            continue
        run = {"eager": f, "compile": cr.compile(f), "step": cr.training_step(f, nothing[0])}[kind]
        run(cr.tensor(rows) if kind != "step" else rows)
        states.append({name: value.tolist() for name, value in norm.state_dict().items()})
        assert states[-1]["num_batches_tracked"] == 2
    for state in states[1:]:
        np.testing.assert_array_equal(state["running_mean"], states[0]["running_mean"])


def test_checks_leave_running_statistics_alone():
    for dtype in ("float32", "float64"):
        norm = nn.Sequential(nn.BatchNorm1d(4, dtype=dtype))
        before = norm.to_bytes()
        cr.check_gradients(
            lambda x, norm=norm: (norm(x) ** 3).sum(), np.random.default_rng(0).normal(size=(6, 4))
        )
        assert norm.to_bytes() == before
