"""What people read of an audit: a line a session, the sums, and "?" where nothing is known."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from audits import audit, family, ident, tally, unread
from sessiontail.cli.audit_text import print_audits, print_total, ways_on
from sessiontail.cli.terminal import Output
from sessiontail.format.audit import SessionAudit, summarize
from sessiontail.format.findings import finding

LINES = "lines and messages: `sessiontail audit -o jsonl`"
COPY = "a clean copy: `sessiontail repair ID --to FILE`"
Streams = pytest.CaptureFixture[bytes]


def lines(streams: Streams) -> list[str]:
    sys.stdout.flush()
    return [line.rstrip() for line in streams.readouterr().out.decode().splitlines()]


def table(streams: Streams, audits: list[SessionAudit]) -> list[list[str]]:
    print_audits(Output("never"), audits, {ident(1): "one"})
    return [line.split() for line in lines(streams)]


def test_a_session_is_a_line_and_what_is_unknown_is_no_zero(capsysbinary: Streams) -> None:
    rows = table(capsysbinary, [family()[2], unread(), family()[0]])

    assert [[*row[:1], *row[2:]] if row[0] == "closed" else row for row in rows[:1]] == [
        [
            "WORST",
            "STATE",
            "AGE",
            "OWN",
            "ROWS",
            "SIZE",
            "TOKENS",
            "CALLS",
            "FAILED",
            "ID",
            "FINDINGS",
        ]
    ]
    assert [row[:2] + row[3:] for row in rows[1:3]] == [
        [
            "error",
            "abandoned",
            "1",
            "1",
            "2.9",
            "K",
            "?",
            "0",
            "0",
            ident(3),
            "invalid-json,",
            "torn-tail",
        ],
        [
            "error",
            "unknown",
            "?",
            "?",
            "8.8",
            "K",
            "?",
            "?",
            "?",
            ident(9),
            "unreadable",
            "(Permission",
            "denied)",
        ],
    ]
    assert [rows[3][0], *rows[3][2:]] == ["closed", "4", "4", "1000", "B", "30", "2", "1", "one"]


def test_without_findings_there_are_no_columns_for_them(capsysbinary: Streams) -> None:
    rows = table(capsysbinary, [audit(1)])

    assert rows[0] == ["STATE", "AGE", "OWN", "ROWS", "SIZE", "TOKENS", "CALLS", "FAILED", "ID"]


def test_a_file_without_an_id_is_called_by_its_name(capsysbinary: Streams) -> None:
    torn = [finding("torn-tail", "") for _ in range(1001)]
    rows = table(capsysbinary, [audit(1, *torn, id_text=None, file="/x/no id.jsonl")])

    assert rows[1][-4:] == ["no", "id.jsonl", "1,001", "torn-tail"]


def test_a_file_that_is_not_named_after_its_id_is_named(capsysbinary: Streams) -> None:
    renamed = finding("name-differs", "it is called run, its header's id is another")
    rows = table(capsysbinary, [audit(1, renamed, file="/x/run.jsonl")])

    assert rows[1][-3:] == ["one", "name-differs", "(run.jsonl)"]


@pytest.mark.parametrize(
    ("reasons", "ways"),
    [
        ([], []),
        (["missing-parent", "index-gap"], [LINES]),
        (["invalid-json", "no-header"], [LINES]),
        (["invalid-json"], [LINES, COPY]),
        (["torn-tail"], [LINES, COPY]),
    ],
)
def test_where_something_is_found_it_is_said_how_to_go_on(
    reasons: list[str], ways: list[str]
) -> None:
    odd = audit(1, *(finding(reason, "") for reason in reasons))

    assert ways_on([audit(2), odd], None) == ways


def test_how_to_go_on_names_the_directory_if_that_was_typed() -> None:
    torn = [audit(1, finding("torn-tail", ""))]

    assert ways_on(torn, "my logs") == [
        "lines and messages: `sessiontail audit 'my logs' -o jsonl`",
        "a clean copy: `sessiontail repair ID --dir 'my logs' --to FILE`",
    ]
    assert ways_on(torn, "s3://logs") == [
        "lines and messages: `sessiontail audit s3://logs -o jsonl`"
    ]


def test_the_sums_say_of_how_many_sessions_they_are(capsysbinary: Streams) -> None:
    odd = audit(4, finding("torn-tail", ""), tokens=None, tally=tally(user=3), inherited=None)
    odd.tally.unanswered_calls, odd.tally.unasked_results = 2, 1

    print_total(Output("never"), summarize([*family(), odd]))

    assert lines(capsysbinary) == [
        "sessions    5: 3 closed, 1 abandoned, 1 unknown; 3 conversations",
        "unreadable  1 file, in no sum but the size",
        "size        19 K, 7 B of it torn",
        "rows        11; 6 user; 3 assistant; 2 tool_result",
        "            and 4 rows copied from earlier sessions, which are not counted",
        "            of 1 session it is unknown what is copied: all of theirs are counted",
        "calls       3; 1 of 2 results failed (50.0%)",
        "            2 calls without a result",
        "            1 result that no call asked for",
        "tokens      60 (40 prompt, 20 completion)",
        "            of 2 sessions",
        "            of 1 session unknown: no trailer says them",
        "            of 1 session unknown: damaged",
        "",
        "CALLS  RESULTS  FAILED  OF RESULTS  TOOL",
        "    2        1       1      100.0%  bash",
        "    1        1       0        0.0%  =</style><script>alert(1)</script>\\x1b[2J\\u202e\\u2066",
        "",
        "SEVERITY  SESSIONS  FOUND  FINDING",
        "error            1      1  invalid-json",
        "error            1      1  unreadable",
        "warning          2      2  torn-tail",
        "info             1      1  missing-parent",
    ]


def test_what_nobody_says_is_unknown_and_more_tools_than_a_screen_has_are_summed_up(
    capsysbinary: Streams,
) -> None:
    uses: dict[str, Any] = {f"tool{number:02}": (100 - number, 0, 0) for number in range(20)}

    print_total(Output("never"), summarize([audit(1, tokens=None, tally=tally(**uses))]))

    told = lines(capsysbinary)
    assert told[:6] == [
        "sessions  1: 1 closed; 1 conversation",
        "size      1000 B",
        "rows      0",
        "calls     1,810",
        "tokens    ?",
        "          of 1 session unknown: no trailer says them",
    ]
    assert told[-2:] == [
        "   86        0       0           ?  tool14",
        "  415        0       0           ?  (5 more)",
    ]
