"""Bodies through Blender's own importers: all of a file, or nothing of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import bpy
import numpy as np

from .alembic import check_alembic
from .meshes import corner_uvs, points_of
from .obj import check_obj, unreadable, without_uvs
from .smpl.layouts import Layout, layout_of

_KINDS = (
    "actions armatures cache_files cameras collections curves images lights materials meshes node_groups objects "
    "textures worlds"
).split()


@contextmanager
def nothing_left_on_failure() -> Iterator[set[int]]:
    """Whatever is raised inside, what was added to the file since the beginning is removed again.

    Yields:
        The `session_uid`s of the data that were there before.
    """
    before = {item.session_uid for item in _everything()}
    try:
        yield before
    except BaseException:
        bpy.data.batch_remove([item for item in _everything() if item.session_uid not in before])
        raise


def import_body(path: Path) -> bpy.types.Object:
    """Import a body with UVs into the present scene.

    Args:
        path: .obj (y up, facing +z, as SMPL's bodies are), .fbx, .gltf, .glb or .abc with one mesh, or with one
            mesh among others whose UV layout is known.

    Raises:
        UVMapError: `body_unreadable` or `body_without_uvs`; nothing was imported then.
    """
    importer = _IMPORTERS.get(path.suffix.lower())
    if importer is None:
        raise unreadable(path, f'files ending in "{path.suffix}" are not known', f"Choose one of {suffixes()}.")
    if not path.is_file():
        raise unreadable(path, "there is no such file")
    with nothing_left_on_failure() as before:
        try:
            importer(path)
        except (RuntimeError, AttributeError) as error:
            # A missing operator is an AttributeError: the importer's own add-on may be switched off.
            raise unreadable(path, str(error).strip().rstrip(".")) from error
        body = _body_among([item for item in bpy.data.objects if item.session_uid not in before], path)
    body.data.shade_smooth()  # pyright: ignore[reportOptionalMemberAccess, reportAttributeAccessIssue] - a mesh
    return body


def suffixes() -> str:
    """The endings of the files that can be imported, for people."""
    return ", ".join(_IMPORTERS)


def _import_obj(path: Path) -> None:
    check_obj(path)
    bpy.ops.wm.obj_import(filepath=str(path))


def _import_alembic(path: Path) -> None:
    check_alembic(path)
    # In the foreground, or the body would come when nobody waits for it any more.
    bpy.ops.wm.alembic_import(filepath=str(path), as_background_job=False)


_IMPORTERS: dict[str, Callable[[Path], object]] = {
    ".obj": _import_obj,
    ".fbx": lambda path: bpy.ops.import_scene.fbx(filepath=str(path)),
    ".gltf": lambda path: bpy.ops.import_scene.gltf(filepath=str(path)),
    ".glb": lambda path: bpy.ops.import_scene.gltf(filepath=str(path)),
    ".abc": _import_alembic,
}


def _everything() -> list[bpy.types.ID]:
    return [item for kind in _KINDS for item in getattr(bpy.data, kind)]


def _body_among(imported: list[bpy.types.Object], path: Path) -> bpy.types.Object:
    # The glTF importer keeps the shapes of bones in a collection that the view layer leaves out.
    shown = set(bpy.context.view_layer.objects)
    meshes = {item: item.data for item in imported if isinstance(item.data, bpy.types.Mesh) and item in shown}
    bodies = {item: mesh for item, mesh in meshes.items() if mesh.polygons}
    if len(bodies) > 1:
        known = {item: mesh for item, mesh in bodies.items() if layout_of(corner_uvs(mesh)) is not Layout.UNKNOWN}
        bodies = known if len(known) == 1 else bodies
    if len(bodies) != 1:
        raise unreadable(path, f"it holds {len(bodies)} meshes instead of one")
    ((body, mesh),) = bodies.items()
    if not mesh.uv_layers:
        raise without_uvs(path)
    if not np.isfinite(points_of(mesh)).all() or not np.isfinite(corner_uvs(mesh)).all():
        raise unreadable(path, "some of its places or UVs are no numbers")
    return body
