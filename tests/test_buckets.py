"""Sessions of openrath's real loop, in a bucket -> what is said of them where they lie on disk."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from buckets import Served, serving
from chats import FIRST, GONE, Chats, name, rows
from commands import run
from hostile import CASES
from sessiontail import Record, SessionStore
from sessiontail.directory.audit import audit_sessions
from sessiontail.errors import MissingExtra, PersistenceError
from sessiontail.format.audit import SessionAudit, summarize
from sessiontail.format.lifecycle import SessionState
from sessiontail.session.writer import SessionWriter
from sessiontail.system import stamps
from sessiontail.system.buckets import Bucket
from test_twenty_turns import Chat

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    with serving() as made:
        yield made


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five real sessions, chained by merge, forked and detached; and some that crashed, or are damaged."""
    home = tmp_path_factory.mktemp("home")
    (home / "sessions").mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OPENRATH_HOME", str(home))
        chat = Chat()
        first = chat.ask("one", "1", tool=True)
        second = chat.ask("two", "2", first)
        chat.ask("fork", "f", second.fork())
        chat.ask("detached", "d", second.detach())
        chat.ask("other", "o", first)
    chats = Chats(home / "sessions")
    chats.write(1, rows(*FIRST))
    chats.write(2, rows(*FIRST[:2]), closed=False)
    chats.write(3, rows(*FIRST[:1]) + b"{damaged\n", parents=[name(1), GONE])
    for case in ("only_newlines", "invalid_utf8_in_header", "bigint_in_payload"):
        (home / "sessions" / f"{case}.jsonl").write_bytes(CASES[case].data)
    for number, path in enumerate(sorted((home / "sessions").iterdir())):
        os.utime(path, (10**9 + number, 10**9 + number))
    return home


@pytest.fixture(scope="module")
def directory(home: Path) -> Path:
    return home / "sessions"


@pytest.fixture(scope="module")
def url(served: Served, directory: Path) -> str:
    return served.holding(directory)


async def audited(directory: Path | str, **options: Any) -> dict[str, SessionAudit]:
    """By file name: all that is said, but where the file lies and what only locks say."""
    async with audit_sessions(directory=directory, **{"cache": False, **options}) as audits:
        return {
            audit.path.name: structs.replace(audit, file="", state=SessionState.UNKNOWN)
            async for audit in audits
        }


async def test_an_audit_of_a_bucket_is_that_of_the_directory(url: str, directory: Path) -> None:
    local = await audited(directory)

    assert await audited(url) == local
    assert await audited(f"file://{directory}") == local
    assert summarize(local.values()).own_rows < summarize(local.values()).rows
    assert len(local) == 11


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_worker_processes_read_the_bucket_themselves(url: str, directory: Path) -> None:
    assert await audited(url, executor="processes", jobs=3) == await audited(directory)


async def test_a_second_audit_lists_and_reads_nothing(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SESSIONTAIL_CACHE", str(tmp_path / "cache.sqlite"))
    monkeypatch.setattr(stamps, "OLD_NS", -1)
    first = await audited(url, cache=True)

    def read(*_: object) -> bytes:
        raise AssertionError("an object was read")

    monkeypatch.setattr(Bucket, "read", read)

    assert await audited(url, cache=True) == first


async def test_what_is_exchanged_meanwhile_is_audited_as_it_is_then(
    served: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = Chats(tmp_path).write(1, rows(*FIRST[:1]))
    url = served.holding(tmp_path)
    Chats(tmp_path).write(1, rows(*FIRST))
    read = Bucket.read

    def exchanged(self: Bucket, *args: Any) -> bytes:
        monkeypatch.setattr(Bucket, "read", read)
        served.put(url, file.name, file.read_bytes())
        return self.read(*args)

    monkeypatch.setattr(Bucket, "read", exchanged)

    assert await audited(url) == await audited(tmp_path)


async def test_what_is_unfinished_there_is_unknown(url: str) -> None:
    async with audit_sessions(directory=url, cache=False) as audits:
        states = {audit.path.name: audit.state async for audit in audits}
    metas = {meta.path.name: meta.state for meta in await SessionStore(url).list()}

    wal = f"{name(2)}.jsonl.__partial__"
    assert (states.pop(wal), metas.pop(wal)) == (SessionState.UNKNOWN, SessionState.UNKNOWN)
    assert {*metas.values()} == {SessionState.CLOSED}
    assert {key: states[key] for key in metas} == metas


def brief(records: Sequence[Record]) -> list[Any]:
    return [(type(record).__name__, getattr(record, "raw", None) or record) for record in records]


async def test_a_store_lists_reads_and_searches_there(url: str, directory: Path) -> None:
    found: list[list[Any]] = []
    for where in (url, str(directory)):
        store = SessionStore(where)
        assert str(store.directory) == where
        said: list[Any] = []
        async with store:
            for one in await store.outlines():
                meta = one.meta
                said.append((meta.path.name, meta.id, meta.chunk_count, meta.size_bytes))
                said.append((meta.torn_bytes, meta.closed_at, meta.cumulative_usage))
                said.append((one.inherited_count, one.parent, one.title))
                assert str(meta.path) == f"{where}/{meta.path.name}"
                async with store.read(path=meta.path, inherited="skip") as feed:
                    said.append(brief([record async for record in feed]))
                    said.append((feed.left_out, feed.torn_bytes, str(feed.path) == str(meta.path)))
                said.append([record async for record in store.read(path=meta.path, last=2)][-1])
            session = await store.load(name(1))
            said += [session.header, session.chunk_table, session.closed, session.inherited_count]
            said += [await store.meta(name(1), verify=True)][:0]
            said += [one.outline.title for one in await store.conversations()]
            # Those that changed last come at the end; an object changed when it was put there.
            said += sorted(
                [
                    (str(one.session_id), one.line, one.offset, one.text, one.spans)
                    async for one in store.search("e", literal=True)
                ],
                key=str,
            )
        found.append(said)

    assert found[0] == found[1]


async def test_what_is_not_there_is_told(url: str) -> None:
    with pytest.raises(PersistenceError, match="no such session"):
        await SessionStore(url).load(GONE)
    with pytest.raises(PersistenceError, match=f"{url}/x.jsonl: no such session file"):
        await SessionStore(url).load(path=f"{url}/x.jsonl")


async def test_what_needs_a_directory_is_refused(url: str) -> None:
    store = SessionStore(url)
    header = (await store.load(name(1))).header

    async def follow(stream: Any) -> None:
        async with stream:
            await anext(stream)

    for refused, done in [
        (store.delete(name(1)), "deleted"),
        (store.delete(path=f"{url}/x.jsonl"), "deleted"),
        (store.plan_prune(keep_last=1), "pruned"),
        (follow(store.tail(name(1))), "followed"),
        (follow(store.tail_all()), "followed"),
        (follow(store.watch()), "followed"),
    ]:
        with pytest.raises(PersistenceError, match=f"in a bucket, sessions are not {done}: they"):
            await refused
    with pytest.raises(PersistenceError, match="in a bucket, sessions are not written: they"):
        SessionWriter(header, directory=url)


async def test_without_obstore_one_line_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "obstore", None)

    with pytest.raises(MissingExtra, match="pip install"):
        await SessionStore("s3://never-seen/x").list()
    with pytest.raises(MissingExtra, match="pip install"):
        await audited("s3://never-seen/x")


def test_the_commands_read_there(url: str, directory: Path) -> None:
    """Their columns are as wide as what is in them, so files are compared where these are long."""
    listed = run("ls", "--dir", url, "-o", "jsonl")
    here = run("ls", "--dir", directory, "-o", "jsonl")
    raw = run("cat", "-o", "raw", f"{url}/{name(3)}.jsonl")
    shown = run("cat", "--dir", url, name(3))
    found = run("grep", "-c", "hello", "--dir", url)

    assert listed.returncode == here.returncode == 0
    assert len(listed.stdout.splitlines()) == len(here.stdout.splitlines()) == 9
    assert raw.stdout == (directory / f"{name(3)}.jsonl").read_text("utf-8")
    assert shown.stdout == run("cat", "--dir", directory, name(3)).stdout
    assert found.stdout == run("grep", "-c", "hello", "--dir", directory).stdout
    refused = run("tail", "-f", "--dir", url)
    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr.startswith(f"sessiontail: {url}: in a bucket, sessions are not followed")
