"""The documentation's pages, one for each panel; they come with the extension, so that they fit its version."""

from __future__ import annotations

from pathlib import Path

from .link.errors import ErrorCode, UVMapError

PAGES = (
    *("body", "shape", "pose", "face", "prompt", "generate", "region", "maps", "advanced"),
    *("queue", "cast", "history", "material", "export"),
)
FOLDER = Path(__file__).parent / "docs"


def page_file(page: str) -> Path:
    """The file of a page. Raises `UVMapError` where the extension was not built whole."""
    path = FOLDER / f"{page}.html"
    if not path.is_file():
        raise UVMapError(
            ErrorCode.PACKAGE_MISSING, f'The page "{page}" is missing.', "Install the extension from its built zip."
        )
    return path
