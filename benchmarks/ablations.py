"""The paper's ablations in miniature, on people who don't exist and whom the model has never seen.

    PYTHONPATH=backend python benchmarks/ablations.py --out ablations --scale small
    PYTHONPATH=backend python benchmarks/ablations.py --out ablations --scale full --device cuda

Models are trained from zero on synthetic people, then asked for textures of others. Three questions:

Before any training, a linear map from the embedding to the texture says what there is to be learnt at least.

- Does the identity reach people who were never seen? The generated face is compared with the true faces of all of
  them: rank 1 is the share whose nearest true face is their own. With the identity switched off it has to fall to
  what the words alone say, and without words to chance.
- Table 2: what are the words for group and gender worth?
- Table 3: what are 1, 2 and 5 textures for each person of the training worth?

With --weights, a model is fine-tuned from weights that are at hand instead of from zero.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import small_world
import torch
from numpy.typing import NDArray
from PIL import Image
from skimage.color import deltaE_ciede2000, rgb2lab

from uvmap_id.datasets.folder import Dataset, Row, read_dataset
from uvmap_id.datasets.synthetic.identity import GENDERS, GROUPS, drawn
from uvmap_id.datasets.synthetic.maker import Wish
from uvmap_id.datasets.synthetic.synthesise import Tools, synthesise
from uvmap_id.pictures import resize
from uvmap_id.pipelines.uvmap_id import UVMapIDPipeline
from uvmap_id.training.checkpoint import has_checkpoints
from uvmap_id.training.config import Config, parse_config
from uvmap_id.training.data import prompt_of
from uvmap_id.training.loop import Moment
from uvmap_id.training.run import train
from uvmap_id.weights.load import load_components

Textures = NDArray[np.uint8]
Floats = NDArray[np.float64]

# Of the atlas in UV: left, right, bottom, top. The face with brows and beard, the cheeks, and the chest.
FACE = (0.19, 0.41, 0.655, 0.90)
CHEEKS = ((0.225, 0.255, 0.745, 0.785), (0.343, 0.373, 0.745, 0.785))
CHEST = (0.22, 0.40, 0.32, 0.46)
TRAIN_SEED, UNSEEN_SEED = 0, 1
RIDGE = 0.1
EMBEDDING_RIDGE = 0.1
MOST_TEXTURES = 5
# Texels a side that textures are compared at.
MEASURED = 128


@dataclass(frozen=True)
class Scale:
    """How large everything is."""

    people: int
    unseen: int
    size: int
    channels: tuple[int, ...]
    steps: int
    batch: int
    rate: float
    precision: str
    samples: int
    sample_steps: int


SCALES = {
    "tiny": Scale(12, 6, 64, (16, 32, 32), 12, 4, 1e-3, "no", 1, 3),
    "small": Scale(144, 24, 64, (32, 64, 96), 900, 12, 1e-3, "no", 2, 16),
    "full": Scale(600, 60, 128, (128, 256, 384, 512), 24_000, 64, 2e-4, "bf16", 4, 30),
}


@dataclass(frozen=True)
class Arm:
    """One model: how many textures of each person it sees, and whether its prompts say group and gender."""

    name: str
    textures: int = 2
    words: bool = True


ARMS = (
    Arm("2 textures, words"),
    Arm("2 textures, no words", words=False),
    Arm("1 texture, words", textures=1),
    Arm("5 textures, words", textures=5),
)


@dataclass(frozen=True)
class Figures:
    """What an arm came to, over all generated textures.

    Attributes:
        rank_1: Share whose nearest true face is their own.
        rank_5: Share whose own face is among the five nearest.
        by_parameters: Share whose nearest person, by traits read off the face, is their own.
        group: Share whose nearest true face is of the same group and gender.
        skin: CIEDE2000 between the cheeks of texture and truth, median.
        clothes: Share whose nearest true chest is that of their own prompt.
    """

    rank_1: float
    rank_5: float
    by_parameters: float
    group: float
    skin: float
    clothes: float


class TraitReader:
    """Reads a person's traits off a face: ridge regression from its texels, learnt on the true textures."""

    def __init__(self, faces: Floats, traits: Floats) -> None:
        self._mean, self._offset = faces.mean(axis=0), traits.mean(axis=0)
        centred = faces - self._mean
        weight = centred @ centred.T + RIDGE * len(faces) * np.eye(len(faces)) * centred.var()
        self._map = centred.T @ np.linalg.solve(weight, traits - self._offset)
        spread = (traits - self._offset).std(axis=0) + 1e-9
        error = (self.read(faces) - traits).std(axis=0)
        # What can't be seen in a face says nothing about whose it is.
        self.weight = np.clip(1 - (error / spread) ** 2, 0, 1) / spread

    def read(self, faces: Floats) -> Floats:
        """(N, D) traits of (N, P) faces."""
        return (faces - self._mean) @ self._map + self._offset


@dataclass(frozen=True)
class Truth:
    """The people who were never seen.

    Attributes:
        rows: One texture of each.
        textures: (N, S, S, 3).
        others: (N, S, S, 3) another texture of each: what a perfect model would come to.
        traits: (N, D).
    """

    rows: tuple[Row, ...]
    textures: Textures
    others: Textures
    traits: Floats


def main() -> None:
    """Make the people, train, generate, measure, write."""
    options = parse_arguments()
    torch.manual_seed(0)
    started = time.perf_counter()
    scale, out = SCALES[options.scale], options.out
    if options.weights:
        scale = replace(scale, size=512, steps=1500, batch=2, rate=1e-6)
    scale = replace(scale, steps=options.steps or scale.steps)
    crowd = make_people(out / "people", scale.people, MOST_TEXTURES, TRAIN_SEED, scale.size)
    unseen = make_people(out / "unseen", scale.unseen, 2, UNSEEN_SEED, scale.size)
    say(f"{len(crowd.identities())} people to learn from, {len(unseen.identities())} unseen", started)
    truth, reader = truth_of(unseen, scale.size), reader_of(crowd, scale.size)
    weights = options.weights or str(own_weights(out / "weights", scale))
    results: dict[str, Figures] = {"another texture of the same person": measured(truth.others, truth, reader, 1)}
    pictures: list[tuple[str, Textures]] = [("truth", truth.textures)]
    for identity in (True, False):
        name = "a linear map" if identity else "a linear map, identity off"
        made = linear_map(crowd, truth, identity=identity)
        results[name] = measured(made, truth, reader, 1)
        pictures.append((name, made))
    write(out, results, pictures, scale, options, time.perf_counter() - started)
    for arm in ARMS[: options.arms]:
        folder = learn(configuration(arm, scale, weights, crowd.folder, out / "runs", options))
        say(f"{arm.name}: trained", started)
        pipeline = UVMapIDPipeline(**load_components(folder).modules()).to(options.device)
        pipeline.set_progress_bar_config(disable=True)
        for identity in (True, False):
            name = arm.name if identity else f"{arm.name}, identity off"
            made = generate(pipeline, truth, arm, scale, identity=identity)
            results[name] = measured(made, truth, reader, scale.samples)
            pictures.append((name, made))
            say(f"{name}: {results[name]}", started)
            write(out, results, pictures, scale, options, time.perf_counter() - started)
    print((out / "ablations.md").read_text(encoding="utf-8"))


def parse_arguments() -> argparse.Namespace:
    """What the command line says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--out", type=Path, required=True, help="folder for everything; what is there is not made again"
    )
    parser.add_argument("--scale", choices=tuple(SCALES), default="small")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--steps", type=int, default=0, help="of each training, instead of the scale's")
    parser.add_argument("--arms", type=int, default=len(ARMS), help="only the first ones")
    parser.add_argument(
        "--weights", default="", help="id or path of weights to begin with, such as realistic-vision-v4"
    )
    return parser.parse_args()


def make_people(folder: Path, people: int, textures: int, seed: int, size: int) -> Dataset:
    """Synthetic people; finished ones are kept."""
    wish = Wish(seed, textures, 0, size, 512, "parameters")
    synthesise(folder, people, wish, Tools(), os.cpu_count() or 1, lambda *_: None)
    return read_dataset(folder)


def own_weights(folder: Path, scale: Scale) -> Path:
    """A model of the paper's shape that has learnt nothing."""
    if not folder.exists():
        folder.mkdir(parents=True)
        small_world.write_weights(folder, scale.channels)
    return folder


def configuration(
    arm: Arm, scale: Scale, weights: str, people: Path, runs: Path, options: argparse.Namespace
) -> Config:
    """The training of an arm. From zero nothing is there to be preserved, so the class images are left out."""
    fine_tuning = bool(options.weights)
    values: dict[str, dict[str, Any]] = {
        "data": {
            "dataset": str(people),
            "size": scale.size,
            "textures_per_identity": arm.textures,
            "subject_words": arm.words,
        },
        "model": {"weights": weights, "identity": "zero"},
        "prior": {"weight": 1.0 if fine_tuning else 0.0},
        "training": {
            "steps": scale.steps,
            "batch_size": scale.batch,
            "learning_rate": scale.rate,
            "schedule": "constant" if fine_tuning else "cosine",
            "warmup_steps": min(100, scale.steps // 10),
            "mixed_precision": scale.precision,
            "drop_text": 0.05,
            "drop_identity": 0.05,
            "drop_both": 0.05,
            "min_snr": 5.0,
        },
        "output": {
            "folder": str(runs / arm.name.replace(", ", "-").replace(" ", "-")),
            "checkpoint_every": max(100, scale.steps // 10),
            "keep_checkpoints": 1,
            "sample_every": 0,
            "licence": "cc0-1.0",
        },
    }
    return parse_config(values)


class Watcher:
    """Says how the training goes, now and then."""

    def stage(self, text: str, done: int = 0, total: int = 0) -> None:
        """Nothing that takes long is prepared here."""
        del text, done, total

    def step(self, moment: Moment) -> None:
        """A line at every tenth of the steps."""
        figures = moment.figures
        if figures.step % max(1, moment.steps // 10) == 0:
            pace = f"{moment.steps_per_second:.2f} steps/s"
            print(f"           step {figures.step} of {moment.steps}, loss {figures.instance:.4f}, {pace}", flush=True)

    def warn(self, text: str) -> None:
        """What a person should know."""
        print(f"           {text}", flush=True)


def learn(config: Config) -> Path:
    """Train, and return the folder of the finished weights; a finished run is not made again."""
    done = config.out / "finished.json"
    if done.is_file():
        return Path(json.loads(done.read_text(encoding="utf-8")))
    outcome = train(config, Watcher(), resume=has_checkpoints(config.out / "checkpoints"))
    if outcome.model is None:
        raise SystemExit("The training was stopped; run the command again to go on.")
    done.write_text(json.dumps(str(outcome.model)), encoding="utf-8")
    return outcome.model


def linear_map(crowd: Dataset, truth: Truth, *, identity: bool) -> Textures:
    """(N, S, S, 3), S at most `MEASURED`: what ridge regression from the embedding alone makes of the unseen people.

    It knows no words and paints the mean of all clothes. A model that has learnt anything has to beat it in these,
    and a dataset from which it learns nothing could teach nobody.
    """
    rows = [row for index, row in enumerate(crowd.rows) if index % MOST_TEXTURES < 2]
    size = min(truth.textures.shape[1], MEASURED)
    known = np.array([row.embedding for row in rows])
    colours = opened(crowd, rows, size).reshape(len(rows), -1) / 255
    mean, middle = known.mean(axis=0), colours.mean(axis=0)
    centred = known - mean
    kernel = centred @ centred.T + 2 * EMBEDDING_RIDGE * np.eye(len(rows))
    asked = np.array([row.embedding for row in truth.rows]) - mean
    made = middle + identity * (asked @ centred.T) @ np.linalg.solve(kernel, colours - middle)
    return np.round(np.clip(made, 0, 1) * 255).astype(np.uint8).reshape(-1, size, size, 3)


def generate(pipeline: UVMapIDPipeline, truth: Truth, arm: Arm, scale: Scale, *, identity: bool) -> Textures:
    """(samples x N, S, S, 3): textures of the unseen people in their own clothes, with seeds of their own."""
    config = replace(parse_config(_ANY).data, subject_words=arm.words)
    prompts = [prompt_of(row, config) for row in truth.rows]
    embeddings = torch.tensor(np.array([row.embedding for row in truth.rows], np.float32))
    found = []
    for sample in range(scale.samples):
        images = pipeline(
            prompts,
            embeddings if identity else torch.zeros_like(embeddings),
            [1000 * sample + number for number in range(len(prompts))],
            num_inference_steps=scale.sample_steps,
            guidance_scale=2.0,
            height=scale.size,
            width=scale.size,
        ).images
        found.append(np.round(images * 255).astype(np.uint8))
    return np.concatenate(found)


_ANY = {"data": {"dataset": "any"}, "model": {"weights": "any"}, "output": {"folder": "any"}}


def truth_of(unseen: Dataset, size: int) -> Truth:
    """The people to be recognised."""
    rows = unseen.rows[::2]
    traits = np.array([drawn(UNSEEN_SEED, number).vector() for number in range(len(rows))])
    return Truth(rows, opened(unseen, rows, size), opened(unseen, unseen.rows[1::2], size), traits)


def reader_of(crowd: Dataset, size: int) -> TraitReader:
    """Traits are read as the training's people teach it: two textures of each."""
    rows = [row for index, row in enumerate(crowd.rows) if index % MOST_TEXTURES < 2]
    traits = np.repeat([drawn(TRAIN_SEED, number).vector() for number in range(len(rows) // 2)], 2, axis=0)
    return TraitReader(faces_of(opened(crowd, rows, size)), traits)


def opened(dataset: Dataset, rows: Sequence[Row], size: int) -> Textures:
    """(N, S, S, 3)."""
    pictures = [Image.open(dataset.texture(row)).convert("RGB").resize((size, size)) for row in rows]
    return np.array([np.asarray(picture) for picture in pictures])


def faces_of(textures: Textures) -> Floats:
    """(N, P) the faces' texels in CIE Lab."""
    return rgb2lab(window(textures, FACE)).reshape(len(textures), -1)


def window(textures: Textures, place: tuple[float, float, float, float]) -> Textures:
    """A part of the atlas in all textures, at `MEASURED` texels a side or fewer."""
    size = min(textures.shape[1], MEASURED)
    if size < textures.shape[1]:
        textures = np.array([resize(texture, (size, size)) for texture in textures])
    left, right, bottom, top = place
    return textures[:, round((1 - top) * size) : round((1 - bottom) * size), round(left * size) : round(right * size)]


def cheeks_of(textures: Textures) -> Floats:
    """(N, 3) CIE Lab, the median over both cheeks."""
    parts = [rgb2lab(window(textures, place)).reshape(len(textures), -1, 3) for place in CHEEKS]
    return np.median(np.concatenate(parts, axis=1), axis=1)


def measured(made: Textures, truth: Truth, reader: TraitReader, samples: int) -> Figures:
    """Compare generated textures, `samples` of each person, with everybody's true ones."""
    count = len(truth.rows)
    own = np.tile(np.arange(count), samples)
    faces = distances(faces_of(made), faces_of(truth.textures))
    ranks = (faces < faces[np.arange(len(made)), own][:, None]).sum(axis=1)
    nearest = faces.argmin(axis=1)
    kinds = np.array([GROUPS.index(row.group) * len(GENDERS) + GENDERS.index(row.gender) for row in truth.rows])
    read = reader.read(faces_of(made)) * reader.weight
    by_traits = distances(read, truth.traits * reader.weight).argmin(axis=1)
    chests = distances(
        *(rgb2lab(window(textures, CHEST)).reshape(len(textures), -1) for textures in (made, truth.textures))
    ).argmin(axis=1)
    skin = deltaE_ciede2000(cheeks_of(made), np.tile(cheeks_of(truth.textures), (samples, 1)))
    # Of another texture of a person the clothes are others.
    return Figures(
        rank_1=float((ranks == 0).mean()),
        rank_5=float((ranks < 5).mean()),
        by_parameters=float((by_traits == own).mean()),
        group=float((kinds[nearest] == kinds[own]).mean()),
        skin=float(np.median(skin)),
        clothes=float((chests == own).mean()),
    )


def distances(one: Floats, other: Floats) -> Floats:
    """(N, M) root mean squares of differences."""
    return np.sqrt(((one[:, None] - other[None]) ** 2).mean(axis=-1))


def write(
    out: Path,
    results: dict[str, Figures],
    pictures: list[tuple[str, Textures]],
    scale: Scale,
    options: argparse.Namespace,
    seconds: float,
) -> None:
    """The table as Markdown and JSON, and the pictures: a row for each arm, a column for each person."""
    chance = 1 / scale.unseen
    lines = [
        f"{scale.people} people to learn from, {scale.unseen} unseen, {scale.size} x {scale.size} texels, "
        f"{scale.steps} steps of {scale.batch}, {scale.samples} texture(s) of each, {options.device}, "
        f"{seconds / 60:.0f} minutes so far. Chance is {chance:.1%} for rank 1 and {5 * chance:.1%} for rank 5.",
        "",
        "| model | rank 1 | rank 5 | by traits | group and gender | skin, CIEDE2000 | clothes |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, row in results.items():
        shares = f"{row.rank_1:.1%} | {row.rank_5:.1%} | {row.by_parameters:.1%} | {row.group:.1%}"
        clothes = f"{row.clothes:.1%}" if "another" not in name else ""
        lines.append(f"| {name} | {shares} | {row.skin:.1f} | {clothes} |")
    (out / "ablations.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    values = {name: vars(row) for name, row in results.items()}
    (out / "ablations.json").write_text(json.dumps(values, indent=1), encoding="utf-8")
    side = min(scale.size, MEASURED)
    few = [[resize(one, (side, side)) for one in textures[: min(10, scale.unseen)]] for _, textures in pictures]
    shown = Image.fromarray(np.vstack([np.hstack(row) for row in few]))
    larger = max(1, MEASURED // side)
    shown.resize((shown.width * larger, shown.height * larger)).save(out / "ablations.jpg", quality=88)


def say(text: str, started: float) -> None:
    """With the minutes since the start."""
    print(f"{(time.perf_counter() - started) / 60:5.1f} min  {text}", flush=True)


if __name__ == "__main__":
    main()
