"""Parameter groups: by hand, by name, frozen, with rates of their own, without decay on biases and norms."""

from __future__ import annotations

import chainrule as cr
import numpy as np
import pytest
from chainrule import nn, optim, schedules
from group_runs import NAMES, RULES, X, Y, by_hand, fitted, net, same, weights


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
