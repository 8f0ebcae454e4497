"""A look at a directory tells what differs from the look before, and nothing else."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from actors import LONG_AGO_S, Actor
from samples import ID
from sessiontail import PersistenceError
from sessiontail.system.survey import Survey, look_around, survey


def look(
    directory: Path, before: Survey | None = None, *, stems: list[str] | None = None
) -> Survey:
    found = survey(
        directory,
        stems or [],
        {} if before is None else before.marks,
        whole=stems is None,
        locks_due=False,
        wanted=True,
        doubtful=False,
    )
    assert found is not None
    return found


def append(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"x\n")


def exchange(path: Path) -> None:
    other = path.with_name("other")
    other.write_bytes(path.read_bytes())
    other.replace(path)


@pytest.mark.parametrize("stems", [None, ["a", "b", "new"]])
@pytest.mark.parametrize(
    ("act", "changed", "grown"),
    [
        (lambda _: None, {}, set()),
        (lambda d: append(d / "a.jsonl.__partial__"), {"a": False}, {"a"}),
        (lambda d: (d / "new.jsonl").touch(), {"new": False}, {"new"}),
        (lambda d: (d / "b.jsonl").unlink(), {"b": True}, set()),
        (lambda d: (d / "a.jsonl.__partial__").rename(d / "a.jsonl"), {"a": True}, set()),
        (lambda d: os.truncate(d / "a.jsonl.__partial__", 1), {"a": True}, set()),
        (lambda d: os.utime(d / "b.jsonl", (1, 1)), {"b": True}, set()),
        (lambda d: exchange(d / "b.jsonl"), {"b": True}, set()),
        (lambda d: (d / "notes").touch(), {}, set()),
    ],
    ids=["nothing", "growth", "new", "gone", "renamed", "cut", "touched", "exchanged", "foreign"],
)
def test_what_differs_is_marked_and_whether_it_may_have_ended(
    tmp_path: Path,
    act: Callable[[Path], object],
    changed: dict[str, bool],
    grown: set[str],
    stems: list[str] | None,
) -> None:
    for name in ("a.jsonl.__partial__", "b.jsonl"):
        (tmp_path / name).write_bytes(b"one\n")
        os.utime(tmp_path / name, (LONG_AGO_S, LONG_AGO_S))
    first = look(tmp_path, stems=stems)
    act(tmp_path)
    second = look(tmp_path, first, stems=stems)
    third = look(tmp_path, second, stems=stems)

    assert (second.changed, second.grown) == (changed, grown)
    assert third.changed == {stem: True for stem in changed if stem not in second.seen}
    assert look(tmp_path, third, stems=stems).changed == {}


def test_the_wal_is_what_is_seen_of_a_session_and_that_there_are_both(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(b"closed")
    (tmp_path / "a.jsonl.__partial__").write_bytes(b"wal")
    (tmp_path / "b.jsonl").write_bytes(b"closed")

    found = look_around(tmp_path)

    assert found is not None
    assert {stem: (seen.size, seen.is_wal, seen.both) for stem, seen in found.items()} == {
        "a": (3, True, True),
        "b": (6, False, False),
    }


def test_what_is_no_regular_file_or_no_text_is_not_seen(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo.jsonl")
    (tmp_path / "link.jsonl").symlink_to(tmp_path / "nowhere")
    (tmp_path / "directory.jsonl").mkdir()
    (tmp_path / os.fsdecode(b"\xff.jsonl")).touch()

    assert look_around(tmp_path) == {}
    assert look(tmp_path, stems=["fifo", "link", "directory"]).seen == {}


def test_a_wal_that_nobody_holds_is_told_where_that_is_asked_for(tmp_path: Path) -> None:
    actor = Actor(tmp_path).open()
    (tmp_path / "dead.jsonl.__partial__").touch()
    (tmp_path / "closed.jsonl").touch()
    held = survey(tmp_path, [], {}, whole=True, locks_due=True, wanted=False)
    actor.kill()
    left = survey(tmp_path, [], {}, whole=True, locks_due=True, wanted=False)

    assert held is not None
    assert left is not None
    assert (held.unheld, left.unheld) == ({"dead"}, {"dead", str(ID)})
    assert (held.seen, look(tmp_path).unheld) == ({}, None)


def test_an_absent_directory_is_none_and_one_that_is_a_file_too(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    assert survey(tmp_path / "absent", [], {}, whole=True, locks_due=False, wanted=False) is None
    assert (
        survey(tmp_path / "file" / "below", [], {}, whole=True, locks_due=False, wanted=False)
        is None
    )
    assert look_around(tmp_path / "absent") is None


def test_a_directory_that_cannot_be_read_is_one_line_of_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> object:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "scandir", refuse)

    with pytest.raises(PersistenceError, match="permission denied: look at its owner and mode"):
        survey(tmp_path, [], {}, whole=True, locks_due=False, wanted=False)


def test_what_is_too_fresh_for_its_time_to_tell_is_looked_at_again(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl.__partial__"
    path.write_bytes(b"one\n")

    def again(before: Survey) -> Survey:
        found = survey(tmp_path, [], before.marks, whole=True, locks_due=False, wanted=False)
        assert found is not None
        return found

    first = survey(tmp_path, [], {}, whole=True, locks_due=False, wanted=False)
    assert first is not None
    second = again(first)
    os.utime(path, (LONG_AGO_S, LONG_AGO_S))
    third, fourth = again(second), again(again(second))

    assert second.changed == {"a": False}
    assert third.changed == {"a": True}
    assert fourth.changed == {}


def test_a_session_that_is_followed_and_is_not_there_is_told_once(tmp_path: Path) -> None:
    first = survey(tmp_path, ["a"], {}, whole=False, locks_due=False, wanted=False)
    assert first is not None
    second = survey(tmp_path, ["a"], first.marks, whole=False, locks_due=False, wanted=False)
    assert second is not None
    (tmp_path / "a.jsonl.__partial__").write_bytes(b"one\n")
    third = survey(tmp_path, ["a"], second.marks, whole=False, locks_due=False, wanted=False)
    assert third is not None

    assert (first.changed, second.changed, third.changed) == ({"a": True}, {}, {"a": False})
