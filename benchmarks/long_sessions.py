"""Long sessions for the page: 100,000 records as agents write them, or as short as they come.

Seeded. A turn is a question, calls of tools with their results, and an answer; the sizes are those of
``corpus``: half of the results are below 2 kB, one in a hundred is above 10 kB.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

__all__ = ["write_long_session"]

_ENGLISH = """the a of to in is and we file test error reads writes session value returns list when this
that each record line because should must before after index agent tool result found checks path
directory offset buffer config parser request response header token usage model prompt answer"""
_CODE = (
    "def handle(self, request: Request) -> Response:\n    return Response(400, request.body)\n",
    'for path in sorted(root.rglob("*.py")):\n\tcount += len(path.read_text().splitlines())\n',
    "-rw-r--r-- 1 user user 14082 Jan  1 00:00 src/app/main.py\n",
    "Traceback (most recent call last):\n  File \"app.py\", line 31, in <module>\nKeyError: 'id'\n",
)
_TOOLS = ("read_file", "bash", "write_file", "search")


def write_long_session(path: Path, session_id: str, records: int, *, short: bool) -> int:
    """Write a closed session of so many chunks; return its bytes."""
    header = {
        "record_type": "header",
        "schema_version": 1,
        "id": session_id,
        "created_at": "2026-01-02T08:00:00+00:00",
        "parent_session_ids": [],
        "lineage_operator": "run",
        "lineage_kind": "op_session_loop",
    }
    usage = {"prompt_tokens": 41_000_000, "completion_tokens": 900_000, "total_tokens": 41_900_000}
    trailer = {
        "record_type": "trailer",
        "closed_at": "2026-01-02T20:00:00+00:00",
        "final_chunk_count": records,
        "cumulative_usage": usage,
    }
    rows = _short() if short else _long(random.Random(session_id))
    with path.open("w", encoding="utf-8") as file:
        file.write(json.dumps(header) + "\n")
        for index in range(records):
            kind, payload = next(rows)
            chunk = {"record_type": "chunk", "index": index, "kind": kind, "payload": payload}
            file.write(json.dumps(chunk, ensure_ascii=False) + "\n")
        file.write(json.dumps(trailer) + "\n")
    return path.stat().st_size


def _short() -> Iterator[tuple[str, dict[str, Any]]]:
    number = 0
    while True:
        number += 1
        yield "user", {"content": f"{number}?"}
        yield "assistant", {"content": None, "tool_calls": [_call(f"c{number}", "bash", "{}")]}
        yield "tool_result", {"tool_call_id": f"c{number}", "name": "bash", "content": "ok"}
        yield "assistant", {"content": f"{number}.", "tool_calls": None}


def _long(rand: random.Random) -> Iterator[tuple[str, dict[str, Any]]]:
    pool = [_paragraph(rand) for _ in range(4000)]
    yield "system", {"content": _text(rand, pool, 2000)}
    while True:
        yield "user", {"content": _text(rand, pool, rand.randint(30, 900))}
        for number in range(rand.randint(1, 6)):
            call_id, name = f"call_{rand.getrandbits(64):016x}", rand.choice(_TOOLS)
            text = _text(rand, pool, rand.randint(20, 900))
            arguments = json.dumps({"path": f"src/app/module_{number}.py", "text": text})
            calls = [_call(call_id, name, arguments)]
            said = _text(rand, pool, rand.randint(0, 300))
            yield "assistant", {"content": said, "tool_calls": calls}
            result = _text(rand, pool, round(rand.expovariate(1 / 2800)))
            yield "tool_result", {"tool_call_id": call_id, "name": name, "content": result}
        said = _text(rand, pool, rand.randint(200, 3000))
        yield "assistant", {"content": said, "tool_calls": None}


def _call(call_id: str, name: str, arguments: str) -> dict[str, Any]:
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}


def _paragraph(rand: random.Random) -> str:
    if rand.random() > 0.65:
        return rand.choice(_CODE) * rand.randint(1, 3)
    words = " ".join(rand.choices(_ENGLISH.split(), k=rand.randint(12, 90)))
    return words.capitalize() + ".\n"


def _text(rand: random.Random, pool: list[str], size: int) -> str:
    parts, length = [], 0
    while length < size:
        parts.append(rand.choice(pool))
        length += len(parts[-1])
    return "".join(parts)[:size]
