"""Models of transformers from folders, without the network, and whole or not at all."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from uvmap_id.link.errors import ErrorCode, UVMapError
from uvmap_id.onnx_runtime import import_package
from uvmap_id.weights.tensors import component_files, read_shapes

_FOLDER = "See docs/metrics.md for what its folder holds."


def load_pretrained(model: str, folder: Path, purpose: str) -> Any:
    """A model in evaluation mode.

    Args:
        model: A class of transformers.
        folder: Holds config.json and the tensors.
        purpose: Begins the sentence of what is missing.

    Raises:
        UVMapError: package_missing, weights_incomplete, weights_invalid.
    """
    transformers = import_package("transformers", purpose)
    if not (folder / "config.json").is_file():
        raise UVMapError(ErrorCode.WEIGHTS_INCOMPLETE, f"{folder} has no config.json.", _FOLDER)
    # What can't be read, or is a pickle of more than tensors, is refused here.
    for file in component_files(folder):
        read_shapes(file)
    transformers.utils.logging.disable_progress_bar()
    try:
        loaded, said = getattr(transformers, model).from_pretrained(
            str(folder), local_files_only=True, output_loading_info=True
        )
    # What may be wrong with a configuration has no common base.
    except (OSError, ValueError, KeyError, RuntimeError, TypeError, AttributeError) as error:
        raise invalid(folder, f"can't be loaded as {model}: {str(error).splitlines()[0]}") from error
    wrong = sorted([*said["missing_keys"], *(key[0] for key in said["mismatched_keys"])])
    if wrong:
        raise invalid(folder, f"lacks {len(wrong)} tensors of a {model}, such as {wrong[0]}")
    return loaded.eval().requires_grad_(False)


def read_config(file: Path) -> dict[str, Any]:
    """A JSON object.

    Raises:
        UVMapError: weights_incomplete where there is no such file, weights_invalid where it is something else.
    """
    try:
        values = json.loads(file.read_bytes())
    except FileNotFoundError:
        raise UVMapError(ErrorCode.WEIGHTS_INCOMPLETE, f"{file} is missing.", _FOLDER) from None
    except (OSError, ValueError, RecursionError) as error:
        raise invalid(file, f"can't be read: {error}") from error
    if not isinstance(values, dict):
        raise invalid(file, "holds no JSON object")
    return values


def invalid(where: Path, what: str) -> UVMapError:
    """The failure for a model's folder that can't be used."""
    return UVMapError(ErrorCode.WEIGHTS_INVALID, f"{where} {what}.", _FOLDER)
