"""What a debugger shows of a value is one short line, however much the value holds."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from sessiontail import (
    Chunk,
    ChunkKind,
    SandboxSpec,
    SessionStore,
    TokenUsage,
    ToolCall,
    Trailer,
)
from sessiontail.format.brief import place, quoted
from test_format_plain import (
    CHUNK,
    DAMAGE,
    DECISION,
    EVENT,
    HEADER,
    META,
    PLAN,
    PRUNED,
    SESSION,
    TRAILER,
)

CALL = {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
LONG = "The tests fail because of\n\x1b[2J\u202e " + "x" * 10_000_000


@pytest.mark.parametrize(
    ("value", "line"),
    [
        (CHUNK, "Chunk(index=3, user, 'hi')"),
        (
            Chunk(
                kind=ChunkKind.ASSISTANT,
                payload={"content": "Look:", "tool_calls": [CALL, CALL]},
                index=0,
            ),
            "Chunk(index=0, assistant, 'Look:', 2 tool calls)",
        ),
        (
            Chunk(kind=ChunkKind.ASSISTANT, payload={"content": None, "tool_calls": [CALL]}),
            "Chunk(index=None, assistant, 1 tool call)",
        ),
        (
            Chunk(kind=ChunkKind.USER, payload={"content": [{}, {}, {}]}),
            "Chunk(index=None, user, 3 parts)",
        ),
        (Chunk(kind=ChunkKind.USER, payload={"content": {}}), "Chunk(index=None, user, dict)"),
        (HEADER, "Header(4f2c0000, op_fork)"),
        (TRAILER, "Trailer(? chunks, 3 tokens)"),
        (Trailer(final_chunk_count=1), "Trailer(1 chunk, ? tokens)"),
        (DAMAGE, "Damage(a line, invalid-utf8, 'a\\\\xff')"),
        (ToolCall("1", "f", '{"a": 1}'), "ToolCall('f', '{\"a\": 1}')"),
        (SandboxSpec(image="python", env={"TOKEN": "secret"}), "SandboxSpec('python')"),
        (META, "PersistedSessionMeta(4f2c0000, live, 4 chunks, 1,200 bytes)"),
        (SESSION, "PersistedSession(4f2c0000, closed, 1 chunk, 1 damaged line)"),
        (SESSION.chunk_table, "ChunkTable(1 chunk)"),
        (DECISION, "PruneDecision(4f2c0000, 'live')"),
        (PLAN, "PrunePlan(1 go, 0 stay, 1 skipped, 1,200 bytes to free)"),
        (PRUNED, "Pruned(1 removed, 1 kept, 1 settled, 1,200 bytes freed)"),
        (EVENT, "SessionEvent(started, 4f2c0000)"),
    ],
    ids=lambda value: value[:20] if isinstance(value, str) else type(value).__name__,
)
def test_a_value_is_one_short_line(value: Any, line: str) -> None:
    assert repr(value) == str(value) == line


@pytest.mark.parametrize(
    "value",
    [
        Chunk(
            kind=ChunkKind.TOOL_RESULT,
            payload={"content": LONG, "tool_calls": [CALL] * 99},
            index=10**9,
        ),
        msgspec.structs.replace(DAMAGE, raw=b"\xff" * 10_000_000, line=10**9),
        ToolCall(LONG, LONG, LONG),
        SandboxSpec(image=LONG),
        Trailer(final_chunk_count=10**9, cumulative_usage=TokenUsage(1, 2, 10**12)),
        msgspec.structs.replace(DECISION, why=LONG),
        replace(SESSION, path=Path(LONG[:4000])),
        SessionStore("/" + "x" * 1000),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_is_long_or_odd_is_cut_and_escaped(value: Any) -> None:
    line = repr(value)

    assert len(line) <= 125
    assert line.isprintable()


def test_what_was_cut_says_so() -> None:
    assert quoted("abc" * 30, 10) == "'abcabca…'"
    assert quoted("abc", 10) == "'abc'"
    assert place("/" + "a" * 100) == "…" + "a" * 60
    assert place("/a") == "/a"
