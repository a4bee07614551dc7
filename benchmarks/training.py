"""How fast the training is, beside the plain way of diffusers' DreamBooth example, on the same data in the same run.

    python benchmarks/training.py [--rounds 5] [--steps 6] [--width 4] [--size 256] [--precision no] [--json FILE]
    python benchmarks/training.py --width 1 --size 512 --steps 20     # real sizes, for a graphics card

"plain" is what the example does, written for this model: in each step the pictures go through the VAE and the texts
through the text encoder, textures and class images go through the U-Net in one batch, which attends to text and
identity with diffusers' own attention, and AdamW is PyTorch's as it comes. "ours" is `uvmap_id.training` with its
defaults. Both train U-Net, text encoder and identity from the same weights; they take turns of `--steps` steps, so that
whatever slows the machine slows both. Each is a process of its own, for its peak memory. Both draw the same noise, so
that their losses can be compared step by step.

`--width 4` divides the channels of Stable Diffusion 1.5's U-Net, VAE and text encoder by 4 alike.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - everybody's name for it
from accelerate import Accelerator
from diffusers import AutoencoderKL, DDPMScheduler, UNet2DConditionModel
from PIL import Image
from torch import Tensor, nn

from uvmap_id.pipelines.identity_projection import cross_attention_names, cross_attention_sizes
from uvmap_id.training.batches import Batches, Share
from uvmap_id.training.config import Config, parse_config
from uvmap_id.training.data import read_texture
from uvmap_id.training.latents import LatentSource, cached_posteriors
from uvmap_id.training.loop import Trainer
from uvmap_id.training.model import TrainedModel, choose_trained, new_projection
from uvmap_id.training.objective import Objective
from uvmap_id.training.order import Order
from uvmap_id.training.texts import Texts
from uvmap_id.weights import tiny_modules
from uvmap_id.weights.load import Components, load_components
from uvmap_id.weights.parts import sd15_config

TEXTURES, CLASSES, BATCH = 16, 4, 2
CLASS_PROMPT = "a texturemap"
RATE = 1e-6
SEED = 0
WAYS = ("plain", "ours")


def write_weights(folder: Path, width: int) -> None:
    """Stable Diffusion 1.5 with random weights and all channels divided by `width`."""
    import small_world

    torch.manual_seed(SEED)
    text = sd15_config("text_encoder") | {"vocab_size": len(tiny_modules.vocabulary())}
    text |= {key: tiny_modules.text_encoder_config()[key] for key in ("bos_token_id", "eos_token_id", "pad_token_id")}
    heads = max(text["num_attention_heads"] // width, 1)
    text |= {"hidden_size": text["hidden_size"] // width, "num_attention_heads": heads}
    text |= {"intermediate_size": text["intermediate_size"] // width, "projection_dim": text["hidden_size"]}
    unet = sd15_config("unet")
    unet |= {"block_out_channels": [each // width for each in unet["block_out_channels"]]}
    unet |= {"cross_attention_dim": text["hidden_size"], "norm_num_groups": 32 // width, "attention_head_dim": 8}
    vae = sd15_config("vae")
    vae |= {"block_out_channels": [each // width for each in vae["block_out_channels"]], "norm_num_groups": 32 // width}
    save = small_world.write_module
    save(folder / "unet", unet, UNet2DConditionModel(**unet).state_dict(), "diffusion_pytorch_model")
    save(folder / "vae", vae, AutoencoderKL(**vae).state_dict(), "diffusion_pytorch_model")
    save(folder / "text_encoder", text, tiny_modules.random_text_encoder(text), "model")
    small_world.write_small_parts(folder, "epsilon")


def write_pictures(folder: Path, count: int, size: int) -> list[Path]:
    """Pictures that compress and blur like textures: smooth noise."""
    folder.mkdir()
    files = []
    for number in range(count):
        coarse = np.random.default_rng(number).integers(0, 256, (16, 16, 3), np.uint8)
        files.append(folder / f"{number}.png")
        Image.fromarray(coarse).resize((size, size), Image.Resampling.BICUBIC).save(files[-1])
    return files


def prompts() -> list[str]:
    people = ("asian woman", "white man", "african american woman", "white woman")
    return [f"a sks texturemap of {people[number % 4]} wearing shirt {number}" for number in range(TEXTURES)]


def identities() -> np.ndarray:
    values = np.random.default_rng(SEED).standard_normal((TEXTURES, 512)).astype(np.float32)
    return values / np.linalg.norm(values, axis=1, keepdims=True)


class ConcatenatedAttention(nn.Module):
    """Decoupled cross-attention as IP-Adapter's processors do it: text and identity come in one sequence."""

    def __init__(self, token_size: int, hidden_size: int, tokens: int) -> None:
        super().__init__()
        self.to_k_ip = nn.Linear(token_size, hidden_size, bias=False)
        self.to_v_ip = nn.Linear(token_size, hidden_size, bias=False)
        self.tokens = tokens

    def __call__(self, attn: Any, hidden_states: Tensor, encoder_hidden_states: Tensor, **_: Any) -> Tensor:
        def heads(states: Tensor) -> Tensor:
            return states.unflatten(-1, (attn.heads, -1)).transpose(1, 2)

        text, face = encoder_hidden_states[:, : -self.tokens], encoder_hidden_states[:, -self.tokens :]
        query = heads(attn.to_q(hidden_states))
        mixed = F.scaled_dot_product_attention(query, heads(attn.to_k(text)), heads(attn.to_v(text)))
        mixed = mixed + F.scaled_dot_product_attention(query, heads(self.to_k_ip(face)), heads(self.to_v_ip(face)))
        return attn.to_out[1](attn.to_out[0](mixed.transpose(1, 2).flatten(2)))


class Plain:
    """The plain way."""

    def __init__(self, folder: Path, options: argparse.Namespace) -> None:
        self.accelerator = Accelerator(mixed_precision=options.precision)
        device = self.accelerator.device
        parts = load_components(folder / "weights")
        self.vae: Any = nn.Module.to(parts.vae, device)
        self.tokenizer, self.size = parts.tokenizer, options.size
        self.scheduler: Any = DDPMScheduler.from_config(parts.scheduler.config)
        projection = new_projection(cross_attention_sizes(parts.unet), parts.unet.config["cross_attention_dim"], SEED)
        processors: dict[str, Any] = dict(parts.unet.attn_processors)
        for name, layer in zip(cross_attention_names(parts.unet), projection.layers, strict=True):
            token, hidden = cast(Any, layer).to_k_ip.in_features, cast(Any, layer).to_k_ip.out_features
            processor = ConcatenatedAttention(token, hidden, projection.config["tokens"])
            processor.load_state_dict(layer.state_dict())
            processors[f"{name}.processor"] = processor
        parts.unet.set_attn_processor(processors)
        projection.layers = nn.ModuleList()
        model = nn.ModuleDict({"unet": parts.unet, "text": parts.text_encoder, "projection": projection})
        model.requires_grad_(True).train().to(device)
        optimizer = torch.optim.AdamW(model.parameters(), lr=RATE, weight_decay=0.01)
        self.unet, self.text, self.projection, self.optimizer = self.accelerator.prepare(
            parts.unet, parts.text_encoder, projection, optimizer
        )
        self.parameters = list(model.parameters())
        self.files, self.classes = (sorted((folder / name).iterdir()) for name in ("textures", "classes"))
        self.orders = Order(TEXTURES, SEED, 0), Order(CLASSES, SEED, 1)
        self.generator = torch.Generator().manual_seed(int(np.random.SeedSequence((SEED, 0)).generate_state(1)[0]))
        self.identities = torch.from_numpy(identities()).to(device)
        self.seen = 0

    def step(self) -> float:
        device = self.accelerator.device
        rows, classes = (order.take(self.seen, BATCH) for order in self.orders)
        self.seen += BATCH
        files = [self.files[row] for row in rows] + [self.classes[row] for row in classes]
        pixels = torch.stack([torch.from_numpy(read_texture(file, self.size)).permute(2, 0, 1) for file in files])
        texts = [prompts()[row] for row in rows] + [CLASS_PROMPT] * BATCH
        side = self.size // 8
        # In the order in which the other way draws.
        spread, noise = (torch.randn(2 * BATCH, 4, side, side, generator=self.generator).to(device) for _ in range(2))
        times = torch.randint(0, 1000, (2 * BATCH,), generator=self.generator).to(device)
        with torch.no_grad(), self.accelerator.autocast():
            posterior: Any = self.vae.encode(pixels.to(device)).latent_dist
            latents = (posterior.mean + posterior.std * spread) * self.vae.config["scaling_factor"]
        noised = self.scheduler.add_noise(latents.float(), noise, times)
        tokens = self.tokenizer(texts, padding="max_length", truncation=True, max_length=77, return_tensors="pt")
        encoded = self.text(tokens.input_ids.to(device))[0]
        people = torch.cat([self.identities[rows], torch.zeros(BATCH, 512, device=device)])
        context = torch.cat([encoded, self.projection(people)], dim=1)
        predicted = self.unet(noised, times, context).sample.float()
        instance, prior = (F.mse_loss(*pair) for pair in zip(predicted.chunk(2), noise.chunk(2), strict=True))
        loss = instance + prior
        self.accelerator.backward(loss)
        self.accelerator.clip_grad_norm_(self.parameters, 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad()
        return loss.detach().item()


class Ours:
    """The house's loop, without its files."""

    def __init__(self, folder: Path, options: argparse.Namespace) -> None:
        config = configuration(folder, options)
        accelerator = Accelerator(mixed_precision=options.precision)
        device = accelerator.device
        parts = load_components(folder / "weights")
        textures, classes = (
            self._source(parts, folder / name, options.size, device) for name in ("textures", "classes")
        )
        texts = Texts(["", CLASS_PROMPT, *prompts()], parts.tokenizer, device)
        objective = Objective(parts.scheduler, 1.0, 0.0, device)
        batches = Batches(
            textures,
            classes,
            prompts(),
            CLASS_PROMPT,
            CLASSES,
            identities(),
            texts,
            config.training,
            objective.times,
            device,
            Share(),
        )
        projection = new_projection(cross_attention_sizes(parts.unet), parts.unet.config["cross_attention_dim"], SEED)
        model = TrainedModel(parts.unet, parts.text_encoder, projection)
        choose_trained(model, config)
        model.to(device)
        if device.type == "cuda":
            cast(Any, model.unet).to(memory_format=torch.channels_last)
        self.trainer = Trainer(model, batches, objective, config, accelerator)
        model.train()

    @staticmethod
    def _source(parts: Components, folder: Path, size: int, device: torch.device) -> LatentSource:
        vae, files = parts.vae, sorted(folder.iterdir())
        nn.Module.to(vae, device)
        kept = cached_posteriors(vae, files, size, folder.with_name(f"{folder.name}-latents"), lambda _: None)
        nn.Module.to(vae, "cpu")
        return LatentSource(vae, files, size, kept)

    def step(self) -> float:
        return self.trainer.one_step().loss


def configuration(folder: Path, options: argparse.Namespace) -> Config:
    compiled = {"on": "on", "off": "off", "auto": "auto"}[options.compile]
    return parse_config(
        {
            "data": {"dataset": "unused", "size": options.size},
            "model": {"weights": str(folder / "weights"), "identity": "zero"},
            "training": {
                "steps": 10_000,
                "batch_size": BATCH,
                "learning_rate": RATE,
                "mixed_precision": options.precision,
                "compile": compiled,
                "seed": SEED,
            },
            "output": {"folder": str(folder / "run")},
        }
    )


def work(options: argparse.Namespace) -> None:
    """One of the two processes: does as many steps as it is told, and says how long they took."""
    if options.threads:
        torch.set_num_threads(options.threads)
    way = {"plain": Plain, "ours": Ours}[options.way](options.folder, options)
    print(json.dumps("ready"), flush=True)
    for line in sys.stdin:
        began, busy = time.perf_counter(), time.process_time()
        losses = [way.step() for _ in range(int(line))]
        said = {"seconds": time.perf_counter() - began, "processor": time.process_time() - busy}
        said |= {"losses": losses, "memory": peak_memory()}
        print(json.dumps(said), flush=True)


def peak_memory() -> int:
    """Bytes: the graphics card's where there is one, else the process's."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


class Process:
    """One of the two processes, seen from outside."""

    def __init__(self, way: str, folder: Path, options: argparse.Namespace) -> None:
        words = ["--way", way, "--folder", str(folder), "--size", str(options.size), "--precision", options.precision]
        command = [sys.executable, __file__, *words, "--compile", options.compile]
        command += ["--threads", str(options.threads)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._read() == "ready"

    def steps(self, count: int) -> dict[str, Any]:
        assert self._process.stdin is not None
        print(count, file=self._process.stdin, flush=True)
        return self._read()

    def end(self) -> None:
        self._process.communicate()

    def _read(self) -> Any:
        assert self._process.stdout is not None
        return json.loads(self._process.stdout.readline())


def compare(options: argparse.Namespace, folder: Path, say: Callable[[str], None]) -> dict[str, Any]:
    write_weights(folder / "weights", options.width)
    write_pictures(folder / "textures", TEXTURES, options.size)
    write_pictures(folder / "classes", CLASSES, options.size)
    processes = {way: Process(way, folder, options) for way in WAYS}
    # The first steps allocate, tune and compile.
    warm = {way: process.steps(2) for way, process in processes.items()}
    rates: dict[str, list[float]] = {way: [] for way in WAYS}
    processor: dict[str, list[float]] = {way: [] for way in WAYS}
    losses = {way: list(warm[way]["losses"]) for way in WAYS}
    memory = dict.fromkeys(WAYS, 0)
    for turn in range(options.rounds):
        for way in WAYS if turn % 2 else WAYS[::-1]:
            done = processes[way].steps(options.steps)
            rates[way].append(options.steps / done["seconds"])
            processor[way].append(done["processor"] / options.steps)
            losses[way] += done["losses"]
            memory[way] = done["memory"]
        say(f"turn {turn + 1}: " + ", ".join(f"{way} {rates[way][-1]:.3f} steps/s" for way in WAYS))
    for process in processes.values():
        process.end()
    ratios = [ours / plain for plain, ours in zip(rates["plain"], rates["ours"], strict=True)]
    less_work = [plain / ours for plain, ours in zip(processor["plain"], processor["ours"], strict=True)]
    apart = max(abs(a - b) / a for a, b in zip(losses["plain"], losses["ours"], strict=True))
    return {
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else f"CPU, {os.cpu_count()} cores",
        "width": options.width,
        "size": options.size,
        "precision": options.precision,
        "steps_per_second": {way: described(values) for way, values in rates.items()},
        "faster": described(ratios),
        # On a busy machine a processor's seconds tell more than the clock's. A graphics card's are not in them.
        "processor_seconds_a_step": {way: described(values) for way, values in processor.items()},
        "less_processor_time": described(less_work),
        "peak_memory_mb": {way: round(value / 2**20) for way, value in memory.items()},
        "mean_loss": {way: round(statistics.fmean(values), 6) for way, values in losses.items()},
        "largest_difference_of_losses": apart,
    }


def described(values: list[float]) -> dict[str, float]:
    return {"median": round(statistics.median(values), 4), "low": round(min(values), 4), "high": round(max(values), 4)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--width", type=int, default=4, choices=(1, 2, 4, 8))
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--threads", type=int, default=0, help="of each process; by default as PyTorch likes")
    parser.add_argument("--precision", default="no", choices=("no", "fp16", "bf16"))
    parser.add_argument("--compile", default="auto", choices=("auto", "on", "off"))
    parser.add_argument("--json", type=Path)
    parser.add_argument("--way", choices=WAYS, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.way:
        work(options)
        return
    with tempfile.TemporaryDirectory() as folder:
        figures = compare(options, Path(folder), lambda text: print(text, flush=True))
    print(json.dumps(figures, indent=2))
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
