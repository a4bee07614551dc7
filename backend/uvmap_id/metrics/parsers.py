"""Human parsers: which class of person or garment each texel shows."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from uvmap_id.link.errors import ErrorCode, UVMapError
from uvmap_id.metrics.parsing_classes import CLASSES_FILE, ParserClasses
from uvmap_id.metrics.pretrained import invalid, load_pretrained, read_config
from uvmap_id.onnx_runtime import import_package, load_runtime
from uvmap_id.pictures import resize, resize_labels

_PURPOSE = "To parse textures, the backend"
_IMAGENET_MEAN, _IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_SIZE = 512


class Parser(Protocol):
    """Says what each texel shows."""

    classes: ParserClasses

    def parse(self, texture: NDArray[np.uint8]) -> NDArray[np.integer]:
        """(h, w) numbers of classes for (S, S, 3) uint8 sRGB; h and w as the model gives them."""
        ...


@dataclass(frozen=True, slots=True)
class ParserInput:
    """How a model wants its picture.

    Attributes:
        height: Pixels.
        width: Pixels.
        mean: Of red, green and blue, 0..1, to be taken away.
        std: Of the same, to be divided by.
        bgr: True where blue comes first.
    """

    height: int = _SIZE
    width: int = _SIZE
    mean: tuple[float, ...] = _IMAGENET_MEAN
    std: tuple[float, ...] = _IMAGENET_STD
    bgr: bool = False

    @classmethod
    def from_values(cls, values: dict[str, Any], where: Path) -> ParserInput:
        """Of `CLASSES_FILE` (size, mean, std, channels) or of transformers' preprocessor_config.json.

        Raises:
            UVMapError: weights_invalid.
        """
        sides: Any = values.get("size", _SIZE)
        if isinstance(sides, dict):
            sides = [sides.get(side, sides.get("shortest_edge")) for side in ("height", "width")]
        sides = [sides, sides] if isinstance(sides, int) else sides
        mean = values.get("mean", values.get("image_mean", _IMAGENET_MEAN))
        std = values.get("std", values.get("image_std", _IMAGENET_STD))
        try:
            height, width = (int(side) for side in sides)
            found = cls(height, width, tuple(map(float, mean)), tuple(map(float, std)), values.get("channels") == "bgr")
        except (TypeError, ValueError) as error:
            raise invalid(where, f"has a size, mean or std that can't be used: {error}") from error
        if len(found.mean) != 3 or len(found.std) != 3 or not all(found.std) or not 16 <= min(height, width) <= 4096:
            raise invalid(where, "has a size, mean or std that can't be used")
        return found

    def prepared(self, texture: NDArray[np.uint8]) -> NDArray[np.float32]:
        """(1, 3, height, width) float32."""
        picture = resize(texture, (self.height, self.width)).astype(np.float32) / 255
        picture = (picture - np.array(self.mean, np.float32)) / np.array(self.std, np.float32)
        ordered = picture[..., ::-1] if self.bgr else picture
        return np.ascontiguousarray(ordered.transpose(2, 0, 1)[None], np.float32)


def load_parser(folder: Path) -> Parser:
    """The parser in a folder: an ONNX file with `classes.json`, or a segmentation model of transformers.

    Raises:
        UVMapError: weights_missing, weights_incomplete, weights_invalid, weights_unsupported, package_missing.
    """
    if not folder.is_dir():
        raise UVMapError(
            ErrorCode.WEIGHTS_MISSING,
            f"There is no human parser in {folder}.",
            "Get one: uvmap-id weights get segformer-b2-clothes, or name a folder: --parser FOLDER",
        )
    if any(folder.glob("*.onnx")):
        return OnnxParser(folder)
    return TransformersParser(folder)


class OnnxParser:
    """Follows `Parser`: a model that takes (1, 3, h, w) and gives (1, classes, h', w') scores or (1, h', w') labels."""

    def __init__(self, folder: Path) -> None:
        """Load `*.onnx` and `classes.json` of a folder. Raises as `load_parser`."""
        files = sorted(folder.glob("*.onnx"))
        if len(files) != 1:
            raise invalid(folder, f"holds {len(files)} ONNX files and not one")
        values = read_config(folder / CLASSES_FILE)
        self.classes = ParserClasses.from_values(values.get("classes"), folder / CLASSES_FILE)
        self._input = ParserInput.from_values(values, folder / CLASSES_FILE)
        self._file = files[0]
        runtime = load_runtime(_PURPOSE)
        self._errors = runtime.errors
        options = runtime.module.SessionOptions()
        options.log_severity_level = 3
        try:
            self._session = runtime.module.InferenceSession(
                str(self._file), sess_options=options, providers=runtime.providers
            )
        except self._errors as error:
            raise invalid(self._file, f"can't be loaded: {error}") from error
        self._name = self._session.get_inputs()[0].name

    def parse(self, texture: NDArray[np.uint8]) -> NDArray[np.integer]:
        """See `Parser.parse`."""
        try:
            found = np.asarray(self._session.run(None, {self._name: self._input.prepared(texture)})[0])
        except self._errors as error:
            raise invalid(self._file, f"can't take a picture: {error}") from error
        return checked_labels(found, self.classes, self._file)


class TransformersParser:
    """Follows `Parser`: a folder of transformers with a model for semantic segmentation, such as SegFormer."""

    def __init__(self, folder: Path) -> None:
        """Load it; its classes are those of `classes.json`, else known by their names. Raises as `load_parser`."""
        config = read_config(folder / "config.json")
        self.classes = _classes_of(folder, config)
        self._folder = folder
        processor = folder / "preprocessor_config.json"
        self._input = ParserInput.from_values(read_config(processor) if processor.exists() else {}, processor)
        self._torch = import_package("torch", _PURPOSE)
        self._model = load_pretrained("AutoModelForSemanticSegmentation", folder, _PURPOSE)

    def parse(self, texture: NDArray[np.uint8]) -> NDArray[np.integer]:
        """See `Parser.parse`."""
        with self._torch.inference_mode():
            scores = self._model(pixel_values=self._torch.from_numpy(self._input.prepared(texture))).logits
        return checked_labels(scores.float().numpy(), self.classes, self._folder)


def checked_labels(found: NDArray[Any], classes: ParserClasses, where: Path) -> NDArray[np.integer]:
    """(h, w) numbers of classes from a model's first output.

    Raises:
        UVMapError: weights_invalid: it is not what a parser of these classes gives.
    """
    if found.ndim == 4 and found.shape[0] == 1 and found.shape[1] == len(classes.names):
        return found[0].argmax(axis=0)
    labels = found[0] if found.ndim == 3 and found.shape[0] == 1 else np.zeros(0)
    if labels.size and labels.min() >= 0 and labels.max() < len(classes.names):
        return labels.astype(np.int64)
    raise invalid(where, f"gives {found.shape} numbers, which are no {len(classes.names)} classes of a picture")


def labels_at(labels: NDArray[np.integer], size: int) -> NDArray[np.uint8]:
    """(size, size) the labels at another size."""
    return resize_labels(labels.astype(np.uint8), (size, size))


def _classes_of(folder: Path, config: dict[str, Any]) -> ParserClasses:
    if (folder / CLASSES_FILE).exists():
        listed = read_config(folder / CLASSES_FILE).get("classes")
        return ParserClasses.from_values(listed, folder / CLASSES_FILE)
    named = config.get("id2label")
    if not isinstance(named, dict) or sorted(named) != sorted(map(str, range(len(named)))) or not named:
        raise invalid(folder, "has no names of classes in its config.json")
    return ParserClasses.of_names([str(named[str(number)]) for number in range(len(named))], folder)
