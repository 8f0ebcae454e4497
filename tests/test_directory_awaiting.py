"""A wait ends with the record, with the session or with its time; begun again it loses nothing."""

from __future__ import annotations

from pathlib import Path
from uuid import UUID

import anyio
import pytest

from actors import Actor, Counts
from commands import ONE, TWO
from samples import ID, chunk_line, header_line
from sessiontail import Outcome, SessionStore
from sessiontail.directory.awaiting import Waited, await_in_any, await_in_session
from sessiontail.format.awaited import Awaited
from sessiontail.format.patterns import text_pattern

pytestmark = pytest.mark.anyio


def text(said: str) -> Awaited:
    pattern = text_pattern(said, literal=True, ignore_case=False, clock=lambda: 0.0)
    return Awaited(pattern=pattern)


class Said:
    """What was told while it was waited; and what is done when that is told first."""

    def __init__(self, *then: str, actor: Actor | None = None) -> None:
        self.cursors: list[str] = []
        self._then, self._actor = then, actor

    async def __call__(self, _: float, cursor: str) -> None:
        if not self.cursors and self._actor is not None:
            self._actor.say(*self._then)
        self.cursors.append(cursor)


async def test_the_record_is_given_with_its_line_and_the_cursor_behind_it(tmp_path: Path) -> None:
    with Actor(tmp_path).open().say("one", "two", "three") as actor:
        store = SessionStore(tmp_path)

        found = await await_in_session(store.tail(ID), text("two"), timeout=30)
        behind = await await_in_session(store.tail(ID, after=found.cursor), Awaited(), timeout=30)

        assert found == Waited(found.cursor, actor.records[2], ID, 3, passed=2)
        assert (behind.record, behind.line) == (actor.records[3], 4)


async def test_what_comes_while_it_is_waited_is_found_and_found_again_with_the_same_cursor(
    tmp_path: Path,
) -> None:
    with Actor(tmp_path).open().say("one") as actor:
        store = SessionStore(tmp_path)
        said = Said("two", actor=actor)

        first = await await_in_session(
            store.tail(ID), text("two"), timeout=60, every_s=0.01, on_wait=said
        )
        again = await await_in_session(store.tail(ID), text("two"), timeout=60)

        assert first == again
        assert first.record == actor.records[2]


async def test_a_session_that_ends_without_it_says_how(tmp_path: Path) -> None:
    actor = Actor(tmp_path).open().say("one")
    actor.close()
    store = SessionStore(tmp_path)

    found = await await_in_session(store.tail(ID), text("two"), timeout=60)
    again = await await_in_session(store.tail(ID, after=found.cursor), text("two"), timeout=60)

    assert found == Waited(found.cursor, session_id=ID, outcome=Outcome.CLOSED, passed=3)
    assert again == Waited(found.cursor, session_id=ID, outcome=Outcome.CLOSED)


async def test_when_the_time_is_up_the_cursor_stands_behind_what_was_looked_at(
    tmp_path: Path,
) -> None:
    with Actor(tmp_path).open().say("one") as actor:
        store = SessionStore(tmp_path)

        found = await await_in_session(store.tail(ID), text("two"), timeout=0.5)
        actor.say("two")
        after = await await_in_session(
            store.tail(ID, after=found.cursor), Awaited(kinds=["user"]), timeout=60
        )

        assert (found.record, found.outcome, found.passed) == (None, None, 2)
        assert after.record == actor.records[2]


async def test_a_wait_that_is_cancelled_leaves_nothing_behind_and_loses_nothing(
    tmp_path: Path,
) -> None:
    with Actor(tmp_path).open().say("one") as actor:
        async with SessionStore(tmp_path) as store:
            await await_in_session(store.tail(ID), Awaited(), timeout=60)
            before = Counts.now()
            for _ in range(3):
                with anyio.move_on_after(0.02):
                    await await_in_session(store.tail(ID), text("two"), timeout=60)
            for _ in range(3):
                with anyio.move_on_after(0.02):
                    await await_in_any(store.tail_all(last=0), text("two"), timeout=60)
            assert Counts.at_rest(before) == before

            actor.say("two")
            found = await await_in_session(store.tail(ID), text("two"), timeout=60)

            assert found.record == actor.records[2]


async def test_in_any_session_it_is_waited_from_now_on_and_the_first_cursor_is_told_at_once(
    tmp_path: Path,
) -> None:
    with Actor(tmp_path, UUID(ONE)).open().say("two") as one, Actor(tmp_path, UUID(TWO)) as two:
        store = SessionStore(tmp_path)
        said = Said("two", actor=two)
        two.open()

        found = await await_in_any(
            store.tail_all(last=0), text("two"), timeout=60, every_s=0.01, on_wait=said
        )
        again = await await_in_any(store.tail_all(after=said.cursors[0]), text("two"), timeout=60)
        one.say("and two")
        behind = await await_in_any(store.tail_all(after=found.cursor), Awaited(), timeout=60)

        assert (found.record, found.session_id, found.line) == (two.records[1], UUID(TWO), 2)
        assert (again.record, again.session_id) == (two.records[1], UUID(TWO))
        assert (behind.record, behind.session_id, behind.line) == (one.records[2], UUID(ONE), 3)


async def test_when_the_time_is_up_in_any_session_what_comes_later_is_found_later(
    tmp_path: Path,
) -> None:
    store = SessionStore(tmp_path)

    found = await await_in_any(store.tail_all(last=0), Awaited(), timeout=0)
    with Actor(tmp_path).open() as actor:
        after = await await_in_any(store.tail_all(after=found.cursor), Awaited(), timeout=60)

        assert found == Waited(found.cursor)
        assert (after.record, after.session_id, after.line) == (actor.records[0], ID, 1)


async def test_a_long_text_is_looked_through_beside_the_loop(tmp_path: Path) -> None:
    (tmp_path / f"{ID}.jsonl").write_bytes(header_line() + chunk_line(0, "x" * 300_000 + "end"))

    found = await await_in_session(SessionStore(tmp_path).tail(ID), text("end"), timeout=60)

    assert found.line == 2
