"""What was made: entries in the .blend, and maps on disk. Undo takes textures off bodies, not entries out of here."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import bpy

from . import png, recall, results
from .jobs import Job, Origin
from .link.errors import ErrorCode, UVMapError
from .link.texture_set import MANIFEST_NAME, map_file
from .properties import HistoryEntry, settings_of

THUMBNAILS = ".thumbnails"


@dataclass(frozen=True, slots=True)
class Record:
    """One texture set that was made.

    Attributes:
        job: Its folder's name, which begins as the job's.
        folder: Where its maps lie.
        thumbnail: A small PNG; may be missing.
        settings: What the user had set, as `recall` writes it.
        label: What a list calls it.
        made: Date and time, for a person.
        origin: Where it was asked for.
    """

    job: str
    folder: Path
    thumbnail: Path
    settings: str
    label: str
    made: str
    origin: Origin


class History:
    """The records of this Blender's run, so that neither undo nor another file makes one disappear."""

    def __init__(self) -> None:
        self._records: dict[str, Record] = {}

    def record(self, job: Job, folder: Path) -> None:
        """Take note of a finished job, in its scene if that is there."""
        label = f"{job.request.prompt[:40]} · {job.request.seed}"
        settings = recall.written(job.request, list(job.origin.faces))
        made = datetime.now().strftime("%Y-%m-%d %H:%M:%S")
        record = Record(folder.name, folder, keep_thumbnail(folder), settings, label, made, job.origin)
        self._records[record.job] = record
        scene = scene_of(record.origin)
        if scene is not None:
            _add(scene, record)

    def forget(self, job: str) -> None:
        """The user deleted it."""
        self._records.pop(job, None)

    def restore(self) -> int:
        """Put back what undo took, or what belongs to a file that was opened again. Returns how many there were."""
        count = 0
        for record in self._records.values():
            scene = scene_of(record.origin)
            if scene is not None and entry_of(scene, record.job) is None:
                _add(scene, record)
                count += 1
        return count


def scene_of(origin: Origin) -> bpy.types.Scene | None:
    """The scene in which a job was asked for, or what it has become since its file was opened again."""
    scenes: list[bpy.types.Scene] = list(bpy.data.scenes)
    mine = next((scene for scene in scenes if scene.session_uid == origin.scene), None)
    if mine is not None or not origin.blend or origin.blend != bpy.data.filepath:
        return mine
    return next((scene for scene in scenes if scene.name == origin.scene_name), bpy.context.scene)


def body_of(origin: Origin) -> bpy.types.Object | None:
    """The body for which a job was asked, renamed or not, also after its file was opened again."""
    objects: list[bpy.types.Object] = list(bpy.data.objects)
    mine = next((item for item in objects if item.session_uid == origin.body), None)
    if mine is not None or not origin.blend or origin.blend != bpy.data.filepath:
        return mine
    # A deleted body must not be mistaken for another one of its name: that holds only for a file opened anew.
    if any(scene.session_uid == origin.scene for scene in bpy.data.scenes):
        return None
    return next((item for item in objects if item.name == origin.body_name and item.type == "MESH"), None)


def entry_of(scene: bpy.types.Scene, job: str) -> HistoryEntry | None:
    """A scene's entry for a job."""
    return next((entry for entry in settings_of(scene).history if entry.job == job), None)


def chosen(scene: bpy.types.Scene) -> HistoryEntry:
    """The entry that the user has selected. Raises `UVMapError` where there is none."""
    settings = settings_of(scene)
    if not 0 <= settings.history_index < len(settings.history):
        raise UVMapError(ErrorCode.BODY_WITHOUT_TEXTURES, "No texture is selected.", "Select one in the history.")
    return settings.history[settings.history_index]


def folder_of(entry: HistoryEntry) -> Path:
    """Where an entry's maps lie, also after the .blend and its textures were moved together."""
    folder = Path(bpy.path.abspath(entry.folder))
    moved = results.home() / folder.name
    return moved if not folder.is_dir() and moved.is_dir() else folder


def thumbnail_path(entry: HistoryEntry) -> Path:
    """Where an entry's small picture lies."""
    path = Path(bpy.path.abspath(entry.thumbnail))
    return path if path.is_file() else _thumbnail_beside(folder_of(entry))


def thumbnail_text(entry: HistoryEntry) -> str:
    """The path of an entry's small picture; asks no disk, so that panels may."""
    return bpy.path.abspath(entry.thumbnail)


def keep_thumbnail(folder: Path) -> Path:
    """Write the small picture of a texture set beside its folder. What can't be written is not worth a failure."""
    path = _thumbnail_beside(folder)
    picture = png.thumbnail_of(folder / map_file("base_color"))
    if picture:
        try:
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(picture)
        except OSError:
            return path
    return path


def delete(scene: bpy.types.Scene, entry: HistoryEntry, *, files: bool) -> str:
    """Take an entry out of the history.

    Args:
        scene: Whose it is.
        entry: Which.
        files: Delete its maps too, unless another entry or a material of this file uses them.

    Returns:
        A sentence about what became of the files.

    Raises:
        UVMapError: `output_not_writable`: the files can't be deleted; the entry is still there.
    """
    settings, folder = settings_of(scene), folder_of(entry)
    sentence = "The maps were left where they are."
    if files and folder.is_dir():
        users = [other for other in _all_entries() if other.job != entry.job and folder_of(other) == folder]
        if users or folder in _shown_folders():
            sentence = "The maps are still used, and were left where they are."
        else:
            _remove(folder)
            sentence = "Its maps were deleted."
    index = next(number for number, other in enumerate(settings.history) if other.job == entry.job)
    settings.history.remove(index)
    settings.history_index = max(0, min(settings.history_index, len(settings.history) - 1))
    return sentence


def find_on_disk(scene: bpy.types.Scene) -> int:
    """Add the texture sets that lie beside the file and are in no scene's history. Returns how many there were."""
    known = {folder_of(entry) for entry in _all_entries()}
    count = 0
    home = results.home()
    folders = sorted(home.iterdir()) if home.is_dir() else []
    for folder in folders:
        if folder in known or not (folder / MANIFEST_NAME).is_file():
            continue
        try:
            request, _ = recall.read_file(folder / MANIFEST_NAME)
        except UVMapError:
            # A transferred set, for one, was not made by a request.
            continue
        made = datetime.fromtimestamp(folder.stat().st_mtime).strftime("%Y-%m-%d %H:%M:%S")
        label = f"{request.prompt[:40]} · {request.seed}"
        thumbnail = keep_thumbnail(folder)
        _add(scene, Record(folder.name, folder, thumbnail, recall.written(request, []), label, made, Origin()))
        count += 1
    return count


def _add(scene: bpy.types.Scene, record: Record) -> None:
    settings = settings_of(scene)
    entry = settings.history.add()
    entry.name, entry.job, entry.made, entry.settings = record.label, record.job, record.made, record.settings
    entry.folder, entry.thumbnail = _relative(record.folder), _relative(record.thumbnail)
    settings.history_index = len(settings.history) - 1


def _relative(path: Path) -> str:
    """As Blender writes paths below the .blend's folder, so that both may be moved together."""
    if bpy.data.filepath and path.is_relative_to(Path(bpy.data.filepath).parent):
        return bpy.path.relpath(str(path))
    return str(path)


def _thumbnail_beside(folder: Path) -> Path:
    return folder.parent / THUMBNAILS / f"{folder.name}.png"


def _all_entries() -> Iterator[HistoryEntry]:
    for scene in bpy.data.scenes:
        yield from settings_of(scene).history


def _shown_folders() -> set[Path]:
    """Where the images lie that something in this file shows and that are not packed."""
    images: list[bpy.types.Image] = list(bpy.data.images)
    return {Path(bpy.path.abspath(image.filepath)).parent for image in images if image.users and not image.packed_file}


def _remove(folder: Path) -> None:
    if not (folder / MANIFEST_NAME).is_file():
        # Whatever lies there now, it is no texture set.
        return
    try:
        shutil.rmtree(folder)
        _thumbnail_beside(folder).unlink(missing_ok=True)
    except OSError as error:
        raise UVMapError(
            ErrorCode.OUTPUT_NOT_WRITABLE,
            f"The maps in {folder} can't be deleted: {error.strerror}.",
            "Close other programs that use them, then delete again.",
        ) from error
