"""A contact sheet of the projection engine: prompts from left to right, subjects from top to bottom, front and back.

    python benchmarks/contact_sheet.py --out sheet.jpg [--photo FILE]... [--texture FILE]... [--prompts FILE]

Subjects are photos, and faces rendered from finished SMPL textures; by default scikit-image's astronaut. The pictures
are drawn on the mannequin with the three maps under one lamp, without Blender. The eyes are always brown.
"""

from __future__ import annotations

import argparse
import hashlib
import io
from pathlib import Path

import numpy as np
import skimage.data
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from uvmap_id.atlas.raster import Raster
from uvmap_id.atlas.view import Camera, lookup, shade
from uvmap_id.engines.base import TextureSet
from uvmap_id.engines.projection.engine import ProjectionEngine
from uvmap_id.link.request import TextureRequest
from uvmap_id.metrics.body import EYE, MOUTH, SKIN, Body, load_body
from uvmap_id.metrics.renders import EYE_COLOURS, MOUTH_COLOUR

ROOT = Path(__file__).parents[1]
BACKGROUND = 0.14
TEXT_HEIGHT = 34
# The part of the square picture that holds a standing body.
CROP = (0.21, 0.79)


class Mannequin(Body):
    """The extension's body, its arms hanging."""

    @classmethod
    def load(cls) -> Mannequin:
        """Read it from the extension's assets."""
        body = load_body()
        return cls(body.vertices, body.triangles, body.uvs, body.materials)

    def face_camera(self, size: int) -> Camera:
        """Looks at the face."""
        return Camera(np.array([0, 0, self.vertices[:, 2].max() - 0.13]), 0.2, size)

    def body_camera(self, size: int, yaw: float) -> Camera:
        """Looks at the whole body."""
        height = self.vertices[:, 2].max()
        return Camera(np.array([0, 0, height / 2]), height * 0.52, size, yaw)

    def frames(self) -> NDArray[np.float64]:
        """(T, 3, 3) the directions of u, of v and of the normal on each triangle."""
        first, second, third = np.moveaxis(self.vertices[self.triangles], 1, 0)
        one, other = second - first, third - first
        right, up = self.uvs[:, 1] - self.uvs[:, 0], self.uvs[:, 2] - self.uvs[:, 0]
        area = right[:, 0] * up[:, 1] - right[:, 1] * up[:, 0]
        area = np.where(np.abs(area) < 1e-12, 1e-12, area)[:, None]
        tangent = (one * up[:, 1:] - other * right[:, 1:]) / area
        bitangent = (other * right[:, :1] - one * up[:, :1]) / area
        frame = np.stack([tangent, bitangent, np.cross(one, other)], axis=1)
        return frame / (np.linalg.norm(frame, axis=2, keepdims=True) + 1e-12)


def painted(body: Mannequin, raster: Raster, texture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(S, S, 3) sRGB: the texture on the skin, and eyes and mouth, which have UVs of their own."""
    uvs = raster.interpolate(body.uvs)
    colours = lookup(texture, uvs)
    material = np.where(raster.covered, body.materials[raster.triangle], SKIN)
    eye = material == EYE
    ring = np.searchsorted(list(EYE_COLOURS), np.linalg.norm(uvs[eye] - 0.5, axis=1))
    colours[eye] = np.array(list(EYE_COLOURS.values()), np.uint8)[ring]
    colours[material == MOUTH] = MOUTH_COLOUR
    return colours


def draw(body: Mannequin, maps: TextureSet, camera: Camera) -> NDArray[np.uint8]:
    """(S, S, 3) sRGB: the body under a lamp above the camera's shoulder, its relief from the normal map."""
    raster = camera.draw(body.vertices, body.triangles)
    uvs = raster.interpolate(body.uvs)
    colour = (painted(body, raster, maps.base_color) / 255.0) ** 2.2
    skin = (raster.covered & (body.materials[raster.triangle] == SKIN))[..., None]
    bump = np.where(skin, lookup(maps.normal, uvs) / 127.5 - 1, 0)
    gloss = np.where(skin, 1 - lookup(maps.roughness[..., None], uvs) / 255.0, 0)
    # The smooth brightness of the body, and what the relief adds to it in the light's direction.
    smooth = raster.interpolate(shade(body.vertices, body.triangles, camera)[body.triangles][..., None])
    lamp = camera.turn(np.eye(3)).T @ np.array([0.35, -0.75, 0.55])
    towards = body.frames()[raster.triangle] @ lamp
    relief = bump[..., :1] * towards[..., :1] + bump[..., 1:2] * towards[..., 1:2]
    light = np.clip(smooth + 0.8 * relief, 0.08, 1.3)
    picture = colour * light + 0.16 * gloss**3 * np.clip(light - 0.75, 0, 1)
    picture = np.where(raster.covered[..., None], picture, BACKGROUND)
    return np.round(np.clip(picture, 0, 1) ** (1 / 2.2) * 255).astype(np.uint8)


def rendered_face(body: Mannequin, texture: Path) -> bytes:
    """A portrait, as PNG, of the mannequin that wears a finished texture."""
    camera = body.face_camera(1024)
    raster = camera.draw(body.vertices, body.triangles)
    with Image.open(texture) as image:
        colours = painted(body, raster, np.asarray(image.convert("RGB")))
    return as_png(np.where(raster.covered[..., None], colours, 150).astype(np.uint8))


def as_png(image: NDArray[np.uint8]) -> bytes:
    """Encoded."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG")
    return buffer.getvalue()


def unheard(stage: str, fraction: float, preview: object = None) -> None:
    """Take no notice of the progress."""
    del stage, fraction, preview


def cell(engine: ProjectionEngine, body: Mannequin, photo: bytes, prompt: str, size: int) -> NDArray[np.uint8]:
    """Front and back of one subject in one prompt's clothes, the prompt below."""
    request = TextureRequest(hashlib.sha256(photo).hexdigest(), prompt, size=1024)
    maps = engine.generate(request, (photo,), unheard)
    left, right = (round(share * size) for share in CROP)
    views = [draw(body, maps, body.body_camera(2 * size, yaw))[:, 2 * left : 2 * right] for yaw in (0.0, 180.0)]
    halves = [np.asarray(Image.fromarray(view).reduce(2)) for view in views]
    return np.hstack(halves)


def captioned(picture: NDArray[np.uint8], text: str) -> NDArray[np.uint8]:
    """A strip with the text in it, under the picture."""
    strip = Image.new("RGB", (picture.shape[1], TEXT_HEIGHT), (28, 28, 28))
    font = ImageFont.load_default(13)
    middle = len(text) // 2
    cut = text.find(" ", middle) if len(text) > 44 else -1
    lines = text if cut < 0 else f"{text[:cut]}\n{text[cut + 1 :]}"
    ImageDraw.Draw(strip).multiline_text((6, 2), lines, (230, 230, 230), font=font, spacing=1)
    return np.vstack([picture, np.asarray(strip)])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--photo", type=Path, action="append", default=[])
    parser.add_argument("--texture", type=Path, action="append", default=[])
    parser.add_argument("--prompts", type=Path, default=ROOT / "examples/prompts.txt")
    parser.add_argument("--height", type=int, default=460, help="of one body in pixels")
    parser.add_argument("--columns", type=int, default=6)
    options = parser.parse_args()
    body, engine = Mannequin.load(), ProjectionEngine()
    photos = [path.read_bytes() for path in options.photo] + [rendered_face(body, path) for path in options.texture]
    photos = photos or [as_png(skimage.data.astronaut())]
    prompts = [line.strip() for line in options.prompts.read_text(encoding="utf-8").splitlines() if line.strip()]
    rows = []
    for start in range(0, len(prompts), options.columns):
        chosen = prompts[start : start + options.columns]
        for number, photo in enumerate(photos):
            cells = [cell(engine, body, photo, prompt, options.height) for prompt in chosen]
            if number == len(photos) - 1:
                cells = [captioned(picture, prompt) for picture, prompt in zip(cells, chosen, strict=True)]
            cells += [np.full_like(cells[0], 28)] * (options.columns - len(cells))
            rows.append(np.hstack(cells))
            print(f"{start + len(chosen)} of {len(prompts)} prompts, subject {number + 1} of {len(photos)}", flush=True)
    Image.fromarray(np.vstack(rows)).save(options.out, quality=88)


if __name__ == "__main__":
    main()
