"""What runs between the batches and epochs of Trainer.fit: a list of these or of functions."""

from __future__ import annotations

from ._core import EarlyStopping, FitState

__all__ = ["Callback", "EarlyStopping", "FitState"]


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
