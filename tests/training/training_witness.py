"""What tests of the training share beside fixtures."""

from __future__ import annotations

from typing import Any


class Witness:
    """An observer that remembers."""

    def __init__(self) -> None:
        self.stages: list[str] = []
        self.steps: list[int] = []
        self.warnings: list[str] = []

    def stage(self, text: str, done: int = 0, total: int = 0) -> None:
        self.stages.append(text)

    def step(self, moment: Any) -> None:
        self.steps.append(moment.figures.step)

    def warn(self, text: str) -> None:
        self.warnings.append(text)
