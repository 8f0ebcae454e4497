"""Files for one thread: what it brings at once, and what it leaves."""

from __future__ import annotations

from pathlib import Path

import pytest

from samples import chunk_line, header_line
from sessiontail.directory import errands
from sessiontail.directory.errands import Errand
from sessiontail.directory.search_options import question_of
from sessiontail.session.searching import Seen
from sessiontail.system.files import SessionFile
from sessiontail.system.haystack import Haystack


def errand(*paths: Path, seen: Seen | None = None) -> Errand:
    return Errand([*map(str, paths)], question_of("jazz"), Haystack(), seen or Seen())


def test_an_errand_brings_the_matches_of_its_files_in_order_and_then_ends(tmp_path: Path) -> None:
    data = header_line() + chunk_line(0, "jazz")
    for name in "ab":
        (tmp_path / name).write_bytes(data)

    brought = errand(tmp_path / "b", tmp_path / "a").go_on()

    assert [match.file for match in brought.matches] == [str(tmp_path / "b"), str(tmp_path / "a")]
    assert (brought.bytes, brought.done) == (2 * len(data), True)


def test_it_pauses_when_there_is_enough_and_goes_on_where_it_was(tmp_path: Path) -> None:
    lines = [chunk_line(i, "jazz") for i in range(errands._MOST_MATCHES + 1)]
    (tmp_path / "a").write_bytes(header_line() + b"".join(lines))
    sent = errand(tmp_path / "a")

    first, second = sent.go_on(), sent.go_on()

    assert (len(first.matches), first.done) == (errands._MOST_MATCHES, False)
    assert ([match.line for match in second.matches], second.done) == ([len(lines) + 1], True)


def test_one_that_nobody_waits_for_stops_and_closes_its_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a").write_bytes(header_line() + chunk_line(0, "jazz") * 2)
    before = {*SessionFile.open_now}
    seen = Seen()
    monkeypatch.setattr(errands, "_MOST_MATCHES", 1)
    sent = errand(tmp_path / "a", seen=seen)

    assert len(sent.go_on().matches) == 1
    seen.stopped = True
    assert sent.go_on().matches == []
    sent.close()

    assert before == SessionFile.open_now
