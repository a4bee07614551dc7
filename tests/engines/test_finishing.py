"""From a decoded picture to the maps: clean islands, quiet seams, the right size, the photo's detail."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from shared_data import shared

from uvmap_id.atlas.layout import Atlas
from uvmap_id.atlas.seams import seam_step
from uvmap_id.engines.diffusion.anchor import ProjectedFace, face_mask
from uvmap_id.engines.diffusion.finishing import FinishedTexture, finish, with_face
from uvmap_id.engines.diffusion.islands import cleaned, levelled
from uvmap_id.engines.diffusion.upscale import Upscaler, enlarge_smoothly
from uvmap_id.link.errors import ErrorCode, UVMapError
from uvmap_id.pictures import blur, distance_inside, resize

SIZE = 512
Floats = NDArray[np.floating]
TEXTURES = ("smplitex_01", "smplitex_25", "texdreamer_0003")


@pytest.fixture(scope="module")
def atlas() -> Atlas:
    return Atlas.load()


def painted(name: str) -> Floats:
    """What a model trained on textures painted, (512, 512, 3)."""
    image = Image.open(shared(f"textures/{name}.png")).convert("RGB").resize((SIZE, SIZE), Image.Resampling.LANCZOS)
    return np.asarray(image, np.float32) / 255


def noise(seed: int = 0, size: int = SIZE) -> Floats:
    return np.random.default_rng(seed).random((size, size, 3), np.float32)


def as_bytes(image: Floats) -> NDArray[np.uint8]:
    return np.round(np.clip(image, 0, 1) * 255).astype(np.uint8)


def test_what_bleeds_over_an_islands_edge_is_cleaned_away(atlas: Atlas) -> None:
    used = atlas.mask(SIZE)
    image = np.where(used[..., None], np.float32(0.7), np.float32(0.0)) * np.ones(3, np.float32)
    bled = blur(image, 0.6)
    assert np.abs(bled[used] - 0.7).max() > 0.2
    wrong_before, wrong_after = (np.abs(picture[used] - 0.7).mean() for picture in (bled, cleaned(bled, atlas)))
    assert wrong_after < wrong_before / 10


@pytest.mark.parametrize("name", TEXTURES)
def test_seams_are_levelled(atlas: Atlas, name: str) -> None:
    image = cleaned(painted(name), atlas)
    level = levelled(image, atlas)
    used = atlas.mask(SIZE)
    before, after = (seam_step(as_bytes(picture), atlas.seams, used) for picture in (image, level))
    assert before.ratio > 2
    assert after.across < before.across / 3
    assert after.ratio < 0.7


@pytest.mark.parametrize("name", TEXTURES)
def test_levelling_leaves_detail_and_the_middles_of_islands_alone(atlas: Atlas, name: str) -> None:
    image = cleaned(painted(name), atlas)
    change = levelled(image, atlas) - image
    places = atlas.seams.pairs(0.5 / SIZE).reshape(-1, 2)
    seams = np.zeros((SIZE, SIZE), np.uint8)
    columns, rows = np.clip((places * [1, -1] + [0, 1]) * SIZE, 0, SIZE - 1).astype(int).T
    seams[rows, columns] = 1
    away = distance_inside(1 - seams)
    used = atlas.mask(SIZE)
    assert np.abs(change[used & (away > 64)]).max() == 0
    fine = np.abs(change - blur(change, 2))
    assert fine[used & (away > 12)].max() < 0.02


def test_an_edge_on_a_seam_stays_an_edge(atlas: Atlas) -> None:
    """A red collar on a pale neck is no mistake to be smeared over both."""
    head = atlas.islands(SIZE) == atlas.islands(SIZE)[int(0.23 * SIZE), int(0.3 * SIZE)]
    image = np.where(head[..., None], np.array([0.8, 0.6, 0.5], np.float32), np.array([0.7, 0.0, 0.1], np.float32))
    change = np.abs(levelled(image, atlas) - image).max(axis=2)
    inside = distance_inside(head.astype(np.uint8)) > 6
    assert change[head & inside].max() < 0.03


@pytest.mark.parametrize("size", [512, 1024, 2048])
def test_maps_have_the_size_that_was_asked_for(atlas: Atlas, size: int) -> None:
    result = finish(noise(), atlas, size, 1)
    assert result.base_color.shape == result.normal.shape == (size, size, 3)
    assert result.roughness.shape == result.subsurface.shape == (size, size)
    for pixels in maps(result):
        assert pixels.dtype == np.uint8


def test_a_picture_larger_than_the_maps_is_reduced(atlas: Atlas) -> None:
    assert finish(noise(size=1024), atlas, 512, 1).base_color.shape == (512, 512, 3)


def test_the_same_picture_gives_the_same_maps(atlas: Atlas) -> None:
    one, other, different = (finish(noise(), atlas, SIZE, seed) for seed in (1, 1, 2))
    for first, second in zip(maps(one), maps(other), strict=True):
        assert (first == second).all()
    assert (one.normal != different.normal).any()
    assert (one.base_color == different.base_color).all()


def maps(result: FinishedTexture) -> tuple[NDArray[np.uint8], ...]:
    return result.base_color, result.normal, result.roughness, result.subsurface


def test_empty_space_is_padded_and_then_one_colour(atlas: Atlas) -> None:
    colour = finish(noise(), atlas, SIZE, 1).base_color
    used = atlas.mask(SIZE)
    beyond = distance_inside((~used).astype(np.uint8))
    assert len(np.unique(colour[beyond > 6], axis=0)) == 1
    edge = np.argwhere((beyond > 0) & (beyond < 1.5))
    around = colour[used].astype(int)
    assert np.abs(colour[tuple(edge.T)].astype(int).mean(axis=0) - around.mean(axis=0)).max() < 12


def test_skin_and_cloth_are_told_apart(atlas: Atlas) -> None:
    """In smplitex_01 the shirt is white and the hands are bare."""
    result = finish(painted("smplitex_01"), atlas, SIZE, 1)

    def at(image: NDArray[np.uint8], u: float, v: float) -> float:
        row, column = int((1 - v) * SIZE), int(u * SIZE)
        return float(image[row - 3 : row + 4, column - 3 : column + 4].mean())

    cheek, chest, leg, hand = (0.235, 0.755), (0.25, 0.35), (0.72, 0.80), (0.90, 0.085)
    assert min(at(result.subsurface, *cheek), at(result.subsurface, *hand)) > 240
    assert max(at(result.subsurface, *chest), at(result.subsurface, *leg)) < 30
    assert at(result.roughness, *leg) - at(result.roughness, *cheek) > 50
    eye = Atlas.load().landmarks[[33, 133]].mean(axis=0)
    assert at(result.roughness, *eye) < at(result.roughness, *cheek) - 30


def test_normals_are_unit_vectors_that_face_outwards(atlas: Atlas) -> None:
    normals = finish(painted("smplitex_25"), atlas, SIZE, 1).normal.astype(np.float32) / 127.5 - 1
    used = atlas.mask(SIZE)
    assert np.abs(np.linalg.norm(normals, axis=2)[used] - 1).max() < 0.02
    assert normals[used][:, 2].mean() > 0.95
    assert normals[used][:, :2].std() > 0.01


def projected(atlas: Atlas, anchor: float, size: int = 1024) -> ProjectedFace:
    texture = np.asarray(resize(noise(5, 64), (size, size)) + 0.1 * (noise(6, size) - 0.5), np.float32)
    return ProjectedFace(np.clip(texture, 0, 1), face_mask(atlas, size), anchor)


def test_a_firm_anchor_gives_back_the_projected_face(atlas: Atlas) -> None:
    face = projected(atlas, 1.0)
    result = finish(noise(1), atlas, 1024, 1, face=face).base_color
    held = face.mask > 0.999
    assert held.sum() > 5000
    assert np.abs(result[held].astype(int) - as_bytes(face.texture)[held]).max() <= 1


def test_only_the_face_is_touched_by_the_anchor(atlas: Atlas) -> None:
    face = projected(atlas, 1.0)
    plain, anchored = finish(noise(1), atlas, 1024, 1), finish(noise(1), atlas, 1024, 1, face=face)
    used = atlas.mask(1024)
    assert (plain.base_color == anchored.base_color)[used & (face.mask == 0)].all()


def test_detail_comes_back_in_proportion_to_the_anchor(atlas: Atlas) -> None:
    image = np.full((1024, 1024, 3), 0.5, np.float32)

    def detail(anchor: float) -> float:
        face = projected(atlas, anchor)
        return float((with_face(image, face, SIZE) - image)[face.mask > 0.999].std())

    assert detail(0.0) == 0
    assert detail(0.3) > 0.004
    assert detail(0.6) == pytest.approx(2 * detail(0.3), rel=0.05)


def test_no_anchor_is_the_plain_picture(atlas: Atlas) -> None:
    plain, held = finish(noise(), atlas, 1024, 1), finish(noise(), atlas, 1024, 1, face=projected(atlas, 0.0))
    assert (plain.base_color == held.base_color).all()


onnx = pytest.importorskip("onnx", reason="the extra [diffusion] is not installed")


def upscaler(path: Path, factor: int, side: int | str = "?", channels: int = 3, kind: str = "FLOAT") -> Path:
    """Enlarges by repeating pixels, then blurs over 3 x 3: at a tile's edge it sees zeros, as models do."""
    helper, number = onnx.helper, getattr(onnx.TensorProto, kind)
    dtype = np.float32 if kind == "FLOAT" else np.float16
    kernel = np.zeros((channels, channels, 3, 3))
    kernel[range(channels), range(channels)] = 1 / 9
    constants = [
        onnx.numpy_helper.from_array(np.array([1, 1, factor, factor], np.float32), "scales"),
        onnx.numpy_helper.from_array(kernel.astype(dtype), "kernel"),
    ]
    nodes = [
        helper.make_node("Resize", ["input", "", "scales"], ["large"], mode="nearest"),
        helper.make_node("Conv", ["large", "kernel"], ["output"], pads=[1, 1, 1, 1]),
    ]
    out = side * factor if isinstance(side, int) else "!"
    values = [
        helper.make_tensor_value_info(name, number, [1, channels, each, each])
        for name, each in (("input", side), ("output", out))
    ]
    graph = helper.make_graph(nodes, "upscaler", values[:1], values[1:], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.save(model, str(path))
    return path


@pytest.mark.parametrize(("factor", "side", "kind"), [(2, "?", "FLOAT"), (4, 64, "FLOAT"), (2, "?", "FLOAT16")])
def test_an_upscaler_enlarges_without_a_trace_of_its_tiles(
    tmp_path: Path, factor: int, side: int | str, kind: str
) -> None:
    image, size = noise(size=300), 300 * factor
    large = Upscaler(upscaler(tmp_path / "model.onnx", factor, side, kind=kind))(image, size)
    repeated = np.repeat(np.repeat(image, factor, 0), factor, 1)
    expected = np.stack([blurred(repeated[..., channel]) for channel in range(3)], axis=2)
    assert large.shape == (size, size, 3)
    np.testing.assert_allclose(large[4:-4, 4:-4], expected[4:-4, 4:-4], atol=2e-3 if kind == "FLOAT16" else 1e-5)


def blurred(image: Floats) -> Floats:
    framed = np.pad(image, 1, mode="edge")
    side = image.shape[0]
    return np.mean([framed[y : y + side, x : x + side] for y in range(3) for x in range(3)], axis=0)


@pytest.mark.parametrize("size", [400, 800])
def test_what_an_upscaler_makes_is_brought_to_the_size_asked_for(tmp_path: Path, size: int) -> None:
    smooth = resize(noise(size=8), (256, 256))
    large = Upscaler(upscaler(tmp_path / "model.onnx", 2))(smooth, size)
    assert large.shape == (size, size, 3)
    assert np.abs(large - enlarge_smoothly(smooth, size)).mean() < 0.02


def test_files_that_are_no_upscalers_are_refused(tmp_path: Path) -> None:
    (tmp_path / "broken.onnx").write_bytes(b"<html>")
    for path, code in (
        (tmp_path / "broken.onnx", ErrorCode.WEIGHTS_INVALID),
        (upscaler(tmp_path / "grey.onnx", 2, channels=1), ErrorCode.WEIGHTS_UNSUPPORTED),
        (upscaler(tmp_path / "three.onnx", 3), ErrorCode.WEIGHTS_UNSUPPORTED),
        (upscaler(tmp_path / "narrow.onnx", 2, side=32), ErrorCode.WEIGHTS_UNSUPPORTED),
    ):
        with pytest.raises(UVMapError) as caught:
            Upscaler(path)(noise(size=64), 128)
        assert caught.value.failure.code == code
        assert caught.value.failure.hint
