"""Accuracy on Fashion-MNIST with matrix products of operands rounded to bfloat16, beside float32, over seeds.

With AMX these are steps of Trainer(precision="bf16"). Elsewhere a layer of its own rounds the operands of its
products, forward and backward, and multiplies in float32: the same rounding, sums in another order.

python bench/peers/bf16_accuracy.py [--folder FILES] [--seeds 5]
"""

from __future__ import annotations

import argparse
import statistics
from itertools import pairwise
from pathlib import Path
from typing import Any

import chainrule as cr
from chainrule import data, nn, optim
from fashion import FOLDER
from fashion_worker import BATCH, EPOCHS, LEARNING_RATE, SIZES, split


def rounded(t: Any) -> Any:
    return cr.cast(cr.cast(t, "bfloat16"), "float32")


@cr.custom_gradient
def product(x: Any, w: Any) -> Any:
    x, w = rounded(x), rounded(w)

    def pullback(g: Any) -> Any:
        g = rounded(g)
        return g @ w.T, x.T @ g

    return x @ w, pullback


class RoundedLinear(nn.Module):
    def __init__(self, inputs: int, outputs: int) -> None:
        self.linear = nn.Linear(inputs, outputs)

    def forward(self, x: Any) -> Any:
        return product(x, self.linear.weight) + self.linear.bias


def network(precision: str, seed: int) -> Any:
    kind = RoundedLinear if precision == "bf16" and not cr.has_bf16() else nn.Linear
    layers: list[Any] = []
    for sizes in pairwise(SIZES):
        layers += [kind(*sizes), nn.ReLU()]
    return nn.Sequential(*layers[:-1], seed=seed)


def accuracy(parts: tuple[Any, ...], precision: str, seed: int) -> float:
    x, y, x_test, y_test = parts
    model = network(precision, seed)
    own = precision if cr.has_bf16() else "float32"
    trainer = cr.Trainer(model, nn.CrossEntropyLoss(), optim.Adam(lr=LEARNING_RATE), seed=seed, precision=own)
    trainer.fit(x, y, epochs=EPOCHS, batch_size=BATCH, progress=False)
    return 100.0 * float((model.predict(x_test).argmax(axis=1) == y_test).mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--folder", type=Path, default=FOLDER, help="Fashion-MNIST's four files")
    parser.add_argument("--seeds", type=int, default=5)
    options = parser.parse_args()
    parts = split(data.read_idx, options.folder)
    print(f"{EPOCHS} epochs of 784-256-128-10, accuracy on the test in %;", end=" ")
    print("bf16 on AMX" if cr.has_bf16() else "bf16 by rounding, no AMX here")
    found: dict[str, list[float]] = {"float32": [], "bf16": []}
    for seed in range(options.seeds):
        for precision, values in found.items():
            values.append(accuracy(parts, precision, seed))
        print(f"seed {seed}: " + ", ".join(f"{name} {values[-1]:.2f}" for name, values in found.items()))
    means = {name: statistics.mean(values) for name, values in found.items()}
    less = means["bf16"] - means["float32"]
    print(f"mean: float32 {means['float32']:.2f}, bf16 {means['bf16']:.2f}, {less:+.2f}")


if __name__ == "__main__":
    main()
