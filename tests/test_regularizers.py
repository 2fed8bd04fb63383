"""L1, max-norm, mixup and GaussianNoise: by hand, by formula; what they and balanced class weights refuse."""

from __future__ import annotations

import pickle

import chainrule as cr
import numpy as np
import pytest
from chainrule import data, nn, optim
from checks import same_state

RNG = np.random.default_rng(3)
X = RNG.normal(size=(64, 6))
Y = np.sin(X @ RNG.normal(size=(6, 2)))
LABELS = RNG.choice(4, size=64, p=[0.6, 0.25, 0.1, 0.05])


def network(seed=0, dtype="float64", out=2):
    return nn.Sequential(
        nn.Linear(6, 12, dtype=dtype),
        nn.Tanh(),
        nn.LayerNorm(12, dtype=dtype),
        nn.Linear(12, out, dtype=dtype),
        seed=seed,
    )


def trainer_of(model, loss=None, lr=0.05, **options):
    return cr.Trainer(model, loss or nn.MSELoss(), optim.SGD(lr=lr, momentum=0.9), **options)


def weights_of(model):
    return [p for p in model.parameters() if p.ndim == 2]


def change(model, name, function):
    state = model.state_dict()
    model.load_state_dict({**state, name: np.asarray(function(state[name]), state[name].dtype)})


def close_state(one, other, rtol=1e-12):
    ours, theirs = one.state_dict(), other.state_dict()
    for name in theirs:
        np.testing.assert_allclose(ours[name], theirs[name], rtol=rtol, atol=1e-14, err_msg=name)


class TestL1:
    @pytest.mark.parametrize("clip", [None, 0.1])
    def test_by_hand(self, clip):
        by_hand, model = network(), network()
        for each in (by_hand, model):
            change(each, "0.weight", lambda w: w * (np.arange(6) != 2)[:, None])  # the subgradient at 0 is 0
        optimizer = optim.SGD(by_hand.parameters(), lr=0.05, momentum=0.9)

        def objective(xb, yb):
            penalty = sum(cr.sum(cr.abs(w)) for w in weights_of(by_hand))
            return nn.MSELoss()(by_hand(xb), yb) + 0.01 * penalty

        step = cr.training_step(objective, optimizer, clip_norm=clip)
        trainer = trainer_of(model, l1=0.01, clip_norm=clip)
        for _ in range(5):
            data_loss = float(nn.MSELoss()(model(X), Y))
            step(X, Y)
            assert trainer.step(X, Y) == pytest.approx(data_loss, rel=1e-12)  # without the penalty
        close_state(model, by_hand)

    def test_it_makes_weights_small(self):
        plain, sparse = network(), network()
        trainer_of(plain).fit(X, Y, epochs=60)
        trainer_of(sparse, l1=0.02).fit(X, Y, epochs=60)
        size = [sum(float(np.abs(w.numpy()).sum()) for w in weights_of(m)) for m in (plain, sparse)]
        assert size[1] < 0.5 * size[0]


class TestMaxNorm:
    def test_by_formula(self):
        """Keras' MaxNorm (axis 0): w * clip(n, 0, c) / n; its 1e-7 beside n is left out."""
        c = 0.4
        model, by_hand = network(), network()
        trainer = trainer_of(model, max_norm=c)
        one = trainer_of(by_hand)
        for _ in range(8):
            trainer.step(X, Y)
            one.step(X, Y)
            state = by_hand.state_dict()
            for name, w in state.items():
                if w.ndim == 2:
                    n = np.sqrt((w**2).sum(0, keepdims=True))
                    state[name] = w * np.clip(n, 0, c) / n
            by_hand.load_state_dict(state)
        close_state(model, by_hand)
        norms = [np.sqrt((w.numpy() ** 2).sum(0)) for w in weights_of(model)]
        assert max(n.max() for n in norms) <= c * (1 + 1e-15)
        assert any(np.any(n < 0.99 * c) for n in norms)  # smaller ones are left alone
        assert any(np.any(n > 0.99 * c) for n in norms)

    def test_zeros_stay_and_tables_are_left_alone(self):
        model = nn.Sequential(nn.Embedding(5, 8, seed=0), nn.Flatten(), nn.Linear(16, 2, seed=1))
        before = {k: v.copy() for k, v in model.state_dict().items()}
        change(model, "2.weight", lambda w: w * [0.0, 1.0])
        cr.Trainer(model, nn.MSELoss(), optim.SGD(lr=0.0), max_norm=0.01).step(
            [[0, 1], [2, 3]], np.ones((2, 2), "f4")
        )
        after = model.state_dict()
        np.testing.assert_array_equal(after["0.weight"], before["0.weight"])
        norms = np.sqrt((after["2.weight"] ** 2).sum(0))
        assert norms[0] == 0
        assert norms[1] == pytest.approx(0.01, rel=1e-6)


def shares(alpha, seed, steps, batch=2):
    """mixup's m of each step: a frozen identity shows what the samples became."""
    model = nn.Linear(1, 1, bias=False, dtype="float64")
    change(model, "weight", np.ones_like)
    seen = []

    def first(output, _):
        seen.extend(output[::batch, 0])
        return 0.0

    trainer = cr.Trainer(model, nn.MSELoss(), optim.SGD(lr=0.0), metrics=[first], mixup=alpha, seed=seed)
    rows = np.tile(np.arange(float(batch)) == 0, steps).astype(float)[
        :, None
    ]  # 1, 0, ... 0: the first becomes m
    trainer.fit(rows, rows, batch_size=batch, shuffle=False)
    return np.array(seen)


class TestMixup:
    def test_the_shares_are_those_of_a_beta(self):
        for alpha in (0.2, 1.0, 4.0):
            m = shares(alpha, 7, 20000)
            assert m.min() >= 0
            assert m.max() <= 1
            variance = 1 / (4 * (2 * alpha + 1))
            assert m.mean() == pytest.approx(0.5, abs=4 * np.sqrt(variance / len(m)))
            assert m.var() == pytest.approx(variance, rel=0.03)
            skew = ((m - m.mean()) ** 3).mean() / m.std() ** 3
            assert abs(skew) < 0.06
            kurtosis = 3 * (2 * alpha + 1) / (2 * alpha + 3)
            assert ((m - m.mean()) ** 4).mean() / m.var() ** 2 == pytest.approx(kurtosis, rel=0.04)
        assert np.all(np.isfinite(shares(1e-9, 0, 50)))
        np.testing.assert_array_equal(shares(0.3, 5, 20), shares(0.3, 5, 20))
        assert np.any(shares(0.3, 5, 20) != shares(0.3, 6, 20))

    @pytest.mark.parametrize("weighted", [False, True])
    def test_by_hand(self, weighted):
        weight = RNG.uniform(0.5, 2, size=64) if weighted else None
        by_hand, model = network(out=4), network(out=4)
        loss = nn.CrossEntropyLoss(label_smoothing=0.1)
        optimizer = optim.SGD(by_hand.parameters(), lr=0.05, momentum=0.9)

        def objective(xb, yb, w, m):
            out = by_hand(m * xb + (1 - m) * cr.flip(xb, 0))
            w = w if weighted else None
            other = cr.flip(w, 0) if weighted else None
            return m * loss(out, yb, w) + (1 - m) * loss(out, cr.flip(yb, 0), other)

        step = cr.training_step(objective, optimizer)
        trainer = trainer_of(model, loss, mixup=0.4, seed=11)
        history = trainer.fit(X, LABELS, batch_size=8, shuffle=False, sample_weight=weight)
        drawn = shares(0.4, 11, 8)
        losses, sizes = [], []
        for b, m in enumerate(drawn):
            at = slice(8 * b, 8 * b + 8)
            w = weight[at] if weighted else np.ones(8)
            losses.append(step(X[at], LABELS[at], w, np.float64(m)))
            sizes.append(w.sum())
        close_state(model, by_hand)
        assert history["loss"][0] == pytest.approx(np.average(losses, weights=sizes), rel=1e-12)

    def test_bits_by_threads_replays_and_in_two_fits(self):
        models = []
        for count, calls in [(1, [4]), (2, [4]), (2, [1, 3])]:
            cr.set_num_threads(count)
            model = network(dtype="float32")
            trainer = trainer_of(model, mixup=0.2, seed=4)
            for epochs in calls:
                trainer.fit(X, Y, epochs=epochs, batch_size=20)
            models.append(model)
        same_state(models[0], models[1])
        same_state(models[0], models[2])

    def test_several_inputs_and_outputs(self):
        class Two(nn.Module):
            def __init__(self):
                self.a, self.b = nn.Linear(6, 2, seed=0), nn.Linear(6, 2, seed=1)

            def forward(self, x, y):
                return self.a(x), self.b(y)

        loss = nn.MultiLoss([nn.MSELoss(), nn.MSELoss()], columns=[2, 2])
        trainer = cr.Trainer(Two(), loss, optim.Adam(lr=0.01), mixup=0.2)
        history = trainer.fit((X, X), (Y, Y), epochs=30, batch_size=16)
        assert history["loss"][-1] < history["loss"][0]


class TestGaussianNoise:
    def test_only_in_train_mode(self):
        layer = nn.GaussianNoise(0.5)
        x = np.full((400, 50), 3.0)
        cr.manual_seed(0)
        y = layer(x).numpy()
        assert y.dtype == np.float64
        assert y.mean() == pytest.approx(3, abs=0.02)
        assert y.std() == pytest.approx(0.5, rel=0.02)
        assert np.any(layer(x).numpy() != y)
        cr.manual_seed(0)
        np.testing.assert_array_equal(nn.GaussianNoise(0.5)(x).numpy(), y)
        np.testing.assert_array_equal(layer.eval()(x).numpy(), x)
        np.testing.assert_array_equal(nn.GaussianNoise(0.0)(x).numpy(), x)
        assert repr(layer) == "GaussianNoise(0.5)"

    def test_training_is_keyed_like_dropouts(self):
        models = []
        for count in (1, 2):
            cr.set_num_threads(count)
            model = nn.Sequential(
                nn.GaussianNoise(0.3), nn.Linear(6, 300), nn.GaussianNoise(0.1), nn.Linear(300, 2), seed=1
            )
            trainer = trainer_of(model, seed=5)
            trainer.fit(X.astype("f4"), Y, epochs=2)
            trainer.fit(X.astype("f4"), Y, epochs=1)
            models.append(model)
        same_state(*models)
        quiet = nn.Sequential(nn.Identity(), nn.Linear(6, 300), nn.Identity(), nn.Linear(300, 2), seed=1)
        quiet.load_state_dict(models[0].state_dict())
        np.testing.assert_array_equal(models[0].predict(X), quiet.predict(X))

    def test_files(self, tmp_path):
        model = nn.Sequential(nn.Linear(6, 3, seed=0), nn.GaussianNoise(0.25))
        model.save(tmp_path / "m.safetensors", input_shape=(6,))
        loaded = cr.load(tmp_path / "m.safetensors")
        x = X.astype("f4")
        np.testing.assert_array_equal(loaded.predict(x), model.predict(x))
        loaded.train()
        assert np.any(loaded(x).numpy() != loaded(x).numpy())
        assert repr(model.clone()) == repr(model)
        same_state(pickle.loads(pickle.dumps(model)), model)


def test_pickled_trainers_keep_their_options():
    trainer = trainer_of(network(), l1=0.1, max_norm=0.5, mixup=0.3)
    copy = pickle.loads(pickle.dumps(trainer))
    trainer.fit(X, Y)
    copy.fit(X, Y)
    same_state(trainer.model, copy.model)


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (
            lambda: trainer_of(network(), l1=-1.0),
            cr.ValueError,
            "Trainer: l1 must be a finite number, 0 or more: -1",
        ),
        (
            lambda: trainer_of(network(), max_norm=0.0),
            cr.ValueError,
            "Trainer: max_norm must be a finite number above 0",
        ),
        (
            lambda: trainer_of(network(), mixup=np.inf),
            cr.ValueError,
            "Trainer: mixup must be a finite number, 0 or more",
        ),
        (
            lambda: trainer_of(nn.Linear(3, 2), mixup=0.2).fit(np.ones((4, 3), int), np.ones((4, 2))),
            cr.DTypeError,
            "Trainer: mixup averages samples, which must be float32 or float64: x is int64; convert numbers "
            'with astype("float32"), or leave mixup away',
        ),
        (
            lambda: trainer_of(nn.Sequential(nn.Embedding(3, 2), nn.Linear(2, 1)), mixup=0.2),
            cr.ValueError,
            "Trainer: mixup averages samples, and averages of categories or missing values mean nothing: "
            "model.0 is Embedding(3, 2); leave mixup away, or give the model numbers only",
        ),
        (
            lambda: cr.Trainer(network(), nn.MSELoss(), optim.LBFGS(), l1=0.1),
            cr.ValueError,
            "Trainer: l1 does not go with LBFGS: it needs one smooth objective, the same at every look; "
            "leave l1 away, or use Adam",
        ),
        (
            lambda: cr.Trainer(network(), nn.MSELoss(), optim.LevenbergMarquardt(), mixup=0.1),
            cr.ValueError,
            "Trainer: mixup does not go with LevenbergMarquardt",
        ),
        (
            lambda: cr.Trainer(network(), nn.MSELoss(), optim.LBFGS(), max_norm=1.0),
            cr.ValueError,
            "Trainer: max_norm does not go with LBFGS",
        ),
        (
            lambda: nn.GaussianNoise(-1.0),
            cr.ValueError,
            "GaussianNoise: std must be a finite number, 0 or more: std is -1.0; it is the",
        ),
        (
            lambda: trainer_of(network()).fit(X, LABELS, class_weight="even"),
            cr.ValueError,
            'fit: unknown class_weight: "even"; use "balanced", or give weights by class, such as '
            "{0: 1.0, 1: 5.0}",
        ),
        (
            lambda: trainer_of(network()).fit(
                X, LABELS, class_weight="balanced", sampler=data.WeightedSampler(np.ones(64))
            ),
            cr.ValueError,
            'fit: class_weight="balanced" counts the rows, not those that a sampler draws: WeightedSampler(',
        ),
        (
            lambda: cr.Trainer(
                nn.Sequential(nn.GaussianNoise(0.1), network()), nn.MSELoss(), optim.LevenbergMarquardt()
            ).fit(X, Y, progress=False),
            cr.ValueError,
            "LevenbergMarquardt: needs the same residuals at every look: the model draws random numbers; "
            "leave away what draws (Dropout, GaussianNoise), or use Adam",
        ),
        (
            lambda: trainer_of(network()).fit(X, Y, class_weight="balanced"),
            cr.DTypeError,
            "fit: class_weight needs integer labels: float64; use sample_weight",
        ),
        (
            lambda: cr.cross_validate(
                network(), X, LABELS, loss=nn.CrossEntropyLoss(), optimizer=optim.Adam(), class_weight="even"
            ),
            cr.ValueError,
            'fit: unknown class_weight: "even"',
        ),
    ],
)
def test_refusals(call, error, text):
    with pytest.raises(error) as refused:
        call()
    assert str(refused.value).startswith(text)


@pytest.mark.parametrize(("dtype", "factor"), [("float32", 1e25), ("float32", 1e37), ("float64", 1e200)])
def test_max_norm_of_weights_whose_squares_overflow(dtype, factor):
    start = nn.Linear(6, 3, dtype=dtype, seed=0)
    directions = start.weight.numpy() / np.sqrt((start.weight.numpy().astype("f8") ** 2).sum(axis=0))
    change(start, "weight", lambda w: w * np.asarray(factor, dtype))
    trainer = cr.Trainer(start, nn.MSELoss(reduction="sum"), optim.SGD(lr=0.0), max_norm=3.0)
    trainer.step(np.zeros((4, 6), dtype), np.zeros((4, 3), dtype))
    np.testing.assert_allclose(start.weight.numpy(), 3.0 * directions, rtol=1e-5)
