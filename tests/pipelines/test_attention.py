"""Our attention against its definition, and the split U-Net against diffusers' own forward pass."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from asked import Load
from diffusers.models.attention_processor import AttnProcessor2_0
from torch import Tensor

from uvmap_id.link.errors import ErrorCode, UVMapError
from uvmap_id.pipelines.attention import attend, make_conditioning
from uvmap_id.pipelines.hardware import has_fast_bfloat16, prepare
from uvmap_id.pipelines.identity_projection import cross_attention_names
from uvmap_id.pipelines.split_unet import SplitUNet
from uvmap_id.pipelines.uvmap_id import UVMapIDPipeline

TIME = torch.tensor(321)


def by_definition(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None) -> Tensor:
    scores = query.double() @ key.double().transpose(-1, -2) / math.sqrt(query.shape[-1])
    if mask is not None:
        scores = scores.masked_fill(~mask, -math.inf)
    return torch.softmax(scores, -1) @ value.double()


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.bfloat16, 0.02)])
@pytest.mark.parametrize("keys", [4, 77, 300, 1000])
@pytest.mark.parametrize("queries", [1, 130, 256])
@pytest.mark.parametrize("masked", [False, True])
def test_attention_is_what_it_is_defined_to_be(
    dtype: torch.dtype, tolerance: float, keys: int, queries: int, masked: bool
) -> None:
    query, key, value = drawn(2, 3, queries, 8), drawn(2, 3, keys, 8, seed=1), drawn(2, 3, keys, 8, seed=2)
    query, key, value = (part.to(dtype) for part in (query, key, value))
    mask = None
    if masked:
        mask = torch.ones(2, 1, 1, keys, dtype=torch.bool)
        mask[1, ..., keys // 2 :] = False
    attended = attend(query, key, value, mask)
    assert attended.shape == query.shape
    assert (attended.double() - by_definition(query, key, value, mask)).abs().max() < tolerance


def test_it_takes_tokens_as_the_layers_lay_them_out() -> None:
    """Strided views, as they come of splitting heads."""
    query, key, value = (
        drawn(2, 300, 24, seed=seed).bfloat16().unflatten(-1, (3, 8)).transpose(1, 2) for seed in range(3)
    )
    assert (attend(query, key, value).double() - by_definition(query, key, value)).abs().max() < 0.02


def conditioned(pipeline: UVMapIDPipeline, identity: Tensor | None, strength: float = 1.0) -> Any:
    return make_conditioning(
        pipeline.unet,
        drawn(2, 77, 32, seed=5),
        None,
        pipeline.identity_projection,
        identity,
        torch.full((2,), strength),
    )


def test_without_identity_the_split_unet_is_diffusers_own(load: Load) -> None:
    pipeline = load()
    latents = drawn(2, 4, 16, 16)
    with torch.no_grad():
        ours, deep = pipeline.split_unet.full(latents, TIME, conditioned(pipeline, None))
        rim = pipeline.split_unet.rim(latents, TIME, conditioned(pipeline, None), deep)
        pipeline.unet.set_attn_processor(AttnProcessor2_0())
        theirs = pipeline.unet(latents, TIME, drawn(2, 77, 32, seed=5)).sample
    assert (ours - theirs).abs().max() < 1e-5
    assert torch.equal(rim, ours), "on fresh deep features the rim gives what all of it gave"


def test_the_rim_follows_the_latents_on_old_deep_features(pipeline: UVMapIDPipeline, identities: Tensor) -> None:
    conditioning = conditioned(pipeline, identities[:2])
    with torch.no_grad():
        before, deep = pipeline.split_unet.full(drawn(2, 4, 16, 16), TIME, conditioning)
        rim = pipeline.split_unet.rim(drawn(2, 4, 16, 16, seed=9), TIME, conditioning, deep)
    assert (rim - before).abs().max() > 1e-3


def test_identity_and_text_are_attended_to_apart(pipeline: UVMapIDPipeline, identities: Tensor) -> None:
    """Z' = attention to the text + strength x attention to the identity, in each cross-attention layer."""
    conditioning = conditioned(pipeline, identities[:2], strength=0.7)
    projection = pipeline.identity_projection
    assert projection is not None
    tokens = projection(identities[:2])
    for place, name in enumerate(cross_attention_names(pipeline.unet)):
        attention: Any = pipeline.unet.get_submodule(name)
        hidden = drawn(2, 10, attention.to_q.in_features, seed=place)

        def split(part: Tensor, heads: int = attention.heads) -> Tensor:
            return part.unflatten(-1, (heads, -1)).transpose(1, 2)

        with torch.no_grad():
            ours = attention(hidden, conditioning=conditioning)
            query, text = split(attention.to_q(hidden)), drawn(2, 77, 32, seed=5)
            layer: Any = projection.layers[place]
            mixed = by_definition(query, split(attention.to_k(text)), split(attention.to_v(text)))
            mixed += 0.7 * by_definition(query, split(layer.to_k_ip(tokens)), split(layer.to_v_ip(tokens)))
            expected = attention.to_out[0](mixed.transpose(1, 2).flatten(2).float())
        assert (ours - expected).abs().max() < 1e-5, name


def test_the_projection_is_two_layers_and_a_norm(pipeline: UVMapIDPipeline, identities: Tensor) -> None:
    projection: Any = pipeline.identity_projection
    with torch.no_grad():
        hidden = torch.nn.functional.gelu(projection.proj[0](identities))
        expected = projection.norm(projection.proj[2](hidden).reshape(3, 4, -1))
        assert torch.allclose(projection(identities), expected)
    assert projection.proj[0].weight.shape[1] == 512


def test_the_unet_can_be_compiled_in_one_piece(load: Load, identities: Tensor) -> None:
    """Without a break: what "eager" traces whole, a compiler for graphics cards does, too."""
    pipeline = load()
    asked: dict[str, Any] = {"num_inference_steps": 6, "height": 64, "width": 64, "preset": "balanced"}
    plain = pipeline(["hat"], identities[:1], [1], **asked).images
    pipeline.split_unet.compile(backend="eager", fullgraph=True)
    assert abs(pipeline(["hat"], identities[:1], [1], **asked).images - plain).max() < 1e-5


def test_on_a_processor_only_what_pays_is_narrow(load: Load, identities: Tensor) -> None:
    pipeline = load()
    asked: dict[str, Any] = {"num_inference_steps": 3, "height": 64, "width": 64}
    wide = pipeline(["hat"], identities[:1], [1], **asked).images
    prepare(pipeline, torch.device("cpu"), torch.bfloat16)
    assert pipeline.unet.dtype == pipeline.vae.dtype == torch.bfloat16
    assert pipeline.text_encoder.dtype == torch.float32
    assert abs(pipeline(["hat"], identities[:1], [1], **asked).images - wide).max() < 0.05


@pytest.mark.skipif(not Path("/proc/cpuinfo").exists(), reason="only Linux tells what its processor can do")
def test_the_probe_answers() -> None:
    flags = Path("/proc/cpuinfo").read_text()
    assert has_fast_bfloat16() == ("avx512_bf16" in flags or "amx_bf16" in flags)


def test_a_unet_of_another_model_is_refused(pipeline: UVMapIDPipeline) -> None:
    config = {**pipeline.unet.config, "addition_embed_type": "text_time", "projection_class_embeddings_input_dim": 8}
    config |= {"addition_time_embed_dim": 4}
    other: Any = type(pipeline.unet).from_config(config)
    with pytest.raises(UVMapError) as caught:
        SplitUNet(other)
    assert caught.value.failure.code == ErrorCode.WEIGHTS_UNSUPPORTED
