"""What the queue's panel draws: plain values, made in the tick, so that drawing asks nothing and decides nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from .jobs import Job, JobState
from .link.errors import Failure
from .translations import failure_said, said, translated

_MINUTE, _HOUR = 60, 3600
_LABEL_LIMIT = 40


@dataclass(frozen=True, slots=True)
class Row:
    """One job in the queue.

    Attributes:
        key: The session's name for the job.
        owner: The `session_uid` of the scene that asked.
        label: Its prompt and seed.
        text: On the progress bar: what is done, and how long it still takes; or how it ended.
        fraction: 0 to 1.
        state: Where it is.
        icon: Of its preview; 0 where there is none.
        failure: Why it failed.
        notes: Sentences for a person.
    """

    key: str
    owner: int
    label: str
    text: str
    fraction: float
    state: JobState
    icon: int = 0
    failure: Failure | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The queue.

    Attributes:
        rows: Its jobs in their order.
        open: How many have not ended.
        left: How long all of them still take, in words; empty while nothing can be said.
    """

    rows: tuple[Row, ...] = ()
    open: int = 0
    left: str = ""


def snapshot_of(jobs: Sequence[Job], now: float, icon_of: Callable[[Job], int]) -> Snapshot:
    """The queue as it is now.

    Args:
        jobs: The session's.
        now: The session's clock.
        icon_of: The icon of a job's preview.
    """
    news = _news(jobs)
    shown = [job for job in jobs if job.state is not JobState.DONE or news[job.key]]
    rows = tuple(_row(job, now, icon_of(job), news[job.key]) for job in shown)
    unended = [job for job in jobs if not job.ended]
    return Snapshot(rows, len(unended), _whole(unended, jobs, now))


def in_words(seconds: float) -> str:
    """A time for a person: "under 1 min", "5 min", "2 h 10 min"."""
    if seconds < 10:
        return f"{max(1, round(seconds))} s"
    if seconds < _MINUTE:
        return f"{round(seconds / 10) * 10} s"
    if seconds < _HOUR:
        return f"{round(seconds / _MINUTE)} min"
    hours, rest = divmod(round(seconds / _MINUTE), 60)
    return f"{hours} h {rest} min"


def _news(jobs: Sequence[Job]) -> dict[str, tuple[str, ...]]:
    """What each job warns of, by its key; what several that are done warn of is said once, by the newest of them."""
    said_already, news = set[str](), dict[str, tuple[str, ...]]()
    for job in reversed(jobs):
        news[job.key] = tuple(warning for warning in job.warnings if warning not in said_already)
        if job.state is JobState.DONE:
            said_already.update(job.warnings)
    return news


def _row(job: Job, now: float, icon: int, warnings: tuple[str, ...]) -> Row:
    label = f"{job.request.prompt[:_LABEL_LIMIT]} · {job.request.seed}"
    notes = (*((job.notice,) if job.notice else ()), *warnings)
    return Row(job.key, job.owner, label, _text(job, now), job.fraction, job.state, icon, job.failure, notes)


def _text(job: Job, now: float) -> str:
    if job.state is JobState.CANCELLED:
        return said("Cancelled")
    if job.state is JobState.DONE:
        return said("Done in {seconds} s", seconds=f"{job.seconds:.0f}")
    if job.failure is not None:
        return failure_said(job.failure)
    if job.state is not JobState.RUNNING:
        return translated(job.stage)
    left = job.time_left(now)
    text = f"{translated(job.stage)} {job.fraction:.0%}"
    return text if left is None else text + said(", {time} left", time=in_words(left))


def _whole(unended: Sequence[Job], jobs: Sequence[Job], now: float) -> str:
    """Running jobs take what their pace says; those that wait take as long as the last ones that were done took."""
    if len(unended) < 2:
        return ""
    lefts = [job.time_left(now) for job in unended if job.state is JobState.RUNNING]
    known = [left for left in lefts if left is not None]
    if not known:
        return ""
    paces = [job.time_needed() for job in jobs]
    needed = [pace for pace in paces if pace is not None]
    if not needed:
        return ""
    waiting = sum(job.state is not JobState.RUNNING for job in unended)
    return in_words(max(known) + waiting * sum(needed) / len(needed))
