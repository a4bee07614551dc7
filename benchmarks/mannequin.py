"""The mannequin in Blender: how long it takes, and the picture of its presets.

    python benchmarks/mannequin.py --zip dist/uvmap_id-0.1.0-linux_x64.zip
        [--picture docs/images/mannequin.jpg --textures DIR]

Run it with a Python that has the bpy wheel. The built extension is installed in a profile of its own. In the picture
the bodies wear a finished texture set, the folder that `uvmap-id generate` wrote.
"""

# pyright: reportAttributeAccessIssue=false, reportOptionalMemberAccess=false, reportArgumentType=false
# The stubs of bpy don't know what the extension adds to it, and call much optional that is there.

from __future__ import annotations

import argparse
import importlib
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

# Blender reads this once, when bpy is imported.
os.environ["BLENDER_USER_RESOURCES"] = tempfile.mkdtemp(prefix="uvmap_id-profile-")

import bpy

PACKAGE = "bl_ext.user_default.uvmap_id"
ROUNDS = 7
SPACING = 0.85


def main() -> None:
    """Measure, print a table, and render the picture if asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--zip", type=Path, required=True, help="the built extension")
    parser.add_argument("--picture", type=Path, metavar="FILE", help="a JPEG file")
    parser.add_argument("--textures", type=Path, metavar="DIR")
    options = parser.parse_args()
    if options.picture is not None and options.textures is None:
        parser.error("--picture needs --textures")
    bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True)
    bpy.ops.extensions.package_install_files(
        filepath=str(options.zip.resolve()), repo="user_default", enable_on_install=True
    )
    print(f"Blender {bpy.app.version_string}")
    print(f"a body appears  {1000 * statistics.median(timed(add) for _ in range(ROUNDS)):7.1f} ms")
    print(f"a slider moves  {1000 * statistics.median(slider_times()):7.1f} ms")
    if options.picture is not None:
        draw(options.picture, options.textures)


def timed(action: Callable[[], object]) -> float:
    """Seconds of an action and of Blender's update after it."""
    started = time.perf_counter()
    action()
    bpy.context.view_layer.update()
    return time.perf_counter() - started


def add() -> bpy.types.Object:
    """A mannequin in an empty file."""
    for item in list(bpy.data.objects):
        bpy.data.objects.remove(item)
    bpy.ops.uvmap_id.add_mannequin()
    return bpy.context.scene.uvmap_id.body


def slider_times() -> list[float]:
    """Seconds of each change of a body that is posed and has all its sliders moved."""
    body = add()
    bpy.ops.uvmap_id.apply_pose(pose="A")
    for name in ("gender", "muscle", "weight", "height", "proportions"):
        setattr(body.uvmap_id_shape, name, 0.4)
    return [timed(lambda step=step: setattr(body.uvmap_id_shape, "age", step / 20)) for step in range(20)]


def draw(path: Path, textures: Path) -> None:
    """The presets side by side, in the relaxed pose."""
    material, results, stage = (
        importlib.import_module(f"{PACKAGE}.{name}") for name in ("material", "results", "stage")
    )
    bodies = []
    for number, preset in enumerate(("child", "adult", "elder", "athlete", "heavy")):
        bpy.ops.uvmap_id.add_mannequin()
        bpy.ops.uvmap_id.shape_preset(preset=preset)
        bpy.ops.uvmap_id.apply_pose(pose="RELAXED")
        body = bpy.context.scene.uvmap_id.body
        body.uvmap_id_shape.gender = 1.0 if number % 2 else -1.0
        body.parent.location.x = number * SPACING
        material.assign(body, results.maps_in(textures))
        bodies.append(body)
    with tempfile.TemporaryDirectory() as folder:
        shot = stage.Shot(stage.View.FRONT, 1400, 560, 48)
        picture = bpy.data.images.load(str(stage.render(joined(bodies), Path(folder, "picture.png"), shot)))
        scene = bpy.context.scene
        scene.view_settings.view_transform = "Standard"
        scene.render.image_settings.file_format, scene.render.image_settings.quality = "JPEG", 88
        picture.save_render(str(path.absolute()), scene=scene)


def joined(bodies: list[bpy.types.Object]) -> bpy.types.Object:
    """One object that looks like several: the stage shows but one."""
    bpy.context.view_layer.update()
    graph = bpy.context.evaluated_depsgraph_get()
    shown = []
    for body in bodies:
        shown.append(bpy.data.objects.new("Shown", bpy.data.meshes.new_from_object(body.evaluated_get(graph))))
        shown[-1].matrix_world = body.matrix_world
        bpy.context.scene.collection.objects.link(shown[-1])
    with bpy.context.temp_override(active_object=shown[0], selected_editable_objects=shown):
        bpy.ops.object.join()
    return shown[0]


if __name__ == "__main__":
    main()
    sys.stdout.flush()
    # The bpy wheels of Blender 4 hang or crash on the way out of the interpreter.
    os._exit(0)
