"""The mannequin's sliders: `object.uvmap_id_shape`.

Nothing is stored but the shape keys' values: a slider is two shape keys, one for each of its ends, and the ancestries
are one key each. So undo, duplicates, other files and a user who moves the keys himself never disagree with the panel.
A key such as "age-*gender+" is what two others together add to their sum: its value is the product of theirs.
"""

# pyright: reportInvalidTypeForm=false, reportAttributeAccessIssue=false, reportOptionalMemberAccess=false
# pyright: reportArgumentType=false, reportOperatorIssue=false, reportOptionalSubscript=false
# Blender reads its properties from annotations that are calls; its stubs know an object's data by its base class only.

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import bpy
import numpy as np
from numpy.typing import NDArray

from . import mannequin_rig
from .link.errors import ErrorCode, UVMapError
from .mannequin_asset import Asset
from .material import MANNEQUIN

PRESETS_FILE = Path(__file__).parent / "assets" / "shape_presets.toml"
SLIDERS = {
    "gender": "From male to female",
    "age": "From a child of ten to old age; 0 is a young adult",
    "muscle": "From weak to muscular",
    "weight": "From thin to heavy",
    "height": "From short to tall",
    "proportions": "From uncommon proportions to those of an ideal figure",
}
ANCESTRIES = ("african", "asian", "caucasian")

_NAME = "uvmap_id_shape"
_BOTH = "*"
_GAZE_LIMIT = np.radians(45)


def is_mannequin(body: bpy.types.Object | None) -> bool:
    """Whether an object is a mannequin, or was made of one."""
    return body is not None and body.type == "MESH" and MANNEQUIN in body.data


def problem(body: bpy.types.Object) -> str:
    """Why a body can't be shaped, a sentence with the way out; empty where it can."""
    if not is_mannequin(body):
        return "Only the mannequin can be shaped. Add one."
    if body.data.library is not None:
        return "This body is linked from another file. Make its data local, or shape it there."
    keys = _keys(body)
    missing = [name for name in _key_names() if name not in keys]
    if missing:
        return f'This body has no shape key "{missing[0]}" any more. Add a new mannequin.'
    return ""


def values_of(body: bpy.types.Object) -> dict[str, float]:
    """Where a mannequin's sliders stand: -1 to 1, ancestries 0 to 1 with the sum 1."""
    values = {name: _value(body, f"{name}+") - _value(body, f"{name}-") for name in SLIDERS}
    shares = [_value(body, name) for name in ANCESTRIES]
    # The neutral body is the mean of the three, so what all three have in common is no change: it is left out of the
    # keys, and found again here.
    common = max(0.0, 1 - sum(shares)) / len(shares)
    total = max(1.0, sum(shares))
    return values | {name: common + share / total for name, share in zip(ANCESTRIES, shares, strict=True)}


def set_values(body: bpy.types.Object, values: Mapping[str, float]) -> None:
    """Move some of a mannequin's sliders, and its joints with them. Values beyond a slider's ends are its ends.

    Args:
        body: A mannequin.
        values: By the sliders' names. Ancestries are normalised together; those not named become 0 if one is.

    Raises:
        UVMapError: `body_missing`: it can't be shaped.
    """
    reason = problem(body)
    if reason:
        raise UVMapError(ErrorCode.BODY_MISSING, reason)
    keys = _keys(body)
    for name, value in _shares_of_keys(values).items():
        keys[name].value = value
    for key in _combined(keys):
        key.value = np.prod([keys[name].value for name in key.name.split(_BOTH)])
    rig = mannequin_rig.rig_of(body)
    # Joints are the mean of some vertices; a mesh that was edited has others.
    if rig is not None and rig.data.library is None and len(body.data.vertices) == body.data[MANNEQUIN]:
        mannequin_rig.follow(rig, _offsets(body))


def offsets_of(asset: Asset, values: Mapping[str, float]) -> NDArray[np.float32]:
    """(V, 3) how far a new mannequin's vertices lie from the neutral ones when its sliders stand so."""
    known = _shares_of_keys(values)
    offsets = np.zeros_like(asset.vertices)
    for number, name in enumerate(asset.shape_names.tolist()):
        share = float(np.prod([known.get(part, 0.0) for part in name.split(_BOTH)]))
        if share > 0:
            offsets += np.float32(share) * (asset.key_points(number) - asset.vertices)
    return offsets


def with_share(shares: Mapping[str, float], name: str, share: float) -> dict[str, float]:
    """The three ancestries with one set anew; the other two keep their proportion, and the sum is 1."""
    share = _clamp(share)
    others = [other for other in ANCESTRIES if other != name]
    rest = sum(shares[other] for other in others)
    return {name: share} | {
        other: (1 - share) * (shares[other] / rest if rest > 0 else 1 / len(others)) for other in others
    }


def read_presets(path: Path = PRESETS_FILE) -> dict[str, dict[str, float]]:
    """The presets by their names: the sliders that each of them sets."""
    return tomllib.loads(path.read_text(encoding="utf-8"))


def _key_names() -> list[str]:
    return [f"{name}{end}" for name in SLIDERS for end in "-+"] + list(ANCESTRIES)


def _shares_of_keys(values: Mapping[str, float]) -> dict[str, float]:
    """How much of each of the keys that sliders move; those that nothing is said about are left out."""
    shares = {f"{name}-": _clamp(-values[name]) for name in SLIDERS.keys() & values.keys()}
    shares |= {f"{name}+": _clamp(values[name]) for name in SLIDERS.keys() & values.keys()}
    if ANCESTRIES & values.keys():
        ancestry = {name: _clamp(values.get(name, 0.0)) for name in ANCESTRIES}
        total, common = sum(ancestry.values()), min(ancestry.values())
        shares |= {name: (share - common) / total if total else 0.0 for name, share in ancestry.items()}
    return shares


def _combined(keys: Any) -> list[bpy.types.ShapeKey]:
    return [key for key in keys if _BOTH in key.name and set(key.name.split(_BOTH)) <= set(_key_names())]


def _keys(body: bpy.types.Object) -> Any:
    return body.data.shape_keys.key_blocks if body.data.shape_keys is not None else {}


def _value(body: bpy.types.Object, name: str) -> float:
    key = _keys(body).get(name) if is_mannequin(body) else None
    return key.value if key is not None else 0.0


def _clamp(value: float) -> float:
    return max(0.0, min(1.0, value))


def _offsets(body: bpy.types.Object) -> NDArray[np.float32]:
    """(V, 3) how far the sliders move each vertex; expressions move no joints."""
    keys = _keys(body)
    basis = _points(body.data.shape_keys.reference_key)
    offsets = np.zeros_like(basis)
    for key in (*(keys[name] for name in _key_names()), *_combined(keys)):
        if key.value > 0:
            offsets += key.value * (_points(key) - basis)
    return offsets


def _points(key: bpy.types.ShapeKey) -> NDArray[np.float32]:
    points = np.empty((len(key.points), 3), dtype=np.float32)
    key.points.foreach_get("co", points.ravel())
    return points


def _write(settings: MannequinShape, values: Mapping[str, float]) -> None:
    # A property has no way to report; `problem` tells the panel and scripts.
    if not problem(settings.id_data):
        set_values(settings.id_data, values)


def _slider(name: str) -> Any:
    ends: dict[str, Callable[..., Any]] = {
        "get": lambda settings: values_of(settings.id_data)[name],
        "set": lambda settings, value: _write(settings, {name: value}),
    }
    shown = {"name": name.capitalize(), "description": SLIDERS[name], "subtype": "FACTOR"}
    # Not animatable: Blender writes animated properties without telling their owner. Shape keys are.
    return bpy.props.FloatProperty(min=-1.0, max=1.0, options=set(), **shown, **ends)


def _share(name: str) -> Any:
    ends: dict[str, Callable[..., Any]] = {
        "get": lambda settings: values_of(settings.id_data)[name],
        "set": lambda settings, value: _write(settings, with_share(values_of(settings.id_data), name, value)),
    }
    shown = {"name": name.capitalize(), "description": "Share of this ancestry; the three add up to 1"}
    return bpy.props.FloatProperty(min=0.0, max=1.0, default=1 / 3, subtype="FACTOR", options=set(), **shown, **ends)


def _gaze(settings: MannequinShape) -> Sequence[float]:
    rig = mannequin_rig.rig_of(settings.id_data)
    return mannequin_rig.gaze(rig) if rig is not None else (0.0, 0.0)


def _look(settings: MannequinShape, angles: Sequence[float]) -> None:
    rig = mannequin_rig.rig_of(settings.id_data)
    if rig is not None and rig.library is None:
        mannequin_rig.look(rig, *angles)


class MannequinShape(bpy.types.PropertyGroup):
    """What a mannequin looks like: `object.uvmap_id_shape`."""

    __annotations__ = {
        **{name: _slider(name) for name in SLIDERS},
        **{name: _share(name) for name in ANCESTRIES},
        "gaze": bpy.props.FloatVectorProperty(
            name="Gaze",
            description="Where the eyes look: to the body's own left, and up",
            size=2,
            min=-_GAZE_LIMIT,
            max=_GAZE_LIMIT,
            unit="ROTATION",
            step=200,
            options=set(),
            get=_gaze,
            set=_look,
        ),
    }


def shape_of(body: bpy.types.Object) -> MannequinShape:
    """A body's sliders: `object.uvmap_id_shape`, which only Blender knows to be there."""
    return getattr(body, _NAME)


def register() -> None:
    """Give every object its sliders."""
    bpy.utils.register_class(MannequinShape)
    setattr(bpy.types.Object, _NAME, bpy.props.PointerProperty(type=MannequinShape))


def unregister() -> None:
    """Take the sliders back."""
    delattr(bpy.types.Object, _NAME)
    bpy.utils.unregister_class(MannequinShape)
