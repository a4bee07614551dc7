"""How well UV layouts are told apart, and the numbers that the extension tells them by.

Compares the fingerprints of SMPL's and SMPL-X's published bodies and of the mannequin with each other, and with
what files and users do to them: noise, independent noise at each corner, one level of subdivision.

    PYTHONPATH=backend python benchmarks/layouts.py --smpl ../shared/data/smpl [--write]
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
from numpy.typing import NDArray

from uvmap_id.bodies.obj import read_obj

# The add-on's package itself needs bpy, this part of it doesn't.
sys.modules["addon"] = ModuleType("addon")
sys.modules["addon"].__path__ = [str(Path(__file__).resolve().parents[1] / "addon")]

from addon.smpl import layouts  # noqa: E402

BODIES = {
    "SMPL": ("smpl_uv.obj", "SMPL_female_default_resolution.obj", "SMPL_male_default_resolution.obj"),
    "SMPLX": ("SMPLX-female.obj", "SMPLX-male.obj"),
}
NOISE = 1e-3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--smpl", type=Path, required=True, metavar="DIR", help="the folder with the published bodies")
    parser.add_argument("--write", action="store_true", help="write addon/assets/layouts.json anew")
    options = parser.parse_args()
    if options.write:
        measured = {
            layouts.Layout[name]: layouts.fingerprint(corners(options.smpl / files[0]).reshape(-1, 2))
            for name, files in BODIES.items()
        }
        layouts.FINGERPRINTS.write_text(layouts.stored_form(measured), encoding="utf-8")
    known = layouts.known_fingerprints()
    print(f"{'':54}", *(f"{layout.name:>9}" for layout in known))
    for name, triangles in variants(options.smpl).items():
        found = layouts.fingerprint(triangles.reshape(-1, 2))
        print(f"{name:54}", *(f"{layouts.similarity(found, other):9.3f}" for other in known.values()))


def corners(path: Path) -> NDArray[np.float64]:
    """(F, 3, 2) UVs of a body's triangles."""
    mesh = read_obj(path)
    return mesh.uvs[mesh.uv_triangles]


def variants(folder: Path) -> dict[str, NDArray[np.float64]]:
    """The bodies as they are, and what becomes of them."""
    random = np.random.default_rng(0)
    found = {}
    for name in (name for files in BODIES.values() for name in files):
        mesh = read_obj(folder / name)
        triangles = mesh.uvs[mesh.uv_triangles]
        midpoints = (triangles + np.roll(triangles, 1, axis=1)) / 2
        found[name] = triangles
        found[f"{name}, noise"] = (mesh.uvs + random.normal(size=mesh.uvs.shape) * NOISE)[mesh.uv_triangles]
        found[f"{name}, noise at corners"] = triangles + random.normal(size=triangles.shape) * NOISE
        found[f"{name}, subdivided"] = np.concatenate([triangles, midpoints])
    return found


if __name__ == "__main__":
    main()
