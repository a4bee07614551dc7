"""Fitting one body onto another that stands in the same place, so that eyes meet eyes and sleeves meet arms.

A non-rigid registration by closest points: vertices are pulled to the other surface from both sides, the pulls are
smoothed along the mesh, first over wide and then over ever smaller parts of it, and the mesh follows them. (The scheme
of Allen, Curless and Popovic, "The space of human body shapes", 2003, with smoothing in the place of their solver.)
"""

# pyright: reportArgumentType=false, reportOptionalMemberAccess=false, reportOptionalOperand=false
# pyright: reportCallIssue=false
# The stubs don't know that Blender takes numpy's arrays, and call optional what a search that succeeds returns.

from __future__ import annotations

import bpy
import numpy as np
from mathutils import Vector
from mathutils.bvhtree import BVHTree
from numpy.typing import NDArray

Floats = NDArray[np.float64]

# How often pulls are averaged with their neighbours', round by round, on a mesh as fine as SMPL's.
_ROUNDS = (200, 200, 100, 100, 50, 50, 25, 25, 12, 12, 6, 6)
_SMPL_VERTICES, _FINEST = 6890, 4.0
_PULLING_VERTICES = 20_000
_SAME_SIDE = 0.4
# How far the sides of two boxes may be apart, in limits: crowns and soles are apart farther than surfaces are.
_ALIKE = 2.0
_LITTLE = 1e-3


def fit(source: bpy.types.Mesh, target: bpy.types.Mesh, limit: float) -> None:
    """Move a mesh's vertices onto another mesh, with no fold that was not there before.

    Args:
        source: Is moved.
        target: Stays.
        limit: The farthest that a vertex is pulled from, in metres.
    """
    surface = tree_of(target)
    goals, facing = _vertices(target)
    _box_to_box(source, goals, limit)
    step = max(1, len(goals) // _PULLING_VERTICES)
    goals, facing = goals[::step], facing[::step]
    edges = np.empty(len(source.edges) * 2, dtype=np.int32)
    source.edges.foreach_get("vertices", edges)
    edges = edges.reshape(-1, 2)
    finer = min(_FINEST, max(1.0, len(source.vertices) / _SMPL_VERTICES))
    for times in _ROUNDS:
        points, normals = _vertices(source)
        pulls = np.zeros((len(points), 4))
        _pull_to_surface(pulls, points, normals, surface, limit)
        _pull_from_goals(pulls, source, goals, facing, limit)
        smooth = _smoothed(pulls, edges, round(times * finer))
        points += smooth[:, :3] / np.maximum(smooth[:, 3:], _LITTLE)
        source.vertices.foreach_set("co", points.astype(np.float32).ravel())
        source.update()


def tree_of(mesh: bpy.types.Mesh) -> BVHTree:
    """A mesh's surface, to be searched."""
    return BVHTree.FromPolygons(
        [vertex.co for vertex in mesh.vertices], [tuple(polygon.vertices) for polygon in mesh.polygons]
    )


def _box_to_box(source: bpy.types.Mesh, goals: Floats, limit: float) -> None:
    """Whole bodies start sole to sole, crown to crown and hand to hand; a mesh that is a part of one does not."""
    points, _ = _vertices(source)
    low, high = points.min(axis=0), points.max(axis=0)
    other_low, other_high = goals.min(axis=0), goals.max(axis=0)
    if np.all(np.abs([low - other_low, high - other_high]) < _ALIKE * limit):
        stretch = (other_high - other_low) / np.maximum(high - low, _LITTLE)
        points = other_low + (points - low) * stretch
        source.vertices.foreach_set("co", points.astype(np.float32).ravel())
        source.update()


def _pull_to_surface(pulls: Floats, points: Floats, normals: Floats, surface: BVHTree, limit: float) -> None:
    """Add to (V, 4) pulls, the last of which counts them, the way of each vertex to the nearest point."""
    for number, (point, normal) in enumerate(zip(points, normals, strict=True)):
        place, other, _, distance = surface.find_nearest(Vector(point))
        if distance < limit and other.dot(Vector(normal)) > _SAME_SIDE:
            pulls[number, :3] += np.array(place) - point
            pulls[number, 3] += 1


def _pull_from_goals(pulls: Floats, source: bpy.types.Mesh, goals: Floats, facing: Floats, limit: float) -> None:
    """Add the way to each goal from the nearest place on the source, to the vertex beside that place."""
    surface = tree_of(source)
    for goal, normal in zip(goals, facing, strict=True):
        place, other, face, distance = surface.find_nearest(Vector(goal))
        if distance < limit and other.dot(Vector(normal)) > _SAME_SIDE:
            corners = source.polygons[face].vertices
            beside = min(corners, key=lambda corner: (source.vertices[corner].co - place).length_squared)
            pulls[beside, :3] += goal - np.array(place)
            pulls[beside, 3] += 1


def _smoothed(values: Floats, edges: NDArray[np.int32], times: int) -> Floats:
    """(V, N) averaged with the neighbours' some times."""
    count = len(values)
    ends, others = np.concatenate([edges, edges[:, ::-1]]).T
    shares = 1.0 / (1 + np.bincount(ends, minlength=count))[:, None]
    for _ in range(times):
        columns = [np.bincount(ends, column[others], minlength=count) for column in values.T]
        values = (values + np.stack(columns, axis=1)) * shares
    return values


def _vertices(mesh: bpy.types.Mesh) -> tuple[Floats, Floats]:
    """(V, 3) places and (V, 3) normals."""
    places = np.empty(len(mesh.vertices) * 3, dtype=np.float32)
    mesh.vertices.foreach_get("co", places)
    normals = np.empty_like(places)
    mesh.vertices.foreach_get("normal", normals)
    return places.reshape(-1, 3).astype(np.float64), normals.reshape(-1, 3).astype(np.float64)
