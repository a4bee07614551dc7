"""The mannequin's surface: the free body's mesh, cut where the atlas is cut, with UVs and materials."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array


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
