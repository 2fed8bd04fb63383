"""What random_search draws parameters from, besides lists."""

from ._core import Integer, LogUniform, Uniform

__all__ = ["Integer", "LogUniform", "Uniform"]
