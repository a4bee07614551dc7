"""Bringing locked packages into an environment: downloaded in lots that survive a stop, then installed offline."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

from .job import Run
from .locks import Requirement, write_lock
from .pips import Meter, Pip, locked
from .places import environment_python
from .variants import TORCH, Recipe

_MIB = 2**20
# pip keeps nothing of a call that was cut short, and takes a moment to start.
_LOT = 8
# Files of hundreds of MB each come alone.
_LARGE = ("torch", "nvidia-", "triton", "jaxlib", "opencv", "mediapipe", "scipy", "cuda-")
_DOWNLOADING, _INSTALLING = 0.8, 0.2


class Packages:
    """The packages of one environment."""

    def __init__(self, run: Run, environment: Path) -> None:
        self._run = run
        self._python = environment_python(environment)
        self._environment = environment
        self._pip = Pip(run)
        self._downloads = run.root / "downloads"
        self._cache = run.root / "cache"

    def installed(self) -> list[Path]:
        """The folders in which the environment's packages are described."""
        sites = [self._environment / "Lib" / "site-packages", *self._environment.glob("lib/python*/site-packages")]
        # Names alone: pip may be moving what lies below at this moment.
        return [path for site in sites if site.is_dir() for path in site.iterdir() if path.suffix == ".dist-info"]

    def forget_unrecorded(self) -> None:
        """Drop descriptions that don't say which files are theirs: pip refuses to replace such packages."""
        for info in self.installed():
            if not (info / "RECORD").is_file():
                shutil.rmtree(info)

    def install(self, locks: list[list[Requirement]], recipe: Recipe, again: bool = False, torch: bool = True) -> None:
        """Download what is missing, then install all of it.

        Args:
            locks: The requirements, in the order of their installation.
            recipe: Says how much it is, and where torch comes from.
            again: Also over what is installed.
            torch: Whether to install torch where it comes from an index of its own.

        Raises:
            UVMapError: See `Pip.call`.
        """
        wanted = [each for lock in locks for each in lock]
        meter = Meter(recipe.download_mb * _MIB if not again else 0)
        self._downloads.mkdir(exist_ok=True)
        for lot in _lots(wanted):
            meter.settle(sum(path.stat().st_size for path in self._downloads.glob("*.whl")))
            self._download(lot, meter)
        over = ("--force-reinstall",) if again else ()
        before = len(self.installed())
        for lock in locks:
            if lock:
                self._install(lock, over, before, len(wanted))
        if torch and recipe.torch_index:
            # Its index holds builds whose hashes PyPI doesn't know; what else it needs is there already.
            options = [*over, "--cache-dir", str(self._cache), "--index-url", recipe.torch_index, TORCH]
            self._pip.call(self._python, "install", options, meter, lambda: self._say(meter, TORCH))

    def forget_downloads(self) -> None:
        """Remove what is no longer needed once everything is installed."""
        for folder in (self._downloads, self._cache):
            shutil.rmtree(folder, ignore_errors=True)

    def _download(self, lot: list[Requirement], meter: Meter) -> None:
        if all(self._here(each) for each in lot):
            return
        names = ", ".join(each.name for each in lot)
        options = ["--cache-dir", str(self._cache), "--dest", str(self._downloads)]
        with self._listed(lot) as these:
            self._pip.call(self._python, "download", [*these, *options], meter, lambda: self._say(meter, names))
        # The cache is there for a stop in the middle of a lot; now it would only take up room.
        shutil.rmtree(self._cache, ignore_errors=True)

    def _here(self, requirement: Requirement) -> bool:
        """True for a package that was downloaded already. Its hash is compared when it is installed."""
        version = requirement.text.partition("==")[2].split()[0]
        name = requirement.name.replace("-", "_")
        found = [path.name.lower() for path in self._downloads.glob("*.whl")]
        return any(each.startswith(f"{name}-{version}-") for each in found)

    def _install(self, lock: list[Requirement], over: tuple[str, ...], before: int, total: int) -> None:
        def on_wait() -> None:
            done = (len(self.installed()) - before) / max(1, total)
            self._run.report(_DOWNLOADING + _INSTALLING * min(1.0, done), f"Installing {total} packages")

        offline = ["--no-index", "--no-cache-dir", "--find-links", str(self._downloads), *over]
        with self._listed(lock) as these:
            self._pip.call(self._python, "install", [*these, *offline], on_wait=on_wait)

    @contextlib.contextmanager
    def _listed(self, requirements: list[Requirement]) -> Iterator[list[str]]:
        """Pip's arguments for some requirements, for as long as it runs."""
        path = self._run.root / "tmp" / "lot.txt"
        write_lock(path, requirements)
        try:
            yield locked(path)
        finally:
            path.unlink(missing_ok=True)

    def _say(self, meter: Meter, names: str) -> None:
        text = f"Downloading {names if len(names) < 60 else f'{names[:57]}...'}"
        self._run.report(_DOWNLOADING * meter.fraction, text, meter.speed, meter.left)


def _lots(requirements: list[Requirement]) -> list[list[Requirement]]:
    lots: list[list[Requirement]] = []
    small: list[Requirement] = []
    for each in requirements:
        if each.name.startswith(_LARGE):
            lots.append([each])
        else:
            small.append(each)
    return [*(small[start : start + _LOT] for start in range(0, len(small), _LOT)), *lots]
