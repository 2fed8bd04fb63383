"""What folds and their models keep apart, and what becomes of folds that fail."""

from __future__ import annotations

import chainrule as cr
import numpy as np
import pytest
from chainrule import nn, optim


def test_folds_of_a_fitted_model_forget_the_statistics_of_all_rows():
    X = np.random.default_rng(0).normal(size=(60, 3))
    y = X.sum(1, keepdims=True)
    model = nn.Sequential(nn.Standardizer(3), nn.Linear(3, 1))
    cr.Trainer(model, nn.MSELoss(), optim.Adam()).fit(X, y)
    r = cr.cross_validate(model, X, y, k=3, loss=nn.MSELoss(), optimizer=optim.Adam())
    assert len({float(m.state_dict()["0.mean"][0]) for m in r.models}) == 3
    assert model.state_dict()["0.mean"][0] == pytest.approx(X[:, 0].mean(), rel=1e-6)


def test_folds_that_diverge_have_no_score_and_are_not_trained_again():
    X = np.random.default_rng(0).normal(size=(60, 3)).astype("f4")
    y = X.sum(1, keepdims=True)
    options = {"k": 2, "loss": nn.MSELoss(), "optimizer": optim.SGD(lr=1e30), "epochs": 5}
    r = cr.cross_validate(lambda: nn.Linear(3, 1), X, y, retrain=False, **options)
    assert np.isnan(r.scores).all()
    with pytest.raises(cr.ValueError, match="every fold diverged; lower the learning rate"):
        cr.cross_validate(lambda: nn.Linear(3, 1), X, y, **options)


def test_weights_of_another_length_and_counts_as_targets():
    X = np.random.default_rng(0).normal(size=(50, 3)).astype("f4")
    counts = np.r_[np.zeros(30, int), np.arange(20)][:, None]
    options = {"loss": nn.MSELoss(), "optimizer": optim.Adam()}
    cr.cross_validate(lambda: nn.Linear(3, 1), X, counts, folds="time_series", k=4, **options)
    with pytest.raises(cr.ShapeError, match=r"one number per sample: it is \(500,\) for 50 samples"):
        cr.cross_validate(lambda: nn.Linear(3, 1), X, counts, sample_weight=np.ones(500), **options)


def test_an_ensemble_of_margins_votes_by_its_mean_scores():
    X, y = cr.datasets.load_digits(split="train")
    e = cr.Ensemble.train(
        lambda: nn.MLP([64, 8, 10]),
        X[:200],
        y[:200],
        loss=nn.MultiMarginLoss(),
        optimizer=optim.Adam(),
        seeds=2,
    )
    labels, _ = e.predict(X[:20], output="class")
    assert (labels == np.mean([m.predict(X[:20]) for m in e.models], axis=0).argmax(1)).all()
