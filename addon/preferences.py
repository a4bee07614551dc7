"""Where the backend is, or how it is set up, and where body models find their UVs."""

# pyright: reportInvalidTypeForm=false
# Blender reads its properties from annotations that are calls.

import importlib
import importlib.util
import os
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import bpy

from .link.connection import Connection
from .link.launcher import COMMAND
from .setup.remote import connection_to

if TYPE_CHECKING:
    from .setup.installer.job import Job

BACKEND_VARIABLE = "UVMAP_ID_BACKEND"


class FavouritePrompt(bpy.types.PropertyGroup):
    """A prompt that the user kept; its `name` is what a list calls it."""

    prompt: bpy.props.StringProperty(name="Prompt", description="What the person wears")
    subject: bpy.props.StringProperty(name="Subject", description="The person in words")


class UVMapIDPreferences(bpy.types.AddonPreferences):
    """The extension's page in Blender's preferences."""

    bl_idname = __package__ or ""

    place: bpy.props.EnumProperty(
        name="Backend",
        description="Where textures are made",
        items=[
            ("LOCAL", "This Computer", "The backend runs here and is started when it is needed"),
            ("REMOTE", "Another Computer", "The backend runs elsewhere, and you know its public key"),
        ],
    )
    backend: bpy.props.StringProperty(
        name="Program",
        description=f"The program {COMMAND}. Empty: the environment's {BACKEND_VARIABLE}, else the backend that was "
        "set up here, else the one on PATH",
        subtype="FILE_PATH",
    )
    setup_variant: bpy.props.EnumProperty(
        name="For",
        description="What the backend is set up for",
        items=[
            ("auto", "Automatic", "What fits this computer: NVIDIA's driver, ROCm and the platform are looked at"),
            ("basic", "Projection Only", "The engine Projection, which needs no GPU and no weights. About 1.2 GB"),
            ("cuda", "NVIDIA GPU (CUDA)", "Both engines. About 8 GB"),
            ("rocm", "AMD GPU (ROCm)", "Both engines, on Linux. About 18 GB"),
            ("mps", "Apple GPU (MPS)", "Both engines, on macOS 14 or later with Apple silicon. About 2 GB"),
            ("cpu", "CPU", "Both engines, without a GPU: minutes a texture. About 2.3 GB"),
        ],
    )
    setup_folder: bpy.props.StringProperty(
        name="Folder",
        description="Where the backend's environment goes. Empty: a short folder of your own",
        subtype="DIR_PATH",
    )
    setup_python: bpy.props.StringProperty(
        name="Python",
        description="A Python 3.11 or 3.12 for the backend. Empty: one of this computer's, or one is downloaded",
        subtype="FILE_PATH",
    )
    remote_host: bpy.props.StringProperty(name="Host", description="Name or address of the other computer")
    remote_port: bpy.props.IntProperty(name="Port", description="Where it listens", default=7461, min=1, max=65535)
    remote_key: bpy.props.StringProperty(
        name="Public Key", description="The 40 characters by which the backend there is recognised"
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

    def draw(self, context: bpy.types.Context) -> None:
        """Draw the page."""
        # Only here: the page shows what is built on top of the preferences.
        importlib.import_module(".preferences_page", __package__).draw(self.layout, self, context)


_CLASSES = (FavouritePrompt, UVMapIDPreferences)


def backend_command() -> list[str]:
    """The command that starts the backend; whether it exists, the launcher finds out."""
    chosen = _chosen_path("backend")
    if chosen is not None:
        return [str(chosen)]
    named = os.environ.get(BACKEND_VARIABLE)
    return [named] if named else _set_up_command() or [COMMAND]


def remote_backend() -> Connection | None:
    """The backend on another computer that was chosen; None where this computer's is used.

    Raises:
        UVMapError: What was typed can't be right, or this computer's key can't be read.
    """
    chosen = preferences_of()
    if chosen is None or chosen.place != "REMOTE":
        return None
    return connection_to(chosen.remote_host, chosen.remote_port, chosen.remote_key)


def backend_source() -> str:
    """Where `backend_command` has it from, in a few words."""
    if _chosen_path("backend") is not None:
        return "the preferences"
    if os.environ.get(BACKEND_VARIABLE):
        return BACKEND_VARIABLE
    return "the set-up" if _set_up_command() else "PATH"


def setup_root() -> Path:
    """The folder of the set-up."""
    return _chosen_path("setup_folder") or _installer("places").default_root()


def setup_job(task: str) -> "Job":
    """A job for the set-up, as the preferences want it."""
    preferences, terminal = preferences_of(), _installer("terminal")
    variant = preferences.setup_variant if preferences is not None else "auto"
    python = _chosen_path("setup_python")
    return terminal.make_job(_installer("job").Task(task), setup_root(), variant, str(python) if python else "")


def version() -> str:
    """The extension's version, from its manifest."""
    try:
        return tomllib.loads(Path(__file__).with_name("blender_manifest.toml").read_text(encoding="utf-8"))["version"]
    except (OSError, ValueError, KeyError):
        return "unknown"


def _set_up_command() -> list[str] | None:
    if importlib.util.find_spec(f"{__package__}.setup.installer") is None:
        return None
    return _installer("places").command_of(setup_root())


def _installer(name: str) -> Any:
    """A module of the installer, which one edition of the extension doesn't have."""
    return importlib.import_module(f".setup.installer.{name}", __package__)


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
