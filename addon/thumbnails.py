"""The pictures of textures in the making, as icons that a panel can draw.

Blender makes icons from files and keeps them until they are removed; so one file and one icon a job, and only while
it runs. Without windows there are no icons.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from pathlib import Path

import bpy
import bpy.utils.previews
from bpy.utils.previews import ImagePreviewCollection

from .session import Job

_icons: ImagePreviewCollection | None = None
# Job -> the picture that its icon shows.
_shown: dict[str, bytes] = {}


def register() -> None:
    """Make room for the icons."""
    global _icons
    _icons = bpy.utils.previews.new()


def unregister() -> None:
    """Free all icons."""
    global _icons
    _shown.clear()
    if _icons is not None:
        bpy.utils.previews.remove(_icons)
    _icons = None


def update(jobs: Iterable[Job]) -> None:
    """Show the newest picture of each of these jobs, and nothing of any other. Not to be called while drawing."""
    if _icons is None:
        return
    wanted = {job.id: job.preview for job in jobs if job.preview}
    for name in [name for name in _shown if _shown[name] != wanted.get(name)]:
        del _icons[name], _shown[name]
    for name, picture in wanted.items():
        if name not in _shown:
            _load(_icons, name, picture)
            _shown[name] = picture


def icon_of(job: Job) -> int:
    """The icon of a job's newest picture; 0 where there is none."""
    if bpy.app.background or _icons is None or job.id not in _icons:
        return 0
    return _icons[job.id].icon_id


def _load(icons: ImagePreviewCollection, name: str, picture: bytes) -> None:
    with tempfile.TemporaryDirectory(prefix="uvmap_id-") as folder:
        path = Path(folder, "preview.png")
        path.write_bytes(picture)
        # Blender reads the file when somebody looks, and by then it may be gone: look now.
        size = icons.load(name, str(path), "IMAGE").image_size
        _ = tuple(size)  # pyright: ignore[reportArgumentType] - the stubs don't know that it can be read
