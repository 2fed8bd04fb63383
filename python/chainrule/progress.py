"""The progress bar of Trainer.fit, or plain lines. tqdm is imported only when a bar is shown.

In a notebook the bar is a widget where ipywidgets are there, else a line of text, as on a terminal.
"""

from __future__ import annotations

import sys
from typing import Any

from ._core import FitState, SelectionProgress

__all__ = ["Bar", "Log", "ModelsBar", "bar", "models_bar", "rate"]


def _in_notebook() -> bool:
    """Whether a Jupyter kernel runs this: only then a bar may be a widget."""
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    return shell is not None and "IPKernelApp" in shell.config


def _tqdm() -> Any:
    """The bar that suits where we are; tqdm.auto warns where it has to fall back, this does not."""
    import tqdm

    if _in_notebook():
        try:
            import ipywidgets  # noqa: F401
            from tqdm.notebook import tqdm as widget
        except ImportError:
            return tqdm.tqdm
        return widget
    return tqdm.tqdm


def rate(samples_per_second: float) -> str:
    """Samples per second, as short as it reads: "950/s", "48k/s", "1.2M/s"."""
    for limit, unit, digits in ((1e6, "M", 1), (1e3, "k", 0)):
        if samples_per_second >= limit:
            return f"{samples_per_second / limit:.{digits}f}{unit} samples/s"
    return f"{samples_per_second:.0f} samples/s"


def summary(row: dict[str, float]) -> str:
    """The last epoch's values but its training loss and time: "val_loss 0.0921  val_accuracy 0.9750"."""
    skipped = {"loss", "seconds", "epoch", "lr", "samples_per_second"}
    shown = {name: value for name, value in row.items() if name not in skipped}
    if any(name.startswith("val_") for name in shown):
        shown = {name: value for name, value in shown.items() if name.startswith("val_")}
    return "  ".join(f"{name} {value:.4f}" for name, value in shown.items())


class Bar:
    """One bar over all epochs, with the running loss, the last epoch's metrics and the speed."""

    def __init__(self) -> None:
        self._bar: Any = None
        self._row: dict[str, float] = {}

    def __call__(self, report: FitState) -> None:
        total = report.epochs * report.batches
        done = (report.epoch - 1) * report.batches + report.batch
        if self._bar is None:
            self._bar = _tqdm()(
                total=total,
                initial=done if report.resumed_from else 0,  # the time that is left goes by this run's pace
                file=sys.stderr,
                dynamic_ncols=True,
                leave=False,
                bar_format="{desc} {percentage:3.0f}% |{bar}| {elapsed}<{remaining}  {postfix}",
            )
        if report.epoch_end:
            self._row = report.row
        self._bar.set_description_str(f"epoch {report.epoch}/{report.epochs}", refresh=False)
        parts = (f"loss {report.loss:.4f}", summary(self._row), rate(report.samples_per_second))
        self._bar.set_postfix_str("  ".join(part for part in parts if part), refresh=False)
        self._bar.update(max(0, done - self._bar.n))
        if report.epoch_end:
            self._bar.refresh()

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()


class Log:
    """A line on stderr at the end of every epoch, for log files."""

    def __call__(self, report: FitState) -> None:
        if report.epoch_end:
            parts = (
                f"epoch {report.epoch}/{report.epochs}",
                f"loss {report.loss:.4f}",
                summary(report.row),
                rate(report.samples_per_second),
            )
            print("  ".join(part for part in parts if part), file=sys.stderr, flush=True)

    def close(self) -> None:
        """Nothing is held."""


def bar(progress: bool | str) -> Bar | Log | None:
    """For fit's argument `progress`: True, False, "auto" (on a terminal or in a notebook), or "log"."""
    if progress == "log":
        return Log()
    return Bar() if _shown("fit", progress, '"auto", "log"') else None


class ModelsBar:
    """One bar over all models of a cross-validation, a search or an ensemble."""

    def __init__(self) -> None:
        self._bar: Any = None

    def __call__(self, report: SelectionProgress) -> None:
        if self._bar is None:
            self._bar = _tqdm()(
                total=report.total,
                file=sys.stderr,
                dynamic_ncols=True,
                leave=False,
                bar_format="{desc}{n_fmt}/{total_fmt} models |{bar}| {elapsed}<{remaining}  {postfix}",
            )
        if report.best == report.best:
            self._bar.set_postfix_str(f"best {report.best:.4f}", refresh=False)
        self._bar.update(report.done - self._bar.n)

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()


def models_bar(progress: bool | str) -> ModelsBar | None:
    """The same for models trained side by side."""
    return ModelsBar() if _shown("progress", progress) else None


def _shown(who: str, progress: bool | str, words: str = '"auto"') -> bool:
    if progress == "auto":
        return sys.stderr.isatty() or _in_notebook()
    if not isinstance(progress, bool):
        raise ValueError(f"{who}: progress must be {words}, True, False or a function, got {progress!r}")
    return progress
