"""matches -> lines for people, or JSON: the matches, how many there are, or whose they are."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any, Literal

from sessiontail.cli.colors import Painted, session_style
from sessiontail.cli.escaping import encoded, one_line
from sessiontail.cli.terminal import Output
from sessiontail.format.plain import SCHEMA
from sessiontail.session.asking import Match

__all__ = ["FoundPrinter"]

# At a terminal, so many letters of a line are shown, a quarter of them before the first match.
_EXCERPT = 400
_SHORT = 8


class FoundPrinter:
    """Prints matches.

    Args:
        output: where to.
        form: in which form.
        what: the lines that match, how many records of each session do, or the sessions' ids.
        full: long lines whole, at a terminal too.
    """

    def __init__(
        self,
        output: Output,
        form: Literal["text", "json", "jsonl"],
        *,
        what: Literal["lines", "counts", "ids"],
        full: bool,
    ) -> None:
        self._output = output
        self._form = form
        self._what = what
        self._cut = output.terminal and not full
        #: Matches that were taken so far.
        self.printed = 0
        self._objects = 0
        # Whose matches come now, in which record, and how many of its records there were.
        self._last: Match | None = None
        self._records = 0
        # The lines behind the last match, which the next one may go over.
        self._context = False

    def put(self, match: Match) -> None:
        """Print a match, or count it."""
        last, self._last = self._last, match
        self.printed += 1
        same = last is not None and _whose(last) == _whose(match)
        if self._what == "lines":
            self._line(match)
            return
        if not same:
            if last is not None:
                self._sum_up(last)
            self._records = 0
        if not (same and last is not None and last.offset == match.offset):
            self._records += 1
        if self._what == "ids" and not same:
            self._tell_id(match)

    def flush(self) -> None:
        """Hand what was printed to the reader of the output."""
        self._output.flush()

    def close(self) -> None:
        """Print what is left, and the end of the form."""
        if self._last is not None:
            self._sum_up(self._last)
        if self._form == "json":
            self._output.line("\n]" if self._objects else "[]")
        self._output.flush()

    def _sum_up(self, match: Match) -> None:
        """Print how many records of a session match."""
        if self._what == "counts":
            if self._form == "text":
                self._output.line(self._name(match), f":{self._records}")
            else:
                self._object({**_session(match), "count": self._records})

    def _tell_id(self, match: Match) -> None:
        if self._form == "text":
            # Whole: what is printed here, others read.
            self._output.line(_name_of(match, whole=True))
        else:
            self._object(_session(match))

    def _object(self, value: dict[str, Any]) -> None:
        text = self._output.json(json.dumps(value, ensure_ascii=False))
        if self._form == "jsonl":
            self._output.line(text)
        else:
            self._output.bytes((b",\n" if self._objects else b"[\n") + encoded(text))
        self._objects += 1

    def _line(self, match: Match) -> None:
        if self._form != "text":
            self._object(match.to_dict())
            return
        output = self._output
        if (match.before or match.after or self._context) and self.printed > 1:
            output.line(output.styled("--", "dim"))
        self._context = bool(match.before or match.after)
        for text in match.before:
            self._row(match, "-", [output.styled(self._shown(text), "dim")])
        for parts in self._marked(match):
            self._row(match, ":", parts)
        for text in match.after:
            self._row(match, "-", [output.styled(self._shown(text), "dim")])

    def _row(self, match: Match, sign: str, parts: Sequence[Painted]) -> None:
        tool = f" [{one_line(match.tool)}]" if match.tool is not None else ""
        line = "?" if match.line is None else match.line
        what = f"{match.kind}{tool}"
        if match.field in ("arguments", "reasoning"):
            what = f"{'->' if match.field == 'arguments' else '(thought)'}{tool}"
        self._output.line(
            self._name(match), f"{sign}{line}{sign}", self._output.styled(what, "dim"), " ", *parts
        )

    def _name(self, match: Match) -> Painted:
        name = one_line(_name_of(match))
        return self._output.styled(name, session_style(str(match.session_id)))

    def _shown(self, text: str) -> str:
        return text if not self._cut or len(text) <= _EXCERPT else text[:_EXCERPT] + "…"

    def _marked(self, match: Match) -> Iterator[list[Painted]]:
        """Yield the lines of a match, its places marked."""
        output, text = self._output, match.text
        start = 0
        for line in text.split("\n"):
            end = start + len(line)
            spans = [
                (max(first, start), min(last, end))
                for first, last in match.spans
                if first < end and last > start
            ]
            shown, until = start, end
            if self._cut and len(line) > _EXCERPT:
                first = spans[0][0] if spans else start
                shown = max(start, min(first - _EXCERPT // 4, end - _EXCERPT))
                until = min(end, shown + _EXCERPT)
            parts = [output.styled("…", "dim")] if shown > start else []
            at = shown
            for first, last in spans:
                if first >= until:
                    break
                parts += [
                    output.styled(text[at:first]),
                    output.styled(text[first : min(last, until)], "match"),
                ]
                at = min(last, until)
            parts.append(output.styled(text[at:until]))
            if until < end:
                parts.append(output.styled("…", "dim"))
            yield parts
            start = end + 1


def _whose(match: Match) -> tuple[object, object]:
    return match.session_id, match.file


def _name_of(match: Match, *, whole: bool = False) -> str:
    """Return what a session is called: by its id, else by its file."""
    if match.session_id is None:
        return str(match.file if whole or match.path is None else match.path.name)
    return str(match.session_id) if whole else str(match.session_id)[:_SHORT]


def _session(match: Match) -> dict[str, Any]:
    session_id = None if match.session_id is None else str(match.session_id)
    return {"schema": SCHEMA, "session_id": session_id, "file": match.file}
