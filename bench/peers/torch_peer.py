"""PyTorch as a peer: eager, with the fused optimizer; variant compile: loss, optimizer's step and inference
through torch.compile. Losses are not fetched, which would slow it down."""

from __future__ import annotations

import os
from typing import Any

import torch
from workloads import Array, Layers, Workload

VARIANTS = {"train": ("", "compile"), "infer": ("", "compile"), "update": ("", "compile")}
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


def _optimizer(workload: Workload, parameters: Any, compiled: bool) -> tuple[Any, Any]:
    """The optimizer and its step. Fused optimizers cannot be compiled; compiling fuses the others."""
    kind = torch.optim.Adam if workload.optimizer == "adam" else torch.optim.SGD
    if not compiled:
        optimizer = kind(parameters, lr=workload.lr, fused=True)
        return optimizer, optimizer.step
    optimizer = kind(parameters, lr=workload.lr, foreach=True)
    return optimizer, torch.compile(lambda: optimizer.step())


class Train:
    def __init__(self, workload: Workload, variant: str, layers: Layers, x: Array, y: Any) -> None:
        self.model = model = _network(layers)
        self.optimizer, self.update = _optimizer(workload, model.parameters(), variant == "compile")
        criterion = torch.nn.CrossEntropyLoss()
        self.loss = lambda xb, yb: criterion(model(xb), yb)
        if variant == "compile":
            self.loss = torch.compile(self.loss, dynamic=False)
        b = workload.batch
        xt, yt = torch.from_numpy(x), torch.from_numpy(y)
        self.pairs = [(xt[i * b : (i + 1) * b], yt[i * b : (i + 1) * b]) for i in range(workload.batches)]

    def run(self, steps: int) -> None:
        optimizer, loss, update, pairs = self.optimizer, self.loss, self.update, self.pairs
        for i in range(steps):
            optimizer.zero_grad(set_to_none=True)
            loss(*pairs[i % len(pairs)]).backward()
            update()

    def layers(self) -> Layers:
        linear = [m for m in self.model if isinstance(m, torch.nn.Linear)]
        return [(m.weight.detach().numpy().T, m.bias.detach().numpy()) for m in linear]


class Infer:
    def __init__(self, workload: Workload, variant: str, layers: Layers) -> None:
        model = _network(layers).eval()
        self.model = torch.compile(model, dynamic=False) if variant == "compile" else model

    def call(self, x: Array) -> Array:
        with torch.inference_mode():
            return self.model(torch.from_numpy(x)).numpy()


class Update:
    def __init__(self, workload: Workload, variant: str, p: Array, g: Array) -> None:
        self.p = torch.nn.Parameter(torch.from_numpy(p.copy()))
        self.p.grad = torch.from_numpy(g)
        _, self.step = _optimizer(workload, [self.p], variant == "compile")

    def run(self, steps: int) -> None:
        step = self.step
        for _ in range(steps):
            step()

    def value(self) -> Array:
        return self.p.detach().numpy()
