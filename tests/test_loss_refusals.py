"""What losses refuse: arguments, outputs and targets, each with a message that names it."""

import chainrule as cr
import numpy as np
import pytest
from chainrule import nn

RNG = np.random.default_rng(3)
F = RNG.normal(size=(6, 4))
Y = RNG.normal(size=(6, 4))
LABELS = np.array([0, 3, 1, 2, 2, 0])


class TestRefused:
    @pytest.mark.parametrize(
        ("make", "text"),
        [
            (lambda: nn.PoissonNLLLoss(eps=0), "PoissonNLLLoss: eps must be finite and > 0: eps is 0.0"),
            (lambda: nn.GaussianNLLLoss(eps=-1), "GaussianNLLLoss: eps must be finite and > 0: eps is -1.0"),
            (
                lambda: nn.QuantileLoss([]),
                "QuantileLoss: quantiles is empty; give some, e.g. [0.1, 0.5, 0.9]",
            ),
            (
                lambda: nn.QuantileLoss([0.5, 1.0]),
                "QuantileLoss: a quantile must lie between 0 and 1: 1.0 was given",
            ),
            (
                lambda: nn.CosineSimilarityLoss(eps=0),
                "CosineSimilarityLoss: eps must be finite and > 0: eps is 0.0",
            ),
            (lambda: nn.MultiMarginLoss(p=3), "MultiMarginLoss: p must be 1 or 2: p is 3"),
            (
                lambda: nn.MultiMarginLoss(margin=0),
                "MultiMarginLoss: margin must be finite and > 0: margin is 0.0",
            ),
            (lambda: nn.FocalLoss(gamma=-1), "FocalLoss: gamma must be finite and >= 0: gamma is -1.0"),
            (
                lambda: nn.BinaryFocalLoss(alpha=2),
                "BinaryFocalLoss: alpha must lie in [0, 1]: alpha is 2.0; it is the "
                "weight of class 1, 1 - alpha that of class 0; -1 weights neither",
            ),
            (
                lambda: nn.KLDivLoss(reduction="batchmean"),
                "KLDivLoss: unknown reduction: 'batchmean'; \"mean\" is it: one "
                "divergence per sample, then their mean",
            ),
            (
                lambda: nn.HingeLoss(reduction="avg"),
                'HingeLoss: unknown reduction: \'avg\'; use "mean", "sum" or "none"',
            ),
            (
                lambda: nn.MultiLoss([nn.MSELoss()]),
                "MultiLoss: needs two losses at least: 1 were given; one output takes its loss as it is",
            ),
            (
                lambda: nn.MultiLoss([nn.MSELoss(), nn.L1Loss()], weights=[1]),
                "MultiLoss: weights must hold one number per loss: 1 numbers for 2 losses",
            ),
            (
                lambda: nn.MultiLoss([nn.MSELoss(), nn.L1Loss()], weights=[1, -1]),
                "MultiLoss: weights must be finite and >= 0: -1.0 was given",
            ),
            (
                lambda: nn.MultiLoss([nn.MSELoss(), nn.L1Loss()], columns=[1, 0]),
                "MultiLoss: columns must be 1 or more: 0 was given",
            ),
            (
                lambda: nn.MultiLoss([nn.MSELoss(), nn.L1Loss(reduction="sum")]),
                "MultiLoss: a loss has a reduction of its "
                "own: loss 1 is L1Loss(reduction='sum'); give reduction= to MultiLoss",
            ),
        ],
    )
    def test_arguments(self, make, text):
        with pytest.raises(cr.ValueError) as error:
            make()
        assert str(error.value) == text

    def test_unknown_arguments(self):
        with pytest.raises(cr.DTypeError, match="losses must be a list of losses, got "):
            nn.MultiLoss(nn.MSELoss())
        with pytest.raises(TypeError, match="gama"):
            nn.FocalLoss(gama=2)

    @pytest.mark.parametrize(
        ("loss", "output", "target", "error", "text"),
        [
            (nn.PoissonNLLLoss(), F, Y, cr.ValueError, "PoissonNLLLoss: a target is no count: "),
            (
                nn.GaussianNLLLoss(),
                F[:, :3],
                Y[:, :1],
                cr.ShapeError,
                "GaussianNLLLoss: the output must hold a mean and a "
                "variance for each target: output is (6, 3); give the last layer two outputs per target: "
                "all means, then all "
                "variances",
            ),
            (
                nn.GaussianNLLLoss(),
                (F, F[:, :2]),
                Y,
                cr.ShapeError,
                "GaussianNLLLoss: mean and variance differ in shape",
            ),
            (
                nn.GaussianNLLLoss(),
                (F, F, F),
                Y,
                cr.ValueError,
                "GaussianNLLLoss: takes one output, or two: mean and variance: the model gave 3",
            ),
            (
                nn.GaussianNLLLoss(),
                F,
                Y,
                cr.ShapeError,
                "GaussianNLLLoss: output and target differ in shape: output is (6, 2), target is (6, 4)",
            ),
            (
                nn.QuantileLoss(),
                F,
                Y[:, 0],
                cr.ShapeError,
                "QuantileLoss: the last axis of the output must hold one value "
                "per quantile: output is (6, 4), there are 3 quantiles; give the last layer 3 outputs",
            ),
            (
                nn.QuantileLoss(),
                F[:, :3],
                Y[:, :3],
                cr.ShapeError,
                "QuantileLoss: output and target differ in shape: output is (6, 1), target is (6, 3)",
            ),
            (
                nn.CosineSimilarityLoss(),
                F,
                Y[:, :3],
                cr.ShapeError,
                "CosineSimilarityLoss: output and target differ",
            ),
            (
                nn.CosineSimilarityLoss(),
                F[:, :1],
                Y[:, :1],
                cr.ShapeError,
                "CosineSimilarityLoss: a direction has two "
                "components at least: output is (6, 1); put the components on the last axis",
            ),
            (
                nn.HingeLoss(),
                F,
                np.full((6, 4), 2),
                cr.ValueError,
                "HingeLoss: a target is no side: 2 at position 0; use 0 and 1, or -1 and 1",
            ),
            (
                nn.HingeLoss(),
                F[:2, 0],
                np.array([0, -1]),
                cr.ValueError,
                "HingeLoss: targets hold both 0 and -1; use 0 and 1, or -1 and 1",
            ),
            (nn.HingeLoss(), F, LABELS // 2, cr.ShapeError, "HingeLoss: output and target differ in shape"),
            (
                nn.MultiMarginLoss(weight=[1.0, 2.0]),
                F,
                LABELS,
                cr.ShapeError,
                "MultiMarginLoss: weight must hold one number per class: 2 numbers for 4 classes",
            ),
            (
                nn.MultiMarginLoss(),
                F,
                LABELS + 1,
                cr.IndexError,
                "MultiMarginLoss: a label is outside the classes: label 4 at position 1, 4 classes",
            ),
            (
                nn.FocalLoss(alpha=[1.0]),
                F,
                LABELS,
                cr.ShapeError,
                "FocalLoss: alpha must hold one number per class: 1 numbers for 4 classes",
            ),
            (
                nn.FocalLoss(),
                F[:, :1],
                LABELS * 0,
                cr.ShapeError,
                "FocalLoss: needs two classes at least: output is (6, 1);"
                " use BinaryFocalLoss for one logit per sample",
            ),
            (
                nn.FocalLoss(),
                F,
                LABELS.astype(float),
                cr.DTypeError,
                "FocalLoss: class labels must be integers",
            ),
            (
                nn.BinaryFocalLoss(),
                F,
                np.full((6, 4), 0.5),
                cr.ValueError,
                "BinaryFocalLoss: a target is neither 0 nor 1: "
                "0.5 at position 0; use FocalLoss for more classes, BCEWithLogitsLoss for probabilities",
            ),
            (nn.KLDivLoss(), F, Y, cr.ValueError, "KLDivLoss: a target is no probability distribution"),
            (
                nn.KLDivLoss(log_target=True),
                F,
                Y,
                cr.ValueError,
                "KLDivLoss: a target is no probability distribution",
            ),
            (
                nn.MultiLoss([nn.MSELoss(), nn.L1Loss()]),
                (F[:, 0], F[:, 1]),
                Y,
                cr.ShapeError,
                "MultiLoss: the target must "
                "be (samples, 2), the columns of all losses: target is (6, 4); give a tuple (y1, y2) with "
                "one target per "
                "loss, and columns=[...] for those of several columns",
            ),
            (
                nn.MultiLoss([nn.MSELoss(), nn.L1Loss()]),
                F[:, 0],
                Y[:, :2],
                cr.ValueError,
                "MultiLoss: needs one output per "
                "loss: the model gave 1, there are 2 losses; end the model with nn.MultiHead",
            ),
            (
                nn.MultiLoss([nn.MSELoss(), nn.L1Loss()]),
                (F[:, 0], F[:, 1]),
                (Y[:, 0], Y[:3, 1]),
                cr.ShapeError,
                "targets: numbers of samples differ: target 1 is (3,), target 0 is (6,)",
            ),
            (
                nn.MultiLoss([nn.CrossEntropyLoss(), nn.L1Loss()]),
                (F, F[:, 1]),
                (Y[:, 0], Y[:, 1]),
                cr.ValueError,
                "CrossEntropyLoss: class labels must be integers",
            ),
        ],
    )
    def test_outputs_and_targets(self, loss, output, target, error, text):
        with pytest.raises(error) as raised:
            loss(output, target)
        assert str(raised.value).startswith(text)


def test_every_part_of_a_multi_loss_checks_its_targets():
    outputs = (cr.tensor(np.zeros((2, 1), "f4")),) * 2
    loss = nn.MultiLoss([nn.MSELoss(), nn.BCEWithLogitsLoss()])
    with pytest.raises(cr.ValueError, match="not between 0 and 1"):
        loss(outputs, cr.tensor(np.array([[0.0, 5.0], [0.0, 5.0]], "f4")))
