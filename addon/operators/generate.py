"""Generate Texture, and Cancel."""

from __future__ import annotations

import bpy

from .. import body, runtime
from ..link.errors import ErrorCode, UVMapError
from ..link.photo import read_photos, with_photos
from ..link.request import EXTRA_MAPS, FACES_LIMIT, TextureRequest
from ..properties import diffusion_of, newest_job, rounded, settings_of
from ..session import Job, outcome
from .base import ReportingOperator, path_of


class UVMAP_ID_OT_generate(ReportingOperator):  # noqa: N801 - Blender's rule for names of operators.
    """Make a texture set from the face image and the prompt, and put it on the body"""

    bl_idname = "uvmap_id.generate"
    bl_label = "Generate Texture"
    # The step to undo is the material's, which comes later.
    bl_options = {"REGISTER"}  # noqa: RUF012 - Blender's own form.

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """One job a scene at a time."""
        job = newest_job(context.scene)
        cls.poll_message_set("This scene's texture is still being made; wait for it, or cancel it.")
        return job is None or job.ended

    def act(self, context: bpy.types.Context) -> str:
        """Submit and return at once; in a script without windows, wait for the end."""
        job = submit(context.scene)
        if bpy.app.background:
            folder = runtime.session().wait(job)
            for warning in job.warnings:
                self.report({"WARNING"}, warning)
            return f"The texture set lies in {folder}."
        # The first step now, so that a missing backend is an answer to the click.
        runtime.session().tick()
        if job.failure is not None:
            outcome(job)
        runtime.watch()
        return "The texture is being made."


class UVMAP_ID_OT_cancel(ReportingOperator):  # noqa: N801 - Blender's rule for names of operators.
    """End the job that makes this scene's texture"""

    bl_idname = "uvmap_id.cancel"
    bl_label = "Cancel"
    bl_options = {"REGISTER"}  # noqa: RUF012 - Blender's own form.

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """Only while there is something to cancel."""
        job = newest_job(context.scene)
        cls.poll_message_set("No texture of this scene is being made.")
        return job is not None and not job.ended

    def act(self, context: bpy.types.Context) -> str:
        """Ask the backend to end it."""
        job = newest_job(context.scene)
        if job is not None:
            runtime.session().cancel(job)
        return "The texture is being cancelled."


class UVMAP_ID_OT_add_face(ReportingOperator):  # noqa: N801 - Blender's rule for names of operators.
    """Make room for a further photo of the same person"""

    bl_idname = "uvmap_id.add_face"
    bl_label = "Add Photo"
    bl_options = {"REGISTER", "UNDO"}  # noqa: RUF012 - Blender's own form.

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """Up to the most that a request may hold."""
        cls.poll_message_set(f"A character has at most {FACES_LIMIT} photos.")
        return len(settings_of(context.scene).more_faces) < FACES_LIMIT - 1

    def act(self, context: bpy.types.Context) -> str:
        """Add an empty entry."""
        settings_of(context.scene).more_faces.add()
        return "Choose the photo's file."


class UVMAP_ID_OT_remove_face(ReportingOperator):  # noqa: N801 - Blender's rule for names of operators.
    """Remove the last of the further photos"""

    bl_idname = "uvmap_id.remove_face"
    bl_label = "Remove Photo"
    bl_options = {"REGISTER", "UNDO"}  # noqa: RUF012 - Blender's own form.

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """Only where there is one."""
        cls.poll_message_set("There is no further photo.")
        return len(settings_of(context.scene).more_faces) > 0

    def act(self, context: bpy.types.Context) -> str:
        """Remove the last entry."""
        faces = settings_of(context.scene).more_faces
        faces.remove(len(faces) - 1)
        return "Removed a photo."


def submit(scene: bpy.types.Scene) -> Job:
    """Submit the job that a scene's settings describe.

    Raises:
        UVMapError: Something about the settings can't be used; nothing was started.
    """
    settings = settings_of(scene)
    target = body.checked(scene, settings.body)
    settings.body_layout = body.layout(target).value
    body.check_layout(target, anyway=settings.assign_anyway)
    if not settings.face_image.strip():
        raise UVMapError(
            ErrorCode.FACE_FILE_MISSING, "No face image is chosen.", "Choose a photo of a face, PNG or JPEG."
        )
    faces = [settings.face_image, *(face.path for face in settings.more_faces)]
    photos = read_photos(path_of(face) for face in faces if face.strip())
    request = TextureRequest(
        face_sha256="",
        prompt=settings.prompt,
        subject=settings.subject,
        engine=settings.engine,
        size=int(settings.size),
        seed=settings.seed,
        relight=rounded(settings.relight),
        extra_maps=tuple(name for name in EXTRA_MAPS if name in settings.extra_maps),
        normal_convention=settings.normal_convention,
        diffusion=diffusion_of(settings),
    )
    return runtime.session().submit(with_photos(request, photos), photos, scene.session_uid, target.session_uid)


CLASSES = (UVMAP_ID_OT_generate, UVMAP_ID_OT_cancel, UVMAP_ID_OT_add_face, UVMAP_ID_OT_remove_face)
