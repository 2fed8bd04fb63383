"""Trainer(precision="bf16"): what it asks for and what it trains; without AMX, that it is refused."""

import os
import pickle
import re
import subprocess
import sys

import chainrule as cr
import numpy as np
import pytest
from chainrule import nn, optim


def trainer(model=None, **options):
    model = model or nn.MLP([64, 128, 64, 10], seed=0)
    return cr.Trainer(model, nn.CrossEntropyLoss(), optim.Adam(lr=2e-3), **options)


def refusal(**environment):
    """What a fresh process says to precision="bf16", or "trained"."""
    program = """
import chainrule as cr
try:
    t = cr.Trainer(cr.nn.Linear(2, 1), cr.nn.MSELoss(), cr.optim.SGD(lr=0.1), precision="bf16")
    t.step([[1.0, 2.0]], [[1.0]])
    print("trained")
except cr.StateError as error:
    print(error)
print(cr.has_bf16(), cr.config().splitlines()[2])
"""
    done = subprocess.run(
        [sys.executable, "-c", program], env={**os.environ, **environment}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


class TestRequests:
    @pytest.mark.parametrize(
        ("name", "nearest"),
        [("bfloat16", "bf16"), ("float16", "bf16"), ("BF16", "bf16"), ("half", "bf16"), ("fp32", "float32")],
    )
    def test_unknown_names(self, name, nearest):
        message = f'Trainer: precision must be "float32" or "bf16": "{name}"; did you mean "{nearest}"?'
        with pytest.raises(cr.ValueError, match=f"^{re.escape(message)}$"):
            trainer(precision=name)

    def test_float64_models(self):
        model = nn.MLP([64, 10], seed=0).astype("float64")
        name = model.named_parameters()[0][0]
        message = (
            f'Trainer: precision="bf16" needs a float32 model: {name} is float64; '
            'use model.astype("float32"), or leave precision out'
        )
        with pytest.raises(cr.DTypeError, match=f"^{re.escape(message)}$"):
            trainer(model, precision="bf16")

    def test_float32_is_what_runs_without_a_word(self, digits):
        X, y = digits[:2]
        losses = [trainer(**options).fit(X, y)["loss"] for options in ({}, {"precision": "float32"})]
        assert losses[0] == losses[1]
        assert "precision" not in repr(trainer(precision="float32"))

    def test_configuration_tells(self):
        assert re.search(r"^bf16        (yes, on AMX|no: .+)$", cr.config(), re.M)
        assert cr.has_bf16() == ("bf16        yes" in cr.config())

    def test_a_processor_without_it(self):
        answer, told = refusal()
        if cr.has_bf16():
            assert (answer, told) == ("trained", "True bf16        yes, on AMX")
        else:
            why = told.removeprefix("False bf16        no: ")
            assert answer == f'Trainer: precision="bf16" cannot run here: {why}; use precision="float32"'

    @pytest.mark.parametrize("level", ["v2", "v3"])
    def test_a_lower_level_leaves_it_out(self, level):
        answer, told = refusal(CHAINRULE_ISA=level)
        if cr.has_bf16():
            why = f"CHAINRULE_ISA={level} leaves AMX out"
        else:
            why = re.search(r"^bf16        no: (.+)$", cr.config(), re.M)[1]
        assert answer.startswith('Trainer: precision="bf16" cannot run here: ')
        assert "leaves AMX out" in answer or why in answer
        assert told.startswith("False bf16        no: ")


@pytest.fixture(scope="module")
def digits():
    X, y = cr.datasets.load_digits(split="train")
    Xt, yt = cr.datasets.load_digits(split="test")
    return X, y, Xt, yt


def refused(digits):
    """Where there is no AMX: True, having checked that bf16 is refused and that asking changes nothing."""
    if cr.has_bf16():
        return False
    model = nn.MLP([64, 10], seed=0)
    before = model.state_dict()
    with pytest.raises(cr.StateError, match=r'use precision="float32"$'):
        trainer(model, precision="bf16")
    assert all((value == before[name]).all() for name, value in model.state_dict().items())
    trainer(model).fit(*digits[:2])
    return True


class TestTraining:
    def test_digits_are_learned_as_well(self, digits):
        if refused(digits):
            return
        X, y, Xt, yt = digits
        accuracy = {}
        for precision in ("float32", "bf16"):
            t = trainer(precision=precision, metrics=["accuracy"])
            t.fit(X, y, epochs=15, batch_size=32)
            accuracy[precision] = t.evaluate(Xt, yt)["accuracy"]
            assert {p.dtype for _, p in t.model.named_parameters()} == {"float32"}
        assert accuracy["bf16"] > accuracy["float32"] - 0.015

    def test_threads_change_nothing(self, digits):
        if refused(digits):
            return
        before, losses = cr.num_threads(), []
        try:
            for threads in (1, 2):
                cr.set_num_threads(threads)
                model = nn.MLP([64, 512, 512, 10], seed=0)
                losses.append(trainer(model, precision="bf16").fit(*digits[:2], batch_size=256)["loss"])
        finally:
            cr.set_num_threads(before)
        assert losses[0] == losses[1]

    def test_predictions_stay_float32(self, digits):
        if refused(digits):
            return
        X, y, Xt = digits[:3]
        t = trainer(precision="bf16")
        t.fit(X, y)
        assert (t.predict(Xt) == trainer(t.model).predict(Xt)).all()

    def test_pickled(self, digits):
        if refused(digits):
            return
        t = trainer(precision="bf16")
        t.fit(*digits[:2])
        again = pickle.loads(pickle.dumps(t))
        assert 'precision="bf16"' in repr(again)
        assert t.fit(*digits[:2])["loss"] == again.fit(*digits[:2])["loss"]

    def test_a_model_that_becomes_float64_is_refused(self, digits):
        if refused(digits):
            return
        t = trainer(precision="bf16")
        t.model.astype("float64")
        with pytest.raises(cr.DTypeError, match="needs a float32 model"):
            t.step(digits[0][:8].astype(np.float64), digits[1][:8])


class TestTrainingSteps:
    @staticmethod
    def step(model, **options):
        return cr.training_step(
            lambda x, y: nn.CrossEntropyLoss()(model(x), y), optim.SGD(model.parameters(), lr=0.1), **options
        )

    def test_requests(self):
        model = nn.MLP([64, 10], seed=0)
        with pytest.raises(
            cr.ValueError, match=r'^training_step: precision must be .* did you mean "bf16"\?$'
        ):
            self.step(model, precision="half")
        with pytest.raises(
            cr.DTypeError, match=r"^training_step: .* needs a float32 model: parameter 0 is float64"
        ):
            self.step(nn.MLP([64, 10], seed=0).astype("float64"), precision="bf16")

    def test_losses(self, digits):
        X, y = digits[0][:256], digits[1][:256]
        model = nn.MLP([64, 512, 10], seed=0)
        if not cr.has_bf16():
            with pytest.raises(
                cr.StateError, match=r'^training_step: .* cannot run here: .*; use precision="float32"$'
            ):
                self.step(model, precision="bf16")
            return
        losses = {}
        for precision in ("float32", "bf16"):
            step = self.step(nn.MLP([64, 512, 10], seed=0), precision=precision)
            losses[precision] = [step(X, y) for _ in range(5)]
        assert losses["bf16"] != losses["float32"]
        assert losses["bf16"] == pytest.approx(losses["float32"], rel=0.02)
