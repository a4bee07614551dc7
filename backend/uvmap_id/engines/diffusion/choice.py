"""Which of the installed weights a request is made with. Knows no torch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from uvmap_id.link.errors import ErrorCode, UVMapError
from uvmap_id.weights.catalogue import Purpose
from uvmap_id.weights.store import NEEDED_BASE, WeightsStore

LANCZOS = "lanczos"
_TEXTURES = (Purpose.TEXTURE, Purpose.ADAPTER, Purpose.BASE)
# What knows faces, and was trained with the paper's VAE.
_KINDS_WITH_IDENTITY = ("uvmap-id", "ip-adapter-faceid")
_MODEL_FILES = (".safetensors", ".bin", ".ckpt", ".pt", ".pth", ".onnx")


@dataclass(frozen=True, slots=True)
class WeightsChoice:
    """Weights that are all here.

    Attributes:
        id: Their name in the store.
        path: Folder or file.
        base: Of weights that are only a part.
        vae: To take instead of their own, or None.
        knows_faces: False for weights that know text alone.
        knows_textures: False for weights that were trained on pictures alone, not on textures.
        ids: All names in the store that are used.
    """

    id: str
    path: Path
    base: Path | None
    vae: Path | None
    knows_faces: bool
    knows_textures: bool
    ids: tuple[str, ...]


def choose_weights(store: WeightsStore, wanted: str) -> WeightsChoice:
    """The weights that a request names, or the best that are installed.

    Raises:
        UVMapError: weights_missing, weights_unknown, weights_incomplete; weights_unsupported for weights that make no
            textures, such as a VAE.
    """
    weights_id = wanted or store.default(Purpose.TEXTURE)
    if not weights_id:
        raise UVMapError(
            ErrorCode.WEIGHTS_MISSING,
            'The engine "uvmap-id" needs weights, and none are installed.',
            'See which there are: uvmap-id weights list. Or choose the engine "projection", which needs none.',
        )
    path = store.path(weights_id)
    installed = {weights.id: weights for weights in store.installed()}
    weights = installed[weights_id]
    if weights.purpose not in _TEXTURES:
        raise UVMapError(
            ErrorCode.WEIGHTS_UNSUPPORTED,
            f"{weights_id} is for another purpose ({weights.purpose}) and makes no textures.",
            "Choose others: uvmap-id weights list",
        )
    base = _base(store, weights_id, weights.kind)
    painter = installed[base] if base and weights.purpose == Purpose.ADAPTER else weights
    knows = knows_faces(weights.kind)
    vae = store.default(Purpose.VAE) if knows and not weights.kind.endswith("fused") else None
    return WeightsChoice(
        id=weights_id,
        path=path,
        base=installed[base].folder if base else None,
        vae=installed[vae].folder if vae else None,
        knows_faces=knows,
        knows_textures=painter.purpose == Purpose.TEXTURE,
        ids=tuple(name for name in (weights_id, base, vae) if name),
    )


def knows_faces(kind: str) -> bool:
    """True for kinds of weights that take an identity; the others know text alone."""
    return kind.startswith(_KINDS_WITH_IDENTITY)


def can_make_faces(store: WeightsStore) -> bool:
    """True where weights that know faces and textures are here, and the models that recognise faces."""
    if store.default(Purpose.TEXTURE) is None or identity_weights(store) is None:
        return False
    choice = choose_weights(store, "")
    return choice.knows_faces and choice.knows_textures


def identity_weights(store: WeightsStore) -> str | None:
    """The models that recognise faces, by their name in the store."""
    return store.default(Purpose.IDENTITY)


def upscaler_file(store: WeightsStore, wanted: str) -> Path | None:
    """The ONNX file of an upscaler; None for Lanczos' kernel.

    Raises:
        UVMapError: weights_unknown, weights_missing, weights_incomplete; weights_unsupported for what is no upscaler.
    """
    if wanted in ("", LANCZOS):
        return None
    path = store.path(wanted)
    files = [path] if path.is_file() else sorted(path.rglob("*.onnx"))
    purposes = {weights.id: weights.purpose for weights in store.installed()}
    if purposes.get(wanted) != Purpose.UPSCALER or len(files) != 1:
        raise UVMapError(
            ErrorCode.WEIGHTS_UNSUPPORTED,
            f"{wanted} is no upscaler of one ONNX file.",
            f'Choose others: uvmap-id weights list. Or the upscaler "{LANCZOS}", which needs none.',
        )
    return files[0]


def fingerprints(store: WeightsStore, ids: tuple[str, ...]) -> dict[str, Any]:
    """SHA-256 of the model files of weights by their names, for the manifest."""
    found: dict[str, Any] = {}
    for weights_id in ids:
        record = store.recorded(weights_id)
        if record is not None:
            models = [file for file in record.files if file.path.endswith(_MODEL_FILES)]
            found[weights_id] = {file.path: file.sha256 for file in models}
    return found


def _base(store: WeightsStore, weights_id: str, kind: str) -> str | None:
    needed = NEEDED_BASE.get(kind)
    if needed is None:
        return None
    # An adapter is best on a base that was trained on textures, such as SMPLitex.
    for purpose in (Purpose.TEXTURE, Purpose.BASE):
        for weights in store.installed():
            if weights.purpose == purpose and weights.kind.startswith(needed) and weights.id != weights_id:
                return weights.id
    known = [entry.id for entry in store.catalogue.entries if entry.purpose == Purpose.BASE and entry.kind == needed]
    raise UVMapError(
        ErrorCode.WEIGHTS_MISSING,
        f"{weights_id} is only a part: it needs a base, and none is installed.",
        f"Get it: uvmap-id weights get {known[0] if known else 'BASE'}",
    )
