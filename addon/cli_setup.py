"""The command that sets the backend up: `blender --command uvmap_id setup`."""

from __future__ import annotations

import argparse
import importlib
from typing import Any

from . import preferences, upkeep
from .link.client import error_of
from .link.errors import ErrorCode, UVMapError

_NEEDS_NETWORK = ("install", "repair")


def add_commands(commands: Any) -> None:
    """Add the sub-command's parser to what `ArgumentParser.add_subparsers` gave."""
    if not upkeep.has_installer():
        return
    parser = commands.add_parser("setup", help="set the backend up, verify, repair or remove it")
    _terminal().add_options(parser)
    parser.set_defaults(run=_set_up)


def _set_up(options: argparse.Namespace) -> str:
    terminal, root = _terminal(), options.root.absolute() if options.root else preferences.setup_root()
    if options.task == "status":
        return terminal.status_text(root)
    if options.task in _NEEDS_NETWORK:
        upkeep.check_online()
    setup = upkeep.setup_of()
    setup.start(terminal.make_job(options.task, root, options.variant, options.python, options.wheel))
    terminal.follow(setup)
    if setup.failure is not None:
        raise error_of(setup.failure)
    if not setup.sentence:
        raise UVMapError(ErrorCode.SETUP_FAILED, "The set-up ended without a word.", "Start it again.")
    return setup.sentence


def _terminal() -> Any:
    return importlib.import_module(".setup.installer.terminal", __package__)
