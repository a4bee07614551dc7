"""UV templates: matched by vertices and faces, whatever the order."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from addon.smpl.read import read_model
from addon.smpl.uvs import read_template, uvs_for
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from shared_data import shared
from smpl_files import make_model, write_npz, write_template

from uvmap_id.bodies.obj import read_obj
from uvmap_id.link.errors import UVMapError

TRIANGLE = "v 0 0 0\nv 1 0 0\nv 0 1 0\nvt 0 0\nvt 1 0\nvt 0 1\n"


def test_corners_find_their_uvs_in_another_order(tmp_path: Path) -> None:
    arrays = make_model("STAR", correctives=False)
    expected = write_template(tmp_path / "t.obj", arrays)
    model = read_model(write_npz(tmp_path / "a.npz", arrays))
    np.testing.assert_allclose(uvs_for(model, tmp_path / "t.obj"), expected, atol=1e-6)


@pytest.mark.parametrize("template", ["smpl_uv.obj", "SMPL_male_default_resolution.obj"])
def test_smpls_own_template_fits_also_as_quads(tmp_path: Path, template: str) -> None:
    mesh = read_obj(shared("smpl/smpl_uv.obj"))
    arrays = make_model("SMPL", mesh.triangles, correctives=False)
    model = read_model(write_npz(tmp_path / "a.npz", arrays))
    np.testing.assert_allclose(uvs_for(model, shared(f"smpl/{template}")), mesh.uvs[mesh.uv_triangles], atol=2e-4)


def test_without_a_template_the_way_out_is_named(tmp_path: Path) -> None:
    model = read_model(write_npz(tmp_path / "a.npz", make_model("SMPL", correctives=False)))
    with pytest.raises(UVMapError, match=r"body_without_uvs: .*preferences"):
        uvs_for(model, None)


@pytest.mark.parametrize("change", ["a face fewer", "another face", "turned over", "a vertex more"])
def test_templates_of_other_meshes_are_refused(tmp_path: Path, change: str) -> None:
    arrays = make_model("SMPL", correctives=False)
    model = read_model(write_npz(tmp_path / "a.npz", arrays))
    path = tmp_path / "t.obj"
    write_template(path, arrays)
    lines = path.read_text().splitlines()
    if change == "a face fewer":
        lines.pop()
    elif change == "another face":
        lines[-1] = "f 1/1 100/2 200/3"
    elif change == "turned over":
        lines[-1] = "f " + " ".join(reversed(lines[-1].split()[1:]))
    else:
        lines.append("v 0 0 0")
    path.write_text("\n".join(lines))
    with pytest.raises(UVMapError, match="body_layout_differs: "):
        uvs_for(model, path)


@pytest.mark.parametrize(
    "content",
    [
        *("", "nonsense", TRIANGLE, TRIANGLE + "f 1 2 3\n", TRIANGLE + "f 1/1 2/2\n", TRIANGLE + "f 1/1 2/2 9/3\n"),
        *(TRIANGLE + "f 1/1 2/2 3/9\n", TRIANGLE + "f a/b 2/2 3/3\n", TRIANGLE + "f 1/1 2/2 0/3\n"),
        *(TRIANGLE.replace("vt 0 1", "vt nan 1") + "f 1/1 2/2 3/3\n", TRIANGLE.replace("vt 0 1", "vt 0")),
    ],
)
def test_files_that_are_no_templates(tmp_path: Path, content: str) -> None:
    (tmp_path / "t.obj").write_text(content)
    for path in (tmp_path / "t.obj", tmp_path / "none.obj", tmp_path):
        with pytest.raises(UVMapError, match="body_unreadable: "):
            read_template(path)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(alphabet="vtf 0123456789/.-\nna", max_size=200))
def test_any_text_is_read_or_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "t.obj").write_text(text)
    try:
        template = read_template(tmp_path / "t.obj")
    except UVMapError:
        return
    assert template.uv_triangles.max() < len(template.uvs)
