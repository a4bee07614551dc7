"""Bodies from files, and whether a body can wear a texture."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import bpy
import numpy as np

from . import imports, preferences
from .link.errors import ErrorCode, UVMapError
from .meshes import corner_uvs, points_of
from .smpl import build
from .smpl.layouts import Layout, layout_of
from .smpl.read import READERS, read_model
from .smpl.uvs import uvs_for


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


def layout(body: bpy.types.Object | None) -> Layout:
    """The UV layout of a body, told from its UVs alone."""
    if body is None or not isinstance(body.data, bpy.types.Mesh):
        return Layout.UNKNOWN
    return _layout_of_bytes(corner_uvs(body.data).tobytes())


@lru_cache(maxsize=4)
def _layout_of_bytes(uvs: bytes) -> Layout:
    """So that a click on a body that was looked at before doesn't wait for the look."""
    return layout_of(np.frombuffer(uvs, np.float32).reshape(-1, 2))


def check_layout(body: bpy.types.Object, *, anyway: bool = False) -> None:
    """Refuse a body on which a texture in SMPL's atlas would come out wrong.

    Args:
        body: Checked.
        anyway: The user knows better about a layout that is not recognised.

    Raises:
        UVMapError: `body_layout_differs`.
    """
    found = layout(body)
    if found.wears_smpl or (anyway and found is Layout.UNKNOWN):
        return
    if found is Layout.SMPLX:
        reason = (
            "has the UV layout of SMPL-X, where the face lies differently than in SMPL's, which textures are made in"
        )
    else:
        reason = "has a UV layout that is not SMPL's, which textures are made in"
    hint = "Put the texture on a mannequin or an SMPL body, then transfer it to this body with Transfer Texture."
    if found is Layout.UNKNOWN:
        hint += " If its UVs are SMPL's all the same, switch on Assign Anyway."
    raise UVMapError(ErrorCode.BODY_LAYOUT_DIFFERS, f'The body "{body.name}" {reason}.', hint)


def load(
    path: Path, uv_template: Path | None = None, *, relaxed_hands: bool = False, on_ground: bool = True
) -> bpy.types.Object:
    """Add a body from a file to the present scene: a model of the SMPL family, or what Blender imports.

    Args:
        path: .npz, .pkl or .npy of a body model; .obj, .fbx, .gltf, .glb or .abc with one body.
        uv_template: An OBJ file with UVs for a body model that brings none; default: the preferences'.
        relaxed_hands: Pose a model's fingers as it relaxes them; otherwise they are flat.
        on_ground: Lift a body model until its soles stand at z = 0; its own origin lies in the pelvis or chest.

    Returns:
        The mesh object; a body model's is the child of its armature.

    Raises:
        UVMapError: `body_unreadable`, `body_without_uvs`, or `body_layout_differs` where the UV template is of
            another mesh. Nothing was added then.
    """
    if path.suffix.lower() not in READERS:
        return imports.import_body(path)
    model = read_model(path)
    uvs = uvs_for(model, uv_template or preferences.uv_template(model.family.name))
    with imports.nothing_left_on_failure():
        body = build.build(bpy.context.scene, path.stem, model, uvs)
        if relaxed_hands:
            build.relax_hands(body, model)
        if on_ground and body.parent is not None:
            body.parent.location.z = -float(points_of(mesh_of(body))[:, 2].min())
    return body
