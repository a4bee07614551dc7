"""The commands that need no backend: `blender --command uvmap_id transfer` and `export`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import bpy
from mathutils import Vector

from . import body, export, mannequin, material, motion, results, transfer


def add_commands(commands: Any) -> None:
    """Add the sub-commands' parsers to what `ArgumentParser.add_subparsers` gave."""
    parser = commands.add_parser("transfer", help="bake a texture set onto a body with another UV layout")
    _add_body_options(parser)
    parser.add_argument("--target", type=Path, required=True, metavar="OBJ", help="the mesh that is to get it")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="the folder for the new texture set")
    parser.add_argument("--size", type=int, default=1024, metavar="N", help=", ".join(map(str, transfer.SIZES)))
    parser.add_argument(
        "--ray-distance", type=float, default=0.0, metavar="M", help="how far the two may be apart (0: estimated)"
    )
    parser.add_argument("--samples", type=int, default=transfer.SAMPLES, metavar="N", help="rays a texel")
    parser.add_argument(
        "--align", action="store_true", help="first put the body where the target is: soles to soles, middle to middle"
    )
    parser.add_argument("--no-fit", action="store_true", help="give each place what is nearest, eyes or not")
    parser.set_defaults(run=_transfer)
    parser = commands.add_parser("export", help="export a textured body as .glb, .gltf or .fbx")
    _add_body_options(parser)
    parser.add_argument("--motion", type=Path, metavar="FILE", help="an .npz or .json motion for a body with joints")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="the file to write")
    parser.set_defaults(run=_export)


def _add_body_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--textures", type=Path, required=True, metavar="DIR", help="the folder of a texture set")
    parser.add_argument("--body", type=Path, metavar="OBJ", help="a body with SMPL's UVs instead of the mannequin")


def _transfer(options: argparse.Namespace) -> Path:
    source = _dressed(options)
    target = body.load(options.target)
    if options.align:
        source.location += _foot(target) - _foot(source)
        bpy.context.view_layer.update()
    chosen = transfer.Options(options.size, options.ray_distance, options.samples, not options.no_fit)
    return transfer.transfer(source, target, chosen, options.out.absolute()).folder


def _export(options: argparse.Namespace) -> Path:
    wearer = _dressed(options)
    if options.motion is not None:
        motion.load(wearer, options.motion, bpy.context.scene)
    return export.export(wearer, options.out)


def _dressed(options: argparse.Namespace) -> bpy.types.Object:
    """The body, wearing the texture set."""
    maps = results.maps_in(options.textures.absolute())
    scene = bpy.context.scene
    wearer = mannequin.add(scene) if options.body is None else body.load(options.body)
    material.assign(wearer, maps)
    return wearer


def _foot(item: bpy.types.Object) -> Vector:
    """The middle of the lowest side of a mesh's box, in the world."""
    bpy.context.view_layer.update()
    xs, ys, zs = zip(*(item.matrix_world @ Vector(corner) for corner in item.bound_box), strict=True)
    return Vector(((min(xs) + max(xs)) / 2, (min(ys) + max(ys)) / 2, min(zs)))
