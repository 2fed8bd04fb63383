"""What a training step takes from arrays and from sources of the same rows: `mnist`, batches of 128.

Processor time of the whole process, the reading thread included, over epochs taken in turn: it hardly depends
on what else the machine does.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import chainrule as cr
import numpy as np
from chainrule import data, nn, optim

ROWS, BATCH, EPOCHS = 60_000, 128, 3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=6)
    given = parser.parse_args()
    cr.set_num_threads(given.threads)
    rng = np.random.default_rng(0)
    X, y = rng.random((ROWS, 784), np.float32), rng.integers(0, 10, ROWS)

    def pieces() -> Iterator[Any]:
        for at in range(0, ROWS, 5000):
            yield X[at : at + 5000], y[at : at + 5000]

    with tempfile.TemporaryDirectory() as folder:
        paths = Path(folder) / "X.npy", Path(folder) / "y.npy"
        for path, array in zip(paths, (X, y), strict=True):
            np.save(path, array)
        kinds: dict[str, tuple[Any, ...]] = {
            "arrays": (X, y),
            "NpySource": (data.NpySource(*paths),),
            "GeneratorSource": (data.GeneratorSource(pieces, rows=ROWS),),
        }
        trainers = {
            kind: cr.Trainer(nn.MLP([784, 256, 128, 10], seed=0), nn.CrossEntropyLoss(), optim.Adam(lr=1e-3))
            for kind in kinds
        }
        seconds: dict[str, list[float]] = {kind: [] for kind in kinds}
        for _ in range(given.rounds):
            for kind, rows in kinds.items():
                stamps: list[float] = []
                trainers[kind].fit(
                    *rows,
                    epochs=EPOCHS + 1,  # the first one counts for nothing
                    batch_size=BATCH,
                    callbacks=[lambda fit, stamps=stamps: stamps.append(time.process_time())],
                    progress=False,
                )
                seconds[kind] += np.diff(stamps).tolist()
    steps = -(-ROWS // BATCH)
    for kind, took in seconds.items():
        least, middle = min(took) / steps * 1e6, statistics.median(took) / steps * 1e6
        print(f"{kind:16s} {least:7.0f} us a step at best, {middle:7.0f} in the middle")


if __name__ == "__main__":
    main()
