"""Optimizers, with PyTorch's argument names, defaults and formulas."""

from ._core import SGD, Adagrad, Adam, AdamW, Optimizer, RMSprop

__all__ = ["SGD", "Adagrad", "Adam", "AdamW", "Optimizer", "RMSprop"]
