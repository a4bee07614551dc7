"""Which engines there are, by the name that a request calls them."""

from __future__ import annotations

import importlib.util

from uvmap_id.link.errors import ErrorCode, UVMapError
from uvmap_id.link.request import ENGINES

from .base import Engine

_PACKAGES = ("torch", "diffusers", "transformers", "accelerate", "safetensors")
_INSTALL = 'pip install "uvmap-id[diffusion]"'
_OTHERWISE = 'Or choose the engine "projection", which needs none of it.'


def choose_engine(name: str) -> str:
    """The engine that a request gets: for "auto" the best one that can run well on this machine, now.

    That is "uvmap-id" where its packages, weights that know faces, the models that recognise faces and an accelerator
    are there; on a processor alone it takes minutes, which nobody should run into without having asked for it.
    """
    if name != "auto":
        return name
    # Cheap things first: nobody without weights waits for torch.
    if _missing_packages() or not _has_weights():
        return "projection"
    return "uvmap-id" if _has_accelerator() else "projection"


def create_engine(name: str) -> Engine:
    """A new engine.

    Args:
        name: As from `choose_engine`.

    Raises:
        UVMapError: `engine_unknown`, `engine_unavailable`, or what the engine needs is missing.
    """
    # Imported here, so that a worker loads the one engine that it runs.
    if name == "projection":
        from uvmap_id.engines.projection.engine import ProjectionEngine

        return ProjectionEngine()
    if name == "uvmap-id":
        return _create_uvmap_id()
    raise UVMapError(ErrorCode.ENGINE_UNKNOWN, f'There is no engine "{name}".', f"Choose one of {', '.join(ENGINES)}.")


def _create_uvmap_id() -> Engine:
    if missing := _missing_packages():
        raise UVMapError(
            ErrorCode.ENGINE_UNAVAILABLE,
            f'The engine "uvmap-id" needs packages that are not installed: {", ".join(missing)}.',
            f"Install them: {_INSTALL}. {_OTHERWISE}",
        )
    try:
        from uvmap_id.engines.diffusion.engine import UVMapIDEngine
    except (ImportError, OSError) as error:
        # OSError is how torch says that one of its libraries can't be loaded.
        raise UVMapError(
            ErrorCode.ENGINE_UNAVAILABLE,
            f'The packages of the engine "uvmap-id" can\'t be loaded: {error}.',
            f"Install them again: {_INSTALL} --force-reinstall. {_OTHERWISE}",
        ) from error
    return UVMapIDEngine()


def _missing_packages() -> list[str]:
    return [package for package in _PACKAGES if importlib.util.find_spec(package) is None]


def _has_weights() -> bool:
    from uvmap_id.engines.diffusion.choice import can_make_faces
    from uvmap_id.weights.store import WeightsStore

    return can_make_faces(WeightsStore())


def _has_accelerator() -> bool:
    try:
        from uvmap_id.pipelines.hardware import best_device
    except (ImportError, OSError):
        return False
    return best_device().type != "cpu"
