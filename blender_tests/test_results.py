"""Texture sets are kept in the user's own place, all of a set or nothing."""

# pyright: reportAttributeAccessIssue=false, reportOptionalMemberAccess=false
# The stubs of bpy don't know what the extension adds to it, and call much optional that is there.

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import bpy
import pytest
from conftest import PACKAGE, make_textures

JOB = "0123456789abcdef" * 2


def test_place_is_beside_a_saved_file(module: Callable[[str], ModuleType], tmp_path: Path) -> None:
    place_of = module("results").place_of
    user = bpy.utils.extension_path_user(PACKAGE)
    assert place_of(JOB).is_relative_to(user)
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "character.blend"))
    assert place_of(JOB) == tmp_path / "textures" / "uvmap_id" / "0123456789ab"


def test_set_is_copied_whole(module: Callable[[str], ModuleType], textures: Path, tmp_path: Path) -> None:
    kept = module("results").keep(textures, tmp_path / "kept" / "set")
    assert {path.name: path.read_bytes() for path in kept.iterdir()} == {
        path.name: path.read_bytes() for path in textures.iterdir()
    }


def test_all_maps_of_the_manifest_are_copied_and_nothing_else(
    module: Callable[[str], ModuleType], tmp_path: Path
) -> None:
    folder = make_textures(tmp_path / "set", (1, 2, 3), orm=(255, 1, 0), subsurface=(9, 9, 9))
    (folder / "notes.txt").write_text("not the set's", encoding="utf-8")
    kept = module("results").keep(folder, tmp_path / "kept" / "set")
    names = {"base_color.png", "normal.png", "roughness.png", "orm.png", "subsurface.png", "manifest.json"}
    assert {path.name for path in kept.iterdir()} == names


def test_an_incomplete_set_leaves_nothing(module: Callable[[str], ModuleType], textures: Path, tmp_path: Path) -> None:
    (textures / "roughness.png").unlink()
    with pytest.raises(module("link.errors").UVMapError, match="output_not_writable"):
        module("results").keep(textures, tmp_path / "kept" / "set")
    assert list((tmp_path / "kept").iterdir()) == []


def test_a_place_that_is_no_folder(module: Callable[[str], ModuleType], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way", encoding="utf-8")
    textures = make_textures(tmp_path / "set", (1, 2, 3))
    with pytest.raises(module("link.errors").UVMapError, match="output_not_writable"):
        module("results").keep(textures, tmp_path / "file" / "set")
