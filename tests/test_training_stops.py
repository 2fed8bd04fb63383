"""What ends a training early, divergence and interrupts: the last good parameters stay."""

from __future__ import annotations

import os
import re
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


class TestDivergence:
    @pytest.mark.parametrize("batch_size", [96, 8, 1])
    def test_divergence_keeps_the_last_good_parameters(self, batch_size):
        """Not those that gave the infinite loss, but those before them: the model is one that can be used."""
        rng = np.random.default_rng(1)
        X = rng.normal(size=(96, 6)).astype(np.float32)
        Y = X[:, :3] * 3
        model = nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 3), seed=0)
        twin = model.clone()
        options = {"batch_size": batch_size, "shuffle": False}
        trainer = cr.Trainer(model, nn.MSELoss(), optim.SGD(lr=4.0, momentum=0.5))
        history = trainer.fit(X, Y, epochs=500, **options)
        assert re.match(
            r"the loss was not finite in epoch \d+, batch \d+; the parameters are those that last gave a "
            r"finite loss, one batch before; lower the learning rate or clip gradients$",
            history.stopped,
        )
        assert history.stopped in str(history)
        assert finite(model)
        # The steps until then, by hand: the same bits.
        by_hand = cr.Trainer(twin, nn.MSELoss(), optim.SGD(lr=4.0, momentum=0.5))
        for step in range(trainer.global_step):
            first = step * batch_size % 96
            loss = by_hand.step(X[first : first + batch_size], Y[first : first + batch_size])
            assert np.isfinite(loss)
        same_state(model, twin)
        first = trainer.global_step * batch_size % 96
        assert np.isfinite(by_hand.step(X[first : first + batch_size], Y[first : first + batch_size]))

    def test_divergence_after_many_batches(self):
        """Back to a save in the middle of an epoch, and the batches since then once more."""
        rng = np.random.default_rng(1)
        X = rng.normal(size=(2000, 4)).astype(np.float32)
        Y = X[:, :1].copy()
        X[1500] *= 1e30
        for shuffle in (False, True):
            model = nn.Linear(4, 1, seed=0)
            trainer = cr.Trainer(model, nn.MSELoss(), optim.SGD(lr=0.01), seed=3)
            history = trainer.fit(X, Y, batch_size=2, shuffle=shuffle)
            order = next(iter(cr.data.batches(np.arange(2000)[:, None], batch_size=2000, seed=3)))[0][:, 0]
            batch = (list(order).index(1500) if shuffle else 1500) // 2
            assert f"epoch 1, batch {batch + 1};" in history.stopped
            assert trainer.global_step == batch - 1
            twin = nn.Linear(4, 1, seed=0)
            by_hand = cr.Trainer(twin, nn.MSELoss(), optim.SGD(lr=0.01))
            rows = order if shuffle else np.arange(2000)
            for b in range(batch - 1):
                by_hand.step(X[rows[2 * b : 2 * b + 2]], Y[rows[2 * b : 2 * b + 2]])
            same_state(model, twin)

    def test_an_infinite_gradient_changes_nothing(self):
        """sqrt at 0 has a finite value and an infinite slope."""
        X, _ = small_data()
        model = nn.Sequential(nn.Linear(6, 3), seed=0)
        before = model.state_dict()
        trainer = cr.Trainer(model, lambda output, target: cr.sqrt(output * 0.0).sum(axis=1), optim.Adam())
        history = trainer.fit(X, np.zeros(96))
        assert history.stopped.startswith(
            "a gradient was not finite in epoch 1, batch 1; the parameters are those before that batch; "
        )
        same_state(before, model.state_dict())

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
        assert str(caught.value) == (
            "step: the loss was not finite: no update was made; lower the learning rate or clip gradients"
        )
        same_state(model, states[-1])


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

    @pytest.mark.parametrize(
        "look",
        [
            lambda t, X, y: t.overfit_one_batch(X, y, steps=10_000_000),
            lambda t, X, y: t.lr_find(X, y, start=1e-9, end=1e-8, steps=10_000_000),
        ],
        ids=["overfit_one_batch", "lr_find"],
    )
    def test_ctrl_c_ends_a_look_at_a_training(self, digits, look):
        X, y, _, _ = digits
        model = network()
        trainer = trainer_of(model)
        before = [p.numpy().copy() for p in model.parameters()]
        self.interrupt()
        start = time.monotonic()
        with pytest.raises(KeyboardInterrupt):
            look(trainer, X, y)
        assert time.monotonic() - start < 10
        for old, p in zip(before, model.parameters(), strict=True):
            np.testing.assert_array_equal(old, p.numpy())

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
