"""MultiHead and MultiLoss: several targets train several heads."""

import pickle

import chainrule as cr
import numpy as np
import pytest
from chainrule import nn, optim


class TestHeads:
    def make(self):
        heads = nn.MultiHead({"kind": nn.Linear(8, 3), "size": nn.Linear(8, 2)})
        return nn.Sequential(nn.Linear(4, 8), nn.Tanh(), heads, seed=0)

    def data(self):
        big = np.random.default_rng(0).normal(size=(200, 4)).astype(np.float32)
        return big, big[:, :3].argmax(axis=1), big[:, 2:] * 2

    def test_several_targets_train_several_heads(self):
        X, kind, size = self.data()
        model = self.make()
        loss = nn.MultiLoss([nn.CrossEntropyLoss(), nn.MSELoss()], weights=[1, 0.5], columns=[1, 2])
        trainer = cr.Trainer(model, loss, optim.Adam(lr=0.02))
        history = trainer.fit(X, (kind, size), epochs=40, validation_data=(X[:50], (kind[:50], size[:50])))
        assert history["loss"][-1] < 0.2 * history["loss"][0]
        assert history["val_loss"][-1] < 0.2 * history["val_loss"][0]
        scores, sizes = model(X)
        for ours, whole in zip(model.eval()(X), model.predict(X, batch_size=64), strict=True):
            np.testing.assert_array_equal(ours.numpy(), whole)
        np.testing.assert_array_equal(trainer.predict(X)[1], sizes.numpy())
        assert (scores.numpy().argmax(axis=1) == kind).mean() > 0.95
        wanted = float(nn.CrossEntropyLoss()(scores, kind)) + 0.5 * float(nn.MSELoss()(sizes, size))
        assert trainer.evaluate(X, (kind, size))["loss"] == pytest.approx(wanted, rel=1e-5)
        assert trainer.step(X, (kind, size)) == pytest.approx(wanted, rel=1e-5)
        columns = np.column_stack([kind, size])
        assert trainer.evaluate(X, columns)["loss"] == trainer.evaluate(X, (kind, size))["loss"]

    def test_one_head_alone_is_trained_as_without_the_other(self):
        X, kind, size = self.data()
        both, alone = self.make(), self.make()
        loss = nn.MultiLoss([nn.CrossEntropyLoss(), nn.MSELoss()], weights=[1, 0], columns=[1, 2])
        cr.Trainer(both, loss, optim.SGD(lr=0.1)).fit(X, (kind, size), epochs=3, seed=5)
        only = nn.Loss(lambda outputs, y: nn.CrossEntropyLoss(reduction="none")(outputs[0], y))
        cr.Trainer(alone, only, optim.SGD(lr=0.1)).fit(X, kind, epochs=3, seed=5)
        np.testing.assert_allclose(both[0].weight.numpy(), alone[0].weight.numpy(), rtol=1e-4, atol=1e-6)

    def test_wrong_targets_change_nothing(self):
        X, kind, size = self.data()
        model = self.make()
        before = model.state_dict()
        loss = nn.MultiLoss([nn.CrossEntropyLoss(), nn.MSELoss()], columns=[1, 2])
        trainer = cr.Trainer(model, loss, optim.SGD(lr=0.1))
        for y, text in (
            ((kind + 1, size), "a label is outside the classes: label 3"),
            ((kind + 0.5, size), "class labels must be integers"),
            ((kind, size[:, 0]), r"the target must be \(samples, 3\)"),
            ((kind, size[:-1]), "numbers of samples differ"),
            (kind, r"the target must be \(samples, 3\)"),
        ):
            with pytest.raises(cr.Error, match=text):
                trainer.fit(X, y)
        for name, value in model.state_dict().items():
            np.testing.assert_array_equal(value, before[name])

    def test_functions_as_losses_and_metrics(self):
        X, kind, size = self.data()
        loss = nn.MultiLoss(
            [nn.CrossEntropyLoss(), lambda f, y: ((f - y) ** 2).mean(axis=-1)], columns=[1, 2]
        )

        def right(scores, y):
            return float((scores.argmax(axis=1) == y[:, 0]).mean())

        history = cr.Trainer(self.make(), loss, optim.Adam(lr=0.02), metrics=[right]).fit(
            X, (kind, size), epochs=30
        )
        assert history["right"][-1] > 0.9
        with pytest.raises(
            cr.ValueError, match="a built-in metric takes one output and one target: accuracy with Multi"
        ):
            cr.Trainer(self.make(), loss, optim.Adam(), metrics=["accuracy"])

    def test_a_trainer_with_it_is_pickled(self):
        X, kind, size = self.data()
        loss = nn.MultiLoss(
            [nn.CrossEntropyLoss(weight=[1.0, 2.0, 1.0]), nn.MSELoss()], weights=[1, 0.5], columns=[1, 2]
        )
        trainer = cr.Trainer(self.make(), loss, optim.Adam(lr=0.02))
        trainer.fit(X, (kind, size), epochs=2)
        other = pickle.loads(pickle.dumps(trainer))
        assert trainer.fit(X, (kind, size))["loss"] == other.fit(X, (kind, size))["loss"]
