"""Weighted and stratified sampling: shares, determinism, the same bits in a Trainer and by hand, refusals."""

import chainrule as cr
import numpy as np
import pytest
from chainrule import data, nn, optim


def problem(n=100, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 5)).astype(np.float32)
    y = (X[:, 0] + 0.3 * rng.normal(size=n) > 0.8).astype(np.int64)
    return X, y


def new_trainer(seed=3, **kwargs):
    return cr.Trainer(
        nn.MLP([5, 8, 2], seed=0), nn.CrossEntropyLoss(), optim.Adam(lr=0.01), seed=seed, **kwargs
    )


def parameters(trainer):
    return [p.numpy().tobytes() for p in trainer.model.parameters()]


def test_weighted_draws_follow_the_weights():
    weights = np.array([1.0, 0.0, 2.0, 5.0, 0.0, 0.5])
    sampler = data.WeightedSampler(weights, num_samples=50_000)
    counts = np.bincount(sampler.order(1, 0), minlength=6)
    assert counts[1] == counts[4] == 0
    share = weights / weights.sum()
    spread = np.sqrt(50_000 * share * (1 - share)) + 1e-9
    assert np.all(np.abs(counts - 50_000 * share) < 5 * spread + 1e-6)


def test_weighted_without_replacement_takes_each_row_once_heavy_ones_first():
    weights = np.array([1.0, 3.0, 0.0, 2.0, 4.0])
    sampler = data.WeightedSampler(weights, replacement=False)
    assert len(sampler) == 4
    first, second = np.zeros(5), np.zeros((5, 5))
    for epoch in range(20_000):
        order = sampler.order(0, epoch)
        assert sorted(order.tolist()) == [0, 1, 3, 4]
        first[order[0]] += 1
        second[order[0], order[1]] += 1
    np.testing.assert_allclose(first / 20_000, weights / 10, atol=0.02)
    after = second[4] / second[4].sum()  # row 4 is gone: the others by their weights
    np.testing.assert_allclose(after, np.array([1, 3, 0, 2, 0]) / 6, atol=0.02)
    assert len(data.WeightedSampler(weights, num_samples=2, replacement=False).order(0, 0)) == 2


@pytest.mark.parametrize("n", [1, 2, 3, 7, 64, 65, 1000])
def test_weighted_sizes(n):
    order = data.WeightedSampler(np.ones(n)).order(5, 2)
    assert len(order) == n
    assert order.min() >= 0
    assert order.max() < n


def test_orders_are_keyed_by_seed_and_epoch():
    labels = np.arange(50) % 3
    for sampler in [
        data.WeightedSampler(np.arange(50)),
        data.WeightedSampler(np.arange(50), replacement=False),
        data.StratifiedSampler(labels),
    ]:
        first = sampler.order(7, 3)
        assert np.array_equal(first, sampler.order(7, 3))
        assert not np.array_equal(first, sampler.order(7, 4))
        assert not np.array_equal(first, sampler.order(8, 3))


@pytest.mark.parametrize("batch", [1, 2, 7, 20, 33, 100, 128])
def test_stratified_batches_hold_the_shares(batch):
    rng = np.random.default_rng(batch)
    labels = rng.choice([3, -1, 8, 5], size=500, p=[0.6, 0.25, 0.1, 0.05])
    order = data.StratifiedSampler(labels).order(0, 1, batch_size=batch)
    assert sorted(order.tolist()) == list(range(500))
    counts = []
    for at in range(0, 500, batch):
        rows = order[at : at + batch]
        here = [np.sum(labels[rows] == c) for c in np.unique(labels)]
        exact = [len(rows) * np.mean(labels == c) for c in np.unique(labels)]
        assert np.all(np.abs(np.subtract(here, exact)) < 1.5)
        if len(rows) == batch:
            counts.append(here)
    assert np.all(np.ptp(counts, axis=0) <= 1)


def test_stratified_is_exact_where_it_can_be():
    labels = np.repeat([0, 1, 2], [60, 30, 10])
    order = data.StratifiedSampler(labels).order(0, 0, batch_size=10).reshape(10, 10)
    for rows in order:
        assert np.bincount(labels[rows]).tolist() == [6, 3, 1]


def test_stratified_takes_words():
    words = ["cat"] * 6 + ["dog"] * 3
    order = data.StratifiedSampler(words).order(0, 0, batch_size=3)
    assert [sum(words[i] == "dog" for i in rows) for rows in order.reshape(3, 3)] == [1, 1, 1]


class Twice:
    """Every row twice, in order, from another place each epoch."""

    def order(self, seed, epoch):
        return (np.arange(200) + epoch) % 100


@pytest.mark.parametrize("kind", ["weighted", "few", "stratified", "own"])
def test_trainer_and_batches_by_hand_take_the_same_rows(kind):
    X, y = problem()
    sampler = {
        "weighted": data.WeightedSampler(np.where(y == 1, 5.0, 1.0), num_samples=130),
        "few": data.WeightedSampler(np.ones(100), num_samples=40, replacement=False),
        "stratified": data.StratifiedSampler(y),
        "own": Twice(),
    }[kind]
    fitted = new_trainer(metrics=["accuracy"])
    history = fitted.fit(X, y, epochs=3, batch_size=32, sampler=sampler)
    by_hand = new_trainer()
    taken = data.batches(X, y, batch_size=32, seed=3, sampler=sampler)
    steps = 0
    for _ in range(3):
        losses = [(by_hand.step(xb, yb), len(yb)) for xb, yb in taken]
        assert len(losses) == len(taken)
        steps += len(losses)
    assert parameters(fitted) == parameters(by_hand)
    assert fitted.global_step == steps
    samples = sum(n for _, n in losses)
    assert samples == {"weighted": 130, "few": 40, "stratified": 100, "own": 200}[kind]
    assert history["loss"][-1] == pytest.approx(sum(loss * n for loss, n in losses) / samples, rel=1e-6)
    assert 0 <= history["accuracy"][-1] <= 1


def test_metrics_are_of_the_rows_that_were_taken():
    X, y = problem()
    only_ones = data.WeightedSampler(y.astype(float))
    trainer = cr.Trainer(
        nn.MLP([5, 8, 2], seed=0), nn.CrossEntropyLoss(), optim.SGD(lr=1.0), metrics=["accuracy"]
    )
    history = trainer.fit(X, y, epochs=8, sampler=only_ones)
    assert history["accuracy"][-1] == 1.0  # there is one class only


def test_fits_go_on_where_they_ended():
    X, y = problem()
    sampler = data.StratifiedSampler(y)
    once, twice = new_trainer(), new_trainer()
    once.fit(X, y, epochs=4, sampler=sampler)
    twice.fit(X, y, epochs=1, sampler=sampler)
    twice.fit(X, y, epochs=3, sampler=sampler)
    assert parameters(once) == parameters(twice)


def test_a_part_held_out_by_fit_is_held_out_of_the_sampler():
    X, y = problem()
    (Xt, yt), (Xv, yv) = ((X[rows], y[rows]) for rows in data.split_rows(100, 0.2, seed=3))
    for make in (
        lambda labels: data.StratifiedSampler(labels),
        lambda labels: data.WeightedSampler(1.0 + labels),
    ):
        split, whole = new_trainer(), new_trainer()
        a = whole.fit(Xt, yt, epochs=2, validation_data=(Xv, yv), sampler=make(yt))
        b = split.fit(X, y, epochs=2, validation_split=0.2, sampler=make(y))
        assert parameters(split) == parameters(whole)
        assert a.to_dict() == b.to_dict()


def test_diverged_fits_go_back_along_the_sampler():
    X, y = problem()
    sampler = data.WeightedSampler(1.0 + y, num_samples=64)

    class Explode:
        every = 1
        seen = 0

        def on_batch_end(self, fit):
            self.seen += 1
            if self.seen == 5:
                fit.trainer.optimizer.lr = 1e30

    trainer = new_trainer()
    history = trainer.fit(X, y, epochs=10, batch_size=8, sampler=sampler, callbacks=[Explode()])
    assert "not finite" in history.stopped
    assert all(np.isfinite(p.numpy()).all() for p in trainer.model.parameters())


def test_threads_do_not_matter():
    X, y = problem(1000)
    results = []
    for threads in (1, 2):
        cr.set_num_threads(threads)
        trainer = new_trainer()
        trainer.fit(X, y, epochs=2, batch_size=64, sampler=data.WeightedSampler(1.0 + y))
        results.append(parameters(trainer))
    assert results[0] == results[1]


class Changing:
    def order(self, seed, epoch):
        return np.arange(50 + epoch)


class Outside:
    def order(self, seed, epoch):
        return [0, 1, 100]


class Broken:
    def order(self, seed, epoch):
        raise RuntimeError("no order today")


def refusals():
    yield (
        lambda: data.WeightedSampler([]),
        ValueError,
        "WeightedSampler: there are no weights; give one per row",
    )
    yield (
        lambda: data.WeightedSampler([1, -2]),
        ValueError,
        r"weights must be finite numbers, 0 or more: -2.0* at position 1",
    )
    yield lambda: data.WeightedSampler([1, float("nan")]), ValueError, "nan at position 1"
    yield lambda: data.WeightedSampler([0, 0]), ValueError, "all weights are 0; give some rows a weight"
    yield lambda: data.WeightedSampler([1e308, 1e308]), ValueError, "the sum of the weights overflows"
    yield lambda: data.WeightedSampler([[1.0]]), ValueError, "one number per row"
    yield lambda: data.WeightedSampler([1], num_samples=0), ValueError, "num_samples must be at least 1: 0"
    yield (
        lambda: data.WeightedSampler([1, 0, 1], num_samples=3, replacement=False),
        ValueError,
        "too few rows have a weight above 0 to draw without replacement: 2 for num_samples=3; draw fewer",
    )
    yield (
        lambda: data.StratifiedSampler(np.array([], int)),
        ValueError,
        "StratifiedSampler: there are no labels",
    )
    yield (
        lambda: data.StratifiedSampler([0.5, 1.0]),
        cr.DTypeError,
        "labels holds no labels: its dtype is float",
    )
    X, y = problem()
    good = data.StratifiedSampler(y)
    for call in (lambda **k: new_trainer().fit(X, y, **k), lambda **k: data.batches(X, y, **k)):
        yield (
            lambda call=call: call(sampler=good, shuffle=False),
            ValueError,
            r"shuffle=False was given with a sampler: StratifiedSampler\(100 rows, 2 classes\); leave one of",
        )
        yield (
            lambda call=call: call(sampler=data.WeightedSampler(np.ones(99))),
            cr.ShapeError,
            "for another number of rows: WeightedSampler.99 samples of 99 rows, with replacement. for 100",
        )
        yield (
            lambda call=call: call(sampler=data.StratifiedSampler),
            cr.DTypeError,
            "is a class; write StratifiedSampler",
        )
        yield (
            lambda call=call: call(sampler=[1, 2]),
            cr.DTypeError,
            r"a method order\(seed, epoch\), got list",
        )
    yield (
        lambda: new_trainer().fit(X, y, epochs=2, sampler=Changing()),
        ValueError,
        "the sampler's order has another length than it told: 51 in epoch 1, 50 before",
    )
    yield (
        lambda: new_trainer().fit(X, y, sampler=Outside()),
        IndexError,
        "the sampler gives a row that is not there: 100 of 100",
    )
    yield lambda: new_trainer().fit(X, y, sampler=Broken()), RuntimeError, "no order today"
    yield (
        lambda: new_trainer().fit(X, y, sampler=Twice(), validation_split=0.2),
        ValueError,
        r"cannot be restricted to a part of the rows: a Twice; split the data first \(data.split_data\)",
    )


@pytest.mark.parametrize("case", list(refusals()), ids=lambda case: case[2][:40])
def test_refusals(case):
    call, error, message = case
    with pytest.raises(error, match=message):
        call()
