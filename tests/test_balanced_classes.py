"""class_weight="balanced": scikit-learn's weights, of the rows trained on, in folds and beside samplers."""

from __future__ import annotations

import chainrule as cr
import numpy as np
from chainrule import data, nn, optim
from checks import same_state
from test_regularizers import LABELS, RNG, X, network, trainer_of


def balanced(labels):
    """scikit-learn's compute_class_weight("balanced", ...)."""
    classes, counts = np.unique(labels, return_counts=True)
    return {int(c): len(labels) / (len(classes) * n) for c, n in zip(classes, counts, strict=True)}


class TestBalancedClasses:
    def loss(self, **options):
        model = network(out=6)
        return model, cr.Trainer(model, nn.CrossEntropyLoss(), optim.Adam(lr=0.01)).fit(
            X, LABELS, epochs=2, **options
        )

    def test_the_weights_are_scikit_learns(self):
        assert balanced([0, 0, 0, 1, 5, 5]) == {0: 2 / 3, 1: 2.0, 5: 1.0}
        one, history = self.loss(class_weight="balanced")
        other, same = self.loss(class_weight=balanced(LABELS))
        same_state(one, other)
        assert history["loss"] == same["loss"]
        assert self.loss()[1]["loss"] != same["loss"]

    def test_of_the_rows_trained_on_and_with_sample_weights(self):
        w = RNG.uniform(size=64).astype("f4")
        given = {"validation_split": 0.3, "sample_weight": w, "seed": 3}
        one, _ = self.loss(class_weight="balanced", **given)
        other, _ = self.loss(class_weight=balanced(self.trained_on(**given)), **given)
        same_state(one, other)

    def test_labels_that_the_loss_ignores_do_not_count(self):
        labels = np.where(np.arange(64) % 5 == 0, -1, LABELS)
        models = []
        for weight in ("balanced", balanced(labels[labels >= 0])):
            model = network(out=6)
            loss = nn.CrossEntropyLoss(ignore_index=-1)
            cr.Trainer(model, loss, optim.Adam(lr=0.01)).fit(X, labels, class_weight=weight)
            models.append(model)
        same_state(*models)

    @staticmethod
    def trained_on(**given):
        """The labels of an epoch, as a metric sees them."""
        seen = []

        def rows(_, target):
            seen.append(np.array(target))
            return 0.0

        trainer = cr.Trainer(network(out=6), nn.CrossEntropyLoss(), optim.SGD(lr=0.0), metrics=[rows])
        trainer.fit(X, LABELS, **given)
        assert len(seen[0]) < 50
        return seen[0]

    def test_folds_have_their_own(self):
        recipe = dict(loss=nn.CrossEntropyLoss(), optimizer=optim.Adam(lr=0.01), epochs=2, k=3, seed=1)
        labels = np.where(np.arange(64) < 20, 0, LABELS % 2)
        result = cr.cross_validate(network(), X, labels, **recipe, class_weight="balanced", retrain=False)
        for score, (train, held_out) in zip(
            result.scores, cr.data.k_fold(64, k=3, stratify=labels, seed=1), strict=True
        ):
            model = network()
            model.init(1)
            trainer = cr.Trainer(model, nn.CrossEntropyLoss(), optim.Adam(lr=0.01), seed=1)
            trainer.fit(X[train], labels[train], epochs=2, class_weight=balanced(labels[train]))
            assert score == trainer.evaluate(X[held_out], labels[held_out])["loss"]
        found = cr.grid_search(
            network(), {"l1": [0.0, 0.5], "mixup": [0.0]}, X, labels, class_weight="balanced", **recipe
        )
        assert found.best_params["l1"] in (0.0, 0.5)
        assert len(set(found.means)) == 2
        cr.Ensemble.train(
            network(), X, labels, loss=nn.CrossEntropyLoss(), optimizer=optim.Adam(lr=0.01), seeds=2,
            class_weight="balanced", max_norm=1.0,
        )  # fmt: skip


def test_balanced_class_weights_beside_stratified_batches():
    options = {"epochs": 1, "batch_size": 16, "class_weight": "balanced", "progress": False}
    trainer = trainer_of(network(out=4), nn.CrossEntropyLoss())
    assert trainer.fit(X, LABELS, sampler=data.StratifiedSampler(LABELS), **options).epochs == 1
