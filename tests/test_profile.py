"""trainer.profile() and compiled.profile(): rows, totals, the printed table, and errors."""

import chainrule as cr
import numpy as np
import pytest
from chainrule import nn, optim


def test_a_training_step_prints_as_a_table():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(64, 8)).astype("float32"), rng.integers(0, 3, 64)
    model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 3), seed=0)
    trainer = cr.Trainer(model, nn.CrossEntropyLoss(), optim.Adam())
    before = {name: np.array(value) for name, value in model.state_dict().items()}
    profile = trainer.profile(x, y, batch_size=16, runs=5)
    ops = [op for row in profile.rows for op in row.ops.split()]
    assert ops.count("matmul") == 5  # two forward, three backward: none for the gradient of the data
    assert profile.rows[0].scope == "0"
    assert profile.rows[0].ops.startswith("matmul add relu")
    assert profile.microseconds == pytest.approx(sum(row.microseconds for row in profile.rows))
    text = str(profile)
    assert all(
        word in text for word in ("layer", "instruction", "MFLOP", "of limit", "adam_update", "5 runs")
    )
    assert trainer.global_step == 0
    for name, value in model.state_dict().items():
        np.testing.assert_array_equal(np.asarray(value), before[name])


def test_a_compiled_function():
    f = cr.compile(lambda a, b: cr.tanh(a @ b))
    (row,) = f.profile(np.ones((8, 4), "float32"), np.ones((4, 2), "float32"), runs=3).rows
    assert (row.ops, row.shared) == ("matmul tanh", False)
    assert row.flops >= 2 * 8 * 4 * 2


def test_runs_must_be_positive():
    f = cr.compile(cr.tanh)
    with pytest.raises(cr.ValueError, match="profile: runs must be at least 1"):
        f.profile(np.ones(3, "float32"), runs=0)


def test_training_step():
    model = nn.Sequential(nn.Linear(4, 8, seed=0), nn.BatchNorm1d(8), nn.Linear(8, 1, seed=1))
    step = cr.training_step(lambda x, k: (k * model(x) ** 2).mean(), optim.Adam(model.parameters()))
    x = np.random.default_rng(0).normal(size=(16, 4)).astype("float32")
    step(x, k=2.0)
    before, count = model.to_bytes(), step.step_count
    profile = step.profile(x, k=2.0, runs=3)
    assert "adam_update" in str(profile)
    assert profile.runs == 3
    assert (model.to_bytes(), step.step_count) == (before, count)
    assert profile._repr_html_().startswith("<pre>")
