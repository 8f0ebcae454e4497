"""Agents for the demo: each runs in a process of its own and writes sessions.

    python -m sessiontail.cli.demo_agents ROLE DIRECTORY ID...

No model is asked: what they say is in this file.
"""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import anyio

from sessiontail.format.records import Chunk, ChunkKind, Header, LineageKind, TokenUsage
from sessiontail.session.writer import SessionWriter

__all__ = ["ROLES", "Turn", "calls", "header", "result", "says", "system", "user"]

ROLES = ("coder", "researcher", "planner")

# Between two records: slow enough to be watched.
_PAUSE_S = 0.55


@dataclass(frozen=True)
class Turn:
    """One chunk to write."""

    kind: ChunkKind
    payload: dict[str, Any]

    def chunk(self) -> Chunk:
        """Return the chunk."""
        return Chunk(kind=self.kind, payload=self.payload)


def system(text: str) -> Turn:
    """Return the agent's instructions."""
    return Turn(ChunkKind.SYSTEM, {"content": text})


def user(text: str) -> Turn:
    """Return what the user asks."""
    return Turn(ChunkKind.USER, {"content": text})


def says(text: str) -> Turn:
    """Return what the agent says."""
    return Turn(ChunkKind.ASSISTANT, {"content": text, "tool_calls": None})


def calls(call_id: str, name: str, **arguments: Any) -> Turn:
    """Return a tool call."""
    function = {"name": name, "arguments": json.dumps(arguments, ensure_ascii=False)}
    call = {"id": call_id, "type": "function", "function": function}
    return Turn(ChunkKind.ASSISTANT, {"content": None, "tool_calls": [call]})


def result(call_id: str, name: str, text: str) -> Turn:
    """Return a tool's result."""
    payload = {"tool_call_id": call_id, "name": name, "content": text}
    return Turn(ChunkKind.TOOL_RESULT, payload)


CODER = (
    system("You fix failing tests. Change as little as you can."),
    user("tests/test_dates.py fails since this morning. Please find out why, and fix it."),
    calls("call_1", "run_tests", path="tests/test_dates.py"),
    result(
        "call_1",
        "run_tests",
        "FAILED test_end_of_month\n"
        "E   ValueError: day is out of range for month\n"
        "src/dates.py:14: in add_month",
    ),
    calls("call_2", "read_file", path="src/dates.py", first=10, last=16),
    result(
        "call_2",
        "read_file",
        "def add_month(day):\n    return day.replace(month=day.month % 12 + 1)",
    ),
    says("31 January has no 31 February to go to: the day must not exceed the month's last."),
    calls(
        "call_3", "edit_file", path="src/dates.py", line=14, text="day=min(day.day, last_day(...))"
    ),
    result("call_3", "edit_file", "1 line changed"),
    calls("call_4", "run_tests", path="tests/test_dates.py"),
    result("call_4", "run_tests", "12 passed in 0.08s"),
    says("Fixed: add_month now stops at the last day of the month. 12 tests pass."),
)

RESEARCHER = (
    system("你是研究助理。回答要简短,并注明出处。"),
    user("2024 年全球光伏新增装机容量是多少?"),
    calls("call_1", "search", query="2024 全球 光伏 新增 装机"),
    result("call_1", "search", "3 条结果: IEA PVPS 2025 年快照; IRENA 统计; BNEF 展望"),
    says("各机构口径不同,我先核对直流与交流的差别。"),
    calls("call_2", "open_page", result=1),
    result("call_2", "open_page", "报告称,2024 年新增约 600 吉瓦(直流)。"),
    # Of this one, half a line is written.
    says("根据国际能源署的报告,2024 年全球新增约 600 吉瓦。"),
)

PLANNER = (
    system("You plan, and hand parts of the work to others."),
    user("Write release notes for version 2.3."),
    says("I let a colleague collect the changes, and write when they are there."),
)

COLLECTOR = (
    calls("call_1", "git_log", since="v2.2", format="oneline"),
    result(
        "call_1", "git_log", "a91c close files on cancel\n0d27 faster listing\n77be fix time zones"
    ),
    says("Three changes: files are closed on cancel, listing is faster, time zones are right."),
)

RELEASE = (
    says("## 2.3\n- Listing is faster.\n- Fixed: time zones; files stay open after a cancel."),
)


async def write(writer: SessionWriter, turns: tuple[Turn, ...]) -> None:
    """Write turns at a pace that can be watched."""
    for turn in turns:
        await writer.write(turn.chunk())
        await anyio.sleep(_PAUSE_S)


def header(
    session_id: UUID,
    operator: str,
    kind: LineageKind,
    *parents: UUID,
    created_at: datetime | None = None,
) -> Header:
    """Return the header of a session that begins now, or then."""
    return Header(
        id=session_id,
        created_at=created_at or datetime.now(UTC),
        parent_session_ids=parents,
        lineage_operator=operator,
        lineage_kind=kind,
    )


async def code(directory: Path, session_id: UUID) -> None:
    """Fix a test, and close the session."""
    head = header(session_id, "session_loop", LineageKind.OP_SESSION_LOOP)
    async with SessionWriter(head, directory=directory) as writer:
        await write(writer, CODER)
        await writer.close(TokenUsage(2841, 310, 3151))


async def research(directory: Path, session_id: UUID) -> None:
    """Write all but the second half of the last line, say so, and wait for the end."""
    head = header(session_id, "session_loop", LineageKind.OP_SESSION_LOOP)
    async with SessionWriter(head, directory=directory) as writer:
        await write(writer, RESEARCHER[:-1])
        last = RESEARCHER[-1]
        record = {
            "record_type": "chunk",
            "index": len(RESEARCHER) - 1,
            "kind": last.kind.value,
            "payload": last.payload,
        }
        line = json.dumps(record, ensure_ascii=False).encode()
        # One byte into the first letter that takes three.
        cut = line.index("国".encode()) + 1
        with writer.partial_path.open("ab", buffering=0) as file:
            file.write(line[:cut])
        print("half a line is written", flush=True)  # noqa: T201 - tells the demo that it is time
        await anyio.sleep_forever()


async def plan(directory: Path, session_id: UUID, child_id: UUID) -> None:
    """Begin a session, let a child of it work, and go on."""
    head = header(session_id, "session_loop", LineageKind.OP_SESSION_LOOP)
    forked = header(child_id, "fork", LineageKind.OP_FORK, session_id)
    async with SessionWriter(head, directory=directory) as parent:
        await write(parent, PLANNER)
        async with SessionWriter(forked, directory=directory) as child:
            # A child's file begins with its parents' rows.
            for turn in PLANNER:
                await child.write(turn.chunk())
            await write(child, COLLECTOR)
            await child.close(TokenUsage(933, 74, 1007))
        await write(parent, RELEASE)
        await parent.close(TokenUsage(1210, 145, 1355))


def main(role: str, directory: str, *ids: str) -> None:
    """Be one of the agents."""
    acts: dict[str, Callable[..., Awaitable[None]]]
    acts = {"coder": code, "researcher": research, "planner": plan}
    # Ctrl-C reaches the whole group of processes; the demo ends its agents itself.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    anyio.run(acts[role], Path(directory), *map(UUID, ids))


if __name__ == "__main__":
    main(*sys.argv[1:])
