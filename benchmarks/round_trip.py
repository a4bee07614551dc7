"""How much of a known texture comes back: from texture to photo by rendering, and from photo to texture by the engine.

    python benchmarks/round_trip.py [--shared ../shared] [--textures smplitex_01 ...] [--out FILE.md] [--save FOLDER]

SMPL's body wears each texture that others made, is photographed from the front and turned by 20 degrees, in even light
and with a lamp at its side, and the engine makes a texture of each photo. Compared is the face of that texture with
the face of the one that was worn, texel by texel, on 8-bit sRGB, with no fit of any kind:

- PSNR over all channels, and SSIM (Wang et al. 2004: Gaussian window of sigma 1.5), at 1024 texels.
- Photos in even light are also made with `relight` 1, the default, which takes out light that the texture itself
  holds. What the lamp costs is the difference to that.
- The face is the region inside the landmarks' oval, drawn in by 0.015 of the atlas, as far as the photo shows it.
- "Fitted" is the same after a gain and an offset for each channel, the best in the least squares: what is lost between
  fitted and plain is tone, what is missing from the fitted is structure.
- "Read back" is the photo itself, brought to the atlas through the true geometry and not worked on: in even light the
  most that any engine can reach, in side light what the lamp does.
- Landmark error: mediapipe's landmarks on the body in the result and on the body in the worn texture, seen from the
  front in even light, looked up in UV; the median distance.
- Skin: CIEDE2000 between the photo's cheeks and the result's neck, forearms and hands, medians of each.
- Seams: the step across seams over the step beside them, `uvmap_id.atlas.seams.seam_step` on the whole result.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import os
import statistics
import sys
import time
from dataclasses import dataclass, field, fields
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from uvmap_id.atlas.layout import Atlas
from uvmap_id.atlas.raster import Raster, rasterize
from uvmap_id.atlas.seams import seam_step
from uvmap_id.atlas.view import Camera, lookup, vertex_normals
from uvmap_id.bodies.calibrate import z_up
from uvmap_id.bodies.obj import read_obj
from uvmap_id.engines.projection.colour import to_linear, to_srgb
from uvmap_id.engines.projection.engine import ProjectionEngine
from uvmap_id.engines.projection.warp import FACE_OVAL
from uvmap_id.faces.landmarks import FaceFinder
from uvmap_id.link.errors import UVMapError
from uvmap_id.link.request import TextureRequest
from uvmap_id.metrics.comparison import psnr, ssim
from uvmap_id.metrics.skin import BODY_SKIN, cheek_colour, skin_differences
from uvmap_id.pictures import distance_inside, fill_polygons, resize, sample

PROMPT = "wearing grey tank top, blue shorts"
SIZE = 1024  # of the result, and of the comparison
PHOTO_SIZE = 1024
EXTENT = 0.2  # metres from the middle of the photo to its edge
DRAWN_IN = 0.015
CHEEK_RADIUS = 10  # pixels of the photo
LAMP = (-0.75, -0.6, 0.3)  # towards the body's right, seen from the camera
AMBIENT, LAMP_STRENGTH = 0.4, 0.75  # nearly 3:1 from the lit to the shadowed side
BACKGROUND = 150

Picture = NDArray[np.uint8]


@dataclass(frozen=True)
class Condition:
    """How a photo is taken, turned by so many degrees, lit from the side or evenly; and the request's `relight`."""

    name: str
    yaw: float
    lamp: bool
    relight: float


CONDITIONS = (
    Condition("frontal, even light", 0.0, False, 0.0),
    Condition("frontal, even light, relit", 0.0, False, 1.0),
    Condition("frontal, side light", 0.0, True, 1.0),
    Condition("20 degrees, even light", 20.0, False, 0.0),
    Condition("20 degrees, even light, relit", 20.0, False, 1.0),
    Condition("20 degrees, side light", 20.0, True, 1.0),
)


@dataclass(frozen=True)
class Figures:
    """What one photo came to; NaN where no face was found."""

    psnr: float = field(metadata={"title": "PSNR dB", "digits": 2})
    ssim: float = field(metadata={"title": "SSIM", "digits": 3})
    psnr_fitted: float = field(metadata={"title": "PSNR fitted", "digits": 2})
    ssim_fitted: float = field(metadata={"title": "SSIM fitted", "digits": 3})
    landmarks: float = field(metadata={"title": "landmark error UV", "digits": 4})
    neck: float = field(metadata={"title": "skin neck", "digits": 1})
    arms: float = field(metadata={"title": "skin arms", "digits": 1})
    hands: float = field(metadata={"title": "skin hands", "digits": 1})
    seams: float = field(metadata={"title": "seam ratio", "digits": 2})
    psnr_read_back: float = field(metadata={"title": "PSNR read back", "digits": 2})
    ssim_read_back: float = field(metadata={"title": "SSIM read back", "digits": 3})


@dataclass(frozen=True)
class Trip:
    """One photo, what was made of it (None where no face was found), and how near that came."""

    condition: Condition
    photo: Picture
    result: Picture | None
    figures: Figures


class View:
    """SMPL's body in front of a camera."""

    def __init__(self, body: Path, yaw: float, distance: float, face: NDArray[np.bool_]) -> None:
        mesh = read_obj(body)
        vertices = z_up(mesh.vertices)
        top = vertices[:, 2].max()
        head = vertices[vertices[:, 2] > top - 0.2]
        self.camera = Camera(np.array([0.0, head[:, 1].mean(), top - 0.15]), EXTENT, PHOTO_SIZE, yaw, distance)
        self.raster: Raster = self.camera.draw(vertices, mesh.triangles)
        self.uvs = self.raster.interpolate(mesh.uvs[mesh.uv_triangles])
        normals = self.camera.turn(vertex_normals(vertices, mesh.triangles))
        seen = self.raster.interpolate(normals[mesh.triangles])
        self.normals = seen / (np.linalg.norm(seen, axis=-1, keepdims=True) + 1e-9)
        direction = np.array(LAMP) / np.linalg.norm(LAMP)
        lit = AMBIENT + LAMP_STRENGTH * np.clip(self.normals @ direction, 0, 1)
        # As a camera does it, the exposure keeps the mean of the light on the face.
        on_face = self.raster.covered & (lookup(face.astype(np.uint8)[..., None], self.uvs)[..., 0] > 0)
        self.lit = lit / lit[on_face].mean()
        corners = mesh.uvs[mesh.uv_triangles] * [1, -1] * SIZE + [0, SIZE]
        texels = rasterize(corners, (SIZE, SIZE)).interpolate(vertices[mesh.triangles])
        self.places: NDArray[np.float64] = self.camera.project(texels)[0]

    def photo(self, texture: Picture, *, lamp: bool) -> Picture:
        """(P, P, 3) the body in a texture, before a grey wall."""
        picture = lookup(texture, self.uvs)
        if lamp:
            picture = to_srgb(to_linear(picture) * self.lit[..., None])
        picture[~self.raster.covered] = BACKGROUND
        return picture

    def shown(self) -> NDArray[np.bool_]:
        """(S, S) the texels that the photo shows."""
        shown = np.zeros((SIZE, SIZE), np.uint8)
        columns, rows = (self.uvs[self.raster.covered] * [1, -1] * SIZE + [0, SIZE]).astype(int).T
        shown[np.clip(rows, 0, SIZE - 1), np.clip(columns, 0, SIZE - 1)] = 1
        # The photo's pixels are finer than the texels; this closes the few that fell between two of them.
        return cv2.morphologyEx(shown, cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8)) > 0

    def read_back(self, photo: Picture) -> Picture:
        """(S, S, 3) for each texel the photo's colour where that texel's place is, hidden or not."""
        return sample(photo, self.places, cubic=True)

    def landmark_uvs(self, texture: Picture, finder: FaceFinder) -> NDArray[np.float64] | None:
        """(478, 2) UVs of the landmarks on the body in a texture, NaN beside the body; None where no face is found."""
        faces = finder.find(self.photo(texture, lamp=False))
        if not faces:
            return None
        points = faces[0].points[:, :2]
        on_body = sample(self.raster.covered.astype(np.float32), points) > 0.999
        return np.where(on_body[:, None], sample(self.uvs, points), np.nan)


class RoundTrip:
    """The engine, the body and the measures."""

    def __init__(self, body: Path, distance: float) -> None:
        self.engine, self.finder, self.atlas = ProjectionEngine(), FaceFinder(), Atlas.load()
        oval = self.atlas.landmarks[list(FACE_OVAL)] * [1, -1] * SIZE + [0, SIZE]
        self.face = distance_inside(fill_polygons([oval], (SIZE, SIZE))) > DRAWN_IN * SIZE
        yaws = {condition.yaw for condition in CONDITIONS}
        self.views = {yaw: View(body, yaw, distance, self.face) for yaw in yaws}

    def trips(self, texture: Picture) -> list[Trip]:
        """One for each of `CONDITIONS`."""
        front = self.views[0.0].landmark_uvs(texture, self.finder)
        return [self._trip(texture, front, condition) for condition in CONDITIONS]

    def _trip(self, texture: Picture, front: NDArray[np.float64] | None, condition: Condition) -> Trip:
        view = self.views[condition.yaw]
        photo = view.photo(texture, lamp=condition.lamp)
        try:
            result = generate(self.engine, photo, condition.relight)
        except UVMapError:
            return Trip(condition, photo, None, Figures(*[float("nan")] * len(fields(Figures))))
        region = self.face & view.shown()
        truth = resize(texture, (SIZE, SIZE))
        fitted, read_back = with_fitted_colour(result, truth, region), view.read_back(photo)
        neck, arms, hands = self._skin_distances(photo, result)
        figures = Figures(
            psnr=psnr(result, truth, region),
            ssim=ssim(result, truth, region),
            psnr_fitted=psnr(fitted, truth, region),
            ssim_fitted=ssim(fitted, truth, region),
            landmarks=self._landmark_error(front, result),
            neck=neck,
            arms=arms,
            hands=hands,
            seams=seam_step(result, self.atlas.seams, self.atlas.mask(SIZE)).ratio,
            psnr_read_back=psnr(read_back, truth, region),
            ssim_read_back=ssim(read_back, truth, region),
        )
        return Trip(condition, photo, result, figures)

    def _landmark_error(self, wanted: NDArray[np.float64] | None, result: Picture) -> float:
        found = self.views[0.0].landmark_uvs(result, self.finder)
        if wanted is None or found is None:
            return float("nan")
        return float(np.nanmedian(np.linalg.norm(wanted - found, axis=1)))

    def _skin_distances(self, photo: Picture, result: Picture) -> list[float]:
        """Of the neck, the arms and the hands."""
        cheeks = cheek_colour(photo, self.finder.find(photo)[0].points[:, :2], CHEEK_RADIUS)
        return skin_differences(cheeks, result, [self.atlas.shows(parts, SIZE) for parts in BODY_SKIN])


def generate(engine: ProjectionEngine, photo: Picture, relight: float) -> Picture:
    """(S, S, 3) the base colour that the engine makes of a photo."""
    buffer = io.BytesIO()
    Image.fromarray(photo).save(buffer, "PNG", compress_level=1)
    content = buffer.getvalue()
    request = TextureRequest(hashlib.sha256(content).hexdigest(), PROMPT, size=SIZE, relight=relight)
    return engine.generate(request, (content,), unheard).base_color


def unheard(stage: str, fraction: float, preview: object = None) -> None:
    del stage, fraction, preview


def with_fitted_colour(image: Picture, truth: Picture, region: NDArray[np.bool_]) -> Picture:
    """The image with the gain and the offset for each channel that bring it closest to the truth in the region."""
    fitted = np.empty(image.shape, np.float64)
    for channel in range(3):
        gain, offset = np.polyfit(image[region][:, channel].astype(float), truth[region][:, channel].astype(float), 1)
        fitted[..., channel] = image[..., channel] * gain + offset
    return np.round(np.clip(fitted, 0, 255)).astype(np.uint8)


def median(rows: list[Figures], name: str) -> float:
    values = [value for row in rows if not np.isnan(value := getattr(row, name))]
    return statistics.median(values) if values else float("nan")


def report(results: dict[str, dict[str, Figures]]) -> str:
    """Markdown: medians of each condition, the targets, and the plain figures of each texture."""
    columns = fields(Figures)
    titles = [column.metadata["title"] for column in columns]
    lines = [f"| median of {len(results)} textures | {' | '.join(titles)} |", "|---" * (len(columns) + 1) + "|"]
    by_condition = {each.name: [figures[each.name] for figures in results.values()] for each in CONDITIONS}
    for name, rows in by_condition.items():
        values = [f"{median(rows, column.name):.{column.metadata['digits']}f}" for column in columns]
        lines.append(f"| {name} | {' | '.join(values)} |")
    lines += ["", "| figure | measured | target | |", "|---|---|---|---|", *target_lines(by_condition)]
    lines += ["", f"| PSNR dB / SSIM | {' | '.join(by_condition)} |", "|---" * (len(CONDITIONS) + 1) + "|"]
    for texture, figures in results.items():
        values = [f"{figures[name].psnr:.2f} / {figures[name].ssim:.3f}" for name in by_condition]
        lines.append(f"| {texture} | {' | '.join(values)} |")
    return "\n".join(lines) + "\n"


def target_lines(by_condition: dict[str, list[Figures]]) -> list[str]:
    frontal, relit, side, turned, turned_relit, turned_side = (by_condition[each.name] for each in CONDITIONS)
    everything = [figures for rows in by_condition.values() for figures in rows]
    even = frontal + turned
    skin = [figure for part in ("neck", "arms", "hands") for row in even if (figure := getattr(row, part)) == figure]
    lamp_cost = median(relit, "psnr") - median(side, "psnr")
    turned_cost = median(turned_relit, "psnr") - median(turned_side, "psnr")
    return [
        line("PSNR, frontal", median(frontal, "psnr"), 24, 2, at_least=True),
        line("SSIM, frontal", median(frontal, "ssim"), 0.80, 3, at_least=True),
        line("PSNR, 20 degrees", median(turned, "psnr"), 22, 2, at_least=True),
        line("SSIM, 20 degrees", median(turned, "ssim"), 0.72, 3, at_least=True),
        line("dB that the side light costs, frontal", lamp_cost, 2, 2),
        line("dB that the side light costs, 20 degrees", turned_cost, 2, 2),
        line("landmark error in UV, all photos", median(everything, "landmarks"), 0.008, 4),
        line("CIEDE2000 of the skin, even light", statistics.median(skin) if skin else float("nan"), 4, 2),
        line("step at seams over step beside them", median(everything, "seams"), 1.5, 2),
    ]


def line(name: str, value: float, target: float, digits: int, *, at_least: bool = False) -> str:
    met = value >= target if at_least else value <= target
    return f"| {name} | {value:.{digits}f} | {'>=' if at_least else '<='} {target:g} | {'met' if met else 'missed'} |"


def comparison(texture: Picture, result: Picture | None, photo: Picture) -> Picture:
    """Photo, worn texture, result and difference (grey is none) of the face, side by side."""
    box = np.s_[: int(0.42 * SIZE), int(0.08 * SIZE) : int(0.5 * SIZE)]
    truth = resize(texture, (SIZE, SIZE))[box]
    made = np.zeros_like(truth) if result is None else result[box]
    difference = np.clip((made.astype(int) - truth) + 128, 0, 255).astype(np.uint8)
    return np.hstack([resize(photo, truth.shape[:2]), truth, made, difference])


def find_shared() -> Path:
    return Path(os.environ.get("UVMAP_ID_SHARED") or Path(__file__).parents[2] / "shared")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shared", type=Path, default=find_shared(), help="folder with data/textures and data/smpl")
    parser.add_argument("--textures", nargs="+", help="names without .png; default: all")
    parser.add_argument("--body", choices=["female", "male"], default="female")
    parser.add_argument("--distance", type=float, default=np.inf, help="metres to the camera; default: orthographic")
    parser.add_argument("--out", type=Path, help="also write the tables to this file")
    parser.add_argument("--save", type=Path, help="write photo, truth, result and difference to this folder")
    options = parser.parse_args()
    data: Path = options.shared / "data"
    paths = [path for path in sorted((data / "textures").glob("*.png")) if "mask" not in path.stem]
    paths = [path for path in paths if not options.textures or path.stem in options.textures]
    if not paths:
        sys.exit(f"No textures in {data / 'textures'}; say where with --shared.")
    start = time.perf_counter()
    round_trip = RoundTrip(data / "smpl" / f"SMPL_{options.body}_default_resolution.obj", options.distance)
    results: dict[str, dict[str, Figures]] = {}
    for path in paths:
        texture = np.array(Image.open(path).convert("RGB"))
        trips = round_trip.trips(texture)
        results[path.stem] = {trip.condition.name: trip.figures for trip in trips}
        if options.save:
            options.save.mkdir(parents=True, exist_ok=True)
            rows = [comparison(texture, trip.result, trip.photo) for trip in trips]
            Image.fromarray(np.vstack(rows)).save(options.save / f"{path.stem}.png")
    text = report(results)
    print(text)
    print(f"{time.perf_counter() - start:.0f} s")
    if options.out:
        options.out.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
