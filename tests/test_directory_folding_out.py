"""Files go out and come back: in any executor, however it fails."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import CancelledError, Executor, Future
from pathlib import Path
from typing import Any

import msgspec
import pytest

from chats import name
from samples import session_bytes
from sessiontail.directory.folding_out import FoldingOut, Lane
from sessiontail.session.auditing import Folded, ToFold, fold_batch, request_of
from sessiontail.system.workers import CannotStart, WorkerDied


class Held(Executor):
    """Does a call when it is told to, in this thread."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, bytes, Future[Any]]] = []

    def submit(self, fn: Any, /, *args: Any, **_: Any) -> Any:
        future: Future[Any] = Future()
        self.calls.append((fn, args[0], future))
        return future

    def do(self, error: BaseException | None = None, answer: Any = None) -> None:
        function, request, future = self.calls.pop(0)
        if isinstance(error, CancelledError):
            future.cancel()
            future.set_running_or_notify_cancel()
        elif error is not None:
            future.set_exception(error)
        else:
            future.set_result(function(request) if answer is None else answer)


class Closed(Executor):
    """Was shut down already."""

    def submit(self, *_: Any, **__: Any) -> Any:
        raise RuntimeError("cannot schedule new futures after shutdown")


@pytest.fixture
def files(tmp_path: Path) -> list[ToFold]:
    for number in range(5):
        path = tmp_path / f"{name(number)}.jsonl"
        path.write_bytes(session_bytes(number, session_id=name(number)))
    return [ToFold(str(path)) for path in sorted(tmp_path.iterdir())]


def out(files: Sequence[ToFold], *lanes: Lane, size: int = 0, came: Any = int) -> FoldingOut:
    sizes = {one.file: size for one in files}
    return FoldingOut(files, sizes, lanes, max_line_bytes=1 << 20, came=came)


def names(folded: Sequence[Folded]) -> list[str]:
    return sorted(one.file for one in folded if one.state)


def test_small_files_go_together_and_large_ones_alone(files: list[ToFold]) -> None:
    small, large = Held(), Held()
    out(files, Lane(small, 9)).send()
    out(files, Lane(large, 9), size=10**9).send()

    assert (len(small.calls), len(large.calls)) == (1, 5)


def test_a_lane_has_no_more_than_it_takes_and_what_comes_back_is_followed_by_the_next(
    files: list[ToFold],
) -> None:
    executor, told = Held(), []
    folding = out(files, Lane(executor, 2), size=10**9, came=lambda: told.append(1))
    folding.send()
    assert len(executor.calls) == 2

    got: list[Folded] = []
    while not folding.over:
        executor.do()
        assert folding.some_back
        got += folding.take()
        assert len(executor.calls) <= 2

    assert names(got) == [one.file for one in files]
    assert len(told) == 5


def test_a_batch_that_fails_is_tried_again_a_file_at_a_time(files: list[ToFold]) -> None:
    executor = Held()
    folding = out(files, Lane(executor, 1))
    folding.send()
    executor.do(OSError("lost"))
    got = folding.take()
    assert (got, folding.over) == ([], False)

    folding.send()
    executor.do(MemoryError())  # the first file, alone
    while not folding.over:
        got += folding.take()
        folding.send()
        if executor.calls:
            executor.do()

    assert names(got + folding.take()) == [one.file for one in files]


def test_a_file_that_fails_alone_twice_is_told(files: list[ToFold]) -> None:
    executor = Held()
    folding = out(files[:1], Lane(executor, 1))
    for error in (OSError("a"), CancelledError(), MemoryError()):
        folding.send()
        executor.do(error)
        got = folding.take()

    assert folding.over
    assert got == [Folded(files[0].file, error="what read it failed, 3 times: MemoryError")]


def test_an_executor_that_takes_nothing_is_told_and_not_asked_for_ever(
    files: list[ToFold],
) -> None:
    folding = out(files, Lane(Closed(), 1))
    got: list[Folded] = []
    while not folding.over:
        folding.send()
        got += folding.take()

    assert {one.error for one in got} == {
        "what read it failed, 3 times: cannot schedule new futures after shutdown"
    }
    assert len(got) == 5


@pytest.mark.parametrize("wrong", ["none", "empty", "fewer", "another's"])
def test_what_is_no_answer_is_as_if_there_were_none(files: list[ToFold], wrong: str) -> None:
    executor = Held()
    folding = out(files[:2], Lane(executor, 1))
    folding.send()
    answer = {
        "none": b"\xff",
        "empty": msgspec.msgpack.encode([]),
        "fewer": fold_batch(request_of(files[:1])),
        "another's": fold_batch(request_of(files[3:])),
    }[wrong]
    executor.do(answer=answer)
    got: list[Folded] = []
    while not folding.over:
        got += folding.take()
        folding.send()
        if executor.calls:
            executor.do()

    assert names(got) == [one.file for one in files[:2]]


def test_what_a_worker_has_died_of_is_not_brought_to_another_lane(files: list[ToFold]) -> None:
    """The other one may be a thread of this process."""
    workers, here = Held(), Held()
    folding = out(files[:3], Lane(workers, 1), Lane(here, 1), size=10**9)
    folding.send()
    workers.do(WorkerDied("a worker process ended with -9"))  # then it has the third
    got = folding.take()

    here.do()
    assert here.calls == []
    workers.do()
    workers.do(WorkerDied("a worker process ended with -9"))
    got += folding.take()
    folding.send()
    workers.do(WorkerDied("a worker process ended with -9"))
    got += folding.take()

    assert (folding.over, here.calls) == (True, [])
    assert [(one.file, one.error) for one in got if one.error] == [
        (files[0].file, "what read it failed, 3 times: a worker process ended with -9")
    ]
    assert names(got) == [one.file for one in files[1:3]]


def test_where_no_worker_can_be_started_the_other_lane_does_it_all(files: list[ToFold]) -> None:
    workers, here = Held(), Held()
    folding = out(files, Lane(workers, 2), Lane(here, 1), size=10**9)
    folding.send()
    workers.do(CannotStart("no process"))
    workers.do(CannotStart("no process"))
    got: list[Folded] = []
    while not folding.over:
        got += folding.take()
        folding.send()
        assert workers.calls == []
        if here.calls:
            here.do()

    assert names(got) == [one.file for one in files]


def test_where_no_worker_can_be_started_any_more_what_killed_one_is_told(
    files: list[ToFold],
) -> None:
    workers, here = Held(), Held()
    folding = out(files[:1], Lane(workers, 1), Lane(here, 1))
    got: list[Folded] = []
    for error in (WorkerDied("died"), CannotStart("no process"), CannotStart("no process")):
        folding.send()
        workers.do(error)
        got += folding.take()

    assert (folding.over, here.calls) == (True, [])
    assert [one.error for one in got] == ["what read it failed, 3 times: no process"]


def test_who_does_not_take_is_not_sent_more(files: list[ToFold]) -> None:
    executor = Held()
    many = files * 40
    folding = out(many, Lane(executor, 1), size=10**9)
    folding.send()
    while executor.calls:
        executor.do()

    assert len(folding.take()) == 64
    folding.send()
    assert len(executor.calls) == 1


def test_what_is_closed_sends_nothing_more(files: list[ToFold]) -> None:
    executor = Held()
    folding = out(files, Lane(executor, 1), size=10**9)
    folding.send()
    folding.close()
    executor.do()

    assert executor.calls == []
    assert len(folding.take()) == 1
