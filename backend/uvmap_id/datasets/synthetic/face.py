"""Paints a synthetic person's face over the skin of the atlas.

Skin is pigment: blood, melanin and shade are gathered over the face and change the colour that is there. Eyes, brows
and beards are laid over it.
"""

from __future__ import annotations

import numpy as np

from uvmap_id.atlas.face import region_slices
from uvmap_id.datasets.synthetic.beard import paint_beard
from uvmap_id.datasets.synthetic.features import Brow, Eye, Features, features
from uvmap_id.datasets.synthetic.identity import Identity
from uvmap_id.datasets.synthetic.pigment import eye_colour, hair_colour, weakened
from uvmap_id.datasets.synthetic.sketch import Sketch, smoothed
from uvmap_id.engines.projection.canvas import Canvas
from uvmap_id.engines.projection.colour import linear, smoothstep
from uvmap_id.pictures import Floats, blur

_LASH, _WHITE, _PUPIL = linear((22, 16, 14)), linear((208, 202, 197)), linear((9, 8, 8))
_LIPSTICKS = tuple(linear(one) for one in ((150, 38, 48), (176, 74, 84), (120, 40, 52), (168, 92, 80)))
_EYE_SHADES = tuple(linear(one) for one in ((92, 66, 58), (74, 60, 84), (70, 72, 80), (120, 84, 60)))
_GLOSS, _EYE_ROUGHNESS, _HAIR_ROUGHNESS = 0.34, 0.12, 0.5
_CHEEKS, _APPLES, _EYEBAGS = (50, 280), (205, 425), (230, 450)
# Beside the nose's bridge, from above: across from the middle, and v.
_BRIDGE = np.array([[0.0135, 0.832], [0.0115, 0.812], [0.0125, 0.79], [0.019, 0.775]])
_NOSTRILS, _WINGS = (79, 309), (129, 358)
# The fold from each nostril's wing past the corner of the mouth, and others, in mediapipe's numbering.
_LAUGH_LINES = ((129, 203, 206, 216, 212), (358, 423, 426, 436, 432))
_MARIONETTE = ((61, 202, 204), (291, 422, 424))


def paint_face(canvas: Canvas, person: Identity) -> None:
    """Paint the face onto a canvas that has skin and hair."""
    window = region_slices(canvas.size)
    drawn = features(person, canvas.atlas.landmarks)
    sketch, part = Sketch(canvas.size), canvas.part(window)
    part.colour *= _complexion(sketch, drawn, person)
    _paint_lips(part, sketch, drawn, person)
    for eye in drawn.eyes:
        _paint_eye(part, sketch, eye, person)
    for number, brow in enumerate(drawn.brows):
        _paint_brow(part, sketch, brow, person, person.random(f"brow {number}"))
    if person.beard != "none":
        paint_beard(part, sketch, drawn, person)


def _complexion(sketch: Sketch, drawn: Features, person: Identity) -> Floats:
    """(h, w, 3) by what the skin's colour changes."""
    blood = _blood(sketch, drawn, person)
    melanin = _melanin(sketch, drawn, person)
    shade = _form(sketch, drawn, person) + _lines(sketch, drawn, person)
    return (weakened(melanin, blood) * np.exp(-shade)[..., None]).astype(np.float32)


def _blood(sketch: Sketch, drawn: Features, person: Identity) -> Floats:
    points, random = drawn.points, person.random("blood")
    flush = 0.35 + 1.1 * person["flush"]
    blood = sum(sketch.spot(points[one], 0.034, 0.027) for one in _CHEEKS) * flush
    blood = blood + 0.5 * flush * sketch.spot(points[4], 0.016) + 0.35 * sketch.spot(points[199], 0.022)
    blood = blood + 0.5 * sum(sketch.spot(points[one], 0.010) for one in _WINGS)
    blood = blood + 0.35 * sum(sketch.spot(points[one], 0.020, 0.008) for one in _EYEBAGS)
    mottle = blur(random.standard_normal(sketch.shape).astype(np.float32), 0.004 * sketch.size)
    return (blood + 0.12 * mottle / (mottle.std() + 1e-6) * _near_face(sketch, drawn)).astype(np.float32)


def _melanin(sketch: Sketch, drawn: Features, person: Identity) -> Floats:
    melanin = 0.10 * (0.5 + person["eye_shade"]) * sum(sketch.spot(drawn.points[one], 0.020, 0.009) for one in _EYEBAGS)
    melanin = melanin + _freckles(sketch, drawn, person) + _moles(sketch, drawn, person)
    return np.asarray(melanin, np.float32)


def _near_face(sketch: Sketch, drawn: Features) -> Floats:
    """1 on the face, fading before the region's border."""
    return smoothstep(1.25, 0.8, np.hypot((sketch.u - drawn.axis) / 0.14, (sketch.v - 0.79) / 0.14))


def _freckles(sketch: Sketch, drawn: Features, person: Identity) -> Floats:
    """Small brown spots over nose and cheeks, most on fair skin."""
    strength = person["freckles"] * float(np.clip(1.2 - person["melanin"], 0.1, 1))
    count, random = round(260 * strength), person.random("freckles")
    if count < 12:
        return np.zeros(sketch.shape, np.float32)
    where = np.stack([drawn.axis + 0.050 * random.standard_normal(count), random.normal(0.790, 0.024, count)], axis=1)
    dots = [np.stack([place, place + np.array([0.0003, 0.0])]) for place in where]
    half = len(dots) // 2
    small, large = sketch.strokes(dots[:half], 0.0012, 0.0006), sketch.strokes(dots[half:], 0.0020, 0.0008)
    return np.asarray((0.25 + 0.35 * strength) * np.maximum(0.7 * small, large), np.float32)


def _moles(sketch: Sketch, drawn: Features, person: Identity) -> Floats:
    total, random = np.zeros(sketch.shape, np.float32), person.random("moles")
    for _ in range(round(4 * person["moles"] ** 1.5)):
        where = np.array([drawn.axis + random.uniform(-0.075, 0.075), random.uniform(0.70, 0.86)])
        size = 0.0014 + 0.0012 * random.random()
        dot = sketch.strokes([np.stack([where, where + np.array([0.0004, 0])])], 2 * size, 0.0006)
        total = np.maximum(total, float(random.uniform(0.6, 1.1)) * dot)
    return total


def _form(sketch: Sketch, drawn: Features, person: Identity) -> Floats:
    """What lies deep and gets less light from all around, as photographed skin shows it."""
    points = drawn.points
    shade = 0.16 * sum(sketch.spot(points[one], 0.012, 0.012) for one in (133, 362))
    shade = shade + sum(
        0.10 * sketch.spot(eye.iris + np.array([0.004 * eye.side, 0.015]), 0.030, 0.010) for eye in drawn.eyes
    )
    shade = shade + 0.15 * sum(sketch.spot(points[one], 0.0075, 0.013) for one in _WINGS)
    shade = shade + 0.9 * sum(sketch.spot(points[one], 0.0062, 0.0034) for one in _NOSTRILS)
    shade = shade + 0.22 * sketch.spot(points[2] - np.array([0, 0.002]), 0.017, 0.0055)
    shade = shade + 0.10 * person["philtrum"] * sketch.spot(points[164], 0.005, 0.009)
    shade = shade + 0.20 * sketch.spot(points[18] - np.array([0, 0.003]), 0.026, 0.0065)
    shade = shade + 0.22 * sum(sketch.spot(points[one], 0.006) for one in (61, 291))
    hollow = 0.10 * np.clip(0.4 - person["weight"] + 0.4 * person["cheekbones"], 0, 1)
    shade = shade + hollow * sum(sketch.spot(points[one], 0.026, 0.030) for one in (207, 427))
    for side in (-1, 1):
        bridge = np.array([drawn.axis, 0]) + np.array([side, 1]) * _BRIDGE
        shade = shade + 0.13 * sketch.line(bridge, 0.010, 0.006)
        ear = np.array([drawn.axis + side * 0.163, 0.78])
        shade = shade + 0.45 * sketch.spot(ear, 0.010, 0.020)
        shade = shade + 0.2 * sketch.spot(ear + np.array([0.016 * side, 0.01]), 0.005, 0.03)
    shine = 0.07 * sketch.spot(points[4], 0.009) + 0.06 * sketch.spot(points[151], 0.045, 0.03)
    shine = shine + 0.08 * sum(sketch.spot(points[one], 0.022, 0.014) for one in (117, 346))
    shine = shine + 0.09 * sketch.spot(points[6] - np.array([0, 0.012]), 0.0055, 0.024)
    return np.asarray(shade - shine, np.float32)


def _lines(sketch: Sketch, drawn: Features, person: Identity) -> Floats:
    """The lids' creases, and what age draws."""
    points, old = drawn.points, person["lines"]
    shade = np.zeros(sketch.shape, np.float32)
    for eye in drawn.eyes:
        crease = eye.upper + np.stack([np.zeros(9), 0.0085 * np.sin(np.linspace(0.25, 2.7, 9))], axis=1)
        shade += (0.14 + 0.4 * person["lid_crease"]) * sketch.line(crease, 0.0015, 0.0011)
        bag = eye.lower + np.stack([np.zeros(9), -0.013 * np.sin(np.linspace(0.5, 2.9, 9))], axis=1)
        shade += (0.06 + 0.28 * old) * sketch.line(bag[2:], 0.0016, 0.0014)
        shade += _crows_feet(sketch, eye, old, person.random(f"feet {eye.side}"))
    for fold in _LAUGH_LINES:
        shade += (0.06 + 0.40 * old) * sketch.line(points[list(fold)], 0.0028, 0.0024)
    for fold in _MARIONETTE:
        shade += 0.26 * old * sketch.line(points[list(fold)], 0.002, 0.0018)
    random = person.random("forehead")
    for row in range(3):
        height = 0.862 + 0.0135 * row + 0.003 * random.standard_normal()
        u = np.linspace(-0.055, 0.055, 9) * (1 - 0.12 * row)
        wave = height - 9 * u**2 * 0.35 + 0.0012 * random.standard_normal(9)
        strength = np.clip(old * 1.3 - 0.12 - 0.15 * random.random(), 0, 1)
        shade += 0.26 * strength * sketch.line(np.stack([drawn.axis + u, wave], axis=1), 0.0016, 0.0014)
    for side in (-1, 1):
        frown = np.array([[drawn.axis + side * 0.009, 0.836], [drawn.axis + side * 0.0075, 0.852]])
        shade += 0.3 * max(0.0, old - 0.2) * sketch.line(frown, 0.0016, 0.0014)
    return shade


def _crows_feet(sketch: Sketch, eye: Eye, old: float, random: np.random.Generator) -> Floats:
    corner, shade = eye.ring[0], np.zeros(sketch.shape, np.float32)
    for step in range(3):
        angle = np.radians(-28 + 26 * step + 6 * random.standard_normal())
        out = np.array([eye.side * np.cos(angle), np.sin(angle)])
        shade += (
            max(0.0, old - 0.12)
            * 0.34
            * sketch.line(
                np.stack([corner + 0.007 * out, corner + (0.016 + 0.004 * random.random()) * out]), 0.0011, 0.0010
            )
        )
    return shade


def _paint_lips(part: Canvas, sketch: Sketch, drawn: Features, person: Identity) -> None:
    outline = smoothed(np.concatenate([drawn.lips, drawn.lips[:1]]), 4)
    cover = sketch.filled(outline, 0.0016)
    upper = sketch.filled(np.concatenate([drawn.upper_lip, drawn.mouth[::-1]]), 0.0016)
    red = 2.2 + 2.2 * person["lip_red"]
    tint = weakened(np.full(sketch.shape, 0.05 + 0.12 * person["melanin"], np.float32), cover * red)
    natural = part.colour * (1 - cover[..., None] * (1 - tint))
    made_up = float(np.clip(person["makeup"] * 1.5 - 0.45, 0, 0.85))
    stick = _LIPSTICKS[int(person.random("lips").integers(len(_LIPSTICKS)))]
    colour = natural + made_up * cover[..., None] * (stick - natural)
    creases = blur(person.random("creases").standard_normal(sketch.shape).astype(np.float32), 0.8, 3.0)
    shade = 0.16 * upper - 0.10 * sketch.spot((drawn.mouth[5] + drawn.lower_lip[5]) / 2, 0.016, 0.0045)
    shade = cover * (shade + 0.05 * creases / (creases.std() + 1e-6))
    shade = shade + 1.25 * sketch.line(drawn.mouth, 0.0022, 0.0009)
    part.colour[:] = colour * np.exp(-shade)[..., None]
    part.roughness += cover * (_GLOSS - part.roughness)


def _paint_eye(part: Canvas, sketch: Sketch, eye: Eye, person: Identity) -> None:
    ring = smoothed(np.concatenate([eye.ring, eye.ring[:1]]), 4)
    cover = sketch.filled(ring, 0.0006)
    shadow = sketch.line(eye.upper, 0.011, 0.005)
    made_up = 0.6 * person["makeup"]
    if made_up > 0.1:
        lid = eye.iris + np.array([0.003 * eye.side, 0.012])
        shade = _EYE_SHADES[int(person.random("lids").integers(len(_EYE_SHADES)))]
        soft = made_up * np.clip(1.2 * sketch.spot(lid, 0.026, 0.0085), 0, 1) * (1 - cover)
        part.colour += soft[..., None] * (shade * part.colour**0.3 - part.colour)
    rim = sketch.line(eye.lower, 0.0022, 0.0008)
    part.colour *= np.exp(-np.stack([0.02 * rim, 0.22 * rim, 0.2 * rim], axis=2))
    part.paint(cover, iris_picture(sketch.u, sketch.v, eye, person) * np.exp(-0.75 * shadow)[..., None], _EYE_ROUGHNESS)
    corner = sketch.spot(eye.ring[8] + np.array([0.0022 * eye.side, 0.0]), 0.0034, 0.0026) * cover
    part.colour += 0.7 * corner[..., None] * (linear((196, 122, 112)) - part.colour)
    _paint_lashes(part, sketch, eye, person)


def iris_picture(u: Floats, v: Floats, eye: Eye, person: Identity) -> Floats:
    """(h, w, 3) white, iris and pupil around the iris's middle."""
    across, down = (u - eye.iris[0]) / eye.radius[0], (v - eye.iris[1]) / eye.radius[1]
    away, angle = np.hypot(across, down), np.arctan2(down, across)
    colour = eyeball(away, angle, person)
    glint = np.exp(-(((across + 0.25) / 0.17) ** 2) - ((down - 0.38) / 0.17) ** 2)
    return np.clip(colour + 0.75 * glint[..., None], 0, 1).astype(np.float32)


def eyeball(away: Floats, angle: Floats, person: Identity) -> Floats:
    """(..., 3) colours of an eyeball at so many radii of the iris from its middle, and at an angle about it."""
    base = eye_colour(person)
    waves, random = np.zeros(np.shape(away), np.float32), person.random("iris")
    for count in (7, 13, 23, 37):
        waves = waves + np.cos(count * angle + random.uniform(0, 6.3)).astype(np.float32) / 4
    bright = 0.8 + 0.3 * waves * (away > 0.35) + 0.3 * np.exp(-(((away - 0.5) / 0.22) ** 2))
    iris = base * bright[..., None] * (1 - 0.75 * smoothstep(0.78, 1.0, away))[..., None]
    with_pupil = _PUPIL + smoothstep(0.30, 0.38, away)[..., None] * (iris - _PUPIL)
    white = _WHITE * (1 - np.clip(0.05 * (away - 1), 0, 0.25))[..., None] * np.array([1, 0.985, 0.975], np.float32)
    return np.asarray(with_pupil + smoothstep(0.94, 1.06, away)[..., None] * (white - with_pupil), np.float32)


def _paint_lashes(part: Canvas, sketch: Sketch, eye: Eye, person: Identity) -> None:
    random = person.random(f"lashes {eye.side}")
    dark = 0.55 + 0.45 * person["makeup"] + (0.1 if person.gender == "woman" else 0.0)
    edge = smoothed(eye.upper)[3:]
    lines = []
    for root in edge[:: 2 if person.gender == "woman" else 3]:
        lean = np.array([(root[0] - eye.iris[0]) * 0.22 + 0.0006 * random.standard_normal(), 0.0048])
        lines.append(np.stack([root, root + lean * (0.5 + 0.35 * dark)]))
    cover = np.clip(sketch.line(eye.upper, 0.0019, 0.0006) * 1.1 + 0.5 * sketch.strokes(lines, 0.0007), 0, 1)
    cover = np.maximum(cover, 0.4 * dark * sketch.line(eye.lower[:6], 0.0010, 0.0006))
    part.paint((min(dark, 1.0) * cover).astype(np.float32), _LASH, _HAIR_ROUGHNESS)


def _paint_brow(part: Canvas, sketch: Sketch, brow: Brow, person: Identity, random: np.random.Generator) -> None:
    """Short hairs that lean outwards, over a soft shadow of themselves."""
    line, count = smoothed(brow.line), 170
    half = np.interp(np.linspace(0, 4, len(line)), range(5), brow.half)
    outline = np.concatenate([line + np.stack([0 * half, half], 1), (line - np.stack([0 * half, half], 1))[::-1]])
    lines = []
    for _ in range(count):
        place = random.random() * (len(line) - 1.001)
        low = int(place)
        root = line[low] + (place - low) * (line[low + 1] - line[low])
        above = random.uniform(-1, 1)
        root = root + np.array([0.0, above * half[low] * 0.9])
        inner = place / len(line)
        lean = np.array([brow.side * (0.9 - 0.35 * inner), 0.55 * inner - 0.45 * above * (1 - inner) - 0.12])
        tip = root + lean * (0.0075 + 0.003 * random.random())
        lines.append(np.stack([root, tip]))
    dense = 0.42 + 0.2 * (1 + person["brow_weight"]) / 2 + 0.1 * person["makeup"]
    soft = dense * sketch.filled(outline, 0.0022)
    cover = np.clip(soft + 0.55 * sketch.strokes(lines, 0.0009, 0.0003), 0, 0.94)
    colour = 0.75 * hair_colour(person, -0.35) + 0.25 * _LASH
    part.paint(cover.astype(np.float32), colour.astype(np.float32), _HAIR_ROUGHNESS, 0.1)
