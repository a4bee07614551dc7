"""UVMap-ID: a photo of a face and a sentence become a texture set on a body, inside Blender."""

from . import (
    cli,
    drop,
    log,
    look,
    operators,
    panels,
    preferences,
    properties,
    runtime,
    shape,
    thumbnails,
    translations,
    upkeep,
)

_PARTS = (
    log,
    translations,
    thumbnails,
    runtime,
    preferences,
    properties,
    shape,
    look,
    upkeep,
    operators,
    panels,
    drop,
    cli,
)


def register() -> None:
    """Called by Blender when the extension is enabled."""
    for part in _PARTS:
        part.register()


def unregister() -> None:
    """Called by Blender when the extension is disabled. Leaves nothing behind."""
    for part in reversed(_PARTS):
        part.unregister()
