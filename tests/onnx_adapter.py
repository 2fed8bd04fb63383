"""ONNX's operators as functions of chainrule's public ops: a table, and what runs a graph by it.

Shapes, axes and other structure arrive in ONNX as tensors; they are read here with NumPy. All else is
computed by chainrule. Not a backend: it exists so that ONNX's own test cases can judge the ops.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import chainrule as cr
import numpy as np
from onnx import AttributeProto, TensorProto, helper, numpy_helper
from onnx_networks import NETWORKS
from onnx_structure import STRUCTURE, LeftOut, ints

DTYPES = ("float32", "float64", "int32", "int64", "uint8", "bool", "bfloat16")


def axes_of(axes: Any) -> tuple[int, ...] | None:
    """None and an empty list both mean all axes."""
    found = () if axes is None else tuple(ints(axes))
    return found or None


def like(y: cr.Tensor, x: cr.Tensor) -> cr.Tensor:
    """ONNX keeps the element type of integers where NumPy, and we, widen it."""
    return y if y.dtype == x.dtype else cr.cast(y, x.dtype)


def same_type(f: Callable) -> Callable:
    return lambda x, *rest: like(f(x, *rest), x)


# --- elementwise


def divide(a, b):
    q = a / b
    return q if a.dtype.startswith("float") else cr.cast(q, a.dtype)  # a cast cuts towards zero, as ONNX does


def mod(a, b, fmod=0):
    return like(cr.sign(a) * cr.mod(cr.abs(a), cr.abs(b)) if fmod else cr.mod(a, b), a)


def folded(f: Callable) -> Callable:
    def fold(first, *rest):
        for x in rest:
            first = f(first, x)
        return first

    return fold


def clip(x, low=None, high=None):
    if low is not None:
        x = cr.maximum(x, low)
    return x if high is None else cr.minimum(x, high)


def is_inf(x, detect_negative=1, detect_positive=1):
    found = cr.isinf(x)
    if not detect_negative:
        found = cr.logical_and(found, x > 0)
    return found if detect_positive else cr.logical_and(found, x < 0)


def cast(x, to, saturate=1, round_mode="up"):
    name = helper.tensor_dtype_to_np_dtype(to).name
    if name not in DTYPES:
        raise LeftOut(f"element type {name}")
    return cr.cast(x, name)


def gelu(x, approximate="none"):
    return cr.gelu_tanh(x) if approximate == "tanh" else cr.gelu(x)


def selu(x, alpha=1.67326319217681884765625, gamma=1.05070102214813232421875):
    return gamma * cr.elu(x, alpha)


def hard_sigmoid(x, alpha=0.2, beta=0.5):
    return cr.clip(alpha * x + beta, 0.0, 1.0)


def shrink(x, bias=0.0, lambd=0.5):
    return like(cr.where(x < -lambd, x + bias, cr.where(x > lambd, x - bias, 0 * x)), x)


def swish(x, alpha=1.0):
    return x * cr.sigmoid(alpha * x)


ELEMENTWISE = {
    "Abs": cr.abs,
    "Acos": cr.arccos,
    "Acosh": lambda x: cr.log(x + cr.sqrt(x * x - 1)),
    "Add": cr.add,
    "And": cr.logical_and,
    "Asin": cr.arcsin,
    "Asinh": lambda x: cr.sign(x) * cr.log(cr.abs(x) + cr.sqrt(x * x + 1)),
    "Atan": cr.arctan,
    "Atanh": lambda x: 0.5 * (cr.log1p(x) - cr.log1p(-x)),
    "Cast": cast,
    "CastLike": lambda x, target, saturate=1, round_mode="up": like(x, target),
    "Ceil": cr.ceil,
    "Celu": lambda x, alpha=1.0: cr.maximum(x, 0) + cr.minimum(0, alpha * cr.expm1(x / alpha)),
    "Clip": clip,
    "Cos": cr.cos,
    "Cosh": cr.cosh,
    "Div": divide,
    "Elu": lambda x, alpha=1.0: cr.elu(x, alpha),
    "Equal": cr.equal,
    "Erf": cr.erf,
    "Exp": cr.exp,
    "Floor": cr.floor,
    "Gelu": gelu,
    "Greater": cr.greater,
    "GreaterOrEqual": cr.greater_equal,
    "HardSigmoid": hard_sigmoid,
    "HardSwish": lambda x: x * hard_sigmoid(x, 1 / 6, 0.5),
    "Identity": lambda x: x,
    "IsInf": is_inf,
    "IsNaN": cr.isnan,
    "LeakyRelu": lambda x, alpha=0.01: cr.leaky_relu(x, alpha),
    "Less": cr.less,
    "LessOrEqual": cr.less_equal,
    "Log": cr.log,
    "Max": folded(cr.maximum),
    "Mean": lambda *xs: cr.mean(cr.stack(xs), 0),
    "Min": folded(cr.minimum),
    "Mish": cr.mish,
    "Mod": mod,
    "Mul": cr.multiply,
    "Neg": cr.negative,
    "Not": cr.logical_not,
    "Or": cr.logical_or,
    "PRelu": lambda x, slope: cr.where(x < 0, x * slope, x),
    "Pow": same_type(cr.power),
    "Reciprocal": cr.reciprocal,
    "Relu": cr.relu,
    "Round": cr.round,
    "Selu": selu,
    "Shrink": shrink,
    "Sigmoid": cr.sigmoid,
    "Sign": cr.sign,
    "Sin": cr.sin,
    "Sinh": cr.sinh,
    "Softplus": cr.softplus,
    "Softsign": cr.softsign,
    "Sqrt": cr.sqrt,
    "Sub": cr.subtract,
    "Sum": folded(cr.add),
    "SwiGLU": lambda a, b, alpha=1.0: swish(a, alpha) * b,
    "Swish": swish,
    "Tan": cr.tan,
    "Tanh": cr.tanh,
    "ThresholdedRelu": lambda x, alpha=1.0: cr.where(x > alpha, x, 0 * x),
    "Where": cr.where,
    "Xor": cr.logical_xor,
}

# --- reductions, order and products


def reduction(f: Callable, elementwise: Callable = lambda x: x) -> Callable:
    """elementwise is what is left of the reduction when there is no axis to reduce."""

    def reduce(x, axes=None, keepdims=1, noop_with_empty_axes=0):
        if noop_with_empty_axes and axes_of(axes) is None:
            return elementwise(x)
        return like(f(x, axes_of(axes), bool(keepdims)), x)

    return reduce


def extreme(f: Callable, empty: float) -> Callable:
    """The largest or smallest; of nothing it is ONNX's -inf or inf, where we say that there is nothing."""

    def reduce(x, axis, keepdims):
        if x.size:
            return f(x, axis, keepdims)
        shape = np.zeros(x.shape).sum(axis, keepdims=keepdims).shape
        return cr.full(shape, empty > 0 if x.dtype == "bool" else empty, x.dtype)

    return reduction(reduce)


def index_of(f: Callable) -> Callable:
    def place(x, axis=0, keepdims=1, select_last_index=0):
        if not select_last_index:
            return f(x, axis, bool(keepdims))
        return x.shape[axis] - 1 - f(cr.flip(x, axis), axis, bool(keepdims))

    return place


def scan(f: Callable, neutral: float) -> Callable:
    def run(x, axis, exclusive=0, reverse=0):
        (axis,) = ints(axis)
        y = f(x, axis, reverse=bool(reverse))
        if exclusive:  # one step later, from the neutral element on
            n = x.shape[axis]
            edge = [(0, 0)] * x.ndim
            edge[axis] = (0, 1) if reverse else (1, 0)
            inside = cr.take(y, np.arange(1, n) if reverse else np.arange(n - 1), axis)
            y = cr.pad(inside, edge, constant_values=neutral)
        return like(y, x)

    return run


def top_k(x, k, axis=-1, largest=1, sorted=1):
    return cr.topk(x, ints(k)[0], axis, largest=bool(largest))


def gemm(a, b, c=None, alpha=1.0, beta=1.0, transA=0, transB=0):
    y = cr.matmul(a, b, transpose_a=bool(transA), transpose_b=bool(transB))
    y = y if alpha == 1 else alpha * y
    return y if c is None else y + (c if beta == 1 else beta * c)


def hardmax(x, axis=-1):
    best = cr.argmax(x, axis)
    return cr.moveaxis(cr.one_hot(best, x.shape[axis], x.dtype), -1, axis)


REDUCTIONS = {
    "ArgMax": index_of(cr.argmax),
    "ArgMin": index_of(cr.argmin),
    "CumProd": scan(cr.cumprod, 1),
    "CumSum": scan(cr.cumsum, 0),
    "Einsum": lambda *xs, equation: cr.einsum(equation, *xs),
    "Gemm": gemm,
    "Hardmax": hardmax,
    "LogSoftmax": lambda x, axis=-1: cr.log_softmax(x, axis),
    "MatMul": cr.matmul,
    "ReduceL1": reduction(lambda x, *a: cr.sum(cr.abs(x), *a), cr.abs),
    "ReduceL2": reduction(lambda x, *a: cr.sqrt(cr.sum(cr.square(x), *a)), cr.abs),
    "ReduceLogSum": reduction(lambda x, *a: cr.log(cr.sum(x, *a)), cr.log),
    "ReduceLogSumExp": extreme(cr.logsumexp, -math.inf),
    "ReduceMax": extreme(cr.max, -math.inf),
    "ReduceMean": reduction(cr.mean),
    "ReduceMin": extreme(cr.min, math.inf),
    "ReduceProd": reduction(cr.prod),
    "ReduceSum": reduction(cr.sum),
    "ReduceSumSquare": reduction(lambda x, *a: cr.sum(cr.square(x), *a), cr.square),
    "Softmax": lambda x, axis=-1: cr.softmax(x, axis),
    "TopK": top_k,
}

OPS: dict[str, Callable] = ELEMENTWISE | REDUCTIONS | NETWORKS | STRUCTURE

# --- what is not here, and why; an operator in neither table is an error of the test
WHY_NOT = {
    "convolutions, pooling and images: the library is for dense networks": """
        AffineGrid AveragePool CausalConvWithState CenterCropPad Col2Im Conv ConvInteger ConvTranspose
        DeformConv GlobalAveragePool GlobalMaxPool GridSample ImageDecoder LRN LpPool MaxPool MaxUnpool
        NonMaxSuppression Resize RoiAlign Upsample""",
    "recurrent networks and attention as one operator": """
        Attention FlexAttention GRU LSTM LinearAttention RNN RotaryEmbedding TensorScatter""",
    "control flow, sequences and optional values": """
        If Loop OptionalGetElement OptionalHasElement Scan SequenceEmpty SequenceInsert SequenceLength
        SequenceMap SplitToSequence""",
    "text, trees and data preparation": """
        ArrayFeatureExtractor Binarizer LabelEncoder RegexFullMatch StringConcat StringNormalizer StringSplit
        TfIdfVectorizer TreeEnsemble Unique""",
    "quantized and bitwise arithmetic": """
        BitCast BitShift BitwiseAnd BitwiseNot BitwiseOr BitwiseXor DequantizeLinear DynamicQuantizeLinear
        MatMulInteger QLinearConv QLinearMatMul QuantizeLinear""",
    "signal processing": "BlackmanWindow DFT HammingWindow HannWindow MelWeightMatrix STFT",
    "random numbers of its own": "Bernoulli RandomUniformLike",
    "no determinant": "Det",
    "an optimizer with formulas of ONNX's own": "Adagrad Adam Momentum",
}
REASONS = {op: why for why, ops in WHY_NOT.items() for op in ops.split()}


def attributes(node) -> dict[str, Any]:
    found = {}
    for a in node.attribute:
        value = helper.get_attribute_value(a)
        if a.type == AttributeProto.STRING:
            value = value.decode()
        elif a.type == AttributeProto.TENSOR:
            value = numpy_helper.to_array(value)
        found[a.name] = value
    if node.op_type == "Split":  # older versions say it by the number of names
        found["num_outputs"] = len(node.output)
    return found


def array_of(a: Any) -> np.ndarray:
    """One input or expected output as an array of a type we have."""
    if isinstance(a, TensorProto):
        a = numpy_helper.to_array(a)
    if not hasattr(a, "dtype"):
        raise LeftOut("control flow, sequences and optional values")
    if a.dtype.name not in DTYPES:
        raise LeftOut(f"element type {'text' if a.dtype.kind in 'OU' else a.dtype.name}")
    return np.asarray(a)


def tensor_of(a: np.ndarray) -> cr.Tensor:
    """NumPy has bfloat16 only as an extension: its values come by way of float32."""
    return cr.cast(a.astype("float32"), "bfloat16") if a.dtype.name == "bfloat16" else cr.tensor(a)


def run(model, inputs) -> list[cr.Tensor]:
    """The outputs of a model; LeftOut where one of its nodes cannot be computed."""
    for node in model.graph.node:
        if node.op_type not in OPS:
            raise LeftOut(REASONS[node.op_type])
        if node.op_type not in ("Cast", "CastLike") and any(x.dtype.name == "bfloat16" for x in inputs):
            raise LeftOut("element type bfloat16, which is for storage and cast only")
    values: dict[str, Any] = {"": None}
    for t in model.graph.initializer:
        values[t.name] = cr.tensor(numpy_helper.to_array(t))
    for place, x in zip(model.graph.input, inputs, strict=True):
        values[place.name] = tensor_of(x)
    for node in model.graph.node:
        y = OPS[node.op_type](*(values[name] for name in node.input), **attributes(node))
        for name, value in zip(node.output, y if isinstance(y, tuple) else (y,), strict=False):
            values[name] = value
    return [values[place.name] for place in model.graph.output]
