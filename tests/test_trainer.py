"""The Trainer: signature, steps, reports, interrupts, and the seeds behind it."""

import subprocess
import sys

import chainrule as cr
import numpy as np
import pytest
from chainrule import nn, optim
from small import equal_states, small_data, small_model


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
signal.signal(signal.SIGINT, signal.default_int_handler)
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
