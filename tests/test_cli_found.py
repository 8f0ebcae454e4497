"""Matches as lines: whose, where, marked; as JSON; and how many there are."""

from __future__ import annotations

import io
import json
import sys
from typing import Any, Literal

import pytest

from samples import ID
from sessiontail import Match
from sessiontail.cli.found import FoundPrinter
from sessiontail.cli.terminal import Output


def match(text: str = "a jazz b", **fields: Any) -> Match:
    values: dict[str, Any] = {
        "session_id": ID,
        "file": "x.jsonl",
        "line": 7,
        "offset": 100,
        "kind": "tool_result",
        "tool": "run",
        "field": "result",
        "text": text,
        "text_line": 1,
        "spans": ((2, 6),),
    }
    return Match(**values | fields)


def printed(
    *matches: Match,
    monkeypatch: pytest.MonkeyPatch,
    form: Literal["text", "json", "jsonl"] = "text",
    what: Literal["lines", "counts", "ids"] = "lines",
    color: Literal["always", "never"] = "never",
    terminal: bool = False,
) -> list[str]:
    out = io.TextIOWrapper(io.BytesIO(), "utf-8", newline="")
    monkeypatch.setattr(out, "isatty", lambda: terminal)
    monkeypatch.setattr(sys, "stdout", out)
    printer = FoundPrinter(Output(color), form, what=what, full=False)
    for one in matches:
        printer.put(one)
    printer.close()
    assert isinstance(out.buffer, io.BytesIO)
    return out.buffer.getvalue().decode().splitlines()


def test_a_match_is_a_line_that_says_whose_it_is_and_where(monkeypatch: pytest.MonkeyPatch) -> None:
    assert printed(
        match(),
        match(field="arguments", kind="assistant"),
        match(field="reasoning", kind="assistant", tool=None),
        match(field="text", kind="user", tool=None, line=None),
        match(session_id=None, kind="damage", field="raw", tool=None),
        monkeypatch=monkeypatch,
    ) == [
        "4f2c0000:7:tool_result [run] a jazz b",
        "4f2c0000:7:-> [run] a jazz b",
        "4f2c0000:7:(thought) a jazz b",
        "4f2c0000:?:user a jazz b",
        "x.jsonl:7:damage a jazz b",
    ]


def test_places_are_marked_and_what_commands_a_terminal_is_shown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (line,) = printed(
        match("\x1b] jazz\r", tool="\x1b[2J\n", spans=((3, 7),)),
        monkeypatch=monkeypatch,
        color="always",
    )

    assert line.endswith("\\x1b] \x1b[7mjazz\x1b[0m\\x0d")
    assert "[\\x1b[2J\\n]" in line


def test_a_match_over_several_lines_is_marked_in_each(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = printed(match("one\ntwo", spans=((2, 5),)), monkeypatch=monkeypatch, color="always")

    assert [line.rpartition("tool_result [run]\x1b[0m ")[2] for line in lines] == [
        "on\x1b[7me\x1b[0m",
        "\x1b[7mt\x1b[0mwo",
    ]


def test_lines_around_a_match_have_another_sign(monkeypatch: pytest.MonkeyPatch) -> None:
    around = match(before=("before",), after=("after",))

    assert printed(around, around, monkeypatch=monkeypatch) == [
        "4f2c0000-7-tool_result [run] before",
        "4f2c0000:7:tool_result [run] a jazz b",
        "4f2c0000-7-tool_result [run] after",
        "--",
        "4f2c0000-7-tool_result [run] before",
        "4f2c0000:7:tool_result [run] a jazz b",
        "4f2c0000-7-tool_result [run] after",
    ]


def test_at_a_terminal_a_long_line_is_shown_around_its_first_match(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    long = match("x" * 1000 + "jazz" + "y" * 1000, spans=((1000, 1004),))
    (shown,) = printed(long, monkeypatch=monkeypatch, terminal=True)
    (whole,) = printed(long, monkeypatch=monkeypatch)

    assert shown == "4f2c0000:7:tool_result [run] …" + "x" * 100 + "jazz" + "y" * 296 + "…"
    assert whole.endswith(long.text)


@pytest.mark.parametrize("form", ["json", "jsonl"])
def test_json_is_what_the_library_says(
    form: Literal["json", "jsonl"], monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = printed(match(), match("\ud800"), monkeypatch=monkeypatch, form=form)

    values = json.loads("\n".join(lines)) if form == "json" else [*map(json.loads, lines)]
    assert values == [match().to_dict(), match("\ud800").to_dict()]
    assert printed(monkeypatch=monkeypatch, form=form) == (["[]"] if form == "json" else [])


def test_records_are_counted_and_not_their_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    other = match(session_id=None, file="y.jsonl")
    found = match(), match(), match(offset=200), other

    assert printed(*found, monkeypatch=monkeypatch, what="counts") == ["4f2c0000:2", "y.jsonl:1"]
    assert [
        json.loads(line)
        for line in printed(*found, monkeypatch=monkeypatch, what="counts", form="jsonl")
    ] == [
        {"schema": 1, "session_id": str(ID), "file": "x.jsonl", "count": 2},
        {"schema": 1, "session_id": None, "file": "y.jsonl", "count": 1},
    ]


def test_ids_are_whole_for_who_reads_them(monkeypatch: pytest.MonkeyPatch) -> None:
    found = match(), match(offset=200), match(session_id=None, file="/a/y.jsonl")

    assert printed(*found, monkeypatch=monkeypatch, what="ids") == [str(ID), "/a/y.jsonl"]
    assert [
        json.loads(line)["file"]
        for line in printed(*found, monkeypatch=monkeypatch, what="ids", form="jsonl")
    ] == ["x.jsonl", "/a/y.jsonl"]
