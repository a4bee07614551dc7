"""The settings of a texture set as a person gives them: in a file, typed, or both."""

from __future__ import annotations

import dataclasses
import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from uvmap_id.link.errors import ErrorCode, LinkError, UVMapError
from uvmap_id.link.photo import photo_hash
from uvmap_id.link.request import DiffusionSettings, TextureRequest
from uvmap_id.link.texture_set import MANIFEST_LIMIT
from uvmap_id.link.wire import build

# Stands in for the photos until they have been read.
NO_PHOTO = photo_hash(b"")

# What names files that are not part of the settings.
_PHOTO_FIELDS = ("face_sha256", "more_faces", "region")
_NUMBERS: Mapping[str, tuple[type[int] | type[float], ErrorCode]] = {
    "size": (int, ErrorCode.SIZE_NOT_OFFERED),
    "seed": (int, ErrorCode.SEED_OUT_OF_RANGE),
    "relight": (float, ErrorCode.RELIGHT_OUT_OF_RANGE),
    **{
        item.name: (type(item.default), ErrorCode.SETTING_OUT_OF_RANGE)
        for item in dataclasses.fields(DiffusionSettings)
        if isinstance(item.default, int | float)
    },
}


def requested(file: Path | None, typed: Mapping[str, Any], typed_diffusion: Mapping[str, str | None]) -> TextureRequest:
    """The request that a person describes; `NO_PHOTO` is in the place of the photo.

    Args:
        file: A manifest, or JSON or TOML with fields of `TextureRequest`; None is all defaults.
        typed: Fields of `TextureRequest` that win over the file's; numbers still as text. None was not typed.
        typed_diffusion: The same for `DiffusionSettings`.

    Raises:
        UVMapError: `settings_unreadable`, or the code of the first field that can't be accepted.
    """
    base = TextureRequest(NO_PHOTO, "") if file is None else read_settings(file)
    diffusion = dataclasses.replace(base.diffusion, **_given(typed_diffusion))
    request = dataclasses.replace(base, diffusion=diffusion, **_given(typed))
    request.validate()
    return request


def read_settings(file: Path) -> TextureRequest:
    """The settings in a file, with defaults for what it doesn't hold and without the photos' hashes.

    Args:
        file: A manifest, or a JSON or TOML (by its suffix) table with fields of `TextureRequest`.

    Raises:
        UVMapError: `settings_unreadable`.
    """
    try:
        with file.open("rb") as opened:
            text = opened.read(MANIFEST_LIMIT).decode()
        values = tomllib.loads(text) if file.suffix.lower() == ".toml" else json.loads(text)
        if not isinstance(values, dict):
            raise ValueError("it is no table of settings")
        values = values.get("request", values)
        kept = {name: value for name, value in values.items() if name not in _PHOTO_FIELDS}
        return build(TextureRequest, {"prompt": "", **kept, "face_sha256": NO_PHOTO})
    except LinkError as error:
        raise _unreadable(file, error.failure.message) from error
    except (OSError, ValueError, AttributeError, RecursionError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise _unreadable(file, reason[:200]) from error


def _unreadable(file: Path, reason: str) -> UVMapError:
    return UVMapError(
        ErrorCode.SETTINGS_UNREADABLE,
        f"The settings in {file} can't be used: {reason.rstrip('.')}.",
        "Choose a manifest.json, or a JSON or TOML file with its fields.",
    )


def _given(typed: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _read(name, value) for name, value in typed.items() if value is not None}


def _read(name: str, value: Any) -> Any:
    """A number that was typed; the command line's own complaint would have neither a code nor a way out."""
    if name not in _NUMBERS:
        return value
    kind, code = _NUMBERS[name]
    try:
        return kind(value)
    except ValueError:
        what = "a whole number" if kind is int else "a number"
        sentence = f'The {name.replace("_", " ")} "{value[:40]}" is not {what}.'
        raise UVMapError(code, sentence, "uvmap-id generate --help says what it may be.") from None
