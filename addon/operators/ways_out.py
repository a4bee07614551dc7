"""The ways out: preferences, documentation, another engine."""

# pyright: reportInvalidTypeForm=false
# Blender reads its properties from annotations that are calls.

import bpy

from .. import log, shading
from ..documentation import PAGES, page_file
from ..properties import settings_of
from .base import ReportingOperator

_PACKAGE = (__package__ or "").rpartition(".")[0]


class UVMAP_ID_OT_open_preferences(ReportingOperator):  # noqa: N801 - Blender's rule for names of operators.
    """Open the extension's preferences, where the backend is chosen and set up"""

    bl_idname = "uvmap_id.open_preferences"
    bl_label = "Open Preferences"
    bl_options = {"REGISTER"}  # noqa: RUF012 - Blender's own form.

    def act(self, context: bpy.types.Context) -> str:  # noqa: ARG002
        """Show them."""
        if not bpy.app.background:
            bpy.ops.preferences.addon_show(module=_PACKAGE)
        return "The extension's preferences are open."


class UVMAP_ID_OT_open_documentation(ReportingOperator):  # noqa: N801 - Blender's rule for names of operators.
    """Open the documentation's page about this panel"""

    bl_idname = "uvmap_id.open_documentation"
    bl_label = "Documentation"
    bl_options = {"REGISTER"}  # noqa: RUF012 - Blender's own form.

    page: bpy.props.EnumProperty(
        name="Page", description="Which page", items=[(page, page.capitalize(), f"About {page}") for page in PAGES]
    )

    def act(self, context: bpy.types.Context) -> str:  # noqa: ARG002
        """Open it."""
        path = page_file(self.page)
        if not bpy.app.background:
            bpy.ops.wm.url_open(url=path.as_uri())
        return f"The page is {path}."


class UVMAP_ID_OT_open_log(ReportingOperator):  # noqa: N801 - Blender's rule for names of operators.
    """Show the extension's log, which says more about errors"""

    bl_idname = "uvmap_id.open_log"
    bl_label = "Open Log"
    bl_options = {"REGISTER"}  # noqa: RUF012 - Blender's own form.

    def act(self, context: bpy.types.Context) -> str:  # noqa: ARG002
        """Open its folder."""
        if not bpy.app.background:
            bpy.ops.wm.path_open(filepath=str(log.path().parent))
        return f"The log is {log.path()}."


class UVMAP_ID_OT_use_projection(ReportingOperator):  # noqa: N801 - Blender's rule for names of operators.
    """Use the engine Projection, which needs no weights"""

    bl_idname = "uvmap_id.use_projection"
    bl_label = "Use Projection"
    bl_options = {"REGISTER", "UNDO"}  # noqa: RUF012 - Blender's own form.

    def act(self, context: bpy.types.Context) -> str:
        """Set it."""
        settings_of(context.scene).engine = "projection"
        return "The engine is Projection."


class UVMAP_ID_OT_show_texture(ReportingOperator):  # noqa: N801 - Blender's rule for names of operators.
    """Show materials in this viewport, whose shading hides the texture that the body wears"""

    bl_idname = "uvmap_id.show_texture"
    bl_label = "Show the Texture"
    bl_options = {"REGISTER"}  # noqa: RUF012 - Blender's own form.

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """Only where something hides it."""
        cls.poll_message_set("This viewport shows textures already.")
        return shading.hides_textures(context)

    def act(self, context: bpy.types.Context) -> str:
        """Switch to Blender's preview of materials."""
        context.space_data.shading.type = "MATERIAL"  # pyright: ignore[reportAttributeAccessIssue] - of a viewport
        return "The viewport shows materials."


CLASSES = (
    UVMAP_ID_OT_show_texture,
    UVMAP_ID_OT_open_preferences,
    UVMAP_ID_OT_open_documentation,
    UVMAP_ID_OT_open_log,
    UVMAP_ID_OT_use_projection,
)
