"""Ops and composites written once for any array library with NumPy's words: what test_hips.py and test_jax.py
differentiate.

A row is name: (function of a module and arrays, what the arrays are drawn from). The module is chainrule or
another library; what NumPy has no word for is in the namespace that each test makes for its library.
"""

from __future__ import annotations

import numpy as np

ROW = np.array([[0.3, -1.2, 0.8, 0.1], [1.5, 0.4, -0.6, 0.9], [-0.7, 2.1, 0.2, -1.1]])
LABELS = np.array([2, 0, 3])


def any_(*shape):
    return lambda rng: rng.normal(size=shape)


def positive(*shape):
    return lambda rng: rng.uniform(0.3, 2.5, size=shape)


def inside(*shape):
    return lambda rng: rng.uniform(-0.9, 0.9, size=shape)


A, P, U = any_(3, 4), positive(3, 4), inside(3, 4)

OPS = {
    "negative": (lambda m, x: m.negative(x), A),
    "abs": (lambda m, x: m.abs(x), A),
    "exp": (lambda m, x: m.exp(x), A),
    "expm1": (lambda m, x: m.expm1(x), A),
    "log": (lambda m, x: m.log(x), P),
    "log1p": (lambda m, x: m.log1p(x), P),
    "log2": (lambda m, x: m.log2(x), P),
    "log10": (lambda m, x: m.log10(x), P),
    "sqrt": (lambda m, x: m.sqrt(x), P),
    "square": (lambda m, x: m.square(x), A),
    "reciprocal": (lambda m, x: m.reciprocal(x), P),
    "sin": (lambda m, x: m.sin(x), A),
    "cos": (lambda m, x: m.cos(x), A),
    "tan": (lambda m, x: m.tan(x), U),
    "arcsin": (lambda m, x: m.arcsin(x), U),
    "arccos": (lambda m, x: m.arccos(x), U),
    "arctan": (lambda m, x: m.arctan(x), A),
    "sinh": (lambda m, x: m.sinh(x), A),
    "cosh": (lambda m, x: m.cosh(x), A),
    "tanh": (lambda m, x: m.tanh(x), A),
    "erf": (lambda m, x: m.erf(x), A),
    "sigmoid": (lambda m, x: m.sigmoid(x), A),
    "relu": (lambda m, x: m.relu(x), A),
    "leaky_relu": (lambda m, x: m.leaky_relu(x, 0.2), A),
    "elu": (lambda m, x: m.elu(x, 1.0), A),
    "softplus": (lambda m, x: m.softplus(x), A),
    "silu": (lambda m, x: m.silu(x), A),
    "selu": (lambda m, x: m.selu(x), A),
    "mish": (lambda m, x: m.mish(x), A),
    "softsign": (lambda m, x: m.softsign(x), A),
    "gelu": (lambda m, x: m.gelu(x), A),
    "gelu_tanh": (lambda m, x: m.gelu_tanh(x), A),
    "clip": (lambda m, x: m.clip(x, -0.5, 0.8), A),
    "add": (lambda m, a, b: m.add(a, b), A, any_(4)),
    "subtract": (lambda m, a, b: m.subtract(a, b), any_(3, 1), A),
    "multiply": (lambda m, a, b: m.multiply(a, b), A, any_(3, 1)),
    "divide": (lambda m, a, b: m.divide(a, b), any_(4), P),
    "power": (lambda m, a, b: m.power(a, b), P, any_(4)),
    "power 3": (lambda m, x: x**3, A),
    "power -1.5": (lambda m, x: x**-1.5, P),
    "exponential 2**x": (lambda m, x: 2.0**x, A),
    "mod": (lambda m, a, b: m.mod(a, b), A, P),
    "maximum": (lambda m, a, b: m.maximum(a, b), A, any_(4)),
    "minimum": (lambda m, a, b: m.minimum(a, b), A, any_(3, 1)),
    "logaddexp": (lambda m, a, b: m.logaddexp(a, b), A, any_(4)),
    "arctan2": (lambda m, a, b: m.arctan2(a, b), A, P),
    "where": (lambda m, a, b: m.where(ROW > 0, a, b), A, A),
    "matmul": (lambda m, a, b: m.matmul(a, b), A, any_(4, 5)),
    "matmul batched": (lambda m, a, b: m.matmul(a, b), any_(2, 3, 4), any_(4, 2)),
    "matmul vector": (lambda m, a, b: m.matmul(a, b), A, any_(4)),
    "outer": (lambda m, a, b: m.outer(a, b), any_(3), any_(4)),
    "einsum chain": (lambda m, a, b: m.einsum("ij,jk->ki", a, b), A, any_(4, 2)),
    "einsum trace-like": (lambda m, a, b: m.einsum("bij,bij->b", a, b), any_(2, 3, 4), any_(2, 3, 4)),
    "tensordot": (lambda m, a, b: m.tensordot(a, b, 1), any_(2, 3, 4), any_(4, 2)),
    "sum": (lambda m, x: m.sum(x, axis=0), A),
    "sum keepdims": (lambda m, x: m.sum(x, axis=(0, 2), keepdims=True), any_(2, 3, 4)),
    "mean": (lambda m, x: m.mean(x, axis=-1), A),
    "var": (lambda m, x: m.var(x, axis=1), A),
    "std": (lambda m, x: m.std(x, axis=0), A),
    "prod": (lambda m, x: m.prod(x, axis=1), A),
    "max": (lambda m, x: m.max(x, axis=1), A),
    "min": (lambda m, x: m.min(x, axis=0), A),
    "logsumexp": (lambda m, x: m.logsumexp(x, 1), A),
    "softmax": (lambda m, x: m.softmax(x, -1), A),
    "log_softmax": (lambda m, x: m.log_softmax(x, 0), A),
    "cumsum": (lambda m, x: m.cumsum(x, 1), A),
    "cumprod": (lambda m, x: m.cumprod(x, 1), A),
    "norm": (lambda m, x: m.norm(x), A),
    "reshape": (lambda m, x: m.reshape(x, (2, 6)) * np.arange(12.0).reshape(2, 6), A),
    "transpose": (lambda m, x: m.transpose(x, (2, 0, 1)) ** 2, any_(2, 3, 4)),
    "concatenate": (lambda m, a, b: m.concatenate([a, b, a], axis=0) ** 2, A, any_(2, 4)),
    "stack": (lambda m, a, b: m.stack([a, b], axis=1) ** 2, A, A),
    "split": (lambda m, x: m.split(x, 2, axis=1)[0] * m.split(x, 2, axis=1)[1], A),
    "pad": (lambda m, x: m.pad(x, ((1, 0), (2, 1)), "constant") ** 3, A),
    "tile": (lambda m, x: m.tile(x, (2, 2)) ** 2, A),
    "repeat": (lambda m, x: m.repeat(x, 2, axis=1) ** 2, A),
    "flip": (lambda m, x: m.flip(x, 1) * x, A),
    "slice": (lambda m, x: x[1:, ::2] * x[:-1, 1::2], A),
    "index": (lambda m, x: x[np.arange(3), LABELS] ** 2, A),
    "take twice": (lambda m, x: x[np.array([0, 2, 2, 1])] ** 2, A),
    "take_along_axis": (lambda m, x: m.take_along_axis(x, np.argsort(ROW, 1), 1) * x, A),
    "sort": (lambda m, x: m.sort(x) ** 3, any_(7)),
    "diagonal": (lambda m, x: m.diagonal(x, 1) ** 2, A),
    "moveaxis": (lambda m, x: m.moveaxis(x, 0, 2) ** 2, any_(2, 3, 4)),
    "swapaxes": (lambda m, x: m.swapaxes(x, 0, 1) ** 2, any_(2, 3, 4)),
    "vstack": (lambda m, a, b: m.vstack([a, b]) ** 2, any_(4), A),
    "dot": (lambda m, a, b: m.dot(a, b), any_(2, 3, 4), any_(4)),
    "inner": (lambda m, a, b: m.inner(a, b), A, any_(2, 4)),
    "broadcast_to": (lambda m, x: m.broadcast_to(x, (2, 3, 4)) ** 2, any_(4)),
}


def layer_norm(m, x, g, b):
    centred = x - m.mean(x, axis=-1, keepdims=True)
    return centred / m.sqrt(m.mean(centred**2, axis=-1, keepdims=True) + 1e-5) * g + b


def mlp(m, x, w, b, v):
    return m.matmul(m.tanh(m.matmul(x, w) + b), v)


def attention(m, q, k, v):
    weights = m.softmax(m.matmul(q, m.transpose(k, (1, 0))) / 2.0, -1)
    return m.matmul(weights, v)


def recurrent(m, h, x, w, u):
    for _ in range(4):
        h = m.tanh(m.matmul(h, w) + m.matmul(x, u))
    return h


def gated(m, h, x, w, u, c):
    z = m.sigmoid(m.matmul(x, w) + m.matmul(h, u))
    return (1 - z) * h + z * m.tanh(m.matmul(x, w) * z + m.matmul(z * h, c))


def cross_entropy(m, x):
    return -m.mean(m.log_softmax(x, -1)[np.arange(3), LABELS])


def gaussian(m, x, mean, log_scale):
    return -0.5 * m.sum(((x - mean) / m.exp(log_scale)) ** 2 + 2 * log_scale, axis=-1)


def mixture(m, x, means, logits):
    d = m.reshape(x, (-1, 1)) - m.reshape(means, (1, -1))
    return m.logsumexp(m.log_softmax(logits, -1) - 0.5 * d**2, 1)


def distances(m, a, b):
    d = m.reshape(a, (3, 1, 4)) - m.reshape(b, (1, 2, 4))
    return m.sqrt(m.sum(d**2, axis=-1) + 0.1)


def pendulum(m, state):
    angle, speed = state[0], state[1]
    for _ in range(6):
        speed = speed - 0.1 * m.sin(angle)
        angle = angle + 0.1 * speed
    return angle * speed


def newton_root(m, a):
    x = 0.5 * a + 0.5
    for _ in range(5):
        x = 0.5 * (x + a / x)
    return x


def horner(m, x, c):
    y = c[0] + 0 * x
    for i in range(1, 4):
        y = y * x + c[i]
    return y


def convolution(m, x, w):
    return m.tanh(x[:-2] * w[0] + x[1:-1] * w[1] + x[2:] * w[2])


def power_iteration(m, a, v):
    for _ in range(4):
        v = m.matmul(a, v)
        v = v / m.sqrt(m.sum(v * v))
    return m.sum(v * m.matmul(a, v))


def fork(m, x):
    a = m.exp(-x * x)
    b = m.tanh(a + x)
    return a * b + b / (1 + a) + m.sum(a * x) * b


COMPOSITES = {
    "layer norm": (layer_norm, A, any_(4), any_(4)),
    "mlp": (mlp, A, any_(4, 5), any_(5), any_(5, 2)),
    "attention": (attention, A, any_(5, 4), any_(5, 2)),
    "recurrent": (recurrent, any_(2, 3), any_(2, 4), any_(3, 3), any_(4, 3)),
    "gated": (gated, any_(2, 3), any_(2, 4), any_(4, 3), any_(3, 3), any_(3, 3)),
    "cross-entropy": (cross_entropy, A),
    "gaussian": (gaussian, A, any_(4), any_(4)),
    "mixture": (mixture, any_(5), any_(3), any_(3)),
    "distances": (distances, A, any_(2, 4)),
    "cosine": (lambda m, a, b: m.sum(a * b) / m.sqrt(m.sum(a * a) * m.sum(b * b)), A, A),
    "rbf kernel": (lambda m, a, b: m.exp(-0.3 * distances(m, a, b) ** 2), A, any_(2, 4)),
    "quadratic form": (lambda m, x, q: m.sum(x * m.matmul(q, x)), any_(4), any_(4, 4)),
    "rosenbrock": (lambda m, x: m.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2), any_(6)),
    "pendulum": (pendulum, any_(2)),
    "newton root": (newton_root, P),
    "horner": (horner, A, any_(4)),
    "convolution": (convolution, any_(8), any_(3)),
    "power iteration": (power_iteration, any_(4, 4), any_(4)),
    "fork": (fork, A),
    "huber": (lambda m, x: m.where(ROW**2 < 1, 0.5 * x**2, m.abs(x) - 0.5), A),
    "log-cosh": (lambda m, x: m.logaddexp(x, -x) - np.log(2), A),
    "focal": (lambda m, x: -((1 - m.sigmoid(x)) ** 2) * m.log(m.sigmoid(x)), A),
    "entropy": (lambda m, x: -m.sum(m.softmax(x, -1) * m.log_softmax(x, -1), axis=-1), A),
    "batch norm": (lambda m, x: (x - m.mean(x, axis=0)) / m.sqrt(m.var(x, axis=0) + 1e-3), A),
    "geometric mean": (lambda m, x: m.exp(m.mean(m.log(x), axis=0)), P),
    "deep chain": (lambda m, x: m.sin(m.exp(m.sin(m.tanh(m.cos(x * 2) * x)) - x)), A),
}

FUNCTIONS = OPS | COMPOSITES
