"""The configuration of a training run: a TOML file with a table for each concern, checked before anything is loaded.

The defaults are the paper's (UVMap-ID, arXiv 2404.14568, section 4.1). `help` in each field's metadata is its line in
docs/training.md.
"""

from __future__ import annotations

import tomllib
import types
import typing
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, TypeVar

from uvmap_id.link.errors import ErrorCode, UVMapError
from uvmap_id.link.request import DiffusionSettings
from uvmap_id.pipelines.prompts import fill_template

Table = TypeVar("Table")

IDENTITY_OF_WEIGHTS, IDENTITY_FROM_ZERO = "weights", "zero"
"""What `model.identity` says instead of naming an adapter."""
SWITCHES = ("auto", "on", "off")
PRECISIONS = ("no", "fp16", "bf16")
SCHEDULES = ("constant", "linear", "cosine")
DTYPES = ("float32", "float16", "bfloat16")
_HINT = "See docs/training.md for all settings."
_LARGE = 2**31


@dataclass(frozen=True, slots=True)
class _Limits:
    """What a value must be; both ends are allowed unless `open` says that the lowest is not."""

    lowest: float = 0
    highest: float = _LARGE
    open: bool = False
    choices: tuple[str, ...] = ()
    step: int = 1


def _of(default: Any, description: str, **limits: Any) -> Any:
    return field(default=default, metadata={"help": description, "limits": _Limits(**limits)})


@dataclass(frozen=True, slots=True)
class DataConfig:
    """What is learnt from."""

    dataset: str = _of("", "Folder of the dataset")
    size: int = _of(512, "Side of the textures in training", lowest=8, highest=2048, step=8)
    textures_per_identity: int = _of(0, "How many textures of a person count, the first ones; 0 is all")
    subject_words: bool = _of(True, "Whether group and gender stand in the prompts (the paper's Table 2)")
    template: str = _of(DiffusionSettings().template, "How a prompt is put together, as for `generate`")


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """What the training begins with, and which of it is trained."""

    weights: str = _of("", "Weights to begin with: an id of `uvmap-id weights list`, or a path")
    vae: str = _of("", "A VAE to take instead of theirs: an id or a path")
    identity: str = _of(
        IDENTITY_OF_WEIGHTS,
        'Where the identity comes from: `"weights"` has its own, `"zero"` begins without, '
        "else the id or path of an IP-Adapter-FaceID",
    )
    train_unet: bool = _of(True, "Whether the U-Net learns")
    train_text_encoder: bool = _of(True, "Whether the text encoder learns")
    train_identity: bool = _of(True, "Whether the identity projection learns, with its keys and values")


@dataclass(frozen=True, slots=True)
class PriorConfig:
    """Prior preservation: what the base model paints for the class prompt is not to be forgotten."""

    weight: float = _of(1.0, "Weight of the class images' loss; 0 leaves them out")
    prompt: str = _of("a texturemap", "Their prompt")
    images: int = _of(10, "How many there are", lowest=1, highest=100_000)
    steps: int = _of(50, "Denoising steps for making one", lowest=1, highest=1000)
    guidance: float = _of(7.5, "Guidance for making one", lowest=1, highest=100)
    folder: str = _of("", "Where they are kept; by default `class_images` in the run's folder")


@dataclass(frozen=True, slots=True)
class LoraConfig:
    """Low-rank updates of the attentions instead of all weights; the identity projection learns in full."""

    enabled: bool = _of(False, "Whether only low-rank updates are learnt")
    rank: int = _of(64, "Their rank", lowest=1, highest=1024)
    alpha: float = _of(64.0, "Their strength is alpha / rank", open=True)


@dataclass(frozen=True, slots=True)
class TrainingConfig:
    """How the model learns."""

    steps: int = _of(1500, "Optimiser steps", lowest=1)
    batch_size: int = _of(2, "Textures a step and process; as many class images come on top", lowest=1, highest=4096)
    accumulation: int = _of(1, "Batches that make one step together", lowest=1, highest=4096)
    learning_rate: float = _of(1e-6, "Of AdamW", highest=1, open=True)
    schedule: str = _of("constant", "How the learning rate goes on after the warm-up", choices=SCHEDULES)
    warmup_steps: int = _of(0, "Steps in which the learning rate rises from 0")
    weight_decay: float = _of(0.01, "Of AdamW", highest=1)
    beta1: float = _of(0.9, "Of AdamW", highest=0.99999)
    beta2: float = _of(0.999, "Of AdamW", highest=0.999999)
    epsilon: float = _of(1e-8, "Of AdamW", open=True, highest=1)
    max_gradient: float = _of(1.0, "Longer gradients are shortened to this; 0 leaves them")
    mixed_precision: str = _of("no", "Format of the calculation; weights stay float32", choices=PRECISIONS)
    gradient_checkpointing: bool = _of(False, "Less memory for about a quarter more time")
    compile: str = _of("auto", "`torch.compile`; auto is on for CUDA from 300 steps on", choices=SWITCHES)
    channels_last: str = _of("auto", "Layout of the convolutions; auto is on for CUDA", choices=SWITCHES)
    cache_latents: bool = _of(True, "Whether each texture goes through the VAE once instead of in each step")
    min_snr: float = _of(0.0, "Gamma of Min-SNR weighting (arXiv 2303.09556), commonly 5; 0 is off")
    drop_text: float = _of(0.0, "Share of textures shown without their text", highest=1)
    drop_identity: float = _of(0.0, "Share shown without their identity", highest=1)
    drop_both: float = _of(0.0, "Share shown without both", highest=1)
    ema: bool = _of(False, "Whether the result is the running average of the weights")
    ema_decay: float = _of(0.9999, "Of the running average", highest=0.999999)
    seed: int = _of(0, "Decides all that is random")


@dataclass(frozen=True, slots=True)
class OutputConfig:
    """What is written."""

    folder: str = _of("", "Folder of the run")
    checkpoint_every: int = _of(250, "Steps between checkpoints; 0 writes none but the last")
    keep_checkpoints: int = _of(2, "How many of them stay", lowest=1, highest=10_000)
    sample_every: int = _of(250, "Steps between sample textures; 0 makes none")
    samples: int = _of(4, "How many, of people spread over the dataset", lowest=1, highest=256)
    sample_steps: int = _of(30, "Denoising steps of a sample", lowest=1, highest=1000)
    sample_guidance: float = _of(7.5, "Guidance of a sample", lowest=1, highest=100)
    tensorboard: bool = _of(False, "Whether TensorBoard's files are written beside `loss.csv`")
    dtype: str = _of("float32", "Of the finished U-Net and VAE on disk", choices=DTYPES)
    licence: str = _of("", "Of the finished weights, for their manifest and model card")
    metrics: str = _of("", "A report.json of `uvmap-id evaluate` for the model card")


@dataclass(frozen=True, slots=True)
class Config:
    """All of it."""

    data: DataConfig = field(default_factory=DataConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    prior: PriorConfig = field(default_factory=PriorConfig)
    lora: LoraConfig = field(default_factory=LoraConfig)
    training: TrainingConfig = field(default_factory=TrainingConfig)
    output: OutputConfig = field(default_factory=OutputConfig)

    @property
    def out(self) -> Path:
        """The run's folder."""
        return Path(self.output.folder)

    def values(self) -> dict[str, dict[str, Any]]:
        """As JSON and TOML have it."""
        return asdict(self)


def read_config(path: Path, changes: Sequence[str] = ()) -> Config:
    """Read and check a configuration.

    Args:
        path: A TOML file.
        changes: `TABLE.KEY=VALUE`, which win over the file's; the value as in TOML, quotes may be left out.

    Raises:
        UVMapError: config_invalid, with the key that it is about and what is offered.
    """
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise _invalid(f"{path} can't be read: {error}.") from error
    except tomllib.TOMLDecodeError as error:
        raise _invalid(f"{path} is not TOML: {error}.") from error
    for change in changes:
        _apply(values, change)
    return parse_config(values)


def parse_config(values: Mapping[str, Any]) -> Config:
    """The configuration that nested values stand for.

    Raises:
        UVMapError: config_invalid.
    """
    known = typing.get_type_hints(Config)
    for name in values:
        if name not in known:
            raise _invalid(f'There is no table "{name}".', f"Tables are {', '.join(known)}.")
    tables = {name: _table(kind, name, values.get(name, {})) for name, kind in known.items()}
    config = Config(**tables)
    _check(config)
    return config


def _apply(values: dict[str, Any], change: str) -> None:
    place, equals, text = change.partition("=")
    table, dot, key = place.strip().partition(".")
    if not equals or not dot:
        raise _invalid(f'"{change[:80]}" is no change of a setting.', "Write TABLE.KEY=VALUE, as training.steps=100.")
    try:
        value = tomllib.loads(f"value = {text.strip()}")["value"]
    except tomllib.TOMLDecodeError:
        value = text.strip()
    old = values.setdefault(table, {})
    if not isinstance(old, dict):
        raise _invalid(f'"{table}" is no table.')
    old[key] = value


def _table(kind: type[Table], name: str, values: object) -> Table:
    if not isinstance(values, dict):
        raise _invalid(f'"{name}" is no table.', f"Write [{name}] and its settings below.")
    hints = typing.get_type_hints(kind)
    parts = {part.name: part for part in fields(typing.cast(Any, kind))}
    for key in values:
        if key not in parts:
            raise _invalid(f'There is no setting "{name}.{key}".', f"Settings of [{name}] are {', '.join(parts)}.")
    checked = {}
    for key, value in values.items():
        checked[key] = _value(f"{name}.{key}", value, hints[key], parts[key].metadata["limits"])
    return kind(**checked)


def _value(name: str, value: object, kind: type, limits: _Limits) -> Any:
    # bool is an int to Python, but no count to a person.
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise _invalid(f"{name} is {value!r}.", f"It has to be {_NAMES[kind]}.")
    if limits.choices and value not in limits.choices:
        raise _invalid(f"{name} is {value!r}.", f"Choose one of {', '.join(limits.choices)}.")
    if isinstance(value, int | float) and not isinstance(value, bool):
        _check_number(name, value, limits)
    return value


_NAMES: dict[type, str] = {int: "a whole number", float: "a number", str: "text in quotes", bool: "true or false"}


def _check_number(name: str, value: float, limits: _Limits) -> None:
    low, high = limits.lowest, limits.highest
    if not low <= value <= high or (limits.open and value == low) or (limits.step > 1 and value % limits.step):
        least = f"more than {low:g}" if limits.open else f"{low:g} or more"
        most = "" if high == _LARGE else f", at most {high:g}"
        steps = f", a multiple of {limits.step}" if limits.step > 1 else ""
        raise _invalid(f"{name} is {value!r}.", f"It has to be {least}{most}{steps}.")


def _check(config: Config) -> None:
    """What no setting can say alone."""
    for name, value in (
        ("data.dataset", config.data.dataset),
        ("model.weights", config.model.weights),
        ("output.folder", config.output.folder),
    ):
        if not value:
            raise _invalid(f"{name} is missing.", _HINT)
    model, training = config.model, config.training
    if not (model.train_unet or model.train_text_encoder or model.train_identity):
        raise _invalid(
            "Nothing is trained.", "Set one of model.train_unet, train_text_encoder and train_identity to true."
        )
    if config.lora.enabled and not (model.train_unet or model.train_text_encoder):
        raise _invalid(
            "lora.enabled is true, but neither the U-Net nor the text encoder is trained.",
            "Set model.train_unet to true, or lora.enabled to false.",
        )
    if training.drop_text + training.drop_identity + training.drop_both > 1:
        raise _invalid("training.drop_text, drop_identity and drop_both are more than 1 together.")
    if training.warmup_steps > training.steps:
        raise _invalid("training.warmup_steps are more than training.steps.")
    try:
        fill_template(config.data.template, "", "")
    except UVMapError as error:
        raise _invalid(f"data.template: {error.failure.message}", error.failure.hint) from error


def with_folder(config: Config, folder: Path) -> Config:
    """The same run in another folder."""
    return replace(config, output=replace(config.output, folder=str(folder)))


def differences(old: Mapping[str, Any], new: Config) -> list[str]:
    """Settings that are not as they were, as `table.key`."""
    found = []
    for name, table in new.values().items():
        before = old.get(name, {})
        found += [f"{name}.{key}" for key, value in table.items() if before.get(key, types.NoneType) != value]
    return found


def to_toml(config: Config) -> str:
    """The configuration as a TOML file that says every setting."""
    lines = []
    for name, table in config.values().items():
        lines += [f"[{name}]", *(f"{key} = {_toml(value)}" for key, value in table.items()), ""]
    return "\n".join(lines)


def _toml(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        escaped = value.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{escaped}"'
    return repr(value)


def _invalid(what: str, hint: str = _HINT) -> UVMapError:
    return UVMapError(ErrorCode.CONFIG_INVALID, what, hint)
