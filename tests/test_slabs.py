"""Batches so large that programs run slab by slab (cpp/src/program/slabs.hpp): the bits of eager mode."""

from __future__ import annotations

import chainrule as cr
import numpy as np
import pytest
from chainrule import nn, optim
from checks import numpy, same_bits, same_state

ROWS = 9001  # not whole slabs


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    return rng.normal(size=(ROWS, 20)).astype(np.float32), rng.integers(0, 7, ROWS)


def dropout():
    return nn.MLP([20, 256, 128, 7], activation="tanh", dropout=0.3, seed=1)


def normed():
    return nn.Sequential(
        nn.Linear(20, 128), nn.LayerNorm(128), nn.GELU(), nn.Residual(nn.Linear(128, 128)), nn.ReLU(),
        nn.Linear(128, 7), seed=1,
    )  # fmt: skip


def batch_normed():
    return nn.Sequential(
        nn.Linear(20, 256),
        nn.SiLU(),
        nn.Linear(256, 256),
        nn.ReLU(),
        nn.BatchNorm1d(256),
        nn.Linear(256, 7),
        seed=1,
    )


@pytest.mark.parametrize("make", [dropout, normed, batch_normed])
def test_training_is_that_of_a_loop_by_hand(make, data):
    X, y = data
    by_hand = make()
    optimizer, loss_of = optim.Adam(by_hand.parameters(), lr=1e-2), nn.CrossEntropyLoss(label_smoothing=0.1)
    for _ in range(2):
        for xb, yb in cr.data.batches(X, y, batch_size=ROWS, shuffle=False):
            optimizer.zero_grad()
            loss_of(by_hand(xb), yb).backward()
            optimizer.step()
    for threads in (1, 2):
        cr.set_num_threads(threads)
        model = make()
        trainer = cr.Trainer(
            model, nn.CrossEntropyLoss(label_smoothing=0.1), optim.Adam(lr=1e-2), metrics=["accuracy"]
        )
        history = trainer.fit(X, y, epochs=2, batch_size=ROWS, shuffle=False)
        assert history["accuracy"][-1] > 0.1
        same_state(model, by_hand)


def test_predictions_are_those_of_single_rows(data):
    X, _ = data
    model = dropout().eval()
    large = model.predict(np.tile(X, (4, 1)), batch_size=4 * ROWS)
    same_bits(large[:ROWS], model.predict(X, batch_size=256))
    same_bits(large[-ROWS:], large[:ROWS])
    for i in (0, 1023, 1024, ROWS - 1):
        same_bits(large[i], model.predict(X[i : i + 1])[0])
    same_bits(cr.Predictor(model, 4 * ROWS)(np.tile(X, (4, 1))), large)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_jacobians_of_many_rows_are_those_of_eager_mode(dtype, data):
    x = cr.tensor(data[0][:, :8].astype(dtype))
    model = nn.MLP([8, 32, 32, 5], activation="tanh", seed=2, dtype=dtype)
    f = cr.vmap(cr.jacobian(lambda x: model(x)))
    eager = numpy(f(x))
    for threads in (1, 2):
        cr.set_num_threads(threads)
        same_bits(numpy(cr.compile(f)(x)), eager)


def custom(output, target):
    return cr.mean(cr.logsumexp(output, 1) - cr.take_along(output, target, 1)) + 0.1 * cr.mean(output**2)


def test_a_loss_of_ones_own(data):
    X, y = data
    by_hand, model = dropout(), dropout()
    optimizer = optim.SGD(by_hand.parameters(), lr=0.1)
    for xb, yb in cr.data.batches(X, y, batch_size=ROWS, shuffle=False):
        custom(by_hand(xb), yb).backward()
        optimizer.step()
    cr.Trainer(model, custom, optim.SGD(lr=0.1)).fit(X, y, epochs=1, batch_size=ROWS, shuffle=False)
    same_state(model, by_hand)


def test_bad_data_behind_the_first_slab_changes_nothing(data):
    X, y = data
    model, untouched = dropout(), dropout()
    trainer = cr.Trainer(model, nn.CrossEntropyLoss(), optim.Adam(lr=1e-2))
    wrong, broken = y.copy(), X.copy()
    wrong[8000], broken[5000, 3] = 7, np.nan
    with pytest.raises(IndexError, match="label 7 at position 8000"):
        trainer.step(X, wrong)
    same_state(model, untouched)
    with pytest.raises(ValueError, match="row 5000, column 3"):
        trainer.step(broken, y)
    same_state(model, untouched)


def test_a_profile_has_one_row_for_all_slabs(data):
    X, y = data
    trainer = cr.Trainer(dropout(), nn.CrossEntropyLoss(), optim.Adam())
    large = trainer.profile(X, y, batch_size=ROWS, runs=3)
    small = cr.Trainer(dropout(), nn.CrossEntropyLoss(), optim.Adam()).profile(X, y, batch_size=1000, runs=3)
    assert abs(len(large.rows) - len(small.rows)) <= 4  # some checks run on their own
    flops = [sum(row.flops for row in p.rows) for p in (large, small)]
    assert flops[0] / flops[1] == pytest.approx(ROWS / 1000, rel=0.05)


def test_whole_numbers_add_up_over_slabs():
    rng = np.random.default_rng(1)
    x, counted = rng.normal(size=(70001, 64)).astype(np.float32), rng.integers(-3, 4, (70001, 3))

    def f(x, counted):
        positive = cr.tanh(x) > 0
        return cr.sum(positive, axis=0), cr.cast(positive, "int64").T @ counted

    sums, products = cr.compile(f)(x, counted)
    np.testing.assert_array_equal(sums, (x > 0).sum(axis=0))
    np.testing.assert_array_equal(products, (x > 0).astype(np.int64).T @ counted)


def test_a_product_over_nothing_with_wide_rows_ends():
    a, b = np.zeros((2, 0), np.float32), np.zeros((0, 50000), np.float32)
    same_bits(cr.compile(lambda a, b: cr.exp(a @ b))(a, b), np.ones((2, 50000), np.float32))
