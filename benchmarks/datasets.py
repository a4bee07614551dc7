"""How much faster two workers make a dataset than one: with processes of our own, and with Ray.

    python benchmarks/datasets.py [--seconds S] [--rounds N] [--ways processes ray] [--side-by-side] [--out FILE.md]

The projection engine makes textures of 512 x 512, one an item, on one thread a worker. The clock runs from when all
workers are at work, so that the start counts for nothing. One worker and two take turns; with `--side-by-side` they
work at the same time, each as fast as the machine lets them. On a machine that is busy anyway this is the fair way:
whatever else happens there happens to both.

Given are medians over the rounds, with the lowest and the highest: items a minute, and the processor's seconds for an
item in the worker processes, which say what working together costs.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import skimage.data
from PIL import Image

from uvmap_id.datasets.cluster import Cluster, ClusterOptions
from uvmap_id.datasets.crew import Crew, CrewOptions
from uvmap_id.datasets.people import Person
from uvmap_id.datasets.plan import Item, Recipe, plan
from uvmap_id.datasets.workshop import Workshop
from uvmap_id.engines.base import Engine
from uvmap_id.engines.registry import create_engine
from uvmap_id.link.request import TextureRequest
from uvmap_id.settings import NO_PHOTO

# More than any worker makes in the time; Ray wants to know them all beforehand.
ITEMS = 2000


@dataclass(frozen=True)
class Lap:
    per_minute: float
    cpu_per_item: float


def items_of(photo: Path) -> Iterator[Item]:
    person = Person("Eileen", "white", "woman", (photo,), "public", "public domain")
    request = TextureRequest(NO_PHOTO, "", engine="projection", size=512)
    for seed in range(ITEMS):
        for planned in plan([person], Recipe(request, ("white shirt, blue jeans",), 1, 1, seed=seed), each_photo=True):
            assert planned.item is not None
            yield planned.item


def crew_of(workshop: Workshop, workers: int) -> contextlib.AbstractContextManager:
    return Crew(workshop.folder, workshop.logs, CrewOptions(workers, threads=1))


def cluster_of(workshop: Workshop, workers: int) -> contextlib.AbstractContextManager:
    return Cluster(workshop.folder, ClusterOptions(workers=workers, threads=1), in_own_session)


def in_own_session(name: str) -> Engine:
    """Linux shares its time among sessions first. Our processes have one each, Ray's have one together."""
    with contextlib.suppress(PermissionError):
        os.setsid()
    return create_engine(name)


WAYS: dict[str, Callable[[Workshop, int], contextlib.AbstractContextManager]] = {
    "processes": crew_of,
    "ray": cluster_of,
}


def cpu_of_workers() -> float:
    """Seconds of the processor that all worker processes below this one have used."""
    total = 0.0
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):
            command = " ".join(process.cmdline())
            if "uvmap_id.datasets.worker" in command or "MapWorker" in command:
                times = process.cpu_times()
                total += times.user + times.system
    return total


def lap(way: str, workers: int, seconds: float) -> None:
    """In a process of its own: says when all are at work, counts from when it is told to, and says what it counted."""
    go = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.readline(), go.set()), daemon=True).start()
    with tempfile.TemporaryDirectory() as scratch:
        photo = Path(scratch) / "portrait.jpg"
        Image.fromarray(skimage.data.astronaut()).save(photo, quality=92)
        workshop = Workshop(Path(scratch) / "out")
        workshop.folder.mkdir()
        workshop.prepare()
        begin: tuple[int, float, float] | None = None
        with WAYS[way](workshop, workers) as crew:
            for made, outcome in enumerate(crew.run(items_of(photo)), 1):
                assert not outcome.code, outcome
                if made == 2 * workers:
                    print("warm", flush=True)
                now = time.monotonic()
                if begin is None and go.is_set():
                    begin = (made, now, cpu_of_workers())
                elif begin is not None and now - begin[1] >= seconds:
                    count, passed, cpu = made - begin[0], now - begin[1], cpu_of_workers() - begin[2]
                    break
            else:
                raise RuntimeError("there were too few items")
    print(json.dumps(dataclasses.asdict(Lap(60 * count / passed, cpu / count))), flush=True)


def run_laps(laps: list[tuple[str, int]], seconds: float) -> list[Lap]:
    """Laps at the same time: none counts before all are at work."""
    command = [sys.executable, str(Path(__file__).resolve()), "--seconds", str(seconds), "--lap"]
    processes = [
        subprocess.Popen([*command, way, str(workers)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for way, workers in laps
    ]
    for process in processes:
        assert process.stdout is not None
        assert any(line == "warm\n" for line in iter(process.stdout.readline, ""))
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    said = [process.communicate()[0] for process in processes]
    return [Lap(**json.loads(text.splitlines()[-1])) for text in said]


def spread(values: list[float]) -> str:
    return f"{statistics.median(values):.3g} | {min(values):.3g} - {max(values):.3g}"


def told(ratios: list[float]) -> str:
    return f"{statistics.median(ratios):.2f} times ({', '.join(f'{ratio:.2f}' for ratio in ratios)})"


def lines(laps: dict[tuple[str, int], list[Lap]]) -> Iterator[str]:
    yield "| Way | Workers | Items a minute | Lowest - highest | Processor s an item | Lowest - highest |"
    yield "|---|---|---|---|---|---|"
    for (way, workers), found in laps.items():
        rate = spread([one.per_minute for one in found])
        yield f"| {way} | {workers} | {rate} | {spread([one.cpu_per_item for one in found])} |"
    yield ""
    for way in dict.fromkeys(way for way, _ in laps):
        ratios = [two.per_minute / one.per_minute for one, two in zip(laps[way, 1], laps[way, 2], strict=True)]
        yield f"- {way}: two workers make {told(ratios)} as much as one."


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS))
    parser.add_argument("--side-by-side", action="store_true")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--lap", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.lap:
        lap(options.lap[0], int(options.lap[1]), options.seconds)
        return 0
    laps: dict[tuple[str, int], list[Lap]] = {(way, workers): [] for way in options.ways for workers in (1, 2)}
    for number in range(options.rounds):
        for way in options.ways:
            pair = [(way, 1), (way, 2)]
            found = (
                run_laps(pair, options.seconds)
                if options.side_by_side
                else [run_laps([one], options.seconds)[0] for one in pair]
            )
            for which, one in zip(pair, found, strict=True):
                laps[which].append(one)
            sys.stderr.write(f"round {number + 1}, {way}: {found}, load {os.getloadavg()[0]:.1f}\n")
    text = "\n".join(lines(laps)) + "\n"
    print(text)
    if options.out:
        options.out.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
