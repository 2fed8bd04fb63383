"""The bar of fit: a widget in notebooks that can show one, text on terminals, nothing elsewhere."""

from __future__ import annotations

import sys
import types

import chainrule as cr
import pytest
from chainrule import nn, optim, progress
from small import small_data, small_model

X, y = small_data()


def fit(**arguments):
    trainer = cr.Trainer(small_model(), nn.CrossEntropyLoss(), optim.Adam(), metrics=["accuracy"])
    return trainer.fit(X, y, epochs=3, batch_size=8, validation_split=0.25, **arguments)


class Terminal:
    """A stream that says it is a terminal, and keeps what it gets."""

    encoding = "utf-8"

    def __init__(self):
        self.text = ""

    def write(self, text):
        self.text += text

    def flush(self):
        pass

    def isatty(self):
        return True


class Widget:
    """What tqdm.notebook.tqdm is asked to do."""

    made: list[Widget] = []  # noqa: RUF012

    def __init__(self, **arguments):
        self.arguments, self.closed = arguments, False
        self.n = arguments.get("initial", 0)
        self.postfix = ""
        Widget.made.append(self)

    def set_description_str(self, text, refresh):
        self.description = text

    def set_postfix_str(self, text, refresh):
        self.postfix = text

    def update(self, n):
        self.n += n

    def refresh(self):
        pass

    def close(self):
        self.closed = True


@pytest.fixture
def notebook(monkeypatch):
    """A Jupyter kernel, as far as bars look."""
    shell = types.SimpleNamespace(config={"IPKernelApp": {}})
    monkeypatch.setitem(sys.modules, "IPython", types.SimpleNamespace(get_ipython=lambda: shell))
    monkeypatch.setitem(sys.modules, "ipywidgets", types.ModuleType("ipywidgets"))
    monkeypatch.setitem(sys.modules, "tqdm.notebook", types.SimpleNamespace(tqdm=Widget))
    Widget.made.clear()
    return shell


def test_silence_by_default_and_by_option(capfd, notebook):
    fit(progress=False)
    assert not Widget.made
    notebook.config = {}  # IPython on a terminal, whose stderr is none
    fit()
    assert capfd.readouterr() == ("", "")


def test_a_widget_in_a_notebook(capfd, notebook):
    history = fit()
    (bar,) = Widget.made
    assert bar.arguments["total"] == bar.n
    assert bar.description == "epoch 3/3"
    assert f"val_loss {history['val_loss'][-1]:.4f}" in bar.postfix
    assert bar.closed
    assert capfd.readouterr().err == ""


def test_text_in_a_notebook_without_widgets(capfd, notebook, monkeypatch):
    monkeypatch.setitem(sys.modules, "ipywidgets", None)  # and no warning, which would be an error here
    fit()
    assert not Widget.made
    assert "epoch 3/3" in capfd.readouterr().err


def test_text_on_a_terminal(monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    fit()
    assert "epoch 3/3 100%" in terminal.text
    assert "val_accuracy" in terminal.text


def test_a_resumed_fit_begins_where_it_goes_on(notebook, tmp_path):
    fit(callbacks=[cr.callbacks.Checkpoint(tmp_path)])
    Widget.made.clear()
    trainer = cr.Trainer(small_model(), nn.CrossEntropyLoss(), optim.Adam(), metrics=["accuracy"])
    batches = -(-(len(X) - len(X) // 4) // 8)
    trainer.fit(X, y, epochs=5, batch_size=8, validation_split=0.25, resume_from=tmp_path)
    (bar,) = Widget.made
    assert bar.arguments["total"] == 5 * batches
    assert bar.arguments["initial"] > 3 * batches
    assert bar.n == bar.arguments["total"]


def test_models_side_by_side(notebook):
    cr.cross_validate(small_model, X, y, k=3, loss=nn.CrossEntropyLoss(), optimizer=optim.Adam(), epochs=1)
    (bar,) = Widget.made
    assert bar.n == bar.arguments["total"]
    assert bar.closed
    with pytest.raises(ValueError, match='progress must be "auto", True, False or a function'):
        progress.models_bar("log")
