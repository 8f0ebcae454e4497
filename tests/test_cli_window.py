"""Of a session, what a window shows, as soon as that is known; and the cursor behind it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from commands import ONE, TWO, closed, json_lines, run
from samples import chunk_line, header_line
from sessiontail import SessionStore
from sessiontail.cli.cursor_file import CursorKeeper
from sessiontail.cli.printing import Printer
from sessiontail.cli.rendering import text_of
from sessiontail.cli.slices import FileSlices
from sessiontail.cli.targets import Target
from sessiontail.cli.terminal import Output
from sessiontail.cli.values import Window
from sessiontail.cli.window import print_window
from sessiontail.format.records import Record


def test_windows_count_from_the_end_and_from_the_beginning(tmp_path: Path) -> None:
    closed(tmp_path, ONE, *"abcd")

    def texts(*options: str) -> list[str]:
        done = run(*options, "4f2c", "--dir", tmp_path, "-k", "user")
        return [line.split()[1] for line in done.stdout.splitlines()]

    assert texts("cat", "-n", "2") == ["c", "d"]
    assert texts("cat", "-n", "+2") == ["b", "c", "d"]
    assert texts("tail", "-n", "1") == ["d"]
    assert texts("tail", "-n", "all", "-g", "[ad]") == ["a", "d"]
    assert texts("tail", "-f", "-n", "+4") == ["d"]


class Told(Printer):
    """Keeps what it has printed, and what of it was handed on."""

    def __init__(self, *, kinds: tuple[str, ...] = (), pattern: str | None = None) -> None:
        super().__init__(
            Output(), kinds=kinds, pattern=None if pattern is None else re.compile(pattern)
        )
        self.waiting: list[str] = []
        self.texts: list[str] = []

    def put(
        self,
        record: Record | None,
        raw: bytes = b"",
        target: Target | None = None,
        session_id: UUID | str | None = None,
    ) -> None:
        assert record is not None
        assert (raw, target, session_id) == (b"", None, ONE)
        self.waiting.append(text_of(record)[:6])

    def flush(self) -> None:
        self.texts += self.waiting
        self.waiting.clear()


def session(directory: Path, *texts: str) -> Path:
    path = directory / "a.jsonl"
    path.write_bytes(header_line() + b"".join(chunk_line(i, text) for i, text in enumerate(texts)))
    return path


async def shown(path: Path, window: Window, printer: Told, **more: Any) -> int:
    async with SessionStore(path.parent).read(path=path) as feed:
        with FileSlices(feed) as file:
            return await print_window(feed, file, window, printer, **more)


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("window", "texts"),
    [
        (Window(), "abcde"),
        (Window(last=2), "de"),
        (Window(last=99), "abcde"),
        (Window(last=0), ""),
        (Window(first=2), "bcde"),
        (Window(first=5), "e"),
        (Window(first=6), ""),
        (Window(first=2, last=1), "e"),
    ],
)
async def test_a_window_counts_what_is_wanted_and_so_does_its_answer(
    tmp_path: Path, window: Window, texts: str
) -> None:
    path, printer = session(tmp_path, *"abcde"), Told(kinds=("user",))

    assert await shown(path, window, printer) == 5
    assert printer.texts == list(texts)


@pytest.mark.anyio
async def test_a_window_counts_behind_both_filters(tmp_path: Path) -> None:
    path = session(tmp_path, "yes 1", "no", "yes 2", "no", "yes 3")
    last = Told(kinds=("user",), pattern="yes")
    first = Told(kinds=("user",), pattern="yes")

    assert await shown(path, Window(last=2), last) == 3
    assert await shown(path, Window(first=3), first) == 3
    assert (last.texts, first.texts) == (["yes 2", "yes 3"], ["yes 3"])


@pytest.mark.anyio
async def test_every_record_is_checked_before_it_is_printed_wanted_or_not(tmp_path: Path) -> None:
    path, printer = session(tmp_path, *"abc"), Told(pattern="^c$")
    checked = []

    def check(record: Record | None) -> None:
        assert record is not None
        checked.append(text_of(record)[:1])
        assert not printer.waiting

    await shown(path, Window(), printer, check=check)

    assert checked == ["4", "a", "b", "c"]
    assert printer.texts == ["c"]


@pytest.mark.anyio
async def test_cut_short_in_the_midst_the_cursor_stands_behind_what_was_handed_on(
    tmp_path: Path,
) -> None:
    # Some ten batches.
    path, at = session(tmp_path, *(f"{i:06}" * 1000 for i in range(500))), tmp_path / "at"

    def check(record: Record | None) -> None:
        assert record is not None
        if text_of(record).startswith("000400"):
            raise KeyboardInterrupt

    printer, keeper = Told(kinds=("user",)), CursorKeeper(at, show=False)
    with pytest.raises(KeyboardInterrupt):
        await shown(path, Window(), printer, check=check, keeper=keeper)
    keeper.close()

    assert 0 < len(printer.texts) < 400
    async with SessionStore(tmp_path).read(path=path, after=at.read_text().strip()) as feed:
        nexts = [text_of(record)[:6] async for record in feed]
    # Again, perhaps, what was handed on last; never without what was not.
    printed = printer.texts
    assert nexts[-1] == "000499"
    assert nexts[0] <= f"{len(printed):06}"


@pytest.mark.anyio
async def test_what_is_kept_for_the_end_is_in_no_cursor_before_it(tmp_path: Path) -> None:
    path, at = session(tmp_path, *(f"{i:06}" * 1000 for i in range(300))), tmp_path / "at"

    def check(record: Record | None) -> None:
        assert not at.exists()

    printer, keeper = Told(), CursorKeeper(at, show=False)
    await shown(path, Window(last=3), printer, check=check, keeper=keeper)

    assert printer.texts == ["000297", "000298", "000299"]
    async with SessionStore(tmp_path).read(path=path, after=at.read_text().strip()) as feed:
        assert [record async for record in feed] == []


@pytest.mark.parametrize("command", [["cat"], ["tail", "-n", "all"], ["tail", "-f", "-n", "all"]])
def test_json_of_every_record_says_whose_it_is(tmp_path: Path, command: list[str]) -> None:
    path = tmp_path / "copy.jsonl"
    path.write_bytes(b"{broken}\n" + closed(tmp_path, ONE, "a").read_bytes())
    by_name = closed(tmp_path, ONE, "a", "b")
    with by_name.open("ab") as file:
        file.write(b"{broken}\n")

    copied = json_lines(run(*command, path, "-o", "jsonl"))
    records = json_lines(run(*command, by_name, "-o", "jsonl"))

    kinds = ["header", "chunk", "chunk", "trailer", "damage"]
    assert [one["record_type"] for one in records] == kinds
    assert {(one["schema"], one["session_id"]) for one in records} == {(1, ONE)}
    assert ["id" in one for one in records] == [True, False, False, False, False]
    # Read in one block with the header, the line before it is known to be of its session.
    assert {one["session_id"] for one in copied} == {ONE}


def test_json_of_several_sessions_has_the_same_shape(tmp_path: Path) -> None:
    paths = [closed(tmp_path, ONE, "a"), closed(tmp_path, TWO, "b")]

    several = json_lines(run("tail", *paths, "-n", "all", "-o", "jsonl"))
    each = [json_lines(run("cat", path, "-o", "jsonl")) for path in paths]

    assert several == [*each[0], *each[1]]
