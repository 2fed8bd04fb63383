"""Random tensors: drawn anew in every call, and in every run of a compiled function; keyed by manual_seed."""

from ._core import random_normal as normal
from ._core import random_uniform as uniform

__all__ = ["normal", "uniform"]
