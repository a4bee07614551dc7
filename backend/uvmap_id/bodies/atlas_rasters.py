"""Writes what the engines need to know of the atlas, measured on the baked mannequin."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from uvmap_id.atlas.layout import POSITION_HIGH, POSITION_LOW, spread
from uvmap_id.atlas.raster import Raster, rasterize
from uvmap_id.bodies.bake import Baked
from uvmap_id.bodies.calibrate import z_up
from uvmap_id.bodies.obj import TexturedMesh, read_obj
from uvmap_id.bodies.source import triangulated
from uvmap_id.bodies.surface import closest
from uvmap_id.pictures import encode_png

_POSITION_SIZE = 512
_MASK_SIZE = 2048


def write_atlas(baked: Baked, template_file: Path, folder: Path) -> None:
    """Write `position.png`, `mask.png` and `landmarks.npy`."""
    template = read_obj(template_file)
    folder.mkdir(parents=True, exist_ok=True)
    steps = (_positions(baked, template) - POSITION_LOW) / (POSITION_HIGH - POSITION_LOW) * 65535
    encoded = np.clip(np.round(steps), 0, 65535).astype(np.uint16)
    (folder / "position.png").write_bytes(encode_png(encoded))
    (folder / "mask.png").write_bytes(encode_png(_mask(template), bilevel=True))
    np.save(folder / "landmarks.npy", baked.landmarks)


def _positions(baked: Baked, template: TexturedMesh) -> NDArray[np.float64]:
    """(N, N, 3) metres in the T-pose; unused texels take the nearest used one's.

    A texel's place on the template leads to the nearest place on the registered mannequin, and that to the place
    on the mannequin as it is: unlike drawing the mannequin's own UV faces, this leaves no texel out.
    """
    raster = _raster(template, _POSITION_SIZE)
    on_template = raster.interpolate(z_up(template.vertices)[template.triangles])
    triangles = triangulated(baked.faces[baked.outer])
    held = closest(on_template[raster.covered], baked.registered, triangles)
    positions = np.zeros((*raster.triangle.shape, 3))
    positions[raster.covered] = held.carry(baked.t_pose[triangles])
    return spread(positions, raster.covered)


def _mask(template: TexturedMesh) -> NDArray[np.uint8]:
    return _raster(template, _MASK_SIZE).covered.astype(np.uint8) * 255


def _raster(template: TexturedMesh, size: int) -> Raster:
    return rasterize(template.uvs[template.uv_triangles] * [1, -1] * size + [0, size], (size, size))
