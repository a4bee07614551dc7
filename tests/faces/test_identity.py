"""Identities from photos and embeddings: real onnxruntime and insightface, on models of buffalo_l's interface."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

pytest.importorskip("insightface", reason="the extra [diffusion] is not installed")

import onnx
from tiny_identity import scene, write_models

from uvmap_id.faces.identity import IdentityReader
from uvmap_id.link.errors import ErrorCode, UVMapError

LARGE, MIDDLE, SMALL = 2, 1, 0
ANN, BOB, EVE = 1, 2, 3


def as_png(image: NDArray[np.uint8], orientation: int = 1) -> bytes:
    buffer = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(image).save(buffer, "PNG", exif=exif)
    return buffer.getvalue()


def as_npy(values: NDArray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, values)
    return buffer.getvalue()


def portrait(looks: int, size: int = LARGE) -> bytes:
    return as_png(scene((looks, size, 8, 8)))


def direction(seed: int) -> NDArray[np.float32]:
    values = np.random.default_rng(seed).standard_normal(512)
    return (values / np.linalg.norm(values)).astype(np.float32)


def error_of(reader: IdentityReader, *files: bytes) -> UVMapError:
    with pytest.raises(UVMapError) as caught:
        reader.read(files)
    assert "Traceback" not in str(caught.value)
    return caught.value


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_models(tmp_path_factory.mktemp("buffalo_l"))


@pytest.fixture(scope="module")
def reader(models: Path) -> IdentityReader:
    return IdentityReader(models)


def test_a_face_becomes_512_numbers_of_length_one(reader: IdentityReader) -> None:
    identity = reader.read((portrait(ANN),))
    assert identity.embedding.shape == (512,)
    assert identity.embedding.dtype == np.float32
    assert np.linalg.norm(identity.embedding) == pytest.approx(1, abs=1e-6)
    assert (identity.faces_seen, identity.photos, identity.embeddings, identity.warnings) == (1, 1, 0, ())


def test_the_same_photo_gives_the_same_bytes(models: Path, reader: IdentityReader) -> None:
    first = reader.read((portrait(ANN),)).embedding
    assert IdentityReader(models).read((portrait(ANN),)).embedding.tobytes() == first.tobytes()
    assert reader.read((portrait(BOB),)).embedding @ first < 0.9


def test_it_reads_what_the_recogniser_itself_says(models: Path, reader: IdentityReader) -> None:
    """The crop, the order of the colours and the scale are insightface's own."""
    image = scene((ANN, LARGE, 8, 8))
    box = image[8 * 32 - 80 : 8 * 32 + 80, 8 * 32 - 80 : 8 * 32 + 80]
    blob = np.asarray(Image.fromarray(box).resize((112, 112), Image.Resampling.BILINEAR), np.float32)
    pooled = ((blob - 127.5) / 127.5).reshape(7, 16, 7, 16, 3).mean(axis=(1, 3)).transpose(2, 0, 1)
    weights = onnx.numpy_helper.to_array(onnx.load(str(models / "w600k_r50.onnx")).graph.initializer[0])
    expected = pooled.reshape(1, 147) @ weights
    assert reader.read((as_png(image),)).embedding @ expected[0] / np.linalg.norm(expected) > 0.99


def test_the_largest_face_counts_and_the_others_are_mentioned(reader: IdentityReader) -> None:
    photo = as_png(scene((BOB, SMALL, 10, 10), (ANN, LARGE, 12, 12), (EVE, MIDDLE, 8, 30)))
    identity = reader.read((photo,))
    assert identity.faces_seen == 3
    assert identity.embedding @ reader.read((portrait(ANN),)).embedding > 0.99
    assert [warning for warning in identity.warnings if "3 faces" in warning]


def test_a_photo_lies_as_its_exif_says(reader: IdentityReader) -> None:
    upright = scene((ANN, LARGE, 8, 6))
    turned = as_png(np.ascontiguousarray(np.rot90(upright)), orientation=6)
    assert reader.read((turned,)).embedding @ reader.read((as_png(upright),)).embedding > 0.9999


def test_a_face_that_fills_the_photo_is_found_with_a_margin(reader: IdentityReader) -> None:
    tight = np.zeros((640, 640, 3), np.uint8)
    tight[:, 256:320] = (0, 0, 255)
    assert reader.read((as_png(tight),)).faces_seen == 1


def test_gender_is_suggested_where_the_model_for_it_is_there(reader: IdentityReader, tmp_path: Path) -> None:
    dark = scene((ANN, LARGE, 8, 8))
    bright = np.full_like(dark, 255)
    bright[7 * 32 : 8 * 32, 7 * 32 : 10 * 32] = 0
    bright[8 * 32 : 9 * 32, 8 * 32 : 9 * 32] = (0, 0, 255)
    assert reader.read((as_png(dark),)).gender == "man"
    assert reader.read((as_png(bright),)).gender == "woman"
    without = IdentityReader(write_models(tmp_path / "models", attributes=False))
    assert without.read((as_png(bright),)).gender is None


def test_several_photos_are_averaged(reader: IdentityReader) -> None:
    small, large = portrait(ANN, MIDDLE), portrait(ANN, LARGE)
    singles = [reader.read((photo,)).embedding for photo in (small, large)]
    both = reader.read((small, large))
    mean = np.mean(singles, axis=0)
    np.testing.assert_allclose(both.embedding, mean / np.linalg.norm(mean), atol=1e-6)
    assert (both.photos, both.warnings) == (2, ())


def test_embeddings_are_averaged_with_photos(reader: IdentityReader) -> None:
    photo = reader.read((portrait(ANN),)).embedding
    identity = reader.read((portrait(ANN), as_npy(7 * photo[None].astype(np.float64))))
    np.testing.assert_allclose(identity.embedding, photo, atol=1e-6)
    assert (identity.photos, identity.embeddings) == (1, 1)


def test_who_disagrees_is_named(reader: IdentityReader) -> None:
    one, other = direction(1), direction(2)
    pair = reader.read((as_npy(one), as_npy(other))).warnings
    assert pair == ("Embedding 1 and embedding 2 seem to show different people.",)
    third = reader.read((as_npy(one), as_npy(one + other / 10), as_npy(other))).warnings
    assert len(third) == 1
    assert third[0].startswith("Embedding 3 seems to show somebody else")


def test_opposite_embeddings_have_no_mean(reader: IdentityReader) -> None:
    error = error_of(reader, as_npy(direction(1)), as_npy(-direction(1)))
    assert error.failure.code == ErrorCode.EMBEDDING_INVALID


BAD_EMBEDDINGS = {
    "another size": (np.ones(128, np.float32), "(128,)"),
    "two faces": (np.ones((2, 512), np.float32), "(2, 512)"),
    "whole numbers": (np.ones(512, np.int64), "int64"),
    "halves": (np.ones(512, np.float16), "float16"),
    "not a number": (np.full(512, np.nan, np.float32), "finite"),
    "nothing": (np.zeros(512, np.float32), "zero"),
}


@pytest.mark.parametrize(("values", "said"), BAD_EMBEDDINGS.values(), ids=BAD_EMBEDDINGS.keys())
def test_an_embedding_that_is_none_is_refused(values: NDArray, said: str) -> None:
    error = error_of(IdentityReader(None), as_npy(values))
    assert error.failure.code == ErrorCode.EMBEDDING_INVALID
    assert said in error.failure.message


def test_a_damaged_or_pickled_embedding_is_refused() -> None:
    whole = as_npy(direction(1))
    pickled = io.BytesIO()
    np.save(pickled, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    for content in (whole[:40], whole[:1000], pickled.getvalue()):
        assert error_of(IdentityReader(None), content).failure.code == ErrorCode.EMBEDDING_INVALID


def test_huge_numbers_are_a_direction_too() -> None:
    identity = IdentityReader(None).read((as_npy(direction(1).astype(np.float64) * 1e300),))
    np.testing.assert_allclose(identity.embedding, direction(1), atol=1e-6)


def test_no_face(reader: IdentityReader) -> None:
    nobody = as_png(np.zeros((640, 640, 3), np.uint8))
    assert error_of(reader, nobody).failure.code == ErrorCode.FACE_NOT_FOUND
    assert "photo 2 of 2" in error_of(reader, portrait(ANN), nobody).failure.message


def test_a_photo_needs_models() -> None:
    error = error_of(IdentityReader(None), portrait(ANN))
    assert error.failure.code == ErrorCode.IDENTITY_UNAVAILABLE
    assert "uvmap-id weights get" in error.failure.hint


def test_without_models_an_embedding_decides_alone() -> None:
    identity = IdentityReader(None).read((portrait(ANN), as_npy(direction(1))))
    np.testing.assert_allclose(identity.embedding, direction(1), atol=1e-6)
    assert "not the photo's" in identity.warnings[0]


def test_an_embedding_needs_no_insightface() -> None:
    program = """
import io, sys
import numpy as np
from uvmap_id.faces.identity import IdentityReader
buffer = io.BytesIO()
np.save(buffer, np.ones(512, np.float32))
IdentityReader(None).read((buffer.getvalue(),))
assert not {"insightface", "onnxruntime", "torch"} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


def test_missing_files_are_named(models: Path, tmp_path: Path) -> None:
    (tmp_path / "det_10g.onnx").write_bytes((models / "det_10g.onnx").read_bytes())
    error = error_of(IdentityReader(tmp_path), portrait(ANN))
    assert error.failure.code == ErrorCode.WEIGHTS_INCOMPLETE
    assert "w600k_r50.onnx" in error.failure.message
    assert "det_10g.onnx" not in error.failure.message


@pytest.mark.parametrize("name", ["det_10g.onnx", "w600k_r50.onnx"])
@pytest.mark.parametrize("content", [b"", b"<html>not found</html>", None])
def test_files_that_are_no_models_are_refused(tmp_path: Path, name: str, content: bytes | None) -> None:
    """None stands for another model of the pack under this name."""
    write_models(tmp_path)
    (tmp_path / name).write_bytes((tmp_path / "genderage.onnx").read_bytes() if content is None else content)
    assert error_of(IdentityReader(tmp_path), portrait(ANN)).failure.code == ErrorCode.WEIGHTS_INVALID


def test_two_runtimes_at_once_are_explained(models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    installed = tmp_path / "onnxruntime_gpu-1.30.0.dist-info"
    installed.mkdir()
    (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: onnxruntime-gpu\nVersion: 1.30.0\n")
    monkeypatch.syspath_prepend(tmp_path)
    error = error_of(IdentityReader(models), portrait(ANN))
    assert error.failure.code == ErrorCode.IDENTITY_UNAVAILABLE
    assert "onnxruntime-gpu 1.30.0" in error.failure.message
    assert "pip uninstall" in error.failure.hint


@pytest.mark.parametrize("broken", [False, True])
def test_a_package_that_cant_be_imported_is_named(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: bool
) -> None:
    program = f"""
import sys
from pathlib import Path
from uvmap_id.faces.recogniser import Recogniser
from uvmap_id.link.errors import UVMapError
try:
    Recogniser(Path({str(models)!r}))
except UVMapError as error:
    print(error.failure.code, error.failure.hint)
"""
    if broken:
        (tmp_path / "insightface").mkdir()
        (tmp_path / "insightface" / "__init__.py").write_text("raise ImportError('a library is missing')")
        monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=":")
    else:
        program = "import sys\n" + HIDE_INSIGHTFACE + program
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    code, hint = done.stdout.split(" ", 1)
    assert code == ErrorCode.PACKAGE_MISSING
    assert ("--force-reinstall" in hint) is broken


HIDE_INSIGHTFACE = """
class Hidden:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name.partition(".")[0] == "insightface":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Hidden)
"""
