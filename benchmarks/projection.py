"""How long the projection engine takes from a photo's bytes to three encoded PNGs, and how much memory.

    python benchmarks/projection.py [--sizes 512 1024 2048 4096] [--rounds 5]

Prints the median of the warm rounds, their spread, and the peak memory of the process after each size, beside what
is to be reached on two cores; and how long the first request takes in a process that has just begun.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

import psutil
import skimage.data
from PIL import Image

from uvmap_id.engines.projection.engine import ProjectionEngine
from uvmap_id.link.request import TextureRequest
from uvmap_id.manifest import write_texture_set

PROMPT = "wearing white shirt, blue jeans"
# Seconds by size, megabytes, and seconds for the engine's start and its first request.
TARGET_SECONDS = {1024: 1.0, 2048: 2.5, 4096: 9.0}
TARGET_MEMORY = {4096: 2500}
TARGET_FIRST = 4.0
FIRST_SIZE = 1024


def portrait() -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(skimage.data.astronaut()).save(buffer, "PNG")
    return buffer.getvalue()


def peak_memory_mb() -> float:
    if sys.platform == "win32":
        return psutil.Process().memory_info().peak_wset / 1e6
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e6 if sys.platform == "darwin" else peak / 1e3


def unheard(stage: str, fraction: float, preview: object = None) -> None:
    del stage, fraction, preview


def one_round(engine: ProjectionEngine, photo: bytes, size: int) -> float:
    request = TextureRequest(hashlib.sha256(photo).hexdigest(), PROMPT, size=size)
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        textures = engine.generate(request, (photo,), unheard)
        write_texture_set(Path(folder), request, engine, textures)
        return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[512, 1024, 2048, 4096])
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    photo = portrait()
    start = time.perf_counter()
    engine = ProjectionEngine()
    ready = time.perf_counter() - start
    first = ready + one_round(engine, photo, FIRST_SIZE)
    print(f"{platform.machine()}, {psutil.cpu_count()} cores")
    print(
        f"Engine ready in {ready:.2f} s, its first request at {FIRST_SIZE} done at {first:.2f} s (<= {TARGET_FIRST:g})"
    )
    print("| size | median s | target | fastest | slowest | peak memory MB | target |")
    print("|---|---|---|---|---|---|---|")
    for size in options.sizes:
        one_round(engine, photo, size)
        times = [one_round(engine, photo, size) for _ in range(options.rounds)]
        print(
            f"| {size} | {statistics.median(times):.2f} | {limit(TARGET_SECONDS, size)} | {min(times):.2f} "
            f"| {max(times):.2f} | {peak_memory_mb():.0f} | {limit(TARGET_MEMORY, size)} |",
            flush=True,
        )


def limit(targets: Mapping[int, float], size: int) -> str:
    return f"<= {targets[size]:g}" if size in targets else ""


if __name__ == "__main__":
    main()
