"""ONNX's operators that move elements, in chainrule's public ops: part of onnx_adapter.py's table."""

from __future__ import annotations

from typing import Any

import chainrule as cr
import numpy as np
from onnx import helper


class LeftOut(Exception):
    """This node needs what the library does not offer; the message says what."""


def ints(t: Any) -> list[int]:
    return [int(v) for v in np.asarray(t).reshape(-1)]


def constant(**given):
    ((kind, value),) = given.items()
    dtype = {"value_int": "int64", "value_ints": "int64", "value_float": "float32", "value_floats": "float32"}
    return cr.tensor(np.asarray(value, dtype.get(kind)))


def constant_of_shape(shape, value=None):
    value = np.zeros(1, "float32") if value is None else value
    return cr.full(tuple(ints(shape)), value.item(), value.dtype.name)


def compress(x, condition, axis=None):
    kept = np.flatnonzero(np.asarray(condition))
    return cr.take(x, kept, axis)


def depth_to_space(x, blocksize, mode="DCR"):
    n, c, h, w = x.shape
    b = blocksize
    if mode == "DCR":
        y = cr.transpose(x.reshape(n, b, b, c // b**2, h, w), (0, 3, 4, 1, 5, 2))
    else:
        y = cr.transpose(x.reshape(n, c // b**2, b, b, h, w), (0, 1, 4, 2, 5, 3))
    return y.reshape(n, c // b**2, h * b, w * b)


def space_to_depth(x, blocksize, mode="DCR"):
    n, c, h, w = x.shape
    b = blocksize
    order = (0, 3, 5, 1, 2, 4) if mode == "DCR" else (0, 1, 3, 5, 2, 4)
    return cr.transpose(x.reshape(n, c, h // b, b, w // b, b), order).reshape(n, c * b * b, h // b, w // b)


def expand(x, shape):
    return cr.broadcast_to(x, np.broadcast_shapes(x.shape, tuple(ints(shape))))


def flatten(x, axis=1):
    axis = axis + x.ndim if axis < 0 else axis
    return x.reshape(int(np.prod(x.shape[:axis])), int(np.prod(x.shape[axis:])))


def gather_elements(x, index, axis=0):
    return cr.take_along_axis(x, index, axis)


def gather_nd(x, indices, batch_dims=0):
    index = np.asarray(indices)
    batch = np.indices(index.shape[:-1], sparse=True)[:batch_dims]
    return x[(*batch, *np.moveaxis(index, -1, 0))]


def one_hot(indices, depth, values, axis=-1):
    (n,) = ints(depth)
    place = np.asarray(indices).astype("int64")
    y = cr.moveaxis(cr.one_hot(place % n, n), -1, axis)
    outside = np.expand_dims((place < -n) | (place >= n), axis)
    off, on = values[0], values[1]
    return cr.where(cr.logical_and(y == 1, ~outside), on, off)


def pad(x, pads, value=None, axes=None, mode="constant"):
    axes = range(x.ndim) if axes is None else ints(axes)
    pads = ints(pads)
    width = [(0, 0)] * x.ndim
    for axis, before, after in zip(axes, pads, pads[len(pads) // 2 :], strict=False):
        width[axis] = (before, after)
    constants = {} if value is None else {"constant_values": np.asarray(value).item()}
    inside = tuple(slice(max(0, -b), n - max(0, -a)) for (b, a), n in zip(width, x.shape, strict=True))
    return cr.pad(x[inside], [(max(0, b), max(0, a)) for b, a in width], mode=mode, **constants)


def reshape(x, shape, allowzero=0):
    sizes = ints(shape)
    if not allowzero:
        sizes = [x.shape[i] if size == 0 else size for i, size in enumerate(sizes)]
    return x.reshape(tuple(sizes))


def reverse_sequence(x, lengths, batch_axis=1, time_axis=0):
    """Steps 0 to length - 1 of each sample backwards, the others as they are."""
    steps = np.arange(x.shape[time_axis])[:, None]
    length = np.asarray(lengths)[None, :]
    order = np.where(steps < length, length - 1 - steps, steps)
    order = order if (time_axis, batch_axis) == (0, 1) else order.T
    order = order.reshape(order.shape + (1,) * (x.ndim - 2))
    return cr.take_along_axis(x, np.broadcast_to(order, x.shape), time_axis)


def scatter(gather):
    """Writing at indices is the pullback of reading there; what is written twice is added."""

    def write(x, index, updates, axis=0, reduction="none"):
        if reduction not in ("none", "add"):
            raise LeftOut(f"writing at indices with reduction {reduction}")
        _, pullback = cr.vjp(lambda x: gather(x, index, axis), x)
        (written,) = pullback(updates)
        if reduction == "add":
            return x + written
        (count,) = pullback(cr.full(updates.shape, 1, updates.dtype))
        return cr.where(count > 0, written, x)

    return write


def shape_of(x, start=0, end=None):
    return cr.tensor(np.array(x.shape[slice(start, end)], "int64"))


def cut(x, starts, ends, axes=None, steps=None):
    starts, ends = ints(starts), ints(ends)
    axes = range(len(starts)) if axes is None else ints(axes)
    steps = [1] * len(starts) if steps is None else ints(steps)
    index = [slice(None)] * x.ndim
    for axis, start, end, step in zip(axes, starts, ends, steps, strict=True):
        n = x.shape[axis]
        if step < 0 and end < -n:  # ONNX: before the first, which a Python slice spells None
            end = None
        index[axis] = slice(start, end, step)
    return x[tuple(index)]


def split(x, sizes=None, axis=0, num_outputs=None):
    n = x.shape[axis]
    each = -(-n // num_outputs)
    sizes = ints(sizes) if sizes is not None else [each] * (num_outputs - 1)
    return tuple(cr.split(x, np.cumsum(sizes)[: num_outputs - 1].tolist(), axis))


def squeeze(x, axes=None):
    return cr.squeeze(x) if axes is None else cr.squeeze(x, tuple(ints(axes)))


def trilu(x, k=None, upper=1):
    k = 0 if k is None else ints(k)[0]
    rows, columns = np.indices(x.shape[-2:], sparse=True)
    kept = columns - rows >= k if upper else columns - rows <= k
    return cr.where(kept, x, cr.full((), 0, x.dtype))


STRUCTURE = {
    "Compress": compress,
    "Concat": lambda *parts, axis: cr.concat(parts, axis),
    "Constant": constant,
    "ConstantOfShape": constant_of_shape,
    "DepthToSpace": depth_to_space,
    "Expand": expand,
    "EyeLike": lambda x, k=0, dtype=None: cr.tensor(
        np.eye(*x.shape, k=k), x.dtype if dtype is None else helper.tensor_dtype_to_np_dtype(dtype).name
    ),
    "Flatten": flatten,
    "Gather": lambda x, index, axis=0: cr.take(x, index, axis),
    "GatherElements": gather_elements,
    "GatherND": gather_nd,
    "NonZero": lambda x: cr.stack(cr.nonzero(x)),
    "OneHot": one_hot,
    "Pad": pad,
    "Range": lambda start, limit, delta: cr.tensor(
        np.arange(*(np.asarray(v)[()] for v in (start, limit, delta)), dtype=start.dtype)
    ),
    "Reshape": reshape,
    "ReverseSequence": reverse_sequence,
    "Scatter": scatter(gather_elements),
    "ScatterElements": scatter(gather_elements),
    "ScatterND": scatter(lambda x, index, axis: gather_nd(x, index)),
    "Shape": shape_of,
    "Size": lambda x: cr.tensor(np.int64(x.size)),
    "Slice": cut,
    "SpaceToDepth": space_to_depth,
    "Split": split,
    "Squeeze": squeeze,
    "Tile": lambda x, repeats: cr.tile(x, tuple(ints(repeats))),
    "Transpose": lambda x, perm=None: cr.transpose(x, perm),
    "Trilu": trilu,
    "Unsqueeze": lambda x, axes: cr.expand_dims(x, tuple(ints(axes))),
}
