"""Cross-validation, search and ensembles: the bits of training alone, for any number of workers."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time

import chainrule as cr
import numpy as np
import pytest
from chainrule import nn, optim
from chainrule.distributions import Integer, LogUniform, Uniform

X, Y = cr.datasets.load_digits(split="train")
X, Y = X[:300], Y[:300]
RECIPE = {
    "loss": nn.CrossEntropyLoss(),
    "optimizer": optim.Adam(lr=1e-2),
    "epochs": 2,
    "metrics": ["accuracy"],
}


def make(width=16):
    return nn.Sequential(nn.Linear(64, width), nn.ReLU(), nn.Dropout(0.1), nn.Linear(width, 10))


def weights(model):
    return [p.numpy().tobytes() for p in model.parameters()]


def test_the_bits_are_those_of_training_each_fold_alone():
    for workers in (1, 2, 4):
        r = cr.cross_validate(make, X, Y, k=3, seed=5, repeats=2, workers=workers, **RECIPE)
        folds = cr.data.k_fold(len(Y), 3, stratify=Y, repeats=2, seed=5)
        assert len(r.models) == len(folds) == 6
        for i, (train, held_out) in enumerate(folds):
            seed = 5 + i // 3
            cr.manual_seed(seed)
            alone = cr.Trainer(
                make(), RECIPE["loss"], RECIPE["optimizer"], metrics=RECIPE["metrics"], seed=seed
            )
            history = alone.fit(
                X[train], Y[train], epochs=2, validation_data=(X[held_out], Y[held_out]), progress=False
            )
            assert weights(r.models[i]) == weights(alone.model)
            assert r.histories[i].to_dict() == history.to_dict()
            assert r.scores[i] == alone.evaluate(X[held_out], Y[held_out])["accuracy"]
            assert r.metrics["loss"][i] == history["val_loss"][-1]
        cr.manual_seed(5)
        whole = cr.Trainer(make(), RECIPE["loss"], RECIPE["optimizer"], metrics=RECIPE["metrics"], seed=5)
        whole.fit(X, Y, epochs=2, progress=False)
        assert weights(r.model) == weights(whole.model)
        assert r.mean == pytest.approx(np.mean(r.scores))
        assert r.std == pytest.approx(np.std(r.scores))


def test_seeds_drawn_elsewhere_are_left_alone():
    cr.manual_seed(3)
    first = nn.Linear(2, 2).weight.numpy()
    cr.manual_seed(3)
    cr.cross_validate(make, X, Y, k=2, retrain=False, **RECIPE)
    assert np.array_equal(nn.Linear(2, 2).weight.numpy(), first)


def test_a_model_is_copied_and_drawn_anew():
    model = make()
    before = weights(model)
    one, two = (cr.cross_validate(model, X, Y, k=2, seed=1, workers=w, **RECIPE) for w in (1, 2))
    assert weights(model) == before
    assert weights(one.model) == weights(two.model)
    alone = cr.Trainer(model.init(1), RECIPE["loss"], RECIPE["optimizer"], seed=1)
    alone.fit(X, Y, epochs=2, progress=False)
    assert weights(one.model) == weights(alone.model)


def test_results_read_well(tmp_path):
    r = cr.cross_validate(make, X, Y, k=3, **RECIPE)
    lines = str(r).splitlines()
    assert lines[0].split() == ["fold", "trained", "on", "held", "out", "epochs", "loss", "accuracy"]
    assert len(lines) == 8
    assert lines[5].split()[0] == "mean"
    assert r.score == "accuracy"
    assert repr(r).startswith("CrossValidation(accuracy: ")
    d = r.to_dict()
    assert d["metrics"]["accuracy"] == d["scores"] == r.scores.tolist()
    assert cr.cross_validate(make, X, Y, k=2, score="loss", **RECIPE).score == "loss"
    assert cr.cross_validate(make, X, Y, k=2, **{**RECIPE, "metrics": []}).score == "loss"
    pytest.importorskip("matplotlib")
    r.plot(tmp_path / "cv.png")
    assert (tmp_path / "cv.png").read_bytes()[:4] == b"\x89PNG"


class Net(nn.Module):
    def __init__(self):
        self.first = nn.Linear(64, 8)
        self.second = nn.Linear(8, 10)

    def forward(self, x):
        return self.second(cr.tanh(self.first(x)))


def own_loss(logits, target):
    return -cr.take_along(cr.log_softmax(logits, axis=-1), target, axis=-1)


def own_metric(output, target):
    return float((output.argmax(1) == target).mean())


def test_models_losses_metrics_and_callbacks_of_python_run_in_workers():
    seen = []

    class Count(cr.callbacks.Callback):
        def __init__(self):
            self.epochs = 0

        def on_epoch_end(self, fit):
            self.epochs += 1
            seen.append((threading.get_ident(), self.epochs))

    given = Count()
    results = [
        cr.cross_validate(
            Net,
            X,
            Y,
            k=4,
            loss=own_loss,
            optimizer=optim.SGD(lr=lambda step: 0.1),
            metrics=[own_metric],
            epochs=2,
            workers=workers,
            callbacks=[given],
        )
        for workers in (1, 4)
    ]
    assert results[0].scores.tolist() == results[1].scores.tolist()
    assert weights(results[0].model) == weights(results[1].model)
    assert results[0].score == "own_metric"
    assert given.epochs == 0  # every model has a copy
    assert sorted(count for _, count in seen) == [1] * 10 + [2] * 10
    assert isinstance(results[0].models[0], Net)


def test_early_stopping_and_the_mean_of_its_epochs():
    stop = cr.callbacks.EarlyStopping(patience=1)
    options = {**RECIPE, "epochs": 40, "optimizer": optim.Adam(lr=0.05)}
    one, two = (cr.cross_validate(make, X, Y, k=3, callbacks=[stop], workers=w, **options) for w in (1, 3))
    assert one.epochs == two.epochs
    assert one.scores.tolist() == two.scores.tolist()
    for epochs, history in zip(one.epochs, one.histories, strict=True):
        assert epochs == int(np.argmin(history["val_loss"])) + 1 < 40
        assert "val_loss has not improved" in history.stopped
    assert one.metrics["loss"].tolist() == [min(h["val_loss"]) for h in one.histories]
    assert one.history.epochs == round(np.mean(one.epochs) + 1e-9)
    assert stop.best_epoch == 0


def test_data_of_other_kinds():
    wide = (X[:, :32], X[:, 32:])

    class Two(nn.Module):
        def __init__(self):
            self.a, self.b = nn.Linear(32, 10), nn.Linear(32, 10)

        def forward(self, a, b):
            return self.a(a) + self.b(b)

    r = cr.cross_validate(Two, wide, Y, k=2, sample_weight=np.ones(300), class_weight={0: 2.0}, **RECIPE)
    assert len(r.scores) == 2
    pairs = [(np.arange(200), np.arange(200, 300)), (np.arange(100, 300), np.arange(100))]
    r = cr.cross_validate(make, X, Y, folds=pairs, **RECIPE)
    assert len(r.histories) == 2
    assert len(cr.cross_validate(make, X, Y, k=3, folds="time_series", **RECIPE).scores) == 3
    groups = np.arange(300) // 10
    assert len(cr.cross_validate(make, X, Y, k=3, groups=groups, **RECIPE).scores) == 3
    regression = {"loss": nn.MSELoss(), "optimizer": optim.Adam(), "metrics": ["r2"]}
    r = cr.cross_validate(nn.Linear(64, 1), X, X[:, :1], k=3, **regression)
    assert r.score == "r2"


GRID = {"width": [4, 16], "lr": [1e-3, 1e-2]}


def test_grid_search_is_a_cross_validation_of_each():
    searches = [cr.grid_search(make, GRID, X, Y, k=3, workers=w, **RECIPE) for w in (1, 2, 4)]
    for r in searches:
        assert len(r) == 4
        assert r.parameters == searches[0].parameters
        assert weights(r.best_model) == weights(searches[0].best_model)
        assert (np.diff(r.means) <= 0).all()
        for parameters, scores, mean in zip(r.parameters, r.scores, r.means, strict=True):
            alone = cr.cross_validate(
                lambda width=parameters["width"]: make(width),
                X,
                Y,
                k=3,
                retrain=False,
                **{**RECIPE, "optimizer": optim.Adam(lr=parameters["lr"])},
            )
            assert alone.scores.tolist() == scores.tolist()
            assert alone.mean == mean
    assert searches[0].best_params == {"width": 16, "lr": 1e-2}
    assert searches[0].best_score == searches[0].means[0]


def test_names_of_a_search_go_where_they_belong():
    grid = {
        "model.width": [8],
        "optimizer": [optim.SGD(), optim.AdamW()],
        "optimizer.lr": [0.01],
        "label_smoothing": [0.1],
        "fit.epochs": [1, 3],
        "batch_size": np.array([16]),
    }
    r = cr.grid_search(make, grid, X, Y, k=2, **RECIPE)
    assert r.best_params["fit.epochs"] == 3
    assert r.history.epochs == 3
    assert type(r.best_params["batch_size"]) is int
    falling = cr.grid_search(make, {"lr": [1e-1, 1e-9]}, X, Y, k=2, score="loss", **RECIPE)
    assert not falling.maximize
    assert falling.best_params == {"lr": 1e-1}
    own = {**RECIPE, "metrics": [own_metric]}
    assert cr.grid_search(make, {"width": [2, 16]}, X, Y, k=2, maximize=True, **own).maximize


def test_random_search_draws_by_seed():
    space = {
        "width": Integer(2, 32, log=True),
        "lr": LogUniform(1e-4, 1e-1),
        "dropout": Uniform(0, 0.5),
        "batch_size": [16, 32],
    }

    def made(width, dropout):
        return nn.MLP([64, width, 10], dropout=dropout)

    def drawn(n, seed):
        r = cr.random_search(made, space, X, Y, n_iter=n, seed=seed, k=2, retrain=False, **RECIPE)
        return sorted(map(repr, r.parameters)), r.parameters

    assert drawn(4, 0)[0] == drawn(4, 0)[0] != drawn(4, 1)[0]
    assert set(drawn(3, 0)[0]) < set(drawn(6, 0)[0])
    for candidate in drawn(6, 0)[1]:
        assert 2 <= candidate["width"] <= 32
        assert type(candidate["width"]) is int
        assert 1e-4 <= candidate["lr"] <= 1e-1
        assert 0 <= candidate["dropout"] <= 0.5
        assert candidate["batch_size"] in (16, 32)


def test_a_search_reads_well(tmp_path):
    r = cr.grid_search(make, {"width": [4, 8], "shuffle": [True, False]}, X, Y, k=2, **RECIPE)
    lines = str(r).splitlines()
    assert lines[0] == "mean accuracy over 2 folds, highest first"
    assert lines[1].split() == ["rank", "width", "shuffle", "mean", "std", "epochs"]
    assert r.to_dict()["parameters"] == r.parameters
    assert repr(r).startswith("Search(4 candidates, best accuracy ")
    pytest.importorskip("matplotlib")
    r.plot(tmp_path / "search.png")
    assert (tmp_path / "search.png").stat().st_size > 10_000


def test_ensembles(tmp_path):
    options = {"loss": RECIPE["loss"], "optimizer": RECIPE["optimizer"], "epochs": 2}
    one, two = (cr.Ensemble.train(make(), X, Y, seeds=3, seed=7, workers=w, **options) for w in (1, 2))
    for i, (a, b) in enumerate(zip(one.models, two.models, strict=True)):
        alone = cr.Trainer(make().init(7 + i), options["loss"], options["optimizer"], seed=7 + i)
        alone.fit(X, Y, epochs=2, progress=False)
        assert weights(a) == weights(b) == weights(alone.model)
    for output in ("raw", "proba"):
        each = np.stack([m.predict(X, output=output) for m in one.models]).astype(np.float64)
        mean, spread = one.predict(X, output=output)
        assert mean.dtype == spread.dtype == np.float32
        np.testing.assert_allclose(mean, each.mean(0), rtol=1e-6, atol=1e-6)
        np.testing.assert_allclose(spread, each.std(0), rtol=1e-5, atol=1e-6)
    classes, others = one.predict(X, output="class")
    assert np.array_equal(classes, one.predict(X, output="proba")[0].argmax(1))
    each = np.stack([m.predict(X, output="class") for m in one.models])
    np.testing.assert_allclose(others, (each != classes).mean(0), rtol=1e-6)
    one.save(tmp_path / "three")
    again = cr.Ensemble.load(tmp_path / "three")
    assert np.array_equal(again.predict(X)[0], one.predict(X)[0])
    folds = cr.cross_validate(make, X, Y, k=3, retrain=False, **RECIPE).ensemble()
    assert len(folds) == 3
    with pytest.raises(cr.FileError, match="the folder is not empty"):
        one.save(tmp_path / "three")
    with pytest.raises(cr.FileError, match="no ensemble is here"):
        cr.Ensemble.load(tmp_path / "nothing")
    with pytest.raises(cr.ValueError, match="there are no models"):
        cr.Ensemble([])
    with pytest.raises(cr.ValueError, match="mean different things"):
        cr.Ensemble([one.models[0], nn.Linear(64, 10)])


def test_progress_reports_and_an_exception_in_one_ends_it():
    for workers in (1, 2):
        reports = []
        cr.cross_validate(
            make,
            X,
            Y,
            k=3,
            workers=workers,
            progress=lambda p, to=reports: to.append((p.done, p.total)),
            **RECIPE,
        )
        assert reports[-1] == (4, 4)
        assert reports == sorted(reports)

        def refuse(report):
            raise RuntimeError("enough")

        with pytest.raises(RuntimeError, match="enough"):
            cr.cross_validate(make, X, Y, k=3, workers=workers, progress=refuse, **RECIPE)
        with pytest.raises(RuntimeError, match="enough"):
            cr.Ensemble.train(
                make, X, Y, workers=workers, progress=refuse, loss=RECIPE["loss"], optimizer=optim.Adam()
            )


def test_errors_of_a_worker_reach_the_caller():
    def fails(output, target):
        raise KeyError("inside")

    for workers in (1, 3):
        with pytest.raises(KeyError, match="inside"):
            cr.cross_validate(make, X, Y, k=3, workers=workers, **{**RECIPE, "metrics": [fails]})
        with pytest.raises(cr.ShapeError):
            cr.cross_validate(lambda: nn.Linear(63, 10), X, Y, k=3, workers=workers, **RECIPE)
    made = []

    def third():
        made.append(1)
        if len(made) == 3:
            raise OSError("no third model")
        return make()

    with pytest.raises(OSError, match="no third model"):
        cr.cross_validate(third, X, Y, k=5, workers=2, **RECIPE)


LONG = """
import chainrule as cr, numpy as np, sys, threading, os, signal
from chainrule import nn, optim
X = np.random.default_rng(0).normal(size=(4000, 64)).astype("f4"); y = (X[:, 0] > 0).astype("i8")
def loss(out, target):
    return -cr.take_along(cr.log_softmax(out, axis=-1), target, axis=-1)
threading.Timer(0.7, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
try:
    cr.cross_validate(lambda: nn.MLP([64, 256, 2]), X, y, k=4, loss=loss, optimizer=optim.Adam(), epochs=9999,
                      workers=int(sys.argv[1]), metrics=[lambda o, t: 0.0])
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""


@pytest.mark.skipif(os.name == "nt", reason="signals")
@pytest.mark.parametrize("workers", [1, 3])
def test_ctrl_c_ends_it(workers):
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", LONG, str(workers)], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stdout == "interrupted\n", done.stderr
    assert done.returncode == 0
    assert time.perf_counter() - start < 50
