"""Whether a dataset shows as many people of each group and gender: counted, and said in a table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from uvmap_id.link.errors import ErrorCode, UVMapError

# The smallest cell of the table, as a share of the largest.
BALANCED = 0.9
UNSAID = "(not said)"


@dataclass(frozen=True, slots=True)
class Balance:
    """How many people and textures of each group and gender.

    Attributes:
        people: By group and gender.
        textures: By group and gender.
    """

    people: Counter[tuple[str, str]]
    textures: Counter[tuple[str, str]]

    @property
    def groups(self) -> list[str]:
        """In alphabetic order."""
        return sorted({group for group, _ in self.people})

    @property
    def genders(self) -> list[str]:
        """In alphabetic order."""
        return sorted({gender for _, gender in self.people})

    @property
    def ratio(self) -> float:
        """The smallest cell of the table as a share of the largest, 0 where a group lacks a gender that others have."""
        cells = [self.people[group, gender] for group in self.groups for gender in self.genders]
        return min(cells) / max(cells) if cells and max(cells) else 0.0

    @property
    def is_balanced(self) -> bool:
        """True where each group has about as many people of each gender, and everybody's are known."""
        return self.ratio >= BALANCED and UNSAID not in {*self.groups, *self.genders}

    def table(self) -> list[tuple[str, ...]]:
        """Rows of a table with a header and sums: people, and their textures in brackets."""
        genders = self.genders
        rows: list[tuple[str, ...]] = [("group", *genders, "all")]
        rows += [
            (group, *(self._cell([(group, gender)]) for gender in genders), self._of(group)) for group in self.groups
        ]
        sums = (self._cell([(group, gender) for group in self.groups]) for gender in genders)
        rows.append(("all", *sums, self._cell(list(self.people))))
        return rows

    def sentence(self) -> str:
        """What the table says, in one sentence."""
        share = f"the smallest cell has {self.ratio:.0%} of the people of the largest"
        if self.is_balanced:
            return f"Balanced: {share}."
        unsaid = UNSAID in {*self.groups, *self.genders}
        return f"Not balanced: {'group or gender is not said of everybody' if unsaid else share}."

    def require(self) -> None:
        """Raise `UVMapError` (dataset_unbalanced) unless it is balanced."""
        if not self.is_balanced:
            raise UVMapError(
                ErrorCode.DATASET_UNBALANCED,
                self.sentence(),
                f"Add people where the table has the fewest: at least {BALANCED:.0%} of the largest cell. "
                "Or leave --require-balance out.",
            )

    def _cells(self, group: str) -> list[str]:
        return [self._cell([(group, gender)]) for gender in self.genders]

    def _of(self, group: str) -> str:
        return self._cell([(group, gender) for gender in self.genders])

    def _cell(self, keys: Sequence[tuple[str, str]]) -> str:
        people = sum(self.people[key] for key in keys)
        textures = sum(self.textures[key] for key in keys)
        return f"{people} ({textures})"


def count(textures: Iterable[tuple[str, str, str]]) -> Balance:
    """The balance of textures, of each its identity, group and gender. Somebody without textures is nobody."""
    people: dict[str, tuple[str, str]] = {}
    counted: Counter[tuple[str, str]] = Counter()
    for identity, group, gender in textures:
        kind = (group or UNSAID, gender or UNSAID)
        people.setdefault(identity, kind)
        counted[kind] += 1
    return Balance(Counter(people.values()), counted)
