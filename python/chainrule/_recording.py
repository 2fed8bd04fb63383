"""Whether operations are recorded: no_grad, enable_grad, set_grad_enabled; with-blocks and decorators."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ContextDecorator
from typing import Any, TypeVar, overload

from . import _core

_F = TypeVar("_F", bound=Callable[..., Any])


class _Recording(ContextDecorator):
    def __init__(self, on: bool) -> None:
        self._on = on
        self._before: list[bool] = []

    def __enter__(self) -> None:
        self._before.append(_core.grad_enabled())
        _core.set_grad_enabled(self._on)

    def __exit__(self, *error: object) -> None:
        _core.set_grad_enabled(self._before.pop())

    def _recreate_cm(self) -> _Recording:
        return _Recording(self._on)  # a decorated function may run on several threads at once


class no_grad(_Recording):
    """A block, or a function (`@no_grad()`), in which operations are not recorded for backward().

    In a traced function no gradient flows through what was computed there.

    >>> x = chainrule.tensor(3.0, requires_grad=True)
    >>> with chainrule.no_grad():
    ...     (x * x).requires_grad
    False
    """

    @overload
    def __new__(cls) -> no_grad: ...
    @overload
    def __new__(cls, function: _F) -> _F: ...  # type: ignore[misc]
    def __new__(cls, function: Any = None) -> Any:
        return super().__new__(cls) if function is None else cls()(function)

    def __init__(self) -> None:
        super().__init__(False)


class enable_grad(_Recording):
    """The opposite of no_grad: operations are recorded, also inside a no_grad block."""

    def __init__(self) -> None:
        super().__init__(True)


class set_grad_enabled(_Recording):
    """Record from now on, or no longer: as a call (until the next one), a with-block or a decorator.

    >>> with chainrule.set_grad_enabled(False):
    ...     chainrule.grad_enabled()
    False
    """

    def __init__(self, on: bool) -> None:
        super().__init__(on)
        self._called_in = _core.grad_enabled()
        _core.set_grad_enabled(on)

    def __enter__(self) -> None:
        self._before.append(self._called_in)
        _core.set_grad_enabled(self._on)

    def __call__(self, function: Any) -> Any:
        _core.set_grad_enabled(self._called_in)  # only the function is meant
        return super().__call__(function)
