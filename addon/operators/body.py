"""Add Mannequin, Add Body, and what follows a body model's shape and pose."""

# pyright: reportInvalidTypeForm=false
# Blender reads its properties from annotations that are calls.

from typing import TYPE_CHECKING

import bpy

from .. import body, mannequin
from ..link.errors import ErrorCode
from ..properties import settings_of
from ..smpl import follow
from .base import ReportingOperator, path_of

if TYPE_CHECKING:
    from bpy.stub_internal.rna_enums import OperatorReturnItems


class UVMAP_ID_OT_add_mannequin(ReportingOperator):  # noqa: N801 - Blender's rule for names of operators.
    """Add the mannequin, a free body with UVs in SMPL's layout, and use it as the character's body"""

    bl_idname = "uvmap_id.add_mannequin"
    bl_label = "Add Mannequin"
    bl_options = {"REGISTER", "UNDO"}  # noqa: RUF012 - Blender's own form.

    def act(self, context: bpy.types.Context) -> str:
        """Add it."""
        added = mannequin.add(context.scene)
        _choose(context, added)
        return f'Added the body "{added.name}".'


class UVMAP_ID_OT_add_body(ReportingOperator):  # noqa: N801 - Blender's rule for names of operators.
    """Add a body from a file and use it as the character's: a model of the SMPL family, OBJ, FBX, glTF or Alembic"""

    bl_idname = "uvmap_id.add_body"
    bl_label = "Add Body"
    bl_options = {"REGISTER", "UNDO"}  # noqa: RUF012 - Blender's own form.

    filepath: bpy.props.StringProperty(
        name="File",
        description="A body model (.npz, .pkl, .npy), or a body as .obj, .fbx, .gltf, .glb or .abc",
        subtype="FILE_PATH",
    )
    filter_glob: bpy.props.StringProperty(
        default="*.npz;*.pkl;*.npy;*.obj;*.fbx;*.gltf;*.glb;*.abc", options={"HIDDEN"}
    )
    uv_template: bpy.props.StringProperty(
        name="UV Template",
        description="An OBJ file with UVs for a body model that brings none. Empty: the one in the preferences",
        subtype="FILE_PATH",
    )
    relaxed_hands: bpy.props.BoolProperty(
        name="Relaxed Hands", description="Bend the fingers of a body model as it relaxes them"
    )
    on_ground: bpy.props.BoolProperty(
        name="On the Ground", description="Lift a body model until it stands at height 0", default=True
    )

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> "set[OperatorReturnItems]":  # noqa: ARG002
        """Ask for the file."""
        context.window_manager.fileselect_add(self)
        return {"RUNNING_MODAL"}

    def act(self, context: bpy.types.Context) -> str:
        """Add it."""
        template = path_of(self.uv_template) if self.uv_template.strip() else None
        path = path_of(self.filepath, ErrorCode.BODY_UNREADABLE)
        added = body.load(path, template, relaxed_hands=self.relaxed_hands, on_ground=self.on_ground)
        _choose(context, added)
        return f'Added the body "{added.name}": {settings_of(context.scene).body_layout}.'


class _BodyModelOperator(ReportingOperator):
    """Something about a body that was made from a body model."""

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """Only for such a body."""
        cls.poll_message_set("The body was not made from a body model; add one from its file.")
        return follow.family_of_body(settings_of(context.scene).body) is not None


class UVMAP_ID_OT_update_joints(_BodyModelOperator):  # noqa: N801 - Blender's rule for names of operators.
    """Put the bones where the body model has its joints for the shape that the sliders give it"""

    bl_idname = "uvmap_id.update_joints"
    bl_label = "Update Joints"
    bl_options = {"REGISTER", "UNDO"}  # noqa: RUF012 - Blender's own form.

    def act(self, context: bpy.types.Context) -> str:
        """Move the bones."""
        follow.update_joints(settings_of(context.scene).body)
        return "The joints follow the shape."


class UVMAP_ID_OT_update_correctives(_BodyModelOperator):  # noqa: N801 - Blender's rule for names of operators.
    """Set the body model's pose correctives for the present pose, or for each frame of the scene"""

    bl_idname = "uvmap_id.update_correctives"
    bl_label = "Update Pose Correctives"
    bl_options = {"REGISTER", "UNDO"}  # noqa: RUF012 - Blender's own form.

    all_frames: bpy.props.BoolProperty(
        name="All Frames", description="Set keyframes for every frame of the scene instead of the present pose alone"
    )

    def act(self, context: bpy.types.Context) -> str:
        """Set the shape keys."""
        chosen = settings_of(context.scene).body
        if not self.all_frames:
            follow.update_correctives(chosen)
            return "The pose correctives follow the pose."
        return f"The pose correctives have keyframes on {follow.key_correctives(context.scene, chosen)} frames."


def _choose(context: bpy.types.Context, chosen: bpy.types.Object) -> None:
    """Make a body the character's, and the selected object as Blender's own additions are."""
    settings_of(context.scene).body = chosen
    for selected in context.selected_objects:
        selected.select_set(False)
    chosen.select_set(True)
    context.view_layer.objects.active = chosen


CLASSES = (
    UVMAP_ID_OT_add_mannequin,
    UVMAP_ID_OT_add_body,
    UVMAP_ID_OT_update_joints,
    UVMAP_ID_OT_update_correctives,
)
