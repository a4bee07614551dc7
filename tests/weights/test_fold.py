"""Folding gives what the unfolded layers give."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from peft import PeftModel
from processors_by_definition import DefinedProcessor, GivenKeysValues
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import CLIPTextModel

from uvmap_id.link.errors import ErrorCode
from uvmap_id.pipelines.identity_projection import cross_attention_names
from uvmap_id.weights.fold import fold_processors, name_by_attention
from uvmap_id.weights.load import empty, load_components
from uvmap_id.weights.parts import sd15_config
from uvmap_id.weights.tensors import Tensors
from uvmap_id.weights.tiny import TinyWeights

RANK = 4
FULL_RANK = 128
WIDTH = 32


def unfolded_unet(release: Path) -> UNet2DConditionModel:
    """The release's U-Net with the processors that were trained with it; every one of its tensors is loaded."""
    config = json.loads((release / "unet" / "config.json").read_text())
    unet = UNet2DConditionModel(**config)
    processors = {}
    for name in unet.attn_processors:
        attention = unet.get_submodule(name.removesuffix(".processor"))
        context = WIDTH if "attn2" in name else None
        processors[name] = DefinedProcessor(attention.to_q.in_features, context, WIDTH, RANK)
    unet.set_attn_processor(processors)
    (file,) = release.glob("checkpoint-*/unet/*.safetensors")
    unet.load_state_dict(load_file(file), strict=True)
    return unet.eval()


def inputs() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Latents, time steps, text and embeddings of two different people."""
    generator = torch.Generator().manual_seed(3)
    latents = torch.randn(2, 4, 16, 16, generator=generator)
    text = torch.randn(2, 77, WIDTH, generator=generator)
    embeddings = torch.nn.functional.normalize(torch.randn(2, 512, generator=generator), dim=-1)
    return latents, torch.tensor([801, 20]), text, embeddings


@pytest.mark.parametrize("scale", [0.0, 1.0, 1.6])
@pytest.mark.parametrize("layout", ["uvmap-id-a", "uvmap-id-b", "faceid-bin", "faceid-safetensors"])
def test_folded_weights_give_what_the_processors_give(tiny: dict[str, TinyWeights], layout: str, scale: float) -> None:
    latents, steps, text, embeddings = inputs()
    weights = tiny[layout]
    loaded = load_components(weights.path, base=weights.base, vae=weights.vae)
    assert loaded.identity_projection is not None
    with torch.no_grad():
        tokens = loaded.identity_projection(embeddings)
        reference = unfolded_unet(tiny["uvmap-id-a"].path)
        for processor in reference.attn_processors.values():
            processor.tokens, processor.scale = tokens, scale
        expected = reference(latents, steps, text).sample
        processors = loaded.unet.attn_processors
        keys_values = loaded.identity_projection.keys_values(tokens)
        for name, (key, value) in zip(cross_attention_names(loaded.unet), keys_values, strict=True):
            processors[f"{name}.processor"] = GivenKeysValues(key, value, scale)
        loaded.unet.set_attn_processor(processors)
        result = loaded.unet(latents, steps, text).sample
    assert torch.allclose(result, expected, atol=1e-5, rtol=0)
    assert expected.std() > 0.01


def test_the_processors_matter(tiny: dict[str, TinyWeights]) -> None:
    """Without this, the test above would also pass with processors that do nothing."""
    latents, steps, text, embeddings = inputs()
    reference = unfolded_unet(tiny["uvmap-id-a"].path)
    base = load_components(tiny["sd15"].path).unet
    loaded = load_components(tiny["uvmap-id-b"].path)
    assert loaded.identity_projection is not None
    with torch.no_grad():
        without_identity = reference(latents, steps, text).sample
        for processor in reference.attn_processors.values():
            processor.tokens = loaded.identity_projection(embeddings)
        with_identity = reference(latents, steps, text).sample
        plain = base(latents, steps, text).sample
    assert (with_identity - without_identity).abs().max() > 1e-3
    assert (without_identity - plain).abs().max() > 1e-3


def test_the_projection_is_a_perceptron_and_a_norm(tiny: dict[str, TinyWeights]) -> None:
    tensors = torch.load(tiny["uvmap-id-b"].path / "image_proj_model.ckpt", weights_only=True)
    tensors = {name: tensor.float() for name, tensor in tensors.items()}
    embeddings = inputs()[-1]
    hidden = torch.nn.functional.gelu(embeddings @ tensors["proj.0.weight"].T + tensors["proj.0.bias"])
    flat = hidden @ tensors["proj.2.weight"].T + tensors["proj.2.bias"]
    rows = flat.reshape(2, 4, WIDTH)
    normal = (rows - rows.mean(-1, keepdim=True)) / (rows.var(-1, keepdim=True, unbiased=False) + 1e-5).sqrt()
    expected = normal * tensors["norm.weight"] + tensors["norm.bias"]
    projection = load_components(tiny["uvmap-id-b"].path).identity_projection
    assert projection is not None
    with torch.no_grad():
        assert torch.allclose(projection(embeddings), expected, atol=1e-5)


def full_size() -> tuple[UNet2DConditionModel, Tensors]:
    """Stable Diffusion 1.5's U-Net, and the processors of UVMap-ID for it, all without content."""
    unet = empty(UNet2DConditionModel, sd15_config("unet"))
    weights = unet.state_dict()
    processors: Tensors = {}
    for name in unet.attn_processors:
        path = name.removesuffix(".processor")
        for layer in ("to_q", "to_k", "to_v", "to_out"):
            out, inner = weights[f"{path}.{layer}{'.0' if layer == 'to_out' else ''}.weight"].shape
            processors[f"{name}.{layer}_lora.down.weight"] = torch.empty(FULL_RANK, inner, device="meta")
            processors[f"{name}.{layer}_lora.up.weight"] = torch.empty(out, FULL_RANK, device="meta")
        if "attn2" in path:
            for layer in ("to_k_ip", "to_v_ip"):
                hidden = weights[f"{path}.to_q.weight"].shape[0]
                processors[f"{name}.{layer}.weight"] = torch.empty(hidden, 768, device="meta")
    return unet, processors


def test_every_tensor_of_the_full_size_finds_its_place() -> None:
    unet, processors = full_size()
    assert (len(unet.state_dict()), len(processors)) == (686, 288)
    attentions = [name.removesuffix(".processor") for name in unet.attn_processors]
    weights = unet.state_dict()
    folded, identity = fold_processors(weights, processors, attentions)
    shapes = {name: tensor.shape for name, tensor in weights.items()}
    assert {name: tensor.shape for name, tensor in folded.items()} == shapes
    # 32 attentions of 4 layers each.
    assert sum(folded[name] is not tensor for name, tensor in weights.items()) == 128
    widths = [identity[f"layers.{number}.to_k_ip.weight"].shape for number in range(16)]
    down, up, middle = [320, 320, 640, 640, 1280, 1280], [1280] * 3 + [640] * 3 + [320] * 3, [1280]
    assert widths == [(width, 768) for width in down + up + middle]
    assert len(identity) == 32


def test_the_adapters_numbers_are_those_of_the_full_sizes_attentions() -> None:
    """IP-Adapter counts self- and cross-attentions through: down, up, middle; the odd ones are cross-attention."""
    unet, processors = full_size()
    blocks = [
        *(f"down_blocks.{block}.attentions.{layer}" for block in (0, 1, 2) for layer in (0, 1)),
        *(f"up_blocks.{block}.attentions.{layer}" for block in (1, 2, 3) for layer in (0, 1, 2)),
        "mid_block.attentions.0",
    ]
    expected = [f"{block}.transformer_blocks.0.{kind}" for block in blocks for kind in ("attn1", "attn2")]
    numbered: Tensors = {}
    for name, tensor in processors.items():
        path, _, layer = name.partition(".processor.")
        numbered[f"ip_adapter.{expected.index(path)}.{layer}"] = tensor
    odd = {int(name.split(".")[1]) for name in numbered if "_ip." in name}
    assert odd == set(range(1, 32, 2))
    attentions = [name.removesuffix(".processor") for name in unet.attn_processors]
    named = name_by_attention(numbered, attentions)
    assert named.keys() == processors.keys()
    assert all(named[name] is tensor for name, tensor in processors.items())


def test_a_number_beyond_the_last_attention_is_refused(refused: Callable) -> None:
    with refused(ErrorCode.WEIGHTS_INVALID, "ip_adapter.32.to_k_ip.weight"):
        name_by_attention({"ip_adapter.32.to_k_ip.weight": torch.zeros(1)}, ["attn"] * 32)


@pytest.mark.parametrize("settings", [{}, {"use_rslora": True, "lora_alpha": 3, "alpha_pattern": {"to_q": 1}}])
def test_a_lora_is_folded_as_peft_merges_it(
    tiny: dict[str, TinyWeights], copy_of: Callable[[str], Path], settings: dict[str, object]
) -> None:
    lora, base = copy_of("texdreamer"), tiny["sd21"].path
    for part in ("unet", "text_encoder"):
        file = lora / part / "adapter_config.json"
        file.write_text(json.dumps(json.loads(file.read_text()) | settings))
    plain = load_components(base)
    unet = PeftModel.from_pretrained(plain.unet, lora / "unet").merge_and_unload()
    loaded = load_components(lora, base=base)
    for name, tensor in unet.state_dict().items():
        assert torch.allclose(loaded.unet.state_dict()[name], tensor, atol=1e-6), name
    assert loaded.prediction == "v_prediction"
    assert isinstance(plain.text_encoder, CLIPTextModel)
    changed = [
        name
        for name, tensor in plain.text_encoder.state_dict().items()
        if not torch.equal(tensor, loaded.text_encoder.state_dict()[name])
    ]
    assert len(changed) == 4
    assert all(name.endswith(("q_proj.weight", "v_proj.weight")) for name in changed)


def test_the_text_encoders_lora_has_its_strength(tiny: dict[str, TinyWeights], copy_of: Callable[[str], Path]) -> None:
    """A text encoder's LoRA, computed by hand: base + alpha / r * B A."""
    lora = copy_of("texdreamer")
    adapter = load_file(lora / "text_encoder" / "adapter_model.safetensors")
    layer = "encoder.layers.1.self_attn.v_proj"
    prefix = f"base_model.model.text_model.{layer}"
    update = adapter[f"{prefix}.lora_B.weight"] @ adapter[f"{prefix}.lora_A.weight"]
    before = load_components(tiny["sd21"].path).text_encoder.get_submodule(layer).weight
    after = load_components(lora, base=tiny["sd21"].path).text_encoder.get_submodule(layer).weight
    assert torch.allclose(after, before + 2 * update, atol=1e-6)


@pytest.mark.parametrize("flag", [{"use_dora": True}, {"bias": "all"}, {"fan_in_fan_out": True}])
def test_what_is_no_plain_lora_is_refused(
    tiny: dict[str, TinyWeights], copy_of: Callable[[str], Path], refused: Callable, flag: dict[str, object]
) -> None:
    lora = copy_of("texdreamer")
    file = lora / "unet" / "adapter_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | flag))
    with refused(ErrorCode.WEIGHTS_UNSUPPORTED, "unet"):
        load_components(lora, base=tiny["sd21"].path)


def test_half_of_a_pair_is_refused(
    tiny: dict[str, TinyWeights], copy_of: Callable[[str], Path], refused: Callable
) -> None:
    lora = copy_of("texdreamer")
    file = lora / "unet" / "adapter_model.safetensors"
    tensors = load_file(file)
    gone = next(
        name
        for name in tensors
        if name.endswith("mid_block.attentions.0.transformer_blocks.0.attn1.to_q.lora_B.weight")
    )
    del tensors[gone]
    save_file(tensors, file)
    with refused(ErrorCode.WEIGHTS_INCOMPLETE, gone.removeprefix("base_model.model.")):
        load_components(lora, base=tiny["sd21"].path)
