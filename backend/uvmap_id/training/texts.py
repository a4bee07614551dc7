"""The texts of a run: split into tokens once, and encoded once where the text encoder doesn't learn."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from transformers import CLIPTextModel, CLIPTokenizer

from uvmap_id.pipelines.prompts import encode_portions, split_prompt
from uvmap_id.training.model import Portions, Text

# Texts that are encoded at once for the cache.
_AT_ONCE = 32


class Texts:
    """All texts that a run may show."""

    def __init__(self, texts: Sequence[str], tokenizer: CLIPTokenizer, device: torch.device) -> None:
        """Each different text counts once."""
        self._numbers = {text: number for number, text in enumerate(dict.fromkeys(texts))}
        self._portions: list[Portions] = [split_prompt(text, tokenizer) for text in self._numbers]
        self._device = device
        self._encoded: Tensor | None = None
        self._mask: Tensor | None = None

    @torch.no_grad()
    def keep(self, text_encoder: CLIPTextModel) -> None:
        """Encode all of them, once and for all."""
        longest = max(map(len, self._portions))
        encoded, masks = [], []
        for start in range(0, len(self._portions), _AT_ONCE):
            text, mask = encode_portions(self._portions[start : start + _AT_ONCE], text_encoder)
            counts = torch.ones(text.shape[:2], dtype=torch.bool, device=text.device) if mask is None else mask
            short = longest * (text.shape[1] // max(map(len, self._portions[start : start + _AT_ONCE])))
            missing = short - text.shape[1]
            encoded.append(torch.nn.functional.pad(text, (0, 0, 0, missing)))
            masks.append(torch.nn.functional.pad(counts, (0, missing)))
        self._encoded, mask = torch.cat(encoded).to(self._device), torch.cat(masks).to(self._device)
        self._mask = None if bool(mask.all()) else mask

    def of(self, texts: Sequence[str]) -> Text:
        """What the model takes for a batch of texts: each different one once, so that it is encoded once."""
        numbers = [self._numbers[text] for text in texts]
        different = list(dict.fromkeys(numbers))
        places = {number: place for place, number in enumerate(different)}
        rows = torch.tensor([places[number] for number in numbers], device=self._device)
        if self._encoded is None:
            return Text([self._portions[number] for number in different], rows)
        mask = None if self._mask is None else self._mask[different]
        return Text([], rows, self._encoded[different], mask)
