"""The turntable: a camera that goes once around a body and loops without a seam."""

# pyright: reportArgumentType=false, reportOptionalMemberAccess=false
# mathutils' vectors are sequences to Blender, and not to the stubs.

from __future__ import annotations

import math

import bpy
import numpy as np
from mathutils import Matrix, Vector

from .actions import Track, animate

_FOCAL_MM, _SENSOR_MM = 85.0, 36.0
_MARGIN = 1.15


def add(scene: bpy.types.Scene, body: bpy.types.Object, frames: int) -> bpy.types.Object:
    """Add a camera on a pivot that turns around a body, and make it the scene's.

    The body and its own action stay as they are. The scene plays the frames of one turn: the frame after the last
    would show what the first does.

    Args:
        scene: Where the body is.
        body: A mesh object; its size and place at the scene's present frame are what counts.
        frames: How long one turn takes.

    Returns:
        The camera; its parent is the pivot.
    """
    low, high = _bounds(body)
    data = bpy.data.cameras.new("UVMap-ID Turntable")
    data.lens, data.sensor_width, data.sensor_fit = _FOCAL_MM, _SENSOR_MM, "AUTO"
    camera = bpy.data.objects.new("UVMap-ID Turntable", data)
    pivot = bpy.data.objects.new("UVMap-ID Turntable Pivot", None)
    pivot.empty_display_size = max(high - low) / 4
    pivot.location = (low + high) / 2
    camera.parent = pivot
    distance = _distance(scene, high - low)
    camera.matrix_local = Matrix.Translation((0, -distance, 0)) @ Matrix.Rotation(math.pi / 2, 4, "X")
    data.clip_start, data.clip_end = distance / 100, distance * 100
    for item in (pivot, camera):
        scene.collection.objects.link(item)
    start = scene.frame_start
    times = np.array([start, start + frames], dtype=np.float64)
    animate(pivot, "UVMap-ID Turntable", times, [Track("rotation_euler", _TURN, "Rotation")])
    scene.camera, scene.frame_end = camera, start + frames - 1
    return camera


_TURN = np.array([[0.0, 0.0, 0.0], [0.0, 0.0, 2 * math.pi]])


def _bounds(body: bpy.types.Object) -> tuple[Vector, Vector]:
    evaluated = body.evaluated_get(bpy.context.evaluated_depsgraph_get())
    corners = np.array([evaluated.matrix_world @ Vector(corner) for corner in evaluated.bound_box])
    return Vector(corners.min(axis=0)), Vector(corners.max(axis=0))


def _distance(scene: bpy.types.Scene, size: Vector) -> float:
    """From where the body is seen whole from every side."""
    width, height = scene.render.resolution_x, scene.render.resolution_y
    around = math.hypot(size.x, size.y)
    # With the sensor fitted to "AUTO" its width spans the picture's longer side.
    per_pixel = _SENSOR_MM / max(width, height) / _FOCAL_MM
    return max(around / width, size.z / height) / per_pixel * _MARGIN + around / 2
