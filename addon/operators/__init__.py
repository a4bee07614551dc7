"""What the user can do; each operator parses its input and calls a service."""

import bpy

from . import (
    body,
    cast,
    export,
    face,
    generate,
    history,
    mannequin,
    motion,
    prompt,
    queue,
    region,
    render,
    setup,
    transfer,
    ways_out,
    weights,
)

_CLASSES = (
    *body.CLASSES,
    *cast.CLASSES,
    *export.CLASSES,
    *face.CLASSES,
    *generate.CLASSES,
    *history.CLASSES,
    *mannequin.CLASSES,
    *motion.CLASSES,
    *prompt.CLASSES,
    *queue.CLASSES,
    *region.CLASSES,
    *render.CLASSES,
    *setup.CLASSES,
    *transfer.CLASSES,
    *ways_out.CLASSES,
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
