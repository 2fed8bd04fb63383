"""Training: what a user types first, weights and splits, failures, Ctrl-C. Its bits are in
test_training_bits.py."""

from __future__ import annotations

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
