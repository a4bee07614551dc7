"""Looks at a photo before anything is made of it: its faces, and what the engine would say of it.

The answer is kept in a folder under the hash of the photo's content, so that the same photo is looked at once.
"""

from __future__ import annotations

import contextlib
import dataclasses
import io
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from uvmap_id import __version__
from uvmap_id.link.disk import disk_error, remove
from uvmap_id.link.errors import Failure, LinkError, UVMapError
from uvmap_id.link.photo import photo_hash
from uvmap_id.link.photo import read_photo as read_file
from uvmap_id.link.wire import build

FORMAT = 2
THUMBNAIL_SIDE = 256
_CACHE_LIMIT = 256 * 1024
# A face is personal: no more answers are kept than a session of work needs.
_KEPT = 64
_DOT, _LINE = (90, 230, 255), (255, 190, 60)
# The longer side of the box around the face fills this share of the thumbnail.
_FACE_SHARE = 0.65


@dataclass(frozen=True, slots=True)
class FaceReport:
    """What a photo shows.

    Attributes:
        sha256: Of the photo's file.
        width: Pixels of the photo as it is used: upright, and at most 4096 on the longer side.
        height: See `width`.
        faces: How many faces it shows.
        landmarks: x, y in those pixels of the largest face's 478 landmarks, one after the other; empty without a face.
        warnings: Sentences for a person.
        code: Why the engine would refuse it; empty where it would not.
        message: See `code`.
        hint: See `code`.
        turned: Degrees between where the face looks and the camera.
        thumbnail: A PNG of the face with its landmarks; empty where there is no picture.
        made_by: What looked at it; an answer of another version is not used again.
    """

    sha256: str
    width: int = 0
    height: int = 0
    faces: int = 0
    landmarks: tuple[float, ...] = ()
    warnings: tuple[str, ...] = ()
    code: str = ""
    message: str = ""
    hint: str = ""
    turned: float = 0.0
    thumbnail: str = ""
    made_by: str = f"{FORMAT}/{__version__}"

    @property
    def failure(self) -> Failure | None:
        """Why the engine would refuse it, as a value."""
        return Failure(self.code, self.message, self.hint) if self.code else None


def check_face(path: Path, folder: Path) -> FaceReport:
    """Look at a photo, or tell what was seen in one of the same content before.

    Args:
        path: The photo's file.
        folder: Where answers and thumbnails are kept; made if need be.

    Raises:
        UVMapError: The file can't be read, the models are missing, or the folder can't be written. What is wrong with
            the photo itself is in the report.
    """
    content = read_file(path)
    sha256 = photo_hash(content)
    known = _kept(folder / f"{sha256}.json")
    if known is not None:
        return known
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        report = _looked_at(content, sha256, folder / f"{sha256}.png")
        _write(folder / f"{sha256}.json", json.dumps(dataclasses.asdict(report)).encode())
        _forget_oldest(folder)
    except OSError as error:
        raise disk_error(error, folder) from error
    return report


def _looked_at(content: bytes, sha256: str, thumbnail: Path) -> FaceReport:
    # These take a second to import, and an answer that is kept needs none of them.
    from uvmap_id.atlas.face import FaceShape
    from uvmap_id.atlas.layout import Atlas
    from uvmap_id.engines.projection import portrait
    from uvmap_id.engines.projection.warp import fit_face
    from uvmap_id.faces.landmarks import FaceFinder
    from uvmap_id.faces.photo import read_photo

    try:
        image = read_photo(content)
    except UVMapError as error:
        return FaceReport(sha256, **dataclasses.asdict(error.failure))
    with FaceFinder() as finder:
        faces = finder.find(image)
    points = faces[0].points[:, :2] if faces else None
    _write(thumbnail, _drawn(image, points))
    height, width = image.shape[:2]
    report = FaceReport(sha256, width, height, len(faces), thumbnail=str(thumbnail))
    if points is None:
        return dataclasses.replace(report, **dataclasses.asdict(portrait.no_face().failure))
    pose = fit_face(faces[0], FaceShape.load(), Atlas.load())
    warnings, failure = _said(
        lambda: portrait.checked_count(faces),
        lambda: portrait.checked_size(faces[0]),
        lambda: portrait.checked_light(image, faces[0]),
        lambda: portrait.checked_pose(pose),
    )
    found = tuple(round(float(value), 1) for value in points.ravel())
    report = dataclasses.replace(report, landmarks=found, warnings=warnings, turned=round(pose.turned, 1))
    return report if failure is None else dataclasses.replace(report, **dataclasses.asdict(failure))


def _said(*checks: Callable[[], list[str]]) -> tuple[tuple[str, ...], Failure | None]:
    """All warnings of the engine's checks, and the first failure."""
    warnings: list[str] = []
    failures: list[Failure] = []
    for check in checks:
        try:
            warnings += check()
        except UVMapError as error:
            failures.append(error.failure)
    return tuple(warnings), failures[0] if failures else None


def _drawn(image: NDArray[np.uint8], points: NDArray[np.float32] | None) -> bytes:
    """A PNG of the face with its surroundings and its landmarks (N, 2), or of the whole photo without one."""
    height, width = image.shape[:2]
    side = float(max(height, width))
    middle = np.array([width, height]) / 2
    if points is not None:
        side = min(side, float(np.ptp(points, axis=0).max()) / _FACE_SHARE)
        middle = (points.min(axis=0) + points.max(axis=0)) / 2
    corner = middle - side / 2
    box = tuple(round(float(value)) for value in (*corner, *(corner + side)))
    picture = Image.fromarray(image).crop(box).resize((THUMBNAIL_SIDE, THUMBNAIL_SIDE), Image.Resampling.LANCZOS)  # pyright: ignore[reportArgumentType]
    if points is not None:
        _draw_landmarks(picture, (points - corner) * THUMBNAIL_SIDE / side)
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()


def _draw_landmarks(picture: Image.Image, points: NDArray[np.floating]) -> None:
    from uvmap_id.faces.landmarks import LEFT_EYE, RIGHT_EYE

    canvas = ImageDraw.Draw(picture)
    for x, y in points:
        canvas.rectangle((float(x), float(y), float(x) + 1, float(y) + 1), fill=_DOT)
    for eye in (LEFT_EYE, RIGHT_EYE):
        outline = [(float(points[number, 0]), float(points[number, 1])) for number in (*eye, eye[0])]
        canvas.line(outline, fill=_LINE, width=2)


def _kept(path: Path) -> FaceReport | None:
    """An answer that was kept by this version, with its thumbnail still there."""
    try:
        with path.open("rb") as file:
            values = json.loads(file.read(_CACHE_LIMIT))
        report = build(FaceReport, values)
    except (OSError, ValueError, TypeError, AttributeError, RecursionError, LinkError):
        return None
    fits = report.made_by == FaceReport("").made_by and report.sha256 == path.stem
    return report if fits and (not report.thumbnail or Path(report.thumbnail).is_file()) else None


def _forget_oldest(folder: Path) -> None:
    answers = sorted(folder.glob("*.json"), key=lambda path: path.stat().st_mtime_ns)
    for answer in answers[:-_KEPT]:
        remove(answer)
        remove(answer.with_suffix(".png"))


def _write(path: Path, content: bytes) -> None:
    """Write a private file that is never seen half; another process may write the same at the same time."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_BINARY", 0), 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        temporary.replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
