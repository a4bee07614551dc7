from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from uvmap_id.datasets.checking import check_dataset
from uvmap_id.datasets.choosing import finish, read_choice, suggest, write_choice
from uvmap_id.datasets.folder import METADATA, Dataset, Row, metadata_of, read_dataset
from uvmap_id.datasets.sheet import write_sheet
from uvmap_id.link.errors import ErrorCode, UVMapError

NAMES = ("Ada", 'Ben "</script><b>" & Cy', "Dörte", "Чен")
KINDS = (("asian", "woman"), ("asian", "man"), ("white", "woman"), ("white", "man"))


@pytest.fixture
def candidates(tmp_path: Path) -> Dataset:
    """Four people with three textures each; the second is the sharpest, the third keeps the identity best."""
    folder = tmp_path / "candidates"
    (folder / "textures").mkdir(parents=True)
    (folder / "photos").mkdir()
    chance = np.random.default_rng(0)
    rows = []
    for number, (name, (group, gender)) in enumerate(zip(NAMES, KINDS, strict=True)):
        photo = f"photos/{number}.png"
        Image.fromarray(chance.integers(0, 256, (64, 64, 3), np.uint8)).save(folder / photo)
        for index in range(3):
            file = f"textures/{number}-{index}.png"
            Image.fromarray(chance.integers(0, 256, (512, 512, 3), np.uint8)).save(folder / file)
            scores = {"sharpness": [1.0, 3.0, 2.0][index], "identity_sface_atlas": [0.1, 0.2, 0.9][index]}
            rows.append(
                Row(
                    file,
                    name,
                    f"shirt <{index}>",
                    group,
                    gender,
                    photo=photo,
                    scores=scores,
                    consent="yes",
                    licence="MIT",
                )
            )
    (folder / METADATA).write_text(metadata_of(rows), encoding="utf-8")
    return read_dataset(folder)


def code_of(work: Callable[[], object]) -> ErrorCode:
    with pytest.raises(UVMapError) as caught:
        work()
    return ErrorCode(caught.value.failure.code)


def test_the_suggestion_follows_the_rule(candidates: Dataset) -> None:
    choice = suggest(candidates, 2, {"sharpness": True, "identity_sface_atlas": True})
    assert choice["Ada"] == ["textures/0-1.png", "textures/0-2.png"]
    assert set(choice) == set(NAMES)
    assert suggest(candidates, 1, {"identity_sface_atlas": True})["Ada"] == ["textures/0-2.png"]
    assert suggest(candidates, 1, {})["Ada"] == ["textures/0-0.png"]


def test_a_choice_is_read_as_it_was_written(candidates: Dataset, tmp_path: Path) -> None:
    choice = suggest(candidates, 2, {"sharpness": True})
    write_choice(tmp_path / "choice.json", choice)
    assert read_choice(tmp_path / "choice.json", candidates) == choice


@pytest.mark.parametrize(
    "values",
    [
        [],
        {"format": 2, "keep": {}},
        {"format": 1},
        {"format": 1, "keep": {"Ada": "textures/0-0.png"}},
        {"format": 1, "keep": {"Ada": ["textures/1-0.png"]}},
        {"format": 1, "keep": {"Nobody": ["textures/0-0.png"]}},
        {"format": 1, "keep": {"Ada": ["../secret.png"]}},
        {"format": 1, "keep": {"Ada": [3]}},
    ],
)
def test_a_choice_that_does_not_fit_is_refused(candidates: Dataset, tmp_path: Path, values: object) -> None:
    path = tmp_path / "choice.json"
    path.write_text(json.dumps(values))
    assert code_of(lambda: read_choice(path, candidates)) == ErrorCode.CONFIG_INVALID


def test_what_was_chosen_is_a_dataset_of_its_own(candidates: Dataset, tmp_path: Path) -> None:
    choice = suggest(candidates, 2, {"sharpness": True})
    selected = finish(
        candidates, choice, tmp_path / "out", "out", keep_photos=True, require_balance=True, how=("Tested.",)
    )
    assert not selected.dropped
    found = read_dataset(tmp_path / "out")
    assert len(found.rows) == 8
    assert found.identities() == NAMES
    kept = {file for files in choice.values() for file in files}
    originals = {candidates.texture(row).read_bytes() for row in candidates.rows if row.file_name in kept}
    assert {found.texture(row).read_bytes() for row in found.rows} == originals
    report = check_dataset(found)
    assert report.is_usable
    assert report.balance.is_balanced
    card = (tmp_path / "out" / "README.md").read_text()
    assert "8 of 12 candidates were chosen." in card
    assert "Tested." in card


def test_a_dataset_appears_in_full_or_not_at_all(candidates: Dataset, tmp_path: Path) -> None:
    out = tmp_path / "out"
    choice = suggest(candidates, 1, {})
    assert code_of(lambda: finish(candidates, {}, out, "out")) == ErrorCode.DATASET_EMPTY
    lopsided = {name: choice[name] for name in NAMES[:3]}
    assert (
        code_of(lambda: finish(candidates, lopsided, out, "out", require_balance=True)) == ErrorCode.DATASET_UNBALANCED
    )
    selected = finish(candidates, lopsided, tmp_path / "three", "three")
    assert selected.dropped == (NAMES[3],)
    without = Dataset(candidates.folder, tuple(replace(row, photo="") for row in candidates.rows))
    assert code_of(lambda: finish(without, choice, out, "out", keep_photos=True)) == ErrorCode.PHOTO_MISSING
    candidates.texture(candidates.rows[-3]).unlink()
    assert code_of(lambda: finish(candidates, choice, out, "out")) == ErrorCode.OUTPUT_NOT_WRITABLE
    assert {path.name for path in tmp_path.iterdir()} == {"candidates", "three"}
    (tmp_path / "three" / "mine.txt").touch()
    assert code_of(lambda: finish(candidates, choice, tmp_path / "three", "x")) == ErrorCode.OUTPUT_NOT_WRITABLE


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.people: list[str] = []
        self.cards: list[tuple[str, str, bool]] = []
        self.sources: list[str] = []
        self.script = ""
        self._in_script = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        self._in_script = tag == "script"
        if tag == "section":
            self.people.append(values["data-identity"])
        elif tag == "button" and "data-file" in values:
            self.cards.append((self.people[-1], values["data-file"], values["aria-pressed"] == "true"))
        elif tag in ("img", "link", "script"):
            self.sources.append(values.get("src") or values.get("href") or "")

    def handle_endtag(self, tag: str) -> None:
        self._in_script = False

    def handle_data(self, data: str) -> None:
        self.script += data if self._in_script else ""


def test_the_page_shows_all_candidates_and_the_suggestion(candidates: Dataset, tmp_path: Path) -> None:
    choice = suggest(candidates, 1, {"sharpness": True})
    path = tmp_path / "sheet.html"
    write_sheet(path, candidates, choice, 1)
    page = _Page()
    page.feed(path.read_text(encoding="utf-8"))
    assert tuple(page.people) == NAMES
    wanted = [(row.identity, row.file_name, row.file_name in choice[row.identity]) for row in candidates.rows]
    assert page.cards == wanted
    # It holds its pictures, and asks nobody for anything.
    assert all(source.startswith("data:image/jpeg;base64,") for source in page.sources if source)
    assert "http" not in page.script
    assert "<!--" not in path.read_text(encoding="utf-8")


DRIVER = """
const fs = require("fs");
const page = JSON.parse(fs.readFileSync(process.argv[2], "utf-8"));
class Element {
  constructor(dataset, pressed) { this.dataset = dataset; this.pressed = pressed; this.children = []; this.on = {};
    this.classList = { toggle() {} }; this.style = {}; }
  getAttribute() { return String(this.pressed); }
  setAttribute(name, value) { this.pressed = value === "true"; }
  querySelectorAll(what) { return what.includes("pressed") ? this.children.filter((c) => c.pressed) : this.children; }
  querySelector() { return new Element({}); }
  addEventListener(kind, work) { this.on[kind] = work; }
  closest() { return this; }
  click() { if (this.on.click) this.on.click({ target: this }); }
}
const people = page.people.map((identity) => new Element({ identity }));
const cards = page.cards.map(([identity, file, pressed]) => {
  const card = new Element({ file }, pressed);
  people.find((person) => person.dataset.identity === identity).children.push(card);
  return card;
});
const named = {};
const main = new Element({});
const memory = new Map();
let saved = null;
globalThis.window = {};
globalThis.document = {
  querySelectorAll: (what) => (what === "section" ? people : cards),
  querySelector: () => main,
  getElementById: (id) => (named[id] ??= new Element({})),
  createElement: () => new Element({}),
};
globalThis.localStorage = { setItem: (k, v) => memory.set(k, v), getItem: (k) => memory.get(k) ?? null };
globalThis.Blob = class { constructor(parts) { saved = parts.join(""); } };
globalThis.URL = { createObjectURL: () => "blob:", revokeObjectURL() {} };
(0, eval)(page.script);
main.on.click({ target: cards[0] });
main.on.click({ target: cards[1] });
named.save.click();
Promise.resolve().then(() => process.stdout.write(saved));
"""


def test_the_page_saves_what_was_clicked_as_the_command_reads_it(candidates: Dataset, tmp_path: Path) -> None:
    """The page's own program, run by node on as much of a document as it looks at."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed")
    choice = suggest(candidates, 1, {"sharpness": True})
    write_sheet(tmp_path / "sheet.html", candidates, choice, 1)
    page = _Page()
    page.feed((tmp_path / "sheet.html").read_text(encoding="utf-8"))
    (tmp_path / "page.json").write_text(
        json.dumps({"people": page.people, "cards": page.cards, "script": page.script}), encoding="utf-8"
    )
    (tmp_path / "driver.js").write_text(DRIVER)
    done = subprocess.run(
        [node, str(tmp_path / "driver.js"), str(tmp_path / "page.json")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    (tmp_path / "choice.json").write_text(done.stdout, encoding="utf-8")
    # Of the first person the first texture was added, and the suggested second one taken away.
    assert read_choice(tmp_path / "choice.json", candidates) == {**choice, "Ada": ["textures/0-0.png"]}
