"""Writes trajectories.npz: 200 steps of PyTorch's optimizers (Lion: optax's) in float64, which
test_trajectories.py holds ours to. Needs torch and optax:  python tests/record_trajectories.py
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

FILE = Path(__file__).with_name("trajectories.npz")
STEPS, KEPT = 200, (1, 2, 10, 50, 100, 200)
LAYERS = ("0.weight", "0.bias", "2.weight", "2.bias")  # of 5-7-2 with tanh, weights (in, out)

CASES = [
    ("SGD", {"lr": 0.05}),
    ("SGD", {"lr": 0.05, "momentum": 0.9}),
    ("SGD", {"lr": 0.05, "momentum": 0.9, "dampening": 0.3, "weight_decay": 0.01}),
    ("SGD", {"lr": 0.02, "momentum": 0.9, "nesterov": True, "weight_decay": 0.01}),
    ("SGD", {"lr": 0.05, "weight_decay": 0.1, "maximize": True}),
    ("Adagrad", {"lr": 0.05}),
    (
        "Adagrad",
        {"lr": 0.1, "lr_decay": 0.02, "weight_decay": 0.01, "initial_accumulator_value": 0.1, "eps": 1e-6},
    ),
    ("Adagrad", {"lr": 0.05, "maximize": True}),
    ("RMSprop", {"lr": 0.01}),
    ("RMSprop", {"lr": 0.01, "alpha": 0.9, "momentum": 0.5, "weight_decay": 0.01, "eps": 1e-6}),
    ("RMSprop", {"lr": 0.01, "centered": True}),
    ("RMSprop", {"lr": 0.01, "centered": True, "momentum": 0.9, "weight_decay": 0.02}),
    ("RMSprop", {"lr": 0.01, "maximize": True}),
    ("Adam", {"lr": 0.01}),
    ("Adam", {"lr": 0.01, "betas": (0.8, 0.95), "eps": 1e-6, "weight_decay": 0.05}),
    ("Adam", {"lr": 0.01, "amsgrad": True}),
    ("Adam", {"lr": 0.01, "amsgrad": True, "weight_decay": 0.05, "maximize": True}),
    ("AdamW", {"lr": 0.01}),
    ("AdamW", {"lr": 0.01, "betas": (0.8, 0.95), "eps": 1e-6, "weight_decay": 0.2}),
    ("AdamW", {"lr": 0.01, "amsgrad": True}),
    ("AdamW", {"lr": 0.01, "amsgrad": True, "weight_decay": 0.1, "maximize": True}),
    ("Adadelta", {"lr": 0.5}),
    ("Adadelta", {"lr": 1.0, "rho": 0.8, "eps": 1e-4, "weight_decay": 0.05, "maximize": True}),
    ("Adamax", {"lr": 0.01}),
    ("Adamax", {"lr": 0.01, "betas": (0.8, 0.95), "eps": 1e-5, "weight_decay": 0.05, "maximize": True}),
    ("NAdam", {"lr": 0.01}),
    ("NAdam", {"lr": 0.01, "betas": (0.8, 0.95), "eps": 1e-6, "weight_decay": 0.05, "momentum_decay": 0.02}),
    ("NAdam", {"lr": 0.01, "weight_decay": 0.05, "decoupled_weight_decay": True, "maximize": True}),
    ("RAdam", {"lr": 0.01}),
    ("RAdam", {"lr": 0.01, "betas": (0.8, 0.95), "eps": 1e-6, "weight_decay": 0.05}),
    ("RAdam", {"lr": 0.01, "betas": (0.9, 0.6), "weight_decay": 0.05, "decoupled_weight_decay": True}),
    ("Lion", {"lr": 0.002}),
    ("Lion", {"lr": 0.002, "betas": (0.8, 0.95), "weight_decay": 0.1}),
]

CLIP_VALUE = 0.02
CLIP_VALUE_CASES = [("SGD", {"lr": 0.05}), ("SGD", {"lr": 0.05, "momentum": 0.9}), ("AdamW", {"lr": 0.01})]

# Groups: (parameters, what they take otherwise).
BIASES, FIRST = ("0.bias", "2.bias"), ("0.weight",)
GROUP_CASES = [
    (
        "SGD",
        {"lr": 0.05, "momentum": 0.9, "weight_decay": 0.02},
        [(BIASES, {"weight_decay": 0.0}), (FIRST, {"lr": 0.01})],
    ),
    ("RMSprop", {"lr": 0.01, "weight_decay": 0.05}, [(BIASES, {"alpha": 0.9, "lr": 0.002})]),
    (
        "Adam",
        {"lr": 0.01, "weight_decay": 0.05},
        [(BIASES, {"weight_decay": 0.0, "betas": (0.8, 0.95)}), (FIRST, {"lr": 0.003})],
    ),
    (
        "AdamW",
        {"lr": 0.01, "weight_decay": 0.2},
        [(BIASES, {"weight_decay": 0.0}), (FIRST, {"lr": 0.002, "weight_decay": 0.5})],
    ),
    ("AdamW", {"lr": 0.01, "weight_decay": 0.2}, [(BIASES, {"freeze": True})]),
    ("Adagrad", {"lr": 0.05}, [(FIRST, {"lr": 0.2, "weight_decay": 0.1})]),
    ("NAdam", {"lr": 0.01}, [(FIRST, {"lr": 0.003, "weight_decay": 0.05})]),
]

# L-BFGS on the whole set at once, with a penalty on large weights: it converges within these steps.
PENALTY = 0.3
LBFGS_STEPS, LBFGS_KEPT = 200, (1, 2, 3, 5, 10, 20, 50, 200)
LBFGS_CASES = [
    {"lr": 0.05},
    {"lr": 0.1, "max_iter": 5, "history_size": 3},
    {"lr": 0.05, "max_iter": 4, "max_eval": 3},
    {"line_search_fn": "strong_wolfe"},
    {"line_search_fn": "strong_wolfe", "max_iter": 4, "history_size": 5},
    {"line_search_fn": "strong_wolfe", "lr": 5.0, "max_iter": 3, "max_eval": 20},
]


def problem() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    sizes = {"0.weight": (5, 7), "0.bias": (7,), "2.weight": (7, 2), "2.bias": (2,)}
    start = {f"start.{name}": rng.normal(size=size) * 0.5 for name, size in sizes.items()}
    return {"x": rng.normal(size=(8, 16, 5)), "y": rng.normal(size=(8, 16, 2)), **start}


def grouped(named, groups):
    """PyTorch's form of a case's groups; what is frozen is left out."""
    taken = [p for names, _ in groups for p in names]
    lists = [{"params": [named[p] for p in LAYERS if p not in taken]}]
    for names, options in groups:
        if not options.get("freeze"):
            lists.append({"params": [named[p] for p in names], **options})
    return lists


def of_torch(given, name, options, clip_norm=None, groups=(), clip_value=None):
    """The parameters after each step: arrays by name, weights (in, out)."""
    import torch

    torch.set_default_dtype(torch.float64)  # else NAdam keeps the product of its momenta in float32
    net = torch.nn.Sequential(torch.nn.Linear(5, 7), torch.nn.Tanh(), torch.nn.Linear(7, 2))
    ours = {p: (lambda t: t.T) if p.endswith("weight") else (lambda t: t) for p in LAYERS}
    theirs = dict(net.named_parameters())
    with torch.no_grad():
        for p in LAYERS:
            theirs[p].copy_(torch.from_numpy(ours[p](given[f"start.{p}"])))
    opt = getattr(torch.optim, name)(grouped(theirs, groups), foreach=False, **options)
    sign = -1 if options.get("maximize") else 1
    for i in range(STEPS):
        x, y = torch.from_numpy(given["x"][i % 8]), torch.from_numpy(given["y"][i % 8])
        opt.zero_grad()
        (sign * torch.nn.functional.mse_loss(net(x), y)).backward()
        if clip_norm is not None:
            torch.nn.utils.clip_grad_norm_(net.parameters(), clip_norm)
        if clip_value is not None:
            torch.nn.utils.clip_grad_value_(net.parameters(), clip_value)
        opt.step()
        yield {p: ours[p](theirs[p].detach().numpy()).copy() for p in LAYERS}


def lbfgs_of_torch(given, options):
    """Weights after each step of L-BFGS on all 128 samples."""
    import torch

    torch.set_default_dtype(torch.float64)
    w = [torch.tensor(given[f"start.{p}"], requires_grad=True) for p in LAYERS]
    x, y = torch.from_numpy(given["x"].reshape(-1, 5)), torch.from_numpy(given["y"].reshape(-1, 2))
    opt = torch.optim.LBFGS(w, **options)

    def closure():
        opt.zero_grad()
        loss = torch.nn.functional.mse_loss(torch.tanh(x @ w[0] + w[1]) @ w[2] + w[3], y)
        loss = loss + PENALTY * sum((p**2).sum() for p in w)
        loss.backward()
        return loss

    for _ in range(LBFGS_STEPS):
        opt.step(closure)
        yield np.concatenate([p.detach().numpy().ravel() for p in w])


def of_optax(given, name, options, clip_norm):
    import jax
    import jax.numpy as jnp
    import optax

    jax.config.update("jax_enable_x64", True)
    options = dict(options)
    b1, b2 = options.pop("betas", (0.9, 0.99))
    opt = getattr(optax, name.lower())(
        options.pop("lr"), b1=b1, b2=b2, weight_decay=options.pop("weight_decay", 0.0)
    )
    assert not options
    params = {p: jnp.asarray(given[f"start.{p}"]) for p in LAYERS}

    def loss(params, x, y):
        h = jnp.tanh(x @ params["0.weight"] + params["0.bias"])
        return jnp.mean((h @ params["2.weight"] + params["2.bias"] - y) ** 2)

    state = opt.init(params)
    for i in range(STEPS):
        gradients = jax.grad(loss)(params, given["x"][i % 8], given["y"][i % 8])
        if clip_norm is not None:  # as PyTorch does
            norm = jnp.sqrt(sum(jnp.sum(g**2) for g in gradients.values()))
            gradients = {p: g * jnp.minimum(1.0, clip_norm / (norm + 1e-6)) for p, g in gradients.items()}
        updates, state = opt.update(gradients, state, params)
        params = optax.apply_updates(params, updates)
        yield {p: np.asarray(params[p]) for p in LAYERS}


def kept(steps):
    path = [np.concatenate([step[p].ravel() for p in LAYERS]) for step in steps]
    return np.stack([path[step - 1] for step in KEPT])


def main() -> None:
    given = problem()
    arrays = dict(given)
    for i, (name, options, groups) in enumerate(GROUP_CASES):
        arrays[f"groups.{i}"] = kept(of_torch(given, name, options, groups=groups))
    for i, (name, options) in enumerate(CLIP_VALUE_CASES):
        arrays[f"clip_value.{i}"] = kept(of_torch(given, name, options, clip_value=CLIP_VALUE))
    for i, (name, options) in enumerate(CASES):
        for clip_norm in (None, 0.2):
            run = of_optax if name == "Lion" else of_torch
            arrays[f"{i}.{clip_norm}"] = kept(run(given, name, options, clip_norm))
    for i, options in enumerate(LBFGS_CASES):
        path = list(lbfgs_of_torch(given, options))
        arrays[f"lbfgs.{i}"] = np.stack([path[step - 1] for step in LBFGS_KEPT])
    np.savez_compressed(FILE, **arrays)
    print(f"{FILE.name}: {len(CASES)} cases, {FILE.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
