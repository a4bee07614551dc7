"""The table of states, tried in every direction."""

from __future__ import annotations

import itertools

import pytest

from uvmap_id.link.messages import Accepted, Cancelled, Done, Failed, Progress
from uvmap_id.link.request import TextureRequest
from uvmap_id.server import jobs as jobs_module
from uvmap_id.server.jobs import TRANSITIONS, Job, JobState, JobTable, TransitionError, request_digest

REQUEST = TextureRequest("0" * 64, "blue jeans")
ENDS = {JobState.DONE: Done, JobState.FAILED: Failed, JobState.CANCELLED: Cancelled}


def end_of(job: Job, state: JobState) -> Done | Failed | Cancelled:
    if state is JobState.DONE:
        return Done(job.id, "/folder")
    return Failed(job.id, "internal", "It broke.") if state is JobState.FAILED else Cancelled(job.id)


def job_in(table: JobTable, state: JobState) -> Job:
    job = table.add(f"{state}", REQUEST, b"client")
    if state is JobState.QUEUED:
        return job
    assert table.take_next() is job
    if state is JobState.CANCELLING:
        table.cancelling(job)
    elif state.ended:
        table.end(job, end_of(job, state))
    return job


def test_each_state_is_in_the_table() -> None:
    assert set(TRANSITIONS) == set(JobState)
    assert {state for state in JobState if state.ended} == set(ENDS)


@pytest.mark.parametrize(("before", "after"), list(itertools.product(JobState, ENDS)))
def test_a_job_ends_only_as_the_table_allows(before: JobState, after: JobState) -> None:
    table = JobTable()
    job = job_in(table, before)
    event = job.event
    allowed = (
        before is JobState.CANCELLING
        or (before is JobState.RUNNING)
        or (before is JobState.QUEUED and after is not JobState.DONE)
    )
    if allowed:
        table.end(job, end_of(job, after))
        assert (job.state, job.event) == (after, end_of(job, after))
    else:
        with pytest.raises(TransitionError):
            table.end(job, end_of(job, after))
        assert (job.state, job.event) == (before, event)


@pytest.mark.parametrize("state", [state for state in JobState if state is not JobState.RUNNING])
def test_only_a_running_job_can_be_on_its_way_out(state: JobState) -> None:
    table = JobTable()
    job = job_in(table, state)
    with pytest.raises(TransitionError):
        table.cancelling(job)


def test_jobs_run_first_in_first_out_and_cancelled_ones_are_passed_over() -> None:
    table = JobTable()
    first, second, third = (table.add(name, REQUEST, b"") for name in "abc")
    table.end(second, Cancelled("b"))
    assert table.take_next() is first
    assert table.open_jobs() == [first, third]
    assert table.take_next() is third
    assert table.take_next() is None


def test_the_newest_event_answers_for_the_job() -> None:
    table = JobTable()
    job = job_in(table, JobState.RUNNING)
    assert job.event == Accepted(job.id)
    table.progress(job, Progress(job.id, "Warping", 0.5))
    assert job.event == Progress(job.id, "Warping", 0.5)


def test_ended_jobs_are_forgotten_some_day_and_open_ones_never(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs_module, "_ENDED_KEPT", 2)
    table = JobTable()
    for name in "abcd":
        table.end(table.add(name, REQUEST, b""), Cancelled(name))
    waiting = table.add("e", REQUEST, b"")
    assert [name for name in "abcde" if table.get(name)] == ["c", "d", "e"]
    assert table.open_jobs() == [waiting]


def test_the_digest_tells_requests_apart() -> None:
    other = TextureRequest("0" * 64, "blue jeans", seed=1)
    assert request_digest(REQUEST) == request_digest(TextureRequest("0" * 64, "blue jeans"))
    assert request_digest(REQUEST) != request_digest(other)
