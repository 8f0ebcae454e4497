from __future__ import annotations

from sessiontail.format.records import TokenUsage
from sessiontail.format.tally import MOST_TOOLS, OTHER_TOOLS, Tally, UsageTotal, count_tool


def test_what_is_taken_away_leaves_the_rest_and_no_zeros() -> None:
    whole = Tally(
        rows=3, rows_by_kind={"user": 2, "assistant": 1}, tool_calls={"bash": 2}, unasked_results=1
    )
    first = Tally(rows=2, rows_by_kind={"user": 2}, tool_calls={"bash": 1})

    rest = whole.minus(first)

    assert rest == Tally(
        rows=1, rows_by_kind={"assistant": 1}, tool_calls={"bash": 1}, unasked_results=1
    )
    rest.add(first)
    assert rest == whole


def test_a_file_of_nothing_but_names_takes_no_memory() -> None:
    counts: dict[str, int] = {}
    for number in range(MOST_TOOLS + 5):
        count_tool(counts, f"tool_{number}")
    count_tool(counts, "tool_0")

    assert len(counts) == MOST_TOOLS + 1
    assert (counts[OTHER_TOOLS], counts["tool_0"]) == (5, 2)


def test_beside_a_sum_of_tokens_stands_of_how_many_sessions_it_is() -> None:
    usages = [
        (TokenUsage(1, 2, 3), False),
        (TokenUsage(4, 5, 9), True),
        (None, False),
        (None, True),
    ]

    assert UsageTotal.of(usages) == UsageTotal(
        prompt_tokens=5, completion_tokens=7, total_tokens=12, known=2, unknown=1, damaged=1
    )
