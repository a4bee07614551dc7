"""Every command that the extension adds to Blender's own command line, one after the other, without windows.

    python examples/every_command.py --face portrait.png --out out/commands

The extension must be installed in the Blender that is called, and the backend be set up. What is run is printed first,
so that each line can be copied into a terminal. The exit code is that of the first command that fails.
"""

from __future__ import annotations

import argparse
import csv
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

PROMPT, RED = "wearing white shirt, blue jeans", "wearing red shirt, blue jeans"
PEOPLE = (("Ada", "young woman", PROMPT), ("Ben", "tall man", "wearing grey suit, black shoes"))


def commands(face: Path, out: Path) -> Iterator[list[str]]:
    """What follows `blender --command uvmap_id`."""
    textures, character, asked = out / "textures", out / "character.glb", ["--face", str(face), "--size", "512"]
    # Is the backend there, and what does it lack?
    yield ["setup", "status"]
    yield ["doctor"]
    # A texture set, and another one of which only the torso is new.
    yield ["generate", *asked, "--prompt", PROMPT, "--out", str(textures)]
    yield [
        *("generate", *asked, "--prompt", RED, "--base", str(textures), "--region", "torso"),
        *("--out", str(out / "red_shirt")),
    ]
    # A picture of a body that wears one.
    yield ["render", *asked, "--prompt", PROMPT, "--view", "face", "--samples", "8", "--out", str(out / "face.png")]
    # The mannequin in a file for other programs, and the textures on the mesh in such a file.
    yield ["export", "--textures", str(textures), "--out", str(character)]
    yield [
        *("transfer", "--textures", str(textures), "--target", str(character), "--size", "512", "--samples", "1"),
        *("--out", str(out / "transferred")),
    ]
    # Many characters, each with a picture.
    yield [
        *("cast", str(write_list(face, out / "cast.csv")), "--size", "512", "--render", "--samples", "8"),
        *("--out", str(out / "cast")),
    ]


def write_list(face: Path, path: Path) -> Path:
    """A cast's list, in which everybody has the same face."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("face", "name", "subject", "prompt"))
        writer.writerows((face, *person) for person in PEOPLE)
    return path


def main() -> int:
    """Run them. Returns the exit code."""
    parser = argparse.ArgumentParser(description="Run every command of the extension.")
    parser.add_argument("--face", type=Path, required=True, metavar="FILE", help="a photo of a face")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="a new folder for everything")
    parser.add_argument("--blender", default="blender", metavar="COMMAND", help="how Blender is called")
    options = parser.parse_args()
    blender, out = shlex.split(options.blender), options.out.absolute()
    if shutil.which(blender[0]) is None:
        sys.stderr.write(f"error: There is no program {blender[0]}. Name Blender's with --blender.\n")
        return 1
    if not options.face.is_file() or out.exists():
        wrong = f"{out} is there already" if out.exists() else f"There is no file {options.face}"
        sys.stderr.write(f"error: {wrong}.\n")
        return 1
    out.mkdir(parents=True)
    for command in commands(options.face.absolute(), out):
        sys.stdout.write(f"\n$ {shlex.join([*blender, '--command', 'uvmap_id', *command])}\n")
        sys.stdout.flush()
        code = subprocess.run([*blender, "--command", "uvmap_id", *command], check=False).returncode
        if code != 0:
            return code
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
