"""The workloads, their data and initial weights, the same for every library. Needs only NumPy."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

STEPS_CHECKED = 100  # after which all libraries must have the same loss
Array = npt.NDArray[np.float32]
Layers = list[tuple[Array, Array]]  # (weight (in, out), bias (out,)) of each layer


@dataclass(frozen=True)
class Workload:
    """Layers of the given sizes with ReLU between them, softmax cross-entropy behind the last."""

    name: str
    kind: str  # "train", "infer" or "update"
    sizes: tuple[int, ...] = ()
    batch: int = 1
    batches: int = 1  # of one epoch; all are in memory before the clock starts
    optimizer: str = "adam"
    lr: float = 1e-3
    parameters: int = 0  # of kind "update"

    def weights(self) -> int:
        """All parameters."""
        layers = sum((a + 1) * b for a, b in zip(self.sizes, self.sizes[1:], strict=False))
        return layers or self.parameters

    def flops(self) -> int:
        """Operations of one step's matrix products; the first layer's input needs no gradient."""
        products = [2 * self.batch * a * b for a, b in zip(self.sizes, self.sizes[1:], strict=False)]
        return 3 * sum(products) - products[0] if self.kind == "train" else sum(products)


# Learning rates are small where rounding errors grow: Adam moves a weight by as much as the learning rate
# however small its gradient is, and a deep network then shows after 100 steps who added in which order.
WORKLOADS = {
    w.name: w
    for w in [
        Workload("tiny", "train", (4, 32, 32, 2), batch=32, batches=64),
        Workload("digits", "train", (64, 128, 64, 10), batch=32, batches=64, lr=1e-4),
        Workload("mnist", "train", (784, 256, 128, 10), batch=128, batches=64, lr=1e-4),
        Workload("deep", "train", (256,) * 13 + (10,), batch=256, batches=16, lr=3e-6),
        Workload("wide", "train", (1024, 4096, 4096, 1000), batch=512, batches=2, optimizer="sgd", lr=1e-2),
        Workload("infer1", "infer", (784, 256, 128, 10)),
        Workload("infer64", "infer", (64, 64, 64, 8)),
        Workload("infer8", "infer", (8, 16, 16, 4)),
        *(Workload(f"adam1e{k}", "update", parameters=10**k) for k in range(3, 8)),
    ]
}

TRAINING = [name for name, w in WORKLOADS.items() if w.kind == "train"]


def growing() -> dict[str, dict[int, Workload]]:
    """Series in which one thing grows: what grows -> its size -> the workload."""

    def network(sizes: tuple[int, ...], batch: int = 64, batches: int = 16) -> Workload:
        return Workload("growing", "train", sizes, batch=batch, batches=batches, lr=1e-5)

    return {
        "batch": {n: network((64, 128, 64, 10), n) for n in (1, 4, 16, 64, 256, 1024, 4096)},
        "width": {n: network((64, n, n, 10)) for n in (8, 32, 128, 512, 2048)},
        "depth": {n: network((64,) * (n + 1) + (10,)) for n in (1, 2, 4, 8, 16, 32, 64)},
        "data": {32 * n: network((64, 128, 64, 10), 32, n) for n in (4, 16, 64, 256, 1024, 4096)},
    }


def initial_layers(workload: Workload) -> Layers:
    """He's initialization; biases are small and not 0, so that a lost bias shows."""
    rng = np.random.default_rng(1)
    layers = []
    for fan_in, fan_out in zip(workload.sizes, workload.sizes[1:], strict=False):
        weight = rng.standard_normal((fan_in, fan_out), np.float32) * np.float32(np.sqrt(2 / fan_in))
        layers.append((weight, rng.standard_normal(fan_out, np.float32) * np.float32(0.01)))
    return layers


def samples(workload: Workload) -> tuple[Array, npt.NDArray[np.int64]]:
    """One epoch of inputs and labels, in order. A random linear map makes the labels."""
    rng = np.random.default_rng(2)
    n = workload.batch * workload.batches
    x = rng.standard_normal((n, workload.sizes[0]), np.float32)
    scores = x @ rng.standard_normal((workload.sizes[0], workload.sizes[-1]), np.float32)
    return x, np.argmax(scores, axis=1).astype(np.int64)


def parameter_and_gradient(workload: Workload) -> tuple[Array, Array]:
    """For kind "update": one flat parameter and its gradient, which stays the same in every step."""
    rng = np.random.default_rng(3)
    return (
        rng.standard_normal(workload.parameters, np.float32),
        rng.standard_normal(workload.parameters, np.float32),
    )


def forward(layers: Layers, x: Array) -> npt.NDArray[np.float64]:
    """The logits, in float64."""
    h = x.astype(np.float64)
    for i, (weight, bias) in enumerate(layers):
        h = h @ weight.astype(np.float64) + bias.astype(np.float64)
        if i + 1 < len(layers):
            h = np.maximum(h, 0.0)
    return h


def loss(layers: Layers, x: Array, y: npt.NDArray[np.int64]) -> float:
    """Mean cross-entropy, in float64: how far a library has come, told by none of them."""
    logits = forward(layers, x)
    top = logits.max(axis=1, keepdims=True)
    log_sum = top[:, 0] + np.log(np.exp(logits - top).sum(axis=1))
    return float(np.mean(log_sum - logits[np.arange(len(y)), y]))


def updated_parameter(workload: Workload, steps: int) -> npt.NDArray[np.float64]:
    """The parameter after Adam's steps, in float64. With a constant gradient g the means without their bias
    are g and g^2, so that all steps are the same."""
    p, g = (a.astype(np.float64) for a in parameter_and_gradient(workload))
    return p - steps * workload.lr * g / (np.abs(g) + 1e-8)
