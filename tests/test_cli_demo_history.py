"""What lies there when the demo begins: seen by the library as what it is."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from sessiontail import SessionState, SessionStore
from sessiontail.cli.demo_agents import says, user
from sessiontail.cli.demo_history import usage_of, write_history
from sessiontail.format.records import TokenUsage

pytestmark = pytest.mark.anyio


async def test_there_is_a_long_session_a_damaged_and_a_crashed_one_and_a_family(
    tmp_path: Path,
) -> None:
    now = datetime.now(UTC)
    write_history(tmp_path, now)
    store = SessionStore(tmp_path)
    metas = {meta.id_text: meta for meta in await store.list(verify=True)}
    parents = {meta.id_text: meta.parent_texts for meta in metas.values()}

    def depth(session_id: str) -> int:
        return 1 + max(map(depth, parents[session_id]), default=0)

    torn = [meta for meta in metas.values() if meta.state is SessionState.ABANDONED]
    assert max(meta.chunk_count for meta in metas.values()) == 5001
    assert [meta.damaged_lines for meta in metas.values() if meta.damaged_lines] == [2]
    assert [meta.torn_bytes > 0 for meta in torn] == [True]
    assert max(map(depth, parents)) == 4
    assert {meta.lineage_operator for meta in metas.values()} == {"session_loop", "fork"}
    assert all(meta.created_at < meta.modified_at < now for meta in metas.values())
    assert all(
        meta.cumulative_usage for meta in metas.values() if meta.closed and not meta.damaged_lines
    )


async def test_a_child_of_the_history_begins_with_its_parents_rows(tmp_path: Path) -> None:
    write_history(tmp_path, datetime.now(UTC))
    outlines = await SessionStore(tmp_path).outlines()

    children = [one for one in outlines if one.meta.parent_texts]
    assert children
    assert all(one.inherited_count for one in children)


def test_each_row_takes_its_tokens_once() -> None:
    asks, answers = user("x" * 38), says("y" * 8)
    sizes = [len(str(turn.payload)) // 4 for turn in (asks, answers)]

    assert usage_of([asks, answers, answers]) == TokenUsage(
        sizes[0], 2 * sizes[1], sizes[0] + 2 * sizes[1]
    )
