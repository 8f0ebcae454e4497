"""Anybody may see that the service runs, and sees nothing else."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from services import client
from sessiontail import SessionStore
from sessiontail.service import create_app
from sessiontail.system.threads import MOST_AT_A_PLACE, threads


@pytest.mark.anyio
async def test_it_runs_is_said_without_the_token(tmp_path: Path) -> None:
    async with client(create_app(SessionStore(tmp_path), token="t")) as http:
        answer = await http.get("/healthz")
        head = await http.head("/healthz")

    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})
    assert head.status_code == 200


@pytest.mark.anyio
async def test_it_runs_though_those_who_read_sessions_have_all_threads_of_the_directory(
    tmp_path: Path,
) -> None:
    """A service that is busy would be taken for dead, and killed."""
    released = threading.Event()
    calls = [threads().submit_at(str(tmp_path), released.wait, 60) for _ in range(MOST_AT_A_PLACE)]
    async with client(create_app(SessionStore(tmp_path))) as http:
        answer = await http.get("/healthz")
    released.set()
    for call in calls:
        call.result(60)

    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


@pytest.mark.anyio
async def test_a_directory_that_cannot_be_read_is_told_and_one_that_is_absent_is_fine(
    tmp_path: Path,
) -> None:
    directory = tmp_path / "sessions"
    async with client(create_app(SessionStore(directory))) as http:
        absent = await http.get("/healthz")
        directory.write_text("no directory")
        unreadable = await http.get("/healthz")

    assert (absent.status_code, absent.json()) == (200, {"status": "ok"})
    assert (unreadable.status_code, unreadable.json()) == (503, {"status": "unavailable"})
