"""What a client knows of its jobs: which have not ended for it yet, and what to ask about each."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from .messages import Accepted, Cancel, Command, JobEvent, Progress, Retry, Status


@dataclass(slots=True)
class _Followed:
    # When anything was heard of it last, or it was asked about.
    stirred: float
    cancelling: bool = False
    retry: Retry | None = None
    furthest: float = 0.0


class Following:
    """The jobs that a client follows. Each ends for its caller once: then it is followed no more."""

    def __init__(self) -> None:
        """No jobs yet."""
        self._jobs: dict[str, _Followed] = {}

    def __bool__(self) -> bool:
        """True while a job has not ended."""
        return bool(self._jobs)

    def __contains__(self, job: str) -> bool:
        """True while this job has not ended."""
        return job in self._jobs

    def follow(self, job: str, now: float) -> None:
        """Hear of a job from now on."""
        self._jobs.setdefault(job, _Followed(now))

    def cancel(self, job: str, now: float) -> None:
        """Hear of a job from now on, and ask for its end until it has ended."""
        self.follow(job, now)
        self._jobs[job].cancelling = True

    def retry(self, command: Retry, now: float) -> None:
        """Hear of the new job; `command` is sent again until there is an answer."""
        self.follow(command.new_job, now)
        self._jobs[command.new_job].retry = command

    def is_unanswered_retry(self, job: str) -> bool:
        """True while the server has not said anything about a job that `retry` made."""
        return job in self._jobs and self._jobs[job].retry is not None

    def is_cancelling(self, job: str) -> bool:
        """True while a job has not ended though that was asked for."""
        return job in self._jobs and self._jobs[job].cancelling

    def news(self, event: JobEvent, now: float) -> bool:
        """Whether the caller should hear of an event: not of jobs that have ended for it."""
        known = self._jobs.get(event.job)
        if known is None:
            return False
        known.stirred, known.retry = now, None
        match event:
            case Accepted():
                # A job that was put back into the queue begins anew.
                known.furthest = 0.0
            case Progress():
                backwards = event.fraction < known.furthest
                known.furthest = event.fraction if event.fraction == 0.0 else max(known.furthest, event.fraction)
                return not backwards or event.fraction == 0.0
            case _:
                del self._jobs[event.job]
        return True

    def end(self, job: str) -> bool:
        """The job ends for its caller now. False when it had ended already."""
        return self._jobs.pop(job, None) is not None

    def end_all(self) -> list[str]:
        """All jobs end now; which they were."""
        jobs = list(self._jobs)
        self._jobs.clear()
        return jobs

    def questions(self, now: float, limit: int, excluded: Iterable[str]) -> list[Command]:
        """What to ask about the jobs that nothing was heard of for the longest time.

        Args:
            now: The time.
            limit: About at most so many.
            excluded: Not about these.
        """
        left_out = set(excluded)
        candidates = [(known.stirred, job) for job, known in self._jobs.items() if job not in left_out]
        chosen = [job for _, job in sorted(candidates)[:limit]]
        for job in chosen:
            self._jobs[job].stirred = now
        return [self.question(job) for job in chosen]

    def question(self, job: str) -> Command:
        """What to ask about a job."""
        known = self._jobs[job]
        if known.retry is not None:
            return known.retry
        return Cancel(job) if known.cancelling else Status(job)
