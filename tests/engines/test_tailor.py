"""Garments on the body: in their colours, with hems where a person wears them, without holes or steps at seams."""

from __future__ import annotations

import functools

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.spatial import KDTree

from uvmap_id.atlas.layout import Atlas
from uvmap_id.engines.projection.canvas import Canvas
from uvmap_id.engines.projection.skin import paint_skin
from uvmap_id.engines.projection.tailor import dress
from uvmap_id.engines.projection.wardrobe import read_prompt
from uvmap_id.pictures import Floats

SIZE = 512
# Nothing that is worn here is of this colour.
SKIN_LAB = np.array([70.0, 10.0, 15.0], np.float32)


@functools.cache
def worn(prompt: str, size: int = SIZE, seed: int = 3) -> Canvas:
    """A body with skin and what a prompt names."""
    canvas = Canvas.blank(Atlas.load(), size, seed)
    paint_skin(canvas, SKIN_LAB)
    for garment in read_prompt(prompt).garments:
        dress(canvas, garment)
    return canvas


@functools.cache
def bare(size: int = SIZE, seed: int = 3) -> Canvas:
    canvas = Canvas.blank(Atlas.load(), size, seed)
    paint_skin(canvas, SKIN_LAB)
    return canvas


def places(canvas: Canvas) -> tuple[Floats, Floats, Floats, NDArray[np.bool_]]:
    x, y, z = np.moveaxis(canvas.position, -1, 0)
    return x, y, z, canvas.atlas.mask(canvas.size)


def near(canvas: Canvas, x: float, y: float, z: float) -> Floats:
    """The mean sRGB colour of the texels nearest to a place on the body."""
    distance = np.linalg.norm(canvas.position - np.array([x, y, z], np.float32), axis=2)
    distance[~canvas.atlas.mask(canvas.size)] = np.inf
    chosen = distance < distance.min() + 0.005
    assert distance.min() < 0.03, "that place is not on the body"
    return canvas.base_color()[chosen].astype(np.float32).mean(axis=0)


def hue(canvas: Canvas, x: float, y: float, z: float) -> str:
    """The strongest channel at a place, or grey."""
    colour = near(canvas, x, y, z)
    return "grey" if np.ptp(colour) < 22 else ("red", "green", "blue")[int(colour.argmax())]


CHEST, BELLY, THIGH, SHIN = (0.06, -0.115, 0.10), (0.05, -0.12, -0.06), (0.09, -0.10, -0.55), (0.09, 0.0, -0.90)
UPPER_ARM, FOREARM, BACK = (0.30, 0.03, 0.25), (0.58, 0.03, 0.248), (0.05, 0.085, 0.12)


@pytest.mark.parametrize(
    ("prompt", "place", "expected"),
    [
        ("green t-shirt, blue trousers", CHEST, "green"),
        ("green t-shirt, blue trousers", BACK, "green"),
        ("green t-shirt, blue trousers", THIGH, "blue"),
        ("green t-shirt, blue trousers", SHIN, "blue"),
        ("green t-shirt, blue trousers", UPPER_ARM, "green"),
        ("green t-shirt, blue trousers", FOREARM, "red"),  # skin
        ("green shirt", FOREARM, "green"),
        ("blue dress", THIGH, "blue"),
        ("blue dress", SHIN, "red"),
        ("blue shorts, black shirt", THIGH, "blue"),
        ("blue shorts, black shirt", SHIN, "red"),
        ("business suit", FOREARM, "grey"),
        ("business suit", SHIN, "grey"),
        ("green hat, shirt", (0.0, -0.03, 0.53), "green"),
        ("green gloves, shirt", (0.74, 0.02, 0.225), "green"),
        ("green boots, shirt", (0.10, -0.10, -1.09), "green"),
    ],
)
def test_colours_are_where_a_person_wears_them(prompt: str, place: tuple[float, float, float], expected: str) -> None:
    assert hue(worn(prompt), *place) == expected


def test_sunglasses_are_dark_and_glasses_leave_the_eyes_free() -> None:
    atlas = Atlas.load()
    column, row = (int(value * 1024) for value in (atlas.landmarks[159][0], 1 - atlas.landmarks[159][1]))
    dark, clear = worn("sunglasses, shirt", 1024).base_color(), worn("glasses, shirt", 1024).base_color()
    assert dark[row, column].max() < 50
    assert (clear[row, column] == bare(1024).base_color()[row, column]).all()
    assert (clear != bare(1024).base_color())[row - 40 : row + 40, column - 60 : column + 60].any()


@pytest.mark.parametrize(("prompt", "low", "high"), [("trousers, white shirt", -1.03, -0.24), ("skirt", -0.63, -0.25)])
def test_cloth_has_no_holes_on_the_legs(prompt: str, low: float, high: float) -> None:
    canvas = worn(f"blue {prompt}")
    x, _, z, used = places(canvas)
    cloth = used & (z > low) & (z < high) & (np.abs(x) < 0.3)
    assert cloth.sum() > 5000
    assert (_distance_to_skin(canvas)[cloth] > 0.06).all()


@pytest.mark.parametrize("prompt", ["shirt", "sweater", "jacket", "hoodie"])
def test_cloth_has_no_holes_on_trunk_and_arms(prompt: str) -> None:
    canvas = worn(f"blue {prompt}, white trousers")
    x, _, z, used = places(canvas)
    cloth = used & (z > -0.15) & (z < 0.19) & (np.abs(x) < 0.6)
    assert cloth.sum() > 20000
    assert (_distance_to_skin(canvas)[cloth] > 0.06).all()


def test_gloves_have_no_holes_between_the_fingers() -> None:
    canvas = worn("blue gloves, shirt")
    x, _, _, used = places(canvas)
    assert (_distance_to_skin(canvas)[used & (np.abs(x) > 0.69)] > 0.06).all()


def _distance_to_skin(canvas: Canvas) -> Floats:
    """How differently each texel is coloured from the bare body's; 0 where skin is seen."""
    skin = bare(canvas.size).colour
    return np.abs(canvas.colour / (canvas.colour.sum(axis=2, keepdims=True) + 1e-4)
                  - skin / (skin.sum(axis=2, keepdims=True) + 1e-4)).sum(axis=2)  # fmt: skip


def test_hems_are_level_all_around_the_legs() -> None:
    """The lowest cloth of shorts is at the same height in front, behind, inside and outside."""
    canvas = worn("blue shorts, white shirt", 1024)
    x, y, z, used = places(canvas)
    cloth = used & (np.abs(x) < 0.25) & (z < -0.45) & (_distance_to_skin(canvas) > 0.1)
    turn = np.arctan2(np.abs(x) - 0.09, -y)
    lowest = [z[cloth & (np.abs(turn - middle) < 0.4)].min() for middle in (-2.4, -1.2, 0.0, 1.2, 2.4)]
    assert np.ptp(lowest) < 0.006
    assert np.mean(lowest) == pytest.approx(-0.62, abs=0.01)


@pytest.mark.parametrize("prompt", ["red and white striped t-shirt", "red and white plaid shirt"])
def test_patterns_run_on_across_the_seams_of_the_atlas(prompt: str) -> None:
    """Texels of different islands that lie at the same place on the sleeves have the same colour."""
    canvas = worn(f"{prompt}, white trousers", 1024)
    x, _, z, used = places(canvas)
    # The seam of each sleeve's island lies along the arm: its two edges are far apart in the atlas.
    sleeve = np.flatnonzero((used & (np.abs(x) > 0.19) & (np.abs(x) < 0.31) & (z > 0.05)).ravel())
    pairs = KDTree(canvas.position.reshape(-1, 3)[sleeve]).query_pairs(0.0018, output_type="ndarray")
    rows, columns = np.divmod(sleeve[pairs], 1024)
    pairs = pairs[np.hypot(np.diff(rows)[:, 0], np.diff(columns)[:, 0]) > 60]
    assert len(pairs) > 50
    colours = canvas.colour.reshape(-1, 3)[sleeve]
    step = np.abs(colours[pairs[:, 0]] - colours[pairs[:, 1]]).mean()
    spread = np.abs(colours - np.roll(colours, 500, axis=0)).mean()
    assert step < 0.3 * spread


def test_cloth_stands_above_skin_and_is_rougher() -> None:
    canvas, skin = worn("white shirt, jeans"), bare()
    x, _, z, used = places(canvas)
    cloth = used & (np.abs(z) < 0.1) & (np.abs(x) < 0.3)
    assert canvas.relief[cloth].mean() > skin.relief[cloth].mean() + 0.3
    assert canvas.roughness[cloth].mean() > skin.roughness[cloth].mean() + 0.2


def test_folds_are_in_the_relief_more_than_in_the_colour() -> None:
    canvas = worn("white shirt, jeans")
    x, _, z, used = places(canvas)
    elbow = used & (np.abs(np.abs(x) - 0.43) < 0.05) & (z > 0.1)
    assert canvas.relief[elbow].std() > 0.3
    assert (canvas.colour[elbow].std(axis=0) / canvas.colour[elbow].mean(axis=0)).max() < 0.12


def test_body_skin_is_redder_at_knuckles_and_paler_in_the_palm() -> None:
    canvas = bare(1024)
    knuckle, back, palm = (
        near(canvas, *place) for place in ((0.735, 0.03, 0.23), (0.60, 0.03, 0.245), (0.72, 0.02, 0.187))
    )
    assert knuckle[0] - knuckle[1] > back[0] - back[1] + 3
    assert palm.sum() > knuckle.sum()


def test_the_same_chance_gives_the_same_bytes() -> None:
    """Also after other requests, and whichever processor is first."""
    prompt = "camouflage jacket, jeans, boots, hat, glasses"
    one = worn(prompt)
    worn("santa claus costume", SIZE, 9)
    worn.cache_clear()
    other = worn(prompt)
    for name in ("base_color", "normal", "roughness_map"):
        assert (getattr(one, name)() == getattr(other, name)()).all()


@pytest.mark.parametrize("prompt", ["red dress", "red sleeveless gown", "long red tank top", "red coat"])
def test_no_garment_has_a_hole_at_the_hips(prompt: str) -> None:
    canvas = worn(prompt)
    x, _, z, used = places(canvas)
    hem = next(garment.hem for garment in read_prompt(prompt).garments if garment.slot == "upper")
    sides = used & (z < -0.05) & (z > hem + 0.05) & (np.abs(x) > 0.16)
    assert sides.sum() > 100
    colours = canvas.base_color()[sides].astype(int)
    assert (colours[:, 0] > colours[:, 1:].max(axis=1) * 2).all()
