"""How long the extension keeps Blender waiting: prints the table of docs/performance.md.

Run with a Python that has the bpy wheel: `python benchmarks/addon.py`. The backend is one that follows a script, over
the real link; everything on Blender's side is real. With `--backend PROGRAM`, clicks are also measured with a real
backend, the program `uvmap-id`, that stores each job before it says so; its queue is paused, so that no engine runs.
"""

from __future__ import annotations

import argparse
import importlib
import os
import statistics
import struct
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = "bl_ext.user_default.uvmap_id"
_WORK = Path(tempfile.mkdtemp(prefix="uvmap-id-benchmark-"))
os.environ["BLENDER_USER_RESOURCES"] = str(_WORK / "profile")
os.environ["UVMAP_ID_STATE_DIR"] = str(_WORK / "state")
sys.path.insert(0, str(ROOT / "blender_tests"))

import bpy  # noqa: E402
import numpy as np  # noqa: E402


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=50, help="of each measurement")
    parser.add_argument("--sets", type=int, default=12, help="4K sets that arrive while 8 jobs run")
    parser.add_argument("--backend", type=Path, metavar="PROGRAM", help="the real uvmap-id")
    options = parser.parse_args()
    install()
    for name in ("body", "face"):
        (_WORK / name).mkdir()
    sets = {size: texture_set(_WORK / f"set{size}", size) for size in (2048, 4096)}
    print("| What | Median | p99 | Largest | p99 of processor time |\n|---|---|---|---|---|")
    row("register", registering(options.rounds))
    bench = Bench(sets)
    row("tick, idle", bench.idle(options.rounds * 40))
    for size, name in ((10_000, "10 KB"), (2**20, "1 MB")):
        returned, accepted = bench.click(options.rounds * 4, size)
        row(f"click until it returns, {name} photo", returned)
        row(f"click until the backend has accepted, {name} photo", accepted)
    row("the same, nothing connected yet", bench.first_click(options.rounds, 2**20))
    whole, ticks = bench.assigned(options.rounds)
    row("done until the material is assigned, 2K x 3 maps", whole)
    row("each tick of that", ticks)
    row("tick, 8 jobs running, 4K sets arriving, linked", bench.busy(options.sets, linked=True))
    row("tick, the same, copied to another disk", bench.busy(max(2, options.sets // 4), linked=False))
    if options.backend is not None:
        bench.use(options.backend.resolve())
        row("1 MB and a line made durable on this disk, by nobody else", durable(options.rounds * 4))
        for size, name in ((10_000, "10 KB"), (2**20, "1 MB")):
            row(f"click until a real backend has stored it, {name} photo", bench.click(options.rounds * 4, size)[1])
    bench.close()
    return 0


def install() -> None:
    build = [sys.executable, str(ROOT / "build_addon.py"), "--platform", "current", "--out", str(_WORK / "dist")]
    subprocess.run(build, check=True, stdout=subprocess.DEVNULL)
    path = next((_WORK / "dist").glob("*.zip"))
    bpy.ops.extensions.package_install_files(filepath=str(path), repo="user_default", enable_on_install=True)
    bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True)


def module(name: str) -> Any:
    return importlib.import_module(f"{PACKAGE}.{name}" if name else PACKAGE)


Times = list[tuple[float, float]]


class Stopwatch:
    """Seconds on the clock, and seconds of this thread on a processor: on a busy machine they differ."""

    def __init__(self) -> None:
        self._began, self._worked = time.perf_counter(), time.thread_time()

    def read(self) -> tuple[float, float]:
        return time.perf_counter() - self._began, time.thread_time() - self._worked


def late(seconds: list[float]) -> float:
    return sorted(seconds)[min(len(seconds) - 1, int(len(seconds) * 0.99))]


def row(what: str, times: Times) -> None:
    clock, worked = ([each[kind] for each in times] for kind in (0, 1))
    numbers = (statistics.median(clock), late(clock), max(clock), late(worked))
    cells = (f"{each * 1000:.2f} ms" for each in numbers)
    print(f"| {what} | {' | '.join(cells)} |", flush=True)


def registering(rounds: int) -> Times:
    extension, took = module(""), []
    for _ in range(rounds):
        extension.unregister()
        watch = Stopwatch()
        extension.register()
        took.append(watch.read())
    return took


def durable(rounds: int) -> Times:
    """What a backend has to wait for at least that may not forget a photo and a job."""
    took, content = [], os.urandom(2**20)
    folder = _WORK / "durable"
    folder.mkdir()
    with (folder / "log").open("ab", buffering=0) as log:
        for number in range(rounds):
            watch = Stopwatch()
            with (folder / str(number)).open("xb", buffering=0) as photo:
                photo.write(content)
                os.fsync(photo.fileno())
            descriptor = os.open(folder, os.O_RDONLY)
            os.fsync(descriptor)
            os.close(descriptor)
            log.write(content[:4096])
            os.fsync(log.fileno())
            took.append(watch.read())
            (folder / str(number)).unlink()
    return took


def texture_set(folder: Path, size: int) -> Path:
    """Maps whose files are as large as those of a photo: half noise."""
    folder.mkdir()
    noise = np.random.default_rng(1).integers(0, 16, (size, size, 3), np.uint8)
    rows = np.concatenate([np.zeros((size, 1), np.uint8), noise.reshape(size, -1)], axis=1)
    pixels = zlib.compress(rows.tobytes(), 1)
    header = struct.pack(">IIBBBBB", size, size, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"thMB", os.urandom(30_000)), (b"IDAT", pixels), (b"IEND", b""))
    content = b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )
    for name in ("base_color", "normal", "roughness"):
        (folder / f"{name}.png").write_bytes(b"\x89PNG\r\n\x1a\n" + content)
    maps = ",".join(f'"{name}":{{}}' for name in ("base_color", "normal", "roughness"))
    (folder / "manifest.json").write_text(f'{{"maps":{{{maps}}}}}', encoding="utf-8")
    return folder


class Bench:
    """A mannequin, a photo, and the backend that follows a script."""

    def __init__(self, sets: dict[int, Path]) -> None:
        self._sets = sets
        os.environ["UVMAP_ID_BACKEND"] = str(importlib.import_module("fakes").fake_program(_WORK))
        os.environ["FAKE_PREVIEW"] = str(self._preview())
        self._set = _WORK / "set"
        os.environ["FAKE_SET"] = str(self._set)
        self.serve(2048)
        bpy.ops.uvmap_id.add_mannequin()  # pyright: ignore[reportAttributeAccessIssue] - the extension's
        self._scene = bpy.context.scene
        (_WORK / "face.jpg").write_bytes(os.urandom(2**20))
        self._scene.uvmap_id.face_image = str(_WORK / "face.jpg")
        self._tick, self._session = module("runtime").tick, module("current").session()
        self.until(lambda: not module("current").faces().busy)

    def serve(self, size: int) -> None:
        self._set.unlink(missing_ok=True)
        self._set.symlink_to(self._sets[size])

    def use(self, program: Path) -> None:
        """Another backend, one that begins no job."""
        module("link.launcher").stop_server()
        self.until(lambda: not self._session.busy)
        os.environ["UVMAP_ID_BACKEND"], os.environ["UVMAP_ID_STATE_DIR"] = str(program), str(_WORK / "real")
        connection = module("link.launcher").ensure_server((str(program),))
        with module("link.client").Client.connect(connection, "benchmark") as client:
            client.wait_until_welcome()
            client.pause()
            while not any(getattr(event, "paused", "") for event in client.poll()):
                time.sleep(0.01)

    def idle(self, ticks: int) -> Times:
        job = self._submit("wait")
        self.until(lambda: job.state.value == "queued")
        took = [self._timed() for _ in range(ticks)]
        self._end([job])
        return took

    def click(self, rounds: int, size: int) -> tuple[Times, Times]:
        """Each job has a photo that the backend doesn't have yet, and another job keeps the connection meanwhile."""
        keeper = self._submit("wait")
        self.until(lambda: keeper.state.value != "starting")
        returned, accepted = [], []
        for _ in range(rounds):
            for times, one in zip((returned, accepted), self._one_click(size), strict=True):
                times.append(one)
        self._end([keeper])
        return returned, accepted

    def first_click(self, rounds: int, size: int) -> Times:
        """The backend runs, and there is no job that keeps a connection to it."""
        return [self._one_click(size)[1] for _ in range(rounds)]

    def _one_click(self, size: int) -> Times:
        """Until it returns, and until the backend has accepted."""
        (_WORK / "face.jpg").write_bytes(os.urandom(size))
        watch = Stopwatch()
        job = self._submit("wait")
        delay = self._tick()
        returned = watch.read()
        while job.state.value == "starting":
            time.sleep(delay)
            delay = self._tick()
        accepted = watch.read()
        self._end([job])
        return [returned, accepted]

    def assigned(self, rounds: int) -> tuple[Times, Times]:
        whole, ticks = [], []
        for _ in range(rounds):
            job = self._submit("done")
            watch, mine = Stopwatch(), []
            while job.stage != "Fetching the maps" and not job.ended:
                time.sleep(0.002)
                watch = Stopwatch()
                mine = [self._timed()]
            # The tick in which the word came is the first one of it.
            while not job.ended:
                time.sleep(module("session").EAGER_S)
                mine.append(self._timed())
            whole.append(watch.read())
            ticks += mine
            assert job.failure is None, job.failure
        return whole, ticks

    def busy(self, sets: int, *, linked: bool) -> Times:
        self.serve(4096)
        slow = [self._submit("slow") for _ in range(8)]
        self.until(lambda: all(job.state.value == "running" for job in slow))
        results = module("results")
        link = results.os.link
        if not linked:
            results.os.link = _refuse
        took = []
        try:
            jobs = [self._submit("done") for _ in range(sets)]
            while not all(job.ended for job in jobs):
                took.append(self._timed())
                time.sleep(module("session").EAGER_S)
        finally:
            results.os.link = link
        assert all(job.failure is None for job in jobs), [job.failure for job in jobs]
        self._end(slow)
        return took

    def close(self) -> None:
        module("link.launcher").stop_server()
        module("").unregister()

    def until(self, reached: Callable[[], bool]) -> None:
        while not reached():
            self._tick()
            time.sleep(0.005)

    def _submit(self, prompt: str) -> Any:
        self._scene.uvmap_id.prompt = prompt
        return module("operators.generate").submit(self._scene)

    def _end(self, jobs: list[Any]) -> None:
        for job in jobs:
            self._session.cancel(job)
        self.until(lambda: all(job.ended for job in jobs))
        for job in jobs:
            self._session.dismiss(job)
        # What the backend is still to forget of these is no part of the next measurement.
        client = self._session._client
        self.until(lambda: client is None or not client.acknowledging)

    def _timed(self) -> tuple[float, float]:
        watch = Stopwatch()
        self._tick()
        return watch.read()

    def _preview(self) -> Path:
        path = _WORK / "preview.png"
        image = bpy.data.images.new("preview", 128, 128)
        image.filepath_raw, image.file_format = str(path), "PNG"
        image.save()
        bpy.data.images.remove(image)
        return path


def _refuse(source: Path, target: Path) -> None:
    raise OSError(f"{source} and {target} lie on two disks.")


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    # The bpy wheels of Blender 4 hang or crash on the way out of the interpreter.
    os._exit(code)
