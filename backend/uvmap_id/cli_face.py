"""The command `uvmap-id face`: what a photo shows, for people and for programs."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from uvmap_id.cli_errors import EXIT_FAILED, errors_reported

if TYPE_CHECKING:
    from uvmap_id.face_check import FaceReport


def face(
    photo: Annotated[Path, typer.Argument(help="A photo of a face, PNG or JPEG.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
    cache: Annotated[
        Path | None,
        typer.Option(
            help="Folder for answers and thumbnails, by the photos' content.",
            show_default="faces, in the backend's folder",
        ),
    ] = None,
) -> None:
    """Look at a photo: its faces, their landmarks, and whether the engine can use it. Ends with 1 if it can't."""
    with errors_reported():
        from uvmap_id.face_check import check_face
        from uvmap_id.link.connection import state_dir

        report = check_face(photo, cache.absolute() if cache else state_dir() / "faces")
        typer.echo(json.dumps(dataclasses.asdict(report)) if as_json else _sentences(report))
        if report.failure is not None:
            raise typer.Exit(EXIT_FAILED)


def _sentences(report: FaceReport) -> str:
    count = "1 face" if report.faces == 1 else f"{report.faces} faces"
    lines = [f"{count} in {report.width} x {report.height} pixels."] if report.width else []
    if report.failure is not None:
        lines.append(str(report.failure))
    lines += [f"warning: {warning}" for warning in report.warnings]
    if report.thumbnail:
        lines.append(report.thumbnail)
    return "\n".join(lines)
