"""Measures where the 478 face landmarks lie in SMPL's atlas.

Two measurements are joined. SMPL's head, shaded and untextured, shows where its own features are: nose on nose,
mouth on mouth. Its eyes are closed, though, while every texture paints them open: so the shape of the open eyes
is measured on heads that wear real textures, and laid onto the eye corners of the first measurement.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree  # pyright: ignore[reportAttributeAccessIssue]

from uvmap_id.atlas.raster import rasterize
from uvmap_id.atlas.view import lookup
from uvmap_id.bodies.head import head_camera, landmark_positions
from uvmap_id.bodies.obj import TexturedMesh
from uvmap_id.faces.landmarks import LANDMARK_COUNT, LEFT_EYE, RIGHT_EYE, FaceFinder
from uvmap_id.pictures import sample

# Corners, and all points, of each eye; the irises come last in mediapipe's numbering.
_EYES = (((33, 133), (*RIGHT_EYE, *range(468, 473))), ((263, 362), (*LEFT_EYE, *range(473, 478))))
_GRID = 2048
_YAWS = (-10.0, 0.0, 10.0)


def z_up(vertices: NDArray[np.floating]) -> NDArray[np.float64]:
    """From y up, facing z (SMPL's files) to z up, facing -y (Blender)."""
    return np.asarray(vertices, np.float64)[:, [0, 2, 1]] * [1.0, -1.0, 1.0]


def landmark_uvs(mesh: TexturedMesh, textures: Sequence[NDArray[np.uint8]], finder: FaceFinder) -> NDArray[np.float32]:
    """(478, 2) UVs, origin bottom left, symmetric about the atlas's face axis."""
    shaded = _shaded_uvs(mesh, finder)
    textured = np.nanmedian(np.array(list(_textured_uvs(mesh, textures, finder))), axis=0)
    for corners, points in _EYES:
        shift = shaded[list(corners)].mean(axis=0) - textured[list(corners)].mean(axis=0)
        shaded[list(points)] = textured[list(points)] + shift
    return _symmetric(shaded).astype(np.float32)


def _shaded_uvs(mesh: TexturedMesh, finder: FaceFinder) -> NDArray[np.float64]:
    vertices = z_up(mesh.vertices)
    positions = landmark_positions(vertices, mesh.triangles, finder)
    pixels = mesh.uvs[mesh.uv_triangles] * [1, -1] * _GRID + [0, _GRID]
    raster = rasterize(pixels, (_GRID, _GRID))
    on_head = raster.covered
    # Only the front of the head: the search is by distance, and the back is far.
    carried = raster.interpolate(vertices[mesh.triangles])
    rows, columns = np.nonzero(on_head)
    near = np.abs(carried[rows, columns, 2] - np.nanmean(positions[:, 2])) < 0.2
    rows, columns = rows[near], columns[near]
    index = _nearest(carried[rows, columns], positions)
    return np.column_stack([(columns[index] + 0.5) / _GRID, 1 - (rows[index] + 0.5) / _GRID])


def _nearest(points: NDArray[np.floating], queries: NDArray[np.floating]) -> NDArray[np.int64]:
    return cKDTree(points).query(queries)[1]


def _textured_uvs(
    mesh: TexturedMesh, textures: Iterable[NDArray[np.uint8]], finder: FaceFinder
) -> Iterable[NDArray[np.float64]]:
    vertices = z_up(mesh.vertices)
    for texture in textures:
        for yaw in _YAWS:
            camera = head_camera(vertices, yaw)
            raster = camera.draw(vertices, mesh.triangles)
            uvs = raster.interpolate(mesh.uvs[mesh.uv_triangles])
            picture = lookup(texture, uvs)
            picture[~raster.covered] = 128
            for face in finder.find(picture)[:1]:
                points = face.points[:, :2]
                seen = sample(uvs, points).astype(np.float64)
                covered = sample(raster.covered.astype(np.float32), points)
                yield np.where(covered[:, None] > 0.999, seen, np.nan)


def _symmetric(uvs: NDArray[np.float64]) -> NDArray[np.float64]:
    """The mean of the landmarks and their mirror images: the atlas's face is symmetric, detections are only nearly."""
    axis = (uvs[33, 0] + uvs[263, 0] + uvs[61, 0] + uvs[291, 0]) / 4
    mirrored = uvs * [-1, 1] + [2 * axis, 0]
    partner = _nearest(uvs[:LANDMARK_COUNT], mirrored)
    mutual = partner[partner] == np.arange(LANDMARK_COUNT)
    result = uvs.copy()
    result[mutual] = (uvs[mutual] + mirrored[partner[mutual]]) / 2
    return result
