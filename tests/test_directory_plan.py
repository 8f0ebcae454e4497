"""Metas and rules -> which sessions go and which stay, and why; nothing is deleted."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from hypothesis import assume, given, settings, strategies as st

from sessiontail import (
    LineageKind,
    PersistedSessionMeta,
    PersistenceError,
    SessionState,
    SessionStore,
)
from sessiontail.directory.plan import PruneDecision, PrunePlan, check_rules, plan

NOW = datetime(2026, 6, 1, tzinfo=UTC)
CLOSED, LIVE, ABANDONED = SessionState.CLOSED, SessionState.LIVE, SessionState.ABANDONED


def meta(
    number: int, *, days: float = 0, size: int = 10, state: SessionState = CLOSED
) -> PersistedSessionMeta:
    return PersistedSessionMeta(
        id_text=str(UUID(int=number)),
        file=f"{number}.jsonl",
        created_at=NOW - timedelta(days=days),
        lineage_operator="implicit",
        lineage_kind=LineageKind.UNKNOWN,
        chunk_count=0,
        closed=state is CLOSED,
        state=state,
        parent_texts=(),
        cumulative_usage=None,
        closed_at=None,
        size_bytes=size,
        modified_at=NOW,
    )


def whys(verdicts: tuple[PruneDecision, ...]) -> list[tuple[int, str]]:
    return [(verdict.meta.id.int, verdict.why) for verdict in verdicts]


METAS = [
    meta(1, days=40),
    meta(2, days=31, state=ABANDONED),
    meta(3, days=30),
    meta(4, days=20, state=LIVE),
    meta(5, days=1),
]


@pytest.mark.parametrize(
    ("rules", "remove", "keep"),
    [
        (
            {"older_than": timedelta(days=30)},
            [(1, "older than 30 days"), (2, "older than 30 days")],
            [(3, "within the limits"), (4, "live"), (5, "within the limits")],
        ),
        (
            {"older_than": timedelta(hours=25), "keep_last": 3},
            [(1, "older than 25 hours"), (2, "older than 25 hours")],
            [(3, "among the 3 newest"), (4, "live"), (5, "among the 3 newest")],
        ),
        (
            {"older_than": timedelta(days=1), "states": ["abandoned"]},
            [(2, "older than 1 day")],
            [
                (1, "closed, not abandoned"),
                (3, "closed, not abandoned"),
                (4, "live"),
                (5, "closed, not abandoned"),
            ],
        ),
        (
            {"keep_last": 1},
            [(n, "not among the 1 newest") for n in (1, 2, 3)],
            [(4, "live"), (5, "among the 1 newest")],
        ),
        (
            {"max_total_bytes": 25},
            [
                (1, "all together are more than 25 bytes"),
                (2, "all together are more than 25 bytes"),
                (3, "all together are more than 25 bytes"),
            ],
            [(4, "live"), (5, "within the limits")],
        ),
        (
            {"max_total_bytes": 40, "older_than": timedelta(days=35)},
            [(1, "older than 35 days")],
            [
                (2, "within the limits"),
                (3, "within the limits"),
                (4, "live"),
                (5, "within the limits"),
            ],
        ),
        (
            {"states": [CLOSED, LIVE]},
            [(1, "closed"), (3, "closed"), (5, "closed")],
            [(2, "abandoned, not closed or live"), (4, "live")],
        ),
        ({"older_than": timedelta.max}, [], [(m.id.int, "within the limits") for m in METAS]),
    ],
)
def test_a_plan_names_what_goes_and_what_stays_and_why(
    rules: dict[str, Any], remove: list[tuple[int, str]], keep: list[tuple[int, str]]
) -> None:
    made = plan(reversed(METAS), now=NOW, **rules)

    if "older_than" in rules and rules["older_than"] == timedelta.max:
        keep[3] = (4, "live")
    assert (whys(made.remove), whys(made.keep)) == (remove, keep)
    assert made.bytes_to_free == 10 * len(remove)


def test_a_session_with_a_live_wal_keeps_its_closed_file_too() -> None:
    old, new = meta(1, days=9), meta(1, days=1, state=LIVE)

    made = plan([new, old], now=NOW, keep_last=0)

    assert (made.remove, made.keep) == (
        (),
        (PruneDecision(old, "live"), PruneDecision(new, "live")),
    )


@pytest.mark.parametrize(
    ("rules", "error", "told"),
    [
        ({}, ValueError, "give a rule: older_than=, keep_last=, max_total_bytes= or states="),
        ({"keep_last": -1}, ValueError, "keep_last cannot be negative: -1"),
        ({"max_total_bytes": -1}, ValueError, "max_total_bytes cannot be negative: -1"),
        (
            {"older_than": timedelta(days=-1)},
            ValueError,
            "older_than cannot be negative: -1 day, 0:00:00",
        ),
        ({"older_than": 30}, TypeError, "older_than is a timedelta, not int 30"),
        ({"keep_last": "3"}, TypeError, "keep_last is an int, not str '3'"),
        ({"max_total_bytes": "10G"}, TypeError, "max_total_bytes is an int, not str '10G'"),
        ({"states": "closed"}, TypeError, "states: give a collection, such as ['closed']"),
        ({"states": CLOSED}, TypeError, "states: give a collection, such as ['closed']"),
    ],
)
@pytest.mark.anyio
async def test_a_plan_with_no_rule_or_one_that_cannot_be_meant_is_refused_by_name(
    tmp_path: Path, rules: dict[str, Any], error: type[Exception], told: str
) -> None:
    with pytest.raises(error) as planned:
        plan(METAS, now=NOW, **rules)
    with pytest.raises(error) as asked:
        await SessionStore(tmp_path).plan_prune(**rules)

    assert [str(planned.value), str(asked.value)] == [told, told]


def test_a_state_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="asleep"):
        plan(METAS, now=NOW, states=["asleep"])


metas = st.lists(
    st.tuples(
        st.integers(1, 9),
        st.integers(0, 60),
        st.integers(0, 100),
        st.sampled_from(list(SessionState)),
    ),
    max_size=12,
).map(lambda rows: [meta(n, days=d, size=b, state=s) for n, d, b, s in rows])


@settings(max_examples=200)
@given(
    metas=metas,
    days=st.none() | st.integers(0, 60),
    keep_last=st.none() | st.integers(0, 12),
    limit=st.none() | st.integers(0, 600),
    states=st.none() | st.sets(st.sampled_from(list(SessionState))),
)
def test_every_plan_parts_the_sessions_and_spares_what_must_stay(
    metas: list[PersistedSessionMeta],
    days: int | None,
    keep_last: int | None,
    limit: int | None,
    states: set[SessionState] | None,
) -> None:
    assume((days, keep_last, limit, states) != (None, None, None, None))
    older_than = None if days is None else timedelta(days=days)

    made = plan(
        metas,
        now=NOW,
        older_than=older_than,
        keep_last=keep_last,
        max_total_bytes=limit,
        states=states,
    )

    gone, kept = [v.meta for v in made.remove], [v.meta for v in made.keep]
    assert sorted(map(id, gone + kept)) == sorted(map(id, metas))
    live_ids = {m.id for m in metas if m.state is LIVE}
    assert not live_ids & {m.id for m in gone}
    assert states is None or {m.state for m in gone} <= states
    assert gone == sorted(gone, key=lambda m: m.created_at)
    newest = sorted(metas, key=lambda m: (m.created_at, m.path.name))
    spared = {id(m) for m in newest[max(0, len(metas) - keep_last) :]} if keep_last else set()
    assert not spared & set(map(id, gone))

    def free(m: PersistedSessionMeta) -> bool:
        return m.id not in live_ids and id(m) not in spared and (not states or m.state in states)

    if limit is not None and sum(m.size_bytes for m in kept) > limit and states != set():
        assert not any(free(m) for m in kept)
    if older_than is not None and limit is None:
        assert all(m.created_at < NOW - older_than for m in gone)


def test_what_a_killed_deletion_has_left_is_told_apart_from_what_else_was_skipped() -> None:
    left = PersistenceError("put aside", reason="left-aside")
    skipped = (PersistenceError("no header", reason="no-header"), left, PersistenceError("denied"))

    assert PrunePlan((), (), skipped).left_aside == (left,)
    assert PrunePlan((), (), skipped).bytes_to_free == 0


def test_rules_are_checked_and_states_read_from_text() -> None:
    assert check_rules(None, None, None, ["closed", ABANDONED]) == {CLOSED, ABANDONED}
    assert check_rules(None, None, None, []) == set()
    assert check_rules(None, 0, None, None) is None
