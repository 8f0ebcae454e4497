"""A lane -> the file that it is to follow, open, and the position in it; or nothing to follow."""

from __future__ import annotations

import errno
import logging
import os
import shutil
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from actors import Actor, held_of, records_of
from samples import ID, header_line, session_bytes
from sessiontail.directory.lane import Lane
from sessiontail.directory.opening import (
    Opened,
    Reopened,
    close_what_came,
    key_of,
    open_lane,
    reopen_lane,
    verdict_on,
)
from sessiontail.format.batch import Batch
from sessiontail.format.cursor import START, Position
from sessiontail.format.framing import MAX_LINE_BYTES
from sessiontail.format.lifecycle import Outcome
from sessiontail.session.ending import ABSENT_LOOKS, LookAgain
from sessiontail.session.follower import Follower
from sessiontail.session.reader import FileReader
from sessiontail.system.calls import Call
from sessiontail.system.files import SessionFile
from sessiontail.system.paths import stem_paths
from sessiontail.system.stats import StoreStats
from sessiontail.system.survey import look_around


def opened(lane: Lane, directory: Path, *, block: bool = True, **options: Any) -> Opened:
    values: dict[str, Any] = {
        "ended": None,
        "max_line_bytes": MAX_LINE_BYTES,
        "stats": StoreStats(),
        "remote": False,
    }
    return open_lane(lane, directory, block=block, **(values | options))


def followed(lane: Lane, directory: Path, **options: Any) -> Follower:
    found = opened(lane, directory, **options)
    assert found.follower is not None
    lane.begin(found.follower, found.position)
    return found.follower


def read(follower: Follower) -> list[Any]:
    """What it has to read, up to its end."""
    records = []
    while isinstance(batch := follower.step(judge=False, table=None, block=True), Batch):
        records += batch.records
    return records


def seen(lane: Lane, directory: Path) -> Lane:
    """Let a survey see it."""
    found = look_around(directory)
    assert found is not None
    lane.seen = found[lane.stem]
    return lane


@pytest.mark.parametrize("block", [True, False])
@pytest.mark.parametrize("is_seen", [True, False])
def test_the_one_file_of_a_session_is_opened_at_its_begin(
    tmp_path: Path, *, block: bool, is_seen: bool
) -> None:
    with Actor(tmp_path).open().say("one") as actor:
        lane = Lane(str(ID), START)
        follower = followed(seen(lane, tmp_path) if is_seen else lane, tmp_path, block=block)

        assert lane.is_open
        assert lane.seen is None
        assert follower.reader.file.path == actor.wal
        assert read(follower) == actor.records
        lane.close_file()
    assert held_of(tmp_path) == []


def test_where_no_file_is_there_is_nothing_to_follow(tmp_path: Path) -> None:
    for block in (True, False):
        assert opened(Lane(str(ID), START), tmp_path, block=block) == Opened(
            None, START, done=False
        )


def test_what_is_done_with_is_not_followed_nor_a_copy_of_it(tmp_path: Path) -> None:
    Actor(tmp_path).open().say("one").close()
    final = tmp_path / f"{ID}.jsonl"
    file = SessionFile(final)
    key = key_of(file)
    file.close()
    lane = Lane(str(ID), START)

    assert opened(lane, tmp_path, ended=key) == Opened(None, START, done=True)
    os.utime(final, (1, 1))
    assert opened(lane, tmp_path, ended=key).done
    shutil.copy(final, tmp_path / "copy")
    (tmp_path / "copy").replace(final)
    assert opened(lane, tmp_path, ended=key).done
    with pytest.raises(BlockingIOError):
        opened(lane, tmp_path, ended=key, block=False)
    assert held_of(tmp_path) == []


@pytest.mark.parametrize("change", ["longer", "as long"])
def test_another_file_under_the_name_of_what_is_done_with_is_followed(
    tmp_path: Path, change: str
) -> None:
    final = tmp_path / f"{ID}.jsonl"
    final.write_bytes(session_bytes())
    file = SessionFile(final)
    key = key_of(file)
    file.close()
    data = session_bytes(2) if change == "longer" else session_bytes().replace(b"hi", b"ho")
    final.write_bytes(data)
    os.utime(final, (1, 1))

    follower = followed(Lane(str(ID), START), tmp_path, ended=key)

    assert read(follower) == records_of(data)
    follower.reader.close()


def test_of_two_generations_the_closed_one_comes_first_unless_it_is_done_with(
    tmp_path: Path,
) -> None:
    first, second = Actor(tmp_path), Actor(tmp_path)
    first.open().say("old").close()
    file = SessionFile(first.final)
    key = key_of(file)
    file.close()
    with second.open().say("new"):
        with pytest.raises(BlockingIOError):
            opened(Lane(str(ID), START), tmp_path, block=False)
        earlier = followed(Lane(str(ID), START), tmp_path)
        later = followed(Lane(str(ID), START), tmp_path, ended=key)

        assert [read(earlier), read(later)] == [first.records, second.records]
        assert held_of(tmp_path) == [str(first.final), *[str(second.wal)] * 2]
        earlier.reader.close()
        later.reader.close()


def position_behind(path: Path, records: int) -> Position:
    """Where a stream stands that has handed over so many records of a file."""
    lane = Lane(str(ID), START)
    follower = Follower(
        stem_paths(path.name.partition(".")[0], path.parent),
        FileReader(SessionFile(path)),
        START,
    )
    lane.begin(follower, START)
    batch = follower.step(judge=False, table=None, block=True)
    assert isinstance(batch, Batch)
    lane.stream.put(batch)
    for _ in range(records):
        lane.stream.take()
    lane.close_file()
    return lane.stream.position


def test_a_position_finds_the_generation_that_it_fits(tmp_path: Path) -> None:
    first, second = Actor(tmp_path), Actor(tmp_path)
    first.open().say("old", "older").close()
    with second.open().say("new", "newer"):
        for actor, path in ((first, first.final), (second, second.wal)):
            lane = Lane(str(ID), position_behind(path, 2))
            follower = followed(lane, tmp_path)

            assert follower.reader.file.path == path
            assert read(follower) == actor.records[2:]
            assert lane.stream.position == lane.after
            follower.reader.close()


def test_a_file_that_a_position_does_not_fit_is_read_anew_and_that_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    actor = Actor(tmp_path).open().say("old")
    lane = Lane(str(ID), position_behind(actor.wal, 2))
    actor.cut(0)
    actor.write(header_line(created_at="2026-02-02T00:00:00+00:00"))
    actor.say("another story", "longer")

    with actor, caplog.at_level(logging.WARNING):
        follower = followed(lane, tmp_path)

        assert read(follower) == actor.records
        assert caplog.messages == [f"{ID} is another file than before: read anew"]
        follower.reader.close()


def test_the_last_records_are_searched_in_a_thread_before_the_end_that_was_seen(
    tmp_path: Path,
) -> None:
    with Actor(tmp_path).open().say("one", "two", "three") as actor:
        lane = seen(Lane(str(ID), START), tmp_path)
        lane.last = 2
        actor.say("later")
        with pytest.raises(BlockingIOError):
            opened(lane, tmp_path, block=False)
        assert held_of(tmp_path) == [str(actor.wal)]  # the writer's own
        follower = followed(lane, tmp_path)

        assert read(follower) == actor.records[-3:]
        follower.reader.close()


def test_on_another_machine_nothing_is_opened_on_the_loop(tmp_path: Path) -> None:
    with Actor(tmp_path).open():
        with pytest.raises(BlockingIOError):
            opened(Lane(str(ID), START), tmp_path, remote=True, block=False)
        lane = Lane(str(ID), START)
        follower = followed(lane, tmp_path, remote=True)
        assert follower.reader.file.remote
        with pytest.raises(BlockingIOError):
            reopen_lane(follower, remote=True, block=False)
        lane.close_file()


def test_a_file_that_cannot_be_read_is_closed_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    actor = Actor(tmp_path).open().say("one")
    lane = Lane(str(ID), position_behind(actor.wal, 1))
    actor.kill()

    def failing(*_: object) -> bytes:
        raise OSError(errno.EIO, "no such sector")

    monkeypatch.setattr(SessionFile, "read_now", failing)
    with pytest.raises(OSError, match="sector"):
        opened(lane, tmp_path)

    assert held_of(tmp_path) == []


@pytest.mark.parametrize(
    ("change", "found", "others", "changed"),
    [
        (lambda _: None, True, False, False),
        (lambda actor: actor.rename(), True, False, False),
        (lambda actor: actor.wal.unlink(), False, False, False),
        (
            lambda actor: (actor.wal.unlink(), actor.wal.write_bytes(session_bytes())),
            False,
            True,
            False,
        ),
        (lambda actor: (actor.rename(), actor.wal.write_bytes(b"")), True, True, False),
        (lambda actor: actor.wal.write_bytes(session_bytes(7)[::-1]), True, False, True),
        (lambda actor: os.truncate(actor.wal, 10), True, False, True),
    ],
    ids=["as it was", "renamed", "gone", "another", "renamed, another", "rewritten", "cut"],
)
def test_a_file_that_was_closed_meanwhile_is_found_and_compared(
    tmp_path: Path, change: Any, *, found: bool, others: bool, changed: bool
) -> None:
    actor = Actor(tmp_path).open().say("one")
    lane = Lane(str(ID), START)
    follower = followed(lane, tmp_path)
    keep = os.open(actor.wal, os.O_RDONLY)  # no other file gets its number
    read(follower)
    lane.close_file()
    actor.kill()
    change(actor)

    again = reopen_lane(follower, remote=False, block=True)

    assert (again.file is not None, again.others, again.changed) == (found, others, changed)
    assert lane.is_open == found
    lane.close_file()
    os.close(keep)
    assert held_of(tmp_path) == []


@pytest.mark.parametrize("again", [False, True])
def test_what_a_thread_opens_for_a_lane_that_was_left_is_closed(
    tmp_path: Path, *, again: bool
) -> None:
    Actor(tmp_path).open().kill()
    lane = Lane(str(ID), START)
    if again:
        follower = followed(lane, tmp_path)
        lane.close_file()
        call: Call[Any] = Call("", partial(reopen_lane, follower, remote=False, block=True))
    else:
        call = Call("", opened, lane, tmp_path)
    found = call._future.result(30)
    assert isinstance(found, Reopened if again else Opened)
    assert len(held_of(tmp_path)) == 1

    close_what_came(lane, call)

    assert held_of(tmp_path) == []


def test_a_thread_that_failed_has_opened_nothing_to_close(tmp_path: Path) -> None:
    lane = Lane(str(ID), START)
    call: Call[Any] = Call("", partial(opened, lane, tmp_path, nonsense=True))
    assert isinstance(call._future.exception(30), TypeError)

    close_what_came(lane, call)

    assert held_of(tmp_path) == []


@pytest.mark.parametrize(
    ("became", "verdicts"),
    [
        ("longer", [None] * 3),
        ("rewritten", [Outcome.REPLACED]),
        ("gone", ["again", "again", Outcome.DELETED]),
        ("another", ["again", "again", Outcome.REPLACED]),
    ],
)
def test_what_became_of_a_file_that_was_not_held(
    tmp_path: Path, became: str, verdicts: list[Any]
) -> None:
    assert len(verdicts) in {1, ABSENT_LOOKS}
    actor = Actor(tmp_path).open().say("one")
    follower = followed(Lane(str(ID), START), tmp_path)
    read(follower)
    follower.reader.close()
    if became == "longer":
        actor.say("two")
    elif became == "rewritten":
        actor.wal.write_bytes(session_bytes(chunks=5)[::-1])
    else:
        actor.wal.rename(tmp_path / "elsewhere")
    actor.kill()
    if became == "another":
        actor.wal.write_bytes(session_bytes())

    found = []
    for _ in verdicts:
        again = reopen_lane(follower, remote=False, block=True)
        verdict = verdict_on(follower, again, now_s=1.0)
        found.append("again" if isinstance(verdict, LookAgain) else verdict)
        if verdict is None:
            follower.reader.close()

    assert found == verdicts
    assert held_of(tmp_path) == []
