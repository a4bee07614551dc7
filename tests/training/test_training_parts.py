"""What the training is made of, each against its definition."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL, DDIMScheduler
from torch import nn

from uvmap_id.datasets.folder import Row
from uvmap_id.link.request import DiffusionSettings
from uvmap_id.pipelines.prompts import encode_prompts, fill_template
from uvmap_id.pipelines.uvmap_id import UVMapIDPipeline
from uvmap_id.training.average import Average
from uvmap_id.training.begin import begin
from uvmap_id.training.config import DataConfig, parse_config
from uvmap_id.training.data import prompt_of
from uvmap_id.training.latents import LatentSource, cached_posteriors, encode
from uvmap_id.training.loop import rate_factor
from uvmap_id.training.lora import add_lora, folded_tensors
from uvmap_id.training.model import Text, TrainedModel
from uvmap_id.training.objective import Objective
from uvmap_id.training.order import Order
from uvmap_id.training.texts import Texts
from uvmap_id.weights.load import load_components
from uvmap_id.weights.store import WeightsStore


@pytest.fixture
def scheduler() -> DDIMScheduler:
    return DDIMScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", clip_sample=False)


def offsets(vae: AutoencoderKL) -> torch.Tensor:
    """What the encoder adds to means and to logarithms of variances, as it can be changed."""
    bias = vae.encoder.conv_out.bias
    assert bias is not None
    return bias.data


def random(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(len(shape)))


def test_noise_is_added_as_diffusers_adds_it(scheduler: DDIMScheduler):
    objective = Objective(scheduler, 1.0, 0.0, torch.device("cpu"))
    latents, noise, times = random(3, 4, 2, 2), random(3, 4, 2, 2) + 1, torch.tensor([0, 500, 999])
    expected = scheduler.add_noise(latents, noise, times)  # pyright: ignore[reportArgumentType]
    torch.testing.assert_close(objective.noised(latents, noise, times), expected)


def test_the_loss_is_the_textures_plus_the_weighted_class_images(scheduler: DDIMScheduler):
    objective = Objective(scheduler, 0.5, 0.0, torch.device("cpu"))
    noise = random(3, 4, 2, 2)
    wrong = noise + torch.tensor([1.0, 3.0, 2.0])[:, None, None, None]
    losses = objective.losses(wrong, torch.zeros_like(noise), noise, torch.tensor([1, 2, 3]), 2)
    assert losses.instance.item() == pytest.approx(5.0)
    assert losses.prior.item() == pytest.approx(4.0)
    assert losses.total.item() == pytest.approx(5.0 + 0.5 * 4.0)


def test_velocity_is_what_diffusers_calls_so():
    scheduler = DDIMScheduler(prediction_type="v_prediction")
    latents, noise, times = random(2, 4, 2, 2), random(2, 4, 2, 2) + 1, torch.tensor([10, 900])
    velocity = scheduler.get_velocity(latents, noise, times)  # pyright: ignore[reportArgumentType]
    objective = Objective(scheduler, 1.0, 0.0, torch.device("cpu"))
    assert objective.losses(velocity, latents, noise, times, 2).total.item() == pytest.approx(0, abs=1e-9)


def test_min_snr_limits_the_weight_of_easy_times(scheduler: DDIMScheduler):
    noise, times = torch.zeros(1, 4, 2, 2), torch.tensor([50])
    kept = scheduler.alphas_cumprod[50]
    ratio = float(kept / (1 - kept))
    assert ratio > 5
    objective = Objective(scheduler, 1.0, 5.0, torch.device("cpu"))
    assert objective.losses(noise + 1, noise, noise, times, 1).total.item() == pytest.approx(5 / ratio, rel=1e-4)
    late = torch.tensor([990])
    assert objective.losses(noise + 1, noise, noise, late, 1).total.item() == pytest.approx(1.0, rel=1e-4)


def test_everything_comes_once_before_anything_comes_again():
    order = Order(7, seed=3, stream=0)
    taken = order.take(0, 21)
    rounds = [taken[start : start + 7] for start in (0, 7, 14)]
    assert all(sorted(each) == list(range(7)) for each in rounds)
    assert rounds[0] != rounds[1]
    assert Order(7, seed=3, stream=0).take(5, 9) == taken[5:14]
    assert Order(7, seed=4, stream=0).take(0, 21) != taken
    assert Order(7, seed=3, stream=1).take(0, 21) != taken


def test_kept_latents_are_drawn_as_the_vae_draws(small_weights: Path, small_dataset: Path, tmp_path: Path):
    vae = load_components(small_weights).vae
    # A deviation that can be seen.
    offsets(vae)[4:] = -1.0
    files = sorted((small_dataset / "textures").iterdir())
    kept = cached_posteriors(vae, files, 32, tmp_path, lambda done: None)
    cached, plain = LatentSource(vae, files, 32, kept), LatentSource(vae, files, 32, None)
    noise = random(2, *cached.shape)
    torch.testing.assert_close(cached.sample([3, 1], noise), plain.sample([3, 1], noise))
    posterior = vae.encode(torch.from_numpy(_pixels(files[3])), return_dict=False)[0]
    many = torch.stack([cached.sample([3], torch.randn(1, *cached.shape))[0] for _ in range(3000)])
    scale = vae.config["scaling_factor"]
    torch.testing.assert_close(many.mean(0), posterior.mean[0] * scale, atol=0.12, rtol=0)
    torch.testing.assert_close(many.std(0), posterior.std[0] * scale, atol=0.12, rtol=0)


def _pixels(file: Path) -> np.ndarray:
    from uvmap_id.training.data import read_texture

    return read_texture(file, 32).transpose(2, 0, 1)[None]


def test_latents_are_encoded_once_and_again_for_another_vae(small_weights: Path, small_dataset: Path, tmp_path: Path):
    vae = load_components(small_weights).vae
    files = sorted((small_dataset / "textures").iterdir())[:2]
    first = cached_posteriors(vae, files, 32, tmp_path, lambda done: None)
    kept = {file: file.stat().st_mtime_ns for file in tmp_path.iterdir()}
    (sorted(kept)[0]).write_bytes(b"not what was written")
    again = cached_posteriors(vae, files, 32, tmp_path, lambda done: None)
    torch.testing.assert_close(first.mean, again.mean, rtol=0, atol=0)
    assert len(list(tmp_path.iterdir())) == 2
    assert sum(file.stat().st_mtime_ns == kept[file] for file in kept) == 1
    offsets(vae)[:4] += 1
    changed = cached_posteriors(vae, files, 32, tmp_path, lambda done: None)
    torch.testing.assert_close(changed.mean, encode(vae, files, 32).mean)


def test_texts_are_those_of_generate():
    row = Row("a.png", "a", prompt="wearing jeans", group="asian", gender="woman")
    config = DataConfig(dataset="d")
    assert prompt_of(row, config) == "a sks texturemap of asian woman wearing jeans"
    assert prompt_of(row, config) == fill_template(DiffusionSettings().template, "wearing jeans", "asian woman")
    without = DataConfig(dataset="d", subject_words=False)
    assert prompt_of(row, without) == "a sks texturemap of wearing jeans"


def test_kept_texts_are_what_the_text_encoder_says(small_weights: Path):
    components = load_components(small_weights)
    words = ["a texturemap", ", ".join(["wearing a very long coat"] * 9), ""]
    device = torch.device("cpu")
    texts = Texts(words, components.tokenizer, device)
    asked = [words[1], words[0], words[1]]
    fresh = texts.of(asked)
    assert len(fresh.portions) == 2
    texts.keep(components.text_encoder)
    kept = texts.of(asked)
    assert kept.encoded is not None
    assert kept.mask is not None
    with torch.no_grad():
        expected, mask = encode_prompts(asked, components.tokenizer, components.text_encoder)
    assert mask is not None
    torch.testing.assert_close(kept.encoded[kept.rows], expected)
    assert torch.equal(kept.mask[kept.rows], mask)


def test_the_model_predicts_what_the_pipeline_does(small_weights: Path):
    """With the text and identity of a sample, training and sampling see the same U-Net."""
    config = parse_config(
        {"data": {"dataset": "d", "size": 32}, "model": {"weights": str(small_weights), "identity": "zero"}}
        | {"output": {"folder": "o"}}
    )
    components, projection = begin(config, WeightsStore())
    for layer in projection.layers:
        nn.init.normal_(layer.get_submodule("to_v_ip").weight)  # pyright: ignore[reportArgumentType]
    model = TrainedModel(components.unet, components.text_encoder, projection)
    modules: dict[str, Any] = components.modules()
    pipeline = UVMapIDPipeline(**modules)
    identity = nn.functional.normalize(random(1, 512))
    texts = Texts(["a face"], components.tokenizer, torch.device("cpu"))
    latents, time = random(1, 4, 16, 16), torch.tensor([500])
    with torch.no_grad():
        trained = model(latents, time, texts.of(["a face"]), identity)
        nobody = model(latents, time, texts.of(["a face"]), torch.zeros(1, 512))
        samples = pipeline._samples(["a face"], None, [0], 1.0, 1.0, identity)
        prepared = pipeline._prepared(samples, None, 32, 32)
        expected, _ = pipeline.split_unet.full(latents.repeat(2, 1, 1, 1), time[0], prepared.conditioning)
    torch.testing.assert_close(trained, expected[1:], atol=1e-5, rtol=1e-4)
    assert (trained - nobody).abs().max() > 1e-3


def test_a_new_identity_adds_nothing_at_first(small_weights: Path):
    config = parse_config(
        {"data": {"dataset": "d", "size": 32}, "model": {"weights": str(small_weights), "identity": "zero"}}
        | {"output": {"folder": "o"}}
    )
    components, _ = begin(config, WeightsStore())
    modules: dict[str, Any] = components.modules()
    known = UVMapIDPipeline(**modules)
    modules["identity_projection"] = None
    plain = UVMapIDPipeline(**modules)
    somebody = nn.functional.normalize(random(1, 512))
    settings: dict[str, Any] = {"num_inference_steps": 2, "height": 32, "width": 32}
    without = plain(["a face"], None, [1], **settings).images
    np.testing.assert_allclose(known(["a face"], somebody, [1], **settings).images, without, atol=1e-6)


def test_folded_updates_compute_what_they_did_beside_the_layers(small_weights: Path):
    unet = load_components(small_weights).unet
    before = {name: tensor.clone() for name, tensor in unet.state_dict().items()}
    add_lora(unet, "unet", 4, 8.0, seed=0)
    for name, parameter in unet.named_parameters():
        assert parameter.requires_grad == (".lora_" in name)
        if ".lora_B." in name:
            nn.init.normal_(parameter, std=0.1)
    inputs = random(1, 4, 16, 16), torch.tensor([10]), random(1, 77, 32)
    with torch.no_grad():
        expected = unet(*inputs)[0]
        folded = folded_tensors(unet)
        plain = load_components(small_weights).unet
        assert folded.keys() == before.keys()
        changed = {name for name in folded if not torch.equal(folded[name], before[name])}
        assert changed == {name for name in before if ".attn" in name and "norm" not in name and "bias" not in name}
        plain.load_state_dict(folded)
        torch.testing.assert_close(plain(*inputs)[0], expected, atol=1e-5, rtol=1e-4)


def test_the_average_follows_and_can_take_the_parameters_place():
    parameter = nn.Parameter(torch.zeros(2))
    average = Average({"a": parameter}, decay=0.9)
    expected = torch.zeros(2)
    for step in range(1, 200):
        parameter.data += 1
        average.update(step)
        decay = min(0.9, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * parameter.data
    torch.testing.assert_close(average.tensors["a"], expected)
    last = parameter.data.clone()
    with average.in_place():
        torch.testing.assert_close(parameter.data, expected)
    assert torch.equal(parameter.data, last)


def test_the_learning_rate_follows_its_schedule():
    def rates(**settings: object) -> list[float]:
        values = {"data": {"dataset": "d"}, "model": {"weights": "w"}, "output": {"folder": "o"}}
        config = parse_config({**values, "training": {"steps": 10, **settings}})
        return [round(rate_factor(config, step), 4) for step in range(10)]

    assert rates() == [1.0] * 10
    assert rates(schedule="linear", warmup_steps=2) == [0.5, 1, 1, 0.875, 0.75, 0.625, 0.5, 0.375, 0.25, 0.125]
    cosine = rates(schedule="cosine")
    assert cosine[0] == 1
    assert cosine[5] == 0.5
    assert cosine == sorted(cosine, reverse=True)


def test_the_text_of_a_batch_names_each_once(small_weights: Path):
    texts = Texts(["", "a", "b"], load_components(small_weights).tokenizer, torch.device("cpu"))
    text: Text = texts.of(["b", "a", "b", ""])
    assert len(text.portions) == 3
    assert text.rows.tolist() == [0, 1, 0, 2]
