"""Anybody may see that the service runs, and sees nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from services import client
from sessiontail import SessionStore
from sessiontail.service import create_app


@pytest.mark.anyio
async def test_it_runs_is_said_without_the_token(tmp_path: Path) -> None:
    async with client(create_app(SessionStore(tmp_path), token="t")) as http:
        answer = await http.get("/healthz")
        head = await http.head("/healthz")

    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})
    assert head.status_code == 200
