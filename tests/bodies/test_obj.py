"""Reading OBJ bodies: the real ones, and everything that is none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from shared_data import shared

from uvmap_id.bodies.obj import read_obj
from uvmap_id.link.errors import ErrorCode, UVMapError

SQUARE = "v 0 0 0\nv 1 0 0\nv 1 1 0\nv 0 1 0\nvt 0 0\nvt 1 0\nvt 1 1\nvt 0 1\n"


def error_of(path: Path) -> str:
    with pytest.raises(UVMapError) as caught:
        read_obj(path)
    return caught.value.failure.code


def test_the_smpl_template() -> None:
    mesh = read_obj(shared("smpl/smpl_uv.obj"))
    assert mesh.vertices.shape == (6890, 3)
    assert mesh.uvs.shape == (7576, 2)
    assert mesh.triangles.shape == mesh.uv_triangles.shape == (13776, 3)


def test_quads_become_two_triangles_and_negative_indices_count_from_the_end(tmp_path: Path) -> None:
    path = tmp_path / "square.obj"
    path.write_text(SQUARE + "f 1/1 2/2 3/3 4/4\nf -4/-4 -3/-3 -2/-2\n")
    mesh = read_obj(path)
    assert mesh.triangles.tolist() == [[0, 1, 2], [0, 2, 3], [0, 1, 2]]
    assert np.array_equal(mesh.uv_triangles, mesh.triangles)


@pytest.mark.parametrize("faces", ["f 1 2 3\n", "f 1//1 2//1 3//1\n", "f 1/1 2/2 3/3\nf 1 3 4\n"])
def test_faces_without_uvs(tmp_path: Path, faces: str) -> None:
    path = tmp_path / "bare.obj"
    path.write_text(SQUARE + faces)
    assert error_of(path) == ErrorCode.BODY_WITHOUT_UVS


@pytest.mark.parametrize(
    "content", [b"", b"\x00\xff\xfe", b"hello", SQUARE.encode(), SQUARE.encode() + b"f 1/1 2/2 9/9"]
)
def test_no_body(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "rubbish.obj"
    path.write_bytes(content)
    assert error_of(path) == ErrorCode.BODY_UNREADABLE


def test_a_missing_file(tmp_path: Path) -> None:
    assert error_of(tmp_path / "none.obj") == ErrorCode.BODY_UNREADABLE


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(alphabet="vtf 0123456789/-.\n", max_size=300))
def test_nothing_that_looks_like_obj_crashes(tmp_path: Path, text: str) -> None:
    path = tmp_path / "fuzz.obj"
    path.write_text(SQUARE + text)
    try:
        mesh = read_obj(path)
    except UVMapError as error:
        assert error.failure.code.startswith("body_")
    else:
        assert mesh.triangles.max() < len(mesh.vertices)
