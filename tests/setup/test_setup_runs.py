"""The installer for real: pip, environments and processes, against a package index on this computer."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from addon.setup.installer.job import Task
from addon.setup.installer.machine import Setup, State
from addon.setup.installer.places import command_of, environments, read_installed
from addon.setup.installer.stages import Stamp
from package_index import ROOT, PackageIndex, make_backend
from setup_place import Place, finish
from small_disk import mount_small_disk

LARGE = "opencv_large-1.0-py3-none-any.whl"
SMALL = "small_one-1.0-py3-none-any.whl"
INSTALLER = ROOT / "addon" / "setup" / "installer"

Wait = Callable[[Callable[[], bool], Setup], None]


def site_packages(place: Place) -> Path:
    installed = read_installed(place.root)
    assert installed is not None
    return next((place.root / installed.environment).glob("[Ll]ib/**/site-packages"))


def works(root: Path) -> bool:
    command = command_of(root)
    if command is None:
        return False
    done = subprocess.run([*command, "doctor", "--json"], capture_output=True, text=True, check=False)
    return done.returncode == 0 and '"ok": true' in done.stdout


def test_it_installs_and_the_backend_runs(place: Place, index: PackageIndex) -> None:
    setup = place.start()
    states, fractions = [setup.state], [0.0]
    while setup.busy:
        setup.tick()
        states += [setup.state] if setup.state is not states[-1] else []
        fractions.append(setup.progress.fraction)
        time.sleep(0.01)
    assert setup.failure is None
    # A tick may see several stages at once, but never in another order.
    order = [
        State.CHECKING,
        State.PYTHON,
        State.ENVIRONMENT,
        State.PACKAGES,
        State.PACKAGE,
        State.VERIFYING,
        State.DONE,
    ]
    assert [state for state in order if state in states] == states
    assert states[-1] is State.DONE
    assert fractions == sorted(fractions)
    assert setup.sentence == "The backend 9.9.9 works."
    assert works(place.root)
    installed = read_installed(place.root)
    assert installed is not None
    assert (installed.variant, installed.version) == ("basic", "9.9.9")
    # What was needed only on the way is gone.
    assert place.left() == {"tools", "tmp", "installed.json", installed.environment}
    assert not any((place.root / "tmp").iterdir())


def test_again_does_nothing_and_asks_nobody(installed: Place, index: PackageIndex) -> None:
    asked, before = dict(index.asked), read_installed(installed.root)
    assert installed.run() is State.DONE
    assert (dict(index.asked), read_installed(installed.root)) == (asked, before)
    assert works(installed.root)


def test_killed_in_a_download_it_goes_on_with_what_is_there(
    prepared: Place, index: PackageIndex, wait_for: Wait
) -> None:
    index.hold = {LARGE}
    setup = prepared.start()
    wait_for(index.half_sent.is_set, setup)
    worker = psutil.Process(setup._process.pid)  # pyright: ignore[reportOptionalMemberAccess, reportAttributeAccessIssue]
    family = [worker, *worker.children(recursive=True)]
    assert len(family) == 2
    setup._process.stop()  # pyright: ignore[reportOptionalMemberAccess] - SIGKILL, with all that it started.
    assert finish(setup) is State.FAILED
    assert not psutil.wait_procs(family, timeout=5)[1]
    assert prepared.code() == "setup_failed"
    assert setup.failure is not None
    assert "goes on where it stopped" in setup.failure.hint
    assert command_of(prepared.root) is None
    index.hold = set()
    index.released.set()
    assert prepared.run() is State.DONE
    assert index.asked[SMALL] == 1
    assert index.asked[LARGE] == 2
    assert works(prepared.root)


@pytest.mark.parametrize("moment", ["environment", "packages", "package", "verifying"])
def test_killed_in_any_stage_the_next_run_puts_it_right(prepared: Place, wait_for: Wait, moment: str) -> None:
    setup = prepared.start()
    wait_for(lambda: setup.state.value == moment or not setup.busy, setup)
    setup.close()
    assert prepared.run() is State.DONE
    assert works(prepared.root)
    assert len(environments(prepared.root)) == 1
    assert prepared.run(Task.VERIFY) is State.DONE


def test_half_installed_packages_are_not_believed(installed: Place) -> None:
    # As a power failure leaves it: the packages are there, but nobody has noted that all of them are.
    (environment,) = environments(installed.root)
    (environment / "uvmap_id-setup.json").unlink()
    (site_packages(installed) / "small_two.py").unlink()
    assert installed.run() is State.DONE
    assert works(installed.root)


def test_cancel_keeps_what_was_downloaded(prepared: Place, index: PackageIndex, wait_for: Wait) -> None:
    index.hold = {LARGE}
    setup = prepared.start()
    wait_for(index.half_sent.is_set, setup)
    started = time.monotonic()
    setup.cancel()
    assert setup.state is State.CANCELLING
    assert finish(setup) is State.CANCELLED
    assert time.monotonic() - started < 5
    assert prepared.code() == "cancelled"
    assert {path.name for path in (prepared.root / "downloads").iterdir()} == {SMALL, "small_two-2.0-py3-none-any.whl"}
    assert command_of(prepared.root) is None
    index.hold = set()
    assert prepared.run() is State.DONE
    assert index.asked[SMALL] == 1


@pytest.mark.skipif(os.name != "posix", reason="Windows has no such signal")
def test_the_work_ends_with_whoever_asked_for_it(prepared: Place, index: PackageIndex) -> None:
    index.hold = {LARGE}
    job = prepared.root.parent / "main.py"
    program = f"""
import sys, time
sys.path.insert(0, {str(ROOT / "tests")!r})
from addon_modules import make_importable
make_importable()
from addon.setup.installer.machine import Setup
from addon.setup.installer.job import Job
setup = Setup()
root, requirements, wheel = {str(prepared.root)!r}, {str(prepared.requirements)!r}, {str(prepared.wheel)!r}
setup.start(Job("install", root, "basic", "", requirements, wheel))
print(setup._process.pid, flush=True)
time.sleep(60)
"""
    job.write_text(program)
    with subprocess.Popen([sys.executable, str(job)], stdout=subprocess.PIPE, text=True) as blender:
        assert blender.stdout is not None
        worker = psutil.Process(int(blender.stdout.readline()))
        assert index.half_sent.wait(60)
        family = [worker, *worker.children(recursive=True)]
        blender.send_signal(signal.SIGKILL)
        blender.wait()
    _, alive = psutil.wait_procs(family, timeout=10)
    assert not alive
    index.released.set()
    index.hold = set()
    assert prepared.run() is State.DONE


def test_one_at_a_time(prepared: Place, index: PackageIndex, wait_for: Wait) -> None:
    index.hold = {LARGE}
    setup = prepared.start()
    wait_for(index.half_sent.is_set, setup)
    other = Setup()
    other.start(prepared.job())
    assert finish(other) is State.FAILED
    assert other.failure is not None
    assert other.failure.code == "setup_busy"
    index.released.set()
    assert finish(setup) is State.DONE


def test_another_file_under_a_locked_name_is_refused(prepared: Place, index: PackageIndex) -> None:
    good = index.wheels[SMALL]
    index.add("small_one", "1.0", {"small_one.py": b"import os\n"})
    assert index.wheels[SMALL] != good
    assert prepared.run() is State.FAILED
    assert prepared.code() == "download_corrupt"
    index.wheels[SMALL] = good
    assert prepared.run() is State.DONE


def test_a_package_that_is_no_wheel_leaves_no_half_environment(prepared: Place, index: PackageIndex) -> None:
    index.wheels[SMALL] = b"not a wheel"
    lock = prepared.requirements / "setup-basic.txt"
    lines = lock.read_text().split("\n")
    lines[1] = f"    --hash=sha256:{hashlib.sha256(b'not a wheel').hexdigest()}"
    lock.write_text("\n".join(lines))
    assert prepared.run() is State.FAILED
    assert prepared.code() in ("download_corrupt", "setup_failed")
    assert not any(site.name.startswith("small") for site in prepared.root.glob("e*/lib/**/site-packages/*"))


@pytest.mark.parametrize("content", [b"", b"PK\3\4 truncated", None])
def test_a_damaged_backend_wheel_is_named(place: Place, content: bytes | None) -> None:
    if content is None:
        place.wheel.unlink()
    else:
        place.wheel.write_bytes(content)
    assert place.run() is State.FAILED
    assert place.code() == "setup_failed"
    assert place.setup.failure is not None
    assert place.wheel.name in place.setup.failure.message
    assert place.left() == set()


def test_no_network_leaves_nothing(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple/")
    monkeypatch.setenv("PIP_RETRIES", "0")
    assert place.run() is State.FAILED
    assert place.code() == "download_failed"
    assert not place.root.exists()


def test_a_backend_that_does_not_start_is_not_used(prepared: Place, index: PackageIndex) -> None:
    lock = prepared.requirements / "setup-basic.txt"
    line = index.add("small_one", "1.0", {"small_one.py": b'STATE = "missing"\n'})
    rest = lock.read_text().split("\n", 2)[2]
    lock.write_text(line + rest)
    assert prepared.run() is State.FAILED
    assert prepared.code() == "setup_incomplete"
    assert prepared.setup.failure is not None
    assert "small_one" in prepared.setup.failure.message
    assert command_of(prepared.root) is None


def _change(site: Path) -> None:
    (site / "small_one_more.py").write_text("MORE = 2\n")


def _lose_a_file(site: Path) -> None:
    (site / "small_one.py").unlink()


def _lose_the_record(site: Path) -> None:
    (site / "small_one-1.0.dist-info" / "RECORD").unlink()


def _lose_all(site: Path) -> None:
    shutil.rmtree(site / "small_one-1.0.dist-info")
    (site / "small_one.py").unlink()


@pytest.mark.parametrize("damage", [_change, _lose_a_file, _lose_the_record, _lose_all])
def test_damage_is_found_and_only_that_is_repaired(
    installed: Place, index: PackageIndex, damage: Callable[[Path], None]
) -> None:
    assert installed.run(Task.VERIFY) is State.DONE
    damage(site_packages(installed))
    assert installed.run(Task.VERIFY) is State.FAILED
    assert installed.code() == "setup_incomplete"
    assert installed.setup.failure is not None
    assert "small-one" in installed.setup.failure.message
    assert "Repair" in installed.setup.failure.hint
    before = index.asked.copy()
    assert installed.run(Task.REPAIR) is State.DONE
    assert index.asked[SMALL] == before[SMALL] + 1
    assert index.asked[LARGE] == before[LARGE]
    assert installed.run(Task.VERIFY) is State.DONE
    assert works(installed.root)


def test_an_environment_without_its_python_is_made_again(installed: Place) -> None:
    (environment,) = environments(installed.root)
    shutil.rmtree(environment / ("Scripts" if os.name == "nt" else "bin"))
    assert command_of(installed.root) is None
    assert installed.run(Task.VERIFY) is State.FAILED
    assert installed.code() == "setup_incomplete"
    assert installed.run(Task.REPAIR) is State.DONE
    assert works(installed.root)


def test_a_newer_backend_needs_no_packages(installed: Place, index: PackageIndex) -> None:
    (environment,) = environments(installed.root)
    asked = dict(index.asked)
    assert installed.run(wheel=str(make_backend(installed.wheel.parent, "10.0"))) is State.DONE
    now = read_installed(installed.root)
    assert now is not None
    assert now.version == "10.0"
    assert environments(installed.root) == [environment]
    assert dict(index.asked) == asked


def test_an_update_that_fails_leaves_the_backend_that_works(installed: Place, index: PackageIndex) -> None:
    before = read_installed(installed.root)
    assert before is not None
    lock = installed.requirements / "setup-basic.txt"
    lock.write_text(lock.read_text() + index.add("small_three", "3.0", {"small_three.py": b""}))
    file = "small_three-3.0-py3-none-any.whl"
    good = index.wheels.pop(file)
    assert installed.run() is State.FAILED
    assert installed.code() == "download_failed"
    assert read_installed(installed.root) == before
    assert works(installed.root)
    index.wheels[file] = good
    assert installed.run() is State.DONE
    after = read_installed(installed.root)
    assert after is not None
    assert after.environment != before.environment
    assert [path.name for path in environments(installed.root)] == [after.environment]
    assert works(installed.root)


def test_remove_takes_only_what_was_made(installed: Place) -> None:
    (installed.root / "mine.txt").write_text("mine")
    assert installed.run(Task.REMOVE) is State.DONE
    assert [path.name for path in installed.root.iterdir() if path.name != "lock"] == ["mine.txt"]
    (installed.root / "mine.txt").unlink()
    assert installed.run(Task.REMOVE) is State.DONE
    assert not installed.root.exists()
    assert installed.run(Task.VERIFY) is State.FAILED
    assert installed.code() == "backend_not_found"
    assert installed.run() is State.DONE


@pytest.mark.parametrize("path", ["/bin/sh", "/none/python3"])
def test_a_chosen_python_must_be_one(prepared: Place, path: str) -> None:
    assert prepared.run(python=path) is State.FAILED
    assert prepared.code() == "python_not_found"
    assert not environments(prepared.root)


def test_a_folder_with_blanks_and_letters(place: Place, template: Path, tmp_path: Path) -> None:
    place.root = tmp_path / "où est le né" / "b"
    shutil.copytree(template / "tools", place.root / "tools", symlinks=True)
    assert place.run() is State.DONE
    assert works(place.root)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Callable[[int], Path]]:
    """Mounts a disk of so many MiB."""
    mounted: list[Path] = []

    def mount(size: int) -> Path:
        folder = tmp_path / "disk"
        mount_small_disk(folder, f"size={size}m")
        mounted.append(folder)
        return folder

    yield mount
    for folder in mounted:
        subprocess.run(["umount", "--lazy", str(folder)], check=False)


def test_too_small_a_disk_is_seen_before_anything_is_done(place: Place, small_disk: Callable[[int], Path]) -> None:
    disk = small_disk(50)
    place.root = disk / "root"
    assert place.run() is State.FAILED
    assert place.code() == "disk_full"
    assert place.setup.failure is not None
    assert "GB are needed" in place.setup.failure.message
    assert list(disk.iterdir()) == []


def test_a_disk_that_runs_full_in_the_middle(
    place: Place, index: PackageIndex, template: Path, small_disk: Callable[[int], Path]
) -> None:
    disk = small_disk(300)
    place.root = disk / "root"
    # A finished environment says that only the backend is to be exchanged, which needs little room.
    old = place.root / "e00000000"
    old.mkdir(parents=True)
    Stamp("of old").write(old)
    shutil.copytree(template / "tools", place.root / "tools", symlinks=True)
    filler = disk / "filler"

    def fill() -> None:
        with filler.open("wb") as file, contextlib.suppress(OSError):
            os.posix_fallocate(file.fileno(), 0, shutil.disk_usage(disk).free - (3 << 20))

    index.before[LARGE] = fill
    assert place.run() is State.FAILED
    assert filler.stat().st_size > 100 << 20
    assert place.code() == "disk_full"
    assert old.exists()
    assert not any((place.root / "tmp").iterdir())
    index.before.clear()
    filler.unlink()
    assert place.run() is State.DONE
    assert works(place.root)
    assert not old.exists()


def test_from_a_terminal_in_one_line(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(ROOT / "addon" / "setup", place.root.parent / "extension" / "setup")
    shutil.copytree(ROOT / "backend" / "uvmap_id" / "link", place.root.parent / "extension" / "link")
    installer = place.root.parent / "extension" / "setup" / "installer"
    shutil.copytree(place.requirements, installer / "requirements")
    monkeypatch.setenv("UVMAP_ID_SETUP_DIR", str(place.root))

    def call(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, str(installer), *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)

    assert call("status").returncode == 1
    missing = call("install", "--variant", "basic")
    assert missing.returncode == 1
    assert missing.stderr.splitlines()[-1].startswith("error: setup_failed: ")
    done = call("install", "--variant", "basic", "--wheel", str(place.wheel))
    assert (done.returncode, done.stdout) == (0, "The backend 9.9.9 works.\n")
    assert "packages: Downloading" in done.stderr
    assert "installed: 9.9.9, basic" in call("status").stdout
    assert call("verify").returncode == 0
    assert call("remove").returncode == 0
    assert not place.root.exists()
    assert call("install", "--variant", "magic").returncode == 2
    for each in (missing, done):
        assert "Traceback" not in each.stderr


@pytest.mark.skipif(os.name != "posix", reason="Windows has no such signal")
def test_ctrl_c_in_a_terminal_cancels(place: Place, index: PackageIndex) -> None:
    index.hold = {LARGE}
    job = [sys.executable, str(INSTALLER), "install", "--variant", "basic", "--wheel", str(place.wheel)]
    # The checkout's own requirements are too large for a test: the same folder, with small ones.
    shutil.copytree(ROOT / "addon" / "setup", place.root.parent / "extension" / "setup")
    shutil.copytree(ROOT / "backend" / "uvmap_id" / "link", place.root.parent / "extension" / "link")
    shutil.copytree(place.requirements, place.root.parent / "extension" / "setup" / "installer" / "requirements")
    job[1] = str(place.root.parent / "extension" / "setup" / "installer")
    with subprocess.Popen(
        [*job, "--root", str(place.root)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert index.half_sent.wait(60)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "error: cancelled: " in errors
    assert "Traceback" not in errors
