"""What the engine reads from a photo before it paints: the face, how it stands, and what a person should know of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from uvmap_id.atlas.face import FaceShape
from uvmap_id.atlas.layout import Atlas
from uvmap_id.engines.projection.warp import fit_face
from uvmap_id.faces.landmarks import FaceFinder, FaceLandmarks
from uvmap_id.faces.person import PersonFinder
from uvmap_id.faces.photo import read_photo
from uvmap_id.faces.pose import Pose
from uvmap_id.link.errors import ErrorCode, UVMapError
from uvmap_id.pictures import Floats

# Pixels between the outer corners of the eyes.
_SMALL, _TOO_SMALL = 96, 40
# Degrees between where the face looks and the camera.
_TURNED, _TOO_TURNED = 35, 60
# Mean of the face's brightest channel, 0..255.
_DARK, _TOO_DARK = 45, 18


@dataclass(frozen=True, slots=True)
class Portrait:
    """A photo that can be used.

    Attributes:
        image: (H, W, 3) uint8 sRGB.
        face: Landmarks of the face to use.
        pose: How its head stands before the camera.
        person: (H, W) float32, 1 on the person, 0 on the background.
        warnings: Sentences for a person.
    """

    image: NDArray[np.uint8]
    face: FaceLandmarks
    pose: Pose
    person: Floats
    warnings: tuple[str, ...]


class PortraitReader:
    """Holds the models that look at photos."""

    def __init__(self) -> None:
        self._faces = FaceFinder()
        self._people = PersonFinder()

    def read(self, photo: bytes, shape: FaceShape, atlas: Atlas) -> Portrait:
        """Look at a photo's file.

        Raises:
            UVMapError: It is no photo, or its face can't be used: none, too small, turned away or too dark.
        """
        image = read_photo(photo)
        faces = self._faces.find(image)
        if not faces:
            raise no_face()
        face = faces[0]
        warnings = checked_count(faces) + checked_size(face) + checked_light(image, face)
        pose = fit_face(face, shape, atlas)
        warnings += checked_pose(pose)
        return Portrait(image, face, pose, self._people.mask(image), tuple(warnings))


def no_face() -> UVMapError:
    """The error for a photo without a face."""
    return UVMapError(
        ErrorCode.FACE_NOT_FOUND,
        "No face was found in the photo.",
        "Choose a photo that shows one face from the front, well lit and not covered.",
    )


def checked_count(faces: Sequence[FaceLandmarks]) -> list[str]:
    """Warn of a crowd."""
    return [f"The photo shows {len(faces)} faces; the largest one was used."] if len(faces) > 1 else []


def checked_size(face: FaceLandmarks) -> list[str]:
    """Warn of a small face. Raises `UVMapError` (face_too_small)."""
    if face.eye_distance < _TOO_SMALL:
        raise UVMapError(
            ErrorCode.FACE_TOO_SMALL,
            f"The face is too small: {face.eye_distance:.0f} pixels between the eyes' outer corners.",
            f"Choose a photo with at least {_TOO_SMALL}, better {_SMALL} pixels between them.",
        )
    if face.eye_distance >= _SMALL:
        return []
    return [
        f"The face is small ({face.eye_distance:.0f} pixels between the eyes' outer corners) and will look soft; "
        f"{_SMALL} or more are sharp."
    ]


def checked_light(image: NDArray[np.uint8], face: FaceLandmarks) -> list[str]:
    """Warn of a dark face in a photo, (H, W, 3) uint8 sRGB. Raises `UVMapError` (photo_too_dark)."""
    low = np.floor(face.points[:, :2].min(axis=0)).astype(int).clip(0)
    high = np.ceil(face.points[:, :2].max(axis=0)).astype(int)
    brightness = float(image[low[1] : high[1], low[0] : high[0]].max(axis=-1).mean())
    if brightness < _TOO_DARK:
        raise UVMapError(
            ErrorCode.PHOTO_TOO_DARK,
            "The face is too dark to be used.",
            "Choose a photo in better light, or brighten it in an image editor.",
        )
    return ["The face is dark; its texture will be noisy."] if brightness < _DARK else []


def checked_pose(pose: Pose) -> list[str]:
    """Warn of a face that is turned. Raises `UVMapError` (face_turned_away)."""
    if pose.turned > _TOO_TURNED:
        raise UVMapError(
            ErrorCode.FACE_TURNED_AWAY,
            f"The face is turned {pose.turned:.0f} degrees away from the camera.",
            f"Choose a photo from the front, or turned by at most {_TOO_TURNED} degrees.",
        )
    if pose.turned <= _TURNED:
        return []
    return [f"The face is turned {pose.turned:.0f} degrees away; its hidden side is made up from the other one."]
