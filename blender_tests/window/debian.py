"""A Debian with a Blender of its own, in a folder: what it shares with this machine, and how its programs are run.

The mounts are those of the running process's own mount namespace: they are gone when it ends, however it ends.
"""

from __future__ import annotations

import os
import shlex
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import IO

# Compiled shaders are kept: Blender's preview of materials takes a minute without them.
_SHADERS = "/var/cache/uvmap-id-shaders"
# Only this reaches the programs inside: nothing of the user's own Blender, Python or desktop.
_ENVIRONMENT = {
    "HOME": "/tmp/home",
    "LANG": "C.UTF-8",
    "MESA_SHADER_CACHE_DIR": _SHADERS,
    "LIBGL_ALWAYS_SOFTWARE": "1",
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
}


class Debian:
    """The Debian in a folder."""

    def __init__(self, root: Path) -> None:
        """Mount what programs need.

        Args:
            root: The folder that holds it.

        Raises:
            subprocess.CalledProcessError: Something can't be mounted.
        """
        self._root = root
        # What is mounted there now may be of another process namespace, whose pids mean nothing in this one.
        for kind, source, place in (("proc", "proc", "proc"), ("tmpfs", "tmp", "tmp"), ("sysfs", "sys", "sys")):
            _mount("-t", kind, source, str(root / place))
        _mount("--rbind", "/dev", str(root / "dev"))
        (root / "tmp" / "home").mkdir()
        (root / _SHADERS.lstrip("/")).mkdir(parents=True, exist_ok=True)

    def share(self, folder: Path) -> None:
        """Have a folder of this machine inside, under the same path."""
        inside = self._root / folder.relative_to("/")
        inside.mkdir(parents=True, exist_ok=True)
        _mount("--bind", str(folder), str(inside))

    def add_program(self, name: str, program: Path) -> str:
        """Have a program of this machine inside, which runs as it runs here: with this machine's files and libraries.

        Returns:
            The path of it inside.
        """
        place = self._root / "tmp" / name
        # /proc/<pid>/root is the root folder of that process: this one's, seen from inside.
        place.write_text(f'#!/bin/sh\nexec chroot /proc/{os.getpid()}/root "{program}" "$@"\n', encoding="utf-8")
        place.chmod(0o755)
        return f"/tmp/{name}"

    def command_line(self, program: str) -> str:
        """What a shell calls to run a program inside."""
        return shlex.join(["chroot", str(self._root), program])

    def start(self, command: list[str], log: IO[bytes], environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
        """Start a program inside; what it says goes to the log."""
        return subprocess.Popen(
            ["chroot", str(self._root), *command],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env={**_ENVIRONMENT, **environment},
        )


def _mount(*arguments: str) -> None:
    subprocess.run(["mount", *arguments], check=True)
