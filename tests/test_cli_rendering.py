"""Records as text, as JSON and as numbers for people; nothing that a log may hold is too odd."""

from __future__ import annotations

import io
import json
import re
from contextlib import redirect_stdout
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from actors import records_of
from samples import ID, chunk_line, header_line, json_line, trailer_line
from sessiontail.cli.colors import session_style
from sessiontail.cli.rendering import (
    EXCERPT,
    Renderer,
    age,
    as_json,
    kind_of,
    text_of,
    tokens,
)
from sessiontail.cli.terminal import Output
from sessiontail.format.records import Record, TokenUsage

PARENT = UUID(int=7)


def one(line: bytes) -> Record:
    """The record of a line; a chunk needs a header before it."""
    return records_of(line if b'"header"' in line else header_line() + line)[-1]


def calling(*functions: dict[str, Any], content: str | None = None) -> bytes:
    calls = [{"id": "1", "type": "function", "function": function} for function in functions]
    return chunk_line(0, content, "assistant", tool_calls=calls)


SHOWN = [
    ("a text", chunk_line(0, "hi\nthere"), "user", "hi\nthere"),
    ("no text", chunk_line(0, None, "assistant"), "assistant", "(empty)"),
    ("an empty text", chunk_line(0, "", "assistant"), "assistant", ""),
    ("a call", calling({"name": "f", "arguments": "{}"}), "assistant", "-> f()"),
    (
        "a text and two calls",
        calling({"name": "f"}, {"name": "g"}, content="so"),
        "assistant",
        "so\n-> f()\n-> g()",
    ),
    ("a result", chunk_line(0, "ok", "tool_result", name="f"), "tool_result", "[f] ok"),
    ("a result of nothing", chunk_line(0, None, "tool_result", name="f"), "tool_result", "[f] "),
    (
        "a header",
        header_line(parent_session_ids=[str(PARENT)], sandbox_backend="local"),
        "header",
        f"{ID}  implicit/unknown  created 2026-01-01 00:00:00Z  sandbox local\nchild of {str(PARENT)[:8]}",
    ),
    (
        "a trailer",
        trailer_line(1, (1, 2, 3)),
        "trailer",
        "closed 2026-01-01 00:00:00Z  1 chunk  3 tokens (1 prompt, 2 completion)",
    ),
    (
        "a trailer that knows nothing",
        json_line({"record_type": "trailer"}),
        "trailer",
        "closed  ? chunks  tokens unknown",
    ),
]


@pytest.mark.parametrize(
    ("line", "kind", "text"), [case[1:] for case in SHOWN], ids=[case[0] for case in SHOWN]
)
def test_each_record_has_a_label_and_a_text(line: bytes, kind: str, text: str) -> None:
    record = one(line)

    assert (kind_of(record), text_of(record)) == (kind, text)


def test_damage_is_shown_with_its_place_and_its_begin() -> None:
    short, long = one(b"{a}\n"), one(b"{" + b"b" * 1000 + b"\n")

    place, text = text_of(short).split("\n")
    assert place.startswith(f"line 2 (byte {len(header_line())}), 4 bytes: ")
    assert text == "{a}"
    assert text_of(long).split("\n")[1] == "{" + "b" * (EXCERPT - 1) + "..."


def test_lines_after_the_first_stand_under_it_and_each_behind_its_session(
    capsysbinary: pytest.CaptureFixture[bytes],
) -> None:
    output = Output()
    renderer = Renderer(output)
    renderer.record(one(chunk_line(0, "a\n\nb\u2028c")))
    renderer.record(one(chunk_line(0, "a\nb")), "4f2c")
    output.flush()

    assert capsysbinary.readouterr().out.decode() == (
        "user        a\n\n            b\\u2028c\n4f2c user        a\n4f2c             b\n"
    )


def shown(line: bytes, **options: Any) -> str:
    """A record as it is printed in colours."""
    streams = io.TextIOWrapper(io.BytesIO(), "utf-8", newline="")
    with redirect_stdout(streams):
        output = Output("always")
        Renderer(output, **options).record(one(line), "4f2c", "whole id")
        output.flush()
    streams.seek(0)
    return streams.read()


def test_each_line_is_behind_its_session_in_the_session_s_colour() -> None:
    name = f"\x1b[38;5;{session_style('whole id').removeprefix('session-')}m4f2c\x1b[0m"

    assert shown(chunk_line(0, "a\n\nb")) == (
        f"{name} \x1b[36muser\x1b[0m        a\n{name}\n{name}             b\n"
    )


def test_what_was_thought_is_dim_and_before_what_was_said() -> None:
    line = chunk_line(0, "so", "assistant", reasoning_content="hm\nhm")

    assert [line.split(" ", 2)[2].strip() for line in shown(line).splitlines()] == [
        "\x1b[2m(thought) hm\x1b[0m",
        "\x1b[2mhm\x1b[0m",
        "so",
    ]


def test_matches_are_marked_also_where_damage_is_red() -> None:
    marked = shown(b"{a}\n", pattern=re.compile("a}"))

    assert "\x1b[31m{\x1b[0m\x1b[31;7ma}\x1b[0m\n" in marked


def test_a_long_record_is_cut_and_the_cut_is_told() -> None:
    cut = shown(chunk_line(0, "a\nb\nc\nd"), max_lines=2).splitlines()

    assert cut[1].endswith(" b")
    assert cut[2].endswith("             \x1b[2m… 2 more lines: --full shows them\x1b[0m")
    assert len(cut) == 3


@pytest.mark.parametrize(
    "line",
    [
        header_line(parent_session_ids=[str(PARENT)], lineage_extras=[["a", 1]]),
        chunk_line(3, "你好", "assistant", tool_calls=[], more={"x": [1.5, None]}),
        trailer_line(2, (1, 2, 3)),
    ],
    ids=["header", "chunk", "trailer"],
)
def test_json_is_what_the_log_has_and_whose_it_is(line: bytes) -> None:
    assert json.loads(as_json(one(line), ID)) == {
        "schema": 1,
        "session_id": str(ID),
        **json.loads(line),
    }


def test_json_says_that_nobody_knows_whose_a_record_is() -> None:
    assert as_json(one(chunk_line())).startswith('{"schema": 1, "session_id": null, ')


def test_json_of_damage_is_its_evidence() -> None:
    value = json.loads(as_json(one(b"\xff\n")))

    message = value.pop("message")
    assert message
    assert value == {
        "schema": 1,
        "session_id": None,
        "record_type": "damage",
        "line": 2,
        "offset": len(header_line()),
        "length": 2,
        "reason": "invalid-utf8",
        "raw": "\\xff",
    }


NOW = datetime(2026, 1, 2, tzinfo=UTC)


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (-3600, "-"),
        (-1, "0s"),  # clocks differ a little
        (0, "0s"),
        (119.9, "119s"),
        (120, "2m"),
        (7199, "119m"),
        (7200, "2h"),
        (172_799, "47h"),
        (172_800, "2d"),
        (1e8, "1157d"),
    ],
)
def test_an_age_is_told_in_the_unit_that_it_has_two_of(seconds: float, shown: str) -> None:
    assert age(NOW - timedelta(seconds=seconds), NOW) == shown


def test_unknown_tokens_are_never_none_at_all() -> None:
    assert tokens(None) == "?"
    assert tokens(TokenUsage(0, 0, 0)) == "0"
