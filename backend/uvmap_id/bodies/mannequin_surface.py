"""The mannequin's surface: the free body's mesh, cut where the atlas is cut, with UVs and materials."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array, eye_array


class Material(IntEnum):
    """Which material slot a face wears."""

    SKIN = 0
    EYE = 1
    MOUTH = 2


class VertexPart(IntEnum):
    """What a vertex belongs to, where that is not the body."""

    BODY = 0
    LEFT_EYE = 1
    RIGHT_EYE = 2
    MOUTH = 3


@dataclass(frozen=True, slots=True)
class Surface:
    """A mesh whose vertices are weighted means of the free body's vertices.

    Attributes:
        vertices_of: (V, A) sparse, rows sum to 1; times anything per vertex of the free body gives it per vertex here.
            The first A rows are the free body's own vertices in their order.
        faces: (F, 4) int32; a triangle repeats its last index.
        uvs: (F, 4, 2) float32, origin bottom left.
        face_materials: (F,) uint8, values of `Material`.
        vertex_parts: (V,) uint8, values of `VertexPart`.
        source_faces: (F,) int32, the quad of the free body that each face is or lies in.
    """

    vertices_of: csr_array
    faces: NDArray[np.int32]
    uvs: NDArray[np.float32]
    face_materials: NDArray[np.uint8]
    vertex_parts: NDArray[np.uint8]
    source_faces: NDArray[np.int32]

    def carry(self, values: NDArray[np.floating]) -> NDArray[np.float64]:
        """(V, ...) values per vertex here, from values per vertex of the free body, (A, ...)."""
        flat = np.asarray(values, np.float64).reshape(len(values), -1)
        return (self.vertices_of @ flat).reshape(-1, *values.shape[1:])


def uncut_surface(
    quads: NDArray[np.integer],
    uvs: NDArray[np.floating],
    eyes: tuple[NDArray[np.bool_], NDArray[np.bool_]],
    mouth: NDArray[np.bool_],
) -> Surface:
    """The free body as it is.

    Args:
        quads: (F, 4).
        uvs: (F, 4, 2).
        eyes: (F,) the faces of the left and of the right eyeball.
        mouth: (F,) the faces of the mouth's inside.
    """
    count = int(quads.max()) + 1
    materials = np.full(len(quads), Material.SKIN, np.uint8)
    parts = np.full(count, VertexPart.BODY, np.uint8)
    for faces, material, part in (
        (eyes[0], Material.EYE, VertexPart.LEFT_EYE),
        (eyes[1], Material.EYE, VertexPart.RIGHT_EYE),
        (mouth, Material.MOUTH, VertexPart.MOUTH),
    ):
        materials[faces] = material
        parts[quads[faces]] = part
    # The rim where the lips go over into the mouth belongs to the lips.
    parts[quads[materials == Material.SKIN]] = VertexPart.BODY
    return Surface(
        vertices_of=csr_array(eye_array(count)),
        faces=quads.astype(np.int32),
        uvs=np.clip(uvs, 0, 1).astype(np.float32),
        face_materials=materials,
        vertex_parts=parts,
        source_faces=np.arange(len(quads), dtype=np.int32),
    )
