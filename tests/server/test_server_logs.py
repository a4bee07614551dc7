"""The server's log: bounded, private, and one JSON object a line whatever is logged."""

from __future__ import annotations

import ast
import errno
import json
import logging
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import uvmap_id
from uvmap_id.link.errors import ErrorCode
from uvmap_id.server.logs import JsonLinesFormatter, JsonLinesHandler
from uvmap_id.server.states import JobState


@pytest.fixture
def handler(tmp_path: Path) -> Iterator[JsonLinesHandler]:
    handler = JsonLinesHandler(tmp_path / "server.log", max_bytes=5000, files=2, words=("worker-1",))
    yield handler
    handler.close()


@pytest.fixture
def logger(handler: JsonLinesHandler) -> logging.Logger:
    logger = logging.Logger("uvmap_id.server.test")
    logger.addHandler(handler)
    return logger


def lines(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_line_says_when_where_and_what(tmp_path: Path, logger: logging.Logger) -> None:
    logger.info("job %s ended as %s after %.1f s", "a" * 32, JobState.DONE, 1.25)
    (line,) = lines(tmp_path / "server.log")
    assert line["event"] == f"job {'a' * 32} ended as done after 1.2 s"
    assert (line["level"], line["logger"]) == ("info", "uvmap_id.server.test")
    assert str(line["time"]).endswith("Z")


def test_harmless_texts_are_shown_and_others_are_not(tmp_path: Path, logger: logging.Logger) -> None:
    shown = [
        "a" * 32,
        "b" * 64,
        "tcp://127.0.0.1:5555",
        "1.2.3",
        "SIGKILL",
        "worker-1",
        "disk_full",
        ErrorCode.INTERNAL,
    ]
    hidden = ["Anna", "anna", "anna.jpg", "1.jpg", "/home/anna", "a" * 31, "A" * 32, "a" * 32 + "\n", "blue jeans", ""]
    for text in (*shown, *hidden):
        logger.info("%s", text)
    events = [line["event"] for line in lines(tmp_path / "server.log")]
    assert events == [*shown, *(f"({len(text)} characters)" for text in hidden)]


def test_paths_are_shown_inside_of_the_state_folder_only(tmp_path: Path, logger: logging.Logger) -> None:
    logger.info("%s and %s", tmp_path / "results" / "x", Path("/home/anna"))
    assert lines(tmp_path / "server.log")[0]["event"] == "results/x and (a path)"


def test_the_log_grows_to_a_limit(tmp_path: Path, logger: logging.Logger) -> None:
    for number in range(500):
        logger.info("line %d", number)
    sizes = {path.name: path.stat().st_size for path in tmp_path.iterdir()}
    assert sizes.keys() == {"server.log", "server.log.1", "server.log.2"}
    assert max(sizes.values()) <= 5000
    assert lines(tmp_path / "server.log")[-1]["event"] == "line 499"
    if os.name == "posix":
        assert {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()} == {0o600}


def test_a_disk_that_is_full_ends_nothing(
    tmp_path: Path, logger: logging.Logger, handler: JsonLinesHandler, monkeypatch: pytest.MonkeyPatch
) -> None:
    logger.info("before")
    with monkeypatch.context() as patch:

        def full(_text: str) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

        patch.setattr(handler.stream, "write", full)
        for _ in range(3):
            logger.info("lost")
    logger.info("after")
    assert [line["event"] for line in lines(tmp_path / "server.log")] == [
        "before",
        "3 lines could not be written",
        "after",
    ]


def test_a_line_is_bounded() -> None:
    record = logging.LogRecord("x", logging.INFO, "", 0, "x" * 10_000, None, None)
    line = json.loads(JsonLinesFormatter().format(record))
    assert line["event"] == "(too long)"


@given(st.text(), st.lists(st.one_of(st.text(), st.integers(), st.binary(), st.none()), max_size=3))
def test_whatever_is_logged_is_one_line_of_json(template: str, arguments: list[object]) -> None:
    record = logging.LogRecord("x", logging.INFO, "", 0, template, tuple(arguments), None)
    line = JsonLinesFormatter().format(record)
    assert "\n" not in line
    assert json.loads(line)["level"] == "info"


def log_calls() -> Iterator[tuple[str, ast.Call]]:
    for path in sorted((Path(uvmap_id.__file__).parent / "server").glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                holder = node.func.value
                if isinstance(holder, ast.Name) and holder.id in ("_log", "logging", "logger"):
                    yield f"{path.name}:{node.lineno}", node


def test_the_server_logs_fixed_sentences_only() -> None:
    """What is formatted before it is logged can't be kept out of the log."""
    names = {"debug", "info", "warning", "error", "exception", "critical"}
    calls = [
        (place, call) for place, call in log_calls() if isinstance(call.func, ast.Attribute) and call.func.attr in names
    ]
    assert len(calls) > 5
    assert [place for place, call in calls if not isinstance(call.args[0], ast.Constant)] == []
