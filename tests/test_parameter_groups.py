"""Parameter groups: by hand, by name, without decay on biases and norms; what keeps them, what is refused."""

from __future__ import annotations

import copy
import pickle
import re

import chainrule as cr
import numpy as np
import pytest
from chainrule import nn, optim, schedules

X = np.random.default_rng(0).normal(size=(48, 4)).astype(np.float32)
Y = np.stack([X[:, 0] * X[:, 1], X.sum(axis=1)], axis=1)
NAMES = ["0.weight", "0.bias", "1.weight", "1.bias", "3.weight", "3.bias"]
RULES = ["SGD", "Adagrad", "RMSprop", "Adam", "AdamW", "Adadelta", "Adamax", "NAdam", "RAdam", "Lion"]


def net(seed=0, dtype="float32"):
    return nn.Sequential(
        nn.Linear(4, 8, dtype=dtype),
        nn.LayerNorm(8, dtype=dtype),
        nn.Tanh(),
        nn.Linear(8, 2, dtype=dtype),
        seed=seed,
    )


def weights(model):
    return {name: p.numpy().copy() for name, p in model.named_parameters()}


def same(a, b):
    return a.keys() == b.keys() and all(np.array_equal(a[name], b[name]) for name in a)


def by_hand(model, opt, epochs=3):
    loss = nn.MSELoss()
    for _ in range(epochs):
        for i in range(0, 48, 16):
            opt.zero_grad()
            loss(model(X[i : i + 16]), Y[i : i + 16]).backward()
            opt.step()
    return weights(model)


def fitted(model, opt, epochs=3, **options):
    trainer = cr.Trainer(model, nn.MSELoss(), opt, **options)
    trainer.fit(X, Y, epochs=epochs, batch_size=16, shuffle=False, progress=False)
    return weights(model)


def test_the_names_here_are_the_models():
    assert [name for name, _ in net().named_parameters()] == NAMES


class TestWhatMoves:
    @pytest.mark.parametrize("rule", RULES)
    def test_each_group_moves_as_if_alone(self, rule):
        # Two optimizers, one of each part, are the judge.
        one, two = net(), net()
        kind = getattr(optim, rule)
        named = dict(one.named_parameters())
        first = kind([named["0.weight"], named["0.bias"]], lr=0.02, weight_decay=0.1)
        second = kind([named[name] for name in NAMES[2:]], lr=0.005)
        if rule == "AdamW":
            second = kind([named[name] for name in NAMES[2:]], lr=0.005, weight_decay=0.0)
        loss = nn.MSELoss()
        for _ in range(5):
            first.zero_grad()
            second.zero_grad()
            loss(one(X), Y).backward()
            first.step()
            second.step()
        opt = kind(
            [
                {"params": [two[0].weight, two[0].bias], "lr": 0.02, "weight_decay": 0.1},
                {"params": two[1].parameters() + two[3].parameters(), "weight_decay": 0.0},
            ],
            lr=0.005,
        )
        for _ in range(5):
            opt.zero_grad()
            loss(two(X), Y).backward()
            opt.step()
        assert same(weights(one), weights(two))

    @pytest.mark.parametrize("threads", [1, 2])
    @pytest.mark.parametrize("rule", RULES)
    def test_by_name_in_a_trainer_has_the_bits_of_lists_by_hand(self, rule, threads):
        before = cr.num_threads()
        cr.set_num_threads(threads)
        try:
            kind = getattr(optim, rule)
            one, two, three = net(), net(), net()
            a = fitted(
                one,
                kind(
                    lr=0.01,
                    weight_decay=0.1,
                    groups={
                        "*.bias": {"weight_decay": 0.0},
                        "0.*": {"lr": 0.002},
                        "1.weight": {"freeze": True},
                    },
                ),
            )
            named = dict(two.named_parameters())
            groups = [
                {"params": [named["0.weight"]], "lr": 0.002},
                {"params": [named["0.bias"]], "lr": 0.002, "weight_decay": 0.0},
                {"params": [named["1.weight"]], "freeze": True},
                {"params": [named["1.bias"], named["3.bias"]], "weight_decay": 0.0},
                {"params": [named["3.weight"]]},
            ]
            b = by_hand(two, kind(groups, lr=0.01, weight_decay=0.1))
            named = dict(three.named_parameters())
            parts = [["0.weight"], ["0.bias"], ["1.weight"], NAMES[3::2], ["3.weight"]]
            for group, own in zip(groups, parts, strict=True):
                group["params"] = [named[name] for name in own]
            opt = kind(groups, lr=0.01, weight_decay=0.1)
            step = cr.training_step(lambda x, y: nn.MSELoss()(three(x), y), opt)
            for _ in range(3):
                for i in range(0, 48, 16):
                    step(X[i : i + 16], Y[i : i + 16])
        finally:
            cr.set_num_threads(before)
        assert same(a, b)
        assert same(a, weights(three))
        assert np.array_equal(a["1.weight"], np.ones(8))

    def test_a_group_that_says_nothing_new_changes_no_bits(self):
        plain = fitted(net(), optim.AdamW(lr=0.01))
        assert same(plain, fitted(net(), optim.AdamW(lr=0.01, groups={"0.*": {"lr": 0.01}})))
        assert same(plain, fitted(net(), optim.AdamW(lr=0.02, groups={"*": {"lr_scale": 0.5}})))
        assert not same(plain, fitted(net(), optim.AdamW(lr=0.01, groups={"0.*": {"lr": 0.02}})))

    def test_no_decay_on_biases_and_norms(self):
        explicit = {"*.bias": {"weight_decay": 0.0}, "1.*": {"weight_decay": 0.0}}
        a = fitted(net(), optim.AdamW(lr=0.01, weight_decay=0.3, groups=explicit))
        b = fitted(net(), optim.AdamW(lr=0.01, weight_decay=0.3, decay_bias_and_norm=False))
        model = net()
        c = by_hand(
            model, optim.AdamW(model.parameters(), lr=0.01, weight_decay=0.3, decay_bias_and_norm=False)
        )
        assert same(a, b)
        assert same(a, c)
        assert not same(a, fitted(net(), optim.AdamW(lr=0.01, weight_decay=0.3)))

    def test_no_decay_wins_over_groups_and_splits_them(self):
        model = net()
        opt = optim.SGD(
            [{"params": model[0].parameters(), "weight_decay": 0.2}, {"params": model[3].parameters()}],
            lr=0.1,
            decay_bias_and_norm=False,
        )
        assert [(g.name, g.arguments["weight_decay"], len(g.parameters)) for g in opt.groups] == [
            ("0", 0.2, 1),
            ("0, no decay", 0.0, 1),
            ("1", 0.0, 2),  # there is nothing to leave out
        ]

    def test_later_patterns_refine_earlier_ones(self):
        opt = cr.Trainer(
            net(),
            nn.MSELoss(),
            optim.SGD(
                lr=0.1,
                groups={"*.bias": {"lr": 0.3, "momentum": 0.9}, ("0.*", "1.*"): {"lr": 0.2}, "1.w*": {}},
            ),
        ).optimizer
        found = {}
        for group in opt.groups:
            for p in group.parameters:
                found[p.shape, group.name] = group.lr, group.arguments["momentum"]
        assert found == {
            ((4, 8), "0.*, ..."): (0.2, 0.0),
            ((8,), "*.bias, 0.*, ..."): (0.2, 0.9),
            ((8,), "0.*, ..., 1.w*"): (0.2, 0.0),
            ((8, 2), ""): (0.1, 0.0),
            ((2,), "*.bias"): (0.3, 0.9),
        }

    @pytest.mark.parametrize(
        ("pattern", "names"),
        [
            ("*", NAMES),
            ("0.*", NAMES[:2]),
            ("*.bias", NAMES[1::2]),
            ("[01].bias", ["0.bias", "1.bias"]),
            ("[!01].*", NAMES[4:]),
            ("[0-2].b*s", ["0.bias", "1.bias"]),
            ("?.w*", NAMES[::2]),
            ("*.*", NAMES),
            ("0.weight", ["0.weight"]),
        ],
    )
    def test_patterns(self, pattern, names):
        from fnmatch import fnmatchcase

        recipe = optim.SGD(lr=0.1, groups={pattern: {"lr": 0.5}})
        model = net()
        opt = cr.Trainer(model, nn.MSELoss(), recipe).optimizer
        held = [p.numpy() for group in opt.groups if group.lr == 0.5 for p in group.parameters]
        moved = [
            name for name, p in model.named_parameters() if any(np.shares_memory(p.numpy(), h) for h in held)
        ]
        assert moved == names
        assert names == [name for name in NAMES if fnmatchcase(name, pattern)]

    def test_by_hand_with_names(self):
        model, other = net(), net()
        groups = {"*.bias": {"weight_decay": 0.0}}
        a = by_hand(model, optim.AdamW(model.named_parameters(), lr=0.01, weight_decay=0.2, groups=groups))
        assert same(a, fitted(other, optim.AdamW(lr=0.01, weight_decay=0.2, groups=groups)))


class TestFreezing:
    def test_frozen_is_requires_grad_false(self):
        model = net()
        start = weights(model)
        trainer = cr.Trainer(model, nn.MSELoss(), optim.AdamW(lr=0.01, groups={"0.*": {"freeze": True}}))
        assert [p.requires_grad for p in model.parameters()] == [False] * 2 + [True] * 4
        trainer.fit(X, Y, batch_size=16, progress=False)
        after = weights(model)
        assert [np.array_equal(start[name], after[name]) for name in NAMES] == [True] * 2 + [False] * 4
        model[0].requires_grad_(True)  # and unfreezing it needs nothing else
        trainer.fit(X, Y, batch_size=16, progress=False)
        assert not any(np.array_equal(after[name], value) for name, value in weights(model).items())

    def test_freeze_false_leaves_what_is_frozen(self):
        model = net()
        model[3].requires_grad_(False)
        cr.Trainer(model, nn.MSELoss(), optim.Adam(groups={"3.*": {"freeze": False}}))
        assert not model[3].weight.requires_grad

    def test_everything_frozen(self):
        trainer = cr.Trainer(net(), nn.MSELoss(), optim.Adam(groups={"*": {"freeze": True}}))
        with pytest.raises(cr.StateError, match="the loss reaches no parameter the optimizer may move"):
            trainer.fit(X, Y, progress=False)


class TestRates:
    def test_lr_of_groups(self):
        opt = cr.Trainer(
            net(),
            nn.MSELoss(),
            optim.SGD(
                lr=0.1, groups={"0.*": {"lr": 0.01}, "1.*": {"lr_scale": 0.5}, "3.*": {"momentum": 0.5}}
            ),
        ).optimizer
        assert [g.lr for g in opt.groups] == [0.01, 0.05, 0.1]
        opt.lr = 0.2  # groups without a rate of their own follow
        assert [g.lr for g in opt.groups] == [0.01, 0.1, 0.2]
        opt.groups[1].lr = 0.3
        opt.groups[2].lr = 0.4
        assert [g.lr for g in opt.groups] == [0.01, 0.3, 0.4]  # what was set, not scaled
        now = "{'0.*': {'lr': 0.01}, '1.*': {'lr': 0.3}, '3.*': {'lr': 0.4, 'momentum': 0.5}}"
        assert repr(opt) == f"SGD(lr=0.2, groups={now})"
        assert opt.groups[1].arguments["lr"] == 0.3
        assert "lr_scale" not in opt.groups[1].arguments
        assert opt.lr == 0.2
        opt.groups[1].lr *= 0.5
        assert opt.groups[1].lr == 0.15

    def test_setting_the_rate_moves_with_it(self):
        def train(opt, change):
            model = net()
            trainer = cr.Trainer(model, nn.MSELoss(), opt)
            change(trainer.optimizer)
            trainer.fit(X, Y, epochs=2, batch_size=16, progress=False)
            return weights(model)

        def both(opt):
            opt.groups[0].lr, opt.groups[1].lr = 0.02, 0.05

        a = train(optim.SGD(lr=0.1, groups={"0.*": {"momentum": 0.0}}), both)
        b = train(optim.SGD(lr=0.05, groups={"0.*": {"lr": 0.02}}), lambda opt: None)
        assert same(a, b)

    def test_schedules_of_groups(self):
        recipe = optim.SGD(
            lr=schedules.Linear(0.1, 0.0, 10),
            groups={"0.*": {"lr": schedules.Step(0.2, 1, per="epoch")}, "1.*": {"lr_scale": 0.1}},
        )
        model = net()
        trainer = cr.Trainer(model, nn.MSELoss(), recipe)
        seen = []

        class Watch(cr.callbacks.Callback):
            every = 1

            def on_batch_end(self, fit):
                seen.append([g.lr for g in fit.trainer.optimizer.groups])

        trainer.fit(X, Y, epochs=2, batch_size=24, callbacks=[Watch()], progress=False)
        assert np.allclose(
            seen, [[0.2, 0.009, 0.09], [0.2, 0.008, 0.08], [0.02, 0.007, 0.07], [0.02, 0.006, 0.06]]
        )

    def test_a_function_of_the_step(self):
        a = fitted(net(), optim.SGD(lr=0.1, groups={"0.*": {"lr": lambda t: 0.1 / (1 + t)}}))
        b = fitted(
            net(), optim.SGD(lr=0.1, groups={"0.*": {"lr": schedules.Schedule(lambda t: 0.1 / (1 + t))}})
        )
        assert same(a, b)

    def test_reduce_on_plateau_of_a_group(self):
        def trainer():
            plateau = schedules.ReduceOnPlateau(0.1, monitor="loss", patience=0, threshold=0.9)
            slow = schedules.ReduceOnPlateau(0.1, monitor="loss", patience=1, threshold=0.9)
            return cr.Trainer(net(), nn.MSELoss(), optim.SGD(lr=slow, groups={"0.*": {"lr": plateau}}))

        whole = trainer()
        whole.fit(X, Y, epochs=6, batch_size=16, progress=False)
        rates = [g.lr for g in whole.optimizer.groups]
        assert rates[0] < rates[1] < 0.1
        first, second = trainer(), trainer()
        first.fit(X, Y, epochs=3, batch_size=16, progress=False)
        assert "optimizer.groups.0.schedule" in first.state_dict()
        second.model.load_state_dict(first.model.state_dict())
        second.load_state_dict(first.state_dict())
        second.fit(X, Y, epochs=3, batch_size=16, progress=False)
        assert [g.lr for g in second.optimizer.groups] == rates
        assert same(weights(whole.model), weights(second.model))

    def test_an_unknown_monitor_of_a_group(self):
        opt = optim.SGD(lr=0.1, groups={"0.*": {"lr": schedules.ReduceOnPlateau(0.1, monitor="val_loss")}})
        with pytest.raises(cr.Error, match="val_loss"):
            cr.Trainer(net(), nn.MSELoss(), opt).fit(X, Y, progress=False)


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
