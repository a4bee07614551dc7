"""One text about everything that matters for a report of a fault, with nothing in it about the person."""

from __future__ import annotations

import getpass
import os
import platform
import re
import socket
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ..link.errors import Failure

_TAIL_BYTES = 64 * 1024
_ERRORS_SHOWN = 12
_SHORTEST_SECRET, _SHORTEST_NAME = 3, 2
# What our own sentences quote is what the user has named or typed.
_QUOTED = re.compile(r'"[^"]*"|“[^”]*”')
# Folders may have blanks in their names; rather a word too many is hidden than half a name shown.
_POSIX_PATH = re.compile(r"(?<![\w.<])/(?:[^/,;:'\"()\r\n]*/)*[^\s,;:'\"()/]*")
_WINDOWS_PATH = re.compile(r"(?:[A-Za-z]:[\\/]|\\\\)[^,;'\"()\r\n]*")
_FILE_NAME = re.compile(r"[\w ./\\-]*\.(?:png|jpe?g|webp|npy|blend|obj|fbx|glb|gltf|pkl|bmp|tiff?)\b", re.I)
_ADDRESS = re.compile(r"\b(?:\d{1,3}\.){3}\d{1,3}\b|[\w.+-]+@[\w-]+\.[\w.]+|\bhttps?://[^\s,;'\"()]+")
# Versions may look like addresses: "- opencv-python-headless: ok, 5.0.0.93".
_VERSION = re.compile(r"(?<=: ok, )\d+(?:\.\d+){3}(?=$|,)")
_LOOPBACK = "127.0.0.1"
# Stands for the dots of a version meanwhile.
_DOT = "\0"
_TROUBLE = re.compile(r"\b(?:error|exception|critical|warning|traceback)\b", re.I)


def describe(
    versions: Mapping[str, str],
    checks: Iterable[Mapping[str, Any]] | None,
    failures: Iterable[Failure],
    logs: Iterable[Path],
    secrets: Iterable[str],
) -> str:
    """The text.

    Args:
        versions: What there is, and of which version.
        checks: From `uvmap-id doctor --json`; None where that did not run.
        failures: The newest ones of this session.
        logs: Files whose last errors are added.
        secrets: Prompts, names of photos and the like, which must not be in it.

    Returns:
        Lines of plain text.
    """
    lines = ["UVMap-ID diagnosis", *(f"{name}: {value}" for name, value in versions.items())]
    lines += ["", "Parts:"]
    if checks is None:
        lines.append("- the backend's own check did not run")
    else:
        lines += [f"- {each.get('name')}: {each.get('state')}, {each.get('detail')}" for each in checks]
    told = [f"- {failure}" for failure in failures]
    lines += ["", "Last errors:", *(told or ["- none in this session"])]
    for log in logs:
        lines += [f"- {log.name}: {line}" for line in _last_errors(log)]
    hidden = list(secrets)
    return "\n".join(anonymous(line, hidden) for line in lines) + "\n"


def system_versions() -> dict[str, str]:
    """The system, without this computer's name."""
    return {
        "System": f"{platform.system()} {platform.release()} {platform.machine()}",
        "Python": platform.python_version(),
    }


def anonymous(text: str, secrets: Iterable[str] = ()) -> str:
    """A text without paths, names of files and people, addresses, and what was typed.

    Args:
        text: One line.
        secrets: Whatever else must not stand in it.
    """
    for secret in sorted({each.strip() for each in secrets}, key=len, reverse=True):
        if len(secret) >= _SHORTEST_SECRET:
            text = re.sub(re.escape(secret), "<hidden>", text, flags=re.I)
    text = _QUOTED.sub('"..."', text)
    text = _VERSION.sub(lambda found: found.group().replace(".", _DOT), text)
    text = _ADDRESS.sub(lambda found: found.group() if found.group() == _LOOPBACK else "<address>", text)
    text = _WINDOWS_PATH.sub("<path>", text)
    text = _POSIX_PATH.sub("<path>", text)
    text = _FILE_NAME.sub("<file>", text).replace(_DOT, ".")
    for name in _names():
        text = re.sub(rf"(?<!\w){re.escape(name)}(?!\w)", "<name>", text, flags=re.I)
    return text


def _names() -> list[str]:
    """What this user and this computer are called."""
    found = {Path.home().name, socket.gethostname(), socket.gethostname().partition(".")[0]}
    try:
        found.add(getpass.getuser())
    except (OSError, KeyError, ImportError):
        # There is nobody of that number in the system's list.
        found.update(os.environ.get(name, "") for name in ("USER", "USERNAME"))
    return sorted((name for name in found if len(name) >= _SHORTEST_NAME), key=len, reverse=True)


def _last_errors(log: Path) -> list[str]:
    """The last lines of a log that speak of trouble."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - _TAIL_BYTES))
            lines = file.read().decode("utf-8", errors="replace").splitlines()
    except OSError:
        return []
    return [line.strip()[:400] for line in lines if _TROUBLE.search(line)][-_ERRORS_SHOWN:]
