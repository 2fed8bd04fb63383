"""onnxruntime as a peer of inference; the package onnx is needed to write the model. Variant bound: input and
output are bound to memory (IOBinding)."""

from __future__ import annotations

import os

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from workloads import Array, Layers, Workload

VARIANTS = {"infer": ("", "bound")}


def versions() -> dict[str, str]:
    return {"onnxruntime": onnxruntime.__version__}


def _model(layers: Layers) -> bytes:
    nodes, weights, at = [], [], "x"
    for i, (weight, bias) in enumerate(layers):
        weights += [numpy_helper.from_array(weight, f"w{i}"), numpy_helper.from_array(bias, f"b{i}")]
        out = "y" if i + 1 == len(layers) else f"h{i}"
        nodes.append(helper.make_node("Gemm", [at, f"w{i}", f"b{i}"], [out]))
        if out != "y":
            nodes.append(helper.make_node("Relu", [out], [f"r{i}"]))
            at = f"r{i}"
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, layers[0][0].shape[0]])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, [None, layers[-1][0].shape[1]])
    graph = helper.make_graph(nodes, "network", [x], [y], weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    return model.SerializeToString()


class Infer:
    def __init__(self, workload: Workload, variant: str, layers: Layers) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = len(os.sched_getaffinity(0))
        options.inter_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(_model(layers), options, ["CPUExecutionProvider"])
        if variant == "bound":
            self.x = onnxruntime.OrtValue.ortvalue_from_numpy(np.zeros((1, workload.sizes[0]), np.float32))
            self.y = np.zeros((1, workload.sizes[-1]), np.float32)
            self.binding = self.session.io_binding()
            self.binding.bind_ortvalue_input("x", self.x)
            self.binding.bind_output("y", "cpu", 0, np.float32, self.y.shape, self.y.ctypes.data)
            self.call = self.bound
        else:
            self.call = lambda x: self.session.run(None, {"x": x})[0]

    def bound(self, x: Array) -> Array:
        self.x.update_inplace(x)
        self.session.run_with_iobinding(self.binding)
        return self.y
