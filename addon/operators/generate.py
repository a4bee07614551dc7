"""Generate Texture."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Callable, Sequence
from pathlib import Path

import bpy

from .. import body, recall, results
from ..current import current, session
from ..jobs import Job, Origin
from ..link.errors import ErrorCode, UVMapError
from ..link.photo import photo_hash, read_photos
from ..link.request import EXTRA_MAPS, SEED_LIMIT, TextureRequest
from ..properties import CharacterSettings, diffusion_of, rounded, settings_of
from ..session import outcome
from ..translations import translated
from .base import ReportingOperator, path_of

Change = Callable[[TextureRequest, bpy.types.Object], tuple[TextureRequest, tuple[bytes, ...]]]


class UVMAP_ID_OT_generate(ReportingOperator):  # noqa: N801 - Blender's rule for names of operators.
    """Make a texture set from the face image and the prompt, and put it on the body"""

    bl_idname = "uvmap_id.generate"
    bl_label = "Generate Texture"
    # The step to undo is the material's, which comes later.
    bl_options = {"REGISTER"}  # noqa: RUF012 - Blender's own form.

    def act(self, context: bpy.types.Context) -> str:
        """Submit and return at once; in a script without windows, wait for the end."""
        return follow(self, submit_all(context.scene))


class UVMAP_ID_OT_new_seed(ReportingOperator):  # noqa: N801 - Blender's rule for names of operators.
    """Take another seed, at random"""

    bl_idname = "uvmap_id.new_seed"
    bl_label = "New Seed"
    bl_options = {"REGISTER", "UNDO"}  # noqa: RUF012 - Blender's own form.

    def act(self, context: bpy.types.Context) -> str:
        """Set it."""
        settings_of(context.scene).seed = _random_seed()
        return f"The seed is {settings_of(context.scene).seed}."


def follow(operator: bpy.types.Operator, jobs: Sequence[Job]) -> str:
    """Wait for the end in a script without windows; otherwise see only that the jobs have begun.

    Returns:
        A sentence about how far they are.

    Raises:
        UVMapError: One of them has failed.
    """
    if bpy.app.background:
        folders = [session().wait(job) for job in jobs]
        for warning in dict.fromkeys(warning for job in jobs for warning in job.warnings):
            operator.report({"WARNING"}, translated(warning))
        return f"The texture set lies in {folders[-1]}."
    # The first step now, so that a missing backend is an answer to the click.
    session().tick()
    for job in jobs:
        if job.failure is not None:
            session().dismiss(job)
            outcome(job)
    return "The texture is being made." if len(jobs) == 1 else f"{len(jobs)} textures are being made."


def submit(scene: bpy.types.Scene) -> Job:
    """Submit the job that a scene's settings describe; of several variations, return the last. See `submit_all`."""
    return submit_all(scene)[-1]


def submit_all(scene: bpy.types.Scene, change: Change | None = None) -> list[Job]:
    """Submit a job for each variation of what a scene's settings describe.

    Args:
        scene: Whose settings.
        change: Makes another request of it, for the body that is to wear the texture, with more files that travel.

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
    faces = [face for face in (settings.face_image, *(face.path for face in settings.more_faces)) if face.strip()]
    photos, first, more = named_photos(faces)
    seeds = _seeds(settings)
    described = dataclasses.replace(request_of(settings), face_sha256=first, more_faces=more)
    described, files = (described, ()) if change is None else change(described, target)
    requests = [dataclasses.replace(described, seed=seed) for seed in seeds]
    origin = Origin(
        *(scene.session_uid, target.session_uid, scene.name, target.name, bpy.data.filepath, results.home()),
        faces=tuple(recall.absolute(face) for face in faces),
    )
    jobs = session().submit_all(requests, (*photos, *files), origin)
    settings.seed = seeds[0]
    return jobs


def named_photos(faces: Sequence[str]) -> tuple[tuple[bytes, ...], str, tuple[str, ...]]:
    """The contents of files, and the hashes by which a request names them: the first one's, and those of the others.

    Raises:
        UVMapError: A file can't be read or is not worth sending.
    """
    paths = [path_of(face) for face in faces]
    photos = read_photos(paths)
    first, *more = (_hash_of(path, photo) for path, photo in zip(paths, photos, strict=True))
    return photos, first, tuple(more)


def _hash_of(path: Path, content: bytes) -> str:
    """The content's hash. That of a large photo takes longer than a click may: known ones are not made again."""
    hashes, status = current().hashes, path.stat()
    stamp = (str(path), status.st_size, status.st_mtime_ns)
    if stamp not in hashes:
        hashes[stamp] = photo_hash(content)
    return hashes[stamp]


def request_of(settings: CharacterSettings) -> TextureRequest:
    """The request that the settings describe, without its photos."""
    return TextureRequest(
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


def _seeds(settings: CharacterSettings) -> list[int]:
    """The seeds of all variations. Known before anything starts, so that each of them can be made again."""
    if settings.seed_lock:
        return [(settings.seed + number) % SEED_LIMIT for number in range(settings.variations)]
    return [_random_seed() for _ in range(settings.variations)]


def _random_seed() -> int:
    return random.randrange(SEED_LIMIT)  # noqa: S311 - nothing is to be kept secret


CLASSES = (UVMAP_ID_OT_generate, UVMAP_ID_OT_new_seed)
