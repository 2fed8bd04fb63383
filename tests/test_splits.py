"""Parts and folds: what holds for every split, and scikit-learn's own folds where nothing is shuffled."""

from __future__ import annotations

import json
from pathlib import Path

import chainrule as cr
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

RECORDED = json.loads(Path(__file__).with_name("folds.json").read_text())
RENAMED = {"gap": "gap", "test_size": "validation", "max_train_size": "train"}


def fold_of_row(folds, n):
    """The fold in which each row is held out; every row is in one, and trains in the others."""
    found = np.full(n, -1)
    for i, (train, held_out) in enumerate(folds):
        assert (np.diff(train) > 0).all()
        assert (np.diff(held_out) > 0).all()
        assert np.array_equal(np.sort(np.concatenate([train, held_out])), np.arange(n))
        assert (found[held_out] == -1).all()
        found[held_out] = i
    assert (found >= 0).all()
    return found


@pytest.mark.parametrize("case", RECORDED["k_fold"], ids=lambda c: "-".join([*c, str(c["n"])][1:]))
def test_k_fold_is_scikit_learns(case):
    options = {name: case[name] for name in ("stratify", "groups") if name in case}
    folds = cr.data.k_fold(case["n"], case["k"], shuffle=False, **options)
    assert fold_of_row(folds, case["n"]).tolist() == case["folds"]


@pytest.mark.parametrize("case", RECORDED["time_series"], ids=lambda c: str(c["n"]))
def test_time_series_folds_are_scikit_learns(case):
    options = {
        RENAMED.get(name, name): value for name, value in case.items() if name not in ("n", "k", "folds")
    }
    folds = cr.data.time_series_folds(case["n"], case["k"], **options)
    assert [[train.tolist(), held_out.tolist()] for train, held_out in folds] == case["folds"]


@settings(max_examples=60, deadline=None)
@given(
    labels=st.lists(st.integers(-2, 2), min_size=8, max_size=60),
    k=st.integers(2, 8),
    shuffle=st.booleans(),
    seed=st.integers(0, 2**64 - 1),
)
def test_k_fold_properties(labels, k, shuffle, seed):
    n = len(labels)
    sizes = np.bincount(fold_of_row(cr.data.k_fold(n, k, shuffle=shuffle, seed=seed), n))
    assert sizes.max() - sizes.min() <= 1
    values = np.asarray(labels)
    if np.unique(values, return_counts=True)[1].max() < k:
        with pytest.raises(cr.ValueError, match="no class has a row for every fold"):
            cr.data.k_fold(n, k, stratify=values)
        return
    fold = fold_of_row(cr.data.k_fold(n, k, stratify=values, shuffle=shuffle, seed=seed), n)
    assert np.ptp(np.bincount(fold, minlength=k)) <= 1
    for label in np.unique(values):
        assert np.ptp(np.bincount(fold[values == label], minlength=k)) <= 1


@settings(max_examples=60, deadline=None)
@given(
    groups=st.lists(st.integers(0, 11), min_size=12, max_size=80),
    k=st.integers(2, 4),
    stratified=st.booleans(),
    shuffle=st.booleans(),
    seed=st.integers(0, 99),
)
def test_groups_are_held_out_whole(groups, k, stratified, shuffle, seed):
    n, groups = len(groups), np.asarray(groups)
    labels = np.arange(n) % 2
    if len(np.unique(groups)) < k:
        with pytest.raises(cr.ValueError, match="fewer groups than folds"):
            cr.data.k_fold(n, k, groups=groups)
        return
    folds = cr.data.k_fold(
        n, k, groups=groups, shuffle=shuffle, seed=seed, **({"stratify": labels} if stratified else {})
    )
    fold = fold_of_row(folds, n)
    for group in np.unique(groups):
        assert len(set(fold[groups == group])) == 1


def test_shuffled_folds():
    n = 40
    labels = np.arange(n) % 3
    for options in ({}, {"stratify": labels}, {"groups": np.arange(n) // 2}):
        one = fold_of_row(cr.data.k_fold(n, 4, seed=1, **options), n)
        assert np.array_equal(one, fold_of_row(cr.data.k_fold(n, 4, seed=1, **options), n))
        assert not np.array_equal(one, fold_of_row(cr.data.k_fold(n, 4, seed=2, **options), n))
        assert not np.array_equal(one, fold_of_row(cr.data.k_fold(n, 4, shuffle=False, **options), n))
    repeated = cr.data.k_fold(n, 4, repeats=3, seed=1)
    assert len(repeated) == 12
    parts = [fold_of_row(repeated[4 * r : 4 * r + 4], n) for r in range(3)]
    assert np.array_equal(parts[0], fold_of_row(cr.data.k_fold(n, 4, seed=1), n))
    assert not np.array_equal(parts[0], parts[1])
    assert not np.array_equal(parts[1], parts[2])


def test_labels_may_be_words():
    words = np.array(["b", "a", "c"] * 10)
    folds = cr.data.k_fold(30, 5, stratify=words)
    assert all(np.unique(words[rows], return_counts=True)[1].tolist() == [2, 2, 2] for _, rows in folds)
    people = np.repeat(["ann", "bob", "eve"], 10)
    assert {tuple(set(people[rows])) for _, rows in cr.data.k_fold(30, 3, groups=people)} == {
        ("ann",),
        ("bob",),
        ("eve",),
    }


@settings(max_examples=60, deadline=None)
@given(
    n=st.integers(10, 90),
    test=st.sampled_from([0.0, 0.1, 0.25, 0.4]),
    validation=st.sampled_from([0.0, 0.1, 0.3]),
    classes=st.integers(1, 3),
    seed=st.integers(0, 99),
)
def test_split_data_keeps_shares(n, test, validation, classes, seed):
    X, y = np.arange(2.0 * n).reshape(n, 2), np.arange(n) % classes
    parts = cr.data.split_data(X, y, test=test, validation=validation, seed=seed)
    assert len(parts) == 1 + (test > 0) + (validation > 0)
    rows = [(part[0][:, 0] / 2).astype(int) for part in parts]
    assert np.array_equal(np.sort(np.concatenate(rows)), np.arange(n))
    for part, part_rows in zip(parts, rows, strict=True):
        assert (np.diff(part_rows) > 0).all()
        assert np.array_equal(part[1], y[part_rows])
    shares = [1 - test - validation, *(share for share in (validation, test) if share)]
    for part, share in zip(parts, shares, strict=True):
        assert abs(len(part[1]) - share * n) < 1.01
        for label in range(classes):
            whole = (y == label).sum() * len(part[1]) / n
            assert abs((part[1] == label).sum() - whole) < 2


def test_split_data_of_other_things():
    n = 30
    X = (np.arange(n), np.arange(n) * 10)
    y = np.array(["yes", "no", "no"] * 10)
    (train, train_y), (test, test_y) = cr.data.split_data(X, y, test=0.2)
    assert np.array_equal(train[0] * 10, train[1])
    assert np.array_equal(y[test[0]], test_y)
    assert (test_y == "yes").sum() == 2
    assert len(train_y) == 24
    groups = np.repeat(np.arange(6), 5)
    parts = cr.data.split_data(X[0], y, test=0.2, validation=0.3, groups=groups, seed=4)
    of = [set(groups[part[0]]) for part in parts]
    assert sum(map(len, of)) == 6
    assert not of[0] & of[1]
    assert not of[1] & of[2]
    assert all(of)
    assert [len(part[1]) for part in parts] == [15, 10, 5]
    assert np.array_equal(
        cr.data.split_data(X[0], y, test=0.2, seed=7)[1][0],
        cr.data.split_rows(n, 0.2, seed=7, stratify=y)[1],
    )
    floats = np.linspace(0, 1, n)
    assert len(cr.data.split_data(X[0], floats)[1][1]) == 6  # nothing to stratify by
    assert len(cr.data.split_data(X[0], np.arange(n))[1][1]) == 6  # every class has one row


def refuse(words, call, *arguments, **options):
    with pytest.raises(cr.Error) as error:
        call(*arguments, **options)
    assert words in str(error.value), str(error.value)


def test_what_cannot_be_split_says_why():
    k_fold, split, series = cr.data.k_fold, cr.data.split_data, cr.data.time_series_folds
    refuse("k_fold: k must be at least 2: k=1", k_fold, 10, 1)
    refuse("folds would be empty: k=5 for 4 rows", k_fold, 4, 5)
    refuse("fewer groups than folds: 2 groups, k=3", k_fold, 6, 3, groups=[0, 0, 0, 1, 1, 1])
    refuse("no class has a row for every fold: the largest has 2, k=3", k_fold, 4, 3, stratify=[0, 0, 1, 1])
    refuse("stratify is not one label per row", k_fold, 4, 2, stratify=[0, 1, 1])
    refuse("groups is not one label per row", k_fold, 4, 2, groups=[0, 1, 1])
    refuse("stratify holds no labels: its dtype is float64", k_fold, 4, 2, stratify=[0.5, 1, 1, 2])
    refuse("repeats without shuffling", k_fold, 4, 2, repeats=2, shuffle=False)
    refuse("repeats must be at least 1: 0", k_fold, 4, 2, repeats=0)
    X, y = np.zeros((10, 2)), np.arange(10) % 2
    refuse("X and y differ in length: X has 10 rows, y has 9", split, X, y[:9])
    refuse("test is no share of the rows: 1.2", split, X, y, test=1.2)
    refuse("no rows are left to train on", split, X, y, test=0.5, validation=0.5)
    refuse("stratify and groups were both given", split, X, y, stratify=True, groups=y)
    refuse("there are fewer groups than parts: 2 for 3 parts", split, X, y, validation=0.1, groups=y)
    refuse(
        "the groups are too large", split, X, y, validation=0.1, test=0.8, groups=[0] * 4 + [1] * 4 + [2] * 2
    )
    refuse('stratify must be "auto", True, False or labels', split, X, y, stratify="y")
    refuse("folds would be empty: k=4 for 4 rows", series, 4, 4)
    refuse("gap is a number of rows, 0 or more: -1", series, 10, 2, gap=-1)
    refuse("no rows are left to train the first fold on", series, 10, 2, validation=5)
