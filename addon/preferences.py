"""Where the backend is, and where body models find their UVs."""

# pyright: reportInvalidTypeForm=false
# Blender reads its properties from annotations that are calls.

import os
import shutil
from pathlib import Path

import bpy

from .link.connection import state_dir
from .link.launcher import COMMAND

BACKEND_VARIABLE = "UVMAP_ID_BACKEND"


class FavouritePrompt(bpy.types.PropertyGroup):
    """A prompt that the user kept; its `name` is what a list calls it."""

    prompt: bpy.props.StringProperty(name="Prompt", description="What the person wears")
    subject: bpy.props.StringProperty(name="Subject", description="The person in words")


class UVMapIDPreferences(bpy.types.AddonPreferences):
    """The extension's page in Blender's preferences."""

    bl_idname = __package__ or ""

    backend: bpy.props.StringProperty(
        name="Backend",
        description=f"The program {COMMAND}. Empty: the environment's {BACKEND_VARIABLE}, else the one on PATH",
        subtype="FILE_PATH",
    )

    smpl_uv_template: bpy.props.StringProperty(
        name="SMPL UV Template",
        description="SMPL's smpl_uv.obj, for model files of SMPL, SMPL-H and STAR, which hold no UVs",
        subtype="FILE_PATH",
    )
    smplx_uv_template: bpy.props.StringProperty(
        name="SMPL-X UV Template",
        description="SMPL-X's UV template, an OBJ file, for model files of SMPL-X and SUPR that hold no UVs",
        subtype="FILE_PATH",
    )
    favourites: bpy.props.CollectionProperty(
        name="Favourite Prompts", description="Prompts that were kept", type=FavouritePrompt
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
        layout.prop(self, "smpl_uv_template")
        layout.prop(self, "smplx_uv_template")


_CLASSES = (FavouritePrompt, UVMapIDPreferences)


def backend_command() -> list[str]:
    """The command that starts the backend; whether it exists, the launcher finds out."""
    chosen = _chosen_path("backend")
    return [str(chosen) if chosen is not None else os.environ.get(BACKEND_VARIABLE) or COMMAND]


def uv_template(family: str) -> Path | None:
    """The UV template that was chosen for a family of body models; None where none was."""
    return _chosen_path("smplx_uv_template" if family in ("SMPL-X", "SUPR") else "smpl_uv_template")


def preferences_of() -> UVMapIDPreferences | None:
    """The extension's preferences, which only Blender knows to be there."""
    addon = bpy.context.preferences.addons.get(__package__ or "")
    return addon.preferences if addon is not None else None  # pyright: ignore[reportReturnType] - its own class


def _chosen_path(name: str) -> Path | None:
    preferences = preferences_of()
    chosen = getattr(preferences, name).strip() if preferences is not None else ""
    return Path(bpy.path.abspath(chosen)).expanduser() if chosen else None


def register() -> None:
    """Register the preferences."""
    for cls in _CLASSES:
        bpy.utils.register_class(cls)


def unregister() -> None:
    """Take the preferences back."""
    for cls in reversed(_CLASSES):
        bpy.utils.unregister_class(cls)
