"""The state machine of the set-up with a scripted installer and a clock of its own."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from addon.setup.installer.job import STAGES, Job, Stage, Task
from addon.setup.installer.machine import TRANSITIONS, Setup, State
from addon.setup.installer.pips import Meter, understood

from uvmap_id.link.errors import UVMapError

JOB = Job("install", "/nowhere", "basic", "", "", "")


class Script:
    """An installer that says what the test wants."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.code: int | None = None
        self.command: Sequence[str] = ()
        self.stopped = self.closed = False

    def __call__(self, command: Sequence[str]) -> Script:
        self.command = command
        return self

    def say(self, **values: object) -> None:
        self.said.append(json.dumps(values))

    def lines(self) -> list[str]:
        said, self.said = self.said, []
        return said

    def poll(self) -> int | None:
        return self.code

    def stop(self) -> None:
        self.stopped, self.code = True, -9

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def script() -> Script:
    return Script()


@pytest.fixture
def time_now() -> list[float]:
    return [0.0]


@pytest.fixture
def setup(script: Script, time_now: list[float]) -> Iterator[Setup]:
    setup = Setup(script, lambda: time_now[0], "python")
    yield setup
    setup.close()


def test_stages_follow_each_other_and_the_progress_never_goes_back(setup: Setup, script: Script) -> None:
    setup.start(JOB)
    seen = [setup.state]
    furthest = 0.0
    for stage in STAGES[Task.INSTALL]:
        script.say(stage=stage.value)
        for fraction in (0.0, 0.5, 0.2, 1.0):
            script.say(fraction=fraction, text="x", speed=5e6, left=3.0)
            assert setup.tick() is not None
            assert furthest <= setup.progress.fraction <= 1.0
            furthest = setup.progress.fraction
        seen += [setup.state] if setup.state is not seen[-1] else []
    assert [state.value for state in seen] == [stage.value for stage in STAGES[Task.INSTALL]]
    assert (setup.progress.bytes_per_second, setup.progress.seconds_left) == (5e6, 3.0)
    script.say(done="All is well.")
    # The process still holds the folder: only its end is the end.
    assert setup.tick() is not None
    assert setup.busy
    script.code = 0
    assert setup.tick() is None
    assert (setup.state, setup.sentence, setup.failure) == (State.DONE, "All is well.", None)
    assert script.closed
    assert setup.progress.fraction == 1.0


def test_a_failure_is_told_as_it_came(setup: Setup, script: Script) -> None:
    setup.start(JOB)
    script.say(failure=["disk_full", "No room.", "Make some."])
    script.code = 1
    setup.tick()
    assert setup.state is State.FAILED
    assert str(setup.failure) == "disk_full: No room. Make some."
    setup.start(JOB)
    assert setup.failure is None


@pytest.mark.parametrize("line", ["Fatal Python error: no stdlib", "[1]", "3", "{", '{"other": 1}', "\ufffd"])
def test_rubbish_and_a_death_without_a_word(setup: Setup, script: Script, line: str) -> None:
    setup.start(JOB)
    script.said.append(line)
    script.code = 3
    assert setup.tick() is None
    assert setup.state is State.FAILED
    assert setup.failure is not None
    assert "exit code 3" in setup.failure.message


def test_cancelling_waits_for_the_way_back_then_ends_it(setup: Setup, script: Script, time_now: list[float]) -> None:
    setup.start(JOB)
    stop = Path(json.loads(Path(script.command[-1]).read_text())["stop"])
    assert not stop.exists()
    setup.cancel()
    setup.cancel()
    assert stop.exists()
    # What was already on its way no longer counts.
    script.say(stage="python")
    script.say(fraction=0.5, text="x", speed=0, left=None)
    setup.tick()
    assert (setup.state, setup.progress.text) == (State.CANCELLING, "Cancelling")
    time_now[0] = 14.0
    setup.tick()
    assert not script.stopped
    time_now[0] = 16.0
    setup.tick()
    assert script.stopped
    setup.tick()
    assert setup.state is State.CANCELLED
    assert setup.failure is not None
    assert setup.failure.code == "cancelled"
    assert not stop.parent.exists()


def test_done_is_done_even_if_cancelled_too_late(setup: Setup, script: Script) -> None:
    setup.start(JOB)
    setup.cancel()
    script.say(done="All is well.")
    script.code = 0
    setup.tick()
    assert setup.state is State.DONE


def test_one_run_at_a_time(setup: Setup) -> None:
    setup.start(JOB)
    with pytest.raises(UVMapError, match="setup_busy"):
        setup.start(JOB)


def test_an_installer_that_cannot_start(time_now: list[float]) -> None:
    setup = Setup(python="/none/python")
    with pytest.raises(UVMapError, match="setup_failed"):
        setup.start(JOB)
    assert not setup.busy


def test_stages_in_a_wrong_order_are_a_mistake(setup: Setup, script: Script) -> None:
    setup.start(JOB)
    script.say(stage="package")
    with pytest.raises(UVMapError, match="can't go from checking to package"):
        setup.tick()


def test_every_state_has_its_transitions_and_every_stage_its_state() -> None:
    assert set(TRANSITIONS) == set(State)
    assert {State(stage.value) for stage in Stage} <= set(State)
    for stages in STAGES.values():
        for before, after in itertools.pairwise(stages):
            assert State(after.value) in TRANSITIONS[State(before.value)]


def test_the_meter_adds_up_files_and_tells_the_time_left(time_now: list[float]) -> None:
    meter = Meter(10_000_000, lambda: time_now[0])
    assert meter.left is None
    for second, line in enumerate(
        ("Progress 0 of 4000000", "Progress 2000000 of 4000000", "Progress 4000000 of 4000000")
    ):
        time_now[0] = float(second)
        meter.read(line)
    assert (meter.done, meter.fraction) == (4_000_000, 0.4)
    assert meter.speed == pytest.approx(2_000_000)
    assert meter.left == pytest.approx(3.0)
    meter.read("Progress 1000000 of 3000000")
    assert meter.done == 5_000_000
    meter.settle(7_000_000)
    assert meter.done == 7_000_000
    meter.settle(30_000_000)
    assert (meter.fraction, meter.left) == (0.99, 0.0)


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ("ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device", "disk_full"),
        ("ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE.", "download_corrupt"),
        ("ERROR: No matching distribution found for torch==2.13.0", "download_failed"),
        ("ERROR: HTTPSConnectionPool(host='pypi.org'): Read timed out.", "download_failed"),
        ("ERROR: Wheel 'numpy' located at /x is invalid.", "download_corrupt"),
        (
            "ERROR: Could not install packages due to an OSError: [Errno 13] Permission denied: '/x'",
            "output_not_writable",
        ),
        ("ERROR: something new", "setup_failed"),
        ("", "setup_failed"),
    ],
)
def test_what_pip_says_becomes_a_sentence(said: str, code: str) -> None:
    failure = understood([said] if said else []).failure
    assert failure.code == code
    assert failure.message
    assert failure.hint
