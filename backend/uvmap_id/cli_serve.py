"""The commands that run the backend and say who may use it: `uvmap-id serve`, `stop` and `keys ...`."""

from __future__ import annotations

import getpass
import logging
import socket
import sys
from pathlib import Path
from typing import Annotated

import typer

from uvmap_id.cli_errors import errors_reported, print_failure
from uvmap_id.link.errors import ErrorCode, UVMapError

keys = typer.Typer(help="Who may use this backend from another machine.", no_args_is_help=True)

StateDir = Annotated[
    Path | None, typer.Option(help="Folder for everything that the backend keeps.", show_default=False)
]


def serve(
    idle_minutes: Annotated[
        float | None, typer.Option(min=0, help="End after so many minutes without work.", show_default="never")
    ] = None,
    state_dir: StateDir = None,
    bind: Annotated[
        str, typer.Option(help="Where to listen; tcp://0.0.0.0:PORT lets authorised clients in from elsewhere.")
    ] = "tcp://127.0.0.1:*",
    authorize: Annotated[
        list[Path] | None,
        typer.Option(help="A client's public key, CLIENT.pub, that may use this backend; may be given several times."),
    ] = None,
    workers: Annotated[int, typer.Option(min=1, max=64, help="Jobs at once; one for each graphics card.")] = 1,
    keep_days: Annotated[
        float, typer.Option(min=0, help="How long results are kept after a client has fetched them.")
    ] = 0.0,
    keep_gb: Annotated[float, typer.Option(min=0, help="How much of them is kept at most.")] = 10.0,
) -> None:
    """Run the backend in the foreground until Ctrl-C. The other commands and Blender start it by themselves.

    Jobs are on disk: whatever dies, they go on when the backend starts again.
    """
    from uvmap_id.link import connection
    from uvmap_id.link.launcher import EXIT_ALREADY_RUNNING
    from uvmap_id.server.main import AlreadyRunningError, ServerOptions
    from uvmap_id.server.main import serve as run_server
    from uvmap_id.server.retention import RetentionOptions

    folder = connection.state_dir() if state_dir is None else state_dir.absolute()
    with errors_reported():
        try:
            connection.make_state_dir(folder)
            for key in authorize or []:
                _authorize(folder, key)
            _log_to(folder)
            retention = RetentionOptions(keep_days, keep_gb)
            run_server(ServerOptions(folder, idle_minutes, bind=bind, workers=workers, retention=retention))
        except AlreadyRunningError as error:
            print_failure(error.failure)
            raise typer.Exit(EXIT_ALREADY_RUNNING) from None
        except OSError as error:
            from uvmap_id.link.disk import disk_error

            raise disk_error(error, folder) from error


def stop() -> None:
    """End the running backend. Jobs that have not ended go on when it starts again."""
    from uvmap_id.link.launcher import stop_server

    with errors_reported():
        try:
            stopped = stop_server()
        except UVMapError as error:
            if error.failure.code != ErrorCode.BACKEND_NOT_RUNNING:
                raise
            typer.echo(error.failure.message, err=True)
        else:
            typer.echo(f"The backend, process {stopped.pid}, has ended.", err=True)


@keys.command()
def new(
    out: Annotated[Path, typer.Option(help="Where to write the secret key; its public one gets .pub after it.")],
    name: Annotated[str, typer.Option(help="Whose key it is.", show_default="user@machine")] = "",
) -> None:
    """Make a key pair for a client that uses a backend on another machine. Prints the public key's file."""
    with errors_reported():
        from uvmap_id.link.disk import disk_error
        from uvmap_id.link.keys import new_key_pair, write_key_pair

        if out.exists():
            raise UVMapError(ErrorCode.OUTPUT_NOT_WRITABLE, f"{out} is there already.", "Choose another name.")
        try:
            typer.echo(write_key_pair(new_key_pair(), out, name or f"{getpass.getuser()}@{socket.gethostname()}"))
        except OSError as error:
            raise disk_error(error, out) from error


@keys.command()
def show(
    client: Annotated[bool, typer.Option("--client", help="This machine's key for backends elsewhere.")] = False,
    state_dir: StateDir = None,
) -> None:
    """Print this backend's public key, which its clients elsewhere need to know, and its fingerprint."""
    with errors_reported():
        from uvmap_id.link.keys import CLIENT_KEY, KEYS_FOLDER, SERVER_KEY, fingerprint, own_keys

        folder = _state(state_dir)
        name = CLIENT_KEY if client else SERVER_KEY
        pair = own_keys(folder, name)
        typer.echo(pair.public)
        typer.echo(f"{fingerprint(pair.public)} {folder / KEYS_FOLDER / name}.pub", err=True)


@keys.command()
def authorize(
    key: Annotated[list[Path], typer.Argument(help="Public keys' files, CLIENT.pub.")], state_dir: StateDir = None
) -> None:
    """Let clients with these keys use this backend; also one that is running."""
    with errors_reported():
        for path in key:
            typer.echo(_authorize(_state(state_dir), path), err=True)


@keys.command("list")
def list_keys(state_dir: StateDir = None) -> None:
    """Show whose keys are authorised."""
    with errors_reported():
        from uvmap_id.link.keys import AuthorizedKeys, fingerprint

        for public, name in AuthorizedKeys(_state(state_dir)).read().items():
            typer.echo(f"{fingerprint(public)} {name}")


@keys.command()
def revoke(
    which: Annotated[str, typer.Argument(help="A key, its fingerprint or its name.")], state_dir: StateDir = None
) -> None:
    """Keep a client out from now on."""
    with errors_reported():
        from uvmap_id.link.keys import AuthorizedKeys

        for name in AuthorizedKeys(_state(state_dir)).remove(which).values():
            typer.echo(f"{name or which} is kept out.", err=True)


def _log_to(folder: Path) -> None:
    """Into a file without a word of a person; and for whoever watches, onto the terminal as well."""
    from uvmap_id.server.logs import JsonLinesHandler

    handlers: list[logging.Handler] = [JsonLinesHandler(folder / "server.jsonl")]
    if sys.stderr.isatty():
        handlers.append(logging.StreamHandler())
        handlers[-1].setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=handlers)


def _state(chosen: Path | None) -> Path:
    from uvmap_id.link.connection import make_state_dir, state_dir
    from uvmap_id.link.disk import disk_error

    folder = state_dir() if chosen is None else chosen.absolute()
    try:
        make_state_dir(folder)
    except OSError as error:
        raise disk_error(error, folder) from error
    return folder


def _authorize(folder: Path, path: Path) -> str:
    from uvmap_id.link.keys import AuthorizedKeys, fingerprint, read_public_key

    public, name = read_public_key(path)
    AuthorizedKeys(folder).add(public, name or path.stem)
    return f"{name or path.stem} may use this backend: {fingerprint(public)}"
