"""Warps the face of a photo into the face of the atlas, through the landmarks that both have."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import Delaunay

from uvmap_id.atlas.layout import Atlas
from uvmap_id.engines.projection.colour import smoothstep, to_linear
from uvmap_id.faces.landmarks import LEFT_EYE, MESH_LANDMARK_COUNT, RIGHT_EYE, FaceLandmarks
from uvmap_id.pictures import Floats, Number, blur, distance_inside, fill_polygons, resize, sample, scale

# The outline of the face in mediapipe's numbering, clockwise in the photo from the middle of the forehead.
FACE_OVAL = (
    *(10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377),
    *(152, 148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109),
)
# Columns of the mouth from its right to its left corner: outer and inner edge of the upper and the lower lip.
_OUTER_UPPER = (185, 40, 39, 37, 0, 267, 269, 270, 409)
_INNER_UPPER = (191, 80, 81, 82, 13, 312, 311, 310, 415)
_INNER_LOWER = (95, 88, 178, 87, 14, 317, 402, 318, 324)
_OUTER_LOWER = (146, 91, 181, 84, 17, 314, 405, 321, 375)
# Rings between the lips' edges. They would fold where the inner edges move, and add nothing.
_INSIDE_LIPS = (
    *(76, 184, 74, 73, 72, 11, 302, 303, 304, 408, 306, 62, 183, 42, 41, 38, 12, 268, 271, 272, 407, 292),
    *(77, 90, 180, 85, 16, 315, 404, 320, 307, 96, 89, 179, 86, 15, 316, 403, 319, 325),
)
_BRIDGE = 168
# Corners of the eyes, bridge and wings of the nose: they keep their place in every expression.
_STEADY = (33, 133, 362, 263, 168, 6, 98, 327, 4)
_MOUTH = (61, 291, 0, 17)
_MOUTH_REACH = 0.055  # Atlas units around the mouth in which landmarks follow it.
_EXPRESSION = 0.6  # How far the mouth keeps the photo's shape instead of taking SMPL's.

_FEATURES = (RIGHT_EYE, LEFT_EYE, (61, *_OUTER_UPPER, 291, *reversed(_OUTER_LOWER)))

# The part of the atlas that the face can reach: u0, u1, v0, v1.
REGION = (0.10, 0.50, 0.62, 0.985)
_GRID = 384
_FADE = 0.026  # Atlas units over which the face dissolves into the painted skin.
_UPPER = 0.80  # Above this v the outline borders on hair, below on skin.
# Where hair of the photo is kept beyond the outline: it fades out before the island's edge and towards the temples.
_FRINGE_TOP = (0.932, 0.885)
_FRINGE_SIDE = (0.165, 0.13)
_ASIDE = (0.07, 0.10)


@dataclass(frozen=True, slots=True)
class WarpedFace:
    """The photo's face in the atlas.

    Attributes:
        colour: (S, S, 3) float32 linear; black where `cover` is 0.
        cover: (S, S) float32, how much of the photo is to be used.
        inside: (S, S) float32, 0 on the face's outline and outside, 1 well inside.
        features: (S, S) float32, 1 on the eyes and the mouth, which are no skin.
        aside: (S, S) float32, 1 on the temples and the outer cheeks, 0 in the middle of the face.
    """

    colour: Floats
    cover: Floats
    inside: Floats
    features: Floats
    aside: Floats


def warp_face(photo: NDArray[np.uint8], face: FaceLandmarks, person: Floats, atlas: Atlas, size: int) -> WarpedFace:
    """Bring the face into the atlas.

    Args:
        photo: (H, W, 3) uint8 sRGB.
        face: Its landmarks.
        person: (H, W) float32, 1 where the photo shows the person and 0 on the background.
        atlas: The layout.
        size: Texels on a side of the result.
    """
    wanted = _wanted_landmarks(face, atlas)
    mapping, covered = _mapping(face, wanted)
    reduction = _reduction(face, atlas, size)
    rows, columns = region_slices(size)
    shape = (rows.stop - rows.start, columns.stop - columns.start)
    places = resize(mapping, shape) * reduction
    seen = sample(_reduced(photo, reduction), places, cubic=True)
    shown = sample(_reduced(person, reduction), places)
    inside = smoothstep(0, _FADE, _outline_depth(atlas, shape))
    fringe = _fringe(atlas, shape) * smoothstep(0.6, 0.95, shown)
    reached = resize(covered, shape)
    cover = reached * np.maximum(inside, fringe)
    parts = (to_linear(seen), cover, inside, _features(wanted, shape), _aside(atlas, shape))
    return WarpedFace(*(_placed(part, size) for part in parts))


def region_slices(size: int) -> tuple[slice, slice]:
    """Rows and columns of the atlas in which the face lies."""
    left, right, bottom, top = REGION
    return slice(round((1 - top) * size), round((1 - bottom) * size)), slice(round(left * size), round(right * size))


def _placed(part: Floats, size: int) -> Floats:
    whole = np.zeros((size, size, *part.shape[2:]), np.float32)
    whole[region_slices(size)] = part
    return whole


def _wanted_landmarks(face: FaceLandmarks, atlas: Atlas) -> Floats:
    """(468, 2) UVs to which this face's landmarks go: the atlas's own, but for the mouth's expression.

    The irises are left out, so that the eyes look where they look in the photo.
    """
    photo = face.points[:MESH_LANDMARK_COUNT, :2].astype(np.float64)
    neutral = atlas.landmarks[:MESH_LANDMARK_COUNT].astype(np.float64)
    return _opened_lips(photo, _with_expression(photo, neutral))


def _mapping(face: FaceLandmarks, atlas_points: Floats) -> tuple[Floats, Floats]:
    """On a coarse grid over the region: where in the photo each texel comes from, and whether any landmark says so."""
    photo_points = face.points[:MESH_LANDMARK_COUNT, :2].astype(np.float64)
    kept = np.setdiff1d(np.arange(MESH_LANDMARK_COUNT), _INSIDE_LIPS)
    rings = [(photo_points[kept], atlas_points[kept])]
    rings += [(_scaled(photo_points, factor), _scaled(atlas_points, factor)) for factor in (1.15, 1.35, 1.6)]
    sources = np.concatenate([source for source, _ in rings])
    places = np.concatenate([place for _, place in rings])
    left, right, bottom, top = REGION
    columns = left + (np.arange(_GRID) + 0.5) / _GRID * (right - left)
    rows = top - (np.arange(_GRID) + 0.5) / _GRID * (top - bottom)
    grid = np.stack(np.meshgrid(columns, rows), axis=-1).reshape(-1, 2)
    triangles = Delaunay(places)
    found = triangles.find_simplex(grid)
    transform = triangles.transform[found]
    partial = np.einsum("nij,nj->ni", transform[:, :2], grid - transform[:, 2])
    weights = np.column_stack([partial, 1 - partial.sum(axis=1)])
    mapping = np.einsum("nk,nkc->nc", weights, sources[triangles.simplices[found]])
    mapping[found < 0] = 0
    mapping = mapping.reshape(_GRID, _GRID, 2).astype(np.float32)
    covered = (found >= 0).reshape(_GRID, _GRID).astype(np.float32)
    # Triangles meet at kinks, which show in eyebrows; this rounds them off without moving a feature.
    return blur(mapping, 1.2), covered


def _scaled(points: Floats, factor: float) -> Floats:
    """The outline drawn larger about the bridge of the nose: what lies around the face continues its mapping."""
    middle = points[_BRIDGE]
    return middle + (points[list(FACE_OVAL)] - middle) * factor


def _with_expression(photo: Floats, atlas: Floats) -> Floats:
    """Atlas landmarks whose mouth leans towards the photo's: a smile pressed into a neutral mouth is a grimace."""
    turn, move = _similarity(photo[list(_STEADY)] * [1, -1], atlas[list(_STEADY)])
    seen = photo * [1, -1] @ turn.T + move
    distance = np.linalg.norm(atlas - atlas[list(_MOUTH)].mean(axis=0), axis=1)
    share = _EXPRESSION * smoothstep(2 * _MOUTH_REACH, _MOUTH_REACH * 0.8, distance)
    return atlas + share[:, None] * (seen - atlas)


def _similarity(source: Floats, target: Floats) -> tuple[Floats, Floats]:
    """Scaled rotation and translation that bring the first points closest to the second (Umeyama 1991)."""
    middle, wanted = source.mean(axis=0), target.mean(axis=0)
    left, stretch, right = np.linalg.svd((target - wanted).T @ (source - middle))
    sign = np.array([1.0, np.sign(np.linalg.det(left @ right))])
    turn = (left * sign) @ right * (stretch @ sign) / ((source - middle) ** 2).sum()
    return turn, wanted - turn @ middle


def _opened_lips(photo: Floats, atlas: Floats) -> Floats:
    """Atlas landmarks whose inner lips part as far as in the photo, so that a smile keeps its teeth.

    SMPL's lips are closed: both inner edges lie on one line there, and nothing between them would be seen.
    """
    opened = atlas.copy()
    upper, lower = photo[list(_OUTER_UPPER)], photo[list(_OUTER_LOWER)]
    axis = lower - upper
    length = np.maximum((axis**2).sum(axis=1), 1e-9)
    first = ((photo[list(_INNER_UPPER)] - upper) * axis).sum(axis=1) / length
    second = ((photo[list(_INNER_LOWER)] - upper) * axis).sum(axis=1) / length
    gap = float(np.median(second - first))
    share = float(smoothstep(0.05, 0.2, np.array(gap)))
    top, bottom = atlas[list(_OUTER_UPPER)], atlas[list(_OUTER_LOWER)]
    for inner, place in ((_INNER_UPPER, first), (_INNER_LOWER, second)):
        wanted = top + (bottom - top) * np.clip(place, 0.02, 0.98)[:, None]
        opened[list(inner)] += share * (wanted - atlas[list(inner)])
    return opened


def _reduction(face: FaceLandmarks, atlas: Atlas, size: int) -> float:
    """How much to shrink the photo before it is sampled, so that a large photo doesn't alias; never above 1."""
    corners = atlas.landmarks[[33, 263]]
    texels = float(np.linalg.norm(corners[0] - corners[1])) * size
    return min(1.0, texels * 1.1 / face.eye_distance)


def _reduced(image: NDArray[Number], factor: float) -> NDArray[Number]:
    return image if factor > 0.9 else scale(image, factor)


def _outline_depth(atlas: Atlas, shape: tuple[int, int]) -> Floats:
    """(h, w) distance in atlas units from the face's outline, positive inside, over the region."""
    filled = _filled([atlas.landmarks[list(FACE_OVAL)]])
    reach = distance_inside(filled) - distance_inside(1 - filled)
    return resize(blur(reach * np.float32((REGION[1] - REGION[0]) / _GRID), 2), shape)


def _features(landmarks: Floats, shape: tuple[int, int]) -> Floats:
    """(h, w) 1 on the eyes and the mouth, with a soft edge."""
    filled = _filled([landmarks[list(outline)] for outline in _FEATURES]).astype(np.float32)
    return resize(blur(filled, 2.5), shape)


def _filled(outlines: list[Floats]) -> NDArray[np.uint8]:
    """(_GRID, _GRID) 1 inside the polygons, given in UVs, over the region."""
    left, right, bottom, top = REGION
    extent = np.array([right - left, bottom - top])
    return fill_polygons([(outline - [left, top]) / extent * _GRID for outline in outlines], (_GRID, _GRID))


def _fringe(atlas: Atlas, shape: tuple[int, int]) -> Floats:
    """(h, w) 1 over the forehead, where hair may hang into the face and on over the hairline."""
    across, height = _coordinates(atlas, shape)
    return (
        smoothstep(*_FRINGE_TOP, height) * smoothstep(_UPPER, _UPPER + 0.06, height) * smoothstep(*_FRINGE_SIDE, across)
    )


def _aside(atlas: Atlas, shape: tuple[int, int]) -> Floats:
    """(h, w) 1 on the temples and the outer cheeks."""
    across, height = _coordinates(atlas, shape)
    return smoothstep(*_ASIDE, across) * smoothstep(_UPPER + 0.075, _UPPER + 0.045, height)


def _coordinates(atlas: Atlas, shape: tuple[int, int]) -> tuple[Floats, Floats]:
    """Over the region: distance from the middle of the face in u, (1, w), and v, (h, 1)."""
    left, right, bottom, top = REGION
    across = np.abs(np.linspace(left, right, shape[1], dtype=np.float32)[None, :] - atlas.landmarks[_BRIDGE, 0])
    return across, np.linspace(top, bottom, shape[0], dtype=np.float32)[:, None]
