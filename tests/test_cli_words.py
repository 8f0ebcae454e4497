"""Ids from the command line and from standard input."""

from __future__ import annotations

import io
import sys

import click
import pytest

from sessiontail.cli.words import given_ids


def says(patch: pytest.MonkeyPatch, data: bytes) -> None:
    patch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))


def test_without_a_dash_standard_input_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    says(monkeypatch, b"c\n")

    assert given_ids(("a", "b")) == ("a", "b")
    assert given_ids(()) == ()
    assert sys.stdin.read() == "c\n"


@pytest.mark.parametrize(
    ("words", "data", "ids"),
    [
        (("-",), b"a\nb\n", ("a", "b")),
        (("-",), b"a", ("a",)),
        (("-",), b"\n a\t\r\n\n\nb  \n", ("a", "b")),
        (("x", "-", "y"), b"a\nb\n", ("x", "a", "b", "y")),
        (("-", "x", "-"), b"a\n", ("a", "x")),
        (("-",), b"./\xff.jsonl\n", ("./\udcff.jsonl",)),
        (("-",), b"-\n", ("-",)),
    ],
)
def test_what_standard_input_says_stands_where_the_dash_is(
    monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], data: bytes, ids: tuple[str, ...]
) -> None:
    says(monkeypatch, data)

    assert given_ids(words) == ids


@pytest.mark.parametrize("data", [b"", b" \n\n"])
def test_a_standard_input_that_says_nothing_does_not_mean_everything(
    monkeypatch: pytest.MonkeyPatch, data: bytes
) -> None:
    says(monkeypatch, data)

    with pytest.raises(click.ClickException, match="no id on standard input"):
        given_ids(("-",))


def test_a_standard_input_that_is_closed_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", None)

    with pytest.raises(click.ClickException, match="no id on standard input"):
        given_ids(("-",))
