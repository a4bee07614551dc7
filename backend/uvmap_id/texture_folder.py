"""The folder that a person chose for a texture set: all its files appear together, or nothing changes."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from uvmap_id.link.disk import disk_error, remove, sync_folder, write_synced
from uvmap_id.link.errors import ErrorCode, UVMapError
from uvmap_id.link.request import EXTRA_MAPS, MAPS
from uvmap_id.link.texture_set import MANIFEST_NAME, files_of, map_file, read_manifest

_POSSIBLE_FILES = (*map(map_file, (*MAPS, *EXTRA_MAPS)), MANIFEST_NAME)


class TextureFolder:
    """A folder that can be written to, as was tried out."""

    def __init__(self, path: Path) -> None:
        """Use `texture_folder`, which makes the folder and tidies up."""
        self.path = path

    def publish(self, source: Path) -> Path:
        """Copy a complete texture set from `source`, in place of one that may be here.

        Returns:
            The manifest's path.

        Raises:
            UVMapError: `output_not_writable`, `disk_full`, or `settings_unreadable` where `source` is no texture
                set; the folder is as it was before.
        """
        token = secrets.token_hex(4)
        fresh: dict[str, Path] = {}
        try:
            for name in files_of(read_manifest(source)):
                fresh[name] = self.path / f".{name}.{token}.new"
                write_synced(fresh[name], (source / name).read_bytes())
            self._exchange(fresh, token)
            sync_folder(self.path)
        except OSError as error:
            raise disk_error(error, self.path) from error
        finally:
            for temporary in fresh.values():
                remove(temporary)
        return self.path / MANIFEST_NAME

    def _exchange(self, fresh: dict[str, Path], token: str) -> None:
        placed: list[Path] = []
        kept: dict[Path, Path] = {}
        try:
            for name in dict.fromkeys((*fresh, *_files_in(self.path))):
                final = self.path / name
                if final.is_file():
                    old = self.path / f".{name}.{token}.old"
                    final.replace(old)
                    kept[old] = final
                if name in fresh:
                    fresh[name].replace(final)
                    placed.append(final)
        except BaseException:
            for final in placed:
                remove(final)
            for old, final in kept.items():
                old.replace(final)
            raise
        for old in kept:
            remove(old)


def _files_in(folder: Path) -> tuple[str, ...]:
    """The files of the texture set that lies in a folder, none where there is no manifest."""
    try:
        return files_of(read_manifest(folder))
    except (OSError, UVMapError):
        return ()


@contextmanager
def texture_folder(path: Path) -> Iterator[TextureFolder]:
    """Make sure that a texture set can be written to `path` before the work for it begins.

    Folders that were made for it go again when the work fails.

    Raises:
        UVMapError: `output_not_writable` or `disk_full`.
    """
    path = path.absolute()
    made = [folder for folder in (path, *path.parents) if not folder.exists()]
    try:
        _try_out(path)
        yield TextureFolder(path)
    except BaseException:
        for folder in made:
            _remove_if_empty(folder)
        raise


def _try_out(path: Path) -> None:
    probe = path / f".{secrets.token_hex(4)}.new"
    try:
        path.mkdir(parents=True, exist_ok=True)
        write_synced(probe, b"probe")
        probe.unlink()
    except OSError as error:
        raise disk_error(error, path) from error
    for name in _POSSIBLE_FILES:
        if (path / name).is_dir():
            raise UVMapError(
                ErrorCode.OUTPUT_NOT_WRITABLE, f"{path / name} is a folder.", "Choose another output folder."
            )


def _remove_if_empty(folder: Path) -> None:
    try:
        folder.rmdir()
    except OSError:
        # Someone else has put something there meanwhile, or it was never made.
        return
