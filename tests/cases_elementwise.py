"""Rows of the op case table: elementwise ops. See cases.py for what a row says."""

from __future__ import annotations

import math

import chainrule as cr
import numpy as np
from cases import (
    INF,
    INTEGERS,
    INTEGERS_AND_BOOL,
    MISMATCH,
    NAN,
    NO_DTYPE,
    TWO_FLOATS,
    Arg,
    Case,
    b8,
    bad,
    f32,
    f64,
    shapes,
    special,
)


def libm(f, slope, low, high):
    """A function of `math` on arrays. Its tangent near 0 and its limits outside low..high will do."""
    call = np.vectorize(f, otypes=[float])

    def whole(x):
        x = np.asarray(x, np.float64)
        y = np.asarray(slope * x if f(0) == 0 else f(0) + slope * x)
        some = (x > low) & (x < high) & (np.abs(x) > 2.0**-27)
        y[some] = call(x[some])
        y[x <= low], y[x >= high] = f(-INF), f(INF)
        return y

    return whole


erf = libm(math.erf, 2 / math.sqrt(math.pi), -6, 6)
erfc = libm(math.erfc, -2 / math.sqrt(math.pi), -6, 28)


def sigmoid(x):
    e = np.exp(-np.abs(x))
    return np.where(x >= 0, 1, e) / (1 + e)


def clip(x, low=-1, high=2):
    return np.clip(x, low, high)


def held(x):  # for x s(x) with s -> 0 as x -> -inf: a limit, not inf * 0
    return np.maximum(x, -1000)


def gelu_tanh(x):  # 0.5 x (1 + tanh u) = x sigmoid(2u), which keeps its accuracy in the lower tail
    number = np.asarray(x).dtype.type
    slope = 2 * np.sqrt(2 / number("3.141592653589793238462643383"))
    return held(x) * sigmoid(slope * (x + number("0.044715") * x**3))


SELU_LOW = 1.7580993408473766  # what selu comes from: scale times alpha


def selu(x):
    return np.where(x > 0, 1.0507009873554805 * x, SELU_LOW * np.expm1(np.minimum(x, 0)))


def softsign(x):
    return np.where(np.isinf(x), np.sign(x), x / (1 + np.abs(np.where(np.isinf(x), 0, x))))


def mish(x):  # tanh(log(1 + n)) = n (n + 2) / (n (n + 2) + 2)
    n = np.exp(np.minimum(x, 40))
    return held(x) * (n * (n + 2) / (n * (n + 2) + 2))


def mod(a, b):
    with np.errstate(all="ignore"):  # integers by 0 are 0
        return np.mod(a, b)


UNARY_SHAPES = shapes(((),), ((1,),), ((0,),), ((3, 0, 2),), ((7,),), ((3, 5),), ((2, 3, 11),), ((67,),))
PAIRS = shapes(
    ((), ()), ((1,), (1,)), ((0,), (0,)), ((67,), (67,)), ((3, 5), (5,)), ((4, 1), (1, 6)), ((), (3, 2)),
    ((2, 1, 3), (5, 1)), ((0, 3), (1, 3)), ((1,), (17,)), ((2, 3, 4), (2, 1, 4)), ((33, 2), (33, 1)),
)  # fmt: skip
BENCH = shapes(((1000,),), ((1000, 1000),))
BENCH_PAIRS = shapes(((1000,), (1000,)), ((1000, 1000), (1000, 1000)), ((1000, 1000), (1000,)))


def values(*pairs, **kwargs):
    """One special vector from (input, output) pairs; every such function also keeps NaN."""
    x, y = zip(*pairs, (NAN, NAN), strict=True)
    return (special(list(x), to=list(y), **kwargs),)


def unary(name, reference, arg, ulp, specials, *, errors=(), samples=UNARY_SHAPES, **facts):
    return Case(
        name, reference, (arg,), samples, facts.pop("bench", BENCH), ulp=ulp, specials=specials,
        errors=errors,
        rows=True, **facts,
    )  # fmt: skip


def binary(name, reference, args, ulp, specials, **facts):
    errors = (
        bad(f32(2, 3), f32(2), error=cr.ShapeError, text=MISMATCH.format(name)),
        bad(f32(2), f64(2), error=cr.DTypeError, text=TWO_FLOATS.format(name)),
        *facts.pop("errors", ()),
    )
    return Case(
        name,
        reference,
        args,
        PAIRS,
        BENCH_PAIRS,
        ulp=ulp,
        specials=specials,
        errors=errors,
        rows=True,
        **facts,
    )


# ulp64 above ulp: what NumPy's own float64 is off in a lower tail, where an exponential's argument rounds.
ANY, POSITIVE, KINK = Arg(), Arg(0.1, 4.0), Arg(away=(0.0,))
STEPS = Arg(away=tuple(np.arange(-6, 7) / 2))  # where floor, ceil or round jump
T, F = True, False


def no_bool(name):
    return (bad(b8(2), error=cr.DTypeError, text=NO_DTYPE.format(name, "bool")),)


def text_refused(name):
    return (bad("a", error=cr.DTypeError, text=f"{name}: expected a tensor, an array or a number, got str"),)


UNARY = (
    unary("negative", np.negative, ANY, 0, values((0, -0.0), (-0.0, 0.0), (INF, -INF), (1e4, -1e4)),
          integers=INTEGERS, errors=no_bool("negative")),
    unary("exp", np.exp, ANY, 4, values((0, 1), (-0.0, 1), (INF, INF), (-INF, 0), (1e4, INF), (-1e4, 0)),
          errors=text_refused("exp"), everywhere=True),
    unary("log", np.log, POSITIVE, 4, values((0, -INF), (-0.0, -INF), (1, 0), (INF, INF), (-1, NAN),
                                             (-INF, NAN)),
          errors=text_refused("log"), everywhere=True),
    unary("log1p", np.log1p, Arg(-0.9, 4), 4,
          values((0, 0.0), (-0.0, -0.0), (-1, -INF), (INF, INF), (-2, NAN), (1e-20, 1e-20)),
          errors=text_refused("log1p"), everywhere=True),
    unary("expm1", np.expm1, ANY, 4,
          values((0, 0.0), (-0.0, -0.0), (INF, INF), (-INF, -1), (1e4, INF), (-1e4, -1), (-50, -1)),
          errors=text_refused("expm1"), everywhere=True),
    unary("sqrt", np.sqrt, POSITIVE, 0.5, values((0, 0.0), (-0.0, -0.0), (INF, INF), (-1, NAN), (16, 4),
                                                 (1e4, 100)),
          errors=text_refused("sqrt"), everywhere=True),
    unary("square", np.square, ANY, 0.5, values((0, 0.0), (-0.0, 0.0), (-INF, INF), (1e4, 1e8), (-3, 9)),
          integers=INTEGERS, errors=no_bool("square")),
    unary("abs", np.abs, KINK, 0, values((0, 0.0), (-0.0, 0.0), (-INF, INF), (-1e4, 1e4)), integers=INTEGERS,
          errors=no_bool("abs")),
    unary("sign", np.sign, KINK, 0, values((0, 0.0), (INF, 1), (-INF, -1), (-1e4, -1)), integers=INTEGERS,
          errors=no_bool("sign")),
    unary("relu", lambda x: np.where(x < 0, 0.0, x), KINK, 0,
          values((0, 0.0), (INF, INF), (-INF, 0), (-1e4, 0), (1e4, 1e4)), errors=text_refused("relu")),
    unary("sigmoid", sigmoid, Arg(-6, 6), 4, values((0, 0.5), (-0.0, 0.5), (INF, 1), (-INF, 0), (1e4, 1),
                                                    (-1e4, 0)),
          errors=text_refused("sigmoid"), everywhere=True),
    unary("tanh", np.tanh, ANY, 4,
          values((0, 0.0), (-0.0, -0.0), (INF, 1), (-INF, -1), (1e4, 1), (-1e4, -1)),
          errors=text_refused("tanh"), everywhere=True),
    unary("softplus", lambda x: np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x))), Arg(-6, 6), 4,
          values((INF, INF), (-INF, 0), (1e4, 1e4), (-1e4, 0)), errors=text_refused("softplus"),
          everywhere=True),
    unary("gelu", lambda x: 0.5 * held(x) * erfc(-x / math.sqrt(2)), Arg(-4, 4), 4,
          values((0, 0.0), (INF, INF), (-INF, -0.0), (1e4, 1e4), (-1e4, -0.0)), errors=text_refused("gelu"),
          everywhere=True, ulp64=12),
    unary("gelu_tanh", gelu_tanh, Arg(-4, 4), 4,
          values((0, 0.0), (INF, INF), (-INF, -0.0), (1e4, 1e4), (-1e4, -0.0)),
          errors=text_refused("gelu_tanh"), everywhere=True, ulp64=16),
    unary("silu", lambda x: held(x) * sigmoid(x), Arg(-6, 6), 4,
          values((0, 0.0), (INF, INF), (-INF, -0.0), (1e4, 1e4), (-1e4, -0.0)), errors=text_refused("silu"),
          everywhere=True),
    unary("selu", selu, KINK, 5,
          values((0, 0.0), (-0.0, -0.0), (INF, INF), (-INF, -SELU_LOW), (-50, -SELU_LOW)),
          errors=text_refused("selu")),
    unary("mish", mish, Arg(-6, 6), 5,
          values((0, 0.0), (INF, INF), (-INF, -0.0), (1e4, 1e4), (-1e4, -0.0)), errors=text_refused("mish"),
          everywhere=True),
    unary("softsign", softsign, KINK, 2,
          values((0, 0.0), (-0.0, -0.0), (INF, 1), (-INF, -1), (1, 0.5), (-3, -0.75)),
          errors=text_refused("softsign")),
    unary("erf", erf, ANY, 4, values((0, 0.0), (-0.0, -0.0), (INF, 1), (-INF, -1), (1e4, 1), (-1e4, -1)),
          errors=text_refused("erf"), everywhere=True),
    unary("arctan", np.arctan, ANY, 4,
          values((0, 0.0), (-0.0, -0.0), (1, math.pi / 4), (INF, math.pi / 2), (-INF, -math.pi / 2)),
          errors=text_refused("arctan"), everywhere=True),
    unary("sin", np.sin, ANY, 4, values((0, 0.0), (-0.0, -0.0), (INF, NAN), (-INF, NAN)),
          errors=text_refused("sin"), everywhere=True),
    unary("cos", np.cos, ANY, 4, values((0, 1), (-0.0, 1), (INF, NAN), (-INF, NAN)),
          errors=text_refused("cos"), everywhere=True),
    unary("tan", np.tan, Arg(-1.2, 1.2), 4, values((0, 0.0), (-0.0, -0.0), (INF, NAN), (-INF, NAN)),
          errors=text_refused("tan"), everywhere=True),
    unary("arcsin", np.arcsin, Arg(-0.9, 0.9), 4,
          values((0, 0.0), (-0.0, -0.0), (1, math.pi / 2), (-1, -math.pi / 2), (1.5, NAN), (-INF, NAN)),
          errors=text_refused("arcsin"), everywhere=True),
    unary("arccos", np.arccos, Arg(-0.9, 0.9), 4,
          values((0, math.pi / 2), (1, 0.0), (-1, math.pi), (1.5, NAN), (INF, NAN)),
          errors=text_refused("arccos"), everywhere=True),
    unary("sinh", np.sinh, ANY, 4,
          values((0, 0.0), (-0.0, -0.0), (INF, INF), (-INF, -INF), (1e4, INF), (-1e4, -INF)),
          errors=text_refused("sinh"), everywhere=True),
    unary("cosh", np.cosh, ANY, 4, values((0, 1), (-0.0, 1), (INF, INF), (-INF, INF), (-1e4, INF)),
          errors=text_refused("cosh"), everywhere=True),
    unary("log2", np.log2, POSITIVE, 4,
          values((0, -INF), (-0.0, -INF), (1, 0.0), (1024, 10), (0.125, -3), (INF, INF), (-1, NAN)),
          errors=text_refused("log2"), everywhere=True),
    unary("log10", np.log10, POSITIVE, 4,
          values((0, -INF), (-0.0, -INF), (1, 0.0), (INF, INF), (-1, NAN)),
          errors=text_refused("log10"), everywhere=True),
    unary("reciprocal", lambda x: 1 / x, POSITIVE, 0.5,
          values((0, INF), (-0.0, -INF), (INF, 0.0), (-INF, -0.0), (-4, -0.25)),
          errors=text_refused("reciprocal"), everywhere=True),
    unary("floor", np.floor, STEPS, 0,
          values((0, 0.0), (-0.0, -0.0), (-0.5, -1), (0.5, 0.0), (INF, INF), (-INF, -INF), (1e4, 1e4)),
          integers=INTEGERS, errors=no_bool("floor"), everywhere=True),
    unary("ceil", np.ceil, STEPS, 0,
          values((0, 0.0), (-0.0, -0.0), (-0.5, -0.0), (0.5, 1), (INF, INF), (-INF, -INF), (1e4, 1e4)),
          integers=INTEGERS, errors=no_bool("ceil"), everywhere=True),
    unary("round", np.round, STEPS, 0,
          values((0, 0.0), (-0.0, -0.0), (0.5, 0.0), (1.5, 2), (2.5, 2), (-0.5, -0.0), (-1.5, -2), (INF, INF),
                 (-INF, -INF)),
          integers=INTEGERS, errors=no_bool("round"), everywhere=True),
    *(unary(name, getattr(np, name), ANY, 0,
            (special([0.0, 1, INF, -INF, NAN, -1e4], to=expected),), smooth=False,
            errors=text_refused(name))
      for name, expected in (("isnan", [F, F, F, F, T, F]), ("isinf", [F, F, T, T, F, F]),
                             ("isfinite", [T, T, F, F, F, T]))),
    unary("leaky_relu", lambda x, negative_slope=0.01: np.where(x > 0, x, np.multiply(negative_slope, x)),
          KINK, 1.5,
          (*values((0, 0.0), (-0.0, -0.0), (INF, INF), (-INF, -INF), (-8, -2), negative_slope=0.25),
           *values((-8, 8), (8, 8), negative_slope=-1)),
          samples=(*UNARY_SHAPES, *shapes(((5,),), negative_slope=0.25)), errors=text_refused("leaky_relu")),
    unary("elu", lambda x, alpha=1.0: np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0))), KINK, 5,
          (*values((0, 0.0), (-0.0, -0.0), (INF, INF), (-INF, -1), (-1e4, -1), (1e4, 1e4)),
           *values((-INF, -0.5), (3, 3), alpha=0.5)),
          samples=(*UNARY_SHAPES, *shapes(((5,),), alpha=1.5)), errors=text_refused("elu")),
    unary("clip", clip, Arg(away=(-1.0, 2.0)), 0,
          (*values((0, 0.0), (-INF, -1), (INF, 2), (1e4, 2), (1.5, 1.5), low=-1, high=2),
           *values((-INF, -INF), (3, 2), (-9, -9), low=-INF, high=2)),
          integers=INTEGERS,
          samples=(*shapes(*(s.shapes for s in UNARY_SHAPES), low=-1, high=2),
                   *shapes(((7,),), low=-1, high=None), *shapes(((7,),), low=None, high=2)),
          bench=shapes(*(s.shapes for s in BENCH), low=-1, high=2),
          errors=(bad(f32(2), 2, 1, error=cr.ValueError,
                      text="clip: low is above high: 2.000000 and 1.000000; exchange them"),
                  bad(f32(2), error=cr.ValueError,
                      text="clip: no bound was given; give low, high or both"),
                  bad(f32(2), None, NAN, error=cr.ValueError,
                      text="clip: a bound is not a number: nan; leave it out for no bound"),
                  bad(f32(2), 2, NAN, error=cr.ValueError,
                      text="clip: a bound is not a number: nan; leave it out for no bound"))),
)  # fmt: skip

FREE, ALL_DIFFERENT = (ANY, ANY), (Arg(lattice=0), Arg(lattice=1))
# Power has no derivative by the exponent at negative bases, so both are tested where it has.
BINARY = (
    binary("add", np.add, FREE, 0.5, (special([0.0, -0.0, INF, INF, NAN], [-0.0, -0.0, 1, -INF, 1],
                                              to=[0.0, -0.0, INF, NAN, NAN]),),
           integers=INTEGERS,
           errors=(bad(np.zeros(2, np.uint8), 300, error=cr.ValueError,
                       text='add: the number does not fit uint8: 300; use astype("int64") first'),
                   bad(b8(2), b8(2), error=cr.DTypeError, text=NO_DTYPE.format("add", "bool")))),
    binary("subtract", np.subtract, FREE, 0.5,
           (special([0.0, -0.0, INF, INF], [0.0, 0.0, INF, -INF], to=[0.0, -0.0, NAN, INF]),),
           integers=INTEGERS),
    binary("multiply", np.multiply, FREE, 0.5,
           (special([0.0, -0.0, INF, INF, -2], [1, 1, 0, -INF, 1e4], to=[0.0, -0.0, NAN, -INF, -2e4]),),
           integers=INTEGERS),
    binary("divide", np.divide, (ANY, Arg(0.5, 3)), 0.5,
           (special([1, -1, 0, INF, 1, 1], [0.0, 0.0, 0, INF, INF, -0.0],
                    to=[INF, -INF, NAN, NAN, 0.0, -INF]),)),
    binary("power", np.power, (Arg(0.4, 4), ANY), 4,
           (special([0, 0, 0, -2, -2, -2, 2, INF, NAN, 1, 4, -1],
                    [0, 2, -1, 3, 2, 0.5, -1, 2, 0, NAN, 0.5, 1e4],
                    to=[1, 0, INF, -8, 4, NAN, 0.5, INF, 1, 1, 2, 1]),),
           integers=INTEGERS,
           errors=tuple(bad(a, b, error=cr.ValueError,
                            text="power: integers to negative powers are not integers: an exponent is below "
                                 '0; use floats, for instance x.astype("float64")')
                        for a, b in ((np.array([2, 3]), -1),
                                     (np.array([[2], [3]]), np.array([1, 0, -2]))))),
    binary("maximum", np.maximum, ALL_DIFFERENT, 0,
           (special([1, -INF, NAN, 1, 1e4], [2, 3, 1, NAN, INF], to=[2, 3, NAN, NAN, INF]),),
           integers=INTEGERS),
    binary("arctan2", np.arctan2, (ANY, Arg(0.2, 3)), 4,
           (special([0.0, -0.0, 0.0, -0.0, 1, -1, 1, INF, -INF, INF, 0, 1, -1, NAN, 2],
                    [0.0, 0.0, -0.0, -0.0, 0, 0, -INF, 1, 1, INF, 1, INF, INF, 1, NAN],
                    to=[0.0, -0.0, math.pi, -math.pi, math.pi / 2, -math.pi / 2, math.pi, math.pi / 2,
                        -math.pi / 2, math.pi / 4, 0.0, 0.0, -0.0, NAN, NAN]),)),
    # Near log(e^a + e^b) = 0 the two terms cancel.
    binary("logaddexp", np.logaddexp, FREE, 4,
           (special([INF, -INF, INF, -INF, 1e4, -1e4, NAN, 3], [INF, -INF, -INF, 1, 0, 1, 1, NAN],
                    to=[INF, -INF, INF, 1, 1e4, 1, NAN, NAN]),),
           scale=lambda a, b: 1 + np.maximum(np.abs(a), np.abs(b))),
    # Derivatives are compared where a / b lies between 3 and 4.
    binary("mod", mod, (Arg(7.2, 7.8), Arg(2.1, 2.3)), 0.5,
           (special([7, -7, 7, -7, 0.0, 6, -6, 1, -1, 1, INF, 1, NAN, 1e30],
                    [3, 3, -3, -3, 3, -3, 3, INF, INF, -INF, 3, 0, 1, 0.5],
                    to=[1, 2, -2, -1, 0.0, -0.0, 0.0, 1, INF, -INF, NAN, NAN, NAN, 0.0]),),
           integers=INTEGERS,
           errors=(bad(b8(2), b8(2), error=cr.DTypeError, text=NO_DTYPE.format("mod", "bool")),)),
    binary("minimum", np.minimum, ALL_DIFFERENT, 0,
           (special([1, -INF, NAN, 1, 1e4], [2, 3, 1, NAN, INF], to=[1, -INF, NAN, NAN, 1e4]),),
           integers=INTEGERS),
)  # fmt: skip

A, B = [0.0, 1, 2, NAN, INF, -INF], [-0.0, 2, 1, NAN, INF, INF]
COMPARISONS = tuple(
    binary(name, getattr(np, name), (Arg(-2, 2), Arg(-2, 2)), 0, (special(A, B, to=result),), smooth=False,
           integers=integers)
    for name, result, integers in (
        ("equal", [T, F, F, F, T, F], INTEGERS_AND_BOOL),
        ("not_equal", [F, T, T, T, F, T], INTEGERS_AND_BOOL),
        ("less", [F, T, F, F, F, T], INTEGERS),
        ("less_equal", [T, T, F, F, T, T], INTEGERS),
        ("greater", [F, F, T, F, F, F], INTEGERS),
        ("greater_equal", [T, F, T, F, T, F], INTEGERS),
    )
)  # fmt: skip

TERNARY = (
    Case("where", np.where, (Arg(kind="bool"), ANY, ANY),
         shapes(((67,), (67,), (67,)), ((3, 5), (5,), (3, 1)), ((), (2,), ()), ((0, 2), (2,), (1,)),
                ((3, 1), (), (1, 4))),
         shapes(((1000, 1000),) * 3), ulp=0, rows=True, integers=INTEGERS_AND_BOOL,
         specials=(special([T, F, T, F], [NAN, NAN, -0.0, 1], [1, 1, 1, INF], to=[NAN, 1, -0.0, INF]),),
         errors=(bad(f32(2), f32(2), f32(2), error=cr.DTypeError,
                     text="where: the condition is not bool: float32; compare first, for instance x > 0"),
                 bad(b8(2), f32(2), f64(2), error=cr.DTypeError, text=TWO_FLOATS.format("where")),
                 bad(b8(2), f32(3), f32(3), error=cr.ShapeError,
                     text="where: shapes do not broadcast: (2,) and (3,); sizes must be equal or 1, counted "
                          "from the last axis"))),
    Case("fma", lambda a, b, c: a * b + c, (ANY, ANY, ANY),
         shapes(((67,), (67,), (67,)), ((3, 5), (5,), (3, 1)), ((), (2,), ()), ((0, 2), (2,), (1,))),
         shapes(((1000, 1000),) * 3), ulp=1, scale=lambda a, b, c: np.abs(a * b) + np.abs(c), rows=True,
         specials=(special([2, INF, INF], [3, 0, 1], [1, 1, -INF], to=[7, NAN, NAN]),),
         errors=(bad(f32(2), f32(3), f32(2), error=cr.ShapeError,
                     text="fma: shapes do not broadcast: (2,) and (3,); sizes must be equal or 1, counted "
                          "from the last axis"),)),
    Case("cast", lambda x, dtype: x.astype(dtype), (Arg(-200, 200),),
         (*shapes(((67,),), ((3, 5),), ((0,),), ((),), dtype="float64"),
          *shapes(((67,),), ((3, 5),), dtype="float32")),
         shapes(((1000, 1000),), dtype="float64"), ulp=0.5, composed=True, rows=True,
         specials=(special([1.7, -1.7, 300, 2.5], to=np.array([1, -1, 300, 2], np.int32), dtype="int32"),
                   special([0.0, -0.0, 0.1, NAN], to=[F, F, T, T], dtype="bool"),
                   special([0.0, 200.9], to=np.array([0, 200], np.uint8), dtype="uint8"),
                   special([INF, -INF, NAN, -0.0], to=np.array([INF, -INF, NAN, -0.0], np.float32),
                           dtype="float32")),
         errors=(bad(f32(2), "float16", error=cr.DTypeError,
                     text="dtype: not one chainrule knows: 'float16'; use float32, float64, int32, int64, "
                          "uint8, bool or bfloat16"),
                 bad(f32(2), float, error=cr.DTypeError,
                     text='dtype: float is ambiguous; write "float32" or "float64"'))),
)  # fmt: skip

CASES = (*UNARY, *BINARY, *COMPARISONS, *TERNARY)
