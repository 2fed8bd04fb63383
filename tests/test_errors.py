"""Classes and texts of errors; reprs."""

import chainrule as cr
import numpy as np
import pytest
from chainrule import nn, optim
from small import Block, small_data, small_model

RATE = "a number, a schedule or a function of the step"


class TestErrors:
    def test_classes(self):
        import builtins

        assert issubclass(cr.Error, RuntimeError)
        for name, base in [
            ("ShapeError", builtins.ValueError),
            ("ValueError", builtins.ValueError),
            ("DTypeError", TypeError),
            ("IndexError", builtins.IndexError),
            ("StateError", RuntimeError),
            ("FileError", OSError),
        ]:
            error = getattr(cr, name)
            assert issubclass(error, cr.Error)
            assert issubclass(error, base)
            assert error.__module__ == "chainrule"

    def test_messages_help(self):
        with pytest.raises(cr.ShapeError, match=r"\(32, 100\).*\(128, 10\)"):
            cr.matmul(np.zeros((32, 100)), np.zeros((128, 10)))
        with pytest.raises(cr.Error, match="Linear"):
            small_model()(np.zeros((2, 5), np.float32))
        with pytest.raises(cr.FileError, match="nowhere"):
            cr.load("nowhere.safetensors")

    def test_everything_has_a_short_repr(self):
        X, y = small_data()
        trainer = cr.Trainer(small_model(), nn.CrossEntropyLoss(), optim.Adam())
        history = trainer.fit(X, y)
        things = [
            trainer,
            history,
            small_model(),
            Block(2),
            optim.Adam(),
            nn.MSELoss(),
            cr.trace(cr.exp, X),
            cr.tensor(1.0),
        ]
        for thing in things:
            assert "\n" not in repr(thing)
            assert " object at 0x" not in repr(thing)


def adam():
    return optim.Adam()


def trainer():
    return cr.Trainer(nn.Linear(2, 1), nn.MSELoss(), optim.SGD())


X, Y = np.ones((3, 2), np.float32), np.ones((3, 1), np.float32)


class TestArguments:
    """Every call that does not fit gets one line: which argument, what was given, what to write."""

    @pytest.mark.parametrize(
        ("call", "text"),
        [
            (lambda: nn.Linear("a", 3), "Linear: in_features must be an integer, got 'a' (str)"),
            (
                lambda: nn.Linear(3),
                "Linear: out_features is missing; write Linear(in_features, out_features, *, bias=True, "
                "dtype='float32', seed=None)",
            ),
            (lambda: nn.Linear(3, 4, biass=True), "Linear: has no argument biass; did you mean bias?"),
            (
                lambda: nn.Linear(3, 4, 5),
                "Linear: takes 2 arguments by position, 3 were given; write Linear(in_features, "
                "out_features, *, bias=True, dtype='float32', seed=None)",
            ),
            (
                lambda: nn.Linear(3, 4, in_features=3),
                "Linear: in_features was given twice, by position and by name; write Linear(in_features, "
                "out_features, *, bias=True, dtype='float32', seed=None)",
            ),
            (
                lambda: nn.Linear(np.float32(3.7), 1),
                f"Linear: in_features must be an integer, got {np.float32(3.7)!r} (float32)",
            ),
            (
                lambda: nn.Linear(cr.tensor(3.7), 1),
                "Linear: in_features must be an integer, got Tensor(3.7) (Tensor)",
            ),
            (lambda: nn.Linear(2**70, 1), f"Linear: in_features must be an integer, got {2**70} (int)"),
            (lambda: nn.Linear(3, 1, bias="no"), "Linear: bias must be True or False, got 'no' (str)"),
            (lambda: nn.ReLU(3), "ReLU: takes no arguments, 1 was given; write ReLU()"),
            (lambda: nn.MLP([3, "a"]), "MLP: sizes must be a list of integers, got [3, 'a'] (list)"),
            (
                lambda: optim.Adam(1e-3),
                "Adam: the first argument is the parameters, got 0.001; write lr=0.001",
            ),
            (
                lambda: optim.Adam(lr="x"),
                f"Adam: lr must be {RATE}, got 'x' (str)",
            ),
            (
                lambda: optim.Adam(lr=None),
                f"Adam: lr must be {RATE}, got None",
            ),
            (
                lambda: optim.Adam(betas=(1, 2, 3)),
                "Adam: betas must be a tuple of 2 numbers, got (1, 2, 3) (tuple)",
            ),
            (
                lambda: setattr(adam(), "lr", "x"),
                f"lr: must be {RATE}, got 'x' (str)",
            ),
            (
                lambda: setattr(cr.tensor([1.0]), "requires_grad", "x"),
                "requires_grad: must be True or False, got 'x' (str)",
            ),
            (lambda: cr.tanh(), "tanh: x is missing; write tanh(x)"),
            (lambda: cr.tanh(1, 2), "tanh: takes 1 argument, 2 were given; write tanh(x)"),
            (lambda: cr.Tensor.sum(3), "sum: is a method of a Tensor, called on 3 (int)"),
            (lambda: cr.tensor([1.0]).sum(axiss=1), "sum: has no argument axiss; did you mean axis?"),
            (lambda: cr.tensor([1.0]).softmax("x"), "softmax: axis must be an integer, got 'x' (str)"),
            (
                lambda: cr.tensor([1.0]).softmax(2**40),
                f"softmax: axis must be an integer that fits into 32 bits, got {2**40} (int)",
            ),
            (lambda: cr.from_numpy([1, 2]), "from_numpy: array must be a NumPy array, got [1, 2] (list)"),
            (lambda: cr.from_numpy([0.5] * 40), "from_numpy: array must be a NumPy array, got a list"),
            (
                lambda: nn.init.normal_(3),
                "normal_: cannot take (int); write normal_(weight, mean=0.0, std=1.0, *, seed=None)",
            ),
            (
                lambda: nn.CrossEntropyLoss()(X),
                "Loss: target is missing; call it with (output, target, sample_weight=None)",
            ),
            (
                lambda: trainer().fit(X, Y, class_weight=[1, 2]),
                "fit: class_weight must be a string or a dict of integers to numbers or None, "
                "got [1, 2] (list)",
            ),
            (lambda: trainer().fit(X, Y, epoch=3), "fit: has no argument epoch; did you mean epochs?"),
            (lambda: trainer().fit(X, Y, epochs=1.5), "fit: epochs must be an integer, got 1.5 (float)"),
            (lambda: trainer().fit(X, Y)[0], "History: name must be a string, got 0 (int)"),
            (
                lambda: cr.vjp(cr.tanh, cr.tensor([1.0]))[1](1, 2),
                "pullback: takes 1 argument, 2 were given; write pullback(cotangent)",
            ),
            (
                lambda: cr.custom_gradient(cr.tanh)(1.0, x=3),
                "function: has no argument x; write function(*args)",
            ),
            (
                lambda: nn.Linear(1, 1).save(),
                "save: path is missing; write save(path, *, input_shape=None, input_shapes=None)",
            ),
            (lambda: cr.loads("abc"), "loads: data must be bytes, got 'abc' (str)"),
            (lambda: cr.set_num_threads(2.0), "set_num_threads: threads must be an integer, got 2.0 (float)"),
        ],
    )
    def test_one_line(self, call, text):
        with pytest.raises(TypeError) as error:
            call()
        assert str(error.value) == text

    def test_integers_of_numpy_are_integers(self):
        assert str(nn.Linear(np.int64(3), np.array(2))) == "Linear(3, 2)"

    def test_no_bound_name_shows_the_list(self):
        """Called with an argument nobody takes, everything that is bound answers in one line."""
        core, silent = cr._core, []
        for name, value in vars(core).items():
            if name.startswith("__") or (isinstance(value, type) and issubclass(value, BaseException)):
                continue
            try:
                value(no_such_argument=1)
            except TypeError as error:
                if len(str(error).splitlines()) > 1 or "pybind11" in str(error):
                    silent.append(name)
        assert not silent
