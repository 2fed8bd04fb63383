"""Transforms: jacobian, hessian, hvp, vmap, linearize, check_gradients, and how they compose."""

from __future__ import annotations

import chainrule as cr
import numpy as np
import pytest
from chainrule import nn
from transformed import RNG, A, V, X, close, f, h, hessian_of_f, jacobian_of_h, x0


class TestJacobian:
    @pytest.mark.parametrize("mode", ["auto", "reverse", "forward"])
    def test_values_and_shape(self, mode):
        jacobian = cr.jacobian(h, mode=mode)(x0())
        assert jacobian.shape == (3, 3)
        assert not jacobian.requires_grad
        close(jacobian, jacobian_of_h(X[0]))

    @pytest.mark.parametrize("mode", ["reverse", "forward"])
    @pytest.mark.parametrize(
        ("m", "n"), [((2, 3), (4,)), ((), (2, 2)), ((3,), ()), ((0,), (2,)), ((2,), (0,))]
    )
    def test_shapes_are_output_then_input(self, m, n, mode):
        weights = cr.tensor(RNG.normal(size=(*m, *n)))
        axes = tuple(range(-len(n), 0))

        def linear(x):
            return (weights * x).sum(axes) if axes else weights * x

        jacobian = cr.jacobian(linear, mode=mode)(cr.tensor(RNG.normal(size=n)))
        assert jacobian.shape == (*m, *n)
        close(jacobian, weights)

    def test_auto_takes_the_smaller_side(self):
        def nodes(f, n):
            return len(cr.trace(cr.jacobian(f), cr.ones((n,), "float64")))

        wide, tall = cr.tensor(RNG.normal(size=(2, 9))), cr.tensor(RNG.normal(size=(9, 2)))
        for matrix, mode in ((wide, "reverse"), (tall, "forward")):
            chosen = nodes(lambda x, m=matrix: cr.tanh(m @ x), matrix.shape[1])
            forced = len(
                cr.trace(
                    cr.jacobian(lambda x, m=matrix: cr.tanh(m @ x), mode=mode),
                    cr.ones((matrix.shape[1],), "float64"),
                )
            )
            assert chosen == forced

    def test_several_arguments_and_trees(self):
        def g(p, s):
            return p["w"] * s + p["b"][0]

        p = {"w": cr.tensor([1.0, 2.0]), "b": [cr.tensor(3.0), cr.tensor(4.0)]}
        jp, js = cr.jacobian(g, argnums=(0, 1))(p, cr.tensor(5.0))
        close(jp["w"], 5 * np.eye(2))
        close(jp["b"][0], [1, 1])
        close(jp["b"][1], [0, 0])
        close(js, [1, 2])

    def test_aux(self):
        jacobian, aux = cr.jacobian(lambda x: (x**2, {"y": x * 3}), has_aux=True)(cr.tensor([1.0, 2.0]))
        close(jacobian, [[2, 0], [0, 4]])
        close(aux["y"], [3, 6])
        assert not aux["y"].requires_grad

    def test_mistakes(self):
        with pytest.raises(
            cr.ValueError, match='jacobian: mode is "backward"; use "auto", "reverse" or "forward"'
        ):
            cr.jacobian(h, mode="backward")
        with pytest.raises(cr.DTypeError, match="jacobian: the output has no gradient: dtype is bool"):
            cr.jacobian(lambda x: x > 0)(x0())
        with pytest.raises(
            cr.DTypeError, match="jacobian: argument 0 is int64; only floating-point arguments"
        ):
            cr.jacobian(h)(cr.tensor([1, 2, 3]))


class TestSecondOrder:
    def test_hessian(self):
        hessian = cr.hessian(f)(x0())
        close(hessian, hessian_of_f(X[0]))
        assert not hessian.requires_grad

    def test_hessian_is_any_order_of_modes(self):
        for outer in ("forward", "reverse"):
            close(cr.jacobian(cr.grad(f), mode=outer)(x0()), hessian_of_f(X[0]))
        close(cr.grad(lambda x: (cr.grad(f)(x) * cr.tensor(V)).sum())(x0()), hessian_of_f(X[0]) @ V)

    def test_hvp_and_directional_derivative(self):
        close(cr.hvp(f, x0(), cr.tensor(V)), hessian_of_f(X[0]) @ V)
        close(cr.directional_derivative(f, x0(), cr.tensor(V)), cr.grad(f)(x0()).numpy() @ V)
        close(cr.directional_derivative(h, x0(), cr.tensor(V)), jacobian_of_h(X[0]) @ V)

    def test_hvp_of_several(self):
        products = cr.hvp(
            lambda a, b: a * a * b, (cr.tensor(2.0), cr.tensor(3.0)), (cr.tensor(1.0), cr.tensor(0.0))
        )
        close(products, (6, 4))

    def test_blocks(self):
        blocks = cr.hessian(lambda a, b: a * a * b, argnums=(0, 1))(cr.tensor(2.0), cr.tensor(3.0))
        close(blocks, [[6, 4], [4, 0]])
        tree = cr.hessian(lambda p: p["a"] ** 2 * p["b"])({"a": cr.tensor(2.0), "b": cr.tensor(3.0)})
        close([[tree["a"]["a"], tree["a"]["b"]], [tree["b"]["a"], tree["b"]["b"]]], [[6, 4], [4, 0]])

    def test_third_and_fourth_order(self):
        g = lambda t: cr.exp(2.0 * t)  # noqa: E731
        derivative = g
        for order in range(1, 5):
            derivative = cr.grad(derivative)
            close(derivative(cr.tensor(0.3, "float64")), 2**order * np.exp(0.6))
        mixed = cr.jacobian(cr.grad(cr.jacobian(g, mode="forward")), mode="reverse")
        close(mixed(cr.tensor(0.3, "float64")), 8 * np.exp(0.6))


class TestLinearize:
    def test_one_forward_pass_for_many_tangents_and_cotangents(self):
        calls = []

        def counted(x):
            calls.append(1)
            return h(x)

        y, push = cr.linearize(counted, x0())
        _, pull = cr.vjp(counted, x0())
        close(y, np.tanh(A @ X[0]))
        for row in np.eye(3):
            close(push(cr.tensor(row)), jacobian_of_h(X[0]) @ row)
            close(pull(cr.tensor(row))[0], row @ jacobian_of_h(X[0]))
        assert len(calls) == 2

    def test_mistakes(self):
        _, push = cr.linearize(h, x0())
        with pytest.raises(cr.ValueError, match="linearize: expected 1 tangents, one per primal, got 2"):
            push(cr.tensor(V), cr.tensor(V))
        with pytest.raises(
            cr.ShapeError, match=r"linearize: a tangent does not fit its argument: \(2,\) for \(3,\)"
        ):
            push(cr.ones((2,), "float64"))
        with pytest.raises(
            cr.ShapeError, match=r"jvp: a tangent does not fit its argument: \(2,\) for \(3,\)"
        ):
            cr.jvp(h, x0(), cr.ones((2,), "float64"))


class TestVmap:
    def test_equals_a_loop(self):
        for g in (h, f, cr.grad(f), cr.jacobian(h), cr.hessian(f), cr.jacobian(h, mode="forward")):
            loop = np.stack([np.asarray(g(cr.tensor(x))) for x in X])
            close(cr.vmap(g)(cr.tensor(X)), loop)
            close(cr.vmap(g)(X), loop)

    def test_axes(self):
        a, b = RNG.normal(size=(3, 4)), RNG.normal(size=(4, 2, 3))
        product = lambda u, v: (u @ v, u * 2)  # noqa: E731
        y, twice = cr.vmap(product, in_axes=(1, 0), out_axes=(1, 0))(a, b.transpose(0, 2, 1))
        close(y, np.einsum("ki,iok->oi", a, b))
        close(twice, 2 * a.T)
        close(cr.vmap(lambda u, v: u + v, in_axes=(0, None))(X, V), X + V)
        close(cr.vmap(lambda u, v: u + v, in_axes=-1, out_axes=-1)(X, X), 2 * X)

    def test_nested(self):
        outer = cr.vmap(cr.vmap(lambda a, b: a * b, in_axes=(None, 0)), in_axes=(0, None))
        close(outer(V, V), np.outer(V, V))

    def test_per_sample_gradients_of_a_model(self):
        model = nn.MLP([3, 4, 2], seed=0)
        parameters = {name: p.detach() for name, p in model.named_parameters()}
        x = X.astype("float32")

        def loss(p, sample):
            return (cr.functional_call(model, p, sample) ** 2).sum()

        per_sample = cr.vmap(cr.grad(loss), in_axes=(None, 0))(parameters, x)
        for i in range(len(x)):
            single = cr.grad(loss)(parameters, cr.tensor(x[i]))
            for name in parameters:
                close(per_sample[name].numpy()[i], single[name], 1e-6)

    def test_gradient_through_it(self):
        close(
            cr.grad(lambda x: cr.vmap(f)(x).sum())(cr.tensor(X)),
            [np.asarray(cr.grad(f)(cr.tensor(x))) for x in X],
        )

    def test_captured_tensors_are_read_and_differentiated(self):
        w = cr.tensor(V, requires_grad=True)
        cr.vmap(lambda x: (w * x).sum())(X).sum().backward()
        close(w.grad, X.sum(0))

    def test_mistakes(self):
        with pytest.raises(
            cr.ShapeError, match="vmap: batch sizes differ: argument 1 has 4, one before it 5"
        ):
            cr.vmap(lambda a, b: a)(X, X[:4])
        with pytest.raises(
            cr.ShapeError, match="vmap: an argument has no axis for the batch: argument 0 is a scalar"
        ):
            cr.vmap(h)(cr.tensor(1.0))
        with pytest.raises(cr.ValueError, match="vmap: no argument has a batch axis"):
            cr.vmap(h, in_axes=None)(X)
        with pytest.raises(cr.ValueError, match="vmap: in_axes has 2 entries, but there are 1 arguments"):
            cr.vmap(h, in_axes=(0, 0))(X)
        with pytest.raises(cr.Error, match=r"bool|value"):
            cr.vmap(lambda x: x if x.sum() > 0 else -x)(X)


class TestModules:
    MODEL = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1), seed=0)
    x = X.astype("float32")

    def loss(self, model):
        return (model(cr.tensor(self.x)) ** 2).mean()

    def test_gradient_is_a_dict_by_name(self):
        self.loss(self.MODEL).backward()
        gradient = cr.grad(self.loss)(self.MODEL)
        assert list(gradient) == [name for name, _ in self.MODEL.named_parameters()]
        for name, p in self.MODEL.named_parameters():
            np.testing.assert_array_equal(gradient[name].numpy(), p.grad.numpy())
            assert not gradient[name].requires_grad
            p.zero_grad()

    def test_gradient_leaves_no_trace(self):
        cr.grad(self.loss)(self.MODEL)
        assert all(p.grad is None for p in self.MODEL.parameters())

    def test_frozen_parameters_have_none(self):
        model = self.MODEL.clone()
        model.parameters()[0].requires_grad_(False)
        assert list(cr.grad(self.loss)(model)) == ["0.bias", "2.weight", "2.bias"]

    def test_modules_among_other_arguments(self):
        def loss(model, scale):
            return self.loss(model) * scale

        by_name, scale = cr.grad(loss, argnums=(0, 1))(self.MODEL, cr.tensor(2.0))
        close(scale, self.loss(self.MODEL).detach(), 1e-6)
        for name, g in cr.grad(self.loss)(self.MODEL).items():
            close(by_name[name], 2 * g.numpy(), 1e-6)

    def test_higher_order_in_forward_and_reverse(self):
        model = self.MODEL.clone().astype("float64")
        x = cr.tensor(X)

        def squared_gradient(m):
            return sum((g**2).sum() for g in cr.grad(lambda m: (m(x) ** 2).mean())(m).values())

        direction = {name: cr.ones(p.shape, "float64") for name, p in model.named_parameters()}
        along = cr.jvp(squared_gradient, model, direction)[1].item()
        by_gradient = sum(g.numpy().sum() for g in cr.grad(squared_gradient)(model).values())
        close(along, by_gradient)

        def moved(t):
            parameters = {name: p.detach() + t for name, p in model.named_parameters()}
            gradients = cr.grad(lambda p: (cr.functional_call(model, p, x) ** 2).mean())(parameters)
            return sum(float((g**2).sum()) for g in gradients.values())

        assert along == pytest.approx((moved(1e-6) - moved(-1e-6)) / 2e-6, rel=1e-6)

    def test_functional_call(self):
        replaced = {"0.bias": cr.tensor(np.ones(4, "float32"))}
        expected = (
            np.tanh(self.x @ self.MODEL.parameters()[0].numpy() + 1) @ self.MODEL.parameters()[2].numpy()
            + self.MODEL.parameters()[3].numpy()
        )
        close(cr.functional_call(self.MODEL, replaced, self.x), expected, 1e-5)
        message = (
            r"functional_call: the parameters do not fit the module: differences are\n"
            r"  weight: the module has no such parameter\n  0.bias: \(3,\) for \(4,\)"
        )
        with pytest.raises(cr.ValueError, match=message):
            cr.functional_call(self.MODEL, {"weight": cr.ones((4,)), "0.bias": cr.ones((3,))}, self.x)


class TestCheckGradients:
    def test_table(self):
        table = cr.check_gradients(lambda a, b: (cr.tanh(a) * b).sum(), x0(), cr.tensor(V.astype("float32")))
        assert len(table.splitlines()) == 3

    def test_wrong_rule_is_found(self):
        wrong = cr.custom_gradient(cr.exp, vjp=lambda x, g: 1.01 * g * cr.exp(x))
        with pytest.raises(
            cr.ValueError, match=r"analytic and numeric derivatives differ(.|\n)*<- too large"
        ):
            cr.check_gradients(wrong, x0())

    def test_large_functions_along_random_directions(self):
        matrix = cr.tensor(RNG.normal(size=(80, 90)))
        assert "(90,)" in cr.check_gradients(lambda x: cr.tanh(matrix @ x), cr.tensor(RNG.normal(size=90)))
        wrong = cr.custom_gradient(cr.exp, vjp=lambda x, g: 1.01 * g * cr.exp(x))
        with pytest.raises(cr.ValueError, match="too large"):
            cr.check_gradients(lambda x: wrong(matrix @ x), cr.tensor(RNG.normal(size=90)))

    def test_dropout_masks_are_fixed_within_it(self):
        model = nn.Sequential(nn.Linear(3, 8), nn.Dropout(0.5), nn.Linear(8, 2), seed=0).astype("float64")
        cr.check_gradients(model, x0())


class TestControlFlow:
    def test_newton_with_while_differentiates(self):
        """x with x^2 = a, by iteration on values; dx/da = 1 / (2 x)."""

        def root(a):
            x = a
            while abs(float(x * x - a)) > 1e-14 * float(a):
                x = x - (x * x - a) / (2.0 * x)
            return x

        a = cr.tensor(2.0, "float64")
        close(cr.grad(root)(a), 0.5 / np.sqrt(2))
        close(cr.jvp(root, a, cr.tensor(1.0, "float64"))[1], 0.5 / np.sqrt(2))
        line = root.__code__.co_firstlineno + 2
        with pytest.raises(
            cr.StateError, match=rf"float: line {line} of test_transforms.py: a traced tensor has no value"
        ):
            cr.compile(root)(a)


@pytest.mark.parametrize("f", [lambda x, y: cr.sin(x / y), lambda x, y: cr.sin((x * x) / (x * x) * y * x)])
def test_compiled_second_derivatives_where_an_operand_stands_twice(f):
    """d0_divide(a, b, g) does not read a, and g stands in for it: each place must get its own part only."""
    x, y = cr.tensor([0.7, -0.3]), cr.tensor([1.3, 0.4])
    x, y = x.astype("float64"), y.astype("float64")
    gradient = cr.grad(lambda x, y: f(x, y).sum(), argnums=(0, 1))
    again = cr.grad(lambda x, y: sum(g.sum() for g in gradient(x, y)), argnums=(0, 1))
    one = cr.ones((2,), "float64")
    _, expected = cr.jvp(gradient, (x, y), (one, one))
    for results in (again(x, y), cr.compile(again)(x, y)):
        for result, e in zip(results, expected, strict=True):
            close(result, e)


class TestCapturedLeaves:
    """A leaf that a function captures keeps its gradient through eager derivatives of that function."""

    def test_first_order(self):
        w = cr.tensor(3.0, requires_grad=True)
        (w**2 + cr.grad(lambda x: w * x**2)(cr.tensor(1.0))).backward()
        close(w.grad, 8)  # 2 w + 2 x

    def test_a_physics_loss_by_hand_equals_the_derivative_by_module(self):
        net = nn.MLP([1, 4, 1], activation="tanh", seed=0)
        x = cr.tensor(np.linspace(0, 1, 5, dtype="float32")[:, None])

        def loss(model):
            slope = cr.grad(lambda t: model(t).sum())(x)
            return (model(x) ** 2).mean() + ((slope - 1.0) ** 2).mean()

        loss(net).backward()
        by_module = cr.grad(loss)(net)
        for name, p in net.named_parameters():
            close(p.grad, by_module[name], 1e-5)

    @pytest.mark.parametrize("derivative", [cr.jacobian, cr.hessian])
    def test_jacobians(self, derivative):
        w = cr.tensor(3.0, "float64", requires_grad=True)
        derivative(lambda x: (w * x**3).sum())(x0()).sum().backward()
        h = 1e-6
        moved = [
            np.asarray(derivative(lambda x, v=v: (v * x**3).sum())(x0())).sum() for v in (3.0 + h, 3.0 - h)
        ]
        close(w.grad, (moved[0] - moved[1]) / (2 * h), 1e-6)

    def test_no_grad_records_nothing(self):
        w = cr.tensor(3.0, requires_grad=True)
        with cr.no_grad():
            assert not cr.grad(lambda x: w * x**2)(cr.tensor(1.0)).requires_grad


def test_check_gradients_of_float32_models():
    """In float64 throughout: differences of float32 values would show errors where there are none."""
    model, x = (
        nn.Sequential(nn.Linear(3, 4, seed=0), nn.Tanh(), nn.Linear(4, 2, seed=1)),
        np.ones((5, 3), "float32"),
    )
    weight = cr.tensor([1.0, 2.0])
    for table in (
        cr.check_gradients(lambda x: (model(x) * weight).sum(), x),
        cr.check_gradients(lambda m: (m(x) ** 2).sum(), model),
        cr.check_gradients(lambda w: (w * weight).sum(), weight),
    ):
        errors = [float(line.split()[-1]) for line in table.splitlines()[1:]]
        assert max(errors) < 1e-9
    wrong = cr.custom_gradient(lambda x: (x * x, lambda gy: 3 * gy))
    with pytest.raises(cr.ValueError, match="analytic and numeric derivatives differ"):
        cr.check_gradients(lambda x: (wrong(x) * weight[0].astype(x.dtype)).sum(), x)
