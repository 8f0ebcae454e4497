"""openrath's own ``SessionWriter`` in another process, step by step as a test says.

One process serves a whole run: loading openrath takes seconds.
"""

from __future__ import annotations

import atexit
import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any
from uuid import UUID

__all__ = ["RealWriter", "real_writer"]


class RealWriter:
    """Sends one command at a time; each is the name of a function below, without its ``do_``."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        self.pid = self._process.pid

    def __call__(self, name: str, **arguments: Any) -> Any:
        """Run a command and return what it gives."""
        self.begin(name, **arguments)
        return self.end()

    def begin(self, name: str, **arguments: Any) -> None:
        """Begin a command."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps([name, arguments], default=str).encode() + b"\n")
        self._process.stdin.flush()

    def end(self) -> Any:
        """Wait for the command to end and return what it gives."""
        assert self._process.stdout is not None
        return json.loads(self._process.stdout.readline())

    def session(self, directory: Path, session_id: UUID | str, texts: list[str]) -> Path:
        """Write a session, close it, and return its file."""
        self("open", home=directory, session_id=session_id)
        for text in texts:
            self("write", text=text)
        self("close")
        return directory / f"{session_id}.jsonl"

    def stop(self) -> None:
        self._process.communicate(timeout=30)


@cache
def real_writer() -> RealWriter:
    """Return the run's one writer process."""
    writer = RealWriter()
    atexit.register(writer.stop)
    return writer


# What follows runs in the other process.

_open: list[Any] = []


def do_open(home: str, session_id: str) -> int:
    from rath.session.chunk import ChunkTable
    from rath.session.persistence.writer import SessionWriter
    from rath.session.session import Session

    session = Session(ChunkTable(), id=UUID(session_id))
    _open.append(SessionWriter(session, path=Path(home, f"{session_id}.jsonl")))
    return os.getpid()


def do_write(text: str) -> None:
    from rath.session.chunk import user_text_chunk

    _open[-1].write_chunk(_open[-1].chunks_written, user_text_chunk(text))


def do_close() -> None:
    _open.pop().close()


def do_abandon() -> None:
    _open.pop().abandon()


def do_reopen_until(home: str, session_id: str, stop: str) -> list[int]:
    """Open, write two lines, close, rest, again and again; return how often it was and was not."""
    import random
    import time

    refused = 0
    count = 0
    while not Path(stop).exists():
        try:
            do_open(home, session_id)
        except RuntimeError:
            refused += 1
            continue
        count += 1
        for part in ("a", "b"):
            do_write(f"{count}{part}")
        writer = _open[-1]
        assert os.fstat(writer._file.fileno()).st_nlink == 1, "deleted under its writer"
        do_close()
        # As an agent between two turns; and now and then until somebody has deleted the session, so
        # that there is something to delete however slow the machine is.
        time.sleep(random.uniform(0, 0.003))
        while count % 10 == 0 and Path(home, f"{session_id}.jsonl").exists():
            if Path(stop).exists():
                break
            time.sleep(0.001)
    return [count, refused]


def do_load(path: str) -> dict[str, Any]:
    """What openrath's own loader takes of a file; or the error, as text."""
    from rath.session.persistence import load_session

    try:
        session = load_session("", path=Path(path))
    except Exception as error:  # noqa: BLE001 - whatever escapes from it is told
        return {"error": repr(error)}
    rows = [[row.kind.value, row.payload] for row in session.chunk_table.rows]
    return {"rows": rows, "closed": session.closed}


def do_list(home: str) -> list[list[Any]]:
    os.environ["OPENRATH_HOME"] = home
    from rath.session.persistence import list_persisted_sessions

    return [[str(m.id), m.chunk_count, m.closed] for m in list_persisted_sessions()]


def do_prune(home: str, older_than_s: float) -> list[str]:
    os.environ["OPENRATH_HOME"] = home
    from datetime import timedelta

    from rath.session.persistence import prune_sessions

    return [str(i) for i in prune_sessions(older_than=timedelta(seconds=older_than_s))]


if __name__ == "__main__":
    for line in sys.stdin.buffer:
        name, arguments = json.loads(line)
        answer = globals()[f"do_{name}"](**arguments)
        sys.stdout.buffer.write(json.dumps(answer).encode() + b"\n")
        sys.stdout.buffer.flush()
