"""Commands whose answer has not come yet: they are sent again until it has. All of them may be acted on twice."""

from __future__ import annotations

from dataclasses import dataclass

from .messages import (
    Acknowledge,
    Acknowledged,
    Answer,
    Command,
    List,
    Listing,
    Move,
    Moved,
    Pause,
    Ping,
    Pong,
    Purge,
    Purged,
    Resume,
)

_RESEND_S = 3.0

Answered = Acknowledge | List | Move | Pause | Ping | Purge | Resume


@dataclass(slots=True)
class _Entry:
    command: Answered
    sent_at: float | None = None


class Owed:
    """The commands in the order in which they were given."""

    def __init__(self) -> None:
        """None yet."""
        self._entries: list[_Entry] = []

    def __bool__(self) -> bool:
        """True while an answer is owed."""
        return bool(self._entries)

    def holds(self, kind: type[Answered]) -> bool:
        """True while the answer to a command of a kind is owed."""
        return any(isinstance(entry.command, kind) for entry in self._entries)

    def add(self, command: Answered) -> None:
        """One more. The same one again, or a newer one that undoes it, takes its place."""
        if not isinstance(command, List):
            undone = (Pause, Resume) if isinstance(command, Pause | Resume) else ()
            kept = (each for each in self._entries if each.command != command and type(each.command) not in undone)
            self._entries = list(kept)
        self._entries.append(_Entry(command))

    def next(self, now: float) -> Command | None:
        """What to send now, which is noted as sent."""
        for entry in self._entries:
            if entry.sent_at is None or now - entry.sent_at > _RESEND_S:
                entry.sent_at = now
                return entry.command
        return None

    def restart(self) -> None:
        """The connection is a new one: send all of them again."""
        for entry in self._entries:
            entry.sent_at = None

    def drop(self, command: Answered) -> None:
        """A command, this very one, needs no answer any more."""
        self._entries = [entry for entry in self._entries if entry.command is not command]

    def answered(self, answer: Answer) -> Answered | None:
        """An answer has come; which command it is the answer to."""
        found = next((entry for entry in self._entries if _is_answer(answer, entry.command)), None)
        if found is None:
            return None
        self._entries.remove(found)
        if isinstance(answer, Pong):
            # One sign of life is as good as many.
            self._entries = [entry for entry in self._entries if not isinstance(entry.command, Ping)]
        return found.command

    def refused(self, subject: str) -> None:
        """The server won't act on the commands about a job; with an empty subject, on those that are about none."""
        self._entries = [entry for entry in self._entries if getattr(entry.command, "job", "") != subject]


def _is_answer(answer: Answer, command: Answered) -> bool:
    match command, answer:
        case (Acknowledge(), Acknowledged()) | (Move(), Moved()):
            return command.job == answer.job
        case (List(), Listing()) | (Purge(), Purged()) | (Ping(), Pong()):
            return True
        case Pause(), Pong():
            return answer.paused != ""
        case Resume(), Pong():
            return answer.paused != "user"
    return False
