"""The words for what happens to a session: its states, the events, and how a tail ends."""

from __future__ import annotations

from pathlib import Path

import pytest

from actors import Actor
from sessiontail import EventKind, Outcome, SessionState, SessionStore


def test_words_are_equal_to_their_text() -> None:
    assert set[str](SessionState) == {"closed", "live", "abandoned", "unknown"}
    assert set[str](Outcome) == {"closed", "abandoned", "deleted", "replaced"}
    assert f"{SessionState.LIVE} {EventKind.STARTED} {Outcome.CLOSED}" == "live started closed"


def test_an_outcome_is_the_event_that_ends_a_tail() -> None:
    begins = {EventKind.STARTED, EventKind.RESUMED}

    assert {EventKind(outcome.value) for outcome in Outcome} == {*EventKind} - begins
    for kind in begins:
        with pytest.raises(ValueError, match=f"'{kind}' is not a valid Outcome"):
            Outcome(kind.value)


@pytest.mark.anyio
async def test_a_session_goes_through_the_states_as_it_is_written(tmp_path: Path) -> None:
    store, actor, states = SessionStore(tmp_path), Actor(tmp_path), list[SessionState]()

    async def look() -> None:
        states.extend(meta.state for meta in await store.list())

    with actor:
        await look()
        actor.open().say("one")
        await look()
        actor.kill()
        await look()
        actor.open(header=False).say("two")
        await look()
        actor.close()
        await look()
    actor.final.unlink()
    await look()

    live, abandoned = SessionState.LIVE, SessionState.ABANDONED
    assert states == [live, abandoned, live, SessionState.CLOSED]
