"""A process that uses a store without end, and is killed while it does. See `test_store_kill.py`.

It notes in a file what the store has promised, as soon as it has: `add ID`, `claim ID`, `end ID`, `again ID`.
"""

from __future__ import annotations

import os
import random
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

from uvmap_id.link.errors import Failure
from uvmap_id.link.messages import Done, Failed, ResultFile
from uvmap_id.link.request import TextureRequest
from uvmap_id.server.ledger import Ledger
from uvmap_id.server.seals import KeyFile
from uvmap_id.server.store import NewJob, Store, StoreOptions

OPTIONS = StoreOptions(ballast_bytes=0, floor_bytes=0)
AT_RANDOM = "at random"
POINTS = (
    "inside a transaction",
    "after a commit",
    "before a key is replaced",
    "after a key was replaced",
    "while recovering",
    "after jobs were added",
    "after a claim",
    "before an end",
    "after an end",
    "before an acknowledgement",
    "after an acknowledgement",
)
# Processes that are forked from one must not all roll the same dice.
CHANCE = random.SystemRandom()
_OPEN_JOBS = 25


def child(folder: Path, point: str, recovers: bool) -> None:
    """Use the store in a folder until killed, by itself where it comes to the named point."""

    def die_at(here: str, chance: float = 0.1) -> None:
        if here == point and CHANCE.random() < chance:
            os.kill(os.getpid(), signal.SIGKILL)

    _wrap(Ledger, "update", lambda: die_at("inside a transaction"), _nothing)
    _wrap(Ledger, "_shred", lambda: die_at("after a commit"), _nothing)
    store = Store(folder / "jobs.db", OPTIONS)
    # Opening replaces keys as well, and would be all that is ever tried.
    _wrap(KeyFile, "forget", lambda: die_at("before a key is replaced"), lambda: die_at("after a key was replaced"))
    if recovers:
        store.recover()
    with (folder / "promises").open("a", buffering=1) as promises:

        def promise(word: str, job: str) -> None:
            promises.write(f"{word} {job}\n")

        if point == "while recovering":
            _add(store, 5, promise)
            while (job := store.claim()) is not None:
                promise("claim", job.id)
            _wrap(Store, "_recover_row", _nothing, lambda: die_at("while recovering", 0.5))
        while True:
            if point == "while recovering":
                store.recover()
            _step(store, promise, die_at)


def _step(store: Store, promise: Callable[[str, str], object], die_at: Callable[[str], None]) -> None:
    if store.counts().open < _OPEN_JOBS:
        _add(store, CHANCE.choice((1, 1, 5)), promise)
        die_at("after jobs were added")
    claimed = store.claim()
    if claimed is None:
        return
    job = claimed.id
    promise("claim", job)
    die_at("after a claim")
    chance = CHANCE.random()
    if chance < 0.2:
        death = Failure("worker_died", "It died.") if chance < 0.1 else None
        promise("end" if store.requeue(job, death).state.ended else "again", job)
        return
    if chance < 0.3:
        store.ask_cancel(job)
    die_at("before an end")
    store.end(
        job, Done(job, "/x", {}, (ResultFile("a", 1, "0" * 64),)) if chance < 0.8 else Failed(job, "internal", "")
    )
    promise("end", job)
    die_at("after an end")
    if chance < 0.6:
        die_at("before an acknowledgement")
        store.acknowledge(job)
        die_at("after an acknowledgement")


def _add(store: Store, count: int, promise: Callable[[str, str], object]) -> None:
    jobs = [os.urandom(16).hex() for _ in range(count)]
    store.add([NewJob(job, TextureRequest(os.urandom(32).hex(), "a coat"), "local") for job in jobs])
    for job in jobs:
        promise("add", job)


def _wrap(owner: type, name: str, before: Callable[[], None], after: Callable[[], None]) -> None:
    real: Callable[..., Any] = getattr(owner, name)

    def wrapped(*arguments: Any, **named: Any) -> Any:
        before()
        result = real(*arguments, **named)
        after()
        return result

    setattr(owner, name, wrapped)


def _nothing() -> None:
    pass
