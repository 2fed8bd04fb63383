"""What ends a fit of a source at a bad moment, Ctrl-C or an error: averages, the next read, the exit."""

import os
import signal
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
