"""``sessiontail tail -f`` beside busy agents for minutes: exact, with flat memory and descriptors.

Agents start, close, crash, resume and write bursts; sessions are pruned beside them; a second
consumer is ended and killed again and again and goes on from its stored cursor.
``SESSIONTAIL_SOAK_S`` says for how long; ten minutes by default.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from sessiontail import PrunePlan, SessionStore

SOAK_S = float(os.environ.get("SESSIONTAIL_SOAK_S", "600"))
SEED = 20261121
AGENTS = Path(__file__).parent / "busy_agents.py"
KNOWN = ("header", "chunk", "trailer")
# What was written so long before its deletion is owed: more than any busy machine needs.
LATE_S = 30.0
# A burst is held once as bytes, once as records and once as text.
FLAT_MB = 16
PATIENCE_S = 120


class Owed(NamedTuple):
    record: int
    #: Whether it must be handed over: not what was deleted a moment after it was written.
    surely: bool


def shown(record: dict[str, Any]) -> int:
    """What is compared of a record; damage is where it is."""
    kind = record["record_type"]
    value = record["offset"] if kind == "damage" else record.get("payload", record["record_type"])
    return hash((kind, json.dumps(value, sort_keys=True), record.get("created_at")))


def expected(data: bytes) -> Iterator[int]:
    """Return what the file's whole lines are, by nothing but ``json``."""
    offset = 0
    seen_header = False
    for line in data.split(b"\n")[:-1]:
        damage = {"record_type": "damage", "offset": offset}
        try:
            record = json.loads(line)
        except ValueError:
            record = damage
        kind = record["record_type"]
        yield shown(damage if kind not in KNOWN or (kind == "header" and seen_header) else record)
        seen_header |= kind == "header"
        offset += len(line) + 1


def walk(owed: list[Owed], at: int, got: list[int]) -> int:
    """Go on from ``at`` over all that was got; what must not be left out is not."""
    for record in got:
        while owed[at].record != record:  # an IndexError: nobody wrote this
            assert not owed[at].surely, "left out"
            at += 1
        at += 1
    return at


class Process:
    """One run of the command; what it gives goes to a file of its own."""

    def __init__(self, directory: Path, out: Path, *options: str) -> None:
        self.out = out
        command = [sys.executable, "-m", "sessiontail", "--dir", str(directory), "tail", "-f"]
        with out.open("wb") as file, out.with_suffix(".err").open("wb") as errors:
            self.child = subprocess.Popen(
                [*command, "-n", "all", "-o", "jsonl", *options],
                stdout=file,
                stderr=errors,
            )
        #: Whether it may have given more than its cursor says.
        self.killed = False
        while not any("inotify" in link for link in self.links()):
            assert self.child.poll() is None
            time.sleep(0.01)  # until it watches: from then on everything is owed

    def links(self) -> list[str]:
        found = []
        for entry in Path(f"/proc/{self.child.pid}/fd").iterdir():
            try:
                found.append(str(entry.readlink()))
            except FileNotFoundError:
                continue  # closed meanwhile
        return found

    def resident_mb(self) -> float:
        pages = int(Path(f"/proc/{self.child.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 1e6

    def __del__(self) -> None:
        self.child.kill()  # unless it was ended
        self.child.wait()

    def end(self, *, kill: bool) -> None:
        self.killed = kill
        self.child.send_signal(signal.SIGKILL if kill else signal.SIGINT)
        assert self.child.wait(PATIENCE_S) == (-signal.SIGKILL if kill else 130)

    def got(self) -> dict[str, list[int]]:
        found: dict[str, list[int]] = {}
        with self.out.open("rb") as file:
            for line in file:
                if line.endswith(b"\n"):
                    record = json.loads(line)
                    found.setdefault(record["session_id"], []).append(shown(record))
        return found


class Consumer:
    """The command with a stored cursor, which is ended and killed, and started anew."""

    def __init__(self, directory: Path, place: Path) -> None:
        place.mkdir()
        self.directory, self.place = directory, place
        self.cursor = place / "cursor"
        self.runs: list[Process] = []
        self.start()

    def start(self) -> None:
        out = self.place / f"{len(self.runs)}.jsonl"
        self.runs.append(Process(self.directory, out, "--cursor-file", str(self.cursor)))

    def restart(self, *, kill: bool) -> None:
        if self.cursor.exists():  # else all that was closed before would be old
            self.runs[-1].end(kill=kill)
            self.start()

    def check(self, owed: dict[str, list[Owed]]) -> None:
        """No gap; repeated is only what a killed run gave behind its cursor."""
        at = dict.fromkeys(owed, 0)
        # Of these a killed run may have given more than is stored, and no run since gave any.
        may_repeat: set[str] = set()
        for run in self.runs:
            for stem, got in run.got().items():
                begin = at[stem]
                if stem in may_repeat:
                    places = range(min(begin, len(owed[stem]) - 1), -1, -1)
                    begin = next((i for i in places if owed[stem][i].record == got[0]), begin)
                at[stem] = walk(owed[stem], begin, got)
                may_repeat.discard(stem)
            if run.killed:
                may_repeat.update(owed)
        for stem, records in owed.items():
            assert not any(record.surely for record in records[at[stem] :]), stem


class Pruner:
    """Prunes beside the writers, and takes account of what it deletes."""

    def __init__(self, directory: Path, rng: random.Random) -> None:
        self.store = SessionStore(directory)
        self.rng = rng
        self.owed: dict[str, list[Owed]] = {}
        self.deleted = 0

    def prune(self) -> None:
        asyncio.run(self._prune())

    async def _prune(self) -> None:
        plan = await self.store.plan_prune(keep_last=0)
        now_s = time.time()
        old = [
            verdict
            for verdict in plan.remove
            if now_s - verdict.meta.modified_at.timestamp() > LATE_S or self.rng.random() < 0.02
        ]
        files = {}
        for verdict in old:
            try:
                files[verdict.meta.path] = verdict.meta.path.open("rb")
            except FileNotFoundError:
                continue  # closed, or resumed and closed, meanwhile
        pruned = await self.store.prune(PrunePlan(tuple(old), ()))
        for meta in pruned.removed:
            file = files[meta.path]
            status = os.fstat(file.fileno())
            surely = now_s - status.st_mtime > LATE_S
            assert status.st_nlink == 0
            self.owed.setdefault(meta.path.name.split(".")[0], []).extend(
                Owed(record, surely) for record in expected(file.read())
            )
            self.deleted += 1
        for file in files.values():
            file.close()

    def all_owed(self) -> dict[str, list[Owed]]:
        """What was deleted and what is there."""
        owed = {stem: list(records) for stem, records in self.owed.items()}
        for path in self.store.directory.glob("*.jsonl*"):
            owed.setdefault(path.name.split(".")[0], []).extend(
                Owed(record, True) for record in expected(path.read_bytes())
            )
        return owed


def check(tail: Process, consumer: Consumer, owed: dict[str, list[Owed]]) -> None:
    got = tail.got()
    assert got.keys() <= owed.keys()
    for stem, records in owed.items():
        at = walk(records, 0, got.get(stem, []))
        assert not any(record.surely for record in records[at:]), stem
    consumer.check(owed)


def soak(tmp_path: Path, seconds: float) -> list[tuple[float, int]]:
    """Return the tail's memory and descriptors, as sampled on the way."""
    directory = tmp_path / "sessions"
    directory.mkdir()
    rng = random.Random(SEED)
    samples: list[tuple[float, int]] = []
    tail = Process(directory, tmp_path / "out.jsonl", "--stats")
    consumer = Consumer(directory, tmp_path / "consumer")
    pruner = Pruner(directory, rng)
    end = time.monotonic() + seconds
    seed = SEED

    while (left := end - time.monotonic()) > 0:
        seed += 1
        command = [sys.executable, str(AGENTS), str(directory), str(left), str(seed)]
        agents = subprocess.Popen(command, stdout=subprocess.PIPE)
        assert agents.stdout is not None
        assert agents.stdout.readline() == b"ready\n"
        life_s = time.monotonic() + rng.uniform(seconds / 30, seconds / 8)
        while agents.poll() is None and time.monotonic() < life_s:
            time.sleep(rng.random())
            pruner.prune()
            if rng.random() < 0.2:
                consumer.restart(kill=rng.random() < 0.7)
            samples.append((tail.resident_mb(), len(tail.links())))
        agents.kill()  # unless it is done
        agents.communicate()

    # Until all is there; what is wrong stays wrong.
    owed = pruner.all_owed()
    patience_s = time.monotonic() + PATIENCE_S
    while True:
        try:
            check(tail, consumer, owed)
        except AssertionError:
            if time.monotonic() > patience_s:
                raise
            time.sleep(1)
        else:
            break
    samples.append((tail.resident_mb(), len(tail.links())))
    tail.end(kill=False)
    consumer.runs[-1].end(kill=False)
    check(tail, consumer, owed)
    print(  # noqa: T201 - shown with -s
        f"{len(owed)} sessions, {pruner.deleted} deleted, {sum(map(len, owed.values()))} records, "
        f"{len(consumer.runs)} runs of the consumer; resident {samples[0][0]:.1f} to {samples[-1][0]:.1f} MB, "
        f"descriptors {samples[0][1]} to {samples[-1][1]}\n"
        + tail.out.with_suffix(".err").read_text().splitlines()[-1]
    )
    return samples


def test_seconds_of_agents_that_come_and_go_are_followed_exactly(tmp_path: Path) -> None:
    soak(tmp_path, 4)


@pytest.mark.slow
def test_minutes_of_agents_that_come_and_go_are_followed_exactly(tmp_path: Path) -> None:
    samples = soak(tmp_path, SOAK_S)

    half = len(samples) // 2
    early, late = samples[:half], samples[half:]
    assert max(late)[0] - max(early)[0] < FLAT_MB
    # One for each session that ran when it was looked at, or was not yet read to its end: as many
    # as the machine has work. At the end nobody runs.
    assert samples[-1][1] <= samples[0][1] + 8
