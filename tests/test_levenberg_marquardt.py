"""Levenberg-Marquardt against the textbook's formula, by hand and in a Trainer. What it shares with
L-BFGS is in test_drivers.py.
"""

from __future__ import annotations

import pickle

import chainrule as cr
import numpy as np
import pytest
from chainrule import nn, optim


def weights(model):
    return np.concatenate([p.ravel() for p in model.state_dict().values()])


def textbook_step(jacobian, residuals, x, mu):
    j, r = jacobian(x), residuals(x)
    return x - np.linalg.solve(j.T @ j + mu * np.eye(len(x)), j.T @ r)


def test_levenberg_marquardt_is_the_formula():
    t = np.linspace(0, 2, 15)
    y = 3 * np.exp(-0.5 * t)

    def residuals(x):
        return x[0] * np.exp(-x[1] * t) - y

    def jacobian(x):
        return np.stack([np.exp(-x[1] * t), -x[0] * t * np.exp(-x[1] * t)], 1)

    x, mu = np.array([1.0, 1.5]), 0.5
    p = cr.tensor(x, requires_grad=True)
    opt = optim.LevenbergMarquardt([p], damping=mu, increase=4.0, decrease=0.25)
    for _ in range(8):
        before = (residuals(x) ** 2).sum()
        assert opt.step(lambda: p[0] * cr.exp(-p[1] * t) - y) == pytest.approx(before, rel=1e-6, abs=1e-20)
        while True:
            tried = textbook_step(jacobian, residuals, x, mu)
            if (residuals(tried) ** 2).sum() < before:
                break
            mu *= 4
        x, mu = tried, mu * 0.25
        np.testing.assert_allclose(p.numpy(), x, rtol=1e-8)
        assert float(opt.state_dict()["damping"]) == pytest.approx(mu)
    np.testing.assert_allclose(p.numpy(), [3, 0.5], rtol=1e-6)


@pytest.mark.parametrize("loss", [nn.MSELoss(), nn.MSELoss(half=True), nn.MSELoss(reduction="sum")], ids=str)
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("outputs", [1, 3])
def test_levenberg_marquardt_in_a_trainer_is_the_same_by_hand(loss, weighted, outputs):
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(40, 2)), rng.normal(size=(40, outputs))
    w = rng.uniform(0.2, 2, 40) if weighted else None
    sizes = [2, 5, outputs]
    model, by_hand = (nn.MLP(sizes, activation="tanh", seed=3, dtype="float64") for _ in range(2))
    trainer = cr.Trainer(model, loss, optim.LevenbergMarquardt())
    opt = optim.LevenbergMarquardt(by_hand.parameters())
    summed = "sum" in str(loss)
    scale = np.ones(40) if w is None else w
    scale = scale if summed else scale / (scale.sum() * outputs)
    scale = np.sqrt(scale * (0.5 if "half" in str(loss) else 1))[:, None]
    for _ in range(6):
        ours = trainer.step(x, y, sample_weight=w)
        assert opt.step(lambda: scale * (by_hand(x) - y)) == pytest.approx(ours, rel=1e-9)
    np.testing.assert_allclose(weights(model), weights(by_hand), rtol=1e-7, atol=1e-9)


def test_levenberg_marquardt_goes_by_blocks():
    """More rows than one block of the Jacobian holds, and a last one that is smaller."""
    rng = np.random.default_rng(2)
    model, by_hand = (nn.MLP([2, 70, 1], activation="tanh", seed=0, dtype="float64") for _ in range(2))
    rows = 2 * ((32 << 20) // (281 * 8)) // 1 + 7
    x = rng.uniform(-1, 1, (rows, 2))
    y = np.sin(x[:, :1] * x[:, 1:])
    trainer = cr.Trainer(model, nn.MSELoss(), optim.LevenbergMarquardt())
    opt = optim.LevenbergMarquardt(by_hand.parameters())
    trainer.step(x, y)
    opt.step(lambda: (by_hand(x) - y) * np.sqrt(1 / rows))
    np.testing.assert_allclose(weights(model), weights(by_hand), rtol=1e-6, atol=1e-9)


def test_levenberg_marquardt_fits_a_sine_where_adam_stalls():
    x = np.linspace(0, 2 * np.pi, 100)[:, None]
    y = np.sin(x)
    reached = {}
    for recipe in (optim.LevenbergMarquardt(), optim.Adam(lr=1e-2)):
        model = nn.MLP([1, 8, 8, 1], activation="tanh", seed=0, dtype="float64")
        trainer = cr.Trainer(model, nn.MSELoss(), recipe)
        trainer.fit(x, y, epochs=2000, batch_size=len(x), progress=False)
        reached[str(recipe)[:4]] = trainer.evaluate(x, y)["loss"]
    assert reached["Leve"] < 1e-10
    assert reached["Adam"] > 1e-6


def test_a_loaded_model_has_its_jacobian_by_given_parameters():
    x = np.linspace(-3, 3, 60)[:, None]
    made = nn.MLP([1, 8, 1], activation="tanh", seed=0, dtype="float64")
    loaded = pickle.loads(pickle.dumps(made))
    w = loaded.parameters()[0]

    def by_weight(model):
        return cr.compile(
            lambda row: cr.jacobian(lambda p: cr.functional_call(model, {"0.weight": p}, row))(w)
        )

    np.testing.assert_array_equal(by_weight(loaded)(x), by_weight(made)(x))
    assert np.abs(by_weight(loaded)(x)).max() > 0.01
