"""What cannot be cross-validated or searched says why, before anything trains."""

from __future__ import annotations

import chainrule as cr
import numpy as np
import pytest
from chainrule import nn, optim
from chainrule.distributions import Integer, LogUniform, Uniform

X, Y = cr.datasets.load_digits(split="train")
X, Y = X[:300], Y[:300]
RECIPE = {"loss": nn.CrossEntropyLoss(), "optimizer": optim.Adam(), "metrics": ["accuracy"]}


def make(width=16):
    return nn.MLP([64, width, 10])


def own_metric(output, target):
    return 0.0


def refuse(words, call, *arguments, **options):
    with pytest.raises((cr.Error, TypeError)) as error:
        call(*arguments, **options)
    assert words in str(error.value), str(error.value)


def test_what_cannot_be_validated_says_why():
    def validate(words, make_model=make, x=X, y=Y, **changed):
        refuse(words, cr.cross_validate, make_model, x, y, **{**RECIPE, **changed})

    validate("k must be at least 2: k=1", k=1)
    validate('cross_validate: class_weight must be "balanced" or a dict of labels', class_weight=[1.0])
    validate("cross_validate: max_norm must be a number or None, got 'a'", max_norm="a")
    validate("folds would be empty: k=301 for 300 rows", k=301)
    validate("there are fewer groups than folds: 2 groups, k=5", groups=np.arange(300) % 2)
    validate("would be trained on one class only", y=np.zeros(300, np.int64))
    in_order = np.repeat([0, 1], 150)
    validate("fold 1 would be trained on one class only: all 150 rows", k=2, groups=in_order, y=in_order)
    validate("no class has a row for every fold", k=60, stratify=True)
    validate("folds were given, and what else would make them", folds=[([0], [1])], repeats=2)
    validate("fold 1 names a row twice: 1", folds=[([0, 1], [1])])
    validate("fold 1 is empty: 0 rows to train on", folds=[(np.zeros(0, int), [1])])
    validate("fold 1 names a row that is not there: 300 of 300", folds=[([0, 1], [300])])
    validate('folds must be "time_series" or pairs', folds="kfold")
    validate('score is none of the metrics: score="f1"; there are loss, accuracy', score="f1")
    validate("no metric of this name", metrics=["acuracy"])
    validate("metrics must be a list", metrics="accuracy")
    validate("optimizer is a class; write Adam()", optimizer=optim.Adam)
    validate("already moves the parameters", optimizer=optim.Adam(make().parameters()))
    validate("make_model must be a function that returns a model, or a model, got int", make_model=3)
    validate("make_model must return a model, it returned int", make_model=lambda: 3)
    shared = make()
    validate("two models share a parameter", make_model=lambda: shared)
    validate("workers must be at least 1", workers=0)
    validate("must be 0 (as many as threads may be used) to 256: -1", workers=-1)
    validate("has no argument kk; did you mean k", kk=3)
    plateau = optim.Adam(lr=cr.schedules.ReduceOnPlateau(0.1, monitor="val_loss"))
    validate('monitor="val_loss"; watch "loss", or write retrain=False', optimizer=plateau)
    assert (
        len(cr.cross_validate(make, X, Y, k=2, retrain=False, **{**RECIPE, "optimizer": plateau}).scores) == 2
    )
    of_group = optim.Adam(groups={"*.bias": {"lr": cr.schedules.ReduceOnPlateau(0.1, monitor="val_loss")}})
    made = []
    validate(
        'the schedule watches a value that training on all data does not give: monitor="val_loss"; watch '
        '"loss", or write retrain=False',
        lambda: made.append(0) or make(),
        optimizer=of_group,
    )
    assert not made


def test_what_cannot_be_searched_says_why():
    def search(words, grid, make_model=make, **changed):
        refuse(words, cr.grid_search, make_model, grid, X, Y, **{**RECIPE, **changed})

    search("there is no parameter widht; did you mean width?", {"widht": [1]})
    search(
        "there is no parameter optimizer.learning_rate; there are lr, betas",
        {"optimizer.learning_rate": [1]},
    )
    search(
        "epochs is an argument of model and of fit; write model.epochs or fit.epochs",
        {"epochs": [1]},
        lambda epochs: 0,
    )
    search("width must be a list of values, got int; write [3]", {"width": 3})
    search("width has no values", {"width": []})
    search("there are no parameters to search over", {})
    search("optimizer.lr is given twice", {"lr": [0.1], "optimizer.lr": [0.1]})
    search("there is no parameter width", {"width": [3]}, make())
    search("cannot be told from the score's name", {"width": [3]}, metrics=[own_metric])
    made = []
    for words, grid in [
        ("l1 must be a finite number, 0 or more: -1", {"l1": [0.0, -1.0]}),
        ("accumulate must be at least 1: 0", {"accumulate": [1, 0]}),
        ("clipped by norm or by value", {"clip_norm": [None, 1.0], "clip_value": [None, 1.0]}),
        ("lr must be", {"lr": [0.1, -1.0]}),
        (
            'search: class_weight must be "balanced" or a dict of labels and weights, got 3',
            {"class_weight": [None, "balanced", {0: 2.0}, 3]},
        ),
        ("class_weight must be", {"class_weight": [{"a": 1.0}]}),
        ('unknown class_weight: "even"', {"class_weight": ["even"]}),
        ("search: epochs must be an integer, got 2.5", {"epochs": [1, 2.5]}),
        ("search: clip_norm must be a number or None, got 'a'", {"clip_norm": ["a"]}),
        ("search: l1 must be a number, got None", {"l1": [None]}),
    ]:
        search(words, grid, lambda: made.append(0) or make())
    assert not made

    def draw(words, space, **changed):
        refuse(words, cr.random_search, make, space, X, Y, **{**RECIPE, **changed})

    draw("n_iter must be at least 1: 0", {"width": [3]}, n_iter=0)
    draw("low must not be above high", {"width": Integer(5, 3)})
    draw("must begin above 0", {"lr": LogUniform(0, 1)})
    draw("must be finite", {"lr": Uniform(0, float("inf"))})
    draw("must be a list, or Uniform, LogUniform or Integer", {"lr": 0.1})
