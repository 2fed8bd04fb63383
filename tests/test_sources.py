"""Sources: windows read ahead give the bits of arrays, errors reach the caller, memory stays small."""

import os
import subprocess
import sys
import threading

import chainrule as cr
import numpy as np
import pytest
from chainrule import data, nn, optim


def problem(n=200, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 6)).astype(np.float32)
    y = (X[:, 0] * X[:, 1] > 0).astype(np.int64)
    return X, y


def new_trainer(seed=3, **kwargs):
    return cr.Trainer(
        nn.MLP([6, 8, 2], seed=0), nn.CrossEntropyLoss(), optim.Adam(lr=0.01), seed=seed, **kwargs
    )


def parameters(trainer):
    return [p.numpy().tobytes() for p in trainer.model.parameters()]


def npy(folder, X, y=None, **kwargs):
    np.save(folder / "X.npy", X)
    if y is None:
        return data.NpySource(folder / "X.npy", **kwargs)
    np.save(folder / "y.npy", y)
    return data.NpySource(folder / "X.npy", folder / "y.npy", **kwargs)


class Own:
    """A source in Python; it remembers what was asked for."""

    def __init__(self, X, y, window_rows=None, any_order=True):
        self.X, self.y, self.rows = X, y, len(X)
        self.window_rows, self.any_order = window_rows, any_order
        self.asked, self.threads = [], set()

    def read(self, first, count):
        self.asked.append((first, count))
        self.threads.add(threading.get_ident())
        return self.X[first : first + count].copy(), self.y[first : first + count].copy()


def generator(X, y, piece=37, **kwargs):
    def pieces():
        for at in range(0, len(X), piece):
            yield X[at : at + piece], y[at : at + piece]

    return data.GeneratorSource(pieces, **kwargs)


KINDS = {
    "arrays": lambda _, X, y, **k: data.ArraySource(X, y, **k),
    "npy": npy,
    "generator": lambda _, X, y, **k: generator(X, y, **k),
    "own": lambda _, X, y, **k: Own(X, y, **k),
}


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


@pytest.mark.parametrize("dtype", ["<f4", "<f8", ">f4", "<i2", "<u4", "u1", "?", "<i8", ">i4"])
def test_npy_windows_hold_what_numpy_reads(dtype, tmp_path):
    rng = np.random.default_rng(0)
    X = rng.integers(0, 2 if dtype == "?" else 100, size=(50, 3, 2)).astype(dtype)
    source = npy(tmp_path, X)
    assert source.rows == len(source) == 50
    for first, count in [(0, 50), (0, 1), (17, 20), (49, 1)]:
        got = source.read(first, count)
        assert got.dtype.isnative
        assert np.array_equal(got, X[first : first + count])
    one = npy(tmp_path, np.asfortranarray(np.arange(7.0)))
    assert np.array_equal(one.read(2, 3), [2.0, 3.0, 4.0])


def test_generators_count_once_and_join_pieces():
    X, y = problem(100)
    calls = []

    def pieces():
        calls.append(1)
        yield X[:10], y[:10]
        yield X[:0], y[:0]
        yield X[10:77], y[10:77]
        yield X[77:], y[77:]

    source = data.GeneratorSource(pieces)
    assert repr(source) == "GeneratorSource(rows not counted yet)"
    assert source.rows == 100
    assert repr(source) == "GeneratorSource(100 rows)"
    assert len(calls) == 1
    for first, count in [(0, 100), (5, 3), (5, 90), (99, 1), (10, 67)]:
        xb, yb = source.read(first, count)
        assert np.array_equal(xb, X[first : first + count])
        assert np.array_equal(yb, y[first : first + count])
    assert data.GeneratorSource([(X[:60], y[:60]), (X[60:], y[60:])]).rows == 100


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


def test_bad_rows_are_named_as_the_source_counts_them():
    X, y = problem()
    X[150, 2] = np.nan
    trainer = new_trainer()
    before = parameters(trainer)
    for source in (data.ArraySource(X, y, window_rows=48), generator(X, y, window_rows=48)):
        with pytest.raises(
            ValueError, match="X has nan in row 150, column 2; clean it first: nothing was trained"
        ):
            trainer.fit(source, epochs=2, batch_size=16)
        assert parameters(trainer) == before
    X, y = problem()
    y[170] = 7
    with pytest.raises(IndexError, match="label"):
        trainer.fit(data.ArraySource(X, y, window_rows=48), epochs=2, batch_size=16)
    assert parameters(trainer) == before


class Fails(Own):
    def read(self, first, count):
        if first >= 96:
            raise OSError("the disk is gone")
        return super().read(first, count)


def test_errors_of_sources_reach_the_caller():
    X, y = problem()
    trainer = new_trainer()
    with pytest.raises(OSError, match="the disk is gone"):
        trainer.fit(Fails(X, y, window_rows=48), epochs=2, batch_size=16, shuffle=False)
    assert trainer.global_step == 6  # what was read before was trained on
    trainer.fit(X, y)  # and it can go on

    def stops():
        yield X[:100], y[:100]
        raise RuntimeError("no more")

    with pytest.raises(RuntimeError, match="no more"):
        trainer.fit(data.GeneratorSource(stops))

    passes = []

    def shorter():
        passes.append(1)
        n = 200 if len(passes) == 1 else 120
        yield X[:n], y[:n]

    with pytest.raises(
        ValueError, match="a pass ended early: after 120 of 200 rows; every pass must give the same rows"
    ):
        trainer.fit(data.GeneratorSource(shorter, window_rows=64))


def test_fits_may_end_while_windows_are_read():
    X, y = problem()

    class Raises:
        every = 1

        def on_batch_end(self, fit):
            raise KeyError("enough")

    for kind in ("own", "generator"):
        for callback in (Raises(), lambda fit: fit.stop("enough")):
            trainer = new_trainer()
            source = KINDS[kind](None, X, y, window_rows=32)
            if isinstance(callback, Raises):
                with pytest.raises(KeyError, match="enough"):
                    trainer.fit(source, epochs=5, batch_size=16, callbacks=[callback])
            else:
                assert trainer.fit(source, epochs=5, batch_size=16, callbacks=[callback]).epochs == 1


def refusals(folder):
    X, y = problem()
    source = data.ArraySource(X, y, window_rows=48)
    fit = lambda *a, **k: new_trainer().fit(*a, **k)  # noqa: E731
    yield (
        lambda: fit(X),
        ValueError,
        r"fit: y is missing; give one target per sample, or a source of chainrule.data",
    )
    yield lambda: fit(source, y), ValueError, "y was given beside a source, which gives the targets itself"
    yield lambda: new_trainer().evaluate(X), ValueError, "evaluate: y is missing"
    yield (
        lambda: fit(source, validation_split=0.2),
        ValueError,
        "validation_split goes with tensors, not with a source",
    )
    yield lambda: fit(source, sample_weight=np.ones(200)), ValueError, "sample_weight goes with tensors"
    yield lambda: fit(source, sampler=data.StratifiedSampler(y)), ValueError, "sampler goes with tensors"
    yield (
        lambda: fit(data.ArraySource(X)),
        cr.StateError,
        r"the source gives no targets: ArraySource\(200 rows\)",
    )
    yield (
        lambda: new_trainer().evaluate(data.ArraySource(X)),
        cr.StateError,
        "evaluate: the source gives no targets",
    )
    yield (
        lambda: fit(X, y, validation_data=data.ArraySource(X)),
        cr.StateError,
        "validation_data has no targets",
    )
    yield lambda: data.ArraySource(X, y[:-1]), cr.ShapeError, "numbers of samples differ"
    yield lambda: data.ArraySource(X, y, window_rows=0), ValueError, "window_rows must be at least 1: 0"
    yield (
        lambda: data.GeneratorSource(iter([])),
        ValueError,
        "list_iterator objects are used up after one pass; give the",
    )
    yield lambda: data.GeneratorSource(3), cr.DTypeError, "expected a function that makes a generator"
    yield lambda: data.GeneratorSource(lambda: []).rows, ValueError, "a pass gave no rows"
    yield (
        lambda: data.GeneratorSource(lambda: [(X,)]).rows,
        ValueError,
        "must give X, .X, y. or .X, y, weight., got a tuple",
    )
    yield (
        lambda: data.GeneratorSource([(X, y), (X.astype(np.float64), y)]).read(0, 300),
        ValueError,
        "two pieces differ in more than the number of rows",
    )
    yield lambda: source.read(190, 20), IndexError, r"rows are out of range: 190 ... 209 of 200"
    short = Own(X, y, window_rows=48)
    short.read = lambda first, count: (X[:10], y[:10])
    yield lambda: fit(short), cr.ShapeError, "another number of rows than it was asked for: 10 for 32 of Own"
    wide = Own(X, y, window_rows=32)
    wide.read = lambda first, count: (X[:count].astype(np.float64 if first else np.float32), y[:count])
    yield (
        lambda: fit(wide, shuffle=False),
        ValueError,
        r"rows of another kind than before: float64\(1, 6\), int64\(1,\) after float32\(1, 6\), int64\(1,\)",
    )
    scaled = cr.Trainer(
        nn.Sequential(nn.Standardizer(6), nn.MLP([6, 8, 2])), nn.CrossEntropyLoss(), optim.Adam(lr=0.01)
    )
    yield (
        lambda: scaled.fit(source),
        cr.StateError,
        r"a layer has to be fitted to the data, .* Standardizer.*; call its fit\(rows\) on a sample of the",
    )
    yield (
        lambda: data.NpySource(folder / "none.npy"),
        cr.FileError,
        "none.npy: cannot be opened: No such file",
    )
    np.save(folder / "f.npy", np.asfortranarray(np.ones((4, 3))))
    yield (
        lambda: data.NpySource(folder / "f.npy"),
        cr.FileError,
        "is in Fortran order, in which rows are not contiguous",
    )
    np.save(folder / "four.npy", np.ones((4, 3)))
    np.save(folder / "five.npy", np.ones(5))
    yield (
        lambda: data.NpySource(folder / "four.npy", folder / "five.npy"),
        cr.ShapeError,
        "five.npy: numbers of rows differ: 5 where .*four.npy has 4",
    )
    (folder / "cut.npy").write_bytes((folder / "four.npy").read_bytes()[:-8])
    yield lambda: data.NpySource(folder / "cut.npy"), cr.FileError, "cut short"


def test_refusals(tmp_path):
    for call, error, message in refusals(tmp_path):
        with pytest.raises(error, match=message):
            call()


def test_layers_fitted_before_are_fine():
    X, y = problem()
    scaler = nn.Standardizer(6)
    scaler.fit(X[:50])
    trainer = cr.Trainer(nn.Sequential(scaler, nn.MLP([6, 8, 2])), nn.CrossEntropyLoss(), optim.Adam(lr=0.01))
    assert trainer.fit(data.ArraySource(X, y, window_rows=48), epochs=2).epochs == 2


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


CSV = 'age;job;income\n31;"baker; and cook";1,5\n40;smith;2,5\n\n;"says ""no""";0,5\n28;smith;1,0\n'


def table_text(n=9000, seed=0):
    rng = np.random.default_rng(seed)
    lines = ["a,kind,b,label"]
    for i in range(n):
        kind = ["red", "green", '"blue, or so"'][rng.integers(3)] if i % 5000 > 10 else "7"
        lines.append(f"{rng.normal():.4f},{kind},{rng.integers(100)},{'yes' if rng.random() > 0.4 else 'no'}")
    return "\n".join(lines) + "\n"


def test_csv_windows_are_what_read_csv_and_the_schema_give(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text(table_text())
    whole = data.read_csv(path)
    schema = data.fit_schema(whole, "label")
    X, y = schema.encode(whole), schema.encode_target(whole)
    source = data.CsvSource(path, schema)
    assert source.rows == len(source) == 9000
    for first, count in [(0, 9000), (0, 1), (4095, 2), (4096, 4096), (8999, 1), (100, 5000)]:
        xb, yb = source.read(first, count)
        assert np.array_equal(xb, X[first : first + count])
        assert np.array_equal(yb, y[first : first + count])
    results = []
    for given in [(X, y), (data.CsvSource(path, schema, window_rows=2000),)]:
        trainer = cr.Trainer(
            nn.MLP([schema.width, 8, 2], seed=0),
            nn.CrossEntropyLoss(),
            optim.Adam(lr=0.01),
            metrics=["accuracy"],
        )
        history = trainer.fit(*given, epochs=2, batch_size=100, shuffle=False)
        results.append((parameters(trainer), history.to_dict()))
    assert results[0] == results[1]


def test_csv_of_other_dialects_without_targets_and_with_errors(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("\ufeff" + CSV)
    settings = {"decimal": ",", "delimiter": ";"}
    whole = data.read_csv(path, **settings)
    schema = data.fit_schema(whole, "income", missing="fill", task="regression")
    X, y = data.CsvSource(path, schema, **settings).read(1, 3)
    assert np.array_equal(X, schema.encode(whole)[1:])
    assert np.array_equal(y, schema.encode_target(whole)[1:])
    first = data.read_csv(path, rows=2, **settings)
    assert first.rows == 2
    assert first["job"] == ["baker; and cook", "smith"]
    assert data.read_csv(path, rows=100, **settings).rows == 4

    other = tmp_path / "no_target.csv"
    other.write_text("age;job\n5;smith\n")
    assert data.CsvSource(other, schema, **settings).read(0, 1).shape == (1, schema.width)
    strict = data.fit_schema(whole.take([0, 1, 3]), "income", task="regression")
    with pytest.raises(ValueError, match=r't.csv line 5, column "age"'):
        data.CsvSource(path, strict, **settings).read(0, 4)
    other.write_text("age;work\n5;smith\n")
    with pytest.raises(IndexError, match=r"no_target.csv: a column of the schema is missing: .job."):
        data.CsvSource(other, schema, **settings)
    other.write_text("age;job\n5;smith\n5\n")
    with pytest.raises(OSError, match=r"no_target.csv line 3: too few cells"):
        data.CsvSource(other, schema, **settings)
    with pytest.raises(ValueError, match="rows must be at least 1: 0"):
        data.read_csv(path, rows=0)


COLUMNS = {
    "a": np.linspace(0, 1, 120),
    "b": np.arange(120) % 7,
    "kind": ["red", "green", None, "blue"] * 30,
    "y": np.arange(120) % 2,
}


def frames():
    yield "dict", lambda columns: columns
    for name, make in [("pandas", "DataFrame"), ("polars", "DataFrame"), ("pyarrow", "table")]:
        yield name, lambda columns, name=name, make=make: getattr(pytest.importorskip(name), make)(columns)


@pytest.mark.parametrize("make", [pytest.param(make, id=name) for name, make in frames()])
def test_frames(make):
    numbers = {name: COLUMNS[name] for name in ("a", "b", "y")}
    source = data.FrameSource(make(numbers), "y", window_rows=50)
    assert repr(source) == "FrameSource(120 rows, 2 features)"
    X, y = source.read(30, 40)
    assert X.dtype == np.float32
    assert np.array_equal(X, np.stack([COLUMNS["a"], COLUMNS["b"]], 1).astype(np.float32)[30:70])
    assert y.dtype == np.int64
    assert np.array_equal(y, COLUMNS["y"][30:70])
    trainer = cr.Trainer(nn.MLP([2, 4, 2], seed=0), nn.CrossEntropyLoss(), optim.Adam(lr=0.01))
    assert trainer.fit(source, epochs=2, batch_size=10).epochs == 2
    _, target = data.FrameSource(make(numbers), "a", features=["b"]).read(0, 5)
    assert target.shape == (5, 1)
    assert data.FrameSource(make(numbers), features=["b"]).read(0, 5).shape == (5, 1)

    frame = make(COLUMNS)
    table = data.to_table(frame)
    assert table.columns == ["a", "b", "kind", "y"]
    assert table["kind"][:4] == ["red", "green", "", "blue"]
    schema = data.fit_schema(table, "y", missing="fill")
    encoded = data.FrameSource(frame, schema=schema)
    X, y = encoded.read(17, 90)
    assert np.array_equal(X, schema.encode(table)[17:107])
    assert np.array_equal(y, schema.encode_target(table)[17:107])
    with pytest.raises(
        TypeError, match=r'column "kind" holds no numbers; give a schema: fit_schema\(to_table'
    ):
        data.FrameSource(frame, "y").read(0, 5)
    with pytest.raises(IndexError, match=r'FrameSource: there is no column "z"; there are a, b, kind, y'):
        data.FrameSource(frame, "z")
    with pytest.raises(ValueError, match="a schema names the target and the features"):
        data.FrameSource(frame, "y", schema=schema)


def test_tables_of_columns():
    assert data.to_table({"a": [1, None, 2.5]})["a"][0] == 1.0
    assert data.to_table({"a": [True, False]})["a"] == ["True", "False"]
    with pytest.raises(cr.ShapeError, match='columns differ in length: "b" has 1 rows, "a" 2'):
        data.to_table({"a": [1, 2], "b": [1]})
    with pytest.raises(
        TypeError, match="expected a pandas, polars or pyarrow table or a dict of columns, got int"
    ):
        data.to_table(3)


def test_parquet(tmp_path):
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    frame = pyarrow.table(COLUMNS)
    path = tmp_path / "t.parquet"
    parquet.write_table(frame, path, row_group_size=25)
    schema = data.fit_schema(data.to_table(frame), "y", missing="fill")
    for settings in ({"target": "y", "features": ["a", "b"]}, {"schema": schema}):
        expected = data.FrameSource(frame, **settings)
        source = data.ParquetSource(path, **settings)
        assert source.rows == 120
        for first, count in [(0, 120), (3, 9), (20, 60), (24, 2), (119, 1)]:
            for got, wanted in zip(source.read(first, count), expected.read(first, count), strict=True):
                assert np.array_equal(got, wanted)
    histories = []
    for source in (expected, data.ParquetSource(path, schema=schema)):
        trainer = cr.Trainer(nn.MLP([schema.width, 4, 2], seed=0), nn.CrossEntropyLoss(), optim.Adam(lr=0.01))
        histories.append(trainer.fit(source, epochs=3, batch_size=16)["loss"])
    assert histories[0] == histories[1]
    (tmp_path / "none.parquet").write_text("no")
    with pytest.raises(OSError, match=r"none.parquet: cannot be read"):
        data.ParquetSource(tmp_path / "none.parquet")


def test_parquet_without_pyarrow(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(
        ImportError, match=r"needs pyarrow; install it with: pip install chainrule\[parquet\]"
    ):
        data.ParquetSource("t.parquet")


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
