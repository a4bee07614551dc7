"""What is installed, what is missing, and the fix for each."""

from __future__ import annotations

import platform
import secrets
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from enum import StrEnum
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from uvmap_id.link.connection import make_state_dir, read_connection, state_dir
from uvmap_id.link.errors import ErrorCode, UVMapError
from uvmap_id.weights.catalogue import Purpose
from uvmap_id.weights.store import DIR_VARIABLE, WeightsStore, weights_dir

if TYPE_CHECKING:
    from uvmap_id.link.client import Client
    from uvmap_id.link.messages import Pong

_REINSTALL = "pip install --force-reinstall uvmap-id"
_DIFFUSION = 'pip install "uvmap-id[diffusion]"'
_REQUIRED = ("numpy", "opencv-python-headless", "pillow", "scikit-image", "scipy", "pyzmq", "filelock")
_OPTIONAL = ("diffusers", "transformers", "safetensors", "insightface")
_RUNTIMES = ("onnxruntime", "onnxruntime-gpu")
_FREE_GIB_WANTED = 1.0
_FREE_GIB_FOR_WEIGHTS = 8.0
_PROBE_TIMEOUT_S = 120.0
_PONG_S = 2.0
_FACE_PROBE = "from uvmap_id.faces.landmarks import FaceFinder; FaceFinder().close()"
_TORCH_PROBE = """
import torch
if torch.cuda.is_available():
    print(torch.cuda.get_device_name(0))
elif torch.backends.mps.is_available():
    print("Apple GPU")
else:
    print("no GPU, it will be slow")
"""


class CheckState(StrEnum):
    """How a check ended. Only `MISSING` keeps the projection engine from running."""

    OK = "ok"
    OPTIONAL = "optional"
    MISSING = "missing"


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at: how it is, and what to do about it if anything."""

    name: str
    state: CheckState
    detail: str
    fix: str = ""


def examine() -> list[Check]:
    """Look at everything; takes some seconds, because it loads what it can't judge from outside."""
    return [
        _python(),
        *(_package(name, CheckState.MISSING, _REINSTALL) for name in _REQUIRED),
        _face_model(),
        *(_package(name, CheckState.OPTIONAL, _DIFFUSION) for name in _OPTIONAL),
        _onnxruntime(),
        _torch(),
        _weights(),
        _weights_folder(),
        _state_folder(),
        *_backend(),
        _damaged_lists(),
        _authorised_keys(),
    ]


def can_run(checks: list[Check]) -> bool:
    """True where the projection engine has all that it needs."""
    return all(check.state is not CheckState.MISSING for check in checks)


def _python() -> Check:
    return Check("python", CheckState.OK, f"{platform.python_version()}, {sys.executable}")


def _package(name: str, otherwise: CheckState, fix: str) -> Check:
    version = _version(name)
    if version is None:
        return Check(name, otherwise, "not installed", fix)
    return Check(name, CheckState.OK, version)


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _onnxruntime() -> Check:
    found = [f"{name} {version}" for name in _RUNTIMES if (version := _version(name))]
    if not found:
        return Check("onnxruntime", CheckState.OPTIONAL, "not installed", _DIFFUSION)
    if len(found) > 1:
        # Both unpack into one folder, so that each lacks what the other overwrote.
        fix = "pip uninstall -y onnxruntime onnxruntime-gpu, then install the one that you want again"
        return Check("onnxruntime", CheckState.OPTIONAL, f"{' and '.join(found)} overwrite each other", fix)
    return Check("onnxruntime", CheckState.OK, found[0])


def _weights() -> Check:
    store = WeightsStore()
    installed = [weights.id for weights in store.installed()]
    if store.default(Purpose.TEXTURE) is None:
        detail = f"none for textures; installed: {', '.join(installed) or 'none'}"
        fix = 'uvmap-id weights list. Not needed: the engine "projection" works without.'
        return Check("weights", CheckState.OPTIONAL, detail, fix)
    return Check("weights", CheckState.OK, ", ".join(installed))


def _weights_folder() -> Check:
    folder = weights_dir()
    there = next((each for each in (folder, *folder.parents) if each.exists()), folder)
    try:
        free = shutil.disk_usage(there).free / 2**30
    except OSError as error:
        fix = f"Set {DIR_VARIABLE} to a folder that you may write to."
        return Check("weights folder", CheckState.OPTIONAL, f"{folder}: {error.strerror or error}", fix)
    if free < _FREE_GIB_FOR_WEIGHTS:
        fix = f"Weights need up to {_FREE_GIB_FOR_WEIGHTS:.0f} GiB. Set {DIR_VARIABLE} to a folder on another disk."
        return Check("weights folder", CheckState.OPTIONAL, f"{folder}, only {free:.1f} GiB free", fix)
    return Check("weights folder", CheckState.OK, f"{folder}, {free:.0f} GiB free")


def _face_model() -> Check:
    worked, said = _try_in_process(_FACE_PROBE)
    if worked:
        return Check("mediapipe and face model", CheckState.OK, _version("mediapipe") or "installed")
    return Check("mediapipe and face model", CheckState.MISSING, said, "pip install uvmap-id, on Python 3.11 or 3.12")


def _torch() -> Check:
    version = _version("torch")
    if version is None:
        return Check("torch", CheckState.OPTIONAL, "not installed", _DIFFUSION)
    worked, said = _try_in_process(_TORCH_PROBE)
    if worked:
        return Check("torch", CheckState.OK, f"{version}, {said}")
    return Check("torch", CheckState.OPTIONAL, f"{version}, can't be loaded: {said}", _DIFFUSION)


def _try_in_process(program: str) -> tuple[bool, str]:
    """Whether a program runs, and the last line that it wrote. In a process of its own: libraries crash and chatter."""
    try:
        ended = subprocess.run(
            [sys.executable, "-P", "-c", program], capture_output=True, text=True, timeout=_PROBE_TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired:
        return False, f"no end within {_PROBE_TIMEOUT_S:.0f} s"
    lines = (ended.stdout if ended.returncode == 0 else ended.stderr).strip().splitlines()
    return ended.returncode == 0, lines[-1].removeprefix("uvmap_id.link.messages.UVMapError: ") if lines else ""


def _state_folder() -> Check:
    folder = state_dir()
    try:
        make_state_dir(folder)
        _write_something(folder)
        free = shutil.disk_usage(folder).free / 2**30
    except OSError as error:
        return Check(
            "state folder",
            CheckState.MISSING,
            f"{folder} can't be written: {error.strerror or error}",
            "Set UVMAP_ID_STATE_DIR to a folder that you may write to.",
        )
    if free < _FREE_GIB_WANTED:
        return Check("state folder", CheckState.OPTIONAL, f"{folder}, only {free:.1f} GiB free", "Free some space.")
    return Check("state folder", CheckState.OK, f"{folder}, {free:.0f} GiB free")


def _write_something(folder: Path) -> None:
    probe = folder / f".probe-{secrets.token_hex(4)}"
    probe.write_bytes(b"probe")
    probe.unlink()


def _backend() -> list[Check]:
    """Whether a backend runs, and how its queue is."""
    try:
        connection = read_connection()
    except UVMapError as error:
        detail = error.failure.message
        return [Check("backend", CheckState.OPTIONAL, detail, "It starts by itself when it is needed.")]
    try:
        # Imported here, because pyzmq may be what is missing.
        from uvmap_id.link.client import Client

        with Client.connect(connection, "doctor") as client:
            welcome = client.wait_until_welcome()
            pong = _asked(client)
    except UVMapError as error:
        return [Check("backend", CheckState.OPTIONAL, error.failure.message, "uvmap-id stop")]
    running = Check("backend", CheckState.OK, f"running, process {connection.pid}, version {welcome.version}")
    return [running, *([] if pong is None else [_queue(pong)])]


def _asked(client: Client) -> Pong | None:
    """How the queue is; None where the backend does not say."""
    from uvmap_id.link.messages import Pong

    client.ping()
    deadline = time.monotonic() + _PONG_S
    while time.monotonic() < deadline and client.failure is None:
        for event in client.poll():
            if isinstance(event, Pong):
                return event
        client.pause_until_heard(_PONG_S)
    return None


def _queue(pong: Pong) -> Check:
    detail = f"{pong.queued} queued, {pong.running} running"
    if not pong.paused:
        return Check("queue", CheckState.OK, detail)
    fix = "Free some space on the disk." if pong.paused == ErrorCode.DISK_FULL else "uvmap-id jobs resume"
    return Check("queue", CheckState.OPTIONAL, f"{detail}, paused: {pong.paused}", fix)


def _damaged_lists() -> Check:
    from uvmap_id.server.main import DATABASE_NAME
    from uvmap_id.server.schema import set_aside_files

    files = set_aside_files(state_dir() / DATABASE_NAME)
    if not files:
        return Check("list of jobs", CheckState.OK, "never damaged")
    return Check(
        "list of jobs", CheckState.OPTIONAL, f"was damaged and set aside: {files[-1]}", "uvmap-id jobs purge --all"
    )


def _authorised_keys() -> Check:
    from uvmap_id.link.keys import AuthorizedKeys

    try:
        names = list(AuthorizedKeys(state_dir()).read().values())
    except UVMapError as error:
        return Check("authorised keys", CheckState.OPTIONAL, error.failure.message, error.failure.hint)
    detail = f"{len(names)}: {', '.join(names)}" if names else "none, so only this computer's user gets in"
    return Check("authorised keys", CheckState.OK, detail)
