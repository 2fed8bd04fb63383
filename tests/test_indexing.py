"""t[...]: NumPy's rules, gradients, traced indices, and what is refused."""

from __future__ import annotations

import random

import chainrule as cr
import numpy as np
import pytest
from checks import numpy, same_bits

X = np.arange(60.0).reshape(3, 4, 5)
ROWS, COLUMNS = np.array([0, 2, 2]), np.array([1, -1, 1])
MASK = X[:, :, 0] % 3 == 0
FORMS = [
    1,
    -1,
    np.int64(2),
    (1, slice(None), None),
    (..., -1),
    (slice(None, None, 2),),
    (slice(None, None, -1), 0, slice(4, None, -3)),
    ([2, 0],),
    ROWS,
    (ROWS, COLUMNS),
    (ROWS[:, None], COLUMNS),
    (slice(None), ROWS, COLUMNS),
    (ROWS, slice(None), COLUMNS),  # parted by a slice: the entries' axis comes first
    (0, slice(None), COLUMNS),
    (slice(None), 0, COLUMNS),
    (ROWS, ..., COLUMNS),
    (ROWS, None, COLUMNS),
    (slice(1), None, ROWS),
    (..., ROWS, None, slice(0, 2)),
    MASK,
    (MASK, 2),
    (MASK, COLUMNS[:1]),
    (slice(None), np.array([True, False, True, True])),
    X > 30,
    X > 100,
    np.zeros((2, 0), int),
    (),
    ...,
    None,
    (1, 2, 3),
    (np.array(1), np.array(2)),
    [[0, 1], [2, 0]],
    [True, False, True],
    np.array([1, 2], np.uint8),
    np.array([1, -2], np.int16),
]


def index_id(index):
    return str(index).replace("\n", "")[:50]


@pytest.mark.parametrize("index", FORMS, ids=index_id)
class TestForms:
    def test_is_numpys(self, index):
        same_bits(numpy(cr.tensor(X)[index]), np.asarray(X[index]))

    def test_integers(self, index):
        same_bits(numpy(cr.tensor(X.astype(np.int64))[index]), np.asarray(X.astype(np.int64)[index]))

    def test_gradient(self, index):
        """Each entry gets the sum of the cotangents of the places it went to."""
        out, pullback = cr.vjp(lambda x: x[index], X)
        gy = np.random.default_rng(0).normal(size=out.shape)
        expected = np.zeros_like(X)
        np.add.at(expected, index, gy)
        np.testing.assert_allclose(numpy(pullback(gy)[0]), expected, rtol=1e-15)

    def test_tangent(self, index):
        tangent = np.random.default_rng(1).normal(size=X.shape)
        same_bits(numpy(cr.jvp(lambda x: x[index], X, tangent)[1]), np.asarray(tangent[index]))

    def test_second_order(self, index):
        def energy(x):
            return (x[index] ** 3).sum()

        counts = np.zeros_like(X)
        np.add.at(counts, index, 1.0)
        once = cr.grad(lambda x: cr.grad(energy)(x).sum())(X)
        np.testing.assert_allclose(numpy(once), 6 * X * counts, rtol=1e-13)

    def test_compiled(self, index):
        same_bits(numpy(cr.compile(lambda x: x[index] * 2.0)(X)), np.asarray(X[index] * 2.0))


def random_index(draw, rng, shape):
    items, axis = [], 0
    common = draw.choice([(), (2,), (3, 2), (1,)])
    for _ in range(draw.randint(1, 5)):
        kind = draw.choice(["int", "slice", "new", "dots", "entries", "entries", "mask"])
        if kind in ("new", "dots"):
            if kind == "new" or ... not in [i for i in items if not isinstance(i, np.ndarray)]:
                items.append(None if kind == "new" else ...)
            continue
        taken = draw.randint(1, 2) if kind == "mask" else 1
        if axis + taken > len(shape):
            continue
        n = shape[axis]
        if kind == "int":
            items.append(int(rng.integers(-n, n)))
        elif kind == "slice":
            start, stop = (draw.choice([None, *range(-n - 1, n + 2)]) for _ in range(2))
            items.append(slice(start, stop, draw.choice([None, 1, 2, -1, -2, -5, 10**30])))
        elif kind == "entries":
            items.append(rng.integers(-n, n, common[draw.randint(0, len(common)) :]))
        else:
            mask = np.zeros(shape[axis : axis + taken], bool)
            mask.flat[rng.permutation(mask.size)[: (common or (1,))[-1]]] = True
            items.append(mask)
        axis += taken
    return tuple(items)


def test_random_indices():
    draw, rng = random.Random(0), np.random.default_rng(0)
    compared = 0
    while compared < 2000:
        x = rng.normal(size=tuple(rng.integers(1, 5, rng.integers(1, 5))))
        index = random_index(draw, rng, x.shape)
        try:
            expected = np.asarray(x[index])
        except IndexError:  # entries that do not broadcast together
            with pytest.raises((cr.IndexError, cr.ShapeError)):
                cr.tensor(x)[index]
            continue
        same_bits(numpy(cr.tensor(x)[index]), expected)
        compared += 1


class TestBatched:
    """vmap gives what a loop gives, whether the tensor, the indices or both have the batch axis."""

    @pytest.mark.parametrize("axes", [(0, None, None), (None, 0, 0), (0, 0, 0), (0, 0, None)])
    @pytest.mark.parametrize(
        "pick",
        [
            lambda x, i, j: x[i],
            lambda x, i, j: x[:, i],
            lambda x, i, j: x[i, j],
            lambda x, i, j: x[i, :, j],
            lambda x, i, j: cr.take_along_axis(x[0], cr.expand_dims(j, 1), axis=-1),
        ],
        ids=["rows", "columns", "pairs", "parted", "along"],
    )
    def test_is_a_loop(self, pick, axes):
        rng = np.random.default_rng(0)
        arrays = (rng.normal(size=(4, 3, 4, 5)), rng.integers(-3, 3, (4, 4)), rng.integers(-4, 4, (4, 4)))
        given = [a if axis == 0 else a[0] for a, axis in zip(arrays, axes, strict=True)]

        def slope(x, i, j):
            return cr.grad(lambda w: (pick(w, i, j) ** 2).sum())(x)

        for f in (pick, slope):
            mapped = numpy(cr.vmap(f, in_axes=axes)(*map(cr.tensor, given)))
            for s in range(4):
                one = [cr.tensor(a[s] if axis == 0 else a) for a, axis in zip(given, axes, strict=True)]
                np.testing.assert_array_equal(mapped[s], numpy(f(*one)))


class TestTraced:
    def test_indices_may_be_arguments(self):
        fast = cr.compile(lambda x, i, j: x[i, :, j])
        for shift in (0, 1):
            i, j = (ROWS + shift) % 3, (COLUMNS + shift) % 4
            same_bits(numpy(fast(X, i, j)), X[i, :, j])

    def test_gradient_of_a_compiled_pick(self):
        fast = cr.compile(lambda x, i: cr.grad(lambda w: (w[i] ** 2).sum())(x))
        expected = np.zeros_like(X)
        np.add.at(expected, ROWS, 2 * X[ROWS])
        np.testing.assert_allclose(numpy(fast(X, ROWS)), expected)

    def test_a_traced_index_is_checked_when_it_runs(self):
        fast = cr.compile(lambda x, i, j: x[i, j])
        fast(X, ROWS, COLUMNS)
        n = len(X)
        text = f"an index is out of range: {n} for {n} entries; indices run from -{n} to {n - 1}$"
        with pytest.raises(cr.IndexError, match="^flat_index: " + text):
            fast(X, ROWS * 0 + n, COLUMNS)
        one = cr.compile(lambda x, i: x[i])
        with pytest.raises(cr.IndexError, match="^take: " + text):
            one(X, ROWS * 0 + n)
        one(X, ROWS)

    @pytest.mark.parametrize(
        ("name", "f", "index", "run"),
        [
            ("take", lambda x, i: cr.take(x, i, axis=1), 3, "-3 to 2"),
            ("take", lambda x, i: cr.take_along_axis(x, cr.expand_dims(i, 1), axis=1), -4, "-3 to 2"),
            ("take_along", lambda x, i: cr.take_along(x, i), 2**40, "-3 to 2"),
            ("one_hot", lambda x, i: cr.one_hot(i, 3) @ cr.cast(x, "float32").T, -1, "0 to 2"),
            ("put", lambda x, i: cr.grad(lambda w: cr.take(x * w, i, axis=1).sum())(x), 3, "-3 to 2"),
        ],
    )
    def test_the_wrong_index_is_named(self, name, f, index, run):
        x = np.ones((4, 3))
        good, bad = np.array([0, 1, 2, 0]), np.array([0, 1, index, 0])
        fast = cr.compile(f)
        fast(x, good)
        with pytest.raises(
            cr.IndexError,
            match=rf"^{name}: an index is out of range: {index} for 3 entries; indices run from {run}$",
        ):
            fast(x, bad)
        fast(x, good)

    def test_in_a_module_and_a_step(self):
        class Pick(cr.nn.Module):
            def forward(self, x, i):
                return x[i]

        model = cr.nn.Linear(2, 1, seed=0)
        pick = Pick()
        step = cr.training_step(
            lambda x, i: (pick(model(x), i) ** 2).mean(), cr.optim.SGD(model.parameters(), lr=0.1)
        )
        x = np.ones((5, 2), np.float32)
        step(x, np.array([0, 4]))
        before = model.weight.numpy().copy()
        with pytest.raises(cr.IndexError, match=r"take: an index is out of range: 5 for 5 entries"):
            step(x, np.array([0, 5]))
        np.testing.assert_array_equal(before, model.weight.numpy())

    def test_an_array_as_mask_is_a_constant(self):
        same_bits(numpy(cr.compile(lambda x: x[MASK])(X)), X[MASK])

    def test_masks_with_values_only(self):
        message = (
            "^index: a mask has no values while a function is traced, so the result's shape is unknown: "
            r"mask of shape \(3, 4, 5\); use where\(mask, x, 0\) and reduce, or index outside the compiled "
            "function$"
        )
        captured = cr.tensor(X > 3)
        for pick in (lambda x: x[x > 3], lambda x: x[captured]):
            with pytest.raises(cr.StateError, match=message):
                cr.compile(pick)(X)
        with pytest.raises(cr.StateError, match="nonzero: a traced tensor has no values"):
            cr.compile(lambda x: cr.nonzero(x)[0])(X)


EXPECTED = "index: expected integers, slices, None, ..., or arrays of integers or bools, got {}"
NOTHING = "index: {} picks nothing; use {} for positions or a comparison for a mask"
ONE_BOOL = "index: a single bool is no index; use where(condition, a, b), or 0 and 1 as integers"


class TestRefused:
    @pytest.mark.parametrize(
        ("index", "error", "text"),
        [
            (3, cr.IndexError, "index: 3 is out of bounds for axis 0 of shape (3, 4, 5)"),
            ((0, -5), cr.IndexError, "index: -5 is out of bounds for axis 1 of shape (3, 4, 5)"),
            ((ROWS, COLUMNS + 3), cr.IndexError, "index: 4 is out of bounds for axis 1 of shape (3, 4, 5)"),
            (10**30, cr.IndexError, f"index: {10**30} is out of bounds for any axis"),
            ((0,) * 4, cr.IndexError, "index: too many indices: 4 for a tensor of shape (3, 4, 5)"),
            ((MASK, 0, 0), cr.IndexError, "index: too many indices: 4 for a tensor of shape (3, 4, 5)"),
            ((..., ...), cr.IndexError, "index: only one ... is allowed"),
            (slice(None, None, 0), cr.ValueError, "index: a slice's step cannot be 0"),
            (slice(0.5), cr.IndexError, "index: a slice's bounds must be integers or None, got float"),
            (1.0, cr.IndexError, EXPECTED.format("float")),
            ("a", cr.IndexError, EXPECTED.format("str")),
            (True, cr.IndexError, ONE_BOOL),
            (np.zeros(2), cr.IndexError,
             NOTHING.format("an array of float64", "a.astype(np.int64)")),
            (cr.tensor([1.0]), cr.IndexError,
             NOTHING.format("a tensor of float32", 'astype("int64")')),
            ((ROWS, COLUMNS[:2]), cr.ShapeError,
             "index: shapes do not broadcast: (3,) and (2,); "
                "sizes must be equal or 1, counted from the last axis"),
            (np.zeros(4, bool), cr.IndexError,
             "index: the mask does not fit: mask is (4,), x is (3, 4, 5) from axis 0; "
                "their sizes must be equal"),
        ],
        ids=lambda v: v[:45] if isinstance(v, str) else "",
    )  # fmt: skip
    def test_text(self, index, error, text):
        with pytest.raises(error) as caught:
            cr.tensor(X)[index]
        assert str(caught.value) == text

    def test_a_bound_cannot_be_a_tensor(self):
        with pytest.raises(cr.IndexError, match="a bound cannot depend on a tensor"):
            cr.compile(lambda x, n: x[:n])(X, np.array(2))

    def test_writing_says_what_to_do_instead(self):
        t = cr.tensor(X)
        with pytest.raises(cr.StateError) as caught:
            t[0] = 1.0
        assert str(caught.value) == (
            "tensors are not written by index: t[...] = v was given; use t = where(mask, v, t), or "
            "t.copy_(array) for the whole tensor"
        )
        same_bits(numpy(t), X)


class TestNonzero:
    @pytest.mark.parametrize("x", [X % 2, MASK, np.array([0, 3]), np.zeros((2, 0)), np.array([np.nan, 0])])
    def test_is_numpys(self, x):
        ours, theirs = cr.nonzero(x), np.nonzero(x)
        assert len(ours) == len(theirs)
        for a, b in zip(ours, theirs, strict=True):
            same_bits(numpy(a), b)

    def test_a_number_has_no_positions(self):
        with pytest.raises(cr.ShapeError) as caught:
            cr.nonzero(1.0)
        assert str(caught.value) == "nonzero: a tensor of shape () has no positions; reshape it to (1,)"


class TestBools:
    def test_operators(self):
        a, b = X > 10, X < 40
        for ours, theirs in ((cr.tensor(a), b), (a, cr.tensor(b)), (cr.tensor(a), cr.tensor(b))):
            same_bits(numpy(ours & theirs), a & b)
            same_bits(numpy(ours | theirs), a | b)
            same_bits(numpy(ours ^ theirs), a ^ b)
        same_bits(numpy(~cr.tensor(a)), ~a)
        pick = cr.compile(lambda x: cr.where((x > 10) & ~(x > 40), x, 0.0))
        same_bits(numpy(pick(X)), np.where((X > 10) & (X <= 40), X, 0.0))

    def test_integers_have_bits_here_nowhere(self):
        t = cr.tensor([1, 2])
        text = "the operands must be bool, got int64; compare first, for instance (x > 0) & (x < 1)"
        for name, call in (
            ("&", lambda: t & t),
            ("|", lambda: t | 1),
            ("^", lambda: t ^ t),
            ("~", lambda: ~t),
        ):
            with pytest.raises(cr.DTypeError) as caught:
                call()
            assert str(caught.value) == f"{name}: {text}"
