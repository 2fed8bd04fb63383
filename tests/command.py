"""What the tests of the command line share: data of known kinds, and what a refusal looks like."""

import csv
import gzip
import re
import struct
from pathlib import Path

import numpy as np


def fails(run, match, *arguments):
    message = run(*arguments, code=2).stderr
    assert re.search(match, message), message


def write_table(path, n=120, seed=0, missing=False, target="species"):
    """Three kinds told apart by two numbers and a colour."""
    rng = np.random.default_rng(seed)
    kinds = rng.integers(0, 3, n)
    with Path(path).open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["length", "width", "colour", target])
        for i, kind in enumerate(kinds):
            colour = ["red", "green", "blue"][kind] if rng.random() < 0.9 else "red"
            row = [f"{kind * 2 + rng.normal():.3f}", f"{1000 * (kind - 1) + 200 * rng.normal():.2f}", colour]
            if missing and i % 10 == 3:
                row[i // 10 % 3] = ["", "NA", "?"][i // 10 % 3]
            writer.writerow([*row, f"kind {'abc'[kind]}"])


def write_idx(path, array):
    array = np.asarray(array, np.uint8)
    data = struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.tobytes()
    Path(path).write_bytes(gzip.compress(data) if str(path).endswith(".gz") else data)


def read_rows(path):
    with Path(path).open(newline="") as file:
        return list(csv.DictReader(file))


def images(n, seed=0):
    """A bright half, left or right, on noise."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 2, n)
    X = rng.integers(0, 60, (n, 6, 6))
    for i, side in enumerate(y):
        X[i, :, 3 * side : 3 * side + 3] += 150
    return X.astype(np.uint8), y.astype(np.uint8)
