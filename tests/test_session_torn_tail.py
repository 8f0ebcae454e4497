"""A line without an end, larger than one read, that grows, is cut off or is begun anew."""

from __future__ import annotations

from pathlib import Path

from actors import Actor
from sessiontail.session.reader import FileReader
from sessiontail.system.files import SessionFile
from test_session_reader import rest


def test_a_line_hidden_below_what_was_searched_is_found_by_a_thorough_look(
    tmp_path: Path,
) -> None:
    with Actor(tmp_path).open() as actor:
        actor.write(b"x" * 100_000)
        reader = FileReader(SessionFile(actor.wal))
        got = rest(reader)
        actor.cut(len(actor.whole))
        # A whole line, and behind it a torn one that looks as before where the search stood.
        actor.write(actor.chunk("one") + b"x" * 110_000)
        got += rest(reader, thorough=True)
        reader.close()

        assert got == actor.records


def test_a_line_over_the_maximum_that_is_cut_off_is_forgotten(tmp_path: Path) -> None:
    with Actor(tmp_path).open() as actor:
        actor.write(b"x" * 300_000)
        reader = FileReader(SessionFile(actor.wal), max_line_bytes=1000)
        got = rest(reader)
        torn = reader.torn_bytes
        actor.cut(len(actor.whole))
        actor.say("one", "two")
        got += rest(reader)
        reader.close()

        assert (torn, got) == (300_000, actor.records)


def test_a_torn_tail_that_drips_is_not_read_again_for_each_drop(tmp_path: Path) -> None:
    with Actor(tmp_path).open() as actor:
        actor.write(actor.chunk("x" * 1_000_000)[:-100])
        reader = FileReader(SessionFile(actor.wal))
        got = rest(reader)
        before = reader.stats.bytes
        for _ in range(98):
            actor.write(b"y")
            got += rest(reader)
        dripped = reader.stats.bytes - before

        assert (got, dripped, reader.torn_bytes) == (actor.records, 98, actor.torn)
