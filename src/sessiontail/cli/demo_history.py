"""What lies in the directory of ``serve --demo`` before its agents start. Blocks."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

from sessiontail.cli.demo_agents import Turn, calls, header, result, says, system, user
from sessiontail.cli.demo_scripts import SCRIPTS, WORDS, Delegation, Script, filled
from sessiontail.format.encoding import chunk_line, header_line, trailer_line
from sessiontail.format.records import LineageKind, TokenUsage
from sessiontail.system.paths import session_paths

__all__ = ["usage_of", "write_history"]

# Records of the long session: three for each file that it looks at, and some more.
_LONG_FILES = 1666

_PARTS = ("core", "net", "store", "ui", "sync", "auth", "queue", "jobs", "api")

# When things happened: minutes before now.
_LONG_AGO = 26 * 60
_CRASHED_AGO = 190
_DAMAGED_AGO = 55


def write_history(directory: Path, now: datetime) -> None:
    """Write sessions that ended before: conversations, a long one, a damaged one, one that crashed.

    Args:
        directory: where; it is there, and empty.
        now: the time, aware.
    """
    past = _Past(directory, now)
    for i, script in enumerate(SCRIPTS):
        past.conversation(script, _words(i), ago=60 * 8 - 90 * i)
    past.session(_LONG_AGO, [*_long()])
    past.damaged(_DAMAGED_AGO)
    past.crashed(_CRASHED_AGO)


def usage_of(rows: Sequence[Turn]) -> TokenUsage:
    """Return the tokens that rows may have taken: one for four letters, each row once."""
    prompt = completion = 0
    for row in rows:
        size = len(str(row.payload)) // 4
        if row.kind == "assistant":
            completion += size
        else:
            prompt += size
    return TokenUsage(prompt, completion, prompt + completion)


def _words(number: int) -> dict[str, str]:
    words = {name: among[number % len(among)] for name, among in WORDS.items()}
    return {**words, "ticket": str(number + 1)}


class _Past:
    """Writes files as they would lie there by now."""

    def __init__(self, directory: Path, now: datetime) -> None:
        self._directory = directory
        self._now = now

    def conversation(self, script: Script, words: dict[str, str], *, ago: float) -> None:
        """Write a session for each exchange, and for each part that was handed to another agent."""
        rows = [script.system]
        parents: tuple[UUID, ...] = ()
        for exchange in script.exchanges:
            session_id = uuid4()
            for turn in exchange:
                if isinstance(turn, Delegation):
                    own = [filled(one, words) for one in turn.turns]
                    self.session(ago, [*rows, *own], parents=(session_id,), operator="fork")
                else:
                    rows.append(filled(turn, words))
            self.session(ago, rows, parents=parents, session_id=session_id)
            parents, ago = (session_id,), ago - 7

    def session(
        self,
        ago: float,
        rows: Sequence[Turn],
        *,
        parents: tuple[UUID, ...] = (),
        operator: str = "session_loop",
        session_id: UUID | None = None,
    ) -> None:
        """Write a session that was closed."""
        session_id = session_id or uuid4()
        lines = self._lines(ago, rows, session_id, operator, parents)
        closed_at = self._now - timedelta(minutes=ago - 4)
        lines.append(trailer_line(len(rows), usage_of(rows), closed_at=closed_at))
        self._write(session_id, lines, ago - 4, closed=True)

    def damaged(self, ago: float) -> None:
        """Write a session that is closed, and has lines that are no records."""
        rows, session_id = [filled(turn, _words(3)) for turn in _DAMAGED], uuid4()
        lines = self._lines(ago, rows, session_id)
        lines[4] = lines[4][:70] + b"\n"
        lines.insert(6, b"\xff\xfe no UTF-8 here \x00\n")
        closed_at = self._now - timedelta(minutes=ago - 4)
        lines.append(trailer_line(len(rows), None, closed_at=closed_at))
        self._write(session_id, lines, ago - 4, closed=True)

    def crashed(self, ago: float) -> None:
        """Write a session whose writer died in the middle of a line."""
        script = SCRIPTS[2]
        first = [turn for turn in script.exchanges[0] if isinstance(turn, Turn)]
        rows = [filled(turn, _words(5)) for turn in (script.system, *first)]
        session_id = uuid4()
        lines = self._lines(ago, rows, session_id)
        # One byte into a letter that takes three.
        lines[-1] = lines[-1][: lines[-1].index("结论".encode()) + 1]
        self._write(session_id, lines, ago - 4, closed=False)

    def _lines(
        self,
        ago: float,
        rows: Sequence[Turn],
        session_id: UUID,
        operator: str = "session_loop",
        parents: tuple[UUID, ...] = (),
    ) -> list[bytes]:
        kind = LineageKind.OP_FORK if operator == "fork" else LineageKind.OP_SESSION_LOOP
        created_at = self._now - timedelta(minutes=ago)
        head = header(session_id, operator, kind, *parents, created_at=created_at)
        return [header_line(head), *(chunk_line(row.chunk(), i) for i, row in enumerate(rows))]

    def _write(self, session_id: UUID, lines: Sequence[bytes], ago: float, *, closed: bool) -> None:
        paths = session_paths(session_id, self._directory)
        path = paths.final if closed else paths.wal
        path.write_bytes(b"".join(lines))
        modified_s = (self._now - timedelta(minutes=ago)).timestamp()
        os.utime(path, (modified_s, modified_s))


def _long() -> Iterator[Turn]:
    """Return the rows of a session of some 5,000."""
    yield system("You go over a code base, file by file.")
    yield user(
        "Check that each file of the project names its licence, and add it where it is missing."
    )
    for i in range(_LONG_FILES):
        path = f"src/{_PARTS[i % len(_PARTS)]}/part_{i:04}.py"
        yield calls(f"call_{i}", "read_file", path=path, first=1, last=6 + i % 30)
        text = "\n".join(
            f"{n}: from {'abcdef'[n % 6]} import part_{n}" for n in range(1, 6 + i % 30)
        )
        yield result(f"call_{i}", "read_file", f"# SPDX-License-Identifier: MIT\n{text}")
        yield says(f"`{path}` names it." if i % 40 else f"{i} of {_LONG_FILES} files are done.")
    yield says(f"All {_LONG_FILES} files name their licence.")


_DAMAGED = (
    system("You look after a disk."),
    user("How full is the disk of $service? (#$ticket)"),
    calls("call_1", "disk_usage", host="$service"),
    result("call_1", "disk_usage", "/ 96 % used, 2.$number GB free"),
    says("It is nearly full: I look for what may go."),
    calls("call_2", "find_large", host="$service", at_least="500 MB"),
    result("call_2", "find_large", "/var/log/journal 3.1 GB"),
    says(
        "The journal takes 3.1 GB. While I wrote this, the disk was full: some lines are damaged."
    ),
)
