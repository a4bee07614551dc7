"""What the user sees; panels draw a snapshot and decide nothing."""

import bpy

from . import body, cast, character, export, face, generate, history, mannequin, material, pose, prompt, queue

# In the order in which they stand below each other.
_CLASSES = (
    *character.CLASSES,
    *body.CLASSES,
    *mannequin.CLASSES,
    *pose.CLASSES,
    *face.CLASSES,
    *prompt.CLASSES,
    *generate.CLASSES,
    *queue.CLASSES,
    *cast.CLASSES,
    *history.CLASSES,
    *material.CLASSES,
    *export.CLASSES,
)


def register() -> None:
    """Register the panels."""
    for cls in _CLASSES:
        bpy.utils.register_class(cls)


def unregister() -> None:
    """Take the panels back."""
    for cls in reversed(_CLASSES):
        bpy.utils.unregister_class(cls)
