"""The catalogue: what comes with the package holds together, and a damaged one is refused in words."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from uvmap_id.link.errors import ErrorCode, UVMapError
from uvmap_id.weights.catalogue import Catalogue, Purpose, is_inside, load_catalogue, parse_catalogue

SMALL = """
[licences.mit]
name = "MIT"
url = "https://example.com/mit"
commercial = true

[[weights]]
id = "small"
title = "Small"
purpose = "vae"
about = "A test."
licence = "mit"
hub = { repo = "owner/name", revision = "main" }
files = [{ path = "a/b.bin", size = 3, sha256 = "%s" }]
""" % ("0" * 64)


def test_the_packages_catalogue_is_sound() -> None:
    catalogue = load_catalogue()
    assert {entry.purpose for entry in catalogue.entries} == set(Purpose)
    for entry in catalogue.entries:
        assert entry.about.endswith(".")
        assert urlsplit(entry.licence.url).scheme == "https"
        assert entry.manual == bool(entry.page)
        for file in entry.files:
            assert file.repository or urlsplit(file.url).scheme == "https"
            assert file.revision not in ("main", "master") or file.unpack or not file.repository


def test_what_needs_insightface_is_not_commercial() -> None:
    catalogue = load_catalogue()
    for weights_id in ("uvmap-id", "buffalo-l", "ip-adapter-faceid-sd15"):
        assert not catalogue.get(weights_id).licence.commercial


def test_a_small_catalogue_is_read_in_full() -> None:
    (entry,) = parse_catalogue(SMALL).entries
    (file,) = entry.files
    assert (file.repository, file.revision, file.path, file.size) == ("owner/name", "main", "a/b.bin", 3)
    assert (entry.id, entry.licence.id, entry.purpose) == ("small", "mit", Purpose.VAE)


def test_an_unknown_id_names_the_one_that_looks_alike() -> None:
    with pytest.raises(UVMapError) as caught:
        load_catalogue().get("bufalo-l")
    assert caught.value.failure.code == ErrorCode.WEIGHTS_UNKNOWN
    assert '"buffalo-l"' in caught.value.failure.hint


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('id = "small"', 'id = "../small"', "can't be an id"),
        ('id = "small"', "id = 3", "no proper id"),
        ('purpose = "vae"', 'purpose = "tea"', '"tea"'),
        ('licence = "mit"', 'licence = "gpl"', '"gpl"'),
        ('licence = "mit"', 'licence = "mit"\nneeds = ["other"]', '"other"'),
        ('path = "a/b.bin"', 'path = "../b.bin"', "outside"),
        ('path = "a/b.bin"', 'path = "/b.bin"', "outside"),
        ('path = "a/b.bin"', "path = 'C:\\b.bin'", "outside"),
        ("size = 3", "size = -3", "no proper size"),
        ("size = 3", "size = true", "no proper size"),
        ("000", "00X", "no proper sha256"),
        ('repo = "owner/name"', 'repo = "owner/name/../.."', "no proper repo"),
        ('about = "A test."', 'about = " "', "no proper about"),
        ('about = "A test."', "", "no proper about"),
        ('about = "A test."', 'about = "A test."\ncolour = "red"', '"colour"'),
        ("commercial = true", 'commercial = "yes"', "no proper commercial"),
        ("https://example.com/mit", "javascript:alert()", "no proper url"),
        ("files = [", "files = [[], ", "no proper files"),
        ("[[weights]]", "[weights]", "no proper weights"),
        ("[licences.mit]", "[licences.mit", "not TOML"),
    ],
)
def test_a_mistake_is_named(old: str, new: str, says: str) -> None:
    assert old in SMALL
    with pytest.raises(UVMapError) as caught:
        parse_catalogue(SMALL.replace(old, new, 1))
    assert caught.value.failure.code == ErrorCode.WEIGHTS_INVALID
    assert says in caught.value.failure.message


def test_an_id_stands_there_once() -> None:
    entry = SMALL[SMALL.index("[[weights]]") :]
    with pytest.raises(UVMapError, match="twice"):
        parse_catalogue(SMALL + entry)


@given(st.text(), st.integers(0, len(SMALL)), st.integers(0, 40))
def test_any_damage_is_refused_in_words_or_harmless(text: str, at: int, length: int) -> None:
    assert_parsed_or_refused(SMALL[:at] + text + SMALL[at + length :])


VALUES = st.recursive(
    st.one_of(st.booleans(), st.integers(-5, 5), st.sampled_from(['"mit"', '"vae"', '"small"', '""', '"a/b"'])),
    lambda inner: st.lists(inner, max_size=3).map(lambda items: "[" + ", ".join(map(toml, items)) + "]"),
    max_leaves=4,
)
KEYS = st.sampled_from("id title purpose about licence needs hub files page steps kind licences weights".split())


def toml(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


@given(st.dictionaries(KEYS, VALUES))
def test_any_values_are_refused_in_words_or_harmless(values: dict[str, object]) -> None:
    lines = [f"{key} = {toml(value)}" for key, value in values.items()]
    assert_parsed_or_refused("\n".join(lines))
    assert_parsed_or_refused("[[weights]]\n" + "\n".join(lines))


def assert_parsed_or_refused(text: str) -> None:
    try:
        catalogue = parse_catalogue(text)
    except UVMapError as error:
        assert error.failure.code == ErrorCode.WEIGHTS_INVALID
    else:
        assert isinstance(catalogue, Catalogue)
        assert all(is_inside(path) for entry in catalogue.entries for path in entry.installed_paths)
