"""Session files in a directory, and what a listing owes for each."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from samples import ID
from sessiontail import (
    LineageKind,
    PersistedSessionMeta,
    SessionState,
)
from sessiontail.system.stamps import FileId

__all__ = ["IDS", "MOMENT", "bytes_read", "meta_of", "put"]

IDS = [UUID(int=n, version=4) for n in range(1, 9)]


MOMENT = datetime(2026, 1, 1, tzinfo=UTC)


def meta_of(path: Path, **fields: Any) -> PersistedSessionMeta:
    """What a listing owes for a file of ``samples.session_bytes``."""
    status = path.stat()
    values: dict[str, Any] = {
        "id_text": str(ID),
        "file": str(path),
        "created_at": MOMENT,
        "lineage_operator": "implicit",
        "lineage_kind": LineageKind.UNKNOWN,
        "chunk_count": 1,
        "closed": True,
        "state": SessionState.CLOSED,
        "parent_texts": (),
        "cumulative_usage": None,
        "closed_at": MOMENT,
        "size_bytes": status.st_size,
        "modified_at": datetime.fromtimestamp(status.st_mtime, UTC),
        "file_id": FileId.of(status),
        "mtime_ns": status.st_mtime_ns,
    }
    return PersistedSessionMeta(**(values | fields))


def put(directory: Path, name: str, data: bytes, *, age_s: float = 0) -> Path:
    path = directory / name
    path.write_bytes(data)
    if age_s:
        modified_s = path.stat().st_mtime - age_s
        os.utime(path, (modified_s, modified_s))
    return path


@contextmanager
def bytes_read(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """Give a list that has the number of bytes of every read of a file."""
    sizes: list[int] = []
    preadv, pread = os.preadv, os.pread

    def cached(fd: int, buffers: list[Any], offset: int, flags: int = 0) -> int:
        sizes.append(preadv(fd, buffers, offset, flags))
        return sizes[-1]

    def now(fd: int, size: int, offset: int) -> bytes:
        data = pread(fd, size, offset)
        sizes.append(len(data))
        return data

    with monkeypatch.context() as patch:
        patch.setattr(os, "preadv", cached)
        patch.setattr(os, "pread", now)
        yield sizes
