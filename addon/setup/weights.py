"""The weights as the preferences show them: a table from the backend's catalogue, and what can be done with each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from ..link.errors import ErrorCode, Failure, UVMapError
from .child import Child
from .errand import TICK_S, Errand, Start


class ShelfState(StrEnum):
    """What is being done with the weights."""

    IDLE = "idle"
    LISTING = "listing"
    GETTING = "getting"
    VERIFYING = "verifying"
    REMOVING = "removing"


# Whatever was done, the list is read again afterwards.
TRANSITIONS: dict[ShelfState, frozenset[ShelfState]] = {
    ShelfState.IDLE: frozenset(ShelfState) - {ShelfState.IDLE},
    ShelfState.LISTING: frozenset({ShelfState.IDLE}),
    ShelfState.GETTING: frozenset({ShelfState.LISTING}),
    ShelfState.VERIFYING: frozenset({ShelfState.LISTING}),
    ShelfState.REMOVING: frozenset({ShelfState.LISTING}),
}


@dataclass(frozen=True, slots=True)
class Weights:
    """One row of the table.

    Attributes:
        id: Their name.
        title: Their name for people.
        purpose: What they are for, in a word.
        about: The same in a sentence.
        licence: The licence's id.
        licence_name: Its name.
        licence_url: Where its text is.
        terms: What it comes to.
        commercial: False where commercial use is forbidden, or nobody stated terms.
        accepted: True where no acceptance is needed, or it was given.
        page: Where a person gets them, if a program can't.
        steps: How.
        state: "installed", "not installed", "partial 43 %", "damaged" or "manual".
        size: Of the download in bytes; 0 where that isn't known for certain.
    """

    id: str
    title: str
    purpose: str
    about: str
    licence: str
    licence_name: str
    licence_url: str
    terms: str
    commercial: bool
    accepted: bool
    page: str
    steps: str
    state: str
    size: int = 0


class Shelf:
    """The table, and one thing at a time that is done with it."""

    def __init__(self, command: Callable[[], list[str]], start_process: Start = Child) -> None:
        """Nothing is asked before `refresh`.

        Args:
            command: What starts the backend's program.
            start_process: Starts a command.
        """
        self._command = command
        self._start_process = start_process
        self._errand: Errand | None = None
        self.state = ShelfState.IDLE
        self.rows: tuple[Weights, ...] = ()
        self.folder = ""
        self.subject = ""
        self.fraction = 0.0
        self.bytes_per_second = 0.0
        self.seconds_left: float | None = None
        self.failure: Failure | None = None
        self.sentence = ""

    @property
    def busy(self) -> bool:
        """True while something is being done."""
        return self.state is not ShelfState.IDLE

    def row(self, weights_id: str) -> Weights | None:
        """The row of that id."""
        return next((row for row in self.rows if row.id == weights_id), None)

    def refresh(self) -> None:
        """Read the table again."""
        self._begin(ShelfState.LISTING, "", "list", "--json")

    def get(self, weights_id: str, accepted: bool = False) -> None:
        """Download weights, or go on with it.

        Args:
            weights_id: Their id.
            accepted: The user has read their licence's terms and accepts them.

        Raises:
            UVMapError: `licence_not_accepted`: they may not be used commercially, and that was not accepted;
                `weights_unknown`; `weights_missing`, which only a person can fetch.
        """
        row = self._known(weights_id)
        if row.state == "manual":
            raise UVMapError(
                ErrorCode.WEIGHTS_MISSING, f"{row.title} can't be fetched by a program. {row.steps}", f"See {row.page}"
            )
        if not (row.accepted or accepted):
            raise UVMapError(
                ErrorCode.LICENCE_NOT_ACCEPTED,
                f"{row.title} may not be used commercially: {row.licence_name}.",
                f"Read {row.licence_url} and accept it first.",
            )
        consent = ("--accept-licence", row.licence) if accepted and not row.accepted else ()
        self._begin(ShelfState.GETTING, weights_id, "get", weights_id, "--json", *consent)

    def verify(self, weights_id: str = "") -> None:
        """Hash every file of some weights again, or of all."""
        self._begin(ShelfState.VERIFYING, weights_id, "verify", *((weights_id,) if weights_id else ()))

    def remove(self, weights_id: str) -> None:
        """Remove weights from the disk."""
        self._begin(ShelfState.REMOVING, weights_id, "remove", weights_id)

    def cancel(self) -> None:
        """End what is being done; a download is gone on with the next time."""
        if self._errand is not None:
            self._errand.cancel()

    def tick(self) -> float | None:
        """Take in what has come. Returns the seconds until the next call, or None when there is nothing left."""
        if self._errand is None:
            return None
        if not self._errand.tick():
            self._follow(self._errand.latest)
            return TICK_S
        errand, self._errand = self._errand, None
        if self.state is ShelfState.LISTING:
            self._take_list(errand)
            self._move(ShelfState.IDLE)
            return None
        self.failure = errand.failure
        self.sentence = "" if errand.failure is not None else _SENTENCES[self.state].format(self.subject or "All")
        self._move(ShelfState.LISTING)
        self._errand = Errand([*self._command(), "weights", "list", "--json"], self._start_process)
        return TICK_S

    def close(self) -> None:
        """Forget everything."""
        self.cancel()
        self._errand = None
        self.state = ShelfState.IDLE

    def _begin(self, state: ShelfState, subject: str, *arguments: str) -> None:
        if self.busy:
            raise UVMapError(ErrorCode.SETUP_BUSY, "Something is being done with the weights already.", "Wait for it.")
        self.failure, self.sentence, self.subject = None, "", subject
        self.fraction, self.bytes_per_second, self.seconds_left = 0.0, 0.0, None
        self._move(state)
        self._errand = Errand([*self._command(), "weights", *arguments], self._start_process)

    def _follow(self, said: dict[str, Any]) -> None:
        done, total, speed = said.get("done"), said.get("total"), said.get("bytes_per_second")
        if isinstance(done, int) and isinstance(total, int) and total > 0 and self.state is ShelfState.GETTING:
            self.fraction = min(1.0, done / total)
            self.bytes_per_second = float(speed or 0)
            self.seconds_left = (total - done) / speed if speed else None

    def _take_list(self, errand: Errand) -> None:
        answer = errand.answer()
        try:
            rows = tuple(_row(each) for each in answer["weights"])
            folder = str(answer["folder"])
        except (TypeError, KeyError):
            self.failure = (
                self.failure
                or errand.failure
                or Failure(
                    ErrorCode.BACKEND_INCOMPATIBLE.value,
                    "The backend's list of weights can't be read; it is of another version.",
                    "Set the backend up again, so that it fits this extension.",
                )
            )
            return
        self.rows, self.folder = rows, folder

    def _known(self, weights_id: str) -> Weights:
        row = self.row(weights_id)
        if row is None:
            raise UVMapError(ErrorCode.WEIGHTS_UNKNOWN, f'There are no weights called "{weights_id[:64]}".', "Refresh.")
        return row

    def _move(self, state: ShelfState) -> None:
        if state not in TRANSITIONS[self.state]:
            raise UVMapError(ErrorCode.INTERNAL, f"The weights can't go from {self.state} to {state}.")
        self.state = state


_SENTENCES = {
    ShelfState.GETTING: "{} is installed.",
    ShelfState.VERIFYING: "{} is whole.",
    ShelfState.REMOVING: "{} is removed.",
}


def _row(values: dict[str, Any]) -> Weights:
    texts = ("id", "title", "about", "licence", "licence_name", "licence_url", "terms", "page", "steps", "state")
    return Weights(
        **{name: str(values[name]) for name in texts},
        purpose=str(values["for"]),
        commercial=bool(values["commercial"]),
        accepted=bool(values["accepted"]),
        size=int(values.get("size") or 0),
    )
