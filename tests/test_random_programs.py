"""Random expression graphs: derivatives against differences and each other, ways to run bit by bit."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import chainrule as cr
import numpy as np
from checks import numpy, same_bits
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

quick = settings(derandomize=True, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow])


def when(condition, f):
    return f if condition else None


def broadcast(f):
    """A binary op where the shapes of a and b allow it."""

    def make(a, b, k):
        try:
            np.broadcast_shapes(a.shape, b.shape)
        except ValueError:
            return None
        return f

    return make


def unary(f):
    return lambda a, b, k: lambda a, b: f(a)


def axis_of(a, k):
    """An axis of a, or all of them."""
    return None if k % (a.ndim + 1) == a.ndim else k % (a.ndim + 1)


def along(f):
    return lambda a, b, k: lambda a, b: f(a, axis_of(a, k))


def last_axis(f):
    return lambda a, b, k: when(a.ndim > 0, lambda a, b: f(a, k % a.ndim))


def matmul(a, b, k):
    fits = a.ndim and b.ndim and a.shape[-1] == b.shape[-2 if b.ndim > 1 else 0]
    fits = fits and (a.ndim < 3 or b.ndim < 3 or a.shape[0] == b.shape[0])
    return when(fits, lambda a, b: cr.matmul(a, b))


def gram(a, b, k):
    """a a', or a' a: both operands one value, one of them transposed."""
    if a.ndim != 2:
        return None
    return (lambda a, b: a @ a.T) if k % 2 else (lambda a, b: cr.matmul(a, a, transpose_a=True))


def index(a, b, k):
    choices = [lambda a, b: a[None], lambda a, b: a[..., None]]
    if a.ndim:
        n = a.shape[0]
        choices += [lambda a, b: a[k % n], lambda a, b: a[::2], lambda a, b: a[-1:], lambda a, b: a[..., 0]]
        choices += [lambda a, b: a[min(1, n - 1) :] * a[0]]
    return when(a.ndim < 3 or k % len(choices) > 1, choices[k % len(choices)])


def concatenate(a, b, k):
    axis = k % a.ndim if a.ndim else 0
    fits = a.ndim == b.ndim > 0
    fits = fits and all(m == n for i, (m, n) in enumerate(zip(a.shape, b.shape, strict=True)) if i != axis)
    return when(fits, lambda a, b: cr.concat([a, b], axis))


def einsum(a, b, k):
    fits = a.ndim == b.ndim == 2 and a.shape[1] == b.shape[1]
    return when(fits, lambda a, b: cr.einsum(("ij,kj->ki", "ij,kj->i", "ij,kj->ikj")[k % 3], a, b))


def stack(a, b, k):
    return when(a.shape == b.shape, lambda a, b: cr.stack([a, b, a], k % (a.ndim + 1)))


def split(a, b, k):
    """The two sides of a cut: one scales the other's mean."""
    if a.ndim == 0 or a.shape[0] < 2:
        return None
    at = 1 + k % (a.shape[0] - 1)
    return lambda a, b: cr.split(a, [at])[0] * cr.mean(cr.split(a, [at])[1])


def pad(a, b, k):
    width = [(k % 2, 1 - k % 2)] * a.ndim
    return when(a.ndim > 0, lambda a, b: cr.pad(a, width, constant_values=0.5))


def take(a, b, k):
    """Entries by number, one of them twice; the last axis by one number per row."""
    if a.ndim == 0:
        return None
    n = a.shape[0]
    if k % 2 and a.ndim == 2:
        return lambda a, b: a[np.arange(n), (np.arange(n) + k) % a.shape[1]]
    return lambda a, b: cr.take(a, np.array([k % n, 0, k % n]), 0)


def transpose(a, b, k):
    axes = np.roll(np.arange(a.ndim), k).tolist()
    return when(a.ndim > 0, lambda a, b: cr.transpose(a, axes))


def expand(a, b, k):
    return when(a.ndim < 3, lambda a, b: cr.broadcast_to(a, (2, *a.shape)))


def choose(a, b, k):
    return broadcast(lambda a, b: cr.where(cr.stop_gradient(a) > 0.1 * k - 1, a * b, a))(a, b, k)


SMOOTH = {
    "add": broadcast(lambda a, b: a + b),
    "subtract": broadcast(lambda a, b: a - b),
    "multiply": broadcast(lambda a, b: a * b),
    "divide": broadcast(lambda a, b: a / (b * b + 0.5)),
    "arctan2": broadcast(lambda a, b: cr.arctan2(a, b * b + 0.5)),
    "logaddexp": broadcast(cr.logaddexp),
    "tanh": unary(cr.tanh),
    "sin": unary(cr.sin),
    "cos": unary(cr.cos),
    "sigmoid": unary(cr.sigmoid),
    "softplus": unary(cr.softplus),
    "gelu": unary(cr.gelu),
    "arctan": unary(cr.arctan),
    "erf": unary(cr.erf),
    "exp": unary(lambda x: cr.exp(-x * x)),
    "log": unary(lambda x: cr.log1p(cr.square(x))),
    "sqrt": unary(lambda x: cr.sqrt(x * x + 0.5)),
    "power": unary(lambda x: (x * x + 0.5) ** -0.7),
    "cube": unary(lambda x: x**3),
    "fork": unary(lambda x: cr.tanh(x) * x + cr.sin(x)),
    "sum": along(cr.sum),
    "mean": along(cr.mean),
    "var": along(cr.var),
    "logsumexp": along(cr.logsumexp),
    "softmax": last_axis(cr.softmax),
    "log_softmax": last_axis(cr.log_softmax),
    "cumsum": last_axis(cr.cumsum),
    "matmul": matmul,
    "gram": gram,
    "index": index,
    "concatenate": concatenate,
    "einsum": einsum,
    "stack": stack,
    "split": split,
    "pad": pad,
    "take": take,
    "flip": last_axis(cr.flip),
    "outer": lambda a, b, k: when(a.size * b.size <= 100, cr.outer),
    "prod": along(cr.prod),
    "transpose": transpose,
    "flatten": unary(lambda x: x.reshape(-1)),
    "expand": expand,
}
KINKED = {
    "relu": unary(cr.relu),
    "abs": unary(cr.abs),
    "clip": unary(lambda x: cr.clip(x, -0.7, 0.9)),
    "maximum": broadcast(cr.maximum),
    "minimum": broadcast(cr.minimum),
    "max": along(cr.max),
    "sort": last_axis(cr.sort),
    "where": choose,
}
ALL = SMOOTH | KINKED


@dataclass
class Program:
    """A function of its inputs: steps that read two earlier values each."""

    seed: int
    inputs: list[np.ndarray]
    names: list[str]
    steps: list
    unread: list[int]

    def __call__(self, *xs):
        values = list(xs)
        for i, j, step in self.steps:
            values.append(step(values[i], values[j]))
        y = values[-1]
        for i in self.unread:  # so that everything counts
            y = y + cr.mean(values[i])
        return y

    def __repr__(self):
        shapes = ", ".join(str(x.shape) for x in self.inputs)
        steps = (f"{name}({i}, {j})" for name, (i, j, _) in zip(self.names, self.steps, strict=True))
        return f"Program of {shapes} from seed {self.seed}: {' '.join(steps)}; unread {self.unread}"

    def tensors(self, dtype="float64"):
        return tuple(cr.tensor(x.astype(dtype)) for x in self.inputs)

    def directions(self, seed):
        rng = np.random.default_rng(seed)
        return tuple(cr.tensor(rng.normal(size=x.shape)) for x in self.inputs)

    def weight(self, seed):
        return cr.tensor(np.random.default_rng(seed).normal(size=self(*self.tensors()).shape))


def build(shapes, seed, codes, table, largest):
    """What does not fit its operands, or is larger, becomes a tanh; values that grow are squashed by one."""
    rng = np.random.default_rng(seed)
    inputs = [rng.normal(size=shape) for shape in shapes]
    values, names, steps, read = [cr.tensor(x) for x in inputs], [], [], set()
    for code, i, j, k in codes:
        i, j = (len(values) - 1 - n % len(values) for n in (i, j))
        name = list(table)[code % len(table)]
        step = table[name](values[i], values[j], k)
        value = step and step(values[i], values[j])
        if value is None or value.size > largest or value.ndim > 4:
            name, step = "tanh", lambda a, b: cr.tanh(a)
            value = step(values[i], values[j])
        if np.abs(value.numpy()).max() > 4:
            value, step = cr.tanh(value), lambda a, b, step=step: cr.tanh(step(a, b))
        values.append(value)
        names.append(name)
        steps.append((i, j, step))
        read |= {i, j}
    return Program(seed, inputs, names, steps, [i for i in range(len(values) - 1) if i not in read])


SMALL = [(3,), (2, 3), (3, 2), (3, 3), (1, 3), (2, 1), (2, 3, 2), (3, 1, 2), (1,), ()]
LARGE = [(259, 130), (130, 259), (130, 130), (259,), (130, 1), (1, 259)]  # work that threads share


@st.composite
def programs(draw, table=ALL, shapes=SMALL, most=40):
    """Up to three inputs of these shapes, up to `most` ops."""
    code = st.tuples(st.integers(0, 2**16), st.integers(0, 5), st.integers(0, 9), st.integers(0, 9))
    n = draw(st.integers(2, most))
    return build(
        draw(st.lists(st.sampled_from(shapes), min_size=1, max_size=3)),
        draw(st.integers(0, 2**16)),
        draw(st.lists(code, min_size=n, max_size=n)),
        table,
        2 * max(np.prod(shape) for shape in shapes),
    )


def inner(us, vs):
    return sum(float(np.vdot(numpy(u), numpy(v))) for u, v in zip(us, vs, strict=True))


def length(vs):
    return np.sqrt(inner(vs, vs))


@settings(quick, max_examples=100)
@given(programs(SMOOTH))
def test_vjp_against_central_differences(program):
    """Along a random direction; a step of Richardson's extrapolation gives the error to allow."""
    xs, vs, u = program.tensors(), program.directions(1), program.weight(2)

    def difference(h):
        ahead, behind = (program(*(x + s * h * v for x, v in zip(xs, vs, strict=True))) for s in (1.0, -1.0))
        return inner([u], [ahead - behind]) / (2 * h)

    _, pullback = cr.vjp(program, *xs)
    slope = inner(pullback(u), vs)
    rough, fine = difference(2e-4), difference(1e-4)
    better = (4 * fine - rough) / 3
    assert abs(slope - better) <= 1e-8 * (1 + abs(slope)) + 0.1 * abs(fine - rough)


@settings(quick, max_examples=100)
@given(programs())
def test_jvp_is_the_transpose_of_vjp(program):
    xs, vs, u = program.tensors(), program.directions(1), program.weight(2)
    y, pullback = cr.vjp(program, *xs)
    same, ty = cr.jvp(program, xs, vs)
    same_bits(numpy(y), numpy(same))
    gx = pullback(u)
    size = length([u]) * length([ty]) + length(gx) * length(vs)
    assert abs(inner([u], [ty]) - inner(gx, vs)) <= 1e-13 + 1e-12 * size


@settings(quick, max_examples=80)
@given(programs())
def test_second_derivatives_are_symmetric(program):
    """<w, H v> = <v, H w> for H v from forward over reverse; compiled reverse over reverse gives the same."""
    xs, vs, ws, u = program.tensors(), program.directions(1), program.directions(2), program.weight(3)
    gradient = cr.grad(lambda *xs: (program(*xs) * u).sum(), argnums=tuple(range(len(xs))))
    _, hv = cr.jvp(gradient, xs, vs)
    _, hw = cr.jvp(gradient, xs, ws)
    size = length(ws) * length(hv) + length(vs) * length(hw)
    assert abs(inner(ws, hv) - inner(vs, hw)) <= 1e-10 * (1 + size)

    def slope(*xs):
        return sum((g * v).sum() for g, v in zip(gradient(*xs), vs, strict=True))

    reverse = cr.compile(cr.grad(slope, argnums=tuple(range(len(xs)))))(*xs)
    difference = tuple(a - b for a, b in zip(reverse, hv, strict=True))
    assert length(difference) <= 1e-10 * (1 + length(hv))


def value_and_gradients(program):
    return cr.value_and_grad(
        lambda *xs: cr.sin(program(*xs)).sum(), argnums=tuple(range(len(program.inputs)))
    )


@settings(quick, max_examples=100)
@given(programs(), st.sampled_from(["float32", "float64"]))
def test_compiled_has_the_bits_of_eager(program, dtype):
    xs = program.tensors(dtype)
    same_bits(numpy(program(*xs)), numpy(cr.compile(program)(*xs)))
    f = value_and_gradients(program)
    (y, gx), (same, same_gx) = f(*xs), cr.compile(f)(*xs)
    same_bits(numpy(y), numpy(same))
    for g, same_g in zip(gx, same_gx, strict=True):
        same_bits(numpy(g), numpy(same_g))


@settings(quick, max_examples=15)
@given(programs(shapes=LARGE, most=20))
def test_two_threads_have_the_bits_of_one(program):
    """Sizes at which work is shared."""
    xs = program.tensors("float32")
    f = cr.compile(value_and_gradients(program))
    results = []
    for threads in (1, 2):
        cr.set_num_threads(threads)
        y, gx = f(*xs)
        results.append([numpy(program(*xs)), numpy(y), *map(numpy, gx)])
    for one, two in zip(*results, strict=True):
        same_bits(one, two)


@settings(quick, max_examples=80)
@given(programs())
def test_vmap_has_the_bits_of_a_loop(program):
    rng = np.random.default_rng(4)
    stacked = [np.stack([x, *rng.normal(size=(2, *x.shape))]) for x in program.inputs]
    mapped = numpy(cr.vmap(program)(*map(cr.tensor, stacked)))
    loop = [numpy(program(*(cr.tensor(x[i, ...]) for x in stacked))) for i in range(3)]
    same_bits(mapped, np.stack(loop))


def test_programs_are_long_and_have_every_op():
    seen, longest = Counter(), 0

    @settings(quick, max_examples=300)
    @given(programs())
    def look(program):
        nonlocal longest
        seen.update(program.names)
        longest = max(longest, len(program.steps))

    look()
    assert seen.keys() == ALL.keys(), ALL.keys() - seen.keys()
    assert longest >= 35
