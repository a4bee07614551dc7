"""Copies the pictures that the documentation shows from out/gui to docs/images, each of at most 120 KB.

    nox -s window && nox -s pictures

Look at each of them before you commit them.
"""

from __future__ import annotations

import sys
from io import BytesIO
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).parents[2]
TAKEN, KEPT = ROOT / "out" / "gui", ROOT / "docs" / "images"
LIMIT, WIDEST = 120_000, 1000
PANELS = (
    *("body", "shape", "pose", "face", "prompt", "generate", "region", "maps", "advanced"),
    *("queue", "cast", "history", "material", "export"),
)
# What is kept under which name: flat pictures with few colours as .png, others as .jpg.
PICTURES = {
    **{f"panels/{name}.png": f"panels/{name}.png" for name in PANELS},
    **{
        f"preferences/{name}.png": f"preferences/{name}.png"
        for name in ("setup", "setup_failed", "weights", "remote", "diagnosis")
    },
    "errors_and_regions/01_no_body.png": "no_body.jpg",
    "errors_and_regions/02_painting.png": "painting.jpg",
    "errors_and_regions/03_regions.png": "regions.jpg",
    "generate/05_textured.png": "blender_panel.jpg",
}


def packed(picture: Image.Image, suffix: str) -> bytes:
    """The picture as a file, as good as the limit allows."""
    picture = picture.convert("RGB")
    picture.thumbnail((WIDEST, 4 * WIDEST), Image.Resampling.LANCZOS)
    for step in (256, 128, 64, 32):
        content = BytesIO()
        if suffix == ".png":
            picture.quantize(step, dither=Image.Dither.FLOYDSTEINBERG).save(content, "PNG", optimize=True)
        else:
            picture.save(content, "JPEG", quality=60 + step // 8, optimize=True)
        if content.tell() <= LIMIT:
            return content.getvalue()
    raise ValueError(f"{LIMIT} bytes are too few for {picture.size}.")


def main() -> int:
    """Copy those that were taken; the exit code is 1 where some were not."""
    missing = [name for name in PICTURES if not (TAKEN / name).is_file()]
    for name in (name for name in PICTURES if name not in missing):
        place = KEPT / PICTURES[name]
        place.parent.mkdir(parents=True, exist_ok=True)
        with Image.open(TAKEN / name) as picture:
            place.write_bytes(packed(picture, place.suffix))
        sys.stdout.write(f"{place.stat().st_size / 1000:6.1f} KB  {place.relative_to(ROOT)}\n")
    for name in missing:
        sys.stderr.write(f"{TAKEN / name} was not taken.\n")
    return bool(missing)


if __name__ == "__main__":
    raise SystemExit(main())
