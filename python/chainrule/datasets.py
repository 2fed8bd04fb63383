"""The data that comes with the package."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

__all__ = ["load_digits"]


def load_digits(
    split: Literal["train", "test"] | None = None,
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
    """Hand-written digits, 8 x 8 pixels (E. Alpaydin, C. Kaynak, UCI Machine Learning Repository, 1998).

    Parameters
    ----------
    split : "train", "test" or None
        1437 images, the other 360, or all 1797. The split is fixed and keeps the share of each digit.

    Returns
    -------
    X : float32 (n, 64)
        Pixels row by row, in [0, 1]: the stored values 0 ... 16, divided by 16.
    y : int64 (n,)
        The digit.
    """
    if split not in ("train", "test", None):
        raise ValueError(f'load_digits: split must be "train", "test" or None, got {split!r}')
    with np.load(Path(__file__).parent / "data" / "digits.npz", allow_pickle=False) as stored:
        images, labels, test = stored["images"], stored["labels"], stored["test"]
    if split is not None:
        rows = test if split == "test" else ~test
        images, labels = images[rows], labels[rows]
    return (images / np.float32(16)).astype(np.float32), labels.astype(np.int64)
