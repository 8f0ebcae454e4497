"""calls -> results, in processes of our own; one that dies costs the call that it had.

A ``concurrent.futures.Executor`` like the standard library's, but: it needs no ``if __name__ ==
"__main__"`` in the program, which is not imported again; it is not started by a fork, which threads
do not survive; and a worker that is killed (SIGKILL, out of memory) raises for its own call only,
and is replaced.
"""

from __future__ import annotations

import os
import pickle
import queue
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import BrokenExecutor, Executor, Future
from contextlib import suppress
from typing import Any, TypeVar

from sessiontail.system.working import read_frame, write_frame

__all__ = ["CannotStart", "WorkerDied", "Workers", "can_start"]

_T = TypeVar("_T")

# What a worker says first, on a line of its own: that it is one.
_HELLO = b"sessiontail worker\n"
# Bytes of what a module prints while Python starts; who says more is another program.
_MOST_NOISE_BYTES = 1024 * 1024

# What a worker runs; it finds modules where this process does, whatever its directory is.
_PROGRAM = f"""\
import os, sys
sys.path[:] = sys.argv[1:]
from sessiontail.system.working import serve
os.write(1, b"\\n" + {_HELLO!r})
serve()
"""


class WorkerDied(BrokenExecutor):
    """The process that had a call ended before it had the result."""


class CannotStart(BrokenExecutor):
    """No process is to be had: the call was not begun."""


class _Task:
    __slots__ = ("argument", "function", "future")

    def __init__(self, function: Callable[[Any], Any], argument: Any) -> None:
        self.function = function
        self.argument = argument
        self.future: Future[Any] = Future()


class Workers(Executor):
    """A bounded number of processes, started when there is work for them.

    Args:
        most: processes at most.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._tasks: queue.SimpleQueue[_Task | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._processes: set[subprocess.Popen[bytes]] = set()
        self._threads = 0
        # Calls that have no result so far.
        self._open = 0
        self._closed = False

    @property
    def pids(self) -> list[int]:
        """The processes that there are now."""
        with self._lock:
            return sorted(process.pid for process in self._processes)

    def submit(self, fn: Callable[..., _T], /, *args: Any, **kwargs: Any) -> Future[_T]:
        """Call a function of a module, with one argument, in a process.

        Raises:
            CannotStart: there is no thread for it.
            RuntimeError: this is shut down.
            TypeError: there is another number of arguments.
        """
        if len(args) != 1 or kwargs:
            raise TypeError("a worker's function takes one argument")
        task = _Task(fn, args[0])
        with self._lock:
            if self._closed:
                raise RuntimeError("these workers are shut down")
            if self._open >= self._threads and self._threads < self._most:
                self._add_thread()
            self._open += 1
        self._tasks.put(task)
        return task.future

    def _add_thread(self) -> None:
        try:
            threading.Thread(target=self._work, name="sessiontail", daemon=True).start()
        except RuntimeError as error:
            if not self._threads:  # else those that there are do it
                raise CannotStart(str(error)) from error
        else:
            self._threads += 1

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:  # noqa: FBT001, FBT002 - the standard library's signature
        """End the processes: when what was submitted is done, or at once.

        Args:
            wait: until they have ended.
            cancel_futures: kill them; who waits for a result hears that it was cancelled.
        """
        with self._lock:
            self._closed = True
            processes = [*self._processes]
            threads = self._threads
        if cancel_futures:
            with suppress(queue.Empty):
                while True:
                    task = self._tasks.get_nowait()
                    if task is not None:
                        task.future.cancel()
            for process in processes:
                process.kill()
        for _ in range(threads):
            self._tasks.put(None)
        if wait:
            for process in processes:
                process.wait()

    def _work(self) -> None:
        """Do what is to do, in a process of this thread's own."""
        process: subprocess.Popen[bytes] | None = None
        try:
            while (task := self._tasks.get()) is not None:
                if task.future.set_running_or_notify_cancel():
                    process = self._run(task, process)
                with self._lock:
                    self._open -= 1
        finally:
            if process is not None:
                self._end(process)

    def _run(
        self, task: _Task, process: subprocess.Popen[bytes] | None
    ) -> subprocess.Popen[bytes] | None:
        """Do one call; return the process that is there for the next one."""
        answer = None
        try:
            call = pickle.dumps((task.function.__module__, task.function.__name__, task.argument))
            process = process or self._start()
            assert process.stdin is not None
            assert process.stdout is not None
            with suppress(OSError):  # it has died: then there is no answer either
                write_frame(process.stdin, call)
                answer = read_frame(process.stdout)
            if answer is not None:
                done, result = pickle.loads(answer)  # noqa: S301 - from a process of ours
        except Exception as error:  # noqa: BLE001 - it belongs to who called
            task.future.set_exception(error)
            return process
        if answer is None:
            code = self._end(process)
            task.future.set_exception(WorkerDied(f"a worker process ended with {code}"))
            return None
        if done:
            task.future.set_result(result)
        else:
            task.future.set_exception(result)
        return process

    def _start(self) -> subprocess.Popen[bytes]:
        """Start a process, and hear that it is a worker.

        Raises:
            CannotStart: the system starts none, or what it starts is none.
        """
        try:
            process = subprocess.Popen(  # noqa: S603 - this interpreter
                [sys.executable, "-I", "-c", _PROGRAM, *map(os.path.abspath, sys.path)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                process_group=0 if os.name == "posix" else None,  # an interrupt is for us alone
            )
        except (OSError, ValueError, TypeError, MemoryError, subprocess.SubprocessError) as error:
            raise CannotStart(str(error) or type(error).__name__) from error
        with self._lock:
            self._processes.add(process)
            closed = self._closed
        if closed:
            process.kill()
        if not _says_hello(process):
            process.kill()
            raise CannotStart(f"{sys.executable} ended with {self._end(process)}, and is no worker")
        return process

    def _end(self, process: subprocess.Popen[bytes]) -> int:
        """Close what leads to a process, and wait for its end."""
        with self._lock:
            self._processes.discard(process)
        for stream in (process.stdin, process.stdout):
            with suppress(OSError):
                if stream is not None:
                    stream.close()
        return process.wait()


def _says_hello(process: subprocess.Popen[bytes]) -> bool:
    """Wait until a process is there; what was printed before it is passed over."""
    assert process.stdout is not None
    left = _MOST_NOISE_BYTES
    while left > 0 and (line := process.stdout.readline(left)):
        if line == _HELLO:
            return True
        left -= len(line)
    return False


def can_start() -> bool:
    """Say whether this interpreter can start workers: a program that is frozen is none."""
    return bool(sys.executable) and not getattr(sys, "frozen", False)
