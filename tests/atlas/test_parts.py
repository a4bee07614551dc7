"""What the atlas says a texel shows, and which way it faces, at places that everybody knows."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from shared_data import shared

from uvmap_id.atlas import parts as groups
from uvmap_id.atlas.layout import Atlas
from uvmap_id.atlas.parts import JOINTS, Part
from uvmap_id.atlas.view import vertex_normals
from uvmap_id.bodies.calibrate import z_up
from uvmap_id.bodies.obj import read_obj
from uvmap_id.link.request import SIZES

LIMBS = [part for part in Part if part.name.endswith("_LEFT")]


@pytest.fixture(scope="module")
def atlas() -> Atlas:
    return Atlas.load()


def part_at(atlas: Atlas, uv: tuple[float, float]) -> Part:
    size = 1024
    return Part(int(atlas.parts(size)[int((1 - uv[1]) * size), int(uv[0] * size)]))


@pytest.mark.parametrize("landmark", [4, 50, 280, 152, 10, 61, 33, 263])
def test_the_landmarks_are_on_the_face(atlas: Atlas, landmark: int) -> None:
    assert part_at(atlas, tuple(atlas.landmarks[landmark])) == Part.FACE


@pytest.mark.parametrize(
    ("place", "part"),
    {
        (0.130, 0.780): Part.EAR_RIGHT,
        (0.469, 0.780): Part.EAR_LEFT,
        (0.300, 0.945): Part.SCALP,
        (0.040, 0.800): Part.SCALP,  # the back of the head
        (0.300, 0.590): Part.NECK,
        (0.314, 0.400): Part.CHEST,
        (0.314, 0.230): Part.ABDOMEN,  # just above the navel
        (0.314, 0.070): Part.HIPS,
        (0.040, 0.350): Part.UPPER_BACK,
        (0.040, 0.180): Part.LOWER_BACK,
        (0.050, 0.070): Part.BUTTOCKS,
        (0.660, 0.850): Part.SHIN_RIGHT,
        (0.900, 0.900): Part.THIGH_LEFT,
    }.items(),
)
def test_known_places(atlas: Atlas, place: tuple[float, float], part: Part) -> None:
    assert part_at(atlas, place) == part


@pytest.mark.parametrize("size", SIZES)
def test_parts_and_islands_are_labelled_at_every_size(atlas: Atlas, size: int) -> None:
    labels, islands, mask = atlas.parts(size), atlas.islands(size), atlas.mask(size)
    assert labels.shape == islands.shape == (size, size)
    assert set(np.unique(labels)) == set(Part)
    assert len(np.unique(islands)) == 11  # head, torso, and two arms, legs, hands, feet; and what is unused
    for labelled in (labels > 0, islands > 0):
        assert (labelled != mask).mean() < 0.01


@pytest.mark.parametrize("left", LIMBS)
def test_left_is_left_and_right_is_right(atlas: Atlas, left: Part) -> None:
    right = Part(left + 1)
    assert right.name == left.name.replace("LEFT", "RIGHT")
    across = atlas.position(1024)[..., 0]
    on_left, on_right = atlas.shows([left], 1024), atlas.shows([right], 1024)
    assert (across[on_left] > 0).mean() > 0.99
    assert (across[on_right] < 0).mean() > 0.99
    # The shoulders differ most, by 15 %: SMPL's armholes are no mirror images of each other.
    assert on_left.sum() == pytest.approx(on_right.sum(), rel=0.18)


def test_parts_lie_in_order_along_the_body(atlas: Atlas) -> None:
    position = np.abs(atlas.position(1024) - [0, 0, 1])

    def order(axis: int, *parts: Part) -> list[float]:
        return [float(np.median(position[..., axis][atlas.shows([part], 1024)])) for part in parts]

    trunk = (Part.SCALP, Part.FACE, Part.NECK, Part.CHEST, Part.ABDOMEN, Part.HIPS)
    downwards = order(2, *trunk, Part.THIGH_LEFT, Part.SHIN_LEFT, Part.FOOT_LEFT, Part.SOLE_LEFT)
    assert downwards == sorted(downwards)
    arm = (Part.SHOULDER_LEFT, Part.UPPER_ARM_LEFT, Part.FOREARM_LEFT, Part.PALM_LEFT, Part.FINGERS_LEFT)
    outwards = order(0, *arm)
    assert outwards == sorted(outwards)


def test_the_groups_of_parts_cover_the_body_once() -> None:
    whole = [groups.HEAD, {Part.NECK}, groups.TORSO, groups.ARMS, groups.HANDS, groups.LEGS, groups.FEET]
    for one, other in itertools.combinations(whole, 2):
        assert not set(one) & set(other)
    assert set().union(*whole) == set(Part) - {Part.NONE}


def test_a_value_is_never_given_to_another_part() -> None:
    """Textures and garment files refer to them."""
    assert [part.value for part in Part] == list(range(34))
    assert (Part.FACE, Part.CHEST, Part.PALM_LEFT, Part.SOLE_RIGHT) == (1, 6, 18, 33)


def test_joints_are_where_limbs_bend(atlas: Atlas) -> None:
    joints = atlas.joints
    assert tuple(joints) == JOINTS
    for name in ("shoulder", "elbow", "wrist", "knuckles", "hip", "knee", "ankle", "toes"):
        left, right = joints[f"{name}_left"], joints[f"{name}_right"]
        assert left[0] > 0.05
        assert np.abs(left - right * [-1, 1, 1]).max() < 0.03
    assert joints["shoulder_left"][0] < joints["elbow_left"][0] < joints["wrist_left"][0] < joints["knuckles_left"][0]
    assert joints["neck"][2] > joints["waist"][2] > joints["hip_left"][2] > joints["knee_left"][2]
    upper, lower = joints["hip_left"][2] - joints["knee_left"][2], joints["knee_left"][2] - joints["ankle_left"][2]
    assert upper == pytest.approx(lower, rel=0.2)


@pytest.mark.parametrize("size", [512, 1024, 4096])
def test_normals_have_unit_length(atlas: Atlas, size: int) -> None:
    normal = atlas.normal(size)
    assert normal.shape == (size, size, 3)
    assert normal.dtype == np.float32
    length = np.linalg.norm(normal[:: size // 256], axis=-1)
    assert np.abs(length - 1).max() < 1e-3


def test_normals_look_outwards(atlas: Atlas) -> None:
    normal = atlas.normal(1024)

    def mean(*parts: Part) -> np.ndarray:
        return normal[atlas.shows(parts, 1024)].mean(axis=0)

    assert mean(Part.CHEST)[1] < -0.5
    assert mean(Part.UPPER_BACK)[1] > 0.5
    assert mean(Part.FACE)[1] < -0.4
    assert mean(*groups.PALMS)[2] < -0.4
    assert mean(Part.HAND_BACK_LEFT, Part.HAND_BACK_RIGHT)[2] > 0.4
    assert mean(*groups.SOLES)[2] < -0.7
    assert mean(Part.EAR_LEFT)[0] > 0.3 > -0.3 > mean(Part.EAR_RIGHT)[0]


def test_normals_are_those_of_the_template_to_some_degrees(atlas: Atlas) -> None:
    mesh = read_obj(shared("smpl/smpl_uv.obj"))
    wanted = vertex_normals(z_up(mesh.vertices), mesh.triangles)[mesh.triangles.ravel()]
    uvs, size = mesh.uvs[mesh.uv_triangles.ravel()], 1024
    columns = np.clip((uvs[:, 0] * size).astype(int), 0, size - 1)
    rows = np.clip(((1 - uvs[:, 1]) * size).astype(int), 0, size - 1)
    angle = np.degrees(np.arccos(np.clip((atlas.normal(size)[rows, columns] * wanted).sum(axis=1), -1, 1)))
    assert np.median(angle) < 15
    assert np.percentile(angle, 95) < 75
