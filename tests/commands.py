"""The command, in this process and in one of its own, and the session files that it is run on."""

from __future__ import annotations

import io
import json
import os
import pty
import select
import subprocess
import sys
import time
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from unittest.mock import patch

from sessiontail.cli.app import run as application

__all__ = [
    "ONE",
    "TORN",
    "TWO",
    "at_terminal",
    "chunk",
    "closed",
    "command",
    "crashed",
    "end",
    "header",
    "json_lines",
    "read_until",
    "run",
    "run_apart",
    "start",
    "trailer",
]

ONE = "4f2c0000-0000-4000-8000-000000000001"
TWO = "4f2d0000-0000-4000-8000-000000000002"
TORN = b'{"record_type": "chunk", "index": 1, "kind": "user", "payload": {"content": "\xe5'


def header(session_id: str, created_at: str = "2026-01-02T00:00:00+00:00") -> bytes:
    return (
        b'{"record_type": "header", "schema_version": 1, "id": "%s", "created_at": "%s", '
        b'"parent_session_ids": [], "lineage_operator": "run", "lineage_kind": "op_create"}\n'
    ) % (session_id.encode(), created_at.encode())


def chunk(index: int, content: str) -> bytes:
    return (
        b'{"record_type": "chunk", "index": %d, "kind": "user", "payload": {"content": %s}}\n'
        % (
            index,
            json.dumps(content).encode(),
        )
    )


def trailer(chunks: int) -> bytes:
    return (
        b'{"record_type": "trailer", "closed_at": "2026-01-02T00:01:00+00:00", '
        b'"final_chunk_count": %d, "cumulative_usage": null}\n'
    ) % chunks


def closed(directory: Path, session_id: str, *contents: str) -> Path:
    path = directory / f"{session_id}.jsonl"
    chunks = b"".join(chunk(i, content) for i, content in enumerate(contents))
    path.write_bytes(header(session_id) + chunks + trailer(len(contents)))
    return path


def crashed(directory: Path, session_id: str) -> Path:
    path = directory / f"{session_id}.jsonl.__partial__"
    path.write_bytes(header(session_id) + chunk(0, "before") + TORN)
    hour_ago = time.time() - 3600
    os.utime(path, (hour_ago, hour_ago))
    return path


def command(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-W", "error", "-m", "sessiontail", *map(str, arguments)]


class Shown(io.TextIOWrapper):
    """What says that it is a terminal."""

    def isatty(self) -> bool:
        return True


def run(
    *arguments: str | Path, given: bytes = b"", watched: bool = False
) -> subprocess.CompletedProcess[str]:
    """Run the command in this process; return what a process of its own would.

    ``given`` is what its standard input says; ``watched``: standard error is a terminal.
    """
    out = io.TextIOWrapper(io.BytesIO(), "utf-8", newline="")
    err = (Shown if watched else io.TextIOWrapper)(io.BytesIO(), "utf-8", newline="")
    with (
        redirect_stdout(out),
        redirect_stderr(err),
        patch.object(sys, "stdin", io.TextIOWrapper(io.BytesIO(given))),
    ):
        code = application(list(map(str, arguments)))
    texts = []
    for stream in (out, err):
        stream.flush()
        stream.seek(0)
        texts.append(stream.read())
    return subprocess.CompletedProcess(arguments, code, *texts)


def run_apart(
    *arguments: str | Path, env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run the command in a process of its own."""
    return subprocess.run(
        command(*arguments),
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
        env={**os.environ, **(env or {})},
        stdin=subprocess.DEVNULL,
    )


def at_terminal(
    *arguments: str | Path,
    env: dict[str, str] | None = None,
    keys: bytes = b"",
    stderr: bool = False,
) -> tuple[int, bytes]:
    """Run the command with a terminal as stdout; return its exit code and what the terminal got.

    With ``stderr``, the terminal is its stderr too. With ``keys``, the terminal is its stdin and stderr too, and these are typed at its question.
    """
    ours, theirs = pty.openpty()
    # A terminal interrupts those whose controlling terminal it is.
    controlled = ["setsid", "--ctty", "--wait"] if keys else []
    process = subprocess.Popen(
        [*controlled, *command(*arguments)],
        stdin=theirs if keys else subprocess.DEVNULL,
        stdout=theirs,
        stderr=theirs if keys or stderr else subprocess.DEVNULL,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "120", **(env or {})},
    )
    os.close(theirs)
    got = b""
    while True:
        # What is typed before the question is read may be dropped: then it is typed again.
        if not select.select([ours], [], [], 0.5)[0]:
            if got.endswith(b"[y/N]: "):
                os.write(ours, keys)
            continue
        try:
            data = os.read(ours, 65536)
        except OSError:  # EIO: the other end is closed
            break
        if not data:
            break
        got += data
    os.close(ours)
    return process.wait(100), got


def start(*arguments: str | Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(command(*arguments), stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def read_until(process: subprocess.Popen[bytes], wanted: bytes) -> bytes:
    """Read stdout until it ends with ``wanted``."""
    assert process.stdout is not None
    got = b""
    until = time.monotonic() + 60
    while not got.endswith(wanted):
        left = max(0.0, until - time.monotonic())
        assert select.select([process.stdout], [], [], left)[0], got
        data = os.read(process.stdout.fileno(), 65536)
        assert data, got
        got += data
    return got


def end(process: subprocess.Popen[bytes]) -> tuple[int, bytes, bytes]:
    """Wait for the process; return its exit code and what was left of its output."""
    out, err = process.communicate(timeout=60)
    return process.returncode, out, err


def json_lines(done: subprocess.CompletedProcess[str]) -> list[dict[str, object]]:
    return [json.loads(line) for line in done.stdout.splitlines()]
