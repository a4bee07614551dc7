"""The projection engine on a real portrait: the face is the person's, and lies where SMPL's face is."""

from __future__ import annotations

import dataclasses
import hashlib
import io
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import skimage.data
from numpy.typing import NDArray
from PIL import Image
from shared_data import shared

from uvmap_id.atlas.layout import Atlas
from uvmap_id.atlas.view import lookup
from uvmap_id.bodies.calibrate import z_up
from uvmap_id.bodies.head import head_camera
from uvmap_id.bodies.obj import read_obj
from uvmap_id.engines.base import JobCancelled, TextureSet
from uvmap_id.engines.projection.colour import to_lab, to_linear
from uvmap_id.engines.projection.engine import ProjectionEngine
from uvmap_id.faces.landmarks import LEFT_EYE, RIGHT_EYE, FaceFinder
from uvmap_id.link.errors import ErrorCode, UVMapError
from uvmap_id.link.request import SIZES, TextureRequest
from uvmap_id.pictures import fill_polygons, sample

MANNEQUIN = Path(__file__).parents[2] / "addon" / "assets" / "mannequin.npz"
PROMPT = "wearing white shirt, blue jeans"
CHEEKS = ((0.235, 0.755), (0.363, 0.755))
MAP_FIELDS = ("base_color", "normal", "roughness", "subsurface")
# Cheeks, lips, eyebrows, skin above and below the eyes, nose, chin and mouth in mediapipe's numbering.
FEATURES = (50, 280, 205, 425, 0, 17, 105, 334, 27, 257, 230, 450, 4, 5, 6, 197, 98, 327, 199, 61, 291)


def silent(stage: str, fraction: float, preview: object = None) -> None:
    assert stage
    assert 0 <= fraction <= 1


def as_png(image: NDArray[np.uint8]) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture(scope="module")
def portrait() -> NDArray[np.uint8]:
    return skimage.data.astronaut()


@pytest.fixture(scope="module")
def engine() -> ProjectionEngine:
    return ProjectionEngine()


Generate = Callable[..., TextureSet]


@pytest.fixture(scope="module")
def generate(engine: ProjectionEngine, portrait: NDArray[np.uint8]) -> Generate:
    def run(image: NDArray[np.uint8] = portrait, prompt: str = PROMPT, size: int = 512, **options: float) -> TextureSet:
        photo = as_png(image)
        request = TextureRequest(hashlib.sha256(photo).hexdigest(), prompt, size=size)
        request = dataclasses.replace(request, **options)
        return engine.generate(request, (photo,), silent)

    return run


@pytest.fixture(scope="module")
def textures(generate: Generate) -> TextureSet:
    return generate(size=1024)


def at(image: NDArray, uv: tuple[float, float], radius: float = 0.006) -> NDArray[np.float64]:
    """The mean around a place of the atlas."""
    size = image.shape[0]
    row, column, reach = int((1 - uv[1]) * size), int(uv[0] * size), max(1, int(radius * size))
    return image[row - reach : row + reach, column - reach : column + reach].reshape(-1, 3).mean(axis=0)


def smpl_uvs(yaw: float) -> tuple[NDArray, NDArray[np.bool_]]:
    """UVs of SMPL's head as a camera sees it, (H, W, 2), and where it is."""
    mesh = read_obj(shared("smpl/SMPL_female_default_resolution.obj"))
    vertices = z_up(mesh.vertices)
    raster = head_camera(vertices, yaw).draw(vertices, mesh.triangles)
    return raster.interpolate(mesh.uvs[mesh.uv_triangles]), raster.covered


def photographed(texture: str, yaw: float) -> NDArray[np.uint8]:
    """A picture of SMPL's head in a texture that others made."""
    uvs, covered = smpl_uvs(yaw)
    picture = lookup(np.asarray(Image.open(shared(texture)).convert("RGB")), uvs)
    picture[~covered] = 128
    return picture


@pytest.mark.parametrize("size", SIZES)
def test_maps_have_the_size_that_was_asked_for(generate: Generate, size: int) -> None:
    result = generate(size=size)
    assert result.base_color.shape == result.normal.shape == (size, size, 3)
    assert result.roughness.shape == result.subsurface.shape == (size, size)
    for name in MAP_FIELDS:
        assert getattr(result, name).dtype == np.uint8


def test_the_shirt_is_white_and_the_jeans_are_blue(textures: TextureSet) -> None:
    shirt, jeans = at(textures.base_color, (0.25, 0.35)), at(textures.base_color, (0.72, 0.80))
    assert shirt.min() > 205
    assert np.ptp(shirt) < 12
    assert jeans[2] > jeans[1] > jeans[0]
    assert jeans[2] - jeans[0] > 30


def test_worn_by_smpl_the_face_is_found_where_the_atlas_has_it(textures: TextureSet) -> None:
    """A detector that sees the textured body finds eyes, nose and mouth on SMPL's own."""
    uvs, _ = smpl_uvs(0)
    with FaceFinder() as finder:
        (face,) = finder.find(lookup(textures.base_color, uvs))
    columns, rows = np.floor(face.points[:468, :2]).astype(int).T
    distance = np.linalg.norm(uvs[rows, columns] - Atlas.load().landmarks[:468], axis=1)
    assert np.median(distance) < 0.008
    for eye_corner in (33, 133, 362, 263):
        assert distance[eye_corner] < 0.012


def test_worn_by_the_mannequin_the_face_is_the_photos(textures: TextureSet, portrait: NDArray[np.uint8]) -> None:
    """A detector finds the face on the textured mannequin; light and dark of its skin follow the photo's.

    The mannequin's eyes are no part of the texture: they are plain in its picture, and left out of both.
    """
    with np.load(MANNEQUIN, allow_pickle=False) as body:
        vertices, faces, uvs, materials = (body[name] for name in ("vertices", "faces", "uvs", "face_materials"))
    quads = faces[:, 2] != faces[:, 3]
    triangles = np.concatenate([faces[:, [0, 1, 2]], faces[quads][:, [0, 2, 3]]])
    corners = np.concatenate([uvs[:, [0, 1, 2]], uvs[quads][:, [0, 2, 3]]])
    raster = head_camera(vertices, 0).draw(vertices, triangles)
    picture = lookup(textures.base_color, raster.interpolate(corners))
    skin = raster.covered & (np.concatenate([materials, materials[quads]])[raster.triangle] == 0)
    picture[~skin] = 128
    brightness = []
    with FaceFinder() as finder:
        for image, seen in ((portrait, np.ones(portrait.shape[:2], bool)), (picture, skin)):
            (face,) = finder.find(image)
            lids = [face.points[list(eye), :2] for eye in (RIGHT_EYE, LEFT_EYE)]
            shown = (seen & ~(fill_polygons(lids, image.shape[:2]) > 0)).astype(np.float32)[..., None]
            sigma = face.eye_distance / 60
            soft = cv2.GaussianBlur(np.dstack([image * shown, shown]), (0, 0), sigma)
            found = sample(soft, face.points[None, list(FEATURES), :2])[0]
            assert found[:, 3].min() > 0.9  # no place lies in an eye
            brightness.append(found[:, :3].mean(axis=1) / found[:, 3])
    assert np.corrcoef(*brightness)[0, 1] > 0.85


def test_the_body_has_the_skin_of_the_face(textures: TextureSet) -> None:
    cheek = to_lab(to_linear(at(textures.base_color, (0.23, 0.745)).astype(np.uint8)))
    for place in ((0.70, 0.085), (0.90, 0.085)):  # backs of the hands
        hand = to_lab(to_linear(at(textures.base_color, place).astype(np.uint8)))
        assert np.linalg.norm(hand - cheek) < 11


def test_hair_is_the_photos_unless_the_prompt_names_it(textures: TextureSet, generate: Generate) -> None:
    crown = (0.08, 0.90)
    own = to_lab(to_linear(at(textures.base_color, crown).astype(np.uint8)))
    black = to_lab(to_linear(at(generate(prompt="black hair, shirt").base_color, crown).astype(np.uint8)))
    bald = to_lab(to_linear(at(generate(prompt="bald, shirt").base_color, crown).astype(np.uint8)))
    assert 25 < own[0] < 55
    assert black[0] < 18
    assert bald[0] > 60


def test_normals_are_unit_vectors_that_face_outwards(textures: TextureSet) -> None:
    normals = textures.normal.astype(np.float32) / 127.5 - 1
    lengths = np.linalg.norm(normals, axis=2)
    used = Atlas.load().mask(1024)
    assert np.abs(lengths[used] - 1).max() < 0.02
    assert normals[used][:, 2].min() > 0.2
    assert normals[used][:, 2].mean() > 0.95
    assert normals[used][:, :2].std() > 0.005


def test_cloth_is_rougher_than_skin(textures: TextureSet) -> None:
    assert (
        textures.roughness[int(0.65 * 1024), int(0.25 * 1024)] > textures.roughness[int(0.255 * 1024), int(0.23 * 1024)]
    )


def test_light_enters_skin_and_nothing_that_covers_it(textures: TextureSet, generate: Generate) -> None:
    bare = generate(prompt="bald, barefoot, white shirt, blue jeans, sunglasses", size=1024)
    eye, crown, cheek, hand, shirt, jeans = (
        (0.262, 0.80),
        (0.08, 0.90),
        (0.23, 0.745),
        (0.70, 0.085),
        (0.25, 0.35),
        (0.72, 0.8),
    )

    def share(made: TextureSet, uv: tuple[float, float]) -> float:
        return float(at(np.repeat(made.subsurface[..., None], 3, axis=2), uv).mean()) / 255

    for made, skin, covered in (
        (textures, (cheek, hand), (crown, shirt, jeans)),
        (bare, (cheek, hand, crown), (eye, shirt, jeans)),
    ):
        assert [round(share(made, place), 2) for place in skin] == [1.0] * len(skin)
        assert [round(share(made, place), 2) for place in covered] == [0.0] * len(covered)


def test_the_eyes_are_no_skin(textures: TextureSet) -> None:
    lids = np.round(Atlas.load().landmarks[[33, 133, 159, 145]] * 1024 - 0.5).astype(int)
    column, row = lids[:, 0].mean().astype(int), 1023 - lids[:, 1].mean().astype(int)
    assert textures.subsurface[row, column] < 50


def test_the_same_request_gives_the_same_bytes(generate: Generate) -> None:
    one, other, different = generate(seed=7), generate(seed=7), generate(seed=8)
    for name in MAP_FIELDS:
        assert (getattr(one, name) == getattr(other, name)).all()
    assert (one.base_color != different.base_color).any()


def test_a_small_face_is_used_with_a_warning(textures: TextureSet) -> None:
    assert any("small" in warning for warning in textures.warnings)


def test_a_second_face_is_mentioned(generate: Generate, portrait: NDArray[np.uint8]) -> None:
    scene = np.full((512, 860, 3), 150, np.uint8)
    scene[:307, :307] = cv2.resize(portrait, (307, 307), interpolation=cv2.INTER_AREA)
    scene[:, 330:842] = portrait
    assert any("2 faces" in warning for warning in generate(scene).warnings)


def test_what_the_prompt_says_in_vain_is_a_warning(generate: Generate) -> None:
    result = generate(prompt="white shirt, holding a trumpet")
    assert result.details["ignored"] == ["holding trumpet"]
    assert any("holding trumpet" in warning for warning in result.warnings)


def test_no_face(generate: Generate) -> None:
    with pytest.raises(UVMapError) as caught:
        generate(skimage.data.chelsea())
    assert caught.value.failure.code == ErrorCode.FACE_NOT_FOUND


def test_a_face_of_a_few_pixels(generate: Generate, portrait: NDArray[np.uint8]) -> None:
    with pytest.raises(UVMapError) as caught:
        generate(cv2.resize(portrait, (256, 256), interpolation=cv2.INTER_AREA))
    assert caught.value.failure.code == ErrorCode.FACE_TOO_SMALL


def test_side_light_is_taken_out_as_far_as_asked(generate: Generate, portrait: NDArray[np.uint8]) -> None:
    """In a portrait that fades into shadow towards one side the cheeks differ; in its texture they hardly do."""
    columns = np.arange(portrait.shape[1])
    shadow = np.interp(columns, (185, 265), (1.0, 0.35)).astype(np.float32)[None, :, None]
    lit = ((to_linear(portrait) * shadow) ** (1 / 2.2) * 255).astype(np.uint8)

    def gap(image: NDArray[np.uint8], relight: float) -> float:
        colour = generate(image, relight=relight).base_color
        right, left = (to_lab(to_linear(at(colour, place, 0.012).astype(np.uint8))) for place in CHEEKS)
        return float(right[0] - left[0])

    even = gap(portrait, 0)
    kept, half, removed = (gap(lit, relight) - even for relight in (0.0, 0.5, 1.0))
    assert kept > 8
    assert kept > half > removed
    assert removed < 0.5 * kept


def test_a_dark_face_is_named(generate: Generate, portrait: NDArray[np.uint8]) -> None:
    assert any("dark" in warning for warning in generate((portrait * 0.2).astype(np.uint8)).warnings)
    with pytest.raises(UVMapError) as caught:
        generate((portrait * 0.06).astype(np.uint8))
    assert caught.value.failure.code == ErrorCode.PHOTO_TOO_DARK


@pytest.mark.parametrize(("yaw", "outcome"), [(0, ""), (48, "turned"), (75, ErrorCode.FACE_TURNED_AWAY)])
def test_a_turned_face_is_named(generate: Generate, yaw: float, outcome: str) -> None:
    photo = photographed("textures/texdreamer_i2uv_855.png", yaw)
    try:
        warnings = generate(photo).warnings
    except UVMapError as error:
        # Detectors lose most faces that are turned so far.
        assert error.failure.code in (outcome, ErrorCode.FACE_NOT_FOUND)
        assert outcome == ErrorCode.FACE_TURNED_AWAY
    else:
        assert any("turned" in warning for warning in warnings) is (outcome == "turned")


def test_it_can_be_cancelled_at_every_stage(engine: ProjectionEngine, portrait: NDArray[np.uint8]) -> None:
    photo = as_png(portrait)
    request = TextureRequest(hashlib.sha256(photo).hexdigest(), PROMPT, size=512)
    stages: list[str] = []
    engine.generate(request, (photo,), lambda stage, fraction, preview=None: stages.append(stage))
    assert len(stages) >= 5
    for last in range(len(stages)):
        left = last

        def stop(stage: str, fraction: float, preview: object = None) -> None:
            nonlocal left
            if left == 0:
                raise JobCancelled
            left -= 1

        with pytest.raises(JobCancelled):
            engine.generate(request, (photo,), stop)
