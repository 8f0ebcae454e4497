from __future__ import annotations

import asyncio
import json
import os
import re
import stat
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import anyio
import anyio.from_thread
import pytest
from rath.backend.abc import BackendSandboxSpec
from rath.llm.chat_response import RathLLMTokenUsage
from rath.session.chunk import ChunkKind as RealChunkKind, ChunkRow, ChunkTable
from rath.session.graph.kind import LineageKind as RealLineageKind
from rath.session.persistence import (
    PersistenceError as RealPersistenceError,
    SessionWriter as RealWriter,
    load_session as real_load,
)
from rath.session.session import Session

from actors import held_of
from samples import ID, MOMENT, chunk_line, header_line, session_bytes, trailer_line
from sessiontail import (
    Chunk,
    ChunkKind,
    Damage,
    DamagedSession,
    Header,
    LineageKind,
    Outcome,
    PersistenceError,
    Record,
    SandboxSpec,
    SessionBusy,
    SessionTail,
    TokenUsage,
    Trailer,
    load_session,
    read_session,
    tail_session,
)
from sessiontail.format import encoding
from sessiontail.session.writer import SessionWriter

pytestmark = pytest.mark.anyio

HEADER = Header(id=ID, created_at=datetime.fromisoformat(MOMENT))
PARENT = UUID("4f2c0000-0000-4000-8000-00000000000f")
USAGE = TokenUsage(12, 30, 42)

PAYLOADS: list[tuple[str, dict[str, Any]]] = [
    ("system", {"content": "Réponds brièvement. 日本語でも。 \u202eعربي 🧵"}),
    ("user", {"content": 'a\u2028b\u2029c\u0085d\r\n\t\x00"\\/'}),
    (
        "assistant",
        {
            "content": None,
            "tool_calls": [
                {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
            ],
        },
    ),
    ("tool_result", {"tool_call_id": "1", "name": "f", "content": "x" * 5000}),
    ("assistant", {"content": "", "tool_calls": None, "n": [float("nan"), float("-inf"), 1e308]}),
    ("user", {"content": {"big": 10**400, "deep": [[[{}]]], "": True}}),
]


def chunk(kind: str = "user", index: int | None = None, **payload: Any) -> Chunk:
    return Chunk(kind=ChunkKind(kind), payload=payload, index=index)


def untimed(data: bytes) -> bytes:
    return re.sub(rb'("closed_at"|"created_at"): "[^"]*"', rb'\1: "T"', data)


@dataclass
class Child:
    """A process of its own; what it prints is what it saw."""

    process: subprocess.Popen[str]

    @classmethod
    def start(cls, body: str, *arguments: str | Path) -> Child:
        program = f"""
import sys, anyio
from datetime import datetime
from pathlib import Path
from uuid import UUID
from sessiontail import *
from sessiontail.session.writer import SessionWriter
HEADER = Header(id=UUID({str(ID)!r}), created_at=datetime.fromisoformat({MOMENT!r}))
def chunk(text): return Chunk(kind=ChunkKind.USER, payload={{"content": text}})
async def main(arguments):
{body}
anyio.run(main, sys.argv[1:])
"""
        return cls(
            subprocess.Popen(
                [sys.executable, "-c", program, *map(str, arguments)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
        )

    def line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().rstrip("\n")

    def end(self) -> str:
        output, _ = self.process.communicate(timeout=30)
        assert self.process.returncode == 0
        return output.rstrip("\n")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The sessions directory that both writers use by default."""
    monkeypatch.setenv("OPENRATH_HOME", str(tmp_path))
    return tmp_path / "sessions"


def real_session(usage: TokenUsage | None = None) -> Session:
    return Session(
        chunk_table=ChunkTable(),
        id=ID,
        sandbox_backend="local",
        _sandbox_open_spec=BackendSandboxSpec(
            image="python:3.11",
            entrypoint=("sh", "-c"),
            env={"LANG": "de_CH", "ключ": "значение"},
            timeout=timedelta(minutes=1.5),
            working_dir="/w",
        ),
        parent_session_ids=(PARENT,),
        lineage_operator="run_session_loop",
        lineage_kind=RealLineageKind.OP_SESSION_LOOP,
        lineage_extras=(("loop.truncated", True), ("where", Path("/ä")), ("set", [{1}])),
        cumulative_usage=usage
        and RathLLMTokenUsage(usage.prompt_tokens, usage.completion_tokens, usage.total_tokens),
    )


@pytest.mark.parametrize("usage", [None, USAGE])
async def test_the_bytes_are_those_of_the_real_writer(
    usage: TokenUsage | None, home: Path, tmp_path: Path
) -> None:
    with RealWriter(real_session(usage), sandbox_handle_id="h-1") as real:
        for index, (kind, payload) in enumerate(PAYLOADS):
            real.write_chunk(index, ChunkRow(RealChunkKind(kind), payload))
    expected = real.path.read_bytes()
    header = Header(
        id=ID,
        created_at=datetime.fromisoformat(json.loads(expected.splitlines()[0])["created_at"]),
        parent_session_ids=(PARENT,),
        lineage_operator="run_session_loop",
        lineage_kind=LineageKind.OP_SESSION_LOOP,
        lineage_extras=(("loop.truncated", True), ("where", Path("/ä")), ("set", [{1}])),
        sandbox_backend="local",
        sandbox_spec=SandboxSpec(
            image="python:3.11",
            entrypoint=("sh", "-c"),
            env={"LANG": "de_CH", "ключ": "значение"},
            timeout=timedelta(minutes=1.5),
            working_dir="/w",
        ),
        sandbox_handle_id="h-1",
    )

    async with SessionWriter(header, directory=tmp_path / "ours") as writer:
        for kind, payload in PAYLOADS:
            await writer.write(chunk(kind, **payload))
        await writer.close(usage)

    written = writer.path.read_bytes()
    assert written.partition(b"\n")[0] == expected.partition(b"\n")[0]
    assert untimed(written) == untimed(expected)


async def test_a_bare_header_is_written_as_the_real_writer_does(home: Path, tmp_path: Path) -> None:
    with RealWriter(Session(chunk_table=ChunkTable(), id=ID)) as real:
        pass
    naive = datetime(2026, 1, 1)  # noqa: DTZ001 - without an offset it is UTC

    async with SessionWriter(Header(id=ID, created_at=naive), directory=tmp_path / "x") as writer:
        pass

    assert untimed(writer.path.read_bytes()) == untimed(real.path.read_bytes())
    assert writer.path.read_bytes().partition(b"\n")[0] + b"\n" == header_line()


async def test_the_real_loader_loads_what_was_written(home: Path) -> None:
    async with SessionWriter(HEADER) as writer:
        await writer.write(chunk("user", content="Grüße, 世界"))
        await writer.write(chunk("assistant", content="こんにちは", tool_calls=None))
        await writer.close(USAGE)

    loaded = real_load(ID)
    assert loaded.path == home / f"{ID}.jsonl"
    assert loaded.header.created_at == HEADER.created_at
    assert [(row.kind.value, row.payload) for row in loaded.chunk_table] == [
        ("user", {"content": "Grüße, 世界"}),
        ("assistant", {"content": "こんにちは", "tool_calls": None}),
    ]
    assert loaded.cumulative_usage == RathLLMTokenUsage(12, 30, 42)
    assert loaded.closed


async def test_a_lone_surrogate_is_escaped_and_comes_back(tmp_path: Path) -> None:
    async with SessionWriter(HEADER, directory=tmp_path) as writer:
        await writer.write(chunk(content="a\ud800é"))

    assert b'{"content": "a\\ud800\\u00e9"}' in writer.path.read_bytes()
    session = await load_session(ID, directory=tmp_path)
    assert session.chunk_table.rows == (chunk(index=0, content="a\ud800é"),)


async def test_nothing_is_created_before_the_writer_is_opened(tmp_path: Path) -> None:
    writer = SessionWriter(HEADER, directory=tmp_path / "a" / "b")
    assert list(tmp_path.iterdir()) == []

    await writer.open()
    await writer.open()

    assert writer.partial_path.read_bytes() == header_line()
    assert stat.S_IMODE(writer.partial_path.stat().st_mode) == 0o600
    await writer.abandon()


async def test_a_path_is_written_under_its_two_names(tmp_path: Path) -> None:
    async with SessionWriter(HEADER, path=tmp_path / "export.jsonl") as writer:
        assert [p.name for p in tmp_path.iterdir()] == ["export.jsonl.__partial__"]

    assert [p.name for p in tmp_path.iterdir()] == ["export.jsonl"]
    assert writer.path == tmp_path / "export.jsonl"


async def test_an_index_is_the_callers_the_chunks_or_the_running_number(tmp_path: Path) -> None:
    async with SessionWriter(HEADER, directory=tmp_path) as writer:
        await writer.write(chunk(content="a"))
        await writer.write(chunk(content="b", index=7))
        await writer.write_chunk(9, chunk(content="c", index=7))
        await writer.write(chunk(content="d"))

    session = await load_session(ID, directory=tmp_path)
    assert [row.index for row in session.chunk_table] == [0, 7, 9, 3]
    assert session.trailer is not None
    assert session.trailer.final_chunk_count == writer.chunks_written == 4


async def test_many_tasks_write_whole_lines_with_rising_indices(tmp_path: Path) -> None:
    writer = SessionWriter(HEADER, directory=tmp_path)
    async with writer, anyio.create_task_group() as group:
        for task in range(20):
            group.start_soon(writer.write, chunk(content=f"{task}" * 3000))

    session = await load_session(ID, directory=tmp_path)
    assert [row.index for row in session.chunk_table] == list(range(20))
    assert {row.text for row in session.chunk_table} == {f"{task}" * 3000 for task in range(20)}


async def test_what_tasks_write_at_once_comes_in_the_order_of_their_calls(tmp_path: Path) -> None:
    called: list[str] = []

    async def write(number: int) -> None:
        called.append(str(number))
        await writer.write(chunk(content=called[-1]))

    async with SessionWriter(HEADER, directory=tmp_path) as writer:
        for _ in range(20):
            async with anyio.create_task_group() as group:
                for number in range(10):
                    group.start_soon(write, number)

    session = await load_session(ID, directory=tmp_path)
    assert [row.text for row in session.chunk_table] == called
    assert len(called) == 200


DEEP: dict[str, Any] = {}
for _ in range(2_000):
    DEEP = {"content": DEEP}


@pytest.mark.parametrize(
    ("fields", "error", "told"),
    [
        ({"kind": "nokind"}, ValueError, "this record cannot be read back: unknown chunk kind='no"),
        ({"kind": None}, TypeError, "Chunk.kind: expected str, not NoneType"),
        ({"payload": ["hi"]}, TypeError, "Chunk.payload: expected dict, not list"),
        ({"payload": None}, TypeError, "Chunk.payload: expected dict, not NoneType"),
        ({"payload": {"content": {1}}}, TypeError, "Chunk.payload: Object of type set is not JSON"),
        ({"payload": DEEP}, ValueError, r"Chunk.payload: |this record cannot .* nested too deeply"),
        ({"payload": {"n": 10**5000}}, ValueError, "Chunk.payload: Exceeds the limit"),
        ({"index": "7"}, TypeError, "Chunk.index: expected int or None, not str '7'"),
        ({"index": 7.0}, TypeError, "Chunk.index: expected int or None, not float 7.0"),
        ({"index": True}, TypeError, "Chunk.index: expected int or None, not bool True"),
    ],
)
async def test_a_chunk_that_a_reader_would_call_damage_is_refused_and_nothing_is_written(
    tmp_path: Path, fields: dict[str, Any], error: type[Exception], told: str
) -> None:
    odd: dict[str, Any] = {"kind": ChunkKind.USER, "payload": {"content": "hi"}, **fields}
    async with SessionWriter(HEADER, directory=tmp_path) as writer:
        with pytest.raises(error, match=told):
            await writer.write(Chunk(**odd))
        with pytest.raises(TypeError, match=r"^expected a Chunk, not dict$"):
            await writer.write(odd)  # type: ignore[arg-type] # as meant
        with pytest.raises(TypeError, match=r"^Chunk.index: expected int, not str '1'$"):
            await writer.write_chunk("1", chunk())  # type: ignore[arg-type] # as meant
        assert writer.partial_path.read_bytes() == header_line()

        await writer.write(chunk(content=float("nan")))

    session = await load_session(ID, directory=tmp_path)
    assert [row.index for row in session.chunk_table] == [0]


async def test_a_line_that_no_reader_takes_is_not_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = chunk_line(0, "x" * 400)
    monkeypatch.setattr(encoding, "MAX_LINE_BYTES", len(line) - 1)
    async with SessionWriter(HEADER, directory=tmp_path) as writer:
        told = f"a line of {len(line)} bytes, expected at most {len(line) - 1}"
        with pytest.raises(ValueError, match=told):
            await writer.write(chunk(content="x" * 401))
        assert writer.partial_path.read_bytes() == header_line()

        await writer.write(chunk(content="x" * 400))

        assert writer.partial_path.read_bytes() == header_line() + line


async def test_a_usage_that_is_none_leaves_the_writer_open(tmp_path: Path) -> None:
    async with SessionWriter(HEADER, directory=tmp_path) as writer:
        with pytest.raises(TypeError, match="expected a TokenUsage, not dict"):
            await writer.close({"total_tokens": 3})  # type: ignore[arg-type] # as meant
        with pytest.raises(TypeError, match=r"TokenUsage\.total_tokens: expected int, not str '3'"):
            await writer.close(TokenUsage(1, 2, "3"))  # type: ignore[arg-type] # as meant

        await writer.close(USAGE)

    assert (await load_session(ID, directory=tmp_path)).cumulative_usage == USAGE


@pytest.mark.parametrize(
    ("field", "value", "told"),
    [
        ("id", str(ID), f"Header.id: expected UUID, not str '{ID}'"),
        ("created_at", "2026-01-01", "Header.created_at: expected datetime, not str '2026-01-01'"),
        ("schema_version", "1", "Header.schema_version: expected int, not str '1'"),
        ("schema_version", 99, "this record cannot be read back: .*99"),
        ("parent_session_ids", "4f", "Header.parent_session_ids: expected tuple or list, not str"),
        ("parent_session_ids", ("4f",), "Header.parent_session_ids: expected UUID, not str '4f'"),
        ("lineage_operator", None, "Header.lineage_operator: expected str, not NoneType"),
        ("lineage_kind", 3, "Header.lineage_kind: expected str, not int"),
        ("lineage_extras", ("ab",), "Header.lineage_extras: expected tuple or list, not str 'ab'"),
        ("lineage_extras", (("a",),), "Header.lineage_extras: expected pairs, not 1 values"),
        ("sandbox_spec", {"image": "a"}, "Header.sandbox_spec: expected SandboxSpec or None, not"),
        ("sandbox_spec", SandboxSpec(timeout=3), "SandboxSpec.timeout: expected timedelta or None"),  # type: ignore[arg-type] # as meant
        ("sandbox_spec", SandboxSpec(env={"a": {1}}), "Header.sandbox_spec: Object of type set is"),  # type: ignore[dict-item] # as meant
        ("sandbox_handle_id", 7, "Header.sandbox_handle_id: expected str or None, not int"),
    ],
)
async def test_a_header_that_cannot_be_read_back_is_refused_by_field_and_leaves_no_file(
    tmp_path: Path, field: str, value: Any, told: str
) -> None:
    fields: dict[str, Any] = {"id": ID, "created_at": HEADER.created_at, field: value}
    for place in ({"directory": tmp_path / "a"}, {"path": tmp_path / "a" / "b.jsonl"}):
        with pytest.raises((TypeError, ValueError), match=told):
            await SessionWriter(Header(**fields), **place).open()

    assert list(tmp_path.iterdir()) == []


async def test_an_error_in_the_context_leaves_a_wal_without_trailer_or_lock(tmp_path: Path) -> None:
    async def fail() -> None:
        async with SessionWriter(HEADER, directory=tmp_path) as writer:
            await writer.write(chunk(content="hi"))
            raise LookupError("the agent's own")

    with pytest.raises(LookupError):
        await fail()

    assert [p.name for p in tmp_path.iterdir()] == [f"{ID}.jsonl.__partial__"]
    assert next(tmp_path.iterdir()).read_bytes() == session_bytes(closed=False)
    async with SessionWriter(HEADER, directory=tmp_path) as heir:
        assert heir.chunks_written == 1


async def test_a_writer_that_is_dropped_lets_go_of_the_lock(tmp_path: Path) -> None:
    writer = SessionWriter(HEADER, directory=tmp_path)
    await writer.open()
    del writer

    async with SessionWriter(HEADER, directory=tmp_path) as heir:
        assert heir.chunks_written == 0


async def test_closing_twice_is_no_error_and_writing_after_it_is(tmp_path: Path) -> None:
    writer = SessionWriter(HEADER, directory=tmp_path)
    with pytest.raises(PersistenceError, match="not open; use `async with`"):
        await writer.write(chunk(content="early"))
    await writer.open()
    await writer.close()
    closed = writer.path.read_bytes()

    await writer.close(USAGE)
    await writer.abandon()

    assert writer.path.read_bytes() == closed
    for again in (writer.open(), writer.write(chunk(content="late"))):
        with pytest.raises(PersistenceError, match="this writer is closed"):
            await again


# Locks


async def test_it_refuses_a_wal_that_the_real_writer_of_another_process_holds(home: Path) -> None:
    with RealWriter(Session(chunk_table=ChunkTable(), id=ID)):
        child = Child.start(
            """
    try:
        await SessionWriter(HEADER).open()
    except SessionBusy as error:
        print(error)
"""
        )

        said = child.end()

    assert said == f"{home}/{ID}.jsonl.__partial__: another writer holds it"


async def test_the_real_writer_refuses_a_wal_that_another_process_writes(home: Path) -> None:
    child = Child.start(
        """
    async with SessionWriter(HEADER) as writer:
        print("held", flush=True)
        sys.stdin.readline()
"""
    )
    assert child.line() == "held"

    with pytest.raises(RealPersistenceError, match="another process is already writing"):
        RealWriter(Session(chunk_table=ChunkTable(), id=ID))

    child.end()
    assert untimed((home / f"{ID}.jsonl").read_bytes()) == untimed(session_bytes(0))


async def test_a_second_writer_is_refused_and_leaves_no_descriptor(tmp_path: Path) -> None:
    async with SessionWriter(HEADER, directory=tmp_path) as writer:
        await writer.write(chunk(content="hi"))
        before = held_of(tmp_path)

        with pytest.raises(SessionBusy):
            async with SessionWriter(HEADER, directory=tmp_path):
                pass

        assert held_of(tmp_path) == before
        assert writer.partial_path.read_bytes() == session_bytes(closed=False)


async def test_nobody_gets_in_between_trailer_and_rename(home: Path) -> None:
    refused = []

    def intrude(moment: str) -> None:
        if moment == "trailer written":
            with pytest.raises(RealPersistenceError, match="already writing"):
                RealWriter(Session(chunk_table=ChunkTable(), id=ID))
            refused.append(moment)

    writer = SessionWriter(HEADER)
    writer._wal.gate = intrude
    await writer.open()
    await writer.close()

    assert refused == ["trailer written"]
    assert untimed(writer.path.read_bytes()) == untimed(session_bytes(0))


async def test_a_wal_that_is_renamed_before_the_lock_is_ours_is_not_written(tmp_path: Path) -> None:
    wal = tmp_path / f"{ID}.jsonl.__partial__"
    wal.write_bytes(session_bytes())

    def close_it(moment: str) -> None:
        if moment == "opened" and not writer.path.exists():
            wal.rename(writer.path)

    writer = SessionWriter(HEADER, directory=tmp_path)
    writer._wal.gate = close_it
    await writer.open()

    assert writer.path.read_bytes() == session_bytes()
    assert wal.read_bytes() == header_line()
    await writer.abandon()


# Resuming

WHOLE = header_line() + chunk_line(0) + chunk_line(1)
TORN = chunk_line(2, "torn 雪")[:-6]


class Follow:
    """A tail in the background that says when it has met the end of the file."""

    def __init__(self, tail: SessionTail) -> None:
        self.tail = tail
        self.records: list[Record] = []
        self.met_end = anyio.Event()
        tail._gate = self._act

    def _act(self, moment: str) -> None:
        if moment == "before waiting":
            self.met_end.set()

    async def run(self) -> None:
        async with self.tail:
            async for record in self.tail:
                self.records.append(record)


@pytest.mark.parametrize("text", ["", "torn ", "much longer than what was torn: " + "雪" * 40])
async def test_a_torn_tail_is_cut_and_a_running_tail_sees_each_record_once(
    text: str, tmp_path: Path
) -> None:
    wal = tmp_path / f"{ID}.jsonl.__partial__"
    wal.write_bytes(WHOLE + TORN)
    follow = Follow(tail_session(ID, directory=tmp_path, on_abandoned="wait"))

    with anyio.fail_after(30):
        async with anyio.create_task_group() as group:
            group.start_soon(follow.run)
            await follow.met_end.wait()
            async with SessionWriter(HEADER, directory=tmp_path) as writer:
                assert wal.read_bytes() == WHOLE
                await writer.write(chunk(content=text))

    assert writer.torn_bytes_cut == len(TORN)
    assert untimed(writer.path.read_bytes()) == untimed(
        WHOLE + chunk_line(2, text) + trailer_line(3)
    )
    assert follow.records[:-1] == [
        HEADER,
        *(chunk(index=i, content=said) for i, said in enumerate(["hi", "hi", text])),
    ]
    assert isinstance(follow.records[-1], Trailer)
    assert follow.records[-1].final_chunk_count == 3
    assert follow.tail.outcome is Outcome.CLOSED


@pytest.mark.parametrize(("torn", "reason"), [(TORN, "invalid-utf8"), (TORN[:-1], "invalid-json")])
async def test_the_real_writer_glues_and_a_running_tail_tells_where(
    torn: bytes, reason: str, home: Path
) -> None:
    home.mkdir()
    wal = home / f"{ID}.jsonl.__partial__"
    wal.write_bytes(WHOLE + torn)
    follow = Follow(tail_session(ID, on_abandoned="wait"))

    with anyio.fail_after(30):
        async with anyio.create_task_group() as group:
            group.start_soon(follow.run)
            await follow.met_end.wait()
            with RealWriter(Session(chunk_table=ChunkTable(), id=ID)) as real:
                glued = wal.read_bytes()[len(WHOLE) :]
                real.write_chunk(0, ChunkRow(RealChunkKind.USER, {"content": "back"}))

    header, first, second, damage, back, trailer = follow.records
    assert [header, first, second, back] == [
        HEADER,
        chunk(index=0, content="hi"),
        chunk(index=1, content="hi"),
        chunk(index=0, content="back"),
    ]
    assert isinstance(damage, Damage)
    assert (damage.line, damage.offset, damage.length) == (4, len(WHOLE), len(glued))
    assert (damage.reason, damage.raw) == (reason, glued[:-1])
    assert isinstance(trailer, Trailer)
    assert trailer.final_chunk_count == 1
    assert follow.tail.outcome is Outcome.CLOSED


async def test_a_wal_with_half_a_header_begins_anew(tmp_path: Path) -> None:
    (tmp_path / f"{ID}.jsonl.__partial__").write_bytes(header_line()[:50])

    async with SessionWriter(HEADER, directory=tmp_path) as writer:
        await writer.write(chunk(content="hi"))

    assert writer.torn_bytes_cut == 50
    assert untimed(writer.path.read_bytes()) == untimed(session_bytes())


async def test_a_crash_between_trailer_and_rename_is_resumed(tmp_path: Path) -> None:
    class Crash(BaseException):
        pass

    def crash(moment: str) -> None:
        if moment == "trailer written":
            raise Crash

    dying = SessionWriter(HEADER, directory=tmp_path)
    dying._wal.gate = crash
    await dying.open()
    await dying.write(chunk(content="hi"))
    with pytest.raises(Crash):
        await dying.close(TokenUsage(1, 1, 2))
    left = dying.partial_path.read_bytes()
    assert not dying.path.exists()

    async with SessionWriter(HEADER, directory=tmp_path) as writer:
        await writer.write(chunk(content="more"))
        await writer.close(USAGE)

    written = writer.path.read_bytes()
    assert written.startswith(left)
    assert untimed(left) == untimed(session_bytes(1, closed=False) + trailer_line(1, (1, 1, 2)))
    session = await load_session(ID, directory=tmp_path)
    assert [row.text for row in session.chunk_table] == ["hi", "more"]
    assert session.trailer is not None
    assert (session.trailer.final_chunk_count, session.cumulative_usage) == (2, USAGE)


@pytest.mark.parametrize(
    ("content", "error", "message"),
    [
        (session_bytes(session_id=PARENT), PersistenceError, f"is of session {PARENT}, not of"),
        (chunk_line() + b"{torn", DamagedSession, "chunk before the header"),
        (b"\0" * 20 + b"\n" + header_line() + b"{torn", DamagedSession, "invalid JSON"),
        (header_line(schema_version=2), DamagedSession, "schema_version=2 is newer than 1"),
    ],
)
async def test_a_wal_that_is_not_of_this_session_is_refused_and_left_as_it_is(
    content: bytes, error: type[PersistenceError], message: str, tmp_path: Path
) -> None:
    wal = tmp_path / f"{ID}.jsonl.__partial__"
    wal.write_bytes(content)
    writer = SessionWriter(HEADER, directory=tmp_path)

    with pytest.raises(error, match=message) as caught:
        await writer.open()

    assert (caught.value.path, caught.value.line) == (wal, 1)
    assert wal.read_bytes() == content
    wal.unlink()
    async with writer:
        assert writer.chunks_written == 0


async def test_a_wal_of_an_older_version_is_not_continued(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sessiontail.format.migrations._header_migrations", {0: dict})
    wal = tmp_path / f"{ID}.jsonl.__partial__"
    wal.write_bytes(header_line(schema_version=0))

    with pytest.raises(PersistenceError, match="schema_version=0; it cannot be continued"):
        await SessionWriter(HEADER, directory=tmp_path).open()

    assert wal.read_bytes() == header_line(schema_version=0)


@pytest.mark.parametrize("make", [os.mkfifo, Path.mkdir, lambda path: path.symlink_to("elsewhere")])
async def test_what_is_no_regular_file_is_refused(
    make: Callable[[Path], None], tmp_path: Path
) -> None:
    make(tmp_path / f"{ID}.jsonl.__partial__")

    with anyio.fail_after(30), pytest.raises(PersistenceError):
        await SessionWriter(HEADER, directory=tmp_path).open()

    assert [p.name for p in tmp_path.iterdir()] == [f"{ID}.jsonl.__partial__"]


# Failures and cancellation


async def test_a_full_disk_cuts_the_half_line_and_the_writer_goes_on(tmp_path: Path) -> None:
    child = Child.start(
        """
    import resource  # its limit stops a write in the midst of a line, as a full disk does
    async with SessionWriter(HEADER, directory=arguments[0]) as writer:
        await writer.write(chunk("fits"))
        size = writer.partial_path.stat().st_size
        resource.setrlimit(resource.RLIMIT_FSIZE, (size + 100, resource.RLIM_INFINITY))
        for write in (lambda: writer.write(chunk("x" * 1000)), lambda: writer.close()):
            try:
                await write()
            except PersistenceError as error:
                print(error, writer.partial_path.stat().st_size == size, writer.chunks_written)
        resource.setrlimit(resource.RLIMIT_FSIZE, (-1, -1))
        await writer.write(chunk("later"))
""",
        tmp_path,
    )

    said = child.end().splitlines()

    assert said == [f"{tmp_path}/{ID}.jsonl.__partial__: File too large True 1"] * 2
    assert untimed((tmp_path / f"{ID}.jsonl").read_bytes()) == untimed(
        header_line() + chunk_line(0, "fits") + chunk_line(1, "later") + trailer_line(2)
    )


async def test_a_payload_that_is_no_json_is_refused_and_nothing_is_written(tmp_path: Path) -> None:
    async with SessionWriter(HEADER, directory=tmp_path) as writer:
        with pytest.raises(TypeError):
            await writer.write(chunk(content="hi", extra={1, 2}))
        await writer.write(chunk(content="hi"))

    assert untimed(writer.path.read_bytes()) == untimed(session_bytes())


async def test_a_write_that_is_cancelled_in_its_midst_is_written_whole(tmp_path: Path) -> None:
    writer = SessionWriter(HEADER, directory=tmp_path)
    await writer.open()
    with anyio.CancelScope() as scope:
        writer._wal.gate = lambda _: anyio.from_thread.run_sync(scope.cancel)
        await writer.write(chunk(content="hi"))
        await writer.write(chunk(content="never begun"))

    assert scope.cancelled_caught
    assert writer.partial_path.read_bytes() == session_bytes(closed=False)
    await writer.abandon()


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_task_that_is_cancelled_in_mid_write_abandons_after_the_line(
    anyio_backend: str, tmp_path: Path
) -> None:
    async def agent() -> None:
        async with writer:
            writer._wal.gate = cancel
            await writer.write(chunk(content="x" * 100_000))

    def cancel(_: str) -> None:
        anyio.from_thread.run_sync(task.cancel)

    writer = SessionWriter(HEADER, directory=tmp_path)
    task = asyncio.create_task(agent())
    with pytest.raises(asyncio.CancelledError):
        await task

    assert writer.partial_path.read_bytes() == header_line() + chunk_line(0, "x" * 100_000)
    async with SessionWriter(HEADER, directory=tmp_path) as heir:
        assert heir.chunks_written == 1


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_task_that_is_cancelled_in_mid_open_leaves_no_lock(
    anyio_backend: str, tmp_path: Path
) -> None:
    async def agent() -> None:
        async with writer:
            pass

    def cancel(moment: str) -> None:
        if moment == "opened":
            anyio.from_thread.run_sync(task.cancel)

    writer = SessionWriter(HEADER, directory=tmp_path)
    writer._wal.gate = cancel
    task = asyncio.create_task(agent())
    with pytest.raises(asyncio.CancelledError):
        await task

    assert writer.partial_path.read_bytes() == header_line()
    async with SessionWriter(HEADER, directory=tmp_path) as heir:
        assert heir.chunks_written == 0


async def test_a_cancelled_agent_leaves_a_wal_without_trailer_or_lock(tmp_path: Path) -> None:
    writer = SessionWriter(HEADER, directory=tmp_path)
    with anyio.CancelScope() as scope:
        async with writer:
            scope.cancel()
            await writer.write(chunk(content="never begun"))

    assert writer.partial_path.read_bytes() == header_line()
    async with SessionWriter(HEADER, directory=tmp_path) as heir:
        assert heir.chunks_written == 0


async def test_leaving_a_cancelled_context_closes_what_was_written(tmp_path: Path) -> None:
    with anyio.CancelScope() as scope:
        async with SessionWriter(HEADER, directory=tmp_path) as writer:
            await writer.write(chunk(content="hi"))
            scope.cancel()

    assert untimed(writer.path.read_bytes()) == untimed(session_bytes())


async def test_a_session_that_was_deleted_while_it_was_written_is_reported(tmp_path: Path) -> None:
    writer = SessionWriter(HEADER, directory=tmp_path)
    await writer.open()
    writer.partial_path.unlink()
    writer.partial_path.write_bytes(b"somebody else's")

    with pytest.raises(PersistenceError, match="deleted or replaced while it was written"):
        await writer.close()

    assert writer.partial_path.read_bytes() == b"somebody else's"
    assert not writer.path.exists()


async def test_a_write_that_fails_twice_ends_the_writer(tmp_path: Path) -> None:
    writer = SessionWriter(HEADER, directory=tmp_path)
    await writer.open()
    with writer.partial_path.open("rb") as read_only:
        os.dup2(read_only.fileno(), writer._wal.fd)
        with pytest.raises(PersistenceError):
            await writer.write(chunk(content="hi"))

    with pytest.raises(PersistenceError, match="this writer is closed"):
        await writer.write(chunk(content="hi"))
    assert writer.partial_path.read_bytes() == header_line()


async def test_records_are_read_back_while_they_are_written(tmp_path: Path) -> None:
    moment = datetime.now(UTC)
    async with SessionWriter(Header(id=ID, created_at=moment), directory=tmp_path) as writer:
        await writer.write(chunk(content="hi"))

        records = [record async for record in read_session(ID, directory=tmp_path)]

    assert records == [Header(id=ID, created_at=moment), chunk(index=0, content="hi")]
