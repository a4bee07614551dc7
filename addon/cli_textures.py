"""The commands that make a texture set and look at what is installed: `generate` and `doctor`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from . import current, upkeep
from .jobs import Job, Origin
from .link.errors import ErrorCode, UVMapError
from .link.photo import read_photos, with_photos
from .link.region import REGION_PARTS
from .link.request import (
    DEFAULT_RELIGHT,
    ENGINES,
    EXTRA_MAPS,
    NORMAL_CONVENTIONS,
    SETTINGS,
    SIZES,
    DiffusionSettings,
    TextureRequest,
)
from .region import of_set


def add_commands(commands: Any) -> None:
    """Add the sub-commands' parsers to what `ArgumentParser.add_subparsers` gave."""
    parser = commands.add_parser("generate", help="make a texture set")
    add_texture_options(parser)
    parser.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="a new folder for the maps")
    parser.add_argument("--base", type=Path, metavar="FOLDER", help="a texture set of which only a region is made anew")
    parser.add_argument(
        "--region", action="append", default=[], metavar="PART", help=f"made anew: {_listed(REGION_PARTS)}"
    )
    parser.add_argument(
        "--mask", type=Path, metavar="FILE", help="a picture in the atlas, bright where it is made anew"
    )
    parser.set_defaults(run=_generate)
    doctor = commands.add_parser("doctor", help="show what is installed, what is missing, and the last errors")
    doctor.set_defaults(run=_doctor)


def add_texture_options(parser: argparse.ArgumentParser) -> None:
    """Everything that decides a texture set."""
    parser.add_argument(
        "--face",
        type=Path,
        required=True,
        action="append",
        metavar="FILE",
        help="photo of a face, PNG or JPEG; more of the same person, or .npy embeddings, for the identity",
    )
    parser.add_argument("--prompt", required=True, metavar="TEXT", help="what the person wears")
    parser.add_argument("--subject", default="", metavar="TEXT", help='the person in words, e.g. "asian woman"')
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="the same seed gives the same texture")
    parser.add_argument(
        "--relight",
        type=float,
        default=DEFAULT_RELIGHT,
        metavar="R",
        help="how much of the photo's light is taken out, 0 to 1",
    )
    parser.add_argument("--size", type=int, default=1024, metavar="N", help=f"side of the maps: {_listed(SIZES)}")
    parser.add_argument("--engine", default="auto", metavar="NAME", help=_listed(ENGINES))
    parser.add_argument("--extra-map", action="append", default=[], metavar="NAME", help=_listed(EXTRA_MAPS))
    parser.add_argument("--normal-convention", default="opengl", metavar="NAME", help=_listed(NORMAL_CONVENTIONS))
    group = parser.add_argument_group('engine "uvmap-id"')
    for name, setting in SETTINGS.items():
        default = getattr(DiffusionSettings(), name)
        group.add_argument(
            f"--{name.replace('_', '-')}",
            type=type(default),
            default=default,
            metavar="TEXT" if isinstance(default, str) else "N",
            help=f"{setting.description[0].lower()}{setting.description[1:]} ({default or 'empty'})",
        )


def requested(options: argparse.Namespace) -> tuple[TextureRequest, tuple[bytes, ...]]:
    """The request that the options describe, and the photos for it. Raises `UVMapError`."""
    photos = read_photos(options.face)
    request = TextureRequest(
        face_sha256="",
        prompt=options.prompt,
        subject=options.subject,
        engine=options.engine,
        size=options.size,
        seed=options.seed,
        relight=options.relight,
        extra_maps=tuple(options.extra_map),
        normal_convention=options.normal_convention,
        diffusion=DiffusionSettings(**{name: getattr(options, name) for name in SETTINGS}),
    )
    return with_photos(request, photos), photos


class Progress:
    """Writes a line whenever a job has come further."""

    def __init__(self) -> None:
        """Nothing was written yet."""
        self._said = ""

    def __call__(self, job: Job) -> None:
        """Write how far it is, if that is news."""
        line = f"{job.fraction:4.0%} {job.stage or job.state.value}\n"
        if line != self._said:
            sys.stderr.write(line)
            self._said = line


def _generate(options: argparse.Namespace) -> Path:
    request, files = requested(options)
    if options.base is not None:
        request, maps = of_set(request, options.base, tuple(options.region), options.mask)
        files += maps
    elif options.region or options.mask is not None:
        raise UVMapError(
            ErrorCode.REGION_INCOMPLETE,
            "There is no texture set whose region could be made anew.",
            "Name its folder: --base FOLDER.",
        )
    request.validate()
    out = options.out.absolute()
    if out.exists():
        raise UVMapError(ErrorCode.OUTPUT_NOT_WRITABLE, f"{out} is there already.", "Name a new folder.")
    (job,) = current.session().submit_all([request], files, Origin(place=out))
    folder = current.session().wait(job, Progress())
    for warning in job.warnings:
        sys.stderr.write(f"warning: {warning}\n")
    return folder / "manifest.json"


def _doctor(_options: argparse.Namespace) -> str:
    keeper = upkeep.upkeep()
    keeper.diagnose()
    keeper.wait()
    return keeper.report


def _listed(choices: tuple[Any, ...]) -> str:
    return ", ".join(map(str, choices))
