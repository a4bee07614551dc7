"""The command line: `blender --command uvmap_id generate|render|cast|transfer|export|setup|doctor ...`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import bpy

from . import body, cli_bodies, cli_cast, cli_setup, cli_textures, current, mannequin, stage
from .errors import attempt
from .link.errors import Failure

COMMAND = "uvmap_id"

# What registering the command returned, which taking it back needs.
_handle: Any = None

_SIZE_OF_VIEW = {stage.View.FRONT: (640, 960), stage.View.BACK: (640, 960), stage.View.FACE: (768, 768)}


def main(arguments: list[str]) -> int:
    """Run `blender --command uvmap_id`. Returns the exit code.

    It is 0, 2 for bad arguments, 1 for anything else; of `cast`, how many characters are not there, at most 125.
    """
    parser = argparse.ArgumentParser(prog=f"blender --command {COMMAND}", description="Textured bodies from photos.")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    _add_render_options(commands.add_parser("render", help="make a texture set and render a body that wears it"))
    cli_textures.add_commands(commands)
    cli_bodies.add_commands(commands)
    cli_cast.add_command(commands)
    cli_setup.add_commands(commands)
    return _run(parser, arguments)


def render_character(arguments: list[str], program: str) -> int:
    """Run the command `render` alone, for scripts. Returns the exit code as `main` does."""
    parser = argparse.ArgumentParser(prog=program, description="Make a texture set and render a body that wears it.")
    _add_render_options(parser)
    return _run(parser, arguments)


def _add_render_options(parser: argparse.ArgumentParser) -> None:
    cli_textures.add_texture_options(parser)
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="the PNG file to write")
    parser.add_argument("--body", type=Path, metavar="FILE", help="a body with SMPL's UVs instead of the mannequin")
    parser.add_argument("--uv-template", type=Path, metavar="OBJ", help="UVs for a body model that brings none")
    parser.add_argument(
        "--assign-anyway", action="store_true", help="put the texture also on a body whose UV layout is not recognised"
    )
    parser.add_argument("--view", type=stage.View, choices=list(stage.View), default=stage.View.FRONT)
    parser.add_argument("--samples", type=int, default=32, metavar="N", help="of Cycles, a pixel")
    parser.set_defaults(run=_render)


def _run(parser: argparse.ArgumentParser, arguments: list[str]) -> int:
    try:
        options = parser.parse_args(arguments)
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else 2
    outcome = attempt(lambda: options.run(options))
    if isinstance(outcome, Failure):
        sys.stderr.write(f"error: {outcome}\n")
        return 1
    sys.stdout.write(f"{outcome}\n")
    return outcome.code if isinstance(outcome, cli_cast.Outcome) else 0


def _render(options: argparse.Namespace) -> Path:
    request, photos = cli_textures.requested(options)
    request.validate()
    stage.check_output(options.out)
    scene = bpy.context.scene
    wearer = mannequin.add(scene) if options.body is None else body.load(options.body, options.uv_template)
    body.check_layout(wearer, anyway=options.assign_anyway)
    session = current.session()
    job = session.submit(request, photos, scene.session_uid, wearer.session_uid)
    session.wait(job, cli_textures.Progress())
    return stage.render(wearer, options.out, stage.Shot(options.view, *_SIZE_OF_VIEW[options.view], options.samples))


def register() -> None:
    """Make the command known to Blender."""
    global _handle
    _handle = bpy.utils.register_cli_command(COMMAND, main)


def unregister() -> None:
    """Take the command back."""
    global _handle
    bpy.utils.unregister_cli_command(_handle)
    _handle = None
