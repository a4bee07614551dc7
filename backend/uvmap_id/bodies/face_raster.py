"""Writes the shape of the atlas's face: where each of its texels lies on the surface of SMPL's template."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from uvmap_id.atlas.face import RESOLUTION, encode_positions, region_uv_to_pixels
from uvmap_id.atlas.layout import spread
from uvmap_id.atlas.raster import rasterize
from uvmap_id.bodies.calibrate import z_up
from uvmap_id.bodies.obj import read_obj
from uvmap_id.pictures import encode_png


def write_face(template_file: Path, folder: Path) -> None:
    """Write `face.png`."""
    template = read_obj(template_file)
    corners = region_uv_to_pixels(template.uvs, (RESOLUTION, RESOLUTION))[template.uv_triangles]
    raster = rasterize(corners, (RESOLUTION, RESOLUTION))
    positions = spread(raster.interpolate(z_up(template.vertices)[template.triangles]), raster.covered)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "face.png").write_bytes(encode_png(encode_positions(positions.astype(np.float64))))
