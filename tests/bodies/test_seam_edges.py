"""The cuts of an atlas are found where one edge of the body has two places in it."""

from __future__ import annotations

import numpy as np
from shared_data import shared

from uvmap_id.atlas.layout import Atlas
from uvmap_id.bodies.obj import TexturedMesh, read_obj
from uvmap_id.bodies.seam_edges import seam_corners

SQUARE = np.array([[0.0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]])
TRIANGLES = np.array([[0, 1, 2], [2, 3, 0]])


def test_a_square_in_one_piece_has_no_seam() -> None:
    assert len(seam_corners(TexturedMesh(SQUARE, SQUARE[:, :2], TRIANGLES, TRIANGLES))) == 0


def test_a_square_cut_along_its_diagonal_has_one() -> None:
    uvs = np.concatenate([SQUARE[:3, :2] * 0.4, SQUARE[[2, 3, 0], :2] * 0.4 + 0.5])
    seams = seam_corners(TexturedMesh(SQUARE, uvs, TRIANGLES, np.array([[0, 1, 2], [3, 4, 5]])))
    first, second = seams[0]
    assert seams.shape == (1, 2, 3, 2)
    assert np.allclose(first, uvs[[0, 2, 1]])  # from vertex 0 to vertex 2, beside it vertex 1
    assert np.allclose(second, uvs[[5, 3, 4]])


def test_the_stored_seams_are_those_of_the_template() -> None:
    assert np.array_equal(seam_corners(read_obj(shared("smpl/smpl_uv.obj"))), Atlas.load().seams.corners)
