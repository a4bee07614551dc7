"""The mannequin's file: what a damaged one does, which is nothing."""

# pyright: reportAttributeAccessIssue=false
# The stubs of bpy don't know what the extension adds to it.

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import bpy
import numpy as np
import pytest
from conftest import names_in_file
from mannequin_sample import sample_arrays, write_sample

Arrays = dict[str, np.ndarray]
DAMAGED: dict[str, Callable[[Arrays], np.ndarray]] = {
    "format": lambda arrays: np.array(3, np.int32),
    "vertices": lambda arrays: np.where(np.arange(3) == 1, np.nan, arrays["vertices"]).astype(np.float32),
    "faces": lambda arrays: arrays["faces"] + len(arrays["vertices"]),
    "uvs": lambda arrays: arrays["uvs"][1:],
    "face_materials": lambda arrays: arrays["face_materials"] + np.uint8(3),
    "shape_names": lambda arrays: np.full_like(arrays["shape_names"], "age+"),
    "shape_kinds": lambda arrays: arrays["shape_kinds"] + np.uint8(2),
    "shape_starts": lambda arrays: arrays["shape_starts"][::-1].copy(),
    "shape_vertices": lambda arrays: np.full_like(arrays["shape_vertices"], 65535),
    "shape_offsets": lambda arrays: arrays["shape_offsets"].astype(np.float32),
    "shape_scales": lambda arrays: arrays["shape_scales"] * np.float32(np.inf),
    "bone_names": lambda arrays: np.full_like(arrays["bone_names"], ""),
    "bone_smpl": lambda arrays: np.array([None] * len(arrays["bone_smpl"]), dtype=object),
    "bone_parents": lambda arrays: np.roll(arrays["bone_parents"], 1),
    "bone_heads": lambda arrays: arrays["bone_tails"],
    "bone_tails": lambda arrays: arrays["bone_tails"].astype(np.float64),
    "bone_rolls": lambda arrays: arrays["bone_rolls"][None],
    "joint_vertices": lambda arrays: arrays["joint_vertices"] + np.uint16(60000),
    "weight_bones": lambda arrays: arrays["weight_bones"] + np.uint8(200),
    "weight_values": lambda arrays: arrays["weight_values"] // np.uint8(2),
    "eye_centres": lambda arrays: arrays["eye_centres"][:1],
    "vertex_parts": lambda arrays: arrays["vertex_parts"] * np.uint8(0),
    "pose_names": lambda arrays: np.array(["t", "a", "b"]),
    "pose_rotations": lambda arrays: arrays["pose_rotations"] * np.float32(2),
}


@pytest.fixture
def unreadable(module: Callable[[str], ModuleType], monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], None]:
    """Checks that a file in the place of the mannequin's adds nothing, and says what to do."""
    before = names_in_file()

    def check(path: Path) -> None:
        monkeypatch.setattr(module("mannequin"), "ASSET", path)
        with pytest.raises(RuntimeError, match=r"body_unreadable: .* Install the extension again\."):
            bpy.ops.uvmap_id.add_mannequin()
        assert names_in_file() == before

    return check


def test_the_layout_is_the_files(module: Callable[[str], ModuleType]) -> None:
    assert set(DAMAGED) == set(module("mannequin_asset")._LAYOUT)


@pytest.mark.parametrize("name", DAMAGED)
def test_every_array_is_checked(name: str, unreadable: Callable[[Path], None], tmp_path: Path) -> None:
    path = tmp_path / "mannequin.npz"
    unreadable(write_sample(path, changes={name: DAMAGED[name](sample_arrays())}))
    unreadable(write_sample(path, without=name))


def test_no_file_and_no_zip(unreadable: Callable[[Path], None], tmp_path: Path) -> None:
    path = tmp_path / "mannequin.npz"
    unreadable(path)
    unreadable(tmp_path)
    for content in (b"", b"nonsense" * 100):
        path.write_bytes(content)
        unreadable(path)
    with path.open("wb") as file:
        np.save(file, sample_arrays()["vertices"])
    unreadable(path)


def test_a_bomb_is_not_unpacked(unreadable: Callable[[Path], None], tmp_path: Path) -> None:
    unreadable(write_sample(tmp_path / "mannequin.npz", changes={"uvs": np.zeros(200_000_000, np.uint8)}))


def test_damage_anywhere_is_an_answer(module: Callable[[str], ModuleType], tmp_path: Path) -> None:
    path, read, error = tmp_path / "mannequin.npz", module("mannequin_asset").read, module("link.errors").UVMapError
    whole = write_sample(path).read_bytes()
    chance = np.random.default_rng(1)
    for _ in range(150):
        damaged = bytearray(whole[: len(whole) if chance.random() < 0.5 else chance.integers(1, len(whole))])
        for place in chance.integers(len(damaged), size=chance.integers(1, 9)):
            damaged[place] = chance.integers(256)
        path.write_bytes(damaged)
        with contextlib.suppress(error):
            read(path)
