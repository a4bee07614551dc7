"""One texture set, from a request to its files in a folder: what the command `generate` does, for Python."""

from __future__ import annotations

import contextlib
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from uvmap_id.link.client import Client
from uvmap_id.link.connection import Connection
from uvmap_id.link.errors import UVMapError
from uvmap_id.link.launcher import ensure_server
from uvmap_id.link.messages import Acknowledged, Done, Progress
from uvmap_id.link.request import TextureRequest
from uvmap_id.texture_folder import TextureFolder, texture_folder

# -P keeps files that happen to lie in the current folder from being taken for modules.
BACKEND_COMMAND = (sys.executable, "-P", "-m", "uvmap_id")

_CANCEL_TIMEOUT_S = 7.0
_LOOK_EVERY_S = 1.0
# A backend that dies more often while one job runs is not worth another try.
_RESTARTS = 3
_FAREWELL_S = 3.0


@dataclass(frozen=True, slots=True)
class TextureFiles:
    """A texture set that was made.

    Attributes:
        manifest: Its manifest's path; the maps lie beside it.
        warnings: Sentences for a person, such as what was not understood in the prompt.
    """

    manifest: Path
    warnings: tuple[str, ...]


def generate_texture(
    request: TextureRequest,
    photos: tuple[bytes, ...],
    out: Path,
    on_progress: Callable[[Progress], None] | None = None,
    backend: Connection | None = None,
) -> TextureFiles:
    """Have the backend make a texture set and put it into a folder.

    Args:
        request: What to make.
        photos: The contents of the files that the request names; see `uvmap_id.link.photo.with_photos`.
        out: The folder; made if need be. A texture set that is there is replaced once the new one is complete.
        on_progress: Called now and then.
        backend: One on another machine; see `uvmap_id.link.connection.remote_connection`. None uses the one on this
            machine, which is started if need be, also when it dies on the way.

    Returns:
        Where the manifest lies, and what a person should know.

    Raises:
        UVMapError: It did not work, and `out` is as it was before.
        KeyboardInterrupt: The job was cancelled, and `out` is as it was before.
    """
    request.validate()
    with (
        texture_folder(out) as folder,
        Client.connect(backend or ensure_server(BACKEND_COMMAND), "generate") as client,
    ):
        job = client.submit(request, photos)
        try:
            done = _wait(client, job, on_progress)
        except UVMapError:
            acknowledge(client, job)
            raise
        return TextureFiles(publish(client, done, folder), done.warnings)


def publish(client: Client, done: Done, folder: TextureFolder) -> Path:
    """Put a finished job's files into a folder, and let the backend forget them. Returns the manifest's path.

    Raises:
        UVMapError: It did not work; the backend still has the files.
    """
    with _files_of(client, done) as files:
        manifest = folder.publish(files)
    acknowledge(client, done.job)
    return manifest


def acknowledge(client: Client, job: str) -> None:
    """Let the backend forget an ended job. Where that can't be said now, the job stays on its list."""
    client.acknowledge(job)
    deadline = _FAREWELL_S
    while deadline > 0 and client.failure is None:
        if any(isinstance(event, Acknowledged) and event.job == job for event in client.poll()):
            return
        deadline -= client.pause_until_heard(deadline)


@contextlib.contextmanager
def _files_of(client: Client, done: Done) -> Iterator[Path]:
    """Where a job's files can be read on this machine."""
    if client.connection.local:
        yield Path(done.folder)
        return
    with tempfile.TemporaryDirectory(prefix="uvmap-id-") as scratch:
        yield client.wait_until_fetched(done.job, Path(scratch, "set"))


def _wait(client: Client, job: str, on_progress: Callable[[Progress], None] | None) -> Done:
    restarts = 0
    try:
        while True:
            try:
                return client.wait(job, on_progress, _LOOK_EVERY_S)
            except TimeoutError:
                if client.server_gone and restarts < _RESTARTS:
                    restarts += 1
                    # It has the job on disk, and the client finds it by itself.
                    ensure_server(BACKEND_COMMAND)
    except KeyboardInterrupt:
        client.cancel(job)
        with contextlib.suppress(UVMapError, TimeoutError):
            client.wait(job, timeout_s=_CANCEL_TIMEOUT_S)
        acknowledge(client, job)
        raise
