"""Rows of the op case table: axes and elements rearranged, tensors joined and taken apart, picking,
contractions, logic. See cases.py."""

from __future__ import annotations

import chainrule as cr
import numpy as np
from cases import MISMATCH, TWO_FLOATS, Arg, Case, Sample, b8, bad, f32, f64, i64, shapes, special

ANY = Arg()
LARGE = ((512, 512),)


def sample(*operands, **kwargs):
    return Sample(operands, kwargs)


def joined(name):
    """np.stack and its like take a list; so do ours."""
    return {
        "reference": lambda *parts, **kwargs: getattr(np, name)(parts, **kwargs),
        "run": lambda *parts, **kwargs: getattr(cr, name)(list(parts), **kwargs),
    }


def subscripted(library):
    return lambda *operands, subscripts: library.einsum(subscripts, *operands)


def products(name):
    """What sums of products are compared at: the same of absolute values."""
    return lambda *operands, **kwargs: getattr(np, name)(*map(np.abs, operands), **kwargs)


def nth_part(library):
    return lambda x, parts, axis=0, which=0: library.split(x, parts, axis)[which]


def out_of_rank(name, rank=2, axis=2):
    return f"{name}: axis out of range: axis {axis} of a tensor of rank {rank}"


def beyond(name, index, axis, shape):
    return f"{name}: {index} is out of bounds for axis {axis} of shape {shape}"


NO_INTEGERS = '{}: the index is not of integers: float32; use astype("int64")'
INDEX = Arg(kind="index")
BOOL = Arg(kind="bool")
TRUTHS = np.array([[True, False], [False, False], [True, True]])

REARRANGED = (
    Case("moveaxis", np.moveaxis, (ANY,),
         (sample((2, 3, 4), source=0, destination=-1), sample((2, 3, 4), source=(0, -1), destination=(1, 0)),
          sample((5,), source=0, destination=0), sample((2, 0, 3), source=2, destination=0),
          sample((2, 3, 4, 5), source=[3, 0, 1], destination=[0, 1, 2])),
         shapes(LARGE, source=0, destination=1), ulp=0, composed=True,
         errors=(bad(f32(2, 3), 2, 0, error=cr.IndexError, text=out_of_rank("moveaxis")),
                 bad(f32(2, 3), (0, 1), 0, error=cr.ValueError,
                     text="moveaxis: source and destination name different numbers of axes: (0, 1) and (0,)"),
                 bad(f32(2, 3), (0, -2), (0, 1), error=cr.ValueError,
                     text="moveaxis: an axis is named twice: axes are (0, -2)"))),
    Case("swapaxes", np.swapaxes, (ANY,),
         (sample((2, 3, 4), axis1=0, axis2=-1), sample((3, 5), axis1=1, axis2=0),
          sample((7,), axis1=0, axis2=0),
          sample((0, 3), axis1=0, axis2=1)),
         shapes(LARGE, axis1=0, axis2=1), ulp=0, composed=True,
         errors=(bad(f32(2, 3), 0, 2, error=cr.IndexError, text=out_of_rank("swapaxes")),)),
    Case("flip", np.flip, (ANY,),
         (sample((7,)), sample((3, 5)), sample((3, 5), axis=1), sample((2, 3, 4), axis=(0, -1)), sample(()),
          sample((0, 3), axis=0), sample((1, 4), axis=0)),
         shapes(LARGE, axis=1), ulp=0, composed=True,
         errors=(bad(f32(2, 3), 2, error=cr.IndexError, text=out_of_rank("flip")),
                 bad(f32(2, 3), (0, 0), error=cr.ValueError,
                     text="flip: an axis is named twice: axes are (0, 0)"))),
    Case("repeat", np.repeat, (ANY,),
         (sample((3, 4), repeats=2), sample((3, 4), repeats=3, axis=0), sample((3, 4), repeats=2, axis=-1),
          sample((3, 4), repeats=[2, 0, 1], axis=0), sample((3,), repeats=[1, 2, 3]), sample((3,), repeats=0),
          sample((), repeats=3), sample((0, 2), repeats=2, axis=1)),
         shapes(((512, 64),), repeats=8, axis=1), ulp=0, composed=True,
         errors=(bad(f32(2, 3), -1, error=cr.ValueError,
                     text="repeat: repeats is negative: -1; use 0 or more"),
                 bad(f32(3), [1, -2, 1], error=cr.ValueError,
                     text="repeat: repeats is negative: -2; use 0 or more"),
                 bad(f32(2, 3), [1, 2], 1, error=cr.ShapeError,
                     text="repeat: repeats does not fit the axis: 2 numbers for 3 entries; "
                          "give one number per entry, or one for all"),
                 bad(f32(2, 3), 2, 2, error=cr.IndexError, text=out_of_rank("repeat")),
                 bad(f32(2), 1.5, error=cr.DTypeError,
                     text="repeat: repeats must be an integer or a tuple of integers, got float"))),
    Case("tile", np.tile, (ANY,),
         (sample((3,), reps=2), sample((2, 3), reps=2), sample((2, 3), reps=(2, 1)),
          sample((2, 3), reps=(2, 1, 3)), sample((), reps=(2, 2)), sample((2, 3), reps=(0, 2)),
          sample((2, 0), reps=3)),
         shapes(((512, 64),), reps=(1, 8)), ulp=0, composed=True,
         errors=(bad(f32(2, 3), (1, -1), error=cr.ValueError,
                     text="tile: a number of repetitions is negative: (1, -1); use 0 or more"),)),
    Case("pad", np.pad, (ANY,),
         (sample((3,), pad_width=2), sample((2, 3), pad_width=1), sample((2, 3), pad_width=(1, 2)),
          sample((2, 3), pad_width=((1, 0), (0, 2))),
          sample((2, 3), pad_width=((1, 2),), constant_values=-1.5),
          sample((0, 3), pad_width=1), sample((2, 3), pad_width=0, constant_values=2),
          *(sample((4, 3), pad_width=((2, 1), (0, 5)), mode=mode)
            for mode in ("edge", "reflect", "symmetric", "wrap")),
          sample((1, 3), pad_width=2, mode="reflect")),
         shapes(LARGE, pad_width=1), ulp=0, composed=True,
         errors=(bad(f32(2, 3), (1, -1), error=cr.ValueError,
                     text="pad: a width is negative: (1, -1); use 0 or more; to cut, index with slices"),
                 bad(f32(2, 3), ((1, 1), (1, 1), (1, 1)), error=cr.ShapeError,
                     text="pad: the widths do not fit: 3 pairs for a tensor of shape (2, 3); "
                          "give one pair (before, behind) per axis, or one for all"),
                 bad(f32(2, 3), (1, 2, 3), error=cr.ShapeError,
                     text="pad: pad_width has 3 numbers for one axis; give (before, after), "
                          "or one number for both"),
                 bad(f32(2), 1, "mirror", error=cr.ValueError,
                     text="pad: not a mode that is known: 'mirror'; "
                          "use constant, edge, reflect, symmetric or wrap"),
                 bad(f32(0), 1, "edge", error=cr.ShapeError,
                     text="pad: an axis of size 0 has nothing to repeat: shape is (0,); use mode constant"))),
    Case("diagonal", np.diagonal, (ANY,),
         (sample((3, 3)), sample((3, 5)), sample((5, 3), offset=1), sample((3, 5), offset=-2),
          sample((2, 3, 4), axis1=2, axis2=0), sample((2, 3, 4), offset=1, axis1=-2, axis2=-1),
          sample((2, 3), offset=7), sample((0, 3))),
         shapes(LARGE), ulp=0, composed=True,
         errors=(bad(f32(3), error=cr.IndexError, text=out_of_rank("diagonal", 1, 1)),
                 bad(f32(3, 3), 0, 1, -1, error=cr.ValueError,
                     text="diagonal: an axis is named twice: axes are (1, -1)"))),
)  # fmt: skip

JOINED = (
    Case("stack", args=(ANY,),
         samples=(*shapes(((3,), (3,)), ((2, 3), (2, 3), (2, 3)), ((), ()), ((0, 3), (0, 3))),
                  *shapes(((2, 3), (2, 3)), axis=1), *shapes(((2, 3), (2, 3)), axis=-1)),
         bench=shapes(((512, 512), (512, 512))), ulp=0, composed=True, **joined("stack"),
         errors=(bad(f32(2, 3), f32(3, 2), error=cr.ShapeError,
                     text="stack: shapes differ: (2, 3) and (3, 2); all must be equal"),
                 bad(f32(2), f64(2), error=cr.DTypeError, text=TWO_FLOATS.format("stack")),
                 bad(f32(2), axis=2, error=cr.IndexError, text=out_of_rank("stack")),
                 bad(error=cr.ValueError, text="stack: no tensors were given; give at least one"))),
    Case("vstack", args=(ANY,),
         samples=shapes(((3,), (3,)), ((2, 3), (1, 3)), ((2, 3), (3,)), ((2, 3, 1), (1, 3, 1)),
                        ((0, 3), (2, 3))),
         bench=shapes(((512, 512), (512, 512))), ulp=0, composed=True, **joined("vstack"),
         errors=(bad(f32(2, 3), f32(2, 2), error=cr.ShapeError,
                     text="vstack: sizes differ outside the axis: (2, 3) and (2, 2) along axis 0"),)),
    Case("hstack", args=(ANY,),
         samples=shapes(((3,), (2,)), ((2, 3), (2, 1)), ((), ()), ((2, 3, 1), (2, 1, 1)), ((2, 0), (2, 3))),
         bench=shapes(((512, 512), (512, 512))), ulp=0, composed=True, **joined("hstack"),
         errors=(bad(f32(2, 3), f32(3, 3), error=cr.ShapeError,
                     text="hstack: sizes differ outside the axis: (2, 3) and (3, 3) along axis 1"),)),
    Case("split", nth_part(np), (ANY,),
         (sample((6, 2), parts=3, which=1), sample((3, 4), parts=2, axis=-1, which=1), sample((5,), parts=1),
          sample((7,), parts=[2, 5], which=1), sample((7,), parts=[2, 5], which=2),
          sample((3, 7), parts=[-3], axis=1, which=1), sample((4,), parts=[3, 1], which=1),
          sample((0, 2), parts=2)),
         shapes(LARGE, parts=4, axis=1, which=2), run=nth_part(cr), ulp=0, composed=True,
         errors=(bad(f32(5), 2, error=cr.ShapeError,
                     text="split: the axis does not divide into equal parts: 5 entries along axis 0 into 2; "
                          "give the indices to split at, for instance [2, ...]"),
                 bad(f32(5), 0, error=cr.ValueError,
                     text="split: the number of parts must be 1 at least: 0"),
                 bad(f32(5), 1, 1, error=cr.IndexError, text=out_of_rank("split", 1, 1)))),
)  # fmt: skip

PICKED = (
    Case("take", np.take, (ANY, INDEX),
         (*shapes(((5, 3), (4,)), ((5, 3), (2, 3)), ((5,), ()), ((5, 3), (0,)), ((5, 0), (2,)), below=5,
                  axis=0),
          *shapes(((3, 5), (7,)), ((2, 5, 3), (2, 2)), below=5, axis=1),
          *shapes(((2, 5), (3,)), below=5, axis=-1),
          *shapes(((2, 3), (4,)), ((5,), (5,)), below=5)),
         shapes(((4096, 64), (4096,)), below=4096, axis=0), ulp=0,
         specials=(special([1, np.nan, 3], np.array([-1, -2, 0, -1]), to=[3, np.nan, 1, 3]),),
         errors=(bad(f32(2, 3), i64(2) + 2, 0, error=cr.IndexError, text=beyond("take", 2, 0, (2, 3))),
                 bad(f32(2, 3), i64(1) - 7, error=cr.IndexError, text=beyond("take", -7, 0, (6,))),
                 bad(f32(2, 3), f32(2), error=cr.DTypeError, text=NO_INTEGERS.format("take")),
                 bad(f32(2, 3), i64(2), 2, error=cr.IndexError, text=out_of_rank("take")))),
    Case("take_along_axis", np.take_along_axis, (ANY, INDEX),
         (*shapes(((3, 5), (3, 2)), ((3, 5), (1, 5)), ((1, 5), (3, 7)), ((67, 5), (67, 1)), ((3, 5), (3, 0)),
                  ((2, 3, 5), (2, 3, 2)), below=5, axis=-1),
          *shapes(((5, 3), (2, 3)), ((5, 3), (2, 1)), below=5, axis=0),
          *shapes(((2, 5, 3), (2, 4, 3)), below=5, axis=1)),
         shapes(((4096, 10), (4096, 10)), below=10, axis=-1), ulp=0, composed=True, rows=True,
         errors=(bad(f32(2, 3), i64(2), error=cr.ShapeError,
                     text="take_along_axis: the index has another rank than x: x is (2, 3), index is (2,); "
                          "to pick one entry per row with an index of shape (N,), use take_along"),
                 bad(f32(2, 3), i64(3, 1), error=cr.ShapeError,
                     text="take_along_axis: shapes do not broadcast: (2,) and (3,); "
                          "sizes must be equal or 1, counted from the last axis"),
                 bad(f32(2, 3), i64(2, 1) + 3, error=cr.IndexError,
                     text=beyond("take_along_axis", 3, 1, (2, 3))),
                 bad(f32(2, 3), f32(2, 1), error=cr.DTypeError, text=NO_INTEGERS.format("take_along_axis")))),
)  # fmt: skip

CONTRACTED = (
    Case("einsum", subscripted(np), (ANY, ANY),
         (*shapes(((3, 5), (5, 4)), subscripts="ij,jk->ik"), *shapes(((3, 5), (5, 4)), subscripts="ij,jk"),
          *shapes(((3, 5),), subscripts="ij->ji"), *shapes(((3, 5),), subscripts="ji"),
          *shapes(((4, 4),), subscripts="ii"), *shapes(((4, 4),), subscripts="ii->i"),
          *shapes(((2, 3, 2, 2),), subscripts="iaii->a"), *shapes(((3, 5),), subscripts="ij->"),
          *shapes(((2, 3, 4), (2, 4, 5)), subscripts="bij,bjk->bik"),
          *shapes(((2, 3, 4), (4, 5)), subscripts="...j,jk->...k"),
          *shapes(((2, 3, 4), (2, 4, 5)), subscripts="...ij,...jk->i...k"),
          *shapes(((3,), (4,)), subscripts="i,j->ji"), *shapes(((3,), (3,)), subscripts=" i , i "),
          *shapes(((2, 3), (3, 4), (4, 2)), subscripts="ij,jk,ki->"),
          *shapes(((2, 3), (3, 4), (2, 4)), subscripts="ij,jk,ik->ik"),
          *shapes(((2, 3), (2, 3), (2,)), subscripts="ij,ij,i->j"),
          *shapes(((3, 1), (3, 4)), subscripts="ij,ij->i"), *shapes(((), (3,)), subscripts=",i->i"),
          *shapes(((0, 3), (3, 2)), ((2, 0), (0, 3)), subscripts="ij,jk->ik"),
          *shapes(((2, 1030), (1030, 3)), subscripts="ij,jk->ki")),
         shapes(((32, 64, 64), (64, 64)), subscripts="bij,jk->bik"), run=subscripted(cr), ulp=8,
         scale=lambda *operands, subscripts: np.einsum(subscripts, *map(np.abs, operands)), composed=True,
         specials=(special(np.array([1, 2]), np.array([3, 4]), to=np.array(11), subscripts="i,i"),
                   special(np.array([1, 2], np.uint8), to=np.array(3, np.uint8), subscripts="i->"),
                   special(TRUTHS, TRUTHS, to=np.einsum("ij,kj->ik", TRUTHS, TRUTHS),
                           subscripts="ij,kj->ik")),
         errors=(bad(f32(2, 3), f32(2, 3), subscripts="ij,jk", error=cr.ShapeError,
                     text="einsum: sizes of 'j' differ: 3 and 2 in 'ij,jk'"),
                 bad(f32(2, 3), subscripts="ii", error=cr.ShapeError,
                     text="einsum: sizes of 'i' differ: 2 and 3 in 'ii'"),
                 bad(f32(2, 3), subscripts="ijk", error=cr.ShapeError,
                     text="einsum: the letters do not fit operand 0: 3 letters for shape (2, 3) in 'ijk'; "
                          "write one letter per axis"),
                 bad(f32(2, 3), subscripts="i->i", error=cr.ShapeError,
                     text="einsum: the letters do not fit operand 0: 1 letters for shape (2, 3) in 'i->i'; "
                          "write one letter per axis, or ..."),
                 bad(f32(2), subscripts="i,i", error=cr.ValueError,
                     text="einsum: the number of operands does not fit: 'i,i' names 2, 1 were given"),
                 bad(f32(2), subscripts="i->j", error=cr.ValueError,
                     text="einsum: 'j' of the result is in no operand: 'i->j'"),
                 bad(f32(2), subscripts="i->ii", error=cr.ValueError,
                     text="einsum: 'i' stands twice in the result: 'i->ii'; use each letter once"),
                 bad(f32(2), subscripts="1", error=cr.ValueError,
                     text="einsum: '1' is no letter: '1'; write for instance \"ij,jk->ik\""),
                 bad(f32(2), subscripts="i..", error=cr.ValueError,
                     text="einsum: a dot that belongs to no ...: 'i..'; write ... once per operand"),
                 bad(f32(2, 3), subscripts="...i->i", error=cr.ValueError,
                     text="einsum: the operands have ..., the result has not: '...i->i'; "
                          "write ... behind -> as well"),
                 bad(f32(2), f64(2), subscripts="i,i", error=cr.DTypeError,
                     text=TWO_FLOATS.format("einsum")))),
    Case("tensordot", np.tensordot, (ANY, ANY),
         (*shapes(((2, 3, 4), (3, 4, 5))), *shapes(((3, 4), (4, 5)), axes=1), *shapes(((3,), (2,)), axes=0),
          *shapes(((2, 3, 4), (4, 2)), axes=((0, 2), (1, 0))), *shapes(((3, 4), (5, 3)), axes=(0, 1)),
          *shapes(((0, 3), (3, 2)), axes=1)),
         shapes(((512, 512), (512, 512)), axes=1), ulp=8, scale=products("tensordot"), composed=True,
         errors=(bad(f32(2, 3), f32(2, 3), 1, error=cr.ShapeError,
                     text="tensordot: sizes to be summed over differ: axis 1 of (2, 3) and axis 0 of (2, 3)"),
                 bad(f32(2, 3), f32(2), 2, error=cr.ValueError,
                     text="tensordot: the number of axes does not fit: 2 for shapes (2, 3) and (2,)"),
                 bad(f32(2, 2), f32(2, 2), ((0, 0), (0, 1)), error=cr.ValueError,
                     text="tensordot: an axis is named twice: (0, 0) and (0, 1)"),
                 bad(f32(2), f32(2), (0, 0, 0), error=cr.ValueError,
                     text="tensordot: axes must be a number or a pair (axes of a, axes of b), "
                          "got (0, 0, 0)"))),
    Case("dot", np.dot, (ANY, ANY),
         shapes(((3,), (3,)), ((2, 3), (3,)), ((2, 3), (3, 4)), ((2, 3), (4, 3, 5)), ((), (3,)), ((2, 3), ()),
                ((3,), (3, 2))),
         shapes(((512, 512), (512, 512))), ulp=8, scale=products("dot"), composed=True,
         errors=(bad(f32(2, 3), f32(2, 3), error=cr.ShapeError,
                     text="dot: sizes to be summed over differ: axis 1 of (2, 3) and axis 0 of (2, 3)"),)),
    Case("inner", np.inner, (ANY, ANY),
         shapes(((3,), (3,)), ((2, 3), (4, 3)), ((2, 3), (3,)), ((2, 2, 3), (4, 3)), ((), (3,))),
         shapes(((512, 512), (512, 512))), ulp=8, scale=products("inner"), composed=True,
         errors=(bad(f32(2, 3), f32(3, 2), error=cr.ShapeError,
                     text="inner: sizes to be summed over differ: axis 1 of (2, 3) and axis 1 of (3, 2)"),)),
)  # fmt: skip

LOGIC = (
    *(Case(name, getattr(np, name), (BOOL, BOOL),
           shapes(((), ()), ((7,), (7,)), ((3, 5), (5,)), ((2, 1), (3,)), ((0, 3), (3,))),
           shapes((LARGE[0], LARGE[0])), smooth=False, composed=True,
           specials=(special(np.array([0, 2, 0, 2]), [True, True, False, False],
                             to=getattr(np, name)([0, 2, 0, 2], [1, 1, 0, 0])),),
           errors=(bad(b8(2, 3), b8(2), error=cr.ShapeError, text=MISMATCH.format(name)),))
      for name in ("logical_and", "logical_or", "logical_xor")),
    Case("logical_not", np.logical_not, (BOOL,), shapes(((),), ((7,),), ((3, 5),), ((0, 3),)), shapes(LARGE),
         smooth=False, composed=True,
         specials=(special([0, -0.0, np.nan, 2], to=np.array([True, True, False, False])),),
         errors=(bad("a", error=cr.DTypeError,
                     text="logical_not: expected a tensor, an array or a number, got str"),)),
    *(Case(name, getattr(np, name), (BOOL,),
           (*shapes(((),), ((7,),), ((3, 5),), ((0,),)), *shapes(((3, 5),), ((0, 3),), axis=0),
            *shapes(((2, 3, 4),), axis=(0, -1), keepdims=True)),
           shapes(LARGE, axis=1), smooth=False, composed=True,
           specials=(special(TRUTHS, to=getattr(np, name)(TRUTHS, 1), axis=1),
                     special([0, np.nan], to=np.array(name == "any"))),
           errors=(bad(b8(2, 3), 2, error=cr.IndexError, text=out_of_rank(name)),))
      for name in ("any", "all")),
)  # fmt: skip

CASES = (*REARRANGED, *JOINED, *PICKED, *CONTRACTED, *LOGIC)
