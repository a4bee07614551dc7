"""Poses, motion and the turntable."""

# pyright: reportInvalidTypeForm=false
# Blender reads its properties from annotations that are calls.

from typing import TYPE_CHECKING

import bpy

from .. import body, motion, poses, turntable
from ..link.errors import ErrorCode
from ..motion_files import RATE_LIMIT
from ..properties import settings_of
from .base import ReportingOperator, path_of

if TYPE_CHECKING:
    from bpy.stub_internal.rna_enums import OperatorReturnItems

_POSES = [
    ("T", "T-Pose", "Arms to the sides, as SMPL rests"),
    ("A", "A-Pose", "Arms half down, as riggers like it"),
    ("RELAXED", "Relaxed", "Standing at ease"),
]


class UVMAP_ID_OT_apply_pose(ReportingOperator):  # noqa: N801 - Blender's rule for names of operators.
    """Put the character's body into a pose. Its action is put aside and stays in the file; the gaze stays"""

    bl_idname = "uvmap_id.apply_pose"
    bl_label = "Pose"
    bl_options = {"REGISTER", "UNDO"}  # noqa: RUF012 - Blender's own form.

    pose: bpy.props.EnumProperty(name="Pose", description="How the body stands", items=_POSES, default="A")
    on_ground: bpy.props.BoolProperty(
        name="Feet on the Ground", description="Keep the lowest foot as high as in the rest pose", default=True
    )

    def act(self, context: bpy.types.Context) -> str:
        """Pose it."""
        target = settings_of(context.scene).body
        aside = poses.strike(target, poses.Pose[self.pose], on_ground=self.on_ground)
        return f'Posed; the action "{aside}" was put aside.' if aside else "Posed."


class UVMAP_ID_OT_import_motion(ReportingOperator):  # noqa: N801 - Blender's rule for names of operators.
    """Put the motion of a file on the character's body, as an action"""

    bl_idname = "uvmap_id.import_motion"
    bl_label = "Import Motion"
    bl_options = {"REGISTER", "UNDO"}  # noqa: RUF012 - Blender's own form.

    filepath: bpy.props.StringProperty(name="File", description="An .npz or .json file", subtype="FILE_PATH")
    filter_glob: bpy.props.StringProperty(default="*.npz;*.json", options={"HIDDEN"})
    up_axis: bpy.props.EnumProperty(
        name="Up",
        description="Which axis of an .npz file's world is up",
        items=[("Z", "Z (AMASS)", "As in AMASS"), ("Y", "Y", "As SMPL itself, and most estimates from video")],
    )
    on_ground: bpy.props.BoolProperty(
        name="Feet on the Ground",
        description="Raise or lower the whole motion until its lowest foot is as high as in the rest pose",
        default=True,
    )
    frame_rate: bpy.props.FloatProperty(
        name="Frame Rate",
        description="Of the file, where it doesn't tell or is wrong; 0: what it tells",
        min=0.0,
        max=RATE_LIMIT,
    )
    shape: bpy.props.BoolProperty(
        name="Shape",
        description="Give the body the shape of the one that moved, where it has shape keys for betas",
    )

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> "set[OperatorReturnItems]":  # noqa: ARG002
        """Ask for the file."""
        context.window_manager.fileselect_add(self)
        return {"RUNNING_MODAL"}

    def act(self, context: bpy.types.Context) -> str:
        """Import it."""
        loaded, action = motion.load(
            settings_of(context.scene).body,
            path_of(self.filepath, ErrorCode.MOTION_UNREADABLE),
            context.scene,
            up_axis=self.up_axis.lower(),
            frame_rate=self.frame_rate or None,
            on_ground=self.on_ground,
            shape=self.shape,
        )
        return f'The action "{action.name}" has {loaded.frames} frames of {len(loaded.joints)} joints.'


class UVMAP_ID_OT_add_turntable(ReportingOperator):  # noqa: N801 - Blender's rule for names of operators.
    """Add a camera that goes once around the character's body and loops"""

    bl_idname = "uvmap_id.add_turntable"
    bl_label = "Add Turntable"
    bl_options = {"REGISTER", "UNDO"}  # noqa: RUF012 - Blender's own form.

    frames: bpy.props.IntProperty(name="Frames", description="Of one turn", default=120, min=2, max=100_000)

    def act(self, context: bpy.types.Context) -> str:
        """Add it."""
        target = settings_of(context.scene).body
        body.mesh_of(target)
        camera = turntable.add(context.scene, target, self.frames)
        return f'The camera "{camera.name}" goes around in {self.frames} frames.'


CLASSES = (UVMAP_ID_OT_apply_pose, UVMAP_ID_OT_import_motion, UVMAP_ID_OT_add_turntable)
