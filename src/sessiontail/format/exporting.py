"""the name of a form -> what writes a session in it, from records to pieces of text."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Literal, Protocol, get_args

from sessiontail.format.facts import Facts
from sessiontail.format.markdown import Markdown
from sessiontail.format.messages import Messages
from sessiontail.format.page import Page
from sessiontail.format.records import Header, Record
from sessiontail.format.trajectory import Trajectory

__all__ = ["FORMS", "SKIPPING", "ExportForm", "Scribe", "scribe"]

ExportForm = Literal["messages", "markdown", "html", "atif"]

FORMS: tuple[ExportForm, ...] = get_args(ExportForm)
#: Those that leave out by default what an earlier session has: people read them.
SKIPPING: tuple[ExportForm, ...] = ("markdown", "html")


class Scribe(Protocol):
    """Writes one session in one form. Called in this order; all pieces together are the text."""

    def begin(self, header: Header | None, facts: Facts) -> Iterator[str]:
        """Yield what stands before all rows; without a header it is no session."""

    def left_out(self, rows: int, origin: str) -> Iterator[str]:
        """Yield that so many of the first rows are another session's, and left out."""

    def take(self, records: Iterable[Record]) -> Iterator[str]:
        """Yield the next records."""

    def end(self, torn_bytes: int) -> Iterator[str]:
        """Yield what stands behind all rows, where so many bytes are behind the last whole line."""


def scribe(form: ExportForm) -> Scribe:
    """Return what writes in a form."""
    made: dict[ExportForm, Callable[[], Scribe]] = {
        "messages": Messages,
        "markdown": Markdown,
        "html": Page,
        "atif": Trajectory,
    }
    return made[form]()
