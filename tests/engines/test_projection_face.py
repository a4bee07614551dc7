"""The face's border, its hidden side, and what is before it: on fields with a known answer, and on a real portrait."""

from __future__ import annotations

import functools
import hashlib
import io
from collections.abc import Callable

import cv2
import numpy as np
import pytest
import skimage.data
from numpy.typing import NDArray
from PIL import Image

from uvmap_id.atlas.face import mirrored, region_shape, region_slices
from uvmap_id.atlas.layout import Atlas
from uvmap_id.engines.base import TextureSet
from uvmap_id.engines.projection.colour import from_lab, to_lab, to_linear
from uvmap_id.engines.projection.completion import completed, filled
from uvmap_id.engines.projection.engine import ProjectionEngine
from uvmap_id.engines.projection.membrane import membrane
from uvmap_id.engines.projection.palette import Palette, Shade
from uvmap_id.engines.projection.warp import WarpedFace, face_features, inside_face
from uvmap_id.faces.landmarks import FaceFinder, FaceLandmarks
from uvmap_id.link.request import TextureRequest

SIZE = 512
SHAPE = region_shape(SIZE)
TONE = np.array([70.0, 12.0, 18.0], np.float32)
AXIS = 0.3
CROWN = (0.08, 0.90)
FOREHEAD = (0.30, 0.885)

Generate = Callable[..., TextureSet]


@pytest.fixture(scope="module")
def portrait() -> NDArray[np.uint8]:
    """The portrait's head, large enough for thin things to be drawn on it."""
    return cv2.resize(skimage.data.astronaut()[:256, 90:346], None, fx=3, fy=3, interpolation=cv2.INTER_CUBIC)


@pytest.fixture(scope="module")
def landmarks(portrait: NDArray[np.uint8]) -> FaceLandmarks:
    with FaceFinder() as finder:
        (face,) = finder.find(portrait)
    return face


@pytest.fixture(scope="module")
def generate(portrait: NDArray[np.uint8]) -> Generate:
    engine = ProjectionEngine()

    @functools.cache
    def made(content: bytes, prompt: str, size: int) -> TextureSet:
        request = TextureRequest(hashlib.sha256(content).hexdigest(), prompt, size=size)
        return engine.generate(request, (content,), lambda stage, fraction, preview=None: None)

    def run(image: NDArray[np.uint8] = portrait, prompt: str = "white shirt, jeans", size: int = 1024) -> TextureSet:
        buffer = io.BytesIO()
        Image.fromarray(image).save(buffer, "PNG")
        return made(buffer.getvalue(), prompt, size)

    return run


def a_face(colour: NDArray[np.float32], seen: NDArray[np.float32]) -> WarpedFace:
    atlas = Atlas.load()
    inside = inside_face(atlas, SIZE)
    normal = np.broadcast_to(np.array([0, -1, 0], np.float32), (*SHAPE, 3))
    return WarpedFace(colour, seen, inside * 0.05, face_features(atlas, SIZE), normal, AXIS)


def a_palette() -> Palette:
    return Palette(Shade(TONE.astype(np.float64), np.diag([80.0, 16.0, 16.0])), None)


def flat(lab: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.broadcast_to(from_lab(lab[None, None]), (*SHAPE, 3)).astype(np.float32).copy()


def lightness(image: NDArray[np.uint8], uv: tuple[float, float], reach: int = 6) -> float:
    size = image.shape[0]
    row, column = int((1 - uv[1]) * size), int(uv[0] * size)
    return float(to_lab(to_linear(image[row - reach : row + reach, column - reach : column + reach]))[..., 0].mean())


# --- the membrane


def test_a_membrane_continues_a_slope_through_a_hole() -> None:
    """Laplace's equation: the smoothest surface through a plane's border is the plane."""
    across, down = np.meshgrid(np.linspace(0, 1, 180), np.linspace(0, 1, 170))
    plane = np.stack([across, 1 - down, across + down], axis=-1).astype(np.float32)
    known = np.ones(plane.shape[:2], np.float32)
    known[40:130, 30:150] = 0
    assert np.abs(membrane(plane * known[..., None], known) - plane).max() < 0.04


@pytest.mark.parametrize("reach", [6, 25])
def test_a_membrane_decays_within_its_reach(reach: int) -> None:
    """The screened Poisson equation beside a straight line: exp(-distance / reach)."""
    known = np.zeros((160, 160), np.float32)
    known[:, 80] = 1
    row = membrane(np.ones((160, 160, 3), np.float32), known, reach)[80, :, 0]
    for steps in (0, 1, 2):
        assert row[80 + steps * reach] == pytest.approx(np.exp(-steps), abs=0.08)


def test_a_membrane_without_anything_known_is_flat() -> None:
    assert not membrane(np.ones((40, 40, 3), np.float32), np.zeros((40, 40), np.float32)).any()


# --- the hidden side


def test_the_hidden_side_comes_from_the_other_in_its_own_light() -> None:
    """Half a face is hidden, the other half lies in darker light: no step where they meet."""
    u = np.linspace(0.1, 0.5, SHAPE[1])
    hidden = np.broadcast_to(u > AXIS + 0.02, SHAPE)
    colour = flat(TONE)
    mole = (slice(110, 116), slice(60, 66))
    colour[mole] *= 0.3
    colour[hidden] = [0.0, 0.3, 0.0]
    whole = completed(a_face(colour, (~hidden).astype(np.float32)), a_palette())
    row = to_lab(whole.colour)[110 - 40, :, 0]
    assert np.abs(np.diff(row[60:-60])).max() < 3
    assert np.abs(row[60:-60] - TONE[0]).max() < 4
    assert to_lab(mirrored(whole.colour, AXIS))[113, 63, 0] < TONE[0] - 15
    assert whole.seen.min() >= 0


def test_a_hole_is_filled_with_skin_and_its_grain() -> None:
    random = np.random.default_rng(3)
    colour = flat(TONE) * (1 + 0.06 * random.standard_normal((*SHAPE, 1)).astype(np.float32))
    hole = np.zeros(SHAPE, np.float32)
    hole[95:105, 60:140] = 1
    spoilt = np.where(hole[..., None] > 0, np.float32(0.01), colour)
    face = a_face(spoilt.astype(np.float32), np.ones(SHAPE, np.float32))
    made = to_lab(filled(face, hole, a_palette()).colour)[97:103, 65:135]
    around = to_lab(colour)[80:92, 65:135]
    assert np.abs(made.mean(axis=(0, 1)) - around.mean(axis=(0, 1))).max() < 3
    assert 0.3 < made[..., 0].std() / around[..., 0].std() < 2


# --- glasses and hair


def with_glasses(image: NDArray[np.uint8], face: FaceLandmarks, dark: bool = False) -> NDArray[np.uint8]:
    drawn, span = image.copy(), face.eye_distance
    right, left = (face.points[list(eye), :2].mean(axis=0) for eye in ((33, 133, 159, 145), (263, 362, 386, 374)))
    axes = (round(0.24 * span), round(0.19 * span))
    for middle in (right, left):
        place = tuple(np.round(middle + np.array([0, 0.04 * span])).astype(int).tolist())
        cv2.ellipse(drawn, place, axes, 0, 0, 360, (24, 20, 18), -1 if dark else round(0.04 * span), cv2.LINE_AA)
    bridge = [
        np.round(middle + np.array([side * axes[0], 0])).astype(int).tolist()
        for middle, side in ((right, 1), (left, -1))
    ]
    cv2.line(drawn, bridge[0], bridge[1], (24, 20, 18), round(0.04 * span), cv2.LINE_AA)
    return drawn


def test_glasses_are_left_out(portrait: NDArray[np.uint8], landmarks: FaceLandmarks, generate: Generate) -> None:
    bare, worn = generate(), generate(with_glasses(portrait, landmarks))
    assert bare.details["left_out"] == []
    assert worn.details["left_out"] == ["glasses"]
    assert any("glasses" in warning for warning in worn.warnings)
    rows, columns = region_slices(1024)
    darkest = [
        cv2.blur(to_lab(to_linear(image.base_color[rows, columns]))[..., 0], (3, 3))[175:230, 110:190].min()
        for image in (bare, worn)
    ]
    assert darkest[1] > darkest[0] - 8  # below the eye, where the rim was


def test_sunglasses_are_named(portrait: NDArray[np.uint8], landmarks: FaceLandmarks, generate: Generate) -> None:
    result = generate(with_glasses(portrait, landmarks, dark=True))
    assert any("sunglasses" in warning for warning in result.warnings)


def test_a_bald_head_loses_the_fringe_too(generate: Generate) -> None:
    own, bald = generate(), generate(prompt="bald, white shirt")
    assert lightness(own.base_color, CROWN) < 55
    assert lightness(own.base_color, FOREHEAD) < 65
    assert bald.details["left_out"] == ["hair"]
    assert lightness(bald.base_color, FOREHEAD) > 65
    assert lightness(bald.base_color, CROWN) > 65


def test_the_fringe_gets_the_colour_that_is_asked_for(generate: Generate) -> None:
    black = generate(prompt="black hair, white shirt")
    assert lightness(black.base_color, CROWN) < 20
    assert lightness(black.base_color, FOREHEAD) < 30


def test_hair_has_the_photos_own_shades(generate: Generate) -> None:
    colour = generate().base_color[40:180, 30:130]
    lab = to_lab(to_linear(colour)).reshape(-1, 3)
    assert 4 < lab[:, 0].std() < 20
    assert np.median(lab[:, 2]) > 12  # blond


# --- the photo's resolution


def test_a_photo_of_any_size_is_laid_in_the_same_place(generate: Generate) -> None:
    """Photos that have about as many pixels as the atlas has texels are not shrunk, and their places neither."""
    small = skimage.data.astronaut()[:256, 90:346]
    rows, columns = region_slices(512)
    faces = [
        generate(cv2.resize(small, None, fx=factor, fy=factor, interpolation=cv2.INTER_CUBIC), size=512)
        .base_color[rows, columns][60:140, 50:155]
        .astype(np.float32)
        for factor in (1.4, 1.5, 1.6, 4.0)
    ]
    for face in faces[:-1]:
        assert np.corrcoef(face.ravel(), faces[-1].ravel())[0, 1] > 0.93


# --- the border


def test_no_edge_around_the_face(generate: Generate) -> None:
    """Along the jaw the texture is as smooth as the painted skin is."""
    rows, columns = region_slices(1024)
    lab = to_lab(to_linear(generate().base_color[rows, columns]))
    soft = np.stack([cv2.GaussianBlur(np.ascontiguousarray(lab[..., k]), (0, 0), 2) for k in range(3)], axis=-1)
    down = np.linalg.norm(np.diff(soft, axis=0), axis=-1)
    jaw = down[270:330, 130:280]  # from below the lips to the neck
    assert np.percentile(jaw, 99) < 2.5


# --- nails


def test_nails_are_glossy_and_lie_on_the_hands(generate: Generate) -> None:
    roughness = generate().roughness
    place = (int((1 - 0.1330) * 1024), int(0.9210 * 1024))  # the left ring finger
    assert roughness[place] < 80
    assert roughness[place[0] + 25, place[1]] > 105


def test_palettes_tell_blond_hair_from_skin() -> None:
    hair = Shade(np.array([48.0, 6.0, 24.0]), np.diag([60.0, 12.0, 12.0]))
    palette = Palette(a_palette().skin, hair)
    assert palette.skin_share(TONE) > 0.9
    assert palette.hair_share(np.array([48.0, 6.0, 24.0])) > 0.9
    assert palette.skin_share(np.array([40.0, 60.0, -50.0])) < 0.1
    lit = palette.in_light(1.4).skin.mean
    assert lit[0] > TONE[0]
