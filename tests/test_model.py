"""One session, random actions: what was handed over is the file's whole lines, in order, once.

``--hypothesis-profile`` cannot reach a state machine's own settings, so the environment does:
``SESSIONTAIL_EXAMPLES=5000 pytest tests/test_model.py --hypothesis-seed=1``.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Coroutine, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, ClassVar
from uuid import uuid4

import anyio
import anyio.from_thread
import pytest
from hypothesis import HealthCheck, settings, strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from actors import Actor, cancelled_at
from bursts import BURSTS, Burst
from cold import cold_disk
from sessiontail import Outcome, Record, SessionStore, SessionTail
from sessiontail.system import surveying

# Shared by four machines: both backends, with events and polling.
EXAMPLES = int(os.environ.get("SESSIONTAIL_EXAMPLES", "40"))
# Much longer than reading takes on a busy machine, and shorter than the time between two looks.
PATIENCE_S = 20


texts = st.one_of(st.text(max_size=20), st.just("é€😀\u2028"))


class OneSession(RuleBasedStateMachine):
    """A writer and a tail; the subclasses say where and how."""

    events: ClassVar[bool]
    portal: ClassVar[anyio.from_thread.BlockingPortal]

    def __init__(self) -> None:
        super().__init__()
        self.stack = ExitStack()
        self.directory = Path(self.stack.enter_context(tempfile.TemporaryDirectory()))
        self.actor = Actor(self.directory)
        self.pending = b""
        self.got: list[Record] = []
        self.compared = 0
        self.ended = False
        self.tail: SessionTail | None = None

    def call(self, function: Callable[..., Coroutine[Any, Any, Any]], *args: Any) -> Any:
        return self.portal.call(function, *args)

    @property
    def follow(self) -> SessionTail:
        assert self.tail is not None
        return self.tail

    # What is missed by an event is missed for a minute, or found by a look and counted.
    @initialize(
        eager=st.booleans(),
        sweep_interval_s=st.sampled_from([0.02, 60]),
        cold=st.sampled_from([0, 0, 0.2, 0.9]),
        seed=st.integers(0, 1000),
    )
    def begin(self, sweep_interval_s: float, cold: float, seed: int, *, eager: bool) -> None:
        self.eager = eager
        self.stack.enter_context(cold_disk(cold, seed))
        self.store = SessionStore(
            self.directory,
            events=self.events,
            sweep_interval_s=sweep_interval_s,
            poll_interval_s=0.002,
        )
        self.start()

    def start(self) -> None:
        self.actor.open()
        self.tail = self.store.tail(self.actor.id, on_abandoned="wait")

    @precondition(lambda self: self.ended)
    @rule()
    def begin_another(self) -> None:
        self.actor = Actor(self.directory, uuid4())
        self.pending, self.got, self.compared, self.ended = b"", [], 0, False
        self.start()

    # What a writer does.

    @precondition(lambda self: self.actor.writing and not self.pending)
    @rule(text=texts)
    def write(self, text: str) -> None:
        self.actor.say(text)

    @precondition(lambda self: self.actor.writing and not self.pending)
    @rule(burst=BURSTS)
    def write_a_burst(self, burst: Burst) -> None:
        self.actor.write(self.actor.lines(burst))

    @precondition(lambda self: self.actor.writing and not self.pending and not self.ended)
    @rule(burst=BURSTS)
    def write_a_burst_to_an_idle_reader(self, burst: Burst) -> None:
        """It has read all and knows of the writer: for the burst alone does it look again."""
        self.call(self._read_now)
        self.actor.write(self.actor.lines(burst))
        self.call(self._read_owed)

    @precondition(lambda self: self.actor.writing and not self.pending)
    @rule(text=texts, at=st.floats(0, 1))
    def write_in_part(self, text: str, at: float) -> None:
        self._write_up_to(self.actor.chunk(text), at)

    @precondition(lambda self: self.actor.writing and not self.pending)
    @rule(burst=BURSTS, at=st.floats(0, 1))
    def write_a_burst_in_part(self, burst: Burst, at: float) -> None:
        self._write_up_to(self.actor.lines(burst), at)

    def _write_up_to(self, lines: bytes, at: float) -> None:
        cut = int(at * len(lines))
        self.actor.write(lines[:cut])
        self.pending = lines[cut:]

    @precondition(lambda self: self.actor.writing and not self.pending)
    @rule(burst=BURSTS, limit=st.sampled_from([4096, 16_384, 262_144]), more=st.integers(-1, 1))
    def write_up_to_a_limit(self, burst: Burst, limit: int, more: int) -> None:
        """The file then ends where a page or a read does."""
        lines = self.actor.lines(burst)
        cut = -len(self.actor.data) % limit + more
        self.actor.write(lines[: max(0, cut)])
        self.pending = lines[max(0, cut) :]

    @precondition(lambda self: self.actor.writing and self.pending)
    @rule()
    def flush(self) -> None:
        self.actor.write(self.pending)
        self.pending = b""

    @precondition(lambda self: self.actor.writing and self.pending)
    @rule(at=st.floats(0, 1))
    def flush_in_part(self, at: float) -> None:
        self._write_up_to(self.pending, at)

    @precondition(lambda self: self.actor.writing and not self.pending)
    @rule(line=st.sampled_from([b"\n", b"\r\n", b"bad\n", b"\xff\n", b"[]\n"]))
    def write_an_odd_line(self, line: bytes) -> None:
        self.actor.write(line)

    @precondition(lambda self: self.actor.writing)
    @rule()
    def kill(self) -> None:
        self.actor.kill()
        self.pending = b""

    @precondition(lambda self: not self.actor.writing and not self.ended)
    @rule(cut=st.booleans(), text=texts)
    def resume(self, *, cut: bool, text: str) -> None:
        self.actor.resume(cut=cut).say(text)

    # What a reader does.

    @precondition(lambda self: not self.ended)
    @rule()
    def read_what_is_there(self) -> None:
        """Pull until the tail would wait, and cancel it there."""
        self.call(self._read_now)

    async def _read_now(self) -> None:
        with anyio.fail_after(PATIENCE_S):
            while True:
                with anyio.CancelScope() as scope:
                    self.follow._gate = _at_waiting(scope.cancel)
                    self._follow_gate()
                    self.got.append(await anext(self.follow))
                if scope.cancelled_caught:
                    return

    @precondition(lambda self: not self.ended)
    @rule()
    def read_what_is_owed(self) -> None:
        """Wait for each record that is due: an event or a look must tell of it."""
        self.call(self._read_owed)

    async def _read_owed(self) -> None:
        self.follow._gate = _at_waiting(lambda: None)
        self._follow_gate()
        with anyio.fail_after(PATIENCE_S):
            while len(self.got) < len(self.actor.records):
                self.got.append(await anext(self.follow))

    @precondition(lambda self: not self.ended)
    @rule(moment=st.integers(1, 12))
    def cancel(self, moment: int) -> None:
        if len(self.got) < len(self.actor.records):
            self.call(self._cancel, moment)

    async def _cancel(self, moment: int) -> None:
        self.follow._gate = _at_waiting(lambda: None)
        self._follow_gate()
        with anyio.fail_after(PATIENCE_S), anyio.CancelScope() as scope:
            step = self.follow.__anext__()
            self.got.append(await cancelled_at(step, moment, scope.cancel))

    def _follow_gate(self) -> None:
        if self.follow._follower is not None:
            self.follow._follower.gate = self.follow._gate

    @precondition(lambda self: not self.ended)
    @rule()
    def restart_from_the_cursor(self) -> None:
        cursor = self.follow.cursor
        self.call(self.follow.aclose)
        self.tail = self.store.tail(self.actor.id, after=cursor, on_abandoned="wait")

    # How it ends.

    @precondition(lambda self: self.actor.writing and not self.pending and not self.ended)
    @rule()
    def close(self) -> None:
        self.actor.close()
        self._end(Outcome.CLOSED)

    @precondition(lambda self: not self.ended)
    @rule()
    def delete(self) -> None:
        # Only an open file can still be read.
        self.call(self._read_now)
        self.actor.wal.unlink()
        self._end(Outcome.DELETED)

    # What is there, and not what was read by now: hypothesis plays a history again step by step.
    @precondition(lambda self: not self.ended and len(self.actor.records) > 1)
    @rule(part=st.floats(0, 0.99))
    def truncate(self, part: float) -> None:
        self.call(self._read_owed)
        self.call(self._read_now)
        owed = self.actor.whole
        self.actor.kill()
        os.truncate(self.actor.wal, int(part * len(owed)))
        self._end(Outcome.REPLACED)

    def _end(self, outcome: Outcome) -> None:
        self.ended = True
        self.call(self._drain)
        self.actor.kill()
        assert self.follow.outcome is outcome
        assert self.follow.torn_bytes == (0 if outcome is Outcome.CLOSED else self.actor.torn)

    async def _drain(self) -> None:
        self.follow._gate = _at_waiting(lambda: None)
        self._follow_gate()
        with anyio.fail_after(PATIENCE_S):
            self.got += [record async for record in self.follow]

    @invariant()
    def nothing_is_lost_or_repeated(self) -> None:
        if self.tail is None:
            return
        if self.eager and not self.ended:
            self.call(self._read_owed)
        owed = self.actor.records
        assert self.got[self.compared :] == owed[self.compared : len(self.got)]
        assert not self.ended or len(self.got) == len(owed)
        self.compared = len(self.got)
        # Events told of all that was written.
        assert (self.store.stats.missed, self.store.stats.distrusted) == (0, 0)

    def teardown(self) -> None:
        if self.tail is not None:
            if not self.ended:
                self.call(self._read_owed)
                self.nothing_is_lost_or_repeated()
            self.call(self.tail.aclose)
        self.actor.kill()
        self.stack.close()


def _at_waiting(action: Callable[[], None]) -> Callable[[str], None]:
    def gate(moment: str) -> None:
        if moment == "before waiting":
            action()

    return gate


@pytest.fixture(params=["asyncio", "trio"])
def portal(request: pytest.FixtureRequest) -> Iterator[anyio.from_thread.BlockingPortal]:
    with anyio.from_thread.start_blocking_portal(request.param) as portal:
        yield portal


@pytest.mark.parametrize("events", [True, False], ids=["events", "polling"])
def test_whatever_happens_every_line_arrives_once(
    portal: anyio.from_thread.BlockingPortal, *, events: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Polled, an end is looked for once a second; here, at every look.
    monkeypatch.setattr(surveying, "LOCKS_INTERVAL_S", 0.0)
    machine = type("Machine", (OneSession,), {"portal": portal, "events": events})

    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=max(1, EXAMPLES // 4),
            stateful_step_count=30,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
