"""A program: random starts, records, bursts, closes, crashes and resumes, by openrath's own writer.

    python busy_agents.py DIRECTORY SECONDS SEED

It is meant to be killed at any moment.
"""

from __future__ import annotations

import io
import random
import sys
import time
from pathlib import Path
from typing import Any

_BURST_BYTES = 3_000_000


def main(directory: Path, seconds: float, seed: int) -> None:
    from rath.session.chunk import ChunkKind, ChunkRow, ChunkTable
    from rath.session.persistence.errors import PersistenceError
    from rath.session.persistence.writer import SessionWriter
    from rath.session.session import Session

    print("ready", flush=True)  # noqa: T201 - loading took its time
    rng = random.Random(seed)
    running: list[tuple[Any, Any]] = []
    crashed: list[Any] = []
    end = time.monotonic() + seconds

    def start(session: Any) -> None:
        path = directory / f"{session.id}.jsonl"
        running.append((session, SessionWriter(session, path=path)))

    def say(writer: Any, text: str) -> None:
        row = ChunkRow(kind=ChunkKind.USER, payload={"content": text, "n": rng.random()})
        writer.write_chunk(writer.chunks_written, row)

    def burst(writer: Any) -> None:
        size = int(10 ** rng.uniform(1.3, 6.5))  # 20 bytes to 3 MB
        lines = min(int(10 ** rng.uniform(0, 4.3)), max(1, _BURST_BYTES // size))
        file, writer._file = writer._file, io.StringIO()
        for _ in range(lines):
            if size < 100:
                writer._file.write('{"record_type": "x"}\n')
            else:
                say(writer, "x" * (size - 100))
        file.write(writer._file.getvalue())
        file.flush()
        writer._file = file

    while time.monotonic() < end:
        action = rng.random()
        if not running or (action < 0.05 and len(running) < 8):
            start(Session(ChunkTable()))
        elif action < 0.07 and crashed and len(running) < 8:
            session = crashed.pop(rng.randrange(len(crashed)))
            try:
                start(session)
            except PersistenceError:  # it is just being deleted
                crashed.append(session)
        elif action < 0.09:
            running.pop(rng.randrange(len(running)))[1].close()
        elif action < 0.11:
            session, writer = running.pop(rng.randrange(len(running)))
            if rng.random() < 0.7:  # in the midst of a line, perhaps of a character
                line = '{"record_type": "chunk", "payload": {"content": "日本語"}}'.encode()
                writer._file.buffer.write(line[: rng.randrange(1, len(line))])
            writer.abandon()
            crashed.append(session)
        elif action < 0.113:
            for _ in range(rng.randrange(1, 30)):  # come and gone
                start(Session(ChunkTable()))
                for _ in range(rng.randrange(3)):
                    say(running[-1][1], "brief")
                running.pop()[1].close()
        elif action < 0.116:
            burst(rng.choice(running)[1])
        else:
            _, writer = rng.choice(running)
            say(writer, rng.choice(["ok", "日本語 \u2028", "x" * rng.randrange(4000)]))
        time.sleep(rng.random() * 0.01)
    for _, writer in running:
        writer.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3]))
