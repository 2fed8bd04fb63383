"""training_step, copy_ and lerp_ of modules, and what compiled functions notice of a model's mode."""

from __future__ import annotations

import chainrule as cr
import numpy as np
import pytest
from chainrule import nn, optim

RNG = np.random.default_rng(3)
X = RNG.normal(size=(16, 3)).astype("float32")
Y = RNG.normal(size=(16, 2)).astype("float32")


def net(seed=0):
    return nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 2), seed=seed)


def mse(model):
    return lambda x, y: ((model(x) - y) ** 2).mean()


def same(a, b):
    for (name, p), (_, q) in zip(a.named_parameters(), b.named_parameters(), strict=True):
        np.testing.assert_array_equal(p.numpy(), q.numpy(), err_msg=name)


class TestTrainingStep:
    @pytest.mark.parametrize(
        "make", [lambda p: optim.SGD(p, lr=0.1, momentum=0.9), lambda p: optim.AdamW(p, lr=1e-2)]
    )
    def test_bits_of_the_loop_by_hand(self, make):
        model, by_hand = net(), net()
        step = cr.training_step(mse(model), make(model.parameters()))
        opt = make(by_hand.parameters())
        for _ in range(5):
            loss = step(X, Y)
            opt.zero_grad()
            expected = mse(by_hand)(cr.tensor(X), cr.tensor(Y))
            expected.backward()
            opt.step()
            assert isinstance(loss, float)
            assert loss == expected.item()
        same(model, by_hand)
        assert step.step_count == 5

    def test_arguments_by_name(self):
        def loss(x, y, *, scale=1.0, shift=0.0):
            return ((model(x) * scale + shift - y) ** 2).mean()

        def step_with(call):
            nonlocal model
            model = net()
            step = cr.training_step(loss, optim.SGD(model.parameters(), lr=0.1))
            return [call(step) for _ in range(2)] + [model.parameters()[0].numpy().tolist()]

        model = net()
        Z = X @ np.ones((3, 2), np.float32)
        plain = step_with(lambda s: s(X, Y))
        assert step_with(lambda s: s(y=Y, x=X)) == plain
        assert step_with(lambda s: s(X, y=Y)) == plain
        assert step_with(lambda s: s(X, Y, scale=1.0)) == plain
        model = net()
        step = cr.training_step(loss, optim.SGD(model.parameters(), lr=0.0))
        # One shape and dtype, three meanings: the program of one is not that of another.
        by_name = {
            "scale": step(X, Y, scale=np.float32(0.5)),
            "shift": step(X, Y, shift=np.float32(0.5)),
            "plain": step(X, Y),
            "y, x": cr.training_step(lambda y, x: ((y - x) ** 2).mean() + 0 * model(X).sum(),
                                     optim.SGD(model.parameters(), lr=0.0))(x=Z, y=Y),
        }  # fmt: skip
        out = np.asarray(model(X).detach().numpy())
        assert by_name["scale"] == pytest.approx(((out * 0.5 - Y) ** 2).mean(), rel=1e-5)
        assert by_name["shift"] == pytest.approx(((out + 0.5 - Y) ** 2).mean(), rel=1e-5)
        assert by_name["plain"] == pytest.approx(((out - Y) ** 2).mean(), rel=1e-5)
        assert by_name["y, x"] == pytest.approx(((Y - Z) ** 2).mean(), rel=1e-5)
        with pytest.raises(TypeError, match="unexpected keyword argument 'wrong'"):
            step(X, Y, wrong=1.0)

    def test_bits_of_the_trainer(self):
        model, other = net(), net()
        step = cr.training_step(mse(model), optim.Adam(model.parameters(), lr=1e-2), clip_norm=0.5)
        trainer = cr.Trainer(other, nn.MSELoss(), optim.Adam(lr=1e-2), clip_norm=0.5)
        for _ in range(4):
            assert step(X, Y) == pytest.approx(trainer.step(X, Y), rel=1e-6)
        for p, q in zip(model.parameters(), other.parameters(), strict=True):
            np.testing.assert_allclose(p.numpy(), q.numpy(), rtol=1e-5, atol=1e-7)

    def test_only_the_optimizers_parameters_move(self):
        model, fixed = net(), net(1)
        before = fixed.state_dict()
        step = cr.training_step(
            lambda x: ((model(x) - fixed(x)) ** 2).mean(), optim.SGD(model.parameters(), lr=0.1)
        )
        losses = [step(X) for _ in range(30)]
        assert losses[-1] < 0.5 * losses[0]
        for name, value in fixed.state_dict().items():
            np.testing.assert_array_equal(value, before[name])

    def test_pairs_run_in_order(self):
        """The second loss sees the first optimizer's update, shared parts included."""
        shared, actor, critic = nn.Linear(3, 4, seed=0), nn.Linear(4, 2, seed=1), nn.Linear(4, 1, seed=2)
        modules = (shared, actor, critic)
        first = lambda x, y: (critic(cr.tanh(shared(x))) ** 2).mean()  # noqa: E731
        second = lambda x, y: ((actor(cr.tanh(shared(x))) - y) ** 2).mean()  # noqa: E731
        copies = [m.clone() for m in modules]
        make = lambda m: [  # noqa: E731
            optim.Adam(m[0].parameters() + m[2].parameters(), lr=1e-2),
            optim.SGD(m[0].parameters() + m[1].parameters(), lr=1e-1, momentum=0.9),
        ]
        a, b = make(modules)
        step = cr.training_step([(first, a), (second, b)])
        c, d = make(copies)
        s2, a2, c2 = copies
        for _ in range(3):
            losses = step(X, Y)
            expected = []
            for opt, loss in (
                (c, lambda: (c2(cr.tanh(s2(X))) ** 2).mean()),
                (d, lambda: ((a2(cr.tanh(s2(X))) - Y) ** 2).mean()),
            ):
                for m in copies:
                    m.zero_grad()
                value = loss()
                value.backward()
                opt.step()
                expected.append(value.item())
            assert losses == tuple(expected)
        for m, n in zip(modules, copies, strict=True):
            same(m, n)

    def test_gradients_inside_the_loss(self):
        """A physics loss: the network's derivative with respect to its input, then the weights' gradient."""
        model = nn.MLP([1, 16, 1], activation="tanh", seed=0)
        x = np.linspace(0, 1, 32, dtype="float32")[:, None]

        def loss(x):
            dy = cr.grad(lambda t: model(t).sum())(x)
            return ((dy + model(x)) ** 2).mean() + ((model(cr.zeros((1, 1))) - 1.0) ** 2).mean()

        step = cr.training_step(loss, optim.Adam(model.parameters(), lr=1e-2))
        for _ in range(1500):
            last = step(x)
        assert last < 1e-3
        np.testing.assert_allclose(model.predict(x), np.exp(-x), atol=0.03)

    def test_a_learning_rate_can_change_without_a_new_trace(self):
        traced = []
        model = net()

        def loss(x, y):
            traced.append(1)
            return mse(model)(x, y)

        opt = optim.SGD(model.parameters(), lr=0.1)
        step = cr.training_step(loss, opt)
        step(X, Y)
        count = len(traced)
        opt.lr = 0.0
        before = model.state_dict()
        step(X, Y)
        assert len(traced) == count
        for name, value in model.state_dict().items():
            np.testing.assert_array_equal(value, before[name])
        step(X[:5], Y[:5])  # another shape is another trace
        assert len(traced) > count

    def test_captured_tensors_are_read_when_it_runs(self):
        model, scale = net(), cr.tensor(1.0)
        step = cr.training_step(lambda x, y: mse(model)(x, y) * scale, optim.SGD(model.parameters(), lr=0.0))
        first = step(X, Y)
        scale.copy_(np.float32(3.0))
        assert step(X, Y) == pytest.approx(3 * first, rel=1e-6)

    def test_dropout_follows_the_seed_and_the_step(self):
        def losses(seed):
            model = nn.Sequential(nn.Linear(3, 32), nn.Dropout(0.5), nn.Linear(32, 2), seed=0)
            step = cr.training_step(mse(model), optim.SGD(model.parameters(), lr=0.0), seed=seed)
            return [step(X, Y) for _ in range(3)]

        assert losses(0) == losses(0)
        assert len({*losses(0), *losses(1)}) == 6

    def test_modes_are_the_modules_own_and_noticed(self):
        model = nn.Sequential(nn.Linear(3, 32), nn.Dropout(0.5), nn.Linear(32, 2), seed=0)
        step = cr.training_step(mse(model), optim.SGD(model.parameters(), lr=0.0))
        assert step(X, Y) != step(X, Y)
        model.eval()
        assert step(X, Y) == step(X, Y)
        assert not model.training

    @pytest.mark.parametrize("parts", [1, 2])
    def test_a_step_that_is_not_finite_changes_nothing(self, parts):
        model, other = net(), net(1)
        opt = optim.Adam(model.parameters(), lr=0.1)
        pairs = [(mse(model), opt), (mse(other), optim.SGD(other.parameters(), lr=0.1))]
        step = cr.training_step(pairs[::-1][:parts][::-1]) if parts == 2 else cr.training_step(*pairs[0])
        step(X, Y)
        before = model.state_dict(), other.state_dict(), opt.state_dict()
        bad = np.full_like(Y, np.nan)
        with pytest.raises(
            cr.ValueError, match=r"training_step: a loss or a gradient is not finite: step 1; nothing was"
        ):
            step(X, bad)
        for now, then in zip((model.state_dict(), other.state_dict(), opt.state_dict()), before, strict=True):
            for name in then:
                np.testing.assert_array_equal(now[name], then[name])
        assert np.isfinite(step(X, Y)).all()

    def test_mistakes(self):
        model = net()
        opt = optim.SGD(model.parameters(), lr=0.1)
        with pytest.raises(
            cr.DTypeError, match=r"training_step: an optimizer is missing; write training_step\(loss, opt"
        ):
            cr.training_step(mse(model))
        with pytest.raises(cr.DTypeError, match="training_step: expected an optimizer, got float"):
            cr.training_step(mse(model), 0.1)
        with pytest.raises(cr.StateError, match="training_step: an optimizer has no parameters"):
            cr.training_step(mse(model), optim.Adam(lr=0.1))
        with pytest.raises(
            cr.ShapeError, match=r"a loss does not return one number: loss 0 returned shape \(16, 2\)"
        ):
            cr.training_step(lambda x: model(x), opt)(X)
        with pytest.raises(
            cr.StateError, match="a loss reaches no parameter that its optimizer may move: loss 0"
        ):
            cr.training_step(mse(net(1)), opt)(X, Y)
        with pytest.raises(cr.ValueError, match="clip_norm must be above 0"):
            cr.training_step(mse(model), opt, clip_norm=-1.0)
        with pytest.raises(cr.ValueError, match=r"np\.random"):
            cr.training_step(lambda x: (model(x) * np.random.default_rng().normal()).sum(), opt)(X)
        with pytest.raises(cr.Error, match=r"bool|value"):
            cr.training_step(lambda x: model(x).sum() if x.sum() > 0 else model(x).mean(), opt)(X)


class TestTargets:
    def test_copy(self):
        model, target = net(), net(1)
        assert target.copy_(model) is target
        same(model, target)

    def test_lerp(self):
        model, target = net(), net(1)
        before = [p.numpy().copy() for p in target.parameters()]
        target.lerp_(model, 0.25)
        for p, q, b in zip(target.parameters(), model.parameters(), before, strict=True):
            np.testing.assert_allclose(p.numpy(), b + 0.25 * (q.numpy() - b), rtol=1e-6)
        with pytest.raises(cr.ValueError, match=r"lerp_: weight is outside \[0, 1\]: 2"):
            target.lerp_(model, 2.0)

    def test_buffers_are_copied(self):
        a, b = nn.BatchNorm1d(3), nn.BatchNorm1d(3)
        a(X)
        b.lerp_(a, 0.5)
        for (_, p), (_, q) in zip(a.named_buffers(), b.named_buffers(), strict=True):
            np.testing.assert_array_equal(p.numpy(), q.numpy())

    def test_differences_are_listed_and_nothing_changes(self):
        target = net()
        before = target.state_dict()
        with pytest.raises(cr.ValueError, match=r"copy_: .*differ from the model: .*2.weight is \(8, 2\)"):
            target.copy_(nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 4), seed=0))
        for name, value in target.state_dict().items():
            np.testing.assert_array_equal(value, before[name])


class TestCompiledModes:
    def test_compile_notices_eval(self):
        model = nn.Sequential(nn.Linear(3, 32), nn.Dropout(0.5), seed=0)
        compiled = cr.compile(lambda x: model(x))
        assert (compiled(X).numpy() != compiled(X).numpy()).any()
        model.eval()
        np.testing.assert_array_equal(compiled(X).numpy(), compiled(X).numpy())
        np.testing.assert_array_equal(compiled(X).numpy(), model(X).numpy())
        model.train()
        assert (compiled(X).numpy() != compiled(X).numpy()).any()
