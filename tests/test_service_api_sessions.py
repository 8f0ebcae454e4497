"""Sessions come by pages, each once; one of them comes with what it has."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import anyio
import pytest
from httpx import AsyncClient

from samples import ID, chunk_line, header_line, session_bytes, trailer_line
from scribes import call
from services import client
from sessiontail import SessionStore
from sessiontail.service import create_app

pytestmark = pytest.mark.anyio

START = datetime(2026, 1, 1, tzinfo=UTC)


def session_id(number: int) -> UUID:
    return UUID(int=number, version=4)


def put(directory: Path, number: int, **fields: Any) -> Path:
    created = (START + timedelta(hours=number)).isoformat()
    path = directory / f"{session_id(number)}.jsonl"
    path.write_bytes(
        header_line(session_id(number), created_at=created, **fields)
        + chunk_line(0, f"Task {number}")
        + trailer_line()
    )
    return path


def numbers(answer: Any) -> list[int]:
    return [int(one["title"].split()[1]) for one in answer["sessions"]]


@pytest.fixture
def sessions(tmp_path: Path) -> Path:
    for number in range(7):
        put(tmp_path, number)
    return tmp_path


def asking(directory: Path) -> AsyncClient:
    return client(create_app(SessionStore(directory)))


async def test_the_newest_come_first_and_pages_follow(sessions: Path) -> None:
    async with asking(sessions) as http:
        first = (await http.get("/api/sessions", params={"limit": 3})).json()
        put(sessions, 9)  # it is newer than all that were told
        (sessions / f"{session_id(4)}.jsonl").unlink()  # a page has ended with it
        cursor = first["next"]
        second = (await http.get("/api/sessions", params={"limit": 3, "cursor": cursor})).json()
        third = (
            await http.get("/api/sessions", params={"limit": 3, "cursor": second["next"]})
        ).json()

    assert [numbers(page) for page in (first, second, third)] == [[6, 5, 4], [3, 2, 1], [0]]
    assert third["next"] is None


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", [6, 5, 4, 3, 2, 1, 0]),
        ("sort=created&limit=2", [0, 1]),
        ("since=2026-01-01T05:00Z", [6, 5]),
        ("until=2026-01-01T01:00Z", [0]),
        ("state=closed&state=live&limit=1", [6]),
        ("state=live", []),
        ("q=TASK%203", [3]),
        ("q=task&limit=1", [6]),
        (f"q={str(session_id(2))[-6:]}", [2]),
        ("q=implicit&sort=created&limit=1", [0]),
        ("q=nothing", []),
    ],
)
async def test_those_are_told_that_are_meant(sessions: Path, query: str, found: list[int]) -> None:
    async with asking(sessions) as http:
        assert numbers((await http.get(f"/api/sessions?{query}")).json()) == found


async def test_who_has_the_list_is_told_so_until_it_changes(sessions: Path) -> None:
    async with asking(sessions) as http:
        first = await http.get("/api/sessions")
        etag = {"If-None-Match": first.headers["etag"]}
        again = await http.get("/api/sessions", headers=etag)
        with (sessions / f"{session_id(3)}.jsonl").open("ab") as file:
            file.write(b"\n")
        changed = await http.get("/api/sessions", headers=etag)

    assert (again.status_code, again.content) == (304, b"")
    assert (again.headers["cache-control"], changed.headers["cache-control"]) == ("no-cache",) * 2
    assert changed.status_code == 200
    assert changed.headers["etag"] != first.headers["etag"]


async def test_all_who_ask_at_once_get_what_is_there_by_then(sessions: Path) -> None:
    found: list[tuple[int, list[int]]] = []

    async def ask(http: AsyncClient, limit: int) -> None:
        answer = await http.get("/api/sessions", params={"limit": limit})
        found.append((limit, numbers(answer.json())))

    async with asking(sessions) as http, anyio.create_task_group() as tasks:
        for limit in (2, 3) * 20:
            tasks.start_soon(ask, http, limit)

    assert sorted(found) == [(2, [6, 5])] * 20 + [(3, [6, 5, 4])] * 20


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("limit=501", 400),
        ("sort=tokens", 400),
        ("state=running", 400),
        ("cursor=st1l.x", 409),
        ("cursor=..%2F..%2Fetc%2Fpasswd", 409),
        ("q=" + "x" * 201, 400),
        ("verify=true", 400),
    ],
)
async def test_what_cannot_be_meant_is_refused(sessions: Path, query: str, status: int) -> None:
    async with asking(sessions) as http:
        answer = await http.get(f"/api/sessions?{query}")

    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert str(sessions) not in answer.text


async def test_a_cursor_goes_with_its_order_only(sessions: Path) -> None:
    async with asking(sessions) as http:
        cursor = (await http.get("/api/sessions?limit=1")).json()["next"]
        answer = await http.get("/api/sessions", params={"cursor": cursor, "sort": "size"})

    assert answer.status_code == 409
    assert answer.json()["detail"] == "the cursor is of the order '-created', not 'size'"


async def test_a_directory_that_is_not_there_is_empty(tmp_path: Path) -> None:
    async with asking(tmp_path / "none") as http:
        assert (await http.get("/api/sessions")).json() == {"sessions": [], "next": None}


async def test_one_session_comes_with_its_counts(tmp_path: Path) -> None:
    (tmp_path / f"{ID}.jsonl.__partial__").write_bytes(
        header_line()
        + chunk_line(0, "Fix it")
        + chunk_line(1, "", "assistant", tool_calls=[call("grep", "{}")] * 2)
        + b"no record\n"
        + b'{"torn'
    )

    async with asking(tmp_path) as http:
        answer = await http.get(f"/api/sessions/{ID}")
        etag = {"If-None-Match": answer.headers["etag"]}
        again = await http.get(f"/api/sessions/{ID}", headers=etag)

    said = answer.json()
    assert (said["id"], said["title"], said["torn_bytes"]) == (str(ID), "Fix it", 6)
    assert said["counts"] == {
        "lines": 4, "header": 1, "system": 0, "user": 1, "assistant": 1, "tool_result": 0,
        "trailer": 0, "damage": 1, "tools": {"grep": 2}, "inherited": 0,
    }  # fmt: skip
    assert again.status_code == 304

    # Nothing stands behind its cursor, and what is added does.
    store = SessionStore(tmp_path)
    with next(tmp_path.iterdir()).open("r+b") as file:
        file.seek(-6, 2)
        file.truncate()
        file.seek(0, 2)
        file.write(chunk_line(2, "new"))
    async with store.read(ID, after=said["cursor"]) as reader:
        assert [record.to_dict()["index"] async for record in reader] == [2]


async def test_one_session_comes_at_once_where_its_counts_can_wait(tmp_path: Path) -> None:
    (tmp_path / f"{ID}.jsonl").write_bytes(session_bytes(3) + b"\n" + b"torn")

    async with asking(tmp_path) as http:
        whole = (await http.get(f"/api/sessions/{ID}")).json()
        brief = (await http.get(f"/api/sessions/{ID}", params={"counts": "false"})).json()

    assert whole["counts"]["lines"] == brief["lines"] == 6
    assert brief == {**whole, "counts": None}


async def test_a_session_is_asked_for_by_its_whole_id(tmp_path: Path) -> None:
    (tmp_path / f"{ID}.jsonl").write_bytes(session_bytes())
    (tmp_path / f"{session_id(1)}.jsonl").write_bytes(b"no header\n")
    (tmp_path / f"{session_id(2)}.jsonl").symlink_to("/etc/passwd")
    asked = {
        str(ID).upper(): 200,
        "4f2c": 400,
        "..": 404,  # the client takes it out of the path
        "%2e%2e%2f%2e%2e%2fetc%2fpasswd": 404,
        str(session_id(9)): 404,
        str(session_id(1)): 422,
        str(session_id(2)): 503,
    }

    async with asking(tmp_path) as http:
        given = {name: await http.get(f"/api/sessions/{name}") for name in asked}

    assert {name: answer.status_code for name, answer in given.items()} == asked
    assert not any(str(tmp_path) in answer.text for answer in given.values())
