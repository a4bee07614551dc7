"""Files of motion that are not what they say: an answer in a sentence, and nothing changed."""

# pyright: reportAttributeAccessIssue=false, reportOptionalMemberAccess=false, reportArgumentType=false
# The stubs of bpy don't know what the extension adds to it, and call much optional that is there.

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import bpy
import numpy as np
import pytest
from conftest import names_in_file
from skeletons import add_armature, add_body

Module = Callable[[str], ModuleType]


@pytest.fixture(autouse=True)
def body(module: Module, scene: bpy.types.Scene) -> bpy.types.Object:
    """A body that could move."""
    scene.uvmap_id.body = add_body(add_armature(module("skeleton").PARENTS))
    return scene.uvmap_id.body


def _npz(**arrays: Any) -> bytes:
    file = io.BytesIO()
    np.savez_compressed(file, **arrays)
    return file.getvalue()


def _header_only(header: str) -> bytes:
    """An .npz whose `poses` is a header with nothing behind it."""
    text = header.encode().ljust(117) + b"\n"
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("poses.npy", b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text)
    return file.getvalue()


GOOD = {"poses": np.zeros((3, 66)), "trans": np.zeros((3, 3)), "mocap_framerate": 30.0}
SHAPED = "{{'descr': '{}', 'fortran_order': False, 'shape': {}, }}"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "damaged"),
        (b"PK\x03\x04 nonsense", "damaged"),
        (_npz(**GOOD)[:200], "damaged"),
        (_npz(trans=np.zeros((3, 3))), "neither"),
        (_npz(**{**GOOD, "poses": np.array([{}], dtype=object)}), "Python objects"),
        (_npz(**{**GOOD, "poses": np.full((3, 66), np.nan)}), "not finite"),
        (_npz(**{**GOOD, "poses": np.full((3, 66), 1e30)}), "beyond"),
        (_npz(**{**GOOD, "poses": np.zeros((3, 67))}), "shape"),
        (_npz(**{**GOOD, "poses": np.zeros(66)}), "shape"),
        (_npz(**{**GOOD, "poses": np.zeros((0, 66))}), "0 frames"),
        (_npz(**{**GOOD, "poses": np.full((3, 66), "a")}), "no numbers"),
        (_npz(**{**GOOD, "trans": np.zeros((2, 3))}), "shape"),
        (_npz(**{**GOOD, "trans": np.full((3, 3), np.inf)}), "not finite"),
        (_npz(**{**GOOD, "mocap_framerate": 1e9}), "frame rate"),
        (_npz(**{**GOOD, "mocap_framerate": 0.0}), "frame rate"),
        (_npz(**{**GOOD, "mocap_framerate": np.nan}), "frame rate"),
        (_npz(**{**GOOD, "betas": np.full(10, np.nan)}), "not finite"),
        (_npz(poses=np.zeros((1_000_000, 66), np.float16)), "1000000 frames"),
        (_npz(poses=np.zeros(300_000_000, np.int8)), "MB"),
        (_npz(poses=np.zeros((3, 66))), "doesn't tell its frame rate"),
        (_npz(root_orient=np.zeros((3, 3)), pose_body=np.zeros((2, 63))), "frames"),
        (_header_only(SHAPED.format("<f8", "(99999999999, 66)")), "differs from its content"),
        (_header_only(SHAPED.format("|O", "(3, 66)")), "Python objects"),
        (_header_only(SHAPED.format("<f3", "(3, 66)")), "damaged"),
        (_header_only("__import__('os').system('true')"), "damaged"),
    ],
)
def test_bad_npz_files_change_nothing(scene: bpy.types.Scene, tmp_path: Path, content: bytes, reason: str) -> None:
    (tmp_path / "bad.npz").write_bytes(content)
    _refused(scene, tmp_path / "bad.npz", reason)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("", "Expecting"),
        ("[" * 100_000, "nested"),
        ("{}", "format"),
        ('{"format": "uvmap_id.motion", "version": 2, "rotations": {}}', "version"),
        ('{"format": "uvmap_id.motion", "version": 1}', "rotations"),
        ('{"format": "uvmap_id.motion", "version": 1, "rotations": {"tail": [0, 0, 0]}}', '"tail"'),
        ('{"format": "uvmap_id.motion", "version": 1, "rotations": {"head": [0, 0]}}', "no rotation"),
        ('{"format": "uvmap_id.motion", "version": 1, "rotations": {"head": [0, 0, NaN]}}', "not finite"),
        ('{"format": "uvmap_id.motion", "version": 1, "rotations": {"head": [0, 0, 0, 0]}}', "no length"),
        ('{"format": "uvmap_id.motion", "version": 1, "rotations": {"head": ["a", "b", "c"]}}', "no numbers"),
        ('{"format": "uvmap_id.motion", "version": 1, "rotations": {"head": [[0, 0, 0], [0]]}}', "different lengths"),
        ('{"format": "uvmap_id.motion", "version": 1, "rotations": {}, "translation": 5}', "shape"),
        (
            '{"format": "uvmap_id.motion", "version": 1, "frame_rate": 30, "rotations":'
            ' {"head": [[0, 0, 0], [0, 0, 1]], "neck": [[0, 0, 0], [0, 0, 1], [0, 0, 2]]}}',
            "2 frames instead of 1 or 3",
        ),
    ],
)
def test_bad_json_files_change_nothing(scene: bpy.types.Scene, tmp_path: Path, content: str, reason: str) -> None:
    (tmp_path / "bad.json").write_text(content, encoding="utf-8")
    _refused(scene, tmp_path / "bad.json", reason)


def test_other_files_change_nothing(scene: bpy.types.Scene, tmp_path: Path) -> None:
    for path in (tmp_path / "none.npz", tmp_path / "motion.bvh", tmp_path):
        _refused(scene, path, "can't be read")


def test_damaged_bytes_are_an_answer(module: Module, tmp_path: Path) -> None:
    """Whatever happens to a file's bytes, it is read or refused in a sentence."""
    files, errors = module("motion_files"), module("link.errors")
    whole = {".npz": _npz(**GOOD), ".json": json.dumps(_json_motion()).encode()}
    random = np.random.default_rng(4)
    for suffix, content in whole.items():
        path, refused = tmp_path / f"damaged{suffix}", 0
        for _ in range(300):
            damaged = bytearray(content)
            for place in random.integers(0, len(damaged), size=random.integers(1, 6)):
                damaged[place] = random.integers(0, 256)
            path.write_bytes(damaged[: random.integers(1, len(damaged) + 1)] if random.random() < 0.3 else damaged)
            try:
                files.read(path)
            except errors.UVMapError as error:
                refused += error.failure.code == "motion_unreadable"
        assert refused > 100


def _json_motion() -> dict[str, Any]:
    rotations = {"head": [[0, 0, number] for number in range(5)], "neck": [1, 0, 0, 0]}
    return {"format": "uvmap_id.motion", "version": 1, "frame_rate": 30, "rotations": rotations}


def _refused(scene: bpy.types.Scene, path: Path, reason: str) -> None:
    before = _everything(scene)
    with pytest.raises(RuntimeError, match=f"motion_unreadable: .*{reason}"):
        bpy.ops.uvmap_id.import_motion(filepath=str(path))
    assert _everything(scene) == before


def _everything(scene: bpy.types.Scene) -> Any:
    return names_in_file(), [action.name for action in bpy.data.actions], scene.frame_start, scene.frame_end
