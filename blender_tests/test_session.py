"""The queue with a backend that follows a script, over the real link: many jobs, and everything that may go wrong."""

# pyright: reportAttributeAccessIssue=false, reportOptionalMemberAccess=false, reportArgumentType=false
# The stubs of bpy don't know what the extension adds to it, and call much optional that is there.

from __future__ import annotations

import os
import shutil
import signal
import statistics
import time
import types
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import bpy
import pytest
from conftest import make_textures, names_in_file, stop_backend, write_png
from fakes import tick_until

Module = Callable[[str], ModuleType]


@pytest.fixture
def character(scene: bpy.types.Scene, fake: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> bpy.types.Scene:
    bpy.ops.uvmap_id.add_mannequin()
    write_png(tmp_path / "face.png", (200, 150, 120))
    write_png(tmp_path / "preview.png", (1, 2, 3), 32)
    monkeypatch.setenv("FAKE_PREVIEW", str(tmp_path / "preview.png"))
    scene.uvmap_id.face_image = str(tmp_path / "face.png")
    return scene


@pytest.fixture
def runtime(module: Module) -> ModuleType:
    return module("runtime")


def submitted(module: Module, scene: bpy.types.Scene, *prompts: str) -> list[Any]:
    jobs = []
    for prompt in prompts:
        scene.uvmap_id.prompt = prompt
        jobs += module("operators.generate").submit_all(scene)
    return jobs


def ended(*jobs: Any) -> Callable[[], bool]:
    return lambda: all(job.ended for job in jobs)


def test_jobs_end_each_in_its_own_way(character: bpy.types.Scene, module: Module, runtime: ModuleType) -> None:
    prompts = ("done", "fail face_not_found", "rubbish", "twice", "damaged", "missing", "brief warn")
    jobs = submitted(module, character, *prompts)
    took = tick_until(ended(*jobs), runtime.tick)
    assert [job.state.value for job in jobs] == ["done", "failed", "done", "done", "failed", "failed", "done"]
    assert [job.failure.code for job in jobs if job.failure] == [
        "face_not_found",
        "output_not_writable",
        "output_not_writable",
    ]
    assert jobs[-1].warnings == ("A warning.",)
    assert len(character.uvmap_id.history) == 4
    assert not module("current").session().busy
    tick_until(lambda: not module("current").faces().busy, runtime.tick)
    # The backend is told that nothing more is needed of them; then there is nothing left to do.
    tick_until(lambda: runtime.tick() is None, lambda: None)
    assert statistics.median(took) < 0.008


def test_eight_jobs_at_once_and_one_cancelled(character: bpy.types.Scene, module: Module, runtime: ModuleType) -> None:
    character.uvmap_id.variations = 8
    jobs = submitted(module, character, "slow")
    tick_until(lambda: all(job.state.value == "running" and job.fraction > 0.05 for job in jobs), runtime.tick)
    snapshot = module("current").current().snapshot
    assert [row.label for row in snapshot.rows] == [f"slow · {seed}" for seed in range(8)]
    assert snapshot.open == 8
    # The script takes a minute.
    tick_until(lambda: all("left" in row.text for row in module("current").current().snapshot.rows), runtime.tick)
    lefts = [job.time_left(module("current").session().now) for job in jobs]
    assert all(40 < left < 70 for left in lefts), lefts
    tick_until(lambda: any(job.preview for job in jobs), runtime.tick)
    bpy.ops.uvmap_id.cancel(key=jobs[3].key)
    tick_until(ended(jobs[3]), runtime.tick)
    assert [job.state.value for job in jobs].count("running") == 7
    bpy.ops.uvmap_id.cancel_all()
    tick_until(ended(*jobs), runtime.tick)
    assert {job.state.value for job in jobs} == {"cancelled"}
    assert len(module("thumbnails")._icons) == 0


def test_a_crashed_backend_is_started_again_with_its_jobs(
    character: bpy.types.Scene, module: Module, runtime: ModuleType
) -> None:
    jobs = submitted(module, character, "brief", "crash", "brief")
    tick_until(ended(*jobs), runtime.tick)
    assert [job.state.value for job in jobs] == ["done"] * 3
    assert all("started again" in job.notice for job in jobs if job.restarts)
    assert jobs[1].restarts == 1


def test_a_backend_that_dies_again_and_again_is_given_up(
    character: bpy.types.Scene,
    module: Module,
    runtime: ModuleType,
    fake: Path,
) -> None:
    (job,) = submitted(module, character, "crash")

    def tick() -> None:
        (fake / "crashed").unlink(missing_ok=True)
        runtime.tick()

    tick_until(ended(job), tick)
    assert (job.failure.code, job.restarts) == ("backend_lost", 2)


def test_a_job_cancelled_while_the_backend_is_away(
    character: bpy.types.Scene, module: Module, runtime: ModuleType
) -> None:
    (job,) = submitted(module, character, "slow")
    tick_until(lambda: job.state.value == "running", runtime.tick)
    link = module("link.connection")
    os.kill(link.read_connection(link.state_dir()).pid, signal.SIGKILL)
    tick_until(lambda: job.state.value == "starting", runtime.tick)
    module("current").session().cancel(job)
    tick_until(ended(job), runtime.tick)
    assert job.state.value == "cancelled"


def test_a_silent_backend_is_noticed(
    character: bpy.types.Scene, module: Module, runtime: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module("link.exchange"), "HUNG_S", 0.5)
    monkeypatch.setattr(module("link.exchange"), "QUIET_S", 0.1)
    launch = module("link.launcher").Launch
    monkeypatch.setattr(runtime, "Launch", lambda command, connect: launch(command, 1.0, connect))
    (job,) = submitted(module, character, "silent")
    link = module("link.connection")
    tick_until(ended(job), runtime.tick)
    assert job.failure.code in ("backend_lost", "backend_start_failed")
    os.kill(link.read_connection(link.state_dir()).pid, signal.SIGKILL)


def test_two_sessions_see_only_their_own_jobs(
    character: bpy.types.Scene, module: Module, runtime: ModuleType, tmp_path: Path
) -> None:
    delivered = []

    def deliver(job: Any, folder: Path) -> Any:
        delivered.append(job)
        yield module("session").Step.MORE
        return folder

    other = module("session").Session(deliver, lambda: module("link.launcher").Launch(["no-such-program"]))
    mine = submitted(module, character, "brief", "slow")
    # Whoever comes second finds the backend running.
    tick_until(lambda: all(job.state.value == "running" for job in mine), runtime.tick)
    theirs = other.submit(mine[0].request, mine[0].photos, 1, 2)
    tick_until(lambda: theirs.ended and mine[0].ended, lambda: (runtime.tick(), other.tick()))
    assert (theirs.state.value, theirs.failure, delivered) == ("done", None, [theirs])
    assert other.jobs == (theirs,)
    assert len(character.uvmap_id.history) == 1
    other.close()


def test_renamed_scene_and_body_get_their_texture(
    character: bpy.types.Scene, module: Module, runtime: ModuleType
) -> None:
    (job,) = submitted(module, character, "brief")
    body = character.uvmap_id.body
    body.name, character.name = "another", "renamed"
    tick_until(ended(job), runtime.tick)
    assert module("material").folder_of(body) == job.folder
    assert len(character.uvmap_id.history) == 1


def test_a_deleted_body_leaves_the_result_in_the_history(
    character: bpy.types.Scene, module: Module, runtime: ModuleType
) -> None:
    (job,) = submitted(module, character, "brief")
    bpy.data.objects.remove(character.uvmap_id.body)
    before = names_in_file()
    tick_until(ended(job), runtime.tick)
    assert names_in_file() == before
    assert [entry.job for entry in character.uvmap_id.history] == [job.folder.name]


def test_the_body_is_deleted_while_the_maps_arrive(
    character: bpy.types.Scene, module: Module, runtime: ModuleType
) -> None:
    (job,) = submitted(module, character, "done")
    tick_until(lambda: len(bpy.data.images) > 0, runtime.tick)
    assert not job.ended
    bpy.data.objects.remove(character.uvmap_id.body)
    tick_until(ended(job), runtime.tick)
    assert (job.state.value, len(character.uvmap_id.history)) == ("done", 1)


def test_another_file_is_opened_and_the_first_one_again(
    character: bpy.types.Scene, module: Module, runtime: ModuleType, tmp_path: Path
) -> None:
    blend = tmp_path / "project" / "character.blend"
    blend.parent.mkdir()
    bpy.ops.wm.save_as_mainfile(filepath=str(blend))
    (job,) = submitted(module, bpy.context.scene, "brief")
    bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True)
    before = names_in_file()
    tick_until(ended(job), runtime.tick)
    assert job.folder.parent == blend.parent / "textures" / "uvmap_id"
    assert names_in_file() == before
    assert len(bpy.context.scene.uvmap_id.history) == 0
    bpy.ops.wm.open_mainfile(filepath=str(blend))
    settings = bpy.context.scene.uvmap_id
    assert [module("history").folder_of(entry) for entry in settings.history] == [job.folder]
    assert settings.history[0].folder.startswith("//")
    assert bpy.ops.uvmap_id.history_apply() == {"FINISHED"}
    assert module("material").folder_of(settings.body) == job.folder


def test_the_first_file_is_open_again_when_the_maps_come(
    character: bpy.types.Scene, module: Module, runtime: ModuleType, tmp_path: Path
) -> None:
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "character.blend"))
    (job,) = submitted(module, bpy.context.scene, "brief")
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "character.blend"))
    tick_until(ended(job), runtime.tick)
    settings = bpy.context.scene.uvmap_id
    assert module("material").folder_of(settings.body) == job.folder
    assert len(settings.history) == 1


def test_maps_are_linked_or_copied_whole(
    character: bpy.types.Scene,
    module: Module,
    runtime: ModuleType,
    fake: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    linked, copied = submitted(module, character, "done", "done")
    tick_until(ended(linked), runtime.tick)
    assert (linked.folder / "normal.png").stat().st_nlink > 1

    def refuse(source: Path, target: Path) -> None:
        raise OSError("another disk")

    monkeypatch.setattr(module("results").os, "link", refuse)
    (copied,) = submitted(module, character, "done")
    tick_until(ended(copied), runtime.tick)
    assert (copied.folder / "normal.png").stat().st_nlink == 1
    assert (copied.folder / "normal.png").read_bytes() == (linked.folder / "normal.png").read_bytes()
    assert [path.name for path in copied.folder.parent.iterdir() if path.name.startswith(".part")] == []


def test_a_failed_job_is_tried_again(character: bpy.types.Scene, module: Module, runtime: ModuleType) -> None:
    (job,) = submitted(module, character, "fail worker_died")
    tick_until(ended(job), runtime.tick)
    session = module("current").session()
    again = session.retry(job)
    assert again.request == job.request
    assert session.jobs == (again,)
    tick_until(ended(again), runtime.tick)
    assert again.failure.code == "worker_died"


def test_undo_takes_the_texture_off_and_leaves_the_history(
    character: bpy.types.Scene, module: Module, runtime: ModuleType
) -> None:
    session = module("session").Session
    current = module("current").current()

    def deliver(job: Any, folder: Path) -> Any:
        kept = yield from runtime.deliver(job, folder)
        runtime.push_undo()
        return kept

    # As with windows, where each delivery ends in a step to undo.
    monkeyed = session(deliver, lambda: runtime.Launch(module("preferences").backend_command()))
    current.session, before = monkeyed, current.session
    try:
        bpy.ops.ed.undo_push(message="before")
        (job,) = submitted(module, character, "done")
        tick_until(ended(job), runtime.tick)
        body = bpy.context.scene.uvmap_id.body
        assert module("material").folder_of(body) == job.folder
        bpy.ops.ed.undo()
        settings = bpy.context.scene.uvmap_id
        assert module("material").folder_of(settings.body) is None
        assert [entry.job for entry in settings.history] == [job.folder.name]
        bpy.ops.ed.redo()
        assert module("material").folder_of(bpy.context.scene.uvmap_id.body) == job.folder
        assert len(bpy.context.scene.uvmap_id.history) == 1
    finally:
        monkeyed.close()
        current.session = before


def test_clock_client_and_scheduler_are_the_callers(module: Module) -> None:
    """No backend, no time, no Blender: what a tick does is in its arguments."""
    messages, now, woken = module("link.messages"), [0.0], []
    request = module("link.request").TextureRequest(module("link.photo").photo_hash(b"photo"), "jeans")

    class Client:
        failure = None
        server_gone = acknowledging = False
        connection = types.SimpleNamespace(local=True)

        def __init__(self) -> None:
            self.answers: list[Any] = []
            self.acknowledged: list[str] = []
            self.closed = False

        def acknowledge(self, job: str) -> None:
            self.acknowledged.append(job)

        def submit(self, request: Any, photos: Any) -> str:
            return "a" * 32

        def poll(self, budget_s: float) -> list[Any]:
            answers, self.answers = self.answers, []
            return answers

        def close(self) -> None:
            self.closed = True

    class Launch:
        def poll(self) -> str:
            return "connection"

        def take_client(self) -> None: ...

        def close(self) -> None: ...

    def deliver(job: Any, folder: Path) -> Any:
        for _ in range(3):
            now[0] += 0.003
            yield module("session").Step.MORE
        return folder / "kept"

    client = Client()
    session = module("session").Session(
        deliver, Launch, lambda _connection: client, lambda: now[0], lambda: woken.append(True)
    )
    assert session.tick() is None
    job = session.submit(request, (b"photo",), 1, 2)
    assert woken == [True]
    assert session.tick() == module("session").EAGER_S
    client.answers = [messages.Progress("a" * 32, "Working", 0.1)]
    assert session.tick() == module("session").BUSY_S
    now[0] = 10.0
    client.answers = [messages.Progress("a" * 32, "Working", 0.6)]
    session.tick()
    assert job.time_left(10.0) == pytest.approx(8.0)
    assert job.time_left(12.0) == pytest.approx(6.0)
    client.answers = [messages.Done("a" * 32, "/folder")]
    # A step of 3 ms, and the tick's time is over.
    for _ in range(3):
        session.tick()
        assert not job.ended
    session.tick()
    assert (job.state.value, job.folder) == ("done", Path("/folder/kept"))
    assert client.acknowledged == ["a" * 32]
    assert client.closed


def test_no_tick_waits_while_large_maps_arrive(
    character: bpy.types.Scene, module: Module, runtime: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    large = make_textures(tmp_path / "large", (1, 2, 3))
    for name in ("base_color", "normal", "roughness"):
        (large / f"{name}.png").write_bytes(os.urandom(20 * 2**20))
    shutil.copytree(large, tmp_path / "textures", dirs_exist_ok=True)
    slow = submitted(module, character, *["slow"] * 7)
    tick_until(lambda: all(job.state.value == "running" for job in slow), runtime.tick)
    (job,) = submitted(module, character, "done")
    took = sorted(tick_until(ended(job), runtime.tick))
    time.sleep(0.2)
    took = sorted([*took, *tick_until(iter([False] * 50 + [True]).__next__, runtime.tick)])
    assert took[int(len(took) * 0.99)] < 0.008, took[-10:]


def teardown_module() -> None:
    stop_backend()
