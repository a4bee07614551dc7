"""The photos: chosen, pasted, dropped, looked at."""

# pyright: reportInvalidTypeForm=false
# Blender reads its properties from annotations that are calls.

from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlparse

import bpy

from ..current import faces
from ..link.errors import ErrorCode, UVMapError
from ..link.request import FACES_LIMIT
from ..properties import settings_of
from .base import ReportingOperator, path_of

if TYPE_CHECKING:
    from bpy.stub_internal.rna_enums import OperatorReturnItems

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff")


class UVMAP_ID_OT_choose_photo(ReportingOperator):  # noqa: N801 - Blender's rule for names of operators.
    """Choose photos of one person: the first one is the face, further ones help to recognise it"""

    bl_idname = "uvmap_id.choose_photo"
    bl_label = "Choose Photo"
    bl_options = {"REGISTER", "UNDO"}  # noqa: RUF012 - Blender's own form.

    filepath: bpy.props.StringProperty(
        name="File", description="A photo of a face", subtype="FILE_PATH", options={"SKIP_SAVE"}
    )
    directory: bpy.props.StringProperty(
        name="Folder", description="Where the photos lie", subtype="DIR_PATH", options={"SKIP_SAVE"}
    )
    files: bpy.props.CollectionProperty(
        name="Files",
        description="The photos' names",
        type=bpy.types.OperatorFileListElement,
        options={"SKIP_SAVE", "HIDDEN"},
    )
    filter_glob: bpy.props.StringProperty(
        default=";".join(f"*{suffix}" for suffix in (*SUFFIXES, ".npy")), options={"HIDDEN"}
    )

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> "set[OperatorReturnItems]":  # noqa: ARG002
        """Ask for the files, unless they were dropped."""
        if self.filepath or self.files:
            return self.execute(context)
        context.window_manager.fileselect_add(self)
        return {"RUNNING_MODAL"}

    def act(self, context: bpy.types.Context) -> str:
        """Set them."""
        names = [item.name for item in self.files if item.name]
        return _take(context, [str(Path(self.directory, name)) for name in names] or [self.filepath])


class UVMAP_ID_OT_paste_photo(ReportingOperator):  # noqa: N801 - Blender's rule for names of operators.
    """Use the photo whose path or file address is in the clipboard"""

    bl_idname = "uvmap_id.paste_photo"
    bl_label = "Paste Photo's Path"
    bl_options = {"REGISTER", "UNDO"}  # noqa: RUF012 - Blender's own form.

    def act(self, context: bpy.types.Context) -> str:
        """Read the clipboard."""
        return _take(context, paths_in(context.window_manager.clipboard))


class UVMAP_ID_OT_check_photo(ReportingOperator):  # noqa: N801 - Blender's rule for names of operators.
    """Look at the photo: does it show one face, large, lit and from the front?"""

    bl_idname = "uvmap_id.check_photo"
    bl_label = "Check Photo"
    bl_options = {"REGISTER"}  # noqa: RUF012 - Blender's own form.

    def act(self, context: bpy.types.Context) -> str:
        """Ask the backend."""
        if not settings_of(context.scene).face_image.strip():
            raise UVMapError(
                ErrorCode.FACE_FILE_MISSING, "No face image is chosen.", "Choose a photo of a face, PNG or JPEG."
            )
        faces().ask(settings_of(context.scene).face_image)
        return "The photo is being looked at."


class UVMAP_ID_OT_add_face(ReportingOperator):  # noqa: N801 - Blender's rule for names of operators.
    """Make room for a further photo of the same person"""

    bl_idname = "uvmap_id.add_face"
    bl_label = "Add Photo"
    bl_options = {"REGISTER", "UNDO"}  # noqa: RUF012 - Blender's own form.

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """Up to the most that a request may hold."""
        cls.poll_message_set(f"A character has at most {FACES_LIMIT} photos.")
        return len(settings_of(context.scene).more_faces) < FACES_LIMIT - 1

    def act(self, context: bpy.types.Context) -> str:
        """Add an empty entry."""
        settings_of(context.scene).more_faces.add()
        return "Choose the photo's file."


class UVMAP_ID_OT_remove_face(ReportingOperator):  # noqa: N801 - Blender's rule for names of operators.
    """Remove the last of the further photos"""

    bl_idname = "uvmap_id.remove_face"
    bl_label = "Remove Photo"
    bl_options = {"REGISTER", "UNDO"}  # noqa: RUF012 - Blender's own form.

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """Only where there is one."""
        cls.poll_message_set("There is no further photo.")
        return len(settings_of(context.scene).more_faces) > 0

    def act(self, context: bpy.types.Context) -> str:
        """Remove the last entry."""
        more = settings_of(context.scene).more_faces
        more.remove(len(more) - 1)
        return "Removed a photo."


def paths_in(text: str) -> list[str]:
    """The paths in a clipboard's text: one a line, plain, in quotes, or as file addresses."""
    lines = [line.strip().strip("\"'") for line in text.splitlines()]
    return [_from_address(line) for line in lines if line and not line.startswith("#")]


def _from_address(text: str) -> str:
    if not text.lower().startswith("file:"):
        return text
    path = unquote(urlparse(text).path)
    # file:///C:/photo.png
    return path[1:] if len(path) > 2 and path[2] == ":" else path


def _take(context: bpy.types.Context, chosen: list[str]) -> str:
    paths = [path for path in chosen if path.strip()][:FACES_LIMIT]
    missing = [path for path in paths if not _is_file(path)]
    if not paths or missing:
        what = f'There is no file "{missing[0][:200]}".' if missing else "There is no path of a photo."
        raise UVMapError(ErrorCode.FACE_FILE_MISSING, what, "Choose a photo of a face, PNG or JPEG.")
    settings = settings_of(context.scene)
    settings.face_image = paths[0]
    if len(paths) > 1:
        settings.more_faces.clear()
        for path in paths[1:]:
            settings.more_faces.add().path = path
    return f"The face is {Path(paths[0]).name}."


def _is_file(path: str) -> bool:
    try:
        return path_of(path).is_file()
    except (OSError, ValueError):
        return False


CLASSES = (
    UVMAP_ID_OT_choose_photo,
    UVMAP_ID_OT_paste_photo,
    UVMAP_ID_OT_check_photo,
    UVMAP_ID_OT_add_face,
    UVMAP_ID_OT_remove_face,
)
