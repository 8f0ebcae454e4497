"""A mirror has the files of the hosts, byte for byte, whatever was killed; a tail over it is exact."""

from __future__ import annotations

import random
import shutil
import time
from pathlib import Path
from uuid import UUID

import anyio
import pytest
import redis
from rath.session.chunk import ChunkKind, ChunkRow
from rath.session.persistence import SessionWriter
from rath.session.session import Session

from actors import may_lock
from commands import ONE, TWO, chunk, closed, crashed, header, trailer
from redises import RedisServer, anyio_backend, server, url
from relays import (
    Agents,
    files_in,
    in_redis,
    mirroring,
    relaying,
    soon,
    start_mirror,
    start_relay,
    until,
)
from sessiontail import Chunk, PersistenceError, Record, SessionStore
from sessiontail.relay import mirroring as module
from sessiontail.relay.connecting import RelayError, prefix_in
from sessiontail.relay.journal import JOURNAL

__all__ = ["anyio_backend", "server", "url"]

pytestmark = pytest.mark.anyio

SEED = 20260101


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "source"
    path.mkdir()
    return path


@pytest.mark.parametrize(
    ("kept", "kills"),
    [
        (("--appendonly", "yes"), 6),
        ((), 6),
        pytest.param(("--appendonly", "yes"), 100, marks=pytest.mark.slow),
        pytest.param((), 100, marks=pytest.mark.slow),
    ],
)
def test_a_mirror_equals_the_files_though_all_are_killed_at_any_moment(
    tmp_path: Path, source: Path, kept: tuple[str, ...], kills: int
) -> None:
    rng = random.Random(f"{SEED} {kept} {kills}")
    agents = Agents(source, rng.getrandbits(32), deletes=bool(kept))
    target = tmp_path / "mirror"
    with RedisServer(tmp_path / "redis", *kept) as own:
        relay, mirror = start_relay(own.url, source), start_mirror(own.url, target)
        for _ in range(kills):
            agents.work(20)
            time.sleep(rng.uniform(0, 0.12))
            match rng.choice(["redis", "relay", "mirror", "mirror"]):
                case "redis":
                    own.kill()
                    agents.work(10)
                    own.start()
                case "relay":
                    relay.kill()
                    relay.join()
                    agents.work(10)
                    relay = start_relay(own.url, source)
                case _:
                    mirror.kill()
                    mirror.join()
                    agents.work(10)
                    mirror = start_mirror(own.url, target)
        agents.finish()

        until(lambda: target.exists() and files_in(target) == files_in(source))
        for process in (relay, mirror):
            process.kill()
            process.join()


@pytest.mark.slow
def test_a_mirror_equals_the_files_though_redis_comes_back_from_older_states(
    tmp_path: Path, source: Path
) -> None:
    rng = random.Random(SEED)
    # What Redis forgets and has no file any more, a mirror keeps.
    agents = Agents(source, rng.getrandbits(32), deletes=False)
    target = tmp_path / "mirror"
    with RedisServer(tmp_path / "redis") as own:
        relay, mirror = start_relay(own.url, source), start_mirror(own.url, target)
        for _ in range(60):
            agents.work(20)
            time.sleep(rng.uniform(0, 0.12))
            if rng.random() < 0.5:
                with redis.Redis.from_url(own.url) as client:
                    client.save()
                agents.work(10)
                time.sleep(rng.uniform(0, 0.12))
            killed = rng.choice([{"relay"}, {"mirror"}, {"redis", "relay"}, {"redis", "mirror"}])
            for name, process in (("relay", relay), ("mirror", mirror)):
                if name in killed:
                    process.kill()
                    process.join()
            if "redis" in killed:
                own.kill()
            agents.work(15)
            if "redis" in killed:
                own.start()
            if "relay" in killed:
                relay = start_relay(own.url, source)
            if "mirror" in killed:
                mirror = start_mirror(own.url, target)
        agents.finish()

        until(lambda: in_redis(own.url) == files_in(source) == files_in(target))
        for process in (relay, mirror):
            process.kill()
            process.join()


async def test_a_tail_over_a_mirror_gives_each_record_once_though_redis_forgets(
    tmp_path: Path, source: Path
) -> None:
    target = tmp_path / "mirror"
    target.mkdir()
    texts: list[str | None] = []
    wal = source / f"{ONE}.jsonl.__partial__"
    wal.write_bytes(header(ONE))

    async def read() -> None:
        async with SessionStore(target) as store, store.tail_all() as tail:
            async for _, record in tail:
                if isinstance(record, Chunk):
                    texts.append(record.text)

    with RedisServer(tmp_path / "redis") as own:
        async with (
            relaying(own.url, source, name="one"),
            mirroring(own.url, target),
            anyio.create_task_group() as tasks,
        ):
            tasks.start_soon(read)
            for i in range(30):
                with wal.open("ab") as file:
                    file.write(chunk(i, str(i)))
                if i % 10 == 9:
                    await soon(lambda i=i: texts == [str(n) for n in range(i + 1)])  # type: ignore[misc] # i is bound at once
                    await anyio.to_thread.run_sync(own.restart)
            await soon(lambda: files_in(target) == files_in(source))
            tasks.cancel_scope.cancel()

    assert texts == [str(i) for i in range(30)]


async def test_two_hosts_are_read_as_one_directory(url: str, tmp_path: Path) -> None:
    target = tmp_path / "mirror"
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    async with (
        relaying(url, tmp_path / "a", name="a"),
        relaying(url, tmp_path / "b", name="b"),
        mirroring(url, target),
    ):
        closed(tmp_path / "a", ONE, "of a")
        closed(tmp_path / "b", TWO, "of b")
        await soon(lambda: len(list(target.glob("*.jsonl"))) == 2)

    records: dict[UUID, list[Record]] = {}
    async for meta in SessionStore(target).scan():
        records[meta.id] = [record async for record in SessionStore(target).read(meta.id)]
    assert [
        record.text for one in (ONE, TWO) for record in records[UUID(one)] if type(record) is Chunk
    ] == ["of a", "of b"]


async def test_hostile_lines_and_many_bytes_come_as_they_are(
    url: str, tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_STEP_BYTES", 50_000)
    monkeypatch.setattr(module, "_AT_ONCE", 2)
    for i in range(5):
        (source / f"{UUID(int=i)}.jsonl").write_bytes(
            header(str(UUID(int=i))) + b"\n\0\0\n\xff\n" + chunk(0, "x" * 30_000) * 5
            + b"z" * 3_000_000 * (i == 0) + b"\n" + trailer(5)
        )  # fmt: skip
    crashed(source, ONE)
    async with (
        relaying(url, source, name="one", include_closed=True),
        mirroring(url, tmp_path / "mirror"),
    ):
        await soon(lambda: files_in(tmp_path / "mirror") == files_in(source))


async def test_a_closed_session_that_is_opened_again_has_both_files_everywhere(
    url: str, tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENRATH_HOME", str(tmp_path / "home"))
    session = Session.create("user", "go")
    final = source / f"{session.id}.jsonl"
    wal = source / f"{session.id}.jsonl.__partial__"
    kept = tmp_path / "kept"

    def opened() -> SessionWriter:
        return SessionWriter(session, path=final)

    async def is_everywhere(*names: Path) -> None:
        assert sorted(files_in(source)) == sorted(path.name for path in names)
        await soon(lambda: files_in(kept) == files_in(source))
        async with mirroring(url, tmp_path / "joins"):
            await soon(lambda: files_in(tmp_path / "joins") == files_in(source))
        shutil.rmtree(tmp_path / "joins")

    def row(text: str) -> ChunkRow:
        return ChunkRow(kind=ChunkKind.USER, payload={"content": text})

    async with mirroring(url, kept):
        async with relaying(url, source, name="one"):
            writer = opened()
            writer.write_chunk(0, row("old"))
            writer.close()
            await is_everywhere(final)
            writer = opened()
            await is_everywhere(final, wal)
            writer.write_chunk(0, row("new"))
            await is_everywhere(final, wal)
            writer.abandon()
            await is_everywhere(final, wal)
        async with relaying(url, source, name="one"):
            writer = opened()
            await is_everywhere(final, wal)
            writer.close()
            await is_everywhere(final)
            opened().abandon()
            await is_everywhere(final, wal)
            wal.unlink()
            await is_everywhere(final)
            opened().abandon()
            await is_everywhere(final, wal)
        final.unlink()
        async with relaying(url, source, name="one"):
            await is_everywhere(wal)


async def test_what_was_deleted_while_no_mirror_ran_is_removed(
    url: str, tmp_path: Path, source: Path
) -> None:
    closed(source, ONE, "a")
    closed(source, TWO, "b")
    async with relaying(url, source, name="one", include_closed=True):
        async with mirroring(url, tmp_path / "mirror"):
            await soon(lambda: files_in(tmp_path / "mirror") == files_in(source))
        (source / f"{ONE}.jsonl").unlink()
        closed(source, ONE[:-1] + "9", "c")
        async with mirroring(url, tmp_path / "mirror"):
            await soon(lambda: files_in(tmp_path / "mirror") == files_in(source))


async def test_marks_that_were_missed_cost_nothing(
    url: str, server: RedisServer, tmp_path: Path, source: Path
) -> None:
    async with relaying(url, source, name="one"), mirroring(url, tmp_path / "mirror"):
        with redis.Redis(port=server.port) as client:
            client.incr(f"{prefix_in(url)}:count")  # as if one had been trimmed
        closed(source, ONE, "a")

        await soon(lambda: files_in(tmp_path / "mirror") == files_in(source))


async def test_only_what_is_wanted_is_mirrored(url: str, tmp_path: Path, source: Path) -> None:
    closed(source, ONE, "a")
    wal = source / f"{TWO}.jsonl.__partial__"
    wal.write_bytes(header(TWO))
    async with relaying(url, source, name="one", include_closed=True):
        await soon(lambda: _count(url) == 2)
        async with mirroring(url, tmp_path / "running", closed=False):
            assert sorted(files_in(tmp_path / "running")) == [wal.name]
            wal.rename(source / f"{TWO}.jsonl")
            with (source / f"{TWO}.jsonl").open("ab") as file:
                file.write(trailer(0))
            await soon(lambda: sorted(files_in(tmp_path / "running")) == [f"{TWO}.jsonl"])
        async with mirroring(url, tmp_path / "some", only=[ONE[:6]]):
            assert sorted(files_in(tmp_path / "some")) == [f"{ONE}.jsonl"]


async def test_a_session_of_two_names_is_taken_from_the_one_whose_relay_lives(
    url: str, tmp_path: Path, source: Path
) -> None:
    target = tmp_path / "mirror"
    wal = source / f"{ONE}.jsonl.__partial__"
    wal.write_bytes(header(ONE))
    async with mirroring(url, target) as told:
        async with relaying(url, source, name="one"):
            await soon(lambda: files_in(target) == files_in(source))
            inode = (target / wal.name).stat().st_ino
            async with relaying(url, source, name="two"):
                await soon(lambda: told)
        with wal.open("ab") as file:
            file.write(chunk(0, "a"))
        # As if the machine had another name after a restart.
        async with relaying(url, source, name="two"):
            await soon(lambda: files_in(target) == files_in(source))

    assert told[0] == f"two has sessions that one has too, such as {ONE}: they are taken from one"
    assert (target / wal.name).stat().st_ino == inode


async def test_what_cannot_be_written_is_told_once_and_tried_again(
    url: str, tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_AGAIN_S", 0.01)
    target = tmp_path / "mirror"
    for stem in (ONE, TWO):
        closed(source, stem, "a")
    async with mirroring(url, target) as told:
        for stem in (ONE, TWO):
            (target / f"{stem}.jsonl.__partial__").mkdir()
        async with relaying(url, source, name="one", include_closed=True):
            await soon(lambda: told)
            for stem in (ONE, TWO):
                (target / f"{stem}.jsonl.__partial__").rmdir()
            await soon(lambda: files_in(target) == files_in(source) and len(told) == 2)

    assert told[0].endswith("tried again, and others of which that is so")
    assert told[1] == "what could not be mirrored is there now"


async def test_a_kept_mirror_that_somebody_has_changed_is_put_right(
    url: str, tmp_path: Path, source: Path
) -> None:
    target = tmp_path / "mirror"
    stems = [str(UUID(int=i)) for i in range(4)]
    for stem in stems:
        closed(source, stem, "a", "b", "c")
    async with relaying(url, source, name="one", include_closed=True):
        async with mirroring(url, target):
            await soon(lambda: files_in(target) == files_in(source))
        cut, without, more, gone = (target / f"{stem}.jsonl" for stem in stems)
        data = cut.read_bytes()
        cut.write_bytes(data[: len(data) // 2])
        without.write_bytes(b"".join(data.splitlines(keepends=True)[2:]))
        more.write_bytes(data + b"{}\n")
        gone.unlink()
        async with mirroring(url, target) as told:
            await soon(lambda: files_in(target) == files_in(source))

    assert sorted(told) == [
        f"{path.stem} of one was changed here: it is mirrored anew" for path in (cut, without, more)
    ]


async def test_a_directory_that_cannot_be_written_is_no_fault_of_redis(
    url: str, tmp_path: Path
) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.RaisesGroup(pytest.RaisesExc(PersistenceError, match="cannot be mirrored into")):
        async with mirroring(url, tmp_path / "file" / "mirror"):
            pass


async def test_what_redis_has_forgotten_is_kept_and_is_not_said_to_run(
    tmp_path: Path, source: Path
) -> None:
    target = tmp_path / "mirror"
    wal = source / f"{ONE}.jsonl.__partial__"
    wal.write_bytes(header(ONE))
    with RedisServer(tmp_path / "redis") as own:
        async with mirroring(own.url, target) as told:
            async with relaying(own.url, source, name="one"):
                await soon(lambda: files_in(target) == files_in(source))
                assert not may_lock(target / wal.name)
                await anyio.to_thread.run_sync(own.kill)
            wal.unlink()
            await anyio.to_thread.run_sync(own.start)
            async with relaying(own.url, source, name="one"):
                await soon(lambda: may_lock(target / wal.name))
                await soon(lambda: any("forgotten" in line for line in told))

    assert sorted(files_in(target)) == [wal.name]
    assert (
        f"Redis has forgotten sessions of one (1, such as {ONE}): they are kept as they are; "
        "not shown as running any more: 1"
    ) in told


def _count(url: str) -> int:
    with redis.Redis.from_url(url.partition("?")[0]) as client:
        found: int = client.zcard(f"{prefix_in(url)}:one:sessions")
        return found


async def test_a_relay_that_is_gone_is_told_and_that_it_is_back(
    url: str, tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_LOOK_S", 0.01)
    async with relaying(url, source, name="one"):
        pass
    async with mirroring(url, tmp_path / "mirror") as told:
        await soon(lambda: len(told) == 1)
        async with relaying(url, source, name="one"):
            await soon(lambda: len(told) == 2)

    # That it has gone again may be seen before the mirror ends.
    assert told[:2] == ["the relay one is gone: what is written there is not seen",
                        "the relay one is back"]  # fmt: skip


async def test_a_mirror_is_not_relayed_and_what_is_relayed_is_no_mirror(
    url: str, tmp_path: Path, source: Path
) -> None:
    async with relaying(url, source, name="one"):
        with pytest.RaisesGroup(
            pytest.RaisesExc(RelayError, match="is what one publishes: a mirror there")
        ):
            async with mirroring(url, source):
                pass
    assert not (source / JOURNAL).exists()
    async with mirroring(url, tmp_path / "mirror"):
        with pytest.RaisesGroup(
            pytest.RaisesExc(PersistenceError, match="this directory is a mirror")
        ):
            async with relaying(url, tmp_path / "mirror", name="two"):
                pass
