"""Lays an atlas's seams onto another mesh that lies on its surface, and cuts that mesh along them."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree  # pyright: ignore[reportAttributeAccessIssue]

from uvmap_id.atlas.view import vertex_normals
from uvmap_id.bodies.cut import Course, CutMesh, Web, cut_faces
from uvmap_id.bodies.seam_lines import SeamLine

_RING_PARTS = 3
_CANDIDATES = 64


@dataclass(frozen=True, slots=True)
class SeamEdges:
    """Edges along which a mesh is cut.

    Attributes:
        ends: (N, 2) vertices of the cut mesh, in the direction of the line.
        uvs: (N, 2, 2, 2) UVs of the left and the right side at both ends.
        faces: (N, 2) a face of the atlas's mesh on each side.
    """

    ends: NDArray[np.int64]
    uvs: NDArray[np.float64]
    faces: NDArray[np.int64]


def cut_along(
    vertices: NDArray[np.floating],
    quads: NDArray[np.integer],
    lines: list[SeamLine],
    template: NDArray[np.float64],
    triangles: NDArray[np.integer],
) -> tuple[CutMesh, SeamEdges]:
    """Cut a mesh (V, 3), (F, 4) that lies on the surface of an atlas's mesh, `template` (T, 3) and its `triangles`.

    Raises:
        CutError: a seam finds no way.
    """
    web = Web.over(vertices, quads)
    normals = vertex_normals(template, triangles)
    joints = _joints(web, lines, template)
    ends, uvs, faces = [], [], []
    # Short lines have the least choice.
    for line in sorted(lines, key=lambda line: len(line.vertices)):
        course = Course(template[line.vertices], normals[line.vertices], _lengths(template[line.vertices]))
        points, places = _routed(web, line, course, joints)
        sides = np.stack([line.at(side, course.lengths, places) for side in line.uvs])
        ends += list(pairwise(points))
        uvs += [sides[:, step : step + 2] for step in range(len(points) - 1)]
        faces += [line.faces] * (len(points) - 1)
    mesh = cut_faces(web)
    number = np.full(len(web.positions), -1)
    number[mesh.points] = np.arange(len(mesh.points))
    return mesh, SeamEdges(number[np.array(ends)], np.array(uvs), np.array(faces))


def _joints(web: Web, lines: list[SeamLine], template: NDArray[np.floating]) -> dict[int, int]:
    """The mesh's vertex for each end of a line, none twice."""
    tree = cKDTree(web.positions[: web.vertex_count])
    found: dict[int, int] = {}
    for end in sorted({int(line.vertices[place]) for line in lines for place in (0, -1)}):
        near = tree.query(template[end], k=_CANDIDATES)[1]
        found[end] = next(int(vertex) for vertex in near if vertex not in found.values())
    web.used.update(found.values())
    return found


def _routed(web: Web, line: SeamLine, course: Course, joints: dict[int, int]) -> tuple[list[int], NDArray[np.float64]]:
    """The web's points along a line, and the line's length up to where each belongs."""
    parts = _RING_PARTS if line.vertices[0] == line.vertices[-1] else 1
    stops = np.linspace(0, len(line.vertices) - 1, parts + 1).astype(int)
    tree = cKDTree(web.positions[: web.vertex_count])
    points, places = [joints[int(line.vertices[0])]], [np.zeros(1)]
    for low, high in pairwise(stops):
        near = tree.query(course.positions[high], k=_CANDIDATES)[1].tolist()
        goal = next(point for point in near if point not in web.used)
        if high == stops[-1]:
            goal = joints[int(line.vertices[-1])]
        part = slice(low, high + 1)
        path, along = web.route(
            points[-1], goal, Course(course.positions[part], course.normals[part], course.lengths[part])
        )
        web.mark(path)
        points += path[1:]
        places.append(along[1:])
    return points, np.concatenate(places)


def _lengths(course: NDArray[np.floating]) -> NDArray[np.float64]:
    return np.append(0, np.cumsum(np.linalg.norm(np.diff(course, axis=0), axis=1)))
