"""What is known of a session in words: what is unknown is no number."""

from __future__ import annotations

from datetime import UTC, datetime

from sessiontail import SessionState, TokenUsage, Trailer
from sessiontail.format.facts import closed_text, moment_text, state_text, usage_text

MOMENT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def test_what_is_unknown_is_said_to_be() -> None:
    assert usage_text(None) == "unknown"
    assert state_text(None) == "unknown"
    assert moment_text(None) == "unknown"
    assert closed_text(Trailer()) == "Closed: an unknown number of rows, tokens: unknown."


def test_what_is_known_is_told() -> None:
    usage = TokenUsage(1200, 0, 1200)

    assert usage_text(usage) == "1,200 (1,200 prompt, 0 completion)"
    assert state_text(SessionState.LIVE) == "live"
    assert closed_text(Trailer(closed_at=MOMENT, final_chunk_count=1, cumulative_usage=usage)) == (
        "Closed 2026-01-02T03:04:05+00:00: 1 row, tokens: 1,200 (1,200 prompt, 0 completion)."
    )
