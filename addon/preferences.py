"""Where the backend is."""

# pyright: reportInvalidTypeForm=false
# Blender reads its properties from annotations that are calls.

import os
import shutil
from pathlib import Path

import bpy

from .link.connection import state_dir
from .link.launcher import COMMAND

BACKEND_VARIABLE = "UVMAP_ID_BACKEND"


class UVMapIDPreferences(bpy.types.AddonPreferences):
    """The extension's page in Blender's preferences."""

    bl_idname = __package__ or ""

    backend: bpy.props.StringProperty(
        name="Backend",
        description=f"The program {COMMAND}. Empty: the environment's {BACKEND_VARIABLE}, else the one on PATH",
        subtype="FILE_PATH",
    )

    def draw(self, _context: bpy.types.Context) -> None:
        """Draw the page."""
        layout = self.layout
        layout.prop(self, "backend")
        command = backend_command()[0]
        found = shutil.which(command)
        if found is None:
            layout.label(text=f'"{command}" was not found. Install it with: pip install uvmap-id', icon="ERROR")
        else:
            layout.label(text=f"Uses {found}", icon="CHECKMARK")
        layout.label(text=f"Log and results of the backend: {state_dir()}", icon="FILE_FOLDER")


def backend_command() -> list[str]:
    """The command that starts the backend; whether it exists, the launcher finds out."""
    addon = bpy.context.preferences.addons.get(__package__ or "")
    chosen = addon.preferences.backend.strip() if addon is not None and addon.preferences is not None else ""
    if chosen:
        return [str(Path(bpy.path.abspath(chosen)).expanduser())]
    return [os.environ.get(BACKEND_VARIABLE) or COMMAND]


def register() -> None:
    """Register the preferences."""
    bpy.utils.register_class(UVMapIDPreferences)


def unregister() -> None:
    """Take the preferences back."""
    bpy.utils.unregister_class(UVMapIDPreferences)
