"""Bodies: meshes from arrays, and bodies from OBJ files."""

from __future__ import annotations

import re
from pathlib import Path

import bpy
import numpy as np
from numpy.typing import NDArray

from .link.errors import ErrorCode, UVMapError

UV_LAYER = "SMPL"

# What else stands there, such as "nan", Blender's importer would quietly take for 0.
_VERTEX = re.compile(rb"v(\s+[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?){3,}\s*")
_FACE_WITH_UVS = re.compile(rb"f(\s+-?\d+/-?\d+(/-?\d*)?){3,}\s*")
_HINT_FILE = "Choose a Wavefront OBJ file of a body."


def by_uid(uid: int) -> bpy.types.Object | None:
    """The object with a `session_uid`, if it still exists."""
    return next((item for item in bpy.data.objects if item.session_uid == uid), None)


def mesh_of(body: bpy.types.Object | None) -> bpy.types.Mesh:
    """The mesh of a body. Raises `UVMapError` (`body_missing`) where it is none."""
    if body is None or not isinstance(body.data, bpy.types.Mesh):
        raise UVMapError(
            ErrorCode.BODY_MISSING, "No body is chosen.", "Add a mannequin, or choose a body in the UVMap-ID panel."
        )
    return body.data


def checked(scene: bpy.types.Scene, body: bpy.types.Object | None) -> bpy.types.Object:
    """The body that was chosen for a scene's character, if it can wear a texture.

    Raises:
        UVMapError: `body_missing` or `body_without_uvs`.
    """
    mesh = mesh_of(body)
    if body is None or body.name not in scene.objects:
        raise UVMapError(
            ErrorCode.BODY_MISSING, "The chosen body is not in this scene.", "Choose a body in the UVMap-ID panel."
        )
    if not mesh.uv_layers:
        raise UVMapError(
            ErrorCode.BODY_WITHOUT_UVS,
            f'The body "{body.name}" has no UVs.',
            "Choose a body with UVs in SMPL's layout.",
        )
    return body


def mesh_from_arrays(
    name: str, vertices: NDArray[np.float32], faces: NDArray[np.int32], uvs: NDArray[np.float32]
) -> bpy.types.Mesh:
    """A smooth-shaded mesh with one UV layer.

    Args:
        name: The mesh's name.
        vertices: (V, 3) metres, z up.
        faces: (F, 4) indices of vertices; a triangle repeats its last index.
        uvs: (F, 4, 2) origin bottom left; the repeated corner of a triangle is ignored.
    """
    corners = np.ones(faces.shape, dtype=bool)
    corners[:, 3] = faces[:, 3] != faces[:, 2]
    counts = corners.sum(axis=1)
    starts = np.cumsum(counts) - counts
    mesh = bpy.data.meshes.new(name)
    mesh.vertices.add(len(vertices))
    mesh.vertices.foreach_set("co", np.ascontiguousarray(vertices, dtype=np.float32).ravel())
    mesh.loops.add(int(counts.sum()))
    mesh.loops.foreach_set("vertex_index", np.ascontiguousarray(faces[corners], dtype=np.int32))
    mesh.polygons.add(len(faces))
    mesh.polygons.foreach_set("loop_start", np.ascontiguousarray(starts, dtype=np.int32))
    mesh.uv_layers.new(name=UV_LAYER)
    mesh.uv_layers[UV_LAYER].uv.foreach_set("vector", np.ascontiguousarray(uvs[corners], dtype=np.float32).ravel())
    mesh.update(calc_edges=True)
    mesh.shade_smooth()
    return mesh


def import_obj(path: Path) -> bpy.types.Object:
    """Import a body with UVs from an OBJ file into the present scene.

    Args:
        path: The file; y up, facing +z, as SMPL's bodies are.

    Raises:
        UVMapError: `body_unreadable` or `body_without_uvs`; nothing was imported then.
    """
    check_obj(path)
    before = {item.session_uid for item in _importable()}
    try:
        bpy.ops.wm.obj_import(filepath=str(path))
        body = _one_body([item for item in bpy.data.objects if item.session_uid not in before], path)
    except (UVMapError, RuntimeError) as error:
        bpy.data.batch_remove([item for item in _importable() if item.session_uid not in before])
        if isinstance(error, UVMapError):
            raise
        raise _unreadable(path, str(error).strip()) from error
    mesh_of(body).shade_smooth()
    return body


def check_obj(path: Path) -> None:
    """Read through an OBJ file without importing it.

    Raises:
        UVMapError: `body_unreadable`, or `body_without_uvs` where a face has none.
    """
    vertices = faces = 0
    try:
        with path.open("rb") as file:
            for line in file:
                if b"\0" in line:
                    raise _unreadable(path, "it is not a text file")
                if line.startswith(b"v "):
                    vertices += 1
                    if not _VERTEX.fullmatch(line):
                        raise _unreadable(path, f"its vertex {vertices} has no place")
                elif line.startswith(b"f "):
                    faces += 1
                    if not _FACE_WITH_UVS.fullmatch(line):
                        raise _without_uvs(path)
    except (OSError, ValueError) as error:
        raise _unreadable(path, getattr(error, "strerror", None) or str(error)) from error
    if not vertices or not faces:
        raise _unreadable(path, "it holds no mesh")


def _importable() -> list[bpy.types.ID]:
    return [*bpy.data.objects, *bpy.data.meshes, *bpy.data.materials, *bpy.data.images, *bpy.data.collections]


def _one_body(imported: list[bpy.types.Object], path: Path) -> bpy.types.Object:
    bodies = [item for item in imported if isinstance(item.data, bpy.types.Mesh) and item.data.polygons]
    if len(bodies) != 1:
        raise _unreadable(path, f"it holds {len(bodies)} meshes instead of one")
    if not mesh_of(bodies[0]).uv_layers:
        raise _without_uvs(path)
    return bodies[0]


def _unreadable(path: Path, reason: str) -> UVMapError:
    return UVMapError(ErrorCode.BODY_UNREADABLE, f"{path} can't be read as a body: {reason}.", _HINT_FILE)


def _without_uvs(path: Path) -> UVMapError:
    return UVMapError(
        ErrorCode.BODY_WITHOUT_UVS,
        f"The body in {path} has no UVs.",
        "Choose a body with UVs in SMPL's layout, such as smpl_uv.obj.",
    )
