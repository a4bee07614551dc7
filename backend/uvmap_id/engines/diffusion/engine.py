"""The engine "uvmap-id": identity and prompt to a texture set, by the paper's pipeline (arXiv 2404.14568)."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import diffusers
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

import uvmap_id
from uvmap_id.atlas.layout import Atlas
from uvmap_id.engines.base import Report, TextureSet
from uvmap_id.engines.diffusion.anchor import ProjectedFace, make_anchor, project_face
from uvmap_id.engines.diffusion.choice import (
    WeightsChoice,
    choose_weights,
    fingerprints,
    identity_weights,
    upscaler_file,
)
from uvmap_id.engines.diffusion.finishing import FinishedTexture, finish
from uvmap_id.engines.diffusion.loaded import PipelineHolder
from uvmap_id.engines.diffusion.upscale import Upscaler, enlarge_smoothly
from uvmap_id.engines.projection.engine import ProjectionEngine
from uvmap_id.engines.region import OldTexture, read_old
from uvmap_id.faces.identity import Identity, IdentityReader
from uvmap_id.link.request import DiffusionSettings, TextureRequest
from uvmap_id.pipelines import previews
from uvmap_id.pipelines.prompts import fill_template, read_subject
from uvmap_id.pipelines.uvmap_id import UVMapIDPipeline
from uvmap_id.weights.store import WeightsStore

# Side of the picture that the model was trained to paint.
_PAINTED = 512
_PAINTED_BY_KIND = {"texdreamer": 1024}
_PREVIEW_EVERY_S = 0.5
# Where in the whole work each stage begins.
_IDENTITY_AT, _PROJECTION_AT, _LOADING_AT, _PAINTING_AT, _FINISHING_AT = 0.0, 0.02, 0.08, 0.12, 0.92


class UVMapIDEngine:
    """Follows `uvmap_id.engines.base.Engine`, `Resting` and `Sparing`. What it holds is loaded when first needed."""

    name = "uvmap-id"
    version = uvmap_id.__version__

    def __init__(self, store: WeightsStore | None = None) -> None:
        """`store` is where the weights are, by default the user's."""
        self._store = store or WeightsStore()
        self._atlas = Atlas.load()
        self._holder = PipelineHolder()
        self._sparing = False
        self._projection: ProjectionEngine | None = None
        self._reader: tuple[Path | None, IdentityReader] | None = None

    def generate(self, request: TextureRequest, photos: tuple[bytes, ...], report: Report) -> TextureSet:
        """See `Engine.generate`.

        Raises:
            UVMapError: Besides what is wrong with the photos: weights_missing, weights_incomplete, weights_invalid,
                weights_unsupported, identity_unavailable, embedding_invalid, scheduler_unknown, setting_out_of_range,
                out_of_memory, image_not_finite.
            EngineLostError: device_lost.
            JobCancelled: Within one step of the denoising.
        """
        settings = request.diffusion
        choice = choose_weights(self._store, settings.weights)
        upscaler = upscaler_file(self._store, settings.upscaler)
        prompt = fill_template(settings.template, request.prompt, request.subject)
        report("Recognising the face", _IDENTITY_AT)
        knows = choice.knows_faces and settings.identity_strength > 0
        identity = self._identity(photos[: len(request.faces)]) if knows else None
        face = self._projected(request, photos[0], report) if settings.anchor > 0 else None
        old = read_old(request, photos, self._atlas)
        report("Loading the weights", _LOADING_AT)
        painting = self._paint(choice, request, prompt, identity, (face, old), report)
        details = self._details(choice, prompt, settings, identity, face, painting)
        if self._sparing:
            # The next job has to load the weights again, but large maps and the weights need not fit together.
            self._holder.free()
        report("Making the maps", _FINISHING_AT)
        enlarge = enlarge_smoothly if upscaler is None or request.size <= _PAINTED else Upscaler(upscaler)
        finished = finish(painting.image, self._atlas, request.size, request.seed, enlarge, face)
        return TextureSet(
            base_color=finished.base_color,
            normal=finished.normal,
            roughness=finished.roughness,
            subsurface=finished.subsurface,
            warnings=_warnings(request, choice, identity, face),
            details=details | {"seam_step": _seam_step(finished)},
        )

    def rest(self) -> None:
        """See `Resting`: the weights leave the graphics card."""
        self._holder.rest()

    def spare(self) -> bool:
        """See `Sparing`: each model leaves the memory when it has done its part."""
        already, self._sparing = self._sparing, True
        self._holder.free()
        self._projection = self._reader = None
        return not already

    def _identity(self, photos: tuple[bytes, ...]) -> Identity:
        weights = identity_weights(self._store)
        folder = None if weights is None else self._store.path(weights)
        if self._reader is None or self._reader[0] != folder:
            self._reader = (folder, IdentityReader(folder))
        return self._reader[1].read(photos)

    def _projected(self, request: TextureRequest, photo: bytes, report: Report) -> ProjectedFace:
        if self._projection is None:
            self._projection = ProjectionEngine()

        def within(stage: str, fraction: float, preview: NDArray[np.uint8] | None = None) -> None:
            report(stage, _PROJECTION_AT + (_LOADING_AT - _PROJECTION_AT) * fraction, preview)

        return project_face(self._projection, self._atlas, request, photo, within)

    def _paint(
        self,
        choice: WeightsChoice,
        request: TextureRequest,
        prompt: str,
        identity: Identity | None,
        held: tuple[ProjectedFace | None, OldTexture | None],
        report: Report,
    ) -> _Painting:
        settings = request.diffusion
        watch = _Steps(report)

        def work(pipeline: UVMapIDPipeline) -> _Painting:
            side = _PAINTED_BY_KIND.get(self._holder.kind, _PAINTED)
            output = pipeline(
                [prompt],
                None if identity is None else torch.from_numpy(identity.embedding)[None],
                [request.seed],
                [settings.negative_prompt],
                num_inference_steps=settings.steps,
                guidance_scale=settings.guidance,
                guidance_start=settings.guidance_start,
                guidance_stop=settings.guidance_stop,
                identity_strength=settings.identity_strength,
                scheduler=settings.scheduler,
                preset=settings.preset,
                anchor=make_anchor(self._atlas, *held, side),
                height=side,
                width=side,
                on_step=watch,
            )
            return _Painting(output.images[0], output.skipped, watch.done)

        painting, spared = self._holder.run(work, choice)
        painting.spared = spared
        return painting

    def _details(
        self,
        choice: WeightsChoice,
        prompt: str,
        settings: DiffusionSettings,
        identity: Identity | None,
        face: ProjectedFace | None,
        painting: _Painting,
    ) -> dict[str, Any]:
        used = choice.ids
        weights = identity_weights(self._store)
        if identity is not None and identity.photos and weights is not None:
            used = (*used, weights)
        details: dict[str, Any] = {
            "weights": choice.id,
            "weights_kind": self._holder.kind,
            "weights_sha256": fingerprints(self._store, used),
            "prompt": prompt,
            "negative_prompt": settings.negative_prompt,
            "device": self._holder.device.type,
            "dtype": str(self._holder.dtype).removeprefix("torch."),
            "torch": torch.__version__,
            "diffusers": diffusers.__version__,
            "steps": painting.steps,
            "skipped": painting.skipped,
            "identity": _described(identity),
            "anchor": None if face is None else {"amount": face.anchor, **face.details},
        }
        return details | ({"memory": "the picture was decoded in tiles"} if painting.spared else {})


@dataclass
class _Painting:
    """What the model made: (P, P, 3) float32 sRGB, and how."""

    image: NDArray[np.float32]
    skipped: dict[str, Any] = field(default_factory=dict)
    steps: int = 0
    spared: bool = False


class _Steps:
    """Reports each step, and shows a picture now and then: it costs a wait for the graphics card."""

    def __init__(self, report: Report) -> None:
        self.done = 0
        self._report = report
        self._shown_at = time.monotonic()

    def __call__(self, done: int, total: int, latents: Tensor) -> None:
        self.done = done
        picture = None
        if time.monotonic() - self._shown_at >= _PREVIEW_EVERY_S:
            self._shown_at = time.monotonic()
            picture = previews.preview(latents[0])
        fraction = _PAINTING_AT + (_FINISHING_AT - _PAINTING_AT) * done / total
        self._report(f"Painting, step {done} of {total}", fraction, picture)


def _seam_step(finished: FinishedTexture) -> dict[str, float]:
    return {"before": round(finished.seam_before, 2), "after": round(finished.seam_after, 2)}


def _described(identity: Identity | None) -> dict[str, Any] | None:
    if identity is None:
        return None
    return {
        "photos": identity.photos,
        "embeddings": identity.embeddings,
        "faces_seen": identity.faces_seen,
        "suggested_gender": identity.gender,
    }


def _warnings(
    request: TextureRequest, choice: WeightsChoice, identity: Identity | None, face: ProjectedFace | None
) -> tuple[str, ...]:
    """What a person should know, in the order of the work."""
    warnings: list[str] = [] if identity is None else list(identity.warnings)
    if not choice.knows_faces:
        advice = "" if face else " Set an anchor to keep the photo's face."
        warnings.append(f"The weights {choice.id} know text alone: the identity of the photo was not used.{advice}")
    if not choice.knows_textures:
        warnings.append(
            f"The weights {choice.id} were trained on pictures, not on textures: "
            "what they paint will hardly fit a body."
        )
    subject = read_subject(request.subject)
    if identity is not None and not (subject.gender and subject.ethnicity):
        warnings.append(
            "The subject doesn't say both gender and ethnicity. "
            'Faces come out much closer to the photo with both, e.g. "asian woman".'
        )
    return (*warnings, *(face.warnings if face else ()))
