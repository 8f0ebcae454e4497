"""One file and a pattern: what is found is what a slow, plain reading finds, however it is spelled."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import regex
from hypothesis import example, given, settings, strategies as st

from samples import ID, chunk_line, header_line, trailer_line
from searched_files import Speller, plain_search, spelled_session
from sessiontail.format.migrations import CURRENT_SCHEMA_VERSION
from sessiontail.format.patterns import text_pattern
from sessiontail.session.asking import Match, Question
from sessiontail.session.searching import Seen, search_file
from sessiontail.session.sieve import Inherited
from sessiontail.system.haystack import Haystack

_ALPHABET = 'aAkK\u212asS\u017fiI\u0130\u0131éÉ/"\\\n\t\x7f😀会u06z1 <'
_texts = st.text(_ALPHABET, max_size=24)


def _message(draw: Callable[[Any], Any], text: str) -> dict[str, Any]:
    kind = draw(st.sampled_from(("user", "assistant", "tool_result", "call")))
    if kind == "tool_result":
        payload: dict[str, Any] = {"tool_call_id": "1", "name": "run", "content": text}
    elif kind == "call":
        kind = "assistant"
        function = {"name": "run", "arguments": {"path": text, "all": [draw(_texts)]}}
        payload = {"content": None, "tool_calls": [{"id": "1", "function": function}]}
    else:
        payload = {"content": text, **({"reasoning_content": draw(_texts)} if draw(st.booleans()) else {})}  # fmt: skip
    return {"kind": kind, "payload": payload}


@st.composite
def _cases(draw: Callable[[Any], Any]) -> tuple[bytes, str]:
    """A session, and a piece of one of its texts, or what looks like one."""
    texts = draw(st.lists(_texts, min_size=1, max_size=5))
    speller = Speller(draw(st.integers(0, 2**32)), draw(st.sampled_from((0, 0, 15, 60))))
    data = spelled_session([_message(draw, text) for text in texts], speller)
    text = draw(st.sampled_from(texts)) or "a"
    start = draw(st.integers(0, len(text) - 1))
    piece = text[start : start + draw(st.integers(1, 6))]
    piece = draw(st.sampled_from((piece, piece.upper(), piece.lower())))
    return data, piece.replace("\n", "") or "a"


def _said(text: str) -> bytes:
    return spelled_session([{"kind": "user", "payload": {"content": text}}], Speller(0, 0))


def search(data: bytes, question: Question, path: Path, *, room: int = 4096) -> list[Match]:
    path.write_bytes(data)
    found = search_file(str(path), question, Haystack(room), Seen())
    return [one for one in found if isinstance(one, Match)]


def _places(matches: list[Match]) -> list[tuple[int | None, str, int]]:
    return [(match.line, match.field, match.text_line) for match in matches]


def question(pattern: str, *, literal: bool = True, ignore_case: bool = False, **more: Any) -> Question:  # fmt: skip
    found = text_pattern(pattern, literal=literal, ignore_case=ignore_case, clock=time.monotonic)
    return Question(found, **more)


@given(case=_cases(), ignore_case=st.booleans(), room=st.sampled_from((400, 4096)))
@example(case=(_said("\u212aiss"), "kiss"), ignore_case=True, room=400)
@settings(max_examples=60)
def test_a_literal_is_found_where_a_plain_reading_finds_it(
    tmp_path: Path, *, case: tuple[bytes, str], ignore_case: bool, room: int
) -> None:
    data, piece = case
    same = re.compile(re.escape(piece), re.IGNORECASE if ignore_case else 0)

    found = search(
        data, question(piece, ignore_case=ignore_case), tmp_path / f"{ID}.jsonl", room=room
    )

    def lines_of(text: str) -> list[int]:
        return [i for i, line in enumerate(text.split("\n"), 1) if same.search(line)]

    assert _places(found) == plain_search(data, lines_of)


_AROUND = st.sampled_from(
    ("{}", "{}+", "(?:{})+", "({}|zz9)", "({}|é+)", "{}.?", "[a-z]*{}", "{}(?=.)", "(?<=a){}",
     "(?>{})", "{}{{2}}", "(?i:{})", "(?i){}", "(?:{}){{e<=1}}", "^{}", "{}$", "\\b{}", "{}|{}a",
     "(?P<n>{})(?P=n)?", "(?:a|{})u", "(?x) {} ", "(?:{})?a", "[{}]", "{}\\d", "[[:alpha:]]{}")
)  # fmt: skip


@given(case=_cases(), around=_AROUND, ignore_case=st.booleans(), room=st.sampled_from((400, 4096)))
@example(case=(_said("jax"), "jazz"), around="(?:{}){{e<=1}}", ignore_case=False, room=4096)
@example(case=(_said("b2"), "b"), around="[[:alpha:]]2", ignore_case=False, room=4096)
@settings(max_examples=90)
def test_a_regular_expression_is_found_where_a_plain_reading_finds_it(
    tmp_path: Path, *, case: tuple[bytes, str], around: str, ignore_case: bool, room: int
) -> None:
    data, piece = case
    pattern = around.replace("{}", re.escape(piece)).replace("{{", "{").replace("}}", "}")
    flags = regex.VERSION0 | regex.MULTILINE | (regex.IGNORECASE if ignore_case else 0)
    # Letters and digits alone are a text, which ``re`` searches for.
    text = re.compile(pattern, re.IGNORECASE if ignore_case else 0) if pattern.isalnum() else None
    same = text or regex.compile(pattern, flags)
    asked = question(pattern, literal=False, ignore_case=ignore_case)

    found = search(data, asked, tmp_path / f"{ID}.jsonl", room=room)

    def first_lines(text: str) -> list[int]:
        first = same.search(text)
        return [] if first is None else [text.count("\n", 0, first.start()) + 1]

    lines: dict[tuple[int | None, str], int] = {}
    for match in found:
        lines.setdefault((match.line, match.field), match.text_line)
    plain: dict[tuple[int | None, str], int] = {}
    for line, field, first in plain_search(data, first_lines):
        plain.setdefault((line, field), first)
    assert lines == plain


def test_each_letter_of_a_word_may_be_escaped(tmp_path: Path) -> None:
    for at in range(4):
        word = "".join(f"\\u{ord(c):04X}" if i == at else c for i, c in enumerate("jazz"))
        line = chunk_line(0, "@").replace(b"@", word.encode())

        assert len(search(header_line() + line, question("jazz"), tmp_path / "x.jsonl")) == 1


def test_an_escape_in_arguments_may_be_spelled_in_escapes_itself(tmp_path: Path) -> None:
    call = {"id": "1", "function": {"name": "run", "arguments": "@"}}
    line = chunk_line(0, None, "assistant", tool_calls=[call])
    arguments = rb"{\"path\": \"\\\u0075006aazz\"}"

    (found,) = search(
        header_line() + line.replace(b"@", arguments), question("jazz"), tmp_path / "x.jsonl"
    )

    assert (found.field, found.tool, found.text, found.spans) == (
        "arguments", "run", "jazz", ((0, 4),),
    )  # fmt: skip


def test_what_a_match_says(tmp_path: Path) -> None:
    path = tmp_path / f"{ID}.jsonl"
    head = header_line() + chunk_line(0, "no")
    data = head + chunk_line(1, "one\ntwo jazz jazz\nthree", "tool_result", name="run")

    assert search(data + trailer_line(2), question("jazz", context=1), path) == [
        Match(
            session_id=ID,
            file=str(path),
            line=3,
            offset=len(head),
            kind="tool_result",
            tool="run",
            field="result",
            text="two jazz jazz",
            text_line=2,
            spans=((4, 8), (9, 13)),
            before=("one",),
            after=("three",),
        )
    ]


def test_a_line_longer_than_the_buffer_is_searched_and_one_over_the_maximum_is_counted(
    tmp_path: Path,
) -> None:
    path = tmp_path / "x.jsonl"
    long = chunk_line(0, "x" * 5000 + "jazz")
    longer = chunk_line(1, "x" * 9000 + "jazz")
    path.write_bytes(header_line() + long + longer + chunk_line(2, "jazz") + long[:-5])
    seen = Seen()

    found = search_file(str(path), question("jazz", max_line_bytes=6000), Haystack(1024), seen)

    assert [one.line for one in found if isinstance(one, Match)] == [2, 4]
    assert seen.damaged == 1


def test_a_torn_line_is_not_searched(tmp_path: Path) -> None:
    data = header_line() + chunk_line(0, "jazz")

    assert search(data[:-1], question("jazz"), tmp_path / "x.jsonl.__partial__") == []


def test_the_rows_that_are_inherited_are_not_searched(tmp_path: Path) -> None:
    head = header_line(lineage_kind="op_session_loop") + chunk_line(0, "jazz")
    asked = question("jazz", find=lambda *_: Inherited(1, len(head)))

    assert _places(search(head + chunk_line(1, "jazz"), asked, tmp_path / "x.jsonl")) == [
        (3, "text", 1)
    ]


def test_so_many_records_of_a_file_and_no_more(tmp_path: Path) -> None:
    lines = [chunk_line(i, "jazz\njazz") for i in range(3)]
    data = header_line() + b"".join(lines)

    def places(asked: Question) -> list[tuple[int | None, str, int]]:
        return _places(search(data, asked, tmp_path / "x.jsonl"))

    assert places(question("jazz", most=1)) == [(2, "text", 1), (2, "text", 2)]
    assert places(question("jazz", most=0)) == []
    assert places(question("j.zz", literal=False, most=1)) == places(question("jazz", most=1))


def test_kinds_and_tools_are_heeded(tmp_path: Path) -> None:
    call = {"id": "1", "function": {"name": "run", "arguments": '{"x": "jazz"}'}}
    data = (
        header_line()
        + chunk_line(0, "jazz")
        + chunk_line(1, "jazz", "assistant", tool_calls=[call])
        + chunk_line(2, "jazz", "tool_result", name="run")
        + chunk_line(3, "jazz", "tool_result", name="see")
    )

    def places(**more: Any) -> list[tuple[int | None, str, int]]:
        return _places(search(data, question("jazz", **more), tmp_path / "x.jsonl"))

    assert places(kinds={"user"}) == [(2, "text", 1)]
    assert places(tools={"run"}) == [(3, "arguments", 1), (4, "result", 1)]
    assert places(kinds={"tool_result"}, tools={"run"}) == [(4, "result", 1)]


def test_damaged_lines_are_searched_where_they_are_asked_for_and_else_counted(
    tmp_path: Path,
) -> None:
    path = tmp_path / "x.jsonl"
    path.write_bytes(header_line() + b'{"jazz": \xff}\n' + chunk_line(0, "jazz"))

    def run(**more: Any) -> tuple[list[tuple[int | None, str, int]], int]:
        seen = Seen()
        found = search_file(str(path), question("jazz", **more), Haystack(), seen)
        return _places([one for one in found if isinstance(one, Match)]), seen.damaged

    assert run() == ([(3, "text", 1)], 1)
    assert run(kinds={"damage"}) == ([(2, "raw", 1)], 0)


def test_a_file_of_another_version_may_be_migrated_so_every_line_is_decoded(
    tmp_path: Path,
) -> None:
    data = header_line(schema_version=CURRENT_SCHEMA_VERSION - 1) + chunk_line(0, "jazz")
    seen = Seen()
    path = tmp_path / "x.jsonl"
    path.write_bytes(data)

    assert list(search_file(str(path), question("jazz"), Haystack(), seen)) == [len(data)]
    assert [error.reason for error in seen.skipped] == ["no-header"]


def test_a_first_line_that_only_looks_like_a_header_is_seen_through(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    broken = header_line().replace(str(ID).encode(), b"nobody")
    path.write_bytes(broken + chunk_line(0, "jazz") + header_line() + chunk_line(0, "jazz"))

    found = search_file(str(path), question("jazz"), Haystack(), Seen())

    assert [one.line for one in found if isinstance(one, Match)] == [4]


def test_what_cannot_be_read_is_noted_and_what_is_gone_is_not(tmp_path: Path) -> None:
    (tmp_path / "link.jsonl").symlink_to("nowhere")
    seen = Seen()

    assert not [*search_file(str(tmp_path / "gone.jsonl"), question("jazz"), Haystack(), seen)]
    assert not seen.failed
    assert not [*search_file(str(tmp_path / "link.jsonl"), question("jazz"), Haystack(), seen)]
    assert [str(error) for error in seen.failed] == [
        f"{tmp_path / 'link.jsonl'}: a symbolic link; give the file that it points to"
    ]


def test_a_file_that_was_closed_since_it_was_listed_is_searched_once(tmp_path: Path) -> None:
    (tmp_path / f"{ID}.jsonl").write_bytes(header_line() + chunk_line(0, "jazz"))
    seen = Seen()

    found = [
        one
        for name in (f"{ID}.jsonl.__partial__", f"{ID}.jsonl")
        for one in search_file(str(tmp_path / name), question("jazz"), Haystack(), seen)
        if isinstance(one, Match)
    ]

    assert _places(found) == [(2, "text", 1)]
