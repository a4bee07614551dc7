"""Brings the face of a photo into the face of the atlas.

The photo is projected onto SMPL's face through the pose that fits its landmarks. No face has exactly that shape: a
smooth shift brings each feature to its place in the atlas where it would lie farther off than its tolerance. Within
the tolerance a face keeps its own proportions, and the mouth, whose tolerance is wide, keeps its expression.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import RBFInterpolator

from uvmap_id.atlas import face as region
from uvmap_id.atlas.face import FaceShape
from uvmap_id.atlas.layout import Atlas
from uvmap_id.engines.projection.colour import smoothstep, to_linear
from uvmap_id.faces.landmarks import LEFT_EYE, MESH_LANDMARK_COUNT, RIGHT_EYE, FaceLandmarks
from uvmap_id.faces.pose import Pose, fit_pose
from uvmap_id.pictures import Floats, blur, distance_inside, fill_polygons, sample, scale

# The outline of the face in mediapipe's numbering, clockwise in the photo from the middle of the forehead.
FACE_OVAL = (
    *(10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377),
    *(152, 148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109),
)
_OUTER_LIPS = (61, 185, 40, 39, 37, 0, 267, 269, 270, 409, 291, 375, 321, 405, 314, 17, 84, 181, 91, 146)
_FEATURES = (RIGHT_EYE, LEFT_EYE, _OUTER_LIPS)
_BRIDGE = 168

_INNER_LOWER_LIP = (95, 88, 178, 87, 14, 317, 402, 318, 324)
_INNER_UPPER_LIP = (191, 80, 81, 82, 13, 312, 311, 310, 415)
_OUTER_LOWER_LIP = (146, 91, 181, 84, 17, 314, 405, 321, 375)
# Of an open mouth the detector puts the lower lip's inner edge into the teeth, by this share of the lip.
_LIP_BIAS = 0.3
_OPEN = (0.1, 0.35)  # the gap between the lips, as a share of the lower lip's height, for closed and for open

# How far features may lie from their place in the atlas, metres on the face. Bodies have eyes of their own between
# their lids, so eyes must fit. Their lips meet in a line: an open mouth shows its teeth above that line.
_TOLERANCE, _OUTLINE_TOLERANCE, _EYE_TOLERANCE = 0.004, 0.008, 0.0008
_MOUTH_TOLERANCE, _LOWER_LIP_TOLERANCE, _UPPER_LIP_TOLERANCE = 0.011, 0.0015, 0.03
_MOUTH_REACH = 0.03  # metres from the lips within which landmarks follow the mouth
_SHIFT_GRID = 96
_SMOOTHING = 5e-6
_SHIFT_REACH = 0.10  # Atlas units beyond the outline within which the shift fades away.

_WORTH_REDUCING = 0.9
_GRID = region.RESOLUTION
_FADE = 0.026  # Atlas units from the outline inwards over which the face counts more and more as its inside.
# How squarely a texel must face the camera to be taken from the photo: cosines for not at all and fully.
_SEEN = (0.12, 0.35)
GRAZED = 0.15
# What lies so many metres behind something else is hidden by it; how fine that is looked at, in metres.
_HIDDEN, _DEPTH_CELL = 0.012, 0.002
_SPECK = (9, 9)  # texels of the region's own grid


@dataclass(frozen=True, slots=True)
class WarpedFace:
    """The photo's face over the atlas's face region, whose shape (h, w) is `atlas.face.region_shape(size)`.

    Attributes:
        colour: (h, w, 3) float32 linear.
        seen: (h, w) float32, 1 where the photo shows the texel squarely, `GRAZED` where it is turned away, and 0 where
            something is before it.
        depth: (h, w) float32, atlas units from the face's outline, positive inside.
        features: (h, w) float32, 1 on the eyes and the mouth, which are no skin.
        normal: (h, w, 3) float32 unit normals in body axes.
        axis: The u of the face's middle.
    """

    colour: Floats
    seen: Floats
    depth: Floats
    features: Floats
    normal: Floats
    axis: float

    @property
    def inside(self) -> Floats:
        """(h, w) float32, 0 on the face's outline and outside, 1 well inside."""
        return smoothstep(0, _FADE, self.depth)


def fit_face(face: FaceLandmarks, shape: FaceShape, atlas: Atlas) -> Pose:
    """How the head stands before the camera."""
    weights = np.ones(MESH_LANDMARK_COUNT)
    weights[_near_mouth(shape, atlas)] = 0.1
    weights[[*RIGHT_EYE, *LEFT_EYE]] = 0.5
    landmarks = atlas.landmarks[:MESH_LANDMARK_COUNT]
    return fit_pose(face.points[:MESH_LANDMARK_COUNT, :2], shape.at(landmarks), weights)


def warp_face(
    photo: NDArray[np.uint8],
    face: FaceLandmarks,
    pose: Pose,
    person: Floats,
    shape: FaceShape,
    atlas: Atlas,
    size: int,
) -> WarpedFace:
    """Bring the face into the atlas.

    Args:
        photo: (H, W, 3) uint8 sRGB.
        face: Its landmarks.
        pose: From `fit_face`.
        person: (H, W) float32, 1 where the photo shows the person and 0 on the background.
        shape: SMPL's face.
        atlas: The layout.
        size: Texels on a side of the atlas.
    """
    outline = _outline_depth(atlas)
    places = pose.project(shape.position) + _shift(face, pose, shape, atlas, outline)
    reduction = _reduction(face, atlas, size)
    wanted = region.upsampled(places.astype(np.float32), size) * np.float32(reduction)
    reduced = photo if reduction == 1 else scale(photo, reduction)
    colour = to_linear(sample(reduced, wanted, cubic=True))
    shown = sample(person, places)
    squarely = np.maximum(smoothstep(*_SEEN, pose.facing(shape.normal)), GRAZED)
    seen = squarely * _unhidden(pose, shape) * smoothstep(0.4, 0.8, shown)
    return WarpedFace(
        colour=colour,
        seen=region.upsampled(seen, size),
        depth=region.upsampled(outline, size),
        features=face_features(atlas, size),
        normal=region.upsampled(shape.normal, size),
        axis=float(atlas.landmarks[_BRIDGE, 0]),
    )


def inside_face(atlas: Atlas, size: int) -> Floats:
    """(h, w) over the region: 0 on the face's outline and outside, 1 well inside."""
    return smoothstep(0, _FADE, region.upsampled(_outline_depth(atlas), size))


def face_features(atlas: Atlas, size: int) -> Floats:
    """(h, w) over the region: 1 on the eyes and the mouth, with a soft edge."""
    features = _filled([atlas.landmarks[list(outline)] for outline in _FEATURES])
    return region.upsampled(blur(features.astype(np.float32), 2.5), size)


def _unhidden(pose: Pose, shape: FaceShape) -> Floats:
    """(N, N) 1 where nothing of the face lies before a texel, with a soft edge: of a turned face the nose hides."""
    towards = (shape.position - pose.centre) @ pose.rotation.T
    cells = np.floor(pose.project(shape.position) / (pose.scale * _DEPTH_CELL)).astype(int)
    cells -= cells.min(axis=(0, 1)) - 1
    nearest = np.full(cells.max(axis=(0, 1))[::-1] + 2, np.inf, np.float32)
    np.minimum.at(nearest, (cells[..., 1], cells[..., 0]), towards[..., 1].astype(np.float32))
    behind = towards[..., 1] - nearest[cells[..., 1], cells[..., 0]]
    # Specks are no more than the folds of nostrils and eyelids.
    hidden = cv2.morphologyEx((behind > _HIDDEN).astype(np.uint8), cv2.MORPH_OPEN, np.ones(_SPECK, np.uint8))
    return blur(1 - hidden.astype(np.float32), 1.5)


def _near_mouth(shape: FaceShape, atlas: Atlas) -> NDArray[np.int64]:
    """Numbers of the landmarks on and around the lips."""
    positions = shape.at(atlas.landmarks[:MESH_LANDMARK_COUNT])
    lips = positions[list(_OUTER_LIPS)]
    distance = np.linalg.norm(positions[:, None] - lips[None], axis=2).min(axis=1)
    return np.flatnonzero(distance < _MOUTH_REACH)


def _unbiased(points: Floats) -> Floats:
    """(468, 2) landmarks in which the inner edge of an open mouth's lower lip lies on the lip."""
    inner, outer = points[list(_INNER_LOWER_LIP)], points[list(_OUTER_LOWER_LIP)]
    lip = np.linalg.norm(outer - inner, axis=1).mean()
    gap = np.linalg.norm(inner - points[list(_INNER_UPPER_LIP)], axis=1).mean()
    share = _LIP_BIAS * smoothstep(*_OPEN, np.array(gap / max(float(lip), 1e-6)))
    moved = points.astype(np.float64)
    moved[list(_INNER_LOWER_LIP)] += share * (outer - inner)
    return moved


def _shift(face: FaceLandmarks, pose: Pose, shape: FaceShape, atlas: Atlas, outline: Floats) -> Floats:
    """(N, N, 2) pixels by which the projection misses what it should show, beyond the features' tolerance."""
    landmarks = atlas.landmarks[:MESH_LANDMARK_COUNT].astype(np.float64)
    missed = _unbiased(face.points[:MESH_LANDMARK_COUNT, :2]) - pose.project(shape.at(landmarks))
    tolerance = np.full(MESH_LANDMARK_COUNT, _TOLERANCE)
    tolerance[list(FACE_OVAL)] = _OUTLINE_TOLERANCE
    tolerance[_near_mouth(shape, atlas)] = _MOUTH_TOLERANCE
    tolerance[list(_INNER_LOWER_LIP)] = _LOWER_LIP_TOLERANCE
    tolerance[list(_INNER_UPPER_LIP)] = _UPPER_LIP_TOLERANCE
    tolerance[[*RIGHT_EYE, *LEFT_EYE]] = _EYE_TOLERANCE
    length = np.linalg.norm(missed, axis=1) / pose.scale
    needed = missed * np.clip(1 - tolerance / np.maximum(length, 1e-9), 0, None)[:, None]
    spline = RBFInterpolator(landmarks, needed, smoothing=_SMOOTHING, kernel="thin_plate_spline")
    u, v = region.region_grid((_SHIFT_GRID, _SHIFT_GRID))
    coarse = spline(np.stack(np.broadcast_arrays(u, v), axis=-1).reshape(-1, 2))
    shift = coarse.reshape(_SHIFT_GRID, _SHIFT_GRID, 2).astype(np.float32)
    pixels = (np.indices(outline.shape)[::-1].transpose(1, 2, 0) + 0.5) * (_SHIFT_GRID / _GRID)
    return sample(shift, pixels) * smoothstep(-_SHIFT_REACH, 0, outline)[..., None]


def _reduction(face: FaceLandmarks, atlas: Atlas, size: int) -> float:
    """How much to shrink the photo before it is sampled, so that a large photo doesn't alias; never above 1."""
    corners = atlas.landmarks[[33, 263]]
    texels = float(np.linalg.norm(corners[0] - corners[1])) * size
    factor = texels * 1.1 / face.eye_distance
    return factor if factor < _WORTH_REDUCING else 1.0


def _outline_depth(atlas: Atlas) -> Floats:
    """(N, N) distance in atlas units from the face's outline, positive inside, over the region."""
    filled = _filled([atlas.landmarks[list(FACE_OVAL)]])
    reach = distance_inside(filled) - distance_inside(1 - filled)
    return blur(reach * np.float32((region.RIGHT - region.LEFT) / _GRID), 2)


def _filled(outlines: list[NDArray[np.floating]]) -> NDArray[np.uint8]:
    """(N, N) 1 inside the polygons, given in UVs, over the region."""
    square = (_GRID, _GRID)
    return fill_polygons([region.region_uv_to_pixels(outline, square) for outline in outlines], square)
