"""The mannequin's shapes and expressions, measured on the file that the extension brings."""

from __future__ import annotations

import mannequin_arrays as mannequin
import numpy as np
import pytest

from uvmap_id.atlas.view import Camera
from uvmap_id.bodies.shape_keys import sphere

SLIDERS = ("gender", "age", "muscle", "weight", "height", "proportions")
ENDS = [f"{name}{end}" for name in SLIDERS for end in "-+"]
ANCESTRIES = ["african", "asian", "caucasian"]
ARKIT = """browDownLeft browDownRight browInnerUp browOuterUpLeft browOuterUpRight cheekPuff cheekSquintLeft
cheekSquintRight eyeBlinkLeft eyeBlinkRight eyeLookDownLeft eyeLookDownRight eyeLookInLeft eyeLookInRight
eyeLookOutLeft eyeLookOutRight eyeLookUpLeft eyeLookUpRight eyeSquintLeft eyeSquintRight eyeWideLeft eyeWideRight
jawForward jawLeft jawOpen jawRight mouthClose mouthDimpleLeft mouthDimpleRight mouthFrownLeft mouthFrownRight
mouthFunnel mouthLeft mouthLowerDownLeft mouthLowerDownRight mouthPressLeft mouthPressRight mouthPucker mouthRight
mouthRollLower mouthRollUpper mouthShrugLower mouthShrugUpper mouthSmileLeft mouthSmileRight mouthStretchLeft
mouthStretchRight mouthUpperUpLeft mouthUpperUpRight noseSneerLeft noseSneerRight tongueOut""".split()
# Where the lids are looked at from: degrees to the side and from above.
VIEWS = ((0, 0), (-30, 0), (30, 0), (0, 20), (0, -20))


def height(points: np.ndarray) -> float:
    return float(np.ptp(points[:, 2]))


def test_the_keys_are_all_there() -> None:
    combined = [name for name in mannequin.names() if "*" in name]
    assert set(mannequin.names()) == {*ENDS, *ANCESTRIES, *combined, *ARKIT}
    assert all(set(name.split("*")) <= set(ENDS) for name in combined)
    kinds = dict(zip(mannequin.names(), mannequin.arrays()["shape_kinds"].tolist(), strict=True))
    assert {name for name, kind in kinds.items() if kind == 1} == set(ARKIT)


@pytest.mark.parametrize("name", [*ENDS, *ANCESTRIES])
def test_feet_stay_on_the_floor(name: str) -> None:
    points = mannequin.arrays()["vertices"] + mannequin.offsets(name)
    assert points[:, 2].min() == pytest.approx(0, abs=0.002)


@pytest.mark.parametrize("name", [*ENDS, *ANCESTRIES])
def test_shapes_are_symmetric_and_visible(name: str) -> None:
    own, partners = mannequin.pairs()
    assert len(own) > 0.95 * len(mannequin.arrays()["vertices"])
    moved = mannequin.offsets(name)
    assert np.abs(moved[own] - moved[partners] * [-1, 1, 1]).max() < 1e-4
    assert np.linalg.norm(moved, axis=1).max() > 0.005


def test_ages_and_heights_are_those_of_people() -> None:
    assert 1.68 < height(mannequin.body()) < 1.78
    assert 1.20 < height(mannequin.body(age_=1)) < 1.45
    assert height(mannequin.body(age0=1)) < height(mannequin.body()) - 0.01
    assert 1.74 < height(mannequin.body(gender_=1)) < 1.86
    assert 1.60 < height(mannequin.body(gender0=1)) < 1.72
    assert 1.45 < height(mannequin.body(height_=1)) < 1.60
    assert 1.85 < height(mannequin.body(height0=1)) < 2.05


@pytest.mark.parametrize("gender", [{}, {"gender_": 1.0}, {"gender0": 1.0}])
def test_heavy_and_thin_are_seen_with_average_muscle(gender: dict[str, float]) -> None:
    """A litre of a body weighs about a kilogram: the body-mass indices are those of the words."""
    found = {
        name: 1000 * mannequin.volume(points) / height(points) ** 2
        for name, points in {
            "neutral": mannequin.body(**gender),
            "thin": mannequin.body(weight_=1, **gender),
            "heavy": mannequin.body(weight0=1, **gender),
        }.items()
    }
    assert 18.5 < found["neutral"] < 25
    assert found["thin"] < found["neutral"] - 1.5
    assert 29 < found["heavy"] < 40


def test_ancestries_are_differences_from_their_mean() -> None:
    # Each key is rounded to steps of 0.3 mm on its own.
    assert np.abs(sum(mannequin.offsets(name) for name in ANCESTRIES)).max() < 1.6 * 3e-4
    for name in ANCESTRIES:
        assert height(mannequin.body(**{name: 1.0})) == pytest.approx(height(mannequin.body()), abs=0.01)


def test_girls_and_boys_have_the_chests_of_children() -> None:
    """Between nipple height and the back a girl is no deeper than a boy, though a woman is."""

    def depth(points: np.ndarray) -> float:
        level = 0.72 * height(points)
        near = points[(np.abs(points[:, 2] - level) < 0.012) & (np.abs(points[:, 0]) < 0.1)]
        return float(np.ptp(near[:, 1])) / height(points)

    girl, boy = depth(mannequin.body(age_=1, gender0=1)), depth(mannequin.body(age_=1, gender_=1))
    assert girl < 1.06 * boy


@pytest.mark.parametrize("name", ARKIT)
def test_expressions_move_the_face_alone(name: str) -> None:
    moved = np.linalg.norm(mannequin.offsets(name), axis=1)
    assert 0.002 < moved.max() < 0.045
    points, eye = mannequin.arrays()["vertices"], mannequin.arrays()["eye_centres"][0]
    ear = points[mannequin.landmark("left_ear")]
    crown = points[mannequin.landmark("crown")]
    assert moved[points[:, 1] > ear[1] + 0.02].max() < 0.0005  # The back of the head.
    assert moved[points[:, 2] > (eye[2] + 2 * crown[2]) / 3].max() < 0.0005  # The skull.
    assert moved[points[:, 2] < points[mannequin.landmark("chin"), 2] - 0.09].max() < 0.0005  # The neck.


@pytest.mark.parametrize("name", ARKIT)
def test_left_and_right_expressions_are_mirror_images(name: str) -> None:
    sides = {"Left": "Right", "Right": "Left"}
    twin = next((name.removesuffix(end) + other for end, other in sides.items() if name.endswith(end)), name)
    own, partners = mannequin.pairs()
    difference = mannequin.offsets(name)[own] - mannequin.offsets(twin)[partners] * [-1, 1, 1]
    assert np.abs(difference).max() < 2e-5


def eye_pixels(points: np.ndarray, side: int, yaw: float, pitch: float) -> int:
    """How many pixels of a picture of one eye show the ball."""
    center = mannequin.arrays()["eye_centres"][side]
    angle = np.radians(pitch)
    turn = np.array([[1, 0, 0], [0, np.cos(angle), -np.sin(angle)], [0, np.sin(angle), np.cos(angle)]])
    triangles = mannequin.all_triangles()
    raster = Camera(center, 0.03, 300, yaw).draw((points - center) @ turn.T + center, triangles)
    ball = (mannequin.arrays()["vertex_parts"] == side + 1)[triangles].all(axis=1)
    return int((ball[raster.triangle] & raster.covered).sum())


@pytest.mark.parametrize(("side", "name"), [(0, "eyeBlinkLeft"), (1, "eyeBlinkRight")])
def test_lids_close(side: int, name: str) -> None:
    opened = mannequin.body()
    closed = opened + mannequin.offsets(name)
    for view in VIEWS:
        assert eye_pixels(opened, side, *view) > 2000
        assert eye_pixels(closed, side, *view) <= 3
    # The other eye stays open.
    assert eye_pixels(closed, 1 - side, 0, 0) == pytest.approx(eye_pixels(opened, 1 - side, 0, 0), rel=0.05)


def test_lids_move_on_as_the_eyes_open() -> None:
    blink = mannequin.offsets("eyeBlinkLeft")
    shown = [eye_pixels(mannequin.body() + part * blink, 0, 0, 0) for part in np.linspace(0, 1, 5)]
    assert shown == sorted(shown, reverse=True)
    wide = eye_pixels(mannequin.body() + mannequin.offsets("eyeWideLeft"), 0, 0, 0)
    narrow = eye_pixels(mannequin.body() + mannequin.offsets("eyeSquintLeft"), 0, 0, 0)
    assert narrow < 0.8 * shown[0] < shown[0] < 0.9 * wide


def test_smiles_go_up_and_out_and_frowns_down() -> None:
    corner = mannequin.landmark("left_mouth_corner")
    out, _, up = mannequin.offsets("mouthSmileLeft")[corner]
    assert out > 0.003
    assert up > 0.003
    assert mannequin.offsets("mouthFrownLeft")[corner][2] < -0.003
    assert mannequin.offsets("mouthPucker")[corner][0] < -0.003
    assert mannequin.offsets("mouthStretchLeft")[corner][0] > 0.003
    assert np.linalg.norm(mannequin.offsets("mouthSmileRight")[corner]) < 0.004


def test_the_jaw_opens_about_its_joint() -> None:
    points, moved = mannequin.arrays()["vertices"].astype(np.float64), mannequin.offsets("jawOpen")
    bones = mannequin.arrays()["bone_names"].tolist()
    jaw = bones.index("jaw")
    own = mannequin.weights()[:, jaw] > 0.95
    before, after = points[own][:, 1:], (points + moved)[own][:, 1:]
    a, b = before - before.mean(axis=0), after - after.mean(axis=0)
    angle = np.arctan2((a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]).sum(), (a * b).sum())
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    middle = np.linalg.solve(np.eye(2) - turn, after.mean(axis=0) - turn @ before.mean(axis=0))
    assert 15 < np.degrees(angle) < 30
    assert np.linalg.norm(middle - mannequin.arrays()["bone_heads"][jaw, 1:]) < 0.03
    upper, lower = (mannequin.landmark(name) for name in ("upper_lip", "lower_lip"))
    gap = (points + moved)[upper, 2] - (points + moved)[lower, 2]
    assert gap > 0.025
    closed = points + moved + mannequin.offsets("mouthClose")
    assert abs(closed[upper, 2] - closed[lower, 2]) < 0.3 * gap


def test_brows_and_tongue_go_where_their_names_say() -> None:
    face = mannequin.arrays()["vertices"]
    brow = (face[:, 2] > mannequin.arrays()["eye_centres"][0, 2] + 0.015) & (face[:, 1] < -0.1) & (face[:, 0] > 0.01)
    for name, sign in (("browDownLeft", -1), ("browInnerUp", 1), ("browOuterUpLeft", 1)):
        ups = mannequin.offsets(name)[brow][:, 2]
        assert sign * ups[np.abs(ups).argmax()] > 0.003, name
    tongue = mannequin.offsets("tongueOut")
    assert tongue[np.linalg.norm(tongue, axis=1).argmax()][1] < -0.02


def test_looking_turns_the_balls() -> None:
    found = mannequin.arrays()
    ball = found["vertex_parts"] == 1
    center, radius = sphere(found["vertices"][ball].astype(np.float64))
    assert np.linalg.norm(center - found["eye_centres"][0]) < 1e-4
    front = np.flatnonzero(ball)[found["vertices"][ball][:, 1].argmin()]
    for name, axis, sign in (("Up", 2, 1), ("Down", 2, -1), ("Out", 0, 1), ("In", 0, -1)):
        moved = mannequin.offsets(f"eyeLook{name}Left")[front]
        assert sign * moved[axis] > 0.1 * radius, name
