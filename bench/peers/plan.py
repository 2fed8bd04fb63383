"""What can be measured besides the workloads; and how long a run takes: an estimate, from what processes took
on a quiet machine with two cores."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, field

import training
from processes import FEW_REPEATS, PATIENCE, Setup
from startup import PEERS as STARTED
from workloads import TRAINING, WORKLOADS, growing

# Seconds until a library measures, and those that it takes to prepare one workload.
START = {
    "chainrule": 0.3,
    "torch": 1.9,
    "torch:compile": 3.0,
    "jax": 0.9,
    "sklearn": 0.9,
    "onnx": 0.5,
    "numpy": 0.3,
}
PREPARE = {"torch:compile": 1.0, "jax": 0.2}
LONG_STEPS = {"wide": 2.5, "deep": 0.3, "adam1e7": 0.5}  # where one step is longer than what is asked for
CHECKED_ONCE = {"wide": 230.0}  # 100 steps of every library
MEASURED = 1.3  # seconds measured for each that is asked for
LIMITS = 5.0  # before each measurement
OTHERS = {
    "profile": "where the time of one step of mnist goes",
    "fashion": "Fashion-MNIST from its files to ten epochs, wall clock",
    "derivatives": "Jacobians, Hessians, and the memory of a backward pass",
    "eager": "single eager operations, called from Python",
    "import": "import time",
    "first": "first step, tracing and compiling included; and peak memory",
    "memory": "the same",
    "wheel": "size of the wheel",
    "scaling": "steps over numbers of threads",
    "load": "steps while every processor has other work",
    "growth": "cost as batch, width, depth and data grow",
    "native": "the programs of bench/cpp",
}


def of(costs: dict[str, float], peer: str, otherwise: float) -> float:
    return costs.get(peer, costs.get(peer.partition(":")[0], otherwise))


def process(peer: str, names: Iterable[str], seconds: float) -> float:
    """Of worker.py for these workloads."""
    each = of(PREPARE, peer, 0.1) + MEASURED * seconds
    return of(START, peer, 1.0) + sum(each + LONG_STEPS.get(name, 0.0) for name in names)


def steps(setup: Setup, names: list[str]) -> float:
    peers = setup.chosen(training.PEERS[WORKLOADS[names[0]].kind])
    total = sum(CHECKED_ONCE.get(name, 0.0) for name in names) * len(peers) / 7
    for peer in peers:
        each = process(peer, names, setup.seconds)
        repeats = setup.repeats if each <= PATIENCE else min(setup.repeats, FEW_REPEATS)
        total += len(setup.threads) * repeats * each
    return total


def seconds(setup: Setup, unit: list[str], trained: bool) -> float:
    """Of one measurement; trained: this run has measured the workloads of training, too."""
    name, few, s = unit[0], setup.chosen(training.FEW), setup.seconds
    if name in WORKLOADS:
        return steps(setup, unit)
    loaded = sum(process(peer, training.LOADED, s) for peer in few)
    points = sum(map(len, growing().values()))
    growth = sum(of(START, peer, 1.0) + points * (of(PREPARE, peer, 0.1) + s) for peer in few)
    first = sum(of(START, peer, 1.0) + 1.5 for peer in setup.chosen(STARTED)) * len(TRAINING)
    scaling = 0 if trained else sum(steps(setup, group) for group in training.groups(TRAINING)) * 3 / 7
    costs = {
        "eager": setup.repeats * (2.5 + 2 * 7 * 2 * s),
        "import": setup.repeats * 0.8,
        "first": (setup.repeats + 2) // 3 * first,
        "scaling": scaling,
        "load": 3.5 * setup.repeats * loaded,
        "growth": max(1, setup.repeats // 3) * growth,
        "native": 80 + 400 * s,
        "fashion": (setup.repeats + 1) // 2 * len(setup.threads) * 20,
        "derivatives": setup.repeats * (6 + 12 * s) + 30,
        "profile": 3,
    }
    return costs.get("first" if name == "memory" else name, 0.0) + LIMITS


def units(setup: Setup, names: list[str]) -> dict[str, float]:
    """Seconds of each measurement, by its title; workloads of one kind are measured together."""
    groups = training.groups([name for name in names if name in WORKLOADS])
    groups += [[name] for name in names if name not in WORKLOADS]
    trained = set(TRAINING) <= set(names)
    return {" ".join(group): seconds(setup, group, trained) for group in groups}


def minutes(seconds: float) -> str:
    return f"{seconds / 60:.0f} min" if seconds >= 90 else f"{seconds:.0f} s"


@dataclass
class Progress:
    """What is done of a run, and how long the rest will take if it goes on at this pace."""

    expected: list[float]
    begin: float = field(default_factory=time.perf_counter)
    done: int = 0

    def line(self, title: str) -> str:
        past, planned = time.perf_counter() - self.begin, sum(self.expected[: self.done])
        pace = past / planned if planned > 30 else 1.0
        left = pace * sum(self.expected[self.done :])
        self.done += 1
        of = f"{self.done} of {len(self.expected)}"
        return f"== {of}: {title}; {minutes(past)} gone, about {minutes(left)} to go"
