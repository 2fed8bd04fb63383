"""What runs between the batches and epochs of Trainer.fit: a list of these or of functions."""

from __future__ import annotations

import os
import warnings
from typing import Any

from ._core import Checkpoint, EarlyStopping, FitState, StateError

__all__ = ["CSVLogger", "Callback", "Checkpoint", "EarlyStopping", "FitState", "Health"]


class Callback:
    """Override what you need; any object with some of these methods is a callback, too.

    Calls come between batches, in the order of the list. They may change parameters, the learning rate or any
    other state; an exception ends fit and is raised from it. on_batch_end is called after every `every`
    batches of the fit.

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
        """What a checkpoint keeps of it: arrays by name."""
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
        self.path = path

    def __deepcopy__(self, memo: object) -> CSVLogger:
        raise StateError(
            f"CSVLogger: writes one file, {self.path}, for one fit; write the folds' histories instead"
        )

    def on_epoch_end(self, fit: FitState) -> None:
        fit.history.to_csv(self.path)

    def on_fit_end(self, fit: FitState) -> None:
        if fit.history.epochs > 0:
            fit.history.to_csv(self.path)


class Health(Callback):
    """Warns, once per layer and fit, of what trainer.diagnose(X, y) finds at the end of every so many epochs.

    A diagnosis costs about as much as two passes over X with their gradients: a few hundred rows will do.

    >>> import warnings
    >>> trainer = cr.Trainer(nn.Linear(2, 1, seed=0), nn.MSELoss(), optim.SGD(lr=1e-9))
    >>> X, y = [[1e3, 2e3], [3e3, 1e3]], [[1.0], [2.0]]
    >>> with warnings.catch_warnings(record=True) as seen:
    ...     _ = trainer.fit(X, y, epochs=5, callbacks=[cr.callbacks.Health(X, y)])
    >>> [str(w.message).split(",")[0] for w in seen]
    ['epoch 1: weight: its gradient explodes']
    """

    def __init__(self, X: Any, y: Any, every_epochs: int = 1) -> None:
        if every_epochs < 1:
            raise ValueError(f"Health: every_epochs must be at least 1: {every_epochs}")
        self.X, self.y, self.every_epochs = X, y, every_epochs
        self._warned: set[str] = set()

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
