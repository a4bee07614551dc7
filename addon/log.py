"""The extension's log: what went wrong, for whoever is asked about it. It never holds a prompt or a photo."""

from __future__ import annotations

import logging
from logging.handlers import RotatingFileHandler
from pathlib import Path

import bpy

FILE_NAME = "extension.log"

_SIZE_LIMIT = 256 * 1024
_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


def path() -> Path:
    """Where the log lies."""
    return Path(bpy.utils.extension_path_user(__package__ or "", path="", create=True)) / FILE_NAME


def register() -> None:
    """Write what the extension's modules log into its file; the file is made with the first line."""
    try:
        handler = RotatingFileHandler(path(), maxBytes=_SIZE_LIMIT, backupCount=1, encoding="utf-8", delay=True)
    except (OSError, ValueError):
        # Without a folder of one's own there is still Blender's console.
        return
    handler.setFormatter(logging.Formatter(_FORMAT))
    logging.getLogger(__package__).addHandler(handler)


def unregister() -> None:
    """Let go of the file."""
    logger = logging.getLogger(__package__)
    for handler in [each for each in logger.handlers if isinstance(each, RotatingFileHandler)]:
        logger.removeHandler(handler)
        handler.close()
