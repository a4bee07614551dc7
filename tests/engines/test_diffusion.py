"""The engine "uvmap-id" on tiny weights with real names: what it makes, says, and refuses."""

from __future__ import annotations

import hashlib
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skimage.data
from numpy.typing import NDArray
from PIL import Image

pytest.importorskip("torch", reason="the extra [diffusion] is not installed")
pytest.importorskip("insightface", reason="the extra [diffusion] is not installed")

import torch
from tiny_identity import marked, scene

from uvmap_id.atlas.layout import Atlas
from uvmap_id.atlas.parts import REGIONS, Part
from uvmap_id.engines.base import EngineLostError, JobCancelled, TextureSet
from uvmap_id.engines.diffusion.anchor import ProjectedFace, face_mask, make_anchor
from uvmap_id.engines.diffusion.choice import choose_weights
from uvmap_id.engines.diffusion.engine import UVMapIDEngine
from uvmap_id.engines.diffusion.loaded import PipelineHolder
from uvmap_id.engines.projection.engine import ProjectionEngine
from uvmap_id.engines.region import OldTexture, generate_in_region
from uvmap_id.engines.registry import choose_engine, create_engine
from uvmap_id.link.errors import ErrorCode, UVMapError
from uvmap_id.link.region import Region
from uvmap_id.link.request import DiffusionSettings, TextureRequest
from uvmap_id.weights.catalogue import Purpose
from uvmap_id.weights.importing import Import, import_weights
from uvmap_id.weights.store import DIR_VARIABLE, WeightsStore

ANN, BOB = scene((1, 2, 8, 8)), scene((2, 2, 8, 8))
Made = Callable[..., TextureSet]


def as_png(image: NDArray[np.uint8]) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG")
    return buffer.getvalue()


def silent(stage: str, fraction: float, preview: object = None) -> None:
    assert stage
    assert 0 <= fraction <= 1


def request_for(photo: bytes, **options: Any) -> TextureRequest:
    diffusion = {name: options.pop(name) for name in list(options) if name in DiffusionSettings.__dataclass_fields__}
    # Without guidance each step costs half.
    settings = DiffusionSettings(**{"steps": 2, "guidance": 1.0, **diffusion})
    values = {"prompt": "white shirt", "subject": "asian woman", "size": 512, "engine": "uvmap-id", **options}
    return TextureRequest(hashlib.sha256(photo).hexdigest(), diffusion=settings, **values)


@pytest.fixture(scope="module")
def engine(weights_folder: Path) -> UVMapIDEngine:
    return UVMapIDEngine(WeightsStore(weights_folder))


@pytest.fixture(scope="module")
def portrait() -> bytes:
    """A real face, which the projection engine sees, with a mark that the tiny detector sees."""
    return as_png(marked(skimage.data.astronaut()))


@pytest.fixture(scope="module")
def make(engine: UVMapIDEngine) -> Made:
    def run(photo: bytes | NDArray[np.uint8] = ANN, more: tuple[bytes, ...] = (), **options: Any) -> TextureSet:
        content = photo if isinstance(photo, bytes) else as_png(photo)
        named = tuple(hashlib.sha256(each).hexdigest() for each in more)
        return engine.generate(request_for(content, more_faces=named, **options), (content, *more), silent)

    return run


@pytest.fixture(scope="module")
def textures(make: Made) -> TextureSet:
    return make()


def error_of(work: Callable[[], object]) -> UVMapError:
    with pytest.raises(UVMapError) as caught:
        work()
    return caught.value


def test_it_makes_all_maps_and_says_how(textures: TextureSet) -> None:
    assert textures.base_color.shape == textures.normal.shape == (512, 512, 3)
    assert textures.roughness.shape == textures.subsurface.shape == (512, 512)
    details = textures.details
    assert (details["weights"], details["weights_kind"], details["steps"]) == ("uvmap-id", "uvmap-id-a", 2)
    assert details["prompt"] == "a sks texturemap of asian woman white shirt"
    assert details["identity"] == {"photos": 1, "embeddings": 0, "faces_seen": 1, "suggested_gender": "man"}
    assert details["skipped"] == {}
    assert details["seam_step"]["after"] < details["seam_step"]["before"] / 2
    assert set(details["weights_sha256"]) == {"uvmap-id", "sd-vae-ft-mse", "buffalo-l"}
    assert textures.warnings == ()
    assert "/" not in json.dumps(details).replace("checkpoint-1500/", "").replace("unet/", "").replace("encoder/", "")


def test_the_same_request_gives_the_same_bytes(make: Made, weights_folder: Path, textures: TextureSet) -> None:
    photo = as_png(ANN)
    fresh = UVMapIDEngine(WeightsStore(weights_folder)).generate(request_for(photo), (photo,), silent)
    for again in (make(), fresh):
        assert (again.base_color == textures.base_color).all()
        assert (again.normal == textures.normal).all()
        assert again.details == textures.details


@pytest.mark.parametrize("change", [{"seed": 1}, {"prompt": "red dress"}, {"photo": BOB}, {"guidance": 7.5}])
def test_everything_that_is_asked_for_counts(make: Made, textures: TextureSet, change: dict[str, Any]) -> None:
    assert (make(**change).base_color != textures.base_color).any()


def test_without_strength_nobody_is_looked_at(make: Made) -> None:
    blank = np.zeros((640, 640, 3), np.uint8)
    assert error_of(lambda: make(blank)).failure.code == ErrorCode.FACE_NOT_FOUND
    result = make(blank, identity_strength=0.0)
    assert result.details["identity"] is None
    assert "buffalo-l" not in result.details["weights_sha256"]


def test_text_only_weights_say_that_the_photo_is_not_used(make: Made) -> None:
    result = make(weights="text-only")
    assert result.details["identity"] is None
    assert [warning for warning in result.warnings if "text-only" in warning and "anchor" in warning]
    assert (make(BOB, weights="text-only").base_color == result.base_color).all()


def test_a_subject_without_ethnicity_is_mentioned(make: Made) -> None:
    assert any("gender and ethnicity" in warning for warning in make(subject="woman").warnings)


def test_more_photos_and_embeddings_make_one_identity(make: Made, textures: TextureSet) -> None:
    buffer = io.BytesIO()
    np.save(buffer, np.ones(512, np.float32))
    result = make(more=(as_png(ANN), buffer.getvalue()))
    assert result.details["identity"]["photos"] == 2
    assert result.details["identity"]["embeddings"] == 1
    assert (result.base_color != textures.base_color).any()


def test_a_preset_says_what_it_skips(make: Made) -> None:
    assert make(preset="draft", steps=6).details["skipped"]


def test_a_firm_anchor_keeps_the_projected_face(make: Made, portrait: bytes) -> None:
    """At 1 the face is the photo's, at 0 the paper's pipeline knows nothing of it, and 0.5 lies between."""
    options: dict[str, Any] = {"size": 1024, "identity_strength": 0.0, "steps": 3}
    request = request_for(portrait, **options)
    projected = ProjectionEngine().generate(request, (portrait,), silent).base_color.astype(int)
    face = face_mask(Atlas.load(), 1024) > 0.999
    away = {}
    for anchor in (0.0, 0.5, 1.0):
        colour = make(portrait, anchor=anchor, **options).base_color.astype(int)
        away[anchor] = np.abs(colour - projected)[face].mean()
        if anchor == 1.0:
            assert np.abs(colour - projected)[face].max() <= 1
            beyond = (face_mask(Atlas.load(), 1024) == 0) & Atlas.load().mask(1024)
            assert np.abs(colour - projected)[beyond].mean() > 5
    assert away[1.0] < away[0.5] < away[0.0]
    assert away[0.0] > 20


def test_an_anchor_needs_a_face_that_can_be_projected(make: Made) -> None:
    assert error_of(lambda: make(anchor=0.5)).failure.code == ErrorCode.FACE_NOT_FOUND


def test_an_anchors_warnings_are_about_the_photo_alone(make: Made, portrait: bytes) -> None:
    result = make(portrait, anchor=0.5, prompt="white shirt, holding a trumpet")
    assert any("small" in warning for warning in result.warnings)
    assert not any("trumpet" in warning for warning in result.warnings)
    assert result.details["anchor"]["amount"] == 0.5
    assert "trumpet" in result.details["prompt"]


def test_a_cancel_ends_it_within_one_step(engine: UVMapIDEngine) -> None:
    photo = as_png(ANN)
    seen: list[str] = []

    def stop(stage: str, fraction: float, preview: object = None) -> None:
        seen.append(stage)
        if stage.startswith("Painting, step 2"):
            raise JobCancelled

    with pytest.raises(JobCancelled):
        engine.generate(request_for(photo, steps=50), (photo,), stop)
    assert seen[-1] == "Painting, step 2 of 50"
    assert engine.generate(request_for(photo), (photo,), silent).details["steps"] == 2


def test_progress_runs_forwards_and_shows_what_becomes_of_it(engine: UVMapIDEngine, portrait: bytes) -> None:
    fractions, shown = [], []

    def report(stage: str, fraction: float, preview: NDArray[np.uint8] | None = None) -> None:
        fractions.append(fraction)
        if preview is not None:
            shown.append(preview)

    engine.generate(request_for(portrait, steps=8, anchor=0.2), (portrait,), report)
    assert fractions == sorted(fractions)
    assert len(fractions) > 8
    assert all(picture.shape == (128, 128, 3) and picture.dtype == np.uint8 for picture in shown)


def test_unknown_and_missing_weights_are_named(make: Made, tmp_path: Path) -> None:
    photo = as_png(ANN)
    none = UVMapIDEngine(WeightsStore(tmp_path))
    error = error_of(lambda: none.generate(request_for(photo), (photo,), silent))
    assert error.failure.code == ErrorCode.WEIGHTS_MISSING
    assert "uvmap-id weights list" in error.failure.hint
    for change, code in (
        ({"weights": "no-such"}, ErrorCode.WEIGHTS_UNKNOWN),
        ({"weights": "texdreamer"}, ErrorCode.WEIGHTS_MISSING),
        ({"weights": "sd-vae-ft-mse"}, ErrorCode.WEIGHTS_UNSUPPORTED),
        ({"upscaler": "sd-vae-ft-mse"}, ErrorCode.WEIGHTS_UNSUPPORTED),
        ({"upscaler": "realesrgan-x4plus"}, ErrorCode.WEIGHTS_MISSING),
        ({"scheduler": "nonsense"}, ErrorCode.SCHEDULER_UNKNOWN),
        ({"template": "{hat}"}, ErrorCode.SETTING_OUT_OF_RANGE),
    ):
        assert error_of(lambda change=change: make(**change)).failure.code == code


def test_an_adapter_is_loaded_on_its_base(weights_folder: Path, tmp_path: Path) -> None:
    tiny, store = weights_folder.parent / "tiny", WeightsStore(tmp_path)
    adapter = Import(tiny / "faceid" / "ip-adapter-faceid_sd15.bin", "ip-adapter-faceid-sd15")
    import_weights(store, adapter)
    error = error_of(lambda: choose_weights(store, "ip-adapter-faceid-sd15"))
    assert error.failure.code == ErrorCode.WEIGHTS_MISSING
    assert "realistic-vision-v4" in error.failure.hint
    import_weights(store, Import(tiny / "sd15", "my-base", Purpose.BASE))
    choice = choose_weights(store, "")
    assert choice.ids == ("ip-adapter-faceid-sd15", "my-base")
    assert choice.knows_faces
    assert PipelineHolder().pipeline(choice).identity_projection is not None


def test_no_models_for_faces_are_named(weights_folder: Path, tmp_path: Path) -> None:
    for folder in weights_folder.iterdir():
        if folder.name in ("uvmap-id", "sd-vae-ft-mse"):
            (tmp_path / folder.name).symlink_to(folder)
    photo = as_png(ANN)
    engine = UVMapIDEngine(WeightsStore(tmp_path))
    error = error_of(lambda: engine.generate(request_for(photo), (photo,), silent))
    assert error.failure.code == ErrorCode.IDENTITY_UNAVAILABLE


def test_a_rested_engine_goes_on_as_before(engine: UVMapIDEngine, make: Made, textures: TextureSet) -> None:
    engine.rest()
    assert (make().base_color == textures.base_color).all()


def test_running_out_of_memory_is_tried_once_more_with_less(weights_folder: Path) -> None:
    store = WeightsStore(weights_folder)
    holder = PipelineHolder()
    tiled: list[bool] = []

    def work(pipeline: Any) -> str:
        tiled.append(pipeline.vae.use_tiling)
        if len(tiled) == 1:
            torch.empty(2**50)
        return "done"

    assert holder.run(work, choose_weights(store, "uvmap-id")) == ("done", True)
    assert tiled == [False, True]
    error = error_of(lambda: holder.run(lambda pipeline: torch.empty(2**50), choose_weights(store, "uvmap-id")))
    assert error.failure.code == ErrorCode.OUT_OF_MEMORY
    assert holder.run(lambda pipeline: pipeline.vae.use_tiling, choose_weights(store, "uvmap-id")) == (False, False)


def test_a_sparing_engine_holds_no_weights_while_it_makes_maps(weights_folder: Path, textures: TextureSet) -> None:
    engine, photo = UVMapIDEngine(WeightsStore(weights_folder)), as_png(ANN)
    assert engine.spare()
    assert not engine.spare()
    held: list[str] = []

    def report(stage: str, fraction: float, preview: object = None) -> None:
        if stage == "Making the maps":
            held.append(engine._holder.kind)

    made = engine.generate(request_for(photo), (photo,), report)
    assert held == [""]
    assert (made.base_color == textures.base_color).all()


def test_a_device_that_is_gone_ends_the_process(weights_folder: Path) -> None:
    """No test can take a card away; torch's device without memory gives no answer either."""
    holder = PipelineHolder()
    holder.device = torch.device("meta")

    def work(pipeline: Any) -> None:
        raise RuntimeError("CUDA error: unspecified launch failure")

    with pytest.raises(EngineLostError) as caught:
        holder.run(work, choose_weights(WeightsStore(weights_folder), "uvmap-id"))
    assert caught.value.failure.code == ErrorCode.DEVICE_LOST


def test_errors_of_the_code_are_not_taken_for_the_devices(weights_folder: Path) -> None:
    def work(pipeline: Any) -> None:
        raise RuntimeError("a mistake")

    with pytest.raises(RuntimeError, match="a mistake"):
        PipelineHolder().run(work, choose_weights(WeightsStore(weights_folder), "uvmap-id"))


def test_automatic_choice_needs_an_accelerator(weights_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(DIR_VARIABLE, str(weights_folder))
    expected = "uvmap-id" if torch.cuda.is_available() or torch.backends.mps.is_available() else "projection"
    assert choose_engine("auto") == expected
    assert choose_engine("uvmap-id") == "uvmap-id"
    assert create_engine("uvmap-id").name == "uvmap-id"


def run_python(program: str, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
        env={**os.environ, **environment},
    )
    return done.stdout


def test_automatic_choice_without_weights_loads_no_torch(tmp_path: Path) -> None:
    program = """
import sys
from uvmap_id.engines.registry import choose_engine
print(choose_engine("auto"), {"torch", "diffusers"} & set(sys.modules))
"""
    assert run_python(program, **{DIR_VARIABLE: str(tmp_path)}) == "projection set()\n"


def test_the_projection_engine_loads_no_torch(tmp_path: Path, photo_file: bytes) -> None:
    (tmp_path / "face.png").write_bytes(photo_file)
    program = f"""
import hashlib, sys
from pathlib import Path
from uvmap_id.engines.registry import choose_engine, create_engine
from uvmap_id.link.request import TextureRequest
photo = Path({str(tmp_path / "face.png")!r}).read_bytes()
request = TextureRequest(hashlib.sha256(photo).hexdigest(), "white shirt", size=512)
create_engine(choose_engine("auto")).generate(request, (photo,), lambda *told: None)
print(sorted({{"torch", "diffusers", "transformers", "onnxruntime", "insightface"}} & set(sys.modules)))
"""
    assert run_python(program, **{DIR_VARIABLE: str(tmp_path / "none")}) == "[]\n"


@pytest.mark.parametrize(("how", "said"), [("hidden", "not installed"), ("broken", "can't be loaded")])
def test_without_torch_the_engine_says_what_to_install(tmp_path: Path, how: str, said: str) -> None:
    program = """
from uvmap_id.engines.registry import create_engine
from uvmap_id.link.errors import UVMapError
try:
    create_engine("uvmap-id")
except UVMapError as error:
    print(error.failure)
"""
    if how == "hidden":
        program = f"import importlib.util as u, sys\nsys.modules['diffusers'] = None\n{HIDE}" + program
    else:
        (tmp_path / "diffusers").mkdir()
        (tmp_path / "diffusers" / "__init__.py").write_text("raise OSError('a library is missing')")
        program = f"import sys\nsys.path.insert(0, {str(tmp_path)!r})\n" + program
    printed = run_python(program)
    assert printed.startswith("engine_unavailable: ")
    assert said in printed
    assert 'pip install "uvmap-id[diffusion]"' in printed


HIDE = """
del sys.modules['diffusers']
find = u.find_spec
u.find_spec = lambda name, package=None: None if name == "diffusers" else find(name, package)
"""


def test_a_region_is_painted_into_the_texture_that_is_there(make: Made, engine: UVMapIDEngine, portrait: bytes) -> None:
    old = make(portrait, seed=1)
    maps = tuple(map(as_png, (old.base_color, old.normal, old.roughness)))
    digests = tuple(hashlib.sha256(each).hexdigest() for each in maps)
    atlas = Atlas.load()
    elsewhere = atlas.mask(512) & ~atlas.shows(REGIONS["torso"], 512)
    free = make(portrait, seed=2).base_color
    request = request_for(portrait, seed=2, region=Region(digests, ("torso",)))
    painted = engine.generate(request, (portrait, *maps), silent).base_color.astype(int)
    result = generate_in_region(engine, request, (portrait, *maps), silent)
    # The model itself was held to the old picture outside, so that what it paints beside it fits.
    away = [np.abs(each.astype(int) - old.base_color)[elsewhere].mean() for each in (free, painted)]
    # The tiny autoencoder gives back little of what it is shown.
    assert away[1] < 0.8 * away[0]
    assert (result.base_color[elsewhere] == old.base_color[elsewhere]).all()
    inside = atlas.shows({Part.CHEST}, 512)
    assert (result.base_color[inside] != old.base_color[inside]).any(axis=1).mean() > 0.5


def test_a_region_over_the_face_takes_the_anchored_face(portrait: bytes) -> None:
    atlas = Atlas.load()
    face = ProjectedFace(np.full((512, 512, 3), 0.25, np.float32), face_mask(atlas, 512), 0.5)
    share = np.zeros((512, 512), np.float32)
    share[atlas.shows(REGIONS["head"], 512)] = 1
    grey, flat = np.full((512, 512, 3), 255, np.uint8), np.zeros((512, 512), np.uint8)
    anchor = make_anchor(atlas, face, OldTexture(grey, grey, flat, None, share), 512)
    assert anchor is not None
    middle = face_mask(atlas, 512) == 1
    assert anchor.images[0][middle].mean() == pytest.approx(0.25)
    assert anchor.mask[middle].mean() == pytest.approx(0.5)
    chest = atlas.shows({Part.CHEST}, 512)
    assert anchor.images[0][chest].mean() == 1
    assert anchor.mask[chest].mean() == 1
    assert (anchor.amount, anchor.structure) == (1.0, 0.0)
    assert make_anchor(atlas, None, None, 512) is None
