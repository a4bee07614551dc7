"""Build the Blender extension's zip files: one for all platforms, and one for each.

They hold the backend's wheel and the installer that sets it up. `--official` leaves both out, as the official
extensions site wants it.

The packaging itself is Blender's own: its `blender_ext.py` from an installed `bpy` wheel, or the `blender` on PATH.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from build_pages import write_pages
from joined_wheel import WheelError, join

ROOT = Path(__file__).resolve().parent
ADDON = ROOT / "addon"
LINK = ROOT / "backend" / "uvmap_id" / "link"
INSTALLER = Path("setup", "installer")
REQUIREMENTS = ROOT / "requirements"
# The pages that the panels' help buttons open.
PAGES = ROOT / "docs" / "panels"
MANIFEST = "blender_manifest.toml"

# Older ones encrypt seven times slower on Linux: libsodium was built without the processor's vector instructions.
PYZMQ = "27.3.0"
# A Python that a wheel is asked for -> the tags of that wheel. The second one serves all newer Pythons as well.
PYTHONS = {"3.11": "cp311-cp311", "3.13": "cp312-abi3"}
# Blender's name of a platform -> the name in a wheel's tag.
PLATFORMS = {
    "linux-x64": "manylinux_2_28_x86_64",
    "linux-arm64": "manylinux_2_28_aarch64",
    "windows-x64": "win_amd64",
    "macos-arm64": "macosx_10_15_universal2",
    "macos-x64": "macosx_10_15_universal2",
}
_SYSTEMS = {"Linux": "linux", "Windows": "windows", "Darwin": "macos"}
_MACHINES = {"x86_64": "x64", "amd64": "x64", "aarch64": "arm64", "arm64": "arm64"}
# What the extension asks leave for; it asks for less where it installs nothing.
_REASONS = '''files = "Read the face photo, write textures, renders and backend"
network = "Talk to the backend; fetch it and weights when asked"'''
_OFFICIAL_REASONS = '''files = "Read the face photo, write textures and renders"
network = "Talk to the backend, which fetches weights when asked"'''
# 1 January 2020: equal sources give equal zips.
_FILE_TIME = 1_577_836_800


class BuildError(Exception):
    """A sentence about why the extension can't be built."""


@dataclass(frozen=True, slots=True)
class Edition:
    """What is in a zip.

    Attributes:
        official: For the official extensions site: without the installer and the backend.
        wheel: The backend's wheel to put in; None builds it.
    """

    official: bool = False
    wheel: Path | None = None


def build(platforms: list[str], out: Path, packager: list[str], edition: Edition) -> list[Path]:
    """Build the zip for each platform, and the universal one when all platforms are asked for.

    Args:
        platforms: Names from `PLATFORMS`.
        out: The folder to write to.
        packager: The command that understands `build`, from `find_packager`.
        edition: What is in it.

    Returns:
        The zip files.

    Raises:
        BuildError: A wheel can't be had, or Blender's packager refuses.
    """
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="uvmap_id-") as folder:
        staged, packed = Path(folder, "uvmap_id"), Path(folder, "packed")
        _stage(staged, platforms, edition)
        packed.mkdir()
        _package(packager, staged, packed, "--split-platforms")
        if set(platforms) == set(PLATFORMS):
            _package(packager, staged, packed)
        return [Path(shutil.move(path, out / path.name)) for path in sorted(packed.glob("*.zip"))]


def copy_link(target: Path) -> None:
    """Put the backend's link into an add-on's folder, where it is imported as `.link`."""
    shutil.rmtree(target / "link", ignore_errors=True)
    shutil.copytree(LINK, target / "link", ignore=shutil.ignore_patterns("__pycache__"))


def find_packager(blender_ext: Path | None) -> list[str]:
    """The command of Blender's packager: the given file, the `bpy` wheel's, or the `blender` on PATH.

    Raises:
        BuildError: There is none.
    """
    if blender_ext is not None:
        if not blender_ext.is_file():
            raise BuildError(f"There is no file {blender_ext}.")
        return [sys.executable, str(blender_ext)]
    spec = importlib.util.find_spec("bpy")
    for place in (spec.submodule_search_locations or []) if spec is not None else []:
        for found in Path(place).glob("*/scripts/addons_core/bl_pkg/cli/blender_ext.py"):
            return [sys.executable, str(found)]
    blender = shutil.which("blender")
    if blender is not None:
        return [blender, "--background", "--factory-startup", "--command", "extension"]
    raise BuildError(
        "Blender's packager was not found: run this with a Python that has the bpy wheel (pip install bpy), "
        "put blender on PATH, or name the file with --blender-ext."
    )


def current_platform() -> str:
    """Blender's name of the platform that this runs on."""
    machine = platform.machine().lower()
    return f"{_SYSTEMS.get(platform.system(), platform.system())}-{_MACHINES.get(machine, machine)}"


def _stage(staged: Path, platforms: list[str], edition: Edition) -> None:
    shutil.copytree(ADDON, staged, ignore=shutil.ignore_patterns("__pycache__", "link"))
    copy_link(staged)
    if edition.official:
        shutil.rmtree(staged / INSTALLER)
    else:
        _add_backend(staged / INSTALLER, edition.wheel)
    write_pages(PAGES, staged / "docs")
    if not (staged / "assets" / "mannequin.npz").is_file():
        raise BuildError("addon/assets/mannequin.npz is missing.")
    (staged / "wheels").mkdir()
    wheels = [_add_wheel(tag, staged / "wheels") for tag in sorted({PLATFORMS[name] for name in platforms})]
    _complete_manifest(staged / MANIFEST, platforms, [wheel.name for wheel in wheels], edition)
    for path in staged.rglob("*"):
        os.utime(path, (_FILE_TIME, _FILE_TIME))


def _add_backend(installer: Path, wheel: Path | None) -> None:
    """Put the locked requirements and the backend's wheel beside the installer."""
    (installer / "requirements").mkdir()
    for lock in sorted(REQUIREMENTS.glob("setup-*.txt")):
        shutil.copyfile(lock, installer / "requirements" / lock.name)
    if wheel is None:
        command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--disable-pip-version-check"]
        # The wheel is for any Python; what is built with needs not be one that it runs on.
        command += ["--ignore-requires-python", "--wheel-dir", str(installer), str(ROOT)]
        _run(command, "The backend's wheel can't be built")
    elif wheel.is_file():
        shutil.copyfile(wheel, installer / wheel.name)
    else:
        raise BuildError(f"There is no file {wheel}.")


def _add_wheel(tag: str, folder: Path) -> Path:
    """Put the wheel of pyzmq for one platform and all Pythons into a folder; its parts are downloaded once."""
    cache = ROOT / "build" / "wheels"
    found: list[Path] = []
    for python, tags in PYTHONS.items():
        pattern = f"pyzmq-{PYZMQ}-{tags}-*{tag}*.whl"
        if not any(cache.glob(pattern)):
            _download(tag, python, cache)
        found.append(next(cache.glob(pattern)))
    try:
        return join(found[0], found[1], folder)
    except WheelError as error:
        raise BuildError(f"{error} Remove {cache} and try again.") from error


def _download(tag: str, python: str, cache: Path) -> None:
    arguments = ["--no-deps", "--only-binary=:all:", "--implementation", "cp", "--disable-pip-version-check"]
    wanted = ["--platform", tag, "--python-version", python, "--dest", str(cache), f"pyzmq=={PYZMQ}"]
    _run(
        [sys.executable, "-m", "pip", "download", "--quiet", *arguments, *wanted],
        f"The pyzmq wheel for {tag} and Python {python} can't be downloaded",
    )


def _complete_manifest(path: Path, platforms: list[str], wheels: list[str], edition: Edition) -> None:
    text = path.read_text(encoding="utf-8")
    if edition.official:
        text = text.replace(_REASONS, _OFFICIAL_REASONS)
    added = [f'version = "{_version()}"', _toml_list("platforms", platforms)]
    added.append(_toml_list("wheels", [f"./wheels/{name}" for name in wheels]))
    text, count = re.subn(r'^version = ".*"$', "\n".join(added), text, flags=re.MULTILINE)
    if count != 1:
        raise BuildError(f"{MANIFEST} must have exactly one version line.")
    path.write_text(text, encoding="utf-8")


def _version() -> str:
    text = (ROOT / "backend" / "uvmap_id" / "__init__.py").read_text(encoding="utf-8")
    found = re.search(r'^__version__ = "(.+)"$', text, flags=re.MULTILINE)
    if found is None:
        raise BuildError("backend/uvmap_id/__init__.py names no __version__.")
    return found.group(1)


def _toml_list(key: str, items: list[str]) -> str:
    return "\n".join([f"{key} = [", *(f'  "{item}",' for item in items), "]"])


def _package(packager: list[str], staged: Path, out: Path, *options: str) -> None:
    command = [*packager, "build", "--source-dir", str(staged), "--output-dir", str(out), *options]
    _run(command, "Blender's packager refuses the extension")


def _run(command: list[str], complaint: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise BuildError(f"{complaint}:\n{(done.stdout + done.stderr).strip()}")


def _table(zips: list[Path]) -> str:
    width = max(len(path.name) for path in zips)
    return "\n".join(f"{path.name:<{width}}  {path.stat().st_size / 1e6:6.2f} MB" for path in zips)


def _platforms(chosen: str) -> list[str]:
    if chosen == "all":
        return list(PLATFORMS)
    name = current_platform() if chosen == "current" else chosen
    if name not in PLATFORMS:
        raise BuildError(f'There is no extension for the platform "{name}": choose one of {", ".join(PLATFORMS)}.')
    return [name]


def main() -> int:
    """Parse the arguments, build, print the zips' sizes. Returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--platform", default="all", help=f"all, current, or one of {', '.join(PLATFORMS)}")
    parser.add_argument("--blender-ext", type=Path, metavar="FILE", help="Blender's blender_ext.py")
    parser.add_argument("--out", type=Path, default=ROOT / "dist", metavar="DIR", help="default: dist")
    parser.add_argument("--official", action="store_true", help="for the official extensions site: no installer")
    parser.add_argument("--wheel", type=Path, metavar="FILE", help="the backend's wheel; built when not given")
    parser.add_argument("--link-only", action="store_true", help="only copy the link into addon/, for type checkers")
    options = parser.parse_args()
    if options.link_only:
        copy_link(ADDON)
        return 0
    try:
        edition = Edition(options.official, options.wheel)
        zips = build(_platforms(options.platform), options.out, find_packager(options.blender_ext), edition)
    except BuildError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    sys.stdout.write(f"{_table(zips)}\n{options.out.resolve()}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
