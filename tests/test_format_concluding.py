"""What can be said only of a whole file: its header, its trailer, its name, who is beside it."""

from __future__ import annotations

from typing import Any

import pytest

from chats import name
from samples import ID, chunk_line, header_line, session_bytes, trailer_line
from sessiontail.format.audit import SessionAudit
from sessiontail.format.auditing import AuditFold
from sessiontail.format.concluding import FileFacts, conclude, of_unread, with_lineage
from sessiontail.format.framing import Block
from sessiontail.format.lifecycle import SessionState
from sessiontail.format.tally import Tally


def facts(size: int, **fields: Any) -> FileFacts:
    made: dict[str, Any] = {
        "file": f"/s/{ID}.jsonl",
        "stem": str(ID),
        "is_wal": False,
        "has_twin": False,
        "size_bytes": size,
        "state": SessionState.CLOSED,
    }
    return FileFacts(**made | fields)


def concluded(data: bytes, **fields: Any) -> SessionAudit:
    fold = AuditFold()
    whole = data[: data.rfind(b"\n") + 1]
    if whole:
        fold.add_lines(Block.cut(whole))
    return conclude(fold.state, facts(len(data), **fields))


def found(audit: SessionAudit) -> list[tuple[str, int | None, int | None]]:
    return [(one.reason, one.line, one.offset) for one in audit.findings]


def test_a_whole_session_has_no_finding() -> None:
    audit = concluded(session_bytes(2))

    assert (audit.id, found(audit), audit.rows, audit.lines) == (ID, [], 2, 4)
    assert (audit.closed, audit.torn_bytes, audit.was_read) == (True, 0, True)


HEAD = len(header_line())
ODD = {
    "no trailer": (session_bytes(1, closed=False), {}, ("no-trailer", None, None)),
    "another count": (
        header_line() + chunk_line() + trailer_line(5), {},
        ("count-mismatch", 3, HEAD + len(chunk_line())),
    ),
    "another name": (session_bytes(1), {"stem": name(3)}, ("name-differs", None, None)),
    "another name that is no id": (session_bytes(1), {"stem": "foo"}, ("name-differs", None, None)),
    "two files": (session_bytes(1), {"has_twin": True}, ("two-files", None, None)),
    "a torn tail": (session_bytes(1) + b"{", {}, ("torn-tail", 4, len(session_bytes(1)))),
    "nothing": (b"", {}, ("no-header", None, None)),
    "nothing but a torn header": (b'{"rec', {"is_wal": True}, ("no-header", None, None)),
}  # fmt: skip


@pytest.mark.parametrize(("data", "fields", "expected"), ODD.values(), ids=ODD)
def test_what_is_odd_about_a_file_is_found(
    data: bytes, fields: dict[str, Any], expected: tuple[str, int | None, int | None]
) -> None:
    audit = concluded(data, **fields)

    assert found(audit)[:1] == [expected]
    assert audit.findings_by_reason[expected[0]] == 1


def test_a_wal_needs_no_trailer_and_letters_of_a_name_may_be_capitals() -> None:
    audit = concluded(session_bytes(1, closed=False), is_wal=True, stem=str(ID).upper())

    assert found(audit) == []


def test_a_writer_that_came_back_counts_its_own_chunks() -> None:
    again = header_line() + chunk_line(2) + trailer_line(1)

    audit = concluded(session_bytes(2, closed=False) + again)

    assert [one.reason for one in audit.findings] == ["duplicate-header"]


def test_without_a_header_the_name_says_which_session_it_was() -> None:
    assert concluded(b"x\n").id == ID
    assert concluded(b"x\n", stem="foo").id is None


def test_a_file_that_was_not_read_says_why_and_counts_nothing() -> None:
    audit = of_unread(facts(500), "permission denied")

    assert (audit.was_read, audit.rows, audit.size_bytes, audit.inherited) == (False, 0, 500, None)
    assert [one.message for one in audit.findings] == ["permission denied"]


def test_what_others_say_stands_behind_its_own() -> None:
    audit = concluded(session_bytes(1, closed=False), is_wal=True)

    told = with_lineage(
        audit,
        inherited=Tally(rows=1),
        origin=name(2),
        missing=(name(2), name(3)),
        in_cycle=True,
    )

    assert [one.reason for one in told.findings] == [
        "missing-parent", "missing-parent", "lineage-cycle",
    ]  # fmt: skip
    assert told.findings_by_reason == {"missing-parent": 2, "lineage-cycle": 1}
    assert (told.inherited_rows, told.own_rows, told.origin_text) == (1, 0, name(2))
