"""Losses against values and gradients of PyTorch (losses.json), and NumPy formulas; what they refuse."""

import json
import pickle
from pathlib import Path

import chainrule as cr
import numpy as np
import pytest
from chainrule import nn, optim
from small import small_data, small_model

RECORDED = json.loads(Path(__file__).with_name("losses.json").read_text())
RNG = np.random.default_rng(3)
F = RNG.normal(size=(6, 4))
Y = RNG.normal(size=(6, 4))
LABELS = np.array([0, 3, 1, 2, 2, 0])


def close(a, b):
    np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-14)


def tensors(output):
    several = isinstance(output[0][0], list)
    made = [cr.tensor(np.array(part), requires_grad=True) for part in (output if several else [output])]
    return tuple(made), several


@pytest.mark.parametrize("case", RECORDED, ids=lambda c: f"{c['name']} {c['arguments']}")
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_values_and_gradients_are_pytorchs(case, reduction):
    output, several = tensors(case["output"])
    loss = getattr(nn, case["name"])(**case["arguments"], reduction=reduction)
    value = loss(output if several else output[0], np.array(case["target"]))
    close(value.numpy(), case[reduction])
    if reduction == "none":
        return
    value.backward()
    for part, wanted in zip(
        output, case[f"{reduction} gradient"] if several else [case[f"{reduction} gradient"]], strict=True
    ):
        close(part.grad.numpy(), wanted)


MADE = {
    "PoissonNLLLoss": (
        nn.PoissonNLLLoss(log_input=False, full=True, eps=1e-6),
        np.abs(F),
        np.floor(Y**2 * 3),
    ),
    "GaussianNLLLoss": (nn.GaussianNLLLoss(full=True, eps=1e-5), F, Y[:, :2]),
    "GaussianNLLLoss variance": (nn.GaussianNLLLoss(log_variance=False), np.abs(F) + 0.1, Y[:, :2]),
    "QuantileLoss": (nn.QuantileLoss([0.1, 0.4, 0.5, 0.95]), F, Y[:, 0]),
    "CosineSimilarityLoss": (nn.CosineSimilarityLoss(eps=1e-6), F, Y),
    "HingeLoss": (nn.HingeLoss(squared=True), F, (Y > 0).astype(int)),
    "MultiMarginLoss": (nn.MultiMarginLoss(p=2, margin=0.5, weight=[1.0, 2.0, 0.5, 1.5]), F, LABELS),
    "FocalLoss": (nn.FocalLoss(gamma=1.3, alpha=[1.0, 2.0, 0.5, 1.5]), F, LABELS),
    "BinaryFocalLoss": (nn.BinaryFocalLoss(gamma=0.7, alpha=0.6), F, (Y > 0).astype(int)),
    "KLDivLoss": (nn.KLDivLoss(), np.log(np.abs(F)), np.abs(Y) / np.abs(Y).sum(1, keepdims=True)),
    "MultiLoss": (
        nn.MultiLoss(
            [nn.CrossEntropyLoss(weight=[1.0, 2.0, 0.5, 1.5]), nn.L1Loss(), nn.MSELoss(half=True)],
            weights=[1, 0.5, 2],
            columns=[1, 1, 2],
        ),
        (F, F[:, :1], F[:, 2:]),
        (LABELS, Y[:, 0], Y[:, 1:3]),
    ),
}


class TestAll:
    @pytest.mark.parametrize("name", MADE)
    def test_gradients_are_those_of_differences(self, name):
        loss, output, target = MADE[name]
        output = output if isinstance(output, tuple) else (output,)
        cr.check_gradients(lambda *parts: loss(parts if len(parts) > 1 else parts[0], target), *output)

    @pytest.mark.parametrize("name", MADE)
    def test_text_and_copies(self, name):
        loss, output, target = MADE[name]
        other = pickle.loads(pickle.dumps(loss))
        assert repr(other) == repr(loss)
        assert float(other(output, target)) == float(loss(output, target))
        assert repr(eval(repr(loss), vars(nn))) == repr(loss)
        assert other.link == loss.link

    @pytest.mark.parametrize("name", MADE)
    def test_reductions_and_weights(self, name):
        loss, output, target = MADE[name]
        arguments = repr(loss).removesuffix(")") + ("" if repr(loss).endswith("()") else ", ")
        made = {r: eval(f"{arguments}reduction={r!r})", vars(nn)) for r in ("mean", "sum", "none")}
        each = made["none"](output, target).numpy()
        assert float(made["sum"](output, target)) == pytest.approx(each.sum(), rel=1e-12)
        assert float(made["mean"](output, target)) == pytest.approx(each.mean(), rel=1e-12)
        w = np.arange(1.0, 7.0)
        per_sample = each.reshape(6, -1).mean(axis=1)
        assert float(loss(output, target, w)) == pytest.approx(np.average(per_sample, weights=w), rel=1e-12)

    @pytest.mark.parametrize("name", MADE)
    def test_float32_takes_any_target_dtype(self, name):
        loss, output, target = MADE[name]
        single = (
            tuple(o.astype(np.float32) for o in output)
            if isinstance(output, tuple)
            else output.astype(np.float32)
        )
        value = loss(single, target)
        assert value.dtype == "float32"
        assert float(value) == pytest.approx(float(loss(output, target)), rel=1e-5)


class TestFormulas:
    def test_poisson_by_scipys_terms(self):
        f, y = 0.7, np.array([0.0, 1.0, 2.0, 9.0])
        each = nn.PoissonNLLLoss(reduction="none")(np.full(4, f), y).numpy()
        close(each, np.exp(f) - y * f)
        full = nn.PoissonNLLLoss(full=True, reduction="none")(np.full(4, f), y).numpy()
        close(full[:2], each[:2])
        close(full[2:], each[2:] + y[2:] * np.log(y[2:]) - y[2:] + 0.5 * np.log(2 * np.pi * y[2:]))

    def test_gaussian_forms_agree(self):
        mean, var, y = F[:, :2], np.exp(F[:, 2:]), Y[:, :2]
        wanted = 0.5 * (np.log(var) + (y - mean) ** 2 / var)
        close(nn.GaussianNLLLoss(reduction="none")(F, y).numpy(), wanted)
        close(nn.GaussianNLLLoss(reduction="none")((mean, F[:, 2:]), y).numpy(), wanted)
        by_value = nn.GaussianNLLLoss(log_variance=False, reduction="none")
        close(by_value(np.concatenate([mean, var], axis=1), y).numpy(), wanted)
        one = nn.GaussianNLLLoss(reduction="none")(F[:, :2], Y[:, 0])
        assert one.shape == (6, 1)

    def test_a_variance_below_eps_finds_its_way_back(self):
        f = cr.tensor([[0.0, -100.0]], requires_grad=True)
        loss = nn.GaussianNLLLoss(eps=0.5)(f, np.array([1.0]))
        assert float(loss) == pytest.approx(0.5 * (np.log(0.5) + 2), rel=1e-6)
        loss.backward()
        assert f.grad.numpy()[0, 1] == pytest.approx(0.5 * (1 - 2))  # up

    def test_quantiles(self):
        q = np.array([0.1, 0.5, 0.9])
        d = Y[:, :1] - F[:, :3]
        wanted = np.maximum(q * d, (q - 1) * d)
        for y in (Y[:, 0], Y[:, :1]):
            close(nn.QuantileLoss(reduction="none")(F[:, :3], y).numpy(), wanted)
        grid = nn.QuantileLoss([0.3, 0.6], reduction="none")(F.reshape(3, 4, 2), Y[:3])
        close(
            grid.numpy()[..., 1],
            np.maximum(
                0.6 * (Y[:3] - F.reshape(3, 4, 2)[..., 1]), -0.4 * (Y[:3] - F.reshape(3, 4, 2)[..., 1])
            ),
        )

    def test_hinge_takes_both_kinds_of_targets(self):
        y = (Y > 0).astype(np.int64)
        wanted = np.maximum(0, 1 - (2 * y - 1) * F)
        for target in (y, 2 * y - 1, y.astype(np.float32)):
            close(nn.HingeLoss(reduction="none")(F, target).numpy(), wanted)
        close(nn.HingeLoss(squared=True, reduction="none")(F, y).numpy(), wanted**2)

    def test_cosine(self):
        wanted = 1 - (F * Y).sum(1) / np.sqrt((F**2).sum(1) * (Y**2).sum(1))
        close(nn.CosineSimilarityLoss(reduction="none")(F, Y).numpy(), wanted)
        zero = cr.tensor([[0.0, 0.0]], requires_grad=True)
        loss = nn.CosineSimilarityLoss()(zero, np.array([[1.0, 0.0]]))
        loss.backward()
        assert float(loss) == 1
        assert np.isfinite(zero.grad.numpy()).all()

    def test_focal_is_cross_entropy_without_gamma_and_stable(self):
        close(float(nn.FocalLoss(gamma=0)(F, LABELS)), float(nn.CrossEntropyLoss()(F, LABELS)))
        b = (Y > 0).astype(int)
        close(float(nn.BinaryFocalLoss(gamma=0, alpha=None)(F, b)), float(nn.BCEWithLogitsLoss()(F, b)))
        for loss, target in (
            (nn.FocalLoss(gamma=0.5), [0, 1]),
            (nn.BinaryFocalLoss(gamma=0.5), [[1, 0], [0, 1]]),
        ):
            f = cr.tensor([[1e4, -1e4], [1e4, -1e4]], requires_grad=True)
            value = loss(f, np.array(target))
            value.backward()
            assert np.isfinite(float(value))
            assert np.isfinite(f.grad.numpy()).all()

    def test_divergence_of_what_is_equal_and_zero_log_zero(self):
        p = np.array([[0.2, 0.3, 0.5], [0.0, 1.0, 0.0]])
        with np.errstate(divide="ignore"):
            logp = np.maximum(np.log(p), -1000)
        close(nn.KLDivLoss(reduction="none")(logp, p).numpy(), [0, 0])
        close(nn.KLDivLoss(log_target=True, reduction="none")(np.log(p[:1]), np.log(p[:1])).numpy(), [0])

    def test_several_losses_are_their_sum(self):
        parts = [nn.CrossEntropyLoss(weight=[1.0, 2.0, 0.5, 1.5]), nn.MSELoss(), nn.QuantileLoss([0.2, 0.7])]
        outputs, targets = (F, F[:, :1], F[:, 2:]), (LABELS, Y[:, 0], Y[:, 1])
        each = [float(p(o, t)) for p, o, t in zip(parts, outputs, targets, strict=True)]
        loss = nn.MultiLoss(parts, weights=[1, 0.25, 3])
        close(float(loss(outputs, targets)), each[0] + 0.25 * each[1] + 3 * each[2])
        close(float(loss(outputs, np.stack(targets, axis=1))), float(loss(outputs, targets)))
        ignoring = nn.MultiLoss([nn.CrossEntropyLoss(ignore_index=-1), nn.MSELoss()])
        some = np.where(LABELS == 2, -1, LABELS)
        close(
            float(ignoring(outputs[:2], (some, Y[:, 0]))),
            float(nn.CrossEntropyLoss(ignore_index=-1)(F, some)) + each[1],
        )


class TestTraining:
    def test_quantiles_and_gaussians_find_the_noise(self):
        rng = np.random.default_rng(0)
        X = rng.uniform(-1, 1, (4000, 1)).astype(np.float32)
        y = (2 * X[:, 0] + 0.5 * rng.normal(size=4000)).astype(np.float32)
        model = nn.Linear(1, 3, seed=0)
        cr.Trainer(model, nn.QuantileLoss(), optim.Adam(lr=0.02)).fit(X, y, epochs=20, batch_size=200)
        below = (y[:, None] < model.predict(X)).mean(axis=0)
        np.testing.assert_allclose(below, [0.1, 0.5, 0.9], atol=0.02)
        model = nn.Linear(1, 2, seed=0)
        cr.Trainer(model, nn.GaussianNLLLoss(), optim.Adam(lr=0.02)).fit(X, y, epochs=20, batch_size=200)
        assert np.exp(model.predict(X)[:, 1] / 2).mean() == pytest.approx(0.5, abs=0.03)

    def test_scores_have_classes_but_no_probabilities(self, tmp_path):
        X, _ = small_data()
        side = X[:, 0] > 0
        model = nn.Linear(4, 1, seed=0)
        trainer = cr.Trainer(model, nn.HingeLoss(), optim.Adam(lr=0.05), metrics=["accuracy"])
        history = trainer.fit(X, np.where(side, 1, -1), epochs=80)
        assert history["accuracy"][-1] > 0.95
        assert (model.predict(X, output="class") == side).mean() == history["accuracy"][-1]
        assert trainer.evaluate(X, side.astype(int))["accuracy"] == history["accuracy"][-1]
        with pytest.raises(cr.StateError, match="the model has scores, no probabilities"):
            model.predict(X, output="proba")
        model.save(tmp_path / "m.safetensors")
        np.testing.assert_array_equal(
            cr.load(tmp_path / "m.safetensors").predict(X, output="class"), model.predict(X, output="class")
        )

    @pytest.mark.parametrize("loss", [nn.MultiMarginLoss(), nn.FocalLoss(), nn.FocalLoss(gamma=0.5)])
    def test_losses_of_classes_train(self, loss):
        X, _ = small_data(60)
        y = X[:, :3].argmax(axis=1)
        trainer = cr.Trainer(small_model(), loss, optim.Adam(lr=0.05), metrics=["accuracy"])
        history = trainer.fit(X, y, epochs=60)
        assert history["accuracy"][-1] > 0.9
        with pytest.raises(cr.IndexError, match="a label is outside the classes"):
            trainer.fit(X, y + 1)

    def test_targets_of_the_wrong_kind_train_nothing(self):
        X, _ = small_data()
        model = small_model()
        before = model.state_dict()
        for loss, y in (
            (nn.PoissonNLLLoss(), -np.ones((40, 3))),
            (nn.BinaryFocalLoss(), np.full((40, 3), 0.3)),
            (nn.KLDivLoss(), np.ones((40, 3))),
        ):
            with pytest.raises(cr.ValueError, match="target"):
                cr.Trainer(model, loss, optim.Adam()).fit(X, y)
        for name, value in model.state_dict().items():
            np.testing.assert_array_equal(value, before[name])
