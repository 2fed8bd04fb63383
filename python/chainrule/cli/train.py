"""`chainrule train`: from files to a model, its history and its learning curve."""

from __future__ import annotations

import argparse
import datetime
import functools
import json
import os
import sys
import time
import warnings
from pathlib import Path
from typing import Any

from .. import _core, nn, optim
from ..progress import Bar, rate, summary
from ..table import table
from .errors import UserError
from .inputs import Samples, Source, existing, load_source, source_name
from .outputs import check_log, check_model, finite, write_json
from .recipe import (
    class_weight,
    make_callbacks,
    make_optimizer,
    network,
    sampler,
    start_schedule,
    watches_validation,
)
from .recipe import trainer as make_trainer
from .runs import Run


class _Lines:
    """Progress in a pipe: one line per epoch."""

    def __call__(self, report: _core.FitState) -> None:
        if report.epoch_end:
            parts = (f"loss {report.loss:.4f}", summary(report.row), rate(report.samples_per_second))
            width = len(str(report.epochs))
            print(
                f"epoch {report.epoch:{width}}/{report.epochs}  " + "  ".join(part for part in parts if part),
                flush=True,
            )

    def close(self) -> None:
        pass


def train(options: argparse.Namespace, run: Run | None = None) -> int:
    """Run the command; with a run, go on with it."""
    for name in (*options.files, *(options.test or ())):
        existing(Path(name))
    out = Path(options.out or f"{source_name(options)}.safetensors")
    check_model(out, options.force)
    log = (options.csv_logger_table or {}).get("path")
    if isinstance(log, str):
        check_log(Path(log), options.force)
    nn.MLP([1, 1, 1], activation=options.activation)  # an unknown name is said before the data is read
    source = load_source(options)
    if source.validation is None and watches_validation(options):
        raise UserError("--patience needs rows to watch; --validation 0 holds none out")
    if run is not None:
        run.check(source)
    sizes, loss, metrics = network(source, options)
    model = nn.MLP(sizes, activation=options.activation, dropout=options.dropout, seed=options.seed)
    optimizer = make_optimizer(options, len(source.train.y))
    trainer = make_trainer(model, loss, optimizer, metrics, options)
    if not options.quiet:
        for note in options.notes if run is None else ():
            print(f"note: {note}")
        announce(source, sizes, trainer.optimizer)

    optimizer_text = repr(optimizer)
    start_schedule(trainer.optimizer, options)
    about = describe(options, source, optimizer_text, loss, 0, {}, 0.0, "")
    for name in ("epochs", "results", "seconds", "date"):  # known only when it has been trained
        del about[name]
    arguments = {
        "callbacks": make_callbacks(options, source, json.dumps(finite(about))),
        **class_weight(source, options),
        **sampler(source, options),
    }
    begun = None
    if options.checkpoints is not None and run is None:
        run = begun = Run.begun(options, out, source)
    if run is not None:
        arguments["resume_from"] = "auto"  # from the beginning, where there is no checkpoint yet
    start, interrupted = time.perf_counter(), False
    validation = None if source.validation is None else (source.validation.X, source.validation.y)
    show = None if options.quiet else Bar() if sys.stderr.isatty() else _Lines()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("always", RuntimeWarning)
            warnings.showwarning = functools.partial(_note, options.quiet)
            trainer.fit(
                source.train.X,
                source.train.y,
                epochs=options.epochs,
                batch_size=options.batch_size,
                validation_data=validation,
                shuffle=options.shuffle,
                progress=False if show is None else show,
                **arguments,
            )
    except KeyboardInterrupt:
        interrupted = True
    except Exception:
        if begun is not None:
            begun.forget()
        raise
    finally:
        if show is not None:
            show.close()
    history = {name: list(values) for name, values in trainer.history.to_dict().items()}
    stopped = "interrupted" if interrupted else trainer.history.stopped
    if not trainer.history.epochs and stopped and not interrupted:  # what there is has learned nothing
        if begun is not None:
            begun.forget()
        raise UserError(f"{stopped.partition(';')[0]}; lower --lr; nothing was written")
    seconds = time.perf_counter() - start

    results = {name: trainer.evaluate(part.X, part.y) for name, part in _parts(source).items()}
    epochs = len(history.get("loss", ()))
    training = describe(options, source, optimizer_text, loss, epochs, results, seconds, stopped)
    _core.save(model, out, schema=source.schema, training=json.dumps(finite(training)))
    files = [("model", out)]
    files.append(("history", write_json(out.with_suffix(".json"), {**training, "history": history})))
    curve = _write_curve(
        out.with_suffix(".png"),
        history,
        next(iter(metrics), None),
        f"{source.name}: {model_line(sizes)}",
    )
    if not options.quiet:
        _report(source, results, files, curve, model, seconds, stopped)
    if run is not None and not interrupted:
        run.finish()
    elif run is not None and not options.quiet:
        print(f"chainrule resume {run.folder} goes on")
    return 130 if interrupted else 0


def _note(quiet: bool, message: Warning | str, *_: Any, **__: Any) -> None:
    """A warning of fit; under --quiet what went wrong, such as a checkpoint that cannot be written."""
    if not quiet:
        print(f"note: {message}", flush=True)
    elif not str(message).startswith("fit: nothing was trained"):
        print(f"chainrule: warning: {message}", file=sys.stderr, flush=True)


def model_line(sizes: list[int]) -> str:
    """64-128-10."""
    return "-".join(str(size) for size in sizes)


def _parts(source: Source) -> dict[str, Samples]:
    parts = {"train": source.train, "validation": source.validation, "test": source.test}
    return {name: part for name, part in parts.items() if part is not None}


def announce(source: Source, sizes: list[int], optimizer: optim.Optimizer) -> None:
    """Say what is trained on what."""
    rows = ", ".join(f"{len(part.y):,} {name}" for name, part in _parts(source).items())
    goal = f"{len(source.classes)} classes" if source.classes else "regression"
    print(f"{source.name}: {rows}; {sizes[0]:,} features; {goal}")
    for note in source.notes:
        print(f"note: {note}")
    print(f"network {model_line(sizes)}, {optimizer!r}", flush=True)


def in_units(source: Source, name: str, value: float) -> float:
    """rmse, mae and mse in the target's own units."""
    scale = source.target_scale
    return value * {"rmse": scale, "mae": scale, "mse": scale * scale}.get(name, 1.0)


def describe(
    options: argparse.Namespace,
    source: Source,
    optimizer: str,
    loss: _core.Loss,
    epochs: int,
    results: dict[str, dict[str, float]],
    seconds: float,
    stopped: str,
) -> dict[str, Any]:
    """What the model file and the history tell about how the model came about."""
    record: dict[str, Any] = {
        "data": [os.path.basename(name) for name in options.files] or ["bundled digits"],
        "task": source.task,
        "rows": {name: len(part.y) for name, part in _parts(source).items()},
        "epochs": epochs,
        "batch_size": options.batch_size,
        "optimizer": optimizer,
        "schedule": options.schedule,
        "loss": repr(loss),
        "seed": options.seed,
        "seconds": round(seconds, 3),
        "results": {
            part: {name: in_units(source, name, value) for name, value in values.items()}
            for part, values in results.items()
        },
        "date": datetime.datetime.now().astimezone().isoformat(timespec="seconds"),
        "chainrule": _core.__version__,
    }
    if source.schema is None:
        record["input"] = {"shape": source.sample_shape, "divided_by": source.divided_by}
        record["classes"] = source.classes
    if stopped:
        record["stopped"] = stopped
    return record


def _write_curve(path: Path, history: dict[str, list[float]], metric: str | None, title: str) -> str:
    """The picture's path, or why there is none."""
    if not history.get("loss"):
        return "none: no epoch was finished"
    try:
        from ..plots import learning_curve

        learning_curve(history, path, metric=metric, title=title)
    except ImportError:
        return "none: matplotlib is not installed (pip install matplotlib)"
    return str(path)


def _report(
    source: Source,
    results: dict[str, dict[str, float]],
    files: list[tuple[str, Path]],
    curve: str,
    model: nn.Module,
    seconds: float,
    stopped: str,
) -> None:
    if stopped:
        print(f"note: training ended early: {stopped}")
    names = list(next(iter(results.values())))
    head = ["", "rows", *names]
    rows = [
        [part, len(_parts(source)[part].y), *(in_units(source, name, values[name]) for name in names)]
        for part, values in results.items()
    ]
    print(f"\n{table(head, rows)}\n")
    parameters = sum(p.size for p in model.parameters())
    print(f"trained in {seconds:.1f} s; {parameters:,} parameters")
    for what, path in files:
        print(f"{what:<8}{path} ({path.stat().st_size / 1024:,.0f} kB)")
    print(f"{'curve':<8}{curve}")
