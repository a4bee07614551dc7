"""What the user can do; each operator parses its input and calls a service."""

import bpy

from . import body, export, generate, mannequin, motion, render, setup, transfer, weights

_CLASSES = (
    *body.CLASSES,
    *export.CLASSES,
    *generate.CLASSES,
    *mannequin.CLASSES,
    *motion.CLASSES,
    *render.CLASSES,
    *setup.CLASSES,
    *transfer.CLASSES,
    *weights.CLASSES,
)


def register() -> None:
    """Register the operators."""
    for cls in _CLASSES:
        bpy.utils.register_class(cls)


def unregister() -> None:
    """Take the operators back."""
    for cls in reversed(_CLASSES):
        bpy.utils.unregister_class(cls)
