"""Training: the program of the README, the same bits by hand, per thread count and in C++, weights, failures, Ctrl-C."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time

import numpy as np
import pytest
from cpp_build import ROOT, library, run

import chainrule as cr
from chainrule import nn, optim


def network(seed=0, dropout=0.0):
    return nn.Sequential(nn.Linear(64, 48), nn.ReLU(), nn.Dropout(dropout), nn.Linear(48, 10), seed=seed)


def small_data(n=96, features=6, classes=3, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, features)).astype(np.float32)
    return X, (X[:, :classes] + 0.3 * rng.normal(size=(n, classes))).argmax(1)


def small_network(seed=0, dtype="float32"):
    return nn.Sequential(
        nn.Linear(6, 16, dtype=dtype), nn.LayerNorm(16, dtype=dtype), nn.Tanh(), nn.Linear(16, 3, dtype=dtype), seed=seed
    )


def trainer_of(model, optimizer=None, **options):
    return cr.Trainer(model, nn.CrossEntropyLoss(), optimizer or optim.Adam(lr=0.01), **options)


def same_state(a, b):
    a, b = (x.state_dict() if isinstance(x, nn.Module) else x for x in (a, b))
    assert a.keys() == b.keys()
    for name in a:
        assert a[name].tobytes() == b[name].tobytes(), f"{name} differs by up to {np.abs(a[name] - b[name]).max()}"


def finite(model):
    return all(np.isfinite(v).all() for v in model.state_dict().values())


class TestProgram:
    """What a user types first, as the interface was specified."""

    def test_train_evaluate_predict_save_load(self, tmp_path):
        X, y = cr.datasets.load_digits(split="train")
        Xt, yt = cr.datasets.load_digits(split="test")
        assert X.shape == (1437, 64)
        assert X.dtype == np.float32
        assert y.shape == (1437,)
        assert y.dtype == np.int64

        model = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Dropout(0.2), nn.Linear(128, 10), seed=0)
        trainer = cr.Trainer(
            model,
            loss=nn.CrossEntropyLoss(),
            optimizer=optim.AdamW(lr=2e-3, weight_decay=1e-4),
            metrics=["accuracy"],
        )
        history = trainer.fit(X, y, epochs=30, batch_size=32, validation_data=(Xt, yt))
        table = str(history).splitlines()
        assert table[0].split() == ["epoch", "loss", "accuracy", "val_loss", "val_accuracy"]
        assert len(table) == 31
        assert history["val_accuracy"][-1] >= 0.97
        assert history.stopped == ""
        scores = trainer.evaluate(Xt, yt)
        assert set(scores) == {"loss", "accuracy"}
        assert scores["accuracy"] == history["val_accuracy"][-1]
        assert scores["loss"] == pytest.approx(history["val_loss"][-1], rel=1e-6)

        logits = model.predict(Xt)
        assert isinstance(logits, np.ndarray)
        assert logits.shape == (360, 10)
        assert logits.dtype == np.float32
        proba, labels = model.predict(Xt, output="proba"), model.predict(Xt, output="class")
        np.testing.assert_allclose(proba.sum(1), 1, rtol=1e-6)
        np.testing.assert_array_equal(labels, logits.argmax(1))
        assert np.mean(labels == yt) == scores["accuracy"]

        assert "Linear(64, 128)" in model.summary()
        model.save(tmp_path / "digits.safetensors")
        loaded = cr.load(tmp_path / "digits.safetensors")
        assert model.training
        assert not loaded.training
        assert loaded.predict(Xt).tobytes() == logits.tobytes()
        np.testing.assert_array_equal(loaded.predict(Xt, output="class"), labels)
        before = trainer.evaluate(X, y)["loss"]
        again = cr.Trainer(loaded, nn.CrossEntropyLoss(), optim.AdamW(lr=1e-3))
        again.fit(X, y, epochs=2)
        assert again.evaluate(X, y)["loss"] < before

    def test_a_block_written_in_python(self):
        class Block(nn.Module):  # no super().__init__() needed
            def __init__(self, width):
                self.inner = nn.Sequential(nn.Linear(width, width), nn.Tanh())

            def forward(self, x):
                return x + self.inner(x)  # a fork: the two gradients are added

        X, y = small_data()
        model = nn.Sequential(nn.Linear(6, 16), Block(16), nn.Linear(16, 3), seed=0)
        built_in = nn.Sequential(
            nn.Linear(6, 16), nn.Residual(nn.Sequential(nn.Linear(16, 16), nn.Tanh())), nn.Linear(16, 3), seed=0
        )
        built_in.load_state_dict(dict(zip(built_in.state_dict(), model.state_dict().values(), strict=True)))
        histories = [trainer_of(m).fit(X, y, epochs=5)["loss"] for m in (model, built_in)]
        assert histories[0] == histories[1]
        assert histories[0][-1] < histories[0][0]

    def test_a_loss_written_in_python(self):
        def focal(logits, target):
            logp = cr.log_softmax(logits, axis=-1)
            picked = cr.take_along(logp, target, axis=-1)
            return -((1 - cr.exp(picked)) ** 2 * picked)

        X, y = small_data()
        model = small_network()
        logits = model.predict(X).astype(np.float64)
        logp = (logits - np.log(np.exp(logits).sum(1, keepdims=True)))[np.arange(len(y)), y]
        trainer = cr.Trainer(model, focal, optim.Adam(lr=0.01))
        assert trainer.evaluate(X, y)["loss"] == pytest.approx(np.mean(-((1 - np.exp(logp)) ** 2) * logp), rel=1e-5)
        loss = trainer.fit(X, y, epochs=20)["loss"]
        assert loss[-1] < 0.5 * loss[0]
        weighted = cr.Trainer(small_network(), focal, optim.Adam(lr=0.01))
        weighted.fit(X, y, sample_weight=np.ones(len(y), np.float32))  # one value per sample can be weighted
        scalar = cr.Trainer(small_network(), lambda o, t: focal(o, t).mean(), optim.Adam(lr=0.01))
        with pytest.raises(cr.ValueError, match="return one value per sample"):
            scalar.fit(X, y, sample_weight=np.ones(len(y), np.float32))

    def test_metric_functions(self, digits):
        X, y, Xt, yt = digits
        seen = []

        def top2(output, target):
            seen.append((type(output), output.shape, target.shape))
            return np.mean([t in np.argsort(o)[-2:] for o, t in zip(output, target, strict=True)])

        history = trainer_of(network(), metrics=["accuracy", top2]).fit(X, y, epochs=2, validation_data=(Xt, yt))
        assert seen[-1] == (np.ndarray, (360, 10), (360,))
        assert history["val_top2"][-1] > history["val_accuracy"][-1]


class TestSameBits:
    def by_hand(self, model, X, y, epochs, make=optim.Adam, batch_size=32, seed=0):
        opt = make(model.parameters(), lr=1e-3)
        loss_of = nn.CrossEntropyLoss()
        batches = cr.data.batches(X, y, batch_size=batch_size, shuffle=True, seed=seed)
        for _ in range(epochs):
            for xb, yb in batches:
                opt.zero_grad()
                loss = loss_of(model(xb), yb)
                loss.backward()
                opt.step()
        return model

    @pytest.mark.parametrize("make", [optim.Adam, optim.AdamW, optim.RMSprop, optim.Adagrad, optim.SGD])
    def test_by_hand_and_trainer(self, digits, make):
        X, y = digits[:2]
        fitted = network()
        history = cr.Trainer(fitted, nn.CrossEntropyLoss(), make(lr=1e-3)).fit(X, y, epochs=2, batch_size=32)
        assert len(history["loss"]) == 2
        same_state(fitted, self.by_hand(network(), X, y, 2, make))

    def test_by_hand_with_dropout_and_norms(self, digits):
        """Dropout's masks and BatchNorm's running statistics are those of the Trainer's steps as well."""
        X, y = digits[:2]

        def model():
            return nn.Sequential(
                nn.Linear(64, 32), nn.BatchNorm1d(32), nn.GELU(), nn.Dropout(0.3), nn.Linear(32, 10), seed=1
            )

        fitted = model()
        cr.Trainer(fitted, nn.CrossEntropyLoss(), optim.Adam(lr=1e-3)).fit(X, y, epochs=2)
        same_state(fitted, self.by_hand(model(), X, y, 2))

    def test_steps_and_fit(self, digits):
        X, y = digits[:2]
        fitted, stepped = network(), network()
        losses = []
        trainer_of(fitted).fit(X, y, epochs=1)
        trainer = trainer_of(stepped)
        for xb, yb in cr.data.batches(X, y, batch_size=32, seed=0):
            losses.append(trainer.step(xb, yb))
        assert all(type(loss) is float for loss in losses)
        assert trainer.global_step == len(losses) == 45
        same_state(fitted, stepped)

    @pytest.mark.parametrize("batch_size", [32, 512])
    def test_threads(self, digits, batch_size):
        X, y, Xt, yt = digits
        states, histories, predictions = [], [], []
        for threads in (1, 2, 3, 2):
            cr.set_num_threads(threads)
            model = nn.Sequential(nn.Linear(64, 256), nn.ReLU(), nn.Dropout(0.2), nn.Linear(256, 10), seed=3)
            trainer = trainer_of(model, metrics=["accuracy"])
            history = trainer.fit(X, y, epochs=2, batch_size=batch_size, validation_data=(Xt, yt))
            states.append(model.state_dict())
            histories.append(history.to_dict())
            predictions.append(model.predict(Xt).tobytes())
        for state in states[1:]:
            same_state(states[0], state)
        assert histories[1:] == histories[:-1]
        assert len(set(predictions)) == 1

    def test_two_fits_are_one(self, digits):
        """A second fit goes on: another order, other masks, the optimizer's state kept."""
        X, y = digits[:2]
        once, twice = network(dropout=0.2), network(dropout=0.2)
        trainer_of(once).fit(X, y, epochs=4)
        trainer = trainer_of(twice)
        trainer.fit(X, y, epochs=1)
        trainer.fit(X, y, epochs=3)
        same_state(once, twice)

    def test_reset_and_seed_start_over(self, digits):
        X, y = digits[:2]
        model = network(dropout=0.2)
        trainer = trainer_of(model)
        trainer.fit(X, y, epochs=2)
        first = model.state_dict()
        model.init(0)
        trainer.reset()
        trainer.fit(X, y, epochs=2)
        same_state(first, model)
        other = network(dropout=0.2)
        trainer_of(other, seed=1).fit(X, y, epochs=2)
        assert (other.state_dict()["0.weight"] != first["0.weight"]).any()
        third = network(dropout=0.2)
        trainer_of(third, seed=5).fit(X, y, epochs=2, seed=0)
        same_state(first, third)

    def test_a_saved_model_goes_on_with_the_same_bits(self, digits, tmp_path):
        X, y = digits[:2]
        model = network()
        trainer_of(model).fit(X, y, epochs=1)
        model.save(tmp_path / "m.safetensors")
        loaded = cr.load(tmp_path / "m.safetensors").train()
        for m in (model, loaded):
            trainer_of(m).fit(X, y, epochs=1)
        same_state(model.state_dict(), loaded.state_dict())


PROGRAM = r"""
// What the Python test trains, in C++; writes the predictions' bytes. With "count": allocations of a step, printed.
#include <chainrule/chainrule.hpp>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <new>
#include <vector>

namespace cr = chainrule;

extern "C" void* __libc_malloc(std::size_t);
extern "C" void* __libc_memalign(std::size_t, std::size_t);
static long allocations = 0;
extern "C" void* malloc(std::size_t n) { ++allocations; return __libc_malloc(n); }
extern "C" void* aligned_alloc(std::size_t a, std::size_t n) { ++allocations; return __libc_memalign(a, n); }
extern "C" int posix_memalign(void** p, std::size_t a, std::size_t n) {
  ++allocations;
  return (*p = __libc_memalign(a, n)) ? 0 : 12;
}

template <class T> std::vector<T> read(const char* path) {
  std::ifstream file(path, std::ios::binary);
  std::vector<char> bytes((std::istreambuf_iterator<char>(file)), {});
  std::vector<T> values(bytes.size() / sizeof(T));
  std::memcpy(values.data(), bytes.data(), bytes.size());
  return values;
}

int main(int argc, char** argv) {
  const auto x = read<float>(argv[1]);
  const auto labels = read<std::int64_t>(argv[2]);
  const std::size_t n = labels.size();
  const cr::Tensor X = cr::Tensor::view(x.data(), {n, 64}), y = cr::Tensor::view(labels.data(), {n});

  cr::nn::Sequential model{cr::nn::Linear(64, 128), cr::nn::ReLU(), cr::nn::Dropout(0.2), cr::nn::Linear(128, 10)};
  model.init(/*seed=*/0);
  cr::Trainer trainer(model, cr::nn::CrossEntropyLoss(), cr::optim::AdamW({.lr = 2e-3, .weight_decay = 1e-4}),
                      {.metrics = {"accuracy"}});
  if (argc > 4 && !std::strcmp(argv[4], "count")) {
    const std::vector<cr::Tensor> xb = {cr::Tensor::view(x.data(), {32, 64})};
    const cr::Tensor yb = cr::Tensor::view(labels.data(), {32});
    trainer.step(xb, yb);
    trainer.step(xb, yb);
    const long steps_before = allocations;
    for (int i = 0; i < 100; ++i) trainer.step(xb, yb);
    const long of_steps = allocations - steps_before;
    long of_fit[2];
    for (int k = 0; k < 2; ++k) {  // an epoch allocates its order and its row of history, whatever its length
      cr::nn::Sequential other{cr::nn::Linear(64, 128), cr::nn::ReLU(), cr::nn::Dropout(0.2), cr::nn::Linear(128, 10)};
      cr::Trainer fresh(other, cr::nn::CrossEntropyLoss(), cr::optim::Adam());
      const cr::Tensor part = cr::Tensor::view(x.data(), {k ? 1024 : 128, 64});
      const cr::Tensor part_y = cr::Tensor::view(labels.data(), {k ? 1024 : 128});
      fresh.fit(part, part_y, {.batch_size = 32});
      const long before = allocations;
      fresh.fit(part, part_y, {.batch_size = 32});
      of_fit[k] = allocations - before;
    }
    std::printf("%ld %ld %ld\n", of_steps, of_fit[0], of_fit[1]);
    return 0;
  }
  const cr::History h = trainer.fit(X, y, {.epochs = 3, .batch_size = 32});
  const cr::Tensor logits = model.predict(X);
  std::ofstream out(argv[3], std::ios::binary);
  for (const auto& [name, values] : h.columns())
    out.write(reinterpret_cast<const char*>(values.data()), static_cast<std::streamsize>(values.size() * sizeof(double)));
  out.write(reinterpret_cast<const char*>(logits.data<float>()), static_cast<std::streamsize>(logits.size() * 4));
}
"""


@pytest.mark.build
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="counts calls of glibc's malloc")
class TestCpp:
    @pytest.fixture(scope="class")
    def program(self, tmp_path_factory, digits):
        folder = tmp_path_factory.mktemp("cpp")
        libraries = library() / "cpp"
        (folder / "train.cpp").write_text(PROGRAM)
        X, y = digits[:2]
        X.tofile(folder / "x")
        y.tofile(folder / "y")
        run(
            os.environ.get("CXX", "c++"), "-std=c++20", "-O1", "-Wall", "-Wextra", "-I", ROOT / "cpp" / "include",
            "train.cpp", "-o", "train", "-L", libraries, "-lchainrule", f"-Wl,-rpath,{libraries}", cwd=folder,
        )  # fmt: skip
        return folder

    def test_python_and_cpp_have_the_same_bits(self, program, digits):
        X, y = digits[:2]
        model = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Dropout(0.2), nn.Linear(128, 10), seed=0)
        trainer = cr.Trainer(
            model, nn.CrossEntropyLoss(), optim.AdamW(lr=2e-3, weight_decay=1e-4), metrics=["accuracy"]
        )
        history = trainer.fit(X, y, epochs=3, batch_size=32)
        run(program / "train", "x", "y", "out", cwd=program)
        written = (program / "out").read_bytes()
        ours = b"".join(np.array(column).tobytes() for column in history.values()) + model.predict(X).tobytes()
        assert len(written) == len(ours)
        assert written == ours

    def test_steps_allocate_nothing(self, program):
        steps, short, long = map(int, run(program / "train", "x", "y", "-", "count", cwd=program).split())
        assert steps == 0
        slices = 4  # work is cut into slices of time; each may allocate a little, steps may not
        assert long - short <= 8 * slices, f"28 steps more allocate {long - short} times more"


class TestWeightsAndSplits:
    def trained(self, X, y, dtype="float64", **options):
        model = small_network(dtype=dtype)
        trainer = cr.Trainer(model, nn.CrossEntropyLoss(), optim.SGD(lr=0.1))
        history = trainer.fit(X, y, epochs=3, batch_size=len(X), shuffle=False, **options)
        return model.state_dict(), history

    def close(self, a, b):
        for name in a:
            np.testing.assert_allclose(a[name], b[name], rtol=1e-12, atol=1e-14)

    def test_sample_weights_are_repeated_samples(self):
        X, y = small_data(24)
        X = X.astype(np.float64)
        times = np.random.default_rng(0).integers(0, 4, len(X))
        weighted, h = self.trained(X, y, sample_weight=times.astype(np.float64))
        repeated, r = self.trained(np.repeat(X, times, axis=0), np.repeat(y, times))
        self.close(weighted, repeated)
        np.testing.assert_allclose(h["loss"], r["loss"], rtol=1e-12)

    def test_class_weights_are_repeated_samples(self):
        X, y = small_data(24)
        X = X.astype(np.float64)
        times = np.array([1, 3, 2])[y]
        weighted, _ = self.trained(X, y, class_weight={1: 3.0, 2: 2.0})
        repeated, _ = self.trained(np.repeat(X, times, axis=0), np.repeat(y, times))
        both, _ = self.trained(X, y, class_weight={1: 1.5, 2: 2.0, 0: 1.0}, sample_weight=np.where(y == 1, 2.0, 1.0))
        self.close(weighted, repeated)
        self.close(both, repeated)

    def test_weights_are_sorted_with_the_samples(self):
        """Shuffled and cut into batches, each weight stays with its sample: samples of weight 0 leave no trace."""
        X, y = small_data(64)
        spoiled, weight = X.copy(), np.ones(64, np.float32)
        spoiled[::3], weight[::3] = 1e3, 0
        other = spoiled.copy()
        other[::3] = -5e2
        states = []
        for data in (spoiled, other):
            model = small_network()
            trainer_of(model).fit(data, y, epochs=3, batch_size=10, sample_weight=weight)
            states.append(model.state_dict())
        same_state(*states)

    def test_epoch_loss_averages_over_samples(self):
        """Also where the last batch is smaller: a mean of batch means would differ."""
        X, y = small_data(50)
        model = small_network()
        history = cr.Trainer(model, nn.CrossEntropyLoss(), optim.SGD(lr=0.0)).fit(X, y, batch_size=32)
        assert history["loss"][0] == pytest.approx(trainer_of(model).evaluate(X, y)["loss"], rel=1e-6)

    def test_validation_split(self):
        X, y = small_data(50)
        model, other = small_network(), small_network()
        history = trainer_of(model, metrics=["accuracy"], seed=3).fit(X, y, epochs=2, validation_split=0.2)
        train, held = cr.data.split_rows(50, 0.2, seed=3)
        assert len(held) == 10
        assert sorted([*train, *held]) == list(range(50))
        by_hand = trainer_of(other, metrics=["accuracy"], seed=3).fit(
            X[train], y[train], epochs=2, validation_data=(X[held], y[held])
        )
        assert history.to_dict() == by_hand.to_dict()
        same_state(model, other)

    def test_clip_norm(self):
        X, y = small_data()
        states = []
        for clip in (None, 1e6, 1e-3):
            model = small_network()
            cr.Trainer(model, nn.CrossEntropyLoss(), optim.SGD(lr=1.0), clip_norm=clip).step(X, y)
            states.append(model.state_dict())
        start = small_network().state_dict()
        moved = [np.sqrt(sum(np.sum((s[k] - start[k]).astype(float) ** 2) for k in s)) for s in states]
        assert moved[0] == pytest.approx(moved[1], rel=1e-6)
        assert moved[2] == pytest.approx(1e-3, rel=1e-2)


class TestFailures:
    def test_nan_in_the_data(self):
        X, y = small_data()
        X[70, 2] = np.nan
        model = small_network()
        trainer = trainer_of(model)
        with pytest.raises(cr.ValueError) as caught:
            trainer.fit(X, y, shuffle=False, batch_size=32)
        assert str(caught.value) == (
            "fit: the data holds inf or NaN: found in epoch 1, batch 3; clean it first: no update was made from this batch"
        )
        same = small_network()  # the two good batches were learned from, the third left no trace
        trainer_of(same).fit(X[:64], y[:64], shuffle=False, batch_size=32)
        same_state(model, same)
        assert trainer.global_step == 2
        with pytest.raises(cr.ValueError, match="the data holds inf or NaN: found in this batch"):
            trainer.step(X[64:], y[64:])
        same_state(model, same)

    def test_divergence_keeps_the_last_good_parameters(self):
        X, y = small_data()
        model = small_network()
        history = cr.Trainer(model, nn.CrossEntropyLoss(), optim.SGD(lr=1e38)).fit(X, y, epochs=5, shuffle=False)
        assert "not finite" in history.stopped
        assert "lower the learning rate or clip gradients" in history.stopped
        assert "not finite" in str(history)
        assert history.epochs < 5
        assert finite(model)
        assert model.predict(X).shape == (96, 3)

    def test_step_reports_divergence(self):
        X, y = small_data()
        model = small_network()
        trainer = cr.Trainer(model, nn.CrossEntropyLoss(), optim.SGD(lr=1e38))
        with pytest.raises(cr.ValueError, match="^step: the loss or a gradient was not finite in this batch; "):
            for _ in range(10):
                good = model.state_dict()
                trainer.step(X, y)
        same_state(model, good)

    @pytest.mark.parametrize("bad", [3, -1, 2**32, -(2**62)])
    def test_labels_outside_the_classes(self, bad):
        X, y = small_data()
        y[77] = bad
        model = small_network()
        with pytest.raises(cr.IndexError, match="a label is outside the classes"):
            trainer_of(model).fit(X, y, shuffle=False)
        same = small_network()
        trainer_of(same).fit(X[:64], y[:64], shuffle=False)
        same_state(model, same)

    @pytest.mark.parametrize(
        ("change", "error", "text"),
        [
            ({"X": np.zeros((0, 6), np.float32), "y": np.zeros(0, int)}, cr.ShapeError,
             "fit: there are no samples: x is (0, 6); check for empty data"),
            ({"y": np.zeros(5, int)}, cr.ShapeError,
             "fit: numbers of samples differ: y is (5,), the first input has 96 rows"),
            ({"X": np.zeros((96, 5), np.float32)}, cr.ShapeError,
             "model.0 Linear(6, 16): last axis must have 6 features: x is (32, 5); pass (batch, 6), or build the layer "
             "for 5 features"),
            ({"y": np.zeros(96)}, cr.DTypeError,
             'CrossEntropyLoss: class labels must be integers: output is (32, 3), target is (32,) of float64; convert them '
             'with astype("int64"), or give probabilities of shape (32, 3)'),
            ({"validation_split": 1.0}, cr.ValueError, "fit: validation_split must be in [0, 1): 1.000000"),
            ({"batch_size": 0}, cr.ValueError, "fit: batch_size must be at least 1: 0"),
            ({"epochs": -1}, cr.ValueError, "fit: epochs must be 0 or more: -1"),
            ({"sample_weight": np.ones(3)}, cr.ShapeError,
             "fit: sample_weight must hold one number per sample: it is (3,) for 96 samples"),
            ({"validation_split": 0.5, "validation_data": small_data()}, cr.ValueError,
             "fit: validation_data and validation_split were both given; give one of them"),
            ({"class_weight": {0: 1.0}, "y": np.zeros((96, 1), np.float32)}, cr.DTypeError,
             "fit: class_weight needs integer labels: float32; use sample_weight"),
        ],
    )  # fmt: skip
    def test_texts(self, change, error, text):
        X, y = small_data()
        model = small_network()
        with pytest.raises(error) as caught:
            trainer_of(model).fit(**({"X": X, "y": y} | change))
        assert str(caught.value) == text
        same_state(model, small_network())

    def test_constructor_texts(self):
        with pytest.raises(cr.DTypeError, match=r"^Adam: the first argument is the parameters, got 0\.001; write lr=0\.001$"):
            optim.Adam(1e-3)
        with pytest.raises(cr.ShapeError, match="a loss never broadcasts$"):
            cr.Trainer(small_network(), nn.MSELoss(), optim.Adam()).fit(*small_data())

    def test_user_memory_is_never_written(self):
        X, y = small_data()
        before = X.tobytes(), y.tobytes()
        for array in (X, y):
            array.setflags(write=False)
        trainer = trainer_of(small_network(), metrics=["accuracy"])
        trainer.fit(X, y, epochs=2, validation_data=(X, y))
        trainer.step(X, y)
        trainer.evaluate(X, y)
        assert (X.tobytes(), y.tobytes()) == before


class TestInterrupts:
    def interrupt(self, after=0.3):
        def later():
            time.sleep(after)
            os.kill(os.getpid(), signal.SIGINT)

        threading.Thread(target=later, daemon=True).start()

    def test_ctrl_c_leaves_a_usable_model(self, digits):
        X, y, Xt, yt = digits
        model = network()
        trainer = trainer_of(model)
        self.interrupt()
        start = time.monotonic()
        with pytest.raises(KeyboardInterrupt):
            trainer.fit(X, y, epochs=1_000_000)
        assert time.monotonic() - start < 30
        assert trainer.global_step > 0
        assert finite(model)
        assert trainer.evaluate(Xt, yt)["loss"] < 2
        trainer.fit(X, y, epochs=1)

    def test_interrupted_is_a_shorter_training(self, digits):
        """The steps taken are those an uninterrupted run takes first."""
        X, y = digits[:2]
        model = network()
        trainer = trainer_of(model)
        self.interrupt(0.1)
        with pytest.raises(KeyboardInterrupt):
            trainer.fit(X, y, epochs=1_000_000)
        other = network()
        stepped = trainer_of(other)
        batches = cr.data.batches(X, y, batch_size=32, seed=0)
        while stepped.global_step < trainer.global_step:
            for xb, yb in batches:
                if stepped.global_step == trainer.global_step:
                    break
                stepped.step(xb, yb)
        same_state(model, other)

    def test_an_error_in_the_progress_function_ends_training(self, digits):
        X, y = digits[:2]

        def show(progress):
            if progress.epoch == 2:
                raise RuntimeError("enough")

        trainer = trainer_of(network())
        with pytest.raises(RuntimeError, match="enough"):
            trainer.fit(X, y, epochs=100, progress=show)
        assert 45 <= trainer.global_step <= 90

    def test_other_threads_run_meanwhile(self, digits):
        """Epochs run without the GIL."""
        X, y = digits[:2]
        ticks, done = [], threading.Event()

        def tick():
            while not done.wait(0.005):
                ticks.append(time.monotonic())

        thread = threading.Thread(target=tick)
        thread.start()
        trainer_of(network()).fit(X, y, epochs=40)
        done.set()
        thread.join()
        assert len(ticks) > 5
