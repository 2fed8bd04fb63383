"""Modules: handles, registration, copies, states, modes and dtypes."""

import copy
import pickle

import chainrule as cr
import numpy as np
import pytest
from chainrule import nn, optim
from small import Block, equal_states, small_data, small_model


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
