"""vmap of every op, driven by the case table (cases.py): the bits of a loop over the samples."""

from __future__ import annotations

import chainrule as cr
import numpy as np
import pytest
from checks import SAMPLES as ALL
from checks import SMOOTH, each, numpy, same_bits

SIZE = 3
SAMPLES = [(case, sample) for case, sample in ALL if all(0 not in s for s in sample.shapes)]


def batches(case, sample, dtype):
    """SIZE draws of the case's arguments, stacked, and the same as a list of single calls."""
    draws = [case.draw(sample, seed, dtype) for seed in range(SIZE)]
    return [np.stack(arrays) for arrays in zip(*draws, strict=True)], draws


def outputs(result):
    return [numpy(t) for t in (result if isinstance(result, tuple) else (result,))]


@each(SAMPLES)
def test_equals_a_loop(case, sample):
    stacked, draws = batches(case, sample, "float32")
    run = lambda *x: case(*x, **sample.kwargs)  # noqa: E731
    mapped = outputs(cr.vmap(run)(*stacked))
    loop = [outputs(run(*map(cr.tensor, x))) for x in draws]
    for i, y in enumerate(mapped):
        same_bits(y, np.stack([single[i] for single in loop]))


@each(SMOOTH)
def test_derivatives_equal_a_loop(case, sample):
    stacked, draws = batches(case, sample, "float64")

    def total(*x):
        y = case(*x, **sample.kwargs)
        return sum((t * t).sum() for t in (y if isinstance(y, tuple) else (y,)))

    floats = tuple(i for i, a in enumerate(stacked) if a.dtype.kind == "f")
    gradient = cr.grad(total, argnums=floats)
    mapped = cr.vmap(gradient)(*stacked)
    loop = [gradient(*map(cr.tensor, x)) for x in draws]
    for i, g in enumerate(mapped):
        np.testing.assert_allclose(
            numpy(g), np.stack([numpy(single[i]) for single in loop]), rtol=1e-9, atol=1e-9
        )


def test_every_axis_attribute_says_what_a_batch_does_to_it():
    """An op with its batch axis in front must move its axes: else a reduction would take the batch."""
    x = np.arange(24.0).reshape(2, 3, 4)
    for op in (cr.sum, cr.max, cr.logsumexp):
        for axis in (0, 1, (0, 1)):
            try:
                expected = np.stack([numpy(op(cr.tensor(a), axis)) for a in x])
            except cr.Error:
                continue
            np.testing.assert_array_equal(
                numpy(cr.vmap(lambda a, op=op, axis=axis: op(a, axis))(x)), expected
            )


def test_an_argument_without_batch_is_shared():
    rng = np.random.default_rng(0)
    x, w = rng.normal(size=(4, 2, 3)), rng.normal(size=(3, 5))
    same_bits(
        numpy(cr.vmap(lambda a, b: a @ b, in_axes=(0, None))(x, w)),
        np.stack([numpy(cr.tensor(a) @ w) for a in x]),
    )
    y = rng.normal(size=(4, 3, 5))
    same_bits(
        numpy(cr.vmap(lambda a, b: a @ b, in_axes=(None, 0))(x[0], y)),
        np.stack([numpy(cr.tensor(x[0]) @ b) for b in y]),
    )
    labels = cr.vmap(lambda i: cr.one_hot(i, 4))(np.array([1, 3]))
    np.testing.assert_array_equal(numpy(labels), np.eye(4, dtype="float32")[[1, 3]])


def test_a_state_cannot_be_batched():
    from chainrule import nn

    model = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3), seed=0)
    with pytest.raises(cr.StateError, match=r"vmap: a state would get one value per sample.*call eval\(\)"):
        cr.vmap(lambda x: model(x))(np.ones((4, 5, 2), "float32"))
