"""Body models of the SMPL family: built as their papers define them, and refused where they are not what they say."""

# pyright: reportAttributeAccessIssue=false, reportOptionalMemberAccess=false, reportOptionalSubscript=false
# pyright: reportArgumentType=false, reportIndexIssue=false
# The stubs of bpy don't know what the extension adds to it, and call much optional that is there.

from __future__ import annotations

import os
import pickle
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import bpy
import numpy as np
import pytest
from conftest import PACKAGE, names_in_file
from mathutils import Quaternion, Vector
from smpl_files import Arrays, make_model, write_npz, write_python2_pickle, write_supr, write_template

Module = Callable[[str], ModuleType]
SHAPED, POSED = {"Shape000": 1.5, "Shape001": -2.0}, ("left_hip", "right_shoulder", "spine2", "pelvis", "left_elbow")
WRITERS = {
    "SMPL": write_python2_pickle,
    "STAR": write_npz,
    "SMPL-H": write_npz,
    "SMPL-X": write_npz,
    "SUPR": write_supr,
}
ENDINGS = {"SMPL": "pkl", "SUPR": "npy"}


def add(folder: Path, family: str, arrays: Arrays, **options: object) -> bpy.types.Object:
    """Write a model and its UV template, and add it to the scene."""
    path = WRITERS[family](folder / f"{family}.{ENDINGS.get(family, 'npz')}", arrays)
    template = folder / "template.obj"
    write_template(template, arrays)
    bpy.ops.uvmap_id.add_body(filepath=str(path), uv_template=str(template), on_ground=False, **options)
    return bpy.context.scene.uvmap_id.body


@pytest.mark.parametrize("family", list(WRITERS))
def test_a_posed_body_is_what_its_paper_defines(tmp_path: Path, module: Module, family: str) -> None:
    arrays = make_model(family)
    body = add(tmp_path, family, arrays)
    names = module("smpl.follow").family_of_body(body).joint_names
    for name, value in SHAPED.items():
        body.data.shape_keys.key_blocks[name].value = value
    rotations = np.random.default_rng(1).normal(size=(len(POSED), 3)) * 0.6
    pose = np.zeros((len(names), 3))
    for name, rotation in zip(POSED, rotations, strict=True):
        pose[names.index(name)] = rotation
        axis = Vector(rotation)
        body.parent.pose.bones[name].rotation_quaternion = Quaternion(axis.normalized(), axis.length)
    bpy.ops.uvmap_id.update_joints()
    bpy.ops.uvmap_id.update_correctives()
    expected = _by_definition(family, arrays, np.array(list(SHAPED.values())), pose)
    assert np.abs(_evaluated(body) - expected).max() < 2e-4
    # And the pose is felt at all, correctives included.
    assert np.abs(_evaluated(body) - _by_definition(family, arrays, np.zeros(2), pose * 0)).max() > 0.1
    without = {**arrays, "posedirs": arrays["posedirs"] * 0}
    assert np.abs(expected - _by_definition(family, without, np.array(list(SHAPED.values())), pose)).max() > 5e-3


def test_a_model_comes_with_everything(tmp_path: Path, scene: bpy.types.Scene) -> None:
    arrays = make_model("SMPL-X")
    start = time.monotonic()
    body = add(tmp_path, "SMPL-X", arrays)
    assert time.monotonic() - start < 20
    mesh, armature = body.data, body.find_armature()
    assert (len(mesh.vertices), len(mesh.polygons)) == arrays["v_template"].shape[:1] + arrays["f"].shape[:1]
    assert not mesh.validate()
    keys = mesh.shape_keys.key_blocks
    counts = {prefix: sum(key.name.startswith(prefix) for key in keys) for prefix in ("Shape", "Exp", "Pose")}
    assert counts == {"Shape": 10, "Exp": 10, "Pose": 486}
    assert (keys["Shape009"].slider_min, keys["Shape009"].slider_max) == (-5, 5)
    assert armature.parent is None
    assert armature.data.bones["left_knee"].parent.name == "left_hip"
    assert {"jaw", "right_thumb3", "left_eye_smplhf"} <= set(armature.data.bones.keys())
    groups = {group.index: group.name for group in body.vertex_groups}
    held = {groups[item.group]: item.weight for item in mesh.vertices[100].groups}
    row = arrays["weights"][100]
    assert held == pytest.approx({groups[place]: row[place] for place in np.flatnonzero(row)}, abs=1e-6)
    uvs = np.empty(len(mesh.loops) * 2, np.float32)
    mesh.uv_layers.active.uv.foreach_get("vector", uvs)
    assert np.allclose(uvs.reshape(-1, 3, 2), arrays["vt"][arrays["ft"]])
    assert scene.uvmap_id.body == body


def test_a_model_stands_on_the_ground_and_faces_the_camera(tmp_path: Path) -> None:
    arrays = make_model("SMPL", correctives=False)
    nose = arrays["v_template"][332] = (0.0, 0.6, 5.0)
    write_template(tmp_path / "t.obj", arrays)
    path = write_npz(tmp_path / "smpl.npz", arrays)
    bpy.ops.uvmap_id.add_body(filepath=str(path), uv_template=str(tmp_path / "t.obj"))
    points = _evaluated(bpy.context.scene.uvmap_id.body)
    assert abs(points[:, 2].min()) < 1e-5
    assert points[332, 1] == pytest.approx(-nose[2])


def test_uvs_come_from_the_template_in_the_preferences(tmp_path: Path) -> None:
    arrays = make_model("SMPL-H", correctives=False)
    path = write_npz(tmp_path / "smplh.npz", arrays)
    expected = write_template(tmp_path / "t.obj", arrays)
    preferences = bpy.context.preferences.addons[PACKAGE].preferences
    preferences.smpl_uv_template = str(tmp_path / "t.obj")
    try:
        bpy.ops.uvmap_id.add_body(filepath=str(path))
    finally:
        preferences.smpl_uv_template = ""
    mesh = bpy.context.scene.uvmap_id.body.data
    uvs = np.empty(len(mesh.loops) * 2, np.float32)
    mesh.uv_layers.active.uv.foreach_get("vector", uvs)
    assert np.allclose(uvs.reshape(-1, 3, 2), expected, atol=1e-6)


def test_correctives_on_every_frame(tmp_path: Path, scene: bpy.types.Scene) -> None:
    body = add(tmp_path, "STAR", make_model("STAR"))
    bone = body.parent.pose.bones["left_hip"]
    scene.frame_start, scene.frame_end = 1, 4
    for frame, angle in ((1, 0.0), (4, 1.0)):
        bone.rotation_quaternion = Quaternion((1, 0, 0), angle)
        bone.keyframe_insert("rotation_quaternion", frame=frame)
    bpy.ops.uvmap_id.update_correctives(all_frames=True)
    key = body.data.shape_keys.key_blocks["Pose000"]
    scene.frame_set(1)
    assert key.value == pytest.approx(0)
    scene.frame_set(4)
    assert key.value == pytest.approx(np.sin(0.5), abs=1e-5)


def test_relaxed_hands(tmp_path: Path) -> None:
    arrays = make_model("SMPL-H", correctives=False)
    body = add(tmp_path, "SMPL-H", arrays, relaxed_hands=True)
    axis, angle = body.parent.pose.bones["right_index2"].rotation_quaternion.to_axis_angle()
    assert np.allclose(np.array(axis) * angle, arrays["hands_meanr"][3:6], atol=1e-5)
    assert body.parent.pose.bones["left_hip"].rotation_quaternion.angle == 0


@pytest.mark.parametrize("mode", ["EDIT", "POSE"])
def test_joints_follow_the_shape_whatever_mode_blender_is_in(tmp_path: Path, mode: str) -> None:
    arrays = make_model("SMPL", correctives=False)
    body = add(tmp_path, "SMPL", arrays)
    body.data.shape_keys.key_blocks["Shape003"].value = 2.0
    bpy.context.view_layer.objects.active = body.parent
    bpy.ops.object.mode_set(mode=mode)
    bpy.ops.uvmap_id.update_joints()
    x, y, z = (arrays["J_regressor"] @ (arrays["v_template"] + 2 * arrays["shapedirs"][..., 3]))[18]
    assert np.allclose(body.parent.data.bones["left_elbow"].head_local, (x, -z, y), atol=1e-5)


def test_update_is_for_body_models_only() -> None:
    bpy.ops.uvmap_id.add_mannequin()
    for operator in (bpy.ops.uvmap_id.update_joints, bpy.ops.uvmap_id.update_correctives):
        with pytest.raises(RuntimeError, match="not made from a body model"):
            operator()


def test_a_lost_armature_is_an_answer(tmp_path: Path) -> None:
    body = add(tmp_path, "SMPL", make_model("SMPL"))
    bpy.data.objects.remove(body.parent)
    with pytest.raises(RuntimeError, match="body_missing: "):
        bpy.ops.uvmap_id.update_joints()


class _Hostile:
    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[object, ...]:
        return os.system, (f"touch {self.marker}",)


def _hostile(path: Path) -> str:
    path.write_bytes(pickle.dumps({"v_template": _Hostile(path.with_suffix(".ran"))}, protocol=2))
    return "body_unreadable: .*system"


def _truncated(path: Path) -> str:
    write_python2_pickle(path, make_model("SMPL", correctives=False))
    path.write_bytes(path.read_bytes()[:-1000])
    return "body_unreadable: .*ends early"


def _objects(path: Path) -> str:
    arrays = make_model("SMPL", correctives=False)
    write_npz(path, {**arrays, "J_regressor": np.array({"sparse": 1}, dtype=object)})
    return "body_unreadable: .*objects"


def _nan(path: Path) -> str:
    arrays = make_model("SMPL", correctives=False)
    arrays["v_template"][7, 1] = np.nan
    write_npz(path, arrays)
    return "body_unreadable: .*NaN"


def _bomb(path: Path) -> str:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("v_template.npy", "w") as file:
        for _ in range(800):
            file.write(bytes(1_000_000))
    return "body_unreadable: .*unpacks"


def _no_template(path: Path) -> str:
    write_npz(path, make_model("SMPL", correctives=False))
    return "body_without_uvs: "


@pytest.mark.parametrize(
    ("name", "make"),
    [
        *(("a.pkl", _hostile), ("a.pkl", _truncated), ("a.npz", _objects), ("a.npz", _nan), ("a.npz", _bomb)),
        ("a.npz", _no_template),
    ],
)
def test_bad_models_change_nothing(tmp_path: Path, name: str, make: Callable[[Path], str]) -> None:
    reason = make(tmp_path / name)
    before = names_in_file()
    with pytest.raises(RuntimeError, match=reason):
        bpy.ops.uvmap_id.add_body(filepath=str(tmp_path / name))
    assert names_in_file() == before
    assert bpy.context.scene.uvmap_id.body is None
    assert not list(tmp_path.glob("*.ran"))


def test_a_template_of_other_faces_changes_nothing(tmp_path: Path, smpl: Path) -> None:
    path = write_npz(tmp_path / "smpl.npz", make_model("SMPL", correctives=False))
    before = names_in_file()
    for template in ("smpl_uv.obj", "SMPL_female_default_resolution.obj", "SMPLX-male.obj"):
        with pytest.raises(RuntimeError, match="body_layout_differs: "):
            bpy.ops.uvmap_id.add_body(filepath=str(path), uv_template=str(smpl / template))
    with pytest.raises(RuntimeError, match="body_unreadable: "):
        bpy.ops.uvmap_id.add_body(filepath=str(path), uv_template=str(tmp_path / "none.obj"))
    assert names_in_file() == before


def test_what_fails_halfway_leaves_nothing(tmp_path: Path, module: Module, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("no more")

    monkeypatch.setattr(module("smpl.build"), "_add_armature", fail)
    before = names_in_file()
    with pytest.raises(RuntimeError, match="no more"):
        add(tmp_path, "SMPL", make_model("SMPL", correctives=False))
    assert names_in_file() == before


@pytest.mark.parametrize("template", ["smpl_uv.obj", "SMPL_female_default_resolution.obj"])
def test_with_smpls_own_template_it_is_known_as_smpl(
    tmp_path: Path, smpl: Path, scene: bpy.types.Scene, template: str
) -> None:
    lines = (smpl / "smpl_uv.obj").read_text().splitlines()
    faces = [[int(corner.split("/")[0]) for corner in line.split()[1:]] for line in lines if line.startswith("f ")]
    path = write_npz(tmp_path / "smpl.npz", make_model("SMPL", np.array(faces) - 1, correctives=False))
    bpy.ops.uvmap_id.add_body(filepath=str(path), uv_template=str(smpl / template))
    assert scene.uvmap_id.body_layout == "SMPL atlas"


def _evaluated(body: bpy.types.Object) -> np.ndarray:
    bpy.context.view_layer.update()
    evaluated = body.evaluated_get(bpy.context.evaluated_depsgraph_get())
    mesh = evaluated.to_mesh()
    points = np.empty(len(mesh.vertices) * 3, np.float32)
    mesh.vertices.foreach_get("co", points)
    matrix = np.array(body.matrix_world)
    evaluated.to_mesh_clear()
    return points.reshape(-1, 3) @ matrix[:3, :3].T + matrix[:3, 3]


def _by_definition(family: str, arrays: Arrays, betas: np.ndarray, pose: np.ndarray) -> np.ndarray:
    """Linear blend skinning of SMPL's paper (Loper et al. 2015, equations 2 to 10), z up."""
    shaped = arrays["v_template"] + arrays["shapedirs"][..., : len(betas)] @ betas
    regressor = arrays["J_regressor"]
    followed = np.append(shaped.ravel(), 1) if family == "SUPR" else shaped
    joints = (regressor @ followed).reshape(-1, 3)
    turns = [Quaternion(Vector(item).normalized(), Vector(item).length) for item in pose]
    matrices = np.array([turn.to_matrix() for turn in turns])
    if family in ("STAR", "SUPR"):
        feature = np.array([(q.x, q.y, q.z, q.w - 1) for q in turns]).ravel()
        feature = np.append(feature[4:], betas[1]) if family == "STAR" else feature
    else:
        feature = (matrices[1:] - np.eye(3)).ravel()
    shaped = shaped + arrays["posedirs"] @ feature
    parents = arrays["kintree_table"][0].astype(np.int64)
    world = np.zeros((len(joints), 4, 4))
    for joint, matrix in enumerate(matrices):
        local = np.eye(4)
        local[:3, :3] = matrix
        local[:3, 3] = joints[joint] - (joints[parents[joint]] if joint else 0)
        world[joint] = world[parents[joint]] @ local if joint else local
    skin = world.copy()
    skin[:, :3, 3] -= np.einsum("jab,jb->ja", world[:, :3, :3], joints)
    moved = np.einsum("vj,jab,vb->va", arrays["weights"], skin[:, :3], np.c_[shaped, np.ones(len(shaped))])
    return np.stack([moved[:, 0], -moved[:, 2], moved[:, 1]], axis=1)


def test_motion_brings_its_shape_and_the_joints_follow(tmp_path: Path, scene: bpy.types.Scene) -> None:
    body = add(tmp_path, "SMPL", make_model("SMPL"))
    before = {bone.name: bone.head_local.copy() for bone in body.parent.data.bones}
    np.savez(tmp_path / "m.npz", poses=np.zeros((3, 72)), trans=np.zeros((3, 3)), betas=[2.0], mocap_framerate=30)
    bpy.ops.uvmap_id.import_motion(filepath=str(tmp_path / "m.npz"), shape=True)
    assert body.data.shape_keys.key_blocks["Shape000"].value == 2.0
    after = {bone.name: bone.head_local.copy() for bone in body.parent.data.bones}
    assert max((after[name] - before[name]).length for name in before) > 1e-4
    assert body.parent.animation_data.action is not None
