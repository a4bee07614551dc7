"""How like the person of the photo a texture's face is, to a recogniser."""

from __future__ import annotations

from uvmap_id.faces.photo import read_photo
from uvmap_id.link.errors import ErrorCode, UVMapError
from uvmap_id.metrics.base import Sample
from uvmap_id.metrics.face_crop import FaceView
from uvmap_id.metrics.means import MeanMetric, square_texture, unusable
from uvmap_id.metrics.photos import OncePerPhoto
from uvmap_id.metrics.recognisers import FaceRecogniser
from uvmap_id.pictures import Floats


class References:
    """The embeddings of the people whom textures are to show."""

    def __init__(self, recogniser: FaceRecogniser) -> None:
        self._recogniser = recogniser
        self._photos = OncePerPhoto(self._of_photo, remembered=100_000)

    def of(self, sample: Sample) -> Floats:
        """L2-normalised: of the sample's photo, or the embedding that it was made with where that is the recogniser's.

        Raises:
            UVMapError: dataset_unreadable where the sample has neither; face_not_found, or what is wrong with the
                photo's file.
        """
        if sample.photo is not None:
            return self._photos.of(sample)
        if sample.embedding is None or not self._recogniser.conditions:
            raise unusable(sample, f"has no photo that {self._recogniser.title} could compare it with")
        return sample.embedding

    def _of_photo(self, content: bytes) -> Floats:
        found = self._recogniser.embed(read_photo(content))
        if found is None:
            raise UVMapError(
                ErrorCode.FACE_NOT_FOUND,
                f"{self._recogniser.title} finds no face in the photo that the texture was made from.",
                "Choose a photo that shows one face from the front.",
            )
        return found


class IdentitySimilarity(MeanMetric):
    """Cosine between the embeddings of the texture's face and of the photo's; 1 is the same picture.

    A texture without a face that the recogniser finds has no similarity: `score` raises face_not_found.
    """

    higher_is_better = True

    def __init__(self, recogniser: FaceRecogniser, view: FaceView) -> None:
        super().__init__()
        self.name = f"identity_{recogniser.name}_{view.name}"
        self.title = f"Identity, {recogniser.title}, {view.title}"
        self._recogniser, self._view = recogniser, view
        self._references = References(recogniser)

    def score(self, sample: Sample) -> float:
        """See `MeanMetric.score`."""
        reference = self._references.of(sample)
        found = self._recogniser.embed(self._view.show(square_texture(sample)))
        if found is None:
            raise UVMapError(
                ErrorCode.FACE_NOT_FOUND,
                f"{self._recogniser.title} finds no face in {sample.name}, {self._view.title}.",
                "The texture has no face that could be recognised.",
            )
        return float(found @ reference)
