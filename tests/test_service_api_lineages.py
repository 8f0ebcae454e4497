"""``/api/lineage``: who descends from whom, with its place in a picture; or the picture."""

from __future__ import annotations

from pathlib import Path

import anyio
import httpx
import pytest
from starlette.applications import Starlette

from chats import FIRST, GONE, Chats, name, rows
from services import client
from sessiontail import SessionStore, draw_svg, read_lineage
from sessiontail.directory.sketch import drawn
from sessiontail.service import create_app
from sessiontail.service.context import Limits

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"  # the answers are what is tested


@pytest.fixture
def app(tmp_path: Path) -> Starlette:
    chats = Chats(tmp_path)
    chats.write(1, rows(FIRST[0]), parents=())
    chats.write(2, rows(*FIRST[:2]), parents=())
    chats.write(3, rows(*FIRST), parents=(name(2), GONE))
    chats.write(4, rows(("alone", "Yes.")), parents=())
    return create_app(SessionStore(tmp_path))


async def test_a_lineage_is_what_the_library_has_with_files_by_name(
    app: Starlette, tmp_path: Path
) -> None:
    async with client(app) as http:
        answer = await http.get(f"/api/lineage?session={name(2)}")

    told = drawn((await read_lineage(directory=tmp_path)).around(name(2)))
    for node in told["nodes"]:
        node["files"] = [Path(file).name for file in node["files"]]
    assert answer.json() == told
    assert [node["id"] for node in told["nodes"]] == [name(1), name(2), name(3), GONE]
    assert str(tmp_path) not in answer.text


@pytest.mark.parametrize(
    ("query", "ids"),
    [
        ("", [name(1), name(2), name(3), name(4), GONE]),
        (f"session={name(2)}&ancestors=true", [name(1), name(2)]),
        (f"session={name(2)}&descendants=true", [name(2), name(3), GONE]),
        (f"session={name(2)}&named=true", [name(2), name(3), GONE]),
        (f"session={GONE}", [name(2), name(3), GONE]),
    ],
)
async def test_what_is_asked_for_is_what_is_there(
    app: Starlette, query: str, ids: list[str]
) -> None:
    async with client(app) as http:
        answer = await http.get(f"/api/lineage?{query}")

    assert [node["id"] for node in answer.json()["nodes"]] == ids


async def test_a_picture_is_the_librarys_and_may_do_nothing_but_be_seen(
    app: Starlette, tmp_path: Path
) -> None:
    async with client(app) as http:
        answer = await http.get("/api/lineage?format=svg")

    assert answer.text == draw_svg(await read_lineage(directory=tmp_path))
    assert answer.headers["content-type"] == "image/svg+xml"
    assert answer.headers["content-security-policy"] == (
        "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'self'; sandbox"
    )


async def test_too_many_for_one_answer_are_refused_with_what_to_do(tmp_path: Path) -> None:
    chats = Chats(tmp_path)
    for number in range(1, 5):
        chats.write(number, rows(FIRST[0]), parents=(name(number - 1),))
    app = create_app(SessionStore(tmp_path), limits=Limits(lineage_nodes=3))

    async with client(app) as http:
        every = await http.get("/api/lineage")
        one = await http.get(f"/api/lineage?session={name(2)}")

    assert [every.status_code, one.status_code] == [413, 413]
    assert every.json()["detail"].endswith("are the most in one answer: name a session")
    assert one.json()["detail"].endswith(": ask for its ancestors only")


@pytest.mark.parametrize(
    ("query", "status", "detail"),
    [
        (f"session={name(77)}", 404, "there is no such session"),
        ("ancestors=true", 400, "ancestors and descendants are of one session: give session, too"),
        ("format=png", 400, "format is one of json, svg"),
    ],
)
async def test_what_cannot_be_meant_is_refused(
    app: Starlette, query: str, status: int, detail: str
) -> None:
    async with client(app) as http:
        answer = await http.get(f"/api/lineage?{query}")

    assert (answer.status_code, answer.json()["detail"]) == (status, detail)


async def test_one_too_many_is_told_to_come_back(tmp_path: Path) -> None:
    app = create_app(SessionStore(tmp_path), limits=Limits(lineages=1))
    statuses: list[int] = []

    async def ask(http: httpx.AsyncClient) -> None:
        statuses.append((await http.get("/api/lineage")).status_code)

    async with client(app) as http:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ask, http)
            tasks.start_soon(ask, http)
        await ask(http)

    assert statuses == [429, 200, 200]
