"""What is asked of a record, and what a match says of its place."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from samples import ID
from sessiontail import Chunk, ChunkKind, Damage, DamageReason, Header, PatternTooSlow
from sessiontail.format.patterns import text_pattern
from sessiontail.session.asking import Question, matches_of

_CHUNK = Chunk(kind=ChunkKind.USER, payload={"content": "one\njazz"})
_DAMAGE = Damage(
    line=1, offset=0, length=5, reason=DamageReason.INVALID_JSON, message="", raw=b"jazz"
)


def asked(pattern: str = "jazz", **more: Any) -> Question:
    made = text_pattern(pattern, literal=False, ignore_case=False, clock=time.monotonic)
    return Question(made, **more)


def test_a_match_is_json_as_it_is() -> None:
    (match,) = matches_of(
        _CHUNK, asked(context=1), session_id=ID, path="x.jsonl", line=lambda: 2, offset=20
    )

    assert json.loads(json.dumps(match.to_dict())) == {
        "schema": 1,
        "session_id": str(ID),
        "file": "x.jsonl",
        "line": 2,
        "offset": 20,
        "kind": "user",
        "tool": None,
        "field": "text",
        "text": "jazz",
        "text_line": 2,
        "spans": [[0, 4]],
        "before": ["one"],
        "after": [],
    }
    assert repr(match) == "Match(4f2c0000, line 2, user, 'jazz')"


def test_what_is_unknown_is_none() -> None:
    (match,) = matches_of(
        _CHUNK, asked(), session_id=None, path=None, line=lambda: None, offset=None
    )

    assert (match.path, match.to_dict()["session_id"], match.line) == (None, None, None)


@pytest.mark.parametrize(
    ("kinds", "chunk", "damage"),
    [
        (None, True, False),
        ({"user"}, True, False),
        ({"assistant"}, False, False),
        ({"user", "damage"}, True, True),
    ],
)
def test_which_records_are_searched(kinds: set[str] | None, *, chunk: bool, damage: bool) -> None:
    question = asked(kinds=kinds)

    assert (question.wants(_CHUNK), question.wants(_DAMAGE)) == (chunk, damage)
    assert (question.needles is None) == damage


def test_a_header_is_not_searched(header: Header) -> None:
    found = matches_of(header, asked("op"), session_id=ID, path=None, line=lambda: 1, offset=0)

    assert [*found] == []


@pytest.fixture
def header() -> Header:
    from datetime import UTC, datetime

    return Header(id=ID, created_at=datetime(2026, 1, 1, tzinfo=UTC), lineage_operator="op")


def test_a_pattern_that_explodes_is_an_error_that_names_the_line() -> None:
    chunk = Chunk(kind=ChunkKind.USER, payload={"content": "a" * 60 + "b"})

    with pytest.raises(PatternTooSlow) as caught:
        [
            *matches_of(
                chunk,
                asked("(a|aa)+$"),
                session_id=ID,
                path="x.jsonl",
                line=lambda: 7,
                offset=9,
                most_s=0.02,
            )
        ]

    assert str(caught.value) == (
        f"x.jsonl:7 (byte 9): the pattern takes more than 2 s, or a gigabyte, for one text of session {ID}: "
        "write it so that it can match in one way only, or search for a literal text"
    )
