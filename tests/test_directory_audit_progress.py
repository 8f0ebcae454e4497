"""How far a pass is: every file counts, also one that waits for what the others say."""

from __future__ import annotations

from pathlib import Path

import pytest

from chats import FIRST, Chats, rows
from sessiontail.directory.audit import audit_sessions
from sessiontail.directory.audit_progress import AuditProgress

pytestmark = pytest.mark.anyio


async def test_files_that_are_folded_are_done_whomever_they_wait_for(tmp_path: Path) -> None:
    chats = Chats(tmp_path)
    for number in range(70):
        chats.write(number, rows(*FIRST))
    size = sum(path.stat().st_size for path in tmp_path.iterdir())
    told: list[AuditProgress] = []

    async with audit_sessions(directory=tmp_path, cache=False, on_progress=told.append) as audits:
        async for _ in audits:
            pass

    assert told[0] == AuditProgress(70, 0, size, 0, 0)
    assert told[-1] == AuditProgress(70, 70, size, size, 0)
    assert AuditProgress(70, 70, size, size, 0) in told[:-1]
