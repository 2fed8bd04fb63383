"""Test accuracies beside published ones: the bundled digits, and MNIST-1D (Greydanus 2020, arXiv:2011.14439).

Digits: 1437 images of scikit-learn's load_digits to train on, 360 to test. MNIST-1D: what the package mnist1d
makes with its own settings, 4000 rows of 40 numbers to train on, 1000 to test; the published accuracy of an
MLP on it is 68 %. Layers, dropout, rate and epochs were chosen by five-fold cross-validation on the training
rows, which is printed, too. The test rows are used once per seed, after the last epoch.

python bench/peers/accuracies.py [--seeds 10]   # MNIST-1D needs the package mnist1d; nothing is downloaded
"""

from __future__ import annotations

import argparse
from typing import Any, NamedTuple

import chainrule as cr
import numpy as np
from chainrule import nn, optim, schedules

FOLDS = 5


class Recipe(NamedTuple):
    data: str
    sizes: list[int]
    dropout: float
    rate: float  # of AdamW at the start; it falls to 0 along a cosine
    epochs: int
    batch: int
    smoothing: float = 0.0


RECIPES = [
    Recipe("digits", [64, 256, 256, 10], 0.4, 3e-3, 60, 32, smoothing=0.1),
    Recipe("MNIST-1D", [40, 100, 100, 10], 0.2, 1e-2, 100, 100),
    Recipe("MNIST-1D", [40, 256, 256, 10], 0.3, 5e-3, 100, 100),
]


def mnist_1d() -> tuple[Any, ...]:
    from mnist1d.data import get_dataset_args, make_dataset

    made = make_dataset(get_dataset_args())
    return tuple(
        np.asarray(made[name], np.int64 if name[0] == "y" else np.float32)
        for name in ("x", "y", "x_test", "y_test")
    )


def digits() -> tuple[Any, ...]:
    return *cr.datasets.load_digits(split="train"), *cr.datasets.load_digits(split="test")


DATA = {"digits": digits, "MNIST-1D": mnist_1d}


def network(recipe: Recipe) -> Any:
    return nn.MLP(recipe.sizes, dropout=recipe.dropout)


def training(recipe: Recipe, rows: int) -> dict[str, Any]:
    steps = recipe.epochs * -(-rows // recipe.batch)
    return {
        "loss": nn.CrossEntropyLoss(label_smoothing=recipe.smoothing),
        "optimizer": optim.AdamW(lr=schedules.Cosine(recipe.rate, steps)),
        "metrics": ["accuracy"],
    }


def cross_validated(recipe: Recipe, X: Any, y: Any) -> float:
    result = cr.cross_validate(
        lambda: network(recipe),
        X,
        y,
        k=FOLDS,
        **training(recipe, len(y) - len(y) // FOLDS),
        epochs=recipe.epochs,
        batch_size=recipe.batch,
        retrain=False,
        progress=False,
    )
    return 100.0 * float(result.mean)


def test_accuracy(recipe: Recipe, X: Any, y: Any, X_test: Any, y_test: Any, seed: int) -> float:
    cr.manual_seed(seed)
    trainer = cr.Trainer(network(recipe), **training(recipe, len(y)), seed=seed)
    trainer.fit(X, y, epochs=recipe.epochs, batch_size=recipe.batch, progress=False)
    return 100.0 * trainer.evaluate(X_test, y_test)["accuracy"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seeds", type=int, default=10, help="of the weights, the order and the dropout")
    options = parser.parse_args()
    print(f"{options.seeds} seeds; chainrule {cr.__version__}\n")
    print("| data | network | dropout | epochs | cross-validated | test | worst seed |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for recipe in RECIPES:
        try:
            X, y, X_test, y_test = DATA[recipe.data]()
        except ImportError as error:
            print(f"{recipe.data}: left out, {error}")
            continue
        found = [test_accuracy(recipe, X, y, X_test, y_test, seed) for seed in range(options.seeds)]
        cells = [
            recipe.data,
            "-".join(map(str, recipe.sizes)),
            f"{recipe.dropout:g}",
            str(recipe.epochs),
            f"{cross_validated(recipe, X, y):.1f} %",
            f"{np.mean(found):.1f} ± {np.std(found):.1f} %",
            f"{min(found):.1f} %",
        ]
        print("|", " | ".join(cells), "|", flush=True)


if __name__ == "__main__":
    main()
