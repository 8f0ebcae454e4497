"""Metas of a directory -> each with its own rows, what it is about, and whose child it is."""

from __future__ import annotations

from uuid import UUID

import pytest

from chats import FIRST, Chats, name, rows
from samples import chunk_line
from sessiontail import SessionStore
from sessiontail.directory.outlines import SessionOutline

pytestmark = pytest.mark.anyio


@pytest.fixture
def chats(store: SessionStore) -> Chats:
    return Chats(store.directory)


def brief(one: SessionOutline) -> tuple[int | None, int, UUID | None, str | None]:
    return one.inherited_count, one.own_count, one.parent, one.title


async def test_each_turn_has_its_own_rows_its_question_and_its_parent(
    store: SessionStore, chats: Chats
) -> None:
    for i in range(3):
        chats.write(i + 1, rows(*FIRST[: i + 1]), closed=i != 1)

    assert [brief(one) for one in await store.outlines()] == [
        (0, 2, None, "hello"),
        (2, 2, UUID(name(1)), "more"),
        (4, 2, UUID(name(2)), "and"),
    ]


async def test_a_summary_is_the_child_of_what_it_names_though_it_inherits_nothing(
    store: SessionStore, chats: Chats
) -> None:
    chats.write(1, rows(*FIRST))
    chats.write(2, chunk_line(0, "In short: hello."), parents=[name(1)])

    assert brief((await store.outlines())[1]) == (0, 1, UUID(name(1)), "In short: hello.")


async def test_a_session_that_names_itself_has_no_parent(store: SessionStore, chats: Chats) -> None:
    chats.write(1, rows(*FIRST), parents=[name(1)])

    assert brief((await store.outlines())[0]) == (0, 6, None, "hello")


async def test_the_work_is_told_of(store: SessionStore, chats: Chats) -> None:
    for i in range(70):
        chats.write(i, rows((f"chat {i}", "yes")))
    told: list[int] = []

    outlines = await store.outlines(progress=told.append)

    assert told == [64, 70]
    assert [one.title for one in outlines] == [f"chat {i}" for i in range(70)]


async def test_a_directory_that_is_absent_is_empty(store: SessionStore) -> None:
    store.directory.rmdir()

    assert await store.outlines() == []
