"""CURVE key pairs: who a server is, and who may talk to it.

A secret key lies in a file that only its owner can read, and goes nowhere else: not onto a command line, not into
the environment, not into a log. A public key is no secret; its file is one line, `KEY NAME`.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from dataclasses import dataclass, field
from pathlib import Path

from .errors import ErrorCode, UVMapError
from .private import NotPrivateError, make_private_folder, read_private, write_private

KEYS_FOLDER = "keys"
SERVER_KEY = "server.key"
CLIENT_KEY = "client.key"
AUTHORIZED = "authorized"

_KEY = re.compile(r"[0-9a-zA-Z.\-:+=^!/*?&<>()\[\]{}@%$#]{40}")
_NAME = re.compile(r"[^\s\x00-\x1f\x7f][^\x00-\x1f\x7f]{0,99}")
_FILE_LIMIT = 64 * 1024


@dataclass(frozen=True, slots=True)
class KeyPair:
    """A CURVE key pair, each 40 characters of Z85. The secret one is never shown."""

    public: str
    secret: str = field(repr=False)


def is_key(text: str) -> bool:
    """True for 40 characters of Z85."""
    return _KEY.fullmatch(text) is not None


def new_key_pair() -> KeyPair:
    """A key pair that nobody else has."""
    # Imported here: who only reads the connection file needs no pyzmq.
    import zmq

    public, secret = zmq.curve_keypair()
    return KeyPair(public.decode("ascii"), secret.decode("ascii"))


def fingerprint(public: str) -> str:
    """A public key's SHA-256 in the form that ssh made familiar: what two people compare by eye."""
    digest = hashlib.sha256(public.encode("ascii")).digest()
    return "SHA256:" + base64.b64encode(digest).decode("ascii").rstrip("=")


def write_key_pair(pair: KeyPair, path: Path, name: str) -> Path:
    """Write a secret key's file and, beside it, the public key's: `path` with ".pub" after it, which is returned.

    Raises:
        OSError: They can't be written.
    """
    public = path.with_name(path.name + ".pub")
    write_private(path, json.dumps({"public": pair.public, "secret": pair.secret}, indent=2).encode())
    write_private(public, f"{pair.public} {_checked_name(name)}\n".encode())
    return public


def read_key_pair(path: Path) -> KeyPair:
    """The key pair that `write_key_pair` wrote.

    Raises:
        UVMapError: `key_invalid`: there is none, it is damaged, or others can read it.
    """
    import zmq

    try:
        values = json.loads(_read(path))
        pair = KeyPair(values["public"], values["secret"])
        if (
            is_key(pair.public)
            and is_key(pair.secret)
            and zmq.curve_public(pair.secret.encode()) == pair.public.encode()
        ):
            return pair
    except (ValueError, KeyError, TypeError, RecursionError):
        pass
    raise _invalid(f"{path} holds no key pair.", 'Make one: "uvmap-id keys new".')


def read_public_key(path: Path) -> tuple[str, str]:
    """A public key and the name in its file, which may be empty.

    Raises:
        UVMapError: `key_invalid`: there is none.
    """
    try:
        with path.open("rb") as file:
            found = _parse_line(file.read(_FILE_LIMIT).decode("utf-8", errors="replace").strip())
    except OSError as error:
        raise _invalid(f"{path} can't be read: {error.strerror or error}.", "Choose a public key's file.") from error
    if found is None:
        raise _invalid(f"{path} holds no public key.", 'It is the file ending in .pub that "uvmap-id keys new" made.')
    return found


def own_keys(state: Path, name: str) -> KeyPair:
    """The durable key pair of that file name in a state folder, made at its first use.

    Args:
        state: The state folder.
        name: `SERVER_KEY` or `CLIENT_KEY`.

    Raises:
        UVMapError: `key_invalid`. A damaged one is not replaced: others may have pinned it.
        OSError: It can't be written.
    """
    path = state / KEYS_FOLDER / name
    if path.is_symlink() or path.exists():
        return read_key_pair(path)
    make_private_folder(path.parent)
    pair = new_key_pair()
    write_key_pair(pair, path, name.removesuffix(".key"))
    return pair


class AuthorizedKeys:
    """The public keys of those who may use a server from elsewhere, in one file: a line `KEY NAME` for each.

    Whoever can't be read is not let in.
    """

    def __init__(self, state: Path) -> None:
        """Of that state folder; nothing is read yet."""
        self.path = state / KEYS_FOLDER / AUTHORIZED

    def read(self) -> dict[str, str]:
        """Each key's name. Raises `UVMapError` (key_invalid) where the file can't be trusted."""
        if not self.path.is_symlink() and not self.path.exists():
            return {}
        lines = _read(self.path).decode("utf-8", errors="replace").splitlines()
        return dict(found for found in map(_parse_line, lines) if found is not None)

    def add(self, public: str, name: str) -> None:
        """Let a key in from now on. Raises `UVMapError` or `OSError`."""
        if not is_key(public):
            raise _invalid("This is no public key.", "A key has 40 characters.")
        self._write({**self.read(), public: name})

    def remove(self, which: str) -> dict[str, str]:
        """Keep a key out from now on, named by itself, its fingerprint or its name; returns what was removed.

        Raises:
            UVMapError: `key_invalid`: there is no such key.
        """
        keys = self.read()
        gone = {key: name for key, name in keys.items() if which in (key, name, fingerprint(key))}
        if not gone:
            raise _invalid(f'No authorised key is called "{which[:100]}".', '"uvmap-id keys list" shows them.')
        self._write({key: name for key, name in keys.items() if key not in gone})
        return gone

    def _write(self, keys: dict[str, str]) -> None:
        text = "".join(f"{key} {_checked_name(name)}".rstrip() + "\n" for key, name in keys.items())
        make_private_folder(self.path.parent)
        write_private(self.path, text.encode())


def _parse_line(line: str) -> tuple[str, str] | None:
    key, _, name = line.strip().partition(" ")
    return (key, name.strip()) if is_key(key) else None


def _checked_name(name: str) -> str:
    if name and not _NAME.fullmatch(name):
        raise _invalid("A key's name is one line of at most 100 characters.", "Choose another name.")
    return name


def _read(path: Path) -> bytes:
    try:
        return read_private(path, _FILE_LIMIT)
    except NotPrivateError:
        raise _invalid(
            f"{path} can be read or changed by other users, so it is not trusted.",
            f"If nobody did, make it private: chmod 600 {path}",
        ) from None
    except OSError as error:
        raise _invalid(
            f"{path} can't be read: {error.strerror or error}.", "See that it is there, and no link."
        ) from error


def _invalid(message: str, hint: str) -> UVMapError:
    return UVMapError(ErrorCode.KEY_INVALID, message, hint)
