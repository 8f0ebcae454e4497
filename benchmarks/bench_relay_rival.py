"""What one writes first: ``tail -F``, an XADD a line into one stream; XREAD on the other side.

    python -m benchmarks.bench_relay_rival publish URL DIRECTORY
    python -m benchmarks.bench_relay_rival read URL SESSIONS

It prints "ready" as ``benchmarks.bench_relay`` does, which runs it.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import redis

from benchmarks.bench_live import Tally
from benchmarks.bench_relay import report_of

_STREAM = "records"
# How long the last record may take.
_MOST_S = 60.0


def publish(url: str, directory: str) -> None:
    names = sorted(str(path) for path in Path(directory).iterdir())
    client = redis.Redis.from_url(url)
    current, seen = b"", 0
    with subprocess.Popen(
        ["tail", "-F", "-n", "0", "-v", *names],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith(b"==> "):
                current = line[4:-5].rpartition(b"/")[2].partition(b".")[0]
                seen += 1
                if seen == len(names):
                    print("ready", flush=True)
            elif line.startswith(b"{"):
                client.xadd(_STREAM, {"session": current, "line": line})


def read(url: str) -> None:
    client, tally, last = redis.Redis.from_url(url), Tally(), "0-0"
    # How many records there are, once that is told, and until when they may come.
    told: list[tuple[int, float]] = []

    def listen() -> None:
        told.append((int(sys.stdin.readline()), time.monotonic() + _MOST_S))

    print("ready", flush=True)
    threading.Thread(target=listen, daemon=True).start()
    while not told or (tally.records < told[0][0] and time.monotonic() < told[0][1]):
        answer: Any = client.xread({_STREAM: last}, count=1000, block=100)
        entries = answer[0][1] if answer else []
        last = entries[-1][0] if entries else last
        for _, fields in entries:
            record = json.loads(fields[b"line"])
            if record["record_type"] == "chunk":
                tally.add(fields[b"session"].decode(), record["index"], record["payload"])
    print(json.dumps(report_of(tally)), flush=True)
    sys.stdin.readline()


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["publish", url, directory]:
            publish(url, directory)
        case ["read", url, _]:
            read(url)
        case _:
            sys.exit(__doc__)
