"""The whole way in a clean Blender: install the zip, add the mannequin, put a texture on it, render three pictures.

    python examples/demo_in_blender.py --zip dist/uvmap_id-0.1.0.zip --face F --prompt T --out out/demo

Run it with a Python that has the bpy wheel, or with `blender -b --python examples/demo_in_blender.py -- ...`, where
BLENDER_USER_RESOURCES must name an empty folder, so that nobody's own Blender is touched. The backend is the program
that UVMAP_ID_BACKEND names, or the `uvmap-id` on PATH. With --textures DIR a finished texture set is used instead.
"""

# pyright: reportAttributeAccessIssue=false, reportOptionalMemberAccess=false
# The stubs of bpy don't know what the extension adds to it, and call much optional that is there.

from __future__ import annotations

import argparse
import importlib
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

PROFILE = "BLENDER_USER_RESOURCES"
PACKAGE = "bl_ext.user_default.uvmap_id"
SAMPLES = 32
BAR = 24


@dataclass(frozen=True)
class Picture:
    """One picture of the demo."""

    name: str
    view: str
    resolution: tuple[int, int]


PICTURES = (
    Picture("body_front.png", "FRONT", (640, 960)),
    Picture("body_back.png", "BACK", (640, 960)),
    Picture("face.png", "FACE", (768, 768)),
)
# Install, body, texture; then one step a picture.
STEPS = 3 + len(PICTURES)


class Progress:
    """A bar in plain text, one line a step, readable in a log as well."""

    def __init__(self) -> None:
        self._done = 0
        self._started = time.monotonic()

    def step(self, what: str) -> None:
        """Say what is done next."""
        filled = BAR * self._done // STEPS
        seconds = time.monotonic() - self._started
        print(f"[{'#' * filled}{'.' * (BAR - filled)}] {self._done / STEPS:4.0%}  {seconds:5.1f} s  {what}", flush=True)
        self._done += 1


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """The options. Ends the program with 2 where they are wrong."""
    parser = argparse.ArgumentParser(description="A textured body from a photo, in a clean Blender.")
    parser.add_argument("--zip", type=Path, required=True, help="the built extension")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="where the pictures and maps go")
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--textures", type=Path, metavar="DIR", help="a finished texture set")
    source.add_argument("--face", type=Path, metavar="FILE", help="a photo of a face")
    parser.add_argument("--prompt", default="wearing white shirt, blue jeans", metavar="TEXT")
    parser.add_argument("--size", default="1024", choices=("512", "1024", "2048", "4096"))
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args(arguments)


def run(options: argparse.Namespace, progress: Progress) -> list[Path]:
    """Make the demo's files and return them. Raises `RuntimeError` with a sentence where that fails."""
    import bpy

    options.out.mkdir(parents=True, exist_ok=True)
    progress.step("installing the extension")
    bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True)
    bpy.ops.extensions.package_install_files(
        filepath=str(options.zip.resolve()), repo="user_default", enable_on_install=True
    )
    progress.step("adding the mannequin")
    bpy.ops.uvmap_id.add_mannequin()
    bpy.ops.uvmap_id.apply_pose(pose="RELAXED")
    progress.step("making the texture" if options.textures is None else "putting the texture on")
    made = put_on(options) if options.textures is not None else generate(options)
    for picture in PICTURES:
        progress.step(f"rendering {picture.name}")
        path = options.out / picture.name
        bpy.ops.uvmap_id.render_character(
            filepath=str(path.resolve()), view=picture.view, resolution=picture.resolution, samples=SAMPLES
        )
        made.append(path)
    progress.step("done")
    return made


def generate(options: argparse.Namespace) -> list[Path]:
    """Have the extension make the texture, and copy the set to the demo's folder."""
    import bpy

    settings = bpy.context.scene.uvmap_id
    settings.face_image = str(options.face.resolve())
    settings.prompt = options.prompt
    settings.size = options.size
    settings.seed = options.seed
    bpy.ops.uvmap_id.generate()
    return [Path(shutil.copy(path, options.out)) for path in sorted(Path(settings.result).iterdir())]


def put_on(options: argparse.Namespace) -> list[Path]:
    """Put a finished texture set on the body."""
    import bpy

    material, results = (importlib.import_module(f"{PACKAGE}.{name}") for name in ("material", "results"))
    material.assign(bpy.context.scene.uvmap_id.body, results.maps_in(options.textures.resolve()))
    return []


def main() -> int:
    """Run the demo. Returns the exit code."""
    arguments = sys.argv[1:]
    if "bpy" in sys.modules:
        arguments = sys.argv[sys.argv.index("--") + 1 :] if "--" in sys.argv else []
        if PROFILE not in os.environ:
            sys.stderr.write(f"error: Set {PROFILE} to an empty folder, so that your own Blender is not touched.\n")
            return 1
    options = parse(arguments)
    with tempfile.TemporaryDirectory(prefix="uvmap_id-profile-") as profile:
        os.environ.setdefault(PROFILE, profile)
        try:
            made = run(options, Progress())
        except (RuntimeError, OSError) as error:
            sys.stderr.write(f"error: {str(error).removeprefix('Error: ').strip()}\n")
            return 1
    for path in made:
        print(path)
    return 0


if __name__ == "__main__":
    try:
        code = main()
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else 2
    sys.stdout.flush()
    sys.stderr.flush()
    # Blender takes no exit code from a script, and the bpy wheels of Blender 4 don't end cleanly.
    os._exit(code)
