"""Measures a dataset of synthetic people, and draws its contact sheet.

    PYTHONPATH=backend python -m uvmap_id dataset synthesise people --identities 108
    PYTHONPATH=backend python benchmarks/synthetic.py people --sheet docs/images/synthetic.jpg

Says in which share of the photos exactly one face is found, how far apart people are, and how long one takes.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from uvmap_id.datasets.folder import Dataset, Row, read_dataset
from uvmap_id.datasets.synthetic.maker import Maker, Wish
from uvmap_id.faces.landmarks import FaceFinder

Picture = NDArray[np.uint8]

# Of the atlas in UV, so that the face is the middle of a square.
HEAD = (0.05, 0.55, 0.51, 1.0)
CELL = 150
TIMED = 4


def main() -> None:
    """Measure, and draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--sheet", type=Path, help="write the contact sheet here, as JPEG")
    parser.add_argument("--columns", type=int, default=4, help="people in a row of the sheet")
    parser.add_argument("--rows", type=int, default=4)
    options = parser.parse_args()
    dataset = read_dataset(options.dataset)
    people = list({row.identity: row for row in dataset.rows}.values())
    print(f"{len(people)} people, {len(dataset.rows)} textures")
    print(found_line(dataset, people))
    print(apart_line(people))
    print(seconds_line())
    if options.sheet:
        draw(dataset, people, options.columns, options.rows).save(options.sheet, quality=84)


def found_line(dataset: Dataset, people: list[Row]) -> str:
    """In how many photos mediapipe finds the one face."""
    photos = [photo for row in people if (photo := dataset.photo(row)) is not None]
    with FaceFinder() as finder:
        found = [finder.find(opened(photo)) for photo in photos]
    right = sum(len(faces) == 1 for faces in found)
    apart = [faces[0].eye_distance for faces in found if faces]
    return (
        f"one face in {right} of {len(photos)} photos ({right / max(1, len(photos)):.1%}), "
        f"{np.median(apart):.0f} pixels between the eyes' outer corners (median)"
    )


def apart_line(people: list[Row]) -> str:
    """How near the nearest stranger is."""
    embeddings = np.array([row.embedding for row in people])
    cosines = embeddings @ embeddings.T
    np.fill_diagonal(cosines, -1)
    return f"cosine to the nearest other person: median {np.median(cosines.max(axis=1)):.2f}, most {cosines.max():.2f}"


def seconds_line() -> str:
    """The processor's time for a person with two textures and a photo at 512, once warm, on one core."""
    cv2.setNumThreads(1)
    maker = Maker(Wish(0, 2, 1, 512, 512, "parameters"), None, None)
    maker.make(0)
    start = time.process_time()
    for number in range(1, TIMED + 1):
        maker.make(number)
    return f"{(time.process_time() - start) / TIMED:.2f} s of a core for each person"


def draw(dataset: Dataset, people: list[Row], columns: int, rows: int) -> Image.Image:
    """Photo, and the face of the texture, of each person."""
    cells = []
    for row in people[: columns * rows]:
        photo = dataset.photo(row)
        size = (CELL, CELL)
        left = Image.fromarray(opened(photo)).resize(size) if photo else Image.new("RGB", size)
        texture = opened(dataset.texture(row))
        side = texture.shape[0]
        west, east, south, north = (round(place * side) for place in HEAD)
        right = Image.fromarray(texture[side - north : side - south, west:east]).resize(size)
        cells.append(np.hstack([np.asarray(left), np.asarray(right)]))
    return Image.fromarray(np.vstack([np.hstack(cells[k : k + columns]) for k in range(0, len(cells), columns)]))


def opened(path: Path) -> Picture:
    """(H, W, 3) uint8 sRGB."""
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


if __name__ == "__main__":
    main()
