"""A real worker with the scripted engine, which can be made to die between any two of its steps."""

from __future__ import annotations

import dataclasses
import importlib
import sys
import time
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "server"))

from points import Plan, wrap
from scripted_worker import ScriptedEngine

import uvmap_id.manifest
from uvmap_id import worker
from uvmap_id.engines.base import Report, TextureSet
from uvmap_id.link.request import TextureRequest
from uvmap_id.server.words import Finished, Ready

WORKER_POINTS = (
    "worker before ready",
    "worker after claim",
    "worker at work",
    "worker before save",
    "worker after save",
    "worker after answer",
)


class Engine(ScriptedEngine):
    """What the scripted one does; `wait SECONDS` besides, reporting all the while."""

    def __init__(self, plan: Plan) -> None:
        super().__init__()
        self._plan = plan

    def generate(self, request: TextureRequest, photos: tuple[bytes, ...], report: Report) -> TextureSet:
        report("Working", 0.05)
        self._plan.reach("worker at work")
        word, *more = request.prompt.split()
        if word == "rhythmic" and not Path(more[0]).exists():
            for _ in range(3):
                time.sleep(0.15)
                report("Working", 0.1)
            request = dataclasses.replace(request, prompt=f"once {' '.join(more)}")
        if word == "wait":
            until = time.monotonic() + float(more[0])
            while time.monotonic() < until:
                time.sleep(0.01)
                report("Working", 0.1)
        return super().generate(request, photos, report)


def main() -> None:
    plan = Plan.current()
    if Path(sys.argv[1]).is_file():
        plan.note("broke", "the-import")
        importlib.import_module("a_module_that_is_missing")

    def before_say(_worker: object, word: object) -> None:
        if isinstance(word, Ready):
            plan.reach("worker before ready")
        said.append(word)

    def after_say(_: object) -> None:
        if isinstance(said.pop(), Finished):
            plan.reach("worker after answer")

    def begin(_worker: object, run: worker.Run) -> None:
        plan.note("begin", run.job)
        plan.reach("worker after claim")

    said: list[object] = []
    wrap(worker.Worker, "_say", before_say, after_say)
    wrap(worker.Worker, "_result_of", begin)
    wrap(
        uvmap_id.manifest,
        "write_texture_set",
        lambda *_: plan.reach("worker before save"),
        lambda _: plan.reach("worker after save"),
    )
    worker.serve(lambda _name: Engine(plan))


if __name__ == "__main__":
    main()
