"""What is sent of a job and its files, and when: all at once to this machine, question by question elsewhere."""

from __future__ import annotations

import hashlib
import os

import pytest

from uvmap_id.link.messages import CREDIT, BlobState, Command, PutBlob, Submit
from uvmap_id.link.request import TextureRequest
from uvmap_id.link.uploads import Submission, Uploads

PIECE = 256 * 1024


def submission(*files: bytes, job: str = "1" * 32) -> Submission:
    contents = {hashlib.sha256(content).hexdigest(): content for content in files}
    request = TextureRequest(next(iter(contents)), "prompt", "subject")
    return Submission(job, Submit(job, request), (job,), contents)


def all_due(uploads: Uploads) -> list[tuple[Command, bytes]]:
    """What is sent while the server says nothing."""
    due = []
    while (message := uploads.next()) is not None:
        due.append(message)
    return due


def test_to_this_machine_a_job_follows_its_photo_at_once() -> None:
    uploads, photo = Uploads(local=True), os.urandom(3 * PIECE + 7)
    sent = submission(photo)
    uploads.add(sent)
    *pieces, (last, _) = all_due(uploads)
    assert last == sent.command
    assert b"".join(content for _, content in pieces) == photo
    assert [put.offset for put, _ in pieces if isinstance(put, PutBlob)] == [0, PIECE, 2 * PIECE, 3 * PIECE]


def test_a_second_job_for_the_same_photo_sends_it_once() -> None:
    uploads, photo = Uploads(local=True), os.urandom(9)
    uploads.add(submission(photo))
    uploads.add(submission(photo, job="2" * 32))
    assert [type(command) for command, _ in all_due(uploads)] == [PutBlob, Submit, Submit]


def test_elsewhere_the_server_is_asked_first_and_the_job_waits_for_its_word() -> None:
    uploads, photo = Uploads(), os.urandom(PIECE + 7)
    sent = submission(photo)
    (sha256,) = sent.files
    uploads.add(sent)
    assert all_due(uploads) == [(PutBlob(sha256, len(photo), 0), b"")]
    uploads.answered(BlobState(sha256, 0))
    assert b"".join(content for _, content in all_due(uploads)) == photo
    uploads.answered(BlobState(sha256, PIECE))
    assert all_due(uploads) == []
    uploads.answered(BlobState(sha256, len(photo)))
    assert all_due(uploads) == [(sent.command, b"")]


def test_what_got_lost_is_put_anew_with_questions() -> None:
    uploads, photo = Uploads(local=True), os.urandom(2 * PIECE)
    sent = submission(photo)
    (sha256,) = sent.files
    uploads.add(sent)
    all_due(uploads)
    # An earlier client has left a beginning that no piece fits to, so the server takes none.
    for _ in range(2):
        uploads.answered(BlobState(sha256, 1000))
    assert uploads.put_again(sent.key)
    assert all_due(uploads) == [(PutBlob(sha256, len(photo), 0), b"")]
    uploads.answered(BlobState(sha256, 1000))
    assert b"".join(content for _, content in all_due(uploads)) == photo[1000:]
    assert all_due(uploads) == []
    uploads.answered(BlobState(sha256, len(photo)))
    assert all_due(uploads) == [(sent.command, b"")]


def test_a_large_photo_waits_for_answers_and_skips_what_the_server_has() -> None:
    uploads, photo = Uploads(local=True), bytes(2 * CREDIT * PIECE)
    sent = submission(photo)
    (sha256,) = sent.files
    uploads.add(sent)
    assert len(all_due(uploads)) == CREDIT
    assert not uploads.about_to_submit
    uploads.answered(BlobState(sha256, len(photo)))
    assert uploads.about_to_submit
    assert all_due(uploads) == [(sent.command, b"")]


@pytest.mark.parametrize("local", [True, False])
def test_a_new_connection_begins_anew(local: bool) -> None:
    uploads, photo = Uploads(local), os.urandom(9)
    uploads.add(submission(photo))
    before = all_due(uploads)
    uploads.restart()
    assert all_due(uploads) == before
