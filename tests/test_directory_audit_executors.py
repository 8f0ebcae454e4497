"""A word, an address or an executor -> lanes."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import pytest

from killers import pid_of
from sessiontail.directory import audit_executors
from sessiontail.directory.audit_executors import lanes_of
from sessiontail.errors import PersistenceError
from sessiontail.system.workers import Workers

MUCH = 1 << 40


def lanes(executor: Any, jobs: int | None = 3, to_read_bytes: int = MUCH) -> list[tuple[str, int]]:
    """Which executors there are, and how much each takes."""
    with ExitStack() as stack:
        found = lanes_of(executor, jobs, "here", to_read_bytes, stack)
        return [(type(lane.executor).__name__, lane.most) for lane in found]


def test_this_process_begins_and_others_help_where_there_is_much_to_read() -> None:
    own = lanes("thread")

    assert [most for _, most in own] == [1]
    assert lanes(None, to_read_bytes=1000) == own
    assert lanes(None, jobs=1) == own
    assert lanes(None) == [("Workers", 4), *own]
    assert lanes("processes", to_read_bytes=0) == [("Workers", 4), *own]


def test_as_many_work_as_there_are_processors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit_executors, "cores", lambda: 5)

    assert lanes(None, jobs=None)[0] == ("Workers", 8)


def test_an_executor_of_ones_own_is_taken_and_not_shut_down() -> None:
    with ThreadPoolExecutor(1) as pool:
        assert lanes(pool, jobs=2) == [("ThreadPoolExecutor", 4)]

        assert pool.submit(int, "1").result() == 1


def test_when_the_stack_is_closed_no_worker_is_left() -> None:
    with ExitStack() as stack:
        workers = lanes_of("processes", 2, "here", MUCH, stack)[0].executor
        assert isinstance(workers, Workers)
        workers.submit(pid_of, None).result()
        (pid,) = workers.pids

    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_an_address_is_a_schedulers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sessiontail.directory.cluster._CONNECT_S", 0.2)

    with pytest.raises(PersistenceError, match=r"no Dask scheduler answers at tcp://127.0.0.1:9 "):
        lanes("tcp://127.0.0.1:9")


@pytest.mark.parametrize("word", ["proceses", "", "tcp:/host"])
def test_another_word_is_refused(word: str) -> None:
    with pytest.raises(ValueError, match=r"executor is 'processes', 'thread' or an address"):
        lanes(word)
