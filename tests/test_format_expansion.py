"""A regular expression -> how many pieces it has when its repeats are written out."""

from __future__ import annotations

import pytest

from sessiontail.format.expansion import pieces_written_out


@pytest.mark.parametrize(
    ("pattern", "pieces"),
    [
        ("abc", 3),
        ("a{1000}", 1001),
        ("a{0,1000}", 2),
        ("a{3,}", 4),
        ("(ab){10}", 31),
        ("(?:a|bc){10}", 41),
        ("(?=a{7})(?<!b)", 11),
        ("(?>a{8})b{9}+", 20),
        ("[a-z0-9]{4}", 9),
        ("(x)?(?(1)a{6}|b)", 12),
        (r"\d{4}-\d{2}-\d{2}", 13),
        ("((((a){50}){50}){50}){50}", 12755101),
    ],
)
def test_repeats_that_lie_in_each_other_multiply_and_others_add_up(
    pattern: str, pieces: int
) -> None:
    assert pieces_written_out(pattern) == pieces


@pytest.mark.parametrize(
    "pattern",
    [
        r"(?x)((((a){5 0}){50}){50}){50}",  # regex takes the space out, re does not
        "(?x)((((a){5#\n0}){50}){50}){50}",
        r"(?:(?:(?:(?:a){50}){50}){50}){50}\p{L}",
        "(?:(?:(?:(?:a){50}){50}){50}){50}(?i)",
        "(a{50}){50}{50}{50}",
    ],
)
def test_what_re_may_read_differently_counts_for_what_it_may_be(pattern: str) -> None:
    assert pieces_written_out(pattern) > 1_000_000


def test_a_number_that_no_package_takes_is_no_error() -> None:
    assert pieces_written_out(r"\p{L}{" + "9" * 5000 + "}") > 10**17


def test_a_pattern_too_deep_for_re_is_counted_flat() -> None:
    pattern = "(" * 5000 + "a{7}" + ")" * 5000

    assert pieces_written_out(pattern) == 7 * len(pattern)
