"""One session of a directory: its name, its place, and whether it can spare its descriptor."""

from __future__ import annotations

from pathlib import Path
from uuid import UUID

import pytest

from actors import Actor
from samples import ID
from sessiontail.directory.lane import (
    FIRST_PAUSE_S,
    MOST_PAUSE_S,
    ForeignFile,
    Lane,
    stem_uuid,
)
from sessiontail.directory.schedule import LaneState
from sessiontail.format.batch import Batch
from sessiontail.format.cursor import START
from test_directory_opening import followed, read

OTHER = UUID(int=7)


@pytest.mark.parametrize(
    ("stem", "found"),
    [
        (str(ID), ID),
        (str(ID).upper(), ID),
        (f"{{{ID}}}", ID),
        ("foo", None),
        ("", None),
        (f"{ID} copy", None),
    ],
)
def test_a_stem_that_is_an_id_is_the_sessions_until_its_header_is_read(
    stem: str, found: UUID | None
) -> None:
    assert stem_uuid(stem) == found
    assert Lane(stem, START).session_id == found


def test_the_headers_id_counts_more_than_the_name(tmp_path: Path) -> None:
    Actor(tmp_path, ID).open().close()
    (tmp_path / f"{ID}.jsonl").rename(tmp_path / f"{OTHER}.jsonl")
    lane = Lane(str(OTHER), START)
    follower = followed(lane, tmp_path)
    assert lane.session_id == OTHER
    batch = follower.step(judge=False, table=None, block=True)
    assert isinstance(batch, Batch)
    lane.stream.put(batch)
    lane.stream.take()

    assert lane.session_id == ID
    lane.close_file()


def test_a_lane_has_both_names_of_its_file(tmp_path: Path) -> None:
    paths = Lane("foo", START).paths(tmp_path)

    assert (paths.final, paths.wal) == (
        tmp_path / "foo.jsonl",
        tmp_path / "foo.jsonl.__partial__",
    )


def test_a_lane_is_open_while_it_holds_a_descriptor(tmp_path: Path) -> None:
    Actor(tmp_path).open().kill()
    lane = Lane(str(ID), START)
    lane.close_file()  # nothing to give back
    found = [lane.is_open]
    followed(lane, tmp_path)
    found.append(lane.is_open)
    for _ in range(2):
        lane.close_file()
        found.append(lane.is_open)

    assert found == [False, True, False, False]
    assert lane.follower is not None


@pytest.mark.parametrize("state", LaneState)
def test_a_lane_can_spare_its_descriptor_once_it_is_read_and_not_told_of(
    tmp_path: Path, state: LaneState
) -> None:
    Actor(tmp_path).open().kill()
    lane = Lane(str(ID), START)
    lane.state = state
    found = [lane.is_idle]  # holds none
    follower = followed(lane, tmp_path)
    found.append(lane.is_idle)  # has more to read
    read(follower)
    found.append(lane.is_idle)

    assert found == [False, False, state not in (LaneState.READY, LaneState.AWAY)]
    lane.close_file()


def test_a_verdict_is_due_where_one_was_asked_for_or_a_trailer_was_read(tmp_path: Path) -> None:
    Actor(tmp_path).open().say("one").close()
    lane = Lane(str(ID), START)
    due = [lane.wants_verdict]  # of a new lane nothing is known
    lane.judge = False
    due.append(lane.wants_verdict)
    follower = followed(lane, tmp_path)
    due.append(lane.wants_verdict)
    read(follower)
    due.append(lane.wants_verdict)

    assert due == [True, False, False, True]
    lane.close_file()


def test_a_file_that_stays_none_is_looked_at_ever_more_seldom_up_to_a_limit() -> None:
    foreign = ForeignFile("notes")
    pauses = [foreign.pause_s]
    for _ in range(20):
        foreign.stays()
        pauses.append(foreign.pause_s)

    assert pauses[:3] == [FIRST_PAUSE_S, 2 * FIRST_PAUSE_S, 4 * FIRST_PAUSE_S]
    assert pauses == sorted(pauses)
    assert pauses[-1] == MOST_PAUSE_S
