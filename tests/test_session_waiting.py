"""The first record of a tail that a question takes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anyio
import pytest

from actors import Actor, held_of
from samples import ID, session_bytes
from sessiontail import Chunk, Damage, Outcome, Record, SessionEnded, SessionStore, Trailer
from sessiontail.session.waiting import wait_for

pytestmark = pytest.mark.anyio


async def test_records_are_asked_about_in_order_up_to_the_one_that_is_taken(
    tmp_path: Path,
) -> None:
    with Actor(tmp_path).open().say("one") as actor:
        actor.write(b"bad\n")
        actor.say("two")
        asked: list[Record] = []

        def damage(record: Record) -> bool:
            asked.append(record)
            return isinstance(record, Damage)

        tail = SessionStore(tmp_path).tail(actor.id)
        found = await wait_for(tail, damage, timeout=30, name="it")

        assert (asked, found) == (actor.records[:3], actor.records[2])
        assert held_of(tmp_path) == [str(actor.wal)]  # the writer's own


@pytest.mark.parametrize(("answer", "taken"), [("yes", 0), ([1], 0), ("", None), (None, None)])
async def test_any_answer_that_is_true_takes_the_record(
    tmp_path: Path, answer: Any, taken: int | None
) -> None:
    (tmp_path / f"{ID}.jsonl").write_bytes(session_bytes(1))
    found = None
    try:
        found = await wait_for(
            SessionStore(tmp_path).tail(ID), lambda _: answer, timeout=30, name="it"
        )
    except SessionEnded:
        assert taken is None

    assert (found is None) == (taken is None)


@pytest.mark.parametrize("end", ["closed", "deleted"])
async def test_a_session_that_ends_without_it_is_told_with_how_it_ended_and_its_file(
    tmp_path: Path, end: str
) -> None:
    actor = Actor(tmp_path).open().say("one")
    tail = SessionStore(tmp_path).tail(actor.id)
    acts = [actor.close if end == "closed" else actor.wal.unlink]
    tail._gate = lambda moment: acts.pop()() if moment == "before waiting" and acts else None

    with anyio.fail_after(30), pytest.raises(SessionEnded) as caught:
        await wait_for(tail, lambda _: False, timeout=None, name="the session's name")
    actor.kill()

    said = f"the session ended ({end}) without that record"
    if end == "closed":
        assert (caught.value.message, caught.value.path) == (said, actor.final)
        assert tail.outcome is Outcome.CLOSED
    else:
        assert caught.value.message == f"session the session's name: {said}"
        assert caught.value.path is None


async def test_what_takes_too_long_is_told_with_its_name_and_lets_go(tmp_path: Path) -> None:
    with Actor(tmp_path).open() as actor:
        tail = SessionStore(tmp_path).tail(actor.id)
        with pytest.raises(TimeoutError, match=r"^no such record of session it within 0\.01 s$"):
            await wait_for(tail, lambda _: False, timeout=0.01, name="it")

        assert tail.fd is None


async def test_a_question_that_is_a_coroutine_is_refused_before_anything_is_read(
    tmp_path: Path,
) -> None:
    async def taken(record: Record) -> bool:
        return True

    tail = SessionStore(tmp_path / "absent").tail(ID, wait=True)
    question: Any = taken

    with pytest.raises(TypeError, match="predicate"):
        await wait_for(tail, question, timeout=30, name="it")


async def test_a_question_that_answers_with_an_awaitable_is_refused_and_lets_go(
    tmp_path: Path,
) -> None:
    (tmp_path / f"{ID}.jsonl").write_bytes(session_bytes(1))

    async def later() -> bool:
        return True

    tail = SessionStore(tmp_path).tail(ID)
    question: Any = lambda _: later()  # noqa: E731 - does not look like what it is

    with pytest.raises(TypeError, match="predicate"):
        await wait_for(tail, question, timeout=30, name="it")

    assert tail.fd is None


async def test_an_error_in_the_question_comes_out_and_lets_go(tmp_path: Path) -> None:
    (tmp_path / f"{ID}.jsonl").write_bytes(session_bytes(1))
    tail = SessionStore(tmp_path).tail(ID)

    def fail(record: Record) -> bool:
        if isinstance(record, Chunk):
            raise ZeroDivisionError
        return isinstance(record, Trailer)

    with pytest.raises(ZeroDivisionError):
        await wait_for(tail, fail, timeout=30, name="it")

    assert tail.fd is None
