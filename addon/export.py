"""Export: a character with its armature, shape keys, action and textures, in one glTF or FBX file."""

# pyright: reportAttributeAccessIssue=false, reportOptionalMemberAccess=false
# The stubs know single objects only by their base class.

from __future__ import annotations

import base64
import json
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import bpy

from . import material
from .body import mesh_of
from .link.errors import ErrorCode, UVMapError

_MEDIA = {".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg"}
_BINARY = "application/octet-stream"


def export(body: bpy.types.Object, path: Path, *, animation: bool = True) -> Path:
    """Export a character.

    Args:
        body: Its mesh object; the armature that moves it, and what else that armature moves, come along.
        path: A .glb, .gltf or .fbx file; an older one is replaced, but only by a finished one.
        animation: Export the present action too.

    Returns:
        `path`.

    Raises:
        UVMapError: `body_missing`, `export_failed` or `output_not_writable`; no file was written then.
    """
    mesh_of(body)
    path = path.absolute()
    write = _WRITERS.get(path.suffix.lower())
    if write is None:
        raise UVMapError(
            ErrorCode.EXPORT_FAILED,
            f'There is no export to "{path.name}".',
            f"Choose a name that ends in {', '.join(_WRITERS)}.",
        )
    if path.is_dir():
        raise _not_writable(path, "it is a folder")
    try:
        with tempfile.TemporaryDirectory(prefix=".uvmap-id-", dir=path.parent) as folder:
            written = Path(folder, path.name)
            with _upright_normals(body, Path(folder)), _selected(_parts(body)):
                write(written, animation)
            if not written.is_file() or not written.stat().st_size:
                raise _failed("Blender wrote no file.")
            written.replace(path)
    except OSError as error:
        raise _not_writable(path, error.strerror or str(error)) from error
    return path


def _write_glb(path: Path, animation: bool) -> None:
    _write_gltf(path, animation, "GLB")


def _write_single_gltf(path: Path, animation: bool) -> None:
    """Blender no longer embeds by itself: buffers and images are put into the JSON as data URIs."""
    _write_gltf(path, animation, "GLTF_SEPARATE")
    document = json.loads(path.read_text(encoding="utf-8"))
    for item in (*document.get("buffers", ()), *document.get("images", ())):
        file = path.parent / item["uri"]
        content = base64.b64encode(file.read_bytes()).decode("ascii")
        item["uri"] = f"data:{_MEDIA.get(file.suffix.lower(), _BINARY)};base64,{content}"
    path.write_text(json.dumps(document, separators=(",", ":")), encoding="utf-8")


def _write_gltf(path: Path, animation: bool, kind: str) -> None:
    _call(
        "glTF 2.0",
        "gltf",
        filepath=str(path),
        check_existing=False,
        export_format=kind,
        use_selection=True,
        export_yup=True,
        # Modifiers that are applied would cost the shape keys.
        export_apply=False,
        export_skins=True,
        export_morph=True,
        export_image_format="AUTO",
        export_animations=animation,
        export_animation_mode="ACTIVE_ACTIONS",
    )


def _write_fbx(path: Path, animation: bool) -> None:
    _call(
        "FBX",
        "fbx",
        filepath=str(path),
        check_existing=False,
        use_selection=True,
        object_types={"ARMATURE", "MESH"},
        use_mesh_modifiers=False,
        mesh_smooth_type="FACE",
        add_leaf_bones=False,
        path_mode="COPY",
        embed_textures=True,
        bake_anim=animation,
        bake_anim_use_all_actions=False,
        bake_anim_use_nla_strips=False,
    )


_WRITERS: dict[str, Callable[[Path, bool], None]] = {
    ".glb": _write_glb,
    ".gltf": _write_single_gltf,
    ".fbx": _write_fbx,
}


def _call(title: str, name: str, **options: Any) -> None:
    if not hasattr(bpy.types, f"EXPORT_SCENE_OT_{name}"):
        raise _failed(f"This Blender has no {title} export.", f"Enable the add-on {title} format in the preferences.")
    try:
        getattr(bpy.ops.export_scene, name)(**options)
    except RuntimeError as error:
        raise _failed((str(error).strip().splitlines() or [""])[-1]) from error


def _parts(body: bpy.types.Object) -> list[bpy.types.Object]:
    armature = body.find_armature()
    if armature is None:
        return [body]
    moved = [item for item in bpy.context.scene.objects if item.type == "MESH" and item.find_armature() == armature]
    return [armature, *moved]


@contextmanager
def _selected(objects: list[bpy.types.Object]) -> Iterator[None]:
    """Select these objects alone, hidden ones too, and put everything back afterwards."""
    layer = bpy.context.view_layer
    # What was linked a moment ago isn't listed before.
    layer.update()
    missing = [item.name for item in objects if item.name not in layer.objects]
    if missing:
        raise _failed(f'"{missing[0]}" is not in this view layer.', "Include its collection in the view layer.")
    selected, active = [item for item in layer.objects if item.select_get()], layer.objects.active
    hidden = [(item, item.hide_get(), item.hide_viewport) for item in objects]
    try:
        for item in objects:
            item.hide_viewport = False
            item.hide_set(False)
        for item in layer.objects:
            item.select_set(item in objects)
        layer.objects.active = objects[0]
        yield
    finally:
        for item in layer.objects:
            item.select_set(item in selected)
        for item, hide, hide_viewport in hidden:
            item.hide_set(hide)
            item.hide_viewport = hide_viewport
        layer.objects.active = active


@contextmanager
def _upright_normals(body: bpy.types.Object, folder: Path) -> Iterator[None]:
    """Exporters read images, not the nodes that turn DirectX's normals over: those get an image that is turned."""
    made: list[bpy.types.ID] = []
    swapped: list[tuple[bpy.types.MaterialSlot, bpy.types.Material]] = []
    try:
        for slot in body.material_slots:
            if slot.material is not None and material.is_green_down(slot.material):
                copy, image = material.upright(slot.material, folder / "normal.png")
                made += [copy, image]
                swapped.append((slot, slot.material))
                slot.material = copy
        yield
    finally:
        for slot, worn in swapped:
            slot.material = worn
        bpy.data.batch_remove(made)


def _failed(reason: str, hint: str = "Blender's console says more.") -> UVMapError:
    return UVMapError(ErrorCode.EXPORT_FAILED, f"The character can't be exported: {reason}", hint)


def _not_writable(path: Path, reason: str) -> UVMapError:
    return UVMapError(
        ErrorCode.OUTPUT_NOT_WRITABLE,
        f"The file {path} can't be written: {reason}.",
        "Choose a file in a folder that exists and that you may write to.",
    )
