"""The commands `uvmap-id jobs ...`: the backend's queue, for a person at a terminal and for scripts."""

from __future__ import annotations

import dataclasses
import json
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from uvmap_id.cli_errors import errors_reported
from uvmap_id.link.errors import ErrorCode, UVMapError

if TYPE_CHECKING:
    from uvmap_id.link.client import Client
    from uvmap_id.link.exchange import Event
    from uvmap_id.link.messages import JobItem, Pong

jobs = typer.Typer(help="The backend's queue: see, cancel, repeat and forget jobs.", no_args_is_help=True)

_ANSWER_S = 10.0
_SHORT_ID = 8
_MINUTE, _HOUR, _DAY = 60, 3600, 86400
_STYLES = {"done": "green", "failed": "red", "running": "cyan", "cancelled": "dim", "queued": ""}
_PAUSED = {
    "user": "The queue is paused. Go on with: uvmap-id jobs resume",
    "disk_full": "The queue waits for space on the disk and then goes on by itself.",
    "worker_crash_loop": "The engine does not start. See: uvmap-id doctor. Then: uvmap-id jobs resume",
}

Expected = TypeVar("Expected")
JobIds = Annotated[list[str], typer.Argument(help="Ids of jobs, or their beginnings.", show_default=False)]


@jobs.command("list")
def list_jobs(
    all_jobs: Annotated[bool, typer.Option("--all", help="Also those that have ended and been fetched.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
) -> None:
    """Show the jobs in the queue and those whose result nobody has fetched yet."""
    with _connected() as client:
        items = [item for item in _items(client) if all_jobs or not item.acknowledged]
        pong = _pong(client)
        if as_json:
            values = {"paused": pong.paused, "jobs": [dataclasses.asdict(item) for item in items]}
            typer.echo(json.dumps(values, indent=2))
        else:
            _print_table(items, pong)


@jobs.command()
def show(job: Annotated[str, typer.Argument(help="Id of a job, or its beginning.", show_default=False)]) -> None:
    """Show all that is known of one job, as JSON: its state, and how far it is or how it ended."""
    from uvmap_id.link.messages import Accepted, Cancelled, Done, Failed, Progress

    with _connected() as client:
        item = _found(_items(client), job)
        event = _ask(client, lambda: client.status(item.job), (Accepted, Progress, Done, Failed, Cancelled), item.job)
        said = dataclasses.asdict(event)
        values = {**dataclasses.asdict(item), "event": {"t": type(event).__name__.lower(), **said}}
        typer.echo(json.dumps(values, indent=2))


@jobs.command()
def cancel(
    job: Annotated[list[str] | None, typer.Argument(help="Ids of jobs, or their beginnings.")] = None,
    all_jobs: Annotated[bool, typer.Option("--all", help="Every job that has not ended.")] = False,
) -> None:
    """End jobs early."""
    with _connected() as client:
        for item in _chosen(client, job or [], all_jobs, ended=False):
            client.cancel(item.job)
            _wait_for_end(client, item)


@jobs.command()
def retry(job: JobIds) -> None:
    """Do failed, cancelled or finished jobs once more, if their photos are still here. Prints the new ids."""
    from uvmap_id.link.messages import Accepted

    with _connected() as client:
        for item in _chosen(client, job, False, ended=True):
            new_job = secrets.token_hex(16)
            _ask(client, lambda old=item.job, new=new_job: client.retry(old, new), Accepted, new_job)
            typer.echo(new_job)


@jobs.command()
def fetch(
    job: Annotated[str, typer.Argument(help="Id of a finished job, or its beginning.", show_default=False)],
    out: Annotated[Path, typer.Option(help="Folder for the maps and the manifest; made if need be.")],
) -> None:
    """Bring a finished job's texture set to a folder, and have the backend forget it. Prints the manifest's path."""
    with _connected() as client:
        from uvmap_id.generate import publish
        from uvmap_id.texture_folder import texture_folder

        item = _found(_items(client), job)
        with texture_folder(out) as folder:
            typer.echo(publish(client, client.wait(item.job, timeout_s=_ANSWER_S), folder))


@jobs.command()
def purge(
    job: Annotated[list[str] | None, typer.Argument(help="Ids of ended jobs, or their beginnings.")] = None,
    all_jobs: Annotated[bool, typer.Option("--all", help="Every job that has ended.")] = False,
) -> None:
    """Forget ended jobs: photos, prompts and maps that are still in the backend's folder."""
    from uvmap_id.link.messages import Purged

    with _connected() as client:
        chosen = tuple(item.job for item in _chosen(client, job or [], all_jobs, ended=True))
        # Without names it is all, and what belongs to no job any more as well.
        count = _ask(client, lambda: client.purge(() if all_jobs else chosen), Purged).jobs
        typer.echo(f"{count} forgotten.", err=True)


@jobs.command()
def move(
    job: Annotated[str, typer.Argument(help="Id of a queued job, or its beginning.")],
    before: Annotated[str | None, typer.Option(help="Another queued job that shall run after it.")] = None,
    priority: Annotated[int | None, typer.Option(help="Higher runs first; 0 is normal.")] = None,
) -> None:
    """Change a queued job's turn."""
    from uvmap_id.link.messages import Moved

    with _connected() as client:
        if (before is None) == (priority is None):
            raise UVMapError(ErrorCode.SETTING_OUT_OF_RANGE, "Give either --before or --priority.")
        items = _items(client)
        item = _found(items, job)
        other = _found(items, before).job if before is not None else ""
        _ask(client, lambda: client.move(item.job, priority or 0, other), Moved, item.job)


@jobs.command()
def pause() -> None:
    """Begin no more jobs; those that run go on. It stays so until `resume`, also after a restart."""
    with _connected() as client:
        client.pause()
        _print_pong(_pong(client))


@jobs.command()
def resume() -> None:
    """Begin jobs again."""
    with _connected() as client:
        client.resume()
        _print_pong(_pong(client))


@contextmanager
def _connected() -> Iterator[Client]:
    with errors_reported():
        from uvmap_id.generate import BACKEND_COMMAND
        from uvmap_id.link.client import Client
        from uvmap_id.link.launcher import ensure_server

        with Client.connect(ensure_server(BACKEND_COMMAND), "jobs") as client:
            client.wait_until_welcome()
            yield client


def _ask(
    client: Client, send: Callable[[], object], expected: type[Expected] | tuple[type[Expected], ...], subject: str = ""
) -> Expected:
    """Send something and block until its answer comes. Raises `UVMapError` where it is refused."""
    from uvmap_id.link.client import error_of
    from uvmap_id.link.messages import Refused

    send()
    for answer in _answers(client):
        if isinstance(answer, Refused) and answer.job in ("", subject):
            raise error_of(answer.failure)
        if isinstance(answer, expected) and getattr(answer, "job", subject) == subject:
            return answer
    raise UVMapError(ErrorCode.BACKEND_LOST, "The backend does not answer.", "Try again.")


def _answers(client: Client) -> Iterator[Event]:
    deadline = time.monotonic() + _ANSWER_S
    while time.monotonic() < deadline:
        yield from client.poll()
        if client.failure is not None:
            return
        client.pause_until_heard(_ANSWER_S)


def _pong(client: Client) -> Pong:
    from uvmap_id.link.messages import Pong

    return _ask(client, client.ping, Pong)


def _items(client: Client) -> list[JobItem]:
    """All jobs of this user, oldest change first."""
    from uvmap_id.link.messages import Listing

    items: dict[str, JobItem] = {}
    since = 0
    while True:
        listing = _ask(client, lambda since=since: client.list(since), Listing)
        items.update({item.job: item for item in listing.jobs})
        since = listing.seq
        if not listing.more:
            return sorted(items.values(), key=lambda item: (item.created, item.seq))


def _chosen(client: Client, names: list[str], all_jobs: bool, ended: bool) -> list[JobItem]:
    items = _items(client)
    if bool(names) == all_jobs:
        raise UVMapError(ErrorCode.JOB_UNKNOWN, "Name jobs, or give --all.", "See them with: uvmap-id jobs list")
    if not all_jobs:
        return [_found(items, name) for name in names]
    return [item for item in items if _has_ended(item) == ended]


def _has_ended(item: JobItem) -> bool:
    return item.state not in ("queued", "running")


def _found(items: list[JobItem], name: str) -> JobItem:
    found = [item for item in items if item.job.startswith(name.lower())]
    if len(found) == 1 and name:
        return found[0]
    several = f"{len(found)} jobs begin" if found else "No job begins"
    raise UVMapError(ErrorCode.JOB_UNKNOWN, f"{several} with {name!r}.", "See them with: uvmap-id jobs list --all")


def _wait_for_end(client: Client, item: JobItem) -> None:
    try:
        client.wait(item.job, timeout_s=_ANSWER_S)
        typer.echo(f"{item.job[:_SHORT_ID]} was done already.", err=True)
    except UVMapError as error:
        if error.failure.code != ErrorCode.CANCELLED:
            raise
    except TimeoutError:
        raise UVMapError(ErrorCode.BACKEND_LOST, "The job has not ended yet.", "Look again soon.") from None


def _print_table(items: list[JobItem], pong: Pong) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table()
    for title in ("Job", "State", "Age", "Priority", "What"):
        table.add_column(title, overflow="fold")
    for item in items:
        what = f"{item.stage} {item.fraction:.0%}" if item.stage else item.message
        style = _STYLES.get(item.state, "")
        state = f"[{style}]{item.state}[/]" if style else item.state
        table.add_row(item.job[:_SHORT_ID], state, _age(item.created), str(item.priority), escape(what))
    Console().print(table)
    _print_pong(pong)


def _print_pong(pong: Pong) -> None:
    typer.echo(f"{pong.queued} queued, {pong.running} running.", err=True)
    if pong.paused:
        typer.echo(_PAUSED.get(pong.paused, f"The queue is paused ({pong.paused})."), err=True)


def _age(created: float) -> str:
    seconds = max(0, int(time.time() - created))
    if seconds < _MINUTE:
        return f"{seconds} s"
    if seconds < _HOUR:
        return f"{seconds // _MINUTE} min"
    return f"{seconds // _HOUR} h" if seconds < _DAY else f"{seconds // _DAY} d"
