"""Calls as one op: compiled functions that are differentiated, and functions with own derivative rules."""

from __future__ import annotations

import chainrule as cr
import numpy as np
import pytest
from chainrule import nn
from transformed import V, X, close, f, hessian_of_f, x0


class TestCompile:
    @pytest.mark.parametrize("transform", [cr.grad, cr.hessian, lambda f: cr.vmap(cr.grad(f))])
    def test_around_every_transform(self, transform):
        x = cr.tensor(X if transform is not cr.grad and transform is not cr.hessian else X[0])
        compiled = cr.compile(transform(f))
        np.testing.assert_array_equal(compiled(x).numpy(), transform(f)(x).numpy())

    def test_inside_every_transform(self):
        compiled = cr.compile(f)
        close(cr.grad(compiled)(x0()), cr.grad(f)(x0()))
        close(cr.hessian(compiled)(x0()), hessian_of_f(X[0]))
        close(cr.jvp(compiled, x0(), cr.tensor(V))[1], cr.grad(f)(x0()).numpy() @ V)
        close(cr.vmap(compiled)(X), [float(f(cr.tensor(x))) for x in X])

    def test_recorded_calls_reach_arguments_and_captured_parameters(self):
        model = nn.Linear(3, 2, seed=0)
        compiled = cr.compile(lambda x: (model(x) ** 2).sum())
        x = cr.tensor(X.astype("float32"), requires_grad=True)
        compiled(x).backward()
        got = [x.grad.numpy()] + [p.grad.numpy() for p in model.parameters()]
        x.zero_grad()
        for p in model.parameters():
            p.zero_grad()
        (model(x) ** 2).sum().backward()
        for a, b in zip(got, [x.grad.numpy()] + [p.grad.numpy() for p in model.parameters()], strict=True):
            np.testing.assert_array_equal(a, b)

    def test_trees(self):
        compiled = cr.compile(lambda p, x: {"y": p["w"] * x, "parts": [x, (p["b"],)]})
        out = compiled({"w": cr.tensor(2.0), "b": cr.tensor(1.0)}, cr.tensor([1.0, 2.0]))
        close(out["y"], [2, 4])
        close(out["parts"][1][0], 1)

    def test_arguments_by_name(self):
        seen = []

        def f(x, y=1.0, **more):
            seen.append((tuple(sorted(more)), x.shape))
            return x - y + 10 * sum(more.values())

        fast = cr.compile(f)
        x, y = cr.tensor(X[0]), cr.tensor(V)
        close(fast(x, y), X[0] - V)
        traced = len(seen)
        close(fast(y=y, x=x), X[0] - V)
        close(fast(x=x, y=y), X[0] - V)  # the order of names makes no difference
        assert len(seen) == 2 * traced
        close(fast(x), X[0] - 1)
        close(fast(x, a=y, b=cr.tensor(1.0, dtype="float64")), X[0] - 1 + 10 * V + 10)
        close(fast(x, b=y, a=cr.tensor(1.0, dtype="float64")), X[0] - 1 + 10 * V + 10)
        out = np.empty(3)
        assert fast(x, y=y, out=out) is out
        close(out, X[0] - V)
        close(cr.grad(lambda v: (fast(x, y=v) ** 2).sum())(y), -2 * (X[0] - V))
        close(cr.compile(lambda x, v: fast(x, y=v))(x, y), X[0] - V)
        nested = cr.compile(lambda x, p: x * p["w"][0])
        close(nested(x, p={"w": [y]}), X[0] * V)

    def test_out(self):
        compiled = cr.compile(lambda x: (x * 2, x.sum()))
        doubled, total = np.empty(3), np.empty(())
        assert compiled(X[0], out=(doubled, total))[0] is doubled
        close(doubled, 2 * X[0])
        close(total, X[0].sum())
        with pytest.raises(
            cr.ShapeError, match=r"compile: out= does not fit: float64\(2,\) for float64\(3,\)"
        ):
            compiled(X[0], out=(np.empty(2), total))
        with pytest.raises(cr.ValueError, match="compile: out= does not fit: 1 arrays for 2 outputs"):
            compiled(X[0], out=doubled)
        with pytest.raises(cr.StateError, match="compile: out= would lose the gradient"):
            compiled(cr.tensor(X[0], requires_grad=True), out=(doubled, total))

    def test_numpy_random_is_found(self):
        with pytest.raises(cr.ValueError, match="a constant differs between two calls"):
            cr.compile(lambda x: x * np.random.default_rng().normal())(x0())


class TestCustomGradient:
    def test_pullback_of_the_call(self):
        @cr.custom_gradient
        def clipped(x):
            return x * 2.0, lambda gy: gy.clip(-1.0, 1.0)

        loss = lambda x: (100.0 * clipped(x)).sum()  # noqa: E731
        close(clipped(x0()), 2 * X[0])
        for run in (cr.grad(loss), cr.compile(cr.grad(loss)), cr.grad(cr.compile(loss))):
            close(run(x0()), [1, 1, 1])
        close(cr.vmap(cr.grad(loss))(X), np.ones_like(X))
        close(cr.grad(lambda x: cr.vmap(loss)(x).sum())(cr.tensor(X)), np.ones_like(X))
        x = cr.tensor(X[0], requires_grad=True)
        loss(x).backward()
        close(x.grad, [1, 1, 1])

    @pytest.mark.parametrize("given", ["vjp", "jvp", "both"])
    def test_own_rules_and_their_transposes(self, given):
        """A wrong rule on purpose: three times exp's. Forward and reverse mode must both follow it."""
        rules = {"vjp": lambda x, g: 3.0 * g * cr.exp(x), "jvp": lambda x, t: 3.0 * t * cr.exp(x)}
        chosen = rules if given == "both" else {given: rules[given]}
        triple = cr.custom_gradient(cr.exp, **chosen)
        value = 3 * np.exp(X[0])
        total = lambda x: triple(x).sum()  # noqa: E731
        for run in (cr.grad(total), cr.compile(cr.grad(total)), cr.grad(cr.compile(total))):
            close(run(x0()), value)
        close(cr.jvp(triple, x0(), cr.tensor(V))[1], value * V)
        close(cr.compile(lambda x: cr.jvp(triple, x, cr.tensor(V))[1])(x0()), value * V)
        close(cr.hessian(total)(x0()), np.diag(value))  # of the rule, exp in it is exp's own
        close(cr.vmap(cr.grad(triple))(X[0]), value)
        close(cr.jacobian(triple)(x0()), np.diag(value))

    def test_several_arguments_and_results(self):
        swap = cr.custom_gradient(lambda a, b: (b, a), vjp=lambda a, b, ga, gb: (10.0 * gb, 20.0 * ga))
        (ga, gb) = cr.grad(lambda a, b: (swap(a, b)[0] * 2 + swap(a, b)[1]).sum(), argnums=(0, 1))(x0(), x0())
        close(ga, [10] * 3)
        close(gb, [40] * 3)

    def test_captured_tensors_are_constants(self):
        w = cr.tensor(V)
        g = cr.custom_gradient(lambda x: x * w, vjp=lambda x, gy: gy * w)
        x = cr.tensor(X[0], requires_grad=True)
        g(x).sum().backward()
        close(x.grad, V)
        close(cr.compile(cr.grad(lambda x: g(x).sum()))(x0()), V)

    @pytest.mark.parametrize("given", ["vjp", "jvp", "pullback"])
    def test_in_the_model_file(self, tmp_path, given):
        """A loaded model predicts and trains on with the same rules, though the functions are not there."""
        table = cr.tensor(np.array([1.0, 2.0], "float32"))
        rules = {"vjp": lambda x, g: 3.0 * g * table, "jvp": lambda x, t: 3.0 * t * table}
        if given == "pullback":
            own = cr.custom_gradient(lambda x: (x * 2.0, lambda g: 3.0 * g * table))
        else:
            own = cr.custom_gradient(lambda x: x * 2.0, **{given: rules[given]})

        class Scaled(nn.Module):
            def __init__(self):
                self.first = nn.Linear(3, 2, seed=0)
                self.second = nn.Linear(2, 1, seed=1)

            def forward(self, x):
                return self.second(own(cr.tanh(self.first(x))))

        x, y = X.astype("float32"), np.ones((5, 1), "float32")
        model = Scaled()
        cr.Trainer(model, nn.MSELoss(), cr.optim.SGD(lr=0.1)).fit(x, y, progress=False)
        model.save(tmp_path / "m.safetensors")
        loaded = cr.load(tmp_path / "m.safetensors").train()
        np.testing.assert_array_equal(loaded.predict(x), model.predict(x))
        np.testing.assert_array_equal(loaded.predict(x[:2]), model.predict(x[:2]))
        for m in (model, loaded):
            trainer = cr.Trainer(m, nn.MSELoss(), cr.optim.SGD(lr=0.1))
            trainer.fit(x, y, epochs=3, batch_size=2, progress=False)
        for a, b in zip(model.parameters(), loaded.parameters(), strict=True):
            np.testing.assert_array_equal(a.numpy(), b.numpy())
        again = cr.loads(cr.loads(loaded.to_bytes()).to_bytes())
        np.testing.assert_array_equal(again.predict(x), loaded.predict(x))
        wide = cr.load(tmp_path / "m.safetensors").astype("float64")
        np.testing.assert_allclose(wide.predict(X), cr.load(tmp_path / "m.safetensors").predict(x), rtol=1e-5)

    def test_hostile_calls_in_a_model_file(self):
        class Scaled(nn.Module):
            def __init__(self):
                self.layer = nn.Linear(3, 2, seed=0)

            def forward(self, x):
                return cr.custom_gradient(lambda x: x * 2.0, vjp=lambda x, g: g)(self.layer(x))

        model = Scaled()
        trainer = cr.Trainer(model, nn.MSELoss(), cr.optim.SGD(lr=0.1))
        trainer.fit(X.astype("float32"), np.ones((5, 2), "float32"), progress=False)
        data = model.to_bytes()
        for old, new, text in (
            (b'\\"primals\\":1', b'\\"primals\\":9', "primals"),
            (b'\\"vjp\\":', b'\\"vjq\\":', "vjq"),
            (b'\\"op\\":\\"call\\"', b'\\"op\\":\\"tanh\\"', "call"),
        ):
            assert old in data
            with pytest.raises(cr.FileError, match=text):
                cr.loads(data.replace(old, new, 1))

    def test_mistakes(self):
        with pytest.raises(
            cr.ValueError, match=r"custom_gradient: the function must return \(result, pullback\)"
        ):
            cr.custom_gradient(lambda x: x)(x0())
        bad = cr.custom_gradient(lambda x: x, vjp=lambda x, g: g.sum())
        with pytest.raises(
            cr.ShapeError, match=r"one of the cotangents that the rule returned does not fit: number 0 is"
        ):
            cr.grad(lambda x: bad(x).sum())(x0())
        few = cr.custom_gradient(lambda x, y: x, vjp=lambda x, y, g: g)
        with pytest.raises(cr.ValueError, match="the rule returned the wrong number of cotangents: 1 for 2"):
            cr.grad(lambda x: few(x, x).sum())(x0())
