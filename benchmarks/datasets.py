"""How much faster two workers make a dataset than one: with processes of our own, and with Ray.

    python benchmarks/datasets.py [--items N] [--rounds N] [--ways processes ray] [--out FILE.md]

The projection engine makes one texture of 512 x 512 of each photo, on one thread a worker. One worker and two take
turns. The clock runs from when each worker has made its first items, so that the start counts for nothing, until a
worker has nothing more to do. Given are medians over the rounds, with the lowest and the highest:

- items a minute;
- seconds of the processor for an item, in the worker processes: what working side by side costs. On a machine that is
  busy with other things the clock's ratio depends on them; this one hardly does. Two workers on two free cores are
  "2 x one's seconds / two's seconds" times as fast as one, if they never wait.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import statistics
import sys
import tempfile
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
from uvmap_id.datasets.plan import Recipe, plan
from uvmap_id.datasets.workshop import Workshop
from uvmap_id.link.request import TextureRequest
from uvmap_id.settings import NO_PHOTO


@dataclass(frozen=True)
class Lap:
    per_minute: float
    cpu_per_item: float


def people_in(folder: Path, count: int) -> tuple[Person, ...]:
    portrait = Image.fromarray(skimage.data.astronaut())
    people = []
    for number in range(count):
        photo = folder / f"{number}.jpg"
        portrait.rotate(10 * number / count - 5, Image.Resampling.BICUBIC).save(photo, quality=92)
        people.append(Person(f"person {number}", "white", "woman", (photo,), "public", "public domain"))
    return tuple(people)


def crew_of(workshop: Workshop, workers: int) -> contextlib.AbstractContextManager:
    return Crew(workshop.folder, workshop.logs, CrewOptions(workers, threads=1))


def cluster_of(workshop: Workshop, workers: int) -> contextlib.AbstractContextManager:
    return Cluster(workshop.folder, ClusterOptions(workers=workers, threads=1))


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


def lap(way: str, workers: int, people: tuple[Person, ...], scratch: Path) -> Lap:
    recipe = Recipe(TextureRequest(NO_PHOTO, "", engine="projection", size=512), ("white shirt, blue jeans",), 1, 1)
    items = [planned.item for planned in plan(people, recipe, each_photo=True) if planned.item]
    with tempfile.TemporaryDirectory(dir=scratch) as folder:
        workshop = Workshop(Path(folder))
        workshop.prepare()
        ends: list[tuple[float, float]] = []
        with WAYS[way](workshop, workers) as crew:
            for outcome in crew.run(items):
                assert not outcome.code, outcome
                ends.append((time.monotonic(), cpu_of_workers()))
    # From when all are at work until the first has nothing more to do.
    (begin, cpu_begin), (end, cpu_end) = ends[2 * workers - 1], ends[len(items) - workers]
    made = len(items) - workers - (2 * workers - 1)
    return Lap(60 * made / (end - begin), (cpu_end - cpu_begin) / made)


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
        pairs = list(zip(laps[way, 1], laps[way, 2], strict=True))
        wall = [two.per_minute / one.per_minute for one, two in pairs]
        cpu = [2 * one.cpu_per_item / two.cpu_per_item for one, two in pairs]
        yield f"- {way}, two workers against one: {told(wall)} by the clock, {told(cpu)} by the processor's seconds."


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=40)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS))
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    laps: dict[tuple[str, int], list[Lap]] = {(way, workers): [] for way in options.ways for workers in (1, 2)}
    with tempfile.TemporaryDirectory() as scratch:
        people = people_in(Path(scratch), options.items)
        for number in range(options.rounds):
            for way, workers in laps:
                found = lap(way, workers, people, Path(scratch))
                laps[way, workers].append(found)
                busy = os.getloadavg()[0]
                sys.stderr.write(f"round {number + 1}, {way} x {workers}: {found}, load {busy:.1f}\n")
    text = "\n".join(lines(laps)) + "\n"
    print(text)
    if options.out:
        options.out.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
