"""The op case table: one row per public op, read by test_ops.py and by the benchmarks. No test is here.

This file holds what a row is and how its inputs are drawn; the rows are in cases_elementwise.py,
cases_shapes.py, cases_structure.py, cases_reductions.py and cases_order.py, joined in CASES at the end.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import chainrule as cr
import numpy as np

INF, NAN = np.inf, np.nan


@dataclass(frozen=True)
class Arg:
    """How random values of one operand are drawn.

    kind: "float"; "bool"; "index" (int64 in [0, high)). away: points where the op has a kink, from which
    values keep 0.05 away. lattice: values all different, 0.05 apart, also from those of operands with another
    lattice number.
    """

    low: float = -3.0
    high: float = 3.0
    kind: str = "float"
    away: tuple[float, ...] = ()
    lattice: int | None = None

    def draw(self, rng: np.random.Generator, shape: tuple[int, ...], dtype: str = "float64") -> np.ndarray:
        if self.kind == "bool":
            return rng.random(shape) < 0.5
        if self.kind == "index":
            return rng.integers(0, int(self.high), shape)
        size = int(np.prod(shape))
        if self.lattice is not None:
            steps = rng.permutation(size) - size // 2
            return (0.15 * steps + 0.05 * self.lattice).reshape(shape).astype(dtype)
        x = rng.uniform(self.low, self.high, shape)
        for point in self.away:
            x = np.where(np.abs(x - point) < 0.05, point + np.copysign(0.05, x - point) + (x - point), x)
        return x.astype(dtype)


@dataclass(frozen=True)
class Sample:
    """Operand shapes and attributes of one call. below: the bound of index operands, where it depends on the
    shapes."""

    shapes: tuple[tuple[int, ...], ...]
    kwargs: dict[str, Any]
    below: int | None = None


def shapes(*each: Sequence[tuple[int, ...]], below: int | None = None, **kwargs: Any) -> tuple[Sample, ...]:
    """Samples with the same attributes; each entry lists the shapes of the operands."""
    return tuple(Sample(tuple(s), kwargs, below) for s in each)


@dataclass(frozen=True)
class Special:
    """Inputs whose outputs are known exactly, with NaN equal to NaN and the sign of zeros compared."""

    inputs: tuple[Any, ...]
    expected: Any
    kwargs: dict[str, Any]


def special(*inputs: Any, to: Any, **kwargs: Any) -> Special:
    return Special(inputs, to, kwargs)


@dataclass(frozen=True)
class Bad:
    """A call that is refused, with the whole text of the error. Inputs are arrays or plain Python values."""

    inputs: tuple[Any, ...]
    error: type[Exception]
    text: str
    kwargs: dict[str, Any]


def bad(*inputs: Any, error: type[Exception], text: str, **kwargs: Any) -> Bad:
    return Bad(inputs, error, text, kwargs)


@dataclass(frozen=True)
class Case:
    """One op.

    reference: the same in NumPy, given float64 operands. ulp: how many units in the last place float32 (and
    float64, unless ulp64 says otherwise) may be off, counted at the magnitude that `scale` gives, which is
    the result's own unless cancellation makes more of it fair. composed: a function made of other ops, with
    no entry of its own in the registry. smooth: has derivatives to compare with differences. rows: axis 0 of
    the first operand (and of others of the same length) is a batch whose rows do not know each other.
    everywhere: `ulp` holds over the whole range of float32 and float64, not only for what `args`
    draw (test_accuracy.py). integers: also defined, exactly, for these dtypes.
    """

    name: str
    reference: Callable[..., Any]
    args: tuple[Arg, ...]
    samples: tuple[Sample, ...]
    bench: tuple[Sample, ...]
    run: Callable[..., Any] | None = None
    ulp: float = 0.5
    ulp64: float | None = None
    scale: Callable[..., Any] | None = None
    specials: tuple[Special, ...] = ()
    errors: tuple[Bad, ...] = ()
    composed: bool = False
    smooth: bool = True
    rows: bool = False
    everywhere: bool = False
    integers: tuple[str, ...] = ()

    def __call__(self, *inputs: Any, **kwargs: Any) -> Any:
        return (self.run or getattr(cr, self.name))(*inputs, **kwargs)

    @property
    def differentiable(self) -> tuple[int, ...]:
        """Which operands have derivatives."""
        return tuple(i for i, arg in enumerate(self.args) if arg.kind == "float") if self.smooth else ()

    def draw(self, sample: Sample, seed: int = 0, dtype: str = "float64") -> list[np.ndarray]:
        rng = np.random.default_rng([seed, *self.name.encode()])
        args = [self.args[min(i, len(self.args) - 1)] for i in range(len(sample.shapes))]
        if sample.below is not None:
            args = [Arg(0, sample.below, "index") if a.kind == "index" else a for a in args]
        return [a.draw(rng, s, dtype) for a, s in zip(args, sample.shapes, strict=True)]


def f32(*shape: int) -> np.ndarray:
    return np.zeros(shape, np.float32)


def f64(*shape: int) -> np.ndarray:
    return np.zeros(shape, np.float64)


def i64(*shape: int) -> np.ndarray:
    return np.zeros(shape, np.int64)


def b8(*shape: int) -> np.ndarray:
    return np.zeros(shape, np.bool_)


# What binary ops say when operands do not fit, {} standing for the op's name.
MISMATCH = (
    "{}: shapes do not broadcast: (2, 3) and (2,); sizes must be equal or 1, counted from the last axis"
)
TWO_FLOATS = (
    "{}: operands have two float dtypes: float32 and float64; "
    'convert one, for instance with x.astype("float64")'
)
NO_DTYPE = '{}: not defined for this dtype: {}; use astype("float32")'

INTEGERS = ("int32", "int64", "uint8")
INTEGERS_AND_BOOL = (*INTEGERS, "bool")


def all_cases() -> tuple[Case, ...]:
    import cases_elementwise
    import cases_order
    import cases_reductions
    import cases_shapes
    import cases_structure

    return (
        *cases_elementwise.CASES,
        *cases_shapes.CASES,
        *cases_structure.CASES,
        *cases_reductions.CASES,
        *cases_order.CASES,
    )
