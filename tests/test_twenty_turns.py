"""A conversation of openrath's real loop, a session a turn -> each of its messages once."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import anyio
import anyio.to_thread
import pytest
from rath.llm import Provider
from rath.session.compress import run_session_compress
from rath.session.session import Session

from agents import Agent, calls, says
from commands import run
from plain_audit import comparable, plain_audits
from sessiontail import Chunk, SessionStore, audit_sessions, load_session
from sessiontail.directory.conversations import ConversationTurn
from sessiontail.session import sieve

pytestmark = pytest.mark.anyio

TURNS = 20


@pytest.fixture(autouse=True)
def sessions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The sessions directory of openrath, and of us; a copy may be written as slowly as it likes."""
    monkeypatch.setenv("OPENRATH_HOME", str(tmp_path))
    monkeypatch.setattr(sieve, "HOLD_S", 60.0)
    (tmp_path / "sessions").mkdir()
    return tmp_path / "sessions"


class Chat:
    """A conversation with the real loop: each question by ``merge``, as openrath's users do."""

    def __init__(self) -> None:
        self.system = Session.from_agent_prompt("Be short.")
        self.asked: list[UUID] = []

    def ask(self, question: str, answer: str, before: Any = None, *, tool: bool = False) -> Any:
        user = Session.from_user_message(question)
        if before is not None:
            user = before.merge(user)
        replies = [calls(city=question), says(answer)] if tool else [says(answer)]
        session = Agent(replies).run(user, self.system)
        self.asked.append(session.id)
        return session

    def twenty(self) -> Any:
        session = None
        for i in range(TURNS):
            session = self.ask(f"question {i}", f"answer {i}", session, tool=i % 5 == 0)
        return session


@pytest.fixture
def chat() -> Chat:
    return Chat()


def messages(texts: Iterator[str | None]) -> list[str]:
    """Questions and answers, without what tools say."""
    return [text for text in texts if text and text.split()[0] in {"question", "answer"}]


ALL = [f"{who} {i}" for i in range(TURNS) for who in ("question", "answer")]


async def test_twenty_turns_are_followed_live_each_message_once(chat: Chat) -> None:
    found: list[str] = []
    async with SessionStore() as store, store.tail_all(inherited="skip") as tail:
        with anyio.fail_after(120):
            async with anyio.create_task_group() as group:
                group.start_soon(anyio.to_thread.run_sync, chat.twenty)
                async for _, record in tail:
                    if isinstance(record, Chunk):
                        found += messages(iter([record.text]))
                    if "answer 19" in found:
                        break

    assert sorted(found) == sorted(ALL)


def test_twenty_turns_are_printed_each_message_once_and_listed_on_a_screen(
    chat: Chat, sessions: Path
) -> None:
    chat.twenty()

    told = run(
        "tail", "--dir", sessions, "--state", "closed", "-n", "all", "-k", "user", "-k", "assistant"
    )
    listed = run("ls", "--dir", sessions)
    tree = run("ls", "--dir", sessions, "--tree")
    path = run("cat", "--dir", sessions, "--conversation", str(chat.asked[-1]))

    for printed in (told, path):
        lines = [re.sub(r".*(user|assistant) +", "", line) for line in printed.stdout.splitlines()]
        assert messages(iter(lines)) == ALL
    assert len({line.split()[-1] for line in listed.stdout.splitlines()[1:]}) == TURNS
    assert len(listed.stdout.splitlines()) == TURNS + 1
    assert [line.split()[-1] for line in tree.stdout.splitlines()[1:]] == list(
        map(str, range(TURNS))
    )


def drawn(turn: ConversationTurn) -> list[Any]:
    return [turn.outline.title, *[drawn(child) for child in turn.children]]


async def test_twenty_turns_are_one_tree_and_told_apart(chat: Chat) -> None:
    await anyio.to_thread.run_sync(chat.twenty)
    store = SessionStore()

    outlines = await store.outlines()
    (root,) = await store.conversations()

    assert [one.title for one in outlines] == [f"question {i}" for i in range(TURNS)]
    assert [one.own_count for one in outlines] == [4 if i % 5 == 0 else 2 for i in range(TURNS)]
    expected: list[Any] = []
    for i in reversed(range(TURNS)):
        expected = [f"question {i}", *([expected] if expected else [])]
    assert drawn(root) == expected
    told = [record.text async for _, record in store.conversation(chat.asked[-1])
            if isinstance(record, Chunk)]  # fmt: skip
    assert messages(iter(told)) == ALL


async def test_forks_merges_and_detached_sessions_are_children_of_what_they_copied(
    chat: Chat,
) -> None:
    def talk() -> None:
        first = chat.ask("one", "1")
        second = chat.ask("two", "2", first)
        chat.ask("fork", "f", second.fork())
        chat.ask("detached", "d", second.detach())
        chat.ask("other", "o", first)
        chat.ask("one", "again")

    await anyio.to_thread.run_sync(talk)

    assert [drawn(root) for root in await SessionStore().conversations()] == [
        ["one", ["two", ["fork"], ["detached"]], ["other"]],
        ["one"],
    ]


async def counts(chat: Chat) -> list[int | None]:
    return [(await load_session(asked)).inherited_count for asked in chat.asked[1:]]


def remove(path: Path) -> None:
    path.unlink()


def damage(path: Path) -> None:
    """Break the second row."""
    lines = path.read_bytes().splitlines(keepends=True)
    lines[2] = b"{" + lines[2]
    path.write_bytes(b"".join(lines))


@pytest.mark.parametrize(
    ("harm", "left"),
    [(None, [2, 4]), (remove, [0, 4]), (damage, [0, 4])],
    ids=["whole", "pruned", "damaged"],
)
async def test_what_a_parent_has_no_more_is_its_childs_own(
    chat: Chat, sessions: Path, harm: Callable[[Path], None] | None, left: list[int]
) -> None:
    def talk() -> None:
        chat.ask("three", "3", chat.ask("two", "2", chat.ask("one", "1")))

    await anyio.to_thread.run_sync(talk)
    assert await counts(chat) == [2, 4]
    if harm is not None:
        harm(sessions / f"{chat.asked[0]}.jsonl")

    assert await counts(chat) == left


async def test_a_real_family_is_audited_as_a_plain_reading_counts_it(
    chat: Chat, sessions: Path
) -> None:
    """Chained, forked, merged, detached and compressed, and gone on with after each."""

    def live() -> None:
        first = chat.ask("one", "1", tool=True)
        second = chat.ask("two", "2", first)
        chat.ask("fork", "f", second.fork())
        chat.ask("alone", "d", second.detach())
        other = chat.ask("other", "o")
        chat.ask("both", "b", second.merge(other))
        summary = run_session_compress(
            second,
            chat.system,
            agent_provider=Provider(model="script"),
            executor=told(),
            persist=True,
        )
        chat.ask("after", "a", summary)

    await anyio.to_thread.run_sync(live)
    for number, path in enumerate(
        sorted(sessions.iterdir(), key=lambda path: path.stat().st_mtime_ns)
    ):
        os.utime(path, (10**9 + number, 10**9 + number))

    for options in ({"executor": "thread"}, {"executor": "processes", "jobs": 2}):
        async with audit_sessions(cache=False, **options) as audits:
            found = [audit async for audit in audits]

        assert {one.file: comparable(one) for one in found} == plain_audits(sessions)
    after = max(found, key=lambda one: one.created_at or datetime.min.replace(tzinfo=UTC))
    assert (len(found), after.inherited_rows, after.own_rows) == (8, 1, 2)


def told() -> Agent:
    """A model that sums up once."""
    agent = Agent([says("They spoke of one and two.")])
    agent.step()
    return agent
