"""The same training gives the same bits: by hand and by the Trainer, for any number of threads, in Python and
in C++."""

from __future__ import annotations

import os
import sys

import chainrule as cr
import numpy as np
import pytest
from chainrule import nn, optim
from checks import same_state
from cpp_build import ROOT, library, run


def network(seed=0, dropout=0.0):
    return nn.Sequential(nn.Linear(64, 48), nn.ReLU(), nn.Dropout(dropout), nn.Linear(48, 10), seed=seed)


def trainer_of(model, optimizer=None, **options):
    return cr.Trainer(model, nn.CrossEntropyLoss(), optimizer or optim.Adam(lr=0.01), **options)


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


@pytest.fixture(scope="module")
def program(tmp_path_factory, digits):
    """The folder of digits.cpp, compiled as a user would, with its inputs."""
    folder = tmp_path_factory.mktemp("cpp")
    libraries = library() / "cpp"
    X, y = digits[:2]
    X.tofile(folder / "x")
    y.tofile(folder / "y")
    flags = ["-std=c++20", "-O1", "-Wall", "-Wextra", "-Werror", "-I", ROOT / "cpp" / "include"]
    link = ["-L", libraries, "-lchainrule", f"-Wl,-rpath,{libraries}"]
    source = ROOT / "tests" / "digits.cpp"
    run(os.environ.get("CXX", "c++"), *flags, source, "-o", "train", *link, cwd=folder)
    return folder


@pytest.mark.build
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="counts calls of glibc's malloc")
class TestCpp:
    def test_python_and_cpp_have_the_same_bits(self, program, digits):
        X, y = digits[:2]
        model = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Dropout(0.2), nn.Linear(128, 10), seed=0)
        trainer = cr.Trainer(
            model, nn.CrossEntropyLoss(), optim.AdamW(lr=2e-3, weight_decay=1e-4), metrics=["accuracy"]
        )
        history = trainer.fit(X, y, epochs=3, batch_size=32)
        run(program / "train", "x", "y", "out", cwd=program)
        written = (program / "out").read_bytes()
        ours = (
            b"".join(np.array(column).tobytes() for column in history.values()) + model.predict(X).tobytes()
        )
        assert len(written) == len(ours)
        assert written == ours

    def test_steps_allocate_nothing(self, program):
        steps, short, long = map(int, run(program / "train", "x", "y", "-", "count", cwd=program).split())
        assert steps == 0
        slices = 4  # work is cut into slices of time; each may allocate a little, steps may not
        assert long - short <= 8 * slices, f"28 steps more allocate {long - short} times more"
