"""A real Blender with windows, with the built zip installed in a clean profile, and a real backend that it starts.

`nox -s window` runs these. Environment:
    UVMAP_ID_BLENDER_ROOT: the folder of a Debian with Blender.
    UVMAP_ID_ADDON_ZIP: the extension.
    UVMAP_ID_BACKEND: the program `uvmap-id` in the backend's environment.
    UVMAP_ID_WINDOW_OUT: where the pictures go.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from debian import Debian
from desk import Desk, Orders
from screen import SIZE, Screen
from user import User

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
_START_S, _STOP_S = 120.0, 20.0


@pytest.fixture(scope="session")
def debian() -> Debian:
    if os.getpid() != 1:
        pytest.exit("These tests mount folders and start programs: run them with nox -s window.", 2)
    return Debian(Path(os.environ["UVMAP_ID_BLENDER_ROOT"]))


@pytest.fixture
def folder() -> Iterator[Path]:
    """Of both sides, under the same path."""
    # Blender shows the path; pytest's own is long.
    with tempfile.TemporaryDirectory(prefix="studio-", ignore_cleanup_errors=True) as made:
        yield Path(made)


@pytest.fixture
def desk(debian: Debian, folder: Path, request: pytest.FixtureRequest) -> Iterator[Desk]:
    """The mark `desk(size=..., scale=...)` gives the window another size in pixels, and Blender another scale."""
    mark = request.node.get_closest_marker("desk")
    wanted = mark.kwargs if mark is not None else {}
    size, scale = wanted.get("size", SIZE), wanted.get("scale", 1.0)
    debian.share(folder)
    program = Path(os.environ["UVMAP_ID_BACKEND"])
    environment = {
        "BLENDER_USER_RESOURCES": str(folder / "profile"),
        "UVMAP_ID_STATE_DIR": str(folder / "state"),
        "UVMAP_ID_BACKEND": debian.add_program("uvmap-id", program),
        "UVMAP_ID_WINDOW_REPORT": str(folder / "report.json"),
        "UVMAP_ID_WINDOW_ORDERS": str(folder / "orders.json"),
        "UVMAP_ID_WINDOW_SCALE": str(scale),
    }
    portrait = folder / "portrait.png"
    subprocess.run([sys.executable, str(ROOT / "examples" / "portrait.py"), str(portrait)], check=True)
    for script in ("inside.py", "hand.py"):
        shutil.copy(HERE / script, folder)
    shutil.copy(os.environ["UVMAP_ID_ADDON_ZIP"], folder / "extension.zip")
    pictures = Path(os.environ["UVMAP_ID_WINDOW_OUT"]) / request.node.name.removeprefix("test_")
    shutil.rmtree(pictures, ignore_errors=True)
    pictures.mkdir(parents=True)
    install(debian, folder, environment)
    with Screen(size) as screen, (folder / "blender.log").open("wb") as log:
        geometry = ["--window-geometry", "0", "0", *map(str, size)]
        scripts = ["--python", str(folder / "hand.py"), "--python", str(folder / "inside.py")]
        command = ["blender", *geometry, *scripts]
        blender = debian.start(command, log, {**environment, "DISPLAY": screen.name})
        user = User(screen, folder / "report.json", lambda: blender.poll() is None, scale)
        try:
            user.wait("Blender is open", lambda seen: seen["count"] > 2, _START_S)
            yield Desk(user, screen, Orders(folder / "orders.json"), folder, pictures)
        finally:
            screen.save(pictures / "last.png")
            blender.terminate()
            blender.wait(_STOP_S)
            shutil.copy(folder / "blender.log", pictures)
            subprocess.run([str(program), "stop"], env={**os.environ, **environment}, check=False, capture_output=True)


@pytest.fixture(scope="session")
def installer() -> Callable[[Debian, Path, dict[str, str]], None]:
    """Installs the extension, for tests that need no window."""
    return install


def install(debian: Debian, folder: Path, environment: dict[str, str]) -> None:
    """Install the extension in the profile, by Blender's own command."""
    command = ["blender", "--command", "extension", "install-file", "--repo", "user_default", "--enable"]
    with (folder / "install.log").open("wb") as log:
        code = debian.start([*command, str(folder / "extension.zip")], log, environment).wait(_START_S)
    assert code == 0, (folder / "install.log").read_text(encoding="utf-8")
