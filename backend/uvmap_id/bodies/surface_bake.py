"""Makes the mannequin's surface: the free body cut along SMPL's seams, with exact UVs, and its inner parts."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array, csr_array, eye_array, vstack

from uvmap_id.bodies.atlas_surface import Atlas
from uvmap_id.bodies.ball_uvs import ball_uvs
from uvmap_id.bodies.cavity_uvs import cavity_uvs, square_uvs
from uvmap_id.bodies.cut import CutMesh
from uvmap_id.bodies.fit import Landmarks
from uvmap_id.bodies.freed import freed
from uvmap_id.bodies.mannequin_surface import Material, Surface, VertexPart
from uvmap_id.bodies.obj import TexturedMesh
from uvmap_id.bodies.seam_lines import seam_lines
from uvmap_id.bodies.seam_routes import cut_along
from uvmap_id.bodies.source import EYE_CAVITY_PARTS, EYE_PARTS, MOUTH_PARTS, OUTER_PARTS, Source
from uvmap_id.bodies.surface import closest
from uvmap_id.bodies.unfolded import split_quads
from uvmap_id.bodies.uv_solve import PlacedMarks, solve_uvs
from uvmap_id.bodies.wedges import Wedges


def make_surface(
    source: Source,
    registered: NDArray[np.float64],
    template: TexturedMesh,
    vertices: NDArray[np.float64],
    marks: Landmarks,
    strengths: NDArray[np.floating],
) -> Surface:
    """Cut the free body and give it UVs.

    Args:
        source: The free body.
        registered: (A, 3) it, its outside drawn onto the template.
        template: SMPL's template.
        vertices: (V, 3) the template's vertices, z up.
        marks: Places of the free body.
        strengths: (N,) how much each of them counts for the UVs.
    """
    outside = np.flatnonzero(source.parts(*OUTER_PARTS))
    own = np.unique(source.quads[outside])
    number = np.full(len(registered), -1)
    number[own] = np.arange(len(own))
    cut, seams = cut_along(
        registered[own], number[source.quads[outside]], seam_lines(template), vertices, template.triangles
    )
    cut = freed(cut, seams.ends)
    wedges = Wedges.of(cut.faces, seams)
    mark_uvs = closest(marks.targets, vertices, template.triangles).carry(template.uvs[template.uv_triangles])
    placed = PlacedMarks(number[marks.corners], marks.barycentric, mark_uvs, np.asarray(strengths, np.float64))
    atlas = Atlas.of(template, vertices)
    uvs = solve_uvs(cut.vertices_of @ registered[own], wedges, atlas, placed)
    uvs = uvs[wedges.of_corner].astype(np.float32)
    signs = np.array([atlas.sign(int(face)) for face in wedges.template_faces])[wedges.islands]
    rows, corners = split_quads(cut.faces, uvs, signs)
    cut = replace(cut, faces=np.take_along_axis(cut.faces[rows], corners, axis=1), source_faces=cut.source_faces[rows])
    uvs = np.take_along_axis(uvs[rows], corners[..., None], axis=1)
    skin = _whole(cut, own, len(registered), outside, uvs)
    return _with_inner_parts(skin, source)


def _whole(
    cut: CutMesh, own: NDArray[np.int64], count: int, outside: NDArray[np.int64], uvs: NDArray[np.float32]
) -> Surface:
    """The cut outside, in the numbering of the free body's vertices, new ones behind them."""
    widened = csr_array(cut.vertices_of @ coo_array((np.ones(len(own)), (np.arange(len(own)), own)), (len(own), count)))
    added = cut.vertex_count - len(own)
    number = np.concatenate([own, count + np.arange(added)])
    vertices_of = csr_array(vstack([eye_array(count), widened[len(own) :]]))
    return Surface(
        vertices_of=vertices_of,
        faces=number[cut.faces].astype(np.int32),
        uvs=uvs,
        face_materials=np.full(len(cut.faces), Material.SKIN, np.uint8),
        vertex_parts=np.full(count + added, VertexPart.BODY, np.uint8),
        source_faces=outside[cut.source_faces].astype(np.int32),
    )


def _with_inner_parts(skin: Surface, source: Source) -> Surface:
    """The eyeballs, their sockets and the mouth added, as the free body has them."""
    parts = skin.vertex_parts.copy()
    pieces = [(skin.faces, skin.uvs, skin.face_materials, skin.source_faces)]
    places = np.zeros((len(parts), 2))
    places[skin.faces] = skin.uvs
    for names, part, material in (
        (EYE_PARTS["left"], VertexPart.LEFT_EYE, Material.EYE),
        (EYE_PARTS["right"], VertexPart.RIGHT_EYE, Material.EYE),
        (MOUTH_PARTS, VertexPart.MOUTH, Material.MOUTH),
        *(((name,), VertexPart.BODY, Material.SKIN) for name in EYE_CAVITY_PARTS),
    ):
        rows = np.flatnonzero(source.parts(*names))
        quads = source.quads[rows]
        if material == Material.EYE:
            uvs = ball_uvs(source.rest, quads)
        elif material == Material.MOUTH:
            uvs = square_uvs(source.texture_corners[rows])
        else:
            uvs = cavity_uvs(source.rest, quads, places)
        parts[quads] = part
        materials = np.full(len(rows), material, np.uint8)
        pieces.append((quads.astype(np.int32), uvs.astype(np.float32), materials, rows.astype(np.int32)))
    # The rim where the lips go over into the mouth belongs to the lips.
    parts[skin.faces] = VertexPart.BODY
    faces, uvs, materials, sources = (np.concatenate(values) for values in zip(*pieces, strict=True))
    return Surface(
        skin.vertices_of,
        faces,
        np.clip(uvs, 0, 1),
        materials,
        parts,
        sources,
    )
