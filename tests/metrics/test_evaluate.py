"""`uvmap-id evaluate`: from folders of all kinds to a report; what can't be measured is said, never made up."""

from __future__ import annotations

import base64
import json
import re
import resource
import sys
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from made_textures import face_texture, grey, noise, person_photo
from PIL import Image
from tiny_clip import write_clip
from tiny_parsers import write_colour_parser
from typer.testing import CliRunner

from uvmap_id.atlas.layout import Atlas
from uvmap_id.cli import app
from uvmap_id.datasets.folder import Row, metadata_of
from uvmap_id.link.errors import ErrorCode, UVMapError
from uvmap_id.metrics.body import load_body
from uvmap_id.metrics.evaluation import Evaluation, Outcome, evaluate
from uvmap_id.metrics.face_crop import AtlasFace
from uvmap_id.metrics.registry import DEFAULT_METRICS, GROUPS, Resources, check_names, names_of
from uvmap_id.metrics.report import number, report_html, report_json
from uvmap_id.metrics.sources import Source, pictures, spread_out, texture_sets

RUNNER = CliRunner()
CHEAP = "seams,sharpness"


@pytest.fixture(autouse=True)
def no_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UVMAP_ID_WEIGHTS_DIR", str(tmp_path / "no weights"))


def save(path: Path, texture: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(texture).save(path)
    return path


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    """Four PNGs of several sizes."""
    for number_, size in enumerate((128, 256, 512, 128)):
        save(tmp_path / "plain" / f"{number_}.png", noise(number_, size))
    return tmp_path / "plain"


@pytest.fixture
def dataset(tmp_path: Path, atlas_face: AtlasFace) -> Path:
    """Two people with two textures each; of the second one's, one shows nobody."""
    folder = tmp_path / "dataset"
    rows = []
    for looks in (1, 2):
        (folder / "photos").mkdir(parents=True, exist_ok=True)
        person_photo(looks, folder / "photos" / f"{looks}.png")
        for copy in range(2):
            name = f"textures/{looks}-{copy}.png"
            shown = -1 if (looks, copy) == (2, 1) else looks
            save(folder / name, face_texture(shown, atlas_face))
            rows.append(Row(name, f"person {looks}", prompt="white <b>shirt</b>", photo=f"photos/{looks}.png"))
    (folder / "metadata.jsonl").write_text(metadata_of(rows), encoding="utf-8")
    return folder


def unheard(stage: str, fraction: float, preview: object = None) -> None:
    del stage, fraction, preview


def run(*arguments: str | Path):
    return RUNNER.invoke(app, ["evaluate", *map(str, arguments)])


class Page(HTMLParser):
    """Tags and addresses of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href", "action", "data")]

    def handle_data(self, data: str) -> None:
        self.text += data


def test_plain_pictures_get_what_needs_no_more(plain: Path, tmp_path: Path) -> None:
    result = run(plain, "--metrics", CHEAP, "--report", tmp_path / "out" / "report.html")
    assert result.exit_code == 0, result.output
    values = json.loads((tmp_path / "out" / "report.json").read_text())
    assert set(values["figures"]) == {"seams", "sharpness"}
    assert values["complete"]
    assert values["textures"] == 4
    assert set(values["figures"]["seams"]["scores"]) == {f"{n}.png" for n in range(4)}
    assert values["figures"]["seams"]["value"] == pytest.approx(1, abs=0.2)


def test_the_page_stands_alone_and_shows_everything(plain: Path, tmp_path: Path) -> None:
    run(plain, "--metrics", f"{CHEAP},skin", "--report", tmp_path / "report.html")
    page = Page((tmp_path / "report.html").read_text(encoding="utf-8"))
    assert all(address.startswith(("data:", "#")) for address in page.addresses)
    assert not {"script", "link", "iframe", "object"} & set(page.tags)
    for said in (
        "Seam step",
        "Sharpness",
        "Table 1",
        "Table 2",
        "Table 3",
        "8.46",
        "436",
        "1.55 ± 0.084",
        "Best",
        "Worst",
    ):
        assert said in page.text
    assert "has no photo to compare it with" in page.text
    jpegs = [address for address in page.addresses if address.startswith("data:image/jpeg")]
    assert len(jpegs) == 4
    assert all(base64.b64decode(jpeg.partition(",")[2]).startswith(b"\xff\xd8") for jpeg in jpegs)
    plots = [address for address in page.addresses if address.startswith("data:image/svg")]
    assert len(plots) == 2
    assert b"<svg" in base64.b64decode(plots[0].partition(",")[2])


def test_the_report_is_the_same_every_time(plain: Path, tmp_path: Path) -> None:
    for name in ("a", "b"):
        run(plain, "--metrics", CHEAP, "--report", tmp_path / name / "report.html")
    for name in ("report.html", "report.json"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_metrics_without_weights_are_skipped_with_the_fix(plain: Path, tmp_path: Path) -> None:
    result = run(plain, "--metrics", "seams,is_uv,ssp,dfr,clipt", "--report", tmp_path / "r.html")
    assert result.exit_code == 3
    values = json.loads((tmp_path / "r.json").read_text())
    assert set(values["figures"]) == {"seams"}
    assert set(values["skipped"]) == {"is_uv", "ssp", "clipt", *GROUPS["dfr"]}
    assert {each["code"] for each in values["skipped"].values()} == {"weights_missing"}
    assert all("uvmap-id weights get" in each["hint"] for each in values["skipped"].values())
    assert "uvmap-id weights get sface" in (tmp_path / "r.html").read_text() or "weights get yunet" in result.output


def test_nothing_measured_is_a_failure_with_a_report(plain: Path, tmp_path: Path) -> None:
    result = run(plain, "--metrics", "clipt", "--json", tmp_path / "r.json")
    assert result.exit_code == 1
    assert json.loads((tmp_path / "r.json").read_text())["figures"] == {}


def test_a_dataset_is_measured_with_all_it_holds(dataset: Path, tmp_path: Path, sface_store: Path) -> None:
    result = run(dataset, "--metrics", "dfr_sface_atlas,identity_sface_atlas,clipt", "--report", tmp_path / "r.html",
                 "--clip", write_clip(tmp_path / "clip"))  # fmt: skip
    assert result.exit_code == 3, result.output
    values = json.loads((tmp_path / "r.json").read_text())
    assert values["identities"] == 2
    assert values["figures"]["dfr_sface_atlas"]["value"] == 750
    # Half of the second one's textures show nobody: of two identities 1000 and 500.
    assert values["figures"]["dfr_sface_atlas"]["spread"] == 250
    likeness = values["figures"]["identity_sface_atlas"]
    assert likeness["count"] == 3
    assert likeness["value"] > 0.95
    assert likeness["left_out"]["textures/2-1.png"]["code"] == "face_not_found"
    assert values["figures"]["clipt"]["count"] == 4


@pytest.fixture
def sface_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A store of weights with the tiny YuNet and SFace."""
    from tiny_sface import write_sface

    from uvmap_id.weights.record import Record, describe, write_record

    store = tmp_path / "store"
    for file in write_sface(store):
        files = describe(file.parent, [file.name], "2026-01-01T00:00:00+00:00")
        write_record(file.parent, Record(file.parent.name, "recogniser", "", source="", licence="mit", files=files))
    monkeypatch.setenv("UVMAP_ID_WEIGHTS_DIR", str(store))
    return store


def test_prompts_are_text_and_never_markup(dataset: Path, tmp_path: Path) -> None:
    run(dataset, "--metrics", "seams", "--report", tmp_path / "r.html")
    text = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert "<b>shirt" not in text
    assert "white &lt;b&gt;shirt&lt;/b&gt;" in text


def test_a_corrupt_texture_is_left_out_and_named(plain: Path, tmp_path: Path) -> None:
    (plain / "broken.png").write_bytes((plain / "2.png").read_bytes()[:2000])
    (plain / "empty.png").write_bytes(b"")
    save(plain / "oblong.png", np.zeros((64, 128, 3), np.uint8))
    result = run(plain, "--metrics", "seams", "--report", tmp_path / "r.html")
    assert result.exit_code == 3
    values = json.loads((tmp_path / "r.json").read_text())
    assert {name: each["code"] for name, each in values["unreadable"].items()} == {
        "broken.png": "image_truncated",
        "empty.png": "image_unreadable",
    }
    assert values["figures"]["seams"]["count"] == 4
    assert list(values["figures"]["seams"]["left_out"]) == ["oblong.png"]
    assert "broken.png" in (tmp_path / "r.html").read_text()
    assert "Traceback" not in result.output


@pytest.mark.parametrize(
    ("make", "code"),
    [
        (lambda folder: None, "dataset_unreadable"),
        (lambda folder: folder.mkdir(), "dataset_empty"),
        (lambda folder: (folder.mkdir(), (folder / "metadata.jsonl").write_text("")), "dataset_empty"),
        (lambda folder: (folder.mkdir(), (folder / "metadata.jsonl").write_text("{}\n")), "dataset_unreadable"),
        (lambda folder: (folder.mkdir(), (folder / "manifest.json").write_text("{}")), "dataset_unreadable"),
    ],
    ids=["no folder", "empty folder", "no rows", "missing columns", "no manifest"],
)
def test_bad_folders_are_named_errors(tmp_path: Path, make, code: str) -> None:
    make(tmp_path / "bad")
    result = run(tmp_path / "bad", "--metrics", "seams", "--report", tmp_path / "r.html")
    assert result.exit_code == 1
    assert code in result.output
    assert not (tmp_path / "r.html").exists()


def test_unknown_metrics_are_bad_arguments(plain: Path) -> None:
    result = run(plain, "--metrics", "seams,sharpnes")
    assert result.exit_code == 2
    assert 'Did you mean "sharpness"' in result.output
    assert run(plain, "--metrics", " , ").exit_code == 2


def test_a_report_that_cannot_be_written_fails_before_the_work(plain: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    for target in (tmp_path / "file" / "r.html", tmp_path):
        result = run(plain, "--metrics", "seams", "--report", target)
        assert result.exit_code == 1
        assert "output_not_writable" in result.output


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no limit on the size of files.")
def test_a_full_disk_leaves_the_old_report(plain: Path, tmp_path: Path) -> None:
    run(plain, "--metrics", "seams", "--report", tmp_path / "r.html")
    before = (tmp_path / "r.html").read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))
    try:
        result = run(plain, "--metrics", "seams", "--report", tmp_path / "r.html")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert result.exit_code == 1
    assert "output_not_writable" in result.output or "disk_full" in result.output
    assert (tmp_path / "r.html").read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["plain", "r.html", "r.json"]


def test_results_of_generate_are_known_by_their_manifests(tmp_path: Path, astronaut: Path) -> None:
    from uvmap_id.engines.projection.engine import ProjectionEngine
    from uvmap_id.link.photo import with_photos
    from uvmap_id.link.request import TextureRequest
    from uvmap_id.manifest import write_texture_set

    engine, content = ProjectionEngine(), (astronaut.read_bytes(),)
    request = with_photos(TextureRequest("", "wearing white shirt, blue jeans", size=512), content)
    place = tmp_path / "results" / "astronaut"
    place.mkdir(parents=True)
    write_texture_set(place, request, engine, engine.generate(request, content, unheard))
    (source,) = texture_sets(tmp_path / "results", astronaut.parent)
    assert (source.name, source.prompt) == ("astronaut", "wearing white shirt, blue jeans")
    assert source.identity == request.face_sha256[:12]
    assert source.photo == astronaut
    result = run(
        tmp_path / "results", "--metrics", "anchor,skin", "--photos", astronaut.parent, "--json", tmp_path / "r.json"
    )
    assert result.exit_code == 0, result.output
    figures = json.loads((tmp_path / "r.json").read_text())["figures"]
    assert figures["anchor"]["value"] == pytest.approx(1, abs=0.01)
    assert figures["skin"]["value"] < 8


def test_pictures_below_folders_are_found_in_order(plain: Path) -> None:
    save(plain / "more" / "5.png", grey())
    (plain / "notes.txt").write_text("no texture")
    assert [source.name for source in pictures(plain)] == ["0.png", "1.png", "2.png", "3.png", "more/5.png"]


def test_a_limit_takes_evenly() -> None:
    sources = [Source(str(number_), Path()) for number_ in range(10)]
    assert [source.name for source in spread_out(sources, 5)] == ["0", "2", "4", "6", "8"]
    assert len(spread_out(sources, 20)) == len(spread_out(sources, None)) == 10


def test_a_limit_is_kept(plain: Path, tmp_path: Path) -> None:
    run(plain, "--metrics", "seams", "--limit", "2", "--json", tmp_path / "r.json")
    assert set(json.loads((tmp_path / "r.json").read_text())["figures"]["seams"]["scores"]) == {"0.png", "2.png"}


def test_batches_of_files_come_in_order(tmp_path: Path) -> None:
    for number_ in range(40):
        save(tmp_path / "many" / f"{number_:02}.png", noise(number_, 64))
    said: list[tuple[int, int]] = []
    found = evaluate(pictures(tmp_path / "many"), ["sharpness"], Resources(), lambda *each: said.append(each))
    figure = found.outcomes[0].figure
    assert figure is not None
    assert list(figure.scores) == [f"{number_:02}.png" for number_ in range(40)]
    assert said == [(16, 40), (32, 40), (40, 40)]


def test_names_of_groups_are_written_out() -> None:
    assert names_of(["dfr", "seams", "dfr"]) == (*GROUPS["dfr"], "seams")
    check_names(names_of(DEFAULT_METRICS))
    with pytest.raises(UVMapError) as caught:
        check_names(["wings"])
    assert caught.value.failure.code == ErrorCode.METRIC_UNKNOWN


def test_a_parser_may_be_named(tmp_path: Path, atlas: Atlas) -> None:
    from tiny_parsers import painted

    save(tmp_path / "t" / "a.png", painted(atlas))
    parser = write_colour_parser(tmp_path / "parser")
    result = run(tmp_path / "t", "--metrics", "ssp", "--parser", parser, "--json", tmp_path / "r.json")
    assert result.exit_code == 0, result.output
    assert json.loads((tmp_path / "r.json").read_text())["figures"]["ssp"]["value"] == 0


def test_an_empty_evaluation_still_makes_a_page() -> None:
    evaluation = Evaluation(0, 0, {}, (Outcome("seams", "seams", None, UVMapError(ErrorCode.INTERNAL, "No.").failure),))
    assert "No metric could be measured" in report_html(evaluation, "x<y", [], Resources())
    assert json.loads(report_json(evaluation, "x"))["figures"] == {}


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1.23456, "1.235"),
        (0.03456, "0.0346"),
        (792.0, "792.0"),
        (1234.5, "1234"),
        (0.0, "0"),
        (None, ""),
        (29.12, "29.12"),
    ],
)
def test_numbers_are_short(value: float | None, text: str) -> None:
    assert number(value) == text


def test_the_mannequin_is_at_hand() -> None:
    assert len(load_body().vertices) > 10_000


def test_help_lists_the_metrics() -> None:
    assert re.search(r"is_uv", run("--help").output)
