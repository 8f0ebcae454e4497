"""``/api/usage``: tokens, and of how many sessions they are known; of all, or of one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette

from chats import FIRST, Chats, name, rows
from samples import trailer_line
from services import client
from sessiontail import SessionStore
from sessiontail.service import create_app

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"  # the answers are what is tested


@pytest.fixture
def app(tmp_path: Path) -> Starlette:
    chats = Chats(tmp_path)
    chats.write(1, rows(FIRST[0]) + trailer_line(2, (10, 5, 15)), closed=False, parents=())
    chats.write(2, rows(*FIRST[:2]), parents=(name(1),))
    chats.write(3, rows(*FIRST) + b"{no\n", parents=(name(2),))
    chats.write(4, rows(("alone", "Yes.")) + trailer_line(2, (1, 2, 3)), closed=False, parents=())
    return create_app(SessionStore(tmp_path))


def told(*tokens: int, known: int = 0, unknown: int = 0, damaged: int = 0) -> dict[str, Any]:
    names = ("prompt_tokens", "completion_tokens", "total_tokens")
    return {
        **dict(zip(names, tokens or (0, 0, 0), strict=True)),
        "known": known,
        "unknown": unknown,
        "damaged": damaged,
        "sessions": known + unknown + damaged,
        "unreadable": 0,
    }


async def usage(app: Starlette, query: str = "") -> Any:
    async with client(app) as http:
        answer = await http.get(f"/api/usage{query}")
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_beside_the_sums_stands_of_how_many_they_are(app: Starlette) -> None:
    assert await usage(app) == {
        "schema": 1, **told(11, 7, 18, known=2, unknown=1, damaged=1),
    }  # fmt: skip


async def test_one_session_is_told_with_what_led_to_it(app: Starlette) -> None:
    assert await usage(app, f"?session={name(3)}") == {
        "schema": 1,
        "session_id": name(3),
        **told(damaged=1),
        "conversation": {
            "session_ids": [name(1), name(2), name(3)],
            **told(10, 5, 15, known=1, unknown=1, damaged=1),
        },
    }


async def test_a_session_alone_is_its_conversation(app: Starlette) -> None:
    assert await usage(app, f"?session={name(4)}") == {
        "schema": 1,
        "session_id": name(4),
        **told(1, 2, 3, known=1),
        "conversation": {"session_ids": [name(4)], **told(1, 2, 3, known=1)},
    }


async def test_a_session_that_is_not_there_is_a_problem(app: Starlette) -> None:
    async with client(app) as http:
        answer = await http.get(f"/api/usage?session={name(77)}")

    assert (answer.status_code, answer.json()["detail"]) == (404, "there is no such session")
