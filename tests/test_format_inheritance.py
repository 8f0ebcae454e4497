"""Rows of a session, and what its header says -> how many of the first are its parent's."""

from __future__ import annotations

import pytest

from said import START, Said
from samples import ID
from sessiontail import Header, LineageKind
from sessiontail.format.inheritance import common, may_inherit


@pytest.mark.parametrize(
    ("rows", "parent", "count", "settled"),
    [
        ("hAqB", "hA", 2, True),
        ("hqB", "h", 1, True),
        ("hAqB", "hAqBr", 4, False),
        ("xA", "hA", 0, True),
        ("hA", "h", 1, True),
    ],
    ids=["a turn", "before any answer", "it went on", "nothing", "damaged behind one row"],
)
def test_a_parent_that_is_there_is_compared_row_by_row(
    rows: str, parent: str, count: int, *, settled: bool
) -> None:
    match = common(Said("1", rows, finished=False), Said("0", parent))

    assert (match.count, match.undecided, match.settled) == (count, count, settled)


@pytest.mark.parametrize(
    ("kind", "parents", "may"),
    [
        ("op_session_loop", (ID,), True),
        ("unknown", (ID,), True),
        ("op_detach", (), True),
        ("op_session_loop", (), True),
        ("leaf_user", (), False),
        ("op_create", (), False),
        ("unknown", (), False),
    ],
)
def test_only_what_was_made_from_another_session_can_inherit(
    kind: str, parents: tuple[object, ...], *, may: bool
) -> None:
    header = Header(
        id=ID, created_at=START, lineage_kind=LineageKind(kind), parent_session_ids=parents  # type: ignore[arg-type] # ids
    )  # fmt: skip

    assert may_inherit(header) is may
