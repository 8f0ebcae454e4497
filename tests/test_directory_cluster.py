"""A Dask cluster of two worker processes -> the same audits as without."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import Executor
from contextlib import ExitStack, suppress
from pathlib import Path
from socket import create_server
from typing import Any

import anyio
import anyio.to_thread
import pytest
from distributed import LocalCluster
from msgspec import structs

from buckets import Served, serving
from chats import FIRST, Chats, name, rows
from samples import session_bytes
from sessiontail.directory import cluster as cluster_module
from sessiontail.directory.audit import audit_sessions
from sessiontail.directory.cluster import cluster_lane
from sessiontail.errors import MissingExtra, PersistenceError
from sessiontail.format.audit import SessionAudit
from sessiontail.session.auditing import fold_batch
from sessiontail.urls import as_path

pytestmark = pytest.mark.anyio
#: What workers do, the event loop does not know of.
ASYNCIO = pytest.mark.parametrize("anyio_backend", ["asyncio"])


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a busy machine who answers may take its time."""
    monkeypatch.setattr(cluster_module, "_CONNECT_S", 60)


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    """An S3 server that the workers find too."""
    with serving() as made:
        yield made


@pytest.fixture(scope="module")
def cluster(served: Served) -> Iterator[LocalCluster]:
    """Two worker processes, which find what this process finds."""
    with LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=":0"
    ) as made:
        yield made


@pytest.fixture
def sessions(tmp_path: Path) -> Path:
    """A chain of sessions, a merge, a crashed one, and many small ones: several batches."""
    directory = tmp_path / "sessions"
    directory.mkdir()
    chats = Chats(directory)
    for number in (1, 2, 3):
        chats.write(number, rows(*FIRST[:number]))
    chats.write(4, rows(*FIRST), parents=[name(3), name(9)])
    chats.write(5, rows(*FIRST[:1]) + b"{damaged\n", closed=False)
    for number in range(20, 220):
        (directory / f"{name(number)}.jsonl").write_bytes(session_bytes(3, session_id=name(number)))
    return directory


async def audited(directory: Path, executor: str | Executor) -> dict[str, SessionAudit]:
    async with audit_sessions(directory=directory, executor=executor, cache=False) as audits:
        return {audit.file: audit async for audit in audits}


async def test_what_a_cluster_folds_is_what_is_folded_here(
    cluster: LocalCluster, sessions: Path
) -> None:
    found = await audited(sessions, cluster.scheduler_address)

    assert found == await audited(sessions, "thread")


async def test_who_leaves_early_leaves_no_client_behind(
    cluster: LocalCluster, sessions: Path
) -> None:
    before = {*threading.enumerate()}

    async with audit_sessions(
        directory=sessions, executor=cluster.scheduler_address, cache=False
    ) as audits:
        await anext(audits)

    assert [one.name for one in {*threading.enumerate()} - before if "loop" in one.name] == []


@ASYNCIO
async def test_a_clusters_workers_read_a_bucket_themselves(
    cluster: LocalCluster, sessions: Path, served: Served
) -> None:
    for path in [*sessions.iterdir()][:150]:
        path.unlink()
    url = served.holding(sessions)

    found = await audited(as_path(url), cluster.scheduler_address)

    local = await audited(sessions, "thread")
    assert {file.removeprefix(url): elsewhere(one) for file, one in found.items()} == {
        file.removeprefix(str(sessions)): elsewhere(one) for file, one in local.items()
    }


def elsewhere(audit: SessionAudit) -> SessionAudit:
    """All of it, but where it lies."""
    return structs.replace(audit, file="")


def die_once(mark: str, request: bytes) -> bytes:
    """Kill the worker that has the batch, in the middle of it; the next one folds it."""
    with suppress(FileExistsError):
        Path(mark).touch(exist_ok=False)
        fold_batch(request)
        os.kill(os.getpid(), signal.SIGKILL)
    return fold_batch(request)


class Deadly(Executor):
    """A cluster's lane whose first batch kills who has it."""

    def __init__(self, lane: Executor, mark: Path) -> None:
        self._lane = lane
        self._mark = str(mark)

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Any:
        """Call the deadly function instead, which does the same from the second time on."""
        assert fn is fold_batch
        assert not kwargs
        return self._lane.submit(die_once, self._mark, *args)


class Closing(Executor):
    """A cluster's lane; the cluster ends when the first batch comes."""

    def __init__(self, lane: Executor, cluster: LocalCluster) -> None:
        self._lane = lane
        self._cluster = cluster

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Any:
        self._cluster.close()
        return self._lane.submit(fn, *args, **kwargs)


async def test_a_scheduler_that_goes_is_told_and_nobody_waits(
    sessions: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster_module, "_CONNECT_S", 0.5)
    address = ""

    with ExitStack() as stack:
        made = LocalCluster(n_workers=1, processes=False, dashboard_address=":0")
        address = stack.enter_context(made).scheduler_address
        lane = await anyio.to_thread.run_sync(cluster_lane, address, stack)
        with pytest.raises(PersistenceError, match=f"the Dask scheduler at {address} is gone; "):
            await audited(sessions, Closing(lane.executor, made))


@ASYNCIO
async def test_a_worker_that_is_killed_changes_nothing(
    cluster: LocalCluster, sessions: Path, tmp_path: Path
) -> None:
    pids = {worker.pid for worker in cluster.workers.values()}

    with ExitStack() as stack:
        lane = await anyio.to_thread.run_sync(cluster_lane, cluster.scheduler_address, stack)
        found = await audited(sessions, Deadly(lane.executor, tmp_path / "died"))

    assert (tmp_path / "died").exists()
    assert {worker.pid for worker in cluster.workers.values()} != pids
    assert found == await audited(sessions, "thread")


async def test_the_event_loop_is_free_while_a_scheduler_is_looked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody listens there, and says nothing."""
    monkeypatch.setattr(cluster_module, "_CONNECT_S", 0.5)
    turns = 0
    with create_server(("127.0.0.1", 0)) as silent:
        address = f"tcp://127.0.0.1:{silent.getsockname()[1]}"

        async def turn() -> None:
            nonlocal turns
            while True:
                await anyio.sleep(0.01)
                turns += 1

        async with anyio.create_task_group() as group:
            group.start_soon(turn)
            with pytest.raises(PersistenceError, match=f"no Dask scheduler answers at {address} "):
                await audited(tmp_path, address)
            group.cancel_scope.cancel()

    assert turns > 5


def lane_at(address: str) -> None:
    with ExitStack() as stack:
        cluster_lane(address, stack)


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:9", "nonsense://x", "tcp://"])
def test_where_there_is_no_scheduler_one_line_says_what_to_do(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster_module, "_CONNECT_S", 0.2)
    before = {*threading.enumerate()}

    with pytest.raises(PersistenceError) as caught:
        lane_at(address)

    said = str(caught.value)
    assert said.startswith(f"no Dask scheduler answers at {address} (")
    assert said.endswith("start one with `dask scheduler`, and give the address that it prints")
    assert "\n" not in said
    assert {*threading.enumerate()} <= before


def test_a_worker_is_no_scheduler(cluster: LocalCluster) -> None:
    address = next(iter(cluster.workers.values())).worker_address

    with pytest.raises(PersistenceError, match="is no Dask scheduler"):
        lane_at(address)


def test_a_scheduler_without_workers_is_told() -> None:
    with (
        LocalCluster(n_workers=0, dashboard_address=":0") as empty,
        pytest.raises(PersistenceError, match="has no workers; start some with `dask worker tcp:"),
    ):
        lane_at(empty.scheduler_address)


def test_workers_that_cannot_fold_are_told(
    cluster: LocalCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster_module, "_VERSION", "sessiontail_of_tomorrow:VERSION")

    with pytest.raises(PersistenceError, match=r"(\d) of the \1 Dask workers at .* cannot fold"):
        lane_at(cluster.scheduler_address)


def test_without_dask_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)

    with pytest.raises(MissingExtra, match="install it with: pip install distributed"):
        lane_at("tcp://127.0.0.1:9")
