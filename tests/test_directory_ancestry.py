"""A session's file -> how many of its first rows are an earlier session's."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from chats import FIRST, Chats, by_pairs, name, rows
from samples import chunk_line, header_line
from sessiontail.directory.ancestry import Ancestry, ancestry_of, finder
from sessiontail.format.batch import Batch
from sessiontail.format.decoding import RecordDecoder
from sessiontail.format.framing import Block, LongLine
from sessiontail.session.rows import FileRows
from sessiontail.session.sieve import Inherited
from sessiontail.system.files import SessionFile
from sessiontail.system.paths import path_paths
from sessiontail.system.stamps import FileId


class Asked(Chats):
    """Chats, and what is found out about them."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.ancestry = Ancestry(directory)

    def ask(self, path: Path) -> Inherited:
        file_id = FileId.of(path.stat())
        return self.ancestry.inherited(path_paths(path).oldest_first, file_id)

    def count(self, path: Path) -> int | None:
        return self.ask(path).count


@pytest.fixture
def chats(tmp_path: Path) -> Asked:
    return Asked(tmp_path)


def test_a_turn_inherits_what_the_one_before_has_though_it_does_not_name_it(chats: Asked) -> None:
    chats.write(1, rows(*FIRST[:1]))
    chats.write(2, rows(*FIRST[:2]))
    third = chats.write(3, rows(*FIRST))

    found = chats.ask(third)

    assert (found.count, found.origin, found.settled) == (4, UUID(name(2)), True)
    assert third.read_bytes()[: found.end].endswith(rows(*FIRST[:2]))


def test_what_goes_on_from_a_summary_inherits_it_though_nobody_has_answered(chats: Asked) -> None:
    """Two chats may begin with the same question, but not with the same summary."""
    summary = chunk_line(0, "They spoke of dates.")
    chats.write(1, summary, lineage_kind="op_session_compress")
    chats.write(2, chunk_line(0, "hello"))
    goes_on = chats.write(
        3, summary + chunk_line(1, "And then?") + chunk_line(2, "Ja.", "assistant")
    )
    asks = chats.write(4, chunk_line(0, "hello") + chunk_line(1, "Hi.", "assistant"))

    found = chats.ask(goes_on)

    assert (found.count, found.origin) == (1, UUID(name(1)))
    assert chats.count(asks) == 0


def test_where_its_first_parent_is_there_that_alone_is_compared(chats: Asked) -> None:
    chats.write(1, rows(*FIRST[:1]))
    chats.write(2, rows(*FIRST[:2]))

    found = chats.ask(chats.write(3, rows(*FIRST), parents=[name(1), name(2)]))

    assert (found.count, found.origin) == (2, UUID(name(1)))


def test_a_parent_that_is_there_needs_no_answer_to_prove_it(chats: Asked) -> None:
    chats.write(1, chunk_line(0, "hello"))

    assert chats.count(chats.write(2, rows(FIRST[0]), parents=[name(1)])) == 1


def test_what_stands_behind_a_damaged_line_of_the_parent_is_known_nowhere(chats: Asked) -> None:
    first, second = rows(*FIRST[:1]), rows(*FIRST[:2]).removeprefix(rows(*FIRST[:1]))
    chats.write(1, first + b"damaged\n" + second)

    assert chats.count(chats.write(2, rows(*FIRST), parents=[name(1)])) == 2


def test_what_a_pruned_parent_had_is_shown_again(chats: Asked) -> None:
    parent = chats.write(1, rows(*FIRST[:2]))
    child = chats.write(2, rows(*FIRST))
    assert chats.count(child) == 4

    parent.unlink()

    assert chats.count(child) == 0


def test_what_a_pruned_parent_had_and_its_own_parent_has_is_inherited_from_that(
    chats: Asked,
) -> None:
    chats.write(1, rows(*FIRST[:1]))
    parent = chats.write(2, rows(*FIRST[:2]))
    child = chats.write(3, rows(*FIRST))
    assert chats.count(child) == 4

    parent.unlink()

    assert (chats.ask(child).count, chats.ask(child).origin) == (2, UUID(name(1)))


def test_what_a_rewritten_parent_had_is_shown_again(chats: Asked) -> None:
    parent = chats.write(1, rows(*FIRST[:2]))
    child = chats.write(2, rows(*FIRST))
    assert chats.count(child) == 4

    chats.write(1, rows(("other", "words"), FIRST[1]))
    os.utime(parent)

    assert chats.count(child) == 0


def test_a_session_grows_while_it_is_asked_about(chats: Asked) -> None:
    chats.write(1, rows(*FIRST[:2]))
    lines = rows(*FIRST).splitlines(keepends=True)
    child = chats.write(2, b"", closed=False)
    found = []
    for line in lines:
        with child.open("ab") as file:
            file.write(line[:-9])
            file.flush()
            found.append(chats.ask(child).count)
            file.write(line[-9:])
        inherited = chats.ask(child)
        found.append(inherited.count)

    assert found == [0, 0, 0, 2, 2, 3, 3, 4, 4, 4, 4, 4]
    assert inherited.settled


def test_a_session_is_the_same_after_it_was_closed(chats: Asked) -> None:
    chats.write(1, rows(*FIRST[:1]))
    child = chats.write(2, rows(*FIRST[:2]), closed=False)
    assert chats.count(child) == 2

    final = child.with_name(f"{name(2)}.jsonl")
    child.rename(final)

    assert chats.count(final) == 2
    assert chats.count(chats.write(3, rows(*FIRST))) == 4


def test_a_parent_that_came_to_light_later_counts_from_then_on(chats: Asked) -> None:
    child = chats.write(5, rows(*FIRST), closed=False)
    assert chats.count(child) == 0
    chats.write(1, rows(*FIRST[:2]))

    assert chats.count(chats.write(6, rows(*FIRST))) == 6
    assert chats.count(chats.write(7, rows(*FIRST[:2], ("x", "y")))) == 4


def test_a_later_session_is_nobodys_parent(chats: Asked) -> None:
    child = chats.write(1, rows(*FIRST[:1]))
    chats.write(2, rows(*FIRST))

    assert chats.count(child) == 0


@pytest.mark.parametrize("kind", ["leaf_user", "op_create"])
def test_a_session_that_begins_anew_inherits_nothing(chats: Asked, kind: str) -> None:
    chats.write(1, rows(*FIRST[:1]))
    path = chats.directory / f"{name(2)}.jsonl"
    path.write_bytes(header_line(name(2), lineage_kind=kind) + rows(*FIRST))

    assert chats.count(path) == 0


def test_a_file_that_is_no_session_says_nothing_and_stops_nobody(chats: Asked) -> None:
    foreign = chats.directory / "notes.jsonl"
    foreign.write_bytes(b"notes\n" + rows(*FIRST))
    (chats.directory / "empty.jsonl").touch()
    (chats.directory / "directory.jsonl").mkdir()
    chats.write(1, rows(*FIRST[:1]))

    assert chats.count(chats.write(2, rows(*FIRST))) == 2
    assert chats.count(foreign) == 0


def test_a_file_that_is_gone_is_unknown(chats: Asked) -> None:
    path = chats.write(1, rows(*FIRST))
    file_id = FileId.of(path.stat())
    path.unlink()

    assert chats.ancestry.inherited(path_paths(path).oldest_first, file_id).count is None


def test_long_rows_and_many_are_compared_whole(chats: Asked) -> None:
    long = [(f"{i}" * 40_000, "y" * 300_000) for i in range(3)]
    short = [(str(i), f"a{i}") for i in range(2000)]
    chats.write(1, rows(*long, *short))

    found = chats.ask(chats.write(2, rows(*long, *short, ("new", "one"))))

    assert found.count == 4006


def test_a_chain_of_turns_reads_each_file_once(
    chats: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = 0
    real = SessionFile.read_now

    def counting(self: SessionFile, offset: int, size: int) -> bytes:
        nonlocal read
        data = real(self, offset, size)
        read += len(data)
        return data

    monkeypatch.setattr(SessionFile, "read_now", counting)
    turns = [(f"question {i} " * 50, f"answer {i} " * 50) for i in range(59)]
    paths = [chats.write(i, rows(*turns[:i])) for i in range(1, 60)]
    size = sum(path.stat().st_size for path in paths)

    counts = [chats.count(path) for path in paths]

    assert counts == [max(0, 2 * i) for i in range(59)]
    # Once, and what tells that a file is the one that it was.
    assert read < 1.5 * size


def test_of_chats_that_differ_only_their_begin_is_read(
    chats: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    turns = [("same prompt", "same")], [(str(i), "x" * 5000) for i in range(100)]
    for i in range(1, 30):
        chats.write(i, rows((f"chat {i}", "yes"), *turns[1]))
    decoded = 0
    real = RecordDecoder.decode

    def counting(self: RecordDecoder, block: Block | LongLine) -> Batch:
        nonlocal decoded
        decoded += 1
        return real(self, block)

    monkeypatch.setattr(RecordDecoder, "decode", counting)

    assert chats.count(chats.write(30, rows(("chat 30", "yes"), *turns[1]))) == 0
    assert decoded <= 31


def test_a_directory_is_known_once_a_process(tmp_path: Path) -> None:
    assert ancestry_of(tmp_path) is ancestry_of(tmp_path)
    assert ancestry_of(tmp_path) is not ancestry_of(tmp_path / "other")


def test_only_the_two_words_are_understood(tmp_path: Path) -> None:
    assert finder("include", tmp_path, 1000) is None
    assert finder("skip", tmp_path, 1000) is not None
    with pytest.raises(ValueError, match="'include' or 'skip', not 'hide'"):
        finder("hide", tmp_path, 1000)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    made=st.lists(st.tuples(st.integers(0, 9), st.integers(0, 8), st.text("abAB", max_size=3))),
    asked=st.data(),
)
def test_whenever_it_is_asked_it_finds_what_comparing_all_pairs_finds(
    tmp_path_factory: pytest.TempPathFactory,
    made: list[tuple[int, int, str]],
    asked: st.DataObject,
) -> None:
    chats = Asked(tmp_path_factory.mktemp("chats"))
    sessions: list[str] = []
    paths: list[Path] = []
    for parent, cut, own in made:
        said = (sessions[parent % len(sessions)][:cut] if sessions else "") + own
        sessions.append(said)
        lines = [
            chunk_line(i, letter, "assistant" if letter.isupper() else "user")
            for i, letter in enumerate(said)
        ]
        paths.append(chats.write(len(sessions), b"".join(lines)))
        for number in asked.draw(st.sets(st.integers(0, len(sessions) - 1), max_size=2)):
            assert chats.count(paths[number]) == by_pairs(sessions[: number + 1])


def test_asked_from_the_oldest_on_each_session_is_looked_at_a_few_times(
    chats: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = [chats.write(i, rows((f"chat {i}", "yes"))) for i in range(100)]
    looked = 0
    real = FileRows.begun

    def counting(self: FileRows) -> bool:
        nonlocal looked
        looked += 1
        return real(self)

    monkeypatch.setattr(FileRows, "begun", counting)

    assert [chats.count(path) for path in paths] == [0] * 100
    assert looked < 500


def test_a_session_that_is_closed_is_not_read_again(
    chats: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    chats.write(1, rows(*FIRST[:1]))
    wal = chats.write(2, rows(*FIRST[:2]), closed=False)
    chats.write(3, rows(*FIRST, ("fourth", "Aye.")))
    assert chats.count(wal) == 2
    made = 0
    real = FileRows.__init__

    def counting(self: FileRows, *args: Any) -> None:
        nonlocal made
        made += 1
        real(self, *args)

    monkeypatch.setattr(FileRows, "__init__", counting)
    wal.rename(wal.with_name(f"{name(2)}.jsonl"))

    assert chats.count(chats.write(4, rows(*FIRST))) == 6
    assert made == 1


def test_another_session_that_gets_the_number_of_a_deleted_file_is_another(
    chats: Asked,
) -> None:
    parent = chats.write(1, rows(*FIRST[:2]))
    assert chats.count(chats.write(2, rows(*FIRST))) == 4
    number = parent.stat().st_ino
    parent.unlink()
    # The file system gives the number to whom it likes.
    for i in range(5000):
        candidate = chats.directory / f"candidate-{i}"
        candidate.touch()
        if candidate.stat().st_ino == number:
            break
    else:
        pytest.skip("the number was not given again")
    candidate.write_bytes(chats.write(3, rows(("other", "words"))).read_bytes())
    candidate.replace(chats.directory / f"{name(3)}.jsonl")

    assert chats.count(chats.write(4, rows(("other", "words"), ("more", "!")))) == 2
    assert chats.count(chats.write(5, rows(*FIRST, ("and", "on")))) == 6


def test_a_second_name_of_a_file_is_no_second_session(chats: Asked) -> None:
    first = chats.write(1, rows(*FIRST[:1]))
    os.link(first, chats.directory / "link.jsonl")

    assert chats.count(first) == 0
    assert chats.count(chats.write(2, rows(*FIRST))) == 2
    first.unlink()
    assert chats.count(chats.write(3, rows(*FIRST[:1], ("x", "y")))) == 2


NOON = "2026-01-01T12:00:00+00:00"


def test_sessions_that_name_each_other_do_not_both_leave_their_rows_out(chats: Asked) -> None:
    for created_at in ("2026-01-01T00:00:01+00:00", NOON):
        one = chats.write(1, rows(*FIRST), parents=[name(2)], created_at=created_at)
        two = chats.write(2, rows(*FIRST), parents=[name(1)], created_at=NOON)

        assert {chats.count(one), chats.count(two)} == {0, 6}


def test_a_parent_of_the_same_moment_is_one(chats: Asked) -> None:
    chats.write(2, rows(*FIRST[:1]), created_at=NOON)
    chats.write(9, rows(*FIRST[:2]), parents=[name(2)], created_at=NOON)

    assert chats.count(chats.write(1, rows(*FIRST), parents=[name(9)], created_at=NOON)) == 4


def test_of_twins_in_time_the_shorter_is_the_earlier(chats: Asked) -> None:
    paths = [
        chats.write(9, rows(*FIRST[:1]), created_at=NOON),
        chats.write(1, rows(*FIRST), created_at=NOON),
    ]
    for path in paths:
        os.utime(path, (0, 0))

    assert [chats.count(path) for path in paths] == [0, 2]


def test_a_parent_from_the_future_is_none(chats: Asked) -> None:
    chats.write(5, rows(*FIRST[:1]))

    assert chats.count(chats.write(1, rows(*FIRST), parents=[name(5)])) == 0


def test_what_was_rewritten_where_it_lies_is_compared_anew(chats: Asked) -> None:
    chats.write(1, rows(*FIRST[:1]))
    child = chats.write(2, rows(*FIRST[:2]))
    assert chats.count(child) == 2
    chats.write(2, rows(("other", "words")))

    assert chats.count(child) == 0
