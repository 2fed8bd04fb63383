"""Losses as users call them, links and metrics, optimizers."""

import chainrule as cr
import numpy as np
import pytest
from chainrule import nn, optim
from small import equal_states, focal, small_data, small_model


class TestLosses:
    def test_names_and_reductions(self):
        for name in (
            "MSELoss",
            "L1Loss",
            "HuberLoss",
            "BCEWithLogitsLoss",
            "BCELoss",
            "NLLLoss",
            "CrossEntropyLoss",
        ):
            assert "\n" not in repr(getattr(nn, name)())
        out, y = np.array([[1.0], [3.0]]), np.array([0.0, 0.0])
        assert float(nn.MSELoss()(out, y)) == 5
        assert float(nn.MSELoss(half=True)(out, y)) == 2.5
        assert float(nn.MSELoss(reduction="sum")(out, y)) == 10
        assert nn.MSELoss(reduction="none")(out, y).numpy().ravel().tolist() == [1, 9]
        with pytest.raises(cr.ValueError, match="reduction"):
            nn.MSELoss(reduction="average")

    def test_nothing_is_broadcast(self):
        with pytest.raises(cr.ShapeError):
            nn.MSELoss()(np.zeros((3, 1)), np.zeros((1, 3)))
        with pytest.raises(cr.ShapeError):
            nn.MSELoss()(np.zeros((3, 2)), np.zeros(3))

    def test_weighted_mean(self):
        loss = nn.L1Loss()(np.array([1.0, 10.0]), np.zeros(2), sample_weight=np.array([3.0, 1.0]))
        assert float(loss) == pytest.approx(13 / 4)

    def test_custom_losses_and_weights(self):
        X, y = small_data()
        w = np.ones(len(X), np.float32)
        cr.Trainer(small_model(), focal, optim.SGD(lr=0.1)).fit(X, y, sample_weight=w)
        scalar = cr.Trainer(small_model(), lambda out, t: focal(out, t).mean(), optim.SGD(lr=0.1))
        scalar.fit(X, y)
        with pytest.raises(cr.Error, match="per sample"):
            scalar.fit(X, y, sample_weight=w)

    def test_what_is_no_loss(self):
        with pytest.raises(cr.DTypeError, match=r"got a class; write Linear\(\)"):
            cr.Trainer(small_model(), nn.Linear, optim.Adam())
        with pytest.raises(cr.DTypeError, match="got str"):
            cr.Trainer(small_model(), "mse", optim.Adam())
        X, y = small_data()
        with pytest.raises(cr.ValueError, match="returned None"):
            cr.Trainer(small_model(), lambda out, t: None, optim.Adam()).fit(X, y)

    def test_epoch_losses_average_over_samples(self):
        X, y = small_data(10)
        trainer = cr.Trainer(small_model(), nn.CrossEntropyLoss(), optim.SGD(lr=0.0))
        a = trainer.fit(X, y, batch_size=10)["loss"][0]
        b = trainer.fit(X, y, batch_size=7)["loss"][0]
        assert a == pytest.approx(b, rel=1e-5)
        assert trainer.evaluate(X, y)["loss"] == pytest.approx(a, rel=1e-5)


class TestPrediction:
    def test_links(self, tmp_path):
        X, y = small_data()
        model = small_model()
        cr.Trainer(model, nn.CrossEntropyLoss(), optim.SGD(lr=0.1)).fit(X, y)
        raw, proba, picked = (model.predict(X, output=kind) for kind in ("raw", "proba", "class"))
        np.testing.assert_allclose(proba.sum(axis=1), 1, rtol=1e-5)
        np.testing.assert_array_equal(picked, raw.argmax(axis=1))
        model.save(tmp_path / "m.safetensors")
        np.testing.assert_array_equal(cr.load(tmp_path / "m.safetensors").predict(X, output="proba"), proba)

    def test_any_batch_size_gives_the_same_bits(self):
        X, _ = small_data(100)
        model = small_model()
        whole = model.predict(X)
        np.testing.assert_array_equal(model.predict(X, batch_size=7), whole)
        np.testing.assert_array_equal(model.predict(X[3:4]), whole[3:4])
        np.testing.assert_array_equal(model.eval()(X).numpy(), whole)

    def test_metric_functions_get_whole_sets(self):
        X, y = small_data()
        shapes = []

        def hits(output, target):
            shapes.append((type(output), output.shape, target.shape))
            return float((output.argmax(axis=1) == target).mean())

        trainer = cr.Trainer(
            small_model(), nn.CrossEntropyLoss(), optim.SGD(lr=0.1), metrics=["accuracy", hits]
        )
        result = trainer.evaluate(X, y, batch_size=16)
        assert result["hits"] == result["accuracy"]
        assert shapes == [(np.ndarray, (40, 3), (40,))]
        with pytest.raises(cr.ValueError, match="number"):
            cr.Trainer(
                small_model(), nn.CrossEntropyLoss(), optim.SGD(), metrics=[lambda o, t: "x"]
            ).evaluate(X, y)
        with pytest.raises(cr.DTypeError, match="list"):
            cr.Trainer(small_model(), nn.CrossEntropyLoss(), optim.SGD(), metrics="accuracy")


class TestOptimizers:
    def test_a_rate_in_the_wrong_place(self):
        with pytest.raises(cr.DTypeError, match=r"write lr=0\.001"):
            optim.Adam(1e-3)
        with pytest.raises(cr.DTypeError, match=r"model\.parameters\(\)"):
            optim.Adam(small_model())
        with pytest.raises(cr.DTypeError, match="requires_grad"):
            optim.SGD([np.zeros(3)])

    @pytest.mark.parametrize("name", ["SGD", "Adagrad", "RMSprop", "Adam", "AdamW"])
    def test_recipes_are_copied(self, name):
        recipe = getattr(optim, name)(lr=0.05)
        X, y = small_data()
        a, b = (cr.Trainer(small_model(), nn.CrossEntropyLoss(), recipe) for _ in range(2))
        losses = [t.fit(X, y, epochs=3)["loss"] for t in (a, b)]
        assert losses[0] == losses[1]
        assert a.optimizer.step_count == 6
        assert recipe.step_count == 0
        a.optimizer.lr = 0.5
        assert recipe.lr == b.optimizer.lr == 0.05
        assert name in repr(recipe)
        assert "lr=0.05" in repr(recipe)

    def test_state_dict_continues(self):
        X, y = small_data()

        def steps(opt, model, n):
            for _ in range(n):
                opt.zero_grad()
                nn.CrossEntropyLoss()(model(X), y).backward()
                opt.step()

        a, b = small_model(), small_model()
        first = optim.Adam(a.parameters(), lr=0.01)
        steps(first, a, 6)
        half = optim.Adam(b.parameters(), lr=0.01)
        steps(half, b, 3)
        rest = optim.Adam(b.parameters(), lr=0.01)
        rest.load_state_dict(half.state_dict())
        steps(rest, b, 3)
        assert equal_states(a, b)

    def test_pytorch_names(self):
        opt = optim.Adam(
            [cr.tensor([1.0], requires_grad=True)], lr=1.0, betas=(0.8, 0.9), eps=1e-6, weight_decay=0.1
        )
        assert "betas" in repr(opt)
