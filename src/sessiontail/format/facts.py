"""what is known of a session beside its rows: the head of what it is exported to."""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct

from sessiontail.format.brief import counted
from sessiontail.format.lifecycle import SessionState
from sessiontail.format.records import TokenUsage, Trailer

__all__ = ["Facts", "closed_text", "moment_text", "state_text", "usage_text"]


class Facts(Struct, frozen=True, kw_only=True, gc=False):
    """A session as a listing knows it. None is unknown."""

    #: What its file is called.
    name: str
    state: SessionState | None = None
    #: None: no trailer, or one without.
    usage: TokenUsage | None = None
    closed_at: datetime | None = None
    size_bytes: int | None = None
    #: How many of the rows that come first are copies of an earlier session's.
    inherited: int | None = 0


def usage_text(usage: TokenUsage | None) -> str:
    """Return a session's tokens in words: unknown is no number."""
    if usage is None:
        return "unknown"
    parts = f"{usage.prompt_tokens:,} prompt, {usage.completion_tokens:,} completion"
    return f"{usage.total_tokens:,} ({parts})"


def state_text(state: SessionState | None) -> str:
    """Return a state in a word."""
    return "unknown" if state is None else state.value


def moment_text(moment: datetime | None) -> str:
    """Return a time as ISO 8601."""
    return "unknown" if moment is None else moment.isoformat()


def closed_text(trailer: Trailer) -> str:
    """Return what a trailer says, as a sentence."""
    count = trailer.final_chunk_count
    rows = "an unknown number of rows" if count is None else counted(count, "row")
    when = "" if trailer.closed_at is None else f" {moment_text(trailer.closed_at)}"
    return f"Closed{when}: {rows}, tokens: {usage_text(trailer.cumulative_usage)}."
