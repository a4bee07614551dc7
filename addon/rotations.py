"""Unit quaternions in numpy: arrays (..., 4) float64 in the order w, x, y, z, as Blender's."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

IDENTITY: Floats = np.array([1.0, 0.0, 0.0, 0.0])


def from_vectors(vectors: ArrayLike) -> Floats:
    """Quaternions of rotation vectors (..., 3): along the axis, as long as the angle in radians."""
    vectors = np.asarray(vectors, dtype=np.float64)
    half = np.linalg.norm(vectors, axis=-1, keepdims=True) / 2
    # sin(a / 2) / a, which numpy's sinc keeps finite at 0.
    return np.concatenate([np.cos(half), vectors * np.sinc(half / np.pi) / 2], axis=-1)


def multiply(first: Floats, second: Floats) -> Floats:
    """The rotation `second` and then `first`."""
    w1, v1 = first[..., :1], first[..., 1:]
    w2, v2 = second[..., :1], second[..., 1:]
    w = w1 * w2 - np.sum(v1 * v2, axis=-1, keepdims=True)
    return np.concatenate([w, w1 * v2 + w2 * v1 + np.cross(v1, v2)], axis=-1)


def inverse(rotations: Floats) -> Floats:
    """The rotations back."""
    return rotations * np.array([1.0, -1.0, -1.0, -1.0])


def rotate(rotations: Floats, points: ArrayLike) -> Floats:
    """Points (..., 3), rotated."""
    points = np.asarray(points, dtype=np.float64)
    axis = rotations[..., 1:]
    turned = 2 * np.cross(axis, points)
    return points + rotations[..., :1] * turned + np.cross(axis, turned)


def normalized(rotations: ArrayLike) -> Floats:
    """Quaternions made as long as 1. Raises `ValueError` where one has no length."""
    rotations = np.asarray(rotations, dtype=np.float64)
    lengths = np.linalg.norm(rotations, axis=-1, keepdims=True)
    if not np.all(lengths > 1e-6):
        raise ValueError("a quaternion has no length")
    return rotations / lengths


def continuous(rotations: Floats) -> Floats:
    """The same rotations (F, ..., 4) with signs that never jump, so that curves through them don't spin."""
    flips = np.sum(rotations[1:] * rotations[:-1], axis=-1, keepdims=True) < 0
    signs = np.cumprod(np.where(flips, -1.0, 1.0), axis=0)
    return np.concatenate([rotations[:1], rotations[1:] * signs], axis=0)


def slerp(first: Floats, second: Floats, weights: Floats) -> Floats:
    """Rotations between two, the short way round and at even speed.

    Args:
        first: (..., 4), where the weight is 0.
        second: (..., 4), where it is 1.
        weights: (...,).
    """
    cosine = np.sum(first * second, axis=-1, keepdims=True)
    second = np.where(cosine < 0, -second, second)
    angle = np.arccos(np.clip(np.abs(cosine), 0.0, 1.0))
    weights = weights[..., None]
    # Near 0 the sines' quotient is the plain weight, and sinc keeps it finite.
    near = (1 - weights) * np.sinc((1 - weights) * angle / np.pi)
    far = weights * np.sinc(weights * angle / np.pi)
    return normalized(near * first + far * second)
