"""Predictor from Python: the bits of predict, in and out arrays, copies in threads, refresh, messages."""

from __future__ import annotations

import copy
import gc
import pickle
import threading
import tracemalloc

import chainrule as cr
import numpy as np
import pytest
from chainrule import nn

RNG = np.random.default_rng(3)
X = RNG.standard_normal((12, 20)).astype(np.float32)


def network(dtype="float32"):
    return nn.Sequential(
        nn.Linear(20, 256, dtype=dtype),
        nn.BatchNorm1d(256, dtype=dtype),
        nn.ReLU(),
        nn.Residual(nn.Linear(256, 256, dtype=dtype)),
        nn.LayerNorm(256, dtype=dtype),
        nn.GELU(),
        nn.Dropout(0.5),
        nn.Linear(256, 3, dtype=dtype),
        seed=0,
    )


class Two(nn.Module):
    """Weights read transposed, computed with, and shared; two inputs and two outputs."""

    def __init__(self):
        self.w = nn.Parameter(RNG.standard_normal((256, 20)).astype(np.float32))

    def forward(self, a, b):
        return a @ self.w.T, (a + b) @ cr.softmax(self.w, axis=0).T @ self.w


def equal(a, b):
    assert np.shape(a) == np.shape(b)
    assert np.asarray(a).dtype == np.asarray(b).dtype
    np.testing.assert_array_equal(np.asarray(a), np.asarray(b))


class TestValues:
    @pytest.mark.parametrize("dtype", ["float32", "float64"])
    @pytest.mark.parametrize("batch", [1, 3, 12])
    def test_are_those_of_predict(self, dtype, batch):
        model = network(dtype)
        expected = model.predict(X.astype(dtype))
        p = cr.Predictor(model, batch)
        assert model.training
        assert p.batch == batch
        out = np.empty((batch, 3), dtype)
        for first in range(0, 12, batch):
            rows = X[first : first + batch].astype(dtype)
            assert p(rows, out=out) is out
            equal(out, expected[first : first + batch])
            equal(p(rows), out)
            equal(p(rows, out), out)

    def test_of_loaded_models_and_of_mlps(self, tmp_path):
        model = network()
        model.save(tmp_path / "m.safetensors")
        loaded = cr.load(tmp_path / "m.safetensors")
        equal(cr.Predictor(loaded)(X[:1]), model.predict(X[:1]))
        tanh = nn.MLP([20, 300, 130, 7], activation="tanh", seed=1)
        equal(cr.Predictor(tanh)(X[:1]), tanh.predict(X[:1]))

    def test_rank_one_in_rank_one_out(self):
        model = network()
        trainer = cr.Trainer(model, nn.CrossEntropyLoss(), cr.optim.SGD(lr=0.1))
        trainer.step(X, np.arange(12) % 3)  # the loss tells the link
        expected = model.predict(X[:1])[0]
        p = cr.Predictor(model)
        out = np.empty(3, np.float32)
        equal(p(X[0]), expected)
        assert p(X[0], out=out) is out
        equal(out, expected)
        label = cr.Predictor(model, output="class")(X[0])
        assert label.shape == ()
        assert label == expected.argmax()
        equal(cr.Predictor(model, output="proba")(X[:1]), model.predict(X[:1], output="proba"))

    def test_other_layouts_dtypes_and_kinds_of_arrays(self):
        model = network()
        p, expected = cr.Predictor(model, 2), model.predict(X[:2])
        spread = np.zeros((2, 40), np.float32)
        spread[:, ::2] = X[:2]
        big = X[:2].astype(X.dtype.newbyteorder(">")).astype(np.float32)
        for x in (spread[:, ::2], np.asfortranarray(X[:2]), X[:2].astype(np.float64), cr.tensor(X[:2]), big):
            equal(p(x), expected)
        ints = RNG.integers(-3, 3, (2, 20))
        equal(p(ints), model.predict(ints))
        equal(p(ints.tolist()), model.predict(ints))

    def test_out_may_be_the_input(self):
        square = nn.Linear(20, 20, seed=0)
        x = X[:1].copy()
        expected = square.predict(x)
        cr.Predictor(square)(x, out=x)
        equal(x, expected)

    def test_several_inputs_and_outputs(self):
        model = Two()
        a, b = X[:1], X[1:2]
        expected = [t.numpy() for t in model(a, b)]
        p = cr.Predictor(model, input_shapes=[(20,), (20,)])
        for got, wanted in zip(p((a, b)), expected, strict=True):
            equal(got, wanted)
        outs = np.empty((1, 256), np.float32), np.empty((1, 20), np.float32)
        assert p((a, b), out=outs) is outs
        for got, wanted in zip(outs, expected, strict=True):
            equal(got, wanted)
        assert [y.shape for y in p((a[0], b[0]))] == [(256,), (20,)]
        assert p.input_shapes == ((1, 20), (1, 20))
        assert p.output_shapes == ((1, 256), (1, 20))

    def test_captured_tensors_are_part_of_the_snapshot(self):
        scale = cr.tensor(2.0)

        class Scaled(nn.Module):
            def forward(self, x):
                return x * scale

        p = cr.Predictor(Scaled(), input_shape=(4,))
        scale.copy_(3.0)
        equal(p(np.ones(4, np.float32)), np.full(4, 2, np.float32))
        p.refresh()
        equal(p(np.ones(4, np.float32)), np.full(4, 3, np.float32))


class TestSnapshot:
    def test_stays_until_refresh_for_all_copies(self):
        model = network()
        p = cr.Predictor(model)
        twins = [p, copy.copy(p), p.copy()]
        before = model.predict(X[:1])
        model.init(5)
        after = model.predict(X[:1])
        assert (before != after).all()
        for twin in twins:
            equal(twin(X[:1]), before)
        twins[1].refresh()
        for twin in twins:
            equal(twin(X[:1]), after)

    def test_follows_training(self):
        X2, y = RNG.standard_normal((32, 20)).astype(np.float32), RNG.integers(0, 3, 32)
        model = network()
        p = cr.Predictor(model)  # before the Trainer moves the parameters into its arena
        trainer = cr.Trainer(model, nn.CrossEntropyLoss(), cr.optim.Adam(lr=0.01))
        trainer.fit(X2, y, epochs=2)
        p.refresh()
        equal(p(X[:1]), model.predict(X[:1]))

    def test_outlives_the_model(self):
        model = network()
        expected = model.predict(X[:1])
        p = cr.Predictor(model)
        del model
        gc.collect()
        equal(p(X[:1]), expected)
        p.refresh()
        equal(p(X[:1]), expected)

    def test_an_exchanged_layer_is_named(self):
        model = Two()
        p = cr.Predictor(model, input_shapes=[(20,), (20,)])
        model.w = nn.Parameter(np.ones((256, 20), np.float32))
        with pytest.raises(
            cr.StateError,
            match=r"^Predictor.refresh: .*'w' is not what it was; make a new Predictor of the model$",
        ):
            p.refresh()
        model = network()
        p = cr.Predictor(model)
        model.astype("float64")
        with pytest.raises(
            cr.StateError, match=r"dtype has changed: '0\.weight' was float32 and is float64; make"
        ):
            p.refresh()


@pytest.mark.parametrize("width", [256, 2000])  # the larger one releases the GIL
def test_one_copy_per_thread(width):
    model = nn.Sequential(
        nn.Linear(20, width), nn.Tanh(), nn.Linear(width, width), nn.Linear(width, 3), seed=0
    )
    expected = model.predict(X)
    first = cr.Predictor(model)
    wrong = []

    def work(p):
        out = np.empty(3, np.float32)
        for _ in range(5):
            wrong.extend(i for i in range(12) if not np.array_equal(p(X[i], out=out), expected[i]))

    threads = [threading.Thread(target=work, args=(copy.copy(first),)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_a_call_with_out_allocates_nothing():
    p = cr.Predictor(network())
    x, out = X[:1].copy(), np.empty((1, 3), np.float32)
    p(x, out=out)
    calls = [None] * 1000
    tensors = cr.memory_use()
    tracemalloc.start()
    try:
        start = tracemalloc.get_traced_memory()[0]
        tracemalloc.reset_peak()
        for _ in calls:
            p(x, out=out)
        now, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert now - start < 100
    assert peak - start < 1000
    assert cr.memory_use() == tensors


def same(error, message, f):
    with pytest.raises(error) as raised:
        f()
    assert str(raised.value) == message


def test_messages():
    p, x = cr.Predictor(network()), X[:1]
    shape = "Predictor: the input has the wrong shape: "
    same(
        cr.ShapeError,
        shape + "(21,) was given for (1, 20) or (20,); give 1 sample of shape (20,)",
        lambda: p(np.zeros(21, np.float32)),
    )
    same(
        cr.ShapeError,
        shape + "(3, 20) was given for (1, 20) or (20,); it is compiled for 1 sample: make a Predictor with "
        "batch=3, or use model.predict for any number",
        lambda: p(X[:3]),
    )
    same(
        cr.ShapeError,
        shape + "(2, 20) was given for (4, 20); it is compiled for 4 samples: make a Predictor with batch=2, "
        "or use model.predict for any number",
        lambda: cr.Predictor(network(), 4)(X[:2]),
    )
    fits = "Predictor: out= does not fit: "
    todo = "; give an array of the output's shape and dtype"
    same(
        cr.ShapeError,
        fits + "float32(3,) for float32(1, 3)" + todo,
        lambda: p(x, out=np.empty(3, np.float32)),
    )
    same(cr.DTypeError, fits + "float64(1, 3) for float32(1, 3)" + todo, lambda: p(x, out=np.empty((1, 3))))
    same(
        cr.ValueError,
        fits + "2 arrays for 1 output; give one array per output",
        lambda: p(x, out=(np.empty(3, np.float32),) * 2),
    )
    wide = np.empty((1, 6), np.float32)
    same(
        cr.ValueError,
        "Predictor: out= is not C-contiguous; use np.empty(shape, dtype)",
        lambda: p(x, out=wide[:, ::2]),
    )
    fixed = np.empty((1, 3), np.float32)
    fixed.flags.writeable = False
    same(cr.ValueError, "Predictor: out= is read-only", lambda: p(x, out=fixed))
    same(
        cr.DTypeError,
        "Predictor: out= takes NumPy arrays, one per output, got list",
        lambda: p(x, out=[[1.0]]),
    )
    same(
        cr.ValueError,
        "Predictor: the number of inputs differs: 2 given, the model has 1; give one array",
        lambda: p((x, x)),
    )
    same(TypeError, "Predictor: x is missing; call it with (x, out=None)", p)
    same(
        cr.StateError,
        "Predictor: called in a traced function: input is (1, 20); call the model itself, whose weights are "
        "then read when the function runs",
        lambda: cr.compile(lambda t: cr.tensor(p(t)))(x),
    )


def test_messages_of_making_one():
    same(
        cr.StateError,
        "Predictor: the shape of a sample is not known: no layer tells its number of inputs: Sequential; "
        "give it: Predictor(model, input_shape=(28, 28)); in C++ PredictorOptions{.input_shape = {28, 28}}",
        lambda: cr.Predictor(nn.Sequential(nn.ReLU())),
    )
    same(cr.ValueError, "Predictor: batch must be at least 1: 0", lambda: cr.Predictor(network(), 0))
    same(
        cr.ValueError,
        'Predictor: unknown output: \'label\'; use "raw", "proba" or "class"',
        lambda: cr.Predictor(network(), output="label"),
    )
    same(cr.DTypeError, "Predictor: expected a module, got int", lambda: cr.Predictor(3))
    with pytest.raises(cr.ShapeError, match="19"):
        cr.Predictor(network(), input_shape=(19,))
    with pytest.raises(cr.DTypeError, match=r"copy\.copy\(p\) shares the weights"):
        pickle.dumps(cr.Predictor(network()))
    with pytest.raises(cr.ShapeError, match="does not have one row per sample: it is"):
        cr.Predictor(Total(), 2, input_shape=(4,))


class Total(nn.Module):
    def forward(self, x):
        return x.sum()


def test_repr_and_profile():
    p = cr.Predictor(network(), 2)
    assert repr(p) == "Predictor(Sequential: float32(2, 20) -> float32(2, 3))"
    assert sum(row.flops for row in p.profile(runs=3).rows) >= 2 * 2 * (20 * 256 + 256 * 256 + 256 * 3)
