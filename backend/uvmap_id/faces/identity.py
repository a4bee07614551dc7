"""Who the person is: one embedding from photos of the person and from embeddings that were measured before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from uvmap_id.faces.embedding import is_embedding, normalised, read_embedding
from uvmap_id.faces.photo import read_photo
from uvmap_id.faces.recogniser import KnownFace, Recogniser
from uvmap_id.link.errors import ErrorCode, UVMapError

# Cosine between embeddings of buffalo_l. Photos of one person lie far above, of two people mostly about 0.
_SAME_PERSON = 0.3
_SHORTEST_MEAN = 1e-3


@dataclass(frozen=True, slots=True)
class Identity:
    """Who to make.

    Attributes:
        embedding: (512,) float32, L2-normalised: the mean over all files.
        gender: "man" or "woman" as the first photo suggests, None where nothing was said. A suggestion for a
            person to read: nothing is made of it.
        faces_seen: How many faces the photos show together.
        photos: How many photos were read.
        embeddings: How many embeddings were read.
        warnings: Sentences for a person.
    """

    embedding: NDArray[np.float32]
    gender: str | None
    faces_seen: int
    photos: int
    embeddings: int
    warnings: tuple[str, ...]


class IdentityReader:
    """Reads identities; holds the models once a photo needed them."""

    def __init__(self, folder: Path | None) -> None:
        """`folder` holds buffalo_l's ONNX files; without one only embeddings can be read."""
        self._folder = folder
        self._recogniser: Recogniser | None = None

    def read(self, files: tuple[bytes, ...]) -> Identity:
        """The identity of one person in several files: photos, or .npy embeddings.

        Where embeddings are given and no models are there to look at the photos, the embeddings decide alone.

        Raises:
            UVMapError: face_not_found, embedding_invalid, identity_unavailable, package_missing, weights_incomplete,
                weights_invalid, or what is wrong with a photo's file.
        """
        measured = [read_embedding(content) for content in files if is_embedding(content)]
        photos = [content for content in files if not is_embedding(content)]
        warnings: list[str] = []
        if photos and measured and self._folder is None:
            warnings.append("No identity models are installed: the identity is the embedding's alone, not the photo's.")
            photos = []
        faces = [self._face(content, number, len(photos)) for number, content in enumerate(photos, 1)]
        warnings += _crowds([face.faces for face in faces])
        embeddings = [face.embedding for face in faces] + measured
        names = [f"photo {number}" for number in range(1, len(faces) + 1)]
        names += [f"embedding {number}" for number in range(1, len(measured) + 1)]
        warnings += _strangers(embeddings, names)
        return Identity(
            embedding=_mean(embeddings),
            gender=next((face.gender for face in faces if face.gender), None),
            faces_seen=sum(face.faces for face in faces),
            photos=len(faces),
            embeddings=len(measured),
            warnings=tuple(warnings),
        )

    def _face(self, content: bytes, number: int, count: int) -> KnownFace:
        image = read_photo(content)
        face = self._loaded().recognise(image)
        if face is None:
            which = "the photo" if count == 1 else f"photo {number} of {count}"
            raise UVMapError(
                ErrorCode.FACE_NOT_FOUND,
                f"No face was found in {which}.",
                "Choose a photo that shows one face from the front, well lit and not covered.",
            )
        return face

    def _loaded(self) -> Recogniser:
        if self._folder is None:
            raise UVMapError(
                ErrorCode.IDENTITY_UNAVAILABLE,
                "There are no identity models, so nobody can be recognised in the photo.",
                "Run: uvmap-id weights get buffalo-l. Or add an embedding (.npy), or set the identity strength to 0.",
            )
        if self._recogniser is None:
            self._recogniser = Recogniser(self._folder)
        return self._recogniser


def _crowds(faces: Sequence[int]) -> list[str]:
    several = [(number, count) for number, count in enumerate(faces, 1) if count > 1]
    if len(faces) == 1:
        return [f"The photo shows {count} faces; the identity is the largest one's." for _, count in several]
    return [f"Photo {number} shows {count} faces; the identity is the largest one's." for number, count in several]


def _strangers(embeddings: Sequence[NDArray[np.float32]], names: Sequence[str]) -> list[str]:
    """Who disagrees with the mean of all others; of two nobody can say who is right."""
    if len(embeddings) < 2:
        return []
    total = np.sum(embeddings, axis=0)
    alike = [_cosine(one, total - one) for one in embeddings]
    if len(embeddings) == 2:
        low = alike[0] < _SAME_PERSON
        return [f"{names[0].capitalize()} and {names[1]} seem to show different people."] if low else []
    return [
        f"{name.capitalize()} seems to show somebody else than the others (similarity {similarity:.2f})."
        for name, similarity in zip(names, alike, strict=True)
        if similarity < _SAME_PERSON
    ]


def _cosine(one: NDArray[np.float32], others: NDArray[np.float32]) -> float:
    """Of a normalised embedding to the sum of others; 0 where they cancel each other out."""
    return float(one @ others) / max(float(np.linalg.norm(others)), _SHORTEST_MEAN)


def _mean(embeddings: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
    mean = np.mean(np.asarray(embeddings, np.float64), axis=0)
    if np.linalg.norm(mean) < _SHORTEST_MEAN:
        raise UVMapError(
            ErrorCode.EMBEDDING_INVALID,
            "The identities of the files cancel each other out.",
            "Choose photos and embeddings of one person.",
        )
    return normalised(mean)
