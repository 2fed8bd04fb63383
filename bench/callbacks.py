"""What callbacks and the progress bar cost: epochs of MNIST's size, 784-256-128-10 in 469 batches of 128.

Each round times one fit per row of the table, in turn: by processor time on one thread, by the clock on
several. Shown are medians over rounds, of a step's time and of the fit's time by that of the bare fit of the
same round. The bar is drawn on a pseudo-terminal.

python bench/callbacks.py [--rounds 40] [--threads 1]
"""

from __future__ import annotations

import argparse
import os
import pty
import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import chainrule as cr
import numpy as np
from chainrule import nn, optim

SIZES, BATCH, STEPS, EPOCHS = [784, 256, 128, 10], 128, 469, 4


class EveryTenth(cr.callbacks.Callback):
    """A callback in Python after every tenth batch."""

    every = 10
    seen = 0

    def on_batch_end(self, fit: cr.callbacks.FitState) -> None:
        self.seen += fit.batch


def logged(fit: cr.callbacks.FitState) -> None:
    """A callback in Python at the end of every epoch."""
    fit.log("rate", fit.trainer.optimizer.lr)


def ways(folder: Path) -> dict[str, dict[str, Any]]:
    table = cr.callbacks.CSVLogger(folder / "log.csv")
    stop = cr.callbacks.EarlyStopping(monitor="loss", patience=EPOCHS)
    return {
        "nothing": {"progress": False},
        "EarlyStopping, a function per epoch, CSVLogger": {
            "progress": False,
            "callbacks": [stop, logged, table],
        },
        "an object with on_batch_end, every 10 batches": {"progress": False, "callbacks": [EveryTenth()]},
        "the progress bar": {"progress": True},
        "all of them": {"progress": True, "callbacks": [stop, logged, table, EveryTenth()]},
    }


def terminal() -> None:
    """Make stderr a pseudo-terminal that somebody reads."""
    parent, child = pty.openpty()
    sys.stderr = os.fdopen(child, "w")

    def drain() -> None:
        while os.read(parent, 65536):
            pass

    threading.Thread(target=drain, daemon=True).start()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    cr.set_num_threads(options.threads)
    terminal()
    rng = np.random.default_rng(0)
    X = rng.random((BATCH * STEPS, SIZES[0]), dtype=np.float32)
    y = rng.integers(0, SIZES[-1], len(X))
    trainer = cr.Trainer(nn.MLP(SIZES, seed=0), nn.CrossEntropyLoss(), optim.Adam(lr=1e-4))
    clock = time.process_time if options.threads == 1 else time.perf_counter
    with tempfile.TemporaryDirectory() as folder:
        times: dict[str, list[float]] = {name: [] for name in ways(Path(folder))}
        for round_ in range(options.rounds + 1):
            order = list(times)
            for name in order if round_ % 2 else reversed(order):
                arguments = ways(Path(folder))[name]
                start = clock()
                trainer.fit(X, y, epochs=EPOCHS, batch_size=BATCH, **arguments)
                if round_:  # the first warms up
                    times[name].append((clock() - start) / (EPOCHS * STEPS) * 1e6)
    print(f"{options.rounds} rounds, {options.threads} threads; chainrule {cr.__version__}\n")
    print("| fit with | a step | by that with nothing |")
    print("| --- | --- | --- |")
    for name, found in times.items():
        ratio = statistics.median(a / b for a, b in zip(found, times["nothing"], strict=True))
        print(f"| {name} | {statistics.median(found):.0f} µs | {ratio:.3f} |")


if __name__ == "__main__":
    main()
