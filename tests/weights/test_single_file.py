"""The names in a single file are those that diffusers reads them by, at full size."""

from __future__ import annotations

from diffusers.loaders.single_file_utils import convert_ldm_unet_checkpoint, convert_ldm_vae_checkpoint
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel

from uvmap_id.weights.load import empty
from uvmap_id.weights.parts import sd15_config
from uvmap_id.weights.single_file import UNET_PREFIX, VAE_PREFIX, unet_name, vae_name


def test_diffusers_finds_the_same_tensor_under_each_of_the_unets_names() -> None:
    config = sd15_config("unet")
    tensors = empty(UNet2DConditionModel, config).state_dict()
    in_file = {UNET_PREFIX + unet_name(name, 2, (1, 2, 3)): tensor for name, tensor in tensors.items()}
    assert len(in_file) == 686
    found = convert_ldm_unet_checkpoint(dict(in_file), config)
    assert found.keys() == tensors.keys()
    assert all(found[name] is tensor for name, tensor in tensors.items())


def test_diffusers_finds_the_same_tensor_under_each_of_the_vaes_names() -> None:
    config = sd15_config("vae")
    tensors = empty(AutoencoderKL, config).state_dict()
    in_file = {VAE_PREFIX + vae_name(name, 4): tensor for name, tensor in tensors.items()}
    assert len(in_file) == 248
    found = convert_ldm_vae_checkpoint(dict(in_file), config)
    assert found.keys() == tensors.keys()
    assert all(found[name] is tensor for name, tensor in tensors.items())


def test_names_of_the_published_file() -> None:
    """Some names as they stand in v1-5-pruned.safetensors."""
    names = {
        "time_embedding.linear_2.bias": "time_embed.2.bias",
        "down_blocks.0.downsamplers.0.conv.weight": "input_blocks.3.0.op.weight",
        "down_blocks.1.resnets.0.conv_shortcut.weight": "input_blocks.4.0.skip_connection.weight",
        "down_blocks.2.attentions.1.proj_in.weight": "input_blocks.8.1.proj_in.weight",
        "mid_block.attentions.0.norm.weight": "middle_block.1.norm.weight",
        "up_blocks.0.upsamplers.0.conv.bias": "output_blocks.2.1.conv.bias",
        "up_blocks.1.upsamplers.0.conv.bias": "output_blocks.5.2.conv.bias",
        "up_blocks.3.resnets.2.time_emb_proj.weight": "output_blocks.11.0.emb_layers.1.weight",
        "conv_norm_out.weight": "out.0.weight",
    }
    assert {name: unet_name(name, 2, (1, 2, 3)) for name in names} == names
