"""What keeps parameter groups: recipes, pickles, states, folds, candidates, and fits that diverge."""

from __future__ import annotations

import copy
import pickle

import chainrule as cr
import numpy as np
import pytest
from chainrule import nn, optim, schedules
from group_runs import X, Y, by_hand, fitted, net, same, weights

GROUPS = {
    "*.bias": {"weight_decay": 0.0, "lr": 0.002},
    ("0.*", "1.*"): {"lr_scale": 0.5, "betas": (0.8, 0.95)},
}


class TestKeeping:
    def test_a_recipe_is_copied_with_its_groups(self):
        recipe = optim.AdamW(lr=0.01, groups=GROUPS, decay_bias_and_norm=False)
        text = (
            "AdamW(lr=0.01, groups={'*.bias': {'weight_decay': 0.0, 'lr': 0.002}, "
            "('0.*', '1.*'): {'lr_scale': 0.5, 'betas': (0.8, 0.95)}}, decay_bias_and_norm=False)"
        )
        assert repr(recipe) == text
        for other in (
            copy.copy(recipe),
            copy.deepcopy(recipe),
            pickle.loads(pickle.dumps(recipe)),
            recipe.recipe(),
        ):
            assert repr(other) == text
            assert same(fitted(net(), recipe), fitted(net(), other))
        assert repr(cr.Trainer(net(), nn.MSELoss(), recipe).optimizer.recipe()) == text
        assert repr(eval(text, vars(optim))) == text

    @pytest.mark.parametrize("way", ["pickle", "state_dict"])
    @pytest.mark.parametrize("given", ["names", "lists", "changed"])
    def test_a_training_goes_on(self, way, given):
        def trainer():
            model = net()
            if given != "lists":
                return cr.Trainer(model, nn.MSELoss(), optim.AdamW(lr=0.01, groups=GROUPS), seed=3)
            groups = [
                {"params": model[0].parameters(), "lr": schedules.Linear(0.02, 0.0, 30)},
                {
                    "params": model[3].parameters() + model[1].parameters(),
                    "weight_decay": 0.2,
                    "lr_scale": 2.0,
                },
            ]
            opt = optim.AdamW(groups, lr=0.005, decay_bias_and_norm=False)
            return cr.Trainer(model, nn.MSELoss(), opt, seed=3)

        def change(t):
            if given == "changed":
                t.optimizer.groups[1].lr = 0.03

        whole, first = trainer(), trainer()
        for t in (whole, first):
            t.fit(X, Y, epochs=2, batch_size=16, progress=False)
            change(t)
        whole.fit(X, Y, epochs=2, batch_size=16, progress=False)
        if way == "pickle":
            second = pickle.loads(pickle.dumps(first))
            pickle.dumps(second)
        else:
            second = trainer()
            change(second)
            second.model.load_state_dict(first.model.state_dict())
            second.load_state_dict(first.state_dict())
        second.fit(X, Y, epochs=2, batch_size=16, progress=False)
        assert same(weights(whole.model), weights(second.model))
        assert [g.lr for g in whole.optimizer.groups] == [g.lr for g in second.optimizer.groups]

    def test_recipes_of_changed_rates_stay_frozen(self):
        groups = {"0.*": {"freeze": True}, "3.*": {"lr_scale": 0.5}}
        trainer = cr.Trainer(net(), nn.MSELoss(), optim.SGD(lr=0.1, groups=groups))
        trainer.optimizer.groups[-1].lr = 0.01
        again = cr.Trainer(net(), nn.MSELoss(), trainer.optimizer.recipe())
        assert [p.requires_grad for p in again.model.parameters()] == [False] * 2 + [True] * 4
        assert [g.lr for g in again.optimizer.groups] == [g.lr for g in trainer.optimizer.groups]

    def test_recipes_of_changed_rates_without_names(self):
        opt = optim.AdamW(net().parameters(), weight_decay=0.1, decay_bias_and_norm=False)
        opt.recipe()
        opt.groups[1].lr = 0.5
        with pytest.raises(cr.StateError) as refused:
            opt.recipe()
        assert str(refused.value) == (
            f"AdamW: the rate of a group was changed, and a recipe could not say whose: {opt}; pass "
            "model.named_parameters(), or hand it to a Trainer without parameters"
        )
        opt = optim.AdamW(net().named_parameters(), weight_decay=0.1, decay_bias_and_norm=False)
        opt.groups[1].lr = 0.5
        again = cr.Trainer(net(), nn.MSELoss(), opt.recipe()).optimizer
        assert [g.lr for g in again.groups] == [g.lr for g in opt.groups]

    def test_parameters_of_groups_by_name_are_refused(self):
        with pytest.raises(cr.ValueError) as refused:
            optim.SGD(groups={"*": {"params": net().parameters()}})
        assert str(refused.value) == (
            "SGD: a group by name has \"params\", but its parameters are those whose names fit '*'; write "
            '[{"params": [...], ...}] as the first argument'
        )

    def test_a_pickled_trainer_stays_unfrozen(self):
        trainer = cr.Trainer(net(), nn.MSELoss(), optim.Adam(groups={"0.*": {"freeze": True}}))
        trainer.model[0].bias.requires_grad_(True)
        for other in (pickle.loads(pickle.dumps(trainer)), copy.deepcopy(trainer)):
            assert [p.requires_grad for p in other.model.parameters()] == [False] + [True] * 5

    def test_reset(self):
        trainer = cr.Trainer(net(), nn.MSELoss(), optim.AdamW(lr=0.01, groups=GROUPS))
        start = trainer.model.state_dict()
        runs = []
        for _ in range(2):
            trainer.model.load_state_dict(start)
            trainer.reset()
            trainer.fit(X, Y, epochs=2, batch_size=16, progress=False)
            runs.append(weights(trainer.model))
        assert same(*runs)

    def test_momentum_of_one_group_is_its_state_alone(self):
        model = net()
        opt = optim.SGD(
            [{"params": model[0].parameters(), "momentum": 0.9}, {"params": model[3].parameters()}], lr=0.1
        )
        by_hand(model, opt, 1)
        assert sorted(opt.state_dict()) == ["0.momentum_buffer", "1.momentum_buffer", "step"]

    def test_cross_validation_search_and_ensembles(self):
        recipe = optim.AdamW(lr=0.01, groups={"0.*": {"freeze": True}})
        training = dict(loss=nn.MSELoss(), optimizer=recipe, epochs=1, progress=False)
        result = cr.cross_validate(net, X, Y, k=2, **training)
        for fold in result.models:
            assert not fold[0].weight.requires_grad
        assert not result.model[0].weight.requires_grad
        (one,) = cr.Ensemble.train(net, X, Y, seeds=1, **training).models
        assert not one[0].weight.requires_grad
        found = cr.grid_search(
            net,
            {"groups": [{"0.*": {"lr": 0.0}}, {"3.*": {"lr": 0.05}}], "decay_bias_and_norm": [True, False]},
            X,
            Y,
            k=2,
            **training,
        )
        assert len(found.parameters) == 4

    def test_a_diverging_fit_returns_to_finite_weights(self):
        opt = optim.SGD(lr=0.01, groups={"3.*": {"lr": schedules.Step(0.01, 3, gamma=1e30)}})
        trainer = cr.Trainer(net(), nn.MSELoss(), opt)
        history = trainer.fit(X, Y, epochs=5, batch_size=16, progress=False)
        assert "not finite" in history.stopped
        assert all(np.isfinite(value).all() for value in weights(trainer.model).values())

    def test_lr_find_leaves_rates_of_groups(self):
        trainer = cr.Trainer(net(), nn.MSELoss(), optim.Adam(lr=0.01, groups={"0.*": {"lr_scale": 0.1}}))
        trainer.lr_find(X, Y, steps=10)
        assert np.allclose([g.lr for g in trainer.optimizer.groups], [0.001, 0.01])
