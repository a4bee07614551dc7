"""Has items made on a Ray cluster, or by Ray on this machine. Ray is imported when it is asked for.

Ray gives an item out again when the process that had it died. The item's own record keeps anything from being made
twice, and its own count of deaths ends that for an item that kills.
"""

from __future__ import annotations

import contextlib
import logging
import os
import secrets
import shutil
import socket
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

import uvmap_id
from uvmap_id.datasets.making import EngineFactory, Maker, Outcome, read_outcome
from uvmap_id.datasets.plan import Item, read_item
from uvmap_id.datasets.worker import limit_threads, thread_limits
from uvmap_id.engines.base import EngineLostError
from uvmap_id.engines.registry import create_engine
from uvmap_id.link.errors import ErrorCode, UVMapError

LOCAL = "local"

# Rows are lines of a few kilobytes: Ray needs next to nothing of the memory that it likes to reserve.
_OBJECT_STORE_BYTES = 128 * 2**20
_MOST_BLOCKS = 1000
_FAREWELL_S = 10.0
_SCRATCH = "uvmap-ray-"
_CONNECT_S = 5.0
_INSTALL = 'Install it on every machine of the cluster: pip install "uvmap-id[cluster]"'
# Whatever the user has set wins.
_QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_DISABLE_IMPORT_WARNING": "1",
    "RAY_DATA_DISABLE_PROGRESS_BARS": "1",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_BACKEND_LOG_LEVEL": "fatal",
}


@dataclass(frozen=True, slots=True)
class ClusterOptions:
    """Which cluster, and what each worker may use.

    Attributes:
        address: Of the cluster, or "local" for one on this machine that ends with the command.
        workers: Processes.
        threads: For the libraries that calculate, in each process.
        gpus: Graphics cards for each process; may be a fraction.
    """

    address: str = LOCAL
    workers: int = 1
    threads: int = 1
    gpus: float = 0.0


class ItemMaker:
    """What Ray runs in each of its processes: one engine, one item after the other."""

    def __init__(self, folder: str, engine_factory: EngineFactory = create_engine) -> None:
        limit_threads()
        self._folder = Path(folder)
        self._maker = Maker(engine_factory)

    def __call__(self, row: Mapping[str, Any]) -> dict[str, str]:
        """A row with an item's line to a row with an outcome's line."""
        try:
            return {"outcome": self._maker.make(read_item(row["item"]), self._folder).line()}
        except EngineLostError:
            logging.getLogger(__name__).exception("the engine is lost; another process goes on")
            # Ray starts another process, which begins anew.
            os._exit(1)


class Cluster:
    """Follows `producing.Workers`. Use it as a context manager: what it started ends with it.

    Attributes:
        scratch: Where Ray keeps what it needs while it runs on this machine alone.
    """

    def __init__(self, folder: Path, options: ClusterOptions, engine_factory: EngineFactory = create_engine) -> None:
        """`folder` is the dataset's; all machines must see it, and the photos, under the same path."""
        self._folder = folder.absolute()
        self._options = options
        self._engine_factory = engine_factory
        self._ray: Any = None
        self.scratch: Path | None = None

    def __enter__(self) -> Cluster:
        local = self._options.address == LOCAL
        _set_unless_set(_QUIET)
        if local:
            # Only this process and its workers know the word; otherwise Ray leaves one in the user's home.
            _set_unless_set({"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)})
            # A busy machine takes longer to start it than the 20 s that Ray waits.
            _set_unless_set({"RAY_NUM_REDIS_GET_RETRIES": "120", "RAY_gcs_server_port_wait_time_s": "120"})
        else:
            _check_reachable(self._options.address)
        ray = self._ray = _imported()
        environment = {**_QUIET, **thread_limits(self._options.threads)}
        common: dict[str, Any] = {
            "log_to_driver": False,
            "logging_level": logging.ERROR,
            "configure_logging": False,
        }
        if local:
            # The paths of Ray's sockets are long, and a socket's path may not be.
            _sweep(_short_folder())
            self.scratch = Path(tempfile.mkdtemp(prefix=f"{_SCRATCH}{os.getpid()}-", dir=_short_folder()))
            environment["PYTHONPATH"] = _python_path()
            common |= {
                "address": LOCAL,
                "num_cpus": self._options.workers,
                "object_store_memory": _OBJECT_STORE_BYTES,
                "include_dashboard": False,
                "_temp_dir": str(self.scratch),
            }
        else:
            common["address"] = self._options.address
        try:
            ray.init(runtime_env={"env_vars": environment}, **common)
        except (ConnectionError, ValueError, RuntimeError, TimeoutError) as error:
            self._leave()
            raise _unreachable(self._options.address, str(error).strip().partition("\n")[0]) from error
        return self

    def __exit__(self, *_: object) -> None:
        self._leave()

    def run(self, items: Iterable[Item]) -> Iterator[Outcome]:
        """The outcomes of items, in the order in which they end."""
        rows = [{"item": item.line()} for item in items]
        if not rows:
            return
        data = self._ray.data
        context = data.DataContext.get_current()
        context.enable_progress_bars = False
        context.print_on_execution_start = False
        workers = min(self._options.workers, len(rows))
        made = data.from_items(rows, override_num_blocks=min(len(rows), _MOST_BLOCKS)).map(
            ItemMaker,
            fn_constructor_args=(str(self._folder), self._engine_factory),
            compute=data.ActorPoolStrategy(size=workers),
            num_cpus=1,
            num_gpus=self._options.gpus or None,
        )
        for row in made.iter_rows():
            yield read_outcome(row["outcome"])

    def _leave(self) -> None:
        started = _processes_below(self.scratch)
        self._ray.shutdown()
        # Ray tells its processes to end, and does not wait for it.
        _, left = psutil.wait_procs(started, timeout=_FAREWELL_S)
        for process in left:
            with contextlib.suppress(psutil.Error):
                process.kill()
        psutil.wait_procs(left, timeout=_FAREWELL_S)
        if self.scratch is not None:
            shutil.rmtree(self.scratch, ignore_errors=True)


def _processes_below(scratch: Path | None) -> list[psutil.Process]:
    """What Ray has started for this process; nothing where the cluster is somebody else's."""
    if scratch is None:
        return []
    below = psutil.Process().children(recursive=True)
    # The workers' command lines say little; they are children of the one that names the folder.
    roots = [process for process in below if _names(process, scratch)]
    return list({process.pid: process for root in roots for process in [root, *_children(root)]}.values())


def _names(process: psutil.Process, folder: Path) -> bool:
    with contextlib.suppress(psutil.Error):
        return any(str(folder) in part for part in process.cmdline())
    return False


def _children(process: psutil.Process) -> list[psutil.Process]:
    with contextlib.suppress(psutil.Error):
        return process.children(recursive=True)
    return []


def _check_reachable(address: str) -> None:
    """Raise `UVMapError` where nobody listens: Ray would wait for long, and then end this process without a word."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not host or not port.isdigit():
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), _CONNECT_S).close()
    except OSError as error:
        raise _unreachable(address, error.strerror or str(error)) from error


def _unreachable(address: str, reason: str) -> UVMapError:
    return UVMapError(
        ErrorCode.BACKEND_NOT_FOUND,
        f"The Ray cluster {address} can't be reached: {reason.rstrip('.')}.",
        "Start one with: ray start --head. Or name another: --ray HOST:6379",
    )


def _set_unless_set(values: Mapping[str, str]) -> None:
    if "RAY_AUTH_MODE" in values and "RAY_AUTH_MODE" in os.environ:
        return
    for name, value in values.items():
        os.environ.setdefault(name, value)


def _imported() -> Any:
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise UVMapError(
            ErrorCode.PACKAGE_MISSING, f"A cluster needs the package {error.name or 'ray'}.", _INSTALL
        ) from error
    logging.getLogger("ray").setLevel(logging.ERROR)
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    return ray


def _short_folder() -> Path:
    """Where a folder of this user's alone can be made, with as short a path as there is."""
    short = Path("/tmp")  # noqa: S108
    return short if short.is_dir() else Path(tempfile.gettempdir())


def _sweep(place: Path) -> None:
    """Remove what was left by commands that were killed."""
    for left in place.glob(f"{_SCRATCH}*-*"):
        maker = left.name.removeprefix(_SCRATCH).partition("-")[0]
        if maker.isdigit() and not psutil.pid_exists(int(maker)):
            shutil.rmtree(left, ignore_errors=True)


def _python_path() -> str:
    """So that the workers find the package that this process uses, installed or not."""
    root = str(Path(uvmap_id.__file__).parents[1])
    return os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH", ""))))
