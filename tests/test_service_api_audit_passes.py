"""Those who ask for an audit -> passes over the directory: one at a time, each for all who wait."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest

from chats import FIRST, Chats, name, rows
from sessiontail import PersistenceError, SessionStore
from sessiontail.service.api.audit_passes import AuditPasses, SharedPass
from sessiontail.service.context import Context, Limits
from sessiontail.service.problems import Problem

pytestmark = pytest.mark.anyio


@pytest.fixture
def chats(tmp_path: Path) -> Chats:
    chats = Chats(tmp_path)
    for number in (1, 2, 3):
        chats.write(number, rows(FIRST[0]), parents=())
    return chats


def passes(chats: Chats, **limits: int) -> AuditPasses:
    return AuditPasses(Context(SessionStore(chats.directory), Limits(**limits)))


async def ids(shared: SharedPass) -> set[str | None]:
    return {one.id_text for one in await shared.all()}


async def test_all_who_ask_before_it_begins_have_one_pass(chats: Chats) -> None:
    rooms = passes(chats)

    async with rooms.joined() as one, rooms.joined() as other:
        assert one is other
        assert await ids(one) == await ids(other) == {name(1), name(2), name(3)}
        assert one.users == 2
    assert one.users == 0


async def test_who_asks_while_one_runs_gets_what_was_written_before(chats: Chats) -> None:
    rooms = passes(chats)

    async with rooms.joined() as first:
        await first.beyond(0)
        chats.write(4, rows(FIRST[0]), parents=())
        async with rooms.joined() as second, rooms.joined() as third:
            assert second is third is not first
            assert name(4) in await ids(second)
            assert not second.began or first.began


async def test_who_reads_slowly_holds_up_nobody_and_misses_nothing(chats: Chats) -> None:
    rooms = passes(chats)

    async with rooms.joined() as slow:
        some = await slow.beyond(0)
        async with rooms.joined() as quick:
            assert len(await ids(quick)) == 3
        assert {one.id_text for one in [*some, *await slow.beyond(len(some))]} == {
            name(1), name(2), name(3),
        }  # fmt: skip
        assert await slow.beyond(3) == []


async def test_a_pass_that_nobody_reads_any_more_is_not_waited_for(chats: Chats) -> None:
    rooms = passes(chats)

    async with rooms.joined() as second_users:
        await second_users.beyond(0)
        waits = rooms.joined()
        second = await waits.__aenter__()
    assert await second_users.beyond(0) == []
    assert len(await ids(second)) == 3
    await waits.__aexit__(None, None, None)


async def test_a_step_of_who_leaves_is_taken_by_who_stays(chats: Chats) -> None:
    rooms = passes(chats)

    async with rooms.joined() as stays:
        with anyio.CancelScope() as scope:
            async with rooms.joined() as leaves:
                scope.cancel()
                await leaves.all()
        assert await ids(stays) == {name(1), name(2), name(3)}


async def test_one_too_many_is_refused(chats: Chats) -> None:
    rooms = passes(chats, audits=1)

    async with rooms.joined():
        with pytest.raises(Problem) as refused:
            async with rooms.joined():
                pass
    assert refused.value.status == 429


async def test_a_directory_that_cannot_be_read_is_told_to_all(tmp_path: Path) -> None:
    file = tmp_path / "sessions"
    file.write_bytes(b"")
    rooms = AuditPasses(Context(SessionStore(file), Limits()))

    async with rooms.joined() as one, rooms.joined() as other:
        for shared in (one, other):
            with pytest.raises(PersistenceError, match=r"[Nn]ot a directory"):
                await shared.all()
    async with rooms.joined() as after:
        with pytest.raises(PersistenceError):
            await after.all()
