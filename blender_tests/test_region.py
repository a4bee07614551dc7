"""A part of the worn texture made anew: only that part changes, by names or by a painted mask, with a real backend."""

# pyright: reportAttributeAccessIssue=false, reportOptionalMemberAccess=false, reportArgumentType=false
# pyright: reportOptionalSubscript=false, reportIndexIssue=false
# The stubs of bpy don't know what the extension adds to it, and call much optional that is there.

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import bpy
import numpy as np
import pytest
from conftest import make_textures, names_in_file, write_png
from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parents[1]
BLUE, RED = "wearing white shirt, blue jeans", "wearing red shirt, blue jeans"
# The atlas's file holds the parts' numbers times 7: chest, abdomen, hips, upper and lower back, buttocks, shoulders.
TORSO = tuple(range(6, 14))
MAPS = ("base_color", "normal", "roughness")

Module = Callable[[str], ModuleType]


@pytest.fixture
def character(
    scene: bpy.types.Scene, portrait: Path, backend: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> bpy.types.Scene:
    """A saved file with a mannequin that wears a texture of 512 px."""
    monkeypatch.setenv("UVMAP_ID_BACKEND", str(backend))
    bpy.ops.uvmap_id.add_mannequin()
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "character.blend"))
    settings = bpy.context.scene.uvmap_id
    settings.face_image, settings.prompt, settings.size, settings.engine = str(portrait), BLUE, "512", "projection"
    assert bpy.ops.uvmap_id.generate() == {"FINISHED"}
    return bpy.context.scene


@pytest.fixture
def ready(scene: bpy.types.Scene, tmp_path: Path, no_backend: None) -> bpy.types.Scene:
    """A scene that would be ready for Generate Texture, if there were a backend."""
    bpy.ops.uvmap_id.add_mannequin()
    write_png(tmp_path / "face.png", (200, 150, 120))
    scene.uvmap_id.face_image, scene.uvmap_id.prompt = str(tmp_path / "face.png"), RED
    return scene


def test_only_the_torso_changes(character: bpy.types.Scene, module: Module) -> None:
    settings = character.uvmap_id
    before = Path(settings.result)
    settings.prompt, settings.region_parts = RED, {"torso"}
    # The worn set's own size, whatever is chosen for the next whole one.
    settings.size = "1024"
    assert bpy.ops.uvmap_id.generate_region() == {"FINISHED"}
    after = Path(settings.result)
    assert after != before
    torso = torso_of(512)
    for name in MAPS:
        old, new = pixels(before / f"{name}.png"), pixels(after / f"{name}.png")
        assert old.shape == new.shape == (512, 512, 3)
        changed = (old != new).any(axis=2)
        assert not changed[~torso].any(), name
        if name == "base_color":
            assert changed[torso].mean() > 0.3
            # White shirt, red shirt.
            there = changed & torso
            assert new[there][:, 1].mean() < old[there][:, 1].mean() - 0.2
    assert [entry.job for entry in settings.history] == [before.name, after.name]
    assert (before / "base_color.png").is_file()
    assert module("material").folder_of(settings.body) == after


def test_a_painted_mask_changes_what_is_white(character: bpy.types.Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = character.uvmap_id
    before, temporary = Path(settings.result), Path(tempfile.mkdtemp())
    assert bpy.ops.uvmap_id.paint_mask() == {"FINISHED"}
    mask = settings.region_mask
    painting = character.tool_settings.image_paint
    assert bpy.context.mode == "PAINT_TEXTURE"
    assert bpy.context.active_object == settings.body
    assert (painting.mode, painting.canvas, tuple(mask.size)) == ("IMAGE", mask, (1024, 1024))
    torso = torso_of(1024)
    left = torso.copy()
    left[:, 512:] = False
    paint(mask, left)
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    settings.prompt = RED
    assert bpy.ops.uvmap_id.generate_region() == {"FINISHED"}
    assert not list(temporary.iterdir())
    assert bpy.context.mode == "OBJECT"
    changed = (pixels(before / "base_color.png") != pixels(Path(settings.result, "base_color.png"))).any(axis=2)
    assert not changed[:, 261:].any()
    # Half as many pixels: one of them is inside where any of its four is.
    inside = left.reshape(512, 2, 512, 2).any(axis=(1, 3))
    assert changed[inside].mean() > 0.2
    # Islands' edges are bled 4 texels outwards.
    assert not changed[~grown(inside, 5)].any()


def test_the_mask_survives_in_the_file(ready: bpy.types.Scene, tmp_path: Path) -> None:
    bpy.ops.uvmap_id.paint_mask()
    mask = ready.uvmap_id.region_mask
    paint(mask, np.eye(1024, dtype=bool))
    assert bpy.ops.uvmap_id.finish_mask() == {"FINISHED"}
    assert bpy.context.mode == "OBJECT"
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "masked.blend"))
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "masked.blend"))
    settings = bpy.context.scene.uvmap_id
    assert np.array_equal(shown(settings.region_mask)[::-1, :, 0] > 0.5, np.eye(1024, dtype=bool))
    # Painting goes on with the same one.
    name = settings.region_mask.name
    bpy.ops.uvmap_id.paint_mask()
    assert settings.region_mask.name == name
    assert bpy.ops.uvmap_id.clear_mask() == {"FINISHED"}
    assert not shown(settings.region_mask)[..., :3].any()


def test_a_picture_of_the_users_own_is_not_blackened(ready: bpy.types.Scene, tmp_path: Path) -> None:
    write_png(tmp_path / "mask.png", (255, 255, 255), size=64)
    content = (tmp_path / "mask.png").read_bytes()
    ready.uvmap_id.region_mask = bpy.data.images.load(str(tmp_path / "mask.png"))
    assert bpy.ops.uvmap_id.clear_mask() == {"FINISHED"}
    assert ready.uvmap_id.region_mask is None
    assert (tmp_path / "mask.png").read_bytes() == content


def test_undo_takes_the_region_off_and_leaves_the_history(character: bpy.types.Scene, module: Module) -> None:
    runtime = module("runtime")

    whole = module("material").folder_of(character.uvmap_id.body)
    character.uvmap_id.region_parts = {"torso"}
    bpy.ops.ed.undo_push(message="before")
    job = module("operators.generate").submit_all(
        character, lambda request, body: module("region").of_worn(request, body, character.uvmap_id)
    )[0]
    part = runtime.session().wait(job)
    runtime.push_undo()
    settings = bpy.context.scene.uvmap_id
    assert module("material").folder_of(settings.body) == part
    bpy.ops.ed.undo()
    settings = bpy.context.scene.uvmap_id
    assert module("material").folder_of(settings.body) == whole
    assert [entry.job for entry in settings.history] == [whole.name, part.name]


@pytest.mark.parametrize("convention", ["opengl", "directx"])
def test_the_request_follows_the_worn_set(
    ready: bpy.types.Scene, tmp_path: Path, module: Module, convention: str
) -> None:
    folder = wear(module, ready, tmp_path / "set", convention, subsurface=(255, 255, 255))
    settings = ready.uvmap_id
    settings.size, settings.region_parts, settings.variations = "2048", {"feet", "torso"}, 2
    generate, region = module("operators.generate"), module("region")
    jobs = generate.submit_all(ready, lambda request, body: region.of_worn(request, body, settings))
    request = jobs[0].request
    assert (request.size, request.normal_convention, request.extra_maps) == (512, convention, ("subsurface",))
    assert (request.region.parts, request.region.mask) == (("torso", "feet"), "")
    assert [job.request.seed for job in jobs] == [0, 1]
    names = (*MAPS, "subsurface")
    assert jobs[0].photos[1:] == tuple((folder / f"{name}.png").read_bytes() for name in names)
    bpy.ops.uvmap_id.cancel_all()
    # A set without such a map stays one.
    wear(module, ready, tmp_path / "bare", convention)
    job = generate.submit_all(ready, lambda request, body: region.of_worn(request, body, settings))[0]
    assert (len(job.request.region.maps), job.request.extra_maps) == (3, ())
    bpy.ops.uvmap_id.cancel_all()


def test_recall_brings_the_parts_back_and_speaks_of_the_mask(
    ready: bpy.types.Scene, tmp_path: Path, module: Module, capfd: pytest.CaptureFixture[str]
) -> None:
    wear(module, ready, tmp_path / "set")
    settings = ready.uvmap_id
    settings.region_parts = {"hands"}
    bpy.ops.uvmap_id.paint_mask()
    paint(settings.region_mask, np.ones((1024, 1024), bool))
    generate, region = module("operators.generate"), module("region")
    job = generate.submit_all(ready, lambda request, body: region.of_worn(request, body, settings))[0]
    assert job.request.region.mask
    module("current").history().record(job, tmp_path / "set")
    settings.region_parts = {"face"}
    assert bpy.ops.uvmap_id.history_recall() == {"FINISHED"}
    assert settings.region_parts == {"hands"}
    request, _ = module("recall").read(settings.history[0].settings)
    assert "mask is not kept" in module("recall").remark(request)
    bpy.ops.uvmap_id.cancel_all()
    # A whole texture has none.
    plain = json.dumps({"request": {"face_sha256": "0" * 64, "prompt": BLUE}})
    settings.history[0].settings = plain
    bpy.ops.uvmap_id.history_recall()
    assert settings.region_parts == set()


def test_nothing_chosen(ready: bpy.types.Scene, tmp_path: Path, module: Module) -> None:
    wear(module, ready, tmp_path / "set")
    fails_with("region_incomplete")
    bpy.ops.uvmap_id.paint_mask()
    # Still black.
    fails_with("region_incomplete")
    assert bpy.context.mode == "PAINT_TEXTURE"


def test_too_little_chosen(character: bpy.types.Scene) -> None:
    settings = character.uvmap_id
    whole = settings.result
    bpy.ops.uvmap_id.paint_mask()
    corner = np.zeros((1024, 1024), bool)
    # Nothing of the body lies in the atlas's corner.
    corner[-2:, :2] = True
    paint(settings.region_mask, corner)
    fails_with("region_empty")
    assert settings.history[-1].job == Path(whole).name


def test_no_texture_set_to_change(ready: bpy.types.Scene, tmp_path: Path, module: Module) -> None:
    ready.uvmap_id.region_parts = {"torso"}
    fails_with("body_without_textures.*wears no texture set")
    folder = wear(module, ready, tmp_path / "set")
    (folder / "normal.png").unlink()
    fails_with("image_unreadable")
    (folder / "manifest.json").write_text("{}")
    fails_with("settings_unreadable")
    shutil.rmtree(folder)
    fails_with("body_without_textures.*is gone")
    wear(module, ready, tmp_path / "tiny", side=8)
    fails_with("size_not_offered.*8 px")
    bpy.data.objects.remove(ready.uvmap_id.body)
    fails_with("body_missing")
    with pytest.raises(RuntimeError, match="body_missing"):
        bpy.ops.uvmap_id.paint_mask()
    assert ready.uvmap_id.region_mask is None


def test_a_hidden_body_is_not_painted_on(ready: bpy.types.Scene) -> None:
    ready.uvmap_id.body.hide_set(True)
    before = names_in_file()
    with pytest.raises(RuntimeError, match=r"body_missing.*hidden"):
        bpy.ops.uvmap_id.paint_mask()
    assert names_in_file() == before


def test_a_blender_without_brushes_gets_one(ready: bpy.types.Scene, module: Module) -> None:
    bpy.ops.uvmap_id.paint_mask()
    paint = bpy.context.scene.tool_settings.image_paint
    for _ in range(2):
        module("painting").take_brush(paint)
        assert paint.brush.name == "UVMap-ID Mask"
    assert [brush.name for brush in bpy.data.brushes].count("UVMap-ID Mask") == 1


def wear(
    module: Module,
    scene: bpy.types.Scene,
    folder: Path,
    convention: str = "opengl",
    *,
    side: int = 512,
    **more: tuple[int, int, int],
) -> Path:
    """Put a texture set of one colour on the body."""
    make_textures(folder, (200, 30, 30), convention, **more)
    for path in folder.glob("*.png"):
        write_png(path, (128, 128, 255), size=side)
    module("material").assign(scene.uvmap_id.body, module("results").maps_in(folder))
    return folder


def torso_of(size: int) -> NDArray[np.bool_]:
    """(size, size), highest row first: where the torso lies in the atlas, and the padding around it that follows it.

    By the parts that the backend's atlas names, in its own file.
    """
    parts = ROOT / "backend" / "uvmap_id" / "atlas" / "data" / "parts.png"
    labels = (pixels(parts)[..., 0] * 255 / 7).round()
    step = len(labels) / size
    index = (np.arange(size) * step + step / 2).astype(int)
    inside = np.isin(labels, TORSO)[np.ix_(index, index)]
    others = (labels[np.ix_(index, index)] > 0) & ~inside
    return grown(inside, size // 32) & ~others


def grown(mask: NDArray[np.bool_], by: int) -> NDArray[np.bool_]:
    for axis in (0, 1):
        for _ in range(by):
            mask = mask | np.roll(mask, 1, axis) | np.roll(mask, -1, axis)
    return mask


def pixels(path: Path) -> NDArray[np.float32]:
    """(H, W, 3), highest row first, as the file holds them."""
    image = bpy.data.images.load(str(path))
    image.colorspace_settings.name = "Non-Color"
    try:
        return shown(image)[::-1, :, :3]
    finally:
        bpy.data.images.remove(image)


def shown(image: bpy.types.Image) -> NDArray[np.float32]:
    values = np.empty(len(image.pixels), np.float32)
    image.pixels.foreach_get(values)
    return values.reshape(image.size[1], image.size[0], -1)


def paint(image: bpy.types.Image, where: NDArray[np.bool_]) -> None:
    """White where it says so, highest row first."""
    values = shown(image)
    values[where[::-1], :3] = 1
    image.pixels.foreach_set(values.ravel())
    image.update()


def fails_with(code: str) -> None:
    before = names_in_file()
    with pytest.raises(RuntimeError, match=rf"{code}"):
        bpy.ops.uvmap_id.generate_region()
    assert names_in_file() == before
