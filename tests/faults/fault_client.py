"""A client that submits one job, fetches its files and acknowledges it, and goes on where an earlier one was killed.

`fault_client.py FOLDER PHOTO SEED PROMPT ...`: FOLDER holds its notes and gets the result.
"""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from points import Plan

from uvmap_id.link.client import Client
from uvmap_id.link.connection import read_connection
from uvmap_id.link.downloads import Fetched, NotFetched
from uvmap_id.link.messages import Accepted, Acknowledged, Cancelled, Done, Failed, Progress, PutBlob, Refused, Submit
from uvmap_id.link.photo import photo_hash
from uvmap_id.link.request import TextureRequest
from uvmap_id.link.wire import decode

CLIENT_POINTS = (
    "client before upload",
    "client after upload",
    "client after submit",
    "client after accepted",
    "client after done",
    "client after fetch",
    "client before ack",
    "client after ack",
)


def main() -> None:
    folder, photo, seed, prompt = Path(sys.argv[1]), sys.argv[2].encode(), int(sys.argv[3]), sys.argv[4]
    plan = Plan.current()
    note = folder / "job"
    request = TextureRequest(photo_hash(photo), prompt, size=512, seed=seed)
    with Client.connect(read_connection(), "fault client") as client:
        watch(client, plan)
        # Longer than a machine that does other work may take to write something to its disk.
        client.wait_until_welcome(60)
        job = note.read_text() if note.exists() else ""
        if job:
            client.status(job)
        else:
            job = client.submit(request, (photo,))
            # Noted before anything was sent: `submit` only takes it on.
            note.with_suffix(".new").write_text(job)
            note.with_suffix(".new").rename(note)
            plan.reach("client before upload")
        while (state := told(client, job, plan)) is None:
            time.sleep(0.003)
        if state == "unknown":
            note.unlink()
            sys.exit(3)
        deliver(client, plan, folder, job)


def told(client: Client, job: str, plan: Plan) -> str | None:
    for event in client.poll():
        if getattr(event, "job", "") != job:
            continue
        match event:
            case Accepted() | Progress():
                plan.reach("client after accepted")
            case Done():
                plan.reach("client after done")
                return "done"
            case Refused(code="job_unknown"):
                return "unknown"
            case Failed() | Cancelled() | Refused():
                sys.exit(f"it ended as {event}")
    return None


def deliver(client: Client, plan: Plan, folder: Path, job: str) -> None:
    result = folder / "result"
    if not (folder / "delivered").exists():
        shutil.rmtree(result, ignore_errors=True)
        client.fetch(job, result)
        fetched = False
        while not fetched:
            events = client.poll()
            fetched = any(isinstance(event, Fetched) for event in events)
            assert not any(isinstance(event, NotFetched) for event in events), events
            time.sleep(0.003)
        plan.reach("client after fetch")
        (folder / "delivered").touch()
        plan.note("deliver", job)
    plan.reach("client before ack")
    client.acknowledge(job)
    while Acknowledged(job) not in client.poll():
        time.sleep(0.003)
    plan.reach("client after ack")


def watch(client: Client, plan: Plan) -> None:
    """Points inside of what the client sends by itself."""
    channel = client._exchange._channel
    real = channel.send

    def send(frames: Sequence[bytes]) -> bool:
        taken = real(frames)
        message, blob = decode(frames)
        if taken and isinstance(message, PutBlob) and blob:
            plan.reach("client after upload")
        elif taken and isinstance(message, Submit):
            plan.reach("client after submit")
        return taken

    channel.send = send  # pyright: ignore[reportAttributeAccessIssue]


if __name__ == "__main__":
    main()
