"""What runs between the batches and epochs of Trainer.fit: a list of these or of functions."""

from __future__ import annotations

import os
import time
import warnings
from typing import Any

import numpy as np

from ._core import EMA, SWA, Checkpoint, EarlyStopping, FitState, StateError
from .histograms import histograms as _counted

__all__ = [
    "EMA",
    "SWA",
    "CSVLogger",
    "Callback",
    "Checkpoint",
    "EarlyStopping",
    "FitState",
    "Health",
    "LearningRate",
    "TensorBoard",
    "Timer",
]


class Callback:
    """Override what you need; any object with some of these methods is a callback, too.

    Calls come between batches, in the order of the list. They may change parameters, the learning rate or any
    other state; an exception ends fit and is raised from it. Ctrl-C ends fit once the call is done, a second
    one the call itself. on_batch_end is called after every `every` batches of the fit.

    >>> class Decay(cr.callbacks.Callback):
    ...     every = 10
    ...     def on_batch_end(self, fit):
    ...         fit.trainer.optimizer.lr *= 0.5
    >>> trainer = cr.Trainer(nn.Linear(2, 1), nn.MSELoss(), optim.SGD(lr=1.0))
    >>> _ = trainer.fit(np.ones((20, 2), "f4"), np.ones((20, 1), "f4"), batch_size=1, callbacks=[Decay()])
    >>> trainer.optimizer.lr
    0.25
    """

    every: int = 1
    observer: bool = False
    """It only looks on: a fit that goes on from a checkpoint may leave it away, with the state it kept."""

    def on_fit_begin(self, fit: FitState) -> None:
        """Before the first epoch."""

    def on_batch_end(self, fit: FitState) -> None:
        """After every `every` batches, counted from the start of the fit."""

    def on_slice(self, fit: FitState) -> None:
        """Between slices of work, at most every 50 ms: for whatever goes by the clock."""

    def on_epoch_end(self, fit: FitState) -> None:
        """With this epoch's row in fit.row; fit.log adds to it."""

    def on_fit_end(self, fit: FitState) -> None:
        """After the last epoch, also when an exception ends the fit."""

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint keeps of it: arrays and numbers by name; with load_state_dict."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take back what state_dict gave, after on_fit_begin of a fit that goes on from a checkpoint."""


class CSVLogger(Callback):
    """Keeps the table of history.to_csv up to date: a line per epoch, written as the epoch ends.

    A file that is there already is replaced at the first epoch's end. What callbacks log is in the file an
    epoch later. One logger serves one fit: copies for the folds of a cross-validation are refused.

    >>> import os, tempfile
    >>> path = os.path.join(tempfile.mkdtemp(), "log.csv")
    >>> trainer = cr.Trainer(nn.Linear(2, 1, seed=0), nn.MSELoss(), optim.SGD(lr=0.1))
    >>> log = cr.callbacks.CSVLogger(path)
    >>> _ = trainer.fit([[0.0, 1.0]], [[1.0]], epochs=3, callbacks=[log])
    >>> with open(path) as file:
    ...     print([line.split(",")[0] for line in file])
    ['epoch', '1', '2', '3']
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = _path("CSVLogger", path)

    def __deepcopy__(self, memo: object) -> CSVLogger:
        raise StateError(
            f"CSVLogger: writes one file, {self.path}, for one fit; write the folds' histories instead"
        )

    def on_epoch_end(self, fit: FitState) -> None:
        fit.history.to_csv(self.path)

    def on_fit_end(self, fit: FitState) -> None:
        if fit.history.epochs > 0:
            fit.history.to_csv(self.path)

    def __repr__(self) -> str:
        return f"CSVLogger({self.path!r})"


class Health(Callback):
    """Warns, once per layer and fit, of what trainer.diagnose(X, y) finds at the end of every so many epochs.

    A diagnosis costs about as much as two passes over X with their gradients: a few hundred rows will do.

    >>> import warnings
    >>> trainer = cr.Trainer(nn.Linear(2, 1, seed=0), nn.MSELoss(), optim.SGD(lr=1e-9))
    >>> X, y = [[1e3, 2e3], [3e3, 1e3]], [[1.0], [2.0]]
    >>> with warnings.catch_warnings(record=True) as seen:
    ...     warnings.simplefilter("always")
    ...     _ = trainer.fit(X, y, epochs=5, callbacks=[cr.callbacks.Health(X, y)])
    >>> [str(w.message).split(",")[0] for w in seen]
    ['epoch 1: weight: its gradient explodes']
    """

    observer = True

    def __init__(self, X: Any, y: Any, every_epochs: int = 1) -> None:
        if isinstance(every_epochs, bool) or not hasattr(every_epochs, "__index__") or every_epochs < 1:
            raise ValueError(f"Health: every_epochs must be a number of epochs, at least 1: {every_epochs!r}")
        self.X, self.y, self.every_epochs = X, y, every_epochs
        self._warned: set[str] = set()

    def __repr__(self) -> str:
        more = f", every_epochs={self.every_epochs}" if self.every_epochs != 1 else ""
        return f"Health(X, y{more})"

    def on_fit_begin(self, fit: FitState) -> None:
        self._warned = set()

    def state_dict(self) -> dict[str, Any]:
        return dict.fromkeys(self._warned, True)

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._warned = set(state)

    def on_epoch_end(self, fit: FitState) -> None:
        if fit.epoch % self.every_epochs:
            return
        for text in fit.trainer.diagnose(self.X, self.y).warnings:
            layer = text.partition(":")[0].rpartition(".")[0]
            if layer not in self._warned:
                self._warned.add(layer)
                warnings.warn(f"epoch {fit.epoch}: {text}", RuntimeWarning, stacklevel=2)


class LearningRate(Callback):
    """A column `lr` of the history: the rate that the epoch began with.

    >>> falling = schedules.Exponential(0.1, 0.5, per="epoch")
    >>> trainer = cr.Trainer(nn.Linear(2, 1, seed=0), nn.MSELoss(), optim.SGD(lr=falling))
    >>> trainer.fit([[0.0, 1.0]], [[1.0]], epochs=3, callbacks=[cr.callbacks.LearningRate()])["lr"]
    [0.1, 0.05, 0.025]
    """

    def on_epoch_end(self, fit: FitState) -> None:
        fit.log("lr", fit.lr)

    def __repr__(self) -> str:
        return "LearningRate()"


class Timer(Callback):
    """A column `seconds` of the history: how long the epoch took, its validation included.

    It is no column of every history, since it is never the same twice.

    >>> trainer = cr.Trainer(nn.Linear(2, 1, seed=0), nn.MSELoss(), optim.SGD(lr=0.1))
    >>> history = trainer.fit([[0.0, 1.0]], [[1.0]], epochs=3, callbacks=[cr.callbacks.Timer()])
    >>> len(history["seconds"]), min(history["seconds"]) > 0
    (3, True)
    """

    def on_fit_begin(self, fit: FitState) -> None:
        self._start = time.perf_counter()

    def on_epoch_end(self, fit: FitState) -> None:
        now = time.perf_counter()
        fit.log("seconds", now - self._start)
        self._start = now

    def __repr__(self) -> str:
        return "Timer()"


class TensorBoard(Callback):
    """Writes a log for TensorBoard: the columns of the history as scalars, and histograms where asked for.

    Parameters
    ----------
    folder
        Where the event files go; `tensorboard --logdir FOLDER` shows them, and those of the folders in it.
    histograms : int
        Every so many epochs, histograms of every parameter's values (0: none).
    X, y
        Where given, also histograms of the gradients over these rows, which are trainer.gradients(X, y): a
        few hundred rows will do.

    Raises
    ------
    ImportError
        Where tensorboardX is not installed: pip install "chainrule[tensorboard]".

    Notes
    -----
    A metric is logged as "loss/train" and "loss/validation", in one chart; a column that a callback has
    logged under its own name, an epoch later. Steps are epochs, counted over all fits this object has served.
    A resumed fit goes on at the epoch it resumes from: TensorBoard then no longer shows what an interrupted
    run has logged after it.

    >>> X, y = cr.datasets.load_digits(split="test")
    >>> trainer = cr.Trainer(nn.MLP([64, 16, 10], seed=0), nn.CrossEntropyLoss(), optim.Adam())
    >>> log = cr.callbacks.TensorBoard("runs/first", histograms=2, X=X, y=y)
    >>> _ = trainer.fit(X, y, epochs=4, validation_split=0.2, callbacks=[log])
    """

    observer = True

    def __init__(
        self, folder: str | os.PathLike[str], histograms: int = 0, X: Any = None, y: Any = None
    ) -> None:
        if isinstance(histograms, bool) or not hasattr(histograms, "__index__") or histograms < 0:
            raise ValueError(f"TensorBoard: histograms must be 0 or a number of epochs: {histograms!r}")
        if (X is None) != (y is None):
            raise ValueError("TensorBoard: X and y belong together; give both or none")
        if X is not None and histograms == 0:
            raise ValueError("TensorBoard: X and y are for histograms of gradients; give histograms, too")
        try:
            import tensorboardX  # noqa: F401
        except ImportError as error:
            raise ImportError(
                'TensorBoard: tensorboardX is not installed; pip install "chainrule[tensorboard]"'
            ) from error
        self.folder, self.histograms, self.X, self.y = _path("TensorBoard", folder), histograms, X, y
        self._before = 0  # epochs of earlier fits
        self._writer: Any = None
        self._written: dict[str, int] = {}
        self._first = 0

    def __deepcopy__(self, memo: object) -> TensorBoard:
        raise StateError(f"TensorBoard: writes one log, in {self.folder}; give each fit a folder of its own")

    def __repr__(self) -> str:
        more = f", histograms={self.histograms}" if self.histograms else ""
        return f"TensorBoard({self.folder!r}{more})"

    def on_fit_begin(self, fit: FitState) -> None:
        os.makedirs(self.folder, exist_ok=True)  # before anything is trained
        self._writer, self._written = None, {}

    def on_epoch_end(self, fit: FitState) -> None:
        step = self._before + fit.epoch
        if self._writer is None:
            from tensorboardX import SummaryWriter

            suffix = f".{step:08d}"  # two files within a second are two files
            self._writer = SummaryWriter(self.folder, purge_step=step, filename_suffix=suffix)
            self._first = fit.epoch - 1
        self._scalars(fit)
        if self.histograms and fit.epoch % self.histograms == 0:
            for name, parameter in fit.trainer.model.named_parameters():
                self._histogram(f"weights/{name}", parameter.numpy(), step)
            if self.X is not None:
                for name, gradient in fit.trainer.gradients(self.X, self.y).items():
                    self._histogram(f"gradients/{name}", gradient, step)
        self._writer.flush()

    def on_fit_end(self, fit: FitState) -> None:
        if self._writer is not None:
            self._scalars(fit)
            self._writer.close()
            self._writer = None
        self._before += fit.epoch

    def state_dict(self) -> dict[str, Any]:
        return {"before": np.int64(self._before)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._before = int(state["before"])

    def _scalars(self, fit: FitState) -> None:
        for name, values in fit.history.items():
            late = name not in fit.columns  # written an epoch later, which may be after the resuming
            first = max(self._first - late, 0)
            for epoch in range(self._written.get(name, first), len(values)):
                if values[epoch] == values[epoch]:  # a callback may skip epochs
                    self._writer.add_scalar(_tag(name, fit.columns), values[epoch], self._before + epoch + 1)
            self._written[name] = len(values)

    def _histogram(self, tag: str, values: Any, step: int) -> None:
        finite = values[np.isfinite(values)].astype(np.float64)
        if finite.size == 0:
            return
        counts, edges = _counted({tag: finite})[tag]
        with np.errstate(over="ignore", invalid="ignore"):  # of gradients that explode
            sums = finite.sum(), finite @ finite
        # It reads the upper edges of bins, so that an empty one below says where the first begins.
        self._writer.add_histogram_raw(
            tag, finite.min(), finite.max(), finite.size, *sums, edges.tolist(), [0, *counts.tolist()], step
        )


def _path(who: str, path: Any) -> str:
    try:
        return os.fsdecode(path)
    except TypeError:
        raise TypeError(f"{who}: expected a path, got {path!r}") from None


def _tag(column: str, columns: list[str]) -> str:
    if column not in columns:
        return column
    metric = column.removeprefix("val_")
    return f"{metric}/{'train' if metric == column else 'validation'}"
