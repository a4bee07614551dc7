"""DFR, deep face recognition: how many textures a recogniser takes for the person whom they are to show."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

import numpy as np

from uvmap_id.link.errors import ErrorCode, UVMapError
from uvmap_id.metrics.base import Figure, Sample
from uvmap_id.metrics.face_crop import FaceView
from uvmap_id.metrics.identity import References
from uvmap_id.metrics.means import square_texture, unusable
from uvmap_id.metrics.recognisers import FaceRecogniser
from uvmap_id.pictures import Floats

_OF = 1000


class FaceRecognition:
    """Recognised textures of 1000, as the paper counts 10 identities x 100 textures (3.4).

    A texture is recognised where the cosine of its face's and its photo's embeddings reaches the recogniser's
    threshold. One in which no face is found is not recognised. The spread is that of the identities' own figures.
    Follows `Metric`.
    """

    unit = f"of {_OF}"
    higher_is_better = True

    def __init__(self, recogniser: FaceRecogniser, view: FaceView) -> None:
        self.name = f"dfr_{recogniser.name}_{view.name}"
        self.title = f"DFR, {recogniser.title}, {view.title}"
        self._recogniser, self._view = recogniser, view
        self._references = References(recogniser)
        self._seen: dict[str, _Seen] = {}

    def update(self, samples: Sequence[Sample]) -> None:
        """See `Metric.update`."""
        found = dict(self._seen)
        for sample in samples:
            if sample.name in found:
                raise unusable(sample, "is there twice")
            if not sample.identity:
                raise unusable(sample, "has no identity")
            wanted = self._references.of(sample)
            shown = self._recogniser.embed(self._view.show(square_texture(sample)))
            found[sample.name] = _Seen(sample.identity, wanted, shown)
        self._seen = found

    def compute(self) -> Figure:
        """See `Metric.compute`; the scores are cosines, of textures with a face."""
        if not self._seen:
            raise UVMapError(ErrorCode.DATASET_EMPTY, f"There is no texture for {self.title}.", "")
        threshold = self._recogniser.threshold
        by_identity: dict[str, list[bool]] = {}
        for seen in self._seen.values():
            by_identity.setdefault(seen.identity, []).append(
                seen.similarity is not None and seen.similarity >= threshold
            )
        hits = [hit for each in by_identity.values() for hit in each]
        rates = [_OF * statistics.fmean(each) for each in by_identity.values()]
        return Figure(
            value=_OF * statistics.fmean(hits),
            spread=statistics.pstdev(rates) if len(rates) > 1 else None,
            unit=self.unit,
            higher_is_better=self.higher_is_better,
            count=len(hits),
            scores={name: seen.similarity for name, seen in self._seen.items() if seen.similarity is not None},
            notes=self._notes(sum(hits), len(by_identity)),
        )

    def _notes(self, recognised: int, identities: int) -> tuple[str, ...]:
        model, count = self._recogniser, len(self._seen)
        notes = [
            f"{recognised} of {count} textures of {identities} identities are recognised at a cosine of "
            f"{model.threshold:g} or more."
        ]
        if faceless := sum(seen.shown is None for seen in self._seen.values()):
            notes.append(f"In {faceless} textures no face is found; they count as not recognised.")
        if model.conditions:
            notes.append("UVMap-ID's textures are made with this model's embeddings: its judgement is circular.")
        strangers = self._strangers()
        if strangers is None:
            notes.append("There is one identity only, so nobody knows whether this would recognise anybody.")
        else:
            notes.append(f"{strangers:.1f} % of the comparisons with other people's photos reach it as well.")
        return tuple(notes)

    def _strangers(self) -> float | None:
        """Percent of pairs of a texture and another identity's photo that count as one person; None without any."""
        with_face = [seen for seen in self._seen.values() if seen.shown is not None]
        wanted = {seen.identity: seen.wanted for seen in self._seen.values()}
        if len(wanted) < 2 or not with_face:
            return None
        cosines = np.array([seen.shown for seen in with_face]) @ np.array(list(wanted.values())).T
        others = np.array([[seen.identity != identity for identity in wanted] for seen in with_face])
        return float(100 * (cosines[others] >= self._recogniser.threshold).mean())


class _Seen:
    """What a recogniser saw of one texture: whose it is to be, and the embeddings of photo and texture."""

    def __init__(self, identity: str, wanted: Floats, shown: Floats | None) -> None:
        self.identity, self.wanted, self.shown = identity, wanted, shown
        self.similarity = None if shown is None else float(shown @ wanted)
