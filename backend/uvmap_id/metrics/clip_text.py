"""CLIPT: whether a texture shows what its prompt says, as CLIP sees it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional
from transformers import CLIPTokenizer

from uvmap_id.link.errors import ErrorCode, UVMapError
from uvmap_id.metrics.base import Figure, Sample
from uvmap_id.metrics.means import mean_figure, square_texture, unusable
from uvmap_id.metrics.pretrained import invalid, load_pretrained, read_config

_PURPOSE = "CLIPT"
_MEAN, _STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
_BATCH = 16


class Clip:
    """CLIP in a folder of transformers: config.json, the tensors, and the tokenizer's files."""

    def __init__(self, folder: Path, device: str = "cpu") -> None:
        """Load it.

        Raises:
            UVMapError: weights_missing, weights_incomplete, weights_invalid, package_missing.
        """
        if not folder.is_dir():
            raise UVMapError(
                ErrorCode.WEIGHTS_MISSING,
                f"There is no CLIP in {folder}.",
                "Get it: uvmap-id weights get clip-vit-base-patch32, or name a folder: --clip FOLDER",
            )
        self._model = load_pretrained("CLIPModel", folder, _PURPOSE).to(device)
        self._device = device
        self._side = int(self._model.config.vision_config.image_size)
        processor = folder / "preprocessor_config.json"
        values = read_config(processor) if processor.is_file() else {}
        self._mean, self._std = (
            _three(values.get(name, otherwise), processor)
            for name, otherwise in (("image_mean", _MEAN), ("image_std", _STD))
        )
        # The tokenizer's own errors have no type.
        read_config(folder / "vocab.json")
        try:
            self._tokenizer = CLIPTokenizer.from_pretrained(str(folder), local_files_only=True)
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise invalid(folder, f"has no tokenizer that can be used: {str(error).splitlines()[0]}") from error
        self._longest = int(self._model.config.text_config.max_position_embeddings)

    def texts(self, prompts: Sequence[str]) -> Tensor:
        """(N, D) float32 on the CPU, L2-normalised. What is too long for CLIP is cut off."""
        tokens: Any = self._tokenizer(
            list(prompts), padding="max_length", truncation=True, max_length=self._longest, return_tensors="pt"
        )
        with torch.inference_mode():
            text = self._model.text_model(
                input_ids=tokens["input_ids"].to(self._device), attention_mask=tokens["attention_mask"].to(self._device)
            )
            return functional.normalize(self._model.text_projection(text.pooler_output).float(), dim=-1).cpu()

    def pictures(self, pictures: Sequence[NDArray[np.uint8]]) -> Tensor:
        """(N, D) float32 on the CPU, L2-normalised, of square (S, S, 3) uint8 sRGB."""
        prepared = torch.from_numpy(np.stack([self._prepared(picture) for picture in pictures]))
        with torch.inference_mode():
            seen = self._model.vision_model(pixel_values=prepared.to(self._device))
            return functional.normalize(self._model.visual_projection(seen.pooler_output).float(), dim=-1).cpu()

    def is_too_long(self, prompt: str) -> bool:
        """Whether the end of a prompt is cut off."""
        return len(self._tokenizer(prompt)["input_ids"]) > self._longest

    def _prepared(self, picture: NDArray[np.uint8]) -> NDArray[np.float32]:
        shrinks = picture.shape[0] > self._side
        method = cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
        small = cv2.resize(np.ascontiguousarray(picture), (self._side, self._side), interpolation=method)
        return ((np.asarray(small, np.float32) / 255 - self._mean) / self._std).transpose(2, 0, 1).astype(np.float32)


class ClipText:
    """100 x the cosine of CLIP's embeddings of texture and prompt, the mean over textures (paper, 3.4).

    Follows `SampleMetric`. The texture itself is shown to CLIP, not a render, as in the paper.
    """

    name = "clipt"
    title = "CLIPT"
    unit = ""
    higher_is_better = True

    def __init__(self, clip: Clip) -> None:
        self._clip = clip
        self._scores: dict[str, float] = {}
        self._texts: dict[str, Tensor] = {}
        self._cut: set[str] = set()

    def score(self, sample: Sample) -> float:
        """See `SampleMetric.score`."""
        return self._measured([sample])[sample.name]

    def update(self, samples: Sequence[Sample]) -> None:
        """See `Metric.update`."""
        if known := next((sample for sample in samples if sample.name in self._scores), None):
            raise unusable(known, "is there twice")
        self._scores |= self._measured(samples)
        self._cut |= {sample.name for sample in samples if self._clip.is_too_long(sample.prompt)}

    def compute(self) -> Figure:
        """See `Metric.compute`."""
        if not self._scores:
            raise UVMapError(ErrorCode.DATASET_EMPTY, "There is no texture with a prompt for CLIPT.", "")
        cut = len(self._cut)
        notes = (f"{cut} prompts are longer than CLIP reads; their ends don't count.",) if cut else ()
        return mean_figure(self._scores, self.unit, higher_is_better=self.higher_is_better, notes=notes)

    def _measured(self, samples: Sequence[Sample]) -> dict[str, float]:
        found: dict[str, float] = {}
        for sample in samples:
            square_texture(sample)
            if sample.name in found:
                raise unusable(sample, "is there twice")
            if not sample.prompt.strip():
                raise unusable(sample, "has no prompt")
            found[sample.name] = 0.0
        self._read([sample.prompt for sample in samples])
        for start in range(0, len(samples), _BATCH):
            batch = samples[start : start + _BATCH]
            texts = torch.stack([self._texts[sample.prompt] for sample in batch])
            cosines = (self._clip.pictures([sample.texture for sample in batch]) * texts).sum(dim=1)
            found |= dict(zip((sample.name for sample in batch), (100 * cosines).tolist(), strict=True))
        return found

    def _read(self, prompts: Sequence[str]) -> None:
        """Embed the prompts that were not met before."""
        fresh = [prompt for prompt in dict.fromkeys(prompts) if prompt not in self._texts]
        for start in range(0, len(fresh), _BATCH):
            batch = fresh[start : start + _BATCH]
            self._texts |= dict(zip(batch, self._clip.texts(batch), strict=True))


def _three(values: Any, where: Path) -> NDArray[np.float32]:
    try:
        found = np.array(values, np.float32)
    except (TypeError, ValueError) as error:
        raise invalid(where, f"has no mean or deviation that can be used: {error}") from error
    if found.shape != (3,) or not found.all():
        raise invalid(where, "has no mean or deviation that can be used")
    return found
