"""People, photos and orders for the tests of datasets."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import skimage.data
from PIL import Image

from uvmap_id.datasets.crew import Crew, CrewOptions
from uvmap_id.datasets.people import Person
from uvmap_id.datasets.plan import Recipe
from uvmap_id.datasets.producing import Order
from uvmap_id.datasets.workshop import Workshop
from uvmap_id.link.connection import STATE_DIR_VARIABLE
from uvmap_id.link.request import TextureRequest
from uvmap_id.settings import NO_PHOTO
from uvmap_id.weights.store import DIR_VARIABLE

SCRIPTED_WORKER = (sys.executable, str(Path(__file__).parent / "scripted_maker.py"))


@pytest.fixture(autouse=True)
def _no_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of whoever runs the tests."""
    monkeypatch.setenv(STATE_DIR_VARIABLE, str(tmp_path / "state"))
    monkeypatch.setenv(DIR_VARIABLE, str(tmp_path / "no-weights"))


@pytest.fixture(scope="session")
def portrait() -> Image.Image:
    return Image.fromarray(skimage.data.astronaut())


@pytest.fixture
def portraits(portrait: Image.Image) -> Callable[[Path, int], list[Path]]:
    """Writes so many photos of one face, each a little different, into a folder."""

    def write(folder: Path, count: int) -> list[Path]:
        folder.mkdir(parents=True, exist_ok=True)
        paths = []
        for number in range(count):
            path = folder / f"face{number}.jpg"
            portrait.rotate(number - count // 2, Image.Resampling.BICUBIC).save(path, quality=90)
            paths.append(path)
        return paths

    return write


@pytest.fixture
def jpeg(portrait: Image.Image) -> bytes:
    buffer = io.BytesIO()
    portrait.save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


@pytest.fixture
def person() -> Callable[..., Person]:
    """Somebody with photos."""

    def make(name: str, *photos: Path, group: str = "asian", gender: str = "woman", **more: str) -> Person:
        return Person(name, group, gender, photos, "signed", "CC0-1.0", **more)

    return make


@pytest.fixture
def recipe() -> Callable[..., Recipe]:
    def make(candidates: int = 2, keep: int = 1, **more: object) -> Recipe:
        request = TextureRequest(NO_PHOTO, "", engine="projection", size=512)
        values = {"request": request, "prompts": ("white shirt, blue jeans", "red dress"), **more}
        return Recipe(candidates=candidates, keep=keep, **values)  # pyright: ignore[reportArgumentType]

    return make


@pytest.fixture
def scripted_people(tmp_path: Path, person: Callable[..., Person]) -> Callable[..., tuple[Person, ...]]:
    """People whose photos say what the scripted engine does."""

    def make(*scripts: str) -> tuple[Person, ...]:
        folder = tmp_path / "scripts"
        folder.mkdir(exist_ok=True)
        people = []
        for number, script in enumerate(scripts):
            path = folder / f"{number:04d}.jpg"
            path.write_text(f"{script} {number}" if script == "fine" else script)
            people.append(person(f"person {number}", path))
        return tuple(people)

    return make


@pytest.fixture
def order(tmp_path: Path, recipe: Callable[..., Recipe]) -> Callable[..., Order]:
    def make(people: tuple[Person, ...], folder: str = "out", **more: object) -> Order:
        values = {"recipe": recipe(), **more}
        return Order(tmp_path / folder, people, **values)  # pyright: ignore[reportArgumentType]

    return make


@pytest.fixture
def scripted_crew() -> Iterator[Callable[..., Callable[[Workshop], Crew]]]:
    """Worker processes with the scripted engine; whatever is left of them at the end fails the test."""
    crews: list[Crew] = []

    def make(workers: int = 2) -> Callable[[Workshop], Crew]:
        def start(workshop: Workshop) -> Crew:
            crew = Crew(workshop.folder, workshop.logs, CrewOptions(workers, command=SCRIPTED_WORKER))
            crews.append(crew)
            return crew

        return start

    yield make
    assert not [pid for crew in crews for pid in crew.pids]
