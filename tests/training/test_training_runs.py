"""Whole runs of small models in this process."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from training_witness import Witness

from uvmap_id.datasets.folder import METADATA
from uvmap_id.link.errors import UVMapError
from uvmap_id.pipelines.uvmap_id import UVMapIDPipeline
from uvmap_id.training.config import parse_config
from uvmap_id.training.logs import read_losses
from uvmap_id.training.loop import Trainer
from uvmap_id.training.objective import Objective
from uvmap_id.training.run import train
from uvmap_id.weights.load import load_components
from uvmap_id.weights.manifest import verify
from uvmap_id.weights.tiny import make_tiny

Values = Callable[..., dict[str, Any]]


@pytest.fixture
def run(values: Values, witness: Witness, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Trains with what a test changes, and returns the run's folder."""
    monkeypatch.setenv("ACCELERATE_USE_CPU", "true")

    def go(resume: bool = False, **changes: dict[str, Any]) -> Path:
        config = parse_config(values(**changes))
        train(config, witness, resume=resume)
        return config.out

    return go


def size_of(file: Path) -> tuple[int, int]:
    with Image.open(file) as image:
        return image.size


def failure(run: Callable[..., Path], **changes: Any) -> Any:
    with pytest.raises(UVMapError) as caught:
        run(**changes)
    return caught.value.failure


def test_a_trained_model_makes_a_texture(run: Callable[..., Path], witness: Witness):
    out = run(
        training={"steps": 3, "ema": True, "drop_both": 0.5, "min_snr": 5.0, "accumulation": 2, "schedule": "cosine"},
        output={"sample_every": 2, "checkpoint_every": 2, "tensorboard": True, "licence": "CC0-1.0"},
    )
    assert witness.steps == [1, 2, 3]
    assert [row.step for row in read_losses(out)] == [1, 2, 3]
    manifest = verify(out / "model")
    assert (manifest.source, manifest.licence) == ("trained", "CC0-1.0")
    card = (out / "model" / "README.md").read_text(encoding="utf-8")
    for said in ('license: "CC0-1.0"', "| People | 5 |", "drawn by a program: 5", "learning_rate = 0.001"):
        assert said in card
    for step in (2, 3):
        samples = sorted((out / "samples" / f"step-{step:08d}").iterdir())
        assert [size_of(sample) for sample in samples] == [(32, 32)] * 2
    assert sorted(each.name for each in (out / "checkpoints").iterdir()) == ["step-00000002", "step-00000003"]
    assert any((out / "tensorboard").iterdir())
    assert not list(out.rglob("*.part"))
    modules: Any = load_components(out / "model").modules()
    pipeline = UVMapIDPipeline(**modules)
    identity = torch.nn.functional.normalize(torch.ones(1, 512))
    image = pipeline(["a face"], identity, [0], num_inference_steps=2, height=32, width=32).images[0]
    assert np.isfinite(image).all()


def test_everything_that_is_to_learn_learns_and_nothing_else(run: Callable[..., Path], small_weights: Path):
    before = load_components(small_weights)
    out = run(model={"train_text_encoder": False}, prior={"weight": 0.0})
    after = load_components(out / "model")
    assert after.identity_projection is not None

    def same(name: str) -> bool:
        old, new = (getattr(each, name).state_dict() for each in (before, after))
        return all(torch.equal(old[key], new[key]) for key in old)

    assert same("vae")
    assert same("text_encoder")
    assert not same("unet")
    identity = after.identity_projection.state_dict()
    assert any(tensor.any() for name, tensor in identity.items() if name.endswith("to_v_ip.weight"))


def test_low_rank_updates_end_up_in_the_weights(run: Callable[..., Path], small_weights: Path):
    out = run(lora={"enabled": True, "rank": 4, "alpha": 4}, model={"train_identity": False}, training={"steps": 2})
    before, after = load_components(small_weights).unet.state_dict(), load_components(out / "model").unet.state_dict()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed
    assert all(".attn" in name for name in changed)


def test_an_adapter_and_fused_weights_can_be_begun_with(run: Callable[..., Path], tmp_path: Path):
    tiny = make_tiny(tmp_path / "tiny")
    adapter, base = tiny["faceid-safetensors"].path, tiny["sd15"].path
    data, prior = {"size": 64}, {"weight": 0.0}
    out = run(data=data, prior=prior, model={"weights": str(base), "identity": str(adapter)}, training={"steps": 1})
    kept = tmp_path / "fused"
    shutil.move(out / "model", kept)
    shutil.rmtree(out)
    out = run(data=data, prior=prior, model={"weights": str(kept), "identity": "weights"}, training={"steps": 1})
    assert verify(out / "model").identity["tokens"] == 4
    shutil.rmtree(out)
    said = failure(run, data=data, model={"weights": str(base), "identity": "weights"})
    assert said.code == "config_invalid"
    assert '"zero"' in said.hint
    said = failure(run, data={"size": 32}, model={"weights": str(base), "identity": "zero"})
    assert said.code == "config_invalid"
    assert "multiple of 64" in said.hint


def test_a_resumed_run_is_an_unbroken_one(run: Callable[..., Path], witness: Witness, tmp_path: Path):
    changing = {"learning_rate": 1e-2, "drop_text": 0.3, "ema": True, "schedule": "linear", "warmup_steps": 2}
    whole = run(training={"steps": 6, **changing}, output={"folder": str(tmp_path / "whole"), "checkpoint_every": 2})
    broken = tmp_path / "broken"
    shutil.copytree(whole, broken)
    # As if the power had gone in step 6: the checkpoint of step 6 was never made, that of step 4 is there.
    shutil.rmtree(broken / "checkpoints" / "step-00000006")
    shutil.rmtree(broken / "model")
    lines = (broken / "loss.csv").read_text().splitlines(keepends=True)
    (broken / "loss.csv").write_text("".join(lines[:6]) + lines[6][:9])
    run(resume=True, training={"steps": 6, **changing}, output={"folder": str(broken), "checkpoint_every": 2})
    assert (broken / "loss.csv").read_bytes() == (whole / "loss.csv").read_bytes()
    assert witness.steps == [1, 2, 3, 4, 5, 6, 5, 6]
    for name in ("unet/diffusion_pytorch_model.safetensors", "identity.safetensors", "text_encoder/model.safetensors"):
        assert (broken / "model" / name).read_bytes() == (whole / "model" / name).read_bytes()


def test_damaged_checkpoints_are_passed_over_and_others_refused(run: Callable[..., Path], witness: Witness):
    settings: dict[str, Any] = {"training": {"steps": 4}, "output": {"checkpoint_every": 2}}
    out = run(**settings)
    assert failure(run, **settings).code == "output_not_writable"
    file = out / "checkpoints" / "step-00000004" / "model.safetensors"
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    run(resume=True, **settings)
    assert any("step-00000004" in warning and "passed over" in warning for warning in witness.warnings)
    assert witness.steps == [1, 2, 3, 4, 3, 4]
    other = settings | {"lora": {"enabled": True}}
    assert failure(run, resume=True, **other).code == "checkpoint_invalid"
    for each in (out / "checkpoints").iterdir():
        (each / "state.json").write_text("{}")
    assert failure(run, resume=True, **settings).code == "checkpoint_invalid"


def test_a_run_can_be_made_longer(run: Callable[..., Path], witness: Witness):
    run(training={"steps": 2})
    run(resume=True, training={"steps": 3}, output={"keep_checkpoints": 1})
    assert witness.steps == [1, 2, 3]


def test_class_images_are_made_once_and_for_what_decides_them(run: Callable[..., Path], witness: Witness):
    out = run(training={"steps": 1})
    made = {file: file.stat().st_mtime_ns for file in out.glob("class_images/*/*.png")}
    assert len(made) == 2
    run(resume=True, training={"steps": 2}, prior={"images": 3})
    assert all(file.stat().st_mtime_ns == made[file] for file in made)
    assert len(list(out.glob("class_images/*/*.png"))) == 3
    run(resume=True, training={"steps": 3}, prior={"prompt": "a map"})
    assert len(list(out.glob("class_images/*"))) == 2
    assert any("prior.prompt" in warning for warning in witness.warnings)


def test_a_diverged_run_says_so_and_keeps_its_checkpoint(
    run: Callable[..., Path], witness: Witness, monkeypatch: pytest.MonkeyPatch
):
    plain = Objective.noised

    def overflowing(self: Objective, latents: Tensor, noise: Tensor, timesteps: Tensor) -> Tensor:
        # What the U-Net makes of numbers this large is none.
        return plain(self, latents, noise, timesteps) * (1e38 if len(witness.steps) == 3 else 1)

    monkeypatch.setattr(Objective, "noised", overflowing)
    said = failure(run, training={"steps": 5}, output={"checkpoint_every": 2})
    assert said.code == "training_diverged"
    assert "step 4" in said.message
    assert "learning_rate" in said.hint
    monkeypatch.setattr(Objective, "noised", plain)
    out = run(resume=True, training={"steps": 5}, output={"checkpoint_every": 2})
    assert witness.steps == [1, 2, 3, 3, 4, 5]
    assert all(row.loss < 10 for row in read_losses(out))


def test_without_memory_the_settings_that_help_are_named(run: Callable[..., Path], monkeypatch: pytest.MonkeyPatch):
    # A batch that no machine holds: torch's own allocator refuses it.
    def huge(self: Trainer) -> Any:
        return torch.empty(2**55)

    monkeypatch.setattr(Trainer, "_step", huge)
    said = failure(run, training={"steps": 1})
    assert said.code == "out_of_memory"
    for setting in ("gradient_checkpointing", "mixed_precision", "lora.enabled", "batch_size = 1"):
        assert setting in said.hint


def test_half_precision_trains_too(run: Callable[..., Path]):
    out = run(
        training={"mixed_precision": "bf16", "gradient_checkpointing": True, "channels_last": "on"},
        output={"sample_every": 4},
    )
    assert all(0 < row.loss < 5 for row in read_losses(out))


def test_gradient_checkpointing_changes_nothing(run: Callable[..., Path], tmp_path: Path):
    losses = []
    for switch in (False, True):
        out = run(
            training={"gradient_checkpointing": switch, "steps": 3}, output={"folder": str(tmp_path / str(switch))}
        )
        losses.append([row.loss for row in read_losses(out)])
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)


def copy_of(dataset: Path, folder: Path) -> Path:
    shutil.copytree(dataset, folder)
    return folder


def test_bad_datasets_are_named(run: Callable[..., Path], small_dataset: Path, witness: Witness, tmp_path: Path):
    dataset = copy_of(small_dataset, tmp_path / "dataset")
    data = {"dataset": str(dataset)}
    metadata = (dataset / METADATA).read_text(encoding="utf-8")
    (dataset / METADATA).write_text("", encoding="utf-8")
    assert failure(run, data=data).code == "dataset_empty"
    assert failure(run, data={"dataset": str(tmp_path / "none")}).code == "dataset_unreadable"

    first, *others = metadata.splitlines(keepends=True)
    (dataset / METADATA).write_text(first.replace('"embedding": [', '"no": [') + "".join(others), encoding="utf-8")
    said = failure(run, data=data)
    assert said.code == "dataset_unreadable"
    assert "1 of 5" in said.message
    assert "weights get buffalo-l" in said.hint

    (dataset / METADATA).write_text(metadata, encoding="utf-8")
    texture = dataset / "textures" / "person-3.png"
    texture.write_bytes(texture.read_bytes()[:200])
    said = failure(run, data=data)
    assert said.code == "dataset_unreadable"
    assert "person-3.png" in said.message
    texture.write_bytes(b"no picture")
    assert "person-3.png" in failure(run, data=data).message
    assert not (tmp_path / "run" / "checkpoints").exists()


def test_mixed_sizes_and_a_single_person_are_warned_of_once(
    run: Callable[..., Path], small_dataset: Path, witness: Witness, tmp_path: Path
):
    dataset = copy_of(small_dataset, tmp_path / "dataset")
    for number, size in ((0, 40), (1, 64)):
        file = dataset / "textures" / f"person-{number}.png"
        with Image.open(file) as image:
            resized = image.resize((size, size))
        resized.save(file)
    text = (dataset / METADATA).read_text(encoding="utf-8")
    for number in range(1, 5):
        text = text.replace(f'"person-{number}"', '"person-0"')
    (dataset / METADATA).write_text(text, encoding="utf-8")
    run(data={"dataset": str(dataset), "textures_per_identity": 2}, training={"steps": 1})
    said = [warning for warning in witness.warnings if "get resized" in warning]
    assert said == ["2 of 2 textures are not 32 x 32 (40 x 40, 64 x 64) and get resized."]
    assert any("one person alone" in warning for warning in witness.warnings)


def test_missing_weights_are_named(run: Callable[..., Path], tmp_path: Path):
    said = failure(run, model={"weights": str(tmp_path / "none" / "weights")})
    assert said.code == "weights_missing"
    assert "none" in said.message


def test_the_card_has_the_figures_of_a_report(run: Callable[..., Path], tmp_path: Path):
    report = tmp_path / "report.json"
    report.write_text('{"figures": {"dfr": {"title": "DFR", "value": 792, "spread": null, "unit": "of 1000"}}}')
    out = run(training={"steps": 1}, output={"metrics": str(report)})
    assert "| DFR | 792 of 1000 |" in (out / "model" / "README.md").read_text(encoding="utf-8")
    report.write_text("no JSON")
    assert failure(run, resume=True, training={"steps": 2}, output={"metrics": str(report)}).code == "config_invalid"
