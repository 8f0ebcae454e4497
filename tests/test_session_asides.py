"""What a deletion that was killed has left aside, and where it belongs."""

from __future__ import annotations

import fcntl
import os
from datetime import timedelta
from pathlib import Path

import pytest

from samples import ID, session_bytes
from sessiontail import (
    PersistenceError,
    SessionBusy,
    SessionStore,
    prune_sessions,
)
from sessiontail.directory.plan import PrunePlan
from sessiontail.session.asides import Settled, aside_of, left_aside, settle
from sessiontail.system.leases import DirectoryBusy
from test_session_deleting import FINAL, NEW, OLD, WAL, files, put

pytestmark = pytest.mark.anyio


async def test_what_was_left_aside_is_shown_by_every_listing_and_plan(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    aside = put(aside_of(tmp_path / FINAL), OLD)
    store = SessionStore(tmp_path)
    scan = store.scan()

    assert [meta async for meta in scan] == []
    assert await store.list() == []
    plan = await store.plan_prune(keep_last=0)

    told = (
        f"{aside}: put aside by a deletion that did not end; "
        f"the next prune gives it its name back ({FINAL}), or deleting it does"
    )
    assert [str(error) for error in scan.skipped] == [told]
    assert [str(error) for error in plan.left_aside] == [told]
    assert f"skipped {told}" in caplog.messages


async def test_the_next_prune_gives_it_its_name_back(tmp_path: Path) -> None:
    aside = put(aside_of(tmp_path / WAL), OLD)
    store = SessionStore(tmp_path)

    pruned = await store.prune(PrunePlan((), ()))

    (settled,) = pruned.settled
    assert str(settled) == f"{aside.name} has its name back: {WAL}"
    assert files(tmp_path) == {WAL: OLD}


async def test_the_next_delete_of_the_session_deletes_it(tmp_path: Path) -> None:
    put(aside_of(tmp_path / WAL), OLD)
    put(aside_of(tmp_path / FINAL), OLD)
    store = SessionStore(tmp_path)

    assert [await store.delete(ID), await store.delete(ID)] == [True, False]
    assert files(tmp_path) == {}


async def test_pruning_by_age_takes_what_gets_its_name_back(tmp_path: Path) -> None:
    put(aside_of(tmp_path / WAL), session_bytes(created_at="2020-01-01T00:00:00+00:00"))

    removed = await prune_sessions(older_than=timedelta(days=1), directory=tmp_path)

    assert (removed, files(tmp_path)) == ([ID], {})


@pytest.mark.parametrize(
    ("origin", "beside", "left"),
    [
        # The close that put it there would have overwritten this one.
        (FINAL, {FINAL: 2}, {FINAL: NEW}),
        # Not what came before, but what was restored from elsewhere.
        (FINAL, {FINAL: 0}, {FINAL: NEW, f"{ID}.INODE.jsonl": OLD}),
        # Begun because the name was free: each keeps its lines.
        (WAL, {WAL: 2}, {WAL: NEW, f"{ID}.INODE.jsonl.__partial__": OLD}),
        # Under its old name it would be continued, and closed over what came later.
        (WAL, {FINAL: 2}, {FINAL: NEW, f"{ID}.INODE.jsonl.__partial__": OLD}),
        (WAL, {FINAL: 0}, {FINAL: NEW, WAL: OLD}),
        ("letter.txt", {"letter.txt": 2}, {"letter.txt": NEW, "letter.txt.INODE": OLD}),
    ],
)
async def test_where_another_file_has_its_name_it_gets_what_it_would_have_had_without_us(
    tmp_path: Path, origin: str, beside: dict[str, int], left: dict[str, bytes]
) -> None:
    aside = put(aside_of(tmp_path / origin), OLD, at_s=1)
    inode = f"{aside.stat().st_ino:x}"
    for name, at_s in beside.items():
        put(tmp_path / name, NEW, at_s=at_s)

    (settled,) = settle(tmp_path)

    assert settled.done
    assert files(tmp_path) == {name.replace("INODE", inode): data for name, data in left.items()}


async def test_a_name_of_its_own_is_never_taken_from_another_file(tmp_path: Path) -> None:
    aside = put(aside_of(tmp_path / WAL), OLD)
    inode = f"{aside.stat().st_ino:x}"
    for name in (WAL, f"{ID}.{inode}.jsonl.__partial__"):
        put(tmp_path / name, NEW)

    assert [one.done for one in settle(tmp_path)] == [True]
    assert files(tmp_path)[f"{ID}.{inode}-1.jsonl.__partial__"] == OLD


@pytest.mark.parametrize("locked", [True, False])
async def test_what_a_writer_has_open_stays_aside_while_its_name_is_taken(
    tmp_path: Path, *, locked: bool
) -> None:
    aside = put(aside_of(tmp_path / WAL), OLD)
    put(tmp_path / WAL, NEW)
    store = SessionStore(tmp_path)
    with aside.open("ab") as file:
        if locked:
            fcntl.flock(file, fcntl.LOCK_EX)
        pruned = await store.prune(PrunePlan((), ()))
        with pytest.raises(SessionBusy, match=r"nothing was deleted: .* stays aside") as caught:
            await store.delete(ID)

    why = f"stays aside: {WAL} is another file by now, and somebody may be writing this one"
    assert [(one.what, one.done) for one in pruned.settled] == [(why, False)]
    assert caught.value.path == tmp_path / WAL
    assert files(tmp_path) == {aside.name: OLD, WAL: NEW}


async def test_what_a_writer_has_open_gets_its_name_back_at_once(tmp_path: Path) -> None:
    aside = put(aside_of(tmp_path / WAL), OLD)
    put(tmp_path / FINAL, NEW, at_s=1)
    with aside.open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        (settled,) = settle(tmp_path)

    assert settled.done
    assert files(tmp_path) == {WAL: OLD, FINAL: NEW}


@pytest.mark.parametrize("name", [WAL, FINAL])
async def test_who_gave_the_name_back_and_was_killed_leaves_no_second_name(
    tmp_path: Path, name: str
) -> None:
    aside = put(aside_of(tmp_path / WAL), OLD)
    os.link(aside, tmp_path / name)  # FINAL: its writer has closed it since

    assert [one.what for one in settle(tmp_path)] == ["has its name already"]
    assert files(tmp_path) == {name: OLD}


async def test_what_an_earlier_version_left_without_a_name_is_listed_again(tmp_path: Path) -> None:
    put(tmp_path / ".123-456.deleting", OLD)

    settle(tmp_path)

    assert [meta.id for meta in await SessionStore(tmp_path).list()] == [ID]
    assert files(tmp_path) == {"123-456.jsonl.__partial__": OLD}


async def test_what_is_no_file_stays_aside_and_is_told(tmp_path: Path) -> None:
    aside_of(tmp_path / FINAL).mkdir()
    aside_of(tmp_path / WAL).symlink_to(tmp_path / "elsewhere")

    assert sorted(one.what for one in settle(tmp_path)) == [
        "stays aside: a symbolic link; give the file that it points to",
        "stays aside: not a regular file",
    ]


# --- by themselves


async def test_where_nothing_lies_aside_nothing_is_told_or_settled(tmp_path: Path) -> None:
    for name in (FINAL, WAL, f"{FINAL}.deleting", ".deleting.txt", ".hidden"):
        put(tmp_path / name, OLD)
    before = files(tmp_path)

    assert (left_aside(tmp_path), settle(tmp_path)) == ([], [])
    assert (left_aside(tmp_path / "absent"), settle(tmp_path / "absent")) == ([], [])
    assert files(tmp_path) == before


async def test_what_lies_aside_is_told_in_the_order_of_its_names_and_is_left_there(
    tmp_path: Path,
) -> None:
    for name in (WAL, FINAL, "a.jsonl"):
        put(aside_of(tmp_path / name), OLD)
    before = files(tmp_path)
    told = left_aside(tmp_path)

    assert [error.path for error in told] == [tmp_path / name for name in sorted(before)]
    assert {error.reason for error in told} == {"left-aside"}
    assert files(tmp_path) == before


async def test_while_another_deletion_has_the_directory_nothing_is_settled(
    tmp_path: Path,
) -> None:
    put(aside_of(tmp_path / FINAL), OLD)
    before = files(tmp_path)
    other = os.open(tmp_path, os.O_RDONLY)
    try:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(DirectoryBusy):
            settle(tmp_path, wait_s=0.01)
        assert files(tmp_path) == before
    finally:
        os.close(other)

    assert [str(one) for one in settle(tmp_path)] == [
        f"{aside_of(tmp_path / FINAL).name} has its name back: {FINAL}"
    ]


async def test_a_directory_that_is_a_file_is_an_error(tmp_path: Path) -> None:
    path = put(tmp_path / "file", OLD)
    for look in (left_aside, settle):
        with pytest.raises(PersistenceError) as caught:
            look(path)
        assert caught.value.path == path


async def test_what_is_not_done_is_told_with_what_will_put_it_right(tmp_path: Path) -> None:
    aside, origin = aside_of(tmp_path / WAL), tmp_path / WAL

    assert Settled(aside, origin, "is deleted", done=True).told == f"{aside.name} is deleted"
    assert Settled(aside, origin, "stays aside: why", done=False).told == (
        f"{aside.name} stays aside: why: the next prune puts it right"
    )
