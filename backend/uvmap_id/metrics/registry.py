"""The metrics by name, and what they are made of."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from uvmap_id.link.errors import ErrorCode, UVMapError

if TYPE_CHECKING:
    from uvmap_id.atlas.layout import Atlas
    from uvmap_id.faces.landmarks import FaceFinder
    from uvmap_id.metrics.base import Metric
    from uvmap_id.metrics.face_crop import FaceView
    from uvmap_id.metrics.parsers import Parser
    from uvmap_id.metrics.recognisers import FaceRecogniser
    from uvmap_id.weights.store import WeightsStore

RECOGNISERS = ("arcface", "sface")
FACE_VIEWS = ("atlas",)


@dataclass
class Resources:
    """What metrics share; everything is loaded when it is first needed.

    Attributes:
        store: Where weights are looked for; None for the user's store.
        parser: A human parser's folder, in place of the store's.
    """

    store: WeightsStore | None = None
    parser: Path | None = None

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

        return load_parser(self.parser or self.weights("human-parser"))

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

    def face_view(self, name: str) -> FaceView:
        """One of `FACE_VIEWS`."""
        del name
        return self.atlas_face


def make_metric(name: str, resources: Resources) -> Metric:
    """A metric that has seen nothing yet.

    Raises:
        UVMapError: metric_unknown; or why the metric can't be had: weights_missing, weights_invalid, package_missing
            and the like, with what to do.
    """
    if name not in _MAKERS:
        alike = difflib.get_close_matches(name, [*_MAKERS, *GROUPS], n=1)
        raise UVMapError(
            ErrorCode.METRIC_UNKNOWN,
            f'There is no metric called "{name[:64]}".',
            (f'Did you mean "{alike[0]}"? ' if alike else "") + f"There are: {', '.join((*_MAKERS, *GROUPS))}.",
        )
    return _MAKERS[name](resources)


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


_FACES = [(recogniser, view) for recogniser in RECOGNISERS for view in FACE_VIEWS]
_MAKERS: dict[str, Callable[[Resources], Metric]] = {
    "ssp": _ssp,
    "skin": _skin,
    "seams": _seams,
    "sharpness": _sharpness,
    **{f"identity_{recogniser}_{view}": _identity(recogniser, view) for recogniser, view in _FACES},
}
GROUPS = {"identity": tuple(name for name in _MAKERS if name.startswith("identity_"))}
"""Words that stand for several metrics."""
