"""Evidence and time -> a verdict, without a file, a clock or a loop: each line of the table."""

from __future__ import annotations

import re
from itertools import product
from typing import Any

import pytest

from sessiontail import Outcome
from sessiontail.session import ending
from sessiontail.session.ending import (
    ABSENT_LOOKS,
    FAILED_RECHECK_S,
    FAR_S,
    FIRST_DOUBT_S,
    FIRST_RECHECK_S,
    GRACE_LOOK_S,
    LAST_RECHECK_S,
    QUIET_S,
    REMOTE_RECHECK_S,
    RENAME_GRACE_S,
    TRAILER_GRACE_S,
    EndDetector,
    Evidence,
    LookAgain,
    Writer,
)

NOW_S = 1_000.0
WALL_S = 1e9

FRESH = Evidence(
    place="wal",
    usurped=False,
    links=1,
    size=500,
    mtime_ns=int(WALL_S) * 10**9,
    read=500,
    rewritten=False,
    trailer=False,
    writer=Writer.NONE,
)


def seen(**what: Any) -> Evidence:
    return FRESH._replace(**what)


def old(age_s: float, **what: Any) -> Evidence:
    return seen(mtime_ns=int((WALL_S - age_s) * 10**9), **what)


class Case:
    """A detector, and the time that has gone by."""

    def __init__(self, *, remote: bool = False) -> None:
        self.detector = EndDetector(remote=remote, now_s=NOW_S)
        self.gone_s = 0.0

    def sees(self, evidence: Evidence, *, after_s: float = 0.0) -> Any:
        """Decide; of a time to look again, return how long that is."""
        self.gone_s += after_s
        now_s = NOW_S + self.gone_s
        decision = self.detector.decide(evidence, now_s=now_s, wall_s=WALL_S + self.gone_s)
        if isinstance(decision, LookAgain):
            return pytest.approx(decision.at_s - now_s)
        return decision


CLOSED, ABANDONED = Outcome.CLOSED, Outcome.ABANDONED
DELETED, REPLACED = Outcome.DELETED, Outcome.REPLACED

# What is seen once -> what is decided at once.
AT_FIRST_SIGHT: list[tuple[str, Evidence, Any]] = [
    ("shorter than what was read", seen(size=499), REPLACED),
    ("rewritten at its length", seen(rewritten=True), REPLACED),
    ("rewritten under its final name", seen(place="final", rewritten=True), REPLACED),
    ("closed", seen(place="final", trailer=True), CLOSED),
    ("closed, and opened again", seen(place="final", trailer=True, usurped=True), CLOSED),
    ("a copy under way", seen(place="final"), TRAILER_GRACE_S),
    ("a copy that stopped long ago", old(FAR_S, place="final"), ABANDONED),
    ("a copy of nearly then", old(FAR_S - 1, place="final"), TRAILER_GRACE_S),
    ("a copy beside a WAL", seen(place="final", usurped=True), TRAILER_GRACE_S),
    ("an old copy beside a WAL", old(FAR_S, place="final", usurped=True), ABANDONED),
    ("final, old, not asked", old(FAR_S, place="final", writer=Writer.NOT_ASKED), "ask"),
    ("final, old, held", old(FAR_S, place="final", writer=Writer.HOLDS), FAILED_RECHECK_S),
    ("final, old, no table now", old(FAR_S, place="final", writer=Writer.FAILED), FAILED_RECHECK_S),
    ("final, old, never a table", old(FAR_S, place="final", writer=Writer.UNKNOWN), ABANDONED),
    ("running, not asked", seen(writer=Writer.NOT_ASKED), "ask"),
    ("running", seen(writer=Writer.HOLDS), None),
    ("running, with a trailer", seen(writer=Writer.HOLDS, trailer=True), None),
    ("running, its clock far behind", old(1e6, writer=Writer.HOLDS), None),
    ("a WAL, no table now", seen(writer=Writer.FAILED), FAILED_RECHECK_S),
    ("a WAL, never a table", old(FAR_S, writer=Writer.UNKNOWN), None),
    ("a WAL that nobody holds", seen(), QUIET_S),
    ("a WAL of a clock 90 s behind", old(90), QUIET_S),
    ("a WAL of nearly ten minutes", old(FAR_S - 1), QUIET_S),
    ("a WAL of ten minutes", old(FAR_S), ABANDONED),
    ("a WAL of tomorrow", old(-86_400), QUIET_S),
    ("an old WAL with a trailer", old(FAR_S, trailer=True), GRACE_LOOK_S),
    ("an old empty WAL", old(FAR_S, size=0, read=0), GRACE_LOOK_S),
    ("without a name", seen(place="nowhere", links=0), DELETED),
    ("without a name, another there", seen(place="nowhere", links=0, usurped=True), REPLACED),
    ("linked elsewhere, not asked", seen(place="nowhere", writer=Writer.NOT_ASKED), "ask"),
    ("linked elsewhere, no table", seen(place="nowhere", writer=Writer.FAILED), FAILED_RECHECK_S),
    ("linked elsewhere", seen(place="nowhere"), GRACE_LOOK_S),
]


@pytest.mark.parametrize(
    ("evidence", "decision"),
    [line[1:] for line in AT_FIRST_SIGHT],
    ids=[x[0] for x in AT_FIRST_SIGHT],
)
def test_what_is_seen_once_is_decided_by_the_table(evidence: Evidence, decision: Any) -> None:
    assert Case().sees(evidence) == decision


def rows() -> list[list[str]]:
    """The table of the module's docstring: where, trailer, writer, else, verdict."""
    assert ending.__doc__
    lines = [re.split(r" {2,}", line.strip()) for line in ending.__doc__.splitlines()]
    head = next(number for number, line in enumerate(lines) if line[0] == "where it is")
    return lines[head + 1 : lines.index([""], head)]


PLACES: dict[str, dict[str, Any]] = {
    "anywhere": {},
    "final name": {"place": "final"},
    "WAL": {},
    "WAL, empty": {"size": 0, "read": 0},
    "nowhere": {"place": "nowhere"},
}
TRAILERS: dict[str, list[bool]] = {
    "-": [False, True],
    "any": [False, True],
    "read": [True],
    "none": [False],
}
# Who writes it, before its end was met and then.
WRITERS: dict[str, list[list[Writer]]] = {
    "-": [[Writer.NONE]],
    "none": [[Writer.NONE]],
    "holds the lock": [[Writer.HOLDS]],
    "no table, ever": [[Writer.UNKNOWN]],
    "seen, and gone": [[Writer.HOLDS, Writer.NONE]],
    "never seen": [[Writer.NONE]],
    "gone, as above": [[Writer.HOLDS, Writer.NONE], [Writer.NONE]],
}
# What else is so; and how long it was seen to be, or how often.
ELSE: dict[str, list[tuple[dict[str, Any], float, int]]] = {
    "-": [({}, 0, 1)],
    "shorter than was read, or rewritten": [({"size": 499}, 0, 1), ({"rewritten": True}, 0, 1)],
    "2 s of quiet, or it was always old": [({}, 2, 1), ({"mtime_ns": 0}, 0, 1)],
    "60 s of quiet, or 10 minutes old": [({}, 60, 1), ({"mtime_ns": 0}, 0, 1)],
    "2 s without the rename": [({"mtime_ns": 0}, 2, 1)],
    "2 s without a lock": [({"mtime_ns": 0}, 2, 1)],
    "no links left": [({"links": 0}, 0, 1)],
    "linked elsewhere, at three looks": [({}, 0, 3)],
}


@pytest.mark.parametrize("row", rows(), ids=" ".join)
def test_each_row_of_the_table_is_what_is_decided(row: list[str]) -> None:
    place, trailer, writer, otherwise, verdict = row
    wanted = None if verdict == "none" else Outcome[verdict]
    ways = product(TRAILERS[trailer], WRITERS[writer], ELSE[otherwise])
    for trailer_read, writers, (what, quiet_s, looks) in ways:
        case = Case()
        file = seen(**{**PLACES[place], **what}, trailer=trailer_read)
        for held in writers:
            decided = case.sees(file._replace(writer=held))
        if quiet_s:
            assert decided is not wanted  # not before its time
            decided = case.sees(file, after_s=quiet_s)
        for _ in range(looks - 1):
            assert decided is not wanted
            decided = case.sees(file, after_s=GRACE_LOOK_S)

        assert decided is wanted


def test_a_lock_that_was_seen_and_is_gone_proves_the_end_at_once() -> None:
    case = Case()
    case.sees(seen(writer=Writer.HOLDS))

    assert case.sees(seen(), after_s=0.001) is ABANDONED


def test_a_writer_counts_as_seen_until_another_may_be_at_it() -> None:
    case = Case()

    told = [case.detector.writer_seen]
    case.sees(seen(writer=Writer.HOLDS))
    told.append(case.detector.writer_seen)
    case.detector.resumed()
    told.append(case.detector.writer_seen)

    assert told == [False, True, False]


def test_without_a_lock_a_minute_of_quiet_that_was_seen_proves_it() -> None:
    case = Case()

    assert case.sees(seen()) == QUIET_S
    assert case.sees(seen(), after_s=QUIET_S - 1) == 1
    assert case.sees(seen(), after_s=0.99) == 0.05  # never sooner
    assert case.sees(seen(), after_s=0.01) is ABANDONED


def test_each_write_begins_the_minute_anew_whatever_its_clock_says() -> None:
    case = Case()
    case.sees(old(90))
    for size in (600, 700, 800):
        assert case.sees(old(90, size=size, read=size), after_s=QUIET_S - 1) == QUIET_S


@pytest.mark.parametrize("empty", [True, False])
def test_a_wal_that_is_whole_or_empty_is_given_time_for_its_rename_or_its_lock(
    *, empty: bool
) -> None:
    case = Case()
    file = seen(size=0, read=0) if empty else seen(trailer=True)
    case.sees(file._replace(writer=Writer.HOLDS))

    assert case.sees(file) == GRACE_LOOK_S
    assert case.sees(file, after_s=RENAME_GRACE_S - 0.01) == GRACE_LOOK_S
    assert case.sees(file, after_s=0.01) is ABANDONED


@pytest.mark.parametrize("empty", [True, False])
def test_a_writer_that_comes_back_unseen_is_not_known_to_be_gone(*, empty: bool) -> None:
    case = Case()
    file = seen(size=0, read=0) if empty else seen()
    case.sees(file._replace(writer=Writer.HOLDS))
    case.sees(file, after_s=RENAME_GRACE_S)
    assert case.sees(file, after_s=RENAME_GRACE_S) is ABANDONED

    case.detector.resumed()
    more = seen(size=600, read=600)
    assert case.sees(more) == QUIET_S
    case.sees(more._replace(trailer=True, writer=Writer.HOLDS))
    assert case.sees(more._replace(trailer=True)) == GRACE_LOOK_S


@pytest.mark.parametrize(("others", "outcome"), [(False, DELETED), (True, REPLACED)])
def test_a_file_that_is_not_held_and_has_no_name_is_looked_for_three_times(
    outcome: Outcome, *, others: bool
) -> None:
    detector = Case().detector
    for _ in range(ABSENT_LOOKS - 1):
        assert detector.missing(others=others, now_s=NOW_S) == LookAgain(NOW_S + GRACE_LOOK_S)
    detector.found()
    for _ in range(ABSENT_LOOKS - 1):
        assert detector.missing(others=others, now_s=NOW_S) == LookAgain(NOW_S + GRACE_LOOK_S)

    assert detector.missing(others=others, now_s=NOW_S) is outcome


def test_a_writer_that_comes_back_begins_the_time_for_the_rename_anew() -> None:
    case = Case()
    whole = seen(trailer=True)
    case.sees(whole._replace(writer=Writer.HOLDS))
    case.sees(whole)
    case.sees(whole._replace(writer=Writer.HOLDS), after_s=RENAME_GRACE_S)

    assert case.sees(whole) == GRACE_LOOK_S


def test_a_rename_within_its_time_closes() -> None:
    case = Case()
    case.sees(seen(trailer=True, writer=Writer.HOLDS))
    case.sees(seen(trailer=True))

    assert case.sees(seen(place="final", trailer=True), after_s=1) is CLOSED
    assert case.detector.renamed


def test_a_copy_is_abandoned_once_it_was_quiet_and_nobody_holds_it() -> None:
    case = Case()
    copy = seen(place="final", writer=Writer.NOT_ASKED)

    assert case.sees(copy) == TRAILER_GRACE_S
    grown = copy._replace(size=600, read=600)
    assert case.sees(grown, after_s=1.5) == TRAILER_GRACE_S
    assert case.sees(grown, after_s=TRAILER_GRACE_S) == "ask"
    assert case.sees(grown._replace(writer=Writer.HOLDS)) == FAILED_RECHECK_S
    assert case.sees(grown._replace(writer=Writer.NONE)) is ABANDONED


def test_a_copy_whose_time_is_set_back_at_each_write_is_given_its_quiet() -> None:
    case = Case()
    copy = old(10 * FAR_S, place="final")
    case.sees(seen(place="final", size=400, read=400))

    assert case.sees(copy, after_s=0.2) == TRAILER_GRACE_S


def test_a_file_under_neither_name_is_looked_for_three_times() -> None:
    case = Case()
    away = seen(place="nowhere")

    for _ in range(ABSENT_LOOKS - 1):
        assert case.sees(away, after_s=GRACE_LOOK_S) == GRACE_LOOK_S
    assert case.sees(away, after_s=GRACE_LOOK_S) is DELETED


def test_a_file_that_is_found_again_in_between_is_looked_for_anew() -> None:
    case = Case()
    away = seen(place="nowhere", writer=Writer.HOLDS)
    for _ in range(ABSENT_LOOKS - 1):
        case.sees(away)
    case.sees(seen(writer=Writer.HOLDS))

    assert case.sees(away) == GRACE_LOOK_S


def test_a_file_that_was_moved_away_is_followed_while_its_writer_holds_it() -> None:
    case = Case()
    for _ in range(10):
        last = case.sees(seen(place="nowhere", writer=Writer.HOLDS))

    assert last == LAST_RECHECK_S
    assert case.sees(seen(place="nowhere", usurped=True)) is REPLACED


def test_a_file_that_was_moved_away_is_left_when_another_has_its_name() -> None:
    case = Case()
    held = seen(place="nowhere", usurped=True, writer=Writer.HOLDS)

    for _ in range(ABSENT_LOOKS - 1):
        assert case.sees(held, after_s=GRACE_LOOK_S) == GRACE_LOOK_S
    assert case.sees(held, after_s=GRACE_LOOK_S) is REPLACED


def test_a_lock_that_may_go_at_any_moment_is_looked_at_soon_and_then_less_and_less() -> None:
    case = Case()
    held = seen(writer=Writer.HOLDS)
    case.detector.expect_end()
    waits = [case.sees(held).expected for _ in range(4)]

    assert waits == pytest.approx([FIRST_RECHECK_S * 4**i for i in range(4)])
    assert waits[-1] <= LAST_RECHECK_S
    assert case.sees(held) is None  # from here on it is told, or found by a survey


def test_a_writer_that_did_not_show_and_writes_is_looked_for_ever_more_seldom() -> None:
    case = Case()
    detector = case.detector
    assert detector.wrote(NOW_S) is None  # nobody doubts yet
    waits = []
    for size in range(600, 1200, 100):
        case.sees(seen(size=size, read=size))
        again = detector.wrote(NOW_S)
        assert again is not None
        waits.append(again.at_s - NOW_S)
        assert detector.wrote(NOW_S) is None  # once is enough

    assert waits == pytest.approx([FIRST_DOUBT_S * 2**i for i in range(6)])
    case.sees(seen(writer=Writer.HOLDS))
    assert detector.wrote(NOW_S) is None  # it showed


def test_on_another_machine_a_lock_that_is_gone_proves_nothing() -> None:
    case = Case(remote=True)
    case.sees(seen(writer=Writer.HOLDS))

    assert case.sees(seen()) == REMOTE_RECHECK_S
    assert case.sees(seen(), after_s=QUIET_S) is ABANDONED


def test_on_another_machine_a_final_name_is_given_a_minute_too_however_old_it_is() -> None:
    case = Case(remote=True)
    copy = old(10 * FAR_S, place="final")

    assert case.sees(copy) == REMOTE_RECHECK_S
    assert case.sees(copy, after_s=QUIET_S) is ABANDONED
    assert Case(remote=True).sees(seen(place="final", trailer=True)) is CLOSED
