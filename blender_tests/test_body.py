"""Bodies: the mannequin, and OBJ files, good and bad."""

# pyright: reportAttributeAccessIssue=false, reportOptionalMemberAccess=false
# The stubs of bpy don't know what the extension adds to it, and call much optional that is there.

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import bpy
import numpy as np
import pytest
from conftest import names_in_file

TRIANGLE = "v 0 0 0\nv 1 0 0\nv 0 1 0\nvt 0 0\nvt 1 0\nvt 0 1\n"
SMPL_VERTICES, SMPLX_VERTICES = 6890, 10475


def test_mannequin_stands_and_faces_the_camera(scene: bpy.types.Scene) -> None:
    bpy.ops.uvmap_id.add_mannequin()
    body = scene.uvmap_id.body
    points = _points(body.data)
    assert 1.4 < points[:, 2].max() - points[:, 2].min() < 2.2
    assert abs(points[:, 2].min()) < 0.02
    # Feet point to where a body looks: -y.
    feet = points[points[:, 2] < 0.05]
    assert abs(feet[:, 1].min()) > abs(feet[:, 1].max()) or feet[:, 1].mean() < points[:, 1].mean()


def test_mannequin_is_a_sound_smooth_mesh_with_uvs(scene: bpy.types.Scene) -> None:
    bpy.ops.uvmap_id.add_mannequin()
    mesh = scene.uvmap_id.body.data
    assert not mesh.validate()
    assert all(polygon.use_smooth for polygon in mesh.polygons)
    uvs = np.empty(len(mesh.loops) * 2, dtype=np.float32)
    mesh.uv_layers.active.uv.foreach_get("vector", uvs)
    assert uvs.min() > -0.01
    assert uvs.max() < 1.01
    assert np.ptp(uvs) > 0.8


def test_mesh_keeps_the_arrays(module: Callable[[str], ModuleType]) -> None:
    vertices = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0], [2, 0, 0]], dtype=np.float32)
    faces = np.array([[0, 1, 2, 3], [1, 4, 2, 2]], dtype=np.int32)
    uvs = np.arange(16, dtype=np.float32).reshape(2, 4, 2) / 16
    mesh = module("meshes").mesh_from_arrays("two", vertices, faces, uvs)
    assert [list(polygon.vertices) for polygon in mesh.polygons] == [[0, 1, 2, 3], [1, 4, 2]]
    assert np.array_equal(_points(mesh), vertices)
    kept = np.array([tuple(item.vector) for item in mesh.uv_layers[0].uv])
    assert np.allclose(kept, np.concatenate([uvs[0], uvs[1, :3]]))
    assert not mesh.validate()


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("smpl_uv.obj", SMPL_VERTICES),
        ("SMPL_female_default_resolution.obj", SMPL_VERTICES),
        ("SMPL_male_default_resolution.obj", SMPL_VERTICES),
        ("SMPLX-female.obj", SMPLX_VERTICES),
        ("SMPLX-male.obj", SMPLX_VERTICES),
    ],
)
def test_real_bodies_import_upright(smpl: Path, scene: bpy.types.Scene, name: str, count: int) -> None:
    bpy.ops.uvmap_id.add_body(filepath=str(smpl / name))
    body = scene.uvmap_id.body
    assert len(body.data.vertices) == count
    assert len(body.data.uv_layers) == 1
    assert all(polygon.use_smooth for polygon in body.data.polygons)
    points = _points(body.data) @ np.array(body.matrix_world)[:3, :3].T
    size = points.max(axis=0) - points.min(axis=0)
    assert 1.5 < size[2] < 2.0
    assert size[1] < size[2] / 2


def test_body_with_a_path_that_is_not_ascii(scene: bpy.types.Scene, tmp_path: Path) -> None:
    path = tmp_path / "Körper 身体.obj"
    path.write_text(TRIANGLE + "f 1/1 2/2 3/3\n", encoding="utf-8")
    bpy.ops.uvmap_id.add_body(filepath=str(path))
    assert len(scene.uvmap_id.body.data.polygons) == 1


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "body_unreadable"),
        (b"\0\1\2 not text", "body_unreadable"),
        (b"Lorem ipsum dolor sit amet\n" * 50, "body_unreadable"),
        (b"v 0 0 0\nv 1 0 0\nv 0 1 0\n", "body_unreadable"),
        (b"v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n", "body_without_uvs"),
        (b"v 0 0 0\nv 1 0 0\nv 0 1 0\nvn 0 0 1\nf 1//1 2//1 3//1\n", "body_without_uvs"),
        (TRIANGLE.encode() + b"f 1/1 2/2 3/3\nf 1 2 3\n", "body_without_uvs"),
        (b"v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1/1 2/2 3/3\n", "body_without_uvs"),
        (TRIANGLE.encode() + b"f 7/1 8/2 9/3\n", "body_unreadable"),
        (TRIANGLE.replace("v 0 1 0", "v nan inf 0").encode() + b"f 1/1 2/2 3/3\n", "body_unreadable"),
        (b"o a\n" + TRIANGLE.encode() + b"f 1/1 2/2 3/3\no b\nf 3/1 2/2 1/3\n", "body_unreadable"),
    ],
)
def test_bad_files_change_nothing(tmp_path: Path, scene: bpy.types.Scene, content: bytes, code: str) -> None:
    path = tmp_path / "body.obj"
    path.write_bytes(content)
    before = names_in_file()
    with pytest.raises(RuntimeError, match=f"{code}: "):
        bpy.ops.uvmap_id.add_body(filepath=str(path))
    assert names_in_file() == before
    assert scene.uvmap_id.body is None


def test_missing_files_and_folders_change_nothing(tmp_path: Path) -> None:
    before = names_in_file()
    for path in ("", str(tmp_path), str(tmp_path / "none.obj")):
        with pytest.raises(RuntimeError, match="body_unreadable: "):
            bpy.ops.uvmap_id.add_body(filepath=path)
    assert names_in_file() == before


def _points(mesh: bpy.types.Mesh) -> np.ndarray:
    points = np.empty(len(mesh.vertices) * 3, dtype=np.float32)
    mesh.vertices.foreach_get("co", points)
    return points.reshape(-1, 3)
