"""The metrics by name, and what they are made of."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from uvmap_id.link.errors import ErrorCode, UVMapError
from uvmap_id.onnx_runtime import import_package

if TYPE_CHECKING:
    from uvmap_id.atlas.layout import Atlas
    from uvmap_id.faces.landmarks import FaceFinder
    from uvmap_id.metrics.base import Metric
    from uvmap_id.metrics.body import Body
    from uvmap_id.metrics.clip_text import Clip
    from uvmap_id.metrics.face_crop import FaceView
    from uvmap_id.metrics.inception import InceptionV3
    from uvmap_id.metrics.parsers import Parser
    from uvmap_id.metrics.recognisers import FaceRecogniser
    from uvmap_id.weights.store import WeightsStore

INCEPTION_FILE = "weights-inception-2015-12-05-6726825d.pth"
RECOGNISERS = ("arcface", "sface")
FACE_VIEWS = ("atlas", "face")
_BODY_VIEWS = ("front", "back", "three_quarter", "face")


@dataclass
class Resources:
    """What metrics share; everything is loaded when it is first needed.

    Attributes:
        store: Where weights are looked for; None for the user's store.
        parser: A human parser's folder, in place of the store's.
        clip: CLIP's folder, in place of the store's.
        inception: Inception's file, in place of the store's.
        body: An OBJ in SMPL's atlas for the renders, in place of the mannequin.
        splits: Of the Inception Score.
        device: Where torch's models run.
    """

    store: WeightsStore | None = None
    parser: Path | None = None
    clip: Path | None = None
    inception: Path | None = None
    body: Path | None = None
    splits: int = 10
    device: str = "cpu"
    _renders: dict[str, FaceView] = field(default_factory=dict)

    def weights(self, weights_id: str) -> Path:
        """Where weights lie. Raises `UVMapError` (weights_missing, weights_incomplete) with how to get them."""
        from uvmap_id.weights.store import WeightsStore

        return (self.store or WeightsStore()).path(weights_id)

    @cached_property
    def atlas(self) -> Atlas:
        """SMPL's layout."""
        from uvmap_id.atlas.layout import Atlas

        return Atlas.load()

    @cached_property
    def finder(self) -> FaceFinder:
        """Looks at photos. Raises `UVMapError` (landmarks_unavailable)."""
        from uvmap_id.faces.landmarks import FaceFinder

        return FaceFinder()

    @cached_property
    def loaded_parser(self) -> Parser:
        """Says what texels show. Raises `UVMapError` as `load_parser`."""
        from uvmap_id.metrics.parsers import load_parser

        return load_parser(self.parser or self.weights("segformer-b2-clothes"))

    @cached_property
    def arcface(self) -> FaceRecogniser:
        """Insightface's buffalo_l. Raises `UVMapError`."""
        from uvmap_id.metrics.recognisers import ArcFace

        return ArcFace(self.weights("buffalo-l"))

    @cached_property
    def sface(self) -> FaceRecogniser:
        """OpenCV's YuNet and SFace. Raises `UVMapError`."""
        from uvmap_id.metrics.recognisers import SFACE, YUNET, SFace

        return SFace(self.weights("yunet") / YUNET, self.weights("sface") / SFACE)

    def recogniser(self, name: str) -> FaceRecogniser:
        """One of `RECOGNISERS`. Raises `UVMapError` where its weights are missing."""
        return self.arcface if name == "arcface" else self.sface

    @cached_property
    def atlas_face(self) -> FaceView:
        """The face's part of the atlas."""
        from uvmap_id.atlas.face import FaceShape
        from uvmap_id.metrics.face_crop import AtlasFace

        return AtlasFace(self.atlas, FaceShape.load())

    @cached_property
    def loaded_body(self) -> Body:
        """What wears the textures. Raises `UVMapError` as `load_body`."""
        from uvmap_id.metrics.body import load_body

        return load_body(self.body)

    @cached_property
    def loaded_inception(self) -> InceptionV3:
        """Raises `UVMapError` as `load_inception`."""
        from uvmap_id.metrics.inception import load_inception

        file = self.inception or self.weights("inception-v3-fid") / INCEPTION_FILE
        return load_inception(file).to(self.device)

    @cached_property
    def loaded_clip(self) -> Clip:
        """Raises `UVMapError` as `Clip`."""
        import_package("transformers", "CLIPT")
        from uvmap_id.metrics.clip_text import Clip

        return Clip(self.clip or self.weights("clip-vit-base-patch32"), self.device)

    def face_view(self, name: str) -> FaceView:
        """One of `FACE_VIEWS`."""
        return self.atlas_face if name == "atlas" else self.render(name)

    def render(self, name: str) -> FaceView:
        """One of the fixed cameras. Raises `UVMapError` as `load_body`."""
        from uvmap_id.metrics.renders import Render

        if name not in self._renders:
            self._renders[name] = Render(self.loaded_body, name)
        return self._renders[name]


def make_metric(name: str, resources: Resources) -> Metric:
    """A metric that has seen nothing yet.

    Raises:
        UVMapError: metric_unknown; or why the metric can't be had: weights_missing, weights_invalid, package_missing
            and the like, with what to do.
    """
    check_names([name])
    return _MAKERS[name](resources)


def check_names(names: Sequence[str]) -> None:
    """Raise `UVMapError` (metric_unknown) for a name that no metric has, or where there is no name at all."""
    offered = f"There are: {', '.join((*_MAKERS, *GROUPS))}."
    if not names:
        raise UVMapError(ErrorCode.METRIC_UNKNOWN, "No metric is named.", offered)
    for name in names:
        if name not in _MAKERS:
            alike = difflib.get_close_matches(name, [*_MAKERS, *GROUPS], n=1)
            hint = f'Did you mean "{alike[0]}"? ' if alike else ""
            raise UVMapError(ErrorCode.METRIC_UNKNOWN, f'There is no metric called "{name[:64]}".', hint + offered)


def names_of(wanted: Iterable[str]) -> tuple[str, ...]:
    """Names of metrics, each once, with the groups in `GROUPS` written out."""
    return tuple(dict.fromkeys(name for word in wanted for name in GROUPS.get(word, (word,))))


def _skin(resources: Resources) -> Metric:
    from uvmap_id.metrics.skin import SkinDifference

    return SkinDifference(resources.atlas, resources.finder)


def _seams(resources: Resources) -> Metric:
    from uvmap_id.metrics.surface import SeamStepRatio

    return SeamStepRatio(resources.atlas)


def _sharpness(resources: Resources) -> Metric:
    from uvmap_id.metrics.surface import Sharpness

    return Sharpness(resources.atlas)


def _ssp(resources: Resources) -> Metric:
    from uvmap_id.metrics.structure import SemanticStructure

    return SemanticStructure(resources.atlas, resources.loaded_parser)


def _identity(recogniser: str, view: str) -> Callable[[Resources], Metric]:
    def make(resources: Resources) -> Metric:
        from uvmap_id.metrics.identity import IdentitySimilarity

        return IdentitySimilarity(resources.recogniser(recogniser), resources.face_view(view))

    return make


def _recognition(recogniser: str, view: str) -> Callable[[Resources], Metric]:
    def make(resources: Resources) -> Metric:
        from uvmap_id.metrics.recognition import FaceRecognition

        return FaceRecognition(resources.recogniser(recogniser), resources.face_view(view))

    return make


def _anchor(resources: Resources) -> Metric:
    from uvmap_id.engines.projection.engine import ProjectionEngine
    from uvmap_id.metrics.anchor import AnchorFidelity

    return AnchorFidelity(resources.atlas, ProjectionEngine())


def _clipt(resources: Resources) -> Metric:
    clip = resources.loaded_clip
    from uvmap_id.metrics.clip_text import ClipText

    return ClipText(clip)


def _inception_of_atlas(resources: Resources) -> Metric:
    import_package("torch", "The Inception Score")
    from uvmap_id.metrics.inception_score import InceptionScore

    network = resources.loaded_inception
    return InceptionScore("is_uv", "IS (UV)", network, lambda texture: texture, resources.splits)


def _inception_of_render(name: str, view: str) -> Callable[[Resources], Metric]:
    def make(resources: Resources) -> Metric:
        import_package("torch", "The Inception Score")
        from uvmap_id.metrics.inception_score import InceptionScore

        network, render = resources.loaded_inception, resources.render(view)
        title = "IS (R)" if name == "is_r" else f"IS (R), {render.title.removeprefix('render, ')}"
        return InceptionScore(name, title, network, render.show, resources.splits)

    return make


_FACES = [(recogniser, view) for recogniser in RECOGNISERS for view in FACE_VIEWS]
_IS_R = {"is_r" if view == "front" else f"is_r_{view}": view for view in _BODY_VIEWS}
_MAKERS: dict[str, Callable[[Resources], Metric]] = {
    "is_uv": _inception_of_atlas,
    **{name: _inception_of_render(name, view) for name, view in _IS_R.items()},
    "ssp": _ssp,
    **{f"dfr_{recogniser}_{view}": _recognition(recogniser, view) for recogniser, view in _FACES},
    "clipt": _clipt,
    "skin": _skin,
    "seams": _seams,
    "sharpness": _sharpness,
    "anchor": _anchor,
    **{f"identity_{recogniser}_{view}": _identity(recogniser, view) for recogniser, view in _FACES},
}
GROUPS = {
    "dfr": tuple(name for name in _MAKERS if name.startswith("dfr_")),
    "identity": tuple(name for name in _MAKERS if name.startswith("identity_")),
    "is_r_all": tuple(_IS_R),
}
"""Words that stand for several metrics."""
DEFAULT_METRICS = ("is_uv", "is_r", "ssp", "dfr", "clipt", "skin", "seams", "sharpness", "anchor")
