"""Brings weights into the store that the user has already: a file, a folder or a zip archive."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from uvmap_id.link.disk import disk_error, remove
from uvmap_id.link.errors import ErrorCode, UVMapError
from uvmap_id.weights.archive import MAX_FILES, unpack
from uvmap_id.weights.catalogue import ID, Entry, Purpose, is_inside
from uvmap_id.weights.download import no_room
from uvmap_id.weights.fetch import now
from uvmap_id.weights.record import FILE_NAME, Record, describe, file_hash
from uvmap_id.weights.store import InstalledWeights, WeightsStore

# What each kind of weights is for, by the beginning of its name. A Stable Diffusion that nobody named is a base.
_PURPOSES = {
    "uvmap-id": Purpose.TEXTURE,
    "texdreamer": Purpose.TEXTURE,
    "sd": Purpose.BASE,
    "vae": Purpose.VAE,
    "ip-adapter": Purpose.ADAPTER,
}
_RECOGNISED = frozenset((Purpose.TEXTURE, Purpose.BASE, Purpose.VAE, Purpose.ADAPTER))
_ZIP = b"PK\x03\x04"
# A torch pickle is a zip archive as well.
_NOT_ARCHIVES = frozenset((".bin", ".ckpt", ".pt", ".pth"))


@dataclass(frozen=True, slots=True)
class Import:
    """What to import.

    Attributes:
        source: A file, a folder or a zip archive.
        weights_id: The name to give it; None for the catalogue's name of that kind, or the file's own.
        purpose: What it is for; None for what its kind is for.
        link: True to use it where it is.
    """

    source: Path
    weights_id: str | None = None
    purpose: Purpose | None = None
    link: bool = False


def import_weights(store: WeightsStore, wanted: Import) -> InstalledWeights:
    """Check weights and copy them into the store, or link them in place.

    Raises:
        UVMapError: `weights_missing`: there is nothing at the path. `weights_unsupported`, `weights_incomplete`,
            `weights_invalid`: the files are not what was asked for, or the name is taken. `weights_unknown`: no proper
            name. `package_missing`: torch is needed for telling what they are. `output_not_writable`, `disk_full`.
            Nothing is left behind.
    """
    source = wanted.source.expanduser().absolute()
    if not source.exists():
        raise UVMapError(ErrorCode.WEIGHTS_MISSING, f"There is no {source}.", "Give the path of a file or a folder.")
    work = store.folder / ".partial" / f"import-{secrets.token_hex(4)}"
    try:
        work.mkdir(parents=True)
        with _opened(source, work / "unpacked", wanted.link) as root:
            record = _record(store, wanted, root, source)
            return _install(store, record, root, work / "files")
    except OSError as error:
        raise disk_error(error, store.folder) from error
    finally:
        remove(work)


@contextlib.contextmanager
def _opened(source: Path, folder: Path, link: bool) -> Iterator[Path]:
    if not _is_archive(source):
        yield source
        return
    if link:
        raise UVMapError(
            ErrorCode.WEIGHTS_INVALID, "A zip archive can't be used in place.", "Unpack it first, or leave out --link."
        )
    folder.mkdir()
    unpack(source, folder)
    inside = list(folder.iterdir())
    while len(inside) == 1 and inside[0].is_dir():
        folder = inside[0]
        inside = list(folder.iterdir())
    yield folder


def _is_archive(path: Path) -> bool:
    if not path.is_file() or path.suffix.lower() in _NOT_ARCHIVES:
        return False
    with path.open("rb") as file:
        return file.read(len(_ZIP)) == _ZIP


def _record(store: WeightsStore, wanted: Import, root: Path, source: Path) -> Record:
    """What to note; its files are still to be measured, but for what is linked."""
    if wanted.weights_id is not None:
        _refuse_name(store, wanted.weights_id)
    entry = store.catalogue.find(wanted.weights_id) if wanted.weights_id else None
    by_name = entry is not None and entry.purpose not in _RECOGNISED
    kind = "" if by_name else _kind(root)
    entry = entry or _entry_of_kind(store, wanted, kind)
    weights_id = wanted.weights_id or (entry.id if entry else _name_of(source))
    _refuse_name(store, weights_id)
    if entry and not kind.startswith(entry.kind):
        raise UVMapError(
            ErrorCode.WEIGHTS_INVALID, f"These weights are {kind}, not {entry.title}.", "Leave out --as, or change it."
        )
    purpose = wanted.purpose or (entry.purpose if entry else _purpose(kind))
    linked = str(root.resolve()) if wanted.link else ""
    licence = entry.licence.id if entry else ""
    record = Record(weights_id, purpose.value, kind, source=str(source), licence=licence, linked=linked)
    files = _named_files(entry, root) if entry and by_name else _all_files(root)
    base = root.parent if root.is_file() else root
    return replace(record, files=describe(base, files, now()))


def _kind(root: Path) -> str:
    try:
        from uvmap_id.weights.recognise import recognise
    except ModuleNotFoundError as error:
        raise UVMapError(
            ErrorCode.PACKAGE_MISSING,
            f"Telling what these weights are needs the package {error.name}.",
            'pip install "uvmap-id[diffusion]"',
        ) from None
    return recognise(root).value


def _purpose(kind: str) -> Purpose:
    return next(purpose for beginning, purpose in _PURPOSES.items() if kind.startswith(beginning))


def _entry_of_kind(store: WeightsStore, wanted: Import, kind: str) -> Entry | None:
    """The only entry of a kind; none where the user named the weights otherwise."""
    if wanted.weights_id is not None:
        return None
    fitting = [entry for entry in store.catalogue.entries if entry.kind and kind.startswith(entry.kind)]
    unmistakable = len(fitting) == 1 and fitting[0].purpose in (Purpose.TEXTURE, Purpose.ADAPTER)
    return fitting[0] if unmistakable else None


def _name_of(source: Path) -> str:
    name = source.stem if source.is_file() else source.name
    return re.sub(r"[^a-z0-9.+-]+", "-", name.lower()).strip("-.+")[:64] or "weights"


def _refuse_name(store: WeightsStore, weights_id: str) -> None:
    if not ID.fullmatch(weights_id):
        raise UVMapError(
            ErrorCode.WEIGHTS_UNKNOWN,
            f'"{weights_id[:64]}" can\'t be a name of weights.',
            "Choose small letters, digits, dots and dashes: --as my-weights",
        )
    if (store.folder / weights_id).exists():
        raise UVMapError(
            ErrorCode.WEIGHTS_INVALID,
            f'There are weights called "{weights_id}" already.',
            f"Choose another name with --as, or remove them: uvmap-id weights remove {weights_id}",
        )


def _all_files(root: Path) -> list[str]:
    if root.is_file():
        return _proper([root.name])
    found: list[str] = []
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        visible = [Path(folder, name) for name in sorted(names) if not name.startswith(".") and name != FILE_NAME]
        found += [path.relative_to(root).as_posix() for path in visible if path.is_file()]
        if len(found) > MAX_FILES:
            raise UVMapError(
                ErrorCode.WEIGHTS_INVALID,
                f"{root} holds more than {MAX_FILES:,} files.",
                "Give the weights' own folder.",
            )
    return _proper(found)


def _proper(paths: list[str]) -> list[str]:
    for path in paths:
        if not is_inside(path):
            raise UVMapError(
                ErrorCode.WEIGHTS_INVALID, f"A file has a name that not every system allows: {path!r}.", "Rename it."
            )
    return paths


def _named_files(entry: Entry, root: Path) -> list[str]:
    """The files of an entry that can't be told by their tensors: known by path, and by hash where there is one."""
    known = {file.path: file.sha256 for file in entry.files}
    base = root.parent if root.is_file() else root
    for path in entry.installed_paths:
        file = base / path
        if not file.is_file() or (root.is_file() and file != root):
            raise UVMapError(ErrorCode.WEIGHTS_INCOMPLETE, f"{root} has no {path}.", f"{entry.title} consists of it.")
        if known.get(path) and file_hash(file) != known[path]:
            raise UVMapError(
                ErrorCode.WEIGHTS_INVALID, f"{file} is not {entry.title}: its hash differs.", "Get the file again."
            )
    return list(entry.installed_paths)


def _install(store: WeightsStore, record: Record, root: Path, staging: Path) -> InstalledWeights:
    staging.mkdir()
    if not record.linked:
        free = shutil.disk_usage(staging).free
        if record.size > free:
            raise no_room(store.folder, record.size, free)
        base = root.parent if root.is_file() else root
        for file in record.files:
            target = staging / file.path
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(base / file.path, target)
            if file_hash(target) != file.sha256:
                raise UVMapError(
                    ErrorCode.WEIGHTS_INVALID, f"{base / file.path} changed while it was copied.", "Try again."
                )
    with store.lock(record.id, lambda _: None):
        _refuse_name(store, record.id)
        store.publish(staging, record)
    return next(weights for weights in store.installed() if weights.id == record.id)
