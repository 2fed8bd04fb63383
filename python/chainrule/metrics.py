"""Metrics as functions of (output, target) on arrays, as their names are in Trainer(metrics=[...]).

Defined as in scikit-learn, whose argument order is the other one: (y_true, y_score). `link` tells what
outputs mean: "softmax" (a logit per class), "exp" (a log-probability per class), "sigmoid" (the logit of
class 1, or of each of several labels), "probability" (its probability), or "identity": what they look like,
that is a score or probability per class beside targets with one axis less, otherwise class numbers or values.
"""

from ._core import (
    accuracy,
    average_precision,
    balanced_accuracy,
    classification_report,
    confusion_matrix,
    f1,
    higher_is_better,
    log_loss,
    mae,
    mse,
    precision,
    r2,
    recall,
    rmse,
    roc_auc,
    top_k_accuracy,
)

__all__ = [
    "accuracy",
    "average_precision",
    "balanced_accuracy",
    "classification_report",
    "confusion_matrix",
    "f1",
    "higher_is_better",
    "log_loss",
    "mae",
    "mse",
    "precision",
    "r2",
    "recall",
    "rmse",
    "roc_auc",
    "top_k_accuracy",
]
