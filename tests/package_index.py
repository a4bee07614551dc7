"""A package index on this computer, with small packages of our own, for trying the set-up out without the internet.

pip, environments, files and processes are real; only the packages are small. The one real package is pip itself.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import io
import os
import subprocess
import sys
import threading
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BACKEND_MAIN = """
import json, os, sys
if "--version" in sys.argv:
    print("uvmap-id {version}")
elif "doctor" in sys.argv:
    import small_one, small_two, large
    checks = [{{"name": "python", "state": "ok", "detail": sys.version.split()[0], "fix": ""}}]
    checks.append({{"name": "small_one", "state": small_one.STATE, "detail": "of the tests", "fix": ""}})
    print(json.dumps({{"ok": True, "checks": checks}}, indent=2))
"""


def make_wheel(name: str, version: str, files: dict[str, bytes]) -> tuple[str, bytes]:
    """A wheel's file name and content."""
    info = f"{name}-{version}.dist-info"
    described = {
        **files,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n".encode(),
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = [f"{path},sha256={_hash(content)},{len(content)}" for path, content in described.items()]
    described[f"{info}/RECORD"] = "\n".join([*record, f"{info}/RECORD,,", ""]).encode()
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for path, content in described.items():
            archive.writestr(zipfile.ZipInfo(path, (2020, 1, 1, 0, 0, 0)), content)
    return f"{name}-{version}-py3-none-any.whl", packed.getvalue()


def make_backend(folder: Path, version: str = "9.9.9") -> Path:
    """A wheel that answers as the backend does."""
    main = BACKEND_MAIN.format(version=version).encode()
    name, content = make_wheel("uvmap_id", version, {"uvmap_id/__init__.py": b"", "uvmap_id/__main__.py": main})
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(content)
    return folder / name


def _hash(content: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()


class PackageIndex(ThreadingHTTPServer):
    """Serves wheels as PyPI does.

    Attributes:
        wheels: File name -> content.
        asked: How often each wheel was asked for.
        before: Called before a wheel of that name is sent.
        hold: Names of wheels that are sent only half, until `released`.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.wheels: dict[str, bytes] = {}
        self.asked: Counter[str] = Counter()
        self.before: dict[str, Callable[[], None]] = {}
        self.hold: set[str] = set()
        self.half_sent = threading.Event()
        self.released = threading.Event()
        self.url = f"http://127.0.0.1:{self.server_port}/simple/"

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that goes away is no news."""

    def add(self, name: str, version: str, files: dict[str, bytes]) -> str:
        """Serve a package. Returns its line in a lock."""
        file, content = make_wheel(name, version, files)
        self.wheels[file] = content
        return f"{name.replace('_', '-')}=={version} \\\n    --hash=sha256:{hashlib.sha256(content).hexdigest()}\n"

    def add_pip(self) -> str:
        """Serve the locked pip. Returns its lines in the lock."""
        lock = (ROOT / "requirements" / "setup-tools.txt").read_text(encoding="utf-8")
        block = lock[lock.index("pip==") : lock.index("uv==")]
        wheel = _pip_wheel(block.split()[0])
        self.wheels[wheel.name] = wheel.read_bytes()
        return block


def _pip_wheel(requirement: str) -> Path:
    """The locked pip, fetched once from where this computer fetches packages."""
    cache = ROOT / "build" / "wheels"
    pattern = f"pip-{requirement.partition('==')[2]}-*.whl"
    if not any(cache.glob(pattern)):
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(cache), requirement]
        subprocess.run(command, check=True)
    return next(cache.glob(pattern))


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: PackageIndex  # pyright: ignore[reportIncompatibleVariableOverride]

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Silence."""

    def do_GET(self) -> None:
        place = self.path.strip("/").split("/")
        if place[0] == "simple" and len(place) == 2:
            self._send(self._page(place[1]).encode(), "text/html")
        elif place[0] == "files" and place[1] in self.server.wheels:
            self._send_wheel(place[1])
        else:
            self.send_error(404)

    def _page(self, project: str) -> str:
        names = [name for name in self.server.wheels if name.split("-")[0].replace("_", "-").lower() == project]
        links = "".join(f'<a href="/files/{name}">{name}</a>' for name in names)
        return f"<!DOCTYPE html><html><body>{links}</body></html>"

    def _send_wheel(self, name: str) -> None:
        server, content = self.server, self.server.wheels[name]
        server.asked[name] += 1
        server.before.get(name, lambda: None)()
        if name not in server.hold:
            self._send(content, "application/octet-stream")
            return
        self._head(len(content), "application/octet-stream")
        self.wfile.write(content[: len(content) // 2])
        self.wfile.flush()
        server.half_sent.set()
        server.released.wait(60)
        with contextlib.suppress(OSError):
            self.wfile.write(content[len(content) // 2 :])

    def _send(self, content: bytes, kind: str) -> None:
        self._head(len(content), kind)
        self.wfile.write(content)

    def _head(self, size: int, kind: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(size))
        self.end_headers()


@contextlib.contextmanager
def serving() -> Iterator[PackageIndex]:
    """An index that answers until the end of the block."""
    index = PackageIndex()
    thread = threading.Thread(target=index.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield index
    finally:
        index.released.set()
        index.shutdown()
        thread.join()
        index.server_close()


def variables(index: PackageIndex) -> dict[str, str]:
    """The variables with which pip uses this index and nothing else."""
    return {
        "PIP_INDEX_URL": index.url,
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_FIND_LINKS": "",
        "PIP_EXTRA_INDEX_URL": "",
        "NO_PROXY": "127.0.0.1",
        "no_proxy": "127.0.0.1",
    }


def stock(index: PackageIndex, requirements: Path) -> None:
    """Fill the index with the packages of the tests, and lock them in a folder."""
    requirements.mkdir(parents=True, exist_ok=True)
    lines = [
        index.add("small_one", "1.0", {"small_one.py": b'STATE = "ok"\n', "small_one_more.py": b"MORE = 1\n"}),
        index.add("small_two", "2.0", {"small_two.py": b"TWO = 2\n"}),
        # Named so that it comes alone, as large packages do.
        index.add("opencv_large", "1.0", {"large.py": b"", "large.bin": hashlib.shake_128(b"large").digest(8 << 20)}),
    ]
    (requirements / "setup-basic.txt").write_text("".join(lines), encoding="utf-8")
    (requirements / "setup-tools.txt").write_text(index.add_pip(), encoding="utf-8")
