"""A cast: its list against rubbish, and runs of many characters with a backend that follows a script."""

# pyright: reportAttributeAccessIssue=false, reportOptionalMemberAccess=false, reportArgumentType=false
# The stubs of bpy don't know what the extension adds to it, and call much optional that is there.

from __future__ import annotations

import json
import os
import random
import signal
import statistics
import string
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import bpy
import numpy as np
import pytest
from conftest import PACKAGE, stop_backend, write_png
from fakes import tick_until

Module = Callable[[str], ModuleType]
Command = Callable[..., int]


@pytest.fixture
def cast(module: Module) -> ModuleType:
    return module("cast")


@pytest.fixture
def command(module: Module) -> Command:
    return lambda *arguments: module("cli").main(list(map(str, arguments)))


def defaults(module: Module, **more: Any) -> Any:
    return module("link.request").TextureRequest("", **{"prompt": "done", "size": 512, **more})


def csv_of(folder: Path, *lines: str, name: str = "cast.csv") -> Path:
    """A list beside a photo `a.png`."""
    folder.mkdir(parents=True, exist_ok=True)
    write_png(folder / "a.png", (200, 150, 120))
    path = folder / name
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def report_of(out: Path) -> dict[str, Any]:
    return json.loads((out / "cast.json").read_text(encoding="utf-8"))


def test_columns(cast: ModuleType, module: Module, tmp_path: Path) -> None:
    path = csv_of(
        tmp_path,
        "face,prompt,subject,name,seed,engine,size,preset,shape",
        '../a.png,"white shirt, jeans",tall elderly woman,Ada,7,projection,2048,athlete,age=0.5 weight=-1',
        "b.jpg,,,,,,,,",
        "",
        "b.jpg,,,ADA,,,,,",
    )
    ada, b, other = cast.read_cast(path, defaults(module, subject="man"), 3)
    assert (ada.number, ada.name, ada.face, ada.problem) == (1, "Ada", tmp_path / ".." / "a.png", None)
    request = ada.request
    assert (request.prompt, request.subject, request.seed) == ("white shirt, jeans", "tall elderly woman", 7)
    assert (request.engine, request.size) == ("projection", 2048)
    assert ada.shape["age"] == 0.5
    assert ada.shape["weight"] == -1
    assert ada.shape["muscle"] == module("shape").read_presets()["athlete"]["muscle"]
    assert ada.shape["gender"] == 1
    assert (b.name, b.request.prompt, b.request.subject, b.request.size) == ("b", "done", "man", 512)
    assert (b.request.seed, other.request.seed) == (cast.seed_of(3, 2), cast.seed_of(3, 3))
    assert other.name == "ADA 3"


def test_seeds_are_the_same_everywhere(cast: ModuleType) -> None:
    # What users have in their reports must not change.
    assert [cast.seed_of(0, number) for number in (1, 2)] == [97004605, 639575470]
    seeds = {cast.seed_of(base, number) for base in range(20) for number in range(1, 201)}
    assert len(seeds) > 3990
    assert all(0 <= seed < 2**31 for seed in seeds)


def test_json_folders_and_semicolons(cast: ModuleType, module: Module, tmp_path: Path) -> None:
    written = tmp_path / "cast.json"
    written.write_text(json.dumps([{"face": "a.png", "seed": 4, "shape": {"age": -1}}]), encoding="utf-8")
    (row,) = cast.read_cast(written, defaults(module))
    assert (row.request.seed, row.shape, row.problem) == (4, {"age": -1.0}, None)
    spreadsheet = csv_of(tmp_path, "\ufeffName;Face;Shape", "Eva;a.png;age=0.1, height=0.2")
    (row,) = cast.read_cast(spreadsheet, defaults(module))
    assert (row.name, row.shape) == ("Eva", {"age": 0.1, "height": 0.2})
    folder = tmp_path / "photos"
    folder.mkdir()
    for name in ("b.JPG", "a.png", "note.txt"):
        (folder / name).write_bytes(b"x")
    assert [row.face.name for row in cast.read_cast(folder, defaults(module))] == ["a.png", "b.JPG"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_lists_of_spreadsheets_are_read(cast: ModuleType, module: Module, tmp_path: Path, encoding: str) -> None:
    (tmp_path / "cast.csv").write_bytes("face;name\r\na.png;Ädä\r\n".encode(encoding))
    (row,) = cast.read_cast(tmp_path / "cast.csv", defaults(module))
    assert (row.name, row.face, row.problem) == ("Ädä", tmp_path / "a.png", None)


@pytest.mark.parametrize(
    ("header", "said"),
    [("face,colour", 'nobody knows its column "colour"'), ("face,name,face", 'it has the column "face" twice')],
)
def test_a_wrong_column_is_named(cast: ModuleType, module: Module, tmp_path: Path, header: str, said: str) -> None:
    (tmp_path / "cast.csv").write_text(f"{header}\na.png,b,c\n", encoding="utf-8")
    with pytest.raises(module("link.errors").UVMapError, match=said):
        cast.read_cast(tmp_path / "cast.csv", defaults(module))


@pytest.mark.parametrize(
    ("cells", "code"),
    [
        ({"face": ""}, "face_file_missing"),
        ({"seed": "1.5"}, "setting_out_of_range"),
        ({"seed": "-1"}, "seed_out_of_range"),
        ({"seed": 2**31}, "seed_out_of_range"),
        ({"seed": True}, "setting_out_of_range"),
        ({"size": "500"}, "size_not_offered"),
        ({"engine": "magic"}, "engine_unknown"),
        ({"prompt": "x" * 3000}, "prompt_too_long"),
        ({"prompt": ["jeans"]}, "setting_out_of_range"),
        ({"subject": "a\0b"}, "text_invalid"),
        ({"preset": "hero"}, "setting_out_of_range"),
        ({"shape": "age"}, "setting_out_of_range"),
        ({"shape": "age=nan"}, "setting_out_of_range"),
        ({"shape": {"age": 10**400}}, "setting_out_of_range"),
        ({"shape": "african=-0.1"}, "setting_out_of_range"),
        ({"shape": "wings=1"}, "setting_out_of_range"),
        ({"colour": "red"}, "setting_out_of_range"),
    ],
)
def test_a_wrong_row_is_a_problem_of_its_own(
    cast: ModuleType, module: Module, tmp_path: Path, cells: dict[str, Any], code: str
) -> None:
    path = tmp_path / "cast.json"
    path.write_text(json.dumps([{"face": "a.png"}, {"face": "a.png", **cells}, {"face": "a.png"}]), encoding="utf-8")
    rows = cast.read_cast(path, defaults(module))
    assert [row.problem.code if row.problem else "" for row in rows] == ["", code, ""]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", b""),
        ("a.csv", b"face\n"),
        ("a.csv", b"name,prompt\nA,b\n"),
        ("a.csv", b"face,colour\na.png,red\n"),
        ("a.csv", b"face,face\na.png,b.png\n"),
        ("a.csv", b'face\n"a.png\n'),
        ("a.csv", b"\xff\xfe\x00"),
        ("a.csv", "face,name\na.png,Ädä\n".encode("latin-1")),
        ("a.json", b"{}"),
        ("a.json", b"[]"),
        ("a.json", b"["),
        ("a.json", b"[" * 100_000),
        ("a.txt", b"face\na.png\n"),
        ("none.csv", None),
    ],
)
def test_what_is_no_list(cast: ModuleType, module: Module, tmp_path: Path, name: str, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(module("link.errors").UVMapError) as caught:
        cast.read_cast(tmp_path / name, defaults(module))
    assert caught.value.failure.code == "settings_unreadable"
    assert len(str(caught.value)) < 700


def test_rubbish_gives_rows_or_one_error(cast: ModuleType, module: Module, tmp_path: Path) -> None:
    """Any bytes in a list's place: either rows whose requests are sound or that say why not, or one refusal."""
    chance = random.Random(7)  # noqa: S311
    error = module("link.errors").UVMapError
    known = ["a.png", "-1", "4294967296", "1e9", "nan", "age=1", "=", "age==", "../../..", "\0", "\ud7ff", "CON", "🙂"]
    values: list[Any] = [*known, None, True, 0.5, -7, 10**30, [], {}, [1], {"age": None}, {"": 1}]
    read, refused, codes = 0, 0, set[str]()
    for turn in range(1500):
        path = tmp_path / ("a.json" if turn % 2 else "a.csv")
        if turn % 2:
            columns = [*cast.COLUMNS, "", "colour"]
            records = [
                {chance.choice(columns): chance.choice(values) for _ in range(chance.randrange(9))}
                if chance.random() < 0.9
                else chance.choice(values)
                for _ in range(chance.randrange(5))
            ]
            content = json.dumps(records).encode()
        else:
            letters = [*known, *',;\t"\n\r ', *string.ascii_letters[:5]]
            header = ",".join(chance.sample(cast.COLUMNS, chance.randrange(1, 9)))
            content = (header + "\n" + "".join(chance.choices(letters, k=chance.randrange(60)))).encode()
        if chance.random() < 0.2:
            broken = bytearray(content or b"x")
            broken[chance.randrange(len(broken))] = chance.randrange(256)
            content = bytes(broken)
        path.write_bytes(content)
        try:
            rows = cast.read_cast(path, defaults(module))
        except error as caught:
            codes.add(caught.failure.code)
            refused += 1
            continue
        read += len(rows)
        assert len({row.name.casefold() for row in rows}) == len(rows)
        for row in rows:
            assert row.name.isprintable()
            assert not set(row.file_name) & set("/\\. \0")
            assert row.problem is None or row.problem.code != "internal", row.problem
            if row.problem is None:
                row.request.validate()
                assert all(np.isfinite(value) for value in row.shape.values())
    assert codes == {"settings_unreadable"}
    assert read > 200
    assert refused > 50


def test_characters_of_a_cast(
    scene: bpy.types.Scene, fake: Path, module: Module, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = csv_of(
        tmp_path / "list",
        "face,prompt,subject,name",
        "a.png,done,tall woman,Ada",
        "none.png,done,,Nobody",
        "a.png,fail face_not_found,,Blank",
        "a.png,done warn,tall woman,Eva",
        "a.png,done,old man,Otto",
    )
    out = tmp_path / "out"
    bpy.ops.mesh.primitive_cube_add()
    scene.uvmap_id.cast.source, scene.uvmap_id.cast.out = str(path), str(out)
    scene.uvmap_id.prompt = "done"
    assert bpy.ops.uvmap_id.cast_start() == {"FINISHED"}
    rows = report_of(out)["rows"]
    assert [row["state"] for row in rows] == ["done", "failed", "failed", "done", "done"]
    assert [row["error"]["code"] for row in rows if row["error"]] == ["face_file_missing", "face_not_found"]
    assert rows[3]["warnings"] == ["A warning."]
    whole = scene.collection.children["UVMap-ID Cast"]
    assert sorted(child.name for child in whole.children) == ["Ada", "Eva", "Otto"]
    ada, eva, otto = (bpy.data.objects[name] for name in ("Ada", "Eva", "Otto"))
    material = module("material")
    assert {item.parent.name for item in (ada, eva)} == {"Ada.001", "Eva.001"}
    assert ada.data == eva.data
    assert ada.data != otto.data
    assert len({material.worn_by(item) for item in (ada, eva, otto)}) == 3
    for item, row in ((ada, rows[0]), (eva, rows[3]), (otto, rows[4])):
        assert material.folder_of(item) == out / row["textures"]
        assert [modifier.object for modifier in item.modifiers] == [item.parent]
        assert item.data.shape_keys is None
    places = [tuple(item.parent.location) for item in (ada, eva, otto)]
    assert min(np.linalg.norm(np.subtract(a, b)) for a in places for b in places if a != b) > 1.3
    assert _height(ada) > _height(otto) + 0.05
    assert module("current").current().snapshot.rows == ()
    # Once more: nothing is made again, what failed is tried again, and nobody stands there twice.
    before = {item.name for item in bpy.data.objects}
    stamp = (out / rows[0]["textures"] / "manifest.json").stat().st_mtime_ns
    bpy.data.objects.remove(eva)
    assert bpy.ops.uvmap_id.cast_start() == {"FINISHED"}
    again = report_of(out)["rows"]
    assert [row["found"] for row in again] == [True, False, False, True, True]
    assert [(row["seed"], row["request"]) for row in again] == [(row["seed"], row["request"]) for row in rows]
    assert (out / rows[0]["textures"] / "manifest.json").stat().st_mtime_ns == stamp
    assert {item.name for item in bpy.data.objects} >= before
    assert sum(item.type == "MESH" for item in bpy.data.objects) == 4


def _height(body: bpy.types.Object) -> float:
    points = np.empty(len(body.data.vertices) * 3, dtype=np.float32)
    body.data.vertices.foreach_get("co", points)
    return float(np.ptp(points.reshape(-1, 3)[:, 2]))


def test_shapes_are_those_of_the_sliders(scene: bpy.types.Scene, fake: Path, module: Module, tmp_path: Path) -> None:
    """The shape that is written into the mesh is what the shape keys show."""
    path = csv_of(tmp_path / "list", "face,prompt,name,shape", "a.png,done,Ada,gender=1 height=0.7 african=0.4")
    settings, shown = scene.uvmap_id.cast, []
    for number, sliders in enumerate((False, True)):
        settings.source, settings.out, settings.sliders = str(path), str(tmp_path / f"out{number}"), sliders
        bpy.ops.uvmap_id.cast_start()
        (body,) = (item for item in scene.objects if item.type == "MESH")
        shown.append(_evaluated(body))
        if sliders:
            assert module("shape").values_of(body)["height"] == pytest.approx(0.7)
        bpy.data.batch_remove([*scene.objects])
    assert abs(shown[0] - shown[1]).max() < 1e-5


def _evaluated(body: bpy.types.Object) -> np.ndarray:
    mesh = body.evaluated_get(bpy.context.evaluated_depsgraph_get()).to_mesh()
    points = np.empty(len(mesh.vertices) * 3, dtype=np.float32)
    mesh.vertices.foreach_get("co", points)
    return points


def begun(module: Module, scene: bpy.types.Scene, path: Path, out: Path) -> Any:
    """A cast that is moved by ticks, as with windows."""
    casting_module, now = module("casting"), module("current").current()
    rows = module("cast").read_cast(path, defaults(module))
    now.cast = casting_module.Casting(rows, scene, now.session, casting_module.Options(out))
    return now.cast


def test_two_hundred_characters(scene: bpy.types.Scene, fake: Path, module: Module, tmp_path: Path) -> None:
    people = ["young woman", "old man", "tall asian man", "short woman"]
    lines = [
        f"a.png,{'fail worker_died' if number % 20 == 7 else 'done'},{people[number % 4]}" for number in range(200)
    ]
    casting = begun(module, scene, csv_of(tmp_path / "list", "face,prompt,subject", *lines), tmp_path / "out")
    runtime, memory = module("runtime"), {}
    in_flight = 0

    def tick() -> None:
        nonlocal in_flight
        runtime.tick()
        in_flight = max(in_flight, len(casting._jobs) + len(casting._to_dress))
        memory.setdefault(sum(line.state.ended for line in casting.lines), _resident_mib())

    took = tick_until(lambda: casting.ended, tick, timeout_s=240)
    rows = report_of(tmp_path / "out")["rows"]
    assert [row["state"] for row in rows].count("done") == 190
    assert all(row["error"]["code"] == "worker_died" for row in rows if row["state"] == "failed")
    assert sum(item.type == "MESH" for item in scene.objects) == 190
    assert len({item.data for item in scene.objects if item.type == "MESH"}) == len(people)
    assert in_flight <= 2 * module("casting").WINDOW
    slow = sorted(took, reverse=True)
    grown = _resident_mib() - memory[50]
    sys.stderr.write(
        f"\n200 characters: {sum(took) / 190 * 1000:.1f} ms each, median tick {statistics.median(took) * 1000:.2f} ms, "
        f"slowest {[round(each * 1000, 1) for each in slow[:8]]} ms, {grown:.0f} MiB more after the 50th\n"
    )
    assert sum(took) / 190 < 0.3
    # The first body is built, and Blender's first image wakes what reads images; nothing else takes long.
    assert slow[2 + len(took) // 100] < 0.008
    # 150 more characters: images of 8 x 8, objects, materials.
    assert grown < 60


def _resident_mib() -> float:
    with Path("/proc/self/statm").open(encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE") / 2**20


def test_stop_and_go_on(scene: bpy.types.Scene, fake: Path, module: Module, tmp_path: Path) -> None:
    lines = ["a.png,done", "a.png,done", "a.png,slow", *["a.png,brief"] * 20]
    path, out = csv_of(tmp_path / "list", "face,prompt", *lines), tmp_path / "out"
    casting = begun(module, scene, path, out)
    runtime = module("runtime")
    done = module("cast_report").RowState.DONE
    tick_until(lambda: casting.count(done) >= 4, runtime.tick)
    bpy.ops.uvmap_id.cast_stop()
    assert casting.ended
    made = casting.count(done)
    assert 4 <= made < 22
    tick_until(lambda: not module("current").session().busy, runtime.tick)
    assert report_of(out)["counts"]["stopped"] == len(lines) - made
    lines[2] = "a.png,done"
    casting = begun(module, scene, csv_of(tmp_path / "list", "face,prompt", *lines), out)
    tick_until(lambda: casting.ended, runtime.tick)
    assert casting.count(done) == len(lines)
    assert sum(row["found"] for row in report_of(out)["rows"]) >= made
    assert sum(item.type == "MESH" for item in scene.objects) == len(lines)


def test_another_file_is_opened_meanwhile(scene: bpy.types.Scene, fake: Path, module: Module, tmp_path: Path) -> None:
    casting = begun(module, scene, csv_of(tmp_path / "list", "face,prompt", *["a.png,brief"] * 5), tmp_path / "out")
    tick_until(lambda: len(casting._jobs) == 5, module("runtime").tick)
    bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True)
    tick_until(lambda: casting.ended, module("runtime").tick)
    assert casting.failure.code == "body_missing"
    assert not bpy.data.objects


def test_without_a_backend_it_ends_at_once(
    scene: bpy.types.Scene, no_backend: None, module: Module, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UVMAP_ID_BACKEND", str(tmp_path / "none"))
    casting = begun(module, scene, csv_of(tmp_path / "list", "face,prompt", *["a.png,done"] * 30), tmp_path / "out")
    tick_until(lambda: casting.ended, module("runtime").tick)
    assert casting.failure.code == "backend_not_found"


def test_the_command(fake: Path, command: Command, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = csv_of(tmp_path / "list", "face,subject,name", "a.png,woman,Ada", "none.png,,Nobody", "x.png,,Blank")
    out = tmp_path / "out"
    arguments = ("cast", path, "--out", out, "--prompt", "done", "--size", 512, "--render", "--samples", 1)
    assert command(*arguments) == 2
    said = capfd.readouterr()
    assert "1 of 3 characters" in said.out
    assert "face_file_missing" in said.err
    (picture,) = (out / "renders").iterdir()
    stamp = picture.stat().st_mtime_ns
    write_png(tmp_path / "list" / "none.png", (9, 9, 9))
    write_png(tmp_path / "list" / "x.png", (9, 9, 9))
    assert command(*arguments) == 0
    assert picture.stat().st_mtime_ns == stamp
    assert len(list((out / "renders").iterdir())) == 3
    bpy.ops.wm.open_mainfile(filepath=str(out / "cast.blend"))
    assert {item.name for item in bpy.data.objects if item.type == "MESH"} == {"Ada", "Nobody", "Blank"}
    paths = [image.filepath for image in bpy.data.images if image.filepath]
    assert len(paths) == 9
    assert all(each.startswith("//textures") for each in paths)


@pytest.mark.parametrize("given", [("none.csv", "--out", "out"), ("list/cast.csv", "--out", "file/out")])
def test_the_command_refuses(
    command: Command, tmp_path: Path, given: tuple[str, str, str], capfd: pytest.CaptureFixture[str]
) -> None:
    csv_of(tmp_path / "list", "face", "a.png")
    (tmp_path / "file").write_text("mine", encoding="utf-8")
    assert command("cast", tmp_path / given[0], given[1], tmp_path / given[2]) == 1
    assert capfd.readouterr().err.startswith("error: ")
    assert not (tmp_path / "out").exists()
    assert command("cast", "--help") == 0


def test_blender_is_killed_in_the_middle(fake: Path, module: Module, tmp_path: Path) -> None:
    path = csv_of(tmp_path / "list", "face,prompt,name", *(f"a.png,done,Person {number}" for number in range(40)))
    out = tmp_path / "out"
    process = _child(path, out)
    deadline = time.monotonic() + 100
    while _finished(out) < 5:
        assert time.monotonic() < deadline
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    before = _finished(out)
    assert 5 <= before < 40
    report_of(out)
    assert not (out / "cast.blend").exists()
    again = _child(path, out)
    _, said = again.communicate(timeout=200)
    assert again.returncode == 0, said
    rows = report_of(out)["rows"]
    assert [row["state"] for row in rows] == ["done"] * 40
    assert before <= sum(row["found"] for row in rows) < 40
    assert [row["seed"] for row in rows] == [module("cast").seed_of(0, number) for number in range(1, 41)]
    stop_backend()


def _finished(out: Path) -> int:
    return len([item for item in (out / "textures").glob("*") if not item.name.startswith(".")])


def _child(path: Path, out: Path) -> subprocess.Popen[str]:
    """Another Blender with the same profile, that makes a cast."""
    code = f"""
import importlib, os, sys
import bpy, addon_utils
addon_utils.enable("{PACKAGE}")
code = importlib.import_module("{PACKAGE}.cli").main(["cast", {str(path)!r}, "--out", {str(out)!r}, "--size", "512"])
sys.stderr.flush()
os._exit(code)
"""
    return subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_with_a_real_backend(
    command: Command, portrait: Path, backend: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UVMAP_ID_BACKEND", str(backend))
    path = tmp_path / "cast.csv"
    path.write_text(f"face,subject\n{portrait},woman\n{portrait},old man\n{path},\n", encoding="utf-8")
    arguments = ("--out", tmp_path / "out", "--prompt", "white shirt, blue jeans", "--size", 512)
    assert command("cast", path, *arguments) == 1
    rows = report_of(tmp_path / "out")["rows"]
    assert [row["state"] for row in rows] == ["done", "done", "failed"]
    assert rows[2]["error"]["code"] == "image_unreadable"
    folders = [tmp_path / "out" / row["textures"] for row in rows[:2]]
    assert all((folder / "base_color.png").stat().st_size > 10_000 for folder in folders)
    manifests = [json.loads((folder / "manifest.json").read_text(encoding="utf-8")) for folder in folders]
    assert [manifest["request"]["seed"] for manifest in manifests] == [row["seed"] for row in rows[:2]]
