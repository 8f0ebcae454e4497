"""a tally -> its tools, the most called first, and how often each failed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from sessiontail.format.tally import Tally
from sessiontail.reports.amounts import percent

__all__ = ["ToolUse", "together", "tools_of"]


class ToolUse(NamedTuple):
    """How a tool was used."""

    name: str
    calls: int
    results: int
    #: Results that say that it failed.
    errors: int

    @property
    def failed(self) -> str:
        """The share of its results that say so; unknown where there are none."""
        return percent(self.errors, self.results)

    @property
    def figure(self) -> str:
        """Its calls, and of how many the results say that they failed."""
        return f"{self.calls:,} ({self.errors:,} failed)" if self.errors else f"{self.calls:,}"


def tools_of(tally: Tally) -> list[ToolUse]:
    """Return the tools that were called, or had a result."""
    uses = [
        ToolUse(
            name,
            tally.tool_calls.get(name, 0),
            tally.tool_results.get(name, 0),
            tally.tool_errors.get(name, 0),
        )
        for name in {*tally.tool_calls, *tally.tool_results}
    ]
    return sorted(uses, key=lambda one: (-one.calls, -one.results, one.name))


def together(tools: Sequence[ToolUse], name: str) -> ToolUse:
    """Return several tools as one, under another name."""
    return ToolUse(
        name,
        sum(one.calls for one in tools),
        sum(one.results for one in tools),
        sum(one.errors for one in tools),
    )
