"""A directory -> the audits of its sessions: equal to a slow, plain reading of the same files."""

from __future__ import annotations

import os
from concurrent.futures import Executor, ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import anyio
import pytest
from hypothesis import given, settings, strategies as st

from chats import FIRST, Chats, name, rows
from hostile import CASES
from killers import kill_myself
from plain_audit import comparable, plain_audits
from samples import chunk_line, header_line, session_bytes, trailer_line
from sessiontail.directory.audit import AuditPass, audit_sessions
from sessiontail.directory.audit_progress import AuditProgress
from sessiontail.errors import PersistenceError
from sessiontail.format import migrations
from sessiontail.format.audit import SessionAudit, summarize
from sessiontail.format.audit_state import STATE_VERSION
from sessiontail.session.pulling import StreamBusy
from sessiontail.system import stamps
from sessiontail.system.cache import Cache
from sessiontail.system.workers import Workers

pytestmark = pytest.mark.anyio
CORPUS = Path(
    os.environ.get("SESSIONTAIL_CORPUS") or Path(__file__).parents[2] / "shared" / "corpus"
)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cache of this test's own, which believes what it sees at once."""
    monkeypatch.setenv("SESSIONTAIL_CACHE", str(tmp_path / "cache.sqlite"))
    monkeypatch.setattr(stamps, "SETTLED_S", -1.0)


async def audited(directory: Path, **options: Any) -> dict[str, SessionAudit]:
    async with audit_sessions(directory=directory, **options) as audits:
        return {audit.file: audit async for audit in audits}


def compared(audits: dict[str, SessionAudit]) -> dict[str, dict[str, Any]]:
    return {file: comparable(audit) for file, audit in audits.items()}


def family(directory: Path) -> Chats:
    """Chained, forked, merged and crashed sessions, one with two files, two that name each other."""
    directory.mkdir(exist_ok=True)
    chats = Chats(directory)
    call = {"id": "c", "type": "function", "function": {"name": "bash", "arguments": "{}"}}
    ask = chunk_line(2, None, "assistant", tool_calls=[call])
    tell = chunk_line(3, '{"exit_code": 1}', "tool_result", tool_call_id="c", name="bash")
    one = rows(*FIRST[:1])
    chats.write(1, one)
    chats.write(2, one + ask)
    chats.write(3, one + ask + tell, parents=[name(2), name(9)])
    chats.write(4, one + chunk_line(2, "another way"), closed=False)
    chats.write(5, rows(*FIRST), parents=[name(6)])
    chats.write(6, rows(*FIRST), parents=[name(5)])
    chats.write(7, one + ask + tell + chunk_line(4, "x") + b"{damaged\n" + chunk_line(9, "y"))
    chats.write(7, one, closed=False)
    summary = chunk_line(0, "They said hello.")
    chats.write(10, summary, lineage_kind="op_session_compress")
    chats.write(11, summary + chunk_line(1, "go on") + chunk_line(2, "Yes.", "assistant"))
    (directory / "export.jsonl").write_bytes(session_bytes(2))
    (directory / f"{name(8)}.jsonl.__partial__").write_bytes(b'{"record_type": "hea')
    return chats


async def test_a_family_of_sessions_is_counted_as_a_plain_reading_counts_it(
    tmp_path: Path,
) -> None:
    family(tmp_path / "sessions")

    audits = await audited(tmp_path / "sessions")

    assert compared(audits) == plain_audits(tmp_path / "sessions")


async def test_each_row_of_a_directory_counts_once(tmp_path: Path) -> None:
    chats = Chats(tmp_path)
    for number in (1, 2, 3):
        chats.write(number, rows(*FIRST[:number]))

    total = summarize((await audited(tmp_path)).values())

    assert (total.sessions, total.rows, total.own_rows, total.conversations) == (3, 12, 6, 1)
    assert total.own.rows_by_kind == {"user": 3, "assistant": 3}


@pytest.mark.parametrize("executor", ["thread", "processes", "pool"])
async def test_wherever_it_is_folded_the_result_is_the_same(tmp_path: Path, executor: str) -> None:
    family(tmp_path / "sessions")
    for case_name, case in CASES.items():
        (tmp_path / "sessions" / f"{case_name}.jsonl").write_bytes(case.data)
    plain = plain_audits(tmp_path / "sessions")

    with ThreadPoolExecutor(2) as pool:
        given = pool if executor == "pool" else executor
        audits = await audited(tmp_path / "sessions", executor=given, jobs=3, cache=False)

    assert compared(audits) == plain


@pytest.mark.skipif(not CORPUS.is_dir(), reason="no corpus: SESSIONTAIL_CORPUS names no directory")
async def test_the_corpus_is_counted_as_a_plain_reading_counts_it(tmp_path: Path) -> None:
    for path in CORPUS.glob("*.jsonl"):
        (tmp_path / path.name).write_bytes(path.read_bytes())

    assert compared(await audited(tmp_path)) == plain_audits(tmp_path)


WHOLE = b"".join(
    [
        header_line(parent_session_ids=[name(1)]),
        rows(*FIRST),
        chunk_line(6, "ünï\u2028code", "assistant"),
        trailer_line(7, (1, 2, 3)),
    ]
)


@settings(max_examples=100)
@given(data=st.data())
def test_damaged_copies_are_counted_as_a_plain_reading_counts_them(data: st.DataObject) -> None:
    lines = [*WHOLE.splitlines(keepends=True), header_line(), b"\n", b"\r\n", trailer_line(3)]
    body = b"".join(data.draw(st.lists(st.sampled_from(lines), max_size=9)))
    for at, byte in data.draw(
        st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 255)), max_size=4)
    ):
        if at < len(body):
            cut = data.draw(st.integers(0, 1))
            body = body[:at] + bytes([byte]) * cut + body[at + 1 :]
    with TemporaryDirectory() as made:
        directory = Path(made)
        (directory / "a.jsonl").write_bytes(WHOLE + body)
        (directory / "b.jsonl.__partial__").write_bytes(body)

        audits = anyio.run(lambda: audited(directory, cache=False, executor="thread"))

        assert compared(audits) == plain_audits(directory)


async def test_a_second_pass_opens_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    family(tmp_path / "sessions")
    first = await audited(tmp_path / "sessions")
    known: list[AuditProgress] = []

    def opened(*_: object) -> None:
        raise AssertionError("a file was opened")

    monkeypatch.setattr("sessiontail.session.auditing.Slices", opened)
    monkeypatch.setattr("sessiontail.session.rows.SessionFile", opened)
    second = await audited(tmp_path / "sessions", on_progress=known.append)

    assert second == first
    assert (known[-1].files_known, known[-1].files, known[-1].bytes) == (12, 12, 0)


async def test_a_file_that_has_grown_is_read_from_where_the_last_pass_stopped(
    tmp_path: Path,
) -> None:
    """Cut at every line, and within one; fed in two passes."""
    family(tmp_path / "whole")
    directory = tmp_path / "sessions"
    directory.mkdir()
    path = directory / f"{name(7)}.jsonl"
    data = (tmp_path / "whole" / path.name).read_bytes()
    cuts = [i + 1 for i, byte in enumerate(data) if byte == 0x0A]
    for cut in [0, 50, *cuts[:-1], cuts[3] + 20]:
        path.write_bytes(data[:cut])
        before = await audited(directory)
        asked: list[AuditProgress] = []
        path.write_bytes(data)

        after = await audited(directory, on_progress=asked.append)

        whole = data[:cut].rfind(b"\n") + 1
        assert compared(before)[str(path)]["torn_bytes"] == cut - whole
        assert compared(after) == plain_audits(directory)
        assert asked[-1].bytes == len(data) - whole


async def test_what_was_rewritten_is_read_anew(tmp_path: Path) -> None:
    path = tmp_path / f"{name(1)}.jsonl"
    path.write_bytes(session_bytes(5, session_id=name(1)))
    await audited(tmp_path)
    path.write_bytes(session_bytes(2, session_id=name(2)) + b"x" * 3000)

    assert compared(await audited(tmp_path)) == plain_audits(tmp_path)


async def test_a_line_that_was_mended_in_place_is_no_finding_any_more(tmp_path: Path) -> None:
    path = tmp_path / f"{name(1)}.jsonl"
    damaged = session_bytes(9, session_id=name(1)).replace(b'"user"', b'"usex"', 1)
    path.write_bytes(damaged)
    before = (await audited(tmp_path))[str(path)]
    path.write_bytes(damaged.replace(b'"usex"', b'"user"'))

    assert "malformed-chunk" in before.findings_by_reason
    assert compared(await audited(tmp_path)) == plain_audits(tmp_path)


async def test_one_session_that_is_not_known_any_more_asks_the_others_again(tmp_path: Path) -> None:
    """As where two passes have written the cache at once, and one of them did not see a file."""
    directory = tmp_path / "sessions"
    family(directory)
    first = await audited(directory)
    Cache().write(f"audits-{STATE_VERSION}", str(directory), {}, [f"{name(3)}.jsonl"])

    assert await audited(directory) == first


async def test_who_is_told_how_far_it_is_and_fails_loses_nothing(tmp_path: Path) -> None:
    family(tmp_path)
    told: list[AuditProgress] = []
    files: list[str] = []

    def fail_first(progress: AuditProgress) -> None:
        told.append(progress)
        if len(told) <= 2:
            raise ZeroDivisionError

    async with audit_sessions(
        directory=tmp_path, executor="thread", on_progress=fail_first, cache=False
    ) as audits:
        for _ in range(2):
            with pytest.raises(ZeroDivisionError):
                await anext(audits)
        files += [audit.file async for audit in audits]

    assert sorted(files) == sorted(plain_audits(tmp_path))


async def test_what_others_say_changes_with_them(tmp_path: Path) -> None:
    """A parent that goes: its rows count with the child that has copied them."""
    chats = Chats(tmp_path)
    parent = chats.write(1, rows(*FIRST[:1]))
    child = str(chats.write(2, rows(*FIRST), parents=[name(1)]))
    before = (await audited(tmp_path))[child]

    parent.unlink()
    after = (await audited(tmp_path))[child]

    assert (before.inherited_rows, after.inherited_rows) == (2, 0)
    assert [one.reason for one in before.findings] == []
    assert [one.reason for one in after.findings] == ["missing-parent"]


async def test_what_a_migration_makes_of_a_file_is_counted_and_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Workers do not know it, and the next program may not."""
    path = tmp_path / f"{name(1)}.jsonl"
    old = header_line(name(1), schema_version=0)
    path.write_bytes(old + chunk_line(0, "x", "told") + trailer_line(1))
    before = (await audited(tmp_path))[str(path)]

    def migrate(record: dict[str, Any]) -> dict[str, Any]:
        return {**record, "schema_version": 1}

    def migrate_chunk(record: dict[str, Any]) -> dict[str, Any]:
        return {**record, "kind": "user"}

    with monkeypatch.context() as patched:
        patched.setattr(migrations, "_header_migrations", {0: migrate})
        patched.setattr(migrations, "_chunk_migrations", {0: migrate_chunk})
        during = (await audited(tmp_path, executor="processes", jobs=2))[str(path)]
    after = (await audited(tmp_path))[str(path)]

    assert (before.created_at, after) == (None, before)
    assert during.rows_by_kind == {"user": 1}


async def test_a_worker_that_is_killed_changes_nothing(tmp_path: Path) -> None:
    family(tmp_path)
    for number in range(20, 60):
        (tmp_path / f"{name(number)}.jsonl").write_bytes(session_bytes(3, session_id=name(number)))
    plain = plain_audits(tmp_path)

    with Mortal(2) as executor:
        audits = await audited(tmp_path, executor=executor, cache=False)

    assert executor.died > 0
    assert compared(audits) == plain


async def test_a_file_that_kills_who_reads_it_is_told_and_stops_nothing_else(
    tmp_path: Path,
) -> None:
    family(tmp_path)
    poison = tmp_path / f"{name(3)}.jsonl"
    rest = {file: one for file, one in plain_audits(tmp_path).items() if file != str(poison)}

    with Mortal(2, poison=str(poison)) as executor:
        audits = await audited(tmp_path, executor=executor, cache=False)

    told = audits.pop(str(poison))
    assert (told.was_read, told.rows, told.findings_by_reason) == (False, 0, {"unreadable": 1})
    assert "failed, 3 times: a worker process ended with -9" in told.findings[0].message
    assert {*audits} == {*rest}
    assert summarize([told]).unreadable == 1


async def test_what_is_no_regular_file_is_told(tmp_path: Path) -> None:
    (tmp_path / f"{name(1)}.jsonl").mkdir()
    (tmp_path / f"{name(2)}.jsonl").write_bytes(session_bytes(1, session_id=name(2)))

    audits = await audited(tmp_path)

    told = audits[str(tmp_path / f"{name(1)}.jsonl")]
    assert [one.message for one in told.findings] == ["not a regular file"]
    assert len(audits) == 2


async def test_a_step_that_is_cut_short_is_tried_again_and_loses_nothing(tmp_path: Path) -> None:
    family(tmp_path)
    files: list[str] = []

    async with audit_sessions(directory=tmp_path) as audits:
        while True:
            with anyio.move_on_after(0) as scope:
                try:
                    files.append((await anext(audits)).file)
                except StopAsyncIteration:
                    break
            if scope.cancelled_caught:
                await anyio.sleep(0)

    assert sorted(files) == sorted(plain_audits(tmp_path))


async def test_who_leaves_early_keeps_what_was_folded_and_leaves_no_process(
    tmp_path: Path,
) -> None:
    family(tmp_path)
    async with audit_sessions(directory=tmp_path, executor="processes", jobs=2) as audits:
        await anext(audits)
        workers = audits.worker_pids

    for pid in workers:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


async def test_an_absent_directory_is_empty_and_a_file_is_none(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    assert await audited(tmp_path / "nothing") == {}
    with pytest.raises(PersistenceError, match="Not a directory"):
        await audited(tmp_path / "file")


async def test_a_pass_that_another_task_closes_at_any_moment_just_ends(tmp_path: Path) -> None:
    family(tmp_path)
    ended = 0

    async def pull(audits: AuditPass) -> None:
        nonlocal ended
        async for _ in audits:
            pass
        ended += 1

    for turns in range(20):
        audits = audit_sessions(directory=tmp_path, executor="thread", cache=turns % 2 == 0)
        with anyio.fail_after(30):
            async with anyio.create_task_group() as group:
                group.start_soon(pull, audits)
                for _ in range(turns):
                    await anyio.lowlevel.checkpoint()
                await audits.aclose()

    assert ended == 20


def test_a_word_that_is_no_executor_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="executor is 'processes', 'thread' or an address"):
        audit_sessions(directory=tmp_path, executor="process")


async def test_one_stream_is_for_one_task(tmp_path: Path) -> None:
    family(tmp_path)
    busy = 0

    async def pull(audits: AuditPass) -> None:
        nonlocal busy
        try:
            await anext(audits)
        except StreamBusy:
            busy += 1

    async with audit_sessions(directory=tmp_path) as audits, anyio.create_task_group() as group:
        group.start_soon(pull, audits)
        group.start_soon(pull, audits)

    assert busy == 1


def test_numbers_that_are_none_are_refused() -> None:
    with pytest.raises(ValueError, match="jobs"):
        audit_sessions(jobs=0)
    with pytest.raises(TypeError, match="max_line_bytes"):
        audit_sessions(max_line_bytes="1")  # type: ignore[arg-type] # what is tested


class Mortal(Executor):
    """Real worker processes; each is killed with its first call, or with one that has the poison."""

    def __init__(self, most: int, poison: str | None = None) -> None:
        self._workers = Workers(most)
        self._poison = poison
        self.died = 0

    def submit(self, fn: Any, /, *args: Any, **_: Any) -> Any:
        (request,) = args
        deadly = self._poison.encode() in request if self._poison else self.died < 2
        if not deadly:
            return self._workers.submit(fn, request)
        self.died += 1
        return self._workers.submit(kill_myself, request)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:  # noqa: FBT001, FBT002 - the standard library's
        self._workers.shutdown(wait, cancel_futures=cancel_futures)
