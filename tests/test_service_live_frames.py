"""Records as events of a stream, and the ids by which they are resumed."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
from httpx_sse import EventSource

from samples import ID
from serving import Event, parsed
from sessiontail import Chunk, ChunkKind, CursorInvalid, Damage
from sessiontail.cli.rendering import as_json
from sessiontail.format.inert import inert_json
from sessiontail.format.lifecycle import Outcome
from sessiontail.format.records import DamageReason
from sessiontail.service.live.frames import (
    Form,
    end_frame,
    end_id,
    frame_of,
    heartbeat,
    joined,
    opening,
    parse_id,
    preferred,
)

HOSTILE = [
    "a\nb", "a\rb", "a\r\nb", "\n\nevent: end\ndata: {}\n\n", "\u2028\u2029\x85\x0b\x0c", "\ud800", "\udfff\ud800",
    "\x00\x1b[2J", "\u202etxt.exe", 'NaN" Infinity \\"NaN', "\\", "😀",
]  # fmt: skip


def said(content: Any) -> Chunk:
    return Chunk(kind=ChunkKind.USER, payload={"content": content}, index=3)


@pytest.mark.parametrize("text", HOSTILE)
def test_whatever_a_text_says_it_is_one_event_with_the_same_text(text: str) -> None:
    frame = frame_of(said(text), ID, 7, "st1.x")
    expected = Event("chunk", "st1.x", {**said(text).to_dict(ID), "line": 7})

    assert parsed(joined([frame], "sse").decode()) == [expected]
    assert Event(**json.loads(joined([frame], "ndjson"))) == expected
    assert joined([frame], "ndjson").decode().splitlines() == [frame.ndjson.decode()[:-1]]
    assert len(frame.data.decode().splitlines()) == 1


@pytest.mark.parametrize("text", HOSTILE)
def test_a_record_is_what_the_command_prints_and_its_line(text: str) -> None:
    frame = frame_of(said(text), ID, None, "st1.x")

    assert frame.data.decode() == inert_json(as_json(said(text), ID))[:-1] + ', "line": null}'


def test_damage_keeps_its_own_line() -> None:
    reason = DamageReason.INVALID_JSON
    damage = Damage(line=4, offset=9, length=3, reason=reason, message="no", raw=b"\xff\n")
    frame = frame_of(damage, ID, 4, "st1.x")

    assert frame.event == "damage"
    assert json.loads(frame.data) == damage.to_dict(ID)


def test_the_frames_of_both_forms() -> None:
    frame = end_frame(Outcome.CLOSED, "st1.x")

    assert frame.sse == b'id: st1.x~closed\nevent: end\ndata: {"outcome": "closed"}\n\n'
    assert frame.ndjson == (
        b'{"event": "end", "id": "st1.x~closed", "data": {"outcome": "closed"}}\n'
    )
    assert (opening("sse"), opening("ndjson")) == (b"retry: 1000\n", b"")
    assert (heartbeat("sse"), heartbeat("ndjson")) == (b": \n", b" ")
    assert parsed((opening("sse") + heartbeat("sse")).decode()) == []


def test_a_client_that_takes_blank_lines_for_events_gets_none_without_data() -> None:
    frame = end_frame(Outcome.CLOSED, "st1.x").sse
    quiet = heartbeat("sse")
    answer = httpx.Response(
        200,
        headers={"content-type": "text/event-stream"},
        content=opening("sse") + quiet + frame + quiet + frame + quiet,
    )

    events = list(EventSource(answer).iter_sse())

    assert [(event.event, event.json()) for event in events] == [
        ("end", {"outcome": "closed"}),
        ("end", {"outcome": "closed"}),
    ]


@pytest.mark.parametrize("outcome", Outcome)
def test_the_id_of_an_end_is_a_cursor_and_an_outcome(outcome: Outcome) -> None:
    assert parse_id(end_id("st1.x", outcome)) == ("st1.x", outcome)


@pytest.mark.parametrize(
    ("text", "cursor"), [(None, None), ("", None), (" ", None), ("st1.x", "st1.x"), (" a ", "a")]
)
def test_an_id_of_a_record_is_a_cursor(text: str | None, cursor: str | None) -> None:
    assert parse_id(text) == (cursor, None)


@pytest.mark.parametrize("text", ["st1.x~", "st1.x~bored", "~", "st1.x~closed~closed"])
def test_an_id_with_a_mark_that_is_no_outcome_is_refused(text: str) -> None:
    with pytest.raises(CursorInvalid):
        parse_id(text)


@pytest.mark.parametrize(
    ("accept", "form"),
    [
        ([], "sse"),
        (["*/*"], "sse"),
        (["text/event-stream"], "sse"),
        (["application/x-ndjson"], "ndjson"),
        (["application/ndjson"], "ndjson"),
        (["Application/X-NDJSON; q=0.9"], "ndjson"),
        (["application/x-ndjson, */*;q=0.1"], "ndjson"),
        (["application/x-ndjson, */*"], "sse"),
        (["application/x-ndjson", "text/event-stream;q=0.9"], "ndjson"),
        (["application/x-ndjson;q=0.5", "text/event-stream"], "sse"),
        (["application/x-ndjson;q=nan"], "sse"),
        (["application/x-ndjson;q=, ;;,"], "sse"),
        (["text/html"], "sse"),
    ],
)
def test_the_form_is_the_one_that_is_preferred(accept: list[str], form: Form) -> None:
    assert preferred(accept) == form
