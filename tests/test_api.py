"""The interface as documented: the programs of the README, and a test for every rule a user may rely on."""

import copy
import pickle
import subprocess
import sys

import chainrule as cr
import numpy as np
import pytest
from chainrule import nn, optim


@pytest.fixture(scope="module")
def digits():
    return (*cr.datasets.load_digits(split="train"), *cr.datasets.load_digits(split="test"))


def small_model(seed=0):
    return nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 3), seed=seed)


def small_data(n=40, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 4)).astype(np.float32)
    return X, rng.integers(0, 3, n)


def equal_states(a, b):
    a, b = a.state_dict(), b.state_dict()
    return a.keys() == b.keys() and all(np.array_equal(a[name], b[name]) for name in a)


class Block(nn.Module):
    def __init__(self, width):
        self.inner = nn.Sequential(nn.Linear(width, width), nn.Tanh())

    def forward(self, x):
        return x + self.inner(x)


def focal(logits, target):
    logp = cr.log_softmax(logits, axis=-1)
    picked = cr.take_along(logp, target, axis=-1)
    return -((1 - cr.exp(picked)) ** 2 * picked)


class TestPrograms:
    def test_train_digits(self, digits, tmp_path):
        X, y, Xt, yt = digits
        model = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Dropout(0.2), nn.Linear(128, 10), seed=0)
        trainer = cr.Trainer(
            model,
            loss=nn.CrossEntropyLoss(),
            optimizer=optim.AdamW(lr=2e-3, weight_decay=1e-4),
            metrics=["accuracy"],
        )
        history = trainer.fit(X, y, epochs=30, batch_size=32, validation_data=(Xt, yt))
        assert len(str(history).splitlines()) > 30
        assert history["val_accuracy"][-1] >= 0.97
        result = trainer.evaluate(Xt, yt)
        assert set(result) == {"loss", "accuracy"}
        assert result["accuracy"] == history["val_accuracy"][-1]
        logits = model.predict(Xt)
        assert logits.shape == (360, 10)
        path = tmp_path / "digits.safetensors"
        assert "Linear" in str(model.summary())
        model.save(path)
        loaded = cr.load(path)
        np.testing.assert_array_equal(loaded.predict(Xt), logits)

    def test_by_hand(self, digits):
        X, y, *_ = digits
        model = nn.Sequential(nn.Linear(64, 16), nn.ReLU(), nn.Linear(16, 10), seed=0)
        twin = model.clone()
        opt = optim.Adam(model.parameters(), lr=1e-3)
        for xb, yb in cr.data.batches(X, y, batch_size=32, shuffle=True, seed=0):
            opt.zero_grad()
            loss = nn.CrossEntropyLoss()(model(xb), yb)
            loss.backward()
            opt.step()
        cr.Trainer(twin, nn.CrossEntropyLoss(), optim.Adam(lr=1e-3), seed=0).fit(
            X, y, epochs=1, batch_size=32
        )
        assert equal_states(model, twin)

    def test_python_block_and_loss(self):
        X, y = small_data()
        model = nn.Sequential(nn.Linear(4, 8), Block(8), nn.Linear(8, 3), seed=0)
        history = cr.Trainer(model, focal, optim.Adam(lr=2e-2)).fit(X, y, epochs=60)
        assert history["loss"][-1] < 0.7 * history["loss"][0]

    def test_differentiate(self):
        A = np.random.default_rng(0).normal(size=(3, 4))
        w = np.random.default_rng(1).normal(size=(4, 2))

        def f(w):
            return (cr.tanh(A @ w) ** 2).sum()

        t = np.tanh(A @ w)
        want = A.T @ (2 * t * (1 - t**2))
        np.testing.assert_allclose(cr.grad(f)(w).numpy(), want, rtol=1e-12)
        value, gradient = cr.value_and_grad(f)(w)
        np.testing.assert_allclose(float(value), (t**2).sum(), rtol=1e-12)
        np.testing.assert_allclose(gradient.numpy(), want, rtol=1e-12)

    def test_any_order(self):
        g = cr.exp
        third = cr.grad(cr.grad(cr.grad(lambda t: g(t) * t)))
        np.testing.assert_allclose(float(third(np.array(0.5))), np.exp(0.5) * 3.5, rtol=1e-12)

    def test_vjp_and_jvp(self):
        w, gy, v = np.array([0.1, 0.2]), np.array([1.0, 10.0]), np.array([3.0, -1.0])
        out, pullback = cr.vjp(cr.exp, w)
        np.testing.assert_allclose(out.numpy(), np.exp(w))
        (gw,) = pullback(gy)
        np.testing.assert_allclose(gw.numpy(), gy * np.exp(w))
        for arguments in ((w, v), ((w,), (v,))):
            out, tangent = cr.jvp(cr.exp, *arguments)
            np.testing.assert_allclose(tangent.numpy(), v * np.exp(w))
        out, pullback = cr.vjp(lambda a, b: (a * b, a + b), w, v)
        ga, gb = pullback((gy, gy))
        np.testing.assert_allclose(ga.numpy(), gy * v + gy)
        np.testing.assert_allclose(gb.numpy(), gy * w + gy)
        with pytest.raises(cr.ValueError, match="cotangents"):
            pullback(gy)

    def test_compile_and_trace(self):
        calls = []

        def f(x):
            calls.append(1)
            return cr.tanh(x) * 2

        fast = cr.compile(f)
        x = np.linspace(-1, 1, 5)
        np.testing.assert_array_equal(fast(x).numpy(), f(x).numpy())
        calls.clear()
        fast(x)
        assert not calls
        assert "tanh" in str(cr.trace(f, x))


class TestTracing:
    def test_transforms_run_compile_traces(self):
        def relu(x):
            return x if x.sum() > 0 else x * 0

        assert float(cr.grad(lambda x: relu(x).sum())(np.array([2.0]))) == 1
        with pytest.raises(cr.StateError, match="traced"):
            cr.compile(relu)(np.array([2.0]))

    def test_captured_tensors_are_read_when_run(self):
        alpha = cr.tensor(0.2)
        fast = cr.compile(lambda x: x * alpha)
        assert float(fast(np.float32([1])[...])) == pytest.approx(0.2)
        alpha.copy_(0.1)
        assert float(fast(np.float32([1])[...])) == pytest.approx(0.1)

    def test_captured_tensors_are_read_through_ops(self):
        alpha = cr.tensor(0.2)
        fast = cr.compile(lambda x: x * cr.exp(alpha))
        alpha.copy_(0.0)
        assert float(fast(np.float32([1])[...])) == 1

    def test_captured_arrays_are_constants(self):
        scale = np.array([2.0])
        fast = cr.compile(lambda x: x * scale)
        assert float(fast(np.array([1.0]))) == 2
        scale[0] = 5
        assert float(fast(np.array([1.0]))) == 2

    def test_constants_that_differ_are_an_error(self):
        rng = np.random.default_rng(0)
        with pytest.raises(cr.Error, match="constant"):
            cr.compile(lambda x: x * rng.normal(size=3))(np.ones(3))

    def test_one_trace_per_shape(self):
        shapes = []
        fast = cr.compile(lambda x: (shapes.append(x.shape), x + 1)[1])
        for n in (2, 3, 2, 3):
            assert fast(np.ones(n)).shape == (n,)
        assert set(shapes) == {(2,), (3,)}

    def test_parameters_reach_the_loss_through_ops(self):
        class Scaled(nn.Module):
            def __init__(self):
                self.log_scale = nn.Parameter(np.zeros(3, np.float32))

            def forward(self, x):
                return x * cr.exp(self.log_scale)

        model = Scaled()
        X = np.ones((8, 3), np.float32)
        cr.Trainer(model, nn.MSELoss(), optim.SGD(lr=0.1)).fit(X, 2 * X, epochs=40, batch_size=8)
        assert model.log_scale.numpy() == pytest.approx(np.log(2), abs=0.05)

    def test_save_refuses_a_leaked_batch_size(self, tmp_path):
        class Leaky(nn.Module):
            def __init__(self):
                self.linear = nn.Linear(4, 1)

            def forward(self, x):
                return self.linear(x) / x.shape[0]

        with pytest.raises(cr.Error, match="batch size"):
            Leaky().save(tmp_path / "leaky.safetensors")


class TestSeeds:
    def test_layers_differ_and_a_seed_repeats(self):
        cr.manual_seed(0)
        a, b = nn.Linear(3, 3), nn.Linear(3, 3)
        assert not np.array_equal(a.weight.numpy(), b.weight.numpy())
        cr.manual_seed(0)
        assert np.array_equal(nn.Linear(3, 3).weight.numpy(), a.weight.numpy())
        assert np.array_equal(nn.Linear(3, 3, seed=5).weight.numpy(), nn.Linear(3, 3, seed=5).weight.numpy())

    def test_sequential_seed_is_init(self):
        layers = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 3))
        assert equal_states(layers.init(7), small_model(7))

    def test_bad_seeds(self):
        for seed in (-1, 2**64, 1.5, "a"):
            with pytest.raises(cr.ValueError, match="seed"):
                cr.manual_seed(seed)

    def test_trainer_seed_repeats_and_a_second_fit_goes_on(self):
        X, y = small_data()

        def losses(*epochs, seed=0):
            trainer = cr.Trainer(small_model(), nn.CrossEntropyLoss(), optim.SGD(lr=0.1), seed=seed)
            return [loss for n in epochs for loss in trainer.fit(X, y, epochs=n, batch_size=7)["loss"]]

        assert losses(4) == losses(4) == losses(2, 2)
        assert losses(4) != losses(4, seed=1)

    def test_fit_seed_restarts_the_stream(self):
        X, y = small_data()
        a = cr.Trainer(small_model(), nn.CrossEntropyLoss(), optim.SGD(lr=0.0))
        orders = [a.fit(X, y, batch_size=7, seed=3)["loss"] for _ in range(2)]
        assert orders[0] == orders[1]

    def test_batches_can_be_iterated_again_in_a_new_order(self):
        X = np.arange(10.0).reshape(10, 1)
        batches = cr.data.batches(X, np.arange(10), batch_size=4, seed=1)
        assert len(batches) == 3
        first, second = (np.concatenate([yb for _, yb in batches]) for _ in range(2))
        assert sorted(first) == sorted(second) == list(range(10))
        assert not np.array_equal(first, second)
        again = cr.data.batches(X, np.arange(10), batch_size=4, seed=1)
        assert np.array_equal(np.concatenate([yb for _, yb in again]), first)
        xb, yb = next(iter(cr.data.batches(X, np.arange(10), shuffle=False)))
        assert isinstance(xb, np.ndarray)
        assert np.array_equal(xb[:, 0], yb)


class TestMemory:
    def test_user_memory_is_never_written(self):
        X, y = small_data()
        X.setflags(write=False)
        y.setflags(write=False)
        before = X.copy()
        model = small_model()
        cr.Trainer(model, nn.CrossEntropyLoss(), optim.Adam(lr=0.1)).fit(X, y, epochs=2)
        model.predict(X)
        np.testing.assert_array_equal(X, before)

    def test_predict_gives_new_arrays(self):
        X, _ = small_data()
        model = nn.Sequential(nn.Identity())
        out = model.predict(X)
        out[:] = 0
        assert X.any()

    def test_state_dict_copies(self):
        model = small_model()
        state = model.state_dict()
        state["0.weight"][:] = 0
        assert model[0].weight.numpy().any()

    def test_parameter_views_survive_training_and_the_model(self):
        X, y = small_data()
        model = small_model()
        view = model[0].weight.numpy()
        before = view.copy()
        cr.Trainer(model, nn.CrossEntropyLoss(), optim.SGD(lr=0.5)).fit(X, y)
        assert not np.array_equal(view, before)
        np.testing.assert_array_equal(view, model.state_dict()["0.weight"])
        del model
        assert np.isfinite(view).all()


class TestModules:
    def test_handles_are_shared(self):
        layer = nn.Linear(3, 3)
        a, b = nn.Sequential(layer), nn.Sequential(nn.Tanh(), layer)
        layer.weight.copy_(np.eye(3))
        for model in (a, b):
            np.testing.assert_array_equal(model.state_dict()[f"{len(model) - 1}.weight"], np.eye(3))
        assert a[0] is layer
        assert len(nn.Sequential(layer, layer).parameters()) == 2

    def test_clone_and_deepcopy_copy(self):
        for model in (small_model(), Block(3), nn.Sequential(Block(4), nn.Linear(4, 2))):
            for other in (model.clone(), copy.deepcopy(model)):
                assert type(other) is type(model)
                assert equal_states(model, other)
                other.parameters()[0].copy_(np.zeros(other.parameters()[0].shape))
                assert not equal_states(model, other)
        with pytest.raises(cr.StateError, match="clone"):
            copy.copy(small_model())

    def test_copies_keep_what_is_shared_inside(self):
        class Tied(nn.Module):
            def __init__(self):
                self.a = nn.Linear(3, 3)
                self.b = Block(3)
                self.both = [self.a, self.b]

            def forward(self, x):
                return self.both[1](self.both[0](x))

        model = Tied()
        other = copy.deepcopy(model)
        assert other.both[0] is other.a
        assert other.both[1] is other.b
        assert other.a is not model.a
        assert len(other.parameters()) == len(model.parameters()) == 4

    def test_joining_never_draws(self):
        layers = [nn.Linear(4, 4), nn.Linear(4, 4)]
        before = [layer.weight.numpy().copy() for layer in layers]
        nn.Sequential(*layers)
        nn.Residual(layers[0])
        for layer, weight in zip(layers, before, strict=True):
            np.testing.assert_array_equal(layer.weight.numpy(), weight)

    def test_unreached_parameters_have_no_gradient_and_stay(self):
        used, unused = nn.Linear(2, 1), nn.Linear(2, 1)
        opt = optim.Adam(used.parameters() + unused.parameters(), lr=0.1)
        before = unused.weight.numpy().copy()
        used(np.ones((3, 2), np.float32)).sum().backward()
        opt.step()
        assert unused.weight.grad is None
        np.testing.assert_array_equal(unused.weight.numpy(), before)

    def test_sizes_of_neighbours_are_checked_when_built(self):
        with pytest.raises(cr.ShapeError, match=r"8.*7"):
            nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(7, 3))

    def test_no_super_init_needed_and_none_harmful(self):
        class With(nn.Module):
            def __init__(self, n):
                super().__init__()
                self.layer = nn.Linear(n, n)

            def forward(self, x):
                return self.layer(x)

        class Bare(nn.Module):
            def forward(self, x):
                return x * 2

        assert With(3)(np.ones((1, 3), np.float32)).shape == (1, 3)
        assert float(Bare()(np.ones(1))) == 2
        with pytest.raises(TypeError, match="takes no arguments"):
            Bare(3)
        with pytest.raises(TypeError, match="forward"):
            nn.Module()

    def test_everything_assigned_registers_itself(self):
        class Net(nn.Module):
            def __init__(self):
                self.first = nn.Linear(2, 2)
                self.blocks = [nn.Linear(2, 2), [nn.Linear(2, 2, bias=False)]]
                self.heads = {"a": nn.Linear(2, 1), "b": nn.Linear(2, 1)}
                self.scale = nn.Parameter(np.ones(2, np.float32))
                self.buffer("offset", np.zeros(2, np.float32))
                self.later = []
                self.later.append(nn.Linear(1, 1))
                self.width = 2
                self.sizes = [1, 2]

            def forward(self, x):
                for block in (self.first, self.blocks[0], self.blocks[1][0]):
                    x = block(x)
                return self.heads["a"](x * self.scale + self.offset), self.heads["b"](x)

        net = Net()
        names = [name for name, _ in net.named_parameters()]
        assert names == [
            "scale",
            "first.weight",
            "first.bias",
            "blocks.0.weight",
            "blocks.0.bias",
            "blocks.1.0.weight",
            "heads.a.weight",
            "heads.a.bias",
            "heads.b.weight",
            "heads.b.bias",
            "later.0.weight",
            "later.0.bias",
        ]
        assert list(net.state_dict()) == [names[0], "offset", *names[1:]]
        assert net.sizes == [1, 2]
        a, b = net(np.ones((5, 2)))
        assert a.shape == b.shape == (5, 1)
        net.first = nn.Linear(2, 2, bias=False)
        net.blocks.pop()
        del net.heads["b"]
        del net.scale
        assert {name for name, _ in net.named_parameters()} == {
            "first.weight",
            "blocks.0.weight",
            "blocks.0.bias",
            "heads.a.weight",
            "heads.a.bias",
            "later.0.weight",
            "later.0.bias",
        }
        with pytest.raises(AttributeError, match="scale"):
            net.scale  # noqa: B018

    def test_parameters_are_replaced_only_by_their_like(self):
        a, b = nn.Linear(2, 2), nn.Linear(2, 2)
        a.weight = b.weight
        b.weight.copy_(np.eye(2))
        np.testing.assert_array_equal(a.weight.numpy(), np.eye(2))
        with pytest.raises(cr.DTypeError, match="copy_"):
            a.weight = np.eye(2)
        with pytest.raises(cr.ShapeError, match=r"\(2, 2\).*\(3,\)"):
            a.weight = nn.Parameter(np.ones(3, np.float32))

    def test_a_module_cannot_contain_itself(self):
        class Node(nn.Module):
            def forward(self, x):
                return x

        outer, inner = Node(), Node()
        outer.inner = inner
        with pytest.raises(cr.ValueError, match="itself"):
            inner.outer = outer

    def test_python_modules_live_as_long_as_anyone_needs_them(self):
        model = nn.Sequential(Block(3), nn.Linear(3, 2))
        assert type(model[0]) is Block
        model[0].note = "kept"
        assert model[0].note == "kept"
        assert model(np.ones((2, 3))).shape == (2, 2)
        inner = model[0].inner
        del model
        assert inner(np.ones((2, 3))).shape == (2, 3)

    def test_kinds_come_back_as_their_classes(self):
        model = nn.Sequential(nn.Linear(2, 3), nn.Residual(nn.Linear(3, 3)), nn.BatchNorm1d(3))
        assert [type(layer) for layer in model] == [nn.Linear, nn.Residual, nn.BatchNorm1d]
        assert type(model[1].inner) is nn.Linear
        assert isinstance(model[-1], nn.Module)
        assert model[2].running_mean.shape == (3,)
        assert nn.Linear(2, 2, bias=False).bias is None
        with pytest.raises(cr.IndexError):
            model[3]

    def test_errors_inside_forward_arrive(self):
        class Broken(nn.Module):
            def forward(self, x):
                raise KeyError("mine")

        class Nothing(nn.Module):
            def forward(self, x):
                pass

        with pytest.raises(KeyError, match="mine"):
            nn.Sequential(Broken())(np.ones(2))
        with pytest.raises(cr.ValueError, match="returned None"):
            Nothing()(np.ones(2))

    def test_pickle(self):
        X, _ = small_data()
        for model in (small_model(), Block(4)):
            other = pickle.loads(pickle.dumps(model))
            assert equal_states(model, other)
            np.testing.assert_array_equal(other.predict(X), model.predict(X))


class TestDtypes:
    def test_a_model_has_one_dtype_and_converts_its_inputs(self):
        model = small_model()
        assert model.dtype == "float32"
        assert model(np.ones((2, 4))).dtype == "float32"
        assert model(np.ones((2, 4), np.uint8)).dtype == "float32"
        model.astype("float64")
        assert model.dtype == "float64"
        assert model(np.ones((2, 4), np.float32)).dtype == "float64"
        assert nn.Linear(4, 3, bias=True, dtype="float64").weight.dtype == "float64"
        with pytest.raises(cr.DTypeError, match="float is ambiguous"):
            model.astype(float)


class TestResults:
    def test_ops_give_tensors_the_rest_numpy_or_floats(self):
        X, y = small_data()
        model = small_model()
        trainer = cr.Trainer(model, nn.CrossEntropyLoss(), optim.SGD(lr=0.1), metrics=["accuracy"])
        assert isinstance(model(X), cr.Tensor)
        assert isinstance(cr.exp(X), cr.Tensor)
        assert isinstance(cr.grad(lambda x: x.sum())(X), cr.Tensor)
        assert type(model.predict(X)) is np.ndarray
        assert type(trainer.step(X, y)) is float
        assert all(type(v) is float for v in trainer.evaluate(X, y).values())


class TestMode:
    def test_new_in_train_loaded_in_eval(self, tmp_path):
        model = small_model()
        assert model.training
        model.save(tmp_path / "m.safetensors")
        assert not cr.load(tmp_path / "m.safetensors").training

    def test_nothing_changes_the_flag(self):
        X, y = small_data()
        model = nn.Sequential(nn.Linear(4, 50), nn.Dropout(0.5), nn.Linear(50, 3), seed=0)
        for on in (True, False):
            model.train(on)
            trainer = cr.Trainer(model, nn.CrossEntropyLoss(), optim.SGD(lr=0.1))
            trainer.fit(X, y)
            trainer.evaluate(X, y)
            np.testing.assert_array_equal(model.predict(X), model.predict(X))
            assert model.training is on

    def test_eval_and_train_return_the_module(self):
        model = nn.Sequential(nn.Dropout(0.5))
        x = np.ones((4, 100), np.float32)
        assert model.eval() is model
        np.testing.assert_array_equal(model(x).numpy(), x)
        out = model.train()(x).numpy()
        assert set(np.unique(out)) == {0, 2}


class TestLosses:
    def test_names_and_reductions(self):
        for name in (
            "MSELoss",
            "L1Loss",
            "HuberLoss",
            "BCEWithLogitsLoss",
            "BCELoss",
            "NLLLoss",
            "CrossEntropyLoss",
        ):
            assert "\n" not in repr(getattr(nn, name)())
        out, y = np.array([[1.0], [3.0]]), np.array([0.0, 0.0])
        assert float(nn.MSELoss()(out, y)) == 5
        assert float(nn.MSELoss(half=True)(out, y)) == 2.5
        assert float(nn.MSELoss(reduction="sum")(out, y)) == 10
        assert nn.MSELoss(reduction="none")(out, y).numpy().ravel().tolist() == [1, 9]
        with pytest.raises(cr.ValueError, match="reduction"):
            nn.MSELoss(reduction="average")

    def test_nothing_is_broadcast(self):
        with pytest.raises(cr.ShapeError):
            nn.MSELoss()(np.zeros((3, 1)), np.zeros((1, 3)))
        with pytest.raises(cr.ShapeError):
            nn.MSELoss()(np.zeros((3, 2)), np.zeros(3))

    def test_weighted_mean(self):
        loss = nn.L1Loss()(np.array([1.0, 10.0]), np.zeros(2), sample_weight=np.array([3.0, 1.0]))
        assert float(loss) == pytest.approx(13 / 4)

    def test_custom_losses_and_weights(self):
        X, y = small_data()
        w = np.ones(len(X), np.float32)
        cr.Trainer(small_model(), focal, optim.SGD(lr=0.1)).fit(X, y, sample_weight=w)
        scalar = cr.Trainer(small_model(), lambda out, t: focal(out, t).mean(), optim.SGD(lr=0.1))
        scalar.fit(X, y)
        with pytest.raises(cr.Error, match="per sample"):
            scalar.fit(X, y, sample_weight=w)

    def test_what_is_no_loss(self):
        with pytest.raises(cr.DTypeError, match=r"got a class; write Linear\(\)"):
            cr.Trainer(small_model(), nn.Linear, optim.Adam())
        with pytest.raises(cr.DTypeError, match="got str"):
            cr.Trainer(small_model(), "mse", optim.Adam())
        X, y = small_data()
        with pytest.raises(cr.ValueError, match="returned None"):
            cr.Trainer(small_model(), lambda out, t: None, optim.Adam()).fit(X, y)

    def test_epoch_losses_average_over_samples(self):
        X, y = small_data(10)
        trainer = cr.Trainer(small_model(), nn.CrossEntropyLoss(), optim.SGD(lr=0.0))
        a = trainer.fit(X, y, batch_size=10)["loss"][0]
        b = trainer.fit(X, y, batch_size=7)["loss"][0]
        assert a == pytest.approx(b, rel=1e-5)
        assert trainer.evaluate(X, y)["loss"] == pytest.approx(a, rel=1e-5)


class TestPrediction:
    def test_links(self, tmp_path):
        X, y = small_data()
        model = small_model()
        cr.Trainer(model, nn.CrossEntropyLoss(), optim.SGD(lr=0.1)).fit(X, y)
        raw, proba, picked = (model.predict(X, output=kind) for kind in ("raw", "proba", "class"))
        np.testing.assert_allclose(proba.sum(axis=1), 1, rtol=1e-5)
        np.testing.assert_array_equal(picked, raw.argmax(axis=1))
        model.save(tmp_path / "m.safetensors")
        np.testing.assert_array_equal(cr.load(tmp_path / "m.safetensors").predict(X, output="proba"), proba)

    def test_any_batch_size_gives_the_same_bits(self):
        X, _ = small_data(100)
        model = small_model()
        whole = model.predict(X)
        np.testing.assert_array_equal(model.predict(X, batch_size=7), whole)
        np.testing.assert_array_equal(model.predict(X[3:4]), whole[3:4])
        np.testing.assert_array_equal(model.eval()(X).numpy(), whole)

    def test_metric_functions_get_whole_sets(self):
        X, y = small_data()
        shapes = []

        def hits(output, target):
            shapes.append((type(output), output.shape, target.shape))
            return float((output.argmax(axis=1) == target).mean())

        trainer = cr.Trainer(
            small_model(), nn.CrossEntropyLoss(), optim.SGD(lr=0.1), metrics=["accuracy", hits]
        )
        result = trainer.evaluate(X, y, batch_size=16)
        assert result["hits"] == result["accuracy"]
        assert shapes == [(np.ndarray, (40, 3), (40,))]
        with pytest.raises(cr.ValueError, match="number"):
            cr.Trainer(
                small_model(), nn.CrossEntropyLoss(), optim.SGD(), metrics=[lambda o, t: "x"]
            ).evaluate(X, y)
        with pytest.raises(cr.DTypeError, match="list"):
            cr.Trainer(small_model(), nn.CrossEntropyLoss(), optim.SGD(), metrics="accuracy")


class TestOptimizers:
    def test_a_rate_in_the_wrong_place(self):
        with pytest.raises(cr.DTypeError, match=r"write lr=0\.001"):
            optim.Adam(1e-3)
        with pytest.raises(cr.DTypeError, match=r"model\.parameters\(\)"):
            optim.Adam(small_model())
        with pytest.raises(cr.DTypeError, match="requires_grad"):
            optim.SGD([np.zeros(3)])

    @pytest.mark.parametrize("name", ["SGD", "Adagrad", "RMSprop", "Adam", "AdamW"])
    def test_recipes_are_copied(self, name):
        recipe = getattr(optim, name)(lr=0.05)
        X, y = small_data()
        a, b = (cr.Trainer(small_model(), nn.CrossEntropyLoss(), recipe) for _ in range(2))
        losses = [t.fit(X, y, epochs=3)["loss"] for t in (a, b)]
        assert losses[0] == losses[1]
        assert a.optimizer.step_count == 6
        assert recipe.step_count == 0
        a.optimizer.lr = 0.5
        assert recipe.lr == b.optimizer.lr == 0.05
        assert name in repr(recipe)
        assert "lr=0.05" in repr(recipe)

    def test_state_dict_continues(self):
        X, y = small_data()

        def steps(opt, model, n):
            for _ in range(n):
                opt.zero_grad()
                nn.CrossEntropyLoss()(model(X), y).backward()
                opt.step()

        a, b = small_model(), small_model()
        first = optim.Adam(a.parameters(), lr=0.01)
        steps(first, a, 6)
        half = optim.Adam(b.parameters(), lr=0.01)
        steps(half, b, 3)
        rest = optim.Adam(b.parameters(), lr=0.01)
        rest.load_state_dict(half.state_dict())
        steps(rest, b, 3)
        assert equal_states(a, b)

    def test_pytorch_names(self):
        opt = optim.Adam(
            [cr.tensor([1.0], requires_grad=True)], lr=1.0, betas=(0.8, 0.9), eps=1e-6, weight_decay=0.1
        )
        assert "betas" in repr(opt)


class TestTrainer:
    def test_fit_signature(self):
        X, y = small_data()
        trainer = cr.Trainer(
            small_model(), nn.CrossEntropyLoss(), optim.Adam(), clip_norm=1.0, metrics=["accuracy"]
        )
        history = trainer.fit(
            X,
            y,
            epochs=2,
            batch_size=8,
            shuffle=False,
            validation_split=0.25,
            class_weight={0: 2.0},
            progress=False,
        )
        assert {"loss", "val_loss", "val_accuracy"} <= set(history)
        assert dict(history) == history.to_dict()
        assert history.epochs == 2
        assert "loss" in history
        assert 3 not in history
        assert history.get("nothing") is None
        with pytest.raises(LookupError, match="val_loss"):
            history["nothing"]
        with pytest.raises(TypeError):
            trainer.fit(X, y, 5)

    def test_step_returns_the_loss_before_the_update(self):
        X, y = small_data()
        trainer = cr.Trainer(small_model(), nn.CrossEntropyLoss(), optim.SGD(lr=0.5))
        before = trainer.evaluate(X, y)["loss"]
        assert trainer.step(X, y) == pytest.approx(before, rel=1e-5)
        assert trainer.step(X, y) < before

    def test_reset_restarts(self):
        X, y = small_data()
        trainer = cr.Trainer(small_model(3), nn.CrossEntropyLoss(), optim.Adam(lr=0.01))
        first = trainer.fit(X, y, epochs=3)["loss"]
        trainer.model.init(3)
        trainer.reset()
        assert trainer.fit(X, y, epochs=3)["loss"] == first

    def test_several_inputs_and_outputs(self):
        class Two(nn.Module):
            def __init__(self):
                self.a, self.b = nn.Linear(4, 3), nn.Linear(2, 3)

            def forward(self, x, z):
                return self.a(x), self.b(z)

        X, y = small_data()
        Z = X[:, :2].copy()

        def loss(output, target):
            a, b = output
            return nn.CrossEntropyLoss(reduction="none")(a + b, target)

        trainer = cr.Trainer(Two(), loss, optim.Adam(lr=0.05))
        history = trainer.fit((X, Z), y, epochs=10)
        assert history["loss"][-1] < history["loss"][0]
        assert trainer.evaluate((X, Z), y)["loss"] < history["loss"][0]

    def test_progress_functions_see_every_epoch(self):
        X, y = small_data()
        rows = []

        def show(report):
            if report.epoch_end:
                rows.append((report.epoch, report.epochs, report.row["loss"]))

        history = cr.Trainer(small_model(), nn.CrossEntropyLoss(), optim.Adam()).fit(
            X, y, epochs=3, progress=show
        )
        assert [row[:2] for row in rows] == [(1, 3), (2, 3), (3, 3)]
        assert [row[2] for row in rows] == history["loss"]

    def test_an_error_while_showing_progress_ends_training(self):
        def show(report):
            raise ZeroDivisionError

        X, y = small_data()
        model = small_model()
        trainer = cr.Trainer(model, nn.CrossEntropyLoss(), optim.Adam())
        with pytest.raises(ZeroDivisionError):
            trainer.fit(X, y, epochs=100, progress=show)
        assert np.isfinite(model.predict(X)).all()
        trainer.fit(X, y)

    def test_ctrl_c_ends_at_the_next_batch(self):
        code = """
import os, signal, threading, time
import numpy as np, chainrule as cr
from chainrule import nn, optim
X, y = np.ones((20000, 64), np.float32), np.zeros(20000, np.int64)
model = nn.MLP([64, 64, 3], seed=0)
trainer = cr.Trainer(model, nn.CrossEntropyLoss(), optim.Adam())
threading.Timer(0.5, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
start = time.perf_counter()
try:
    trainer.fit(X, y, epochs=100000)
except KeyboardInterrupt:
    assert time.perf_counter() - start < 5
    assert np.isfinite(model.predict(X[:2])).all()
    trainer.step(X[:8], y[:8])
    print("usable")
"""
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
        )
        assert (done.stdout, done.returncode) == ("usable\n", 0), done.stderr


class TestStates:
    def test_torch_layout(self):
        model = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 3))
        state = model.state_dict()
        torch_state = {name: a.T.copy() if a.ndim == 2 else a for name, a in state.items()}
        other = small_model(9)
        other.load_state_dict(torch_state, layout="torch")
        assert equal_states(model, other)
        with pytest.raises(cr.ValueError, match="layout"):
            other.load_state_dict(torch_state)

    def test_torch_tensors_need_a_layout(self):
        class Fake(np.ndarray):
            pass

        Fake.__module__ = "torch"
        state = {name: a.view(Fake) for name, a in small_model().state_dict().items()}
        with pytest.raises(cr.ValueError, match='layout="torch"'):
            small_model().load_state_dict(state)
        small_model(3).load_state_dict(state, layout="chainrule")

    def test_differences_are_listed_and_nothing_changes(self):
        model = small_model()
        before = model.state_dict()
        state = {**before, "extra": np.zeros(1, np.float32), "0.bias": np.zeros(5, np.float32)}
        del state["2.bias"]
        with pytest.raises(cr.ValueError) as error:
            model.load_state_dict(state)
        for name in ("extra", "0.bias", "2.bias"):
            assert name in str(error.value)
        assert all(np.array_equal(a, before[name]) for name, a in model.state_dict().items())

    def test_bytes(self):
        X, _ = small_data()
        model = small_model()
        other = cr.loads(model.to_bytes())
        np.testing.assert_array_equal(other.predict(X), model.predict(X))
        with pytest.raises(cr.FileError):
            cr.loads(model.to_bytes()[:-10])


class TestCalling:
    def test_argnums(self):
        def f(a, b):
            return (a * a * b).sum()

        a, b = np.array([2.0]), np.array([3.0])
        assert float(cr.grad(f)(a, b)) == 12
        assert float(cr.grad(f, argnums=-1)(a, b)) == 4
        both = cr.grad(f, argnums=(0, 1))(a, b)
        assert [float(g) for g in both] == [12, 4]
        (only,) = cr.grad(f, argnums=(1,))(a, b)
        assert float(only) == 4
        with pytest.raises(cr.ValueError, match="argnums is 2"):
            cr.grad(f, argnums=2)(a, b)

    def test_has_aux(self):
        f = lambda x: ((x * x).sum(), {"x": 1})  # noqa: E731
        gradient, aux = cr.grad(f, has_aux=True)(np.array([3.0]))
        assert (float(gradient), aux) == (6, {"x": 1})
        (value, aux), gradient = cr.value_and_grad(f, has_aux=True)(np.array([3.0]))
        assert (float(value), float(gradient)) == (9, 6)

    def test_mistakes(self):
        with pytest.raises(cr.DTypeError, match=r"write grad\(f\)\(x\)"):
            cr.grad(np.ones(3))
        with pytest.raises(cr.DTypeError, match="floating"):
            cr.grad(lambda x: x.sum())(np.array([1]))
        with pytest.raises(cr.Error):
            cr.grad(lambda x: x * 2)(np.ones(3))
        with pytest.raises(cr.DTypeError, match="one tensor"):
            cr.grad(lambda x: 3.0)(np.ones(3))


class TestErrors:
    def test_classes(self):
        import builtins

        assert issubclass(cr.Error, RuntimeError)
        for name, base in [
            ("ShapeError", builtins.ValueError),
            ("ValueError", builtins.ValueError),
            ("DTypeError", TypeError),
            ("IndexError", builtins.IndexError),
            ("StateError", RuntimeError),
            ("FileError", OSError),
        ]:
            error = getattr(cr, name)
            assert issubclass(error, cr.Error)
            assert issubclass(error, base)
            assert error.__module__ == "chainrule"

    def test_messages_help(self):
        with pytest.raises(cr.ShapeError, match=r"\(32, 100\).*\(128, 10\)"):
            cr.matmul(np.zeros((32, 100)), np.zeros((128, 10)))
        with pytest.raises(cr.Error, match="Linear"):
            small_model()(np.zeros((2, 5), np.float32))
        with pytest.raises(cr.FileError, match="nowhere"):
            cr.load("nowhere.safetensors")

    def test_everything_has_a_short_repr(self):
        X, y = small_data()
        trainer = cr.Trainer(small_model(), nn.CrossEntropyLoss(), optim.Adam())
        history = trainer.fit(X, y)
        things = [
            trainer,
            history,
            small_model(),
            Block(2),
            optim.Adam(),
            nn.MSELoss(),
            cr.trace(cr.exp, X),
            cr.tensor(1.0),
        ]
        for thing in things:
            assert "\n" not in repr(thing)
            assert " object at 0x" not in repr(thing)


class TestPackage:
    def test_names_are_listed(self):
        assert all(hasattr(cr, name) for name in cr.__all__)
        assert all(hasattr(nn, name) for name in nn.__all__)
        listed = {name for module in (cr, nn, nn.init, optim, cr.data) for name in module.__all__}
        assert {name for name in dir(cr._core) if not name.startswith("_")} <= listed

    def test_import_is_light(self):
        loaded = "print(*[m for m in ('tqdm', 'argparse', 'matplotlib', 'json') if m in sys.modules])"
        code = "import sys, chainrule; " + loaded
        light = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        ).stdout.split()
        base = "import sys, numpy; " + loaded
        assert set(light) <= set(
            subprocess.run(
                [sys.executable, "-c", base], capture_output=True, text=True, check=True
            ).stdout.split()
        )

    def test_digits(self):
        X, y = cr.datasets.load_digits()
        assert (X.shape, X.dtype, y.shape, y.dtype) == ((1797, 64), np.float32, (1797,), np.int64)
        assert (X.min(), X.max()) == (0, 1)
        Xa, ya = cr.datasets.load_digits(split="train")
        Xt, yt = cr.datasets.load_digits(split="test")
        assert (len(Xa), len(Xt)) == (1437, 360)
        np.testing.assert_array_equal(np.bincount(ya) + np.bincount(yt), np.bincount(y))
        assert abs(np.bincount(yt) - np.bincount(y) * 360 / 1797).max() < 1
        with pytest.raises(ValueError, match="split"):
            cr.datasets.load_digits(split="all")
