"""How many a second, of late: no burst is forgotten too soon, and none is remembered for ever."""

from __future__ import annotations

import pytest

from sessiontail.directory.rates import WINDOW_S, Rate


def test_what_came_is_spread_over_the_time_since_the_begin() -> None:
    rate = Rate(100.0)

    rate.add(8, 102.0)

    assert rate.per_s(104.0) == 2.0


def test_the_first_second_counts_whole() -> None:
    rate = Rate(100.5)

    rate.add(3, 100.6)

    assert rate.per_s(100.6) == 3.0


def test_what_came_before_the_window_is_forgotten() -> None:
    rate = Rate(0.0)
    rate.add(1000, 5.0)

    rate.add(45, 95.0)

    assert rate.per_s(99.0) == 45 / 9.0
    assert rate.per_s(95.0 + WINDOW_S) == 0.0


def test_a_steady_flow_has_its_rate_at_any_time() -> None:
    rate = Rate(0.0)
    for tenth in range(1000):
        rate.add(2, tenth / 10)

    assert rate.per_s(99.95) == pytest.approx(20.0, rel=0.02)
    assert rate.per_s(100.0) == pytest.approx(20.0)


def test_nothing_that_came_is_exactly_no_rate() -> None:
    assert Rate(7.0).per_s(7.0) == 0.0
