"""Why a file is refused, as the readers say it: half a sentence, to which `read` adds the file and the way out."""

from __future__ import annotations


class RefusedError(ValueError):
    """A file that is no body model, or not one that can be trusted.

    Attributes:
        reason: Half a sentence, such as "it ends in the middle".
        hint: What to do, where there is more to say than to choose another file.
    """

    def __init__(self, reason: str, hint: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.hint = hint
