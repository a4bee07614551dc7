"""Which licences the user has accepted: a small file in the store, which the preferences in Blender write too."""

from __future__ import annotations

import datetime
import json
import os
from pathlib import Path

from uvmap_id.link.disk import disk_error
from uvmap_id.link.errors import ErrorCode, UVMapError
from uvmap_id.weights.catalogue import Entry, Licence

FILE_NAME = "accepted_licences.json"


def accept(store: Path, licence: Licence) -> None:
    """Note that the user accepts a licence: its id, the address of its text and the day.

    Raises:
        UVMapError: `output_not_writable` or `disk_full`.
    """
    accepted = _read(store)
    accepted[licence.id] = {"url": licence.url, "date": datetime.datetime.now(datetime.UTC).date().isoformat()}
    temporary = store / f".{FILE_NAME}.{os.getpid()}"
    try:
        store.mkdir(parents=True, exist_ok=True)
        temporary.write_text(json.dumps(accepted, indent=2) + "\n", encoding="utf-8")
        temporary.replace(store / FILE_NAME)
    except OSError as error:
        raise disk_error(error, store) from error


def is_accepted(store: Path, licence: Licence) -> bool:
    """True where the licence needs no acceptance, or where the very text that it names was accepted."""
    noted = _read(store).get(licence.id)
    return licence.commercial or (isinstance(noted, dict) and noted.get("url") == licence.url)


def demand(store: Path, entry: Entry) -> None:
    """Raise `licence_not_accepted` if the weights must not be fetched yet."""
    licence = entry.licence
    if not is_accepted(store, licence):
        raise UVMapError(
            ErrorCode.LICENCE_NOT_ACCEPTED,
            f"{entry.title} may not be used commercially: {licence.name}.",
            f"Read {licence.url} and, if you accept it, add: --accept-licence {licence.id}",
        )


def _read(store: Path) -> dict[str, object]:
    try:
        accepted = json.loads((store / FILE_NAME).read_bytes())
    except (OSError, ValueError, RecursionError):
        # What can't be read was not accepted.
        return {}
    return accepted if isinstance(accepted, dict) else {}
