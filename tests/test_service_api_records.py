"""Records come by pages, each once and as the command prints it; one of them comes whole."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import anyio
import pytest
from httpx import AsyncClient

from hostile import CASES
from samples import ID, chunk_line, header_line, session_bytes, trailer_line
from services import client
from sessiontail import SessionStore
from sessiontail.format.lifecycle import Outcome
from sessiontail.format.valid_json import valid_json
from sessiontail.service import create_app
from sessiontail.service.context import Limits
from sessiontail.service.live.frames import end_id

pytestmark = pytest.mark.anyio

RECORDS = f"/api/sessions/{ID}/records"


def put(directory: Path, data: bytes) -> Path:
    path = directory / f"{ID}.jsonl"
    path.write_bytes(data)
    return path


def asking(directory: Path, **limits: Any) -> AsyncClient:
    return client(create_app(SessionStore(directory), limits=Limits(**limits)))


async def page(http: AsyncClient, **query: Any) -> Any:
    answer = await http.get(RECORDS, params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def pages(http: AsyncClient, **query: Any) -> list[list[Any]]:
    found = []
    one = await page(http, **query)
    found.append(one["records"])
    query = {name: value for name, value in query.items() if name not in {"line", "last"}}
    while one["next"] is not None:
        one = await page(http, **{**query, "after": one["next"]})
        found.append(one["records"])
    return found


def texts(records: list[Any]) -> list[str]:
    return [one["payload"]["content"] for one in records if one["record_type"] == "chunk"]


def talk(count: int) -> bytes:
    rows = [chunk_line(n, f"{n}", "user" if n % 2 else "assistant") for n in range(count)]
    return header_line() + b"".join(rows) + trailer_line(count)


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_every_record_comes_as_it_is_printed(tmp_path: Path) -> None:
    """But for NaN, which is no JSON, and for what is so long or deep that it is cut."""
    store = SessionStore(tmp_path)
    async with client(create_app(store)) as http:
        for name, case in CASES.items():
            put(tmp_path, case.data)
            expected = []
            async with store.read(ID) as reader:
                async for record in reader:
                    said = {**record.to_dict(ID), "line": reader.place[0], "cursor": reader.cursor}
                    expected.append(json.loads(valid_json(said)))

            told = [one for some in await pages(http, limit=3) for one in some]

            assert len(told) == len(expected), name
            for one, whole in zip(told, expected, strict=True):
                assert one == whole or one["cut"], name


async def test_a_page_begins_where_it_is_told_to(tmp_path: Path) -> None:
    put(tmp_path, talk(9))

    async with asking(tmp_path) as http:
        first = await page(http, limit=4)
        assert texts(first["records"]) == ["0", "1", "2"]
        assert [one["line"] for one in first["records"]] == [1, 2, 3, 4]
        assert first["next"] == first["records"][-1]["cursor"]
        assert texts((await page(http, after=first["next"]))["records"])[0] == "3"
        assert texts((await page(http, line=6, limit=1))["records"]) == ["4"]
        last = await page(http, last=2)
        assert (texts(last["records"]), last["next"]) == (["8"], None)
        assert [one["line"] for one in last["records"]] == [10, 11]
        end = end_id(last["records"][-1]["cursor"], Outcome.CLOSED)
        assert await page(http, after=end) == {"records": [], "next": None}


async def test_what_is_not_looked_for_is_left_out(tmp_path: Path) -> None:
    tool = chunk_line(3, "Result: NEEDLE", "tool_result", name="grep")
    put(tmp_path, talk(3) + tool + b"no record, a needle\n")

    async with asking(tmp_path) as http:
        assert texts((await page(http, kind="user"))["records"]) == ["1"]
        kinds = await pages(http, kind=["header", "trailer", "damage"], limit=1)
        told = [one["record_type"] for some in kinds for one in some]
        assert told == ["header", "trailer", "damage"]
        found = (await page(http, q="needle"))["records"]
        assert [one["line"] for one in found] == [6, 7]
        assert (await page(http, q="nothing")) == {"records": [], "next": None}
        assert len((await page(http, q=""))["records"]) == 7


async def test_a_page_that_searches_says_how_far_it_is(tmp_path: Path) -> None:
    data = talk(3)
    put(tmp_path, data)
    path = f"/api/sessions/{ID}/records"

    async with asking(tmp_path) as http:
        told = [await http.get(path + asked) for asked in ("?q=no", "?kind=user&limit=1", "")]

    lengths = [sum(map(len, data.splitlines(keepends=True)[:lines])) for lines in (5, 3)]
    assert [one.headers.get("sessiontail-searched") for one in told] == [*map(str, lengths), None]


async def test_behind_a_page_that_searched_to_the_end_only_what_is_written_later_is_looked_at(
    tmp_path: Path,
) -> None:
    """From the last match on, each look at a session that runs read all that is behind it again."""
    put(tmp_path, talk(3))

    async with asking(tmp_path) as http:
        told = await http.get(f"/api/sessions/{ID}/records?q=1")
        behind = told.headers["sessiontail-behind"]
        put(tmp_path, talk(3) + chunk_line(4, "11"))
        more = await page(http, q="1", after=behind)
        whole = await http.get(f"/api/sessions/{ID}/records")

    assert (texts(told.json()["records"]), told.json()["next"]) == (["1"], None)
    assert (texts(more["records"]), [one["line"] for one in more["records"]]) == (["11"], [6])
    assert "sessiontail-behind" not in whole.headers


async def test_a_page_that_finds_nothing_says_where_to_go_on(tmp_path: Path) -> None:
    row = chunk_line(0, "x" * 100_000)
    put(tmp_path, header_line() + row * 14 + chunk_line(1, "needle"))

    async with asking(tmp_path, page_scan_bytes=500_000) as http:
        found = await pages(http, q="needle")

    assert [texts(some) for some in found] == [[], [], ["needle"]]


async def test_so_many_search_at_once(tmp_path: Path) -> None:
    put(tmp_path, talk(3))

    async with asking(tmp_path, page_searches=0) as http:
        answer = await http.get(RECORDS, params={"q": "x"})
        assert (answer.status_code, (await http.get(RECORDS)).status_code) == (429, 200)


async def test_those_who_search_at_once_each_get_their_page(tmp_path: Path) -> None:
    put(tmp_path, talk(3))
    found: list[list[str]] = []

    async def search(http: AsyncClient) -> None:
        found.append(texts((await page(http, q="2"))["records"]))

    async with asking(tmp_path, page_searches=9) as http, anyio.create_task_group() as tasks:
        for _ in range(9):
            tasks.start_soon(search, http)

    assert found == [["2"]] * 9


async def test_a_page_is_of_a_size_that_can_be_shown(tmp_path: Path) -> None:
    put(tmp_path, header_line() + chunk_line(0, "x" * 300) * 20 + chunk_line(0, "y" * 9_000))

    async with asking(tmp_path, page_bytes=4_000) as http:
        found = await pages(http)

    assert [len(some) for some in found] == [10, 10, 1, 1]
    (long,) = found[-1]
    assert long["payload"] == {"content": "y" * 4_000}
    assert (long["cut"], long["letters"]) == (True, 9_000)
    assert "cut" not in found[0][0]


async def test_a_record_comes_whole(tmp_path: Path) -> None:
    put(tmp_path, header_line() + b"\n" + chunk_line(0, "y" * 3_000_000) + b"no record\n")

    async with asking(tmp_path) as http:
        header, chunk, damage = [(await http.get(f"{RECORDS}/{n}")).json() for n in (1, 3, 4)]
        statuses = [(await http.get(f"{RECORDS}/{n}")).status_code for n in (2, 5, 6, 0, "x", -1)]
        blank = await http.get(f"{RECORDS}/2")
        late = await http.get(f"{RECORDS}/9")

    assert header["record_type"] == "header"
    assert chunk["payload"] == {"content": "y" * 3_000_000}
    assert (chunk["line"], "cut" in chunk) == (3, False)
    assert (damage["line"], damage["reason"]) == (4, "invalid-json")
    assert statuses == [404, 404, 404, 400, 400, 400]
    assert blank.json()["detail"] == "there is no record in line 2"
    assert late.json()["detail"] == "there is no line 9: the session has 4 lines"


async def test_numbers_that_are_none_are_null(tmp_path: Path) -> None:
    put(tmp_path, header_line() + chunk_line(0, "x").replace(b'"x"', b"[NaN, -Infinity, 1]"))

    async with asking(tmp_path) as http:
        (_, chunk) = (await page(http))["records"]
        whole = (await http.get(f"{RECORDS}/2")).json()

    assert chunk["payload"]["content"] == whole["payload"]["content"] == [None, None, 1]


async def test_text_is_escaped_as_the_command_does(tmp_path: Path) -> None:
    put(tmp_path, header_line() + chunk_line(0, "\u202e<script>\u2028\x9b"))

    async with asking(tmp_path) as http:
        answer = await http.get(RECORDS)

    assert b'"\\u202e<script>\\u2028\\u009b"' in answer.content
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    ("query", "status", "detail"),
    [
        ("line=9", 404, "there is no line 9: the session has 5 lines"),
        ("line=0", 400, "line is 1 at least"),
        ("line=-3", 400, "line is 1 at least"),
        ("line=1&last=2", 400, "a page begins at one place: after, line or last"),
        ("limit=1001", 400, "limit is 1000 at most"),
        ("kind=users", 400, None),
        ("after=st1.x", 409, "the cursor is damaged: perhaps cut off when it was copied"),
        ("after=x~closed", 409, None),
        ("after=x~gone", 409, None),
        ("path=/etc/passwd", 400, None),
    ],
)
async def test_what_cannot_be_meant_is_refused(
    tmp_path: Path, query: str, status: int, detail: str | None
) -> None:
    put(tmp_path, session_bytes(3))

    async with asking(tmp_path) as http:
        answer = await http.get(f"{RECORDS}?{query}")

    assert answer.status_code == status
    assert detail is None or answer.json()["detail"] == detail


async def test_a_cursor_of_another_session_is_refused(tmp_path: Path) -> None:
    put(tmp_path, session_bytes(3))
    async with asking(tmp_path) as http:
        after = (await page(http, limit=2))["next"]
        put(tmp_path, session_bytes(3, lineage_operator="fork"))
        answer = await http.get(RECORDS, params={"after": after})

    assert answer.status_code == 409
    assert "the cursor does not fit" in answer.json()["detail"]


async def test_a_session_that_there_is_not_is_said_so(tmp_path: Path) -> None:
    async with asking(tmp_path) as http:
        for path in (RECORDS, f"{RECORDS}?line=1", f"{RECORDS}/1"):
            answer = await http.get(path)
            assert (answer.status_code, answer.json()["detail"]) == (
                404,
                "there is no such session",
            )


async def test_a_file_without_a_header_has_records_and_no_lines(tmp_path: Path) -> None:
    put(tmp_path, chunk_line() * 2)

    async with asking(tmp_path) as http:
        assert [one["record_type"] for one in (await page(http))["records"]] == ["damage"] * 2
        assert (await http.get(f"{RECORDS}/2")).status_code == 422
