"""Setting the backend up, testing one elsewhere, and the diagnosis."""

# pyright: reportInvalidTypeForm=false
# Blender reads its properties from annotations that are calls.

from __future__ import annotations

from typing import TYPE_CHECKING

import bpy

from .. import preferences, upkeep
from ..link.client import error_of
from ..link.errors import ErrorCode, Failure, UVMapError
from ..setup import remote
from .base import ReportingOperator

if TYPE_CHECKING:
    from bpy.stub_internal.rna_enums import OperatorReturnItems

_NEEDS_NETWORK = ("install", "repair")


class SetupOperator(ReportingOperator):
    """Begins one task of the set-up."""

    task = ""
    bl_options = {"REGISTER", "INTERNAL"}  # noqa: RUF012 - Blender's own form.

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:  # noqa: ARG003
        """One at a time."""
        setup = upkeep.upkeep().setup
        cls.poll_message_set("The backend is being set up; wait for it, or cancel it.")
        return setup is None or not setup.busy

    def act(self, context: bpy.types.Context) -> str:  # noqa: ARG002
        """Begin and return at once; in a script without windows, wait for the end."""
        setup = upkeep.setup_of()
        if self.task in _NEEDS_NETWORK:
            upkeep.check_online()
        setup.start(preferences.setup_job(self.task))
        upkeep.watch()
        if setup.failure is not None:
            raise error_of(setup.failure)
        return setup.sentence or "It has begun; the preferences show how far it is."


class UVMAP_ID_OT_setup_install(SetupOperator):  # noqa: N801 - Blender's rule for names of operators.
    """Download the backend and its packages into an environment of their own, or go on with it"""

    bl_idname = "uvmap_id.setup_install"
    bl_label = "Set Up Backend"
    task = "install"


class UVMAP_ID_OT_setup_repair(SetupOperator):  # noqa: N801 - Blender's rule for names of operators.
    """Find what is damaged or missing in the backend's environment, and download only that again"""

    bl_idname = "uvmap_id.setup_repair"
    bl_label = "Repair"
    task = "repair"


class UVMAP_ID_OT_setup_verify(SetupOperator):  # noqa: N801 - Blender's rule for names of operators.
    """Compare every file of the backend's environment with its hash, and let the backend check itself"""

    bl_idname = "uvmap_id.setup_verify"
    bl_label = "Verify"
    task = "verify"


class UVMAP_ID_OT_setup_remove(SetupOperator):  # noqa: N801 - Blender's rule for names of operators.
    """Remove the backend and its packages. Weights and textures stay"""

    bl_idname = "uvmap_id.setup_remove"
    bl_label = "Remove Backend"
    task = "remove"

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[OperatorReturnItems]:
        """Ask first."""
        return context.window_manager.invoke_confirm(self, event)


class UVMAP_ID_OT_setup_cancel(ReportingOperator):  # noqa: N801 - Blender's rule for names of operators.
    """Stop the set-up. What has been downloaded is kept, and the next one goes on with it"""

    bl_idname = "uvmap_id.setup_cancel"
    bl_label = "Cancel"
    bl_options = {"REGISTER", "INTERNAL"}  # noqa: RUF012 - Blender's own form.

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:  # noqa: ARG003
        """Only while there is something to cancel."""
        setup = upkeep.upkeep().setup
        cls.poll_message_set("Nothing is being set up.")
        return setup is not None and setup.busy

    def act(self, context: bpy.types.Context) -> str:  # noqa: ARG002
        """Ask it to stop."""
        upkeep.setup_of().cancel()
        return "The set-up is being cancelled."


class UVMAP_ID_OT_remote_test(ReportingOperator):  # noqa: N801 - Blender's rule for names of operators.
    """See whether the backend on the other computer answers"""

    bl_idname = "uvmap_id.remote_test"
    bl_label = "Test"
    bl_options = {"REGISTER", "INTERNAL"}  # noqa: RUF012 - Blender's own form.

    def act(self, context: bpy.types.Context) -> str:  # noqa: ARG002
        """Begin; in a script without windows, wait for the answer."""
        chosen = preferences.preferences_of()
        if chosen is None:
            raise UVMapError(ErrorCode.INTERNAL, "The extension has no preferences.", "Enable it again.")
        upkeep.check_online()
        upkeep.upkeep().test_remote(chosen.remote_host, chosen.remote_port, chosen.remote_key)
        upkeep.watch()
        said = upkeep.upkeep().remote_said
        if isinstance(said, Failure):
            raise error_of(said)
        return said or "It is being asked."


class UVMAP_ID_OT_copy_key(ReportingOperator):  # noqa: N801 - Blender's rule for names of operators.
    """Copy this computer's public key. Whoever runs the backend saves it in a file and authorises it"""

    bl_idname = "uvmap_id.copy_key"
    bl_label = "Copy This Computer's Key"
    bl_options = {"REGISTER", "INTERNAL"}  # noqa: RUF012 - Blender's own form.

    def act(self, context: bpy.types.Context) -> str:
        """Make the keys if there are none yet, and copy the public one."""
        context.window_manager.clipboard = remote.own_public_key()
        return 'The key is copied. There: save it as a file ending in .pub, then "uvmap-id keys authorize" that file.'


class UVMAP_ID_OT_diagnose(ReportingOperator):  # noqa: N801 - Blender's rule for names of operators.
    """Copy a text for a report of a fault: versions, device, the state of each part, last errors. Names, paths, prompts
    and photos are taken out
    """

    bl_idname = "uvmap_id.diagnose"
    bl_label = "Copy Diagnosis"
    # One line, which a tooltip wraps by itself.
    bl_description = (
        "Copy a text for a report of a fault: versions, device, the state of each part, last errors. Names, paths, "
        "prompts and photos are taken out"
    )
    bl_options = {"REGISTER"}  # noqa: RUF012 - Blender's own form.

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:  # noqa: ARG003
        """One at a time."""
        cls.poll_message_set("The diagnosis is being made; it takes some seconds.")
        return not upkeep.upkeep().diagnosing

    def act(self, context: bpy.types.Context) -> str:  # noqa: ARG002
        """Begin; it lies in the clipboard some seconds later."""
        upkeep.upkeep().diagnose()
        upkeep.watch()
        return "The diagnosis is copied to the clipboard when it is ready, in some seconds."


class UVMAP_ID_OT_setup_folder(ReportingOperator):  # noqa: N801 - Blender's rule for names of operators.
    """Open the folder that the backend is set up in"""

    bl_idname = "uvmap_id.setup_folder"
    bl_label = "Open Folder"
    bl_options = {"REGISTER", "INTERNAL"}  # noqa: RUF012 - Blender's own form.

    def act(self, context: bpy.types.Context) -> str:  # noqa: ARG002
        """Open it."""
        folder = preferences.setup_root()
        if not folder.is_dir():
            raise UVMapError(ErrorCode.BACKEND_NOT_FOUND, "No backend is set up yet.", "Choose Set Up Backend.")
        bpy.ops.wm.path_open(filepath=str(folder))
        return f"Opened {folder}"


CLASSES = (
    UVMAP_ID_OT_setup_install,
    UVMAP_ID_OT_setup_repair,
    UVMAP_ID_OT_setup_verify,
    UVMAP_ID_OT_setup_remove,
    UVMAP_ID_OT_setup_cancel,
    UVMAP_ID_OT_setup_folder,
    UVMAP_ID_OT_remote_test,
    UVMAP_ID_OT_copy_key,
    UVMAP_ID_OT_diagnose,
)
