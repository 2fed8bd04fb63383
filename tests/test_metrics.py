"""Metrics: against scikit-learn's recorded values, as functions and by name, and what they refuse."""

from __future__ import annotations

import json

import chainrule as cr
import numpy as np
import pytest
from chainrule import metrics, nn, optim
from checks import same_state
from record_metrics import FILE
from small import small_data, small_model

RECORDED = json.loads(FILE.read_text())
KINDS = sorted({(row["kind"], row["link"]) for row in RECORDED})
AVERAGED = ("precision", "recall", "f1", "roc_auc", "average_precision")


def function_of(name):
    """(function, keywords) for a metric's name: f1_macro -> metrics.f1, average="macro"."""
    if name.startswith("top_"):
        return metrics.top_k_accuracy, {"k": int(name.split("_")[1])}
    for base in AVERAGED:
        if name.startswith(base + "_"):
            return getattr(metrics, base), {"average": name.removeprefix(base + "_")}
    return getattr(metrics, name), {}


@pytest.mark.parametrize(("kind", "link"), KINDS)
def test_values_of_scikit_learn(kind, link):
    rows = [row for row in RECORDED if (row["kind"], row["link"]) == (kind, link)]
    assert len(rows) >= 12
    for row in rows:
        output, target = np.array(row["output"]), np.array(row["target"])
        weight = None if row["weight"] is None else np.array(row["weight"])
        given = {} if kind == "values" else {"link": link}
        for name, value in row["values"].items():
            if name == "matrix":
                ours = metrics.confusion_matrix(output, target, sample_weight=weight, **given)
                assert ours.dtype == (np.int64 if weight is None else np.float64)
            else:
                function, keywords = function_of(name)
                ours = function(output, target, sample_weight=weight, **given, **keywords)
            np.testing.assert_allclose(ours, value, rtol=1e-12, atol=1e-14, err_msg=f"{name} of {row}")


def test_every_metric_is_recorded():
    names = {name for row in RECORDED for name in row["values"]}
    functions = set(metrics.__all__) - {"confusion_matrix", "classification_report", "higher_is_better"}
    assert {function_of(name)[0].__name__ for name in names - {"matrix"}} == functions
    assert any(np.isnan(row["values"].get("roc_auc", 0)) for row in RECORDED)


class TestReading:
    def test_shapes_and_kinds_of_arrays(self):
        labels, scores = [1, 0, 1], [[0.2, 0.8], [0.9, 0.1], [0.6, 0.4]]
        for output in (scores, np.array(scores, np.float32), cr.tensor(scores)):
            assert metrics.accuracy(output, labels) == 2 / 3
            assert metrics.accuracy(output, np.array(labels)[:, None]) == 2 / 3
            assert metrics.accuracy(output, [1.0, 0.0, 1.0]) == 2 / 3
        assert metrics.mae([[1.0], [2.0]], [1.0, 4.0]) == 1.0
        assert metrics.mae([0.1], [0.3]) == abs(0.1 - 0.3)  # not rounded to float32
        # One class per position: (N, T, C) beside (N, T), with a weight for each sample.
        deep = np.eye(3)[[[0, 1], [2, 2]]]
        assert metrics.accuracy(deep, [[0, 0], [2, 2]]) == 0.75
        assert metrics.accuracy(deep, [[0, 0], [2, 2]], sample_weight=[0, 1]) == 1.0
        assert metrics.confusion_matrix(deep, [[0, 0], [2, 2]]).tolist() == [[1, 1, 0], [0, 0, 0], [0, 0, 2]]

    def test_probabilities_as_targets(self):
        logits = np.log([[0.7, 0.2, 0.1], [0.1, 0.3, 0.6]])
        soft = np.array([[0.9, 0.1, 0.0], [0.2, 0.5, 0.3]])
        assert metrics.accuracy(logits, soft, link="softmax") == 0.5
        assert metrics.log_loss(logits, soft, link="softmax") == pytest.approx(-(soft * logits).sum() / 2)
        p, q = np.array([0.8, 0.3]), np.array([0.9, 0.1])
        assert metrics.log_loss(p, q, link="probability") == pytest.approx(
            -np.mean(q * np.log(p) + (1 - q) * np.log(1 - p))
        )
        assert metrics.f1(p, q, link="probability") == 1.0

    def test_labels_of_minus_one_and_one(self):
        assert metrics.accuracy([2.0, -3.0, 1.0], [1, -1, -1], link="sigmoid") == 2 / 3
        assert metrics.roc_auc([2.0, -3.0, 1.0], [1, -1, -1]) == 1.0

    def test_ignored_labels_do_not_count(self):
        logits, y = np.eye(3)[[0, 1, 2, 0]], [0, 1, -100, 2]
        assert metrics.accuracy(logits, y, ignore_index=-100) == 2 / 3
        assert metrics.f1(logits, y, ignore_index=-100) == metrics.f1(logits[[0, 1, 3]], [0, 1, 2])
        assert metrics.log_loss(logits, y, link="softmax", ignore_index=-100) == metrics.log_loss(
            logits[[0, 1, 3]], [0, 1, 2], link="softmax"
        )

    def test_extreme_logits_keep_their_loss(self):
        assert metrics.log_loss([[1000.0, 0.0, 0.0]], [1], link="softmax") == 1000.0
        assert metrics.log_loss([-1000.0], [1], link="sigmoid") == 1000.0
        assert metrics.log_loss([0.0], [1]) == pytest.approx(-np.log(np.finfo(float).eps))
        float32 = np.zeros(1, np.float32)
        assert metrics.log_loss(float32, [1]) == pytest.approx(-np.log(np.finfo(np.float32).eps))

    def test_nan_scores(self):
        for metric in (metrics.roc_auc, metrics.average_precision, metrics.mae, metrics.r2):
            assert np.isnan(metric([0.5, np.nan, 0.1], [1, 0, 1]))
        assert metrics.top_k_accuracy([[0.0, np.nan]], [1], k=1) == 0

    def test_normalized_confusion(self):
        predicted, target = [0, 2, 1, 1], [0, 2, 1, 2]
        of = {
            way: metrics.confusion_matrix(predicted, target, normalize=way) for way in ("true", "pred", "all")
        }
        np.testing.assert_allclose(of["true"].sum(axis=1), 1)
        np.testing.assert_allclose(of["pred"].sum(axis=0), 1)
        assert of["all"].sum() == 1
        assert of["true"][2].tolist() == [0, 0.5, 0.5]
        scores = np.eye(4)[[0, 1]]
        assert metrics.confusion_matrix(scores, [0, 1]).shape == (4, 4)  # also classes that do not occur
        assert metrics.confusion_matrix(scores, [0, 1], normalize="true")[3].tolist() == [0, 0, 0, 0]

    def test_report(self):
        rng = np.random.default_rng(0)
        y, scores = rng.integers(0, 3, 50), rng.normal(size=(50, 4))
        text = metrics.classification_report(scores, y, names=["a", "b", "c", "the fourth"])
        rows = {
            line[:10].strip(): [float(x) for x in line[10:].split()] for line in text.splitlines()[1:] if line
        }
        assert rows["the fourth"][1:] == [0, 0, 0]
        assert rows["a"][3] == (y == 0).sum()
        for way in ("macro", "weighted"):
            wanted = [
                getattr(metrics, name)(scores, y, average=way) for name in ("precision", "recall", "f1")
            ]
            assert rows[way] == pytest.approx([*wanted, 50], abs=5e-5)
        assert rows["accuracy"] == pytest.approx([metrics.accuracy(scores, y), 50], abs=5e-5)
        several = metrics.classification_report(scores > 0, scores > 0.5)
        assert "micro" in several
        assert "accuracy" not in several


class TestTrainer:
    NAMES = (
        "accuracy",
        "top_2_accuracy",
        "balanced_accuracy",
        "f1",
        "f1_micro",
        "precision_weighted",
        "recall",
    )

    def test_by_name(self):
        X, y = small_data()
        names = [*self.NAMES, "roc_auc", "average_precision_micro", "log_loss"]
        trainer = cr.Trainer(small_model(), nn.CrossEntropyLoss(), optim.Adam(), metrics=names)
        history = trainer.fit(X, y, epochs=2, validation_data=(X, y))
        scores = trainer.evaluate(X, y)
        assert set(scores) == {"loss", *names}
        assert list(history) == ["loss", *names, "val_loss", *(f"val_{name}" for name in names)]
        logits = trainer.predict(X)
        for name in names:
            function, keywords = function_of(name)
            assert scores[name] == function(logits, y, link="softmax", **keywords)
            assert history[f"val_{name}"][-1] == scores[name]
        assert scores["log_loss"] == pytest.approx(scores["loss"], rel=1e-6)

    @pytest.mark.parametrize("loss", ["BCEWithLogitsLoss", "BCELoss"])
    def test_two_classes(self, loss):
        X, y = small_data()
        y = (y > 0).astype(np.float32)[:, None]
        layers = [nn.Linear(X.shape[1], 1)] + [nn.Sigmoid()] * (loss == "BCELoss")
        names = ["accuracy", "precision", "roc_auc", "average_precision", "log_loss"]
        trainer = cr.Trainer(
            nn.Sequential(*layers, seed=0), getattr(nn, loss)(), optim.Adam(lr=0.1), metrics=names
        )
        trainer.fit(X, y, epochs=5)
        scores, p = trainer.evaluate(X, y), trainer.predict(X, output="proba")
        for name in names:
            ours = getattr(metrics, name)(p, y, link="probability")
            assert scores[name] == pytest.approx(ours, rel=1e-6), name

    def test_functions_of_the_module_are_their_names(self):
        X, y = small_data()
        y = (y > 0).astype(np.float32)
        model = nn.Sequential(nn.Linear(X.shape[1], 1), nn.Flatten(), seed=0)
        trainer = cr.Trainer(
            model,
            nn.BCEWithLogitsLoss(),
            optim.SGD(lr=0.1),
            metrics=[metrics.f1, "f1_macro", metrics.log_loss],
        )
        scores = trainer.evaluate(X, y[:, None])
        assert list(scores) == ["f1", "f1_macro", "log_loss", "loss"]
        assert scores["log_loss"] == pytest.approx(scores["loss"], rel=1e-6)

    def test_ignored_labels(self):
        X, y = small_data()
        y = y.copy()
        y[::3] = 255
        trainer = cr.Trainer(
            small_model(),
            nn.CrossEntropyLoss(ignore_index=255),
            optim.Adam(),
            metrics=["accuracy", "f1", "log_loss"],
        )
        trainer.fit(X, y)
        scores, kept = trainer.evaluate(X, y), y != 255
        assert scores["accuracy"] == np.mean(trainer.predict(X)[kept].argmax(1) == y[kept])
        assert scores["log_loss"] == pytest.approx(scores["loss"], rel=1e-6)

    def test_what_has_no_meaning_is_said_before_anything_trains(self):
        X, y = small_data()
        model = small_model()
        before = model.state_dict()
        labels = np.eye(3, dtype=np.float32)[y]
        for loss, target, metric, words in (
            (nn.BCEWithLogitsLoss(), labels, "balanced_accuracy", "several labels .* output is"),
            (nn.BCEWithLogitsLoss(), labels, "top_2_accuracy", "needs a score for each class"),
            (nn.CrossEntropyLoss(), y, "mae", "mae: output and target differ"),
        ):
            trainer = cr.Trainer(model, loss, optim.SGD(lr=0.1), metrics=[metric])
            with pytest.raises(cr.Error, match=words):
                trainer.fit(X, target)
            with pytest.raises(cr.Error, match=words):
                trainer.evaluate(X, target)
            assert trainer.global_step == 0
        same_state(model, before)


class TestRefused:
    def test_names(self):
        def message(name):
            with pytest.raises(cr.IndexError) as error:
                cr.Trainer(small_model(), nn.CrossEntropyLoss(), optim.SGD(), metrics=[name])
            return str(error.value)

        for given, meant in (
            ("acuracy", "accuracy"),
            ("Accuracy", "accuracy"),
            ("acc", "accuracy"),
            ("auc", "roc_auc"),
            ("f1-macro", "f1_macro"),
            ("top5", "top_5_accuracy"),
            ("top_k_accuracy", "top_5_accuracy"),
            ("rsme", "rmse"),
            ("logloss", "log_loss"),
            ("roc_auc_binary", "roc_auc"),
        ):
            assert message(given).startswith(
                f"metric: no metric of this name: '{given}'; did you mean {meant}? There are accuracy, "
            )
        assert "?" not in message("zzz")
        assert message("zzz").endswith("top_5_accuracy (any number), or a function of (output, target)")

    def test_messages(self):
        for call, error, words in (
            (lambda: metrics.f1([0.2], [1]), cr.ValueError, 'no class numbers: 0.2; write link="sigmoid"'),
            (lambda: metrics.f1([[0, 2]], [[1, 0]]), cr.ValueError, "are 0 or 1: 2; .* ravel"),
            (
                lambda: metrics.f1([0, 2], [1, 1], average="binary"),
                cr.ValueError,
                "more than the classes 0 and 1",
            ),
            (
                lambda: metrics.f1([0, 1], [1, 1], average="mean"),
                cr.ValueError,
                "unknown average: 'mean'; use auto, binary, macro, micro, weighted or samples",
            ),
            (lambda: metrics.f1([0, 1], [1, 1], average="samples"), cr.ValueError, "is for several labels"),
            (
                lambda: metrics.accuracy([1, 2], [1, 2, 3]),
                cr.ShapeError,
                r"output is \(2,\), target is \(3,\)",
            ),
            (lambda: metrics.accuracy([], []), cr.ShapeError, "accuracy: no samples"),
            (
                lambda: metrics.accuracy([[1, 0]], [2]),
                cr.IndexError,
                "a label is outside the classes: 2, the output has 2 classes; labels must be 0 ... 1",
            ),
            (lambda: metrics.roc_auc([0.1, 0.2], [0, 3]), cr.IndexError, "outside the two classes: 3"),
            (
                lambda: metrics.roc_auc([[1.0, 2.0, 3.0]], [0]),
                cr.ValueError,
                'no probabilities: they add up to 6 in row 0; write link="softmax"',
            ),
            (lambda: metrics.log_loss([1.5], [1]), cr.ValueError, "no probabilities: 1.5"),
            (
                lambda: metrics.accuracy([1, 0], [1, 0], sample_weight=[1, 2, 3]),
                cr.ShapeError,
                r"one number per sample: it is \(3,\)",
            ),
            (lambda: metrics.accuracy([1], [1], sample_weight=[-1]), cr.ValueError, "must be 0 or more: -1"),
            (lambda: metrics.accuracy([1], [1], link="soft"), cr.ValueError, "unknown link: 'soft'"),
            (lambda: metrics.top_k_accuracy([[1, 0]], [1], k=0), cr.ValueError, "k must be at least 1"),
            (lambda: metrics.balanced_accuracy([[1, 0]], [[1, 0]]), cr.ValueError, "several labels"),
            (lambda: metrics.confusion_matrix([[1, 0]], [[1, 0]]), cr.ValueError, "several labels"),
            (
                lambda: metrics.confusion_matrix([1], [1], normalize="rows"),
                cr.ValueError,
                'unknown way to normalize: \'rows\'; use "true", "pred" or "all"',
            ),
            (
                lambda: metrics.classification_report([0, 1], [1, 1], names=["a"]),
                cr.ValueError,
                "1 names, 2 classes",
            ),
        ):
            with pytest.raises(error, match=words):
                call()

    def test_direction(self):
        up = {"accuracy", "val_f1_macro", "roc_auc", "r2", "top_3_accuracy"}
        assert all(metrics.higher_is_better(name) is True for name in up)
        assert all(
            metrics.higher_is_better(name) is False for name in ("loss", "val_loss", "val_mae", "log_loss")
        )
        assert metrics.higher_is_better("mine") is None


class TestPicture:
    def test_it_is_written(self, tmp_path):
        pytest.importorskip("matplotlib")
        matrix = metrics.confusion_matrix([0, 2, 1, 1], [0, 2, 1, 2])
        path = tmp_path / "confusion.png"
        cr.plot_confusion_matrix(matrix, path, names=["ant", "bee", "cat"], title="insects")
        cr.plot_confusion_matrix(matrix / 2, tmp_path / "shares.png")
        assert path.read_bytes().startswith(b"\x89PNG")
        assert sorted(p.name for p in tmp_path.iterdir()) == ["confusion.png", "shares.png"]

    def test_refused(self, tmp_path):
        with pytest.raises(cr.ShapeError, match="as many rows as columns"):
            cr.plot_confusion_matrix([[1, 2]], tmp_path / "x.png")
        with pytest.raises(cr.ValueError, match="1 names for 2 classes"):
            cr.plot_confusion_matrix([[1, 2], [3, 4]], tmp_path / "x.png", names=["a"])


@pytest.mark.parametrize("link", ["softmax", "sigmoid"])
def test_scores_that_are_no_numbers_are_of_no_class(link):
    output = np.full((3, 2), np.nan) if link == "softmax" else np.full(3, np.nan)
    target = np.array([0, 0, 1])
    assert np.isnan(metrics.accuracy(output, target, link=link))
    assert np.isnan(metrics.f1(output, target, link=link))
    with pytest.raises(cr.ValueError, match="the output holds NaN, which is of no class"):
        metrics.confusion_matrix(output, target, link=link)


def test_weights_below_zero_are_refused_by_all():
    for metric in (metrics.mae, metrics.r2, metrics.accuracy):
        with pytest.raises(cr.ValueError, match="sample_weight must be 0 or more: -1 was given"):
            metric([1.0, 2.0], [0.0, 1.0], sample_weight=[-1, 2])
