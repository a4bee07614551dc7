"""Makes one synthetic person: photos, textures and rows. The same whoever makes it, and whatever was made before."""

from __future__ import annotations

import dataclasses
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from uvmap_id.datasets.folder import PHOTOS, TEXTURES, Row
from uvmap_id.datasets.synthetic.embedding import BUFFALO, of_parameters
from uvmap_id.datasets.synthetic.identity import Identity, drawn, stable_hash
from uvmap_id.datasets.synthetic.mannequin import Mannequin
from uvmap_id.datasets.synthetic.painter import Painter
from uvmap_id.datasets.synthetic.portrait import Studio, shot
from uvmap_id.datasets.synthetic.words import clothes
from uvmap_id.faces.identity import IdentityReader
from uvmap_id.link.errors import ErrorCode, UVMapError

LICENCE = "CC0-1.0"
CONSENT = "synthetic: the photo shows nobody"
_PNG, _JPEG = (cv2.IMWRITE_PNG_COMPRESSION, 4), (cv2.IMWRITE_JPEG_QUALITY, 94)
_SEEDS = 2**31
_DIGITS = 6  # Of each of an embedding's numbers.


@dataclass(frozen=True, slots=True)
class Wish:
    """Everything that decides a person's files.

    Attributes:
        seed: Of the crowd.
        textures: How many a person has.
        photos: How many a person has; 0 for none.
        size: Side of the textures in texels.
        photo_size: Side of the photos in pixels.
        embedding: One of `EMBEDDINGS`.
    """

    seed: int
    textures: int
    photos: int
    size: int
    photo_size: int
    embedding: str


@dataclass(frozen=True, slots=True)
class Person:
    """What is written of a person.

    Attributes:
        identity: Who it is.
        files: Contents by their names below the dataset's folder.
        rows: One for each texture.
    """

    identity: Identity
    files: dict[str, bytes]
    rows: tuple[Row, ...]


class Maker:
    """Holds the atlas, the mannequin and, where it is to recognise people, the models for that."""

    def __init__(self, wish: Wish, mannequin: Path | None, identity_models: Path | None) -> None:
        """Load what the wish needs.

        Args:
            wish: What is to be made of each person.
            mannequin: Its file; None for the one that comes with the package.
            identity_models: The folder of buffalo_l, for that embedding.

        Raises:
            UVMapError: body_missing, body_unreadable; identity_unavailable.
        """
        if wish.embedding == BUFFALO and identity_models is None:
            raise UVMapError(
                ErrorCode.IDENTITY_UNAVAILABLE,
                "There are no identity models, so nobody can be recognised in the photos.",
                "Run: uvmap-id weights get buffalo-l. Or choose --embedding parameters.",
            )
        self._wish = wish
        self._painter = Painter()
        self._studio = Studio(Mannequin.load(mannequin)) if wish.photos else None
        self._reader = IdentityReader(identity_models) if wish.embedding == BUFFALO else None

    def make(self, number: int) -> Person:
        """Paint, dress and photograph the person of a number.

        Raises:
            UVMapError: What the recogniser says, such as face_not_found.
        """
        wish, person = self._wish, drawn(self._wish.seed, number)
        bare = self._painter.bare(person, wish.size)
        prompts = [clothes(person, index) for index in range(wish.textures)]
        seeds = [stable_hash(person.seed, "texture", index) % _SEEDS for index in range(wish.textures)]
        worn = [
            self._painter.dressed(bare, prompt, wish.size, seed) for prompt, seed in zip(prompts, seeds, strict=True)
        ]
        files = {
            f"{TEXTURES}/{person.name}-{index}.png": encoded(".png", one.texture) for index, one in enumerate(worn)
        }
        photos: dict[str, bytes] = {}
        if self._studio is not None:
            for index in range(wish.photos):
                picture = self._painter.worn(bare, worn[index % len(worn)])
                photo = self._studio.photograph(person, shot(person, index), picture, bare.hair, wish.photo_size)
                photos[f"{PHOTOS}/{person.name}-{index}.jpg"] = encoded(".jpg", photo)
        numbers = self._embedding(person, tuple(photos.values()))
        named = tuple(photos)
        hashes = [hashlib.sha256(content).hexdigest() for content in photos.values()]
        rows = tuple(
            Row(
                file_name=name,
                identity=person.name,
                prompt=prompt,
                group=person.group,
                gender=person.gender,
                embedding=numbers,
                photo=named[index % len(named)] if named else "",
                seed=seed,
                consent=CONSENT,
                licence=LICENCE,
                photo_sha256=hashes[index % len(hashes)] if hashes else "",
            )
            for index, (name, prompt, seed) in enumerate(zip(files, prompts, seeds, strict=True))
        )
        return Person(person, files | photos, rows)

    def _embedding(self, person: Identity, photos: tuple[bytes, ...]) -> tuple[float, ...]:
        try:
            found = of_parameters(person) if self._reader is None else self._reader.read(photos).embedding
        except UVMapError as error:
            failure = error.failure
            raise UVMapError(ErrorCode(failure.code), f"{person.name}: {failure.message}", failure.hint) from error
        return tuple(round(float(value), _DIGITS) for value in found)


def parameters(person: Identity) -> dict[str, Any]:
    """What a person was drawn from, as JSON has it."""
    values = dataclasses.asdict(person)
    traits = {name: round(value, _DIGITS) for name, value in person.traits.items()}
    return values | {"identity": person.name, "age": round(person.age, 2), "traits": traits}


def encoded(kind: str, picture: NDArray[np.uint8]) -> bytes:
    """(H, W, 3) uint8 sRGB as a file of a kind, ".png" or ".jpg"."""
    done, content = cv2.imencode(kind, picture[..., ::-1].copy(), list(_PNG if kind == ".png" else _JPEG))
    if not done:
        raise UVMapError(ErrorCode.INTERNAL, f"A picture of {picture.shape} can't be encoded.")
    return content.tobytes()
