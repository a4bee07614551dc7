"""Cancel, Cancel All, Try Again, Dismiss."""

# pyright: reportInvalidTypeForm=false
# Blender reads its properties from annotations that are calls.

import bpy

from ..current import session
from ..jobs import Job
from ..link.errors import ErrorCode, UVMapError
from ..properties import newest_job
from .base import ReportingOperator


class UVMAP_ID_OT_cancel(ReportingOperator):  # noqa: N801 - Blender's rule for names of operators.
    """End a job; without a name, the newest one of this scene"""

    bl_idname = "uvmap_id.cancel"
    bl_label = "Cancel"
    bl_options = {"REGISTER"}  # noqa: RUF012 - Blender's own form.

    key: bpy.props.StringProperty(name="Job", description="The queue's name for the job", options={"SKIP_SAVE"})

    def act(self, context: bpy.types.Context) -> str:
        """Ask the backend to end it."""
        job = _job(self.key) if self.key else newest_job(context.scene)
        if job is None or job.ended:
            raise UVMapError(ErrorCode.JOB_UNKNOWN, "No texture of this scene is being made.", "")
        session().cancel(job)
        return "The texture is being cancelled."


class UVMAP_ID_OT_cancel_all(ReportingOperator):  # noqa: N801 - Blender's rule for names of operators.
    """End all jobs of this Blender"""

    bl_idname = "uvmap_id.cancel_all"
    bl_label = "Cancel All"
    bl_options = {"REGISTER"}  # noqa: RUF012 - Blender's own form.

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:  # noqa: ARG003
        """Only while there is something to cancel."""
        cls.poll_message_set("No texture is being made.")
        return session().busy

    def act(self, context: bpy.types.Context) -> str:  # noqa: ARG002
        """Ask the backend to end them, the last one first, so that none begins meanwhile."""
        unended = [job for job in session().jobs if not job.ended]
        for job in reversed(unended):
            session().cancel(job)
        return f"{len(unended)} textures are being cancelled."


class UVMAP_ID_OT_retry(ReportingOperator):  # noqa: N801 - Blender's rule for names of operators.
    """Ask once more for a texture that failed or was cancelled, with the same settings"""

    bl_idname = "uvmap_id.retry"
    bl_label = "Try Again"
    bl_options = {"REGISTER"}  # noqa: RUF012 - Blender's own form.

    key: bpy.props.StringProperty(name="Job", description="The queue's name for the job", options={"SKIP_SAVE"})

    def act(self, context: bpy.types.Context) -> str:  # noqa: ARG002
        """Submit it again."""
        job = _job(self.key)
        if not job.ended:
            raise UVMapError(ErrorCode.JOB_UNKNOWN, "This texture is still being made.", "")
        again = session().retry(job)
        if bpy.app.background:
            return f"The texture set lies in {session().wait(again)}."
        return "The texture is being made."


class UVMAP_ID_OT_dismiss(ReportingOperator):  # noqa: N801 - Blender's rule for names of operators.
    """Show this job no longer; without a name, none that has ended"""

    bl_idname = "uvmap_id.dismiss"
    bl_label = "Dismiss"
    bl_options = {"REGISTER"}  # noqa: RUF012 - Blender's own form.

    key: bpy.props.StringProperty(name="Job", description="The queue's name for the job", options={"SKIP_SAVE"})

    def act(self, context: bpy.types.Context) -> str:  # noqa: ARG002
        """Take it off the list."""
        for job in [_job(self.key)] if self.key else session().jobs:
            session().dismiss(job)
        return "Dismissed."


def _job(key: str) -> Job:
    job = session().job(key)
    if job is None:
        raise UVMapError(ErrorCode.JOB_UNKNOWN, "This job is not in the queue any more.", "")
    return job


CLASSES = (UVMAP_ID_OT_cancel, UVMAP_ID_OT_cancel_all, UVMAP_ID_OT_retry, UVMAP_ID_OT_dismiss)
