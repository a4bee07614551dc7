"""The extension's commands in a real Blender without windows, as examples/every_command.py shows them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from debian import Debian

ROOT = Path(__file__).parents[2]
END_S = 400.0
MADE = (
    *("textures/base_color.png", "red_shirt/base_color.png", "face.png", "character.glb", "transferred/manifest.json"),
    *("cast/cast.blend", "cast/cast.json"),
)
Installer = Callable[[Debian, Path, dict[str, str]], None]


def test_every_command(debian: Debian, folder: Path, installer: Installer) -> None:
    debian.share(folder)
    program = Path(os.environ["UVMAP_ID_BACKEND"])
    environment = {
        "BLENDER_USER_RESOURCES": str(folder / "profile"),
        "UVMAP_ID_STATE_DIR": str(folder / "state"),
        "UVMAP_ID_BACKEND": debian.add_program("uvmap-id", program),
    }
    shutil.copy(os.environ["UVMAP_ID_ADDON_ZIP"], folder / "extension.zip")
    installer(debian, folder, environment)
    face, out = folder / "portrait.png", folder / "out"
    subprocess.run([sys.executable, str(ROOT / "examples" / "portrait.py"), str(face)], check=True)
    example = [sys.executable, str(ROOT / "examples" / "every_command.py"), "--face", str(face), "--out", str(out)]
    try:
        done = subprocess.run(
            [*example, "--blender", debian.command_line("blender")],
            env={**os.environ, **environment, "LANG": "C.UTF-8"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=END_S,
            check=False,
        )
    finally:
        subprocess.run([str(program), "stop"], env={**os.environ, **environment}, check=False, capture_output=True)
    assert done.returncode == 0, done.stdout
    assert "Traceback" not in done.stdout
    assert [name for name in MADE if not (out / name).is_file()] == []
    assert len(list((out / "cast" / "renders").glob("*.png"))) == 2
