"""Models with the interface of OpenCV's YuNet and SFace that see the pictures of `tiny_identity`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from tiny_identity import STRIDES

from uvmap_id.metrics.recognisers import SFACE, YUNET

# Of the five points in ArcFace's 112 x 112 crop: eyes, nose, corners of the mouth.
_POINTS = ((38.29, 51.70), (73.53, 51.50), (56.03, 71.74), (41.55, 92.37), (70.73, 92.20))
_SIDE = 5  # of a face, in cells


def write_sface(folder: Path) -> tuple[Path, Path]:
    """The detector's file and the recogniser's, each in a folder of its own, as the store keeps them."""
    detector, recogniser = folder / "yunet" / YUNET, folder / "sface" / SFACE
    for file in (detector, recogniser):
        file.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(_detector(), str(detector))
    onnx.save(_recogniser(), str(recogniser))
    return detector, recogniser


def _detector() -> onnx.ModelProto:
    """A cell of one pure colour with black above it is a face; (cls, obj, bbox, kps) for each stride."""
    nodes, constants = [], [_constant("none", np.zeros(1))]
    kinds: dict[str, list[onnx.ValueInfoProto]] = {"cls": [], "obj": [], "bbox": [], "kps": []}
    offsets = [(value - 56) / 112 * _SIDE for point in _POINTS for value in point]
    told = {"bbox": np.array([[[0, 0, np.log(_SIDE), np.log(_SIDE)]]]), "kps": np.array([[offsets]])}
    constants.append(numpy_helper.from_array(np.array([1, -1, 1], np.int64), "column"))
    for size, stride in enumerate(STRIDES):
        name, own = f"at_{stride}", 2 - size  # blue comes first
        kernel = np.zeros((1, 3, 3, 3))
        kernel[0, :, 1, 1] = -1
        kernel[0, own, 1, 1] = 1
        kernel[0, own, 0, 1] = -1
        constants += [_constant(f"{name}_k", 40 * kernel / 255), _constant(f"{name}_b", np.array([-36.0]))]
        nodes += [
            helper.make_node("AveragePool", ["input"], [f"{name}_p"], kernel_shape=[stride] * 2, strides=[stride] * 2),
            helper.make_node("Conv", [f"{name}_p", f"{name}_k", f"{name}_b"], [f"{name}_c"], pads=[1, 1, 1, 1]),
            helper.make_node("Sigmoid", [f"{name}_c"], [f"{name}_s"]),
            helper.make_node("Reshape", [f"{name}_s", "column"], [f"cls_{stride}"]),
            helper.make_node("Add", [f"cls_{stride}", "none"], [f"obj_{stride}"]),
        ]
        count = (640 // stride) ** 2
        kinds["cls"].append(_value(f"cls_{stride}", [1, count, 1]))
        kinds["obj"].append(_value(f"obj_{stride}", [1, count, 1]))
        for kind, values in told.items():
            constants += [_constant(f"{name}_{kind}", values), _constant(f"{name}_{kind}_0", np.zeros_like(values))]
            nodes += [
                helper.make_node("Mul", [f"cls_{stride}", f"{name}_{kind}_0"], [f"{name}_{kind}_n"]),
                helper.make_node("Add", [f"{name}_{kind}_n", f"{name}_{kind}"], [f"{kind}_{stride}"]),
            ]
            kinds[kind].append(_value(f"{kind}_{stride}", [1, count, values.shape[2]]))
    outputs = [value for values in kinds.values() for value in values]
    return _model(nodes, constants, _value("input", [1, 3, 640, 640]), outputs)


def _recogniser() -> onnx.ModelProto:
    weights = np.random.default_rng(1).standard_normal((147, 128)) / 127.5
    nodes = [
        helper.make_node("Sub", ["data", "grey"], ["centred"]),
        helper.make_node("AveragePool", ["centred"], ["pooled"], kernel_shape=[16, 16], strides=[16, 16]),
        helper.make_node("Flatten", ["pooled"], ["flat"]),
        helper.make_node("MatMul", ["flat", "weights"], ["fc1"]),
    ]
    constants = [_constant("weights", weights), _constant("grey", np.array([127.5]))]
    return _model(nodes, constants, _value("data", [1, 3, 112, 112]), [_value("fc1", [1, 128])])


def _model(
    nodes: list[onnx.NodeProto],
    constants: list[onnx.TensorProto],
    given: onnx.ValueInfoProto,
    outputs: list[onnx.ValueInfoProto],
) -> onnx.ModelProto:
    graph = helper.make_graph(nodes, "tiny", [given], outputs, constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.checker.check_model(model)
    return model


def _value(name: str, shape: list[int]) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)


def _constant(name: str, values: NDArray[np.float64]) -> onnx.TensorProto:
    return numpy_helper.from_array(values.astype(np.float32), name)
