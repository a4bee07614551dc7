"""How Blender and the command line talk to the server: standard library and pyzmq only.

This folder is copied as it is into the Blender extension, so it imports nothing else of ours.
"""

from .client import Client
from .connection import Connection, read_connection, state_dir
from .launcher import Launch, ensure_server
from .messages import ErrorCode, Failure, TextureRequest, UVMapError
from .photo import photo_hash, read_photo

__all__ = [
    "Client",
    "Connection",
    "ErrorCode",
    "Failure",
    "Launch",
    "TextureRequest",
    "UVMapError",
    "ensure_server",
    "photo_hash",
    "read_connection",
    "read_photo",
    "state_dir",
]
