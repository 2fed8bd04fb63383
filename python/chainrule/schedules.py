"""Schedules of the learning rate: every optimizer takes one, or any function of the step, where it takes lr.

A schedule gives the rate of every step, or with per="epoch" of every epoch, counted from 0.
"""

from ._core import ChainSchedule as Chain
from ._core import ConstantSchedule as Constant
from ._core import CosineRestartsSchedule as CosineRestarts
from ._core import CosineSchedule as Cosine
from ._core import ExponentialSchedule as Exponential
from ._core import InverseSqrtSchedule as InverseSqrt
from ._core import LinearSchedule as Linear
from ._core import MultiStepSchedule as MultiStep
from ._core import OneCycleSchedule as OneCycle
from ._core import PolynomialSchedule as Polynomial
from ._core import ReduceOnPlateauSchedule as ReduceOnPlateau
from ._core import Schedule
from ._core import StepSchedule as Step
from ._core import WarmupSchedule as Warmup

__all__ = [
    "Chain",
    "Constant",
    "Cosine",
    "CosineRestarts",
    "Exponential",
    "InverseSqrt",
    "Linear",
    "MultiStep",
    "OneCycle",
    "Polynomial",
    "ReduceOnPlateau",
    "Schedule",
    "Step",
    "Warmup",
]
