"""Class images: what the base model paints for the class prompt before it is trained (UVMap-ID, section 3.2.2)."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from uvmap_id.link.disk import disk_error, remove, write_synced
from uvmap_id.pipelines.uvmap_id import UVMapIDPipeline
from uvmap_id.training.config import PriorConfig
from uvmap_id.training.latents import fingerprint


def class_images(
    pipeline: UVMapIDPipeline, config: PriorConfig, size: int, folder: Path, report: Callable[[int, int], None]
) -> list[Path]:
    """The class images' files; those that are not there yet are made.

    They lie in a folder named by what decides them, so that another base model, prompt or size gets others, and a
    larger number adds to those that are there. Image n has seed n.

    Args:
        pipeline: The base model, on its device.
        config: Which and how many.
        size: Their side.
        folder: Of all class images.
        report: Told how many of how many are done before one is made.

    Raises:
        UVMapError: disk_full, output_not_writable; out_of_memory, image_not_finite.
    """
    decided = {
        "weights": fingerprint(pipeline.unet, pipeline.text_encoder, pipeline.vae),
        "prompt": config.prompt,
        "steps": config.steps,
        "guidance": config.guidance,
        "size": size,
    }
    own = folder / hashlib.sha256(json.dumps(decided, sort_keys=True).encode()).hexdigest()[:16]
    files = [own / f"class-{number:05d}.png" for number in range(config.images)]
    for number, file in enumerate(files):
        if file.exists():
            continue
        report(number, len(files))
        output = pipeline(
            [config.prompt],
            None,
            [number],
            num_inference_steps=config.steps,
            guidance_scale=config.guidance,
            height=size,
            width=size,
        )
        write_picture(file, output.images[0])
    return files


def write_picture(file: Path, picture: np.ndarray) -> None:
    """Write (H, W, 3) float 0..1 as a PNG, whole or not at all.

    Raises:
        UVMapError: disk_full, output_not_writable.
    """
    buffer = io.BytesIO()
    Image.fromarray((picture * 255).round().astype(np.uint8)).save(buffer, "PNG")
    part = file.with_suffix(".part")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        remove(part)
        write_synced(part, buffer.getvalue())
        part.replace(file)
    except OSError as error:
        remove(part)
        raise disk_error(error, file) from error
