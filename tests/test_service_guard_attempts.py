"""Wrong tokens: some are just wrong, then whoever goes on is told to wait, for a bounded time."""

from __future__ import annotations

import pytest

from sessiontail.service.guard.attempts import FREE, Attempts


class Clock:
    """Says what it is set to."""

    now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def attempts(clock: Clock) -> Attempts:
    return Attempts(clock)


def test_some_are_just_wrong_and_then_the_wait_doubles_up_to_five_minutes(
    attempts: Attempts, clock: Clock
) -> None:
    waits = []
    for _ in range(FREE + 12):
        waits.append(attempts.wrong("192.0.2.1"))
        clock.now_s += waits[-1]

    assert waits == [0] * FREE + [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300]


def test_who_does_not_wait_is_told_what_is_left_and_no_more(
    attempts: Attempts, clock: Clock
) -> None:
    for _ in range(FREE + 3):
        clock.now_s += attempts.wrong("192.0.2.1")
    waits = [attempts.wrong("192.0.2.1") for _ in range(100)]
    clock.now_s += 5.5
    waits.append(attempts.wrong("192.0.2.1"))

    assert waits == [8] * 100 + [3]


def test_who_was_wrong_no_more_for_an_hour_begins_anew(attempts: Attempts, clock: Clock) -> None:
    for _ in range(FREE + 1):
        attempts.wrong("192.0.2.1")
    clock.now_s += 1 + 3600

    assert [attempts.wrong("192.0.2.1") for _ in range(FREE + 1)] == [0] * FREE + [1]


def test_after_any_number_it_is_still_a_number(attempts: Attempts, clock: Clock) -> None:
    for _ in range(2000):
        clock.now_s += attempts.wrong("192.0.2.1")

    assert attempts.wrong("192.0.2.1") == 300


@pytest.mark.parametrize(
    ("one", "other", "are_one"),
    [
        ("192.0.2.1", "192.0.2.2", False),
        ("192.0.2.1", "::ffff:192.0.2.1", True),
        ("2001:db8::1", "2001:db8::ffff:1", True),
        ("2001:db8:0:1::1", "2001:db8:0:2::1", False),
        ("", "", True),
        ("a socket", "another one", False),
    ],
)
def test_addresses_count_apart_but_for_those_that_one_network_has(
    attempts: Attempts, one: str, other: str, *, are_one: bool
) -> None:
    for _ in range(FREE):
        attempts.wrong(one)

    assert attempts.wrong(other) == are_one


def test_no_more_than_so_many_addresses_are_known_the_last_ones(attempts: Attempts) -> None:
    for _ in range(FREE):
        attempts.wrong("192.0.2.1")
    for number in range(1999):
        attempts.wrong(f"10.0.{number // 256}.{number % 256}")
    known = attempts.wrong("192.0.2.1")
    for number in range(5000):
        attempts.wrong(f"10.1.{number // 256}.{number % 256}")

    assert (known, len(attempts), attempts.wrong("192.0.2.1")) == (1, 2000, 0)
