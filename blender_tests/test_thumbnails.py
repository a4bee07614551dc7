"""Pictures of textures in the making: one icon a job, and none when it has ended."""

from __future__ import annotations

import base64
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import bpy
import pytest
from conftest import write_png

Module = Callable[[str], ModuleType]


@pytest.fixture
def job(module: Module) -> Any:
    """A job that the backend has."""
    request = module("link.request").TextureRequest("0" * 64, "jeans")
    return module("session").Job(request, owner=1, body=2, started=0.0, id="a" * 32)


@pytest.fixture
def pictures(tmp_path: Path) -> list[bytes]:
    for side in (16, 32):
        write_png(tmp_path / f"{side}.png", (200, 30, 30), side)
    return [(tmp_path / f"{side}.png").read_bytes() for side in (16, 32)]


def test_the_newest_picture_is_shown_until_the_job_ends(module: Module, job: Any, pictures: list[bytes]) -> None:
    thumbnails = module("thumbnails")
    thumbnails.update([job])
    assert len(thumbnails._icons) == 0
    for picture, side in zip((*pictures, pictures[0]), (16, 32, 16), strict=True):
        job.preview = picture
        for _ in range(3):
            thumbnails.update([job])
        assert [tuple(icon.image_size) for icon in thumbnails._icons.values()] == [(side, side)]
        # There are no icons to draw without windows.
        assert thumbnails.icon_of(job) == 0
    thumbnails.update([])
    assert len(thumbnails._icons) == 0


def test_a_job_keeps_its_newest_picture_while_it_runs(module: Module, job: Any, pictures: list[bytes]) -> None:
    session, messages = module("current").session(), module("link.messages")
    for picture in pictures:
        session._follow(None, job, messages.Preview(job.id, base64.b64encode(picture).decode()))
        assert job.preview == picture
    session._follow(None, job, messages.Preview(job.id, "no base64"))
    session._follow(None, job, messages.Cancelled(job.id))
    assert (job.preview, job.state.value) == (b"", "cancelled")


@pytest.mark.parametrize("picture", [b"no picture", b"\x89PNG\r\n\x1a\n"])
def test_a_picture_that_is_none_harms_nobody(module: Module, job: Any, picture: bytes) -> None:
    thumbnails = module("thumbnails")
    job.preview = picture
    thumbnails.update([job])
    assert thumbnails.icon_of(job) == 0
    thumbnails.update([])


def test_files_become_icons_when_they_are_asked_for(module: Module, tmp_path: Path) -> None:
    thumbnails = module("thumbnails")
    write_png(tmp_path / "a.png", (255, 0, 0), 16)
    for name in ("a.png", "none.png"):
        # As a panel would, if there were windows.
        thumbnails._wanted[str(tmp_path / name)] = None
    assert thumbnails.update([])
    assert not thumbnails.update([])
    icon = thumbnails._files[str(tmp_path / "a.png")]
    assert tuple(icon.image_size) == (16, 16)
    assert list(icon.image_pixels_float[:4]) == [1.0, 0.0, 0.0, 1.0]
    assert thumbnails._absent == {str(tmp_path / "none.png")}
    assert not [image for image in bpy.data.images if "Preview" in image.name]
    thumbnails.forget_file(str(tmp_path / "a.png"))
    assert len(thumbnails._files) == 0


def test_pictures_are_shown_at_once(module: Module, job: Any, pictures: list[bytes]) -> None:
    thumbnails = module("thumbnails")
    job.preview = pictures[0]
    began = time.thread_time()
    thumbnails.update([job])
    assert time.thread_time() - began < 0.008
    thumbnails.update([])


def test_icons_go_with_the_extension(module: Module, job: Any, pictures: list[bytes]) -> None:
    thumbnails = module("thumbnails")
    job.preview = pictures[0]
    thumbnails.update([job])
    module("").unregister()
    assert thumbnails._icons is None
    thumbnails.update([job])
    assert thumbnails.icon_of(job) == 0
    module("").register()
    assert len(module("thumbnails")._icons) == 0
