"""`chainrule cv`: cross-validation of a network, and the model trained on all data."""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np

from .. import _core, nn
from ..table import table
from .errors import UserError
from .inputs import Source, existing, load_source, source_name
from .outputs import check_model, finite, write_json
from .recipe import (
    class_weight,
    make_callbacks,
    make_optimizer,
    network,
    sampler,
    start_schedule,
    trainer_arguments,
)
from .train import announce, describe, in_units, model_line


def cv(options: argparse.Namespace) -> int:
    """Run the command."""
    for name in options.files:
        existing(Path(name))
    out = Path(options.out or f"{source_name(options)}-cv.safetensors")
    check_model(out, options.force)
    nn.MLP([1, 1, 1], activation=options.activation)  # an unknown name is said before the data is read
    if not options.quiet:
        for note in options.notes:
            print(f"note: {note}")
    options.validation, options.test = 0.0, None  # every fold holds out rows of its own
    source = load_source(options)
    source.test = None
    _check_folds(source, options)
    sizes, loss, metrics = network(source, options)
    optimizer = make_optimizer(options, len(source.train.y))
    optimizer_text = repr(optimizer)
    if not options.quiet:
        announce(source, sizes, optimizer)
    start_schedule(optimizer, options)
    start = time.perf_counter()
    try:
        result = _core.cross_validate(
            lambda: nn.MLP(sizes, activation=options.activation, dropout=options.dropout),
            source.train.X,
            source.train.y,
            k=options.k,
            repeats=options.repeats,
            loss=loss,
            optimizer=optimizer,
            epochs=options.epochs,
            batch_size=options.batch_size,
            metrics=metrics,
            score=options.score or "",
            callbacks=make_callbacks(options, source),
            shuffle=options.shuffle,
            stratify=_stratified(source, options),
            groups=source.groups,
            folds="time_series" if options.time_series else None,
            retrain=not options.no_retrain,
            seed=options.seed,
            workers=options.workers,
            progress=False if options.quiet else "auto",
            **class_weight(source, options),
            **sampler(source, options),
            **trainer_arguments(options),
        )
    except TypeError as error:  # an argument of Trainer that does not fit
        raise UserError(str(error)) from error
    seconds = time.perf_counter() - start

    folds = {
        name: [in_units(source, name, float(value)) for value in values]
        for name, values in result.metrics.items()
    }
    history = {name: list(values) for name, values in result.history.to_dict().items()}
    means = {name: float(values.mean()) for name, values in result.metrics.items()}
    epochs = len(history.get("loss", ()))
    stopped = result.history.stopped
    training = describe(options, source, optimizer_text, loss, epochs, {"held out": means}, seconds, stopped)
    files = {}
    if result.model is not None and epochs == 0 < options.epochs:
        raise UserError(f"the training on all rows gave nothing: {stopped}; nothing was written")
    if result.model is not None:
        _core.save(result.model, out, schema=source.schema, training=json.dumps(finite(training)))
        files["model"] = str(out)
    scores = {"k": options.k, "repeats": options.repeats, "epochs": result.epochs, "metrics": folds}
    files["scores"] = str(
        write_json(out.with_suffix(".json"), {**training, "history": history, "cross_validation": scores})
    )
    try:
        result.plot(out.with_suffix(".png"))
        files["picture"] = str(out.with_suffix(".png"))
    except ImportError:
        files["picture"] = "none: matplotlib is not installed (pip install matplotlib)"
    if not options.quiet:
        _report(result, folds, f"{len(result.scores)} folds of {model_line(sizes)}")
        if result.model is not None:
            print(f"the model has all {len(source.train.y):,} rows, {epochs} epochs")
        if stopped:
            print(f"stopped: {stopped}")
        print(f"trained in {seconds:.1f} s")
        for what, path in files.items():
            print(f"{what:<8}{path}")
    return 0


def _stratified(source: Source, options: argparse.Namespace) -> bool:
    """Whether the folds keep the shares of classes."""
    free = source.groups is None and not options.time_series
    return source.task == "classification" and free and not options.no_stratify


def _check_folds(source: Source, options: argparse.Namespace) -> None:
    """Refuse folds that would be empty, or would lack a class."""
    k = options.k
    if options.time_series and (source.groups is not None or options.repeats > 1):
        other = "--repeats" if options.repeats > 1 else "--groups"
        raise UserError(f"--time-series has one order of rows, {other} would change it; leave one away")
    rows = len(source.train.y)
    if k > rows:
        raise UserError(f"--k {k}: there are {rows} rows, at most one fold for each; lower --k")
    if _stratified(source, options):
        labels = source.train.y.tolist()
        for index, name in enumerate(source.classes):
            count = labels.count(index)
            if count < k:
                raise UserError(
                    f"--k {k}: class {name!r} has {count} rows, and every fold needs one; lower --k"
                )


def _report(result: _core.CrossValidation, folds: dict[str, list[float]], what: str) -> None:
    rows = [
        [fold, epochs, *values]
        for fold, epochs, *values in zip(
            range(1, len(result.epochs) + 1), result.epochs, *folds.values(), strict=True
        )
    ]
    rows.append(["mean", None, *(float(np.mean(values)) for values in folds.values())])
    rows.append(["std", None, *(float(np.std(values)) for values in folds.values())])
    print(f"\n{table(['fold', 'epochs', *folds], rows)}\n")
    mean, std = np.mean(folds[result.score]), np.std(folds[result.score])
    print(f"{result.score} {mean:.4g} ± {std:.2g} over {what}")
