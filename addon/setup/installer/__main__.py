"""`python .../setup/installer`: the set-up from a terminal, and the process that Blender starts.

This runs under any Python from 3.11 on. The extension's own package needs Blender, so it is passed over here.
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import ModuleType

_NAME = "uvmap_id_extension"


def _package() -> str:
    """A stand-in for the extension's package, with the same modules in it."""
    extension = Path(__file__).resolve().parents[2]
    stand_in = ModuleType(_NAME)
    # In a checkout the link is still the backend's.
    stand_in.__path__ = [str(extension), str(extension.parent / "backend" / "uvmap_id")]
    sys.modules[_NAME] = stand_in
    return f"{_NAME}.setup.installer"


def main(arguments: list[str]) -> int:
    """Run a job, or the terminal's command. Returns the exit code."""
    package = _package()
    if arguments[:1] == ["job"]:
        return importlib.import_module(f"{package}.worker").main(arguments[1:])
    return importlib.import_module(f"{package}.terminal").main(arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
