"""A real server whose functions are wrapped, so that it can be made to die between any two of its steps."""

from __future__ import annotations

import argparse
import faulthandler
import sys
import time
from pathlib import Path
from typing import Any

from points import Plan, wrap

# Each is reached at least once by a job that is submitted, done, and acknowledged.
SERVER_POINTS = (
    "server before accepting",
    "server after accepting",
    "server after claim",
    "server before rename",
    "server after rename",
    "server inside the end",
    "server after commit",
    "server before ack",
    "server after ack",
    "server after upload",
)
START_POINTS = ("server while recovering", "server after connection file")
CANCEL_POINT = "server after cancel"
_ROUND_S = 5.0


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("command", choices=["serve"])
    parser.add_argument("--idle-minutes", type=float)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--step-s", type=float, default=60.0)
    parser.add_argument("--load-s", type=float, default=300.0)
    parser.add_argument("--no-recovery", action="store_true")
    parser.add_argument("--protocol", type=int)
    parser.add_argument("--oldest", type=int)
    parser.add_argument("--floor", type=int)
    parser.add_argument("--ballast", type=int)
    parser.add_argument("--try-again-s", type=float)
    parser.add_argument("--queue", type=int)
    parser.add_argument("--keep-days", type=float, default=0.0)
    parser.add_argument("--worker-breaks-while", default="")
    arguments = parser.parse_args()
    plan = Plan.current()
    # Before the product is imported, which takes hold of the clock.
    set_clock(plan)
    wrap_everything(plan, arguments.no_recovery)
    from uvmap_id.link.connection import state_dir
    from uvmap_id.link.errors import UVMapError
    from uvmap_id.link.launcher import EXIT_ALREADY_RUNNING
    from uvmap_id.server import space
    from uvmap_id.server.limits import RestartLimits, StageLimits
    from uvmap_id.server.main import AlreadyRunningError, ServerOptions, serve
    from uvmap_id.server.pool import PoolOptions
    from uvmap_id.server.retention import RetentionOptions
    from uvmap_id.server.store import StoreOptions

    if arguments.try_again_s is not None:
        space._TRY_AGAIN_S = arguments.try_again_s
    speak(arguments.protocol, arguments.oldest)
    worker = (sys.executable, str(Path(__file__).with_name("fault_worker.py")), arguments.worker_breaks_while)
    step = arguments.step_s
    chosen = {"floor_bytes": arguments.floor, "ballast_bytes": arguments.ballast, "queue_limit": arguments.queue}
    try:
        serve(
            ServerOptions(
                state_dir(),
                arguments.idle_minutes,
                workers=arguments.workers,
                worker_command=worker,
                cancel_grace_s=0.5,
                retention=RetentionOptions(arguments.keep_days),
                store=StoreOptions(**{name: value for name, value in chosen.items() if value is not None}),
                pool=PoolOptions(
                    limits=StageLimits(arguments.load_s, step, save_s=step), restarts=RestartLimits(0.01, 0.05)
                ),
            )
        )
    except AlreadyRunningError:
        return EXIT_ALREADY_RUNNING
    except UVMapError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    return 0


def set_clock(plan: Plan) -> None:
    """The wall clock shows what the plan's file "clock" says it is off by, in seconds."""
    real = time.time

    def shifted() -> float:
        try:
            return real() + float((plan.folder / "clock").read_text())
        except (FileNotFoundError, ValueError):
            return real()

    time.time = shifted


def speak(protocol: int | None, oldest: int | None) -> None:
    """Be a server of another version."""
    from uvmap_id.server import handshake, main

    if protocol is not None:
        handshake.PROTOCOL = main.PROTOCOL = protocol  # pyright: ignore[reportPrivateImportUsage]
    if oldest is not None:
        handshake.OLDEST_PROTOCOL = oldest  # pyright: ignore[reportPrivateImportUsage]


def wrap_everything(plan: Plan, no_recovery: bool) -> None:
    """Put the points between the steps, and have the diary kept."""
    from uvmap_id.server import main
    from uvmap_id.server.ledger import Ledger
    from uvmap_id.server.results import Results
    from uvmap_id.server.staging import Staging
    from uvmap_id.server.store import Store

    def at(point: str) -> Any:
        return lambda *_: plan.reach(point)

    def after_claim(job: Any) -> None:
        if job is not None:
            plan.note("claim", job.id)
            plan.reach("server after claim")

    def after_end(job: Any) -> None:
        plan.note("end", job.id, job.state.value)
        plan.reach("server after commit")

    wrap(Store, "add", at("server before accepting"), at("server after accepting"))
    wrap(Store, "claim", after=after_claim)
    wrap(Results, "commit", at("server before rename"), at("server after rename"))
    wrap(Ledger, "end", after=at("server inside the end"))
    wrap(Store, "end", after=after_end)
    wrap(Store, "acknowledge", at("server before ack"), at("server after ack"))
    wrap(Store, "ask_cancel", after=at(CANCEL_POINT))
    wrap(Store, "_recover_row", after=at("server while recovering"))
    wrap(Staging, "put", after=at("server after upload"))
    wrap(main, "write_connection", after=at("server after connection file"))
    # A round of the loop that takes longer says at what.
    wrap(main._Server, "_round", lambda *_: faulthandler.dump_traceback_later(_ROUND_S))
    if no_recovery:
        Store.recover = lambda *_: []  # pyright: ignore[reportAttributeAccessIssue]


if __name__ == "__main__":
    sys.exit(main())
