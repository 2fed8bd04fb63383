"""Sources in a rough world: buffers used again, files that change, threads, Ctrl-C, and wrong arguments."""

import os
import queue
import signal
import subprocess
import sys
import threading
import time

import chainrule as cr
import numpy as np
import pytest
from chainrule import data, nn, optim


def problem(n=200, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 3)).astype(np.float32)
    return X, X @ np.ones((3, 1), np.float32)


def new_trainer(**kwargs):
    return cr.Trainer(nn.Linear(3, 1, seed=0), nn.MSELoss(), optim.SGD(lr=0.01), seed=3, **kwargs)


class Own:
    def __init__(self, X, y, window_rows=None):
        self.X, self.y, self.rows, self.window_rows = X, y, len(X), window_rows

    def read(self, first, count):
        return self.X[first : first + count], self.y[first : first + count]


class OneBuffer(Own):
    """Reads into the same arrays each time."""

    def __init__(self, X, y, window_rows):
        super().__init__(X, y, window_rows)
        self.buffers = np.empty((window_rows, *X.shape[1:]), X.dtype), np.empty((window_rows, 1), y.dtype)

    def read(self, first, count):
        for buffer, values in zip(self.buffers, (self.X, self.y), strict=True):
            buffer[:count] = values[first : first + count]
        return self.buffers[0][:count], self.buffers[1][:count]


def one_buffer(X, y, piece):
    def pieces():
        source = OneBuffer(X, y, piece)
        for at in range(0, len(X), piece):
            yield source.read(at, piece)

    return pieces


@pytest.mark.parametrize("window_rows", [100, 50, 20])
@pytest.mark.parametrize("kind", ["generator", "own"])
def test_buffers_may_be_used_again(kind, window_rows):
    X, y = problem(400)
    if kind == "generator":
        source = data.GeneratorSource(one_buffer(X, y, 100), window_rows=window_rows)
    else:
        source = OneBuffer(X, y, window_rows)
    waits = lambda fit: time.sleep(0.003)  # noqa: E731 - the next window is read meanwhile

    class Waits(cr.callbacks.Callback):
        every = 1
        on_batch_end = staticmethod(waits)

    settings = {"epochs": 1, "batch_size": 10, "shuffle": False}
    made, expected = new_trainer(), new_trainer()
    history = made.fit(source, callbacks=[Waits()], **settings)
    assert history.to_dict() == expected.fit(X, y, **settings).to_dict()
    assert np.array_equal(made.model.weight.numpy(), expected.model.weight.numpy())


def test_threads_may_count_a_generator_at_once():
    def pieces():
        for _ in range(50):
            time.sleep(0.0005)
            yield np.zeros((10, 3), np.float32), np.zeros((10, 1), np.float32)

    for _ in range(5):
        source, counted = data.GeneratorSource(pieces), []
        threads = [threading.Thread(target=lambda: counted.append(source.rows)) for _ in range(4)]  # noqa: B023
        threads += [threading.Thread(target=lambda: counted.append(len(source.read(0, 500)[0])))]  # noqa: B023
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert counted == [500] * 5


def test_a_pass_that_failed_while_counting_is_over():
    X, y = problem(20)
    bad = [True]

    def pieces():
        yield X, y
        if bad.pop():
            raise OSError("away")

    source = data.GeneratorSource(pieces)
    with pytest.raises(OSError, match="away"):
        source.rows  # noqa: B018
    bad.append(False)
    bad.append(False)
    assert source.rows == 20
    assert np.array_equal(source.read(0, 20)[0], X)


def csv_file(path, rows=20_000):
    path.write_text("a,b,c,t\n" + "".join(f"{i % 7},{i % 5},{i % 3},{i % 11}\n" for i in range(rows)))
    schema = data.fit_schema(data.read_csv(path, rows=1000), "t")
    return data.CsvSource(path, schema, window_rows=2000)


def npy_file(path):
    np.save(path, np.zeros((20_000, 3), np.float32))
    return data.NpySource(path, window_rows=2000)


CHANGES = """
import os, sys
import chainrule as cr
sys.path.insert(0, {folder!r})
from test_source_hazards import csv_file, npy_file
from pathlib import Path
path = Path({path!r})
source = {make}(path)
source.read(0, 10)
if {cut}:
    os.truncate(path, {cut})
else:
    with open(path, "r+b") as file:
        file.seek(-3, 2)
        file.write(b"1")
    os.utime(path, ns=(1, 1))
try:
    source.read(12_000, 6_000)
except cr.FileError as error:
    print(error)
"""


@pytest.mark.parametrize("make", ["csv_file", "npy_file"])
@pytest.mark.parametrize("cut", [0, 4096])
def test_files_that_change_are_an_error(make, cut, tmp_path):
    path = tmp_path / ("t.csv" if make == "csv_file" else "t.npy")
    script = CHANGES.format(folder=os.path.dirname(__file__), path=str(path), make=make, cut=cut)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert f"{path}: has changed since it was opened" in done.stdout
    assert ("4096 bytes instead of" in done.stdout) == bool(cut)


def test_windows_may_have_no_weight():
    X, y = problem()
    weight = np.ones(200, np.float32)
    weight[100:150] = 0
    settings = {"epochs": 2, "batch_size": 10, "shuffle": False}
    made, expected = new_trainer(), new_trainer()
    history = made.fit(data.ArraySource(X, y, weight, window_rows=50), **settings)
    assert history.to_dict() == expected.fit(X, y, sample_weight=weight, **settings).to_dict()
    weight[120] = -1
    with pytest.raises(ValueError, match="sample_weight must hold finite numbers, 0 or more"):
        made.fit(data.ArraySource(X, y, weight, window_rows=50), **settings)


class Asked(Own):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.most = 0

    def read(self, first, count):
        self.most = max(self.most, count)
        return super().read(first, count)


def test_validation_and_evaluation_keep_to_the_window():
    X, y = problem(300)
    source = Asked(X, y, window_rows=32)
    trainer = new_trainer()
    expected = [new_trainer().evaluate(X, y, batch_size=32)["loss"]]
    history = trainer.fit(X, y, epochs=1, validation_data=source)
    assert len(history["val_loss"]) == 1
    trainer.evaluate(source)
    trainer.predict(source)
    assert source.most == 32
    assert [new_trainer().evaluate(source)["loss"]] == expected


def test_a_fit_goes_on_with_the_file_at_another_place(tmp_path):
    X, y = problem()
    places = []
    for name in ("here", "there"):
        (tmp_path / name).mkdir()
        np.save(tmp_path / name / "X.npy", X)
        np.save(tmp_path / name / "y.npy", y)
        places.append(tmp_path / name)

    def fit(trainer, place, epochs, **kwargs):
        source = data.NpySource(place / "X.npy", place / "y.npy", window_rows=50)
        return trainer.fit(source, epochs=epochs, batch_size=10, validation_data=source, **kwargs)

    whole, first, second = new_trainer(), new_trainer(), new_trainer()
    fit(whole, places[0], 3)
    fit(first, places[0], 2, callbacks=[cr.callbacks.Checkpoint(tmp_path / "c")])
    fit(second, places[1], 3, resume_from=tmp_path / "c")
    assert np.array_equal(whole.model.weight.numpy(), second.model.weight.numpy())
    other = data.NpySource(places[1] / "X.npy", places[1] / "y.npy", window_rows=100)
    with pytest.raises(ValueError, match="windows of 100"):
        new_trainer().fit(other, epochs=3, batch_size=10, resume_from=tmp_path / "c")


class Blocks(Own):
    """Waits for ever from its second window on."""

    def __init__(self, X, y, blocked, window_rows=50, from_row=50):
        super().__init__(X, y, window_rows)
        self.blocked, self.from_row, self.reads = blocked, from_row, []

    def read(self, first, count):
        self.reads.append(first)
        if first >= self.from_row:
            self.blocked.set()
            queue.Queue().get()
        return super().read(first, count)


def interrupt(work, blocked):
    """Ctrl-C half a second after the source hangs; how long it took to be heard."""
    sent = []

    def send():
        assert blocked.wait(20)
        time.sleep(0.3)
        sent.append(time.monotonic())
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=send)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        work()
    seconds = time.monotonic() - sent[0]
    thread.join()
    return seconds


@pytest.mark.parametrize("from_row", [0, 50])
@pytest.mark.parametrize("call", ["fit", "validate", "evaluate", "predict"])
def test_ctrl_c_is_heard_where_a_source_hangs(call, from_row):
    X, y = problem()
    blocked = threading.Event()
    source, trainer = Blocks(X, y, blocked, from_row=from_row), new_trainer()
    calls = {
        "fit": lambda: trainer.fit(source, epochs=2, batch_size=10, shuffle=False),
        "validate": lambda: trainer.fit(X, y, epochs=2, validation_data=source),
        "evaluate": lambda: trainer.evaluate(source),
        "predict": lambda: trainer.predict(source),
    }
    assert interrupt(calls[call], blocked) < 2
    if call == "fit" and from_row == 50:
        assert trainer.history.stopped == "interrupted in epoch 1 after batch 5"
        assert trainer.global_step == 5
    if call == "validate" and from_row == 50:
        assert trainer.history.stopped == "interrupted in the validation of epoch 1"
        assert trainer.history.epochs == 1
        assert np.isnan(trainer.history["val_loss"]).all()
    assert source.reads.count(100) == 0  # no read is begun after the stop
    trainer.fit(X, y, epochs=1)  # all is well


def test_ctrl_c_is_heard_while_a_generator_is_counted():
    blocked = threading.Event()

    def pieces():
        yield problem(10)
        blocked.set()
        queue.Queue().get()

    assert interrupt(lambda: new_trainer().fit(data.GeneratorSource(pieces)), blocked) < 2


def test_sources_take_one_path_where_there_is_one(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros((4, 3), np.float32))
    a = tmp_path / "a.npy"
    (tmp_path / "t.csv").write_text("a,t\n1,2\n3,4\n")
    schema = data.fit_schema(data.read_csv(tmp_path / "t.csv"), "t")
    for call, message in [
        (lambda: data.NpySource(a, (a, a)), "NpySource: y must be one path, got 2"),
        (lambda: data.NpySource(a, ()), "NpySource: y must be one path, got 0"),
        (lambda: data.NpySource(()), "NpySource: no file was given"),
        (
            lambda: data.CsvSource((tmp_path / "t.csv",) * 2, schema),
            "CsvSource: path must be one path, got 2",
        ),
        (lambda: data.CsvSource((), schema), "CsvSource: path must be one path, got 0"),
    ]:
        with pytest.raises(ValueError, match=message):
            call()


def test_own_sources_and_samplers_are_checked():
    X, y = problem()

    class InOrder(Own):
        def any_order(self):
            return False

        def read(self, first, count):
            seen.append(first)
            return super().read(first, count)

    seen = []
    new_trainer().fit(InOrder(X, y, window_rows=50), epochs=4, batch_size=10)
    assert seen == [0, 50, 100, 150] * 4
    for rows in (0, -3):
        with pytest.raises(ValueError, match=f"Own.window_rows must be at least 1, or None: {rows}"):
            new_trainer().fit(Own(X, y, window_rows=rows))

    class Mask:
        def order(self, seed, epoch):
            return np.ones(200, bool)

    with pytest.raises(
        cr.DTypeError, match=r"must be row numbers, got booleans; give np.flatnonzero\(mask\)"
    ):
        new_trainer().fit(X, y, sampler=Mask())


class Frame:
    """Columns as data frames have them."""

    def __init__(self, values, columns):
        self.values, self.columns = values, columns

    def __getitem__(self, name):
        return self.values[:, self.columns.index(name)]


def test_frames_are_checked():
    a, b = np.arange(4.0), np.arange(3.0)
    twice = Frame(np.zeros((2, 3)), ["a", "a", "t"])
    for call, error, message in [
        (lambda: data.FrameSource({"a": a, "b": b}, "b"), cr.ShapeError, '"b" has 3 rows, "a" has 4'),
        (lambda: data.FrameSource(twice, "t"), ValueError, 'FrameSource: 2 columns are named "a"; rename'),
        (lambda: data.FrameSource({"a": a}, "a"), ValueError, "there are no features; the columns are a"),
        (lambda: data.FrameSource({"a": a}, features=[]), ValueError, "there are no features"),
        (lambda: data.FrameSource({"ab": a}, features="ab"), cr.DTypeError, r'write features=\["ab"\]'),
        (lambda: data.FrameSource({"a": a}, window_rows=0), ValueError, "window_rows must be at least 1: 0"),
        (lambda: data.FrameSource({"a": a}, "c"), IndexError, 'there is no column "c"; there are a'),
        (lambda: data.FrameSource({"a": a}).read(2, 5), IndexError, "out of range: 2 ... 6 of 4"),
        (lambda: data.FrameSource({"a": a}).read(-1, 2), IndexError, "out of range: -1 ... 0 of 4"),
        (lambda: data.FrameSource(3), cr.DTypeError, "FrameSource: expected a pandas, polars or pyarrow"),
        (lambda: data.to_table(twice), ValueError, 'to_table: 2 columns are named "a"'),
    ]:
        with pytest.raises(error, match=message):
            call()
    numbered = data.FrameSource(Frame(np.arange(6.0).reshape(2, 3), [0, 1, 2]), 2, features=[0])
    X, y = numbered.read(0, 2)
    assert X.tolist() == [[0], [3]]
    assert y.tolist() == [[2], [5]]


def test_mapped_arrays_are_not_copied_whole(tmp_path):
    np.save(tmp_path / "X.npy", np.arange(12, dtype=np.float32).reshape(4, 3))
    X = np.load(tmp_path / "X.npy", mmap_mode="r")
    assert np.array_equal(data.ArraySource(X[1:]).read(0, 3), X[1:])
    for slanted in (X[:, :2], X.T, X[::2], (X, X[:, :2])):
        with pytest.raises(ValueError, match=r"rows of a numpy\.memmap are not contiguous, so all"):
            data.ArraySource(slanted)
    assert data.ArraySource(np.asarray(X).copy()[:, :2]).rows == 4  # in memory anyway


def test_what_takes_arrays_says_so():
    X, y = problem()
    source = data.ArraySource(X, y)
    loss, optimizer = nn.MSELoss(), optim.SGD(lr=0.01)
    make = lambda: nn.Linear(3, 1)  # noqa: E731
    for who, call in {
        "lr_find": lambda *data: new_trainer().lr_find(*data),
        "overfit_one_batch": lambda *data: new_trainer().overfit_one_batch(*data),
        "cross_validate": lambda *data: cr.cross_validate(make, *data, loss=loss, optimizer=optimizer),
        "search": lambda *data: cr.grid_search(make, {"lr": [0.1]}, *data, loss=loss, optimizer=optimizer),
    }.items():
        with pytest.raises(ValueError, match=f"{who}: takes arrays, not a source; read a part of it"):
            call(source)
        with pytest.raises(ValueError, match=f"{who}: y is missing; give one target per sample"):
            call(X)
