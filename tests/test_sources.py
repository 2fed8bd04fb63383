"""Sources: windows read ahead give the bits of arrays, and memory stays small."""

import os
import subprocess
import sys
import threading

import chainrule as cr
import numpy as np
import pytest
from chainrule import data, nn, optim
from source_runs import KINDS, Own, generator, new_trainer, npy, parameters, problem


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shuffle", [True, False])
def test_one_window_gives_the_bits_of_arrays(kind, shuffle, tmp_path):
    X, y = problem()
    Xv, yv = problem(50, seed=1)
    arrays, source = new_trainer(metrics=["accuracy"]), new_trainer(metrics=["accuracy"])
    settings = {"epochs": 3, "batch_size": 32, "shuffle": shuffle, "validation_data": (Xv, yv)}
    expected = arrays.fit(X, y, **settings)
    history = source.fit(KINDS[kind](tmp_path, X, y), **settings)
    assert parameters(arrays) == parameters(source)
    assert history.to_dict() == expected.to_dict()


@pytest.mark.parametrize("kind", KINDS)
def test_without_shuffling_windows_do_not_matter(kind, tmp_path):
    X, y = problem()
    arrays, source = new_trainer(metrics=["accuracy"]), new_trainer(metrics=["accuracy"])
    expected = arrays.fit(X, y, epochs=3, batch_size=16, shuffle=False)
    history = source.fit(KINDS[kind](tmp_path, X, y, window_rows=50), epochs=3, batch_size=16, shuffle=False)
    assert parameters(arrays) == parameters(source)
    assert history.to_dict() == expected.to_dict()


def rows_of_epochs(source, epochs, batch_size, n):
    """Which rows each batch of a fit held, told by a model of one weight per row."""
    seen = []
    layer = nn.Embedding(n, 1)

    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.table = layer

        def forward(self, x):
            return self.table(x)

    trainer = cr.Trainer(Model(), nn.MSELoss(), optim.SGD(lr=1e-3), seed=5)

    class Look:
        every = 1

        def __init__(self):
            self.before = layer.weight.numpy().copy()

        def on_batch_end(self, fit):
            now = layer.weight.numpy().copy()
            seen.append(set(np.nonzero(now[:, 0] != self.before[:, 0])[0].tolist()))
            self.before = now

    trainer.fit(source, epochs=epochs, batch_size=batch_size, callbacks=[Look()])
    return seen


def test_epochs_take_every_row_once_windows_in_random_order():
    n, batch, window = 110, 8, 32  # windows of 32, 32, 32 and 14 rows; batches of 8, the last one of 6
    source = Own(np.arange(n), np.full((n, 1), 1e3, np.float32), window_rows=35)
    seen = rows_of_epochs(source, 20, batch, n)
    assert len(seen) == 20 * 14
    orders = set()
    for epoch in range(20):
        batches = seen[14 * epoch : 14 * epoch + 14]
        assert [len(b) for b in batches] == [8] * 13 + [6]
        assert set().union(*batches) == set(range(n))
        windows = [{row // window for row in b} for b in batches]
        assert all(len(w) == 1 for w in windows)
        orders.add(tuple(w.pop() for w in windows[::4]))
        assert batches[12] | batches[13] == set(range(96, 110))  # the shorter one comes last
        assert batches[0] != set(range(min(batches[0]), min(batches[0]) + 8))  # shuffled within
        assert {row % 32 for row in batches[0]} != {row % 32 for row in batches[4]}  # each in its own order
    assert len(orders) == 6
    assert threading.get_ident() not in source.threads or len(source.threads) > 1  # read ahead by others


def test_sequential_sources_are_read_in_order():
    n = 100
    source = Own(np.arange(n), np.full((n, 1), 1e3, np.float32), window_rows=24, any_order=False)
    seen = rows_of_epochs(source, 2, 8, n)
    assert [min(b) // 24 for b in seen[:13]] == [0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3, 4]
    assert [first for first, _ in source.asked] == [0, 24, 48, 72, 96] * 2


@pytest.mark.parametrize("kind", KINDS)
def test_windows_are_deterministic_for_any_number_of_threads(kind, tmp_path):
    X, y = problem()
    results = []
    for threads in (1, 2, 2):
        cr.set_num_threads(threads)
        trainer = new_trainer()
        history = trainer.fit(KINDS[kind](tmp_path, X, y, window_rows=48), epochs=3, batch_size=16)
        results.append((parameters(trainer), history["loss"]))
    assert results[0] == results[1] == results[2]


def test_fits_go_on_where_they_ended(tmp_path):
    X, y = problem()
    source = npy(tmp_path, X, y, window_rows=48)
    once, twice = new_trainer(), new_trainer()
    once.fit(source, epochs=4)
    twice.fit(source, epochs=1)
    twice.fit(source, epochs=3)
    assert parameters(once) == parameters(twice)


@pytest.mark.parametrize("window_rows", [None, 48, 7])
def test_evaluate_and_predict(window_rows, tmp_path):
    X, y = problem()
    trainer = new_trainer(metrics=["accuracy"])
    trainer.fit(X, y, epochs=2)
    loaded = cr.loads(trainer.model.to_bytes())
    for make in KINDS.values():
        source = make(tmp_path, X, y, window_rows=window_rows)
        rows = min(64, window_rows or 64)  # batches are cut to windows
        assert trainer.evaluate(source, batch_size=64) == trainer.evaluate(X, y, batch_size=rows)
        assert np.array_equal(trainer.predict(source), trainer.predict(X))
        assert np.array_equal(loaded.predict(source, output="proba"), trainer.predict(X, output="proba"))
    assert np.array_equal(
        trainer.predict(npy(tmp_path, X), output="class"), trainer.predict(X, output="class")
    )


def test_validation_by_a_source(tmp_path):
    X, y = problem()
    Xv, yv = problem(3000, seed=1)
    expected = new_trainer(metrics=["accuracy"]).fit(X, y, epochs=2, validation_data=(Xv, yv))
    for window_rows in (None, 1024):
        source = npy(tmp_path, Xv, yv, window_rows=window_rows)
        history = new_trainer(metrics=["accuracy"]).fit(X, y, epochs=2, validation_data=source)
        assert history.to_dict() == expected.to_dict()
    both = npy(tmp_path, X, y, window_rows=48)  # one source for training and validation
    history = new_trainer().fit(both, epochs=2, batch_size=16, validation_data=both)
    assert len(history["val_loss"]) == 2


def test_several_inputs_weights_and_classes():
    X, y = problem()
    w = np.linspace(0.0, 2.0, len(X)).astype(np.float32)
    settings = {"epochs": 2, "batch_size": 20, "shuffle": False, "class_weight": {0: 1.0, 1: 3.0}}
    arrays, source = new_trainer(), new_trainer()
    arrays.fit(X, y, sample_weight=w, **settings)
    source.fit(data.ArraySource(X, y, w, window_rows=60), **settings)
    assert parameters(arrays) == parameters(source)

    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second = nn.Linear(6, 2, seed=0), nn.Linear(6, 2, seed=1)

        def forward(self, a, b):
            return self.first(a) + self.second(b)

    results = []
    for given in [((X, X[::-1].copy()), y), (data.ArraySource((X, X[::-1].copy()), y, window_rows=60),)]:
        trainer = cr.Trainer(Two(), nn.CrossEntropyLoss(), optim.Adam(lr=0.01))
        trainer.fit(*given, epochs=2, batch_size=20, shuffle=False)
        results.append(parameters(trainer))
    assert results[0] == results[1]


def test_endless_generators():
    def endless():
        rng = np.random.default_rng(0)
        while True:
            X = rng.normal(size=(64, 6)).astype(np.float32)
            yield X, (X[:, 0] > 0).astype(np.int64)

    source = data.GeneratorSource(endless, rows=1000, window_rows=300)
    trainer = new_trainer(metrics=["accuracy"])
    history = trainer.fit(source, epochs=5)
    assert trainer.global_step == 5 * 32
    assert history["accuracy"][-1] > 0.8


def test_a_wrong_turn_leaves_the_last_good_parameters(tmp_path):
    X, y = problem()

    class Explode:
        every = 1
        seen = 0

        def __init__(self, at):
            self.at = at

        def on_batch_end(self, fit):
            self.seen += 1
            if self.seen == self.at:
                fit.trainer.optimizer.lr = 1e30

    for kind in KINDS:
        for at in (3, 4, 14, 16):
            trainer = new_trainer()
            source = KINDS[kind](tmp_path, X, y, window_rows=64)
            history = trainer.fit(source, epochs=10, batch_size=16, callbacks=[Explode(at)])
            assert "not finite" in history.stopped
            assert all(np.isfinite(p.numpy()).all() for p in trainer.model.parameters())


def test_divergence_goes_back_as_with_arrays(tmp_path):
    # The learning rate grows until the numbers run away: the way back crosses windows.
    X, y = problem()
    results = []
    for make in (
        lambda: (X, y),
        lambda: (data.ArraySource(X, y, window_rows=64),),
        lambda: (npy(tmp_path, X, y, window_rows=32),),
    ):
        model = nn.MLP([6, 8, 2], seed=0)
        trainer = cr.Trainer(
            model, nn.CrossEntropyLoss(), optim.SGD(lr=lambda step: 0.01 * 1.7**step), seed=3
        )
        history = trainer.fit(*make(), epochs=100, batch_size=16, shuffle=False)
        results.append((history.stopped, parameters(trainer)))
    assert "last gave a finite loss" in results[0][0] or "before that batch" in results[0][0]
    assert results[0] == results[1] == results[2]


LARGE = """
import sys
import numpy as np
import chainrule as cr
from chainrule import data, nn, optim

path, rows, width, batch = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
header = np.lib.format.header_data_from_array_1_0(np.zeros((1, width), np.float32)) | {"shape": (rows, width)}
with open(path, "wb") as f:
    np.lib.format.write_array_header_1_0(f, header)
    f.truncate(f.tell() + rows * width * 4)
np.save(path + ".y.npy", np.ones((rows, 1), np.float32))

def resident():
    lines = open("/proc/self/status").read().splitlines()
    kb = {line.split(":")[0]: int(line.split()[1]) for line in lines if line.startswith("Rss")}
    return (kb["RssAnon"] + kb["RssShmem"]) // 1024

most = [resident()]
trainer = cr.Trainer(nn.Linear(width, 1), nn.MSELoss(), optim.SGD(lr=0.1))
source = data.NpySource(path, path + ".y.npy")

class Watch:
    def on_slice(self, fit):
        most.append(resident())

history = trainer.fit(source, batch_size=batch, callbacks=[Watch()])
assert trainer.global_step == -(-rows // batch)
assert history["loss"][-1] < 1
most.append(resident())
print(max(most))
"""


def train_large(folder, gigabytes, width=1024, batch=4096):
    rows = int(gigabytes * 2**30) // (4 * width)
    environment = dict(os.environ, PYTHONPATH=os.pathsep.join(sys.path))
    command = [sys.executable, "-c", LARGE, str(folder / "X.npy"), str(rows), str(width), str(batch)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


def test_memory_stays_small(tmp_path):
    assert train_large(tmp_path, 0.4, batch=1024) <= 200


@pytest.mark.slow
def test_memory_stays_small_with_8_gigabytes(tmp_path):
    assert train_large(tmp_path, 8) <= 300


class Interrupted(Exception):
    pass


class InterruptAt:
    def __init__(self, batch):
        self.every = batch

    def on_batch_end(self, fit):
        raise Interrupted


@pytest.mark.parametrize("kind", [*KINDS, "weighted", "stratified"])
@pytest.mark.parametrize("at", [5, 17, 30])
def test_killed_fits_go_on_in_the_middle_of_a_window(kind, at, tmp_path):
    X, y = problem()
    given = (X, y)
    if kind in KINDS:
        given = (KINDS[kind](tmp_path, X, y, window_rows=64),)
    sampler = {
        "weighted": data.WeightedSampler(1.0 + y, num_samples=180),
        "stratified": data.StratifiedSampler(y),
    }
    settings = {"epochs": 4, "batch_size": 16, "sampler": sampler.get(kind)}
    whole, cut, rest = (new_trainer(metrics=["accuracy"]) for _ in range(3))
    expected = whole.fit(*given, **settings)
    folder = tmp_path / "checkpoints"
    with pytest.raises(Interrupted):
        cut.fit(
            *given, callbacks=[cr.callbacks.Checkpoint(folder, every_batches=3), InterruptAt(at)], **settings
        )
    history = rest.fit(*given, resume_from=folder, **settings)
    assert parameters(rest) == parameters(whole)
    assert history.to_dict() == expected.to_dict()


def test_windows_with_updates_of_several_batches(tmp_path):
    X, y = problem()
    results = []
    for given in [(X, y), (npy(tmp_path, X, y, window_rows=48),), (generator(X, y, window_rows=48),)]:
        trainer = new_trainer(accumulate=3)
        trainer.fit(*given, epochs=3, batch_size=16, shuffle=False)
        results.append(parameters(trainer))
    assert results[0] == results[1] == results[2]
