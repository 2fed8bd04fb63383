"""What NumPy's functions do when they are given tensors: np.tanh(t) is tanh(t), with its derivative.

Not a public module: Tensor's __array_ufunc__ and __array_function__ call ufunc() and function(). NumPy's
functions without a counterpart run on the values and return NumPy, but not where a gradient would be lost.
"""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from . import _core

_Any = Callable[..., Any]

# Functions made of ops, under NumPy's names; the ops themselves are in the registry.
_COMPOSED = (
    "all", "any", "concatenate", "diagonal", "dot", "einsum", "expand_dims", "flip",
    "hstack", "inner", "logical_and", "logical_not", "logical_or", "logical_xor", "moveaxis", "nonzero",
    "outer", "pad", "repeat", "sort", "split", "squeeze", "stack", "std", "swapaxes",
    "take_along_axis", "tensordot", "tile", "var", "vstack",
)  # fmt: skip
_WRITERS = {f"np.{name}" for name in ("copyto", "fill_diagonal", "place", "put", "put_along_axis", "putmask")}
_IGNORED = {"optimize"}  # says how, not what
_RENAMED = {"a_min": "low", "a_max": "high", "min": "low", "max": "high"}
_REDUCTIONS = {"add": "sum", "multiply": "prod", "maximum": "max", "minimum": "min"} | {
    "logical_and": "all",
    "logical_or": "any",
}


def _bits(name: str) -> _Any:
    """&, | and ^ of bools; NumPy's functions on bits of integers have no counterpart."""

    def run(a: Any, b: Any) -> Any:
        return getattr(a if isinstance(a, _core.Tensor) else _core.tensor(a), name)(b)

    return run


def _where(condition: Any, x: Any = None, y: Any = None) -> Any:
    return _core.nonzero(condition) if x is None and y is None else _core.where(condition, x, y)


def _trace(a: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
    return _core.sum(_core.diagonal(a, offset, axis1, axis2), -1)


def _filled_like(make: _Any) -> _Any:
    def run(a: Any, *value: Any, dtype: Any = None) -> Any:
        return make(a.shape, *value, dtype=a.dtype if dtype is None else dtype)

    return run


def _table() -> dict[Any, _Any]:
    names = [*(op["name"] for op in _core.op_table() if not op["internal"]), *_COMPOSED]
    table: dict[Any, _Any] = {
        getattr(np, name): getattr(_core, name)
        for name in names
        if hasattr(np, name) and hasattr(_core, name)
    }
    if norm := getattr(_core, "norm", None):
        table[np.linalg.norm] = norm
    if nearest := getattr(_core, "round", None):
        table[np.rint] = nearest
    table |= {
        np.amax: _core.max,
        np.amin: _core.min,
        np.bitwise_and: _bits("__and__"),
        np.bitwise_or: _bits("__or__"),
        np.bitwise_xor: _bits("__xor__"),
        np.fabs: _core.abs,
        np.full_like: _filled_like(_core.full),
        np.invert: lambda x: ~x,
        np.ndim: lambda a: a.ndim,
        np.ones_like: _filled_like(_core.ones),
        np.positive: lambda x: +x,
        np.ravel: lambda a: _core.reshape(a, -1),
        np.shape: lambda a: a.shape,
        np.size: lambda a: a.size,
        np.trace: _trace,
        np.where: _where,
        np.zeros_like: _filled_like(_core.zeros),
    }
    return table


_TABLE = _table()


@functools.cache
def _signature(theirs: _Any) -> inspect.Signature:
    return inspect.signature(theirs)


@functools.cache
def _parameters(ours: _Any) -> set[str]:
    """The names an own function takes, from the signature pybind11 writes into the docstring."""
    if inspect.isfunction(ours):
        return set(inspect.signature(ours).parameters)
    return set(re.findall(r"(\w+):", (ours.__doc__ or "").partition("\n")[0].rpartition("->")[0]))


def _tensors(value: Any) -> Iterator[_core.Tensor]:
    if isinstance(value, _core.Tensor):
        yield value
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _tensors(item)
    elif isinstance(value, dict):
        yield from _tensors(list(value.values()))


def _values(value: Any) -> Any:
    """Tensors replaced by arrays that cannot be written: what is written to a copy is lost."""
    if isinstance(value, _core.Tensor):
        array = value.numpy()
        array.setflags(write=False)
        return array
    if isinstance(value, list | tuple):
        return type(value)(_values(item) for item in value)
    if isinstance(value, dict):
        return {key: _values(item) for key, item in value.items()}
    return value


def _has_floats(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return any(_has_floats(item) for item in value)
    return np.asarray(value).dtype.kind in "fcO" if value is not None else False


def _on_values(name: str, call: _Any, args: Any, kwargs: dict[str, Any]) -> Any:
    """A function without a counterpart here."""
    tensors = list(_tensors([args, kwargs]))
    if any(t.symbolic for t in tensors):
        raise _core.StateError(
            f"{name}: a traced tensor has no values, and chainrule has no function of this name; "
            "write it with chainrule's functions"
        )
    recorded = [t for t in tensors if t.requires_grad] if _core.grad_enabled() else []
    writes = name in _WRITERS or name.endswith(".at")
    result = None if recorded and writes else call(*_values(args), **_values(kwargs))
    if recorded and (writes or _has_floats(result)):
        raise _core.StateError(
            f"{name}: chainrule has no derivative of it, and the gradient of a tensor of shape "
            f"{recorded[0].shape} would be lost; write it with chainrule's functions, or pass x.detach()"
        )
    return result


def ufunc(function: np.ufunc, method: str, args: Any, kwargs: dict[str, Any]) -> Any:
    """np.add(a, t), a + t for an array a, np.add.reduce(t), ..."""
    name = f"np.{function.__name__}" + ("" if method == "__call__" else f".{method}")
    if kwargs.get("out") is not None:
        raise _core.StateError(f"{name}: out= is not supported with tensors; use the result, as in a = a + t")
    if (
        method == "reduce"
        and function.__name__ in _REDUCTIONS
        and hasattr(_core, _REDUCTIONS[function.__name__])
    ):
        return _call(name, getattr(_core, _REDUCTIONS[function.__name__]), args, {"axis": 0} | kwargs)
    ours = _TABLE.get(function) if method == "__call__" else None
    if ours is None:
        return _on_values(name, getattr(function, method), args, kwargs)
    _refuse(name, kwargs, set())
    # NumPy hands its scalars over as arrays of rank 0 here and there; either way they are numbers.
    return ours(*(a[()] if isinstance(a, np.ndarray) and a.ndim == 0 else a for a in args))


def function(theirs: _Any, args: Any, kwargs: dict[str, Any]) -> Any:
    """np.sum(t), np.concatenate([t, a]), ..."""
    module = "np" if theirs.__module__ == "numpy" else f"{theirs.__module__.replace('numpy', 'np', 1)}"
    name = f"{module}.{theirs.__name__}"
    ours = _TABLE.get(theirs)
    if ours is None:
        return _on_values(name, theirs, args, kwargs)
    positional: list[Any] = []
    named: dict[str, Any] = {}
    bound = _signature(theirs).bind(*args, **kwargs)
    for parameter in bound.signature.parameters.values():
        if parameter.name not in bound.arguments:
            continue
        value = bound.arguments[parameter.name]
        if parameter.kind is parameter.VAR_POSITIONAL:
            positional += value
        elif parameter.kind is parameter.VAR_KEYWORD:
            named |= value
        elif parameter.default is parameter.empty:
            positional.append(value)
        elif not _is_default(value, parameter.default) and parameter.name not in _IGNORED:
            named[_RENAMED.get(parameter.name, parameter.name)] = value
    return _call(name, ours, positional, named)


def _is_default(value: Any, default: Any) -> bool:
    return value is default or (isinstance(value, str | bool) and value == default)


def _call(name: str, ours: _Any, positional: Any, named: dict[str, Any]) -> Any:
    _refuse(name, named, _parameters(ours))
    return ours(*positional, **named)


def _refuse(name: str, named: dict[str, Any], known: set[str]) -> None:
    for argument in named:
        if argument not in known:
            todo = "; use .astype(...) on the result" if argument == "dtype" else "; call it without"
            raise TypeError(f"{name}: {argument}= is not supported with tensors{todo}")
