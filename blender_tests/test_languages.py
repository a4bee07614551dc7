"""Every word of the extension is in German too, and nothing else; Blender itself is asked in window/test_german.py."""

# pyright: reportAttributeAccessIssue=false
# The stubs of bpy don't know what the extension adds to it.

from __future__ import annotations

import json
import time
from collections.abc import Callable
from types import ModuleType

import bpy
import pytest
import translate


@pytest.fixture
def texts() -> set[str]:
    return translate.texts_in_source() | translate.texts_of_classes()


def test_german_is_complete(texts: set[str]) -> None:
    found = translate.difference(translate.read("de_DE"), texts, translate.error_codes())
    assert not found, f"In addon/assets/languages/de_DE.json:\n{found}"


def test_every_kind_of_text_is_looked_for(texts: set[str]) -> None:
    for text in (
        *("Generate Texture", "Make a texture set from the face image and the prompt, and put it on the body"),
        *("Face", "Whose face it is: drop a photo on the viewport, paste its path, or choose it"),
        *("Lock Seed", "The same seed gives the same texture", "NVIDIA GPU (CUDA)", "Maps of 2048 x 2048 pixels"),
        *("Nothing is being made", "Shape of {family}", "There is no further photo.", 'Added the body "{0}".'),
        *('The body "{0}" has no UVs.', "Try Again", "Starting the backend", "{0} is installed.", "Public Key"),
        *("Choose Another Photo", "I have read the licence and accept it", "Face of the Character"),
    ):
        assert text in texts


def test_what_is_wrong_with_a_language_is_said() -> None:
    language = {"*": {"Seed {0}": "Startwert", "Old": "Alt", "Empty": " "}, "error": {"gone": "Weg"}}
    found = translate.difference(language, {"Seed {0}", "New", "Empty"}, ["gone", "come"])
    assert found.missing == {"*": ["Empty", "New"], "error": ["come"]}
    assert found.left_over == {"*": ["Old"]}
    assert found.gaps == ["Seed {0}"]
    asked, _, rest = str(found).partition("Take out:\n")
    assert json.loads(asked.partition("\n")[2]) == {"*": {"Empty": "", "New": ""}, "error": {"come": ""}}
    assert '"Old"' in rest


def test_nothing_is_wrong_with_a_whole_language() -> None:
    language = {"*": {"Seed {0} of {1}": "{1}: {0}"}, "Operator": {"Seed {0} of {1}": "{1}, {0}"}, "error": {"a": "A"}}
    assert not translate.difference(language, {"Seed {0} of {1}"}, ["a"])


@pytest.mark.parametrize(
    ("sentence", "german"),
    [
        ("No body is chosen.", "Es ist kein Körper gewählt."),
        ('The body "Ann" has no UVs.', "Der Körper „Ann“ hat keine UVs."),
        ('Added the body "A "B"".', "Körper „A \"B\"“ hinzugefügt."),
        ("3 textures are being made.", "3 Texturen werden erzeugt."),
        ("a.npz can't be read as a body model: it holds no body model.",
         "a.npz kann nicht als Körpermodell gelesen werden: sie enthält kein Körpermodell."),
        ("Something that nobody wrote.", "Something that nobody wrote."),
        ("", ""),
    ],
)  # fmt: skip
def test_finished_sentences_are_recognised(sentence: str, german: str, module: Callable[[str], ModuleType]) -> None:
    words = module("translations").languages()["de_DE"]
    assert module("translations").Templates(words["*"]).translated(sentence) == german


def test_values_may_look_like_anything(module: Callable[[str], ModuleType]) -> None:
    templates = module("translations").Templates({"The file {0} is gone, {1}.": "Weg, {1}: {0}.", "{0} a": "{0} b"})
    assert templates.translated("The file {x}.\n(a|b) is gone, \\1.") == "Weg, \\1: {x}.\n(a|b)."
    # Too few words to be told from others.
    assert templates.translated("Seed a") == "Seed a"


def test_buttons_and_labels_share_their_words(module: Callable[[str], ModuleType]) -> None:
    entries = module("translations").entries({"*": {"Seed": "Startwert"}, "Operator": {"Seed": "Startwert setzen"}})
    own = module("translations").OWN
    assert entries == {
        ("*", "Seed"): "Startwert",
        ("Operator", "Seed"): "Startwert setzen",
        (own, "Seed"): "Startwert setzen",
    }


def test_words_of_ours_are_not_taken_for_blenders() -> None:
    # Blender's "Face" is a polygon.
    assert bpy.types.UVMAP_ID_PT_face.bl_translation_context == "UVMap-ID"
    assert bpy.ops.uvmap_id.weights_get.get_rna_type().translation_context == "UVMap-ID"


def test_english_stays_as_it_is(module: Callable[[str], ModuleType]) -> None:
    translations, errors = module("translations"), module("link.errors")
    assert translations.said("Shape of {family}", family="SMPL") == "Shape of SMPL"
    assert translations.translated("The texture is being made.") == "The texture is being made."
    failure = errors.Failure("body_missing", "No body is chosen.", "Add one.")
    assert translations.failure_said(failure) == "No body is chosen. Add one."
    assert translations.failure_said(errors.Failure("body_missing", "No body is chosen.")) == "No body is chosen."


def test_languages_cost_little_to_register(module: Callable[[str], ModuleType]) -> None:
    translations = module("translations")
    times = []
    for _ in range(50):
        translations.unregister()
        start = time.perf_counter()
        translations.register()
        times.append(time.perf_counter() - start)
    # The whole extension may take 60 ms.
    assert min(times) < 0.02
    assert bpy.ops.uvmap_id.generate.get_rna_type().name == "Generate Texture"
