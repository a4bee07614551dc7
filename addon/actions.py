"""Actions: made and filled in the same way on every Blender, with slots and layers where it has them."""

# pyright: reportAttributeAccessIssue=false, reportOptionalMemberAccess=false
# Blender 4.2 keeps curves in the action itself, 4.4 and later in layers; the stubs know one of the two.

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import bpy
import numpy as np
from numpy.typing import NDArray

_LINEAR = 1


@dataclass(frozen=True, slots=True)
class Track:
    """One animated property.

    Attributes:
        path: Its data path, from the object.
        values: (F, N) its N numbers in each frame.
        group: Under which name it is listed.
    """

    path: str
    values: NDArray[np.float64]
    group: str


def animate(
    target: bpy.types.Object, name: str, frames: NDArray[np.float64], tracks: Iterable[Track]
) -> bpy.types.Action:
    """Give an object a new action. The one that it had stays in the file.

    Args:
        target: What is to move.
        name: The action's.
        frames: (F,) the keys' times.
        tracks: What is keyed, straight from key to key.
    """
    action = bpy.data.actions.new(name)
    slot = action.slots.new(id_type="OBJECT", name=target.name) if hasattr(action, "slots") else None
    curves = action if slot is None else _channelbag(action, slot)
    for track in tracks:
        group = curves.groups.get(track.group) or curves.groups.new(track.group)
        for index in range(track.values.shape[1]):
            curve = curves.fcurves.new(track.path, index=index)
            curve.group = group
            _fill(curve, frames, track.values[:, index])
    put_aside(target)
    animation = target.animation_data or target.animation_data_create()
    animation.action = action
    if slot is not None:
        animation.action_slot = slot
    return action


def put_aside(target: bpy.types.Object) -> str:
    """Take an object's action off it and keep it in the file. Returns its name, or "" where there was none."""
    action = target.animation_data.action if target.animation_data else None
    if action is None:
        return ""
    action.use_fake_user = True
    target.animation_data.action = None
    return action.name


def _channelbag(action: bpy.types.Action, slot: bpy.types.ActionSlot) -> bpy.types.ActionChannelbag:
    strip = action.layers.new("Layer").strips.new(type="KEYFRAME")
    return strip.channelbag(slot, ensure=True)


def _fill(curve: bpy.types.FCurve, frames: NDArray[np.float64], values: NDArray[np.float64]) -> None:
    curve.keyframe_points.add(len(frames))
    curve.keyframe_points.foreach_set("co", np.stack([frames, values], axis=1).astype(np.float32).ravel())
    curve.keyframe_points.foreach_set("interpolation", np.full(len(frames), _LINEAR, dtype=np.int32))
    curve.update()
