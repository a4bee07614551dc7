"""Presets and Match Subject."""

# pyright: reportInvalidTypeForm=false
# Blender reads its properties from annotations that are calls.

import bpy

from .. import shape, subject
from ..link.errors import ErrorCode, UVMapError
from ..properties import settings_of
from ..translations import said
from .base import ReportingOperator


class _ForMannequin(ReportingOperator):
    """An operator on the character's body, which must be a mannequin."""

    bl_options = {"REGISTER", "UNDO"}  # noqa: RUF012 - Blender's own form.

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """Only for mannequins."""
        cls.poll_message_set("The character's body is no mannequin; add one.")
        return shape.is_mannequin(settings_of(context.scene).body)

    def body(self, context: bpy.types.Context) -> bpy.types.Object:
        """The character's mannequin."""
        return settings_of(context.scene).body


class UVMAP_ID_OT_shape_preset(_ForMannequin):  # noqa: N801 - Blender's rule for names of operators.
    """Set the mannequin's sliders at once; gender and ancestry stay as they are"""

    bl_idname = "uvmap_id.shape_preset"
    bl_label = "Shape Preset"

    preset: bpy.props.EnumProperty(
        name="Preset",
        description="The kind of body",
        items=[(name, name.capitalize(), f"Sliders for the body of: {name}") for name in shape.read_presets()],
    )

    def act(self, context: bpy.types.Context) -> str:
        """Set them."""
        shape.set_values(self.body(context), shape.read_presets()[self.preset])
        return f"The body has the shape of: {self.preset}."


class UVMAP_ID_OT_match_subject(_ForMannequin):  # noqa: N801 - Blender's rule for names of operators.
    """Set the mannequin's sliders from the words of the subject. Ancestry is set only where the subject names it"""

    bl_idname = "uvmap_id.match_subject"
    bl_label = "Match Subject"

    def act(self, context: bpy.types.Context) -> str:
        """Set what the words name."""
        reading = subject.read_subject(settings_of(context.scene).subject)
        if not reading.sliders:
            raise UVMapError(
                ErrorCode.SETTING_OUT_OF_RANGE,
                "The subject says nothing about the body.",
                'Write who it is, for example "tall elderly woman".',
            )
        shape.set_values(self.body(context), reading.sliders)
        if reading.unknown:
            self.report({"WARNING"}, said("These words shape no body: {words}.", words=", ".join(reading.unknown)))
        return f"The subject set {', '.join(reading.sliders)}."


CLASSES = (UVMAP_ID_OT_shape_preset, UVMAP_ID_OT_match_subject)
