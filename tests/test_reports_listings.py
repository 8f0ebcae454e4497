"""The sessions that a page names: the worst, as many as one reads, and it says what is left out."""

from __future__ import annotations

from audits import HOSTILE, audit, family, ident
from pages import Page
from sessiontail.format.audit import SessionAudit
from sessiontail.format.findings import finding
from sessiontail.reports.listings import MOST_FINDINGS, MOST_SESSIONS, listings_of


def pages_of(audits: list[SessionAudit]) -> dict[str, Page]:
    return {one.ident: Page(one.body) for one in listings_of(audits)}


def test_findings_come_the_worst_first_with_their_place() -> None:
    page = pages_of(family())["single"]

    assert page.texts["caption"] == ["All findings, the worst first"]
    assert page.texts["code"] == [ident(3), ident(9), ident(3), ident(2)]
    assert page.texts["td"] == [
        *("error", "invalid-json", "2", "invalid JSON: =</style><script>alert(1)</script>\\x1b[2J\\u202e\\u2066"),
        *("error", "unreadable", "", "Permission denied"),
        *("warning", "torn-tail", "3", "7 bytes after the last whole line"),
        *("info", "missing-parent", "", "no file of its parent"),
    ]  # fmt: skip


def test_a_session_is_a_row_and_what_is_unknown_is_no_number() -> None:
    page = pages_of(family())["sessions"]

    cells = page.texts["td"]
    assert [cells[i : i + 9] for i in range(0, len(cells), 9)] == [
        [
            "invalid-json, torn-tail",
            "abandoned",
            "2026-01-02 06:04",
            "1",
            "1",
            "2.9 K",
            "?",
            "0",
            "0",
        ],
        ["unreadable", "unknown", "?", "?", "?", "8.8 K", "?", "?", "?"],
        ["missing-parent", "closed", "2026-01-02 05:04", "3", "7", "2.0 K", "30", "1", "0"],
        ["none", "closed", "2026-01-02 04:04", "4", "4", "1000 B", "30", "2", "1"],
    ]


def test_a_file_without_an_id_is_called_by_its_name() -> None:
    page = pages_of([audit(id_text=None, file=f"/x/{HOSTILE}")])["sessions"]

    assert page.texts["code"] == ["script>\\x1b[2J\\u202e\\u2066"]  # behind its last slash
    assert page.texts["caption"] == ["The only session"]


def test_a_file_that_is_not_named_after_its_id_is_named() -> None:
    renamed = finding("name-differs", "")
    pages = pages_of([audit(1, renamed, file="/x/run.jsonl"), audit(2)])

    assert pages["sessions"].texts["code"] == [ident(1), "run.jsonl", ident(2)]
    assert pages["single"].texts["code"] == [ident(1), "run.jsonl"]


def test_what_is_cut_is_said() -> None:
    torn = [finding("torn-tail", "") for _ in range(2)]
    pages = pages_of([audit(number, *torn) for number in range(1, 302)])

    assert pages["single"].texts["caption"] == [
        (
            "The 200 worst of 602 findings; all are in what 'sessiontail audit' writes with -o jsonl or "
            "-o parquet"
        )
    ]
    assert pages["sessions"].texts["caption"] == [
        (
            "The 200 worst of 301 sessions; all are in what 'sessiontail audit' writes with -o jsonl or "
            "-o parquet"
        )
    ]
    assert len(pages["single"].all("tr")) == 1 + MOST_FINDINGS
    assert len(pages["sessions"].all("tr")) == 1 + MOST_SESSIONS
    assert pages["sessions"].texts["td"][0] == "torn-tail (2)"


def test_without_findings_only_sessions_are_listed() -> None:
    assert [*pages_of([audit()])] == ["sessions"]
