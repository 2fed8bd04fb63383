"""NumPy as a peer of inference: the forward pass written out."""

from __future__ import annotations

import numpy as np
from workloads import Array, Layers, Workload

VARIANTS = {"infer": ("",)}


def versions() -> dict[str, str]:
    return {"numpy": np.__version__}


class Infer:
    def __init__(self, workload: Workload, variant: str, layers: Layers) -> None:
        self.layers = layers

    def call(self, x: Array) -> Array:
        for weight, bias in self.layers[:-1]:
            x = np.maximum(x @ weight + bias, 0)
        weight, bias = self.layers[-1]
        return x @ weight + bias
