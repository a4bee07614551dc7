"""The command `uvmap-id`: parses, prints, and leaves the rest to others.

Everything but typer is imported where it is used, so that `--help` is quick.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from uvmap_id import __version__
from uvmap_id.cli_dataset import dataset
from uvmap_id.cli_errors import EXIT_FAILED, errors_reported
from uvmap_id.cli_evaluate import evaluate
from uvmap_id.cli_face import face as look_at_face
from uvmap_id.cli_jobs import jobs
from uvmap_id.cli_serve import keys, serve, stop
from uvmap_id.cli_synthesise import synthesise
from uvmap_id.cli_train import train
from uvmap_id.cli_weights import weights
from uvmap_id.link.errors import ErrorCode, UVMapError
from uvmap_id.link.request import (
    DEFAULT_RELIGHT,
    ENGINES,
    EXTRA_MAPS,
    NORMAL_CONVENTIONS,
    SETTINGS,
    SIZES,
    DiffusionSettings,
)

if TYPE_CHECKING:
    from uvmap_id.doctor import Check
    from uvmap_id.link.connection import Connection
    from uvmap_id.link.messages import Progress
    from uvmap_id.link.request import TextureRequest

_STATE_STYLES = {"ok": "green", "optional": "yellow", "missing": "red"}

app = typer.Typer(
    name="uvmap-id",
    help="A photo of a face and a sentence become a texture set for a body in SMPL's UV atlas.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
bodies = typer.Typer(help="Bodies in SMPL's atlas; for developers.", no_args_is_help=True)
app.command()(serve)
app.command()(stop)
app.add_typer(jobs, name="jobs")
app.add_typer(keys, name="keys")
app.add_typer(bodies, name="bodies")
app.add_typer(dataset, name="dataset")
dataset.command()(synthesise)
app.add_typer(weights, name="weights")
app.command(name="face")(look_at_face)
app.command()(evaluate)
app.command()(train)


def main() -> None:
    """Entry of the command."""
    app(prog_name="uvmap-id")


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"uvmap-id {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    _version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and end.")
    ] = False,
) -> None:
    """Options before the command."""


def _option(text: str, default: object = None) -> Any:
    """An option of `generate`; what is not given comes from the settings' file, else it is the request's default."""
    return typer.Option(help=text, show_default=False if default is None else str(default))


def _engine_option(name: str) -> Any:
    setting, default = SETTINGS[name], getattr(DiffusionSettings(), name)
    offered = f", one of {', '.join(setting.choices)}" if setting.choices else ""
    return typer.Option(
        help=f"{setting.description}{offered}.",
        show_default=str(default) or "the best",
        rich_help_panel='Engine "uvmap-id"',
    )


@app.command()
def generate(
    out: Annotated[Path, typer.Option(help="Folder for the maps and the manifest; made if need be.")],
    face: Annotated[
        list[Path] | None,
        _option("Photo of a face, PNG or JPEG. More of the same person, or .npy embeddings, for the identity."),
    ] = None,
    prompt: Annotated[str | None, _option('What the person wears, e.g. "wearing white shirt, blue jeans".')] = None,
    subject: Annotated[str | None, _option('The person in words, e.g. "asian woman".')] = None,
    engine: Annotated[str | None, _option(f"One of {', '.join(ENGINES)}.", "auto")] = None,
    size: Annotated[str | None, _option(f"Side of the maps, one of {', '.join(map(str, SIZES))}.", 1024)] = None,
    seed: Annotated[str | None, _option("0 or more; the same seed gives the same texture.", 0)] = None,
    relight: Annotated[
        str | None, _option("How much of the photo's light is taken out of the face, 0 to 1.", DEFAULT_RELIGHT)
    ] = None,
    extra_map: Annotated[
        list[str] | None, _option(f"A further map: {' or '.join(EXTRA_MAPS)}; may be given twice.")
    ] = None,
    normal_convention: Annotated[
        str | None, _option(f"Of the normal map, one of {', '.join(NORMAL_CONVENTIONS)}.", "opengl")
    ] = None,
    base: Annotated[
        Path | None, _option("Folder of a texture set of which only a region is made anew, with --region or --mask.")
    ] = None,
    region: Annotated[
        list[str] | None, _option("A part of the body that is made anew, such as torso; may be given several times.")
    ] = None,
    mask: Annotated[Path | None, _option("A picture in the atlas, bright where the texture is made anew.")] = None,
    backend: Annotated[str | None, _option("A backend on another machine, tcp://HOST:PORT.")] = None,
    backend_key: Annotated[str | None, _option("Its public key, from: uvmap-id keys show")] = None,
    settings: Annotated[
        Path | None, _option("A manifest.json, or JSON or TOML with its fields: fills in what is not given.")
    ] = None,
    weights: Annotated[str | None, _engine_option("weights")] = None,
    preset: Annotated[str | None, _engine_option("preset")] = None,
    steps: Annotated[str | None, _engine_option("steps")] = None,
    scheduler: Annotated[str | None, _engine_option("scheduler")] = None,
    guidance: Annotated[str | None, _engine_option("guidance")] = None,
    guidance_start: Annotated[str | None, _engine_option("guidance_start")] = None,
    guidance_stop: Annotated[str | None, _engine_option("guidance_stop")] = None,
    identity_strength: Annotated[str | None, _engine_option("identity_strength")] = None,
    negative_prompt: Annotated[str | None, _engine_option("negative_prompt")] = None,
    template: Annotated[str | None, _engine_option("template")] = None,
    anchor: Annotated[str | None, _engine_option("anchor")] = None,
    upscaler: Annotated[str | None, _engine_option("upscaler")] = None,
) -> None:
    """Make a texture set from a photo and a prompt; prints the manifest's path."""
    given = {
        "prompt": prompt,
        "subject": subject,
        "engine": engine,
        "size": size,
        "seed": seed,
        "relight": relight,
        "extra_maps": tuple(extra_map) if extra_map else None,
        "normal_convention": normal_convention,
    }
    diffusion = {
        "weights": weights,
        "preset": preset,
        "steps": steps,
        "scheduler": scheduler,
        "guidance": guidance,
        "guidance_start": guidance_start,
        "guidance_stop": guidance_stop,
        "identity_strength": identity_strength,
        "negative_prompt": negative_prompt,
        "template": template,
        "anchor": anchor,
        "upscaler": upscaler,
    }
    with errors_reported():
        from uvmap_id.settings import requested

        if not face:
            raise UVMapError(ErrorCode.FACE_FILE_MISSING, "There is no photo of a face.", "Name one: --face photo.jpg")
        # The cheap checks come before the photos are read.
        request, change = requested(settings, given, diffusion), _Change(base, region or [], mask)
        _make(request, face, change, out, _elsewhere(backend, backend_key))


class _Change(NamedTuple):
    """What of which texture set is made anew, as it was typed."""

    base: Path | None
    parts: list[str]
    mask: Path | None


def _elsewhere(backend: str | None, key: str | None) -> Connection | None:
    """How to reach a backend on another machine, with this machine's own client key."""
    from uvmap_id.link.connection import make_state_dir, remote_connection, state_dir
    from uvmap_id.link.keys import CLIENT_KEY, own_keys

    if backend is None:
        return None
    make_state_dir(state_dir())
    return remote_connection(backend, key or "", own_keys(state_dir(), CLIENT_KEY))


def _make(request: TextureRequest, faces: list[Path], change: _Change, out: Path, backend: Connection | None) -> None:
    from uvmap_id.generate import generate_texture
    from uvmap_id.link.photo import read_photos, with_photos, with_region

    contents = read_photos(faces)
    request = with_photos(request, contents)
    if change.base is not None:
        request, maps = with_region(request, change.base, change.parts, change.mask)
        contents += maps
    elif change.parts or change.mask is not None:
        raise UVMapError(
            ErrorCode.REGION_INCOMPLETE,
            "There is no texture set whose region could be made anew.",
            "Name its folder: --base FOLDER.",
        )
    request.validate()
    with _progress_bar() as on_progress:
        files = generate_texture(request, contents, out, on_progress, backend)
    for warning in files.warnings:
        typer.echo(f"warning: {warning}", err=True)
    typer.echo(files.manifest)


@contextlib.contextmanager
def _progress_bar() -> Iterator[Callable[[Progress], None]]:
    """A bar on stderr while it leads to a terminal, nothing otherwise."""
    from rich.console import Console
    from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as ProgressBar

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    with ProgressBar(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("Starting the backend", total=1.0)
        yield lambda progress: bar.update(task, description=progress.stage, completed=progress.fraction)


@app.command()
def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
) -> None:
    """Show what is installed, what is missing, and the fix for each. Ends with 1 if no texture can be made."""
    with errors_reported():
        from uvmap_id.doctor import can_run, examine

        checks = examine()
        if as_json:
            typer.echo(json.dumps({"ok": can_run(checks), "checks": [_as_values(check) for check in checks]}, indent=2))
        else:
            _print_table(checks)
        if not can_run(checks):
            raise typer.Exit(EXIT_FAILED)


def _as_values(check: Check) -> dict[str, str]:
    return {"name": check.name, "state": check.state.value, "detail": check.detail, "fix": check.fix}


def _print_table(checks: list[Check]) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table()
    for title in ("What", "State", "Detail", "Fix"):
        # A fix that is cut off can't be typed.
        table.add_column(title, overflow="fold")
    for check in checks:
        style = _STATE_STYLES[check.state.value]
        table.add_row(check.name, f"[{style}]{check.state.value}[/]", escape(check.detail), escape(check.fix))
    Console().print(table)


@bodies.command()
def bake(
    template: Annotated[Path, typer.Option(help="SMPL's UV template, smpl_uv.obj.", exists=True, dir_okay=False)],
    texture: Annotated[
        list[Path], typer.Option(help="A texture in SMPL's atlas; several are better.", exists=True, dir_okay=False)
    ],
    mannequin: Annotated[Path, typer.Option(help="Where to write the mannequin.")] = Path("addon/assets/mannequin.npz"),
    atlas: Annotated[Path, typer.Option(help="Folder for the atlas's measurements.")] = Path(
        "backend/uvmap_id/atlas/data"
    ),
) -> None:
    """Register the free body to SMPL's template again. The same inputs give the same bytes."""
    with errors_reported():
        try:
            from uvmap_id.bodies.atlas_rasters import write_atlas
            from uvmap_id.bodies.bake import bake as bake_body
            from uvmap_id.bodies.bake import write_mannequin
            from uvmap_id.bodies.face_raster import write_face
        except ImportError as error:
            raise UVMapError(
                ErrorCode.PACKAGE_MISSING,
                f"The bake needs the package {error.name}.",
                'Install the development tools: pip install "uvmap-id[dev]"',
            ) from None
        baked = bake_body(template, sorted(texture))
        write_mannequin(baked, mannequin)
        write_atlas(baked, template, atlas)
        write_face(template, atlas)
        typer.echo(mannequin)
        typer.echo(atlas)
