"""Samplers in cross-validation, searches and ensembles: those of a fold's rows, refusals."""

import chainrule as cr
import numpy as np
import pytest
from chainrule import data, nn, optim
from test_samplers import parameters, problem


class Backwards:
    """A sampler of one's own that can be restricted to a part of the rows."""

    def __init__(self, rows):
        self.rows = rows

    def __len__(self):
        return self.rows

    def order(self, seed, epoch):
        return np.roll(np.arange(self.rows)[::-1], epoch)

    def of_rows(self, rows):
        assert rows.dtype == np.int64
        return Backwards(len(rows))


SELECTION = {"k": 3, "epochs": 2, "batch_size": 16, "metrics": ["accuracy"], "seed": 5}


@pytest.mark.parametrize("kind", ["weighted", "stratified", "own"])
@pytest.mark.parametrize("workers", [1, 2])
def test_folds_take_the_sampler_of_their_rows(kind, workers):
    X, y = problem()
    sampler = {
        "weighted": data.WeightedSampler(np.where(y == 1, 3.0, 1.0), num_samples=70),
        "stratified": data.StratifiedSampler(y),
        "own": Backwards(len(y)),
    }[kind]
    make, loss, opt = (lambda: nn.MLP([5, 8, 2], seed=0)), nn.CrossEntropyLoss(), optim.Adam(lr=0.01)
    found = cr.cross_validate(
        make, X, y, loss=loss, optimizer=opt, sampler=sampler, workers=workers, **SELECTION
    )
    plain = cr.cross_validate(make, X, y, loss=loss, optimizer=opt, workers=workers, **SELECTION)
    for fold, (train, held_out) in enumerate(data.k_fold(len(y), 3, stratify=y, seed=5)):
        trainer = cr.Trainer(make(), loss, opt, metrics=["accuracy"], seed=5)
        history = trainer.fit(
            X[train],
            y[train],
            epochs=2,
            batch_size=16,
            sampler=sampler.of_rows(train),
            validation_data=(X[held_out], y[held_out]),
        )
        assert found.histories[fold].to_dict() == history.to_dict()
        assert found.histories[fold].to_dict() != plain.histories[fold].to_dict()
        for a, b in zip(found.models[fold].parameters(), trainer.model.parameters(), strict=True):
            assert a.numpy().tobytes() == b.numpy().tobytes()
    retrained = cr.Trainer(make(), loss, opt, metrics=["accuracy"], seed=5)
    retrained.fit(X, y, epochs=2, batch_size=16, sampler=sampler)
    assert parameters(retrained) == [p.numpy().tobytes() for p in found.model.parameters()]


def test_a_search_tries_samplers_and_class_weights():
    X, y = problem()
    recipe = {"loss": nn.CrossEntropyLoss(), "optimizer": optim.Adam(lr=0.01), **SELECTION}
    make = lambda: nn.MLP([5, 8, 2], seed=0)  # noqa: E731
    heavy = data.WeightedSampler(np.where(y == 1, 3.0, 1.0))
    grid = {"sampler": [None, heavy], "class_weight": [None, {0: 1.0, 1: 4.0}]}
    found = cr.grid_search(make, grid, X, y, retrain=False, **recipe)
    for parameters_of, scores in zip(found.parameters, found.scores, strict=True):
        alone = cr.cross_validate(make, X, y, retrain=False, **parameters_of, **recipe)
        assert alone.scores.tolist() == scores.tolist()
    balanced = cr.grid_search(make, {"fit.class_weight": ["balanced"]}, X, y, retrain=False, **recipe)
    alone = cr.cross_validate(make, X, y, retrain=False, class_weight="balanced", **recipe)
    assert balanced.scores[0].tolist() == alone.scores.tolist()


def test_ensembles_take_samplers():
    X, y = problem()
    sampler = data.StratifiedSampler(y)
    trained = cr.Ensemble.train(
        nn.MLP([5, 8, 2]),
        X,
        y,
        loss=nn.CrossEntropyLoss(),
        optimizer=optim.Adam(lr=0.01),
        seeds=2,
        epochs=2,
        sampler=sampler,
    )
    for i, model in enumerate(trained.models):
        alone = cr.Trainer(nn.MLP([5, 8, 2], seed=i), nn.CrossEntropyLoss(), optim.Adam(lr=0.01), seed=i)
        alone.fit(X, y, epochs=2, sampler=sampler)
        assert parameters(alone) == [p.numpy().tobytes() for p in model.parameters()]


def test_folds_refuse_a_sampler_without_of_rows():
    class Plain:
        def order(self, seed, epoch):
            return np.arange(100)

    X, y = problem()
    with pytest.raises(ValueError, match=r"restricted to a part of the rows: a Plain; .* or give it of_rows"):
        cr.cross_validate(
            nn.MLP([5, 8, 2]),
            X,
            y,
            loss=nn.CrossEntropyLoss(),
            optimizer=optim.Adam(),
            sampler=Plain(),
            **SELECTION,
        )


def recipe(sampler):
    return {
        "loss": nn.CrossEntropyLoss(),
        "optimizer": optim.Adam(),
        "sampler": sampler,
        "retrain": False,
        **SELECTION,
    }


@pytest.mark.parametrize("rows", [20, 200])
@pytest.mark.parametrize(
    "make", [lambda y: data.StratifiedSampler(y), lambda y: data.WeightedSampler(y + 1.0)]
)
def test_folds_refuse_a_sampler_of_other_rows(make, rows):
    X, y = problem()
    sampler = make(np.resize(y, rows))
    with pytest.raises(cr.ShapeError, match=f"another number of rows: .*{rows} rows.* for 100 samples"):
        cr.cross_validate(nn.MLP([5, 8, 2]), X, y, **recipe(sampler))
    with pytest.raises(cr.ShapeError, match="another number of rows"):
        cr.grid_search(nn.MLP([5, 8, 2]), {"sampler": [None, sampler]}, X, y, **recipe(None))


def test_of_rows_refuses_rows_that_are_not_there():
    for sampler in (data.StratifiedSampler([0, 1] * 20), data.WeightedSampler(np.ones(40))):
        for row in (40, -1, 10**9):
            with pytest.raises(
                IndexError, match=f"of_rows: there is no such row: {row} of {type(sampler).__name__}"
            ):
                sampler.of_rows([0, row])


def test_of_rows_must_give_a_sampler():
    X, y = problem()
    sampler = Backwards(len(y))
    sampler.of_rows = lambda rows: None
    with pytest.raises(cr.DTypeError, match=r"a Backwards.of_rows\(rows\) must give a sampler, got None"):
        cr.cross_validate(nn.MLP([5, 8, 2]), X, y, **recipe(sampler))
