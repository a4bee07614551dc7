"""The mannequin's bones, weights and poses, measured on the file that the extension brings."""

from __future__ import annotations

import mannequin_arrays as mannequin
import numpy as np
import pytest
from scipy.spatial import cKDTree  # pyright: ignore[reportAttributeAccessIssue]

from uvmap_id.bodies.bone_weights import quantized
from uvmap_id.bodies.poses import POSES, rotations, struck, turns_of
from uvmap_id.bodies.posture import posed_joints, quaternions, skinned, unskinned
from uvmap_id.bodies.skeleton import BONES, NUMBER, PARENTS, axes, least_turn, other_side, rolls

SMPL = """
pelvis left_hip right_hip spine1 left_knee right_knee spine2 left_ankle right_ankle spine3 left_foot right_foot
neck left_collar right_collar head left_shoulder right_shoulder left_elbow right_elbow left_wrist right_wrist left_hand
right_hand jaw left_eye_smplhf right_eye_smplhf""".split()
SHAPES: dict[str, dict[str, float]] = {
    **{
        f"{name}{end}": {f"{name}{'_' if end == '-' else '0'}": 1.0}
        for name in ("gender", "age", "muscle", "weight", "height", "proportions")
        for end in "-+"
    },
    **{name: {name: 1.0} for name in ("african", "asian", "caucasian")},
    "heavy child": {"age_": 1.0, "weight0": 1.0},
    "thin giant": {"height0": 1.0, "weight_": 1.0, "gender_": 1.0},
    "old woman": {"age0": 1.0, "gender0": 1.0, "height_": 0.5},
}


def turned(bone: str, axis: tuple[float, float, float], degrees: float) -> np.ndarray:
    """(B, 3, 3) with one bone turned about an axis of the world, and all that hangs on it."""
    x, y, z = axis
    return turns_of({bone: (degrees * x, degrees * y, degrees * z), other_side(bone): (0, 0, 0)})


def test_bones_are_smpls_joints() -> None:
    found = mannequin.arrays()
    assert found["bone_names"].tolist() == [bone.name for bone in BONES]
    fingers = [f"{side}_{finger}{part}" for side in ("left", "right") for finger in
               ("index", "middle", "ring", "pinky", "thumb") for part in (1, 2, 3)]  # fmt: skip
    assert sorted(found["bone_smpl"].tolist()) == sorted([*SMPL, *fingers])
    assert (np.arange(len(PARENTS)) > PARENTS).all()


def test_it_stands_in_the_t_pose() -> None:
    joints = mannequin.joints(mannequin.body())
    for side, out in ((".L", 1), (".R", -1)):
        for bone in ("upperarm", "forearm", "hand"):
            way = joints.tails[NUMBER[bone + side]] - joints.heads[NUMBER[bone + side]]
            assert way / np.linalg.norm(way) == pytest.approx((out, 0, 0), abs=1e-5)
        # The palms look down: the index finger lies before the little one, at its height.
        across = joints.heads[NUMBER[f"index1{side}"]] - joints.heads[NUMBER[f"pinky1{side}"]]
        assert across[1] < -0.03
        assert abs(across[2]) < 0.01
    points = mannequin.body()
    assert points[:, 2].min() == pytest.approx(0, abs=1e-6)
    own, partners = mannequin.pairs()
    assert np.abs(points[own] - points[partners] * [-1, 1, 1]).max() < 2e-5
    assert np.abs(mannequin.weights()[own].sum(axis=1) - 1).max() < 1e-9


@pytest.mark.parametrize("name", SHAPES)
def test_joints_stay_inside(name: str) -> None:
    points = mannequin.body(**SHAPES[name])
    joints = mannequin.joints(points)
    corners = points[mannequin.skin_triangles()]
    for bone, head in zip(BONES, joints.heads, strict=True):
        if not bone.name.startswith("eye"):
            assert winding(head, corners) > 0.5, bone.name
    for side, bone in ((1, "eye.L"), (2, "eye.R")):
        ball = points[mannequin.arrays()["vertex_parts"] == side]
        assert np.linalg.norm(joints.heads[NUMBER[bone]] - (ball.min(axis=0) + ball.max(axis=0)) / 2) < 0.003
    assert np.abs(joints.heads[[NUMBER["hand.L"]]] - joints.heads[[NUMBER["hand.R"]]] * [-1, 1, 1]).max() < 1e-4


def winding(point: np.ndarray, corners: np.ndarray) -> float:
    """1 inside a surface, 0 outside: how much of the sphere it covers (van Oosterom and Strackee 1983)."""
    a, b, c = np.moveaxis(corners - point, 1, 0)
    la, lb, lc = (np.linalg.norm(edge, axis=1) for edge in (a, b, c))
    up = (a * np.cross(b, c)).sum(axis=1)
    down = la * lb * lc + (a * b).sum(axis=1) * lc + (b * c).sum(axis=1) * la + (c * a).sum(axis=1) * lb
    return float(2 * np.arctan2(up, down).sum() / (4 * np.pi))


def test_weights_are_even_and_eyes_whole() -> None:
    found = mannequin.arrays()
    assert (found["weight_values"].sum(axis=1, dtype=int) == 255).all()
    for side, bone in ((1, "eye.L"), (2, "eye.R")):
        eye = found["vertex_parts"] == side
        assert (mannequin.weights()[eye, NUMBER[bone]] == 1).all()
        assert mannequin.weights()[~eye, NUMBER[bone]].max() < 0.35
    # No edge has a step from one bone to another.
    faces = found["faces"][found["face_materials"] == 0]
    steps = np.abs(mannequin.weights()[faces] - mannequin.weights()[np.roll(faces, 1, axis=1)]).sum(axis=2) / 2
    assert steps.max() < 0.75
    assert np.percentile(steps, 99) < 0.4


@pytest.mark.parametrize(
    ("bone", "axis"),
    [("forearm.L", (0, 0, -1)), ("forearm.R", (0, 0, 1)), ("shin.L", (1, 0, 0)), ("shin.R", (1, 0, 0))],
)
@pytest.mark.parametrize("shape", [{}, {"weight0": 0.9}, {"age_": 1.0}])
def test_a_right_angle_keeps_the_limbs_section(
    bone: str, axis: tuple[float, float, float], shape: dict[str, float]
) -> None:
    points = mannequin.body(**shape)
    joints = mannequin.joints(points)
    number = NUMBER[bone]
    at, along = joints.heads[number], joints.tails[number] - joints.heads[number]
    turns = turned(bone, axis, 90)
    bent = turns[number] @ along
    limb = limb_triangles(bone)
    straight = area_of_cut(points, limb, at, along)
    mitre = area_of_cut(skinned(points, mannequin.weights(), joints, turns), limb, at, along + bent)
    assert 0.9 < mitre / straight < 1.5


def limb_triangles(bone: str) -> np.ndarray:
    kinds = {"forearm": ("upperarm", "forearm", "hand"), "shin": ("thigh", "shin", "foot")}[bone[:-2]]
    own = np.isin(mannequin.weights().argmax(axis=1), [NUMBER[kind + bone[-2:]] for kind in kinds])
    triangles = mannequin.skin_triangles()
    return triangles[own[triangles].all(axis=1)]


def area_of_cut(points: np.ndarray, triangles: np.ndarray, at: np.ndarray, normal: np.ndarray) -> float:
    """The area inside the loops in which a plane cuts triangles: the sum over the pieces of the cut of r x dr / 2."""
    normal = normal / np.linalg.norm(normal)
    corners = points[triangles] - at
    area = np.zeros(3)
    for triangle, heights in zip(corners, corners @ normal, strict=True):
        up = heights > 0
        if up.all() or not up.any():
            continue
        ends = {}
        for i in range(3):
            j = (i + 1) % 3
            if up[i] != up[j]:
                ends[bool(up[i])] = triangle[i] + (triangle[j] - triangle[i]) * heights[i] / (heights[i] - heights[j])
        area += np.cross(ends[True], ends[False]) / 2
    return abs(float(area @ normal))


def test_arms_hang_as_the_poses_say() -> None:
    found = mannequin.arrays()
    assert found["pose_names"].tolist() == list(POSES)
    joints = mannequin.joints(mannequin.body())
    assert np.allclose(found["pose_rotations"][0], (1, 0, 0, 0), atol=1e-6)
    frames = axes(joints.heads, joints.tails)
    for name, stored in zip(POSES, found["pose_rotations"], strict=True):
        assert np.allclose(rotations(POSES[name], frames), stored, atol=1e-4)
    angles = {}
    for name, pose in POSES.items():
        _, moved = struck(mannequin.body(), mannequin.weights(), joints, pose)
        for side, out in (("L", 1), ("R", -1)):
            way = moved.heads[NUMBER[f"forearm.{side}"]] - moved.heads[NUMBER[f"upperarm.{side}"]]
            angles[name, side] = np.degrees(np.arctan2(-way[2], out * way[0]))
        assert moved.heads * [-1, 1, 1] == pytest.approx(moved.heads[mirrored_bones()], abs=1e-4)
    assert angles["t", "L"] == pytest.approx(0, abs=0.01)
    assert angles["a", "L"] == pytest.approx(45, abs=0.1)
    assert 65 < angles["relaxed", "L"] < 85


def mirrored_bones() -> list[int]:
    return [NUMBER[other_side(bone.name)] for bone in BONES]


@pytest.mark.parametrize("shape", [{}, {"gender_": 1.0}, {"gender0": 1.0}, {"weight0": 0.9}, {"age_": 1.0}])
def test_relaxed_arms_touch_nothing(shape: dict[str, float]) -> None:
    points = mannequin.body(**shape)
    joints = mannequin.joints(points)
    moved, _ = struck(points, mannequin.weights(), joints, POSES["relaxed"])
    strongest = mannequin.weights().argmax(axis=1)
    arm, trunk = (
        np.isin(strongest, [NUMBER[bone.name] for bone in BONES if bone.name.startswith(starts)])
        for starts in (("forearm.L", "hand.L", "index", "middle", "thumb"), ("pelvis", "spine", "thigh"))
    )
    assert cKDTree(moved[trunk]).query(moved[arm])[0].min() > 0.01


def test_skinning_goes_both_ways() -> None:
    points, joints = mannequin.body(), mannequin.joints(mannequin.body())
    turns = turns_of(POSES["relaxed"])
    there = skinned(points, mannequin.weights(), joints, turns)
    assert np.abs(unskinned(there, mannequin.weights(), joints, turns) - points).max() < 1e-9
    assert np.allclose(posed_joints(joints, np.tile(np.eye(3), (len(BONES), 1, 1))).heads, joints.heads)


def test_quaternions_are_their_rotations() -> None:
    random = np.random.default_rng(3)
    for axis, angle in zip(random.normal(size=(50, 3)), np.linspace(0, np.pi, 50), strict=True):
        axis = axis / np.linalg.norm(axis)
        skew = np.array([[0, -axis[2], axis[1]], [axis[2], 0, -axis[0]], [-axis[1], axis[0], 0]])
        matrix = np.eye(3) + np.sin(angle) * skew + (1 - np.cos(angle)) * skew @ skew
        wanted = np.array([np.cos(angle / 2), *(np.sin(angle / 2) * axis)])
        assert abs(quaternions(matrix[None])[0] @ wanted) == pytest.approx(1)
        assert least_turn(np.array([0, 1.0, 0]), matrix[:, 1]) @ [0, 1, 0] == pytest.approx(matrix[:, 1])


def test_rolls_give_the_axes_back() -> None:
    joints = mannequin.joints(mannequin.body())
    frames = axes(joints.heads, joints.tails)
    for frame, roll in zip(frames, rolls(frames), strict=True):
        plain = least_turn(np.array([0.0, 1.0, 0.0]), frame[:, 1])
        cosine, sine = np.cos(roll), np.sin(roll)
        assert plain @ np.array([[cosine, 0, sine], [0, 1, 0], [-sine, 0, cosine]]) == pytest.approx(frame, abs=1e-9)
    assert np.linalg.det(frames) == pytest.approx(np.ones(len(frames)))


def test_quantized_weights_sum_up() -> None:
    random = np.random.default_rng(0)
    weights = random.dirichlet(np.full(len(BONES), 0.1), 500)
    bones, values = quantized(weights)
    assert (values.sum(axis=1, dtype=int) == 255).all()
    kept = np.sort(weights, axis=1)[:, -4:][:, ::-1]
    assert np.abs(values / 255 - kept / kept.sum(axis=1, keepdims=True)).max() < 1 / 255
    assert (np.take_along_axis(weights, bones.astype(int), axis=1)[values > 0] > 0).all()
