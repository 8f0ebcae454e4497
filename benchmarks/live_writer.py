"""A process that runs many sessions at once, each written by the real openrath writer.

    python -m benchmarks.live_writer DIRECTORY SESSIONS RATE_HZ SECONDS SEED [light]

Prints "ready" when all headers are written, waits for a line on stdin, writes RATE_HZ records a
second to each session, closes nine of ten and abandons the tenth, and prints what it wrote as
JSON. A record carries the time at which it was written (CLOCK_MONOTONIC, the same in every
process). SECONDS 0: holds the sessions open, idle, until stdin ends. light: after the header the
lines are written by os.write, the same bytes for a fifth of the time, where the real writer would
need the processor that the reader is measured on.
"""

from __future__ import annotations

import heapq
import json
import os
import random
import resource
import sys
import time
import zlib
from pathlib import Path

_LINE = (
    '{"record_type": "chunk", "index": %d, "kind": "user", "payload": {"content": %s, "at": %r}}\n'
)


def main() -> None:
    directory, sessions, rate_hz, seconds, seed = (
        Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]), float(sys.argv[4]),
        int(sys.argv[5]),
    )  # fmt: skip
    light = sys.argv[6:] == ["light"]
    os.environ["OPENRATH_HOME"] = str(directory.parent)
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
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
    names = [directory / f"{session.id}.jsonl.__partial__" for session in opened]
    fds = [os.open(name, os.O_WRONLY | os.O_APPEND) for name in names] if light else []
    texts = [" ".join(rng.choices(words, k=rng.randint(5, 200))) for _ in range(1000)]
    quoted = [json.dumps(text, ensure_ascii=False) for text in texts]
    encoded = [text.encode() for text in texts]
    written = [0] * sessions
    sums = [0] * sessions
    began = time.monotonic()
    queue = [(began + rng.random() / rate_hz, i) for i in range(sessions)]
    heapq.heapify(queue)
    late_s = 0.0
    while queue[0][0] - began < seconds:
        due, i = queue[0]
        now = time.monotonic()
        if due > now:
            time.sleep(due - now)
        else:
            late_s = max(late_s, now - due)
        n = rng.randrange(len(texts))
        sums[i] = zlib.crc32(encoded[n], sums[i])
        if light:
            line = _LINE % (written[i], quoted[n], time.monotonic())
            os.write(fds[i], line.encode())
        else:
            payload = {"content": texts[n], "at": time.monotonic()}
            writers[i].write_chunk(written[i], ChunkRow(kind=ChunkKind.USER, payload=payload))
        written[i] += 1
        heapq.heapreplace(queue, (due + 1 / rate_hz, i))
    for i, writer in enumerate(writers):
        if i % 10:
            writer.close()
        else:
            writer.abandon()
    report = {str(opened[i].id): [written[i], sums[i], bool(i % 10)] for i in range(sessions)}
    print(json.dumps({"sessions": report, "late_s": late_s}), flush=True)


if __name__ == "__main__":
    main()
