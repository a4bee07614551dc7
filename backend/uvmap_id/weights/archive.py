"""Takes files out of a zip archive that may have been made to do harm."""

from __future__ import annotations

import stat
import zipfile
import zlib
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from uvmap_id.link.disk import disk_error
from uvmap_id.link.errors import ErrorCode, UVMapError
from uvmap_id.weights.catalogue import is_inside

MAX_FILES = 10_000

# Weights hardly get smaller when they are packed; a bomb shrinks a thousandfold.
_MAX_RATIO = 100
_SMALL = 1 << 20
_CHUNK = 1 << 20
_USUAL_METHODS = frozenset((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))


def unpack(archive: Path, destination: Path, wanted: tuple[str, ...] = ()) -> list[str]:
    """Unpack a zip archive into a folder that exists.

    Args:
        archive: The zip.
        destination: The folder.
        wanted: Paths of the files to take, wherever in the archive's folders they lie; all where it is empty.

    Returns:
        The paths of the files inside the folder, with slashes.

    Raises:
        UVMapError: `weights_invalid`: no zip, damaged, or made to write elsewhere or to fill the disk.
            `weights_incomplete`: a wanted file is not in it. `output_not_writable`, `disk_full`.
    """
    try:
        with zipfile.ZipFile(archive) as file:
            members = [member for member in file.infolist() if not member.is_dir()]
            chosen = _choose(members, wanted, archive) if wanted else {_path(member): member for member in members}
            _refuse_bombs(chosen.values(), archive)
            if len(chosen) < len(wanted or members):
                raise _bad(archive, "it holds a file twice")
            for path, member in chosen.items():
                _extract(file, member, destination / path)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise _bad(archive, str(error) or "it is cut off") from error
    except OSError as error:
        raise disk_error(error, destination) from error
    return list(chosen)


def _choose(members: list[zipfile.ZipInfo], wanted: tuple[str, ...], archive: Path) -> dict[str, zipfile.ZipInfo]:
    chosen = {}
    for path in wanted:
        found = [member for member in members if f"/{member.filename}".endswith(f"/{path}")]
        if len(found) != 1:
            problem = "does not hold" if not found else "holds more than one"
            raise UVMapError(
                ErrorCode.WEIGHTS_INCOMPLETE, f"{archive.name} {problem} {path}.", "Download the archive again."
            )
        chosen[path] = found[0]
    return chosen


def _path(member: zipfile.ZipInfo) -> str:
    if not is_inside(member.filename):
        raise UVMapError(
            ErrorCode.WEIGHTS_INVALID,
            f"The archive would write outside its folder: {member.filename[:80]!r}.",
            "Don't use it.",
        )
    return str(PurePosixPath(member.filename))


def _refuse_bombs(members: Iterable[zipfile.ZipInfo], archive: Path) -> None:
    members = list(members)
    if len(members) > MAX_FILES:
        raise _bad(archive, f"it holds more than {MAX_FILES:,} files")
    for member in members:
        if stat.S_ISLNK(member.external_attr >> 16):
            raise _bad(archive, f"{member.filename[:80]} is a link")
        if member.compress_type not in _USUAL_METHODS:
            raise _bad(archive, f"{member.filename[:80]} is packed in an unusual way")
    unpacked, packed = sum(member.file_size for member in members), sum(member.compress_size for member in members)
    if unpacked > max(_MAX_RATIO * packed, _SMALL) or packed > archive.stat().st_size:
        raise _bad(archive, f"{packed:,} bytes would become {unpacked:,}")


def _extract(file: zipfile.ZipFile, member: zipfile.ZipInfo, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    written = 0
    with file.open(member) as source, target.open("wb") as output:
        # zipfile never hands out more than the size that it was told, and checks the CRC at the end.
        while chunk := source.read(_CHUNK):
            written += len(chunk)
            output.write(chunk)
    if written != member.file_size:
        raise _bad(Path(file.filename or ""), f"{member.filename[:80]} is cut off")


def _bad(archive: Path, why: str) -> UVMapError:
    return UVMapError(ErrorCode.WEIGHTS_INVALID, f"{archive.name} can't be unpacked: {why}.", "Download it again.")
