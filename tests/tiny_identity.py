"""Models with the interface of insightface's buffalo_l that can be made in a moment, and pictures that they see.

The detector (SCRFD's nine outputs) takes a cell of pure colour with black above it for a face: red for a small one,
green for a middle one, blue for a large one. The recogniser is a fixed random linear map of the cropped face.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

STRIDES = (8, 16, 32)
SCENE = 640
# Of the five points in ArcFace's 112 x 112 crop: eyes, nose, corners of the mouth.
_POINTS = ((38.29, 51.70), (73.53, 51.50), (56.03, 71.74), (41.55, 92.37), (70.73, 92.20))
_REACH = 2.5  # half a face, in cells


def write_models(folder: Path, *, attributes: bool = True) -> Path:
    """The files of buffalo_l that an identity needs."""
    folder.mkdir(parents=True, exist_ok=True)
    onnx.save(_detector(), str(folder / "det_10g.onnx"))
    onnx.save(_recogniser(), str(folder / "w600k_r50.onnx"))
    if attributes:
        onnx.save(_attributes(), str(folder / "genderage.onnx"))
    return folder


def scene(*people: tuple[int, int, int, int]) -> NDArray[np.uint8]:
    """(640, 640, 3) with a face for each person: (looks, size 0..2, row, column), in cells of the size's stride.

    `looks` is a seed: the same looks are the same person.
    """
    picture = np.zeros((SCENE, SCENE, 3), np.uint8)
    for looks, size, row, column in people:
        cell = STRIDES[size]
        corner = np.array([row, column]) * cell
        top, left = (corner - _REACH * cell).astype(int)
        side = int(2 * _REACH * cell)
        blocks = np.random.default_rng(looks).integers(0, 2, (7, 7)).astype(np.uint8) * 255
        index = np.arange(side) * 7 // side
        picture[top : top + side, left : left + side] = blocks[index][:, index][..., None]
        y, x = corner
        picture[y - cell : y, x - cell : x + 2 * cell] = 0
        picture[y : y + cell, x : x + cell] = np.eye(3, dtype=np.uint8)[size] * 255
    return picture


def _detector() -> onnx.ModelProto:
    nodes, constants, outputs = [], [], {"score": [], "bbox": [], "kps": []}
    offsets = [(value - 56) / 112 * 2 * _REACH for point in _POINTS for value in point]
    predicted = {"bbox": np.full((1, 4), _REACH), "kps": np.array([offsets])}
    for channel, stride in enumerate(STRIDES):
        name = f"at_{stride}"
        kernel = np.zeros((1, 3, 3, 3))
        kernel[0, :, 1, 1] = -0.5
        kernel[0, channel, 1, 1] = 1
        kernel[0, channel, 0, 1] = -1
        constants += [_constant(f"{name}_kernel", 20 * kernel), _constant(f"{name}_bias", np.array([-50.0]))]
        nodes += [
            helper.make_node(
                "AveragePool", ["input.1"], [f"{name}_cells"], kernel_shape=[stride] * 2, strides=[stride] * 2
            ),
            helper.make_node(
                "Conv", [f"{name}_cells", f"{name}_kernel", f"{name}_bias"], [f"{name}_raw"], pads=[1, 1, 1, 1]
            ),
            helper.make_node("Sigmoid", [f"{name}_raw"], [f"{name}_sure"]),
            helper.make_node("Reshape", [f"{name}_sure", "column"], [f"{name}_column"]),
            helper.make_node("Concat", [f"{name}_column", f"{name}_column"], [f"{name}_anchors"], axis=1),
            helper.make_node("Reshape", [f"{name}_anchors", "column"], [f"score_{stride}"]),
        ]
        outputs["score"].append(_value(f"score_{stride}", [f"n{stride}", 1]))
        for kind, values in predicted.items():
            constants += [
                _constant(f"{name}_{kind}_none", np.zeros_like(values)),
                _constant(f"{name}_{kind}", values),
            ]
            nodes += [
                helper.make_node("Mul", [f"score_{stride}", f"{name}_{kind}_none"], [f"{name}_{kind}_empty"]),
                helper.make_node("Add", [f"{name}_{kind}_empty", f"{name}_{kind}"], [f"{kind}_{stride}"]),
            ]
            outputs[kind].append(_value(f"{kind}_{stride}", [f"n{stride}", values.shape[1]]))
    constants.append(numpy_helper.from_array(np.array([-1, 1], np.int64), "column"))
    return _model(nodes, constants, [1, 3, "?", "?"], [value for kind in outputs.values() for value in kind])


def _recogniser() -> onnx.ModelProto:
    weights = np.random.default_rng(0).standard_normal((147, 512))
    nodes = [
        helper.make_node("AveragePool", ["input.1"], ["pooled"], kernel_shape=[16, 16], strides=[16, 16]),
        helper.make_node("Flatten", ["pooled"], ["flat"]),
        helper.make_node("MatMul", ["flat", "weights"], ["683"]),
    ]
    return _model(nodes, [_constant("weights", weights)], [1, 3, 112, 112], [_value("683", [1, 512])])


def _attributes() -> onnx.ModelProto:
    """A bright face is a woman's, a dark one a man's."""
    weights = np.array([[1.0, -1.0, 0.0]] * 3)
    nodes = [
        helper.make_node("GlobalAveragePool", ["data"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["flat"]),
        helper.make_node("MatMul", ["flat", "weights"], ["fc1"]),
    ]
    return _model(nodes, [_constant("weights", weights)], [1, 3, 96, 96], [_value("fc1", [1, 3])], "data")


def _model(
    nodes: list[onnx.NodeProto],
    constants: list[onnx.TensorProto],
    shape: list[int | str],
    outputs: list[onnx.ValueInfoProto],
    name: str = "input.1",
) -> onnx.ModelProto:
    graph = helper.make_graph(nodes, "tiny", [_value(name, shape)], outputs, constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.checker.check_model(model)
    return model


def _value(name: str, shape: list[int | str]) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)


def _constant(name: str, values: NDArray[np.float64]) -> onnx.TensorProto:
    return numpy_helper.from_array(values.astype(np.float32), name)


def marked(photo: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A photo, (512, 512, 3), with what the detector takes for a face in its lower right corner."""
    picture = photo.copy()
    picture[340:404, 430:512] = 0
    picture[404:468, 430:512] = (0, 0, 255)
    return picture
