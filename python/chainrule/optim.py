"""Optimizers, with PyTorch's argument names, defaults and formulas."""

from ._core import (
    LBFGS,
    SGD,
    Adadelta,
    Adagrad,
    Adam,
    Adamax,
    AdamW,
    LevenbergMarquardt,
    Lion,
    NAdam,
    Optimizer,
    RAdam,
    RMSprop,
)

__all__ = [
    "LBFGS",
    "SGD",
    "Adadelta",
    "Adagrad",
    "Adam",
    "AdamW",
    "Adamax",
    "LevenbergMarquardt",
    "Lion",
    "NAdam",
    "Optimizer",
    "RAdam",
    "RMSprop",
]
