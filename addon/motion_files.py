"""Reading motion: AMASS's .npz files, and this extension's own JSON."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .link.errors import ErrorCode, UVMapError
from .npz import NUMBERS_AND_TEXT, read_arrays
from .rotations import Floats, from_vectors, multiply, normalized, rotate, slerp
from .skeleton import JOINTS, PARENTS

FORMAT, VERSION = "uvmap_id.motion", 1
FRAMES_LIMIT = 100_000
RATE_LIMIT = 1000.0
UP_AXES = ("z", "y")

_JSON_BYTES, _NPZ_BYTES = 64_000_000, 256_000_000
_RATES = ("mocap_framerate", "mocap_frame_rate")
# SMPL-X's parts of a pose, in the order in which `poses` joins them, and how many joints each has.
_PARTS = {"root_orient": 1, "pose_body": 21, "pose_jaw": 1, "pose_eye": 2, "pose_hand": 30}
_MEMBERS = ("poses", "trans", "betas", "gender", *_RATES, *_PARTS)
_TURN_LIMIT, _FAR_METRES, _BETA_LIMIT = 100.0, 10_000.0, 100.0
# The pelvis of the template in its own axes (x left, y up, z forward), metres: SMPL and SMPL-H, then SMPL-X. The
# models turn the root about it and add `trans` to it, so a file's `trans` alone is not where the pelvis is.
_PELVIS, _PELVIS_X = (-0.0018, -0.2233, 0.0282), (0.0031, -0.3514, 0.0120)
# From a z-up world to SMPL's y-up axes: a quarter turn about x.
_Z_UP_TO_Y_UP = from_vectors((-np.pi / 2, 0.0, 0.0))
_HINT = "Choose an .npz file as AMASS has them, or a .json file as docs/poses.md describes it."


@dataclass(frozen=True, slots=True)
class Motion:
    """A motion of SMPL's joints, in SMPL's axes: x to the body's left, y up, z to where it faces in its T-pose.

    Attributes:
        joints: J names from `skeleton.JOINTS`.
        rotations: (F, J, 4) unit quaternions: how each joint is turned from the T-pose, against its parent.
        pelvis: (F, 3) metres.
        absolute: `pelvis` is a place in the world; otherwise a way from where it rests.
        frame_rate: Frames a second; None where a file doesn't tell, as of a single pose.
        betas: The shape of the body that moved, as its model counts; empty where there is none.
        gender: Of that model, as the file says; may be empty.
    """

    joints: tuple[str, ...]
    rotations: Floats
    pelvis: Floats
    absolute: bool = False
    frame_rate: float | None = None
    betas: tuple[float, ...] = ()
    gender: str = ""

    @property
    def frames(self) -> int:
        """How many there are."""
        return len(self.rotations)

    def at(self, frame_rate: float) -> Motion:
        """The same frames, meant to be shown at another rate."""
        return replace(self, frame_rate=frame_rate)


def read(path: Path, up_axis: str = "z") -> Motion:
    """Read a pose or a motion.

    Args:
        path: A .npz or .json file.
        up_axis: Which axis is up in an .npz file's world: "z" as in AMASS, or "y". JSON files are y up.

    Raises:
        UVMapError: `motion_unreadable`.
    """
    readers: dict[str, Callable[[Path], Motion]] = {
        ".npz": lambda file: _from_arrays(read_arrays(file, _MEMBERS, _NPZ_BYTES, NUMBERS_AND_TEXT), up_axis),
        ".json": _read_json,
    }
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise _unreadable(path, "its name ends neither in .npz nor in .json")
    try:
        return reader(path)
    except (OSError, ValueError) as error:
        raise _unreadable(path, getattr(error, "strerror", None) or str(error)) from error


def resampled(motion: Motion, frame_rate: float) -> Motion:
    """The same motion at another frame rate, between its frames by slerp. The last frame may fall away.

    Raises:
        UVMapError: `motion_unreadable`: it doesn't tell its own rate, or would have too many frames.
    """
    if motion.frames == 1 or motion.frame_rate == frame_rate:
        return motion
    if motion.frame_rate is None:
        raise UVMapError(
            ErrorCode.MOTION_UNREADABLE, "The motion doesn't tell its frame rate.", "Set the frame rate by hand."
        )
    # A little more than rounding can take away, so that a whole number of seconds keeps its last frame.
    count = int((motion.frames - 1) / motion.frame_rate * frame_rate + 1e-6) + 1
    if count > FRAMES_LIMIT:
        raise UVMapError(
            ErrorCode.MOTION_UNREADABLE,
            f"The motion would have {count} frames at {frame_rate:g} frames a second; {FRAMES_LIMIT} are allowed.",
            "Cut it, or lower the scene's frame rate.",
        )
    places = np.minimum(np.arange(count) / frame_rate * motion.frame_rate, motion.frames - 1)
    before = np.minimum(places.astype(np.int64), motion.frames - 2)
    weights = places - before
    rotations = slerp(motion.rotations[before], motion.rotations[before + 1], weights[:, None])
    pelvis = motion.pelvis[before] + weights[:, None] * (motion.pelvis[before + 1] - motion.pelvis[before])
    return replace(motion, rotations=rotations, pelvis=pelvis, frame_rate=frame_rate)


def _from_arrays(arrays: dict[str, NDArray[Any]], up_axis: str) -> Motion:
    poses = _poses(arrays)
    joints = JOINTS[poses.shape[1]]
    frames = len(poses)
    rotations = from_vectors(poses)
    pelvis = np.zeros((frames, 3))
    if "trans" in arrays:
        template = np.array(_PELVIS_X if len(joints) == max(JOINTS) else _PELVIS)
        pelvis = template + _numbers(arrays["trans"], "trans", (frames, 3), _FAR_METRES)
    if up_axis == "z":
        rotations[:, 0] = multiply(_Z_UP_TO_Y_UP, rotations[:, 0])
        pelvis = rotate(_Z_UP_TO_Y_UP, pelvis)
    betas = np.ravel(arrays.get("betas", np.zeros(0)))
    betas = _numbers(betas, "betas", betas.shape, _BETA_LIMIT)
    return Motion(
        joints=joints,
        rotations=rotations,
        pelvis=pelvis,
        absolute="trans" in arrays,
        frame_rate=_frame_rate(next((arrays[name] for name in _RATES if name in arrays), None)),
        betas=tuple(betas.tolist()),
        gender=_word(arrays.get("gender")),
    )


def _poses(arrays: dict[str, NDArray[Any]]) -> Floats:
    """(F, J, 3) rotation vectors, joined from SMPL-X's parts where there is no `poses`."""
    if "poses" in arrays:
        poses = arrays["poses"]
        width = int(np.prod(poses.shape[1:])) if poses.ndim in (2, 3) else 0
        if width % 3 or width // 3 not in JOINTS:
            widths = ", ".join(str(3 * count) for count in JOINTS)
            raise ValueError(f'its array "poses" has the shape {poses.shape}; a frame must have {widths} numbers')
        return _frames(poses, "poses", width // 3)
    if "root_orient" not in arrays or "pose_body" not in arrays:
        raise ValueError('it has neither "poses" nor "root_orient" and "pose_body"')
    root = _frames(arrays["root_orient"], "root_orient", 1)
    more = [name for name in ("pose_jaw", "pose_eye", "pose_hand") if name in arrays]
    parts = []
    for name in _PARTS if more else ("root_orient", "pose_body"):
        part = _frames(arrays[name], name, _PARTS[name]) if name in arrays else np.zeros((len(root), _PARTS[name], 3))
        if len(part) != len(root):
            raise ValueError(f'its array "{name}" has {len(part)} frames, "root_orient" has {len(root)}')
        parts.append(part)
    return np.concatenate(parts, axis=1)


def _frames(array: NDArray[Any], name: str, joints: int) -> Floats:
    if array.ndim not in (2, 3) or int(np.prod(array.shape[1:])) != 3 * joints:
        raise ValueError(f'its array "{name}" has the shape {array.shape} instead of (frames, {3 * joints})')
    _check_count(len(array))
    return _numbers(array, name, array.shape, _TURN_LIMIT).reshape(len(array), joints, 3)


def _numbers(array: NDArray[Any], name: str, shape: tuple[int, ...], limit: float) -> Floats:
    if array.shape != shape:
        raise ValueError(f'its "{name}" has the shape {array.shape} instead of {shape}')
    if array.dtype.kind not in "iuf":
        raise ValueError(f'its "{name}" holds no numbers')
    numbers = array.astype(np.float64)
    if not np.all(np.abs(numbers) <= limit):
        raise ValueError(f'its "{name}" has numbers that are not finite, or beyond {limit:g}')
    return numbers


def _check_count(frames: int) -> None:
    if not 1 <= frames <= FRAMES_LIMIT:
        raise ValueError(f"it has {frames} frames instead of 1 to {FRAMES_LIMIT}")


def _frame_rate(value: Any) -> float | None:
    if value is None:
        return None
    array = np.ravel(np.asarray(value))
    if array.size != 1 or array.dtype.kind not in "iuf" or not 0.1 <= float(array[0]) <= RATE_LIMIT:
        raise ValueError(f"its frame rate is not a number from 0.1 to {RATE_LIMIT:g}")
    return float(array[0])


def _word(array: NDArray[Any] | None) -> str:
    if array is None or array.size != 1 or array.dtype.kind not in "US":
        return ""
    word = array.reshape(-1)[0]
    return word.decode("ascii", "replace") if isinstance(word, bytes) else str(word)


def _read_json(path: Path) -> Motion:
    with path.open("rb") as file:
        content = file.read(_JSON_BYTES + 1)
    if len(content) > _JSON_BYTES:
        raise ValueError(f"it has more than {_JSON_BYTES // 1_000_000} MB")
    try:
        data = json.loads(content)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    if not isinstance(data, dict) or data.get("format") != FORMAT or data.get("version") != VERSION:
        raise ValueError(f'it has no "format": "{FORMAT}" with "version": {VERSION}')
    return _from_json(data)


def _from_json(data: dict[str, Any]) -> Motion:
    given = data.get("rotations")
    if not isinstance(given, dict):
        raise ValueError('its "rotations" is no object with a rotation, or a list of them, for each joint')
    unknown = [joint for joint in given if joint != "pelvis" and joint not in PARENTS]
    if unknown:
        raise ValueError(f'it names the unknown joint "{unknown[0]}"')
    tracks = {joint: _track(value, joint) for joint, value in given.items()}
    way = _rows(data.get("translation", [0, 0, 0]), "translation")
    frames = max([len(way), *(len(track) for track in tracks.values())])
    _check_count(frames)
    for name, track in {**tracks, "translation": way}.items():
        if len(track) not in (1, frames):
            raise ValueError(f'its "{name}" has {len(track)} frames instead of 1 or {frames}')
    rotations = [np.broadcast_to(track, (frames, 4)) for track in tracks.values()]
    return Motion(
        joints=tuple(tracks),
        rotations=np.stack(rotations, axis=1) if rotations else np.zeros((frames, 0, 4)),
        pelvis=_numbers(np.broadcast_to(way, (frames, way.shape[-1])), "translation", (frames, 3), _FAR_METRES),
        frame_rate=_frame_rate(data.get("frame_rate")),
    )


def _track(value: Any, joint: str) -> Floats:
    """(F, 4) from rotation vectors in degrees or quaternions, one or a list of them."""
    array = _rows(value, joint)
    if array.shape[1] not in (3, 4):
        raise ValueError(f'its "{joint}" is no rotation: 3 degrees about x, y, z as a vector, or a quaternion w x y z')
    if array.shape[1] == 4:
        return normalized(_numbers(array, joint, array.shape, 1e6))
    return from_vectors(np.radians(_numbers(array, joint, array.shape, np.degrees(_TURN_LIMIT))))


def _rows(value: Any, name: str) -> NDArray[Any]:
    """(F, N) of a list of numbers, or of a list of such lists."""
    try:
        array = np.atleast_2d(np.asarray(value))
    except ValueError as error:
        raise ValueError(f'its "{name}" has rows of different lengths') from error
    if array.ndim != 2 or not array.size:
        raise ValueError(f'its "{name}" is no list of numbers')
    return array


def _unreadable(path: Path, reason: str) -> UVMapError:
    return UVMapError(ErrorCode.MOTION_UNREADABLE, f"{path} can't be read as a motion: {reason}.", _HINT)
