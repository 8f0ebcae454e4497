"""What came behind a number is known, or it is said that it is not."""

from __future__ import annotations

from sessiontail.service.live.news_log import NewsLog


def kinds(log: NewsLog, number: int) -> list[tuple[int, str, str | None]]:
    return [(entry.number, entry.kind, entry.session_id) for entry in log.after(number)]


def filled(**limits: int) -> NewsLog:
    log = NewsLog(**limits)
    for kind in ("started", "abandoned", "resumed", "closed"):
        log.add(kind, "a", b"{}")
    return log


def test_from_each_number_the_rest_comes_in_order() -> None:
    log = filled()
    everything = [
        (1, "started", "a"),
        (2, "abandoned", "a"),
        (3, "resumed", "a"),
        (4, "closed", "a"),
    ]

    assert [kinds(log, number) for number in range(5)] == [everything[n:] for n in range(5)]
    assert all(log.reaches(number) for number in range(5))


def test_a_number_that_was_never_given_is_not_reached() -> None:
    log = filled()

    assert not log.reaches(5)
    assert not log.reaches(-1)


def test_an_empty_log_knows_all_that_happened() -> None:
    assert NewsLog().reaches(0)
    assert NewsLog().after(0) == []


def test_more_entries_than_there_is_room_for_push_the_oldest_out() -> None:
    log = filled(most_entries=2)

    assert kinds(log, 2) == [(3, "resumed", "a"), (4, "closed", "a")]
    assert [log.reaches(number) for number in range(5)] == [False, False, True, True, True]


def test_more_bytes_than_there_is_room_for_push_the_oldest_out() -> None:
    log = NewsLog(most_bytes=10)
    log.add("started", "a", b"x" * 6)
    log.add("started", "b", b"x" * 4)
    whole = log.reaches(0)
    log.add("closed", "a", b"x")

    assert whole
    assert kinds(log, 1) == [(2, "started", "b"), (3, "closed", "a")]
    assert not log.reaches(0)


def test_news_larger_than_all_the_room_leave_nothing_behind() -> None:
    log = NewsLog(most_bytes=10)
    log.add("started", "a", b"x" * 11)

    assert len(log) == 0
    assert not log.reaches(0)
    assert log.reaches(1)


def test_that_a_session_grew_is_outdated_by_what_comes_later_of_it() -> None:
    log = NewsLog()
    log.add("started", "a", b"{}")
    log.add("changed", "a", b"{}")
    log.add("changed", "b", b"{}")
    log.add("changed", "a", b"{}")
    grown = kinds(log, 0)
    log.add("closed", "a", b"{}")

    assert grown == [(1, "started", "a"), (3, "changed", "b"), (4, "changed", "a")]
    assert kinds(log, 0) == [(1, "started", "a"), (3, "changed", "b"), (5, "closed", "a")]
    assert log.reaches(0)


def test_what_outdates_nothing_is_kept() -> None:
    log = NewsLog()
    log.add("unreadable", None, b"{}")
    log.add("unreadable", None, b"{}")

    assert kinds(log, 0) == [(1, "unreadable", None), (2, "unreadable", None)]


def test_a_growth_that_was_pushed_out_is_not_dropped_twice() -> None:
    log = NewsLog(most_entries=1)
    log.add("changed", "a", b"{}")
    log.add("started", "b", b"{}")
    log.add("changed", "a", b"{}")

    assert kinds(log, 0) == [(3, "changed", "a")]


def test_what_nobody_watched_is_not_reached() -> None:
    log = filled()
    log.skip()
    log.add("started", "b", b"{}")

    assert [log.reaches(number) for number in range(7)] == [False] * 5 + [True] * 2
    assert kinds(log, 5) == [(6, "started", "b")]
