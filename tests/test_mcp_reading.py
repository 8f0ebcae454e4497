"""Records read, found and awaited: as the SDK's client gets it, whatever they say."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from actors import Actor
from commands import ONE, TWO
from hostile import CASES
from samples import ID, chunk_line, header_line, trailer_line
from sessiontail.mcp import bookmarks, reading
from toolmates import asked, connected, refused, text_of, within_fence

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"  # the server on both: test_mcp_server


CALL = {"id": "c1", "type": "function", "function": {"name": "run", "arguments": '{"cmd": "ls"}'}}
DATA = (
    header_line()
    + chunk_line(0, "Why does it fail?")
    + chunk_line(1, "I look.", "assistant", tool_calls=[CALL])
    + chunk_line(2, "x" * 5000, "tool_result", name="run", tool_call_id="c1")
    + b"no record\n"
    + chunk_line(3, "The date is wrong.", "assistant")
    + trailer_line(4, (10, 5, 15))
)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    (tmp_path / f"{ID}.jsonl").write_bytes(DATA)
    return tmp_path


async def lines(client: Any, **arguments: Any) -> list[int]:
    found = await asked(client, "read_session", **{"session": "4f2c", **arguments})
    return [one["line"] for one in found["records"]]


async def test_a_session_is_read_with_the_line_and_the_cursor_of_each_record(
    directory: Path,
) -> None:
    async with connected(directory) as client:
        found = await asked(client, "read_session", session="4f2c")
        text = text_of(await client.call_tool("read_session", {"session": "4f2c", "max_text": 100}))

    records = [{**one, "cursor": ""} for one in found["records"]]
    assert found["session_id"] == str(ID)
    assert found["at_end"]
    assert found["next"] == found["records"][-1]["cursor"]
    assert [one["kind"] for one in records] == [
        "header", "user", "assistant", "tool_result", "damage", "assistant", "trailer",
    ]  # fmt: skip
    assert records[1] == {"line": 2, "cursor": "", "kind": "user", "text": "Why does it fail?"}
    assert records[2]["tool_calls"] == [{"id": "c1", "name": "run", "arguments": '{"cmd": "ls"}'}]
    assert records[3] == {
        "line": 4,
        "cursor": "",
        "kind": "tool_result",
        "text": "x" * 2000,
        "tool": "run",
        "call_id": "c1",
        "cut": True,
        "characters": 5000,
    }
    data, told = within_fence(text)
    assert data.split("\n")[2:12] == [
        "line 2: user",
        "  | Why does it fail?",
        "line 3: assistant",
        "  | I look.",
        "  calls run",
        '  | {"cmd": "ls"}',
        "line 4: tool_result of run",
        f"  | {'x' * 100}",
        "  cut: its longest text has 5,000 characters",
        "line 5: damage",
    ]
    assert told == (
        f"7 records of session {ID}. That is its end as it is now.\n"
        f"What it writes next: wait_for with after={found['next']}"
    )


PARTS: list[tuple[dict[str, Any], list[int]]] = [
    ({"last": 2}, [6, 7]),
    ({"line": 3}, [3, 4, 5, 6, 7]),
    ({"line": 3, "limit": 2}, [3, 4]),
    ({"line": 8}, []),
    ({"kinds": ["assistant", "damage"]}, [3, 5, 6]),
    ({"max_characters": 500, "max_text": 100}, [1, 2, 3, 4, 5, 6, 7]),
    ({"max_characters": 500, "max_text": 500}, [1, 2, 3]),
    ({"max_characters": 500, "max_text": 500, "line": 4}, [4]),
]


async def test_what_is_read_begins_and_ends_where_it_is_asked_for(directory: Path) -> None:
    async with connected(directory) as client:
        for arguments, found in PARTS:
            assert await lines(client, **arguments) == found, arguments


async def test_the_last_records_of_a_large_session_have_their_lines(tmp_path: Path) -> None:
    data = header_line() + chunk_line(0, "x" * 1000) * 2000
    (tmp_path / f"{ID}.jsonl.__partial__").write_bytes(data)
    async with connected(tmp_path) as client:
        assert await lines(client, last=3) == [1999, 2000, 2001]


async def test_a_session_without_a_header_is_read_from_its_start(tmp_path: Path) -> None:
    (tmp_path / f"{ID}.jsonl.__partial__").write_bytes(chunk_line(0, "x") * 3)
    async with connected(tmp_path) as client:
        found = await asked(client, "read_session", session=str(ID), last=2)

    assert [one["line"] for one in found["records"]] == [1, 2, 3]


@pytest.mark.parametrize("limit", [1, 3])
async def test_pages_that_follow_each_other_have_each_record_once(
    directory: Path, limit: int
) -> None:
    seen, after, at_end = [], None, False
    async with connected(directory) as client:
        while not at_end:
            page = await asked(client, "read_session", session=str(ID), limit=limit, after=after)
            seen += [one["line"] for one in page["records"]]
            after, at_end = page["next"], page["at_end"]

    assert seen == [1, 2, 3, 4, 5, 6, 7]


async def test_a_text_that_was_cut_is_read_whole_by_its_line_or_part_by_part(
    directory: Path,
) -> None:
    ask: dict[str, Any] = {"session": "4f2c", "line": 4, "limit": 1}
    async with connected(directory) as client:
        whole = await asked(client, "read_session", **ask, max_text=200_000)
        parts = [
            await asked(client, "read_session", **ask, max_text=2000, from_character=start)
            for start in (0, 2000, 4000)
        ]

    (record,) = whole["records"]
    assert record["text"] == "x" * 5000
    assert "cut" not in record
    assert "".join(part["records"][0]["text"] for part in parts) == "x" * 5000


async def test_what_cannot_be_read_is_told_with_what_to_do(directory: Path) -> None:
    async with connected(directory) as client:
        assert await refused(client, "read_session", session="4f2c", after="st1.x", last=1) == (
            "give one of after, last and line, not after and last"
        )
        assert await refused(client, "read_session", session="4f2c", line=9) == (
            "there is no line 9: the session has 7 lines; last=1 gives the last record and its line"
        )
        stale = await asked(client, "read_session", session="4f2c", limit=2)
        (directory / f"{ID}.jsonl").write_bytes(header_line() + chunk_line(0, "rewritten all"))
        told = await refused(client, "read_session", session="4f2c", after=stale["next"])
        assert told.startswith("the cursor does not fit: ")
        assert told.endswith("list_sessions says which sessions there are")


async def test_hostile_files_are_answers_like_any_other(tmp_path: Path) -> None:
    file = tmp_path / "one" / f"{ID}.jsonl"
    file.parent.mkdir()
    async with connected(file.parent) as client:
        for case in CASES.values():
            if case.listed and len(case.data) < 100_000:
                file.write_bytes(case.data)
                found = await asked(client, "read_session", session=str(ID), max_text=200)
                assert json.loads(json.dumps(found, allow_nan=False)) == found
    for i, case in enumerate(CASES.values()):
        (tmp_path / f"case-{i}.jsonl").write_bytes(case.data)
    async with connected(tmp_path) as client:
        listed = await asked(client, "list_sessions", limit=200)
        await asked(client, "search", pattern="a", limit=100)

    assert listed["total"] == sum(case.listed for case in CASES.values())


async def test_what_a_session_has_copied_is_left_out_unless_it_is_asked_for(tmp_path: Path) -> None:
    rows = chunk_line(0, "Before") + chunk_line(1, "Said", "assistant")
    (tmp_path / f"{ONE}.jsonl").write_bytes(header_line(ONE) + rows + trailer_line(2))
    head = header_line(
        TWO,
        parent_session_ids=[ONE],
        lineage_kind="op_session_loop",
        created_at="2026-02-01T00:00:00Z",
    )
    more = chunk_line(2, "Now")
    (tmp_path / f"{TWO}.jsonl").write_bytes(head + rows + more + trailer_line(3))
    async with connected(tmp_path) as client:
        assert await lines(client, session=TWO, kinds=["user", "assistant"]) == [4]
        assert await lines(client, session=TWO, kinds=["user"], inherited=True) == [2, 4]


async def test_a_text_is_found_with_what_is_around_it(directory: Path) -> None:
    async with connected(directory) as client:
        found = await asked(client, "search", pattern="DATE")
        text = text_of(await client.call_tool("search", {"pattern": "ls"}))
        none = await asked(client, "search", pattern="DATE", ignore_case=False)
        long = await asked(client, "search", pattern="x{4000}", regex=True, session="4f2c")

        told = await refused(client, "search", pattern="(", regex=True)
        assert told.startswith("'(' is no regular expression: ")
        assert told.endswith("regex=false searches for the text as it stands")
        absent = ONE.replace("1", "9")
        assert (await refused(client, "search", pattern="x", session=absent)).startswith(
            f"no session is called {absent!r}; was it {ID}?"
        )
    match = {"session_id": str(ID), "line": 6, "kind": "assistant", "field": "text"}
    assert found == {
        "matches": [{**match, "text": "The date is wrong."}],
        "searched": 1,
        "sessions": 1,
        "unfinished": [],
        "complete": True,
        "next": None,
    }
    data, told = within_fence(text)
    assert data == f'session {ID} line 3: assistant of \'run\', arguments\n  | {{"cmd": "ls"}}'
    assert told == "1 matching line; 1 of 1 session searched. That is all."
    assert none["matches"] == []
    (cut,) = long["matches"]
    assert (len(cut["text"]), cut["cut"], cut["line"]) == (400, True, 4)


async def test_pages_of_matches_go_on(directory: Path) -> None:
    seen: list[int] = []
    cursor = None
    async with connected(directory) as client:
        while True:
            page = await asked(client, "search", pattern="i", limit=1, cursor=cursor)
            seen += [one["line"] for one in page["matches"]]
            assert page["complete"] is (page["next"] is None)
            cursor = page["next"]
            if cursor is None:
                break

    assert seen == [2, 3, 6]


async def test_a_wait_ends_with_the_record_and_the_same_call_gives_it_again(
    directory: Path,
) -> None:
    async with connected(directory) as client:
        ask: dict[str, Any] = {"session": "4f2c", "tool": "run", "kinds": ["tool_result"]}
        found = await asked(client, "wait_for", **ask)
        again = await asked(client, "wait_for", **ask)
        behind = await asked(client, "wait_for", session="4f2c", after=found["next"])
        text = text_of(await client.call_tool("wait_for", {"session": "4f2c", "text": "WRONG"}))

    assert found == again
    assert (found["ended_by"], found["session_id"], found["passed"]) == ("record", str(ID), 3)
    assert (found["record"]["line"], found["record"]["cut"]) == (4, True)
    assert behind["record"]["kind"] == "damage"
    data, told = within_fence(text)
    assert data == f"session {ID}\nline 6: assistant\n  | The date is wrong."
    assert told.startswith("That record ended the wait.\nWhat comes behind it: after=st1.")


async def test_a_wait_ends_with_the_session(directory: Path) -> None:
    async with connected(directory) as client:
        found = await asked(client, "wait_for", session="4f2c", text="never")
        text = text_of(await client.call_tool("wait_for", {"session": "4f2c", "text": "never"}))

    assert found == {
        "ended_by": "session_ended",
        "session_id": str(ID),
        "passed": 7,
        "next": found["next"],
        "outcome": "closed",
    }
    assert text == (
        "The session has ended (closed) without it: nobody writes it any more. "
        f"Should it go on one day: after={found['next']}"
    )


async def test_a_wait_ends_with_its_time_and_goes_on_from_there(tmp_path: Path) -> None:
    with Actor(tmp_path).open().say("one") as actor:
        async with connected(tmp_path) as client:
            early = await asked(client, "wait_for", session="4f2c", text="two", timeout_s=0)
            actor.say("two")
            late = await asked(client, "wait_for", session="4f2c", text="two", after=early["next"])
            absent = text_of(await client.call_tool("wait_for", {"session": TWO, "timeout_s": 0}))

    assert early == {
        "ended_by": "time",
        "session_id": str(ID),
        "passed": 2,
        "next": early["next"],
    }
    assert (late["record"]["text"], late["record"]["line"], late["passed"]) == ("two", 3, 0)
    assert absent.startswith("The time is up, and there is no session with this id yet.\n")


async def test_in_any_session_nothing_is_missed_behind_the_first_cursor(tmp_path: Path) -> None:
    with Actor(tmp_path, UUID(ONE)).open().say("green") as one, Actor(tmp_path, UUID(TWO)) as two:
        async with connected(tmp_path) as client:
            begun = await asked(client, "wait_for", timeout_s=0)
            two.open().say("not yet", "the build is green")
            found = await asked(client, "wait_for", text="GREEN", after=begun["next"])
            again = await asked(client, "wait_for", text="GREEN", after=begun["next"])
            one.say("still green")
            behind = await asked(client, "wait_for", text="green", after=found["next"])

            told = await refused(client, "wait_for", session=ONE, after=found["next"])
            assert told.startswith("no cursor of this kind and version")

    assert (begun["ended_by"], begun["passed"]) == ("time", 0)
    assert (found["session_id"], found["record"]["line"], found["passed"]) == (TWO, 3, 2)
    assert {**again, "next": ""} == {**found, "next": ""}
    assert (behind["session_id"], behind["record"]["text"]) == (ONE, "still green")


async def test_a_cursor_that_is_too_long_for_a_model_has_a_short_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for where in (bookmarks, reading):
        monkeypatch.setattr(where, "SHORT", 10)
    async with connected(tmp_path) as client:
        begun = await asked(client, "wait_for", timeout_s=0)
        with Actor(tmp_path).open().say("one"):
            found = await asked(client, "wait_for", text="one", after=begun["next"])
            again = await asked(client, "wait_for", text="one", after=begun["next"])
        told = await refused(client, "wait_for", after="kept.00000000000000000000")

    assert begun["next"].startswith("kept.")
    assert found["record"] == again["record"]
    assert told.startswith(
        "this cursor is not kept any more. This cursor is of no use here any more: "
    )
