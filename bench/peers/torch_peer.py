"""PyTorch as a peer: eager, with the fused optimizer; variant compile: the loss, or the model for inference,
through torch.compile. Losses are not fetched, which would slow it down."""

from __future__ import annotations

import os
from typing import Any

import torch
from workloads import Array, Layers, Workload

VARIANTS = {"train": ("", "compile"), "infer": ("", "compile"), "update": ("",)}
torch.set_num_threads(len(os.sched_getaffinity(0)))


def versions() -> dict[str, str]:
    return {"torch": torch.__version__, "threads": str(torch.get_num_threads())}


def _network(layers: Layers) -> torch.nn.Sequential:
    modules: list[Any] = []
    for weight, bias in layers:
        linear = torch.nn.Linear(*weight.shape)
        with torch.no_grad():
            linear.weight.copy_(torch.from_numpy(weight.T))
            linear.bias.copy_(torch.from_numpy(bias))
        modules += [linear, torch.nn.ReLU()]
    return torch.nn.Sequential(*modules[:-1])


def _optimizer(workload: Workload, parameters: Any) -> torch.optim.Optimizer:
    kind = torch.optim.Adam if workload.optimizer == "adam" else torch.optim.SGD
    return kind(parameters, lr=workload.lr, fused=True)


class Train:
    def __init__(self, workload: Workload, variant: str, layers: Layers, x: Array, y: Any) -> None:
        self.model = model = _network(layers)
        self.optimizer = _optimizer(workload, model.parameters())
        criterion = torch.nn.CrossEntropyLoss()
        self.loss = lambda xb, yb: criterion(model(xb), yb)
        if variant == "compile":
            torch.compiler.reset()  # of the workload before: it counts as the same function
            self.loss = torch.compile(self.loss, dynamic=False)
        b = workload.batch
        xt, yt = torch.from_numpy(x), torch.from_numpy(y)
        self.pairs = [(xt[i * b : (i + 1) * b], yt[i * b : (i + 1) * b]) for i in range(workload.batches)]

    def run(self, steps: int) -> None:
        optimizer, loss, pairs = self.optimizer, self.loss, self.pairs
        for i in range(steps):
            optimizer.zero_grad(set_to_none=True)
            loss(*pairs[i % len(pairs)]).backward()
            optimizer.step()

    def layers(self) -> Layers:
        linear = [m for m in self.model if isinstance(m, torch.nn.Linear)]
        return [(m.weight.detach().numpy().T, m.bias.detach().numpy()) for m in linear]


class Infer:
    def __init__(self, workload: Workload, variant: str, layers: Layers) -> None:
        model = _network(layers).eval()
        if variant == "compile":
            torch.compiler.reset()
            model = torch.compile(model, dynamic=False)
        self.model = model

    def call(self, x: Array) -> Array:
        with torch.inference_mode():
            return self.model(torch.from_numpy(x)).numpy()


class Update:
    def __init__(self, workload: Workload, variant: str, p: Array, g: Array) -> None:
        self.p = torch.nn.Parameter(torch.from_numpy(p.copy()))
        self.p.grad = torch.from_numpy(g)
        self.optimizer = _optimizer(workload, [self.p])

    def run(self, steps: int) -> None:
        step = self.optimizer.step
        for _ in range(steps):
            step()

    def value(self) -> Array:
        return self.p.detach().numpy()
