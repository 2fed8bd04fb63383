"""Rows of the op case table: order along an axis. See cases.py."""

from __future__ import annotations

import chainrule as cr
import numpy as np
from cases import INF, INTEGERS, INTEGERS_AND_BOOL, NAN, Arg, Case, bad, f32, shapes, special
from cases_reductions import out_of_range

DIFFERENT = Arg(lattice=0)


def sort(x, axis=-1, descending=False):
    x = x.reshape(-1) if axis is None else x
    at = axis or 0
    return np.take_along_axis(x, argsort(x, at, descending), at)


def argsort(x, axis=-1, descending=False):
    if not descending:
        return np.argsort(x, axis=axis, kind="stable")
    last = np.flip(x, axis)  # stable: of equals the later one comes first in the flipped array
    order = np.flip(np.argsort(last, axis=axis, kind="stable"), axis)
    return x.shape[axis] - 1 - order


CASES = (
    Case("sort", sort, (DIFFERENT,),
         (*shapes(((7,),), ((1,),), ((3, 5),), ((2, 0),), ((0, 4),), ((3, 100),)),
          *shapes(((3, 5),), ((2, 3, 4),), axis=0), *shapes(((3, 5),), axis=None),
          *shapes(((3, 5),), ((4, 33),), descending=True)),
         shapes(((1000, 1000),), ((100000,),)), ulp=0, composed=True, rows=True, integers=INTEGERS_AND_BOOL,
         specials=(special([2, NAN, 1, 2, -INF, NAN, INF], to=[-INF, 1, 2, 2, INF, NAN, NAN]),
                   special([2, NAN, 1, -INF], to=[2, 1, -INF, NAN], descending=True),
                   special([0.0, -0.0, 0.0], to=[0.0, -0.0, 0.0])),
         errors=(out_of_range("sort"), bad("a", error=cr.DTypeError,
                 text="sort: expected a tensor, an array or a number, got str"))),
    Case("topk", lambda x, k, axis=-1, largest=True: np.take(sort(x, axis, largest), range(k), axis),
         (DIFFERENT,),
         (*shapes(((7,),), ((3, 5),), ((0, 4),), k=3), *shapes(((3, 5),), ((2, 3, 4),), k=2, axis=0),
          *shapes(((3, 5),), k=5), *shapes(((3, 5),), k=0), *shapes(((4, 33),), k=3, largest=False)),
         shapes(((1000, 1000),), k=5), run=lambda *args, **kwargs: cr.topk(*args, **kwargs)[0], ulp=0,
         composed=True, rows=True, integers=INTEGERS,
         specials=(special([2, NAN, 1, 3], to=[3, 2], k=2), special([NAN, 1], to=[1, NAN], k=2),
                   special([2, NAN, 1, 3], to=[1, 2], k=2, largest=False)),
         errors=(bad(f32(2, 3), 4, error=cr.ValueError,
                     text="topk: k is out of range: 4 of 3 entries; k runs from 0 to the size of the axis"),
                 bad(f32(2, 3), -1, error=cr.ValueError,
                     text="topk: k is out of range: -1 of 3 entries; k runs from 0 to the size of the axis"),
                 bad(f32(2, 3), 1, 2, error=cr.IndexError,
                     text="topk: axis out of range: axis 2 of a tensor of rank 2"))),
    Case("argsort", argsort, (DIFFERENT,),
         (*shapes(((7,),), ((1,),), ((3, 5),), ((2, 0),), ((0, 4),), ((3, 100),)),
          *shapes(((3, 5),), ((2, 3, 4),), axis=0), *shapes(((3, 5),), axis=None),
          *shapes(((3, 5),), ((4, 33),), descending=True)),
         shapes(((1000, 1000),), ((100000,),)), ulp=0, smooth=False, rows=True, integers=(*INTEGERS, "bool"),
         specials=(special([2, NAN, 1, 2, -INF, NAN, INF], to=np.array([4, 2, 0, 3, 6, 1, 5])),
                   special([2, NAN, 1, 2, -INF, NAN, INF], to=np.array([6, 0, 3, 2, 4, 1, 5]),
                           descending=True),
                   special([0.0, -0.0, 0.0], to=np.array([0, 1, 2]))),
         errors=(out_of_range("argsort"), bad("a", error=cr.DTypeError,
                 text="argsort: expected a tensor, an array or a number, got str"))),
)  # fmt: skip
