"""Random draws and dropout in vmap: every sample has its own, and derivatives see the ones of the values."""

from __future__ import annotations

import chainrule as cr
import numpy as np
import pytest
from chainrule import nn

DRAWS = [
    lambda x: x * 0 + cr.random.normal((40,), dtype="float64"),
    lambda x: x * 0 + cr.random.uniform((40,), dtype="float64"),
    lambda x: cr.random.normal((40,)),  # nothing of the batch reaches it
    lambda x: cr.dropout(x + 1, 0.5),
    lambda x: cr.dropout(cr.ones((40,), "float64"), 0.5) + 0 * x,
    lambda x: cr.dropout(x[:37] + 1, 0.5),  # not whole bytes of a mask
]


@pytest.mark.parametrize("f", DRAWS)
@pytest.mark.parametrize("around", [lambda f: f, cr.compile], ids=["eager", "compiled"])
def test_every_sample_draws_its_own(f, around):
    x = np.zeros((6, 40))
    y = around(cr.vmap(f))(x).numpy()
    assert len({row.tobytes() for row in y}) == 6
    inner = around(cr.vmap(cr.vmap(f)))(np.zeros((3, 4, 40))).numpy()
    assert len({row.tobytes() for row in inner.reshape(12, -1)}) == 12


def test_distribution_and_new_draws_in_each_call():
    draw = cr.compile(cr.vmap(lambda x: x + cr.random.normal((100,), dtype="float64")))
    first, second = (draw(np.zeros((50, 100))).numpy() for _ in range(2))
    assert not np.array_equal(first, second)
    assert abs(first.mean()) < 0.06
    assert abs(first.std() - 1) < 0.05
    assert np.abs(np.corrcoef(first)[np.triu_indices(50, 1)]).max() < 0.5
    kept = (cr.vmap(lambda x: cr.dropout(x, 0.25))(np.ones((50, 101))).numpy() > 0).mean(axis=1)
    assert abs(kept.mean() - 0.75) < 0.02
    assert (np.abs(kept - 0.75) < 0.25).all()


@pytest.mark.parametrize("n", [5, 8, 37])
def test_derivatives_see_the_masks_of_the_values(n):
    x = np.random.default_rng(0).normal(size=(4, n))

    def f(v):
        return (cr.dropout(v, 0.5) ** 2).sum()

    value, gradient = cr.vmap(cr.value_and_grad(f))(x)
    kept = gradient.numpy() != 0
    np.testing.assert_allclose(gradient.numpy(), np.where(kept, 8 * x, 0))  # (2 x)^2 where kept
    np.testing.assert_allclose(value.numpy(), (np.where(kept, 2 * x, 0) ** 2).sum(axis=1))
    assert 0 < kept.mean() < 1
    out, tangent = cr.vmap(lambda v: cr.jvp(lambda w: cr.dropout(w, 0.5), v, v))(x)
    np.testing.assert_array_equal(out.numpy(), tangent.numpy())
    j = cr.vmap(cr.jacobian(lambda v: cr.dropout(v, 0.5)))(x).numpy()
    assert all(
        set(np.diag(rows)) <= {0.0, 2.0} and np.count_nonzero(rows - np.diag(np.diag(rows))) == 0
        for rows in j
    )
    h = cr.vmap(cr.hessian(f))(x).numpy()
    assert set(np.unique(h)) <= {0.0, 8.0}
    total = cr.grad(lambda x: cr.vmap(f)(x).sum())(cr.tensor(x)).numpy()
    np.testing.assert_allclose(total, np.where(total != 0, 8 * x, 0))
    shared = cr.vmap(lambda x, v: cr.dropout(v, 0.5) * x[0], in_axes=(0, None))(np.ones((4, 1)), x[0]).numpy()
    assert len({row.tobytes() for row in shared}) > 1


def test_one_jacobian_has_one_mask():
    """Its rows are derivatives of one function value."""
    for run in (lambda f, x: cr.jacobian(f)(x), lambda f, x: cr.compile(cr.jacobian(f))(x)):
        j = run(lambda v: cr.stack([cr.dropout(v, 0.5)] * 2), cr.ones((16,))).numpy()
        np.testing.assert_array_equal(j[0], j[1])


def test_a_model_in_train_mode():
    model = nn.Sequential(nn.Linear(3, 64, seed=0), nn.Dropout(0.5))
    x = np.ones((5, 3), np.float32)
    y = cr.vmap(model)(x).numpy()
    assert len({row.tobytes() for row in y}) == 5
    model.eval()
    y = cr.vmap(model)(x).numpy()
    assert len({row.tobytes() for row in y}) == 1


def test_draws_of_a_function_with_own_rules():
    noisy = cr.custom_gradient(lambda x: x + cr.random.normal((20,), dtype="float64"), vjp=lambda x, g: g)
    y = cr.vmap(noisy)(np.zeros((4, 20))).numpy()
    assert len({row.tobytes() for row in y}) == 4
    y = cr.vmap(lambda x: noisy(cr.zeros((20,), "float64")) + x[0] * 0)(np.zeros((4, 1))).numpy()
    assert len({row.tobytes() for row in y}) == 4
