"""Prompts: presets and favourites."""

# pyright: reportInvalidTypeForm=false
# Blender reads its properties from annotations that are calls.

import bpy

from ..link.errors import ErrorCode, UVMapError
from ..preferences import UVMapIDPreferences, preferences_of
from ..presets import presets
from ..properties import settings_of
from .base import ReportingOperator


class UVMAP_ID_OT_use_preset(ReportingOperator):  # noqa: N801 - Blender's rule for names of operators.
    """Use one of the prompts that come with the extension"""

    bl_idname = "uvmap_id.use_preset"
    bl_label = "Presets"
    bl_options = {"REGISTER", "UNDO"}  # noqa: RUF012 - Blender's own form.

    preset: bpy.props.EnumProperty(
        name="Preset",
        description="Which prompt",
        items=[(preset.name, preset.name, preset.prompt) for preset in presets()],
    )

    def act(self, context: bpy.types.Context) -> str:
        """Set it."""
        preset = next(each for each in presets() if each.name == self.preset)
        settings = settings_of(context.scene)
        settings.prompt, settings.subject = preset.prompt, preset.subject or settings.subject
        return f"The prompt is: {preset.prompt}"


class UVMAP_ID_OT_use_favourite(ReportingOperator):  # noqa: N801 - Blender's rule for names of operators.
    """Use one of the prompts that were kept"""

    bl_idname = "uvmap_id.use_favourite"
    bl_label = "Use Favourite"
    bl_options = {"REGISTER", "UNDO"}  # noqa: RUF012 - Blender's own form.

    index: bpy.props.IntProperty(name="Favourite", description="Its place in the list", min=0)

    def act(self, context: bpy.types.Context) -> str:
        """Set it."""
        favourite = _favourite(self.index)
        settings = settings_of(context.scene)
        settings.prompt, settings.subject = favourite.prompt, favourite.subject
        return f"The prompt is: {favourite.prompt}"


class UVMAP_ID_OT_add_favourite(ReportingOperator):  # noqa: N801 - Blender's rule for names of operators.
    """Keep prompt and subject in the preferences, for all files"""

    bl_idname = "uvmap_id.add_favourite"
    bl_label = "Keep Prompt"
    bl_options = {"REGISTER"}  # noqa: RUF012 - Blender's own form.

    def act(self, context: bpy.types.Context) -> str:
        """Add it, unless it is there."""
        settings, preferences = settings_of(context.scene), _preferences()
        prompt, subject = settings.prompt.strip(), settings.subject.strip()
        if not prompt:
            raise UVMapError(ErrorCode.PROMPT_EMPTY, "The prompt is empty.", "Say what the person wears.")
        if any((kept.prompt, kept.subject) == (prompt, subject) for kept in preferences.favourites):
            return "The prompt is kept already."
        favourite = preferences.favourites.add()
        favourite.prompt, favourite.subject = prompt, subject
        favourite.name = ", ".join(filter(None, (subject, prompt)))
        # So that Blender saves it with the rest, where it saves preferences by itself.
        context.preferences.is_dirty = True
        return "The prompt is kept."


class UVMAP_ID_OT_remove_favourite(ReportingOperator):  # noqa: N801 - Blender's rule for names of operators.
    """Keep this prompt no longer"""

    bl_idname = "uvmap_id.remove_favourite"
    bl_label = "Remove Favourite"
    bl_options = {"REGISTER"}  # noqa: RUF012 - Blender's own form.

    index: bpy.props.IntProperty(name="Favourite", description="Its place in the list", min=0)

    def act(self, context: bpy.types.Context) -> str:
        """Remove it."""
        _favourite(self.index)
        _preferences().favourites.remove(self.index)
        context.preferences.is_dirty = True
        return "Removed."


def _preferences() -> UVMapIDPreferences:
    preferences = preferences_of()
    if preferences is None:
        raise UVMapError(ErrorCode.INTERNAL, "The extension has no preferences.", "Enable it in Blender's preferences.")
    return preferences


def _favourite(index: int):
    favourites = _preferences().favourites
    if index >= len(favourites):
        raise UVMapError(ErrorCode.SETTING_OUT_OF_RANGE, "There is no such favourite.", "Choose one of the list.")
    return favourites[index]


CLASSES = (
    UVMAP_ID_OT_use_preset,
    UVMAP_ID_OT_use_favourite,
    UVMAP_ID_OT_add_favourite,
    UVMAP_ID_OT_remove_favourite,
)
