"""Changes in place between recording and backward(): refused where the old value is needed."""

from __future__ import annotations

import chainrule as cr
import numpy as np
import pytest
from chainrule import nn, optim


def leaf(values, dtype="float64"):
    return cr.tensor(values, dtype=dtype, requires_grad=True)


def wave(*shape):
    return np.sin(1.3 * np.arange(np.prod(shape)) + 0.2).reshape(shape)


NEEDS_OPERAND = {
    "multiply": (lambda x, other: x * other, 1),
    "divide": (lambda x, other: x / other, 1),
    "matmul": (lambda x, other: x @ other, 1),
    "power": (lambda x, other: (x + 2) ** other, 1),
    "maximum": (cr.maximum, 1),
    "where": (lambda x, other: cr.where(other > 0, x, 0.0) + 0 * x, None),
}


class TestInPlace:
    @pytest.mark.parametrize("name", ["multiply", "divide", "matmul", "power", "maximum"])
    def test_a_changed_operand_is_refused(self, name):
        f, at = NEEDS_OPERAND[name]
        x, other = leaf(wave(2, 2) + 3), cr.tensor(wave(2, 2) + 2)
        y = f(x, other)
        other.copy_(np.ones((2, 2)))
        with pytest.raises(cr.StateError) as error:
            y.sum().backward()
        assert str(error.value) == (
            f"{name}: an operand that backward needs was changed in place after it was used: operand {at} of "
            "shape (2, 2); change it after backward, or change a copy"
        )
        assert x.grad is None

    @pytest.mark.parametrize(
        ("name", "f"),
        [
            ("add", lambda x, other: x + other),
            ("subtract", lambda x, other: x - other),
            ("where", NEEDS_OPERAND["where"][0]),
            ("maximum", lambda x, other: cr.maximum(x, 0.0) + other),
            ("concat", lambda x, other: cr.concat([x, other])),
            ("of a comparison", lambda x, other: x * (other > 0)),
        ],
    )
    def test_an_operand_nobody_needs_may_change(self, name, f):
        x, other = leaf(wave(2, 2) + 3), cr.tensor(wave(2, 2) + 2)
        y = f(x, other)
        other.copy_(np.zeros((2, 2)))
        y.sum().backward()
        assert x.grad.tolist() == [[1, 1], [1, 1]]

    def test_the_other_factor_is_not_needed(self):
        """d(x c)/dx reads c only: x may be changed, as an optimizer does."""
        x, c = leaf([1.0, 2.0]), cr.tensor([3.0, 4.0], dtype="float64")
        y = (x * c).sum()
        x.copy_([0.0, 0.0])
        y.backward()
        assert x.grad.tolist() == [3, 4]

    @pytest.mark.parametrize(
        "name", ["exp", "expm1", "sqrt", "sigmoid", "tanh", "relu", "softmax", "log_softmax"]
    )
    def test_a_changed_result_is_refused(self, name):
        x = leaf([1.0, 2.0])
        y = getattr(cr, name)(x)
        with cr.no_grad():
            y.copy_([0.0, 0.0])
        with pytest.raises(cr.StateError) as error:
            y.sum().backward()
        assert str(error.value) == (
            f"{name}: its result, which backward needs, was changed in place: shape (2,); change it after "
            "backward, or change a copy"
        )

    def test_through_a_view(self):
        x = leaf([1.0, 2.0])
        h = x * 2
        y = h * h
        with cr.no_grad():
            h.reshape(2, 1).copy_([[0.0], [0.0]])
        with pytest.raises(cr.StateError, match=r"^multiply: an operand"):
            y.sum().backward()

    def test_writing_into_a_recorded_result_is_refused(self):
        x = leaf([1.0, 2.0])
        y = x.tanh()
        with pytest.raises(cr.StateError, match=r"^copy_: .*: tanh of shape \(2,\); .*no_grad"):
            y.copy_([0.0, 0.0])
        y.sum().backward()
        assert x.grad is not None

    def test_an_optimizer_step(self):
        model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1), seed=0)
        opt = optim.SGD(model.parameters(), lr=0.1)
        x = wave(5, 3).astype(np.float32)
        loss = model(x).sum()
        model(x).sum().backward()
        opt.step()
        with pytest.raises(cr.StateError, match=r"^matmul: .* operand 1 of shape \(4, 1\)"):
            loss.backward()

    def test_load_state_dict(self):
        model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1), seed=0)
        loss = model(wave(5, 3).astype(np.float32)).sum()
        model.load_state_dict(model.state_dict())
        with pytest.raises(cr.StateError, match=r"^matmul: .* operand 1"):
            loss.backward()

    def test_a_training_run(self):
        model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1), seed=0)
        x, y = wave(8, 3).astype(np.float32), wave(8, 1).astype(np.float32)
        loss = model(x).sum()
        cr.Trainer(model, loss=nn.MSELoss(), optimizer=optim.SGD(lr=0.1)).fit(x, y, epochs=1, progress=False)
        with pytest.raises(cr.StateError, match=r"^matmul: .* operand 1"):
            loss.backward()

    def test_batch_norm_buffers(self):
        """In eval mode the result depends on the running statistics; a step in train mode changes them."""
        norm = nn.BatchNorm1d(3)
        x = leaf(wave(5, 3), "float32")
        norm.eval()
        y = norm(x).sum()
        norm.train()
        norm(wave(5, 3).astype(np.float32))
        norm.eval()
        y.backward()  # x / sqrt(var + eps): what is needed was computed anew
        scale = cr.tensor([1.0, 2.0, 3.0])
        y = (x * scale).sum()
        scale.copy_([0.0, 0.0, 0.0])
        with pytest.raises(cr.StateError, match=r"^multiply: .* operand 1 of shape \(3,\)"):
            y.backward()
