"""What the options make: sizes of the layers, loss, metrics, optimizer with its schedule, callbacks."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from .. import _core, callbacks, data, nn, optim, schedules
from .._search import advice
from .config import CALLBACKS
from .errors import UserError
from .inputs import Source
from .options import LOSSES, OPTIMIZERS, shown

_OF_NUMBERS = ("MSELoss", "L1Loss", "HuberLoss")


def network(source: Source, options: argparse.Namespace) -> tuple[list[int], _core.Loss, list[str]]:
    """Sizes of the layers, the loss and the metrics that suit the data."""
    classes = source.task == "classification"
    outputs = len(source.classes) if classes else source.train.y.shape[1]
    sizes = [source.train.X.shape[1], *options.layers, outputs]
    metrics = options.metrics
    if metrics is None:
        metrics = ["accuracy"] if classes else ["r2", "rmse", "mae"]
    return sizes, _loss(source.task, options), metrics


def _loss(task: str, options: argparse.Namespace) -> _core.Loss:
    suiting = [name for name in LOSSES if (name in _OF_NUMBERS) == (task == "regression")]
    name = options.loss or suiting[0]
    if name not in suiting:
        raise UserError(f"{_where(options, 'loss')}: {name} is not for {task}; write {' or '.join(suiting)}")
    loss: _core.Loss = made(options, "loss", LOSSES[name], options.loss_table)
    return loss


def made(options: argparse.Namespace, table: str, make: Callable[..., Any], arguments: dict[str, Any]) -> Any:
    """make(**arguments); where they do not fit, a line that names the table they come from."""
    try:
        return make(**arguments)
    except (TypeError, ValueError, _core.Error) as error:
        raise UserError(f"{_where(options, table)}: {error}") from error


def _where(options: argparse.Namespace, table: str) -> str:
    places = ([options.file] if options.file else []) + (["--set"] if options.set else [])
    return f"{', '.join(places)}: [{table}]" if places else f"--{table}"


def make_callbacks(options: argparse.Namespace, source: Source, training: str = "{}") -> list[Any]:
    """Early stopping, a log, checkpoints and so on, where options or tables ask for them.

    training is what checkpoints tell about the model, as save does.
    """
    asked = []
    for table, name in CALLBACKS.items():
        arguments = getattr(options, f"{table}_table")
        if table == "early_stopping" and options.patience is not None:
            arguments = {**(arguments or {}), "patience": options.patience}
        elif table == "health" and arguments is not None:
            arguments = _with_rows(options, source, table, **{"rows": 256, **arguments})
        elif table == "tensorboard" and "rows" in (arguments or {}):
            arguments = _with_rows(options, source, table, **arguments)
        elif table == "checkpoint":
            arguments = _with_folder(options, source, training, arguments or {})
        if arguments is not None:
            asked.append(made(options, table, getattr(callbacks, name), arguments))
    return asked


def _with_rows(
    options: argparse.Namespace, source: Source, table: str, rows: Any, **arguments: Any
) -> dict[str, Any]:
    """A callback's arguments with so many rows for gradients, spread evenly over those that train."""
    if isinstance(rows, bool) or not isinstance(rows, int) or rows < 1:
        raise UserError(f"{_where(options, table)}: rows must be a whole number of at least 1, got {rows}")
    count = len(source.train.y)
    taken = source.train.take(np.arange(min(rows, count)) * count // min(rows, count))
    return {"X": taken.X, "y": taken.y, **arguments}


def _with_folder(
    options: argparse.Namespace, source: Source, training: str, arguments: dict[str, Any]
) -> dict[str, Any] | None:
    """Checkpoint's arguments; none where nothing is kept."""
    if getattr(options, "checkpoints", None) is None:
        return None
    about = {"schema": source.schema, "training": training}
    return {"folder": options.checkpoints, "every_epochs": options.checkpoint_every, **about, **arguments}


def watches_validation(options: argparse.Namespace) -> bool:
    """Whether early stopping goes by rows held out."""
    table = options.early_stopping_table
    asked = options.patience is not None or table is not None
    return asked and str((table or {}).get("monitor", "val_loss")).startswith("val_")


def trainer(
    model: nn.Module, loss: _core.Loss, optimizer: optim.Optimizer, metrics: list[str], options: Any
) -> _core.Trainer:
    """The Trainer that the options describe."""
    arguments = {"metrics": metrics, "seed": options.seed, **trainer_arguments(options)}
    try:
        return _core.Trainer(model, loss, optimizer, **arguments)
    except TypeError as error:
        raise UserError(str(error)) from error


def trainer_arguments(options: argparse.Namespace) -> dict[str, Any]:
    """clip_norm and whatever else the file or --set has for Trainer."""
    arguments = dict(options.trainer)
    if options.clip_norm is not None:
        arguments["clip_norm"] = options.clip_norm
    return arguments


def class_weight(source: Source, options: argparse.Namespace) -> dict[str, Any]:
    """fit's class_weight, if there is one, with the classes' names as the model counts them."""
    if options.class_weight is None and options.class_weights is None:
        return {}
    if source.task != "classification":
        raise UserError("class_weight is for classification; this is a regression")
    if options.class_weights is None:
        return {"class_weight": options.class_weight}
    numbers = {name: i for i, name in enumerate(source.classes)}
    for name in options.class_weights:
        if name not in numbers:
            where, near = _where(options, "class_weight"), advice(name, source.classes)
            raise UserError(f"{where}: there is no class {name!r}; {near}")
    return {"class_weight": {numbers[name]: weight for name, weight in options.class_weights.items()}}


def sampler(source: Source, options: argparse.Namespace) -> dict[str, Any]:
    """fit's sampler, if there is one."""
    if options.sampler is None:
        return {}
    if source.task != "classification":
        raise UserError(f"--sampler {options.sampler} is for classification; this is a regression")
    if options.sampler == "weighted":
        labels = source.train.y
        return {"sampler": data.WeightedSampler(1 / np.bincount(labels)[labels])}
    return {"sampler": data.StratifiedSampler(source.train.y)}


def make_optimizer(options: argparse.Namespace, rows: int) -> optim.Optimizer:
    """The optimizer; settles the batch size and the schedule that suit it, where none is given."""
    make = OPTIMIZERS[options.optimizer]
    options_given = {"lr": options.lr, "weight_decay": options.weight_decay}
    options_given = {name: value for name, value in options_given.items() if value is not None}
    table = options.optimizer_table
    arguments = {name: _with_schedules(value, f"optimizer.{name}", options) for name, value in table.items()}
    if make is optim.LBFGS:  # whose steps of a fixed length go astray more often than not
        arguments.setdefault("line_search_fn", "strong_wolfe")
    try:
        make(**options_given)
    except TypeError as error:
        unknown = "--weight-decay" if options.weight_decay is not None else "--lr"
        raise UserError(f"--optimizer {options.optimizer} has no {unknown}; leave it away") from error
    arguments |= options_given
    optimizer: optim.Optimizer = made(options, "optimizer", make, arguments)
    driver = optimizer.is_driver
    options.batch_size = options.batch_size or (rows if driver else 32)
    own = isinstance(arguments.get("lr"), _core.Schedule)
    if own and options.schedule not in (None, "own"):  # "own": of a run that goes on
        raise UserError(
            f"schedule: {options.schedule} was given, and [optimizer.lr] is a schedule; leave one away"
        )
    options.schedule = options.schedule or ("own" if own else "constant" if driver else "cosine")
    return optimizer


def start_schedule(optimizer: optim.Optimizer, options: argparse.Namespace) -> None:
    """Let the rate fall as --schedule says."""
    if options.schedule == "cosine":
        optimizer.lr = _falling(optimizer.lr, options.epochs)


def _with_schedules(value: Any, where: str, options: argparse.Namespace) -> Any:
    """The value with every table that has a key `schedule` as that schedule."""
    if isinstance(value, list):
        return [_with_schedules(part, where, options) for part in value]
    if not isinstance(value, dict):
        return value
    arguments = {name: _with_schedules(part, f"{where}.{name}", options) for name, part in value.items()}
    if "schedule" not in arguments:
        if where == "optimizer.lr":
            raise UserError(f"{_where(options, where)}: schedule is missing: its name, such as Cosine")
        return arguments
    name = arguments.pop("schedule")
    known = {kind.lower(): kind for kind in schedules.__all__ if kind != "Schedule"}
    if not isinstance(name, str) or name.lower() not in known:
        near = (
            advice(name, known.values())
            if isinstance(name, str)
            else f"there are {', '.join(known.values())}"
        )
        raise UserError(f"{_where(options, where)}: there is no schedule {shown(name)}; {near}")
    return made(options, where, getattr(schedules, known[name.lower()]), arguments)


def _falling(rate: float, epochs: int) -> _core.Schedule:
    """The rate up to half of the epochs, then rate (1 + cos) / 2 from there to the end."""

    def of(epoch: int) -> float:
        late = min(max(0.0, 2 * epoch / epochs - 1), 1.0)
        return rate * (1 + math.cos(math.pi * late)) / 2

    return _core.Schedule(of, per="epoch")
