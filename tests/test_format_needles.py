"""What lines must have: of texts, of regular expressions, and of letters that have many spellings."""

from __future__ import annotations

import re
import string
import sys

import pytest
import regex

from sessiontail.format.needles import EXOTIC, needles_of_literal, needles_of_regex


def plain(pattern: str, *, ignore_case: bool = False) -> tuple[bytes, ...] | None:
    found = needles_of_regex(pattern, ignore_case=ignore_case)
    return None if found is None else found.plain


@pytest.mark.parametrize(
    ("pattern", "needles"),
    [
        ("needle", (b"needle",)),
        ("a needle.*straw", (b"a needle",)),
        ("ne+dle", (b"dle",)),
        ("n(?:eed)le", (b"needle",)),
        ("(?P<x>need)le", (b"needle",)),
        ("(?>need)le", (b"needle",)),
        ("(needle)+x", (b"needle",)),
        ("(needle)*straw", (b"straw",)),
        ("(needle)?", None),
        (r"\bneedle\b", (b"needle",)),
        ("(?=x)needle(?!straws)", (b"needle",)),
        ("needle|straw", (b"needle", b"straw")),
        ("x(needle|straw)?", None),
        ("(needle|straw)s", (b"needle", b"straw")),
        ("needle|.", None),
        ("(?:needle|s)", None),
        ("path/to/needle", (b"needle",)),
        (r"say \"needle\"", (b"needle",)),
        (r"one\nneedle", (b"needle",)),
        (r"\d+", None),
        ("é", (b"\xc3\xa9",)),
        ("Grüße", ("Grüße".encode(),)),
        (r"x{3}needle", (b"needle",)),
        ("(?:needle){e<=1}", None),
        ("(?:needle){i}", None),
        ("[[:alpha:]]needle", None),
        (r"\p{L}needle", None),
        ("(?x) nee dle", None),
        (r"(needle)\1", (b"needle",)),
        ("(a)?(?(1)needle|straw)", None),
    ],
)
def test_a_regular_expression_needs(pattern: str, needles: tuple[bytes, ...] | None) -> None:
    assert plain(pattern) == needles


@pytest.mark.parametrize(
    ("pattern", "needles"),
    [
        ("Needle", (b"needle",)),
        ("(?i)Needle", (b"needle",)),
        ("(?i:Needle)", (b"needle",)),
        # For a letter that others match as well, these are looked for too.
        ("mix", (b"mix", "\u0130".encode(), "\u0131".encode())),
        ("needles", (b"needle",)),
        ("Größe", (b"gr",)),
        ("日本語", ("日本語".encode(),)),
        ("ошибка", None),
    ],
)
def test_without_case_a_regular_expression_needs(
    pattern: str, needles: tuple[bytes, ...] | None
) -> None:
    found = plain(pattern, ignore_case=not pattern.startswith("(?i"))

    assert found == needles


@pytest.mark.parametrize("text", ["a", '"', "\\\\", "\n\n", "\ud800\udc00", "/"])
def test_a_text_without_two_letters_that_have_one_spelling_has_none(text: str) -> None:
    assert needles_of_literal(text, ignore_case=False) is None


def test_no_other_character_matches_an_ascii_letter_without_case() -> None:
    everything = "".join(map(chr, range(0x80, sys.maxunicode + 1)))
    others = "".join(
        {
            *re.findall("[a-zA-Z]", everything, re.IGNORECASE),
            *regex.findall("[a-zA-Z]", everything, regex.IGNORECASE | regex.VERSION0),
        }
    )

    assert {*others} == {*"".join(EXOTIC.values())}
    for letter in string.ascii_letters:
        known = {*EXOTIC.get(letter.lower(), "")}
        assert {*re.findall(letter, others, re.IGNORECASE)} <= known
        assert {*regex.findall(letter, others, regex.IGNORECASE | regex.VERSION0)} <= known


@pytest.mark.parametrize(
    ("text", "escape"),
    [
        ("needle", rb"\u006E"),
        ("needle", rb"\u0064"),
        ("né", rb"\u00E9"),
        ("日本", rb"\u65E5"),
        ("x😀", rb"\ud83D"),
        # What an escape is spelled with.
        ("xyz", rb"\u0075"),
        ("xyz", rb"\u005C"),
        ("xyz", rb"\u0030"),
    ],
)
def test_a_letter_in_disguise_is_seen(text: str, escape: bytes) -> None:
    found = needles_of_literal(text, ignore_case=False)

    assert found is not None
    assert escape.startswith(found.escape)
    assert found.disguise.match(escape)


def test_other_escapes_are_no_disguise() -> None:
    found = needles_of_literal("xyz", ignore_case=False)

    assert found is not None
    assert not any(map(found.disguise.match, (rb"\u001b", rb"\u00e9", rb"\u003c", rb"\u2028")))
