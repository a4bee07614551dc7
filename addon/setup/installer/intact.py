"""Is an environment whole? Every file against the hash that its package names, and the backend's own check."""

from __future__ import annotations

import json
from pathlib import Path

from ...link.errors import ErrorCode, UVMapError
from .job import Run
from .locks import normalised
from .places import environment_python

# Runs inside the environment. Several packages may bring one file (cv2): it is whole if it is as one of them says.
# What has no RECORD was cut short; what the list names and is missing was removed.
_COMPARE = """
import base64, hashlib, importlib.metadata, json, pathlib, sys
listed = pathlib.Path(sys.prefix, "uvmap_id-packages.json")
claims, broken, names = {}, set(), set()
for package in importlib.metadata.distributions(path=[p for p in sys.path if p.startswith(sys.prefix)]):
    name = package.metadata["Name"]
    if not name:
        continue
    names.add(name)
    if package.files is None:
        broken.add(name)
        continue
    for file in package.files:
        if file.hash is not None:
            claims.setdefault(str(file.locate()), []).append((name, file.hash.mode, file.hash.value))
for number, (path, wanted) in enumerate(claims.items()):
    if number % 500 == 0:
        print("compared", number, len(claims), flush=True)
    try:
        content = pathlib.Path(path).read_bytes()
    except OSError:
        broken.update(name for name, _, _ in wanted)
        continue
    hashes = {mode: base64.urlsafe_b64encode(hashlib.new(mode, content).digest()).rstrip(b"=").decode()
              for _, mode, _ in wanted}
    if not any(hashes[mode] == value for _, mode, value in wanted):
        broken.update(name for name, _, _ in wanted)
if listed.exists():
    broken.update(set(json.loads(listed.read_text())) - names)
print(json.dumps(sorted(broken)))
"""
_LIST = """
import importlib.metadata, json, pathlib, sys
names = sorted({d.metadata["Name"] for d in importlib.metadata.distributions() if d.metadata["Name"]})
pathlib.Path(sys.prefix, "uvmap_id-packages.json").write_text(json.dumps(names))
"""


def note_packages(run: Run, environment: Path) -> None:
    """Keep a list of the environment's packages beside them, so that one that vanishes is missed."""
    run.process([str(environment_python(environment)), "-I", "-c", _LIST])


def damaged_packages(run: Run, environment: Path) -> set[str]:
    """The packages of which a file is missing or not as it was, by their normalised names.

    Raises:
        UVMapError: `setup_incomplete`: not even the comparison could run.
    """

    def follow(line: str) -> None:
        words = line.split()
        if len(words) == 3 and words[0] == "compared":
            run.report(0.1 + 0.35 * int(words[1]) / max(1, int(words[2])), "Comparing every file with its hash")

    code, said = run.process([str(environment_python(environment)), "-I", "-c", _COMPARE], follow)
    try:
        names = json.loads(said[-1]) if code == 0 else None
    except (ValueError, IndexError):
        names = None
    if not isinstance(names, list):
        raise UVMapError(ErrorCode.SETUP_INCOMPLETE, "The backend's packages can't be read.", "Choose Repair.")
    return {normalised(name) for name in names}


def doctor(run: Run, environment: Path) -> str:
    """Let the backend look at itself. Returns its version.

    Raises:
        UVMapError: `setup_incomplete`: it can't make a texture, and why.
    """
    python = str(environment_python(environment))
    code, said = run.process([python, "-I", "-m", "uvmap_id", "doctor", "--json"])
    try:
        answer = json.loads("\n".join(said)[max(0, "\n".join(said).find("{\n")) :])
        missing = [f"{each['name']}: {each['detail']}" for each in answer["checks"] if each["state"] == "missing"]
    except (ValueError, KeyError, TypeError):
        raise UVMapError(
            ErrorCode.SETUP_INCOMPLETE,
            f"The backend was installed, but does not start: {(said or ['it ended without a word'])[-1][:200]}",
            "Choose Repair.",
        ) from None
    if code != 0 or missing:
        raise UVMapError(
            ErrorCode.SETUP_INCOMPLETE,
            f"The backend was installed, but lacks something: {'; '.join(missing)[:300]}",
            "Choose Repair.",
        )
    _, said = run.process([python, "-I", "-m", "uvmap_id", "--version"])
    return said[-1].split()[-1] if said else ""
