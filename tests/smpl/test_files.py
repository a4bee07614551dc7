"""Whole files of body models: every family, every kind of file, and every way to be wrong."""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from addon.npz import array_in, read_arrays
from addon.smpl.read import MOST_BYTES, read_model
from addon.smpl.refusal import RefusedError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy
from smpl_files import SIZES, Arrays, make_model, write_npz, write_python2_pickle, write_supr

from uvmap_id.link.errors import UVMapError


@pytest.fixture(scope="module")
def smpl() -> Arrays:
    return make_model("SMPL", correctives=False)


@pytest.mark.parametrize("family", list(SIZES))
def test_every_family_is_read_from_every_kind_of_file(tmp_path: Path, family: str) -> None:
    arrays = make_model(family)
    vertices, triangles, joints, shapes, poses = SIZES[family]
    paths = [write_npz(tmp_path / "a.npz", arrays), write_python2_pickle(tmp_path / "a.pkl", arrays)]
    if family == "SUPR":
        paths.append(write_supr(tmp_path / "a.npy", arrays))
    for model in map(read_model, paths):
        assert model.family.name == family
        assert model.vertices.shape == (vertices, 3)
        assert model.faces.shape == (triangles, 3)
        assert model.shape_directions.shape[2] + model.expression_directions.shape[2] == shapes
        assert model.pose_directions.shape == (vertices, 3, poses)
        assert model.parents[0] == -1
        assert len(model.family.joint_names) == len(set(model.family.joint_names)) == joints
        np.testing.assert_allclose(model.vertices, arrays["v_template"], atol=1e-6)
        np.testing.assert_allclose(model.weights, arrays["weights"], atol=1e-6)
        np.testing.assert_allclose(model.weights.sum(axis=1), 1, atol=1e-5)
        points = arrays["v_template"] + arrays["shapedirs"] @ np.ones(shapes)
        regressor = arrays["J_regressor"]
        expected = regressor @ (np.append(points, 1) if family == "SUPR" else points)
        found = model.joints + model.joint_directions.sum(axis=2)
        np.testing.assert_allclose(found.ravel(), expected.ravel(), atol=1e-4)


def test_smplx_brings_uvs_hands_and_expressions(tmp_path: Path) -> None:
    arrays = make_model("SMPL-X", correctives=False)
    model = read_model(write_npz(tmp_path / "a.npz", arrays))
    assert model.uvs is not None
    np.testing.assert_allclose(model.uvs, arrays["vt"][arrays["ft"]], atol=1e-6)
    assert model.hands is not None
    np.testing.assert_allclose(model.hands[1].ravel(), arrays["hands_meanr"], atol=1e-6)
    np.testing.assert_allclose(model.expression_directions, arrays["shapedirs"][..., 10:], atol=1e-6)


def test_a_complete_smplx_has_300_shapes_and_100_expressions(tmp_path: Path) -> None:
    arrays = make_model("SMPL-X", correctives=False)
    arrays["shapedirs"] = np.zeros((10475, 3, 400), np.float32)
    model = read_model(write_npz(tmp_path / "a.npz", arrays))
    assert (model.shape_directions.shape[2], model.expression_directions.shape[2]) == (300, 100)


def test_what_else_a_file_holds_is_not_looked_at(tmp_path: Path, smpl: Arrays) -> None:
    other = {"joint2num": np.array({"Pelvis": 0}, dtype=object), "bs_type": np.array("lrotmin")}
    assert read_model(write_npz(tmp_path / "a.npz", smpl, **other)).family.name == "SMPL"


Change = Callable[[Arrays], object]


def _set(name: str, value: Any) -> Change:
    return lambda arrays: arrays.update({name: value})


def _put(name: str, place: Any, value: Any) -> Change:
    def change(arrays: Arrays) -> None:
        arrays[name] = arrays[name].copy()
        arrays[name][place] = value

    return change


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (_put("v_template", (5, 1), np.nan), "NaN"),
        (_put("shapedirs", (5, 1, 1), np.inf), "infinite"),
        (_put("v_template", (5, 1), 1e300), "infinite"),
        (_put("f", (5, 1), 6890), "not there"),
        (_put("f", (5, 1), 2**32 - 1), "not there"),
        (_put("f", 5, 7), "twice"),
        (_set("f", np.zeros((13000, 3), np.uint32)), "its faces have the shape"),
        (_set("f", np.zeros((13776, 3))), "its faces have the shape"),
        (_put("weights", (5, 1), 3.0), "add up"),
        (_put("weights", (5, slice(0, 2)), (-1.0, 1.0)), "add up"),
        (_set("weights", np.zeros((6890, 23))), "no known body model"),
        (_set("v_template", np.zeros((778, 3))), "no known body model"),
        (_set("v_template", np.zeros(6890)), "v_template"),
        (_set("v_template", np.array(["a"])), "something else than numbers"),
        (_set("v_template", np.zeros(3, complex)), "something else than numbers"),
        (_set("shapedirs", np.zeros((6889, 3, 10))), "shapedirs"),
        (_set("posedirs", np.zeros((6890, 3, 206))), "no known body model"),
        (_set("J_regressor", np.zeros((24, 6889))), "J_regressor"),
        (_put("kintree_table", (0, 3), 7), "no tree"),
        (_put("kintree_table", (1, 3), 2), "no tree"),
        (_set("kintree_table", np.zeros((2, 23), np.uint32)), "kintree_table"),
        (_set("J_regressor", np.array({"sparse": 1}, dtype=object)), "Python objects"),
        (lambda arrays: arrays.pop("weights"), 'no "weights"'),
        (lambda arrays: arrays.clear(), "no "),
    ],
)
def test_wrong_arrays_are_named(tmp_path: Path, smpl: Arrays, change: Change, reason: str) -> None:
    arrays = dict(smpl)
    change(arrays)
    path = write_npz(tmp_path / "a.npz", arrays)
    with pytest.raises(UVMapError, match=reason) as caught:
        read_model(path)
    assert caught.value.failure.code == "body_unreadable"
    assert caught.value.failure.hint


@pytest.mark.parametrize("content", [b"", b"PK", b"\x93NUMPY", b"text" * 100, b"\x80\x04}."])
@pytest.mark.parametrize("suffix", [".npz", ".pkl", ".npy", ".txt"])
def test_files_of_another_kind(tmp_path: Path, content: bytes, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    path.write_bytes(content)
    with pytest.raises(UVMapError, match="body_unreadable: "):
        read_model(path)


@pytest.mark.parametrize("name", ["none.npz", "folder.pkl"])
def test_files_that_can_not_be_opened(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder.pkl").mkdir()
    with pytest.raises(UVMapError, match="body_unreadable: "):
        read_model(tmp_path / name)


def test_huge_files_are_not_opened(tmp_path: Path) -> None:
    path = tmp_path / "a.pkl"
    with path.open("wb") as file:
        file.truncate(MOST_BYTES + 1)
    with pytest.raises(UVMapError, match="MB, which no body model has"):
        read_model(path)


def test_a_zip_bomb_is_not_unpacked(tmp_path: Path, smpl: Arrays) -> None:
    path = tmp_path / "a.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in ("v_template", "shapedirs"):
            with archive.open(f"{name}.npy", "w") as file:
                for _ in range(400):
                    file.write(bytes(1_000_000))
    assert path.stat().st_size < 1_000_000
    with pytest.raises(UVMapError, match="unpacks to more than 700 MB"):
        read_model(path)


def test_a_zip_that_lies_about_its_size(tmp_path: Path) -> None:
    """Its directory says 200 bytes, its content unpacks to 100 MB."""
    packed = zlib.compressobj(wbits=-15)
    path, content = tmp_path / "a.npz", packed.compress(bytes(100_000_000)) + packed.flush()
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("v_template.npy", content)
        item = archive.getinfo("v_template.npy")
        item.compress_type, item.file_size = zipfile.ZIP_DEFLATED, 200
    with pytest.raises(RefusedError):
        read_arrays(path, {"v_template"}, MOST_BYTES)


@pytest.mark.parametrize("shape", ["(1000000000000,)", "(-1,)", "(2, 2)", "(1.5,)", "('a',)", "()", "[1]", "(1,) * 9"])
def test_headers_that_claim_another_size(shape: str) -> None:
    head = f"{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}}}".ljust(117) + "\n"
    with pytest.raises(RefusedError):
        array_in(b"\x93NUMPY\x01\x00" + len(head).to_bytes(2, "little") + head.encode() + bytes(16), "x")


@given(
    array=st_numpy.arrays(
        st.sampled_from(["<f4", ">f8", "<u4", "i1", "?"]), st_numpy.array_shapes(min_dims=0, max_dims=4, min_side=0)
    ),
    fortran=st.booleans(),
)
def test_arrays_come_as_numpy_wrote_them(array: np.ndarray, fortran: bool) -> None:
    stream = io.BytesIO()
    np.save(stream, np.asfortranarray(array) if fortran else array)
    np.testing.assert_array_equal(array_in(stream.getvalue(), "x"), array)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.binary(max_size=300), magic=st.sampled_from([b"", b"\x93NUMPY\x01\x00", b"PK\x03\x04"]))
def test_any_bytes_are_read_or_refused(tmp_path: Path, data: bytes, magic: bytes) -> None:
    for suffix in (".npz", ".npy", ".pkl"):
        path = tmp_path / f"a{suffix}"
        path.write_bytes(magic + data)
        with pytest.raises(UVMapError):
            read_model(path)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.integers(0, 10**6), value=st.integers(0, 255), cut=st.integers(0, 10**6))
def test_damaged_archives_are_read_or_refused(tmp_path: Path, place: int, value: int, cut: int) -> None:
    stream = io.BytesIO()
    np.savez_compressed(stream, v_template=np.arange(300.0), f=np.eye(3))
    damaged = bytearray(stream.getvalue())
    damaged[place % len(damaged)] = value
    path = tmp_path / "a.npz"
    path.write_bytes(damaged[: max(cut % (2 * len(damaged)), 1)])
    try:
        read_arrays(path, {"v_template", "f"}, MOST_BYTES)
    except RefusedError:
        return
