"""A server of the tests, the jobs that it was given, and the judgement over what has become of them."""

from __future__ import annotations

import contextlib
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import psutil
from ledger import Entry
from PIL import Image
from points import PLAN_VARIABLE, Plan

from uvmap_id.link.client import Client
from uvmap_id.link.connection import STATE_DIR_VARIABLE, Connection, read_connection
from uvmap_id.link.errors import UVMapError
from uvmap_id.link.exchange import Event
from uvmap_id.link.launcher import EXIT_ALREADY_RUNNING
from uvmap_id.link.messages import Accepted, Acknowledged, Cancelled, Done, Failed, Progress, Purged, Refused
from uvmap_id.link.photo import photo_hash
from uvmap_id.link.request import TextureRequest
from uvmap_id.link.texture_set import map_file

FULL = os.environ.get("UVMAP_ID_FAULTS") == "full"
SERVER = (sys.executable, str(Path(__file__).with_name("fault_server.py")))
PATIENCE_S = 60.0
SIZE = 512

_ENDS = (Done, Failed, Cancelled)


@dataclass
class Asked:
    """A job, what it was for, and what was heard of it."""

    job: str
    seed: int
    should: type = Done
    accepted: bool = False
    ends: list[Event] = field(default_factory=list)
    may: tuple[type, ...] = ()
    refusals: list[Refused] = field(default_factory=list)
    wrong: bool = False


class Rig:
    """One state folder with the servers that run in it one after the other, and the sums of one scenario."""

    def __init__(self, folder: Path, scenario: str, *options: str) -> None:
        """Nothing runs yet; the options are those of `fault_server.py`."""
        self.entry = Entry(scenario)
        self.state = folder / "state"
        self.plan = Plan(folder / "plan")
        self.marker = f"marker{secrets.token_hex(8)}"
        self.photo = b"the face of " + secrets.token_hex(32).encode()
        self.jobs: dict[str, Asked] = {}
        self.requests: dict[str, TextureRequest] = {}
        self.server: subprocess.Popen[bytes] | None = None
        (folder / "said").mkdir()
        self.errors = folder / "said" / "server.err"
        self._options = options

    # --- servers -----------------------------------------------------------------------------------------

    @property
    def environment(self) -> dict[str, str]:
        """For processes that belong to this rig."""
        return {**os.environ, STATE_DIR_VARIABLE: str(self.state), PLAN_VARIABLE: str(self.plan.folder)}

    def spawn(self, *options: str) -> subprocess.Popen[bytes]:
        """Start a server and don't wait for it."""
        with self.errors.open("ab") as errors:
            command = [*SERVER, "serve", *(options or self._options)]
            return subprocess.Popen(command, env=self.environment, stderr=errors, start_new_session=True)

    def start(self, *options: str) -> Connection:
        """Start a server and wait until it can be connected to, starting it again where it was made to die."""
        deadline = time.monotonic() + PATIENCE_S
        self.server = self.spawn(*options)
        while True:
            with contextlib.suppress(UVMapError):
                connection = read_connection(self.state)
                if connection.pid == self.server.pid:
                    return connection
            code = self.server.poll()
            # As the launcher does: a worker that was being forked holds a killed server's lock until it has its time.
            if code is not None and code >= 0 and code != EXIT_ALREADY_RUNNING:
                raise AssertionError(f"the server ended with {code}: {self.errors.read_text()[-2000:]}")
            if code is not None:
                self.server = self.spawn(*options)
            assert time.monotonic() < deadline, "the server did not come up"
            time.sleep(0.005)

    def keep_up(self) -> bool:
        """Start a server in the place of one that was killed; whether there was need to."""
        if self.server is None or self.server.poll() is None:
            return False
        assert self.server.returncode < 0, f"the server ended by itself: {self.errors.read_text()[-2000:]}"
        self.start()
        return True

    def kill_server(self, number: int = 9) -> None:
        """Kill the server that runs, and wait until it has gone."""
        assert self.server is not None
        self.server.send_signal(number)
        self.server.wait(PATIENCE_S)

    def workers(self) -> list[psutil.Process]:
        """Processes of the server that do jobs."""
        assert self.server is not None
        with contextlib.suppress(psutil.NoSuchProcess):
            return psutil.Process(self.server.pid).children()
        return []

    def connect(self, name: str = "test", session: str = "") -> Client:
        """A client of the server that runs."""
        return Client.connect(read_connection(self.state), name, session)

    # --- jobs --------------------------------------------------------------------------------------------

    def request(self, prompt: str = "done", seed: int | None = None) -> TextureRequest:
        """Its prompt tells the scripted engine what to do."""
        number = secrets.randbelow(2**30) if seed is None else seed
        return TextureRequest(photo_hash(self.photo), f"{prompt} {self.marker}", size=SIZE, seed=number)

    def submit(self, client: Client, prompt: str = "done", should: type = Done, priority: int = 0) -> Asked:
        """Have a client submit a job that is to end in a certain way."""
        request = self.request(prompt)
        job = client.submit(request, (self.photo,), priority)
        self.jobs[job] = Asked(job, request.seed, should)
        self.requests[job] = request
        return self.jobs[job]

    def hear(self, client: Client) -> list[Event]:
        """Take in what has come for a client."""
        events = client.poll()
        for event in events:
            asked = self.jobs.get(getattr(event, "job", ""))
            if asked is None:
                continue
            if isinstance(event, Accepted | Progress | Done | Failed | Cancelled):
                asked.accepted = True
            if isinstance(event, Refused):
                asked.refusals.append(event)
            if isinstance(event, _ENDS):
                asked.ends.append(event)
                # At once, because an acknowledged result goes.
                asked.wrong = asked.wrong or not self.is_right(asked, event)
        return events

    def until(self, condition: Callable[[], bool], *clients: Client, timeout_s: float = PATIENCE_S) -> None:
        """Listen, and replace servers that die, until something is so."""
        deadline = time.monotonic() + timeout_s
        while not condition():
            assert time.monotonic() < deadline, f"it did not come so: {self.errors.read_text()[-2000:]}"
            self.keep_up()
            heard = [self.hear(client) for client in clients]
            if not any(heard):
                time.sleep(0.003)

    def acknowledge(self, client: Client, asked: Asked) -> None:
        """Tell that nothing more is needed of an ended job, and wait until that is answered."""
        told: list[Event] = []

        def is_answered() -> bool:
            told.extend(self.hear(client))
            return Acknowledged(asked.job) in told

        client.acknowledge(asked.job)
        self.until(is_answered)

    def finish(self, *clients: Client, timeout_s: float = PATIENCE_S) -> None:
        """Listen until all jobs have ended for their clients, or it takes too long, which the judgement will show."""
        with contextlib.suppress(AssertionError):
            self.until(lambda: all(asked.ends for asked in self.jobs.values()), *clients, timeout_s=timeout_s)

    # --- the judgement -----------------------------------------------------------------------------------

    def judge(self) -> Entry:
        """Purge everything, end everything, and say what was wrong. To be called once."""
        self._judge_jobs()
        self._judge_diary()
        self._judge_privacy()
        self.stop()
        self.entry.write()
        return self.entry

    def stop(self) -> None:
        """End the server; what of it is left after five seconds is an orphan, and ended."""
        if self.server is not None and self.server.poll() is None:
            self.server.send_signal(18)
            self.server.terminate()
            try:
                self.server.wait(15)
            except subprocess.TimeoutExpired:
                self.server.kill()
                self.server.wait()
                raise AssertionError("the server did not end") from None
        deadline = time.monotonic() + 5
        while (left := self.processes()) and time.monotonic() < deadline:
            time.sleep(0.05)
        self.entry.orphans += len(left)
        for process in left:
            with contextlib.suppress(psutil.Error):
                process.kill()

    def processes(self) -> list[psutil.Process]:
        """Servers and workers of this rig, known by their environment."""
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                if (
                    process.environ().get(STATE_DIR_VARIABLE) == str(self.state)
                    and process.status() != psutil.STATUS_ZOMBIE
                ):
                    found.append(process)
        return found

    def _judge_jobs(self) -> None:
        for asked in self.jobs.values():
            if not asked.accepted and not asked.ends:
                continue
            self.entry.accepted += 1
            self.entry.ended += bool(asked.ends)
            self.entry.lost += not asked.ends
            self.entry.twice += len(asked.ends) > 1
            self.entry.wrong += asked.wrong

    def is_right(self, asked: Asked, end: Event) -> bool:
        """Whether a job ended as it should, and with the pixels that it should have."""
        if not isinstance(end, (asked.should, *asked.may)):
            return False
        if not isinstance(end, Done):
            return True
        return is_complete(Path(end.folder), asked.seed)

    def _judge_diary(self) -> None:
        ended: set[str] = set()
        for word, job, *_ in self.plan.diary():
            if word == "end":
                self.entry.twice += job in ended
                ended.add(job)
            elif word in ("claim", "begin") and job in ended:
                self.entry.twice += 1

    def _judge_privacy(self) -> None:
        if self.server is None:
            return
        if self.server.poll() is not None:
            self.start()
        with self.connect("judge") as client:
            client.purge()
            self.until(lambda: any(isinstance(event, Purged) for event in client.poll()))
        self.entry.personal_bytes += bytes_of((self.marker.encode(), self.photo), self.state)
        # What it says on its standard error goes to a log, too.
        self.entry.personal_bytes += bytes_of((self.marker.encode(), self.photo), self.errors.parent)


def bytes_of(markers: Iterable[bytes], folder: Path) -> int:
    """How many bytes in the files of a folder are these."""
    found = 0
    for path in folder.rglob("*"):
        with contextlib.suppress(OSError):
            if path.is_file():
                content = path.read_bytes()
                found += sum(content.count(marker) * len(marker) for marker in markers)
    return found


def is_complete(folder: Path, seed: int) -> bool:
    """Whether a texture set has the colour that the scripted engine makes of a seed."""
    try:
        with Image.open(folder / map_file("base_color")) as image:
            pixels = np.asarray(image)
    except OSError:
        return False
    return (
        pixels.shape == (SIZE, SIZE, 3) and bool((pixels == seed % 256).all()) and (folder / "manifest.json").is_file()
    )


def refusal(events: Iterable[Event]) -> Refused | None:
    """The first refusal among events."""
    return next((event for event in events if isinstance(event, Refused)), None)
