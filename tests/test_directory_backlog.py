"""How much of what there was is still to be read: none is forgotten, and none is waited for in vain."""

from __future__ import annotations

from pathlib import Path

import pytest

from actors import Actor
from samples import ID
from sessiontail.directory.backlog import Backlog, NewsOrEnd
from sessiontail.directory.lane import Lane
from sessiontail.directory.schedule import LaneState
from sessiontail.format.cursor import START
from test_directory_opening import followed, read


@pytest.fixture
def lane(tmp_path: Path) -> Lane:
    """A lane that is read to its end and judged."""
    actor = Actor(tmp_path).open()
    lane = Lane(str(ID), START)
    read(followed(lane, tmp_path))
    lane.state, lane.judge = LaneState.IDLE, False
    actor.kill()
    return lane


def test_what_is_read_to_its_end_and_judged_is_done_with(lane: Lane) -> None:
    assert len(Backlog([lane], {lane.stem: lane})) == 0


@pytest.mark.parametrize(
    "state", [LaneState.UNOPENED, LaneState.READY, LaneState.AWAY, LaneState.SETTLING]
)
def test_what_has_a_turn_to_come_is_waited_for(lane: Lane, state: LaneState) -> None:
    lane.state = state

    assert len(Backlog([lane], {lane.stem: lane})) == 1


def test_what_is_to_be_judged_is_waited_for(lane: Lane) -> None:
    lane.judge = True

    assert len(Backlog([lane], {lane.stem: lane})) == 1


def test_what_has_more_to_read_is_waited_for(lane: Lane) -> None:
    assert lane.follower is not None
    lane.follower.reader._blocks.end_met = False

    assert len(Backlog([lane], {lane.stem: lane})) == 1


@pytest.mark.parametrize("state", [LaneState.ABANDONED, LaneState.FAILED])
def test_what_may_never_be_read_is_not_waited_for(state: LaneState) -> None:
    lane = Lane("a", START)
    lane.state = state

    assert len(Backlog([lane], {"a": lane})) == 0


def test_what_is_followed_no_longer_or_begun_anew_is_not_waited_for() -> None:
    gone, replaced = Lane("a", START), Lane("b", START)

    assert len(Backlog([gone, replaced], {"b": Lane("b", START)})) == 0


def test_who_waits_is_called_by_news_or_by_the_end(lane: Lane) -> None:
    news: list[str] = []
    lane.judge = True
    until = NewsOrEnd(news, Backlog([lane], {lane.stem: lane}))

    assert not until
    news.append("something")
    assert until
    news.clear()
    lane.judge = False
    assert until
