"""A run's moving parts as tensors and back: what a checkpoint holds. No pickles."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from uvmap_id.link.errors import ErrorCode, UVMapError
from uvmap_id.weights.tensors import Tensors


def optimizer_tensors(optimizer: torch.optim.Optimizer, names: list[str]) -> Tensors:
    """The optimiser's state, `<parameter>.<state>`; `names` in the order that the optimiser got the parameters."""
    state = optimizer.state_dict()["state"]
    return {f"{names[number]}.{key}": value for number, values in state.items() for key, value in values.items()}


def load_optimizer(optimizer: torch.optim.Optimizer, names: list[str], tensors: Tensors) -> None:
    """The reverse."""
    numbers = {name: number for number, name in enumerate(names)}
    state: dict[int, dict[str, Tensor]] = {}
    for full, tensor in tensors.items():
        name, _, key = full.rpartition(".")
        if name not in numbers:
            raise _other_model(name)
        state.setdefault(numbers[name], {})[key] = tensor
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})


@torch.no_grad()
def load_parameters(parameters: Mapping[str, nn.Parameter | Tensor], tensors: Tensors) -> None:
    """Copy tensors into parameters of the same names.

    Raises:
        UVMapError: checkpoint_invalid: they are those of another model.
    """
    for name in parameters.keys() ^ tensors.keys():
        raise _other_model(name)
    for name, parameter in parameters.items():
        if parameter.shape != tensors[name].shape:
            raise _other_model(name)
        parameter.copy_(tensors[name])


def random_states(own: torch.Generator) -> Tensors:
    """States of this process's generators: its own for training, torch's, and the graphics card's."""
    states = {"own": own.get_state(), "torch": torch.get_rng_state()}
    if torch.cuda.is_available():
        states["cuda"] = torch.cuda.get_rng_state()
    return states


def load_random_states(states: Mapping[str, Tensor], own: torch.Generator) -> None:
    """The reverse."""
    own.set_state(states["own"])
    torch.set_rng_state(states["torch"])
    if "cuda" in states and torch.cuda.is_available():
        torch.cuda.set_rng_state(states["cuda"])


def scaler_state(scaler: Any) -> dict[str, float]:
    """Of the gradient scaler of fp16; empty without one."""
    return {} if scaler is None else {name: float(value) for name, value in scaler.state_dict().items()}


def load_scaler(scaler: Any, state: Mapping[str, float]) -> None:
    """The reverse."""
    if scaler is not None and state:
        whole = ("growth_interval", "_growth_tracker")
        scaler.load_state_dict({name: int(value) if name in whole else value for name, value in state.items()})


def _other_model(name: str) -> UVMapError:
    return UVMapError(
        ErrorCode.CHECKPOINT_INVALID,
        f"The checkpoint is of another model, or of one of which other parts were trained: {name}.",
        "Go on with the configuration that the run was begun with, or begin in another folder.",
    )
