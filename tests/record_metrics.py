"""Writes metrics.json: what scikit-learn's metric functions give for random outputs and targets, with ties,
absent classes, a single class, and weights, which test_metrics.py holds ours to. Needs scikit-learn:
python tests/record_metrics.py
"""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import numpy as np

FILE = Path(__file__).with_name("metrics.json")
AVERAGES = ("macro", "micro", "weighted", "samples")


def of_classes(target, predicted, weight, average):
    """Values of all metrics of class numbers, or of labels (N, L)."""
    from sklearn import metrics as m

    values = {"accuracy": m.accuracy_score(target, predicted, sample_weight=weight)}
    if target.ndim == 1:
        values["balanced_accuracy"] = m.balanced_accuracy_score(target, predicted, sample_weight=weight)
    averages = AVERAGES[:3] if target.ndim == 1 else AVERAGES
    for name in ("precision", "recall", "f1"):
        function = getattr(m, f"{name}_score")
        for way in averages:
            values[f"{name}_{way}"] = function(
                target, predicted, average=way, sample_weight=weight, zero_division=0
            )
        values[name] = function(target, predicted, average=average, sample_weight=weight, zero_division=0)
    return values


def of_scores(target, scores, weight):
    """Areas under curves: binary, or of a matrix of zeros and ones."""
    from sklearn import metrics as m

    values = {}
    for name, function in (("roc_auc", m.roc_auc_score), ("average_precision", m.average_precision_score)):
        values[name] = function(target, scores, sample_weight=weight)
        if target.ndim == 2:
            for way in AVERAGES:
                values[f"{name}_{way}"] = function(target, scores, average=way, sample_weight=weight)
    return values


def cases():
    """(what it is, link, output, target, weight, values) one after the other."""
    from sklearn import metrics as m

    rng = np.random.default_rng(0)

    def weights(i, n):
        return None if i % 2 else np.round(rng.random(n), 2) * (rng.random(n) < 0.8)

    for i in range(16):
        n = int(rng.integers(1, 40))
        classes = 1 if i in (3, 8) else 2
        target, predicted = rng.integers(0, classes, n), rng.integers(0, 2 if i != 8 else 1, n)
        w = weights(i, n)
        w = None if w is not None and not w.any() else w
        values = of_classes(target, predicted, w, "binary")
        yield "classes 0 and 1", "identity", predicted, target, w, values
        if len({*target, *predicted}) == 2:
            matrix = m.confusion_matrix(target, predicted, sample_weight=w)
            yield "confusion", "identity", predicted, target, w, {"matrix": matrix.tolist()}
    for i in range(12):
        n, classes = int(rng.integers(5, 40)), int(rng.integers(3, 7))
        target = rng.integers(0, classes, n) * (2 if i % 3 else 1) - (1 if i % 4 else 0)
        predicted = np.where(rng.random(n) < 0.5, target, rng.permutation(target) + (i % 5 == 0))
        w = weights(i, n)
        yield "classes", "identity", predicted, target, w, of_classes(target, predicted, w, "macro")
        matrix = m.confusion_matrix(target, predicted, sample_weight=w)
        yield "confusion", "identity", predicted, target, w, {"matrix": matrix.tolist()}
    for i in range(24):  # many ties, one class only
        n = int(rng.integers(2, 40))
        score = np.round(rng.random(n), 1 if i % 3 else 3)
        target = rng.integers(0, 2, n) if i % 6 else np.full(n, i % 4 // 2)
        w = weights(i, n)
        if w is not None and not all(w[target == c].any() or not (target == c).any() for c in (0, 1)):
            w = None
        values = of_scores(target, score, w)
        values["log_loss"] = m.log_loss(target, score, sample_weight=w, labels=[0, 1])
        values |= of_classes(target, (score >= 0.5).astype(int), w, "binary")
        yield "probabilities of class 1", "probability", score, target, w, values
        logit = np.round(rng.normal(size=n) * 3, 1)
        values = of_scores(target, logit, w) | of_classes(target, (logit >= 0).astype(int), w, "binary")
        values["log_loss"] = m.log_loss(target, 1 / (1 + np.exp(-logit)), sample_weight=w, labels=[0, 1])
        yield "logits of class 1", "sigmoid", logit, target, w, values
    for i in range(20):  # absent classes every third time
        n, classes = int(rng.integers(4, 30)), int(rng.integers(3, 6))
        target = rng.integers(0, classes if i % 3 else 2, n)
        logits = np.round(rng.normal(size=(n, classes)), 1 if i % 2 else 3)
        p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        w = weights(i, n)
        hot = (target[:, None] == np.arange(classes)).astype(int)
        for link, output in (("identity", p), ("softmax", logits), ("exp", np.log(p))):
            values = of_classes(target, output.argmax(axis=1), w, "macro")
            if link != "softmax" or i % 2 == 0:  # of rounded logits, which probabilities tie is chance
                values |= of_scores(hot, p, w)
            values["log_loss"] = m.log_loss(target, p, sample_weight=w, labels=np.arange(classes))
            for k in range(1, classes):
                values[f"top_{k}_accuracy"] = m.top_k_accuracy_score(
                    target, output, k=k, labels=np.arange(classes), sample_weight=w
                )
            yield "a score per class", link, output, target, w, values
        matrix = m.confusion_matrix(target, logits.argmax(axis=1), labels=np.arange(classes), sample_weight=w)
        yield "confusion", "softmax", logits, target, w, {"matrix": matrix.tolist()}
    for i in range(16):
        n, labels = int(rng.integers(3, 40)), int(rng.integers(2, 6))
        target = (rng.random((n, labels)) < 0.4).astype(int)
        if i % 5 == 0:
            target[:, 0] = 0
        score = np.round(rng.random((n, labels)), 1 if i % 3 else 3)
        w = weights(i, n)
        chosen = (score >= 0.5).astype(int)
        values = of_scores(target, score, w) | of_classes(target, chosen, w, "macro")
        yield "labels", "probability", score, target, w, values
        yield "labels", "identity", chosen, target, w, of_classes(target, chosen, w, "macro")
    for i in range(16):
        shape = (int(rng.integers(2, 40)),) + ((int(rng.integers(1, 4)),) if i % 2 else ())
        target = rng.normal(size=shape) if i % 5 else np.full(shape, 0.25)
        output = target + (rng.normal(size=shape) if i % 7 else 0)
        w = weights(i // 2, shape[0])
        yield (
            "values",
            "identity",
            output,
            target,
            w,
            {
                "mae": m.mean_absolute_error(target, output, sample_weight=w),
                "mse": m.mean_squared_error(target, output, sample_weight=w),
                "rmse": m.root_mean_squared_error(target, output, sample_weight=w),
                "r2": m.r2_score(target, output, sample_weight=w),
            },
        )
    one = np.array([1.5])
    yield "values", "identity", one, one + 1, None, {"r2": m.r2_score(one + 1, one), "mae": 1.0}


def main() -> None:
    rows = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for kind, link, output, target, weight, values in cases():
            rows.append(
                {
                    "kind": kind,
                    "link": link,
                    "output": output.tolist(),
                    "target": target.tolist(),
                    "weight": None if weight is None else weight.tolist(),
                    "values": values,
                }
            )
    FILE.write_text("[\n" + ",\n".join(json.dumps(row) for row in rows) + "\n]\n")
    print(f"{FILE.name}: {len(rows)} cases, {FILE.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
