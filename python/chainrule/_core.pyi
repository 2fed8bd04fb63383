"""The C++ core of chainrule. Written by python/stubs.py; not edited by hand."""

from __future__ import annotations

import builtins
import collections.abc
import typing

import numpy
import numpy.typing

class Error(RuntimeError): ...
class ShapeError(Error, builtins.ValueError): ...
class ValueError(Error, builtins.ValueError): ...
class DTypeError(Error, TypeError): ...
class IndexError(Error, builtins.IndexError): ...
class StateError(Error): ...
class FileError(Error, OSError): ...
class Tensor:
    """
    An array that may record how it was computed. Made with chainrule.tensor or by operations.
    """
    def __abs__(self) -> Tensor:
        ...
    def __add__(self, other: typing.Any) -> Tensor:
        ...
    def __and__(self, arg0: typing.Any) -> typing.Any:
        ...
    def __array__(self, dtype: typing.Any = None, copy: typing.Any = None) -> typing.Any:
        ...
    def __array_function__(self, arg0: typing.Any, arg1: typing.Any, arg2: tuple[typing.Any, ...], arg3: dict[typing.Any, typing.Any]) -> typing.Any:
        ...
    def __array_ufunc__(self, arg0: typing.Any, arg1: str, *args: typing.Any, **kwargs: typing.Any) -> typing.Any:
        ...
    def __bool__(self) -> bool:
        ...
    def __contains__(self, arg0: typing.Any) -> bool:
        ...
    def __copy__(self) -> typing.Any:
        ...
    def __deepcopy__(self, arg0: dict[typing.Any, typing.Any]) -> typing.Self:
        ...
    def __eq__(self, other: typing.Any) -> Tensor:  # type: ignore[override]
        ...
    def __float__(self) -> float:
        ...
    def __format__(self, arg0: typing.Any) -> typing.Any:
        ...
    def __ge__(self, other: typing.Any) -> Tensor:
        ...
    def __getitem__(self, index: typing.Any) -> Tensor:
        ...
    def __gt__(self, other: typing.Any) -> Tensor:
        ...
    def __hash__(self) -> int:
        ...
    def __init__(self, value: typing.Any, requires_grad: bool = False) -> None:
        ...
    def __int__(self) -> int:
        ...
    def __invert__(self) -> Tensor:
        ...
    def __iter__(self) -> collections.abc.Iterator[typing.Any]:
        ...
    def __le__(self, other: typing.Any) -> Tensor:
        ...
    def __len__(self) -> int:
        ...
    def __lt__(self, other: typing.Any) -> Tensor:
        ...
    def __matmul__(self, other: typing.Any) -> Tensor:
        ...
    def __mod__(self, arg0: typing.Any) -> typing.Any:
        ...
    def __mul__(self, other: typing.Any) -> Tensor:
        ...
    def __ne__(self, other: typing.Any) -> Tensor:  # type: ignore[override]
        ...
    def __neg__(self) -> Tensor:
        ...
    def __or__(self, arg0: typing.Any) -> typing.Any:
        ...
    def __pos__(self) -> Tensor:
        ...
    def __pow__(self, other: typing.Any) -> Tensor:
        ...
    def __radd__(self, other: typing.Any) -> Tensor:
        ...
    def __rand__(self, arg0: typing.Any) -> typing.Any:
        ...
    def __reduce__(self) -> tuple[type, tuple[numpy.typing.NDArray[typing.Any], bool]]:
        ...
    def __repr__(self) -> str:
        ...
    def __rmatmul__(self, other: typing.Any) -> Tensor:
        ...
    def __rmod__(self, arg0: typing.Any) -> typing.Any:
        ...
    def __rmul__(self, other: typing.Any) -> Tensor:
        ...
    def __ror__(self, arg0: typing.Any) -> typing.Any:
        ...
    def __round__(self, decimals: typing.SupportsIndex | None = None) -> Tensor:
        ...
    def __rpow__(self, other: typing.Any) -> Tensor:
        ...
    def __rsub__(self, other: typing.Any) -> Tensor:
        ...
    def __rtruediv__(self, other: typing.Any) -> Tensor:
        ...
    def __rxor__(self, arg0: typing.Any) -> typing.Any:
        ...
    def __setitem__(self, arg0: typing.Any, arg1: typing.Any) -> None:
        ...
    def __str__(self) -> str:
        ...
    def __sub__(self, other: typing.Any) -> Tensor:
        ...
    def __truediv__(self, other: typing.Any) -> Tensor:
        ...
    def __xor__(self, arg0: typing.Any) -> typing.Any:
        ...
    def _repr_html_(self) -> str:
        ...
    def abs(self) -> Tensor:
        """
        Absolute value; the derivative at 0 is 0.
        """
    def all(self, axis: typing.Any = None, keepdims: bool = False) -> Tensor:
        """
        Whether no element along the axes (all by default) is 0.
        """
    def any(self, axis: typing.Any = None, keepdims: bool = False) -> Tensor:
        """
        Whether any element along the axes (all by default) is not 0.
        """
    def arccos(self) -> Tensor:
        """
        Inverse cosine in radians, between 0 and pi; NaN beyond [-1, 1]. The derivative at 1 and -1 is -inf.
        """
    def arcsin(self) -> Tensor:
        """
        Inverse sine in radians, between -pi/2 and pi/2; NaN beyond [-1, 1]. The derivative at 1 and -1 is inf.
        """
    def arctan(self) -> Tensor:
        """
        Inverse tangent in radians, between -pi/2 and pi/2.
        """
    def argmax(self, axis: typing.SupportsIndex | None = None, keepdims: bool = False) -> Tensor:
        """
        Index of the largest element (the first of equal ones).
        """
    def argmin(self, axis: typing.SupportsIndex | None = None, keepdims: bool = False) -> Tensor:
        """
        Index of the smallest element (the first of equal ones).
        """
    def astype(self, dtype: typing.Any) -> Tensor:
        """
        The values in another dtype.
        """
    def backward(self, gradient: typing.Any = None, retain_graph: bool = False, create_graph: bool = False) -> None:
        """
        Add the derivative of this tensor into .grad of every leaf that requires one.
        gradient: the cotangent to start from, of this tensor's shape; a tensor of one element can do without (it is 1).
        retain_graph: keep what was recorded, for another backward; otherwise it is freed on the way.
        create_graph: record the backward too, so that gradients can be differentiated in turn; keeps the rest as well.
        """
    def ceil(self) -> Tensor:
        """
        Smallest integer not below x, in x's dtype. The derivative is 0.
        """
    def clip(self, low: typing.Any = None, high: typing.Any = None) -> Tensor:
        """
        Values limited to [low, high]: minimum(maximum(x, low), high); None leaves a side open. Bounds that are tensors or
        arrays broadcast, and have gradients.
        """
    def copy_(self, source: typing.Any) -> typing.Self:
        """
        Copy values in, in place: same shape; the dtype is converted. Returns the tensor.
        """
    def cos(self) -> Tensor:
        """
        Cosine of x in radians, accurate at any size; NaN at infinity.
        """
    def cosh(self) -> Tensor:
        """
        Hyperbolic cosine (e^x + e^-x) / 2.
        """
    def cumsum(self, axis: typing.SupportsIndex | None = None) -> Tensor:
        """
        Running sums along the axis, of all elements in a row by default.
        """
    def detach(self) -> Tensor:
        """
        The same values, cut off from what computed them.
        """
    def erf(self) -> Tensor:
        """
        Error function 2/sqrt(pi) int_0^x e^(-t^2) dt.
        """
    def exp(self) -> Tensor:
        """
        Exponential e^x.
        """
    def expand_dims(self, axis: typing.SupportsIndex) -> Tensor:
        """
        With a new axis of size 1.
        """
    def expm1(self) -> Tensor:
        """
        e^x - 1, accurate near 0.
        """
    def flatten(self) -> Tensor:
        """
        All elements along one axis.
        """
    def floor(self) -> Tensor:
        """
        Largest integer not above x, in x's dtype. The derivative is 0.
        """
    def gelu(self) -> Tensor:
        """
        Gaussian error linear unit x Phi(x), exact (Hendrycks and Gimpel, 2016).
        """
    def gelu_tanh(self) -> Tensor:
        """
        GELU by its tanh approximation (Hendrycks and Gimpel, 2016).
        """
    def graph(self) -> Graph:
        """
        The Graph of what was recorded behind this tensor, with the values, and after backward() on it with the gradients.

        Leaves and results carry the names of the caller's variables.
        """
    def isfinite(self) -> Tensor:
        """
        Whether x is neither infinite nor NaN, as bool.
        """
    def isinf(self) -> Tensor:
        """
        Whether x is inf or -inf, as bool.
        """
    def isnan(self) -> Tensor:
        """
        Whether x is NaN, as bool.
        """
    def item(self) -> typing.Any:
        """
        The only element as a Python number.
        """
    def log(self) -> Tensor:
        """
        Natural logarithm; -inf at 0, NaN below.
        """
    def log10(self) -> Tensor:
        """
        Logarithm to base 10.
        """
    def log1p(self) -> Tensor:
        """
        log(1 + x), accurate near 0.
        """
    def log2(self) -> Tensor:
        """
        Logarithm to base 2; exact at powers of 2.
        """
    def log_softmax(self, axis: typing.SupportsIndex = -1) -> Tensor:
        """
        log(softmax(x)) along the axis, without overflow.
        """
    def logsumexp(self, axis: typing.Any = None, keepdims: bool = False) -> Tensor:
        """
        log(sum(e^x)) over the axes, without overflow.
        """
    def max(self, axis: typing.Any = None, keepdims: bool = False) -> Tensor:
        """
        Largest element along the axes; all of them by default.
        """
    def mean(self, axis: typing.Any = None, keepdims: bool = False) -> Tensor:
        """
        Mean over the axes; all of them by default.
        """
    def min(self, axis: typing.Any = None, keepdims: bool = False) -> Tensor:
        """
        Smallest element along the axes; all of them by default.
        """
    def mish(self) -> Tensor:
        """
        x tanh(softplus(x)) (Misra, 2019).
        """
    def negative(self) -> Tensor:
        """
        -x.
        """
    def numpy(self) -> numpy.typing.NDArray[typing.Any]:
        """
        The values as a new NumPy array. A gradient ends there, as in item(), tolist(), float(t) and np.asarray(t).
        """
    def prod(self, axis: typing.Any = None, keepdims: bool = False) -> Tensor:
        """
        Product over the axes; all of them by default.
        """
    def reciprocal(self) -> Tensor:
        """
        1 / x; integers as float64.
        """
    def relu(self) -> Tensor:
        """
        Rectifier max(x, 0); the derivative at 0 is 0.
        """
    def requires_grad_(self, on: bool = True) -> typing.Self:
        """
        Set requires_grad and return the tensor.
        """
    def reshape(self, *args: typing.Any) -> Tensor:
        """
        Another shape of the same size; one size may be -1.
        """
    def retain_grad(self) -> typing.Any:
        """
        Let backward() leave a .grad in this result of an operation, too (leaves have one anyway). Returns the tensor.
        """
    def round(self, decimals: typing.SupportsIndex = 0) -> Tensor:
        """
        Rounded to so many decimals, halves to even; below 0 to tens, hundreds, ...
        """
    def selu(self) -> Tensor:
        """
        s x where x > 0, else s a (e^x - 1); s = 1.0507, a = 1.6733 (Klambauer et al., 2017).
        """
    def sigmoid(self) -> Tensor:
        """
        Logistic function 1 / (1 + e^-x), with sigma' = sigma (1 - sigma).
        """
    def sign(self) -> Tensor:
        """
        -1, 0 or 1; NaN stays NaN. The derivative is 0.
        """
    def silu(self) -> Tensor:
        """
        x sigmoid(x), also called swish (Elfwing et al., 2017).
        """
    def sin(self) -> Tensor:
        """
        Sine of x in radians, accurate at any size; NaN at infinity.
        """
    def sinh(self) -> Tensor:
        """
        Hyperbolic sine (e^x - e^-x) / 2.
        """
    def softmax(self, axis: typing.SupportsIndex = -1) -> Tensor:
        """
        e^x / sum(e^x) along the axis.
        """
    def softplus(self) -> Tensor:
        """
        log(1 + e^x), without overflow; its derivative is sigmoid(x).
        """
    def softsign(self) -> Tensor:
        """
        x / (1 + |x|), between -1 and 1.
        """
    def sqrt(self) -> Tensor:
        """
        Square root; NaN below 0. The derivative at 0 is inf.
        """
    def square(self) -> Tensor:
        """
        x * x.
        """
    def squeeze(self, axis: typing.Any = None) -> Tensor:
        """
        Without the given axes of size 1; without all of them by default.
        """
    def std(self, axis: typing.Any = None, keepdims: bool = False, ddof: typing.SupportsIndex = 0) -> Tensor:
        """
        Standard deviation over the axes, the root of var.
        """
    def sum(self, axis: typing.Any = None, keepdims: bool = False) -> Tensor:
        """
        Sum over the axes; all of them by default.
        """
    def swapaxes(self, axis1: typing.SupportsIndex, axis2: typing.SupportsIndex) -> Tensor:
        """
        Two axes exchanged.
        """
    def take(self, indices: typing.Any, axis: typing.SupportsIndex | None = None) -> Tensor:
        """
        Entries at the indices along the axis, of the flattened tensor by default.
        """
    def tan(self) -> Tensor:
        """
        Tangent of x in radians, accurate at any size; NaN at infinity.
        """
    def tanh(self) -> Tensor:
        """
        Hyperbolic tangent, with tanh' = 1 - tanh^2.
        """
    def tolist(self) -> typing.Any:
        """
        The values as nested Python lists.
        """
    def transpose(self, *args: typing.Any) -> Tensor:
        """
        Axes in the given order; reversed by default.
        """
    def var(self, axis: typing.Any = None, keepdims: bool = False, ddof: typing.SupportsIndex = 0) -> Tensor:
        """
        Variance over the axes, divided by n - ddof.
        """
    def zero_grad(self) -> None:
        """
        Forget the gradient.
        """
    @property
    def T(self) -> Tensor:
        """
        The axes reversed.
        """
    @property
    def dtype(self) -> str:
        """
        Name of the element type.
        """
    @property
    def grad(self) -> Tensor | None:
        """
        The gradient that backward() has added up here, or None. Assigning None forgets it, as zero_grad() does.
        """
    @grad.setter
    def grad(self, arg1: typing.Any) -> None:
        ...
    @property
    def is_leaf(self) -> bool:
        """
        False for the result of a recorded operation, True for any other tensor.
        """
    @property
    def ndim(self) -> int:
        """
        Number of axes.
        """
    @property
    def requires_grad(self) -> bool:
        """
        Whether operations on this tensor are recorded for backward().
        """
    @requires_grad.setter
    def requires_grad(self, arg1: bool) -> None:
        ...
    @property
    def retains_grad(self) -> bool:
        """
        Whether retain_grad() was called on this result.
        """
    @property
    def shape(self) -> tuple[typing.Any, ...]:
        """
        Sizes of the axes.
        """
    @property
    def size(self) -> int:
        """
        Number of elements.
        """
    @property
    def symbolic(self) -> bool:
        """
        Whether it is traced: a place in a graph that has values when the graph runs.
        """
class Parameter(Tensor):
    """
    A tensor that a module trains: it registers itself when assigned to one.
    """
    def __init__(self, value: typing.Any, requires_grad: bool = True) -> None:
        ...
    def numpy(self) -> numpy.typing.NDArray[typing.Any]:
        """
        A read-only view of the values, which shows every later change.
        """
class Graph:
    """
    A recorded computation: what trace(f, ...) or tensor.graph() returns.

    print(graph) is a table with one line per value: name, op with inputs and attributes, shape, dtype, FLOP, bytes that backward keeps, module. In a notebook it is drawn.
    """
    def __len__(self) -> int:
        ...
    def __repr__(self) -> str:
        ...
    def __str__(self) -> str:
        ...
    def _repr_html_(self) -> str:
        ...
    def to_dot(self) -> str:
        """
        The graph in Graphviz's language: a picture for `dot`. Needs nothing installed.

        Modules are frames. Values stand in the boxes where they are known; gradients, in red, in the boxes and on the edges they came by.
        """
    def to_json(self) -> str:
        """
        The graph as JSON text, for other programs: values, nodes, outputs, and what they cost.
        """
    def to_svg(self, path: typing.Any = None) -> str:
        """
        The picture as SVG text, also written to path if one is given. Drawn by Graphviz's program dot; StateError says
        what to install where it is missing. Up to 1000 ops.
        """
    def with_values(self, *args: typing.Any, cotangent: typing.Any = None) -> Graph:
        """
        The same graph run on these arguments, with all values; and all gradients, if it has one output of one element
        or cotangents are given (one per output: a tuple where there are several). No state is changed.
        """
    @property
    def flops(self) -> int:
        """
        Floating-point operations of one run.
        """
    @property
    def gradients(self) -> dict[typing.Any, typing.Any]:
        """
        The known gradients by name: a dict of tensors.
        """
    @property
    def saved_bytes(self) -> int:
        """
        Bytes that backward keeps of one run, each array once; parameters are not counted.
        """
    @property
    def values(self) -> dict[typing.Any, typing.Any]:
        """
        The known values by name: a dict of tensors, empty before with_values.
        """
class Explanation:
    """
    What explain(f, ...) returns: printed, the chain rule for f step by step; in a notebook, a table.
    """
    def __repr__(self) -> str:
        ...
    def __str__(self) -> str:
        ...
    def _repr_html_(self) -> str:
        ...
    @property
    def difference(self) -> float:
        """
        The largest difference between a derivative by the chain rule and the numeric one.
        """
    @property
    def graph(self) -> Graph:
        """
        The Graph of f with values and gradients.
        """
class Module:
    """
    A part of a network, or a whole one. Derive from it, assign layers, nn.Parameter(array) and lists of layers
    in __init__ (no super().__init__() needed), and write forward(self, x).
    """
    @staticmethod
    def __init_subclass__(**kwargs: typing.Any) -> None:
        ...
    def __call__(self, *args: typing.Any) -> typing.Any:
        """
        Run the module on tensors or arrays; returns a tensor, or a tuple where forward returns one.
        """
    def __copy__(self) -> typing.Any:
        ...
    def __deepcopy__(self, memo: dict[typing.Any, typing.Any]) -> typing.Self:
        ...
    def __delattr__(self, name: str) -> None:
        ...
    def __getattr__(self, name: str) -> typing.Any:
        ...
    def __init__(self) -> None:
        ...
    def __reduce__(self) -> tuple[typing.Any, ...]:
        ...
    def __repr__(self) -> str:
        ...
    def __setattr__(self, name: str, value: typing.Any) -> None:
        ...
    def _repr_html_(self) -> str:
        ...
    def _set_group(self, name: str, container: typing.Any) -> None:
        ...
    def astype(self, dtype: typing.Any) -> typing.Self:
        """
        Convert all parameters and buffers in place. Returns the module.
        """
    def buffer(self, name: str, value: typing.Any) -> Tensor:
        """
        Keep an array with the module: saved and copied with it, not trained. Reachable as an attribute.
        """
    def clone(self) -> typing.Self:
        """
        A copy with its own parameters, same values.
        """
    def copy_(self, source: typing.Any) -> typing.Self:
        """
        Take over the values of another module's parameters and buffers, by name and shape. Returns this one.
        """
    def eval(self) -> typing.Self:
        """
        Set eval mode. Returns the module.
        """
    def init(self, seed: typing.Any) -> typing.Self:
        """
        Draw all parameters anew; buffers return to their start. Returns the module.
        """
    def lerp_(self, source: typing.Any, weight: typing.SupportsFloat | typing.SupportsIndex) -> typing.Any:
        """
        Move every parameter by weight * (source - own), by name and shape; buffers are copied. Returns this module.
        """
    def load_state_dict(self, state: dict[typing.Any, typing.Any], layout: str | None = None) -> None:
        """
        Copy values in by name. layout="torch": Linear weights are (out, in) and are transposed; torch tensors need the
        layout to be named. On any difference nothing is changed, and the error lists all of them.
        """
    def named_buffers(self) -> list[typing.Any]:
        """
        (name, tensor) pairs of what is kept but not trained, such as running statistics.
        """
    def named_parameters(self) -> list[typing.Any]:
        """
        (name, parameter) pairs, each parameter once, by its first path.
        """
    def parameters(self) -> list[typing.Any]:
        """
        The parameters as a list, each once.
        """
    def predict(self, x: typing.Any, batch_size: typing.SupportsIndex = 1024, output: str = 'raw') -> typing.Any:
        """
        Outputs for all samples as a NumPy array, in eval mode whatever the flag says. output="proba" gives probabilities
        and "class" labels, by the link of the loss it was trained with. Several inputs are a tuple of arrays, several
        outputs come as one; proba and class are of the first. x may be a source of chainrule.data, read window by window.
        """
    def requires_grad_(self, on: bool = True) -> typing.Self:
        """
        Set requires_grad of all parameters. Returns the module.
        """
    def save(self, path: typing.Any, *, input_shape: typing.Any = None, input_shapes: typing.Any = None) -> None:
        """
        Write the model to a file that Python and C++ load. An existing file is replaced only once the new one is whole. input_shape: of
        one sample, where neither training nor a layer tells it; input_shapes: of several inputs.
        """
    def state_dict(self) -> dict[typing.Any, typing.Any]:
        """
        Copies of all parameters and buffers, by name, as NumPy arrays.
        """
    def summary(self) -> str:
        """
        A table: path, layer, output features, parameters.
        """
    def to_bytes(self, *, input_shape: typing.Any = None, input_shapes: typing.Any = None) -> bytes:
        """
        The bytes of the model file. input_shape and input_shapes: as in save.
        """
    def train(self, on: bool = True) -> typing.Self:
        """
        Set train mode (dropout drops, BatchNorm1d uses batch statistics). Returns the module.
        """
    def zero_grad(self) -> None:
        """
        Forget the gradients of all parameters.
        """
    @property
    def children(self) -> dict[typing.Any, typing.Any]:
        """
        The modules this one is made of, by name.
        """
    @property
    def dtype(self) -> str:
        """
        Element type of the parameters; float32 where there are none.
        """
    @property
    def link(self) -> str:
        """
        How outputs become probabilities or classes: "softmax", "sigmoid", "exp", "probability" or
        "identity"; set by the Trainer from its loss.
        """
    @property
    def schema(self) -> Schema | None:
        """
        The columns of the table a loaded model was trained on, or None.
        """
    @property
    def training(self) -> bool:
        """
        True in train mode, which a new model is in; a loaded one is in eval mode.
        """
    @property
    def training_json(self) -> str:
        """
        How a loaded model was trained, as JSON; "{}" if unknown.
        """
class ProfileRow:
    """
    Instructions that run together: an op and the elementwise chain behind it.
    """
    def __repr__(self) -> str:
        ...
    @property
    def bytes(self) -> float:
        """
        Bytes of all operands, read and written.
        """
    @property
    def flops(self) -> float:
        """
        Floating-point operations per run.
        """
    @property
    def limit(self) -> float:
        """
        Microseconds by arithmetic or memory alone, whichever is longer.
        """
    @property
    def microseconds(self) -> float:
        """
        Median per run.
        """
    @property
    def ops(self) -> str:
        """
        Their names.
        """
    @property
    def scope(self) -> str:
        """
        The layer's path, or an empty text.
        """
    @property
    def shared(self) -> bool:
        """
        Whether a team of threads shares it.
        """
class Profile:
    """
    Where the time of a compiled program goes. Prints as a table.
    """
    def __repr__(self) -> str:
        ...
    def _repr_html_(self) -> str:
        ...
    @property
    def bandwidth(self) -> float:
        """
        Measured copy within the cache on one core, GB/s.
        """
    @property
    def microseconds(self) -> float:
        """
        Of one run: the rows together.
        """
    @property
    def peak(self) -> float:
        """
        Measured multiply-adds of float32 on one core, GFLOP/s.
        """
    @property
    def rows(self) -> list[ProfileRow]:
        """
        One ProfileRow per group of instructions, in order.
        """
    @property
    def runs(self) -> int:
        """
        Runs measured.
        """
    @property
    def threads(self) -> int:
        """
        Threads of the team.
        """
class Compiled:
    """
    A compiled function of tensors.
    """
    def __call__(self, *args: typing.Any, out: typing.Any = None, **kwargs: typing.Any) -> typing.Any:
        ...
    def profile(self, *args: typing.Any, runs: typing.SupportsIndex = 100, **kwargs: typing.Any) -> Profile:
        """
        Where the time of a call with these arguments goes: a Profile, which prints as a table.
        """
class ReLU(Module):
    """
    max(x, 0).
    """
    def __init__(self) -> None:
        ...
class Sigmoid(Module):
    """
    1 / (1 + e^-x).
    """
    def __init__(self) -> None:
        ...
class Tanh(Module):
    """
    Hyperbolic tangent.
    """
    def __init__(self) -> None:
        ...
class SiLU(Module):
    """
    x sigmoid(x).
    """
    def __init__(self) -> None:
        ...
class Softplus(Module):
    """
    log(1 + e^x).
    """
    def __init__(self) -> None:
        ...
class SELU(Module):
    """
    s x where positive, else s a (e^x - 1), s = 1.0507 and a = 1.6733: self-normalizing (Klambauer et al., 2017).
    """
    def __init__(self) -> None:
        ...
class Mish(Module):
    """
    x tanh(log(1 + e^x)) (Misra, 2019).
    """
    def __init__(self) -> None:
        ...
class Softsign(Module):
    """
    x / (1 + |x|).
    """
    def __init__(self) -> None:
        ...
class Hardtanh(Module):
    """
    x held to [min_val, max_val].
    """
    def __init__(self, min_val: typing.SupportsFloat | typing.SupportsIndex = -1.0, max_val: typing.SupportsFloat | typing.SupportsIndex = 1.0) -> None:
        ...
class GLU(Module):
    """
    a sigmoid(b), a and b being the first and the second half of x along an axis (Dauphin et al., 2017): half
    as many features come out.
    """
    def __init__(self, axis: typing.SupportsIndex = -1) -> None:
        ...
class Identity(Module):
    """
    x as it is.
    """
    def __init__(self) -> None:
        ...
class Flatten(Module):
    """
    (batch, ...) to (batch, product of the rest).
    """
    def __init__(self) -> None:
        ...
class LeakyReLU(Module):
    """
    x where positive, else negative_slope * x.
    """
    def __init__(self, negative_slope: typing.SupportsFloat | typing.SupportsIndex = 0.01) -> None:
        ...
class ELU(Module):
    """
    x where positive, else alpha (e^x - 1).
    """
    def __init__(self, alpha: typing.SupportsFloat | typing.SupportsIndex = 1.0) -> None:
        ...
class GELU(Module):
    """
    x Phi(x), exact, or by its tanh approximation with approximate="tanh".
    """
    def __init__(self, approximate: str = 'none') -> None:
        ...
class Softmax(Module):
    """
    e^x / sum(e^x) along an axis.
    """
    def __init__(self, axis: typing.SupportsIndex = -1) -> None:
        ...
class LogSoftmax(Module):
    """
    log(softmax(x)) along an axis.
    """
    def __init__(self, axis: typing.SupportsIndex = -1) -> None:
        ...
class Dropout(Module):
    """
    In train mode zeroes each value with probability p and divides the rest by 1 - p.
    """
    def __init__(self, p: typing.SupportsFloat | typing.SupportsIndex = 0.5) -> None:
        ...
class GaussianNoise(Module):
    """
    In train mode adds to each value a draw from N(0, std^2), a new one in each call; in eval mode x itself.
    Bishop (1995), Training with noise is equivalent to Tikhonov regularization.

    >>> layer = nn.GaussianNoise(0.1)
    >>> y = layer(np.zeros((1000, 100))).numpy()
    >>> float(y.std().round(2)), layer.eval()(np.ones((1, 2))).numpy().tolist()
    (0.1, [[1.0, 1.0]])
    """
    def __init__(self, std: typing.SupportsFloat | typing.SupportsIndex) -> None:
        ...
class Linear(Module):
    """
    y = x W + b with W (in_features, out_features), drawn from U(-1/sqrt(in), 1/sqrt(in)).
    """
    def __init__(self, in_features: typing.SupportsIndex, out_features: typing.SupportsIndex, *, bias: bool = True, dtype: typing.Any = 'float32', seed: typing.Any = None) -> None:
        ...
    @property
    def bias(self) -> Parameter | None:
        """
        The bias, or None.
        """
class LayerNorm(Module):
    """
    Normalizes the last axis: (x - mean) / sqrt(var + eps) * weight + bias.
    """
    def __init__(self, normalized_shape: typing.SupportsIndex, *, eps: typing.SupportsFloat | typing.SupportsIndex = 1e-05, elementwise_affine: bool = True, dtype: typing.Any = 'float32') -> None:
        ...
class BatchNorm1d(Module):
    """
    Normalizes each feature of (N, C) over the batch; in eval mode by running statistics, which move by
    `momentum` per batch.
    """
    def __init__(self, num_features: typing.SupportsIndex, *, eps: typing.SupportsFloat | typing.SupportsIndex = 1e-05, momentum: typing.SupportsFloat | typing.SupportsIndex = 0.1, affine: bool = True, dtype: typing.Any = 'float32') -> None:
        ...
class PReLU(Module):
    """
    x where positive, else weight * x; the weight is learned, one for all features or one for each (He et al.,
    2015).
    """
    def __init__(self, num_parameters: typing.SupportsIndex = 1, *, init: typing.SupportsFloat | typing.SupportsIndex = 0.25, dtype: typing.Any = 'float32') -> None:
        ...
class RMSNorm(Module):
    """
    x / sqrt(mean(x^2) + eps) * weight over the last axis (Zhang and Sennrich, 2019). eps=None: the
    rounding unit of the dtype, as in PyTorch.
    """
    def __init__(self, normalized_shape: typing.SupportsIndex, *, eps: typing.SupportsFloat | typing.SupportsIndex | None = None, elementwise_affine: bool = True, dtype: typing.Any = 'float32') -> None:
        ...
class Embedding(Module):
    """
    A learned row for every category 0 ... num_embeddings - 1, drawn from N(0, 1).

    x (...) holds integers, as such or as floats, since a model converts its inputs; (..., embedding_dim) comes out.
    What is none of the categories is an IndexError. Gradients of a category taken twice add up. The row
    padding_idx starts at 0 and gets no gradient.

    >>> nn.Embedding(10, 3, seed=0)(np.array([[1, 1, 7, 0]])).shape
    (1, 4, 3)
    """
    def __init__(self, num_embeddings: typing.SupportsIndex, embedding_dim: typing.SupportsIndex, padding_idx: typing.SupportsIndex | None = None, *, dtype: typing.Any = 'float32', seed: typing.Any = None) -> None:
        ...
class Sequential(Module):
    """
    Layers one after another; the sizes of neighbours are checked.
    """
    def __getitem__(self, index: typing.SupportsIndex) -> Module:
        ...
    def __init__(self, *args: typing.Any, seed: typing.Any = None) -> None:
        ...
    def __len__(self) -> int:
        ...
class Residual(Module):
    """
    x + inner(x).
    """
    def __init__(self, inner: typing.Any) -> None:
        ...
class Concat(Module):
    """
    Branches side by side: each gets the input, and what they give is joined along an axis.

    Without branches it joins its inputs: nn.Sequential(nn.Parallel(a, b), nn.Concat(), head) takes two.

    >>> nn.Concat(nn.Linear(4, 3), nn.Identity())(np.zeros((5, 4))).shape
    (5, 7)
    """
    def __init__(self, *args: typing.Any, axis: typing.SupportsIndex = -1) -> None:
        ...
class Add(Module):
    """
    The sum of what its branches give, or of its inputs where it has none; shapes are equal.
    """
    def __init__(self, *args: typing.Any) -> None:
        ...
class Multiply(Module):
    """
    The product of what its branches give, or of its inputs where it has none; shapes are equal.
    """
    def __init__(self, *args: typing.Any) -> None:
        ...
class MultiHead(Module):
    """
    Several outputs of one input, for nn.MultiLoss: MultiHead(head1, head2), or by name
    MultiHead({"kind": head1, "size": head2}).

    >>> kind, size = nn.MultiHead(nn.Linear(8, 3), nn.Linear(8, 1))(np.zeros((5, 8)))
    >>> kind.shape, size.shape
    ((5, 3), (5, 1))
    """
    def __init__(self, *args: typing.Any) -> None:
        ...
class Parallel(Module):
    """
    Layer i of input i: takes several inputs, gives several outputs.
    """
    def __init__(self, *args: typing.Any) -> None:
        ...
class Standardizer(Module):
    """
    (x - mean) / scale for each column, scale being the root of the variance (divided by n); 1 where all
    values are equal.

    Trainer.fit fits it on the training rows where it is not fitted yet, and leaves it alone where it is. Its
    statistics are saved with the model.

    >>> layer = nn.Standardizer(1).fit([[1.0], [3.0]])
    >>> layer(np.array([[1.0], [5.0]])).numpy().ravel().tolist()
    [-1.0, 3.0]
    """
    def __init__(self, num_features: typing.SupportsIndex) -> None:
        ...
    def fit(self, X: typing.Any) -> typing.Any:
        """
        Take the statistics of these rows, in double; anew where it was fitted before. Returns the layer. On an error
        nothing changes.
        """
    @property
    def fitted(self) -> bool:
        """
        Whether it has its statistics; else Trainer.fit fits it on the training rows.
        """
class MinMaxScaler(Module):
    """
    Each column's smallest value becomes the low end of feature_range, its largest the high end; equal values
    become the low end.

    Trainer.fit fits it on the training rows where it is not fitted yet, and leaves it alone where it is. Its
    statistics are saved with the model.

    >>> layer = nn.MinMaxScaler(1, feature_range=(-1, 1)).fit([[1.0], [3.0]])
    >>> layer(np.array([[1.0], [2.0], [5.0]])).numpy().ravel().tolist()
    [-1.0, 0.0, 3.0]
    """
    def __init__(self, num_features: typing.SupportsIndex, *, feature_range: tuple[typing.SupportsFloat | typing.SupportsIndex, typing.SupportsFloat | typing.SupportsIndex] = (0.0, 1.0)) -> None:
        ...
    def fit(self, X: typing.Any) -> typing.Any:
        """
        Take the statistics of these rows, in double; anew where it was fitted before. Returns the layer. On an error
        nothing changes.
        """
    @property
    def fitted(self) -> bool:
        """
        Whether it has its statistics; else Trainer.fit fits it on the training rows.
        """
class Imputer(Module):
    """
    NaN becomes the column's "mean", "median", "most_frequent" value (of several the smallest) or fill_value with
    strategy="constant", which needs no fit. add_indicator: behind the columns one more for each, 1 where a value
    was missing.

    Trainer.fit fits it on the training rows where it is not fitted yet, and leaves it alone where it is. Its
    statistics are saved with the model.

    >>> layer = nn.Imputer(1, strategy="median", add_indicator=True).fit([[1.0], [np.nan], [4.0]])
    >>> layer(np.array([[np.nan], [7.0]])).numpy().tolist()
    [[2.5, 1.0], [7.0, 0.0]]
    """
    def __init__(self, num_features: typing.SupportsIndex, *, strategy: str = 'mean', fill_value: typing.SupportsFloat | typing.SupportsIndex = 0.0, add_indicator: bool = False) -> None:
        ...
    def fit(self, X: typing.Any) -> typing.Any:
        """
        Take the statistics of these rows, in double; anew where it was fitted before. Returns the layer. On an error
        nothing changes.
        """
    @property
    def fitted(self) -> bool:
        """
        Whether it has its statistics; else Trainer.fit fits it on the training rows.
        """
class OneHot(Module):
    """
    Every column becomes one column per category: OneHot([3, 5]) for two columns of at most 3 and 5 categories,
    which fit finds (ascending), or OneHot([[0, 1, 2], [10, 20]]) with the categories themselves.
    handle_unknown: "error", an IndexError; or "ignore", zeros.

    Trainer.fit fits it on the training rows where it is not fitted yet, and leaves it alone where it is. Its
    statistics are saved with the model.

    >>> layer = nn.OneHot([3]).fit([[7], [2], [5]])
    >>> layer(np.array([[5]])).numpy().tolist()
    [[0.0, 1.0, 0.0]]
    """
    def __init__(self, categories: typing.Any, *, handle_unknown: str = 'error') -> None:
        ...
    def fit(self, X: typing.Any) -> typing.Any:
        """
        Take the statistics of these rows, in double; anew where it was fitted before. Returns the layer. On an error
        nothing changes.
        """
    @property
    def fitted(self) -> bool:
        """
        Whether it has its statistics; else Trainer.fit fits it on the training rows.
        """
class Columns(Module):
    """
    These columns of the last axis, in this order: for branches that treat columns differently.

    >>> nn.Columns([2, 0])(np.array([[1, 2, 3]])).numpy().tolist()
    [[3, 1]]
    """
    def __init__(self, columns: collections.abc.Sequence[typing.SupportsIndex]) -> None:
        ...
class Loss:
    """
    A loss: loss(output, target) is a scalar tensor, or one value per sample with reduction="none".
    """
    def __call__(self, output: typing.Any, target: typing.Any, sample_weight: typing.Any = None) -> Tensor:
        """
        The loss of these outputs, class axis last; with sample_weight the mean is sum(w l) / sum(w).
        """
    def __copy__(self) -> Loss:
        ...
    def __init__(self, function: typing.Any) -> None:
        """
        A loss from any function of (output, target) that returns a scalar or one value per sample.
        """
    def __reduce__(self) -> tuple[typing.Any, ...]:
        ...
    def __repr__(self) -> str:
        ...
    @property
    def link(self) -> str:
        """
        How outputs become probabilities or classes.
        """
    @property
    def reduction(self) -> str:
        """
        "mean", "sum" or "none".
        """
class Schedule:
    """
    A learning rate for every step, or with per="epoch" for every epoch, counted from 0: s(t).

    >>> from chainrule import schedules
    >>> s = schedules.Cosine(0.1, steps=100)
    >>> s(0), round(s(50), 3), s(100)
    (0.1, 0.05, 0.0)
    >>> optimizer = optim.SGD(lr=s, momentum=0.9)
    """
    def __call__(self, t: typing.SupportsIndex) -> float:
        """
        The rate of step or epoch t. ValueError: t is negative, or the rate is negative or not finite.
        """
    def __copy__(self) -> Schedule:
        ...
    def __eq__(self, arg0: typing.Any) -> bool:
        ...
    def __hash__(self) -> int:
        ...
    def __init__(self, function: typing.Any, per: str = 'step') -> None:
        """
        A schedule from any function of the step, or of the epoch with per="epoch". An optimizer takes the function itself,
        too. It is called once for t = 0 when made, and before each stretch of training.
        """
    def __reduce__(self) -> tuple[typing.Any, ...]:
        ...
    def __repr__(self) -> str:
        ...
    @property
    def per(self) -> str:
        """
        What it counts: "step" or "epoch".
        """
class ParameterGroup:
    """
    Parameters that move by the same arguments: one of optimizer.groups.
    """
    def __repr__(self) -> str:
        ...
    @property
    def arguments(self) -> dict[typing.Any, typing.Any]:
        """
        All arguments that these parameters move by, as a dict.
        """
    @property
    def lr(self) -> float:
        """
        The learning rate of the next step. Set to a number or a schedule, the group has a rate of its own from then on,
        which no lr_scale multiplies.
        """
    @lr.setter
    def lr(self, arg1: float | Schedule | collections.abc.Callable[[int], float]) -> None:
        ...
    @property
    def name(self) -> str:
        """
        The patterns that its parameters fit, or the group's place in the list; empty for all others.
        """
    @property
    def parameters(self) -> list[typing.Any]:
        """
        What it moves.
        """
class Optimizer:
    """
    Moves parameters against their gradients. Without parameters it is a recipe that a Trainer copies.

    Some parameters may move by other arguments: those of a Trainer's model by groups={"*.bias": {"weight_decay": 0.0}}, patterns
    of their names as shells have them, of which all that fit count, the later ones more; by hand by a list of dicts in the place
    of params, [{"params": [...], "lr": 1e-4}, ...]. Beside the optimizer's own arguments a group takes lr_scale, a factor of the
    rate, and freeze=True, which is requires_grad_(False). decay_bias_and_norm=False: no weight_decay for parameters of fewer than
    two axes.

    >>> model = nn.MLP([2, 8, 1], seed=0)
    >>> recipe = optim.AdamW(lr=1e-2, groups={"0.*": {"freeze": True}}, decay_bias_and_norm=False)
    >>> trainer = cr.Trainer(model, nn.MSELoss(), recipe)
    >>> [p.requires_grad for p in model.parameters()]
    [False, False, True, True]
    """
    def __copy__(self) -> typing.Any:
        ...
    def __deepcopy__(self, memo: dict[typing.Any, typing.Any]) -> typing.Self:
        ...
    def __reduce__(self) -> tuple[typing.Any, ...]:
        ...
    def __repr__(self) -> str:
        ...
    def load_state_dict(self, state: dict[typing.Any, typing.Any]) -> None:
        """
        Put back what state_dict() gave.
        """
    def observe(self, value: typing.SupportsFloat | typing.SupportsIndex) -> None:
        """
        Show ReduceOnPlateau the value it watches, at the end of an epoch; a Trainer does so by itself.
        """
    def recipe(self) -> Optimizer:
        """
        The same arguments without parameters and state.
        """
    def state_dict(self) -> dict[typing.Any, typing.Any]:
        """
        Copies of its state, by name.
        """
    def step(self, closure: typing.Any = None) -> typing.Any:
        """
        Move every parameter that has a gradient. closure, which LBFGS needs and others take: a function that computes the
        loss, calls backward() on it and returns it; for LevenbergMarquardt one that returns the residuals. The loss before
        the update is then returned.
        """
    def zero_grad(self) -> None:
        """
        Forget the gradients.
        """
    @property
    def epoch(self) -> int:
        """
        What schedules with per="epoch" count; a Trainer sets it, by hand it is yours to set.
        """
    @epoch.setter
    def epoch(self, arg1: typing.SupportsIndex) -> None:
        ...
    @property
    def groups(self) -> list[ParameterGroup]:
        """
        The parameters by the arguments they move by, a list of ParameterGroups; one where groups were not given.

        >>> model = nn.MLP([2, 8, 1], seed=0)
        >>> opt = optim.AdamW([{"params": model[0].parameters(), "lr": 1e-4},
        ...                    {"params": model[2].parameters()}], lr=1e-2)
        >>> [group.lr for group in opt.groups]
        [0.0001, 0.01]
        >>> opt.groups[0].lr = 1e-3
        """
    @property
    def is_driver(self) -> bool:
        """
        Whether a step looks at the loss more than once: LBFGS and LevenbergMarquardt. They want the whole set as one batch.
        """
    @property
    def lr(self) -> float:
        """
        The learning rate of the next step. Can be set at any time, to a number, a schedule or a function of the step.
        """
    @lr.setter
    def lr(self, arg1: float | Schedule | collections.abc.Callable[[int], float]) -> None:
        ...
    @property
    def parameters(self) -> list[typing.Any]:
        """
        What it moves.
        """
    @property
    def schedule(self) -> typing.Any:
        """
        The schedule that lr follows, or None.
        """
    @property
    def step_count(self) -> int:
        """
        Steps taken.
        """
class SGD(Optimizer):
    """
    Gradient descent, with momentum and Nesterov's step if wanted.
    """
    def __init__(self, params: typing.Any = None, *, lr: float | Schedule | collections.abc.Callable[[int], float] = 0.001, momentum: typing.SupportsFloat | typing.SupportsIndex = 0.0, dampening: typing.SupportsFloat | typing.SupportsIndex = 0.0, weight_decay: typing.SupportsFloat | typing.SupportsIndex = 0.0, nesterov: bool = False, maximize: bool = False, groups: typing.Any = None, decay_bias_and_norm: bool = True) -> None:
        ...
class Adagrad(Optimizer):
    """
    Steps divided by the root of all squared gradients so far (Duchi et al., 2011).
    """
    def __init__(self, params: typing.Any = None, *, lr: float | Schedule | collections.abc.Callable[[int], float] = 0.01, lr_decay: typing.SupportsFloat | typing.SupportsIndex = 0.0, weight_decay: typing.SupportsFloat | typing.SupportsIndex = 0.0, initial_accumulator_value: typing.SupportsFloat | typing.SupportsIndex = 0.0, eps: typing.SupportsFloat | typing.SupportsIndex = 1e-10, maximize: bool = False, groups: typing.Any = None, decay_bias_and_norm: bool = True) -> None:
        ...
class RMSprop(Optimizer):
    """
    Steps divided by the root of a running mean of squared gradients (Hinton, 2012).
    """
    def __init__(self, params: typing.Any = None, *, lr: float | Schedule | collections.abc.Callable[[int], float] = 0.01, alpha: typing.SupportsFloat | typing.SupportsIndex = 0.99, eps: typing.SupportsFloat | typing.SupportsIndex = 1e-08, weight_decay: typing.SupportsFloat | typing.SupportsIndex = 0.0, momentum: typing.SupportsFloat | typing.SupportsIndex = 0.0, centered: bool = False, maximize: bool = False, groups: typing.Any = None, decay_bias_and_norm: bool = True) -> None:
        ...
class Adam(Optimizer):
    """
    Adam (Kingma and Ba, 2015); weight_decay is L2, added to the gradient.
    """
    def __init__(self, params: typing.Any = None, *, lr: float | Schedule | collections.abc.Callable[[int], float] = 0.001, betas: tuple[typing.SupportsFloat | typing.SupportsIndex, typing.SupportsFloat | typing.SupportsIndex] = (0.9, 0.999), eps: typing.SupportsFloat | typing.SupportsIndex = 1e-08, weight_decay: typing.SupportsFloat | typing.SupportsIndex = 0.0, amsgrad: bool = False, maximize: bool = False, groups: typing.Any = None, decay_bias_and_norm: bool = True) -> None:
        ...
class AdamW(Optimizer):
    """
    Adam with decoupled weight decay (Loshchilov and Hutter, 2019).
    """
    def __init__(self, params: typing.Any = None, *, lr: float | Schedule | collections.abc.Callable[[int], float] = 0.001, betas: tuple[typing.SupportsFloat | typing.SupportsIndex, typing.SupportsFloat | typing.SupportsIndex] = (0.9, 0.999), eps: typing.SupportsFloat | typing.SupportsIndex = 1e-08, weight_decay: typing.SupportsFloat | typing.SupportsIndex = 0.01, amsgrad: bool = False, maximize: bool = False, groups: typing.Any = None, decay_bias_and_norm: bool = True) -> None:
        ...
class Adadelta(Optimizer):
    """
    Steps as long as the running mean of earlier ones: it knows no unit and needs no rate (Zeiler, 2012).
    """
    def __init__(self, params: typing.Any = None, *, lr: float | Schedule | collections.abc.Callable[[int], float] = 1.0, rho: typing.SupportsFloat | typing.SupportsIndex = 0.9, eps: typing.SupportsFloat | typing.SupportsIndex = 1e-06, weight_decay: typing.SupportsFloat | typing.SupportsIndex = 0.0, maximize: bool = False, groups: typing.Any = None, decay_bias_and_norm: bool = True) -> None:
        ...
class Adamax(Optimizer):
    """
    Adam with the largest gradient, slowly forgotten, in place of the root mean square (Kingma and Ba, 2015).
    """
    def __init__(self, params: typing.Any = None, *, lr: float | Schedule | collections.abc.Callable[[int], float] = 0.002, betas: tuple[typing.SupportsFloat | typing.SupportsIndex, typing.SupportsFloat | typing.SupportsIndex] = (0.9, 0.999), eps: typing.SupportsFloat | typing.SupportsIndex = 1e-08, weight_decay: typing.SupportsFloat | typing.SupportsIndex = 0.0, maximize: bool = False, groups: typing.Any = None, decay_bias_and_norm: bool = True) -> None:
        ...
class NAdam(Optimizer):
    """
    Adam with Nesterov's momentum (Dozat, 2016); weight_decay is L2 unless decoupled_weight_decay.
    """
    def __init__(self, params: typing.Any = None, *, lr: float | Schedule | collections.abc.Callable[[int], float] = 0.002, betas: tuple[typing.SupportsFloat | typing.SupportsIndex, typing.SupportsFloat | typing.SupportsIndex] = (0.9, 0.999), eps: typing.SupportsFloat | typing.SupportsIndex = 1e-08, weight_decay: typing.SupportsFloat | typing.SupportsIndex = 0.0, momentum_decay: typing.SupportsFloat | typing.SupportsIndex = 0.004, decoupled_weight_decay: bool = False, maximize: bool = False, groups: typing.Any = None, decay_bias_and_norm: bool = True) -> None:
        ...
class RAdam(Optimizer):
    """
    Adam that warms up by itself: rates adapt once their variance is known (Liu et al., 2020); weight_decay is L2
    unless decoupled_weight_decay.
    """
    def __init__(self, params: typing.Any = None, *, lr: float | Schedule | collections.abc.Callable[[int], float] = 0.001, betas: tuple[typing.SupportsFloat | typing.SupportsIndex, typing.SupportsFloat | typing.SupportsIndex] = (0.9, 0.999), eps: typing.SupportsFloat | typing.SupportsIndex = 1e-08, weight_decay: typing.SupportsFloat | typing.SupportsIndex = 0.0, decoupled_weight_decay: bool = False, maximize: bool = False, groups: typing.Any = None, decay_bias_and_norm: bool = True) -> None:
        ...
class Lion(Optimizer):
    """
    Steps of length lr by the sign of an interpolated momentum, one state per weight (Chen et al., 2023). Wants a lr
    3 to 10 times smaller than AdamW's and a weight_decay, decoupled, as much larger.
    """
    def __init__(self, params: typing.Any = None, *, lr: float | Schedule | collections.abc.Callable[[int], float] = 0.0001, betas: tuple[typing.SupportsFloat | typing.SupportsIndex, typing.SupportsFloat | typing.SupportsIndex] = (0.9, 0.99), weight_decay: typing.SupportsFloat | typing.SupportsIndex = 0.0, maximize: bool = False, groups: typing.Any = None, decay_bias_and_norm: bool = True) -> None:
        ...
class LBFGS(Optimizer):
    """
    Quasi-Newton steps from the last gradients (Liu and Nocedal, 1989), for the whole set as one batch; step takes a
    closure. line_search_fn="strong_wolfe" finds the length of each step; without it, it is lr.

    >>> p = cr.tensor([-1.2, 1.0], dtype="float64", requires_grad=True)
    >>> opt = optim.LBFGS([p], line_search_fn="strong_wolfe")
    >>> def closure():
    ...     opt.zero_grad()
    ...     loss = (1 - p[0]) ** 2 + 100 * (p[1] - p[0] ** 2) ** 2
    ...     loss.backward()
    ...     return loss
    >>> losses = [opt.step(closure) for _ in range(3)]
    >>> bool(np.abs(p.numpy() - 1).max() < 1e-3)
    True
    """
    def __init__(self, params: typing.Any = None, *, lr: float | Schedule | collections.abc.Callable[[int], float] = 1.0, max_iter: typing.SupportsIndex = 20, max_eval: typing.SupportsIndex | None = None, tolerance_grad: typing.SupportsFloat | typing.SupportsIndex = 1e-07, tolerance_change: typing.SupportsFloat | typing.SupportsIndex = 1e-09, history_size: typing.SupportsIndex = 100, line_search_fn: str | None = None) -> None:
        ...
class LevenbergMarquardt(Optimizer):
    """
    Damped Gauss-Newton steps on a sum of squares (Hagan and Menhaj, 1994), for up to a few thousand parameters in
    float64: with a Trainer and MSELoss, or by hand with a function of the residuals.

    >>> t = np.linspace(0, 2, 20)
    >>> p = cr.tensor([1.0, 1.0], dtype="float64", requires_grad=True)
    >>> opt = optim.LevenbergMarquardt([p])
    >>> for _ in range(10):
    ...     loss = opt.step(lambda: p[0] * cr.exp(-p[1] * t) - 3 * np.exp(-0.5 * t))
    >>> print(np.round(p.numpy(), 6))
    [3.  0.5]
    """
    def __init__(self, params: typing.Any = None, *, damping: typing.SupportsFloat | typing.SupportsIndex = 0.001, increase: typing.SupportsFloat | typing.SupportsIndex = 10.0, decrease: typing.SupportsFloat | typing.SupportsIndex = 0.1, max_damping: typing.SupportsFloat | typing.SupportsIndex = 10000000000.0) -> None:
        ...
class History:
    """
    What happened in each epoch: history["loss"] is a list; printed, it is a table.
    """
    @typing.overload
    def __contains__(self, name: str) -> bool:
        ...
    @typing.overload
    def __contains__(self, name: typing.Any) -> bool:
        ...
    def __getitem__(self, name: str) -> list[typing.Any]:
        ...
    def __getstate__(self) -> tuple[list[tuple[str, list[float]]], str]:
        ...
    def __iter__(self) -> collections.abc.Iterator[typing.Any]:
        ...
    def __len__(self) -> int:
        ...
    def __repr__(self) -> str:
        ...
    def __setstate__(self, arg0: tuple[typing.Any, ...]) -> None:
        ...
    def __str__(self) -> str:
        ...
    def _repr_html_(self) -> str:
        ...
    def get(self, name: str, default: typing.Any = None) -> typing.Any:
        """
        A column, or the default where it is not there.
        """
    def items(self) -> list[typing.Any]:
        """
        (name, column) pairs.
        """
    def keys(self) -> list[typing.Any]:
        """
        The names of the columns.
        """
    def plot(self, path: typing.Any, *, metric: typing.Any = None, title: str = '') -> None:
        """
        Write a PNG of the loss, and beside it a metric (the first there is), over the epochs. Needs matplotlib.
        """
    def to_csv(self, path: typing.Any) -> None:
        """
        Write a table: a line per epoch.
        """
    def to_dict(self) -> dict[typing.Any, typing.Any]:
        """
        A dict of lists.
        """
    def to_json(self, path: typing.Any = None) -> str:
        """
        The columns as JSON, also written to a file where a path is given.
        """
    def to_pandas(self) -> typing.Any:
        """
        A pandas DataFrame, epochs from 1 as its index.
        """
    def values(self) -> list[typing.Any]:
        """
        The columns.
        """
    @property
    def epochs(self) -> int:
        """
        Number of epochs.
        """
    @property
    def stopped(self) -> str:
        """
        Why training ended early, or an empty string.
        """
class Trainer:
    """
    Fits a model to data through one compiled step.

    >>> model = nn.MLP([2, 16, 1], seed=0)
    >>> precision = "bf16" if cr.has_bf16() else "float32"
    >>> trainer = cr.Trainer(model, nn.MSELoss(), optim.Adam(lr=0.02), precision=precision)
    >>> history = trainer.fit([[0.0, 1.0], [1.0, 2.0]], [[1.0], [3.0]], epochs=100)
    >>> history["loss"][-1] < 0.01
    True
    """
    def __copy__(self) -> Trainer:
        ...
    def __getstate__(self) -> tuple[typing.Any, ...]:
        ...
    def __init__(self, model: typing.Any, loss: typing.Any, optimizer: typing.Any, *, metrics: typing.Any = (), clip_norm: typing.SupportsFloat | typing.SupportsIndex | None = None, clip_value: typing.SupportsFloat | typing.SupportsIndex | None = None, accumulate: typing.SupportsIndex = 1, l1: typing.SupportsFloat | typing.SupportsIndex = 0.0, max_norm: typing.SupportsFloat | typing.SupportsIndex | None = None, mixup: typing.SupportsFloat | typing.SupportsIndex = 0.0, seed: typing.Any = 0, precision: str = 'float32') -> None:
        """
        metrics: names as in chainrule.metrics ("accuracy", "f1_macro", "top_5_accuracy", "r2", ...) or functions
        m(output, target) on whole-set NumPy arrays.
        clip_norm: largest norm of all gradients together. clip_value: largest element of each, in its place.
        accumulate: batches per update, which is that of one batch of all their samples; the last of an epoch may have fewer.
        seed: keys shuffling and dropout.
        l1: times the sum of |w| over all parameters of two or more axes, it joins the objective (not the loss that is reported).
        max_norm: after each update, the incoming weights of a unit (a column of a matrix) are scaled down to this norm where theirs is
        above it (Srivastava et al., 2014, Dropout). mixup: above 0, each sample of a batch is mixed with the one at the mirrored place,
        m x + (1 - m) x', and so is its loss, with one m for each step from Beta(mixup, mixup) (Zhang et al., 2018, mixup).
        precision: "float32", or "bf16" on processors with AMX: training steps round the operands of matrix products to
        bfloat16 and sum in float32; parameters, gradients, optimizer, evaluation and prediction stay float32. Raises
        StateError where has_bf16() is False, DTypeError for a model that is not float32.
        """
    def __repr__(self) -> str:
        ...
    def __setstate__(self, arg0: tuple[typing.Any, ...]) -> None:
        ...
    def diagnose(self, X: typing.Any, y: typing.Any) -> Diagnosis:
        """
        Norms of all parameters and gradients, and dead units by layer: a Diagnosis, which prints as a table. It warns of inf and
        NaN, of layers with more than half of their units dead (no sample gives them a gradient), and of vanishing (below 1e-4 of
        the largest layer's) and exploding (100 times the parameter's norm) gradients.

        >>> trainer = cr.Trainer(nn.MLP([2, 8, 1], seed=0), nn.MSELoss(), optim.SGD(lr=0.1))
        >>> trainer.diagnose([[0.0, 1.0], [1.0, 2.0]], [[1.0], [3.0]]).warnings
        []
        """
    def evaluate(self, X: typing.Any, y: typing.Any = None, batch_size: typing.SupportsIndex = 1024) -> dict[str, float]:
        """
        Loss and metrics on a whole set, (X, y) or a source alone, in eval mode, as a dict of floats.
        """
    def fit(self, X: typing.Any, y: typing.Any = None, *, epochs: typing.SupportsIndex = 1, batch_size: typing.SupportsIndex = 32, shuffle: bool = True, validation_data: typing.Any = None, validation_split: typing.SupportsFloat | typing.SupportsIndex = 0.0, sample_weight: typing.Any = None, class_weight: str | collections.abc.Mapping[typing.SupportsIndex, typing.SupportsFloat | typing.SupportsIndex] | None = None, sampler: typing.Any = None, callbacks: typing.Any = (), seed: typing.Any = None, progress: typing.Any = 'auto', resume_from: typing.Any = None) -> History:
        """
        Train on X and y, or on a source of chainrule.data alone, for some epochs and return their History. A second call goes on where the first ended; Ctrl-C ends training
        at the next batch and leaves a usable model. sampler: which rows an epoch takes, a data.WeightedSampler, a
        data.StratifiedSampler or an object with a method order(seed, epoch) that gives row numbers. class_weight: weights by label, {0: 1.0, 1: 5.0}, or "balanced": n / (classes * count of the class), of the rows trained on, as in scikit-learn.
        callbacks: of chainrule.callbacks, or functions of the FitState that are
        called at the end of every epoch. progress: "auto" (a bar on a terminal), True, False, "log" (a line per
        epoch), or a function of the reports. resume_from: a checkpoint of callbacks.Checkpoint, or a folder of them, whose
        newest whole one is taken: the fit goes on from there, up to `epochs` in all, and ends with the bits of one that was
        never interrupted. "auto": from the folder of the Checkpoint among the callbacks if there is one in it, else from the
        beginning. Model, Trainer, data and arguments must be as they were; ValueError lists what is not.
        """
    def gradients(self, X: typing.Any, y: typing.Any, *, train: bool = True) -> dict[typing.Any, typing.Any]:
        """
        The gradients of the mean loss over all rows, by parameter; nothing is updated. Frozen parameters and those the loss
        does not reach are not among them. train=False: as in eval mode, without dropout.

        >>> trainer = cr.Trainer(nn.Linear(2, 1, seed=0), nn.MSELoss(), optim.SGD(lr=0.1))
        >>> sorted(trainer.gradients([[0.0, 1.0], [1.0, 2.0]], [[1.0], [3.0]]))
        ['bias', 'weight']
        """
    def load_state_dict(self, state: dict[typing.Any, typing.Any]) -> None:
        """
        Put back what state_dict() gave.
        """
    def lr_find(self, X: typing.Any, y: typing.Any = None, *, start: typing.SupportsFloat | typing.SupportsIndex = 1e-07, end: typing.SupportsFloat | typing.SupportsIndex = 10.0, steps: typing.SupportsIndex = 100, batch_size: typing.SupportsIndex = 32) -> RateRange:
        """
        The range test (L. N. Smith, Cyclical learning rates, 2017): a step at each of `steps` rates from start to end, until
        the loss runs away; then everything is put back. The result has rates, losses, a suggestion (where the loss falls most
        steeply) and plot(path). A step is an update, of `accumulate` batches. StateError where a group of parameters has an lr of its own.

        >>> X, y = cr.datasets.load_digits(split="test")
        >>> trainer = cr.Trainer(nn.MLP([64, 32, 10], seed=0), nn.CrossEntropyLoss(), optim.Adam())
        >>> found = trainer.lr_find(X, y)
        >>> 1e-4 < found.suggestion < 1
        True
        """
    def overfit_one_batch(self, X: typing.Any, y: typing.Any = None, *, batch_size: typing.SupportsIndex = 32, steps: typing.SupportsIndex = 200) -> OverfitCheck:
        """
        Train on the first rows only, and then put everything back: a model, loss and optimizer that belong together learn
        them by heart. The result says whether the loss fell below 5 % of the first. A step is an update; mixup stays on,
        which no model learns by heart.

        >>> trainer = cr.Trainer(nn.MLP([2, 16, 1], seed=0), nn.MSELoss(), optim.Adam(lr=0.02))
        >>> trainer.overfit_one_batch([[0.0, 1.0], [1.0, 2.0]], [[1.0], [3.0]]).passed
        True
        """
    def predict(self, X: typing.Any, batch_size: typing.SupportsIndex = 1024, output: str = 'raw') -> typing.Any:
        """
        As model.predict.
        """
    def profile(self, X: typing.Any, y: typing.Any, *, batch_size: typing.SupportsIndex = 32, runs: typing.SupportsIndex = 100) -> Profile:
        """
        Where the time of a training step goes: a Profile, which prints as a table. Trains `runs` steps on the first
        batches of X and y, and then puts parameters, states and counters back.
        """
    def reset(self) -> None:
        """
        Forget optimizer state, counters and the position in the stream; weights stay.
        """
    def state_dict(self) -> dict[typing.Any, typing.Any]:
        """
        Copies of the optimizer's state and of the position in the stream of samples, by name. With the model's own
        state_dict, training goes on where it was.
        """
    def step(self, xb: typing.Any, yb: typing.Any, sample_weight: typing.Any = None) -> float:
        """
        One step on one batch; the loss before the update. With accumulate=k every k-th call updates.
        """
    @property
    def global_step(self) -> int:
        """
        Steps taken.
        """
    @property
    def history(self) -> History:
        """
        The History of the last fit, also of one that an error or Ctrl-C has ended.
        """
    @property
    def loss(self) -> Loss:
        """
        The loss.
        """
    @property
    def model(self) -> Module:
        """
        The model.
        """
    @property
    def optimizer(self) -> Optimizer:
        """
        Its own optimizer.
        """
class ParameterHealth:
    """
    A parameter in a Diagnosis.
    """
    def __repr__(self) -> str:
        ...
    @property
    def dead(self) -> int:
        """
        Those of them that no sample gives a gradient.
        """
    @property
    def gradient_norm(self) -> float:
        """
        That of its gradient.
        """
    @property
    def name(self) -> str:
        ...
    @property
    def shape(self) -> tuple[typing.Any, ...]:
        ...
    @property
    def units(self) -> int:
        """
        Columns of a layer's matrix; 0 for other parameters.
        """
    @property
    def weight_norm(self) -> float:
        """
        Its Euclidean norm.
        """
class Diagnosis:
    """
    What trainer.diagnose found. Prints as a table, with warnings under it.
    """
    def __repr__(self) -> str:
        ...
    def __str__(self) -> str:
        ...
    def _repr_html_(self) -> str:
        ...
    @property
    def loss(self) -> float:
        ...
    @property
    def parameters(self) -> list[ParameterHealth]:
        """
        One ParameterHealth each.
        """
    @property
    def warnings(self) -> list[str]:
        """
        One line each; it begins with the parameter's name.
        """
class OverfitCheck:
    """
    What trainer.overfit_one_batch found.
    """
    def __repr__(self) -> str:
        ...
    @property
    def losses(self) -> list[float]:
        """
        Before each step.
        """
    @property
    def passed(self) -> bool:
        """
        Whether the last is below 5 % of the first.
        """
class RateRange:
    """
    What trainer.lr_find found.
    """
    def __repr__(self) -> str:
        ...
    def plot(self, path: typing.Any) -> None:
        """
        Write a PNG of the losses over the rates. ImportError where matplotlib is not installed.
        """
    @property
    def losses(self) -> list[float]:
        """
        Of the step at each rate.
        """
    @property
    def rates(self) -> list[float]:
        ...
    @property
    def smoothed(self) -> list[float]:
        """
        Their running mean.
        """
    @property
    def suggestion(self) -> float:
        """
        Where the smoothed loss falls most steeply, before its lowest; NaN where it does not fall.
        """
class FitState:
    """
    A running fit, as callbacks and progress functions see it. Kept beyond its end, its numbers stay and its calls raise
    StateError.
    """
    def __repr__(self) -> str:
        ...
    def log(self, name: str, value: typing.SupportsFloat | typing.SupportsIndex) -> None:
        """
        Set a column of this epoch's row: as it is at the end of the epoch, or what the last batch said.
        """
    def stop(self, reason: str, *, for_good: bool = False) -> None:
        """
        End training after this call; history.stopped gives the reason. The first one stands. Resumed from a checkpoint, the fit goes
        on, or with for_good, as after EarlyStopping, stays ended.
        """
    def value(self, column: str) -> float:
        """
        A value of the last finished epoch's row.
        """
    @property
    def batch(self) -> int:
        """
        Finished batches of this epoch.
        """
    @property
    def batches(self) -> int:
        ...
    @property
    def columns(self) -> list[str]:
        """
        The columns that every row of the history has.
        """
    @property
    def epoch(self) -> int:
        """
        Counts from 1; 0 before the first.
        """
    @property
    def epoch_end(self) -> bool:
        ...
    @property
    def epochs(self) -> int:
        ...
    @property
    def history(self) -> History:
        """
        A copy of the history so far, at the end of an epoch with its row.
        """
    @property
    def loss(self) -> float:
        """
        Running mean of this epoch.
        """
    @property
    def lr(self) -> float:
        """
        The learning rate that this epoch began with.
        """
    @property
    def model(self) -> Module:
        """
        What is validated, and what the trained model becomes when fit ends: the averages of EMA or SWA where there are any, else
        the trainer's model.
        """
    @property
    def resumed_from(self) -> str:
        """
        The checkpoint that this fit goes on from, or "".
        """
    @property
    def row(self) -> dict[typing.Any, typing.Any]:
        """
        The last finished epoch's values, by name.
        """
    @property
    def samples_per_second(self) -> float:
        ...
    @property
    def trainer(self) -> Trainer:
        """
        The Trainer.
        """
class BuiltinCallback:
    """
    A callback written in C++.
    """
class EarlyStopping(BuiltinCallback):
    """
    Ends training when a column of the history has not improved by more than min_delta for `patience` epochs.
    mode: "min", "max", or "auto", which tells by the column's name. restore_best: when fit ends, however it ends, the model
    gets the parameters and buffers of its best epoch. Prechelt, Early stopping - but when? (1998).

    >>> X, y = np.eye(8, dtype="f4"), np.arange(8) % 2
    >>> trainer = cr.Trainer(nn.MLP([8, 8, 2], seed=0), nn.CrossEntropyLoss(), optim.Adam(lr=0.1))
    >>> stop = cr.callbacks.EarlyStopping(monitor="loss", patience=2, min_delta=0.01)
    >>> history = trainer.fit(X, y, epochs=100, callbacks=[stop])
    >>> history.epochs < 100 and stop.best_epoch == history.epochs - 2
    True
    """
    def __getstate__(self) -> tuple[str, int, float, str, bool]:
        ...
    def __init__(self, *, monitor: str = 'val_loss', patience: typing.SupportsIndex = 10, min_delta: typing.SupportsFloat | typing.SupportsIndex = 0.0, mode: str = 'auto', restore_best: bool = True) -> None:
        """
        patience: epochs without an improvement. Raises ValueError for unknown modes, and at the start of a fit whose history
        has no such column.
        """
    def __repr__(self) -> str:
        ...
    def __setstate__(self, arg0: tuple[typing.Any, ...]) -> None:
        ...
    @property
    def best(self) -> float:
        """
        The best value in the last fit; NaN before one.
        """
    @property
    def best_epoch(self) -> int:
        """
        Its epoch, from 1; 0 before one.
        """
class Checkpoint(BuiltinCallback):
    """
    Writes checkpoints of a fit into a folder, from which fit(resume_from=...) goes on to the same bits: every so many epochs,
    minutes (also within an epoch) or batches, and when the fit ends or is interrupted. The last keep_last stay, and with
    keep_best `best.safetensors`, of the epoch with the best value of the column `monitor` (None: "val_loss" where there is
    one, else "loss"; mode as in EarlyStopping). A checkpoint is a model file, too: load(path) gives the model of that moment,
    fit.model: with EMA or SWA the averages, which `val_` columns are about; the weights that are trained are beside it. schema and
    training: what the files tell about the model, as in save.

    Files are written aside, synced and renamed, and older ones are removed after that, so that the process may be killed at
    any moment. Where a write fails, as on a full disk, training goes on with a RuntimeWarning as long as an older checkpoint
    is there; else the FileError ends fit. A folder that holds checkpoints of another fit raises StateError; two Checkpoints of a
    fit with one folder raise ValueError.

    >>> import tempfile
    >>> folder = tempfile.mkdtemp()
    >>> def trained(epochs):
    ...     trainer = cr.Trainer(nn.Linear(2, 1, seed=0), nn.MSELoss(), optim.Adam(lr=0.1))
    ...     keep = cr.callbacks.Checkpoint(folder, keep_last=1)
    ...     data = np.eye(2, dtype="f4"), np.ones((2, 1), "f4")
    ...     return trainer.fit(*data, epochs=epochs, callbacks=[keep], resume_from="auto")
    >>> trained(3).epochs, trained(5).epochs  # the second one trained for 2 epochs
    (3, 5)
    >>> import os
    >>> sorted(os.listdir(folder))
    ['best.safetensors', 'checkpoint-00005-0000000.safetensors']
    """
    def __init__(self, folder: typing.Any, *, every_epochs: typing.SupportsIndex | None = 1, every_minutes: typing.SupportsFloat | typing.SupportsIndex | None = None, every_batches: typing.SupportsIndex | None = None, keep_last: typing.SupportsIndex = 3, keep_best: bool = True, monitor: str | None = None, mode: str = 'auto', schema: typing.Any = None, training: str = '{}') -> None:
        """
        folder: made if need be. Raises ValueError where it would never be due.
        """
    def __repr__(self) -> str:
        ...
    @property
    def best(self) -> float:
        """
        The best value in the last fit; NaN before one.
        """
    @property
    def best_epoch(self) -> int:
        """
        Its epoch, from 1; 0 before one.
        """
    @property
    def error(self) -> str:
        """
        Why the last write failed; "" where it did not.
        """
    @property
    def failures(self) -> int:
        """
        How many writes have failed in the last fit.
        """
    @property
    def folder(self) -> str:
        """
        Where it writes.
        """
    @property
    def newest(self) -> str:
        """
        The path of the last one written; "" before.
        """
class EMA(BuiltinCallback):
    """
    The exponential moving average of the weights: after every `every` batches, average = decay average + (1 - decay) weights;
    at the first, the weights themselves. Buffers such as BatchNorm1d's running statistics are those of the trained model, or
    averaged as well (average_buffers). Polyak and Juditsky (1992), Acceleration of stochastic approximation by averaging.

    From the first average on, fit validates the averages in place of the weights that are trained; fit.model is the averaged
    model (what EarlyStopping keeps as the best), and when fit ends, the model gets its parameters and buffers; where the fit
    diverges or an exception ends it, it keeps the trained ones. An object is in one fit at a time. replace=False: the averages are only kept, in `model`. One callback of a fit may
    replace the model.

    >>> X, y = cr.datasets.load_digits(split="train")
    >>> trainer = cr.Trainer(nn.MLP([64, 32, 10], seed=0), nn.CrossEntropyLoss(), optim.Adam(lr=0.01))
    >>> ema = cr.callbacks.EMA(decay=0.99)
    >>> history = trainer.fit(X, y, epochs=2, validation_split=0.2, callbacks=[ema])
    >>> ema.updates, bool(np.array_equal(trainer.predict(X), ema.model.predict(X)))
    (72, True)
    """
    def __getstate__(self) -> tuple[float, int, bool, bool]:
        ...
    def __init__(self, decay: typing.SupportsFloat | typing.SupportsIndex = 0.999, *, every: typing.SupportsIndex = 1, average_buffers: bool = False, replace: bool = True) -> None:
        """
        Raises ValueError for a decay outside [0, 1).
        """
    def __repr__(self) -> str:
        ...
    def __setstate__(self, arg0: tuple[typing.Any, ...]) -> None:
        ...
    @property
    def model(self) -> Module:
        """
        The averages of the last fit, a model of their own in eval mode; None before there are any.
        """
    @property
    def updates(self) -> int:
        """
        How many weights were averaged in the last fit.
        """
class SWA(BuiltinCallback):
    """
    Stochastic weight averaging: the mean of the weights at the ends of the epochs from `start` on (an epoch, from 1; below 1:
    after this share of the epochs), where the learning rate is lr, if that is given, in place of a schedule and also after the
    fit. BatchNorm1d's running statistics are computed anew for the averages at the end of each of these epochs, by another
    pass over its batches in train mode. A fit that ends before `start` keeps the trained weights. Izmailov et al. (2018),
    Averaging weights leads to wider optima and better generalization.

    From the first average on, fit validates the averages in place of the weights that are trained; fit.model is the averaged
    model (what EarlyStopping keeps as the best), and when fit ends, the model gets its parameters and buffers; where the fit
    diverges or an exception ends it, it keeps the trained ones. An object is in one fit at a time. replace=False: the averages are only kept, in `model`. One callback of a fit may
    replace the model.

    >>> X, y = cr.datasets.load_digits(split="train")
    >>> trainer = cr.Trainer(nn.MLP([64, 32, 10], seed=0), nn.CrossEntropyLoss(), optim.SGD(lr=0.1))
    >>> swa = cr.callbacks.SWA(start=0.5, lr=0.05)
    >>> history = trainer.fit(X, y, epochs=4, callbacks=[swa])
    >>> swa.updates, trainer.optimizer.lr
    (2, 0.05)
    """
    def __getstate__(self) -> tuple[float, float | None, bool]:
        ...
    def __init__(self, start: typing.SupportsFloat | typing.SupportsIndex = 0.75, *, lr: typing.SupportsFloat | typing.SupportsIndex | None = None, replace: bool = True) -> None:
        """
        Raises ValueError for a start above 1 that is no whole number, and for an lr of 0 or less.
        """
    def __repr__(self) -> str:
        ...
    def __setstate__(self, arg0: tuple[typing.Any, ...]) -> None:
        ...
    @property
    def model(self) -> Module:
        """
        The averages of the last fit, a model of their own in eval mode; None before there are any.
        """
    @property
    def updates(self) -> int:
        """
        How many weights were averaged in the last fit.
        """
class TrainingStep:
    """
    A compiled step: call it with the inputs of its losses.
    """
    def __call__(self, *args: typing.Any, **kwargs: typing.Any) -> typing.Any:
        ...
    def profile(self, *args: typing.Any, runs: typing.SupportsIndex = 100, **kwargs: typing.Any) -> Profile:
        """
        Where the time of a step on these inputs goes: a Profile, which prints as a table. Nothing is changed by it.
        """
    @property
    def step_count(self) -> int:
        """
        Steps taken.
        """
class Sampler:
    """
    Which rows an epoch takes, and in which order: `sampler` of Trainer.fit and data.batches. One of your own is any object
    with a method order(seed, epoch) that returns row numbers, as many in every epoch and the same for the same arguments; where a part of the rows is held out, its method of_rows(rows) gives the sampler of the others,
    counted from 0.
    """
    def __len__(self) -> int:
        ...
    def __repr__(self) -> str:
        ...
    def of_rows(self, rows: typing.Any) -> Sampler:
        """
        The sampler of these rows, counted from 0: what training takes where others are held out.

        >>> import numpy as np
        >>> odd = cr.data.StratifiedSampler([0, 1] * 50).of_rows(np.arange(1, 100, 2))
        >>> len(odd)
        50
        """
    def order(self, seed: typing.Any, epoch: typing.SupportsIndex, batch_size: typing.SupportsIndex = 32) -> numpy.typing.NDArray[typing.Any]:
        """
        The rows of pass `epoch` as an int64 array; batches are cut off from it in order.
        """
class WeightedSampler(Sampler):
    """
    Draws rows with probabilities proportional to their weights: with replacement each time from all rows, without it from
    those not drawn yet.

    weights: one number per row, 0 or more. num_samples: how many an epoch has; None: as many as there are rows, or without
    replacement as many as have a weight above 0. Raises ValueError for weights that are negative, NaN, infinite or all 0.

    >>> import numpy as np
    >>> labels = np.array([0] * 90 + [1] * 10)
    >>> sampler = cr.data.WeightedSampler(1 / np.bincount(labels)[labels], num_samples=1000)
    >>> bool(450 < labels[sampler.order(seed=0, epoch=0)].sum() < 550)
    True
    """
    def __init__(self, weights: typing.Any, num_samples: typing.SupportsIndex | None = None, replacement: bool = True) -> None:
        ...
class StratifiedSampler(Sampler):
    """
    Every row once, such that each batch holds every class by its share: rows of each class in random order, class after
    class, are dealt to the batches like cards. Batches of one size differ by at most one row of a class.

    labels: one per row, integers or text.

    >>> labels = [0] * 90 + [1] * 10
    >>> order = cr.data.StratifiedSampler(labels).order(seed=0, epoch=0, batch_size=20)
    >>> [sum(labels[row] for row in batch) for batch in order.reshape(5, 20)]
    [2, 2, 2, 2, 2]
    """
    def __init__(self, labels: typing.Any) -> None:
        ...
class _BatchIterator:
    def __iter__(self) -> typing.Any:
        ...
    def __next__(self) -> tuple[typing.Any, ...]:
        ...
class Batches:
    """
    Mini-batches of two arrays. Can be iterated over again: each pass has a new order.
    """
    def __iter__(self) -> _BatchIterator:
        ...
    def __len__(self) -> int:
        ...
class Table:
    """
    A table read from a CSV file: columns of numbers (missing: NaN) or text (missing: empty).
    """
    @staticmethod
    def _from_columns(columns: collections.abc.Sequence[tuple[str, typing.Any]]) -> Table:
        ...
    def __contains__(self, name: str) -> bool:
        ...
    def __getitem__(self, name: str) -> typing.Any:
        """
        A column: a float64 array, or a list of strings.
        """
    def __len__(self) -> int:
        ...
    def __repr__(self) -> str:
        ...
    def complete_rows(self, names: collections.abc.Sequence[str] = ()) -> numpy.typing.NDArray[numpy.int64]:
        """
        Rows in which none of these columns (none given: of all) has a missing cell.
        """
    def is_numeric(self, name: str) -> bool:
        ...
    def take(self, rows: typing.Annotated[numpy.typing.ArrayLike, numpy.int64]) -> Table:
        """
        The table of these rows.
        """
    @property
    def columns(self) -> list[str]:
        """
        The names of the columns.
        """
    @property
    def rows(self) -> int:
        ...
class Schema:
    """
    How a table becomes numbers: learned from training rows, saved with the model.
    """
    @staticmethod
    def from_json(json: str) -> Schema:
        ...
    def encode(self, table: Table) -> numpy.typing.NDArray[typing.Any]:
        """
        The table's features as (rows, width) float32.
        """
    def encode_target(self, table: Table) -> numpy.typing.NDArray[typing.Any]:
        """
        The table's target: int64 labels, or float32 (rows, 1).
        """
    def to_json(self) -> str:
        ...
    @property
    def classes(self) -> list[str]:
        """
        Label i is classes[i].
        """
    @property
    def columns(self) -> list[typing.Any]:
        """
        (name, kind) pairs.
        """
    @property
    def target(self) -> str:
        ...
    @property
    def target_mean(self) -> float:
        ...
    @property
    def target_scale(self) -> float:
        ...
    @property
    def task(self) -> str:
        """
        "classification" or "regression".
        """
    @property
    def width(self) -> int:
        """
        Features after encoding.
        """
class Source:
    """
    Data that need not fit into memory: Trainer.fit, evaluate and predict take it in the place of (X, y), as fit does for
    validation_data. It is read in windows of rows, the next one while the present one trains.

    An epoch takes every row once: windows in random order, and the rows of each window in random order; the last window,
    if it is shorter, comes last. Rows of different windows do not meet in a batch. A source of one window gives the bits of
    fit(X, y).

    One of your own is any object with an int `rows` and a method read(first, count) that returns X, (X, y) or (X, y, weight)
    of those rows, which are copied; X may be a tuple of inputs. It may have `window_rows`, and any_order = False if it reads fast
    in order only: then fit takes the windows in order, and shuffles within them. Another thread
    calls it, one read of an object at a time.
    """
    def __len__(self) -> int:
        ...
    def __repr__(self) -> str:
        ...
    def read(self, first: typing.SupportsIndex, count: typing.SupportsIndex) -> typing.Any:
        """
        Rows first ... first + count - 1: X, (X, y) or (X, y, weight), as new arrays.
        """
    @property
    def any_order(self) -> bool:
        """
        Whether fit takes the windows in random order.
        """
    @property
    def rows(self) -> int:
        """
        How many rows there are.
        """
class ArraySource(Source):
    """
    Arrays in memory, read in place; a numpy.memmap is one of them. One window unless window_rows is given.

    window_rows: rows read at a time; None: as many as 64 MB hold. fit takes whole batches.

    >>> source = cr.data.ArraySource([[0.0], [1.0], [2.0]], [[1.0], [3.0], [5.0]])
    >>> trainer = cr.Trainer(nn.Linear(1, 1), nn.MSELoss(), optim.SGD(lr=0.1))
    >>> trainer.fit(source, epochs=200)["loss"][-1] < 0.01
    True
    """
    def __init__(self, X: typing.Any, y: typing.Any = None, weight: typing.Any = None, *, window_rows: typing.SupportsIndex | None = None) -> None:
        ...
class NpySource(Source):
    """
    NPY files, mapped into memory: rows of float32, float64, int32, int64 and uint8 are read where they lie in the system's
    cache, others are converted window by window. X: a path, or a tuple of paths for several inputs; y: a path, or None.
    The files must not change while they are used.

    window_rows: rows read at a time; None: as many as 64 MB hold. fit takes whole batches.
    Raises FileError for files that are no NPY files, or in Fortran order.
    """
    def __init__(self, X: typing.Any, y: typing.Any = None, *, window_rows: typing.SupportsIndex | None = None) -> None:
        ...
class CsvSource(Source):
    """
    A CSV file, encoded by a schema: learn that from some rows with fit_schema(read_csv(path, rows=100_000), target).
    One pass at the beginning counts rows, notes where they are, and finds which columns are numbers. The file must not
    change while it is used. Other arguments are those of read_csv.

    window_rows: rows read at a time; None: as many as 64 MB hold. fit takes whole batches.
    """
    def __init__(self, path: typing.Any, schema: Schema, *, delimiter: str = '', decimal: str = '.', header: bool = True, missing: typing.Any = None, text: collections.abc.Sequence[str] = (), window_rows: typing.SupportsIndex | None = None) -> None:
        ...
class GeneratorSource(Source):
    """
    Pieces of any number of rows, one after the other: X, (X, y) or (X, y, weight). make: a function that returns what to
    iterate over, called anew for each pass, or an object that can be iterated over again. Every pass must give the same rows.
    rows: how many an epoch has, also of endless generators; None: they are counted by one pass before the first epoch.
    Windows are taken in order, rows are shuffled within them.

    window_rows: rows read at a time; None: as many as 64 MB hold. fit takes whole batches.

    >>> import numpy as np
    >>> def pieces():
    ...     for seed in range(10):
    ...         X = np.random.default_rng(seed).normal(size=(100, 2)).astype("float32")
    ...         yield X, X[:, :1] + X[:, 1:]
    >>> source = cr.data.GeneratorSource(pieces, window_rows=256)
    >>> source.rows
    1000
    >>> trainer = cr.Trainer(nn.Linear(2, 1), nn.MSELoss(), optim.SGD(lr=0.1))
    >>> trainer.fit(source, epochs=5)["loss"][-1] < 0.001
    True
    """
    def __init__(self, make: typing.Any, *, rows: typing.SupportsIndex | None = None, window_rows: typing.SupportsIndex | None = None) -> None:
        ...
class Ensemble:
    """
    Models of one task that predict together: Ensemble([model, ...]), Ensemble.train, or what CrossValidation.ensemble() gives.

    >>> X, y = cr.datasets.load_digits(split="train")
    >>> five = cr.Ensemble.train(nn.MLP([64, 16, 10]), X, y, loss=nn.CrossEntropyLoss(), optimizer=optim.Adam())
    >>> mean, spread = five.predict(X[:4], output="proba")
    >>> mean.shape, spread.shape
    ((4, 10), (4, 10))
    """
    @staticmethod
    def load(folder: typing.Any) -> Ensemble:
        """
        What save has written; needs no class of the models.
        """
    @staticmethod
    def train(make_model: typing.Any, X: typing.Any, y: typing.Any, *, loss: typing.Any, optimizer: typing.Any, seeds: typing.SupportsIndex = 5, epochs: typing.SupportsIndex = 1, batch_size: typing.SupportsIndex = 32, metrics: typing.Any = (), seed: typing.Any = 0, workers: typing.Any = None, callbacks: typing.Any = (), sample_weight: typing.Any = None, class_weight: typing.Any = None, sampler: typing.Any = None, shuffle: bool = True, clip_norm: typing.Any = None, clip_value: typing.Any = None, accumulate: typing.SupportsIndex = 1, l1: typing.SupportsFloat | typing.SupportsIndex = 0.0, max_norm: typing.Any = None, mixup: typing.SupportsFloat | typing.SupportsIndex = 0.0, precision: str = 'float32', progress: typing.Any = 'auto') -> Ensemble:
        """
        Train so many models (seeds) on all data, the i-th with weights drawn by init(seed + i) and with that seed for the
        order of samples and dropout. The other arguments are those of cross_validate. Lakshminarayanan, Pritzel, Blundell
        (2017), Simple and scalable predictive uncertainty estimation using deep ensembles.
        """
    def __init__(self, models: typing.Any) -> None:
        ...
    def __len__(self) -> int:
        ...
    def __repr__(self) -> str:
        ...
    def predict(self, X: typing.Any, batch_size: typing.SupportsIndex = 1024, output: str = 'raw') -> tuple[numpy.typing.NDArray[typing.Any], numpy.typing.NDArray[typing.Any]]:
        """
        (mean, spread), each of the shape of one model's prediction: mean and standard deviation over the models of their outputs
        ("raw") or probabilities ("proba"). With output="class": the class of the mean probability, and the share of the models
        that name another class.
        """
    def save(self, folder: typing.Any) -> None:
        """
        Write a model file for each into a new or empty folder: model-0.safetensors, ...
        """
    @property
    def models(self) -> list[typing.Any]:
        """
        The models.
        """
class SelectionProgress:
    """
    What progress functions of model selection see.
    """
    def __repr__(self) -> str:
        ...
    @property
    def best(self) -> float:
        """
        Mean score of the best candidate so far; NaN before one.
        """
    @property
    def done(self) -> int:
        """
        Models trained so far.
        """
    @property
    def total(self) -> int:
        """
        Of how many.
        """
class CrossValidation:
    """
    What cross_validate found; printed, it is a table of the folds.
    """
    def __repr__(self) -> str:
        ...
    def __str__(self) -> str:
        ...
    def _repr_html_(self) -> str:
        ...
    def ensemble(self) -> Ensemble:
        """
        The folds' models, to predict together.
        """
    def plot(self, path: typing.Any) -> typing.Any:
        """
        Write a PNG: the score of every fold over the epochs, and where it ended. Needs matplotlib.
        """
    def to_dict(self) -> dict[typing.Any, typing.Any]:
        """
        Plain numbers and lists, ready for JSON.
        """
    @property
    def epochs(self) -> list[typing.Any]:
        """
        Epochs of each fold; with EarlyStopping, up to the best one.
        """
    @property
    def histories(self) -> list[typing.Any]:
        """
        The History of each fold.
        """
    @property
    def history(self) -> History:
        """
        Of the training on all data.
        """
    @property
    def mean(self) -> float:
        """
        Of the scores.
        """
    @property
    def metrics(self) -> dict[typing.Any, typing.Any]:
        """
        Loss and metrics of the rows held out: a dict of arrays.
        """
    @property
    def model(self) -> Module:
        """
        Trained on all data; None with retrain=False.
        """
    @property
    def models(self) -> list[typing.Any]:
        """
        The model of each fold.
        """
    @property
    def score(self) -> str:
        """
        The name of the score.
        """
    @property
    def scores(self) -> numpy.typing.NDArray[typing.Any]:
        """
        Of the rows held out, fold by fold.
        """
    @property
    def std(self) -> float:
        """
        Standard deviation of the scores, divided by their number.
        """
class Search:
    """
    What grid_search or random_search found; printed, it is a table, the best first.
    """
    def __len__(self) -> int:
        ...
    def __repr__(self) -> str:
        ...
    def __str__(self) -> str:
        ...
    def _repr_html_(self) -> str:
        ...
    def plot(self, path: typing.Any) -> typing.Any:
        """
        Write a PNG: every candidate's mean score over each parameter. Needs matplotlib.
        """
    def to_dict(self) -> dict[typing.Any, typing.Any]:
        """
        Lists, the best candidate first.
        """
    def to_pandas(self) -> typing.Any:
        """
        A row per candidate: its parameters, mean, std and epochs.
        """
    @property
    def best_model(self) -> typing.Any:
        """
        Trained on all data with the best parameters; None with retrain=False.
        """
    @property
    def best_params(self) -> typing.Any:
        """
        Of the candidate with the best mean score.
        """
    @property
    def best_score(self) -> float:
        """
        Its mean score.
        """
    @property
    def history(self) -> History:
        """
        Of that training.
        """
    @property
    def maximize(self) -> bool:
        """
        Whether more of it is better.
        """
    @property
    def means(self) -> numpy.typing.NDArray[typing.Any]:
        """
        Of every candidate's scores.
        """
    @property
    def parameters(self) -> list[typing.Any]:
        """
        Of every candidate, the best first.
        """
    @property
    def score(self) -> str:
        """
        The name of the score.
        """
    @property
    def scores(self) -> list[typing.Any]:
        """
        Of every candidate: an array of its folds' scores.
        """
    @property
    def stds(self) -> numpy.typing.NDArray[typing.Any]:
        """
        Of every candidate's scores.
        """
class Uniform:
    """
    Numbers from low to high, each as likely.
    """
    def __init__(self, low: typing.SupportsFloat | typing.SupportsIndex, high: typing.SupportsFloat | typing.SupportsIndex) -> None:
        ...
    def __repr__(self) -> str:
        ...
class LogUniform:
    """
    Numbers from low to high, uniform in their logarithm: for rates and decays.
    """
    def __init__(self, low: typing.SupportsFloat | typing.SupportsIndex, high: typing.SupportsFloat | typing.SupportsIndex) -> None:
        ...
    def __repr__(self) -> str:
        ...
class Integer:
    """
    Whole numbers from low to high, both included; log=True: uniform in their logarithm.
    """
    def __init__(self, low: typing.SupportsIndex, high: typing.SupportsIndex, *, log: bool = False) -> None:
        ...
    def __repr__(self) -> str:
        ...
class Predictor:
    """
    A model compiled for `batch` samples, with a copy of its weights: p(x, out=None). It infers, whatever the model's flag
    says, and gives the bits of model.predict. Nothing is allocated in C++, nothing is locked; one sample uses one thread.

    x has shape (batch, ...), or that of one sample where batch is 1, and so has the result; several inputs or outputs are
    tuples. output: "raw", "proba" or "class", as in predict. input_shape: of one sample, where neither the layers nor
    the model's file tell it; input_shapes and input_dtypes: of several inputs. copy.copy(p) shares the weights and can run
    in another thread. Raises StateError, ShapeError, DTypeError.

    >>> model = nn.Linear(3, 2, seed=0)
    >>> p = cr.Predictor(model)
    >>> x, y = np.ones(3, np.float32), np.empty(2, np.float32)
    >>> p(x, out=y) is y, bool((y == model.predict(x[None])[0]).all())
    (True, True)
    """
    def __call__(self, x: typing.Any, out: typing.Any = None) -> typing.Any:
        """
        The model's output for x, as a new array or in out.
        """
    def __copy__(self) -> Predictor:
        ...
    def __init__(self, model: typing.Any, batch: typing.SupportsIndex = 1, *, output: str = 'raw', input_shape: typing.Any = None, input_shapes: typing.Any = None, input_dtypes: typing.Any = None) -> None:
        ...
    def __reduce__(self) -> tuple[typing.Any, ...]:
        ...
    def __repr__(self) -> str:
        ...
    def copy(self) -> Predictor:
        """
        Another one with the same weights and memory of its own, for another thread.
        """
    def profile(self, *, runs: typing.SupportsIndex = 1000) -> Profile:
        """
        Where the time of a call goes: a Profile, which prints as a table.
        """
    def refresh(self) -> None:
        """
        Take the model's present weights, for all copies; none of them may be running. StateError where layers or
        tensors of the model were exchanged, or its dtype changed.
        """
    @property
    def batch(self) -> int:
        """
        Samples per call.
        """
    @property
    def input_shapes(self) -> tuple[typing.Any, ...]:
        """
        Of each input, with the batch.
        """
    @property
    def output_shapes(self) -> tuple[typing.Any, ...]:
        """
        Of each output, with the batch.
        """
def BCELoss(*, reduction: str = 'mean') -> Loss:
    """
    Binary cross-entropy of probabilities.
    """
def BCEWithLogitsLoss(*, pos_weight: typing.Any = None, reduction: str = 'mean') -> Loss:
    """
    Binary cross-entropy of logits, stable for large ones; pos_weight multiplies the positive term.
    """
def BinaryFocalLoss(*, gamma: typing.SupportsFloat | typing.SupportsIndex = 2.0, alpha: typing.SupportsFloat | typing.SupportsIndex | None = 0.25, reduction: str = 'mean') -> Loss:
    """
    Focal loss of logits and targets 0 or 1 of the same shape, for one class or several labels (Lin et al., 2017).

    alpha weights class 1 and 1 - alpha class 0; None (or -1) neither. As sigmoid_focal_loss of torchvision.

    >>> round(float(nn.BinaryFocalLoss()(np.zeros(1), np.array([1]))), 6)
    0.043322
    """
def ChainSchedule(parts: collections.abc.Sequence[float | Schedule | collections.abc.Callable[[int], float]], milestones: collections.abc.Sequence[typing.SupportsIndex], *, per: str = 'step') -> Schedule:
    """
    Schedules or numbers behind each other: parts[i] from milestones[i - 1] on, where it begins at 0.
    """
def ConstantSchedule(lr: typing.SupportsFloat | typing.SupportsIndex) -> Schedule:
    """
    Always lr.
    """
def CosineRestartsSchedule(lr: typing.SupportsFloat | typing.SupportsIndex, steps: typing.SupportsIndex, factor: typing.SupportsIndex = 1, end: typing.SupportsFloat | typing.SupportsIndex = 0.0, *, per: str = 'step') -> Schedule:
    """
    Cosines again and again, each `factor` times as long as the one before (Loshchilov and Hutter, 2017).
    """
def CosineSchedule(lr: typing.SupportsFloat | typing.SupportsIndex, steps: typing.SupportsIndex, end: typing.SupportsFloat | typing.SupportsIndex = 0.0, *, per: str = 'step') -> Schedule:
    """
    end + (lr - end) (1 + cos(pi t / steps)) / 2, then end (Loshchilov and Hutter, 2017).
    """
def CosineSimilarityLoss(*, eps: typing.SupportsFloat | typing.SupportsIndex = 1e-08, reduction: str = 'mean') -> Loss:
    """
    1 - cos of the angle between output and target (N, D), one value per sample; lengths are at least eps.

    >>> float(nn.CosineSimilarityLoss()(np.array([[1.0, 0.0]]), np.array([[0.0, 2.0]])))
    1.0
    """
def CrossEntropyLoss(*, weight: typing.Any = None, ignore_index: typing.SupportsIndex | None = None, label_smoothing: typing.SupportsFloat | typing.SupportsIndex = 0.0, reduction: str = 'mean') -> Loss:
    """
    Cross-entropy of logits (N, C) with classes (N,) or probabilities (N, C); weight holds one factor per class.
    """
def ExponentialSchedule(lr: typing.SupportsFloat | typing.SupportsIndex, gamma: typing.SupportsFloat | typing.SupportsIndex, *, per: str = 'step') -> Schedule:
    """
    lr gamma^t.
    """
def FocalLoss(*, gamma: typing.SupportsFloat | typing.SupportsIndex = 2.0, alpha: typing.Any = None, reduction: str = 'mean') -> Loss:
    """
    Focal loss of logits (N, C) and classes (N,): -alpha[y] (1 - p)^gamma log p with p = softmax(f)[y] (Lin et al.,
    2017). alpha holds one factor per class, by which the mean does not divide.

    >>> round(float(nn.FocalLoss()(np.zeros((1, 2)), np.array([0]))), 6)
    0.173287
    """
def GaussianNLLLoss(*, log_variance: bool = True, full: bool = False, eps: typing.SupportsFloat | typing.SupportsIndex = 1e-06, reduction: str = 'mean') -> Loss:
    """
    A mean and a variance for each target (Nix and Weigend, 1994): (log v + (y - f)^2 / v) / 2.

    The output is (N, 2 K) for K targets, all means first and then log v of each; or a tuple of two outputs (N, K).
    log_variance=False: they are v itself, as in PyTorch, which must come out positive. v is held to eps at least,
    while its gradient passes. full=True adds log(2 pi) / 2. With a tuple metrics see the means.

    >>> float(nn.GaussianNLLLoss()(np.array([[1.0, 0.0]]), np.array([3.0])))
    2.0
    """
def HingeLoss(*, squared: bool = False, reduction: str = 'mean') -> Loss:
    """
    max(0, 1 - s f) of a score f, or its square; s is 1 for a target of 1 and -1 for one of 0 (or -1).

    Scores have classes, f >= 0 or not, but no probabilities.

    >>> float(nn.HingeLoss()(np.array([0.5, -2.0]), np.array([1, 0])))
    0.25
    """
def HuberLoss(*, delta: typing.SupportsFloat | typing.SupportsIndex = 1.0, reduction: str = 'mean') -> Loss:
    """
    Squared where |y - f| <= delta, linear beyond (Huber, 1964).
    """
def InverseSqrtSchedule(lr: typing.SupportsFloat | typing.SupportsIndex, warmup: typing.SupportsIndex, *, per: str = 'step') -> Schedule:
    """
    lr min((t + 1) / warmup, sqrt(warmup / (t + 1))) (Vaswani et al., 2017).
    """
def KLDivLoss(*, log_target: bool = False, reduction: str = 'mean') -> Loss:
    """
    Kullback-Leibler divergence: sum of q (log q - f) over the last axis, f being log-probabilities.

    One value per sample, so that reduction="mean" is the divergence itself, what PyTorch calls "batchmean".
    log_target=True: targets are log q.

    >>> f, q = np.log([[0.5, 0.5]]), np.array([[1.0, 0.0]])
    >>> round(float(nn.KLDivLoss()(f, q)), 6)
    0.693147
    """
def L1Loss(*, reduction: str = 'mean') -> Loss:
    """
    Mean absolute error |y - f|.
    """
def LinearSchedule(lr: typing.SupportsFloat | typing.SupportsIndex, end: typing.SupportsFloat | typing.SupportsIndex, steps: typing.SupportsIndex, *, per: str = 'step') -> Schedule:
    """
    From lr along a line to `end` at t = steps, where it stays.
    """
def MLP(sizes: collections.abc.Sequence[typing.SupportsIndex], *, activation: str = 'relu', dropout: typing.SupportsFloat | typing.SupportsIndex = 0.0, dtype: typing.Any = 'float32', seed: typing.Any = None) -> Sequential:
    """
    A Sequential of Linear layers of the given sizes, with the activation (and dropout) between them; weights are drawn
    as suits the activation: Kaiming for the relu family, Xavier for sigmoid, tanh and the output; biases are 0.
    activation: relu, leaky_relu, sigmoid, tanh, gelu, silu, elu, selu, mish, softsign, softplus, identity.
    """
def MSELoss(*, half: bool = False, reduction: str = 'mean') -> Loss:
    """
    Mean squared error (y - f)^2; half=True multiplies by 1/2, so that the gradient is f - y.
    """
def MultiLoss(losses: typing.Any, *, weights: collections.abc.Sequence[typing.SupportsFloat | typing.SupportsIndex] | None = None, columns: collections.abc.Sequence[typing.SupportsIndex] | None = None, reduction: str = 'mean') -> Loss:
    """
    The sum of weights[i] times losses[i] of output i, for a model that returns a tuple (nn.MultiHead makes one).

    Targets are a tuple (y1, y2, ...), one for each loss, wherever y is given: fit, evaluate, step, the loss itself.
    They travel as the columns of one float64 array (N, T), which may be given in place of the tuple; columns=[1, 3]
    tells how many each loss has, by default 1. Labels are integers again when they reach their loss. Each loss
    counts by its mean, class weights by their mean in the batch. Metrics are functions of the first output and all
    columns; functions in place of losses get their columns as floats.

    >>> loss = nn.MultiLoss([nn.CrossEntropyLoss(), nn.MSELoss()], weights=[1, 0.5])
    >>> outputs = np.zeros((2, 3)), np.array([[1.0], [3.0]])
    >>> round(float(loss(outputs, (np.array([0, 2]), np.zeros(2)))), 4)
    3.5986
    """
def MultiMarginLoss(*, p: typing.SupportsIndex = 1, margin: typing.SupportsFloat | typing.SupportsIndex = 1.0, weight: typing.Any = None, reduction: str = 'mean') -> Loss:
    """
    Hinge loss of C classes (Crammer and Singer, 2001): the sum of max(0, margin - f[y] + f[c])^p over the other
    classes c, divided by C. p is 1 or 2; weight multiplies by w[y], which the mean does not divide by, as in PyTorch.

    >>> float(nn.MultiMarginLoss()(np.array([[1.0, 0.5, 0.25, 0.0]]), np.array([0])))
    0.1875
    """
def MultiStepSchedule(lr: typing.SupportsFloat | typing.SupportsIndex, milestones: collections.abc.Sequence[typing.SupportsIndex], gamma: typing.SupportsFloat | typing.SupportsIndex = 0.1, *, per: str = 'step') -> Schedule:
    """
    lr, multiplied by gamma at each milestone.
    """
def NLLLoss(*, weight: typing.Any = None, ignore_index: typing.SupportsIndex | None = None, reduction: str = 'mean') -> Loss:
    """
    Negative log-likelihood of log-probabilities (N, C) and classes (N,).
    """
def OneCycleSchedule(max_lr: typing.SupportsFloat | typing.SupportsIndex, steps: typing.SupportsIndex, pct_start: typing.SupportsFloat | typing.SupportsIndex = 0.3, div_factor: typing.SupportsFloat | typing.SupportsIndex = 25.0, final_div_factor: typing.SupportsFloat | typing.SupportsIndex = 10000.0, anneal: str = 'cos', *, per: str = 'step') -> Schedule:
    """
    From max_lr / div_factor up to max_lr in the first pct_start of the steps, then down to the start divided by
    final_div_factor; anneal: "cos" or "linear" (Smith and Topin, 2018).
    """
def PoissonNLLLoss(*, log_input: bool = True, full: bool = False, eps: typing.SupportsFloat | typing.SupportsIndex = 1e-08, reduction: str = 'mean') -> Loss:
    """
    Counts y >= 0 whose log rate is the output f: e^f - y f. The rate is np.exp(model.predict(X)).

    log_input=False: f is the rate itself, f - y log(f + eps). full=True adds Stirling's formula for log y! where
    y > 1, which no gradient depends on.

    >>> float(nn.PoissonNLLLoss()(np.array([[0.0]]), np.array([3])))
    1.0
    """
def PolynomialSchedule(lr: typing.SupportsFloat | typing.SupportsIndex, steps: typing.SupportsIndex, power: typing.SupportsFloat | typing.SupportsIndex = 1.0, end: typing.SupportsFloat | typing.SupportsIndex = 0.0, *, per: str = 'step') -> Schedule:
    """
    end + (lr - end) (1 - t / steps)^power, then end.
    """
def QuantileLoss(quantiles: collections.abc.Sequence[typing.SupportsFloat | typing.SupportsIndex] = [0.1, 0.5, 0.9], *, reduction: str = 'mean') -> Loss:
    """
    Several quantiles at once (Koenker and Bassett, 1978): max(q (y - f), (q - 1) (y - f)) for each q.

    The output is (N, Q), one column per quantile, the target (N,) or (N, 1). Nothing keeps the columns in order.

    >>> float(nn.QuantileLoss([0.9])(np.array([[0.0]]), np.array([2.0])))
    1.8
    """
def ReduceOnPlateauSchedule(lr: float | Schedule | collections.abc.Callable[[int], float], *, monitor: str = 'val_loss', mode: str = 'min', factor: typing.SupportsFloat | typing.SupportsIndex = 0.1, patience: typing.SupportsIndex = 10, threshold: typing.SupportsFloat | typing.SupportsIndex = 0.0001, threshold_mode: str = 'rel', cooldown: typing.SupportsIndex = 0, min_lr: typing.SupportsFloat | typing.SupportsIndex = 0.0) -> Schedule:
    """
    lr, a number or a schedule, times `factor` whenever `monitor`, a column of the history, has not got better for more than
    `patience` epochs, by `threshold` at least ("rel": of the best, "abs"). By hand: optimizer.observe(value).
    """
def StepSchedule(lr: typing.SupportsFloat | typing.SupportsIndex, step_size: typing.SupportsIndex, gamma: typing.SupportsFloat | typing.SupportsIndex = 0.1, *, per: str = 'step') -> Schedule:
    """
    lr gamma^floor(t / step_size).
    """
def WarmupSchedule(then: float | Schedule | collections.abc.Callable[[int], float], steps: typing.SupportsIndex, start: typing.SupportsFloat | typing.SupportsIndex = 0.0, *, per: str = '') -> Schedule:
    """
    Along a line from `start` times the first rate of `then` up to that rate at t = steps, where `then`, a number or
    a schedule, begins. It counts as `then` does; per is for numbers.
    """
def _make_empty(cls: typing.Any) -> typing.Any:
    ...
def _make_loss(name: str, arguments: dict[typing.Any, typing.Any]) -> typing.Any:
    ...
def _make_optimizer(name: str, arguments: dict[typing.Any, typing.Any]) -> typing.Any:
    ...
def _make_schedule(name: str, arguments: dict[typing.Any, typing.Any]) -> typing.Any:
    ...
def _set_state(module: typing.Any, state: tuple[typing.Any, ...]) -> None:
    ...
def _unpickle(data: bytes, training: bool) -> typing.Any:
    ...
def abs(x: typing.Any) -> Tensor:
    """
    Absolute value; the derivative at 0 is 0.
    """
def accuracy(output: typing.Any, target: typing.Any, *, sample_weight: typing.Any = None, link: str = 'identity', ignore_index: typing.SupportsIndex | None = None) -> float:
    """
    Share of samples whose class is right; of several labels (N, L), share of samples with all of them right.

    >>> cr.metrics.accuracy([[0.1, 0.9], [0.8, 0.2], [0.3, 0.7]], [1, 0, 0]) == 2 / 3
    True
    >>> cr.metrics.accuracy([2.5, -1.0], [1, 1], link="sigmoid")
    0.5
    """
def add(a: typing.Any, b: typing.Any) -> Tensor:
    """
    a + b.
    """
def all(x: typing.Any, axis: typing.Any = None, keepdims: bool = False) -> Tensor:
    """
    Whether no element along the axes (all by default) is 0.
    """
def any(x: typing.Any, axis: typing.Any = None, keepdims: bool = False) -> Tensor:
    """
    Whether any element along the axes (all by default) is not 0.
    """
def arccos(x: typing.Any) -> Tensor:
    """
    Inverse cosine in radians, between 0 and pi; NaN beyond [-1, 1]. The derivative at 1 and -1 is -inf.
    """
def arcsin(x: typing.Any) -> Tensor:
    """
    Inverse sine in radians, between -pi/2 and pi/2; NaN beyond [-1, 1]. The derivative at 1 and -1 is inf.
    """
def arctan(x: typing.Any) -> Tensor:
    """
    Inverse tangent in radians, between -pi/2 and pi/2.
    """
def arctan2(a: typing.Any, b: typing.Any) -> Tensor:
    """
    Angle of the point (b, a) in radians, between -pi and pi. The derivative at the origin is 0.
    """
def argmax(x: typing.Any, axis: typing.SupportsIndex | None = None, keepdims: bool = False) -> Tensor:
    """
    Index of the largest element (the first of equal ones), int64.
    """
def argmin(x: typing.Any, axis: typing.SupportsIndex | None = None, keepdims: bool = False) -> Tensor:
    """
    Index of the smallest element (the first of equal ones), int64.
    """
def argsort(x: typing.Any, axis: typing.SupportsIndex | None = -1, *, descending: bool = False) -> Tensor:
    """
    Indices (int64) that sort along the axis, of all elements in a row with axis=None. Stable; NaN last, also when
    descending.
    """
def average_precision(output: typing.Any, target: typing.Any, *, average: str = 'auto', sample_weight: typing.Any = None, link: str = 'identity', ignore_index: typing.SupportsIndex | None = None) -> float:
    """
    Area under the precision-recall curve as the sum of (gain of recall) x precision over thresholds; 0 without positives.
    average as in roc_auc.

    >>> round(cr.metrics.average_precision([0.1, 0.4, 0.35, 0.8], [0, 0, 1, 1]), 4)
    0.8333
    """
def backward(tensors: typing.Any, gradients: typing.Any = None, *, retain_graph: bool = False, create_graph: bool = False) -> None:
    """
    backward() from several tensors at once: each recorded operation is visited once. gradients: a list with one for
    each tensor (None where it is 1), or None for all of them; the options are those of Tensor.backward.
    """
def balanced_accuracy(output: typing.Any, target: typing.Any, *, sample_weight: typing.Any = None, link: str = 'identity', ignore_index: typing.SupportsIndex | None = None) -> float:
    """
    Mean over the classes among the targets of the share of their samples that is found.

    >>> cr.metrics.balanced_accuracy([0, 0, 0, 0], [0, 0, 0, 1])
    0.5
    """
def batches(X: typing.Any, y: typing.Any = None, *, batch_size: typing.SupportsIndex = 32, shuffle: bool = True, seed: typing.Any = 0, sampler: typing.Any = None) -> Batches:
    """
    Pairs of NumPy arrays (xb, yb), in the order in which a Trainer with this seed takes them. The last batch may be smaller.
    sampler: as fit takes it.
    """
def broadcast_to(x: typing.Any, shape: typing.Any) -> Tensor:
    """
    Repeated along new axes and axes of size 1.
    """
def cast(x: typing.Any, dtype: typing.Any) -> Tensor:
    """
    The values in another dtype.
    """
def ceil(x: typing.Any) -> Tensor:
    """
    Smallest integer not below x, in x's dtype. The derivative is 0.
    """
def check_gradients(f: typing.Any, *args: typing.Any, tolerance: typing.SupportsFloat | typing.SupportsIndex = 1e-06) -> str:
    """
    Derivatives of f in reverse and forward mode beside central differences, in float64: a table with a line per tensor among the arguments. A ValueError with the table where an error exceeds tolerance * max(1, |derivative|). Tensors that f captures must be float64.
    """
def classification_report(output: typing.Any, target: typing.Any, *, names: collections.abc.Sequence[str] = [], sample_weight: typing.Any = None, link: str = 'identity', ignore_index: typing.SupportsIndex | None = None) -> str:
    """
    A table to print: precision, recall, F1 and number of samples of every class, and their means.

    >>> print(cr.metrics.classification_report([0, 2, 1, 1], [0, 2, 1, 2], names=["ant", "bee", "cat"]))
              precision     recall         f1    samples
         ant     1.0000     1.0000     1.0000          1
         bee     0.5000     1.0000     0.6667          1
         cat     1.0000     0.5000     0.6667          2
    <BLANKLINE>
       macro     0.8333     0.8333     0.7778          4
    weighted     0.8750     0.7500     0.7500          4
    accuracy                           0.7500          4
    <BLANKLINE>
    """
def clip(x: typing.Any, low: typing.Any = None, high: typing.Any = None) -> Tensor:
    """
    Values limited to [low, high]: minimum(maximum(x, low), high); None leaves a side open. Bounds that are tensors or
    arrays broadcast, and have gradients.
    """
def compile(f: typing.Any) -> Compiled:
    """
    f compiled: traced once per structure, shapes and dtypes of its arguments, then run as a program. A branch on values is an error. Arguments may be passed by name. Calls are recorded where a gradient is wanted; out= takes NumPy arrays to write the results to.
    """
def concat(parts: typing.Any, axis: typing.SupportsIndex | None = 0) -> Tensor:
    """
    The parts one after another along an axis; flattened for None.
    """
def concatenate(parts: typing.Any, axis: typing.SupportsIndex | None = 0) -> Tensor:
    """
    The parts one after another along an axis; flattened for None.
    """
def config() -> str:
    """
    Version, instruction set and why, bf16, threads, Eigen version and build type, as text.
    """
def confusion_matrix(output: typing.Any, target: typing.Any, *, normalize: str | None = None, sample_weight: typing.Any = None, link: str = 'identity', ignore_index: typing.SupportsIndex | None = None) -> numpy.typing.NDArray[typing.Any]:
    """
    Row i, column j: how many samples of class i are taken for class j; an int64 array. Classes are 0 ... C - 1 where
    output has a score for each, otherwise those that occur, in order. normalize: "true" (rows add up to 1), "pred"
    (columns do) or "all".

    >>> cr.metrics.confusion_matrix([0, 2, 1, 1], [0, 2, 1, 2])
    array([[1, 0, 0],
           [0, 1, 0],
           [0, 1, 1]])
    """
def constant_(weight: typing.Any, value: typing.SupportsFloat | typing.SupportsIndex) -> Tensor:
    """
    The same value everywhere.
    """
def cos(x: typing.Any) -> Tensor:
    """
    Cosine of x in radians, accurate at any size; NaN at infinity.
    """
def cosh(x: typing.Any) -> Tensor:
    """
    Hyperbolic cosine (e^x + e^-x) / 2.
    """
def cross_validate(make_model: typing.Any, X: typing.Any, y: typing.Any = None, *, loss: typing.Any, optimizer: typing.Any, k: typing.SupportsIndex = 5, epochs: typing.SupportsIndex = 1, batch_size: typing.SupportsIndex = 32, metrics: typing.Any = (), score: str = '', retrain: bool = True, seed: typing.Any = 0, workers: typing.Any = None, stratify: typing.Any = 'auto', groups: typing.Any = None, repeats: typing.SupportsIndex = 1, folds: typing.Any = None, callbacks: typing.Any = (), sample_weight: typing.Any = None, class_weight: typing.Any = None, sampler: typing.Any = None, shuffle: bool = True, clip_norm: typing.Any = None, clip_value: typing.Any = None, accumulate: typing.SupportsIndex = 1, l1: typing.SupportsFloat | typing.SupportsIndex = 0.0, max_norm: typing.Any = None, mixup: typing.SupportsFloat | typing.SupportsIndex = 0.0, precision: str = 'float32', progress: typing.Any = 'auto') -> CrossValidation:
    """
    Split the data into k folds, train a model on all but one of them, k times, and measure it on the one held out; then
    train one on all data (retrain). Stone (1974), Cross-validatory choice and assessment of statistical predictions.

    make_model: a function () -> model, called for each fold, or a model, of which each fold gets a copy with weights
    drawn anew by init(seed). loss, optimizer, metrics, epochs, batch_size, shuffle, sample_weight, class_weight, sampler, clip_norm, clip_value, accumulate,
    l1, max_norm, mixup and precision are those of Trainer and fit. k, stratify, groups, repeats and seed make the folds as data.k_fold does; "auto" stratifies where y holds
    labels; folds="time_series", or pairs (train rows, held-out rows) take their place. score: "loss" or a metric's name; empty:
    the first metric, else the loss. sampler: its of_rows gives every fold one of its training rows. callbacks: each model gets copies. workers: models trained at a time, None: as many as
    there are threads; one worker gives each model all threads. The bits do not depend on it. seed: every fold starts as after
    cr.manual_seed(seed), and trains as Trainer(..., seed=seed) does; the r-th repeat has seed + r. progress: "auto" (a bar on a
    terminal), True, False, or a function of the reports.
    With callbacks.EarlyStopping, retraining takes the mean of the folds' best epochs, rounded, and leaves it out.
    Returns a CrossValidation: scores, mean, std, metrics, histories, models, model. Raises ValueError for folds that would be
    empty or train on one class, IndexError for an unknown score.

    >>> X, y = cr.datasets.load_digits(split="train")
    >>> make = lambda: nn.MLP([64, 32, 10])
    >>> r = cr.cross_validate(make, X, y, k=3, loss=nn.CrossEntropyLoss(), optimizer=optim.Adam(lr=0.01), epochs=3,
    ...                       metrics=["accuracy"])
    >>> bool(r.mean > 0.8), len(r.scores)
    (True, 3)
    """
def cumprod(x: typing.Any, axis: typing.SupportsIndex | None = None, *, reverse: bool = False) -> Tensor:
    """
    Running products along the axis, of all elements in a row by default; reverse: from the end. The derivative
    is right at zeros, too.
    """
def cumsum(x: typing.Any, axis: typing.SupportsIndex | None = None, *, reverse: bool = False) -> Tensor:
    """
    Running sums along the axis, of all elements in a row by default; reverse: from the end. Small integers and
    bools are summed as int64.
    """
def custom_gradient(f: typing.Any, *, vjp: typing.Any = None, jvp: typing.Any = None) -> typing.Any:
    """
    f with derivative rules of its own. vjp(*x, *gy) gives one cotangent per argument, jvp(*x, *tx) one tangent per output; one of them is enough, the other is its transpose, for which it must be linear in gy or tx. As a decorator without rules, f returns (result, pullback), and pullback(gy) gives one cotangent per argument.

    >>> @cr.custom_gradient
    ... def clipped(x):
    ...     return x, lambda gy: gy.clip(-1.0, 1.0)
    >>> cr.grad(lambda x: (100.0 * clipped(x)).sum())(cr.tensor([1.0, 2.0]))
    Tensor([1., 1.])
    """
def diagonal(x: typing.Any, offset: typing.SupportsIndex = 0, axis1: typing.SupportsIndex = 0, axis2: typing.SupportsIndex = 1) -> Tensor:
    """
    The diagonal of two axes along a new last axis; offset counts to the right of the main one.
    """
def directional_derivative(f: typing.Any, x: typing.Any, v: typing.Any) -> Tensor:
    """
    How f changes when x moves along v: <gradient, v> for scalar-valued f, the Jacobian times v otherwise.
    """
def divide(a: typing.Any, b: typing.Any) -> Tensor:
    """
    a / b; integers divide as float64.
    """
def dot(a: typing.Any, b: typing.Any) -> Tensor:
    """
    Sum of products over the last axis of a and the last but one of b (the only one of a vector).
    """
def dropout(x: typing.Any, p: typing.SupportsFloat | typing.SupportsIndex) -> Tensor:
    """
    Each element is zeroed with probability p, the rest divided by 1 - p.
    """
def einsum(*args: typing.Any) -> Tensor:
    """
    einsum(subscripts, *operands): sums of products written with letters, one per axis, as in NumPy. Letters that are
    not behind -> are summed over, a letter twice in one operand is its diagonal, ... stands for the other axes;
    without -> the result has the letters that stand once, in alphabetical order.
    """
def elu(x: typing.Any, alpha: typing.SupportsFloat | typing.SupportsIndex = 1.0) -> Tensor:
    """
    x where positive, else alpha * (e^x - 1) (Clevert et al., 2015).
    """
def equal(a: typing.Any, b: typing.Any) -> Tensor:
    """
    a == b.
    """
def erf(x: typing.Any) -> Tensor:
    """
    Error function 2/sqrt(pi) int_0^x e^(-t^2) dt.
    """
def exp(x: typing.Any) -> Tensor:
    """
    Exponential e^x.
    """
def expand_dims(x: typing.Any, axis: typing.Any) -> Tensor:
    """
    With new axes of size 1; axis (an int or a tuple) says where they are in the result.
    """
def explain(f: typing.Any, *args: typing.Any, cotangent: typing.Any = None) -> Explanation:
    """
    The chain rule for f at these arguments, step by step, computed in float64: every step with its value; backwards,
    what arrives at a step, its local derivatives and what it sends on, the sums where a value is used more than once;
    and the derivatives beside central differences. f returns one tensor; for several outputs the rows of the Jacobian
    are carried along, or the one product that a cotangent asks for. For up to 100 ops on values of up to 64 elements.

    >>> cr.explain(lambda x, y: x * y + x, 2.0, 5.0).graph.gradients["x"].item()
    6.0
    """
def expm1(x: typing.Any) -> Tensor:
    """
    e^x - 1, accurate near 0.
    """
def f1(output: typing.Any, target: typing.Any, *, average: str = 'auto', sample_weight: typing.Any = None, link: str = 'identity', ignore_index: typing.SupportsIndex | None = None) -> float:
    """
    Harmonic mean of precision and recall, 2 tp / (2 tp + fp + fn). average as in precision.

    >>> cr.metrics.f1([1, 1, 0, 1], [1, 0, 0, 1])
    0.8
    """
def fit_schema(table: Table, target: str, rows: typing.Any = None, *, missing: str = 'error', task: str = 'auto', ignore: collections.abc.Sequence[str] = ()) -> Schema:
    """
    Learn means, scales, categories and classes from the given rows (None: all). missing: "error", "fill" (mean, or the
    most frequent category) or "drop"; task: "auto", "classification" or "regression"; ignore: columns that are no
    features.
    """
def flip(x: typing.Any, axis: typing.Any = None) -> Tensor:
    """
    Backwards along the axes; along all of them by default.
    """
def floor(x: typing.Any) -> Tensor:
    """
    Largest integer not above x, in x's dtype. The derivative is 0.
    """
def fma(a: typing.Any, b: typing.Any, c: typing.Any) -> Tensor:
    """
    a * b + c, rounded once.
    """
def from_numpy(array: numpy.typing.NDArray[typing.Any]) -> Tensor:
    """
    A tensor on the array's own memory, without a copy. It is never written through; later changes of the array show.
    """
def full(shape: typing.Any, value: typing.Any, dtype: typing.Any = None) -> Tensor:
    """
    A tensor with the same value everywhere, or with a tensor's values repeated, which keeps its gradient.
    dtype: float32 for a number, that of the value otherwise.
    """
def functional_call(module: typing.Any, parameters: dict[typing.Any, typing.Any], *args: typing.Any) -> typing.Any:
    """
    module(*inputs) with tensors, by name, in the place of its parameters and buffers; what is not named stays as it is. Gradients go to the tensors given.

    >>> model = nn.Linear(2, 1, seed=0)
    >>> loss = lambda p: (cr.functional_call(model, p, cr.ones((4, 2))) ** 2).mean()
    >>> sorted(cr.grad(loss)(dict(model.named_parameters())))
    ['bias', 'weight']
    """
def gain(nonlinearity: str, param: typing.SupportsFloat | typing.SupportsIndex = 0.01) -> float:
    """
    The factor that keeps variances level behind this activation.
    """
def gelu(x: typing.Any) -> Tensor:
    """
    Gaussian error linear unit x Phi(x), exact (Hendrycks and Gimpel, 2016).
    """
def gelu_tanh(x: typing.Any) -> Tensor:
    """
    GELU by its tanh approximation (Hendrycks and Gimpel, 2016).
    """
def grad(f: typing.Any, argnums: typing.Any = 0, has_aux: bool = False) -> typing.Any:
    """
    The function that gives the gradient of scalar-valued f with respect to argument argnums (an int: bare; a tuple of ints: a tuple). An argument may be a tensor, nested tuples, lists and dicts of tensors, or a module, whose gradient is a dict by parameter name. has_aux: f returns (value, aux), the result is (gradient, aux).

    >>> cr.grad(lambda x: (x ** 2).sum())(cr.tensor([1.0, 2.0]))
    Tensor([2., 4.])
    """
def grad_enabled() -> bool:
    """
    Whether operations are recorded for backward() now, on this thread.
    """
def greater(a: typing.Any, b: typing.Any) -> Tensor:
    """
    a > b.
    """
def greater_equal(a: typing.Any, b: typing.Any) -> Tensor:
    """
    a >= b.
    """
def grid_search(make_model: typing.Any, grid: dict[typing.Any, typing.Any], X: typing.Any, y: typing.Any = None, *, maximize: typing.Any = None, loss: typing.Any, optimizer: typing.Any, k: typing.SupportsIndex = 5, epochs: typing.SupportsIndex = 1, batch_size: typing.SupportsIndex = 32, metrics: typing.Any = (), score: str = '', retrain: bool = True, seed: typing.Any = 0, workers: typing.Any = None, stratify: typing.Any = 'auto', groups: typing.Any = None, repeats: typing.SupportsIndex = 1, folds: typing.Any = None, callbacks: typing.Any = (), sample_weight: typing.Any = None, class_weight: typing.Any = None, sampler: typing.Any = None, shuffle: bool = True, clip_norm: typing.Any = None, clip_value: typing.Any = None, accumulate: typing.SupportsIndex = 1, l1: typing.SupportsFloat | typing.SupportsIndex = 0.0, max_norm: typing.Any = None, mixup: typing.SupportsFloat | typing.SupportsIndex = 0.0, precision: str = 'float32', progress: typing.Any = 'auto') -> Search:
    """
    Cross-validate every combination of the values in grid, a dict of lists, on the same folds, and train the best on all data.

    A name in the grid is an argument of make_model, an option of fit (epochs, batch_size, shuffle, class_weight, sampler,
    clip_norm, clip_value, accumulate, l1, max_norm, mixup), or an argument of the optimizer or of the loss, whichever has it; "model.width", "optimizer.lr", "loss.weight" or
    "fit.epochs" say which where several do. "optimizer" and "loss" are replaced as a whole. loss, optimizer, metrics, epochs, batch_size, shuffle, sample_weight, class_weight, sampler, clip_norm, clip_value, accumulate,
    l1, max_norm, mixup and precision are those of Trainer and fit. k, stratify, groups, repeats and seed make the folds as data.k_fold does; "auto" stratifies where y holds
    labels; folds="time_series", or pairs (train rows, held-out rows) take their place. score: "loss" or a metric's name; empty:
    the first metric, else the loss. sampler: its of_rows gives every fold one of its training rows. callbacks: each model gets copies. workers: models trained at a time, None: as many as
    there are threads; one worker gives each model all threads. The bits do not depend on it. seed: every fold starts as after
    cr.manual_seed(seed), and trains as Trainer(..., seed=seed) does; the r-th repeat has seed + r. progress: "auto" (a bar on a
    terminal), True, False, or a function of the reports.
    maximize: whether more of the score is better (None: told by its name). Returns a Search, the best first: best_params,
    best_score, best_model, parameters, scores, means, stds.

    >>> X, y = cr.datasets.load_digits(split="train")
    >>> make = lambda width: nn.MLP([64, width, 10])
    >>> r = cr.grid_search(make, {"width": [4, 32], "lr": [1e-3, 1e-2]}, X, y, k=3, epochs=2,
    ...                    loss=nn.CrossEntropyLoss(), optimizer=optim.Adam(), metrics=["accuracy"])
    >>> r.best_params
    {'width': 32, 'lr': 0.01}
    """
def has_bf16() -> bool:
    """
    Whether Trainer(..., precision="bf16") can run here: on processors with AMX, unless CHAINRULE_ISA caps it.
    """
def hessian(f: typing.Any, argnums: typing.Any = 0, has_aux: bool = False) -> typing.Any:
    """
    The function that gives the second derivatives of scalar-valued f, of shape x.shape + x.shape, by forward mode over reverse mode. For trees, a tree of trees: entry [a][b] is d2f / da db. Where f returns tuples, lists or dicts of scalars, so is the result, with the second derivatives of each.

    >>> cr.hessian(lambda x: x[0] ** 2 * x[1])(cr.tensor([1.0, 2.0]))
    Tensor([[4., 2.],
            [2., 0.]])
    """
def higher_is_better(column: str) -> bool | None:
    """
    Whether more of it is better, of a metric's or a History column's name; None for names of one's own.

    >>> cr.metrics.higher_is_better("val_accuracy"), cr.metrics.higher_is_better("loss")
    (True, False)
    """
def hstack(parts: typing.Any) -> Tensor:
    """
    The parts side by side, along axis 1; vectors one after another.
    """
def hvp(f: typing.Any, x: typing.Any, v: typing.Any) -> typing.Any:
    """
    The Hessian of scalar-valued f at x times v, without the Hessian: the derivative of f's gradient along v. Several arguments are a tuple.

    >>> cr.hvp(lambda x: (x ** 3).sum(), cr.tensor([1.0, 2.0]), cr.tensor([1.0, 1.0]))
    Tensor([6., 12.])
    """
def inner(a: typing.Any, b: typing.Any) -> Tensor:
    """
    Sum of products over the last axes of both.
    """
def isa_level() -> str:
    """
    The instruction set in use: "v2", "v3", "v4", "native" or "default".
    """
def isfinite(x: typing.Any) -> Tensor:
    """
    Whether x is neither infinite nor NaN, as bool.
    """
def isinf(x: typing.Any) -> Tensor:
    """
    Whether x is inf or -inf, as bool.
    """
def isnan(x: typing.Any) -> Tensor:
    """
    Whether x is NaN, as bool.
    """
def jacobian(f: typing.Any, argnums: typing.Any = 0, has_aux: bool = False, mode: str = 'auto') -> typing.Any:
    """
    The function that gives the Jacobian of f, of shape f(x).shape + x.shape. mode: "reverse" (one sweep carries all outputs' cotangents), "forward" (all inputs' tangents) or "auto" (the one that carries fewer). Where f returns tuples, lists or dicts of tensors, so is the result, with the Jacobian of each.

    >>> cr.jacobian(lambda x: x ** 2)(cr.tensor([1.0, 2.0]))
    Tensor([[2., 0.],
            [0., 4.]])
    """
def jvp(f: typing.Any, primals: typing.Any, tangents: typing.Any) -> tuple[typing.Any, typing.Any]:
    """
    (outputs, tangents) of f when the primals move along the tangents. Several primals are a tuple, and so are their tangents.

    >>> cr.jvp(lambda x: x ** 2, cr.tensor([1.0, 2.0]), cr.tensor([1.0, 0.0]))
    (Tensor([1., 4.]), Tensor([2., 0.]))
    """
def k_fold(n: typing.SupportsIndex, k: typing.SupportsIndex = 5, *, stratify: typing.Any = None, groups: typing.Any = None, repeats: typing.SupportsIndex = 1, shuffle: bool = True, seed: typing.Any = 0) -> list[typing.Any]:
    """
    Folds for cross-validation: k pairs (train rows, validation rows), in which each of n rows is held out once.

    stratify: one label per row; each class is spread over the folds evenly, to within one row. groups: one label per row;
    rows of a group are held out together. Both: groups stay whole, and go where the shares of classes stay most even.
    repeats: so many times k folds, each time of another order. With shuffle=False the folds are those of scikit-learn's
    KFold, StratifiedKFold, GroupKFold and StratifiedGroupKFold. Raises ValueError where a fold would be empty, or no class has
    k rows.

    >>> [held_out.tolist() for _, held_out in data.k_fold(5, 2, shuffle=False)]
    [[0, 1, 2], [3, 4]]
    """
def kaiming_normal_(weight: typing.Any, nonlinearity: str = 'relu', a: typing.SupportsFloat | typing.SupportsIndex = 0.0, mode: str = 'fan_in', *, seed: typing.Any = None) -> Tensor:
    """
    N(0, gain^2 / fan) (He et al., 2015).
    """
def kaiming_uniform_(weight: typing.Any, nonlinearity: str = 'relu', a: typing.SupportsFloat | typing.SupportsIndex = 0.0, mode: str = 'fan_in', *, seed: typing.Any = None) -> Tensor:
    """
    U(-b, b), b = gain sqrt(3 / fan) (He et al., 2015).
    """
def leaky_relu(x: typing.Any, negative_slope: typing.SupportsFloat | typing.SupportsIndex = 0.01) -> Tensor:
    """
    x where positive, else negative_slope * x.
    """
def lecun_normal_(weight: typing.Any, *, seed: typing.Any = None) -> Tensor:
    """
    N(0, 1 / in) (LeCun et al., 1998).
    """
def lecun_uniform_(weight: typing.Any, *, seed: typing.Any = None) -> Tensor:
    """
    U(-b, b), b = sqrt(3 / in) (LeCun et al., 1998).
    """
def less(a: typing.Any, b: typing.Any) -> Tensor:
    """
    a < b.
    """
def less_equal(a: typing.Any, b: typing.Any) -> Tensor:
    """
    a <= b.
    """
def linearize(f: typing.Any, *args: typing.Any) -> tuple[typing.Any, typing.Any]:
    """
    (outputs, push) of f at the primals: push(*tangents) gives the outputs' tangents. f runs once, however often push is called.
    """
def load(path: typing.Any) -> Module:
    """
    Read a model file, written by Python or C++. The model is in eval mode and can be trained on.
    """
def loads(data: bytes) -> Module:
    """
    Read a model from the bytes of a model file.
    """
def log(x: typing.Any) -> Tensor:
    """
    Natural logarithm; -inf at 0, NaN below.
    """
def log10(x: typing.Any) -> Tensor:
    """
    Logarithm to base 10.
    """
def log1p(x: typing.Any) -> Tensor:
    """
    log(1 + x), accurate near 0.
    """
def log2(x: typing.Any) -> Tensor:
    """
    Logarithm to base 2; exact at powers of 2.
    """
def log_loss(output: typing.Any, target: typing.Any, *, sample_weight: typing.Any = None, link: str = 'identity', ignore_index: typing.SupportsIndex | None = None) -> float:
    """
    Mean of -log of the probability of the right class. Probabilities are kept eps away from 0 and 1, eps that of
    their dtype; logits (link="softmax" or "sigmoid") need no limit. Of several labels the mean over them.

    >>> round(cr.metrics.log_loss([0.9, 0.2], [1, 0]), 4)
    0.1643
    """
def log_softmax(x: typing.Any, axis: typing.SupportsIndex = -1) -> Tensor:
    """
    log(softmax(x)) along the axis, without overflow.
    """
def logaddexp(a: typing.Any, b: typing.Any) -> Tensor:
    """
    log(e^a + e^b), without overflow.
    """
def logical_and(a: typing.Any, b: typing.Any) -> Tensor:
    """
    Whether both hold (are not 0); a & b for bools.
    """
def logical_not(x: typing.Any) -> Tensor:
    """
    Whether it does not hold (is 0); ~x for bools.
    """
def logical_or(a: typing.Any, b: typing.Any) -> Tensor:
    """
    Whether one or both hold (are not 0); a | b for bools.
    """
def logical_xor(a: typing.Any, b: typing.Any) -> Tensor:
    """
    Whether exactly one holds (is not 0); a ^ b for bools.
    """
def logsumexp(x: typing.Any, axis: typing.Any = None, keepdims: bool = False) -> Tensor:
    """
    log(sum(e^x)) over the axes, without overflow.
    """
def mae(output: typing.Any, target: typing.Any, *, sample_weight: typing.Any = None) -> float:
    """
    Mean of |output - target|.

    >>> cr.metrics.mae([1.0, 2.5], [1.0, 2.0])
    0.25
    """
def manual_seed(seed: typing.Any) -> None:
    """
    Set the seed that layers built without one, and dropout outside a Trainer, take their keys from (0 at start).
    """
def matmul(a: typing.Any, b: typing.Any, *, transpose_a: bool = False, transpose_b: bool = False) -> Tensor:
    """
    Matrix product (..., m, k) x (..., k, n) -> (..., m, n); leading sizes broadcast; the flags read an operand with its
    last two axes exchanged.
    """
def max(x: typing.Any, axis: typing.Any = None, keepdims: bool = False) -> Tensor:
    """
    Largest element along the axes; all of them by default.
    """
def maximum(a: typing.Any, b: typing.Any) -> Tensor:
    """
    Larger of a and b, NaN if either is. Equal values share the gradient equally.
    """
def mean(x: typing.Any, axis: typing.Any = None, keepdims: bool = False) -> Tensor:
    """
    Mean over the axes; all of them by default.
    """
def memory_use() -> dict[typing.Any, typing.Any]:
    """
    Bytes of elements of all tensors: {'live': now, 'peak': at most since the start or reset_peak_memory()}. Memory
    shared with NumPy and the work space of compiled programs are not in it.
    """
def min(x: typing.Any, axis: typing.Any = None, keepdims: bool = False) -> Tensor:
    """
    Smallest element along the axes; all of them by default.
    """
def minimum(a: typing.Any, b: typing.Any) -> Tensor:
    """
    Smaller of a and b, NaN if either is. Equal values share the gradient equally.
    """
def mish(x: typing.Any) -> Tensor:
    """
    x tanh(softplus(x)) (Misra, 2019).
    """
def mod(a: typing.Any, b: typing.Any) -> Tensor:
    """
    Remainder with the sign of b: a - floor(a / b) b. The derivative by b is -floor(a / b), also at the jumps.
    """
def moveaxis(x: typing.Any, source: typing.Any, destination: typing.Any) -> Tensor:
    """
    The source axes put at the destinations; the others keep their order.
    """
def mse(output: typing.Any, target: typing.Any, *, sample_weight: typing.Any = None) -> float:
    """
    Mean of (output - target)^2.

    >>> cr.metrics.mse([1.0, 2.5], [1.0, 2.0])
    0.125
    """
def multiply(a: typing.Any, b: typing.Any) -> Tensor:
    """
    a * b.
    """
def negative(x: typing.Any) -> Tensor:
    """
    -x.
    """
def nonzero(x: typing.Any) -> tuple[typing.Any, ...]:
    """
    One int64 tensor per axis: the positions of what is not 0. Not in traced functions.
    """
def norm(x: typing.Any, ord: typing.Any = None, axis: typing.Any = None, keepdims: bool = False) -> Tensor:
    """
    Norm over one axis, two or (without an order) any number, all by default, as numpy.linalg.norm.

    None or "fro": the root of the sum of squares. Vectors (one axis): a number p, (sum |x|^p)^(1/p); 0 counts what
    is not 0, inf and -inf are the largest and smallest |x|. Matrices (two axes): 1, the largest sum of a column's
    absolute values, inf, of a row's, or -inf, the smallest. The derivative at 0 is defined as 0.
    """
def normal_(weight: typing.Any, mean: typing.SupportsFloat | typing.SupportsIndex = 0.0, std: typing.SupportsFloat | typing.SupportsIndex = 1.0, *, seed: typing.Any = None) -> Tensor:
    """
    N(mean, std^2).
    """
def not_equal(a: typing.Any, b: typing.Any) -> Tensor:
    """
    a != b.
    """
def num_threads() -> int:
    """
    How many threads chainrule uses.
    """
def one_hot(index: typing.Any, classes: typing.SupportsIndex, dtype: typing.Any = 'float32') -> Tensor:
    """
    1 at the index, 0 elsewhere, along a new last axis.
    """
def ones(shape: typing.Any, dtype: typing.Any = 'float32') -> Tensor:
    """
    A tensor of ones.
    """
def op_table() -> list[typing.Any]:
    """
    One dict of facts per op: name, doc, version, inputs, outputs, attributes, kind of derivative, dtypes with a kernel.
    """
def orthogonal_(weight: typing.Any, gain: typing.SupportsFloat | typing.SupportsIndex = 1.0, *, seed: typing.Any = None) -> Tensor:
    """
    An orthogonal matrix times gain (Saxe et al., 2013).
    """
def outer(a: typing.Any, b: typing.Any) -> Tensor:
    """
    Outer product a[i] b[j] of the flattened operands.
    """
def pad(x: typing.Any, pad_width: typing.Any, mode: str = 'constant', constant_values: typing.Any = 0.0) -> Tensor:
    """
    More entries before and after each axis: pad_width is a number, (before, after) for all axes, or one such pair
    per axis. mode is constant, edge, reflect, symmetric or wrap.
    """
def parse_idx(data: bytes, name: str = 'bytes') -> numpy.typing.NDArray[typing.Any]:
    """
    An array from the bytes of an IDX file (MNIST's format).
    """
def power(a: typing.Any, b: typing.Any) -> Tensor:
    """
    a ** b. 0 ** 0 is 1; a negative base needs an integral exponent, else NaN. Integers stay integers and refuse negative exponents.
    """
def precision(output: typing.Any, target: typing.Any, *, average: str = 'auto', sample_weight: typing.Any = None, link: str = 'identity', ignore_index: typing.SupportsIndex | None = None) -> float:
    """
    Share of what is taken for a class that belongs to it; 0 where nothing is taken for it.

    average: "binary" (of class 1), "macro" (mean over the classes that occur), "weighted" (by their targets),
    "micro" (all decisions together), "samples" (mean over samples of several labels), or "auto": binary for the
    two classes 0 and 1, else macro.

    >>> cr.metrics.precision([1, 1, 0, 1], [1, 0, 0, 1]) == 2 / 3
    True
    """
def prod(x: typing.Any, axis: typing.Any = None, keepdims: bool = False) -> Tensor:
    """
    Product over the axes; all of them by default. The derivative is right at zeros, too.
    """
def r2(output: typing.Any, target: typing.Any, *, sample_weight: typing.Any = None) -> float:
    """
    1 - sum (output - target)^2 / sum (target - mean)^2; of several columns the mean of theirs. A constant target gives 1
    where it is met and 0 otherwise; fewer than two samples give NaN.

    >>> cr.metrics.r2([1.0, 2.0, 4.0], [1.0, 2.0, 3.0])
    0.5
    """
def random_normal(shape: typing.Any, mean: typing.SupportsFloat | typing.SupportsIndex = 0.0, std: typing.SupportsFloat | typing.SupportsIndex = 1.0, dtype: typing.Any = 'float32') -> Tensor:
    """
    Normal draws, new in each call, in a compiled function in each run and in vmap for each sample; manual_seed(s)
    starts them again.
    Constants to every derivative: mean + std * normal(shape) has gradients for mean and std.
    """
def random_search(make_model: typing.Any, distributions: dict[typing.Any, typing.Any], X: typing.Any, y: typing.Any = None, *, n_iter: typing.SupportsIndex = 10, maximize: typing.Any = None, loss: typing.Any, optimizer: typing.Any, k: typing.SupportsIndex = 5, epochs: typing.SupportsIndex = 1, batch_size: typing.SupportsIndex = 32, metrics: typing.Any = (), score: str = '', retrain: bool = True, seed: typing.Any = 0, workers: typing.Any = None, stratify: typing.Any = 'auto', groups: typing.Any = None, repeats: typing.SupportsIndex = 1, folds: typing.Any = None, callbacks: typing.Any = (), sample_weight: typing.Any = None, class_weight: typing.Any = None, sampler: typing.Any = None, shuffle: bool = True, clip_norm: typing.Any = None, clip_value: typing.Any = None, accumulate: typing.SupportsIndex = 1, l1: typing.SupportsFloat | typing.SupportsIndex = 0.0, max_norm: typing.Any = None, mixup: typing.SupportsFloat | typing.SupportsIndex = 0.0, precision: str = 'float32', progress: typing.Any = 'auto') -> Search:
    """
    grid_search for n_iter candidates drawn by seed: each parameter from a list, or from Uniform, LogUniform or Integer of
    chainrule.distributions. Bergstra and Bengio (2012), Random search for hyper-parameter optimization.

    loss, optimizer, metrics, epochs, batch_size, shuffle, sample_weight, class_weight, sampler, clip_norm, clip_value, accumulate,
    l1, max_norm, mixup and precision are those of Trainer and fit. k, stratify, groups, repeats and seed make the folds as data.k_fold does; "auto" stratifies where y holds
    labels; folds="time_series", or pairs (train rows, held-out rows) take their place. score: "loss" or a metric's name; empty:
    the first metric, else the loss. sampler: its of_rows gives every fold one of its training rows. callbacks: each model gets copies. workers: models trained at a time, None: as many as
    there are threads; one worker gives each model all threads. The bits do not depend on it. seed: every fold starts as after
    cr.manual_seed(seed), and trains as Trainer(..., seed=seed) does; the r-th repeat has seed + r. progress: "auto" (a bar on a
    terminal), True, False, or a function of the reports.
    More candidates with the same seed begin with the same ones.

    >>> X, y = cr.datasets.load_digits(split="train")
    >>> make = lambda width: nn.MLP([64, width, 10])
    >>> from chainrule.distributions import Integer, LogUniform
    >>> space = {"width": Integer(8, 32), "lr": LogUniform(1e-3, 1e-1), "batch_size": [32, 64]}
    >>> r = cr.random_search(make, space, X, y, n_iter=3, k=2, loss=nn.CrossEntropyLoss(),
    ...                      optimizer=optim.Adam(), metrics=["accuracy"])
    >>> len(r), sorted(r.best_params)
    (3, ['batch_size', 'lr', 'width'])
    """
def random_uniform(shape: typing.Any, low: typing.SupportsFloat | typing.SupportsIndex = 0.0, high: typing.SupportsFloat | typing.SupportsIndex = 1.0, dtype: typing.Any = 'float32') -> Tensor:
    """
    Uniform draws in [low, high), new in each call, and in a compiled function in each run; manual_seed(s) starts
    them again. Constants to every derivative.
    """
def read_csv(path: typing.Any, *, delimiter: str = '', decimal: str = '.', header: bool = True, missing: typing.Any = None, text: collections.abc.Sequence[str] = (), rows: typing.SupportsIndex | None = None) -> Table:
    """
    Read a CSV file. The delimiter is found from the first lines where it is not given; missing lists what counts as
    missing, text the columns kept as text even where all their cells are numbers. rows: only the first so many.
    """
def read_idx(path: typing.Any) -> numpy.typing.NDArray[typing.Any]:
    """
    An array from an IDX file (MNIST's format), gzip-compressed or not.
    """
def recall(output: typing.Any, target: typing.Any, *, average: str = 'auto', sample_weight: typing.Any = None, link: str = 'identity', ignore_index: typing.SupportsIndex | None = None) -> float:
    """
    Share of a class that is found; 0 where none of it is there. average as in precision.

    >>> cr.metrics.recall([2, 0, 1, 1], [2, 0, 1, 0], average="macro")
    0.8333333333333334
    """
def reciprocal(x: typing.Any) -> Tensor:
    """
    1 / x; integers as float64.
    """
def relu(x: typing.Any) -> Tensor:
    """
    Rectifier max(x, 0); the derivative at 0 is 0.
    """
def repeat(x: typing.Any, repeats: typing.Any, axis: typing.SupportsIndex | None = None) -> Tensor:
    """
    Each entry along the axis `repeats` times in a row (one number, or one per entry); of x flattened by default.
    """
def reset_peak_memory() -> None:
    """
    Let memory_use()['peak'] begin anew with what is live now.
    """
def reshape(x: typing.Any, shape: typing.Any) -> Tensor:
    """
    Another shape of the same size; one size may be -1.
    """
def rmse(output: typing.Any, target: typing.Any, *, sample_weight: typing.Any = None) -> float:
    """
    Square root of the mean of (output - target)^2; of several columns the mean of theirs.

    >>> cr.metrics.rmse([1.0, 2.0], [4.0, 6.0]) == 12.5 ** 0.5
    True
    """
def roc_auc(output: typing.Any, target: typing.Any, *, average: str = 'auto', sample_weight: typing.Any = None, link: str = 'identity', ignore_index: typing.SupportsIndex | None = None) -> float:
    """
    Probability that a sample of class 1 has a higher score than one of class 0, ties counting half: the area under the
    ROC curve. Of several classes or labels (N, C), the mean over each against the rest. NaN where only one class occurs.

    average: "macro", "weighted", "micro" or "samples", for several classes or labels.

    >>> cr.metrics.roc_auc([0.1, 0.4, 0.35, 0.8], [0, 0, 1, 1])
    0.75
    """
def round(x: typing.Any, decimals: typing.SupportsIndex = 0) -> Tensor:
    """
    Rounded to so many decimals, halves to even, in x's dtype; below 0 to tens, hundreds, ... The derivative is 0.
    """
def save(model: typing.Any, path: typing.Any, *, schema: typing.Any = None, training: str = '{}', input_shape: typing.Any = None, input_shapes: typing.Any = None) -> None:
    """
    Write a model file. schema: the columns it was trained on; training: a JSON object on how; input_shape and
    input_shapes: as in Module.save.
    """
def selu(x: typing.Any) -> Tensor:
    """
    s x where x > 0, else s a (e^x - 1); s = 1.0507, a = 1.6733 (Klambauer et al., 2017).
    """
def set_grad_enabled(on: bool) -> None:
    """
    Record from now on, or no longer, on this thread.
    """
def set_num_threads(threads: typing.SupportsIndex) -> None:
    """
    Use this many threads, at least 1.
    """
def show_config() -> None:
    """
    Print what this build is and what it runs on.
    """
def sigmoid(x: typing.Any) -> Tensor:
    """
    Logistic function 1 / (1 + e^-x), with sigma' = sigma (1 - sigma).
    """
def sign(x: typing.Any) -> Tensor:
    """
    -1, 0 or 1; NaN stays NaN. The derivative is 0.
    """
def silu(x: typing.Any) -> Tensor:
    """
    x sigmoid(x), also called swish (Elfwing et al., 2017).
    """
def sin(x: typing.Any) -> Tensor:
    """
    Sine of x in radians, accurate at any size; NaN at infinity.
    """
def sinh(x: typing.Any) -> Tensor:
    """
    Hyperbolic sine (e^x - e^-x) / 2.
    """
def softmax(x: typing.Any, axis: typing.SupportsIndex = -1) -> Tensor:
    """
    e^x / sum(e^x) along the axis; its Jacobian is diag(s) - s s'.
    """
def softmax_cross_entropy(logits: typing.Any, labels: typing.Any, *, label_smoothing: typing.SupportsFloat | typing.SupportsIndex = 0.0, ignore_index: typing.SupportsIndex | None = None) -> Tensor:
    """
    Per-sample loss log(sum(e^x)) - x[label] of logits (..., C) and labels (...). Ignored labels give 0.
    """
def softplus(x: typing.Any) -> Tensor:
    """
    log(1 + e^x), without overflow; its derivative is sigmoid(x).
    """
def softsign(x: typing.Any) -> Tensor:
    """
    x / (1 + |x|), between -1 and 1.
    """
def sort(x: typing.Any, axis: typing.SupportsIndex | None = -1, *, descending: bool = False) -> Tensor:
    """
    The entries in order along the axis, all of them in a row with axis=None. Stable; NaN last, also when
    descending. The gradient goes back to where each entry came from.
    """
def split(x: typing.Any, indices_or_sections: typing.Any, axis: typing.SupportsIndex = 0) -> list[typing.Any]:
    """
    A list of parts along the axis: so many equal ones, or those between the given indices.
    """
def split_data(X: typing.Any, y: typing.Any, *, test: typing.SupportsFloat | typing.SupportsIndex = 0.2, validation: typing.SupportsFloat | typing.SupportsIndex = 0.0, stratify: typing.Any = 'auto', groups: typing.Any = None, seed: typing.Any = 0) -> tuple[typing.Any, ...]:
    """
    Split data into parts: (train, test), or (train, validation, test) where validation is given, each a pair (X, y).

    test and validation are shares of all rows; a share of 0 leaves that part out. stratify: every part keeps each class's
    share of the rows, by y where it holds labels ("auto"), always (True), never (None), or by the labels given. groups: one
    label per row; rows of a group stay together, and the parts come as near to their shares as whole groups allow. X may be
    an array, a frame or a tuple of inputs. Rows keep their order; which ones go where is chosen by seed. Raises ValueError
    where a part would be empty, or where stratify and groups are both given.

    >>> X, y = np.zeros((100, 3)), np.arange(100) % 4
    >>> train, validation, test = data.split_data(X, y, test=0.2, validation=0.1)
    >>> [len(part[1]) for part in (train, validation, test)]
    [70, 10, 20]
    >>> np.bincount(test[1])
    array([5, 5, 5, 5])
    """
def split_rows(n: typing.SupportsIndex, fraction: typing.SupportsFloat | typing.SupportsIndex, *, seed: typing.Any = 0, stratify: typing.Any = None) -> tuple[numpy.typing.NDArray[typing.Any], numpy.typing.NDArray[typing.Any]]:
    """
    (train rows, held-out rows): row numbers shuffled by seed; stratify=labels keeps the share of each class.
    """
def sqrt(x: typing.Any) -> Tensor:
    """
    Square root; NaN below 0. The derivative at 0 is inf.
    """
def square(x: typing.Any) -> Tensor:
    """
    x * x.
    """
def squeeze(x: typing.Any, axis: typing.Any = None) -> Tensor:
    """
    Without the given axes of size 1; without all of them by default.
    """
def stack(parts: typing.Any, axis: typing.SupportsIndex = 0) -> Tensor:
    """
    Tensors of one shape along a new axis.
    """
def std(x: typing.Any, axis: typing.Any = None, keepdims: bool = False, ddof: typing.SupportsIndex = 0) -> Tensor:
    """
    Standard deviation over the axes, the root of var. The derivative where it is 0 is defined as 0.
    """
def stop_gradient(x: typing.Any) -> Tensor:
    """
    The same values; no gradient flows through, in traced and compiled functions either.
    """
def subtract(a: typing.Any, b: typing.Any) -> Tensor:
    """
    a - b.
    """
def sum(x: typing.Any, axis: typing.Any = None, keepdims: bool = False) -> Tensor:
    """
    Sum over the axes; all of them by default.
    """
def swapaxes(x: typing.Any, axis1: typing.SupportsIndex, axis2: typing.SupportsIndex) -> Tensor:
    """
    Two axes exchanged.
    """
def take(x: typing.Any, indices: typing.Any, axis: typing.SupportsIndex | None = None) -> Tensor:
    """
    Entries at the indices along the axis, of x flattened by default. Negative indices count from the end. The
    gradients of an entry taken several times add up.
    """
def take_along(x: typing.Any, index: typing.Any, axis: typing.SupportsIndex = -1) -> Tensor:
    """
    One entry of x per position along the axis: index has x's shape without that axis. Negative entries count from the end.
    """
def take_along_axis(x: typing.Any, indices: typing.Any, axis: typing.SupportsIndex = -1) -> Tensor:
    """
    NumPy's: out[i, j] = x[i, indices[i, j]] along the last axis. indices has x's rank; other sizes broadcast.
    """
def tan(x: typing.Any) -> Tensor:
    """
    Tangent of x in radians, accurate at any size; NaN at infinity.
    """
def tanh(x: typing.Any) -> Tensor:
    """
    Hyperbolic tangent, with tanh' = 1 - tanh^2.
    """
def tensor(value: typing.Any, dtype: typing.Any = None, *, requires_grad: bool = False) -> Tensor:
    """
    A new tensor from numbers, nested lists, an array or a tensor; always a copy. Python floats become float32, ints
    int64, bools bool; arrays and NumPy's scalars keep their dtype. Tensors, also in lists, keep their gradients and are
    traced; requires_grad=True makes a new leaf, without what computed the values.
    """
def tensordot(a: typing.Any, b: typing.Any, axes: typing.Any = 2) -> Tensor:
    """
    Sum of products over the last `axes` axes of a and the first of b, or over a pair (axes of a, axes of b).
    """
def tile(x: typing.Any, reps: typing.Any) -> Tensor:
    """
    x side by side, so often along each axis; one number counts for the last.
    """
def time_series_folds(n: typing.SupportsIndex, k: typing.SupportsIndex = 5, *, validation: typing.SupportsIndex = 0, gap: typing.SupportsIndex = 0, train: typing.SupportsIndex = 0) -> list[typing.Any]:
    """
    Folds of rows in order of time: what comes later is held out, what comes before trains (scikit-learn's TimeSeriesSplit).

    validation: rows held out in each fold (0: n // (k + 1)); gap: rows left out between the two; train: only the latest so
    many rows train (0: all before).

    >>> [(len(train), held_out.tolist()) for train, held_out in data.time_series_folds(7, 3)]
    [(4, [4]), (5, [5]), (6, [6])]
    """
def top_k_accuracy(output: typing.Any, target: typing.Any, k: typing.SupportsIndex, *, sample_weight: typing.Any = None, link: str = 'identity', ignore_index: typing.SupportsIndex | None = None) -> float:
    """
    Share of samples whose class is among the k of highest score. Of equal scores the higher class comes first, as in
    scikit-learn. In a Trainer: metrics=["top_5_accuracy"], with any number.

    >>> cr.metrics.top_k_accuracy([[0.5, 0.3, 0.2], [0.1, 0.2, 0.7]], [1, 0], k=2)
    0.5
    """
def topk(x: typing.Any, k: typing.SupportsIndex, axis: typing.SupportsIndex = -1, *, largest: bool = True) -> tuple[Tensor, Tensor]:
    """
    (values, indices) of the k largest entries along the axis, or smallest, in their order; NaN counts last.
    """
def trace(f: typing.Any, *args: typing.Any) -> Graph:
    """
    The Graph of what f does on tensors shaped like the examples, whose values are not read.

    >>> len(cr.trace(lambda x: cr.tanh(x).sum(), cr.ones((2, 3))))
    2
    """
def training_step(loss: typing.Any, optimizer: typing.Any = None, *, clip_norm: typing.SupportsFloat | typing.SupportsIndex | None = None, clip_value: typing.SupportsFloat | typing.SupportsIndex | None = None, seed: typing.Any = 0, precision: str = 'float32') -> TrainingStep:
    """
    A step that lowers loss(*inputs), any function of tensors and modules that returns one number, by moving the optimizer's parameters and no others. The step is traced once per shapes of its inputs and runs as one program; calling it, with arguments by position or by name, gives the loss before the update, a float. A list of (loss, optimizer) pairs runs in order, each loss seeing what the optimizers before it have done, and gives a tuple. Modules compute in the mode, train or eval, that they are in. A step whose loss or gradients are not finite changes nothing and raises ValueError. clip_norm: the largest norm of an optimizer's gradients; clip_value: the largest element of each; seed: keys dropout; precision: "float32", or "bf16" on processors with AMX, as in Trainer.

    >>> model = nn.Linear(2, 1, seed=0)
    >>> step = cr.training_step(lambda x, y: ((model(x) - y) ** 2).mean(), optim.SGD(model.parameters(), lr=0.1))
    >>> x = np.ones((4, 2), dtype=np.float32)
    >>> step(x, x[:, :1]) > step(x, x[:, :1])
    True
    """
def transpose(x: typing.Any, axes: typing.Any = None) -> Tensor:
    """
    Axes in the given order; reversed by default.
    """
def uniform_(weight: typing.Any, low: typing.SupportsFloat | typing.SupportsIndex = 0.0, high: typing.SupportsFloat | typing.SupportsIndex = 1.0, *, seed: typing.Any = None) -> Tensor:
    """
    U(low, high).
    """
def value_and_grad(f: typing.Any, argnums: typing.Any = 0, has_aux: bool = False) -> typing.Any:
    """
    The function that gives (value, gradient) of scalar-valued f; with has_aux ((value, aux), gradient). Arguments as in grad.
    """
def var(x: typing.Any, axis: typing.Any = None, keepdims: bool = False, ddof: typing.SupportsIndex = 0) -> Tensor:
    """
    Variance over the axes, divided by n - ddof.
    """
def vjp(f: typing.Any, *args: typing.Any) -> tuple[typing.Any, typing.Any]:
    """
    (outputs, pullback) of f at the primals. pullback(gy) takes a cotangent for each output, in the outputs' structure, and always returns a tuple: one cotangent per primal. f runs once, however often pullback is called.

    >>> y, pullback = cr.vjp(lambda x: x ** 2, cr.tensor([1.0, 2.0]))
    >>> pullback(cr.ones((2,)))
    (Tensor([2., 4.]),)
    """
def vmap(f: typing.Any, in_axes: typing.Any = 0, out_axes: typing.Any = 0) -> typing.Any:
    """
    f, written for one sample, on a batch of them. Every sample gets random draws and dropout masks of its own. in_axes: the axis of the batch in every argument, or a tuple with one per argument, None for what all samples share; out_axes: where it goes in the outputs. Arguments given by name are shared by all samples. f is traced on one sample, twice, to see what would be frozen (np.random): a branch on values is an error.

    >>> cr.vmap(cr.grad(lambda x: (x ** 2).sum()))(cr.tensor([[1.0, 2.0], [3.0, 4.0]]))
    Tensor([[2., 4.],
            [6., 8.]])
    """
def vstack(parts: typing.Any) -> Tensor:
    """
    The parts below each other, along axis 0; vectors are rows.
    """
def where(condition: typing.Any, a: typing.Any, b: typing.Any) -> Tensor:
    """
    a where the condition (bool) holds, else b.
    """
def xavier_normal_(weight: typing.Any, gain: typing.SupportsFloat | typing.SupportsIndex = 1.0, *, seed: typing.Any = None) -> Tensor:
    """
    N(0, 2 gain^2 / (in + out)) (Glorot and Bengio, 2010).
    """
def xavier_uniform_(weight: typing.Any, gain: typing.SupportsFloat | typing.SupportsIndex = 1.0, *, seed: typing.Any = None) -> Tensor:
    """
    U(-a, a), a = gain sqrt(6 / (in + out)) (Glorot and Bengio, 2010).
    """
def zeros(shape: typing.Any, dtype: typing.Any = 'float32') -> Tensor:
    """
    A tensor of zeros.
    """
__version__: str = '0.1.0'
