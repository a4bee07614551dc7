"""What of an existing texture set is to be made anew, while the rest stays as it is."""

from __future__ import annotations

import re
from dataclasses import dataclass

from .errors import ErrorCode, LinkError, UVMapError

# Names for people; `uvmap_id.atlas.parts.REGIONS` says which parts of the atlas each stands for.
REGION_PARTS = (
    *("head", "face", "scalp", "ears", "neck", "torso", "chest", "abdomen", "back", "pelvis", "shoulders"),
    *("arms", "upper_arms", "forearms", "hands", "fingers", "legs", "thighs", "shins", "feet", "soles"),
)
REGION_MAPS = ("base_color", "normal", "roughness", "subsurface")

_NEEDED_MAPS = 3
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Region:
    """Where a texture set is made anew: in the named parts, and where the mask is bright. Empty: everywhere.

    Attributes:
        maps: Hashes of the existing set's PNGs, in the order of `REGION_MAPS`; the last one may be left out.
        parts: Out of `REGION_PARTS`.
        mask: Hash of a grey or coloured picture in the atlas, black where nothing changes; may be empty.
    """

    maps: tuple[str, ...] = ()
    parts: tuple[str, ...] = ()
    mask: str = ""

    @property
    def files(self) -> tuple[str, ...]:
        """Hashes of the files that travel beside the request, in their order."""
        return (*self.maps, self.mask) if self.mask else self.maps

    def validate(self) -> None:
        """Raise `UVMapError` where this is no region."""
        if not all(_SHA256.fullmatch(digest) for digest in self.files):
            raise LinkError("The hash of a map is not 64 hex digits.")
        for number, name in enumerate(self.parts):
            if name not in REGION_PARTS or name in self.parts[:number]:
                raise UVMapError(
                    ErrorCode.SETTING_OUT_OF_RANGE,
                    f'There is no part "{name[:40]}", or it is named twice.',
                    f"Choose of {', '.join(REGION_PARTS)}.",
                )
        if self.maps and not _NEEDED_MAPS <= len(self.maps) <= len(REGION_MAPS):
            raise LinkError("The existing texture set has too few or too many maps.")
        if bool(self.maps) != bool(self.parts or self.mask):
            raise UVMapError(
                ErrorCode.REGION_INCOMPLETE,
                "A region needs both: an existing texture set, and what of it is to change.",
                "Choose a texture set, and parts of the body or a mask.",
            )
