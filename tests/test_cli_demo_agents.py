"""The demo's agents write what real ones do: closed, forked, and torn in the middle of a letter."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from uuid import UUID

import anyio
import pytest

from sessiontail import SessionState, SessionStore
from sessiontail.cli import demo_agents
from sessiontail.cli.demo_agents import CODER, COLLECTOR, PLANNER, RELEASE, RESEARCHER, ROLES
from sessiontail.format.lifecycle import Outcome
from sessiontail.format.records import Chunk, TokenUsage

ONE, TWO = UUID(int=1), UUID(int=2)


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Agents that nobody watches need not be slow."""
    monkeypatch.setattr(demo_agents, "_PAUSE_S", 0.0)


def agent(role: str, directory: Path, *ids: UUID) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "sessiontail.cli.demo_agents", role, directory, *map(str, ids)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


@pytest.mark.anyio
async def test_the_coder_closes_its_session_with_its_tokens(tmp_path: Path, at_once: None) -> None:
    await demo_agents.code(tmp_path, ONE)

    session = await SessionStore(tmp_path).load(ONE)
    assert session.closed
    assert list(session.chunk_table) == [
        Chunk(kind=turn.kind, payload=turn.payload, index=i) for i, turn in enumerate(CODER)
    ]
    assert session.cumulative_usage == TokenUsage(2841, 310, 3151)


@pytest.mark.anyio
async def test_the_planner_s_child_begins_with_its_parent_s_rows(
    tmp_path: Path, at_once: None
) -> None:
    await demo_agents.plan(tmp_path, ONE, TWO)

    store = SessionStore(tmp_path)
    parent, child = await store.load(ONE), await store.load(TWO)
    assert parent.closed
    assert child.closed
    assert child.header.parent_session_ids == (ONE,)
    assert [chunk.payload for chunk in parent.chunk_table] == [
        turn.payload for turn in (*PLANNER, *RELEASE)
    ]
    assert [chunk.payload for chunk in child.chunk_table] == [
        turn.payload for turn in (*PLANNER, *COLLECTOR)
    ]


@pytest.mark.anyio
async def test_the_researcher_is_cut_in_the_middle_of_a_letter(
    tmp_path: Path, at_once: None, capsys: pytest.CaptureFixture[str]
) -> None:
    said = ""
    with anyio.fail_after(60):
        async with anyio.create_task_group() as group:
            group.start_soon(demo_agents.research, tmp_path, ONE)
            while not said:
                await anyio.sleep(0.01)
                said = capsys.readouterr().out
            data = (tmp_path / f"{ONE}.jsonl.__partial__").read_bytes()
            group.cancel_scope.cancel()

    torn = data[data.rindex(b"\n") + 1 :]
    assert said == "half a line is written\n"
    assert data.count(b"\n") == len(RESEARCHER)  # the header, and all but the last
    assert torn
    with pytest.raises(UnicodeDecodeError):
        torn.decode()


def test_every_call_of_a_tool_has_its_result_and_its_arguments_are_json() -> None:
    for turns in (CODER, RESEARCHER, COLLECTOR):
        records = [turn.chunk() for turn in turns]
        called = [call for record in records for call in record.tool_calls]
        results = [record.payload for record in records if record.kind.value == "tool_result"]

        assert [(call.id, call.name) for call in called] == [
            (result["tool_call_id"], result["name"]) for result in results
        ]
        assert all(isinstance(json.loads(call.arguments), dict) for call in called)


@pytest.mark.anyio
async def test_ctrl_c_ends_no_agent_and_a_kill_leaves_a_session_that_was_abandoned(
    tmp_path: Path,
) -> None:
    process = agent("researcher", tmp_path, ONE)
    try:
        async with SessionStore(tmp_path) as store:
            with anyio.fail_after(90):
                async with store.tail(ONE, wait=True) as tail:
                    await anext(tail)
                    state = (await store.meta(ONE)).state
                    process.send_signal(signal.SIGINT)
                    await anext(tail)
                    await anext(tail)  # written since
                    alive = process.poll() is None
                    process.kill()
                    async for _ in tail:
                        pass
    finally:
        process.kill()
        process.communicate()

    assert (state, alive) == (SessionState.LIVE, True)
    assert tail.outcome is Outcome.ABANDONED


def test_no_other_role_is_known(tmp_path: Path) -> None:
    process = agent("painter", tmp_path, ONE)
    process.communicate(timeout=100)

    assert ROLES == ("coder", "researcher", "planner")
    assert process.returncode == 1
    assert list(tmp_path.iterdir()) == []
