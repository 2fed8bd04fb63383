"""scikit-learn's MLPClassifier as a peer, in float32. partial_fit goes once over its data, in batches."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import sklearn
from sklearn.neural_network import MLPClassifier
from sklearn.neural_network._stochastic_optimizers import AdamOptimizer, SGDOptimizer
from workloads import Array, Layers, Workload

VARIANTS = {"train": ("",)}


def versions() -> dict[str, str]:
    return {"scikit-learn": sklearn.__version__, "numpy": np.__version__}


class Train:
    def __init__(self, workload: Workload, variant: str, layers: Layers, x: Array, y: Any) -> None:
        warnings.simplefilter("ignore")  # it has not converged, as it says
        if workload.sizes[-1] == 2:
            raise NotImplementedError(
                "with two classes it trains one sigmoid output, which is another network"
            )
        classes = np.arange(workload.sizes[-1])
        self.network = MLPClassifier(
            workload.sizes[1:-1], solver=workload.optimizer, alpha=0.0, batch_size=workload.batch,
            shuffle=False, learning_rate_init=workload.lr, momentum=0.0, nesterovs_momentum=False,
        )  # fmt: skip
        self.network.partial_fit(
            x[: workload.batch], y[: workload.batch], classes=classes
        )  # makes the arrays
        given = [weight for weight, _ in layers] + [bias for _, bias in layers]
        for own, value in zip([*self.network.coefs_, *self.network.intercepts_], given, strict=True):
            own[...] = value
        parameters = self.network.coefs_ + self.network.intercepts_
        if workload.optimizer == "adam":
            self.network._optimizer = AdamOptimizer(parameters, workload.lr)
        else:
            self.network._optimizer = SGDOptimizer(parameters, workload.lr, momentum=0.0, nesterov=False)
        self.x, self.y, self.batch, self.batches = x, y, workload.batch, workload.batches

    def run(self, steps: int) -> None:
        epochs, rest = divmod(steps, self.batches)
        for _ in range(epochs):
            self.network.partial_fit(self.x, self.y)
        if rest:
            self.network.partial_fit(self.x[: rest * self.batch], self.y[: rest * self.batch])

    def layers(self) -> Layers:
        return list(zip(self.network.coefs_, self.network.intercepts_, strict=True))
