"""records -> one session, whole.

Names and fields are those of ``rath.session.persistence.loader`` (openrath 2.0.0); what is added
to them says what that loader hides. Nothing here opens or waits, but for the one method that
hands a session to openrath.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from sessiontail.errors import DamagedSession
from sessiontail.format.brief import brief, counted, short
from sessiontail.format.plain import SCHEMA, plain
from sessiontail.format.records import (
    Chunk,
    Damage,
    Header,
    Record,
    TokenUsage,
    Trailer,
)
from sessiontail.format.runs import Run

if TYPE_CHECKING:
    from rath.session.session import Session

__all__ = [
    "ChunkTable",
    "PersistedSession",
    "PersistedSessionHeader",
    "SessionFold",
    "damaged",
]

PersistedSessionHeader = Header


@dataclass(frozen=True, slots=True, repr=False)
class ChunkTable:
    """Chunks in file order."""

    rows: tuple[Chunk, ...] = ()

    def __repr__(self) -> str:
        return brief(self, counted(len(self.rows), "chunk"))

    def __len__(self) -> int:
        return len(self.rows)

    @overload
    def __getitem__(self, index: int) -> Chunk: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Chunk, ...]: ...
    def __getitem__(self, index: int | slice) -> Chunk | tuple[Chunk, ...]:
        return self.rows[index]

    def __iter__(self) -> Iterator[Chunk]:
        return iter(self.rows)


@dataclass(frozen=True, kw_only=True, slots=True, repr=False)
class PersistedSession:
    """One session file, whole.

    ``msgspec.json.encode(session, enc_hook=str)`` takes it as it is: the hook is for ``path``. What
    ``to_dict`` gives needs none.
    """

    header: Header
    chunk_table: ChunkTable
    #: Of the last trailer; None is unknown, never zero.
    cumulative_usage: TokenUsage | None
    #: Whether a trailer was read.
    closed: bool
    path: Path
    #: The last trailer's line as parsed.
    trailer_raw: dict[str, Any] | None = None
    #: The last trailer, typed.
    trailer: Trailer | None = None
    #: Lines that are no records, in file order; empty unless salvaged.
    damage: tuple[Damage, ...] = ()
    #: Bytes after the last newline: no record, no error.
    torn_bytes: int = 0
    #: How many of the first chunks are copies of an earlier session's; None: unknown.
    inherited_count: int | None = field(default=None, compare=False)

    def __repr__(self) -> str:
        return brief(
            self,
            short(self.header.id),
            "closed" if self.closed else "not closed",
            counted(len(self.chunk_table), "chunk"),
            counted(len(self.damage), "damaged line") if self.damage else "",
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the session as JSON has it (``plain``), each of its records too."""
        session_id = str(self.header.id)
        return {
            "schema": SCHEMA,
            "id": session_id,
            "file": plain(self.path),
            "closed": self.closed,
            "cumulative_usage": plain(self.cumulative_usage),
            "torn_bytes": self.torn_bytes,
            "inherited_count": self.inherited_count,
            "header": self.header.to_dict(),
            "chunk_table": [chunk.to_dict(session_id) for chunk in self.chunk_table],
            "trailer": self.trailer and self.trailer.to_dict(session_id),
            "damage": [one.to_dict(session_id) for one in self.damage],
        }

    def to_messages(self) -> list[dict[str, Any]]:
        """Return the conversation in OpenAI's chat form, one message a chunk."""
        return [chunk.to_message() for chunk in self.chunk_table]

    async def to_resumable_pair(
        self, *, agent_prompt: str | None = None
    ) -> tuple[Session, Session]:
        """Build ``(user_session, agent_session)`` for openrath's ``run_session_loop``.

        Args:
            agent_prompt: the agent's system prompt; by default the first system chunk's text.

        Returns:
            Two real ``rath.session.session.Session``. The first has this session's chunks and
            its sandbox: ``opensandbox`` with a recorded handle is attached again, everything
            else keeps its spec and opens when first used.

        Raises:
            MissingExtra: openrath is not installed.
            KeyError: the recorded sandbox handle is unknown to openrath's registry.
        """
        from sessiontail.openrath import resumable_pair  # noqa: PLC0415 - an edge, only when asked

        return await resumable_pair(self, agent_prompt=agent_prompt)


class SessionFold:
    """Folds the records of one file into a session, a few at a time.

    Args:
        path: the file that they come from.
        salvage: keep what is whole and list the damage, instead of raising at the first.
    """

    def __init__(self, path: Path, *, salvage: bool = False) -> None:
        self._path = path
        self._salvage = salvage
        self._header: Header | None = None
        self._trailer: Trailer | None = None
        self._chunks: list[Chunk] = []
        self._damage: list[Damage] = []

    def add(self, records: Sequence[Record]) -> None:
        """Take the next records, in file order.

        Raises:
            DamagedSession: a line is damaged (not with ``salvage``).
        """
        # Chunks between perhaps a header and a trailer are taken in one go.
        inner = records[1:-1]
        if {*map(type, inner)} == {Chunk}:
            self._add(records[:1])
            self._chunks += inner  # type: ignore[arg-type] # chunks, all
            self._add(records[-1:])
        else:
            self._add(records)

    def add_run(self, run: Run) -> int:
        """Take records that are known to be whole, in file order; return how many they are."""
        if run.header is not None:
            self._header = run.header
        if self._chunks:
            self._chunks += run.chunks
        else:
            self._chunks = run.chunks
        if run.trailer is not None:
            self._trailer = run.trailer
        return run.lines

    def _add(self, records: Sequence[Record]) -> None:
        for record in records:
            if isinstance(record, Chunk):
                self._chunks.append(record)
            elif isinstance(record, Header):
                self._header = record
            elif isinstance(record, Trailer):
                self._trailer = record
            elif isinstance(record, Damage):
                if not self._salvage:
                    raise damaged(record, self._path)
                self._damage.append(record)

    def finish(self, *, torn_bytes: int = 0) -> PersistedSession:
        """Return the session.

        Args:
            torn_bytes: bytes after the last newline.

        Raises:
            DamagedSession: there is no header; where there is damage, the first of that is
                raised, for it says what became of the header.
        """
        if self._header is None:
            if self._damage:
                raise damaged(self._damage[0], self._path)
            raise DamagedSession(
                "no header: not a session file", path=self._path, reason="no-header"
            )
        trailer = self._trailer
        return PersistedSession(
            header=self._header,
            chunk_table=ChunkTable(tuple(self._chunks)),
            cumulative_usage=trailer.cumulative_usage if trailer else None,
            closed=trailer is not None,
            path=self._path,
            trailer_raw=trailer.raw if trailer else None,
            trailer=trailer,
            damage=tuple(self._damage),
            torn_bytes=torn_bytes,
        )


def fold(
    records: Iterable[Record], *, path: Path, torn_bytes: int = 0, salvage: bool = False
) -> PersistedSession:
    """Fold all records of one file into a session; see ``SessionFold``.

    Raises:
        DamagedSession: a line is damaged (not with ``salvage``), or there is no header.
    """
    session = SessionFold(path, salvage=salvage)
    session.add(list(records))
    return session.finish(torn_bytes=torn_bytes)


def damaged(damage: Damage, path: Path) -> DamagedSession:
    """Return the error that a strict reader raises for a damaged line."""
    return DamagedSession(
        damage.message,
        path=path,
        line=damage.line,
        offset=damage.offset,
        reason=damage.reason.value,
    )
