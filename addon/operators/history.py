"""The history: apply, compare, recall, reveal, delete, find."""

# pyright: reportInvalidTypeForm=false
# Blender reads its properties from annotations that are calls.

from pathlib import Path
from typing import TYPE_CHECKING

import bpy

from .. import body, current, history, material, recall, results, thumbnails
from ..link.errors import ErrorCode, UVMapError
from ..properties import settings_of
from .base import ReportingOperator, path_of

if TYPE_CHECKING:
    from bpy.stub_internal.rna_enums import OperatorReturnItems


class _EntryOperator(ReportingOperator):
    """Something about the selected texture."""

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """Only where there is one."""
        cls.poll_message_set("The history of this scene is empty.")
        return len(settings_of(context.scene).history) > 0


class UVMAP_ID_OT_history_apply(_EntryOperator):  # noqa: N801 - Blender's rule for names of operators.
    """Put the selected texture on the body again"""

    bl_idname = "uvmap_id.history_apply"
    bl_label = "Apply"
    bl_options = {"REGISTER", "UNDO"}  # noqa: RUF012 - Blender's own form.

    def act(self, context: bpy.types.Context) -> str:
        """Put it on."""
        folder = _chosen_folder(context)
        _wear(context, folder)
        return f"The body wears {folder.name}."


class UVMAP_ID_OT_history_compare(_EntryOperator):  # noqa: N801 - Blender's rule for names of operators.
    """Show the selected texture and what the body wore before in turn, with each click the other one"""

    bl_idname = "uvmap_id.history_compare"
    bl_label = "Compare A/B"
    bl_options = {"REGISTER", "UNDO"}  # noqa: RUF012 - Blender's own form.

    def act(self, context: bpy.types.Context) -> str:
        """Exchange them."""
        settings = settings_of(context.scene)
        selected = _chosen_folder(context)
        worn = material.folder_of(body.checked(context.scene, settings.body))
        # The other one may have been deleted, or the .blend moved, meanwhile.
        known = bool(settings.compared) and Path(settings.compared).is_dir()
        shown = Path(settings.compared) if worn == selected and known else selected
        _wear(context, shown)
        settings.compared = str(worn) if worn is not None else ""
        return f"The body wears {shown.name}{' (the selected one)' if shown == selected else ''}."


class UVMAP_ID_OT_history_recall(_EntryOperator):  # noqa: N801 - Blender's rule for names of operators.
    """Set everything as it was for the selected texture: photo, prompt, seed, engine and all it was told"""

    bl_idname = "uvmap_id.history_recall"
    bl_label = "Recall Settings"
    bl_options = {"REGISTER", "UNDO"}  # noqa: RUF012 - Blender's own form.

    def act(self, context: bpy.types.Context) -> str:
        """Set it."""
        request, faces = recall.read(history.chosen(context.scene).settings)
        recall.apply(settings_of(context.scene), request, faces)
        return f"The settings are those of the selected texture.{recall.remark(request)}"


class UVMAP_ID_OT_recall_file(ReportingOperator):  # noqa: N801 - Blender's rule for names of operators.
    """Set everything as it was for a map or a manifest.json, which hold how they were made; the photo stays"""

    bl_idname = "uvmap_id.recall_file"
    bl_label = "Recall from File"
    bl_options = {"REGISTER", "UNDO"}  # noqa: RUF012 - Blender's own form.

    filepath: bpy.props.StringProperty(
        name="File", description="A map that UVMap-ID made, or a manifest.json", subtype="FILE_PATH"
    )
    filter_glob: bpy.props.StringProperty(default="*.png;*.json", options={"HIDDEN"})

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> "set[OperatorReturnItems]":  # noqa: ARG002
        """Ask for the file."""
        context.window_manager.fileselect_add(self)
        return {"RUNNING_MODAL"}

    def act(self, context: bpy.types.Context) -> str:
        """Set it."""
        request, faces = recall.read_file(path_of(self.filepath))
        recall.apply(settings_of(context.scene), request, faces)
        return f"The settings are those of {Path(self.filepath).name}.{recall.remark(request)}"


class UVMAP_ID_OT_history_reveal(_EntryOperator):  # noqa: N801 - Blender's rule for names of operators.
    """Show the selected texture's files in the system's file browser"""

    bl_idname = "uvmap_id.history_reveal"
    bl_label = "Open Folder"
    bl_options = {"REGISTER"}  # noqa: RUF012 - Blender's own form.

    def act(self, context: bpy.types.Context) -> str:
        """Open it."""
        folder = _chosen_folder(context)
        if not bpy.app.background:
            bpy.ops.wm.path_open(filepath=str(folder))
        return f"The maps lie in {folder}."


class UVMAP_ID_OT_history_delete(_EntryOperator):  # noqa: N801 - Blender's rule for names of operators.
    """Take the selected texture out of the history, and delete its maps unless something here still uses them"""

    bl_idname = "uvmap_id.history_delete"
    bl_label = "Delete"
    # Deleted files don't come back with an undo.
    bl_options = {"REGISTER"}  # noqa: RUF012 - Blender's own form.

    files: bpy.props.BoolProperty(
        name="Delete Its Maps",
        description="Delete the files too, unless another entry or a material in this .blend uses them",
        default=True,
    )

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> "set[OperatorReturnItems]":  # noqa: ARG002
        """Ask first."""
        return context.window_manager.invoke_props_dialog(self)

    def act(self, context: bpy.types.Context) -> str:
        """Delete it."""
        entry = history.chosen(context.scene)
        job, thumbnail = entry.job, str(history.thumbnail_path(entry))
        sentence = history.delete(context.scene, entry, files=self.files)
        current.history().forget(job)
        thumbnails.forget_file(thumbnail)
        return sentence


class UVMAP_ID_OT_history_find(ReportingOperator):  # noqa: N801 - Blender's rule for names of operators.
    """Add the textures that lie beside the .blend and are not in the history"""

    bl_idname = "uvmap_id.history_find"
    bl_label = "Find on Disk"
    bl_options = {"REGISTER", "UNDO"}  # noqa: RUF012 - Blender's own form.

    def act(self, context: bpy.types.Context) -> str:
        """Look for them."""
        return f"Found {history.find_on_disk(context.scene)} textures in {results.home()}."


class UVMAP_ID_OT_pack_textures(ReportingOperator):  # noqa: N801 - Blender's rule for names of operators.
    """Put the images that the body wears into the .blend"""

    bl_idname = "uvmap_id.pack_textures"
    bl_label = "Pack Textures"
    bl_options = {"REGISTER", "UNDO"}  # noqa: RUF012 - Blender's own form.

    def act(self, context: bpy.types.Context) -> str:
        """Pack them."""
        images = material.images_of(body.checked(context.scene, settings_of(context.scene).body))
        unpacked = [image for image in images if not image.packed_file]
        for image in unpacked:
            path = path_of(image.filepath_from_user(), ErrorCode.RESULT_DAMAGED)
            if not path.is_file():
                raise _gone(path)
        for image in unpacked:
            image.pack()
        return f"{len(images)} images are in the .blend."


def _chosen_folder(context: bpy.types.Context) -> Path:
    """Where the maps of the selected texture lie. Raises `UVMapError` where they are gone."""
    folder = history.folder_of(history.chosen(context.scene))
    if not folder.is_dir():
        raise _gone(folder)
    return folder


def _gone(path: Path) -> UVMapError:
    return UVMapError(
        ErrorCode.RESULT_DAMAGED,
        f"The maps are gone: there is no {path}.",
        "Bring them back beside the .blend, or make them again: Recall Settings, then Generate Texture.",
    )


def _wear(context: bpy.types.Context, folder: Path) -> None:
    maps = results.maps_in(folder)
    material.assign(body.checked(context.scene, settings_of(context.scene).body), maps)


CLASSES = (
    UVMAP_ID_OT_history_apply,
    UVMAP_ID_OT_history_compare,
    UVMAP_ID_OT_history_recall,
    UVMAP_ID_OT_recall_file,
    UVMAP_ID_OT_history_reveal,
    UVMAP_ID_OT_history_delete,
    UVMAP_ID_OT_history_find,
    UVMAP_ID_OT_pack_textures,
)
