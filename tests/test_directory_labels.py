"""A node of a lineage -> the words that a picture has for it: text for any eye and any ear."""

from __future__ import annotations

from datetime import timedelta

import pytest

from chats import name
from kinships import START, family, outline
from sessiontail import LineageEdge, SessionState
from sessiontail.directory.labels import Label, cells, cut, labels_of, link_in_words, summary_of
from sessiontail.directory.tracing import lineage_of

ONE = "4f2c0000-0000-4000-8000-000000000001"
TWO = "4f2d0000-0000-4000-8000-000000000002"


def test_a_session_is_named_by_its_title_and_told_in_a_sentence() -> None:
    lineage = lineage_of([
        outline(1, [2], found=3, id_text=ONE, title="hello", created_at=START + timedelta(days=1)),
    ])  # fmt: skip

    assert labels_of(lineage)[ONE] == Label(
        "4f2c0000",
        "hello",
        "4f2c0000 · closed · 1 row · 2026-01-02",
        f"closed session {ONE}; hello; 1 own row; 2 inherited rows; created 2026-01-02 00:00:00+00:00",
    )


def test_a_parent_without_a_file_is_missing() -> None:
    assert labels_of(lineage_of([outline(1, parent_texts=(TWO,))]))[TWO] == Label(
        "4f2d0000", "no file", "4f2d0000 · missing", f"session {TWO}: missing, it has no file"
    )


def test_what_is_unknown_is_said_to_be() -> None:
    one = outline(1, title="", state=SessionState.LIVE)
    lineage = lineage_of([type(one)(one.meta, None, None, None)])

    label = labels_of(lineage)[name(1)]

    assert label.head == "nothing said"
    assert label.sentence == (
        f"live session {name(1)}; 1 own row; inherited rows unknown; created 2026-01-01 00:00:01+00:00"
    )


def test_ids_that_begin_alike_are_written_whole() -> None:
    labels = labels_of(lineage_of([outline(1), outline(2), outline(3, id_text=ONE)]))

    assert [label.name for label in labels.values()] == [name(1), name(2), "4f2c0000"]


def test_two_files_are_told() -> None:
    lineage = lineage_of([outline(1, file="a"), outline(1, file="b")])

    assert labels_of(lineage)[name(1)].sentence.endswith("; 2 files")


@pytest.mark.parametrize(
    ("title", "shown"),
    [
        ("a\nb\t c", "a b c"),
        ("\x1b[31mred", r"\x1b[31mred"),
        ("\u202eevil", r"\u202eevil"),
        ("\ud800", r"\ud800"),
        ("\ufffe\uffff", "\ufffd\ufffd"),
        ("<script>&", "<script>&"),
        ("👩\u200d🚀", "👩\u200d🚀"),
    ],
)
def test_a_title_is_fit_for_any_eye(title: str, shown: str) -> None:
    assert labels_of(lineage_of([outline(1, title=title)]))[name(1)].head == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [("abcde", "abcde"), ("abcdef", "abcd…"), ("日本語", "日本…"), ("abc def", "abc…"), ("", "")],
)
def test_a_text_is_cut_by_what_it_takes_on_a_screen(text: str, shown: str) -> None:
    assert cut(text, 5) == shown
    assert cells(shown) <= 5


def test_a_link_is_told_in_words() -> None:
    labels = labels_of(lineage_of([outline(1, id_text=ONE, parent_texts=(TWO, TWO))]))

    assert link_in_words(LineageEdge(ONE, TWO, 1), labels) == "4f2c0000 names 4f2d0000 as parent 2"
    assert link_in_words(LineageEdge(ONE, TWO, None), labels) == (
        "4f2c0000 begins with rows of 4f2d0000, found by content"
    )


@pytest.mark.parametrize(
    ("parents", "found", "said"),
    [
        ({}, {}, "0 sessions, 0 links"),
        ({1: []}, {}, "1 session, 0 links"),
        (
            {1: [9], 2: [8]},
            {2: 1},
            "2 sessions, 2 parents without a file, 3 links, 1 of them found by content",
        ),
        ({1: [2], 2: [1]}, {}, "2 sessions, 2 links, 1 cycle"),
    ],
)
def test_a_whole_lineage_is_told_in_a_sentence(
    parents: dict[int, list[int]], found: dict[int, int], said: str
) -> None:
    assert summary_of(family(parents, found)) == said
