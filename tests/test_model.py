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
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from actors import Actor, cancelled_at
from sessiontail import Outcome, Record, SessionStore, SessionTail, tailing

EXAMPLES = int(os.environ.get("SESSIONTAIL_EXAMPLES", "75"))


class Long(str):
    """A text that is short in print: of each example, hypothesis keeps what it would print."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"{self[0]!r} * {len(self)}"


texts = st.one_of(
    st.text(max_size=20),
    st.sampled_from(["é€😀\u2028", Long("x" * 5000), Long("y" * 70_000)]),
)


class OneSession(RuleBasedStateMachine):
    """A writer and a tail; the subclasses say where and how."""

    events: ClassVar[bool]
    portal: ClassVar[anyio.from_thread.BlockingPortal]

    def __init__(self) -> None:
        super().__init__()
        self.stack = ExitStack()
        directory = Path(self.stack.enter_context(tempfile.TemporaryDirectory()))
        # What is missed by an event would be missed for a minute.
        self.store = SessionStore(
            directory, events=self.events, sweep_interval_s=60, poll_interval_s=0.002
        )
        self.actor = Actor(directory)
        self.pending = b""
        self.got: list[Record] = []
        self.ended = False
        self.tail: SessionTail | None = None

    def call(self, function: Callable[..., Coroutine[Any, Any, Any]], *args: Any) -> Any:
        return self.portal.call(function, *args)

    @property
    def follow(self) -> SessionTail:
        assert self.tail is not None
        return self.tail

    @initialize()
    def start(self) -> None:
        self.actor.open()
        self.tail = self.store.tail(self.actor.id, on_abandoned="wait")

    @precondition(lambda self: self.ended)
    @rule()
    def begin_another(self) -> None:
        self.actor = Actor(self.store.directory, uuid4())
        self.pending, self.got, self.ended = b"", [], False
        self.start()

    # What a writer does.

    @precondition(lambda self: self.actor.writing and not self.pending)
    @rule(text=texts)
    def write(self, text: str) -> None:
        self.actor.say(text)

    @precondition(lambda self: self.actor.writing and not self.pending)
    @rule(text=texts, at=st.floats(0, 1))
    def write_in_part(self, text: str, at: float) -> None:
        line = self.actor.chunk(text)
        cut = int(at * len(line))
        self.actor.write(line[:cut])
        self.pending = line[cut:]

    @precondition(lambda self: self.actor.writing and self.pending)
    @rule()
    def flush(self) -> None:
        self.actor.write(self.pending)
        self.pending = b""

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
        with anyio.fail_after(10):
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
        with anyio.fail_after(10):
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
        with anyio.fail_after(10), anyio.CancelScope() as scope:
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

    @precondition(lambda self: not self.ended and len(self.got) > 1)
    @rule(part=st.floats(0, 0.99))
    def truncate(self, part: float) -> None:
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
        with anyio.fail_after(10):
            self.got += [record async for record in self.follow]

    @invariant()
    def nothing_is_lost_or_repeated(self) -> None:
        owed = self.actor.records
        assert self.got == (owed if self.ended else owed[: len(self.got)])

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
    monkeypatch.setattr(tailing, "JUDGE_INTERVAL_S", 0.0)
    machine = type("Machine", (OneSession,), {"portal": portal, "events": events})

    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=30,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
