"""One texture set, from a request to its files in a folder: what the command `generate` does, for Python."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from uvmap_id.link.client import Client
from uvmap_id.link.disk import remove
from uvmap_id.link.errors import UVMapError
from uvmap_id.link.launcher import ensure_server
from uvmap_id.link.messages import Done, Progress
from uvmap_id.link.request import TextureRequest
from uvmap_id.texture_folder import texture_folder

# -P keeps files that happen to lie in the current folder from being taken for modules.
BACKEND_COMMAND = (sys.executable, "-P", "-m", "uvmap_id")

_CANCEL_TIMEOUT_S = 7.0


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
) -> TextureFiles:
    """Have the backend make a texture set and put it into a folder. Starts the backend if need be.

    Args:
        request: What to make.
        photos: The contents of the files that the request names; see `uvmap_id.link.photo.with_photos`.
        out: The folder; made if need be. A texture set that is there is replaced once the new one is complete.
        on_progress: Called now and then.

    Returns:
        Where the manifest lies, and what a person should know.

    Raises:
        UVMapError: It did not work, and `out` is as it was before.
        KeyboardInterrupt: The job was cancelled, and `out` is as it was before.
    """
    request.validate()
    with texture_folder(out) as folder, Client.connect(ensure_server(BACKEND_COMMAND), "generate") as client:
        done = _wait(client, client.submit(request, photos), on_progress)
        try:
            return TextureFiles(folder.publish(Path(done.folder)), done.warnings)
        finally:
            # The copy is what was asked for; nobody else knows of the original.
            remove(Path(done.folder))


def _wait(client: Client, job: str, on_progress: Callable[[Progress], None] | None) -> Done:
    try:
        return client.wait(job, on_progress)
    except KeyboardInterrupt:
        client.cancel(job)
        with contextlib.suppress(UVMapError, TimeoutError):
            remove(Path(client.wait(job, timeout_s=_CANCEL_TIMEOUT_S).folder))
        raise
