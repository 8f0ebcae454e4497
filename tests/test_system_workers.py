"""Calls in processes of our own: what comes back, and what dies with whom."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError
from pathlib import Path
from typing import Any

import pytest

from killers import (
    double,
    fail_oddly,
    kill_myself,
    leave,
    modules,
    pid_of,
    shout,
    unsendable,
)
from sessiontail.system.workers import CannotStart, WorkerDied, Workers, can_start


@pytest.fixture
def workers() -> Iterator[Workers]:
    with Workers(2) as workers:
        yield workers


def test_calls_come_back_with_their_results(workers: Workers) -> None:
    futures = [workers.submit(double, i) for i in range(20)]

    assert [future.result(60) for future in futures] == [2 * i for i in range(20)]
    assert len(workers.pids) <= 2


def test_what_a_call_raises_belongs_to_who_called_and_what_it_prints_to_nobody(
    workers: Workers,
) -> None:
    with pytest.raises(ValueError, match=r"^loud$"):
        workers.submit(shout, "loud").result(60)

    assert workers.submit(double, "fine").result(60) == "finefine"


@pytest.mark.parametrize("call", [fail_oddly, unsendable])
def test_what_cannot_be_sent_fails_its_call_and_the_worker_goes_on(
    workers: Workers, call: Callable[[Any], Any]
) -> None:
    with pytest.raises((TypeError, RuntimeError, AttributeError)):
        workers.submit(call, None).result(60)

    assert workers.submit(double, 21).result(60) == 42


@pytest.mark.parametrize("program", ["/nonexistent/python", "/bin/true", "/bin/cat"])
def test_who_starts_no_worker_says_so(monkeypatch: pytest.MonkeyPatch, program: str) -> None:
    """As in a program that embeds Python, and is its own executable."""
    monkeypatch.setattr(sys, "executable", program)
    with Workers(1) as workers, pytest.raises(CannotStart, match=program):
        workers.submit(double, 1).result(60)


def test_a_path_that_is_none_starts_no_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [*sys.path, "a\0b"])
    with Workers(1) as workers, pytest.raises(CannotStart, match="null byte"):
        workers.submit(double, 1).result(60)


def test_what_is_printed_while_python_starts_is_no_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "noisy"
    program.write_text(f'#!/bin/sh\necho loud\nexec {sys.executable} "$@"\n')
    program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(program))

    with Workers(1) as workers:
        assert workers.submit(double, 21).result(60) == 42


def test_without_a_thread_nothing_waits_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with Workers(1) as workers:
        with monkeypatch.context() as patched:
            patched.setattr(threading.Thread, "start", refused)
            with pytest.raises(CannotStart, match="can't start new thread"):
                workers.submit(double, 1)

        assert workers.submit(double, 21).result(60) == 42


@pytest.mark.parametrize(("die", "code"), [(kill_myself, -9), (leave, 3)])
def test_a_worker_that_dies_costs_its_call_and_no_other(
    die: Callable[[Any], None], code: int
) -> None:
    with Workers(1) as workers:
        before, dead, after = (
            workers.submit(double, 1),
            workers.submit(die, None),
            workers.submit(double, 2),
        )

        with pytest.raises(WorkerDied, match=f"ended with {code}$"):
            dead.result(60)
        assert (before.result(60), after.result(60)) == (2, 4)


def test_a_worker_killed_from_outside_is_replaced() -> None:
    with Workers(1) as workers:
        first = workers.submit(pid_of, None).result(60)
        os.kill(first, signal.SIGKILL)
        with pytest.raises(WorkerDied):
            workers.submit(pid_of, None).result(60)

        second = workers.submit(pid_of, None).result(60)

    assert first != second


def test_what_is_shut_down_at_once_ends_its_processes_and_cancels_what_waits() -> None:
    workers = Workers(1)
    pid = workers.submit(pid_of, None).result(60)
    waiting = [workers.submit(double, "x" * 1000) for _ in range(50)]

    workers.shutdown(cancel_futures=True)

    with pytest.raises((CancelledError, WorkerDied)):
        waiting[-1].result(60)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    with pytest.raises(RuntimeError, match="shut down"):
        workers.submit(double, 1)


def test_one_argument_is_what_a_worker_takes() -> None:
    with Workers(1) as workers, pytest.raises(TypeError, match="one argument"):
        workers.submit(double, 1, 2)


def test_a_worker_imports_no_event_loop(workers: Workers) -> None:
    import sessiontail.session.auditing as folding

    workers.submit(folding.fold_batch, folding.request_of([])).result(60)
    loaded = workers.submit(modules, None)

    there = {name.split(".")[0] for name in loaded.result(60)}
    assert there.isdisjoint({"anyio", "asyncio", "aiofiles", "trio", "rath", "rich", "click"})


PROGRAM = """
import sys
from sessiontail.system.workers import Workers
from killers import double, pid_of
workers = Workers(1)
print("once", workers.submit(double, 21).result(), workers.submit(pid_of, None).result(), flush=True)
sys.stdin.read()
"""


def test_a_program_needs_no_guard_and_takes_its_workers_along_when_it_is_killed(
    tmp_path: Path,
) -> None:
    (tmp_path / "program.py").write_text(PROGRAM)
    process = subprocess.Popen(
        [sys.executable, "program.py"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parent)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    word, answer, pid = process.stdout.readline().split()

    process.kill()
    process.communicate()

    assert (word, answer) == (b"once", b"42")
    # Its pipe is closed with the program: it ends by itself.
    descriptor = _pidfd(int(pid))
    if descriptor is not None:
        import select

        assert select.select([descriptor], [], [], 60)[0]
        os.close(descriptor)


def _pidfd(pid: int) -> int | None:
    try:
        return os.pidfd_open(pid)
    except ProcessLookupError:
        return None  # it has ended


def test_a_frozen_program_is_no_interpreter(monkeypatch: pytest.MonkeyPatch) -> None:
    assert can_start()
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    assert not can_start()
