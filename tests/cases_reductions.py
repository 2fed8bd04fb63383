"""Rows of the op case table: matrix product, reductions, softmax and its kin, dropout. See cases.py."""

from __future__ import annotations

import chainrule as cr
import numpy as np
from cases import (
    INF,
    INTEGERS,
    INTEGERS_AND_BOOL,
    NAN,
    TWO_FLOATS,
    Arg,
    Case,
    bad,
    f32,
    f64,
    i64,
    shapes,
    special,
)

ANY, DIFFERENT = Arg(), Arg(lattice=0)
REDUCED = (
    *shapes(((),), ((1,),), ((7,),), ((3, 5),), ((2, 3, 4),), ((67,),), ((3, 130),)),
    *shapes(((3, 5),), ((67, 3),), ((2, 3, 4),), ((3, 0),), axis=0),
    *shapes(((3, 5),), ((2, 3, 4),), ((5, 67),), ((0, 3),), axis=-1),
    *shapes(((2, 3, 4),), axis=1, keepdims=True),
    *shapes(((2, 3, 4),), ((2, 3, 4, 5),), axis=(0, 2)),
    *shapes(((2, 3, 4),), axis=(0, -1), keepdims=True),
    *shapes(((2, 3),), keepdims=True),
)
BENCH = (*shapes(((1000, 1000),)), *shapes(((1000, 1000),), axis=0), *shapes(((1000, 1000),), axis=1))
ONE_AXIS = tuple(s for s in REDUCED if not isinstance(s.kwargs.get("axis"), tuple))


def logsumexp(x, axis=None, keepdims=False):
    top = np.max(x, axis=axis, keepdims=True)
    y = np.log(np.sum(np.exp(x - top), axis=axis, keepdims=True)) + top
    return y if keepdims else np.squeeze(y, axis if axis is not None else tuple(range(x.ndim)))


def softmax(x, axis=-1):
    e = np.exp(x - x.max(axis=axis, keepdims=True))
    return e / e.sum(axis=axis, keepdims=True)


def log_softmax(x, axis=-1):
    return x - logsumexp(x, axis, keepdims=True)


def cross_entropy(x, labels, label_smoothing=0.0, ignore_index=None):
    logp = log_softmax(x)
    n = x.shape[-1]
    target = (1 - label_smoothing) * np.eye(n)[labels % n] + label_smoothing / n
    return (
        np.where(labels == ignore_index, 0.0, -(target * logp).sum(-1))
        if labels.size
        else np.zeros(labels.shape)
    )


def matmul(a, b, transpose_a=False, transpose_b=False):
    a = np.swapaxes(a, -1, -2) if transpose_a and a.ndim > 1 else a
    return np.matmul(a, np.swapaxes(b, -1, -2) if transpose_b and b.ndim > 1 else b)


def absolute(reference):
    """What the terms of a sum of products could have added up to: the size against which its rounding is
    fair."""
    return lambda *x, **kwargs: reference(*(np.abs(v) for v in x), **kwargs)


def below(x, axis=None, keepdims=False, ddof=0):
    """The magnitude at which a variance is rounded: that of the squares it is made of."""
    return np.var(x, axis=axis, keepdims=keepdims, ddof=ddof) + np.mean(
        np.square(x), axis=axis, keepdims=keepdims
    )


def out_of_range(name):
    return bad(
        f32(2, 3), 2, error=cr.IndexError, text=f"{name}: axis out of range: axis 2 of a tensor of rank 2"
    )


def out_of_range_at(name):
    return bad(
        f32(2, 3), axis=2, error=cr.IndexError,
        text=f"{name}: axis out of range: axis 2 of a tensor of rank 2"
    )  # fmt: skip


def axis_errors(name):
    return (
        out_of_range(name),
        bad(
            f32(2, 3), (0, -2), error=cr.ValueError, text=f"{name}: an axis is named twice: axes are (0, -2)"
        ),
        bad(
            f32(2, 3),
            (),
            error=cr.ValueError,
            text=f"{name}: axis is an empty tuple; use axis=None for all axes",
        ),
        bad(
            f32(2, 3),
            "a",
            error=cr.DTypeError,
            text=f"{name}: axis must be an integer or a tuple of integers, got str",
        ),
    )


def nothing(name):
    return (
        bad(f32(0), error=cr.ShapeError, text=f"{name}: nothing to reduce: axis 0 of shape (0,) is empty; "
                                              f"check for empty data"),
        bad(f32(3, 0), axis=1, error=cr.ShapeError,
            text=f"{name}: nothing to reduce: axis 1 of shape (3, 0) is empty; check for empty data"),
    )  # fmt: skip


def not_empty(samples):
    """Without those that reduce nothing: of the empty shapes only those reduced along their other axis."""
    return tuple(s for s in samples if 0 not in s.shapes[0] or s.kwargs.get("axis") in (0, -1))


def empty_axis(name, *, rank):
    errors = (
        bad(
            f32(2, 0),
            error=cr.ShapeError,
            text=f"{name}: the axis is empty: shape is (2, 0); check for empty data",
        ),
    )
    if rank:
        errors += (
            bad(f32(), error=cr.IndexError, text=f"{name}: axis out of range: axis -1 of a tensor of rank 0"),
            out_of_range(name),
        )
    return errors


ROWS = (
    *shapes(((7,),), ((1,),), ((3, 5),), ((2, 3, 4),), ((0, 4),), ((5, 67),), ((4, 1),), ((3, 33),)),
    *shapes(((3, 5),), ((2, 3, 4),), axis=0),
    *shapes(((2, 3, 4),), axis=1),
)
INNER = "matmul: inner sizes differ: a is {}, b is {}"

SCANNED = (
    *shapes(((7,),), ((),), ((3, 5),), ((2, 0),), axis=None),
    *shapes(((3, 5),), ((2, 3, 4),), ((5, 67),), ((0, 4),), ((3, 0),), axis=-1),
    *shapes(((3, 5),), ((2, 3, 4),), axis=0),
    *shapes(((2, 3, 4),), axis=1),
    *shapes(((3, 5),), ((9, 4),), axis=-1, reverse=True),
    *shapes(((2, 3, 4),), axis=1, reverse=True),
)


def scan(reference):
    """A running result; reversed if asked for."""

    def from_either_end(x, axis=None, reverse=False):
        x = x.reshape(-1) if axis is None else x
        turned = np.flip(x, axis or 0) if reverse else x
        y = reference(turned, axis=axis or 0)
        return np.flip(y, axis or 0) if reverse else y

    return from_either_end


def scan_errors(name):
    return (
        bad(f32(2, 3), 2, error=cr.IndexError,
            text=f"{name}: axis out of range: axis 2 of a tensor of rank 2"),
        bad("a", error=cr.DTypeError, text=f"{name}: expected a tensor, an array or a number, got str"),
    )  # fmt: skip


CASES = (
    Case("matmul", matmul, (ANY, ANY),
         (*shapes(((3, 5), (5, 4)), ((1, 1), (1, 1)), ((17, 33), (33, 19)), ((67, 3), (3, 65)),
                  ((0, 3), (3, 2)), ((2, 0), (0, 3)),
                  ((3,), (3,)), ((3,), (3, 2)), ((2, 3), (3,)), ((2, 3, 4), (4, 5)), ((2, 3, 4), (2, 4, 5)),
                  ((2, 1, 3, 4), (5, 4, 2)),
                  ((3, 4), (2, 4, 5)), ((2, 3, 4), (4,)), ((2, 1030), (1030, 3))),
          *shapes(((5, 3), (5, 4)), ((2, 4, 3), (2, 4, 5)), ((33, 17), (33, 5)), transpose_a=True),
          *shapes(((3, 5), (4, 5)), ((2, 3, 4), (2, 5, 4)), ((2, 3, 4), (5, 4)), ((5, 33), (17, 33)),
                  transpose_b=True),
          *shapes(((5, 3), (4, 5)), ((2, 4, 3), (5, 4)), transpose_a=True, transpose_b=True)),
         shapes(((128, 784), (784, 256)), ((512, 512), (512, 512)), ((1, 784), (784, 256))), ulp=8,
         scale=absolute(matmul), rows=False, integers=INTEGERS_AND_BOOL,
         specials=(special([[1, INF]], [[0], [1]], to=[[INF]]), special([[INF, 1]], [[0], [1]], to=[[NAN]])),
         errors=(bad(f32(32, 100), f32(128, 100), error=cr.ShapeError,
                     text=INNER.format((32, 100), (128, 100)) + "; did you mean b.T?"),
                 bad(f32(3, 2), f32(3, 4), error=cr.ShapeError,
                     text=INNER.format((3, 2), (3, 4)) + "; did you mean a.T?"),
                 bad(f32(3, 2), f32(5, 4), error=cr.ShapeError, text=INNER.format((3, 2), (5, 4))),
                 bad(f32(3, 2), f32(2, 4), transpose_a=True, error=cr.ShapeError,
                     text=INNER.format("(3, 2) transposed", (2, 4)) + "; did you mean a.T?"),
                 bad(f32(3, 2), 2.0, error=cr.ShapeError,
                     text="matmul: an operand is a scalar: a is (3, 2), b is (); use * instead"),
                 bad(f32(3), f32(4), error=cr.ShapeError, text=INNER.format((3,), (4,))),
                 bad(f32(2, 3, 2), f32(3, 2, 4), error=cr.ShapeError,
                     text="matmul: shapes do not broadcast: (2,) and (3,); sizes must be equal or 1, "
                          "counted from the last axis"),
                 bad(f32(3, 2), f64(2, 4), error=cr.DTypeError, text=TWO_FLOATS.format("matmul")))),
    Case("sum", np.sum, (ANY,), REDUCED, BENCH, ulp=6, scale=absolute(np.sum), integers=("int32", "int64"),
         specials=(special([INF, -INF], to=NAN), special([1, INF], to=INF),
                   special([[1, NAN], [2, 3]], to=[3, NAN], axis=0)),
         errors=axis_errors("sum")),
    Case("outer", np.outer, (ANY, ANY),
         shapes(((3,), (4,)), ((), (2,)), ((2, 3), (5,)), ((0,), (3,)), ((1,), (1,))),
         shapes(((1000,), (1000,))), ulp=0.5, composed=True, integers=INTEGERS,
         specials=(special([1, INF], [0, 2], to=[[0, 2], [NAN, INF]]),),
         errors=(bad(f32(2), f64(2), error=cr.DTypeError, text=TWO_FLOATS.format("outer")),)),
    # Each factor is rounded once, and NumPy's float64 product as often.
    Case("prod", np.prod, (Arg(0.5, 1.5),), REDUCED, BENCH, ulp=32, integers=("int32", "int64", "bool"),
         specials=(special([INF, 0], to=NAN), special([2, INF], to=INF), special([], to=1),
                   special([[1, NAN], [2, 3]], to=[2, NAN], axis=0), special([-0.0, 3], to=-0.0)),
         errors=axis_errors("prod")),
    Case("mean", np.mean, (ANY,), not_empty(REDUCED), BENCH, ulp=6, scale=absolute(np.mean),
         specials=(special([INF, -INF], to=NAN), special([[1, NAN], [2, 3]], to=[1.5, NAN], axis=0)),
         errors=(*axis_errors("mean"), *nothing("mean"))),
    Case("var", np.var, (ANY,),
         (*not_empty(REDUCED), *shapes(((7,),), ((3, 5),), ddof=1), *shapes(((3, 5),), axis=1, ddof=2)),
         BENCH,
         ulp=6, scale=below, composed=True,
         specials=(special([5, 5, 5], to=0.0), special([1, INF], to=NAN), special([1, NAN], to=NAN),
                   special([1, 3], to=2, ddof=1)),
         errors=(*axis_errors("var"),
                 bad(f32(1), ddof=1, error=cr.ValueError,
                     text="var: ddof leaves nothing to divide by: ddof is 1 for 1 values; use more values"),
                 bad(f32(0), error=cr.ValueError,
                     text="var: ddof leaves nothing to divide by: ddof is 0 for 0 values; use more values"))),
    Case("std", np.std, (ANY,),
         (*(s for s in not_empty(REDUCED) if s.shapes[0] not in ((), (1,))),
          *shapes(((7,),), ((3, 5),), ddof=1)),
         BENCH, ulp=6, scale=lambda *x, **kwargs: np.sqrt(below(*x, **kwargs)), composed=True,
         specials=(special([5, 5, 5], to=0.0), special([1, INF], to=NAN), special([1, NAN], to=NAN),
                   special([1, 3], to=np.sqrt(np.float64(2)), ddof=1)),
         errors=(*axis_errors("std"),
                 bad(f32(1), ddof=1, error=cr.ValueError,
                     text="std: ddof leaves nothing to divide by: ddof is 1 for 1 values; use more values"))),
    Case("norm", np.linalg.norm, (Arg(lattice=1),),
         (*shapes(((7,),), ((3, 5),), ((2, 3, 4),), ((0,),)),
          *shapes(((3, 5),), ((67,),), ord=None, axis=-1), *shapes(((3, 5),), axis=0, keepdims=True),
          *shapes(((2, 3, 4),), axis=(0, 2)), *shapes(((3, 5),), ord="fro"),
          *(s for order in (1, 2, np.inf, -np.inf, 3, 1.5) for s in shapes(((7,),), ((1,),), ord=order)),
          *shapes(((3, 5),), ord=3, axis=0), *shapes(((3, 5),), ord=3, axis=-1, keepdims=True),
          *(s for order in (1, np.inf, -np.inf) for s in shapes(((3, 5),), ((1, 3),), ord=order)),
          *shapes(((3, 5),), ord=1, axis=1), *shapes(((3, 5),), ord=2, axis=0, keepdims=True),
          *(s for order in (1, np.inf) for axis in ((0, 2), (2, 0), (-1, 1))
            for s in shapes(((2, 3, 4),), ord=order, axis=axis)),
          *shapes(((2, 3, 4),), ord=np.inf, axis=(0, 1), keepdims=True)),
         shapes(((1000, 1000),)), ulp=6, composed=True,
         specials=(special([3, -4], to=5), special([0.0, 0], to=0.0), special([1, INF], to=INF),
                   special([1, NAN], to=NAN), special([1, -INF], ord=1, to=INF),
                   special([2, 0, -3], ord=0, to=2), special([2, 0, -3], ord=-1, to=0.0),
                   special([0.0, 0], ord=3, to=0.0), special([0, NAN], ord=3, to=NAN),
                   special([2, NAN], ord=np.inf, to=NAN), special([2, -1], ord=-np.inf, to=1)),
         errors=(out_of_range_at("norm"),
                 bad(f32(2, 3), 2, error=cr.ValueError,
                     text="norm: not an order of matrices: 2.000000; use None or 'fro' (root of the sum of "
                          "squares), 1, inf or -inf"),
                 bad(f32(3), NAN, error=cr.ValueError,
                     text="norm: not an order of vectors: nan; use None or a number"),
                 bad(f32(2, 3, 4), 1, error=cr.ValueError,
                     text="norm: an order needs one axis or two: 3 were given; use ord=None for the root of "
                          "the sum of squares"),
                 bad(f32(2, 3), "nuc", error=cr.ValueError,
                     text="norm: not an order: 'nuc'; use None, 'fro' or a number"))),
    Case("max", np.max, (DIFFERENT,), not_empty(REDUCED), BENCH, ulp=0, integers=(*INTEGERS, "bool"),
         specials=(special([1, NAN, 3], to=NAN), special([-INF, -INF], to=-INF), special([1, INF], to=INF)),
         errors=(*axis_errors("max"), *nothing("max"))),
    Case("min", np.min, (DIFFERENT,), not_empty(REDUCED), BENCH, ulp=0, integers=(*INTEGERS, "bool"),
         specials=(special([1, NAN, 3], to=NAN), special([INF, INF], to=INF), special([1, -INF], to=-INF)),
         errors=(*axis_errors("min"), *nothing("min"))),
    Case("argmax", np.argmax, (DIFFERENT,), not_empty(ONE_AXIS), BENCH, ulp=0, smooth=False,
         integers=(*INTEGERS, "bool"),
         specials=(special([1, 3, 3], to=np.int64(1)), special([1, NAN, 3], to=np.int64(1)),
                   special([-INF, -INF], to=np.int64(0)),
                   special([[0.0, -0.0], [1, 1]], to=np.array([0, 0]), axis=1)),
         errors=(out_of_range("argmax"), *nothing("argmax"))),
    Case("argmin", np.argmin, (DIFFERENT,), not_empty(ONE_AXIS), BENCH, ulp=0, smooth=False,
         integers=(*INTEGERS, "bool"),
         specials=(special([3, 1, 1], to=np.int64(1)), special([1, NAN, 0], to=np.int64(1)),
                   special([INF, INF], to=np.int64(0)),
                   special([[-0.0, 0.0], [1, 1]], to=np.array([0, 0]), axis=1)),
         errors=(out_of_range("argmin"), *nothing("argmin"))),
    # Half of the factors are above 1, so that products neither grow nor vanish.
    Case("cumprod", scan(np.cumprod), (Arg(0.5, 1.5),), SCANNED, shapes(((1000, 1000),), axis=-1), ulp=67,
         rows=True, integers=("int32", "int64", "bool"),
         specials=(special([2, 0.0, 3, -1], to=[2, 0.0, 0.0, -0.0]),
                   special([2, INF, 0, 1], to=[2, INF, NAN, NAN]),
                   special([1, 2, 4], to=[8, 8, 4], reverse=True)),
         errors=scan_errors("cumprod")),
    Case("cumsum", scan(np.cumsum), (ANY,), SCANNED, shapes(((1000, 1000),), axis=-1), ulp=67,
         scale=lambda x, axis=None, **_: np.broadcast_to(
             np.abs(x).sum(axis, keepdims=axis is not None), x.shape if axis is not None else (x.size,)),
         rows=True, integers=("int32", "int64", "bool"),
         specials=(special([1, -0.0, 2], to=[1, 1, 3]), special([-0.0, -0.0], to=[-0.0, -0.0]),
                   special([1, INF, -INF, 2], to=[1, INF, NAN, NAN]),
                   special([1, 2, 4], to=[7, 6, 4], reverse=True)),
         errors=scan_errors("cumsum")),
    Case("logsumexp", logsumexp, (ANY,), not_empty(REDUCED), BENCH, ulp=6,
         scale=lambda x, axis=None, keepdims=False: 1 + np.abs(logsumexp(x, axis, keepdims)),
         specials=(special([1e4, 1e4, -INF], to=np.float64(1e4 + np.log(2))), special([-INF, -INF], to=-INF),
                   special([1, INF], to=INF), special([1, NAN], to=NAN), special([7], to=7)),
         errors=(*axis_errors("logsumexp"),
                 bad(f32(0), error=cr.ShapeError,
                     text="logsumexp: the axis is empty: shape is (0,); check for empty data"))),
    Case("softmax", softmax, (ANY,), ROWS, shapes(((4096, 10),), ((1000, 1000),)), ulp=8, rows=True,
         specials=(special([1e4, 1e4], to=[0.5, 0.5]), special([-1e4, 1e4], to=[0, 1]),
                   special([-INF, 3], to=[0, 1]),
                   special([[NAN, 1]], to=[[NAN, NAN]]), special([7], to=[1])),
         errors=empty_axis("softmax", rank=True)),
    Case("log_softmax", log_softmax, (ANY,), ROWS, shapes(((4096, 10),), ((1000, 1000),)), ulp=8, rows=True,
         scale=lambda x, axis=-1: 1 + np.abs(log_softmax(x, axis)),
         specials=(special([-1e4, 1e4], to=[-2e4, 0.0]), special([-INF, 3], to=[-INF, 0.0]),
                   special([[NAN, 1]], to=[[NAN, NAN]])),
         errors=empty_axis("log_softmax", rank=True)),
    Case("softmax_cross_entropy", cross_entropy, (ANY, Arg(kind="index")),
         (*shapes(((3, 5), (3,)), ((67, 5), (67,)), ((5,), ()), ((2, 3, 5), (2, 3)), ((0, 5), (0,)), below=5),
          *shapes(((7, 5), (7,)), below=5, label_smoothing=0.1),
          *shapes(((17, 3), (17,)), below=3, ignore_index=1),
          *shapes(((9, 4), (9,)), below=4, ignore_index=0, label_smoothing=0.3)),
         shapes(((4096, 10), (4096,)), below=10), ulp=10, scale=lambda x, *_,
         **__: 1 + np.abs(log_softmax(x)).max(-1), rows=True,
         specials=(special([[1e4, -1e4]], np.array([1]), to=[2e4]),
                   special([[1e4, -1e4]], np.array([0]), to=[0.0]),
                   special([[1.0, 2]], np.array([-100]), to=[0.0], ignore_index=-100)),
         errors=(bad(f32(2, 3), i64(3), error=cr.ShapeError,
                     text="softmax_cross_entropy: labels do not fit the logits: logits are (2, 3), labels "
                          "are (3,); "
                          "give one label per row, shape (2,)"),
                 bad(f32(2, 3), f32(2), error=cr.DTypeError,
                     text='softmax_cross_entropy: labels are not integers: float32; use astype("int64"), or '
                          'a loss of probabilities'),
                 bad(f32(2, 3), i64(2) + 3, error=cr.IndexError,
                     text="softmax_cross_entropy: a label is outside the classes: label 3, 3 classes; "
                          "labels must be 0 ... 2; check the target, or set ignore_index"),
                 bad(f32(2, 3), i64(2) + 2**32, error=cr.IndexError,
                     text="softmax_cross_entropy: a label is outside the classes: label 4294967296, 3 "
                          "classes; labels must be 0 ... 2; check the target, or set ignore_index"),
                 bad(f32(2, 3), i64(2), label_smoothing=2, error=cr.ValueError,
                     text="softmax_cross_entropy: label_smoothing is outside [0, 1]: 2.000000"))),
    # Its mask is random: what it does to values is tested by itself, here only that p = 0 keeps and p = 1
    # drops them all.
    Case("dropout", lambda x, p: x if p == 0 else 0 * x, (ANY,),
         (*shapes(((67,),), ((3, 5),), ((),), ((0,),), p=0.0),
          *shapes(((67,),), ((3, 5),), ((),), ((0,),), p=1.0)),
         shapes(((1000, 1000),), p=0.5), ulp=0, rows=False,
         errors=(bad(f32(2), 1.5, error=cr.ValueError,
                     text="dropout: p is outside [0, 1]: 1.500000; p is the probability of dropping"),
                 bad(f32(2), NAN, error=cr.ValueError,
                     text="dropout: p is outside [0, 1]: nan; p is the probability of dropping"))),
)  # fmt: skip
