"""Training: what a user types first, weights and splits, failures, Ctrl-C. Its bits are in
test_training_bits.py."""

from __future__ import annotations

import os
import signal
import threading
import time

import chainrule as cr
import numpy as np
import pytest
from chainrule import nn, optim
from checks import same_state


def network(seed=0, dropout=0.0):
    return nn.Sequential(nn.Linear(64, 48), nn.ReLU(), nn.Dropout(dropout), nn.Linear(48, 10), seed=seed)


def small_data(n=96, features=6, classes=3, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, features)).astype(np.float32)
    return X, (X[:, :classes] + 0.3 * rng.normal(size=(n, classes))).argmax(1)


def small_network(seed=0, dtype="float32"):
    return nn.Sequential(
        nn.Linear(6, 16, dtype=dtype),
        nn.LayerNorm(16, dtype=dtype),
        nn.Tanh(),
        nn.Linear(16, 3, dtype=dtype),
        seed=seed,
    )


def trainer_of(model, optimizer=None, **options):
    return cr.Trainer(model, nn.CrossEntropyLoss(), optimizer or optim.Adam(lr=0.01), **options)


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
            nn.Linear(6, 16),
            nn.Residual(nn.Sequential(nn.Linear(16, 16), nn.Tanh())),
            nn.Linear(16, 3),
            seed=0,
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
        assert trainer.evaluate(X, y)["loss"] == pytest.approx(
            np.mean(-((1 - np.exp(logp)) ** 2) * logp), rel=1e-5
        )
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

        history = trainer_of(network(), metrics=["accuracy", top2]).fit(
            X, y, epochs=2, validation_data=(Xt, yt)
        )
        assert seen[-1] == (np.ndarray, (360, 10), (360,))
        assert history["val_top2"][-1] > history["val_accuracy"][-1]


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
        both, _ = self.trained(
            X, y, class_weight={1: 1.5, 2: 2.0, 0: 1.0}, sample_weight=np.where(y == 1, 2.0, 1.0)
        )
        self.close(weighted, repeated)
        self.close(both, repeated)

    def test_weights_are_sorted_with_the_samples(self):
        """Shuffled and cut into batches, each weight stays with its sample: samples of weight 0 leave no
        trace."""
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

    def test_evaluate_averages_over_samples(self):
        X, y = small_data(50)
        model = small_network()
        logits = model.predict(X).astype(np.float64)
        losses = np.log(np.exp(logits).sum(1)) - logits[np.arange(50), y]
        trainer = trainer_of(model, metrics=["accuracy"])
        for batch_size in (7, 32, 50, 1024):
            scores = trainer.evaluate(X, y, batch_size=batch_size)
            assert scores["loss"] == pytest.approx(losses.mean(), rel=1e-6)
            assert scores["accuracy"] == np.mean(logits.argmax(1) == y)

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
            "fit: the data holds inf or NaN: found in epoch 1, batch 3; clean it first: no update was made "
            "from this batch"
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
        history = cr.Trainer(model, nn.CrossEntropyLoss(), optim.SGD(lr=1e38)).fit(
            X, y, epochs=5, shuffle=False
        )
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
        states = [model.state_dict()]

        def step():
            trainer.step(X, y)
            states.append(model.state_dict())

        step()  # from small weights to enormous ones
        with pytest.raises(cr.ValueError) as caught:
            [step() for _ in range(10)]
        assert str(caught.value).startswith("step: the loss or a gradient was not finite in this batch; ")
        same_state(model, states[-1])

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
            (
                {"X": np.zeros((0, 6), np.float32), "y": np.zeros(0, int)},
                cr.ShapeError,
                "fit: there are no samples: x is (0, 6); check for empty data",
            ),
            (
                {"y": np.zeros(5, int)},
                cr.ShapeError,
                "fit: numbers of samples differ: y is (5,), the first input has 96 rows",
            ),
            (
                {"X": np.zeros((96, 5), np.float32)},
                cr.ShapeError,
                "model.0 Linear(6, 16): last axis must have 6 features: x is (32, 5); pass (batch, 6), or "
                "build the layer "
                "for 5 features",
            ),
            (
                {"y": np.zeros(96)},
                cr.DTypeError,
                "CrossEntropyLoss: class labels must be integers: output is (32, 3), target is (32,) of "
                "float64; convert them "
                'with astype("int64"), or give probabilities of shape (32, 3)',
            ),
            ({"validation_split": 1.0}, cr.ValueError, "fit: validation_split must be in [0, 1): 1.000000"),
            ({"batch_size": 0}, cr.ValueError, "fit: batch_size must be at least 1: 0"),
            ({"epochs": -1}, cr.ValueError, "fit: epochs must be 0 or more: -1"),
            (
                {"sample_weight": np.ones(3)},
                cr.ShapeError,
                "fit: sample_weight must hold one number per sample: it is (3,) for 96 samples",
            ),
            (
                {"validation_split": 0.5, "validation_data": small_data()},
                cr.ValueError,
                "fit: validation_data and validation_split were both given; give one of them",
            ),
            (
                {"class_weight": {0: 1.0}, "y": np.zeros((96, 1), np.float32)},
                cr.DTypeError,
                "fit: class_weight needs integer labels: float32; use sample_weight",
            ),
        ],
    )
    def test_texts(self, change, error, text):
        X, y = small_data()
        model = small_network()
        with pytest.raises(error) as caught:
            trainer_of(model).fit(**({"X": X, "y": y} | change))
        assert str(caught.value) == text
        same_state(model, small_network())

    def test_constructor_texts(self):
        with pytest.raises(
            cr.DTypeError, match=r"^Adam: the first argument is the parameters, got 0\.001; write lr=0\.001$"
        ):
            optim.Adam(1e-3)
        with pytest.raises(cr.ShapeError, match=r"a loss never broadcasts$"):
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
        """Epochs run without the GIL: a waiting thread gets its turns, and training ends because of them."""
        X, y = digits[:2]
        ticks, done = [], threading.Event()

        class Enough(Exception):
            pass

        def tick():
            while not done.wait(0.002):
                ticks.append(time.monotonic())

        def show(progress):
            if len(ticks) > 20:
                raise Enough

        thread = threading.Thread(target=tick)
        thread.start()
        try:
            with pytest.raises(Enough):
                trainer_of(network()).fit(X, y, epochs=20_000, progress=show)
        finally:
            done.set()
            thread.join()
