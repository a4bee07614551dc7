"""Human parsers that can be made in a moment: one that knows classes by their colours, and a tiny SegFormer."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from transformers import SegformerConfig, SegformerForSemanticSegmentation

from uvmap_id.atlas.layout import Atlas
from uvmap_id.atlas.parts import REGIONS, Part

# Every part of the atlas is in exactly one class; torso and neck go together.
CLASSES = {
    "nothing": [],
    "head": ["head"],
    "torso": ["torso", "neck"],
    "arms": ["arms"],
    "hands": ["hands"],
    "legs": ["legs"],
    "feet": ["feet"],
}
SIDE = 512


def class_of_parts() -> NDArray[np.uint8]:
    """The class of each part, by the values of `Part`."""
    classes = np.zeros(max(Part) + 1, np.uint8)
    for number, regions in enumerate(CLASSES.values()):
        classes[[part for region in regions for part in REGIONS[region]]] = number
    return classes


def painted(atlas: Atlas, shown: NDArray[np.integer] | None = None, size: int = SIDE) -> NDArray[np.uint8]:
    """A texture in which each part has its class's colour; `shown` says which class is shown for which."""
    labels = class_of_parts()[atlas.parts(size)]
    return colours()[labels if shown is None else shown[labels]]


def colours() -> NDArray[np.uint8]:
    """A colour for each class, far from the others'."""
    return np.array([[r, g, b] for r in (0, 255) for g in (0, 255) for b in (0, 255)], np.uint8)[: len(CLASSES)]


def write_colour_parser(folder: Path, *, labels: bool = False, side: int = SIDE) -> Path:
    """An ONNX parser whose class is the one of the nearest colour, as scores or as labels."""
    folder.mkdir(parents=True)
    known = colours().astype(np.float32) / 255
    # The nearest: -|x - c|^2 = 2 c.x - |c|^2 - |x|^2, of which the last is the same for all.
    weights, bias = 2 * known[:, :, None, None], -(known**2).sum(axis=1)
    nodes = [helper.make_node("Conv", ["picture", "weights", "bias"], ["scores"])]
    output = helper.make_tensor_value_info("scores", TensorProto.FLOAT, [1, len(known), side, side])
    if labels:
        nodes.append(helper.make_node("ArgMax", ["scores"], ["labels"], axis=1, keepdims=0))
        output = helper.make_tensor_value_info("labels", TensorProto.INT64, [1, side, side])
    given = helper.make_tensor_value_info("picture", TensorProto.FLOAT, [1, 3, side, side])
    constants = [numpy_helper.from_array(weights, "weights"), numpy_helper.from_array(bias, "bias")]
    graph = helper.make_graph(nodes, "colours", [given], [output], constants)
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), str(folder / "model.onnx")
    )
    classes = [{"name": name, "parts": parts} for name, parts in CLASSES.items()]
    values = {"classes": classes, "size": [side, side], "mean": [0, 0, 0], "std": [1, 1, 1]}
    (folder / "classes.json").write_text(json.dumps(values), encoding="utf-8")
    return folder


def write_segformer(folder: Path, names: list[str], always: int) -> Path:
    """A SegFormer with random weights whose classifier gives one class everywhere."""
    config = SegformerConfig(
        hidden_sizes=[8, 8, 16, 16],
        depths=[1, 1, 1, 1],
        num_attention_heads=[1, 1, 2, 2],
        decoder_hidden_size=16,
        id2label=dict(enumerate(names)),
        label2id={name: number for number, name in enumerate(names)},
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = SegformerForSemanticSegmentation(config)
    classifier = model.decode_head.classifier
    classifier.load_state_dict(
        {"weight": torch.zeros_like(classifier.weight), "bias": torch.eye(len(names))[always].clone()}
    )
    model.save_pretrained(folder)
    processor = {"image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]}
    size = {"size": {"height": 64, "width": 64}}
    (folder / "preprocessor_config.json").write_text(json.dumps(processor | size), encoding="utf-8")
    return folder
