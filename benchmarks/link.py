"""How fast the link is: a round trip, a finished texture set's way to the client, and the server's start.

    python benchmarks/link.py [--repeats N] [--out FILE.md]

A real server with a worker of its own, in a temporary state folder, is asked by a real client in this process:

- Round trip: 1 KiB to the server, which reads it as strictly as ever and answers. "bare" is an echo of as many bytes
  between two processes without CURVE and without a server's work, in turn with the others.
- Maps: 8 MB in four files that can't be compressed, from the call that asks for them, as it follows `Done`, until
  every byte is in files of the client's own, has its hash and is kept by the disk; "pulled" in chunks as from another
  machine, and "copied" as on the server's own, in turn, each set for the first time; and "just written": what a
  program takes to have the same bytes kept by the disk, with nothing to fetch or to check.
- Start: from `ensure_server` without a server until its handshake is answered, seconds and the processor's seconds;
  the first start in a state folder makes keys and a database, the others find them.

Medians, with the 10th and the 90th percentile.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import zmq

from uvmap_id.engines.base import Report, TextureSet
from uvmap_id.link.channel import Channel
from uvmap_id.link.client import Client
from uvmap_id.link.connection import STATE_DIR_VARIABLE, Connection, remote_connection, state_dir
from uvmap_id.link.disk import sync_folder, write_synced
from uvmap_id.link.keys import AuthorizedKeys, new_key_pair
from uvmap_id.link.launcher import ensure_server, stop_server
from uvmap_id.link.messages import PROTOCOL, Done, Hello
from uvmap_id.link.request import TextureRequest
from uvmap_id.link.wire import encode

COMMAND = (sys.executable, str(Path(__file__).resolve()))
MESSAGE = 1024
PHOTO = b"not a photo"
# How many starts without a moment's pause still say something about one start.
STARTS = 7


class NoiseEngine:
    """Makes maps that no PNG can make smaller: 8.4 MB at 1024 texels."""

    name = "noise"
    version = "1"

    def generate(self, request: TextureRequest, photos: tuple[bytes, ...], report: Report) -> TextureSet:  # noqa: ARG002
        noise = np.random.default_rng(request.seed)
        side, colour = request.size, (request.size, request.size, 3)
        report("Working", 0.5)
        shapes = (colour, colour, (side, side), (side, side))
        color, normal, rough, skin = (noise.integers(0, 256, shape, np.uint8) for shape in shapes)
        return TextureSet(color, normal, rough, skin)


def serve_here() -> None:
    from uvmap_id.server.main import ServerOptions, serve

    serve(ServerOptions(state_dir(), worker_command=(*COMMAND, "worker")))


def work_here() -> None:
    from uvmap_id.worker import serve

    serve(lambda _name: NoiseEngine())


def echo_here() -> None:
    """Print an endpoint and echo what comes there until stdin ends."""
    socket = zmq.Context.instance().socket(zmq.ROUTER)
    socket.bind("tcp://127.0.0.1:*")
    print(socket.getsockopt_string(zmq.LAST_ENDPOINT), flush=True)
    poller = zmq.Poller()
    poller.register(socket, zmq.POLLIN)
    poller.register(sys.stdin, zmq.POLLIN)
    while not any(each == sys.stdin.fileno() for each, _ in poller.poll()):
        socket.send_multipart(socket.recv_multipart())


@contextlib.contextmanager
def echo() -> Iterator[zmq.Socket[bytes]]:
    with subprocess.Popen([*COMMAND, "echo"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        socket = zmq.Context.instance().socket(zmq.DEALER)
        socket.connect(process.stdout.readline().strip())
        yield socket
        socket.close(0)
        process.stdin.close()


def milliseconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return 1000 * (time.perf_counter() - began)


def round_trips(connection: Connection, repeats: int) -> tuple[list[float], list[float]]:
    """Milliseconds through the server, and bare."""
    frames = encode(Hello(PROTOCOL, ""))
    frames = encode(Hello(PROTOCOL, "x" * (MESSAGE - sum(map(len, frames)))))
    assert sum(map(len, frames)) == MESSAGE
    channel = Channel(connection)
    while not channel.notice():
        channel.wait(0.1)

    def ask() -> None:
        assert channel.send(frames)
        while channel.receive() is None:
            channel.wait(1)

    with echo() as bare:

        def ask_bare() -> None:
            bare.send_multipart(frames)
            bare.recv_multipart()

        for _ in range(200):
            ask()
            ask_bare()
        pairs = [(milliseconds(ask), milliseconds(ask_bare)) for _ in range(repeats)]
    channel.close()
    through, plain = zip(*pairs, strict=True)
    return list(through), list(plain)


def make_maps(client: Client, seed: int) -> Done:
    request = TextureRequest(
        hashlib.sha256(PHOTO).hexdigest(), "noise", extra_maps=("subsurface",), size=1024, seed=seed
    )
    return client.wait(client.submit(request, (PHOTO,)), timeout_s=60)


def fetches(connection: Connection, folder: Path, repeats: int) -> tuple[list[float], list[float], list[float]]:
    """Milliseconds for maps that are pulled, and copied, each for the first time; and of the same bytes just written.

    Whose they are is who asks, so each client makes its own.
    """
    keys = new_key_pair()
    AuthorizedKeys(state_dir()).add(keys.public, "benchmark")
    time.sleep(1.1)
    far = remote_connection(connection.endpoint, connection.server_key, keys)
    with Client.connect(far) as pulling, Client.connect(connection) as copying:
        took: dict[Client, list[float]] = {pulling: [], copying: []}
        written = []
        for number in range(repeats):
            for client, times in took.items():
                done, into = make_maps(client, number), folder / f"{number}-{id(client)}"
                times.append(milliseconds(lambda c=client, j=done.job, i=into: c.wait_until_fetched(j, i, 30)))
                client.acknowledge(done.job)
            contents = [path.read_bytes() for path in (folder / f"{number}-{id(copying)}").iterdir()]
            written.append(milliseconds(lambda c=contents, i=folder / f"{number}-written": write(c, i)))
            if number == 0:
                print(f"maps: {sum(map(len, contents)) / 1e6:.1f} MB in {len(contents)} files")
    return took[pulling], took[copying], written


def write(contents: list[bytes], folder: Path) -> None:
    """What any program would have to wait for that keeps these files."""
    folder.mkdir()
    for number, content in enumerate(contents):
        write_synced(folder / str(number), content)
    sync_folder(folder)


def starts(state: Path) -> tuple[list[float], list[float], list[float]]:
    """Milliseconds of the first start and of later ones, and the processor's milliseconds of each."""
    first, later, busy = [], [], []
    for number in range(STARTS):
        os.environ[STATE_DIR_VARIABLE] = str(state / f"first{number}")
        for found in (first, later):
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            found.append(milliseconds(lambda: ensure_server(COMMAND)))
            stop_server()
            with contextlib.suppress(ChildProcessError):
                os.waitpid(-1, 0)
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            busy.append(1000 * (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime))
    return first, later, busy


def line(name: str, values: list[float], limit: float | None = None) -> str:
    tenths = statistics.quantiles(values, n=10)
    median = statistics.median(values)
    verdict = "" if limit is None else ("met" if median <= limit else "missed")
    target = "" if limit is None else f"<= {limit:g}"
    return f"| {name} | {median:.2f} | {tenths[0]:.2f} - {tenths[-1]:.2f} | {target} | {verdict} |"


def measure(repeats: int) -> str:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ[STATE_DIR_VARIABLE] = str(folder / "state")
        try:
            connection = ensure_server(COMMAND)
            through, bare = round_trips(connection, repeats)
            pulled, copied, written = fetches(connection, folder, max(10, repeats // 50))
        finally:
            stop_server()
        first, later, busy = starts(folder)
    ratio = statistics.median(one / other for one, other in zip(through, bare, strict=True))
    lines = [
        f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, pyzmq {zmq.__version__}, libzmq {zmq.zmq_version()}",
        "",
        "| milliseconds | median | 10 % - 90 % | target | |",
        "|---|---|---|---|---|",
        line("round trip of 1 KiB", through, 0.3),
        line("the same, bare", bare),
        line("8 MB of maps, pulled", pulled, 30),
        line("8 MB of maps, copied", copied, 30),
        line("8 MB just written", written),
        line("start, first in its folder", first, 500),
        line("start, later", later, 500),
        line("processor's time of a server from start to end", busy),
        "",
        f"A round trip takes {ratio:.2f} times as long as a bare one (median of pairs).",
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    parts = {"serve": serve_here, "worker": work_here, "echo": echo_here}
    if len(sys.argv) > 1 and sys.argv[1] in parts:
        parts[sys.argv[1]]()
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=2000, help="round trips; a fiftieth of it fetches")
    parser.add_argument("--out", type=Path, help="also write the table to this file")
    options = parser.parse_args()
    text = measure(options.repeats)
    print(text)
    if options.out:
        options.out.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
