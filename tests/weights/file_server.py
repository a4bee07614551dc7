"""A real file server on this computer that can be told to misbehave, and a real proxy that counts.

Each fault is counted when it fires: a test that relies on one asserts that.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Seen:
    """A request as it came."""

    method: str
    path: str
    headers: dict[str, str]


@dataclass
class Served:
    """One file and how it is served.

    Attributes:
        content: Its bytes.
        faults: One for each GET to come, the first for the next; "" is none. After the last all goes well.
        etag: Strong validator; "" for none.
        ranges: False to ignore `Range`.
        head: False to refuse HEAD.
        linked: True to announce size and hash as the hub does for large files.
        redirect: Where to send everybody instead.
    """

    content: bytes
    faults: list[str] = field(default_factory=list)
    etag: str = '"first"'
    ranges: bool = True
    head: bool = True
    linked: bool = False
    redirect: str = ""
    content_type: str = "application/octet-stream"


class FileServer(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.files: dict[str, Served] = {}
        self.fired: Counter[str] = Counter()
        self.seen: list[Seen] = []
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.other_host_url = f"http://localhost:{self.server_port}"
        self.released = threading.Event()

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that goes away is no news."""

    def requests(self, path: str, method: str = "GET") -> list[Seen]:
        return [seen for seen in self.seen if seen.path == path and seen.method == method]

    def ranged(self, path: str) -> list[str]:
        return [seen.headers["range"] for seen in self.requests(path) if "range" in seen.headers]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: FileServer  # pyright: ignore[reportIncompatibleVariableOverride]

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Silence."""

    def do_HEAD(self) -> None:
        served = self._find()
        if served is None:
            return
        if not served.head:
            self.server.fired["no-head"] += 1
            self._status(405)
        elif served.redirect:
            self._redirect(served)
        else:
            self.send_response(200)
            self._headers(served, len(served.content))

    def do_GET(self) -> None:
        served = self._find()
        if served is None:
            return
        fault = served.faults.pop(0) if served.faults else ""
        if served.redirect:
            self._redirect(served)
        elif fault.isdigit():
            self.server.fired[fault] += 1
            self._status(int(fault))
        else:
            self._serve(served, fault)

    def _find(self) -> Served | None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.seen.append(Seen(self.command, self.path, headers))
        served = self.server.files.get(self.path)
        if served is None:
            self._status(404)
        return served

    def _serve(self, served: Served, fault: str) -> None:
        content, start = served.content, 0
        match = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        if match and not served.ranges:
            self.server.fired["range-ignored"] += 1
        elif match and self.headers.get("If-Range", served.etag) != served.etag:
            self.server.fired["if-range-changed"] += 1
        elif match:
            start = int(match[1])
        if start >= len(content) > 0 and start:
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(content)}")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        if fault:
            self.server.fired[fault] += 1
        body = content[start:]
        if fault == "wrong-bytes":
            body = bytes(255 - byte for byte in body)
        if fault == "html":
            body = b"<!DOCTYPE html><title>Sign in</title>" + b" " * (len(body) - 37)
        self.send_response(206 if start else 200)
        if start:
            shift = 1 if fault == "wrong-range" else 0
            self.send_header("Content-Range", f"bytes {start + shift}-{len(content) - 1}/{len(content)}")
        length = len(body)
        if fault == "lies-short":
            length //= 2
        if fault == "lies-huge":
            length = 10**15
        self._headers(served, length, "text/html; charset=utf-8" if fault == "html-type" else served.content_type)
        self._send(body, fault)

    def _send(self, body: bytes, fault: str) -> None:
        if fault in ("truncate", "lies-huge"):
            self.wfile.write(body[: len(body) // 2])
            self.close_connection = True
        elif fault in ("stall", "hold"):
            self.wfile.write(body[: len(body) // 2])
            self.wfile.flush()
            self.server.released.wait(20)
            self.close_connection = True
        elif fault == "trickle":
            for index in range(200):
                self.wfile.write(body[index : index + 1])
                self.wfile.flush()
                if self.server.released.wait(0.02):
                    break
            self.close_connection = True
        else:
            self.wfile.write(body)

    def _headers(self, served: Served, length: int, content_type: str = "application/octet-stream") -> None:
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(length))
        if served.etag:
            self.send_header("ETag", served.etag)
        self._announce(served)
        self.end_headers()

    def _announce(self, served: Served) -> None:
        if served.linked:
            self.send_header("X-Linked-Size", str(len(served.content)))
            self.send_header("X-Linked-ETag", f'"{hashlib.sha256(served.content).hexdigest()}"')

    def _redirect(self, served: Served) -> None:
        self.server.fired["redirect"] += 1
        self.send_response(302)
        self.send_header("Location", served.redirect)
        self.send_header("Content-Length", "0")
        self._announce(served)
        self.end_headers()

    def _status(self, status: int) -> None:
        self.send_response(status)
        if status == 429:
            self.send_header("Retry-After", "0")
        self.send_header("Content-Length", "0")
        self.end_headers()


class Proxy(ThreadingHTTPServer):
    """Forwards plain http, refuses tunnels, and counts both."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _ProxyHandler)
        self.asked: list[str] = []
        self.url = f"http://127.0.0.1:{self.server_port}"


class _ProxyHandler(BaseHTTPRequestHandler):
    server: Proxy  # pyright: ignore[reportIncompatibleVariableOverride]

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Silence."""

    def do_GET(self) -> None:
        self.server.asked.append(f"{self.command} {self.path}")
        request = urllib.request.Request(self.path, method=self.command)  # noqa: S310
        direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with direct.open(request, timeout=5) as answer:
            self.send_response(answer.status)
            for name in ("Content-Length", "ETag"):
                if answer.headers[name]:
                    self.send_header(name, answer.headers[name])
            self.end_headers()
            self.wfile.write(answer.read())

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_CONNECT(self) -> None:
        self.server.asked.append(f"CONNECT {self.path}")
        self.send_error(502)


@contextlib.contextmanager
def running(server: ThreadingHTTPServer) -> Iterator[None]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield
    finally:
        if isinstance(server, FileServer):
            server.released.set()
        server.shutdown()
        server.server_close()
        thread.join()


def wait_until(condition: Callable[[], bool], timeout_s: float = 10.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)
