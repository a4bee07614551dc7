"""The manifest of the fused format: what the weights were made from, and the size and hash of every file."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from uvmap_id.link.errors import ErrorCode, UVMapError
from uvmap_id.weights.recognise import FUSED_FORMAT, MANIFEST
from uvmap_id.weights.tensors import read_json

FORMAT = 1
IDENTITY = "identity.safetensors"
"""The identity projection, with the keys and values of each cross-attention."""

_AGAIN = "Convert the weights again."


@dataclass(frozen=True, slots=True)
class FileEntry:
    """Size in bytes and hash of one file."""

    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """What is to be known about fused weights.

    Attributes:
        source: The `WeightsKind` that they were made from.
        prediction: What the U-Net predicts: "epsilon" or "v_prediction".
        dtype: Of all tensors, e.g. "float16".
        licence: Of the source, as far as it was told.
        identity: The identity projection's `embedding_size`, `token_size` and `tokens`; empty without one.
        files: By their path in the folder, with slashes.
    """

    source: str
    prediction: str
    dtype: str
    licence: str = ""
    identity: dict[str, int] = field(default_factory=dict)
    files: dict[str, FileEntry] = field(default_factory=dict)


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write `manifest.json`."""
    files = {name: {"size": entry.size, "sha256": entry.sha256} for name, entry in sorted(manifest.files.items())}
    content = {
        FUSED_FORMAT: FORMAT,
        "source": manifest.source,
        "prediction": manifest.prediction,
        "dtype": manifest.dtype,
        "licence": manifest.licence,
        "identity": manifest.identity,
        "files": files,
    }
    (folder / MANIFEST).write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def read_manifest(folder: Path) -> Manifest:
    """The manifest, once every file is there and as long as it says. The hashes are left to `verify`.

    Raises:
        UVMapError: `weights_unsupported`: a later format. `weights_invalid`: the manifest can't be read.
            `weights_incomplete`: a file is missing or of another size.
    """
    content = read_json(folder / MANIFEST)
    if content.get(FUSED_FORMAT) != FORMAT:
        raise UVMapError(
            ErrorCode.WEIGHTS_UNSUPPORTED, f"{folder} has format {content.get(FUSED_FORMAT)!r}, not {FORMAT}.", _AGAIN
        )
    manifest = _parse(content, folder)
    for name, entry in manifest.files.items():
        if not (folder / name).is_file() or (folder / name).stat().st_size != entry.size:
            raise UVMapError(
                ErrorCode.WEIGHTS_INCOMPLETE, f"{folder / name} is missing or has not {entry.size} bytes.", _AGAIN
            )
    return manifest


def verify(folder: Path) -> Manifest:
    """Compare the hash of every file with the manifest's; reads all of them.

    Raises:
        UVMapError: As `read_manifest`, and `weights_invalid`: a file has changed.
    """
    manifest = read_manifest(folder)
    for name, entry in manifest.files.items():
        if describe(folder / name).sha256 != entry.sha256:
            raise UVMapError(ErrorCode.WEIGHTS_INVALID, f"{folder / name} is not what was written.", _AGAIN)
    return manifest


def describe(file: Path) -> FileEntry:
    """Size and hash of a file."""
    with file.open("rb") as stream:
        return FileEntry(file.stat().st_size, hashlib.file_digest(stream, "sha256").hexdigest())


def all_files(folder: Path) -> Iterator[tuple[str, Path]]:
    """Each file below a folder with its path in it, with slashes."""
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            yield path.relative_to(folder).as_posix(), path


def _parse(content: dict[str, Any], folder: Path) -> Manifest:
    try:
        entries = content["files"].items()
        files = {str(name): FileEntry(int(each["size"]), str(each["sha256"])) for name, each in entries}
        return Manifest(
            source=str(content["source"]),
            prediction=str(content["prediction"]),
            dtype=str(content["dtype"]),
            licence=str(content["licence"]),
            identity={str(name): int(value) for name, value in content["identity"].items()},
            files=files,
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UVMapError(
            ErrorCode.WEIGHTS_INVALID, f"The manifest of {folder} can't be read: {error}.", _AGAIN
        ) from error
