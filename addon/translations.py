"""The extension's words in other languages, through Blender's own translation.

`assets/languages/<locale>.json` holds a language: context -> English -> its words. "*" is for everything that is read
on the screen; "Operator" is for buttons that need other words than "*" gives them; "error" has a short sentence for
each error code. Text that is put together is one entry with its gaps in braces.

What Blender draws itself it translates itself. What is put together here goes through `said`. Sentences that come from
elsewhere as finished English (errors, reports, the backend's stages) go through `translated`, which finds the entry
that they were made from.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Mapping
from pathlib import Path

import bpy

from .link.errors import Failure

FOLDER = Path(__file__).parent / "assets" / "languages"
SCREEN, BUTTON, ERROR = "*", "Operator", "error"
# Panels, operators and what is put together: words that mean something else in Blender, such as "Face", are ours there.
OWN = "UVMap-ID"
_GAP = re.compile(r"\{(\w*)\}")
# Entries that are little more than gaps would be found in everything.
_FEWEST_LETTERS = 4

Words = Mapping[str, Mapping[str, str]]


class Templates:
    """Finds the entry that a finished sentence was made from."""

    def __init__(self, texts: Mapping[str, str]) -> None:
        """Take what has gaps, those with the most words first.

        Args:
            texts: English -> another language.
        """
        wordy = [text for text in texts if _GAP.search(text) and _letters(text) >= _FEWEST_LETTERS]
        wordy.sort(key=lambda text: len(_GAP.sub("", text)), reverse=True)
        self._texts = texts
        self._patterns = [(_pattern(text), texts[text]) for text in wordy]

    def translated(self, sentence: str) -> str:
        """The sentence in the other language, or as it is where no entry is like it."""
        exact = self._texts.get(sentence)
        if exact is not None:
            return exact
        for pattern, text in self._patterns:
            found = pattern.fullmatch(sentence)
            if found is not None:
                values = [self.translated(value) for value in found.groups()]
                return _filled(text, dict(zip(pattern.groupindex, values, strict=True)))
        return sentence


def said(template: str, **values: object) -> str:
    """A text in the language of Blender's interface.

    Args:
        template: In English, with a gap such as "{name}" for each value.
        **values: What goes into the gaps.
    """
    return bpy.app.translations.pgettext_iface(template, OWN).format(**values)


def translated(sentence: str) -> str:
    """A finished English sentence in the language of Blender's interface; unknown ones as they are."""
    exact = bpy.app.translations.pgettext_iface(sentence, OWN)
    if exact != sentence or not bpy.context.preferences.view.use_translate_interface:
        return exact
    return _matched(bpy.app.translations.locale or "", sentence)


def failure_said(failure: Failure) -> str:
    """What went wrong and what to do, in the language of Blender's interface.

    Where only the error's code is known in that language, the code's sentence stands before the English one.
    """
    message = translated(failure.message)
    title = bpy.app.translations.pgettext_iface(failure.code, ERROR)
    if message == failure.message and title != failure.code:
        message = f"{title} ({message})" if message else title
    return f"{message} {translated(failure.hint) if failure.hint else ''}".strip()


def languages() -> dict[str, Words]:
    """Locale -> what its file holds."""
    return {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(FOLDER.glob("*.json"))}


def entries(words: Words) -> dict[tuple[str, str], str]:
    """A language as Blender wants it: (context, English) -> its words."""
    texts = words.get(SCREEN, {})
    # Blender asks in its own contexts too, as for a property's name or a label that never changes.
    found = {(context, text): texts[text] for text in texts for context in (SCREEN, BUTTON, OWN)}
    buttons = {(OWN, text): said for text, said in words.get(BUTTON, {}).items()}
    return found | buttons | {(context, text): said for context in words for text, said in words[context].items()}


@functools.lru_cache(maxsize=512)
def _matched(locale: str, sentence: str) -> str:
    return _templates(locale).translated(sentence)


@functools.cache
def _templates(locale: str) -> Templates:
    path = FOLDER / f"{locale}.json"
    # Other languages of Blender have no file here.
    known = locale and path.is_file()
    return Templates(json.loads(path.read_text(encoding="utf-8")).get(SCREEN, {}) if known else {})


def _pattern(template: str) -> re.Pattern[str]:
    """The sentences that a template can become; a gap may be several words."""
    parts = _GAP.split(template)
    # Names such as "0" are none for a group, and a gap may come twice.
    seen: list[str] = []
    pattern = re.escape(parts[0])
    for name, literal in zip(parts[1::2], parts[2::2], strict=True):
        pattern += f"(?P={_group(name)})" if name in seen else f"(?P<{_group(name)}>.+?)"
        pattern += re.escape(literal)
        seen.append(name)
    return re.compile(pattern, re.DOTALL)


def _letters(template: str) -> int:
    return sum(letter.isalpha() for letter in _GAP.sub("", template))


def _filled(text: str, values: Mapping[str, str]) -> str:
    return _GAP.sub(lambda gap: values[_group(gap[1])], text)


def _group(name: str) -> str:
    return f"gap_{name}"


def register() -> None:
    """Give Blender the languages."""
    bpy.app.translations.register(__name__, {locale: entries(words) for locale, words in languages().items()})


def unregister() -> None:
    """Take them back."""
    bpy.app.translations.unregister(__name__)
    _matched.cache_clear()
    _templates.cache_clear()
