"""NumPy as a peer of inference: the forward pass written out; variant out: into arrays that are there."""

from __future__ import annotations

import numpy as np
from workloads import Array, Layers, Workload

VARIANTS = {"infer": ("", "out")}


def versions() -> dict[str, str]:
    return {"numpy": np.__version__}


class Infer:
    def __init__(self, workload: Workload, variant: str, layers: Layers) -> None:
        self.layers = layers
        self.buffers = [np.empty((1, weight.shape[1]), np.float32) for weight, _ in layers]
        self.call = self.into_buffers if variant == "out" else self.expression

    def expression(self, x: Array) -> Array:
        for weight, bias in self.layers[:-1]:
            x = np.maximum(x @ weight + bias, 0)
        weight, bias = self.layers[-1]
        return x @ weight + bias

    def into_buffers(self, x: Array) -> Array:
        last = self.buffers[-1]
        for (weight, bias), y in zip(self.layers, self.buffers, strict=True):
            np.dot(x, weight, out=y)
            np.add(y, bias, out=y)
            if y is not last:
                np.maximum(y, 0, out=y)
            x = y
        return last
