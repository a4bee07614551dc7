"""How many textures a minute each metric measures on one core, and an example of what it looks at.

    python benchmarks/metrics.py [--size 1024] [--rounds 40] [--picture FILE.jpg]

The textures are the projection engine's, of scikit-image's astronaut in several clothes; their photo is hers. Inception
and CLIP have random weights and their published size (CLIP ViT-B/32), which take as long as trained ones. With
`--picture` a sheet is written: for each texture itself, the four renders and the face of the atlas, with its figures.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
import skimage.data
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from transformers import CLIPConfig, CLIPModel

from uvmap_id.engines.projection.engine import ProjectionEngine
from uvmap_id.link.request import TextureRequest
from uvmap_id.metrics.base import Sample, SampleMetric
from uvmap_id.metrics.inception import InceptionV3
from uvmap_id.metrics.inception_score import at_inception_size
from uvmap_id.metrics.registry import Resources, make_metric
from uvmap_id.metrics.renders import PLACES
from uvmap_id.metrics.report import number
from uvmap_id.metrics.sources import Source
from uvmap_id.pictures import resize

PROMPTS = ("wearing white shirt, blue jeans", "wearing red dress", "wearing black suit", "wearing green hoodie, shorts")
METRICS = ("seams", "sharpness", "skin", "anchor")
SIDE, STRIP = 224, 26

Picture = NDArray[np.uint8]


def samples(size: int, photo: Path) -> list[Sample]:
    """The astronaut in each of the prompts' clothes."""
    engine, content = ProjectionEngine(), photo.read_bytes()
    made = []
    for prompt in PROMPTS:
        request = TextureRequest(hashlib.sha256(content).hexdigest(), prompt, size=size)
        texture = engine.generate(request, (content,), unheard).base_color
        made.append(Sample(prompt, texture, prompt=prompt, identity="astronaut", photo=photo))
    return made


def unheard(stage: str, fraction: float, preview: object = None) -> None:
    del stage, fraction, preview


def seconds(action: Callable[[Sample], object], textures: Sequence[Sample], rounds: int) -> list[float]:
    """What one texture takes, after a first look at each."""
    for texture in textures:
        action(texture)
    times = []
    for turn in range(rounds):
        start = time.perf_counter()
        action(textures[turn % len(textures)])
        times.append(time.perf_counter() - start)
    return times


def opened(folder: Path, textures: Sequence[Sample]) -> Callable[[Sample], object]:
    """Reads a texture from its PNG."""
    for texture in textures:
        Image.fromarray(texture.texture).save(folder / f"{texture.name}.png", compress_level=1)
    return lambda sample: Source(sample.name, folder / f"{sample.name}.png").load()


def inception(picture: Picture, network: InceptionV3) -> object:
    stacked = np.ascontiguousarray(at_inception_size(picture).transpose(2, 0, 1)[None])
    with torch.inference_mode():
        return network(torch.from_numpy(stacked))


def clip(model: CLIPModel) -> object:
    with torch.inference_mode():
        return model.vision_model(pixel_values=torch.zeros(1, 3, 224, 224))


def line(name: str, times: Sequence[float]) -> str:
    fastest = min(times)
    return f"| {name} | {1000 * fastest:.1f} | {1000 * statistics.median(times):.1f} | {60 / fastest:,.0f} |"


def sheet(textures: Sequence[Sample], resources: Resources, metrics: Sequence[SampleMetric]) -> Picture:
    """A row for each texture: itself, the renders, the face of the atlas; its figures below."""
    rows = []
    for sample in textures:
        views = [resources.render(name).show(sample.texture) for name in PLACES]
        views = [sample.texture, *views, resources.face_view("atlas").show(sample.texture)]
        shown = np.hstack([resize(view, (SIDE, round(SIDE * view.shape[1] / view.shape[0]))) for view in views])
        figures = ", ".join(f"{metric.title.lower()} {number(metric.score(sample))}" for metric in metrics)
        strip = Image.new("RGB", (shown.shape[1], STRIP), (255, 255, 255))
        text = f"{sample.prompt}: {figures}"
        ImageDraw.Draw(strip).text((6, 4), text, (40, 40, 40), font=ImageFont.load_default(14))
        rows += [shown, np.asarray(strip)]
    return np.vstack(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=1024)
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--picture", type=Path)
    options = parser.parse_args()
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        buffer = io.BytesIO()
        Image.fromarray(skimage.data.astronaut()).save(buffer, "PNG")
        (folder / "photo.png").write_bytes(buffer.getvalue())
        measure(folder, options.size, options.rounds, options.picture)


def measure(folder: Path, size: int, rounds: int, picture: Path | None) -> None:
    textures = samples(size, folder / "photo.png")
    resources = Resources()
    made = [make_metric(name, resources) for name in METRICS]
    metrics = [metric for metric in made if isinstance(metric, SampleMetric)]
    print(
        f"{size} x {size}, one core, {rounds} rounds\n\n| What | fastest ms | median ms | textures a minute at best |"
    )
    print("|---|---|---|---|")
    print(line("PNG, read", seconds(opened(folder, textures), textures, rounds)))
    for view in PLACES:
        render = resources.render(view)
        each = seconds(lambda sample, render=render: render.show(sample.texture), textures, rounds)
        print(line(f"render, {PLACES[view].title}, {PLACES[view].side} x {PLACES[view].side}", each))
    crop = resources.face_view("atlas")
    print(line("face of the atlas", seconds(lambda sample: crop.show(sample.texture), textures, rounds)))
    for metric in metrics:
        print(line(metric.title, seconds(metric.score, textures, rounds)), flush=True)
    network = InceptionV3().eval()
    few = max(4, rounds // 5)
    print(line("Inception v3", seconds(lambda sample: inception(sample.texture, network), textures, few)))
    model = CLIPModel(CLIPConfig()).eval()
    print(line("CLIP ViT-B/32", seconds(lambda _: clip(model), textures, few)))
    if picture is not None:
        Image.fromarray(sheet(textures, resources, metrics)).save(picture, quality=85)


if __name__ == "__main__":
    main()
