"""Lists and dicts that keep a module's children registered when they change.

Not a public module: nn.Module makes them from the plain lists and dicts assigned to it.
"""

from __future__ import annotations

import weakref
from typing import Any

from ._core import Module


def registering(owner: Module, name: str, value: Any) -> Any:
    """The container to store in place of `value`, its modules registered below owner's child `name`."""
    if isinstance(value, dict):
        return ModuleDict(owner, name, value)
    if isinstance(value, list):
        return ModuleList(owner, name, value)
    owner._set_group(name, value)
    return value


class _Registered:
    """What both containers share: the module they belong to, and the name they have there."""

    _owner: weakref.ref[Module]
    _name: str

    def _attach(self, owner: Module, name: str) -> None:
        self._owner, self._name = weakref.ref(owner), name
        self._changed()

    def _changed(self) -> None:
        owner = self._owner()
        if owner is not None and owner.__dict__.get(self._name, self) is self:
            owner._set_group(self._name, self)

    def __reduce__(self) -> tuple[Any, ...]:  # copies are plain until a module registers them
        plain = list if isinstance(self, list) else dict
        return plain, (plain(self),)  # type: ignore[call-overload]


def _mutating(base: type, names: tuple[str, ...]) -> dict[str, Any]:
    def wrap(name: str) -> Any:
        plain = getattr(base, name)

        def method(self: Any, *args: Any, **kwargs: Any) -> Any:
            result = plain(self, *args, **kwargs)
            self._changed()
            return result

        method.__name__, method.__doc__ = name, plain.__doc__
        return method

    return {name: wrap(name) for name in names}


class ModuleList(_Registered, list):  # type: ignore[type-arg]
    """A list assigned to a module."""

    def __init__(self, owner: Module, name: str, value: list[Any]) -> None:
        list.__init__(self, value)
        self._attach(owner, name)


class ModuleDict(_Registered, dict):  # type: ignore[type-arg]
    """A dict assigned to a module."""

    def __init__(self, owner: Module, name: str, value: dict[Any, Any]) -> None:
        dict.__init__(self, value)
        self._attach(owner, name)


_LIST = ("append", "extend", "insert", "remove", "pop", "clear", "reverse", "sort")
_DICT = ("pop", "popitem", "clear", "update", "setdefault")
for _cls, _base, _names in (
    (ModuleList, list, (*_LIST, "__iadd__")),
    (ModuleDict, dict, (*_DICT, "__ior__")),
):
    for _key, _method in _mutating(_base, (*_names, "__setitem__", "__delitem__")).items():
        setattr(_cls, _key, _method)
