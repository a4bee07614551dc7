"""One wheel out of two: what is in it, what it is called, and what is refused."""

from __future__ import annotations

import base64
import csv
import hashlib
import importlib.util
import io
import subprocess
import sys
import zipfile
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[1]
INFO = "thing-1.2.dist-info"
PLATFORM = "manylinux_2_26_x86_64.manylinux_2_28_x86_64"
SHARED = {"thing/__init__.py": b"from . import _core\n", "thing.libs/big.so": b"\x7fELF" + bytes(1000)}
OLD, NEW = {"thing/_core.cpython-311-x86_64-linux-gnu.so": b"old"}, {"thing/_core.abi3.so": b"new"}
OLD_TAGS, NEW_TAGS = "cp311-cp311", "cp312-abi3"


@pytest.fixture(scope="module")
def joined_wheel() -> ModuleType:
    spec = importlib.util.spec_from_file_location("joined_wheel", ROOT / "joined_wheel.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def digest(content: bytes) -> str:
    return "sha256=" + base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()


def wheel(
    folder: Path, tags: str, files: dict[str, bytes], release: str = "thing-1.2", platform: str = PLATFORM
) -> Path:
    lines = "".join(f"Tag: {tags}-{each}\n" for each in platform.split("."))
    about = {
        f"{INFO}/WHEEL": f"Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: false\n{lines}\n".encode(),
        f"{INFO}/METADATA": b"Metadata-Version: 2.1\nName: thing\nVersion: 1.2\n",
    }
    whole = {**files, **about}
    record = "".join(f"{path},{digest(content)},{len(content)}\n" for path, content in whole.items())
    folder.mkdir(exist_ok=True)
    path = folder / f"{release}-{tags}-{platform}.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.mkdir("thing.libs")
        for name, content in {**whole, f"{INFO}/RECORD": f"{record}{INFO}/RECORD,,\n".encode()}.items():
            archive.writestr(name, content)
    return path


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    return wheel(tmp_path / "in", OLD_TAGS, SHARED | OLD), wheel(tmp_path / "in", NEW_TAGS, SHARED | NEW)


def test_it_holds_the_files_of_both_and_says_so(
    joined_wheel: ModuleType, pair: tuple[Path, Path], tmp_path: Path
) -> None:
    joined = joined_wheel.join(*pair, tmp_path)
    assert joined.name == f"thing-1.2-cp311.cp312-cp311.abi3-{PLATFORM}.whl"
    with zipfile.ZipFile(joined) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    about = {f"{INFO}/{name}" for name in ("WHEEL", "METADATA", "RECORD")}
    assert files.keys() == (SHARED | OLD | NEW).keys() | about
    assert {name: files[name] for name in SHARED | OLD | NEW} == SHARED | OLD | NEW
    tags = [line for line in files[f"{INFO}/WHEEL"].decode().splitlines() if line.startswith("Tag: ")]
    assert tags == [f"Tag: {both}-{each}" for both in (OLD_TAGS, NEW_TAGS) for each in PLATFORM.split(".")]
    assert files[f"{INFO}/WHEEL"].startswith(b"Wheel-Version: 1.0\nGenerator: tests\n")
    record = {row[0]: row[1:] for row in csv.reader(io.StringIO(files[f"{INFO}/RECORD"].decode()))}
    assert record.pop(f"{INFO}/RECORD") == ["", ""]
    assert record == {
        name: [digest(content), str(len(content))] for name, content in files.items() if name != f"{INFO}/RECORD"
    }


def test_equal_wheels_give_equal_bytes(joined_wheel: ModuleType, pair: tuple[Path, Path], tmp_path: Path) -> None:
    contents = []
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        contents.append(joined_wheel.join(*pair, tmp_path / name).read_bytes())
    assert contents[0] == contents[1]


def test_pip_installs_it(joined_wheel: ModuleType, tmp_path: Path) -> None:
    python = f"cp{sys.version_info.major}{sys.version_info.minor}"
    files = {"thing/__init__.py": b"VALUE = 7\n"}
    pair = (wheel(tmp_path / "in", f"{python}-{python}", files, platform="any"),)
    pair += (wheel(tmp_path / "in", "py3-none", files, platform="any"),)
    joined = joined_wheel.join(*pair, tmp_path)
    command = [sys.executable, "-m", "pip", "install", "--no-index", "--no-deps", "--target", str(tmp_path / "out")]
    subprocess.run([*command, str(joined)], check=True, capture_output=True)
    program = "import thing; print(thing.VALUE)"
    said = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path / "out", capture_output=True, text=True, check=True
    )
    assert said.stdout == "7\n"


def test_files_that_differ_are_refused(joined_wheel: ModuleType, tmp_path: Path) -> None:
    pair = (
        wheel(tmp_path / "in", OLD_TAGS, SHARED),
        wheel(tmp_path / "in", NEW_TAGS, SHARED | {"thing/__init__.py": b""}),
    )
    with pytest.raises(joined_wheel.WheelError, match=r"different thing/__init__\.py"):
        joined_wheel.join(*pair, tmp_path)
    assert not list(tmp_path.glob("*.whl"))


@pytest.mark.parametrize(("release", "platform"), [("thing-1.3", PLATFORM), ("thing-1.2", "win_amd64")])
def test_wheels_that_do_not_go_together_are_refused(
    joined_wheel: ModuleType, tmp_path: Path, release: str, platform: str
) -> None:
    one, other = wheel(tmp_path / "in", OLD_TAGS, SHARED), wheel(tmp_path / "in", NEW_TAGS, SHARED, release, platform)
    with pytest.raises(joined_wheel.WheelError, match="not of one release and platform"):
        joined_wheel.join(one, other, tmp_path)


def test_damaged_wheels_are_refused(joined_wheel: ModuleType, pair: tuple[Path, Path], tmp_path: Path) -> None:
    with zipfile.ZipFile(pair[0], "a") as archive:
        archive.writestr("thing/more.py", b"")
    with pytest.raises(joined_wheel.WheelError, match="not those of its record"):
        joined_wheel.join(*pair, tmp_path)
    pair[0].write_bytes(b"no zip")
    with pytest.raises(joined_wheel.WheelError, match="can't be read"):
        joined_wheel.join(*pair, tmp_path)
    strange = pair[0].rename(tmp_path / "thing.whl")
    with pytest.raises(joined_wheel.WheelError, match="not named like a wheel"):
        joined_wheel.join(strange, pair[1], tmp_path)
