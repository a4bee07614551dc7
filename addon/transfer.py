"""Transfer to another layout: a texture set from a body in SMPL's atlas to any mesh that stands in the same place.

A copy of the source is fitted onto the target. Then every map is baked with Cycles from the nearest surface: rays start
a little outside the target and look inwards. They are tried short first, then long, so that an arm is not taken for the
hip beside it. What no ray hits takes its colour from around it. Normals are baked twice, with the normal map and
without; the rotation between the two is what the map adds, and only that is kept. The shape of the source does not come
along.
"""

# pyright: reportAttributeAccessIssue=false, reportOptionalMemberAccess=false
# The stubs know a mesh object's UVs as optional.

from __future__ import annotations

import hashlib
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bpy
import numpy as np

from . import bake, bake_materials, material, padding, results
from .bake import Pixels, Studio
from .body import mesh_of
from .fit import fit
from .link.errors import ErrorCode, UVMapError
from .link.texture_set import MANIFEST_NAME, files_of, map_file, read_manifest
from .texture_files import folder_for, sha256_of, to_srgb, write_manifest, write_picture

SIZES = (512, 1024, 2048, 4096, 8192)
SAMPLES = 4

# Shares of the longest reach that are tried one after the other.
_REACHES = (0.3, 1.0)
_FARTHEST_SHARE = 0.12
_LEAST_COVERAGE = 0.5
_EDGE_ON = 0.2
_HINT_ALIGN = "Put both bodies in the same place, size and pose, or set a longer ray distance."


@dataclass(frozen=True, slots=True)
class Options:
    """How to transfer.

    Attributes:
        size: Side of the new maps in pixels, a power of two.
        reach: How far the two surfaces may be apart, in metres; 0: estimated.
        samples: Rays a texel.
        fit: First fit the source's surface onto the target's.
    """

    size: int = 1024
    reach: float = 0.0
    samples: int = SAMPLES
    fit: bool = True


@dataclass(frozen=True, slots=True)
class Transfer:
    """What came of it.

    Attributes:
        folder: The new texture set.
        coverage: The share of the target's texels that the source was found for.
        reach: The distance that was used, in metres.
    """

    folder: Path
    coverage: float
    reach: float


@dataclass(frozen=True, slots=True)
class _Hits:
    """Where the rays of each reach hit: (N, N) shares, 0 where a shorter reach has hit already."""

    reaches: tuple[float, ...]
    shares: tuple[Pixels, ...]
    coverage: float

    @property
    def known(self) -> Pixels:
        """(N, N) 1 where any ray hit."""
        return (np.sum(self.shares, axis=0) > 0).astype(np.float32)


def transfer(
    source: bpy.types.Object, target: bpy.types.Object, options: Options, place: Path | None = None
) -> Transfer:
    """Bake the texture set that a body wears onto another mesh, and dress that in it.

    Args:
        source: A body that wears a texture set.
        target: A mesh with UVs, where the source is.
        options: How.
        place: The folder for the new set; None: beside the other texture sets.

    Raises:
        UVMapError: `body_missing`, `body_without_uvs`, `body_without_textures`, `bodies_apart`, `render_failed`,
            `output_not_writable`, or the source's set is incomplete. Nothing was changed then.
    """
    steps = transfer_steps(source, target, options, place)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value


def transfer_steps(
    source: bpy.types.Object, target: bpy.types.Object, options: Options, place: Path | None = None
) -> Generator[float, None, Transfer]:
    """As `transfer`, in steps that yield how far it is, 0 to 1. Closing the generator leaves everything as it was."""
    if options.size not in SIZES:
        raise UVMapError(ErrorCode.SIZE_NOT_OFFERED, f"Maps of {options.size} pixels are not offered.")
    folder = _worn(source)
    _check_target(source, target)
    results.maps_in(folder)
    manifest = read_manifest(folder)
    maps = [name.removesuffix(".png") for name in files_of(manifest) if name != MANIFEST_NAME]
    hashes = {name: sha256_of(folder / map_file(name)) for name in maps}
    place = place or results.place_of(_name(hashes, source, target, options))
    with folder_for(place) as part, bake.studio(source, target, options.size, options.samples) as room:
        bake.receive(room)
        hits = _find(room, options)
        for number, name in enumerate(maps, start=1):
            yield number / (len(maps) + 1)
            baked = _normals(room, folder, hits) if name == "normal" else _colors(room, folder, name, hits)
            pixels = padding.filled(baked, hits.known)
            write_picture(part / map_file(name), to_srgb(pixels) if name == "base_color" else pixels)
        done = Transfer(place, hits.coverage, hits.reaches[-1])
        write_manifest(part, manifest, maps, options.size, _report(done, source, target, hashes))
    material.assign(target, results.maps_in(place))
    return done


def _name(hashes: dict[str, str], source: bpy.types.Object, target: bpy.types.Object, options: Options) -> str:
    """Equal for equal textures, bodies and options."""
    digest = hashlib.sha256(repr((sorted(hashes.items()), options)).encode())
    for body in (source, target):
        mesh = mesh_of(body)
        points = np.empty(len(mesh.vertices) * 3, dtype=np.float32)
        mesh.vertices.foreach_get("co", points)
        uvs = np.empty(len(mesh.loops) * 2, dtype=np.float32)
        mesh.uv_layers.active.uv.foreach_get("vector", uvs)
        digest.update(points.tobytes() + uvs.tobytes() + repr(body.matrix_world).encode())
    return digest.hexdigest()


def _report(
    done: Transfer, source: bpy.types.Object, target: bpy.types.Object, hashes: dict[str, str]
) -> dict[str, Any]:
    return {
        "source": source.name,
        "target": target.name,
        "source_sha256": hashes,
        "coverage": round(done.coverage, 4),
        "ray_distance": round(done.reach, 5),
        "blender": bpy.app.version_string,
    }


def _worn(source: bpy.types.Object) -> Path:
    folder = material.folder_of(source)
    if folder is None:
        raise UVMapError(
            ErrorCode.BODY_WITHOUT_TEXTURES,
            f'The body "{source.name}" wears no texture set.',
            "Generate a texture for it first, or choose the body that wears one.",
        )
    return folder


def _check_target(source: bpy.types.Object, target: bpy.types.Object) -> None:
    mesh = mesh_of(target)
    if target == source:
        raise UVMapError(
            ErrorCode.BODY_MISSING,
            "A texture set can't be transferred to the body that wears it.",
            "Select the mesh that is to get it.",
        )
    if not mesh.uv_layers:
        raise UVMapError(
            ErrorCode.BODY_WITHOUT_UVS, f'The mesh "{target.name}" has no UVs.', "Unwrap it, then transfer again."
        )


def _find(room: Studio, options: Options) -> _Hits:
    """See where the rays hit, before anything else is baked."""
    used = room.bake("EMIT")[..., 0] > 0
    if not used.any():
        raise UVMapError(
            ErrorCode.BODY_WITHOUT_UVS, "The target's UVs lie outside of the image.", "Move them between 0 and 1."
        )
    estimated, height = bake.reach_of(room)
    if not options.reach and estimated > _FARTHEST_SHARE * height:
        raise UVMapError(ErrorCode.BODIES_APART, f"The two bodies are up to {estimated:.2f} m apart.", _HINT_ALIGN)
    if options.fit:
        fit(mesh_of(room.source), mesh_of(room.target), options.reach or estimated)
        estimated, _ = bake.reach_of(room)
    reaches = tuple(share * (options.reach or estimated) for share in _REACHES)
    room.wear([bake_materials.emission() for _ in room.slots])
    shares, found = [], np.zeros(used.shape, dtype=np.float32)
    for distance in reaches:
        share = np.where(used & (found == 0), room.bake("EMIT", distance)[..., 0], 0)
        shares.append(share)
        found += share
    coverage = float((found > 0).sum() / used.sum())
    if coverage < _LEAST_COVERAGE:
        raise UVMapError(
            ErrorCode.BODIES_APART,
            f"Only {coverage:.0%} of the target lies within {reaches[-1]:.3f} m of the source.",
            _HINT_ALIGN,
        )
    return _Hits(reaches, tuple(shares), coverage)


def _colors(room: Studio, folder: Path, name: str, hits: _Hits) -> Pixels:
    image = bake.load(room, folder / map_file(name), _color_space(name))
    room.wear([bake_materials.shining(worn, image, name) for worn in room.slots])
    baked = np.zeros((*hits.known.shape, 3), dtype=np.float32)
    for distance, share in zip(hits.reaches, hits.shares, strict=True):
        hit = share > 0
        # At an edge some of a texel's rays may miss, which would darken it.
        baked[hit] = room.bake("EMIT", distance)[hit] / share[hit, None]
    return baked


def _normals(room: Studio, folder: Path, hits: _Hits) -> Pixels:
    image = bake.load(room, folder / map_file("normal"), "Non-Color")
    down = results.maps_in(folder).green_is_down
    mapped = _baked_normals(room, [bake_materials.bumpy(worn, image, down=down) for worn in room.slots], hits)
    plain = _baked_normals(room, [bake_materials.bumpy(None, image, down=down) for _ in room.slots], hits)
    return (_without(mapped, plain) + 1) * np.float32(0.5)


def _baked_normals(room: Studio, materials: list[bpy.types.Material], hits: _Hits) -> Pixels:
    """(N, N, 3) unit vectors in the target's tangent space."""
    room.wear(materials)
    baked = np.zeros((*hits.known.shape, 3), dtype=np.float32)
    baked[..., 2] = 1
    for distance, share in zip(hits.reaches, hits.shares, strict=True):
        hit = share > 0
        baked[hit] = 2 * room.bake("NORMAL", distance)[hit] - 1
    return (baked / np.maximum(np.linalg.norm(baked, axis=-1, keepdims=True), 1e-6)).astype(np.float32)


def _without(mapped: Pixels, plain: Pixels) -> Pixels:
    """Turn `mapped` by the rotation that takes `plain` straight up, the shortest one.

    With v = plain x up and c = plain . up, that is Rodrigues' a + v x a + v x (v x a) / (1 + c).
    """
    axis = np.stack([plain[..., 1], -plain[..., 0], np.zeros_like(plain[..., 0])], axis=-1)
    once = np.cross(axis, mapped)
    turned = mapped + once + np.cross(axis, once) / np.maximum(1 + plain[..., 2:], 1)
    # Where the source lies edge on, or where its faces have no area in its UVs, a bump has no direction.
    turned[(plain[..., 2] < _EDGE_ON) | (turned[..., 2] <= 0)] = (0, 0, 1)
    return turned.astype(np.float32)


def _color_space(name: str) -> str:
    return "sRGB" if name == "base_color" else "Non-Color"
