"""chainrule as a peer. Variants of training: fit (whole epochs in one call), step (one call per step); of
inference: predictor (into an array that is there), compile (the same), predict."""

from __future__ import annotations

from typing import Any

import chainrule as cr
import numpy as np
from chainrule import nn, optim
from workloads import Array, Layers, Workload

VARIANTS = {"train": ("fit", "step"), "infer": ("predictor", "compile", "predict"), "update": ("step",)}


def versions() -> dict[str, str]:
    return {"chainrule": cr.__version__, "isa": cr.isa_level(), "threads": str(cr.num_threads())}


def _network(layers: Layers) -> nn.Sequential:
    modules: list[Any] = []
    for weight, _ in layers:
        modules += [nn.Linear(*weight.shape), nn.ReLU()]
    model = nn.Sequential(*modules[:-1])
    state = {}
    for i, (weight, bias) in enumerate(layers):
        state[f"{2 * i}.weight"], state[f"{2 * i}.bias"] = weight, bias
    model.load_state_dict(state)
    return model


class Train:
    def __init__(self, workload: Workload, variant: str, layers: Layers, x: Array, y: Any) -> None:
        self.model = _network(layers)
        optimizer = (optim.Adam if workload.optimizer == "adam" else optim.SGD)(lr=workload.lr)
        self.trainer = cr.Trainer(self.model, nn.CrossEntropyLoss(), optimizer)
        self.batch, self.variant, self.x, self.y = workload.batch, variant, x, y
        b = self.batch
        self.pairs = [(x[i * b : (i + 1) * b], y[i * b : (i + 1) * b]) for i in range(workload.batches)]

    def run(self, steps: int) -> None:
        if self.variant == "step":
            step, pairs = self.trainer.step, self.pairs
            for i in range(steps):
                step(*pairs[i % len(pairs)])
            return
        epochs, rest = divmod(steps, len(self.pairs))
        options = {"batch_size": self.batch, "shuffle": False, "progress": False}
        if epochs:
            self.trainer.fit(self.x, self.y, epochs=epochs, **options)
        if rest:
            self.trainer.fit(self.x[: rest * self.batch], self.y[: rest * self.batch], **options)

    def layers(self) -> Layers:
        state = self.model.state_dict()
        return [(state[f"{i}.weight"], state[f"{i}.bias"]) for i in range(0, len(self.model), 2)]


class Infer:
    def __init__(self, workload: Workload, variant: str, layers: Layers) -> None:
        model = _network(layers).eval()
        if variant == "predict":
            self.call = model.predict
            return
        cr.set_grad_enabled(False)
        run = cr.Predictor(model) if variant == "predictor" else cr.compile(model)
        out = np.empty((1, workload.sizes[-1]), np.float32)
        self.call = lambda x: run(x, out=out)


class Update:
    def __init__(self, workload: Workload, variant: str, p: Array, g: Array) -> None:
        self.p = cr.tensor(p, requires_grad=True)
        (self.p * g).sum().backward()
        self.optimizer = optim.Adam([self.p], lr=workload.lr)

    def run(self, steps: int) -> None:
        step = self.optimizer.step
        for _ in range(steps):
            step()

    def value(self) -> Array:
        return np.asarray(self.p)
