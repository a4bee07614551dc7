"""The pictures of textures in the making, of photos and of the history, as icons that a panel can draw.

Blender makes icons from files and keeps them until they are removed; so one file and one icon a job, and only while
it runs. Icons of files that stay are made when a panel has asked for them, and the oldest go. Without windows there are
no icons.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from pathlib import Path

import bpy
import bpy.utils.previews
from bpy.utils.previews import ImagePreviewCollection

from .session import Job

_FILES_LIMIT = 200

_icons: ImagePreviewCollection | None = None
_files: ImagePreviewCollection | None = None
# Files whose icon a panel has asked for, in their order.
_wanted: dict[str, None] = {}
# Files that a panel has asked for in vain.
_absent: set[str] = set()
# Job -> the picture that its icon shows.
_shown: dict[str, bytes] = {}


def register() -> None:
    """Make room for the icons."""
    global _icons, _files
    _icons, _files = bpy.utils.previews.new(), bpy.utils.previews.new()


def unregister() -> None:
    """Free all icons."""
    global _icons, _files
    _shown.clear()
    _wanted.clear()
    _absent.clear()
    for icons in (_icons, _files):
        if icons is not None:
            bpy.utils.previews.remove(icons)
    _icons = _files = None


def update(jobs: Iterable[Job]) -> bool:
    """Show the newest picture of each of these jobs, and nothing of any other; and one file that was asked for.

    Not to be called while drawing. Returns whether there is more to show.
    """
    if _icons is None or _files is None:
        return False
    wanted = {job.id: job.preview for job in jobs if job.preview}
    for name in [name for name in _shown if _shown[name] != wanted.get(name)]:
        del _icons[name], _shown[name]
    late = [name for name in wanted if name not in _shown]
    for name in late[:1]:
        _load(_icons, name, wanted[name])
        _shown[name] = wanted[name]
    return _load_wanted(_files) or len(late) > 1


def icon_of_file(path: str) -> int:
    """The icon of a picture that stays where it is; 0 until a later `update` has made it. May be called in `draw`."""
    if bpy.app.background or _files is None or not path:
        return 0
    if path in _files:
        return _files[path].icon_id
    if path not in _absent:
        _wanted[path] = None
    return 0


def is_wanted(path: str) -> bool:
    """True while a later `update` is to load a file."""
    return path in _wanted


def changes() -> int:
    """A number that is another one when there are other icons of files."""
    return 0 if _files is None else len(_files)


def forget_file(path: str) -> None:
    """The file is gone, or another one."""
    _absent.discard(path)
    if _files is not None and path in _files:
        del _files[path]


def icon_of(job: Job) -> int:
    """The icon of a job's newest picture; 0 where there is none."""
    if bpy.app.background or _icons is None or job.id not in _icons:
        return 0
    return _icons[job.id].icon_id


def _load_wanted(icons: ImagePreviewCollection) -> bool:
    if not _wanted:
        return False
    path = next(iter(_wanted))
    del _wanted[path]
    if not Path(path).is_file():
        _absent.add(path)
    elif path not in icons:
        icons.load(path, path, "IMAGE")
        for oldest in list(icons)[:-_FILES_LIMIT]:
            del icons[oldest]
    return bool(_wanted)


def _load(icons: ImagePreviewCollection, name: str, picture: bytes) -> None:
    with tempfile.TemporaryDirectory(prefix="uvmap_id-") as folder:
        path = Path(folder, "preview.png")
        path.write_bytes(picture)
        # Blender reads the file when somebody looks, and by then it may be gone: look now.
        size = icons.load(name, str(path), "IMAGE").image_size
        _ = tuple(size)  # pyright: ignore[reportArgumentType] - the stubs don't know that it can be read
