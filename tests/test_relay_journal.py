from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from sessiontail import PersistenceError, SessionBusy
from sessiontail.relay.journal import JOURNAL, Copied, Journal

SOURCE = "redis://host:6379/0 sessiontail"


def test_what_was_noted_is_known_again(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "new", SOURCE)
    journal.note("a", Copied("one", 7))
    journal.note("a", Copied("one", 8))
    journal.note("b\udce9", Copied("two", 9))
    journal.note("c", Copied("two", 9))
    journal.note("c", None)
    journal.close()
    journal.close()

    again = Journal(tmp_path / "new", SOURCE)

    assert again.files == {"a": Copied("one", 8), "b\udce9": Copied("two", 9)}
    again.close()


def test_a_half_note_of_a_mirror_that_was_killed_is_none(tmp_path: Path) -> None:
    journal = Journal(tmp_path, SOURCE)
    journal.note("a", Copied("one", 7))
    journal.close()
    with (tmp_path / JOURNAL).open("ab") as file:
        file.write(b'["a", "on')

    again = Journal(tmp_path, SOURCE)
    again.note("b", Copied("one", 8))
    again.close()
    last = Journal(tmp_path, SOURCE)
    last.close()

    assert last.files == {"a": Copied("one", 7), "b": Copied("one", 8)}


def test_a_journal_that_was_only_begun_is_begun_anew(tmp_path: Path) -> None:
    (tmp_path / JOURNAL).write_bytes(b'{"mirror_')

    Journal(tmp_path, SOURCE).close()

    assert (tmp_path / JOURNAL).read_bytes() == b'{"mirror_of": "%s"}\n' % SOURCE.encode()


def test_a_directory_with_sessions_of_its_own_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").touch()

    with pytest.raises(PersistenceError, match="has session files and is no mirror"):
        Journal(tmp_path, SOURCE)
    assert [path.name for path in tmp_path.iterdir()] == ["a.jsonl"]


def test_a_mirror_of_something_else_is_left_alone(tmp_path: Path) -> None:
    Journal(tmp_path, SOURCE).close()

    with pytest.raises(PersistenceError, match=f"mirrors {SOURCE}: give another one for other"):
        Journal(tmp_path, "other")


def test_a_second_mirror_of_a_directory_is_refused(tmp_path: Path) -> None:
    journal = Journal(tmp_path, SOURCE)

    with pytest.raises(SessionBusy, match="another mirror keeps this directory"):
        Journal(tmp_path, SOURCE)
    journal.close()


def test_a_damaged_journal_is_told_and_not_guessed(tmp_path: Path) -> None:
    (tmp_path / JOURNAL).write_bytes(b"[1]\n")

    with pytest.raises(PersistenceError, match="damaged; delete the whole mirror"):
        Journal(tmp_path, SOURCE)


def test_a_file_that_a_killed_mirror_was_making_is_removed(tmp_path: Path) -> None:
    Journal(tmp_path, SOURCE).close()
    (tmp_path / ".12.sessiontail-new").touch()

    Journal(tmp_path, SOURCE).close()

    assert [path.name for path in tmp_path.iterdir()] == [JOURNAL]


def test_an_empty_file_that_a_killed_mirror_has_not_noted_is_swept_up(tmp_path: Path) -> None:
    with closing(Journal(tmp_path, "source")) as journal:
        journal.note("noted", Copied("one", 7))
    for name in ("noted", "orphan"):
        (tmp_path / f"{name}.jsonl.__partial__").touch()
    (tmp_path / "somebody's.jsonl.__partial__").write_bytes(b"a\n")

    with closing(Journal(tmp_path, "source")):
        assert sorted(path.name for path in tmp_path.glob("[!.]*")) == [
            "noted.jsonl.__partial__", "somebody's.jsonl.__partial__",
        ]  # fmt: skip
