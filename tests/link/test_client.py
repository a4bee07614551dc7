"""The client against a real server and a real worker: each way in which a job can go."""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from PIL import Image

from uvmap_id.link.client import Client
from uvmap_id.link.connection import Connection
from uvmap_id.link.errors import ErrorCode, UVMapError
from uvmap_id.link.exchange import Event
from uvmap_id.link.messages import PHOTO_LIMIT, Accepted, Cancelled, Done, Pong, Preview, Progress, Refused
from uvmap_id.link.photo import with_photos
from uvmap_id.link.process import process_start
from uvmap_id.link.request import MAPS, TextureRequest

Ask = Callable[..., TextureRequest]
Eventually = Callable[..., None]
FailureOf = Callable[[Client, str], UVMapError]


def collect(client: Client, job: str, timeout_s: float = 20) -> list[Event]:
    """All answers about a job up to the one that ends it."""
    answers: list[Event] = []
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        answers += [answer for answer in client.poll() if getattr(answer, "job", "") == job]
        if answers and not isinstance(answers[-1], Accepted | Preview | Progress):
            return answers
        time.sleep(0.005)
    raise AssertionError(f"job {job} did not end; it said {answers}")


def test_a_job_is_accepted_makes_progress_and_is_done(client: Client, ask: Ask, photo: bytes) -> None:
    job = client.submit(ask("shirt", seed=3), (photo,))
    accepted, *progress, done = collect(client, job)
    assert accepted == Accepted(job)
    assert [type(event) for event in progress] == [Progress] * len(progress)
    assert isinstance(done, Done)
    assert {file.name for file in done.files} == {*(f"{name}.png" for name in MAPS), "manifest.json"}
    for file in done.files:
        assert hashlib.sha256((Path(done.folder) / file.name).read_bytes()).hexdigest() == file.sha256
    assert done.manifest["request"]["seed"] == 3
    assert done.manifest["details"] == {"photo_bytes": len(photo)}


def test_wait_shows_progress_and_returns_the_result(client: Client, ask: Ask, photo: bytes) -> None:
    stages: list[str] = []
    client.wait(client.submit(ask("shirt"), (photo,)), lambda progress: stages.append(progress.stage), timeout_s=20)
    # Each map that is saved is told of.
    assert list(dict.fromkeys(stages)) == ["Starting", "Working", "Saving"]


def test_progress_never_goes_backwards(client: Client, ask: Ask, photo: bytes) -> None:
    events = collect(client, client.submit(ask("backwards"), (photo,)))
    fractions = [event.fraction for event in events if isinstance(event, Progress)]
    assert fractions[:6] == [0.0, 0.1, 0.5, 0.5, 0.5, 1.0]
    assert set(fractions[6:]) == {1.0}


def test_an_engine_that_refuses_the_photo_fails_the_job(
    client: Client, ask: Ask, photo: bytes, failure_of: FailureOf
) -> None:
    failure = failure_of(client, client.submit(ask("fail"), (photo,))).failure
    assert failure.code == ErrorCode.FACE_NOT_FOUND
    assert failure.hint == "Choose another photo."


@pytest.mark.parametrize(
    ("prompt", "code", "sentence"),
    [
        ("break", ErrorCode.INTERNAL, "ZeroDivisionError"),
        ("memory", ErrorCode.OUT_OF_MEMORY, "512 x 512"),
        ("wrong", ErrorCode.INTERNAL, "base_color"),
        ("talk", ErrorCode.INTERNAL, "manifest"),
        ("quit", ErrorCode.JOB_POISONOUS, "exit code 7"),
        ("crash", ErrorCode.JOB_POISONOUS, "SIGSEGV"),
    ],
)
def test_whatever_an_engine_does_the_next_job_runs(
    client: Client, state: Path, ask: Ask, photo: bytes, failure_of: FailureOf, prompt: str, code: str, sentence: str
) -> None:
    bad, good = client.submit(ask(prompt), (photo,)), client.submit(ask("shirt"), (photo,))
    failure = failure_of(client, bad).failure
    assert failure.code == code
    assert sentence in failure.message
    assert "Traceback" not in str(failure)
    assert client.wait(good, timeout_s=20).job == good
    assert [path.name for path in (state / "results").iterdir()] == [good]


def test_a_queued_job_is_cancelled_at_once(
    client: Client, state: Path, ask: Ask, photo: bytes, run_until_busy: Callable[[str], str]
) -> None:
    running, queued = run_until_busy("slow"), client.submit(ask("shirt"), (photo,))
    client.cancel(queued)
    assert collect(client, queued, 2)[-1] == Cancelled(queued)
    client.status(running)
    assert isinstance(collect_next(client, running), Progress)
    client.cancel(running)
    assert collect(client, running, 5)[-1] == Cancelled(running)


def collect_next(client: Client, job: str) -> Event:
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        for answer in client.poll():
            if getattr(answer, "job", "") == job:
                return answer
        time.sleep(0.005)
    raise AssertionError("no answer")


def test_a_running_job_is_cancelled_and_the_worker_lives_on(
    client: Client,
    server: Connection,
    state: Path,
    run_until_busy: Callable[[str], str],
    worker_of: Callable[[Connection], psutil.Process],
) -> None:
    job = run_until_busy("slow")
    worker = worker_of(server)
    client.cancel(job)
    assert collect(client, job, 5)[-1] == Cancelled(job)
    assert worker.is_running()
    assert list((state / "results").iterdir()) == []


def test_a_worker_that_ignores_a_cancel_is_killed(
    client: Client,
    server: Connection,
    ask: Ask,
    photo: bytes,
    run_until_busy: Callable[[str], str],
    worker_of: Callable[[Connection], psutil.Process],
) -> None:
    job = run_until_busy("deaf")
    worker = worker_of(server)
    client.cancel(job)
    assert collect(client, job, 5)[-1] == Cancelled(job)
    assert not worker.is_running()
    client.wait(client.submit(ask("shirt"), (photo,)), timeout_s=20)


def test_cancelling_an_ended_job_tells_how_it_ended(client: Client, ask: Ask, photo: bytes) -> None:
    done = client.wait(client.submit(ask("shirt"), (photo,)), timeout_s=20)
    client.cancel(done.job)
    assert collect(client, done.job) == [done]


def test_a_killed_worker_is_replaced_and_its_job_begins_anew(
    client: Client,
    server: Connection,
    run_until_busy: Callable[[str], str],
    worker_of: Callable[[Connection], psutil.Process],
) -> None:
    job = run_until_busy("slow")
    worker_of(server).kill()
    events: list[object] = []
    deadline = time.monotonic() + 20
    while not any(isinstance(event, Progress) and event.stage == "Starting" for event in events):
        assert time.monotonic() < deadline, events
        events += client.poll()
        time.sleep(0.01)
    client.cancel(job)
    assert collect(client, job)[-1] == Cancelled(job)


def test_a_worker_killed_while_idle_harms_no_job(
    client: Client,
    server: Connection,
    ask: Ask,
    photo: bytes,
    worker_of: Callable[[Connection], psutil.Process],
) -> None:
    for _ in range(5):
        client.wait(client.submit(ask("shirt"), (photo,)), timeout_s=20)
        worker = worker_of(server)
        worker.kill()
        while process_start(worker.pid) is not None:
            time.sleep(0)


def test_a_server_that_pauses_is_not_given_up(
    client: Client, server: Connection, run_until_busy: Callable[[str], str]
) -> None:
    job = run_until_busy("slow")
    os.kill(server.pid, signal.SIGSTOP)
    with contextlib.suppress(TimeoutError):
        client.wait(job, timeout_s=2.5)
    os.kill(server.pid, signal.SIGCONT)
    client.cancel(job)
    assert collect(client, job)[-1] == Cancelled(job)


def test_a_lost_push_is_made_good_by_asking(server: Connection, ask: Ask, photo: bytes) -> None:
    with Client.connect(server, "first") as first, Client.connect(server, "second") as second:
        second.wait_until_welcome()
        job = first.submit(ask("shirt"), (photo,))
        assert collect_next(first, job) == Accepted(job)
        # Whoever asked last is told, so the first client hears nothing of the end unless it asks again.
        second.status(job)
        assert isinstance(collect(second, job)[-1], Done)
        assert first.wait(job, timeout_s=20).job == job


def test_a_client_that_comes_later_can_follow_a_job(server: Connection, ask: Ask, photo: bytes) -> None:
    with Client.connect(server, "first") as first:
        job = first.submit(ask("shirt"), (photo,))
        first.wait_until_welcome()
        assert isinstance(collect_next(first, job), Accepted)
    with Client.connect(server, "second") as second:
        assert second.wait(job, timeout_s=20).job == job


def test_jobs_run_in_the_order_they_came(client: Client, ask: Ask, photo: bytes) -> None:
    jobs = [client.submit(ask("shirt", seed=seed), (photo,)) for seed in range(5)]
    ended: list[str] = []
    deadline = time.monotonic() + 30
    while len(ended) < len(jobs) and time.monotonic() < deadline:
        ended += [answer.job for answer in client.poll() if isinstance(answer, Done)]
        time.sleep(0.005)
    assert ended == jobs


def test_waiting_for_one_job_keeps_the_news_of_the_others(client: Client, ask: Ask, photo: bytes) -> None:
    early, late = (client.submit(ask("shirt", seed=seed), (photo,)) for seed in range(2))
    client.wait(late, timeout_s=20)
    assert [type(answer) for answer in client.poll() if getattr(answer, "job", "") == early][-1] is Done
    assert client.wait(early, timeout_s=5).job == early


def test_wait_gives_up_in_time_and_leaves_the_job_running(client: Client, run_until_busy: Callable[[str], str]) -> None:
    job = run_until_busy("slow")
    with pytest.raises(TimeoutError):
        client.wait(job, timeout_s=0.3)
    client.cancel(job)
    assert collect(client, job)[-1] == Cancelled(job)


def test_an_unknown_job_is_refused(client: Client, failure_of: FailureOf) -> None:
    job = "0" * 32
    client.status(job)
    assert failure_of(client, job).failure.code == ErrorCode.JOB_UNKNOWN


@pytest.mark.parametrize(
    ("photo", "code"),
    [(b"", ErrorCode.IMAGE_UNREADABLE), (bytes(PHOTO_LIMIT + 1), ErrorCode.FACE_FILE_TOO_LARGE)],
    ids=["empty", "too large"],
)
def test_a_photo_not_worth_sending_is_refused(client: Client, ask: Ask, photo: bytes, code: str) -> None:
    with pytest.raises(UVMapError) as caught:
        client.submit(ask("shirt"), (photo,))
    assert caught.value.failure.code == code


def test_a_large_photo_arrives(client: Client, ask: Ask) -> None:
    photo = os.urandom(1024) * (PHOTO_LIMIT // 1024)
    request = ask("shirt", face_sha256=hashlib.sha256(photo).hexdigest())
    done = client.wait(client.submit(request, (photo,)), timeout_s=30)
    assert done.manifest["details"] == {"photo_bytes": PHOTO_LIMIT}


def test_a_photo_that_is_damaged_on_the_way_ends_the_job_once(
    client: Client, ask: Ask, photo: bytes, eventually: Eventually
) -> None:
    """The job is on its way already when the server refuses the photo; what it says of the job then is no news."""
    job = client.submit(ask("shirt"), (photo,))
    (file,) = client._exchange._uploads._files.values()
    file.content = bytes(len(photo))
    answers: list[Event] = []

    def heard(kind: type[Event]) -> bool:
        answers.extend(client.poll())
        return any(isinstance(answer, kind) for answer in answers)

    eventually(lambda: heard(Refused))
    client.ping()
    eventually(lambda: heard(Pong))
    assert [answer.code for answer in answers if isinstance(answer, Refused)] == [ErrorCode.BLOB_INVALID]
    assert [answer.job for answer in answers if isinstance(answer, Refused)] == [job]


def test_further_photos_and_embeddings_reach_the_engine_in_order(client: Client, state: Path, ask: Ask) -> None:
    photos = (b"a photo", b"another", b"\x93NUMPY\x01\x00 an embedding", b"a photo")
    request = with_photos(ask("compare"), photos)
    done = client.wait(client.submit(request, photos), timeout_s=20)
    assert done.manifest["details"]["photos"] == [hashlib.sha256(photo).hexdigest() for photo in photos]
    assert done.manifest["request"]["more_faces"] == list(request.more_faces)


@pytest.mark.parametrize(
    ("photos", "code"),
    [
        ((), ErrorCode.FACE_FILE_MISSING),
        ((b"\x93NUMPY first",), ErrorCode.EMBEDDING_INVALID),
        ((b"photo", b""), ErrorCode.IMAGE_UNREADABLE),
        ((b"photo", b"not named"), ErrorCode.MESSAGE_INVALID),
    ],
    ids=["none", "an embedding first", "an empty one", "one too many"],
)
def test_photos_not_worth_sending_are_refused(
    client: Client, ask: Ask, photos: tuple[bytes, ...], code: ErrorCode
) -> None:
    with pytest.raises(UVMapError) as caught:
        client.submit(ask("shirt", face_sha256=hashlib.sha256(b"photo").hexdigest()), photos)
    assert caught.value.failure.code == code


def test_photos_too_large_together_are_refused(client: Client, ask: Ask) -> None:
    photos = (bytes(PHOTO_LIMIT), b"\1" * PHOTO_LIMIT, b"more")
    with pytest.raises(UVMapError) as caught:
        client.submit(with_photos(ask("shirt"), photos), photos)
    assert caught.value.failure.code == ErrorCode.FACE_FILE_TOO_LARGE


def test_previews_are_small_pngs_and_not_too_many(client: Client, ask: Ask, photo: bytes) -> None:
    began = time.monotonic()
    events = collect(client, client.submit(ask("show"), (photo,)))
    shown = [event for event in events if isinstance(event, Preview)]
    assert 2 <= len(shown) <= 1 + 2 * (time.monotonic() - began)
    with Image.open(io.BytesIO(shown[-1].picture)) as picture:
        assert (picture.format, picture.mode, picture.size) == ("PNG", "RGB", (85, 128))
        assert picture.getpixel((0, 0)) != (0, 0, 0)


def test_a_preview_is_no_state(client: Client, ask: Ask, photo: bytes) -> None:
    job = client.submit(ask("show"), (photo,))
    while not any(isinstance(answer, Preview) for answer in client.poll()):
        time.sleep(0.005)
    with Client.connect(client.connection, "second") as second:
        second.status(job)
        assert isinstance(collect_next(second, job), Progress)
        # Nobody waits for pictures of another's job.
        assert second.wait(job, timeout_s=20).job == job


def test_wait_leaves_previews_out(client: Client, ask: Ask, photo: bytes) -> None:
    shown, brief = (client.submit(ask(prompt), (photo,)) for prompt in ("show", "shirt"))
    client.wait(brief, timeout_s=20)
    left = client.poll()
    assert any(isinstance(answer, Done) and answer.job == shown for answer in left)
    assert not any(isinstance(answer, Preview) for answer in left)


def test_a_preview_that_is_no_picture_fails_the_job(
    client: Client, ask: Ask, photo: bytes, failure_of: FailureOf
) -> None:
    assert "preview" in failure_of(client, client.submit(ask("misshow"), (photo,))).failure.message


def test_polling_does_not_block(client: Client, run_until_busy: Callable[[str], str]) -> None:
    job = run_until_busy("slow")
    longest = 0.0
    for _ in range(200):
        began = time.perf_counter()
        client.poll()
        longest = max(longest, time.perf_counter() - began)
    assert longest < 0.1
    client.cancel(job)
