"""Baking from one body to another, in a scene of its own with copies of both: the user's scene is never touched."""

# pyright: reportAttributeAccessIssue=false, reportOptionalMemberAccess=false, reportArgumentType=false
# pyright: reportOptionalIterable=false, reportIndexIssue=false, reportOptionalSubscript=false, reportCallIssue=false
# The stubs know neither Cycles' settings nor what single nodes have, and call optional what is there.

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import bpy
import numpy as np
from mathutils import Vector
from numpy.typing import NDArray

from .bake_materials import emission
from .fit import tree_of
from .link.errors import ErrorCode, UVMapError

Pixels = NDArray[np.float32]

_SAMPLED_VERTICES = 5000
# What the distance of nearly all vertices is widened by, since texels lie between them, and as a share of the height.
_WIDER, _SLACK = 1.25, 0.002


@dataclass(slots=True)
class Studio:
    """Copies of two bodies as they stand, ready to be baked.

    Attributes:
        scene: Theirs.
        source: Gives.
        target: Takes.
        slots: What the source wears.
        image: (N, N) of floats, linear: what is baked into.
        made: To be removed at the end.
    """

    scene: bpy.types.Scene
    source: bpy.types.Object
    target: bpy.types.Object
    slots: list[bpy.types.Material | None]
    image: bpy.types.Image
    made: list[bpy.types.ID] = field(default_factory=list)

    def wear(self, materials: list[bpy.types.Material]) -> None:
        """Dress the source's slots; the materials are removed with the studio."""
        self.made += materials
        worn = self.source.data.materials
        for number, material in enumerate(materials):
            if number < len(worn):
                worn[number] = material
            else:
                worn.append(material)

    def bake(self, kind: str, reach: float | None = None) -> Pixels:
        """Bake what the source shows, or the target itself.

        Args:
            kind: "EMIT" or "NORMAL", as Blender calls it.
            reach: How far from the target the source may be, in metres; None bakes the target itself.

        Returns:
            (N, N, 3) linear; black, or the normal straight up, where there is nothing.

        Raises:
            UVMapError: `render_failed`.
        """
        layer = self.scene.view_layers[0]
        bodies = [self.target] if reach is None else [self.source, self.target]
        place = {"scene": self.scene, "view_layer": layer, "active_object": self.target, "object": self.target}
        layer.update()
        try:
            with bpy.context.temp_override(**place, selected_objects=bodies, selected_editable_objects=bodies):
                bpy.ops.object.bake(
                    type=kind,
                    use_selected_to_active=reach is not None,
                    cage_extrusion=reach or 0.0,
                    max_ray_distance=2 * (reach or 0.0),
                    margin=0,
                    use_clear=True,
                    target="IMAGE_TEXTURES",
                    save_mode="INTERNAL",
                    normal_space="TANGENT",
                )
        except RuntimeError as error:
            raise UVMapError(
                ErrorCode.RENDER_FAILED, f"Cycles can't bake: {str(error).strip()}", "Blender's console says more."
            ) from error
        size = self.image.size[0]
        pixels = np.empty(size * size * 4, dtype=np.float32)
        self.image.pixels.foreach_get(pixels)
        return pixels.reshape(size, size, 4)[..., :3]


@contextmanager
def studio(source: bpy.types.Object, target: bpy.types.Object, size: int, samples: int) -> Iterator[Studio]:
    """Copy two bodies, with pose and modifiers, into a scene where they can be baked; all of it is removed afterwards.

    Raises:
        UVMapError: `render_failed`: this Blender has no Cycles.
    """
    depsgraph = bpy.context.evaluated_depsgraph_get()
    scene = bpy.data.scenes.new("UVMap-ID Bake")
    made: list[bpy.types.ID] = [scene]
    try:
        first, second = (_copy(body, scene, depsgraph, made) for body in (source, target))
        _set_up(scene, samples)
        image = bpy.data.images.new("UVMap-ID Bake", size, size, alpha=False, float_buffer=True)
        made.append(image)
        slots = [slot.material for slot in source.material_slots]
        yield Studio(scene, first, second, slots, image, made)
    finally:
        bpy.data.batch_remove(made)


def receive(room: Studio) -> None:
    """Make the target's texels ready: what is baked lands in the studio's image."""
    material = emission()
    room.made.append(material)
    texture = material.node_tree.nodes.new("ShaderNodeTexImage")
    texture.image = room.image
    material.node_tree.nodes.active = texture
    mesh = room.target.data
    mesh.materials.clear()
    mesh.materials.append(material)
    mesh.polygons.foreach_set("material_index", [0] * len(mesh.polygons))


def reach_of(room: Studio) -> tuple[float, float]:
    """How far apart nearly all of the two surfaces is, with some slack, and the target's height, in metres."""
    tree = tree_of(room.source.data)
    points = np.empty(len(room.target.data.vertices) * 3, dtype=np.float32)
    room.target.data.vertices.foreach_get("co", points)
    points = points.reshape(-1, 3)
    chosen = points[:: max(1, len(points) // _SAMPLED_VERTICES)]
    distances = [tree.find_nearest(Vector(point))[3] for point in chosen]
    height = float(np.ptp(points, axis=0).max())
    return float(np.percentile(distances, 99)) * _WIDER + _SLACK * height, height


def load(room: Studio, path: Path, color_space: str) -> bpy.types.Image:
    """Load an image that is removed with the studio, apart from the user's own of the same file."""
    image = bpy.data.images.load(str(path), check_existing=False)
    room.made.append(image)
    image.colorspace_settings.name = color_space
    return image


def _copy(
    body: bpy.types.Object, scene: bpy.types.Scene, depsgraph: bpy.types.Depsgraph, made: list[bpy.types.ID]
) -> bpy.types.Object:
    """Metres of the world, so that distances mean the same on both."""
    evaluated = body.evaluated_get(depsgraph)
    mesh = bpy.data.meshes.new_from_object(evaluated, preserve_all_data_layers=True, depsgraph=depsgraph)
    made.append(mesh)
    mesh.transform(evaluated.matrix_world)
    if evaluated.matrix_world.is_negative:
        mesh.flip_normals()
    copy = bpy.data.objects.new(mesh.name, mesh)
    made.append(copy)
    scene.collection.objects.link(copy)
    return copy


def _set_up(scene: bpy.types.Scene, samples: int) -> None:
    try:
        scene.render.engine = "CYCLES"
    except TypeError as error:
        raise UVMapError(
            ErrorCode.RENDER_FAILED, "This Blender has no Cycles.", "Enable the add-on Cycles Render Engine."
        ) from error
    scene.cycles.device = "CPU"
    scene.cycles.samples = samples
    scene.cycles.use_denoising = False
    scene.cycles.use_adaptive_sampling = False
