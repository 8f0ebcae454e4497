from __future__ import annotations

import os
from pathlib import Path

import pytest

from sessiontail import (
    CursorInvalid,
    DamagedSession,
    InvalidSessionId,
    MissingExtra,
    PersistenceError,
    SessionBusy,
    SessionEnded,
    SessionNotFound,
)


@pytest.mark.parametrize(
    "kind",
    [
        CursorInvalid,
        DamagedSession,
        InvalidSessionId,
        MissingExtra,
        SessionBusy,
        SessionEnded,
        SessionNotFound,
    ],
)
def test_one_except_catches_every_error(kind: type[PersistenceError]) -> None:
    with pytest.raises(PersistenceError, match="what happened"):
        raise kind("what happened")


def test_the_error_is_a_runtime_error_as_in_openrath() -> None:
    assert issubclass(PersistenceError, RuntimeError)
    assert issubclass(InvalidSessionId, ValueError)


@pytest.mark.parametrize(
    ("path", "line", "offset", "expected"),
    [
        (None, None, None, "invalid JSON"),
        (None, 17, 20_481, "invalid JSON"),
        ("a/b.jsonl", None, None, "a/b.jsonl: invalid JSON"),
        ("a/b.jsonl", 17, None, "a/b.jsonl:17: invalid JSON"),
        ("a/b.jsonl", 17, 20_481, "a/b.jsonl:17 (byte 20481): invalid JSON"),
        ("a/b.jsonl", None, 20_481, "a/b.jsonl (byte 20481): invalid JSON"),
    ],
)
def test_the_message_names_the_place_as_far_as_it_is_known(
    path: str | None, line: int | None, offset: int | None, expected: str
) -> None:
    error = PersistenceError("invalid JSON", path=path, line=line, offset=offset)

    assert str(error) == expected


def test_an_error_keeps_its_evidence() -> None:
    error = DamagedSession("bad", path="x.jsonl", line=3, offset=80, reason="invalid-json")

    assert (error.message, error.path, error.line, error.offset, error.reason) == (
        "bad",
        Path("x.jsonl"),
        3,
        80,
        "invalid-json",
    )


@pytest.mark.skipif(os.name == "nt", reason="names are text there")
def test_a_name_that_is_no_utf_8_prints_anywhere() -> None:
    error = PersistenceError("bad", path=os.fsdecode(b"a\xff.jsonl"))

    assert str(error).encode() == b"a\\udcff.jsonl: bad"


def test_an_error_is_one_line_whatever_the_name() -> None:
    error = PersistenceError("bad", path="наш\nlog\x1b[2J.jsonl")

    assert str(error) == "наш\\nlog\\x1b[2J.jsonl: bad"
