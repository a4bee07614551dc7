"""The pictures of textures in the making, of photos and of the history, as icons that a panel can draw.

A job has an icon only while it runs. Icons of files that stay are made when a panel has asked for them, and the oldest
go. Blender's own way from a file to an icon is not used: it takes 20 ms and leaves a copy of the picture, which may
show somebody's face, in the system's folder of thumbnails. Without windows there are no icons.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import bpy
import bpy.utils.previews
import numpy as np
from bpy.utils.previews import ImagePreviewCollection
from numpy.typing import NDArray

from .session import Job

_FILES_LIMIT = 200
_SIDE_LIMIT = 1024
# As Blender draws icons in lists.
_ICON_SIDE = 32

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
    if path in icons:
        return bool(_wanted)
    try:
        _load(icons, path, Path(path).read_bytes())
    except OSError:
        _absent.add(path)
    for oldest in list(icons)[:-_FILES_LIMIT]:
        del icons[oldest]
    return bool(_wanted)


def _load(icons: ImagePreviewCollection, name: str, picture: bytes) -> None:
    """Make an icon of a PNG's content; of what is none, an empty one."""
    icon = icons.new(name)
    image = bpy.data.images.new("UVMap-ID Preview", 1, 1)
    try:
        image.pack(data=picture, data_len=len(picture))  # pyright: ignore[reportArgumentType] - bytes, as it says
        image.source = "FILE"
        width, height = image.size  # pyright: ignore[reportGeneralTypeIssues] - the stubs know no sequence
        if 0 < width <= _SIDE_LIMIT and 0 < height <= _SIDE_LIMIT:
            pixels = np.empty(width * height * 4, np.float32)
            image.pixels.foreach_get(pixels)  # pyright: ignore[reportArgumentType]
            icon.image_size = (width, height)  # pyright: ignore[reportAttributeAccessIssue] - as above
            icon.image_pixels_float.foreach_set(pixels)  # pyright: ignore[reportArgumentType]
            icon.icon_size = (_ICON_SIDE, _ICON_SIDE)  # pyright: ignore[reportAttributeAccessIssue]
            small = pixels.reshape(height, width, 4)[_spread(height)][:, _spread(width)]
            icon.icon_pixels_float.foreach_set(small.ravel())  # pyright: ignore[reportArgumentType]
    finally:
        bpy.data.images.remove(image)


def _spread(length: int) -> NDArray[np.int64]:
    """The pixels of a row or column that a list's small icons show."""
    return ((np.arange(_ICON_SIDE) + 0.5) * length / _ICON_SIDE).astype(np.int64)
