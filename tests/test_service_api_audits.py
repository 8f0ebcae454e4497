"""``/api/audit``: sessions counted and checked, a line each as they are found; or their sum."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette

from askers import asking
from chats import FIRST, Chats, name, rows
from services import client
from sessiontail import SessionStore, audit_sessions, summarize
from sessiontail.service import create_app
from sessiontail.service.api.audit_passes import AuditPasses

pytestmark = pytest.mark.anyio


@pytest.fixture
def app(tmp_path: Path) -> Starlette:
    chats = Chats(tmp_path)
    chats.write(1, rows(FIRST[0]))
    chats.write(2, rows(*FIRST[:2]))
    chats.write(3, rows(FIRST[0]) + b"{no\n", closed=False, parents=())
    (tmp_path / "other.jsonl").write_bytes(b"hello\n")
    return create_app(SessionStore(tmp_path))


async def lines(app: Starlette, query: str = "") -> list[Any]:
    async with client(app) as http:
        answer = await http.get(f"/api/audit{query}")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/x-ndjson"
    return [*map(json.loads, answer.text.splitlines())]


async def test_each_session_is_told_as_the_library_does_and_the_sum_comes_last(
    app: Starlette, tmp_path: Path
) -> None:
    *found, last = await lines(app)

    async with audit_sessions(directory=tmp_path) as audits:
        known = [one async for one in audits]
    assert sorted(found, key=str) == sorted(
        ({**one.to_dict(), "file": one.path.name} for one in known), key=str
    )
    assert last == {"schema": 1, "summary": summarize(known).to_dict(), "undated": 0}


async def test_no_line_says_where_the_directory_is(app: Starlette, tmp_path: Path) -> None:
    assert str(tmp_path) not in json.dumps(await lines(app))


async def test_sessions_are_chosen_and_summed_up_and_what_has_no_time_is_told(
    app: Starlette,
) -> None:
    *found, last = await lines(app, "?since=2026-01-01T00:00:02Z&state=closed&state=abandoned")

    assert [one["id"] for one in found] == [name(2)]
    assert (last["summary"]["sessions"], last["undated"]) == (1, 1)


async def test_the_sum_alone_is_one_object(app: Starlette) -> None:
    async with client(app) as http:
        answer = await http.get(f"/api/audit?summary=true&session={name(3)}")

    *_, last = await lines(app, f"?session={name(3)}")
    assert answer.headers["content-type"] == "application/json"
    assert answer.json() == last["summary"]
    assert answer.json()["findings_by_reason"] == {"invalid-json": 1}


async def test_nothing_is_a_sum_of_nothing(tmp_path: Path) -> None:
    (only,) = await lines(create_app(SessionStore(tmp_path / "none")))

    assert only["summary"]["sessions"] == 0


async def test_a_client_that_leaves_ends_its_pass(app: Starlette) -> None:
    passes = app.state.context.part(AuditPasses)

    async with asking(app, "/api/audit") as asker:
        assert await asker.take()
        async with passes.joined() as other:
            users = other.users
    assert asker.status == 200
    async with passes.joined() as after:
        assert (users, after.users, after.began) == (1, 1, False)


async def test_a_client_that_leaves_ends_its_sum(app: Starlette) -> None:
    passes = app.state.context.part(AuditPasses)

    # The pass of a client that takes nothing is waited for.
    async with passes.joined() as slow:
        await slow.beyond(0)
        async with asking(app, "/api/audit?summary=true") as asker:
            await asker.leave()
        assert (asker.status, slow.users) == (0, 1)


async def test_a_directory_that_cannot_be_read_is_a_problem(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"")
    app = create_app(SessionStore(file))

    async with client(app) as http:
        answers = [await http.get(f"/api/{path}") for path in ("audit", "audit?summary=1", "usage")]

    assert [one.status_code for one in answers] == [503] * 3
    assert str(tmp_path) not in "".join(one.text for one in answers)
