"""Bakes the mannequin: a free body with SMPL's atlas on it, and the atlas measurements that go with it.

Needs the `dev` extra, SMPL's UV template (`smpl_uv.obj`, CC BY 4.0) and a few textures in its layout.
The same inputs give the same bytes.
"""

# anny, torch and trimesh come with the `dev` extra only.
# pyright: reportMissingImports=false

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import trimesh
from numpy.typing import NDArray
from PIL import Image

from uvmap_id.atlas.view import vertex_normals
from uvmap_id.bodies import asset
from uvmap_id.bodies.calibrate import landmark_uvs, z_up
from uvmap_id.bodies.character import character
from uvmap_id.bodies.crotch_marks import crotch_marks
from uvmap_id.bodies.feature_marks import feature_marks
from uvmap_id.bodies.fit import Landmarks, fit, joined
from uvmap_id.bodies.head import landmark_positions
from uvmap_id.bodies.limb_marks import limb_marks
from uvmap_id.bodies.mannequin_surface import Surface
from uvmap_id.bodies.obj import TexturedMesh, read_obj
from uvmap_id.bodies.seam_lines import seam_lines
from uvmap_id.bodies.source import EYE_PARTS, OUTER_PARTS, Source, triangulated
from uvmap_id.bodies.surface import closest
from uvmap_id.bodies.surface_bake import make_surface
from uvmap_id.faces.landmarks import MESH_LANDMARK_COUNT, FaceFinder

_SAMPLES = 40_000
# Stiffness, landmark weight, normal weight and rounds of each stage of Amberg et al. 2007, from stiff to soft.
_STAGES = [[0.05, 10.0, 0.5, 6], [0.02, 8.0, 0.5, 6], [0.01, 5.0, 0.3, 6], [0.005, 3.0, 0.2, 6]]
_PAIR_LIMIT = 0.05
# Of landmarks that a detector sees, of fingers and toes, and of the corners of eyes and mouth.
_MARK_STRENGTHS = (8.0, 30.0, 1000.0)
_ON_MIDLINE, _SHORT_LINE = 0.01, 5
_IRIS_VERTICES = 9


@dataclass(frozen=True, slots=True)
class Baked:
    """What a bake gives.

    Attributes:
        vertices: (V, 3) float32 the free body in its standing pose, metres, z up, facing -y, soles at z = 0.
        t_pose: (V, 3) float32 the same body in SMPL's pose, for measuring on it.
        faces: (F, 4) int32 quads.
        registered: (V, 3) float64 the same body drawn onto SMPL's surface.
        outer: (F,) bool, faces on the outside of the body.
        landmarks: (478, 2) float32 UVs of the face landmarks.
        shares: (V, G) float32, how much each group of bones moves each vertex.
        surface: What the extension's mannequin is made of.
    """

    vertices: NDArray[np.float32]
    t_pose: NDArray[np.float32]
    faces: NDArray[np.int32]
    registered: NDArray[np.float64]
    outer: NDArray[np.bool_]
    landmarks: NDArray[np.float32]
    shares: NDArray[np.float32]
    surface: Surface


def bake(template: Path, textures: list[Path]) -> Baked:
    """Register the free body to SMPL's template and carry the atlas over."""
    mesh = read_obj(template)
    source = Source()
    with FaceFinder() as finder:
        pictures = [np.asarray(Image.open(path).convert("RGB")) for path in textures]
        landmarks = landmark_uvs(mesh, pictures, finder)
        seen = landmark_positions(source.rest, triangulated(source.quads), finder, _eye_colours(source))
    outside = triangulated(source.quads[source.parts(*OUTER_PARTS)])
    marks = _face_marks(source, mesh, seen, landmarks)
    vertices = z_up(mesh.vertices)
    kinds = [
        marks,
        limb_marks(source, outside, vertices, mesh.triangles),
        feature_marks(source.rest, outside, vertices),
    ]
    marks = joined(*kinds)
    strengths = np.repeat(_MARK_STRENGTHS, [len(kind.targets) for kind in kinds])
    posed, registered = _register(source, mesh, marks)
    surface = make_surface(source, registered, mesh, vertices, marks, strengths)
    standing = source.rest - [0, 0, source.rest[:, 2].min()]
    return Baked(
        vertices=standing.astype(np.float32),
        t_pose=posed.astype(np.float32),
        faces=source.quads.astype(np.int32),
        registered=registered,
        outer=source.parts(*OUTER_PARTS),
        landmarks=landmarks,
        shares=source.shares,
        surface=surface,
    )


def write_mannequin(baked: Baked, path: Path) -> None:
    """Write the asset that the extension loads, readable with numpy alone."""
    asset.write(asset.arrays_of(character(), baked.surface), path)


def _face_marks(
    source: Source, mesh: TexturedMesh, seen: NDArray[np.float64], landmarks: NDArray[np.float32]
) -> Landmarks:
    """Pairs of the landmarks that are seen on the free body's face and the places that SMPL's surface has for them."""
    quads = source.quads[source.parts(*OUTER_PARTS)]
    triangles = triangulated(quads)
    # The irises lie on the balls, which take no part in the registration.
    on_face = np.isfinite(seen).all(axis=1) & (np.arange(len(seen)) < MESH_LANDMARK_COUNT)
    held = closest(seen[on_face], source.rest, triangles)
    flat = np.column_stack([mesh.uvs, np.zeros(len(mesh.uvs))])
    wanted = np.column_stack([landmarks[on_face], np.zeros(on_face.sum())])
    targets = closest(wanted, flat, mesh.uv_triangles).carry(z_up(mesh.vertices)[mesh.triangles])
    return Landmarks(held.triangles, triangles[held.triangles], held.barycentric, targets)


def _eye_colours(source: Source) -> NDArray[np.float64]:
    """White balls with a dark spot in front, so that the eyes are found where they are open."""
    colours = np.tile(np.array([190, 153, 132]) / 255, (len(source.rest), 1))
    for parts in EYE_PARTS.values():
        ball = np.unique(source.quads[source.parts(*parts)])
        colours[ball] = 0.95
        colours[ball[np.argsort(source.rest[ball, 1])[:_IRIS_VERTICES]]] = 0.12
    return colours


def _register(source: Source, mesh: TexturedMesh, marks: Landmarks) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The free body in the template's pose, and the same with its outside drawn onto the template's surface."""
    target_vertices = z_up(mesh.vertices)
    target = trimesh.Trimesh(target_vertices, mesh.triangles, process=False)
    sampled, faces = trimesh.sample.sample_surface(target, _SAMPLES, seed=0)
    points = np.concatenate([target_vertices, sampled])
    normals = np.concatenate([vertex_normals(target_vertices, mesh.triangles), target.face_normals[faces]])
    quads = source.quads[source.parts(*OUTER_PARTS)]
    outer = np.unique(quads)
    posed = fit(source, outer, points, normals, marks)
    marks = joined(marks, crotch_marks(source.rest, posed, triangulated(quads), target_vertices[_crotch_line(mesh)]))
    position = np.full(len(posed), -1)
    position[outer] = np.arange(len(outer))
    body = trimesh.Trimesh(posed[outer], position[triangulated(quads)], process=False)
    moved = trimesh.registration.nricp_amberg(
        body,
        target,
        source_landmarks=(marks.triangles, marks.barycentric),
        target_positions=marks.targets,
        steps=_STAGES,
        distance_threshold=_PAIR_LIMIT,
        use_faces=True,
    )
    registered = posed.copy()
    registered[outer] = moved
    return posed, registered


def _crotch_line(mesh: TexturedMesh) -> NDArray[np.int64]:
    """The template's vertices between the legs, front to back: the seam that lowest of all joins two others twice."""
    lines = [line.vertices for line in seam_lines(mesh)]
    across = [line for line in lines if np.abs(mesh.vertices[line, 0]).max() < _ON_MIDLINE and len(line) > _SHORT_LINE]
    lowest = min(across, key=lambda line: mesh.vertices[line, 1].mean())
    return lowest if mesh.vertices[lowest[0], 2] > mesh.vertices[lowest[-1], 2] else lowest[::-1]
