"""Layers against PyTorch (layers.json), branches, Embedding: saved, loaded, refused."""

import json
import pickle
from pathlib import Path

import chainrule as cr
import numpy as np
import pytest
from chainrule import nn, optim
from small import equal_states

RECORDED = json.loads(Path(__file__).with_name("layers.json").read_text())
X = np.random.default_rng(1).normal(size=(5, 4)).astype(np.float32)


@pytest.mark.parametrize("case", RECORDED, ids=lambda c: f"{c['name']} {c['args']} {c['kwargs']}")
def test_values_and_gradients_are_pytorchs(case):
    layer = getattr(nn, case["name"])(*case["args"], **case["kwargs"]).astype("float64")
    layer.load_state_dict({name: np.array(value) for name, value in case["parameters"].items()})
    real = case["gradient"] is not None
    x = cr.tensor(np.array(case["x"], float if real else np.int64))
    if real:
        x.requires_grad_()
    y = layer(x)
    np.testing.assert_allclose(y.numpy(), case["y"], rtol=1e-12, atol=1e-15)
    cr.sin(y).sum().backward()
    if real:
        np.testing.assert_allclose(x.grad.numpy(), case["gradient"], rtol=1e-12, atol=1e-15)
    for name, p in layer.named_parameters():
        np.testing.assert_allclose(p.grad.numpy(), case["gradients"][name], rtol=1e-12, atol=1e-15)


MODELS = {
    "activations": lambda: nn.Sequential(
        nn.Linear(4, 6), nn.SELU(), nn.Mish(), nn.Softsign(), nn.Hardtanh(-0.5, 2), nn.GLU(), seed=0
    ),
    "learned": lambda: nn.Sequential(
        nn.RMSNorm(4),
        nn.PReLU(),
        nn.PReLU(4, init=0.1),
        nn.RMSNorm(4, eps=0.1, elementwise_affine=False),
        seed=0,
    ),
    "concat": lambda: nn.Sequential(nn.Concat(nn.Linear(4, 3), nn.Identity()), nn.Linear(7, 2), seed=0),
    "add": lambda: nn.Add(nn.Linear(4, 3), nn.Sequential(nn.Linear(4, 3), nn.Tanh()), nn.Linear(4, 3)),
    "multiply": lambda: nn.Multiply(nn.Linear(4, 3), nn.Sequential(nn.Linear(4, 3), nn.Sigmoid())),
    "columns": lambda: nn.Concat(nn.Columns([3, 1]), nn.Sequential(nn.Columns([0]), nn.Linear(1, 2))),
    "heads": lambda: nn.Sequential(
        nn.Linear(4, 6), nn.Tanh(), nn.MultiHead({"a": nn.Linear(6, 3), "b": nn.Linear(6, 1)})
    ),
}


class TestAll:
    @pytest.mark.parametrize("name", MODELS)
    def test_saved_loaded_and_copied(self, name, tmp_path):
        model = MODELS[name]()
        cr.save(model, tmp_path / "m.safetensors", input_shape=(4,))
        loaded = cr.load(tmp_path / "m.safetensors")
        assert repr(loaded) == repr(model)
        for other in (
            loaded,
            model.clone(),
            pickle.loads(pickle.dumps(model)) if name != "columns" else loaded,
        ):
            ours, theirs = model.eval()(X), other.eval()(X)
            for a, b in zip(
                ours if name == "heads" else [ours], theirs if name == "heads" else [theirs], strict=True
            ):
                np.testing.assert_array_equal(a.numpy(), b.numpy())
            assert equal_states(model, other)

    @pytest.mark.parametrize("name", MODELS)
    def test_gradients_are_those_of_differences(self, name):
        model = MODELS[name]().astype("float64")

        def f(x):
            y = model(x)
            return cr.sin(y).sum() if name != "heads" else cr.sin(y[0]).sum() + y[1].sum() ** 2

        cr.check_gradients(f, X[:3].astype(np.float64) + 0.01)

    def test_texts(self):
        assert repr(nn.Embedding(10, 3, 0)) == "Embedding(10, 3, padding_idx=0)"
        assert repr(nn.Concat(nn.Linear(4, 3), nn.Tanh(), axis=1)) == "Concat(axis=1, Linear(4, 3), Tanh())"
        assert repr(nn.MultiHead({"a": nn.Tanh()})) == "MultiHead(a=Tanh())"
        assert repr(nn.PReLU()) == "PReLU()"
        assert repr(nn.RMSNorm(4, eps=0.5)) == "RMSNorm(4, eps=0.5)"
        assert repr(nn.Columns([0, 2])) == "Columns((0, 2))"

    def test_mlp_takes_the_new_activations(self):
        for name in ("selu", "mish", "softsign"):
            assert nn.MLP([4, 8, 2], activation=name, seed=0)(X).shape == (5, 2)


class TestBranches:
    def test_values(self):
        a, b = nn.Linear(4, 3, seed=0), nn.Linear(4, 3, seed=1)
        ya, yb = a(X).numpy(), b(X).numpy()
        np.testing.assert_array_equal(nn.Concat(a, b)(X).numpy(), np.concatenate([ya, yb], axis=1))
        np.testing.assert_array_equal(nn.Concat([a, b], axis=0)(X).numpy(), np.concatenate([ya, yb]))
        np.testing.assert_array_equal(nn.Add(a, b)(X).numpy(), ya + yb)
        np.testing.assert_array_equal(nn.Multiply(a, b)(X).numpy(), ya * yb)
        np.testing.assert_array_equal(nn.Columns([2, 2, 0])(X).numpy(), X[:, [2, 2, 0]])
        first, second = nn.MultiHead(a, b)(X)
        np.testing.assert_array_equal(first.numpy(), ya)
        np.testing.assert_array_equal(second.numpy(), yb)

    def test_without_branches_the_inputs_are_joined(self):
        np.testing.assert_array_equal(nn.Concat()(X, X + 1).numpy(), np.concatenate([X, X + 1], axis=1))
        np.testing.assert_array_equal(nn.Add()(X, X, X).numpy(), X + X + X)
        np.testing.assert_array_equal(nn.Multiply()(X, X).numpy(), X * X)
        two = nn.Sequential(
            nn.Parallel(nn.Linear(4, 3), nn.Linear(2, 3)), nn.Concat(), nn.Linear(6, 1), seed=0
        )
        y = X.sum(axis=1, keepdims=True)
        history = cr.Trainer(two, nn.MSELoss(), optim.Adam(lr=0.05)).fit((X, X[:, :2]), y, epochs=60)
        assert history["loss"][-1] < history["loss"][0] / 2
        np.testing.assert_array_equal(two.predict((X, X[:, :2])), two(X, X[:, :2]).numpy())
        with pytest.raises(cr.ShapeError, match="numbers of samples differ"):
            two.predict((X, X[:3, :2]))

    def test_sizes_are_known(self):
        model = nn.Concat(nn.Linear(4, 3), nn.Identity())
        nn.Sequential(model, nn.Linear(7, 1))
        with pytest.raises(cr.ShapeError, match=r"gives 7 features, 1 Linear\(8, 1\) takes 8"):
            nn.Sequential(model, nn.Linear(8, 1))

    @pytest.mark.parametrize(
        ("make", "error", "text"),
        [
            (
                lambda: nn.Add(nn.Linear(4, 3), nn.Linear(4, 2)),
                cr.ShapeError,
                "Add: branches differ in their sizes: "
                "Linear(4, 3) gives 3 features, Linear(4, 2) gives 2; make the two equal",
            ),
            (
                lambda: nn.Concat(nn.Linear(4, 3), nn.Linear(4, 2, dtype="float64")),
                cr.DTypeError,
                "Concat: layers have "
                "different dtypes: 0 Linear(4, 3) is float32, 1 Linear(4, 2, dtype='float64') is float64; "
                "one model has one "
                "dtype: convert a layer with astype",
            ),
            (lambda: nn.MultiHead(), cr.ValueError, "MultiHead: needs one layer at least: none was given"),
            (lambda: nn.Concat(nn.Tanh), cr.DTypeError, "Concat: got the class Tanh; write Tanh()"),
            (
                lambda: nn.MultiHead({1: nn.Tanh()}),
                cr.DTypeError,
                "MultiHead: names must be strings, got int",
            ),
            (lambda: nn.Concat(nn.Tanh(), axis=9), cr.IndexError, "Concat: axis out of range: axis is 9"),
            (
                lambda: nn.Concat()(X),
                cr.ValueError,
                "Concat(): has no branches, and takes several inputs to join: 1 was "
                "given; give it branches, or put nn.Parallel before it",
            ),
            (
                lambda: nn.Add()(X, X[:2]),
                cr.ShapeError,
                "Add(): what is joined must have one shape: number 0 is (5, 4), "
                "number 1 is (2, 4); end the branches with as many features each",
            ),
            (
                lambda: nn.Parallel(nn.Tanh(), nn.Tanh())(X),
                cr.ShapeError,
                "Parallel: takes one input per layer: 1 were given for 2",
            ),
            (
                lambda: nn.Columns([4])(X),
                cr.ShapeError,
                "Columns((4,)): there are not so many columns: x is (5, 4)",
            ),
            (lambda: nn.Columns([-1]), cr.IndexError, "Columns: columns count from 0: -1 was given"),
            (
                lambda: nn.Columns([]),
                cr.ValueError,
                "Columns: there are no columns; give their numbers, from 0",
            ),
            (
                lambda: nn.GLU()(X[:, :3]),
                cr.ShapeError,
                "GLU(): the axis must have an even size: values, then gates: x is (5, 3)",
            ),
            (lambda: nn.GLU(axis=3)(X), cr.IndexError, "GLU(axis=3): axis out of range: x is (5, 4)"),
            (lambda: nn.PReLU(0), cr.ValueError, "PReLU: num_parameters must be at least 1: 0 was given"),
            (
                lambda: nn.PReLU(3)(X),
                cr.ShapeError,
                "PReLU(num_parameters=3): last axis must have 3 features: x is (5, 4); "
                "pass (batch, 3), or build the layer for 4 features",
            ),
            (
                lambda: nn.Hardtanh(1, 1),
                cr.ValueError,
                "Hardtanh: min_val must be below max_val: min_val is 1.0, max_val is 1.0",
            ),
            (lambda: nn.RMSNorm(0), cr.ValueError, "RMSNorm: features must be at least 1: features is 0"),
            (
                lambda: nn.RMSNorm(4, eps=-1),
                cr.ValueError,
                "RMSNorm: eps must be finite and >= 0: eps is -1.0",
            ),
        ],
    )
    def test_refused(self, make, error, text):
        with pytest.raises(error) as raised:
            make()
        assert str(raised.value) == text


class TestEmbedding:
    def test_rows(self):
        layer = nn.Embedding(5, 3, seed=0)
        table = layer.weight.numpy().copy()
        index = np.array([[0, 4], [2, 2]])
        for given in (index, index.astype(np.int32), index.astype(np.uint8), index.astype(np.float32)):
            np.testing.assert_array_equal(layer(given).numpy(), table[index])
        assert nn.Embedding(1000, 40, seed=1).weight.numpy().std() == pytest.approx(1, abs=0.02)
        padded = nn.Embedding(5, 3, padding_idx=-1, seed=0).weight.numpy()
        assert not padded[4].any()
        np.testing.assert_array_equal(padded[:4], table[:4])

    def test_training_moves_what_was_seen_but_not_the_padding(self, tmp_path):
        index = np.array([[1, 2], [1, 0], [0, 2], [2, 2]])
        y = np.array([[1.0], [2.0], [3.0], [4.0]], np.float32)
        model = nn.Sequential(nn.Embedding(5, 3, padding_idx=0), nn.Flatten(), nn.Linear(6, 1), seed=0)
        before = model[0].weight.numpy().copy()
        cr.Trainer(model, nn.MSELoss(), optim.Adam(lr=0.05)).fit(index, y, epochs=300)
        after = model[0].weight.numpy()
        assert np.abs(model.predict(index) - y).max() < 0.1
        np.testing.assert_array_equal(after[[0, 3, 4]], before[[0, 3, 4]])
        assert (after[1:3] != before[1:3]).all()
        cr.save(model, tmp_path / "m.safetensors", input_shape=(2,))
        loaded = cr.load(tmp_path / "m.safetensors")
        np.testing.assert_array_equal(loaded.predict(index), model.predict(index))
        np.testing.assert_array_equal(loaded[0](index).numpy(), model[0](index).numpy())
        model.save(tmp_path / "n.safetensors")
        np.testing.assert_array_equal(
            cr.load(tmp_path / "n.safetensors").predict(index), model.predict(index)
        )

    @pytest.mark.parametrize(("bad", "shown"), [(5, "5"), (-1, "-1"), (1.5, "1.5"), (np.nan, "nan")])
    def test_what_is_no_category(self, bad, shown):
        model = nn.Sequential(nn.Embedding(5, 3), nn.Linear(3, 1), seed=0)
        with pytest.raises(cr.IndexError) as error:
            model[0](np.array([0, bad]))
        assert str(error.value) == (
            f"Embedding(5, 3): an input is none of the categories: {shown} at position 1; "
            "they are the integers 0 ... 4"
        )
        with pytest.raises(
            cr.IndexError, match=rf"model\.0 Embedding\(5, 3\): an input is none .* {shown} at position 1"
        ):
            model.predict(np.array([0, bad]))
        with pytest.raises(cr.IndexError):
            cr.Trainer(model, nn.MSELoss(), optim.SGD()).fit(np.array([0, bad]), np.zeros((2, 1)))

    @pytest.mark.parametrize(
        ("make", "error", "text"),
        [
            (
                lambda: nn.Embedding(0, 3),
                cr.ValueError,
                "Embedding: sizes must be at least 1: num_embeddings is 0, embedding_dim is 3",
            ),
            (
                lambda: nn.Embedding(5, 3, padding_idx=5),
                cr.IndexError,
                "Embedding: padding_idx is outside the categories: 5; they are 0 ... 4",
            ),
            (
                lambda: nn.Embedding(20_000_000, 1),
                cr.ValueError,
                "Embedding: float32 cannot tell so many categories apart: "
                '20000000; use dtype="float64" for the whole model',
            ),
        ],
    )
    def test_refused(self, make, error, text):
        with pytest.raises(error) as raised:
            make()
        assert str(raised.value) == text


@pytest.mark.parametrize(
    ("first", "shape"),
    [
        (lambda: [nn.Columns([0, 1]), nn.Linear(2, 1)], (5,)),
        (lambda: [nn.Embedding(3, 2), nn.Flatten(), nn.Linear(10, 1)], (5,)),
        (lambda: [nn.Linear(5, 4), nn.GLU(), nn.Linear(2, 1)], None),
    ],
)
def test_the_shape_of_a_sample_is_not_guessed_behind_layers_that_change_it(first, shape, tmp_path):
    model = nn.Sequential(*first())
    path = tmp_path / "m.safetensors"
    if shape is not None:
        for write in (lambda: model.save(path), model.to_bytes):
            with pytest.raises(cr.StateError, match=r"the shape of a sample is not known.*input_shape="):
                write()
        assert not path.exists()
    model.save(path, input_shape=shape)
    x = np.random.default_rng(0).integers(0, 3, (4, 5)).astype("f4")
    np.testing.assert_array_equal(cr.load(path).predict(x), model.predict(x))
    np.testing.assert_array_equal(cr.loads(model.to_bytes(input_shape=shape)).predict(x), model.predict(x))


@pytest.mark.parametrize(
    "first",
    [
        lambda: [nn.Columns([0, 1]), nn.Linear(2, 1)],
        lambda: [nn.Embedding(3, 2), nn.Flatten(), nn.Linear(10, 1)],
        lambda: [nn.PReLU(), nn.GLU(), nn.Flatten(), nn.LayerNorm(2), nn.Linear(2, 1)],
    ],
)
def test_a_trained_model_knows_the_shape_of_its_samples(first, tmp_path):
    x = np.random.default_rng(0).integers(0, 3, (6, 5)).astype("f4")
    if first()[0].__class__ is nn.PReLU:
        x = x[:, :4]
    model = nn.Sequential(*first())
    cr.Trainer(model, nn.MSELoss(), cr.optim.SGD(lr=1e-3)).step(x, np.ones((6, 1), "f4"))
    model.save(tmp_path / "m.safetensors")
    again = cr.load(tmp_path / "m.safetensors")
    again.save(tmp_path / "again.safetensors")
    for other in (
        again,
        cr.load(tmp_path / "again.safetensors"),
        pickle.loads(pickle.dumps(model)),
        cr.loads(model.clone().to_bytes()),
    ):
        np.testing.assert_array_equal(other.predict(x), model.predict(x))
    cr.Predictor(model)(x[0])


def test_a_model_of_several_inputs_is_saved_and_pickled(tmp_path):
    class Product(nn.Module):
        def __init__(self):
            self.left, self.right = nn.Linear(3, 2, seed=0), nn.Linear(4, 2, seed=1)

        def forward(self, a, b):
            return self.left(a) * self.right(b)

    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(6, 3)).astype("f4"), rng.normal(size=(6, 4)).astype("f4")
    model = Product()
    shapes = [(3,), (4,)]
    expected = model(a, b).numpy()
    model.save(tmp_path / "m.safetensors", input_shapes=shapes)
    np.testing.assert_array_equal(cr.load(tmp_path / "m.safetensors")(a, b).numpy(), expected)
    np.testing.assert_array_equal(cr.loads(model.to_bytes(input_shapes=shapes))(a, b).numpy(), expected)
    with pytest.raises(ValueError, match=r"^save: input_shape and input_shapes were both given"):
        model.save(tmp_path / "m.safetensors", input_shape=(3,), input_shapes=shapes)
    with pytest.raises(
        cr.DTypeError, match=r"^save: input_shapes must be a list of shapes, one per input, got int"
    ):
        model.to_bytes(input_shapes=3)
    cr.Trainer(model, nn.MSELoss(), cr.optim.SGD(lr=1e-3)).fit((a, b), np.ones((6, 2), "f4"), progress=False)
    model.save(tmp_path / "m.safetensors")
    np.testing.assert_array_equal(cr.load(tmp_path / "m.safetensors")(a, b).numpy(), model(a, b).numpy())
