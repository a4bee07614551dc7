"""The mannequin asset: sound arrays, and SMPL's atlas where it must be."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.spatial import cKDTree  # pyright: ignore[reportAttributeAccessIssue]
from shared_data import shared

from uvmap_id.atlas.layout import Atlas
from uvmap_id.bodies.calibrate import z_up
from uvmap_id.bodies.head import head_camera, landmark_positions
from uvmap_id.bodies.obj import read_obj
from uvmap_id.faces.landmarks import FaceFinder

ASSET = Path(__file__).parents[2] / "addon" / "assets" / "mannequin.npz"


@pytest.fixture(scope="module")
def mannequin() -> dict[str, NDArray]:
    with np.load(ASSET, allow_pickle=False) as arrays:
        return dict(arrays)


def halves(faces: NDArray, values: NDArray) -> NDArray:
    """The triangles of values at the corners of faces, (F, 4, ...)."""
    quads = faces[:, 2] != faces[:, 3]
    return np.concatenate([values[:, [0, 1, 2]], values[quads][:, [0, 2, 3]]])


def test_its_arrays_are_what_the_documentation_says(mannequin: dict[str, NDArray]) -> None:
    vertices, faces, uvs = mannequin["vertices"], mannequin["faces"], mannequin["uvs"]
    assert vertices.dtype == np.float32
    assert vertices.shape[1:] == (3,)
    assert faces.dtype == np.int32
    assert faces.shape[1:] == (4,)
    assert uvs.dtype == np.float32
    assert uvs.shape == (*faces.shape, 2)
    assert faces.min() == 0
    assert faces.max() == len(vertices) - 1
    assert np.isfinite(vertices).all()
    assert uvs.min() >= 0
    assert uvs.max() <= 1
    assert ASSET.stat().st_size < 6_000_000


def test_it_is_a_person_in_metres_standing_on_the_floor(mannequin: dict[str, NDArray]) -> None:
    low, high = mannequin["vertices"].min(axis=0), mannequin["vertices"].max(axis=0)
    assert low[2] == pytest.approx(0, abs=1e-4)
    assert 1.5 < high[2] < 2.0
    assert high[0] == pytest.approx(-low[0], abs=0.01)


def test_its_features_carry_the_atlas_landmarks(mannequin: dict[str, NDArray]) -> None:
    """The landmarks that a detector sees on its untextured head lie where the atlas has them."""
    vertices, faces = mannequin["vertices"], mannequin["faces"]
    triangles, corners = halves(faces, faces), halves(faces, mannequin["uvs"])
    with FaceFinder() as finder:
        positions = landmark_positions(vertices, triangles, finder)
    camera = head_camera(vertices, 0)
    raster = camera.draw(vertices, triangles)
    pixels = (camera.turn(positions - camera.centre)[:, [0, 2]] * [1, -1] / camera.extent * 0.5 + 0.5) * camera.size
    found = np.isfinite(pixels).all(axis=1)
    assert found.mean() > 0.95
    columns, rows = np.floor(pixels[found]).astype(int).T
    seen = np.full((len(pixels), 2), np.nan)
    seen[found] = raster.interpolate(corners)[rows, columns]
    landmarks = Atlas.load().landmarks
    for name, landmark in {"nose": 4, "right corner": 61, "left corner": 291, "chin": 152}.items():
        assert np.linalg.norm(seen[landmark] - landmarks[landmark]) < 0.012, name
    inner_face = [index for index in range(468) if 0.19 < landmarks[index, 0] < 0.41]
    assert np.nanmedian(np.linalg.norm(seen[inner_face] - landmarks[inner_face], axis=1)) < 0.008


def test_each_half_of_the_body_is_on_its_own_side_of_the_atlas(mannequin: dict[str, NDArray]) -> None:
    """A left hand's texels belong to the left hand of SMPL, and so on for all that lies clearly on one side."""
    mesh = read_obj(shared("smpl/smpl_uv.obj"))
    skin = mannequin["face_materials"] == 0
    middles = mannequin["uvs"][skin].mean(axis=1)
    across = mannequin["vertices"][mannequin["faces"][skin]].mean(axis=1)[:, 0]
    template_uvs = mesh.uvs[mesh.uv_triangles].mean(axis=1)
    template_x = z_up(mesh.vertices)[mesh.triangles].mean(axis=1)[:, 0]
    nearest = cKDTree(template_uvs).query(middles)[1]
    clear = (np.abs(across) > 0.05) & (np.abs(template_x[nearest]) > 0.02)
    same_side = np.sign(across[clear]) == np.sign(template_x[nearest][clear])
    assert same_side.mean() > 0.995
