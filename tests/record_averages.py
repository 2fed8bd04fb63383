"""Writes averages.npz: what PyTorch's AveragedModel (exponential and equal averages, update_bn) holds after
each of a few epochs in float64, which test_averages.py holds EMA and SWA to. Needs torch:
python tests/record_averages.py
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

FILE = Path(__file__).with_name("averages.npz")
ROWS, BATCH, EPOCHS, START, LR, LATE_LR = 48, 8, 6, 3, 0.05, 0.02
CASES = {
    "ema": {"decay": 0.9},
    "ema_buffers": {"decay": 0.95, "average_buffers": True},
    "swa": {},
    "swa_lr": {"lr": LATE_LR},
}
# of 5-6-BatchNorm-2 with tanh, weights (in, out)
NAMES = ("0.weight", "0.bias", "1.weight", "1.bias", "1.running_mean", "1.running_var", "3.weight", "3.bias")


def data() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(5)
    X = rng.normal(size=(ROWS, 5))
    return X, np.sin(X @ rng.normal(size=(5, 2)))


def start() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(6)
    shapes = {"0.weight": (5, 6), "0.bias": (6,), "3.weight": (6, 2), "3.bias": (2,)}
    return {name: 0.5 * rng.normal(size=shape) for name, shape in shapes.items()}


def main() -> None:
    import torch
    from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn, update_bn

    torch.set_default_dtype(torch.float64)
    X, y = (torch.tensor(a) for a in data())
    batches = [(X[i : i + BATCH], y[i : i + BATCH]) for i in range(0, ROWS, BATCH)]
    kept = {}
    for case, options in CASES.items():
        model = torch.nn.Sequential(
            torch.nn.Linear(5, 6), torch.nn.BatchNorm1d(6), torch.nn.Tanh(), torch.nn.Linear(6, 2)
        )
        with torch.no_grad():
            for name, value in start().items():
                weight = torch.tensor(value)
                model.get_parameter(name).copy_(weight.T if value.ndim == 2 else weight)
        optimizer = torch.optim.SGD(model.parameters(), lr=LR, momentum=0.9)
        if case.startswith("ema"):
            average = AveragedModel(
                model,
                multi_avg_fn=get_ema_multi_avg_fn(options["decay"]),
                use_buffers=options.get("average_buffers", False),
            )
        else:
            average = AveragedModel(model)
        for epoch in range(1, EPOCHS + 1):
            if "lr" in options and epoch >= START:
                optimizer.param_groups[0]["lr"] = options["lr"]
            for xb, yb in batches:
                optimizer.zero_grad()
                ((model(xb) - yb) ** 2).mean().backward()
                optimizer.step()
                if case.startswith("ema"):
                    average.update_parameters(model)
            if case.startswith("swa") and epoch >= START:
                average.update_parameters(model)
                update_bn([xb for xb, _ in batches], average)
            state = average.module.state_dict()
            for name in NAMES:
                value = state[name].numpy().copy()
                kept[f"{case}/{epoch}/{name}"] = value.T if value.ndim == 2 else value
            average.module.eval()
            kept[f"{case}/{epoch}/loss"] = ((average.module(X) - y) ** 2).mean().detach().numpy()
            average.module.train()
    np.savez_compressed(FILE, **kept)


if __name__ == "__main__":
    main()
