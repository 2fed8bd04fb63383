"""Copies and pickles of Trainers, optimizers, losses,
histories and parameters: exact, or refused with a reason."""

import copy
import pickle

import chainrule as cr
import numpy as np
import pytest
from chainrule import nn, optim
from checks import same_state
from small import Block, focal, small_data, small_model


def pickled(value):
    return pickle.loads(pickle.dumps(value))


def largest(output, target):
    return float(output.max())


def network():
    return nn.Sequential(
        nn.Linear(4, 8), nn.BatchNorm1d(8), Block(8), nn.Dropout(0.3), nn.Linear(8, 3), seed=1
    )


COPIES = pytest.mark.parametrize("copied", [pickled, copy.deepcopy])


class TestTrainer:
    @COPIES
    @pytest.mark.parametrize(
        "loss", [nn.CrossEntropyLoss(label_smoothing=0.1), focal], ids=["built in", "own"]
    )
    def test_goes_on_bit_by_bit(self, copied, loss):
        X, y = small_data(60)
        optimizer = optim.Adam(lr=0.01, betas=(0.8, 0.99), weight_decay=0.1)
        trainer = cr.Trainer(network(), loss, optimizer, metrics=["accuracy", largest], clip_norm=1.0, seed=7)
        trainer.fit(X, y, epochs=2, batch_size=16)
        trainer.optimizer.lr = 0.02
        twin = copied(trainer)
        same_state(trainer.model, twin.model)
        same_state(trainer.state_dict(), twin.state_dict())
        assert repr(twin) == repr(trainer)
        assert str(twin.history) == str(trainer.history)
        ours, theirs = (t.fit(X, y, epochs=3, batch_size=16, validation_split=0.2) for t in (trainer, twin))
        assert ours.to_dict() == theirs.to_dict()
        same_state(trainer.model, twin.model)
        assert trainer.step(X, y) == twin.step(X, y)

    @COPIES
    def test_parts_of_a_model(self, copied):
        """What is frozen stays so, and the optimizer moves what it moved."""
        X, y = small_data()
        model = small_model()
        model[0].bias.requires_grad_(False)
        optimizer = optim.SGD([model[0].weight, model[0].bias], lr=0.1, momentum=0.9)
        trainer = cr.Trainer(model, nn.CrossEntropyLoss(), optimizer)
        trainer.fit(X, y)
        twin = copied(trainer)
        assert len(twin.optimizer.parameters) == 2
        for t in (trainer, twin):
            t.fit(X, y)
        same_state(trainer.model, twin.model)
        start = small_model().state_dict()
        assert np.array_equal(twin.model.state_dict()["2.weight"], start["2.weight"])
        assert np.array_equal(twin.model.state_dict()["0.bias"], start["0.bias"])

    def test_the_copy_is_its_own(self):
        X, y = small_data()
        trainer = cr.Trainer(small_model(), nn.CrossEntropyLoss(), optim.Adam())
        twin = copy.deepcopy(trainer)
        before = twin.model.state_dict()
        trainer.fit(X, y)
        same_state(before, twin.model.state_dict())
        assert twin.global_step == 0

    def test_state_dict(self):
        X, y = small_data()
        trainer = cr.Trainer(small_model(), nn.CrossEntropyLoss(), optim.Adam())
        trainer.fit(X, y, epochs=2)
        state = trainer.state_dict()
        assert {"seed", "global_step", "epochs", "optimizer.step", "optimizer.0.exp_avg"} < state.keys()
        twin = cr.Trainer(trainer.model.clone(), nn.CrossEntropyLoss(), optim.Adam(), seed=5)
        twin.load_state_dict(state)
        assert trainer.fit(X, y).to_dict() == twin.fit(X, y).to_dict()
        del state["epochs"]
        with pytest.raises(cr.ValueError, match="seed, global_step or epochs is missing; give what trainer"):
            twin.load_state_dict(state)

    def test_refusals(self):
        trainer = cr.Trainer(small_model(), nn.CrossEntropyLoss(), optim.Adam())
        with pytest.raises(
            cr.StateError, match=r"^copy: a Trainer is a handle; .* copy.deepcopy for one with a model"
        ):
            copy.copy(trainer)
        other = nn.Linear(2, 2)
        model = small_model()
        both = cr.Trainer(model, nn.CrossEntropyLoss(), optim.Adam(model.parameters() + other.parameters()))
        with pytest.raises(
            cr.StateError, match=r"moves a parameter of shape \(2, 2\), which its model does not have"
        ):
            pickle.dumps(both)


class TestOptimizers:
    @pytest.mark.parametrize("copied", [pickled, copy.deepcopy, copy.copy])
    @pytest.mark.parametrize(
        "recipe",
        [
            optim.SGD(lr=0.5, momentum=0.9, nesterov=True),
            optim.Adagrad(lr_decay=0.1, initial_accumulator_value=0.5),
            optim.RMSprop(alpha=0.9, centered=True, momentum=0.2),
            optim.Adam(betas=(0.5, 0.6), amsgrad=True),
            optim.AdamW(weight_decay=0.3, maximize=True),
        ],
        ids=lambda o: type(o).__name__,
    )
    def test_recipes(self, copied, recipe):
        twin = copied(recipe)
        assert type(twin) is type(recipe)
        assert repr(twin) == repr(recipe)
        twin.lr = 7.0
        assert recipe.lr != 7.0
        assert copied(twin).lr == 7.0

    def test_one_with_parameters_is_refused(self):
        optimizer = optim.Adam(small_model().parameters())
        for use, name in ((pickle.dumps, "pickle"), (copy.copy, "copy"), (copy.deepcopy, "deepcopy")):
            with pytest.raises(cr.StateError) as caught:
                use(optimizer)
            assert str(caught.value) == (
                f"{name}: Adam moves parameters, of which a copy would belong to no model; keep "
                "opt.state_dict() and load it into a new Adam(model.parameters()), "
                "or take a Trainer, which goes with its model"
            )


class TestRest:
    @pytest.mark.parametrize("copied", [pickled, copy.deepcopy, copy.copy])
    def test_losses(self, copied):
        output, target = cr.tensor([[0.1, 0.7], [0.4, -0.2]]), cr.tensor([1, 0])
        for loss in (
            nn.CrossEntropyLoss(weight=[1.0, 2.0], label_smoothing=0.1, ignore_index=5, reduction="sum"),
            nn.NLLLoss(reduction="none"),
            cr._core.Loss(focal),
        ):
            twin = copied(loss)
            assert repr(twin) == repr(loss)
            assert twin(output, target).numpy().tobytes() == loss(output, target).numpy().tobytes()
        for loss in (
            nn.MSELoss(half=True),
            nn.HuberLoss(delta=0.5),
            nn.L1Loss(),
            nn.BCEWithLogitsLoss(pos_weight=[2.0, 3.0]),
        ):
            assert repr(copied(loss)) == repr(loss)

    @pytest.mark.parametrize("copied", [pickled, copy.deepcopy, copy.copy])
    def test_history(self, copied):
        X, y = small_data()
        trainer = cr.Trainer(nn.Linear(4, 1), nn.MSELoss(), optim.SGD(lr=1e10), metrics=["mae"])
        history = trainer.fit(X, y.astype(np.float32), epochs=9, batch_size=40)
        assert history.epochs
        assert history.stopped
        twin = copied(history)
        assert (twin.to_dict(), twin.stopped, str(twin)) == (history.to_dict(), history.stopped, str(history))

    def test_parameters(self):
        model = small_model()
        weight = model[0].weight
        for twin in (pickled(weight), copy.deepcopy(weight)):
            assert type(twin) is nn.Parameter
            assert twin.requires_grad
            twin.copy_(np.zeros((4, 8)))
            assert weight.numpy().any()
        handle = copy.copy(weight)
        assert type(handle) is nn.Parameter
        handle.copy_(np.zeros((4, 8)))
        assert not weight.numpy().any()
