from __future__ import annotations

from pathlib import Path

import pytest

from uvmap_id.datasets.people import DECLARED, UNKNOWN_LICENCE, read_people
from uvmap_id.link.errors import ErrorCode, UVMapError

HEADER = "name,group,gender,photos,consent,licence\n"


@pytest.fixture
def listed(tmp_path: Path):
    for name in ("a.jpg", "b.png", "many/c.JPG", "many/deep/d.webp", "many/notes.txt"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())

    def write(text: str, encoding: str = "utf-8") -> Path:
        path = tmp_path / "people.csv"
        path.write_text(text, encoding=encoding)
        return path

    return write


def refused(path: Path, code: ErrorCode, declared: bool = False) -> str:
    with pytest.raises(UVMapError) as caught:
        read_people(path, declared)
    assert caught.value.failure.code == code
    return caught.value.failure.message


def test_people_are_read_with_their_photos(listed, tmp_path: Path) -> None:
    text = HEADER + "Ada,European,Woman,a.jpg,signed,CC0\nBen,asian,man,a.jpg | many,signed,CC0\n"
    ada, ben = read_people(listed(text))
    assert (ada.name, ada.group, ada.gender, ada.photos) == ("Ada", "european", "woman", (tmp_path / "a.jpg",))
    assert ada.subject == "european woman"
    assert ben.photos == (tmp_path / "a.jpg", tmp_path / "many/c.JPG", tmp_path / "many/deep/d.webp")


@pytest.mark.parametrize(("encoding", "delimiter"), [("utf-8-sig", ","), ("utf-8", ";"), ("utf-8", "\t")])
def test_what_spreadsheets_write_is_read(listed, encoding: str, delimiter: str) -> None:
    text = HEADER + 'Ada "the first",european,woman,a.jpg,signed,CC0\n\n'
    path = listed(text.replace('Ada "the first"', "Ada Ä").replace(",", delimiter).replace("\n", "\r\n"), encoding)
    (ada,) = read_people(path)
    assert (ada.name, ada.consent) == ("Ada Ä", "signed")


def test_a_cell_may_hold_lines_and_commas(listed) -> None:
    with_prompt = HEADER.replace("licence", "licence,prompt")
    (ada,) = read_people(listed(with_prompt + 'Ada,european,woman,a.jpg,"signed, in 2024",CC0,"shirt, jeans"\n'))
    assert (ada.consent, ada.prompt) == ("signed, in 2024", "shirt, jeans")


def test_lines_without_consent_or_licence_are_named(listed) -> None:
    rows = "Ada,x,woman,a.jpg,signed,CC0\nBen,x,man,b.png,,CC0\nCy,x,man,b.png,signed,\nDora,x,woman,a.jpg,y,CC0\n"
    path = listed(HEADER + rows)
    assert "Lines 3, 4 of" in refused(path, ErrorCode.CONSENT_MISSING)
    ada, ben, cy, _ = read_people(path, declared=True)
    assert (ada.consent, ben.consent, cy.licence) == ("signed", DECLARED, UNKNOWN_LICENCE)


def test_many_lines_without_consent_are_counted(listed) -> None:
    rows = "".join(f"p{number},x,man,a.jpg,,\n" for number in range(25))
    assert "and 15 more" in refused(listed(HEADER + rows), ErrorCode.CONSENT_MISSING)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("name,group,photos\nAda,x,a.jpg\n", "gender, consent, licence"),
        ("", "name, group, gender, photos, consent, licence"),
        (HEADER + "Ada,x,woman,no.jpg,y,CC0\n", "no.jpg"),
        (HEADER + "Ada,x,woman,,y,CC0\n", "no photos"),
        (HEADER + "Ada,x,woman,a.jpg,y,CC0\nAda,x,woman,b.png,y,CC0\n", "Line 3"),
        (HEADER + ",x,woman,a.jpg,y,CC0\n", "nobody"),
        (HEADER + "Ada,x,woman,a.jpg,y,CC0,more,and more\n", "more columns"),
        (HEADER + '"Ada,x,woman,a.jpg,y,CC0\n', "no CSV"),
        ("name,name,group,gender,photos,consent,licence\n", "twice"),
    ],
)
def test_a_broken_list_is_refused_with_what_is_wrong(listed, text: str, says: str) -> None:
    assert says in refused(listed(text), ErrorCode.DATASET_UNREADABLE)


def test_an_empty_list_and_other_files_are_refused(listed, tmp_path: Path) -> None:
    refused(listed(HEADER), ErrorCode.DATASET_EMPTY)
    (tmp_path / "people.csv").write_bytes(HEADER.encode() + b"\xff\xfe\x00")
    assert "UTF-8" in refused(tmp_path / "people.csv", ErrorCode.DATASET_UNREADABLE)
    refused(tmp_path / "nothing.csv", ErrorCode.DATASET_UNREADABLE)


def test_a_folder_needs_a_word_of_consent(listed, tmp_path: Path) -> None:
    refused(tmp_path / "many", ErrorCode.CONSENT_MISSING)
    people = read_people(tmp_path / "many", declared=True)
    assert [one.name for one in people] == ["c", "deep/d"]
    assert {one.consent for one in people} == {DECLARED}
    (tmp_path / "empty").mkdir()
    refused(tmp_path / "empty", ErrorCode.DATASET_EMPTY, declared=True)
