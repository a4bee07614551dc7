"""Files of tensors: their names and shapes without reading them, and their content without copying it.

What a file is, is seen in its first bytes, never in its name. Pickles go through `torch.load(weights_only=True)` alone,
which builds tensors and plain containers and runs nothing that the file asks for.
"""

from __future__ import annotations

import json
import pickle
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from uvmap_id.link.errors import ErrorCode, UVMapError

Shapes = dict[str, tuple[int, ...]]
Tensors = dict[str, Tensor]

_SUFFIXES = frozenset({".safetensors", ".bin", ".ckpt", ".pt", ".pth"})
_PART = ".part"
_INDEX = ".index.json"
_LENGTH_BYTES = 8
_HEADER_LIMIT = 100_000_000  # the format's own
_ZIP, _PICKLE, _POINTER = b"PK", b"\x80", b"version https://git-lfs"
_AGAIN = "Download it again, or copy it again from where it came from."
_OTHER_FILES = ("openvino", "optimizer", "scheduler", "random_states", "training_args")


def read_shapes(file: Path) -> Shapes:
    """Name and shape of each tensor of a file, without reading the tensors.

    Raises:
        UVMapError: `weights_missing`, `weights_incomplete`: no file, or the end of it is missing. `weights_invalid`:
            no file of tensors, or a pickle that holds more than tensors.
    """
    if _is_safetensors(file):
        return {name: tuple(entry["shape"]) for name, entry in _safetensors_header(file).items()}
    return {name: tuple(tensor.shape) for name, tensor in _read_pickle(file, "meta").items()}


def read_tensors(files: Iterable[Path]) -> Tensors:
    """All tensors of some files, mapped into memory: the disk is read when a tensor is.

    Raises:
        UVMapError: As `read_shapes`.
    """
    tensors: Tensors = {}
    for file in files:
        if _is_safetensors(file):
            _safetensors_header(file)
            tensors |= load_file(file)
        else:
            tensors |= _read_pickle(file, "cpu")
    return tensors


def component_files(folder: Path) -> list[Path]:
    """The files that hold one module in a folder of diffusers or transformers: one file, or all shards of it.

    Where a folder has several variants, the one with the shortest name is taken, and safetensors before pickles: that
    is the full-precision one.

    Raises:
        UVMapError: `weights_incomplete`: there is none, a download has not ended, or a shard is missing.
    """
    indices = sorted(folder.glob(f"*{_INDEX}"), key=_preference) if folder.is_dir() else []
    files = tensor_files(folder)
    shards = {shard for index in indices for shard in _shards(index)}
    single = [file for file in files if file not in shards]
    if single:
        return [min(single, key=_preference)]
    if indices:
        return [_existing(shard) for shard in _shards(indices[0])]
    if part := next(folder.glob(f"*{_PART}"), None):
        raise UVMapError(ErrorCode.WEIGHTS_INCOMPLETE, f"{part} is a download that has not ended.", "Finish it first.")
    raise UVMapError(ErrorCode.WEIGHTS_INCOMPLETE, f"{folder} holds no weights.", _AGAIN)


def tensor_files(folder: Path) -> list[Path]:
    """The files in a folder that may hold tensors of a model, sorted."""
    if not folder.is_dir():
        return []
    files = (file for file in folder.iterdir() if file.suffix in _SUFFIXES and file.is_file())
    return sorted(file for file in files if not file.name.startswith(_OTHER_FILES))


def read_json(file: Path) -> dict[str, Any]:
    """A JSON object.

    Raises:
        UVMapError: `weights_incomplete`: there is no such file. `weights_invalid`: it is no JSON object.
    """
    try:
        value = json.loads(file.read_bytes())
    except FileNotFoundError:
        raise UVMapError(ErrorCode.WEIGHTS_INCOMPLETE, f"{file} is missing.", _AGAIN) from None
    except (OSError, ValueError) as error:
        raise UVMapError(ErrorCode.WEIGHTS_INVALID, f"{file} can't be read: {error}.", _AGAIN) from error
    if not isinstance(value, dict):
        raise UVMapError(ErrorCode.WEIGHTS_INVALID, f"{file} holds no JSON object.", _AGAIN)
    return value


def _preference(file: Path) -> tuple[bool, int, str]:
    return not file.name.removesuffix(_INDEX).endswith(".safetensors"), len(file.name), file.name


def _shards(index: Path) -> list[Path]:
    names = read_json(index).get("weight_map")
    if not isinstance(names, dict) or not all(isinstance(name, str) for name in names.values()):
        raise UVMapError(ErrorCode.WEIGHTS_INVALID, f"{index} is no index of shards.", _AGAIN)
    # A name is taken as a name: an index can't lead out of its folder.
    return sorted({index.parent / Path(name).name for name in names.values()})


def _existing(shard: Path) -> Path:
    if not shard.is_file():
        raise UVMapError(ErrorCode.WEIGHTS_INCOMPLETE, f"{shard}, a part of the weights, is missing.", _AGAIN)
    return shard


def _is_safetensors(file: Path) -> bool:
    """False for a pickle; every other file is refused."""
    try:
        with file.open("rb") as stream:
            start = stream.read(max(len(_POINTER), _LENGTH_BYTES + 1))
    except OSError as error:
        raise UVMapError(ErrorCode.WEIGHTS_MISSING, f"{file} can't be read: {error.strerror or error}.") from error
    if file.suffix == _PART or not start:
        raise UVMapError(ErrorCode.WEIGHTS_INCOMPLETE, f"{file} is a download that has not ended.", "Finish it first.")
    if start.startswith(_POINTER):
        raise UVMapError(
            ErrorCode.WEIGHTS_INCOMPLETE, f"{file} only points to the weights.", "Fetch them with `git lfs pull`."
        )
    if start[_LENGTH_BYTES : _LENGTH_BYTES + 1] == b"{":
        return True
    if start.startswith((_ZIP, _PICKLE)):
        return False
    raise UVMapError(
        ErrorCode.WEIGHTS_INVALID,
        f"{file} is no file of weights.",
        "A page that asks to log in is often saved under the name of the weights. " + _AGAIN,
    )


def _safetensors_header(file: Path) -> dict[str, dict[str, list[int]]]:
    """The header without its metadata, once the file is as long as it says."""
    size = file.stat().st_size
    with file.open("rb") as stream:
        length = int.from_bytes(stream.read(_LENGTH_BYTES), "little")
        if length > _HEADER_LIMIT:
            raise UVMapError(ErrorCode.WEIGHTS_INVALID, f"{file} is no file of weights.", _AGAIN)
        text = stream.read(length)
    if len(text) < length:
        raise _cut_off(file)
    try:
        header = json.loads(text)
        header.pop("__metadata__", None)
        end = max((entry["data_offsets"][1] for entry in header.values()), default=0)
        readable = all(isinstance(number, int) for entry in header.values() for number in entry["shape"])
    except (ValueError, KeyError, TypeError, AttributeError, IndexError):
        readable, end, header = False, 0, {}
    if not readable:
        raise UVMapError(ErrorCode.WEIGHTS_INVALID, f"The header of {file} can't be read.", _AGAIN)
    if size < _LENGTH_BYTES + length + end:
        raise _cut_off(file)
    if size > _LENGTH_BYTES + length + end:
        raise UVMapError(ErrorCode.WEIGHTS_INVALID, f"{file} is longer than its header says.", _AGAIN)
    return header


def _cut_off(file: Path) -> UVMapError:
    return UVMapError(ErrorCode.WEIGHTS_INCOMPLETE, f"The end of {file} is missing.", _AGAIN)


def _read_pickle(file: Path, device: str) -> Tensors:
    try:
        return dict(_flat(_load_pickle(file, device)))
    except pickle.UnpicklingError as error:
        raise UVMapError(
            ErrorCode.WEIGHTS_INVALID,
            f"{file} is a pickle that holds more than tensors, or is damaged; it was not run.",
            "Look for the same weights as .safetensors.",
        ) from error
    except (RuntimeError, EOFError) as error:
        raise _cut_off(file) from error
    except (ValueError, TypeError, KeyError, IndexError, AttributeError) as error:
        raise UVMapError(ErrorCode.WEIGHTS_INVALID, f"{file} is a pickle that can't be read.", _AGAIN) from error


def _load_pickle(file: Path, device: str) -> object:
    with file.open("rb") as stream:
        zipped = stream.read(len(_ZIP)) == _ZIP
        stream.seek(0)
        # torch judges a path by its suffix, whatever is in the file; and only archives can be mapped.
        if zipped and file.suffix != ".safetensors":
            return torch.load(file, map_location=device, weights_only=True, mmap=True)
        return torch.load(stream, map_location=device, weights_only=True)


def _flat(content: object, path: str = "") -> Iterable[tuple[str, Tensor]]:
    """Each tensor of nested dictionaries, with its keys joined by dots; steps, epochs and the like fall away."""
    if isinstance(content, Tensor):
        yield path, content
    elif isinstance(content, Mapping):
        for key, value in content.items():
            yield from _flat(value, f"{path}.{key}" if path and path != "state_dict" else str(key))
