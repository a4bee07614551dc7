"""Whether the training teaches: a small model learns 8 people from nothing, and is asked for each of them.

    python benchmarks/learning.py [--steps 500] [--out FOLDER] [--json FILE] [--pictures docs/images]

All textures have the same words, so that only the identity tells who is wanted. What is measured: by how much the loss
falls, and for how many of the 8 the generated face is nearest to the right one of all 8, by the pixels of the face.
Once with each person's identity, and once without any, where it should be 1 of 8 on average. Everything is made by the
house's own parts: trained by `uvmap-id train`'s code, loaded from the finished weights, painted from noise by the
pipeline.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import small_world
import torch
from numpy.typing import NDArray
from PIL import Image

from uvmap_id.pipelines.prompts import fill_template
from uvmap_id.pipelines.uvmap_id import UVMapIDPipeline
from uvmap_id.training.config import Config, parse_config
from uvmap_id.training.logs import StepFigures, read_losses
from uvmap_id.training.loop import Moment
from uvmap_id.training.run import train
from uvmap_id.weights.load import load_components

PEOPLE = 8
ROUNDS = 4
"""Textures of each person without identity: chance is seen better in 32 than in 8."""
_AT_EACH_END = 25


class Watcher:
    """Prints a line now and then."""

    def stage(self, text: str, done: int = 0, total: int = 0) -> None:
        del done, total
        print(text, flush=True)

    def step(self, moment: Moment) -> None:
        if moment.figures.step % 50 == 0:
            print(f"step {moment.figures.step}: loss {moment.figures.loss:.4f}", flush=True)

    def warn(self, text: str) -> None:
        print(f"warning: {text}", flush=True)


def configuration(folder: Path, steps: int, seed: int) -> Config:
    return parse_config(
        {
            "data": {"dataset": str(folder / "dataset"), "size": small_world.SIDE},
            "model": {"weights": str(folder / "weights"), "identity": "zero"},
            # There is nothing to be preserved yet.
            "prior": {"weight": 0.0},
            "training": {
                "steps": steps,
                "batch_size": 8,
                "learning_rate": 2e-3,
                "schedule": "cosine",
                "warmup_steps": 50,
                "drop_identity": 0.1,
                "seed": seed,
            },
            "output": {"folder": str(folder / "run"), "checkpoint_every": 0, "sample_every": 0},
        }
    )


def generate(model: Path, identities: NDArray[np.float32] | None, seeds: list[int]) -> NDArray[np.float32]:
    """(N, S, S, 3) 0..1 for N seeds, from noise."""
    components: Any = load_components(model).modules()
    pipeline = UVMapIDPipeline(**components)
    prompt = fill_template("a sks texturemap of {ethnicity} {gender} {prompt}", small_world.PROMPT, "")
    return pipeline(
        [prompt] * len(seeds),
        None if identities is None else torch.from_numpy(identities),
        seeds,
        num_inference_steps=20,
        guidance_scale=1.0,
        height=small_world.SIDE,
        width=small_world.SIDE,
    ).images


def nearest(generated: NDArray[np.float32], textures: NDArray[np.float32]) -> NDArray[np.int64]:
    """For each picture whose face is the nearest by the mean square over the face's pixels."""
    faces, known = (pictures[:, *small_world.FACE] for pictures in (generated, textures))
    return np.square(faces[:, None] - known[None]).mean(axis=(2, 3, 4)).argmin(axis=1)


def fall(losses: list[StepFigures]) -> tuple[float, float, float]:
    """The loss at first and at last, and by which share it fell."""
    first, last = (float(np.mean([row.loss for row in part])) for part in (losses[:5], losses[-_AT_EACH_END:]))
    return first, last, 1 - last / first


def measure(folder: Path, steps: int, seed: int) -> tuple[dict[str, Any], dict[str, NDArray[np.float32]]]:
    drawn = np.stack(small_world.write_dataset(folder / "dataset", PEOPLE))
    textures = drawn.astype(np.float32) / np.float32(255)
    small_world.write_weights(folder / "weights", seed=seed)
    began, busy = time.monotonic(), time.process_time()
    outcome = train(configuration(folder, steps, seed), Watcher())
    trained, worked = time.monotonic() - began, time.process_time() - busy
    assert outcome.model is not None
    identities = np.stack([small_world.random_identity(person) for person in range(PEOPLE)])
    people = np.arange(PEOPLE)
    shown = generate(outcome.model, identities, [100 + person for person in range(PEOPLE)])
    anybody = generate(outcome.model, None, list(range(1000, 1000 + ROUNDS * PEOPLE)))
    first, last, share = fall(read_losses(folder / "run"))
    figures = {
        "steps": steps,
        "seconds": round(trained, 1),
        "processor_seconds": round(worked, 1),
        "loss_first": round(first, 4),
        "loss_last": round(last, 4),
        "loss_fall": round(share, 4),
        "right_with_identity": int((nearest(shown, textures) == people).sum()),
        "people": PEOPLE,
        "right_without_identity": int((nearest(anybody, textures) == np.tile(people, ROUNDS)).sum()),
        "asked_without_identity": ROUNDS * PEOPLE,
    }
    return figures, {"textures": textures, "with": shown, "without": anybody[:PEOPLE]}


def write_pictures(folder: Path, run: Path, pictures: dict[str, NDArray[np.float32]]) -> None:
    """The curve, and the textures with what was generated below them."""
    import matplotlib as mpl

    mpl.use("agg")
    import matplotlib.pyplot as plt

    losses = np.array([row.loss for row in read_losses(run)])
    smooth = np.convolve(losses, np.ones(_AT_EACH_END) / _AT_EACH_END, "valid")
    figure, axes = plt.subplots(figsize=(7, 3), layout="constrained")
    axes.plot(np.arange(1, len(losses) + 1), losses, color="0.8", linewidth=0.7, label="each step")
    axes.plot(np.arange(_AT_EACH_END, len(losses) + 1), smooth, color="tab:blue", label=f"mean of {_AT_EACH_END} steps")
    axes.set(xlabel="step", ylabel="loss", ylim=(0, None))
    axes.legend(frameon=False)
    folder.mkdir(parents=True, exist_ok=True)
    # Without the date and the version, the same run gives the same file.
    figure.savefig(folder / "learning_curve.png", dpi=110, metadata={"Software": None})
    rows = [np.concatenate(list(pictures[name]), axis=1) for name in ("textures", "with", "without")]
    sheet = Image.fromarray((np.concatenate(rows) * 255).round().astype(np.uint8))
    sheet.resize((sheet.width * 3, sheet.height * 3), Image.Resampling.NEAREST).save(folder / "learning_faces.png")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1, help="layers this small are not worth more")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--pictures", type=Path)
    options = parser.parse_args()
    os.environ.setdefault("ACCELERATE_USE_CPU", "true")
    torch.set_num_threads(options.threads)
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.out or Path(temporary)
        figures, pictures = measure(folder, options.steps, options.seed)
        print(json.dumps(figures, indent=2))
        if options.json:
            options.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
        if options.pictures:
            write_pictures(options.pictures, folder / "run", pictures)


if __name__ == "__main__":
    main()
