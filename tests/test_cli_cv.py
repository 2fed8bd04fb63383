"""`chainrule cv`, run as a user runs it: folds, the model of all rows, early stopping, refusals."""

from __future__ import annotations

import json
import re

import chainrule as cr
import numpy as np
import pytest
from command import fails, read_rows, write_table

SMALL = ("--layers", "8", "--epochs", 20, "--lr", "0.05")


def write_regression(path, n=90):
    rng = np.random.default_rng(1)
    a, b = rng.normal(size=(2, n))
    y = 1000 + 50 * (2 * a - b)
    np.savetxt(path, np.stack([a, b, y], 1), delimiter=",", header="a,b,y", comments="", fmt="%.5f")


def test_the_main_job(run, tmp_path):
    write_table(tmp_path / "data.csv")
    out = run("cv", "data.csv", "--target", "species", "--k", 4, *SMALL).stdout
    lines = out.splitlines()
    head = next(i for i, line in enumerate(lines) if line.startswith("fold"))
    assert lines[head].split() == ["fold", "epochs", "loss", "accuracy"]
    scores = [float(line.split()[-1]) for line in lines[head + 2 : head + 6]]
    mean, std = (float(line.split()[-1]) for line in lines[head + 6 : head + 8])
    assert mean == pytest.approx(np.mean(scores), abs=1e-4)
    assert std == pytest.approx(np.std(scores), abs=1e-4)
    assert mean > 0.9
    assert re.search(r"^accuracy 0\.\d+ ± \S+ over 4 folds of 5-8-3$", out, re.M)

    written = json.loads((tmp_path / "data-cv.json").read_text())
    found = written["cross_validation"]
    assert found["k"] == 4
    assert found["epochs"] == [20] * 4
    np.testing.assert_allclose(found["metrics"]["accuracy"], scores, atol=1e-4)
    assert written["results"]["held out"]["accuracy"] == pytest.approx(mean, abs=1e-4)
    assert len(written["history"]["loss"]) == written["epochs"] == 20
    assert written["rows"] == {"train": 120}

    run("predict", "data-cv.safetensors", "data.csv")
    taken = [row["species"] for row in read_rows(tmp_path / "predictions.csv")]
    rows = [row["species"] for row in read_rows(tmp_path / "data.csv")]
    assert np.mean([a == b for a, b in zip(taken, rows, strict=True)]) > 0.9


@pytest.mark.parametrize("kind", [None, "stratified", "weighted"])
def test_the_folds_are_those_of_the_library(run, tmp_path, kind):
    options = ("--layers", "16", "--epochs", 2, "--schedule", "constant", "--seed", 3, "--quiet")
    run("cv", "--k", 3, *options, *(("--sampler", kind) if kind else ()))
    X, y = cr.datasets.load_digits(split="train")
    drawn = {
        "stratified": cr.data.StratifiedSampler(y),
        "weighted": cr.data.WeightedSampler(1 / np.bincount(y)[y]),
    }
    result = cr.cross_validate(
        lambda: cr.nn.MLP([64, 16, 10]),
        X,
        y,
        k=3,
        seed=3,
        loss=cr.nn.CrossEntropyLoss(),
        optimizer=cr.optim.AdamW(),
        epochs=2,
        metrics=["accuracy"],
        sampler=drawn.get(kind),
    )
    found = json.loads((tmp_path / "digits-cv.json").read_text())["cross_validation"]
    assert found["metrics"]["accuracy"] == result.scores.tolist()
    model = cr.load(tmp_path / "digits-cv.safetensors")
    assert np.array_equal(model.predict(X), result.model.predict(X))


def test_a_regression_in_units_of_its_target(run, tmp_path):
    write_regression(tmp_path / "data.csv")
    options = ("--optimizer", "lbfgs", "--layers", 0, "--repeats", 2, "--k", 3, "--metrics", "rmse,r2")
    run("cv", "data.csv", "--target", "y", *options)
    found = json.loads((tmp_path / "data-cv.json").read_text())
    errors = found["cross_validation"]["metrics"]["rmse"]
    assert len(errors) == 6
    assert max(errors) < 1  # the target spreads by 110
    assert found["results"]["held out"]["rmse"] == pytest.approx(np.mean(errors))
    assert found["batch_size"] == 90


def test_early_stopping_and_no_model(run, tmp_path):
    write_table(tmp_path / "data.csv")
    options = ("--layers", "32", "--epochs", 300, "--lr", "0.05", "--patience", 3)
    run("cv", "data.csv", "--target", "species", "--k", 3, *options)
    found = json.loads((tmp_path / "data-cv.json").read_text())
    epochs = found["cross_validation"]["epochs"]
    assert max(epochs) < 300
    assert found["epochs"] == pytest.approx(np.mean(epochs), abs=0.5)
    run("cv", "data.csv", "--target", "species", "--no-retrain", "--out", "n.safetensors", *SMALL)
    assert not (tmp_path / "n.safetensors").exists()
    assert (tmp_path / "n.json").exists()

    out = run("train", "data.csv", "--target", "species", *options, "--out", "t.safetensors").stdout
    assert "note: training ended early: " in out
    history = json.loads((tmp_path / "t.json").read_text())
    losses = history["history"]["val_loss"]
    assert len(losses) == int(np.argmin(losses)) + 1 + 3
    assert history["results"]["validation"]["loss"] == pytest.approx(min(losses), rel=1e-5)


def test_rows_in_the_order_of_time(run, tmp_path):
    write_regression(tmp_path / "data.csv")
    options = ("cv", "data.csv", "--target", "y", "--k", 4, "--time-series", "--layers", 0)
    run(*options, "--optimizer", "lbfgs", "--metrics", "rmse", "--no-retrain")
    found = json.loads((tmp_path / "data-cv.json").read_text())["cross_validation"]["metrics"]["rmse"]
    assert len(found) == 4
    assert max(found) < 1
    fails(run, "--time-series has one order of rows, --repeats would change it", *options, "--repeats", 2)
    fails(run, "--time-series has one order of rows, --groups would change it", *options, "--groups", "a")


def test_no_stratification(run, tmp_path):
    """A class of fewer rows than folds then is no reason to stop."""
    write_table(tmp_path / "data.csv", n=30)
    options = ("cv", "data.csv", "--target", "species", "--k", 12, *SMALL, "--epochs", 1, "--no-retrain")
    fails(run, "--k 12: class 'kind .' has .* rows, and every fold needs one", *options)
    run(*options, "--no-stratify")


def test_the_picture(run, tmp_path):
    pytest.importorskip("matplotlib")
    write_table(tmp_path / "data.csv")
    for _ in range(2):  # its own files are replaced
        run("cv", "data.csv", "--target", "species", "--k", 2, *SMALL, "--epochs", 2)
    assert (tmp_path / "data-cv.png").read_bytes()[:4] == b"\x89PNG"


def test_refusals(run, tmp_path):
    write_table(tmp_path / "data.csv", n=30)
    write_regression(tmp_path / "numbers.csv", n=20)
    table = ("cv", "data.csv", "--target", "species")
    fails(run, "--k 21: there are 20 rows, at most one fold", "cv", "numbers.csv", "--target", "y", "--k", 21)
    fails(
        run, r"--k 25: class 'kind \w' has \d+ rows, and every fold needs one; lower --k", *table, "--k", 25
    )
    fails(run, "--k: must be at least 2, got 1", *table, "--k", 1)
    fails(run, "no metric of this name: 'acuracy'", *table, "--metrics", "acuracy")
    fails(run, "unrecognized arguments: --validation", *table, "--validation", "0.5")
    fails(run, "--out: a model file ends in .safetensors", *table, "--out", "model.bin")
    fails(
        run,
        "--patience needs rows to watch",
        *("train", "data.csv", "--target", "species"),
        "--validation",
        0,
        "--patience",
        2,
    )
    assert not list(tmp_path.glob("*.safetensors"))


def test_folds_that_diverge_are_shown_and_no_untrained_model_is_written(run, tmp_path):
    write_regression(tmp_path / "numbers.csv")
    wild = (
        "cv",
        "numbers.csv",
        "--target",
        "y",
        "--k",
        3,
        "--lr",
        "1e30",
        "--optimizer",
        "sgd",
        "--epochs",
        2,
    )
    out = run(*wild, "--no-retrain").stdout
    assert re.search(r"nan ± nan over 3 folds", out)
    fails(run, "every fold diverged; .*--no-retrain", *wild, "--out", "wild.safetensors")
    assert not list(tmp_path.glob("*.safetensors"))
