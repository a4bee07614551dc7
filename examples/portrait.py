"""Writes the example portrait: NASA's picture of the astronaut Eileen Collins, public domain, from scikit-image."""

from __future__ import annotations

import sys

import skimage.data
from PIL import Image


def main() -> int:
    """Write the portrait to the file that is named on the command line."""
    if len(sys.argv) != 2:
        sys.stderr.write("usage: python examples/portrait.py FILE.png\n")
        return 2
    Image.fromarray(skimage.data.astronaut()).save(sys.argv[1])
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
