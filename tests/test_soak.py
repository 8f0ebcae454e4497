"""``sessiontail tail -f`` beside busy agents for minutes: exact, with flat memory and descriptors.

``SESSIONTAIL_SOAK_S`` says for how long; ten minutes by default.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

SOAK_S = float(os.environ.get("SESSIONTAIL_SOAK_S", "600"))
SEED = 20261121
AGENTS = Path(__file__).parent / "busy_agents.py"


def resident_mb(pid: int) -> float:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def descriptors(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def expected(path: Path) -> list[Any]:
    """Return what the file's whole lines are, by nothing but ``json``."""
    found: list[Any] = []
    offset = 0
    seen_header = False
    for line in path.read_bytes().split(b"\n")[:-1]:
        try:
            record = json.loads(line)
        except ValueError:
            found.append(("damage", offset))
        else:
            kind = record["record_type"]
            if kind == "header" and seen_header:
                found.append(("damage", offset))
            else:
                seen_header |= kind == "header"
                found.append((kind, record.get("payload")))
        offset += len(line) + 1
    return found


def shown(record: dict[str, Any]) -> Any:
    kind = record["record_type"]
    return (kind, record["offset"] if kind == "damage" else record.get("payload"))


@pytest.mark.slow
def test_ten_minutes_of_agents_that_come_and_go_are_followed_exactly(tmp_path: Path) -> None:
    directory = tmp_path / "sessions"
    directory.mkdir()
    out = tmp_path / "out.jsonl"
    rng = random.Random(SEED)
    command = [sys.executable, "-m", "sessiontail", "--dir", str(directory)]
    samples: list[tuple[float, int]] = []
    # A shell in the background ignores Ctrl-C, and so would its children.
    signal.signal(signal.SIGINT, signal.default_int_handler)

    with out.open("wb") as file:
        tail = subprocess.Popen(
            [*command, "tail", "-f", "-n", "all", "-o", "jsonl", "--stats"], stdout=file
        )
        end = time.monotonic() + SOAK_S
        seed = SEED
        while (left := end - time.monotonic()) > 0:
            seed += 1
            life = min(left, rng.uniform(5, 40))
            agents = subprocess.Popen(
                [sys.executable, str(AGENTS), str(directory), str(left), str(seed)]
            )
            try:
                agents.wait(life)
            except subprocess.TimeoutExpired:
                agents.send_signal(signal.SIGKILL)
                agents.wait()
            samples.append((resident_mb(tail.pid), descriptors(tail.pid)))
        size = -1
        while size != out.stat().st_size:  # until two sweeps have brought nothing
            size = out.stat().st_size
            time.sleep(11)
        samples.append((resident_mb(tail.pid), descriptors(tail.pid)))
        tail.send_signal(signal.SIGINT)
        _, status, usage = os.wait4(tail.pid, 0)
        code = tail.returncode = os.waitstatus_to_exitcode(status)

    got: dict[str, list[Any]] = {}
    for line in out.read_text("utf-8").split("\n")[:-1]:
        record = json.loads(line)
        got.setdefault(record["session_id"], []).append(shown(record))
    wanted = {path.name.split(".")[0]: expected(path) for path in directory.iterdir()}
    damaged = sum(kind == "damage" for records in wanted.values() for kind, _ in records)
    early, late = samples[len(samples) // 4], samples[-1]
    sys.stderr.write(
        f"{len(wanted)} sessions, {sum(map(len, wanted.values()))} records, {damaged} damaged; "
        f"processor time {usage.ru_utime + usage.ru_stime:.1f} s, resident {early[0]:.1f} to {late[0]:.1f} MB, descriptors {early[1]} to {late[1]}\n"
    )
    assert code == 130
    assert got == {stem: records for stem, records in wanted.items() if records}
    assert late[0] - early[0] < 8
    assert late[1] <= early[1] + 8  # one for each session that runs
