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
