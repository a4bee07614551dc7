"""Development in one line each: `nox -s demo`, `nox -s tests`, `nox -s window`, `nox -s lint`.

Environments live in `.nox/` and are made from the locked files in `requirements/`; they are made anew when
those change. Blender and the backend have an environment each, as in real life.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import nox

nox.options.sessions = ["lint", "tests"]
nox.options.error_on_missing_interpreters = True

ROOT = Path(__file__).parent
REQUIREMENTS = ROOT / "requirements"
BACKEND_PYTHONS = ("3.11", "3.12")
# Blender's versions that the tests run on, with the Python that their bpy wheel is for.
BLENDER_PYTHONS = {"4.2": "3.11", "4.5": "3.11", "5.0": "3.11", "5.2": "3.13"}
DEMO_BLENDER = {"3.11": "5.0", "3.13": "5.2"}
DEMO_PROMPT = "wearing white shirt, blue jeans"
BLENDER_LIBRARIES = (
    "libx11-6 libxrender1 libxfixes3 libxi6 libxkbcommon0 libsm6 libice6 libgl1 libegl1 libxxf86vm1 libgomp1"
)
# The Blender with windows: a Debian of its own, which is kept beside the checkouts' other caches.
DEBIAN, DEBIAN_TOOL = "trixie", "tools/blender_chroot.sh"
# Mounts and processes of its own: the kernel takes them back when the first process ends, however it ends.
ISOLATED = ("unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc")
# Resolved under the lock instead of taken from it: torch's CPU and CUDA builds want different packages.
WITH_TORCH = ("tests", "lint", "bake")
LOCKS = {
    "backend": ("pyproject.toml", "requirements/backend.in"),
    "tests": ("pyproject.toml", "requirements/tests.in"),
    "lint": ("pyproject.toml", "requirements/lint.in"),
    "bake": ("pyproject.toml", "requirements/bake.in"),
    **{f"blender-{version}": (f"requirements/blender-{version}.in",) for version in BLENDER_PYTHONS},
}
# What the set-up in Blender installs, with hashes; torch comes from an index of its own for most kinds of GPU.
SETUP_LOCKS = {
    "setup-basic": ("pyproject.toml", "requirements/setup-basic.in"),
    "setup-diffusion": (
        *("pyproject.toml", "requirements/setup-diffusion.in"),
        *("--excludes", "requirements/setup-diffusion.excludes"),
    ),
    "setup-torch": ("requirements/setup-torch.in", "--constraint", "requirements/setup-diffusion.txt"),
    "setup-tools": ("requirements/setup-tools.in",),
}


@nox.session(python=False)
def demo(session: nox.Session) -> None:
    """A photo and a sentence become a textured body, rendered by a real Blender: see out/demo."""
    backend = backend_environment(session, "backend")
    blender = blender_command(session)
    out = ROOT / "out" / "demo"
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    portrait = out / "portrait.png"
    session.run(program(backend, "python"), "examples/portrait.py", str(portrait), external=True)
    session.run(builder(blender), "build_addon.py", "--platform", "current", "--out", "dist", external=True)
    zips = sorted((ROOT / "dist").glob("uvmap_id-*.zip"), key=lambda path: path.stat().st_mtime)
    with tempfile.TemporaryDirectory(prefix="uvmap-id-demo-") as folder:
        environment = {
            "UVMAP_ID_BACKEND": program(backend, "uvmap-id"),
            "UVMAP_ID_STATE_DIR": str(Path(folder, "state")),
            "BLENDER_USER_RESOURCES": str(Path(folder, "profile")),
        }
        try:
            session.run(
                *(*blender, "examples/demo_in_blender.py", *(("--",) if len(blender) > 1 else ())),
                *("--zip", str(zips[-1]), "--face", str(portrait), "--prompt", DEMO_PROMPT, "--out", str(out)),
                env=environment,
                external=True,
            )
        finally:
            session.run(program(backend, "uvmap-id"), "stop", env=environment, external=True, silent=True)
    for path in sorted(out.iterdir()):
        session.log(str(path.relative_to(ROOT)))


@nox.session(python=False)
def tests(session: nox.Session) -> None:
    """tests/ in the backend's environment, then blender_tests/ in every Blender whose Python is at hand."""
    backend = run_backend_tests(session)
    for version in BLENDER_PYTHONS:
        run_blender_tests(session, version, backend)


@nox.session(python=False)
def backend_tests(session: nox.Session) -> None:
    """Only tests/: arguments after `--` go to pytest."""
    run_backend_tests(session)


@nox.session(python=False)
@nox.parametrize("version", list(BLENDER_PYTHONS))
def blender_tests(session: nox.Session, version: str) -> None:
    """Only blender_tests/ in one Blender, e.g. `nox -s "blender_tests(version='5.0')"`."""
    run_blender_tests(session, version, backend_environment(session, "tests"))


@nox.session(python=False)
def window(session: nox.Session) -> None:
    """blender_tests/window/: mouse and keyboard in a real Blender's window; pictures of each step in out/gui."""
    tool = shared() / DEBIAN_TOOL
    reason = why_no_window(tool)
    if reason and os.environ.get("UVMAP_ID_REQUIRE_SHARED") == "1" and is_root():
        session.error(reason)
    if reason:
        session.skip(reason)
    debian = cache() / f"blender-{DEBIAN}"
    debian.parent.mkdir(parents=True, exist_ok=True)
    # Two at a time would both make it.
    session.run("flock", f"{debian}.lock", *ISOLATED, "bash", str(tool), DEBIAN, str(debian), external=True)
    backend = backend_environment(session, "tests")
    packager = next((debian / "usr" / "share" / "blender").glob("**/bl_pkg/cli/blender_ext.py"))
    with tempfile.TemporaryDirectory(prefix="uvmap-id-window-") as folder:
        session.run(
            *(program(backend, "python"), "build_addon.py", "--platform", "current", "--out", folder),
            *("--blender-ext", str(packager)),
            external=True,
        )
        session.run(
            *(*ISOLATED, program(backend, "python"), "-m", "pytest", "blender_tests/window"),
            *("-c", "blender_tests/window/pytest.ini", *session.posargs),
            env={
                "UVMAP_ID_BLENDER_ROOT": str(debian),
                "UVMAP_ID_ADDON_ZIP": str(next(Path(folder).glob("*.zip"))),
                "UVMAP_ID_BACKEND": program(backend, "uvmap-id"),
                "UVMAP_ID_WINDOW_OUT": str(ROOT / "out" / "gui"),
            },
            external=True,
        )


@nox.session(python=False)
def pictures(session: nox.Session) -> None:
    """Copy the pictures that the documentation shows from out/gui to docs/images."""
    backend = backend_environment(session, "tests")
    session.run(program(backend, "python"), "blender_tests/window/docs_pictures.py", external=True)


@nox.session(python=False)
def lint(session: nox.Session) -> None:
    """ruff's rules and format, and pyright's types."""
    folder = environment(session, "lint", python_for(session, BACKEND_PYTHONS), "lint")
    session.run(program(folder, "ruff"), "check", ".", external=True)
    session.run(program(folder, "ruff"), "format", "--check", ".", external=True)
    # The add-on's link is a copy that its build makes; its types are checked against that copy.
    session.run(program(folder, "python"), "build_addon.py", "--link-only", external=True)
    session.run(program(folder, "pyright"), "--pythonpath", program(folder, "python"), external=True, env={"CI": "1"})


@nox.session(python=False)
def faults(session: nox.Session) -> None:
    """Every fault in full, about half an hour; writes the table of docs/reliability.md."""
    backend = backend_environment(session, "tests")
    session.run(program(backend, "python"), "benchmarks/reliability.py", *session.posargs, external=True)


@nox.session(python=False)
def soak(session: nox.Session) -> None:
    """An hour of random faults over random jobs; `UVMAP_ID_SOAK_S` and `UVMAP_ID_SOAK_SEED` change time and dice."""
    backend = backend_environment(session, "tests")
    session.run(
        *(program(backend, "python"), "-m", "pytest", "-s", "tests/faults/test_fault_soak.py", *session.posargs),
        env={"UVMAP_ID_SOAK_S": os.environ.get("UVMAP_ID_SOAK_S", "3600")},
        external=True,
    )


@nox.session(python=False)
def lock(session: nox.Session) -> None:
    """Write requirements/*.txt anew; needs uv."""
    for name, sources in LOCKS.items():
        python = BLENDER_PYTHONS.get(name.removeprefix("blender-"), BACKEND_PYTHONS[0])
        session.run(
            *("uv", "pip", "compile", "--universal", "--python-version", python, "--no-header", "--quiet"),
            *(*sources, "--output-file", f"requirements/{name}.txt"),
            external=True,
        )
    for name, arguments in SETUP_LOCKS.items():
        session.run(
            *("uv", "pip", "compile", "--universal", "--python-version", BACKEND_PYTHONS[0], "--no-header"),
            *("--quiet", "--no-annotate", "--generate-hashes"),
            *(*arguments, "--output-file", f"requirements/{name}.txt"),
            external=True,
        )


@nox.session(python=False)
def bake(session: nox.Session) -> None:
    """Bake the mannequin and the atlas again: `nox -s bake -- --template smpl_uv.obj --texture A.png ...`."""
    folder = environment(session, "bake", python_for(session, ("3.11",)), "bake")
    session.run(
        *(program(folder, "python"), "-m", "uvmap_id", "bodies", "bake", *session.posargs),
        env={"PYTHONPATH": str(ROOT / "backend")},
        external=True,
    )


def run_backend_tests(session: nox.Session) -> Path:
    """tests/ on the installed backend; returns its environment."""
    backend = backend_environment(session, "tests")
    session.run(program(backend, "python"), "-m", "pytest", *session.posargs, external=True)
    return backend


def run_blender_tests(session: nox.Session, version: str, backend: Path) -> None:
    """blender_tests/ on the built zip, in one version of Blender."""
    python = find_python(BLENDER_PYTHONS[version])
    if python is None:
        session.warn(f"Blender {version} is not tested: there is no Python {BLENDER_PYTHONS[version]} here.")
        return
    folder = environment(session, f"blender-{version}", python, f"blender-{version}")
    session.run(
        *(program(folder, "python"), "-m", "pytest", "blender_tests", "-c", "blender_tests/pytest.ini"),
        *session.posargs,
        env={"UVMAP_ID_BACKEND": program(backend, "uvmap-id")},
        external=True,
    )


def why_no_window(tool: Path) -> str:
    """Why Blender's windows can't be tested here; empty where they can."""
    if sys.platform != "linux":
        return "The window test needs Linux."
    if not is_root():
        return "The window test makes a Debian with Blender in a folder, which only root can do."
    if not tool.is_file():
        return f"The window test needs {tool}, which makes a Debian with Blender."
    if subprocess.run([*ISOLATED, "true"], capture_output=True).returncode:
        return "The window test needs mounts and processes of its own, which this machine does not allow (unshare)."
    return ""


def is_root() -> bool:
    """True for root, where there is such a user."""
    return hasattr(os, "geteuid") and os.geteuid() == 0


def shared() -> Path:
    """The folder of what several checkouts use."""
    return Path(os.environ.get("UVMAP_ID_SHARED", ROOT.parent / "shared"))


def cache() -> Path:
    """The user's folder for what can be made again."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "uvmap-id"


def backend_environment(session: nox.Session, lock: str) -> Path:
    """The backend, installed as users install it, from locked requirements."""
    folder = environment(session, lock, python_for(session, BACKEND_PYTHONS), lock)
    session.run(
        *(program(folder, "python"), "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation"),
        *("--force-reinstall", "."),
        external=True,
    )
    return folder


def blender_command(session: nox.Session) -> list[str]:
    """What runs a script in Blender: a Python with the bpy wheel, else the `blender` on PATH."""
    current = ".".join(map(str, sys.version_info[:2]))
    for version in dict.fromkeys((current, *DEMO_BLENDER)):
        python = find_python(version)
        if version in DEMO_BLENDER and python is not None:
            name = f"blender-{DEMO_BLENDER[version]}"
            folder = environment(session, name, python, name)
            check_bpy(session, folder)
            return [program(folder, "python")]
    blender = shutil.which("blender")
    if blender is None:
        session.error("There is no Blender: install Python 3.11 or 3.13, for which bpy is on PyPI, or Blender itself.")
    return [str(blender), "--background", "--factory-startup", "--python-exit-code", "1", "--python"]


def builder(blender: list[str]) -> str:
    """The Python that runs `build_addon.py`; the bpy wheel brings Blender's packager along."""
    return blender[0] if len(blender) == 1 else sys.executable


def check_bpy(session: nox.Session, folder: Path) -> None:
    """End with one sentence where the bpy wheel lacks libraries of the system."""
    found = subprocess.run([program(folder, "python"), "-c", "import bpy"], capture_output=True, text=True)
    if found.returncode and ".so" in found.stderr:
        session.error(f"Blender needs libraries of the system: sudo apt-get install {BLENDER_LIBRARIES}")


def environment(session: nox.Session, name: str, python: str, lock: str) -> Path:
    """A virtual environment with locked requirements in .nox/; kept until the lock or the Python changes."""
    folder = ROOT / ".nox" / f"env-{name}"
    requirements = REQUIREMENTS / f"{lock}.txt"
    exact = ("--no-deps", "--requirement", str(requirements))
    # The package comes along for its own dependencies.
    loose = (".", "--requirement", str(requirements.with_suffix(".in")), "--constraint", str(requirements))
    wanted = hashlib.sha256(requirements.read_bytes() + python.encode()).hexdigest()
    stamp = folder / "requirements.sha256"
    if not stamp.exists() or stamp.read_text() != wanted:
        shutil.rmtree(folder, ignore_errors=True)
        session.run(sys.executable, "-m", "virtualenv", "--quiet", "--python", python, str(folder), external=True)
        session.run(
            *(program(folder, "python"), "-m", "pip", "install", *(loose if lock in WITH_TORCH else exact)),
            external=True,
        )
        stamp.write_text(wanted)
    return folder


def program(folder: Path, name: str) -> str:
    """The path of a program in an environment."""
    return str(folder / "Scripts" / f"{name}.exe") if os.name == "nt" else str(folder / "bin" / name)


def python_for(session: nox.Session, versions: tuple[str, ...]) -> str:
    """The first Python of these versions that is installed."""
    for version in versions:
        python = find_python(version)
        if python is not None:
            return python
    session.error(f"The backend needs Python {' or '.join(versions)}; install one of them.")


def find_python(version: str) -> str | None:
    """The path of a Python: the running one, one on PATH, or one of pyenv's."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    candidates = [sys.executable, shutil.which(f"python{version}"), *sorted(pyenv.glob(f"{version}.*/bin/python"))]
    for candidate in filter(None, candidates):
        answer = subprocess.run(
            [candidate, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"], capture_output=True, text=True
        )
        if answer.stdout.strip() == version:
            return str(candidate)
    return None
