"""Where Python is: the user's line for messages, and what is being called there.

Not a public module: the bindings call it when a tensor is turned into a number or an array.
"""

from __future__ import annotations

import dis
import functools
from types import CodeType, FrameType

_ON_THE_WAY = {"numpy", "chainrule", "copy", "pickle"}
# Calls by which NumPy takes numbers out of tensors unseen, to write them into an array.
_WRITERS = {"fill", "fromiter", "__setitem__", "itemset", "setitem"}


def line(frame: FrameType) -> str:
    """ "line 3 of x.py: ", of the innermost frame that is not a library's on the way here."""
    at: FrameType | None = frame
    while at is not None and at.f_globals.get("__name__", "").partition(".")[0] in _ON_THE_WAY:
        at = at.f_back
    at = at or frame
    return f"line {at.f_lineno} of {at.f_code.co_filename.rpartition('/')[2]}: "


def writes_numbers(frame: FrameType) -> bool:
    """Whether the frame is executing a[...] = value, or a call of one of NumPy's writers."""
    return _writes(frame.f_code, frame.f_lasti)


@functools.lru_cache(maxsize=1024)
def _writes(code: CodeType, at: int) -> bool:
    instructions = [i for i in dis.get_instructions(code) if i.offset <= at]
    if not instructions:
        return False
    now = instructions[-1]
    if now.opname == "STORE_SUBSCR":
        return True
    if not now.opname.startswith("CALL") or now.positions is None:
        return False
    # What is called stands where the call begins; the last name loaded there is the function's or method's.
    start = now.positions.lineno, now.positions.col_offset
    names = (
        i.argval
        for i in reversed(instructions[:-1])
        if i.opname.startswith(("LOAD_ATTR", "LOAD_METHOD", "LOAD_GLOBAL", "LOAD_NAME", "LOAD_FAST"))
        and i.positions is not None
        and (i.positions.lineno, i.positions.col_offset) == start
    )
    return next(names, None) in _WRITERS
