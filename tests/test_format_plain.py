"""Every JSON object has one shape, whoever writes it; a whole table of it stands here."""

from __future__ import annotations

import json
import math
import os
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
import pytest

from samples import ID
from sessiontail import (
    Chunk,
    ChunkKind,
    ChunkTable,
    Damage,
    DamageReason,
    EventKind,
    FileId,
    Header,
    LineageKind,
    PersistedSession,
    PersistedSessionMeta,
    Pruned,
    PruneDecision,
    PrunePlan,
    Record,
    SandboxSpec,
    SessionEvent,
    SessionNotFound,
    SessionState,
    Settled,
    TokenUsage,
    ToolCall,
    Trailer,
)
from sessiontail.format.plain import plain, plain_error

PARENT = UUID(int=7)
NOON = datetime(2026, 1, 2, 14, tzinfo=timezone(timedelta(hours=2)))
USAGE = TokenUsage(1, 2, 3)
HEADER = Header(
    id=ID,
    created_at=NOON,
    parent_session_ids=(PARENT,),
    lineage_kind=LineageKind.OP_FORK,
    lineage_extras=(("depth", 2), ("made", {PARENT})),
    sandbox_spec=SandboxSpec(image="python", entrypoint=("sh",), timeout=timedelta(minutes=1)),
)
#: As a file can have it.
SENT = msgspec.structs.replace(HEADER, lineage_extras=(("depth", 2),))
CHUNK = Chunk(kind=ChunkKind.USER, payload={"content": "hi", "more": [1.5]}, index=3)
TRAILER = Trailer(closed_at=NOON, cumulative_usage=USAGE, raw={"id": "of the log"})
DAMAGE = Damage(
    line=None, offset=7, length=3, reason=DamageReason.INVALID_UTF8, message="bad", raw=b"a\xff"
)
META = PersistedSessionMeta(
    id_text=str(ID),
    file="/s/4f2c.jsonl",
    created_at=NOON,
    lineage_operator="loop",
    lineage_kind=LineageKind.OP_SESSION_LOOP,
    chunk_count=4,
    closed=False,
    state=SessionState.LIVE,
    parent_texts=(str(PARENT),),
    cumulative_usage=None,
    closed_at=None,
    size_bytes=1200,
    modified_at=NOON,
    file_id=FileId(1, 2),
)
SESSION = PersistedSession(
    header=HEADER,
    chunk_table=ChunkTable((CHUNK,)),
    cumulative_usage=USAGE,
    closed=True,
    path=Path("/s/4f2c.jsonl"),
    trailer=TRAILER,
    damage=(DAMAGE,),
)
DECISION = PruneDecision(META, "live")
PLAN = PrunePlan((DECISION,), (), (SessionNotFound("gone", path="/s/x.jsonl"),))
SETTLED = Settled(Path("/s/.a.deleting"), Path("/s/a"), "has its name back", done=True)
PRUNED = Pruned((META,), (DECISION,), (SETTLED,))
EVENT = SessionEvent(EventKind.STARTED, META)

NOON_UTC = "2026-01-02T12:00:00+00:00"
USAGE_PLAIN = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}
HEADER_PLAIN = {
    "schema": 1,
    "session_id": str(ID),
    "record_type": "header",
    "id": str(ID),
    "created_at": NOON_UTC,
    "schema_version": 1,
    "parent_session_ids": [str(PARENT)],
    "lineage_operator": "implicit",
    "lineage_kind": "op_fork",
    "lineage_extras": [["depth", 2], ["made", str({PARENT})]],
    "sandbox_backend": None,
    "sandbox_spec": {
        "image": "python",
        "entrypoint": ["sh"],
        "env": None,
        "timeout_seconds": 60.0,
        "working_dir": None,
    },
    "sandbox_handle_id": None,
}
CHUNK_PLAIN = {
    "schema": 1,
    "session_id": str(ID),
    "record_type": "chunk",
    "index": 3,
    "kind": "user",
    "payload": {"content": "hi", "more": [1.5]},
}
TRAILER_PLAIN = {
    "schema": 1,
    "session_id": str(ID),
    "record_type": "trailer",
    "closed_at": NOON_UTC,
    "final_chunk_count": None,
    "cumulative_usage": USAGE_PLAIN,
}
DAMAGE_PLAIN = {
    "schema": 1,
    "session_id": str(ID),
    "record_type": "damage",
    "line": None,
    "offset": 7,
    "length": 3,
    "reason": "invalid-utf8",
    "message": "bad",
    "raw": "a\\xff",
}
META_PLAIN = {
    "schema": 1,
    "id": str(ID),
    "file": "/s/4f2c.jsonl",
    "created_at": NOON_UTC,
    "lineage_operator": "loop",
    "lineage_kind": "op_session_loop",
    "chunk_count": 4,
    "closed": False,
    "state": "live",
    "parent_session_ids": [str(PARENT)],
    "cumulative_usage": None,
    "closed_at": None,
    "size_bytes": 1200,
    "modified_at": NOON_UTC,
    "writer_pid": None,
    "damaged_lines": None,
    "torn_bytes": 0,
}
DECISION_PLAIN = {**META_PLAIN, "why": "live"}
SHAPES: list[tuple[Any, dict[str, Any]]] = [
    (META, META_PLAIN),
    (DECISION, DECISION_PLAIN),
    (EVENT, {**META_PLAIN, "event": "started"}),
    (
        SESSION,
        {
            "schema": 1,
            "id": str(ID),
            "file": "/s/4f2c.jsonl",
            "closed": True,
            "cumulative_usage": USAGE_PLAIN,
            "torn_bytes": 0,
            "inherited_count": None,
            "header": HEADER_PLAIN,
            "chunk_table": [CHUNK_PLAIN],
            "trailer": TRAILER_PLAIN,
            "damage": [DAMAGE_PLAIN],
        },
    ),
    (
        PLAN,
        {
            "schema": 1,
            "bytes_to_free": 1200,
            "remove": [DECISION_PLAIN],
            "keep": [],
            "skipped": [
                {
                    "file": "/s/x.jsonl",
                    "line": None,
                    "offset": None,
                    "reason": None,
                    "message": "gone",
                }
            ],
        },
    ),
    (
        PRUNED,
        {
            "schema": 1,
            "freed_bytes": 1200,
            "removed": [META_PLAIN],
            "kept": [DECISION_PLAIN],
            "settled": [
                {
                    "file": "/s/.a.deleting",
                    "origin": "/s/a",
                    "what": "has its name back",
                    "done": True,
                }
            ],
            "waited_in_vain": False,
        },
    ),
]


@pytest.mark.parametrize(
    ("record", "shape"),
    [
        (HEADER, HEADER_PLAIN),
        (CHUNK, CHUNK_PLAIN),
        (TRAILER, TRAILER_PLAIN),
        (DAMAGE, DAMAGE_PLAIN),
    ],
    ids=["header", "chunk", "trailer", "damage"],
)
def test_a_record_has_its_shape(record: Record, shape: dict[str, Any]) -> None:
    assert json.loads(json.dumps(record.to_dict(ID))) == shape
    assert record.to_dict(str(ID)) == record.to_dict(ID)


@pytest.mark.parametrize(
    ("value", "shape"), SHAPES, ids=[type(value).__name__ for value, _ in SHAPES]
)
def test_a_session_a_plan_and_an_event_have_their_shape(value: Any, shape: dict[str, Any]) -> None:
    assert json.loads(json.dumps(value.to_dict())) == shape


def test_only_a_header_knows_whose_it_is() -> None:
    known = [record.to_dict()["session_id"] for record in (HEADER, CHUNK, TRAILER, DAMAGE)]

    assert known == [str(ID), None, None, None]


@pytest.mark.parametrize(
    "value",
    [SENT, CHUNK, TRAILER, DAMAGE, USAGE, ToolCall("1", "f", "{}"), META, DECISION, EVENT],
    ids=lambda value: type(value).__name__,
)
def test_msgspec_takes_a_value_as_it_is(value: Any) -> None:
    assert msgspec.json.decode(msgspec.json.encode(value), type=type(value)) == value


@pytest.mark.parametrize("value", [SESSION, PLAN, PRUNED], ids=lambda value: type(value).__name__)
def test_msgspec_takes_what_holds_a_path_or_an_error_with_a_hook(value: Any) -> None:
    assert msgspec.json.decode(msgspec.json.encode(value, enc_hook=str))
    assert msgspec.json.decode(msgspec.json.encode(value.to_dict())) == value.to_dict()
    with pytest.raises(TypeError, match="unsupported"):
        msgspec.json.encode(value)


def test_msgspec_says_null_for_nan_and_refuses_a_lone_surrogate() -> None:
    nan, lone = (Chunk(kind=ChunkKind.USER, payload={"x": x}) for x in (math.nan, "\ud800"))

    assert msgspec.json.decode(msgspec.json.encode(nan))["payload"] == {"x": None}
    assert "NaN" in json.dumps(nan.to_dict())
    assert json.loads(json.dumps(lone.to_dict()))["payload"] == {"x": "\ud800"}
    with pytest.raises(UnicodeEncodeError):
        msgspec.json.encode(lone)


@pytest.mark.skipif(os.name == "nt", reason="names are text there")
def test_a_name_that_is_no_utf_8_comes_back_from_json() -> None:
    path = Path(os.fsdecode(b"/s/a\xff.jsonl"))

    told = json.dumps(plain_error(SessionNotFound("gone", path=path)))

    assert os.fsencode(json.loads(told)["file"]) == b"/s/a\xff.jsonl"


@pytest.mark.parametrize(
    ("moment", "told"),
    [
        (datetime(2026, 1, 2), "2026-01-02T00:00:00+00:00"),  # noqa: DTZ001 - what such a time means
        (NOON.replace(microsecond=5), "2026-01-02T12:00:00.000005+00:00"),
        (datetime.min.replace(tzinfo=timezone(timedelta(hours=2))), "0001-01-01T00:00:00+02:00"),
        (datetime(2026, 1, 2, tzinfo=UTC), "2026-01-02T00:00:00+00:00"),
    ],
)
def test_a_time_is_told_in_utc_as_far_as_the_calendar_goes(moment: datetime, told: str) -> None:
    assert plain(moment) == told
