"""Errors as values: a code for programs, a sentence for a person and, where there is one, the way out."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class ErrorCode(StrEnum):
    """Why something failed. The list is closed: tools may switch on it."""

    FACE_FILE_MISSING = "face_file_missing"
    FACE_FILE_TOO_LARGE = "face_file_too_large"
    IMAGE_UNREADABLE = "image_unreadable"
    IMAGE_TRUNCATED = "image_truncated"
    IMAGE_TOO_SMALL = "image_too_small"
    IMAGE_TOO_LARGE = "image_too_large"
    FACE_NOT_FOUND = "face_not_found"
    FACE_TOO_SMALL = "face_too_small"
    FACE_TURNED_AWAY = "face_turned_away"
    PHOTO_TOO_DARK = "photo_too_dark"
    LANDMARKS_UNAVAILABLE = "landmarks_unavailable"
    PROMPT_EMPTY = "prompt_empty"
    PROMPT_TOO_LONG = "prompt_too_long"
    SUBJECT_TOO_LONG = "subject_too_long"
    TEXT_INVALID = "text_invalid"
    SIZE_NOT_OFFERED = "size_not_offered"
    SEED_OUT_OF_RANGE = "seed_out_of_range"
    RELIGHT_OUT_OF_RANGE = "relight_out_of_range"
    SETTINGS_UNREADABLE = "settings_unreadable"
    REGION_INCOMPLETE = "region_incomplete"
    REGION_EMPTY = "region_empty"
    SETTING_OUT_OF_RANGE = "setting_out_of_range"
    SCHEDULER_UNKNOWN = "scheduler_unknown"
    EMBEDDING_INVALID = "embedding_invalid"
    IDENTITY_UNAVAILABLE = "identity_unavailable"
    COUNTS_DIFFER = "counts_differ"
    WEIGHTS_UNKNOWN = "weights_unknown"
    WEIGHTS_MISSING = "weights_missing"
    WEIGHTS_INCOMPLETE = "weights_incomplete"
    WEIGHTS_INVALID = "weights_invalid"
    WEIGHTS_UNSUPPORTED = "weights_unsupported"
    LICENCE_NOT_ACCEPTED = "licence_not_accepted"
    DOWNLOAD_FAILED = "download_failed"
    DOWNLOAD_CORRUPT = "download_corrupt"
    OUT_OF_MEMORY = "out_of_memory"
    DEVICE_LOST = "device_lost"
    IMAGE_NOT_FINITE = "image_not_finite"
    ENGINE_UNKNOWN = "engine_unknown"
    ENGINE_UNAVAILABLE = "engine_unavailable"
    OUTPUT_NOT_WRITABLE = "output_not_writable"
    DISK_FULL = "disk_full"
    BODY_UNREADABLE = "body_unreadable"
    BODY_WITHOUT_UVS = "body_without_uvs"
    BODY_MISSING = "body_missing"
    BODY_LAYOUT_DIFFERS = "body_layout_differs"
    BODY_WITHOUT_SKELETON = "body_without_skeleton"
    BODY_WITHOUT_TEXTURES = "body_without_textures"
    BODIES_APART = "bodies_apart"
    MOTION_UNREADABLE = "motion_unreadable"
    EXPORT_FAILED = "export_failed"
    BACKEND_NOT_FOUND = "backend_not_found"
    BACKEND_NOT_RUNNING = "backend_not_running"
    BACKEND_START_FAILED = "backend_start_failed"
    BACKEND_LOST = "backend_lost"
    BACKEND_INCOMPATIBLE = "backend_incompatible"
    MESSAGE_INVALID = "message_invalid"
    BACKEND_REFUSED = "backend_refused"
    ADDRESS_NOT_ALLOWED = "address_not_allowed"
    KEY_INVALID = "key_invalid"
    NOT_ALLOWED = "not_allowed"
    PHOTO_MISSING = "photo_missing"
    BLOB_INVALID = "blob_invalid"
    QUEUE_FULL = "queue_full"
    JOB_UNKNOWN = "job_unknown"
    JOB_ID_CONFLICT = "job_id_conflict"
    JOB_POISONOUS = "job_poisonous"
    JOB_STATE_WRONG = "job_state_wrong"
    RESULT_DAMAGED = "result_damaged"
    WORKER_DIED = "worker_died"
    WORKER_STALLED = "worker_stalled"
    WORKER_CRASH_LOOP = "worker_crash_loop"
    PACKAGE_MISSING = "package_missing"
    RENDER_FAILED = "render_failed"
    DATASET_UNREADABLE = "dataset_unreadable"
    DATASET_EMPTY = "dataset_empty"
    DATASET_TOO_SMALL = "dataset_too_small"
    DATASET_UNBALANCED = "dataset_unbalanced"
    CONSENT_MISSING = "consent_missing"
    METRIC_UNKNOWN = "metric_unknown"
    METRIC_UNAVAILABLE = "metric_unavailable"
    CONFIG_INVALID = "config_invalid"
    CHECKPOINT_INVALID = "checkpoint_invalid"
    TRAINING_DIVERGED = "training_diverged"
    ONLINE_ACCESS_OFF = "online_access_off"
    SETUP_UNSUPPORTED = "setup_unsupported"
    SETUP_BUSY = "setup_busy"
    SETUP_FAILED = "setup_failed"
    SETUP_INCOMPLETE = "setup_incomplete"
    PATH_UNSUITABLE = "path_unsuitable"
    PYTHON_NOT_FOUND = "python_not_found"
    CANCELLED = "cancelled"
    INTERNAL = "internal"


@dataclass(frozen=True, slots=True)
class Failure:
    """A failure as a value: a code for programs, a sentence for a person and, where there is one, the way out."""

    code: str
    message: str
    hint: str = ""

    def __str__(self) -> str:
        return f"{self.code}: {self.message} {self.hint}".rstrip()


class UVMapError(Exception):
    """The one exception that carries a `Failure` up to whoever talks to a person."""

    def __init__(self, code: ErrorCode, message: str, hint: str = "") -> None:
        super().__init__(f"{code.value}: {message} {hint}".rstrip())
        self.failure = Failure(code.value, message, hint)


class LinkError(UVMapError):
    """A message that doesn't follow this page."""

    def __init__(self, message: str) -> None:
        super().__init__(ErrorCode.MESSAGE_INVALID, message, "Update the add-on and the backend to the same version.")
