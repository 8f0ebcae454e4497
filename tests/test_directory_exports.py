"""Sessions in other forms: by id or path, in pieces, whole or not at all, with what they inherit."""

from __future__ import annotations

import json
import tracemalloc
from pathlib import Path
from typing import Any

import anyio
import atif
import pytest

from chats import FIRST, Chats, name, rows
from samples import ID, chunk_line, header_line, session_bytes, trailer_line
from sessiontail import (
    Export,
    InvalidSessionId,
    PersistenceError,
    SessionNotFound,
    StreamBusy,
    export_session,
    load_session,
)
from sessiontail.format.exporting import ExportForm

pytestmark = pytest.mark.anyio


async def exported(*args: Any, **options: Any) -> str:
    async with export_session(*args, **options) as export:
        return "".join([piece async for piece in export])


async def test_messages_are_those_of_the_loaded_session(tmp_path: Path) -> None:
    path = tmp_path / f"{ID}.jsonl"
    path.write_bytes(session_bytes(3))

    text = await exported(ID, form="messages", directory=tmp_path)

    assert json.loads(text) == (await load_session(path=path)).to_messages()


async def test_a_session_whose_file_has_another_name_is_found_and_a_path_is_that_file(
    tmp_path: Path,
) -> None:
    (tmp_path / "run.jsonl").write_bytes(session_bytes(1))
    (tmp_path / "notes.txt").write_bytes(session_bytes(2))

    by_id = await exported(str(ID), form="messages", directory=tmp_path)
    by_path = await exported(path=tmp_path / "notes.txt", form="messages")

    assert (len(json.loads(by_id)), len(json.loads(by_path))) == (1, 2)


async def test_pages_leave_out_what_is_inherited_and_say_so_or_mark_it(tmp_path: Path) -> None:
    chats = Chats(tmp_path)
    chats.write(1, rows(*FIRST[:2]))
    chats.write(2, rows(*FIRST), parents=[name(1)])

    pages = {
        form: (
            await exported(name(2), form=form, directory=tmp_path),
            await exported(name(2), form=form, directory=tmp_path, inherited="include"),
        )
        for form in ("markdown", "html")
    }

    skipped, included = pages["markdown"]
    assert f"*4 rows from {name(1)} left out: they are copies.*" in skipped
    assert ("hello" in skipped, "hello" in included) == (False, True)
    assert "## user, row 4\n" in skipped
    assert "## user, row 2 (inherited)\n" in included
    assert "## user, row 4\n" in included
    skipped, included = pages["html"]
    assert f"4 rows from <code>{name(1)}</code> left out: they are copies." in skipped
    assert 'class="user inherited" id="row-2"' in included
    assert 'class="user" id="row-4"' in included


async def test_messages_and_trajectories_have_what_is_inherited(tmp_path: Path) -> None:
    chats = Chats(tmp_path)
    chats.write(1, rows(*FIRST[:2]))
    chats.write(2, rows(*FIRST), parents=[name(1)])

    messages = json.loads(await exported(name(2), form="messages", directory=tmp_path))
    text = await exported(name(2), form="atif", directory=tmp_path)

    steps = atif.Trajectory.model_validate_json(text).steps
    assert len(messages) == len(steps) == 6
    assert [step.is_copied_context for step in steps] == [True] * 4 + [None] * 2


async def test_a_file_without_a_header_is_shown_as_far_as_that_goes(tmp_path: Path) -> None:
    path = tmp_path / "odd.jsonl"
    forms: tuple[ExportForm, ...] = ("messages", "markdown", "html", "atif")
    for data, damaged, torn_bytes in ((b"", 0, 0), (b"x\n{", 1, 1), (chunk_line(), 1, 0)):
        path.write_bytes(data)
        for form in forms:
            export = export_session(path=path, form=form)
            pieces = [piece async for piece in export]

            assert "".join(pieces).endswith("\n")
            assert (export.header, export.damaged_lines, export.torn_bytes) == (
                None,
                damaged,
                torn_bytes,
            )


async def test_a_session_is_saved_whole_or_not_at_all(tmp_path: Path) -> None:
    path, to = tmp_path / f"{ID}.jsonl", tmp_path / "a.html"
    path.write_bytes(session_bytes(2))

    saved = await export_session(ID, form="html", directory=tmp_path).save(to)

    assert saved == to
    assert to.read_text() == await exported(ID, form="html", directory=tmp_path)
    with pytest.raises(PersistenceError, match="there is such a file"):
        await export_session(ID, form="html", directory=tmp_path).save(to)
    with pytest.raises(PersistenceError, match="the session's own file is never overwritten"):
        await export_session(ID, form="html", directory=tmp_path).save(path, force=True)
    with pytest.raises(SessionNotFound):
        await export_session(name(9), form="html", directory=tmp_path).save(tmp_path / "b")
    await export_session(ID, form="messages", directory=tmp_path).save(to, force=True)
    assert len(json.loads(to.read_bytes())) == 2
    assert sorted(one.name for one in tmp_path.iterdir()) == sorted([path.name, "a.html"])


async def test_what_is_cancelled_while_it_is_saved_leaves_no_file(tmp_path: Path) -> None:
    path = tmp_path / f"{ID}.jsonl"
    path.write_bytes(session_bytes(3000))
    export = export_session(ID, form="markdown", directory=tmp_path)

    with anyio.CancelScope() as scope:
        await anext(export)  # the next piece is there
        scope.cancel()
        await export.save(tmp_path / "a")

    assert scope.cancelled_caught
    assert [one.name for one in tmp_path.iterdir()] == [path.name]


async def test_a_step_that_is_cancelled_loses_nothing(tmp_path: Path) -> None:
    path = tmp_path / f"{ID}.jsonl"
    path.write_bytes(session_bytes(4000))
    wanted = await exported(ID, form="markdown", directory=tmp_path)
    export, pieces = export_session(ID, form="markdown", directory=tmp_path), []

    while True:
        with anyio.CancelScope() as scope:
            scope.cancel()
            pieces.append(await anext(export))
        try:
            pieces.append(await anext(export))
        except StopAsyncIteration:
            break

    assert "".join(pieces) == wanted


async def test_one_task_at_a_time_may_pull_and_after_the_end_there_is_nothing(
    tmp_path: Path,
) -> None:
    (tmp_path / f"{ID}.jsonl").write_bytes(session_bytes(1))
    export = export_session(ID, form="markdown", directory=tmp_path)
    busy = 0

    async def pull() -> None:
        nonlocal busy
        try:
            await anext(export)
        except StreamBusy:
            busy += 1

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(pull)
        tasks.start_soon(pull)
    await export.aclose()

    assert busy == 1
    assert [piece async for piece in export] == []
    assert repr(export).startswith("<Export as markdown of <SessionReader 4f2c0000 ")


async def test_what_cannot_be_meant_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="form is 'messages' or 'markdown' or 'html' or 'atif'"):
        export_session(ID, form="pdf")  # type: ignore[arg-type] # it is what is refused
    with pytest.raises(ValueError, match="inherited is 'include' or 'skip'"):
        export_session(ID, form="html", inherited="no")  # type: ignore[arg-type] # as above
    with pytest.raises(TypeError, match="give a session_id or path="):
        export_session(form="html")
    with pytest.raises(InvalidSessionId):
        export_session("../x", form="html", directory=tmp_path)
    with pytest.raises(SessionNotFound):
        await anext(export_session(ID, form="html", directory=tmp_path))
    assert isinstance(export_session(ID, form="html"), Export)


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize("form", ["messages", "markdown", "html"])
async def test_memory_is_that_of_a_few_rows(form: ExportForm, tmp_path: Path) -> None:
    path = tmp_path / f"{ID}.jsonl"
    row = chunk_line(0, "x" * 50_000)
    path.write_bytes(header_line() + row * 150 + trailer_line(150))
    tracemalloc.start()

    size = 0
    async for piece in export_session(ID, form=form, directory=tmp_path):
        size += len(piece)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert size > 150 * 50_000
    assert peak < 4_000_000


async def test_a_line_of_3_mb_is_exported_whole(tmp_path: Path) -> None:
    path = tmp_path / f"{ID}.jsonl"
    path.write_bytes(header_line() + chunk_line(0, "x" * 3_000_000))

    for form in ("messages", "markdown", "html", "atif"):
        assert "x" * 3_000_000 in await exported(ID, form=form, directory=tmp_path)


async def test_it_says_how_far_it_is_of_how_much(tmp_path: Path) -> None:
    path = tmp_path / f"{ID}.jsonl"
    data = header_line() + b"".join(chunk_line(i, "x" * 1000) for i in range(1000))
    path.write_bytes(data)

    async with export_session(path=path, form="markdown") as export:
        before = (export.bytes_done, export.size_bytes)
        await anext(export)
        first = export.bytes_done
        async for _ in export:
            pass
        last = (export.bytes_done, export.size_bytes)

    assert before == (0, None)
    assert 0 < first < len(data)
    assert last == (len(data), len(data))
