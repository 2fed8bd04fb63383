"""What ends a fit of a source at a bad moment, Ctrl-C or an error: averages, the next read, the exit."""

import os
import signal
import subprocess
import sys
import threading
import time

import chainrule as cr
import numpy as np
import pytest
from chainrule import data, nn, optim
from checks import same_state


def problem(n=200, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 3)).astype(np.float32) + 5
    return X, X @ np.ones((3, 1), np.float32)


class Own:
    """Calls at(number of the read) before each."""

    def __init__(self, X, y, at, window_rows=50):
        self.X, self.y, self.rows, self.window_rows, self.at, self.reads = X, y, len(X), window_rows, at, 0

    def read(self, first, count):
        self.reads += 1
        self.at(self.reads)
        return self.X[first : first + count], self.y[first : first + count]


def interrupt():
    os.kill(os.getpid(), signal.SIGINT)


def normalized():
    return nn.Sequential(nn.Linear(3, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 1), seed=0)


class TestBatchStatisticsOfAverages:
    """Reads 1 to 4 train, 5 is ahead, 6 to 9 are for the statistics; in the next epoch eight later."""

    def fit(self, at, epochs=3, swa=None):
        X, y = problem()
        model, swa = normalized(), swa or cr.callbacks.SWA(start=1)
        trainer = cr.Trainer(model, nn.MSELoss(), optim.Adam(lr=0.02), seed=1)
        source = Own(X, y, at)
        try:
            trainer.fit(source, epochs=epochs, batch_size=25, callbacks=[swa], validation_data=(X, y))
        except (KeyboardInterrupt, OSError) as error:
            return trainer, swa, type(error)
        return trainer, swa, None

    @staticmethod
    def hang_at(number):
        def at(read):
            if read == number:
                threading.Timer(0.1, interrupt).start()
            if read >= number:
                time.sleep(0.4)

        return at

    def test_ctrl_c_in_the_first_pass_leaves_the_trained_model(self):
        trainer, swa, error = self.fit(self.hang_at(6))
        assert error is KeyboardInterrupt
        assert (
            trainer.history.stopped
            == "interrupted in the batch statistics of the averaged weights of epoch 1"
        )
        assert np.isnan(trainer.history["val_loss"]).all()
        assert swa.updates == 0
        assert swa.model is None
        X, y = problem()
        expected = cr.Trainer(normalized(), nn.MSELoss(), optim.Adam(lr=0.02), seed=1)
        expected.fit(data.ArraySource(X, y, window_rows=50), epochs=1, batch_size=25)
        same_state(trainer.model, expected.model)

    def test_ctrl_c_in_a_later_pass_leaves_the_average_before(self):
        trainer, swa, error = self.fit(self.hang_at(14))
        assert error is KeyboardInterrupt
        assert trainer.history.stopped.endswith("averaged weights of epoch 2")
        _, expected, _ = self.fit(lambda read: None, epochs=1)
        assert swa.updates == expected.updates == 1
        same_state(swa.model, expected.model)
        same_state(trainer.model, expected.model)

    @pytest.mark.parametrize(("number", "updates"), [(6, 0), (16, 1)])
    def test_an_error_of_the_source_is_the_same(self, number, updates):
        def at(read):
            if read == number:
                raise OSError("disk")

        _, swa, error = self.fit(at)
        assert error is OSError
        assert swa.updates == updates
        if updates:
            _, expected, _ = self.fit(lambda read: None, epochs=1)
            same_state(swa.model, expected.model)


@pytest.mark.parametrize("by", ["the source", "class"])
def test_an_epoch_without_any_weight_is_an_error(by):
    X, y = problem()
    if by == "the source":
        model, loss, options = nn.Linear(3, 1, seed=0), nn.MSELoss(), {}
        source = data.ArraySource(X, y, np.zeros(200, np.float32), window_rows=50)
    else:
        model, loss, options = nn.Linear(3, 2, seed=0), nn.CrossEntropyLoss(), {"class_weight": {0: 0.0}}
        source = data.ArraySource(X, np.zeros(200, int), window_rows=50)
    before = model.state_dict()
    trainer = cr.Trainer(model, loss, optim.AdamW(lr=0.1, weight_decay=0.1))
    with pytest.raises(ValueError, match=r"all sample weights are 0: ArraySource\(200 rows\); give some"):
        trainer.fit(source, epochs=2, batch_size=25, **options)
    same_state(model, before)


def test_an_epoch_whose_labels_are_all_ignored_says_so():
    X, _ = problem()
    source = data.ArraySource(X, np.full(200, -1), np.ones(200, np.float32), window_rows=50)
    trainer = cr.Trainer(nn.Linear(3, 2), nn.CrossEntropyLoss(ignore_index=-1), optim.SGD(lr=0.1))
    with pytest.raises(ValueError, match="all sample weights are 0, or all labels are ignored"):
        trainer.fit(source, epochs=2, batch_size=25)


class Slow:
    """Rows of a file with one position, read slowly."""

    rows, window_rows = 400, 100

    def __init__(self, path):
        np.repeat(np.arange(400, dtype=np.float32)[:, None], 4, 1).tofile(path)
        self.file = path.open("rb")
        self.begun, self.firsts, self.inside, self.most = threading.Event(), [], 0, 0

    def read(self, first, count):
        self.inside += 1
        self.most = max(self.most, self.inside)
        if first >= 100:
            self.begun.set()
        self.file.seek(first * 16)
        time.sleep(0.3)
        values = np.frombuffer(self.file.read(count * 16), np.float32).reshape(count, 4)
        self.inside -= 1
        self.firsts.append((first, values[0, 0]))
        return values[:, :3] / 400, values[:, 3:] / 400


def interrupted(work, begun):
    """Ctrl-C while a read takes its time; how long it took to be heard."""
    sent = []

    def send():
        assert begun.wait(20)
        time.sleep(0.15)
        sent.append(time.monotonic())
        interrupt()

    thread = threading.Thread(target=send)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        work()
    seconds = time.monotonic() - sent[0]
    thread.join()
    return seconds


def test_the_next_fit_waits_for_a_read_that_was_left_behind(tmp_path):
    source, settings = Slow(tmp_path / "rows"), {"epochs": 1, "batch_size": 50, "shuffle": False}
    new = lambda: cr.Trainer(nn.Linear(3, 1, seed=0), nn.MSELoss(), optim.SGD(lr=0.01))  # noqa: E731
    calm = new().fit(source, validation_data=source, **settings).to_dict()
    source.begun.clear()
    assert interrupted(lambda: new().fit(source, **settings), source.begun) < 0.25
    assert new().fit(source, validation_data=source, **settings).to_dict() == calm
    assert source.most == 1
    assert all(first == value for first, value in source.firsts)
    source.file.close()


def test_ctrl_c_is_heard_by_rows_and_read_of_a_source_that_was_left_behind():
    begun = threading.Event()
    go_on = threading.Event()

    def pieces():
        yield problem(20)
        begun.set()
        go_on.wait(60)

    source = data.GeneratorSource(pieces)
    trainer = cr.Trainer(nn.Linear(3, 1), nn.MSELoss(), optim.SGD(lr=0.01))
    for work in (
        lambda: trainer.fit(source),
        lambda: source.rows,
        lambda: len(source),
        lambda: source.read(0, 20),
    ):
        assert interrupted(work, begun) < 1
    go_on.set()
    assert source.rows == len(source) == 20


EXIT = """
import os, signal, threading, time
import chainrule as cr
import numpy as np
from chainrule import data, nn, optim

X, y = np.zeros((200, 3), "f4"), np.zeros((200, 1), "f4")
inside, kind = threading.Event(), {kind!r}
inner = data.ArraySource(X, y)

def go_on():
    inside.set()
    end = time.monotonic() + 1.5
    while kind == "waits" or kind == "generator":
        time.sleep(0.0005)
    while kind == "computes" and time.monotonic() < end:
        sum(range(500))
    while kind == "reads another":
        inner.read(0, 50)
    while kind == "trains":
        cr.matmul(cr.ones((300, 300)), cr.ones((300, 300)))
    if kind == "raises":
        exiting.wait()
        raise OSError("closed")

class Source:
    rows, window_rows = 200, 50
    def read(self, first, count):
        if first >= 50:
            go_on()
        return X[first : first + count], y[first : first + count]

def pieces():
    yield X[:50], y[:50]
    go_on()

def interrupt():
    inside.wait()
    time.sleep(0.2)
    os.kill(os.getpid(), signal.SIGINT)

exiting = threading.Event()
source = data.GeneratorSource(pieces, rows=200, window_rows=50) if kind == "generator" else Source()
threading.Thread(target=interrupt, daemon=True).start()
trainer = cr.Trainer(nn.Linear(3, 1), nn.MSELoss(), optim.SGD(lr=0.1))
try:
    trainer.fit(source, epochs=3, batch_size=25, shuffle=False)
except KeyboardInterrupt:
    print("heard", flush=True)
exiting.set()
"""


@pytest.mark.parametrize("kind", ["waits", "computes", "generator", "reads another", "trains", "raises"])
def test_a_read_that_was_left_behind_does_not_disturb_the_exit(kind):
    done = subprocess.run(
        [sys.executable, "-c", EXIT.format(kind=kind)], capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "heard\n", "")


@pytest.mark.parametrize(("part", "number"), [("statistics", 6), ("statistics", 24), ("validation", 3)])
def test_what_was_interrupted_at_the_end_of_an_epoch_is_done_when_it_goes_on(part, number, tmp_path):
    """The last batch is a smaller one; the validation's windows are two, read once before the first epoch."""
    X, y = problem(190)

    def hang(read):
        TestBatchStatisticsOfAverages.hang_at(number)(read)

    def fit(hangs, *callbacks, **options):
        trainer = cr.Trainer(
            normalized(), nn.MSELoss(), optim.Adam(lr=0.02), seed=1, metrics=[cr.metrics.rmse]
        )
        source = Own(X, y, hang if hangs and part == "statistics" else lambda read: None)
        validation = Own(X, y, hang if hangs and part == "validation" else lambda read: None, window_rows=100)
        settings = {"epochs": 3, "batch_size": 25, "validation_data": validation}
        try:
            trainer.fit(source, callbacks=[cr.callbacks.SWA(start=1), *callbacks], **settings, **options)
        except KeyboardInterrupt:
            assert part in trainer.history.stopped
        return trainer

    kept = lambda: cr.callbacks.Checkpoint(tmp_path, every_epochs=9)  # noqa: E731
    whole = fit(False)
    assert part in fit(True, kept()).history.stopped
    trainer = fit(False, kept(), resume_from="auto")
    assert trainer.history.to_dict() == whole.history.to_dict()
    same_state(trainer.model, whole.model)


LEFT = """
import threading, time
import chainrule as cr
import numpy as np
from chainrule import nn, optim

X = np.zeros((400, 3), "f4")
y = X[:, :1]
called = threading.Event()

def wait():
    called.set()
    time.sleep(0.002)

class Callback:
    def on_batch_end(self, fit):
        wait()

def metric(output, target):
    wait()
    return 0.0

def rate(step):
    if step > 5:
        wait()
    return 0.1

class Sampler:
    def order(self, seed, epoch):
        wait()
        return np.arange(400)

def model():
    return nn.Linear(3, 1)

def fit(metrics=None, lr=0.1, **options):
    trainer = cr.Trainer(model(), nn.MSELoss(), optim.SGD(lr=lr), metrics=metrics or [])
    trainer.fit(X, y, epochs=10**6, batch_size=20, **options)

def cross_validate():
    cr.cross_validate(model, X, y, loss=nn.MSELoss(), optimizer=optim.SGD(lr=0.1), epochs=10**6,
                      batch_size=20, workers=3, callbacks=[Callback()])

threading.Thread(target=lambda: {work}, daemon=True).start()
assert called.wait(30)
time.sleep(0.1)
"""


@pytest.mark.parametrize(
    "work",
    [
        "fit(callbacks=[Callback()])",
        "fit(metrics=[metric], validation_data=(X, y))",
        "fit(lr=cr.schedules.Schedule(rate))",
        "fit(sampler=Sampler())",
        "cross_validate()",
    ],
)
def test_the_program_ends_while_another_thread_trains_with_python_code(work):
    for _ in range(3):
        done = subprocess.run(
            [sys.executable, "-c", LEFT.format(work=work)], capture_output=True, text=True, timeout=60
        )
        assert (done.returncode, done.stderr) == (0, "")
