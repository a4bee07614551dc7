"""Poses, motion and the turntable."""

# pyright: reportOptionalMemberAccess=false
# While a panel is drawn its operators have properties.

from __future__ import annotations

import bpy

from .character import SubPanel


class UVMAP_ID_PT_pose(SubPanel):  # noqa: N801 - Blender's rule for names of panels.
    """How the body stands and moves"""

    bl_idname = "UVMAP_ID_PT_pose"
    bl_label = "Poses and Motion"
    page = "pose"

    def draw(self, context: bpy.types.Context) -> None:  # noqa: ARG002
        """Draw the panel."""
        column = self.column()
        row = column.row(align=True)
        for pose in ("T", "A", "RELAXED"):
            row.operator("uvmap_id.apply_pose", text=pose.capitalize()).pose = pose
        column.operator("uvmap_id.import_motion", icon="ACTION")
        column.operator("uvmap_id.add_turntable", icon="CON_CAMERASOLVER")


CLASSES = (UVMAP_ID_PT_pose,)
