"""Where the names of a search go: arguments of the model's function, of the optimizer, the loss or fit.

Not a public module: python/src/bind_selection.cpp calls apply() for every candidate.
"""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Collection
from typing import Any

from . import _core
from ._arguments import _parse

_FIT = (
    "epochs",
    "batch_size",
    "shuffle",
    "class_weight",
    "sampler",
    "clip_norm",
    "clip_value",
    "accumulate",
    "l1",
    "max_norm",
    "mixup",
)
_PARTS = ("model", "optimizer", "loss", "fit")


def apply(
    make_model: Any, loss: Any, optimizer: Any, parameters: dict[str, Any]
) -> tuple[dict[str, Any], Any, Any, dict[str, Any]]:
    """Arguments of make_model, loss, optimizer and options of fit, with these parameters in them.

    A name is an argument of make_model, an option of fit, or an argument of the optimizer or the loss,
    whichever has one of that name; where several do, "optimizer.lr" says which. "optimizer" and "loss" are
    replaced as a whole.
    """
    loss = parameters.get("loss", loss)
    optimizer = parameters.get("optimizer", optimizer)
    taken: dict[str, Collection[str]] = {
        "model": _of_function(make_model),
        "optimizer": _of_recipe(optimizer),
        "loss": _of_recipe(loss),
        "fit": _FIT,
    }
    found: dict[str, dict[str, Any]] = {part: {} for part in _PARTS}
    for name, value in parameters.items():
        if name in ("loss", "optimizer"):
            continue
        part, argument = _place(name, taken, _takes_any(make_model))
        if argument in found[part]:
            raise _core.ValueError(f"search: {part}.{argument} is given twice")
        found[part][argument] = value
    return (
        found["model"],
        _changed(loss, found["loss"]),
        _changed(optimizer, found["optimizer"]),
        found["fit"],
    )


def _place(name: str, taken: dict[str, Collection[str]], any_of_model: bool) -> tuple[str, str]:
    part, dot, argument = name.partition(".")
    if dot and part in _PARTS:
        if argument in taken[part] or (part == "model" and any_of_model):
            return part, argument
        raise _core.IndexError(f"search: there is no parameter {name}; {advice(argument, taken[part])}")
    owners = [part for part in _PARTS if name in taken[part]]
    if len(owners) == 1:
        return owners[0], name
    if len(owners) > 1:
        choices = " or ".join(f"{owner}.{name}" for owner in owners)
        raise _core.ValueError(f"search: {name} is an argument of {' and of '.join(owners)}; write {choices}")
    if any_of_model:
        return "model", name
    known = [own for part in _PARTS for own in taken[part]]
    raise _core.IndexError(
        f"search: there is no parameter {name}; {advice(name, [*known, 'optimizer', 'loss'])}"
    )


def advice(name: str, known: Collection[str]) -> str:
    """The nearest of the known names, letters of either case alike, or all of them."""
    lower = {other.lower(): other for other in known}
    close = difflib.get_close_matches(name.lower(), lower, n=1)
    return f"did you mean {lower[close[0]]}?" if close else f"there are {', '.join(known) or 'none'}"


def _of_function(make_model: Any) -> list[str]:
    if isinstance(make_model, _core.Module):
        return []
    try:
        parameters = inspect.signature(make_model).parameters.values()
    except (TypeError, ValueError):  # built-in layers tell theirs in their documentation
        return _documented(make_model.__init__ if inspect.isclass(make_model) else make_model)
    named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return [p.name for p in parameters if p.kind in named]


def _takes_any(make_model: Any) -> bool:
    if isinstance(make_model, _core.Module):
        return False
    try:
        parameters = inspect.signature(make_model).parameters.values()
    except (TypeError, ValueError):
        return False
    return any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters)


def _documented(function: Any) -> list[str]:
    line = (function.__doc__ or "").partition("\n")[0]
    return [p.name for p in _parse(line)[0] if p.name not in ("self", "params")] if "(" in line else []


def _maker(recipe: Any) -> tuple[Callable[..., Any], dict[str, Any]] | None:
    """What makes an optimizer or a built-in loss, and with which arguments; None for a loss of one's own."""
    if not isinstance(recipe, _core.Optimizer | _core.Loss):
        return None
    _, arguments = recipe.__reduce__()
    if len(arguments) != 2:
        return None
    return getattr(_core, arguments[0]), arguments[1]


def _of_recipe(recipe: Any) -> list[str]:
    made = _maker(recipe)
    if made is None:
        return []
    return _documented(made[0].__init__ if inspect.isclass(made[0]) else made[0])


def _changed(recipe: Any, arguments: dict[str, Any]) -> Any:
    if not arguments:
        return recipe
    made = _maker(recipe)
    assert made is not None  # it has arguments
    return made[0](**{**made[1], **arguments})
