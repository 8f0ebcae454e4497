"""What is known of a directory's files, and what is to be folded."""

from __future__ import annotations

import fcntl
import os
import time
from errno import EACCES
from pathlib import Path

import pytest

from chats import FIRST, Chats, name, rows
from samples import chunk_line, session_bytes
from sessiontail.directory.ancestry import Ancestry
from sessiontail.directory.audit_files import Audited, AuditFiles
from sessiontail.directory.audit_kin import AuditKin
from sessiontail.format.lifecycle import SessionState
from sessiontail.session.auditing import Folded, answer_of, fold_batch, request_of
from sessiontail.system import stamps
from sessiontail.system.cache import Cache
from sessiontail.system.threads import Threads


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cache:
    """A cache that believes what it sees at once."""
    monkeypatch.setattr(stamps, "SETTLED_S", -1.0)
    return Cache(tmp_path / "cache.sqlite")


@pytest.fixture
def chats(tmp_path: Path) -> Chats:
    (tmp_path / "sessions").mkdir()
    return Chats(tmp_path / "sessions")


def folded(files: AuditFiles) -> list[Folded]:
    return answer_of(fold_batch(request_of(files.to_fold)))


def pass_over(chats: Chats, cache: Cache | None) -> tuple[AuditFiles, list[Audited]]:
    """One whole pass."""
    files = AuditFiles(chats.directory, cache)
    audited = files.known + files.take(folded(files))
    if not files.kin_holds:
        AuditKin(audited, Ancestry(chats.directory), 1 << 20).ask(audited)
        files.keep(audited)
    return files, audited


def test_the_largest_is_folded_first(chats: Chats) -> None:
    for number, count in enumerate((1, 9, 5)):
        chats.write(number, chunk_line(0, "x" * 1000 * count))

    files = AuditFiles(chats.directory, None)

    assert [Path(one.file).stem for one in files.to_fold] == [name(1), name(2), name(0)]
    assert files.bytes_to_fold == sum(path.stat().st_size for path in chats.directory.iterdir())


def test_what_has_not_changed_is_known_and_what_others_say_holds(
    chats: Chats, cache: Cache
) -> None:
    chats.write(1, rows(*FIRST[:1]))
    chats.write(2, rows(*FIRST), parents=[name(1)])
    _, before = pass_over(chats, cache)

    files, after = pass_over(chats, cache)

    assert (files.to_fold, files.kin_holds) == ([], True)
    assert sorted(after, key=lambda one: one.audit.file) == sorted(
        before, key=lambda one: one.audit.file
    )


def test_a_file_whose_name_is_no_utf8_is_audited_beside_the_others(
    chats: Chats, cache: Cache
) -> None:
    chats.write(1, rows(*FIRST[:1]))
    odd = os.fsencode(chats.directory) + b"/\xff.jsonl"
    Path(os.fsdecode(odd)).write_bytes(session_bytes(1))

    (_, first), (files, second) = pass_over(chats, cache), pass_over(chats, cache)

    assert {one.audit.file for one in first} == {one.audit.file for one in second}
    assert [os.fsencode(one.file) for one in files.to_fold] == [odd]


def test_what_has_just_changed_is_not_believed(chats: Chats, tmp_path: Path) -> None:
    """A change within the same tick of the clock would not show; the fold is gone on with."""
    cache = Cache(tmp_path / "cache.sqlite")
    chats.write(1, rows(*FIRST))
    pass_over(chats, cache)

    files, _ = pass_over(chats, cache)

    assert [one.state is not None for one in files.to_fold] == [True]
    assert files.bytes_to_fold == 0


def test_one_file_that_changes_asks_all_of_each_other_again(chats: Chats, cache: Cache) -> None:
    chats.write(1, rows(*FIRST[:1]))
    chats.write(2, rows(*FIRST), parents=[name(1)])
    pass_over(chats, cache)
    chats.write(3, rows(*FIRST))

    files, audited = pass_over(chats, cache)

    assert (len(files.known), len(files.to_fold), files.kin_holds) == (2, 1, False)
    counts = {one.audit.id_text: one.kin and one.kin.inherited for one in audited}
    assert [tally and tally.rows for _, tally in sorted(counts.items())] == [0, 2, 6]


def test_a_file_that_is_gone_is_forgotten(chats: Chats, cache: Cache) -> None:
    chats.write(1, rows(*FIRST))
    gone = chats.write(2, rows(*FIRST))
    pass_over(chats, cache)
    gone.unlink()
    _, audited = pass_over(chats, cache)

    assert len(audited) == 1
    names = {*cache.read("audits-2", str(chats.directory))}
    assert names == {"", f"{name(1)}.jsonl"}


def test_a_twin_that_comes_is_found_though_the_file_has_not_changed(
    chats: Chats, cache: Cache
) -> None:
    chats.write(1, rows(*FIRST))
    pass_over(chats, cache)
    chats.write(1, rows(*FIRST[:1]), closed=False)

    _, audited = pass_over(chats, cache)

    assert [one.audit.findings_by_reason.get("two-files") for one in audited] == [1, 1]


def test_one_file_under_two_names_is_one(chats: Chats) -> None:
    path = chats.write(1, rows(*FIRST))
    os.link(path, f"{path}.__partial__")

    files = AuditFiles(chats.directory, None)

    assert [one.file for one in files.to_fold] == [str(path)]


def test_a_writer_that_takes_up_a_wal_shows_though_the_file_has_not_changed(
    chats: Chats, cache: Cache
) -> None:
    path = chats.write(1, rows(*FIRST), closed=False)
    os.utime(path, (1, 1))
    _, before = pass_over(chats, cache)

    with path.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        files, after = pass_over(chats, cache)

    assert (before[0].audit.state, after[0].audit.state) == (
        SessionState.ABANDONED,
        SessionState.LIVE,
    )
    assert files.to_fold == []


def test_what_is_gone_when_it_is_folded_is_left_out_and_what_cannot_be_read_told(
    chats: Chats,
) -> None:
    gone, odd = chats.write(1, rows(*FIRST)), chats.write(2, rows(*FIRST))
    files = AuditFiles(chats.directory, None)
    for path in (gone, odd):
        path.unlink()
    odd.symlink_to("/dev/null")

    (told,) = files.take(folded(files))

    assert [one.message for one in told.audit.findings] == [
        "a symbolic link; give the file that it points to"
    ]


def test_what_was_folded_before_an_interrupt_is_gone_on_with(chats: Chats, cache: Cache) -> None:
    (chats.directory / f"{name(1)}.jsonl").write_bytes(session_bytes(9, session_id=name(1)))
    files = AuditFiles(chats.directory, cache)
    files.take(folded(files))
    files.keep_folds()

    assert AuditFiles(chats.directory, cache).bytes_to_fold == 0


def test_what_was_rewritten_and_has_not_grown_is_folded_anew(chats: Chats, cache: Cache) -> None:
    """A damaged line that somebody mended: no byte more, the ends of the file as they were."""
    more = b"".join(chunk_line(i, "x" * 3000) for i in (1, 2))
    path = chats.write(1, chunk_line(0, "x", "usex") + more)
    _, before = pass_over(chats, cache)
    mended = path.read_bytes().replace(b"usex", b"user")

    path.write_bytes(mended)
    _, in_place = pass_over(chats, cache)
    path.write_bytes(mended.replace(b"user", b"usex", 1))
    pass_over(chats, cache)
    other = path.with_suffix(".new")
    other.write_bytes(mended + b"torn")  # longer, and another file
    other.replace(path)
    _, replaced = pass_over(chats, cache)

    rows_of = [one.audit.rows for (one,) in (before, in_place, replaced)]
    assert rows_of == [2, 3, 3]


def test_what_a_session_that_came_and_went_said_is_not_believed(chats: Chats, cache: Cache) -> None:
    """It had just changed, so that what was found beside it is not of the whole directory."""
    chats.write(2, rows(*FIRST), parents=[name(1)])
    pass_over(chats, cache)
    parent = chats.write(1, rows(*FIRST[:1]))
    future_ns = time.time_ns() + 10**15
    os.utime(parent, ns=(future_ns, future_ns))
    pass_over(chats, cache)

    parent.unlink()
    files, _ = pass_over(chats, cache)

    assert not files.kin_holds


def test_a_file_that_is_hidden_is_told_and_not_left_out(
    chats: Chats, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a directory that may be read and not entered, no file has a status."""
    path = chats.write(1, rows(*FIRST))

    def refused(_: str) -> None:
        raise PermissionError(EACCES, "Permission denied")

    with monkeypatch.context() as patched:
        patched.setattr("sessiontail.directory.audit_files.status_of", refused)
        files = AuditFiles(chats.directory, None)
    (told,) = files.take([Folded(str(path), errno=EACCES, error="Permission denied")])

    assert [Path(one.file) for one in files.to_fold] == [path]
    assert [one.reason for one in told.audit.findings] == ["unreadable"]


def test_a_wal_that_is_closed_meanwhile_over_an_older_file_is_there_once(chats: Chats) -> None:
    path = chats.write(1, rows(*FIRST[:1]))
    wal = path.with_name(f"{path.name}.__partial__")
    wal.write_bytes(path.read_bytes())
    files = AuditFiles(chats.directory, None)

    wal.replace(path)

    assert len(folded(files)) == 2
    assert len(files.take(folded(files))) == 1


def test_who_reads_the_lock_table_beside_waits_for_no_thread_that_is_not_there(
    chats: Chats, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As many audits as there are threads: each has one, and waits for another."""
    pool = Threads(1)
    monkeypatch.setattr("sessiontail.directory.audit_files.threads", lambda: pool)
    chats.write(1, rows(*FIRST), closed=False)

    files = pool.submit(AuditFiles, chats.directory, None).result(60)

    assert len(files.to_fold) == 1
