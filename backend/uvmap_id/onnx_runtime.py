"""The package onnxruntime, for models that come as ONNX files. It is imported when it is first needed."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Any

from uvmap_id.link.errors import ErrorCode, UVMapError

_INSTALL = 'pip install "uvmap-id[{extra}]"'
_PROVIDERS = ("CUDAExecutionProvider", "CPUExecutionProvider")
_ERRORS = "Fail InvalidArgument InvalidGraph InvalidProtobuf NoModel NotImplemented RuntimeException".split()


@dataclass(frozen=True, slots=True)
class Runtime:
    """What is there to run models with.

    Attributes:
        module: The package.
        providers: What models run on: the first of CUDA and the CPU that the package offers, and the others after it.
        errors: What it raises for models that it can't use; its exceptions share no base.
    """

    module: Any
    providers: list[str]
    errors: tuple[type[Exception], ...]


def load_runtime(purpose: str) -> Runtime:
    """Import it. Raises `UVMapError` as `import_package` does."""
    module = import_package("onnxruntime", purpose)
    offered = module.get_available_providers()
    state = module.capi.onnxruntime_pybind11_state
    return Runtime(
        module, [name for name in _PROVIDERS if name in offered], tuple(getattr(state, name) for name in _ERRORS)
    )


def import_package(name: str, purpose: str, extra: str = "diffusion") -> Any:
    """A package that not everybody has installed, or a module of it. `extra` is what brings it.

    Raises:
        UVMapError: package_missing: it is not there, or can't be loaded. `purpose` begins the sentence that says so.
    """
    package = name.partition(".")[0]
    try:
        return importlib.import_module(name)
    except ImportError as error:
        if isinstance(error, ModuleNotFoundError) and error.name == package:
            raise UVMapError(
                ErrorCode.PACKAGE_MISSING,
                f"{purpose} needs the package {package}.",
                f"Install it: {_INSTALL.format(extra=extra)}",
            ) from error
        raise UVMapError(
            ErrorCode.PACKAGE_MISSING,
            f"{purpose} needs the package {package}, which can't be loaded: {error}.",
            f"Install it again: pip install --force-reinstall {package}",
        ) from error
