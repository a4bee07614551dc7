"""The configuration is read strictly: whatever is wrong with it is named."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from uvmap_id.link.errors import UVMapError
from uvmap_id.training.config import parse_config, read_config, to_toml

ROOT = Path(__file__).parents[2]
NEEDED = {"data": {"dataset": "d"}, "model": {"weights": "w"}, "output": {"folder": "o"}}


def refused(values: dict) -> str:
    with pytest.raises(UVMapError) as caught:
        parse_config(values)
    assert caught.value.failure.code == "config_invalid"
    return f"{caught.value.failure.message} {caught.value.failure.hint}"


def test_the_example_is_the_papers_training():
    config = read_config(ROOT / "examples" / "train_uvmap_id.toml")
    training, model = config.training, config.model
    assert (training.learning_rate, training.weight_decay, training.batch_size) == (1e-6, 0.01, 2)
    assert (training.steps, config.data.size, config.data.textures_per_identity) == (1500, 512, 2)
    assert (model.train_unet, model.train_text_encoder, model.train_identity) == (True, True, True)
    assert (config.prior.weight, config.prior.prompt) == (1.0, "a texturemap")
    assert config.data.template == "a sks texturemap of {ethnicity} {gender} {prompt}"
    assert model.identity == "ip-adapter-faceid-sd15"


def test_what_is_not_said_is_as_in_the_paper():
    config = parse_config(NEEDED)
    example = read_config(ROOT / "examples" / "train_uvmap_id.toml")
    assert config.training == example.training
    assert config.prior == example.prior


def test_a_configuration_survives_being_written(tmp_path: Path):
    config = parse_config(NEEDED | {"output": {"folder": 'a "b" \\c', "tensorboard": True}, "lora": {"alpha": 3}})
    path = tmp_path / "config.toml"
    path.write_text(to_toml(config), encoding="utf-8")
    assert read_config(path) == config


@pytest.mark.parametrize(
    ("table", "settings", "named", "offered"),
    [
        ("training", {"stepz": 3}, "training.stepz", "steps"),
        ("training", {"steps": "many"}, "training.steps", "a whole number"),
        ("training", {"steps": True}, "training.steps", "a whole number"),
        ("training", {"steps": 0}, "training.steps", "1 or more"),
        ("training", {"steps": 1.5}, "training.steps", "a whole number"),
        ("training", {"learning_rate": 0}, "training.learning_rate", "more than 0"),
        ("training", {"learning_rate": float("nan")}, "training.learning_rate", "more than 0"),
        ("training", {"mixed_precision": "fp8"}, "training.mixed_precision", "no, fp16, bf16"),
        ("training", {"ema": 1}, "training.ema", "true or false"),
        ("training", {"drop_text": 0.6, "drop_both": 0.6}, "drop_text", "docs/training.md"),
        ("data", {"dataset": "d", "size": 500}, "data.size", "a multiple of 8"),
        ("data", {"dataset": "d", "template": "a {face}"}, "data.template", "{ethnicity}"),
        ("data", {}, "data.dataset", "docs/training.md"),
        ("prior", {"images": 0}, "prior.images", "1 or more"),
        ("trainings", {}, "trainings", "data, model, prior, lora, training, output"),
        ("model", {"weights": "w", "train_vae": True}, "model.train_vae", "train_unet"),
        ("lora", [], "lora", "[lora]"),
    ],
)
def test_what_is_wrong_is_named_with_what_is_offered(table: str, settings: dict, named: str, offered: str):
    said = refused({**NEEDED, table: settings})
    assert named in said
    assert offered in said


def test_training_nothing_is_refused():
    model = {"weights": "w", "train_unet": False, "train_text_encoder": False, "train_identity": False}
    assert "train_unet" in refused({**NEEDED, "model": model})
    model["train_identity"] = True
    assert "lora" in refused({**NEEDED, "model": model, "lora": {"enabled": True}})


@pytest.mark.parametrize("text", ["steps 3", "[training]\nsteps = = 3", "\x00"])
def test_what_is_no_toml_is_said(text: str, tmp_path: Path):
    path = tmp_path / "config.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UVMapError) as caught:
        read_config(path)
    assert caught.value.failure.code == "config_invalid"


def test_changes_win_over_the_file(values: Callable, config_file: Callable):
    path = config_file(values())
    config = read_config(path, ["training.steps=7", "model.vae=some-vae", "training.ema=true"])
    assert (config.training.steps, config.model.vae, config.training.ema) == (7, "some-vae", True)
    for change in ("steps=7", "training.steps", "training.nothing=3"):
        with pytest.raises(UVMapError):
            read_config(path, [change])


def test_every_setting_is_in_the_docs():
    page = (ROOT / "docs" / "training.md").read_text(encoding="utf-8")
    for table, settings in parse_config(NEEDED).values().items():
        assert f"[{table}]" in page
        for key in settings:
            assert f"`{key}`" in page, f"{table}.{key} is in no table"
