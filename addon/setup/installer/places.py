"""Where the backend's environment lies, and whether it can lie there."""

from __future__ import annotations

import hashlib
import json
import os
import re
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

from ...link.errors import ErrorCode, UVMapError

DIR_VARIABLE = "UVMAP_ID_SETUP_DIR"
RECORD = "installed.json"
LOG = "setup.log"

_APP = "uvmap-id"
_ENVIRONMENT = re.compile(r"e[0-9a-f]{8}")
_OURS = ("tools", "python", "downloads", "cache", "tmp")
_OUR_FILES = (RECORD, f"{RECORD}.new", "lock", LOG)
# The longest path inside an environment with torch has 190 characters; Windows allows 259.
_LONGEST_ROOT = 259 - 190 - len("\\e01234567\\")


@dataclass(frozen=True, slots=True)
class Installed:
    """The environment that is in use.

    Attributes:
        environment: Its folder's name.
        variant: What it was made for.
        python: The version of its Python.
        package: The SHA-256 of the wheel that the backend was installed from.
        version: The backend's version.
    """

    environment: str
    variant: str
    python: str
    package: str
    version: str


def default_root() -> Path:
    """The folder of the set-up; `UVMAP_ID_SETUP_DIR` moves it. Short, the user's own, and outside of Blender."""
    chosen = os.environ.get(DIR_VARIABLE)
    if chosen:
        return Path(chosen).absolute()
    if sys.platform == "win32":
        return _windows_root(os.environ)
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / _APP / "backend"
    data = Path(os.environ.get("XDG_DATA_HOME", ""))
    return (data if data.is_absolute() else Path.home() / ".local" / "share") / _APP / "backend"


def _windows_root(variables: os._Environ[str] | dict[str, str]) -> Path:
    local = variables.get("LOCALAPPDATA") or str(Path.home() / "AppData" / "Local")
    root = f"{local}\\{_APP}\\b"
    if _unsuitable_on_windows(root) is None:
        return Path(root)
    # A long or foreign user name: the drive's root is short, and everybody may make folders there.
    user = hashlib.sha256(local.encode()).hexdigest()[:6]
    return Path(f"{variables.get('SystemDrive', 'C:')}\\{_APP}\\{user}")


def check_path(root: Path, platform: str = sys.platform) -> None:
    """Refuse a folder that the packages can't live in.

    Raises:
        UVMapError: `path_unsuitable`.
    """
    reason = None
    if platform == "win32":
        reason = _unsuitable_on_windows(str(root))
    elif ":" in str(root) or "\n" in str(root):
        # An environment can't be made there: its folder would be two on PATH.
        reason = 'it holds a ":" or a line break'
    if reason is not None:
        raise UVMapError(
            ErrorCode.PATH_UNSUITABLE,
            f"The backend can't be set up in {root}: {reason}.",
            "Choose another folder in the preferences, such as C:\\uvmap-id."
            if platform == "win32"
            else "Choose another folder in the preferences.",
        )


def _unsuitable_on_windows(root: str) -> str | None:
    if len(root) > _LONGEST_ROOT:
        return f"with {len(root)} characters it is too long for Windows, which allows {_LONGEST_ROOT} here"
    if not root.isascii():
        return "mediapipe can't read its models from a folder with letters outside of ASCII"
    return None


def environment_python(environment: Path) -> Path:
    """The Python of a virtual environment."""
    return environment / "Scripts" / "python.exe" if os.name == "nt" else environment / "bin" / "python"


def command_of(root: Path) -> list[str] | None:
    """What starts the backend that was set up in a folder; None where there is none."""
    installed = read_installed(root)
    if installed is None:
        return None
    python = environment_python(root / installed.environment)
    # Not the script beside it: its first line may be too long for the system. -I: no other packages than its own.
    return [str(python), "-I", "-m", "uvmap_id"] if python.exists() else None


def read_installed(root: Path) -> Installed | None:
    """What is set up in a folder; None where nothing is, or nothing that can be read."""
    try:
        installed = Installed(**json.loads((root / RECORD).read_bytes()))
    except (OSError, ValueError, TypeError, RecursionError):
        return None
    return installed if _ENVIRONMENT.fullmatch(str(installed.environment)) else None


def write_installed(root: Path, installed: Installed) -> None:
    """Say which environment is in use, all at once. Raises `OSError`."""
    temporary = root / f"{RECORD}.new"
    temporary.write_text(json.dumps(asdict(installed), indent=2), encoding="utf-8")
    temporary.replace(root / RECORD)


def environments(root: Path) -> list[Path]:
    """The environments in a folder, finished or not."""
    return sorted(path for path in root.glob("e*") if _ENVIRONMENT.fullmatch(path.name))


def our_entries(root: Path) -> list[Path]:
    """All that the set-up has made in its folder, and nothing else."""
    named = [root / name for name in (*_OURS, *_OUR_FILES)]
    return [*environments(root), *(path for path in named if path.exists() or path.is_symlink())]
