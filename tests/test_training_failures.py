"""Data, labels and options that a training refuses: what is said, and that nothing is lost."""

from __future__ import annotations

import chainrule as cr
import numpy as np
import pytest
from chainrule import nn, optim
from checks import same_state


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


class TestFailures:
    @pytest.mark.parametrize("batch_size", [96, 32])
    def test_nan_in_the_data(self, batch_size):
        """The cell is named, and batches before the bad one leave no trace either."""
        X, y = small_data()
        X[70, 2] = np.nan
        model = small_network()
        trainer = trainer_of(model)
        with pytest.raises(cr.ValueError) as caught:
            trainer.fit(X, y, batch_size=batch_size)
        assert str(caught.value) == (
            "fit: the data holds inf or NaN: X has nan in row 70, column 2; clean it first: "
            "nothing was trained"
        )
        same_state(model, small_network())
        assert trainer.global_step == 0
        assert trainer.optimizer.step_count == 0
        with pytest.raises(cr.ValueError, match=r"xb has nan in row 6, column 2; clean it first: no update"):
            trainer.step(X[64:], y[64:])
        same_state(model, small_network())
        good, fresh = small_data(), trainer_of(small_network())
        assert trainer.fit(*good)["loss"] == fresh.fit(*good)["loss"]

    def test_nan_in_the_targets(self):
        X, _ = small_data()
        Y = np.zeros((96, 3), np.float32)
        Y[5, 1] = np.inf
        trainer = cr.Trainer(small_network(), nn.MSELoss(), optim.Adam())
        with pytest.raises(cr.ValueError, match=r"inf or NaN: y has inf in row 5, column 1; clean it first"):
            trainer.fit(X, Y, validation_split=0.2)

    def test_a_model_may_deal_with_nan(self):
        """Missing values are no error where the model and the loss replace them."""
        X, y = small_data()
        X[70, 2] = np.nan

        class Masking(nn.Module):
            def __init__(self):
                self.inner = small_network()

            def forward(self, x):
                return self.inner(cr.where(x == x, x, 0.0))

        history = trainer_of(Masking()).fit(X, y, epochs=2)
        assert np.isfinite(history["loss"]).all()
        assert not history.stopped

    @pytest.mark.parametrize(
        ("bad", "dtype"),
        [(3, "int64"), (-1, "int64"), (2**32, "int64"), (-(2**62), "int64"), (-7, "int32"), (200, "uint8")],
    )
    def test_labels_outside_the_classes(self, bad, dtype):
        """Refused before anything is trained, wherever the label stands."""
        X, y = small_data()
        y = y.astype(dtype)
        y[77] = bad
        text = (
            f"CrossEntropyLoss: a label is outside the classes: label {bad} at position 77, 3 classes; "
            "labels must be 0 ... 2; or give the last layer more outputs"
        )
        model = small_network()
        trainer = trainer_of(model)
        for call in (
            lambda: trainer.fit(X, y),
            lambda: trainer.fit(X, y, validation_split=0.5),
            lambda: trainer.fit(X[:64], y[:64] * 0, validation_data=(X, y)),
            lambda: trainer.step(X, y),
            lambda: trainer.evaluate(X, y),
            lambda: nn.CrossEntropyLoss()(model(X), y),
        ):
            with pytest.raises(cr.IndexError) as caught:
                call()
            assert str(caught.value) == text
        same_state(model, small_network())

    @pytest.mark.parametrize("bad", [1.5, np.nan, np.inf])
    def test_labels_that_are_no_integers(self, bad):
        X, y = small_data()
        y = y.astype(np.float32)
        y[9] = bad
        text = (
            f"CrossEntropyLoss: class labels must be integers: {bad} at position 9; give 0 ... classes - 1, "
            "or use MSELoss to predict a number"
        )
        model = small_network()
        for call in (
            lambda: trainer_of(model).fit(X, y),
            lambda: trainer_of(model).fit(X, y[:, None]),
            lambda: trainer_of(model).step(X, y),
            lambda: nn.CrossEntropyLoss()(model(X), y),
        ):
            with pytest.raises(cr.ValueError) as caught:
                call()
            assert str(caught.value) == text

    @pytest.mark.parametrize(
        ("row", "what"),
        [
            ([0.5, -0.5, 1.0], "holds -0.5"),
            ([0.5, np.nan, 0.5], "holds nan"),
            ([0.5, 0.2, 0.5], "adds up to 1.2"),
            ([1.0, 1.0, 0.0], "adds up to 2.0"),
        ],
    )
    def test_targets_that_are_no_probabilities(self, row, what):
        X, _ = small_data()
        Q = np.tile([0.25, 0.25, 0.5], (96, 1))
        trainer_of(small_network()).fit(X, Q)
        Q[40] = row
        model = small_network()
        for call in (lambda: trainer_of(model).fit(X, Q), lambda: nn.CrossEntropyLoss()(model(X), Q)):
            with pytest.raises(cr.ValueError) as caught:
                call()
            assert str(caught.value) == (
                f"CrossEntropyLoss: a target is no probability distribution: row 40 {what}; each row must "
                "be 0 or more and add up to 1; "
                "for labels give integers, for several classes at once use BCEWithLogitsLoss"
            )
        same_state(model, small_network())

    def test_a_batch_of_one_for_batch_norm(self):
        """Refused before training, with a batch size that works; by hand as in PyTorch."""
        X, y = small_data(97)
        model = nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.Linear(8, 3), seed=0)
        before = model.state_dict()
        trainer = trainer_of(model)
        with pytest.raises(cr.ValueError) as caught:
            trainer.fit(X, y, epochs=3)
        assert str(caught.value) == (
            "fit: the last batch would hold one sample, which the model refuses: 97 samples, batch_size=32, "
            "model.1 BatchNorm1d(8): train mode needs more than one sample per batch: x is (1, 8); "
            "write batch_size=33"
        )
        with pytest.raises(cr.ValueError, match=r"1 samples, batch_size=32.*give more samples"):
            trainer.fit(X[:1], y[:1])
        with pytest.raises(cr.ValueError, match="needs more than one sample per batch"):
            trainer.step(X[:1], y[:1])
        same_state(before, model.state_dict())
        trainer.fit(X, y, batch_size=33)
        assert model.predict(X[:1]).shape == (1, 3)

    def test_batches_in_which_nothing_counts(self):
        """All weights of a batch 0: it changes nothing, and training goes on."""
        X, y = small_data()
        weight = (np.arange(96) < 32).astype(float)
        model, same = small_network(), small_network()
        sgd = optim.SGD(lr=0.1)
        history = trainer_of(model, sgd).fit(X, y, sample_weight=weight, shuffle=False)
        assert not history.stopped
        assert history["loss"] == trainer_of(same, sgd).fit(X[:32], y[:32], shuffle=False)["loss"]
        same_state(model, same)
        assert nn.CrossEntropyLoss(ignore_index=0)(model(X), y * 0).item() == 0

    def test_wrong_validation_data_is_said_before_training(self):
        X, y = small_data()
        model = small_network()
        trainer = trainer_of(model)
        for wrong, error in (((X[:, :5], y), cr.ShapeError), ((X, y[:5]), cr.ShapeError), (X, cr.ValueError)):
            with pytest.raises(error):
                trainer.fit(X, y, validation_data=wrong)
        same_state(model, small_network())

    def test_a_failing_metric_loses_nothing(self):
        X, y = small_data()
        model, calls = small_network(), []

        def metric(output, target):
            calls.append(1)
            if len(calls) == 3:
                raise KeyError("third")
            return 1.0

        trainer = trainer_of(model, metrics=[metric])
        with pytest.raises(KeyError, match="third"):
            trainer.fit(X, y, epochs=5)
        same = small_network()
        assert trainer.history["loss"] == trainer_of(same).fit(X, y, epochs=3)["loss"]
        assert trainer.history["metric"] == [1.0, 1.0]
        same_state(model, same)
        calls.clear()
        trainer.fit(X, y, epochs=2)
        assert trainer.history.epochs == 2

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
        with pytest.raises(cr.DTypeError, match=r"^loss: got MSELoss itself; write MSELoss\(\)$"):
            cr.Trainer(small_network(), nn.MSELoss, optim.Adam())
        with pytest.raises(cr.DTypeError, match=r"^Trainer: optimizer is a class; write Adam\(\)$"):
            cr.Trainer(small_network(), nn.MSELoss(), optim.Adam)
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
