"""The session that a model means, what it is told otherwise, and cursors that are too long for it."""

from __future__ import annotations

from pathlib import Path
from uuid import UUID

import pytest

from commands import ONE, TWO, closed, crashed
from sessiontail import CursorInvalid, LineNotFound, PersistenceError, SessionNotFound, SessionStore
from sessiontail.mcp.answers import ToolError
from sessiontail.mcp.toolbox import Toolbox

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"  # the server on both: test_mcp_server


@pytest.fixture
def tools(tmp_path: Path) -> Toolbox:
    closed(tmp_path, ONE, "a")
    crashed(tmp_path, TWO)
    return Toolbox(SessionStore(tmp_path))


async def test_a_beginning_that_only_one_has_means_it(tools: Toolbox) -> None:
    assert await tools.meant("4f2c") == UUID(ONE)


async def test_a_whole_id_is_taken_as_it_is(tools: Toolbox) -> None:
    absent = "00000000-0000-4000-8000-000000000000"

    assert await tools.meant(absent) == UUID(absent)


async def test_of_a_beginning_that_several_have_the_candidates_are_told(tools: Toolbox) -> None:
    with pytest.raises(ToolError) as refusal:
        await tools.meant("4f2")

    assert str(refusal.value) == (
        "'4f2' begins the ids of 2 sessions; give more of one of them. The newest first: "
        f"{TWO} (abandoned), {ONE} (closed)"
    )


async def test_more_than_eight_candidates_are_counted(tmp_path: Path) -> None:
    for n in range(10):
        closed(tmp_path, f"{ONE[:-1]}{n}", "a")

    with pytest.raises(ToolError) as refusal:
        await Toolbox(SessionStore(tmp_path)).meant("4f2c")

    told = str(refusal.value)
    assert told.startswith("'4f2c' begins the ids of 10 sessions; ")
    assert told.endswith(f"{ONE[:-1]}2 (closed), and 2 more")


async def test_of_an_unknown_one_the_nearest_are_told_else_the_newest(
    tools: Toolbox, tmp_path: Path
) -> None:
    with pytest.raises(
        ToolError, match=rf"^no session is called '4f2cc'; was it {ONE}, or {TWO}\?$"
    ):
        await tools.meant("4f2cc")
    with pytest.raises(ToolError) as refusal:
        await tools.meant("beef")
    assert str(refusal.value) == (
        "no session is called 'beef', and none nearly so; list_sessions has them all, the newest are "
        f"{TWO}, {ONE}"
    )
    empty = Toolbox(SessionStore(tmp_path / "none"))
    with pytest.raises(ToolError, match="called 'a': there is no session at all yet"):
        await empty.meant("a")


async def test_an_error_is_explained_with_what_to_do_next_and_without_a_path(
    tools: Toolbox, tmp_path: Path
) -> None:
    near = ONE.replace("1", "3")

    assert await tools.explain(SessionNotFound("x", path=tmp_path), near) == (
        f"no session is called {near!r}; was it {ONE}, or {TWO}?"
    )
    assert await tools.explain(CursorInvalid("it does not fit", path=tmp_path), ONE) == (
        "it does not fit. This cursor is of no use here any more: call again without it, or with last=20 "
        "for the newest records; list_sessions says which sessions there are"
    )
    assert await tools.explain(LineNotFound("4 lines", path=tmp_path), ONE) == (
        "4 lines; last=1 gives the last record and its line"
    )
    assert await tools.explain(PersistenceError("unreadable", path=tmp_path), None) == "unreadable"
