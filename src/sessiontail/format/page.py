"""records of a session -> a page in HTML, piece by piece: one file, without scripts.

All that an agent wrote is text: escaped, what commands or hides is shown (``inert``), its direction is
its own and no neighbour's. Each row is an article with a heading; calls and what is long can be folded.
Were something to slip through all the same, the page's policy lets nothing run and loads nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from html import escape

from sessiontail.format.brief import counted, short
from sessiontail.format.facts import Facts, closed_text, moment_text, state_text, usage_text
from sessiontail.format.laid_out import (
    arguments_text,
    damage_place,
    damage_text,
    page_text,
    row_text,
    tool_name,
)
from sessiontail.format.page_style import STYLE
from sessiontail.format.records import Chunk, ChunkKind, Damage, Header, Record, Trailer
from sessiontail.format.turns import Asked, Item, Turn, Turns

__all__ = ["Page"]

# A longer text is folded: a screen shows about so many lines of 100 letters.
_FOLDED_LINES = 40
_FOLDED_LETTERS = 4_000
_WORDS = {"tool_result": "tool result"}

_HEAD = """\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="referrer" content="no-referrer">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>{title}</title>
<style>
{style}</style>
</head>
<body>
<header>
<h1>{heading}</h1>
<dl>
{facts}</dl>
</header>
<main>
"""


class Page:
    """Writes the page of one session."""

    def __init__(self) -> None:
        self._turns = Turns()
        self._facts = Facts(name="")

    def begin(self, header: Header | None, facts: Facts) -> Iterator[str]:
        """Yield the head of the page: what is known of the session."""
        self._facts = facts
        name = facts.name if header is None else str(header.id)
        title = f"Session {short(name)}" if header is not None else f"No session: {name}"
        heading = "Session" if header is not None else "No session:"
        rows = [("State", state_text(facts.state))]
        if header is not None:
            rows.append(("Created", moment_text(header.created_at)))
        if facts.closed_at is not None:
            rows.append(("Closed", moment_text(facts.closed_at)))
        if header is not None:
            rows.append(("Lineage", f"{header.lineage_operator}/{header.lineage_kind}"))
            rows += [("Parent", str(parent)) for parent in header.parent_session_ids]
        rows.append(("Tokens", usage_text(facts.usage)))
        if facts.size_bytes is not None:
            rows.append(("File", f"{facts.name}, {counted(facts.size_bytes, 'byte')}"))
        yield _HEAD.format(
            title=_text(title),
            style=STYLE,
            heading=f"{heading} <code>{_text(name)}</code>",
            facts="".join(f"<dt>{key}</dt><dd>{_text(value)}</dd>\n" for key, value in rows),
        )

    def left_out(self, rows: int, origin: str) -> Iterator[str]:
        """Say that the first rows are another session's, and left out."""
        self._turns.rows += rows
        told = (
            f"{counted(rows, 'row')} from <code>{_text(origin)}</code> left out: they are copies."
        )
        yield f'<p class="aside">{told}</p>\n'

    def take(self, records: Iterable[Record]) -> Iterator[str]:
        """Yield the next rows."""
        for record in records:
            for item in self._turns.take(record):
                yield from self._item(item)

    def end(self, torn_bytes: int) -> Iterator[str]:
        """Yield what waits, what the file ends with, and the end of the page."""
        for item in self._turns.end():
            yield from self._item(item)
        if torn_bytes:
            told = f"{counted(torn_bytes, 'byte')} after the last whole line, no record."
            yield f'<article class="damage"><h2>Torn end</h2>\n<p class="said">{told}</p></article>\n'
        yield "</main>\n</body>\n</html>\n"

    def _item(self, item: Item) -> Iterator[str]:
        if isinstance(item, Turn):
            yield from self._turn(item)
        elif isinstance(item, Damage):
            yield (
                f'<article class="damage"><h2>Damage<small>{_text(damage_place(item))}</small></h2>\n'
                f'<p class="said">{item.reason}: {_text(item.message)}</p>\n'
                f"{_folded('the line', damage_text(item), _pre)}</article>\n"
            )
        elif isinstance(item, Trailer):
            yield f'<p class="aside">{_text(closed_text(item))}</p>\n'

    def _turn(self, turn: Turn) -> Iterator[str]:
        chunk, row = turn.chunk, turn.row
        name = tool_name(chunk)
        kind = chunk.kind.value
        inherited = self._facts.inherited
        copied = inherited is not None and row < inherited
        what = f"row {row}" + (", inherited" if copied else "")
        word = _WORDS.get(kind, kind)
        beside = f" of <code>{_text(name)}</code>, which no call before it asks for" if name else ""
        yield (
            f'<article class="{kind}{" inherited" if copied else ""}" id="row-{row}">\n'
            f'<h2>{word}{beside}<small><a href="#row-{row}">{what}</a></small></h2>\n'
        )
        if chunk.reasoning is not None:
            yield _folded("thought", page_text(chunk.reasoning), _thought, always=True)
        text = row_text(chunk)
        if text:
            yield _folded("text", text, _pre if chunk.kind is ChunkKind.TOOL_RESULT else _said)
        elif not turn.calls and chunk.reasoning is None:
            yield '<p class="aside">Empty.</p>\n'
        for asked in turn.calls:
            yield _call(asked)
        yield "</article>\n"


def _call(asked: Asked) -> str:
    arguments, _ = arguments_text(asked.call)
    result = asked.result
    told = "<small>no result follows</small>" if result is None else ""
    return (
        f"<details open><summary>calls <strong><code>{_text(asked.call.name)}</code></strong>{told}"
        f"</summary>\n<h3>Arguments</h3>\n{_folded('arguments', arguments, _pre)}"
        f"{'' if result is None else _result(result)}</details>\n"
    )


def _result(result: Chunk) -> str:
    text = row_text(result)
    shown = _folded("result", text, _pre) if text else '<p class="aside">Empty.</p>\n'
    return f"<h3>Result</h3>\n{shown}"


def _folded(what: str, text: str, shape: Callable[[str], str], *, always: bool = False) -> str:
    """Return a text in its shape, folded where it is long."""
    lines = text.count("\n") + 1
    shown = shape(text)
    if not always and lines <= _FOLDED_LINES and len(text) <= _FOLDED_LETTERS:
        return shown
    size = f"{counted(lines, 'line')}, {counted(len(text), 'letter')}"
    return f"<details><summary>{what}<small>{size}</small></summary>\n{shown}</details>\n"


def _said(text: str) -> str:
    return f'<p class="said" dir="auto">{_escaped(text)}</p>\n'


def _thought(text: str) -> str:
    return f'<p class="said thought" dir="auto">{_escaped(text)}</p>\n'


def _pre(text: str) -> str:
    # A newline right behind the tag would be dropped.
    return f'<pre dir="auto">\n{_escaped(text)}</pre>\n'


def _text(text: str) -> str:
    """Return any text for a page."""
    return _escaped(page_text(text))


def _escaped(text: str) -> str:
    return escape(text, quote=True)
