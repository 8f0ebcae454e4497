"""One generation of one file, looked at step by step, from open to outcome."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from actors import LONG_AGO_S, Actor
from samples import session_bytes
from sessiontail import Outcome, Record
from sessiontail.format.batch import Batch
from sessiontail.format.cursor import START
from sessiontail.session.follower import Follower
from sessiontail.session.reader import FileReader
from sessiontail.system.files import SessionFile
from sessiontail.system.locks import LockTable
from sessiontail.system.paths import path_paths


@pytest.fixture
def actor(tmp_path: Path) -> Iterator[Actor]:
    with Actor(tmp_path).open().say("one", "two") as actor:
        yield actor


def follow(path: Path) -> Follower:
    return Follower(path_paths(path), FileReader(SessionFile(path)), START)


def step(follower: Follower, *, judge: bool = True, ask: bool = True) -> Any:
    table = LockTable.read() if ask else None
    return follower.step(judge=judge, table=table, block=True)


def rest(follower: Follower, *, judge: bool = True) -> tuple[list[Record], Any]:
    """What it reads, and what it says then."""
    got: list[Record] = []
    while isinstance(found := step(follower, judge=judge), Batch):
        got += found.records
    return got, found


def test_while_a_writer_holds_the_file_there_is_no_verdict(actor: Actor) -> None:
    follower = follow(actor.wal)

    assert rest(follower) == (actor.records, None)
    assert follower.is_held(LockTable.read())
    actor.say("three")
    assert rest(follower) == (actor.records[3:], None)
    follower.reader.close()


def test_without_a_lock_table_it_asks_for_one(actor: Actor) -> None:
    follower = follow(actor.wal)
    rest(follower)

    assert (step(follower, ask=False), follower.wants_locks) == (None, True)
    assert (step(follower), follower.wants_locks) == (None, False)
    follower.reader.close()


@pytest.mark.parametrize("judge", [True, False])
def test_it_judges_where_it_is_asked_to_or_a_trailer_was_read(actor: Actor, *, judge: bool) -> None:
    follower = follow(actor.wal)
    rest(follower, judge=judge)
    actor.wal.unlink()

    assert step(follower, judge=judge) == (Outcome.DELETED if judge else None)
    follower.reader.close()


def test_a_close_ends_it_when_all_was_read_asked_or_not(actor: Actor) -> None:
    follower = follow(actor.wal)
    rest(follower, judge=False)
    actor.say("three").close()

    assert rest(follower, judge=False) == (actor.records[3:], Outcome.CLOSED)
    assert follower.trailer_seen
    follower.reader.close()


def test_a_writer_that_was_seen_and_is_gone_ends_it(actor: Actor) -> None:
    follower = follow(actor.wal)
    rest(follower)
    actor.kill()

    assert not follower.is_held(LockTable.read())
    assert rest(follower) == ([], Outcome.ABANDONED)
    follower.reader.close()


@pytest.mark.parametrize(
    ("act", "outcome"),
    [
        (lambda actor: actor.wal.unlink(), Outcome.DELETED),
        (lambda actor: actor.cut(100), Outcome.REPLACED),
        (lambda actor: actor.cut(0), Outcome.REPLACED),
        (
            lambda actor: actor.wal.write_bytes(actor.data.replace(b"two", b"TWO")),
            Outcome.REPLACED,
        ),
        (lambda actor: replace(actor.wal, session_bytes(9, closed=False)), Outcome.REPLACED),
    ],
    ids=["unlinked", "cut", "emptied", "rewritten", "another"],
)
def test_what_became_of_the_file_is_the_outcome(
    actor: Actor, act: Callable[[Actor], object], outcome: Outcome
) -> None:
    follower = follow(actor.wal)
    rest(follower)
    act(actor)

    assert rest(follower) == ([], outcome)
    follower.reader.close()


def replace(path: Path, data: bytes) -> None:
    other = path.with_name("other")
    other.write_bytes(data)
    other.replace(path)


@pytest.mark.parametrize("moment", ["end met", "verdict formed"])
def test_what_is_written_before_the_writer_is_gone_comes_before_the_end(
    actor: Actor, moment: str
) -> None:
    follower = follow(actor.wal)
    rest(follower)
    acts: list[Callable[[], object]] = [lambda: actor.say("late").close()]
    if moment == "verdict formed":
        actor.kill()  # the verdict: abandoned; then somebody comes back
        acts = [lambda: actor.resume(cut=True).say("late").close()]

    def gate(now: str) -> None:
        if now == moment and acts:
            acts.pop()()

    follower.gate = gate
    got, outcome = rest(follower)
    if outcome is None:  # the lock table is of before: it is asked for again
        more, outcome = rest(follower)
        got += more

    assert (got, outcome) == (actor.records[3:], Outcome.CLOSED)
    assert actor.records[4:]
    follower.reader.close()


def test_a_file_that_is_between_two_names_is_not_gone(actor: Actor) -> None:
    follower = follow(actor.wal)
    rest(follower)
    aside = actor.wal.with_name("aside")
    actor.finish()
    actor.wal.rename(aside)
    owed = actor.records[3:]
    first = rest(follower)
    planned = follower.look_at_s
    aside.rename(actor.final)

    assert first == (owed, None)
    assert planned is not None
    assert rest(follower) == ([], Outcome.CLOSED)
    follower.reader.close()


def test_when_to_look_again_is_said_where_nothing_will_tell(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(session_bytes(1, closed=False))
    fresh = follow(path)
    os.utime(path, (LONG_AGO_S, LONG_AGO_S))
    old = follow(path)
    path.touch()

    assert rest(fresh)[1] is None
    assert fresh.look_at_s is not None
    os.utime(path, (LONG_AGO_S, LONG_AGO_S))
    assert rest(old)[1] is Outcome.ABANDONED
    for follower in (fresh, old):
        follower.reader.close()


def test_only_a_wal_counts_as_held(actor: Actor) -> None:
    follower = follow(actor.wal)
    rest(follower)
    actor.rename()  # still locked

    assert not follower.is_held(LockTable.read())
    follower.reader.close()
    actor.final.rename(actor.wal)
    assert not follower.is_held(LockTable.read())  # its descriptor is given back


def test_on_the_loop_what_is_not_at_hand_is_for_a_thread_and_nothing_is_lost(
    actor: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    follower = follow(actor.wal)
    with monkeypatch.context() as cold:
        cold.setattr(SessionFile, "read_cached", lambda *_: None)
        with pytest.raises(BlockingIOError):
            follower.step(judge=True, table=None, block=False)

    assert rest(follower) == (actor.records, None)
    follower.reader.close()
