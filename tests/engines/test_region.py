"""A region of a texture set is made anew: inside it is new, outside every texel is what it was."""

from __future__ import annotations

import dataclasses
import hashlib
import io
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from uvmap_id.atlas.layout import Atlas
from uvmap_id.atlas.parts import ARMS, REGIONS, TORSO, Part
from uvmap_id.engines.base import TextureSet
from uvmap_id.engines.projection.engine import ProjectionEngine
from uvmap_id.engines.region import generate_in_region, region_share
from uvmap_id.link.errors import ErrorCode, LinkError, UVMapError
from uvmap_id.link.region import REGION_PARTS, Region
from uvmap_id.link.request import TextureRequest

SIZE = 512


def silent(stage: str, fraction: float, preview: object = None) -> None:
    assert stage


def as_png(pixels: NDArray[np.uint8]) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@pytest.fixture(scope="module")
def atlas() -> Atlas:
    return Atlas.load()


@pytest.fixture(scope="module")
def engine() -> ProjectionEngine:
    return ProjectionEngine()


@pytest.fixture(scope="module")
def base(engine: ProjectionEngine, photo_file: bytes) -> TextureSet:
    request = TextureRequest(digest(photo_file), "white shirt, blue jeans", size=SIZE)
    return engine.generate(request, (photo_file,), silent)


Regenerate = Callable[..., TextureSet]


@pytest.fixture(scope="module")
def regenerate(engine: ProjectionEngine, base: TextureSet, photo_file: bytes) -> Regenerate:
    def run(parts: tuple[str, ...] = (), mask: bytes | None = None, **options: Any) -> TextureSet:
        maps = [as_png(each) for each in (base.base_color, base.normal, base.roughness, base.subsurface)]
        region = Region(tuple(map(digest, maps)), parts, digest(mask) if mask else "")
        values = {"prompt": "red shirt, green trousers", "size": SIZE, **options}
        request = TextureRequest(digest(photo_file), region=region, **values)
        request.validate()
        files = (photo_file, *maps, *([mask] if mask else []))
        assert tuple(map(digest, files)) == request.files
        return generate_in_region(engine, request, files, silent)

    return run


def test_only_the_named_part_changes(regenerate: Regenerate, base: TextureSet, atlas: Atlas) -> None:
    result = regenerate(("torso",))
    torso = atlas.shows(TORSO, SIZE)
    elsewhere = atlas.mask(SIZE) & ~torso
    for name in ("base_color", "normal", "roughness", "subsurface"):
        assert (getattr(result, name)[elsewhere] == getattr(base, name)[elsewhere]).all(), name
    changed = np.abs(result.base_color.astype(int) - base.base_color).sum(axis=2)
    chest = atlas.shows({Part.CHEST}, SIZE)
    assert (changed[chest] > 60).mean() > 0.9
    # White became red, and the jeans below stayed blue.
    red, green, blue = np.median(result.base_color[chest], axis=0)
    assert red > 1.5 * max(green, blue)
    legs = atlas.shows(REGIONS["thighs"], SIZE)
    assert (np.median(result.base_color[legs], axis=0) == np.median(base.base_color[legs], axis=0)).all()


def test_the_edge_is_soft_also_where_the_region_ends_at_a_seam(atlas: Atlas) -> None:
    request = TextureRequest("0" * 64, "x", size=SIZE, region=Region(("0" * 64,) * 3, ("torso",)))
    share = region_share(request, None, atlas)
    position, used = atlas.position(SIZE), atlas.mask(SIZE)
    torso, arms = atlas.shows(TORSO, SIZE) & used, atlas.shows(ARMS, SIZE) & used
    from scipy.spatial import cKDTree  # pyright: ignore[reportAttributeAccessIssue]

    distance = cKDTree(position[arms]).query(position[torso])[0]
    # The armhole is a seam of the atlas: on the body the arm begins there.
    assert share[torso][distance < 0.004].max() < 0.35
    assert share[torso][distance > 0.1].min() >= 0
    assert np.median(share[atlas.shows({Part.CHEST}, SIZE)]) == 1
    assert share[used & ~torso].max() == 0


def test_a_painted_mask_counts_by_its_brightness(regenerate: Regenerate, base: TextureSet, atlas: Atlas) -> None:
    painted = np.zeros((SIZE, SIZE), np.uint8)
    chest = atlas.shows({Part.CHEST}, SIZE)
    painted[chest] = 128
    half, full = regenerate(mask=as_png(painted)), regenerate(("chest",))
    moved = [np.abs(each.base_color[chest].astype(float) - base.base_color[chest]).mean() for each in (half, full)]
    assert moved[0] == pytest.approx(moved[1] / 2, rel=0.05)
    colour = np.dstack([painted, np.zeros_like(painted), np.zeros_like(painted)])
    assert regenerate(mask=as_png((colour > 0).astype(np.uint8) * 255)).base_color.shape == (SIZE, SIZE, 3)


def test_a_seam_of_directx_normals_is_kept_in_its_convention(
    engine: ProjectionEngine, base: TextureSet, photo_file: bytes, atlas: Atlas
) -> None:
    flipped = base.normal.copy()
    flipped[..., 1] = 255 - flipped[..., 1]
    maps = [as_png(each) for each in (base.base_color, flipped, base.roughness)]
    region = Region(tuple(map(digest, maps)), ("torso",))
    request = TextureRequest(digest(photo_file), "red shirt", size=SIZE, region=region, normal_convention="directx")
    result = generate_in_region(engine, request, (photo_file, *maps), silent)
    # Engines speak OpenGL's convention; the writer turns it back.
    elsewhere = atlas.mask(SIZE) & ~atlas.shows(TORSO, SIZE)
    assert (result.normal[elsewhere] == base.normal[elsewhere]).all()


def test_without_a_region_nothing_is_kept(engine: ProjectionEngine, base: TextureSet, photo_file: bytes) -> None:
    request = TextureRequest(digest(photo_file), "white shirt, blue jeans", size=SIZE)
    again = generate_in_region(engine, request, (photo_file,), silent)
    assert (again.base_color == base.base_color).all()


BLACK = as_png(np.zeros((SIZE, SIZE), np.uint8))
WIDE = as_png(np.full((SIZE, SIZE // 2), 255, np.uint8))


@pytest.mark.parametrize(
    ("mask", "code"),
    [
        (BLACK, ErrorCode.REGION_EMPTY),
        (WIDE, ErrorCode.IMAGE_UNREADABLE),
        (b"no picture", ErrorCode.IMAGE_UNREADABLE),
        (BLACK[: len(BLACK) // 2], ErrorCode.IMAGE_UNREADABLE),
    ],
)
def test_a_mask_that_is_none_is_refused(regenerate: Regenerate, mask: bytes, code: ErrorCode) -> None:
    with pytest.raises(UVMapError) as caught:
        regenerate(mask=mask)
    assert caught.value.failure.code == code
    assert caught.value.failure.hint


@pytest.mark.parametrize(
    ("region", "code"),
    [
        (Region(("0" * 64,) * 3), ErrorCode.REGION_INCOMPLETE),
        (Region((), ("torso",)), ErrorCode.REGION_INCOMPLETE),
        (Region(("0" * 64,) * 3, ("tail",)), ErrorCode.SETTING_OUT_OF_RANGE),
        (Region(("0" * 64,) * 3, ("torso", "torso")), ErrorCode.SETTING_OUT_OF_RANGE),
    ],
)
def test_a_region_that_makes_no_sense_is_refused(region: Region, code: ErrorCode) -> None:
    with pytest.raises(UVMapError) as caught:
        dataclasses.replace(TextureRequest("0" * 64, "x"), region=region).validate()
    assert caught.value.failure.code == code


@pytest.mark.parametrize("maps", [("x",) * 3, ("0" * 64,) * 2, ("0" * 64,) * 5])
def test_maps_that_are_none_are_refused(maps: tuple[str, ...]) -> None:
    with pytest.raises(LinkError):
        Region(maps, ("torso",)).validate()


def test_every_name_for_a_region_stands_for_parts() -> None:
    assert tuple(REGIONS) == REGION_PARTS
    assert frozenset().union(*REGIONS.values()) == frozenset(Part) - {Part.NONE}
