"""``/api/search``: a pattern -> its matches, a line each as they are found, and how far it came."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette

from askers import asking
from chats import FIRST, Chats, name, rows
from samples import chunk_line
from services import client
from sessiontail import SessionStore
from sessiontail.directory.search import Search
from sessiontail.service import create_app
from sessiontail.service.context import Limits

pytestmark = pytest.mark.anyio


def match(number: int, line: int, **fields: Any) -> dict[str, Any]:
    return {
        "session_id": name(number), "file": f"{name(number)}.jsonl", "line": line, "kind": "user",
        "tool": None, "field": "text", "cut": False, "text_line": 1, **fields,
    }  # fmt: skip


def end(size: int, **fields: Any) -> dict[str, Any]:
    return {
        "complete": True, "matches": 0, "sessions": 1, "total_bytes": size, "searched_bytes": size,
        "damaged": 0, "failed": [], "failed_count": 0, "skipped": 0, "reason": None,
        "message": None, **fields,
    }  # fmt: skip


async def lines(app: Starlette, **query: Any) -> list[Any]:
    async with client(app) as http:
        answer = await http.get("/api/search", params=query)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/x-ndjson"
    return [*map(json.loads, answer.text.splitlines())]


@pytest.fixture
def chats(tmp_path: Path) -> Chats:
    return Chats(tmp_path)


@pytest.fixture
def app(chats: Chats) -> Starlette:
    return create_app(SessionStore(chats.directory))


async def test_matches_come_with_their_place_and_the_end_says_that_it_was_all(
    chats: Chats, app: Starlette
) -> None:
    first, second = chats.write(1, rows(FIRST[0])), chats.write(2, rows(*FIRST[:2]))
    sizes = first.stat().st_size + second.stat().st_size

    assert await lines(app, q="o") == [
        match(1, 2, text="hello", spans=[[4, 5]]),
        match(2, 4, text="more", spans=[[1, 2]]),
        end(sizes, matches=2, sessions=2),
    ]


async def test_what_an_earlier_session_has_is_found_twice_if_that_is_asked_for(
    chats: Chats, app: Starlette
) -> None:
    chats.write(1, rows(FIRST[0]))
    chats.write(2, rows(*FIRST[:2]))

    *found, _ = await lines(app, q="hello", inherited="true")

    assert [one["session_id"] for one in found] == [name(1), name(2)]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"q": "HELLO"}, []),
        ({"q": "HELLO", "ignore_case": "true"}, ["hello"]),
        ({"q": "[h]el+o", "regex": "true"}, ["hello"]),
        ({"q": "[h]el+o"}, []),
        ({"q": ".", "kind": "assistant"}, ["Hi.", "b.c"]),
        ({"q": "b.c", "tool": "bash"}, []),
        ({"q": "b", "kind": "damage"}, ["{b"]),
        ({"q": "i", "session": name(2)}, []),
        ({"q": "hello", "state": "live"}, []),
        ({"q": "hello", "since": "2026-01-01T00:00:02Z"}, []),
        ({"q": "hello", "until": "2026-01-01T00:00:02Z"}, ["hello"]),
    ],
)
async def test_what_is_asked_for_is_what_is_searched(
    chats: Chats, app: Starlette, query: dict[str, str], found: list[str]
) -> None:
    chats.write(1, rows(FIRST[0]) + b"{b\n")
    chats.write(2, chunk_line(0, "b.c", "assistant"), parents=())

    told = await lines(app, **query)

    assert [one["text"] for one in told[:-1]] == found
    assert "complete" in told[-1]


async def test_a_long_line_is_cut_around_the_match(chats: Chats, app: Starlette) -> None:
    chats.write(1, chunk_line(0, "é" * 5000 + "needle" + "x" * 5000))

    found, _ = await lines(app, q="needle")

    text = "é" * 100 + "needle" + "x" * 294
    assert found == match(1, 2, text=text, spans=[[100, 106]], cut=True)


async def test_a_tool_that_is_named_at_length_does_not_fill_the_answer(
    chats: Chats, app: Starlette
) -> None:
    call = {"id": "1", "type": "function", "function": {"name": "t" * 5000, "arguments": "needle"}}
    chats.write(1, chunk_line(0, "", "assistant", tool_calls=[call]))

    found, _ = await lines(app, q="needle")

    assert (found["tool"], found["text"]) == ("t" * 200, "needle")


async def test_more_than_are_asked_for_are_said_to_be_more(chats: Chats, app: Starlette) -> None:
    path = chats.write(1, b"".join(chunk_line(i, f"say {i}") for i in range(200)))
    size = path.stat().st_size

    told = await lines(app, q="say", limit=130)

    assert [one["text"] for one in told[:-1]] == [f"say {i}" for i in range(130)]
    assert told[-1] == end(
        told[-1]["searched_bytes"],
        complete=False,
        matches=130,
        total_bytes=size,
        reason="limit",
        message="there may be more than 130",
    )


async def test_a_pattern_that_explodes_ends_with_a_line_that_says_so(
    chats: Chats, app: Starlette, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sessiontail.format.patterns import TextPattern, TooSlow
    from sessiontail.session import asking as session_asking

    def hits(record: object, pattern: TextPattern, **_: object) -> list[Any]:
        # As it is after 2 s; test_format_patterns.py has the pattern.
        raise TooSlow

    chats.write(1, rows(FIRST[0]))
    monkeypatch.setattr(session_asking, "hits_in", hits)

    (last,) = await lines(app, q="(h|he|l)+$", regex=True)

    assert (last["complete"], last["reason"]) == (False, "pattern")
    assert last["message"].startswith("the pattern takes more than 2 s, or a gigabyte, for one")


async def test_a_search_ends_when_its_time_is_up(chats: Chats) -> None:
    chats.write(1, rows(FIRST[0]))
    app = create_app(SessionStore(chats.directory), limits=Limits(search_s=0))

    (last,) = await lines(app, q="hello")

    assert (last["complete"], last["reason"], last["sessions"]) == (False, "time", None)
    assert last["message"] == "the time is up: search for more letters, or in fewer sessions"


async def test_what_could_not_be_read_is_told_by_its_name(
    chats: Chats, app: Starlette, tmp_path: Path
) -> None:
    (tmp_path / f"{name(7)}.jsonl").mkdir()

    (last,) = await lines(app, q="hello", session=name(8))
    assert (last["complete"], last["failed"]) == (
        False,
        [{"file": None, "message": f"no session has the id {name(8)}"}],
    )
    (last,) = await lines(app, q="hello", session=name(7))
    assert str(tmp_path) not in json.dumps(last)
    assert last["complete"] is False


@pytest.mark.parametrize(
    ("query", "detail"),
    [
        ({}, "q is missing"),
        ({"q": ""}, "an empty pattern matches everything"),
        ({"q": "(", "regex": "true"}, "takes a backslash before it, a literal text none"),
        ({"q": "((((a){50}){50}){50}){50}", "regex": "true"}, "12,755,101 pieces"),
        ({"q": "x" * 1001}, "1000 at most"),
        ({"q": "x", "limit": "0"}, "limit is 1 at least"),
        ({"q": "x", "kind": "header"}, "kind is one of"),
    ],
)
async def test_what_cannot_be_meant_is_refused(
    app: Starlette, query: dict[str, str], detail: str
) -> None:
    async with client(app) as http:
        answer = await http.get("/api/search", params=query)

    assert (answer.status_code, answer.headers["content-type"]) == (400, "application/problem+json")
    assert detail in answer.json()["detail"]
    assert "literal=True" not in answer.text  # nor any other word of Python or of the command


class Noting(SessionStore):
    """Knows the searches that were made."""

    made: tuple[Search, ...] = ()

    def search(self, pattern: str, **options: Any) -> Search:
        self.made += (super().search(pattern, **options),)
        return self.made[-1]


async def test_a_client_that_reads_slowly_has_little_waiting_and_a_leaver_stops_the_search(
    chats: Chats,
) -> None:
    chats.write(1, b"".join(chunk_line(i, f"say {i}") for i in range(4000)))
    store = Noting(chats.directory)
    app = create_app(store, limits=Limits(searches=1))

    async with asking(app, "/api/search?q=say&limit=10000") as asker:
        first = await asker.take()
        async with client(app) as http:
            refused = await http.get("/api/search?q=say")
        waiting = store.made[0].at_hand
    async with client(app) as http:
        after = await http.get("/api/search?q=say&limit=1")

    assert len(first.splitlines()) == 64
    assert (refused.status_code, refused.headers["retry-after"]) == (429, "1")
    assert after.status_code == 200
    assert 0 < waiting <= 256
    with pytest.raises(StopAsyncIteration):
        await anext(store.made[0])


async def test_few_regular_expressions_are_searched_for_at_once(chats: Chats) -> None:
    chats.write(1, b"".join(chunk_line(i, f"say {i}") for i in range(200)))
    app = create_app(SessionStore(chats.directory), limits=Limits(regex_searches=1))

    async with asking(app, "/api/search?q=s.y&regex=1&limit=200") as asker:
        await asker.take()
        async with client(app) as http:
            statuses = [
                (await http.get(f"/api/search?q=say&regex={regex}")).status_code for regex in "10"
            ]

    assert statuses == [429, 200]
