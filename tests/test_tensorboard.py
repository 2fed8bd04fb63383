"""The log for TensorBoard, read back from its event files."""

from __future__ import annotations

import copy
import struct
import sys

import chainrule as cr
import numpy as np
import pytest
from chainrule import nn, optim
from small import small_data, small_model

X, y = small_data()


def trainer_of():
    return cr.Trainer(small_model(), nn.CrossEntropyLoss(), optim.Adam(lr=0.01), metrics=["accuracy"])


def events(folder):
    """What each file holds, in the order of writing: (purged from, {tag: {step: value}})."""
    from tensorboardX.proto import event_pb2

    for path in sorted(folder.iterdir(), key=lambda path: path.stat().st_mtime_ns):
        data, found, purged = path.read_bytes(), {}, None
        while data:  # records of a length, its checksum, the event and its checksum
            (length,) = struct.unpack("<Q", data[:8])
            event = event_pb2.Event.FromString(data[12 : 12 + length])
            data = data[16 + length :]
            if event.HasField("session_log"):
                purged = event.step
            for value in event.summary.value:
                scalar = value.WhichOneof("value") == "simple_value"
                kept = value.simple_value if scalar else value.histo
                found.setdefault(value.tag, {})[event.step] = kept
        yield purged, found


class TestLog:
    @pytest.fixture(autouse=True)
    def package(self):
        pytest.importorskip("tensorboardX")

    def test_scalars_are_the_history(self, tmp_path):
        log = cr.callbacks.TensorBoard(tmp_path / "run")
        history = trainer_of().fit(
            X, y, epochs=4, validation_split=0.25, callbacks=[cr.callbacks.LearningRate(), log]
        )
        ((_, found),) = events(tmp_path / "run")
        tags = {
            "loss/train": "loss",
            "loss/validation": "val_loss",
            "accuracy/train": "accuracy",
            "accuracy/validation": "val_accuracy",
            "lr": "lr",
        }
        assert found.keys() == tags.keys()
        for tag, column in tags.items():
            assert list(found[tag]) == [1, 2, 3, 4]
            assert list(found[tag].values()) == pytest.approx(history[column], rel=1e-6)

    def test_histograms_of_weights_and_gradients(self, tmp_path):
        trainer = trainer_of()
        log = cr.callbacks.TensorBoard(tmp_path / "run", histograms=2, X=X, y=y)
        trainer.fit(X, y, epochs=4, callbacks=[log])
        ((_, found),) = events(tmp_path / "run")
        for name, parameter in trainer.model.named_parameters():
            for kind, values in (
                ("weights", parameter.numpy()),
                ("gradients", trainer.gradients(X, y)[name]),
            ):
                histograms = found[f"{kind}/{name}"]
                assert list(histograms) == [2, 4]
                assert histograms[4].num == values.size
                assert histograms[4].sum == pytest.approx(float(values.sum(dtype="f8")), rel=1e-4, abs=1e-6)
                assert histograms[4].max == pytest.approx(float(values.max()))

    def test_the_log_changes_no_bit(self, tmp_path):
        plain, logged = trainer_of(), trainer_of()
        plain.fit(X, y, epochs=3)
        logged.fit(
            X, y, epochs=3, callbacks=[cr.callbacks.TensorBoard(tmp_path / "run", histograms=1, X=X, y=y)]
        )
        for a, b in zip(plain.model.parameters(), logged.model.parameters(), strict=True):
            assert np.array_equal(a.numpy(), b.numpy())

    def test_a_second_fit_goes_on_at_its_step(self, tmp_path):
        log, trainer = cr.callbacks.TensorBoard(tmp_path / "run"), trainer_of()
        first = trainer.fit(X, y, epochs=2, callbacks=[log])
        second = trainer.fit(X, y, epochs=3, callbacks=[log])
        (_, before), (purged, after) = events(tmp_path / "run")
        assert purged == 3
        assert list(before["loss/train"]) == [1, 2]
        assert list(after["loss/train"]) == [3, 4, 5]
        logged = [*before["loss/train"].values(), *after["loss/train"].values()]
        assert logged == pytest.approx(first["loss"] + second["loss"], rel=1e-6)

    def test_a_resumed_fit_goes_on_at_its_step(self, tmp_path):
        """A run that ends in epoch 3, with a checkpoint of epoch 2, and one that goes on from there."""

        class Cut(cr.callbacks.Callback):
            def on_epoch_end(self, fit):
                if fit.epoch == 3:
                    raise KeyError("cut")

        def callbacks(*more):
            keep = cr.callbacks.Checkpoint(tmp_path / "kept", every_epochs=2)
            return [cr.callbacks.LearningRate(), cr.callbacks.TensorBoard(tmp_path / "run"), *more, keep]

        rate = cr.schedules.Exponential(0.01, 0.5, per="epoch")
        whole = cr.Trainer(small_model(), nn.CrossEntropyLoss(), optim.Adam(lr=rate)).fit(
            X, y, epochs=5, callbacks=[cr.callbacks.LearningRate()]
        )
        cut = cr.Trainer(small_model(), nn.CrossEntropyLoss(), optim.Adam(lr=rate))
        with pytest.raises(KeyError, match="cut"):
            cut.fit(X, y, epochs=5, callbacks=callbacks(Cut()))
        for path in (tmp_path / "kept").glob("checkpoint-00003*"):
            path.unlink()
        again = cr.Trainer(small_model(), nn.CrossEntropyLoss(), optim.Adam(lr=rate))
        history = again.fit(X, y, epochs=5, callbacks=callbacks(cr.callbacks.Callback()), resume_from="auto")
        assert history.to_dict() == whole.to_dict()
        assert history["lr"] == [0.01, 0.005, 0.0025, 0.00125, 0.000625]
        (_, before), (purged, after) = events(tmp_path / "run")
        assert list(before["loss/train"]) == [1, 2, 3]
        assert purged == 3
        assert list(after["loss/train"]) == [3, 4, 5]
        assert list(after["loss/train"].values()) == pytest.approx(whole["loss"][2:], rel=1e-6)
        assert list(after["lr"]) == [2, 3, 4, 5]  # that of epoch 2 may not have been written

    def test_what_is_not_finite_is_left_out_of_histograms(self, tmp_path):
        trainer = trainer_of()

        class Break(cr.callbacks.Callback):
            def on_epoch_end(self, fit):
                parameter = next(iter(fit.trainer.model.parameters()))
                values = parameter.numpy().copy()
                values.flat[0] = np.nan
                parameter.copy_(values)

        log = cr.callbacks.TensorBoard(tmp_path / "run", histograms=1)
        trainer.fit(X, y, epochs=1, callbacks=[Break(), log])
        ((_, found),) = events(tmp_path / "run")
        name, parameter = next(iter(trainer.model.named_parameters()))
        assert found[f"weights/{name}"][1].num == parameter.size - 1

    @pytest.mark.parametrize("size", [1e-45, 1.0, 1e21, 1e38])
    def test_histograms_are_those_of_the_library(self, tmp_path, size):
        """Also of gradients that explode, whose histogram is no reason to end a training."""
        values = (size * np.linspace(-1, 2, 64)).astype("f4").reshape(64, 1)

        class Explode(cr.callbacks.Callback):
            def on_epoch_end(self, fit):
                next(iter(fit.trainer.model.parameters())).copy_(values)

        trainer = cr.Trainer(nn.Linear(64, 1, seed=0), nn.MSELoss(), optim.SGD(lr=0.1))
        log = cr.callbacks.TensorBoard(tmp_path / "run", histograms=1)
        trainer.fit(np.zeros((4, 64), "f4"), np.ones((4, 1), "f4"), epochs=1, callbacks=[Explode(), log])
        ((_, found),) = events(tmp_path / "run")
        histogram = found["weights/weight"][1]
        counts, edges = cr.histograms({"weight": values})["weight"]
        assert list(histogram.bucket) == [0, *counts]
        assert list(histogram.bucket_limit) == list(edges)
        assert (histogram.min, histogram.max) == (values.min(), values.max())
        assert histogram.sum == pytest.approx(values.sum(dtype="f8"))
        assert histogram.sum_squares == pytest.approx((values.astype("f8") ** 2).sum())

    def test_exploding_weights_and_gradients(self, tmp_path):
        """tensorboardX's own bins end at 1e20."""
        model = nn.Linear(2, 1, seed=0)
        next(iter(model.parameters())).copy_(np.full((2, 1), 1e21, "f4"))
        trainer = cr.Trainer(model, nn.L1Loss(), optim.SGD(lr=0.0))
        rows = np.ones((4, 2), "f4"), np.ones((4, 1), "f4")
        log = cr.callbacks.TensorBoard(tmp_path / "run", histograms=1, X=rows[0], y=rows[1])
        trainer.fit(*rows, epochs=2, callbacks=[log])
        ((_, found),) = events(tmp_path / "run")
        assert list(found["weights/weight"]) == [1, 2]
        assert found["weights/weight"][2].max == np.float32(1e21)
        assert found["gradients/weight"][2].num == 2

    def test_a_folder_that_cannot_be(self, tmp_path):
        """Said before anything is trained."""
        for folder in (3, None):
            with pytest.raises(TypeError, match=f"TensorBoard: expected a path, got {folder}"):
                cr.callbacks.TensorBoard(folder)
        (tmp_path / "file").write_text("")
        trainer = trainer_of()
        before = [parameter.numpy().copy() for parameter in trainer.model.parameters()]
        with pytest.raises(FileExistsError):
            trainer.fit(X, y, epochs=1, callbacks=[cr.callbacks.TensorBoard(tmp_path / "file")])
        for value, parameter in zip(before, trainer.model.parameters(), strict=True):
            assert np.array_equal(value, parameter.numpy())

    def test_refusals(self, tmp_path):
        make = cr.callbacks.TensorBoard
        with pytest.raises(ValueError, match="TensorBoard: histograms must be 0 or a number of epochs: -1"):
            make(tmp_path, histograms=-1)
        with pytest.raises(ValueError, match="TensorBoard: X and y belong together"):
            make(tmp_path, histograms=1, X=X)
        with pytest.raises(ValueError, match="give histograms, too"):
            make(tmp_path, X=X, y=y)
        with pytest.raises(cr.StateError, match="TensorBoard: writes one log"):
            copy.deepcopy(make(tmp_path))


def test_without_the_package(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    with pytest.raises(
        ImportError, match=r'tensorboardX is not installed; pip install "chainrule\[tensorboard\]"'
    ):
        cr.callbacks.TensorBoard(tmp_path)


def test_it_says_what_it_is_and_refuses_half_an_epoch():
    pytest.importorskip("tensorboardX")
    assert repr(cr.callbacks.TensorBoard("runs/a")) == "TensorBoard('runs/a')"
    assert repr(cr.callbacks.TensorBoard("a", histograms=2)) == "TensorBoard('a', histograms=2)"
    for histograms in (2.5, True, "1"):
        with pytest.raises(ValueError, match="histograms must be 0 or a number of epochs: "):
            cr.callbacks.TensorBoard("a", histograms=histograms)
