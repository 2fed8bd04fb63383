"""Parameter groups that are refused, and in which words."""

from __future__ import annotations

import re

import chainrule as cr
import pytest
from chainrule import nn, optim
from group_runs import NAMES, net


class TestRefusals:
    @pytest.mark.parametrize(
        ("make", "message"),
        [
            (
                lambda: optim.AdamW(groups={"*.bias": {"weight_decy": 0.0}}),
                "AdamW: a group has an argument that the optimizer does not know: weight_decy=0.0; "
                "did you mean weight_decay?",
            ),
            (
                lambda: optim.SGD(groups={"*.bias": {"q": 0.0}}),
                "SGD: a group has an argument that the optimizer does not know: q=0.0; known are "
                "lr_scale, freeze, lr, momentum, dampening, weight_decay, nesterov, maximize",
            ),
            (lambda: optim.SGD(groups={"*": {"lr": -1.0}}), "SGD: lr must be finite and >= 0: lr is -1.0"),
            (
                lambda: optim.SGD(groups={"*": {"lr_scale": -1}}),
                "SGD: lr_scale must be finite and >= 0: lr_scale is -1.0",
            ),
            (
                lambda: optim.SGD(groups={"*": {"freeze": 1}}),
                "SGD: freeze has the wrong type: 1.0; it must be True or False",
            ),
            (
                lambda: optim.Adam(groups={"*": {"betas": 0.9}}),
                "Adam: betas has the wrong type: 0.9; it must be a list of numbers",
            ),
            (
                lambda: optim.SGD(groups={(): {"lr": 0.1}}),
                'SGD: a group has no pattern of names; write one, for instance "*.bias"',
            ),
            (
                lambda: cr.Trainer(net(), nn.MSELoss(), optim.SGD(groups={"*.biass": {"lr": 0.1}})),
                "SGD: no parameter has a name that a group wants: '*.biass'; did you mean bias? there are "
                + ", ".join(NAMES),
            ),
            (
                lambda: cr.Trainer(net(), nn.MSELoss(), optim.SGD(groups={"encoder.*": {"lr": 0.1}})),
                "SGD: no parameter has a name that a group wants: 'encoder.*'; there are " + ", ".join(NAMES),
            ),
            (
                lambda: optim.SGD(net().parameters(), groups={"*": {"lr": 0.1}}),
                "SGD: groups by name need the names of the parameters: '*'; hand the optimizer to a "
                "Trainer without parameters, or pass model.named_parameters()",
            ),
            (
                lambda: optim.SGD([{"params": net().parameters()}], groups={"*": {"lr": 0.1}}),
                "SGD: groups are given by name and as lists of parameters; give one of them",
            ),
            (lambda: optim.SGD([{"params": []}]), "SGD: a group has no parameters: group 0"),
            (
                lambda: optim.LBFGS([{"params": net().parameters()}]),
                "LBFGS: moves all parameters together, groups do not go with it; write model.parameters()",
            ),
            (
                lambda: optim.SGD([{"params": net().parameters()}]).recipe(),
                "SGD: groups of parameters make no recipe: SGD(lr=0.001, 1 groups); give groups by name: "
                'groups={"*.bias": {"weight_decay": 0.0}}',
            ),
        ],
    )
    def test_values(self, make, message):
        with pytest.raises(cr.Error, match="^" + re.escape(message) + "$"):
            make()

    @pytest.mark.parametrize(
        ("make", "message"),
        [
            (lambda: optim.SGD([{"lr": 1.0}]), 'every group is a dict with "params", got dict'),
            (lambda: optim.SGD(groups=["*.bias"]), "groups is a dict of patterns, got list"),
            (lambda: optim.SGD(groups={"*.bias": 0.0}), "a group is a dict of arguments, got float"),
            (lambda: optim.SGD(groups={1: {}}), "groups are told by patterns of names, got int"),
            (lambda: optim.SGD(groups={"*": {"lr": None}}), "lr cannot be NoneType in a group"),
            (
                lambda: optim.SGD([*net().parameters(), {"params": []}]),
                "parameters are given alone or in groups, not both",
            ),
        ],
    )
    def test_types(self, make, message):
        with pytest.raises(cr.DTypeError, match=re.escape(message)):
            make()

    def test_a_parameter_in_two_groups(self):
        model = net()
        with pytest.raises(cr.ValueError, match="a parameter is given twice"):
            optim.SGD([{"params": model.parameters()}, {"params": model[0].parameters()}])

    def test_nothing_is_frozen_by_what_is_refused(self):
        model = net()
        with pytest.raises(cr.ValueError, match="biass"):
            cr.Trainer(model, nn.MSELoss(), optim.SGD(groups={"0.*": {"freeze": True}, "*.biass": {}}))
        assert all(p.requires_grad for p in model.parameters())
