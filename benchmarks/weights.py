"""How long the fused format takes to load, next to the release that it was made from and that is folded while loading.

    python benchmarks/weights.py [--folder TEMPORARY] [--repeats 3] [--out FILE.md]

A release of full size with random weights is written to a temporary folder (layout B, float32, 4 GB), converted, and
both are loaded in turn. Timed is from the call until every byte of every module has been read once, because tensors
are mapped into memory and nothing of them is read before they are used. All files have been read before the first
timing, so that the disk's speed plays no part: it is the processor's work that is compared. A disk adds to that the
time to read 4.4 GB for the release and 2.2 GB or 4.3 GB for the fused format.
"""

from __future__ import annotations

import argparse
import gc
import json
import shutil
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from safetensors.torch import save_file
from torch import Tensor, nn
from transformers import CLIPTextConfig, CLIPTextModel

from uvmap_id.pipelines.identity_projection import FaceIdentityProjection, cross_attention_sizes
from uvmap_id.weights.convert import convert
from uvmap_id.weights.fold import LORA_LAYERS
from uvmap_id.weights.load import Components, empty, load_components
from uvmap_id.weights.parts import sd15_config
from uvmap_id.weights.tiny_modules import write_tokenizer

RANK = 128
TARGET = 0.4
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


def random_like(module: nn.Module) -> dict[str, Tensor]:
    return {name: torch.randn(tensor.shape) * 0.02 for name, tensor in module.state_dict().items()}


def processors(unet: UNet2DConditionModel) -> dict[str, Tensor]:
    """The 288 tensors that UVMap-ID adds."""
    tensors, weights = {}, unet.state_dict()
    for name in unet.attn_processors:
        path = name.removesuffix(".processor")
        for pair, layer in LORA_LAYERS.items():
            out, inner = weights[f"{path}.{layer}.weight"].shape
            tensors[f"{name}.{pair}_lora.down.weight"] = torch.randn(RANK, inner) * 0.02
            tensors[f"{name}.{pair}_lora.up.weight"] = torch.randn(out, RANK) * 0.02
        if path.endswith("attn2"):
            for layer in ("to_k_ip", "to_v_ip"):
                tensors[f"{name}.{layer}.weight"] = torch.randn(len(weights[f"{path}.to_k.weight"]), 768) * 0.02
    return tensors


def write_release(folder: Path) -> None:
    unet = empty(UNet2DConditionModel, sd15_config("unet"))
    text_encoder = CLIPTextModel(CLIPTextConfig(**sd15_config("text_encoder")))
    projection = FaceIdentityProjection(cross_attention_sizes(unet))
    write_module(folder / "unet", "unet", random_like(unet) | processors(unet), "diffusion_pytorch_model")
    vae = random_like(empty(AutoencoderKL, sd15_config("vae")))
    write_module(folder / "vae", "vae", vae, "diffusion_pytorch_model")
    write_module(folder / "text_encoder", "text_encoder", random_like(text_encoder), "model")
    own = {name: tensor for name, tensor in random_like(projection).items() if not name.startswith("layers.")}
    torch.save(own, folder / "image_proj_model.ckpt")
    write_tokenizer(folder / "tokenizer")


def write_module(folder: Path, name: str, tensors: dict[str, Tensor], stem: str) -> None:
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(sd15_config(name)))
    save_file(tensors, folder / f"{stem}.safetensors")


def seconds_to_load(folder: Path, dtype: torch.dtype) -> float:
    gc.collect()
    start = time.perf_counter()
    touch(load_components(folder, dtype=dtype))
    return time.perf_counter() - start


def touch(components: Components) -> None:
    """Read every tensor once."""
    for module in components.modules().values():
        if isinstance(module, nn.Module):
            for tensor in module.state_dict().values():
                tensor.sum()


def folder_size(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def read_all(folder: Path) -> None:
    for file in folder.rglob("*"):
        if file.is_file():
            with file.open("rb") as stream:
                while stream.read(1 << 24):
                    pass


def measure(folders: dict[str, Path], dtype: torch.dtype, repeats: int) -> dict[str, list[float]]:
    """Seconds of each folder, taken in turn, so that what else the machine does meets all of them."""
    times: dict[str, list[float]] = {name: [] for name in folders}
    for _ in range(repeats):
        for name, folder in folders.items():
            times[name].append(seconds_to_load(folder, dtype))
    return times


def lines(folders: dict[str, Path], repeats: int) -> Iterator[str]:
    yield f"| loaded as | from | GB | seconds, median of {repeats} | from .. to | of the release | target |"
    yield "|---|---|---|---|---|---|---|"
    for dtype_name, dtype in DTYPES.items():
        times = measure(folders, dtype, repeats)
        release = statistics.median(times["release, folded"])
        for name, each in times.items():
            seconds, size = statistics.median(each), folder_size(folders[name]) / 1e9
            target = "" if name.startswith("release") else f"<= {TARGET:.0%}"
            spread = f"{min(each):.2f} .. {max(each):.2f}"
            yield f"| {dtype_name} | {name} | {size:.1f} | {seconds:.2f} | {spread} | {seconds / release:.0%} | {target} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, help="where the weights are written for the time being; needs 11 GB")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--out", type=Path, help="also write the table to this file")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(dir=options.folder))
    try:
        folders = {"release, folded": folder / "release"}
        write_release(folders["release, folded"])
        for name in ("float16", "float32"):
            folders[f"fused, {name}"] = folder / name
            convert(folders["release, folded"], folder / name, dtype=DTYPES[name])
        read_all(folder)
        table = "\n".join(lines(folders, options.repeats)) + "\n"
    finally:
        shutil.rmtree(folder)
    print(table)
    if options.out:
        options.out.write_text(table, encoding="utf-8")


if __name__ == "__main__":
    main()
