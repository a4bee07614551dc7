"""The command `blender --command uvmap_id cast`: a whole cast, without windows."""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bpy

from . import body, cast, cast_report, runtime, stage
from .casting import Casting, Options
from .current import current, session
from .errors import attempt
from .link.errors import ErrorCode, Failure, UVMapError
from .link.request import ENGINES, SIZES, TextureRequest

BLEND = "cast.blend"
_CODE_LIMIT = 125
_SAMPLES = 32


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a cast ended.

    Attributes:
        missing: How many characters, or pictures of them, are not there.
        text: For a person.
    """

    missing: int
    text: str

    @property
    def code(self) -> int:
        """The exit code."""
        return min(self.missing, _CODE_LIMIT)

    def __str__(self) -> str:
        return self.text


def add_command(commands: Any) -> None:
    """Add the sub-command's parser to what `ArgumentParser.add_subparsers` gave."""
    parser = commands.add_parser(
        "cast",
        help="make many characters from a list",
        description="Make a character for each row of a list. Run it again to go on after an interruption. "
        f"The exit code counts the characters that could not be made, up to {_CODE_LIMIT}.",
    )
    parser.add_argument("list", type=Path, metavar="LIST", help="a .csv or .json file, or a folder of photos")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="the folder for everything")
    parser.add_argument("--prompt", default="", metavar="TEXT", help="what those wear whose row says nothing")
    parser.add_argument("--subject", default="", metavar="TEXT", help="who those are whose row says nothing")
    parser.add_argument("--engine", default="auto", metavar="NAME", help=", ".join(ENGINES))
    parser.add_argument("--size", type=int, default=1024, metavar="N", help=", ".join(map(str, SIZES)))
    parser.add_argument("--base-seed", type=int, default=0, metavar="N", help="what the rows' seeds come from")
    parser.add_argument("--keep-sliders", action="store_true", help="keep the shape keys in each body (13 MB each)")
    parser.add_argument("--render", action="store_true", help="render a picture of each character too")
    parser.add_argument("--samples", type=int, default=_SAMPLES, metavar="N", help="of Cycles, a pixel")
    parser.set_defaults(run=_cast)


def run(casting: Casting, said: Any = None) -> None:
    """Work until a cast has ended: for scripts without windows.

    Args:
        casting: From `Casting`.
        said: Called with each line that has ended.
    """
    now = current()
    if now.cast is not None and not now.cast.ended:
        raise UVMapError(ErrorCode.QUEUE_FULL, "Another cast is being made.", "Stop it first.")
    now.cast = casting
    shown: set[int] = set()
    while not casting.ended:
        delay = runtime.tick()
        for line in casting.lines:
            if said is not None and line.state.ended and line.row.number not in shown:
                shown.add(line.row.number)
                said(line)
        if not casting.ended:
            time.sleep(delay or 0.0)


def _cast(options: argparse.Namespace) -> Outcome:
    defaults = TextureRequest(
        "", prompt=options.prompt, subject=options.subject, engine=options.engine, size=options.size
    )
    rows = cast.read_cast(options.list.absolute(), defaults, options.base_seed)
    out = options.out.absolute()
    # Before anything is opened: a folder that can't be written to is an answer at once.
    cast_report.make_folder(out)
    scene = _scene(out / BLEND)
    casting = Casting(rows, scene, session(), Options(out, options.keep_sliders))
    run(casting, _say)
    _save(out / BLEND)
    missing = len(rows) - casting.count(cast_report.RowState.DONE)
    if options.render:
        missing += _render(casting, out / "renders", options.samples)
    if casting.failure is not None:
        sys.stderr.write(f"error: {casting.failure}\n")
    return Outcome(missing, f"{casting.count(cast_report.RowState.DONE)} of {len(rows)} characters are in {out}.")


def _scene(blend: Path) -> bpy.types.Scene:
    """The scene of an earlier run, or an empty one."""
    if not blend.is_file():
        bpy.ops.wm.read_homefile(use_empty=True)
        return bpy.context.scene
    try:
        bpy.ops.wm.open_mainfile(filepath=str(blend), load_ui=False, use_scripts=False)
    except RuntimeError as error:
        raise UVMapError(
            ErrorCode.SETTINGS_UNREADABLE,
            f"{blend} can't be opened: {str(error).strip()}",
            "Move it away; the characters are put into a new one.",
        ) from error
    return bpy.context.scene


def _save(blend: Path) -> None:
    try:
        bpy.ops.wm.save_as_mainfile(filepath=str(blend), check_existing=False)
        # So that the whole folder can be moved.
        bpy.ops.file.make_paths_relative()
        bpy.ops.wm.save_as_mainfile(filepath=str(blend), check_existing=False)
    except RuntimeError as error:
        raise UVMapError(
            ErrorCode.OUTPUT_NOT_WRITABLE, f"{blend} can't be saved: {str(error).strip()}", "Free some space."
        ) from error


def _render(casting: Casting, folder: Path, samples: int) -> int:
    """Render those who have no picture yet. Returns how many could not be rendered."""
    failed = 0
    shot = stage.Shot(stage.View.FRONT, samples=samples)
    for line in casting.lines:
        target = body.by_uid(line.body)
        if line.state is not cast_report.RowState.DONE or line.folder is None or target is None:
            continue
        picture = folder / f"{line.folder.name}.png"
        if picture.is_file():
            continue
        outcome = attempt(lambda target=target, picture=picture: _rendered(target, picture, shot))
        if isinstance(outcome, Failure):
            failed += 1
            sys.stderr.write(f"error: {line.row.name}: {outcome}\n")
    return failed


def _rendered(target: bpy.types.Object, picture: Path, shot: stage.Shot) -> Path:
    picture.parent.mkdir(parents=True, exist_ok=True)
    return stage.render(target, picture, shot)


def _say(line: cast_report.Line) -> None:
    reason = f": {line.failure}" if line.failure is not None else " (was there)" if line.found else ""
    sys.stderr.write(f"{line.row.number:4} {line.state.value:8} {line.row.name}{reason}\n")
