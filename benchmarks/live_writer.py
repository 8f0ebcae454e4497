"""A process that runs many sessions at once, each written by the real openrath writer.

    python -m benchmarks.live_writer DIRECTORY SESSIONS RATE_HZ SECONDS SEED

Prints "ready" when all headers are written, waits for a line on stdin, writes RATE_HZ records a
second to each session, closes nine of ten and abandons the tenth, and prints what it wrote as
JSON. A record carries the time at which it was written (CLOCK_MONOTONIC, the same in every
process). SECONDS 0: holds the sessions open, idle, until stdin ends.
"""

from __future__ import annotations

import heapq
import json
import os
import random
import sys
import time
import zlib
from pathlib import Path


def main() -> None:
    directory, sessions, rate_hz, seconds, seed = (
        Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]), float(sys.argv[4]),
        int(sys.argv[5]),
    )  # fmt: skip
    os.environ["OPENRATH_HOME"] = str(directory.parent)
    from rath.session.chunk import ChunkKind, ChunkRow
    from rath.session.persistence import SessionWriter
    from rath.session.session import Session

    rng = random.Random(seed)
    words = ["plan", "read", "file", "test", "Ergebnis", "结果", "ошибка", "def f(x):", "return x"]
    opened = [Session.create("user", "go") for _ in range(sessions)]
    writers = [SessionWriter(session) for session in opened]
    print("ready", flush=True)
    sys.stdin.readline()
    if not seconds:
        sys.stdin.read()
        return
    written = [0] * sessions
    sums = [0] * sessions
    began = time.monotonic()
    line = [(began + rng.random() / rate_hz, i) for i in range(sessions)]
    heapq.heapify(line)
    late_s = 0.0
    while line[0][0] - began < seconds:
        due, i = line[0]
        now = time.monotonic()
        if due > now:
            time.sleep(due - now)
        else:
            late_s = max(late_s, now - due)
        text = " ".join(rng.choices(words, k=rng.randint(5, 200)))
        sums[i] = zlib.crc32(text.encode(), sums[i])
        payload = {"content": text, "at": time.monotonic()}
        writers[i].write_chunk(written[i], ChunkRow(kind=ChunkKind.USER, payload=payload))
        written[i] += 1
        heapq.heapreplace(line, (due + 1 / rate_hz, i))
    for i, writer in enumerate(writers):
        if i % 10:
            writer.close()
        else:
            writer.abandon()
    report = {str(opened[i].id): [written[i], sums[i], bool(i % 10)] for i in range(sessions)}
    print(json.dumps({"sessions": report, "late_s": late_s}), flush=True)


if __name__ == "__main__":
    main()
