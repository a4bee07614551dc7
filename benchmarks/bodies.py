"""How exactly the mannequin wears SMPL's atlas.

Landmarks: the places of the mannequin are the vertices that its file names, and on SMPL's template they are either the
vertices that SMPL's own tools name (fingertips, toes) or found by the same rule as on the mannequin: the most forward
point of the profile (nose), the point of the profile whose tangent falls by 45 degrees (chin), the outermost point of
the head (ears), the points of the toes that are farthest from the ankle along the surface (small toes). The corners of
SMPL's closed eyes and mouth were picked by eye.

    PYTHONPATH=backend python benchmarks/bodies.py --template smpl_uv.obj
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from uvmap_id.atlas.layout import Atlas, spread
from uvmap_id.atlas.parts import Part
from uvmap_id.atlas.raster import rasterize
from uvmap_id.bodies.calibrate import z_up
from uvmap_id.bodies.extremities import find_digits
from uvmap_id.bodies.obj import TexturedMesh, read_obj
from uvmap_id.bodies.seam_lines import islands

ASSET = Path(__file__).parents[1] / "addon/assets/mannequin.npz"
SIZE = 4096
# SMPL's vertices: left, right.
NAMED = {
    "thumb_tip": (2746, 6191),
    "index_tip": (2319, 5782),
    "middle_tip": (2445, 5905),
    "ring_tip": (2556, 6016),
    "pinky_tip": (2673, 6133),
    "toe_tip": (3216, 6617),
}
PICKED = {"eye_outer_corner": 6258, "eye_inner_corner": 6249, "mouth_corner": 3841}  # on the right side
ANKLE = 0.053  # of the body's height, above the soles
SMALL_TOES = ("second_toe_tip", "third_toe_tip", "fourth_toe_tip", "little_toe_tip")
NECK = 0.3  # metres, below SMPL's chin
SOCKET = 0.03  # metres around an eye's centre

Floats = NDArray[np.float64]
Whole = NDArray[np.int64]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--template", type=Path, required=True, help="SMPL's UV template, smpl_uv.obj")
    parser.add_argument("--mannequin", type=Path, default=ASSET)
    options = parser.parse_args()
    template = read_obj(options.template)
    with np.load(options.mannequin, allow_pickle=False) as stored:
        body = dict(stored)
    print(f"{len(body['vertices'])} vertices, {len(body['faces'])} faces")
    for name, distance in landmark_distances(body, template).items():
        print(f"| {name.replace('_', ' ')} | {distance:.4f} |")
    faces = outside(body)
    corners, of = triangles_of(body["faces"][faces])
    uvs = body["uvs"][faces][of[:, None], corners].astype(np.float64)
    places = body["vertices"][body["faces"][faces][of[:, None], corners]].astype(np.float64)
    signs, alone = orientation(uvs, body, faces, of, template)
    doubled = cross(uvs) * signs
    print(f"| flipped faces | {(doubled < 0).sum()} |")
    print(f"| faces without area | {(np.abs(doubled) < 1e-12).sum()} |")
    print(f"| faces across two islands | {(~alone).sum()} |")
    area = np.linalg.norm(np.cross(places[:, 1] - places[:, 0], places[:, 2] - places[:, 0]), axis=1)
    print(f"| part of the body, share of the surface | {100 * part_share(body, faces, of, uvs, area):.1f} % |")
    stretch = stretches(uvs, area, template)
    order = np.argsort(stretch)
    cumulated = np.cumsum(area[order]) / area.sum()
    for share in (0.5, 0.95):
        print(
            f"| area stretch, {100 * share:.0f} % of the surface below | {stretch[order][cumulated > share][0]:.2f} |"
        )


def landmark_distances(body: dict[str, NDArray], template: TexturedMesh) -> dict[str, float]:
    """How far apart in the atlas the same places of the mannequin and of the template are."""
    points = z_up(template.vertices)
    own = {name: int(vertex) for name, vertex in zip(body["landmark_names"], body["landmark_vertices"], strict=True)}
    found = {name: PointUvs(body["faces"], body["uvs"]).nearest for name in own}
    theirs = PointUvs(template.triangles, template.uvs[template.uv_triangles])
    result: dict[str, float] = {}
    mouth = body["vertices"][[own["left_mouth_corner"], own["right_mouth_corner"]], 2].mean()
    picked = template_profile(points, template)
    mine = profile(body["vertices"].astype(np.float64), PointUvs(body["faces"], body["uvs"]), mouth, 0.06)
    for name in ("nose_tip", "chin"):
        result[name] = float(np.linalg.norm(mine[name] - picked[name]))
    for side, sign in enumerate((1, -1)):
        word = ("left", "right")[side]
        targets = {name: numbers[side] for name, numbers in NAMED.items()}
        for name, vertex in PICKED.items():
            mirror = int(np.linalg.norm(points - points[vertex] * [-1, 1, 1], axis=1).argmin())
            targets[name] = (mirror, vertex)[side]
        head = np.flatnonzero(points[:, 2] > NECK)
        targets["ear"] = int(head[np.argmax(points[head, 0] * sign)])
        for name, vertex in targets.items():
            place = own[f"{word}_{name}"]
            result[f"{word}_{name}"] = min(
                float(np.linalg.norm(found[f"{word}_{name}"](place, uv) - uv)) for uv in theirs.all(vertex)
            )
    skin, of = triangles_of(body["faces"][body["face_materials"] == 0])
    mine = toe_tips(body["vertices"], body["faces"][body["face_materials"] == 0][of[:, None], skin])
    uvs = PointUvs(body["faces"], body["uvs"])
    for name, place, vertex in zip(mine, mine.values(), toe_tips(points, template.triangles).values(), strict=True):
        result[name] = min(float(np.linalg.norm(uvs.nearest(place, uv) - uv)) for uv in theirs.all(vertex))
    return result


def toe_tips(points: NDArray, triangles: NDArray) -> dict[str, int]:
    """The vertices at the tips of the small toes, from the second one outwards."""
    points = np.asarray(points, np.float64)
    ankle = points[:, 2].min() + ANKLE * np.ptp(points[:, 2])
    found: dict[str, int] = {}
    for word, sign in (("left", 1), ("right", -1)):
        foot = (sign * points[:, 0] > 0) & (points[:, 2] < ankle)
        digits = find_digits(points, triangles.astype(np.int64), foot, sign * points[:, 0])
        found |= {f"{word}_{name}": int(tip) for name, tip in zip(SMALL_TOES, digits.tips[1:], strict=True)}
    return found


class PointUvs:
    """The UVs of vertices, of which those on seams have several."""

    def __init__(self, faces: NDArray, uvs: NDArray) -> None:
        self._faces, self._uvs = faces, np.asarray(uvs, np.float64)

    def all(self, vertex: int) -> Floats:
        """(N, 2)."""
        return self._uvs[self._faces == vertex]

    def nearest(self, vertex: int, place: Floats) -> Floats:
        """(2,) the UV that is nearest to a place."""
        uvs = self.all(vertex)
        return uvs[np.linalg.norm(uvs - place, axis=1).argmin()]


def template_profile(points: Floats, template: TexturedMesh) -> dict[str, Floats]:
    """UVs of the points of SMPL's profile."""
    mouth = points[PICKED["mouth_corner"], 2]
    return profile(points, PointUvs(template.triangles, template.uvs[template.uv_triangles]), mouth, 0.06)


def profile(points: Floats, uvs: PointUvs, mouth: float, reach: float) -> dict[str, Floats]:
    """UVs of nose tip and chin on the smooth line through the vertices of the face's middle."""
    chosen = np.flatnonzero((np.abs(points[:, 0]) < 2e-3) & (np.abs(points[:, 2] - mouth) < reach))
    chosen = chosen[points[chosen, 1] < points[chosen, 1].min() + 0.06]
    result = {}
    for name, way, window in (("nose_tip", (0, -1, 0), (0.015, reach)), ("chin", (0, -1, -1), (-reach, -0.015))):
        heights = points[chosen, 2] - mouth
        near = chosen[(heights > window[0]) & (heights < window[1])]
        best = int(near[np.argmax(points[near] @ np.array(way))])
        order = near[np.argsort(points[near, 2])]
        # Only the outermost vertex at each height: no nostrils, no inside of the mouth.
        keep = [order[0]]
        for vertex in order[1:]:
            if points[vertex, 2] - points[keep[-1], 2] > 2e-3:
                keep.append(vertex)
            elif points[vertex, 1] < points[keep[-1], 1]:
                keep[-1] = vertex
        line = points[keep]
        spline = CubicSpline(line[:, 2], line[:, 1])
        fine = np.linspace(max(line[0, 2], points[best, 2] - 0.012), min(line[-1, 2], points[best, 2] + 0.012), 400)
        height = fine[np.argmax(np.column_stack([spline(fine), fine]) @ np.array(way[1:]))]
        middles = np.array([uvs.all(int(vertex)).mean(axis=0) for vertex in keep])
        result[name] = np.array([np.interp(height, line[:, 2], middles[:, axis]) for axis in (0, 1)])
    return result


def outside(body: dict[str, NDArray]) -> Whole:
    """Skin that is not the inside of an eye's socket, which faces the eye's centre."""
    corners = body["vertices"][body["faces"]].astype(np.float64)
    middles = corners.mean(axis=1)
    normals = np.cross(corners[:, 2] - corners[:, 0], corners[:, 3] - corners[:, 1])
    flat = body["faces"][:, 2] == body["faces"][:, 3]
    normals[flat] = np.cross(corners[flat, 1] - corners[flat, 0], corners[flat, 2] - corners[flat, 0])
    chosen = body["face_materials"] == 0
    for centre in body["eye_centres"]:
        away = middles - centre
        chosen &= ~((np.linalg.norm(away, axis=1) < SOCKET) & ((away * normals).sum(axis=1) < 0))
    return np.flatnonzero(chosen)


def triangles_of(faces: NDArray) -> tuple[Whole, Whole]:
    """(T, 3) corners of the triangles of faces (F, 4), and (T,) which face each is of."""
    quads = np.flatnonzero(faces[:, 2] != faces[:, 3])
    corners = np.concatenate([np.tile([0, 1, 2], (len(faces), 1)), np.tile([0, 2, 3], (len(quads), 1))])
    return corners, np.append(np.arange(len(faces)), quads)


def cross(uvs: Floats) -> Floats:
    """Twice the signed areas of triangles (T, 3, 2)."""
    one, other = uvs[:, 1] - uvs[:, 0], uvs[:, 2] - uvs[:, 0]
    return one[:, 0] * other[:, 1] - one[:, 1] * other[:, 0]


def orientation(
    uvs: Floats, body: dict[str, NDArray], faces: Whole, of: Whole, template: TexturedMesh
) -> tuple[Floats, NDArray[np.bool_]]:
    """Which way round SMPL's island is for each triangle, and whether the triangle lies within it alone."""
    number = islands(template.uv_triangles, len(template.uvs))
    raster = rasterize(template.uvs[template.uv_triangles] * [1, -1] * SIZE + [0, SIZE], (SIZE, SIZE))
    drawn = np.where(raster.covered, number[raster.triangle] + 1, 0).astype(np.uint8)
    drawn = spread(drawn, drawn > 0, reach=3)
    # Corners on a cut belong to both sides: each is looked at a little inside its triangle.
    inner = uvs + 0.1 * (uvs.mean(axis=1, keepdims=True) - uvs)
    pixels = np.clip((inner * [1, -1] * SIZE + [0, SIZE]).astype(int), 0, SIZE - 1)
    seen = drawn[pixels[..., 1], pixels[..., 0]]
    # What the mannequin itself joins is one island; SMPL's is the one that most of it lies in.
    own = pieces(body["faces"][faces], body["uvs"][faces])[of]
    votes = np.zeros((own.max() + 1, 256))
    np.add.at(votes, (np.repeat(own, 3), seen.ravel()), 1)
    home = votes[:, 1:].argmax(axis=1)[own] + 1
    areas = np.bincount(number, cross(template.uvs[template.uv_triangles]))
    return np.sign(areas)[home - 1], (seen == home[:, None]).all(axis=1)


def pieces(faces: NDArray, uvs: NDArray) -> Whole:
    """(F,) number of the piece of the atlas that each face belongs to."""
    keys = np.column_stack([faces.ravel(), np.round(uvs.reshape(-1, 2) * 1e6).astype(np.int64)])
    wedge = np.unique(keys, axis=0, return_inverse=True)[1].reshape(faces.shape)
    start, end = wedge[:, [0, 1, 2]].ravel(), wedge[:, [1, 2, 3]].ravel()
    graph = coo_array((np.ones(len(start)), (start, end)), shape=(wedge.max() + 1,) * 2)
    return connected_components(graph, directed=False)[1][wedge[:, 0]].astype(np.int64)


def stretches(uvs: Floats, area: Floats, template: TexturedMesh) -> Floats:
    """(T,) how many times more or less of the atlas a triangle has for its area than SMPL's surface has there."""
    theirs = template.uvs[template.uv_triangles]
    vertices = template.vertices[template.triangles]
    space = np.linalg.norm(np.cross(vertices[:, 1] - vertices[:, 0], vertices[:, 2] - vertices[:, 0]), axis=1)
    density = np.abs(cross(theirs)) / space
    raster = rasterize(theirs * [1, -1] * SIZE + [0, SIZE], (SIZE, SIZE))
    drawn = spread(np.where(raster.covered, density[raster.triangle], 0).astype(np.float32)[..., None], raster.covered)
    pixels = np.clip((uvs.mean(axis=1) * [1, -1] * SIZE + [0, SIZE]).astype(int), 0, SIZE - 1)
    ratio = np.abs(cross(uvs)) / area / drawn[pixels[:, 1], pixels[:, 0], 0]
    # The whole body's size is no stretch.
    ratio *= area.sum() / (ratio * area).sum()
    return np.maximum(ratio, 1 / np.maximum(ratio, 1e-12))


def part_share(body: dict[str, NDArray], faces: Whole, of: Whole, uvs: Floats, area: Floats) -> float:
    """The share of the surface on which the atlas has a part that the bone moves which moves the mannequin there."""
    names = body["bone_names"].tolist()
    weights = np.zeros((len(body["vertices"]), len(names)))
    np.put_along_axis(weights, body["weight_bones"].astype(int), body["weight_values"].astype(float), axis=1)
    bone = weights[body["faces"][faces]].sum(axis=1).argmax(axis=1)[of]
    allowed = np.zeros((len(names), len(Part)), bool)
    for row, name in enumerate(names):
        allowed[row, parts_of(name)] = True
    labels = Atlas.load().stored_parts
    labels = spread(labels, labels > 0, reach=4)
    size = len(labels)
    pixels = np.clip((uvs.mean(axis=1) * [1, -1] * size + [0, size]).astype(int), 0, size - 1)
    right = allowed[bone, labels[pixels[:, 1], pixels[:, 0]]]
    return float((area * right).sum() / area.sum())


def parts_of(bone: str) -> list[Part]:
    """The parts of the atlas that a bone moves."""
    kind, _, side = bone.partition(".")
    sided = {
        "collar": ("SHOULDER", "UPPER_ARM"),
        "upperarm": ("SHOULDER", "UPPER_ARM"),
        "forearm": ("FOREARM",),
        "hand": ("PALM", "HAND_BACK"),
        "fingers": ("PALM", "HAND_BACK", "FINGERS"),
        "thigh": ("THIGH",),
        "shin": ("SHIN",),
        "foot": ("FOOT", "SOLE"),
        "toes": ("TOES", "SOLE"),
    }
    trunk = [Part.CHEST, Part.ABDOMEN, Part.HIPS, Part.UPPER_BACK, Part.LOWER_BACK, Part.BUTTOCKS]
    if kind in ("head", "jaw", "neck", "eye"):
        return [Part.FACE, Part.SCALP, Part.EAR_LEFT, Part.EAR_RIGHT, Part.NECK]
    if kind in ("pelvis", "spine1", "spine2", "spine3"):
        return trunk
    word = "LEFT" if side == "L" else "RIGHT"
    found = [Part[f"{name}_{word}"] for name in sided.get(kind, ("FINGERS",))]
    # The atlas draws the borders of the trunk where SMPL's islands end, not where the bones do.
    return [*found, *trunk] if kind in ("collar", "upperarm", "thigh") else found


if __name__ == "__main__":
    main()
