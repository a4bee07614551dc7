"""Puts pictures side by side, all as high as the first: the picture in the README is made with it.

python examples/contact_sheet.py OUT.jpg PICTURE PICTURE ...
"""

from __future__ import annotations

import sys
from pathlib import Path

from PIL import Image


def side_by_side(pictures: list[Path], height: int = 640) -> Image.Image:
    """All pictures in a row."""
    scaled = []
    for path in pictures:
        image = Image.open(path).convert("RGB")
        scaled.append(image.resize((round(image.width * height / image.height), height), Image.Resampling.LANCZOS))
    sheet = Image.new("RGB", (sum(image.width for image in scaled), height))
    left = 0
    for image in scaled:
        sheet.paste(image, (left, 0))
        left += image.width
    return sheet


def main() -> int:
    """Write the sheet to the first file that is named on the command line."""
    if len(sys.argv) < 3:
        sys.stderr.write("usage: python examples/contact_sheet.py OUT.jpg PICTURE ...\n")
        return 2
    side_by_side([Path(name) for name in sys.argv[2:]]).save(sys.argv[1], quality=88)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
