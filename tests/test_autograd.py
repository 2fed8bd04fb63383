"""Gradients of whole networks side by side with HIPS autograd.

The networks are written anew for it, in float64, on the same numbers.
"""

from __future__ import annotations

import math

import autograd
import autograd.numpy as anp
import chainrule as cr
import numpy as np
import pytest
from autograd.extend import defvjp, primitive
from chainrule import nn

erf = primitive(np.vectorize(math.erf, otypes=[float]))
defvjp(erf, lambda _, x: lambda g: g * 2 / math.sqrt(math.pi) * anp.exp(-x * x))


def sigmoid(x):
    return 0.5 * (anp.tanh(0.5 * x) + 1)


def log_softmax(x):
    top = anp.max(x, axis=-1, keepdims=True)
    return x - top - anp.log(anp.sum(anp.exp(x - top), axis=-1, keepdims=True))


def normalize(x, axis, eps):
    centred = x - anp.mean(x, axis=axis, keepdims=True)
    return centred / anp.sqrt(anp.mean(centred**2, axis=axis, keepdims=True) + eps)


ACTIVATIONS = {
    "ReLU": (nn.ReLU(), lambda x: anp.maximum(x, 0)),
    "LeakyReLU": (nn.LeakyReLU(), lambda x: anp.where(x > 0, x, 0.01 * x)),
    "LeakyReLU(0.3)": (nn.LeakyReLU(0.3), lambda x: anp.where(x > 0, x, 0.3 * x)),
    "Sigmoid": (nn.Sigmoid(), sigmoid),
    "Tanh": (nn.Tanh(), anp.tanh),
    "Softmax": (nn.Softmax(), lambda x: anp.exp(log_softmax(x))),
    "LogSoftmax": (nn.LogSoftmax(), log_softmax),
    "GELU": (nn.GELU(), lambda x: 0.5 * x * (1 + erf(x / math.sqrt(2)))),
    "GELU(tanh)": (
        nn.GELU(approximate="tanh"),
        lambda x: 0.5 * x * (1 + anp.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))),
    ),
    "SiLU": (nn.SiLU(), lambda x: x * sigmoid(x)),
    "ELU": (nn.ELU(), lambda x: anp.where(x > 0, x, anp.exp(anp.minimum(x, 0)) - 1)),
    "ELU(0.5)": (nn.ELU(0.5), lambda x: anp.where(x > 0, x, 0.5 * (anp.exp(anp.minimum(x, 0)) - 1))),
    "Softplus": (nn.Softplus(), lambda x: anp.log1p(anp.exp(x))),
    "Identity": (nn.Identity(), lambda x: x),
}


def picked(logp, labels):
    return logp[anp.arange(len(labels)), labels]


def huber(d, delta):
    return anp.where(anp.abs(d) <= delta, 0.5 * d**2, delta * (anp.abs(d) - 0.5 * delta))


LABELS = np.array([2, 0, 1, 1, 2, 0, 1])


PROBABILITIES = np.random.default_rng(1).dirichlet(np.ones(3), 7)


ANSWERS = np.random.default_rng(2).normal(size=(7, 3))


BITS = (np.random.default_rng(3).random((7, 3)) < 0.5).astype(float)


CLASS_WEIGHT = np.array([0.5, 2.0, 1.25])


SMOOTH = 0.9 * np.eye(3)[LABELS] + 0.1 / 3


def weighted_mean(losses, weight):
    return anp.sum(losses * weight) / anp.sum(weight)


# name: (loss, target, what it makes of outputs, in autograd)
LOSSES = {
    "MSE": (nn.MSELoss(), ANSWERS, lambda f: anp.mean((ANSWERS - f) ** 2)),
    "MSE half": (nn.MSELoss(half=True), ANSWERS, lambda f: 0.5 * anp.mean((ANSWERS - f) ** 2)),
    "MSE sum": (nn.MSELoss(reduction="sum"), ANSWERS, lambda f: anp.sum((ANSWERS - f) ** 2)),
    "L1": (nn.L1Loss(), ANSWERS, lambda f: anp.mean(anp.abs(ANSWERS - f))),
    "Huber": (nn.HuberLoss(), ANSWERS, lambda f: anp.mean(huber(ANSWERS - f, 1.0))),
    "Huber 0.3": (nn.HuberLoss(delta=0.3), ANSWERS, lambda f: anp.mean(huber(ANSWERS - f, 0.3))),
    "BCE": (
        nn.BCELoss(),
        BITS,
        lambda f: -anp.mean(BITS * anp.log(sigmoid(f)) + (1 - BITS) * anp.log(1 - sigmoid(f))),
    ),
    "BCE logits": (nn.BCEWithLogitsLoss(), BITS, lambda f: anp.mean(anp.logaddexp(0, f) - BITS * f)),
    "BCE logits weighted": (
        nn.BCEWithLogitsLoss(pos_weight=np.array([3.0, 1.0, 0.5])),
        BITS,
        lambda f: anp.mean(
            np.array([3.0, 1.0, 0.5]) * BITS * anp.logaddexp(0, -f) + (1 - BITS) * anp.logaddexp(0, f)
        ),
    ),
    "NLL": (nn.NLLLoss(), LABELS, lambda f: -anp.mean(picked(log_softmax(f), LABELS))),
    "NLL weighted": (
        nn.NLLLoss(weight=CLASS_WEIGHT, ignore_index=0),
        LABELS,
        lambda f: weighted_mean(-picked(log_softmax(f), LABELS), CLASS_WEIGHT[LABELS] * (LABELS != 0)),
    ),
    "cross-entropy": (nn.CrossEntropyLoss(), LABELS, lambda f: -anp.mean(picked(log_softmax(f), LABELS))),
    "cross-entropy sum": (
        nn.CrossEntropyLoss(reduction="sum"),
        LABELS,
        lambda f: -anp.sum(picked(log_softmax(f), LABELS)),
    ),
    "cross-entropy probabilities": (
        nn.CrossEntropyLoss(),
        PROBABILITIES,
        lambda f: -anp.mean(anp.sum(PROBABILITIES * log_softmax(f), axis=1)),
    ),
    "cross-entropy smooth": (
        nn.CrossEntropyLoss(label_smoothing=0.1),
        LABELS,
        lambda f: -anp.mean(anp.sum(SMOOTH * log_softmax(f), axis=1)),
    ),
    "cross-entropy weighted": (
        nn.CrossEntropyLoss(weight=CLASS_WEIGHT),
        LABELS,
        lambda f: weighted_mean(-picked(log_softmax(f), LABELS), CLASS_WEIGHT[LABELS]),
    ),
    "cross-entropy ignore": (
        nn.CrossEntropyLoss(ignore_index=1),
        LABELS,
        lambda f: weighted_mean(-picked(log_softmax(f), LABELS), 1.0 * (LABELS != 1)),
    ),
}


def linear(p, name, x):
    return anp.dot(x, p[f"{name}.weight"]) + p[f"{name}.bias"]


def mlp(p, x):
    return linear(p, "4", anp.tanh(linear(p, "2", anp.tanh(linear(p, "0", x)))))


def normalized(p, x):
    h = anp.tanh(normalize(linear(p, "0", x), -1, 1e-5) * p["1.weight"] + p["1.bias"])
    h = normalize(linear(p, "3", h), 0, 1e-5) * p["4.weight"] + p["4.bias"]
    return linear(p, "6", anp.maximum(h, 0))


def residual(p, x):
    h = anp.tanh(linear(p, "0", x))
    h = h + linear(p, "2.inner.2", anp.tanh(linear(p, "2.inner.0", h)))
    return linear(p, "3", h)


class Shared(nn.Module):
    """One layer used twice, a parameter of its own, two heads that meet again: forks and joins written in
    Python."""

    def __init__(self):
        self.inside = nn.Linear(4, 4, dtype="float64", seed=5)
        self.scale = nn.Parameter(np.array([0.5, 1.0, -2.0, 1.5]))
        self.out = nn.Linear(8, 3, dtype="float64", seed=6)

    def forward(self, x):
        once = cr.tanh(self.inside(x))
        twice = cr.tanh(self.inside(once * self.scale)) - x
        return self.out(cr.concat([once, twice], axis=-1))


def shared(p, x):
    once = anp.tanh(linear(p, "inside", x))
    twice = anp.tanh(linear(p, "inside", once * p["scale"])) - x
    return linear(p, "out", anp.concatenate([once, twice], axis=-1))


def dense(a, b):
    return nn.Linear(a, b, dtype="float64")


NETWORKS = {
    "MLP": (lambda: nn.Sequential(dense(4, 6), nn.Tanh(), dense(6, 5), nn.Tanh(), dense(5, 3), seed=1), mlp),
    "normalized": (
        lambda: nn.Sequential(
            dense(4, 6),
            nn.LayerNorm(6, dtype="float64"),
            nn.Tanh(),
            dense(6, 5),
            nn.BatchNorm1d(5, dtype="float64"),
            nn.ReLU(),
            dense(5, 3),
            seed=2,
        ),
        normalized,
    ),
    "residual": (
        lambda: nn.Sequential(
            dense(4, 6),
            nn.Tanh(),
            nn.Residual(nn.Sequential(dense(6, 6), nn.Tanh(), dense(6, 6))),
            dense(6, 3),
            seed=3,
        ),
        residual,
    ),
    "shared": (Shared, shared),
}


def compare(model, forward, loss, target, reference, rng):
    """Loss, gradients of every parameter, and of the input."""
    x = rng.normal(size=(7, 4))
    for _, p in model.named_parameters():  # norms start at 1 and 0, which would hide a gradient mixed up
        p.copy_(p.numpy() + 0.1 * rng.normal(size=p.shape))
    values = {name: p.numpy().copy() for name, p in model.named_parameters()}

    inputs = cr.tensor(x, requires_grad=True)
    out = loss(model(inputs), target)
    out.backward()
    expected, (gp, gx) = (
        reference(forward(values, x)),
        autograd.grad(lambda both: reference(forward(*both)))((values, x)),
    )
    assert float(out) == pytest.approx(float(expected), rel=1e-12)
    size = max(np.abs(g).max() for g in gp.values())  # a bias before a normalization has none but rounding
    for name, p in model.named_parameters():
        np.testing.assert_allclose(p.grad.numpy(), gp[name], rtol=1e-9, atol=1e-11 * size, err_msg=name)
    np.testing.assert_allclose(inputs.grad.numpy(), gx, rtol=1e-9, atol=1e-11 * np.abs(gx).max())


class TestNetworks:
    @pytest.mark.parametrize("network", NETWORKS)
    @pytest.mark.parametrize("loss", LOSSES)
    def test_gradients(self, network, loss, rng):
        make, forward = NETWORKS[network]
        ours, target, reference = LOSSES[loss]
        model = make()
        if loss == "BCE":  # takes probabilities
            model = nn.Sequential(model, nn.Sigmoid())
            compare(
                model,
                lambda p, x: forward({k.removeprefix("0."): v for k, v in p.items()}, x),
                ours,
                target,
                reference,
                rng,
            )
        elif loss.startswith("NLL"):  # takes log-probabilities
            model = nn.Sequential(model, nn.LogSoftmax())
            compare(
                model,
                lambda p, x: forward({k.removeprefix("0."): v for k, v in p.items()}, x),
                ours,
                target,
                reference,
                rng,
            )
        else:
            compare(model, forward, ours, target, reference, rng)

    @pytest.mark.parametrize("name", ACTIVATIONS)
    def test_activations(self, name, rng):
        layer, function = ACTIVATIONS[name]
        model = nn.Sequential(dense(4, 5), layer, dense(5, 3), seed=4)
        ours, target, reference = LOSSES["MSE"]
        compare(model, lambda p, x: linear(p, "2", function(linear(p, "0", x))), ours, target, reference, rng)

    @pytest.mark.parametrize(
        "loss", [name for name in LOSSES if "ignore" not in name and "weighted" not in name]
    )
    def test_sample_weights(self, loss, rng):
        """A weighted mean is sum(w l) / sum(w), a weighted sum is sum(w l)."""
        ours, target, _ = LOSSES[loss]
        weight = rng.uniform(0.2, 3, size=7)
        f = rng.uniform(0.1, 0.9, size=(7, 3)) if loss == "BCE" else rng.normal(size=(7, 3))
        each = [float(ours(f[i : i + 1], target[i : i + 1])) for i in range(7)]
        expected = np.dot(each, weight) if ours.reduction == "sum" else np.dot(each, weight) / weight.sum()
        assert float(ours(f, target, sample_weight=weight)) == pytest.approx(expected, rel=1e-12)

    def test_eval_mode_of_batch_norm(self, rng):
        """Running statistics take the place of the batch's, and no gradient flows through them.

        They move by 0.1 per batch towards its mean and its unbiased variance, from 0 and 1.
        """
        layer = nn.BatchNorm1d(4, dtype="float64")
        mean, var = np.zeros(4), np.ones(4)
        for _ in range(3):
            batch = rng.normal(1, 2, size=(9, 4))
            layer(batch)
            mean, var = 0.9 * mean + 0.1 * batch.mean(0), 0.9 * var + 0.1 * batch.var(0, ddof=1)
        state = layer.state_dict()
        np.testing.assert_allclose(state["running_mean"], mean, rtol=1e-13)
        np.testing.assert_allclose(state["running_var"], var, rtol=1e-13)
        layer.eval()
        x = cr.tensor(rng.normal(size=(5, 4)), requires_grad=True)
        g = rng.normal(size=(5, 4))
        y = layer(x)
        y.backward(g)
        scale = 1 / np.sqrt(var + 1e-5)
        np.testing.assert_allclose(y.numpy(), (x.numpy() - mean) * scale, rtol=1e-12)
        np.testing.assert_allclose(x.grad.numpy(), g * scale, rtol=1e-12)
        assert layer.state_dict()["running_mean"].tobytes() == state["running_mean"].tobytes()
