"""A program: random starts, records, closes, crashes and resumes, by openrath's own writer.

    python busy_agents.py DIRECTORY SECONDS SEED

It is meant to be killed at any moment.
"""

from __future__ import annotations

import random
import sys
import time
from pathlib import Path
from typing import Any


def main(directory: Path, seconds: float, seed: int) -> None:
    from rath.session.chunk import ChunkKind, ChunkRow, ChunkTable
    from rath.session.persistence.writer import SessionWriter
    from rath.session.session import Session

    rng = random.Random(seed)
    running: list[tuple[Any, Any]] = []
    crashed: list[Any] = []
    end = time.monotonic() + seconds

    def start(session: Any) -> None:
        path = directory / f"{session.id}.jsonl"
        running.append((session, SessionWriter(session, path=path)))

    while time.monotonic() < end:
        action = rng.random()
        if not running or (action < 0.05 and len(running) < 8):
            start(Session(ChunkTable()))
        elif action < 0.07 and crashed and len(running) < 8:
            start(crashed.pop(rng.randrange(len(crashed))))
        elif action < 0.09:
            running.pop(rng.randrange(len(running)))[1].close()
        elif action < 0.11:
            session, writer = running.pop(rng.randrange(len(running)))
            if rng.random() < 0.7:  # in the midst of a line, perhaps of a character
                line = '{"record_type": "chunk", "payload": {"content": "日本語"}}'.encode()
                writer._file.buffer.write(line[: rng.randrange(1, len(line))])
            writer.abandon()
            crashed.append(session)
        else:
            _, writer = rng.choice(running)
            text = rng.choice(["ok", "日本語 \u2028", "x" * rng.randrange(4000)])
            row = ChunkRow(kind=ChunkKind.USER, payload={"content": text, "n": rng.random()})
            writer.write_chunk(writer.chunks_written, row)
        time.sleep(rng.random() * 0.01)
    for _, writer in running:
        writer.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3]))
