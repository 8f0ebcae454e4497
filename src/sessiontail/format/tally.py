"""rows of a session -> how many of what: by kind, by tool.

Tallies add up, and the tally of a session's first rows can be taken from that of all of them.
Nothing here opens, waits or logs.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from sessiontail.format.records import TokenUsage

__all__ = [
    "MOST_LETTERS",
    "MOST_TOOLS",
    "OTHER_TOOLS",
    "Tally",
    "UsageTotal",
    "brief_name",
    "count_tool",
]

# Names of tools that are counted apart in one file: a file of nothing but names takes no memory.
MOST_TOOLS = 1000
#: Of a name; no API takes longer ones.
MOST_LETTERS = 200
#: What those that come later are counted under.
OTHER_TOOLS = "(other)"


class Tally(msgspec.Struct, kw_only=True):
    """What there is of a session's rows."""

    #: Chunks.
    rows: int = 0
    #: By ``ChunkKind`` value; a kind that does not occur is left out. Bytes are whole lines.
    rows_by_kind: dict[str, int] = {}
    bytes_by_kind: dict[str, int] = {}
    #: Calls and results, by the tool's name; ``OTHER_TOOLS`` from the thousandth name on.
    tool_calls: dict[str, int] = {}
    tool_results: dict[str, int] = {}
    #: Results that say that the tool failed (``tool_errors``), by its name.
    tool_errors: dict[str, int] = {}
    #: Calls that no later result names, so far.
    unanswered_calls: int = 0
    #: Results that no earlier call asked for.
    unasked_results: int = 0

    def add(self, other: Tally) -> None:
        """Count what another counts, too."""
        self._take(other, 1)

    def minus(self, other: Tally) -> Tally:
        """Return this without those of another, which are all in it."""
        rest = Tally()
        rest._take(self, 1)
        rest._take(other, -1)
        return rest

    def _take(self, other: Tally, sign: int) -> None:
        for name in self.__struct_fields__:
            mine, theirs = getattr(self, name), getattr(other, name)
            if isinstance(mine, int):
                setattr(self, name, mine + sign * theirs)
                continue
            for key, count in theirs.items():
                total = mine.get(key, 0) + sign * count
                if total:
                    mine[key] = total
                else:
                    del mine[key]


def count_tool(counts: dict[str, int], name: str, count: int = 1) -> None:
    """Count a tool so many times more; a name that is too long is cut."""
    if not name.isascii() or len(name) > MOST_LETTERS:
        name = brief_name(name)
    if name not in counts and len(counts) >= MOST_TOOLS:
        name = OTHER_TOOLS
    counts[name] = counts.get(name, 0) + count


def brief_name(name: str) -> str:
    """Return a name, cut where no name is so long; what UTF-8 has no bytes for is escaped.

    A brief name stays as it is.
    """
    brief = name[: MOST_LETTERS + 1]
    if not brief.isascii():
        brief = brief.encode("utf-8", "backslashreplace").decode()
    return brief if len(brief) <= MOST_LETTERS else f"{brief[:MOST_LETTERS]}…"


class UsageTotal(msgspec.Struct, frozen=True, kw_only=True):
    """Tokens of many sessions; of how many they are known stands beside each sum."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    total_tokens: int = 0
    #: Sessions whose usage is in the sums.
    known: int = 0
    #: Sessions that say none: they run, crashed, or their writer did not count.
    unknown: int = 0
    #: Sessions that say none, and have a damaged line, which may be the one that said it.
    damaged: int = 0

    @classmethod
    def of(cls, usages: Iterable[tuple[TokenUsage | None, bool]]) -> UsageTotal:
        """Return the total of sessions: the usage of each, and whether it has a damaged line."""
        sums = [0, 0, 0]
        known = unknown = damaged = 0
        for usage, is_damaged in usages:
            if usage is not None:
                known += 1
                sums[0] += usage.prompt_tokens
                sums[1] += usage.completion_tokens
                sums[2] += usage.total_tokens
            elif is_damaged:
                damaged += 1
            else:
                unknown += 1
        return cls(
            prompt_tokens=sums[0], completion_tokens=sums[1], total_tokens=sums[2],
            known=known, unknown=unknown, damaged=damaged,
        )  # fmt: skip
