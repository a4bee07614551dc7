"""What the user sees; panels draw a snapshot and decide nothing."""

import bpy

from . import character, mannequin

_CLASSES = (*character.CLASSES, *mannequin.CLASSES)


def register() -> None:
    """Register the panels."""
    for cls in _CLASSES:
        bpy.utils.register_class(cls)


def unregister() -> None:
    """Take the panels back."""
    for cls in reversed(_CLASSES):
        bpy.utils.unregister_class(cls)
