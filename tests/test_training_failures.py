"""What stops a training: bad data, divergence, interrupts; nothing learned is lost."""

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
    @pytest.fixture(autouse=True)
    def heard(self):
        """A shell starts jobs in the background with SIGINT ignored."""
        before = signal.signal(signal.SIGINT, signal.default_int_handler)
        yield
        signal.signal(signal.SIGINT, before)

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
