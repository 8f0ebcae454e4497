"""Numbers as people read them: what is unknown is no zero, and a little is not nothing."""

from __future__ import annotations

import pytest

from sessiontail.reports.amounts import number, percent, size


@pytest.mark.parametrize(
    ("count", "shown"),
    [
        (None, "?"),
        (0, "0"),
        (1234567, "1,234,567"),
        (-5, "-5"),
        (10**18 - 1, "999,999,999,999,999,999"),
        (10**18, "about 10^18"),
        (-(10**20), "about -10^20"),
    ],
)
def test_a_number_of_any_length_is_short(count: int | None, shown: str) -> None:
    assert number(count) == shown


def test_a_number_of_more_digits_than_python_writes_is_short() -> None:
    assert number(10**5000) == "about 10^5000"


@pytest.mark.parametrize(
    ("part", "whole", "shown"),
    [(1, 3, "33.3%"), (0, 3, "0.0%"), (0, 0, "?"), (1, 100_000, "<0.1%"), (3, 3, "100.0%")],
)
def test_a_share_of_nothing_is_unknown_and_a_small_one_is_not_none(
    part: int, whole: int, shown: str
) -> None:
    assert percent(part, whole) == shown


@pytest.mark.parametrize(
    ("count", "shown"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 K"),
        (1434, "1.4 K"),
        (10_188, "9.9 K"),
        (10_189, "10 K"),
        (1_023_487, "999 K"),
        (1_023_488, "1.0 M"),
        (1023 * 1024, "1.0 M"),
        (3 * 1024**4, "3.0 T"),
        (5000 * 1024**5, "5000 P"),
        (5 << 60, "5120 P"),
    ],
)
def test_a_size_has_three_digits(count: int, shown: str) -> None:
    assert size(count) == shown
