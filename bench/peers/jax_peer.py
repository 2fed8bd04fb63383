"""JAX with optax as a peer. Variants: step (the whole step jitted, called from a Python loop) and scan (whole
epochs in one jitted call). Buffers of parameters and optimizer state are donated."""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from workloads import Array, Layers, Workload

VARIANTS = {"train": ("step", "scan"), "infer": ("",), "update": ("",)}


def versions() -> dict[str, str]:
    return {"jax": jax.__version__, "optax": optax.__version__}


def _logits(layers: Any, x: Any) -> Any:
    for weight, bias in layers[:-1]:
        x = jax.nn.relu(x @ weight + bias)
    weight, bias = layers[-1]
    return x @ weight + bias


class Train:
    def __init__(self, workload: Workload, variant: str, layers: Layers, x: Array, y: Any) -> None:
        optimizer = optax.adam(workload.lr) if workload.optimizer == "adam" else optax.sgd(workload.lr)
        self.variant, n, b = variant, workload.batches, workload.batch

        def loss(params: Any, xb: Any, yb: Any) -> Any:
            return optax.softmax_cross_entropy_with_integer_labels(_logits(params, xb), yb).mean()

        def one(carry: Any, batch: Any) -> Any:
            params, state = carry
            value, gradients = jax.value_and_grad(loss)(params, *batch)
            updates, state = optimizer.update(gradients, state, params)
            return (optax.apply_updates(params, updates), state), value

        self.step = partial(jax.jit, donate_argnums=0)(one)
        self.epoch = partial(jax.jit, donate_argnums=0)(lambda carry, data: jax.lax.scan(one, carry, data))
        params = [(jnp.asarray(weight), jnp.asarray(bias)) for weight, bias in layers]
        self.carry = (params, optimizer.init(params))
        self.data = (jnp.asarray(x.reshape(n, b, -1)), jnp.asarray(y.reshape(n, b)))
        self.pairs = [(self.data[0][i], self.data[1][i]) for i in range(n)]

    def run(self, steps: int) -> None:
        carry, pairs = self.carry, self.pairs
        epochs, rest = divmod(steps, len(pairs)) if self.variant == "scan" else (0, steps)
        for _ in range(epochs):
            carry, _ = self.epoch(carry, self.data)
        for i in range(rest):
            carry, _ = self.step(carry, pairs[i % len(pairs)])
        self.carry = jax.block_until_ready(carry)

    def layers(self) -> Layers:
        return [(np.asarray(weight), np.asarray(bias)) for weight, bias in self.carry[0]]


class Infer:
    def __init__(self, workload: Workload, variant: str, layers: Layers) -> None:
        self.params = [(jnp.asarray(weight), jnp.asarray(bias)) for weight, bias in layers]
        self.function = jax.jit(_logits)

    def call(self, x: Array) -> Array:
        return np.asarray(self.function(self.params, x))


class Update:
    def __init__(self, workload: Workload, variant: str, p: Array, g: Array) -> None:
        optimizer = optax.adam(workload.lr)

        def one(carry: Any, gradient: Any) -> Any:
            parameter, state = carry
            updates, state = optimizer.update(gradient, state, parameter)
            return optax.apply_updates(parameter, updates), state

        self.step = partial(jax.jit, donate_argnums=0)(one)
        parameter = jnp.asarray(p)
        self.carry, self.g = (parameter, optimizer.init(parameter)), jnp.asarray(g)

    def run(self, steps: int) -> None:
        carry = self.carry
        for _ in range(steps):
            carry = self.step(carry, self.g)
        self.carry = jax.block_until_ready(carry)

    def value(self) -> Array:
        return np.asarray(self.carry[0])
