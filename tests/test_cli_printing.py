"""Records, wanted or not, in each of the forms; and what a crash left, as the form allows."""

from __future__ import annotations

import json
import re
from typing import get_args

import pytest

from actors import records_of
from samples import ID, chunk_line, header_line, trailer_line
from sessiontail.cli.printing import Form, Printer
from sessiontail.cli.targets import Target
from sessiontail.cli.terminal import Output
from sessiontail.format.records import Record

FORMS: tuple[Form, ...] = get_args(Form)

LINES = [
    header_line(),
    chunk_line(0, "ask"),
    chunk_line(1, "tell", "assistant", tool_calls=None),
    b"{broken}\n",
    trailer_line(2),
]
RECORDS = records_of(b"".join(LINES))
HEADER, ASK, TELL, DAMAGE, TRAILER = RECORDS

Streams = pytest.CaptureFixture[bytes]


def printed(streams: Streams, form: Form, *records: Record, torn: bytes = b"") -> tuple[str, str]:
    """What a session is printed as, with the notes about it."""
    printer = Printer(Output(), form)
    for record in records:
        printer.put(record, LINES[RECORDS.index(record)])
    printer.end(len(torn), torn)
    printer.close()
    out, err = streams.readouterr()
    return out.decode(), err.decode()


@pytest.mark.parametrize(
    ("kinds", "pattern", "wanted"),
    [
        ((), None, RECORDS),
        (("user",), None, [ASK]),
        (("user", "damage", "trailer"), None, [ASK, DAMAGE, TRAILER]),
        ((), "ask|broken", [ASK, DAMAGE]),
        ((), "^tell$", [TELL]),
        (("assistant",), "ask", []),
    ],
)
def test_a_record_is_wanted_if_its_kind_is_and_its_text_matches(
    kinds: tuple[str, ...], pattern: str | None, wanted: list[Record]
) -> None:
    printer = Printer(
        Output(), kinds=kinds, pattern=None if pattern is None else re.compile(pattern)
    )

    assert [record for record in RECORDS if printer.wants(record)] == wanted
    assert printer.wants(None) is not printer.filtered
    assert printer.filtered is bool(kinds or pattern)


def test_an_empty_pattern_is_a_pattern() -> None:
    assert Printer(Output(), pattern=re.compile("")).filtered


@pytest.mark.parametrize("form", FORMS)
def test_only_raw_asks_for_bytes(form: Form) -> None:
    assert Printer(Output(), form).raw is (form == "raw")


def test_raw_is_the_lines(capsysbinary: Streams) -> None:
    assert printed(capsysbinary, "raw", *RECORDS) == (b"".join(LINES).decode(), "")


def test_json_is_the_records_and_damage_its_evidence(capsysbinary: Streams) -> None:
    out, err = printed(capsysbinary, "jsonl", ASK, DAMAGE)

    ask, damage = map(json.loads, out.splitlines())
    assert ask == {"schema": 1, "session_id": None, **json.loads(LINES[1])}
    assert (damage["record_type"], damage["line"], damage["raw"]) == ("damage", 4, "{broken}")
    assert damage["offset"] == len(b"".join(LINES[:3]))
    assert err == ""


def test_text_of_several_sessions_says_whose_each_line_is(capsysbinary: Streams) -> None:
    target = Target(ID, None)
    for form in ("text", "jsonl"):
        printer = Printer(Output(), form)
        printer.put(ASK, target=target)
        printer.close()

    text, as_json = capsysbinary.readouterr().out.decode().splitlines()
    assert text == "4f2c0000 user        ask"
    assert json.loads(as_json)["session_id"] == str(ID)


def test_one_array_of_json_has_the_records_of_all_sessions(capsysbinary: Streams) -> None:
    printer = Printer(Output(), "json")
    for record in (ASK, TELL):
        printer.put(record, target=Target(ID, None))
        printer.end(0, b"")
    printer.close()

    array = json.loads(capsysbinary.readouterr().out)
    assert [(one["session_id"], one["index"]) for one in array] == [(str(ID), 0), (str(ID), 1)]
    assert printed(capsysbinary, "json") == ("[]\n", "")


def test_what_a_crash_left_is_of_no_kind(capsysbinary: Streams) -> None:
    printer = Printer(Output(), kinds=("user",))
    printer.put(ASK)
    printer.end(3, b"abc")

    out, err = capsysbinary.readouterr()
    assert out == b"user        ask\n"
    assert err == b"sessiontail: 3 bytes after the last whole line left out: no record\n"


def test_messages_are_one_array_of_the_chunks(capsysbinary: Streams) -> None:
    out, err = printed(capsysbinary, "messages", *RECORDS)

    assert json.loads(out) == [
        {"role": "user", "content": "ask"},
        {"role": "assistant", "content": "tell"},
    ]
    assert err == "sessiontail: 1 damaged lines left out; -o text shows them\n"


def test_no_messages_are_an_array_all_the_same(capsysbinary: Streams) -> None:
    assert printed(capsysbinary, "messages", HEADER) == ("[]\n", "")


@pytest.mark.parametrize("form", FORMS)
def test_what_a_crash_left_is_shown_as_text_and_else_told(
    capsysbinary: Streams, form: Form
) -> None:
    out, err = printed(capsysbinary, form, ASK, torn=b'{"half \xe5')

    if form == "text":
        assert out.splitlines()[1:] == [
            "torn        8 bytes after the last whole line, no record:",
            '            {"half \\xe5',
        ]
        assert err == ""
    else:
        assert "half" not in out
        assert err == "sessiontail: 8 bytes after the last whole line left out: no record\n"


def test_of_what_a_crash_left_the_size_is_told_where_the_text_is_not_wanted(
    capsysbinary: Streams,
) -> None:
    printer = Printer(Output(), kinds=("user",))
    printer.end(8, b"")

    told = capsysbinary.readouterr()
    assert told.out == b""
    assert told.err == b"sessiontail: 8 bytes after the last whole line left out: no record\n"


def test_of_a_long_end_an_excerpt_is_shown(capsysbinary: Streams) -> None:
    out, _ = printed(capsysbinary, "text", torn=b"x" * 5000)

    assert out.count("x") == 200
    assert "5000 bytes" in out


def test_what_is_printed_is_counted(capsysbinary: Streams) -> None:
    counts = []
    for form in FORMS:
        printer = Printer(Output(), form)
        for record in RECORDS:
            printer.put(record)
        counts.append(printer.printed)

    assert dict(zip(FORMS, counts, strict=True)) == {
        "text": 5,
        "json": 5,
        "jsonl": 5,
        "raw": 5,
        "messages": 2,
    }
