"""UV layouts are told apart by their fingerprint."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from addon.smpl.layouts import ALIKE, Layout, fingerprint, known_fingerprints, layout_of, similarity
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy
from shared_data import shared

from uvmap_id.bodies.obj import read_obj

BODIES = {
    "smpl_uv.obj": Layout.SMPL,
    "SMPL_female_default_resolution.obj": Layout.SMPL,
    "SMPL_male_default_resolution.obj": Layout.SMPL,
    "SMPLX-female.obj": Layout.SMPLX,
    "SMPLX-male.obj": Layout.SMPLX,
}


@pytest.mark.parametrize("name", list(BODIES))
@pytest.mark.parametrize("change", ["none", "order", "noise", "noise at corners", "subdivided", "half precision"])
def test_real_bodies_are_known_whatever_was_done_to_them(name: str, change: str) -> None:
    mesh = read_obj(shared(f"smpl/{name}"))
    random, uvs = np.random.default_rng(0), mesh.uvs[mesh.uv_triangles]
    changed = {
        "none": uvs,
        "order": random.permutation(uvs)[:, ::-1],
        "noise": (mesh.uvs + random.normal(size=mesh.uvs.shape) * 1e-3)[mesh.uv_triangles],
        "noise at corners": uvs + random.normal(size=uvs.shape) * 1e-3,
        "subdivided": np.concatenate([uvs, (uvs + np.roll(uvs, 1, axis=1)) / 2]),
        "half precision": uvs.astype(np.float16),
    }[change]
    assert layout_of(changed.reshape(-1, 2)) is BODIES[name]


def test_the_known_layouts_are_far_apart() -> None:
    known = known_fingerprints()
    assert set(known) == set(Layout) - {Layout.UNKNOWN}
    for one, other in itertools.combinations(known.values(), 2):
        assert similarity(one, other) < ALIKE - 0.08
    assert Layout.MANNEQUIN.wears_smpl
    assert not Layout.SMPLX.wears_smpl


@pytest.mark.parametrize("change", ["upside down", "mirrored", "half as large", "moved", "only the head"])
def test_smpls_uvs_somewhere_else_are_unknown(change: str) -> None:
    mesh = read_obj(shared("smpl/smpl_uv.obj"))
    uvs = mesh.uvs[mesh.uv_triangles].reshape(-1, 2)
    changed = {
        "upside down": uvs * (1, -1) + (0, 1),
        "mirrored": uvs * (-1, 1) + (1, 0),
        "half as large": uvs / 2,
        "moved": uvs + 1,
        "only the head": uvs[uvs[:, 1] > 0.58],
    }[change]
    assert layout_of(changed) is Layout.UNKNOWN


@given(
    st_numpy.arrays(np.float32, st.tuples(st.integers(0, 50), st.just(2)), elements=st.floats(width=32, allow_nan=True))
)
def test_any_uvs_have_a_fingerprint(uvs: np.ndarray) -> None:
    total = fingerprint(uvs).sum()
    assert total == pytest.approx(1 if np.isfinite(uvs).all(axis=1).any() else 0)
    assert layout_of(uvs) is Layout.UNKNOWN
