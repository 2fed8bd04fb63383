"""Derivative rules that are not linear are refused where a tangent or the other mode needs them to be."""

from __future__ import annotations

import chainrule as cr
import numpy as np
import pytest

X = cr.tensor([0.5, -1.0, 2.0], dtype="float64")
V = cr.tensor([1.0, 2.0, -3.0], dtype="float64")

NOT_LINEAR = {
    "square": lambda x, t: t * t,
    "cube": lambda x, t: t**3 * x,
    "absolute": lambda x, t: cr.abs(t),
    "one side": lambda x, t: cr.relu(t),
    "constant": lambda x, t: t * 2 + 1,
    "argument": lambda x, t: t * 2 + x,
    "comparison": lambda x, t: cr.where(t > 0, t, 2 * t),
    "step": lambda x, t: x * cr.cast(t > 0, "float64"),
    "clip": lambda x, t: t.clip(-1.0, 1.0),
    "order": lambda x, t: cr.sort(t),
}
MESSAGE = r"^custom_gradient: the rule jvp is not linear in the tangents: .*; write sums of tangents times"


@pytest.mark.parametrize("name", NOT_LINEAR)
def test_forward_rules(name):
    f = cr.custom_gradient(lambda x: x * x, jvp=NOT_LINEAR[name])
    total = lambda x: f(x).sum()  # noqa: E731
    for run in (
        lambda: cr.grad(total)(X),
        lambda: cr.compile(cr.grad(total))(X),
        lambda: cr.grad(cr.compile(total))(X),
        lambda: cr.jvp(f, X, V),
        lambda: cr.compile(lambda x: cr.jvp(f, x, V)[1])(X),
        lambda: cr.jacobian(f, mode="forward")(X),
        lambda: cr.vmap(cr.grad(total))(cr.stack([X, X])),
    ):
        with pytest.raises(cr.ValueError, match=MESSAGE):
            run()
    f(X)  # its values need no rule


LINEAR = {
    "product": lambda x, t: 2 * x * t,
    "quotient": lambda x, t: t / (1 + x * x),
    "chosen": lambda x, t: cr.where(x > 0, t, -3 * t),
    "matrix": lambda x, t: cr.outer(x, x) @ t + cr.tensor(np.tri(3)) @ t,
    "moved": lambda x, t: cr.concat([t[1:], -t[:1]]) * x,
    "sums": lambda x, t: cr.cumsum(t) - t.mean() + cr.fma(x, t, t),
    "indexed": lambda x, t: t[[2, 0, 0]],
    "zero": lambda x, t: 0 * t,
}


@pytest.mark.parametrize("name", LINEAR)
def test_linear_ones_pass(name):
    f = cr.custom_gradient(lambda x: x * x, jvp=LINEAR[name])
    forward = cr.jvp(f, X, V)[1].numpy()
    np.testing.assert_array_equal(forward, LINEAR[name](X, V).numpy())
    np.testing.assert_array_equal(cr.compile(lambda x: cr.jvp(f, x, V)[1])(X).numpy(), forward)
    for run in (cr.jacobian(f, mode="reverse"), cr.compile(cr.jacobian(f, mode="reverse"))):
        np.testing.assert_allclose(run(X).numpy() @ V.numpy(), forward, rtol=1e-12)
    np.testing.assert_allclose(cr.jacobian(f, mode="forward")(X).numpy() @ V.numpy(), forward, rtol=1e-12)


def test_with_numbers_that_have_no_derivative():
    """Scales of 1e-30 and 1e30, where a tolerance would be too large or too small; infinite arguments."""
    for scale in (1e-30, 1e30):
        f = cr.custom_gradient(lambda x: x, jvp=lambda x, t, s=scale: s * t * x)
        np.testing.assert_allclose(
            cr.grad(lambda x, f=f: f(x).sum())(X).numpy(), scale * X.numpy(), rtol=1e-12
        )
        cr.jvp(f, X, V)
        g = cr.custom_gradient(lambda x: x, jvp=lambda x, t, s=scale: s * (t + 1))
        with pytest.raises(cr.ValueError, match=MESSAGE):
            cr.jvp(g, X, V)
    f = cr.custom_gradient(lambda x: x, jvp=lambda x, t: t * x)
    assert cr.grad(f)(cr.tensor(np.inf)).item() == np.inf


def test_reverse_rules_may_clip():
    """A cotangent may be cut on the way back; what cannot be made of such a rule is forward mode."""
    clipped = cr.custom_gradient(lambda x: x * 1.0, vjp=lambda x, g: g.clip(-1.0, 1.0))
    loss = lambda x: (100.0 * clipped(x)).sum()  # noqa: E731
    for run in (cr.grad(loss), cr.compile(cr.grad(loss)), cr.grad(cr.compile(loss))):
        assert run(X).numpy().tolist() == [1, 1, 1]
    message = r"^custom_gradient: the rule vjp is not linear in the cotangents: .*; .* give jvp= as well$"
    for run in (
        lambda: cr.jvp(clipped, X, V),
        lambda: cr.jvp(cr.compile(clipped), X, V),
    ):
        with pytest.raises(cr.ValueError, match=message):
            run()
    both = cr.custom_gradient(lambda x: x * 1.0, vjp=lambda x, g: g.clip(-1.0, 1.0), jvp=lambda x, t: t)
    assert cr.jvp(both, X, V)[1].numpy().tolist() == V.numpy().tolist()


@pytest.mark.parametrize(
    "rule",
    [
        lambda x, t: t,
        lambda x, t: -t,
        lambda x, t: t + 0.0,
        lambda x, t: t - t,
        lambda x, t: cr.flip(cr.flip(t)),
        lambda x, t: cr.squeeze(cr.expand_dims(t, 0), 0),
        lambda x, t: cr.concat([t[:1], cr.zeros((2,), dtype="float64")]),
    ],
)
def test_short_rules_are_linear_whatever_the_size_of_their_graph(rule):
    """Also where the cotangent itself, or a constant, is the result: the straight-through estimator."""
    f = cr.custom_gradient(cr.round, jvp=rule)
    x = cr.tensor([0.5, -1.0, 2.0], dtype="float64")
    weights = cr.tensor([3.0, 4.0, 5.0], dtype="float64")
    _, tangent = cr.jvp(f, x, weights)
    (back,) = cr.vjp(f, x)[1](weights)
    ones = np.asarray(cr.grad(lambda v: f(v).sum())(x))
    columns = [np.asarray(cr.jvp(f, x, cr.tensor(e))[1]) for e in np.eye(3)]
    np.testing.assert_allclose(ones, np.sum(columns, axis=1))
    assert float((tangent * weights).sum()) == pytest.approx(float((back * weights).sum()))
    np.testing.assert_allclose(np.asarray(cr.compile(cr.grad(lambda v: f(v).sum()))(x)), ones)


def test_straight_through_by_a_pullback_has_both_modes_and_second_derivatives():
    f = cr.custom_gradient(cr.round, vjp=lambda x, g: g)
    x = cr.tensor([0.5, -1.0, 2.0], dtype="float64")
    np.testing.assert_array_equal(np.asarray(cr.jvp(f, x, cr.tensor(np.ones(3)))[1]), np.ones(3))
    np.testing.assert_array_equal(np.asarray(cr.jacobian(f, mode="forward")(x)), np.eye(3))
    np.testing.assert_array_equal(np.asarray(cr.hessian(lambda v: (f(v) ** 2).sum())(x)), 2 * np.eye(3))


def test_a_rule_without_a_result_is_refused():
    f = cr.custom_gradient(lambda x: x * x, vjp=lambda x, g: None)
    with pytest.raises(cr.ValueError, match="the rule vjp returned None; return a tensor"):
        cr.grad(lambda v: f(v).sum())(cr.tensor([1.0, 2.0]))


def test_rules_run_once():
    """The check needs a second run at the first call on values, and none later."""
    calls = []

    def rule(x, t):
        calls.append(1)
        return x * t

    f = cr.custom_gradient(lambda x: x * x / 2, jvp=rule)
    cr.jvp(f, X, 0 * V)  # zeros show nothing
    cr.jvp(f, X, V)
    calls.clear()
    cr.jvp(f, X, V)
    assert len(calls) == 1


def test_rules_may_draw():
    """Linear for a draw that is the same in both runs."""
    f = cr.custom_gradient(lambda x: x * x, jvp=lambda x, t: t * cr.random.normal((3,), dtype="float64"))
    first, second = cr.jvp(f, X, V)[1].numpy(), cr.jvp(f, X, V)[1].numpy()
    assert (first != 0).all()
    assert (first != second).any()


def test_small_components_count():
    f = cr.custom_gradient(lambda x: x * x, jvp=lambda x, t: cr.stack([1e5 * t[0], t[1] ** 2, t[2]]))
    with pytest.raises(cr.ValueError, match=MESSAGE):
        cr.jvp(f, X, V)


def test_rules_in_single_precision():
    f = cr.custom_gradient(lambda x: x * x, jvp=lambda x, t: (2 * x * t).astype("float32"))
    for run in (cr.jvp(f, X, V)[1], cr.compile(lambda x: cr.jvp(f, x, V)[1])(X)):
        np.testing.assert_allclose(run.numpy(), 2 * X.numpy() * V.numpy())
    np.testing.assert_allclose(cr.grad(lambda x: f(x).sum())(X).numpy(), 2 * X.numpy())
