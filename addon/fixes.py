"""The way out of an error as a button: for each code the operator that helps, where there is one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from .link.errors import ErrorCode


@dataclass(frozen=True, slots=True)
class Fix:
    """A button.

    Attributes:
        operator: What it does.
        text: What it is called; empty takes the operator's name.
    """

    operator: str
    text: str = ""


_PREFERENCES = Fix("uvmap_id.open_preferences")
_PHOTO = Fix("uvmap_id.choose_photo", "Choose Another Photo")
_RETRY = Fix("uvmap_id.retry")
_BODY = Fix("uvmap_id.add_mannequin")
_PROJECTION = Fix("uvmap_id.use_projection")
_SAVE = Fix("wm.save_as_mainfile", "Save File As")
_MASK = Fix("uvmap_id.paint_mask")
_LOG = Fix("uvmap_id.open_log")

FIXES: Mapping[str, Fix] = {
    ErrorCode.FACE_FILE_MISSING: Fix("uvmap_id.choose_photo"),
    ErrorCode.FACE_FILE_TOO_LARGE: _PHOTO,
    ErrorCode.IMAGE_UNREADABLE: _PHOTO,
    ErrorCode.IMAGE_TRUNCATED: _PHOTO,
    ErrorCode.IMAGE_TOO_SMALL: _PHOTO,
    ErrorCode.IMAGE_TOO_LARGE: _PHOTO,
    ErrorCode.FACE_NOT_FOUND: _PHOTO,
    ErrorCode.FACE_TOO_SMALL: _PHOTO,
    ErrorCode.FACE_TURNED_AWAY: _PHOTO,
    ErrorCode.PHOTO_TOO_DARK: _PHOTO,
    ErrorCode.EMBEDDING_INVALID: _PHOTO,
    ErrorCode.PROMPT_EMPTY: Fix("uvmap_id.use_preset", "Use a Preset"),
    ErrorCode.REGION_INCOMPLETE: _MASK,
    ErrorCode.REGION_EMPTY: _MASK,
    ErrorCode.BODY_MISSING: _BODY,
    ErrorCode.BODY_WITHOUT_UVS: _BODY,
    ErrorCode.BODY_LAYOUT_DIFFERS: _BODY,
    ErrorCode.OUTPUT_NOT_WRITABLE: _SAVE,
    ErrorCode.DISK_FULL: _SAVE,
    ErrorCode.BACKEND_NOT_FOUND: _PREFERENCES,
    ErrorCode.BACKEND_START_FAILED: _PREFERENCES,
    ErrorCode.BACKEND_INCOMPATIBLE: _PREFERENCES,
    ErrorCode.BACKEND_REFUSED: _PREFERENCES,
    ErrorCode.KEY_INVALID: _PREFERENCES,
    ErrorCode.LANDMARKS_UNAVAILABLE: _PREFERENCES,
    ErrorCode.PACKAGE_MISSING: _PREFERENCES,
    ErrorCode.LICENCE_NOT_ACCEPTED: _PREFERENCES,
    ErrorCode.WEIGHTS_INCOMPLETE: _PREFERENCES,
    ErrorCode.WEIGHTS_INVALID: _PREFERENCES,
    ErrorCode.WEIGHTS_MISSING: _PROJECTION,
    ErrorCode.WEIGHTS_UNSUPPORTED: _PROJECTION,
    ErrorCode.ENGINE_UNAVAILABLE: _PROJECTION,
    ErrorCode.IDENTITY_UNAVAILABLE: _PROJECTION,
    ErrorCode.OUT_OF_MEMORY: _PROJECTION,
    ErrorCode.DEVICE_LOST: _RETRY,
    ErrorCode.BACKEND_LOST: _RETRY,
    ErrorCode.WORKER_DIED: _RETRY,
    ErrorCode.JOB_UNKNOWN: _RETRY,
    ErrorCode.RESULT_DAMAGED: _RETRY,
    ErrorCode.INTERNAL: _LOG,
}
