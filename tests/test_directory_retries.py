"""Errors of sessions -> when each is tried again, ever more seldom."""

from __future__ import annotations

from itertools import pairwise

from sessiontail import PersistenceError
from sessiontail.directory.retries import MOST_RETRY_S, Retries

FIRST, SECOND = PersistenceError("no such sector"), PersistenceError("too many open files")


def test_each_pause_is_twice_the_one_before_up_to_ten_seconds() -> None:
    retries = Retries()
    tries = [100.0]
    for _ in range(7):
        retries.fail("one", FIRST, tries[-1], 0.5)
        tries.append(retries.due_s("one"))

    assert [then - now for now, then in pairwise(tries)] == [0.5, 1, 2, 4, 8, 10, 10]
    assert MOST_RETRY_S == 10


def test_a_descriptor_is_kept_up_to_the_first_try_that_is_due() -> None:
    retries = Retries()

    assert not retries.fail("one", FIRST, 4.0, 1.0)
    assert not retries.fail("one", SECOND, 4.5, 1.0)  # something was told of it
    assert retries.due_s("one") == 5.0
    assert retries.fail("one", SECOND, 5.0, 1.0)
    assert retries.due_s("one") == 7.0
    assert retries.fail("one", SECOND, 5.5, 1.0)  # it was opened again, for what was told of it
    assert retries.due_s("one") == 7.0
    assert retries.errors == {"one": FIRST}


def test_who_could_be_read_begins_anew() -> None:
    retries = Retries()
    for now_s in (4.0, 5.0, 7.0):
        retries.fail("one", FIRST, now_s, 1.0)
    retries.read("one")
    retries.read("another")

    assert retries.errors == {}
    assert not retries.fail("one", SECOND, 20.0, 1.0)
    assert (retries.errors, retries.due_s("one")) == ({"one": SECOND}, 21.0)
