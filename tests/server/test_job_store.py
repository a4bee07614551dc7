"""What the store promises, one thing at a time. `test_store_model.py` tries them in any order."""

from __future__ import annotations

import itertools
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from uvmap_id.link.errors import Failure, UVMapError
from uvmap_id.link.messages import Accepted, Cancelled, Done, Failed, ResultFile
from uvmap_id.link.request import DiffusionSettings, TextureRequest
from uvmap_id.server.states import (
    DEATHS_LIMIT,
    END_STATES,
    TRANSITIONS,
    Counts,
    End,
    JobState,
    TransitionError,
    check_transition,
    request_digest,
)
from uvmap_id.server.store import NewJob, Store, StoredJob, StoreOptions

OPTIONS = StoreOptions(ballast_bytes=0, floor_bytes=0)
REQUEST = TextureRequest("a" * 64, "blue jeans", more_faces=("b" * 64,), diffusion=DiffusionSettings(steps=7))
DEATH = Failure("worker_died", "The worker was killed (SIGKILL).", "Try again.")

OpenStore = Callable[..., Store]


def name(number: int) -> str:
    return f"{number:032x}"


def new(number: int, owner: str = "local", **fields: object) -> NewJob:
    return NewJob(name(number), REQUEST, owner, **fields)  # pyright: ignore[reportArgumentType]


def done(number: int, size: int = 10) -> Done:
    return Done(name(number), "/result", {"maps": {}, "details": "x"}, (ResultFile("a.png", size, "c" * 64),))


@pytest.fixture
def open_store(tmp_path: Path) -> Iterator[OpenStore]:
    stores: list[Store] = []

    def make(options: StoreOptions = OPTIONS, clock: Callable[[], float] = lambda: 1000.0) -> Store:
        for store in stores:
            store.close()
        stores[:] = [Store(tmp_path / "jobs.db", options, clock)]
        return stores[0]

    yield make
    for store in stores:
        store.close()


@pytest.fixture
def store(open_store: OpenStore) -> Store:
    return open_store()


def claimed(store: Store, number: int = 1) -> StoredJob:
    store.add([new(number)])
    job = store.claim()
    assert job is not None
    assert job.id == name(number)
    return job


def code_of(action: Callable[[], object]) -> str:
    with pytest.raises(UVMapError) as caught:
        action()
    return caught.value.failure.code


def test_the_table_of_states_is_whole() -> None:
    assert set(TRANSITIONS) == set(JobState)
    assert {state for state in JobState if state.ended} == set(END_STATES.values())


@pytest.mark.parametrize(("before", "after"), list(itertools.product(JobState, JobState)))
def test_states_change_only_as_the_table_says(before: JobState, after: JobState) -> None:
    if after in TRANSITIONS[before]:
        check_transition("job", before, after)
    else:
        with pytest.raises(TransitionError):
            check_transition("job", before, after)


@pytest.mark.parametrize("end", [done(1), Failed(name(1), "internal", "It broke."), Cancelled(name(1))])
@pytest.mark.parametrize("again", [done(1), Failed(name(1), "internal", "Twice."), Cancelled(name(1))])
def test_an_end_is_for_good(store: Store, end: End, again: End) -> None:
    claimed(store)
    ended = store.end(name(1), end)
    assert (ended.event, ended.state) == (end, END_STATES[type(end)])
    with pytest.raises(TransitionError):
        store.end(name(1), again)
    with pytest.raises(TransitionError):
        store.requeue(name(1), None)
    assert store.ask_cancel(name(1)) == ended
    assert store.get(name(1)) == ended


def test_a_job_is_stored_as_it_was_submitted(open_store: OpenStore) -> None:
    (job,) = open_store().add([new(1, session="window", priority=3, retry_of=name(9))])
    assert (job.request, job.digest) == (REQUEST, request_digest(REQUEST))
    assert (job.owner, job.session, job.priority, job.retry_of) == ("local", "window", 3, name(9))
    assert (job.state, job.event, job.created) == (JobState.QUEUED, Accepted(job.id), 1000.0)
    assert open_store().get(job.id) == job


def test_an_end_is_stored_whole(open_store: OpenStore) -> None:
    store = open_store()
    claimed(store)
    store.end(name(1), done(1))
    job = open_store().get(name(1))
    assert job is not None
    assert (job.event, job.ended, job.started) == (done(1), 1000.0, 1000.0)


def test_submitting_twice_is_harmless(store: Store) -> None:
    (first,) = store.add([new(1)])
    assert store.add([new(1), new(1)]) == [first, first]
    assert store.counts() == Counts(queued=1)


@pytest.mark.parametrize(
    "other", [NewJob(name(1), TextureRequest("a" * 64, "a coat"), "local"), NewJob(name(1), REQUEST, "stranger")]
)
def test_an_id_is_used_once(store: Store, other: NewJob) -> None:
    store.add([new(1)])
    assert code_of(lambda: store.add([new(2), other])) == "job_id_conflict"
    assert code_of(lambda: store.add([new(3), NewJob(name(3), REQUEST, "stranger")])) == "job_id_conflict"
    assert store.counts() == Counts(queued=1), "a batch is accepted as a whole or not at all"


def test_a_full_queue_refuses_its_owner_only(open_store: OpenStore) -> None:
    store = open_store(StoreOptions(queue_limit=2, ballast_bytes=0, floor_bytes=0))
    store.add([new(1)])
    assert code_of(lambda: store.add([new(2), new(3)])) == "queue_full"
    store.add([new(1), new(2)])
    store.add([new(4, "stranger")])
    assert store.counts("local") == Counts(queued=2)
    store.claim()
    store.add([new(3)])


def test_owners_dont_see_each_other(store: Store) -> None:
    store.add([new(1), new(2, "stranger")])
    assert store.get(name(2), "local") is None
    assert store.get(name(2), "stranger") is not None
    assert [job.id for job in store.list("local")[0]] == [name(1)]
    assert store.owners() == {"local", "stranger"}


def test_the_list_tells_each_change_once(store: Store) -> None:
    store.add([new(number, session=str(number % 2)) for number in range(5)])
    jobs, seq = store.list("local", 0, limit=3)
    assert [job.id for job in jobs] == [name(0), name(1), name(2)]
    assert seq == jobs[-1].seq
    jobs, seq = store.list("local", seq, limit=3)
    assert [job.id for job in jobs] == [name(3), name(4)]
    assert seq == store.seq
    assert store.list("local", seq) == ([], seq)
    store.ask_cancel(name(1))
    jobs, seq = store.list("local", seq)
    assert [(job.id, job.state) for job in jobs] == [(name(1), JobState.CANCELLED)]
    assert [job.id for job in store.list("local", session="1")[0]] == [name(3), name(1)]


def test_numbers_from_a_lost_database_tell_everything(store: Store) -> None:
    store.add([new(1)])
    assert len(store.list("local", store.seq + 1000)[0]) == 1


def test_the_queue_is_fair(store: Store) -> None:
    """One with many jobs, or many sessions, has no advantage over one with a single job; priority has."""
    store.add([new(number, session="many") for number in range(3)])
    store.add([new(10 + number, session=str(number)) for number in range(2)])
    store.add([new(20, "stranger"), new(21, "stranger")])
    store.add([new(30, priority=1), new(31, "stranger", priority=-1)])
    order = []
    while (job := store.claim()) is not None:
        order.append(int(job.id, 16))
    assert order == [30, 20, 0, 21, 10, 11, 1, 2, 31]


def test_queued_jobs_can_be_moved(store: Store) -> None:
    store.add([new(number) for number in range(5)])
    store.move(name(4), before=name(1))
    store.move(name(0), priority=-1)
    store.move(name(3), before=name(3))
    order = []
    while (job := store.claim()) is not None:
        order.append(int(job.id, 16))
    assert order == [4, 1, 2, 3, 0]
    assert code_of(lambda: store.move(name(1), priority=1)) == "job_state_wrong"
    store.add([new(9)])
    assert code_of(lambda: store.move(name(9), before=name(1))) == "job_state_wrong"
    assert code_of(lambda: store.move(name(9), before=name(77))) == "job_unknown"


def test_places_never_run_out(store: Store) -> None:
    """Halving a distance a hundred times is more than a float can."""
    store.add([new(number) for number in range(3)])
    for turn in range(100):
        store.move(name(1 + turn % 2), before=name(2 - turn % 2))
    order = []
    while (job := store.claim()) is not None:
        order.append(int(job.id, 16))
    assert order == [0, 2, 1]


def test_a_running_job_is_asked_to_end(store: Store) -> None:
    claimed(store)
    asked = store.ask_cancel(name(1))
    assert (asked.state, asked.cancel_asked) == (JobState.RUNNING, True)
    assert store.ask_cancel(name(1)) == asked
    ended = store.end(name(1), Failed(name(1), "internal", "It broke on the way out."))
    assert ended.event == Cancelled(name(1))


def test_a_result_that_came_before_the_end_counts(store: Store) -> None:
    claimed(store)
    store.ask_cancel(name(1))
    assert store.end(name(1), done(1)).state is JobState.DONE


def test_a_cancelled_job_says_nothing_of_a_person(store: Store) -> None:
    store.add([new(1)])
    job = store.ask_cancel(name(1))
    assert (job.state, job.request, job.event) == (JobState.CANCELLED, None, Cancelled(name(1)))
    assert store.references() == set()


def test_a_job_that_kills_its_workers_ends(store: Store) -> None:
    claimed(store)
    for deaths in range(1, DEATHS_LIMIT):
        job = store.requeue(name(1), DEATH, "Segmentation fault")
        assert (job.state, job.deaths, job.started) == (JobState.QUEUED, deaths, None)
        assert store.claim() is not None
        assert store.requeue(name(1), None).deaths == deaths, "a death that it isn't to blame for"
        assert store.claim() is not None
    job = store.requeue(name(1), DEATH, "Segmentation fault")
    assert isinstance(job.event, Failed)
    assert (job.state, job.event.code, job.event.log) == (JobState.FAILED, "job_poisonous", "Segmentation fault")
    assert DEATH.message in job.event.message
    assert job.event.hint


def test_a_job_that_lost_its_worker_goes_first(store: Store) -> None:
    claimed(store)
    store.add([new(2), new(3)])
    store.requeue(name(1), DEATH)
    assert store.claim() == store.get(name(1))


def test_a_job_that_lost_its_worker_and_was_to_end_does(store: Store) -> None:
    claimed(store)
    store.ask_cancel(name(1))
    assert store.requeue(name(1), DEATH).event == Cancelled(name(1))


def test_a_new_server_recovers_what_ran(open_store: OpenStore) -> None:
    store = open_store()
    store.add([new(number) for number in range(6)])
    for _ in range(4):
        store.claim()
    store.ask_cancel(name(1))
    store.ask_cancel(name(2))
    store.set_paused("worker_crash_loop")
    store = open_store()
    changed = store.recover(lambda job: done(int(job, 16)) if job in (name(2), name(3)) else None)
    assert {int(job.id, 16): job.state.value for job in changed} == {
        0: "queued",
        1: "cancelled",
        2: "cancelled",
        3: "done",
    }
    assert store.paused == "", "what broke the workers may have been mended"
    assert store.recover() == []
    assert [store.claim(), store.claim()] == [store.get(name(0)), store.get(name(4))]


def test_pauses(open_store: OpenStore) -> None:
    store = open_store()
    store.add([new(1)])
    store.set_paused("user")
    store.set_paused("worker_crash_loop")
    store.set_paused("disk_full")
    assert store.paused == "user"
    assert store.claim() is None
    store = open_store()
    assert store.paused == "user", "the user's pause outlives the server"
    store.recover()
    assert store.paused == "user"
    store.set_paused("")
    assert store.claim() is not None


def test_acknowledging_forgets(open_store: OpenStore) -> None:
    store = open_store()
    claimed(store)
    assert code_of(lambda: store.acknowledge(name(1))) == "job_state_wrong"
    store.end(name(1), done(1))
    assert store.references() == {("local", "a" * 64), ("local", "b" * 64)}
    job = store.acknowledge(name(1))
    assert (job.acknowledged, job.request, job.event) == (True, None, Done(name(1), ""))
    assert store.acknowledge(name(1)) == job
    assert store.references() == open_store().references() == set()
    assert open_store().add([new(1)]) == [job], "a late copy of the submit is no new job"


def test_a_failure_keeps_its_code_when_forgotten(store: Store) -> None:
    claimed(store)
    store.end(name(1), Failed(name(1), "face_not_found", "There is no face in mother.jpg."))
    job = store.acknowledge(name(1))
    assert isinstance(job.event, Failed)
    assert job.event.code == "face_not_found"
    assert "mother" not in str(job)


def test_purging_forgets_ended_jobs_only(store: Store) -> None:
    store.add([new(number) for number in range(4)] + [new(9, "stranger")])
    for _ in range(3):
        assert store.claim() is not None
    store.end(name(0), done(0))
    store.end(name(9), done(9))
    store.ask_cancel(name(3))
    assert [job.id for job in store.purge("local", [name(1), name(9), name(77), name(3), name(3)])] == [name(3)]
    assert [job.request for job in store.purge("local")] == [REQUEST]
    assert store.get(name(0)) is None
    assert store.counts() == Counts(queued=1, running=1, done=1)
    assert [job.id for job in store.purge(None)] == [name(9)]


def test_unknown_jobs_are_said_to_be(store: Store) -> None:
    for action in (store.ask_cancel, store.acknowledge, lambda job: store.end(job, Cancelled(job)), store.move):
        assert code_of(lambda action=action: action(name(1))) == "job_unknown"
    assert store.get(name(1)) is None


def test_results_are_listed_for_retention(open_store: OpenStore) -> None:
    now = [100.0]
    store = open_store(clock=lambda: now[0])
    for number in (1, 2, 3):
        claimed(store, number)
        store.end(name(number), done(number, size=number))
    for number in (2, 1):
        now[0] += 50
        store.acknowledge(name(number))
    assert [(record.job, record.size, record.acknowledged_at) for record in store.results()] == [
        (name(2), 2, 150.0),
        (name(1), 1, 200.0),
    ]
    assert [record.job for record in store.results(acknowledged=False)] == [name(3)]
    assert store.result_bytes() == 6
    assert store.acknowledged_before(1000) == []
    store.result_removed(name(2))
    assert store.result_bytes() == 4
    assert (store.acknowledged_before(150), store.acknowledged_before(151)) == ([], [name(2)])


@pytest.mark.skipif(os.name != "posix", reason="file modes are a matter of POSIX")
def test_all_files_are_their_owners_alone(tmp_path: Path, open_store: OpenStore) -> None:
    old = os.umask(0)
    try:
        open_store(StoreOptions(ballast_bytes=4096, floor_bytes=0)).add([new(1)])
    finally:
        os.umask(old)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    assert modes == dict.fromkeys(("jobs.db", "jobs.db-wal", "jobs.db-shm", "jobs.db.keys", "jobs.db.ballast"), 0o600)
