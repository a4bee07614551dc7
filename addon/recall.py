"""What the user had set, as text: written with each texture, and set again from there, from a manifest or a map."""

# pyright: reportAttributeAccessIssue=false
# The stubs don't know what the settings hold.

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import bpy

from . import png
from .link.errors import ErrorCode, LinkError, UVMapError
from .link.photo import photo_hash
from .link.request import SETTINGS, TextureRequest
from .link.texture_set import MANIFEST_LIMIT
from .link.wire import build
from .properties import CharacterSettings

_PLAIN = ("prompt", "subject", "engine", "seed", "relight", "normal_convention")
# Stands in for hashes, which say nothing to a person.
_NO_PHOTO = photo_hash(b"")


def written(request: TextureRequest, faces: list[str]) -> str:
    """The settings of a request as JSON.

    Args:
        request: What was asked for.
        faces: The files of its photos, as the user gave them.
    """
    return json.dumps({"request": dataclasses.asdict(request), "faces": faces}, separators=(",", ":"))


def read(text: str) -> tuple[TextureRequest, list[str]]:
    """What `written` wrote, or a manifest: the request, and its photos' files as far as they are known.

    Raises:
        UVMapError: `settings_unreadable`, or the code of the first setting that can't be accepted.
    """
    try:
        values = json.loads(text[:MANIFEST_LIMIT])
        known = dict(values["request"])
        # What the photo was can't be told from its hash, and what is not known any more is the default.
        request = build(TextureRequest, {**known, "face_sha256": known.get("face_sha256") or _NO_PHOTO})
        faces = [face for face in values.get("faces", ()) if isinstance(face, str)]
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError, LinkError) as error:
        raise UVMapError(
            ErrorCode.SETTINGS_UNREADABLE,
            "The settings of this texture can't be read.",
            "They may have been written by a newer version; update the extension.",
        ) from error
    request.validate()
    return request, faces


def read_file(path: Path) -> tuple[TextureRequest, list[str]]:
    """The settings in a manifest.json, or in a map that UVMap-ID made. Raises `UVMapError`."""
    if path.suffix.lower() == ".png":
        return read(json.dumps(png.manifest_of(path)))
    try:
        with path.open("rb") as file:
            return read(file.read(MANIFEST_LIMIT).decode())
    except (OSError, UnicodeDecodeError) as error:
        raise UVMapError(
            ErrorCode.SETTINGS_UNREADABLE, f"{path} can't be read.", "Choose a map or a manifest.json."
        ) from error


def apply(settings: CharacterSettings, request: TextureRequest, faces: list[str]) -> None:
    """Set everything as it was for a request; the photos too where their files are known.

    Of a region its parts are set. Its mask is not kept, and what is painted now stays; see `remark`.
    """
    for name in _PLAIN:
        setattr(settings, name, getattr(request, name))
    settings.size = str(request.size)
    settings.extra_maps = set(request.extra_maps)
    for name in SETTINGS:
        setattr(settings.diffusion, name, getattr(request.diffusion, name))
    settings.seed_lock, settings.variations = True, 1
    settings.region_parts = set(request.region.parts)
    if not faces:
        return
    settings.face_image = faces[0]
    settings.more_faces.clear()
    for face in faces[1:]:
        settings.more_faces.add().path = face


def remark(request: TextureRequest) -> str:
    """What to know of a request that `apply` does not bring back, as a sentence that follows another; or nothing."""
    if not request.region.maps:
        return ""
    if request.region.mask:
        return " It was a region; its mask is not kept: paint it again."
    return " It was a region, made with Generate Region."


def absolute(path: str) -> str:
    """A path that still holds when the .blend is saved elsewhere."""
    return str(Path(bpy.path.abspath(path.strip())).expanduser())
