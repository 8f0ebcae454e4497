"""Sessions that begin with the rows of others, a second apart, as openrath's loop writes them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from uuid import UUID

from samples import chunk_line, header_line, trailer_line

__all__ = ["FIRST", "GONE", "Chats", "by_pairs", "name", "rows"]

#: A parent that has no file.
GONE = "00000000-0000-4000-8000-0000000000ff"
#: Three turns.
FIRST = ("hello", "Hi."), ("more", "Yes."), ("and", "No.")


def name(number: int) -> str:
    return f"00000000-0000-4000-8000-{number:012d}"


def rows(*turns: tuple[str, str]) -> bytes:
    """A question and an answer each."""
    said = [text for turn in turns for text in zip(("user", "assistant"), turn, strict=True)]
    return b"".join(chunk_line(i, text, kind) for i, (kind, text) in enumerate(said))


class Chats:
    """Writes the sessions of a directory."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def write(
        self,
        number: int,
        body: bytes,
        *,
        parents: Sequence[str] = (GONE,),
        closed: bool = True,
        **fields: object,
    ) -> Path:
        """Write one; what is not closed has no trailer, and the WAL's name."""
        made = {
            "created_at": f"2026-01-01T00:{number // 60:02d}:{number % 60:02d}+00:00",
            "parent_session_ids": list(parents),
            "lineage_kind": "op_session_loop",
        }
        path = self.directory / f"{name(number)}.jsonl{'' if closed else '.__partial__'}"
        end = trailer_line(body.count(b"\n")) if closed else b""
        path.write_bytes(header_line(UUID(name(number)), **made | fields) + body + end)
        return path


def by_pairs(sessions: Sequence[str]) -> int:
    """How many rows of the last session are inherited, by comparing it with each before it.

    A row is a letter; capitals are an assistant's.
    """
    *earlier, mine = sessions
    same = [_same(mine, other) for other in earlier]
    most = max(same, default=0)
    answered = max((i + 1 for i in range(most) if mine[i].isupper()), default=0)
    ends = [n for n, other in zip(same, earlier, strict=True) if answered <= n == len(other)]
    return max(ends, default=most) if answered else 0


def _same(one: str, other: str) -> int:
    pairs = zip(one, other, strict=False)
    return next((i for i, (a, b) in enumerate(pairs) if a != b), min(len(one), len(other)))
