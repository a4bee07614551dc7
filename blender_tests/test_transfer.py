"""Transfer to another layout: colours and bumps arrive where they were, and nothing else changes."""

# pyright: reportAttributeAccessIssue=false, reportOptionalMemberAccess=false, reportArgumentType=false
# pyright: reportIndexIssue=false, reportOptionalSubscript=false, reportOptionalOperand=false, reportCallIssue=false
# The stubs of bpy don't know what the extension adds to it, and call much optional that is there.

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import bpy
import numpy as np
import pytest
from conftest import Color, make_textures, names_in_file
from mathutils.bvhtree import BVHTree
from mathutils.interpolate import poly_3d_calc

Module = Callable[[str], ModuleType]
SIZE = 512
# The file's two bodies have their origins at the chest and at the soles.
SMPL_SOLES = 0.971


@pytest.fixture
def transfer(module: Module) -> Callable[..., Any]:
    """Transfers with one ray a texel: edges matter to nobody here."""
    options = module("transfer").Options(size=SIZE, samples=1)
    return lambda source, target, place, chosen=options: module("transfer").transfer(source, target, chosen, place)


@pytest.fixture
def bodies(module: Module, smpl: Path, scene: bpy.types.Scene) -> tuple[bpy.types.Object, bpy.types.Object]:
    """SMPL's male body, and SMPL-X's in the same place."""
    source = module("body").load(smpl / "SMPL_male_default_resolution.obj")
    target = module("body").load(smpl / "SMPLX-male.obj")
    source.location.z += SMPL_SOLES
    bpy.context.view_layer.update()
    return source, target


def _picture(module: Module, path: Path, pixels: np.ndarray) -> None:
    module("texture_files").write_picture(path, pixels.astype(np.float32))


def _pixels(path: Path) -> np.ndarray:
    """(N, N, 3) as in the file, lowest row first."""
    image = bpy.data.images.load(str(path))
    pixels = np.empty(len(image.pixels), np.float32)
    image.pixels.foreach_get(pixels)
    size = tuple(image.size)
    bpy.data.images.remove(image)
    return pixels.reshape(size[1], size[0], -1)[..., :3]


EXTRA = {"orm": (255, 128, 0), "subsurface": (200, 200, 200)}


def _dress(
    module: Module, body: bpy.types.Object, folder: Path, extra: dict[str, Color] | None = None, **maps: np.ndarray
) -> None:
    make_textures(folder, (128, 128, 128), **(extra or {}))
    for name, pixels in maps.items():
        _picture(module, folder / f"{name}.png", pixels)
    module("material").assign(body, module("results").maps_in(folder))


def _by_place(body: bpy.types.Object, size: int) -> tuple[np.ndarray, np.ndarray]:
    """(N, N, 3) a texture whose colour tells where on the body a texel is, and (N, N) where the body has any."""
    mesh = body.data
    points = np.array([tuple(body.matrix_world @ vertex.co) for vertex in mesh.vertices])
    colors = 0.15 + 0.7 * (points - points.min(axis=0)) / np.ptp(points, axis=0)
    mesh.calc_loop_triangles()
    corners = np.array([tuple(triangle.vertices) for triangle in mesh.loop_triangles])
    uvs = np.array([tuple(item.vector) for item in mesh.uv_layers[0].uv])
    uvs = uvs[np.array([tuple(triangle.loops) for triangle in mesh.loop_triangles])]
    weights = np.random.default_rng(5).dirichlet(np.ones(3), 24)
    columns, rows = np.minimum((weights @ uvs * size).astype(int), size - 1).reshape(-1, 2).T
    sums, counts = np.zeros((size, size, 3)), np.zeros((size, size))
    np.add.at(sums, (rows, columns), (weights @ colors[corners]).reshape(-1, 3))
    np.add.at(counts, (rows, columns), 1)
    return (sums / np.maximum(counts, 1)[..., None]).astype(np.float32), (counts > 0).astype(np.float32)


def _color_at(pixels: np.ndarray, uv: np.ndarray) -> np.ndarray:
    column, row = np.clip((uv * len(pixels)).astype(int), 0, len(pixels) - 1)
    return pixels[row, column]


def test_smplx_wears_what_smpl_wore(
    module: Module, transfer: Callable[..., Any], bodies: tuple[bpy.types.Object, bpy.types.Object], tmp_path: Path
) -> None:
    source, target = bodies
    painted = module("padding").filled(*_by_place(source, 256))
    _dress(module, source, tmp_path / "set", EXTRA, base_color=painted)
    options = module("transfer").Options(size=SIZE, samples=1, fit=False)
    done = transfer(source, target, tmp_path / "out", options)
    assert done.coverage >= 0.95
    errors = _color_differences(
        source, target, _pixels(tmp_path / "set/base_color.png"), _pixels(done.folder / "base_color.png")
    )
    # Of 255: what a few millimetres between the two surfaces make.
    assert np.median(errors) < 4
    assert np.percentile(errors, 90) < 16
    assert _pixels(done.folder / "roughness.png") == pytest.approx(128 / 255, abs=0.003)
    assert _pixels(done.folder / "orm.png").reshape(-1, 3).mean(axis=0) == pytest.approx((1, 0.502, 0), abs=0.003)
    assert _pixels(done.folder / "subsurface.png") == pytest.approx(200 / 255, abs=0.003)
    # No bump goes in, none comes out, however different the two bodies are.
    bumps = np.abs(_pixels(done.folder / "normal.png") - (128 / 255, 128 / 255, 1))
    assert np.percentile(bumps, 99.9) < 0.02
    assert bumps.max() < 0.2


def test_fitted_bodies_meet_in_their_features(
    module: Module, transfer: Callable[..., Any], smpl: Path, tmp_path: Path
) -> None:
    """Two bodies in one atlas: what is painted at a place of the one belongs to the same place of the other's."""
    source, target = (
        module("body").load(smpl / f"SMPL_{gender}_default_resolution.obj") for gender in ("male", "female")
    )
    ways = (np.arange(SIZE) + 0.5) / SIZE
    atlas = np.stack([*np.meshgrid(ways, ways), np.zeros((SIZE, SIZE))], axis=-1)
    _dress(module, source, tmp_path / "set", base_color=atlas)
    errors = {}
    for fit in (True, False):
        options = module("transfer").Options(size=SIZE, samples=1, fit=fit)
        done = transfer(source, target, tmp_path / f"out{fit}", options)
        found = np.linalg.norm(_pixels(done.folder / "base_color.png") - atlas, axis=-1)
        errors[fit] = found[_used(target)]
    assert np.median(errors[True]) < 0.01
    assert np.median(errors[True]) < np.median(errors[False]) / 2
    assert (errors[True] < 0.03).mean() > 0.9


def _used(body: bpy.types.Object) -> np.ndarray:
    """(N, N) where the body's UVs are."""
    return _by_place(body, SIZE)[1] > 0


def _color_differences(
    source: bpy.types.Object, target: bpy.types.Object, before: np.ndarray, after: np.ndarray
) -> np.ndarray:
    """How far the colours are apart, in steps of 255, in the middle of some of the target's faces."""
    mesh = source.data
    points = [source.matrix_world @ vertex.co for vertex in mesh.vertices]
    tree = BVHTree.FromPolygons(points, [tuple(polygon.vertices) for polygon in mesh.polygons])
    errors = []
    for polygon in list(target.data.polygons)[::7]:
        place, _, face, distance = tree.find_nearest(target.matrix_world @ polygon.center)
        if distance > 0.02:
            continue
        loops = mesh.polygons[face].loop_indices
        weights = poly_3d_calc([points[mesh.loops[loop].vertex_index] for loop in loops], place)
        uv = sum(w * np.array(mesh.uv_layers[0].uv[loop].vector) for w, loop in zip(weights, loops, strict=True))
        own = np.mean([tuple(target.data.uv_layers[0].uv[loop].vector) for loop in polygon.loop_indices], axis=0)
        errors.append(np.linalg.norm(_color_at(before, uv) - _color_at(after, own)) * 255)
    assert len(errors) > 1000
    return np.array(errors)


def _plane(scene: bpy.types.Scene, name: str, uvs: list[float], height: float = 0.0) -> bpy.types.Object:
    """A square metre that looks up, cut into small faces."""
    mesh = bpy.data.meshes.new(name)
    mesh.from_pydata([(0, 0, height), (1, 0, height), (1, 1, height), (0, 1, height)], [], [(0, 1, 2, 3)])
    mesh.uv_layers.new(name="UVMap").uv.foreach_set("vector", uvs)
    plane = bpy.data.objects.new(name, mesh)
    scene.collection.objects.link(plane)
    bpy.context.view_layer.update()
    return plane


STRAIGHT = [0.0, 0, 1, 0, 1, 1, 0, 1]
# u runs along y, and v against x.
QUARTER = [0.0, 1, 0, 0, 1, 0, 1, 1]


@pytest.mark.parametrize(("convention", "green"), [("opengl", 1), ("directx", -1)])
def test_a_bump_keeps_its_direction(
    module: Module,
    transfer: Callable[..., Any],
    scene: bpy.types.Scene,
    tmp_path: Path,
    convention: str,
    green: int,
) -> None:
    """A tilt along x (the source's u) and half as much along y is one along v's opposite and u in a turned layout."""
    source, target = _plane(scene, "source", STRAIGHT), _plane(scene, "target", QUARTER, 0.01)
    tilt = np.array([0.6, 0.3 * green, 0.0])
    tilt[2] = np.sqrt(1 - tilt @ tilt)
    make_textures(tmp_path / "set", (128, 128, 128), convention)
    _picture(module, tmp_path / "set/normal.png", np.tile((tilt + 1) / 2, (8, 8, 1)))
    module("material").assign(source, module("results").maps_in(tmp_path / "set"))
    done = transfer(source, target, tmp_path / "out")
    found = 2 * _pixels(done.folder / "normal.png").reshape(-1, 3) - 1
    assert np.abs(found - (0.3, -0.6, tilt[2])).max() < 0.02
    manifest = json.loads((done.folder / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["maps"]["normal"]["convention"] == "opengl"


def test_the_shape_of_the_source_does_not_come_along(
    module: Module, transfer: Callable[..., Any], scene: bpy.types.Scene, tmp_path: Path
) -> None:
    """A slanted plane with a tilt in its normal map gives a level one that same tilt."""
    source, target = _plane(scene, "source", STRAIGHT), _plane(scene, "target", STRAIGHT)
    for vertex in source.data.vertices:
        vertex.co.z = 0.1 * vertex.co.x
    source.data.update()
    tilt = np.array([0.0, 0.5, np.sqrt(0.75)])
    _dress(module, source, tmp_path / "set", normal=np.tile((tilt + 1) / 2, (8, 8, 1)))
    chosen = module("transfer").Options(size=SIZE, samples=1, reach=0.2, fit=False)
    done = transfer(source, target, tmp_path / "out", chosen)
    found = 2 * _pixels(done.folder / "normal.png") - 1
    assert np.abs(np.median(found.reshape(-1, 3), axis=0) - tilt).max() < 0.02


def test_colors_are_the_same_bytes(
    module: Module, transfer: Callable[..., Any], scene: bpy.types.Scene, tmp_path: Path
) -> None:
    """Every grey, through Blender's linear space and back."""
    source, target = _plane(scene, "source", STRAIGHT), _plane(scene, "target", STRAIGHT, 0.01)
    greys = np.tile((np.arange(256) / 255)[None, :, None], (256, 1, 3))
    _dress(module, source, tmp_path / "set", base_color=greys, roughness=greys)
    done = transfer(source, target, tmp_path / "out")
    for name in ("base_color", "roughness"):
        found = np.rint(_pixels(done.folder / f"{name}.png")[SIZE // 2, ::2, 0] * 255)
        # The middle of every second texel lies a quarter of one beside the source's; the first's neighbour is white.
        assert np.abs(found - np.arange(256))[1:].max() <= 1, name


def test_it_leaves_everything_else_alone(
    module: Module, transfer: Callable[..., Any], scene: bpy.types.Scene, tmp_path: Path
) -> None:
    source, target = _plane(scene, "source", STRAIGHT), _plane(scene, "target", QUARTER, 0.01)
    _dress(module, source, tmp_path / "set")
    scene.uvmap_id.body = source
    source.select_set(True)
    source.hide_render = True
    before, settings, names = _state(), _settings(scene), names_in_file()
    done = transfer(source, target, tmp_path / "out")
    assert (_state(), _settings(scene)) == (before, settings)
    after = names_in_file()
    assert {kind for kind in names if names[kind] != after[kind]} == {"materials", "images"}
    assert len(after["materials"]) == len(names["materials"]) + 1
    assert len(after["images"]) == len(names["images"]) + 3
    # Again: the same bytes, and nothing piles up.
    content = {path.name: path.read_bytes() for path in done.folder.iterdir()}
    again = transfer(source, target, tmp_path / "out")
    assert {path.name: path.read_bytes() for path in again.folder.iterdir()} == content
    assert names_in_file() == after
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_the_manifest_names_its_source(
    module: Module, transfer: Callable[..., Any], scene: bpy.types.Scene, tmp_path: Path
) -> None:
    source, target = _plane(scene, "source", STRAIGHT), _plane(scene, "target", QUARTER, 0.01)
    _dress(module, source, tmp_path / "set", EXTRA)
    done = transfer(source, target, tmp_path / "out")
    manifest = json.loads((done.folder / "manifest.json").read_text(encoding="utf-8"))
    assert set(manifest["maps"]) == {"base_color", "normal", "roughness", "orm", "subsurface"}
    for name, entry in manifest["maps"].items():
        assert entry["sha256"] == _hash(done.folder / entry["file"])
        assert (entry["width"], entry["height"]) == (SIZE, SIZE)
        assert manifest["transfer"]["source_sha256"][name] == _hash(tmp_path / "set" / entry["file"])
    assert manifest["transfer"]["manifest"] == json.loads((tmp_path / "set/manifest.json").read_text(encoding="utf-8"))
    assert manifest["transfer"]["coverage"] == 1.0


def test_what_is_not_hit_is_filled(
    module: Module, transfer: Callable[..., Any], scene: bpy.types.Scene, tmp_path: Path
) -> None:
    """A third of the target has no source below it, and a fifth of the atlas no surface."""
    source = _plane(scene, "source", STRAIGHT)
    target = _plane(scene, "target", [0.2, 0, 1, 0, 1, 1, 0.2, 1], 0.01)
    source.scale.x = 0.7
    bpy.context.view_layer.update()
    _dress(module, source, tmp_path / "set", base_color=np.tile(np.array([0.8, 0.2, 0.1]), (8, 8, 1)))
    options = module("transfer").Options(size=SIZE, samples=1, reach=0.05)
    done = transfer(source, target, tmp_path / "out", options)
    assert done.coverage == pytest.approx(0.7, abs=0.01)
    assert np.abs(_pixels(done.folder / "base_color.png") - (0.8, 0.2, 0.1)).max() < 0.004


def test_closing_half_way_leaves_everything(module: Module, scene: bpy.types.Scene, tmp_path: Path) -> None:
    source, target = _plane(scene, "source", STRAIGHT), _plane(scene, "target", QUARTER, 0.01)
    _dress(module, source, tmp_path / "set")
    names = names_in_file()
    options = module("transfer").Options(size=SIZE, samples=1)
    steps = module("transfer").transfer_steps(source, target, options, tmp_path / "out")
    assert 0 < next(steps) < next(steps) < 1
    steps.close()
    assert names_in_file() == names
    assert [path.name for path in tmp_path.iterdir()] == ["set"]


def test_refusals_change_nothing(module: Module, scene: bpy.types.Scene, tmp_path: Path) -> None:
    source, target = _plane(scene, "source", STRAIGHT), _plane(scene, "target", QUARTER, 0.01)
    scene.uvmap_id.body = source
    _refused("body_without_textures", target)
    _dress(module, source, tmp_path / "set")
    _refused("body_missing: .*another|body_missing: .*wears it", source)
    _refused("body_missing", bpy.data.objects.new("empty", None))
    far = _plane(scene, "far", STRAIGHT, 3.0)
    _refused("bodies_apart: The two bodies are up to", far)
    _refused("bodies_apart: Only 0% of the target", far, ray_distance=0.1)
    outside = _plane(scene, "outside", [value + 2 for value in STRAIGHT], 0.01)
    _refused("body_without_uvs: .*outside", outside)
    target.data.uv_layers.remove(target.data.uv_layers[0])
    _refused("body_without_uvs", target)
    (tmp_path / "set/roughness.png").unlink()
    _refused("result_damaged", outside)


def _refused(reason: str, target: bpy.types.Object, **options: Any) -> None:
    before = names_in_file()
    with pytest.raises(RuntimeError, match=reason):
        bpy.ops.uvmap_id.transfer_texture(target=target.name, size=str(SIZE), **options)
    assert names_in_file() == before


def test_a_folder_with_other_things_is_not_replaced(
    module: Module, transfer: Callable[..., Any], scene: bpy.types.Scene, tmp_path: Path
) -> None:
    source, target = _plane(scene, "source", STRAIGHT), _plane(scene, "target", QUARTER, 0.01)
    _dress(module, source, tmp_path / "set")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/diary.txt").write_text("dear", encoding="utf-8")
    (tmp_path / "file").write_text("", encoding="utf-8")
    for place in (tmp_path / "mine", tmp_path / "file", tmp_path / "file/below"):
        with pytest.raises(module("link.errors").UVMapError, match="output_not_writable"):
            transfer(source, target, place)
    assert (tmp_path / "mine/diary.txt").read_text(encoding="utf-8") == "dear"


def _hash(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _state() -> Any:
    context = bpy.context
    objects = [(item.name, item.select_get(), item.hide_render, item.hide_get()) for item in context.scene.objects]
    return context.scene.name, objects, context.view_layer.objects.active


def _settings(scene: bpy.types.Scene) -> Any:
    groups = (scene.render, scene.render.bake, getattr(scene, "cycles", None))
    kept = []
    for group in filter(None, groups):
        names = [item.identifier for item in group.bl_rna.properties if item.type in ("INT", "FLOAT", "ENUM", "STRING")]
        kept.append([(name, str(getattr(group, name))) for name in names])
    return kept


def test_command_transfers_between_files(
    module: Module, smpl: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    folder = make_textures(tmp_path / "set", (200, 150, 120))
    arguments = ["--textures", folder, "--target", smpl / "SMPLX-male.obj", "--out", tmp_path / "out", "--size", SIZE]
    arguments += ["--body", smpl / "SMPL_male_default_resolution.obj", "--samples", 1]
    main = module("cli").main
    assert main(["transfer", *map(str, arguments)]) == 1
    assert "bodies_apart" in capfd.readouterr().err
    assert not (tmp_path / "out").exists()
    assert main(["transfer", *map(str, arguments), "--align"]) == 0
    assert capfd.readouterr().out.strip().endswith(str(tmp_path / "out"))
    assert _pixels(tmp_path / "out/base_color.png").reshape(-1, 3)[0] * 255 == pytest.approx((200, 150, 120), abs=1)
