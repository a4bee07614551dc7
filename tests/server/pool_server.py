"""A server that is nothing but a pool: gives a job for each prompt that it is told, and goes on until it is killed.

`pool_server.py FOLDER COUNT PROMPT ...`; says "busy PID ..." once its workers run, and "working" once
each of their engines is at work.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from pool_bench import QUICK, SCRIPTED, Bench

from uvmap_id.link.messages import Progress
from uvmap_id.server.pool import PoolOptions


def main() -> None:
    folder, count, *prompts = sys.argv[1:]
    bench = Bench(Path(folder))
    bench.use(PoolOptions(SCRIPTED, count=int(count), restarts=QUICK))
    given = 0
    working: set[str] = set()
    until = time.monotonic() + 60
    while time.monotonic() < until:
        while bench.pool.free():
            bench.give(f"{prompts[given % len(prompts)]} {given}")
            given += 1
        if given == int(count):
            say("busy", *(str(worker.pid) for worker in bench.workers()))
            given += int(count)
        working |= {word.job for word in bench.look() if isinstance(word, Progress) and word.stage == "Working"}
        if len(working) == int(count):
            say("working")
            working.add("")


def say(*words: str) -> None:
    sys.stdout.write(" ".join(words) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
