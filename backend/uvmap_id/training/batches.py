"""What a step sees: latents, noise, times, texts and identities, all drawn from generators that a checkpoint holds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from uvmap_id.training.config import TrainingConfig
from uvmap_id.training.latents import LatentSource
from uvmap_id.training.model import Text
from uvmap_id.training.order import Order
from uvmap_id.training.texts import Texts

_INSTANCES, _PRIORS = 0, 1


@dataclass(frozen=True, slots=True)
class Batch:
    """Textures first, class images after them.

    Attributes:
        latents: (B, 4, h, w)
        noise: (B, 4, h, w)
        timesteps: (B,)
        text: Of B samples.
        identity: (B, 512); zeros for class images and for what is shown without its identity.
        instances: How many of them are textures.
    """

    latents: Tensor
    noise: Tensor
    timesteps: Tensor
    text: Text
    identity: Tensor
    instances: int


@dataclass(frozen=True, slots=True)
class Share:
    """Which of several processes this is."""

    process: int = 0
    processes: int = 1


class Batches:
    """Draws batches.

    Attributes:
        seen: Textures that all processes have seen together.
        seen_prior: Class images, likewise.
        generator: Of this process: decides noise, times and what is left out.
    """

    def __init__(
        self,
        instances: LatentSource,
        priors: LatentSource | None,
        prompts: list[str],
        class_prompt: str,
        class_count: int,
        identities: NDArray[np.float32],
        texts: Texts,
        config: TrainingConfig,
        times: int,
        device: torch.device,
        share: Share,
    ) -> None:
        """`priors` is None where nothing is to be preserved; `times` is the length of the noise schedule."""
        self._instances, self._priors = instances, priors
        self._prompts, self._class_prompt = prompts, class_prompt
        # With a row of zeros at the end: nobody.
        self._identities = torch.from_numpy(np.pad(identities, ((0, 1), (0, 0)))).to(device)
        self._texts = texts
        self._config = config
        self._times = times
        self._device = device
        self._share = share
        self._order = Order(len(prompts), config.seed, _INSTANCES)
        self._class_order = Order(max(class_count, 1), config.seed, _PRIORS)
        self.seen = self.seen_prior = 0
        self.generator = torch.Generator("cpu")
        self.generator.manual_seed(int(np.random.SeedSequence((config.seed, share.process)).generate_state(1)[0]))

    def next(self) -> Batch:
        """The next batch of this process; the others' are counted as seen as well.

        Raises:
            UVMapError: dataset_unreadable, where latents are not cached.
        """
        count = self._config.batch_size
        together = count * self._share.processes
        rows = self._order.take(self.seen + self._share.process * count, count)
        self.seen += together
        prompts = [self._prompts[row] for row in rows]
        nobody = len(self._prompts)
        people = [*rows]
        for place, (text, identity) in enumerate(self._left_out(count)):
            prompts[place] = "" if text else prompts[place]
            people[place] = nobody if identity else people[place]
        latents = [self._instances.sample(rows, self._normal(count))]
        if self._priors is not None:
            classes = self._class_order.take(self.seen_prior + self._share.process * count, count)
            self.seen_prior += together
            latents.append(self._priors.sample(classes, self._normal(count)))
            prompts += [self._class_prompt] * count
            people += [nobody] * count
        noise = self._normal(len(people))
        timesteps = torch.randint(0, self._times, (len(people),), generator=self.generator).to(self._device)
        return Batch(torch.cat(latents), noise, timesteps, self._texts.of(prompts), self._identities[people], len(rows))

    def _normal(self, count: int) -> Tensor:
        # Drawn on the CPU: the same seed is the same noise on every device.
        return torch.randn((count, *self._instances.shape), generator=self.generator).to(self._device)

    def _left_out(self, count: int) -> list[tuple[bool, bool]]:
        """For each texture whether its text and its identity are left out."""
        config = self._config
        text, identity = config.drop_text, config.drop_text + config.drop_identity
        both = identity + config.drop_both
        if not both:
            return [(False, False)] * count
        drawn = torch.rand(count, generator=self.generator).tolist()
        return [(each < text or identity <= each < both, text <= each < both) for each in drawn]
