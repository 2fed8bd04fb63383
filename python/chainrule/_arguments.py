"""The line that a call with wrong arguments gets: which argument does not fit, what was given, what to write.

Not a public module: python/src/argument_errors.cpp calls explain() with the signatures pybind11 wrote.
"""

from __future__ import annotations

import collections.abc
import difflib
import operator
import re
from typing import Any, NamedTuple

from . import _core

_LONGEST_VALUE = 60


class _Parameter(NamedTuple):
    name: str
    kind: str
    default: str | None
    keyword_only: bool


def explain(
    name: str, signatures: list[str], positional: list[Any], named: dict[str, Any], method: bool
) -> str:
    """Why none of the signatures takes these arguments, as one line."""
    return _explain(name, signatures[0], positional, named, method)


def _explain(name: str, signature: str, positional: list[Any], named: dict[str, Any], method: bool) -> str:
    parameters, any_number, any_keyword = _parse(signature)
    called = name == "__call__"
    if method and parameters:
        owner, parameters = parameters[0], parameters[1:]
        if not positional or not _fits(owner.kind, positional[0]):
            given = _shown(positional[0]) if positional else "nothing"
            return f"{name}: is a method of {_words(owner.kind)}, called on {given}"
        if name.startswith("__"):
            name = type(positional[0]).__name__
        positional = positional[1:]
    arguments = f"({', '.join(_usage(parameters, any_number))})"
    usage = f"call it with {arguments}" if called else f"write {name}{arguments}"
    places = [p for p in parameters if not p.keyword_only]
    if len(positional) > len(places) and not any_number:
        limit = f"{len(places)} argument{'s' * (len(places) != 1)}" if places else "no arguments"
        by_name = " by position" if len(parameters) > len(places) else ""
        verb = "was" if len(positional) == 1 else "were"
        return f"{name}: takes {limit}{by_name}, {len(positional)} {verb} given; {usage}"
    bound = list(zip(places, positional, strict=False))
    known = {p.name: p for p in parameters}
    for key, value in named.items():
        if key not in known:
            if any_keyword:
                continue
            close = difflib.get_close_matches(key, known, n=1)
            advice = f"did you mean {close[0]}?" if close else usage
            return f"{name}: has no argument {key}; {advice}"
        if any(p.name == key for p, _ in bound):
            return f"{name}: {key} was given twice, by position and by name; {usage}"
        bound.append((known[key], value))
    given_names = {p.name for p, _ in bound}
    for p in parameters:
        if p.default is None and p.name not in given_names:
            return f"{name}: {p.name} is missing; {usage}"
    wrong = [(p, value) for p, value in bound if not _fits(p.kind, value)]
    wrong += [(p, value) for p, value in bound if isinstance(value, int) and abs(value) >= 2**31]
    for p, value in wrong:
        subject = "" if re.fullmatch(r"arg\d+", p.name) else f"{p.name} "
        small = " that fits into 32 bits" if isinstance(value, int) and _fits(p.kind, value) else ""
        return f"{name}: {subject}must be {_words(p.kind)}{small}, got {_shown(value)}"
    given_types = ", ".join(type(value).__name__ for _, value in bound)
    return f"{name}: cannot take ({given_types}); {usage}"


def _parse(signature: str) -> tuple[list[_Parameter], bool, bool]:
    """The parameters of "name(self: T, a: T, *, b: T = 1) -> T", and whether it takes *args and **kwargs."""
    parameters, keyword_only, any_number, any_keyword = [], False, False, False
    for part in _split(signature[signature.index("(") + 1 :], ","):
        if part.startswith("**"):
            any_keyword = True
        elif part.startswith("*"):
            any_number, keyword_only = any_number or len(part) > 1, True
        elif part and part != "/":
            declared, _, default = part.partition(" = ")
            parameter, _, kind = declared.partition(": ")
            parameters.append(_Parameter(parameter, kind, default or None, keyword_only))
    return parameters, any_number, any_keyword


def _split(text: str, separator: str) -> list[str]:
    """The parts of text up to the bracket that closes it; brackets and quotes inside are kept whole."""
    parts, depth, quote, part = [], 0, "", ""
    for c in text:
        if quote:
            quote = "" if c == quote else quote
        elif c in "'\"":
            quote = c
        elif c in "([{":
            depth += 1
        elif c in ")]}":
            depth -= 1
            if depth < 0:
                break
        elif c == separator and depth == 0:
            parts.append(part.strip())
            part = ""
            continue
        part += c
    return [*parts, part.strip()]


def _usage(parameters: list[_Parameter], any_number: bool) -> collections.abc.Iterator[str]:
    starred = False
    for p in parameters:
        if p.keyword_only and not starred:
            starred = True
            yield "*args" if any_number else "*"
        yield p.name if p.default is None else f"{p.name}={p.default}"
    if any_number and not starred:
        yield "*args"


_INTEGER = "typing.SupportsInt | typing.SupportsIndex"
_NUMBER = "typing.SupportsFloat | typing.SupportsIndex"
_RATE = "float | Schedule | collections.abc.Callable[[int], float]"
_PLAIN: dict[str, tuple[str, type | tuple[type, ...]]] = {
    "str": ("a string", str),
    "bytes": ("bytes", bytes),
    "dict": ("a dict", dict),
    "list": ("a list", list),
    "tuple": ("a tuple", tuple),
}
_MANY = {
    "a string": "strings",
    "an integer": "integers",
    "a number": "numbers",
    "True or False": "True or False",
}


def _words(kind: str) -> str:
    """A type as pybind11 writes it, in words."""
    if kind.endswith(" | None"):
        return f"{_words(kind.removesuffix(' | None'))} or None"
    if kind == _INTEGER:
        return "an integer"
    if kind == _NUMBER:
        return "a number"
    if kind == _RATE:
        return "a number, a schedule or a function of the step"
    if len(kinds := _split(kind, "|")) > 1:
        return " or ".join(map(_words, kinds))
    if kind == "bool":
        return "True or False"
    if kind in _PLAIN:
        return _PLAIN[kind][0]
    outer, inner = _generic(kind)
    if outer == "tuple":
        return f"a tuple of {len(inner)} {_many(inner[0])}"
    if outer == "collections.abc.Sequence":
        return f"a list of {_many(inner[0])}"
    if outer == "collections.abc.Mapping":
        return f"a dict of {_many(inner[0])} to {_many(inner[1])}"
    if outer in ("typing.Annotated", "numpy.ndarray", "numpy.typing.NDArray"):
        return f"an array of {inner[1].rpartition('.')[2]}" if len(inner) > 1 else "a NumPy array"
    last = kind.rpartition(".")[2]
    return f"{'an' if last[:1] in 'AEIOU' else 'a'} {last}"


def _many(kind: str) -> str:
    words = _words(kind)
    return _MANY.get(words, words)


def _generic(kind: str) -> tuple[str, list[str]]:
    outer, bracket, rest = kind.partition("[")
    return outer, _split(rest, ",") if bracket else []


def _fits(kind: str, value: Any) -> bool:
    """Whether pybind11 takes the value for this type."""
    if kind.endswith(" | None"):
        return value is None or _fits(kind.removesuffix(" | None"), value)
    if kind == _INTEGER:
        try:
            return -(2**63) <= operator.index(value) < 2**63
        except TypeError:
            return False
    if kind == _NUMBER:
        return hasattr(type(value), "__float__") or hasattr(type(value), "__index__")
    if kind == _RATE:
        number = _fits(_NUMBER, value) and not isinstance(value, bool)
        return number or callable(value)
    if len(kinds := _split(kind, "|")) > 1:
        return any(_fits(one, value) for one in kinds)
    if kind == "bool":
        return value is None or hasattr(type(value), "__bool__")
    if kind in _PLAIN:
        return isinstance(value, _PLAIN[kind][1])
    outer, inner = _generic(kind)
    if outer == "tuple":
        return (
            isinstance(value, collections.abc.Sequence)
            and not isinstance(value, str | bytes)
            and len(value) == len(inner)
            and all(map(_fits, inner, value))
        )
    if outer == "collections.abc.Sequence":
        if isinstance(value, str | bytes) or not isinstance(value, collections.abc.Iterable):
            return False
        return all(_fits(inner[0], item) for item in value)
    if outer == "collections.abc.Mapping":
        return isinstance(value, collections.abc.Mapping) and all(
            _fits(inner[0], k) and _fits(inner[1], v) for k, v in value.items()
        )
    if kind.startswith("chainrule._core."):
        wanted = getattr(_core, kind.removeprefix("chainrule._core."), object)
        return isinstance(value, wanted)
    if outer.startswith("numpy.") and not inner:
        return type(value).__module__ == "numpy" and hasattr(value, "__array_interface__")
    return kind != "typing.Annotated"


def _shown(value: Any) -> str:
    try:
        text = re.sub(r"\s+", " ", repr(value))
    except Exception:
        text = ""
    kind = type(value).__name__
    if value is None:
        return "None"
    if not text or len(text) > _LONGEST_VALUE:
        return f"{'an' if kind[:1] in 'aeiou' else 'a'} {kind}"
    return f"{text} ({kind})"
