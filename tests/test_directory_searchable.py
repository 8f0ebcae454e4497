"""A store is searched as its directory is, and followed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from listed import IDS, put
from samples import chunk_line, header_line
from sessiontail import SessionStore

pytestmark = pytest.mark.anyio


async def test_a_store_is_searched_with_its_own_maximum(tmp_path: Path) -> None:
    lines = chunk_line(0, "jazz"), chunk_line(1, "jazz" + "x" * 500)
    put(tmp_path, f"{IDS[0]}.jsonl", header_line(IDS[0]) + b"".join(lines))
    stream = SessionStore(tmp_path, max_line_bytes=400).search("jazz")

    assert ([match.line async for match in stream], stream.damaged) == ([2], 1)


async def test_what_is_not_known_of_what_is_to_come_is_refused(tmp_path: Path) -> None:
    store = SessionStore(tmp_path)

    with pytest.raises(ValueError, match="states= is for a search that ends"):
        store.search_live("jazz", states=["live"])
    with pytest.raises(ValueError, match="paths="):
        store.search_live("jazz", paths=["x"])
    with pytest.raises(TypeError):
        store.search_live("jazz", ids="4f2c")


@pytest.mark.parametrize("options", [{"kind": "user"}, {"since": "2h"}, {"context": True}])
async def test_what_cannot_be_meant_is_refused_at_the_call(
    options: dict[str, Any], tmp_path: Path
) -> None:
    store = SessionStore(tmp_path)

    for search in (store.search, store.search_live):
        with pytest.raises(TypeError, match=next(iter(options))):
            search("jazz", **options)
