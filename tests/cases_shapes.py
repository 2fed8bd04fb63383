"""Rows of the op case table: ops that move elements without computing, and picking by index. See cases.py."""

from __future__ import annotations

import numpy as np
from cases import Arg, Case, Sample, bad, f32, f64, i64, shapes, special

import chainrule as cr

ANY = Arg()
LARGE = ((512, 512),)


def sample(*operands, **kwargs):
    return Sample(operands, kwargs)


def along(x, index, axis=-1):
    return np.take_along_axis(x, np.expand_dims(index, axis), axis).squeeze(axis)


def one_hot(index, classes):
    return np.eye(classes)[index]


CASES = (
    Case("reshape", np.reshape, (ANY,),
         (sample((2, 6), shape=(3, 4)), sample((2, 6), shape=(-1,)), sample((12,), shape=(2, -1, 3)), sample((), shape=(1, 1)),
          sample((1,), shape=()), sample((0, 3), shape=(5, 0)), sample((0, 3), shape=(-1, 3))),
         shapes(LARGE, shape=(-1,)), ulp=0,
         errors=(bad(f32(2, 3), (4, 2), error=cr.ShapeError, text="reshape: the number of elements differs: (2, 3) (6) to (4, 2)"),
                 bad(f32(2, 3), (-1, 4), error=cr.ShapeError, text="reshape: the number of elements differs: (2, 3) (6) to (-1, 4)"),
                 bad(f32(2, 3), (-1, -1), error=cr.ShapeError,
                     text="reshape: sizes must be 0 or more, one may be -1: shape is (-1, -1)"),
                 bad(f32(0, 3), (-1, 0), error=cr.ShapeError, text="reshape: the number of elements differs: (0, 3) (0) to (-1, 0)"),
                 bad(f32(2), 1.5, error=cr.DTypeError, text="reshape: shape must be an integer or a tuple of integers, got float"))),
    Case("transpose", np.transpose, (ANY,),
         (*shapes(((3, 5),), ((17, 33),), ((2, 3, 4),), ((),), ((7,),), ((0, 3),), ((1, 5),)),
          sample((2, 3, 4), axes=(1, 2, 0)), sample((2, 3, 4), axes=(0, -1, 1)), sample((2, 3, 4, 5), axes=(3, 1, 0, 2))),
         shapes(LARGE, ((64, 32, 128),)), ulp=0,
         errors=(bad(f32(2, 3), (0, 0), error=cr.ShapeError,
                     text="transpose: axes are not a permutation of all axes: (0, 0) for shape (2, 3)"),
                 bad(f32(2, 3), (0,), error=cr.ShapeError,
                     text="transpose: axes are not a permutation of all axes: (0,) for shape (2, 3)"),
                 bad(f32(2, 3), (0, 2), error=cr.IndexError, text="transpose: axis out of range: axis 2 of a tensor of rank 2"))),
    Case("squeeze", np.squeeze, (ANY,),
         (*shapes(((3, 1, 5, 1),), ((1, 1),), ((),), ((3,),)), sample((3, 1, 5, 1), axis=1), sample((1, 3, 1), axis=(0, -1)),
          sample((1, 0), axis=0)),
         shapes(((512, 1, 512),)), ulp=0, composed=True,
         errors=(bad(f32(2, 1), 0, error=cr.ShapeError, text="squeeze: the axis has not size 1: axis 0 of shape (2, 1)"),
                 bad(f32(2, 1), 2, error=cr.IndexError, text="squeeze: axis out of range: axis 2 of a tensor of rank 2"),
                 bad(f32(1, 1), (0, -2), error=cr.ValueError, text="squeeze: an axis is named twice: axes are (0, -2)"))),
    Case("expand_dims", np.expand_dims, (ANY,),
         (sample((3, 5), axis=0), sample((3, 5), axis=1), sample((3, 5), axis=-1), sample((), axis=0), sample((0,), axis=1)),
         shapes(LARGE, axis=0), ulp=0, composed=True,
         errors=(bad(f32(2), 3, error=cr.IndexError, text="expand_dims: axis out of range: axis 3 of a tensor of rank 2"),
                 bad(f32(2), -3, error=cr.IndexError, text="expand_dims: axis out of range: axis -3 of a tensor of rank 2"))),
    Case("broadcast_to", np.broadcast_to, (ANY,),
         (sample((3,), shape=(2, 3)), sample((3, 1), shape=(3, 4)), sample((), shape=(2, 2)), sample((1,), shape=(0,)),
          sample((2, 1, 3), shape=(4, 2, 5, 3)), sample((3,), shape=(3,)), sample((1, 67), shape=(3, 67))),
         shapes(((512,),), shape=(512, 512)), ulp=0,
         errors=(bad(f32(2, 3), (3, 2), error=cr.ShapeError,
                     text="broadcast_to: the shape does not broadcast to the one asked for: (2, 3) to (3, 2)"),
                 bad(f32(2, 3), (3,), error=cr.ShapeError,
                     text="broadcast_to: the shape does not broadcast to the one asked for: (2, 3) to (3,)"),
                 bad(f32(2, 3), (-1, 3), error=cr.ShapeError,
                     text="broadcast_to: a size is negative: shape is (-1, 3); sizes must be 0 or more"))),
    Case("slice", lambda x, index: x[index], (ANY,),
         (sample((7,), index=slice(2, 5)), sample((7,), index=slice(None, None, -1)), sample((7,), index=slice(-2, -9, -2)),
          sample((7,), index=slice(5, 2)), sample((3, 5), index=1), sample((3, 5), index=(-1, slice(1, 4))),
          sample((3, 5), index=(..., 2)), sample((3, 5), index=(None, slice(None), None, 0)), sample((3, 5), index=...),
          sample((2, 3, 4), index=(slice(None), slice(0, 3, 2), slice(3, None, -3))), sample((0, 3), index=slice(0, 4)),
          sample((67, 3), index=(slice(1, 66, 2), slice(None, 2)))),
         shapes(LARGE, index=(slice(1, 500, 2), slice(None, None, -1))), ulp=0,
         run=lambda x, index: (x if isinstance(x, cr.Tensor) else cr.tensor(x))[index],
         errors=(bad(f32(2, 3), 5, error=cr.IndexError, text="index: 5 is out of bounds for axis 0 of shape (2, 3)"),
                 bad(f32(2, 3), (0, -4), error=cr.IndexError, text="index: -4 is out of bounds for axis 1 of shape (2, 3)"),
                 bad(f32(2, 3), (0, 0, 0), error=cr.IndexError, text="index: too many indices: 3 for a tensor of shape (2, 3)"),
                 bad(f32(2), slice(None, None, 0), error=cr.ValueError, text="index: a slice's step cannot be 0"),
                 bad(f32(2), (..., ...), error=cr.IndexError, text="index: only one ... is allowed"))),
    Case("concat", lambda *parts, axis=0: np.concatenate(parts, axis), (ANY,),
         (*shapes(((3,), (4,)), ((2, 3), (0, 3)), ((1,),), ((2, 1), (3, 1), (1, 1))),
          *shapes(((2, 3), (2, 5)), ((2, 1, 3), (2, 4, 3), (2, 2, 3)), ((3, 17), (3, 16)), axis=1),
          *shapes(((2, 3), (2, 1)), axis=-1)),
         shapes(((512, 512), (512, 512)), axis=1), run=lambda *parts, axis=0: cr.concat(list(parts), axis), ulp=0,
         errors=(bad(f32(2, 3), f32(3, 2), error=cr.ShapeError,
                     text="concat: sizes differ outside the axis: (2, 3) and (3, 2) along axis 0"),
                 bad(f32(2), f32(2, 1), error=cr.ShapeError,
                     text="concat: sizes differ outside the axis: (2,) and (2, 1) along axis 0"),
                 bad(error=cr.ValueError, text="concat: no tensors were given; give at least one"),
                 bad(f32(2), f64(2), error=cr.DTypeError, text="concat: parts have different dtypes: float32 and float64; use astype"),
                 bad(f32(2), f32(2), axis=1, error=cr.IndexError, text="concat: axis out of range: axis 1 of a tensor of rank 1"),
                 bad(f32(), f32(), error=cr.IndexError, text="concat: axis out of range: axis 0 of a tensor of rank 0"))),
    Case("take_along", along, (ANY, Arg(kind="index")),
         (*shapes(((3, 5), (3,)), ((67, 5), (67,)), ((5,), ()), ((2, 3, 5), (2, 3)), ((0, 5), (0,)), below=5),
          *shapes(((5, 3), (3,)), ((5, 2, 3), (2, 3)), below=5, axis=0), *shapes(((2, 5, 3), (2, 3)), below=5, axis=-2)),
         shapes(((4096, 10), (4096,)), below=10), ulp=0, rows=True,
         specials=(special([[1, 2, np.nan], [np.inf, 5, 6]], np.array([-1, -3]), to=[np.nan, np.inf]),),
         errors=(bad(f32(2, 3), i64(3), error=cr.ShapeError,
                     text="take_along: the index does not fit: x is (2, 3), index is (3,); it needs x's shape without axis 1, (2,)"),
                 bad(f32(2, 3), f32(2), error=cr.DTypeError,
                     text='take_along: the index is not of integers: float32; use astype("int64")'),
                 bad(f32(2, 3), i64(2) + 3, error=cr.IndexError,
                     text="take_along: an index is out of range; indices run from -n to n - 1"),
                 bad(f32(2, 3), i64(2) - 4, error=cr.IndexError,
                     text="take_along: an index is out of range; indices run from -n to n - 1"),
                 bad(f32(2, 3), i64(2) + 2**32, error=cr.IndexError,
                     text="take_along: an index is out of range; indices run from -n to n - 1"),
                 bad(f32(2, 3), i64(2), 2, error=cr.IndexError, text="take_along: axis out of range: axis 2 of a tensor of rank 2"))),
    Case("one_hot", one_hot, (Arg(kind="index"),),
         shapes(((7,),), ((),), ((0,),), ((3, 5),), ((67,),), below=5, classes=5), shapes(((4096,),), below=10, classes=10),
         ulp=0, smooth=False, rows=True,
         specials=(special(np.array([0, 1], np.int32), to=np.array([[1, 0], [0, 1]], np.int32), classes=2, dtype="int32"),
                   special(np.array([1], np.uint8), to=np.array([[0.0, 1]]), classes=2, dtype="float64")),
         errors=(bad(i64(2), 0, error=cr.ValueError, text="one_hot: the number of classes must be 1 at least: 0"),
                 bad(i64(2) + 3, 3, error=cr.IndexError, text="one_hot: an index is out of range; indices run from -n to n - 1"),
                 bad(f32(2), 3, error=cr.DTypeError, text='one_hot: the index is not of integers: float32; use astype("int64")'))),
)  # fmt: skip
