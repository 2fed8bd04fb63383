"""Ten-fold cross-validation of iris, wine and breast cancer beside scikit-learn's MLPClassifier.

Both train the same network with the same settings on the same stratified folds: columns standardized with
the training rows of each fold, one hidden ReLU layer, weights and biases drawn from Glorot's interval, Adam,
no penalty, a fixed number of epochs. Two classes are one sigmoid output in both. What differs is the random
numbers, of the weights and of the order of the samples. Printed: mean accuracy, and its spread over seeds.

python bench/peers/cross_validation.py [--seeds 10]      # needs scikit-learn, whose data sets these are
"""

from __future__ import annotations

import argparse
import warnings
from typing import Any

import chainrule as cr
import numpy as np
import sklearn
from chainrule import nn, optim
from sklearn.datasets import load_breast_cancer, load_iris, load_wine
from sklearn.model_selection import StratifiedKFold, cross_val_score
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

FOLDS, HIDDEN, LEARNING_RATE, EPOCHS, BATCH = 10, 32, 1e-2, 50, 16
DATA = {"iris": load_iris, "wine": load_wine, "breast cancer": load_breast_cancer}


def network(sizes: list[int]) -> Any:
    """With weights and biases between -b and b, b = sqrt(6 / (inputs + outputs)), as there."""
    model = nn.Sequential(nn.Standardizer(sizes[0]), nn.MLP(sizes))
    parameters = list(model.parameters())
    for weight, bias in zip(parameters[::2], parameters[1::2], strict=True):
        bound = float(np.sqrt(6 / sum(weight.shape)))
        cr.init.uniform_(weight, -bound, bound)
        cr.init.uniform_(bias, -bound, bound)
    return model


def ours(x: Any, y: Any, folds: list[Any], seed: int) -> Any:
    classes = int(y.max()) + 1
    outputs = 1 if classes == 2 else classes
    return cr.cross_validate(
        lambda: network([x.shape[1], HIDDEN, outputs]),
        x.astype(np.float32),
        y.astype(np.float32).reshape(-1, 1) if outputs == 1 else y.astype(np.int64),
        folds=folds,
        loss=nn.BCEWithLogitsLoss() if outputs == 1 else nn.CrossEntropyLoss(),
        optimizer=optim.Adam(lr=LEARNING_RATE),
        epochs=EPOCHS,
        batch_size=BATCH,
        metrics=["accuracy"],
        retrain=False,
        seed=seed,
        progress=False,
    ).scores


def theirs(x: Any, y: Any, folds: list[Any], seed: int) -> Any:
    network = MLPClassifier(
        [HIDDEN], solver="adam", alpha=0.0, batch_size=BATCH, learning_rate_init=LEARNING_RATE,
        max_iter=EPOCHS, tol=0.0, n_iter_no_change=EPOCHS, random_state=seed,
    )  # fmt: skip
    return cross_val_score(make_pipeline(StandardScaler(), network), x, y, cv=folds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seeds", type=int, default=10, help="of the folds, the weights and the order")
    options = parser.parse_args()
    warnings.simplefilter("ignore")  # it has not converged, as it says
    print(
        f"{FOLDS} folds, {HIDDEN} hidden, {EPOCHS} epochs, batches of {BATCH}, Adam({LEARNING_RATE:g}), "
        f"{options.seeds} seeds; chainrule {cr.__version__}, scikit-learn {sklearn.__version__}\n"
    )
    print("| data | rows x columns | chainrule | scikit-learn |")
    print("| --- | --- | --- | --- |")
    for name, load in DATA.items():
        x, y = load(return_X_y=True)
        scores: list[list[float]] = [[], []]
        for seed in range(options.seeds):
            folds = list(StratifiedKFold(FOLDS, shuffle=True, random_state=seed).split(x, y))
            for validate, means in zip((ours, theirs), scores, strict=True):
                means.append(100.0 * float(validate(x, y, folds, seed).mean()))
        cells = [f"{np.mean(means):.2f} ± {np.std(means):.2f} %" for means in scores]
        print("|", " | ".join([name, f"{x.shape[0]} x {x.shape[1]}", *cells]), "|", flush=True)


if __name__ == "__main__":
    main()
