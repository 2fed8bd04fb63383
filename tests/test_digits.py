"""What a network reaches on the bundled digits: the recipe of bench/peers/accuracies.py."""

from __future__ import annotations

import chainrule as cr
import pytest
from chainrule import nn, optim, schedules


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_98_percent(digits, seed):
    """Layers, dropout, rate and epochs were chosen by cross-validation on the training images."""
    X, y, Xt, yt = digits
    model = nn.MLP([64, 256, 256, 10], dropout=0.4, seed=seed)
    rate = schedules.Cosine(3e-3, steps=60 * 45)
    trainer = cr.Trainer(
        model,
        nn.CrossEntropyLoss(label_smoothing=0.1),
        optim.AdamW(lr=rate),
        metrics=["accuracy"],
        seed=seed,
    )
    trainer.fit(X, y, epochs=60, batch_size=32)
    assert trainer.evaluate(Xt, yt)["accuracy"] >= 0.98
