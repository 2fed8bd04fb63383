"""Standardizer, MinMaxScaler, Imputer and OneHot: statistics, what is fitted when, files, refusals."""

import copy

import chainrule as cr
import numpy as np
import pytest
from chainrule import nn, optim

RNG = np.random.default_rng(2)
X = (RNG.normal(size=(40, 3)) * [1, 100, 0.01] + [5, -300, 0]).astype(np.float32)
Y = X[:, :1] - X[:, 1:2] / 100
HOLES = np.where(RNG.random(X.shape) < 0.2, np.float32(np.nan), X)


def statistics(layer):
    return {name: value for name, value in layer.state_dict().items() if name != "fitted"}


class TestStatistics:
    def test_standardizer(self):
        layer = nn.Standardizer(3).fit(X)
        wide = X.astype(np.float64)
        np.testing.assert_allclose(statistics(layer)["mean"], wide.mean(axis=0), rtol=1e-14)
        np.testing.assert_allclose(statistics(layer)["scale"], wide.std(axis=0), rtol=1e-13)
        np.testing.assert_allclose(
            layer(wide).numpy(), (wide - wide.mean(0)) / wide.std(0), rtol=1e-12, atol=1e-13
        )
        assert layer(X).dtype == "float32"
        assert int(layer.state_dict()["fitted"]) == 40

    def test_columns_of_equal_values_keep_scale_1(self):
        same = np.full((7, 2), [0.1, 3.0])
        layer = nn.Standardizer(2).fit(same)
        assert statistics(layer)["scale"].tolist() == [1, 1]
        assert not layer(same).numpy().any()
        assert not nn.MinMaxScaler(2).fit(same)(same).numpy().any()
        far = nn.Standardizer(1).fit(np.array([[1e9 + 1.0], [1e9 + 2.0], [1e9 + 3.0]]))
        assert statistics(far)["scale"][0] == np.sqrt(2 / 3)

    def test_min_max(self):
        layer = nn.MinMaxScaler(3, feature_range=(-2, 3)).fit(X)
        y = layer(X).numpy()
        np.testing.assert_allclose(y.min(axis=0), -2)
        np.testing.assert_allclose(y.max(axis=0), 3, rtol=1e-6)
        unit = nn.MinMaxScaler(3).fit(X)(X).numpy()
        assert unit.min(axis=0).tolist() == [0, 0, 0]
        assert unit.max(axis=0).tolist() == [1, 1, 1]

    @pytest.mark.parametrize(
        ("strategy", "reference"), [("mean", np.nanmean), ("median", np.nanmedian), ("constant", None)]
    )
    def test_imputer(self, strategy, reference):
        layer = nn.Imputer(3, strategy=strategy)
        if reference is not None:
            layer.fit(HOLES)
        wide = HOLES.astype(np.float64)
        fill = np.zeros(3) if reference is None else reference(wide, axis=0)
        np.testing.assert_allclose(layer(wide).numpy(), np.where(np.isnan(wide), fill, wide), rtol=1e-13)

    def test_most_frequent_and_indicators(self):
        x = np.array([[3.0, 1], [np.nan, 2], [3, 2], [5, 1], [5, np.nan]])
        layer = nn.Imputer(2, strategy="most_frequent", add_indicator=True).fit(x)
        assert statistics(layer)["fill"].tolist() == [3, 1]
        y = layer(x).numpy()
        assert y[1].tolist() == [3, 2, 1, 0]
        assert y[4].tolist() == [5, 1, 0, 1]
        constant = nn.Imputer(2, strategy="constant", fill_value=-7.0)
        assert constant.fitted
        assert constant(x).numpy()[1, 0] == -7

    def test_one_hot(self):
        x = np.array([[7, 0], [2, 1], [5, 0], [7, 1]])
        layer = nn.OneHot([3, 4]).fit(x)
        y = layer(x).numpy()
        assert y.shape == (4, 7)
        np.testing.assert_array_equal(y[:, :3], x[:, :1] == [2, 5, 7])
        np.testing.assert_array_equal(y[:, 3:], x[:, 1:] == [0, 1, -9, -9])
        given = nn.OneHot([[7, 5, 2], [1, 0]])
        assert given.fitted
        np.testing.assert_array_equal(given(x.astype(np.float32)).numpy()[:, :3], x[:, :1] == [7, 5, 2])
        lenient = nn.OneHot([[7, 5], [1, 0]], handle_unknown="ignore")
        assert lenient(x).numpy()[1].tolist() == [0, 0, 1, 0]

    def test_axes_before_the_last_are_rows(self):
        flat = nn.Standardizer(3).fit(X)
        cube = nn.Standardizer(3).fit(X.reshape(4, 10, 3))
        for name, value in statistics(flat).items():
            np.testing.assert_array_equal(value, statistics(cube)[name])
        np.testing.assert_array_equal(cube(X.reshape(4, 10, 3)).numpy().reshape(40, 3), flat(X).numpy())

    def test_gradients_pass(self):
        x = RNG.normal(size=(9, 3))
        layer = nn.Sequential(nn.Imputer(3).fit(x), nn.Standardizer(3).fit(x), nn.MinMaxScaler(3).fit(x))
        cr.check_gradients(lambda x: cr.sin(layer(x)).sum(), x)


def network(*layers, width=3, seed=0):
    return nn.Sequential(*layers, nn.Linear(width, 4), nn.Tanh(), nn.Linear(4, 1), seed=seed)


def trained(model, x=X, y=Y, **options):
    trainer = cr.Trainer(model, nn.MSELoss(), optim.Adam(lr=0.01))
    return trainer, trainer.fit(x, y, **{"epochs": 2, **options})


class TestFit:
    def test_fit_fits_on_the_training_rows_only(self):
        model = network(nn.Standardizer(3))
        trained(model, validation_split=0.25, seed=3)
        assert model[0].fitted
        assert int(model.state_dict()["0.fitted"]) == 30
        other = network(nn.Standardizer(3))
        trained(other, x=X[:30], y=Y[:30], validation_data=(X[30:] * 50, Y[30:]))
        np.testing.assert_allclose(other.state_dict()["0.mean"], X[:30].astype(float).mean(0), rtol=1e-14)

    def test_what_is_fitted_is_left_alone(self):
        first = nn.Standardizer(3).fit(X[:5])
        model = network(first)
        before = statistics(model[0])
        trained(model)
        trained(model, x=X * 3)
        model.init(1)
        for name, value in statistics(model[0]).items():
            np.testing.assert_array_equal(value, before[name])
        model[0].fit(X)
        assert not np.array_equal(statistics(model[0])["mean"], before["mean"])

    def test_each_is_fitted_on_what_the_ones_before_it_give(self):
        model = network(nn.Imputer(3, strategy="median"), nn.Standardizer(3), nn.MinMaxScaler(3))
        _, history = trained(model, x=HOLES)
        assert np.isfinite(history["loss"]).all()
        filled = nn.Imputer(3, strategy="median").fit(HOLES)(HOLES)
        np.testing.assert_allclose(
            model.state_dict()["1.mean"], filled.numpy().astype(float).mean(0), rtol=1e-12, atol=1e-12
        )
        scaled = nn.Standardizer(3).fit(filled)(filled).numpy()
        np.testing.assert_array_equal(model.state_dict()["2.min"], scaled.min(axis=0))

    def test_in_branches_and_in_modules_written_in_python(self):
        class Table(nn.Module):
            def __init__(self):
                numbers = nn.Sequential(
                    nn.Columns([0, 1]), nn.Imputer(2, add_indicator=True), nn.Standardizer(4)
                )
                self.features = nn.Concat(numbers, nn.Sequential(nn.Columns([2]), nn.OneHot([3])))
                self.head = nn.Linear(7, 1, seed=0)

            def forward(self, x):
                return self.head(self.features(x))

        kinds = RNG.integers(0, 3, (40, 1)) * 10
        x = np.concatenate([HOLES[:, :2], kinds], axis=1)
        y = kinds / 10 + np.nan_to_num(HOLES[:, :1])
        model = Table()
        trainer = cr.Trainer(model, nn.MSELoss(), optim.Adam(lr=0.05))
        history = trainer.fit(x, y, epochs=100)
        assert history["loss"][-1] < 0.2 * history["loss"][0]
        state = model.state_dict()
        assert {name: int(v) for name, v in state.items() if name.endswith("fitted")} == {
            "features.0.1.fitted": 40,
            "features.0.2.fitted": 40,
            "features.1.1.fitted": 40,
        }
        assert state["features.1.1.categories"].tolist() == [0, 10, 20]

    def test_not_fitted(self, tmp_path):
        text = (
            r"Standardizer\(3\): is not fitted: it has seen no data yet; call its fit\(X\), or Trainer.fit, "
            "which fits it on the training rows"
        )
        model = network(nn.Standardizer(3))
        trainer = cr.Trainer(model, nn.MSELoss(), optim.SGD())
        for call in (
            lambda: nn.Standardizer(3)(X),
            lambda: model(X),
            lambda: model.predict(X),
            lambda: trainer.evaluate(X, Y),
            lambda: trainer.step(X, Y),
            lambda: model.save(tmp_path / "m.safetensors"),
        ):
            with pytest.raises(cr.StateError, match=text):
                call()
        assert not model[0].fitted

    def test_a_fit_that_is_refused_fits_nothing(self):
        with pytest.raises(cr.ShapeError):
            network(nn.Standardizer(3), width=4)  # 3 come, 4 are taken
        model = nn.Sequential(nn.Imputer(3), nn.Standardizer(3), nn.Flatten(), nn.Linear(4, 1))
        with pytest.raises(cr.ShapeError):
            trained(model)
        assert not model[0].fitted
        bad = np.where(np.arange(40)[:, None] == 7, np.inf, X)
        with pytest.raises(cr.ValueError, match=r"cannot be fitted on inf: inf in row 7, column 0"):
            trained(model, x=bad)
        assert not model[0].fitted
        assert not model[1].fitted
        assert int(model.state_dict()["0.fitted"]) == 0

    def test_missing_values_are_blamed_only_without_an_imputer(self):
        with pytest.raises(cr.ValueError, match="the data holds inf or NaN: X has nan"):
            trained(nn.Sequential(nn.Linear(3, 1)), x=HOLES)
        model = nn.Sequential(nn.Imputer(3), nn.Linear(3, 1))
        with pytest.raises(cr.ValueError, match="y has nan in row 3"):
            trained(model, x=HOLES, y=np.where(np.arange(40)[:, None] == 3, np.nan, Y))
        trainer = cr.Trainer(model, nn.MSELoss(), optim.SGD(lr=1e30))
        history = trainer.fit(HOLES, Y, epochs=3, batch_size=8)
        assert "lower the learning rate" in history.stopped

    def test_the_whole_trains_to_the_same_bits_as_by_hand(self):
        inside = network(nn.Standardizer(3))
        trained(inside)
        outside = network(nn.Standardizer(3).fit(X))
        trained(outside)
        for name, value in inside.state_dict().items():
            np.testing.assert_array_equal(value, outside.state_dict()[name])


class TestFiles:
    def make(self):
        model = network(
            nn.Imputer(3, add_indicator=True),
            nn.Standardizer(6),
            nn.MinMaxScaler(6, feature_range=(-1, 1)),
            width=6,
        )
        trained(model, x=HOLES)
        return model

    def test_saved_and_loaded(self, tmp_path):
        model = self.make()
        model.save(tmp_path / "m.safetensors")
        loaded = cr.load(tmp_path / "m.safetensors")
        assert repr(loaded) == repr(model)
        np.testing.assert_array_equal(loaded.predict(HOLES), model.predict(HOLES))
        assert loaded[1].fitted
        before = statistics(loaded[1])
        trained(loaded, x=HOLES * 2)
        loaded.init(3)
        for name, value in statistics(loaded[1]).items():
            np.testing.assert_array_equal(value, before[name])
        loaded[1].fit(np.zeros((4, 6)))
        assert not statistics(loaded[1])["mean"].any()
        with pytest.raises(cr.ValueError, match="Imputer before it"):
            loaded[1].fit(np.full((4, 6), np.nan))

    def test_copies(self):
        model = self.make()
        for other in (model.clone(), copy.deepcopy(model)):
            np.testing.assert_array_equal(other.predict(HOLES), model.predict(HOLES))
        open_one = network(nn.Standardizer(3)).clone()
        assert not open_one[0].fitted
        trained(open_one)

    def test_categories_are_in_the_file(self, tmp_path):
        x = RNG.integers(0, 4, (30, 2)) * 5.0
        model = nn.Sequential(nn.OneHot([4, 6]), nn.Linear(10, 1), seed=0)
        trained(model, x=x, y=x[:, :1])
        model.save(tmp_path / "m.safetensors")
        loaded = cr.load(tmp_path / "m.safetensors")
        np.testing.assert_array_equal(loaded.predict(x), model.predict(x))
        for m in (model, loaded):
            with pytest.raises(cr.IndexError, match=r"model\.0"):
                m.predict(np.array([[1.0, 0.0]]))

    def test_wide_and_narrow_models(self):
        for dtype in ("float32", "float64"):
            model = network(nn.Standardizer(3).fit(X)).astype(dtype)
            assert model(X).dtype == dtype
            assert model.predict(X).dtype == dtype


class TestRefused:
    def test_what_cannot_be_made_or_fitted(self):
        for make, error, text in (
            (
                lambda: nn.Standardizer(0),
                cr.ValueError,
                "Standardizer: features must be at least 1: features is 0",
            ),
            (
                lambda: nn.MinMaxScaler(2, feature_range=(1, 1)),
                cr.ValueError,
                "MinMaxScaler: the range must be finite and ascending: it is (1.0, 1.0)",
            ),
            (
                lambda: nn.Imputer(2, strategy="mode"),
                cr.ValueError,
                'Imputer: unknown strategy: \'mode\'; use "mean", "median", "most_frequent" or "constant"',
            ),
            (
                lambda: nn.Imputer(2, fill_value=1.0),
                cr.ValueError,
                "Imputer: fill_value goes with strategy \"constant\" only: strategy is 'mean', "
                "fill_value is 1.0",
            ),
            (
                lambda: nn.OneHot(3),
                cr.DTypeError,
                "OneHot: categories must be a list with one entry per column, got int",
            ),
            (lambda: nn.OneHot([]), cr.ValueError, "OneHot: there are no columns; give one entry per column"),
            (
                lambda: nn.OneHot([3, 0]),
                cr.ValueError,
                "OneHot: a column needs one category at least: 0 was given",
            ),
            (
                lambda: nn.OneHot([[1, 1]]),
                cr.ValueError,
                "OneHot: a category is given twice: 1.0 in column 0",
            ),
            (
                lambda: nn.OneHot([3, [1, 2]]),
                cr.DTypeError,
                "OneHot: categories must be one count per column, or one "
                "list of categories per column; got int",
            ),
            (
                lambda: nn.OneHot([2], handle_unknown="zero"),
                cr.ValueError,
                'OneHot: unknown handle_unknown: \'zero\'; use "error" or "ignore"',
            ),
            (
                lambda: nn.Standardizer(3).fit(X[:, :2]),
                cr.ShapeError,
                "Standardizer(3): last axis must have 3 features: "
                "x is (40, 2); pass (batch, 3), or build the layer for 2 features",
            ),
            (
                lambda: nn.Standardizer(3).fit(X[:0]),
                cr.ShapeError,
                "Standardizer(3): there are no rows to fit: x is (0, 3); check for empty data",
            ),
            (
                lambda: nn.MinMaxScaler(1).fit([[1.0], [np.nan]]),
                cr.ValueError,
                "MinMaxScaler(1): cannot be fitted on inf "
                "or NaN: nan in row 1, column 0; put nn.Imputer before it, or clean the data",
            ),
            (
                lambda: nn.Imputer(1).fit([[np.nan]]),
                cr.ValueError,
                "Imputer(1): a column holds no value at all: column "
                '0; leave it out, or use strategy="constant"',
            ),
            (
                lambda: nn.OneHot([1]).fit([[1], [2]]),
                cr.ValueError,
                "OneHot((1,)): a column holds more categories than "
                "it was made for: 2 in column 0, made for 1; write 2 for it",
            ),
            (
                lambda: nn.OneHot([[1, 2]])(np.array([[1], [3]])),
                cr.IndexError,
                "OneHot((2,)): a value is none of the "
                'categories: 3.0 in row 1, column 0; handle_unknown="ignore" makes it a row of zeros',
            ),
        ):
            with pytest.raises(error) as raised:
                make()
            assert str(raised.value) == text

    def test_a_refused_fit_changes_nothing(self):
        layer = nn.Standardizer(1).fit([[1.0], [3.0]])
        before = layer.state_dict()
        with pytest.raises(cr.ValueError, match="cannot be fitted"):
            layer.fit([[np.inf], [1.0]])
        for name, value in layer.state_dict().items():
            np.testing.assert_array_equal(value, before[name])


def test_missing_values_that_no_imputer_fills_are_an_error():
    column = np.array([[0.0], [1.0], [np.nan], [0.0]] * 5, "f4")
    filled = nn.Sequential(nn.Columns([0]), nn.Imputer(1))
    model = nn.Sequential(nn.Concat([filled, nn.Columns([1])]), nn.Linear(2, 1))
    trainer = cr.Trainer(model, nn.MSELoss(), optim.Adam())
    with pytest.raises(cr.ValueError, match=r"X has nan in row 2, column 0"):
        trainer.fit(np.hstack([column, column]), column[:, 0] > 2, epochs=3, shuffle=False)
