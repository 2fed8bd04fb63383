"""History as files, tables and pictures."""

from __future__ import annotations

import csv
import json
import sys
import time

import chainrule as cr
import pytest
from chainrule import nn, optim
from small import small_data, small_model


@pytest.fixture
def history():
    X, y = small_data()
    trainer = cr.Trainer(
        small_model(), nn.CrossEntropyLoss(), optim.Adam(lr=0.05), metrics=["accuracy", "roc_auc"]
    )
    return trainer.fit(X, y, epochs=5, validation_split=0.25)


def test_csv(history, tmp_path):
    history.to_csv(tmp_path / "h.csv")
    with (tmp_path / "h.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["epoch", *history]
    assert [row["epoch"] for row in rows] == ["1", "2", "3", "4", "5"]
    for name, values in history.items():
        assert [float(row[name] or "nan") for row in rows] == pytest.approx(values, rel=0, nan_ok=True)
    assert [p.name for p in tmp_path.iterdir()] == ["h.csv"]


def test_a_nan_is_an_empty_cell(tmp_path):
    def odd(output, target):
        return float("nan")

    X, y = small_data()
    trainer = cr.Trainer(small_model(), nn.CrossEntropyLoss(), optim.Adam(), metrics=[odd])
    history = trainer.fit(X, y)
    history.to_csv(tmp_path / "h.csv")
    assert (tmp_path / "h.csv").read_text().splitlines()[1].endswith(",")


def test_json(history, tmp_path):
    text = history.to_json(tmp_path / "h.json")
    assert json.loads(text) == json.loads((tmp_path / "h.json").read_text())
    assert json.loads(text)["loss"] == history["loss"]


def test_pandas(history):
    pytest.importorskip("pandas")
    frame = history.to_pandas()
    assert list(frame.columns) == list(history)
    assert list(frame.index) == [1, 2, 3, 4, 5]
    assert frame.index.name == "epoch"
    assert list(frame["loss"]) == history["loss"]


def test_without_pandas(history, monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError, match=r'pandas is not installed; pip install "chainrule\[pandas\]"'):
        history.to_pandas()


def test_plot(history, tmp_path):
    pytest.importorskip("matplotlib")
    history.plot(tmp_path / "curve.png")
    history.plot(tmp_path / "other.png", metric="roc_auc", title="small")
    assert all(p.read_bytes().startswith(b"\x89PNG") for p in tmp_path.iterdir())
    with pytest.raises(cr.IndexError, match="'f1'"):
        history.plot(tmp_path / "no.png", metric="f1")


class Late(cr.callbacks.Callback):
    """A column that begins in the second epoch, logged behind the logger."""

    def on_epoch_end(self, fit):
        if fit.epoch > 1:
            fit.log("twice", 2.0 * fit.epoch)


def test_csv_logger(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text("of another training")
    seen = []
    X, y = small_data()
    trainer = cr.Trainer(small_model(), nn.CrossEntropyLoss(), optim.Adam(lr=0.05), metrics=["accuracy"])
    logger = cr.callbacks.CSVLogger(path)
    history = trainer.fit(
        X, y, epochs=4, callbacks=[logger, Late(), lambda fit: seen.append(path.read_text())]
    )
    assert [len(text.splitlines()) for text in seen] == [2, 3, 4, 5]
    assert [text.splitlines()[0].endswith(",twice") for text in seen] == [False, False, True, True]
    history.to_csv(tmp_path / "wanted.csv")
    assert path.read_text() == (tmp_path / "wanted.csv").read_text()
    assert path.read_text().splitlines()[0].endswith(",twice")
    trainer.fit(X, y, epochs=1, callbacks=[logger])
    assert len(path.read_text().splitlines()) == 2


def test_lines_of_csv_logger_are_those_of_to_csv(tmp_path):
    """Where fit was killed the file holds what history.to_csv would have written."""
    path, texts = tmp_path / "log.csv", []

    def compare(fit):
        fit.history.to_csv(tmp_path / "wanted.csv")
        texts.append((path.read_text(), (tmp_path / "wanted.csv").read_text()))

    X, y = small_data()
    trainer = cr.Trainer(small_model(), nn.CrossEntropyLoss(), optim.Adam(), metrics=["accuracy"])
    trainer.fit(X, y, epochs=3, validation_split=0.25, callbacks=[cr.callbacks.CSVLogger(path), compare])
    assert len(texts) == 3
    assert all(ours == wanted for ours, wanted in texts)


class Slow(cr.callbacks.Callback):
    """So slow that there are reports within an epoch, too."""

    def on_batch_end(self, fit):
        time.sleep(0.06)


def test_progress_log(capsys):
    X, y = small_data()
    trainer = cr.Trainer(small_model(), nn.CrossEntropyLoss(), optim.Adam(), metrics=["accuracy"])
    history = trainer.fit(
        X, y, epochs=2, batch_size=10, validation_split=0.25, callbacks=[Slow()], progress="log"
    )
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2
    for epoch, line in enumerate(lines, start=1):
        start = f"epoch {epoch}/2  loss {history['loss'][epoch - 1]:.4f}  val_loss "
        assert line.startswith(start)
        assert line.endswith(" samples/s")
    with pytest.raises(ValueError, match=r'fit: progress must be "auto", "log", True, False or a function'):
        trainer.fit(X, y, progress="lines")
