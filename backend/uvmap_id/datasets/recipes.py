"""From what a person asks for to a recipe: which engine, which weights, which words."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import uvmap_id
from uvmap_id.datasets.plan import Recipe
from uvmap_id.engines.diffusion.choice import choose_weights, fingerprints, identity_weights, upscaler_file
from uvmap_id.engines.registry import choose_engine
from uvmap_id.link.errors import ErrorCode, UVMapError
from uvmap_id.link.request import DEFAULT_TEMPLATE, TextureRequest
from uvmap_id.weights.store import WeightsStore

# Of the paper's list only some are known, from its figures; these are our own.
PROMPTS = (
    "wearing white t-shirt, blue jeans, white sneakers",
    "wearing navy suit, white shirt, black shoes",
    "wearing red dress, black heels",
    "wearing grey hoodie, black trousers, white sneakers",
    "wearing black leather jacket, white t-shirt, blue jeans, boots",
    "wearing blue plaid shirt, beige trousers, brown belt, brown boots",
    "wearing green polo shirt, beige shorts, white sneakers",
    "wearing white blouse, black skirt, black shoes",
    "military soldier costume",
    "superhero costume",
    "wearing red and white striped t-shirt, blue shorts, sandals",
    "wearing black t-shirt, grey trousers, black sneakers",
    "wearing yellow sweater, blue jeans, brown boots",
    "wearing blue suit, black shirt, brown shoes",
    "wearing green dress, white sneakers",
    "wearing pink tank top, black leggings, white sneakers",
    "policeman",
    "wearing brown coat, white shirt, black trousers, black boots",
    "wearing white lab coat, blue shirt, grey trousers",
    "wearing orange t-shirt, camouflage pants, black boots",
)
# How SMPLitex is asked: its textures' word, and who it is.
TEXT_ONLY_TEMPLATE = "a sks texturemap of {prompt}"
TEXT_ONLY_WORDS = "{description} {prompt}"


def read_prompts(file: Path | None) -> tuple[str, ...]:
    """Prompts of a file, one a line; empty lines and those that begin with # count for nothing. None is no file.

    Raises:
        UVMapError: config_invalid.
    """
    if file is None:
        return ()
    try:
        lines = file.read_text(encoding="utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise UVMapError(
            ErrorCode.CONFIG_INVALID, f"The prompts in {file} can't be read.", "Name a text file, one prompt a line."
        ) from error
    prompts = tuple(dict.fromkeys(line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#")))
    if not prompts:
        raise UVMapError(ErrorCode.CONFIG_INVALID, f"{file} holds no prompts.", "Write one prompt a line.")
    return prompts


def make_recipe(
    request: TextureRequest,
    prompts: Sequence[str],
    counts: tuple[int, int],
    directions: Mapping[str, bool],
    words: str = "",
    seed: int = 0,
) -> Recipe:
    """A recipe with the engine and the weights that are taken today, by their names and hashes.

    Args:
        request: Engine, size and settings.
        prompts: What people wear; empty takes ours, or none where the model knows people by their names alone.
        counts: Candidates, and how many are kept.
        directions: Of the metrics that choose, True where higher is better.
        words: The text for the model; empty takes the best for its weights.
        seed: Varies all textures.

    Raises:
        UVMapError: config_invalid, weights_missing, weights_unknown, weights_incomplete, weights_unsupported.
    """
    candidates, keep = counts
    if not 1 <= keep <= candidates <= 99:
        raise UVMapError(
            ErrorCode.CONFIG_INVALID,
            f"{keep} of {candidates} textures can't be kept.",
            "Make 1 to 99 of each, and keep at least one and at most all of them.",
        )
    engine = choose_engine(request.engine)
    request = dataclasses.replace(request, engine=engine)
    store = WeightsStore()
    used: tuple[str, ...] = ()
    knows_names = False
    if engine == "uvmap-id":
        choice = choose_weights(store, request.diffusion.weights)
        upscaler_file(store, request.diffusion.upscaler)
        knows_names = not choice.knows_faces
        identity = identity_weights(store)
        used = choice.ids if identity is None else (*choice.ids, identity)
        if knows_names and not words:
            words = TEXT_ONLY_WORDS
        diffusion = dataclasses.replace(request.diffusion, weights=choice.id)
        if knows_names and diffusion.template == DEFAULT_TEMPLATE:
            diffusion = dataclasses.replace(diffusion, template=TEXT_ONLY_TEMPLATE)
        request = dataclasses.replace(request, diffusion=diffusion)
    made_by: dict[str, Any] = {"version": uvmap_id.__version__, "weights": fingerprints(store, used)}
    return Recipe(
        request=request,
        prompts=tuple(prompts) or (("",) if knows_names else PROMPTS),
        candidates=candidates,
        keep=keep,
        metrics=tuple(directions),
        directions=directions,
        words=words or "{prompt}",
        made_by=made_by,
        seed=seed,
    )


def sentences(recipe: Recipe, left_out: Mapping[str, str]) -> tuple[str, ...]:
    """How textures are made by a recipe, for the card."""
    request = recipe.request
    weights = f" with the weights {request.diffusion.weights}" if request.engine == "uvmap-id" else ""
    chosen = f"the best {recipe.keep} of {recipe.candidates} are kept"
    by = f", by {', '.join(recipe.metrics)}" if recipe.metrics else ", the first ones: no metric was at hand"
    everything = recipe.keep == recipe.candidates
    return (
        f'UVMap-ID {uvmap_id.__version__}, engine "{request.engine}"{weights}, {request.size} x {request.size}.',
        f"{recipe.candidates} candidates of each." if everything else f"Of each, {chosen}{by}.",
        *(f"The metric {name} was left out: {reason}" for name, reason in left_out.items()),
    )
