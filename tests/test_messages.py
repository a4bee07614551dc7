"""The codec and the request's checks: every message comes back as it went, and nothing else gets through."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import typing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from uvmap_id.link.errors import ErrorCode, LinkError, UVMapError
from uvmap_id.link.messages import (
    FRAME_LIMIT,
    HEADER_LIMIT,
    LIST_LIMIT,
    Answer,
    Chunk,
    Command,
    Done,
    Hello,
    JobItem,
    Listing,
    Message,
    Ping,
    Preview,
    PutBlob,
    ResultFile,
    Submit,
    is_job_id,
    is_sha256,
)
from uvmap_id.link.request import (
    ENGINES,
    FACES_LIMIT,
    PROMPT_LIMIT,
    SEED_LIMIT,
    SIZES,
    SUBJECT_LIMIT,
    DiffusionSettings,
    TextureRequest,
)
from uvmap_id.link.wire import MAGIC, decode, encode

HASH = "0f" * 32
JOB = "a1" * 16
REQUEST = {"face_sha256": HASH, "prompt": "x"}

texts = st.text(max_size=50)
integers = st.integers(-(2**63), 2**63 - 1)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=10,
)
finite = st.floats(allow_nan=False, allow_infinity=False)
diffusions = st.builds(
    DiffusionSettings,
    **{
        item.name: {str: texts, int: integers, float: finite}[type(item.default)]
        for item in dataclasses.fields(DiffusionSettings)
    },
)
name_lists = st.lists(texts, max_size=4).map(tuple)
requests = st.builds(
    TextureRequest,
    texts, texts, texts, texts, integers, integers, finite, name_lists, name_lists, texts, diffusions,
)  # fmt: skip
VALUES = {
    "str": texts,
    "int": integers,
    "float": finite,
    "bool": st.booleans(),
    "dict[str, Any]": st.dictionaries(texts, json_values, max_size=4),
    "tuple[str, ...]": name_lists,
    "TextureRequest": requests,
    "tuple[JobItem, ...]": st.lists(
        st.builds(JobItem, texts, texts, integers, created=finite, fraction=finite), max_size=3
    ).map(tuple),
    "tuple[ResultFile, ...]": st.lists(st.builds(ResultFile, texts, integers, texts), max_size=3).map(tuple),
}
messages = st.one_of(
    *(
        st.builds(cls, **{item.name: VALUES[str(item.type)] for item in dataclasses.fields(cls)})
        for cls in typing.get_args(Message)
    )
)


@given(messages, st.binary(max_size=200))
def test_what_is_encoded_is_decoded(message: Message, blob: bytes) -> None:
    assert decode(encode(message, blob)) == (message, blob)


def test_a_message_carries_one_bounded_blob() -> None:
    assert decode(encode(Ping(), bytes(FRAME_LIMIT))) == (Ping(), bytes(FRAME_LIMIT))
    with pytest.raises(LinkError):
        encode(Ping(), bytes(FRAME_LIMIT + 1))
    frames = encode(Ping(), b"blob")
    with pytest.raises(LinkError):
        decode([*frames, b"another"])


def test_the_longest_listing_fits_into_a_header() -> None:
    text = "\u00e4" * 120
    longest = JobItem(
        *(JOB, "cancelled", 10**12, "s" * 64, -100, 1.8e9, 1.8e9, "t" * 80, 0.123456789),
        code="worker_crash_loop",
        message=text,
        hint=text,
    )
    assert len(encode(Listing((longest,) * LIST_LIMIT, 10**12, True))) == 2


@pytest.mark.parametrize("cls", [Hello, *typing.get_args(Answer)])
def test_answers_and_the_handshake_may_grow(cls: type) -> None:
    required = any(
        item.default is dataclasses.MISSING and item.default_factory is dataclasses.MISSING
        for item in dataclasses.fields(cls)
    )
    with pytest.raises(LinkError, match="lacks") if required else contextlib.nullcontext():
        decode(header_of(t=cls.__name__.lower(), new=1))


@pytest.mark.parametrize("cls", [cls for cls in typing.get_args(Command) if cls is not Hello])
def test_commands_may_not(cls: type) -> None:
    with pytest.raises(LinkError, match="has no field 'new'"):
        decode(header_of(t=cls.__name__.lower(), new=1))


def test_what_is_in_an_answer_may_grow_as_well() -> None:
    item = {"job": JOB, "state": "queued", "seq": 1, "mood": "good"}
    message, _ = decode(header_of(t="listing", jobs=[item], seq=1, more=False))
    assert message == Listing((JobItem(JOB, "queued", 1),), 1, False)


@given(st.lists(st.binary(max_size=100), max_size=5))
def test_random_frames_are_refused(frames: list[bytes]) -> None:
    with pytest.raises(LinkError):
        decode(frames)


@given(json_values, st.lists(st.binary(max_size=20), max_size=2))
def test_random_json_is_refused(value: object, rest: list[bytes]) -> None:
    with pytest.raises(LinkError):
        decode([MAGIC, json.dumps(value).encode(), *rest])


@given(st.sampled_from([cls.__name__.lower() for cls in typing.get_args(Message)]), st.data())
def test_a_known_type_with_random_fields_is_read_or_refused(name: str, data: st.DataObject) -> None:
    fields = st.sampled_from(["job", "request", "code", "message", "protocol", "client", "blob", "manifest", "stage"])
    header = {"t": name, **data.draw(st.dictionaries(fields, json_values, max_size=4))}
    try:
        message, _ = decode([MAGIC, json.dumps(header).encode()])
    except LinkError:
        return
    assert type(message).__name__.lower() == name


@given(messages, st.data())
def test_a_damaged_message_is_read_or_refused(message: Message, data: st.DataObject) -> None:
    frames = encode(message, b"blob")
    frame = data.draw(st.integers(0, len(frames) - 1))
    place = data.draw(st.integers(0, len(frames[frame]) - 1))
    damaged = bytearray(frames[frame])
    damaged[place] ^= data.draw(st.integers(1, 255))
    frames[frame] = bytes(damaged)
    try:
        _, blob = decode(frames)
    except LinkError:
        return
    # A piece of a file is checked together with the whole file.
    assert blob == b"blob" or isinstance(message, Chunk | PutBlob)


def header_of(**values: object) -> list[bytes]:
    return [MAGIC, json.dumps(values).encode()]


@pytest.mark.parametrize(
    "frames",
    [
        [],
        [MAGIC],
        [b"UVM2", b'{"t":"ping"}'],
        [MAGIC, b"{" * 20_000],
        [MAGIC, b"[" * 60_000],
        [MAGIC, b'{"t":"ping"' + b" " * HEADER_LIMIT + b"}"],
        [MAGIC, b'{"t":"ping"}', b"undeclared"],
        [MAGIC, b'{"t":"ping","blob":{"size":4}}', b"blob"],
        [MAGIC, b'{"t":"ping","blob":{"size":5,"sha256":"00"}}', b"blob"],
        [MAGIC, b'{"t":"ping","blob":{"size":4,"sha256":"00"}}', b"blob"],
        [MAGIC, b'{"t":"ping","blob":{"size":1e400,"sha256":"00"}}', b"blob"],
        header_of(t="nothing"),
        header_of(t=["ping"]),
        header_of(job=JOB),
        header_of(t="cancel"),
        header_of(t="cancel", job=7),
        header_of(t="cancel", job=JOB, extra=1),
        header_of(t="hello", protocol=True, client="x"),
        header_of(t="hello", protocol="1", client="x"),
        header_of(t="submit", job=JOB, request={"prompt": "x"}),
        header_of(t="submit", job=JOB, request=[]),
        header_of(t="submit", job=JOB, request=REQUEST, priority="1"),
        header_of(t="submit", job=JOB, request=REQUEST, priority=True),
        header_of(t="purge", jobs={"0": 1}),
        header_of(t="purge", jobs=[1]),
        [MAGIC, b'{"t":"ping","t":"shutdown"}'],
        [MAGIC, b'{"t":"ping","blob":{"size":0,"size":4,"sha256":"00"}}', b"blob"],
        header_of(t="submit", job=JOB, request={**REQUEST, "more_faces": [1, 2]}),
        header_of(t="submit", job=JOB, request={**REQUEST, "more_faces": HASH}),
        header_of(t="submit", job=JOB, request={**REQUEST, "extra_maps": [["orm"]]}),
        header_of(t="submit", job=JOB, request={**REQUEST, "diffusion": {"steps": 1.5}}),
        header_of(t="submit", job=JOB, request={**REQUEST, "diffusion": {"stops": 1}}),
        header_of(t="submit", job=JOB, request={**REQUEST, "diffusion": {"guidance": 10**400}}),
        header_of(t="status", job="\ud800"),
        header_of(t="purge", jobs=[JOB, "a\udfff"]),
        header_of(t="list", since=2**63),
    ],
)
def test_malformed_frames_are_refused(frames: list[bytes]) -> None:
    with pytest.raises(LinkError):
        decode(frames)


def test_a_number_is_the_same_request_with_or_without_its_point() -> None:
    header = {**REQUEST, "relight": 1, "diffusion": {"guidance": 7}}
    message, _ = decode(header_of(t="submit", job=JOB, request=header))
    assert isinstance(message, Submit)
    assert [type(value) for value in (message.request.relight, message.request.diffusion.guidance)] == [float, float]


@pytest.mark.parametrize("text", ["", "!", "AAA", "\u00e4" * 4])
def test_a_preview_that_is_no_base64_shows_nothing(text: str) -> None:
    assert Preview(JOB, text).picture == b""


def test_a_header_over_the_limit_is_not_sent() -> None:
    with pytest.raises(LinkError):
        encode(Done(JOB, "folder", {"details": "x" * HEADER_LIMIT}))


def test_job_ids_are_32_hex_digits() -> None:
    assert is_job_id(JOB)
    assert is_sha256(HASH)
    assert not any(map(is_sha256, ("", HASH + "\n", HASH[:-1], HASH.upper(), JOB)))
    assert not any(map(is_job_id, ("", JOB + "\n", JOB[:-1], JOB.upper(), "../" + JOB[3:], JOB + "0")))


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("size", SIZES)
def test_what_is_offered_is_accepted(engine: str, size: int) -> None:
    longest = "p" * PROMPT_LIMIT, "s" * SUBJECT_LIMIT
    TextureRequest(HASH, *longest, engine, size, SEED_LIMIT - 1).validate()


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"face_sha256": "x"}, ErrorCode.MESSAGE_INVALID),
        ({"face_sha256": HASH + "\n"}, ErrorCode.MESSAGE_INVALID),
        ({"prompt": ""}, ErrorCode.PROMPT_EMPTY),
        ({"prompt": " \n\t"}, ErrorCode.PROMPT_EMPTY),
        ({"prompt": "p" * (PROMPT_LIMIT + 1)}, ErrorCode.PROMPT_TOO_LONG),
        ({"subject": "s" * (SUBJECT_LIMIT + 1)}, ErrorCode.SUBJECT_TOO_LONG),
        ({"prompt": "a\0b"}, ErrorCode.TEXT_INVALID),
        ({"subject": "\ud800"}, ErrorCode.TEXT_INVALID),
        ({"engine": "magic"}, ErrorCode.ENGINE_UNKNOWN),
        ({"size": 1000}, ErrorCode.SIZE_NOT_OFFERED),
        ({"seed": -1}, ErrorCode.SEED_OUT_OF_RANGE),
        ({"seed": SEED_LIMIT}, ErrorCode.SEED_OUT_OF_RANGE),
        ({"relight": -0.1}, ErrorCode.RELIGHT_OUT_OF_RANGE),
        ({"relight": 1.1}, ErrorCode.RELIGHT_OUT_OF_RANGE),
        ({"relight": float("nan")}, ErrorCode.RELIGHT_OUT_OF_RANGE),
        ({"more_faces": (HASH,) * FACES_LIMIT}, ErrorCode.SETTING_OUT_OF_RANGE),
        ({"more_faces": (HASH, "x")}, ErrorCode.MESSAGE_INVALID),
        ({"extra_maps": ("gloss",)}, ErrorCode.SETTING_OUT_OF_RANGE),
        ({"extra_maps": ("orm", "subsurface", "orm")}, ErrorCode.SETTING_OUT_OF_RANGE),
        ({"normal_convention": "vulkan"}, ErrorCode.SETTING_OUT_OF_RANGE),
        ({"diffusion": DiffusionSettings(preset="best")}, ErrorCode.SETTING_OUT_OF_RANGE),
        ({"diffusion": DiffusionSettings(steps=0)}, ErrorCode.SETTING_OUT_OF_RANGE),
        ({"diffusion": DiffusionSettings(guidance=float("inf"))}, ErrorCode.SETTING_OUT_OF_RANGE),
        ({"diffusion": DiffusionSettings(anchor=float("nan"))}, ErrorCode.SETTING_OUT_OF_RANGE),
        ({"diffusion": DiffusionSettings(identity_strength=-0.1)}, ErrorCode.SETTING_OUT_OF_RANGE),
        ({"diffusion": DiffusionSettings(scheduler="s" * 101)}, ErrorCode.SETTING_OUT_OF_RANGE),
        ({"diffusion": DiffusionSettings(template="t" * 2001)}, ErrorCode.PROMPT_TOO_LONG),
        ({"diffusion": DiffusionSettings(negative_prompt="\0")}, ErrorCode.TEXT_INVALID),
    ],
)
def test_each_bad_field_has_its_code(fields: dict[str, typing.Any], code: ErrorCode) -> None:
    request = TextureRequest(**{"face_sha256": HASH, "prompt": "blue jeans", **fields})
    with pytest.raises(UVMapError) as caught:
        request.validate()
    assert caught.value.failure.code == code
    assert caught.value.failure.hint


@pytest.mark.parametrize("value", [float("inf"), float("nan"), {1, 2}, b"bytes"])
def test_what_json_cannot_say_is_not_sent(value: object) -> None:
    with pytest.raises(LinkError):
        encode(Done("0" * 32, "/somewhere", {"value": value}))


@pytest.mark.parametrize("constant", [b"NaN", b"Infinity", b"-Infinity"])
def test_pythons_own_constants_are_no_json(constant: bytes) -> None:
    header = b'{"t":"progress","job":"%s","stage":"x","fraction":%s}' % (b"0" * 32, constant)
    with pytest.raises(LinkError):
        decode([MAGIC, header])
