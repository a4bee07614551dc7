"""A backend that follows a script: the real messages over the real link, no engine, and every way to misbehave.

Run as `python fake_backend.py serve`, like `uvmap-id serve`; `face PHOTO` sees one face in anything. Jobs do what
their prompt's first word says. Scripts:

    done        progress, then a texture set at once
    slow        progress ten times a second for a minute, with previews
    brief       progress for half a second, then a texture set
    wait        accepted, and nothing more
    fail        fails with the code that is the second word
    crash       the whole backend ends without a word, at the first job of this kind only
    silent      the whole backend goes on and says no more, to anybody
    rubbish     frames that are no messages, then a texture set
    twice       says everything twice, progress backwards too
    damaged     a texture set whose folder lacks a map
    missing     a texture set whose folder does not exist

Environment: UVMAP_ID_STATE_DIR as for the real one; FAKE_SET, a folder with the texture set that every job gets.
"""

from __future__ import annotations

import base64
import os
import secrets
import shutil
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import zmq

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "backend"))

from uvmap_id.link.connection import Connection, make_state_dir, remove_connection, state_dir, write_connection
from uvmap_id.link.errors import LinkError
from uvmap_id.link.messages import (
    PROTOCOL,
    Accepted,
    Acknowledge,
    Acknowledged,
    Answer,
    BlobState,
    Cancel,
    Cancelled,
    Done,
    Failed,
    Hello,
    List,
    Listing,
    Ping,
    Pong,
    Preview,
    Progress,
    PutBlob,
    Refused,
    Shutdown,
    Status,
    Submit,
    Welcome,
)
from uvmap_id.link.process import process_start
from uvmap_id.link.texture_set import files_of, read_manifest
from uvmap_id.link.wire import Blob, decode, encode

_STEP_MS = 20
_LONG_S, _BRIEF_S = 60.0, 0.5
_PREVIEW_EVERY = 10
_DESERTED_S = 60.0


@dataclass
class Script:
    """One job and how far its script is."""

    job: str
    client: bytes
    words: list[str]
    began: float
    event: Answer
    steps: int = 0


class FakeBackend:
    """Serves until it is asked to end, killed, or told by a script to end."""

    def __init__(self, state: Path, textures: Path) -> None:
        self._state, self._textures = state, textures
        self._jobs: dict[str, Script] = {}
        self._silent = False
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._socket = self._context.socket(zmq.ROUTER)
        self._socket.setsockopt(zmq.LINGER, 200)
        public, secret = zmq.curve_keypair()
        client_key, client_secret = (key.decode() for key in zmq.curve_keypair())
        self._received: dict[str, int] = {}
        self._socket.curve_server, self._socket.curve_secretkey = True, secret
        self._socket.bind("tcp://127.0.0.1:*")
        endpoint = self._socket.getsockopt_string(zmq.LAST_ENDPOINT)
        pid, boot = os.getpid(), secrets.token_hex(16)
        self._connection = Connection(
            *(endpoint, public.decode(), pid, process_start(pid) or "", boot, PROTOCOL, "0.0.0-fake"),
            client_key=client_key,
            client_secret=client_secret,
        )
        make_state_dir(state)
        write_connection(self._connection, state)

    def serve(self) -> None:
        heard = time.monotonic()
        # Nobody is to find one of these running after the tests.
        while time.monotonic() - heard < _DESERTED_S:
            if self._socket.poll(_STEP_MS):
                heard = time.monotonic()
            if not self._answer_all():
                break
            for script in list(self._jobs.values()):
                self._step(script)
        remove_connection(self._connection, self._state)
        self._socket.close()
        self._context.term()

    def _answer_all(self) -> bool:
        """False once it is asked to end."""
        while True:
            try:
                client, *frames = self._socket.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                return True
            try:
                message, blob = decode(frames)
            except LinkError as error:
                self._send(client, Refused(error.failure.code, error.failure.message))
                continue
            if isinstance(message, Shutdown):
                return False
            self._answer(client, message, blob)

    def _answer(self, client: bytes, message: object, blob: Blob) -> None:
        match message:
            case Hello():
                self._send(client, Welcome(PROTOCOL, "0.0.0-fake", self._connection.boot))
            case Ping():
                self._send(client, Pong(self._connection.boot))
            case PutBlob():
                if blob:
                    self._received[message.sha256] = message.offset + len(blob)
                self._send(client, BlobState(message.sha256, self._received.get(message.sha256, 0)))
            case List():
                self._send(client, Listing((), message.since, False))
            case Acknowledge():
                self._send(client, Acknowledged(message.job))
            case Submit():
                words = message.request.prompt.split()
                script = Script(message.job, client, words, time.monotonic(), Accepted(message.job))
                self._jobs[message.job] = script
                self._send(client, script.event)
            case Status() | Cancel():
                script = self._jobs.get(message.job)
                if script is None:
                    self._send(client, Refused("job_unknown", "No such job.", job=message.job))
                    return
                script.client = client
                if isinstance(message, Cancel) and not isinstance(script.event, Done | Failed):
                    script.event = Cancelled(message.job)
                self._send(client, script.event)

    def _step(self, script: Script) -> None:
        if isinstance(script.event, Done | Failed | Cancelled):
            return
        script.steps += 1
        job, word = script.job, script.words[0]
        passed = time.monotonic() - script.began
        match word:
            case "slow" if passed < _LONG_S:
                self._progress(script, passed / _LONG_S)
                return
            case "brief" if passed < _BRIEF_S:
                self._progress(script, passed / _BRIEF_S)
                return
            case "wait":
                return
            case "fail":
                self._end(script, Failed(job, script.words[1], "As the script says.", "Try another script."))
                return
            case "crash" if not (self._state / "crashed").exists():
                (self._state / "crashed").touch()
                os._exit(3)
            case "silent":
                self._silent = True
                return
            case "rubbish":
                for frames in ([b"no", b"magic"], [b"UVM1", b"{"], [b"UVM1", b'{"t":"done"}'], [b"UVM1", b"[" * 9000]):
                    self._socket.send_multipart([script.client, *frames])
                self._send(script.client, Done("f" * 32, "/no/job/of/yours"))
                self._send(script.client, Preview(job, "no base64"))
            case "twice":
                for fraction in (0.5, 0.5, 0.2, 0.9):
                    self._send(script.client, Progress(job, "Twice", fraction))
        self._end(script, self._done(script), times=2 if word == "twice" else 1)

    def _progress(self, script: Script, fraction: float) -> None:
        script.event = Progress(script.job, "Working", min(1.0, fraction))
        self._send(script.client, script.event)
        if script.steps % _PREVIEW_EVERY == 0:
            picture = os.environ.get("FAKE_PREVIEW", "")
            content = Path(picture).read_bytes() if picture else b"no picture"
            self._send(script.client, Preview(script.job, base64.b64encode(content).decode()))

    def _done(self, script: Script) -> Done:
        folder = self._state / "results" / script.job
        if script.words[0] == "missing":
            return Done(script.job, str(folder), {})
        folder.mkdir(parents=True)
        manifest = read_manifest(self._textures)
        for name in files_of(manifest):
            if script.words[0] != "damaged" or name != "normal.png":
                link_or_copy(self._textures / name, folder / name)
        return Done(script.job, str(folder), {"warnings": ["A warning."] if "warn" in script.words else []})

    def _end(self, script: Script, event: Done | Failed, times: int = 1) -> None:
        script.event = event
        for _ in range(times):
            self._send(script.client, event)

    def _send(self, client: bytes, answer: Answer) -> None:
        if not self._silent:
            self._socket.send_multipart([client, *encode(answer)])


def link_or_copy(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


if __name__ == "__main__":
    if sys.argv[1] == "face":
        print('{"faces": 1, "warnings": [], "code": "", "message": "", "hint": "", "thumbnail": ""}')  # noqa: T201
        sys.exit(0)
    FakeBackend(state_dir(), Path(os.environ["FAKE_SET"])).serve()
