"""Photographs synthetic people: a perspective camera, a lamp with a shadow, and a plain wall."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from uvmap_id.atlas.raster import Raster, rasterize
from uvmap_id.atlas.view import lookup, vertex_normals
from uvmap_id.datasets.synthetic.face import eyeball
from uvmap_id.datasets.synthetic.hair_shape import curtain, grown
from uvmap_id.datasets.synthetic.identity import Identity
from uvmap_id.datasets.synthetic.mannequin import EYE, MOUTH, SKIN, Mannequin
from uvmap_id.datasets.synthetic.pigment import hair_colour
from uvmap_id.engines.projection.colour import from_lab, linear, to_lab, to_linear, to_srgb
from uvmap_id.pictures import Floats, blur, resize, sample

HAIR = 3
_FINER = 1.5
_IRIS = 0.058  # Of the eye's square, from its middle to the iris's edge.
_GLEAM, _GLITTER = 0.04, 0.08
_MOUTH = linear((74, 24, 22))
_SHADOW_SIDE, _SHADOW_EXTENT, _SHADOW_BIAS = 320, 0.22, 0.006
_RED_BLEED = np.array([0.16, 0.06, 0.04], np.float32)  # How far light creeps round into skin's own shadow.


@dataclass(frozen=True, slots=True)
class Shot:
    """How a photo is taken. Angles are degrees, lengths metres.

    Attributes:
        yaw: By which the head is turned to its left.
        pitch: By which the camera is above the face.
        distance: From the camera to the face.
        extent: From the middle of the picture to its edge, at the face.
        lamp: (3,) unit vector towards the lamp, in the camera's axes: right, away, up.
        ambient: Light from everywhere, as a share of the lamp's.
        tint: (3,) colour of the lamp.
        wall: (3,) linear colour behind.
        exposure: Factor on all of the light.
        expression: Values of the mannequin's shape keys.
    """

    yaw: float
    pitch: float
    distance: float
    extent: float
    lamp: Floats
    ambient: float
    tint: Floats
    wall: Floats
    exposure: float
    expression: dict[str, float]


def shot(person: Identity, number: int) -> Shot:
    """The person's photo of a number, each different and always the same."""
    random = person.random(f"photo {number}")
    aside, above = np.radians(random.uniform(-38, 38)), np.radians(random.uniform(12, 45))
    lamp = np.array([np.sin(aside) * np.cos(above), -np.cos(aside) * np.cos(above), np.sin(above)])
    warm = random.uniform(-1, 1)
    smile = max(0.0, random.uniform(-0.35, 0.5))
    lids = random.uniform(0.0, 0.14)
    expression = {f"mouthSmile{side}": smile for side in ("Left", "Right")}
    red, green, blue = (int(part) for part in random.integers(96, 216) + random.integers(-14, 15, 3))
    expression |= {f"eyeBlink{side}": lids for side in ("Left", "Right")} | {"browInnerUp": random.uniform(0, 0.3)}
    return Shot(
        yaw=float(np.clip(random.normal(0, 8), -18, 18)),
        pitch=float(random.uniform(-7, 7)),
        distance=float(random.uniform(0.9, 1.6)),
        extent=float(random.uniform(0.165, 0.195)),
        lamp=lamp,
        ambient=float(random.uniform(0.35, 0.6)),
        tint=np.array([1 + 0.05 * warm, 1.0, 1 - 0.07 * warm], np.float32),
        wall=linear((red, green, blue)),
        exposure=float(random.uniform(0.95, 1.1)) * _metering(person),
        expression=expression,
    )


def _metering(person: Identity) -> float:
    """A camera opens a little for dark skin."""
    return 1.0 + 0.22 * float(np.clip(person["melanin"] - 0.6, 0, 1.6))


@dataclass(frozen=True, slots=True)
class _Scene:
    """Triangles with the pixels they cover; `vertices` and `normals` are in the camera's axes."""

    vertices: NDArray[np.float64]
    normals: NDArray[np.float64]
    triangles: NDArray[np.int64]
    uvs: NDArray[np.float64]
    materials: NDArray[np.uint8]


class Studio:
    """Holds the mannequin."""

    def __init__(self, mannequin: Mannequin) -> None:
        self._mannequin = mannequin

    def photograph(
        self, person: Identity, shot: Shot, texture: NDArray[np.uint8], hair: NDArray[np.float32], size: int
    ) -> NDArray[np.uint8]:
        """A portrait.

        Args:
            person: Whose face it is.
            shot: How the photo is taken.
            texture: (P, P, 3) uint8 sRGB, the person's.
            hair: (P, P) 0..1, where hair grows.
            size: Side of the photo in pixels.

        Returns:
            (size, size, 3) uint8 sRGB.
        """
        scene, focus = self._scene(person, shot, hair)
        side = round(size * _FINER)
        depth = scene.vertices[:, 1]
        flat = (scene.vertices[:, [0, 2]] - focus) / (1 + depth[:, None] / shot.distance)
        pixels = (flat * [1, -1] / shot.extent * 0.5 + 0.5) * side
        raster = rasterize(pixels[scene.triangles], (side, side), depth[scene.triangles])
        picture = _wall(shot, side)
        covered = raster.covered
        picture[covered] = self._lit(scene, raster, person, shot, texture, hair)[covered]
        picture = blur(picture * np.float32(shot.exposure), 0.55 * _FINER)
        return to_srgb(_rolled_off(resize(picture, (size, size))))

    def _scene(self, person: Identity, shot: Shot, hair: NDArray[np.float32]) -> tuple[_Scene, NDArray[np.float64]]:
        """The person before the camera, and where the camera looks, (2,) in its axes."""
        body = self._mannequin
        vertices = body.shaped(person, shot.expression)
        vertices = grown(body, vertices, vertex_normals(vertices, body.triangles), hair, person)
        triangles, uvs, materials = body.triangles, body.uvs, body.materials
        hanging = curtain(body, vertices, person)
        if hanging is not None:
            triangles = np.concatenate([triangles, hanging[1] + len(vertices)])
            vertices, uvs = np.concatenate([vertices, hanging[0]]), np.concatenate([uvs, hanging[2]])
            materials = np.concatenate([materials, np.full(len(hanging[1]), HAIR, np.uint8)])
        eyes = [vertices[body.landmarks[f"{side}_eye_outer_corner"]] for side in ("left", "right")]
        turned = (vertices - np.mean(eyes, axis=0)) @ _turn(shot.yaw, shot.pitch).T
        chin, crown = (turned[body.landmarks[name]] for name in ("chin", "crown"))
        scene = _Scene(turned, vertex_normals(turned, triangles), triangles, uvs, materials)
        return scene, np.array([0.3 * turned[body.landmarks["nose_tip"]][0], 0.44 * chin[2] + 0.36 * crown[2]])

    def _lit(
        self,
        scene: _Scene,
        raster: Raster,
        person: Identity,
        shot: Shot,
        texture: NDArray[np.uint8],
        hair: NDArray[np.float32],
    ) -> Floats:
        """(h, w, 3) linear."""
        values = np.concatenate([scene.vertices, scene.normals], axis=1)[scene.triangles]
        seen = raster.interpolate(values)
        normal = seen[..., 3:] / (np.linalg.norm(seen[..., 3:], axis=-1, keepdims=True) + 1e-6)
        colour, gloss, glitter = _colours(scene, raster, person, texture, hair)
        facing = normal @ shot.lamp.astype(np.float32)
        free = _unshadowed(scene, seen[..., :3], shot)
        direct = np.clip(facing, 0, 1) * free
        skin = (raster.covered & (scene.materials[raster.triangle] == SKIN))[..., None]
        soft = np.clip((facing[..., None] + _RED_BLEED) / (1 + _RED_BLEED), 0, 1) * (0.25 + 0.75 * free[..., None])
        around = shot.ambient * (0.72 + 0.28 * normal[..., 2]) * _open(seen[..., 1], raster.covered)
        light = np.where(skin, soft, direct[..., None]) * shot.tint + around[..., None]
        half = shot.lamp + np.array([0.0, -1.0, 0.0])
        shine = np.clip(normal @ (half / np.linalg.norm(half)).astype(np.float32), 0, 1)
        glint = (gloss * shine**12 + glitter * shine**64) * free
        return colour * light * np.float32(0.92) + glint[..., None] * shot.tint


def _turn(yaw: float, pitch: float) -> NDArray[np.float64]:
    """(3, 3) from the room's axes to the camera's: right, away, up."""
    a, b = np.radians(yaw), np.radians(pitch)
    about_z = np.array([[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]])
    about_x = np.array([[1, 0, 0], [0, np.cos(b), -np.sin(b)], [0, np.sin(b), np.cos(b)]])
    return about_x @ about_z


def _wall(shot: Shot, side: int) -> Floats:
    """(side, side, 3) linear, brighter where the lamp is."""
    place = np.linspace(-1, 1, side, dtype=np.float32)
    fall = 1 + 0.12 * np.float32(shot.lamp[0]) * place[None, :] - 0.14 * place[:, None]
    return (fall[..., None] * shot.wall * np.float32(0.9)).astype(np.float32)


def _colours(
    scene: _Scene, raster: Raster, person: Identity, texture: NDArray[np.uint8], hair: NDArray[np.float32]
) -> tuple[Floats, Floats, Floats]:
    """(h, w, 3) linear colours, and (h, w) how much each surface gleams and how much it glitters."""
    uvs = raster.interpolate(scene.uvs)
    colour = to_linear(lookup(texture, uvs))
    material = np.where(raster.covered, scene.materials[raster.triangle], SKIN)
    side = hair.shape[0]
    on_head = sample(hair, uvs * np.array([side, -side], np.float32) + np.array([0, side], np.float32))
    gleam = _GLEAM * (1 - 0.55 * on_head)
    glitter = _GLITTER * (1 - 0.7 * on_head)
    eye, hangs = material == EYE, material == HAIR
    away = (uvs[eye] - 0.5) / _IRIS
    colour[eye] = eyeball(np.hypot(away[:, 0], away[:, 1]), np.arctan2(away[:, 1], away[:, 0]), person)
    # The upper lid and its lashes keep light from the ball.
    colour[eye] *= np.exp(-1.1 * np.clip(away[:, 1:] * 0.9 + 0.1, 0, 1.2))
    gleam[eye], glitter[eye] = 0.0, 0.22
    colour[material == MOUTH] = _MOUTH
    if hangs.any():
        strands = _strands(person)
        places = uvs * np.array([strands.shape[1], strands.shape[0]], np.float32)
        colour[hangs] = sample(strands, places)[hangs]
        gleam[hangs], glitter[hangs] = 0.45 * _GLEAM, 0.3 * _GLITTER
    return colour, gleam.astype(np.float32), glitter.astype(np.float32)


def _strands(person: Identity) -> Floats:
    """(h, w, 3) linear, hair that hangs down."""
    random = person.random("strands")
    shape = (160, 512)
    fine = blur(random.standard_normal(shape).astype(np.float32), 0.7, 30)
    broad = blur(random.standard_normal(shape).astype(np.float32), 4.0, 40)
    wave = fine / fine.std() * 0.8 + broad / broad.std() * 0.6
    lab = to_lab(hair_colour(person)[None])[0]
    contrast = 3.5 + 0.10 * float(lab[0])
    tips = -0.12 * lab[0] * (np.linspace(1, 0, shape[0], dtype=np.float32)[:, None] ** 6)
    shades = np.asarray(lab + (contrast * wave + tips)[..., None] * np.array([1.0, 0.08, 0.3], np.float32), np.float32)
    return from_lab(shades)


def _unshadowed(scene: _Scene, places: Floats, shot: Shot) -> Floats:
    """(h, w) 1 where the lamp reaches a place, (h, w, 3), with a soft edge."""
    away = -shot.lamp
    right = np.cross(away, [0.0, 0.0, 1.0])
    right /= np.linalg.norm(right)
    axes = np.stack([right, away, np.cross(right, away)])
    middle = np.array([0.0, 0.08, -0.04])
    turned = (scene.vertices - middle) @ axes.T
    pixels = (turned[:, [0, 2]] * [1, -1] / _SHADOW_EXTENT * 0.5 + 0.5) * _SHADOW_SIDE
    raster = rasterize(pixels[scene.triangles], (_SHADOW_SIDE, _SHADOW_SIDE), turned[scene.triangles][..., 1])
    nearest = raster.interpolate(turned[scene.triangles][..., 1:2])[..., 0]
    nearest = np.where(raster.covered, nearest, np.float32(10))
    seen = (places - middle.astype(np.float32)) @ axes.T.astype(np.float32)
    grid = (seen[..., [0, 2]] * np.array([1, -1], np.float32) / _SHADOW_EXTENT * 0.5 + 0.5) * _SHADOW_SIDE - 0.5
    found = cv2.remap(nearest, grid[..., 0], grid[..., 1], cv2.INTER_NEAREST, borderMode=cv2.BORDER_REPLICATE)
    hidden = np.clip((seen[..., 1] - np.asarray(found, np.float32) - _SHADOW_BIAS) / 0.006, 0, 1)
    return blur((1 - hidden).astype(np.float32), places.shape[0] / 220)


def _open(depth: Floats, covered: NDArray[np.bool_]) -> Floats:
    """(h, w) how much of the surroundings' light gets into a place: less where it lies behind what is around it."""
    filled = np.where(covered, depth, np.float32(0.12)).astype(np.float32)
    side = depth.shape[0]
    behind = np.zeros_like(filled)
    for reach, strength in ((0.012, 14.0), (0.045, 5.0)):
        behind += strength * np.clip(filled - blur(filled, reach * side), 0, 0.03)
    return np.clip(1 - behind, 0.35, 1).astype(np.float32)


def _rolled_off(picture: Floats) -> Floats:
    """Highlights that end softly instead of being cut off."""
    knee = np.float32(0.7)
    over = np.clip(picture - knee, 0, None)
    return np.where(picture > knee, knee + (1 - knee) * (1 - np.exp(-over / (1 - knee))), picture)
