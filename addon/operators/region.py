"""Generate Region, and the mask that is painted for it."""

from __future__ import annotations

import bpy

from .. import body, painting, region
from ..link.errors import UVMapError
from ..properties import settings_of
from .base import ReportingOperator
from .generate import follow, submit_all


class UVMAP_ID_OT_paint_mask(ReportingOperator):  # noqa: N801 - Blender's rule for names of operators.
    """Paint on the body what is to be made anew: white changes, black stays"""

    bl_idname = "uvmap_id.paint_mask"
    bl_label = "Paint Mask"
    bl_options = {"REGISTER", "UNDO"}  # noqa: RUF012 - Blender's own form.

    def act(self, context: bpy.types.Context) -> str:
        """Make the mask ready, and switch to Texture Paint."""
        settings = settings_of(context.scene)
        target = body.checked(context.scene, settings.body)
        made = settings.region_mask is None
        mask = region.new_mask() if settings.region_mask is None else settings.region_mask
        try:
            painting.begin(context, target, mask)
        except UVMapError:
            if made:
                bpy.data.images.remove(mask)
            raise
        settings.region_mask = mask
        return "Paint on the body: white is made anew. Then click Done."


class UVMAP_ID_OT_finish_mask(ReportingOperator):  # noqa: N801 - Blender's rule for names of operators.
    """Go back to Object Mode, and show the texture again"""

    bl_idname = "uvmap_id.finish_mask"
    bl_label = "Done"
    bl_options = {"REGISTER", "UNDO"}  # noqa: RUF012 - Blender's own form.

    def act(self, context: bpy.types.Context) -> str:
        """Keep what was painted in the .blend."""
        painting.end(context)
        mask = settings_of(context.scene).region_mask
        if mask is not None:
            region.keep(mask)
        return "The mask is kept in the .blend." if mask is not None else "There is no mask."


class UVMAP_ID_OT_clear_mask(ReportingOperator):  # noqa: N801 - Blender's rule for names of operators.
    """Make the mask black, so that it changes nothing; what was painted does not come back with an undo"""

    bl_idname = "uvmap_id.clear_mask"
    bl_label = "Clear Mask"
    bl_options = {"REGISTER"}  # noqa: RUF012 - Blender's own form.

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """Only where there is one."""
        cls.poll_message_set("There is no mask.")
        return settings_of(context.scene).region_mask is not None

    def act(self, context: bpy.types.Context) -> str:
        """Take a picture of the user's own off, and blacken what was painted here."""
        settings = settings_of(context.scene)
        mask = settings.region_mask
        if mask is not None and mask.source != "GENERATED" and mask.packed_file is None:
            settings.region_mask = None
            return f"{mask.name} is not the mask any more."
        if mask is not None:
            region.clear(mask)
        return "The mask is empty."


class UVMAP_ID_OT_generate_region(ReportingOperator):  # noqa: N801 - Blender's rule for names of operators.
    """Make the chosen parts of the worn texture anew from the face image and the prompt; all else stays as it is"""

    bl_idname = "uvmap_id.generate_region"
    bl_label = "Generate Region"
    # The step to undo is the material's, which comes later.
    bl_options = {"REGISTER"}  # noqa: RUF012 - Blender's own form.

    def act(self, context: bpy.types.Context) -> str:
        """Submit and return at once; in a script without windows, wait for the end."""
        settings = settings_of(context.scene)
        jobs = submit_all(context.scene, lambda request, target: region.of_worn(request, target, settings))
        if context.mode == painting.MODE:
            # The mask would hide what comes.
            painting.end(context)
        if settings.region_mask is not None:
            region.keep(settings.region_mask)
        return follow(self, jobs)


CLASSES = (
    UVMAP_ID_OT_paint_mask,
    UVMAP_ID_OT_finish_mask,
    UVMAP_ID_OT_clear_mask,
    UVMAP_ID_OT_generate_region,
)
