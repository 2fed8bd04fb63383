"""Records folds.json: the folds of scikit-learn's splitters without shuffling, for test_splits.py.

Run where scikit-learn is installed: python tests/record_folds.py
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from sklearn import model_selection as judge


def held_out(splitter: Any, n: int, labels: Any = None, groups: Any = None) -> list[int]:
    """The fold in which each row is held out."""
    folds = np.full(n, -1)
    for i, (_, rows) in enumerate(splitter.split(np.zeros(n), labels, groups)):
        folds[rows] = i
    return folds.tolist()


def record() -> dict[str, Any]:
    draw = np.random.default_rng(0)
    cases: list[dict[str, Any]] = []
    for n, k in ((2, 2), (7, 3), (10, 10), (23, 5)):
        cases.append({"n": n, "k": k, "folds": held_out(judge.KFold(k), n)})
    for n, k, classes in ((20, 2, 2), (31, 3, 4), (100, 10, 3)):
        labels = np.concatenate(
            [np.repeat(np.arange(classes), k), draw.integers(0, classes, n - classes * k)]
        )
        draw.shuffle(labels)
        folds = held_out(judge.StratifiedKFold(k), n, labels)
        cases.append({"n": n, "k": k, "stratify": labels.tolist(), "folds": folds})
    for k, sizes in ((2, (1, 2, 3)), (3, (9, 4, 1, 6, 2, 12, 5)), (4, (3, 8, 2, 10, 7, 1, 15, 6, 4))):
        groups = np.repeat(draw.permutation(len(sizes)), sizes)  # no two of one size: ties go either way
        draw.shuffle(groups)
        folds = held_out(judge.GroupKFold(k), len(groups), groups=groups)
        cases.append({"n": len(groups), "k": k, "groups": groups.tolist(), "folds": folds})
    for n, k, classes, count in ((40, 2, 2, 6), (90, 3, 3, 12), (120, 5, 4, 30)):
        groups, labels = draw.integers(0, count, n), draw.integers(0, classes, n)
        folds = held_out(judge.StratifiedGroupKFold(k), n, labels, groups)
        cases.append({"n": n, "k": k, "stratify": labels.tolist(), "groups": groups.tolist(), "folds": folds})
    series = []
    for n, k, options in ((7, 3, {}), (20, 4, {"gap": 2}), (20, 3, {"test_size": 2, "max_train_size": 5})):
        pairs = judge.TimeSeriesSplit(k, **options).split(np.zeros(n))
        series.append(
            {"n": n, "k": k, **options, "folds": [[train.tolist(), rows.tolist()] for train, rows in pairs]}
        )
    return {"k_fold": cases, "time_series": series}


if __name__ == "__main__":
    text = json.dumps(record(), separators=(",", ":"))
    Path(__file__).with_name("folds.json").write_text(text + "\n", encoding="utf-8")
