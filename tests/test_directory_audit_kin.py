"""What the sessions of a directory say of each other: rows, parents, circles."""

from __future__ import annotations

from pathlib import Path

import pytest

from chats import FIRST, GONE, Chats, name, rows
from samples import chunk_line
from sessiontail.directory.ancestry import Ancestry
from sessiontail.directory.audit_files import Audited, AuditFiles
from sessiontail.directory.audit_kin import ALONE, AuditKin, told
from sessiontail.session.auditing import answer_of, fold_batch, request_of


@pytest.fixture
def chats(tmp_path: Path) -> Chats:
    return Chats(tmp_path)


def asked(chats: Chats) -> dict[str, Audited]:
    """By id, with what the others say."""
    files = AuditFiles(chats.directory, None)
    audited = files.take(answer_of(fold_batch(request_of(files.to_fold))))
    AuditKin(audited, Ancestry(chats.directory), 1 << 20).ask(audited)
    return {one.audit.id_text or "": one for one in audited}


def test_the_first_rows_are_counted_apart(chats: Chats) -> None:
    call = {"id": "c", "type": "function", "function": {"name": "bash", "arguments": "{}"}}
    ask = chunk_line(2, None, "assistant", tool_calls=[call])
    tell = chunk_line(3, "done", "tool_result", tool_call_id="c", name="bash")
    chats.write(1, rows(*FIRST[:1]) + ask)
    chats.write(2, rows(*FIRST[:1]) + ask + tell, parents=[name(1)])
    chats.write(3, rows(*FIRST[:1]) + ask + chunk_line(3, "never mind"), parents=[name(1)])

    answered, ignored = (told(asked(chats)[name(number)]) for number in (2, 3))

    assert (answered.inherited_rows, answered.origin_text) == (3, name(1))
    assert answered.own.tool_results == {"bash": 1}
    assert answered.own.tool_calls == {}
    # What its own rows answer is unanswered nowhere; what stays open is the parent's.
    assert (answered.unanswered_calls, answered.own.unanswered_calls) == (0, 0)
    assert (ignored.unanswered_calls, ignored.own.unanswered_calls) == (1, 0)


def test_who_names_nobody_and_was_not_made_from_another_stands_alone(chats: Chats) -> None:
    chats.write(1, rows(*FIRST))
    chats.write(2, rows(*FIRST), parents=(), lineage_kind="op_create")

    assert asked(chats)[name(2)].kin is ALONE


def test_parents_that_are_not_there_are_missing_each_once(chats: Chats) -> None:
    chats.write(1, rows(*FIRST))
    chats.write(2, rows(*FIRST), parents=[name(1), GONE, GONE, name(9)])

    kin = asked(chats)[name(2)].kin

    assert kin is not None
    assert kin.missing == (GONE, name(9))


def test_a_parent_is_there_under_whatever_name(chats: Chats) -> None:
    chats.write(1, rows(*FIRST)).rename(chats.directory / "export.jsonl")
    chats.write(2, rows(*FIRST), parents=[name(1)])

    kin = asked(chats)[name(2)].kin

    assert kin is not None
    assert kin.missing == ()


def test_who_is_its_own_ancestor_is_told_and_who_comes_from_there_is_not(chats: Chats) -> None:
    for number, parent in {1: 3, 2: 1, 3: 2, 4: 1, 5: 5}.items():
        chats.write(number, chunk_line(0, str(number)), parents=[name(parent)])

    found = asked(chats)

    assert {one for one, audited in found.items() if audited.kin and audited.kin.in_cycle} == {
        name(1), name(2), name(3), name(5),
    }  # fmt: skip


def test_a_forebear_that_is_put_there_later_is_found_at_once(chats: Chats) -> None:
    """Copied in within the second for which a listing is believed, beside a child that was listed."""
    ancestry = Ancestry(chats.directory)
    chats.write(2, rows(*FIRST))
    counts = []
    for _ in range(2):
        files = AuditFiles(chats.directory, None)
        audited = files.take(answer_of(fold_batch(request_of(files.to_fold))))
        AuditKin(audited, ancestry, 1 << 20).ask(audited)
        counts.append({one.audit.id_text: told(one).inherited_rows for one in audited})
        chats.write(1, rows(*FIRST[:2]))

    assert counts == [{name(2): 0}, {name(1): 0, name(2): 4}]


def test_a_file_that_goes_meanwhile_hides_nothing(chats: Chats) -> None:
    chats.write(1, rows(*FIRST))
    child = chats.write(2, rows(*FIRST), parents=[name(1)])
    files = AuditFiles(chats.directory, None)
    audited = files.take(answer_of(fold_batch(request_of(files.to_fold))))
    child.unlink()

    AuditKin(audited, Ancestry(chats.directory), 1 << 20).ask(audited)

    audits = {one.audit.id_text: told(one) for one in audited}
    assert audits[name(2)].inherited_rows is None
    assert audits[name(2)].own_rows == 6


def test_of_two_files_of_one_id_each_child_has_the_rows_that_it_copied(chats: Chats) -> None:
    """As where a closed session was taken up again: as many rows, and others."""
    long, short = rows(("a" * 500, "b")), rows(("c", "d"))
    chats.write(1, long)
    chats.write(1, short, closed=False)
    for number, copied in enumerate((long, short), 2):
        chats.write(number, copied + chunk_line(2, "more"), parents=[])

    found = asked(chats)
    chats.write(1, long + chunk_line(2, "of this one alone"))
    after = asked(chats)

    kin = [found[name(2)].kin, found[name(3)].kin, after[name(2)].kin, after[name(3)].kin]
    inherited = [one.inherited for one in kin if one is not None]
    sizes = [sum(one.bytes_by_kind.values()) for one in inherited if one is not None]
    assert sizes == [len(long), len(short)] * 2
