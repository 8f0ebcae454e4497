"""Sessions that lead to one -> the records of the whole conversation, each once."""

from __future__ import annotations

from collections.abc import AsyncIterator
from uuid import UUID

import anyio
import pytest

from actors import held_of
from chats import FIRST, Chats, name, rows
from samples import chunk_line
from sessiontail import (
    Chunk,
    Conversation,
    InvalidSessionId,
    Record,
    SessionNotFound,
    SessionOutline,
    SessionStore,
    StreamBusy,
)

pytestmark = pytest.mark.anyio


@pytest.fixture
def chats(store: SessionStore) -> Chats:
    return Chats(store.directory)


async def told(stream: AsyncIterator[tuple[UUID, Record]]) -> list[tuple[int, str]]:
    return [
        (session_id.int & 0xFFFF, record.text or "")
        async for session_id, record in stream
        if isinstance(record, Chunk)
    ]


async def test_a_conversation_is_told_from_its_first_question_to_this_turn(
    store: SessionStore, chats: Chats
) -> None:
    for i in range(3):
        chats.write(i + 1, rows(*FIRST[: i + 1]))
    chats.write(4, rows(*FIRST[:1], ("fork", "Else.")))

    assert await told(store.conversation(name(3))) == [
        (1, "hello"), (1, "Hi."), (2, "more"), (2, "Yes."), (3, "and"), (3, "No."),
    ]  # fmt: skip
    assert await told(store.conversation(UUID(name(4)))) == [
        (1, "hello"), (1, "Hi."), (4, "fork"), (4, "Else."),
    ]  # fmt: skip


async def test_what_a_session_said_after_the_next_went_on_from_it_is_left_out(
    store: SessionStore, chats: Chats
) -> None:
    chats.write(1, rows(*FIRST))
    chats.write(2, rows(FIRST[0], ("fork", "Else.")), parents=[name(1)])

    assert await told(store.conversation(name(2))) == [
        (1, "hello"), (1, "Hi."), (2, "fork"), (2, "Else."),
    ]  # fmt: skip


async def test_a_summary_follows_all_of_what_it_sums_up(store: SessionStore, chats: Chats) -> None:
    chats.write(1, rows(FIRST[0]))
    chats.write(2, chunk_line(0, "In short: hello."), parents=[name(1)])

    assert await told(store.conversation(name(2))) == [
        (1, "hello"), (1, "Hi."), (2, "In short: hello."),
    ]  # fmt: skip


async def test_what_a_pruned_turn_said_is_told_by_its_child(
    store: SessionStore, chats: Chats
) -> None:
    chats.write(1, rows(FIRST[0]))
    gone = chats.write(2, rows(*FIRST[:2]))
    chats.write(3, rows(*FIRST))
    gone.unlink()

    assert await told(store.conversation(name(3))) == [
        (1, "hello"), (1, "Hi."), (3, "more"), (3, "Yes."), (3, "and"), (3, "No."),
    ]  # fmt: skip


async def test_who_leaves_early_leaves_no_file_open(store: SessionStore, chats: Chats) -> None:
    chats.write(1, rows(*FIRST))
    async with store.conversation(name(1)) as conversation:
        await anext(conversation)
        assert len(held_of(store.directory)) == 1

    assert held_of(store.directory) == []
    assert [record async for record in conversation] == []


async def test_an_id_that_no_session_has_is_said(store: SessionStore) -> None:
    with pytest.raises(SessionNotFound, match="no session has the id"):
        await anext(store.conversation(name(1)))
    with pytest.raises(InvalidSessionId):
        store.conversation("../x")


async def test_rows_whose_owner_is_not_there_are_told_by_who_has_them(
    store: SessionStore, chats: Chats
) -> None:
    first = chats.write(1, rows(FIRST[0]))
    chats.write(2, rows(*FIRST[:2]))
    wanted = store.conversation(name(2))
    way = await wanted._find_way()
    first.unlink()

    assert [one.inherited_count for one in way] == [0, 2]
    assert await told(Conversation(lambda: anow(way[1:]), lambda path: store.read(path=path))) == [
        (2, "hello"), (2, "Hi."), (2, "more"), (2, "Yes."),
    ]  # fmt: skip


async def anow(way: list[SessionOutline]) -> list[SessionOutline]:
    return way


async def test_one_task_at_a_time_pulls(store: SessionStore, chats: Chats) -> None:
    chats.write(1, rows(*FIRST))
    conversation = store.conversation(name(1))
    refused: list[BaseException] = []

    async def pull() -> None:
        try:
            await anext(conversation)
        except StreamBusy as error:
            refused.append(error)

    async with anyio.create_task_group() as group:
        group.start_soon(pull)
        group.start_soon(pull)

    assert len(refused) == 1
    assert len([record async for record in conversation]) == 7


async def test_one_that_was_left_before_it_began_has_ended(
    store: SessionStore, chats: Chats
) -> None:
    chats.write(1, rows(*FIRST))
    conversation = store.conversation(name(1))
    await conversation.aclose()

    assert [record async for record in conversation] == []
    assert repr(conversation) == "<Conversation not begun>"
