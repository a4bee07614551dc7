"""What the user sees; panels draw a snapshot and decide nothing."""

import bpy

from . import body, character, export, mannequin, pose

_CLASSES = (*character.CLASSES, *body.CLASSES, *mannequin.CLASSES, *pose.CLASSES, *export.CLASSES)


def register() -> None:
    """Register the panels."""
    for cls in _CLASSES:
        bpy.utils.register_class(cls)


def unregister() -> None:
    """Take the panels back."""
    for cls in reversed(_CLASSES):
        bpy.utils.unregister_class(cls)
