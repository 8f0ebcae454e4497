"""the address of a Dask scheduler -> where batches go that its workers fold. Blocks: for threads.

The workers open the files themselves, by the names that they have here: a directory must lie on a
file system that all of them share, under one path, and a bucket must be theirs to read. What is sent
is a name a file, and what comes back is a fold. A worker that dies costs nothing: its batches go to
another one.
"""

from __future__ import annotations

import asyncio
import pkgutil
from collections.abc import Callable
from concurrent.futures import Executor, Future
from contextlib import ExitStack
from typing import Any, TypeVar

from sessiontail.directory.folding_out import Lane
from sessiontail.errors import MissingExtra, PersistenceError
from sessiontail.format.audit_state import STATE_VERSION

__all__ = ["cluster_lane"]

# Who is there answers within some ms, on the other side of the world too.
_CONNECT_S = 5.0
# Batches for each thread of a worker: the next one is there when it has done one.
_AHEAD = 2
# How often a batch is given to another worker, besides what Dask does by itself where one dies.
_RETRIES = 2
_T = TypeVar("_T")

# What both sides must have in common: what they send each other.
_VERSION = "sessiontail.format.audit_state:STATE_VERSION"


def cluster_lane(address: str, stack: ExitStack) -> Lane:
    """Return where batches go that a cluster folds.

    Args:
        address: of the scheduler, as Dask writes it: ``tcp://host:8786``, ``tls://...``.
        stack: leaves the cluster when it is closed; the cluster itself stays.

    Raises:
        MissingExtra: Dask is not installed.
        PersistenceError: there is no scheduler, it has no workers, or these cannot fold.
    """
    try:
        from distributed import Client, rpc  # noqa: PLC0415 - an extra, and 0.3 s
    except ImportError as error:
        raise MissingExtra(
            "a Dask scheduler is asked through the distributed package; "
            "install it with: pip install distributed"
        ) from error

    async def is_scheduler() -> bool:
        """Ask before a client does, which leaves a thread behind where nobody answers."""
        async with rpc(address, timeout=_CONNECT_S) as asked:
            said = await asyncio.wait_for(asked.identity(), _CONNECT_S)
            return bool(said.get("type") == "Scheduler")

    try:
        found = asyncio.run(is_scheduler())
    except (OSError, TimeoutError, ValueError, AttributeError) as error:
        why = str(error).partition("\n")[0] or type(error).__name__
        raise PersistenceError(
            f"no Dask scheduler answers at {address} ({why}); start one with `dask scheduler`, and "
            "give the address that it prints"
        ) from error
    if not found:
        raise PersistenceError(f"{address} is no Dask scheduler's address; give the scheduler's")
    client = Client(address, timeout=_CONNECT_S, set_as_default=False)
    stack.callback(client.close, timeout=_CONNECT_S)
    threads = sum(client.nthreads().values())
    if not threads:
        raise PersistenceError(
            f"the Dask scheduler at {address} has no workers; start some with "
            f"`dask worker {address}`, where sessiontail is installed and the sessions can be read"
        )
    # A function of the standard library: to unpickle one of ours takes what is asked for.
    versions = client.run(pkgutil.resolve_name, _VERSION, on_error="return")
    lacking = sorted(worker for worker, found in versions.items() if found != STATE_VERSION)
    if lacking:
        raise PersistenceError(
            f"{len(lacking)} of the {len(versions)} Dask workers at {address} cannot fold sessions "
            f"({lacking[0]}): install the sessiontail of this machine on each of them"
        )
    executor = client.get_executor(pure=False, retries=_RETRIES)
    stack.callback(executor.shutdown, wait=False)
    return Lane(_Cluster(client, executor, address), threads * _AHEAD)


class _Cluster(Executor):
    """A client's executor, which says so when there is no scheduler any more: it would wait."""

    def __init__(self, client: Any, executor: Executor, address: str) -> None:
        self._client = client
        self._executor = executor
        self._address = address

    def submit(self, fn: Callable[..., _T], /, *args: Any, **kwargs: Any) -> Future[_T]:
        """Call a function on a worker.

        Raises:
            PersistenceError: the scheduler is gone.
        """
        if self._client.status == "running":
            future = self._executor.submit(fn, *args, **kwargs)
            # What was under way when it went is cancelled; what came behind that, never ends.
            if self._client.status == "running":
                return future
        raise PersistenceError(
            f"the Dask scheduler at {self._address} is gone; what was folded by then is kept, so "
            "audit again when it is back"
        )
