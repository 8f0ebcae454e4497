"""a word, an address or an executor -> where an audit's files are folded."""

from __future__ import annotations

from concurrent.futures import Executor
from contextlib import ExitStack
from typing import TypeAlias

from sessiontail.directory.folding_out import Lane
from sessiontail.format.migrations import any_registered
from sessiontail.system.threads import cores, threads
from sessiontail.system.workers import Workers, can_start

__all__ = ["AuditExecutor", "check_executor", "lanes_of"]

#: "processes", "thread", the address of a Dask scheduler, or an executor of one's own.
AuditExecutor: TypeAlias = "str | Executor | None"

# Less is read in the time that it takes to start a process: 60 ms.
_WORTH_BYTES = 32 * 1024 * 1024
_WORDS = (None, "processes", "thread")
# Batches in a worker and on the way to it.
_AHEAD = 2


def check_executor(executor: AuditExecutor) -> None:
    """Refuse what is no executor.

    Raises:
        ValueError: the word is none.
    """
    if isinstance(executor, Executor) or executor in _WORDS or "://" in str(executor):
        return
    words = "'processes', 'thread' or an address, as in tcp://host:8786"
    raise ValueError(f"executor is {words}, not {executor!r}")


def lanes_of(
    executor: AuditExecutor, jobs: int | None, place: str, to_read_bytes: int, stack: ExitStack
) -> list[Lane]:
    """Return where batches go.

    Args:
        executor: as the user has it.
        jobs: how many work at once; None: as many as there are processors.
        place: the directory, which threads hang with.
        to_read_bytes: how much there is to do.
        stack: closes what is opened here.

    Raises:
        MissingExtra: the address is a scheduler's, and Dask is not installed.
        PersistenceError: there is no scheduler at the address.
        ValueError: the word is none (``check_executor``).
    """
    jobs = jobs or cores()
    if isinstance(executor, Executor):
        return [Lane(executor, jobs * _AHEAD)]
    if executor is not None and "://" in executor:
        from sessiontail.directory.cluster import cluster_lane  # noqa: PLC0415 - an extra

        return [cluster_lane(executor, stack)]
    check_executor(executor)
    # A thread begins at once, and lets go of the event loop with each read.
    here = Lane(threads().at(f"audits of {place}"), 1)
    worth = executor == "processes" or to_read_bytes >= _WORTH_BYTES
    # What this program has registered, another process does not know.
    alone = executor == "thread" or jobs == 1 or any_registered()
    if alone or not worth or not can_start():
        return [here]
    workers = Workers(jobs - 1)
    stack.callback(workers.shutdown, wait=True, cancel_futures=True)
    return [Lane(workers, (jobs - 1) * _AHEAD), here]
