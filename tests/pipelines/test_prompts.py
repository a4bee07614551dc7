from __future__ import annotations

import pytest
import torch
from asked import Load
from hypothesis import given, settings
from hypothesis import strategies as st

from uvmap_id.link.errors import ErrorCode, UVMapError
from uvmap_id.link.request import DEFAULT_TEMPLATE
from uvmap_id.pipelines.prompts import Subject, encode_prompts, fill_template, read_subject, split_prompt
from uvmap_id.pipelines.uvmap_id import UVMapIDPipeline


@pytest.mark.parametrize(
    ("text", "subject"),
    [
        ("asian woman", Subject("asian", "woman", "")),
        ("young Black male", Subject("Black", "man", "young")),
        ("a 30-year-old white lady", Subject("white", "woman", "30-year-old")),
        ("boy", Subject("", "man", "boy")),
        ("South Asian, elderly person", Subject("South Asian", "", "elderly")),
        ("", Subject()),
    ],
)
def test_a_subject_is_sorted_into_the_papers_fields(text: str, subject: Subject) -> None:
    assert read_subject(text) == subject


def test_the_papers_template_is_the_default() -> None:
    filled = fill_template(DEFAULT_TEMPLATE, "wearing white shirt", "asian woman")
    assert filled == "a sks texturemap of asian woman wearing white shirt"
    assert fill_template(DEFAULT_TEMPLATE, "red dress", "") == "a sks texturemap of red dress"
    assert fill_template("{subject}: {prompt} {{sks}}", "red", "old man") == "old man: red {sks}"


@pytest.mark.parametrize(
    "template", ["{name}", "{prompt", "{prompt!r}", "{prompt:>9}", "{}", "{prompt.__class__}", "}"]
)
def test_braces_that_mean_nothing_are_named(template: str) -> None:
    with pytest.raises(UVMapError) as caught:
        fill_template(template, "red", "man")
    assert caught.value.failure.code == ErrorCode.SETTING_OUT_OF_RANGE


@given(st.text(max_size=200), st.text(max_size=200))
def test_what_people_type_is_text_and_no_template(prompt: str, subject: str) -> None:
    words = fill_template("{prompt} {subject}", prompt, subject).split()
    assert words == prompt.split() + subject.split()


@settings(max_examples=60, deadline=None)
@given(text=st.text(max_size=400))
def test_a_prompt_is_split_and_not_cut(pipeline: UVMapIDPipeline, text: str) -> None:
    tokenizer = pipeline.tokenizer
    wanted = tokenizer(text, add_special_tokens=False, truncation=False).input_ids
    portions = split_prompt(text, tokenizer)
    assert all(len(portion) == 77 for portion in portions)
    kept = [token for portion in portions for token in portion[1:] if token != tokenizer.eos_token_id]
    assert kept == [token for token in wanted if token != tokenizer.eos_token_id]


def test_it_is_split_at_commas_where_it_can_be(pipeline: UVMapIDPipeline) -> None:
    clause = "x" * 29 + ","
    assert len(split_prompt(clause * 2, pipeline.tokenizer)) == 1
    first, second = split_prompt(clause * 4, pipeline.tokenizer)
    comma = pipeline.tokenizer(",", add_special_tokens=False).input_ids[0]
    assert (first.count(comma), second.count(comma)) == (2, 2)


def test_a_short_prompt_is_encoded_as_ever(load: Load) -> None:
    pipeline = load()
    text = "a sks texturemap of asian man"
    ids = pipeline.tokenizer(
        [text], padding="max_length", max_length=77, truncation=True, return_tensors="pt"
    ).input_ids
    with torch.no_grad():
        expected = pipeline.text_encoder(ids).last_hidden_state
        encoded, mask = encode_prompts([text], pipeline.tokenizer, pipeline.text_encoder)
    assert torch.equal(encoded, expected)
    assert mask is None


def test_shorter_prompts_of_a_batch_hide_their_padding(pipeline: UVMapIDPipeline) -> None:
    with torch.no_grad():
        encoded, mask = encode_prompts(["hat", "red, " * 60], pipeline.tokenizer, pipeline.text_encoder)
    assert mask is not None
    assert mask[0].sum() == 77
    assert mask[1].all()
    assert encoded.shape[1] == mask.shape[1] > 77
