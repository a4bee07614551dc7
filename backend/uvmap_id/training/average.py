"""A running average of what is trained, which paints calmer pictures than the last step's weights."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import nn

from uvmap_id.weights.tensors import Tensors


class Average:
    """Follows parameters."""

    def __init__(self, parameters: Mapping[str, nn.Parameter], decay: float) -> None:
        """`decay` is the share of the average that a step leaves; less in the first steps."""
        self._parameters = parameters
        self._decay = decay
        self.tensors: Tensors = {name: each.detach().clone() for name, each in parameters.items()}

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Take the parameters after a step, counted from 1, into account."""
        # So that the random start is forgotten soon.
        decay = min(self._decay, (1 + step) / (10 + step))
        torch._foreach_lerp_(list(self.tensors.values()), [p.data for p in self._parameters.values()], 1 - decay)

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Have the parameters be the average for a while."""
        self._swap()
        try:
            yield
        finally:
            self._swap()

    def _swap(self) -> None:
        for name, parameter in self._parameters.items():
            parameter.data, self.tensors[name] = self.tensors[name], parameter.data
