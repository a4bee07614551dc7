"""How fast the uvmap-id engine's parts are, beside the ways of others, at full size with random weights.

    python benchmarks/diffusion.py [--rounds 5] [--batch 1 8] [--steps 50] [--whole] [--compiled] [--json FILE]

One guided step of each kind is timed, one after the other in each round, so that whatever slows the machine slows all
of them. From these and each preset's plan comes its average over `--steps` steps. `--whole` runs whole textures, too.

The ways of others, in this file: "released" is the script that the paper's authors published: float32, each low-rank
update computed beside its layer, keys and values of text and identity computed in each step. "diffusers" is its stock
U-Net with scaled dot product attention and no identity at all, in the formats that people use: float32 and bfloat16 on
a CPU, float16 on a graphics card.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import torch
import torch.nn.functional as F  # noqa: N812
from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
from diffusers.models.attention_processor import AttnProcessor2_0
from torch import Tensor, nn

from uvmap_id.pipelines.attention import AttentionLayer, Conditioning, make_conditioning
from uvmap_id.pipelines.denoising import Denoiser, Samples, Schedule
from uvmap_id.pipelines.hardware import best_device, best_dtype, use_channels_last
from uvmap_id.pipelines.identity_projection import FaceIdentityProjection, cross_attention_sizes
from uvmap_id.pipelines.presets import PRESETS, StepPlan, plan_steps
from uvmap_id.pipelines.split_unet import SplitUNet

RANK = 128
TEXT, IDENTITY, SIDE = 77, 4, 64
Times = dict[str, list[float]]


class ReleasedProcessor(nn.Module):
    """Attention as the released checkpoint is laid out: low-rank updates and the identity beside the layers."""

    def __init__(self, attention: AttentionLayer, *, cross: bool) -> None:
        super().__init__()
        self.low_rank = nn.ModuleDict()
        for name, layer in (*named_layers(attention), ("to_out", attention.to_out[0])):
            linear = cast(nn.Linear, layer)
            down = nn.Linear(linear.in_features, RANK, bias=False)
            self.low_rank[name] = nn.Sequential(down, nn.Linear(RANK, linear.out_features, bias=False))
        width = cast(nn.Linear, attention.to_q).out_features
        self.identity = nn.ModuleList(nn.Linear(768, width, bias=False) for _ in range(2 * cross))

    def forward(
        self, attn: AttentionLayer, hidden_states: Tensor, encoder_hidden_states: Tensor | None = None, **_: object
    ) -> Tensor:
        context = hidden_states if encoder_hidden_states is None else encoder_hidden_states
        text = context[:, :-IDENTITY] if self.identity else context
        inputs = {"to_q": hidden_states, "to_k": text, "to_v": text}
        query, key, value = (
            heads(layer(inputs[name]) + self.low_rank[name](inputs[name]), attn) for name, layer in named_layers(attn)
        )
        mixed = F.scaled_dot_product_attention(query, key, value)
        if self.identity:
            key, value = (heads(to(context[:, -IDENTITY:]), attn) for to in self.identity)
            mixed = mixed + F.scaled_dot_product_attention(query, key, value)
        mixed = mixed.transpose(1, 2).flatten(2)
        return attn.to_out[0](mixed) + self.low_rank["to_out"](mixed)


def named_layers(attention: AttentionLayer) -> list[tuple[str, Callable[[Tensor], Tensor]]]:
    return [("to_q", attention.to_q), ("to_k", attention.to_k), ("to_v", attention.to_v)]


def heads(tokens: Tensor, attention: AttentionLayer) -> Tensor:
    return tokens.unflatten(-1, (attention.heads, -1)).transpose(1, 2)


def random_unet(device: torch.device, dtype: torch.dtype) -> UNet2DConditionModel:
    """Stable Diffusion 1.5's U-Net, 860 million random weights."""
    with torch.device("meta"):
        unet = UNet2DConditionModel(sample_size=SIDE, cross_attention_dim=768, attention_head_dim=8)
    nn.Module.to_empty(unet, device=device)
    for parameter in unet.parameters():
        parameter.data.normal_(0, 0.02)
    nn.Module.to(unet, dtype)
    return unet.eval()


def random_vae(device: torch.device, dtype: torch.dtype) -> AutoencoderKL:
    """Stable Diffusion's decoder and encoder."""
    vae: Any = AutoencoderKL.from_config(
        {
            "down_block_types": ["DownEncoderBlock2D"] * 4,
            "up_block_types": ["UpDecoderBlock2D"] * 4,
            "block_out_channels": [128, 256, 512, 512],
            "layers_per_block": 2,
        }
    )
    nn.Module.to(vae, device, dtype)
    return vae.eval()


class Machine:
    """The device, and how time is taken on it."""

    def __init__(self, name: str | None) -> None:
        self.device = torch.device(name) if name else best_device()
        self.fast = best_dtype(self.device)

    def seconds(self, work: Callable[[], object]) -> float:
        self.wait()
        start = time.perf_counter()
        work()
        self.wait()
        return time.perf_counter() - start

    def wait(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize()

    def random(self, *shape: int, dtype: torch.dtype) -> Tensor:
        return torch.randn(*shape).to(self.device, dtype)


def released_step(machine: Machine, batch: int) -> Callable[[], object]:
    unet = random_unet(machine.device, torch.float32)
    for name in unet.attn_processors:
        path = name.removesuffix(".processor")
        attention: Any = unet.get_submodule(path)
        attention.set_processor(ReleasedProcessor(attention, cross=path.endswith("attn2")).to(machine.device))
    latents = machine.random(2 * batch, 4, SIDE, SIDE, dtype=torch.float32)
    text = machine.random(2 * batch, TEXT + IDENTITY, 768, dtype=torch.float32)
    return lambda: unet(latents, 500, text)


def diffusers_step(machine: Machine, batch: int, dtype: torch.dtype) -> Callable[[], object]:
    unet = random_unet(machine.device, dtype)
    unet.set_attn_processor(AttnProcessor2_0())
    latents = machine.random(2 * batch, 4, SIDE, SIDE, dtype=dtype)
    text = machine.random(2 * batch, TEXT, 768, dtype=dtype)
    return lambda: unet(latents, 500, text)


class OurSteps:
    """Every kind of step that a preset is made of."""

    def __init__(self, machine: Machine, *, compiled: bool) -> None:
        self.machine = machine
        unet = random_unet(machine.device, machine.fast)
        use_channels_last(unet)
        self.split = SplitUNet(unet)
        self.projection = FaceIdentityProjection(cross_attention_sizes(unet))
        nn.Module.to(self.projection, machine.device)
        if compiled:
            self.split.compile()

    def conditioning(self, rows: int) -> Conditioning:
        text = self.machine.random(rows, TEXT, 768, dtype=torch.float32)
        identity = F.normalize(self.machine.random(rows, 512, dtype=torch.float32), dim=-1)
        strength = torch.ones(rows, device=self.machine.device)
        return make_conditioning(self.split.unet, text, None, self.projection, identity, strength)

    def step(self, batch: int, plan: StepPlan) -> Callable[[], object]:
        rows = 2 * batch if plan.guided else batch
        latents = self.machine.random(rows, 4, SIDE, SIDE, dtype=self.machine.fast)
        conditioning = self.conditioning(rows)
        timestep = torch.tensor(500, device=self.machine.device)
        if plan.deep:
            return lambda: self.split.full(latents, timestep, conditioning)
        _, deep = self.split.full(latents, timestep, conditioning)
        return lambda: self.split.rim(latents, timestep, conditioning, deep)


def whole_texture(machine: Machine, ours: OurSteps, vae: Any, preset: str, steps: int) -> Callable[[], object]:
    """From noise to a decoded picture, as the engine does it: DDIM, guidance 7.5."""
    noise = machine.random(1, 4, SIDE, SIDE, dtype=torch.float32)
    guidance = torch.full((1,), 7.5, device=machine.device)
    samples = Samples(noise, ours.conditioning(2), guidance, [torch.Generator()], None)

    def make() -> object:
        schedule = Schedule(DDIMScheduler(clip_sample=False), steps, PRESETS[preset], 0.0, 1.0)
        latents = Denoiser(ours.split, samples, schedule).run(None)
        return vae.decode(latents.to(machine.fast))

    return make


def measure_whole(machine: Machine, steps: int, rounds: int, *, compiled: bool) -> Times:
    """Seconds of a whole texture in each preset, text and identity encoded beforehand."""
    ours = OurSteps(machine, compiled=compiled)
    vae = random_vae(machine.device, machine.fast)
    use_channels_last(vae)
    ways = {f"whole, {preset}": whole_texture(machine, ours, vae, preset, steps) for preset in PRESETS}
    return in_rounds(machine, ways, rounds)


def measure_steps(machine: Machine, batch: int, rounds: int, *, compiled: bool) -> Times:
    """Seconds of each kind of step, in `rounds` rounds."""
    ways: dict[str, Callable[[], object]] = {"released float32": released_step(machine, batch)}
    formats = (torch.float16,) if machine.device.type == "cuda" else (torch.float32, torch.bfloat16)
    for dtype in formats:
        ways[f"diffusers {str(dtype).removeprefix('torch.')}"] = diffusers_step(machine, batch, dtype)
    ours = OurSteps(machine, compiled=compiled)
    for plan in (StepPlan(deep, guided) for deep in (True, False) for guided in (True, False)):
        ways[kind(plan)] = ours.step(batch, plan)
    return in_rounds(machine, ways, rounds)


def in_rounds(machine: Machine, ways: dict[str, Callable[[], object]], rounds: int) -> Times:
    times: Times = {name: [] for name in ways}
    for number in range(rounds + 1):
        for name, work in ways.items():
            seconds = machine.seconds(work)
            # The first round allocates, compiles and chooses kernels.
            if number:
                times[name].append(seconds)
    return times


def kind(plan: StepPlan) -> str:
    return f"ours {'full' if plan.deep else 'rim'}{' guided' if plan.guided else ''}"


def measure_decode(machine: Machine, rounds: int) -> Times:
    """Seconds to decode 512 x 512."""
    plain = torch.float16 if machine.device.type == "cuda" else torch.float32
    stock: Any = random_vae(machine.device, plain)
    ours: Any = random_vae(machine.device, machine.fast)
    use_channels_last(ours)
    latents = machine.random(1, 4, SIDE, SIDE, dtype=torch.float32)
    ways = {
        f"decode, diffusers {str(plain).removeprefix('torch.')}": lambda: stock.decode(latents.to(plain)),
        "decode, ours": lambda: ours.decode(latents.to(machine.fast)),
    }
    return in_rounds(machine, ways, rounds)


def preset_times(times: Times, steps: int) -> Times:
    """Average seconds a step of each preset: its plan's steps, each at what its kind took in the same round."""
    averages: Times = {}
    for name, preset in PRESETS.items():
        plans = plan_steps(steps, preset, 0.0, 1.0, guided=True)
        rounds = len(times[kind(plans[0])])
        averages[f"ours, {name}"] = [
            statistics.fmean(times[kind(plan)][number] for plan in plans) for number in range(rounds)
        ]
    return averages


def table(times: Times, baseline: str) -> list[str]:
    """Rows: median, spread, and how many times faster than the baseline in the same round."""
    lines = ["| Way | Median s | Fastest - slowest | Times faster |", "|---|---|---|---|"]
    for name, seconds in times.items():
        ratio = statistics.median(base / own for base, own in zip(times[baseline], seconds, strict=True))
        lines.append(
            f"| {name} | {statistics.median(seconds):.4f} | {min(seconds):.4f} - {max(seconds):.4f} | {ratio:.2f} |"
        )
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description="Speed of the uvmap-id engine at full size, with random weights.")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--batch", type=int, nargs="+", default=[1])
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--device", help="cpu, cuda or mps; the fastest by default")
    parser.add_argument("--compiled", action="store_true", help="Compile the U-Net first.")
    parser.add_argument("--whole", action="store_true", help="Time whole textures, too.")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    machine = Machine(options.device)
    torch.manual_seed(0)
    print(f"torch {torch.__version__}, {machine.device}, {machine.fast}, {torch.get_num_threads()} threads\n")
    results: dict[str, Times] = {}
    with torch.no_grad():
        for batch in options.batch:
            steps = measure_steps(machine, batch, options.rounds, compiled=options.compiled)
            steps |= preset_times(steps, options.steps)
            results[f"batch {batch}"] = steps
            for baseline in [name for name in steps if not name.startswith("ours")]:
                print(f"Batch {batch}, one step, against {baseline}:\n", *table(steps, baseline), "", sep="\n")
            if machine.device.type == "cuda":
                print(f"Most memory so far: {torch.cuda.max_memory_allocated() / 2**30:.2f} GiB\n")
        decode = measure_decode(machine, options.rounds)
        results["decode"] = decode
        print("Decoding 512 x 512:\n", *table(decode, next(iter(decode))), sep="\n")
        if options.whole:
            whole = measure_whole(machine, options.steps, options.rounds, compiled=options.compiled)
            results["whole"] = whole
            print("", f"A whole texture, {options.steps} steps:\n", *table(whole, next(iter(whole))), sep="\n")
    if options.json:
        options.json.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
