"""The commands as a person types them: real processes, the real engine, real signals."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import skimage.data
from PIL import Image

from uvmap_id.datasets.folder import read_dataset
from uvmap_id.datasets.people import COLUMNS
from uvmap_id.link.connection import STATE_DIR_VARIABLE
from uvmap_id.weights.store import DIR_VARIABLE

OPTIONS = ("--engine", "projection", "--metrics", "sharpness,seams", "--workers", "1")


def run(*words: object, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "uvmap_id", "dataset", *map(str, words)]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=240, check=False, env=os.environ | environment
    )


def write_people(path: Path, *people: tuple[str, ...], columns: tuple[str, ...] = COLUMNS) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(people)
    return path


@pytest.fixture
def people(tmp_path: Path, portraits: Callable[[Path, int], list[Path]]) -> Path:
    portraits(tmp_path / "photos", 2)
    return write_people(
        tmp_path / "people.csv",
        ("Ada", "asian", "woman", "photos/face0.jpg", "signed", "CC0-1.0"),
        ("Ben", "asian", "man", "photos/face1.jpg", "signed", "CC0-1.0"),
    )


def test_produce_goes_on_after_ctrl_c_and_tells_failures(people: Path, tmp_path: Path) -> None:
    Image.new("RGB", (300, 300), "white").save(tmp_path / "photos" / "nobody.png")
    with people.open("a", encoding="utf-8") as file:
        file.write("Nobody,asian,woman,photos/nobody.png,signed,CC0-1.0\r\n")
    out = tmp_path / "out"
    words = ["produce", str(people), "--out", str(out), "--candidates", "2", "--keep", "1", *OPTIONS]
    process = subprocess.Popen(
        [sys.executable, "-m", "uvmap_id", "dataset", *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    items = out / ".uvmap-id" / "items"
    deadline = time.monotonic() + 120
    while not (items.is_dir() and list(items.glob("*.json"))):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "error: cancelled: Stopped." in said
    assert "The same command goes on" in said
    assert "Traceback" not in said
    first = {path.name: path.stat().st_mtime_ns for path in (out / "textures").iterdir()}
    assert len(read_dataset(out).rows) >= 1

    done = run(*words)
    assert done.returncode == 3, done.stderr
    assert "Traceback" not in done.stderr
    assert "were there, 1 failed" in done.stderr
    assert done.stdout.strip() == str(out)
    (failure,) = (json.loads(line) for line in (out / "failures.jsonl").read_text().splitlines())
    assert (failure["identity"], failure["code"]) == ("Nobody", "face_not_found")
    assert read_dataset(out).identities() == ("Ada", "Ben")
    assert first.items() <= {path.name: path.stat().st_mtime_ns for path in (out / "textures").iterdir()}.items()

    checked = run("check", out, "--json")
    assert checked.returncode == 0, checked.stderr
    report = json.loads(checked.stdout)
    assert (report["usable"], report["textures"], report["identities"]) == (True, 2, 2)
    assert report["balance"][0] == {"group": "asian", "gender": "man", "people": 1, "textures": 1}
    next((out / "textures").iterdir()).write_bytes(b"broken")
    broken = run("check", out)
    assert broken.returncode == 1
    assert "problem: textures/" in broken.stdout


def test_build_choose_and_finish(people: Path, tmp_path: Path) -> None:
    prompts = tmp_path / "prompts.txt"
    prompts.write_text("# what they wear\nwhite shirt, blue jeans\n\nred dress\n")
    work, out = tmp_path / "work", tmp_path / "out"
    built = run("build", people, "--out", work, "--candidates", 2, "--keep", 1, "--prompts", prompts, *OPTIONS)
    assert built.returncode == 0, built.stderr
    assert f"uvmap-id dataset finish {work} --out DATASET" in built.stdout
    assert (work / "contact_sheet.html").is_file()
    suggested = json.loads((work / "choice.json").read_text())["keep"]
    assert {name: len(files) for name, files in suggested.items()} == {"Ada": 1, "Ben": 1}
    candidates = read_dataset(work)
    assert {row.prompt for row in candidates.rows} == {"white shirt, blue jeans", "red dress"}
    assert run("choose", work, "--keep", 2, "--metrics", "sharpness").returncode == 0
    assert len(json.loads((work / "choice.json").read_text())["keep"]["Ada"]) == 2
    # A person decides otherwise.
    mine = tmp_path / "mine.json"
    mine.write_text(json.dumps({"format": 1, "keep": {"Ada": [candidates.rows[1].file_name]}}))
    refused = run("finish", work, "--out", out, "--choice", mine, "--keep-photos")
    assert (refused.returncode, "photo_missing" in refused.stderr) == (1, True)
    finished = run("finish", work, "--out", out, "--choice", mine)
    assert finished.returncode == 0, finished.stderr
    assert "Nothing is kept of Ben." in finished.stderr
    (row,) = read_dataset(out).rows
    assert (out / row.file_name).read_bytes() == candidates.texture(candidates.rows[1]).read_bytes()
    assert not (out / "photos").exists()


@pytest.mark.parametrize(
    ("person", "options", "code", "exit_code"),
    [
        (("Ada", "asian", "woman", "photos/face0.jpg", "", "CC0"), (), "consent_missing", 1),
        (("Ada", "asian", "woman", "photos/gone.jpg", "yes", "CC0"), (), "dataset_unreadable", 1),
        (("Ada", "asian", "", "photos/face0.jpg", "yes", "CC0"), ("--require-balance",), "dataset_unbalanced", 1),
        (("Ada", "asian", "woman", "photos/face0.jpg", "yes", "CC0"), ("--metrics", "x"), "metric_unknown", 2),
        (("Ada", "asian", "woman", "photos/face0.jpg", "yes", "CC0"), ("--keep", "11"), "config_invalid", 2),
        (("Ada", "asian", "woman", "photos/face0.jpg", "yes", "CC0"), ("--size", "7"), "size_not_offered", 2),
        (
            ("Ada", "asian", "woman", "photos/face0.jpg", "yes", "CC0"),
            ("--engine", "uvmap-id", "--metrics", ""),
            "weights_missing",
            1,
        ),
    ],
)
def test_bad_input_has_a_code_and_makes_nothing(
    people: Path, tmp_path: Path, person: tuple[str, ...], options: tuple[str, ...], code: str, exit_code: int
) -> None:
    listed = write_people(tmp_path / "bad.csv", person)
    done = run("produce", listed, "--out", tmp_path / "out", *OPTIONS, *options)
    assert (done.returncode, f"error: {code}: " in done.stderr) == (exit_code, True), done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "out" / "metadata.jsonl").exists()


def test_metrics_without_weights_are_left_out_and_named(people: Path, tmp_path: Path) -> None:
    write_people(people, ("Ada", "asian", "woman", "photos/face0.jpg", "", ""))
    words = ["produce", people, "--out", tmp_path / "out", "--candidates", 1, "--keep", 1, "--i-have-consent"]
    done = run(*words, "--engine", "projection", "--workers", 1, "--metrics", "ssp,sharpness")
    assert done.returncode == 0, done.stderr
    assert "warning: The metric ssp is left out" in done.stderr
    (row,) = read_dataset(tmp_path / "out").rows
    assert set(row.scores) == {"sharpness"}
    assert row.consent == "declared by the maker of the dataset (--i-have-consent)"
    assert row.licence == "unknown"
    assert "The metric ssp was left out" in (tmp_path / "out" / "README.md").read_text()


def test_a_text_to_texture_model_is_asked_by_name(tmp_path: Path) -> None:
    """The paper's second stage, on a tiny model of text alone; and the embeddings of the people's photos."""
    pytest.importorskip("insightface", reason="the extra [diffusion] is not installed")
    pytest.importorskip("torch", reason="the extra [diffusion] is not installed")
    from tiny_identity import marked, write_models

    from uvmap_id.link.texture_set import MANIFEST_KEYWORD
    from uvmap_id.weights.catalogue import Purpose
    from uvmap_id.weights.importing import Import, import_weights
    from uvmap_id.weights.store import WeightsStore
    from uvmap_id.weights.tiny import make_tiny

    made = make_tiny(tmp_path / "tiny")
    store = WeightsStore(tmp_path / "store")
    import_weights(store, Import(made["sd15"].path, "smplitex-tiny", Purpose.TEXTURE))
    import_weights(store, Import(write_models(tmp_path / "buffalo_l"), "buffalo-l", Purpose.IDENTITY))
    Image.fromarray(marked(skimage.data.astronaut())).save(tmp_path / "ada.png")
    columns = (*COLUMNS, "description")
    people = write_people(
        tmp_path / "people.csv",
        ("Ada Lovelace", "white", "woman", "ada.png", "public", "PD", "the mathematician Ada Lovelace"),
        columns=columns,
    )
    environment = {DIR_VARIABLE: str(store.folder), STATE_DIR_VARIABLE: str(tmp_path / "state"), "OMP_NUM_THREADS": "1"}
    words = ["build", people, "--out", tmp_path / "work", "--candidates", 2, "--keep", 1, "--metrics", "seams"]
    done = run(*words, "--engine", "uvmap-id", "--steps", 1, "--workers", 1, **environment)
    assert done.returncode == 0, done.stderr + str([path.read_text() for path in tmp_path.rglob("worker-0.log")])
    one, two = read_dataset(tmp_path / "work").rows
    assert (one.prompt, one.identity, len(one.embedding)) == ("", "Ada Lovelace", 512)
    assert one.seed != two.seed
    assert (tmp_path / "work" / one.file_name).read_bytes() != (tmp_path / "work" / two.file_name).read_bytes()
    with Image.open(tmp_path / "work" / one.file_name) as picture:
        manifest = json.loads(picture.text[MANIFEST_KEYWORD])  # pyright: ignore[reportAttributeAccessIssue]
    assert manifest["details"]["prompt"] == "a sks texturemap of the mathematician Ada Lovelace"
    assert manifest["details"]["weights"] == "smplitex-tiny"
    # What the embeddings command would compute is what is there.
    (tmp_path / "work" / "metadata.jsonl").write_text(
        "".join(
            json.dumps(json.loads(line) | {"embedding": []}) + "\n"
            for line in (tmp_path / "work" / "metadata.jsonl").read_text().splitlines()
        )
    )
    assert "2 textures have no embedding" in run("check", tmp_path / "work").stdout
    embedded = run("embed", tmp_path / "work", "--photos", people, **environment)
    assert embedded.returncode == 0, embedded.stderr
    assert "2 textures have a new embedding." in embedded.stdout
    assert read_dataset(tmp_path / "work").rows == (one, two)


def test_the_example_list_can_be_read() -> None:
    path = Path(__file__).parents[2] / "examples" / "people.csv"
    with path.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert set(COLUMNS) <= set(rows[0])
    assert all(row["consent"] and row["licence"] for row in rows)
