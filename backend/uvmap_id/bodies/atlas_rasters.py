"""Writes what the engines need to know of the atlas, measured on the baked mannequin."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from uvmap_id.atlas.layout import ISLAND_STEP, PART_STEP, POSITION_HIGH, POSITION_LOW
from uvmap_id.atlas.parts import JOINTS
from uvmap_id.atlas.raster import Raster, rasterize, spread, widened
from uvmap_id.atlas.view import vertex_normals
from uvmap_id.bodies.bake import Baked
from uvmap_id.bodies.bone_groups import joints
from uvmap_id.bodies.calibrate import z_up
from uvmap_id.bodies.obj import TexturedMesh, read_obj
from uvmap_id.bodies.part_labels import Texels, part_labels, strongest
from uvmap_id.bodies.seam_edges import seam_corners
from uvmap_id.bodies.seam_lines import islands
from uvmap_id.bodies.source import triangulated
from uvmap_id.bodies.surface import SurfacePoints, closest
from uvmap_id.pictures import Floats, encode_png, resize, resize_labels

Whole = TypeVar("Whole", np.uint8, np.uint16)

_POSITION_SIZE = 512
_LABEL_SIZE = 2048
_ISLAND_SIZE = 1024
_MIDLINE = 0.03  # metres; an island whose middle is farther from the body's belongs to one side
_OPPOSED = 0.2  # cosine
_BORDER = 4  # texels of the position map that are measured beyond the islands' edges


def write_atlas(baked: Baked, template_file: Path, folder: Path) -> None:
    """Write what `uvmap_id.atlas.layout.Atlas.load` reads."""
    template = read_obj(template_file)
    folder.mkdir(parents=True, exist_ok=True)
    position, normal, shares = _surface(baked, template)
    found = joints(baked.t_pose, baked.shares)
    hip = float(found[[JOINTS.index("hip_left"), JOINTS.index("hip_right")], 2].mean())
    labels, island = _labels(template, position, normal, shares, hip)
    pictures = {
        "position": _encoded((position - POSITION_LOW) / (POSITION_HIGH - POSITION_LOW) * 65535, np.uint16),
        "normal": _encoded((normal + 1) / 2 * 255, np.uint8),
        "parts": labels * np.uint8(PART_STEP),
        "islands": island * np.uint8(ISLAND_STEP),
    }
    for name, picture in pictures.items():
        (folder / f"{name}.png").write_bytes(encode_png(picture))
    np.save(folder / "landmarks.npy", baked.landmarks)
    np.save(folder / "seams.npy", seam_corners(template))
    np.save(folder / "joints.npy", found)


def _encoded(values: Floats, kind: type[Whole]) -> NDArray[Whole]:
    return np.clip(np.round(values), 0, np.iinfo(kind).max).astype(kind)


def _surface(baked: Baked, template: TexturedMesh) -> tuple[Floats, Floats, Floats]:
    """(N, N, 3) positions in metres and normals, in the T-pose, and (N, N, G) shares of the groups of bones.

    A texel's place on the template leads to the nearest place on the registered mannequin, and that to the place
    on the mannequin as it is: unlike drawing the mannequin's own UV faces, this leaves no texel out. Just beyond an
    island's edge the surface goes on behind the seam, so that what is interpolated there is right on both sides;
    farther off, texels take the nearest one's values.
    """
    corners = _pixels(template, _POSITION_SIZE)
    raster = widened(rasterize(corners, (_POSITION_SIZE, _POSITION_SIZE)), corners, _BORDER)
    vertices, on_body = z_up(template.vertices), raster.covered
    points = raster.interpolate(vertices[template.triangles])[on_body]
    triangles = triangulated(baked.faces[baked.outer])
    held = _held(points, _sides(template)[raster.triangle[on_body]], baked, triangles)
    position, shares = (held.carry(values[triangles]) for values in (baked.t_pose, baked.shares))
    normal = _unit(held.carry(vertex_normals(baked.t_pose.astype(np.float64), triangles)[triangles]))
    # The mannequin's eyes are open where the template's lids are: what has no counterpart keeps the template's normal.
    expected = _unit(raster.interpolate(vertex_normals(vertices, template.triangles)[template.triangles])[on_body])
    normal = np.where((normal * expected).sum(axis=1, keepdims=True) < _OPPOSED, expected, normal)
    return _filled(raster, position), _filled(raster, normal), _filled(raster, shares)


def _sides(template: TexturedMesh) -> NDArray[np.int8]:
    """(T,) -1 for triangles of the body's right, 1 for its left. A limb's whole island is on one side."""
    across = z_up(template.vertices)[template.triangles][..., 0].mean(axis=1)
    number = islands(template.uv_triangles, len(template.uvs))
    middle = (np.bincount(number, across) / np.bincount(number))[number]
    return np.where(np.where(np.abs(middle) > _MIDLINE, middle, across) < 0, -1, 1).astype(np.int8)


def _held(
    points: NDArray[np.floating], sides: NDArray[np.int8], baked: Baked, triangles: NDArray[np.int64]
) -> SurfacePoints:
    """The nearest places of the registered mannequin on each point's own side, so that no thigh takes the other's."""
    across = baked.vertices[triangles][..., 0]  # The body as it stands keeps its legs apart.
    held = SurfacePoints(np.zeros(len(points), np.int64), np.zeros((len(points), 3)))
    for side in (-1, 1):
        own, near = np.flatnonzero(sides == side), np.flatnonzero((across * side).max(axis=1) > 0)
        found = closest(points[own], baked.registered, triangles[near])
        held.triangles[own], held.barycentric[own] = near[found.triangles], found.barycentric
    return held


def _unit(vectors: NDArray[np.floating]) -> NDArray[np.floating]:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-6)


def _filled(raster: Raster, values: Floats) -> NDArray[np.float32]:
    whole = np.zeros((*raster.triangle.shape, values.shape[-1]), np.float32)
    whole[raster.covered] = values
    return spread(whole, raster.covered)


def _labels(
    template: TexturedMesh, position: Floats, normal: Floats, shares: Floats, hip: float
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """(M, M) values of `Part`, and numbers of the islands, from 1."""
    square = (_LABEL_SIZE, _LABEL_SIZE)
    raster = rasterize(_pixels(template, _LABEL_SIZE), square)
    numbers = islands(template.uv_triangles, len(template.uvs)).astype(np.uint8) + np.uint8(1)
    island = np.where(raster.covered, numbers[raster.triangle], np.uint8(0))
    places = resize(position.astype(np.float32), square)
    # The navel is on the torso: in front, in the middle, at the height of the body's origin.
    navel = np.argmin(np.linalg.norm(places - [0, -0.1, 0], axis=-1) + 9.0 * ~raster.covered)
    on_torso = island == island.ravel()[navel]
    texels = Texels(
        places,
        _sides(template)[raster.triangle] < 0,
        resize(normal.astype(np.float32), square),
        strongest(shares, _LABEL_SIZE),
        on_torso,
        raster.covered,
        hip,
    )
    return part_labels(texels), resize_labels(island, (_ISLAND_SIZE, _ISLAND_SIZE))


def _pixels(template: TexturedMesh, size: int) -> NDArray[np.float64]:
    return template.uvs[template.uv_triangles] * [1, -1] * size + [0, size]
