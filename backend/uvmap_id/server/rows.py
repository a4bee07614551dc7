"""How a job becomes a row of the database and a row a job. Its request and its end are sealed, see `seals`."""

from __future__ import annotations

import dataclasses
import json
import sqlite3

from uvmap_id.link.errors import LinkError
from uvmap_id.link.messages import Accepted, Cancelled, Done, Failed
from uvmap_id.link.request import TextureRequest
from uvmap_id.link.wire import build

from .seals import KeyFile, SealError
from .states import End, JobState, StoredJob

_DAMAGED = ("A file that says more of this job was damaged.", "Submit the job again.")
_FORGOTTEN = "What was known of this job's failure was deleted."


def job_of(row: sqlite3.Row, keys: KeyFile) -> StoredJob:
    """The job of a row; its request is None where it is forgotten or can't be read."""
    state = JobState(row["state"])
    return StoredJob(
        id=row["id"],
        owner=row["owner"],
        session=row["session"],
        request=read_request(row, keys),
        digest=row["digest"],
        priority=row["priority"],
        state=state,
        seq=row["seq"],
        deaths=row["deaths"],
        cancel_asked=bool(row["cancel_asked"]),
        created=row["created"],
        started=row["started"],
        ended=row["ended"],
        event=_read_event(row, state, keys),
        acknowledged=bool(row["acknowledged"]),
        retry_of=row["retry_of"],
    )


def read_request(row: sqlite3.Row, keys: KeyFile) -> TextureRequest | None:
    """The request of a row; None where it is forgotten, damaged or of another version's making."""
    if row["slot"] is None or row["request"] is None:
        return None
    try:
        return build(TextureRequest, json.loads(keys.open(row["slot"], row["request"])))
    except (SealError, ValueError, TypeError, LinkError):
        return None


def event_text(event: End) -> bytes:
    """What is to be sealed of a job's end."""
    return json.dumps(dataclasses.asdict(event), separators=(",", ":"), allow_nan=False).encode()


def _read_event(row: sqlite3.Row, state: JobState, keys: KeyFile) -> Accepted | End:
    job = row["id"]
    if not state.ended:
        return Accepted(job)
    if state is JobState.CANCELLED:
        return Cancelled(job)
    kind = Done if state is JobState.DONE else Failed
    if row["slot"] is None:
        return Done(job, "") if kind is Done else Failed(job, row["code"], _FORGOTTEN)
    try:
        return build(kind, json.loads(keys.open(row["slot"], row["event"] or b"")), growing=True)
    except (SealError, ValueError, LinkError):
        return Done(job, "") if kind is Done else Failed(job, row["code"], *_DAMAGED)
