"""The sliders: what they do to the body and its joints, and that nothing a user does to the body breaks them."""

# pyright: reportAttributeAccessIssue=false, reportOptionalMemberAccess=false, reportOptionalSubscript=false
# pyright: reportArgumentType=false, reportIndexIssue=false, reportGeneralTypeIssues=false
# The stubs of bpy don't know what the extension adds to it, and call much optional that is there.

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import bpy
import numpy as np
import pytest

LONGEST_CHANGE_S = 0.03
SLIDERS = ("gender", "age", "muscle", "weight", "height", "proportions")
ANCESTRIES = ("african", "asian", "caucasian")


@pytest.fixture
def body(scene: bpy.types.Scene) -> bpy.types.Object:
    """A mannequin, the character's body."""
    bpy.ops.uvmap_id.add_mannequin()
    return scene.uvmap_id.body


@pytest.mark.parametrize("name", SLIDERS)
def test_a_slider_is_two_keys(body: bpy.types.Object, name: str) -> None:
    keys, shape = body.data.shape_keys.key_blocks, body.uvmap_id_shape
    for value in (0.4, -0.7, 0.0, 1.0, -1.0):
        setattr(shape, name, value)
        assert keys[f"{name}+"].value == pytest.approx(max(value, 0))
        assert keys[f"{name}-"].value == pytest.approx(max(-value, 0))
        assert getattr(shape, name) == pytest.approx(value)
    keys[f"{name}-"].value = 0.25
    assert getattr(shape, name) == pytest.approx(-0.25)


@pytest.mark.parametrize("name", [*SLIDERS, *ANCESTRIES])
def test_every_slider_shapes_the_body_and_comes_back(body: bpy.types.Object, name: str) -> None:
    before, bones = mixed(body), joints(body)
    neutral = getattr(body.uvmap_id_shape, name)
    setattr(body.uvmap_id_shape, name, 1.0)
    assert np.abs(mixed(body) - before).max() > 0.001
    assert np.abs(joints(body) - bones).max() > 0.0005
    setattr(body.uvmap_id_shape, name, neutral)
    assert np.abs(mixed(body) - before).max() < 1e-5
    assert np.abs(joints(body) - bones).max() < 1e-5


def test_ancestries_add_up_to_one(body: bpy.types.Object) -> None:
    shape = body.uvmap_id_shape
    assert shares(body) == pytest.approx((1 / 3, 1 / 3, 1 / 3))
    for key in ANCESTRIES:
        assert body.data.shape_keys.key_blocks[key].value == 0
    shape.african = 0.6
    assert shares(body) == pytest.approx((0.6, 0.2, 0.2))
    shape.asian = 0.4
    assert shares(body) == pytest.approx((0.45, 0.4, 0.15))
    shape.caucasian = 1.0
    assert shares(body) == pytest.approx((0, 0, 1), abs=1e-6)
    shape.caucasian = 0.5
    assert shares(body) == pytest.approx((0.25, 0.25, 0.5))


def test_equal_ancestries_are_the_neutral_body(body: bpy.types.Object, module: Callable[[str], ModuleType]) -> None:
    before = mixed(body)
    shape = module("shape")
    shape.set_values(body, dict.fromkeys(ANCESTRIES, 0.8))
    assert shares(body) == pytest.approx((1 / 3, 1 / 3, 1 / 3))
    for key in ANCESTRIES:
        body.data.shape_keys.key_blocks[key].value = 1 / 3
    assert shares(body) == pytest.approx((1 / 3, 1 / 3, 1 / 3))
    # What the panel takes for equal shares is no change of the body.
    assert np.abs(mixed(body) - before).max() < 0.0005


def test_joints_stay_inside_the_shape(body: bpy.types.Object) -> None:
    keys, rig = body.data.shape_keys.key_blocks, body.parent
    for name, value in (("height", 1.0), ("age", -1.0), ("weight", 0.6)):
        setattr(body.uvmap_id_shape, name, value)
    for bone in rig.data.bones:
        offsets = np.zeros(3)
        follows = np.array(bone["uvmap_id_follows"])[:8]
        for key in keys[1:]:
            offsets += key.value * np.mean([key.data[i].co - keys[0].data[i].co for i in follows], axis=0)
        assert np.allclose(bone.head_local, np.array(bone["uvmap_id_neutral"])[:3] + offsets, atol=1e-5)
    points, head = mixed(body), next(bone for bone in rig.data.bones if bone.get("smpl") == "head")
    assert points[:, 2].min() < head.head_local.z < points[:, 2].max()


def test_a_pose_is_kept(body: bpy.types.Object) -> None:
    bpy.ops.uvmap_id.apply_pose(pose="A")
    rig = body.parent
    bpy.context.view_layer.objects.active = rig
    bpy.ops.object.mode_set(mode="POSE")
    before = {bone.name: tuple(bone.rotation_quaternion) for bone in rig.pose.bones}
    body.uvmap_id_shape.height = 0.9
    assert {bone.name: tuple(bone.rotation_quaternion) for bone in rig.pose.bones} == before
    assert (bpy.context.mode, rig.mode, bpy.context.object) == ("POSE", "POSE", rig)
    assert len(bpy.data.scenes) == 1


def test_a_posed_body_shaped_is_a_shaped_body_posed(body: bpy.types.Object, scene: bpy.types.Scene) -> None:
    bpy.ops.uvmap_id.apply_pose(pose="RELAXED")
    body.uvmap_id_shape.height = -0.8
    bpy.ops.uvmap_id.add_mannequin()
    other = scene.uvmap_id.body
    other.uvmap_id_shape.height = -0.8
    bpy.ops.uvmap_id.apply_pose(pose="RELAXED")
    assert np.abs(mixed(body) - mixed(other)).max() < 1e-5


@pytest.mark.parametrize("mode", ["EDIT", "POSE", "OBJECT"])
def test_sliders_work_in_the_armatures_modes(body: bpy.types.Object, mode: str) -> None:
    bpy.context.view_layer.objects.active = body.parent
    bpy.ops.object.mode_set(mode=mode)
    body.uvmap_id_shape.height = 1.0
    assert body.parent.mode == mode
    bpy.ops.object.mode_set(mode="OBJECT")
    tallest = max(bone.tail_local.z for bone in body.parent.data.bones)
    body.uvmap_id_shape.height = 0.0
    assert tallest > max(bone.tail_local.z for bone in body.parent.data.bones) + 0.02


def test_a_change_is_live(body: bpy.types.Object) -> None:
    bpy.ops.uvmap_id.apply_pose(pose="A")
    for name in SLIDERS:
        setattr(body.uvmap_id_shape, name, 0.3)
    times = []
    for step in range(10):
        started = time.perf_counter()
        body.uvmap_id_shape.age = step / 10
        bpy.context.view_layer.update()
        times.append(time.perf_counter() - started)
    assert sorted(times)[len(times) // 2] < LONGEST_CHANGE_S


def test_presets_set_what_they_name(body: bpy.types.Object, module: Callable[[str], ModuleType]) -> None:
    presets = module("shape").read_presets()
    assert set(presets) == {"child", "adult", "elder", "athlete", "heavy"}
    body.uvmap_id_shape.gender, body.uvmap_id_shape.asian = 0.5, 1.0
    heights = {}
    for name, values in presets.items():
        assert bpy.ops.uvmap_id.shape_preset(preset=name) == {"FINISHED"}
        found = module("shape").values_of(body)
        assert {slider: found[slider] for slider in values} == pytest.approx(values, abs=1e-6)
        assert (found["gender"], found["asian"]) == pytest.approx((0.5, 1.0))
        heights[name] = np.ptp(mixed(body)[:, 2])
    assert min(heights, key=lambda name: heights[name]) == "child"
    assert heights["child"] < 0.9 * heights["adult"]


@pytest.mark.parametrize(
    ("subject", "sliders", "unknown"),
    [
        ("asian woman", {"asian": 1, "gender": 1}, ()),
        ("A young, muscular man", {"age": 0, "muscle": 0.8, "gender": -1}, ()),
        ("an 80-year-old woman", {"age": 1, "gender": 1}, ()),
        ("woman, 25 years old", {"gender": 1, "age": 0}, ()),
        ("woman in her 45s", {"gender": 1, "age": 0.35}, ("in", "her")),
        ("tall  Black-and-white photographer", {"height": 0.8}, ("black-and-white", "photographer")),
        ("african asian boy", {"african": 1, "asian": 1, "gender": -1, "age": -1}, ()),
        ("a 4-year-old child", {"age": -1}, ()),
        ("Élodie", {}, ("élodie",)),
        ("", {}, ()),
    ],
)
def test_subjects_are_read_word_by_word(
    module: Callable[[str], ModuleType], subject: str, sliders: dict[str, float], unknown: tuple[str, ...]
) -> None:
    reading = module("subject").read_subject(subject)
    assert reading.sliders == pytest.approx(sliders)
    assert reading.unknown == unknown


def test_word_lists_name_sliders_only(module: Callable[[str], ModuleType]) -> None:
    shape, subject = module("shape"), module("subject")
    lists = subject.tomllib.loads(subject.WORDS_FILE.read_text(encoding="utf-8"))
    for values in (*lists["words"].values(), *shape.read_presets().values()):
        assert set(values) <= {*SLIDERS, *ANCESTRIES}
        assert all(-1 <= value <= 1 for value in values.values())
    years = [pair[0] for pair in lists["years"]]
    assert years == sorted(set(years))
    assert all(word == word.lower() for word in lists["words"])


def test_match_subject(body: bpy.types.Object, scene: bpy.types.Scene) -> None:
    scene.uvmap_id.subject = "elderly freckled woman"
    bpy.ops.uvmap_id.match_subject()
    assert body.uvmap_id_shape.age == pytest.approx(0.85)
    assert body.uvmap_id_shape.gender == pytest.approx(1)
    # Nobody named an ancestry.
    assert shares(body) == pytest.approx((1 / 3, 1 / 3, 1 / 3))
    scene.uvmap_id.subject = "african asian"
    bpy.ops.uvmap_id.match_subject()
    assert shares(body) == pytest.approx((0.5, 0.5, 0))
    assert body.uvmap_id_shape.age == pytest.approx(0.85)
    for subject in ("", "freckled"):
        scene.uvmap_id.subject = subject
        with pytest.raises(RuntimeError, match="says nothing about the body"):
            bpy.ops.uvmap_id.match_subject()


@pytest.mark.parametrize("angles", [(0.3, 0.0), (0.0, 0.3), (-0.5, -0.2), (0.0, 0.0)])
def test_the_gaze_turns_both_eyes(
    body: bpy.types.Object, module: Callable[[str], ModuleType], angles: tuple[float, float]
) -> None:
    asset = module("mannequin_asset").read(module("mannequin").ASSET)
    body.uvmap_id_shape.gaze = angles
    assert tuple(body.uvmap_id_shape.gaze) == pytest.approx(angles, abs=1e-4)
    points = mixed(body)
    left, up = angles
    ahead = np.array([np.sin(left) * np.cos(up), -np.cos(left) * np.cos(up), np.sin(up)])
    for side, center in ((1, asset.eye_centres[0]), (2, asset.eye_centres[1])):
        eye = np.flatnonzero(asset.vertex_parts == side)
        front = eye[asset.vertices[eye][:, 1].argmin()]
        before = asset.vertices[front] - center
        turned = points[front] - center
        assert np.linalg.norm(turned) == pytest.approx(np.linalg.norm(before), rel=0.03)
        assert turned @ ahead == pytest.approx(before @ (0, -1, 0), rel=0.03)
    # Only the lids may follow a little.
    skin = asset.vertex_parts == 0
    assert np.abs(points - asset.vertices)[skin].max() < 0.002


def test_the_gaze_stays_while_the_shape_changes(body: bpy.types.Object) -> None:
    body.uvmap_id_shape.gaze = (0.3, -0.2)
    for name in SLIDERS:
        for value in (1.0, -1.0, 0.0):
            setattr(body.uvmap_id_shape, name, value)
            assert tuple(body.uvmap_id_shape.gaze) == pytest.approx((0.3, -0.2), abs=0.03)


def test_duplicates_have_sliders_of_their_own(body: bpy.types.Object) -> None:
    body.uvmap_id_shape.weight = 0.5
    for item in (body, body.parent):
        item.select_set(True)
    bpy.ops.object.duplicate()
    copy = next(item for item in bpy.context.selected_objects if item.type == "MESH")
    assert copy.uvmap_id_shape.weight == pytest.approx(0.5)
    before = joints(body)
    copy.uvmap_id_shape.height = 1.0
    copy.uvmap_id_shape.gaze = (0.3, 0)
    assert body.uvmap_id_shape.height == 0
    assert tuple(body.uvmap_id_shape.gaze) == pytest.approx((0, 0), abs=1e-4)
    assert np.array_equal(joints(body), before)
    assert np.abs(joints(copy) - before).max() > 0.01


def test_a_linked_duplicate_is_the_same_body(body: bpy.types.Object, scene: bpy.types.Scene) -> None:
    copy = body.copy()
    scene.collection.objects.link(copy)
    copy.uvmap_id_shape.muscle = 0.5
    assert body.uvmap_id_shape.muscle == pytest.approx(0.5)


def test_appended_it_works_on(body: bpy.types.Object, tmp_path: Path) -> None:
    body.uvmap_id_shape.age = -0.5
    saved = save(tmp_path)
    with bpy.data.libraries.load(str(saved)) as (_, wanted):
        wanted.objects = ["Mannequin"]
    found = wanted.objects[0]
    bpy.context.collection.objects.link(found)
    bpy.context.collection.objects.link(found.parent)
    bpy.context.scene.uvmap_id.body = found
    assert found.uvmap_id_shape.age == pytest.approx(-0.5)
    before = joints(found)
    found.uvmap_id_shape.height = 1.0
    assert np.abs(joints(found) - before).max() > 0.01
    bpy.ops.uvmap_id.apply_pose(pose="A")
    assert next(image for image in bpy.data.images if "Iris" in image.name).packed_file is not None


def test_linked_it_says_what_to_do(body: bpy.types.Object, module: Callable[[str], ModuleType], tmp_path: Path) -> None:
    saved = save(tmp_path)
    with bpy.data.libraries.load(str(saved), link=True) as (_, wanted):
        wanted.objects = ["Mannequin"]
    found = wanted.objects[0]
    bpy.context.collection.objects.link(found)
    bpy.context.scene.uvmap_id.body = found
    assert "linked from another file" in module("shape").problem(found)
    found.uvmap_id_shape.age = 0.7
    assert found.uvmap_id_shape.age == 0
    for run in (lambda: bpy.ops.uvmap_id.shape_preset(preset="heavy"), bpy.ops.uvmap_id.apply_pose):
        with pytest.raises(RuntimeError, match="linked from another file"):
            run()


def test_undo_takes_a_slider_back(body: bpy.types.Object) -> None:
    bpy.ops.ed.undo_push(message="before")
    before = joints(body)
    body.uvmap_id_shape.height = 1.0
    bpy.ops.ed.undo_push(message="Height")
    after = joints(body)
    bpy.ops.ed.undo()
    body = bpy.data.objects["Mannequin"]
    assert body.uvmap_id_shape.height == 0
    assert np.allclose(joints(body), before, atol=1e-6)
    bpy.ops.ed.redo()
    body = bpy.data.objects["Mannequin"]
    assert body.uvmap_id_shape.height == pytest.approx(1)
    assert np.allclose(joints(body), after, atol=1e-6)


def test_without_its_armature_the_surface_is_shaped(body: bpy.types.Object) -> None:
    bpy.data.objects.remove(body.parent)
    before = mixed(body)
    body.uvmap_id_shape.height = 1.0
    assert np.abs(mixed(body) - before).max() > 0.01
    body.uvmap_id_shape.gaze = (0.3, 0.3)
    assert tuple(body.uvmap_id_shape.gaze) == (0, 0)
    with pytest.raises(RuntimeError, match="no armature"):
        bpy.ops.uvmap_id.apply_pose(pose="A")


def test_names_don_t_matter(body: bpy.types.Object) -> None:
    for item in (body, body.data, body.parent, body.parent.data, body.data.shape_keys):
        item.name = "Körper"
    body.parent.data.bones[0].name = "Wurzel"
    before = joints(body)
    body.uvmap_id_shape.height = 1.0
    assert np.abs(joints(body) - before).max() > 0.01
    bpy.ops.uvmap_id.apply_pose(pose="A")


def test_without_a_key_it_says_what_to_do(body: bpy.types.Object, module: Callable[[str], ModuleType]) -> None:
    body.shape_key_remove(body.data.shape_keys.key_blocks["age+"])
    assert '"age+"' in module("shape").problem(body)
    body.uvmap_id_shape.height = 1.0
    assert body.uvmap_id_shape.height == 0
    body.shape_key_clear()
    assert body.uvmap_id_shape.age == 0
    with pytest.raises(RuntimeError, match="Add a new mannequin"):
        bpy.ops.uvmap_id.shape_preset(preset="child")


def test_after_its_mesh_was_cut_the_joints_stay(body: bpy.types.Object) -> None:
    before = joints(body)
    bpy.context.view_layer.objects.active = body
    bpy.ops.object.mode_set(mode="EDIT")
    bpy.ops.mesh.select_all(action="SELECT")
    bpy.ops.mesh.subdivide()
    bpy.ops.object.mode_set(mode="OBJECT")
    body.uvmap_id_shape.height = 1.0
    assert body.uvmap_id_shape.height == pytest.approx(1)
    assert np.array_equal(joints(body), before)


def test_other_bodies_have_no_sliders(scene: bpy.types.Scene, module: Callable[[str], ModuleType]) -> None:
    bpy.ops.mesh.primitive_cube_add()
    cube = scene.uvmap_id.body = bpy.context.object
    assert not bpy.types.UVMAP_ID_PT_shape.poll(bpy.context)
    assert module("shape").problem(cube)
    cube.uvmap_id_shape.age = 1.0
    assert cube.uvmap_id_shape.age == 0
    assert shares(cube) == pytest.approx((1 / 3, 1 / 3, 1 / 3))
    with pytest.raises(RuntimeError, match="no mannequin"):
        bpy.ops.uvmap_id.match_subject()
    bpy.ops.uvmap_id.add_mannequin()
    assert bpy.types.UVMAP_ID_PT_shape.poll(bpy.context)


def save(folder: Path) -> Path:
    """Save the open file, and open an empty one."""
    path = folder / "character.blend"
    bpy.ops.wm.save_as_mainfile(filepath=str(path))
    bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True)
    return path


def shares(body: bpy.types.Object) -> tuple[float, ...]:
    return tuple(getattr(body.uvmap_id_shape, name) for name in ANCESTRIES)


def joints(body: bpy.types.Object) -> np.ndarray:
    """(B, 2, 3) heads and tails of the bones at rest."""
    return np.array([(bone.head_local, bone.tail_local) for bone in body.parent.data.bones])


def mixed(body: bpy.types.Object) -> np.ndarray:
    """(V, 3) the vertices with shape keys and pose, in the body's own space."""
    bpy.context.view_layer.update()
    evaluated = body.evaluated_get(bpy.context.evaluated_depsgraph_get())
    points = np.empty((len(evaluated.data.vertices), 3), np.float32)
    evaluated.data.vertices.foreach_get("co", points.ravel())
    return points
