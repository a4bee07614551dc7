"""From a person's words to what the text encoder reads, however long they are."""

from __future__ import annotations

import re
import string
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from uvmap_id.link.errors import ErrorCode, UVMapError

if TYPE_CHECKING:
    from transformers import CLIPTextModel, CLIPTokenizer

_GENDERS = {
    "man": ("man", "male", "gentleman", "guy", "boy"),
    "woman": ("woman", "female", "lady", "girl"),
}
_AGES = frozenset(("young", "old", "elderly", "adult", "teenage", "middle-aged", "child", "senior", "aged"))
_FILLERS = frozenset(("a", "an", "the", "person", "years", "year", "of", "age"))
_AGE_NUMBER = re.compile(r"\d{1,3}(?:-year-old|s)?")
_FIELDS = frozenset(("prompt", "subject", "ethnicity", "gender", "age"))
_SPACES = re.compile(r"\s+")


@dataclass(frozen=True, slots=True)
class Subject:
    """The person in words; whatever was not said is empty."""

    ethnicity: str = ""
    gender: str = ""
    age: str = ""


def read_subject(text: str) -> Subject:
    """Sort a subject's words, e.g. "young asian woman", into the paper's fields.

    A gender's synonyms become "man" or "woman", the words that UVMap-ID was trained with. What is neither gender nor
    age is taken for the ethnicity.
    """
    ethnicity, gender, age = [], "", []
    for word in re.split(r"[\s,]+", text.strip()):
        lower = word.lower()
        known = next((name for name, words in _GENDERS.items() if lower in words), "")
        if known:
            gender = known
            age += [lower] if lower in ("boy", "girl") else []
        elif lower in _AGES or _AGE_NUMBER.fullmatch(lower):
            age.append(lower)
        elif lower and lower not in _FILLERS:
            ethnicity.append(word)
    return Subject(" ".join(ethnicity), gender, " ".join(age))


def fill_template(template: str, prompt: str, subject: str) -> str:
    """Put a prompt together.

    Args:
        template: Text with {prompt}, {ethnicity}, {gender}, {age} or {subject}.
        prompt: What the person wears.
        subject: The person in words.

    Raises:
        UVMapError: `setting_out_of_range`: the template has braces that mean nothing.
    """
    person = read_subject(subject)
    values = {
        "prompt": prompt,
        "subject": subject,
        "ethnicity": person.ethnicity,
        "gender": person.gender,
        "age": person.age,
    }
    try:
        parts = list(string.Formatter().parse(template))
    except ValueError:
        raise _bad_template(template) from None
    text = ""
    for literal, field, form, conversion in parts:
        if field is not None and (field not in _FIELDS or form or conversion):
            raise _bad_template(template)
        text += literal + (values[field] if field else "")
    return _SPACES.sub(" ", text).strip()


def _bad_template(template: str) -> UVMapError:
    return UVMapError(
        ErrorCode.SETTING_OUT_OF_RANGE,
        f'The template "{template[:80]}" can\'t be filled.',
        f"Its fields are {', '.join(f'{{{name}}}' for name in sorted(_FIELDS))}; write other braces double.",
    )


def encode_prompts(
    prompts: list[str], tokenizer: CLIPTokenizer, text_encoder: CLIPTextModel
) -> tuple[Tensor, Tensor | None]:
    """What the text encoder makes of prompts of any length.

    A text encoder reads 75 tokens at once. A longer prompt is split, at its commas where it can be, each portion is
    encoded by itself, and the U-Net attends to all of them.

    Returns:
        (B, T, C) encodings, and (B, T) which tokens count, or None where all do.
    """
    return encode_portions([split_prompt(prompt, tokenizer) for prompt in prompts], text_encoder)


def encode_portions(portions: list[list[list[int]]], text_encoder: CLIPTextModel) -> tuple[Tensor, Tensor | None]:
    """The same for prompts that `split_prompt` has split already."""
    device = text_encoder.device
    flat = torch.tensor([portion for prompt in portions for portion in prompt], device=device)
    encoded = text_encoder(flat).last_hidden_state
    longest = max(map(len, portions))
    length, width = encoded.shape[1:]
    text = encoded.new_zeros(len(portions), longest * length, width)
    mask = torch.zeros(len(portions), longest * length, dtype=torch.bool, device=device)
    start = 0
    for row, prompt in enumerate(portions):
        count = len(prompt) * length
        text[row, :count] = encoded[start : start + len(prompt)].reshape(count, width)
        mask[row, :count] = True
        start += len(prompt)
    return text, None if bool(mask.all()) else mask


def split_prompt(prompt: str, tokenizer: CLIPTokenizer) -> list[list[int]]:
    """A prompt's tokens in portions that the text encoder can read, each framed and padded as it was trained."""
    limit = tokenizer.model_max_length - 2
    portions: list[list[int]] = [[]]
    for tokens in _clauses(prompt, tokenizer):
        if len(portions[-1]) + len(tokens) > limit and portions[-1] and len(tokens) <= limit:
            portions.append([])
        for token in tokens:
            if len(portions[-1]) == limit:
                portions.append([])
            portions[-1].append(token)
    return [_framed(portion, tokenizer) for portion in portions]


def _clauses(prompt: str, tokenizer: CLIPTokenizer) -> list[list[int]]:
    """Tokens of each part between commas, the commas included."""
    ids = tokenizer(prompt, add_special_tokens=False, truncation=False, verbose=False).input_ids
    commas = set(tokenizer(",", add_special_tokens=False).input_ids)
    clauses: list[list[int]] = [[]]
    for token in ids:
        clauses[-1].append(token)
        if token in commas:
            clauses.append([])
    return clauses


def _framed(tokens: list[int], tokenizer: CLIPTokenizer) -> list[int]:
    framed = [tokenizer.bos_token_id, *tokens, tokenizer.eos_token_id]
    return framed + [tokenizer.pad_token_id] * (tokenizer.model_max_length - len(framed))
