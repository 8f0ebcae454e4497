"""Thirty sessions, any actions in any order: what is yielded is what the files hold.

``SESSIONTAIL_EXAMPLES=5000 pytest tests/test_model_directory.py --hypothesis-seed=1`` runs long.
"""

from __future__ import annotations

import os
import tempfile
from contextlib import ExitStack
from pathlib import Path
from uuid import UUID

import anyio
import pytest
from anyio.from_thread import start_blocking_portal
from hypothesis import HealthCheck, settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from actors import Actor, nothing_more
from bursts import BURSTS, Burst
from cold import cold_disk
from samples import header_line
from sessiontail import DirectoryTail, Record, SessionStore

# 4 machines share them.
EXAMPLES = int(os.environ.get("SESSIONTAIL_EXAMPLES", "32"))
SESSIONS = 30
# Much longer than reading takes on a busy machine, and shorter than the time between two looks.
PATIENCE_S = 20

numbers = st.integers(0, SESSIONS - 1)


class Told:
    """One session: its generations as a writer made them, and what was yielded of them."""

    def __init__(self, directory: Path, number: int) -> None:
        self.directory = directory
        self.id = UUID(int=number + 1)
        #: What is owed of generations that are over.
        self.past: list[Record] = []
        self.actor: Actor | None = None
        self.state = "none"  # running, dead, closed
        self.yielded: list[Record] = []
        self.compared = 0

    @property
    def owed(self) -> list[Record]:
        return self.past + (self.actor.records if self.actor is not None else [])

    @property
    def pending(self) -> int:
        running = len(self.actor.records) if self.actor is not None else 0
        return len(self.past) + running - len(self.yielded)

    def compare(self) -> None:
        """What was yielded since the last comparison is what was owed there."""
        if len(self.yielded) > self.compared:
            assert self.yielded[self.compared :] == self.owed[self.compared : len(self.yielded)], (
                self.id
            )
            self.compared = len(self.yielded)

    def renew(self) -> Actor:
        self.past = self.owed
        self.actor = Actor(self.directory, self.id)
        return self.actor


class DirectoryModel(RuleBasedStateMachine):
    backend = "asyncio"
    events = True

    def __init__(self) -> None:
        super().__init__()
        self.stack = ExitStack()
        self.directory = Path(self.stack.enter_context(tempfile.TemporaryDirectory()))
        self.portal = self.stack.enter_context(start_blocking_portal(self.backend))
        self.sessions = [Told(self.directory, n) for n in range(SESSIONS)]
        self.cursor: str | None = None
        self.words = 0
        self.tail: DirectoryTail

    # What is missed by an event is missed for a minute, or found by a look and counted.
    @initialize(
        max_open=st.sampled_from([1, 3, 100]),
        sweep_interval_s=st.sampled_from([0.02, 60]),
        cold=st.sampled_from([0, 0, 0.2, 0.9]),
        seed=st.integers(0, 1000),
        eager=st.booleans(),
    )
    def begin(
        self, max_open: int, sweep_interval_s: float, cold: float, seed: int, *, eager: bool
    ) -> None:
        self.max_open, self.eager = max_open, eager
        self.stack.enter_context(cold_disk(cold, seed))
        self.store = SessionStore(
            self.directory,
            events=self.events,
            poll_interval_s=0.005,
            sweep_interval_s=sweep_interval_s,
        )
        self.open()
        self.portal.call(self.tail._following.begin)  # what is closed before is not owed

    def open(self) -> None:
        self.tail = self.store.tail_all(after=self.cursor, max_open=self.max_open)

    def word(self) -> str:
        self.words += 1
        return f"word {self.words} é\u2028"

    def pick(self, number: int, *states: str) -> Told | None:
        """One of the sessions that are in one of these states."""
        those = [told for told in self.sessions if told.state in states]
        return those[number % len(those)] if those else None

    def pull(self, count: int) -> None:
        async def pull() -> None:
            with anyio.fail_after(PATIENCE_S):
                for _ in range(count):
                    session_id, record = await anext(self.tail)
                    self.sessions[session_id.int - 1].yielded.append(record)

        self.portal.call(pull)
        self.compare()

    def settle(self) -> None:
        """Read all that is owed."""
        self.pull(sum(told.pending for told in self.sessions))

    def compare(self) -> None:
        for told in self.sessions:
            told.compare()
        # Events told of all that was written.
        assert (self.store.stats.missed, self.store.stats.distrusted) == (0, 0)

    @rule(number=numbers, chunks=st.integers(0, 3))
    def start(self, number: int, chunks: int) -> None:
        told = self.sessions[number]
        if told.state in ("none", "closed"):
            actor = told.renew().open(header=False)
            actor.write(header_line(told.id, note=self.word()))
            actor.say(*(self.word() for _ in range(chunks)))
            told.state = "running"

    @rule(number=numbers, chunks=st.integers(1, 4))
    def say(self, number: int, chunks: int) -> None:
        told = self.pick(number, "running")
        if told is not None:
            assert told.actor is not None
            for _ in range(chunks):
                told.actor.say(self.word())

    @rule(number=numbers, part=st.floats(0.01, 0.99))
    def say_in_parts(self, number: int, part: float) -> None:
        told = self.pick(number, "running")
        if told is not None:
            assert told.actor is not None
            line = told.actor.chunk(self.word())
            told.actor.write(line[: int(len(line) * part)])
            if part > 0.5:
                self.read(1)
                told.actor.write(line[int(len(line) * part) :])

    @rule(number=numbers, burst=BURSTS)
    def say_a_burst(self, number: int, burst: Burst) -> None:
        told = self.pick(number, "running")
        if told is not None:
            assert told.actor is not None
            told.actor.write(told.actor.lines(burst))

    @rule(number=numbers, burst=BURSTS)
    def say_a_burst_to_an_idle_reader(self, number: int, burst: Burst) -> None:
        """It has read all and knows of the writers: for the burst alone does it look again."""
        told = self.pick(number, "running")
        if told is not None:
            assert told.actor is not None
            self.read_all()
            told.actor.write(told.actor.lines(burst))
            self.settle()

    @rule(
        number=numbers,
        burst=BURSTS,
        part=st.floats(0, 1),
        limit=st.sampled_from([1, 4096, 262_144]),
    )
    def say_a_burst_in_parts(self, number: int, burst: Burst, part: float, limit: int) -> None:
        """The first part ends where a page or a read does; a later action may go on, or not."""
        told = self.pick(number, "running")
        if told is not None:
            assert told.actor is not None
            lines = told.actor.lines(burst)
            cut = int(len(lines) * part)
            cut = max(0, cut - (len(told.actor.data) + cut) % limit)
            told.actor.write(lines[:cut])
            if part > 0.3:
                self.read(1)
                told.actor.write(lines[cut:])

    @rule(number=numbers)
    def end_line(self, number: int) -> None:
        told = self.pick(number, "running")
        if told is not None and told.actor is not None and told.actor.torn:
            told.actor.write(b"\n")

    @rule(number=numbers)
    def close_session(self, number: int) -> None:
        told = self.pick(number, "running")
        if told is not None:
            assert told.actor is not None
            if told.actor.final.exists():
                self.settle()  # closing takes the old generation away
            told.actor.close()
            told.state = "closed"

    @rule(number=numbers)
    def crash(self, number: int) -> None:
        told = self.pick(number, "running")
        if told is not None:
            assert told.actor is not None
            told.actor.kill()
            told.state = "dead"

    @rule(number=numbers, cut=st.booleans())
    def resume(self, number: int, *, cut: bool) -> None:
        told = self.pick(number, "dead")
        if told is not None:
            assert told.actor is not None
            told.actor.resume(cut=cut)
            told.state = "running"

    @rule(number=numbers, share=st.floats(0, 0.99))
    def truncate(self, number: int, share: float) -> None:
        told = self.pick(number, "running", "dead")
        if told is not None:
            assert told.actor is not None
            self.settle()
            lines = told.actor.whole.splitlines(keepends=True)
            if len(lines) < 2:
                return
            kept = b"".join(lines[: 1 + int((len(lines) - 1) * share)])
            told.past = told.owed
            told.actor.cut(len(kept))
            self.settle()

    @rule(number=numbers)
    def delete(self, number: int) -> None:
        told = self.pick(number, "running", "dead", "closed")
        if told is not None:
            assert told.actor is not None
            self.settle()
            told.actor.kill()
            told.actor.wal.unlink(missing_ok=True)
            told.actor.final.unlink(missing_ok=True)
            told.past, told.actor = told.owed, None
            told.state = "none"

    @rule(count=st.integers(1, 20))
    def read(self, count: int) -> None:
        self.pull(min(count, sum(told.pending for told in self.sessions)))

    @rule()
    def read_all(self) -> None:
        self.settle()
        assert self.portal.call(nothing_more, self.tail, 0.01)

    @rule(seconds=st.sampled_from([0, 0.0005, 0.002]))
    def cancel(self, seconds: float) -> None:
        async def pull() -> None:
            with anyio.move_on_after(seconds):
                session_id, record = await anext(self.tail)
                self.sessions[session_id.int - 1].yielded.append(record)

        self.portal.call(pull)
        self.compare()

    @rule()
    def restart(self) -> None:
        self.cursor = self.tail.cursor
        self.portal.call(self.tail.aclose)
        self.open()

    @invariant()
    @precondition(lambda self: hasattr(self, "tail"))
    def nothing_is_yielded_that_is_not_owed(self) -> None:
        if self.eager:
            self.settle()  # what is owed now comes without another action
        self.compare()

    def teardown(self) -> None:
        try:
            if hasattr(self, "tail"):
                self.settle()
                assert self.portal.call(nothing_more, self.tail, 0.05)
                self.portal.call(self.tail.aclose)
        finally:
            for told in self.sessions:
                if told.actor is not None:
                    told.actor.kill()
            self.stack.close()


@pytest.mark.parametrize("events", [True, False])
@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_what_is_yielded_is_what_the_files_hold(backend: str, *, events: bool) -> None:
    from hypothesis.stateful import run_state_machine_as_test

    machine = type("Model", (DirectoryModel,), {"backend": backend, "events": events})
    checks = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=max(1, EXAMPLES // 4),
            stateful_step_count=40,
            deadline=None,
            database=None,
            suppress_health_check=checks,
        ),
    )
