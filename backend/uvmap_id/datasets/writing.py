"""Writes the rows of a dataset and its card: in full, or the old ones stay."""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import Iterable, Sequence
from pathlib import Path

from uvmap_id.datasets.card import CARD, Census, card
from uvmap_id.datasets.folder import METADATA, PHOTOS, Row, metadata_line
from uvmap_id.datasets.workshop import PART, write_whole
from uvmap_id.link.disk import disk_error, remove, sync_folder


def write_dataset(folder: Path, rows: Iterable[Row], name: str, how: Sequence[str] = ()) -> Census:
    """Write metadata.jsonl and README.md for rows that are made one after the other; the textures are there already.

    Without any row nothing is written, and what was there stays.

    Raises:
        UVMapError: output_not_writable, disk_full.
    """
    census = Census()
    path = folder / METADATA
    part = folder / f"{METADATA}.{secrets.token_hex(4)}{PART}"
    try:
        with part.open("w", encoding="utf-8", newline="\n") as file:
            for row in rows:
                census.add(row)
                file.write(metadata_line(row))
            file.flush()
            os.fsync(file.fileno())
        if census.rows:
            part.replace(path)
            write_whole(folder / CARD, card(census, name, how).encode())
            sync_folder(folder)
    except OSError as error:
        raise disk_error(error, folder) from error
    finally:
        remove(part)
    return census


def keep_photo(folder: Path, photo: Path, sha256: str) -> str:
    """Copy a photo into the dataset, under its hash. Returns its name below the folder.

    Raises:
        UVMapError: output_not_writable, disk_full.
    """
    name = f"{PHOTOS}/{sha256[:32]}{photo.suffix.lower()}"
    target = folder / name
    try:
        if not (target.is_file() and hashlib.sha256(target.read_bytes()).hexdigest() == sha256):
            target.parent.mkdir(exist_ok=True)
            write_whole(target, photo.read_bytes())
    except OSError as error:
        raise disk_error(error, target) from error
    return name
