"""ONNX's normalizations and losses in chainrule's public ops and layers: part of onnx_adapter.py's table."""

from __future__ import annotations

from collections.abc import Callable

import chainrule as cr
import numpy as np
from chainrule import nn
from onnx_structure import LeftOut


def normalized(x, axes, eps):
    centred = x - cr.mean(x, axes, True)
    inverse = 1 / cr.sqrt(cr.var(x, axes, True) + eps)
    return centred * inverse, inverse


def layer_norm(x, scale, bias=None, axis=-1, epsilon=1e-5, stash_type=1):
    axes = tuple(range(axis % x.ndim, x.ndim))
    y, inverse = normalized(x, axes, epsilon)
    y = y * scale
    return y if bias is None else y + bias, cr.mean(x, axes, True), inverse


def rms_norm(x, scale, axis=-1, epsilon=1e-5, stash_type=1):
    axes = tuple(range(axis % x.ndim, x.ndim))
    return x / cr.sqrt(cr.mean(cr.square(x), axes, True) + epsilon) * scale


def batch_norm(x, scale, bias, mean, var, epsilon=1e-5, momentum=0.9, training_mode=0):
    """By our layer: features are the last axis of a matrix, momentum is the share of the new."""
    layer = nn.BatchNorm1d(x.shape[1], eps=epsilon, momentum=1 - momentum)
    given = {"weight": scale, "bias": bias, "running_mean": mean, "running_var": var}
    layer.load_state_dict(layer.state_dict() | {k: np.asarray(v) for k, v in given.items()})
    last = cr.moveaxis(x, 1, -1)
    rows = last.reshape(-1, x.shape[1])
    if not training_mode:
        return cr.moveaxis(layer.eval()(rows).reshape(last.shape), -1, 1)
    y = cr.moveaxis(layer(rows).reshape(last.shape), -1, 1)
    mean = cr.tensor(layer.state_dict()["running_mean"])
    # ONNX's running variance takes the biased one, ours the unbiased one, as PyTorch's
    return y, mean, momentum * var + (1 - momentum) * cr.var(rows, 0)


def instance_norm(x, scale, bias, epsilon=1e-5):
    shape = (-1,) + (1,) * (x.ndim - 2)
    y, _ = normalized(x, tuple(range(2, x.ndim)), epsilon)
    return y * scale.reshape(shape) + bias.reshape(shape)


def group_norm(x, scale, bias, num_groups, epsilon=1e-5, stash_type=1):
    shape = (-1,) + (1,) * (x.ndim - 2)
    y, _ = normalized(x.reshape(x.shape[0], num_groups, -1), (2,), epsilon)
    return y.reshape(x.shape) * scale.reshape(shape) + bias.reshape(shape)


def lp_normalization(x, axis=-1, p=2):
    size = cr.sum(cr.abs(x), axis, True) if p == 1 else cr.sqrt(cr.sum(x * x, axis, True))
    return cr.where(size == 0, 0 * x, x / cr.where(size == 0, size + 1, size))


def by_class(loss: Callable) -> Callable:
    """Our losses take (rows, classes); ONNX's (N, C, ...)."""

    def run(x, labels, weight=None, reduction="mean", ignore_index=None):
        rows = cr.moveaxis(x, 1, -1).reshape(-1, x.shape[1])
        weight = None if weight is None else np.asarray(weight)
        f = loss(weight=weight, ignore_index=ignore_index, reduction=reduction)
        y = f(rows, labels.reshape(-1))
        return y.reshape(labels.shape) if reduction == "none" else y

    return run


def cross_entropy(x, *args, **options):
    return by_class(nn.CrossEntropyLoss)(x, *args, **options), cr.log_softmax(x, 1)


def dropout(x, ratio=None, training_mode=None, seed=None):
    if training_mode is not None and bool(np.asarray(training_mode)):
        if ratio is None or float(np.asarray(ratio)):
            raise LeftOut("random numbers of its own")
        x = cr.dropout(x, 0.0)
    return x, cr.full(x.shape, 1, "bool")


NETWORKS = {
    "BatchNormalization": batch_norm,
    "Dropout": dropout,
    "GroupNormalization": group_norm,
    "InstanceNormalization": instance_norm,
    "LayerNormalization": layer_norm,
    "LpNormalization": lp_normalization,
    "MeanVarianceNormalization": lambda x, axes=(0, 2, 3): normalized(x, tuple(axes), 0.0)[0],
    "NegativeLogLikelihoodLoss": by_class(nn.NLLLoss),
    "RMSNormalization": rms_norm,
    "SoftmaxCrossEntropyLoss": cross_entropy,
}
