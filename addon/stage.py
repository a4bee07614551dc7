"""Pictures of a body: a stage of its own with camera and light, so that the user's scene stays as it is."""

# pyright: reportAttributeAccessIssue=false, reportOptionalMemberAccess=false, reportArgumentType=false
# The stubs know neither Cycles' settings nor what area lights and colour sockets have beyond their base classes,
# and call optional what a view layer has after its update.

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import bpy
import numpy as np
from mathutils import Vector
from numpy.typing import NDArray

from .link.errors import ErrorCode, UVMapError

_FOCAL_MM = 85.0
_SENSOR_MM = 36.0
_MARGIN = 1.08
# Shares of the body's height: the part from chin to crown, with some neck, is what the face camera sees.
_HEAD_VIEW = 0.142
_HEAD_VIEW_CENTER = 0.934
_HEAD_SLICE = 0.88


class View(StrEnum):
    """Where the camera stands. A body faces -y."""

    FRONT = "front"
    BACK = "back"
    FACE = "face"


@dataclass(frozen=True, slots=True)
class Shot:
    """What a picture is to be.

    Attributes:
        view: Where the camera stands.
        width: In pixels.
        height: In pixels.
        samples: Of Cycles, a pixel.
    """

    view: View = View.FRONT
    width: int = 640
    height: int = 960
    samples: int = 32


@dataclass(frozen=True, slots=True)
class _Frame:
    """A box that the camera is to see whole: its center, and its size along x, y and z."""

    center: Vector
    size: Vector


def render(body: bpy.types.Object, path: Path, shot: Shot) -> Path:
    """Render a body with Cycles on the CPU into a PNG file.

    Args:
        body: A mesh object; it is shown alone.
        path: The file; an older one is replaced, but only by a finished picture.
        shot: What to render.

    Returns:
        `path`.

    Raises:
        UVMapError: `output_not_writable` or `render_failed`.
    """
    path = path.absolute()
    with _folder_beside(path) as folder:
        picture = folder / "picture.png"
        with _stage(body, shot) as scene:
            _render_scene(scene, picture)
        picture.replace(path)
    return path


def check_output(path: Path) -> None:
    """Raise `UVMapError` (`output_not_writable`) now for a picture that `render` could not write later."""
    with _folder_beside(path.absolute()):
        pass


@contextmanager
def _folder_beside(path: Path) -> Iterator[Path]:
    """A temporary folder on the disk of the picture, so that the finished picture needs only be renamed."""
    if path.is_dir():
        raise _not_writable(path, "it is a folder")
    try:
        with tempfile.TemporaryDirectory(prefix=".uvmap-id-", dir=path.parent) as folder:
            yield Path(folder)
    except OSError as error:
        raise _not_writable(path, error.strerror or str(error)) from error


@contextmanager
def _stage(body: bpy.types.Object, shot: Shot) -> Iterator[bpy.types.Scene]:
    """A scene of its own that shows only the body; everything made for it is removed afterwards."""
    scene = bpy.data.scenes.new("UVMap-ID Stage")
    made: list[bpy.types.ID] = []
    try:
        scene.collection.objects.link(body)
        scene.view_layers[0].update()
        frame = _frame(body, scene, shot.view)
        made += _place_camera(scene, frame, shot)
        made += _place_lights(scene, frame, shot.view)
        _set_up_render(scene, shot)
        yield scene
    finally:
        bpy.data.batch_remove([scene, *made])


def _frame(body: bpy.types.Object, scene: bpy.types.Scene, view: View) -> _Frame:
    points = _world_points(body, scene)
    low, high = points.min(axis=0), points.max(axis=0)
    if view is not View.FACE:
        return _Frame(Vector((low + high) / 2), Vector(high - low))
    height = high[2] - low[2]
    head = points[points[:, 2] >= low[2] + _HEAD_SLICE * height]
    middle = (head.min(axis=0) + head.max(axis=0)) / 2
    side = _HEAD_VIEW * height
    center = Vector((middle[0], middle[1], low[2] + _HEAD_VIEW_CENTER * height))
    return _Frame(center, Vector((side, head[:, 1].max() - head[:, 1].min(), side)))


def _world_points(body: bpy.types.Object, scene: bpy.types.Scene) -> NDArray[np.floating]:
    """(V, 3) the body's vertices as they are rendered, modifiers and pose included."""
    evaluated = body.evaluated_get(scene.view_layers[0].depsgraph)
    mesh = evaluated.to_mesh()
    points = np.empty(len(mesh.vertices) * 3, dtype=np.float32)
    mesh.vertices.foreach_get("co", points)
    matrix = np.array(evaluated.matrix_world)
    evaluated.to_mesh_clear()
    if not points.size:
        raise UVMapError(ErrorCode.RENDER_FAILED, f'The body "{body.name}" is empty.', "Choose a body with faces.")
    return points.reshape(-1, 3) @ matrix[:3, :3].T + matrix[:3, 3]


def _place_camera(scene: bpy.types.Scene, frame: _Frame, shot: Shot) -> list[bpy.types.ID]:
    data = bpy.data.cameras.new("UVMap-ID Camera")
    data.lens, data.sensor_width, data.sensor_fit = _FOCAL_MM, _SENSOR_MM, "AUTO"
    camera = bpy.data.objects.new("UVMap-ID Camera", data)
    scene.collection.objects.link(camera)
    scene.camera = camera
    # With the sensor fitted to "AUTO" its width spans the picture's longer side.
    per_pixel = _SENSOR_MM / max(shot.width, shot.height) / _FOCAL_MM
    distance = max(frame.size.x / shot.width, frame.size.z / shot.height) / per_pixel * _MARGIN + frame.size.y / 2
    _aim(camera, frame.center + Vector((0, -_side(shot.view) * distance, 0)), frame.center)
    data.clip_start, data.clip_end = distance / 100, distance * 100
    return [camera, data]


def _place_lights(scene: bpy.types.Scene, frame: _Frame, view: View) -> list[bpy.types.ID]:
    """A soft key, a weaker fill and a rim, all in proportion to what is seen, so that any size is lit alike."""
    reach = max(frame.size)
    side = _side(view)
    made: list[bpy.types.ID] = []
    for name, place, strength in (
        ("Key", (-1.0 * side, -1.6 * side, 0.9), 24.0),
        ("Fill", (1.4 * side, -1.4 * side, 0.2), 9.0),
        ("Rim", (0.6 * side, 1.6 * side, 1.2), 16.0),
    ):
        data = bpy.data.lights.new(f"UVMap-ID {name}", "AREA")
        data.shape, data.size, data.energy = "DISK", 1.2 * reach, strength * reach**2
        light = bpy.data.objects.new(data.name, data)
        scene.collection.objects.link(light)
        _aim(light, frame.center + reach * Vector(place), frame.center)
        made += [light, data]
    world = bpy.data.worlds.new("UVMap-ID World")
    scene.world = world
    if world.node_tree is None:
        world.use_nodes = True
    background = next(node for node in world.node_tree.nodes if node.type == "BACKGROUND")
    background.inputs["Color"].default_value = (0.62, 0.63, 0.65, 1.0)
    background.inputs["Strength"].default_value = 0.7
    return [*made, world]


def _side(view: View) -> int:
    return -1 if view is View.BACK else 1


def _aim(item: bpy.types.Object, place: Vector, target: Vector) -> None:
    item.location = place
    item.rotation_euler = (target - place).to_track_quat("-Z", "Y").to_euler()


def _set_up_render(scene: bpy.types.Scene, shot: Shot) -> None:
    settings = scene.render
    try:
        settings.engine = "CYCLES"
    except TypeError as error:
        raise UVMapError(
            ErrorCode.RENDER_FAILED, "This Blender has no Cycles.", "Enable the add-on Cycles Render Engine."
        ) from error
    settings.resolution_x, settings.resolution_y, settings.resolution_percentage = shot.width, shot.height, 100
    settings.image_settings.file_format = "PNG"
    settings.use_persistent_data = False
    scene.cycles.device = "CPU"
    scene.cycles.samples = shot.samples
    scene.cycles.max_bounces = 4
    scene.cycles.use_denoising = _can_denoise()
    # The photographic default turns white shirts grey; here the texture's own colours are to be seen.
    scene.view_settings.view_transform = "Standard"


def _can_denoise() -> bool:
    try:
        import _cycles  # pyright: ignore[reportMissingImports] - only in Blender
    except ImportError:
        return False
    return bool(getattr(_cycles, "with_openimagedenoise", False))


def _render_scene(scene: bpy.types.Scene, picture: Path) -> None:
    scene.render.filepath = str(picture)
    try:
        bpy.ops.render.render(write_still=True, scene=scene.name)
    except RuntimeError as error:
        raise _render_failed(str(error).strip()) from error
    if not picture.is_file():
        raise _render_failed("Cycles wrote no picture.")


def _render_failed(reason: str) -> UVMapError:
    return UVMapError(
        ErrorCode.RENDER_FAILED, f"The picture can't be rendered: {reason}", "Blender's console says more."
    )


def _not_writable(path: Path, reason: str) -> UVMapError:
    return UVMapError(
        ErrorCode.OUTPUT_NOT_WRITABLE,
        f"The picture {path} can't be written: {reason}.",
        "Choose a file in a folder that exists and that you may write to.",
    )
