"""Agents that go on and on: they write sessions for as long as ``serve --demo`` runs.

    python -m sessiontail.cli.demo_crew DIRECTORY

One process looks after the agents, each in a process of its own: it starts those anew that crash,
deletes old sessions of theirs, and ends them when its input ends, as it does when whoever started it
is gone, however that went. Agents end when this one is gone. No model is asked.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import select
import shutil
import signal
import sys
import threading
import time
from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID, uuid4

import anyio

from sessiontail.cli.demo_agents import Turn, calls, header, result
from sessiontail.cli.demo_history import usage_of, write_history
from sessiontail.cli.demo_scripts import SCRIPTS, WORDS, Delegation, Script, filled
from sessiontail.errors import PersistenceError
from sessiontail.format.records import ChunkKind, LineageKind
from sessiontail.session.writer import SessionWriter
from sessiontail.system.paths import id_in_name, split_name

__all__ = ["Agent", "prune"]

# Seconds, from and to: what an agent says can be read along, and a tool takes longer.
_PAUSES_S = (1.0, 3.5)
_TOOL_S = (3.0, 8.0)
# Until a session is closed, until a user asks again, and between two conversations.
_CLOSES_S = (4.0, 12.0)
_ASKS_S = (4.0, 12.0)
_RESTS_S = (5.0, 15.0)
# Each so many conversations, an agent that crashes does so.
_CRASH_EVERY = 3
# Which agent does.
_MORTAL = 2
# One that crashed, or cannot write, comes back after so long.
_AGAIN_S = 8.0
# A session without a trailer has crashed when nothing was written for so long.
_LONGEST_PAUSE_S = 600.0
# So many sessions that ended are kept: some 4 MB.
_MOST_ENDED = 120


class Agent:
    """Has conversations, one after the other.

    Args:
        directory: where it writes.
        script: what it says.
        chance: chooses words and pauses.
        hurry: pauses and rests are so many times as short.
    """

    def __init__(
        self, directory: Path, script: Script, chance: random.Random, *, hurry: float = 1.0
    ) -> None:
        self._directory = directory
        self._script = script
        self._chance = chance
        self._hurry = hurry

    async def work(self, *, mortal: bool) -> None:
        """Go on and on; one that is mortal dies in the middle of a line, now and then."""
        # In the middle of it: whoever opens the page then sees something move at once.
        await self.converse(ahead=self._chance.randint(3, 7))
        number = 1
        while True:
            await self._wait(_RESTS_S)
            number += 1
            await self.converse(dies=mortal and not number % _CRASH_EVERY)

    async def converse(self, *, dies: bool = False, ahead: int = 0) -> None:
        """Have one conversation; each exchange is a session, a child of the one before.

        Args:
            dies: in the last line of the first session this process is killed.
            ahead: so many rows of it are there at once.
        """
        words = {name: self._chance.choice(among) for name, among in WORDS.items()}
        words["ticket"] = str(self._chance.randrange(1000, 100_000))
        rows = [filled(self._script.system, words)]
        parents: tuple[UUID, ...] = ()
        for exchange in self._script.exchanges:
            session_id = uuid4()
            if parents:
                await self._wait(_ASKS_S)
            head = header(session_id, "session_loop", LineageKind.OP_SESSION_LOOP, *parents)
            async with SessionWriter(head, directory=self._directory) as writer:
                await self._write(writer, rows, slowly=False)
                for turn in exchange:
                    if isinstance(turn, Delegation):
                        rows += await self._delegate(writer, turn, rows, words)
                        continue
                    row = filled(turn, words)
                    if dies and turn is exchange[-1]:
                        _die_in(writer, row)
                    ahead -= 1
                    await self._write(writer, [row], slowly=ahead < 0)
                    rows.append(row)
                await self._wait(_CLOSES_S)
                await writer.close(usage_of(rows))
            parents = (session_id,)

    async def _delegate(
        self, writer: SessionWriter, part: Delegation, rows: Sequence[Turn], words: dict[str, str]
    ) -> list[Turn]:
        """Let a child do a part of the work, and return what the parent says of that."""
        call_id = f"call_{uuid4().hex[:6]}"
        asks = calls(call_id, "delegate", task=part.task)
        await self._write(writer, [asks])
        parent = id_in_name(writer.path.name)
        assert parent is not None
        head = header(uuid4(), "fork", LineageKind.OP_FORK, parent)
        own = [filled(turn, words) for turn in part.turns]
        async with SessionWriter(head, directory=self._directory) as child:
            await self._write(child, [*rows, asks], slowly=False)
            await self._write(child, own)
            await child.close(usage_of([*rows, asks, *own]))
        answer = filled(result(call_id, "delegate", part.answer), words)
        await self._write(writer, [answer])
        return [asks, answer]

    async def _write(
        self, writer: SessionWriter, rows: Sequence[Turn], *, slowly: bool = True
    ) -> None:
        for row in rows:
            if slowly and row.kind is not ChunkKind.USER:
                await self._wait(_TOOL_S if row.kind is ChunkKind.TOOL_RESULT else _PAUSES_S)
            await writer.write(row.chunk())

    async def _wait(self, between_s: tuple[float, float]) -> None:
        await anyio.sleep(self._chance.uniform(*between_s) / self._hurry)


def _die_in(writer: SessionWriter, row: Turn) -> None:
    """Write half of a line, and be killed."""
    record = {"record_type": "chunk", "index": writer.chunks_written, "kind": row.kind.value}
    line = json.dumps({**record, "payload": row.payload}, ensure_ascii=False).encode()
    with writer.partial_path.open("ab", buffering=0) as file:
        file.write(line[: len(line) // 2])
    os.kill(os.getpid(), signal.SIGKILL)


def prune(directory: Path, keep: Collection[str] = (), most: int = _MOST_ENDED) -> None:
    """Delete the sessions that ended first, where more are there.

    Args:
        directory: where; nobody else writes there.
        keep: names of files that stay, and do not count.
        most: so many stay.
    """
    ended = []
    with os.scandir(directory) as entries:
        for entry in entries:
            split = split_name(entry.name)
            if split is None or entry.name in keep:
                continue
            with contextlib.suppress(FileNotFoundError):
                modified_s = entry.stat().st_mtime
                if not split[1] or time.time() - modified_s > _LONGEST_PAUSE_S:
                    ended.append((modified_s, entry.path))
    for _, path in sorted(ended)[: max(0, len(ended) - most)]:
        Path(path).unlink(missing_ok=True)


class _Crew:
    """Looks after the agents, and ends with its input."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._before = frozenset(path.name for path in directory.iterdir())
        # An agent that reads from it meets the end when this process is gone.
        self._life, self._own_life = os.pipe()
        self._agents: dict[int, int] = {}
        self._due_s = dict.fromkeys(range(len(SCRIPTS)), 0.0)

    def run(self) -> None:
        try:
            while not self._input_ended(1.0 if self._agents else 0.0):
                self._reap()
                now_s = time.monotonic()
                for number in range(len(SCRIPTS)):
                    if number not in self._agents.values() and self._due_s[number] <= now_s:
                        self._start(number)
                prune(self._directory, self._before)
        finally:
            for pid in self._agents:
                os.kill(pid, signal.SIGKILL)
            for pid in self._agents:
                os.waitpid(pid, 0)

    @staticmethod
    def _input_ended(wait_s: float) -> bool:
        ready, _, _ = select.select([0], [], [], wait_s)
        return bool(ready) and not os.read(0, 1)

    def _reap(self) -> None:
        for pid, number in [*self._agents.items()]:
            if os.waitpid(pid, os.WNOHANG)[0]:
                del self._agents[pid]
                self._due_s[number] = time.monotonic() + _AGAIN_S

    def _start(self, number: int) -> None:
        # No thread runs here, and no event loop: what is forked is whole.
        pid = os.fork()
        if pid:
            self._agents[pid] = number
            return
        try:
            os.close(self._own_life)
            threading.Thread(target=_die_with, args=(self._life,), daemon=True).start()
            agent = Agent(self._directory, SCRIPTS[number], random.Random())  # noqa: S311 - words
            with contextlib.suppress(PersistenceError):  # the disk is full, say
                anyio.run(lambda: agent.work(mortal=number == _MORTAL))
        finally:
            os._exit(1)


def _die_with(life: int) -> None:
    """Wait until the process that looks after this one is gone, and go too."""
    os.read(life, 1)
    os._exit(1)


def main(directory: str) -> None:
    """Write what was before, say so, and let agents work until the input ends."""
    # Ctrl-C reaches the whole group of processes; who started this one ends it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    path = Path(directory)
    try:
        write_history(path, datetime.now(UTC))
        print("ready", flush=True)  # noqa: T201 - tells the service that it is time
        _Crew(path).run()
    finally:
        shutil.rmtree(path, ignore_errors=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
