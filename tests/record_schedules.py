"""Writes schedules.json: the learning rates that PyTorch's schedulers, and optax's where PyTorch has none,
give for 200 steps, which test_schedules.py holds ours to. Needs torch and optax:
python tests/record_schedules.py
"""

from __future__ import annotations

import json
from pathlib import Path

FILE = Path(__file__).with_name("schedules.json")
STEPS = 200

# Ours: (name, arguments); a nested schedule is a list of the two. Theirs: a maker in the functions below.
CASES = [
    ("Constant", {"lr": 0.1}),
    ("Step", {"lr": 0.1, "step_size": 30, "gamma": 0.3}),
    ("MultiStep", {"lr": 0.1, "milestones": [20, 50, 51, 150], "gamma": 0.5}),
    ("Exponential", {"lr": 0.1, "gamma": 0.97}),
    ("Linear", {"lr": 0.05, "end": 0.01, "steps": 120}),
    ("Polynomial", {"lr": 0.1, "steps": 150, "power": 2.0}),
    ("Polynomial", {"lr": 0.1, "steps": 150, "power": 1.5, "end": 0.01}),
    ("Cosine", {"lr": 0.1, "steps": 199, "end": 0.001}),
    ("CosineRestarts", {"lr": 0.1, "steps": 25, "factor": 2, "end": 0.01}),
    ("CosineRestarts", {"lr": 0.1, "steps": 30}),
    ("OneCycle", {"max_lr": 0.1, "steps": 200}),
    (
        "OneCycle",
        {
            "max_lr": 0.1,
            "steps": 200,
            "pct_start": 0.4,
            "div_factor": 10.0,
            "final_div_factor": 100.0,
            "anneal": "linear",
        },
    ),
    ("InverseSqrt", {"lr": 0.1, "warmup": 40}),
    ("Warmup", {"then": ["Cosine", {"lr": 0.1, "steps": 150, "end": 0.01}], "steps": 50, "start": 0.2}),
    (
        "Chain",
        {
            "parts": [
                ["Constant", {"lr": 0.01}],
                ["Exponential", {"lr": 0.1, "gamma": 0.9}],
                ["Linear", {"lr": 0.1, "end": 0.0, "steps": 50}],
            ],
            "milestones": [20, 100],
        },
    ),
]


def of_torch(name, given):
    """PyTorch's rates, or None where it has no such scheduler."""
    import torch
    from torch.optim import lr_scheduler as s

    if name in ("Warmup", "Chain"):
        return None
    lr = given.get("lr", given.get("max_lr"))
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=lr)
    if name == "Constant":
        scheduler = s.ConstantLR(optimizer, factor=1.0)
    elif name == "Step":
        scheduler = s.StepLR(optimizer, given["step_size"], given["gamma"])
    elif name == "MultiStep":
        scheduler = s.MultiStepLR(optimizer, given["milestones"], given["gamma"])
    elif name == "Exponential":
        scheduler = s.ExponentialLR(optimizer, given["gamma"])
    elif name == "Linear":
        scheduler = s.LinearLR(optimizer, 1.0, given["end"] / lr, given["steps"])
    elif name == "Polynomial" and "end" not in given:
        scheduler = s.PolynomialLR(optimizer, given["steps"], given["power"])
    elif name == "Cosine":
        scheduler = s.CosineAnnealingLR(optimizer, given["steps"], given["end"])
    elif name == "CosineRestarts":
        scheduler = s.CosineAnnealingWarmRestarts(
            optimizer, given["steps"], given.get("factor", 1), given.get("end", 0.0)
        )
    elif name == "OneCycle":
        scheduler = s.OneCycleLR(
            optimizer,
            lr,
            total_steps=given["steps"],
            pct_start=given.get("pct_start", 0.3),
            anneal_strategy=given.get("anneal", "cos"),
            div_factor=given.get("div_factor", 25.0),
            final_div_factor=given.get("final_div_factor", 1e4),
        )
    else:
        return None
    rates = []
    for t in range(STEPS):
        rates.append(float(optimizer.param_groups[0]["lr"]))
        optimizer.step()
        if t + 1 < STEPS:
            scheduler.step()
    return rates


def of_optax(name, given):
    import jax
    import optax

    jax.config.update("jax_enable_x64", True)

    def made(name, given):
        if name == "Constant":
            return optax.constant_schedule(given["lr"])
        if name == "Exponential":
            return optax.exponential_decay(given["lr"], 1, given["gamma"])
        if name == "Linear":
            return optax.linear_schedule(given["lr"], given["end"], given["steps"])
        if name == "Polynomial":
            return optax.polynomial_schedule(given["lr"], given["end"], given["power"], given["steps"])
        if name == "InverseSqrt":  # optax has none: its parts have
            rise = optax.linear_schedule(given["lr"] / given["warmup"], given["lr"], given["warmup"] - 1)
            fall = lambda t: given["lr"] * ((t + given["warmup"]) / given["warmup"]) ** -0.5  # noqa: E731
            return optax.join_schedules([rise, fall], [given["warmup"] - 1])
        if name == "Warmup":
            _, then = given["then"]
            return optax.warmup_cosine_decay_schedule(
                given["start"] * then["lr"],
                then["lr"],
                given["steps"],
                given["steps"] + then["steps"],
                then["end"],
            )
        assert name == "Chain"
        return optax.join_schedules([made(*part) for part in given["parts"]], given["milestones"])

    schedule = made(name, given)
    return [float(schedule(t)) for t in range(STEPS)]


def plateau(values):
    """PyTorch's rates after each of these values."""
    import torch

    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1)
    scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(
        optimizer, factor=0.3, patience=2, threshold=0.01, cooldown=1, min_lr=0.002
    )
    rates = []
    for value in values:
        scheduler.step(value)
        rates.append(optimizer.param_groups[0]["lr"])
    return rates


def main() -> None:
    rows = []
    for name, given in CASES:
        rates = of_torch(name, given)
        judge = "torch" if rates is not None else "optax"
        rows.append(
            {"name": name, "arguments": given, "judge": judge, "rates": rates or of_optax(name, given)}
        )
    values = [1 / (1 + 0.3 * t) + (0.2 if t % 3 else 0.0) for t in range(12)] + [0.3] * 28
    whole = {"schedules": rows, "plateau": {"values": values, "rates": plateau(values)}}
    FILE.write_text(json.dumps(whole) + "\n")
    print(f"{FILE.name}: {len(rows)} schedules, {FILE.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
