"""The store against a model of it that fits on a page, whatever is done in whatever order, restarts included."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, multiple, rule

from uvmap_id.link.errors import Failure, UVMapError
from uvmap_id.link.messages import Cancelled, Done, Failed
from uvmap_id.link.request import TextureRequest
from uvmap_id.server.states import DEATHS_LIMIT, JobState, TransitionError
from uvmap_id.server.store import NewJob, Store, StoreOptions

OPTIONS = StoreOptions(queue_limit=12, ballast_bytes=0, floor_bytes=0)
OWNERS = st.sampled_from(["local", "stranger"])
SESSIONS = st.sampled_from("ab")
Q, R = JobState.QUEUED, JobState.RUNNING


@dataclass(frozen=True)
class Model:
    """What is to be known of one job."""

    owner: str
    session: str
    priority: int
    prompt: str
    place: Fraction
    state: JobState = Q
    deaths: int = 0
    asked: bool = False
    acknowledged: bool = False
    code: str = ""

    @property
    def remembered(self) -> bool:
        return not self.acknowledged and self.state is not JobState.CANCELLED


class StoreMachine(RuleBasedStateMachine):
    jobs = Bundle("jobs")

    @initialize()
    def begin(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.model: dict[str, Model] = {}
        self.served: dict[tuple[str, str], int] = {}
        self.turns = self.made = 0
        self.seen: dict[str, tuple[int, dict[str, JobState]]] = {}
        self.paused = ""
        self.store = self.open()

    def open(self) -> Store:
        return Store(Path(self.folder.name) / "jobs.db", OPTIONS)

    def teardown(self) -> None:
        self.store.close()
        self.folder.cleanup()

    # --- what clients do -----------------------------------------------------------------------------

    @rule(target=jobs, batch=st.lists(st.tuples(OWNERS, SESSIONS, st.integers(0, 1)), min_size=1, max_size=5))
    def add(self, batch: list[tuple[str, str, int]]) -> object:
        names = [f"{self.made + number:032x}" for number in range(len(batch))]
        new = [NewJob(job, request(job), *whose) for job, whose in zip(names, batch, strict=True)]
        queued = Counter(known.owner for known in self.model.values() if known.state is Q)
        queued.update(owner for owner, _session, _priority in batch)
        if any(queued[owner] > OPTIONS.queue_limit for owner, _session, _priority in batch):
            self.refused("queue_full", lambda: self.store.add(new))
            return multiple()
        self.made += len(batch)
        assert [job.id for job in self.store.add(new)] == names
        for job, whose in zip(names, batch, strict=True):
            self.model[job] = Model(*whose, job, self.last())
        return multiple(*names)

    @rule(job=jobs, owner=OWNERS)
    def add_again(self, job: str, owner: str) -> None:
        known = self.model.get(job)
        if known is None:
            return
        if known.owner == owner:
            assert self.store.add([NewJob(job, request(job), owner, "other", 5)])[0].state is known.state
        else:
            self.refused("job_id_conflict", lambda: self.store.add([NewJob(job, request(job), owner)]))

    @rule(job=jobs)
    def ask_cancel(self, job: str) -> None:
        known = self.model.get(job)
        if known is None:
            self.refused("job_unknown", lambda: self.store.ask_cancel(job))
            return
        self.store.ask_cancel(job)
        if known.state is Q:
            self.change(job, state=JobState.CANCELLED)
        elif known.state is R:
            self.change(job, asked=True)

    @rule(job=jobs, other=jobs, priority=st.sampled_from([None, 0, 1, 2]))
    def move(self, job: str, other: str, priority: int | None) -> None:
        before = None if priority is not None else other
        wanted = [self.model.get(each) for each in (job, before) if each is not None]
        if any(each is None for each in wanted) and (wanted[0] is None or wanted[0].state is Q):
            self.refused("job_unknown", lambda: self.store.move(job, priority, before))
        elif any(each is None or each.state is not Q for each in wanted) and job != before:
            self.refused("job_state_wrong", lambda: self.store.move(job, priority, before))
        elif priority is not None:
            self.store.move(job, priority)
            self.change(job, priority=priority)
        elif self.model[job].state is Q:
            self.store.move(job, before=before)
            if job != before:
                self.move_before(job, other)

    @rule(job=jobs)
    def acknowledge(self, job: str) -> None:
        known = self.model.get(job)
        if known is None or not known.state.ended:
            code = "job_unknown" if known is None else "job_state_wrong"
            self.refused(code, lambda: self.store.acknowledge(job))
        else:
            self.store.acknowledge(job)
            self.change(job, acknowledged=True)

    @rule(owner=OWNERS, chosen=st.none() | st.lists(jobs, max_size=3))
    def purge(self, owner: str, chosen: list[str] | None) -> None:
        mine = {job for job, known in self.model.items() if known.owner == owner and known.state.ended}
        gone = mine if chosen is None else mine & set(chosen)
        assert {job.id for job in self.store.purge(owner, chosen)} == gone
        for job in gone:
            del self.model[job]
            self.seen.get(owner, (0, {}))[1].pop(job, None)

    @rule(owner=OWNERS, limit=st.integers(1, 4))
    def catch_up(self, owner: str, limit: int) -> None:
        """A client that keeps asking for what is new knows what the store knows."""
        since, states = self.seen.get(owner, (0, {}))
        while True:
            jobs, seq = self.store.list(owner, since, limit)
            states |= {job.id: job.state for job in jobs}
            assert [job.seq for job in jobs] == sorted({job.seq for job in jobs})
            if len(jobs) < limit:
                break
            since = seq
        self.seen[owner] = (seq, states)
        assert states == {job: known.state for job, known in self.model.items() if known.owner == owner}

    @rule(why=st.sampled_from(["", "", "", "user"]))
    def pause(self, why: str) -> None:
        self.store.set_paused(why)
        self.paused = why

    # --- what the server does ------------------------------------------------------------------------

    @rule(times=st.integers(1, 6))
    def claim(self, times: int) -> None:
        for _ in range(times):
            self.claim_one()

    @rule()
    def claim_all(self) -> None:
        """The whole order of the queue."""
        for _ in range(len(self.model)):
            self.claim_one()

    def claim_one(self) -> None:
        queue = [] if self.paused else [job for job, known in self.model.items() if known.state is Q]
        job = self.store.claim()
        if not queue:
            assert job is None
            return
        expected = min(queue, key=self.rank)
        assert job is not None
        assert job.id == expected
        assert job.request == request(expected)
        self.change(expected, state=R)
        self.turns += 1
        self.served[self.model[expected].owner, self.model[expected].session] = self.turns

    @rule(number=st.integers(0, 9), died=st.booleans())
    def requeue_running(self, number: int, died: bool) -> None:
        self.with_running(number, lambda job: self.requeue(job, died))

    @rule(number=st.integers(0, 9), end=st.sampled_from([JobState.DONE, JobState.FAILED, JobState.CANCELLED]))
    def end_running(self, number: int, end: JobState) -> None:
        self.with_running(number, lambda job: self.end(job, end))

    def with_running(self, number: int, action: Callable[[str], None]) -> None:
        """Most jobs don't run, so chance alone would seldom find one that does."""
        running = sorted(job for job, known in self.model.items() if known.state is R)
        if running:
            action(running[number % len(running)])

    @rule(job=jobs, died=st.booleans())
    def requeue(self, job: str, died: bool) -> None:
        known = self.model.get(job)
        if known is None or known.state is not R:
            with pytest.raises((UVMapError, TransitionError)):
                self.store.requeue(job, None)
            return
        self.store.requeue(job, Failure("worker_died", "It died.") if died else None)
        deaths = known.deaths + died
        if known.asked:
            self.change(job, state=JobState.CANCELLED)
        elif died and deaths >= DEATHS_LIMIT:
            self.change(job, state=JobState.FAILED, deaths=deaths, code="job_poisonous")
        else:
            self.change(job, state=Q, deaths=deaths, place=self.first())

    @rule(job=jobs, end=st.sampled_from([JobState.DONE, JobState.FAILED, JobState.CANCELLED]))
    def end(self, job: str, end: JobState) -> None:
        known = self.model.get(job)
        event = {
            JobState.DONE: Done(job, "/x", {"prompt": job}),
            JobState.FAILED: Failed(job, "internal", "It broke."),
            JobState.CANCELLED: Cancelled(job),
        }[end]
        if known is None or known.state.ended or (known.state is Q and end is JobState.DONE):
            with pytest.raises((UVMapError, TransitionError)):
                self.store.end(job, event)
            return
        if known.asked and end is JobState.FAILED:
            end, event = JobState.CANCELLED, Cancelled(job)
        assert self.store.end(job, event).event == event
        self.change(job, state=end, code="internal" if end is JobState.FAILED else "")

    @rule(crash=st.booleans())
    def restart(self, crash: bool) -> None:
        """A crash is one that leaves the old connection as it is."""
        old = self.store
        if not crash:
            old.close()
        self.store = self.open()
        self.store.recover()
        if crash:
            old.close()
        running = sorted((known.place, job) for job, known in self.model.items() if known.state is R)
        for _place, job in reversed(running):
            known = self.model[job]
            if known.asked:
                self.change(job, state=JobState.CANCELLED)
            else:
                self.change(job, state=Q, place=self.first())
        open_jobs = {(known.owner, known.session) for known in self.model.values() if not known.state.ended}
        self.served = {turn: when for turn, when in self.served.items() if turn in open_jobs}

    # --- what is always true -------------------------------------------------------------------------

    @invariant()
    def the_same_jobs(self) -> None:
        for job, known in self.model.items():
            stored = self.store.get(job, known.owner)
            assert stored is not None
            assert (stored.state, stored.priority, stored.deaths) == (known.state, known.priority, known.deaths)
            assert stored.acknowledged == known.acknowledged
            assert stored.request == (request(job) if known.remembered else None)
            assert getattr(stored.event, "code", "") == known.code
            if known.state is JobState.DONE:
                assert stored.event == (Done(job, "/x", {"prompt": job}) if known.remembered else Done(job, ""))
        counts = self.store.counts()
        assert counts.open == sum(not known.state.ended for known in self.model.values())
        assert sum((counts.open, counts.done, counts.failed, counts.cancelled)) == len(self.model)
        needed = {(known.owner, request(job).face_sha256) for job, known in self.model.items() if known.remembered}
        assert self.store.references() == needed

    # --- the model's own hands -----------------------------------------------------------------------

    def rank(self, job: str) -> tuple[int, int, int, Fraction]:
        known = self.model[job]
        owner = max((when for turn, when in self.served.items() if turn[0] == known.owner), default=0)
        return -known.priority, owner, self.served.get((known.owner, known.session), 0), known.place

    def places(self) -> list[Fraction]:
        return sorted(known.place for known in self.model.values() if known.state is Q)

    def first(self) -> Fraction:
        return (self.places() or [Fraction(0)])[0] - 1

    def last(self) -> Fraction:
        return (self.places() or [Fraction(0)])[-1] + 1

    def move_before(self, job: str, other: str) -> None:
        place = self.model[other].place
        ahead = [each for each in self.places() if each < place]
        self.change(job, priority=self.model[other].priority, place=(ahead[-1] + place) / 2 if ahead else place - 1)

    def change(self, job: str, **fields: object) -> None:
        self.model[job] = replace(self.model[job], **fields)  # pyright: ignore[reportArgumentType]

    def refused(self, code: str, action: Callable[[], object]) -> None:
        with pytest.raises(UVMapError) as caught:
            action()
        assert caught.value.failure.code == code


def request(job: str) -> TextureRequest:
    return TextureRequest(f"{job}{job}", job)


TestStoreModel = StoreMachine.TestCase
TestStoreModel.settings = settings(max_examples=80, stateful_step_count=50)
